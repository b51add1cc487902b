package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// lost is the journal's reason for an agent that was made by a call whose answer
// never came or was not stored.
const lost = "created by an earlier call that was cut short; found by its tags"

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

// find gives what Amazon Connect has for the person: the agents that the index
// knows, and the one that an open intent may have made. hidden is the username
// that is taken by nobody who can be seen.
func (v *visit) find(ctx context.Context) (agents []plan.Agent, hidden []string, err error) {
	if v.order.Kind == OrderAdopt && !v.intent.Making() && !slices.ContainsFunc(v.agents, v.ours) && v.person.Username != "" {
		holder, err := v.holder(ctx, v.person.Username)
		if err == nil {
			return append(v.agents, holder), nil, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, nil, fmt.Errorf("look for the agent to adopt: %w", err)
		}
	}
	if !v.intent.Making() || slices.ContainsFunc(v.agents, v.answers) {
		return v.agents, nil, nil
	}
	// An agent that lost our tags since does not answer for the intent.
	more, hidden, err := v.resolve(ctx)
	return append(more, v.agents...), hidden, err
}

// answers reports whether an agent is the one that the open intent was to make.
func (v *visit) answers(a plan.Agent) bool {
	return v.ours(a) && plan.Fold(a.Username) == plan.Fold(v.intent.Username)
}

// wants reports whether the plan would make an agent of that username, were
// there none.
func (v *visit) wants(username string) bool {
	p := plan.New(v.Settings, plan.World{Instance: v.at.Name, Now: v.Now(), Catalog: v.catalog, People: []plan.Person{v.person}})
	return len(p.Changes) == 1 && plan.Fold(p.Changes[0].After.Username) == plan.Fold(username)
}

// resolve finds out what became of an open intent. It only looks: creating is
// the plan's business, once looking has found nothing often enough.
func (v *visit) resolve(ctx context.Context) (agents []plan.Agent, hidden []string, err error) {
	if v.intent.Taken.IsZero() {
		due, again := v.lookAgain()
		if !again && v.callsAgain() {
			return nil, nil, nil
		}
		if wait := due.Sub(v.Now()); again && wait > 0 {
			return nil, nil, After(wait, errors.New("the answer to a creation was lost; looking for the agent soon"))
		}
	}
	holder, err := v.holder(ctx, v.intent.Username)
	if err == nil {
		return []plan.Agent{holder}, nil, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, nil, fmt.Errorf("look for the agent of an open intent: %w", err)
	}

	v.intent.Looks++
	if !v.intent.Taken.IsZero() {
		if v.Now().Sub(v.intent.Taken) >= v.Lag {
			return nil, []string{v.intent.Username}, nil
		}
		if err := v.Intents.SaveIntent(ctx, v.intent); err != nil {
			return nil, nil, fmt.Errorf("save the intent: %w", err)
		}
		return nil, nil, v.unseen()
	}
	if err := v.Intents.SaveIntent(ctx, v.intent); err != nil {
		return nil, nil, fmt.Errorf("save the intent: %w", err)
	}
	if due, again := v.lookAgain(); again {
		return nil, nil, After(max(due.Sub(v.Now()), 0), errors.New("the answer to a creation was lost and the agent is not visible yet"))
	}
	return nil, nil, nil
}

// holder gives the agent that has a username, as it is now: a search that lags
// shows agents that are gone, or have another name by now.
func (v *visit) holder(ctx context.Context, username string) (plan.Agent, error) {
	shown, err := v.at.Instance.Holder(ctx, username)
	if err != nil {
		return plan.Agent{}, err
	}
	agent, err := v.at.Instance.Agent(ctx, shown.ID)
	if err == nil && plan.Fold(agent.Username) != plan.Fold(username) {
		err = ErrNotFound
	}
	return agent, err
}

// lookAgain tells when to look for the agent of an open intent next, if at all.
// Calling once more is safe under the same username, which Amazon Connect gives
// once. Somebody who has another username by now, or is to have no agent, could
// get a second one later, and an order does not call, so then it looks on until no
// search can lag, and a last time after that.
func (v *visit) lookAgain() (due time.Time, again bool) {
	n := v.intent.Looks
	if n < len(v.Looks) {
		return v.intent.Started.Add(v.Looks[n]), true
	}
	end := v.intent.Started.Add(v.Lag)
	if v.callsAgain() || !v.Now().Before(end) {
		return time.Time{}, false
	}
	due = v.intent.Started.Add(v.Looks[len(v.Looks)-1] + time.Duration(n-len(v.Looks)+1)*time.Minute)
	if due.After(end) {
		due = end
	}
	return due, true
}

// callsAgain reports whether the change that the open intent is about will be called
// once more, so that its answer tells what became of the first call.
func (v *visit) callsAgain() bool {
	return v.order.Kind != OrderRelease && v.order.Kind != OrderRestore && v.wants(v.intent.Username)
}

// unseen waits for the search index to show who has a username.
func (v *visit) unseen() error {
	wait := v.Looks[min(v.intent.Looks, len(v.Looks)-1)]
	return After(wait, errors.New("the username is taken, but Amazon Connect does not show by whom yet"))
}

// reversed reports whether a change of an agent was cut short, and the rules say
// something else of it by now.
func (v *visit) reversed(p plan.Plan) bool {
	cut := v.intent.Change
	if cut == nil || v.intent.Making() || cut.After == nil {
		return false
	}
	return !slices.ContainsFunc(p.Changes, func(c plan.Change) bool {
		return c.Agent == cut.Agent && c.After != nil && maps.Equal(c.After.Answers, cut.After.Answers)
	})
}

// claimed gives the agents with what a change that was cut short has written of
// them for our own doing, so that it is not taken for the floor's choice.
func (v *visit) claimed(agents []plan.Agent) []plan.Agent {
	out := slices.Clone(agents)
	for i, a := range out {
		if v.ours(a) {
			out[i] = v.intent.Change.Claim(a)
		}
	}
	return out
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

// settleIntent ends an open intent whose change the plan does not make again. It
// goes first, so that the journal tells of a change before what came after it.
func (v *visit) settleIntent(ctx context.Context, p plan.Plan, agents []plan.Agent) error {
	if v.intent.Person == "" {
		return nil
	}
	made := slices.IndexFunc(agents, v.answers)
	switch {
	case v.intent.Making() && made >= 0:
		intended := v.intendedAs(agents[made])
		hold, err := v.approvedIn(ctx, intended)
		if err != nil {
			return err
		}
		return v.created(ctx, intended, agents[made], hold, lost)
	case slices.ContainsFunc(p.Changes, v.repeated):
		return nil // it is made once more, or for the first time
	case v.intent.Making():
		if err := v.retired(ctx, agents); err != nil {
			return err
		}
		return v.drop(ctx)
	}
	change := v.intent.Change
	found := slices.IndexFunc(agents, func(a plan.Agent) bool { return a.ID == change.Agent })
	var agent *plan.Agent
	if found >= 0 {
		agent = &agents[found]
	}
	if change.Done(agent) {
		hold, err := v.approvedIn(ctx, *change)
		if err != nil {
			return err
		}
		return v.done(ctx, *change, hold, change.Reason+"; the answer was lost")
	}
	return v.drop(ctx)
}

// retired records that the open intent, which replaces an agent, got as far as to
// retire the old one and no farther.
func (v *visit) retired(ctx context.Context, agents []plan.Agent) error {
	c := v.intent.Change
	if c == nil || c.Action != plan.Replace {
		return nil
	}
	at := slices.IndexFunc(agents, func(a plan.Agent) bool { return a.ID == c.Agent })
	if at < 0 || !v.owns(agents[at]) || agents[at].State != plan.StateRetired {
		return nil
	}
	known := Known{Instance: v.at.Name, Owner: v.work.Person, Agent: c.Agent, Since: v.entry(c.Agent).Since, Retired: true, Group: agents[at].Group}
	if err := v.Index.Remember(ctx, known); err != nil {
		return fmt.Errorf("remember agent %s: %w", c.Agent, err)
	}
	v.making = false // a look that was cut short may have said so
	_, err := v.record(ctx, Entry{
		Kind: EntryChange, Action: plan.Suspend, Agent: c.Agent, Reason: c.Reason + "; the agent was retired, and the new one could not be made",
		Before: c.Before, After: c.Parked,
	})
	return err
}

// repeated reports whether a change does what the open intent was about.
func (v *visit) repeated(c plan.Change) bool {
	if v.intent.Making() {
		return (c.Action == plan.Create || c.Action == plan.Replace) && plan.Fold(c.After.Username) == plan.Fold(v.intent.Username)
	}
	return c.Action == v.intent.Change.Action && c.Agent == v.intent.Change.Agent
}

// intendedAs is the change by which an agent was made that an intent tells of.
func (v *visit) intendedAs(made plan.Agent) plan.Change {
	if c := v.intent.Change; c != nil {
		return *c
	}
	return plan.Change{Action: plan.Create, Instance: v.at.Name, Person: v.work.Person, After: &made}
}

func (v *visit) drop(ctx context.Context) error {
	if err := v.Intents.DropIntent(ctx, v.work.Person, v.at.Name); err != nil {
		return fmt.Errorf("close the intent: %w", err)
	}
	v.intent = Intent{}
	return nil
}

func (v *visit) ours(a plan.Agent) bool { return v.owns(a) && a.State != plan.StateRetired }

// owns counts the retired agents of the person in.
func (v *visit) owns(a plan.Agent) bool {
	return a.Owner == v.work.Person && a.Deployment == v.Settings.Deployment
}

// refuse records a refusal. That somebody who has no agent is to have none is no
// news, unless the journal has told otherwise before: events name many people
// who have nothing to do with the contact centre.
func (v *visit) refuse(ctx context.Context, refusal plan.Refusal) error {
	v.out.Refusal = &refusal
	if refusal.Agent == "" && (refusal.Code == plan.NotEntitled || refusal.Code == plan.Exempt) {
		last, err := v.Journal.Recent(ctx, Query{Person: v.work.Person, Limit: 1})
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		if len(last) == 0 {
			return nil
		}
	}
	_, err := v.record(ctx, Entry{Kind: EntryRefusal, Code: refusal.Code, Agent: refusal.Agent, Reason: refusal.Reason})
	return err
}

// recent is how far back in a person's journal record looks for what it is about
// to say: a person has a few standing refusals at most.
const recent = 12

// record appends to the journal, unless it says the same of that agent already:
// a refusal that still holds, or a change whose look was cut short after the
// entry. It reports whether it is news.
func (v *visit) record(ctx context.Context, entry Entry) (news bool, err error) {
	entry.Time, entry.Person, entry.Instance = v.Now(), v.work.Person, v.at.Name
	entry.Trigger, entry.Event = v.work.Trigger, v.work.Event
	entry.Duration = v.Now().Sub(v.started)
	last, err := v.Journal.Recent(ctx, Query{Person: v.work.Person, Limit: recent})
	if err != nil {
		return false, fmt.Errorf("read the journal: %w", err)
	}
	for _, e := range last {
		switch {
		case e.Instance != entry.Instance:
			continue
		case e.Kind == entry.Kind && e.Agent == entry.Agent:
			if v.repeats(e, entry) {
				return false, nil
			}
		case e.Kind != EntryChange:
			continue
		}
		break // what was said before a change is not said any more
	}
	if err := v.Journal.Record(ctx, entry); err != nil {
		return false, fmt.Errorf("write the journal: %w", err)
	}
	return true, nil
}

// repeats reports whether an entry already says what another one would. That
// the same change was made twice is news, unless it was by the same intent.
func (v *visit) repeats(e, other Entry) bool {
	if e.Action != other.Action || e.Code != other.Code || e.Error != other.Error {
		return false
	}
	if e.Kind == EntryChange {
		return !v.making && !e.Time.Before(v.intent.Started.Truncate(time.Microsecond))
	}
	return e.Reason == other.Reason && e.Hold == other.Hold
}
