package okta_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

// crowd makes a group of so many people and gives their ids.
func (w *world) crowd(group string, size int) []string {
	w.t.Helper()
	w.group(group)
	ids := make([]string, size)
	for i := range size {
		ids[i] = w.user(fmt.Sprintf("p%d.%s@example.com", i, group), group).ID
	}
	return ids
}

func (w *world) members(group string) []string {
	w.t.Helper()
	out := []string{}
	for _, u := range w.Users() {
		if slices.Contains(u.Groups, group) {
			out = append(out, u.ID)
		}
	}
	return out
}

func TestGroupsEmptyAndMoveInBulk(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	ids := w.crowd("Agents", 10)
	w.group("Others")
	removals := func() int { return len(w.Events("group.user_membership.remove")) }

	w.want(200, "POST", "/_sim/groups/Agents/move", object{"to": "Others", "percent": 80})
	if diff := cmp.Diff(ids[8:], w.members("Agents")); diff != "" || removals() != 8 || len(w.members("Others")) != 8 {
		t.Fatalf("80 %% moved: %s, %d removals", diff, removals())
	}
	w.want(200, "POST", "/_sim/groups/Others/move", object{"to": "Agents"})
	g := w.want(200, "POST", "/_sim/groups/Agents/empty", nil).obj()
	if g["members"] != 0.0 || len(w.members("Agents")) != 0 || removals() != 8+8+10 {
		t.Errorf("emptied: %v, %d removals", g, removals())
	}
	must(t, w.Join(ids[0], "Agents"))
	must(t, w.Configure(func(s *okta.Settings) { s.SilentJobs = true }))
	must(t, w.EmptyGroup("Agents"))
	if len(w.members("Agents")) != 0 || removals() != 26 {
		t.Errorf("emptied without a word: %v, %d removals", w.members("Agents"), removals())
	}
	for path, body := range map[string]object{
		"Agents/move": {"to": "none"}, "none/empty": nil, "Agents/explode": nil, "Everyone/empty": nil, "Others/move": {"to": "Agents", "percent": 101},
	} {
		if a := w.do("POST", "/_sim/groups/"+path, body); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d %v", path, a.status, a.body)
		}
	}
}

func TestMembersChangeInBulk(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	w.crowd("Agents", 3)
	for _, step := range [][2]string{{"suspend", "SUSPENDED"}, {"unsuspend", "ACTIVE"}, {"deactivate", "DEPROVISIONED"}} {
		w.want(200, "POST", "/_sim/groups/Agents/"+step[0], nil)
		for _, u := range w.Users() {
			if u.Status != step[1] {
				t.Errorf("%s: %s", step[0], u.Status)
			}
		}
	}
	if n := len(w.members("Agents")); n != 3 {
		t.Errorf("%d of those deactivated are still members", n)
	}
	must(t, w.ChangeMembers("Agents", "activate"))
	w.want(200, "POST", "/_sim/groups/Agents/delete", nil)
	if n, gone := len(w.Users()), len(w.Events("user.lifecycle.delete.completed")); n != 0 || gone != 3 {
		t.Errorf("%d users are left, %d deletions", n, gone)
	}
}

func TestRulesEndWithOrWithoutTheirWork(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{false, true} {
		w := open(t, okta.Config{})
		w.group("Support")
		for i := range 3 {
			_, err := w.AddUser(okta.NewUser{Login: fmt.Sprintf("p%d@example.com", i), Profile: object{"department": "Support"}})
			must(t, err)
		}
		_, err := w.AddRule("support", `user.department=="Support"`, "Support")
		must(t, err)
		if n := len(w.members("Support")); n != 3 {
			t.Fatalf("the rule found %d", n)
		}
		w.want(200, "DELETE", fmt.Sprintf("/_sim/rules/support?removeUsers=%t", remove), nil)
		want := map[bool]int{false: 3, true: 0}[remove]
		if n := len(w.members("Support")); n != want || len(w.Rules()) != 0 || len(w.Events("group.user_membership.remove")) != 3-want {
			t.Errorf("removeUsers=%t: %d are left", remove, n)
		}
		w.want(404, "DELETE", "/_sim/rules/support", nil)
	}
}

func TestOrgTellsItsID(t *testing.T) {
	t.Parallel()
	w, other := open(t, okta.Config{}), open(t, okta.Config{Seed: 9})
	a := w.as("", "GET", "/.well-known/okta-organization", nil)
	if a.status != http.StatusOK || a.obj()["id"] != w.ID() || w.ID() == other.ID() {
		t.Errorf("%d %v, %s, %s", a.status, a.body, w.ID(), other.ID())
	}
	if b := w.want(200, "GET", "/api/v1/org", nil); b.obj()["id"] != w.ID() {
		t.Errorf("the two ids differ: %v", b.body)
	}
	w.refused(405, "E0000022", "POST", "/.well-known/okta-organization", nil)
	must(t, w.AddFaults(okta.Fault{Endpoint: "GET /.well-known/okta-organization", Kind: okta.FaultWrongOrg}))
	if id := w.as("", "GET", "/.well-known/okta-organization", nil).obj()["id"]; id == w.ID() || id == "" {
		t.Errorf("the wrong org has the id %v", id)
	}
}

// The newest records about somebody can be asked for.
func TestNewestRecordsFirst(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now})
	ids := w.crowd("Agents", 2)
	for range 3 {
		c.step(time.Second)
		must(t, w.Leave(ids[0], "Agents"))
		c.step(time.Second)
		must(t, w.Join(ids[0], "Agents"))
	}
	about := `target.id eq "` + ids[0] + `" and (eventType eq "group.user_membership.add" or eventType eq "group.user_membership.remove")`
	query := url.Values{"sortOrder": {"DESCENDING"}, "limit": {"3"}, "filter": {about}, "since": {"2026-10-01T00:00:00.000Z"}}
	a := w.want(200, "GET", "/api/v1/logs?"+query.Encode(), nil)
	add, remove := memberships[0], memberships[1]
	if diff := cmp.Diff([]string{add, remove, add}, kinds(a.list())); diff != "" || a.link("next") == "" {
		t.Error(diff)
	}
	a = w.want(200, "GET", a.link("next"), nil)
	if diff := cmp.Diff([]string{remove, add, remove}, kinds(a.list())); diff != "" {
		t.Error(diff)
	}
	must(t, w.Deactivate(ids[0]))
	must(t, w.Delete(ids[0]))
	query.Set("filter", `target.id eq "`+ids[0]+`" and eventType sw "user.lifecycle."`)
	query.Set("limit", "2")
	a = w.want(200, "GET", "/api/v1/logs?"+query.Encode(), nil)
	if diff := cmp.Diff([]string{"user.lifecycle.delete.completed", "user.lifecycle.delete.initiated"}, kinds(a.list())); diff != "" {
		t.Error(diff)
	}
}

// What is gone can be told from what may not be seen, in one call.
func TestEveryoneIsSeenWithAnyGroup(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g, everyone := w.group("Agents"), w.Groups()[0]
	w.user("ana@example.com", "Agents")
	query := url.Values{"filter": {`id eq "` + g.ID + `" or type eq "BUILT_IN"`}, "expand": {"stats"}}
	get := func() map[string]float64 {
		out := map[string]float64{}
		for _, row := range w.want(200, "GET", "/api/v1/groups?"+query.Encode(), nil).list() {
			r := row.(object)
			out[r["id"].(string)] = r["_embedded"].(object)["stats"].(object)["usersCount"].(float64)
		}
		return out
	}
	if diff := cmp.Diff(map[string]float64{everyone.ID: 1, g.ID: 1}, get()); diff != "" {
		t.Error(diff)
	}
	must(t, w.EmptyGroup("Agents"))
	if diff := cmp.Diff(map[string]float64{everyone.ID: 1, g.ID: 0}, get()); diff != "" {
		t.Error(diff)
	}
	must(t, w.DeleteGroup("Agents"))
	if diff := cmp.Diff(map[string]float64{everyone.ID: 1}, get()); diff != "" {
		t.Error(diff)
	}
	query = url.Values{"search": {`profile.name sw "CC-" or type eq "BUILT_IN"`}}
	w.group("CC-One")
	if n := len(w.want(200, "GET", "/api/v1/groups?"+query.Encode(), nil).list()); n != 2 {
		t.Errorf("%d groups found", n)
	}
}
