package sqlite

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Path: b.TempDir() + "/bench.db"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func hint(n int64) reconcile.Request {
	return reconcile.Request{
		Person: fmt.Sprintf("00u%017d", n%10_000), Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "11111111-2222-3333-4444-555555555555",
		Facts: []reconcile.Fact{{
			Person: fmt.Sprintf("00u%017d", n%10_000), Group: "00g00000000000000001", GroupName: "Amazon Connect Agents",
			Login: "ada@example.com", DisplayName: "Ada Lovelace", Member: true, Published: time.UnixMicro(n), Event: "e",
		}},
	}
}

// BenchmarkEnqueue64 has 64 callers, as a busy hook would. It reports durable
// requests a second.
func BenchmarkEnqueue64(b *testing.B) {
	s := benchStore(b)
	var n atomic.Int64
	b.SetParallelism(32) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Enqueue(b.Context(), hint(n.Add(1))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkEnqueueSerial has one caller, who waits for the disk each time.
func BenchmarkEnqueueSerial(b *testing.B) {
	s := benchStore(b)
	for n := int64(0); b.Loop(); n++ {
		if err := s.Enqueue(b.Context(), hint(n)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClaimSettle takes and finishes one person after the other, out of
// 10,000 who are due.
func BenchmarkClaimSettle(b *testing.B) {
	s := benchStore(b)
	var all []reconcile.Request
	for n := range int64(10_000) {
		all = append(all, hint(n))
	}
	if err := s.Enqueue(b.Context(), all...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w, err := s.Claim(b.Context(), time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		// Later keeps the number of people who are due as it is.
		if err := s.Settle(b.Context(), w, reconcile.Verdict{State: reconcile.Later}); err != nil {
			b.Fatal(err)
		}
	}
}
