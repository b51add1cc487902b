package okta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// drain follows a feed to its end.
func drain(t *testing.T, f *okta.Feed, cursor string, since time.Time) (reconcile.Page, int) {
	t.Helper()
	var all reconcile.Page
	for pages := 1; ; pages++ {
		p, err := f.Events(t.Context(), cursor, since)
		if err != nil {
			t.Fatal(err)
		}
		all.Requests = append(all.Requests, p.Requests...)
		all.Fan = append(all.Fan, p.Fan...)
		all.Failed += p.Failed
		all.Next, cursor = p.Next, p.Next
		if !p.More {
			return all, pages
		}
	}
}

// The feed of the simulator tells of everything that an administrator does.
func TestFeedOfSim(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t)
	since := time.Now().Add(-time.Hour)
	d := newAPIDirectory(t, client, apiLabel, apiName)
	feed, err := okta.NewFeed(okta.FeedConfig{Client: client, Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	// The client's clock is the test's: what is new is asked for by that.
	start, _ := drain(t, feed, "", since)
	if _, err := org.AddUser(newSimUser("ana@example.com")); err != nil {
		t.Fatal(err)
	}
	ana := userNamed(t, org, "ana@example.com").ID
	steps := []struct {
		name string
		do   func() error
		want map[reconcile.Priority]bool
	}{
		{"created", func() error { return nil }, map[reconcile.Priority]bool{reconcile.Joiner: true}},
		{"joined", func() error { return org.Join(ana, apiName) }, map[reconcile.Priority]bool{reconcile.Joiner: true}},
		{"joined by rule elsewhere", func() error { return org.JoinByRule(ana, "Supervisors") }, nil},
		{"left elsewhere", func() error { return org.Leave(ana, "Supervisors") }, nil},
		{"changed", func() error { return org.UpdateProfile(ana, map[string]any{"firstName": "Anna"}) }, map[reconcile.Priority]bool{reconcile.Routine: true}},
		{"suspended", func() error { return org.Suspend(ana) }, map[reconcile.Priority]bool{reconcile.Leaver: true}},
		{"unsuspended", func() error { return org.Unsuspend(ana) }, map[reconcile.Priority]bool{reconcile.Joiner: true}},
		{"left", func() error { return org.Leave(ana, apiName) }, map[reconcile.Priority]bool{reconcile.Leaver: true}},
		{"deactivated", func() error { return org.Deactivate(ana) }, map[reconcile.Priority]bool{reconcile.Leaver: true}},
		{"deleted", func() error { return org.Delete(ana) }, map[reconcile.Priority]bool{reconcile.Leaver: true}},
	}
	cursor := start.Next
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		var page reconcile.Page
		page, _ = drain(t, feed, cursor, since)
		cursor = page.Next
		got := map[reconcile.Priority]bool{}
		for _, r := range page.Requests {
			if r.Person != ana || r.Trigger != okta.TriggerLog || r.Event == "" || !r.Due.IsZero() {
				t.Errorf("%s: %+v", step.name, r)
			}
			got[r.Priority] = true
		}
		if diff := cmp.Diff(step.want, got); len(step.want)+len(got) > 0 && diff != "" {
			t.Errorf("%s:\n%s", step.name, diff)
		}
	}
	group := groupNamed(t, org, apiName).ID
	for name, do := range map[string]func() error{
		"renamed":    func() error { return org.UpdateGroup(group, "Renamed", "") },
		"unassigned": func() error { return org.UnassignGroup(apiLabel, group) },
		"elsewhere":  func() error { return org.UpdateGroup("Supervisors", "Others", "") },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		page, _ := drain(t, feed, cursor, since)
		cursor = page.Next
		if fan := len(page.Fan) > 0 && page.Fan[0] == group; fan == (name == "elsewhere") {
			t.Errorf("%s: %q", name, page.Fan)
		}
	}
	if err := org.DeleteGroup(group); err != nil {
		t.Fatal(err)
	}
	if page, _ := drain(t, feed, cursor, since); len(page.Fan) != 1 || page.Fan[0] != group {
		t.Errorf("deleted: %q", page.Fan)
	}
}

// Events are told apart by type, outcome and targets; what cannot be read is
// skipped alone.
func TestFeedEvents(t *testing.T) {
	t.Parallel()
	user := obj{"type": "User", "id": userID, "alternateId": "ana@example.com"}
	group := obj{"type": "UserGroup", "id": apiGroup, "displayName": apiName}
	app := obj{"type": "AppInstance", "id": apiApp, "displayName": apiLabel, "alternateId": apiLabel}
	other := obj{"type": "AppInstance", "id": "0oaOther", "displayName": "Other"}
	event := func(kind, result string, targets ...any) any {
		return obj{"uuid": "u-1", "eventType": kind, "outcome": obj{"result": result}, "target": targets}
	}
	request := func(p reconcile.Priority) []reconcile.Request {
		return []reconcile.Request{{Person: userID, Priority: p, Trigger: okta.TriggerLog, Event: "u-1"}}
	}
	for name, c := range map[string]struct {
		event  any
		want   []reconcile.Request
		fan    []string
		failed int
	}{
		"targets in another order":   {event: event("group.user_membership.remove", "SUCCESS", group, user), want: request(reconcile.Leaver)},
		"mapped by name":             {event: event("group.user_membership.add", "SUCCESS", user, obj{"type": "UserGroup", "id": "00gx", "displayName": apiName}), want: request(reconcile.Joiner)},
		"another group":              {event: event("group.user_membership.add", "SUCCESS", user, obj{"type": "UserGroup", "id": "00gx", "displayName": "x"})},
		"failure":                    {event: event("user.lifecycle.suspend", "FAILURE", user)},
		"the app's":                  {event: event("application.user_membership.change_username", "SUCCESS", app, user), want: request(reconcile.Routine)},
		"another app's":              {event: event("application.user_membership.add", "SUCCESS", other, user)},
		"not hook-eligible":          {event: event("user.lifecycle.delete.completed", "SUCCESS", user), want: request(reconcile.Leaver)},
		"e-mail":                     {event: event("user.account.update_primary_email", "SUCCESS", user), want: request(reconcile.Routine)},
		"null targets":               {event: obj{"uuid": "u", "eventType": "user.lifecycle.suspend", "outcome": obj{"result": "SUCCESS"}, "target": nil}},
		"null outcome":               {event: obj{"uuid": "u", "eventType": "user.lifecycle.suspend", "outcome": nil, "target": []any{user}}},
		"null":                       {event: nil},
		"a number":                   {event: 7},
		"unknown type":               {event: event("user.session.start", "SUCCESS", user)},
		"impossible id":              {event: event("user.lifecycle.suspend", "SUCCESS", obj{"type": "User", "id": "../x"})},
		"group deleted":              {event: event("group.lifecycle.delete", "SUCCESS", group), fan: []string{apiGroup}},
		"group taken from the app":   {event: event("group.application_assignment.remove", "SUCCESS", group, app), fan: []string{apiGroup}},
		"group taken from other app": {event: event("group.application_assignment.remove", "SUCCESS", group, other)},
		"delivery failed":            {event: event("event_hook.delivery", "FAILURE"), failed: 1},
		"delivery warned of":         {event: event("event_hook.delivery", "SUCCESS")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newAPIOrg(t, 0, 2, 0)
			sound := event("user.lifecycle.activate", "SUCCESS", obj{"type": "User", "id": "00uSound"})
			o.lists["logs"] = []any{c.event, sound}
			client := newAPIClient(t, o.server.URL, nil)
			page, err := newAPIFeed(t, client, newAPIDirectory(t, client, apiLabel, apiName)).Events(t.Context(), "", newAPIClock().now())
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Concat(c.want, []reconcile.Request{{Person: "00uSound", Priority: reconcile.Joiner, Trigger: okta.TriggerLog, Event: "u-1"}})
			if diff := cmp.Diff(want, page.Requests); diff != "" || !page.More || page.Failed != c.failed {
				t.Errorf("%s\n%+v", diff, page)
			}
			if diff := cmp.Diff(c.fan, page.Fan); len(c.fan)+len(page.Fan) > 0 && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The fixture of a page of the log, as Okta writes it.
func TestFeedFixture(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 0, 2, 0)
	if err := json.Unmarshal(fixture(t, "systemlog-page.json"), new([]any)); err != nil {
		t.Fatal(err)
	}
	var rows []any
	_ = json.Unmarshal(fixture(t, "systemlog-page.json"), &rows)
	o.lists["logs"], o.sizes["logs"] = rows, len(rows)
	client := newAPIClient(t, o.server.URL, nil)
	page, err := newAPIFeed(t, client, newAPIDirectory(t, client, apiLabel, groupID)).Events(t.Context(), "", newAPIClock().now())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, row := range rows {
		kinds[row.(obj)["eventType"].(string)]++
	}
	if len(page.Requests) == 0 || page.Failed != kinds["event_hook.delivery"] || page.Failed == 0 {
		t.Errorf("%d requests, %d failed of %v", len(page.Requests), page.Failed, kinds)
	}
	leavers := 0
	for _, r := range page.Requests {
		if r.Priority == reconcile.Leaver {
			leavers++
		}
	}
	if leavers == 0 {
		t.Errorf("nobody leaves: %+v", page.Requests)
	}
}

// The cursor is the link that Okta gave, to the letter, and an empty page keeps
// it alive.
func TestFeedCursor(t *testing.T) {
	t.Parallel()
	var queries []string
	client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		w.Header().Set("Link", "<http://"+r.Host+"/api/v1/logs?z=1&after=A%2Cb==&since=2026-01-01T00%3A00%3A00Z>; rel=\"next\"")
		fmt.Fprint(w, `[]`)
	}, nil)
	feed := newAPIFeed(t, client, newAPIDirectory(t, client, ""))
	since := newAPIClock().now().Add(-time.Hour)
	first, err := feed.Events(t.Context(), "", since)
	if err != nil || first.More || !strings.Contains(queries[0], "since=2026-11-20T09%3A00%3A00.000Z") ||
		!strings.Contains(queries[0], "sortOrder=ASCENDING") || !strings.Contains(queries[0], "limit=1000") || strings.Contains(queries[0], "until") {
		t.Fatalf("%+v, %v, %q", first, err, queries)
	}
	for range 2 {
		page, err := feed.Events(t.Context(), first.Next, since)
		if err != nil || page.Next != first.Next {
			t.Fatalf("%+v, %v", page, err)
		}
	}
	if queries[1] != "z=1&after=A%2Cb==&since=2026-01-01T00%3A00%3A00Z" {
		t.Errorf("the cursor arrives as %q", queries[1])
	}
}

// A cursor that is refused, or not of this org, and a time of which no events
// are kept, are gaps; other faults are not.
func TestFeedGaps(t *testing.T) {
	t.Parallel()
	now := newAPIClock().now()
	for name, c := range map[string]struct {
		status int
		cursor string
		since  time.Time
		gap    bool
	}{
		"400 on a cursor":       {400, "/api/v1/logs?after=1", now, true},
		"410 on a cursor":       {410, "/api/v1/logs?after=1", now, true},
		"404 on a cursor":       {404, "/api/v1/logs?after=1", now, false},
		"500 on a cursor":       {500, "/api/v1/logs?after=1", now, false},
		"403 on a cursor":       {403, "/api/v1/logs?after=1", now, false},
		"400 on the first call": {400, "", now, false},
		"91 days":               {200, "", now.Add(-91 * 24 * time.Hour), true},
		"no time at all":        {200, "", time.Time{}, true},
		"another org's cursor":  {200, "https://other.okta.com/api/v1/logs?after=1", now, true},
		"another path":          {200, "/api/v1/users", now, true},
		"nonsense":              {200, "::", now, true},
		"endless":               {200, "/api/v1/logs?after=" + strings.Repeat("x", 10_000), now, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.WriteHeader(c.status)
				fmt.Fprint(w, `{"errorCode":"E0000031"}`)
			}, nil)
			_, err := newAPIFeed(t, client, newAPIDirectory(t, client, "")).Events(t.Context(), c.cursor, c.since)
			if err == nil || errors.Is(err, reconcile.ErrGap) != c.gap {
				t.Error(err)
			}
			if c.status == 200 && calls > 0 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}
