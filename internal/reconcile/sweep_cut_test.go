package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// cutQueue ends the time of whoever asks it for people after so many pieces.
type cutQueue struct {
	reconcile.Queue
	pieces int
	end    func() error // gives the error of all further pieces
}

func (q *cutQueue) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	if q.pieces == 0 {
		return q.end()
	}
	q.pieces--
	return q.Queue.Enqueue(ctx, requests...)
}

// cutShort lets a sweep ask for so many hundreds of people before its time is over.
func (r *rig) cutShort(hundreds int) error {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	r.config.Queue = &cutQueue{r.store, hundreds, func() error { cancel(); return ctx.Err() }}
	r.restart()
	_, err := r.engine.Sweep(ctx)
	r.config.Queue = r.store
	r.restart()
	return err
}

// TestSweepGoesOn cuts a sweep of 350 people short three times, while some of them are
// looked at in between. It goes on, and asks nobody twice.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for n := range 350 {
		r.hire(fmt.Sprintf("00u%03d", n))
	}
	began := r.clock.Now()
	var part *reconcile.UnfinishedError
	if err := r.cutShort(0); err == nil || errors.As(err, &part) {
		t.Errorf("a sweep that has asked for nobody ended with %v, want a failure", err)
	}
	for _, run := range []struct{ hundreds, asked, left int }{{1, 100, 250}, {2, 200, 140}} {
		if err := r.cutShort(run.hundreds); !errors.As(err, &part) || part.Asked != run.asked || part.Left != run.left {
			t.Errorf("a sweep that was cut short after %d hundreds ended with %v", run.hundreds, err)
		}
		if _, err := r.engine.Swept(t.Context()); !errors.Is(err, reconcile.ErrNotFound) {
			t.Errorf("a sweep that was cut short counts as one (error %v)", err)
		}
		for range 10 {
			r.work()
		}
		r.clock.Advance(15 * time.Minute)
	}
	out, err := r.engine.Sweep(t.Context())
	if err != nil || !out.Started.Equal(began) || out.First != "the first sweep" {
		t.Errorf("the sweep that went on is %+v (error %v), want one that began with the first", out, err)
	}
	rows, err := r.store.People(t.Context(), reconcile.WaitingQuery{Limit: 400})
	if err != nil || len(rows) != 350 {
		t.Fatalf("%d people were asked for (error %v)", len(rows), err)
	}
	for _, row := range rows {
		if row.Generation != 1 {
			t.Errorf("%s was asked for %d times", row.Person, row.Generation)
		}
	}
	r.settle(time.Minute)
	if accepted, _ := r.creates(); accepted != 350 {
		t.Errorf("%d agents for 350 people", accepted)
	}
}

// TestSweepBeginsAnew: people who were asked for by a sweep that was cut short, and
// whose looks have come to nothing, are asked for again once that is another sweep.
func TestSweepBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between func(*rig, *log)
		again   bool
	}{
		"nothing happens":            {func(*rig, *log) {}, false},
		"it is nearly two hours old": {func(r *rig, _ *log) { r.clock.Advance(2*time.Hour - 2*time.Second) }, false},
		"it is two hours old":        {func(r *rig, _ *log) { r.clock.Advance(2 * time.Hour) }, true},
		"the clock goes back":        {func(r *rig, _ *log) { r.clock.Advance(-time.Hour) }, true},
		"the configuration changes":  {func(r *rig, _ *log) { r.config.Scope = "another"; r.restart() }, true},
		"the mapped groups change":   {func(r *rig, _ *log) { r.people.scope = "another" }, true},
		"it is finished":             {func(r *rig, _ *log) { r.sweep(); r.drain(); r.clock.Advance(time.Second) }, true},
		"something happens to a group": {func(r *rig, f *log) {
			f.pages = append(f.pages, reconcile.Page{Fan: []string{groupID}})
			r.catchUp()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, f := newLogRig(t)
			for n := range 150 {
				r.hire(fmt.Sprintf("00u%03d", n))
			}
			var part *reconcile.UnfinishedError
			if err := r.cutShort(1); !errors.As(err, &part) {
				t.Fatalf("the sweep ended with %v", err)
			}
			r.drain()
			r.clock.Advance(time.Second)
			c.between(r, f)
			if name != "something happens to a group" { // which the catch-up has answered by a sweep
				r.sweep()
			}
			want := int64(1)
			if c.again {
				want = 2
			}
			if got := r.state("00u000").Generation; got != want {
				t.Errorf("a person of the first hundred was asked for %d times, want %d", got, want)
			}
			if name != "it is finished" && r.state("00u149").Generation != 1 {
				t.Errorf("a person of the rest was asked for %d times", r.state("00u149").Generation)
			}
		})
	}
}
