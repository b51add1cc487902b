package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"connectroster/internal/reconcile"
)

// place is one that a change took.
type place struct {
	instance, person, hash string
	kind                   reconcile.RemovalKind
	group                  string
	at                     time.Time
	approved               bool
}

// Reserve implements reconcile.Guard.
func (m *Memory) Reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits) (reconcile.Reservation, error) {
	if err := ctx.Err(); err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place: %w", err)
	}
	if r.Person == "" || r.Kind == "" || r.Hash == "" {
		return reconcile.Reservation{}, errors.New("reserve a place: the removal names no person, no kind or no change")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.At.IsZero() {
		r.At = m.now()
	}
	r.At, limits = cut(r.At), limits.Complete()
	m.age(r, limits)

	books := reconcile.Books{Counts: m.counts(r, limits)}
	if stay, ok := m.stays[r.Person]; ok && stay.Until.After(r.At) {
		books.Stay = &stay
	}
	entry := m.newest(r)
	if entry != nil {
		seen := *entry
		books.Entry = &seen
	}
	books.Reserved = slices.ContainsFunc(m.places, func(p place) bool {
		return p.instance == r.Instance && p.person == r.Person && p.hash == r.Hash && p.at.After(r.At.Add(-limits.Long))
	})

	w := reconcile.Weigh(books, r, limits)
	answer := reconcile.Reservation{State: w.State, Cause: w.Cause, Stay: w.Stay, Hold: w.Hold}
	if w.State == reconcile.ReservationHeld && entry != nil {
		answer.Hold = entry.Hold
	}
	if w.Join { // while the entry is still open, so that the new one stays in its hold
		answer.Hold = m.join(r, w)
	}
	if w.Supersede {
		entry.State = reconcile.HoldSuperseded
	}
	if w.Spend {
		entry.State = reconcile.HoldSpent
	}
	if w.Take {
		m.places = append(m.places, place{r.Instance, r.Person, r.Hash, r.Kind, r.Group, r.At, w.Approved})
	}
	return answer, nil
}

// age drops the places that are too old to count. Those that are ahead of the
// time, since the clock went back, count from now on.
func (m *Memory) age(r reconcile.Removal, limits reconcile.Limits) {
	now := r.At
	if m.now().After(now) {
		now = m.now()
	}
	start := r.At.Add(-max(limits.Long, limits.Short))
	m.places = slices.DeleteFunc(m.places, func(p place) bool { return p.instance == r.Instance && !p.at.After(start) })
	for i, p := range m.places {
		if p.instance == r.Instance && p.at.After(now) {
			m.places[i].at = now
		}
	}
}

func (m *Memory) counts(r reconcile.Removal, limits reconcile.Limits) (c reconcile.Counts) {
	for _, p := range m.places {
		if p.instance != r.Instance || p.approved {
			continue
		}
		short, long := p.at.After(r.At.Add(-limits.Short)), p.at.After(r.At.Add(-limits.Long))
		if p.kind == reconcile.RemovalMove {
			c.Moves += count(short && r.Kind == reconcile.RemovalMove)
			continue
		}
		c.Long += count(long)
		if p.kind == reconcile.RemovalMembership {
			c.Group += count(short && r.Kind == reconcile.RemovalMembership && p.group == r.Group)
			continue
		}
		c.Status += count(short && r.Kind != reconcile.RemovalMembership && r.Kind != reconcile.RemovalMove)
	}
	return c
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// newest gives the newest entry of a person in an instance, nil if there is none.
func (m *Memory) newest(r reconcile.Removal) *reconcile.HoldEntry {
	for _, e := range slices.Backward(m.held) {
		if e.Person == r.Person && e.Instance == r.Instance && e.Agent == r.Agent {
			return e
		}
	}
	return nil
}

// join adds an entry to the open hold of its cause, or to a new one.
func (m *Memory) join(r reconcile.Removal, w reconcile.Weighed) string {
	id := ""
	for _, h := range m.holds {
		waits := func(e *reconcile.HoldEntry) bool {
			return e.Hold == h.ID && e.State == reconcile.HoldWaiting && r.At.Before(e.Expires)
		}
		if h.Instance == r.Instance && h.Cause == w.Cause && slices.ContainsFunc(m.held, waits) {
			id = h.ID
		}
	}
	if id == "" {
		id = fmt.Sprintf("H%d", len(m.holds)+1)
		m.holds = append(m.holds, reconcile.Hold{ID: id, Instance: r.Instance, Cause: w.Cause, Opened: r.At})
	}
	m.held = append(m.held, &reconcile.HoldEntry{
		Hold: id, Instance: r.Instance, Cause: w.Cause, Person: r.Person, Agent: r.Agent, Kind: r.Kind, Action: r.Action, Hash: r.Hash,
		Reason: r.Reason, State: reconcile.HoldWaiting, Created: r.At, Expires: cut(w.Expires), Change: stored(r.Change),
	})
	return id
}

// Withdraw implements reconcile.Guard.
func (m *Memory) Withdraw(_ context.Context, person, instance string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.held {
		open := e.State == reconcile.HoldWaiting || e.State == reconcile.HoldApproved || e.State == reconcile.HoldRejected
		if e.Person == person && e.Instance == instance && open {
			e.State = reconcile.HoldWithdrawn
		}
	}
	for i, p := range m.places {
		if p.person == person && p.instance == instance {
			m.places[i].hash = ""
		}
	}
	return nil
}

// Holds implements reconcile.Guard.
func (m *Memory) Holds(_ context.Context, q reconcile.HoldQuery) ([]reconcile.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var list []reconcile.Hold
	for _, h := range slices.Backward(m.holds) {
		for _, e := range m.held {
			waits := e.State == reconcile.HoldWaiting && now.Before(e.Expires)
			if e.Hold != h.ID || q.ID != "" && q.ID != h.ID || q.Person != "" && q.Person != e.Person || q.Waiting && !waits || q.Open && !e.Open() {
				continue
			}
			h.Entries = append(h.Entries, entryCopy(e))
		}
		slices.SortStableFunc(h.Entries, byPerson)
		if len(h.Entries) > 0 {
			list = append(list, h)
		}
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	return list[:min(limit, len(list))], nil
}

func byPerson(a, b reconcile.HoldEntry) int { return cmp.Compare(a.Person, b.Person) }

func entryCopy(e *reconcile.HoldEntry) reconcile.HoldEntry {
	c := *e
	c.Change = stored(e.Change)
	return c
}

// Decide implements reconcile.Guard.
func (m *Memory) Decide(_ context.Context, d reconcile.Decision) ([]reconcile.HoldEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.holds, func(h reconcile.Hold) bool { return h.ID == d.Hold }) {
		return nil, fmt.Errorf("decide on hold %s: %w", d.Hold, reconcile.ErrNotFound)
	}
	if d.At.IsZero() {
		d.At = m.now()
	}
	d.At = cut(d.At)
	var decided []reconcile.HoldEntry
	for _, e := range m.held {
		wanted := len(d.People) == 0 || slices.Contains(d.People, e.Person)
		if e.Hold != d.Hold || e.State != reconcile.HoldWaiting || !wanted || d.Approve && !d.At.Before(e.Expires) {
			continue
		}
		e.State, e.By, e.At = reconcile.HoldApproved, d.By, d.At
		if !d.Approve {
			e.State = reconcile.HoldRejected
			stay := d.Stay
			stay.Person = e.Person
			if stay.Since.IsZero() {
				stay.Since = d.At
			}
			m.stay(stay)
		}
		decided = append(decided, entryCopy(e))
	}
	slices.SortStableFunc(decided, byPerson)
	return decided, nil
}

// Stay implements reconcile.Guard.
func (m *Memory) Stay(_ context.Context, stays ...reconcile.Stay) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, stay := range stays {
		m.stay(stay)
	}
	return nil
}

func (m *Memory) stay(stay reconcile.Stay) {
	stay.Since, stay.Until = cut(stay.Since), cut(stay.Until)
	m.stays[stay.Person] = stay
}

// Unstay implements reconcile.Guard.
func (m *Memory) Unstay(_ context.Context, people ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, person := range people {
		delete(m.stays, person)
	}
	return nil
}

// Stays implements reconcile.Guard.
func (m *Memory) Stays(context.Context) ([]reconcile.Stay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []reconcile.Stay
	for _, person := range slices.Sorted(maps.Keys(m.stays)) {
		if stay := m.stays[person]; stay.Until.After(m.now()) {
			list = append(list, stay)
		}
	}
	return list, nil
}

// Unvouch lets nothing of what was decided before go on by itself.
func (m *Memory) Unvouch(context.Context) (approvals int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.notes, func(name, _ string) bool { return name == "mark" || strings.HasPrefix(name, "mark/") })
	for _, e := range m.held {
		if e.State == reconcile.HoldApproved {
			e.State, e.By, e.At = reconcile.HoldWaiting, "", time.Time{}
			approvals++
		}
	}
	for i := range m.places {
		m.places[i].hash = ""
	}
	return approvals, nil
}
