package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// story is what Okta knows of the events about our group: who was put in and
// taken out, in order, and which of it was acknowledged.
type story struct {
	events       []simokta.EventRecord
	acknowledged map[string]bool // by uuid
}

func (w *world) story() story {
	s := story{acknowledged: map[string]bool{}}
	for _, e := range w.org.Events("group.user_membership.add", "group.user_membership.remove") {
		if slices.Contains(e.Targets, w.group.ID) {
			s.events = append(s.events, e)
		}
	}
	for _, d := range w.org.Deliveries() {
		if d.Status/100 == 2 {
			for _, uuid := range d.Events {
				s.acknowledged[uuid] = true
			}
		}
	}
	return s
}

// lost gives the events that nobody acknowledged.
func (s story) lost() []string {
	var out []string
	for _, e := range s.events {
		if !s.acknowledged[e.UUID] {
			out = append(out, e.UUID)
		}
	}
	return out
}

// members says of everybody in the story whether they must have an agent (true)
// or may have one (false). Policy create-only removes nobody, and whether a
// delivery without an answer was stored is open.
func (s story) members() map[string]bool {
	must := map[string]bool{}
	for _, e := range s.events {
		person := e.Targets[slices.IndexFunc(e.Targets, func(id string) bool { return strings.HasPrefix(id, "00u") })]
		joined := e.Type == "group.user_membership.add"
		switch {
		case s.acknowledged[e.UUID]:
			must[person] = joined
		case !joined:
			must[person] = false
		default:
			must[person] = must[person] || false
		}
	}
	return must
}

// redeliver sends again what nobody acknowledged, as the reading of Okta's
// System Log would. All of it must be taken now.
func (w *world) redeliver() (count int) {
	w.t.Helper()
	lost := w.story().lost()
	w.taken()
	return len(lost)
}

// agent is what this test wants to know of an agent.
type agent struct {
	Username, First, Last string
	Routing               string
	Security              []string
	Phone                 simconnect.PhoneConfig
	Tags                  map[string]string
}

// wanted is the agent of a user as the configuration describes it, worked out
// here apart from the product.
func (w *world) wanted(u simokta.User) agent {
	first, _ := u.Profile["firstName"].(string)
	last, _ := u.Profile["lastName"].(string)
	phone := simconnect.PhoneConfig{PhoneType: "SOFT_PHONE"}
	phone.AfterContactWorkTimeLimit = 30
	return agent{
		Username: u.Login, First: first, Last: last, Phone: phone,
		Routing:  w.instance.RoutingProfileID("Basic Routing Profile"),
		Security: []string{w.instance.SecurityProfileID("Agent")},
		Tags: map[string]string{
			"connectroster:owner": u.ID, "connectroster:deployment": "tests", "connectroster:state": "active",
			"connectroster:group": w.group.ID, "connectroster:routing": w.instance.RoutingProfileID("Basic Routing Profile"),
		},
	}
}

// roster compares the agents in Amazon Connect with the story. Agents that are
// wrong fail the test, since nothing will mend them; missing ones are the error.
func (w *world) roster(members map[string]bool) error {
	w.t.Helper()
	have := map[string]bool{}
	for _, a := range w.instance.Agents() {
		owner := a.Tags["connectroster:owner"]
		if _, known := members[owner]; !known {
			w.t.Fatalf("agent %s is nobody's who ever was in the group", a.Username)
		}
		if have[owner] {
			w.t.Fatalf("person %s has two agents", owner)
		}
		have[owner] = true
		user, err := w.org.User(owner)
		w.must(err)
		got := agent{
			Username: a.Username, First: a.IdentityInfo.FirstName, Last: a.IdentityInfo.LastName,
			Routing: a.RoutingProfile, Security: a.SecurityProfiles, Phone: a.PhoneConfig, Tags: a.Tags,
		}
		if diff := cmp.Diff(w.wanted(user), got); diff != "" {
			w.t.Fatalf("agent %s (-want +got):\n%s", a.Username, diff)
		}
	}
	missing := 0
	for person, must := range members {
		if must && !have[person] {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d people who must have an agent have none", missing, len(members))
	}
	return nil
}

// converge waits until the roster is as the story wants it and the daemon has
// nothing left to do. An agent of which it is not known whether it was created
// is looked for after 2, 10 and 60 seconds.
func (w *world) converge() {
	w.t.Helper()
	members := w.story().members()
	eventually(w.t, 3*time.Minute, func() error {
		if err := w.rests(); err != nil {
			return err
		}
		return w.roster(members)
	})
}

// rests reports what the daemon still has to do. Somebody who left while the
// outcome of a creation is open is looked for until no search can lag, a quarter
// of an hour. That is no work left as long as they have no agent: whoever is a
// member is then missing from the roster.
func (w *world) rests() error {
	w.t.Helper()
	var status struct {
		Backlog struct {
			Due, Waiting, Working *int
		}
	}
	w.must(json.Unmarshal([]byte(w.api(http.MethodGet, "/v1/status")), &status))
	b := status.Backlog
	owners := map[string]bool{}
	for _, a := range w.instance.Agents() {
		owners[a.Tags["connectroster:owner"]] = true
	}
	var waiting []struct{ Person, Reason string }
	w.must(json.Unmarshal([]byte(w.api(http.MethodGet, "/v1/people?state=waiting")), &waiting))
	n := *b.Due + *b.Waiting + *b.Working
	for _, p := range waiting {
		if !owners[p.Person] && strings.HasPrefix(p.Reason, "the answer to a creation was lost") {
			n--
		}
	}
	if n > 0 {
		return fmt.Errorf("the daemon has work left for %d people", n)
	}
	return nil
}

// settled waits until a daemon with access to Okta's API has swept, has read what Okta's
// System Log says until now, and has nothing left to do.
func (w *world) settled() {
	w.t.Helper()
	now := time.Now()
	eventually(w.t, 2*patience, func() error {
		var s state
		w.must(json.Unmarshal([]byte(w.api(http.MethodGet, "/v1/status")), &s))
		if s.Sweep.Last == nil || !s.CatchUp.Stored.After(now) {
			return fmt.Errorf("the daemon has not seen all: %+v", s)
		}
		return w.rests()
	})
}

// audit checks the records once the daemon has ended: one creation per agent in
// Amazon Connect and in the journal, and a journal whose chains hold.
func (w *world) audit() {
	w.t.Helper()
	agents := w.instance.Agents()
	for _, e := range w.instance.Ledger() {
		if e.Operation != "CreateUser" {
			w.t.Errorf("Amazon Connect was asked for %s, want CreateUser alone", e.Operation)
		}
	}
	if n := len(w.instance.Ledger()); n != len(agents) {
		w.t.Errorf("%d writes for %d agents", n, len(agents))
	}
	store := w.open()
	defer func() { w.must(store.Close()) }()
	w.must(store.Verify(w.t.Context(), ""))
	entries, err := store.Recent(w.t.Context(), reconcile.Query{Limit: 1 << 30})
	w.must(err)
	created := map[string]int{}
	for _, e := range entries {
		if e.Kind == reconcile.EntryChange {
			created[e.Agent]++
		}
	}
	for _, a := range agents {
		if created[a.ID] != 1 {
			w.t.Errorf("the journal has %d entries for the creation of agent %s", created[a.ID], a.ID)
		}
	}
	if len(created) != len(agents) {
		w.t.Errorf("the journal tells of %d agents, and there are %d", len(created), len(agents))
	}
}
