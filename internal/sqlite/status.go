package sqlite

import (
	"context"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

// People gives what the queue holds about people, ordered by person id.
func (s *Store) People(ctx context.Context, q reconcile.WaitingQuery) ([]reconcile.Waiting, error) {
	const query = `SELECT ` + personColumns + ` FROM people
		WHERE person > ?1 AND (?2 = '' OR person = ?2) AND ` + stateFilter + `
		ORDER BY person LIMIT ?5`
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	return s.people(ctx, query, q.After, q.Person, string(q.State), reconcile.Micros(s.now()), limit)
}

// stateFilter wants the state in ?3, empty for any, and the time in ?4. Who
// waits and has become due is due, although no Claim has marked it yet.
const stateFilter = `CASE ?3
		WHEN '' THEN true
		WHEN 'due' THEN state = 'due' OR (state = 'waiting' AND due <= ?4)
		WHEN 'waiting' THEN state = 'waiting' AND due > ?4
		ELSE state = ?3 END`

// Dead gives all dead letters, those that died first coming first.
func (s *Store) Dead(ctx context.Context) ([]reconcile.Waiting, error) {
	return s.people(ctx, `SELECT `+personColumns+` FROM people WHERE state = 'dead' ORDER BY ended, id`)
}

func (s *Store) people(ctx context.Context, query string, args ...any) ([]reconcile.Waiting, error) {
	now := reconcile.Micros(s.now())
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", explain(err))
	}
	defer rows.Close()
	var list []reconcile.Waiting
	for rows.Next() {
		p, err := scanPerson(rows)
		if err != nil {
			return nil, fmt.Errorf("list people: %w", explain(err))
		}
		list = append(list, p.Waiting(now))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list people: %w", explain(err))
	}
	return list, nil
}

// Backlog counts the people in the queue by state.
func (s *Store) Backlog(ctx context.Context) (reconcile.Backlog, error) {
	const query = `SELECT
		(SELECT count(*) FROM people),
		(SELECT count(*) FROM people WHERE state = 'due'),
		(SELECT count(*) FROM people WHERE state = 'waiting'),
		(SELECT count(*) FROM people WHERE state = 'waiting' AND due <= ?1),
		(SELECT count(*) FROM people WHERE state = 'working'),
		(SELECT count(*) FROM people WHERE state = 'dead'),
		(SELECT coalesce(min(since), 0) FROM (
			SELECT min(since) AS since FROM people WHERE state = 'due'
			UNION ALL SELECT min(since) FROM people WHERE state = 'waiting'
			UNION ALL SELECT min(since) FROM people WHERE state = 'working'))`
	var b reconcile.Backlog
	var all, ripe int
	var oldest int64
	err := s.read.QueryRowContext(ctx, query, reconcile.Micros(s.now())).Scan(&all, &b.Due, &b.Waiting, &ripe, &b.Working, &b.Dead, &oldest)
	if err != nil {
		return reconcile.Backlog{}, fmt.Errorf("count people: %w", explain(err))
	}
	b.Due, b.Waiting, b.Oldest = b.Due+ripe, b.Waiting-ripe, reconcile.Instant(oldest)
	b.Idle = all - b.Due - b.Waiting - b.Working - b.Dead
	return b, nil
}

// Replay makes a dead letter due now, with no attempts. ErrNotFound means that
// the person is none, so that replaying twice does nothing the second time.
func (s *Store) Replay(ctx context.Context, id string) error {
	var dead bool
	err := s.writer.write(ctx, &op{after: s.signal, run: func(t *tx) error {
		p, err := load(t, id)
		if err != nil {
			return err
		}
		if dead = p.State == reconcile.StateDead; !dead {
			return nil
		}
		p.Request(reconcile.Request{Person: id, Priority: p.Open.Priority, Trigger: reconcile.TriggerReplay, Event: p.Event}, reconcile.Micros(t.now))
		return p.save(t)
	}})
	if err == nil && !dead {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("replay person %s: %w", id, err)
	}
	return nil
}

// Drop gives a dead letter up for good: its requests count as done. ErrNotFound
// means that the person is none.
func (s *Store) Drop(ctx context.Context, id string) error {
	var dead bool
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		p, err := load(t, id)
		if err != nil {
			return err
		}
		if dead = p.State == reconcile.StateDead; !dead {
			return nil
		}
		p.Drop()
		return p.save(t)
	}})
	if err == nil && !dead {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("drop person %s: %w", id, err)
	}
	return nil
}

// readiness remembers the answer of Ready.
type readiness struct {
	every time.Duration
	turn  chan struct{} // holds one token: whoever has it may look and probe
	at    time.Time
	err   error
}

func newReadiness(every time.Duration) readiness {
	r := readiness{every: every, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// Ready reports whether a request can be made durable right now, by writing. The
// answer is reused for Config.ProbeEvery, but a good one only until a write
// fails. Since a disk that is all but full takes little things when it takes no
// request, Ready writes more after a failure.
func (s *Store) Ready(ctx context.Context) error {
	select {
	case <-s.ready.turn:
		defer func() { s.ready.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("probe the database: %w", ctx.Err())
	}
	r := &s.ready
	trouble := s.writer.trouble.Load()
	age := s.now().Sub(r.at)
	fresh := !r.at.IsZero() && age >= 0 && age < r.every
	if fresh && (r.err != nil || !trouble) {
		return r.err
	}
	err := s.probe(ctx, trouble)
	if err != nil {
		err = fmt.Errorf("probe the database: %w", err)
	}
	if ctx.Err() != nil { // the answer says nothing about the disk
		s.writer.trouble.Store(true)
		return err
	}
	r.at, r.err = s.now(), err
	return err
}

// Sizes of what Ready writes, in bytes. A hook of many events needs the larger.
const (
	probeSize   = 0
	troubleSize = 64 << 10
)

func (s *Store) probe(ctx context.Context, trouble bool) error {
	id, size := 1, probeSize
	if trouble {
		id, size = 2, troubleSize
		s.writer.trouble.Store(false) // whatever fails from here on counts anew, this too
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`INSERT INTO probe (id, time, ballast) VALUES (?1, ?2, zeroblob(?3))
			ON CONFLICT (id) DO UPDATE SET time = excluded.time, ballast = excluded.ballast`, id, t.now.UnixNano(), size)
		return err
	}})
}
