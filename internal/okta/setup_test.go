package okta_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/remedy"
	sim "connectroster/internal/sim/okta"
)

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

// Whom the rules leave out is not let into the app: a group of theirs is looked for,
// heard of by the hook, and not assigned.
func TestSetupAssignsGroupsOfAgentsAlone(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	if _, err := w.AddGroup("Trainees"); err != nil {
		t.Fatal(err)
	}
	for _, agents := range [][]string{{groupName}, {"/^" + groupName + "$/"}} {
		config := func(c *okta.OrgConfig) { c.Groups, c.Agents = []string{groupName, "Trainees", "Interns"}, agents }
		dry := w.setup(func(c *okta.OrgConfig) { config(c); c.DryRun = true })
		report := w.setup(config)
		for _, r := range []okta.Report{dry, report} {
			for _, s := range r.Steps {
				if s.Name == "app" && !strings.Contains(s.Text, groupName) {
					t.Errorf("%s: %s", s.State, s.Text)
				}
			}
		}
		if a, b := w.delivered(groupName), w.delivered("Trainees"); a != 1 || b != 1 {
			t.Errorf("%d and %d deliveries", a, b)
		}
		health, err := w.org(config).Status(t.Context())
		if err != nil || !health.Healthy() {
			t.Errorf("%v: %+v", err, health.Checks)
		}
	}
	text := okta.ByHand(w.config(func(c *okta.OrgConfig) { c.Groups, c.Agents = []string{groupName, "Trainees"}, []string{groupName} }))
	if !strings.Contains(text, "beside the group \""+groupName+"\".") {
		t.Errorf("%s", text)
	}
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

// A role that the app does not know is no fault of what is between us and Okta.
func TestSetupRoleThatTheAppDoesNotTake(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.roles()
	_, err := w.org(func(o *okta.OrgConfig) { o.Role = "Agents" }).Setup(t.Context())
	if err == nil || remedy.CodeOf(err) != "okta_app" || !strings.Contains(err.Error(), `does not take the role "Agents"`) {
		t.Errorf("%v [%s]", err, remedy.CodeOf(err))
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
