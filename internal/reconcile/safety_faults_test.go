package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/storetest"
)

// readFaults are the ways in which an answer of Okta can be wrong.
var readFaults = []simokta.Fault{
	{Kind: simokta.FaultEmpty},
	{Kind: simokta.FaultThin, Percent: 0}, {Kind: simokta.FaultThin, Percent: 1}, {Kind: simokta.FaultThin, Percent: 10},
	{Kind: simokta.FaultThin, Percent: 50}, {Kind: simokta.FaultThin, Percent: 90}, {Kind: simokta.FaultThin, Percent: 99},
	{Kind: simokta.FaultNoNext}, {Kind: simokta.FaultEmptyNext}, {Kind: simokta.FaultLoop}, {Kind: simokta.FaultForeignNext}, {Kind: simokta.FaultTwoNext},
	{Kind: simokta.FaultTruncate}, {Kind: simokta.FaultHalf}, {Kind: simokta.FaultNull}, {Kind: simokta.FaultObject},
	{Kind: simokta.FaultWrongOrg}, {Kind: simokta.FaultOtherRows}, {Kind: simokta.FaultDuplicate}, {Kind: simokta.FaultBomb, Size: 33 << 20},
	{Status: 200}, {Status: 204}, {Status: 302}, {Status: 401}, {Status: 403}, {Status: 404}, {Status: 410}, {Status: 429}, {Status: 500}, {Status: 503},
	{Kind: simokta.FaultReset}, {Kind: simokta.FaultTimeout},
}

// removalReads are all reads that a removal can rest on. Only the first has as
// many pages as there are positions; of the others the position is the call from
// which on all are spoiled.
var removalReads = []string{
	"GET /api/v1/groups/{id}/users", "GET /api/v1/groups", "GET /api/v1/groups/{id}", "GET /api/v1/apps", "GET /api/v1/apps/{id}",
	"GET /api/v1/apps/{id}/users", "GET /api/v1/apps/{id}/users/{user}", "GET /api/v1/users/{id}", "GET /api/v1/users/{id}/groups", "GET /api/v1/logs",
}

// spoil plans one fault at a position of one read, for as long as nobody mends it.
func (c *company) spoil(f simokta.Fault, read string, position int) {
	f.Endpoint, f.Times = read, -1
	if read == removalReads[0] {
		f.Page = position
	} else {
		f.Nth = position
	}
	must(c.t, c.org.AddFaults(f))
}

// TestReadFaultsRemoveNobody is promise P-20: whatever is wrong with what Okta
// answers, nobody loses anything. Each fault strikes at each of five positions,
// at the beginning, later on, and under a changed configuration; once in one kind
// of them alone and once in all reads. A normal run has 201 people and plays every
// 16th case.
func TestReadFaultsRemoveNobody(t *testing.T) {
	t.Parallel()
	people := 201
	if full() {
		people = 1000
	}
	for _, phase := range []string{"startup", "steady", "after upgrade"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			c := newImpatientCompany(t, 500*time.Millisecond, people)
			ids := c.staff[0]
			// Somebody who left once and came back: of whom the log tells both.
			returner := ids[len(ids)/2]
			must(t, c.org.Leave(returner, c.groups[0]))
			c.clock.Advance(time.Minute)
			must(t, c.org.Join(returner, c.groups[0]))
			c.sweepAndCatchUp()
			c.settle(time.Minute)
			c.clock.Advance(3 * time.Hour) // so that the log that is read has few of all these events
			c.sweepAndCatchUp()
			writes := len(c.sim.Ledger())
			looked := []string{ids[0], ids[1], returner, ids[len(ids)-1]}

			played, struck := 0, 0
			for n, fault := range readFaults {
				for position := 1; position <= 5; position++ {
					number := n*5 + position
					if !full() && number%16 != len(phase)%16 {
						continue
					}
					played++
					for _, spoiled := range [][]string{removalReads, {removalReads[(n+position)%len(removalReads)]}} {
						begun := time.Now()
						switch phase {
						case "startup":
							c.store = storetest.NewMemory(c.clock.Now)
							c.shelve()
						case "after upgrade":
							c.config.Scope = fmt.Sprint(number, len(spoiled), spoiled[0])
						}
						c.restart()
						for _, read := range spoiled {
							c.spoil(fault, read, position)
						}
						for range 2 {
							_, _ = c.engine.CatchUp(t.Context())
							_, _ = c.engine.Sweep(t.Context())
							c.ask(looked...)
							c.settle(10 * time.Minute)
						}
						for _, f := range c.org.Faults() {
							struck += f.Struck
						}
						what := fmt.Sprintf("%s: %+v at %d of %v", phase, fault, position, spoiled)
						if lost := c.gone(ids); len(lost) > 0 {
							t.Fatalf("%s: %v lost something", what, lost)
						}
						if n := len(c.sim.Ledger()); n != writes {
							t.Fatalf("%s: %d writes", what, n-writes)
						}
						if took := time.Since(begun); took > time.Second {
							t.Logf("%s took %s", what, took)
						}
						c.org.ClearFaults()
						c.clock.Advance(5 * time.Minute) // a credential that was refused is not tried again at once
						_, _ = c.engine.CatchUp(t.Context())
						if swept := c.sweep(); swept.Changes != 0 {
							t.Fatalf("%s: %d changes after all is well", what, swept.Changes)
						}
						c.ask(looked...)
						c.settle(2 * time.Hour)
						if n := len(c.sim.Ledger()); n != writes {
							t.Fatalf("%s: %d writes after all is well", what, n-writes)
						}
					}
				}
			}
			t.Logf("%d cases, spoiled answers: %d, people: %d, writes: 0", played, struck, people)
			if struck == 0 {
				t.Error("no fault was met")
			}
		})
	}
}

// shelve puts the store of the company into the configuration.
func (c *company) shelve() {
	s := c.store
	c.config.Queue, c.config.Index, c.config.Intents, c.config.Notes, c.config.Tombstones, c.config.Guard, c.config.Journal = s, s, s, s, s, s, s
}
