package reconcile_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	simokta "connectroster/internal/sim/okta"
)

// TestCursorSkipsNothing is promise P-08: no event of the System Log is skipped,
// whatever happens to the process between a page, its requests and the cursor, to
// the log and to the cursor; and where events can be missing everybody is looked
// at. There is no hook at all. Each catch-up checks that every event that was in
// the log has led to a request, or that a sweep made up for it. A normal run plays
// a tenth of the 300 runs.
func TestCursorSkipsNothing(t *testing.T) {
	t.Parallel()
	runs := 30
	if thorough() {
		runs = 300
	}
	b := newBench(t)
	var crashes, gaps, late, spoilt, events int
	for seed := range runs {
		w := b.open(t, true)
		random := rand.New(rand.NewPCG(uint64(seed), 8))
		must(t, w.catchUp())
		for range 40 {
			if w.gate.gone {
				crashes++
				must(t, w.restart())
			}
			w.truth.Advance(time.Millisecond)
			a, c := random.IntN(8), random.IntN(8)
			switch n := random.IntN(20); {
			case n < 10: // something happens in the org
				verb := pick([]string{"hire", "hire", "join", "join", "leave", "suspend", "unsuspend", "name", "login", "batch"}, random.IntN(10))
				must(t, w.verbs[verb].do(w, a, c))
			case n < 12: // the process ends at one of the next writes, before or after it
				w.gate.crash, w.gate.late = 1+random.IntN(4), random.IntN(2) == 1
			case n < 13:
				late++
				must(t, lateLog(w, a, c))
			case n < 15: // an answer of the log is spoilt: no link, the same link, half a list, an error
				spoilt++
				f := pick(oktaFaults, random.IntN(len(oktaFaults)))
				f.Endpoint, f.Times = "GET /api/v1/logs", 1+random.IntN(4)
				must(t, w.org.AddFaults(f))
			case n < 16: // cursors end after a day, in one of two ways
				must(t, w.org.Configure(func(s *simokta.Settings) {
					s.LogCursorLife, s.LogCursorStatus = 24*time.Hour, pick([]int{400, 410}, a)
				}))
				w.truth.Advance(25 * time.Hour)
			case n < 17: // away for longer than the log is kept
				if a == 0 {
					w.truth.Advance(91 * 24 * time.Hour)
				}
			default:
				w.truth.Advance(pick([]time.Duration{0, time.Second, time.Minute, time.Hour}, a))
			}
			if random.IntN(2) == 0 && !w.gate.gone {
				refused := w.refused
				_ = w.catchUp() // what is spoilt or crashes is an error; what is skipped is noted
				if w.refused != refused {
					gaps++
				}
			}
			must(t, w.check())
		}
		events += len(w.org.Events())
		must(t, w.converge()) // which catches up twice, and compares the roster with the org
		must(t, w.check())
	}
	t.Logf("%d runs, %d events: %d crashes, %d gaps, %d times late events, %d times spoilt answers; 0 events skipped", runs, events, crashes, gaps, late, spoilt)
	if slices.Min([]int{crashes, gaps, late, spoilt}) < runs/10 {
		t.Error("too little happened")
	}
}
