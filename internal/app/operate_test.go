package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/user"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// syncing is a world with the policy sync and what it needs.
func syncing(t *testing.T, s setup) *world {
	t.Helper()
	s.policy = "sync"
	s.persona = "  parked: {routing_profile: Parked, security_profiles: [No permissions]}\n"
	s.more += "leavers: {suspend_as: parked, delete_after: 7d}\n"
	w := newWorld(t, s)
	_, err := w.instance.AddParkingProfile("Parked")
	must(t, err)
	_, err = w.instance.AddSecurityProfile("No permissions")
	must(t, err)
	return w
}

// call asks the API and gives status and body.
func (w *world) call(method, path, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://socket"+path, strings.NewReader(body))
	must(w.t, err)
	resp, err := w.api.Do(req)
	must(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return resp.StatusCode, string(text)
}

// wants calls the API, wants a status and decodes the answer.
func wants[T any](w *world, status int, method, path, body string) T {
	w.t.Helper()
	got, text := w.call(method, path, body)
	if got != status {
		w.t.Fatalf("%s %s %s: status %d, want %d: %s\n%s", method, path, body, got, status, text, w.log)
	}
	var v T
	must(w.t, json.Unmarshal([]byte(text), &v))
	return v
}

// stream calls the API, and gives what became of each person and the summary.
func (w *world) stream(path, body string) (map[string]app.Settled, app.Summary) {
	w.t.Helper()
	status, text := w.call(http.MethodPost, path, body)
	if status != http.StatusOK {
		w.t.Fatalf("POST %s: status %d: %s", path, status, text)
	}
	out := map[string]app.Settled{}
	progress := -1
	lines := bufio.NewScanner(bytes.NewReader([]byte(text)))
	for lines.Scan() {
		var l app.Line
		must(w.t, json.Unmarshal(lines.Bytes(), &l))
		switch {
		case l.Progress != nil:
			if l.Progress.Done < progress {
				w.t.Errorf("the progress goes back to %d from %d", l.Progress.Done, progress)
			}
			progress = l.Progress.Done
		case l.Outcome != nil:
			out[l.Outcome.Person] = *l.Outcome
		case l.Summary != nil:
			if progress != l.Summary.Total || lines.Scan() {
				w.t.Errorf("the summary is not the end of the stream, or comes before the end: %s", text)
			}
			return out, *l.Summary
		}
	}
	w.t.Fatalf("POST %s: the stream ends without a summary: %s", path, text)
	return nil, app.Summary{}
}

// states are the state tags of our agents by owner, without their times.
func (w *world) states() map[string]string {
	out := map[string]string{}
	for _, a := range w.instance.Agents() {
		if owner := a.Tags["connectroster:owner"]; owner != "" {
			out[owner], _, _ = strings.Cut(a.Tags["connectroster:state"], " ")
		}
	}
	return out
}

// asJSON writes v.
func (w *world) asJSON(v any) string {
	w.t.Helper()
	text, err := json.Marshal(v)
	must(w.t, err)
	return string(text)
}

func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	must(t, err)
	return u.Username
}

// TestPlanAdoptExplain follows an agent that was made by hand from its refusal to
// its adoption.
func TestPlanAdoptExplain(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{})
	ours, theirs := w.hire(1, agentGroup), w.hire(2)
	hand, err := w.instance.AddAgent(simconnect.Agent{Username: theirs.Login, IdentityInfo: simconnect.IdentityInfo{FirstName: "By", LastName: "Hand"}})
	must(t, err)
	w.start()
	w.ready()
	w.join(theirs)
	w.await("a refusal", 20*time.Second, func() bool {
		_, text := w.call(http.MethodGet, "/v1/journal?kind=refusal&person="+theirs.ID, "")
		return strings.Contains(text, string(plan.ExistsNotOurs))
	})

	for _, body := range []string{"", `{}`, w.asJSON(map[string][]string{"people": {theirs.Login}}), w.asJSON(map[string][]string{"people": {ours.ID, theirs.ID}})} {
		doc := wants[app.Document](w, 200, http.MethodPost, "/v1/plan", body)
		if len(doc.Changes) != 0 || len(doc.Refusals) != 1 || doc.Refusals[0].Code != plan.ExistsNotOurs || doc.Refusals[0].Agent != hand.ID || doc.Refusals[0].Remedy == "" {
			t.Fatalf("plan %s: %+v", body, doc)
		}
	}
	problem := wants[app.Problem](w, 404, http.MethodPost, "/v1/plan", `{"people":["nobody@example.com"]}`)
	if !strings.Contains(problem.Error, "nobody@example.com") {
		t.Errorf("the error does not name whom nobody knows: %s", problem.Error)
	}

	outcomes, summary := w.stream("/v1/adopt", `{"all":true}`)
	got := outcomes[theirs.ID]
	if len(outcomes) != 1 || got.Result != app.ResultDone || got.Username != theirs.Login || summary.Failed() != 0 || summary.Actions[plan.Adopt] != 1 {
		t.Fatalf("adopt: %+v, %+v", outcomes, summary)
	}
	w.quiet()
	after, _ := w.instance.AgentNamed(theirs.Login)
	if after.ID != hand.ID || after.Tags["connectroster:owner"] != theirs.ID || after.Tags["connectroster:deployment"] != "test" {
		t.Errorf("the agent was not adopted: %+v", after)
	}
	entries := wants[[]reconcile.Entry](w, 200, http.MethodGet, "/v1/journal?kind=change&person="+theirs.ID, "")
	if i := slices.IndexFunc(entries, func(e reconcile.Entry) bool { return e.Action == plan.Adopt }); i < 0 || entries[i].By != me(t) {
		t.Errorf("the journal does not tell who adopted: %+v", entries)
	}
	if after.IdentityInfo.FirstName != "Given2" {
		t.Errorf("the adopted agent was not brought in line at once: %+v", after)
	}
	// Somebody changes its name by hand, and a plan of that is applied.
	_, err = w.instance.ChangeAgent(after.ID, func(a *simconnect.Agent) { a.IdentityInfo.FirstName = "Other" })
	if err != nil {
		t.Fatal(err)
	}
	doc := wants[app.Document](w, 200, http.MethodPost, "/v1/plan", "")
	if len(doc.Changes) != 1 || doc.Counts[plan.Update] != 1 || len(doc.Refusals) != 0 || doc.Looked != 2 || doc.Agents != 2 {
		t.Errorf("the name alone is to be changed: %+v", doc)
	}
	if outcomes, _ := w.stream("/v1/apply", w.asJSON(app.ApplyRequest{Plan: doc.Stored()})); outcomes[theirs.ID].Result != app.ResultDone {
		t.Errorf("apply: %+v", outcomes)
	}
	if after, _ = w.instance.AgentNamed(theirs.Login); after.IdentityInfo.FirstName != "Given2" {
		t.Errorf("the adopted agent is not kept as the rules say: %+v", after)
	}

	e := wants[app.Explained](w, 200, http.MethodGet, "/v1/people/"+theirs.Login+"/explain", "")
	if len(e.Instances) != 1 || !e.Instances[0].Entitled || e.Instances[0].Agent != hand.ID || e.Instances[0].Persona != "agent" || len(e.Journal) == 0 || e.Person != theirs.ID {
		t.Errorf("explain: %+v", e)
	}
	wants[app.Problem](w, 404, http.MethodGet, "/v1/people/nobody@example.com/explain", "")
	for path, body := range map[string]string{
		"/v1/adopt": `{}`, "/v1/release": `{"people":["x"],"all":true}`, "/v1/restore": `{"all":true}`, "/v1/plan": `{"pepole":[]}`,
		"/v1/apply": `not JSON`, "/v1/holds/H1/approve": `{"why":"x"}`,
	} {
		if status, text := w.call(http.MethodPost, path, body); status != http.StatusBadRequest {
			t.Errorf("POST %s %s: status %d, want 400: %s", path, body, status, text)
		}
	}
}

// TestApply carries out a plan that was stored, and refuses one that is stale.
func TestApply(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{noHook: true, catchUp: "1h"})
	moved := w.hire(1, agentGroup)
	w.start()
	w.ready()
	w.becomes(w.entitled(), 20*time.Second)
	joins := w.hire(2, agentGroup)
	agent, _ := w.instance.AgentNamed(moved.Login)
	_, err := w.instance.ChangeAgent(agent.ID, func(a *simconnect.Agent) { a.IdentityInfo.FirstName = "Other" })
	must(t, err)

	doc := wants[app.Document](w, 200, http.MethodPost, "/v1/plan", "")
	if doc.Counts[plan.Create] != 1 || doc.Counts[plan.Update] != 1 || doc.Calls["CreateUser"] != 1 || doc.Calls["UpdateUserIdentityInfo"] != 1 {
		t.Fatalf("plan: %+v", doc)
	}
	update := doc.Changes[slices.IndexFunc(doc.Changes, func(c app.PlannedChange) bool { return c.Action == plan.Update })]
	if len(update.Differences) != 1 || update.Differences[0].Before != "Other Family1" || update.Differences[0].After != "Given1 Family1" {
		t.Errorf("differences: %+v", update.Differences)
	}

	more := w.hire(3, agentGroup)
	stale := wants[app.Problem](w, 409, http.MethodPost, "/v1/apply", w.asJSON(app.ApplyRequest{Plan: doc.Stored()}))
	if len(stale.Differs) != 1 || stale.Differs[0].Person != more.ID || stale.Differs[0].State != "new" {
		t.Fatalf("what differs: %+v", stale)
	}
	if n := w.writes(); n != 1 {
		t.Fatalf("a stale plan wrote: %d writes", n)
	}
	other := doc.Stored()
	other.Name = "other"
	wants[app.Problem](w, 400, http.MethodPost, "/v1/apply", w.asJSON(app.ApplyRequest{Plan: other}))

	doc = wants[app.Document](w, 200, http.MethodPost, "/v1/plan", "")
	if !wants[app.Checked](w, 200, http.MethodPost, "/v1/apply", w.asJSON(app.ApplyRequest{Plan: doc.Stored(), Check: true})).Fresh || w.writes() != 1 {
		t.Fatalf("a plan that is checked is carried out, or is stale: %d writes", w.writes())
	}
	wants[app.Problem](w, 400, http.MethodPost, "/v1/apply", `{"check":true}`)
	outcomes, summary := w.stream("/v1/apply", w.asJSON(app.ApplyRequest{Plan: doc.Stored()}))
	if summary.Results[app.ResultDone] != 3 || summary.Actions[plan.Create] != 2 || summary.Actions[plan.Update] != 1 || outcomes[joins.ID].Username != joins.Login {
		t.Fatalf("apply: %+v, %+v", outcomes, summary)
	}
	if doc := wants[app.Document](w, 200, http.MethodPost, "/v1/plan", ""); len(doc.Changes) != 0 {
		t.Errorf("apply, then plan: %+v", doc.Changes)
	}
}

// TestApplyGoesOn gives up one person and finishes the others; the dead letter is
// shown, asked for again and dropped.
func TestApplyGoesOn(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{noHook: true, catchUp: "1h"})
	w.start()
	w.ready()
	bad, good := w.hire(1, agentGroup), w.hire(2, agentGroup)
	must(t, w.instance.AddFaults(simconnect.Fault{Operation: "CreateUser", Status: 400, Code: "InvalidParameterException", Times: 1}))

	outcomes, summary := w.stream("/v1/apply", `{}`)
	dead := bad.ID
	if outcomes[good.ID].Result == app.ResultDead {
		dead, good = good.ID, bad
	}
	if outcomes[dead].Result != app.ResultDead || outcomes[good.ID].Result != app.ResultDone || summary.Failed() != 1 {
		t.Fatalf("apply: %+v, %+v\n%s", outcomes, summary, w.log)
	}
	letters := wants[[]reconcile.Waiting](w, 200, http.MethodGet, "/v1/dead", "")
	if len(letters) != 1 || letters[0].Person != dead {
		t.Fatalf("dead letters: %+v", letters)
	}
	one := wants[struct {
		Reason  string
		Journal []reconcile.Entry
	}](w, 200, http.MethodGet, "/v1/dead/"+dead, "")
	if one.Reason == "" || len(one.Journal) != 1 || one.Journal[0].Kind != reconcile.EntryFailure {
		t.Errorf("dead letter: %+v", one)
	}
	wants[app.Problem](w, 404, http.MethodGet, "/v1/dead/"+good.ID, "")
	wants[map[string]string](w, 200, http.MethodDelete, "/v1/dead/"+dead, "")
	if letters := wants[[]reconcile.Waiting](w, 200, http.MethodGet, "/v1/dead", ""); len(letters) != 0 {
		t.Errorf("dead letters after the drop: %+v", letters)
	}
	wants[app.Problem](w, 404, http.MethodPost, "/v1/dead/"+dead+"/replay", "")
	outcomes, _ = w.stream("/v1/apply", `{}`)
	if outcomes[dead].Result != app.ResultDone || len(outcomes) != 1 {
		t.Errorf("apply again: %+v", outcomes)
	}
}

// TestHolds empties the group by mistake: everything is held, one removal is
// approved, the others are rejected, and what was approved is undone.
func TestHolds(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{})
	people := []simokta.User{w.hire(1, agentGroup), w.hire(2, agentGroup), w.hire(3, agentGroup)}
	w.start()
	w.ready()
	w.becomes(w.entitled(), 20*time.Second)
	before, _ := w.instance.AgentNamed(people[0].Login)
	must(t, w.org.EmptyGroup(w.group.ID))

	var holds []reconcile.Hold
	w.await("all of them held", 60*time.Second, func() bool {
		holds = wants[[]reconcile.Hold](w, 200, http.MethodGet, "/v1/holds", "")
		return len(holds) == 1 && len(holds[0].Entries) == len(people)
	})
	for id, state := range w.states() {
		if state != "active" {
			t.Fatalf("person %s is %s", id, state)
		}
	}
	at := "/v1/holds/" + holds[0].ID
	if h := wants[reconcile.Hold](w, 200, http.MethodGet, at, ""); len(h.Entries) != len(people) || h.Cause == "" {
		t.Errorf("hold: %+v", h)
	}
	wants[app.Problem](w, 404, http.MethodGet, "/v1/holds/H99", "")
	wants[app.Problem](w, 404, http.MethodPost, "/v1/holds/H99/approve", "")
	doc := wants[app.Document](w, 200, http.MethodPost, "/v1/plan", "")
	if len(doc.Changes) != 3 || !strings.Contains(doc.Changes[0].Guard, holds[0].ID) {
		t.Errorf("the plan does not say what is held: %+v", doc.Changes)
	}

	decided := wants[app.Decided](w, 200, http.MethodPost, at+"/approve", w.asJSON(map[string][]string{"people": {people[0].Login}}))
	if len(decided.Decided) != 1 || decided.Decided[0].By != me(t) || decided.Waiting != 2 {
		t.Errorf("approve: %+v", decided)
	}
	wants[app.Problem](w, 409, http.MethodPost, at+"/approve", w.asJSON(map[string][]string{"people": {people[0].ID}}))
	w.await("the approved one to be suspended", 20*time.Second, func() bool { return w.states()[people[0].ID] == "suspended" })

	for _, until := range []string{"yesterday", "-3d", "1999-01-01T00:00:00Z", "9999d"} {
		wants[app.Problem](w, 400, http.MethodPost, at+"/reject", w.asJSON(map[string]string{"until": until}))
	}
	decided = wants[app.Decided](w, 200, http.MethodPost, at+"/reject", `{"why":"emptied by mistake","until":"3d"}`)
	if len(decided.Decided) != 2 || decided.Waiting != 0 {
		t.Errorf("reject: %+v", decided)
	}
	for _, verdict := range []string{"/approve", "/reject"} { // nothing waits any more, which is no success
		if p := wants[app.Problem](w, 409, http.MethodPost, at+verdict, ""); !strings.Contains(p.Error, "nothing waits in "+holds[0].ID) {
			t.Errorf("%s of what is decided: %q", verdict, p.Error)
		}
	}
	stays := wants[[]reconcile.Stay](w, 200, http.MethodGet, "/v1/stays", "")
	if len(stays) != 2 || stays[0].Who != me(t) || stays[0].Why != "emptied by mistake" || time.Until(stays[0].Until) < 71*time.Hour {
		t.Fatalf("stays: %+v", stays)
	}
	wants[map[string]string](w, 200, http.MethodDelete, "/v1/stays/"+people[1].ID, "")
	wants[app.Problem](w, 404, http.MethodDelete, "/v1/stays/"+people[1].ID, "")
	w.await("the one without a stay to be held anew", 20*time.Second, func() bool {
		holds = wants[[]reconcile.Hold](w, 200, http.MethodGet, "/v1/holds", "")
		return len(holds) == 1 && len(holds[0].Entries) == 1 && holds[0].Entries[0].Person == people[1].ID
	})
	if all := wants[[]reconcile.Hold](w, 200, http.MethodGet, "/v1/holds?all=true", ""); len(all) == 0 || len(all[len(all)-1].Entries) != 3 {
		t.Errorf("all holds: %+v", all)
	}
	w.await("the notices of what is held", 20*time.Second, func() bool { return w.status().Guard.Notices.Held >= 4 })
	s := w.status()
	if s.Guard.Holds != 1 || s.Guard.Waiting != 1 || s.Guard.Stays != 1 || s.Guard.Removals[reconcile.RemovalMembership].Granted != 1 {
		t.Errorf("status: %+v", s.Guard)
	}

	// Who is not suspended is said to be so, and nothing changes about them.
	outcomes, summary := w.stream("/v1/restore", w.asJSON(app.OrderRequest{People: []string{people[1].ID, people[0].ID, people[2].ID}, Why: "was a mistake", Until: "2d"}))
	if outcomes[people[0].ID].Result != app.ResultDone || summary.Actions[plan.Resume] != 1 {
		t.Fatalf("restore: %+v, %+v", outcomes, summary)
	}
	for _, u := range people[1:] {
		if o := outcomes[u.ID]; o.Result != app.ResultRefused || !strings.Contains(o.Reason, "nothing to restore") || o.Username != u.ID {
			t.Errorf("restore of somebody who is not suspended: %+v", o)
		}
	}
	if summary.Total != 3 || summary.Results[app.ResultRefused] != 2 || summary.Failed() == 0 {
		t.Errorf("restore: %+v", summary)
	}
	stays = wants[[]reconcile.Stay](w, 200, http.MethodGet, "/v1/stays", "")
	for _, s := range stays {
		if (s.Why == "was a mistake") != (s.Person == people[0].ID) {
			t.Errorf("a stay was put on somebody who was not restored: %+v", s)
		}
	}
	if len(stays) != 2 {
		t.Errorf("stays: %+v", stays)
	}
	after, _ := w.instance.AgentNamed(people[0].Login)
	if after.RoutingProfile != before.RoutingProfile || !slices.Equal(after.SecurityProfiles, before.SecurityProfiles) || after.IdentityInfo != before.IdentityInfo {
		t.Errorf("restored to %+v, was %+v", after, before)
	}
	w.quiet()
	if w.states()[people[0].ID] != "active" {
		t.Error("whoever was restored was suspended again although there is a stay")
	}
	if v := wants[app.Verified](w, 200, http.MethodPost, "/v1/journal/verify", ""); !v.OK || v.Entries < 8 || v.Chains < 3 {
		t.Errorf("verify: %+v", v)
	}
}

// TestReleaseWithoutSearching: whose agents are known are released while agents cannot be
// searched for, and whoever is not known may be an agent, so why is told.
func TestReleaseWithoutSearching(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{})
	one := w.hire(1, agentGroup)
	w.start()
	w.ready()
	w.becomes(w.entitled(), 20*time.Second)
	must(t, w.instance.AddFaults(simconnect.Fault{Operation: "SearchUsers", Status: http.StatusForbidden, Code: "AccessDeniedException", Times: -1}))
	outcomes, _ := w.stream("/v1/release", w.asJSON(map[string][]string{"people": {one.Login}}))
	if got := outcomes[one.ID]; got.Result != app.ResultDone || !slices.Equal(got.Actions, []plan.Action{plan.Release}) {
		t.Errorf("release: %+v", outcomes)
	}
	status, text := w.call(http.MethodPost, "/v1/release", `{"people":["an-agent"]}`)
	if status == http.StatusOK || !strings.Contains(text, "connect:SearchUsers") {
		t.Errorf("release of nobody who is known: %d %s", status, text)
	}
}

// TestReleaseAndForget uninstalls and erases.
func TestReleaseAndForget(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{})
	one, other := w.hire(1, agentGroup), w.hire(2, agentGroup)
	w.start()
	w.ready()
	w.becomes(w.entitled(), 20*time.Second)
	wants[app.Problem](w, 409, http.MethodPost, "/v1/forget/"+one.ID, "")

	outcomes, summary := w.stream("/v1/release", `{"all":true}`)
	if len(outcomes) != 2 || summary.Actions[plan.Release] != 2 || outcomes[other.ID].Username != other.Login {
		t.Fatalf("release: %+v, %+v", outcomes, summary)
	}
	for _, a := range w.instance.Agents() {
		for key := range a.Tags {
			if strings.HasPrefix(key, "connectroster:") {
				t.Errorf("agent %s still has the tag %s", a.ID, key)
			}
		}
	}
	f := wants[app.Forgotten](w, 200, http.MethodPost, "/v1/forget/"+one.ID, "")
	if f.Person != one.ID || f.Erased.Entries == 0 {
		t.Errorf("forget: %+v", f)
	}
	if _, text := w.call(http.MethodGet, "/v1/journal?person="+one.ID, ""); strings.Contains(text, one.Login) || strings.Contains(text, "Given1") {
		t.Errorf("the journal still names them: %s", text)
	}
	if v := wants[app.Verified](w, 200, http.MethodPost, "/v1/journal/verify", w.asJSON(map[string]string{"person": one.ID})); !v.OK || v.Chains != 1 {
		t.Errorf("verify: %+v", v)
	}
}

// TestReleaseByAnOldSearch: an agent that somebody had is another person's by now, and the
// search does not show that yet. Whoever releases the former one once more does not take it
// from the other, who can leave as before. And whoever releases everybody releases it.
func TestReleaseByAnOldSearch(t *testing.T) {
	t.Parallel()
	t.Run("a person", func(t *testing.T) {
		t.Parallel()
		w, former, owner := byAnOldSearch(t)
		w.stream("/v1/release", `{"people":["`+former.ID+`"]}`)
		must(t, w.org.Suspend(owner.ID))
		w.await("the agent of who left to be suspended", time.Minute, func() bool { return w.states()[owner.ID] == "suspended" })
	})
	t.Run("everybody", func(t *testing.T) {
		t.Parallel()
		w, _, _ := byAnOldSearch(t)
		w.stream("/v1/release", `{"all":true}`)
		if got := w.states(); len(got) != 0 {
			t.Errorf("agents after the release of everybody: %v", got)
		}
	})
}

// byAnOldSearch is a world in which the search goes on showing an agent as that of its
// former owner.
func byAnOldSearch(t *testing.T) (w *world, former, owner simokta.User) {
	t.Helper()
	w = syncing(t, setup{})
	former, owner = w.hire(1, agentGroup), w.hire(2)
	w.start()
	w.ready()
	w.await("the first agent", time.Minute, func() bool { return w.states()[former.ID] == "active" })
	_, err := w.instance.AddAgent(simconnect.Agent{Username: owner.Login, IdentityInfo: simconnect.IdentityInfo{FirstName: "Zoe", LastName: "Zimt"}, Tags: map[string]string{
		"connectroster:deployment": "test", "connectroster:owner": former.ID, "connectroster:state": "active",
	}})
	must(t, err)

	var mu sync.Mutex
	told := map[string]*httptest.ResponseRecorder{} // by the question; it is told again once it is kept
	w.connect.lead(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		mu.Lock()
		defer mu.Unlock()
		answer := told[string(body)]
		if answer == nil {
			answer = httptest.NewRecorder()
			w.instance.ServeHTTP(answer, r)
			if strings.Contains(answer.Body.String(), former.ID) && strings.Contains(r.URL.Path, "search-users") {
				told[string(body)] = answer
			}
		}
		maps.Copy(out.Header(), answer.Header())
		out.WriteHeader(answer.Code)
		_, _ = out.Write(answer.Body.Bytes())
	}))
	w.stream("/v1/release", `{"people":["`+former.ID+`"]}`)
	if got := w.states(); len(got) != 0 {
		t.Fatalf("agents after the release: %v", got)
	}
	w.join(owner)
	w.stream("/v1/adopt", `{"people":["`+owner.ID+`"]}`)
	if got := w.states(); len(told) == 0 || got[owner.ID] != "active" {
		t.Fatalf("agents after the adoption: %v, and %d old answers", got, len(told))
	}
	return w, former, owner
}
