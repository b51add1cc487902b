package reconcile_test

import (
	"errors"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// TestOrdersWithoutTheDirectory: who has lost Okta, or whose tag was written over with
// what is no id of Okta's, can still be given up and brought back. Neither depends on
// anything that Okta could say.
func TestOrdersWithoutTheDirectory(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(3)
	r.sweep()
	r.status(plan.StatusDeprovisioned, ids[0])
	r.ask(ids[0])
	r.settle(time.Minute)
	if !r.suspended(ids[0]) {
		t.Fatal("is not suspended")
	}
	r.people.fail = errors.New("okta answers no more")
	if err := r.engine.Order(t.Context(), reconcile.OrderRestore, "eve", ids[0]); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Minute)
	if r.suspended(ids[0]) {
		t.Error("was not brought back")
	}
	a, _ := r.agentOf(ids[2])
	r.floor(a.ID, func(a *simconnect.Agent) { a.Tags["connectroster:owner"] = "../x y" })
	if err := r.engine.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Order(t.Context(), reconcile.OrderRelease, "eve", ids[0], ids[1], "../x y"); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Minute)
	for _, a := range r.sim.Agents() {
		if a.Tags["connectroster:owner"] != "" || a.Tags["connectroster:deployment"] != "" {
			t.Errorf("agent %s was not given up: %v", a.Username, a.Tags)
		}
	}
}
