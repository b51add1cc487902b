package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// apply makes one change, if it may go now. The intent is durable before the
// first call.
func (v *visit) apply(ctx context.Context, change plan.Change) error {
	whole := change
	change, wait, err := v.quiet(ctx, whole)
	if err != nil || wait != nil && len(change.Fields) == 0 {
		return errors.Join(err, wait)
	}
	if KindOf(change) == "" {
		whole = change // what waits for the end of a contact is asked about then
	}
	hold, goes, err := v.gate(ctx, whole)
	if err != nil || !goes {
		return err
	}
	if wait != nil && KindOf(whole) != "" {
		if err := v.carry(ctx, change); err != nil {
			return err
		}
	}
	if err := v.remember(ctx, change); err != nil {
		return err
	}
	if err := v.make(ctx, v.resumed(change), hold); err != nil {
		return err
	}
	if change.Action == plan.Adopt { // now that it is ours, the rules have a say
		v.agents = slices.DeleteFunc(v.agents, func(a plan.Agent) bool { return a.ID == change.Agent })
		return v.decideAnew(ctx, *change.After)
	}
	return wait
}

// make makes a change that may go.
func (v *visit) make(ctx context.Context, change plan.Change, hold string) error {
	before := v.intent
	v.making = true
	v.intent = Intent{Person: change.Person, Instance: v.at.Name, Change: &change, Started: v.Now()}
	if change.Action == plan.Create || change.Action == plan.Replace {
		v.intent.Username, v.intent.Creates = change.After.Username, before.Creates+1
	}
	if err := v.Intents.SaveIntent(ctx, v.intent); err != nil {
		return fmt.Errorf("save the intent: %w", err)
	}
	failpoint.Hit(failpoint.WorkIntended)
	id, err := v.at.Instance.Apply(ctx, change)
	failpoint.Hit(failpoint.WorkApplied)

	if errors.Is(err, ErrTaken) && v.intent.Making() {
		return v.taken(ctx, change)
	}
	// What was answered is stored even when the program is told to stop meanwhile.
	stopped := errors.Is(context.Cause(ctx), context.Canceled)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch {
	case err != nil:
		return v.failed(ctx, change, before, stopped, fmt.Errorf("%s agent: %w", change.Action, err))
	case v.intent.Making():
		agent := *change.After
		agent.ID = id
		return v.created(ctx, change, agent, hold, change.Reason)
	}
	return v.done(ctx, change, hold, change.Reason)
}

// resumed gives the change that was cut short in the place of what is left of it,
// since only its intent knows what was before, and why. In the creation that is
// left of a replacement, it knows what the floor chose for the old agent, as long as
// that one is the person's.
func (v *visit) resumed(change plan.Change) plan.Change {
	old := v.intent.Change
	if old == nil || !v.repeated(change) {
		return change
	}
	if v.intent.Making() {
		still := func(a plan.Agent) bool { return a.ID == old.Agent && v.owns(a) }
		if change.Action == plan.Create && old.Action == plan.Replace && slices.ContainsFunc(v.agents, still) {
			return *old
		}
		return change
	}
	if change.Before != nil && old.Before != nil {
		change.Before, change.Reason = old.Before, old.Reason
		for _, f := range old.Fields {
			if !slices.Contains(change.Fields, f) {
				change.Fields = append(change.Fields, f)
			}
		}
	}
	return change
}

// failed decides what becomes of the intent of a change that was not made, or
// maybe was.
func (v *visit) failed(ctx context.Context, change plan.Change, before Intent, stopped bool, err error) error {
	_, waits := AsAfter(err)
	switch {
	case IsTerminal(err):
		return v.givenUp(ctx, change, before, err)
	case waits && change.Action == plan.Create:
		return v.undone(ctx, before, err)
	case waits && v.intent.Making():
		v.intent.Creates = before.Creates // it was put off, not lost
		if save := v.Intents.SaveIntent(ctx, v.intent); save != nil {
			return fmt.Errorf("save the intent: %w", save)
		}
		return err
	case waits:
		return err
	case stopped:
		return context.Canceled
	case !v.intent.Making():
		return err
	case v.intent.Creates >= v.Attempts:
		return Terminal(fmt.Errorf("the answer was lost %d times: %w", v.intent.Creates, err))
	}
	return After(v.Looks[0], fmt.Errorf("the answer was lost, the agent may exist: %w", err))
}

// remember keeps an agent as it is before it is parked for the first time. What is
// remembered of one in use is left from a suspension that came to nothing.
func (v *visit) remember(ctx context.Context, change plan.Change) error {
	parks := change.Action == plan.Suspend || change.Action == plan.Replace
	if !parks || change.Before == nil || change.Before.State == plan.StateSuspended || change.Before.State == plan.StateRetired {
		return nil
	}
	// One that is there is of an earlier suspension, whose end was cut short.
	if err := v.Tombstones.DropTombstone(ctx, change.Agent); err != nil {
		return fmt.Errorf("forget what agent %s was before an earlier suspension: %w", change.Agent, err)
	}
	t := Tombstone{Instance: v.at.Name, Person: v.work.Person, Agent: *change.Before, Taken: v.Now()}
	if err := v.Tombstones.SaveTombstone(ctx, t); err != nil {
		return fmt.Errorf("remember agent %s before it is parked: %w", change.Agent, err)
	}
	failpoint.Hit(failpoint.WorkRemembered)
	return nil
}

// buried gives the agents of this deployment that are suspended, as they were
// before.
func (e *Engine) buried(ctx context.Context, agents []plan.Agent) (map[string]plan.Agent, error) {
	var parked []string
	for _, a := range agents {
		if a.Deployment == e.Settings.Deployment && a.State == plan.StateSuspended {
			parked = append(parked, a.ID)
		}
	}
	if len(parked) == 0 {
		return nil, nil
	}
	found, err := e.Tombstones.Tombstones(ctx, parked...)
	if err != nil {
		return nil, fmt.Errorf("read what suspended agents were before: %w", err)
	}
	out := map[string]plan.Agent{}
	for id, t := range found {
		out[id] = t.Agent
	}
	return out, nil
}

// created makes a new agent known and records it. Whatever is cut short is
// repeated by the next look, since the intent goes last.
func (v *visit) created(ctx context.Context, change plan.Change, agent plan.Agent, hold, reason string) error {
	v.made(change.Action, agent.ID)
	known := []Known{{Instance: v.at.Name, Owner: v.work.Person, Agent: agent.ID, Since: v.Now(), Group: agent.Group}}
	if change.Action == plan.Replace {
		known = append(known, Known{Instance: v.at.Name, Owner: v.work.Person, Agent: change.Agent, Since: v.entry(change.Agent).Since, Retired: true})
	}
	if err := v.Index.Remember(ctx, known...); err != nil {
		return fmt.Errorf("remember agent %s: %w", agent.ID, err)
	}
	failpoint.Hit(failpoint.WorkIndexed)
	by, err := v.approver(ctx, hold, change.Agent)
	if err != nil {
		return err
	}
	entry := Entry{Kind: EntryChange, Action: change.Action, Agent: agent.ID, Reason: reason, By: by, Hold: hold, Before: change.Before, After: &agent}
	if _, err := v.record(ctx, entry); err != nil {
		return err
	}
	failpoint.Hit(failpoint.WorkJournalled)
	return v.drop(ctx)
}

// done records a change of an agent that exists, and brings what is kept about
// it up to date.
func (v *visit) done(ctx context.Context, change plan.Change, hold, reason string) error {
	v.made(change.Action, change.Agent)
	var err error
	switch change.Action {
	case plan.Delete, plan.Release:
		v.out.Agent = ""
		err = v.Index.Forget(ctx, v.at.Name, change.Agent)
	default:
		err = v.Index.Remember(ctx, Known{
			Instance: v.at.Name, Owner: v.work.Person, Agent: change.Agent, Since: v.entry(change.Agent).Since,
			Retired: change.After.State == plan.StateRetired, Group: change.After.Group,
		})
	}
	if err != nil {
		return fmt.Errorf("remember agent %s: %w", change.Agent, err)
	}
	failpoint.Hit(failpoint.WorkIndexed)
	by, err := v.approver(ctx, hold, change.Agent)
	if err != nil {
		return err
	}
	entry := Entry{
		Kind: EntryChange, Action: change.Action, Agent: change.Agent, Fields: change.Fields, Reason: reason,
		Before: change.Before, After: change.After, By: cmp.Or(v.order.By, by), Hold: hold,
	}
	if _, err := v.record(ctx, entry); err != nil {
		return err
	}
	failpoint.Hit(failpoint.WorkJournalled)
	if change.Action == plan.Resume || change.Action == plan.Delete || change.Action == plan.Release {
		if err := v.Tombstones.DropTombstone(ctx, change.Agent); err != nil {
			return fmt.Errorf("forget what agent %s was before: %w", change.Agent, err)
		}
	}
	if change.Action == plan.Resume {
		if err := v.forgo(ctx); err != nil {
			return err
		}
	}
	return v.drop(ctx)
}

func (v *visit) made(action plan.Action, agent string) {
	v.out.Agent, v.out.Action = agent, action
	v.out.Actions = append(v.out.Actions, action)
}

// taken finds out who has the username that Amazon Connect calls taken.
func (v *visit) taken(ctx context.Context, change plan.Change) error {
	again := v.intent.Creates > 1
	v.intent.Taken = v.Now()
	if err := v.Intents.SaveIntent(ctx, v.intent); err != nil {
		return fmt.Errorf("save the intent: %w", err)
	}
	holder, err := v.holder(ctx, change.After.Username)
	switch {
	case errors.Is(err, ErrNotFound):
		return v.unseen()
	case err != nil:
		return fmt.Errorf("look for the agent that has the username: %w", err)
	case v.ours(holder) && (again || change.Action == plan.Replace):
		return v.created(ctx, change, holder, "", lost)
	case v.ours(holder):
		return v.found(ctx, holder)
	}
	if change.Action == plan.Replace { // the old agent is retired by now
		if err := v.reread(ctx, change.Agent); err != nil {
			return err
		}
	}
	return v.decideAnew(ctx, holder)
}

// reread puts an agent as it is now in the place of what the look read of it.
func (v *visit) reread(ctx context.Context, agent string) error {
	now, err := v.at.Instance.Agent(ctx, agent)
	if err != nil {
		return fmt.Errorf("read agent %s: %w", agent, err)
	}
	for i := range v.agents {
		if v.agents[i].ID == agent {
			v.agents[i] = now
		}
	}
	return nil
}

// found makes an agent known that was ours all along, though the index did not
// know it, and looks at it like at any other.
func (v *visit) found(ctx context.Context, agent plan.Agent) error {
	v.out.Agent = agent.ID
	if err := v.Index.Remember(ctx, Known{Instance: v.at.Name, Owner: v.work.Person, Agent: agent.ID, Group: agent.Group}); err != nil {
		return fmt.Errorf("remember agent %s: %w", agent.ID, err)
	}
	if err := v.drop(ctx); err != nil {
		return err
	}
	return v.decideAnew(ctx, agent)
}

// undone puts the intent back to what it was before a call that did nothing.
func (v *visit) undone(ctx context.Context, before Intent, cause error) error {
	err := v.Intents.DropIntent(ctx, v.work.Person, v.at.Name)
	if before.Person != "" {
		err = v.Intents.SaveIntent(ctx, before)
	}
	if err != nil {
		return fmt.Errorf("put the intent back: %w", err)
	}
	return cause
}

// givenUp records a change that no further attempt can make.
func (v *visit) givenUp(ctx context.Context, change plan.Change, before Intent, cause error) error {
	entry := Entry{Kind: EntryFailure, Action: change.Action, Agent: change.Agent, Fields: change.Fields, Code: plan.Code(remedy.CodeOf(cause)), Reason: change.Reason, Error: cause.Error(), Before: change.Before, After: change.After}
	if _, err := v.record(ctx, entry); err != nil {
		return err
	}
	return v.undone(ctx, before, cause) // an earlier call may still have made the agent
}
