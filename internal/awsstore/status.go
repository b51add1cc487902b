package awsstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/reconcile"
)

// People gives what the queue holds about people, ordered by person id.
func (s *Store) People(ctx context.Context, q reconcile.WaitingQuery) ([]reconcile.Waiting, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	now := reconcile.Micros(s.now())
	var list []reconcile.Waiting
	take := func(p *person) bool {
		w := p.Waiting(now)
		if w.Person > q.After && (q.Person == "" || q.Person == w.Person) && (q.State == "" || q.State == w.State) {
			list = append(list, w)
		}
		return len(list) < limit
	}
	err := s.people(ctx, q, take)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	slices.SortFunc(list, func(a, b reconcile.Waiting) int { return cmp.Compare(a.Person, b.Person) })
	return list[:min(limit, len(list))], nil
}

// people goes through the rows that may be meant until take says no.
func (s *Store) people(ctx context.Context, q reconcile.WaitingQuery, take func(*person) bool) error {
	switch {
	case q.Person != "":
		i, err := s.get(ctx, s.personKey(q.Person))
		if err == nil && i != nil {
			take(readPerson(q.Person, i))
		}
		return err
	case q.State != "" && q.State != reconcile.StateIdle:
		// They stand in the index, in another order, so that all must be read.
		rows, err := s.rows(ctx, asked{from: orderDue}, 0)
		for _, p := range rows {
			take(p)
		}
		return err
	}
	all := asked{partition: s.partition("people")}
	if q.After != "" {
		all.from = joined(q.After)
	}
	return s.query(ctx, all, func(i item) (bool, error) { return take(readPerson("", i)), nil })
}

// Dead gives all dead letters, those that died first coming first.
func (s *Store) Dead(ctx context.Context) ([]reconcile.Waiting, error) {
	rows, err := s.rows(ctx, asked{begins: orderDead}, 0)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	var list []reconcile.Waiting
	for _, p := range rows {
		list = append(list, p.Waiting(reconcile.Micros(s.now())))
	}
	return list, nil
}

// Replay makes a dead letter due now, with no attempts. ErrNotFound means that
// the person is none, so that replaying twice does nothing the second time.
func (s *Store) Replay(ctx context.Context, id string) error {
	p, err := s.raise(ctx, id, func(p *person, now int64) {
		p.Request(reconcile.Request{Person: id, Priority: p.Open.Priority, Trigger: reconcile.TriggerReplay, Event: p.Event}, now)
	})
	if err != nil {
		return fmt.Errorf("replay person %s: %w", id, err)
	}
	s.signal()
	s.announce(ctx, []*person{p})
	return nil
}

// Drop gives a dead letter up for good: its requests count as done. ErrNotFound
// means that the person is none.
func (s *Store) Drop(ctx context.Context, id string) error {
	if _, err := s.raise(ctx, id, func(p *person, _ int64) { p.Drop() }); err != nil {
		return fmt.Errorf("drop person %s: %w", id, err)
	}
	return nil
}

// raise does something to a dead letter.
func (s *Store) raise(ctx context.Context, id string, do func(*person, int64)) (*person, error) {
	var dead bool
	p, err := s.modify(ctx, id, nil, func(p *person, now int64) bool {
		if dead = p.State == reconcile.StateDead; dead {
			do(p, now)
		}
		return dead
	})
	if err == nil && !dead {
		err = reconcile.ErrNotFound
	}
	return p, err
}

// recount is how often all rows are counted: those for whom nothing is to be done
// are many, and how many is of little interest.
const recount = 5 * time.Minute

// Backlog counts the people in the queue by state. How many are idle may be five
// minutes old.
func (s *Store) Backlog(ctx context.Context) (reconcile.Backlog, error) {
	var b reconcile.Backlog
	rows, err := s.rows(ctx, asked{from: orderDue}, 0)
	if err != nil {
		return b, fmt.Errorf("count people: %w", err)
	}
	now := reconcile.Micros(s.now())
	count := map[reconcile.WaitingState]*int{
		reconcile.StateDue: &b.Due, reconcile.StateWaiting: &b.Waiting, reconcile.StateWorking: &b.Working, reconcile.StateDead: &b.Dead,
	}
	for _, p := range rows {
		w := p.Waiting(now)
		if n := count[w.State]; n != nil {
			*n++
		}
		if w.State != reconcile.StateDead && (b.Oldest.IsZero() || w.Since.Before(b.Oldest)) {
			b.Oldest = w.Since
		}
	}
	all, err := s.all(ctx)
	if err != nil {
		return b, fmt.Errorf("count people: %w", err)
	}
	b.Idle = max(0, all-b.Due-b.Waiting-b.Working-b.Dead)
	return b, nil
}

// all counts the rows of the queue, now and then.
func (s *Store) all(ctx context.Context) (int, error) {
	s.mu.Lock()
	counted := s.counted
	s.mu.Unlock()
	if age := s.clock().Sub(counted.at); !counted.at.IsZero() && age >= 0 && age < recount {
		return counted.people, nil
	}
	n, err := s.count(ctx, asked{partition: s.partition("people")})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.counted.people, s.counted.at = n, s.clock()
	s.mu.Unlock()
	return n, nil
}
