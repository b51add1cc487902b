package storetest

import (
	"errors"
	"slices"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// change is one with something in every corner.
func change(person string, action plan.Action) *plan.Change {
	agent := func(name string) *plan.Agent {
		return &plan.Agent{
			ID: "agent-" + person, Username: person + "@example.com", FirstName: name, LastName: "Løvelace", RoutingProfile: "r1",
			SecurityProfiles: []string{"s1", "s2"}, Hierarchy: "h1", Proficiencies: []plan.Proficiency{{Attribute: "language", Value: "de", Level: 3}},
			Phone:    plan.Phone{Type: plan.DeskPhone, DeskNumber: "+4930123", AfterContactWork: 30, Enhancement: plan.VoiceIsolation},
			Channels: map[plan.Channel]plan.Handled{plan.Chat: {AutoAccept: true}}, Tags: map[string]string{"team": "<a&b>"},
			Owner: person, Deployment: "test", State: plan.StateSuspended, Since: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Group: "g1",
			Answers: map[plan.Field]string{plan.FieldRouting: "r1"},
		}
	}
	return &plan.Change{
		Action: action, Person: person, Agent: "agent-" + person, Before: agent("Ada"), After: agent("Ada Byron"), Parked: agent("Countess"),
		Fields: []plan.Field{plan.FieldName, plan.FieldRouting}, Evidence: plan.EvidenceMembership, Group: "g1", Reason: "in group A & B",
	}
}

// agents demands what is known of the agents of a person.
func (f *fixture) agents(owner string, want ...reconcile.Known) {
	f.Helper()
	got, err := f.Agents(f.Context(), owner)
	if err != nil {
		f.Fatal(err)
	}
	f.same("agents of "+owner, got, want)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func testIndex(f *fixture) {
	f.agents("a")
	now := f.clock.Now()
	live := reconcile.Known{Instance: "us", Owner: "a", Agent: "agent-2", Since: now, Group: "g1"}
	old := reconcile.Known{Instance: "us", Owner: "a", Agent: "agent-1", Retired: true}
	other := reconcile.Known{Instance: "eu", Owner: "a", Agent: "agent-2", Group: "g2", Absent: now, Cliff: "the group is empty"}
	b := reconcile.Known{Owner: "b", Agent: "agent-2", Since: now}
	f.must(f.Remember(f.Context(), live, other, old, b))
	f.agents("a", other, old, live)
	f.agents("b", b)
	live.Group, live.Since, live.Absent = "g3", now.Add(time.Second), now.Add(time.Minute)
	f.must(f.Remember(f.Context(), live, live))
	f.agents("a", other, old, live)
	live.Owner = "c" // the agent is somebody else's now
	f.must(f.Remember(f.Context(), live))
	f.agents("a", other, old)
	f.agents("c", live)
	for range 2 {
		f.must(f.Forget(f.Context(), "eu", "agent-2"))
	}
	f.agents("a", old)
	f.agents("b", b)
	f.agents("c", live)
	f.must(f.Remember(f.Context()))
}

func testRebuild(f *fixture) {
	now := f.clock.Now()
	early, late := now.Add(-time.Hour), now.Add(time.Hour)
	known := func(owner, agent string, since time.Time) reconcile.Known {
		return reconcile.Known{Instance: "eu", Owner: owner, Agent: agent, Since: since}
	}
	elsewhere := reconcile.Known{Instance: "us", Owner: "gone", Agent: "agent-9"}
	f.must(f.Remember(f.Context(),
		known("stays", "agent-1", early), known("gone", "agent-2", early), known("seen", "agent-3", time.Time{}), known("at", "agent-4", now),
		known("fresh", "agent-5", late), known("was", "agent-6", early), elsewhere))
	stays := reconcile.Known{Instance: "ignored", Owner: "stays", Agent: "agent-1", Since: late, Retired: true, Group: "g", Absent: now, Cliff: "cliff"}
	rehired := reconcile.Known{Owner: "is", Agent: "agent-6", Group: "g"}
	found := reconcile.Known{Instance: "eu", Owner: "new", Agent: "agent-7", Since: late, Group: "h"}
	for range 2 { // the same again changes nothing
		f.must(f.Rebuild(f.Context(), "eu", now, []reconcile.Known{stays, rehired, found}))
		f.agents("stays", reconcile.Known{Instance: "eu", Owner: "stays", Agent: "agent-1", Since: early, Retired: true, Group: "g", Absent: now, Cliff: "cliff"})
		f.agents("gone", elsewhere)
		f.agents("seen")
		f.agents("at")
		f.agents("fresh", known("fresh", "agent-5", late))
		f.agents("was")
		f.agents("is", reconcile.Known{Instance: "eu", Owner: "is", Agent: "agent-6", Since: early, Group: "g"})
		f.agents("new", found)
	}
	all, groups, err := f.Owned(f.Context(), "eu")
	f.must(err)
	f.same("owned", []any{all, groups}, []any{3, map[string]int{"g": 1, "h": 1}}) // one is retired, one has no group
	f.must(f.Rebuild(f.Context(), "eu", late, nil))
	all, groups, err = f.Owned(f.Context(), "eu")
	f.must(err)
	f.same("owned after nothing was seen", []any{all, groups}, []any{0, map[string]int{}})
	f.agents("gone", elsewhere)
}

// intent demands the open intent of a person.
func (f *fixture) intent(want reconcile.Intent) {
	f.Helper()
	got, err := f.Intent(f.Context(), want.Person, want.Instance)
	if err != nil {
		f.Fatal(err)
	}
	f.same("intent", got, want)
}

func (f *fixture) noIntent(person, instance string) {
	f.Helper()
	if got, err := f.Intent(f.Context(), person, instance); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("intent of %s in %q: got %+v and error %v, want ErrNotFound", person, instance, got, err)
	}
}

func testIntents(f *fixture) {
	f.noIntent("a", "")
	now := f.clock.Now()
	for _, want := range []reconcile.Intent{
		{Person: "a", Username: "ada", Started: now, Creates: 1},
		{Person: "a", Username: "ada", Started: now, Looks: 3, Creates: 2, Taken: now.Add(time.Minute), Change: change("a", plan.Replace)},
		{Person: "a", Instance: "eu", Change: change("a", plan.Suspend), Started: now},
		{Person: "b", Username: "Bob@Example.com"},
	} {
		f.must(f.SaveIntent(f.Context(), want))
		f.intent(want)
		if want.Change != nil { // what is stored is the backend's own
			want.Change.After.SecurityProfiles[0] = "changed"
			got, err := f.Intent(f.Context(), want.Person, want.Instance)
			f.must(err)
			f.same("security profiles", got.Change.After.SecurityProfiles, []string{"s1", "s2"})
		}
	}
	for range 2 {
		f.must(f.DropIntent(f.Context(), "a", ""))
	}
	f.noIntent("a", "")
	f.intent(reconcile.Intent{Person: "a", Instance: "eu", Change: change("a", plan.Suspend), Started: now})
	f.intent(reconcile.Intent{Person: "b", Username: "Bob@Example.com"})
}

func testTombstones(f *fixture) {
	now := f.clock.Now()
	tombs := func(agents ...string) map[string]reconcile.Tombstone {
		f.Helper()
		got, err := f.Tombstones(f.Context(), agents...)
		f.must(err)
		return got
	}
	f.same("none", tombs(), map[string]reconcile.Tombstone{})
	f.same("of nobody", tombs("agent-a"), map[string]reconcile.Tombstone{})
	a := reconcile.Tombstone{Instance: "eu", Person: "a", Agent: *change("a", plan.Suspend).Before, Taken: now}
	b := reconcile.Tombstone{Person: "b", Agent: plan.Agent{ID: "agent-b", SecurityProfiles: []string{}}, Taken: now}
	f.must(f.SaveTombstone(f.Context(), a))
	f.must(f.SaveTombstone(f.Context(), b))
	half := a
	half.Agent.RoutingProfile, half.Taken = "parked", now.Add(time.Hour)
	f.must(f.SaveTombstone(f.Context(), half)) // the first stays
	f.same("both", tombs("agent-a", "agent-b", "agent-c", "agent-a"), map[string]reconcile.Tombstone{"agent-a": a, "agent-b": b})
	for range 2 {
		f.must(f.DropTombstone(f.Context(), "agent-a"))
	}
	f.same("one", tombs("agent-a", "agent-b"), map[string]reconcile.Tombstone{"agent-b": b})
	f.must(f.SaveTombstone(f.Context(), half))
	f.same("again", tombs("agent-a"), map[string]reconcile.Tombstone{"agent-a": half})
	f.reopen()
	f.same("after a restart", tombs("agent-a", "agent-b"), map[string]reconcile.Tombstone{"agent-a": half, "agent-b": b})
}

func testDrop(f *fixture) {
	for _, person := range []string{"nobody", "a"} {
		if err := f.Drop(f.Context(), person); !errors.Is(err, reconcile.ErrNotFound) {
			f.Fatalf("drop %s, who is no dead letter: got %v, want ErrNotFound", person, err)
		}
		f.ask(reconcile.Request{Person: "a", Priority: reconcile.Leaver})
	}
	w := f.take("a")
	f.settle(w, reconcile.Verdict{State: reconcile.Dead, Failed: true, Reason: "cannot"})
	f.must(f.Drop(f.Context(), "a"))
	got := f.look("a")
	f.same("state", []any{got.State, got.Done, got.Attempts, got.Reason, got.Since.IsZero()}, []any{reconcile.StateIdle, got.Generation, 0, "", true})
	f.none()
	dead, err := f.Dead(f.Context())
	f.must(err)
	f.same("dead letters", len(dead), 0)
	if err := f.Drop(f.Context(), "a"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("drop again: got %v, want ErrNotFound", err)
	}
	if err := f.Replay(f.Context(), "a"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("replay after drop: got %v, want ErrNotFound", err)
	}
	f.ask(reconcile.Request{Person: "a"}) // a new request begins anew
	f.same("attempts", f.take("a").Attempts, 0)
}

// testErase fills every corner about two people and forgets one of them.
func testErase(f *fixture) {
	people := []string{"a", "b"}
	f.record(3, people...)
	for _, person := range people {
		f.ask(reconcile.Request{Person: person, Facts: []reconcile.Fact{{Person: person, Group: "g", DisplayName: "Ada", Member: true, Published: f.clock.Now()}}})
		f.must(f.SaveTombstone(f.Context(), reconcile.Tombstone{Person: person, Agent: *change(person, plan.Suspend).Before}))
		r := removal(f.clock.Now(), person)
		r.Cliff, r.Change = "the group is empty", change(person, plan.Suspend)
		_, err := f.Reserve(f.Context(), r, reconcile.Limits{})
		f.must(err)
		f.must(f.SaveIntent(f.Context(), reconcile.Intent{Person: person, Instance: "eu", Change: change(person, plan.Suspend)}))
		f.must(f.SaveIntent(f.Context(), reconcile.Intent{Person: person, Instance: "us", Change: change(person, plan.Create), Username: "ada"}))
		f.must(f.Remember(f.Context(), reconcile.Known{Owner: person, Agent: "agent-" + person}))
	}
	entries := f.recent(reconcile.Query{})
	counts, err := f.Erase(f.Context(), "a")
	f.must(err)
	f.same("erased", counts, reconcile.Erased{Entries: 3, Facts: 1, Tombstones: 1, Holds: 1, Intents: 2, Open: 1})

	f.must(f.Verify(f.Context(), ""))
	for i := range entries {
		if entries[i].Person == "a" {
			entries[i].Before, entries[i].After = nil, nil
		}
	}
	f.same("journal", f.recent(reconcile.Query{}), entries)
	facts, err := f.Facts(f.Context(), "a")
	f.must(err)
	f.same("facts", len(facts), 0)
	tombs, err := f.Tombstones(f.Context(), "agent-a", "agent-b")
	f.must(err)
	f.same("tombstones", len(tombs), 1)
	f.noIntent("a", "eu")
	f.intent(reconcile.Intent{Person: "a", Instance: "us", Username: "ada"})
	f.intent(reconcile.Intent{Person: "b", Instance: "us", Username: "ada", Change: change("b", plan.Create)})
	holds, err := f.Holds(f.Context(), reconcile.HoldQuery{})
	f.must(err)
	held := slices.Concat(holds[0].Entries)
	f.same("entries", len(held), 2)
	f.same("changes", []bool{held[0].Change == nil, held[1].Change == nil}, []bool{true, false})
	f.agents("a", reconcile.Known{Owner: "a", Agent: "agent-a"})

	again, err := f.Erase(f.Context(), "a")
	f.must(err)
	f.same("erased again", again, reconcile.Erased{Open: 1})
	f.must(f.DropIntent(f.Context(), "a", "us"))
	for _, person := range []string{"a", "nobody"} {
		again, err = f.Erase(f.Context(), person)
		f.must(err)
		f.same("erased "+person, again, reconcile.Erased{})
	}
	f.record(1, "a") // the chain goes on
	f.must(f.Verify(f.Context(), ""))
}
