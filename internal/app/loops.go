package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectroster/internal/reconcile"
)

// work reads both sides once and then runs the workers until ctx is done. The
// index is complete before the first worker starts, so that CreateUser goes only
// to people who have no agent.
func (a *App) work(ctx context.Context) {
	if !a.prepare(ctx) {
		return
	}
	var workers sync.WaitGroup
	for range a.cfg.Workers {
		workers.Go(func() { a.worker(ctx) })
	}
	workers.Wait()
}

// prepare repeats the check of the instance and the first sweep until both have
// worked once. It reports false when ctx is done first.
func (a *App) prepare(ctx context.Context) bool {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := a.first(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if after, ok := reconcile.AsAfter(err); ok {
			wait = max(wait, min(after, time.Minute))
		}
		a.log.Error("not ready to work yet; requests are stored meanwhile", "error", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

func (a *App) first(ctx context.Context) error {
	if a.info.Load() == nil {
		if err := a.check(ctx); err != nil {
			return err
		}
	}
	return a.sweep(ctx)
}

// sweep looks at everybody and keeps the result for the status.
func (a *App) sweep(ctx context.Context) error {
	swept, err := a.engine.Sweep(ctx)
	if err != nil {
		return err
	}
	a.swept.Store(&swept)
	a.log.Info("swept", "people", swept.People, "agents", swept.Agents, "enqueued", swept.Changes, "took", swept.Took.Round(time.Millisecond))
	return nil
}

// worker looks at one person after the other and rests while nobody is due.
func (a *App) worker(ctx context.Context) {
	for ctx.Err() == nil {
		rung := a.bell.wait()
		err := a.engine.Work(ctx)
		switch {
		case err == nil:
			continue
		case errors.Is(err, reconcile.ErrNotFound):
			a.rest(ctx, rung, a.nap(ctx))
		case ctx.Err() == nil:
			a.log.Error("a worker could not use the queue", "error", err)
			a.rest(ctx, nil, time.Second)
		}
	}
}

// rest waits for the bell, for d or for the end.
func (a *App) rest(ctx context.Context, rung <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-rung:
	case <-timer.C:
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
