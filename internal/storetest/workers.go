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
	ctx, cancel := context.WithTimeout(f.Context(), 5*time.Minute) // the stand-in for a table takes long where others ask it too
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
