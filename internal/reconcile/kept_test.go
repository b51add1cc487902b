package reconcile_test

import (
	"testing"

	"connectroster/internal/plan"
)

// The modes of most histories that are kept.
var (
	apiSync    = mode{api: true, policy: plan.Sync}
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
	"a replacement finds its name taken by an agent that searches did not show": {apiSync, `
		hire 0 0
		batch 0 0
		shift 0 0
		login 0 1
		by-hand 1 0
		lag 7 0
	`},
	"a replacement is cut short, and the old agent loses its tags": {apiSync, `
		hire 0 0
		shift 0 0
		create-fault 0 0
		login 0 4
		adopt 0 0
		work 0 0
		hand-untag 0 0
	`},
	"a new agent is updated before searches show it": {hookUpsert, `
		lag 7 0
		hire 0 0
		deliver 4 0
		shift 0 0
		forge 6 5
		shift 0 0
	`},
	"an order finds the answer to a creation lost": {hookUpsert, `
		hire 0 4
		name 0 0
		store-full 0 0
		join 0 1
		name 0 2
		sweep 0 0
		leave 0 0
		crash 7 1
		deliver 6 0
		join 0 0
		replay 0 7
		lag 3 0
		deliver 0 0
		work 0 0
		restore 0 0
	`},
	"somebody with two agents leaves": {apiSync, `
		hire 0 0
		shift 0 0
		away 4 0
		twin 0 0
		delete 0 0
	`},
	"the log tells of somebody whose id differs by case": {apiSync, `
		hire 0 2
		login 0 1
		login 0 0
		meanwhile 7 0
		hire 2 0
		sweep 0 0
		work 0 0
	`},
	"an agent loses its tags while its suspension is held": {apiSync, `
		hire 0 0
		read-fault 1 2
		catch-up 0 0
		work 0 0
		suspend 0 0
		deliver 0 0
		work 0 0
		hand-untag 0 0
	`},
	"a hold expires, and its agent is deleted by hand": {apiSync, `
		hire 0 0
		shift 0 0
		empty 0 0
		shift 0 0
		wait 6 0
		hand-delete 0 0
	`},
	"an approval meets an order": {apiSync, `
		hire 0 1
		stage 0 4
		work 0 0
		exodus 5 7
		shift 0 0
		join 0 4
		approve 0 0
		stage 4 0
		restore 3 0
	`},
	"the floor moves somebody whose return was cut short, who then leaves again": {apiSync, `
		hire 0 0
		shift 0 0
		suspend 0 0
		shift 0 0
		unsuspend 0 0
		cut 3 1
		work 0 0
		floor-move 0 1
		shift 0 0
		suspend 0 0
		shift 0 0
		unsuspend 0 0
		shift 0 0
	`},
	"a suspended agent is copied with its tags": {apiSync, `
		hire 0 0
		work 0 0
		crash 0 0
		shift 0 0
		hire 1 0
		delete 0 0
		work 5 0
		empty 0 0
		twin 0 0
	`},
	"somebody comes back without an event while they are held": {apiSync, `
		hire 0 0
		meanwhile 0 0
		work 0 0
		away 2 0
		deliver 0 0
		work 0 0
		status 0 0
		wait 6 0
	`},
	"the answer is lost, the search lags, and the person seems to have left": {hookCreate, `
		create-fault 0 1
		lag 3 0
		hire 0 0
		deliver 2 0
		work 0 0
		forge 6 0
		shift 2 0
		wait 4 0
		shift 0 0
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
