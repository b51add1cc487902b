package connect

import (
	"context"
	"sync/atomic"
	"time"

	"connectroster/internal/reconcile"
)

// cached is a value that is read when it is wanted and then kept. One caller
// reads at a time while the others wait for it. Each does so under its own
// context, so that one who gives up fails nobody else, which sharing a single
// call cannot promise.
type cached[T any] struct {
	read func(context.Context) (T, error)
	ttl  time.Duration // 0: for ever
	now  func() time.Time

	turn  chan struct{} // who holds it may touch value, at and known
	value T
	at    time.Time
	known bool
	stale atomic.Bool
}

func newCached[T any](ttl time.Duration, now func() time.Time, read func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{read: read, ttl: ttl, now: now, turn: make(chan struct{}, 1)}
}

// get gives the value. An error is not kept. Being interrupted while waiting for
// another reader is After: nothing was sent.
func (c *cached[T]) get(ctx context.Context) (T, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, reconcile.After(0, context.Cause(ctx))
	}
	defer func() { <-c.turn }()

	stale := c.stale.Swap(false)
	if age := c.now().Sub(c.at); c.known && !stale && (c.ttl == 0 || age >= 0 && age < c.ttl) {
		return c.value, nil
	}
	value, err := c.read(ctx)
	if err != nil {
		if stale {
			c.stale.Store(true)
		}
		return value, err
	}
	c.value, c.at, c.known = value, c.now(), true
	return value, nil
}

// drop makes the next get read again.
func (c *cached[T]) drop() { c.stale.Store(true) }
