package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
)

const sqlFact = `INSERT INTO facts (person, group_id, group_name, login, display_name, member, published, event)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (person, group_id) DO UPDATE SET
		group_name = excluded.group_name, login = excluded.login, display_name = excluded.display_name,
		member = excluded.member, published = excluded.published, event = excluded.event
	WHERE excluded.published > published OR (excluded.published = published AND excluded.member < member)`

// Enqueue implements reconcile.Queue. A caller whose context ends goes away at
// once, and what it wanted may be stored nevertheless.
func (s *Store) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	if len(requests) == 0 {
		return nil
	}
	// The caller may reuse its slices when it gives up before the writer is done.
	requests = slices.Clone(requests)
	for i, r := range requests {
		if err := r.Check(); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		requests[i].Facts = slices.Clone(r.Facts)
	}
	err := s.writer.write(ctx, &op{
		run: func(t *tx) error { return enqueue(t, requests) },
		after: func() {
			failpoint.Hit(failpoint.QueueCommitted)
			s.signal()
		},
	})
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

func enqueue(t *tx, requests []reconcile.Request) error {
	failpoint.Hit(failpoint.QueueBegin)
	for _, r := range requests {
		for _, f := range r.Facts {
			err := t.exec(sqlFact, f.Person, f.Group, f.GroupName, f.Login, f.DisplayName, f.Member, f.Published.UnixMicro(), f.Event)
			if err != nil {
				return fmt.Errorf("save fact about person %s: %w", f.Person, err)
			}
		}
	}
	failpoint.Hit(failpoint.QueueFacts)
	for _, r := range requests {
		p, err := load(t, r.Person)
		if err != nil {
			return fmt.Errorf("read person %s: %w", r.Person, err)
		}
		if p.Answers(r) {
			continue
		}
		p.Request(r, reconcile.Micros(t.now))
		if err := p.save(t); err != nil {
			return err
		}
	}
	failpoint.Hit(failpoint.QueueRows)
	return nil
}

// Claim implements reconcile.Queue. A claim whose lease is over is given up
// here, at the first Claim after that: the person is due again, with one more
// failed attempt. Once the claim is being written, Claim waits for the outcome
// even when ctx ends, so that no claim is made for nobody.
func (s *Store) Claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	token := rand.Text()
	var work reconcile.Work
	var more bool
	err := s.writer.write(ctx, &op{
		patient: true,
		run: func(t *tx) (err error) {
			work, more, err = claim(t, token, lease)
			return err
		},
		after: func() {
			if more {
				s.signal() // another worker may be idle
			}
		},
	})
	if err != nil {
		return reconcile.Work{}, fmt.Errorf("claim: %w", err)
	}
	if work.Token == "" {
		return reconcile.Work{}, fmt.Errorf("claim: %w", reconcile.ErrNotFound)
	}
	return work, nil
}

// claim gives the zero Work if nobody is due. It also tells whether more people
// are due.
func claim(t *tx, token string, lease time.Duration) (work reconcile.Work, more bool, err error) {
	if err := t.exec(sqlPromote, reconcile.Micros(t.now)); err != nil {
		return work, false, fmt.Errorf("find who became due: %w", err)
	}
	if _, err := expire(t, reconcile.Micros(t.now)); err != nil {
		return work, false, err
	}
	p, err := scanPerson(t.row(sqlNext))
	if errors.Is(err, sql.ErrNoRows) {
		return work, false, nil
	}
	if err != nil {
		return work, false, fmt.Errorf("find the next person: %w", err)
	}
	work = p.Claim(token, reconcile.Micros(t.now.Add(lease)))
	if err := p.save(t); err != nil {
		return work, false, err
	}
	if err := t.row(sqlMore).Scan(&more); err != nil {
		return work, false, fmt.Errorf("find whether more people are due: %w", err)
	}
	return work, more, nil
}

// expire gives up the claims whose lease ended by the given time.
func expire(t *tx, limit int64) (count int, err error) {
	for {
		p, err := scanPerson(t.row(sqlExpired, limit))
		if errors.Is(err, sql.ErrNoRows) {
			return count, nil
		}
		if err != nil {
			return count, fmt.Errorf("find leases that are over: %w", err)
		}
		p.Expire(reconcile.Micros(t.now))
		if err := p.save(t); err != nil {
			return count, err
		}
		count++
	}
}

// abandon gives up every claim, since their worker is gone, and puts right what
// a clock that went back since would delay.
func (s *Store) abandon(ctx context.Context) error {
	count := 0
	err := s.writer.write(ctx, &op{after: s.signal, run: func(t *tx) (err error) {
		if err := rewind(t); err != nil {
			return err
		}
		count, err = expire(t, 1<<62)
		return err
	}})
	if err != nil {
		return fmt.Errorf("give up claims of an earlier process: %w", err)
	}
	if count > 0 {
		s.log.Warn("claims of an earlier process were given up", "count", count)
	}
	return nil
}

// Settle implements reconcile.Queue.
func (s *Store) Settle(ctx context.Context, work reconcile.Work, verdict reconcile.Verdict) error {
	var held, open bool
	run := func(t *tx) error {
		p, err := load(t, work.Person)
		if err != nil {
			return err
		}
		if held = p.Holds(work, reconcile.Micros(t.now)); !held {
			return nil
		}
		p.Settle(verdict, reconcile.Micros(t.now))
		open = p.State == reconcile.StateDue || p.State == reconcile.StateWaiting
		return p.save(t)
	}
	err := s.writer.write(ctx, &op{run: run, after: func() {
		if open {
			s.signal()
		}
	}})
	if err == nil && !held {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("settle person %s: %w", work.Person, err)
	}
	return nil
}

// Wake receives a value after the queue changed so that somebody may be due, or
// may become due earlier than was known. Several changes may give one value, so
// whoever receives it claims until ErrNotFound and then asks NextDue.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// NextDue tells when Claim can next succeed: when the next person is due or the
// next lease is over. The time may be past. ErrNotFound means that nobody waits.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	const query = `SELECT min(at) FROM (
		SELECT min(due) AS at FROM people WHERE state = 'due'
		UNION ALL SELECT min(due) FROM people WHERE state = 'waiting'
		UNION ALL SELECT min(lease_until) FROM people WHERE state = 'working')`
	var at sql.NullInt64
	if err := s.read.QueryRowContext(ctx, query).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("find when the next person is due: %w", explain(err))
	}
	if !at.Valid {
		return time.Time{}, fmt.Errorf("find when the next person is due: %w", reconcile.ErrNotFound)
	}
	return time.UnixMicro(at.Int64).UTC(), nil
}
