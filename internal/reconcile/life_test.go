package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

const salesID = "00gsales"

// day is the grace after which suspended agents are deleted here.
const day = 24 * time.Hour

// newLife is a rig with policy sync, two groups of agents and a persona for those
// who left, after its first sweep.
func newLife(t *testing.T, adapt ...func(*connect.Config)) *rig {
	t.Helper()
	r := newRig(t, nil, adapt...)
	for _, name := range []string{"Sales", "Billing", "Parked"} {
		if r.sim.RoutingProfileID(name) == "" {
			if _, err := r.sim.AddRoutingProfile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r.sim.SecurityProfileID("No permissions") == "" {
		if _, err := r.sim.AddSecurityProfile("No permissions"); err != nil {
			t.Fatal(err)
		}
	}
	r.writes = []string{
		"TagResource", "UntagResource", "UpdateUserRoutingProfile", "UpdateUserSecurityProfiles", "UpdateUserIdentityInfo",
		"UpdateUserConfig", "UpdateUserPhoneConfig", "UpdateUserHierarchy", "AssociateUserProficiencies", "UpdateUserProficiencies",
		"DisassociateUserProficiencies", "PutUserStatus", "DeleteUser", "DeleteQuickConnect",
	}
	s := &r.config.Settings
	s.Policy = plan.Sync
	s.Personas["sales"] = persona("Sales", "Agent", "QualityAnalyst")
	s.Personas["parked"] = plan.Persona{Values: plan.Values{RoutingProfile: plan.Literal("Parked"), SecurityProfiles: []string{"No permissions"}}}
	s.Rules = []plan.Rule{rule(salesID, "sales"), rule(groupID, "agent")}
	s.Leavers = plan.Leavers{SuspendAs: map[string]string{"": "parked"}, DeleteAfter: 7 * day}
	r.config.Notify = func(n reconcile.Notice) {
		r.mu.Lock() // there may be two engines
		defer r.mu.Unlock()
		r.notices = append(r.notices, n)
	}
	r.restart()
	r.sweep()
	return r
}

func (r *rig) sweep() reconcile.Swept {
	r.t.Helper()
	swept, err := r.engine.Sweep(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return swept
}

// team hires people and gives them their agents.
func (r *rig) team(n int) []string {
	r.t.Helper()
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("00u%04d", i))
		r.hire(ids[i])
	}
	r.ask(ids...)
	r.settle(time.Minute)
	if got := len(r.sim.Agents()); got != n {
		r.t.Fatalf("%d agents for %d people", got, n)
	}
	return ids
}

// change changes a person in the directory.
func (r *rig) change(id string, f func(*plan.Person)) {
	r.people.mu.Lock()
	p := r.people.people[id]
	p.Groups = slices.Clone(p.Groups)
	f(&p)
	r.people.people[id] = p
	r.people.mu.Unlock()
}

// quit takes people out of all groups, which the directory's log tells of.
func (r *rig) quit(ids ...string) {
	for _, id := range ids {
		r.change(id, func(p *plan.Person) { p.Groups = nil })
		r.people.log[id] = true
	}
}

// back puts people into the group again.
func (r *rig) back(ids ...string) {
	for _, id := range ids {
		r.change(id, func(p *plan.Person) { p.Groups = []plan.Group{{ID: groupID, Name: "Amazon Connect Agents"}} })
		delete(r.people.log, id)
	}
}

// status sets the status of people in the directory.
func (r *rig) status(s plan.Status, ids ...string) {
	for _, id := range ids {
		r.change(id, func(p *plan.Person) { p.Status = s })
	}
}

// agentOf gives the live agent of a person.
func (r *rig) agentOf(id string) (simconnect.Agent, bool) {
	for _, a := range r.sim.Agents() {
		if a.Tags["connectroster:owner"] == id && !strings.HasPrefix(a.Tags["connectroster:state"], "retired") {
			return a, true
		}
	}
	return simconnect.Agent{}, false
}

// suspended reports whether the agent of a person is parked in all respects.
func (r *rig) suspended(id string) bool {
	r.t.Helper()
	a, found := r.agentOf(id)
	if !found {
		r.t.Fatalf("person %s has no agent", id)
	}
	tagged := strings.HasPrefix(a.Tags["connectroster:state"], "suspended ")
	parked := a.RoutingProfile == r.sim.RoutingProfileID("Parked") && slices.Equal(a.SecurityProfiles, []string{r.sim.SecurityProfileID("No permissions")})
	if tagged != parked {
		r.t.Fatalf("the agent of %s is half suspended: %+v", id, a)
	}
	return tagged
}

func (r *rig) countSuspended(ids []string) (n int) {
	r.t.Helper()
	for _, id := range ids {
		if _, found := r.agentOf(id); found && r.suspended(id) {
			n++
		}
	}
	return n
}

// waiting gives the entries that wait for approval.
func (r *rig) waiting() (entries []reconcile.HoldEntry) {
	r.t.Helper()
	holds, err := r.store.Holds(r.t.Context(), reconcile.HoldQuery{Waiting: true, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range holds {
		entries = append(entries, h.Entries...)
	}
	return entries
}

// verify checks the journal's chains and that nothing is open.
func (r *rig) verify() {
	r.t.Helper()
	if err := r.store.Verify(r.t.Context(), ""); err != nil {
		r.t.Error(err)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	first, _ := r.agentOf(id)
	look := func(limit time.Duration) { t.Helper(); r.ask(id); r.settle(limit) }

	// transfer
	r.change(id, func(p *plan.Person) { p.Groups = append(p.Groups, plan.Group{ID: salesID, Name: "Sales"}) })
	look(time.Minute)
	a, _ := r.agentOf(id)
	if a.ID != first.ID || a.RoutingProfile != r.sim.RoutingProfileID("Sales") || len(a.SecurityProfiles) != 2 {
		t.Fatalf("after the transfer: %+v", a)
	}
	// the floor moves the agent, which stands while the rules say the same
	billing := r.sim.RoutingProfileID("Billing")
	r.floor(a.ID, func(a *simconnect.Agent) { a.RoutingProfile = billing })
	look(time.Minute)
	if a, _ = r.agentOf(id); a.RoutingProfile != r.sim.RoutingProfileID("Billing") {
		t.Fatalf("the floor's choice did not stand: %+v", a)
	}
	// a name change
	r.change(id, func(p *plan.Person) { p.LastName = "Costa" })
	look(time.Minute)
	if a, _ = r.agentOf(id); a.IdentityInfo.LastName != "Costa" {
		t.Fatalf("after the name change: %+v", a)
	}
	// suspended and back: what the floor chose comes back too
	before := a
	r.status(plan.StatusSuspended, id)
	look(time.Minute)
	if !r.suspended(id) {
		t.Fatal("is not suspended")
	}
	r.status(plan.StatusActive, id)
	look(time.Minute)
	a, _ = r.agentOf(id)
	before.LastModifiedTime, a.LastModifiedTime = simconnect.Epoch{}, simconnect.Epoch{}
	if fmt.Sprint(a) != fmt.Sprint(before) {
		t.Fatalf("came back as\n%+v\nand was\n%+v", a, before)
	}
	// left for good
	r.quit(id)
	look(time.Minute)
	if !r.suspended(id) {
		t.Fatal("is not suspended after leaving")
	}
	if swept := r.sweep(); swept.Changes != 0 {
		t.Errorf("a sweep within the grace wants %d changes", swept.Changes)
	}
	r.clock.Advance(7 * day)
	r.sweep() // the last one is a week old, so this one counts as a first
	r.settle(time.Minute)
	if got := len(r.waiting()); got != 1 {
		t.Fatalf("%d entries are held after a week without a sweep, want 1", got)
	}
	r.approve("")
	r.settle(time.Minute)
	if agents := r.sim.Agents(); len(agents) != 0 {
		t.Fatalf("there are agents left: %+v", agents)
	}
	want := []string{
		"change create", "change update", "change update", "change suspend", "change resume", "change suspend",
		"hold deleteheld", "approved delete", "change delete",
	}
	if got := r.journal(id); !slices.Equal(got, want) {
		t.Errorf("journal:\n%q\nwant\n%q", got, want)
	}
	// hired again: a new agent
	r.back(id)
	look(time.Minute)
	if a, found := r.agentOf(id); !found || a.ID == first.ID {
		t.Errorf("after the second hire: %+v", a)
	}
	r.verify()
}

// floor changes an agent by hand.
func (r *rig) floor(id string, f func(*simconnect.Agent)) {
	r.t.Helper()
	if _, err := r.sim.ChangeAgent(id, f); err != nil {
		r.t.Fatal(err)
	}
}

// approve approves what waits in a hold, or in all.
func (r *rig) approve(hold string, people ...string) {
	r.t.Helper()
	r.decide(reconcile.Decision{Hold: hold, People: people, Approve: true, By: "tester"})
}

func (r *rig) decide(d reconcile.Decision) {
	r.t.Helper()
	holds, err := r.store.Holds(r.t.Context(), reconcile.HoldQuery{ID: d.Hold, Waiting: true})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(holds) == 0 {
		r.t.Fatal("nothing is held")
	}
	for _, h := range holds {
		d.Hold, d.At = h.ID, r.clock.Now()
		if _, err := r.engine.Decide(r.t.Context(), d); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestSecondKey: that the groups of a person lack ours is not enough.
func TestSecondKey(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(3)
	r.change(ids[0], func(p *plan.Person) { p.Groups = nil })
	r.people.mu.Lock()
	delete(r.people.people, ids[1]) // Okta answers 404
	r.people.mu.Unlock()
	r.ask(ids...)
	r.settle(30 * time.Minute)
	for _, id := range ids {
		if r.suspended(id) {
			t.Fatalf("%s is suspended without a second key", id)
		}
	}
	if w := r.state(ids[0]); w.State != reconcile.StateWaiting || !strings.Contains(w.Reason, "no second source") || w.Attempts != 0 {
		t.Errorf("the person: %+v", w)
	}
	// They come back before anybody vouches: nothing is remembered against them.
	r.back(ids[0])
	r.ask(ids[0])
	r.settle(time.Hour)
	if w := r.state(ids[0]); w.State != reconcile.StateIdle {
		t.Errorf("the person came back: %+v", w)
	}
	// The log tells of one of them at last.
	r.people.log[ids[1]] = true
	r.settle(2 * time.Hour)
	if !r.suspended(ids[1]) {
		t.Error("is not suspended although the log tells of the deletion")
	}
	// A complete sweep is a second key too.
	r.change(ids[2], func(p *plan.Person) { p.Groups = nil })
	r.ask(ids[2])
	r.settle(time.Minute)
	if r.suspended(ids[2]) {
		t.Fatal("is suspended without a second key")
	}
	r.people.mu.Lock()
	p := r.people.people[ids[2]]
	delete(r.people.people, ids[2])
	r.people.mu.Unlock()
	r.sweep()
	r.people.put(p)
	r.settle(time.Minute)
	if !r.suspended(ids[2]) {
		t.Error("is not suspended although a complete sweep did not find them")
	}
}

// TestWindows: five of a group go at once, and the rest waits for somebody.
func TestWindows(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(100)
	r.quit(ids[:30]...)
	r.ask(ids...)
	r.settle(10 * time.Minute)
	if n := r.countSuspended(ids); n != 5 {
		t.Fatalf("%d of 30 are suspended, want 5", n)
	}
	if n := len(r.waiting()); n != 25 {
		t.Fatalf("%d wait for approval, want 25", n)
	}
	if len(r.notices) != 25 {
		t.Errorf("%d notices", len(r.notices))
	}
	// Asking again, restarting, time passing: nothing goes by itself.
	for range 5 {
		r.clock.Advance(20 * time.Minute)
		r.restart()
		r.ask(ids...)
		r.settle(time.Minute)
	}
	if n := r.countSuspended(ids); n != 5 {
		t.Fatalf("%d of 30 are suspended after two hours, want 5", n)
	}
	// Joins go on meanwhile, and whoever comes back is not held any more.
	r.hire("00unew")
	r.ask("00unew")
	var held []string
	for _, e := range r.waiting() {
		held = append(held, e.Person)
	}
	r.back(held[0])
	r.ask(held[0])
	r.settle(time.Minute)
	if _, found := r.agentOf("00unew"); !found {
		t.Error("nobody can join while removals are held")
	}
	if n := len(r.waiting()); n != 24 {
		t.Errorf("%d wait after one came back, want 24", n)
	}
	// One is approved, one rejected, the rest approved.
	hold := r.waiting()[0].Hold
	r.approve(hold, held[1])
	r.decide(reconcile.Decision{Hold: hold, People: held[2:3], By: "tester", Stay: reconcile.Stay{Who: "tester", Why: "on leave", Until: r.clock.Now().Add(48 * time.Hour)}})
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 6 {
		t.Errorf("%d are suspended after one approval, want 6", n)
	}
	r.approve(hold)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 28 {
		t.Errorf("%d are suspended after the approval, want 28", n)
	}
	if r.suspended(held[2]) {
		t.Error("a rejected one is suspended")
	}
	r.ask(held[2])
	r.settle(time.Minute)
	if r.suspended(held[2]) {
		t.Error("a rejected one is suspended by the next look")
	}
	for range 3 { // a sweep a day
		r.clock.Advance(day)
		r.sweep()
	}
	r.ask(held[2])
	r.settle(time.Minute)
	if r.suspended(held[2]) {
		t.Error("a rejected one is suspended by itself when the stay is over")
	}
	if w := r.waiting(); len(w) != 1 || w[0].Person != held[2] {
		t.Fatalf("after the stay these wait: %+v", w)
	}
	r.approve(r.waiting()[0].Hold)
	r.settle(time.Minute)
	if !r.suspended(held[2]) {
		t.Error("is not suspended by an approval after the stay is over")
	}
	r.verify()
}

// TestStatusWindow: what their own record says goes faster, up to a tenth.
func TestStatusWindow(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(100)
	r.status(plan.StatusDeprovisioned, ids[:40]...)
	r.ask(ids[:40]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 10 {
		t.Fatalf("%d are suspended, want 10 of 100", n)
	}
	if r.people.asked != 0 {
		t.Errorf("%d questions for evidence, although the records say it all", r.people.asked)
	}
	// The next window takes ten more of others, and the day is full then.
	r.clock.Advance(time.Hour)
	r.status(plan.StatusDeprovisioned, ids[40:80]...)
	r.ask(ids[40:80]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 20 {
		t.Fatalf("%d are suspended, want 20 of 100", n)
	}
	r.clock.Advance(time.Hour)
	r.status(plan.StatusDeprovisioned, ids[80:]...)
	r.ask(ids[80:]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 20 {
		t.Fatalf("%d are suspended in a day, want 20 of 100", n)
	}
}

// TestCliffIsRemembered: somebody who joins a group that was emptied does not let the
// others fall who are looked at later.
func TestCliffIsRemembered(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(12)
	r.quit(ids...)
	r.people.cliffs[groupID] = "group has no members any more"
	r.ask(ids[:4]...)
	r.settle(time.Minute)
	delete(r.people.cliffs, groupID) // a new member
	r.clock.Advance(20 * time.Minute)
	r.ask(ids[4:8]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 0 {
		t.Errorf("%d are suspended", n)
	}
	if n := len(r.waiting()); n != 8 {
		t.Errorf("%d wait, want 8", n)
	}
	r.clock.Advance(2 * time.Hour) // those who leave then leave one by one
	r.ask(ids[8:]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 4 {
		t.Errorf("%d are suspended, want the last 4", n)
	}
}

// TestCliffs: what happens to everybody at once is held whatever the numbers.
func TestCliffs(t *testing.T) {
	t.Parallel()
	for name, accident := range map[string]func(r *rig, ids []string){
		"group deleted": func(r *rig, ids []string) {
			r.people.cliffs[groupID] = "group was deleted"
			r.quit(ids...)
		},
		"configuration changed": func(r *rig, ids []string) {
			r.config.Settings.Rules = r.config.Settings.Rules[:1]
			r.config.Scope = "another one"
			r.restart()
			r.sweep()
		},
		"configuration changed, no sweep": func(r *rig, ids []string) {
			r.config.Settings.Rules = r.config.Settings.Rules[:1]
			r.config.Scope = "another one"
			for _, id := range ids {
				r.people.log[id] = true
			}
			r.restart()
		},
		"another org": func(r *rig, ids []string) {
			r.people.mu.Lock()
			r.people.people, r.people.scope = map[string]plan.Person{}, "another one"
			r.people.mu.Unlock()
			r.sweep()
		},
		"no sweep for long": func(r *rig, ids []string) {
			r.quit(ids...)
			r.clock.Advance(49 * time.Hour)
		},
	} {
		for _, size := range []int{1, 3, 8} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				t.Parallel()
				r := newLife(t)
				ids := r.team(size)
				accident(r, ids)
				r.ask(ids...)
				r.settle(time.Minute)
				if n := r.countSuspended(ids); n != 0 {
					t.Fatalf("%d are suspended", n)
				}
				if n := len(r.waiting()); n != size {
					t.Fatalf("%d wait for approval, want %d", n, size)
				}
				r.sweep() // not a first one any more, which changes nothing for those who wait
				r.ask(ids...)
				r.settle(time.Minute)
				if n := r.countSuspended(ids); n != 0 {
					t.Fatalf("%d are suspended by the next look", n)
				}
				for _, h := range r.waiting() {
					r.approve(h.Hold)
					break
				}
				r.settle(time.Minute)
				if n := r.countSuspended(ids); n != size {
					t.Fatalf("%d are suspended after the approval, want %d", n, size)
				}
			})
		}
	}
}

// TestRename: a changed username is another agent, and never two live ones.
func TestRename(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	old, _ := r.agentOf(id)
	sales := r.sim.RoutingProfileID("Sales")
	r.floor(old.ID, func(a *simconnect.Agent) { a.RoutingProfile = sales })
	r.change(id, func(p *plan.Person) { p.Username = "new.name@example.com" })
	r.ask(id)
	r.settle(time.Minute)
	a, found := r.agentOf(id)
	if !found || a.Username != "new.name@example.com" || a.RoutingProfile != r.sim.RoutingProfileID("Sales") {
		t.Fatalf("the new agent: %+v", a)
	}
	retired, _ := r.sim.Agent(old.ID)
	if !strings.HasPrefix(retired.Tags["connectroster:state"], "retired ") || retired.RoutingProfile != r.sim.RoutingProfileID("Parked") {
		t.Fatalf("the old agent: %+v", retired)
	}
	for range 8 { // a sweep a day keeps the books
		r.clock.Advance(day)
		r.sweep()
		r.settle(time.Minute)
	}
	if _, found := r.sim.Agent(old.ID); found {
		t.Error("the retired agent is still there after the grace")
	}
	if _, found := r.sim.Agent(a.ID); !found {
		t.Error("the new agent is gone")
	}
	if got, want := r.journal(id), []string{"change create", "change replace", "change delete"}; !slices.Equal(got, want) {
		t.Errorf("journal %q, want %q", got, want)
	}
	// onto a name that somebody else has
	addByHand(t, r, "taken@example.com", nil)
	r.change(id, func(p *plan.Person) { p.Username = "taken@example.com" })
	r.ask(id)
	r.settle(time.Hour)
	if now, _ := r.agentOf(id); now.ID != a.ID || r.suspended(id) {
		t.Errorf("a refused rename has changed the agent: %+v", now)
	}
}

// TestContacts: moves wait for the end of a contact, rights do not.
func TestContacts(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	r.config.WaitForContacts = 10 * time.Minute
	r.restart()
	ids := r.team(2)
	var contacts []string
	for _, id := range ids {
		a, _ := r.agentOf(id)
		must(t, r.sim.SignIn(a.ID))
		c, err := r.sim.BeginContact(a.ID, simconnect.Contact{Channel: "VOICE"})
		must(t, err)
		contacts = append(contacts, c)
		r.change(id, func(p *plan.Person) { p.Groups = []plan.Group{{ID: salesID, Name: "Sales"}} })
	}
	r.ask(ids...)
	r.settle(3 * time.Minute)
	for _, id := range ids {
		a, _ := r.agentOf(id)
		if a.RoutingProfile == r.sim.RoutingProfileID("Sales") {
			t.Fatalf("%s was moved during a contact", id)
		}
		if len(a.SecurityProfiles) != 2 {
			t.Errorf("the rights of %s waited for the end of a contact", id)
		}
	}
	must(t, r.sim.EndContact(contacts[0]))
	r.settle(2 * time.Minute)
	if a, _ := r.agentOf(ids[0]); a.RoutingProfile != r.sim.RoutingProfileID("Sales") {
		t.Error("was not moved after the contact")
	}
	if a, _ := r.agentOf(ids[1]); a.RoutingProfile == r.sim.RoutingProfileID("Sales") {
		t.Error("was moved during a contact")
	}
	r.settle(10 * time.Minute)
	if a, _ := r.agentOf(ids[1]); a.RoutingProfile != r.sim.RoutingProfileID("Sales") {
		t.Error("was not moved although the wait is over")
	}
	// Somebody who left does not keep anything for the length of a call.
	a, _ := r.agentOf(ids[1])
	_, err := r.sim.BeginContact(a.ID, simconnect.Contact{Channel: "VOICE"})
	must(t, err)
	r.status(plan.StatusSuspended, ids[1])
	r.ask(ids[1])
	r.settle(time.Second)
	if !r.suspended(ids[1]) {
		t.Error("is not suspended during a contact")
	}
}

// TestHeldDuringContact: a change of rights and work that was held is approved
// once, though its halves go at different times.
func TestHeldDuringContact(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	r.config.WaitForContacts = 10 * time.Minute
	r.config.Limits = reconcile.Limits{MoveCount: 1, MoveShare: 1e-9}
	r.restart()
	ids := r.team(3)
	moved := func(id string) (rights, work bool) {
		a, _ := r.agentOf(id)
		return len(a.SecurityProfiles) == 2, a.RoutingProfile == r.sim.RoutingProfileID("Sales")
	}
	contacts := map[string]string{}
	for _, id := range ids {
		a, _ := r.agentOf(id)
		must(t, r.sim.SignIn(a.ID))
		c, err := r.sim.BeginContact(a.ID, simconnect.Contact{Channel: "VOICE"})
		must(t, err)
		contacts[id] = c
		r.change(id, func(p *plan.Person) { p.Groups = []plan.Group{{ID: salesID, Name: "Sales"}} })
	}
	r.ask(ids...)
	r.settle(time.Minute)
	var held []string
	for _, e := range r.waiting() {
		held = append(held, e.Person)
		if rights, work := moved(e.Person); rights || work {
			t.Errorf("%s is held, and was changed: rights %v, work %v", e.Person, rights, work)
		}
	}
	if len(held) != 2 {
		t.Fatalf("%d are held, want 2 of 3", len(held))
	}
	r.approve(r.waiting()[0].Hold)
	r.settle(time.Minute)
	if n := len(r.waiting()); n != 0 {
		t.Fatalf("%d wait once more for what was approved", n)
	}
	for _, id := range held {
		if rights, work := moved(id); !rights || work {
			t.Errorf("%s was approved: rights %v, work %v", id, rights, work)
		}
	}
	must(t, r.sim.EndContact(contacts[held[0]]))
	r.settle(12 * time.Minute) // one has hung up, for the other the wait is over
	for _, id := range ids {
		if rights, work := moved(id); !rights || !work {
			t.Errorf("in the end of %s: rights %v, work %v", id, rights, work)
		}
		if got, want := r.journal(id), "change update"; got[len(got)-1] != want || got[len(got)-2] != want {
			t.Errorf("journal of %s: %q", id, got)
		}
	}
	if n := len(r.waiting()); n != 0 {
		t.Errorf("%d wait in the end", n)
	}
	r.verify()
}

// TestOrders: what people ask for by hand.
func TestOrders(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	by := addByHand(t, r, "00uadopt@example.com", map[string]string{"team": "night"})
	r.hire("00uadopt")
	r.ask("00uadopt")
	r.settle(time.Minute)
	if got := r.journal("00uadopt"); !slices.Equal(got, []string{"refusal exists_not_ours"}) {
		t.Fatalf("journal: %q", got)
	}
	must(t, r.engine.Order(t.Context(), reconcile.OrderAdopt, "ann", "00uadopt"))
	r.settle(time.Minute)
	a, found := r.agentOf("00uadopt")
	if !found || a.ID != by || a.Tags["team"] != "night" {
		t.Fatalf("the adopted agent: %+v", a)
	}
	r.ask("00uadopt")
	r.settle(time.Minute)
	if got := r.journal("00uadopt"); len(got) < 2 || got[1] != "change adopt" {
		t.Fatalf("journal: %q", got)
	}

	ids := []string{r.hire("00u0000").ID}
	r.ask(ids...)
	r.settle(time.Minute)
	r.status(plan.StatusSuspended, ids...)
	r.ask(ids...)
	r.settle(time.Minute)
	must(t, r.engine.Stay(t.Context(), reconcile.Stay{Person: ids[0], Who: "ann", Why: "a mistake in Okta", Since: r.clock.Now(), Until: r.clock.Now().Add(day)}))
	must(t, r.engine.Order(t.Context(), reconcile.OrderRestore, "ann", ids...))
	r.settle(time.Minute)
	if r.suspended(ids[0]) {
		t.Fatal("is not restored")
	}
	r.ask(ids...)
	r.settle(time.Minute)
	if r.suspended(ids[0]) {
		t.Fatal("is suspended again in spite of the stay")
	}

	must(t, r.engine.Order(t.Context(), reconcile.OrderRelease, "ann", "00uadopt", ids[0]))
	r.settle(time.Minute)
	for _, a := range r.sim.Agents() {
		for key := range a.Tags {
			if strings.HasPrefix(key, "connectroster:") {
				t.Errorf("agent %s still has the tag %s", a.ID, key)
			}
		}
	}
	r.verify()
}

// TestSeveralInstances: one person, an agent in each, and one instance in trouble
// does not hold up the other.
func TestSeveralInstances(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	other := newLife(t)
	r.config.Instances = []reconcile.Site{{Name: "emea", Instance: r.config.Instances[0].Instance}, {Name: "us", Instance: other.config.Instances[0].Instance}}
	s := &r.config.Settings
	s.Personas = map[string]plan.Persona{}
	for _, instance := range []string{"emea", "us"} {
		agent, parked := persona("Basic Routing Profile", "Agent"), plan.Persona{Values: plan.Values{RoutingProfile: plan.Literal("Parked"), SecurityProfiles: []string{"No permissions"}}}
		agent.Instance, parked.Instance = instance, instance
		s.Personas["agent-"+instance], s.Personas["parked-"+instance] = agent, parked
		s.Leavers.SuspendAs[instance] = "parked-" + instance
	}
	s.Rules = []plan.Rule{rule(groupID, "agent-emea"), rule(salesID, "agent-us")}
	r.config.Scope = "two instances"
	r.restart()
	r.sweep()

	r.hire("00u1")
	r.change("00u1", func(p *plan.Person) { p.Groups = append(p.Groups, plan.Group{ID: salesID, Name: "Sales"}) })
	must(t, other.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Status: 429, Code: "ThrottlingException"}))
	r.ask("00u1")
	r.work()
	if _, found := r.agentOf("00u1"); !found {
		t.Error("the throttled instance held up the other one")
	}
	r.settle(time.Minute)
	if _, found := other.agentOf("00u1"); !found {
		t.Fatal("there is no agent in the second instance")
	}
	// Out of one group: the agent there is suspended, the other one stays.
	r.change("00u1", func(p *plan.Person) { p.Groups = p.Groups[1:] })
	r.people.log["00u1"] = true
	r.ask("00u1")
	r.settle(time.Minute)
	if !r.suspended("00u1") || other.suspended("00u1") {
		t.Errorf("suspended in emea: %v, in us: %v", r.suspended("00u1"), other.suspended("00u1"))
	}
	if swept := r.sweep(); swept.Agents != 2 || swept.Changes != 0 {
		t.Errorf("swept %+v", swept)
	}

	// While one cannot be read, the other is swept all the same, for days.
	for range 4 {
		r.clock.Advance(day)
		must(t, other.sim.AddFaults(simconnect.Fault{Operation: "SearchUsers", Status: 403, Code: "AccessDeniedException"}))
		if _, err := r.engine.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "instance us: ") {
			t.Fatalf("a sweep without an instance: %v", err)
		}
	}
	if _, err := r.engine.Propose(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.back("00u1")
	r.ask("00u1")
	r.settle(time.Minute)
	r.quit("00u1")
	r.ask("00u1")
	r.settle(time.Minute)
	if !r.suspended("00u1") {
		t.Error("emea: is not suspended, although sweeps vouch for it")
	}
	held := r.waiting()
	if len(held) != 1 || held[0].Instance != "us" || !strings.Contains(held[0].Cause, "no complete sweep for 48 hours") {
		t.Errorf("us: not held for the missing sweeps: %+v", held)
	}
}

// TestProposalForeseesWindows: a plan says which of its removals find no place.
func TestProposalForeseesWindows(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	ids := r.team(20)
	r.sweep()
	r.quit(ids[:8]...)
	r.status(plan.StatusSuspended, ids[8:16]...)
	p, err := r.engine.Propose(t.Context())
	must(t, err)
	byCause := map[string]int{}
	for _, c := range p.Changes {
		byCause[c.Guard]++
	}
	// Five for the group, of which the day has place for five altogether.
	want := map[string]int{"": 5, "will be held for approval: more than 5 people left group \"Amazon Connect Agents\" (00gagents) in 15 minutes": 3, "will be held for approval: more than 5 removals in 24 hours": 8}
	if !maps.Equal(byCause, want) {
		t.Errorf("foreseen: %v\nwant %v", byCause, want)
	}
	r.ask(ids[:16]...)
	r.settle(time.Minute)
	if n := r.countSuspended(ids); n != 5 {
		t.Errorf("%d went", n)
	}
	if n := len(r.waiting()); n != 11 {
		t.Errorf("%d are held", n)
	}
}
