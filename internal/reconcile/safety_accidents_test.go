package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// accident is something that happens to a whole group by mistake.
type accident struct {
	cliff  bool // it befalls all of them at once, so that nobody is processed
	status bool // their own records say that they left, which is proof of its own
	happen func(c *company, team string)
	spares func(n int) int // how many of the group keep their place all the same
}

var accidents = map[string]accident{
	"empty":  {cliff: true, happen: func(c *company, team string) { must(c.t, c.org.EmptyGroup(team)) }},
	"delete": {cliff: true, happen: func(c *company, team string) { must(c.t, c.org.DeleteGroup(team)) }},
	"rename": {cliff: true, happen: func(c *company, team string) { must(c.t, c.org.UpdateGroup(team, "Team 0 (old)", "")) }},
	"rule off": {cliff: true, happen: func(c *company, team string) {
		// Members by a rule alone, which is deleted together with what it gave.
		must(c.t, c.org.EmptyGroup(team))
		_, err := c.org.AddRule("staff", `String.startsWith(user.login, "u0.")`, team)
		must(c.t, err)
		c.lose()
		c.clock.Advance(time.Minute)
		c.sweepAndCatchUp()
		c.settle(time.Minute)
		must(c.t, c.org.DeleteRule("staff", true))
	}},
	"mapping line removed": {cliff: true, happen: func(c *company, _ string) {
		c.mapped = c.mapped[1:]
		c.config.Settings.Rules = c.config.Settings.Rules[1:]
		c.config.Scope = "a line shorter"
		c.restart()
	}},
	"80 % moved": {
		happen: func(c *company, team string) { must(c.t, c.org.MoveMembers(team, "Lunch", 80)) },
		spares: func(n int) int { return n - n*80/100 },
	},
	"all suspended": {status: true, happen: func(c *company, team string) { must(c.t, c.org.ChangeMembers(team, "suspend")) }},
}

// TestAccidentsAreHeld is promise P-21: of those whom an accident to a group
// concerns, at most five are processed, the rest is held and somebody is told.
// What is then approved is done, and nothing else; what is rejected is not.
// A normal run leaves the groups of 1,000 out.
func TestAccidentsAreHeld(t *testing.T) {
	t.Parallel()
	sizes := []int{1, 5, 6, 50}
	if full() {
		sizes = append(sizes, 1000)
	}
	for name, a := range accidents {
		for _, size := range sizes {
			for _, approve := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/approved %v", name, size, approve), func(t *testing.T) {
					t.Parallel()
					concerned := size
					if a.spares != nil {
						concerned -= a.spares(size)
					}
					c := newCompany(t, size, 20)
					a.happen(c, c.groups[0])
					c.afterAccident(name, a, concerned, approve)
				})
			}
		}
	}
}

// afterAccident plays what comes of it: by hooks, by the log and by sweeps.
func (c *company) afterAccident(name string, a accident, concerned int, approve bool) {
	t, team, others := c.t, c.staff[0], c.staff[1]
	c.deliver(c.mail()...)
	c.settle(5 * time.Second)
	for range 4 {
		_, _ = c.engine.CatchUp(t.Context()) // a group that is gone or renamed makes it fail, as it should
		_, _ = c.engine.Sweep(t.Context())
		c.ask(team...)
		c.settle(20 * time.Minute)
	}
	most := 5
	if a.status {
		most = max(5, (len(team)+len(others))/10)
	}
	if a.cliff {
		most = 0
	}
	gone, held := c.gone(team), c.held()
	if len(gone) > most {
		t.Fatalf("%d of %d are suspended, at most %d may be", len(gone), concerned, most)
	}
	if name == "rename" { // it is the same group, and nobody is taken for having left
		if len(gone)+len(held) > 0 {
			t.Fatalf("%d are suspended and %d held", len(gone), len(held))
		}
		if _, err := c.engine.Sweep(t.Context()); err == nil {
			t.Error("nobody hears of the rename")
		}
		return
	}
	if len(gone)+len(held) != concerned {
		t.Fatalf("%d are suspended and %d held, of %d", len(gone), len(held), concerned)
	}
	told := map[string]bool{}
	for _, n := range c.notices {
		told[n.Person] = true
	}
	for _, id := range held {
		if !told[id] {
			t.Fatalf("nobody was told that %s is held", id)
		}
	}
	if len(held) == 0 {
		return
	}
	wanted := map[string]string{}
	for _, e := range c.waiting() {
		wanted[e.Person] = e.Hash
	}
	from := c.lastEntry()
	if approve {
		c.approve("")
		c.settle(10 * time.Minute)
		c.exactly(wanted, from)
		if now := c.gone(team); len(now) != concerned {
			t.Errorf("%d of %d are suspended after the approval", len(now), concerned)
		}
	} else {
		c.decide(reconcile.Decision{By: "ann", Stay: reconcile.Stay{Who: "ann", Why: "an accident", Until: c.clock.Now().Add(48 * time.Hour)}})
		for range 3 {
			c.clock.Advance(12 * time.Hour)
			_, _ = c.engine.Sweep(t.Context())
			c.ask(team...)
			c.settle(time.Hour)
		}
		if now := c.gone(team); !slices.Equal(now, gone) {
			t.Errorf("%d are suspended after the rejection, and %d were before", len(now), len(gone))
		}
	}
	if lost := c.gone(others); len(lost) > 0 {
		t.Errorf("the accident has reached %v of another group", lost)
	}
}

// lastEntry is the number of the newest entry of the journal.
func (c *company) lastEntry() int64 {
	entries, err := c.store.Recent(c.t.Context(), reconcile.Query{Limit: 1})
	must(c.t, err)
	if len(entries) == 0 {
		return 0
	}
	return entries[0].Seq
}

// exactly finds out whether the changes since an entry are those of the plan, by
// person and hash.
func (c *company) exactly(wanted map[string]string, from int64) {
	c.t.Helper()
	entries, err := c.store.Recent(c.t.Context(), reconcile.Query{Kind: reconcile.EntryChange, After: from, Limit: 10_000})
	must(c.t, err)
	done := map[string]string{}
	for _, e := range entries {
		change := plan.Change{Action: e.Action, Instance: e.Instance, Person: e.Person, Agent: e.Agent, Fields: e.Fields, Before: e.Before, After: e.After}
		if _, twice := done[e.Person]; twice {
			c.t.Errorf("two changes of %s", e.Person)
		}
		done[e.Person] = change.Hash()
		if e.Hold == "" {
			c.t.Errorf("the journal does not say by which hold %s was suspended", e.Person)
		}
	}
	if len(done) != len(wanted) {
		c.t.Errorf("%d changes were made, and %d approved", len(done), len(wanted))
	}
	for person, hash := range wanted {
		if done[person] != hash {
			c.t.Errorf("what was done to %s is not what was approved", person)
		}
	}
}

// TestLeaversGoFast is promise P-22: those who really left lose their access
// within a minute of the hook, and within the poll interval and a minute if no
// hook comes, in spite of all that holds accidents.
func TestLeaversGoFast(t *testing.T) {
	t.Parallel()
	const poll = time.Minute // as the program does
	population := 200
	if full() {
		population = 1000
	}
	for _, leavers := range []int{1, 5, 20} {
		for _, hooks := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/hooks %v", leavers, hooks), func(t *testing.T) {
				t.Parallel()
				c := newCompany(t, population)
				ids := c.staff[0][:leavers]
				for _, id := range ids {
					must(t, c.org.Deactivate(id))
				}
				if hooks {
					c.deliver(c.mail()...)
				} else {
					c.lose()
					c.clock.Advance(poll)
					_, err := c.engine.CatchUp(t.Context())
					must(t, err)
				}
				c.settle(time.Minute)
				if n := len(c.gone(ids)); n != leavers {
					t.Errorf("%d of %d are suspended", n, leavers)
				}
				if n := len(c.gone(c.everybody())); n != leavers {
					t.Errorf("%d are suspended, and %d left", n, leavers)
				}
			})
		}
	}
}
