package okta_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

func names(list []any) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.(object)["target"].([]any)[0].(object)["displayName"].(string))
	}
	return out
}

func TestLateCommitsGoBackInPublished(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now, Settings: okta.Settings{LogDelay: 10 * time.Second, LateEvery: 3}})
	poll := w.want(200, "GET", "/api/v1/logs", nil)
	var seen []string
	follow := func() {
		t.Helper()
		poll = w.want(200, "GET", poll.link("next"), nil)
		seen = append(seen, names(poll.list())...)
	}
	for i := range 7 {
		w.group(fmt.Sprint("g", i))
		c.step(time.Second)
	}
	follow()
	bounded := "/api/v1/logs?since=2026-11-20T09:00:00.000Z&until=2026-11-20T11:00:00.000Z"
	early := names(w.want(200, "GET", bounded, nil).list())
	if diff := cmp.Diff([]string{"g0", "g1", "g3", "g4", "g6"}, early); diff != "" {
		t.Errorf("bounded, too early: %s", diff)
	}
	if n := len(w.Events()); n != 7 {
		t.Errorf("the org itself knows %d events", n)
	}
	c.step(4 * time.Second)
	follow()
	c.step(10 * time.Second)
	follow()
	follow()
	if diff := cmp.Diff([]string{"g0", "g1", "g3", "g4", "g6", "g2", "g5"}, seen); diff != "" {
		t.Errorf("polled: %s", diff)
	}
	if diff := cmp.Diff([]string{"g0", "g1", "g2", "g3", "g4", "g5", "g6"}, names(w.want(200, "GET", bounded, nil).list())); diff != "" {
		t.Errorf("bounded: %s", diff)
	}
	// A poll that begins behind the event's time but before its persistence gets it.
	again := w.want(200, "GET", "/api/v1/logs?since=2026-11-20T10:00:08.000Z", nil)
	if diff := cmp.Diff([]string{"g2", "g5"}, names(again.list())); diff != "" {
		t.Errorf("since is about persistence: %s", diff)
	}
}

func TestLogCursorExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now, Settings: okta.Settings{LogCursorLife: time.Hour}})
	next := w.want(200, "GET", "/api/v1/logs?since=2026-11-20T09:00:00.000Z", nil).link("next")
	c.step(time.Hour)
	next = w.want(200, "GET", next, nil).link("next")
	c.step(time.Hour + time.Second)
	w.refused(400, "E0000001", "GET", next, nil)
	must(t, w.Configure(func(s *okta.Settings) { s.LogCursorStatus = 410 }))
	if a := w.openly("GET", next); a.status != 410 {
		t.Errorf("%d %v", a.status, a.body)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.LogCursorLife = 0 }))
	c.step(200 * 24 * time.Hour)
	w.want(200, "GET", next, nil) // since is part of the link, and does not matter there
}

// openly makes a call that the judge does not see: its answer is none that the
// description knows.
func (w *world) openly(method, path string) answer {
	w.t.Helper()
	if !strings.HasPrefix(path, w.url) {
		w.t.Fatal("want an absolute URL of the org")
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, path, nil)
	must(w.t, err)
	req.Header.Set("Authorization", "SSWS dev-token")
	req.Header.Set("X-Unjudged", "1")
	return w.send(req)
}

func TestEventsThatReachNoHook(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	g, u := w.group("Agents"), w.user("ana.silva@example.com", "Agents")
	_, err := w.AddApp(okta.NewApp{Groups: []string{g.ID}})
	must(t, err)
	w.hook(s, []string{"user.account.update_profile", "application.user_membership.update"}, nil)
	w.want(200, "POST", "/_sim/people/"+u.ID+"/app-username", object{"app": "AWS Account Federation", "userName": "ana@connect"})
	w.want(200, "POST", "/_sim/people/"+u.ID+"/primary-email", object{"email": "ana@example.com"})
	w.want(200, "POST", "/_sim/people/"+u.ID+"/delete", nil)
	w.want(200, "POST", "/_sim/people/"+u.ID+"/delete", nil)
	w.settle()
	quiet := []string{"application.user_membership.change_username", "user.account.update_primary_email", "user.lifecycle.delete.completed"}
	var logged []string
	for _, e := range w.Events(quiet...) {
		logged = append(logged, e.Type)
	}
	if diff := cmp.Diff(quiet, logged); diff != "" || len(s.got()) != 0 {
		t.Errorf("%s; %d deliveries", diff, len(s.got()))
	}
	for _, body := range []object{{"app": "none", "userName": "x"}, {"app": "AWS Account Federation", "userName": "x"}} {
		if a := w.do("POST", "/_sim/people/"+w.user("bo.berg@example.com").ID+"/app-username", body); a.status != 404 {
			t.Errorf("%v: %d", body, a.status)
		}
		must(t, w.Delete("bo.berg@example.com"))
		must(t, w.Delete("bo.berg@example.com"))
	}
}

func TestOddRateHeaders(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now, Settings: okta.Settings{LimitEvery: 3}})
	var statuses []int
	for range 7 {
		statuses = append(statuses, w.do("GET", "/api/v1/groups", nil).status)
	}
	if diff := cmp.Diff([]int{200, 200, 429, 200, 200, 429, 200}, statuses); diff != "" {
		t.Error(diff)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.LimitEvery = 1 }))
	now := c.now().Unix()
	for given, want := range map[string]string{"now+1": strconv.FormatInt(now+1, 10), "now+3600": strconv.FormatInt(now+3600, 10),
		"now-60": strconv.FormatInt(now-60, 10), "-1": "-1", "abc": "abc", "absent": ""} {
		for _, remaining := range []string{"0", "1", "absent"} {
			must(t, w.Configure(func(s *okta.Settings) {
				s.RateHeaders = okta.RateHeaders{Limit: "600", Remaining: remaining, Reset: given}
			}))
			a := w.do("GET", "/api/v1/groups", nil)
			left := remaining
			if left == "absent" {
				left = ""
			}
			got := []string{a.header.Get("X-Rate-Limit-Limit"), a.header.Get("X-Rate-Limit-Remaining"), a.header.Get("X-Rate-Limit-Reset")}
			if diff := cmp.Diff([]string{"600", left, want}, got); diff != "" || a.status != 429 {
				t.Errorf("%s, %s: %d %s", given, remaining, a.status, diff)
			}
			if date, err := http.ParseTime(a.header.Get("Date")); err != nil || date.Unix() != now {
				t.Errorf("Date is %v, not by the org's clock", a.header.Get("Date"))
			}
		}
	}
	must(t, w.Configure(func(s *okta.Settings) { s.LimitEvery = 0 }))
	if a := w.do("GET", "/api/v1/groups", nil); a.status != 200 || a.header.Get("X-Rate-Limit-Limit") != "500" {
		t.Errorf("an answer 200 is not changed: %d %v", a.status, a.header)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.RateHeaders = okta.RateHeaders{Limit: "0", Always: true} }))
	if a := w.do("GET", "/api/v1/groups", nil); a.status != 200 || a.header.Get("X-Rate-Limit-Limit") != "0" {
		t.Errorf("but it can be: %d %v", a.status, a.header)
	}
}

func TestSearchLagsBehind(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now, Settings: okta.Settings{SearchLag: 30 * time.Second}})
	c.step(time.Minute)
	find := func(what, expr string) int {
		t.Helper()
		return len(w.want(200, "GET", "/api/v1/"+what+"?search="+url.QueryEscape(expr), nil).list())
	}
	g, u := w.group("Agents"), w.user("ana.silva@example.com")
	if n := find("groups", `profile.name eq "Agents"`) + find("users", `profile.login sw "ana"`); n != 0 {
		t.Errorf("search finds %d rows at once", n)
	}
	if a := w.want(200, "GET", "/api/v1/groups?q=Agents", nil); len(a.list()) != 1 {
		t.Error("q does not lag")
	}
	c.step(30 * time.Second)
	if n := find("groups", `profile.name eq "Agents"`) + find("users", `profile.login sw "ana"`); n != 2 {
		t.Errorf("after the lag search finds %d rows", n)
	}
	must(t, w.UpdateGroup(g.ID, "Crew", ""))
	c.step(10 * time.Second)
	must(t, w.UpdateGroup(g.ID, "Team", ""))
	must(t, w.Suspend(u.ID))
	if a, b := find("groups", `profile.name eq "Agents"`), find("users", `status eq "ACTIVE"`); a+b != 2 {
		t.Errorf("search still shows the old name and status: %d, %d", a, b)
	}
	c.step(30 * time.Second)
	must(t, w.DeleteGroup(g.ID))
	must(t, w.Delete(u.ID))
	must(t, w.Delete(u.ID))
	if a, b := find("groups", `profile.name eq "Team"`), find("users", `status eq "SUSPENDED"`); a+b != 2 {
		t.Errorf("search still shows what is deleted: %d, %d", a, b)
	}
	w.refused(404, "E0000007", "GET", "/api/v1/groups/"+g.ID, nil)
	c.step(30 * time.Second)
	if a, b := find("groups", `profile.name eq "Team"`), find("users", `status pr`); a+b != 0 {
		t.Errorf("until it forgets: %d, %d", a, b)
	}
}

func TestGroupRulesWorkAsJobs(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g := w.group("Support")
	here, away := w.user("here@example.com"), w.user("away@example.com")
	manual := w.user("manual@example.com", "Support")
	must(t, w.UpdateProfile(here.ID, object{"department": "Support"}))
	must(t, w.UpdateProfile(manual.ID, object{"department": "Support"}))
	body := object{"type": "group_rule", "name": "Support people",
		"conditions": object{"people": object{"users": object{"exclude": []string{}}},
			"expression": object{"type": "urn:okta:expression:1.0", "value": `user.department=="Support"`}},
		"actions": object{"assignUserToGroups": object{"groupIds": []string{g.ID}}}}
	r := w.want(200, "POST", "/api/v1/groups/rules", body).obj()
	if r["status"] != "INACTIVE" || r["id"].(string)[:3] != "0pr" {
		t.Error(r)
	}
	path := "/api/v1/groups/rules/" + r["id"].(string)
	in := func() (out []string) {
		for _, m := range w.want(200, "GET", "/api/v1/groups/"+g.ID+"/users", nil).list() {
			out = append(out, m.(object)["profile"].(object)["login"].(string))
		}
		slices.Sort(out)
		return out
	}
	check := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, in()); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	check("inactive", "manual@example.com")
	w.want(204, "POST", path+"/lifecycle/activate", nil)
	check("active", "here@example.com", "manual@example.com")
	last := w.want(200, "GET", "/api/v1/logs?sortOrder=DESCENDING&limit=1", nil).list()[0].(object)
	if last["eventType"] != "group.user_membership.add" || last["transaction"].(object)["type"] != "JOB" {
		t.Errorf("a rule's work is no job: %v", last)
	}
	must(t, w.UpdateProfile(away.ID, object{"department": "Support"}))
	must(t, w.UpdateProfile(here.ID, object{"department": "Sales"}))
	must(t, w.UpdateProfile(manual.ID, object{"department": "Sales"}))
	check("after two moves", "away@example.com", "manual@example.com")
	must(t, w.Deactivate(away.ID))
	must(t, w.UpdateProfile(away.ID, object{"department": "Sales"}))
	check("a leaver stays", "away@example.com", "manual@example.com")
	w.refused(400, "E0000001", "PUT", path, body)
	w.want(204, "POST", path+"/lifecycle/deactivate", nil)
	check("switched off", "away@example.com", "manual@example.com")
	body["conditions"].(object)["expression"].(object)["value"] = `user.department=="Sales" and user.login != "manual@example.com"`
	w.want(200, "PUT", path, body)
	must(t, w.SwitchRule("Support people", true))
	check("another expression", "away@example.com", "here@example.com", "manual@example.com")

	must(t, w.Configure(func(s *okta.Settings) { s.RulesBusy = true }))
	if a := w.do("GET", path, nil); a.status != 200 {
		t.Errorf("a read while busy: %d", a.status)
	}
	for _, call := range []string{"POST " + path + "/lifecycle/deactivate", "DELETE " + path} {
		method, path, _ := strings.Cut(call, " ")
		b := w.openly(method, w.url+path)
		if b.status != 423 || b.code() != "E0000239" {
			t.Errorf("%s while busy: %d %v", call, b.status, b.body)
		}
	}
	must(t, w.Configure(func(s *okta.Settings) { s.RulesBusy = false }))
	w.want(202, "DELETE", path+"?removeUsers=true", nil)
	check("deleted with its users", "manual@example.com")
	w.refused(404, "E0000007", "GET", path, nil)

	w.want(200, "POST", "/_sim/rules", object{"name": "r2", "expression": `user.city==null`, "group": "Support"})
	must(t, w.DeleteGroup(g.ID))
	if rules := w.Rules(); rules[0].Status != "INVALID" {
		t.Errorf("a rule without its group: %v", rules)
	}
	if list := w.want(200, "GET", "/api/v1/groups/rules?limit=1", nil).list(); len(list) != 1 {
		t.Error(list)
	}
}

func TestRuleExpressions(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	w.group("G")
	_, err := w.AddUser(okta.NewUser{Login: "ana@example.com", FirstName: "Ana", Profile: object{"department": "Support, EU", "remote": true, "skills": []any{"a"}}})
	must(t, err)
	for expr, want := range map[string]bool{
		`user.department=="Support, EU"`:                                   true,
		`user.department == 'support, eu'`:                                 false,
		`user.department!="Sales" && user.firstName=="Ana"`:                true,
		`user.department=="Sales" or (user.remote and not user.city=="x")`: true,
		`user.city==null AND user.remote==true`:                            true,
		`user.city!=null || !user.remote`:                                  false,
		`String.stringContains(user.department, "port")`:                   true,
		`String.startsWith(user.city, "O")`:                                false,
		`user.skills==user.skills`:                                         false,
	} {
		r, err := w.AddRule("r", expr, "G")
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := w.Groups()[1].Members == 1; got != want {
			t.Errorf("%s fits: %v", expr, got)
		}
		w.want(202, "DELETE", "/api/v1/groups/rules/"+r.ID+"?removeUsers=true", nil)
	}
	for _, bad := range []string{"", `user`, `user.`, `user.a==`, `user.a=="b`, `(user.a=="b"`, `user.a=="b" user`, `String.len(user.a)`, `user.a ~ "b"`} {
		if _, err := w.AddRule("r", bad, "G"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAppSchemaAndRoles(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g, u := w.group("Agents"), w.user("ana.silva@example.com", "Agents")
	app := w.want(200, "POST", "/_sim/apps", object{"roles": []string{"ConnectAgent", "ConnectAdmin"}}).obj()
	if app["label"] != "AWS Account Federation" || app["name"] != "amazon_aws" {
		t.Error(app)
	}
	id := app["id"].(string)
	attributes := func() (object, object) {
		v := w.want(200, "GET", "/api/v1/meta/schemas/apps/"+id+"/default", nil).obj()
		p := v["definitions"].(object)["custom"].(object)["properties"].(object)
		return p["role"].(object), p["samlRoles"].(object)["items"].(object)
	}
	one, many := attributes()
	if diff := cmp.Diff([]any{"ConnectAgent", "ConnectAdmin"}, one["enum"]); diff != "" || !cmp.Equal(one["enum"], many["enum"]) {
		t.Errorf("%s %v", diff, many)
	}
	group := "/api/v1/apps/" + id + "/groups/" + g.ID
	w.refused(400, "E0000001", "PUT", group, object{"profile": object{"role": "King"}})
	w.refused(400, "E0000001", "PUT", group, object{"profile": object{"colour": "red"}})
	profile := object{"role": "ConnectAgent", "samlRoles": []any{"ConnectAgent"}}
	if a := w.want(200, "PUT", group, object{"profile": profile}).obj(); !cmp.Equal(a["profile"], any(profile)) {
		t.Error(a)
	}
	if a := w.want(200, "GET", "/api/v1/apps/"+id+"/users/"+u.ID, nil).obj(); a["profile"].(object)["role"] != "ConnectAgent" {
		t.Errorf("the member does not get the group's role: %v", a)
	}
	w.want(200, "PATCH", "/_sim/apps/"+id, object{"roles": []string{}})
	if one, _ = attributes(); one["enum"] != nil {
		t.Errorf("without roles: %v", one)
	}
	w.refused(404, "E0000007", "GET", "/api/v1/meta/schemas/apps/0oanone/default", nil)
	if _, err := w.AddApp(okta.NewApp{Name: "other"}); err == nil {
		t.Error("another app needs a label")
	}
}

func TestHookFilteringMayBeOff(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{Settings: okta.Settings{HookFiltersOff: true}})
	cfg := okta.HookConfig{Name: "n", URI: "https://hooks.example.com/", Events: memberships,
		Filters: map[string]string{memberships[0]: "event.target.?[type eq 'UserGroup' && id eq '00g1'].size()>0"}}
	if _, err := w.AddHook(cfg); err == nil {
		t.Error("a filter is taken where the feature is off")
	}
	cfg.Filters = nil
	if _, err := w.AddHook(cfg); err != nil {
		t.Errorf("a hook without: %v", err)
	}
}

func TestGroupStatistics(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	w.group("Agents")
	w.user("ana.silva@example.com", "Agents")
	list := w.want(200, "GET", "/api/v1/groups?expand=stats&q=Agents", nil).list()
	if n := list[0].(object)["_embedded"].(object)["stats"].(object)["usersCount"]; n != 1.0 {
		t.Errorf("usersCount is %v", n)
	}
}
