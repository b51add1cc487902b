package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// OrderRequest asks for something about people's agents.
type OrderRequest struct {
	People []string `json:"people,omitempty"`
	All    bool     `json:"all,omitempty"`   // adopt and release
	Why    string   `json:"why,omitempty"`   // restore
	Until  string   `json:"until,omitempty"` // restore
}

// order has something done about people's agents that only people ask for.
func (a *App) order(kind reconcile.OrderKind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body OrderRequest
		if !read(w, r, maxBody, &body) {
			return
		}
		patient(w)
		stay := reconcile.Stay{Who: operator(r.Context()), Why: body.Why, Since: a.now()}
		var err error
		switch {
		case kind != reconcile.OrderRestore && body.Why+body.Until != "":
			err = fmt.Errorf("%s takes neither why nor until", kind)
		case kind == reconcile.OrderRestore && body.All:
			err = errors.New("restore takes no all: name the people")
		case body.All && len(body.People) > 0:
			err = errors.New("give people or all, not both")
		case !body.All && len(body.People) == 0:
			err = errNobody
		case kind == reconcile.OrderRestore:
			stay.Until, err = until(body.Until, a.now(), stayAfterRestoration)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), planWithin)
		defer cancel()
		e, err := a.orderOf(ctx, kind, body)
		if err != nil {
			reply(w, nil, err)
			return
		}
		by := operator(r.Context())
		e.order = map[reconcile.OrderKind]plan.Action{
			reconcile.OrderAdopt: plan.Adopt, reconcile.OrderRelease: plan.Release, reconcile.OrderRestore: plan.Resume,
		}[kind]
		if kind == reconcile.OrderRestore {
			if e.refused, err = a.unrestorable(ctx, e.people); err != nil {
				reply(w, nil, err)
				return
			}
		}
		asked := slices.DeleteFunc(slices.Clone(e.people), func(id string) bool { return e.refused[id] != "" })
		e.submit = func(ctx context.Context) error {
			if kind == reconcile.OrderRestore {
				if stay.Why == "" {
					stay.Why = "restored"
				}
				var stays []reconcile.Stay
				for _, id := range asked {
					stay.Person = id
					stays = append(stays, stay)
				}
				if err := a.engine.Stay(ctx, stays...); err != nil {
					return err
				}
			}
			for part := range slices.Chunk(asked, 500) {
				var people, agents []string
				for _, id := range part {
					if e.ownerless[id] {
						agents = append(agents, id)
					} else {
						people = append(people, id)
					}
				}
				err := a.engine.Order(ctx, kind, by, people...)
				if err == nil {
					err = a.engine.ReleaseOwnerless(ctx, by, agents...)
				}
				if err != nil {
					return err
				}
			}
			a.log.Info("somebody asked for something", "order", string(kind), "people", len(asked), "by", by)
			return nil
		}
		a.carryOut(w, r, e)
	}
}

// orderOf finds out whom an order is about.
func (a *App) orderOf(ctx context.Context, kind reconcile.OrderKind, body OrderRequest) (errand, error) {
	var e errand
	var err error
	switch {
	case !body.All && kind == reconcile.OrderRelease:
		e, err = a.releasable(ctx, body.People)
	case !body.All:
		e.people, e.names, err = a.resolve(ctx, body.People)
	case kind == reconcile.OrderAdopt:
		e.people, e.names, err = a.adoptable(ctx)
	default:
		e, err = a.owned(ctx)
	}
	e.eta = a.slowest(len(e.people))
	return e, err
}

// nothingSuspended is the reason for which somebody is not restored.
const nothingSuspended = "has no suspended agent: there is nothing to restore, and no stay was put on them"

// unrestorable gives those of people who have no suspended agent. What the index
// lacks proves nothing, so about whom it knows no such agent the instances are
// asked.
func (a *App) unrestorable(ctx context.Context, people []string) (map[string]string, error) {
	out := map[string]string{}
	for _, id := range people {
		suspended, err := a.knownSuspended(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("look whether there is something to restore: %w", err)
		}
		if !suspended {
			out[id] = nothingSuspended
		}
	}
	for _, s := range a.sites {
		if len(out) == 0 {
			break
		}
		for agent, err := range s.instance.Agents(ctx, nil) {
			if err != nil {
				return nil, about(s.name, fmt.Errorf("read the agents: %w", err))
			}
			if a.isSuspended(agent, agent.Owner) {
				delete(out, agent.Owner)
			}
		}
	}
	return out, nil
}

// knownSuspended tells whether the index leads to a suspended agent of somebody.
func (a *App) knownSuspended(ctx context.Context, id string) (bool, error) {
	known, err := a.backend.Agents(ctx, id)
	if err != nil {
		return false, err
	}
	for _, k := range known {
		s := a.site(k.Instance)
		if s == nil {
			continue
		}
		agent, err := s.instance.Agent(ctx, k.Agent)
		switch {
		case errors.Is(err, reconcile.ErrNotFound):
		case err != nil:
			return false, about(s.name, fmt.Errorf("read agent %s: %w", k.Agent, err))
		case a.isSuspended(agent, id):
			return true, nil
		}
	}
	return false, nil
}

func (a *App) isSuspended(agent plan.Agent, owner string) bool {
	return agent.Owner == owner && agent.Deployment == a.cfg.Name && agent.State == plan.StateSuspended
}

// slowest is how many seconds a call for each of so many people takes.
func (a *App) slowest(people int) float64 {
	out := 0.0
	for _, s := range a.sites {
		if s.rate > 0 {
			out = max(out, float64(people-s.burst)/s.rate)
		}
	}
	return out
}

// adoptable gives the people who are refused an agent because an agent that is
// nobody's has their username.
func (a *App) adoptable(ctx context.Context) (people []string, names map[string]string, err error) {
	p, err := a.engine.Propose(ctx)
	if err != nil {
		return nil, nil, err
	}
	names = map[string]string{}
	for _, r := range p.Refusals {
		if r.Code != plan.ExistsNotOurs || r.Agent == "" || names[r.Person] != "" {
			continue
		}
		s := a.site(r.Instance)
		if s == nil {
			continue
		}
		agent, err := s.instance.Agent(ctx, r.Agent)
		switch {
		case errors.Is(err, reconcile.ErrNotFound):
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("read agent %s: %w", r.Agent, err)
		case agent.Deployment != "" || agent.Owner != "":
			continue
		}
		people = append(people, r.Person)
		names[r.Person] = r.Username
	}
	return people, names, nil
}

// releasable finds whom a release names: people, by what an agent of theirs is called
// too, and agents of this deployment that have lost their owner, by the UserId or the
// username. Who is known needs no answer of Amazon Connect: the order waits for that.
func (a *App) releasable(ctx context.Context, refs []string) (errand, error) {
	e := errand{names: map[string]string{}, ownerless: map[string]bool{}}
	lost, tagged, unread := a.shown(ctx)
	if unread != nil {
		a.log.Warn("cannot see which agents have no owner, nor whether somebody has more than are known; people alone are looked for", "error", unread)
	}
	var err error
	var people []string
	for _, ref := range refs {
		var found []string
		for _, agent := range lost {
			if agent.ID == ref || plan.Fold(agent.Username) == plan.Fold(ref) {
				e.add(agent.ID, ref)
				e.ownerless[agent.ID] = true
				found = append(found, agent.ID)
			}
		}
		others := len(found) == 0
		if !others && !slices.Contains(found, ref) { // whose name it is may have other agents, too
			if others, err = a.hasOther(ctx, ref, found); err != nil {
				return e, err
			}
		}
		if others {
			people = append(people, ref)
		}
	}
	ids, called, err := resolveBy(ctx, people, func(ctx context.Context, ref string) (string, error) {
		id, err := a.findOwner(ctx, ref)
		var nobodys *ownerlessError // that no search shows yet
		if errors.As(err, &nobodys) {
			e.ownerless[nobodys.agent] = true
			return nobodys.agent, nil
		}
		return id, err
	})
	for _, id := range ids {
		e.add(id, called[id])
		if err == nil {
			err = a.learn(ctx, id, tagged[id])
		}
	}
	if err != nil && unread != nil {
		err = unread // it may be the name of an agent
	}
	return e, err
}

// shown gives the agents of this deployment as a search shows them: those that have no
// owner, and the others by theirs.
func (a *App) shown(ctx context.Context) (lost []plan.Agent, tagged map[string][]reconcile.Known, err error) {
	tagged = map[string][]reconcile.Known{}
	for _, s := range a.sites {
		for agent, err := range s.instance.Agents(ctx, nil) {
			switch {
			case err != nil:
				return nil, nil, about(s.name, fmt.Errorf("read the agents: %w", err))
			case agent.Deployment != a.cfg.Name:
			case agent.Owner == "":
				lost = append(lost, agent)
			default:
				tagged[agent.Owner] = append(tagged[agent.Owner], entryOf(s, agent))
			}
		}
	}
	return lost, tagged, nil
}

func entryOf(s *site, agent plan.Agent) reconcile.Known {
	return reconcile.Known{Instance: s.name, Owner: agent.Owner, Agent: agent.ID, Retired: agent.State == plan.StateRetired, Group: agent.Group}
}

// learn makes agents of somebody known that were not, such as one that got their tags by
// hand since the last sweep. A search lags, and what is written here takes the agent from
// whomever it is known as, so that they could not lose it any more: it is read itself.
func (a *App) learn(ctx context.Context, id string, tagged []reconcile.Known) error {
	if len(tagged) == 0 {
		return nil
	}
	known, err := a.backend.Agents(ctx, id)
	if err != nil {
		return err
	}
	var more []reconcile.Known
	for _, t := range tagged {
		if slices.ContainsFunc(known, func(k reconcile.Known) bool { return entryKey(k) == entryKey(t) }) {
			continue
		}
		s := a.site(t.Instance)
		agent, err := s.instance.Agent(ctx, t.Agent)
		switch {
		case errors.Is(err, reconcile.ErrNotFound):
		case err != nil:
			return about(s.name, fmt.Errorf("read agent %s: %w", t.Agent, err))
		case agent.Owner == id && agent.Deployment == a.cfg.Name:
			more = append(more, entryOf(s, agent))
		}
	}
	if err := a.backend.Remember(ctx, more...); err != nil {
		return fmt.Errorf("remember the agents of %s: %w", id, err)
	}
	return nil
}

// entryKey is by what the index tells agents apart.
func entryKey(k reconcile.Known) [2]string { return [2]string{k.Instance, k.Agent} }

// hasOther reports whether somebody is known to have agents besides some.
func (a *App) hasOther(ctx context.Context, ref string, some []string) (bool, error) {
	id, err := a.find(ctx, ref)
	if errors.Is(err, reconcile.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find %q: %w", ref, err)
	}
	known, err := a.backend.Agents(ctx, id)
	return slices.ContainsFunc(known, func(k reconcile.Known) bool { return !slices.Contains(some, k.Agent) }), err
}

// add puts somebody on the list, once.
func (e *errand) add(id, name string) {
	if _, twice := e.names[id]; !twice {
		e.people = append(e.people, id)
		e.names[id] = name
	}
}

// owned gives everybody who owns an agent of this deployment: those whom a search
// shows, and those whose agent is too new for it. Agents without an owner stand for
// themselves.
func (a *App) owned(ctx context.Context) (errand, error) {
	e := errand{names: map[string]string{}, ownerless: map[string]bool{}}
	fresh := map[[2]string]reconcile.Known{} // what the search shows and is not known as anybody's
	for _, s := range a.sites {
		for agent, err := range s.instance.Agents(ctx, nil) {
			switch {
			case err != nil:
				return e, about(s.name, fmt.Errorf("read the agents: %w", err))
			case agent.Deployment != a.cfg.Name:
			case agent.Owner == "":
				e.add(agent.ID, agent.Username)
				e.ownerless[agent.ID] = true
			default:
				e.add(agent.Owner, agent.Username)
				k := entryOf(s, agent)
				fresh[entryKey(k)] = k
			}
		}
	}
	for _, id := range e.people {
		agents, err := a.backend.Agents(ctx, id)
		if err != nil {
			return e, err
		}
		for _, k := range agents {
			delete(fresh, entryKey(k))
		}
	}
	const page = 1000
	for after := ""; ; {
		rows, err := a.backend.People(ctx, reconcile.WaitingQuery{After: after, Limit: page})
		if err != nil {
			return e, err
		}
		for _, row := range rows {
			after = row.Person
			if _, known := e.names[row.Person]; known {
				continue
			}
			agents, err := a.backend.Agents(ctx, row.Person)
			if err != nil {
				return e, err
			}
			for _, k := range agents {
				delete(fresh, entryKey(k))
				if !e.ownerless[k.Agent] {
					e.add(row.Person, "")
				}
			}
		}
		if len(rows) < page {
			break
		}
	}
	return e, a.backend.Remember(ctx, slices.Collect(maps.Values(fresh))...)
}
