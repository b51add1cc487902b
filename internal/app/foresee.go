package app

import (
	"cmp"
	"context"
	"strings"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Forecast tells what the guard would make of the changes of a plan that take
// access away or move somebody, were they all made now. What waits in a hold, or is
// left alone because of a stay, is not among them.
type Forecast struct {
	Go   int `json:"go"`   // that may go at once
	Held int `json:"held"` // that would wait for approval
}

// What begins the remarks of a plan about changes that would wait for approval.
const (
	remarkHeld  = "will be held for approval: "
	remarkCliff = "will have to be approved: "
)

// foresee gives nil where the guard has no say in anything.
func foresee(changes []reconcile.Proposed) *Forecast {
	var f Forecast
	for _, c := range changes {
		switch {
		case !guarded(c.Change):
		case c.Guard == "":
			f.Go++
		case wouldBeHeld(c):
			f.Held++
		}
	}
	if f == (Forecast{}) {
		return nil
	}
	return &f
}

// guarded reports whether the guard has a say in a change. To park once more what
// was parked already takes nothing from anybody.
func guarded(c plan.Change) bool {
	again := c.Action == plan.Suspend && c.Before != nil && !c.Buries()
	return !again && reconcile.KindOf(c) != ""
}

func wouldBeHeld(c reconcile.Proposed) bool {
	return strings.HasPrefix(c.Guard, remarkHeld) || strings.HasPrefix(c.Guard, remarkCliff)
}

// manyGroups is of how many groups a plan asks what became of them.
const manyGroups = 20

// foreseeCliffs marks the removals that will have to be approved whatever the
// numbers: those that a sweep has flagged, and those of people who left a group
// that is gone or empty. Okta is asked once for each group. Where it does not
// answer the plan is as good as without: the look at each person asks again.
func (a *App) foreseeCliffs(ctx context.Context, changes []reconcile.Proposed) error {
	groups := map[string]string{}
	for i, c := range changes {
		if !c.Removes() || !guarded(c.Change) || c.Guard != "" && !strings.HasPrefix(c.Guard, remarkHeld) {
			continue
		}
		cliff, err := a.flagged(ctx, c.Change)
		if err != nil {
			return err
		}
		if c.Evidence == plan.EvidenceMembership && c.Before != nil && c.Before.Group != "" && cliff == "" {
			group := c.Before.Group
			if _, known := groups[group]; !known && len(groups) < manyGroups {
				evidence, err := a.engine.Directory.Evidence(ctx, reconcile.Question{Person: c.Person, Group: group})
				if err != nil {
					a.log.Warn("cannot foresee whether removals will have to be approved", "group", group, "error", err)
				}
				groups[group] = evidence.Cliff
			}
			cliff = groups[group]
		}
		if cliff != "" {
			changes[i].Guard = remarkCliff + cliff
		}
	}
	return nil
}

// flagged tells why the last sweep wanted a removal to be approved.
func (a *App) flagged(ctx context.Context, c plan.Change) (string, error) {
	known, err := a.backend.Agents(ctx, c.Person)
	if err != nil {
		return "", err
	}
	cliff := ""
	for _, k := range known {
		if k.Instance == c.Instance && k.Agent == c.Agent {
			cliff = cmp.Or(cliff, k.Cliff)
		}
	}
	return cliff, nil
}
