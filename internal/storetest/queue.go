package storetest

import (
	"errors"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

func testClaim(f *fixture) {
	f.none()
	stored := f.clock.Now()
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "uuid-1"})
	w := f.take("a")
	if w.Token == "" {
		f.Fatal("a claim has no token")
	}
	f.same("work", w, reconcile.Work{
		Person: "a", Generation: 1, Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "uuid-1", Since: stored, Token: w.Token,
	})
	f.none()
	f.settle(w, reconcile.Verdict{State: reconcile.Done})
	f.none()
	f.same("state", f.look("a").State, reconcile.StateIdle)
}

func testCoalesce(f *fixture) {
	first := f.clock.Now()
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Routine, Due: first.Add(time.Hour), Event: "uuid-1"})
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Leaver, Due: first.Add(2 * time.Hour), Event: "uuid-2"})
	for range 50 {
		f.ask(reconcile.Request{Person: "a", Priority: reconcile.Routine, Due: first.Add(time.Minute), Event: "uuid-3", Trigger: reconcile.TriggerLog})
	}
	f.none()
	f.clock.Advance(time.Minute)
	w := f.take("a")
	f.same("work", w, reconcile.Work{
		Person: "a", Generation: 52, Priority: reconcile.Leaver, Trigger: reconcile.TriggerLog, Event: "uuid-3", Since: first, Token: w.Token,
	})
	f.settle(w, reconcile.Verdict{State: reconcile.Done})
	f.none()
}

// testSweep has sweeps ask for people in every state: nothing is stored for who is
// due and as urgent, nor for whom the same sweep has asked already.
func testSweep(f *fixture) {
	// sweep asks for somebody, and wants the generation that they have then.
	sweep := func(person, name string, p reconcile.Priority, generation int64) {
		f.Helper()
		f.ask(reconcile.Request{Person: person, Priority: p, Trigger: reconcile.TriggerSweep, Event: name})
		f.same("generation of "+person, f.look(person).Generation, generation)
	}
	done := reconcile.Verdict{State: reconcile.Done}

	// Due: unless the sweep is more urgent, the row stays as a hook left it.
	since := f.clock.Now()
	f.ask(reconcile.Request{Person: "due", Priority: reconcile.Joiner, Event: "uuid"})
	before := f.look("due")
	sweep("due", "one", reconcile.Routine, 1)
	sweep("due", "one", reconcile.Joiner, 1)
	f.same("who is due", f.look("due"), before)
	sweep("due", "one", reconcile.Leaver, 2)
	sweep("due", "two", reconcile.Leaver, 2)
	w := f.take("due")
	f.same("work", w, reconcile.Work{
		Person: "due", Generation: 2, Priority: reconcile.Leaver, Trigger: reconcile.TriggerSweep, Event: "one", Since: since, Token: w.Token,
	})

	// Working: the look may have begun to read before, but one more does.
	f.ask(reconcile.Request{Person: "due", Priority: reconcile.Leaver, Event: "uuid"})
	sweep("due", "two", reconcile.Leaver, 4)
	sweep("due", "two", reconcile.Leaver, 4)
	f.settle(w, done)
	f.settle(f.take("due"), done)

	// Idle: the next sweep asks again, or this one where it has become urgent.
	sweep("due", "two", reconcile.Leaver, 4)
	sweep("due", "two", reconcile.Routine, 4)
	f.none()
	sweep("due", "three", reconcile.Routine, 5)
	f.settle(f.take("due"), done)
	sweep("due", "three", reconcile.Joiner, 6)
	f.settle(f.take("due"), done)
	// A hook in between has the last word, and a sweep without a name knows nobody.
	f.ask(reconcile.Request{Person: "due", Priority: reconcile.Joiner})
	f.settle(f.take("due"), done)
	sweep("due", "three", reconcile.Joiner, 8)
	f.settle(f.take("due"), done)
	for generation := range int64(2) {
		sweep("nameless", "", reconcile.Routine, generation+1)
		f.settle(f.take("nameless"), done)
	}

	// Waiting and given up: the first request of a sweep does not wait and revives, the
	// second one does nothing.
	later := reconcile.Verdict{State: reconcile.Later, Due: f.clock.Now().Add(time.Hour), Failed: true, Reason: "failed"}
	f.ask(reconcile.Request{Person: "late", Priority: reconcile.Joiner})
	f.settle(f.take("late"), later)
	sweep("late", "three", reconcile.Joiner, 2)
	f.settle(f.take("late"), later)
	sweep("late", "three", reconcile.Joiner, 2)
	f.none()
	sweep("late", "four", reconcile.Joiner, 3)
	f.settle(f.take("late"), reconcile.Verdict{State: reconcile.Dead, Reason: "hopeless"})
	sweep("late", "four", reconcile.Joiner, 3)
	f.same("state", f.look("late").State, reconcile.StateDead)
	sweep("late", "five", reconcile.Joiner, 4)
	f.take("late")

	// Facts are stored in any case.
	fact := reconcile.Fact{Person: "known", Group: "g", Member: true, Published: since}
	for range 2 {
		f.ask(reconcile.Request{Person: "known", Trigger: reconcile.TriggerSweep, Event: "five", Facts: []reconcile.Fact{fact}})
		fact.Member, fact.Published = false, since.Add(time.Second)
	}
	facts, err := f.Facts(f.Context(), "known")
	if err != nil || len(facts) != 1 || facts[0].Member {
		f.Fatalf("the facts are %+v (error %v), want the newest", facts, err)
	}
	f.same("generation", f.look("known").Generation, int64(1))
}

func testPriority(f *fixture) {
	f.ask(reconcile.Request{Person: "routine", Priority: reconcile.Routine})
	f.ask(reconcile.Request{Person: "joiner 1", Priority: reconcile.Joiner})
	f.ask(reconcile.Request{Person: "joiner 2", Priority: reconcile.Joiner})
	f.ask(reconcile.Request{Person: "leaver", Priority: reconcile.Leaver})
	f.ask(reconcile.Request{Person: "joiner 1", Priority: reconcile.Joiner}) // keeps its place
	for _, person := range []string{"leaver", "joiner 1", "joiner 2", "routine"} {
		f.take(person)
	}
	f.none()
}

func testDelay(f *fixture) {
	due := f.clock.Now().Add(10 * time.Second)
	f.ask(reconcile.Request{Person: "a", Due: due})
	f.same("state", f.look("a").State, reconcile.StateWaiting)
	f.same("due", f.look("a").Due, due)
	f.clock.Advance(due.Sub(f.clock.Now()) - time.Microsecond)
	f.none()
	f.clock.Advance(time.Microsecond)
	f.same("state", f.look("a").State, reconcile.StateDue)
	w := f.take("a")

	later := f.clock.Now().Add(time.Hour)
	f.settle(w, reconcile.Verdict{State: reconcile.Later, Due: later, Reason: "wait"})
	f.none()
	f.ask(reconcile.Request{Person: "a"}) // a request for now does not wait
	f.take("a")
}

func testHintDuringWork(f *fixture) {
	later := f.clock.Now().Add(time.Hour)
	for i, c := range []struct {
		verdict  reconcile.Verdict
		attempts int // 2 before
	}{
		{reconcile.Verdict{State: reconcile.Done}, 0},
		{reconcile.Verdict{State: reconcile.Later, Due: later, Reason: "wait"}, 2},
		{reconcile.Verdict{State: reconcile.Later, Due: later, Failed: true, Reason: "failed"}, 3},
		{reconcile.Verdict{State: reconcile.Dead, Reason: "hopeless"}, 0},
	} {
		person := fmt.Sprintf("person %d", i)
		f.ask(reconcile.Request{Person: person, Priority: reconcile.Routine})
		for range 2 {
			f.settle(f.take(person), reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "failed"})
		}
		w := f.take(person)
		f.ask(reconcile.Request{Person: person, Priority: reconcile.Joiner, Event: "newer"})
		f.none() // the person is still being worked on
		f.settle(w, c.verdict)
		again := f.take(person)
		f.same(fmt.Sprintf("generation, event and attempts after %+v", c.verdict),
			[]any{again.Generation, again.Event, again.Attempts}, []any{int64(2), "newer", c.attempts})
		f.settle(again, reconcile.Verdict{State: reconcile.Done})
		f.none()
	}
}

func testDelayDuringWork(f *fixture) {
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Leaver})
	w := f.take("a")
	asked := f.clock.Now()
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Routine, Due: asked.Add(time.Minute)})
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Joiner, Due: asked.Add(time.Hour)})
	f.settle(w, reconcile.Verdict{State: reconcile.Done})
	f.none()
	f.clock.Advance(time.Minute)
	w = f.take("a")
	f.same("priority and since are of the newer requests alone", []any{w.Priority, w.Since}, []any{reconcile.Joiner, asked})
}

func testAttempts(f *fixture) {
	f.ask(reconcile.Request{Person: "a"})
	for attempt := range 3 {
		w := f.take("a")
		f.same("attempts", w.Attempts, attempt)
		f.settle(w, reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "upstream is down"})
	}
	// Waiting is not an attempt.
	for range 5 {
		w := f.take("a")
		f.same("attempts", w.Attempts, 3)
		f.settle(w, reconcile.Verdict{State: reconcile.Later, Reason: "throttled"})
	}
	// A request while the person waits does not reset them.
	f.ask(reconcile.Request{Person: "a"})
	w := f.take("a")
	f.same("attempts", w.Attempts, 3)
	f.settle(w, reconcile.Verdict{State: reconcile.Done})

	f.ask(reconcile.Request{Person: "a"})
	f.same("attempts after a success", f.take("a").Attempts, 0)
}

func testDeadLetter(f *fixture) {
	since := f.clock.Now()
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Joiner, Event: "uuid-1"})
	f.settle(f.take("a"), reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "first"})
	w := f.take("a")
	f.clock.Advance(time.Second)
	f.settle(w, reconcile.Verdict{State: reconcile.Dead, Failed: true, Reason: "no such routing profile"})
	died := f.clock.Now()
	f.none()
	f.clock.Advance(1000 * time.Hour)
	f.none()
	f.same("dead letter", f.look("a"), reconcile.Waiting{
		Person: "a", State: reconcile.StateDead, Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "uuid-1",
		Generation: 1, Attempts: 2, Since: since, Last: died, Reason: "no such routing profile",
	})

	if err := f.Replay(f.Context(), "a"); err != nil {
		f.Fatalf("replay: %v", err)
	}
	if err := f.Replay(f.Context(), "a"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("second replay: got %v, want ErrNotFound", err)
	}
	if err := f.Replay(f.Context(), "nobody"); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("replay of nobody: got %v, want ErrNotFound", err)
	}
	w = f.take("a")
	f.same("work", w, reconcile.Work{
		Person: "a", Generation: 2, Priority: reconcile.Joiner, Trigger: reconcile.TriggerReplay, Event: "uuid-1", Since: f.clock.Now(), Token: w.Token,
	})
}

func testRevivedByRequest(f *fixture) {
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Leaver})
	f.settle(f.take("a"), reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "first"})
	f.settle(f.take("a"), reconcile.Verdict{State: reconcile.Dead, Failed: true, Reason: "second"})
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Routine})
	f.same("reason", f.look("a").Reason, "")
	w := f.take("a")
	f.same("attempts and priority", []any{w.Attempts, w.Priority}, []any{0, reconcile.Routine})
}

func testPeople(f *fixture) {
	start := f.clock.Now()
	f.ask(reconcile.Request{Person: "idle"})
	f.settle(f.take("idle"), reconcile.Verdict{State: reconcile.Done})
	f.ask(reconcile.Request{Person: "dead"})
	f.settle(f.take("dead"), reconcile.Verdict{State: reconcile.Dead, Reason: "hopeless"})
	f.ask(reconcile.Request{Person: "working"})
	f.take("working")
	f.ask(reconcile.Request{Person: "due", Priority: reconcile.Routine, Event: "e"})
	asked := f.clock.Now()
	f.ask(reconcile.Request{Person: "waiting", Due: asked.Add(time.Hour), Trigger: reconcile.TriggerSweep})
	f.ask(reconcile.Request{Person: "ripe", Due: asked.Add(time.Second)})
	f.clock.Advance(30 * time.Second)

	list := func(q reconcile.WaitingQuery) (ids []string) {
		people, err := f.People(f.Context(), q)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range people {
			ids = append(ids, p.Person+" "+string(p.State))
		}
		return ids
	}
	f.same("everybody", list(reconcile.WaitingQuery{}),
		[]string{"dead dead", "due due", "idle idle", "ripe due", "waiting waiting", "working working"})
	f.same("those due", list(reconcile.WaitingQuery{State: reconcile.StateDue}), []string{"due due", "ripe due"})
	f.same("those waiting", list(reconcile.WaitingQuery{State: reconcile.StateWaiting}), []string{"waiting waiting"})
	f.same("dead letters", list(reconcile.WaitingQuery{State: reconcile.StateDead}), []string{"dead dead"})
	f.same("a page", list(reconcile.WaitingQuery{After: "due", Limit: 2}), []string{"idle idle", "ripe due"})
	f.same("nobody", list(reconcile.WaitingQuery{Person: "nobody"}), []string(nil))
	f.same("one", f.look("waiting"), reconcile.Waiting{
		Person: "waiting", State: reconcile.StateWaiting, Trigger: reconcile.TriggerSweep, Generation: 1, Since: asked, Due: asked.Add(time.Hour),
	})
	b, err := f.Backlog(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.same("backlog", b, reconcile.Backlog{Idle: 1, Due: 2, Waiting: 1, Working: 1, Dead: 1, Oldest: start.Add(2 * time.Millisecond)})
}
