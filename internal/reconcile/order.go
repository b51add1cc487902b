package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/plan"
)

// Order is something that a person asked for about another person's agents. It
// is kept until a look has carried it out.
type Order struct {
	Kind OrderKind `json:"kind"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`

	// Ownerless says that the order is about an agent, whose UserId stands for the
	// person: it is in no index, and no look at a person reaches it.
	Ownerless bool `json:"ownerless,omitempty"`
}

// OrderKind is the kind of an Order.
type OrderKind string

// The kinds of order.
const (
	OrderAdopt   OrderKind = "adopt"   // take over the agent that has their username, if it is nobody's
	OrderRelease OrderKind = "release" // take our tags off their agents
	OrderRestore OrderKind = "restore" // bring their suspended agents back as they were
)

// orderFor is how long an order is good for: what somebody asked for yesterday
// is not done to a world that has changed.
const orderFor = time.Hour

func noteOrder(person string) string { return "order/" + person }

// Order asks for something about people. Their looks carry it out: it can be
// waited for like any other request.
func (e *Engine) Order(ctx context.Context, kind OrderKind, by string, people ...string) error {
	return e.order(ctx, Order{Kind: kind, By: by, At: e.Now()}, people)
}

// ReleaseOwnerless asks to release agents of this deployment that have lost their
// owner. The UserId of each stands for the person: in the queue, the journal and the
// look that carries the order out.
func (e *Engine) ReleaseOwnerless(ctx context.Context, by string, agents ...string) error {
	return e.order(ctx, Order{Kind: OrderRelease, By: by, At: e.Now(), Ownerless: true}, agents)
}

func (e *Engine) order(ctx context.Context, o Order, people []string) error {
	var requests []Request
	for _, person := range people {
		if err := e.note(ctx, noteOrder(person), o); err != nil {
			return fmt.Errorf("%s: %w", o.Kind, err)
		}
		requests = append(requests, Request{Person: person, Priority: Joiner, Trigger: TriggerPeople})
	}
	if err := e.Queue.Enqueue(ctx, requests...); err != nil {
		return fmt.Errorf("%s: enqueue: %w", o.Kind, err)
	}
	return nil
}

// pending gives the order about a person that is not carried out yet.
func (e *Engine) pending(ctx context.Context, person string) (Order, error) {
	var o Order
	switch err := e.recall(ctx, noteOrder(person), &o); {
	case errors.Is(err, ErrNotFound):
		return Order{}, nil
	case err != nil:
		return Order{}, fmt.Errorf("read what was asked for: %w", err)
	}
	if age := e.Now().Sub(o.At); o.Kind == "" || age > orderFor {
		return Order{}, nil
	}
	return o, nil
}

// fulfilled strikes the order off, unless another one has come meanwhile.
func (l *look) fulfilled(ctx context.Context) error {
	if l.order.Kind == "" {
		return nil
	}
	now, err := l.pending(ctx, l.work.Person)
	if err != nil {
		return err
	}
	if now.Kind != l.order.Kind || now.By != l.order.By || !now.At.Equal(l.order.At) {
		return nil
	}
	if err := l.note(ctx, noteOrder(l.work.Person), Order{}); err != nil {
		return fmt.Errorf("strike off what was asked for: %w", err)
	}
	return nil
}

// clear ends an open intent before an order is carried out: what it has made or
// done is recorded, and an agent that it is about to make is waited for, which
// would be an orphan. What is held, or approved and not done yet, does not lie in
// wait for another day either.
func (v *visit) clear(ctx context.Context) error {
	agents, _, err := v.find(ctx)
	if err != nil {
		return err
	}
	v.agents = agents
	if err := v.settleIntent(ctx, plan.Plan{}, agents); err != nil {
		return err
	}
	return v.forgo(ctx)
}

// release takes our tags off the person's agents, or off one without an owner.
func (v *visit) release(ctx context.Context) error {
	if err := v.clear(ctx); err != nil {
		return err
	}
	for _, a := range v.agents {
		if !v.owns(a) && !v.ownerless(a) {
			continue
		}
		change := plan.GiveUp(v.work.Person, a)
		change.Instance = v.at.Name
		if err := v.apply(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// restore brings the person's suspended agents back as they were.
func (v *visit) restore(ctx context.Context) error {
	if err := v.clear(ctx); err != nil {
		return err
	}
	remembered, err := v.buried(ctx, v.agents)
	if err != nil {
		return err
	}
	for _, a := range v.agents {
		if !v.ours(a) || a.State != plan.StateSuspended {
			continue
		}
		before, ok := remembered[a.ID]
		if !ok {
			return v.refuse(ctx, plan.Refusal{Instance: v.at.Name, Person: v.work.Person, Username: a.Username, Agent: a.ID, Code: plan.Stayed,
				Reason: "cannot be restored: what the agent was before is not remembered"})
		}
		change := plan.Restore(v.work.Person, a, before)
		change.Instance = v.at.Name
		if err := v.apply(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// Decide carries out somebody's decision on a hold: what was approved is looked
// at again at once, and what was rejected is recorded.
func (e *Engine) Decide(ctx context.Context, d Decision) ([]HoldEntry, error) {
	decided, err := e.Guard.Decide(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("decide on %s: %w", d.Hold, err)
	}
	var requests []Request
	for _, h := range decided {
		entry := Entry{
			Time: e.Now(), Kind: EntryRejected, Person: h.Person, Instance: h.Instance, Agent: h.Agent, Action: h.Action,
			Reason: h.Reason, By: d.By, Hold: h.Hold, Trigger: TriggerPeople,
		}
		if d.Approve {
			entry.Kind = EntryApproved
			requests = append(requests, Request{Person: h.Person, Priority: Leaver, Trigger: TriggerApproval})
		}
		if err := e.Journal.Record(ctx, entry); err != nil {
			return decided, fmt.Errorf("write the journal: %w", err)
		}
	}
	if err := e.Queue.Enqueue(ctx, requests...); err != nil {
		return decided, fmt.Errorf("enqueue those whose removal was approved: %w", err)
	}
	return decided, nil
}

// Stay leaves people as they are for a while.
func (e *Engine) Stay(ctx context.Context, stays ...Stay) error {
	if err := e.Guard.Stay(ctx, stays...); err != nil {
		return fmt.Errorf("put a stay on people: %w", err)
	}
	for _, s := range stays {
		entry := Entry{Time: e.Now(), Kind: EntryStay, Person: s.Person, By: s.Who, Reason: "to be left alone until " + s.Until.UTC().Format(time.RFC3339) + ": " + s.Why, Trigger: TriggerPeople}
		if err := e.Journal.Record(ctx, entry); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	return nil
}
