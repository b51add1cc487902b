package reconcile_test

import (
	"testing"

	"connectroster/internal/plan"
)

// The modes of most histories that are kept.
var (
	apiSync    = mode{api: true, policy: plan.Sync}
	apiUpsert  = mode{api: true, policy: plan.UpsertOnly}
	hookCreate = mode{policy: plan.CreateOnly}
	hookUpsert = mode{policy: plan.UpsertOnly}
)

// kept are histories that once found a fault of the product, or of the model.
var kept = map[string]struct {
	in    mode
	steps string
}{
	"the answer to a creation is lost, its person leaves, and searches lag": {apiSync, `
		lag 3 0
		create-fault 0 7
		hire 0 0
		work 0 0
		delete 0 0
	`},
	"a lost answer, and another login before the agent can be seen": {apiSync, `
		lag 3 0
		create-fault 0 7
		hire 0 0
		work 0 0
		login 0 3
	`},
	"a lost answer, of somebody whose first agent lost its tags": {apiSync, `
		hire 0 0
		work 0 0
		hand-untag 0 0
		login 4 0
		create-fault 0 7
		deliver 0 0
		work 0 0
		leave 0 0
		deliver 0 0
		work 0 0
	`},
	"a search shows an agent that is gone, and the answer of its successor is lost": {hookCreate, `
		lag 2 0
		create-fault 0 1
		hire 0 2
		forge 5 0
		shift 4 0
		create-fault 0 1
		sweep 0 0
		batch 0 0
		hand-delete 0 0
		shift 0 0
	`},
	"away for nearly as long as the log is kept, by a clock that is behind": {apiSync, `
		catch-up 0 0
		step 0 0
		stage 0 0
		away 2 0
		wait 7 0
		step 2 0
		away 1 0
	`},
	"a crash between a gap in the log and its sweep": {apiSync, `
		catch-up 0 0
		hire 0 0
		wait 6 0
		crash 1 5
		old-cursors 0 0
		catch-up 0 0
	`},
	"a gap, and nothing can be stored": {apiSync, `
		old-cursors 0 0
		catch-up 0 0
		wait 7 0
		store-full 0 0
		catch-up 0 0
	`},
	"away for longer than the log is kept": {apiSync, `
		catch-up 0 0
		hire 0 0
		away 5 0
		catch-up 0 0
	`},
	"a sweep is owed for a group that is gone, and the clock goes back": {apiSync, `
		group-delete 0 0
		catch-up 0 0
		step 2 0
	`},
	"events come late into the log": {apiSync, `
		hire 0 0
		late-log 1 0
		activate 0 0
		batch 1 7
	`},
}

// TestHistories plays what was kept.
func TestHistories(t *testing.T) {
	t.Parallel()
	for name, k := range kept {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := parseHistory(k.steps)
			if err != nil {
				t.Fatal(err)
			}
			if err := play(t.Context(), newBench(t), k.in, mistake{}, h); err != nil {
				t.Error(err)
			}
		})
	}
}
