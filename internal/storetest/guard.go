package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// removal is a suspension of a person by status, in an instance of 10 agents.
func removal(at time.Time, person string) reconcile.Removal {
	return reconcile.Removal{
		Kind: reconcile.RemovalStatus, Person: person, Agent: "agent-" + person, Action: plan.Suspend, Hash: "hash-" + person,
		Reason: "deactivated in Okta", Owned: 10, At: at,
	}
}

// reserve asks for a place, with changes to what removal gives.
func (f *fixture) reserve(person string, edits ...func(*reconcile.Removal)) reconcile.Reservation {
	f.Helper()
	r := removal(f.clock.Now(), person)
	for _, edit := range edits {
		edit(&r)
	}
	got, err := f.Reserve(f.Context(), r, reconcile.Limits{})
	if err != nil {
		f.Fatalf("reserve %+v: %v", r, err)
	}
	return got
}

func (f *fixture) granted(person string, edits ...func(*reconcile.Removal)) {
	f.Helper()
	f.same("reservation of "+person, f.reserve(person, edits...), reconcile.Reservation{State: reconcile.ReservationGranted})
}

func (f *fixture) held(hold, cause, person string, edits ...func(*reconcile.Removal)) {
	f.Helper()
	f.same("reservation of "+person, f.reserve(person, edits...), reconcile.Reservation{State: reconcile.ReservationHeld, Hold: hold, Cause: cause})
}

// holds gives the holds as short texts, the newest first.
func (f *fixture) holds(q reconcile.HoldQuery) []string {
	f.Helper()
	list, err := f.Holds(f.Context(), q)
	f.must(err)
	var texts []string
	for _, h := range list {
		words := []string{h.ID + ":"}
		for _, e := range h.Entries {
			if e.Hold != h.ID || e.Instance != h.Instance || e.Cause != h.Cause {
				f.Fatalf("the entry %+v is in the hold %+v", e, h)
			}
			words = append(words, e.Person+"="+string(e.State))
		}
		texts = append(texts, strings.Join(words, " "))
	}
	return texts
}

func kind(k reconcile.RemovalKind) func(*reconcile.Removal) {
	return func(r *reconcile.Removal) { r.Kind = k }
}

func group(g string) func(*reconcile.Removal) {
	return func(r *reconcile.Removal) { r.Kind, r.Group = reconcile.RemovalMembership, g }
}

func us(r *reconcile.Removal) { r.Instance = "us" }

func hash(h string) func(*reconcile.Removal) { return func(r *reconcile.Removal) { r.Hash = h } }

func cliff(r *reconcile.Removal) { r.Cliff = "the group is empty" }

const manyRemovals = "more than 5 removals in 15 minutes"

// testGuardWindows fills every window and lets it pass.
func testGuardWindows(f *fixture) {
	start := f.clock.Now()
	for i := range 5 {
		k := []reconcile.RemovalKind{reconcile.RemovalStatus, reconcile.RemovalDelete}[i%2] // they share a window
		f.granted(fmt.Sprint("s", i), kind(k))
		f.clock.Advance(time.Minute)
	}
	f.held("H1", manyRemovals, "s5")
	f.held("H1", manyRemovals, "s6", kind(reconcile.RemovalDelete))
	// Moves, and other instances, have windows of their own.
	for i := range 5 {
		f.granted(fmt.Sprint("m", i), kind(reconcile.RemovalMove))
		f.granted(fmt.Sprint("u", i), us)
	}
	f.held("H2", "more than 5 moves in 15 minutes", "m5", kind(reconcile.RemovalMove))
	f.held("H3", manyRemovals, "u5", us)
	// So has each group, but for the long window that all removals share.
	f.held("H4", "more than 5 removals in 24 hours", "g0", group("g"))
	many := func(r *reconcile.Removal) { r.Owned = 50 } // 10 in the long window
	for i := range 3 {
		f.granted(fmt.Sprint("g", i+1), group("g"), many)
	}
	f.granted("h1", group("h"), many)

	// The first is out of the short window after 15 minutes, not a moment earlier.
	f.clock.Advance(start.Add(15*time.Minute).Sub(f.clock.Now()) - time.Microsecond)
	f.held("H1", manyRemovals, "s7", many)
	f.clock.Advance(time.Microsecond)
	f.granted("s8", many)
	f.clock.Advance(12 * time.Minute) // the short window has room again, the long one is full
	f.held("H4", "more than 5 removals in 24 hours", "s9")
	f.held("H5", "more than 10 removals in 24 hours", "s10", many)
	f.clock.Advance(start.Add(24*time.Hour).Sub(f.clock.Now()) - time.Microsecond)
	f.held("H5", "more than 10 removals in 24 hours", "s11", many)
	f.clock.Advance(time.Microsecond)
	f.granted("s12", many)
}

// testGuardGroups fills the window of one group, which leaves room in another.
func testGuardGroups(f *fixture) {
	many := func(r *reconcile.Removal) { r.Owned = 1000 }
	for i := range 5 {
		f.granted(fmt.Sprint("g", i), group("g"), many)
	}
	f.held("H1", "more than 5 people left group g in 15 minutes", "g5", group("g"), many)
	f.granted("h0", group("h"), many)
	f.granted("n0", group(""), many)
	f.granted("s0", many)
	f.granted("u0", group("g"), many, us)
	f.clock.Advance(15 * time.Minute)
	f.granted("g6", group("g"), many)
}

// testGuardAgain asks twice for what was granted.
func testGuardAgain(f *fixture) {
	start := f.clock.Now()
	for range 3 {
		for i := range 4 {
			f.granted(fmt.Sprint("s", i))
		}
		f.clock.Advance(time.Minute)
	}
	f.granted("s0", hash("another change")) // which counts
	f.held("H1", manyRemovals, "s4")
	f.granted("s0", cliff) // what went on goes on, even past a cliff
	f.restart()
	f.granted("s3")
	f.held("H1", manyRemovals, "s5")
	f.same("somebody else's change of the same hash", f.reserve("s6", hash("hash-s3")).State, reconcile.ReservationHeld)
	f.same("the same change elsewhere", f.reserve("s3", us, cliff).State, reconcile.ReservationHeld)
	// Within the long window it is not counted again; after that it is another one.
	f.clock.Advance(start.Add(24*time.Hour).Sub(f.clock.Now()) - time.Microsecond)
	f.granted("s1", cliff)
	f.clock.Advance(time.Microsecond)
	f.held("H3", "the group is empty", "s2", cliff)
}

// testGuardHolds follows the ids of holds.
func testGuardHolds(f *fixture) {
	at := f.clock.Now()
	f.held("H1", "the group is empty", "b", cliff)
	f.held("H1", "the group is empty", "a", cliff)
	f.held("H2", "the group is gone", "c", func(r *reconcile.Removal) { r.Cliff = "the group is gone" })
	f.held("H3", "the group is empty", "d", cliff, us)
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H3: d=waiting", "H2: c=waiting", "H1: a=waiting b=waiting"})
	list, err := f.Holds(f.Context(), reconcile.HoldQuery{ID: "H1"})
	f.must(err)
	entry := reconcile.HoldEntry{
		Hold: "H1", Cause: "the group is empty", Person: "a", Agent: "agent-a", Kind: reconcile.RemovalStatus, Action: plan.Suspend, Hash: "hash-a",
		Reason: "deactivated in Okta", State: reconcile.HoldWaiting, Created: at, Expires: at.Add(24 * time.Hour),
	}
	second := entry
	second.Person, second.Agent, second.Hash = "b", "agent-b", "hash-b"
	f.same("hold", list, []reconcile.Hold{{ID: "H1", Cause: "the group is empty", Opened: at, Entries: []reconcile.HoldEntry{entry, second}}})

	f.clock.Advance(23 * time.Hour)
	f.held("H1", "the group is empty", "e", cliff) // still open
	f.clock.Advance(2 * time.Hour)
	f.held("H1", "the group is empty", "f", cliff) // open for the sake of e
	f.clock.Advance(24 * time.Hour)
	f.held("H4", "the group is empty", "g", cliff) // all that wait in H1 have expired
	f.must(f.Withdraw(f.Context(), "g", "us"))
	f.must(f.Withdraw(f.Context(), "nobody", ""))
	f.held("H4", "the group is empty", "h", cliff)
	f.must(f.Withdraw(f.Context(), "g", ""))
	f.must(f.Withdraw(f.Context(), "h", ""))
	f.held("H5", "the group is empty", "i", cliff) // nobody waits in H4
	f.granted("h")                                 // what was withdrawn is as if it had never been held
	f.granted("h", cliff)                          // it took its place
	f.must(f.Withdraw(f.Context(), "h", "us"))
	f.granted("h", cliff)
	f.must(f.Withdraw(f.Context(), "h", ""))
	f.held("H5", "the group is empty", "h", cliff) // and needs another one now
	f.must(f.Withdraw(f.Context(), "h", ""))
	f.restart()
	f.held("H5", "the group is empty", "j", cliff)
	f.same("holds", f.holds(reconcile.HoldQuery{Limit: 3}), []string{"H5: h=withdrawn i=waiting j=waiting", "H4: g=withdrawn h=withdrawn", "H3: d=waiting"})
}

// testGuardAnew has changes that differ from what waits, and waits that are over.
func testGuardAnew(f *fixture) {
	f.held("H1", "the group is empty", "a", cliff)
	f.held("H1", "the group is empty", "a") // the cliff is over, but what was held waits
	f.held("H1", "the group is empty", "a", hash("another"))
	f.held("H1", "the group is empty", "a", hash("another"), cliff)
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H1: a=superseded a=waiting"})
	f.clock.Advance(24*time.Hour - time.Microsecond)
	f.held("H1", "the group is empty", "a", hash("another"))
	f.clock.Advance(time.Microsecond)
	f.held("H2", "the group is empty", "a", hash("another"))
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H2: a=waiting", "H1: a=superseded a=superseded"})
	// An approval is for the change that it was given to.
	decided := f.decide(reconcile.Decision{Hold: "H2", Approve: true, By: "eve"})
	f.same("decided", len(decided), 1)
	f.held("H3", "the group is empty", "a", hash("a third"))
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H3: a=waiting", "H2: a=superseded", "H1: a=superseded a=superseded"})
	// What waits about one agent of a person says nothing of another one.
	f.granted("a", hash("of another agent"), func(r *reconcile.Removal) { r.Agent = "another" })
	f.held("H3", "the group is empty", "a", hash("a third"))
}

// testGuardAgents has a person with two agents, one of which was retired. What is
// decided about the one says nothing of the other.
func testGuardAgents(f *fixture) {
	old := func(r *reconcile.Removal) { r.Agent, r.Hash = "old agent", "the old one" }
	f.held("H1", "the group is empty", "a", cliff)
	f.held("H1", "the group is empty", "a", cliff, old)
	f.held("H1", "the group is empty", "a", cliff)
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H1: a=waiting a=waiting"})
	f.same("decided", len(f.decide(reconcile.Decision{Hold: "H1", Approve: true, By: "eve"})), 2)
	spent := reconcile.Reservation{State: reconcile.ReservationGranted, Hold: "H1"}
	f.same("the one", f.reserve("a"), spent)
	f.same("the other", f.reserve("a", old), spent)
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H1: a=spent a=spent"})
}

// testGuardRest has a change that goes in two parts, and an approval that nobody
// used in time.
func testGuardRest(f *fixture) {
	rest := func(r *reconcile.Removal) { r.Hash, r.Rest = "the rest", true }
	later := hash("the rest")
	move := kind(reconcile.RemovalMove)
	f.held("H1", "the group is empty", "a", move, cliff)
	f.same("decided", len(f.decide(reconcile.Decision{Hold: "H1", Approve: true, By: "eve"})), 1)
	f.clock.Advance(24*time.Hour - time.Microsecond)
	f.same("in time", f.reserve("a", move, cliff), reconcile.Reservation{State: reconcile.ReservationGranted, Hold: "H1"})
	f.granted("a", move, rest)
	f.restart()
	f.granted("a", move, later, cliff)
	for i := range 5 { // what was measured once is not counted again
		f.granted(fmt.Sprint("m", i), move)
	}
	f.held("H2", "more than 5 moves in 15 minutes", "m5", move)
	f.granted("a", move, later)
	f.must(f.Stay(f.Context(), reconcile.Stay{Person: "b", Who: "eve", Why: "on leave", Since: f.clock.Now(), Until: f.clock.Now().Add(time.Hour)}))
	f.same("somebody who stays", f.reserve("b", move, rest).State, reconcile.ReservationStayed)

	f.held("H3", "the group is empty", "c", cliff)
	f.same("decided", len(f.decide(reconcile.Decision{Hold: "H3", Approve: true, By: "eve"})), 1)
	f.clock.Advance(24 * time.Hour)
	f.held("H4", "the group is empty", "c")
	f.same("holds", f.holds(reconcile.HoldQuery{Person: "c"}), []string{"H4: c=waiting", "H3: c=superseded"})
}

// decide decides now.
func (f *fixture) decide(d reconcile.Decision) []reconcile.HoldEntry {
	f.Helper()
	if d.At.IsZero() {
		d.At = f.clock.Now()
	}
	decided, err := f.Decide(f.Context(), d)
	if err != nil {
		f.Fatalf("decide %+v: %v", d, err)
	}
	return decided
}

func testGuardApprove(f *fixture) {
	for i := range 5 {
		f.granted(fmt.Sprint("s", i))
	}
	for _, person := range []string{"d", "c", "b", "a"} {
		f.held("H1", manyRemovals, person, func(r *reconcile.Removal) { r.Change = change(person, plan.Suspend) })
	}
	for _, hold := range []string{"", "H0", "H2", "h1", "H01", "H1 ", "H", "H-1", "1"} {
		if got, err := f.Decide(f.Context(), reconcile.Decision{Hold: hold, Approve: true}); !errors.Is(err, reconcile.ErrNotFound) {
			f.Fatalf("decide on %q: got %+v and error %v, want ErrNotFound", hold, got, err)
		}
	}
	f.clock.Advance(time.Minute)
	decided := f.decide(reconcile.Decision{Hold: "H1", People: []string{"b", "nobody", "a"}, Approve: true, By: "eve"})
	f.same("decided", len(decided), 2)
	e := decided[0]
	f.same("entry", []any{e.Person, e.Hold, e.Cause, e.State, e.By, e.At}, []any{"a", "H1", manyRemovals, reconcile.HoldApproved, "eve", f.clock.Now()})
	f.same("change", e.Change, change("a", plan.Suspend))
	f.same("decided again", len(f.decide(reconcile.Decision{Hold: "H1", People: []string{"a"}})), 0)
	f.same("holds", f.holds(reconcile.HoldQuery{Waiting: true}), []string{"H1: c=waiting d=waiting"})

	f.restart()
	approved := reconcile.Reservation{State: reconcile.ReservationGranted, Hold: "H1"}
	f.same("reservation of a", f.reserve("a"), approved)
	f.same("once more", f.reserve("a"), approved) // the place is taken, the approval is spent
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H1: a=spent b=approved c=waiting d=waiting"})
	f.must(f.Withdraw(f.Context(), "b", "")) // an approval that nobody used is withdrawn as well
	f.held("H1", manyRemovals, "b")

	// What was approved counts in no window: the five of the start have left, five
	// find room.
	f.clock.Advance(15 * time.Minute)
	many := func(r *reconcile.Removal) { r.Owned = 50 }
	for i := range 5 {
		f.granted(fmt.Sprint("t", i), many)
	}
	f.held("H1", manyRemovals, "t5", many)

	f.clock.Advance(24*time.Hour - 16*time.Minute) // what c and d wait for is over
	f.same("too late", len(f.decide(reconcile.Decision{Hold: "H1", People: []string{"c", "d"}, Approve: true})), 0)
	f.same("holds", f.holds(reconcile.HoldQuery{ID: "H1", Waiting: true}), []string{"H1: b=waiting t5=waiting"})
}

// testUnvouch has nothing of what was go on by itself.
func testUnvouch(f *fixture) {
	f.same("approvals of an empty backend", f.unvouch(), 0)
	for i := range 5 {
		f.granted(fmt.Sprint("s", i))
	}
	for _, person := range []string{"a", "b", "c", "d"} {
		f.held("H1", manyRemovals, person)
	}
	f.granted("s0", us)
	f.held("H2", "the group is empty", "e", us, cliff)
	f.decide(reconcile.Decision{Hold: "H1", People: []string{"a", "b"}, Approve: true, By: "eve"})
	f.decide(reconcile.Decision{Hold: "H1", People: []string{"d"}, By: "eve", Stay: reconcile.Stay{Until: f.clock.Now().Add(time.Minute)}})
	f.decide(reconcile.Decision{Hold: "H2", Approve: true, By: "eve"})
	f.reserve("b") // which makes use of it
	for _, name := range []string{"mark", "mark/us", "marker", "feed"} {
		f.must(f.SaveNote(f.Context(), name, "text"))
	}

	f.same("approvals", f.unvouch(), 2)
	f.same("approvals after that", f.unvouch(), 0)
	f.restart()
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H2: e=waiting", "H1: a=waiting b=spent c=waiting d=rejected"})
	list, err := f.Holds(f.Context(), reconcile.HoldQuery{Person: "a"})
	f.must(err)
	f.same("who approved", list[0].Entries[0].By+list[0].Entries[0].At.String(), time.Time{}.String())
	for name, kept := range map[string]bool{"mark": false, "mark/us": false, "marker": true, "feed": true} {
		if _, err := f.Note(f.Context(), name); (err == nil) != kept || err != nil && !errors.Is(err, reconcile.ErrNotFound) {
			f.Errorf("the note %s: error %v", name, err)
		}
	}

	// What was approved or had its place needs it anew, and what went still counts.
	f.held("H1", manyRemovals, "a")
	f.held("H2", "the group is empty", "e", us, cliff)
	f.held("H1", manyRemovals, "s1")
	f.held("H1", manyRemovals, "b")
	f.granted("s0", us)
	f.granted("s0", us, cliff) // it has its place again
	f.decide(reconcile.Decision{Hold: "H1", People: []string{"a"}, Approve: true, By: "eve"})
	f.same("an approval of now", f.reserve("a"), reconcile.Reservation{State: reconcile.ReservationGranted, Hold: "H1"})
}

func (f *fixture) unvouch() int {
	f.Helper()
	n, err := f.Unvouch(f.Context())
	f.must(err)
	return n
}

func testGuardReject(f *fixture) {
	for _, person := range []string{"a", "b", "c"} {
		f.held("H1", "the group is empty", person, cliff)
	}
	f.held("H2", "the group is empty", "d", cliff, us)
	until := f.clock.Now().Add(48 * time.Hour)
	f.clock.Advance(time.Minute)
	at := f.clock.Now()
	stay := reconcile.Stay{Who: "eve", Why: "they are on loan", Until: until}
	decided := f.decide(reconcile.Decision{Hold: "H1", People: []string{"a", "b"}, By: "eve", Stay: stay})
	f.same("decided", []any{len(decided), decided[0].State}, []any{2, reconcile.HoldRejected})
	stay.Person, stay.Since = "a", at
	other := stay
	other.Person = "b"
	f.stays(stay, other)
	f.same("a", f.reserve("a"), reconcile.Reservation{State: reconcile.ReservationStayed, Stay: &stay})
	f.same("a elsewhere", f.reserve("a", us).State, reconcile.ReservationStayed)
	f.held("H1", "the group is empty", "c", cliff)
	// What has expired can still be rejected: that takes nothing from anybody.
	f.clock.Advance(24 * time.Hour)
	f.same("approved", len(f.decide(reconcile.Decision{Hold: "H1", Approve: true})), 0)
	f.same("rejected", len(f.decide(reconcile.Decision{Hold: "H1", Stay: stay})), 1)
	f.same("holds", f.holds(reconcile.HoldQuery{}), []string{"H2: d=waiting", "H1: a=rejected b=rejected c=rejected"})
	f.clock.Advance(until.Sub(f.clock.Now()) - time.Microsecond)
	f.same("a", f.reserve("a").State, reconcile.ReservationStayed)
	f.clock.Advance(time.Microsecond)
	f.stays()
	f.held("H3", "the group is empty", "a") // the stay is over; what was held once never goes by itself
	f.same("holds", f.holds(reconcile.HoldQuery{Person: "a"}), []string{"H3: a=waiting", "H1: a=rejected"})
	f.must(f.Withdraw(f.Context(), "b", "")) // until the person has come back meanwhile
	f.granted("b")
	f.same("holds", f.holds(reconcile.HoldQuery{Person: "b"}), []string{"H1: b=withdrawn"})
}

func testGuardQuery(f *fixture) {
	f.same("none", f.holds(reconcile.HoldQuery{}), []string(nil))
	for i := range 120 {
		f.held(fmt.Sprintf("H%d", i+1), fmt.Sprint("cause ", i), fmt.Sprintf("p%03d", i), func(r *reconcile.Removal) { r.Cliff = fmt.Sprint("cause ", i) })
		f.clock.Advance(time.Minute)
	}
	f.held("H1", "cause 0", "q", func(r *reconcile.Removal) { r.Cliff = "cause 0" })
	f.must(f.Withdraw(f.Context(), "p000", ""))
	f.must(f.Withdraw(f.Context(), "p001", ""))
	f.held("H3", "cause 2", "p000", func(r *reconcile.Removal) { r.Cliff = "cause 2" })
	f.same("limit", []any{len(f.holds(reconcile.HoldQuery{})), len(f.holds(reconcile.HoldQuery{Limit: 7})), len(f.holds(reconcile.HoldQuery{Limit: 1000}))}, []any{100, 7, 120})
	f.same("newest", f.holds(reconcile.HoldQuery{Limit: 1}), []string{"H120: p119=waiting"})
	for _, c := range []struct {
		q    reconcile.HoldQuery
		want []string
	}{
		{reconcile.HoldQuery{ID: "H1"}, []string{"H1: p000=withdrawn q=waiting"}},
		{reconcile.HoldQuery{ID: "H1", Waiting: true}, []string{"H1: q=waiting"}},
		{reconcile.HoldQuery{ID: "H2", Waiting: true}, nil},
		{reconcile.HoldQuery{ID: "H121"}, nil},
		{reconcile.HoldQuery{ID: "first"}, nil},
		{reconcile.HoldQuery{Person: "p000"}, []string{"H3: p000=waiting", "H1: p000=withdrawn"}},
		{reconcile.HoldQuery{Person: "p000", Waiting: true}, []string{"H3: p000=waiting"}},
		{reconcile.HoldQuery{Person: "p000", ID: "H1"}, []string{"H1: p000=withdrawn"}},
		{reconcile.HoldQuery{Person: "nobody"}, nil},
	} {
		f.same(fmt.Sprintf("%+v", c.q), f.holds(c.q), c.want)
	}
	f.clock.Advance(24*time.Hour - 30*time.Minute)
	f.same("those that have not expired", len(f.holds(reconcile.HoldQuery{Waiting: true, Limit: 1000})), 31)
}

func (f *fixture) stays(want ...reconcile.Stay) {
	f.Helper()
	got, err := f.Stays(f.Context())
	f.must(err)
	f.same("stays", got, want)
}

func testGuardStays(f *fixture) {
	f.stays()
	now := f.clock.Now()
	a := reconcile.Stay{Person: "a", Who: "eve", Why: "on leave", Since: now, Until: now.Add(time.Hour)}
	b := reconcile.Stay{Person: "b", Who: "eve", Why: "on leave", Since: now, Until: now.Add(2 * time.Hour)}
	f.must(f.Stay(f.Context(), b, a))
	f.stays(a, b)
	a.Why, a.Until = "longer", now.Add(3*time.Hour)
	f.must(f.Stay(f.Context(), a))
	f.stays(a, b)
	f.same("a", f.reserve("a", cliff), reconcile.Reservation{State: reconcile.ReservationStayed, Stay: &a})
	f.granted("c")
	f.must(f.Unstay(f.Context(), "a", "nobody"))
	f.stays(b)
	f.granted("a")
	f.restart()
	f.stays(b)
	f.clock.Advance(2*time.Hour - time.Microsecond)
	f.stays(b)
	f.clock.Advance(time.Microsecond)
	f.stays()
	f.must(f.Stay(f.Context()))
	f.must(f.Unstay(f.Context()))
}

// testGuardTogether has 64 people ask at the same moment, again and again: never
// do more than the limit go.
func testGuardTogether(f *fixture) {
	ask := func(round int) (granted, held int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range 64 {
			r := removal(f.clock.Now(), fmt.Sprintf("p%d-%d", round, i))
			r.Owned = 300 // 30 in the short window
			all.Go(func() {
				<-begin
				for range 3 { // the same change does not count again
					got, err := f.Reserve(f.Context(), r, reconcile.Limits{LongCount: 1000})
					if err != nil {
						f.Errorf("reserve: %v", err)
						return
					}
					mu.Lock()
					switch got.State {
					case reconcile.ReservationGranted:
						granted++
					case reconcile.ReservationHeld:
						held++
					}
					mu.Unlock()
				}
			})
		}
		close(begin)
		all.Wait()
		return granted, held
	}
	granted, held := ask(0)
	f.same("of 64 people", []int{granted / 3, held / 3, granted % 3}, []int{30, 34, 0})
	f.restart()
	granted, held = ask(1)
	f.same("of 64 more", []int{granted, held / 3}, []int{0, 64})
	list, err := f.Holds(f.Context(), reconcile.HoldQuery{})
	f.must(err)
	f.same("holds", []int{len(list), len(list[0].Entries)}, []int{1, 98})
	f.clock.Advance(15 * time.Minute)
	granted, _ = ask(2)
	f.same("in the next window", granted/3, 30)
}

// restart restarts the process where the backend outlives that.
func (f *fixture) restart() {
	if r, ok := f.Backend.(Reopener); ok {
		f.Backend = r.Reopen(f.T)
	}
}
