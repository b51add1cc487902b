package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Functions are the parts of the program for a process that somebody else starts,
// calls and stops as they like, in the place of a daemon: nothing is listened on
// and nothing goes on between two calls.
type Functions struct {
	app     *App
	handler http.Handler
}

// NewFunctions wires Functions. It calls nobody.
func NewFunctions(ctx context.Context, c Config) (*Functions, error) {
	a, err := wire(ctx, c, true)
	if err != nil {
		return nil, err
	}
	a.started = a.now()
	return &Functions{app: a, handler: a.hookRoutes()}, nil
}

// NewReceiver makes what takes deliveries and works with the store, without access to
// Okta's API or to Amazon Connect, and without the secrets for them. Of the Functions
// there are Hook, Claim, Waiting, Anchor and Tally alone.
func NewReceiver(c Config) (*Functions, error) {
	a, hook := begin(c)
	if c.Config.APIMode() {
		hook.Directory = okta.NewHookDirectory(c.Config.Groups, c.Config.Okta.App)
	}
	var err error
	if a.hook, err = okta.NewHook(hook); err != nil {
		return nil, fmt.Errorf("set up the hook: %w", err)
	}
	a.started = a.now()
	return &Functions{app: a, handler: a.hookRoutes()}, nil
}

// Close drops idle connections.
func (f *Functions) Close() { f.app.hangUp() }

// Renew signs in to Okta with other credentials if they have changed. It is to be called
// before each event, and looks them up again after a minute.
func (f *Functions) Renew() {
	if f.app.client == nil {
		return
	}
	if age := f.app.now().Sub(f.app.signed.looked); age < 0 || age >= renewAge {
		f.app.renew()
	}
}

// Hook takes deliveries, as the daemon does.
func (f *Functions) Hook() http.Handler { return f.handler }

// Claim makes the store this deployment's, or refuses one that is another's.
func (f *Functions) Claim(ctx context.Context) error { return f.app.claim(ctx) }

// Reach reads the instances that were not read yet. An error is one that no waiting
// can mend; of an instance that cannot be reached, each look tells.
func (f *Functions) Reach(ctx context.Context) error {
	err := f.app.reach(ctx)
	if err != nil && !reconcile.IsTerminal(err) {
		f.app.log.Error("cannot read the Amazon Connect instance", "error", err)
		return nil
	}
	return err
}

// WorkOn looks at a person who was claimed, and settles the claim.
func (f *Functions) WorkOn(ctx context.Context, work reconcile.Work) error {
	return f.app.engine.WorkOn(ctx, work)
}

// CatchUp reads Okta's System Log since the last time. What only a sweep can answer
// it leaves to Sweep. Lag is how long ago a reading to the end began; 0: there was
// none. In hook-only mode there is nothing to read.
func (f *Functions) CatchUp(ctx context.Context) (lag time.Duration, err error) {
	if f.app.client == nil {
		return 0, nil
	}
	caught, failed := f.app.engine.CatchUp(ctx)
	f.app.reportCatchUp(caught, failed, false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	last, err := f.app.engine.CaughtUp(ctx)
	if err == nil {
		lag = max(f.app.now().Sub(last.Started), time.Millisecond)
	} else if errors.Is(err, reconcile.ErrNotFound) {
		err = nil
	}
	return lag, errors.Join(failed, err)
}

// noteWithin bounds the reading and writing of a note when the time is over.
const noteWithin = 5 * time.Second

// Sweep looks at everybody if it is time to: if that was not done since the time of
// day at which it is to be, if the System Log told of something that only a sweep
// can answer, and a while after a sweep has failed. It reports whether it did.
//
// What a sweep wants looked at it stores piece by piece. One whose time is over before
// all is stored is no failure if it came some way: the next call goes on with it.
func (f *Functions) Sweep(ctx context.Context) (swept bool, err error) {
	e, now := f.app.engine, f.app.now()
	last, err := e.Swept(ctx)
	if err != nil && !errors.Is(err, reconcile.ErrNotFound) {
		return false, fmt.Errorf("read when the last sweep was: %w", err)
	}
	owed, err := e.Owed(ctx)
	if err != nil {
		return false, fmt.Errorf("read whether a sweep is owed: %w", err)
	}
	if !owed && !last.Started.IsZero() && f.app.cfg.Sweep.At.Next(last.Started.In(now.Location())).After(now) {
		return false, nil
	}
	var cut failure
	if err := f.recall(ctx, noteFailed, &cut); err != nil {
		return false, err
	}
	if cut.At.Before(last.Started.Add(last.Took)) {
		cut = failure{}
	}
	if now.Before(cut.again()) {
		return false, nil
	}
	return true, f.sweep(ctx, failure{At: now, Tries: cut.Tries + 1})
}

// sweep notes the failure first, since a process that runs out of time or memory
// comes to nothing afterwards. A success is newer than that.
func (f *Functions) sweep(ctx context.Context, cut failure) error {
	if err := f.remember(ctx, noteFailed, cut); err != nil {
		return err
	}
	if err := f.Reach(ctx); err != nil {
		return err
	}
	err := f.app.sweep(ctx)
	var part *reconcile.UnfinishedError
	switch {
	case errors.As(err, &part):
		f.app.log.Info("the time of the sweep was over; the next run goes on", "asked", part.Asked, "left", part.Left)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgiveWithin)
		defer cancel()
		return f.remember(ctx, noteFailed, failure{}) // it need not wait
	case err != nil:
		return fmt.Errorf("look at everybody: %w", err)
	}
	return nil
}

// forgiveWithin bounds the last note of a sweep whose time is over.
const forgiveWithin = time.Second

// noteFailed is the note of a sweep that has not succeeded, or not yet.
const noteFailed = "sweep-begun"

// failure says when a sweep began that was not finished, and how many there were
// since the last that was.
type failure struct {
	At    time.Time `json:"at"`
	Tries int       `json:"tries"`
}

// again is when to try again, by the waits of the daemon.
func (n failure) again() time.Time {
	if n.Tries == 0 {
		return time.Time{}
	}
	return n.At.Add(min(sweepRetryMost, sweepRetry<<min(n.Tries-1, 5)))
}

// noteAnchored is the note of when the journal was tied together last.
const noteAnchored = "anchored"

// Anchor ties the ends of the journal's chains together, once a day.
func (f *Functions) Anchor(ctx context.Context) error {
	var last time.Time
	if err := f.recall(ctx, noteAnchored, &last); err != nil {
		return err
	}
	now := f.app.now()
	if age := now.Sub(last); age >= 0 && age < anchorEvery {
		return nil
	}
	if err := f.app.backend.Anchor(ctx); err != nil {
		return fmt.Errorf("tie the journal's chains together: %w", err)
	}
	return f.remember(ctx, noteAnchored, now)
}

// Tell sends what was gathered for people, and waits for it a moment.
func (f *Functions) Tell(ctx context.Context) {
	f.app.notifier.flush(f.app.now().Add(gather))
	f.app.notifier.hook.rest(ctx)
}

// Waiting says what waits.
type Waiting struct {
	Oldest time.Duration // age of the oldest request that is not done
	Dead   int           // people who were given up
	Held   int           // changes that wait for somebody's approval
}

// Waiting counts what waits.
func (f *Functions) Waiting(ctx context.Context) (Waiting, error) {
	backlog, err := f.app.backend.Backlog(ctx)
	if err != nil {
		return Waiting{}, err
	}
	guard, err := f.app.guardStatus(ctx)
	if err != nil {
		return Waiting{}, err
	}
	out := Waiting{Dead: backlog.Dead, Held: guard.Waiting}
	if !backlog.Oldest.IsZero() {
		out.Oldest = max(f.app.now().Sub(backlog.Oldest), 0)
	}
	return out, nil
}

// Tally counts what was done since the Functions were made.
type Tally struct {
	Events    int64 // in deliveries that were answered 204
	Refused   int64 // deliveries that were refused for good: Okta does not send them again
	Changes   map[plan.Action]uint64
	Refusals  map[plan.Code]uint64
	Throttled uint64 // calls of Amazon Connect
}

// Tally gives the counts.
func (f *Functions) Tally() Tally {
	hook, looks := f.app.hook.Stats(), f.app.counts.snapshot()
	t := Tally{Events: hook.Events + hook.Groups + hook.Ignored.Total(), Changes: looks.Changes, Refusals: looks.Refusals}
	t.Refused = hook.WrongSecret + hook.BadRequest + hook.TooLarge + hook.Unsupported
	for _, call := range f.app.calls.snapshot() {
		t.Throttled += call.Throttled
	}
	return t
}

// recall reads a note. There being none leaves the value as it is.
func (f *Functions) recall(ctx context.Context, name string, into any) error {
	text, err := f.app.backend.Note(ctx, name)
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), into)
	}
	if err != nil {
		return fmt.Errorf("read the note %q: %w", name, err)
	}
	return nil
}

// remember writes a note.
func (f *Functions) remember(ctx context.Context, name string, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = f.app.backend.SaveNote(ctx, name, string(text))
	}
	if err != nil {
		return fmt.Errorf("write the note %q: %w", name, err)
	}
	return nil
}
