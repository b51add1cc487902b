package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
)

// BenchmarkHookToAgent is the time from a person's joining the group to their
// agent, one person after the other, through both simulators without limits. It
// wants a p50 below 150 ms and a p99 below 500 ms. Run it with -benchtime 500x.
func BenchmarkHookToAgent(b *testing.B) {
	created := make(chan reconcile.Outcome, 1)
	w := newWorld(b, setup{
		catchUp: "1h",
		events:  []string{"group.user_membership.add", "group.user_membership.remove"},
		observe: func(out reconcile.Outcome) {
			if out.Action == plan.Create {
				created <- out
			}
		},
	})
	w.start()
	w.ready()
	users := make([]simokta.User, b.N)
	for n := range users {
		users[n] = w.hire(n)
	}
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for _, u := range users {
		start := time.Now()
		w.join(u)
		select {
		case out := <-created:
			if out.Work.Person != u.ID {
				b.Fatalf("the agent of %s came first", out.Work.Person)
			}
		case <-time.After(30 * time.Second):
			b.Fatalf("no agent\n%s", w.log)
		}
		took = append(took, time.Since(start))
	}
	b.StopTimer()
	percentiles(b, took)
	w.converges(0)
}

// percentiles reports them in milliseconds.
func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for _, p := range []float64{50, 99} {
		at := took[min(len(took)-1, int(p/100*float64(len(took))))]
		b.ReportMetric(float64(at)/float64(time.Millisecond), fmt.Sprintf("p%.0f-ms", p))
	}
}

// BenchmarkFirstSweep5000 is the first look at 5,000 people in one group, none of
// whom has an agent, until all of them are enqueued.
func BenchmarkFirstSweep5000(b *testing.B) {
	const people = 5000
	var took time.Duration
	var calls int
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, setup{noHook: true, catchUp: "1h"})
		for n := range people {
			w.hire(n, agentGroup)
		}
		b.StartTimer()
		w.start()
		w.await("the first sweep", 2*time.Minute, func() bool { return w.status().Sweep.Last != nil })
		b.StopTimer()
		swept := w.status().Sweep.Last
		if swept.Changes != people {
			b.Fatalf("the sweep wanted %d changes", swept.Changes)
		}
		took += swept.Took
		calls += w.listCalls()
		w.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(took)/float64(b.N)/float64(time.Millisecond), "sweep-ms")
	b.ReportMetric(float64(calls)/float64(b.N), "list-calls")
}
