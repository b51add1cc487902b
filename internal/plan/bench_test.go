package plan_test

import (
	"fmt"
	"testing"

	"connectroster/internal/plan"
)

// BenchmarkNew plans a call centre in which half of the people have their agent
// and, of the others, every tenth is refused.
func BenchmarkNew(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			s, w := centre(n)
			if got := len(plan.New(s, w).Changes); got != n/2-n/20 {
				b.Fatalf("%d changes, want %d", got, n/2-n/20)
			}
			b.ReportAllocs()
			for b.Loop() {
				plan.New(s, w)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
		})
	}
}

// centre gives n people with agents for every second one, in no order.
func centre(n int) (plan.Settings, plan.World) {
	s, w := one(plan.Person{})
	groups := w.People[0].Groups
	w.People = nil
	for i := range n {
		k := i * 7919 % n // a permutation: no n here is a multiple of 7919
		p := plan.Person{
			ID:        fmt.Sprintf("00u%017d", k),
			Username:  fmt.Sprintf("person.%d@example.com", k),
			FirstName: "Maria del Carmen",
			LastName:  fmt.Sprintf("López %d", k),
			Status:    plan.StatusActive,
			Groups:    groups,
		}
		if k%2 == 0 {
			w.Agents = append(w.Agents, plan.Agent{
				ID: fmt.Sprintf("agent-%d", k), Username: p.Username, Owner: p.ID, Deployment: s.Deployment, State: plan.StateActive,
			})
		} else if k%20 == 1 {
			p.Status = plan.StatusSuspended
		}
		w.People = append(w.People, p)
	}
	return s, w
}
