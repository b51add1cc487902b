package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/plan"
)

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
