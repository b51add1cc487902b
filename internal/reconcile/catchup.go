package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Names of notes.
const (
	notePlace = "feed"     // a place
	noteSweep = "sweep"    // a Swept
	noteCatch = "catch-up" // a CaughtUp
	noteOwed  = "owed"     // when somebody last noted that another process owes a sweep
)

// overlap is how far before the last success reading starts when there is no
// cursor to go on from. Okta's log is "near real-time", without a number.
const overlap = time.Hour

// place is how far the feed was read.
type place struct {
	Cursor string    `json:"cursor"`
	Saved  time.Time `json:"saved"`          // when everything before the cursor was durable
	Owes   bool      `json:"owes,omitempty"` // a sweep, for what was read before the cursor
	Tries  int       `json:"tries,omitempty"`
	Tried  time.Time `json:"tried,omitzero"` // when that sweep last failed
	Why    string    `json:"why,omitempty"`
}

// Limits of the wait before a sweep that is owed is tried again: a group that was
// renamed can stay so for days, and each try reads everybody.
const (
	owedBase = time.Minute
	owedCap  = time.Hour
)

// CaughtUp is the result of a catch-up.
type CaughtUp struct {
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Pages    int           `json:"pages"`
	Requests int           `json:"requests"`
	Failed   int           `json:"failed"` // deliveries that Okta says it could not make
	Groups   int           `json:"groups"` // events about whole groups, answered by a sweep
	Gap      bool          `json:"gap"`    // events may be missing, made up for by a sweep
}

// CatchUp reads what the directory recorded since the last time and enqueues the
// people concerned. The place in the feed is kept only after what was read is
// durable, so that a crash repeats a page and never skips one. It changes
// nothing itself.
//
// Events about a whole group, and a gap in the feed, are answered by a sweep. It
// is owed from the moment that the place behind them is kept, until it has worked
// once. It is tried again after a while that doubles each time, up to an hour, and
// at once when another such event comes; meanwhile each call gives an error that
// says so. After an error the next call goes on from the last place that was kept.
func (e *Engine) CatchUp(ctx context.Context) (CaughtUp, error) {
	out := CaughtUp{Started: e.Now()}
	at, err := e.place(ctx)
	if err != nil {
		return out, fmt.Errorf("catch up: %w", err)
	}
	for more := true; more; {
		var page Page
		page, err = e.Feed.Events(ctx, at.Cursor, at.Saved.Add(-overlap))
		if errors.Is(err, ErrGap) && !out.Gap {
			// Begin anew; the sweep below looks at everybody whom the gap hides.
			out.Gap, at = true, place{Saved: e.Now(), Owes: true}
			continue
		}
		if err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
		if err := e.Queue.Enqueue(ctx, page.Requests...); err != nil {
			return out, fmt.Errorf("catch up: enqueue: %w", err)
		}
		out.Pages++
		out.Requests += len(page.Requests)
		out.Failed += page.Failed
		out.Groups += len(page.Fan)
		at.Cursor, at.Saved, more = page.Next, e.Now(), page.More
		if len(page.Fan) > 0 {
			at.Owes, at.Tries, at.Tried, at.Why = true, 0, time.Time{}, ""
		}
		if at.Owes && e.SweepsApart {
			// Before the place, so that no crash in between forgets it.
			if err := e.note(ctx, noteOwed, at.Saved); err != nil {
				return out, fmt.Errorf("catch up: %w", err)
			}
			at.Owes = false
		}
		if err := e.note(ctx, notePlace, at); err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
	}
	if at.Owes {
		if err := e.payOwed(ctx, at); err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
	}
	out.Took = e.Now().Sub(out.Started)
	return out, e.note(ctx, noteCatch, out)
}

// skew is how far apart the clocks of two processes of one deployment may be.
const skew = 10 * time.Second

// Owed tells whether CatchUp left something to a sweep that none has answered
// since, where SweepsApart says that another process sweeps.
func (e *Engine) Owed(ctx context.Context) (bool, error) {
	var asked time.Time
	switch err := e.recall(ctx, noteOwed, &asked); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	swept, err := e.Swept(ctx)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return !asked.Before(swept.Started.Add(-skew)), err
}

// payOwed makes the sweep that is owed, unless the last try was not long ago.
func (e *Engine) payOwed(ctx context.Context, at place) error {
	next := at.Tried.Add(min(owedCap, owedBase<<min(max(at.Tries-1, 0), 6)))
	if now := e.Now(); at.Tries > 0 && now.Before(next) && !now.Before(at.Tried) { // else the clock went back
		return fmt.Errorf("a sweep is owed and will be tried again at %s: %s", next.UTC().Format(time.RFC3339), at.Why)
	}
	// Whoever a sweep that was cut short has asked for is to be looked at again.
	if err := e.note(ctx, noteAsking, asking{}); err != nil {
		return err
	}
	_, failed := e.Sweep(ctx)
	switch {
	case failed == nil:
		at = place{Cursor: at.Cursor, Saved: at.Saved}
	case ctx.Err() != nil:
		return failed
	default:
		at.Tries, at.Tried, at.Why = at.Tries+1, e.Now(), failed.Error()
	}
	return errors.Join(failed, e.note(ctx, notePlace, at))
}

// place gives how far the feed was read, or where to begin.
func (e *Engine) place(ctx context.Context) (place, error) {
	var at place
	switch err := e.recall(ctx, notePlace, &at); {
	case errors.Is(err, ErrNotFound):
		return place{Saved: e.Now()}, nil
	case err != nil:
		return at, err
	}
	return at, nil
}

// CaughtUp gives the result of the last catch-up that succeeded. ErrNotFound
// means there was none.
func (e *Engine) CaughtUp(ctx context.Context) (CaughtUp, error) {
	var out CaughtUp
	err := e.recall(ctx, noteCatch, &out)
	return out, err
}

// note stores a value as the note of that name.
func (e *Engine) note(ctx context.Context, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.Notes.SaveNote(ctx, name, string(text))
}

// recall reads a value from the note of that name.
func (e *Engine) recall(ctx context.Context, name string, into any) error {
	text, err := e.Notes.Note(ctx, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("the note %q is damaged: %w", name, err)
	}
	return nil
}
