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
)

// overlap is how far before the last success reading starts when there is no
// cursor to go on from. Okta's log is "near real-time", without a number.
const overlap = time.Hour

// place is how far the feed was read.
type place struct {
	Cursor string    `json:"cursor"`
	Saved  time.Time `json:"saved"`          // when everything before the cursor was durable
	Owes   bool      `json:"owes,omitempty"` // a sweep, for what was read before the cursor
}

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
// is owed from the moment that the place behind them is kept, and each call
// tries it until it has worked once. After an error the next call goes on from
// the last place that was kept.
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
		at, more = place{Cursor: page.Next, Saved: e.Now(), Owes: at.Owes || len(page.Fan) > 0}, page.More
		if err := e.note(ctx, notePlace, at); err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
	}
	if at.Owes {
		if _, err := e.Sweep(ctx); err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
		at.Owes = false
		if err := e.note(ctx, notePlace, at); err != nil {
			return out, fmt.Errorf("catch up: %w", err)
		}
	}
	out.Took = e.Now().Sub(out.Started)
	return out, e.note(ctx, noteCatch, out)
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
