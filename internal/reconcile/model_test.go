package reconcile_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/connect"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// play makes a history happen, and then everything quiet. It gives what is wrong
// with the product, or with the test.
func play(ctx context.Context, b *bench, api bool, bug mistake, h history) error {
	w, err := newWorld(ctx, b, api, bug)
	if err != nil {
		return err
	}
	defer w.close()
	for n, s := range h {
		if err := w.do(s); err != nil {
			return fmt.Errorf("step %d, %s %d %d: %w", n+1, s.Do, s.A, s.B, err)
		}
	}
	if err := w.converge(); err != nil {
		return fmt.Errorf("after the last step: %w", err)
	}
	return nil
}

// do makes one step happen and checks what must hold at any time. A process that
// crashed was begun anew by the next step.
func (w *world) do(s step) error {
	if w.gate.gone {
		if err := w.restart(); err != nil {
			return err
		}
	}
	w.truth.Advance(time.Millisecond)
	if err := w.verbs[s.Do].do(w, s.A, s.B); err != nil {
		return err
	}
	return w.check()
}

// matters reports whether an event must lead to a request.
func (w *world) matters(kind, result string, groups, apps []string) bool {
	switch {
	case result != "SUCCESS":
		return false
	case strings.HasPrefix(kind, "group.user_membership."):
		return slices.ContainsFunc(groups, func(id string) bool { return slices.Contains(w.mapped(), id) })
	case strings.HasPrefix(kind, "application.user_membership."):
		return slices.Contains(apps, w.appID)
	}
	return strings.HasPrefix(kind, "user.lifecycle.") || kind == "user.account.update_profile"
}

// catchUp reads the System Log, if there is access to it. Every event that was
// in it before must have led to a request by then.
func (w *world) catchUp() error {
	if !w.api {
		return nil
	}
	w.poked = false
	if _, err := w.store.Note(w.ctx, noteOf); err != nil {
		w.logFrom = w.now().Add(-time.Hour)
	}
	sure := w.truth.Now().Add(-w.lateness)
	before := w.org.Events()
	var err error
	if !w.run(func() { _, err = w.eng.CatchUp(w.ctx) }) {
		return errCrashed
	}
	if err != nil {
		return err
	}
	if w.gap {
		w.fault("a gap in the log was not made up for by a sweep")
	}
	if w.madeUp {
		for _, e := range before {
			w.reached[e.UUID] = true
		}
		w.madeUp = false
	}
	for _, e := range before {
		due := !e.Published.After(sure) && !e.Published.Before(w.logFrom) && w.matters(e.Type, e.Result, e.Targets, e.Targets)
		if due && !w.reached[e.UUID] {
			w.fault("the event %s (%s, %s) is in the log, and led to no request", e.UUID, e.Type, e.Published)
		}
	}
	return nil
}

var errCrashed = errors.New("the process crashed")

// sweep looks at everybody.
func (w *world) sweep() (reconcile.Swept, error) {
	var out reconcile.Swept
	var err error
	if !w.run(func() { out, err = w.eng.Sweep(w.ctx) }) {
		return out, errCrashed
	}
	w.ready = w.ready || err == nil
	return out, err
}

// work looks at so many people who are due. As in the program, the index is
// filled before the first of them. It reports whether nobody is left.
func (w *world) work(n int) (idle bool) {
	if w.poked {
		_ = w.catchUp()
	}
	if !w.ready && !w.gate.gone {
		if _, err := w.sweep(); err != nil && !w.gate.gone {
			w.run(func() { w.ready = w.eng.Reindex(w.ctx) == nil })
		}
	}
	for range n {
		if w.gate.gone || !w.ready {
			return false
		}
		var err error
		survived := w.run(func() { err = w.eng.Work(w.ctx) })
		if survived && errors.Is(err, reconcile.ErrNotFound) {
			return true
		}
		if survived && err != nil {
			w.fault("work: %w", err)
		}
		w.made()
		w.recent = nil
		if w.throttled() {
			if err := w.replace(); err != nil {
				w.fault("restart: %w", err)
			}
		}
	}
	return false
}

// replace begins a new process that knows nothing of the waits of the old one.
func (w *world) replace() error {
	w.port.Close()
	var err error
	if w.port, err = connect.New(w.ctx, w.portConfig()); err != nil {
		return err
	}
	return w.restart()
}

// throttled reports whether CreateUser was throttled, and forgets it.
func (w *world) throttled() bool {
	for _, f := range w.sim.Faults() {
		if f.Fault.Status == http.StatusTooManyRequests && f.Struck > 0 {
			w.sim.ClearFaults()
			return true
		}
	}
	return false
}

// wishes gives the agents that there should be now.
func (w *world) wishes() map[string]wish {
	if w.api {
		return wishes(inOkta(w.org), w.offices)
	}
	return wishes(w.heard.people(), w.offices)
}

// officeOf gives the group whose members get agents like this one.
func (w *world) officeOf(a simconnect.Agent) string {
	for _, o := range w.offices {
		if o.routing == a.RoutingProfile {
			return o.group
		}
	}
	return ""
}

// made checks the agents that came about since the last time: each must be just
// what its owner should have had while the engine looked, and the only one.
func (w *world) made() {
	entries := w.sim.LedgerAfter(w.seq)
	if len(entries) == 0 {
		return
	}
	w.recent = append(w.recent, w.wishes())
	for _, e := range entries {
		w.seq = e.Seq
		if e.Operation != "CreateUser" {
			w.fault("%s was called for agent %s, which create-only must not do", e.Operation, e.Agent)
			continue
		}
		agent, _ := w.sim.Agent(e.Agent)
		owner := e.Tags["connectroster:owner"]
		entitled := slices.ContainsFunc(w.recent, func(now map[string]wish) bool { return now[owner] == granted(agent) })
		if !entitled || agent.PhoneConfig != w.phone {
			w.fault("person %s got the agent %+v %+v; wanted was %+v", owner, granted(agent), agent.PhoneConfig, w.recent[len(w.recent)-1][owner])
		}
		want := map[string]string{
			"connectroster:owner": owner, "connectroster:deployment": deployment, "connectroster:state": "active",
			"connectroster:group": w.officeOf(agent), "connectroster:routing": agent.RoutingProfile,
		}
		if !maps.Equal(agent.Tags, want) {
			w.fault("the agent of person %s has the tags %v", owner, agent.Tags)
		}
		for id := range w.owners {
			if now, found := w.sim.Agent(id); found && now.Tags["connectroster:owner"] == owner {
				w.fault("person %s has two agents: %s and %s", owner, id, e.Agent)
			}
		}
		w.owners[e.Agent], w.roster[e.Agent] = owner, agent
	}
}

// check finds out whether what must hold at any time does.
func (w *world) check() error {
	w.made()
	w.recent = nil
	agents := w.sim.Agents()
	for _, a := range agents {
		if want, known := w.roster[a.ID]; !known || !reflect.DeepEqual(a, want) {
			w.fault("agent %s is not as it was made:\n%+v\n%+v", a.ID, a, want)
		}
	}
	if len(agents) != len(w.roster) {
		w.fault("there are %d agents, and should be %d", len(agents), len(w.roster))
	}
	rows, err := w.store.People(w.ctx, reconcile.WaitingQuery{Limit: 1000})
	if err != nil {
		return err
	}
	generations := map[string]int64{}
	for _, r := range rows {
		generations[r.Person] = r.Generation
	}
	for person, n := range w.owed {
		if generations[person] < n {
			w.fault("%d requests for person %s were acknowledged, and %d are stored", n, person, generations[person])
		}
	}
	b, err := w.store.Backlog(w.ctx)
	if err != nil {
		return err
	}
	if n := b.Idle + b.Due + b.Waiting + b.Working + b.Dead; n != len(w.asked) {
		w.fault("the queue holds %d people, and %d were asked for", n, len(w.asked))
	}
	return errors.Join(w.faults...)
}

// converge ends all faults, lets time pass and finds out whether the roster is
// what it should be, and stays so.
func (w *world) converge() error {
	if err := w.heal(); err != nil {
		return err
	}
	for range 2 {
		if err := w.rest(); err != nil {
			return err
		}
		w.truth.Advance(time.Hour)
	}
	if err := w.arrived(); err != nil {
		return err
	}
	return w.quiet()
}

// heal ends all faults.
func (w *world) heal() error {
	w.org.ClearFaults()
	w.sim.ClearFaults()
	w.meanwhile, w.full = nil, 0
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
	missing, _ := w.missing()
	for id, want := range missing {
		w.fault("person %s has no agent, and should have %+v", id, want)
	}
	entries, err := w.store.Recent(w.ctx, reconcile.Query{Limit: 10_000})
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, e := range entries {
		if e.Kind != reconcile.EntryChange {
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

// missing gives those who should have an agent and could have one, and have none;
// and how many names nobody gets since an agent that no sweep shows us has them.
func (w *world) missing() (missing map[string]wish, refused int) {
	missing = w.wishes()
	held, refusals := map[string]simconnect.Agent{}, map[string]bool{}
	for _, a := range w.sim.Agents() {
		held[strings.ToLower(a.Username)] = a
		if a.Tags["connectroster:deployment"] == deployment {
			delete(missing, a.Tags["connectroster:owner"])
		}
	}
	for id, want := range missing {
		if a, taken := held[strings.ToLower(want.Username)]; taken {
			delete(missing, id)
			if a.Tags["connectroster:deployment"] != deployment {
				refusals[strings.ToLower(want.Username)] = true
			}
		}
	}
	return missing, len(refusals)
}

// quiet looks at everybody once more, which must change nothing.
func (w *world) quiet() error {
	_, refused := w.missing()
	writes := len(w.sim.Ledger())
	swept, err := w.sweep()
	if err != nil {
		return err
	}
	if swept.Changes != refused {
		w.fault("a further sweep has %d people looked at, and %d have a reason", swept.Changes, refused)
	}
	if err := w.rest(); err != nil {
		return err
	}
	if n := len(w.sim.Ledger()); n != writes {
		w.fault("a further sweep makes %d writes", n-writes)
	}
	return errors.Join(w.faults...)
}

// TestModel plays random histories of the org, the channel, Amazon Connect, the
// process and the clock, -rapid.checks of them with access to Okta's API and as
// many without. A history that fails is printed as short as it can be made, for
// TestHistories to keep.
func TestModel(t *testing.T) {
	seed := flag.Lookup("rapid.seed")
	if seed.Value.String() == "0" { // so that it can be told of a run that succeeds, too
		if err := seed.Value.Set(strconv.FormatUint(uint64(rand.Uint32())+1, 10)); err != nil {
			t.Fatal(err)
		}
	}
	t.Parallel()
	for name, api := range map[string]bool{"API": true, "HookOnly": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			fails := func(h history) error { return play(t.Context(), b, api, mistake{}, h) }
			var played int
			var failed history
			defer func() {
				t.Logf("%d histories played, seed %s", played, seed.Value)
				if failed != nil {
					failed = shrink(failed, fails)
					t.Logf("%v\n%s", fails(failed), failed)
				}
			}()
			rapid.Check(t, func(rt *rapid.T) {
				h := histories(40).Draw(rt, "history")
				if failed == nil {
					played++
				}
				if err := fails(h); err != nil {
					failed = h
					rt.Fatalf("%v\n%s", err, h)
				}
			})
		})
	}
}

// kept are histories that once found a fault of the product, or of the model.
var kept = map[string]struct {
	api   bool
	steps string
}{
	"the answer to a creation is lost, its person leaves, and searches lag": {true, `
		lag 3 0
		create-fault 0 7
		hire 0 0
		work 0 0
		delete 0 0
	`},
	"a lost answer, and another login before the agent can be seen": {true, `
		lag 3 0
		create-fault 0 7
		hire 0 0
		work 0 0
		login 0 3
	`},
	"a lost answer, of somebody whose first agent lost its tags": {true, `
		hire 0 0
		work 0 0
		hand-untag 0 0
		login 4 0
		create-fault 0 7
		deliver 0 0
		work 0 0
		leave 0 0
		deliver 0 0
		work 0 0
	`},
	"a search shows an agent that is gone, and the answer of its successor is lost": {false, `
		lag 2 0
		create-fault 0 1
		hire 0 2
		forge 5 0
		shift 4 0
		create-fault 0 1
		sweep 0 0
		batch 0 0
		hand-delete 0 0
		shift 0 0
	`},
	"away for nearly as long as the log is kept, by a clock that is behind": {true, `
		catch-up 0 0
		step 0 0
		stage 0 0
		away 2 0
		wait 7 0
		step 2 0
		away 1 0
	`},
	"a crash between a gap in the log and its sweep": {true, `
		catch-up 0 0
		hire 0 0
		wait 6 0
		crash 1 5
		old-cursors 0 0
		catch-up 0 0
	`},
	"a gap, and nothing can be stored": {true, `
		old-cursors 0 0
		catch-up 0 0
		wait 7 0
		store-full 0 0
		catch-up 0 0
	`},
	"away for longer than the log is kept": {true, `
		catch-up 0 0
		hire 0 0
		away 5 0
		catch-up 0 0
	`},
	"a sweep is owed for a group that is gone, and the clock goes back": {true, `
		group-delete 0 0
		catch-up 0 0
		step 2 0
	`},
	"events come late into the log": {true, `
		hire 0 0
		late-log 1 0
		activate 0 0
		batch 1 7
	`},
}

// TestHistories plays what was kept.
func TestHistories(t *testing.T) {
	t.Parallel()
	for name, k := range kept {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := parseHistory(k.steps)
			if err != nil {
				t.Fatal(err)
			}
			if err := play(t.Context(), newBench(t), k.api, mistake{}, h); err != nil {
				t.Error(err)
			}
		})
	}
}
