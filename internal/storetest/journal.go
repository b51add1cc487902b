package storetest

import (
	"errors"
	"fmt"
	"slices"
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
				Instance: "eu", Fields: []plan.Field{plan.FieldName, plan.FieldRouting}, By: "eve", Hold: "H1", After: change(person, plan.Create).After,
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
			Trigger: reconcile.TriggerReplay, Instance: "eu", Fields: []plan.Field{plan.FieldName, plan.FieldTags}, By: "eve", Hold: "H1",
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
		"instance": func(e *reconcile.Entry) { e.Instance = "us" },
		"fields":   func(e *reconcile.Entry) { e.Fields = append(e.Fields, plan.FieldTags) },
		"order":    func(e *reconcile.Entry) { e.Fields = []plan.Field{e.Fields[1], e.Fields[0]} },
		"by":       func(e *reconcile.Entry) { e.By = "" },
		"hold":     func(e *reconcile.Entry) { e.Hold = "H2" },
		"after":    func(e *reconcile.Entry) { e.After.FirstName = "Eve" },
		"tags":     func(e *reconcile.Entry) { e.After.Tags["team"] = "other" },
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

// testJournalQuery selects entries in every way.
func testJournalQuery(f *fixture) {
	f.record(5, "a", "b") // a has the odd numbers
	for _, person := range []string{"a", "b"} {
		f.must(f.Record(f.Context(), reconcile.Entry{Time: f.clock.Now(), Person: person, Kind: reconcile.EntryHold, Reason: "r"}))
	}
	for _, c := range []struct {
		q    reconcile.Query
		want []int64
	}{
		{reconcile.Query{Kind: reconcile.EntryHold}, []int64{12, 11}},
		{reconcile.Query{Kind: reconcile.EntryHold, Person: "a"}, []int64{11}},
		{reconcile.Query{Kind: reconcile.EntryChange, Limit: 2}, []int64{10, 9}},
		{reconcile.Query{After: 9}, []int64{10, 11, 12}},
		{reconcile.Query{After: 4, Limit: 2}, []int64{5, 6}},
		{reconcile.Query{After: 4, Before: 7}, []int64{5, 6}},
		{reconcile.Query{After: 4, Person: "b"}, []int64{6, 8, 10, 12}},
		{reconcile.Query{After: 4, Person: "b", Kind: reconcile.EntryHold}, []int64{12}},
		{reconcile.Query{After: 12}, nil},
		{reconcile.Query{Before: 3, Kind: reconcile.EntryChange}, []int64{2, 1}},
		{reconcile.Query{Kind: "other"}, nil},
	} {
		var got []int64
		for _, e := range f.recent(c.q) {
			got = append(got, e.Seq)
		}
		f.same(fmt.Sprintf("%+v", c.q), got, c.want)
	}
}

// testAnchor rewrites a whole chain, with everything that belongs to it.
func testAnchor(f *fixture) {
	anchors := func(want int) {
		f.Helper()
		f.must(f.Anchor(f.Context()))
		f.same("anchors", len(f.recent(reconcile.Query{Kind: anchor})), want)
		f.must(f.Verify(f.Context(), ""))
	}
	anchors(0)
	f.refuse(2, "a", "b")
	anchors(1)
	anchors(1) // nothing changed
	f.refuse(2, "b", "c\n")
	f.clock.Advance(time.Hour)
	anchors(2)
	first, second := f.recent(reconcile.Query{Kind: anchor})[1], f.recent(reconcile.Query{Kind: anchor})[0]
	f.same("anchor", []any{second.Person, second.Seq, second.Time, second.Previous, second.Before == nil}, []any{"", int64(10), f.clock.Now(), first.Hash, true})
	if first.Reason[:8] != "2 chains" || second.Reason[:8] != "3 chains" {
		f.Fatalf("the anchors say %q and %q, of 2 and 3 chains", first.Reason, second.Reason)
	}
	if err := f.Record(f.Context(), reconcile.Entry{Kind: anchor, Reason: "x"}); err == nil {
		f.Fatal("an anchor was recorded by hand")
	}
	f.refuse(1, "a")
	f.must(f.Verify(f.Context(), ""))

	tamperer, ok := f.Backend.(Tamperer)
	if !ok {
		f.Skip("the journal of this backend cannot be changed from here")
	}
	// Entry 4 is the last of b before the first anchor, 5 the first after it.
	chain := f.recent(reconcile.Query{Person: "b"})
	slices.Reverse(chain)
	for _, c := range []struct {
		seq, anchor int64
	}{{2, 5}, {4, 5}, {6, 10}, {8, 10}} {
		f.rewrite(tamperer, chain, c.seq)
		f.must(f.Verify(f.Context(), "b")) // alone it looks genuine
		f.anchorBroken(fmt.Sprintf("after rewriting the chain from entry %d on", c.seq), c.anchor)
		f.rewrite(tamperer, chain, 0)
		f.must(f.Verify(f.Context(), ""))
	}
	for _, e := range chain {
		tamperer.Tamper(f.T, e.Seq, nil)
	}
	tamperer.TamperHead(f.T, "b", reconcile.Head{})
	f.must(f.Verify(f.Context(), "b"))
	f.anchorBroken("after removing the chain", 5)
}

// rewrite puts another reason into an entry and seals the chain anew from there
// on, as somebody would who knows the rules; none for 0, which mends everything.
func (f *fixture) rewrite(t Tamperer, chain []reconcile.Entry, seq int64) {
	f.Helper()
	previous := ""
	for _, e := range chain {
		if e.Seq == seq {
			e.Reason = "rewritten"
		}
		e, err := reconcile.Seal(e, nil, previous)
		f.must(err)
		t.Tamper(f.T, e.Seq, func(old *reconcile.Entry) { *old = e })
		previous = e.Hash
		t.TamperHead(f.T, e.Person, reconcile.Head{Seq: e.Seq, Hash: e.Hash})
	}
}

func (f *fixture) anchorBroken(when string, seq int64) {
	f.Helper()
	var broken *reconcile.BrokenChainError
	if err := f.Verify(f.Context(), ""); !errors.As(err, &broken) || broken.Seq != seq || broken.Person != "" {
		f.Fatalf("verify %s: got %v, want the anchor %d", when, err, seq)
	}
}

// refuse appends n entries without a personal part about each person in turn.
func (f *fixture) refuse(n int, people ...string) {
	f.Helper()
	for range n {
		for _, person := range people {
			f.must(f.Record(f.Context(), reconcile.Entry{Time: f.clock.Now(), Person: person, Kind: reconcile.EntryRefusal, Code: plan.Exempt, Reason: "exempt"}))
		}
	}
}
