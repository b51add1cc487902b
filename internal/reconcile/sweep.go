package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"connectroster/internal/plan"
)

// Swept is the result of a sweep.
type Swept struct {
	Started  time.Time         `json:"started"` // of the first, where it took several runs
	Took     time.Duration     `json:"took_ns"`
	People   int               `json:"people"`
	Agents   int               `json:"agents"`  // of this deployment, in all instances
	Changes  int               `json:"changes"` // people who were enqueued
	Refusals map[plan.Code]int `json:"refusals"`
	First    string            `json:"first,omitempty"` // why what it wants to remove must be approved
}

// mark is the note of the last complete sweep of an instance.
type mark struct {
	Config    string    `json:"config"`    // Config.Scope
	Directory string    `json:"directory"` // Directory.Scope
	At        time.Time `json:"at"`
}

// noteMark is the name of the note that holds the mark of an instance.
func noteMark(instance string) string {
	if instance == "" {
		return "mark"
	}
	return "mark/" + instance
}

// sweepChunk is how many requests a sweep stores in one piece.
const sweepChunk = 100

// asking is the note of a sweep that has begun to ask for people and has not asked for
// all of them yet. One that is cut short then is gone on with by the next: it reads
// everything anew, and its requests bear the same name, by which the queue knows whom
// it has asked for already.
type asking struct {
	Began     time.Time `json:"began"`
	Config    string    `json:"config"`    // Config.Scope
	Directory string    `json:"directory"` // Directory.Scope
}

const noteAsking = "sweep-asking"

// askingFor is how long after its beginning a sweep can be gone on with. After that
// everybody is asked for anew, since the world has changed meanwhile.
const askingFor = 2 * time.Hour

// UnfinishedError says that the time of a sweep was over when it had asked for some of
// the people. The next sweep goes on.
type UnfinishedError struct {
	Asked, Left int
	Err         error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("asked for %d people, and %d are left to the next sweep: %v", e.Asked, e.Left, e.Err)
}

func (e *UnfinishedError) Unwrap() error { return e.Err }

// Sweep looks at everybody: it reads both sides completely, rebuilds the index
// from what Amazon Connect shows and enqueues those for whom there is something
// to do. It changes nothing itself. An instance that cannot be read is left out and
// named in the error, and the sweep of the others stands. A sweep whose context ends
// while it asks for people gives an *UnfinishedError, and the next goes on: together
// they are one sweep, which began when the first did. One sweep runs at a time; another
// waits.
func (e *Engine) Sweep(ctx context.Context) (Swept, error) {
	select {
	case <-e.sweeping:
		defer func() { e.sweeping <- struct{}{} }()
	case <-ctx.Done():
		return Swept{}, fmt.Errorf("sweep: %w", context.Cause(ctx))
	}
	out, err := e.sweep(ctx)
	if err != nil {
		return Swept{}, fmt.Errorf("sweep: %w", err)
	}
	return out, nil
}

func (e *Engine) sweep(ctx context.Context) (Swept, error) {
	out := Swept{Started: e.Now()}
	scope, err := e.Directory.Scope(ctx)
	if err != nil {
		return out, fmt.Errorf("find out what is mapped: %w", err)
	}
	w, absent, err := e.world(ctx, out)
	if err != nil {
		return out, err
	}
	requests := map[string]Request{}
	refusals := map[plan.Code]int{}
	var present []Site
	for _, at := range e.Instances {
		if absent[at.Name] != nil {
			continue
		}
		present = append(present, at)
		first, err := e.first(ctx, at.Name, scope)
		if err != nil {
			return out, at.about(err)
		}
		out.First = cmp.Or(out.First, first)
		p, err := e.survey(ctx, at, w, out.Started, first)
		if err != nil {
			return out, at.about(err)
		}
		for _, c := range p.Changes {
			r := Request{Person: c.Person, Priority: priority(c.Action), Trigger: TriggerSweep}
			if other, twice := requests[c.Person]; twice {
				r.Priority = min(r.Priority, other.Priority)
			}
			requests[c.Person] = r
		}
		for _, r := range p.Refusals {
			refusals[r.Code]++
		}
		out.Agents += len(w.agents[at.Name])
	}
	if err := e.overtaken(ctx, requests); err != nil {
		return out, err
	}
	sorted := slices.SortedFunc(maps.Values(requests), func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Person, b.Person))
	})
	if out.Started, err = e.ask(ctx, asking{Began: out.Started, Config: e.Scope, Directory: scope}, sorted); err != nil {
		return out, err
	}
	// Last, so that a sweep that was cut short is a first one again.
	for _, at := range present {
		if err := e.note(ctx, noteMark(at.Name), mark{Config: e.Scope, Directory: scope, At: out.Started}); err != nil {
			return out, err
		}
	}
	if len(absent) > 0 {
		return out, errors.Join(slices.Collect(maps.Values(absent))...)
	}
	out.Refusals = refusals // only now: whoever watches the progress has a copy of out
	out.People, out.Changes = len(w.people), len(requests)
	out.Took = e.Now().Sub(out.Started)
	return out, e.note(ctx, noteSweep, out)
}

// ask asks for people, and tells when the sweep began that this is part of.
func (e *Engine) ask(ctx context.Context, a asking, requests []Request) (began time.Time, err error) {
	var before asking
	if err := e.recall(ctx, noteAsking, &before); err != nil && !errors.Is(err, ErrNotFound) {
		return a.Began, err
	}
	if age := a.Began.Sub(before.Began); before.Config == a.Config && before.Directory == a.Directory && age >= 0 && age < askingFor {
		a.Began = before.Began
	}
	if before != a {
		if len(requests) == 0 {
			return a.Began, nil
		}
		if err := e.note(ctx, noteAsking, a); err != nil {
			return a.Began, err
		}
	}
	name := "sweep " + a.Began.UTC().Format(time.RFC3339Nano)
	asked := 0
	for part := range slices.Chunk(requests, sweepChunk) {
		for i := range part {
			part[i].Event = name
		}
		if err := e.Queue.Enqueue(ctx, part...); err != nil {
			err = fmt.Errorf("enqueue: %w", err)
			if asked > 0 && ctx.Err() != nil {
				err = &UnfinishedError{Asked: asked, Left: len(requests) - asked, Err: err}
			}
			return a.Began, err
		}
		asked += len(part)
	}
	return a.Began, e.note(ctx, noteAsking, asking{})
}

// overtaken asks for those about whom something waits for approval or lies in wait
// for another day, though the sweep wants nothing of them: their looks withdraw it.
func (e *Engine) overtaken(ctx context.Context, requests map[string]Request) error {
	holds, err := e.Guard.Holds(ctx, HoldQuery{Open: true, Limit: 1 << 20})
	if err != nil {
		return fmt.Errorf("read what is held: %w", err)
	}
	for _, h := range holds {
		for _, entry := range h.Entries {
			if _, asked := requests[entry.Person]; !asked {
				requests[entry.Person] = Request{Person: entry.Person, Priority: Routine, Trigger: TriggerSweep}
			}
		}
	}
	return nil
}

// first tells why whatever this sweep wants to remove in an instance must be
// approved, or gives the empty string.
func (e *Engine) first(ctx context.Context, instance, scope string) (string, error) {
	var m mark
	switch err := e.recall(ctx, noteMark(instance), &m); {
	case errors.Is(err, ErrNotFound):
		return "the first sweep", nil
	case err != nil:
		return "", err
	case m.Config != e.Scope:
		return "the first sweep under a changed configuration", nil
	case m.Directory != scope:
		return "the first sweep since the Okta org or a mapped group is another one", nil
	case e.Now().Sub(m.At) > markFor:
		return fmt.Sprintf("the first complete sweep in %d hours", int(markFor.Hours())), nil
	}
	return "", nil
}

// survey plans for everybody in one instance and brings the index up to date.
func (e *Engine) survey(ctx context.Context, at Site, w everything, started time.Time, first string) (plan.Plan, error) {
	agents := w.agents[at.Name]
	p := plan.New(e.Settings, plan.World{
		Instance: at.Name, Now: e.Now(), Catalog: w.catalogs[at.Name], People: w.people, Agents: agents, Complete: e.complete(),
	})
	known, err := e.known(ctx, at, w, p, started, first)
	if err != nil {
		return p, err
	}
	if err := e.Index.Rebuild(ctx, at.Name, started.Add(-e.Lag), known); err != nil {
		return p, fmt.Errorf("rebuild the index: %w", err)
	}
	if e.WaitForContacts > 0 && !e.SweepsApart { // another process that looks knows nothing of it
		var moving []string
		for _, c := range p.Changes {
			if c.Agent != "" && c.Action != plan.Suspend && KindOf(c) != "" {
				moving = append(moving, c.Agent)
			}
		}
		if len(moving) > 0 { // so that those who are asked about next are known already
			if _, err := at.Instance.Busy(ctx, moving...); err != nil {
				e.Log.Warn("cannot ask who has a contact", "error", err)
			}
		}
	}
	return p, nil
}

// complete reports whether the directory lists all who may be agents, so that
// whoever it does not list has left. What events alone told is never that.
func (e *Engine) complete() bool { return e.Feed != nil || e.Settings.Policy == plan.Sync }

// known gives the index entries for the agents of this deployment. An agent that
// a search shows is visible, so it needs no time to appear.
func (e *Engine) known(ctx context.Context, at Site, w everything, p plan.Plan, started time.Time, first string) ([]Known, error) {
	removed, absent := map[string]bool{}, map[string]bool{}
	for _, c := range p.Changes {
		if c.Removes() {
			removed[c.Agent] = true
			absent[c.Agent] = c.Evidence == plan.EvidenceMembership
		}
	}
	var out []Known
	for _, a := range w.agents[at.Name] {
		if a.Owner == "" || a.Deployment != e.Settings.Deployment {
			continue
		}
		k := Known{Instance: at.Name, Owner: a.Owner, Agent: a.ID, Retired: a.State == plan.StateRetired, Group: a.Group}
		if e.complete() && (absent[a.ID] || !w.listed[a.Owner]) {
			k.Absent = started
		}
		if removed[a.ID] {
			k.Cliff = first
			if k.Cliff == "" { // what a first sweep flagged stays so until it is decided
				before, err := e.Index.Agents(ctx, a.Owner)
				if err != nil {
					return nil, fmt.Errorf("read the index: %w", err)
				}
				for _, b := range before {
					if b.Instance == at.Name && b.Agent == a.ID {
						k.Cliff = b.Cliff
					}
				}
			}
		}
		out = append(out, k)
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

// Reindex makes the agents known that Amazon Connect shows, without looking at
// anybody. What only a sweep can tell of them stays as it is.
func (e *Engine) Reindex(ctx context.Context) error {
	for _, at := range e.Instances {
		agents, err := collect(at.Instance.Agents(ctx, nil), func(int) {})
		if err != nil {
			return at.about(fmt.Errorf("rebuild the index: read the agents: %w", err))
		}
		var missing []Known
		for _, a := range agents {
			if a.Owner == "" || a.Deployment != e.Settings.Deployment {
				continue
			}
			known, err := e.Index.Agents(ctx, a.Owner)
			if err != nil {
				return fmt.Errorf("rebuild the index: %w", err)
			}
			if !slices.ContainsFunc(known, func(k Known) bool { return k.Instance == at.Name && k.Agent == a.ID }) {
				missing = append(missing, Known{Instance: at.Name, Owner: a.Owner, Agent: a.ID, Retired: a.State == plan.StateRetired, Group: a.Group})
			}
		}
		if err := e.Index.Remember(ctx, missing...); err != nil {
			return fmt.Errorf("rebuild the index: %w", err)
		}
	}
	return nil
}

// everything is both sides, read completely.
type everything struct {
	people   []plan.Person
	listed   map[string]bool
	catalogs map[string]plan.Catalog // by instance
	agents   map[string][]plan.Agent // by instance
}

// world reads both sides: the people, and of each instance all of it or the error
// in absent. That no instance can be read is an error.
func (e *Engine) world(ctx context.Context, so Swept) (w everything, absent map[string]error, err error) {
	w = everything{listed: map[string]bool{}, catalogs: map[string]plan.Catalog{}, agents: map[string][]plan.Agent{}}
	absent = map[string]error{}
	read := 0
	for _, at := range e.Instances {
		if err := e.inventory(ctx, at, &w, func(n int) { so.Agents = read + n; e.Progress(so) }); err != nil {
			if ctx.Err() != nil || len(e.Instances) == 1 {
				return w, absent, at.about(err)
			}
			absent[at.Name] = at.about(err)
		}
		read += len(w.agents[at.Name])
	}
	if len(absent) == len(e.Instances) {
		return w, absent, errors.Join(slices.Collect(maps.Values(absent))...)
	}
	w.people, err = collect(e.Directory.People(ctx), func(n int) { so.People = n; e.Progress(so) })
	if err != nil {
		return w, absent, fmt.Errorf("read the people: %w", err)
	}
	for _, p := range w.people {
		w.listed[p.ID] = true
	}
	return w, absent, nil
}

// inventory reads an instance.
func (e *Engine) inventory(ctx context.Context, at Site, w *everything, progress func(n int)) error {
	catalog, err := at.Instance.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	agents, err := collect(at.Instance.Agents(ctx, e.Settings.Skills(at.Name, catalog)), progress)
	if err != nil {
		return fmt.Errorf("read the agents: %w", err)
	}
	w.catalogs[at.Name], w.agents[at.Name] = catalog, agents
	return nil
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
