package okta_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	sim "connectroster/internal/sim/okta"
)

// simOrg is an org of the simulator with the group and the app.
func simOrg(t testing.TB, people ...sim.NewUser) (*sim.Org, *okta.Client, *atomic.Int64) {
	t.Helper()
	return simOrgAs(t, sim.Config{}, people...)
}

func simOrgAs(t testing.TB, config sim.Config, people ...sim.NewUser) (*sim.Org, *okta.Client, *atomic.Int64) {
	t.Helper()
	config.Tokens = []string{apiToken}
	org, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{apiName, "Supervisors"} {
		if _, err := org.AddGroup(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := org.AddApp(sim.NewApp{Label: apiLabel, Groups: []string{apiName}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		if _, err := org.AddUser(p); err != nil {
			t.Fatal(err)
		}
	}
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/_sim/") {
			calls.Add(1)
		}
		org.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if err := org.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return org, newAPIClient(t, server.URL, nil), &calls
}

func newSimUser(login string, groups ...string) sim.NewUser {
	return sim.NewUser{Login: login, FirstName: "Zoe\u0308", LastName: "Garci\u0301a", Groups: groups}
}

func userNamed(t testing.TB, org *sim.Org, login string) sim.User {
	t.Helper()
	u, err := org.User(login)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func groupNamed(t testing.TB, org *sim.Org, name string) sim.Group {
	t.Helper()
	for _, g := range org.Groups() {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no group %q", name)
	return sim.Group{}
}

func TestDirectoryPerson(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t, newSimUser("Ana.Silva@example.com", apiName, "Supervisors"), newSimUser("bob@example.com", "Supervisors"))
	d := newAPIDirectory(t, client, apiLabel, apiName)
	ana := userNamed(t, org, "Ana.Silva@example.com")
	want := plan.Person{
		ID: ana.ID, Username: "Ana.Silva@example.com", FirstName: "Zo\u00eb", LastName: "Garc\u00eda", Status: plan.StatusActive,
		Groups: []plan.Group{
			{ID: groupNamed(t, org, "Everyone").ID, Name: "Everyone"},
			{ID: groupNamed(t, org, apiName).ID, Name: apiName},
			{ID: groupNamed(t, org, "Supervisors").ID, Name: "Supervisors"},
		},
		Profile: map[string]any{
			"login": "Ana.Silva@example.com", "email": "Ana.Silva@example.com", "firstName": "Zoe\u0308", "lastName": "Garci\u0301a",
			"mobilePhone": nil, "secondEmail": nil,
		},
	}
	got, err := d.Person(t.Context(), ana.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	// Without an assignment there is no username, and the login is no guess at it.
	bob := userNamed(t, org, "bob@example.com")
	got, err = d.Person(t.Context(), bob.ID)
	if err != nil || got.Username != "" {
		t.Errorf("%q, %v", got.Username, err)
	}
	if _, err = d.Person(t.Context(), "00uNobodyOfThatName0"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	for _, id := range []string{"", "me/../groups", "ana@example.com", strings.Repeat("x", 65)} {
		if _, err = d.Person(t.Context(), id); !reconcile.IsTerminal(err) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestDirectoryStatuses(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t, newSimUser("ana@example.com", apiName))
	d := newAPIDirectory(t, client, "", apiName)
	id := userNamed(t, org, "ana@example.com").ID
	statuses := []plan.Status{
		plan.StatusStaged, plan.StatusProvisioned, plan.StatusActive, plan.StatusRecovery, plan.StatusPasswordExpired,
		plan.StatusLockedOut, plan.StatusSuspended, plan.StatusDeprovisioned,
	}
	for _, status := range statuses {
		if err := org.SetStatus(id, string(status), ""); err != nil {
			t.Fatal(err)
		}
		if p, err := d.Person(t.Context(), id); err != nil || p.Status != status {
			t.Errorf("%s: %s, %v", status, p.Status, err)
		}
	}
	if err := org.SetStatus(id, "ACTIVE", "DEPROVISIONED"); err != nil {
		t.Fatal(err)
	}
	_, err := d.Person(t.Context(), id)
	if wait, ok := reconcile.AsAfter(err); !ok || wait != 30*time.Second {
		t.Errorf("a change under way: %v", err)
	}
}

// A person takes three calls once the app is known.
func TestDirectoryPersonCalls(t *testing.T) {
	t.Parallel()
	org, client, calls := simOrg(t, newSimUser("ana@example.com", apiName))
	d := newAPIDirectory(t, client, apiLabel, apiName)
	id := userNamed(t, org, "ana@example.com").ID
	for range 2 {
		calls.Store(0)
		if _, err := d.Person(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls", n)
	}
}

func TestDirectoryPeople(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t,
		newSimUser("ana@example.com", apiName, "Supervisors"), newSimUser("bob@example.com", "Supervisors"), newSimUser("eve@example.com"))
	agents, supervisors := groupNamed(t, org, apiName), groupNamed(t, org, "Supervisors")
	d := newAPIDirectory(t, client, apiLabel, supervisors.ID, apiName, agents.ID)
	people, err := gather(t, d)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, p := range people {
		for _, g := range p.Groups {
			got[p.Username] = append(got[p.Username], g.Name)
		}
	}
	want := map[string][]string{"ana@example.com": {"Supervisors", apiName}, "": {"Supervisors"}} // whom the app is not assigned to
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	groups, err := d.Groups(t.Context())
	wantGroups := []plan.Group{{ID: supervisors.ID, Name: "Supervisors"}, {ID: agents.ID, Name: apiName}}
	if diff := cmp.Diff(wantGroups, groups); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A name stands for one group, for as long as it is mapped.
func TestDirectoryGroupNames(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t, newSimUser("ana@example.com", apiName))
	odd := `A "quoted" \ group, (really) & 100 % Ünïcode`
	if _, err := org.AddGroup(odd); err != nil {
		t.Fatal(err)
	}
	mapped := []string{apiName, odd}
	d, err := okta.NewDirectory(okta.DirectoryConfig{Client: client, Groups: func() []string { return mapped }})
	if err != nil {
		t.Fatal(err)
	}
	if groups, err := d.Groups(t.Context()); err != nil || len(groups) != 2 || groups[1].Name != odd {
		t.Fatalf("%v, %v", groups, err)
	}
	mapped = []string{apiName, odd, "Nobody knows this one", "amazon connect agents"}
	_, err = d.Groups(t.Context())
	for _, name := range mapped[2:] {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%q is missing, and the error is %v", name, err)
		}
	}
	mapped = []string{apiName, odd}
	ana := userNamed(t, org, "ana@example.com")
	if err := org.UpdateGroup(apiName, "Renamed", ""); err != nil {
		t.Fatal(err)
	}
	if _, err = gather(t, d); err == nil || !strings.Contains(err.Error(), `"Renamed"`) {
		t.Errorf("a sweep after a renaming: %v", err)
	}
	_, err = d.Person(t.Context(), ana.ID)
	if wait, ok := reconcile.AsAfter(err); !ok || wait != 5*time.Minute {
		t.Errorf("a person after a renaming: %v", err)
	}
	mapped = []string{"Renamed"}
	if people, err := gather(t, d); err != nil || len(people) != 1 {
		t.Errorf("mapped by the new name: %d people, %v", len(people), err)
	}
	if err := org.DeleteGroup("Renamed"); err != nil {
		t.Fatal(err)
	}
	if _, err = gather(t, d); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a sweep after a deletion: %v", err)
	}
}

// Two groups can have the same name if one of them belongs to an app.
func TestDirectoryAmbiguousNames(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 1, 2, 0)
	o.lists["groups"] = append(o.lists["groups"], apiGroupRow("00g10000000000000009", apiName, "APP_GROUP", 0))
	o.lists["apps"] = append(o.lists["apps"], obj{"id": "0oa10000000000000009", "label": apiLabel})
	client := newAPIClient(t, o.server.URL, nil)
	_, err := newAPIDirectory(t, client, "", apiName).Groups(t.Context())
	if err == nil || !strings.Contains(err.Error(), `2 groups named "Amazon Connect Agents"`) {
		t.Errorf("groups: %v", err)
	}
	_, err = newAPIDirectory(t, client, apiLabel, apiGroup).Person(t.Context(), apiID("00u", 0))
	if err == nil || !strings.Contains(err.Error(), `2 apps labelled "Amazon Connect"`) {
		t.Errorf("apps: %v", err)
	}
	_, err = newAPIDirectory(t, client, "Nothing", apiGroup).Person(t.Context(), apiID("00u", 0))
	if err == nil || !strings.Contains(err.Error(), `no app labelled "Nothing"`) {
		t.Errorf("no app: %v", err)
	}
}

func TestDirectorySizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 199, 200, 201, 400, 10_001} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			o := newAPIOrg(t, size, 2, 0)
			people, err := gather(t, newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), apiLabel, apiName))
			if err != nil || len(people) != size {
				t.Fatalf("%d people of %d, %v", len(people), size, err)
			}
			for i, p := range people {
				if want := fmt.Sprintf("app%d@example.com", i); p.ID != apiID("00u", i) || p.Username != want {
					t.Fatalf("person %d is %s, %s", i, p.ID, p.Username)
				}
			}
			if size == 0 {
				return
			}
			o = newAPIOrg(t, 1, max(size, 2), 0)
			p, err := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", apiName).Person(t.Context(), apiID("00u", 0))
			if err != nil || len(p.Groups) != max(size, 2) {
				t.Fatalf("%d groups of %d, %v", len(p.Groups), size, err)
			}
		})
	}
}

// The budget of the first sweep is 40 calls for 5,000 people in one group, and
// one more for each further group.
func TestDirectorySweepCalls(t *testing.T) {
	t.Parallel()
	for further := range 3 {
		o := newAPIOrg(t, 5000, 2, 0)
		names := []string{apiName}
		for i := range further {
			id, name := apiID("00g3", i), fmt.Sprintf("Further %d", i)
			o.lists["groups"] = append(o.lists["groups"], apiGroupRow(id, name, "OKTA_GROUP", 1))
			o.lists["groups/"+id+"/users"] = []any{apiUser(i)}
			names = append(names, name)
		}
		o.spoil = onlyAskedFor
		d := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), apiLabel, names...)
		if people, err := gather(t, d); err != nil || len(people) != 5000 {
			t.Fatalf("%d people, %v", len(people), err)
		}
		first := o.count()
		if _, err := gather(t, d); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d further groups: %d calls in the first sweep, %d in the next", further, first, o.count()-first)
		if first > 40+further {
			t.Errorf("%d calls with %d further groups: %v", first, further, o.calls)
		}
	}
}

// onlyAskedFor makes the list of groups show those of the filter alone.
func onlyAskedFor(_ http.ResponseWriter, r *http.Request, l *apiList) bool {
	if filter := r.URL.Query().Get("filter"); l.path == "groups" && filter != "" {
		l.rows = slices.DeleteFunc(l.rows, func(row any) bool { return !strings.Contains(filter, row.(obj)["id"].(string)) })
	}
	return false
}

// Somebody who leaves while the list is read does not make it incomplete.
func TestDirectoryLeaverMeanwhile(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 600, 2, 0)
	members := "groups/" + apiGroup + "/users"
	all := o.lists[members]
	o.spoil = func(_ http.ResponseWriter, _ *http.Request, l *apiList) bool {
		if l.path == members && l.number == 1 {
			o.lists[members] = all[:599]
			o.lists["groups"] = []any{apiGroupRow(apiGroup, apiName, "OKTA_GROUP", 599)}
		}
		return false
	}
	people, err := gather(t, newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", apiName))
	if err != nil || len(people) != 599 {
		t.Errorf("%d people, %v", len(people), err)
	}
}

// An app that is gone says nothing about the usernames of people.
func TestDirectoryAppGone(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 3, 2, 0)
	client := newAPIClient(t, o.server.URL, nil)
	const gone = "0oa10000000000000009"
	d := newAPIDirectory(t, client, gone, apiName)
	if p, err := d.Person(t.Context(), apiID("00u", 0)); err == nil {
		t.Errorf("a person of a gone app has the username %q", p.Username)
	}
	if _, err := gather(t, d); err == nil {
		t.Error("a sweep does not see that the app is gone")
	}
	o.lists["apps/"+apiApp+"/users"] = o.lists["apps/"+apiApp+"/users"][:2]
	people, err := gather(t, newAPIDirectory(t, client, apiApp, apiName))
	if err != nil || people[2].Username != "" || people[1].Username != "app1@example.com" {
		t.Errorf("%v, %v", people, err)
	}
}

func TestNewDirectoryAndFeed(t *testing.T) {
	t.Parallel()
	client := newAPIClient(t, "http://127.0.0.1:1", nil)
	if _, err := okta.NewDirectory(okta.DirectoryConfig{Client: client}); err == nil {
		t.Error("no groups are wanted")
	}
	if _, err := okta.NewDirectory(okta.DirectoryConfig{Groups: func() []string { return nil }}); err == nil {
		t.Error("no client is wanted")
	}
	if _, err := okta.NewFeed(okta.FeedConfig{Client: client}); err == nil {
		t.Error("no directory is wanted")
	}
	if _, err := okta.NewFeed(okta.FeedConfig{Directory: newAPIDirectory(t, client, "")}); err == nil {
		t.Error("no client is wanted")
	}
}

var (
	_ reconcile.Directory = (*okta.Directory)(nil)
	_ reconcile.Feed      = (*okta.Feed)(nil)
)
