package reconcile_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// play makes a history happen, and then everything quiet. It gives what is wrong
// with the product, or with the test.
func play(ctx context.Context, b *bench, m mode, bug mistake, h history) error {
	w, err := newWorld(ctx, b, m, bug)
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
	if !w.mode.api {
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
func (w *world) wishes() map[string]wish { return wishes(w.people(), w.offices) }

// check finds out whether what must hold at any time does.
func (w *world) check() error {
	if n := len(w.sim.LedgerAfter(w.seq)); n > 0 {
		w.fault("%d writes were made outside of any change", n)
	}
	agents := w.sim.Agents()
	for _, a := range agents {
		if _, remembered := w.tombstone(a.ID); !remembered && a.Tags["connectroster:deployment"] == deployment && stateOf(a) == "suspended" && !w.meddled[a.ID] {
			w.fault("agent %s is suspended, and what it was is not remembered", a.ID)
		}
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

// modes are those in which the model is played, by the name of their test. What
// has access to Okta's API is played with two policies, half of the histories each.
var modes = map[string][]mode{
	"API":      {{api: true, policy: plan.Sync}, {api: true, policy: plan.UpsertOnly}},
	"HookOnly": {{policy: plan.CreateOnly}, {policy: plan.UpsertOnly}},
}

// usualSeed is that of the histories that are played if no seed is given, so that
// what fails is the doing of whoever has changed something. "make model" plays others.
const usualSeed = "20261125"

// TestModel plays random histories of the org, the channel, Amazon Connect, the
// people who decide, the process and the clock, -rapid.checks of them with access
// to Okta's API and as many without. A history that fails is printed as short as
// it can be made, for TestHistories to keep.
func TestModel(t *testing.T) {
	seed := flag.Lookup("rapid.seed")
	if seed.Value.String() == "0" {
		if err := seed.Value.Set(usualSeed); err != nil {
			t.Fatal(err)
		}
	}
	t.Parallel()
	for name, choice := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var played int
			var failed history
			var in mode
			fails := func(h history) error { return play(t.Context(), b, in, mistake{}, h) }
			defer func() {
				t.Logf("%d histories played, seed %s", played, seed.Value)
				if failed != nil {
					failed = shrink(failed, fails)
					t.Logf("%+v: %v\n%s", in, fails(failed), failed)
				}
			}()
			rapid.Check(t, func(rt *rapid.T) {
				m := choice[0]
				if rapid.Bool().Draw(rt, "other policy") {
					m = choice[1]
				}
				h := histories(40).Draw(rt, "history")
				if failed == nil {
					played++
				}
				in = m
				if err := fails(h); err != nil {
					failed = h
					rt.Fatalf("%v\n%s", err, h)
				}
			})
		})
	}
}
