package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"connectroster/internal/plan"
)

// lost is the journal's reason for an agent that was made by a call whose answer
// never came or was not stored.
const lost = "created by an earlier call that was cut short; found by its tags"

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
