package okta_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

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
