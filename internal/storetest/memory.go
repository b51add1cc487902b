package storetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"connectroster/internal/reconcile"
)

// Memory is a Backend that keeps everything in memory. It is safe for concurrent
// use. It is written for clarity: everything is a walk over all people.
type Memory struct {
	now  func() time.Time
	wake chan struct{}

	mu      sync.Mutex
	people  map[string]*member
	facts   map[[2]string]reconcile.Fact   // by person and group
	agents  map[[2]string]reconcile.Known  // by instance and agent
	intents map[[2]string]reconcile.Intent // by person and instance
	tombs   map[string]reconcile.Tombstone // by agent
	notes   map[string]string
	places  []place
	holds   []reconcile.Hold       // the oldest first, without entries
	held    []*reconcile.HoldEntry // in the order of coming
	stays   map[string]reconcile.Stay
	journal []sealed
	heads   map[string]reconcile.Head
	seq     int64
}

var (
	_ Backend  = (*Memory)(nil)
	_ Tamperer = (*Memory)(nil)
)

// member is one person: what was asked and is not done, and what came of it.
type member struct {
	asked   []asked // in the order of asking; empty while idle or dead
	newest  asked
	done    int64
	failed  int
	reason  string
	dead    bool
	token   string // empty: nobody works on the person
	covered int64  // the newest generation that the claim covers
	until   time.Time
	since   time.Time // of the dead letter
	ended   time.Time
}

// asked is one request.
type asked struct {
	generation int64
	priority   reconcile.Priority
	due, since time.Time
	trigger    reconcile.Trigger
	event      string
}

// NewMemory gives an empty Memory that takes its time from now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now: func() time.Time { return now().Truncate(time.Microsecond).UTC() }, wake: make(chan struct{}, 1),
		people: map[string]*member{}, facts: map[[2]string]reconcile.Fact{},
		agents: map[[2]string]reconcile.Known{}, intents: map[[2]string]reconcile.Intent{}, tombs: map[string]reconcile.Tombstone{},
		notes: map[string]string{}, stays: map[string]reconcile.Stay{}, heads: map[string]reconcile.Head{},
	}
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// Ready always succeeds, unless ctx is over.
func (m *Memory) Ready(ctx context.Context) error { return ctx.Err() }

// Wake receives a value after the queue changed.
func (m *Memory) Wake() <-chan struct{} { return m.wake }

func (m *Memory) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Enqueue implements reconcile.Queue.
func (m *Memory) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	for _, r := range requests {
		nobody := func(f reconcile.Fact) bool { return f.Person == "" || f.Group == "" }
		if r.Person == "" || slices.ContainsFunc(r.Facts, nobody) {
			return errors.New("enqueue: a request or a fact names no person or no group")
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range requests {
		for _, f := range r.Facts {
			f.Published = f.Published.Truncate(time.Microsecond).UTC()
			older, known := m.facts[[2]string{f.Person, f.Group}]
			if !known || f.Supersedes(older) {
				m.facts[[2]string{f.Person, f.Group}] = f
			}
		}
		m.ask(r)
	}
	m.signal()
	return nil
}

func (m *Memory) ask(r reconcile.Request) {
	p := m.people[r.Person]
	if p == nil {
		p = &member{}
		m.people[r.Person] = p
	}
	now := m.now()
	if r.Trigger == reconcile.TriggerSweep {
		if p.state(now) == reconcile.StateDue && p.priority() <= r.Priority {
			return // the next look answers it
		}
		if n := p.newest; r.Event != "" && n.trigger == r.Trigger && n.event == r.Event && n.priority <= r.Priority {
			return // this sweep has asked already
		}
	}
	if len(p.asked) == 0 {
		p.failed, p.reason, p.dead = 0, "", false
	}
	due := r.Due.Truncate(time.Microsecond).UTC()
	if due.Before(now) {
		due = now
	}
	p.newest = asked{generation: p.newest.generation + 1, priority: r.Priority, due: due, since: now, trigger: r.Trigger, event: r.Event}
	p.asked = append(p.asked, p.newest)
}

// first gives the request that a comparison puts first.
func (p *member) first(compare func(a, b asked) int) asked { return slices.MinFunc(p.asked, compare) }

func (p *member) priority() reconcile.Priority {
	return p.first(func(a, b asked) int { return cmp.Compare(a.priority, b.priority) }).priority
}

func (p *member) due() time.Time {
	return p.first(func(a, b asked) int { return a.due.Compare(b.due) }).due
}

func (p *member) open() time.Time {
	return p.first(func(a, b asked) int { return a.since.Compare(b.since) }).since
}

func (p *member) state(now time.Time) reconcile.WaitingState {
	switch {
	case p.dead:
		return reconcile.StateDead
	case p.token != "":
		return reconcile.StateWorking
	case len(p.asked) == 0:
		return reconcile.StateIdle
	case p.due().After(now):
		return reconcile.StateWaiting
	}
	return reconcile.StateDue
}

// Claim implements reconcile.Queue.
func (m *Memory) Claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	if err := ctx.Err(); err != nil {
		return reconcile.Work{}, fmt.Errorf("claim: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var best *member
	var who string
	for id, p := range m.people {
		if p.token != "" && !now.Before(p.until) {
			p.token, p.ended = "", now
			p.failed++
			p.reason = "the worker vanished"
			for i := range p.asked {
				p.asked[i].due = now
			}
		}
		if p.state(now) != reconcile.StateDue {
			continue
		}
		order := -1
		if best != nil {
			order = cmp.Or(cmp.Compare(p.priority(), best.priority()), p.open().Compare(best.open()), cmp.Compare(id, who))
		}
		if order < 0 {
			best, who = p, id
		}
	}
	if best == nil {
		return reconcile.Work{}, fmt.Errorf("claim: %w", reconcile.ErrNotFound)
	}
	best.token, best.until, best.covered = rand.Text(), now.Add(lease), best.newest.generation
	m.signal()
	return reconcile.Work{
		Person: who, Generation: best.covered, Attempts: best.failed, Priority: best.priority(),
		Trigger: best.newest.trigger, Event: best.newest.event, Since: best.open(), Token: best.token,
	}, nil
}

// Settle implements reconcile.Queue.
func (m *Memory) Settle(ctx context.Context, w reconcile.Work, v reconcile.Verdict) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	p := m.people[w.Person]
	if p == nil || p.token == "" || p.token != w.Token || !now.Before(p.until) {
		return fmt.Errorf("settle: %w", reconcile.ErrNotFound)
	}
	p.token, p.ended = "", now
	if v.Failed {
		p.failed++
	}
	since := p.open()
	covered := func(a asked) bool { return a.generation <= p.covered }
	if v.State == reconcile.Later {
		p.reason = v.Reason
		due := v.Due.Truncate(time.Microsecond).UTC()
		for i, a := range p.asked {
			if covered(a) {
				p.asked[i].due = due
				if due.Before(now) {
					p.asked[i].due = now
				}
			}
		}
		m.signal()
		return nil
	}
	if v.State == reconcile.Done {
		p.done = p.covered
	}
	p.asked = slices.DeleteFunc(p.asked, covered)
	if v.State == reconcile.Dead && len(p.asked) == 0 {
		p.dead, p.reason, p.since, p.newest.priority = true, v.Reason, since, w.Priority
		return nil
	}
	p.failed, p.reason = 0, ""
	m.signal()
	return nil
}

// NextDue tells when Claim can next succeed. ErrNotFound means that nobody
// waits.
func (m *Memory) NextDue(context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var next time.Time
	for _, p := range m.people {
		at := p.until
		if p.token == "" {
			if len(p.asked) == 0 {
				continue
			}
			at = p.due()
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if next.IsZero() {
		return next, reconcile.ErrNotFound
	}
	return next, nil
}

// Replay implements Backend.
func (m *Memory) Replay(_ context.Context, person string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[person]
	if p == nil || !p.dead {
		return reconcile.ErrNotFound
	}
	m.ask(reconcile.Request{Person: person, Priority: p.newest.priority, Trigger: reconcile.TriggerReplay, Event: p.newest.event})
	m.signal()
	return nil
}

// Drop implements Backend.
func (m *Memory) Drop(_ context.Context, person string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[person]
	if p == nil || !p.dead {
		return reconcile.ErrNotFound
	}
	p.dead, p.failed, p.reason, p.since, p.done = false, 0, "", time.Time{}, p.newest.generation
	return nil
}

// People implements Backend.
func (m *Memory) People(_ context.Context, q reconcile.WaitingQuery) ([]reconcile.Waiting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	var list []reconcile.Waiting
	for _, id := range slices.Sorted(maps.Keys(m.people)) {
		p := m.people[id]
		state := p.state(now)
		if id <= q.After || q.Person != "" && q.Person != id || q.State != "" && q.State != state {
			continue
		}
		w := reconcile.Waiting{
			Person: id, State: state, Priority: p.newest.priority, Trigger: p.newest.trigger, Event: p.newest.event, Generation: p.newest.generation,
			Done: p.done, Attempts: p.failed, Last: p.ended, Reason: p.reason,
		}
		if len(p.asked) > 0 {
			w.Since, w.Priority = p.open(), p.priority()
		}
		switch state {
		case reconcile.StateDue, reconcile.StateWaiting:
			w.Due = p.due()
		case reconcile.StateDead:
			w.Since = p.since
		}
		if list = append(list, w); len(list) == limit {
			break
		}
	}
	return list, nil
}

// Dead gives all dead letters.
func (m *Memory) Dead(ctx context.Context) ([]reconcile.Waiting, error) {
	list, err := m.People(ctx, reconcile.WaitingQuery{State: reconcile.StateDead, Limit: math.MaxInt})
	slices.SortStableFunc(list, func(a, b reconcile.Waiting) int { return a.Last.Compare(b.Last) })
	return list, err
}

// Backlog implements Backend.
func (m *Memory) Backlog(context.Context) (reconcile.Backlog, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b reconcile.Backlog
	now := m.now()
	for _, p := range m.people {
		switch p.state(now) {
		case reconcile.StateIdle:
			b.Idle++
		case reconcile.StateDue:
			b.Due++
		case reconcile.StateWaiting:
			b.Waiting++
		case reconcile.StateWorking:
			b.Working++
		case reconcile.StateDead:
			b.Dead++
		}
		if len(p.asked) > 0 && (b.Oldest.IsZero() || p.open().Before(b.Oldest)) {
			b.Oldest = p.open()
		}
	}
	return b, nil
}
