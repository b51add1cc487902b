package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// scenario is a change and how the world is to be once it is made.
type scenario struct {
	start func(testing.TB, *floor) plan.Change
	end   func(testing.TB, *floor, plan.Change)
}

func scenarios() map[string]scenario {
	edit := func(action plan.Action, state plan.State) scenario {
		return scenario{
			start: func(t testing.TB, f *floor) plan.Change {
				have := f.make(t, f.full("00u1"))
				to := f.other("00u1")
				to.State = state
				if state != plan.StateActive {
					to.Since = time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
				}
				after := f.overlay(have, to, everything())
				return plan.Change{Action: action, Person: "00u1", Agent: have.ID, Before: &have, After: &after, Fields: everything()}
			},
			end: func(t testing.TB, f *floor, c plan.Change) { f.reads(t, *c.After) },
		}
	}
	return map[string]scenario{
		"update":  edit(plan.Update, plan.StateActive),
		"resume":  edit(plan.Resume, plan.StateActive),
		"suspend": edit(plan.Suspend, plan.StateSuspended),
		"create": {
			start: func(_ testing.TB, f *floor) plan.Change {
				a := f.full("00u1")
				return plan.Change{Action: plan.Create, Person: "00u1", After: &a}
			},
			end: func(t testing.TB, f *floor, c plan.Change) { f.live(t, *c.After) },
		},
		"replace": {
			start: func(t testing.TB, f *floor) plan.Change {
				have := f.make(t, f.full("00u1"))
				parked := f.overlay(have, f.other("00u1"), []plan.Field{plan.FieldRouting, plan.FieldSecurity, plan.FieldProficiencies})
				parked.State, parked.Since = plan.StateRetired, time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
				after := f.full("00u1")
				after.Username = "renamed"
				return plan.Change{Action: plan.Replace, Person: "00u1", Agent: have.ID, Before: &have, After: &after, Parked: &parked}
			},
			end: func(t testing.TB, f *floor, c plan.Change) {
				f.reads(t, *c.Parked)
				f.live(t, *c.After)
			},
		},
		"adopt": {
			start: func(t testing.TB, f *floor) plan.Change {
				a, err := f.sim.AddAgent(simconnect.Agent{Username: "by.hand", Tags: map[string]string{"team": "red"}})
				if err != nil {
					t.Fatal(err)
				}
				have, err := f.Agent(context.Background(), a.ID)
				if err != nil {
					t.Fatal(err)
				}
				after := have
				after.Owner, after.Deployment, after.State = "00u1", deployment, plan.StateActive
				return plan.Change{Action: plan.Adopt, Person: "00u1", Agent: have.ID, Before: &have, After: &after, Fields: []plan.Field{plan.FieldOwnership}}
			},
			end: func(t testing.TB, f *floor, c plan.Change) { f.reads(t, *c.After) },
		},
		"release": {
			start: func(t testing.TB, f *floor) plan.Change {
				have := f.make(t, f.full("00u1"))
				return plan.Change{Action: plan.Release, Person: "00u1", Agent: have.ID, Before: &have}
			},
			end: func(t testing.TB, f *floor, c plan.Change) {
				stored, there := f.sim.Agent(c.Agent)
				if diff := cmp.Diff(map[string]string{"team": "red", "cost centre": "4711"}, stored.Tags); !there || diff != "" {
					t.Errorf("released (-want +got):\n%s", diff)
				}
			},
		},
		"delete": {
			start: func(t testing.TB, f *floor) plan.Change {
				have := f.make(t, f.full("00u1"))
				stays := f.make(t, f.full("00u2"))
				for n, agent := range []string{have.ID, stays.ID, have.ID} {
					if _, err := f.sim.AddQuickConnect(fmt.Sprintf("quick %d", n), agent); err != nil {
						t.Fatal(err)
					}
				}
				return plan.Change{Action: plan.Delete, Person: "00u1", Agent: have.ID, Before: &have}
			},
			end: func(t testing.TB, f *floor, c plan.Change) {
				if _, there := f.sim.Agent(c.Agent); there {
					t.Error("the agent is there")
				}
				quick := f.sim.QuickConnects()
				if len(quick) != 1 || quick[0].Name != "quick 1" {
					t.Errorf("the quick connects left are %+v", quick)
				}
				if _, err := f.Holder(context.Background(), "agent-00u2"); err != nil {
					t.Errorf("the agent of somebody else: %v", err)
				}
			},
		},
	}
}

// live checks that the person has just one agent that is not retired, and that
// it is the wanted one.
func (f *floor) live(t testing.TB, want plan.Agent) {
	t.Helper()
	var live []string
	for _, a := range f.sim.Agents() {
		if a.Tags[tagOwner] == want.Owner && a.Tags[tagState] == "active" {
			live = append(live, a.ID)
		}
	}
	if len(live) != 1 {
		t.Errorf("%d live agents", len(live))
		return
	}
	f.reads(t, asRead(want, live[0]))
}

// finish does what the engine does after a change whose outcome it does not know:
// it applies the change again, and where that shows that the agent is there
// already, what the agent lacks.
func (f *floor) finish(t testing.TB, c plan.Change) {
	t.Helper()
	_, err := f.Apply(context.Background(), c)
	if errors.Is(err, reconcile.ErrTaken) {
		have, missing := f.Holder(context.Background(), c.After.Username)
		if missing != nil || have.Owner != c.Person {
			t.Errorf("the username is taken by %+v: %v", have, missing)
			return
		}
		after := asRead(*c.After, have.ID)
		_, err = f.Apply(context.Background(), plan.Change{Action: plan.Update, Person: c.Person, Agent: have.ID, Before: &have, After: &after, Fields: everything()})
	}
	if err != nil {
		t.Errorf("again: %v", err)
	}
}

// breakage is a way in which a change breaks at one of its calls.
type breakage struct {
	fault simconnect.Fault
	lasts bool              // every call from there on breaks, and not just one attempt
	next  *simconnect.Fault // what the next attempt meets
}

// breakages are all that are tried. What is refused is not done, so those cannot
// be had both ways.
func breakages() map[string]breakage {
	denied := simconnect.Fault{Status: 403, Code: "AccessDeniedException"}
	ways := map[string]breakage{
		"denied":    {fault: denied},
		"throttled": {fault: simconnect.Fault{Status: 429, Code: "TooManyRequestsException"}},
	}
	for _, commit := range []bool{false, true} {
		for name, b := range map[string]breakage{
			"500":            {fault: simconnect.Fault{Status: 500}},
			"500 for good":   {fault: simconnect.Fault{Status: 500}, lasts: true},
			"500, denied":    {fault: simconnect.Fault{Status: 500}, next: &denied},
			"reset":          {fault: simconnect.Fault{Kind: simconnect.FaultReset}},
			"reset for good": {fault: simconnect.Fault{Kind: simconnect.FaultReset}, lasts: true},
			"truncated":      {fault: simconnect.Fault{Kind: simconnect.FaultTruncate}},
			"timeout":        {fault: simconnect.Fault{Kind: simconnect.FaultDelay, Delay: time.Hour}},
		} {
			b.fault.Commit = commit
			ways[fmt.Sprintf("%s, done: %v", name, commit)] = b
		}
	}
	return ways
}

// passes reports whether the next attempt of a call that may be sent again gets
// over it.
func (b breakage) passes() bool {
	return !b.lasts && b.next == nil && b.fault.Status != 403 && b.fault.Kind != simconnect.FaultDelay
}

// Wherever a change breaks, at whichever of its calls and in whatever way, its
// error is true, and applying it again ends it.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	ways := breakages()
	if testing.Short() {
		for name := range ways {
			if name != "denied" && name != "500, done: true" && name != "reset for good, done: true" {
				delete(ways, name)
			}
		}
	}
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clean := openFloor(t, nil, nil)
			change := s.start(t, clean)
			before := clean.sim.Stats().Calls
			clean.finish(t, change)
			calls := clean.sim.Stats().Calls - before
			s.end(t, clean, change)
			if t.Failed() {
				return
			}
			var wg sync.WaitGroup
			turns := make(chan struct{}, 32)
			for way, b := range ways {
				for k := 1; k <= calls; k++ {
					wg.Go(func() {
						turns <- struct{}{}
						defer func() { <-turns }()
						b.at(prefixed{t, fmt.Sprintf("%s at call %d of %d: ", way, k, calls)}, s, k)
					})
				}
			}
			wg.Wait()
		})
	}
}

// at breaks a change at its k-th call.
func (b breakage) at(t testing.TB, s scenario, k int) {
	f := openFloor(t, nil, nil)
	change := s.start(t, f)
	seq := len(f.sim.Ledger())
	calls := new(tally)
	broken := f.another(t, func(c *Config) {
		c.Reads, c.Observe = Reads{Hierarchy: true, Proficiencies: true}, calls.add
		if b.fault.Kind == simconnect.FaultDelay {
			c.Timeout = 150 * time.Millisecond
		}
	})
	fault := b.fault
	fault.Nth = k
	if b.lasts {
		fault.Times = -1
	}
	f.fault(t, fault)
	if b.next != nil {
		next := *b.next
		next.Nth = k + 1
		f.fault(t, next)
	}
	id, err := broken.Apply(context.Background(), change)
	done := slices.DeleteFunc(f.sim.LedgerAfter(seq), func(e simconnect.Entry) bool { return e.Unchanged })
	struck := slices.ContainsFunc(calls.all(), func(c Call) bool { return c.Failed && c.Operation == "CreateUser" })
	_, waits := reconcile.AsAfter(err)
	switch {
	case err == nil && id == "":
		t.Error("no error and no agent")
	case err != nil && b.passes() && !struck:
		t.Errorf("not got over: %v", err)
	case (waits || reconcile.IsTerminal(err)) && len(done) > 0 && (fault.Status != 429 || !waits || change.Action == plan.Create):
		t.Errorf("%v (class %s) says that nothing was done, but %s was", err, class(err), done[0].Operation)
	case errors.Is(err, reconcile.ErrTaken):
		t.Errorf("the username was free: %v", err)
	}
	f.sim.ClearFaults()
	if err != nil {
		f.finish(t, change)
	}
	s.end(t, f, change)
	f.once(t, change, seq)
}

// once checks the ledger: one creation at most, none before the old agent is
// retired, and no write to an agent of anybody else.
func (f *floor) once(t testing.TB, c plan.Change, seq int) {
	t.Helper()
	created, retired := 0, false
	for _, e := range f.sim.LedgerAfter(seq) {
		retired = retired || e.Tags[tagState] == "retired 2026-11-25T01:02:03Z"
		if e.Operation == "CreateUser" {
			created++
			if c.Action == plan.Replace && !retired {
				t.Error("the new agent was made before the old one was retired")
			}
		}
		if owner := e.Tags[tagOwner]; e.Resource == "" && owner != c.Person && e.Operation != "UntagResource" {
			t.Errorf("%s to an agent of %q", e.Operation, owner)
		}
	}
	if created > 1 {
		t.Errorf("%d agents were made", created)
	}
}

// prefixed says of every failure which case it is of.
type prefixed struct {
	testing.TB
	prefix string
}

func (p prefixed) Errorf(format string, args ...any) {
	p.Helper()
	p.TB.Errorf("%s"+format, append([]any{p.prefix}, args...)...)
}

func (p prefixed) Error(args ...any) { p.Helper(); p.Errorf("%s", fmt.Sprint(args...)) }

// Fatalf does not end the test, as it may come from a goroutine of its own.
func (p prefixed) Fatalf(format string, args ...any) { p.Helper(); p.Errorf(format, args...) }
func (p prefixed) Fatal(args ...any)                 { p.Helper(); p.Errorf("%s", fmt.Sprint(args...)) }
