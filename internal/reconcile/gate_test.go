package reconcile_test

import (
	"context"
	"errors"
	"runtime"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

// gate is what the process sees of the store. It ends the process at a certain
// write, before or after that is carried out.
type gate struct {
	*storetest.Memory
	world *world
	crash int  // at this write from now on; zero: not at all
	late  bool // after it
	gone  bool // the process has ended
}

func (g *gate) write(do func() error) error {
	if g.gone {
		runtime.Goexit()
	}
	if g.crash > 0 {
		g.crash--
		if g.crash == 0 {
			if g.late {
				_ = do()
			}
			g.gone = true
			runtime.Goexit()
		}
	}
	return do()
}

func (g *gate) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	w := g.world
	return g.write(func() error {
		if w.full > 0 {
			w.full--
			return errors.New("the disk is full")
		}
		if err := w.store.Enqueue(ctx, requests...); err != nil {
			return err
		}
		for _, r := range requests {
			w.asked[r.Person], w.reached[r.Event] = true, true
		}
		for _, e := range w.arriving {
			w.heard.hear(e, w.mapped())
		}
		return nil
	})
}

func (g *gate) Claim(ctx context.Context, lease time.Duration) (work reconcile.Work, err error) {
	err = g.write(func() (err error) { work, err = g.Memory.Claim(ctx, lease); return err })
	return work, err
}

func (g *gate) Settle(ctx context.Context, work reconcile.Work, v reconcile.Verdict) error {
	return g.write(func() error { return g.Memory.Settle(ctx, work, v) })
}

func (g *gate) Remember(ctx context.Context, known ...reconcile.Known) error {
	return g.write(func() error { return g.Memory.Remember(ctx, known...) })
}

func (g *gate) Forget(ctx context.Context, instance, agent string) error {
	return g.write(func() error { return g.Memory.Forget(ctx, instance, agent) })
}

func (g *gate) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	return g.write(func() error { return g.Memory.Rebuild(ctx, instance, before, known) })
}

func (g *gate) SaveTombstone(ctx context.Context, t reconcile.Tombstone) error {
	return g.write(func() error { return g.Memory.SaveTombstone(ctx, t) })
}

func (g *gate) DropTombstone(ctx context.Context, agent string) error {
	return g.write(func() error { return g.Memory.DropTombstone(ctx, agent) })
}

func (g *gate) Reserve(ctx context.Context, r reconcile.Removal, l reconcile.Limits) (answer reconcile.Reservation, err error) {
	err = g.write(func() (err error) { answer, err = g.Memory.Reserve(ctx, r, l); return err })
	if err == nil {
		g.world.reserved(r, answer)
	}
	return answer, err
}

func (g *gate) Withdraw(ctx context.Context, person, instance string) error {
	return g.write(func() error { return g.Memory.Withdraw(ctx, person, instance) })
}

func (g *gate) SaveIntent(ctx context.Context, intent reconcile.Intent) error {
	return g.write(func() error { return g.Memory.SaveIntent(ctx, intent) })
}

func (g *gate) DropIntent(ctx context.Context, person, instance string) error {
	return g.write(func() error { return g.Memory.DropIntent(ctx, person, instance) })
}

func (g *gate) SaveNote(ctx context.Context, name, text string) error {
	return g.write(func() error {
		if w := g.world; name == noteOfSweep && w.gap {
			w.gap, w.madeUp = false, true
		}
		return g.Memory.SaveNote(ctx, name, text)
	})
}

func (g *gate) Record(ctx context.Context, entry reconcile.Entry) error {
	return g.write(func() error { return g.Memory.Record(ctx, entry) })
}

// eyewitness lets the rest of the world go on right after a person was read.
type eyewitness struct {
	reconcile.Directory
	world *world
}

func (d eyewitness) Person(ctx context.Context, id string) (plan.Person, error) {
	w := d.world
	w.recent = nil
	p, err := d.Directory.Person(ctx, id)
	for _, s := range w.meanwhile {
		w.recent = append(w.recent, w.people())
		if err := w.verbs[s.Do].do(w, s.A, s.B); err != nil {
			return p, err
		}
	}
	w.meanwhile = nil
	return p, err
}

// eavesdropper hears of gaps in the feed.
type eavesdropper struct {
	reconcile.Feed
	world *world
}

func (f eavesdropper) Events(ctx context.Context, cursor string, since time.Time) (reconcile.Page, error) {
	page, err := f.Feed.Events(ctx, cursor, since)
	w := f.world
	switch {
	case errors.Is(err, reconcile.ErrGap):
		w.gap, w.refused = true, cursor
	case err == nil && cursor == w.refused: // it is good again, so that nothing is missing
		w.gap = false
	}
	return page, err
}
