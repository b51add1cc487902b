package connect

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// Something must follow CreateUser where the agent is to have proficiencies. As
// long as it has not, the tags say so, and afterwards they do no more.
func TestHalfMadeIsRecognised(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		skills    bool
		fault     string // the operation that is refused
		state     plan.State
		untouched bool // the agent has none of its proficiencies
		writes    []string
	}{
		{"all goes well", true, "", plan.StateActive, false, []string{"CreateUser", "AssociateUserProficiencies", "TagResource"}},
		{"without proficiencies", false, "", plan.StateActive, true, []string{"CreateUser"}},
		{"the proficiencies are refused", true, "AssociateUserProficiencies", plan.StateCreating, true, []string{"CreateUser"}},
		{"they cannot be read", true, "ListUserProficiencies", plan.StateCreating, true, []string{"CreateUser"}},
		{"the last step is refused", true, "TagResource", plan.StateCreating, false, []string{"CreateUser", "AssociateUserProficiencies"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, nil, nil)
			want := f.full("00u1")
			if !c.skills {
				want.Proficiencies = nil
			}
			if c.fault != "" {
				f.fault(t, simconnect.Fault{Operation: c.fault, Status: 403, Code: "AccessDeniedException", Times: -1})
			}
			change := plan.Change{Action: plan.Create, Person: "00u1", After: &want}
			id, err := f.Apply(context.Background(), change)
			if (err != nil) != (c.fault != "") {
				t.Fatalf("Apply: %v", err)
			}
			var writes []string
			for _, e := range f.sim.Ledger() {
				writes = append(writes, e.Operation)
			}
			if diff := cmp.Diff(c.writes, writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if c.fault == "" {
				expected := Calls(change)
				for _, operation := range c.writes {
					if expected[operation] != 1 {
						t.Errorf("Calls does not foresee %s: %v", operation, expected)
					}
				}
				if _, told := expected["TagResource"]; told != c.skills {
					t.Errorf("Calls foresees %v", expected)
				}
			}
			f.sim.ClearFaults()
			have, err := f.Agent(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			if have.State != c.state || (len(have.Proficiencies) == 0) != c.untouched {
				t.Errorf("the state is %q, with %v", have.State, have.Proficiencies)
			}
			if have.Owner != want.Owner || have.Deployment != want.Deployment || !cmp.Equal(have.Answers, want.Answers) || have.Group != want.Group {
				t.Errorf("the tags are those of %+v", have)
			}

			// The update that the next look works out finishes it.
			after := asRead(want, id)
			fields := plan.Fields()
			fields = append(slices.Clone(fields), plan.FieldOwnership)
			if _, err := f.Apply(context.Background(), plan.Change{Action: plan.Update, Person: "00u1", Agent: id, Before: &have, After: &after, Fields: fields}); err != nil {
				t.Fatal(err)
			}
			f.live(t, want)
		})
	}
}
