package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// Proposal is a plan with what people need to judge it. Making one changes
// nothing and asks for nothing to be changed.
type Proposal struct {
	Taken    time.Time      `json:"taken"`
	Scope    string         `json:"scope"`            // names the configuration
	First    string         `json:"first,omitempty"`  // why all removals would have to be approved
	People   []string       `json:"people,omitempty"` // whom it is about; empty: everybody
	Looked   int            `json:"looked"`           // at so many people
	Agents   int            `json:"agents"`           // of this deployment that were read
	Changes  []Proposed     `json:"changes"`
	Refusals []plan.Refusal `json:"refusals"`
	Orphans  []Orphan       `json:"orphans,omitempty"` // of plans for everybody

	Catalogs map[string]plan.Catalog `json:"-"` // by instance, to show names
	Groups   map[string]string       `json:"-"` // names by Okta ids, of the groups that those are in whom it is about

	firsts map[string]string // First, by instance
}

// Orphan is an agent of this deployment whose owner the directory does not know.
type Orphan struct {
	Instance string     `json:"instance,omitempty"`
	Agent    string     `json:"agent"`            // Connect UserId
	Person   string     `json:"person,omitempty"` // Okta user id; empty: its tags name nobody
	State    plan.State `json:"state"`
}

// orphans gives those among the agents of an instance.
func (e *Engine) orphans(instance string, agents []plan.Agent, gone map[string]bool) []Orphan {
	var out []Orphan
	for _, a := range agents {
		if a.Deployment == e.Settings.Deployment && (a.Owner == "" || gone[a.Owner]) {
			out = append(out, Orphan{Instance: instance, Agent: a.ID, Person: a.Owner, State: a.State})
		}
	}
	return out
}

// Proposed is a change, under the name by which it is approved.
type Proposed struct {
	plan.Change
	Hash  string `json:"hash"`
	Guard string `json:"guard,omitempty"` // what keeps it back: a hold, a stay
}

// Hash names all that the proposal would change.
func (p Proposal) Hash() string {
	sum := sha256.New()
	for _, c := range p.Changes {
		fmt.Fprintln(sum, c.Instance, c.Person, c.Hash)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Propose works out what would be done now, about everybody or about some people,
// given by their Okta ids.
func (e *Engine) Propose(ctx context.Context, people ...string) (Proposal, error) {
	out := Proposal{Taken: e.Now(), Scope: e.Scope, People: people, Catalogs: map[string]plan.Catalog{}, Changes: []Proposed{}, Refusals: []plan.Refusal{}, firsts: map[string]string{}}
	var err error
	if len(people) > 0 {
		err = e.proposeSome(ctx, &out, people)
	} else {
		err = e.proposeAll(ctx, &out)
	}
	if err != nil {
		return out, fmt.Errorf("plan: %w", err)
	}
	if err := e.annotate(ctx, &out); err != nil {
		return out, fmt.Errorf("plan: %w", err)
	}
	return out, nil
}

func (p *Proposal) add(some plan.Plan) {
	for _, c := range some.Changes {
		p.Changes = append(p.Changes, Proposed{Change: c, Hash: c.Hash()})
	}
	p.Refusals = append(p.Refusals, some.Refusals...)
}

func (e *Engine) proposeAll(ctx context.Context, out *Proposal) error {
	scope, err := e.Directory.Scope(ctx)
	if err != nil {
		return fmt.Errorf("find out what is mapped: %w", err)
	}
	w, absent, err := e.world(ctx, Swept{Started: out.Taken})
	if err != nil {
		return err
	}
	if len(absent) > 0 { // a plan that leaves an instance out would be taken for the whole
		return errors.Join(slices.Collect(maps.Values(absent))...)
	}
	for _, at := range e.Instances {
		if out.firsts[at.Name], err = e.first(ctx, at.Name, scope); err != nil {
			return at.about(err)
		}
		out.First = cmp.Or(out.First, out.firsts[at.Name])
	}
	unread, err := e.leavers(ctx, &w)
	if err != nil {
		return err
	}
	out.Looked, out.Groups = len(w.people), plan.GroupNames(w.people)
	gone := map[string]bool{}
	for _, p := range w.people {
		gone[p.ID] = p.Status == plan.StatusGone
	}
	for _, at := range e.Instances {
		agents := w.agents[at.Name]
		out.Orphans = append(out.Orphans, e.orphans(at.Name, agents, gone)...)
		tombstones, err := e.buried(ctx, agents)
		if err != nil {
			return err
		}
		out.Catalogs[at.Name] = w.catalogs[at.Name]
		out.Agents += len(agents)
		seen := plan.World{
			Instance: at.Name, Now: out.Taken, Catalog: w.catalogs[at.Name], People: w.people, Agents: agents,
			Complete: e.complete(), Tombstones: tombstones,
		}
		p := plan.New(e.Settings, seen)
		if slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.Action == plan.Create || c.Action == plan.Replace }) {
			others, err := at.others(ctx)
			if err != nil {
				return at.about(fmt.Errorf("look who has the usernames: %w", err))
			}
			seen.Agents = append(slices.Clone(agents), others...)
			p = plan.New(e.Settings, seen)
		}
		for i, r := range p.Refusals {
			if err := unread[r.Person]; err != nil {
				p.Refusals[i].Reason = "owns an agent, but could not be read: " + err.Error() + ": left alone"
			}
		}
		out.add(p)
	}
	return nil
}

// others gives the agents that are not of this deployment, where the instance can
// list them: who has a username that is wanted shows before Amazon Connect refuses
// it.
func (s Site) others(ctx context.Context) ([]plan.Agent, error) {
	list, ok := s.Instance.(interface {
		Others(ctx context.Context) iter.Seq2[plan.Agent, error]
	})
	if !ok {
		return nil, nil
	}
	return collect(list.Others(ctx), func(int) {})
}

// leavers reads those one by one who own an agent and are not listed: only so it
// is known whether they left the groups, were deactivated or are gone. One who
// cannot be read does not keep the others from being planned for; unread says why.
func (e *Engine) leavers(ctx context.Context, w *everything) (unread map[string]error, err error) {
	if !e.complete() {
		return nil, nil
	}
	owners := map[string]bool{}
	for _, agents := range w.agents {
		for _, a := range agents {
			if a.Owner != "" && a.Deployment == e.Settings.Deployment && !w.listed[a.Owner] {
				owners[a.Owner] = true
			}
		}
	}
	unread = map[string]error{}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		p, err := e.patiently(ctx, owner)
		_, moving := AsAfter(err)
		switch {
		case errors.Is(err, ErrNotFound):
			p = plan.Person{ID: owner, Status: plan.StatusGone}
		case err != nil && remedy.CodeOf(err) == "" && (moving || IsTerminal(err)): // it is about this person alone
			p, unread[owner] = plan.Person{ID: owner}, err
		case err != nil:
			return nil, fmt.Errorf("read person %s, who owns an agent: %w", owner, err)
		}
		w.people = append(w.people, p)
	}
	return unread, nil
}

// patiently reads a person, and waits for as long as the directory's rate limit is
// used up: after an accident there are more to be read than one window has place for.
func (e *Engine) patiently(ctx context.Context, id string) (plan.Person, error) {
	for {
		p, err := e.Directory.Person(ctx, id)
		wait, limited := AsAfter(err)
		if !limited || remedy.CodeOf(err) != "okta_limited" {
			return p, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return p, err
		}
	}
}

func (e *Engine) proposeSome(ctx context.Context, out *Proposal, people []string) error {
	out.Groups = map[string]string{}
	for _, id := range people {
		l := look{Engine: e, work: Work{Person: id}, started: out.Taken}
		if err := l.read(ctx); err != nil {
			return fmt.Errorf("person %s: %w", id, err)
		}
		maps.Copy(out.Groups, plan.GroupNames([]plan.Person{l.person}))
		known, err := e.Index.Agents(ctx, id)
		if err != nil {
			return fmt.Errorf("read the index: %w", err)
		}
		for _, at := range e.Instances {
			v := l.visit(at, known)
			p, err := v.propose(ctx)
			if err != nil {
				return fmt.Errorf("person %s: %w", id, at.about(err))
			}
			out.Catalogs[at.Name] = v.catalog
			out.Agents += len(v.agents)
			out.add(p)
		}
		out.Looked++
	}
	return nil
}

// propose plans for the person in this instance without leaving a trace.
func (v *visit) propose(ctx context.Context) (plan.Plan, error) {
	agents, err := v.observe(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	return v.plan(ctx, agents, nil)
}

// observe reads what the instance has for the person, and who has their username
// if they have no agent.
func (v *visit) observe(ctx context.Context) ([]plan.Agent, error) {
	var err error
	if v.catalog, err = v.at.Instance.Catalog(ctx); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	for _, k := range v.known {
		agent, err := v.at.Instance.Agent(ctx, k.Agent)
		switch {
		case err == nil:
			v.agents = append(v.agents, agent)
		case !errors.Is(err, ErrNotFound):
			return nil, fmt.Errorf("read agent %s: %w", k.Agent, err)
		}
	}
	taken := slices.ContainsFunc(v.agents, func(a plan.Agent) bool { return v.ours(a) && a.Username == v.person.Username })
	if taken || plan.UsernameFault(v.person.Username) != "" {
		return v.agents, nil
	}
	holder, err := v.holder(ctx, v.person.Username)
	switch {
	case errors.Is(err, ErrNotFound):
		return v.agents, nil
	case err != nil:
		return nil, fmt.Errorf("look who has the username: %w", err)
	case slices.ContainsFunc(v.agents, func(a plan.Agent) bool { return a.ID == holder.ID }):
		return v.agents, nil
	}
	return append(v.agents, holder), nil
}

// annotate says of each change what keeps it back.
func (e *Engine) annotate(ctx context.Context, p *Proposal) error {
	stays, err := e.Guard.Stays(ctx)
	if err != nil {
		return fmt.Errorf("read the stays: %w", err)
	}
	holds, err := e.Guard.Holds(ctx, HoldQuery{Waiting: true, Limit: 1 << 20})
	if err != nil {
		return fmt.Errorf("read what is held: %w", err)
	}
	type key struct{ instance, person string }
	waiting := map[key]HoldEntry{}
	for _, h := range holds {
		for _, entry := range h.Entries {
			waiting[key{entry.Instance, entry.Person}] = entry
		}
	}
	windows := forecast{Engine: e, owned: map[string]int{}, taken: map[string]int{}}
	stayed := map[string]Stay{}
	for _, s := range stays {
		stayed[s.Person] = s
	}
	for i, c := range p.Changes {
		if KindOf(c.Change) == "" || parkedAgain(c.Change) {
			continue
		}
		if s, ok := stayed[c.Person]; ok {
			p.Changes[i].Guard = fmt.Sprintf("will not be done: %s said to leave them as they are until %s", s.Who, s.Until.UTC().Format(time.RFC3339))
		} else if entry, ok := waiting[key{c.Instance, c.Person}]; ok {
			p.Changes[i].Guard = fmt.Sprintf("waits in %s for approval: %s", entry.Hold, entry.Cause)
		} else if first := p.firsts[c.Instance]; first != "" && c.Removes() {
			p.Changes[i].Guard = "will have to be approved: " + first
		} else if cause, err := windows.take(ctx, c.Change, p.Groups[c.Group]); err != nil {
			return err
		} else if cause != "" {
			p.Changes[i].Guard = "will be held for approval: " + cause
		}
	}
	return nil
}

// forecast counts what would go, as the Guard would if nothing had gone before.
type forecast struct {
	*Engine
	owned map[string]int
	taken map[string]int
}

// take takes a place for a change, or tells why there is none left. The group is the
// name of the one that was lost, as a Proposal has it.
func (f *forecast) take(ctx context.Context, c plan.Change, group string) (cause string, err error) {
	owned, known := f.owned[c.Instance]
	if !known {
		if owned, _, err = f.Index.Owned(ctx, c.Instance); err != nil {
			return "", fmt.Errorf("count the agents: %w", err)
		}
		f.owned[c.Instance] = owned
	}
	r := Removal{Kind: KindOf(c), Group: c.Group, Named: strings.TrimSuffix(group, " ("+c.Group+")"), Owned: owned}
	short := c.Instance + " status"
	switch r.Kind {
	case RemovalMembership:
		short = c.Instance + " group " + c.Group
	case RemovalMove:
		short = c.Instance + " move"
	}
	long, n := c.Instance, f.taken[short]
	if cause = f.Limits.Complete().Exceeded(r, Counts{Status: n, Group: n, Moves: n, Long: f.taken[long]}); cause != "" {
		return cause, nil
	}
	f.taken[short]++
	if r.Kind != RemovalMove {
		f.taken[long]++
	}
	return "", nil
}

// Submit asks for the changes of a proposal to be made: everybody concerned is
// looked at again, and what is right then is done.
func (e *Engine) Submit(ctx context.Context, changes []Proposed) ([]string, error) {
	requests := map[string]Request{}
	for _, c := range changes {
		r := Request{Person: c.Person, Priority: priority(c.Action), Trigger: TriggerApply}
		if other, twice := requests[c.Person]; twice {
			r.Priority = min(r.Priority, other.Priority)
		}
		requests[c.Person] = r
	}
	people := slices.Sorted(maps.Keys(requests))
	for part := range slices.Chunk(people, sweepChunk) {
		var batch []Request
		for _, person := range part {
			batch = append(batch, requests[person])
		}
		if err := e.Queue.Enqueue(ctx, batch...); err != nil {
			return nil, fmt.Errorf("enqueue: %w", err)
		}
	}
	return people, nil
}

// Seen is what the engine sees of one person in one instance.
type Seen struct {
	Instance string
	Person   plan.Person
	World    plan.World
	Settings plan.Settings
	Absent   error // why the instance could not be read; then there is no World but for its time
}

// Look reads everything about one person without leaving a trace, for whoever
// wants to explain it. One of several instances may be absent.
func (e *Engine) Look(ctx context.Context, id string) ([]Seen, error) {
	l := look{Engine: e, work: Work{Person: id}, started: e.Now()}
	if err := l.read(ctx); err != nil {
		return nil, fmt.Errorf("look at %s: %w", id, err)
	}
	known, err := e.Index.Agents(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look at %s: read the index: %w", id, err)
	}
	var out []Seen
	absent := 0
	for _, at := range e.Instances {
		v := l.visit(at, known)
		agents, err := v.observe(ctx)
		if err != nil {
			if absent++; absent == len(e.Instances) || ctx.Err() != nil {
				return nil, fmt.Errorf("look at %s: %w", id, at.about(err))
			}
			out = append(out, Seen{Instance: at.Name, Person: l.person, World: plan.World{Instance: at.Name, Now: l.started}, Settings: e.Settings, Absent: err})
			continue
		}
		w := plan.World{Instance: at.Name, Now: l.started, Catalog: v.catalog, People: []plan.Person{l.person}, Agents: agents}
		if w.Tombstones, err = e.buried(ctx, agents); err != nil {
			return nil, fmt.Errorf("look at %s: %w", id, err)
		}
		out = append(out, Seen{Instance: at.Name, Person: l.person, World: w, Settings: e.Settings})
	}
	return out, nil
}
