package awsstore

import (
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// TestClaimWithLostAnswer has the answer to a claim get lost, and somebody ask for the
// person before the claim is tried again: it is a claim all the same, of that person.
func TestClaimWithLostAnswer(t *testing.T) {
	t.Parallel()
	c := fresh(t)
	s, p := behind(t, c)
	other := open(t, c)
	ctx := t.Context()
	request := reconcile.Request{Person: "a", Trigger: reconcile.TriggerHook, Event: "first"}
	if err := s.Enqueue(ctx, request); err != nil {
		t.Fatal(err)
	}
	var puts atomic.Int64
	p.plant(func(operation string) fault {
		if operation != "PutItem" {
			return none
		}
		if puts.Add(1) == 1 {
			return dropped
		}
		if puts.Load() == 2 {
			if err := other.Enqueue(ctx, reconcile.Request{Person: "a", Trigger: reconcile.TriggerHook, Event: "second"}); err != nil {
				t.Error(err)
			}
		}
		return none
	})
	work, err := s.ClaimPerson(ctx, "a", time.Minute)
	p.plant(nil)
	if err != nil {
		t.Fatal(err)
	}
	if puts.Load() < 2 {
		t.Fatalf("there were %d writes, so none was tried again", puts.Load())
	}
	if work.Person != "a" || work.Token == "" || work.Event != "first" || work.Generation != 1 {
		t.Errorf("claimed %+v, want the first request of person a", work)
	}
	if err := s.Settle(ctx, work, reconcile.Verdict{State: reconcile.Done}); err != nil {
		t.Error(err)
	}
	again, err := s.ClaimPerson(ctx, "a", time.Minute)
	if err != nil || again.Event != "second" || again.Attempts != 0 {
		t.Errorf("claimed %+v and error %v, want the second request", again, err)
	}
}
