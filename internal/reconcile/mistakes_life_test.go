package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// exodus has four people suspended at once.
const exodus = `
	hire 0 0
	hire 1 0
	hire 2 0
	hire 3 0
	shift 0 0
	exodus 0 0
	shift 0 0
`

// mistakesOfLife are those about what happens to agents that exist.
var mistakesOfLife = map[string]buildable{
	"the guard always grants": guardFault("one too many", func(reconcile.Removal, reconcile.Reservation) reconcile.Reservation {
		return reconcile.Reservation{State: reconcile.ReservationGranted}
	}).in(exodus),
	"the guard grants one too many": settingsFault("one too many", func(c *reconcile.Config) {
		c.Limits.StatusCount, c.Limits.GroupCount, c.Limits.LongCount, c.Limits.MoveCount = limits.StatusCount+1, limits.GroupCount+1, limits.LongCount+1, limits.MoveCount+1
	}).in(exodus),
	"a window is too short": settingsFault("one too many", func(c *reconcile.Config) { c.Limits.Short = time.Minute }).in(`
		hire 0 0
		hire 1 0
		hire 2 0
		hire 3 0
		shift 0 0
		suspend 0 0
		suspend 1 0
		shift 0 0
		wait 3 0
		suspend 2 0
		shift 0 0
	`),
	"a hold lets go what it held before": settingsFault("waits in hold", func(c *reconcile.Config) { c.Guard = leaky{c.Guard} }),
	"a stay does not count": guardFault("was to be left alone", func(_ reconcile.Removal, r reconcile.Reservation) reconcile.Reservation {
		if r.State == reconcile.ReservationStayed {
			r.State = reconcile.ReservationGranted
		}
		return r
	}),
	"what is held is never withdrawn": settingsFault("is still", func(c *reconcile.Config) { c.Guard = keepsAll{c.Guard} }),
	"everybody seems to have left":    evidenceFault("lost agent", func(e *reconcile.Evidence) { e.Confirmed = true }),
	"a group that collapsed is no cliff": evidenceFault("was emptied or deleted", func(e *reconcile.Evidence) {
		if e.Cliff != "" {
			*e = reconcile.Evidence{Confirmed: true}
		}
	}),
	"nobody's leaving is ever confirmed": evidenceFault("", func(e *reconcile.Evidence) { *e = reconcile.Evidence{} }),
	"a sweep finds nobody at home": settingsFault("lost agent", func(c *reconcile.Config) {
		c.Index = marking{c.Index, func(k *reconcile.Known) { k.Absent = c.Now() }}
	}),
	"nothing is remembered of suspended agents": settingsFault("is not remembered", func(c *reconcile.Config) { c.Tombstones = noTombstones{c.Tombstones} }),
	"what was remembered is not read": settingsFault("came back with", func(c *reconcile.Config) { c.Tombstones = lostTombstones{c.Tombstones} }).in(`
		hire 0 0
		shift 0 0
		floor-move 0 1
		suspend 0 0
		shift 0 0
		unsuspend 0 0
		shift 0 0
	`),
	"a suspended agent is taken for an active one": stateFault("", plan.StateSuspended),
	"a retired agent is taken for an active one":   stateFault("", plan.StateRetired),
	"suspending writes the tags alone": inside("was suspended, and keeps", func(ctx context.Context, to reconcile.Instance, c plan.Change) (string, error) {
		if c.Action == plan.Suspend {
			c.Fields = []plan.Field{plan.FieldOwnership}
		}
		return to.Apply(ctx, c)
	}),
	"the new agent comes before the old one is retired": inside("has two agents", func(ctx context.Context, to reconcile.Instance, c plan.Change) (string, error) {
		if c.Action != plan.Replace {
			return to.Apply(ctx, c)
		}
		create, park := c, c
		create.Action, create.Agent, create.Before, create.Parked = plan.Create, "", nil, nil
		id, err := to.Apply(ctx, create)
		if err != nil {
			return id, err
		}
		park.Action, park.After, park.Parked = plan.Suspend, c.Parked, nil
		park.Fields = []plan.Field{plan.FieldSecurity, plan.FieldRouting, plan.FieldOwnership}
		_, err = to.Apply(ctx, park)
		return id, err
	}),
	"agents are deleted too early": settingsFault("after it was parked", func(c *reconcile.Config) { c.Settings.Leavers.DeleteAfter /= 2 }),
	"agents are never deleted":     settingsFault("is still there after the grace", func(c *reconcile.Config) { c.Settings.Leavers.DeleteAfter = 0 }),
	"the floor's choice is undone": rosyFault("from where the floor put it", func(a *plan.Agent) { delete(a.Answers, plan.FieldRouting) }).in(`
		hire 0 0
		shift 0 0
		floor-move 0 1
		sweep 0 0
		work 0 0
	`),
	"the floor may give rights":     settingsFault("and should be", authority(plan.FieldSecurity, plan.Initial)),
	"the rules never move anybody":  settingsFault("has the tags", authority(plan.FieldRouting, plan.Ignore)),
	"agents are adopted unasked":    settingsFault("which is not person", func(c *reconcile.Config) { c.Notes = takesAll{c.Notes} }),
	"quick connects are left":       {by: "a quick connect leads to it", mistake: mistake{blind: "search-quick-connects"}},
	"sweeps do not look at leavers": settingsFault("", func(c *reconcile.Config) { c.Queue = noLeavers{c.Queue} }),
	"half a change is taken for done": inside("was suspended, and keeps", halfDone).in(`
		hire 0 0
		shift 0 0
		cut 1 0
		suspend 0 0
		shift 0 0
	`),
	"upsert-only is taken for sync": {upsert: true, by: "which policy upsert-only must not do", mistake: mistake{parts: func(c *reconcile.Config) {
		c.Settings.Policy = plan.Sync
		c.Settings.Personas["parked"] = persona("Parked", "No permissions")
		c.Settings.Leavers = plan.Leavers{SuspendAs: map[string]string{"": "parked"}}
	}}},
	"old names stay": applyOf("", func(c *plan.Change) {
		c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f plan.Field) bool { return f == plan.FieldName })
	}),
}

func settingsFault(by string, change func(*reconcile.Config)) buildable {
	return buildable{by: by, mistake: mistake{parts: change}}
}

func authority(f plan.Field, m plan.Mode) func(*reconcile.Config) {
	return func(c *reconcile.Config) { c.Settings.Authority = map[plan.Field]plan.Authority{f: {Mode: m}} }
}

// guardFault changes the answers of the guard.
func guardFault(by string, change func(reconcile.Removal, reconcile.Reservation) reconcile.Reservation) buildable {
	return settingsFault(by, func(c *reconcile.Config) { c.Guard = someGuard{c.Guard, change} })
}

type someGuard struct {
	reconcile.Guard
	change func(reconcile.Removal, reconcile.Reservation) reconcile.Reservation
}

func (g someGuard) Reserve(ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
	answer, err := g.Guard.Reserve(ctx, r, l)
	return g.change(r, answer), err
}

// leaky lets go what waits for a decision already.
type leaky struct{ reconcile.Guard }

func (g leaky) Reserve(ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
	holds, err := g.Holds(ctx, reconcile.HoldQuery{Person: r.Person})
	if err != nil {
		return reconcile.Reservation{}, err
	}
	for _, h := range holds {
		for _, e := range h.Entries {
			if e.State == reconcile.HoldWaiting && e.Agent == r.Agent {
				return reconcile.Reservation{State: reconcile.ReservationGranted}, nil
			}
		}
	}
	return g.Guard.Reserve(ctx, r, l)
}

type keepsAll struct{ reconcile.Guard }

func (keepsAll) Withdraw(context.Context, string, string) error { return nil }

// evidenceFault changes what the directory's records say.
func evidenceFault(by string, change func(*reconcile.Evidence)) buildable {
	return settingsFault(by, func(c *reconcile.Config) { c.Directory = someEvidence{c.Directory, change} })
}

type someEvidence struct {
	reconcile.Directory
	change func(*reconcile.Evidence)
}

func (d someEvidence) Evidence(ctx context.Context, q reconcile.Question) (reconcile.Evidence, error) {
	e, err := d.Directory.Evidence(ctx, q)
	if err == nil {
		d.change(&e)
	}
	return e, err
}

// marking changes what a sweep notes.
type marking struct {
	reconcile.Index
	change func(*reconcile.Known)
}

func (x marking) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	known = slices.Clone(known)
	for i := range known {
		x.change(&known[i])
	}
	return x.Index.Rebuild(ctx, instance, before, known)
}

// burials has another name than its only reading method, so that it can be embedded.
type burials = reconcile.Tombstones

type noTombstones struct{ burials }

func (noTombstones) SaveTombstone(context.Context, reconcile.Tombstone) error { return nil }

type lostTombstones struct{ burials }

func (lostTombstones) Tombstones(context.Context, ...string) (map[string]reconcile.Tombstone, error) {
	return nil, nil
}

// stateFault reads agents of a state as active.
func stateFault(by string, state plan.State) buildable {
	return rosyFault(by, func(a *plan.Agent) {
		if a.State == state {
			a.State, a.Since = plan.StateActive, time.Time{}
		}
	})
}

// rosyFault changes every agent that is read.
func rosyFault(by string, change func(*plan.Agent)) buildable {
	return settingsFault(by, func(c *reconcile.Config) { c.Instances[0].Instance = rosy{c.Instances[0].Instance, change} })
}

type rosy struct {
	reconcile.Instance
	change func(*plan.Agent)
}

func (r rosy) see(a plan.Agent) plan.Agent {
	r.change(&a)
	return a
}

func (r rosy) Agent(ctx context.Context, id string) (plan.Agent, error) {
	a, err := r.Instance.Agent(ctx, id)
	return r.see(a), err
}

func (r rosy) Agents(ctx context.Context, skills []plan.Proficiency) iter.Seq2[plan.Agent, error] {
	return func(yield func(plan.Agent, error) bool) {
		for a, err := range r.Instance.Agents(ctx, skills) {
			if !yield(r.see(a), err) {
				return
			}
		}
	}
}

// inside changes how the adapter makes a change.
func inside(by string, apply func(context.Context, reconcile.Instance, plan.Change) (string, error)) buildable {
	return buildable{by: by, mistake: mistake{inner: func(to reconcile.Instance) reconcile.Instance {
		return applyFunc{to, func(ctx context.Context, c plan.Change) (string, error) { return apply(ctx, to, c) }}
	}}}
}

func applyOf(by string, change func(*plan.Change)) buildable {
	return inside(by, func(ctx context.Context, to reconcile.Instance, c plan.Change) (string, error) {
		change(&c)
		return to.Apply(ctx, c)
	})
}

func halfDone(ctx context.Context, to reconcile.Instance, c plan.Change) (string, error) {
	id, err := to.Apply(ctx, c)
	_, waits := reconcile.AsAfter(err)
	if err == nil || waits || reconcile.IsTerminal(err) || errors.Is(err, reconcile.ErrTaken) || c.Action == plan.Create || c.Action == plan.Replace {
		return id, err
	}
	return c.Agent, nil
}

// takesAll believes that somebody asked to adopt.
type takesAll struct{ reconcile.Notes }

func (n takesAll) Note(ctx context.Context, name string) (string, error) {
	if !strings.HasPrefix(name, "order/") {
		return n.Notes.Note(ctx, name)
	}
	return `{"kind":"adopt","by":"nobody","at":"2100-01-01T00:00:00Z"}`, nil
}

type noLeavers struct{ reconcile.Queue }

func (q noLeavers) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	return q.Queue.Enqueue(ctx, slices.DeleteFunc(slices.Clone(requests), func(r reconcile.Request) bool {
		return r.Trigger == reconcile.TriggerSweep && r.Priority == reconcile.Leaver
	})...)
}
