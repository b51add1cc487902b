package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// turn is something that happens to somebody who has an agent.
type turn struct {
	name   string
	action string   // that the journal has once
	misses []string // places that are not passed on the way
	run    func(w *world, u simokta.User)
	fault  func(w *world, u simokta.User) error // what is not right yet
}

var turns = []turn{
	{"suspended", "suspend", nil,
		func(w *world, u simokta.User) { w.must(w.org.Suspend(u.ID)) }, parked},
	{"left", "suspend", nil,
		func(w *world, u simokta.User) { w.leave(u) }, parked},
	{"moved", "update", []string{failpoint.WorkRemembered},
		func(w *world, u simokta.User) { w.must(w.org.Join(u.ID, "Connect Queue Sales")) }, moved},
	{"renamed", "replace", nil,
		func(w *world, u simokta.User) {
			w.must(w.org.UpdateProfile(u.ID, map[string]any{"login": "renamed@example.com"}))
		}, renamed},
}

func parked(w *world, u simokta.User) error {
	live, retired := w.agentsOf(u)
	if len(live) != 1 || len(retired) != 0 || !strings.HasPrefix(live[0].Tags["connectroster:state"], "suspended ") || !w.isParked(live[0]) {
		return fmt.Errorf("the agents are %+v and, retired, %+v", live, retired)
	}
	return nil
}

func moved(w *world, u simokta.User) error {
	live, _ := w.agentsOf(u)
	if len(live) != 1 || live[0].RoutingProfile != w.instance.RoutingProfileID("Sales") {
		return fmt.Errorf("the agents are %+v", live)
	}
	return nil
}

func renamed(w *world, u simokta.User) error {
	live, retired := w.agentsOf(u)
	if len(live) != 1 || live[0].Username != "renamed@example.com" || w.isParked(live[0]) {
		return fmt.Errorf("the live agents are %+v", live)
	}
	if len(retired) != 1 || retired[0].Username != u.Login || !w.isParked(retired[0]) {
		return fmt.Errorf("the retired agents are %+v", retired)
	}
	return nil
}

func (w *world) isParked(a simconnect.Agent) bool {
	return a.RoutingProfile == w.instance.RoutingProfileID("Parked") && slices.Equal(a.SecurityProfiles, []string{w.instance.SecurityProfileID("No permissions")})
}

// agentsOf gives the agents of a person. There is never more than one that lives.
func (w *world) agentsOf(u simokta.User) (live, retired []simconnect.Agent) {
	w.t.Helper()
	for _, a := range w.instance.Agents() {
		switch {
		case a.Tags["connectroster:owner"] != u.ID:
		case strings.HasPrefix(a.Tags["connectroster:state"], "retired "):
			retired = append(retired, a)
		default:
			live = append(live, a)
		}
	}
	if len(live) > 1 {
		w.t.Fatalf("person %s has %d live agents", u.ID, len(live))
	}
	return live, retired
}

// TestCrashInLife ends the daemon at each place of the way of a worker while it
// suspends, moves or replaces an agent, in each way (P-01, P-04). Once it is back,
// the agent is as it should be, nobody ever had two, and the journal tells of the
// change once.
//
// A process that dies between the intent and the call of a replacement leaves open
// whether there is a new agent, so these cases last 60 seconds.
func TestCrashInLife(t *testing.T) {
	t.Parallel()
	program(t)
	total, played := 0, 0
	for _, point := range failpoint.List {
		if !strings.HasPrefix(point, "work-") {
			continue
		}
		for _, kind := range kinds {
			for _, turn := range turns {
				if slices.Contains(turn.misses, point) {
					continue
				}
				total++
				if !full() && total%4 != 0 {
					continue
				}
				played++
				t.Run(point+"/"+kind+"/"+turn.name, func(t *testing.T) {
					t.Parallel()
					crashInLife(t, point, kind, turn)
				})
			}
		}
	}
	t.Logf("%d of %d cases; CONNECTROSTER_FULL=1 plays all", played, total)
}

func crashInLife(t *testing.T, point, kind string, turn turn) {
	w := newWorld(t, setup{life: true})
	_, err := w.org.AddGroup("Connect Queue Sales")
	w.must(err)
	first := w.started()
	w.subscribe("user.lifecycle.suspend", "user.account.update_profile")
	colleague, person := w.hire(1), w.hire(2)
	w.join(colleague) // so that the group is not empty when one leaves
	w.join(person)
	eventually(t, patience, func() error {
		if n := len(w.instance.Agents()); n != 2 {
			return fmt.Errorf("%d agents for two people", n)
		}
		return nil
	})
	w.idle()
	w.settled() // or the next one is struck while it looks again, before anything happened
	first.stop()

	armed := w.started(arm(point, kind, workload{visit: 1}))
	turn.run(w, person)
	reached(t, armed, point, kind)
	w.agentsOf(person)
	if armed.alive() {
		armed.stop()
	}
	after := w.started()
	w.replay()
	eventually(t, 2*patience, func() error { return errors.Join(turn.fault(w, person), w.rests()) })
	after.stop()

	store := w.open()
	defer func() { w.must(store.Close()) }()
	w.must(store.Verify(t.Context(), ""))
	entries, err := store.Recent(t.Context(), reconcile.Query{Person: person.ID, Kind: reconcile.EntryChange, Limit: 100})
	w.must(err)
	var actions []string
	for _, e := range slices.Backward(entries) {
		actions = append(actions, string(e.Action))
	}
	if want := []string{"create", turn.action}; !slices.Equal(actions, want) {
		t.Errorf("the journal tells of %q, want %q", actions, want)
	}
}
