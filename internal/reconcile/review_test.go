package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// TestStatelessAgentIsGuarded: that somebody took the tag of the state off an
// agent is no way around the second key, the guard and the tombstone.
func TestStatelessAgentIsGuarded(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"", "on loan"} {
		r := newLife(t)
		id := r.team(1)[0]
		a, _ := r.agentOf(id)
		r.floor(a.ID, func(a *simconnect.Agent) { a.Tags["connectroster:state"] = state })
		r.change(id, func(p *plan.Person) { p.Groups = nil })
		r.ask(id)
		r.settle(time.Minute)
		if r.suspended(id) {
			t.Fatalf("state %q: is suspended without a second key", state)
		}
		r.people.log[id] = true
		r.settle(time.Hour)
		if !r.suspended(id) {
			t.Fatalf("state %q: is not suspended", state)
		}
		found, err := r.store.Tombstones(t.Context(), a.ID)
		if err != nil || len(found) != 1 {
			t.Errorf("state %q: %d tombstones: %v", state, len(found), err)
		}
	}
}

// TestSecondAccidentIsHeldToo: the approval of a removal is used up by it. When
// the person came back and is to lose the agent again, somebody has to say so again.
func TestSecondAccidentIsHeldToo(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(8)
	r.people.cliffs[groupID] = "the group has no members any more"
	for range 2 {
		r.quit(ids...)
		r.ask(ids...)
		r.settle(time.Minute)
		if n := r.countSuspended(ids); n != 0 || len(r.waiting()) != len(ids) {
			t.Fatalf("%d are suspended and %d are held, want none and %d", n, len(r.waiting()), len(ids))
		}
		r.approve("")
		r.settle(time.Minute)
		if n := r.countSuspended(ids); n != len(ids) {
			t.Fatalf("%d are suspended after the approval", n)
		}
		r.back(ids...)
		r.ask(ids...)
		r.settle(time.Minute)
		if n := r.countSuspended(ids); n != 0 {
			t.Fatalf("%d are suspended after all came back", n)
		}
		r.clock.Advance(time.Hour)
	}
}

// TestRestoredAreGuardedAnew: so does somebody who was restored.
func TestRestoredAreGuardedAnew(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(8)
	r.people.cliffs[groupID] = "the group has no members any more"
	r.quit(ids...)
	r.ask(ids...)
	r.settle(time.Minute)
	r.approve("")
	r.settle(time.Minute)
	for _, id := range ids {
		stay := reconcile.Stay{Person: id, Who: "tester", Why: "a mistake", Since: r.clock.Now(), Until: r.clock.Now().Add(time.Hour)}
		if err := r.engine.Stay(t.Context(), stay); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.engine.Order(t.Context(), reconcile.OrderRestore, "tester", ids...); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Minute)
	r.clock.Advance(2 * time.Hour)
	r.ask(ids...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 0 || len(r.waiting()) != len(ids) {
		t.Errorf("%d are suspended and %d are held when the stay is over, want none and %d", n, len(r.waiting()), len(ids))
	}
}

// TestTombstoneIsOfNow: what a suspension that came to nothing remembered is not
// what the agent is given back later.
func TestTombstoneIsOfNow(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	a, _ := r.agentOf(id)
	if err := r.sim.AddFaults(simconnect.Fault{Operation: "TagResource", Status: 403, Code: "AccessDeniedException", Times: -1}); err != nil {
		t.Fatal(err)
	}
	r.quit(id)
	r.ask(id)
	r.settle(time.Minute)
	if w := r.state(id); r.suspended(id) || w.State != reconcile.StateWaiting {
		t.Fatalf("the person: %+v", w)
	}
	r.sim.ClearFaults()
	r.back(id)
	r.ask(id)
	r.settle(time.Minute)
	billing := r.sim.RoutingProfileID("Billing")
	r.floor(a.ID, func(a *simconnect.Agent) { a.RoutingProfile = billing })
	r.quit(id)
	r.ask(id)
	r.settle(time.Minute)
	if !r.suspended(id) {
		t.Fatal("is not suspended")
	}
	r.back(id)
	r.ask(id)
	r.settle(time.Minute)
	if a, _ = r.agentOf(id); a.RoutingProfile != billing {
		t.Error("came back as they were before the first attempt, not as they were last")
	}
}

// TestYoungAgentStaysKnown: a change does not make an agent older. A sweep that
// does not see it yet must not forget it.
func TestYoungAgentStaysKnown(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	if err := r.sim.ChangeSettings(func(s *simconnect.Settings) { s.ListLag = 5 * time.Minute }); err != nil {
		t.Fatal(err)
	}
	id := r.team(1)[0]
	r.change(id, func(p *plan.Person) { p.LastName = "Costa" })
	r.ask(id)
	r.settle(time.Second)
	r.sweep()
	known, err := r.store.Agents(t.Context(), id)
	if err != nil || len(known) != 1 {
		t.Fatalf("the index knows %d agents: %v", len(known), err)
	}
	r.change(id, func(p *plan.Person) { p.Username = "costa@example.com" })
	r.ask(id)
	r.settle(time.Second)
	r.safe()
}

// flaky is a journal that fails on chosen entries, once each.
type flaky struct {
	reconcile.Journal
	fail []plan.Action
}

func (f *flaky) Record(ctx context.Context, e reconcile.Entry) error {
	if at := slices.Index(f.fail, e.Action); e.Kind == reconcile.EntryChange && at >= 0 {
		f.fail = slices.Delete(f.fail, at, at+1)
		return errors.New("the disk is full")
	}
	return f.Journal.Record(ctx, e)
}

// TestOrdersCutShort: what was done for an order is recorded, though its look was
// cut short right after.
func TestOrdersCutShort(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(2)
	r.quit(ids[0])
	r.ask(ids[0])
	r.settle(time.Minute)
	r.config.Journal = &flaky{r.store, []plan.Action{plan.Resume, plan.Release}}
	r.restart()
	if err := r.engine.Order(t.Context(), reconcile.OrderRestore, "tester", ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Order(t.Context(), reconcile.OrderRelease, "tester", ids[1]); err != nil {
		t.Fatal(err)
	}
	r.settle(0)
	r.clock.Advance(time.Minute)
	r.settle(time.Minute)
	for i, want := range []string{"change resume", "change release"} {
		if got := r.journal(ids[i]); !slices.Contains(got, want) {
			t.Errorf("the journal lacks %q: %q", want, got)
		}
	}
	known, err := r.store.Agents(t.Context(), ids[1])
	if err != nil || len(known) != 0 {
		t.Errorf("the index knows %d agents of whom was released: %v", len(known), err)
	}
	a, _ := r.agentOf(ids[0])
	if found, err := r.store.Tombstones(t.Context(), a.ID); err != nil || len(found) != 0 {
		t.Errorf("%d tombstones are left: %v", len(found), err)
	}
}

// interrupted is a directory that has something else happen during a reading.
type interrupted struct {
	*directory
	during func()
}

func (d *interrupted) Person(ctx context.Context, id string) (plan.Person, error) {
	if f := d.during; f != nil {
		d.during = nil
		f()
	}
	return d.directory.Person(ctx, id)
}

// TestOrderDuringALook: an order that comes while another one is carried out is
// carried out next.
func TestOrderDuringALook(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	order := func(kind reconcile.OrderKind) {
		t.Helper()
		if err := r.engine.Order(t.Context(), kind, "tester", id); err != nil {
			t.Fatal(err)
		}
	}
	r.config.Directory = &interrupted{r.people, func() { r.clock.Advance(time.Second); order(reconcile.OrderRelease) }}
	r.restart()
	order(reconcile.OrderAdopt) // the other two read nothing of Okta
	r.settle(time.Minute)
	if a := r.sim.Agents()[0]; a.Tags["connectroster:owner"] != "" {
		t.Error("the agent was not released")
	}
}

// TestAdoptionWithAnOpenCreation: an agent that may be about to appear goes before
// an adoption, or the person would have two.
func TestAdoptionWithAnOpenCreation(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	must(t, r.sim.ChangeSettings(func(s *simconnect.Settings) { s.ListLag = 5 * time.Minute }))
	_, err := r.sim.AddAgent(simconnect.Agent{
		Username: "costa@example.com", RoutingProfile: r.sim.RoutingProfileID("Billing"), SecurityProfiles: []string{r.sim.SecurityProfileID("Agent")},
	})
	must(t, err)
	r.clock.Advance(time.Hour)
	r.sweep()
	must(t, r.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Commit: true, Kind: simconnect.FaultReset}))
	r.hire("00u1")
	r.ask("00u1")
	r.work()
	r.change("00u1", func(p *plan.Person) { p.Username = "costa@example.com" })
	if err := r.engine.Order(t.Context(), reconcile.OrderAdopt, "tester", "00u1"); err != nil {
		t.Fatal(err)
	}
	r.settle(2 * time.Hour)
	n := 0
	for _, a := range r.sim.Agents() {
		if a.Tags["connectroster:owner"] == "00u1" && !strings.HasPrefix(a.Tags["connectroster:state"], "retired") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the person has %d agents", n)
	}
}

// TestReleaseWithAnOpenCreation: a release is of the agent, too, that a creation
// made whose answer was lost.
func TestReleaseWithAnOpenCreation(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	must(t, r.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Commit: true, Kind: simconnect.FaultReset}))
	r.hire("00u1")
	r.ask("00u1")
	r.work()
	if err := r.engine.Order(t.Context(), reconcile.OrderRelease, "tester", "00u1"); err != nil {
		t.Fatal(err)
	}
	r.settle(30 * time.Minute)
	agents := r.sim.Agents()
	if len(agents) != 1 || agents[0].Tags["connectroster:owner"] != "" {
		t.Errorf("the agents: %+v", agents)
	}
	if want, got := []string{"change create", "change release"}, r.journal("00u1"); !slices.Equal(got, want) {
		t.Errorf("the journal: %q, want %q", got, want)
	}
}

// TestTwoAgentsHeldApart: what waits about one agent of a person says nothing of
// another one. Somebody who leaves does not keep their access because the agent
// that they had before a rename waits to be deleted.
func TestTwoAgentsHeldApart(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	r.change(id, func(p *plan.Person) { p.Username = "costa@example.com" })
	r.ask(id)
	r.settle(time.Minute)
	r.clock.Advance(8 * day)
	r.sweep() // which is a first one again, so the deletion is held
	r.settle(time.Minute)
	if held := r.waiting(); len(held) != 1 || held[0].Action != plan.Delete {
		t.Fatalf("held: %+v", held)
	}
	r.quit(id)
	r.ask(id)
	r.settle(time.Minute)
	if !r.suspended(id) {
		t.Errorf("is not suspended; held: %+v", r.waiting())
	}
	r.approve("")
	r.settle(time.Minute)
	if n := len(r.sim.Agents()); n != 1 {
		t.Errorf("%d agents after the approval, want 1; held: %+v", n, r.waiting())
	}
	entries, err := r.store.Recent(t.Context(), reconcile.Query{Person: id, Kind: reconcile.EntryChange, Limit: 1})
	must(t, err)
	if e := entries[0]; e.Action != plan.Delete || e.By != "tester" || e.Hold == "" || e.Trigger != reconcile.TriggerApproval {
		t.Errorf("what was approved is told as %s by %q in %q for %q", e.Action, e.By, e.Hold, e.Trigger)
	}
}

// TestReleaseOwnerless: an agent without an owner is given up in its own name, once,
// also where the look was cut short before or after the call; and one that has an owner
// again by then stays his.
func TestReleaseOwnerless(t *testing.T) {
	t.Parallel()
	const lost = "connectroster:owner"
	for name, cut := range map[string]struct {
		fault  simconnect.Fault
		expire bool // the order is over before the next look
		again  bool // the owner's tag is written again before the next look
		want   bool // it is released in the end
	}{
		"at once":                    {want: true},
		"the answer is lost":         {fault: simconnect.Fault{Operation: "UntagResource", Commit: true, Kind: simconnect.FaultReset, Times: 4}, want: true},
		"the call is lost":           {fault: simconnect.Fault{Operation: "UntagResource", Kind: simconnect.FaultReset, Times: 4}, want: true},
		"the order is over":          {fault: simconnect.Fault{Operation: "UntagResource", Kind: simconnect.FaultReset, Times: 4}, expire: true},
		"it is somebody's meanwhile": {fault: simconnect.Fault{Operation: "UntagResource", Kind: simconnect.FaultReset, Times: 4}, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newLife(t)
			owner := r.team(1)[0]
			a, _ := r.agentOf(owner)
			tag := func(change func(tags map[string]string)) {
				t.Helper()
				_, err := r.sim.ChangeAgent(a.ID, func(a *simconnect.Agent) { change(a.Tags) })
				must(t, err)
			}
			tag(func(tags map[string]string) { delete(tags, lost) })
			if cut.fault.Operation != "" {
				must(t, r.sim.AddFaults(cut.fault))
			}
			must(t, r.engine.ReleaseOwnerless(t.Context(), "tester", a.ID))
			r.work()
			if cut.expire {
				r.clock.Advance(2 * time.Hour)
			}
			if cut.again {
				tag(func(tags map[string]string) { tags[lost] = owner })
			}
			r.sim.ClearFaults()
			r.settle(time.Hour)
			var released, told int
			for _, a := range r.sim.Agents() {
				if a.Tags["connectroster:deployment"] == "" {
					released++
				}
			}
			for _, line := range r.journal(a.ID) {
				if line == "change release" {
					told++
				}
			}
			if want := map[bool]int{true: 1}[cut.want]; released != want || told != want {
				t.Errorf("%d agents are released and the journal tells of %d, want %d: %q", released, told, want, r.journal(a.ID))
			}
		})
	}
}
