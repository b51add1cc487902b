package awsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

// at most so many people become due, or lose their worker, in one Claim.
const ripeAtOnce = 100

// Claim implements reconcile.Queue. A claim whose lease is over is given up here,
// at the first Claim after that: the person is due again, with one more failed
// attempt. The order is kept among those who were due already and the first 100
// who became it since.
func (s *Store) Claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	work, err := s.claim(ctx, lease)
	if err != nil {
		return reconcile.Work{}, fmt.Errorf("claim: %w", err)
	}
	return work, nil
}

func (s *Store) claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	if err := ctx.Err(); err != nil {
		return reconcile.Work{}, err
	}
	if err := s.ripen(ctx); err != nil {
		return reconcile.Work{}, err
	}
	for range tries {
		due, err := s.first(ctx, orderDue, 8)
		if err != nil {
			return reconcile.Work{}, err
		}
		if len(due) == 0 {
			return reconcile.Work{}, reconcile.ErrNotFound
		}
		for i, p := range due {
			work, err := s.claimRow(ctx, p, lease)
			if errors.Is(err, reconcile.ErrNotFound) { // somebody else has them
				continue
			}
			if err == nil && i+1 < len(due) {
				s.signal() // another worker may be idle
			}
			return work, err
		}
	}
	return reconcile.Work{}, reconcile.ErrNotFound // whoever was due is with somebody else
}

// ClaimPerson claims one person who is due, as Claim does, for a worker that was
// woken for them. ErrNotFound means that there is nothing to do now: the person is
// not due, or somebody else works on them. A message about them can be deleted,
// since the waking schedule sends another one when something is left to do.
func (s *Store) ClaimPerson(ctx context.Context, id string, lease time.Duration) (reconcile.Work, error) {
	row := idle(id)
	row.rev = unread
	work, err := s.claimRow(ctx, row, lease)
	if err != nil {
		return reconcile.Work{}, fmt.Errorf("claim person %s: %w", id, err)
	}
	return work, nil
}

// unread is the rev of a row that was not read.
const unread = "unread"

// claimRow claims a person, beginning with the row as it was read. ErrNotFound
// means that they are not due any more.
func (s *Store) claimRow(ctx context.Context, row *person, lease time.Duration) (reconcile.Work, error) {
	id, token := row.Person, nonce()
	if row.rev == unread {
		row = nil
	}
	var work reconcile.Work
	p, err := s.modify(ctx, id, row, func(p *person, now int64) bool {
		if p.Token == token { // by an attempt whose answer was lost; somebody has asked for them since
			return false
		}
		work = reconcile.Work{}
		p.Ripen(now, s.skew.Microseconds())
		if p.State != reconcile.StateDue {
			return false
		}
		work = p.Claim(token, now+lease.Microseconds())
		return true
	})
	switch {
	case err != nil:
		return reconcile.Work{}, err
	case p.Token != token:
		return reconcile.Work{}, reconcile.ErrNotFound
	}
	s.mu.Lock()
	s.claims[token] = p
	s.mu.Unlock()
	return work, nil
}

// ripen makes those due whose time has come, and takes those from their workers
// whose leases are over.
func (s *Store) ripen(ctx context.Context) error {
	now := reconcile.Micros(s.now())
	ripe, err := s.rows(ctx, asked{from: orderLater, to: orderLater + digits(now)}, ripeAtOnce)
	if err != nil {
		return err
	}
	for _, row := range ripe {
		_, err := s.modify(ctx, row.Person, row, func(p *person, now int64) bool { return p.Ripen(now, s.skew.Microseconds()) })
		if err != nil {
			return err
		}
	}
	return nil
}

// first gives the first rows of an order.
func (s *Store) first(ctx context.Context, order string, most int) ([]*person, error) {
	return s.rows(ctx, asked{begins: order}, most)
}

// rows gives at most so many open rows; 0: all.
func (s *Store) rows(ctx context.Context, q asked, most int) (list []*person, err error) {
	q.partition, q.index, q.page = s.partition("people"), true, int32(most)
	err = s.query(ctx, q, func(i item) (bool, error) {
		list = append(list, readPerson("", i))
		return most == 0 || len(list) < most, nil
	})
	return list, err
}

// Settle implements reconcile.Queue. It is one write, unless somebody asked for
// the person meanwhile.
func (s *Store) Settle(ctx context.Context, work reconcile.Work, verdict reconcile.Verdict) error {
	s.mu.Lock()
	row := s.claims[work.Token]
	s.mu.Unlock()
	if row != nil && row.Person != work.Person {
		row = nil
	}
	var held bool
	p, err := s.modify(ctx, work.Person, row, func(p *person, now int64) bool {
		if held = p.Holds(work, now); held {
			p.Settle(verdict, now)
		}
		return held
	})
	if err == nil && !held {
		err = reconcile.ErrNotFound
	}
	if p != nil && p.Token != work.Token { // it is no claim of ours any more
		s.mu.Lock()
		delete(s.claims, work.Token)
		s.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("settle person %s: %w", work.Person, err)
	}
	switch p.State {
	case reconcile.StateDue:
		s.announce(ctx, []*person{p})
		s.signal()
	case reconcile.StateWaiting:
		s.signal()
	}
	return nil
}

// abandon gives up the claims of this process.
func (s *Store) abandon(ctx context.Context) error {
	s.mu.Lock()
	claims := s.claims
	s.claims = map[string]*person{}
	s.mu.Unlock()
	var faults []error
	for token, row := range claims {
		_, err := s.modify(ctx, row.Person, row, func(p *person, now int64) bool {
			held := p.State == reconcile.StateWorking && p.Token == token
			if held {
				p.Expire(now)
			}
			return held
		})
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// NextDue tells when Claim can next succeed: when the next person is due or the
// next lease is over. The time may be past. ErrNotFound means that nobody waits.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var next time.Time
	for _, order := range []string{orderDue, orderLater} {
		rows, err := s.first(ctx, order, 1)
		if err != nil {
			return time.Time{}, fmt.Errorf("find when the next person is due: %w", err)
		}
		for _, p := range rows {
			at := reconcile.Instant(p.Open.Due)
			if p.State == reconcile.StateWorking {
				at = reconcile.Instant(p.LeaseUntil).Add(s.skew)
			}
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	if next.IsZero() {
		return next, fmt.Errorf("find when the next person is due: %w", reconcile.ErrNotFound)
	}
	return next, nil
}

func (s *Store) personKey(id string) item { return s.key("people", id) }

// savePerson is the change that stores a row, if nobody else did since it was
// read. The message that may have been sent for it is of an earlier state.
func (s *Store) savePerson(p *person, rev string) change {
	p.sent = 0
	return s.savePersonAs(p, rev)
}

func (s *Store) savePersonAs(p *person, rev string) change {
	c := change{key: s.personKey(p.Person), when: "attribute_not_exists(#rev)", put: item{
		"row": p.content(), "state": text(string(p.State)), "generation": number(p.Generation), "done": number(p.Done), "ended": number(p.Ended), "rev": text(rev),
	}}
	if p.rev != "" {
		c.when, c.with = "#rev = :rev", item{"rev": text(p.rev)}
	}
	if place := p.place(); place != "" {
		c.put[openIndex] = text(place)
	}
	return c
}

// modify reads a row, has do change it, and stores it. Do tells whether there is
// something to store. It is asked again when somebody else was faster.
func (s *Store) modify(ctx context.Context, id string, row *person, do func(p *person, now int64) bool) (*person, error) {
	rev := nonce()
	var p *person
	err := s.persist(ctx, func() error {
		if p = row; p == nil {
			i, err := s.get(ctx, s.personKey(id))
			if err != nil {
				return err
			}
			p = readPerson(id, i)
		}
		row = nil
		if p.rev == rev { // an earlier attempt has stored it, and its answer was lost
			return nil
		}
		read := *p
		p = &read
		if !do(p, reconcile.Micros(s.now())) {
			return nil
		}
		err := s.write(ctx, s.savePerson(p, rev))
		var conflict *conflictError
		if errors.As(err, &conflict) && conflict.failed[0] != nil {
			row = readPerson(id, conflict.failed[0])
		}
		if err == nil {
			p.rev = rev
		}
		return err
	})
	return p, err
}
