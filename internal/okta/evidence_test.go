package okta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	sim "connectroster/internal/sim/okta"
)

// court is an org of the simulator whose clock moves a second with each change.
type court struct {
	*sim.Org
	t      *testing.T
	clock  *apiClock
	client *okta.Client
	calls  *atomic.Int64
	d      *okta.Directory
	agents string // id of the group
}

// newCourt makes an org with two mapped groups, of which the second is mapped by
// a regular expression, and ana and bob in the first.
func newCourt(t *testing.T) *court {
	t.Helper()
	c := &court{t: t, clock: newAPIClock()}
	c.Org, c.client, c.calls = simOrgAs(t, sim.Config{Now: c.clock.now})
	c.d = newAPIDirectory(t, c.client, apiLabel, apiName, "/^CC-/")
	addGroups(t, c.Org, "CC-Billing", "Other")
	for _, login := range []string{"ana@example.com", "bob@example.com"} {
		c.step()
		_, err := c.AddUser(newSimUser(login))
		simply(t, err)
		c.step()
		simply(t, c.Join(login, apiName))
	}
	c.step()
	c.agents = groupNamed(t, c.Org, apiName).ID
	return c
}

func (c *court) step() { c.clock.move(time.Second) }

// do makes changes, a second apart.
func (c *court) do(changes ...error) {
	c.t.Helper()
	simply(c.t, changes...)
	c.step()
}

// ask asks about somebody and wants so many calls.
func (c *court) ask(q reconcile.Question, calls int64) reconcile.Evidence {
	c.t.Helper()
	c.calls.Store(0)
	got, err := c.d.Evidence(c.t.Context(), q)
	if err != nil {
		c.t.Fatal(err)
	}
	if n := c.calls.Load(); n != calls {
		c.t.Errorf("%d calls; %d are wanted", n, calls)
	}
	return got
}

func (c *court) ana() string { return userNamed(c.t, c.Org, "ana@example.com").ID }

func wantEvidence(t *testing.T, what string, got, want reconcile.Evidence) {
	if got.Confirmed && !got.Joined.IsZero() {
		t.Errorf("%s: confirmed, and yet a group took them in at %s", what, got.Joined)
	}
	got.Joined, got.GroupName = time.Time{}, "" // see TestEvidenceOfJoining and TestEvidenceOfGroup
	t.Helper()
	if got != want {
		t.Errorf("%s: %+v; %+v is wanted", what, got, want)
	}
}

func TestEvidenceOfMembership(t *testing.T) {
	t.Parallel()
	const ana = "ana@example.com"
	type steps []func(c *court) error
	join := func(group string) func(*court) error { return func(c *court) error { return c.Join(ana, group) } }
	leave := func(group string) func(*court) error { return func(c *court) error { return c.Leave(ana, group) } }
	tests := map[string]struct {
		steps   steps
		want    bool // about the group
		unnamed bool // and where it is not known
	}{
		"nothing happened":          {nil, false, false},
		"left":                      {steps{leave(apiName)}, true, true},
		"left and came back":        {steps{leave(apiName), join(apiName)}, false, false},
		"left twice":                {steps{leave(apiName), join(apiName), leave(apiName)}, true, true},
		"left by a job":             {steps{func(c *court) error { return c.LeaveByRule(ana, apiName) }}, true, true},
		"left what is not mapped":   {steps{join("Other"), leave("Other")}, false, false},
		"left, and is elsewhere":    {steps{leave(apiName), join("Other")}, true, true},
		"left for another mapped":   {steps{join("CC-Billing"), leave(apiName)}, false, false},
		"left all":                  {steps{join("CC-Billing"), leave(apiName), leave("CC-Billing")}, true, true},
		"left another mapped alone": {steps{join("CC-Billing"), leave("CC-Billing")}, false, false},
		"deactivated":               {steps{func(c *court) error { return c.Deactivate(ana) }}, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCourt(t)
			for _, step := range test.steps {
				c.do(step(c))
			}
			wantEvidence(t, "about the group", c.ask(reconcile.Question{Person: c.ana(), Group: c.agents}, 2), reconcile.Evidence{Confirmed: test.want})
			wantEvidence(t, "about any", c.ask(reconcile.Question{Person: c.ana()}, 1), reconcile.Evidence{Confirmed: test.unnamed})
			wantEvidence(t, "about no id", c.ask(reconcile.Question{Person: c.ana(), Group: "by hand!"}, 1), reconcile.Evidence{Confirmed: test.unnamed})
			bob := userNamed(t, c.Org, "bob@example.com").ID
			wantEvidence(t, "about somebody else", c.ask(reconcile.Question{Person: bob, Group: c.agents}, 2), reconcile.Evidence{})
		})
	}
}

func TestEvidenceOfGroup(t *testing.T) {
	t.Parallel()
	deleted := func(c *court) string { return "group " + c.agents + " was deleted in Okta" }
	empty := func(c *court) string {
		return `group "Amazon Connect Agents" (` + c.agents + ") has no members any more"
	}
	none := func(*court) string { return "" }
	renamed := func(c *court) string {
		return "group " + c.agents + ` is not mapped any more: it is named "Renamed" in Okta`
	}
	for name, test := range map[string]struct {
		settings  sim.Settings
		do        func(c *court) error
		confirmed bool
		cliff     func(*court) string
		calls     int64
	}{
		"deleted":                   {sim.Settings{}, func(c *court) error { return c.DeleteGroup(apiName) }, false, deleted, 3},
		"deleted, each member told": {sim.Settings{RemovalsOnGroupDelete: true}, func(c *court) error { return c.DeleteGroup(apiName) }, true, deleted, 3},
		"emptied":                   {sim.Settings{}, func(c *court) error { return c.EmptyGroup(apiName) }, true, empty, 2},
		"emptied without a word":    {sim.Settings{SilentJobs: true}, func(c *court) error { return c.EmptyGroup(apiName) }, false, empty, 2},
		"half of it moved":          {sim.Settings{}, func(c *court) error { return c.MoveMembers(apiName, "Other", 50) }, true, none, 2},
		"renamed":                   {sim.Settings{}, func(c *court) error { return c.UpdateGroup(apiName, "Renamed", "") }, false, renamed, 2},
		"renamed to another mapped": {sim.Settings{}, func(c *court) error { return c.UpdateGroup(apiName, "CC-Agents", "") }, false, none, 2},
		"all deactivated":           {sim.Settings{}, func(c *court) error { return c.ChangeMembers(apiName, "deactivate") }, false, none, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCourt(t)
			simply(t, c.Configure(func(s *sim.Settings) { *s = test.settings }))
			ana := c.ana()
			c.do(test.do(c))
			got := c.ask(reconcile.Question{Person: ana, Group: c.agents}, test.calls)
			wantEvidence(t, name, got, reconcile.Evidence{Confirmed: test.confirmed, Cliff: test.cliff(c)})
			named := map[string]string{"deleted": "", "deleted, each member told": "", "renamed": "Renamed", "renamed to another mapped": "CC-Agents"}
			if want, other := named[name]; got.GroupName != want && (other || got.GroupName != apiName) {
				t.Errorf("the group is named %q", got.GroupName)
			}
		})
	}
}

func TestEvidenceOfDeletion(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	ana := c.ana()
	gone := reconcile.Question{Person: ana, Gone: true, Group: c.agents}
	wantEvidence(t, "there", c.ask(gone, 1), reconcile.Evidence{})
	c.do(c.Suspend(ana))
	c.do(c.Unsuspend(ana))
	c.do(c.Deactivate(ana))
	wantEvidence(t, "deactivated", c.ask(gone, 1), reconcile.Evidence{})
	c.do(c.Delete(ana))
	wantEvidence(t, "deleted", c.ask(gone, 1), reconcile.Evidence{Confirmed: true})
	if _, err := c.d.Person(t.Context(), ana); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("deleted, and read: %v", err)
	}
	c.clock.move(91 * 24 * time.Hour)
	wantEvidence(t, "90 days later", c.ask(gone, 1), reconcile.Evidence{})
	wantEvidence(t, "and of membership", c.ask(reconcile.Question{Person: ana, Group: c.agents}, 2), reconcile.Evidence{})
}

// What is not in the log yet confirms nothing, and what comes late changes that.
func TestEvidenceComesLate(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	simply(t, c.Configure(func(s *sim.Settings) { s.LogDelay = time.Minute }))
	c.do(c.Leave(c.ana(), apiName))
	q := reconcile.Question{Person: c.ana(), Group: c.agents}
	wantEvidence(t, "at once", c.ask(q, 2), reconcile.Evidence{})
	c.clock.move(2 * time.Minute)
	wantEvidence(t, "later", c.ask(q, 2), reconcile.Evidence{Confirmed: true})
}

// logServer is an org that answers with a log of its own.
func logServer(t *testing.T, records []obj, groups ...any) *okta.Directory {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/"); path {
		case "logs":
			query := r.URL.Query()
			if query.Get("sortOrder") != "DESCENDING" || query.Has("until") || query.Get("limit") != "200" {
				t.Errorf("the log is asked for %v", query)
			}
			_ = json.NewEncoder(w).Encode(records)
		case "groups":
			_ = json.NewEncoder(w).Encode(groups)
		case "groups/" + apiGroup + "/users":
			_ = json.NewEncoder(w).Encode([]obj{apiUser(1)}[:len(groups)%2])
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"errorCode":"E0000007"}`)
		}
	}))
	t.Cleanup(server.Close)
	return newAPIDirectory(t, newAPIClient(t, server.URL, nil), "", apiName)
}

// record is an event about the first user and a group.
func record(verb, group string, at string, more ...any) obj {
	targets := []any{
		obj{"type": "UserGroup", "id": group, "displayName": "Some group", "alternateId": "unknown"},
		obj{"type": "User", "id": apiID("00u", 1), "displayName": nil},
	}
	return obj{"uuid": verb + at, "published": at, "eventType": "group.user_membership." + verb,
		"outcome": obj{"result": "SUCCESS"}, "target": append(targets, more...)}
}

// The newest record counts, wherever it is in the answer, and a draw confirms
// nothing.
func TestEvidenceOrder(t *testing.T) {
	t.Parallel()
	const other = "00g10000000000000002"
	everyone, group := apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 9), apiGroupRow(apiGroup, apiName, "OKTA_GROUP", 3)
	failed := record("add", apiGroup, "2026-11-20T10:00:09.000Z")
	failed["outcome"] = obj{"result": "FAILURE"}
	for name, test := range map[string]struct {
		records []obj
		want    bool
	}{
		"remove, add below it":   {[]obj{record("remove", apiGroup, "2026-11-20T10:00:02.000Z"), record("add", apiGroup, "2026-11-20T10:00:01.000Z")}, true},
		"out of order":           {[]obj{record("add", apiGroup, "2026-11-20T10:00:01.000Z"), record("remove", apiGroup, "2026-11-20T10:00:02.000Z")}, true},
		"add below, but newer":   {[]obj{record("remove", apiGroup, "2026-11-20T10:00:02.000Z"), record("add", apiGroup, "2026-11-20T10:00:03.000Z")}, false},
		"a draw":                 {[]obj{record("remove", apiGroup, "2026-11-20T10:00:02.000Z"), record("add", apiGroup, "2026-11-20T10:00:02.000Z")}, false},
		"a draw the other way":   {[]obj{record("add", apiGroup, "2026-11-20T10:00:02.000Z"), record("remove", apiGroup, "2026-11-20T10:00:02.000Z")}, false},
		"twice the same":         {[]obj{record("remove", apiGroup, "2026-11-20T10:00:02.000Z"), record("remove", apiGroup, "2026-11-20T10:00:02.000Z")}, true},
		"a finer clock":          {[]obj{record("add", apiGroup, "2026-11-20T10:00:02.0001Z"), record("remove", apiGroup, "2026-11-20T10:00:02Z")}, false},
		"another time zone":      {[]obj{record("remove", apiGroup, "2026-11-20T10:00:02Z"), record("add", apiGroup, "2026-11-20T09:00:03-02:00")}, false},
		"an add that failed":     {[]obj{failed, record("remove", apiGroup, "2026-11-20T10:00:02.000Z")}, true},
		"about another group":    {[]obj{record("remove", other, "2026-11-20T10:00:02.000Z")}, false},
		"another not mapped":     {[]obj{record("add", other, "2026-11-20T10:00:03.000Z"), record("remove", apiGroup, "2026-11-20T10:00:02.000Z")}, true},
		"several groups in one":  {[]obj{record("remove", other, "2026-11-20T10:00:02.000Z", obj{"type": "UserGroup", "id": apiGroup})}, true},
		"the group as something": {[]obj{record("remove", other, "2026-11-20T10:00:02.000Z", obj{"type": "AppInstance", "id": apiGroup})}, false},
		"no records":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.records == nil {
				test.records = []obj{}
			}
			got, err := logServer(t, test.records, everyone, group).Evidence(t.Context(), reconcile.Question{Person: apiID("00u", 1), Group: apiGroup})
			if err != nil || got.Confirmed != test.want || got.Cliff != "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// Where Okta does not count the members it is asked for one.
func TestEvidenceWithoutStatistics(t *testing.T) {
	t.Parallel()
	everyone, group := apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 9), apiGroupRow(apiGroup, apiName, "OKTA_GROUP", 3)
	delete(group, "_embedded")
	q := reconcile.Question{Person: apiID("00u", 1), Group: apiGroup}
	got, err := logServer(t, []obj{}, everyone, group).Evidence(t.Context(), q) // an even number of groups: nobody
	if want := `group "Amazon Connect Agents" (` + apiGroup + ") has no members any more"; err != nil || got.Cliff != want {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = logServer(t, []obj{}, everyone, group, apiGroupRow("00g2", "Also", "BUILT_IN", 0)).Evidence(t.Context(), q)
	if err != nil || got.Cliff != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// What cannot be understood may be the newest record.
func TestEvidenceThatCannotBeRead(t *testing.T) {
	t.Parallel()
	good := func() obj { return record("remove", apiGroup, "2026-11-20T10:00:02.000Z") }
	everyone, group := apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 9), apiGroupRow(apiGroup, apiName, "OKTA_GROUP", 3)
	for name, change := range map[string]func(r obj){
		"no time":       func(r obj) { r["published"] = nil },
		"no such time":  func(r obj) { r["published"] = "yesterday" },
		"no outcome":    func(r obj) { r["outcome"] = nil },
		"no target":     func(r obj) { r["target"] = nil },
		"somebody else": func(r obj) { r["target"] = []any{obj{"type": "User", "id": apiID("00u", 2)}} },
		"another type":  func(r obj) { r["eventType"] = "user.session.start" },
		"no type":       func(r obj) { delete(r, "eventType") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := good()
			change(bad)
			for _, q := range []reconcile.Question{{Person: apiID("00u", 1), Group: apiGroup}, {Person: apiID("00u", 1)}, {Person: apiID("00u", 1), Gone: true}} {
				got, err := logServer(t, []obj{good(), bad}, everyone, group).Evidence(t.Context(), q)
				if err == nil || got != (reconcile.Evidence{}) {
					t.Errorf("%+v: %+v, %v", q, got, err)
				}
			}
		})
	}
	for name, groups := range map[string][]any{"no Everyone": {group}, "nothing": {}, "another group": {apiGroupRow("00g2", "x", "OKTA_GROUP", 0)}} {
		got, err := logServer(t, []obj{good()}, groups...).Evidence(t.Context(), reconcile.Question{Person: apiID("00u", 1), Group: apiGroup})
		if err == nil || got != (reconcile.Evidence{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, id := range []string{"", `00u" or target.id pr`} {
		if _, err := logServer(t, nil).Evidence(t.Context(), reconcile.Question{Person: id}); !reconcile.IsTerminal(err) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// readFaults are the ways in which a read can go wrong.
func readFaults() []sim.Fault {
	faults := []sim.Fault{
		{Kind: sim.FaultReset}, {Kind: sim.FaultTimeout}, {Kind: sim.FaultTruncate}, {Kind: sim.FaultHalf}, {Kind: sim.FaultBomb, Size: 33 << 20},
		{Kind: sim.FaultNull}, {Kind: sim.FaultObject}, {Kind: sim.FaultEmpty}, {Kind: sim.FaultDuplicate}, {Kind: sim.FaultWrongOrg},
		{Kind: sim.FaultOtherRows}, {Kind: sim.FaultNoNext}, {Kind: sim.FaultEmptyNext}, {Kind: sim.FaultLoop}, {Kind: sim.FaultForeignNext}, {Kind: sim.FaultTwoNext},
	}
	for _, status := range []int{200, 204, 302, 400, 401, 403, 404, 410, 423, 429, 500, 502, 503, 504} {
		faults = append(faults, sim.Fault{Kind: sim.FaultStatus, Status: status})
	}
	for _, percent := range []int{0, 1, 10, 50, 67, 90, 99} {
		faults = append(faults, sim.Fault{Kind: sim.FaultThin, Percent: percent})
	}
	for i := range faults {
		faults[i].Times = -1
	}
	return faults
}

// impatient gives a directory that does not wait long for an answer that will not
// come.
func (c *court) impatient(fault sim.Fault) *okta.Directory {
	client := newAPIClient(c.t, c.client.Org(), func(config *okta.ClientConfig) {
		if fault.Kind == sim.FaultTimeout {
			config.Timeout = 50 * time.Millisecond
		}
	})
	return newAPIDirectory(c.t, client, apiLabel, apiName, "/^CC-/")
}

// removalCalls are the calls that the removal of somebody can make.
var removalCalls = []string{
	"GET /api/v1/users/{id}", "GET /api/v1/users/{id}/groups", "GET /api/v1/apps/{id}/users/{user}", "GET /api/v1/apps/{id}",
	"GET /api/v1/logs", "GET /api/v1/groups", "GET /api/v1/groups/{id}",
}

// No read fault takes an agent away from somebody who is still in the group:
// either the reading fails, or it shows them in it, or the second question
// confirms nothing, or it fails.
func TestFaultsConfirmNothing(t *testing.T) {
	t.Parallel()
	var unseen atomic.Int64
	t.Run("faults", func(t *testing.T) {
		for _, endpoint := range removalCalls {
			for i, fault := range readFaults() {
				t.Run(fmt.Sprintf("%s/%d %s", endpoint, i, fault.Kind), func(t *testing.T) {
					t.Parallel()
					fault.Endpoint = endpoint
					if !seenInGroup(t, fault) {
						unseen.Add(1)
					}
				})
			}
		}
	})
	if n := unseen.Load(); n < 5 {
		t.Errorf("%d faults were left to the second question", n)
	} else {
		t.Logf("%d faults were left to the second question", n)
	}
}

// seenInGroup reads somebody who is in the group, in spite of a fault. It reports
// whether that alone keeps their agent, and otherwise asks the second question.
func seenInGroup(t *testing.T, fault sim.Fault) bool {
	c := newCourt(t)
	ana := c.ana()
	c.do(c.Leave(ana, apiName)) // who came back
	c.do(c.Join(ana, apiName))
	d := c.impatient(fault)
	simply(t, c.AddFaults(fault))
	p, err := d.Person(t.Context(), ana)
	gone := errors.Is(err, reconcile.ErrNotFound)
	in := err == nil && p.Status == plan.StatusActive &&
		slices.ContainsFunc(p.Groups, func(g plan.Group) bool { return g.ID == c.agents })
	if in || err != nil && !gone {
		return true
	}
	for _, group := range []string{c.agents, ""} {
		got, err := d.Evidence(t.Context(), reconcile.Question{Person: ana, Gone: gone, Group: group})
		if err == nil && got.Confirmed {
			t.Errorf("confirmed: %+v", got)
		}
	}
	return false
}

// The second question by itself: whatever goes wrong with one of its calls, it
// confirms nothing about somebody who is in the group and there, and calls no
// group gone or empty that is neither.
func TestEvidenceFaults(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"GET /api/v1/logs", "GET /api/v1/groups", "GET /api/v1/groups/{id}"} {
		for i, fault := range readFaults() {
			t.Run(fmt.Sprintf("%s/%d %s", endpoint, i, fault.Kind), func(t *testing.T) {
				t.Parallel()
				c := newCourt(t)
				ana := c.ana()
				for range 3 {
					c.do(c.Leave(ana, apiName))
					c.do(c.Join(ana, apiName))
				}
				d := c.impatient(fault)
				fault.Endpoint = endpoint
				simply(t, c.AddFaults(fault))
				for _, q := range []reconcile.Question{{Person: ana, Group: c.agents}, {Person: ana}, {Person: ana, Gone: true}} {
					got, err := d.Evidence(t.Context(), q)
					want := reconcile.Evidence{}
					if err == nil && q.Group != "" {
						want.GroupName = apiName
					}
					if got.Joined = (time.Time{}); got != want {
						t.Errorf("%+v: %+v, %v", q, got, err)
					}
				}
				if c.Faults()[0].Struck == 0 && endpoint != "GET /api/v1/groups/{id}" {
					t.Error("the fault was not met")
				}
			})
		}
	}
}

// The log is no key where an error tells nothing: it stays an error.
func TestEvidenceErrors(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.do(c.Leave("ana@example.com", apiName))
	for _, endpoint := range []string{"GET /api/v1/logs", "GET /api/v1/groups"} {
		simply(t, c.AddFaults(sim.Fault{Endpoint: endpoint, Times: -1, Status: 503}))
		if got, err := c.d.Evidence(t.Context(), reconcile.Question{Person: c.ana(), Group: c.agents}); err == nil || got != (reconcile.Evidence{}) {
			t.Errorf("%s: %+v, %v", endpoint, got, err)
		}
		c.ClearFaults()
	}
	simply(t, c.SetTokenRoles(apiToken)) // shows nothing any more
	if got, err := c.d.Evidence(t.Context(), reconcile.Question{Person: c.ana(), Group: c.agents}); err == nil || got != (reconcile.Evidence{}) {
		t.Errorf("without a role: %+v, %v", got, err)
	}
}

// A removal as a whole takes six calls at most.
func TestRemovalCalls(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(c *court) error{
		"left":    func(c *court) error { return c.Leave(c.ana(), apiName) },
		"deleted": func(c *court) error { return c.DeleteGroup(apiName) },
	} {
		c := newCourt(t)
		if _, err := gather(t, c.d); err != nil {
			t.Fatal(err)
		}
		if _, err := c.d.Person(t.Context(), c.ana()); err != nil {
			t.Fatal(err)
		}
		c.do(do(c))
		c.calls.Store(0)
		if _, err := c.d.Person(t.Context(), c.ana()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.d.Evidence(t.Context(), reconcile.Question{Person: c.ana(), Group: c.agents}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d calls", name, c.calls.Load())
		if n := c.calls.Load(); n > 6 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

// TestEvidenceOfJoining: the records tell since when a group has somebody, so that
// what missed them before is no proof.
func TestEvidenceOfJoining(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	q := reconcile.Question{Person: c.ana(), Group: c.agents}
	simply(t, c.Leave(c.ana(), apiName))
	if got := c.ask(q, 2); !got.Confirmed || !got.Joined.IsZero() {
		t.Errorf("left: %+v", got)
	}
	simply(t, c.Join(c.ana(), apiName))
	if got := c.ask(q, 2); got.Confirmed || got.Joined.IsZero() {
		t.Errorf("came back: %+v", got)
	}
}
