package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// converge ends all faults, lets time pass and finds out whether the roster is
// what it should be, and stays so.
func (w *world) converge() error {
	if err := w.heal(); err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.arrived(); err != nil {
		return err
	}
	if w.mode.policy == plan.Sync && len(w.shelved()) > 0 {
		w.truth.Advance(grace/2 + time.Hour) // too early to delete anything
		if err := w.rest(); err != nil {
			return err
		}
		w.truth.Advance(grace / 2)
		if err := w.settle(); err != nil {
			return err
		}
		for _, a := range w.shelved() {
			due := w.now().Sub(w.parkedAt[a.ID]) > grace+6*time.Hour // a name that came free may have led to another replacement
			owner := a.Tags["connectroster:owner"]
			if due && (left(w.people(), owner, w.offices) || stateOf(a) == "retired" && !undecided(w.people(), owner)) {
				w.fault("agent %s is still there after the grace: %v", a.ID, a.Tags)
			}
		}
	}
	return w.quiet()
}

// settle lets everything happen that is due or allowed, until nothing was written
// in two rounds and nothing waits for a decision. What waits is approved.
func (w *world) settle() error {
	calm := 0
	for range 20 {
		writes := len(w.sim.Ledger())
		if err := w.rest(); err != nil {
			return err
		}
		stays, err := w.store.Stays(w.ctx)
		if err != nil {
			return err
		}
		for _, s := range stays {
			if err := w.store.Unstay(w.ctx, s.Person); err != nil {
				return err
			}
		}
		approved, err := w.approveAll()
		if err != nil {
			return err
		}
		w.truth.Advance(time.Hour) // what searches show lags no more
		if calm++; approved > 0 || len(stays) > 0 || len(w.sim.Ledger()) > writes {
			calm = 0
		}
		if calm == 2 { // the first round may have gone by what a search showed late
			return nil
		}
	}
	return errors.New("there is always something more to do or to approve")
}

// approveAll approves all that waits for a decision.
func (w *world) approveAll() (int, error) {
	holds, err := w.store.Holds(w.ctx, reconcile.HoldQuery{Waiting: true})
	n := 0
	for _, h := range holds {
		decided, err := w.eng.Decide(w.ctx, reconcile.Decision{Hold: h.ID, Approve: true, By: "boss", At: w.now()})
		if err != nil {
			return n, err
		}
		for _, e := range decided {
			w.approved[e.Hash] = true
		}
		n += len(decided)
	}
	return n, err
}

// shelved gives the agents of ours that are suspended or retired.
func (w *world) shelved() []simconnect.Agent {
	return slices.DeleteFunc(w.sim.Agents(), func(a simconnect.Agent) bool {
		return a.Tags["connectroster:deployment"] != deployment || a.Tags["connectroster:owner"] == "" || live(a) || w.twins[a.Tags["connectroster:owner"]]
	})
}

// heal ends all faults.
func (w *world) heal() error {
	w.org.ClearFaults()
	w.sim.ClearFaults()
	w.meanwhile, w.full, w.cut = nil, 0, 0
	err := w.org.Configure(func(s *simokta.Settings) { s.LogDelay, s.LogCursorLife = 0, 0 })
	if err != nil {
		return err
	}
	if err := w.sim.ChangeSettings(func(s *simconnect.Settings) { s.Quota = 0 }); err != nil {
		return err
	}
	alive := func(o office) bool {
		return slices.ContainsFunc(w.org.Groups(), func(g simokta.Group) bool { return g.ID == o.group })
	}
	deleted := slices.ContainsFunc(w.offices, func(o office) bool { return !alive(o) })
	if deleted { // somebody takes the group out of the configuration
		w.offices = slices.DeleteFunc(w.offices, func(o office) bool { return !alive(o) })
	}
	w.gate.crash = 0
	if w.gate.gone || deleted {
		return w.restart()
	}
	return nil
}

// rest catches up, sweeps and works until nobody is due for two hours.
func (w *world) rest() error {
	err := w.catchUp()
	if err != nil && strings.Contains(err.Error(), "a sweep is owed and will be tried again") {
		w.truth.Advance(time.Hour) // the longest that it waits
		err = w.catchUp()
	}
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	if _, err := w.sweep(); err != nil {
		return err
	}
	return w.until(w.now().Add(2 * time.Hour))
}

// until works on whoever becomes due up to some time, or to a crash.
func (w *world) until(end time.Time) error {
	for range 1000 {
		idle := w.work(1)
		if err := w.check(); err != nil {
			return err
		}
		due, err := w.store.NextDue(w.ctx)
		switch {
		case w.gate.gone, !w.ready, errors.Is(err, reconcile.ErrNotFound), err == nil && due.After(end):
			return nil
		case err != nil:
			return err
		case idle:
			w.truth.Advance(max(due.Sub(w.now()), time.Millisecond))
		}
	}
	return errors.New("the engine never comes to rest")
}

// arrived compares the roster with the oracle: everybody who should have an
// agent has one, unless somebody else has the name; the journal tells of every
// agent made, and nothing is left open.
func (w *world) arrived() error {
	for id, want := range w.missing() {
		w.fault("person %s has no agent, and should have %+v", id, want)
	}
	w.inLine()
	if err := w.decided(); err != nil {
		return err
	}
	entries, err := w.store.Recent(w.ctx, reconcile.Query{Limit: 10_000})
	if err != nil {
		return err
	}
	told, ended := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if e.Kind != reconcile.EntryChange {
			continue
		}
		ended[e.Agent] = ended[e.Agent] || e.Action == plan.Suspend || e.Action == plan.Delete
		if e.Action == plan.Replace && e.Before != nil {
			ended[e.Before.ID] = true
		}
		if e.Action != plan.Create && e.Action != plan.Replace {
			continue
		}
		told[e.Agent] = true
		if w.owners[e.Agent] != e.Person {
			w.fault("the journal says that agent %s was made for person %s, and it was made for %q", e.Agent, e.Person, w.owners[e.Agent])
		}
	}
	for agent, owner := range w.owners {
		if !told[agent] && !w.meddled[agent] {
			w.fault("the journal does not tell that agent %s was made for person %s", agent, owner)
		}
	}
	for _, agent := range w.removed {
		if !ended[agent] && !w.meddled[agent] {
			w.fault("the journal does not tell that agent %s was parked or deleted", agent)
		}
	}
	holds, err := w.store.Holds(w.ctx, reconcile.HoldQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for _, h := range holds {
		for _, e := range h.Entries {
			expired := e.State == reconcile.HoldWaiting && !w.now().Before(e.Expires) // nobody can decide it any more
			if e.Open() && !expired {
				w.fault("%s of agent %s of person %s is still %s in hold %s", e.Action, e.Agent, e.Person, e.State, h.ID)
			}
		}
	}
	if err := w.store.Verify(w.ctx, ""); err != nil {
		w.fault("journal: %w", err)
	}
	rows, err := w.store.People(w.ctx, reconcile.WaitingQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.State != reconcile.StateIdle && r.State != reconcile.StateDead {
			w.fault("person %s is still %s: %s", r.Person, r.State, r.Reason)
		}
		if _, err := w.store.Intent(w.ctx, r.Person, ""); r.State == reconcile.StateIdle && err == nil {
			w.fault("the intent about person %s is still open", r.Person)
		}
	}
	return errors.Join(w.faults...)
}

// decided finds out whether anything is still to be done to people who are in
// line: what was approved must not lie in wait for another day.
func (w *world) decided() error {
	holds, err := w.store.Holds(w.ctx, reconcile.HoldQuery{Limit: 1000})
	for _, h := range holds {
		for _, e := range h.Entries {
			if e.Open() && !w.twins[e.Person] && !w.meddled[e.Agent] {
				w.fault("%s of agent %s is still %s in hold %s, and nothing is to be taken from them", e.Action, e.Agent, e.State, h.ID)
			}
		}
	}
	return err
}

// holder gives who has a username, whatever its case.
func (w *world) holder(username string) (simconnect.Agent, bool) {
	for _, a := range w.sim.Agents() {
		if strings.EqualFold(a.Username, username) {
			return a, true
		}
	}
	return simconnect.Agent{}, false
}

// agentOf gives the agent of a person that is not retired.
func (w *world) agentOf(person string) (simconnect.Agent, bool) {
	for _, a := range w.sim.Agents() {
		if ofPerson(a, person) && stateOf(a) != "retired" {
			return a, true
		}
	}
	return simconnect.Agent{}, false
}

// missing gives those who should have an agent and could have one, and have none.
func (w *world) missing() map[string]wish {
	missing := w.wishes()
	for id, want := range missing {
		_, has := w.agentOf(id)
		if _, taken := w.holder(want.Username); has || taken {
			delete(missing, id)
		}
	}
	return missing
}

// blocked counts whom every sweep has looked at: for each name that nobody gets,
// since an agent that no sweep shows us has it, somebody who wants it; and those
// who are undecided. Of two agents neither gets another name.
func (w *world) blocked() int {
	names := map[string]bool{}
	for id, want := range w.wishes() {
		has, there := w.agentOf(id)
		renames := there && !strings.EqualFold(has.Username, want.Username) && w.mode.policy == plan.Sync && w.alone(id)
		if holder, taken := w.holder(want.Username); taken && (!there || renames) && holder.Tags["connectroster:deployment"] != deployment {
			names[strings.ToLower(want.Username)] = true
		}
	}
	return len(names) + w.undecided()
}

// alone reports whether somebody has no second agent.
func (w *world) alone(id string) bool {
	n := 0
	for _, a := range w.sim.Agents() {
		n += ones(a.Tags["connectroster:owner"] == id && a.Tags["connectroster:deployment"] == deployment && stateOf(a) != "retired")
	}
	return n < 2
}

// undecided counts those whom no list names and whose status says nothing of
// whether they left: a sweep takes them for leavers, and each look finds out more.
func (w *world) undecided() int {
	n := 0
	for id, p := range w.people() {
		_, has := w.agentOf(id)
		listed := slices.ContainsFunc(w.offices, func(o office) bool { return slices.Contains(p.groups, o.group) })
		n += ones(w.mode.policy == plan.Sync && has && !listed && !slices.Contains(entitling, p.status) && !left(w.people(), id, w.offices))
	}
	return n
}

// inLine compares the agents with the oracle, where the policy allows more than
// to create them.
func (w *world) inLine() {
	if w.mode.policy == plan.CreateOnly {
		return
	}
	people, wanted := w.people(), w.wishes()
	for _, a := range w.sim.Agents() {
		owner := a.Tags["connectroster:owner"]
		if owner == "" || a.Tags["connectroster:deployment"] != deployment || w.twins[owner] {
			continue
		}
		want, entitled := wanted[owner]
		switch {
		case stateOf(a) == "retired":
			if w.mode.policy == plan.Sync && !w.parked(a) && !undecided(people, owner) {
				w.fault("agent %s of person %s is retired and not parked: %+v", a.ID, owner, a)
			}
		case entitled:
			w.fits(a, want)
		case w.mode.policy == plan.Sync && left(people, owner, w.offices):
			if stateOf(a) != "suspended" || !w.parked(a) {
				w.fault("person %s left (%+v), and has agent %s: %+v", owner, people[owner], a.ID, a)
			}
		}
	}
}

// fits compares the agent of somebody who is to have one with what the rules say,
// but for what the floor decides.
func (w *world) fits(a simconnect.Agent, want wish) {
	has := granted(a)
	has.Routing = want.Routing // the floor's, once the rules have been heard
	_, taken := w.holder(want.Username)
	if w.mode.policy != plan.Sync || taken { // Amazon Connect has no rename, and tells names apart by case
		has.Username = want.Username
	}
	if has != want || stateOf(a) != "active" || a.Tags["connectroster:routing"] != want.Routing {
		w.fault("agent %s is %+v with the tags %v, and should be %+v", a.ID, granted(a), a.Tags, want)
	}
	if !w.moved[a.ID] && a.RoutingProfile != want.Routing {
		w.fault("agent %s has routing profile %s, nobody on the floor chose one, and it should have %s", a.ID, a.RoutingProfile, want.Routing)
	}
}

// quiet looks at everybody once more, which must change nothing.
func (w *world) quiet() error {
	blocked := w.blocked()
	writes := len(w.sim.Ledger())
	swept, err := w.sweep()
	if err != nil {
		return err
	}
	if swept.Changes != blocked {
		w.fault("a further sweep has %d people looked at, and %d have a reason", swept.Changes, blocked)
	}
	if err := w.rest(); err != nil {
		return err
	}
	if n := len(w.sim.Ledger()); n != writes {
		w.fault("a further sweep makes %d writes", n-writes)
	}
	return errors.Join(w.faults...)
}
