package connect

import (
	"strings"
	"testing"

	"connectroster/internal/doctor"
	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// examine runs the checks of an instance and gives what they found by check.
func (w *world) examine(t *testing.T, want Wanted, room *Room) map[string]doctor.Result {
	t.Helper()
	before := len(w.sim.Ledger())
	report, err := doctor.Run(t.Context(), w.Checks(want, room), nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := w.sim.Ledger()[before:]; len(after) > 0 {
		t.Errorf("the checks changed Amazon Connect: %+v", after)
	}
	out := map[string]doctor.Result{}
	for _, r := range report.Results {
		if worse, seen := out[r.Check]; !seen || worse.State == doctor.OK {
			out[r.Check] = r
		}
	}
	return out
}

// allWanted is what a configuration can want of an instance.
func allWanted() Wanted {
	return Wanted{
		RoutingProfiles: []string{"Basic Routing Profile"}, SecurityProfiles: []string{"Agent"},
		Agent:    &plan.Agent{RoutingProfile: "Basic Routing Profile", SecurityProfiles: []string{"Agent"}, Phone: plan.Phone{Type: plan.SoftPhone}},
		Suspends: true, Deletes: true, Waits: true,
	}
}

// Whatever single operation is not allowed is named, as far as it is needed and can
// be tried without changing anything.
func TestChecksNameWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{
		"ListRoutingProfiles", "ListSecurityProfiles", "SearchUsers", "DescribeUser", "ListUserProficiencies", "SearchUserHierarchyGroups",
		"SearchPredefinedAttributes", "ListAgentStatuses", "SearchQuickConnects", "GetCurrentUserData", "CreateUser",
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil, func(c *Config) { c.Reads = Reads{Hierarchy: true, Proficiencies: true} })
			if _, err := w.Apply(t.Context(), w.creation("00u1", "ana@example.com")); err != nil {
				t.Fatal(err)
			}
			if r := w.examine(t, allWanted(), new(Room))["connect permissions"]; r.State != doctor.OK || !strings.Contains(r.Seen, operation) {
				t.Fatalf("before: %+v", r)
			}
			if err := w.sim.Deny(operation); err != nil {
				t.Fatal(err)
			}
			r := w.examine(t, allWanted(), new(Room))["connect permissions"]
			if r.State != doctor.Fail || r.Code != "aws_denied" || !strings.Contains(r.Seen, "connect:"+operation) || r.Do == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What a configuration does not need is not asked for.
func TestChecksAskForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	if err := w.sim.Deny("ListAgentStatuses", "SearchQuickConnects", "GetCurrentUserData", "CreateUser", "SearchUserHierarchyGroups", "ListUserProficiencies"); err != nil {
		t.Fatal(err)
	}
	if r := w.examine(t, Wanted{}, new(Room))["connect permissions"]; r.State != doctor.OK {
		t.Errorf("%+v", r)
	}
}

// The quota is told where it is known, and else that it is not.
func TestChecksTellTheQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings func(*simconnect.Settings)
		state    doctor.State
		seen     string
		room     Room
	}{
		"plenty":      {func(s *simconnect.Settings) { s.Quota = 500 }, doctor.OK, "1 user of 500: 499 are left", Room{true, 499}},
		"full":        {func(s *simconnect.Settings) { s.Quota = 1 }, doctor.Fail, "nobody can be added", Room{true, 0}},
		"not told":    {func(s *simconnect.Settings) { s.QuotaHidden = true }, doctor.OK, "servicequotas:GetServiceQuota", Room{}},
		"of nobody's": {func(s *simconnect.Settings) { s.Quota = 0 }, doctor.OK, "NoSuchResourceException", Room{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil, nil)
			if _, err := w.Apply(t.Context(), w.creation("00u1", "ana@example.com")); err != nil {
				t.Fatal(err)
			}
			if err := w.sim.ChangeSettings(c.settings); err != nil {
				t.Fatal(err)
			}
			var room Room
			if r := w.examine(t, allWanted(), &room)["connect quota"]; r.State != c.state || !strings.Contains(r.Seen, c.seen) || room != c.room {
				t.Errorf("%+v, %+v", r, room)
			}
		})
	}
}

// A missing name is named, with the one that was probably meant.
func TestChecksNameWhatIsNotOffered(t *testing.T) {
	t.Parallel()
	w := open(t, nil, func(c *Config) { c.Reads = Reads{Hierarchy: true, Proficiencies: true} })
	if err := w.sim.AddPredefinedAttribute("language", "de", "en"); err != nil {
		t.Fatal(err)
	}
	report, err := doctor.Run(t.Context(), w.Checks(Wanted{
		RoutingProfiles: []string{"Basic Routing Profile", "basic routing profile "}, SecurityProfiles: []string{"Agents"},
		Hierarchy: []string{"EMEA"}, Attributes: map[string][]string{"language": {"de", "fr"}, "dialect": {"north"}},
	}, new(Room)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, r := range report.Results {
		if r.Check == "connect catalog" {
			if r.State != doctor.Fail || r.Code != "profile_unknown" {
				t.Errorf("%+v", r)
			}
			seen = append(seen, r.Seen)
		}
	}
	want := []string{
		`there is no routing profile "basic routing profile "; there is "Basic Routing Profile"`,
		`there is no security profile "Agents"; there are ["Admin" "Agent" "CallCenterManager" "QualityAnalyst"]`,
		`there is no hierarchy group "EMEA"`,
		`there is no predefined attribute "dialect"; there are ["language"]`,
		`the predefined attribute "language" has no value "fr"; there are ["de" "en"]`,
	}
	if strings.Join(seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}
