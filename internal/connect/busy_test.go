package connect

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	simconnect "connectroster/internal/sim/connect"
)

// staff adds agents by hand.
func (w *world) staff(t testing.TB, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for k := range ids {
		a, err := w.sim.AddAgent(simconnect.Agent{Username: fmt.Sprintf("agent%d", k)})
		if err != nil {
			t.Fatal(err)
		}
		ids[k] = a.ID
	}
	return ids
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestBusy(t *testing.T) {
	t.Parallel()
	now := newClock()
	w := open(t, nil, func(c *Config) { c.Now = now.Now })
	names := []string{"offline", "available", "calling", "on hold", "after work", "missed", "rejected", "chatting", "ringing"}
	ids := w.staff(t, len(names))
	contacts := map[string]simconnect.Contact{
		"calling": {}, "on hold": {State: "CONNECTED_ONHOLD"}, "after work": {State: "ENDED"}, "missed": {State: "MISSED"},
		"rejected": {State: "REJECTED"}, "chatting": {Channel: "CHAT"}, "ringing": {State: "INCOMING"},
	}
	contact := ""
	for n, name := range names {
		if c, ok := contacts[name]; ok {
			id, err := w.sim.BeginContact(ids[n], c)
			if err != nil {
				t.Fatal(err)
			}
			if name == "calling" {
				contact = id
			}
		}
	}
	if err := w.sim.SignIn(ids[1]); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"calling": true, "on hold": true, "after work": true, "chatting": true, "ringing": true,
		"offline": false, "available": false, "missed": false, "rejected": false, "gone": false}
	asked := append([]string{"11111111-1111-1111-1111-111111111111"}, ids...)
	check := func(calls int) {
		t.Helper()
		busy, err := w.Busy(t.Context(), asked...)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{"gone": busy[asked[0]]}
		for n, name := range names {
			got[name] = busy[ids[n]]
		}
		if diff := cmp.Diff(want, got); diff != "" || len(busy) != len(asked) {
			t.Errorf("busy (-want +got):\n%s", diff)
		}
		if n := w.sent("GetCurrentUserData"); n != calls {
			t.Errorf("%d calls, want %d", n, calls)
		}
	}
	check(1)
	if err := w.sim.EndContact(contact); err != nil {
		t.Fatal(err)
	}
	now.forward(4 * time.Second)
	check(1) // as old as it may be
	now.forward(time.Second)
	want["calling"] = false
	check(2)
	if busy, err := w.Busy(t.Context()); err != nil || len(busy) != 0 {
		t.Errorf("nobody: %v, %v", busy, err)
	}
}

// Many who wait, each asking for itself every few seconds, cost a call for each
// hundred of them a round, and those who do not ask any more cost nothing.
func TestBusyIsShared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ waiting, calls int }{{1, 1}, {100, 1}, {101, 2}, {250, 3}, {1000, 10}} {
		t.Run(fmt.Sprint(c.waiting), func(t *testing.T) {
			t.Parallel()
			now := newClock()
			w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, func(c *Config) { c.Now = now.Now })
			ids := w.staff(t, c.waiting)
			if _, err := w.sim.BeginContact(ids[0], simconnect.Contact{}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Busy(t.Context(), ids...); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				now.forward(10 * time.Second)
				before := w.sent("GetCurrentUserData")
				for n, id := range ids {
					busy, err := w.Busy(t.Context(), id)
					if err != nil || busy[id] != (n == 0) || len(busy) != 1 {
						t.Fatalf("agent %d: %v, %v", n, busy, err)
					}
				}
				if calls := w.sent("GetCurrentUserData") - before; calls != c.calls {
					t.Errorf("%d calls in a round, want %d", calls, c.calls)
				}
			}
			now.forward(busyLast + time.Second)
			if _, err := w.Busy(t.Context(), ids[0]); err != nil {
				t.Fatal(err)
			}
			if n := len(w.busy.agents); n != 1 {
				t.Errorf("%d agents are remembered", n)
			}
		})
	}
}

// An agent who is not there does not keep the others from being looked up.
func TestBusyWithUnknownAgents(t *testing.T) {
	t.Parallel()
	w := open(t, func(s *simconnect.Settings) { s.UnknownAgents = simconnect.Reject }, nil)
	ids := w.staff(t, 100)
	for _, id := range ids[:2] {
		if _, err := w.sim.BeginContact(id, simconnect.Contact{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids[1:3] {
		if err := w.sim.RemoveAgent(id); err != nil {
			t.Fatal(err)
		}
	}
	busy, err := w.Busy(t.Context(), ids...)
	maps.DeleteFunc(busy, func(_ string, is bool) bool { return !is })
	if diff := cmp.Diff(map[string]bool{ids[0]: true}, busy); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := w.sent("GetCurrentUserData"); n > 16 {
		t.Errorf("%d calls to find two among a hundred", n)
	}
}

// What could not be asked is not "nobody is busy".
func TestBusyFails(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	id := w.staff(t, 1)[0]
	if err := w.sim.Deny("GetCurrentUserData"); err != nil {
		t.Fatal(err)
	}
	if busy, err := w.Busy(t.Context(), id); class(err) != "after 50s" || busy != nil || !strings.Contains(err.Error(), "connect:GetCurrentUserData") {
		t.Errorf("%v, class %s: %v", busy, class(err), err)
	}
	if err := w.sim.Permit(); err != nil {
		t.Fatal(err)
	}
	if busy, err := w.Busy(t.Context(), id); err != nil || busy[id] {
		t.Errorf("an error is kept: %v, %v", busy, err)
	}
	i := stub(t, pages(map[string]string{"": `{}`}))
	if _, err := i.Busy(t.Context(), id); class(err) != "unknown" {
		t.Errorf("class %s: %v", class(err), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.another(t, nil).Busy(ctx, id); err == nil {
		t.Error("interrupted, and yet an answer")
	}
}
