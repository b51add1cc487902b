package reconcile_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// ledgerOf gives the operations on an agent since an entry, in order.
func (r *rig) ledgerOf(agent string, after int) (operations []string) {
	for _, e := range r.sim.LedgerAfter(after) {
		if e.Agent == agent {
			operations = append(operations, e.Operation)
		}
	}
	return operations
}

// strangers are agents that are not ours, among them such as look like somebody
// of the directory.
func strangers(random *rand.Rand, r *rig, ids []string) (agents []string) {
	for n := range random.IntN(6) + 1 {
		id := ids[random.IntN(len(ids))]
		username := id + "@example.com"
		switch random.IntN(4) {
		case 1:
			username = strings.ToUpper(username)
		case 2:
			username = strings.Title(username) //nolint:staticcheck // ASCII alone
		case 3:
			username = fmt.Sprintf("stranger%d@example.com", n)
		}
		tags := []map[string]string{
			nil,
			{"connectroster:owner": id, "connectroster:deployment": "other", "connectroster:state": "active"},
			{"connectroster:deployment": deployment},
			{"connectroster:owner": id},
			{"team": "night"},
		}[random.IntN(5)]
		a, err := r.sim.AddAgent(simconnect.Agent{
			Username: username, IdentityInfo: simconnect.IdentityInfo{FirstName: "Ana", LastName: "Silva", Email: id + "@example.com"}, Tags: tags,
			RoutingProfile: r.sim.RoutingProfileID("Sales"), SecurityProfiles: []string{r.sim.SecurityProfileID("Agent")},
		})
		if err == nil { // the name can be taken
			agents = append(agents, a.ID)
		}
	}
	return agents
}

// befall does something to one of the people.
func (r *rig) befall(random *rand.Rand, ids []string, n int) {
	id := ids[random.IntN(len(ids))]
	switch random.IntN(8) {
	case 0:
		r.quit(id)
	case 1:
		r.back(id)
	case 2:
		r.status(plan.StatusSuspended, id)
	case 3:
		r.status(plan.StatusActive, id)
	case 4:
		r.change(id, func(p *plan.Person) { p.LastName = fmt.Sprint("Silva ", n) })
	case 5:
		other := ids[random.IntN(len(ids))]
		r.change(id, func(p *plan.Person) {
			p.Username = []string{id, other, strings.ToUpper(other)}[random.IntN(3)] + "@example.com"
		})
	case 6:
		r.change(id, func(p *plan.Person) { p.Groups = []plan.Group{{ID: salesID, Name: "Sales"}} })
	case 7:
		r.people.put(plan.Person{
			ID: id, Username: id + "@example.com", FirstName: "Ana", LastName: "Silva", Status: plan.StatusActive,
			Groups: []plan.Group{{ID: groupID, Name: "Amazon Connect Agents"}},
		})
	}
}

// TestStrangersAreUntouchable is promise P-24: whatever happens, no agent that is
// not ours is written to, whoever it looks like. A normal run plays 60 of the
// 1,000 random worlds.
func TestStrangersAreUntouchable(t *testing.T) {
	t.Parallel()
	looks, agents := 0, 0
	worlds := fullOr(1000, 60)
	for n := range worlds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(24, uint64(n)))
			r := newLife(t)
			ids := []string{"00u0", "00u1", "00u2", "00u3"}
			for _, id := range ids[:2] {
				r.hire(id)
			}
			if random.IntN(2) == 0 {
				r.ask(ids...)
				r.settle(time.Minute)
			}
			foreign := strangers(random, r, ids)
			from := len(r.sim.Ledger())
			for _, id := range ids[2:] {
				r.hire(id)
			}
			for n := range random.IntN(7) {
				r.befall(random, ids, n)
				r.ask(ids...)
				r.settle(20 * time.Minute)
				if random.IntN(2) == 0 {
					r.clock.Advance(day)
					r.sweep()
					r.settle(time.Hour)
				}
			}
			for _, id := range foreign {
				if writes := r.ledgerOf(id, from); len(writes) > 0 {
					t.Fatalf("agent %s, which is not ours, was written to: %v", id, writes)
				}
			}
			looks, agents = looks+len(r.outcomes), agents+len(foreign)
		})
	}
	t.Logf("%d worlds, %d looks, %d agents that are not ours: 0 writes to them", worlds, looks, agents)
}

// fullOr is how many cases are played: all of them in a full run, and a third of the
// usual ones in a short run.
func fullOr(all, some int) int {
	switch {
	case full():
		return all
	case testing.Short():
		return max(1, some/3)
	}
	return some
}

// TestProposalIsExact is promise P-26: what a proposal says is what is done when
// it is submitted, to whom and in what order; a second proposal is empty; and one
// that the world has left behind can be told. A normal run plays 60 of the 1,000
// worlds.
func TestProposalIsExact(t *testing.T) {
	t.Parallel()
	worlds := fullOr(1000, 60)
	changes, stale := 0, 0
	for n := range worlds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(26, uint64(n)))
			r := newLife(t)
			r.config.Limits = reconcile.Limits{GroupCount: 100, StatusCount: 100, LongCount: 100, MoveCount: 100}
			r.restart()
			ids := r.team(random.IntN(6) + 1)
			for i := range random.IntN(4) {
				r.hire(fmt.Sprintf("00unew%d", i))
			}
			r.shake(random, ids)
			r.clock.Advance(time.Hour)
			_ = r.sweep() // as the second key of those who are in no group any more
			r.drain()

			first, err := r.engine.Propose(t.Context())
			must(t, err)
			again, err := r.engine.Propose(t.Context())
			must(t, err)
			if first.Hash() != again.Hash() {
				t.Fatalf("world %d: two proposals at one time differ", n)
			}
			from := r.journalled()
			writes := len(r.sim.Ledger())
			_, err = r.engine.Submit(t.Context(), first.Changes)
			must(t, err)
			r.settle(time.Minute)
			var proposed []string
			for _, c := range first.Changes {
				if c.Action == plan.Replace { // of which the journal keeps less than the hash is made of
					c.Hash = ""
				}
				proposed = append(proposed, strings.TrimSpace(fmt.Sprintf("%s %s %s %v %s", c.Person, c.Action, c.Agent, c.Fields, c.Hash)))
			}
			slices.Sort(proposed)
			if done := r.doneSince(from); !slices.Equal(done, proposed) {
				t.Fatalf("world %d: proposed was\n%s\nand done was\n%s", n, strings.Join(proposed, "\n"), strings.Join(done, "\n"))
			}
			r.wroteTo(first.Changes, writes)
			then, err := r.engine.Propose(t.Context())
			must(t, err)
			if len(then.Changes) > 0 {
				t.Fatalf("world %d: the next proposal has %d changes: %+v", n, len(then.Changes), then.Changes[0].Change)
			}
			changes += len(first.Changes)

			// A proposal, and then something happens.
			before, err := r.engine.Propose(t.Context())
			must(t, err)
			r.change(ids[0], func(p *plan.Person) {
				p.Groups = []plan.Group{{ID: groupID, Name: "x"}}
				p.Status = plan.StatusActive
				p.FirstName = fmt.Sprint("Bea", n)
			})
			now, err := r.engine.Propose(t.Context())
			must(t, err)
			if before.Hash() == now.Hash() {
				t.Fatalf("world %d: a proposal that is stale cannot be told", n)
			}
			stale++
		})
	}
	t.Logf("%d worlds, %d changes, all as proposed; %d stale proposals told", worlds, changes, stale)
}

// wroteTo finds out whether the agents that were written to are those of the
// changes, and no others.
func (r *rig) wroteTo(changes []reconcile.Proposed, from int) {
	r.t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		if c.Agent != "" {
			want[c.Agent] = true
		}
	}
	made := 0
	for _, e := range r.sim.LedgerAfter(from) {
		if e.Operation == "CreateUser" {
			made++
			want[e.Agent] = true
		}
		got[e.Agent] = true
	}
	creations := 0
	for _, c := range changes {
		if c.Action == plan.Create || c.Action == plan.Replace {
			creations++
		}
	}
	if !maps.Equal(want, got) || made != creations {
		r.t.Fatalf("%d agents were to be written to and %d made; written to were %d, made %d", len(want), creations, len(got), made)
	}
}

// shake changes people and agents at random.
func (r *rig) shake(random *rand.Rand, ids []string) {
	for _, id := range ids {
		switch random.IntN(8) {
		case 0:
			r.quit(id)
		case 1:
			r.status([]plan.Status{plan.StatusSuspended, plan.StatusDeprovisioned}[random.IntN(2)], id)
		case 2:
			r.change(id, func(p *plan.Person) { p.LastName = "Costa" })
		case 3:
			r.change(id, func(p *plan.Person) { p.Groups = append(p.Groups, plan.Group{ID: salesID, Name: "Sales"}) })
		case 4:
			r.change(id, func(p *plan.Person) { p.Username = "new." + p.Username })
		case 5:
			a, _ := r.agentOf(id)
			r.floor(a.ID, func(a *simconnect.Agent) { a.PhoneConfig.AfterContactWorkTimeLimit = 99 })
		}
	}
}

// drain throws away the requests that there are.
func (r *rig) drain() {
	r.t.Helper()
	for {
		work, err := r.store.Claim(r.t.Context(), time.Minute)
		if err != nil {
			return
		}
		must(r.t, r.store.Settle(r.t.Context(), work, reconcile.Verdict{State: reconcile.Done}))
	}
}

func (r *rig) journalled() int64 {
	r.t.Helper()
	entries, err := r.store.Recent(r.t.Context(), reconcile.Query{Limit: 1})
	must(r.t, err)
	if len(entries) == 0 {
		return 0
	}
	return entries[0].Seq
}

// doneSince gives the changes in the journal since an entry, by person, each with
// its hash.
func (r *rig) doneSince(from int64) (done []string) {
	r.t.Helper()
	entries, err := r.store.Recent(r.t.Context(), reconcile.Query{Kind: reconcile.EntryChange, After: from, Limit: 10_000})
	must(r.t, err)
	for _, e := range entries {
		c := plan.Change{Action: e.Action, Person: e.Person, Agent: e.Agent, Fields: e.Fields, Before: e.Before, After: e.After}
		agent := e.Agent
		switch e.Action {
		case plan.Create:
			made := *e.After
			made.ID = ""
			c.After, c.Agent, agent = &made, "", ""
		case plan.Replace: // the entry is of the new agent, and the proposal of the old one
			agent = e.Before.ID
		}
		hash := c.Hash()
		if e.Action == plan.Replace {
			hash = ""
		}
		done = append(done, strings.TrimSpace(fmt.Sprintf("%s %s %s %v %s", e.Person, e.Action, agent, e.Fields, hash)))
	}
	slices.Sort(done)
	return done
}

// TestRenames is promise P-30: forty changes of names, logins and addresses.
// Nobody ever has two live agents, nobody gets another one's, and a name change
// keeps the agent.
func TestRenames(t *testing.T) {
	t.Parallel()
	const foreign, ana, bo = "taken@example.com", "00u0000", "00u0001"
	type change struct {
		keeps bool // the agent
		do    func(r *rig)
		want  map[string]string // the usernames in the end, by person
	}
	login := func(r *rig, id, to string) { r.change(id, func(p *plan.Person) { p.Username = to }) }
	original := map[string]string{ana: ana + "@example.com", bo: bo + "@example.com"}
	with := func(id, username string) map[string]string {
		m := maps.Clone(original)
		m[id] = username
		return m
	}
	changes := map[string]change{
		"first name": {true, func(r *rig) { r.change(ana, func(p *plan.Person) { p.FirstName = "Bea" }) }, original},
		"last name":  {true, func(r *rig) { r.change(ana, func(p *plan.Person) { p.LastName = "Costa" }) }, original},
		"no names":   {true, func(r *rig) { r.change(ana, func(p *plan.Person) { p.FirstName, p.LastName = "", "" }) }, original},
		"address": {true, func(r *rig) {
			r.change(ana, func(p *plan.Person) { p.Profile = map[string]any{"email": "new@example.com"} })
		}, original},
		"login":             {false, func(r *rig) { login(r, ana, "new@example.com") }, with(ana, "new@example.com")},
		"case of the login": {true, func(r *rig) { login(r, ana, strings.ToUpper(ana)+"@EXAMPLE.com") }, original},
		"login and name": {false, func(r *rig) {
			login(r, ana, "new@example.com")
			r.change(ana, func(p *plan.Person) { p.LastName = "Costa" })
		}, with(ana, "new@example.com")},
		"onto a foreign one":                 {true, func(r *rig) { login(r, ana, foreign) }, original},
		"onto a foreign one in another case": {true, func(r *rig) { login(r, ana, strings.ToUpper(foreign)) }, original},
		"onto a colleague's":                 {true, func(r *rig) { login(r, ana, original[bo]) }, original},
		"swapped":                            {true, func(r *rig) { login(r, ana, original[bo]); login(r, bo, original[ana]) }, original},
		"impossible":                         {true, func(r *rig) { login(r, ana, "no spaces allowed@example.com") }, original},
		"there and back":                     {true, func(r *rig) { login(r, ana, "new@example.com"); login(r, ana, original[ana]) }, original},
		"onto a retired one's": {false, func(r *rig) {
			login(r, ana, "new@example.com")
			r.ask(ana)
			r.settle(time.Minute)
			login(r, ana, original[ana])
		}, with(ana, "new@example.com")},
	}
	// Each while the person is active, suspended, and suspended only until then.
	cases := 0
	for name, c := range changes {
		for _, state := range []string{"active", "suspended", "resumed at once"} {
			if state != "active" && name == "onto a retired one's" {
				continue
			}
			cases++
			t.Run(name+"/"+state, func(t *testing.T) {
				t.Parallel()
				r := newLife(t)
				stranger := addByHand(t, r, foreign, nil)
				for _, id := range []string{ana, bo} {
					r.hire(id)
				}
				look := func(limit time.Duration) { t.Helper(); r.ask(ana, bo); r.settle(limit) }
				look(time.Minute)
				old, _ := r.agentOf(ana)
				if state != "active" {
					r.status(plan.StatusSuspended, ana)
					look(time.Minute)
				}
				if state == "resumed at once" {
					r.status(plan.StatusActive, ana)
				}
				c.do(r)
				look(20 * time.Minute)
				if state == "suspended" {
					if now, _ := r.agentOf(ana); now.ID != old.ID || !r.suspended(ana) || now.Username != old.Username {
						t.Fatalf("while suspended: %+v", now)
					}
					r.status(plan.StatusActive, ana)
					look(20 * time.Minute)
				}
				// Who could not sign in under the name that they have now is not brought back.
				unable := name == "impossible" && state != "active"
				for id, username := range c.want {
					if unable && id == ana {
						continue
					}
					if a, found := r.agentOf(id); !found || a.Username != username || r.suspended(id) {
						t.Errorf("%s has %+v, and the username should be %s", id, a, username)
					}
				}
				if now, _ := r.agentOf(ana); (now.ID == old.ID) != c.keeps {
					t.Errorf("the agent was %s and is %s", old.ID, now.ID)
				}
				if unable && !r.suspended(ana) {
					t.Error("somebody is back who could not sign in")
				}
				if writes := r.ledgerOf(stranger, 0); len(writes) > 0 {
					t.Errorf("the foreign agent was written to: %v", writes)
				}
				n := len(r.sim.Ledger())
				look(20 * time.Minute)
				if now := len(r.sim.Ledger()); now != n {
					t.Errorf("%d writes by looking again", now-n)
				}
			})
		}
	}
	t.Logf("%d cases", cases)
}
