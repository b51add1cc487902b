package app_test

import (
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
)

// TestLostHooksInTime: with every hook lost, 50 people who join between two
// catch-ups have their agents 30 s after the next one, at the rate that Amazon
// Connect allows by default: 2 calls a second after the first 5, which makes
// 22.5 s the least that is possible.
func TestLostHooksInTime(t *testing.T) {
	t.Parallel()
	const people = 50
	w := newWorld(t, setup{rates: "rate: 2, burst: 5"})
	must(t, w.instance.ChangeSettings(func(s *simconnect.Settings) { s.Limit = simconnect.Limit{Rate: 2, Burst: 5} }))
	w.start()
	w.ready()
	w.drops(1)
	w.blind() // that no sweep helps
	w.next()
	began := time.Now()
	for n := range people {
		must(t, w.org.JoinByRule(w.hire(n).ID, agentGroup))
	}
	w.converges(caught)
	took := time.Since(began)
	stats := w.instance.Stats().Operations["CreateUser"]
	t.Logf("%d agents %s after the first of them joined; %d calls of CreateUser, %d throttled", people, took.Round(10*time.Millisecond), stats.Calls, stats.Throttled)
	if took < 22*time.Second {
		t.Error("the rate of Amazon Connect was not kept")
	}
	if n := w.org.Stats().Deliveries.Dropped; n == 0 {
		t.Error("no hook was lost")
	}
}
