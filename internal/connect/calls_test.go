package connect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is told before of the calls of a change is what they are. A deletion meets
// quick connects, of which nothing is known before, and the status of those who
// are not at work is looked up once.
func TestCallsAreAsTold(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, nil, nil)
			change := s.start(t, f)
			if _, err := f.offline.get(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := f.sim.Stats().Operations
			if _, err := f.Apply(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			made := map[string]int{}
			for operation, stats := range f.sim.Stats().Operations {
				n := stats.Calls
				if old := before[operation]; old != nil {
					n -= old.Calls
				}
				if n > 0 && operation != "DeleteQuickConnect" {
					made[operation] = n
				}
			}
			if diff := cmp.Diff(made, Calls(change)); diff != "" {
				t.Errorf("the calls (-made +told):\n%s", diff)
			}
		})
	}
}
