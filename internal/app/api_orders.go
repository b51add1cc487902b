package app

import (
	"context"
	"errors"
	"fmt"
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
				if err := a.engine.Order(ctx, kind, by, part...); err != nil {
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
	case !body.All:
		e.people, e.names, err = a.resolve(ctx, body.People)
	case kind == reconcile.OrderAdopt:
		e.people, e.names, err = a.adoptable(ctx)
	default:
		e.people, e.names, err = a.owners(ctx)
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

// owners gives everybody who owns an agent of this deployment: those whom a
// search shows, and those whose agent is too new for it.
func (a *App) owners(ctx context.Context) (people []string, names map[string]string, err error) {
	names = map[string]string{}
	add := func(id, name string) {
		if _, twice := names[id]; !twice {
			people = append(people, id)
			names[id] = name
		}
	}
	for _, s := range a.sites {
		for agent, err := range s.instance.Agents(ctx, nil) {
			if err != nil {
				return nil, nil, about(s.name, fmt.Errorf("read the agents: %w", err))
			}
			if agent.Owner != "" && agent.Deployment == a.cfg.Name {
				add(agent.Owner, agent.Username)
			}
		}
	}
	const page = 1000
	for after := ""; ; {
		rows, err := a.backend.People(ctx, reconcile.WaitingQuery{After: after, Limit: page})
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			after = row.Person
			if _, known := names[row.Person]; known {
				continue
			}
			agents, err := a.backend.Agents(ctx, row.Person)
			if err != nil {
				return nil, nil, err
			}
			if len(agents) > 0 {
				add(row.Person, "")
			}
		}
		if len(rows) < page {
			return people, names, nil
		}
	}
}
