package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
)

// TestDifferingEntries: of two entries of one person or agent that differ in a
// single thing, the same one stands whichever comes first.
func TestDifferingEntries(t *testing.T) {
	t.Parallel()
	group := func(ids ...string) []plan.Group {
		var groups []plan.Group
		for _, id := range ids {
			groups = append(groups, plan.Group{ID: id})
		}
		return groups
	}
	s, base := one(plan.Person{Username: "ann@example.com", FirstName: "Ann", LastName: "Lee"})
	s.Policy = plan.Sync
	s.Rules[0].When.Groups = []plan.GroupRef{{Text: "00g1"}}
	set := plan.Values{Tags: map[string]plan.Template{"team": plan.Literal("x")}}
	s.Rules = append(s.Rules, plan.Rule{Name: "rule 2", When: plan.Condition{Profile: []plan.Attribute{{Name: "team", In: []string{"x"}}}}, Set: &set})
	for name, change := range map[string]func(*plan.Person){
		"status":     func(p *plan.Person) { p.Status = plan.StatusSuspended },
		"username":   func(p *plan.Person) { p.Username = "ann.lee@example.com" },
		"first name": func(p *plan.Person) { p.FirstName = "Anna" },
		"last name":  func(p *plan.Person) { p.LastName = "Leeson" },
		"group":      func(p *plan.Person) { p.Groups = group("00g2") },
		"no group":   func(p *plan.Person) { p.Groups = nil },
		"profile":    func(p *plan.Person) { p.Profile = map[string]any{"team": "x"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deepCopy(base)
			w.People[0].Groups = group("00g3", "00g1")
			other := w.People[0]
			change(&other)
			w.People = append(w.People, other)
			want := render(plan.New(s, w))
			for range 4 { // all orders of two people, and of the first one's groups
				slices.Reverse(w.People)
				if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
					t.Fatalf("people the other way round (-want +got):\n%s", diff)
				}
				i := slices.IndexFunc(w.People, func(p plan.Person) bool { return len(p.Groups) == 2 })
				slices.Reverse(w.People[i].Groups)
				if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
					t.Fatalf("groups the other way round (-want +got):\n%s", diff)
				}
			}
		})
	}
	for name, change := range map[string]func(*plan.Agent){
		"owner":      func(a *plan.Agent) { a.Owner = "00u3" },
		"no owner":   func(a *plan.Agent) { a.Owner = "" },
		"deployment": func(a *plan.Agent) { a.Deployment = "staging" },
		"state":      func(a *plan.Agent) { a.State = plan.StateRetired },
		"routing":    func(a *plan.Agent) { a.RoutingProfile = "rp-other" },
		"answer":     func(a *plan.Agent) { a.Answers = map[plan.Field]string{plan.FieldRouting: "rp"} },
		"since":      func(a *plan.Agent) { a.Since = time.Unix(1e9, 0) },
	} {
		t.Run("agent/"+name, func(t *testing.T) {
			t.Parallel()
			w := deepCopy(base)
			a := plan.Agent{ID: "a-1", Username: "ann@example.com", Owner: "00u1", Deployment: s.Deployment, State: plan.StateActive}
			other := a
			change(&other)
			w.Agents = []plan.Agent{a, other}
			want := render(plan.New(s, w))
			slices.Reverse(w.Agents)
			if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
				t.Fatalf("agents the other way round (-want +got):\n%s", diff)
			}
		})
	}
}
