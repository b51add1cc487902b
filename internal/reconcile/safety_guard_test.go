package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// The limits of the guard for 100 agents: see reconcile.Limits.
const (
	mostOfGroup = 5  // by membership in 15 minutes
	mostStatus  = 10 // by status in 15 minutes
	mostOfDay   = 20 // of both in 24 hours
)

// within finds out whether no window of what was suspended without approval is
// over the limits, whichever way it came about. It reads Amazon Connect's own
// ledger.
func (r *rig) within(short int) {
	r.t.Helper()
	var times []time.Time
	parked := map[string]bool{}
	for _, e := range r.sim.Ledger() {
		tags, _ := e.Request["tags"].(map[string]any)
		state, _ := tags["connectroster:state"].(string)
		if e.Operation == "TagResource" && len(state) > 9 && state[:9] == "suspended" && !parked[e.Agent] {
			parked[e.Agent] = true
			times = append(times, e.Time)
		}
	}
	for i, at := range times {
		for window, limit := range map[time.Duration]int{15 * time.Minute: short, day: mostOfDay} {
			n := 0
			for _, other := range times[i:] {
				if other.Sub(at) < window {
					n++
				}
			}
			if n > limit {
				r.t.Fatalf("%d were suspended within %s of %s, at most %d may be", n, window, at, limit)
			}
		}
	}
}

// TestGuardCannotBeWalkedAround is promise P-23: eight ways in which removals
// could add up past the limits. All but the first have 100 agents.
func TestGuardCannotBeWalkedAround(t *testing.T) {
	t.Parallel()
	minutes := 24 * 60
	for name, script := range map[string]func(r *rig, ids []string) (short int){
		"slow drip": func(r *rig, ids []string) (short int) { // one leaves each minute, for a day
			for n := range minutes {
				if n < len(ids) {
					r.quit(ids[n])
				}
				if n%60 == 0 {
					r.sweep()
				}
				r.ask(ids[n%len(ids)])
				r.settle(time.Second)
				r.clock.Advance(time.Minute)
			}
			return mostOfGroup
		},
		"split over groups": func(r *rig, ids []string) (short int) { // five of each of many groups, at the same time
			for n, id := range ids {
				group := fmt.Sprintf("00gteam%d", n/5)
				a, _ := r.agentOf(id)
				r.floor(a.ID, func(a *simconnect.Agent) { a.Tags["connectroster:group"] = group })
			}
			r.quit(ids...)
			r.ask(ids...)
			r.settle(12 * time.Hour)
			if n := r.countSuspended(ids); n != mostOfDay {
				r.t.Errorf("%d are suspended", n)
			}
			return mostOfDay
		},
		"retries": func(r *rig, ids []string) (short int) { // each call fails at first, and everything is tried again
			must(r.t, r.sim.AddFaults(simconnect.Fault{Operation: "TagResource", Status: 500, Code: "InternalServiceException", Times: 40, Every: 2}))
			r.quit(ids...)
			for range 30 {
				r.ask(ids...)
				r.settle(time.Minute)
			}
			return mostOfGroup
		},
		"restarts between": func(r *rig, ids []string) (short int) {
			r.quit(ids...)
			for range 40 {
				r.restart()
				r.ask(ids...)
				for range 7 {
					r.work()
				}
				r.clock.Advance(2 * time.Second)
			}
			r.settle(time.Hour)
			return mostOfGroup
		},
		"two engines on one store": func(r *rig, ids []string) (short int) {
			r.status(plan.StatusDeprovisioned, ids...)
			r.ask(ids...)
			other, err := reconcile.New(r.config)
			must(r.t, err)
			done := make(chan error, 2)
			for _, e := range []*reconcile.Engine{r.engine, other} {
				go func() {
					var err error
					for err == nil {
						err = e.Work(r.t.Context())
					}
					done <- err
				}()
			}
			for range 2 {
				if err := <-done; !errors.Is(err, reconcile.ErrNotFound) {
					r.t.Error(err)
				}
			}
			r.safe()
			if n := r.countSuspended(ids); n != mostStatus {
				r.t.Errorf("%d are suspended", n)
			}
			return mostStatus
		},
		"hooks and sweeps": func(r *rig, ids []string) (short int) { // half by each, and the log tells of nobody
			for _, id := range ids {
				r.change(id, func(p *plan.Person) { p.Groups = nil })
			}
			for range 5 {
				r.ask(ids[:50]...)
				r.settle(time.Minute)
				r.sweep()
				r.settle(time.Minute)
				r.ask(ids[50:]...)
				r.settle(time.Minute)
				r.clock.Advance(time.Hour)
			}
			return mostOfGroup
		},
		"replay of dead letters": func(r *rig, ids []string) (short int) {
			must(r.t, r.sim.AddFaults(simconnect.Fault{Operation: "DescribeUser", Status: 400, Code: "InvalidParameterException", Times: -1}))
			r.quit(ids...)
			r.ask(ids...)
			r.settle(time.Hour)
			r.sim.ClearFaults()
			dead, err := r.store.Dead(r.t.Context())
			must(r.t, err)
			if len(dead) != len(ids) {
				r.t.Fatalf("%d dead letters", len(dead))
			}
			for _, again := range []bool{false, true} {
				for _, w := range dead {
					if err := r.store.Replay(r.t.Context(), w.Person); (err == nil) == again {
						r.t.Fatalf("replay of %s: %v", w.Person, err)
					}
				}
				r.settle(time.Minute)
				r.clock.Advance(20 * time.Minute)
			}
			return mostOfGroup
		},
		"expired holds": func(r *rig, ids []string) (short int) { // nobody decides for a week
			r.quit(ids...)
			for range 6 * 4 {
				r.ask(ids...)
				r.settle(time.Minute)
				r.clock.Advance(6 * time.Hour)
				r.sweep()
			}
			r.ask(ids...)
			r.settle(time.Minute)
			if n := r.countSuspended(ids); n != mostOfGroup {
				r.t.Errorf("%d are suspended by themselves", n)
			}
			if n := len(r.waiting()); n != len(ids)-mostOfGroup {
				r.t.Errorf("%d wait for approval", n)
			}
			return mostOfGroup
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newLife(t)
			ids := r.team(100)
			r.within(script(r, ids))
			// Who is not suspended is held, and nothing is forgotten.
			r.ask(ids...)
			r.settle(time.Minute)
			suspended, held := r.countSuspended(ids), len(r.waiting())
			if suspended+held != len(ids) || suspended == 0 {
				t.Errorf("%d are suspended and %d held, of %d", suspended, held, len(ids))
			}
			t.Logf("%d suspended, %d held", suspended, held)
			r.verify()
		})
	}
}

// skilled makes agents as rich as the instance has them, each another way.
func skilled(t *testing.T) (*rig, []string) {
	t.Helper()
	r := newLife(t, func(c *connect.Config) { c.Reads = connect.Reads{Hierarchy: true, Proficiencies: true} })
	r.clock.Advance(10 * time.Minute) // so that the catalog is read anew
	must(t, r.sim.SetHierarchyLevels("Region", "Team"))
	must(t, r.sim.AddPredefinedAttribute("language", "de", "fr", "it"))
	_, err := r.sim.AddHierarchyPath("EMEA/Support")
	must(t, err)
	other, err := r.sim.AddHierarchyPath("APAC/Sales")
	must(t, err)
	s := &r.config.Settings
	agent := s.Personas["agent"]
	hierarchy := plan.Literal("EMEA/Support")
	agent.Values.Hierarchy = &hierarchy
	agent.Values.Proficiencies = []plan.Skill{{Attribute: "language", Value: plan.Literal("de"), Level: 3}}
	s.Personas["agent"] = agent
	parked := s.Personas["parked"]
	parked.Values.PhoneType = plan.SoftPhone
	s.Personas["parked"] = parked
	// The floor may change all of it.
	s.Authority = map[plan.Field]plan.Authority{}
	for _, f := range []plan.Field{plan.FieldRouting, plan.FieldSecurity, plan.FieldHierarchy, plan.FieldProficiencies, plan.FieldPhone, plan.FieldAutoAccept, plan.FieldAfterWork} {
		s.Authority[f] = plan.Authority{Mode: plan.Follow}
	}
	r.restart()
	r.sweep()
	ids := r.team(100)
	analyst := r.sim.SecurityProfileID("QualityAnalyst")
	for n, id := range ids {
		a, _ := r.agentOf(id)
		routing := r.sim.RoutingProfileID([]string{"Sales", "Billing", "Basic Routing Profile"}[n%3])
		r.floor(a.ID, func(a *simconnect.Agent) {
			a.RoutingProfile = routing
			a.HierarchyGroup = []string{other, a.HierarchyGroup}[n%2]
			if n%4 == 0 {
				a.SecurityProfiles = append(a.SecurityProfiles, analyst)
			}
			a.Proficiencies = append(a.Proficiencies, simconnect.Proficiency{Attribute: "language", Value: []string{"fr", "it"}[n%2], Level: float64(n%5 + 1)})
			a.PhoneConfig.AfterContactWorkTimeLimit = n
			a.PhoneConfig.AutoAccept = n%2 == 1
			if n%5 == 0 {
				a.PhoneConfig.PhoneType, a.PhoneConfig.DeskPhoneNumber, a.PhoneConfig.AutoAccept = "DESK_PHONE", fmt.Sprintf("+49301234%04d", n), false
				a.PhoneNumberConfigs = []simconnect.PhoneNumberConfig{{Channel: "VOICE", PhoneType: "DESK_PHONE", PhoneNumber: a.PhoneConfig.DeskPhoneNumber}}
			}
		})
	}
	return r, ids
}

// TestUndo is promise P-25: a hundred agents suspended by a mistake that somebody
// approved are restored as they were, in all respects.
func TestUndo(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]func(r *rig, ids []string){
		"restore, while Okta still says that they left": func(r *rig, ids []string) {
			for _, id := range ids {
				must(t, r.engine.Stay(t.Context(), reconcile.Stay{Person: id, Who: "ann", Why: "a mistake", Since: r.clock.Now(), Until: r.clock.Now().Add(day)}))
			}
			must(t, r.engine.Order(t.Context(), reconcile.OrderRestore, "ann", ids...))
		},
		"the mistake is mended in Okta": func(r *rig, ids []string) {
			r.status(plan.StatusActive, ids...)
			r.ask(ids...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, ids := skilled(t)
			r.ask(ids...)
			r.settle(time.Minute)
			before := map[string]string{}
			for _, id := range ids {
				before[id] = r.portrait(id)
			}
			r.status(plan.StatusSuspended, ids...)
			r.ask(ids...)
			r.settle(time.Minute)
			r.approve("")
			r.settle(time.Minute)
			if n := r.countSuspended(ids); n != 100 {
				t.Fatalf("%d are suspended", n)
			}
			r.clock.Advance(day)
			r.sweep()
			restore(r, ids)
			r.settle(time.Minute)
			same := 0
			for _, id := range ids {
				if after := r.portrait(id); after == before[id] {
					same++
				} else if same == 0 {
					t.Errorf("%s was\n%s\nand is\n%s", id, before[id], after)
				}
			}
			if same != 100 {
				t.Errorf("%d of 100 are as they were", same)
			}
			r.verify()
		})
	}
}

// portrait is all that an agent may do and has.
func (r *rig) portrait(id string) string {
	r.t.Helper()
	a, found := r.agentOf(id)
	if !found {
		r.t.Fatalf("%s has no agent", id)
	}
	slices.Sort(a.SecurityProfiles)
	tags := map[string]string{}
	for k, v := range a.Tags {
		tags[k] = v
	}
	return fmt.Sprintf("%s %s %s %v %s %+v %+v %+v %v", a.ID, a.Username, a.RoutingProfile, a.SecurityProfiles, a.HierarchyGroup, a.Proficiencies, a.PhoneConfig, a.ChannelConfigs, tags)
}
