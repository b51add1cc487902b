package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/reconcile"
)

// testModel runs random histories against a backend and a model of it. The model
// knows what was acknowledged and who is claimed, and says after every step what
// the queue must hold; at the end everything acknowledged must get worked off.
func testModel(t *testing.T, open func(t *testing.T, now func() time.Time) Backend) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := NewClock()
		m := &model{T: rt, outer: t, clock: clock, backend: open(t, clock.Now), people: map[string]*modelPerson{}}
		defer func() { _ = m.backend.Close() }()
		actions := map[string]func(*rapid.T){
			"enqueue": m.enqueue,
			"claim":   m.claim,
			"settle":  m.settle,
			"advance": m.advance,
			"replay":  m.replay,
			"drop":    m.drop,
			"":        m.check,
		}
		if _, ok := m.backend.(Reopener); ok {
			actions["reopen"] = m.reopen
		}
		rt.Repeat(actions)
		m.drain()
	})
}

type model struct {
	*rapid.T
	outer   *testing.T
	clock   *Clock
	backend Backend
	people  map[string]*modelPerson
	claims  []reconcile.Work // all there ever were, so that stale ones are settled too
}

// modelPerson is the state of one person: at most one pile of requests that
// nobody works on, and at most one that a worker has.
type modelPerson struct {
	asked, done int64
	failed      int
	dead        bool
	waiting     *pile
	worked      *pile
	token       string
	until       time.Time
}

// pile is some requests for one person.
type pile struct {
	newest     int64
	priority   reconcile.Priority
	due, since time.Time
}

func together(a, b *pile) *pile {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	sum := pile{newest: max(a.newest, b.newest), priority: min(a.priority, b.priority), due: a.due, since: a.since}
	if b.due.Before(sum.due) {
		sum.due = b.due
	}
	if b.since.Before(sum.since) {
		sum.since = b.since
	}
	return &sum
}

func (m *model) enqueue(t *rapid.T) {
	now := m.clock.Now()
	var requests []reconcile.Request
	for _, who := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3).Draw(t, "who") {
		r := reconcile.Request{Person: who, Priority: reconcile.Priority(rapid.IntRange(0, 2).Draw(t, "priority")), Trigger: reconcile.TriggerHook}
		if rapid.Bool().Draw(t, "delayed") {
			r.Due = now.Add(time.Duration(rapid.IntRange(-5, 90).Draw(t, "delay")) * time.Second)
		}
		requests = append(requests, r)
	}
	if err := m.backend.Enqueue(m.outer.Context(), requests...); err != nil {
		t.Fatalf("enqueue: %v", err)
	}
	for _, r := range requests {
		m.ask(r, now)
	}
	m.clock.Advance(time.Millisecond)
}

func (m *model) ask(r reconcile.Request, now time.Time) {
	p := m.people[r.Person]
	if p == nil {
		p = &modelPerson{}
		m.people[r.Person] = p
	}
	if p.waiting == nil && p.worked == nil {
		p.failed, p.dead = 0, false
	}
	p.asked++
	due := r.Due
	if due.Before(now) {
		due = now
	}
	p.waiting = together(p.waiting, &pile{newest: p.asked, priority: r.Priority, due: due, since: now})
}

// expire takes the people whose lease is over by now from their workers.
func (m *model) expire(over func(*modelPerson) bool) {
	for _, p := range m.people {
		if p.worked == nil || !over(p) {
			continue
		}
		p.worked.due = m.clock.Now()
		p.waiting, p.worked, p.token = together(p.waiting, p.worked), nil, ""
		p.failed++
	}
}

func (m *model) claim(t *rapid.T) {
	now := m.clock.Now()
	lease := time.Duration(rapid.IntRange(1, 60).Draw(t, "lease")) * time.Second
	m.expire(func(p *modelPerson) bool { return !now.Before(p.until) })

	var best *pile
	for _, p := range m.people {
		if p.worked != nil || p.waiting == nil || p.waiting.due.After(now) {
			continue
		}
		if best == nil || before(p.waiting, best) {
			best = p.waiting
		}
	}
	w, err := m.backend.Claim(m.outer.Context(), lease)
	if best == nil {
		if !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("claim: got %+v and error %v, but nobody is due", w, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	p := m.people[w.Person]
	if p.worked != nil {
		t.Fatalf("claimed %s, who is with another worker", w.Person)
	}
	if p.waiting == nil || p.waiting.due.After(now) || before(best, p.waiting) {
		t.Fatalf("claimed %+v, who is not next: %+v is", w, *best)
	}
	p.worked, p.waiting, p.token, p.until = p.waiting, nil, w.Token, now.Add(lease)
	want := reconcile.Work{
		Person: w.Person, Generation: p.asked, Attempts: p.failed, Priority: p.worked.priority, Trigger: w.Trigger, Since: p.worked.since, Token: w.Token,
	}
	if w != want {
		t.Fatalf("claimed %+v, want %+v", w, want)
	}
	m.claims = append(m.claims, w)
}

// before is the order of claims; neither of two people is before the other if
// they were asked for in one call.
func before(a, b *pile) bool {
	return cmp.Or(cmp.Compare(a.priority, b.priority), a.since.Compare(b.since)) < 0
}

func (m *model) settle(t *rapid.T) {
	if len(m.claims) == 0 {
		t.Skip("nobody was claimed yet")
	}
	now := m.clock.Now()
	// Mostly one of the last claims, which may still hold.
	recent := m.claims[max(0, len(m.claims)-4):]
	w := rapid.SampledFrom(recent).Draw(t, "work")
	v := reconcile.Verdict{
		State: reconcile.VerdictState(rapid.IntRange(0, 2).Draw(t, "state")), Failed: rapid.Bool().Draw(t, "failed"), Reason: "reason",
	}
	if v.State == reconcile.Later {
		v.Due = now.Add(time.Duration(rapid.IntRange(-5, 90).Draw(t, "later")) * time.Second)
	}
	err := m.backend.Settle(m.outer.Context(), w, v)
	p := m.people[w.Person]
	if p.token != w.Token || !now.Before(p.until) {
		if !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("settle a claim that is over: got %v, want ErrNotFound", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	worked := p.worked
	p.worked, p.token = nil, ""
	if v.Failed {
		p.failed++
	}
	switch v.State {
	case reconcile.Later:
		worked.due = v.Due
		if v.Due.Before(now) {
			worked.due = now
		}
		p.waiting = together(p.waiting, worked)
		return
	case reconcile.Done:
		p.done, p.failed = worked.newest, 0
	case reconcile.Dead:
		p.dead = p.waiting == nil
		if !p.dead {
			p.failed = 0
		}
	}
}

func (m *model) replay(t *rapid.T) {
	who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
	before, err := m.backend.People(m.outer.Context(), reconcile.WaitingQuery{Person: who})
	if err != nil {
		t.Fatal(err)
	}
	err = m.backend.Replay(m.outer.Context(), who)
	if p := m.people[who]; p == nil || !p.dead {
		if !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("replay of no dead letter: got %v, want ErrNotFound", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	m.ask(reconcile.Request{Person: who, Priority: before[0].Priority}, m.clock.Now())
	m.clock.Advance(time.Millisecond)
}

func (m *model) drop(t *rapid.T) {
	who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
	err := m.backend.Drop(m.outer.Context(), who)
	p := m.people[who]
	if p == nil || !p.dead {
		if !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("drop of no dead letter: got %v, want ErrNotFound", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("drop: %v", err)
	}
	p.dead, p.failed, p.done = false, 0, p.asked
}

func (m *model) advance(t *rapid.T) {
	m.clock.Advance(time.Duration(rapid.IntRange(1, 90_000).Draw(t, "milliseconds")) * time.Millisecond)
}

func (m *model) reopen(*rapid.T) {
	m.backend = m.backend.(Reopener).Reopen(m.outer)
	m.expire(func(*modelPerson) bool { return true })
}

// check compares everything that the backend shows with the model.
func (m *model) check(t *rapid.T) {
	list, err := m.backend.People(m.outer.Context(), reconcile.WaitingQuery{})
	if err != nil {
		t.Fatalf("people: %v", err)
	}
	var got, want []string
	for _, w := range list {
		got = append(got, fmt.Sprintf("%s %s asked=%d done=%d attempts=%d", w.Person, w.State, w.Generation, w.Done, w.Attempts))
	}
	for id, p := range m.people {
		want = append(want, fmt.Sprintf("%s %s asked=%d done=%d attempts=%d", id, p.state(m.clock.Now()), p.asked, p.done, p.failed))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the queue holds %q, want %q", got, want)
	}
}

func (p *modelPerson) state(now time.Time) reconcile.WaitingState {
	switch {
	case p.dead:
		return reconcile.StateDead
	case p.worked != nil:
		return reconcile.StateWorking
	case p.waiting == nil:
		return reconcile.StateIdle
	case p.waiting.due.After(now):
		return reconcile.StateWaiting
	}
	return reconcile.StateDue
}

// drain works everything off, once all leases and delays are over: nothing that
// was acknowledged may be left, except what was given up.
func (m *model) drain() {
	m.clock.Advance(time.Hour)
	for range len(m.people) + 1 {
		w, err := m.backend.Claim(m.outer.Context(), time.Minute)
		if errors.Is(err, reconcile.ErrNotFound) {
			break
		}
		if err == nil {
			err = m.backend.Settle(m.outer.Context(), w, reconcile.Verdict{State: reconcile.Done})
		}
		if err != nil {
			m.Fatalf("drain: %v", err)
		}
	}
	list, err := m.backend.People(m.outer.Context(), reconcile.WaitingQuery{})
	if err != nil {
		m.Fatal(err)
	}
	for _, w := range list {
		p := m.people[w.Person]
		if !p.dead && (w.State != reconcile.StateIdle || w.Done != p.asked) {
			m.Fatalf("%+v is left, although %d requests were acknowledged", w, p.asked)
		}
	}
}
