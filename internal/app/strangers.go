package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"connectroster/internal/reconcile"
)

// owners is an index that also keeps in memory who has an agent, so that nothing
// has to be read for an answer. It knows nobody until the index was filled.
type owners struct {
	reconcile.Index

	mu     sync.Mutex
	filled bool
	agents map[place]string // owner
	count  map[string]int   // agents by owner
}

// place is where an agent is.
type place struct{ instance, agent string }

func (o *owners) note(known []reconcile.Known) {
	if o.agents == nil {
		o.agents, o.count = map[place]string{}, map[string]int{}
	}
	for _, k := range known {
		at := place{k.Instance, k.Agent}
		o.strike(at)
		o.agents[at] = k.Owner
		o.count[k.Owner]++
	}
}

func (o *owners) strike(at place) {
	if owner, known := o.agents[at]; known {
		delete(o.agents, at)
		if o.count[owner]--; o.count[owner] == 0 {
			delete(o.count, owner)
		}
	}
}

func (o *owners) Remember(ctx context.Context, known ...reconcile.Known) error {
	// First here: whoever has an agent is never a stranger in between.
	o.mu.Lock()
	o.note(known)
	o.mu.Unlock()
	return o.fill(o.Index.Remember(ctx, known...))
}

// Rebuild notes what was read and strikes nothing: an agent that is too new to be
// seen stays in the index, and so does its owner here.
func (o *owners) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	o.mu.Lock()
	o.note(known)
	o.mu.Unlock()
	return o.fill(o.Index.Rebuild(ctx, instance, before, known))
}

// fill notes that the index was filled, unless that failed.
func (o *owners) fill(err error) error {
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filled = true
	return nil
}

func (o *owners) Forget(ctx context.Context, instance, agent string) error {
	if err := o.Index.Forget(ctx, instance, agent); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.strike(place{instance, agent})
	return nil
}

// stranger reports whether it is certain that somebody has no agent.
func (o *owners) stranger(person string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.filled && o.count[person] == 0
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
