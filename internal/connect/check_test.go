package connect

import (
	"strings"
	"testing"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// No error of a change tells about whom it is.
func TestErrorsOfChangesHideThePerson(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	a := f.full("00u1")
	a.FirstName, a.LastName, a.Tags = "Benedikta", "Quorvik", map[string]string{"team": "crimson"}
	have := f.make(t, a)
	to := f.other("00u1")
	to.FirstName, to.LastName, to.Tags = "Fridolin", "Zabriskie", map[string]string{"team": "magenta"}
	to.Phone.Type, to.Phone.DeskNumber = plan.DeskPhone, "+4989998877"
	for _, operation := range []string{"UpdateUserIdentityInfo", "UpdateUserRoutingProfile", "UpdateUserConfig", "TagResource"} {
		f.fault(t, simconnect.Fault{Operation: operation, Status: 400, Code: "InvalidParameterException",
			Message: "no: Benedikta Quorvik, fridolin ZABRISKIE, agent-00u1, +4989998877, crimson, magenta, +4930123456"})
		change := f.change(plan.Update, have, to, everything()...)
		_, err := f.Apply(t.Context(), change)
		if err == nil || !strings.Contains(err.Error(), "InvalidParameterException: no") {
			t.Fatalf("%s: %v", operation, err)
		}
		for _, secret := range []string{"benedikta", "quorvik", "fridolin", "zabriskie", "agent-00u1", "998877", "crimson", "magenta", "123456"} {
			if strings.Contains(strings.ToLower(err.Error()), secret) {
				t.Errorf("%s: the error tells %q: %v", operation, secret, err)
			}
		}
	}
}

// No change that cannot succeed is begun.
func TestChangesAreChecked(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have := f.make(t, f.full("00u1"))
	calls := f.sim.Stats().Calls
	for name, spoil := range map[string]func(*plan.Change){
		"nobody":             func(c *plan.Change) { c.Person = "" },
		"no agent":           func(c *plan.Change) { c.Agent = "" },
		"no after":           func(c *plan.Change) { c.After = nil },
		"no name":            func(c *plan.Change) { c.After.LastName = "" },
		"no routing":         func(c *plan.Change) { c.After.RoutingProfile = "" },
		"no security":        func(c *plan.Change) { c.After.SecurityProfiles = nil },
		"number":             func(c *plan.Change) { c.After.Phone.DeskNumber = "030 123" },
		"after-contact work": func(c *plan.Change) { c.After.Channels[plan.Chat] = plan.Handled{AfterContactWork: -1} },
		"enhancement":        func(c *plan.Change) { c.After.Phone.Enhancement = "loud" },
		"level": func(c *plan.Change) {
			c.After.Proficiencies = []plan.Proficiency{{Attribute: "a", Value: "b", Level: 6}}
		},
		"no value": func(c *plan.Change) { c.After.Proficiencies = []plan.Proficiency{{Attribute: "a", Level: 1}} },
		"two levels": func(c *plan.Change) {
			c.After.Proficiencies = []plan.Proficiency{{Attribute: "a", Value: "b", Level: 1}, {Attribute: "a", Value: "b", Level: 2}}
		},
		"tag of ours":        func(c *plan.Change) { c.After.Tags = map[string]string{tagOwner: "00u2"} },
		"long tag":           func(c *plan.Change) { c.After.Tags = map[string]string{"a": strings.Repeat("x", 257)} },
		"another owner":      func(c *plan.Change) { c.After.Owner = "00u2" },
		"another deployment": func(c *plan.Change) { c.After.Deployment = "staging" },
		"no state":           func(c *plan.Change) { c.After.State = "" },
		"long answer": func(c *plan.Change) {
			c.After.Answers = map[plan.Field]string{plan.FieldSecurity: strings.Repeat("x", 257)}
		},
		"replace without":  func(c *plan.Change) { c.Action, c.Parked = plan.Replace, nil },
		"replace with bad": func(c *plan.Change) { c.Action, c.Parked = plan.Replace, c.After; c.After.Username = "añá" },
	} {
		change := f.change(plan.Update, have, f.other("00u1"), everything()...)
		spoil(&change)
		if _, err := f.Apply(t.Context(), change); class(err) != "terminal" {
			t.Errorf("%s: class %s: %v", name, class(err), err)
		}
	}
	if n := f.sim.Stats().Calls - calls; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}
