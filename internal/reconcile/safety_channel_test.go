package reconcile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// unlimited is a guard that holds nothing for its number alone: what is tested is
// whether the right thing is found out.
func (c *company) unlimited() {
	const many = 1 << 30
	c.config.Limits = reconcile.Limits{StatusCount: many, GroupCount: many, LongCount: many, MoveCount: many}
	c.restart()
}

// entitled is the oracle: in a mapped group and active.
func (c *company) entitled(id string) bool {
	u, err := c.org.User(id)
	must(c.t, err)
	return u.Status == "ACTIVE" && slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(c.mapped, g) })
}

// wrong gives those people whose agent is not as Okta has it.
func (c *company) wrong(ids []string) (out []string) {
	gone := c.gone(ids)
	for _, id := range ids {
		if c.entitled(id) == slices.Contains(gone, id) {
			out = append(out, id)
		}
	}
	return out
}

// TestRemovalRaces is promise P-10, with removals: somebody leaves and joins, or
// joins and leaves, within two seconds; the hook of one of both can be lost. In
// the end Amazon Connect is as Okta is. A normal run plays 100 of 1,000 races.
func TestRemovalRaces(t *testing.T) {
	t.Parallel()
	c := newCompany(t, 12)
	c.unlimited()
	random := rand.New(rand.NewPCG(10, 10))
	races, undecided := fullOr(1000, 100), 0
	for n := range races {
		id := c.staff[0][random.IntN(12)]
		turns := []func(who, group string) error{c.org.Leave, c.org.Join}
		if !c.entitled(id) {
			slices.Reverse(turns)
		}
		gap := time.Duration(random.IntN(2001)) * time.Millisecond
		if random.IntN(5) == 0 {
			gap = 0
		}
		lost := random.IntN(3) // the first, the second or none
		for i, turn := range turns {
			if random.IntN(4) == 0 && i == 1 && random.IntN(2) == 0 {
				break // one turn alone, so that the state at the beginning varies
			}
			must(t, turn(id, c.groups[0]))
			events := c.mail()
			if lost != i {
				c.deliver(events...)
			}
			if i == 0 {
				c.settle(gap / 2)
				c.clock.Advance(gap - gap/2)
			}
		}
		c.settle(2 * time.Second)
		c.clock.Advance(time.Minute)
		_, err := c.engine.CatchUp(t.Context())
		must(t, err)
		c.settle(time.Minute)
		if len(c.wrong([]string{id})) > 0 { // two records of the same millisecond prove nothing
			if gap > 0 {
				t.Fatalf("race %d, gap %s, hook %d lost: %s is entitled: %v, and the agent is not so", n, gap, lost, id, c.entitled(id))
			}
			undecided++
			c.clock.Advance(20 * time.Minute) // a sweep right after a joining proves nothing either
			c.sweep()
			c.settle(2 * time.Hour)
		}
		if wrong := c.wrong(c.staff[0]); len(wrong) > 0 {
			t.Fatalf("race %d, gap %s, hook %d lost: not as in Okta: %v", n, gap, lost, wrong)
		}
		c.clock.Advance(20 * time.Minute)
		if n%40 == 39 {
			c.sweep()
		}
	}
	t.Logf("%d races, %d of them decided by a sweep", races, undecided)
	c.verify()
}

// TestLostHooksWithRemovals is promise P-07 for those who leave: whichever hooks
// are lost, the log finds everybody within its interval; while the log is down a
// sweep finds all but those whose leaving only the log can prove at once. A
// normal run plays 40 of 500.
func TestLostHooksWithRemovals(t *testing.T) {
	t.Parallel()
	c := newCompany(t, 12, 8)
	c.unlimited()
	random := rand.New(rand.NewPCG(7, 7))
	people, runs, lostHooks := c.everybody(), fullOr(500, 40), 0
	keeps := map[string]func(e simokta.EventRecord) bool{
		"all":    func(simokta.EventRecord) bool { return false },
		"half":   func(simokta.EventRecord) bool { return random.IntN(2) == 0 },
		"random": func(simokta.EventRecord) bool { return random.IntN(10) != 0 },
		"only removals": func(e simokta.EventRecord) bool {
			return !strings.Contains(e.Type, "remove") && !strings.Contains(e.Type, "deactivate") && !strings.Contains(e.Type, "suspend")
		},
	}
	for n := range runs {
		mode := []string{"all", "half", "random", "only removals"}[n%4]
		for range random.IntN(5) + 1 {
			id := people[random.IntN(len(people))]
			group := c.groups[random.IntN(2)]
			switch random.IntN(4) {
			case 0:
				_ = c.org.Leave(id, group)
			case 1:
				_ = c.org.Join(id, group)
			case 2:
				_ = c.org.Suspend(id)
			case 3:
				_ = c.org.Unsuspend(id)
			}
			c.clock.Advance(time.Duration(random.IntN(3000)+1) * time.Millisecond)
		}
		told := c.told
		c.mail()
		for _, e := range c.org.Events(hookEvents...)[told:] {
			if keeps[mode](e) {
				c.deliver(e.UUID)
			} else {
				lostHooks++
			}
		}
		down := n%10 == 9
		if down {
			must(t, c.org.AddFaults(simokta.Fault{Endpoint: "GET /api/v1/logs", Status: 500, Times: -1}))
			c.sweep()
			c.settle(time.Minute)
			for _, id := range c.wrong(people) {
				u, err := c.org.User(id)
				must(t, err)
				if c.entitled(id) || u.Status != "ACTIVE" {
					t.Fatalf("run %d, the log is down: a sweep missed %s", n, id)
				}
			}
			c.org.ClearFaults()
		}
		c.clock.Advance(time.Minute)
		_, err := c.engine.CatchUp(t.Context())
		must(t, err)
		limit := time.Minute
		if down {
			limit = time.Hour // those who failed meanwhile wait longer each time
		}
		c.settle(limit)
		if wrong := c.wrong(people); len(wrong) > 0 {
			t.Fatalf("run %d, %s lost: not as in Okta: %v", n, mode, wrong)
		}
		c.clock.Advance(30 * time.Minute)
		if n%40 == 39 {
			c.sweep()
		}
	}
	t.Logf("%d runs, %d hooks lost, nobody missed", runs, lostHooks)
	c.verify()
}

// TestForgeriesDoNothing is promise P-42: whoever has the hook's secret can say
// what they like; nobody is given or loses anything but by what Okta says. A
// normal run plays 150 of 1,000 forgeries.
func TestForgeriesDoNothing(t *testing.T) {
	t.Parallel()
	c := newCompany(t, 12, 4)
	outsider, err := c.org.AddUser(simokta.NewUser{Login: "mallory@example.com", FirstName: "Mallory", LastName: "Forger"})
	must(t, err)
	c.sweepAndCatchUp()
	c.settle(time.Minute)
	writes := len(c.sim.Ledger())
	random := rand.New(rand.NewPCG(42, 42))
	forgeries := fullOr(1000, 150)
	people := append(c.everybody(), outsider.ID, "00uforged00000000001")
	for n := range forgeries {
		person := people[random.IntN(len(people))]
		group := append([]string{"00gforged00000000001"}, c.groups...)[random.IntN(3)]
		body, err := json.Marshal(map[string]any{"eventType": "com.okta.event_hook", "data": map[string]any{"events": []any{map[string]any{
			"uuid": fmt.Sprint("forged-", n), "eventType": hookEvents[random.IntN(len(hookEvents))], "outcome": map[string]any{"result": "SUCCESS"},
			"published": c.clock.Now().Add(time.Duration(random.IntN(100)-50) * time.Hour).Format(time.RFC3339Nano),
			"target": []any{
				map[string]any{"id": person, "type": "User", "alternateId": "admin@example.com", "displayName": "Mallory Forger"},
				map[string]any{"id": group, "type": "UserGroup", "displayName": "Team 0"},
				map[string]any{"id": c.app, "type": "AppInstance", "displayName": appName},
			},
		}}}})
		must(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hookURL, strings.NewReader(string(body)))
		r.Header.Set("Authorization", secret)
		answer, err := c.receive(r)
		must(t, err, answer.Body.Close())
		if answer.StatusCode != http.StatusNoContent {
			t.Fatalf("forgery %d is answered %d", n, answer.StatusCode)
		}
		c.settle(10 * time.Second)
		if now := len(c.sim.Ledger()); now != writes {
			t.Fatalf("forgery %d, %s: %d writes", n, body, now-writes)
		}
	}
	c.clock.Advance(time.Hour)
	c.sweep()
	c.settle(time.Hour)
	if now := len(c.sim.Ledger()); now != writes {
		t.Errorf("%d writes after all forgeries", now-writes)
	}
	t.Logf("%d forgeries, %d looks, 0 writes", forgeries, len(c.outcomes))
}

// TestCallsOfARemoval: at most six calls of Okta for somebody who leaves.
func TestCallsOfARemoval(t *testing.T) {
	t.Parallel()
	c := newCompany(t, 12)
	c.clock.Advance(time.Hour)
	c.sweepAndCatchUp()
	calls := func() (n int) {
		for _, count := range c.org.Stats().Calls {
			n += count.Calls
		}
		return n
	}
	for way, leave := range map[string]func(id string) error{
		"group":  func(id string) error { return c.org.Leave(id, c.groups[0]) },
		"status": c.org.Deactivate,
		"deleted": func(id string) error {
			must(t, c.org.Deactivate(id))
			c.clock.Advance(time.Second)
			return c.org.Delete(id)
		},
	} {
		id := c.staff[0][len(way)]
		must(t, leave(id))
		c.clock.Advance(10 * time.Second)
		c.deliver(c.mail()...)
		before := calls()
		c.settle(time.Minute)
		n := calls() - before
		if len(c.gone([]string{id})) != 1 {
			t.Errorf("%s: is not suspended", way)
		}
		if n > 6 {
			t.Errorf("%s: %d calls", way, n)
		}
		t.Logf("%s: %d calls of Okta", way, n)
	}
}

// TestCallsOfASweep: a sweep that changes nothing reads agents by the page and
// never one by one, and writes nothing. A normal run has 1,000 agents, a full one
// 10,000.
func TestCallsOfASweep(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	must(t, r.sim.ChangeSettings(quotaOff))
	first := r.team(1)[0]
	agents := fullOr(10_000, 1000)
	model, _ := r.agentOf(first)
	for n := 1; n < agents; n++ {
		p := r.hire(fmt.Sprintf("00u%05d", n+10_000))
		a := model
		a.ID, a.ARN, a.Username, a.Tags = "", "", p.Username, map[string]string{}
		for k, v := range model.Tags {
			a.Tags[k] = v
		}
		a.Tags["connectroster:owner"] = p.ID
		_, err := r.sim.AddAgent(a)
		must(t, err)
	}
	r.clock.Advance(10 * time.Minute) // so that the catalog is read anew
	before, writes := r.operations(), len(r.sim.Ledger())
	if swept := r.sweep(); swept.Agents != agents || swept.Changes != 0 {
		t.Fatalf("swept %+v", swept)
	}
	var told []string
	for name, n := range r.operations() {
		if n -= before[name]; n > 0 {
			told = append(told, fmt.Sprintf("%s %d", name, n))
			if most := agents/500 + 1; name == "SearchUsers" && n > most || n > most {
				t.Errorf("%d calls of %s", n, name)
			}
			if name == "DescribeUser" || name == "ListTagsForResource" {
				t.Errorf("%d calls of %s", n, name)
			}
		}
	}
	if now := len(r.sim.Ledger()); now != writes {
		t.Errorf("%d writes", now-writes)
	}
	slices.Sort(told)
	t.Logf("%d agents: %v", agents, told)
}

// operations counts the calls of each operation.
func (r *rig) operations() map[string]int {
	out := map[string]int{}
	for name, s := range r.sim.Stats().Operations {
		out[name] = s.Calls
	}
	return out
}

// TestCallsForContacts: who has a contact is asked about by the hundred.
func TestCallsForContacts(t *testing.T) {
	t.Parallel()
	const people = 400
	r := newLife(t)
	r.config.WaitForContacts = 10 * time.Minute
	r.config.Limits = reconcile.Limits{MoveCount: people}
	r.restart()
	ids := r.team(people)
	for _, id := range ids {
		a, _ := r.agentOf(id)
		r.floor(a.ID, func(a *simconnect.Agent) { a.PhoneConfig.AfterContactWorkTimeLimit = 1 })
	}
	s := &r.config.Settings
	s.Personas["agent"] = persona("Billing", "Agent")
	r.config.Scope = "another profile"
	r.restart()
	before := r.operations()["GetCurrentUserData"]
	r.sweep()
	r.settle(time.Minute)
	n := r.operations()["GetCurrentUserData"] - before
	for _, id := range ids {
		if a, _ := r.agentOf(id); a.RoutingProfile != r.sim.RoutingProfileID("Billing") {
			t.Fatalf("%s was not moved", id)
		}
	}
	if n == 0 || n > people/100 {
		t.Errorf("%d calls for %d moves", n, people)
	}
	t.Logf("%d calls for %d moves", n, people)
}
