package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// usGroup is the group whose members have an agent in the second instance.
const usGroup = "Connect US Agents"

// pair is a world with a second Amazon Connect instance. Whoever is in the usual
// group has an agent in the first, called emea, and whoever is in usGroup in the
// second.
type pair struct {
	*world
	second *simconnect.Instance
	road   *gate // before it
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := syncing(t, setup{groups: []string{usGroup}})
	settings := simconnect.DefaultSettings()
	settings.Limit, settings.Quota, settings.RequireSignature = simconnect.Limit{}, 0, true
	second, err := simconnect.New(simconnect.Config{Settings: &settings, InstanceID: "66666666-7777-8888-9999-000000000000", Alias: "second"})
	must(t, err)
	_, err = second.AddParkingProfile("Parked")
	must(t, err)
	_, err = second.AddSecurityProfile("No permissions")
	must(t, err)
	p := &pair{world: w, second: second, road: newGate(t, second)}
	w.setup.roster = fmt.Sprintf(`instances:
  emea: {instance: %s, region: %s, profile: %s, rate: 1000, burst: 1000}
  us: {instance: %s, region: %s, profile: %s, rate: 1000, burst: 1000}
personas:
  emea-agent: {instance: emea, routing_profile: Basic Routing Profile, security_profiles: [Agent]}
  us-agent: {instance: us, routing_profile: Basic Routing Profile, security_profiles: [Agent]}
  emea-parked: {instance: emea, routing_profile: Parked, security_profiles: [No permissions]}
  us-parked: {instance: us, routing_profile: Parked, security_profiles: [No permissions]}
`, w.instance.ID(), w.instance.Region(), w.profile, second.ID(), second.Region(), addProfile(t, p.road.url()))
	w.setup.persona = ""
	w.setup.rules = fmt.Sprintf("  - {groups: [%q], persona: emea-agent}\n  - {groups: [%q], persona: us-agent}\n", agentGroup, usGroup)
	w.setup.more = "leavers: {suspend_as: [emea-parked, us-parked], delete_after: 7d}\n"
	return p
}

// stands waits until the agents of both instances are in certain states, by
// username.
func (p *pair) stands(emea, us map[string]string) {
	p.t.Helper()
	var have [2]map[string]string
	p.await(fmt.Sprintf("agents %v and %v", emea, us), 150*time.Second, func() bool {
		for i, in := range []*simconnect.Instance{p.instance, p.second} {
			have[i] = map[string]string{}
			for _, a := range in.Agents() {
				state, _, _ := strings.Cut(a.Tags["connectroster:state"], " ")
				have[i][a.Username] = state
			}
		}
		return maps.Equal(have[0], emea) && maps.Equal(have[1], us)
	})
}

// TestOneInstanceDown: people have an agent in each of two instances. What happens
// to them while one cannot be reached is done in the other at once, and in that one
// as soon as it is back.
func TestOneInstanceDown(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	both := p.hire(1, agentGroup, usGroup)
	away := p.hire(2, agentGroup, usGroup)
	here := p.hire(3, agentGroup)
	there := p.hire(4, usGroup)
	p.start()
	p.ready()
	p.stands(
		map[string]string{both.Login: "active", away.Login: "active", here.Login: "active"},
		map[string]string{both.Login: "active", away.Login: "active", there.Login: "active"})
	for _, in := range []*simconnect.Instance{p.instance, p.second} {
		for _, a := range in.Agents() {
			if a.Tags["connectroster:deployment"] != "test" {
				t.Errorf("agent %s bears %v", a.ID, a.Tags)
			}
		}
	}

	p.road.lead(nil)
	joins := p.hire(5, agentGroup, usGroup)
	must(t, p.org.Suspend(away.ID))
	must(t, p.org.Suspend(here.ID))
	p.stands(
		map[string]string{both.Login: "active", away.Login: "suspended", here.Login: "suspended", joins.Login: "active"},
		map[string]string{both.Login: "active", away.Login: "active", there.Login: "active"})
	// The one who has agents in both waits for the second, and is no dead letter.
	for _, u := range []simokta.User{away, joins} {
		p.await("the other instance to be waited for", 90*time.Second, func() bool {
			who := p.person(u.ID)
			return who.Queue != nil && who.Queue.Attempts > 0
		})
		if status, text := p.call(http.MethodGet, "/v1/dead", ""); status != http.StatusOK || strings.Contains(text, u.ID) {
			t.Errorf("dead letters: %d %s", status, text)
		}
	}

	// What is known of the one that can be read is explained.
	status, text := p.call(http.MethodGet, "/v1/people/"+both.ID+"/explain", "")
	if status != http.StatusOK || !strings.Contains(text, `"absent"`) || !strings.Contains(text, `"persona": "emea-agent"`) {
		t.Errorf("explained while one is down: %d %s", status, text)
	}

	p.road.lead(p.second)
	p.stands(
		map[string]string{both.Login: "active", away.Login: "suspended", here.Login: "suspended", joins.Login: "active"},
		map[string]string{both.Login: "active", away.Login: "suspended", there.Login: "active", joins.Login: "active"})
}

// TestNameOfTwo: in each of two instances an agent has the same username, which is the
// login of nobody any more, and they are not one person's. Nobody's agents are given up by
// that name, and each person's by their own.
func TestNameOfTwo(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	one, other := p.hire(1, agentGroup), p.hire(2, usGroup)
	p.start()
	p.stands(map[string]string{one.Login: "active"}, map[string]string{other.Login: "active"})
	for in, owner := range map[*simconnect.Instance]string{p.instance: one.ID, p.second: other.ID} {
		_, err := in.AddAgent(simconnect.Agent{Username: "once@example.com", IdentityInfo: simconnect.IdentityInfo{FirstName: "Once", LastName: "More"}, Tags: map[string]string{
			"connectroster:deployment": "test", "connectroster:owner": owner, "connectroster:state": "retired 2026-11-01T00:00:00Z",
		}})
		must(t, err)
	}
	release := func(name string) (int, string) {
		t.Helper()
		return p.call(http.MethodPost, "/v1/release", `{"people": ["`+name+`"]}`)
	}
	status, text := release("once@example.com")
	if status != http.StatusNotFound || !strings.Contains(text, one.ID) || !strings.Contains(text, other.ID) || !strings.Contains(text, "person_unknown") {
		t.Fatalf("a name of two: %d %s", status, text)
	}
	if status, text := p.call(http.MethodGet, "/v1/people/once@example.com/explain", ""); status != http.StatusNotFound || !strings.Contains(text, "of two people") {
		t.Errorf("a name of two is explained: %d %s", status, text)
	}
	p.stands(map[string]string{one.Login: "active", "once@example.com": "retired"}, map[string]string{other.Login: "active", "once@example.com": "retired"})
	if status, text := release(other.ID); status != http.StatusOK {
		t.Errorf("the one whose it is: %d %s", status, text)
	}
	p.stands(map[string]string{one.Login: "active", "once@example.com": "retired"}, map[string]string{other.Login: "", "once@example.com": ""})
}

// TestStartWithOneInstanceDown: an instance that cannot be reached when the program
// starts does not keep it from working on the other.
func TestStartWithOneInstanceDown(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	one, other := p.hire(1, agentGroup, usGroup), p.hire(2, usGroup)
	p.road.lead(nil)
	p.start()
	p.stands(map[string]string{one.Login: "active"}, map[string]string{})
	p.road.lead(p.second)
	p.stands(map[string]string{one.Login: "active"}, map[string]string{one.Login: "active", other.Login: "active"})
}
