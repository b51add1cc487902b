package okta_test

import (
	"strings"
	"testing"
	"time"

	"connectroster/internal/doctor"
	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

// examine runs the checks in an org, without knowing the address of the hook.
func (w *setupWorld) examine(change func(*okta.CheckConfig)) []doctor.Result {
	w.t.Helper()
	config := okta.CheckConfig{OrgConfig: w.config(func(c *okta.OrgConfig) { c.HookURL, c.API, c.Agents = "", true, []string{groupName} })}
	if change != nil {
		change(&config)
	}
	checks, release, err := okta.Checks(config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer release()
	report, err := doctor.Run(w.t.Context(), checks, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	wantNothingWritten(w.t, w)
	return report.Results
}

// said gives what was found by a check, but for what is well.
func said(results []doctor.Result, check string) string {
	var out []string
	for _, r := range results {
		if r.Check == check && r.State != doctor.OK {
			out = append(out, string(r.State)+": "+r.Seen)
		}
	}
	return strings.Join(out, "\n")
}

// The hook is recognized by its name, or by the path that it calls; where several
// may be ours that is said.
func TestChecksFindTheHook(t *testing.T) {
	t.Parallel()
	add := func(w *setupWorld, name, uri string) {
		w.t.Helper()
		if _, err := w.AddHook(sim.HookConfig{Name: name, URI: uri, Events: []string{"group.user_membership.add"}}); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		plant func(*setupWorld)
		want  string
	}{
		"none":               {func(*setupWorld) {}, "has no event hook"},
		"somebody else's":    {func(w *setupWorld) { add(w, "payroll", "https://payroll.example.com/events") }, "has no event hook"},
		"by its path":        {func(w *setupWorld) { add(w, "agents", "https://roster.example.com/hooks/okta") }, `"agents"`},
		"that of the sample": {func(w *setupWorld) { add(w, "agents", "https://api.example.com/prod/create_user") }, `"agents"`},
		"two by their path": {func(w *setupWorld) {
			add(w, "agents", "https://roster.example.com/hooks/okta")
			add(w, "staging", "https://staging.example.com/hooks/okta")
		}, "2 event hooks that may be ours"},
		"by its name among several": {func(w *setupWorld) {
			add(w, "staging", "https://staging.example.com/hooks/okta")
			add(w, "connectroster (production)", "https://roster.example.com/hooks/okta")
		}, `"connectroster (production)"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSetupWorld(t, sim.Config{})
			w.somebody()
			c.plant(w)
			got := said(w.examine(nil), "okta hook")
			if !strings.Contains(got, c.want) || strings.Contains(got, "delivered twice") {
				t.Errorf("%s", got)
			}
		})
	}
}

// A filter by the name of the group works until it is renamed.
func TestChecksTellOfFiltersByName(t *testing.T) {
	t.Parallel()
	hookOnly := func(c *okta.CheckConfig) { c.API = false }
	w := newSetupWorld(t, sim.Config{})
	w.setup(nil)
	w.delivered(groupName)
	w.took()
	if got := said(w.examine(hookOnly), "okta hook"); got != "" {
		t.Fatalf("by ids: %s", got)
	}
	byName := newSetupWorld(t, sim.Config{})
	byName.somebody()
	if _, err := byName.AddGroup(groupName); err != nil {
		t.Fatal(err)
	}
	filter := "event.target.?[type eq 'UserGroup' && displayName eq '" + groupName + "'].size()>0"
	if _, err := byName.AddHook(sim.HookConfig{
		Name: "by hand", URI: byName.endpoint, Events: w.Hooks()[0].Events, AuthHeader: "Authorization", AuthValue: setupSecret,
		Filters: map[string]string{"group.user_membership.add": filter, "group.user_membership.remove": filter},
	}); err != nil {
		t.Fatal(err)
	}
	if got := said(byName.examine(hookOnly), "okta hook"); !strings.Contains(got, "warn: ") || !strings.Contains(got, "by the names of our groups") {
		t.Errorf("by names: %s", got)
	}
}

// somebody adds a person, as every org has.
func (w *setupWorld) somebody() {
	w.t.Helper()
	if _, err := w.AddUser(sim.NewUser{Login: "somebody@example.com", FirstName: "Some", LastName: "Body"}); err != nil {
		w.t.Fatal(err)
	}
}

func TestJudgeClock(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]doctor.State{
		0: doctor.OK, 29 * time.Second: doctor.OK, -29 * time.Second: doctor.OK, 30 * time.Second: doctor.Warn, -time.Minute: doctor.Warn,
		4 * time.Minute: doctor.Fail, -time.Hour: doctor.Fail,
	} {
		f := okta.JudgeClock("theirs", ahead)
		if f.State != want || ahead < -okta.ClockTolerance && !strings.Contains(f.Seen, "behind theirs") {
			t.Errorf("%s: %+v", ahead, f)
		}
	}
}

// What answers without a clock is no reason to fail.
func TestChecksWithoutADate(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	w.somebody()
	if err := w.AddFaults(sim.Fault{Kind: sim.FaultLatency, Delay: 1, Times: -1, Headers: map[string]string{"Date": "yesterday"}}); err != nil {
		t.Fatal(err)
	}
	if got := said(w.examine(nil), "clock"); got != "warn: Okta's answers do not say what time it is" {
		t.Errorf("%q", got)
	}
}

// An address that is no hook's is refused before anything is asked.
func TestChecksRefuseAnAddress(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	if _, _, err := okta.Checks(okta.CheckConfig{OrgConfig: okta.OrgConfig{Client: newAPIClient(w.t, w.url, nil), Deployment: "x", HookURL: "roster.example.com"}}); err == nil {
		t.Error("was taken")
	}
	if _, _, err := okta.Checks(okta.CheckConfig{OrgConfig: okta.OrgConfig{Deployment: "x"}}); err == nil {
		t.Error("without a client")
	}
}
