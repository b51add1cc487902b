package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// record appends n entries about each person in turn.
func (f *fixture) record(n int, people ...string) {
	f.Helper()
	for i := range n {
		for _, person := range people {
			e := reconcile.Entry{
				Time: f.clock.Now(), Person: person, Agent: "agent-" + person, Kind: reconcile.EntryChange, Action: plan.Create,
				Reason: fmt.Sprintf("in group <%d>", i), Trigger: reconcile.TriggerHook, Event: "uuid", Duration: 1500 * time.Microsecond,
				After: &plan.Agent{Username: person, FirstName: "Ada", SecurityProfiles: []string{"s1"}, Phone: plan.Phone{Type: plan.SoftPhone, AfterContactWork: 30}},
			}
			if err := f.Record(f.Context(), e); err != nil {
				f.Fatalf("record: %v", err)
			}
			f.clock.Advance(time.Millisecond)
		}
	}
}

func (f *fixture) recent(q reconcile.Query) []reconcile.Entry {
	f.Helper()
	entries, err := f.Recent(f.Context(), q)
	if err != nil {
		f.Fatalf("recent %+v: %v", q, err)
	}
	return entries
}

func testJournal(f *fixture) {
	if got := f.recent(reconcile.Query{}); len(got) != 0 {
		f.Fatalf("a new journal has %d entries", len(got))
	}
	at := f.clock.Now()
	want := []reconcile.Entry{ // newest first
		{
			Seq: 3, Time: at.Add(2 * time.Second), Person: "a", Kind: reconcile.EntryFailure, Action: plan.Create, Reason: "gave up", Error: "throttled",
			Trigger: reconcile.TriggerReplay,
		},
		{Seq: 2, Time: at.Add(time.Second), Person: "b", Agent: "agent-2", Kind: reconcile.EntryRefusal, Code: plan.ExistsNotOurs, Reason: "exists"},
		{
			Seq: 1, Time: at, Person: "a", Agent: "agent-1", Kind: reconcile.EntryChange, Action: plan.Update, Reason: "in group A & B", Trigger: reconcile.TriggerHook,
			Event: "uuid", Duration: time.Second + 1, Before: &plan.Agent{ID: "agent-1", SecurityProfiles: []string{}},
			After: &plan.Agent{ID: "agent-1", Username: "ada", LastName: "Løvelace", SecurityProfiles: []string{"s1", "s2"}, State: plan.StateActive},
		},
	}
	for i := range want {
		e := want[len(want)-1-i]
		// What the caller says of these is ignored; a finer time is cut.
		e.Seq, e.Digest, e.Previous, e.Hash, e.Time = 99, "x", "y", "z", e.Time.Add(999).In(time.FixedZone("", 3600))
		if err := f.Record(f.Context(), e); err != nil {
			f.Fatal(err)
		}
	}
	got := f.recent(reconcile.Query{})
	given := cmpopts.IgnoreFields(reconcile.Entry{}, "Digest", "Previous", "Hash")
	if diff := cmp.Diff(want, got, given); diff != "" {
		f.Fatalf("journal (-want +got):\n%s", diff)
	}
	f.same("chain", []string{got[2].Previous, got[1].Previous, got[0].Previous}, []string{"", "", got[2].Hash})
	if got[2].Digest == "" || got[2].Hash == "" || got[2].Hash == got[0].Hash {
		f.Fatalf("seals are missing: %+v", got)
	}
	f.same("digest of an entry without personal data", got[0].Digest, "")
	for _, person := range []string{"", "a", "b", "nobody"} {
		if err := f.Verify(f.Context(), person); err != nil {
			f.Fatal(err)
		}
	}
	// The same content has another digest each time, or it could be guessed.
	f.record(1, "c", "d")
	got = f.recent(reconcile.Query{Limit: 2})
	if got[0].Digest == got[1].Digest {
		f.Fatal("two entries have the same digest: it is not salted")
	}
}

func testJournalPages(f *fixture) {
	f.record(60, "a", "b")
	f.same("default limit", len(f.recent(reconcile.Query{})), 100)
	var seqs []int64
	q := reconcile.Query{Person: "b", Limit: 7}
	for {
		page := f.recent(q)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			f.same("person", e.Person, "b")
			seqs = append(seqs, e.Seq)
		}
		q.Before = page[len(page)-1].Seq
	}
	var want []int64
	for seq := int64(120); seq > 0; seq -= 2 {
		want = append(want, seq)
	}
	f.same("pages", seqs, want)
}

func testJournalTogether(f *fixture) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				e := reconcile.Entry{Time: f.clock.Now(), Person: fmt.Sprintf("p%d", i%3), Kind: reconcile.EntryChange, After: &plan.Agent{ID: "x"}}
				if err := f.Record(f.Context(), e); err != nil {
					f.Errorf("record: %v", err)
				}
				if err := f.Verify(f.Context(), ""); err != nil {
					f.Errorf("verify: %v", err)
				}
			}
		})
	}
	all.Wait()
	f.same("entries", len(f.recent(reconcile.Query{})), 80)
}

// testJournalTamper changes one thing at a time in a journal of ten entries of
// each of two people; each must be found, at the right entry.
func testJournalTamper(f *fixture) {
	tamperer, ok := f.Backend.(Tamperer)
	if !ok {
		f.Skip("the journal of this backend cannot be changed from here")
	}
	f.record(10, "a", "b")
	entries := f.recent(reconcile.Query{Person: "a"})
	last := entries[0]
	edits := map[string]func(*reconcile.Entry){
		"time":     func(e *reconcile.Entry) { e.Time = e.Time.Add(time.Microsecond) },
		"person":   func(e *reconcile.Entry) { e.Person = "b" },
		"agent":    func(e *reconcile.Entry) { e.Agent += "x" },
		"kind":     func(e *reconcile.Entry) { e.Kind = reconcile.EntryRefusal },
		"action":   func(e *reconcile.Entry) { e.Action = plan.Delete },
		"code":     func(e *reconcile.Entry) { e.Code = plan.Conflict },
		"reason":   func(e *reconcile.Entry) { e.Reason = "" },
		"trigger":  func(e *reconcile.Entry) { e.Trigger = reconcile.TriggerSweep },
		"event":    func(e *reconcile.Entry) { e.Event = "other" },
		"error":    func(e *reconcile.Entry) { e.Error = "other" },
		"duration": func(e *reconcile.Entry) { e.Duration++ },
		"after":    func(e *reconcile.Entry) { e.After.FirstName = "Eve" },
		"before":   func(e *reconcile.Entry) { e.Before = &plan.Agent{} },
		"digest":   func(e *reconcile.Entry) { e.Digest = entries[0].Digest },
		"previous": func(e *reconcile.Entry) { e.Previous = "" },
		"hash":     func(e *reconcile.Entry) { e.Hash = entries[0].Hash },
		"resealed": func(e *reconcile.Entry) { // by somebody who knows the rules, but cannot mend what follows
			e.Reason = "other"
			sealed, err := reconcile.Seal(*e, nil, e.Previous)
			if err != nil {
				f.Fatal(err)
			}
			e.Digest, e.Hash = sealed.Digest, sealed.Hash
		},
	}
	// "a" has the odd numbers. Number 9 is in the middle of the chain.
	original := entries[len(entries)-5]
	f.same("number", original.Seq, int64(9))
	for name, edit := range edits {
		tamperer.Tamper(f.T, original.Seq, edit)
		f.broken("after changing the "+name, original.Seq)
		tamperer.Tamper(f.T, original.Seq, func(e *reconcile.Entry) { *e = original })
		if err := f.Verify(f.Context(), ""); err != nil {
			f.Fatalf("after undoing the change to the %s: %v", name, err)
		}
	}
	tamperer.Tamper(f.T, last.Seq, nil)
	f.broken("after cutting off the last entry", last.Seq)
	tamperer.Tamper(f.T, original.Seq, nil)
	f.broken("after removing an entry from the middle", original.Seq+2)
	tamperer.Tamper(f.T, 1, nil)
	f.broken("after removing the first entry", 3)
}

// broken demands that Verify names an entry. A change to the digest or the
// reseal of an entry is seen at that entry or, at the latest, at the next one.
func (f *fixture) broken(when string, seq int64) {
	f.Helper()
	var broken *reconcile.BrokenChainError
	err := f.Verify(f.Context(), "")
	if !errors.As(err, &broken) {
		f.Fatalf("verify %s: got %v, want a broken chain", when, err)
	}
	if broken.Seq != seq {
		f.Fatalf("verify %s: got %v, want entry %d", when, err, seq)
	}
	if person := f.Verify(f.Context(), "a"); !errors.As(person, &broken) {
		f.Fatalf("verify the person %s: got %v, want a broken chain", when, person)
	}
	if err := f.Verify(f.Context(), "nobody"); err != nil {
		f.Fatalf("verify somebody else %s: %v", when, err)
	}
}
