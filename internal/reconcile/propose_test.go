package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
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
