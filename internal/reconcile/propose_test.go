package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
	simconnect "connectroster/internal/sim/connect"
)

// TestPlanOfManyLeavers: whoever owns an agent and is not listed is read one by one.
// One who cannot be read, be it for a tag that somebody wrote over or a status that
// is about to change, is left out of the plan and not the plan left out, and a rate
// limit that is used up is waited for: else there would be no plan after an accident,
// which is when it is wanted.
func TestPlanOfManyLeavers(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(8)
	r.sweep()
	for _, id := range ids[:5] {
		r.people.mu.Lock()
		delete(r.people.people, id)
		r.people.mu.Unlock()
	}
	limited := map[string]int{ids[2]: 3, ids[3]: 1}
	r.people.refuse = func(id string) error {
		switch {
		case id == ids[0]:
			return reconcile.Terminal(errors.New("not the id of an okta user"))
		case id == ids[1]:
			return reconcile.After(time.Minute, errors.New("the status is about to change"))
		case limited[id] > 0:
			limited[id]--
			return reconcile.After(time.Millisecond, remedy.Mark("okta_limited", errors.New("the share is used up")))
		}
		return nil
	}
	p, err := r.engine.Propose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	suspends, left := map[string]bool{}, map[string]string{}
	for _, c := range p.Changes {
		suspends[c.Person] = c.Action == plan.Suspend
	}
	for _, refusal := range p.Refusals {
		left[refusal.Person] = refusal.Reason
	}
	for i, id := range ids {
		if gone := i >= 2 && i < 5; suspends[id] != gone {
			t.Errorf("person %d: suspended %v, want %v", i, suspends[id], gone)
		}
	}
	if !strings.Contains(left[ids[0]], "not the id of an okta user") || !strings.Contains(left[ids[1]], "about to change") || len(left) != 2 {
		t.Errorf("left alone: %v", left)
	}

	r.people.refuse = func(string) error { return remedy.Mark("okta_unavailable", errors.New("okta fails")) }
	if _, err := r.engine.Propose(t.Context()); err == nil {
		t.Error("a plan although Okta fails")
	}
}

// TestPlanOfParkingAgain: somebody gave a suspended agent a routing profile, and it is
// parked once more. The guard has no say in that, so the plan must not say it has.
func TestPlanOfParkingAgain(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(2)
	r.sweep()
	r.status(plan.StatusDeprovisioned, ids[0])
	r.ask(ids[0])
	r.settle(time.Minute)
	a, _ := r.agentOf(ids[0])
	sales := r.sim.RoutingProfileID("Sales")
	r.floor(a.ID, func(a *simconnect.Agent) { a.RoutingProfile = sales })
	r.config.Scope = "another configuration" // under which all removals have to be approved
	r.restart()
	p, err := r.engine.Propose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Changes) != 1 || p.Changes[0].Action != plan.Suspend || p.First == "" {
		t.Fatalf("the plan: %+v", p.Changes)
	}
	if guard := p.Changes[0].Guard; guard != "" {
		t.Errorf("is said to be kept back: %s", guard)
	}
	r.ask(ids[0])
	r.settle(time.Minute)
	if a, _ := r.agentOf(ids[0]); a.RoutingProfile != r.sim.RoutingProfileID("Parked") {
		t.Error("is not parked again")
	}
}

// TestPlanKnowsGroups: a plan, for everybody or for some, has the names of the groups
// that those are in whom it is about.
func TestPlanKnowsGroups(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(2)
	for _, people := range [][]string{nil, ids[:1]} {
		p, err := r.engine.Propose(t.Context(), people...)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Groups[groupID]; got != "Amazon Connect Agents" {
			t.Errorf("plan for %q: the group is named %q", people, got)
		}
	}
}
