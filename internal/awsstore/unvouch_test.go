package awsstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// TestUnvouchMany: a hold with more approvals than fit in one transaction.
func TestUnvouchMany(t *testing.T) {
	t.Parallel()
	c := fresh(t)
	s := subject{open(t, c), c}
	r := reconcile.Removal{
		Kind: reconcile.RemovalStatus, Person: "a", Agent: "agent", Action: plan.Suspend, Hash: "hash", Cliff: "the group is empty", Owned: 10, At: time.Now(),
	}
	if _, err := s.Reserve(t.Context(), r, reconcile.Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Decide(t.Context(), reconcile.Decision{Hold: "H1", Approve: true, By: "eve"}); err != nil {
		t.Fatal(err)
	}
	entries, err := s.list(t.Context(), asked{partition: s.partition("hold", "1")})
	if err != nil || len(entries) != 1 {
		t.Fatal(len(entries), err)
	}
	const others = transactionLimit
	var copies []change
	for n := range others {
		key := item{partition: entries[0][partition], sorting: text(joined(fmt.Sprint("b", n), digits(1)))}
		put := item{}
		for name, v := range entries[0] {
			put[name] = v
		}
		copies = append(copies, change{key: key, put: put})
	}
	s.must(t, copies...)

	if n, err := s.Unvouch(t.Context()); err != nil || n != others+1 {
		t.Errorf("%d approvals and error %v, want %d", n, err, others+1)
	}
	holds, err := s.Holds(t.Context(), reconcile.HoldQuery{Waiting: true})
	if err != nil || len(holds) != 1 || len(holds[0].Entries) != others+1 {
		t.Errorf("%d holds and error %v, want one in which everybody waits", len(holds), err)
	}
}

// TestUnvouchCutShort: what fails is done when it is repeated, and answers that are lost
// do no harm.
func TestUnvouchCutShort(t *testing.T) {
	t.Parallel()
	s, p := behind(t, fresh(t))
	ctx := t.Context()
	removal := func(person, cliff string) reconcile.Removal {
		return reconcile.Removal{
			Kind: reconcile.RemovalStatus, Person: person, Agent: "agent", Action: plan.Suspend, Hash: "hash", Cliff: cliff, Owned: 10, At: time.Now(),
		}
	}
	reserve := func(r reconcile.Removal, want reconcile.ReservationState) {
		t.Helper()
		if got, err := s.Reserve(ctx, r, reconcile.Limits{}); err != nil || got.State != want {
			t.Fatalf("reservation of %s: %+v and error %v, want %s", r.Person, got, err, want)
		}
	}
	reserve(removal("gone", ""), reconcile.ReservationGranted)
	for n := range 5 {
		reserve(removal(fmt.Sprint("p", n), fmt.Sprint("cause ", n)), reconcile.ReservationHeld)
		if _, err := s.Decide(ctx, reconcile.Decision{Hold: fmt.Sprint("H", n+1), Approve: true, By: "eve"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveNote(ctx, "mark", "text"); err != nil {
		t.Fatal(err)
	}

	failures := 0
	for {
		// So many calls go well. Of the others some are carried out, and nobody learns of it.
		var left atomic.Int64
		left.Store(int64(2 * failures))
		lost := failures%2 == 0
		p.plant(func(string) fault {
			switch n := left.Add(-1); {
			case n >= 0:
				return none
			case lost:
				return dropped
			}
			return broken
		})
		_, err := s.Unvouch(ctx)
		if err == nil {
			break
		}
		if failures++; failures > 100 {
			t.Fatalf("it comes to no end: %v", err)
		}
	}
	p.plant(nil)
	if failures == 0 {
		t.Error("nothing has failed")
	}

	holds, err := s.Holds(ctx, reconcile.HoldQuery{Waiting: true})
	if err != nil || len(holds) != 5 {
		t.Errorf("%d holds wait, with error %v; want 5", len(holds), err)
	}
	if _, err := s.Note(ctx, "mark"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("the mark: error %v, want ErrNotFound", err)
	}
	reserve(removal("gone", "the group is empty"), reconcile.ReservationHeld)
}
