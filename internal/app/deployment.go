package app

import (
	"context"
	"errors"
	"fmt"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// noteDeployment is the note of whose deployment the store is.
const noteDeployment = "deployment"

// claim makes the store this deployment's, or refuses one that is another's: the
// agents that it knows are tagged with that one's name, and under a new one they
// would be somebody else's, for ever unchanged. A store that knows no agents any
// more can be had by a new name.
func (a *App) claim(ctx context.Context) error {
	name, err := a.backend.Note(ctx, noteDeployment)
	switch {
	case errors.Is(err, reconcile.ErrNotFound):
		name = ""
	case err != nil:
		return fmt.Errorf("read whose deployment the store is: %w", err)
	}
	if name == a.cfg.Name {
		return nil
	}
	if name != "" {
		left, err := a.agentsLeft(ctx)
		if err != nil {
			return fmt.Errorf("look whether agents of deployment %q are left: %w", name, err)
		}
		if left {
			return remedy.Mark("deployment_changed", fmt.Errorf("the store is that of the deployment %q, which has agents, and the configuration says name: %s. "+
				"Put the old name back; or, to give it another name for good, put it back, run connectroster release --all, and then change it and adopt the agents; "+
				"or, for a second deployment beside it, name another database under store.sqlite", name, a.cfg.Name))
		}
		a.log.Info("the store had another deployment, which has no agents any more", "before", name, "now", a.cfg.Name)
	}
	if err := a.backend.SaveNote(ctx, noteDeployment, a.cfg.Name); err != nil {
		return fmt.Errorf("write down whose deployment the store is: %w", err)
	}
	return nil
}

// agentsLeft tells whether the store knows an agent, be it a retired one.
func (a *App) agentsLeft(ctx context.Context) (bool, error) {
	for _, in := range a.cfg.Instances() { // a receiver has no sites
		if n, _, err := a.backend.Owned(ctx, in.Name); err != nil || n > 0 {
			return n > 0, err
		}
	}
	const page = 1000
	for after := ""; ; {
		rows, err := a.backend.People(ctx, reconcile.WaitingQuery{After: after, Limit: page})
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			after = row.Person
			if agents, err := a.backend.Agents(ctx, row.Person); err != nil || len(agents) > 0 {
				return len(agents) > 0, err
			}
		}
		if len(rows) < page {
			return false, nil
		}
	}
}
