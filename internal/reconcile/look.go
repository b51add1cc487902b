package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
)

// recheckProfile is how soon a person is looked at again whose persona names a
// profile that the instance lacks: somebody may be about to add it.
const recheckProfile = 5 * time.Minute

// lost is the journal's reason for an agent that was made by a call whose answer
// never came or was not stored.
const lost = "created by an earlier call that was cut short; found by its tags"

// look is one look at one person.
type look struct {
	*Engine
	work    Work
	started time.Time
	out     Outcome

	person  plan.Person
	catalog plan.Catalog
	intent  Intent // zero Person: none is open
}

func (l *look) run(ctx context.Context) error {
	if err := l.read(ctx); err != nil {
		return err
	}
	agents, hidden, err := l.agents(ctx)
	if err != nil {
		return err
	}
	return l.decide(ctx, agents, hidden)
}

// read fetches everything but the agent.
func (l *look) read(ctx context.Context) error {
	var err error
	l.intent, err = l.Intents.Intent(ctx, l.work.Person)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read the intent: %w", err)
	}
	// A clock that went back must not make anything wait for what it skipped.
	if l.intent.Started.After(l.started) || l.intent.Taken.After(l.started) {
		l.intent.Started, l.intent.Taken = earlier(l.intent.Started, l.started), earlier(l.intent.Taken, l.started)
		if err := l.Intents.SaveIntent(ctx, l.intent); err != nil {
			return fmt.Errorf("save the intent: %w", err)
		}
	}
	l.person, err = l.Directory.Person(ctx, l.work.Person)
	if errors.Is(err, ErrNotFound) {
		l.person = plan.Person{ID: l.work.Person, Status: plan.StatusGone}
	} else if err != nil {
		return fmt.Errorf("read the person: %w", err)
	}
	failpoint.Hit(failpoint.WorkPerson)
	if l.catalog, err = l.Instance.Catalog(ctx); err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	return nil
}

// agents gives what Amazon Connect has for the person: the agent that the index
// knows, or the one that an open intent may have made. hidden is the username
// that is taken by nobody who can be seen.
func (l *look) agents(ctx context.Context) (agents []plan.Agent, hidden []string, err error) {
	known, err := l.known(ctx)
	if err != nil {
		return nil, nil, err
	}
	if known != nil && (l.ours(*known) || l.intent.Person == "") {
		return []plan.Agent{*known}, nil, nil
	}
	if l.intent.Person == "" {
		return nil, nil, nil
	}
	// An agent that lost our tags since does not answer for the intent.
	agents, hidden, err = l.resolve(ctx)
	if known != nil && err == nil {
		agents = append(agents, *known)
	}
	return agents, hidden, err
}

// known reads the agent that the index names.
func (l *look) known(ctx context.Context) (*plan.Agent, error) {
	entry, err := l.Index.Agent(ctx, l.work.Person)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	if entry.Since.After(l.started) { // by a clock that went back since
		entry.Since = l.started
		if err := l.Index.Remember(ctx, entry); err != nil {
			return nil, fmt.Errorf("remember agent %s: %w", entry.Agent, err)
		}
	}
	agent, err := l.Instance.Agent(ctx, entry.Agent)
	switch {
	case err == nil:
		l.out.Agent = agent.ID
		return &agent, nil
	case !errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("read agent %s: %w", entry.Agent, err)
	case l.Now().Sub(entry.Since) < l.Lag:
		return nil, After(time.Minute, fmt.Errorf("agent %s is new and not visible yet", entry.Agent))
	}
	if err := l.Index.Forget(ctx, l.work.Person); err != nil {
		return nil, fmt.Errorf("forget agent %s, which is gone: %w", entry.Agent, err)
	}
	return nil, nil
}

// wants reports whether the plan would create an agent of that username, were
// there none.
func (l *look) wants(username string) bool {
	p := plan.New(l.Settings, plan.World{Catalog: l.catalog, People: []plan.Person{l.person}})
	return len(p.Changes) == 1 && plan.Fold(p.Changes[0].After.Username) == plan.Fold(username)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// resolve finds out what became of an open intent. It only looks: creating is
// the plan's business, once looking has found nothing often enough.
func (l *look) resolve(ctx context.Context) (agents []plan.Agent, hidden []string, err error) {
	if l.intent.Taken.IsZero() {
		due, again := l.lookAgain()
		if !again {
			return nil, nil, nil
		}
		if wait := due.Sub(l.Now()); wait > 0 {
			return nil, nil, After(wait, errors.New("the answer to a creation was lost; looking for the agent soon"))
		}
	}
	holder, err := l.holder(ctx, l.intent.Username)
	if err == nil {
		return []plan.Agent{holder}, nil, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, nil, fmt.Errorf("look for the agent of an open intent: %w", err)
	}

	l.intent.Looks++
	if !l.intent.Taken.IsZero() {
		if l.Now().Sub(l.intent.Taken) >= l.Lag {
			return nil, []string{l.intent.Username}, nil
		}
		if err := l.Intents.SaveIntent(ctx, l.intent); err != nil {
			return nil, nil, fmt.Errorf("save the intent: %w", err)
		}
		return nil, nil, l.unseen()
	}
	if err := l.Intents.SaveIntent(ctx, l.intent); err != nil {
		return nil, nil, fmt.Errorf("save the intent: %w", err)
	}
	if due, again := l.lookAgain(); again {
		return nil, nil, After(max(due.Sub(l.Now()), 0), errors.New("the answer to a creation was lost and the agent is not visible yet"))
	}
	return nil, nil, nil
}

// holder gives the agent that has a username, as it is now: a search that lags
// shows agents that are gone, or have another name by now.
func (l *look) holder(ctx context.Context, username string) (plan.Agent, error) {
	shown, err := l.Instance.Holder(ctx, username)
	if err != nil {
		return plan.Agent{}, err
	}
	agent, err := l.Instance.Agent(ctx, shown.ID)
	if err == nil && plan.Fold(agent.Username) != plan.Fold(username) {
		err = ErrNotFound
	}
	return agent, err
}

// lookAgain tells when to look for the agent of an open intent next, if at all.
// Calling once more is safe under the same username, which Amazon Connect gives
// once. Somebody who has another username by now, or is to have no agent, could
// get a second one later, so for them it looks on until no search can lag.
func (l *look) lookAgain() (due time.Time, again bool) {
	n := l.intent.Looks
	if n < len(l.Looks) {
		return l.intent.Started.Add(l.Looks[n]), true
	}
	end := l.intent.Started.Add(l.Lag)
	if l.wants(l.intent.Username) || !l.Now().Before(end) {
		return time.Time{}, false
	}
	due = l.intent.Started.Add(l.Looks[len(l.Looks)-1] + time.Duration(n-len(l.Looks)+1)*time.Minute)
	if due.After(end) {
		due = end
	}
	return due, true
}

// unseen waits for the search index to show who has a username.
func (l *look) unseen() error {
	wait := l.Looks[min(l.intent.Looks, len(l.Looks)-1)]
	return After(wait, errors.New("the username is taken, but Amazon Connect does not show by whom yet"))
}

// decide plans for the person and carries the plan out.
func (l *look) decide(ctx context.Context, agents []plan.Agent, hidden []string) error {
	p := plan.New(l.Settings, plan.World{Catalog: l.catalog, People: []plan.Person{l.person}, Agents: agents, Hidden: hidden})
	failpoint.Hit(failpoint.WorkPlanned)

	for _, change := range p.Changes {
		if err := l.apply(ctx, change); err != nil {
			return err
		}
	}
	if len(p.Changes) == 0 {
		// First, so that the journal tells of a creation before what came after it.
		if err := l.close(ctx, agents); err != nil {
			return err
		}
	}
	for _, refusal := range p.Refusals {
		if err := l.refuse(ctx, refusal); err != nil {
			return err
		}
	}
	if len(p.Changes) > 0 {
		return nil
	}
	return l.settled()
}

// close ends an intent that left nothing to do: either it made the agent that
// was found, or the plan does not want one any more.
func (l *look) close(ctx context.Context, agents []plan.Agent) error {
	if l.intent.Person == "" {
		return nil
	}
	for _, agent := range agents {
		if l.ours(agent) {
			return l.created(ctx, agent, lost)
		}
	}
	if err := l.Intents.DropIntent(ctx, l.work.Person); err != nil {
		return fmt.Errorf("close the intent: %w", err)
	}
	return nil
}

// settled gives the error with which a look without a change ends.
func (l *look) settled() error {
	if r := l.out.Refusal; r != nil && r.Code == plan.ProfileUnknown {
		return After(recheckProfile, errors.New(r.Reason))
	}
	return nil
}

func (l *look) ours(a plan.Agent) bool {
	return a.Owner == l.work.Person && a.Deployment == l.Settings.Deployment && a.State != plan.StateRetired
}

// apply makes one change. The intent is durable before the call.
func (l *look) apply(ctx context.Context, change plan.Change) error {
	before := l.intent
	l.intent = Intent{Person: change.Person, Username: change.After.Username, Started: l.Now(), Creates: before.Creates + 1}
	if err := l.Intents.SaveIntent(ctx, l.intent); err != nil {
		return fmt.Errorf("save the intent: %w", err)
	}
	failpoint.Hit(failpoint.WorkIntended)
	id, err := l.Instance.Apply(ctx, change)
	failpoint.Hit(failpoint.WorkApplied)

	if errors.Is(err, ErrTaken) {
		return l.taken(ctx, change)
	}
	// What was answered is stored even when the program is told to stop meanwhile.
	stopped := errors.Is(context.Cause(ctx), context.Canceled)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err == nil {
		agent := *change.After
		agent.ID = id
		return l.created(ctx, agent, change.Reason)
	}
	err = fmt.Errorf("%s agent: %w", change.Action, err)
	_, waits := AsAfter(err)
	switch {
	case IsTerminal(err):
		return l.givenUp(ctx, change, before, err)
	case waits:
		return l.undone(ctx, before, err)
	case stopped:
		return context.Canceled
	case l.intent.Creates >= l.Attempts:
		return Terminal(fmt.Errorf("the answer was lost %d times: %w", l.intent.Creates, err))
	}
	return After(l.Looks[0], fmt.Errorf("the answer was lost, the agent may exist: %w", err))
}

// created makes a new agent known and records it. Whatever is cut short is
// repeated by the next look, since the intent goes last.
func (l *look) created(ctx context.Context, agent plan.Agent, reason string) error {
	l.out.Agent, l.out.Action = agent.ID, plan.Create
	if err := l.Index.Remember(ctx, Known{Owner: l.work.Person, Agent: agent.ID, Since: l.Now()}); err != nil {
		return fmt.Errorf("remember agent %s: %w", agent.ID, err)
	}
	failpoint.Hit(failpoint.WorkIndexed)
	entry := Entry{Kind: EntryChange, Action: plan.Create, Agent: agent.ID, Reason: reason, After: &agent}
	if err := l.record(ctx, entry); err != nil {
		return err
	}
	failpoint.Hit(failpoint.WorkJournalled)
	if err := l.Intents.DropIntent(ctx, l.work.Person); err != nil {
		return fmt.Errorf("close the intent: %w", err)
	}
	return nil
}

// taken finds out who has the username that Amazon Connect calls taken.
func (l *look) taken(ctx context.Context, change plan.Change) error {
	again := l.intent.Creates > 1
	l.intent.Taken = l.Now()
	if err := l.Intents.SaveIntent(ctx, l.intent); err != nil {
		return fmt.Errorf("save the intent: %w", err)
	}
	holder, err := l.holder(ctx, change.After.Username)
	switch {
	case errors.Is(err, ErrNotFound):
		return l.unseen()
	case err != nil:
		return fmt.Errorf("look for the agent that has the username: %w", err)
	case l.ours(holder) && again:
		return l.created(ctx, holder, lost)
	case l.ours(holder):
		return l.found(ctx, holder)
	}
	return l.decide(ctx, []plan.Agent{holder}, nil)
}

// found makes an agent known that was ours all along, though the index did not
// know it.
func (l *look) found(ctx context.Context, agent plan.Agent) error {
	l.out.Agent = agent.ID
	if err := l.Index.Remember(ctx, Known{Owner: l.work.Person, Agent: agent.ID}); err != nil {
		return fmt.Errorf("remember agent %s: %w", agent.ID, err)
	}
	if err := l.Intents.DropIntent(ctx, l.work.Person); err != nil {
		return fmt.Errorf("close the intent: %w", err)
	}
	return nil
}

// undone puts the intent back to what it was before a call that did nothing.
func (l *look) undone(ctx context.Context, before Intent, cause error) error {
	err := l.Intents.DropIntent(ctx, l.work.Person)
	if before.Person != "" {
		err = l.Intents.SaveIntent(ctx, before)
	}
	if err != nil {
		return fmt.Errorf("put the intent back: %w", err)
	}
	return cause
}

// givenUp records a change that no further attempt can make.
func (l *look) givenUp(ctx context.Context, change plan.Change, before Intent, cause error) error {
	entry := Entry{Kind: EntryFailure, Action: change.Action, Reason: change.Reason, Error: cause.Error(), Before: change.Before, After: change.After}
	if err := l.record(ctx, entry); err != nil {
		return err
	}
	return l.undone(ctx, before, cause) // an earlier call may still have made the agent
}

// refuse records a refusal. That somebody who has no agent is to have none is no
// news, unless the journal has told otherwise before: events name many people
// who have nothing to do with the contact centre.
func (l *look) refuse(ctx context.Context, refusal plan.Refusal) error {
	l.out.Refusal = &refusal
	if refusal.Code == plan.NotEntitled && refusal.Agent == "" {
		last, err := l.Journal.Recent(ctx, Query{Person: l.work.Person, Limit: 1})
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		if len(last) == 0 {
			return nil
		}
	}
	return l.record(ctx, Entry{Kind: EntryRefusal, Code: refusal.Code, Agent: refusal.Agent, Reason: refusal.Reason})
}

// record appends to the journal, unless the person's newest entry says the same
// already: a refusal that still holds, or a change whose look was cut short
// after the entry.
func (l *look) record(ctx context.Context, entry Entry) error {
	entry.Time, entry.Person, entry.Trigger, entry.Event = l.Now(), l.work.Person, l.work.Trigger, l.work.Event
	entry.Duration = l.Now().Sub(l.started)
	last, err := l.Journal.Recent(ctx, Query{Person: l.work.Person, Limit: 1})
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if len(last) > 0 && last[0].repeats(entry) {
		return nil
	}
	if err := l.Journal.Record(ctx, entry); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// repeats reports whether the newest entry of a person already says what
// another one would.
func (e Entry) repeats(other Entry) bool {
	if e.Kind != other.Kind || e.Action != other.Action || e.Agent != other.Agent || e.Code != other.Code || e.Error != other.Error {
		return false
	}
	return e.Kind == EntryChange || e.Reason == other.Reason
}
