package okta_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

// status looks at an org whose hook has been set up as production.
func (w *setupWorld) status(change func(*okta.OrgConfig)) okta.Health {
	w.t.Helper()
	h, err := w.org(change).Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// findings are a health in words, but for what is well.
func findings(h okta.Health) string {
	var s strings.Builder
	for _, c := range h.Checks {
		if c.State != okta.HealthOK {
			fmt.Fprintf(&s, "%s %s: %s\n", c.State, c.Name, c.Text)
		}
	}
	return s.String()
}

func TestStatusOfHealthyOrg(t *testing.T) {
	t.Parallel()
	for _, api := range []bool{false, true} {
		w := newSetupWorld(t, sim.Config{})
		mode := func(c *okta.OrgConfig) { c.API = api }
		w.setup(mode)
		w.delivered(groupName)
		w.took()
		h := w.status(mode)
		if !h.Healthy() || findings(h) != "" {
			t.Errorf("%s", findings(h))
		}
		var names []string
		for _, c := range h.Checks {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
		if diff := cmp.Diff([]string{"credential", "admin role", "group", "app", "event hook", "deliveries"}, names); diff != "" {
			t.Errorf("checks (-want +got):\n%s", diff)
		}
		classes := map[string]int{}
		for _, l := range h.Limits {
			classes[l.Class] = l.Limit
			if l.Remaining >= l.Limit || l.Remaining < 0 || l.Reset.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		want := map[string]int{"apps": 100, "groups": 500, "groups/{id}": 1000, "logs": 120, "other": 1200}
		if api {
			want["users"] = 600
		}
		if diff := cmp.Diff(want, classes); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
		wantNothingWritten(t, w)
	}
}

// TestStatusOfLentToken: a token that stands in for the service app says nothing of that.
func TestStatusOfLentToken(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	lent := func(c *okta.OrgConfig) { c.API, c.Lent = true, true }
	w.setup(lent)
	w.delivered(groupName)
	w.took()
	h := w.status(lent)
	if got := findings(h); !h.Healthy() || !strings.Contains(got, "the service app of okta.auth") {
		t.Errorf("healthy %t: %s", h.Healthy(), got)
	}
}

// Everything that keeps people from becoming agents is found, and told apart.
func TestStatusFindsFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		spoil   func(w *setupWorld)
		change  func(*okta.OrgConfig)
		healthy bool
		says    string
	}{
		{name: "no hook", spoil: func(w *setupWorld) { w.remove() }, says: `no event hook named "connectroster (production)"`},
		{name: "inactive", spoil: func(w *setupWorld) { w.post(w.hookPath() + "/lifecycle/deactivate") }, says: "is not active"},
		{name: "unverified", spoil: func(w *setupWorld) {
			w.remove()
			_, err := w.AddHook(sim.HookConfig{Name: "connectroster (production)", URI: w.endpoint, Events: []string{"group.user_membership.add", "group.user_membership.remove"}})
			if err != nil {
				w.t.Fatal(err)
			}
		}, says: "is active but not verified"},
		{name: "another address", change: func(c *okta.OrgConfig) { c.HookURL += "/elsewhere" }, says: "calls another address than"},
		{name: "another header", change: func(c *okta.OrgConfig) { c.HookHeader = "X-Secret" }, says: "not in the header X-Secret"},
		{name: "events missing", change: func(c *okta.OrgConfig) { c.API = true }, says: "does not deliver application.user_membership.add, "},
		{name: "group renamed", spoil: func(w *setupWorld) {
			if err := w.UpdateGroup(groupName, "Agents", ""); err != nil {
				w.t.Fatal(err)
			}
		}, says: `no group named "Amazon Connect Agents"`},
		{name: "group made anew", spoil: func(w *setupWorld) {
			if err := w.DeleteGroup(groupName); err != nil {
				w.t.Fatal(err)
			}
			if _, err := w.AddGroup(groupName); err != nil {
				w.t.Fatal(err)
			}
		}, says: "filters by something else"},
		{name: "not assigned", spoil: func(w *setupWorld) {
			if err := w.UnassignGroup(setupLabel, groupName); err != nil {
				w.t.Fatal(err)
			}
		}, says: "is not assigned to"},
		{name: "without role", spoil: func(w *setupWorld) {
			if err := w.UnassignGroup(setupLabel, groupName); err != nil {
				w.t.Fatal(err)
			}
			if err := w.AssignGroup(setupLabel, groupName); err != nil {
				w.t.Fatal(err)
			}
		}, says: "without its role"},
		{name: "no app", change: func(c *okta.OrgConfig) { c.App = "Amazon Disconnect" }, says: `no app labelled "Amazon Disconnect"`},
		{name: "failed deliveries", healthy: true, spoil: func(w *setupWorld) {
			w.accept("another")
			w.delivered(groupName)
			w.delivered(groupName)
		}, says: `warning deliveries: 2 failed in the last 24 hours, the last at`},
		{name: "no filter", healthy: true, spoil: func(w *setupWorld) {
			w.remove()
			if err := w.Configure(func(s *sim.Settings) { s.HookFiltersOff = true }); err != nil {
				w.t.Fatal(err)
			}
			w.setup(nil)
		}, says: "events of all groups"},
		{name: "blind", spoil: func(w *setupWorld) { w.can("okta.eventhooks.manage") }, says: "empty lists of groups, logs"},
		{name: "forbidden", spoil: func(w *setupWorld) {
			w.can()
			if err := w.Configure(func(s *sim.Settings) { s.MissingRoleForbids = true }); err != nil {
				w.t.Fatal(err)
			}
		}, says: "fault event hook: read the event hooks: okta answered 403"},
		{name: "limit nearly used up", healthy: true, spoil: func(w *setupWorld) {
			w.intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				recorded := httptest.NewRecorder()
				w.ServeHTTP(recorded, r)
				for name, values := range recorded.Header() {
					rw.Header()[name] = values
				}
				if r.URL.Path == "/api/v1/logs" && r.URL.Query().Has("until") {
					rw.Header().Set("X-Rate-Limit-Remaining", "7")
				}
				rw.WriteHeader(recorded.Code)
				_, _ = rw.Write(recorded.Body.Bytes())
				return true
			})
		}, says: "warning rate limit: logs: 7 of 120"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			w.setup(nil)
			if c.spoil != nil {
				c.spoil(w)
			}
			w.took()
			h := w.status(c.change)
			if h.Healthy() != c.healthy || !strings.Contains(findings(h), c.says) {
				t.Errorf("healthy %t; %q is missing in:\n%s", h.Healthy(), c.says, findings(h))
			}
			wantNothingWritten(t, w)
		})
	}
}

func (w *setupWorld) hookPath() string { return "/api/v1/eventHooks/" + w.Hooks()[0].ID }

func (w *setupWorld) remove() {
	w.t.Helper()
	if report, err := w.org(nil).Remove(w.t.Context()); err != nil || !report.Complete() {
		w.t.Fatalf("%v\n%s", err, lines(report))
	}
}

// can limits the API token to roles.
func (w *setupWorld) can(roles ...string) {
	w.t.Helper()
	if err := w.SetTokenRoles(apiToken, roles...); err != nil {
		w.t.Fatal(err)
	}
}

// What a service app is granted, and what its role shows, are told apart.
func TestStatusOfServiceApp(t *testing.T) {
	t.Parallel()
	run := []string{"okta.users.read", "okta.groups.read", "okta.apps.read", "okta.logs.read"}
	more := append([]string{"okta.schemas.read", "okta.eventHooks.read"}, run...)
	setup := append([]string{"okta.groups.manage", "okta.apps.manage", "okta.eventHooks.manage"}, more...)
	for _, c := range []struct {
		name          string
		scopes, roles []string
		healthy       bool
		says          string
	}{
		{"all", setup, []string{"SUPER_ADMIN"}, true, "scopes that it needs to run and to set up"},
		{"enough to look", more, []string{"READ_ONLY_ADMIN"}, true, "setting up would take okta.apps.manage okta.eventHooks.manage okta.groups.manage too"},
		{"enough to run", run, []string{"READ_ONLY_ADMIN"}, false, "read the event hooks: okta answered 403"},
		{"enough to run and to see hooks", append([]string{"okta.eventHooks.read"}, run...), []string{"READ_ONLY_ADMIN"}, true, "whether with a role is not looked at"},
		{"a scope missing", run[1:], []string{"READ_ONLY_ADMIN"}, false, "is not granted okta.users.read"},
		{"no role", setup, nil, false, "empty lists of groups, users, logs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			api := func(o *okta.OrgConfig) { o.API = true }
			w.setup(api)
			w.delivered(groupName)
			client := w.serviceApp(c.scopes, c.roles, true)
			h := w.status(func(o *okta.OrgConfig) { api(o); o.Client = client })
			all := findings(h)
			for _, check := range h.Checks {
				all += check.Text + "\n"
			}
			if h.Healthy() != c.healthy || !strings.Contains(all, c.says) {
				t.Errorf("healthy %t; %q is missing in:\n%s", h.Healthy(), c.says, all)
			}
		})
	}
}

func TestStatusOfRevokedCredential(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	client := newAPIClient(t, w.url, func(c *okta.ClientConfig) { c.Token = "00revoked" })
	h := w.status(func(c *okta.OrgConfig) { c.Client = client })
	if h.Healthy() || !strings.Contains(findings(h), "the credential is invalid, expired or revoked") || strings.Contains(findings(h), "00revoked") {
		t.Errorf("%s", findings(h))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.org(nil).Status(ctx); err == nil {
		t.Error("no error though the context is over")
	}
}

func (w *setupWorld) rotate(next string, change func(*okta.OrgConfig)) (okta.Report, error) {
	w.t.Helper()
	return w.org(change).RotateSecret(w.t.Context(), next)
}

// While both secrets are accepted, the change loses nothing that comes later, and
// keeps all else of the hook.
func TestRotateSecret(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(func(c *okta.OrgConfig) { c.API = true })
	before := w.oneHook()
	report, err := w.rotate(setupNext, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "unchanged new secret", "unchanged old secret", "done event hook")
	after := w.oneHook()
	for _, key := range []string{"id", "name", "status", "verificationStatus", "description", "events", "channel"} {
		if diff := cmp.Diff(before[key], after[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	w.accept(setupNext)
	if n := w.delivered(groupName); n == 0 {
		t.Error("nothing is delivered with the new secret")
	}
	if strings.Contains(lines(report), setupNext) || strings.Contains(lines(report), setupSecret) {
		t.Error(lines(report))
	}
}

// The endpoint must know the new secret first.
func TestRotateSecretUnknownToEndpoint(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	w.took()
	report, err := w.rotate("not-yet-configured", nil)
	if err == nil || !strings.Contains(err.Error(), "does not accept the secret") {
		t.Errorf("%v", err)
	}
	wantStates(t, report, "failed new secret")
	wantNothingWritten(t, w)
	if n := w.delivered(groupName); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	for _, bad := range []string{"", setupSecret, "two\nlines"} {
		if _, err := w.rotate(bad, nil); err == nil {
			t.Errorf("the new secret %q is taken", bad)
		}
	}
	wantNothingWritten(t, w)
}

func TestRotateSecretDryRun(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	w.took()
	report, err := w.rotate(setupNext, func(c *okta.OrgConfig) { c.DryRun = true })
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "unchanged new secret", "unchanged old secret", "would do event hook")
	wantNothingWritten(t, w)
}

// What cannot be verified is taken back, and the report says what stands.
func TestRotateSecretFails(t *testing.T) {
	t.Parallel()
	failing := func(path string, times, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, r *http.Request) bool {
			if times == 0 || r.Method == http.MethodGet || !strings.HasSuffix(r.URL.Path, path) {
				return false
			}
			times--
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(status)
			fmt.Fprint(rw, `{"errorCode":"E0000001"}`)
			return true
		}
	}
	for _, c := range []struct {
		name     string
		path     string // of calls that fail
		times    int
		status   int
		unknown  bool // the old secret is
		verified bool // the hook is in the end
		sends    string
		says     string
	}{
		{name: "verification", path: "/verify", times: 1, status: 400, verified: true, sends: setupSecret, says: "sends the old secret as before, and is verified"},
		{name: "verification, old secret unknown", path: "/verify", times: 1, status: 400, unknown: true, sends: setupNext, says: "the old secret is not known"},
		{name: "verification for good", path: "/verify", times: -1, status: 400, sends: setupSecret, says: "is not verified, so nothing is delivered"},
		{name: "change refused", path: "", times: 1, status: 400, verified: true, sends: setupSecret, says: ""},
		{name: "change uncertain", path: "", times: 3, status: 500, verified: true, sends: setupSecret, says: "sends the old secret as before, and is verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			w.setup(nil)
			path := c.path
			if path == "" {
				path = w.Hooks()[0].ID
			}
			w.intercept(failing(path, c.times, c.status))
			report, err := w.rotate(setupNext, func(o *okta.OrgConfig) {
				if c.unknown {
					o.HookSecret = ""
				}
			})
			w.intercept(nil)
			if err == nil || !strings.Contains(lines(report), c.says) {
				t.Errorf("%v\n%s", err, lines(report))
			}
			h := w.Hooks()[0]
			if !h.Active || h.Verified != c.verified {
				t.Errorf("%+v\n%s", h, lines(report))
			}
			w.accept(c.sends)
			if err := w.VerifyHook(t.Context(), h.ID); err != nil {
				t.Errorf("okta sends another secret than it should: %v", err)
			}
			if strings.Contains(lines(report)+err.Error(), setupNext) || strings.Contains(lines(report)+err.Error(), setupSecret) {
				t.Error("a secret is told")
			}
		})
	}
}

func TestRotateSecretWithoutHookOrRights(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	if _, err := w.rotate(setupNext, nil); err == nil || !strings.Contains(err.Error(), "no event hook") {
		t.Errorf("%v", err)
	}
	w.setup(nil)
	w.can("READ_ONLY_ADMIN")
	report, err := w.rotate(setupNext, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "unchanged new secret", "unchanged old secret", "manual event hook")
	if !strings.Contains(report.Steps[2].ByHand, "Take the old secret out") {
		t.Error(report.Steps[2].ByHand)
	}
}

// The hook goes, and everything else stays; again there is nothing to do.
func TestRemove(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	other, err := w.AddHook(sim.HookConfig{Name: "Somebody else's", URI: "https://elsewhere.example.com/", Events: []string{"user.lifecycle.create"}})
	if err != nil {
		t.Fatal(err)
	}
	w.took()
	report, err := w.org(func(c *okta.OrgConfig) { c.DryRun = true }).Remove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "would do event hook", "unchanged groups and app")
	wantNothingWritten(t, w)

	report, err = w.org(nil).Remove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "done event hook", "unchanged groups and app")
	if hooks := w.Hooks(); len(hooks) != 1 || hooks[0].ID != other.ID {
		t.Errorf("%v", hooks)
	}
	if w.group(groupName); !slices.Equal(w.Apps()[0].Groups, []string{groupName}) {
		t.Errorf("%v", w.Apps())
	}
	report, err = w.org(nil).Remove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "unchanged event hook", "unchanged groups and app")
}

func TestRemoveWithoutRights(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	w.can("READ_ONLY_ADMIN")
	report, err := w.org(nil).Remove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, report, "manual event hook", "unchanged groups and app")
	if h := w.Hooks()[0]; !h.Active || !strings.Contains(report.Steps[0].ByHand, `"Deactivate"`) {
		t.Errorf("%+v\n%s", h, report.Steps[0].ByHand)
	}
}
