package okta_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

func TestControlActsAsAnAdministrator(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	person := func(status int, method, path string, body any) object {
		t.Helper()
		return w.want(status, method, "/_sim/"+path, body).obj()
	}
	g := person(200, "POST", "groups", object{"name": "Amazon Connect Agents", "description": "they take calls"})
	person(200, "POST", "apps", object{"label": "Amazon Connect", "groups": []any{g["id"]}})
	ana := person(200, "POST", "people", object{"login": "ana.silva@example.com", "firstName": "Ana", "lastName": "Silva"})
	list := w.want(200, "POST", "/_sim/people", []object{
		{"login": "bo.berg@example.com", "firstName": "Bo", "groups": []string{"Amazon Connect Agents"}},
		{"login": "cy.staged@example.com", "status": "STAGED", "profile": object{"department": "Support"}},
		{"login": "di.gone@example.com", "status": "DEPROVISIONED"},
		{"login": "ed.locked@example.com", "status": "LOCKED_OUT"},
		{"login": "fi.parked@example.com", "status": "SUSPENDED"},
	}).list()
	var statuses []any
	for _, p := range list {
		statuses = append(statuses, p.(object)["status"])
	}
	if diff := cmp.Diff([]any{"ACTIVE", "STAGED", "DEPROVISIONED", "LOCKED_OUT", "SUSPENDED"}, statuses); diff != "" {
		t.Error(diff)
	}
	if p := person(200, "POST", "people/ana.silva@example.com/join", object{"group": "Amazon Connect Agents"}); !cmp.Equal(p["groups"], any([]any{"Amazon Connect Agents"})) {
		t.Errorf("join: %v", p)
	}
	id := ana["id"].(string)
	for action, want := range map[string]string{"suspend": "SUSPENDED"} {
		if p := person(200, "POST", "people/"+id+"/"+action, nil); p["status"] != want {
			t.Errorf("%s: %v", action, p)
		}
	}
	for _, step := range [][2]string{{"unsuspend", "ACTIVE"}, {"deactivate", "DEPROVISIONED"}, {"activate", "ACTIVE"}} {
		if p := person(200, "POST", "people/"+id+"/"+step[0], nil); p["status"] != step[1] {
			t.Errorf("%s: %v", step[0], p)
		}
	}
	person(200, "POST", "people/"+id+"/status", object{"status": "RECOVERY", "transitioningToStatus": "ACTIVE"})
	if v := w.want(200, "GET", "/api/v1/users/"+id, nil).obj(); v["status"] != "RECOVERY" || v["transitioningToStatus"] != "ACTIVE" {
		t.Error(v)
	}
	if p := person(200, "PATCH", "people/"+id, object{"lastName": "Costa", "title": "Agent", "firstName": nil}); !cmp.Equal(p["profile"],
		any(object{"login": "ana.silva@example.com", "email": "ana.silva@example.com", "lastName": "Costa", "title": "Agent"})) {
		t.Errorf("patch: %v", p)
	}
	if p := person(200, "POST", "people/"+id+"/leave", object{"group": g["id"], "job": true}); len(p["groups"].([]any)) != 0 {
		t.Errorf("leave: %v", p)
	}
	if p := person(200, "POST", "people/"+id+"/delete", nil); p["status"] != "DEPROVISIONED" {
		t.Errorf("first delete: %v", p)
	}
	if p := person(200, "POST", "people/"+id+"/delete", nil); p["deleted"] != true {
		t.Errorf("second delete: %v", p)
	}
	person(404, "GET", "people/"+id, nil)
	person(200, "PATCH", "groups/Amazon%20Connect%20Agents", object{"name": "Agents"})
	state := person(200, "GET", "state", nil)
	if len(state["users"].([]any)) != 5 || state["groups"].([]any)[1].(object)["name"] != "Agents" || state["groups"].([]any)[1].(object)["members"] != 1.0 ||
		state["apps"].([]any)[0].(object)["users"] != 1.0 {
		t.Errorf("state: %v", state)
	}
	person(200, "DELETE", "groups/Agents", nil)
	if stats := person(200, "GET", "stats", nil); stats["calls"].(object)["GET /api/v1/users/{id}"].(object)["calls"] != 1.0 {
		t.Errorf("stats: %v", stats)
	}

	for path, body := range map[string]any{
		"people":                              object{"login": "x"},
		"people/":                             nil,
		"people/bo.berg@example.com/explode":  nil,
		"people/bo.berg@example.com/join":     object{"group": "none"},
		"people/nobody/suspend":               nil,
		"people/fi.parked@example.com/status": object{"status": "ASLEEP"},
		"groups":                              object{"name": ""},
		"apps":                                object{"label": "x", "groups": []string{"none"}},
		"people/cy.staged@example.com/join":   object{"grp": "misspelt"},
		"hooks/who1/preview":                  nil,
		"deliver":                             object{"events": []string{"none"}},
	} {
		req := w.url + "/_sim/" + path
		if path == "people/" {
			continue
		}
		if a := w.do("POST", req, body); a.status < 400 || a.status >= 500 {
			t.Errorf("%s %v: %d %v", path, body, a.status, a.body)
		}
	}
}

func TestControlSettings(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{Settings: okta.Settings{MaxBatch: 7}})
	got := w.want(200, "PATCH", "/_sim/settings", object{"batchWindowMs": 1.5, "dropTypes": []string{"x"}, "rateLimits": object{"logs": 5},
		"searchLagMs": 2000, "rateHeaders": object{"reset": "now+60"}}).obj()
	if got["batchWindowMs"] != 1.5 || got["maxBatch"] != 7.0 || w.Settings().BatchWindow.Microseconds() != 1500 ||
		got["searchLagMs"] != 2000.0 || w.Settings().SearchLag.Seconds() != 2 || w.Settings().RateHeaders.Reset != "now+60" {
		t.Errorf("settings: %v", got)
	}
	for _, bad := range []object{{"dropRate": 2}, {"dropRate": -1}, {"batchWindowMs": -1}, {"nonsense": 1}, {"rateLimits": object{"nothing": 1}}, {"maxBatch": "many"}, {"dailyCap": -2},
		{"logDelayMs": -1}, {"logCursorStatus": 500}, {"searchLagMs": 4e6}, {"concurrency": -2}, {"limitEvery": -1}} {
		if a := w.do("PATCH", "/_sim/settings", bad); a.status != 400 {
			t.Errorf("%v: %d", bad, a.status)
		}
	}
	if diff := cmp.Diff(got, w.want(200, "GET", "/_sim/settings", nil).obj()); diff != "" {
		t.Errorf("refused settings changed something: %s", diff)
	}
	if _, err := okta.New(okta.Config{Settings: okta.Settings{DropRate: 3}}); err == nil {
		t.Error("impossible settings at the start")
	}
	if _, err := okta.New(okta.Config{BaseURL: "okta"}); err == nil {
		t.Error("impossible base URL")
	}
}

func TestControlRedeliversResetsAndWaits(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Seed: 3})
	h := w.hook(s, memberships, nil)
	ids := w.joins(2)
	w.want(200, "GET", "/_sim/idle?timeout=10s", nil)
	d := w.want(200, "POST", "/_sim/deliver", object{"hook": h.ID, "events": []string{ids[1], ids[0], ids[1]}}).list()
	if len(d) != 1 || d[0].(object)["outcome"] != "delivered" || d[0].(object)["kind"] != "redelivery" {
		t.Fatal(d)
	}
	if diff := cmp.Diff([]string{ids[0], ids[1], ids[1], ids[0], ids[1]}, s.uuids()); diff != "" {
		t.Error(diff)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.Delay = 1 << 50 }))
	w.joins(1)
	if a := w.do("GET", "/_sim/idle?timeout=20ms", nil); a.status != 504 {
		t.Errorf("idle while an event waits: %d", a.status)
	}
	w.want(400, "GET", "/_sim/idle?timeout=long", nil)
	w.want(200, "POST", "/_sim/reset", nil)
	w.settle()
	if n := len(w.Users()) + len(w.Hooks()) + len(w.Events()) + len(w.Deliveries()) + len(s.got()) - 3; n != 0 || len(w.Groups()) != 1 || w.Settings().Delay != 0 {
		t.Errorf("after a reset: %d leftovers, groups %v", n, w.Groups())
	}
	if g, fresh := w.group("x"), open(t, okta.Config{Seed: 3}).group("x"); g.ID != fresh.ID {
		t.Errorf("a reset org mints other ids: %s, %s", g.ID, fresh.ID)
	}
}

func TestControlRefusesOtherSites(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/_sim/reset", strings.NewReader("{}"))
	must(t, err)
	req.Header.Set("Origin", "https://evil.example")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site resets the org: %d", resp.StatusCode)
	}
}
