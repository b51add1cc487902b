package reconcile

import (
	"context"
	"fmt"
	"iter"
	"time"

	"connectroster/internal/plan"
)

// Swept is the result of a sweep.
type Swept struct {
	Started  time.Time         `json:"started"`
	Took     time.Duration     `json:"took_ns"`
	People   int               `json:"people"`
	Agents   int               `json:"agents"`  // of this deployment
	Changes  int               `json:"changes"` // people who were enqueued
	Refusals map[plan.Code]int `json:"refusals"`
}

// sweepChunk is how many requests a sweep stores in one piece.
const sweepChunk = 500

// Sweep looks at everybody: it reads both sides completely, rebuilds the index
// from what Amazon Connect shows and enqueues those for whom there is something
// to do. It changes nothing itself. One sweep runs at a time; another waits.
func (e *Engine) Sweep(ctx context.Context) (Swept, error) {
	select {
	case <-e.sweeping:
		defer func() { e.sweeping <- struct{}{} }()
	case <-ctx.Done():
		return Swept{}, fmt.Errorf("sweep: %w", context.Cause(ctx))
	}
	out := Swept{Started: e.Now()}
	w, err := e.world(ctx, out)
	if err != nil {
		return Swept{}, fmt.Errorf("sweep: %w", err)
	}
	if err := e.Index.Remember(ctx, e.owned(w.Agents)...); err != nil {
		return Swept{}, fmt.Errorf("sweep: rebuild the index: %w", err)
	}
	p := plan.New(e.Settings, w)
	var requests []Request
	for _, c := range p.Changes {
		requests = append(requests, Request{Person: c.Person, Priority: priority(c.Action), Trigger: TriggerSweep})
	}
	for len(requests) > 0 {
		n := min(sweepChunk, len(requests))
		if err := e.Queue.Enqueue(ctx, requests[:n]...); err != nil {
			return Swept{}, fmt.Errorf("sweep: enqueue: %w", err)
		}
		requests = requests[n:]
	}
	out.Refusals = map[plan.Code]int{} // only now: whoever watches the progress has a copy of out
	for _, r := range p.Refusals {
		out.Refusals[r.Code]++
	}
	out.People, out.Agents, out.Changes = len(w.People), len(w.Agents), len(p.Changes)
	out.Took = e.Now().Sub(out.Started)
	if err := e.note(ctx, noteSweep, out); err != nil {
		return Swept{}, fmt.Errorf("sweep: %w", err)
	}
	return out, nil
}

// Swept gives the result of the last sweep that succeeded. ErrNotFound means
// there was none.
func (e *Engine) Swept(ctx context.Context) (Swept, error) {
	var out Swept
	err := e.recall(ctx, noteSweep, &out)
	return out, err
}

// Reindex rebuilds the index from what Amazon Connect shows, without looking at
// anybody.
func (e *Engine) Reindex(ctx context.Context) error {
	agents, err := collect(e.Instance.Agents(ctx), func(int) {})
	if err != nil {
		return fmt.Errorf("rebuild the index: read the agents: %w", err)
	}
	if err := e.Index.Remember(ctx, e.owned(agents)...); err != nil {
		return fmt.Errorf("rebuild the index: %w", err)
	}
	return nil
}

// world reads both sides, all of it or an error.
func (e *Engine) world(ctx context.Context, so Swept) (plan.World, error) {
	var w plan.World
	var err error
	if w.Catalog, err = e.Instance.Catalog(ctx); err != nil {
		return w, fmt.Errorf("read the catalog: %w", err)
	}
	w.Agents, err = collect(e.Instance.Agents(ctx), func(n int) { so.Agents = n; e.Progress(so) })
	if err != nil {
		return w, fmt.Errorf("read the agents: %w", err)
	}
	w.People, err = collect(e.Directory.People(ctx), func(n int) { so.People = n; e.Progress(so) })
	if err != nil {
		return w, fmt.Errorf("read the people: %w", err)
	}
	return w, nil
}

// collect reads a list to its end, or gives the error, and tells now and then
// how far it is.
func collect[T any](list iter.Seq2[T, error], progress func(n int)) ([]T, error) {
	var all []T
	for v, err := range list {
		if err != nil {
			return nil, err
		}
		if all = append(all, v); len(all)%200 == 0 {
			progress(len(all))
		}
	}
	progress(len(all))
	return all, nil
}

// owned gives the index entries for the agents of this deployment. An agent that
// a search shows is visible, so it needs no time to appear.
func (e *Engine) owned(agents []plan.Agent) []Known {
	first := map[string]string{}
	for _, a := range agents {
		if a.Owner == "" || a.Deployment != e.Settings.Deployment || a.State == plan.StateRetired {
			continue
		}
		if other, twice := first[a.Owner]; !twice || a.ID < other {
			first[a.Owner] = a.ID
		}
	}
	known := make([]Known, 0, len(first))
	for owner, id := range first {
		known = append(known, Known{Owner: owner, Agent: id})
	}
	return known
}

func priority(a plan.Action) Priority {
	switch a {
	case plan.Suspend, plan.Delete:
		return Leaver
	case plan.Create, plan.Adopt, plan.Resume:
		return Joiner
	default:
		return Routine
	}
}
