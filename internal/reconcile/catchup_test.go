package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// log is a feed in memory: each page is one event, and the cursor is the number
// of the next one.
type log struct {
	pages  []reconcile.Page
	fail   map[int]error // by page, once
	served []int
	sinces []time.Time
	gap    bool
}

func (l *log) Events(_ context.Context, cursor string, since time.Time) (reconcile.Page, error) {
	l.sinces = append(l.sinces, since)
	if l.gap && cursor != "" {
		l.gap = false
		return reconcile.Page{}, reconcile.ErrGap
	}
	n := 0
	if cursor != "" {
		n, _ = strconv.Atoi(cursor)
	}
	if err := l.fail[n]; err != nil {
		delete(l.fail, n)
		return reconcile.Page{}, err
	}
	l.served = append(l.served, n)
	if n >= len(l.pages) {
		return reconcile.Page{Next: strconv.Itoa(n)}, nil
	}
	page := l.pages[n]
	page.Next, page.More = strconv.Itoa(n+1), true
	return page, nil
}

func (l *log) add(ids ...string) {
	var page reconcile.Page
	for _, id := range ids {
		page.Requests = append(page.Requests, reconcile.Request{Person: id, Priority: reconcile.Joiner, Trigger: reconcile.TriggerLog, Event: "log-" + id})
	}
	l.pages = append(l.pages, page)
}

func newLogRig(t *testing.T) (*rig, *log) {
	r := newRig(t, nil)
	feed := &log{fail: map[int]error{}}
	r.config.Feed = feed
	r.restart()
	return r, feed
}

func (r *rig) catchUp() reconcile.CaughtUp {
	r.t.Helper()
	out, err := r.engine.CatchUp(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	started := r.clock.Now()
	for i := range 3 {
		r.hire(fmt.Sprintf("00u%d", i))
	}
	feed.add("00u0", "00u1")
	feed.add("00u2")
	out := r.catchUp()
	if out.Pages != 3 || out.Requests != 3 {
		t.Errorf("caught up %+v", out)
	}
	if want := started.Add(-time.Hour); !feed.sinces[0].Equal(want) {
		t.Errorf("the first read starts at %v, want an hour ago, %v", feed.sinces[0], want)
	}
	r.settle(time.Minute)
	if accepted, _ := r.creates(); accepted != 3 {
		t.Errorf("%d agents", accepted)
	}

	// A new process goes on from the kept place and reads no page twice.
	feed.served = nil
	r.restart()
	if out := r.catchUp(); out.Pages != 1 || out.Requests != 0 || len(feed.served) != 1 || feed.served[0] != 2 {
		t.Errorf("the second catch-up: %+v, pages %v", out, feed.served)
	}
	kept, err := r.engine.CaughtUp(t.Context())
	if err != nil || kept.Pages != 1 {
		t.Errorf("the result that was kept: %+v, %v", kept, err)
	}
}

// TestCatchUpInterrupted: an error at any page repeats that page and skips none.
func TestCatchUpInterrupted(t *testing.T) {
	t.Parallel()
	for at := range 5 {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			r, feed := newLogRig(t)
			for i := range 4 {
				r.hire(fmt.Sprintf("00u%d", i))
				feed.add(fmt.Sprintf("00u%d", i))
			}
			feed.fail[at] = errors.New("the log is away")
			if _, err := r.engine.CatchUp(t.Context()); err == nil {
				t.Fatal("the error was not told")
			}
			r.restart()
			r.catchUp()
			r.settle(time.Minute)
			if accepted, _ := r.creates(); accepted != 4 {
				t.Errorf("%d agents", accepted)
			}
		})
	}
}

// TestCatchUpNotStored: a page whose people could not be stored comes again.
func TestCatchUpNotStored(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	queue := r.config.Queue
	r.config.Queue = fullQueue{queue}
	r.restart()
	r.hire("00u0")
	feed.add("00u0")
	if _, err := r.engine.CatchUp(t.Context()); err == nil {
		t.Fatal("the error was not told")
	}
	r.config.Queue = queue
	r.restart()
	if out := r.catchUp(); out.Requests != 1 {
		t.Errorf("the second catch-up: %+v", out)
	}
}

type fullQueue struct{ reconcile.Queue }

func (fullQueue) Enqueue(context.Context, ...reconcile.Request) error {
	return errors.New("the disk is full")
}

// TestCatchUpGap: when the place is lost, everybody is looked at.
func TestCatchUpGap(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	r.catchUp()
	r.hire("00u0") // of whom no event tells
	feed.gap = true
	r.clock.Advance(100 * 24 * time.Hour)
	if out := r.catchUp(); !out.Gap {
		t.Errorf("caught up %+v", out)
	}
	r.settle(time.Minute)
	if accepted, _ := r.creates(); accepted != 1 {
		t.Errorf("%d agents", accepted)
	}
	if out := r.catchUp(); out.Gap {
		t.Errorf("the gap was not closed: %+v", out)
	}
}

// TestCatchUpGroup: an event about a group is answered by a sweep. While that
// fails it is owed, across restarts too; the events are not read again, and
// later ones are.
func TestCatchUpGroup(t *testing.T) {
	t.Parallel()
	r, feed := newLogRig(t)
	r.hire("00u0")
	feed.pages = append(feed.pages, reconcile.Page{Fan: []string{groupID}, Failed: 2})
	r.people.fail = errors.New("the directory is away")
	if _, err := r.engine.CatchUp(t.Context()); err == nil {
		t.Fatal("the error of the sweep was not told")
	}
	r.restart()
	r.hire("00u1")
	feed.add("00u1")
	for _, requests := range []int{1, 0} {
		out, err := r.engine.CatchUp(r.t.Context())
		if err == nil || out.Groups != 0 || out.Failed != 0 || out.Requests != requests {
			t.Errorf("caught up %+v, error %v; want %d requests and the error of the sweep", out, err, requests)
		}
	}

	r.people.fail = nil
	r.restart()
	r.clock.Advance(time.Minute)
	r.catchUp()
	r.settle(time.Minute)
	if accepted, _ := r.creates(); accepted != 2 {
		t.Errorf("%d agents", accepted)
	}
	swept, err := r.engine.Swept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(time.Minute)
	r.catchUp()
	if again, err := r.engine.Swept(t.Context()); err != nil || !again.Started.Equal(swept.Started) {
		t.Errorf("a sweep was paid twice: %v", err)
	}
}
