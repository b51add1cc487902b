package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// countedDirectory counts how often everybody is read.
type countedDirectory struct {
	reconcile.Directory
	n int
}

func (d *countedDirectory) People(ctx context.Context) iter.Seq2[plan.Person, error] {
	d.n++
	return d.Directory.People(ctx)
}

// TestOwedSweepBacksOff: while everybody cannot be read, such as after a mapped
// group was renamed, the sweep that is owed is tried ever more seldom. People
// whom the log names are looked for all the same.
func TestOwedSweepBacksOff(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	lists := &countedDirectory{Directory: r.config.Directory}
	r.config.Directory = lists
	r.restart()
	r.people.fail = errors.New(`group "Night Shift" is now named "Graveyard Shift"`)
	feed.pages = append(feed.pages, reconcile.Page{Fan: []string{groupID}})

	tries := func(during time.Duration) (n int) {
		t.Helper()
		for end := r.clock.Now().Add(during); r.clock.Now().Before(end); r.clock.Advance(time.Minute) {
			before := lists.n
			if _, err := r.engine.CatchUp(t.Context()); err == nil || !strings.Contains(err.Error(), "Graveyard Shift") {
				t.Fatalf("the error of the catch-up is %v", err)
			}
			n += lists.n - before
			r.restart() // none of this is lost with the process
		}
		return n
	}
	// At 0, 1, 3, 7, 15, 31, 63 minutes, and then each hour.
	if n := tries(2 * time.Hour); n != 7 {
		t.Errorf("%d tries in the first two hours, want 7", n)
	}
	if n := tries(24 * time.Hour); n != 24 {
		t.Errorf("%d tries in the next day, want 24", n)
	}
	_, err := r.engine.CatchUp(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a sweep is owed and will be tried again at 20") {
		t.Errorf("the error says %v", err)
	}

	// Somebody whom the log names does not wait for that.
	feed.add("00u1")
	if out, _ := r.engine.CatchUp(t.Context()); out.Requests != 1 {
		t.Errorf("caught up %+v", out)
	}

	// News of a group is a reason to try at once, and again as soon as at first.
	feed.pages = append(feed.pages, reconcile.Page{Fan: []string{groupID}})
	if n := tries(10 * time.Minute); n != 4 {
		t.Errorf("%d tries in ten minutes after more news, want 4", n)
	}

	// A clock that goes back by years makes nobody wait for years.
	r.clock.Advance(-10 * 365 * 24 * time.Hour)
	last := lists.n
	_, _ = r.engine.CatchUp(t.Context())
	if lists.n != last+1 {
		t.Error("not tried after the clock went back")
	}

	// The name comes back: one sweep, and nothing is owed any more.
	r.people.fail = nil
	for n := range 3 {
		r.hire(fmt.Sprintf("00u%d", n))
	}
	r.clock.Advance(time.Hour)
	r.catchUp()
	last = lists.n
	r.clock.Advance(time.Hour)
	r.catchUp()
	if lists.n != last {
		t.Error("the sweep was made twice")
	}
	r.settle(time.Minute)
	if accepted, _ := r.creates(); accepted != 3 {
		t.Errorf("%d agents", accepted)
	}
}

// TestSweepsApart: where another process sweeps, the catch-up makes no sweep and is
// no failure for that. It is owed until one that began later has succeeded, whatever
// happens in between.
func TestSweepsApart(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	lists := &countedDirectory{Directory: r.config.Directory}
	r.config.Directory, r.config.SweepsApart = lists, true
	r.restart()
	owed := func(want bool) {
		t.Helper()
		r.restart() // none of this is lost with the process
		if got, err := r.engine.Owed(t.Context()); err != nil || got != want {
			t.Fatalf("a sweep is owed: %t (%v), want %t", got, err, want)
		}
	}
	r.hire("00u1")
	feed.add("00u1")
	r.catchUp()
	owed(false)

	feed.pages = append(feed.pages, reconcile.Page{Fan: []string{groupID}})
	r.catchUp()
	if lists.n != 0 {
		t.Error("the catch-up has swept")
	}
	owed(true)
	r.clock.Advance(time.Minute)
	feed.add("00u1")
	r.catchUp()
	owed(true)

	r.people.fail = errors.New("away")
	if _, err := r.engine.Sweep(t.Context()); err == nil {
		t.Fatal("the sweep succeeded")
	}
	owed(true)
	r.people.fail = nil
	if _, err := r.engine.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	owed(false)
	r.clock.Advance(time.Minute)
	r.catchUp()
	owed(false)

	feed.gap = true
	if !r.catchUp().Gap {
		t.Fatal("there was no gap")
	}
	owed(true)
}
