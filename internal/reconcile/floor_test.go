package reconcile_test

import (
	"fmt"
	"maps"
	"time"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// What the floor and those who decide do in a history.

// edit changes an agent by hand.
func (w *world) edit(n int, change func(*simconnect.Agent)) error {
	agents := w.sim.Agents()
	if len(agents) == 0 {
		return nil
	}
	agent, err := w.sim.ChangeAgent(pick(agents, n).ID, change)
	w.roster[agent.ID] = agent
	return err
}

// floorMove gives an agent another routing profile.
func floorMove(w *world, a, b int) error {
	to := pick([]string{w.offices[0].routing, "Supervisors", w.parking.routing}, b)
	return w.edit(a, func(agent *simconnect.Agent) { agent.RoutingProfile, w.moved[agent.ID] = to, true })
}

// floorRight gives an agent other security profiles.
func floorRight(w *world, a, b int) error {
	to := pick([][]string{{"Agent"}, {"CallCenterManager"}, {"Agent", "Admin"}, {"No permissions"}}, b)
	return w.edit(a, func(agent *simconnect.Agent) { agent.SecurityProfiles = to })
}

func floorName(w *world, a, b int) error {
	return w.edit(a, func(agent *simconnect.Agent) { agent.IdentityInfo.FirstName = fmt.Sprint("Nick ", b) })
}

// floorQuick makes a quick connect that leads to an agent.
func floorQuick(w *world, a, _ int) error {
	agents := w.sim.Agents()
	if len(agents) == 0 {
		return nil
	}
	_, err := w.sim.AddQuickConnect(fmt.Sprint("to somebody ", len(w.sim.QuickConnects())), pick(agents, a).ID)
	return err
}

// twin makes a second agent of somebody, by copying the tags of the first.
func twin(w *world, a, b int) error {
	first, ok := w.agentOf(w.user(a))
	if !ok || b%4 != 0 {
		return nil
	}
	agent, err := w.sim.AddAgent(simconnect.Agent{Username: fmt.Sprint("twin-", a, b), Tags: maps.Clone(first.Tags)})
	if err == nil {
		w.roster[agent.ID], w.twins[w.user(a)], w.meddled[agent.ID] = agent, true, true
		w.parkedAt[agent.ID] = w.parkedAt[first.ID] // as the tags have it
	}
	return nil // the name can be taken
}

// judge decides on what waits in a hold: all of it, or one person.
func (w *world) judge(a, b int, approve bool) error {
	holds, err := w.store.Holds(w.ctx, reconcile.HoldQuery{Waiting: true})
	if err != nil || len(holds) == 0 {
		return err
	}
	h := pick(holds, a)
	d := reconcile.Decision{Hold: h.ID, Approve: approve, By: "boss", At: w.now(), Stay: reconcile.Stay{Who: "boss", Why: "wait", Until: w.now().Add(pick(waits, a+b))}}
	if b%2 == 1 {
		d.People = []string{pick(h.Entries, b/2).Person}
	}
	for _, e := range h.Entries { // the process can end right after it has stored the decision
		if approve && (len(d.People) == 0 || d.People[0] == e.Person) {
			w.approved[e.Hash] = true
		}
	}
	w.run(func() { _, err = w.eng.Decide(w.ctx, d) })
	return nil // the store can be full
}

// order asks for something about a person's agents.
func (w *world) order(kind reconcile.OrderKind, n int, asked map[string]bool) error {
	person := w.user(n)
	if len(w.users) == 0 || w.mode.policy == "create-only" {
		return nil
	}
	asked[person] = true
	w.run(func() { _ = w.eng.Order(w.ctx, kind, "boss", person) })
	return nil // the store can be full
}

// restoreAgent brings somebody's agent back and leaves it so for a day.
func restoreAgent(w *world, a, _ int) error {
	person := w.user(a)
	if err := w.store.Stay(w.ctx, reconcile.Stay{Person: person, Who: "boss", Why: "back", Since: w.now(), Until: w.now().Add(24 * time.Hour)}); err != nil {
		return err
	}
	return w.order(reconcile.OrderRestore, a, w.restores)
}

// exodusOf has everybody leave at once.
func exodusOf(w *world, a, b int) error {
	for _, id := range w.users {
		switch a % 3 {
		case 0:
			_ = w.org.Suspend(id)
		case 1:
			_ = w.org.Deactivate(id)
		default:
			_ = w.org.Leave(id, w.group(b))
		}
	}
	return nil
}
