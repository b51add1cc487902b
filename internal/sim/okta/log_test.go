package okta_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

func kinds(list []any) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.(object)["eventType"].(string))
	}
	return out
}

func TestPollingTheLog(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	only := "filter=" + url.QueryEscape(`eventType eq "group.user_membership.add" or eventType eq "group.user_membership.remove"`)
	a := w.want(200, "GET", "/api/v1/logs?limit=2&"+only, nil)
	if len(a.list()) != 0 || a.link("next") == "" {
		t.Fatalf("an empty page has a next link too: %v %v", a.body, a.header.Values("Link"))
	}
	g, u := w.group("Amazon Connect Agents"), w.user("ana.silva@example.com")
	for range 2 {
		must(t, w.Join(u.ID, g.ID))
		must(t, w.Leave(u.ID, g.ID))
	}
	must(t, w.Join(u.ID, g.ID))
	var sizes []int
	var got []string
	for range 4 {
		a = w.want(200, "GET", a.link("next"), nil)
		sizes = append(sizes, len(a.list()))
		got = append(got, kinds(a.list())...)
	}
	add, remove := memberships[0], memberships[1]
	if diff := cmp.Diff([]int{2, 2, 1, 0}, sizes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{add, remove, add, remove, add}, got); diff != "" {
		t.Error(diff)
	}
	must(t, w.Leave(u.ID, g.ID))
	if a = w.want(200, "GET", a.link("next"), nil); len(a.list()) != 1 {
		t.Errorf("after one more event: %v", kinds(a.list()))
	}
	if a = w.want(200, "GET", "/api/v1/logs?limit=0", nil); len(a.list()) != 0 {
		t.Errorf("limit 0: %d events", len(a.list()))
	}
}

func TestBoundedLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	step := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	w := open(t, okta.Config{Now: clock})
	for i := range 5 {
		w.group(fmt.Sprint("g", i))
		step(time.Minute)
	}
	q := "/api/v1/logs?limit=2&since=2026-11-20T10:01:00.000Z&until=2026-11-20T10:04:00.000Z"
	a := w.want(200, "GET", q, nil)
	b := w.want(200, "GET", a.link("next"), nil)
	var names []string
	for _, e := range append(a.list(), b.list()...) {
		names = append(names, e.(object)["target"].([]any)[0].(object)["displayName"].(string))
	}
	if diff := cmp.Diff([]string{"g1", "g2", "g3"}, names); diff != "" || b.link("next") != "" {
		t.Errorf("%s, last next link %q", diff, b.link("next"))
	}
	desc := w.want(200, "GET", "/api/v1/logs?sortOrder=DESCENDING&limit=1", nil)
	if desc.list()[0].(object)["target"].([]any)[0].(object)["displayName"] != "g4" || desc.link("next") == "" {
		t.Errorf("descending: %v", desc.body)
	}
	step(100 * 24 * time.Hour)
	if a := w.want(200, "GET", "/api/v1/logs?since=2026-11-20T00:00:00.000Z", nil); len(a.list()) != 0 {
		t.Errorf("events are kept 90 days, got %d older ones", len(a.list()))
	}
	step(100 * 24 * time.Hour)
	w.refused(400, "E0000053", "GET", "/api/v1/logs?since=2026-11-20T00:00:00.000Z", nil)
}

func TestLogFilters(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g, u := w.group("Amazon Connect Agents"), w.user("ana.silva@example.com")
	must(t, w.JoinByRule(u.ID, g.ID))
	count := func(q string) int { return len(w.want(200, "GET", "/api/v1/logs?"+q, nil).list()) }
	for q, want := range map[string]int{
		"":          4,
		"q=amazon":  2,
		"q=ana+add": 1,
		"filter=" + url.QueryEscape(`target.id eq "`+u.ID+`"`):                                     3,
		"filter=" + url.QueryEscape(`eventType sw "group." and not (transaction.type eq "JOB")`):   1,
		"filter=" + url.QueryEscape(`outcome.result ne "SUCCESS"`):                                 0,
		"filter=" + url.QueryEscape(`EVENTTYPE EQ "x" or uuid pr`):                                 -1,
		"filter=" + url.QueryEscape(`eventType EQ "group.lifecycle.create" OR eventType co "add"`): 2,
		"filter=" + url.QueryEscape(`published gt "2026-01-01T00:00:00Z"`):                         -1,
		"filter=" + url.QueryEscape(`debugContext.debugData.url co "api"`):                         -1,
		"filter=" + url.QueryEscape(`eventType eq "a" eventType`):                                  -1,
		"filter=" + url.QueryEscape(`(eventType eq "a"`):                                           -1,
		"filter=" + url.QueryEscape(strings.Repeat("(", 500)):                                      -1,
		"since=yesterday": -1,
	} {
		if want < 0 {
			w.refused(400, "E0000053", "GET", "/api/v1/logs?"+q, nil)
		} else if n := count(q); n != want {
			t.Errorf("%s: %d events, want %d", q, n, want)
		}
	}
	w.refused(400, "E0000001", "GET", "/api/v1/logs?q=a+b+c+d+e+f+g+h+i+j+k", nil)
	w.refused(400, "E0000001", "GET", "/api/v1/logs?after=b0", nil)
}

// shape lists every path of a JSON value with the kind of what stands there.
func shape(v any, at string, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		out[at] = "object"
		for k, x := range v {
			shape(x, at+"."+k, out)
		}
	case []any:
		out[at] = "array"
		for i, x := range v {
			shape(x, fmt.Sprintf("%s[%d]", at, i), out)
		}
	default:
		out[at] = fmt.Sprintf("%T", v)
	}
}

func shapeOf(v any) map[string]string {
	out := map[string]string{}
	shape(v, "", out)
	return out
}

// words are the strings of an event that do not depend on who and when.
func words(e object) object {
	out := object{}
	for _, k := range []string{"eventType", "version", "displayMessage", "severity", "legacyEventType", "outcome", "client", "securityContext"} {
		out[k] = e[k]
	}
	out["actorType"] = e["actor"].(object)["type"]
	out["transaction"] = e["transaction"].(object)["type"]
	var parties []any
	for _, x := range e["target"].([]any) {
		p := x.(object)
		parties = append(parties, []any{p["type"], p["alternateId"], p["displayName"]})
	}
	out["targets"] = parties
	debug := e["debugContext"].(object)["debugData"].(object)
	out["debugKeys"] = slices.Sorted(maps.Keys(debug))
	out["changed"] = debug["changedAttributes"]
	return out
}

func fixture(t *testing.T, name string) any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "okta", name))
	must(t, err)
	var v any
	must(t, json.Unmarshal(raw, &v))
	return v
}

// The events of this org against published ones: same keys, same words, in the
// form of a delivery and in that of the System Log. The fixtures of the first
// list agree with real events, the others follow their pattern.
func TestEventsLookLikePublishedOnes(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{BaseURL: "https://example.okta.com"})
	g := w.group("Amazon Connect Agents")
	_, err := w.AddApp(okta.NewApp{Label: "Amazon Connect", Groups: []string{g.ID}})
	must(t, err)
	fixtures := []string{
		"group.user_membership.add", "group.user_membership.remove", "application.user_membership.add",
		"user.lifecycle.deactivate", "user.account.update_profile",

		"application.user_membership.remove", "user.lifecycle.create", "user.lifecycle.activate", "user.lifecycle.suspend", "user.lifecycle.unsuspend",
		"user.lifecycle.reactivate", "user.lifecycle.delete.initiated", "group.profile.update", "group.lifecycle.delete",
	}
	w.hook(s, fixtures, nil)

	u := w.user("ana.silva@example.com")
	must(t, w.Join(u.ID, g.ID))
	must(t, w.UpdateProfile(u.ID, object{"department": "Support", "title": "Agent", "lastName": "Silva "}))
	must(t, w.UpdateProfile(u.ID, object{"department": "Sales", "title": "Lead", "lastName": "Silva"}))
	must(t, w.Suspend(u.ID))
	must(t, w.Unsuspend(u.ID))
	must(t, w.SetStatus(u.ID, "RECOVERY", ""))
	must(t, w.Reactivate(u.ID))
	must(t, w.Leave(u.ID, g.ID))
	must(t, w.Deactivate(u.ID))
	must(t, w.Delete(u.ID))
	must(t, w.UpdateGroup(g.ID, "Amazon Connect Agents EMEA", ""))
	must(t, w.UpdateGroup(g.ID, "Amazon Connect Agents", ""))
	must(t, w.DeleteGroup(g.ID))
	w.settle()

	got := map[string]object{}
	for _, p := range s.got() {
		kind := p.events()[0]["eventType"].(string)
		if _, seen := got[kind]; !seen || kind == "user.account.update_profile" {
			got[kind] = p.body
		}
	}
	published := map[string]object{}
	for _, e := range fixture(t, "systemlog-page.json").([]any) {
		kind := e.(object)["eventType"].(string)
		if _, seen := published[kind]; !seen {
			published[kind] = e.(object)
		}
	}
	logged := map[string]object{}
	for _, e := range w.want(200, "GET", "/api/v1/logs?limit=1000", nil).list() {
		kind := e.(object)["eventType"].(string)
		if _, seen := logged[kind]; !seen || kind == "user.account.update_profile" {
			logged[kind] = e.(object)
		}
	}
	for _, kind := range fixtures {
		want := fixture(t, "hook-"+kind+".json").(object)
		if diff := cmp.Diff(shapeOf(want), shapeOf(got[kind])); diff != "" {
			t.Errorf("%s: keys of the delivery differ (-published +ours):\n%s", kind, diff)
			continue
		}
		sent, told := got[kind]["data"].(object)["events"].([]any)[0].(object), want["data"].(object)["events"].([]any)[0].(object)
		compareWords(t, kind, told, sent)
		for _, k := range []string{"eventType", "eventTypeVersion", "cloudEventsVersion", "contentType"} {
			if got[kind][k] != want[k] {
				t.Errorf("%s: envelope %s is %v", kind, k, got[kind][k])
			}
		}
		if diff := cmp.Diff(shapeOf(published[kind]), shapeOf(logged[kind])); diff != "" {
			t.Errorf("%s: keys in the System Log differ (-published +ours):\n%s", kind, diff)
			continue
		}
		compareWords(t, kind, published[kind], logged[kind])
	}
	for _, kind := range []string{"user.lifecycle.delete.completed"} {
		if diff := cmp.Diff(shapeOf(published[kind]["actor"]), shapeOf(logged[kind]["actor"])); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

// compareWords compares what does not depend on the ids of this run. The
// changed attributes of a real event are in no stated order.
func compareWords(t *testing.T, kind string, told, ours object) {
	t.Helper()
	a, b := words(told), words(ours)
	for _, w := range []object{a, b} {
		if s, ok := w["changed"].(string); ok {
			list := strings.Split(s, ",")
			sort.Strings(list)
			w["changed"] = list
		}
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("%s: words differ (-published +ours):\n%s", kind, diff)
	}
}

func TestEventOfAGroupRuleLooksLikeAPublishedOne(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	g, u := w.group("Amazon Connect Agents"), w.user("ana.silva@example.com")
	w.hook(s, memberships, nil)
	must(t, w.JoinByRule(u.ID, g.ID))
	w.settle()
	want := fixture(t, "hook-group.user_membership.add.by-group-rule.json").(object)
	got := s.got()[0]
	if diff := cmp.Diff(shapeOf(want), shapeOf(got.body)); diff != "" {
		t.Error(diff)
	}
	compareWords(t, "by rule", want["data"].(object)["events"].([]any)[0].(object), got.events()[0])
}

func TestPreviewWithNulls(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	h, err := w.AddHook(okta.HookConfig{Name: "h", URI: s.url, Events: memberships, Filters: map[string]string{memberships[0]: `event.actor.id eq 'nobody'`}})
	must(t, err)
	d := w.want(200, "POST", "/_sim/hooks/"+h.ID+"/preview", object{}).obj() // unverified and filtered, yet delivered
	if d["outcome"] != "delivered" || d["kind"] != "preview" {
		t.Fatal(d)
	}
	want := fixture(t, "hook-admin-preview-sample-nulls.json").(object)
	if diff := cmp.Diff(shapeOf(want), shapeOf(s.got()[0].body)); diff != "" {
		t.Error(diff)
	}
	if r := s.got()[0].events()[0]["outcome"].(object)["result"]; r != "Success" {
		t.Errorf("result %v", r)
	}
	g, u := w.group("g"), w.user("ana.silva@example.com")
	must(t, w.Join(u.ID, g.ID))
	past := w.Events(memberships[0])[0].UUID
	if _, err := w.Preview(t.Context(), h.ID, past); err != nil || s.uuids()[1] != past {
		t.Errorf("preview of a past event: %v %v", err, s.uuids())
	}
	if _, err := w.Preview(t.Context(), h.ID, "no such"); err == nil {
		t.Error("preview of an unknown event is no error")
	}
}
