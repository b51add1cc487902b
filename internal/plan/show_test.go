package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
)

// TestGroupNames: groups of one name are told apart.
func TestGroupNames(t *testing.T) {
	t.Parallel()
	sales, north, south := plan.Group{ID: "00g1", Name: "Sales"}, plan.Group{ID: "00g2", Name: "Support"}, plan.Group{ID: "00g3", Name: "Support"}
	got := plan.GroupNames([]plan.Person{{Groups: []plan.Group{sales, north}}, {Groups: []plan.Group{sales, south}}, {}})
	if diff := cmp.Diff(map[string]string{"00g1": "Sales", "00g2": "Support (00g2)", "00g3": "Support (00g3)"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestShowAnswers: what the rules last said is told by names, which may have spaces;
// what has no name is told by its id.
func TestShowAnswers(t *testing.T) {
	t.Parallel()
	before := plan.Agent{Owner: "00u1", Group: "00g9", Answers: map[plan.Field]string{plan.FieldRouting: "rp-gone"}}
	after := plan.Agent{Owner: "00u1", Group: "00g1", Answers: map[plan.Field]string{plan.FieldRouting: "rp-1", plan.FieldHierarchy: "none"}}
	c := plan.Change{Action: plan.Update, Person: "00u1", Agent: "a-1", Before: &before, After: &after, Fields: []plan.Field{plan.FieldOwnership}}
	catalog := plan.Catalog{RoutingProfiles: plan.Offer{"Basic Routing Profile": "rp-1"}}
	got := c.Differences(catalog, map[string]string{"00g1": "Sales"})
	want := []plan.Difference{{
		Field: plan.FieldOwnership, Before: "group 00g9, answers routing_profile=rp-gone",
		After: `group Sales, answers hierarchy=none routing_profile="Basic Routing Profile"`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}
