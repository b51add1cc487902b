package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
	"connectroster/internal/plan"
)

const people = `name: production
policy: sync
okta: {org: https://example.okta.com, auth: {token: env:OKTA_API_TOKEN}, app: Amazon Connect}
connect: {instance: acme, region: eu-central-1}
personas:
  agent: {routing_profile: Basic, security_profiles: [Agent]}
  parked: {routing_profile: Parked, security_profiles: [Nothing]}
rules:
  - {groups: [Agents], persona: agent}
  - {groups: ["/^Queue (?<queue>.+)$/"], set: {routing_profile: "{queue}"}}
leavers: {suspend_as: parked, delete_after: 7d}
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("config.yaml", []byte(text), always)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// TestHash sees that the hash tells apart what decides who is an agent and as
// what, and nothing else.
func TestHash(t *testing.T) {
	t.Parallel()
	base := parse(t, people).Hash()
	for name, text := range map[string]string{
		"again":    people,
		"comments": "# A comment\n\n" + strings.ReplaceAll(people, "\n", " # x\n"),
		"form":     strings.ReplaceAll(people, "suspend_as: parked", "suspend_as: [parked]"),
		"rates":    replace(t, people, "region: eu-central-1}", "region: eu-central-1, rate: 7, burst: 9}"),
		"rest": people + "log: {level: debug}\nworkers: 7\nlisten: \":81\"\nsweep: {at: \"04:00\"}\nstore: {sqlite: x.db}\n" +
			"guard: {status_count: 7}\nwait_for_contacts: 5m\n",
		"secrets": replace(t, people, "token: env:OKTA_API_TOKEN", "token: env:OTHER"),
		"access":  replace(t, people, "region: eu-central-1}", "region: eu-central-1, role_arn: \"arn:aws:iam::123456789012:role/x\", profile: y}"),
	} {
		if got := parse(t, text).Hash(); got != base {
			t.Errorf("%s: got hash %s, want %s", name, got, base)
		}
	}
	seen := map[string]string{base: "base"}
	for name, change := range map[string][2]string{
		"name":     {"name: production", "name: staging"},
		"instance": {"instance: acme", "instance: other"},
		"region":   {"eu-central-1", "eu-west-1"},
		"org":      {"example.okta.com", "other.okta.com"},
		"app":      {"app: Amazon Connect", "app: Other"},
		"routing":  {"routing_profile: Basic", "routing_profile: Other"},
		"security": {"[Agent]", "[Agent, Other]"},
		"default":  {"leavers:", "default_persona: agent\nleavers:"},
		"group":    {"[Agents]", "[Agents, Others]"},
		"pattern":  {"^Queue", "^Line"},
		"set":      {`"{queue}"`, `"Queue {queue}"`},
		"rule":     {"leavers:", "  - {groups: [Third], set: {hierarchy: A}}\nleavers:"},
		"not":      {"persona: agent}", "persona: agent, not: {groups: [Trainees]}}"},
		"voice":    {"security_profiles: [Agent]}", "security_profiles: [Agent], voice: {auto_accept: false}}"},
		"exempt":   {"leavers:", "exempt: [{people: [00u1]}]\nleavers:"},
		"follow":   {"leavers:", "authority: {hierarchy: follow}\nleavers:"},
		"grace":    {"7d", "8d"},
		"policy":   {"policy: sync", "policy: upsert-only"},
	} {
		got := parse(t, replace(t, people, change[0], change[1])).Hash()
		if other, twice := seen[got]; twice {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[got] = name
	}
}

// TestSettingsAreOwn sees that nobody who writes into settings changes those of
// others.
func TestSettingsAreOwn(t *testing.T) {
	t.Parallel()
	c := parse(t, people+"exempt: [{people: [00u1]}, {groups: [X]}]\n")
	want := fmt.Sprint(describe(c.Settings()))
	s := c.Settings()
	clear(s.Personas)
	clear(s.Authority)
	clear(s.Leavers.SuspendAs)
	s.Rules[0], s.Exempt[0], s.ExemptPeople[0] = plan.Rule{}, plan.Condition{}, ""
	if diff := cmp.Diff(want, fmt.Sprint(describe(c.Settings()))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestDefaultsAreTheFloors sees that what new agents get without anybody's saying
// so is not written to those that are there, in each instance by itself.
func TestDefaultsAreTheFloors(t *testing.T) {
	t.Parallel()
	modes := func(s plan.Settings, persona string) map[plan.Field]plan.Mode {
		out := map[plan.Field]plan.Mode{}
		for _, f := range []plan.Field{plan.FieldPhone, plan.FieldAutoAccept, plan.FieldAfterWork} {
			a, ok := s.Personas[persona].Authority[f]
			if !ok {
				a = s.Authority[f]
			}
			if a.Mode != "" {
				out[f] = a.Mode
			}
		}
		return out
	}
	all := map[plan.Field]plan.Mode{plan.FieldPhone: plan.Initial, plan.FieldAutoAccept: plan.Initial, plan.FieldAfterWork: plan.Initial}
	without := func(fields ...plan.Field) map[plan.Field]plan.Mode {
		out := maps.Clone(all)
		for _, f := range fields {
			delete(out, f)
		}
		return out
	}
	for name, test := range map[string]struct {
		old, by string
		want    map[plan.Field]plan.Mode
	}{
		"nothing":        {"", "", all},
		"type":           {"[Agent]}", "[Agent], voice: {type: soft_phone}}", without(plan.FieldPhone)},
		"persistent":     {"[Agent]}", "[Agent], voice: {persistent_connection: false}}", without(plan.FieldPhone)},
		"chat":           {"[Agent]}", "[Agent], chat: {auto_accept: true}}", without(plan.FieldAutoAccept)},
		"rule":           {`"{queue}"}`, `"{queue}", email: {after_contact_work: 5s}}`, without(plan.FieldAfterWork)},
		"parked":         {"[Nothing]}", "[Nothing], voice: {auto_accept: false}}", all},
		"authority":      {"leavers:", "authority: {phone: enforce}\nleavers:", map[plan.Field]plan.Mode{plan.FieldPhone: plan.Enforce, plan.FieldAutoAccept: plan.Initial, plan.FieldAfterWork: plan.Initial}},
		"own authority":  {"[Agent]}", "[Agent], authority: {phone: follow}}", map[plan.Field]plan.Mode{plan.FieldPhone: plan.Follow, plan.FieldAutoAccept: plan.Initial, plan.FieldAfterWork: plan.Initial}},
		"said and given": {"[Agent]}", "[Agent], voice: {type: soft_phone}, authority: {phone: ignore}}", map[plan.Field]plan.Mode{plan.FieldPhone: plan.Ignore, plan.FieldAutoAccept: plan.Initial, plan.FieldAfterWork: plan.Initial}},
	} {
		text := people
		if test.old != "" {
			text = replace(t, text, test.old, test.by)
		}
		if diff := cmp.Diff(test.want, modes(parse(t, text).Settings(), "agent")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	s := parse(t, `name: x
policy: create-only
instances: {a: {instance: a}, b: {instance: b}}
personas:
  ours: {instance: a, routing_profile: R, security_profiles: [S], voice: {type: soft_phone}}
  theirs: {instance: b, routing_profile: R, security_profiles: [S]}
rules: [{groups: [A], persona: ours}, {groups: [A], persona: theirs}, {groups: [A], instance: b, set: {voice: {auto_accept: true}}}]
`).Settings()
	if diff := cmp.Diff(without(plan.FieldPhone), modes(s, "ours")); diff != "" {
		t.Errorf("one instance: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(without(plan.FieldAutoAccept), modes(s, "theirs")); diff != "" {
		t.Errorf("the other: (-want +got)\n%s", diff)
	}
}

// TestGroups sees that all groups that decide anything are named, and which of
// them make agents.
func TestGroups(t *testing.T) {
	t.Parallel()
	c := parse(t, people+`exempt: [{groups: [E1], not: {groups: [E2, Agents]}}, {when: '"E3" in groups'}]`+"\n")
	if diff := cmp.Diff([]string{"Agents", "/^Queue (?<queue>.+)$/"}, c.AgentGroups()); diff != "" {
		t.Errorf("groups of agents: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Agents", "/^Queue (?<queue>.+)$/", "E1", "E2", "E3"}, c.Groups()); diff != "" {
		t.Errorf("groups: (-want +got)\n%s", diff)
	}
}

// TestWebhook sees that the address is looked up when it is asked for, and shown
// nowhere.
func TestWebhook(t *testing.T) {
	t.Parallel()
	address := "https://hooks.example.com/" + canary
	c, err := config.Parse("config.yaml", []byte(smallest+"notify: {webhook: env:HOOK}\n"), func(name string) string {
		if name == "HOOK" {
			return address
		}
		return secret
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Webhook(); got != address || err != nil {
		t.Errorf("got %s and error %v", got, err)
	}
	text, err := json.Marshal(c.Notify)
	if said := fmt.Sprintf("%v %+v %#v %s %v", c, c, c.Notify, text, err); strings.Contains(said, canary) {
		t.Errorf("shows the address: %s", said)
	}
	for _, bad := range []string{"", "http://hooks.example.com/" + canary, "https://10.0.0.1/" + canary, " " + address} {
		address = bad
		if got, err := c.Webhook(); got != "" || err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %q and error %v", bad, got, err)
		}
	}
	if got, err := parse(t, smallest).Webhook(); got != "" || err != nil {
		t.Errorf("without a webhook: got %q and error %v", got, err)
	}
}

// TestPlansAreMade sees that what the examples say is what people get.
func TestPlansAreMade(t *testing.T) {
	t.Parallel()
	env := func(name string) string {
		if name == "OKTA_KEY" {
			return "-----BEGIN PRIVATE KEY-----\nMDEyMzQ1Njc4OWFiY2RlZg==\n-----END PRIVATE KEY-----\n"
		}
		return secret
	}
	c, err := config.Load("../../docs/examples/queues-by-regex.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	catalog := plan.Catalog{
		RoutingProfiles:  plan.Offer{"Basic Routing Profile": "basic", "Billing": "billing", "Claims": "claims", "Parked": "parked"},
		SecurityProfiles: plan.Offer{"Agent": "agent", "QualityAnalyst": "quality", "No permissions": "nothing"},
		Hierarchy:        plan.Offer{"EMEA/Support": "support", "EMEA/Sales": "sales"},
		Attributes:       map[string][]string{"language": {"de", "en"}, "product": {"phones"}},
	}
	groups := []plan.Group{
		{ID: "00g1", Name: "Amazon Connect Agents"}, {ID: "00g2", Name: "Connect Queue Claims"}, {ID: "00g3", Name: "Connect Queue Billing"},
		{ID: "00g4", Name: "Speaks de fluently"}, {ID: "00g5", Name: "Speaks en"}, {ID: "00g6", Name: "Specialists"},
	}
	p := plan.New(c.Settings(), plan.World{Catalog: catalog, People: []plan.Person{
		{ID: "00u1", Username: "ann", Status: plan.StatusActive, Groups: groups, Profile: map[string]any{"department": "Training", "product": "phones"}},
		{ID: "00u2", Username: "bob", Status: plan.StatusActive, Groups: groups[:1]},
		{ID: "00u3", Username: "eve", Status: plan.StatusActive, Groups: append(slices.Clone(groups[:1]), plan.Group{ID: "00g9", Name: "Contact Centre Engineers"})},
	}})
	if len(p.Changes) != 2 || len(p.Refusals) != 1 || p.Refusals[0].Code != plan.Exempt {
		t.Fatalf("got %+v, want two agents and one exemption", p)
	}
	ann, bob := p.Changes[0].After, p.Changes[1].After
	want := plan.Agent{
		Username: "ann", RoutingProfile: "billing", SecurityProfiles: []string{"agent", "quality"}, Hierarchy: "support",
		Proficiencies: []plan.Proficiency{{Attribute: "language", Value: "de", Level: 5}, {Attribute: "language", Value: "en", Level: 3}, {Attribute: "product", Value: "phones", Level: 4}},
		Phone:         plan.Phone{Type: plan.SoftPhone, AutoAccept: true, AfterContactWork: 30},
		Channels:      map[plan.Channel]plan.Handled{plan.Chat: {AutoAccept: true, AfterContactWork: 10}},
		Tags:          map[string]string{"queue": "Billing"},
	}
	got := plan.Agent{Username: ann.Username, RoutingProfile: ann.RoutingProfile, SecurityProfiles: ann.SecurityProfiles, Hierarchy: ann.Hierarchy,
		Proficiencies: ann.Proficiencies, Phone: ann.Phone, Channels: ann.Channels, Tags: ann.Tags}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(want, got))
	}
	if bob.RoutingProfile != "basic" || len(bob.Proficiencies) != 0 || !slices.Equal(bob.SecurityProfiles, []string{"agent"}) {
		t.Errorf("bob got %+v", bob)
	}
}
