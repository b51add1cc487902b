package okta_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

const (
	setupLabel  = "Amazon Connect"
	setupSecret = "pa55-word/+=current"
	setupNext   = "Basic b2t0YTpuZXh0"
)

// setupWorld is an org behind HTTP and an endpoint of ours.
type setupWorld struct {
	*sim.Org
	t        *testing.T
	url      string // of the org
	endpoint string // of the hook
	app      sim.App

	mu      sync.Mutex
	secrets []string // that the endpoint accepts
	writes  []string // calls to the org that are not reads, in order
	answer  func(w http.ResponseWriter, r *http.Request) bool
}

func newSetupWorld(t *testing.T, config sim.Config) *setupWorld {
	t.Helper()
	config.AllowHTTP, config.Tokens = true, []string{apiToken}
	org, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &setupWorld{Org: org, t: t, secrets: []string{setupSecret, setupNext}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		if r.Method != http.MethodGet && r.URL.Path != "/oauth2/v1/token" {
			w.writes = append(w.writes, r.Method+" "+r.URL.Path)
		}
		answer := w.answer
		w.mu.Unlock()
		if answer == nil || !answer(rw, r) {
			org.ServeHTTP(rw, r)
		}
	}))
	hook := newHook(t, okta.HookConfig{Secrets: w.accepted, Groups: func() []string { return []string{groupName} }, Queue: &queue{}})
	endpoint := serve(t, hook)
	t.Cleanup(func() {
		server.Close()
		if err := org.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.url, w.endpoint = server.URL, endpoint.URL+"/hooks/okta"
	if w.app, err = org.AddApp(sim.NewApp{Label: setupLabel}); err != nil {
		t.Fatal(err)
	}
	w.roles("ConnectAgent")
	return w
}

func (w *setupWorld) accepted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.secrets)
}

func (w *setupWorld) accept(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = secrets
}

func (w *setupWorld) intercept(f func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *setupWorld) roles(names ...string) {
	w.t.Helper()
	if err := w.SetAppRoles(setupLabel, names...); err != nil {
		w.t.Fatal(err)
	}
}

// took gives the writing calls since the last time.
func (w *setupWorld) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.writes
	w.writes = nil
	return taken
}

func (w *setupWorld) config(change func(*okta.OrgConfig)) okta.OrgConfig {
	c := okta.OrgConfig{
		Client: newAPIClient(w.t, w.url, nil), Deployment: "production", Groups: []string{groupName}, App: setupLabel,
		HookURL: w.endpoint, HookSecret: setupSecret,
	}
	if change != nil {
		change(&c)
	}
	return c
}

func (w *setupWorld) org(change func(*okta.OrgConfig)) *okta.Org {
	w.t.Helper()
	o, err := okta.NewOrg(w.config(change))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// setup runs a set-up that must not fail.
func (w *setupWorld) setup(change func(*okta.OrgConfig)) okta.Report {
	w.t.Helper()
	report, err := w.org(change).Setup(w.t.Context())
	if err != nil {
		w.t.Fatalf("%v\n%s", err, lines(report))
	}
	return report
}

// oneHook gives the only hook, as the API shows it.
func (w *setupWorld) oneHook() obj {
	w.t.Helper()
	hooks := w.Hooks()
	if len(hooks) != 1 {
		w.t.Fatalf("%d hooks: %v", len(hooks), hooks)
	}
	return w.get("/api/v1/eventHooks/" + hooks[0].ID)
}

func (w *setupWorld) get(path string) obj {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "SSWS "+apiToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	var out obj
	if err := json.Unmarshal([]byte(body(w.t, response)), &out); err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %d, %v", path, response.StatusCode, err)
	}
	return out
}

func (w *setupWorld) group(name string) sim.Group {
	w.t.Helper()
	for _, g := range w.Groups() {
		if g.Name == name {
			return g
		}
	}
	w.t.Fatalf("no group %q", name)
	return sim.Group{}
}

// lines are a report in words.
func lines(r okta.Report) string {
	var s strings.Builder
	for _, step := range r.Steps {
		fmt.Fprintf(&s, "%s %s: %s\n", step.State, step.Name, step.Text)
	}
	return s.String()
}

// states are the steps of a report without their texts.
func states(r okta.Report) []string {
	var out []string
	for _, step := range r.Steps {
		out = append(out, string(step.State)+" "+step.Name)
	}
	return out
}

func wantStates(t *testing.T, r okta.Report, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("steps (-want +got):\n%s\n%s", diff, lines(r))
	}
}

func wantNothingWritten(t *testing.T, w *setupWorld) {
	t.Helper()
	if writes := w.took(); len(writes) > 0 {
		t.Errorf("written: %q", writes)
	}
}

// delivered makes somebody a member of a group, and counts the deliveries of it
// that are taken.
func (w *setupWorld) delivered(group string) int {
	w.t.Helper()
	before := w.Stats().Deliveries.Delivered
	if _, err := w.AddUser(sim.NewUser{Login: rand.Text() + "@example.com", FirstName: "Ana", LastName: "Silva", Groups: []string{group}}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Idle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.Stats().Deliveries.Delivered - before
}

// From nothing, everything is there and delivers; and again nothing changes.
func TestSetup(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	report := w.setup(nil)
	wantStates(t, report, "done group", "done app", "done event hook", "done verification")
	if !report.Complete() || !report.Changes() {
		t.Errorf("complete %t, changes %t", report.Complete(), report.Changes())
	}
	group := w.group(groupName)
	assignment := w.get("/api/v1/apps/" + w.app.ID + "/groups/" + group.ID)
	if diff := cmp.Diff(obj{"role": "ConnectAgent", "samlRoles": []any{"ConnectAgent"}}, assignment["profile"]); diff != "" {
		t.Errorf("the assignment (-want +got):\n%s", diff)
	}
	h := w.oneHook()
	filter := "event.target.?[type eq 'UserGroup' && id eq '" + group.ID + "'].size()>0"
	condition := obj{"expression": filter, "version": nil}
	want := obj{
		"name": "connectroster (production)", "status": "ACTIVE", "verificationStatus": "VERIFIED",
		"events": obj{"type": "EVENT_TYPE", "items": []any{"group.user_membership.add", "group.user_membership.remove"},
			"filter": obj{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": []any{
				obj{"event": "group.user_membership.add", "condition": condition},
				obj{"event": "group.user_membership.remove", "condition": condition}}}},
		"channel": obj{"type": "HTTP", "version": "1.0.0", "config": obj{"uri": w.endpoint, "method": "POST", "headers": []any{},
			"authScheme": obj{"type": "HEADER", "key": "Authorization"}}},
	}
	got := obj{}
	for key := range want {
		got[key] = h[key]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the hook (-want +got):\n%s", diff)
	}
	if _, err := w.AddGroup("Others"); err != nil {
		t.Fatal(err)
	}
	if n := w.delivered(groupName); n != 1 {
		t.Errorf("%d deliveries for a member of the group", n)
	}
	if n := w.delivered("Others"); n != 0 {
		t.Errorf("%d deliveries for a member of another group", n)
	}

	w.took()
	again := w.setup(nil)
	wantStates(t, again, "unchanged group", "unchanged app", "unchanged event hook", "unchanged verification")
	if diff := cmp.Diff([]string{"POST /api/v1/eventHooks/" + h["id"].(string) + "/lifecycle/verify"}, w.took()); diff != "" {
		t.Errorf("calls of the second run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(h, w.oneHook()); diff != "" {
		t.Errorf("the hook after the second run (-want +got):\n%s", diff)
	}
}

// With the API, everything that a hook can deliver is subscribed to, and nothing
// that it cannot.
func TestSetupEventsOfAPIMode(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	wantStates(t, w.setup(func(c *okta.OrgConfig) { c.API = true }), "done group", "done app", "done event hook", "done verification")
	group := w.group(groupName)
	events := w.oneHook()["events"].(obj)
	filters := map[string]string{}
	for _, m := range events["filter"].(obj)["eventFilterMap"].([]any) {
		filters[m.(obj)["event"].(string)] = m.(obj)["condition"].(obj)["expression"].(string)
	}
	ofGroup := "event.target.?[type eq 'UserGroup' && id eq '" + group.ID + "'].size()>0"
	ofApp := "event.target.?[type eq 'AppInstance' && id eq '" + w.app.ID + "'].size()>0"
	want := map[string]string{
		"group.user_membership.add": ofGroup, "group.user_membership.remove": ofGroup,
		"group.lifecycle.create": "", "group.lifecycle.delete": ofGroup, "group.profile.update": ofGroup,
		"group.application_assignment.add": ofGroup, "group.application_assignment.remove": ofGroup, "group.application_assignment.update": ofGroup,
		"application.user_membership.add": ofApp, "application.user_membership.remove": ofApp, "application.user_membership.update": ofApp,
		"user.lifecycle.create": "", "user.lifecycle.activate": "", "user.lifecycle.reactivate": "", "user.lifecycle.suspend": "",
		"user.lifecycle.unsuspend": "", "user.lifecycle.deactivate": "", "user.lifecycle.delete.initiated": "", "user.account.update_profile": "",
	}
	got := map[string]string{}
	for _, e := range events["items"].([]any) {
		got[e.(string)] = filters[e.(string)]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events and their filters (-want +got):\n%s", diff)
	}
	// Without an app its events are of no use.
	w.setup(func(c *okta.OrgConfig) { c.API, c.App = true, "" })
	for _, e := range w.oneHook()["events"].(obj)["items"].([]any) {
		if strings.HasPrefix(e.(string), "application.") || strings.HasPrefix(e.(string), "group.application") {
			t.Errorf("%s without an app", e)
		}
	}
}

// Several groups share one filter.
func TestSetupSeveralGroups(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	known, err := w.AddGroup("Supervisors")
	if err != nil {
		t.Fatal(err)
	}
	groups := func(c *okta.OrgConfig) { c.Groups = []string{groupName, known.ID, "Supervisors"} }
	wantStates(t, w.setup(groups), "unchanged group", "done group", "done app", "done app", "done event hook", "done verification")
	if a, b := w.delivered(groupName), w.delivered("Supervisors"); a != 1 || b != 1 {
		t.Errorf("%d and %d deliveries", a, b)
	}
	wantStates(t, w.setup(groups), "unchanged group", "unchanged group", "unchanged app", "unchanged app", "unchanged event hook", "unchanged verification")
}

// A dry run writes nothing, whatever there is, and tells what it would do.
func TestSetupDryRun(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	dry := func(c *okta.OrgConfig) { c.DryRun = true }
	wantStates(t, w.setup(dry), "would do group", "would do app", "would do event hook", "would do verification")
	wantNothingWritten(t, w)
	w.setup(nil)
	w.took()
	report := w.setup(dry)
	wantStates(t, report, "unchanged group", "unchanged app", "unchanged event hook")
	if report.Changes() {
		t.Errorf("a dry run of what is there would change something:\n%s", lines(report))
	}
	report = w.setup(func(c *okta.OrgConfig) { c.DryRun, c.API = true, true })
	wantStates(t, report, "unchanged group", "unchanged app", "would do event hook", "would do verification")
	wantNothingWritten(t, w)
}

// An org without filters gets a hook without one, and the report says so.
func TestSetupWithoutFiltering(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{Settings: sim.Settings{HookFiltersOff: true}})
	report := w.setup(nil)
	wantStates(t, report, "done group", "done app", "done event hook", "done verification")
	if !strings.Contains(lines(report), "Event Hook Filtering is not enabled") || w.oneHook()["events"].(obj)["filter"] != nil {
		t.Errorf("%s", lines(report))
	}
	report = w.setup(nil)
	wantStates(t, report, "unchanged group", "unchanged app", "unchanged event hook", "unchanged verification")
	if !strings.Contains(lines(report), "Event Hook Filtering is not enabled") {
		t.Errorf("%s", lines(report))
	}
	// Once it is enabled, the next run filters.
	if err := w.Configure(func(s *sim.Settings) { s.HookFiltersOff = false }); err != nil {
		t.Fatal(err)
	}
	report = w.setup(nil)
	wantStates(t, report, "unchanged group", "unchanged app", "done event hook", "done verification")
	if w.oneHook()["events"].(obj)["filter"] == nil {
		t.Errorf("%s", lines(report))
	}
}

// The feature may also be refused with its own code, which is a 401: the
// credential is good all the same.
func TestSetupFeatureRefusedWith401(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{Settings: sim.Settings{HookFiltersOff: true}})
	refused := 0
	w.intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/eventHooks" || refused > 0 {
			return false
		}
		refused++
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(rw, `{"errorCode":"E0000015"}`)
		return true
	})
	wantStates(t, w.setup(nil), "done group", "done app", "done event hook", "done verification")
}

// Who may not write learns what to do by hand, step by step.
func TestSetupWithoutRights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		roles []string
		blind bool
		want  []string
		texts []string
	}{
		{"reads alone", []string{"READ_ONLY_ADMIN"}, true,
			[]string{"manual group", "manual event hook"}, []string{"Directory > Groups", "Workflow > Event Hooks"}},
		{"no hooks", []string{"USER_ADMIN", "APP_ADMIN"}, true,
			[]string{"done group", "done app", "manual event hook"}, []string{"Authentication secret"}},
		{"no apps", []string{"USER_ADMIN", "okta.eventhooks.manage"}, false,
			[]string{"done group", "manual app", "done event hook", "done verification"}, []string{"Assign to Groups"}},
		{"blind", []string{"okta.eventhooks.manage"}, false,
			[]string{"manual group", "manual app", "done event hook", "done verification"}, []string{"Directory > Groups", "Assign to Groups"}},
		{"nothing", nil, true,
			[]string{"manual group", "manual app", "manual event hook"}, []string{"Directory > Groups", "Assign to Groups", "Workflow > Event Hooks"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{Settings: sim.Settings{MissingRoleForbids: c.blind}})
			if err := w.SetTokenRoles(apiToken, c.roles...); err != nil {
				t.Fatal(err)
			}
			report := w.setup(nil)
			wantStates(t, report, c.want...)
			if report.Complete() {
				t.Error("a report with steps by hand is complete")
			}
			by := ""
			for _, s := range report.Steps {
				if (s.State == okta.StepManual) != (s.ByHand != "") {
					t.Errorf("%s %s: by hand %q", s.State, s.Name, s.ByHand)
				}
				by += s.ByHand
			}
			// What was done meanwhile is known to whoever goes on by hand.
			if c.name == "no hooks" && !strings.Contains(by, "id eq '"+w.group(groupName).ID+"'") {
				t.Errorf("the filter lacks the id of the new group:\n%s", by)
			}
			for _, text := range c.texts {
				if !strings.Contains(by, text) {
					t.Errorf("%q is not among what is to be done by hand:\n%s", text, by)
				}
			}
			if strings.Contains(by+lines(report), setupSecret) || strings.ContainsAny(by, "{}") {
				t.Errorf("%s", by)
			}
		})
	}
}

// A hook of somebody who cannot see the groups keeps the filter that it has.
func TestSetupKeepsFilterOfUnseenGroups(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	before := w.oneHook()["events"]
	if err := w.SetTokenRoles(apiToken, "okta.eventhooks.manage"); err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.setup(nil), "manual group", "manual app", "unchanged event hook", "unchanged verification")
	if err := w.SetTokenRoles(apiToken, "SUPER_ADMIN"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.oneHook()["events"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Which role the group gets.
func TestSetupRoles(t *testing.T) {
	t.Parallel()
	pick := func(answer string) func(string, []string) (string, error) {
		return func(_ string, options []string) (string, error) {
			if !slices.Equal(options, []string{"Agent", "Supervisor"}) {
				return "", fmt.Errorf("options %q", options)
			}
			return answer, nil
		}
	}
	for _, c := range []struct {
		name  string
		roles []string
		role  string
		ask   func(string, []string) (string, error)
		state string // of the app's step
		want  any    // the role
		fails string
	}{
		{name: "one", roles: []string{"Agent"}, state: "done app", want: "Agent"},
		{name: "named", roles: []string{"Agent", "Supervisor"}, role: "Supervisor", state: "done app", want: "Supervisor"},
		{name: "asked", roles: []string{"Agent", "Supervisor"}, ask: pick("Supervisor"), state: "done app", want: "Supervisor"},
		{name: "nobody to ask", roles: []string{"Agent", "Supervisor"}, state: "manual app"},
		{name: "none", state: "manual app"},
		{name: "unknown", roles: []string{"Agent", "Supervisor"}, role: "Boss", fails: `no role "Boss"; it has ["Agent" "Supervisor"]`},
		{name: "odd answer", roles: []string{"Agent", "Supervisor"}, ask: pick("Boss"), fails: `no role "Boss"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			w.roles(c.roles...)
			report, err := w.org(func(o *okta.OrgConfig) { o.Role, o.Ask = c.role, c.ask }).Setup(t.Context())
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				wantNothingWritten(t, w)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantStates(t, report, "done group", c.state, "done event hook", "done verification")
			apps := w.Apps()
			if c.want == nil {
				if len(apps[0].Groups) != 0 {
					t.Error("assigned without a role")
				}
				return
			}
			profile := w.get("/api/v1/apps/" + w.app.ID + "/groups/" + w.group(groupName).ID)["profile"].(obj)
			if profile["role"] != c.want || !cmp.Equal(profile["samlRoles"], []any{c.want}) {
				t.Errorf("%v", profile)
			}
			// Nobody is asked about what is settled.
			again := w.setup(func(o *okta.OrgConfig) { o.Role = c.role })
			wantStates(t, again, "unchanged group", "unchanged app", "unchanged event hook", "unchanged verification")
		})
	}
}

// A group that has the app for another account keeps that role.
func TestSetupAddsRole(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.roles("Billing", "ConnectAgent")
	w.setup(func(c *okta.OrgConfig) { c.Role = "Billing" })
	wantStates(t, w.setup(func(c *okta.OrgConfig) { c.Role = "ConnectAgent" }),
		"unchanged group", "done app", "unchanged event hook", "unchanged verification")
	profile := w.get("/api/v1/apps/" + w.app.ID + "/groups/" + w.group(groupName).ID)["profile"]
	if diff := cmp.Diff(obj{"role": "Billing", "samlRoles": []any{"Billing", "ConnectAgent"}}, profile); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An app without roles takes groups as they are.
func TestSetupAppWithoutRoles(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	other, err := w.AddApp(sim.NewApp{Label: "Connect by SAML", Name: "custom_saml"})
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.setup(func(c *okta.OrgConfig) { c.App = other.ID }), "done group", "done app", "done event hook", "done verification")
	if _, err := w.org(func(c *okta.OrgConfig) { c.App, c.Role = other.ID, "Agent" }).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "no attribute for a role") {
		t.Errorf("%v", err)
	}
}

// A hook that somebody made by hand, or that points elsewhere, becomes ours and
// keeps what is not ours of it.
func TestSetupChangesHook(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]func(w *setupWorld) sim.HookConfig{
		"our address": func(w *setupWorld) sim.HookConfig {
			return sim.HookConfig{Name: "Amazon Connect", URI: w.endpoint, Events: []string{"group.user_membership.add"}}
		},
		"our name": func(*setupWorld) sim.HookConfig {
			return sim.HookConfig{Name: "connectroster (production)", URI: "https://old.example.com/create_user", AuthValue: "old",
				Events: []string{"user.lifecycle.create", "group.user_membership.remove", "group.user_membership.add"}}
		},
		"another filter": func(w *setupWorld) sim.HookConfig {
			return sim.HookConfig{Name: "connectroster (production)", URI: w.endpoint, AuthValue: setupSecret,
				Events:  []string{"group.user_membership.remove", "group.user_membership.add"},
				Filters: map[string]string{"group.user_membership.add": "event.target.?[displayName eq 'Sales'].size()>0"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			config := made(w)
			config.Headers = []sim.Header{{Key: "X-Ours", Value: "kept"}}
			before, err := w.AddHook(config)
			if err != nil {
				t.Fatal(err)
			}
			wantStates(t, w.setup(nil), "done group", "done app", "done event hook", "done verification")
			h := w.oneHook()
			channel := h["channel"].(obj)["config"].(obj)
			if h["id"] != before.ID || h["name"] != config.Name || channel["uri"] != w.endpoint || h["verificationStatus"] != "VERIFIED" ||
				!cmp.Equal(channel["headers"], []any{obj{"key": "X-Ours", "value": "kept"}}) {
				t.Errorf("%v", h)
			}
			if n := w.delivered(groupName); n != 1 {
				t.Errorf("%d deliveries", n)
			}
			wantStates(t, w.setup(nil), "unchanged group", "unchanged app", "unchanged event hook", "unchanged verification")
		})
	}
}

// A second hook that calls us is told, and several of our name are refused.
func TestSetupSeveralHooks(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	events := []string{"group.user_membership.add"}
	second, err := w.AddHook(sim.HookConfig{Name: "Amazon Connect", URI: w.endpoint, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	report := w.setup(nil)
	wantStates(t, report, "unchanged group", "unchanged app", "manual event hook", "unchanged event hook", "unchanged verification")
	if !strings.Contains(lines(report), second.ID) {
		t.Error(lines(report))
	}
	if _, err := w.AddHook(sim.HookConfig{Name: "connectroster (production)", URI: w.endpoint, Events: events}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.org(nil).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "2 event hooks named") {
		t.Errorf("%v", err)
	}
}

// An endpoint that does not answer as it should leaves the hook unverified, and
// the report says what is wrong with it. A hook that works is not led there.
func TestSetupWrongEndpoint(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.NotFoundHandler())
	silent.Close()
	foreign := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"hello":"world"}`) }))
	for name, c := range map[string]struct {
		url, secret string
		says        string
	}{
		"another secret": {secret: "another-secret", says: "does not accept the secret (it answered 401)"},
		"no server":      {url: silent.URL + "/hooks/okta", says: "cannot be reached"},
		"another server": {url: foreign.URL + "/hooks/okta", says: "without the challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := func(o *okta.OrgConfig) {
				if c.url != "" {
					o.HookURL = c.url
				}
				if c.secret != "" {
					o.HookSecret = c.secret
				}
			}
			w := newSetupWorld(t, sim.Config{})
			report, err := w.org(wrong).Setup(t.Context())
			if err == nil || !strings.Contains(lines(report), c.says) || report.Complete() {
				t.Errorf("%v\n%s", err, lines(report))
			}
			wantStates(t, report, "done group", "done app", "done event hook", "failed verification")
			if strings.Contains(lines(report)+err.Error(), "another-secret") {
				t.Error("the secret is told")
			}

			w = newSetupWorld(t, sim.Config{})
			w.setup(nil)
			w.took()
			before := w.oneHook()
			report, err = w.org(func(o *okta.OrgConfig) { wrong(o); o.API = true }).Setup(t.Context())
			if err == nil || !strings.Contains(lines(report), c.says) {
				t.Errorf("%v\n%s", err, lines(report))
			}
			wantNothingWritten(t, w)
			if diff := cmp.Diff(before, w.oneHook()); diff != "" {
				t.Errorf("a hook that worked is changed (-want +got):\n%s", diff)
			}
		})
	}
}

// A hook whose secret is not accepted any more looks right in Okta. It gets ours.
func TestSetupMendsSecret(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	w.accept(setupNext)
	report := w.setup(func(c *okta.OrgConfig) { c.HookSecret = setupNext })
	wantStates(t, report, "unchanged group", "unchanged app", "unchanged event hook", "done event hook", "done verification")
	if n := w.delivered(groupName); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

// An inactive hook is activated.
func TestSetupActivates(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	id := w.Hooks()[0].ID
	w.post("/api/v1/eventHooks/" + id + "/lifecycle/deactivate")
	wantStates(t, w.setup(nil), "unchanged group", "unchanged app", "unchanged event hook", "done event hook", "unchanged verification")
	if h := w.Hooks()[0]; !h.Active || !h.Verified {
		t.Errorf("%v", h)
	}
}

func (w *setupWorld) post(path string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "SSWS "+apiToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if body(w.t, response); response.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %d", path, response.StatusCode)
	}
}

// The search index may not know a group yet, or still know one under its old name.
func TestSetupDoesNotTrustSearch(t *testing.T) {
	t.Parallel()
	clock := newAPIClock()
	w := newSetupWorld(t, sim.Config{Now: clock.now, Settings: sim.Settings{SearchLag: 30 * 60 * 1e9}})
	if _, err := w.AddGroup(groupName); err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.setup(nil), "unchanged group", "done app", "done event hook", "done verification")
	clock.move(60 * 60 * 1e9)
	if err := w.UpdateGroup(groupName, "Agents of old", ""); err != nil {
		t.Fatal(err)
	}
	report := w.setup(nil)
	wantStates(t, report, "done group", "done app", "done event hook", "done verification")
}

// Whatever call fails once, on whichever side of its effect, a run after it ends
// where a run without failures does, and nothing is there twice.
func TestSetupIsFinishedByTheNextRun(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := 1; n <= 24; n++ {
			t.Run(fmt.Sprintf("call %d, done %t", n, after), func(t *testing.T) {
				t.Parallel()
				w := newSetupWorld(t, sim.Config{})
				calls := 0
				w.intercept(func(rw http.ResponseWriter, r *http.Request) bool {
					w.mu.Lock()
					calls++
					broken := calls == n
					w.mu.Unlock()
					if !broken {
						return false
					}
					if after {
						w.ServeHTTP(httptest.NewRecorder(), r)
					}
					panic(http.ErrAbortHandler)
				})
				_, _ = w.org(nil).Setup(t.Context())
				w.intercept(nil)
				report := w.setup(nil)
				h := w.Hooks()
				groups := 0
				for _, g := range w.Groups() {
					if g.Name == groupName {
						groups++
					}
				}
				if !report.Complete() || len(h) != 1 || !h[0].Active || !h[0].Verified || groups != 1 || len(w.Apps()[0].Groups) != 1 {
					t.Errorf("hooks %v, %d groups, apps %v\n%s", h, groups, w.Apps(), lines(report))
				}
			})
		}
	}
}

// A group whose creation got no answer is found, and not made twice.
func TestSetupUncertainCreations(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/groups" && r.URL.Path != "/api/v1/eventHooks" {
			return false
		}
		w.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	wantStates(t, w.setup(nil), "done group", "done app", "done event hook", "done verification")
	posts := 0
	for _, call := range w.took() {
		if call == "POST /api/v1/groups" || call == "POST /api/v1/eventHooks" {
			posts++
		}
	}
	if posts != 2 || len(w.Hooks()) != 1 {
		t.Errorf("%d creations, %d hooks", posts, len(w.Hooks()))
	}
}

func TestSetupRefusesOddConfigurations(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	for name, c := range map[string]func(*okta.OrgConfig){
		"no client":      func(c *okta.OrgConfig) { c.Client = nil },
		"no deployment":  func(c *okta.OrgConfig) { c.Deployment = "" },
		"no address":     func(c *okta.OrgConfig) { c.HookURL = "" },
		"no URL":         func(c *okta.OrgConfig) { c.HookURL = "roster.example.com" },
		"http":           func(c *okta.OrgConfig) { c.HookURL = "http://roster.example.com/hooks/okta" },
		"ftp":            func(c *okta.OrgConfig) { c.HookURL = "ftp://roster.example.com/hooks/okta" },
		"password":       func(c *okta.OrgConfig) { c.HookURL = "https://canary:canary@roster.example.com/" },
		"space":          func(c *okta.OrgConfig) { c.HookURL = "https://roster.example.com/hooks okta" },
		"long":           func(c *okta.OrgConfig) { c.HookURL = "https://roster.example.com/" + strings.Repeat("x", 1024) },
		"odd header":     func(c *okta.OrgConfig) { c.HookHeader = "X Secret" },
		"long name":      func(c *okta.OrgConfig) { c.HookName = strings.Repeat("ä", 256) },
		"nameless group": func(c *okta.OrgConfig) { c.Groups = []string{groupName, ""} },
	} {
		if _, err := okta.NewOrg(w.config(c)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "two\r\nlines", "nül"} {
		if _, err := w.org(func(c *okta.OrgConfig) { c.HookSecret = bad }).Setup(t.Context()); err == nil {
			t.Errorf("the secret %q is taken", bad)
		}
	}
	wantNothingWritten(t, w)
}

// Group ids that do not exist, and names that stand for several, end the run
// before anything is changed.
func TestSetupUnknownReferences(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	for name, change := range map[string]func(*okta.OrgConfig){
		"group id": func(c *okta.OrgConfig) { c.Groups = []string{"00g0000000000000none"} },
		"app":      func(c *okta.OrgConfig) { c.App = "Amazon Disconnect" },
		"app id":   func(c *okta.OrgConfig) { c.App = "0oa0000000000000none" },
	} {
		report := w.setup(func(c *okta.OrgConfig) { change(c); c.DryRun = true })
		if report.Complete() {
			t.Errorf("%s: %s", name, lines(report))
		}
	}
	wantNothingWritten(t, w)
}

// serviceApp adds a service app and gives a client that signs in as it.
func (w *setupWorld) serviceApp(scopes, roles []string, dpop bool) *okta.Client {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	app, err := w.AddClient(sim.NewClient{Scopes: scopes, Roles: roles, DPoP: dpop,
		ClientKey: sim.ClientKey{KID: "k1", PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}})
	if err != nil {
		w.t.Fatal(err)
	}
	return newAPIClient(w.t, w.url, func(c *okta.ClientConfig) {
		c.Token, c.ClientID, c.KeyID = "", app.ClientID, "k1"
		c.PrivateKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
		c.Now, c.Wait = nil, nil
	})
}

// A service app is asked for the scopes of a set-up, whatever its client asks for
// at other times; what it is not granted is told, and by hand.
func TestSetupByServiceApp(t *testing.T) {
	t.Parallel()
	all := []string{"okta.groups.read", "okta.groups.manage", "okta.apps.read", "okta.apps.manage", "okta.schemas.read",
		"okta.eventHooks.read", "okta.eventHooks.manage"}
	for _, dpop := range []bool{false, true} {
		w := newSetupWorld(t, sim.Config{})
		client := w.serviceApp(all, []string{"SUPER_ADMIN"}, dpop)
		wantStates(t, w.setup(func(c *okta.OrgConfig) { c.Client = client }), "done group", "done app", "done event hook", "done verification")
	}
	w := newSetupWorld(t, sim.Config{})
	client := w.serviceApp(all[:5], []string{"SUPER_ADMIN"}, false)
	report := w.setup(func(c *okta.OrgConfig) { c.Client = client })
	wantStates(t, report, "manual credential", "done group", "done app", "manual event hook")
	if !strings.Contains(lines(report), "okta.eventHooks.read okta.eventHooks.manage") || strings.Contains(report.Steps[0].Text, "groups") {
		t.Error(lines(report))
	}
	w = newSetupWorld(t, sim.Config{})
	client = w.serviceApp(nil, nil, false)
	report = w.setup(func(c *okta.OrgConfig) { c.Client = client })
	wantStates(t, report, "manual credential", "manual group", "manual app", "manual event hook")
}

// The manual says what the program says.
func TestByHandIsTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "okta-by-hand.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range okta.ByHandSections() {
		if !strings.Contains(string(manual), section) {
			t.Errorf("docs/okta-by-hand.md lacks:\n%s", section)
		}
	}
	w := newSetupWorld(t, sim.Config{})
	text := okta.ByHand(w.config(nil))
	for n := 1; n <= 15; n++ {
		if !strings.Contains(text, fmt.Sprintf("%d. ", n)) {
			t.Errorf("step %d is missing", n)
		}
	}
	for _, want := range []string{groupName, setupLabel, w.endpoint, "Authorization", "connectroster (production)", "group.user_membership.remove"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.Contains(text, setupSecret) || strings.ContainsAny(text, "{}") {
		t.Errorf("%s", text)
	}
	wantNothingWritten(t, w)
}
