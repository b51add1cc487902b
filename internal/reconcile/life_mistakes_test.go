package reconcile_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// lifeMistake is one about agents that exist: what the model says of it, and a
// history that shows it, where random ones do so too seldom.
type lifeMistake struct {
	mistake
	upsert  bool
	says    string
	history string
}

// lifeMistakes are those that the model must find, each for its own reason.
var lifeMistakes = map[string]lifeMistake{
	"the guard grants everything": {says: "is one too many", mistake: guardFault(func(s shadyGuard, ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
		answer, err := s.Guard.Reserve(ctx, r, l)
		answer.State = reconcile.ReservationGranted
		return answer, err
	})},
	"each person is a group of their own": {says: "is one too many", mistake: guardFault(func(s shadyGuard, ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
		r.Group = r.Person
		return s.Guard.Reserve(ctx, r, l)
	}), history: `
		hire 0 0
		hire 1 0
		hire 2 0
		shift 0 0
		shift 4 0
		leave 0 0
		leave 1 0
		leave 2 0
		join 0 2
		hire 3 0
		shift 4 0
	`},
	"a cliff is not held": {says: "was emptied or deleted, and nobody approved it", mistake: guardFault(func(s shadyGuard, ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
		r.Cliff = ""
		return s.Guard.Reserve(ctx, r, l)
	})},
	"what waits goes when its time is over": {says: "waits in hold", mistake: guardFault(func(s shadyGuard, ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
		holds, err := s.Holds(ctx, reconcile.HoldQuery{Person: r.Person})
		for _, h := range holds {
			for _, e := range h.Entries {
				if e.State == reconcile.HoldWaiting && e.Agent == r.Agent && !r.At.Before(e.Expires) {
					return reconcile.Reservation{State: reconcile.ReservationGranted}, err
				}
			}
		}
		return s.Guard.Reserve(ctx, r, l)
	})},
	"a stay is passed over": {says: "was to be left alone", mistake: guardFault(func(s shadyGuard, ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
		answer, err := s.Guard.Reserve(ctx, r, l)
		if answer.State == reconcile.ReservationStayed {
			answer.State = reconcile.ReservationGranted
		}
		return answer, err
	})},
	"nothing is withdrawn": {says: "nothing is to be taken from them", mistake: mistake{parts: func(c *reconcile.Config) { c.Guard = stubbornGuard{c.Guard} }}},
	"one answer is proof enough": {says: "lost agent", mistake: mistake{parts: func(c *reconcile.Config) { c.Directory = gullible{c.Directory} }}, history: `
		hire 0 0
		shift 0 0
		shift 6 0
		name 0 1
		user-thin 0 1
		shift 0 0
	`},
	"what a sweep found missing is not noted": {says: "left (", mistake: mistake{parts: func(c *reconcile.Config) { c.Index = blindIndex{c.Index} }}, history: `
		hire 0 0
		shift 0 0
		leave 0 0
		away 5 0
	`},
	"tombstones are not saved": {says: "what it was is not remembered", mistake: mistake{parts: func(c *reconcile.Config) { c.Tombstones = noTombstones{c.Tombstones} }}},
	"a tombstone is what is parked": {says: "and the floor had put it into", mistake: mistake{parts: func(c *reconcile.Config) { c.Tombstones = forgetful{c.Tombstones} }}, history: `
		hire 0 0
		shift 0 0
		floor-move 0 1
		shift 0 0
		suspend 0 0
		shift 0 0
		unsuspend 0 0
		shift 0 0
	`},
	"only creations have an intent":              {says: "the intent that is stored is", mistake: mistake{parts: func(c *reconcile.Config) { c.Intents = makersIntents{c.Intents} }}},
	"an intent is stored for the wrong instance": {says: "the intent that is stored is", upsert: true, mistake: mistake{parts: func(c *reconcile.Config) { c.Intents = misplacedIntents{c.Intents} }}},
	"a suspension writes tags alone": {says: "was suspended, and keeps", mistake: adapterFault(func(to reconcile.Instance, ctx context.Context, c plan.Change) (string, error) {
		if c.Action == plan.Suspend {
			c.Fields = nil
		}
		return to.Apply(ctx, c)
	})},
	"a deletion is only said to be done": {says: "was deleted, and is still there", mistake: adapterFault(func(to reconcile.Instance, ctx context.Context, c plan.Change) (string, error) {
		if c.Action == plan.Delete {
			return c.Agent, nil
		}
		return to.Apply(ctx, c)
	})},
	"a new agent is made before the old one is parked": {says: "has two agents", mistake: adapterFault(func(to reconcile.Instance, ctx context.Context, c plan.Change) (string, error) {
		if c.Action == plan.Replace {
			c.Action, c.Agent, c.Before, c.Fields = plan.Create, "", nil, nil
		}
		return to.Apply(ctx, c)
	})},
	"deleted long before the grace is over": {says: "after it was parked", mistake: mistake{parts: func(c *reconcile.Config) {
		if c.Settings.Leavers.DeleteAfter > 0 {
			c.Settings.Leavers.DeleteAfter = time.Minute
		}
	}}},
	"never deleted": {says: "is still there after the grace", mistake: mistake{parts: func(c *reconcile.Config) { c.Settings.Leavers.DeleteAfter = 0 }}},
	"the floor is not asked": {says: "was moved from where the floor put it", upsert: true, mistake: mistake{parts: func(c *reconcile.Config) {
		c.Settings.Authority = map[plan.Field]plan.Authority{plan.FieldRouting: {Mode: plan.Enforce}}
	}}},
	"security profiles are left to the floor": {says: "and should be", mistake: mistake{parts: func(c *reconcile.Config) {
		c.Settings.Authority = map[plan.Field]plan.Authority{plan.FieldSecurity: {Mode: plan.Initial}}
	}}},
	"retired agents count as live": {says: "agent", mistake: mistake{inner: func(to reconcile.Instance) reconcile.Instance {
		return seenInstance{to, func(a *plan.Agent) {
			if a.State == plan.StateRetired {
				a.State = plan.StateActive
			}
		}}
	}}, history: `
		hire 0 0
		shift 0 0
		login 0 1
		shift 0 0
	`},
	"any deployment is ours": {says: "which is not person", mistake: mistake{inner: func(to reconcile.Instance) reconcile.Instance {
		return seenInstance{to, func(a *plan.Agent) {
			if a.Deployment != "" {
				a.Deployment = deployment
			}
		}}
	}}},
	"who left keeps an agent": {says: "left (", mistake: mistake{parts: func(c *reconcile.Config) { c.Settings.Policy = plan.UpsertOnly }}},
}

// TestModelCatchesLife plays histories over a product with a mistake about agents
// that exist. The model must find it, for the reason given, by a history that the
// product without it passes.
func TestModelCatchesLife(t *testing.T) {
	t.Parallel()
	const most = 400
	for name, m := range lifeMistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, generator := newBench(t), histories(40)
			in := apiSync
			if m.upsert {
				in = apiUpsert
			}
			tries := most
			if m.history != "" {
				tries = 1
			}
			for n := range tries {
				h, err := parseHistory(m.history)
				if err != nil {
					t.Fatal(err)
				}
				if m.history == "" {
					h = generator.Example(n + 1)
				}
				found := play(t.Context(), b, in, m.mistake, h)
				if found == nil {
					continue
				}
				if !strings.Contains(found.Error(), m.says) {
					t.Logf("history %d: found for another reason: %.300s", n+1, found)
					continue
				}
				if err := play(t.Context(), b, in, mistake{}, h); err != nil {
					t.Logf("history %d fails without the mistake: %v", n+1, err)
					continue
				}
				line, _, _ := strings.Cut(found.Error(), "\n")
				t.Logf("found by history %d: %.200s", n+1, line)
				return
			}
			t.Errorf("not found by %d histories", tries)
		})
	}
}

// guardFault changes what the guard answers.
func guardFault(reserve func(shadyGuard, context.Context, reconcile.Removal, reconcile.Limits) (reconcile.Reservation, error)) mistake {
	return mistake{parts: func(c *reconcile.Config) { c.Guard = shadyGuard{c.Guard, reserve} }}
}

type shadyGuard struct {
	reconcile.Guard
	reserve func(shadyGuard, context.Context, reconcile.Removal, reconcile.Limits) (reconcile.Reservation, error)
}

func (g shadyGuard) Reserve(ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
	return g.reserve(g, ctx, r, l)
}

type stubbornGuard struct{ reconcile.Guard }

func (stubbornGuard) Withdraw(context.Context, string, string) error { return nil }

// gullible believes the first answer about somebody.
type gullible struct{ reconcile.Directory }

func (d gullible) Evidence(ctx context.Context, q reconcile.Question) (reconcile.Evidence, error) {
	e, err := d.Directory.Evidence(ctx, q)
	e.Confirmed = true
	return e, err
}

// blindIndex loses what a sweep noted.
type blindIndex struct{ reconcile.Index }

func (i blindIndex) Remember(ctx context.Context, known ...reconcile.Known) error {
	return i.Index.Remember(ctx, unmarked(known)...)
}

func (i blindIndex) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	return i.Index.Rebuild(ctx, instance, before, unmarked(known))
}

func unmarked(known []reconcile.Known) []reconcile.Known {
	known = slices.Clone(known)
	for i := range known {
		known[i].Absent = time.Time{}
	}
	return known
}

// graves gives the port another name, as one of its methods has it.
type graves = reconcile.Tombstones

type noTombstones struct{ graves }

func (noTombstones) SaveTombstone(context.Context, reconcile.Tombstone) error { return nil }

// forgetful keeps of an agent what the rules said, and not what the floor chose.
type forgetful struct{ graves }

func (f forgetful) SaveTombstone(ctx context.Context, t reconcile.Tombstone) error {
	t.Agent.RoutingProfile = t.Agent.Answers[plan.FieldRouting]
	return f.graves.SaveTombstone(ctx, t)
}

type makersIntents struct{ reconcile.Intents }

func (i makersIntents) SaveIntent(ctx context.Context, intent reconcile.Intent) error {
	if !intent.Making() {
		return nil
	}
	return i.Intents.SaveIntent(ctx, intent)
}

type misplacedIntents struct{ reconcile.Intents }

func (i misplacedIntents) SaveIntent(ctx context.Context, intent reconcile.Intent) error {
	if intent.Change != nil && intent.Change.Action == plan.Update {
		intent.Instance = fmt.Sprint(intent.Instance, "elsewhere")
	}
	return i.Intents.SaveIntent(ctx, intent)
}

// adapterFault changes how the adapter makes a change.
func adapterFault(apply func(to reconcile.Instance, ctx context.Context, c plan.Change) (string, error)) mistake {
	return mistake{inner: func(to reconcile.Instance) reconcile.Instance {
		return applyFunc{to, func(ctx context.Context, c plan.Change) (string, error) { return apply(to, ctx, c) }}
	}}
}

// seenInstance shows agents otherwise than they are.
type seenInstance struct {
	reconcile.Instance
	change func(*plan.Agent)
}

func (i seenInstance) Agent(ctx context.Context, id string) (plan.Agent, error) {
	a, err := i.Instance.Agent(ctx, id)
	i.change(&a)
	return a, err
}

func (i seenInstance) Holder(ctx context.Context, username string) (plan.Agent, error) {
	a, err := i.Instance.Holder(ctx, username)
	i.change(&a)
	return a, err
}

func (i seenInstance) Agents(ctx context.Context, skills []plan.Proficiency) iter.Seq2[plan.Agent, error] {
	return func(yield func(plan.Agent, error) bool) {
		for a, err := range i.Instance.Agents(ctx, skills) {
			i.change(&a)
			if !yield(a, err) {
				return
			}
		}
	}
}
