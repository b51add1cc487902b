package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"math/rand/v2"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// TestReturns is promise P-33: who comes back before anything was done, within
// the grace or after it gets what they are entitled to now and nothing of what
// they were before; within the grace with the same agent.
func TestReturns(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"group", "status", "deleted"} {
		for name, away := range map[string]time.Duration{"before": 0, "within": 3 * day, "after": 9 * day} {
			for _, to := range []string{groupID, salesID} {
				t.Run(way+"/"+name+"/"+to, func(t *testing.T) {
					t.Parallel()
					r := newLife(t)
					ids := r.team(3)
					id := ids[0]
					r.change(id, func(p *plan.Person) { p.Groups = append(p.Groups, plan.Group{ID: salesID, Name: "Sales"}) })
					r.ask(id)
					r.settle(time.Minute)
					old, _ := r.agentOf(id)
					person := r.people.people[id]
					switch way {
					case "group":
						r.quit(id)
					case "status":
						r.status(plan.StatusDeprovisioned, id)
					case "deleted":
						r.people.mu.Lock()
						delete(r.people.people, id)
						r.people.mu.Unlock()
						r.people.log[id] = true
					}
					for range int(away / day) {
						r.ask(id)
						r.settle(time.Minute)
						r.clock.Advance(day)
						r.sweep()
						r.settle(time.Minute)
					}
					if away > 0 {
						a, found := r.agentOf(id)
						if found != (name == "within") || found && !r.suspended(id) {
							t.Fatalf("after %s: %v %+v", away, found, a)
						}
					}
					person.Status, person.Groups = plan.StatusActive, []plan.Group{{ID: to, Name: "x"}}
					r.people.put(person)
					delete(r.people.log, id)
					r.ask(id)
					r.settle(time.Minute)
					a, found := r.agentOf(id)
					if !found || (a.ID == old.ID) != (name != "after") {
						t.Fatalf("came back as %v %+v", found, a)
					}
					want, rights := r.sim.RoutingProfileID("Basic Routing Profile"), []string{r.sim.SecurityProfileID("Agent")}
					if to == salesID {
						want, rights = r.sim.RoutingProfileID("Sales"), append(rights, r.sim.SecurityProfileID("QualityAnalyst"))
					}
					slices.Sort(rights)
					slices.Sort(a.SecurityProfiles)
					if a.RoutingProfile != want || !slices.Equal(a.SecurityProfiles, rights) {
						t.Errorf("came back with %s %v, want %s %v", a.RoutingProfile, a.SecurityProfiles, want, rights)
					}
					r.verify()
				})
			}
		}
	}
}

// TestGroupsInAnyOrder is promise P-34: which of several groups counts does not
// depend on the order in which they are listed, joined or looked at. A normal run
// plays 100 of the 10,000 draws.
func TestGroupsInAnyOrder(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	groups := []plan.Group{{ID: groupID, Name: "Agents"}, {ID: salesID, Name: "Sales"}}
	for i := range 4 {
		id := fmt.Sprintf("00gmore%d", i)
		groups = append(groups, plan.Group{ID: id, Name: "More"})
		set := plan.Values{SecurityProfiles: []string{[]string{"QualityAnalyst", "CallCenterManager"}[i%2]}, RoutingProfile: plan.Literal([]string{"Billing", "Sales"}[i/2])}
		r.config.Settings.Rules = append(r.config.Settings.Rules, plan.Rule{Name: id, When: plan.Condition{Groups: []plan.GroupRef{{Text: id}}}, Set: &set})
	}
	r.restart()
	id := r.hire("00u1").ID
	r.ask(id)
	r.settle(time.Minute)
	random := rand.New(rand.NewPCG(34, 34))
	draws := fullOr(10_000, 100)
	for n := range draws {
		chosen := []plan.Group{groups[random.IntN(2)]} // one with a persona
		for _, g := range groups {
			if random.IntN(2) == 0 && g.ID != chosen[0].ID {
				chosen = append(chosen, g)
			}
		}
		var first string
		for range 2 {
			random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
			r.change(id, func(p *plan.Person) { p.Groups = slices.Clone(chosen) })
			from := len(r.sim.Ledger())
			r.ask(id)
			r.settle(time.Second)
			a, _ := r.agentOf(id)
			got := fmt.Sprint(a.RoutingProfile, a.SecurityProfiles)
			if first == "" {
				first = got
				continue
			}
			if got != first || len(r.sim.Ledger()) != from {
				t.Fatalf("draw %d: %v gave %s and then %s", n, chosen, first, got)
			}
		}
		r.outcomes = nil
		r.clock.Advance(time.Hour)
		if n%24 == 0 {
			r.sweep()
		}
	}
	t.Logf("%d draws", draws)
}

// TestOneBadAmongMany is promise P-11: of many people one always fails, and the
// others are done with no more looks than without them. A normal run has 100
// people, a full one 1,000.
func TestOneBadAmongMany(t *testing.T) {
	t.Parallel()
	people := fullOr(1000, 100)
	looks := map[string]int{}
	ways := map[string]func(r *rig, username string){
		"none":       func(*rig, string) {},
		"validation": func(r *rig, u string) { r.failCreate(u, 400, "InvalidParameterException") },
		"conflict":   func(r *rig, u string) { r.failCreate(u, 409, "ResourceConflictException") },
		"throttled":  func(r *rig, u string) { r.failCreate(u, 429, "ThrottlingException") },
		"panic in a rule": func(r *rig, u string) {
			r.config.Settings.Rules[1].When.When = plan.Expression{Text: "boom", Holds: func(p plan.Person) (bool, error) {
				if p.Username == u {
					panic("boom")
				}
				return true, nil
			}}
			r.restart()
		},
	}
	for _, way := range []string{"none", "validation", "conflict", "throttled", "panic in a rule"} {
		t.Run(way, func(t *testing.T) {
			r := newLife(t)
			must(t, r.sim.ChangeSettings(quotaOff))
			var ids []string
			for i := range people {
				ids = append(ids, r.hire(fmt.Sprintf("00u%04d", i)).ID)
			}
			bad := ids[people/2]
			ways[way](r, bad+"@example.com")
			r.ask(ids...)
			n := 0
			for done := 0; done < people-1; n++ {
				if err := r.engine.Work(t.Context()); err != nil {
					due, err := r.store.NextDue(t.Context())
					must(t, err)
					r.clock.Advance(max(due.Sub(r.clock.Now()), time.Millisecond))
				}
				if o := r.outcomes[len(r.outcomes)-1]; o.Action == plan.Create && o.Work.Person != bad {
					done++
				}
				if n > 3*people {
					t.Fatalf("%d looks, and %d of %d are done", n, done, people)
				}
			}
			looks[way] = n
			if n*10 > looks["none"]*11 {
				t.Errorf("%d looks, and %d without a bad person", n, looks["none"])
			}
			if way == "none" {
				return
			}
			for range 2000 { // until it is clear what becomes of the bad one
				if r.state(bad).State == reconcile.StateDead || way == "throttled" {
					break
				}
				r.settle(time.Hour)
				r.clock.Advance(time.Hour)
			}
			switch w := r.state(bad); {
			case way == "panic in a rule": // which is told apart from what the program itself does wrong
				if got := r.journal(bad); !slices.Equal(got, []string{"refusal rule_failed"}) {
					t.Errorf("the journal of the bad one: %q", got)
				}
			case way == "throttled" && (w.State == reconcile.StateDead || w.Attempts > 0):
				t.Errorf("who is throttled has given up: %+v", w)
			case way != "throttled" && (w.State != reconcile.StateDead || w.Reason == ""):
				t.Errorf("the bad one: %+v", w)
			}
		})
	}
	t.Logf("%d people, looks until all others are done: %v", people, looks)
}

// TestDeadLetters is promise P-12: a hundred people become dead letters, all of
// them with a reason; replayed twice, each is done once.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	var ids []string
	for i := range 100 {
		ids = append(ids, r.hire(fmt.Sprintf("00u%04d", i)).ID)
		r.failCreate(ids[i]+"@example.com", 400, "InvalidParameterException")
	}
	r.ask(ids...)
	r.settle(time.Hour)
	dead, err := r.store.Dead(t.Context())
	must(t, err)
	if len(dead) != 100 {
		t.Fatalf("%d dead letters", len(dead))
	}
	for _, w := range dead {
		if w.Reason == "" || w.Since.IsZero() || w.Last.IsZero() || w.Event != "event-of-"+w.Person {
			t.Fatalf("a dead letter says too little: %+v", w)
		}
	}
	replay := func() (n int) {
		for _, id := range ids {
			if r.store.Replay(t.Context(), id) == nil {
				n++
			}
		}
		r.settle(time.Minute)
		return n
	}
	if n := replay(); n != 100 { // nothing is mended yet
		t.Fatalf("%d were replayed", n)
	}
	if dead, err = r.store.Dead(t.Context()); err != nil || len(dead) != 100 {
		t.Fatalf("%d dead letters after a replay that failed again: %v", len(dead), err)
	}
	r.sim.ClearFaults()
	if n, again := replay(), replay(); n != 100 || again != 0 {
		t.Errorf("%d and then %d were replayed", n, again)
	}
	if n := len(r.sim.Ledger()); n != 100 {
		t.Errorf("%d writes for 100 people", n)
	}
	r.verify()
}

// failCreate lets every creation under a username fail.
func (r *rig) failCreate(username string, status int, code string) {
	r.t.Helper()
	must(r.t, r.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Username: username, Status: status, Code: code, Times: -1}))
}

// quotaOff lets an instance hold any number of agents.
func quotaOff(s *simconnect.Settings) { s.Quota = 0 }
