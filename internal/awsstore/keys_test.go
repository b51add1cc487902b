package awsstore

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"connectroster/internal/reconcile"
)

// TestKeys wants keys that sort as their parts do, are told apart, and are taken by
// DynamoDB, whatever the parts are.
func TestKeys(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "a\x00", "a\x00b", "a\x01", "\x00", "\x01", "\x02", "b"}), rapid.StringN(0, 40, 60))
	rapid.Check(t, func(t *rapid.T) {
		for range 100 { // there are few checks where each takes a server
			a := []string{part.Draw(t, "a1"), part.Draw(t, "a2")}
			b := []string{part.Draw(t, "b1"), part.Draw(t, "b2")}
			if got, want := cmp.Compare(joined(a...), joined(b...)), slices.Compare(a, b); got != want {
				t.Fatalf("%q and %q compare as %d, their keys as %d", a, b, want, got)
			}
			if !strings.HasPrefix(joined(a...), below(a[0])) || strings.HasPrefix(joined(b...), below(a[0])) != (a[0] == b[0]) {
				t.Fatalf("what is below %q is told wrong for %q", a[0], b)
			}
		}
	})
	long := strings.Repeat("ü", 3000)
	for _, parts := range [][]string{{""}, {long}, {long + "a", long + "b", long}, {strings.Repeat("\x00", 4000)}} {
		if key := joined(parts...); len(key) == 0 || len(key) > 1024 {
			t.Errorf("the key of %d parts has %d bytes", len(parts), len(key))
		}
	}
	if joined(long+"a") == joined(long+"b") {
		t.Error("two long texts have one key")
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOf(rapid.Int64Range(-1<<60, math.MaxInt64>>2)).Draw(t, "times")
		slices.Sort(times)
		got, ok := unpack(pack(times))
		if !ok || !slices.Equal(got, times) {
			t.Fatalf("packed %v, got %v (%v)", times, got, ok)
		}
	})
	if _, ok := unpack([]byte{0x80}); ok {
		t.Error("half a number was read")
	}
}

// TestLimits wants items that are too large, and too many of them, to be refused
// with words.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(t))
	err := s.SaveNote(t.Context(), "large", strings.Repeat("x", itemLimit))
	if err == nil || !strings.Contains(err.Error(), "is too large: DynamoDB takes 409600") {
		t.Errorf("a note of 400 KB: %v", err)
	}
	if err := s.SaveNote(t.Context(), "large", strings.Repeat("x", itemLimit-10_000)); err != nil {
		t.Errorf("a note of less: %v", err)
	}
	// A delivery that tells of somebody in more groups than one transaction takes.
	var facts []reconcile.Fact
	for i := range 250 {
		facts = append(facts, reconcile.Fact{Person: "a", Group: fmt.Sprint("group ", i), Member: true})
	}
	for _, trigger := range []reconcile.Trigger{reconcile.TriggerHook, reconcile.TriggerLog} {
		person := string(trigger)
		for i := range facts {
			facts[i].Person = person
		}
		err := s.Enqueue(t.Context(), reconcile.Request{Person: "before " + person, Trigger: trigger}, reconcile.Request{Person: person, Trigger: trigger, Facts: facts})
		if err != nil {
			t.Fatalf("250 facts about one person: %v", err)
		}
		if known, err := s.Facts(t.Context(), person); err != nil || len(known) != len(facts) {
			t.Errorf("%d of 250 facts about one person are known (error %v)", len(known), err)
		}
		for _, id := range []string{person, "before " + person} {
			rows, err := s.People(t.Context(), reconcile.WaitingQuery{Person: id})
			if err != nil || len(rows) != 1 || rows[0].Generation != 1 {
				t.Errorf("the queue holds %+v of %s (error %v), want one request", rows, id, err)
			}
		}
	}
}

// TestConflicts reads what DynamoDB says of a transaction that it did not carry out.
func TestConflicts(t *testing.T) {
	t.Parallel()
	cancelled := func(codes ...string) error {
		e := &types.TransactionCanceledException{}
		for _, code := range codes {
			e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(code), Message: aws.String("why")})
		}
		return e
	}
	for name, c := range map[string]struct {
		err      error
		conflict bool
	}{
		"condition":                   {cancelled("None", "ConditionalCheckFailed"), true},
		"another transaction":         {cancelled("TransactionConflict"), true},
		"another write":               {&types.TransactionConflictException{}, true},
		"one condition":               {&types.ConditionalCheckFailedException{}, true},
		"condition, and too large":    {cancelled("ConditionalCheckFailed", "ItemCollectionSizeLimitExceeded"), false},
		"throttled":                   {cancelled("None", "ThrottlingError"), false},
		"wrong":                       {cancelled("ValidationError"), false},
		"throttled before it was one": {&types.ProvisionedThroughputExceededException{}, false},
	} {
		if err := asConflict(c.err); isConflict(err) != c.conflict {
			t.Errorf("%s: got %v, a conflict: %v, want %v", name, err, isConflict(err), c.conflict)
		}
	}
}
