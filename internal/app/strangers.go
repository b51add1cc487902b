package app

import (
	"context"
	"slices"
	"sync"

	"connectroster/internal/reconcile"
)

// owners is an index that also keeps in memory who has an agent, so that nothing
// has to be read for an answer. It knows nobody until the index was filled.
type owners struct {
	reconcile.Index

	mu     sync.Mutex
	filled bool
	known  map[string]bool
}

func (o *owners) Remember(ctx context.Context, known ...reconcile.Known) error {
	// First here: whoever has an agent is never a stranger in between.
	o.mu.Lock()
	if o.known == nil {
		o.known = map[string]bool{}
	}
	for _, k := range known {
		o.known[k.Owner] = true
	}
	o.mu.Unlock()
	if err := o.Index.Remember(ctx, known...); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filled = true
	return nil
}

func (o *owners) Forget(ctx context.Context, owner string) error {
	if err := o.Index.Forget(ctx, owner); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.known, owner)
	return nil
}

// stranger reports whether it is certain that somebody has no agent.
func (o *owners) stranger(person string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.filled && !o.known[person]
}

// ranked is a queue that lets strangers who leave something wait. Events tell of
// everybody in the org, most of whom have nothing to do with the contact centre;
// whoever has no agent can lose none, and should not go before those who are to
// get one. Somebody who waits for an agent keeps their place, since of several
// requests the most urgent counts.
type ranked struct {
	reconcile.Queue
	owners *owners
}

func (q ranked) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	leaves := func(r reconcile.Request) bool {
		told := r.Trigger == reconcile.TriggerHook || r.Trigger == reconcile.TriggerLog
		return told && r.Priority == reconcile.Leaver && q.owners.stranger(r.Person)
	}
	if slices.ContainsFunc(requests, leaves) {
		requests = slices.Clone(requests)
		for i, r := range requests {
			if leaves(r) {
				requests[i].Priority = reconcile.Routine
			}
		}
	}
	return q.Queue.Enqueue(ctx, requests...)
}
