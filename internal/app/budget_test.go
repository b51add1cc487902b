package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// lists are the endpoints that a sweep reads people from.
var lists = []string{"GET /api/v1/groups", "GET /api/v1/groups/{id}/users", "GET /api/v1/apps", "GET /api/v1/apps/{id}/users"}

// listCalls is how often those were called.
func (w *world) listCalls() (n int) {
	_, by := w.oktaCalls()
	for _, endpoint := range lists {
		n += by[endpoint]
	}
	return n
}

// TestFirstSweepBudget counts what it takes to read 5,000 people from Okta: 40
// calls for lists at most, and one more for each further group.
func TestFirstSweepBudget(t *testing.T) {
	t.Parallel()
	const people = 5000
	for _, further := range []int{0, 3} {
		t.Run(fmt.Sprintf("%d further groups", further), func(t *testing.T) {
			t.Parallel()
			s := setup{noHook: true, catchUp: "1h"}
			for n := range further {
				s.groups = append(s.groups, fmt.Sprintf("Further %d", n))
			}
			w := newWorld(t, s)
			for n := range people {
				w.hire(n, agentGroup)
			}
			w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1}) // a new group is told of there, which makes a second sweep
			w.start()
			w.await("the first sweep", 2*time.Minute, func() bool { return w.status().Sweep.Last != nil })
			calls := w.listCalls()
			w.stop()
			t.Logf("%d calls for lists", calls)
			if calls > 40+further || calls < people/200 {
				t.Errorf("%d calls for lists of %d people", calls, people)
			}
		})
	}
}

// TestRepeatedSweepBudget sweeps again when everything is as it should be: no
// call is about one person, neither in Okta nor in Amazon Connect, where there
// is one call for each 500 agents.
func TestRepeatedSweepBudget(t *testing.T) {
	t.Parallel()
	const agents = 1200
	w := newWorld(t, setup{noHook: true, catchUp: "1h"})
	for n := range agents {
		user := w.hire(n, agentGroup)
		_, err := w.instance.AddAgent(simconnect.Agent{
			Username:     user.Login,
			IdentityInfo: simconnect.IdentityInfo{FirstName: "Ana", LastName: "Silva"},
			Tags:         map[string]string{"connectroster:owner": user.ID, "connectroster:deployment": "test", "connectroster:state": "active"},
		})
		must(t, err)
	}
	w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1})
	w.start()
	w.await("the first sweep", time.Minute, func() bool { return w.status().Sweep.Last != nil })
	w.await("the first catch-up", time.Minute, func() bool { return w.status().CatchUp.Error != "" })
	_, okta := w.oktaCalls()
	connect := w.instance.Stats().Operations
	first := w.status().Sweep.Last.Started

	var answer map[string]string
	w.ask("POST", "/v1/sweep", &answer)
	w.await("another sweep", time.Minute, func() bool { return w.status().Sweep.Last.Started.After(first) })
	swept := w.status().Sweep.Last
	if swept.People != agents || swept.Agents != agents || swept.Changes != 0 {
		t.Fatalf("the sweep saw %d people and %d agents and wanted %d changes", swept.People, swept.Agents, swept.Changes)
	}
	_, now := w.oktaCalls()
	for endpoint, n := range now {
		if n -= okta[endpoint]; n > 0 && strings.Contains(endpoint, "/users/{") {
			t.Errorf("%d calls of %s", n, endpoint)
		}
	}
	for operation, stats := range w.instance.Stats().Operations {
		n := stats.Calls
		if before := connect[operation]; before != nil {
			n -= before.Calls
		}
		most := 0
		if operation == "SearchUsers" {
			most = (agents+499)/500 + 1
		}
		if n > most || operation == "SearchUsers" && n == 0 {
			t.Errorf("%d calls of %s, want %d at most", n, operation, most)
		}
		if n > 0 {
			t.Logf("%d calls of %s", n, operation)
		}
	}
}

// TestSteadyBudget counts the calls of Okta while nothing happens: two for each
// catch-up at most, which is two a minute by default.
func TestSteadyBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for n := range 20 {
		w.hire(n, agentGroup)
	}
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	w.next() // which tells of the agents' own events
	w.quiet()

	before, _ := w.oktaCalls()
	const rounds = 3
	for range rounds {
		w.next()
	}
	after, by := w.oktaCalls()
	if n := after - before; n > 2*rounds || n == 0 {
		t.Errorf("%d calls of Okta in %d catch-ups; all of them: %v", n, rounds, by)
	}
	t.Logf("%d calls in %d catch-ups", after-before, rounds)
}

// next waits for the next catch-up.
func (w *world) next() {
	w.t.Helper()
	last := w.status().CatchUp.Last
	w.await("the next catch-up", 40*time.Second, func() bool { return w.status().CatchUp.Last.After(last) })
}

// TestLookBudget counts the calls of Okta for one person who joins, or changes:
// three at most.
func TestLookBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{catchUp: "1h", events: []string{"group.user_membership.add", "user.account.update_profile"}})
	w.hire(0, agentGroup)
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	w.quiet()

	const people = 10
	spent := func(what string, do func(n int)) {
		w.t.Helper()
		before, _ := w.oktaCalls()
		looks := w.status().Outcomes.Looks
		for n := range people {
			do(n)
			w.await("a look", 30*time.Second, func() bool { return w.status().Outcomes.Looks == looks+uint64(n)+1 })
		}
		w.quiet()
		after, by := w.oktaCalls()
		if n := after - before; n > 3*people || n < people {
			t.Errorf("%s: %d calls of Okta for %d looks; all of them: %v", what, n, people, by)
		}
		t.Logf("%s: %d calls for %d looks", what, after-before, people)
	}
	users := make([]simokta.User, people)
	for n := range users {
		users[n] = w.hire(1 + n)
	}
	spent("join", func(n int) { w.join(users[n]) })
	w.converges(0)
	spent("update", func(n int) { must(t, w.org.UpdateProfile(users[n].ID, map[string]any{"lastName": "Else"})) })
}
