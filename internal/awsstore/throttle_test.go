package awsstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"golang.org/x/time/rate"

	"connectroster/internal/reconcile"
)

func cancellation(codes ...string) error {
	err := &types.TransactionCanceledException{}
	for _, code := range codes {
		err.CancellationReasons = append(err.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return err
}

// TestThrottled tells apart what waiting mends, what another look does, and what
// nothing does.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err                 error
		throttled, conflict bool
	}{
		{cancellation("ThrottlingError"), true, false},
		{cancellation("None", "ProvisionedThroughputExceeded"), true, false},
		{cancellation("ConditionalCheckFailed", "ThrottlingError", "TransactionConflict"), true, false},
		{cancellation("ConditionalCheckFailed", "None"), false, true},
		{cancellation("TransactionConflict"), false, true},
		{cancellation("ThrottlingError", "ValidationError"), false, false},
		{cancellation("ItemCollectionSizeLimitExceeded", "ConditionalCheckFailed"), false, false},
		{&types.TransactionConflictException{}, false, true},
		{&types.ProvisionedThroughputExceededException{}, true, false},
		{&types.RequestLimitExceeded{}, true, false},
		{&smithy.GenericAPIError{Code: "ThrottlingException"}, true, false},
		{&smithy.GenericAPIError{Code: "ValidationException"}, false, false},
		{context.DeadlineExceeded, false, false},
	} {
		err := asConflict(fmt.Errorf("call: %w", c.err))
		if throttled(err) != c.throttled || isConflict(err) != c.conflict {
			t.Errorf("%v: throttled %t and conflict %t, want %t and %t", c.err, throttled(err), isConflict(err), c.throttled, c.conflict)
		}
	}
}

// TestThrottledForEver: a call that is throttled is made again as long as its caller has
// time, and not for ever.
func TestThrottledForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := &Store{timeout: time.Second, clock: time.Now, db: table{PutItem: func(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
			calls++
			return nil, &types.ProvisionedThroughputExceededException{}
		}}}
		begun := time.Now()
		err := s.SaveNote(t.Context(), "name", "text")
		if took := time.Since(begun); took != time.Minute || calls < 40 || calls > 120 || err == nil || !strings.Contains(err.Error(), "takes no more at the moment") {
			t.Errorf("after %s and %d calls: %v", took, calls, err)
		}
		for _, has := range []time.Duration{2 * time.Second, 5 * time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), has)
			begun = time.Now()
			err = s.SaveNote(ctx, "name", "text")
			cancel()
			if took := time.Since(begun); err == nil || took != has {
				t.Errorf("for a caller who has %s it took %s: %v", has, took, err)
			}
		}
	})
}

// TestPace has a sweep take its time, and a hook take none, even beside it: no second
// has more than a hundred rows, and none of the pieces more than 25.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written := map[time.Duration]int{} // rows, by the second
		var begun time.Time
		s := &Store{timeout: time.Second, clock: time.Now, wake: make(chan struct{}, 1), pace: rate.NewLimiter(paceRows, pieceRows), db: table{
			TransactWriteItems: func(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
				n := len(in.TransactItems)
				written[time.Since(begun).Truncate(time.Second)] += n
				if n > pieceRows {
					t.Errorf("%d rows in one piece", n)
				}
				return nil, nil
			},
			BatchGetItem: func(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
				return &dynamodb.BatchGetItemOutput{}, nil
			},
		}}
		ask := func(trigger reconcile.Trigger, n int) time.Duration {
			clear(written)
			begun = time.Now()
			var requests []reconcile.Request
			for i := range n {
				requests = append(requests, reconcile.Request{Person: fmt.Sprint("p", i), Trigger: trigger, Event: "e"})
			}
			if err := s.Enqueue(t.Context(), requests...); err != nil {
				t.Fatal(err)
			}
			return time.Since(begun)
		}
		for _, trigger := range []reconcile.Trigger{reconcile.TriggerSweep, reconcile.TriggerApply, reconcile.TriggerLog} {
			took := ask(trigger, 1000)
			if took < 9*time.Second || took > 11*time.Second {
				t.Errorf("a thousand people of %q took %s, want some ten seconds", trigger, took)
			}
			for second, n := range written {
				if n > paceRows+pieceRows {
					t.Errorf("%q: %d rows after %s within a second", trigger, n, second)
				}
			}
			if took := ask(reconcile.TriggerHook, 20); took != 0 {
				t.Errorf("a hook waited for %s", took)
			}
		}
	})
}

// TestThrottledSweep has a sweep ask for 300 people, some of whom are due or known,
// while DynamoDB throttles every other call: all of them are asked for, nobody twice,
// and a second run of the same sweep writes nothing.
func TestThrottledSweep(t *testing.T) {
	t.Parallel()
	const people = 300
	s, p := behind(t, fresh(t))
	ctx := t.Context()
	id := func(i int) string { return fmt.Sprintf("p%03d", i) }
	// Of the first 50 the even ones are due, and the odd ones were looked at.
	for i := range 50 {
		priority := reconcile.Leaver
		if i%2 == 0 {
			priority = reconcile.Routine
		}
		if err := s.Enqueue(ctx, reconcile.Request{Person: id(i), Priority: priority, Trigger: reconcile.TriggerHook}); err != nil {
			t.Fatal(err)
		}
	}
	for range 25 {
		w, err := s.Claim(ctx, time.Hour)
		if err == nil {
			err = s.Settle(ctx, w, reconcile.Verdict{State: reconcile.Done})
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	random := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	strikes := 0
	p.plant(func(operation string) fault {
		mu.Lock()
		defer mu.Unlock()
		how := none
		if random.IntN(2) == 0 {
			how = refused
			if operation == "TransactWriteItems" && random.IntN(4) > 0 {
				how = cancelled
			}
			strikes++
		}
		return how
	})
	var requests []reconcile.Request
	for i := range people {
		requests = append(requests, reconcile.Request{Person: id(i), Priority: reconcile.Routine, Trigger: reconcile.TriggerSweep, Event: "sweep 1"})
	}
	if err := s.Enqueue(ctx, requests...); err != nil {
		t.Fatalf("after %d throttled calls: %v", strikes, err)
	}
	if strikes < 10 {
		t.Errorf("%d calls were throttled, which tries little", strikes)
	}
	p.plant(nil)
	rows, err := s.People(ctx, reconcile.WaitingQuery{Limit: people + 1})
	if err != nil || len(rows) != people {
		t.Fatalf("there are %d people (error %v), want %d", len(rows), err, people)
	}
	for i, row := range rows {
		generation := int64(1)
		if i < 50 && i%2 == 1 {
			generation = 2
		}
		if row.State != reconcile.StateDue || row.Generation != generation {
			t.Errorf("%s is %s in generation %d, want due in %d", row.Person, row.State, row.Generation, generation)
		}
	}
	p.operations()
	if err := s.Enqueue(ctx, requests...); err != nil {
		t.Fatal(err)
	}
	if got := p.operations(); len(got) != 3 || slices.ContainsFunc(got, func(operation string) bool { return operation != "BatchGetItem" }) {
		t.Errorf("the second run of the sweep made the calls %v, want three that read", got)
	}
}

// TestSweepCutShort ends the time of a sweep while the table takes nothing more: what
// was stored stays, the error comes at once, and the next run writes the rest alone.
func TestSweepCutShort(t *testing.T) {
	t.Parallel()
	const people = 100
	s, p := behind(t, fresh(t))
	var requests []reconcile.Request
	for i := range people {
		requests = append(requests, reconcile.Request{Person: fmt.Sprintf("p%03d", i), Trigger: reconcile.TriggerSweep, Event: "sweep 1"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	writes := 0
	p.plant(func(operation string) fault { // one call at a time is made here
		if operation != "TransactWriteItems" {
			return none
		}
		if writes++; writes <= 2 {
			return none
		}
		cancel()
		return cancelled
	})
	if err := s.Enqueue(ctx, requests...); err == nil || ctx.Err() == nil {
		t.Fatalf("the sweep ended with %v", err)
	}
	p.plant(nil)
	p.operations()
	if err := s.Enqueue(t.Context(), requests...); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.operations()); got != "[BatchGetItem TransactWriteItems TransactWriteItems]" {
		t.Errorf("the next run made the calls %s, want those for the last 50 of 100 people", got)
	}
	rows, err := s.People(t.Context(), reconcile.WaitingQuery{Limit: people + 1})
	if err != nil || len(rows) != people {
		t.Fatalf("there are %d people (error %v), want %d", len(rows), err, people)
	}
	for _, row := range rows {
		if row.Generation != 1 {
			t.Errorf("%s was asked for %d times", row.Person, row.Generation)
		}
	}
	if _, err := s.NextDue(t.Context()); errors.Is(err, reconcile.ErrNotFound) {
		t.Error("nobody is due")
	}
}

// TestUnread: items that DynamoDB leaves unread again and again are an error in the end,
// also where others were read late.
func TestUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := &Store{table: "t", timeout: time.Second, clock: time.Now, db: table{
			BatchGetItem: func(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
				out := &dynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}
				if calls++; calls == tries+1 {
					out.Responses = map[string][]map[string]types.AttributeValue{"t": {{}}}
				}
				return out, nil
			},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := s.getAll(ctx, []item{s.personKey("p1"), s.personKey("p2")}); err == nil || ctx.Err() != nil {
			t.Errorf("after %d calls: %v, and the time of the caller: %v", calls, err, ctx.Err())
		}
	})
}
