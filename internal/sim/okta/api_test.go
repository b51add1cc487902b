package okta_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

func ids(list []any) []string {
	out := []string{}
	for _, v := range list {
		out = append(out, v.(object)["id"].(string))
	}
	return out
}

// walk follows next links and returns the sizes of the pages and all ids.
func (w *world) walk(path string) (sizes []int, all []string) {
	w.t.Helper()
	for path != "" {
		a := w.want(200, "GET", path, nil)
		sizes = append(sizes, len(a.list()))
		all = append(all, ids(a.list())...)
		path = a.link("next")
	}
	return sizes, all
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	for auth, status := range map[string]int{"": 401, "SSWS": 401, "SSWS wrong": 401, "Bearer dev-token": 401, "SSWS dev-tokens": 401, "ssws dev-token": 200, "SSWS dev-token": 200} {
		a := w.as(auth, "GET", "/api/v1/org", nil)
		if a.status != status || status == 401 && a.code() != "E0000011" {
			t.Errorf("%q: %d %v", auth, a.status, a.body)
		}
	}
	own := open(t, okta.Config{Tokens: []string{"a", "b"}})
	for auth, status := range map[string]int{"SSWS a": 200, "SSWS b": 200, "SSWS dev-token": 401} {
		if a := own.as(auth, "GET", "/api/v1/org", nil); a.status != status {
			t.Errorf("%q: %d", auth, a.status)
		}
	}
}

func TestEveryAnswerCarriesOktasHeadersAndErrorShape(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	w := open(t, okta.Config{Now: func() time.Time { return now }})
	ok := w.want(200, "GET", "/api/v1/users", nil)
	gone := w.want(404, "GET", "/api/v1/users/00uNobody", nil)
	for _, a := range []answer{ok, gone} {
		if a.header.Get("X-Okta-Request-Id") == "" || a.header.Get("X-Rate-Limit-Remaining") == "" {
			t.Errorf("headers: %v", a.header)
		}
		if got, want := a.header.Get("X-Rate-Limit-Reset"), strconv.FormatInt(now.Unix()+60, 10); got != want {
			t.Errorf("reset %s, want %s", got, want)
		}
	}
	e := gone.obj()
	if e["errorCode"] != "E0000007" || e["errorLink"] != "E0000007" || e["errorSummary"] != "Not found: Resource not found: 00uNobody (User)" ||
		!strings.HasPrefix(e["errorId"].(string), "oae") || len(e["errorId"].(string)) != 20 || e["errorCauses"] == nil {
		t.Errorf("error shape: %v", e)
	}
	w.refused(405, "E0000022", "PATCH", "/api/v1/users", object{})
	w.refused(405, "E0000022", "GET", "/api/v1/nothing", nil)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v1/users", strings.NewReader("{"))
	req.Header.Set("Authorization", "SSWS dev-token")
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("broken JSON: %d", resp.StatusCode)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 11, 20, 10, 0, 7, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	w := open(t, okta.Config{Now: clock, Settings: okta.Settings{RateLimits: map[string]int{"logs": 2}}})
	for i, want := range []string{"1", "0"} {
		if a := w.want(200, "GET", "/api/v1/logs", nil); a.header.Get("X-Rate-Limit-Remaining") != want || a.header.Get("X-Rate-Limit-Limit") != "2" {
			t.Errorf("call %d: %v", i, a.header)
		}
	}
	a := w.do("GET", "/api/v1/logs", nil)
	if a.status != 429 || a.code() != "E0000047" || a.header.Get("X-Rate-Limit-Remaining") != "0" || a.header.Get("Retry-After") != "" {
		t.Errorf("over the limit: %d %v %v", a.status, a.body, a.header)
	}
	w.want(200, "GET", "/api/v1/users", nil) // another bucket
	mu.Lock()
	now = now.Add(59 * time.Second)
	mu.Unlock()
	w.want(429, "GET", "/api/v1/logs", nil)
	mu.Lock()
	now = now.Add(time.Second)
	mu.Unlock()
	w.want(200, "GET", "/api/v1/logs", nil)
	if n := w.Stats().Calls["GET /api/v1/logs"]; n != (okta.CallCount{Calls: 5, Limited: 2}) {
		t.Errorf("stats: %+v", n)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.RateLimitsOff = true }))
	for range 5 {
		w.want(200, "GET", "/api/v1/logs", nil)
	}
}

func TestPagingBoundaries(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	agents := w.group("Amazon Connect Agents")
	have := 0
	for _, n := range []int{0, 1, 199, 200, 201} {
		for ; have < n; have++ {
			w.user(fmt.Sprintf("agent%03d@example.com", have), agents.ID)
		}
		want := []int{n}
		if n == 201 {
			want = []int{200, 1}
		}
		for _, path := range []string{"/api/v1/groups/" + agents.ID + "/users?limit=200", "/api/v1/users?limit=200", "/api/v1/users?filter=" + url.QueryEscape(`status eq "ACTIVE"`)} {
			sizes, all := w.walk(path)
			seen := map[string]bool{}
			for _, id := range all {
				seen[id] = true
			}
			if diff := cmp.Diff(want, sizes); diff != "" || len(seen) != n {
				t.Errorf("%d people, %s: %s, %d distinct", n, path, diff, len(seen))
			}
		}
	}
	a := w.want(200, "GET", "/api/v1/groups/"+agents.ID+"/users?limit=200", nil)
	if !strings.HasPrefix(a.link("next"), w.url+"/api/v1/groups/"+agents.ID+"/users?") || !strings.Contains(a.link("self"), "limit=200") || len(a.header.Values("Link")) != 2 {
		t.Errorf("links: %q", a.header.Values("Link"))
	}
	w.refused(400, "E0000001", "GET", "/api/v1/users?after=%25%25", nil)
}

func TestGroupsOfAUserPageAt200(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	u := w.user("ana.silva@example.com")
	for i := range 200 { // and Everyone
		must(t, w.Join(u.ID, w.group(fmt.Sprintf("g%03d", i)).ID))
	}
	sizes, _ := w.walk("/api/v1/users/" + u.ID + "/groups")
	if diff := cmp.Diff([]int{200, 1}, sizes); diff != "" {
		t.Error(diff)
	}
	first := w.want(200, "GET", "/api/v1/users/"+u.ID+"/groups", nil)
	if first.list()[0].(object)["type"] != "BUILT_IN" || !strings.Contains(first.link("self"), "limit=200") {
		t.Errorf("first group %v, links %v", first.list()[0], first.header.Values("Link"))
	}
}

func TestUserLifecycle(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	create := func(login, query string, password bool) string {
		b := object{"profile": object{"firstName": "Ana", "lastName": "Silva", "login": login, "email": login}}
		if password {
			b["credentials"] = object{"password": object{"value": "correct horse"}}
		}
		return w.want(200, "POST", "/api/v1/users"+query, b).obj()["id"].(string)
	}
	status := func(id string) string {
		return w.want(200, "GET", "/api/v1/users/"+id, nil).obj()["status"].(string)
	}
	verb := func(id, verb, want string) {
		t.Helper()
		if a := w.want(200, "POST", "/api/v1/users/"+id+"/lifecycle/"+verb, nil); len(a.obj()) != 0 || status(id) != want {
			t.Errorf("%s: %v, now %s, want %s", verb, a.body, status(id), want)
		}
	}
	staged := create("staged@example.com", "?activate=false", false)
	invited := create("invited@example.com", "", false)
	ana := create("Ana.Silva@example.com", "?activate=true", true)
	if status(staged) != "STAGED" || status(invited) != "PROVISIONED" || status(ana) != "ACTIVE" {
		t.Fatal(status(staged), status(invited), status(ana))
	}
	w.refused(400, "E0000001", "POST", "/api/v1/users/"+invited+"/lifecycle/suspend", nil)
	verb(staged, "activate", "PROVISIONED")
	w.refused(403, "E0000038", "POST", "/api/v1/users/"+ana+"/lifecycle/activate", nil)
	verb(invited, "reactivate", "PROVISIONED")
	verb(ana, "suspend", "SUSPENDED")
	w.refused(400, "E0000001", "POST", "/api/v1/users/"+ana+"/lifecycle/suspend", nil)
	verb(ana, "unsuspend", "ACTIVE")
	must(t, w.SetStatus(ana, "LOCKED_OUT", ""))
	w.refused(400, "E0000001", "POST", "/api/v1/users/"+ana+"/lifecycle/suspend", nil)
	verb(ana, "unlock", "ACTIVE")
	verb(ana, "deactivate", "DEPROVISIONED")
	w.refused(403, "E0000038", "POST", "/api/v1/users/"+ana+"/lifecycle/deactivate", nil)
	verb(ana, "activate", "ACTIVE")
	w.refused(405, "E0000022", "POST", "/api/v1/users/"+ana+"/lifecycle/explode", nil)

	w.refused(400, "E0000001", "POST", "/api/v1/users", object{"profile": object{"login": "ANA.SILVA@example.com", "email": "a@example.com"}})
	if got := w.want(200, "GET", "/api/v1/users/ana.silva%40EXAMPLE.com", nil).obj()["profile"].(object)["login"]; got != "Ana.Silva@example.com" {
		t.Errorf("login keeps its case: %v", got)
	}
	w.want(204, "DELETE", "/api/v1/users/"+ana, nil)
	if got := status(ana); got != "DEPROVISIONED" {
		t.Errorf("after the first DELETE: %s", got)
	}
	plain, _ := w.walk("/api/v1/users")
	searched, _ := w.walk("/api/v1/users?search=" + url.QueryEscape(`profile.login sw "ana"`))
	if diff := cmp.Diff([][]int{{2}, {1}}, [][]int{plain, searched}); diff != "" {
		t.Errorf("the plain list hides DEPROVISIONED, search does not: %s", diff)
	}
	w.want(204, "DELETE", "/api/v1/users/"+ana, nil)
	w.refused(404, "E0000007", "GET", "/api/v1/users/"+ana, nil)

	var kinds []string
	for _, e := range w.Events() {
		if e.Targets[0] == ana {
			kinds = append(kinds, e.Type)
		}
	}
	want := []string{"user.lifecycle.create", "user.lifecycle.activate", "user.lifecycle.suspend", "user.lifecycle.unsuspend", "user.account.lock",
		"user.account.unlock_by_admin", "user.lifecycle.deactivate", "user.lifecycle.activate", "user.lifecycle.deactivate",
		"user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestProfileUpdates(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	u := w.user("ana.silva@example.com")
	path := "/api/v1/users/" + u.ID
	w.want(200, "POST", path, object{"profile": object{"department": "Support", "title": "Agent"}})
	w.want(200, "POST", path, object{"profile": object{"department": "Support"}}) // changes nothing
	p := w.want(200, "PUT", path, object{"profile": object{"login": "ana.silva@example.com", "email": "ana.silva@example.com", "lastName": "Costa"}}).obj()["profile"]
	want := object{"login": "ana.silva@example.com", "email": "ana.silva@example.com", "lastName": "Costa", "mobilePhone": nil, "secondEmail": nil}
	if diff := cmp.Diff(any(want), p); diff != "" {
		t.Error(diff)
	}
	events := w.want(200, "GET", "/api/v1/logs?filter="+url.QueryEscape(`eventType eq "user.account.update_profile"`), nil).list()
	var changed []any
	for _, e := range events {
		changed = append(changed, e.(object)["debugContext"].(object)["debugData"].(object)["changedAttributes"])
	}
	if diff := cmp.Diff([]any{"department,title", "department,firstName,lastName,title"}, changed); diff != "" {
		t.Error(diff)
	}
	w.refused(400, "E0000001", "PUT", path, object{"profile": object{"login": "ana.silva@example.com"}})
	w.refused(400, "E0000001", "POST", path, object{"profile": object{"firstName": "Ana 🎧"}})
}

func TestGroups(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g := w.want(200, "POST", "/api/v1/groups", object{"profile": object{"name": "Amazon Connect Agents", "description": "d"}}).obj()["id"].(string)
	w.refused(400, "E0000001", "POST", "/api/v1/groups", object{"profile": object{"name": "Amazon Connect Agents"}})
	other := w.group("Amazonas")
	imported, err := w.CreateGroup(okta.NewGroup{Name: "AD group", Type: "APP_GROUP"})
	must(t, err)
	everyone := w.Groups()[0].ID
	u := w.user("ana.silva@example.com")
	member := "/api/v1/groups/" + g + "/users/" + u.ID
	w.want(204, "PUT", member, nil)
	w.want(204, "PUT", member, nil)
	must(t, w.Deactivate(u.ID))
	if list := w.want(200, "GET", "/api/v1/groups/"+g+"/users", nil).list(); len(list) != 1 || list[0].(object)["status"] != "DEPROVISIONED" {
		t.Errorf("members show every status: %v", list)
	}
	w.want(204, "DELETE", member, nil)
	w.want(204, "DELETE", member, nil)
	if n := len(w.Events("group.user_membership.add")) + len(w.Events("group.user_membership.remove")); n != 2 {
		t.Errorf("%d membership events, want 2: a repeated call changes nothing", n)
	}
	for _, id := range []string{everyone, imported.ID} {
		w.refused(403, "E0000006", "PUT", "/api/v1/groups/"+id+"/users/"+u.ID, nil)
	}
	w.refused(404, "E0000007", "PUT", "/api/v1/groups/00gNone/users/"+u.ID, nil)
	w.refused(404, "E0000007", "PUT", "/api/v1/groups/"+g+"/users/00uNone", nil)

	find := func(query string) []string { return ids(w.want(200, "GET", "/api/v1/groups?"+query, nil).list()) }
	for query, want := range map[string][]string{
		"q=amazon": {g, other.ID},
		"search=" + url.QueryEscape(`profile.name eq "Amazon Connect Agents"`):                           {g},
		"search=" + url.QueryEscape(`type eq "APP_GROUP" or profile.description co "d" and not (id pr)`): {imported.ID},
		"filter=" + url.QueryEscape(`type eq "BUILT_IN"`):                                                {everyone},
		"filter=" + url.QueryEscape(`lastMembershipUpdated gt "2999-01-01T00:00:00.000Z"`):               {},
	} {
		if diff := cmp.Diff(want, find(query)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	w.refused(400, "E0000031", "GET", "/api/v1/groups?filter="+url.QueryEscape(`profile.name eq "x"`), nil)
	w.refused(400, "E0000031", "GET", "/api/v1/groups?search="+url.QueryEscape(`type eq`), nil)

	w.want(204, "PUT", member, nil)
	if v := w.want(200, "PUT", "/api/v1/groups/"+g, object{"profile": object{"name": "Agents EMEA"}}).obj(); v["profile"].(object)["name"] != "Agents EMEA" {
		t.Error(v)
	}
	if s := w.want(200, "GET", "/api/v1/groups?q=Agents&expand=stats", nil).list()[0].(object)["_embedded"]; s.(object)["stats"].(object)["usersCount"] != 1.0 {
		t.Error(s)
	}
	before := len(w.Events("group.user_membership.remove"))
	w.want(204, "DELETE", "/api/v1/groups/"+g, nil)
	w.refused(404, "E0000007", "GET", "/api/v1/groups/"+g, nil)
	if got := len(w.Events("group.user_membership.remove")); got != before || len(w.Events("group.lifecycle.delete")) != 1 {
		t.Errorf("deletion of a group: %d removals", got-before)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.RemovalsOnGroupDelete = true }))
	must(t, w.Join(u.ID, other.ID))
	must(t, w.DeleteGroup(other.ID))
	if got := len(w.Events("group.user_membership.remove")); got != before+1 {
		t.Errorf("with the switch: %d removals, want 1", got-before)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g, extra := w.group("Amazon Connect Agents"), w.group("extra")
	app, err := w.AddApp(okta.NewApp{Label: "Amazon Connect", Groups: []string{g.Name}})
	must(t, err)
	u := w.user("Ana.Silva@example.com", g.ID)
	base := "/api/v1/apps/" + app.ID
	list := w.want(200, "GET", base+"/users", nil).list()
	if len(list) != 1 || list[0].(object)["id"] != u.ID || list[0].(object)["scope"] != "GROUP" ||
		list[0].(object)["credentials"].(object)["userName"] != "Ana.Silva@example.com" {
		t.Fatalf("app users: %v", list)
	}
	w.want(200, "GET", "/api/v1/apps?q=amazon", nil)
	w.want(200, "GET", base, nil)
	if got := ids(w.want(200, "GET", base+"/groups", nil).list()); !cmp.Equal(got, []string{g.ID}) {
		t.Error(got)
	}
	w.want(200, "PUT", base+"/groups/"+extra.ID, object{"priority": 0})
	if p := w.want(200, "GET", base+"/groups/"+g.ID, nil).obj()["priority"]; p != 1.0 {
		t.Errorf("priority of the group that was there: %v, want 1", p)
	}
	w.want(204, "DELETE", base+"/groups/"+extra.ID, nil)
	w.refused(404, "E0000007", "DELETE", base+"/groups/"+extra.ID, nil)

	must(t, w.UpdateProfile(u.ID, object{"login": "ana.costa@example.com"}))
	if n := w.want(200, "GET", base+"/users/"+u.ID, nil).obj()["credentials"].(object)["userName"]; n != "ana.costa@example.com" {
		t.Errorf("app username follows the login: %v", n)
	}
	w.want(200, "POST", base+"/users/"+u.ID, object{"credentials": object{"userName": "AC1"}})
	must(t, w.UpdateProfile(u.ID, object{"login": "ana.lima@example.com"}))
	if n := w.want(200, "GET", base+"/users/"+u.ID, nil).obj()["credentials"].(object)["userName"]; n != "AC1" {
		t.Errorf("an app username set by hand stays: %v", n)
	}
	must(t, w.Suspend(u.ID))
	w.want(200, "GET", base+"/users/"+u.ID, nil)
	must(t, w.Deactivate(u.ID))
	w.want(404, "GET", base+"/users/"+u.ID, nil)
	must(t, w.Activate(u.ID))
	w.want(200, "GET", base+"/users/"+u.ID, nil)
	must(t, w.Leave(u.ID, g.ID))
	w.want(404, "GET", base+"/users/"+u.ID, nil)
	w.want(200, "POST", base+"/users", object{"id": u.ID, "scope": "USER"})
	must(t, w.Join(u.ID, g.ID))
	must(t, w.Leave(u.ID, g.ID))
	w.want(200, "GET", base+"/users/"+u.ID, nil) // its own assignment
	w.want(204, "DELETE", base+"/users/"+u.ID, nil)
	w.want(404, "GET", base+"/users/"+u.ID, nil)
	if got := ids(w.want(200, "GET", "/api/v1/groups/"+g.ID+"/apps", nil).list()); !cmp.Equal(got, []string{app.ID}) {
		t.Error(got)
	}
	counts := map[string]int{}
	for _, e := range w.Events() {
		counts[e.Type]++
	}
	for kind, n := range map[string]int{"application.user_membership.add": 3, "application.user_membership.remove": 3,
		"application.user_membership.change_username": 2, "group.application_assignment.add": 2, "group.application_assignment.remove": 1} {
		if counts[kind] != n {
			t.Errorf("%s: %d events, want %d", kind, counts[kind], n)
		}
	}
}

func TestOrgAndSchemas(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{BaseURL: "https://dev.okta.example/"})
	w.want(200, "GET", "/api/v1/org", nil)
	w.want(200, "GET", "/api/v1/meta/schemas/user/default", nil)
	w.want(200, "GET", "/api/v1/meta/schemas/group/default", nil)
	if l := w.want(200, "GET", "/api/v1/users", nil).link("self"); l != "https://dev.okta.example/api/v1/users?limit=200" {
		t.Errorf("links use the base URL: %q", l)
	}
}

func TestSameSeedSameOrg(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	build := func(seed uint64, read bool) any {
		w := open(t, okta.Config{Seed: seed, Now: func() time.Time { return now }})
		g := w.group("Amazon Connect Agents")
		if read {
			w.want(404, "GET", "/api/v1/users/nobody", nil)
		}
		w.user("ana.silva@example.com", g.ID)
		return []any{w.Users(), w.Groups(), w.Events()}
	}
	if diff := cmp.Diff(build(7, false), build(7, true)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(build(7, false), build(8, false)) {
		t.Error("another seed gives the same ids")
	}
	for _, u := range build(7, false).([]any)[0].([]okta.User) {
		if len(u.ID) != 20 || !strings.HasPrefix(u.ID, "00u") {
			t.Errorf("id %q", u.ID)
		}
	}
}
