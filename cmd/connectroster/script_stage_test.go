package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	simconnect "connectroster/internal/sim/connect"
)

// The commands of scripts that tell a story: what people do in Okta and on the
// floor of the contact centre, in words.

// stage asks the simulators of a script.
type stage struct {
	ts            *testscript.TestScript
	okta, connect string
}

func stageOf(ts *testscript.TestScript) stage {
	return stage{ts: ts, okta: "http://" + ts.Getenv("OKTA"), connect: "http://" + ts.Getenv("CONNECT")}
}

// do makes a request that must succeed and decodes the answer.
func (s stage) do(method, url string, body, into any) {
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		s.ts.Check(err)
	}
	status, answer, err := call(method, url, nil, text)
	s.ts.Check(err)
	if status >= 400 {
		s.ts.Fatalf("%s %s: status %d: %s", method, url, status, answer)
	}
	if into != nil {
		s.ts.Check(json.Unmarshal([]byte(answer), into))
	}
}

// scriptSetting is: setting. It waits for the simulators, and makes the group
// Amazon Connect Agents and the app that signs its members in.
func scriptSetting(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	scriptAwait(ts, false, []string{s.connect + "/_sim/stats", "."})
	scriptUnhurried(ts, false, nil)
	groups := append([]string{"Amazon Connect Agents"}, args...)
	for _, g := range groups {
		s.do(http.MethodPost, s.okta+"/_sim/groups", map[string]string{"name": g}, nil)
	}
	s.do(http.MethodPost, s.okta+"/_sim/apps", map[string]any{"label": "Amazon Connect", "groups": groups[:1]}, nil)
}

// scriptUnhurried is: unhurried. It waits for the simulated Okta, and has it wait for
// answers of the daemon for a minute. The real one gives up after three seconds, twice,
// which a machine that does much else may let go by.
func scriptUnhurried(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	scriptAwait(ts, false, []string{s.okta + "/_sim/stats", "."})
	s.do(http.MethodPatch, s.okta+"/_sim/settings", map[string]int{"timeoutMs": 60_000}, nil)
}

// scriptHook is: hook. It waits for the daemon and makes the event hook that
// calls it.
func scriptHook(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	scriptAwait(ts, false, []string{"http://" + ts.Getenv("HOOK") + "/readyz", "ready"})
	scriptAwait(ts, false, []string{"unix:connectroster.db.sock:/v1/status", `"last": \{`}) // its first sweep is over
	hook := map[string]any{
		"name": "connectroster",
		"events": map[string]any{"type": "EVENT_TYPE", "items": []string{
			"group.user_membership.add", "group.user_membership.remove", "user.lifecycle.activate", "user.lifecycle.deactivate",
			"user.lifecycle.suspend", "user.lifecycle.unsuspend", "user.account.update_profile", "group.lifecycle.delete", "group.profile.update",
		}},
		"channel": map[string]any{"type": "HTTP", "version": "1.0.0", "config": map[string]any{
			"uri":        "http://" + ts.Getenv("HOOK") + "/hooks/okta",
			"authScheme": map[string]string{"type": "HEADER", "key": "Authorization", "value": ts.Getenv("OKTA_HOOK_SECRET")},
		}},
	}
	text, err := json.Marshal(hook)
	ts.Check(err)
	auth := []string{"Authorization: SSWS " + ts.Getenv("OKTA_API_TOKEN")}
	status, answer, err := call(http.MethodPost, s.okta+"/api/v1/eventHooks", auth, text)
	ts.Check(err)
	var made struct{ ID string }
	if status >= 400 || json.Unmarshal([]byte(answer), &made) != nil {
		ts.Fatalf("create the hook: status %d: %s", status, answer)
	}
	scriptVerify(ts, false, []string{made.ID})
}

// scriptVerify is: verify HOOK. It has Okta verify the hook of that id, whose answer
// comes as the standard output. Okta waits three seconds for the daemon, twice, which a
// machine that does much else may let go by; then somebody clicks once more.
func scriptVerify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: verify HOOK")
	}
	url := stageOf(ts).okta + "/api/v1/eventHooks/" + args[0] + "/lifecycle/verify"
	for end := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		status, answer, err := call(http.MethodPost, url, []string{"Authorization: SSWS dev-token-of-the-simulator"}, nil)
		ts.Check(err)
		if status < 400 {
			fmt.Fprint(ts.Stdout(), answer)
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("verify the hook: status %d: %s", status, answer)
		}
	}
}

// scriptOkta is: okta VERB WHO [VALUE...], what an administrator of Okta does:
//
//	okta hire LOGIN FIRST LAST [GROUP...]
//	okta join|leave LOGIN GROUP
//	okta suspend|unsuspend|deactivate|activate|delete LOGIN
//	okta name LOGIN FIRST LAST
//	okta login LOGIN NEW
//	okta profile LOGIN ATTRIBUTE VALUE
//	okta empty GROUP
//	okta group NAME
func scriptOkta(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) < 2 {
		ts.Fatalf("usage: okta VERB WHO [VALUE...]")
	}
	person := s.okta + "/_sim/people/" + args[1]
	value := func(n int) string {
		if len(args) < n+1 {
			ts.Fatalf("okta %s wants more words than %q", args[0], args)
		}
		return args[n]
	}
	switch verb := args[0]; verb {
	case "hire":
		groups := slices.Clone(args[4:])
		s.do(http.MethodPost, s.okta+"/_sim/people", map[string]any{"login": args[1], "firstName": value(2), "lastName": value(3), "groups": groups}, nil)
	case "join", "leave":
		s.do(http.MethodPost, person+"/"+verb, map[string]string{"group": value(2)}, nil)
	case "name":
		s.do(http.MethodPatch, person, map[string]string{"firstName": value(2), "lastName": value(3)}, nil)
	case "login":
		var user struct{ ID string }
		s.do(http.MethodGet, person, nil, &user)
		person = s.okta + "/_sim/people/" + user.ID
		s.do(http.MethodPost, person+"/app-username", map[string]string{"app": "Amazon Connect", "userName": value(2)}, nil)
		s.do(http.MethodPatch, person, map[string]string{"login": value(2)}, nil)
	case "profile":
		s.do(http.MethodPatch, person, map[string]string{value(2): value(3)}, nil)
	case "empty":
		s.do(http.MethodPost, s.okta+"/_sim/groups/"+s.group(args[1])+"/empty", nil, nil)
	case "group":
		s.do(http.MethodPost, s.okta+"/_sim/groups", map[string]string{"name": args[1]}, nil)
	default:
		s.do(http.MethodPost, person+"/"+verb, nil, nil)
	}
	ts.Setenv(oktaSaid, time.Now().Format(time.RFC3339Nano))
}

// group gives the id of a group.
func (s stage) group(name string) string {
	var state struct {
		Groups []struct{ ID, Name string }
	}
	s.do(http.MethodGet, s.okta+"/_sim/state", nil, &state)
	for _, g := range state.Groups {
		if g.Name == name {
			return g.ID
		}
	}
	s.ts.Fatalf("there is no group %q", name)
	return ""
}

// names gives the names of the entries of a catalogue by id.
func (s stage) names(kind string) map[string]string {
	var entries []simconnect.CatalogEntry
	s.do(http.MethodGet, s.connect+"/_sim/"+kind, nil, &entries)
	out := map[string]string{}
	for _, e := range entries {
		out[e.ID] = e.Name
	}
	return out
}

func (s stage) agents() []simconnect.Agent {
	var agents []simconnect.Agent
	s.do(http.MethodGet, s.connect+"/_sim/agents", nil, &agents)
	return agents
}

// lines gives the roster as text, a line for each agent, in words.
func (s stage) lines() string {
	routing, security, hierarchy := s.names("routing-profiles"), s.names("security-profiles"), s.names("hierarchy-groups")
	var out []string
	for _, a := range s.agents() {
		var rights, skills []string
		for _, id := range a.SecurityProfiles {
			rights = append(rights, security[id])
		}
		for _, p := range a.Proficiencies {
			skills = append(skills, fmt.Sprintf("%s:%s:%v", p.Attribute, p.Value, p.Level))
		}
		slices.Sort(rights)
		state, _, _ := strings.Cut(a.Tags["connectroster:state"], " ")
		if a.Tags["connectroster:deployment"] == "" {
			state = "nobody's"
		}
		line := fmt.Sprintf("%s (%s %s) routing=%s security=%s state=%s deployment=%s", a.Username, a.IdentityInfo.FirstName, a.IdentityInfo.LastName,
			routing[a.RoutingProfile], strings.Join(rights, ","), state, a.Tags["connectroster:deployment"])
		if a.HierarchyGroup != "" {
			line += " hierarchy=" + hierarchy[a.HierarchyGroup]
		}
		if len(skills) > 0 {
			line += " skills=" + strings.Join(skills, ",")
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(out, "\n") + "\n"
}

// scriptRoster is: roster REGEXP... It waits until the roster of Amazon Connect
// matches all of them, or with ! checks that it now matches none; and prints it.
func scriptRoster(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	var want []*regexp.Regexp
	for _, text := range args {
		re, err := regexp.Compile("(?m)" + text)
		ts.Check(err)
		want = append(want, re)
	}
	lines := s.lines()
	if neg {
		for _, re := range want {
			if re.MatchString(lines) {
				ts.Fatalf("the roster matches %s:\n%s", re, lines)
			}
		}
		return
	}
	missing := func(re *regexp.Regexp) bool { return !re.MatchString(lines) }
	for end := time.Now().Add(60 * time.Second); slices.ContainsFunc(want, missing); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("the roster never matched %q:\n%s", args, lines)
		}
		lines = s.lines()
	}
	fmt.Fprint(ts.Stdout(), lines)
}

// scriptFloor is: floor USERNAME FIELD=VALUE..., what a supervisor does to an
// agent by hand in Amazon Connect: routing=NAME, security=NAME, last=NAME,
// state=TEXT (of our tag, to let time pass), owner= (takes our tag off), gone (deletes
// it), made (adds it).
func scriptFloor(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) < 2 {
		ts.Fatalf("usage: floor USERNAME FIELD=VALUE...")
	}
	id := func(kind, name string) string {
		for id, n := range s.names(kind) {
			if n == name {
				return id
			}
		}
		ts.Fatalf("there is nothing named %q among the %s", name, kind)
		return ""
	}
	if args[1] == "made" {
		s.do(http.MethodPost, s.connect+"/_sim/agents", map[string]any{
			"Username": args[0], "IdentityInfo": map[string]string{"FirstName": "By", "LastName": "Hand"},
			"RoutingProfileId": id("routing-profiles", "Basic Routing Profile"), "SecurityProfileIds": []string{id("security-profiles", "Agent")},
		}, nil)
		return
	}
	at := slices.IndexFunc(s.agents(), func(a simconnect.Agent) bool { return a.Username == args[0] })
	if at < 0 {
		ts.Fatalf("there is no agent %s", args[0])
	}
	agent := s.agents()[at]
	if args[1] == "gone" {
		s.do(http.MethodDelete, s.connect+"/_sim/agents/"+agent.ID, nil, nil)
		return
	}
	change := map[string]any{}
	for _, arg := range args[1:] {
		switch field, value, _ := strings.Cut(arg, "="); field {
		case "routing":
			change["RoutingProfileId"] = id("routing-profiles", value)
		case "security":
			change["SecurityProfileIds"] = []string{id("security-profiles", value)}
		case "last":
			info := agent.IdentityInfo
			info.LastName = value
			change["IdentityInfo"] = info
		case "state":
			agent.Tags["connectroster:state"] = value
			change["Tags"] = agent.Tags
		case "owner":
			delete(agent.Tags, "connectroster:owner")
			change["Tags"] = agent.Tags
		default:
			ts.Fatalf("unknown field %s", field)
		}
	}
	s.do(http.MethodPatch, s.connect+"/_sim/agents/"+agent.ID, change, nil)
}

// scriptSweep is: sweep. It asks for a sweep and waits for the end of one that began
// afterwards: the daemon may be at another one, by itself.
func scriptSweep(ts *testscript.TestScript, neg bool, args []string) {
	started := func() time.Time {
		status, answer, err := call(http.MethodGet, absolute(ts, "unix:connectroster.db.sock:/v1/status"), nil, nil)
		var v struct {
			Sweep struct{ Last struct{ Started time.Time } }
		}
		if err == nil && status == http.StatusOK {
			err = json.Unmarshal([]byte(answer), &v)
		}
		ts.Check(err)
		return v.Sweep.Last.Started
	}
	ask := func() { scriptHTTP(ts, false, []string{"POST", "unix:connectroster.db.sock:/v1/sweep"}) }
	before, asked := started(), time.Now()
	ask()
	for end := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		switch last := started(); {
		case last.After(asked):
			return
		case !last.Equal(before): // it went on with one that was cut short
			before = last
			ask()
		case time.Now().After(end):
			ts.Fatalf("the sweep never ended")
		}
	}
}
