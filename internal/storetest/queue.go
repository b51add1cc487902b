package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
		f.ask(reconcile.Request{Person: "a", Priority: reconcile.Routine, Due: first.Add(time.Minute), Event: "uuid-3", Trigger: reconcile.TriggerSweep})
	}
	f.none()
	f.clock.Advance(time.Minute)
	w := f.take("a")
	f.same("work", w, reconcile.Work{
		Person: "a", Generation: 52, Priority: reconcile.Leaver, Trigger: reconcile.TriggerSweep, Event: "uuid-3", Since: first, Token: w.Token,
	})
	f.settle(w, reconcile.Verdict{State: reconcile.Done})
	f.none()
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

func testLeaseOver(f *fixture) {
	since := f.clock.Now()
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Joiner})
	first := f.take("a") // for one minute
	f.ask(reconcile.Request{Person: "a", Priority: reconcile.Leaver})
	f.clock.Advance(time.Minute - 2*time.Millisecond)
	f.none()
	f.clock.Advance(time.Millisecond)
	second := f.take("a")
	f.same("work", second, reconcile.Work{
		Person: "a", Generation: 2, Attempts: 1, Priority: reconcile.Leaver, Trigger: reconcile.TriggerHook, Since: since, Token: second.Token,
	})
	if first.Token == second.Token {
		f.Fatal("two claims have the same token")
	}
	if f.look("a").Reason == "" {
		f.Fatal("a claim that was given up leaves no reason")
	}
	if err := f.Settle(f.Context(), first, reconcile.Verdict{State: reconcile.Dead, Reason: "stale"}); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("settle of a claim that was taken over: got %v, want ErrNotFound", err)
	}
	f.settle(second, reconcile.Verdict{State: reconcile.Done})
	f.none()
}

func testStaleSettle(f *fixture) {
	f.ask(reconcile.Request{Person: "a"})
	w := f.take("a")
	stale := func(what string, w reconcile.Work) {
		before := f.look("a")
		for _, v := range []reconcile.Verdict{
			{State: reconcile.Done},
			{State: reconcile.Later, Failed: true, Reason: "stale"},
			{State: reconcile.Dead, Reason: "stale"},
		} {
			if err := f.Settle(f.Context(), w, v); !errors.Is(err, reconcile.ErrNotFound) {
				f.Fatalf("settle %s with %+v: got %v, want ErrNotFound", what, v, err)
			}
		}
		f.same("after settling "+what, f.look("a"), before)
	}
	forged := w
	forged.Token = "x"
	stale("a forged claim", forged)
	forged.Token = ""
	stale("no claim", forged)
	if err := f.Settle(f.Context(), reconcile.Work{Person: "nobody", Token: w.Token}, reconcile.Verdict{}); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("settle of nobody: got %v, want ErrNotFound", err)
	}
	f.clock.Advance(time.Minute)
	stale("a claim whose lease is over", w)
	f.clock.Advance(-time.Minute)
	f.settle(w, reconcile.Verdict{State: reconcile.Later})
	stale("a claim that was settled", w)
	w = f.take("a")
	f.settle(w, reconcile.Verdict{State: reconcile.Done})
	stale("a claim that was done", w)
}

// testOneWorker has requests and workers run against each other: no person is
// ever with two workers, and the last request of everybody is worked off.
func testOneWorker(f *fixture) {
	const people, rounds, workers = 12, 15, 6
	ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
	defer cancel()
	var busy [people]atomic.Int32
	var asking, working sync.WaitGroup
	var asked atomic.Bool

	for i := range people {
		asking.Go(func() {
			for range rounds {
				if err := f.Enqueue(ctx, reconcile.Request{Person: fmt.Sprintf("p%02d", i), Trigger: reconcile.TriggerHook}); err != nil {
					f.Errorf("enqueue: %v", err)
				}
			}
		})
	}
	for range workers {
		working.Go(func() {
			for ctx.Err() == nil {
				// Whatever was asked before this claim must be visible to it.
				over := asked.Load()
				w, err := f.Claim(ctx, time.Hour)
				if errors.Is(err, reconcile.ErrNotFound) {
					if over {
						return
					}
					continue
				}
				if err != nil {
					f.Errorf("claim: %v", err)
					return
				}
				var i int
				_, _ = fmt.Sscanf(w.Person, "p%d", &i)
				if busy[i].Add(1) != 1 {
					f.Errorf("%s is with two workers", w.Person)
				}
				busy[i].Add(-1)
				if err := f.Settle(ctx, w, reconcile.Verdict{State: reconcile.Done}); err != nil {
					f.Errorf("settle: %v", err)
				}
			}
		})
	}
	asking.Wait()
	asked.Store(true)
	working.Wait()
	list, err := f.People(f.Context(), reconcile.WaitingQuery{})
	if err != nil {
		f.Fatal(err)
	}
	f.same("number of people", len(list), people)
	for _, p := range list {
		f.same("state, generation and done of "+p.Person,
			[]any{p.State, p.Generation, p.Done}, []any{reconcile.StateIdle, int64(rounds), int64(rounds)})
	}
}

func testAtomic(f *fixture) {
	fact := reconcile.Fact{Person: "a", Group: "g", Member: true, Published: f.clock.Now()}
	if err := f.Enqueue(f.Context(), reconcile.Request{Person: "a", Facts: []reconcile.Fact{fact}}, reconcile.Request{Person: ""}); err == nil {
		f.Fatal("a request for nobody was accepted")
	}
	if err := f.Enqueue(f.Context(), reconcile.Request{Person: "a", Facts: []reconcile.Fact{fact, {Person: "a"}}}); err == nil {
		f.Fatal("a fact about no group was accepted")
	}
	f.none()
	facts, err := f.Facts(f.Context(), "a")
	if err != nil || len(facts) != 0 {
		f.Fatalf("a refused call left the facts %v (error %v)", facts, err)
	}
	if err := f.Enqueue(f.Context()); err != nil {
		f.Fatalf("no requests at all: %v", err)
	}
}

func testGivenUp(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if err := f.Enqueue(ctx, reconcile.Request{Person: "a"}); !errors.Is(err, context.Canceled) {
		f.Fatalf("enqueue by a caller who is gone: got %v, want context.Canceled", err)
	}
	if _, err := f.Claim(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		f.Fatalf("claim by a caller who is gone: got %v, want context.Canceled", err)
	}
	f.none()
}

func testManyAtOnce(f *fixture) {
	var requests []reconcile.Request
	for i := range 1000 {
		requests = append(requests, reconcile.Request{Person: fmt.Sprintf("p%03d", i%250), Priority: reconcile.Priority(i / 250)})
	}
	if err := f.Enqueue(f.Context(), requests...); err != nil {
		f.Fatal(err)
	}
	b, err := f.Backlog(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.same("backlog", b, reconcile.Backlog{Due: 250, Oldest: f.clock.Now()})
	w, err := f.Claim(f.Context(), time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	f.same("generation and priority", []any{w.Generation, w.Priority}, []any{int64(4), reconcile.Leaver})
}

// testManyRows takes 300 people in order out of 10,000.
func testManyRows(f *fixture) {
	rows, batch, claims := f.scaled(10_000), f.scaled(1000), f.scaled(300)
	start := f.clock.Now()
	for i := 0; i < rows; i += batch {
		var requests []reconcile.Request
		for j := range batch {
			n := i + j
			r := reconcile.Request{Person: fmt.Sprintf("p%05d", (n*7919)%rows), Priority: reconcile.Priority(n % 3)}
			if n%4 == 3 {
				r.Due = start.Add(time.Hour)
			}
			requests = append(requests, r)
		}
		if err := f.Enqueue(f.Context(), requests...); err != nil {
			f.Fatal(err)
		}
		f.clock.Advance(time.Second)
	}
	var last reconcile.Work
	for range claims {
		w, err := f.Claim(f.Context(), time.Minute)
		if err != nil {
			f.Fatal(err)
		}
		if w.Priority < last.Priority || w.Priority == last.Priority && w.Since.Before(last.Since) {
			f.Fatalf("claimed %+v after %+v", w, last)
		}
		if !last.Since.IsZero() && w.Since.Before(last.Since) {
			f.Fatalf("claimed %+v after %+v", w, last)
		}
		last = w
	}
	f.same("priority", last.Priority, reconcile.Leaver)
	b, err := f.Backlog(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.same("backlog", b, reconcile.Backlog{Due: rows*3/4 - claims, Waiting: rows / 4, Working: claims, Oldest: start})
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
