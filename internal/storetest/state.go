package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// testFactsOrder has five facts arrive in every order, each more than once.
func testFactsOrder(f *fixture) {
	at := f.clock.Now()
	facts := []reconcile.Fact{
		{Group: "g", Member: true, Published: at, DisplayName: "one", Event: "1"},
		{Group: "g", Member: false, Published: at.Add(time.Second), DisplayName: "two", Event: "2"},
		{Group: "g", Member: true, Published: at.Add(2 * time.Second), DisplayName: "three", Event: "3"},
		{Group: "g", Member: false, Published: at.Add(2 * time.Second), DisplayName: "four", Event: "4"}, // a removal wins the tie
		{Group: "h", Member: true, Published: at.Add(-time.Second), DisplayName: "five", Event: "5"},
	}
	n := 0
	for order := range permutations(len(facts)) {
		person := fmt.Sprintf("p%03d", n)
		n++
		for _, i := range order {
			fact := facts[i]
			fact.Person = person
			f.ask(reconcile.Request{Person: person, Facts: []reconcile.Fact{fact, fact}})
		}
		got, err := f.Facts(f.Context(), person)
		if err != nil {
			f.Fatal(err)
		}
		want := []reconcile.Fact{facts[3], facts[4]}
		want[0].Person, want[1].Person = person, person
		f.same(fmt.Sprintf("facts in the order %v", order), got, want)
	}
	f.same("orders", n, 120)
}

// permutations yields every order of 0 to n-1. The slice is reused.
func permutations(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		order := make([]int, 0, n)
		used := make([]bool, n)
		var fill func() bool
		fill = func() bool {
			if len(order) == n {
				return yield(order)
			}
			for i := range n {
				if used[i] {
					continue
				}
				used[i], order = true, append(order, i)
				more := fill()
				used[i], order = false, order[:len(order)-1]
				if !more {
					return false
				}
			}
			return true
		}
		fill()
	}
}

// testFactsSupersede compares what is kept with what Fact.Supersedes says.
func testFactsSupersede(f *fixture) {
	n := 0
	rapid.Check(f.T, func(t *rapid.T) {
		n++
		person := fmt.Sprintf("p%d", n)
		var want *reconcile.Fact
		for i := range rapid.IntRange(1, 6).Draw(t, "facts") {
			fact := reconcile.Fact{
				Person: person, Group: "g", Event: strconv.Itoa(i), Member: rapid.Bool().Draw(t, "member"),
				Published: f.clock.Now().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "published")) * time.Microsecond),
			}
			if rapid.IntRange(0, 9).Draw(t, "unpublished") == 0 {
				fact.Published = time.Time{}
			}
			if err := f.Enqueue(f.Context(), reconcile.Request{Person: person, Facts: []reconcile.Fact{fact}}); err != nil {
				t.Fatal(err)
			}
			if want == nil || fact.Supersedes(*want) {
				want = &fact
			}
		}
		got, err := f.Facts(f.Context(), person)
		if err != nil || len(got) != 1 {
			t.Fatalf("got the facts %v and error %v, want one", got, err)
		}
		if got[0] != *want {
			t.Fatalf("kept %+v, want %+v", got[0], *want)
		}
	})
}

func testAllFacts(f *fixture) {
	none, err := f.Facts(f.Context(), "nobody")
	if err != nil || len(none) != 0 {
		f.Fatalf("facts about nobody: got %v and error %v", none, err)
	}
	var want []reconcile.Fact
	var requests []reconcile.Request
	for i := range f.scaled(1100) {
		person := fmt.Sprintf("p%04d", i)
		var facts []reconcile.Fact
		for g := range i % 4 {
			facts = append(facts, reconcile.Fact{
				Person: person, Group: fmt.Sprintf("g%d", g), GroupName: "Group", Login: "Login@Example.com", DisplayName: "Ada Lovelace",
				Member: g != 1, Published: f.clock.Now(), Event: "e",
			})
		}
		want = append(want, facts...)
		slices.Reverse(facts) // stored out of order
		requests = append(requests, reconcile.Request{Person: person, Facts: facts})
	}
	slices.Reverse(requests)
	if err := f.Enqueue(f.Context(), requests...); err != nil {
		f.Fatal(err)
	}
	var got []reconcile.Fact
	for fact, err := range f.AllFacts(f.Context()) {
		if err != nil {
			f.Fatal(err)
		}
		got = append(got, fact)
		if len(got) == f.scaled(700) { // the backend goes on while somebody reads
			f.ask(reconcile.Request{Person: "z"})
		}
	}
	f.same("all facts", got, want)

	read := 0
	for _, err := range f.AllFacts(f.Context()) {
		if err != nil {
			f.Fatal(err)
		}
		if read++; read == 3 {
			break
		}
	}
	f.same("facts read by somebody who stopped", read, 3)
}

func testNotes(f *fixture) {
	if _, err := f.Note(f.Context(), "place"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("a note nobody wrote: got %v, want ErrNotFound", err)
	}
	for _, want := range []string{"first", "", "https://example.okta.com/api/v1/logs?after=1\x00\n\u00e9"} {
		if err := f.SaveNote(f.Context(), "place", want); err != nil {
			f.Fatal(err)
		}
		got, err := f.Note(f.Context(), "place")
		if err != nil {
			f.Fatal(err)
		}
		f.same("note", got, want)
	}
	if _, err := f.Note(f.Context(), "Place"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("a note of another name: got %v, want ErrNotFound", err)
	}
}

// testOddText stores what a hostile or unlucky directory may send.
func testOddText(f *fixture) {
	for i, text := range []string{
		"", " ", "'; DROP TABLE people; --", "Ł́ukasz 👩🏽‍💻", "nul\x00inside", "a\u200bb", "\u2028<&>", "\x1b[31mred", string(make([]byte, 4000)),
	} {
		person := fmt.Sprintf("p%d %s", i, text)
		want := reconcile.Fact{
			Person: person, Group: "g" + text, GroupName: text, Login: text, DisplayName: text, Member: true, Published: f.clock.Now(), Event: text,
		}
		f.ask(reconcile.Request{Person: person, Event: text, Facts: []reconcile.Fact{want}})
		got, err := f.Facts(f.Context(), person)
		if err != nil {
			f.Fatal(err)
		}
		f.same("facts", got, []reconcile.Fact{want})
		w := f.take(person)
		f.settle(w, reconcile.Verdict{State: reconcile.Dead, Reason: text})
		f.same("reason and event", []any{f.look(person).Reason, f.look(person).Event}, []any{text, text})
		entry := reconcile.Entry{
			Time: f.clock.Now(), Person: person, Kind: reconcile.EntryRefusal, Reason: text, After: &plan.Agent{Username: text, FirstName: text},
		}
		if err := f.Record(f.Context(), entry); err != nil {
			f.Fatal(err)
		}
	}
	if err := f.Verify(f.Context(), ""); err != nil {
		f.Fatal(err)
	}
}

func testReopen(f *fixture) {
	now := f.clock.Now()
	fact := reconcile.Fact{Person: "a", Group: "g", Member: true, Published: now}
	f.ask(reconcile.Request{Person: "a", Facts: []reconcile.Fact{fact}, Event: "uuid-1"})
	f.ask(reconcile.Request{Person: "b", Priority: reconcile.Routine, Due: now.Add(time.Hour)})
	known := reconcile.Known{Instance: "eu", Owner: "a", Agent: "agent-1", Since: now, Group: "g", Absent: now, Cliff: "cliff"}
	if err := f.Remember(f.Context(), known); err != nil {
		f.Fatal(err)
	}
	intent := reconcile.Intent{Person: "a", Instance: "eu", Username: "ada", Started: now, Creates: 1, Change: change("a", plan.Create)}
	if err := f.SaveIntent(f.Context(), intent); err != nil {
		f.Fatal(err)
	}
	f.record(2, "a")
	people, err := f.People(f.Context(), reconcile.WaitingQuery{})
	if err != nil {
		f.Fatal(err)
	}
	entries := f.recent(reconcile.Query{})

	f.reopen()

	again, err := f.People(f.Context(), reconcile.WaitingQuery{})
	if err != nil {
		f.Fatal(err)
	}
	f.same("people", again, people)
	f.same("journal", f.recent(reconcile.Query{}), entries)
	facts, err := f.Facts(f.Context(), "a")
	if err != nil {
		f.Fatal(err)
	}
	f.same("facts", facts, []reconcile.Fact{fact})
	f.intent(intent)
	f.agents("a", known)
	f.record(1, "a")
	if err := f.Verify(f.Context(), ""); err != nil {
		f.Fatal(err)
	}
	f.take("a")
}

func testReopenAbandons(f *fixture) {
	f.ask(reconcile.Request{Person: "a"})
	w := f.take("a")
	f.reopen()
	again := f.take("a")
	f.same("attempts", again.Attempts, 1)
	if err := f.Settle(f.Context(), w, reconcile.Verdict{}); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("settle a claim of an earlier process: got %v, want ErrNotFound", err)
	}
}
