package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
)

// What agents can be given is found by name, id and ARN, in one instance alone,
// and what cannot be known beforehand says why.
func TestUses(t *testing.T) {
	t.Parallel()
	catalog := plan.Catalog{
		RoutingProfiles:  plan.Offer{"Basic": "r1", "Sales": "r2", "Parked": "r3", "Spare": "r4"},
		SecurityProfiles: plan.Offer{"Agent": "s1", "Nothing": "s2", "Admin": "s9", "Quality": "s3"},
		Hierarchy:        plan.Offer{"EMEA": "h1", "EMEA/Support": "h2"},
	}
	template := func(text string) plan.Template {
		t.Helper()
		out, err := plan.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	agent := plan.Values{RoutingProfile: template("Basic"), SecurityProfiles: []string{"Agent"}}
	parked := plan.Values{RoutingProfile: template("Parked"), SecurityProfiles: []string{"Nothing"}}
	agents := func(v plan.Values) plan.Settings {
		return plan.Settings{Policy: plan.CreateOnly, Personas: map[string]plan.Persona{"agent": {Values: v}}}
	}
	entry := func(name, id string) plan.Entry { return plan.Entry{Name: name, ID: id} }
	none := []plan.Entry{}
	for name, c := range map[string]struct {
		settings plan.Settings
		want     plan.Use
	}{
		"one persona": {
			settings: agents(agent),
			want:     plan.Use{RoutingProfiles: []plan.Entry{entry("Basic", "r1")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1")}, Hierarchy: none},
		},
		"ids and ARNs": {
			settings: agents(plan.Values{RoutingProfile: template("arn:aws:connect:x:1:instance/i/routing-profile/r2"), SecurityProfiles: []string{"s3"}, Hierarchy: new(template("EMEA/Support"))}),
			want:     plan.Use{RoutingProfiles: []plan.Entry{entry("Sales", "r2")}, SecurityProfiles: []plan.Entry{entry("Quality", "s3")}, Hierarchy: []plan.Entry{entry("EMEA/Support", "h2")}},
		},
		"braces that are meant as such": {
			settings: agents(plan.Values{RoutingProfile: template("{{x}}")}),
			want:     plan.Use{RoutingProfiles: none, SecurityProfiles: none, Hierarchy: none, Faults: []string{`persona agent names the routing profile "{x}", which the instance does not have; it offers ["Basic" "Parked" "Sales" "Spare"]`}},
		},
		"in no hierarchy group": {
			settings: agents(plan.Values{Hierarchy: new(plan.Literal(""))}),
			want:     plan.Use{RoutingProfiles: none, SecurityProfiles: none, Hierarchy: none},
		},
		"a rule that captures": {
			settings: func() plan.Settings {
				s := agents(agent)
				s.Rules = []plan.Rule{{Name: "rule 2", Set: &plan.Values{RoutingProfile: template("{queue}"), Hierarchy: new(template("EMEA/{profile.team}")), Tags: map[string]plan.Template{"team": template("x")}}}}
				return s
			}(),
			want: plan.Use{
				RoutingProfiles: []plan.Entry{entry("Basic", "r1")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1")}, Hierarchy: none, Tags: []string{"team"},
				OpenRouting:   []string{"rule 2 takes the routing profile from people or their groups: {queue}"},
				OpenHierarchy: []string{"rule 2 takes the hierarchy group from people or their groups: EMEA/{profile.team}"},
			},
		},
		"a rule of another instance": {
			settings: func() plan.Settings {
				s := agents(agent)
				s.Personas["other"] = plan.Persona{Instance: "amer", Values: plan.Values{RoutingProfile: template("Nowhere"), SecurityProfiles: []string{"Admin"}}}
				s.Rules = []plan.Rule{{Name: "rule 2", Instance: "amer", Set: &plan.Values{RoutingProfile: template("Nowhere")}}}
				return s
			}(),
			want: plan.Use{RoutingProfiles: []plan.Entry{entry("Basic", "r1")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1")}, Hierarchy: none},
		},
		"Admin by its id": {
			settings: agents(plan.Values{SecurityProfiles: []string{"s9"}}),
			want:     plan.Use{RoutingProfiles: none, SecurityProfiles: none, Hierarchy: none, Faults: []string{`persona agent names the security profile "s9", which is Admin and may do everything; the persona must say allow_admin`}},
		},
		"Admin that is allowed": {
			settings: plan.Settings{Personas: map[string]plan.Persona{"boss": {AllowAdmin: true, Values: plan.Values{SecurityProfiles: []string{"Admin"}}}}},
			want:     plan.Use{RoutingProfiles: none, SecurityProfiles: []plan.Entry{entry("Admin", "s9")}, Hierarchy: none},
		},
		"what the floor may choose": {
			settings: func() plan.Settings {
				s := agents(agent)
				s.Authority = map[plan.Field]plan.Authority{
					plan.FieldRouting:  {Mode: plan.Allowed, Allowed: []string{"Sales", "Nowhere"}},
					plan.FieldSecurity: {Mode: plan.Allowed, Allowed: []string{"Quality"}},
				}
				return s
			}(),
			want: plan.Use{
				RoutingProfiles: []plan.Entry{entry("Basic", "r1"), entry("Sales", "r2")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1"), entry("Quality", "s3")}, Hierarchy: none,
				Faults: []string{`the authority over the routing profile of persona agent names the routing profile "Nowhere", which the instance does not have; it offers ["Basic" "Parked" "Sales" "Spare"]`},
			},
		},
		"what the floor chose comes back": {
			settings: plan.Settings{
				Policy: plan.Sync, Personas: map[string]plan.Persona{"agent": {Values: agent}, "parked": {Values: parked}},
				Leavers: plan.Leavers{SuspendAs: map[string]string{"": "parked"}},
			},
			want: plan.Use{
				RoutingProfiles: []plan.Entry{entry("Basic", "r1"), entry("Parked", "r3")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1"), entry("Nothing", "s2")}, Hierarchy: none,
				OpenRouting: []string{"the authority over the routing profile of persona agent is follow: an agent who comes back gets the one that the floor had chosen"},
			},
		},
		"what the rules enforce comes back": {
			settings: plan.Settings{
				Policy: plan.Sync, Personas: map[string]plan.Persona{"agent": {Values: agent}, "parked": {Values: parked}},
				Leavers:   plan.Leavers{SuspendAs: map[string]string{"": "parked"}},
				Authority: map[plan.Field]plan.Authority{plan.FieldRouting: {Mode: plan.Enforce}},
			},
			want: plan.Use{RoutingProfiles: []plan.Entry{entry("Basic", "r1"), entry("Parked", "r3")}, SecurityProfiles: []plan.Entry{entry("Agent", "s1"), entry("Nothing", "s2")}, Hierarchy: none},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, c.settings.Uses("", catalog)); diff != "" {
				t.Errorf("use (-want +got):\n%s", diff)
			}
		})
	}
}
