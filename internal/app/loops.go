package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"connectroster/internal/reconcile"
)

// work reads both sides once and then runs the workers and the backstops until
// ctx is done. Looks that have begun by then go on until looking is done. The
// index is complete before the first worker starts, so that CreateUser goes only
// to people who have no agent.
func (a *App) work(ctx, looking context.Context) {
	swept, ok := a.prepare(ctx)
	if !ok {
		return
	}
	var running sync.WaitGroup
	for range a.cfg.Workers {
		running.Go(func() { a.worker(ctx, looking) })
	}
	running.Go(func() { a.sweeps(ctx, swept) })
	running.Go(func() { a.anchors(ctx) })
	if a.cfg.APIMode() {
		running.Go(func() { a.catchUps(ctx) })
	}
	running.Wait()
}

// prepare checks the instances and fills the index, by a sweep if the directory
// can be read and without one otherwise, until that has worked once. An instance
// that cannot be reached for long does not keep the others waiting: whoever has an
// agent there is found by its name. It reports whether everybody was swept, and
// ok false when ctx is done first.
func (a *App) prepare(ctx context.Context) (swept, ok bool) {
	tries := 0
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		swept, err := a.first(ctx)
		if err == nil {
			return swept, true
		}
		if ctx.Err() != nil {
			return false, false
		}
		if tries++; tries > enoughTries && a.reached() > 0 && a.reached() < len(a.sites) {
			a.log.Error("working without an instance that cannot be reached; who is to have an agent there waits", "error", err)
			return false, true
		}
		if after, ok := reconcile.AsAfter(err); ok {
			wait = max(wait, min(after, time.Minute))
		}
		a.log.Error("not ready to work yet; requests are stored meanwhile", "error", err, "again_in", wait)
		if !pause(ctx, wait, nil) {
			return false, false
		}
	}
}

// enoughTries is how often the instances are asked, over half a minute, before
// those that answer are worked on alone.
const enoughTries = 5

func (a *App) first(ctx context.Context) (swept bool, err error) {
	if err := a.reach(ctx); err != nil {
		return false, err
	}
	if a.sweep(ctx) == nil {
		return true, nil
	}
	return false, a.engine.Reindex(ctx)
}

// reach checks the instances that were not read yet.
func (a *App) reach(ctx context.Context) error {
	if a.reached() == len(a.sites) {
		return nil
	}
	checking, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return a.check(checking)
}

// sweep looks at everybody, and logs how that ended.
func (a *App) sweep(ctx context.Context) error {
	a.watch.sweepBegins(a.now())
	swept, err := a.engine.Sweep(ctx)
	a.watch.sweepEnds(err)
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("the sweep failed and will be repeated", "error", err)
		}
		return err
	}
	at := []any{"people", swept.People, "agents", swept.Agents, "enqueued", swept.Changes, "took", swept.Took.Round(time.Millisecond)}
	if swept.First != "" {
		a.log.Warn("swept; whatever it wants to take from people must be approved", append(at, "because", swept.First)...)
	} else {
		a.log.Info("swept", at...)
	}
	if ctx.Err() == nil {
		a.remind(ctx)
	}
	return nil
}

// remind tells of what still waits for somebody to decide.
func (a *App) remind(ctx context.Context) {
	holds, err := a.guard.Holds(ctx, reconcile.HoldQuery{Waiting: true, Limit: manyHolds})
	if err != nil {
		a.log.Error("cannot read what is held", "error", err)
		return
	}
	a.notifier.remind(holds)
}

// anchorEvery is how often the ends of the journal's chains are tied together.
const anchorEvery = 24 * time.Hour

// anchors ties the journal together, at once and every day.
func (a *App) anchors(ctx context.Context) {
	for {
		if err := a.backend.Anchor(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("cannot tie the journal's chains together", "error", err)
		}
		if !pause(ctx, anchorEvery, nil) {
			return
		}
	}
}

// sweepRetry is how soon a sweep that failed is repeated, the first time; then it
// takes twice as long each time, up to sweepRetryMost.
const (
	sweepRetry     = 5 * time.Minute
	sweepRetryMost = time.Hour
)

// sweeps looks at everybody once a day, when it is asked to, and again soon after
// a failure.
func (a *App) sweeps(ctx context.Context, swept bool) {
	retry := sweepRetry
	for {
		wait := retry
		if swept {
			wait, retry = a.untilSweep(a.now()), sweepRetry
		} else {
			retry = min(2*retry, sweepRetryMost)
		}
		if !pause(ctx, wait, a.asked) {
			return
		}
		swept = a.sweep(ctx) == nil
	}
}

// untilSweep is the time to the next daily sweep. The jitter keeps many
// deployments from calling at the same moment.
func (a *App) untilSweep(now time.Time) time.Duration {
	jitter := time.Duration(rand.Float64() * float64(a.cfg.Sweep.Jitter))
	return a.cfg.Sweep.At.Next(now).Sub(now) + jitter
}

// catchUpRest is the least time between two catch-ups, however often somebody
// asks for one.
const catchUpRest = 2 * time.Second

// catchUps reads the System Log, at once, then in intervals and when poked.
func (a *App) catchUps(ctx context.Context) {
	failed := false
	for {
		caught, err := a.engine.CatchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		a.watch.caughtUp(a.now(), caught, err)
		a.reportCatchUp(caught, err, failed)
		failed = err != nil
		wait := a.cfg.Okta.CatchUp
		if after, ok := reconcile.AsAfter(err); ok {
			wait = max(wait, min(after, time.Hour))
		}
		if !pause(ctx, catchUpRest, nil) || !pause(ctx, wait-catchUpRest, a.poked) {
			return
		}
	}
}

// reportCatchUp logs what somebody should know. An error that goes on is said
// once.
func (a *App) reportCatchUp(caught reconcile.CaughtUp, err error, failed bool) {
	switch {
	case err != nil && !failed:
		a.log.Error("cannot read Okta's System Log; lost events are not found until it can be read again", "error", err)
	case err == nil && failed:
		a.log.Info("Okta's System Log can be read again")
	}
	if caught.Failed > 0 {
		a.log.Error("Okta could not deliver events to our hook; they were found in its System Log", "deliveries", caught.Failed)
	}
	if caught.Gap {
		a.log.Error("the place in Okta's System Log was lost; everybody was looked at instead")
	}
	if err == nil && caught.Requests > 0 {
		a.log.Info("caught up", "events", caught.Requests, "pages", caught.Pages, "took", caught.Took.Round(time.Millisecond))
	}
}

// nudge asks for something to be done now; asking twice is asking once.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for d, or less if somebody asks. It reports false when ctx is done.
func pause(ctx context.Context, d time.Duration, asked <-chan struct{}) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-asked:
	case <-timer.C:
	}
	return true
}

// worker looks at one person after the other and rests while nobody is due.
func (a *App) worker(ctx, looking context.Context) {
	for ctx.Err() == nil {
		rung := a.bell.wait()
		err := a.engine.Work(looking)
		switch {
		case err == nil:
			continue
		case errors.Is(err, reconcile.ErrNotFound):
			pause(ctx, a.nap(ctx), rung)
		case ctx.Err() == nil:
			a.log.Error("a worker could not use the queue", "error", err)
			pause(ctx, time.Second, nil)
		}
	}
}

// longestNap bounds how long a worker trusts the queue's word that nobody is due.
const longestNap = 5 * time.Second

// nap is how long nobody will become due by the passing of time alone.
func (a *App) nap(ctx context.Context) time.Duration {
	due, err := a.backend.NextDue(ctx)
	if err != nil {
		return longestNap
	}
	return max(10*time.Millisecond, min(longestNap, due.Sub(a.now())))
}

// relay passes the backend's signal on to all workers.
func (a *App) relay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.backend.Wake():
			a.bell.ring()
		}
	}
}

// bell wakes everybody who waits. Its zero value is ready.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait gives a channel that the next ring closes.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
