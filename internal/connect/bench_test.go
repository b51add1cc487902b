package connect

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
)

// BenchmarkCreate is the cost of one creation against an instance that never
// throttles.
func BenchmarkCreate(b *testing.B) {
	w := open(b, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
	w.mustCreate(b, "00u", "warm")
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		w.mustCreate(b, fmt.Sprintf("00u%d", n), fmt.Sprintf("agent%d", n))
	}
}

// BenchmarkAgents is the cost of one agent in a list of 10,000.
func BenchmarkAgents(b *testing.B) {
	const size = 10_000
	w := open(b, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
	for n := range size {
		a := simconnect.Agent{Username: fmt.Sprintf("agent%d", n), Tags: map[string]string{tagDeployment: deployment}}
		if _, err := w.sim.AddAgent(a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if agents, err := collect(b, w.Instance); err != nil || len(agents) != size {
			b.Fatalf("%d agents: %v", len(agents), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/agent")
}

// BenchmarkPace makes 200 creations against a quota, with 8 workers, and tells
// how much longer it takes than the quota asks for and what share of the calls is
// throttled.
func BenchmarkPace(b *testing.B) {
	const people, rate, burst = 200, 50.0, 5
	for b.Loop() {
		w := open(b, func(s *simconnect.Settings) {
			s.Limit = simconnect.Limit{Rate: rate, Burst: burst}
			s.Latency, s.Jitter = 2*time.Millisecond, 5*time.Millisecond
		}, func(c *Config) { c.Rate, c.Burst = rate, burst })
		start := time.Now()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for n := next.Add(1); n <= people; n = next.Add(1) {
					for {
						_, err := w.Apply(b.Context(), w.creation(fmt.Sprintf("00u%d", n), fmt.Sprintf("agent%d", n)))
						if class(err) == "after 1s" {
							continue // the next turn comes after the pause
						}
						if err != nil {
							b.Error(err)
						}
						break
					}
				}
			})
		}
		wg.Wait()
		ideal := time.Duration((people - burst) / rate * float64(time.Second))
		stats := w.sim.Stats().Operations["CreateUser"]
		b.ReportMetric(100*(time.Since(start).Seconds()/ideal.Seconds()-1), "%longer")
		b.ReportMetric(100*float64(stats.Throttled)/float64(stats.Calls), "%throttled")
		b.ReportMetric(float64(stats.Calls)/people, "calls/agent")
	}
}
