package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// testGuardModel runs random histories of a Guard against a plain list of all that
// ever happened, while time moves.
func testGuardModel(t *testing.T, open func(t *testing.T, now func() time.Time) Backend) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := NewClock()
		m := &guardModel{outer: t, clock: clock, backend: open(t, clock.Now), stays: map[string]reconcile.Stay{}}
		defer func() { _ = m.backend.Close() }()
		actions := map[string]func(*rapid.T){
			"reserve":       m.reserve,
			"reserve more":  m.reserve,
			"reserve again": m.again,
			"withdraw":      m.withdraw,
			"decide":        m.decide,
			"stay":          m.stay,
			"unstay":        m.unstay,
			"advance":       m.advance,
			"unvouch":       m.unvouch,
			"":              m.check,
		}
		if _, ok := m.backend.(Reopener); ok {
			actions["reopen"] = func(*rapid.T) { m.backend = m.backend.(Reopener).Reopen(t) }
		}
		rt.Repeat(actions)
	})
}

type guardModel struct {
	outer   *testing.T
	clock   *Clock
	backend Backend
	asked   []reconcile.Removal
	went    []went
	entries []*reconcile.HoldEntry // in the order of coming
	holds   []reconcile.Hold       // without entries
	stays   map[string]reconcile.Stay
}

// went is a change that took its place.
type went struct {
	reconcile.Removal
	approved bool
}

// guardLimits are small, so that a few steps reach them.
var guardLimits = reconcile.Limits{
	Short: 10 * time.Minute, Long: time.Hour, StatusCount: 2, StatusShare: 1e-9, GroupCount: 1, LongCount: 3, LongShare: 1e-9, MoveCount: 1, MoveShare: 1e-9,
	HoldFor: 40 * time.Minute,
}

func (m *guardModel) reserve(t *rapid.T) {
	r := reconcile.Removal{
		Kind: rapid.SampledFrom([]reconcile.RemovalKind{
			reconcile.RemovalStatus, reconcile.RemovalMembership, reconcile.RemovalDelete, reconcile.RemovalMove,
		}).Draw(t, "kind"),
		Instance: rapid.SampledFrom([]string{"", "eu"}).Draw(t, "instance"),
		Person:   rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "person"),
		Agent:    "agent", Action: plan.Suspend, Reason: "reason", Owned: 10,
	}
	if r.Kind == reconcile.RemovalMembership {
		r.Group = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")
	}
	r.Hash = fmt.Sprintf("%s %s %d", r.Instance, r.Person, rapid.IntRange(1, 3).Draw(t, "hash"))
	if rapid.IntRange(0, 4).Draw(t, "cliff") == 0 {
		r.Cliff = rapid.SampledFrom([]string{"gone", "empty"}).Draw(t, "cause")
	}
	r.Rest = rapid.IntRange(0, 9).Draw(t, "rest") == 0
	m.ask(t, r)
}

func (m *guardModel) again(t *rapid.T) {
	if len(m.asked) == 0 {
		t.Skip("nothing was asked yet")
	}
	m.ask(t, rapid.SampledFrom(m.asked[max(0, len(m.asked)-6):]).Draw(t, "removal"))
}

func (m *guardModel) ask(t *rapid.T, r reconcile.Removal) {
	r.At = m.clock.Now()
	m.asked = append(m.asked, r)
	want := m.answer(r)
	got, err := m.backend.Reserve(m.outer.Context(), r, guardLimits)
	if err != nil {
		t.Fatalf("reserve %+v: %v", r, err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("reserve %+v (-want +got):\n%s", r, diff)
	}
}

// answer says what must come of a removal, and makes it so in the model.
func (m *guardModel) answer(r reconcile.Removal) reconcile.Reservation {
	if stay, ok := m.stays[r.Person]; ok && r.At.Before(stay.Until) {
		return reconcile.Reservation{State: reconcile.ReservationStayed, Stay: &stay}
	}
	granted := reconcile.Reservation{State: reconcile.ReservationGranted}
	if r.Rest {
		m.went = append(m.went, went{r, true})
		return granted
	}
	e := m.newest(r)
	if e != nil && e.State == reconcile.HoldApproved && e.Hash == r.Hash && r.At.Sub(e.At) < guardLimits.HoldFor {
		e.State = reconcile.HoldSpent
		m.went = append(m.went, went{r, true})
		granted.Hold = e.Hold
		return granted
	}
	if e != nil && e.State == reconcile.HoldWaiting && e.Hash == r.Hash && r.At.Before(e.Expires) {
		return reconcile.Reservation{State: reconcile.ReservationHeld, Hold: e.Hold, Cause: e.Cause}
	}
	if e != nil && (e.State == reconcile.HoldApproved || e.State == reconcile.HoldWaiting) {
		answer := m.hold(r, e.Cause)
		e.State = reconcile.HoldSuperseded
		return answer
	}
	if e != nil && e.State == reconcile.HoldRejected {
		return m.hold(r, e.Cause)
	}
	for _, w := range m.went {
		if w.Hash == r.Hash && w.Person == r.Person && w.Instance == r.Instance && r.At.Sub(w.At) < guardLimits.Long {
			if e != nil && e.State == reconcile.HoldSpent && e.Hash == r.Hash {
				granted.Hold = e.Hold
			}
			return granted
		}
	}
	if cause := m.cause(r); cause != "" {
		return m.hold(r, cause)
	}
	m.went = append(m.went, went{r, false})
	return granted
}

// cause says why a removal must wait, by counting all that went.
func (m *guardModel) cause(r reconcile.Removal) string {
	if r.Cliff != "" {
		return r.Cliff
	}
	count := func(window time.Duration, kinds ...reconcile.RemovalKind) (n int) {
		for _, w := range m.went {
			if !w.approved && w.Instance == r.Instance && r.At.Sub(w.At) < window && slices.Contains(kinds, w.Kind) && (len(kinds) > 1 || w.Group == r.Group) {
				n++
			}
		}
		return n
	}
	switch r.Kind {
	case reconcile.RemovalMove:
		if count(guardLimits.Short, reconcile.RemovalMove) >= 1 {
			return "more than 1 move in 10 minutes"
		}
		return ""
	case reconcile.RemovalMembership:
		if count(guardLimits.Short, reconcile.RemovalMembership) >= 1 {
			return fmt.Sprintf("more than 1 person left group %s in 10 minutes", r.Group)
		}
	default:
		if count(guardLimits.Short, reconcile.RemovalStatus, reconcile.RemovalDelete) >= 2 {
			return "more than 2 removals in 10 minutes"
		}
	}
	if count(guardLimits.Long, reconcile.RemovalStatus, reconcile.RemovalDelete, reconcile.RemovalMembership) >= 3 {
		return "more than 3 removals in 1 hour"
	}
	return ""
}

func (m *guardModel) newest(r reconcile.Removal) *reconcile.HoldEntry {
	for _, e := range slices.Backward(m.entries) {
		if e.Person == r.Person && e.Instance == r.Instance && e.Agent == r.Agent {
			return e
		}
	}
	return nil
}

// hold adds an entry to the newest hold of that cause in which somebody waits.
func (m *guardModel) hold(r reconcile.Removal, cause string) reconcile.Reservation {
	id := ""
	for _, e := range m.entries {
		if e.Instance == r.Instance && e.Cause == cause && e.State == reconcile.HoldWaiting && e.Expires.After(r.At) && newerHold(e.Hold, id) {
			id = e.Hold
		}
	}
	if id == "" {
		id = fmt.Sprintf("H%d", len(m.holds)+1)
		m.holds = append(m.holds, reconcile.Hold{ID: id, Instance: r.Instance, Cause: cause, Opened: r.At})
	}
	m.entries = append(m.entries, &reconcile.HoldEntry{
		Hold: id, Instance: r.Instance, Cause: cause, Person: r.Person, Agent: r.Agent, Kind: r.Kind, Action: r.Action, Hash: r.Hash, Reason: r.Reason,
		State: reconcile.HoldWaiting, Created: r.At, Expires: r.At.Add(guardLimits.HoldFor),
	})
	return reconcile.Reservation{State: reconcile.ReservationHeld, Hold: id, Cause: cause}
}

func newerHold(a, b string) bool { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) > 0 }

func (m *guardModel) withdraw(t *rapid.T) {
	person := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "person")
	instance := rapid.SampledFrom([]string{"", "eu"}).Draw(t, "instance")
	for _, e := range m.entries {
		open := e.State == reconcile.HoldWaiting || e.State == reconcile.HoldApproved || e.State == reconcile.HoldRejected
		if e.Person == person && e.Instance == instance && open {
			e.State = reconcile.HoldWithdrawn
		}
	}
	for i, w := range m.went {
		if w.Person == person && w.Instance == instance {
			m.went[i].Hash = ""
		}
	}
	if err := m.backend.Withdraw(m.outer.Context(), person, instance); err != nil {
		t.Fatal(err)
	}
}

func (m *guardModel) decide(t *rapid.T) {
	d := reconcile.Decision{
		Hold: fmt.Sprintf("H%d", rapid.IntRange(max(1, len(m.holds)-3), len(m.holds)+1).Draw(t, "hold")), Approve: rapid.Bool().Draw(t, "approve"),
		By: "eve", At: m.clock.Now(), Stay: reconcile.Stay{Who: "eve", Why: "why", Until: m.clock.Now().Add(20 * time.Minute)},
	}
	if rapid.Bool().Draw(t, "some") {
		d.People = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 3, rapid.ID[string]).Draw(t, "people")
	}
	got, err := m.backend.Decide(m.outer.Context(), d)
	if !slices.ContainsFunc(m.holds, func(h reconcile.Hold) bool { return h.ID == d.Hold }) {
		if !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("decide on %s: got %v, want ErrNotFound", d.Hold, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("decide: %v", err)
	}
	var want []reconcile.HoldEntry
	for _, e := range m.entries {
		chosen := e.Hold == d.Hold && e.State == reconcile.HoldWaiting && (d.People == nil || slices.Contains(d.People, e.Person))
		switch {
		case !chosen:
			continue
		case !d.Approve:
			e.State = reconcile.HoldRejected
			m.stays[e.Person] = reconcile.Stay{Person: e.Person, Who: "eve", Why: "why", Since: d.At, Until: d.Stay.Until}
		case !e.Expires.After(d.At):
			continue
		default:
			e.State = reconcile.HoldApproved
		}
		e.By, e.At = "eve", d.At
		want = append(want, *e)
	}
	slices.SortStableFunc(want, byPerson)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("decide %+v (-want +got):\n%s", d, diff)
	}
}

func (m *guardModel) stay(t *rapid.T) {
	s := reconcile.Stay{
		Person: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "person"), Who: "eve", Why: "on leave", Since: m.clock.Now(),
		Until: m.clock.Now().Add(time.Duration(rapid.IntRange(-5, 30).Draw(t, "minutes")) * time.Minute),
	}
	m.stays[s.Person] = s
	if err := m.backend.Stay(m.outer.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func (m *guardModel) unstay(t *rapid.T) {
	person := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "person")
	delete(m.stays, person)
	if err := m.backend.Unstay(m.outer.Context(), person); err != nil {
		t.Fatal(err)
	}
}

func (m *guardModel) unvouch(t *rapid.T) {
	want := 0
	for _, e := range m.entries {
		if e.State == reconcile.HoldApproved {
			e.State, e.By, e.At = reconcile.HoldWaiting, "", time.Time{}
			want++
		}
	}
	for i := range m.went {
		m.went[i].Hash = ""
	}
	if got, err := m.backend.Unvouch(m.outer.Context()); err != nil || got != want {
		t.Fatalf("unvouch: %d approvals and error %v, want %d", got, err, want)
	}
}

func (m *guardModel) advance(t *rapid.T) {
	m.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 60, 300, 600, 1200, 2400}).Draw(t, "seconds")) * time.Second)
}

// check compares everything that the backend shows with the model.
func (m *guardModel) check(t *rapid.T) {
	now := m.clock.Now()
	for _, q := range []reconcile.HoldQuery{{Limit: 1000}, {Waiting: true, Limit: 1000}, {Open: true, Limit: 1000}, {Person: "a"}, {ID: "H1"}} {
		var want []reconcile.Hold
		for _, h := range slices.Backward(m.holds) {
			for _, e := range m.entries {
				waits := e.State == reconcile.HoldWaiting && e.Expires.After(now)
				open := e.State == reconcile.HoldWaiting || e.State == reconcile.HoldApproved
				if e.Hold == h.ID && (!q.Waiting || waits) && (!q.Open || open) && (q.Person == "" || q.Person == e.Person) && (q.ID == "" || q.ID == h.ID) {
					h.Entries = append(h.Entries, *e)
				}
			}
			slices.SortStableFunc(h.Entries, byPerson)
			if h.Entries != nil {
				want = append(want, h)
			}
		}
		got, err := m.backend.Holds(m.outer.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("holds %+v (-want +got):\n%s", q, diff)
		}
	}
	var want []reconcile.Stay
	for _, person := range slices.Sorted(maps.Keys(m.stays)) {
		if s := m.stays[person]; s.Until.After(now) {
			want = append(want, s)
		}
	}
	got, err := m.backend.Stays(m.outer.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("stays (-want +got):\n%s", diff)
	}
}
