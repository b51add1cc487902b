package okta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
	sim "connectroster/internal/sim/okta"
)

func TestFind(t *testing.T) {
	t.Parallel()
	org, client, calls := simOrg(t,
		newSimUser("Ana.Silva@example.com", apiName), newSimUser("bob@example.com", apiName), newSimUser("o'brien+x%2f?#&@example.com"),
		newSimUser("cyd/ops@example.com", apiName), newSimUser("plain-login"))
	id := func(login string) string {
		for _, u := range org.Users() {
			if u.Login == login {
				return u.ID
			}
		}
		t.Fatalf("no user %q", login)
		return ""
	}
	simply(t, org.SetAppUserName("bob@example.com", apiLabel, "Robert"), org.SetAppUserName(id("cyd/ops@example.com"), apiLabel, "cyd"))
	d := newAPIDirectory(t, client, apiLabel, apiName)
	for _, test := range []struct {
		ref, want string
		calls     int64
	}{
		{"00uNobodyOfThatName0", "00uNobodyOfThatName0", 0},
		{id("bob@example.com"), id("bob@example.com"), 0},
		{"Ana.Silva@example.com", id("Ana.Silva@example.com"), 1},
		{"ana.silva@EXAMPLE.com", id("Ana.Silva@example.com"), 1},
		{"o'brien+x%2f?#&@example.com", id("o'brien+x%2f?#&@example.com"), 1},
		{"plain-login", id("plain-login"), 1},
		{"robert", id("bob@example.com"), 3}, // the app is looked up once
		{"Robert", id("bob@example.com"), 2},
		{"cyd", id("cyd/ops@example.com"), 1},
		{"bob@example.com", id("bob@example.com"), 1},
	} {
		calls.Store(0)
		got, err := d.Find(t.Context(), test.ref)
		if err != nil || got != test.want || calls.Load() != test.calls {
			t.Errorf("%q: %q, %v, %d calls; %q with %d is wanted", test.ref, got, err, calls.Load(), test.want, test.calls)
		}
	}
	for _, ref := range []string{"", ".", "..", "me", "../groups", "Ana.Silva", "nobody@example.com", "rob", "/", strings.Repeat("x", 500), "a b", "\x00"} {
		if got, err := d.Find(t.Context(), ref); !errors.Is(err, reconcile.ErrNotFound) {
			t.Errorf("%q: %q, %v", ref, got, err)
		} else if len(ref) > 4 && strings.Contains(err.Error(), ref) {
			t.Errorf("the error tells who is looked for: %v", err)
		}
	}
	if _, err := newAPIDirectory(t, client, "", apiName).Find(t.Context(), "Robert"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("without an app: %v", err)
	}
	simply(t, org.SetAppUserName("Ana.Silva@example.com", apiLabel, "ROBERT"))
	if got, err := d.Find(t.Context(), "robert"); err == nil || errors.Is(err, reconcile.ErrNotFound) || !strings.Contains(err.Error(), id("bob@example.com")) {
		t.Errorf("two have it: %q, %v", got, err)
	}
	// What cannot be asked is no answer.
	simply(t, org.AddFaults(sim.Fault{Times: -1, Status: 500}))
	for _, ref := range []string{"Ana.Silva@example.com", "rob"} {
		if _, err := d.Find(t.Context(), ref); err == nil || errors.Is(err, reconcile.ErrNotFound) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

// Okta also takes the beginning of a login for the whole; we do not.
func TestFindByAnotherLogin(t *testing.T) {
	t.Parallel()
	client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"id":"00u00000000000000001","status":"ACTIVE","profile":{"login":"ana.silva@example.com"}}`)
	}, nil)
	if got, err := newAPIDirectory(t, client, "").Find(t.Context(), "ana.silva"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("%q, %v", got, err)
	}
}

func scopeOf(t *testing.T, d reconcile.Directory) string {
	t.Helper()
	s, err := d.Scope(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScope(t *testing.T) {
	t.Parallel()
	org, client, calls := simOrg(t)
	agents, supervisors := groupNamed(t, org, apiName).ID, groupNamed(t, org, "Supervisors").ID
	d := newAPIDirectory(t, client, apiLabel, "/^CC-/", supervisors, apiName, agents)
	want := org.ID() + " " + "/^CC-/ " + agents + " " + supervisors
	calls.Store(0)
	if got := scopeOf(t, d); got != want || calls.Load() != 2 { // one of them looks the name up
		t.Errorf("%q after %d calls; %q is wanted", got, calls.Load(), want)
	}
	calls.Store(0)
	if got := scopeOf(t, d); got != want || calls.Load() != 1 {
		t.Errorf("%q after %d calls", got, calls.Load())
	}
	// However the groups are named and in whatever order, they are the same.
	if got := scopeOf(t, newAPIDirectory(t, client, "", apiName, "/^CC-/", "Supervisors")); got != want {
		t.Errorf("%q", got)
	}
	// Another group of that name is another scope.
	simply(t, org.DeleteGroup(apiName))
	addGroups(t, org, apiName)
	if _, err := gather(t, d); err == nil {
		t.Error("a sweep does not see that the group is gone")
	}
	if got := scopeOf(t, newAPIDirectory(t, client, "", "/^CC-/", supervisors, apiName)); got == want || !strings.Contains(got, groupNamed(t, org, apiName).ID) {
		t.Errorf("another group: %q", got)
	}
	// And so is another org.
	simply(t, org.AddFaults(sim.Fault{Endpoint: "GET /.well-known/okta-organization", Kind: sim.FaultWrongOrg}))
	if got := scopeOf(t, newAPIDirectory(t, client, "", supervisors)); strings.HasPrefix(got, org.ID()) {
		t.Errorf("another org: %q", got)
	}
	for _, fault := range []sim.Fault{{Status: 500}, {Status: 200}, {Kind: sim.FaultObject}, {Kind: sim.FaultNull}, {Kind: sim.FaultHalf}, {Kind: sim.FaultReset}, {Status: 302}} {
		fault.Endpoint, fault.Times = "GET /.well-known/okta-organization", -1
		org.ClearFaults()
		simply(t, org.AddFaults(fault))
		if got, err := d.Scope(t.Context()); err == nil {
			t.Errorf("%s %d: %q", fault.Kind, fault.Status, got)
		}
	}
	org.ClearFaults()
	if _, err := newAPIDirectory(t, client, "", "No such group").Scope(t.Context()); err == nil {
		t.Error("a name that means nothing has a scope")
	}
}

// The id of the org takes no credential, and tells nothing about ours. Where it is
// not told the address must do, and the log says so once.
func TestScopeWithoutID(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 405, 410} {
		var l logs
		var sent []string
		client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
			sent = append(sent, r.Header.Get("Authorization"))
			w.WriteHeader(status)
		}, func(c *okta.ClientConfig) { c.Log = l.logger() })
		d := newAPIDirectory(t, client, "", apiGroup)
		for range 2 {
			if got := scopeOf(t, d); got != client.Org()+" "+apiGroup {
				t.Errorf("%d: %q", status, got)
			}
		}
		if n := strings.Count(strings.Join(l.lines(), "\n"), "does not tell its id"); n != 1 {
			t.Errorf("%d: %d lines in the log", status, n)
		}
		if diff := cmp.Diff([]string{"", ""}, sent); diff != "" {
			t.Errorf("%d: the credential goes along: %s", status, diff)
		}
	}
}

// The first sweep, with the scope, stays within its budget.
func TestScopeCalls(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 5000, 2, 0)
	o.spoil = onlyAskedFor
	d := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), apiLabel, apiName)
	scopeOf(t, d)
	if people, err := gather(t, d); err != nil || len(people) != 5000 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	with := o.count()
	if with > 41 {
		t.Errorf("%d calls with the scope: %v", with, o.calls)
	}
	o = newAPIOrg(t, 5000, 2, 0)
	o.spoil = onlyAskedFor
	if _, err := gather(t, newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), apiLabel, apiName)); err != nil {
		t.Fatal(err)
	}
	if without := o.count(); with != without+1 {
		t.Errorf("%d calls with the scope, %d without", with, without)
	}
}

// The profile comes along whole, and never shows in a log or an error.
func TestProfile(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-profile"
	profile := map[string]any{
		"department": "Contact center " + canary, "level": 3.0, "remote": true, "skills": []any{"en", "fr", nil}, "nothing": nil,
		"Login": "decoy", "odd": map[string]any{"deep": []any{1.5}}, "note": strings.Repeat(canary, 20_000),
	}
	user := newSimUser("ana@example.com", apiName)
	user.Profile = profile
	var l logs
	org, plain, _ := simOrg(t, user, newSimUser("bob@example.com"))
	client := newAPIClient(t, plain.Org(), func(c *okta.ClientConfig) { c.Log = l.logger() })
	d := newAPIDirectory(t, client, apiLabel, apiName)
	p, err := d.Person(t.Context(), userNamed(t, org, "ana@example.com").ID)
	if err != nil {
		t.Fatal(err)
	}
	people, err := gather(t, d)
	if err != nil || len(people) != 1 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	for name, want := range profile {
		if !reflect.DeepEqual(p.Profile[name], want) || !reflect.DeepEqual(people[0].Profile[name], want) {
			t.Errorf("%s: %.40v and %.40v", name, p.Profile[name], people[0].Profile[name])
		}
	}
	if p.Profile["login"] != "ana@example.com" || len(p.Profile) != len(people[0].Profile) {
		t.Errorf("%d and %d attributes", len(p.Profile), len(people[0].Profile))
	}
	// Other people have what they have.
	if q, err := d.Person(t.Context(), userNamed(t, org, "bob@example.com").ID); err != nil || q.Profile["department"] != nil {
		t.Errorf("%v", err)
	}
	var told []string
	for _, kind := range []string{sim.FaultHalf, sim.FaultTruncate, sim.FaultWrongOrg, sim.FaultDuplicate} {
		for _, endpoint := range []string{"GET /api/v1/users/{id}", "GET /api/v1/groups/{id}/users"} {
			org.ClearFaults()
			simply(t, org.AddFaults(sim.Fault{Endpoint: endpoint, Kind: kind, Times: -1}))
			_, err := d.Person(t.Context(), p.ID)
			_, err2 := gather(t, d)
			told = append(told, fmt.Sprint(err), fmt.Sprint(err2))
		}
	}
	if text := strings.Join(append(told, l.lines()...), "\n"); strings.Contains(text, canary) {
		t.Errorf("the profile shows in %.2000s", text)
	}
}

func TestProfileAnswers(t *testing.T) {
	t.Parallel()
	id := apiID("00u", 0)
	for _, name := range []string{"login", "firstName", "lastName"} {
		o := newAPIOrg(t, 1, 2, 0)
		row := o.lists["groups/"+apiGroup+"/users"][0].(obj)
		row["profile"].(obj)[name] = json.Number("7")
		d := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", apiName)
		if p, err := d.Person(t.Context(), id); err == nil || errors.Is(err, reconcile.ErrNotFound) || strings.Contains(err.Error(), "7") {
			t.Errorf("%s: %q, %v", name, p.Username, err)
		}
		if _, err := gather(t, d); err == nil {
			t.Errorf("%s: a sweep takes it", name)
		}
	}
}

// Without Okta's API there is no second source.
func TestFactDirectoryPort(t *testing.T) {
	t.Parallel()
	d := directory(shelf{facts: []reconcile.Fact{
		fact("ana", "g1", false, 1, "old@example.com", "Old Name"),
		fact("ana", "g2", false, 3, "Ana@example.com", "New Name"),
		fact("bo", "g1", true, 1, "old@example.com", "Bo"),
		fact("cy", "g1", true, 1, "same@example.com", "Cy"),
		fact("di", "g1", true, 1, "SAME@example.com", "Di"),
	}})
	for _, q := range []reconcile.Question{{Person: "ana", Group: "g1"}, {Person: "ana"}, {Person: "ana", Gone: true}} {
		if got, err := d.Evidence(t.Context(), q); err != nil || got.Confirmed || got.Cliff != "" {
			t.Errorf("%+v: %+v, %v", q, got, err)
		}
	}
	if a, b := scopeOf(t, d), scopeOf(t, directory(shelf{})); a == "" || a != b {
		t.Errorf("%q and %q", a, b)
	}
	for ref, want := range map[string]string{
		"00uNobodyOfThatName0": "00uNobodyOfThatName0", "ana@EXAMPLE.com": "ana", "ana": "ana", "old@example.com": "bo",
	} {
		if got, err := d.Find(t.Context(), ref); err != nil || got != want {
			t.Errorf("%q: %q, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"", "nobody@example.com", "New Name"} {
		if got, err := d.Find(t.Context(), ref); !errors.Is(err, reconcile.ErrNotFound) {
			t.Errorf("%q: %q, %v", ref, got, err)
		}
	}
	if _, err := d.Find(t.Context(), "same@example.com"); err == nil || errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("two of them: %v", err)
	}
	if _, err := directory(shelf{facts: []reconcile.Fact{fact("ana", "g1", true, 1, "a@example.com", "A")}, fault: 2}).Find(t.Context(), "a@example.com"); !errors.Is(err, errShelf) {
		t.Errorf("a broken disk: %v", err)
	}
}

// A refused credential is not forgiven because somebody may read the id of the
// org.
func TestPublicCallsAndRefusals(t *testing.T) {
	t.Parallel()
	clock := newAPIClock()
	var l logs
	client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/okta-organization" {
			fmt.Fprint(w, `{"id":"00o1"}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}, func(c *okta.ClientConfig) { c.Log, c.Now, c.Wait = l.logger(), clock.now, clock.wait })
	d := newAPIDirectory(t, client, "", apiGroup)
	for range 3 {
		_, err := d.Person(t.Context(), apiID("00u", 1))
		if wait, ok := reconcile.AsAfter(err); !ok || wait <= 0 {
			t.Fatalf("%v", err)
		}
		clock.move(2 * time.Minute)
		if got := scopeOf(t, d); got != "00o1 "+apiGroup {
			t.Errorf("%q", got)
		}
	}
	text := strings.Join(l.lines(), "\n")
	if strings.Contains(text, "accepts our credential again") || strings.Count(text, "refuses our credential") != 1 {
		t.Errorf("%s", text)
	}
}
