package app_test

import (
	"testing"
	"time"

	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
)

// TestStrangersWait: those who leave go before those who join, and so do not
// those who leave what they never had. Most people of an org have no agent, and
// its events tell of all of them. After a restart, too, and by the System Log.
func TestStrangersWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	agents := []string{w.hire(1, agentGroup).ID, w.hire(2, agentGroup).ID, w.hire(3, agentGroup).ID}
	strangers := []string{w.hire(11).ID, w.hire(12).ID, w.hire(13).ID}
	w.start()
	w.ready()
	w.converges(30 * time.Second)

	leave := func(n int, trigger reconcile.Trigger) {
		t.Helper()
		before := map[string]int64{}
		for _, id := range []string{agents[n], strangers[n]} {
			before[id] = w.person(id).Queue.Generation
			must(t, w.org.Suspend(id))
		}
		for id, want := range map[string]reconcile.Priority{agents[n]: reconcile.Leaver, strangers[n]: reconcile.Routine} {
			w.await("a look at who left", 30*time.Second, func() bool {
				q := w.person(id).Queue
				return q.Generation > before[id] && q.Trigger == trigger && q.State == reconcile.StateIdle
			})
			if q := w.person(id).Queue; q.Priority != want {
				t.Errorf("%d, by %s: person %s has priority %d, want %d: %+v", n, trigger, id, q.Priority, want, q)
			}
		}
	}
	w.next() // the log is read to its end, so that it tells of nothing old
	w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1})
	leave(0, reconcile.TriggerHook)
	w.org.ClearFaults()
	w.drops(1)
	leave(1, reconcile.TriggerLog)
	w.stop()
	w.start()
	w.ready()
	leave(2, reconcile.TriggerLog)
}
