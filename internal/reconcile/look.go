package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
)

// look is one look at one person: it reads the directory and visits each
// instance.
type look struct {
	*Engine
	work    Work
	started time.Time
	out     Outcome

	person plan.Person
	order  Order // zero Kind: nobody asked for anything
}

func (l *look) run(ctx context.Context) error {
	if err := l.read(ctx); err != nil {
		return err
	}
	known, err := l.Index.Agents(ctx, l.work.Person)
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	var errs []error
	for _, at := range l.Instances {
		if err := l.visit(at, known).run(ctx); err != nil {
			errs = append(errs, at.about(err))
		}
	}
	if err := together(errs); err != nil {
		return err
	}
	return l.fulfilled(ctx)
}

// visit begins a visit to an instance, with what the index knows there.
func (l *look) visit(at Site, known []Known) *visit {
	v := &visit{look: l, at: at}
	for _, k := range known {
		if k.Instance == at.Name {
			v.known = append(v.known, k)
		}
	}
	return v
}

// read fetches what is known of the person, apart from their agents.
func (l *look) read(ctx context.Context) error {
	var err error
	if l.order, err = l.pending(ctx, l.work.Person); err != nil {
		return err
	}
	if l.order.Kind == OrderRelease || l.order.Kind == OrderRestore {
		l.person = plan.Person{ID: l.work.Person} // it is of no matter, and the directory may be out of reach for good
		return nil
	}
	l.person, err = l.Directory.Person(ctx, l.work.Person)
	if errors.Is(err, ErrNotFound) {
		l.person = plan.Person{ID: l.work.Person, Status: plan.StatusGone}
	} else if err != nil {
		return fmt.Errorf("read the person: %w", err)
	}
	failpoint.Hit(failpoint.WorkPerson)
	return nil
}

// together makes one error of those of several instances. One that will go by
// itself hides one that will not: the next look finds that again.
func together(errs []error) error {
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	var wait time.Duration
	var waits, fails []error
	for _, err := range errs {
		d, after := AsAfter(err)
		switch {
		case errors.Is(err, context.Canceled) && !after:
			return err
		case after:
			if len(waits) == 0 || d < wait {
				wait = d
			}
			waits = append(waits, err)
		case !IsTerminal(err):
			fails = append(fails, err)
		}
	}
	switch {
	case len(fails) > 0:
		return errors.Join(fails...)
	case len(waits) > 0:
		return After(wait, errors.New(errors.Join(waits...).Error()))
	}
	return errors.Join(errs...)
}

// Waits of a visit.
const (
	// recheckProfile is how soon a person is looked at again whose persona names
	// a profile that the instance lacks: somebody may be about to add it.
	recheckProfile = 5 * time.Minute
	// recheckContact is how soon an agent is asked about again who has a contact.
	recheckContact = 30 * time.Second
)

// visit brings a person's agent in one instance in line.
type visit struct {
	*look
	at    Site
	known []Known

	catalog plan.Catalog
	intent  Intent       // zero Person: none is open
	making  bool         // the intent is of this very look
	agents  []plan.Agent // those that the index knows, and those that were found besides
	anew    bool         // the plan that is carried out was replaced by another one
}

func (v *visit) run(ctx context.Context) error {
	if err := v.prepare(ctx); err != nil {
		return err
	}
	if v.order.Kind == OrderRelease {
		return v.release(ctx)
	}
	if v.order.Kind == OrderRestore {
		return v.restore(ctx)
	}
	agents, hidden, err := v.find(ctx)
	if err != nil {
		return err
	}
	return v.decide(ctx, agents, hidden)
}

// prepare reads everything about the instance but who holds a username.
func (v *visit) prepare(ctx context.Context) error {
	var err error
	v.intent, err = v.Intents.Intent(ctx, v.work.Person, v.at.Name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read the intent: %w", err)
	}
	// A clock that went back must not make anything wait for what it skipped.
	if v.intent.Started.After(v.started) || v.intent.Taken.After(v.started) {
		v.intent.Started, v.intent.Taken = earlier(v.intent.Started, v.started), earlier(v.intent.Taken, v.started)
		if err := v.Intents.SaveIntent(ctx, v.intent); err != nil {
			return fmt.Errorf("save the intent: %w", err)
		}
	}
	if v.catalog, err = v.at.Instance.Catalog(ctx); err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	for _, k := range v.known {
		agent, err := v.describe(ctx, k)
		if err != nil {
			return err
		}
		if agent != nil {
			v.agents = append(v.agents, *agent)
		}
	}
	return v.readOwnerless(ctx)
}

// readOwnerless reads the agent without an owner that is to be released, or whose
// release was cut short.
func (v *visit) readOwnerless(ctx context.Context) error {
	id := ""
	if c := v.intent.Change; c != nil && c.Action == plan.Release {
		id = c.Agent
	} else if v.order.Ownerless {
		id = v.work.Person
	}
	if id == "" || slices.ContainsFunc(v.known, func(k Known) bool { return k.Agent == id }) {
		return nil
	}
	agent, err := v.at.Instance.Agent(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound): // it is in another instance, or gone
	case err != nil:
		return fmt.Errorf("read agent %s: %w", id, err)
	default:
		v.agents = append(v.agents, agent)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// describe reads an agent that the index names.
func (v *visit) describe(ctx context.Context, k Known) (*plan.Agent, error) {
	if k.Since.After(v.started) { // by a clock that went back since
		k.Since = v.started
		if err := v.Index.Remember(ctx, k); err != nil {
			return nil, fmt.Errorf("remember agent %s: %w", k.Agent, err)
		}
	}
	agent, err := v.at.Instance.Agent(ctx, k.Agent)
	switch {
	case err == nil:
		if v.ours(agent) {
			v.out.Agent = agent.ID
		}
		return &agent, nil
	case !errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("read agent %s: %w", k.Agent, err)
	case v.Now().Sub(k.Since) < v.Lag:
		return nil, After(time.Minute, fmt.Errorf("agent %s is new and not visible yet", k.Agent))
	}
	if err := v.Index.Forget(ctx, v.at.Name, k.Agent); err != nil {
		return nil, fmt.Errorf("forget agent %s, which is gone: %w", k.Agent, err)
	}
	return nil, nil
}

// plan decides for the person in this instance.
func (v *visit) plan(ctx context.Context, agents []plan.Agent, hidden []string) (plan.Plan, error) {
	w := plan.World{
		Instance: v.at.Name, Now: v.Now(), Catalog: v.catalog, People: []plan.Person{v.person}, Agents: agents, Hidden: hidden,
		Adopt: map[string]bool{v.work.Person: v.order.Kind == OrderAdopt},
	}
	var err error
	if w.Tombstones, err = v.buried(ctx, agents); err != nil {
		return plan.Plan{}, err
	}
	return plan.New(v.Settings, w), nil
}

// decide plans for the person and carries the plan out.
func (v *visit) decide(ctx context.Context, agents []plan.Agent, hidden []string) error {
	v.agents = agents // what was found besides must not be missing from a second plan
	p, err := v.plan(ctx, agents, hidden)
	if err == nil && v.reversed(p) {
		p, err = v.plan(ctx, v.claimed(agents), hidden)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.WorkPlanned)

	if err := v.settleIntent(ctx, p, agents); err != nil {
		return err
	}
	if err := v.withdraw(ctx, p); err != nil {
		return err
	}
	for _, change := range p.Changes {
		if err := v.apply(ctx, change); err != nil || v.anew {
			return err
		}
	}
	for _, refusal := range p.Refusals {
		if err := v.refuse(ctx, refusal); err != nil {
			return err
		}
	}
	if r := v.out.Refusal; r != nil && r.Code == plan.ProfileUnknown && len(p.Changes) == 0 {
		return After(recheckProfile, errors.New(r.Reason))
	}
	return nil
}

// decideAnew carries out another plan, since more is known than the first one
// rests on.
func (v *visit) decideAnew(ctx context.Context, agents ...plan.Agent) error {
	v.agents = append(v.agents, agents...)
	err := v.decide(ctx, v.agents, nil)
	v.anew = true
	return err
}

func (v *visit) ours(a plan.Agent) bool { return v.owns(a) && a.State != plan.StateRetired }

// owns counts the retired agents of the person in.
func (v *visit) owns(a plan.Agent) bool {
	return a.Owner == v.work.Person && a.Deployment == v.Settings.Deployment
}

// ownerless reports whether an agent is the one without an owner that the order is about.
func (v *visit) ownerless(a plan.Agent) bool {
	return v.order.Ownerless && a.ID == v.work.Person && a.Owner == "" && a.Deployment == v.Settings.Deployment
}
