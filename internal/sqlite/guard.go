package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
)

const (
	sqlReserved = `SELECT EXISTS (SELECT 1 FROM places WHERE hash = ? AND instance = ? AND person = ? AND at > ?)`
	sqlLatest   = `SELECT at FROM places WHERE instance = ? ORDER BY at DESC LIMIT 1`
	sqlEarlier  = `UPDATE places SET at = ?2 WHERE instance = ?1 AND at > ?2`

	// Places are numbered, so that the newest of a window and the oldest tell how
	// many there are.
	sqlSpanLast     = `SELECT nth FROM places WHERE instance = ? AND span = ? AND nth > 0 ORDER BY at DESC, nth DESC LIMIT 1`
	sqlSpanFirst    = `SELECT nth FROM places WHERE instance = ? AND span = ? AND nth > 0 AND at > ? ORDER BY at, nth LIMIT 1`
	sqlRemovalLast  = `SELECT removal FROM places WHERE instance = ? AND removal > 0 ORDER BY at DESC, removal DESC LIMIT 1`
	sqlRemovalFirst = `SELECT removal FROM places WHERE instance = ? AND removal > 0 AND at > ? ORDER BY at, removal LIMIT 1`

	sqlTake  = `INSERT INTO places (instance, person, hash, at, span, nth, removal) VALUES (?, ?, ?, ?, ?, ?, ?)`
	sqlPrune = `DELETE FROM places WHERE id IN (SELECT id FROM places WHERE instance = ? AND at <= ? ORDER BY at LIMIT 500)`
)

// Reserve implements reconcile.Guard. What it reads, what is decided from it and
// what it writes is one transaction of the one writer. A caller whose context
// ends while it is written waits for the outcome, so that no place is taken for
// nobody.
func (s *Store) Reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits) (reconcile.Reservation, error) {
	if err := r.Check(); err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place: %w", err)
	}
	change, err := text(r.Change)
	if err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place for person %s: %w", r.Person, err)
	}
	limits = limits.Complete()
	var answer reconcile.Reservation
	err = s.writer.write(ctx, &op{
		patient: true,
		run: func(t *tx) (err error) {
			answer, err = reserve(t, r, limits, change)
			return err
		},
		after: func() { failpoint.Hit(failpoint.GuardCommitted) },
	})
	if err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place for person %s: %w", r.Person, err)
	}
	return answer, nil
}

func reserve(t *tx, r reconcile.Removal, limits reconcile.Limits, change sql.NullString) (reconcile.Reservation, error) {
	r = r.Stored(t.now)
	p, err := openPlaces(t, r, limits)
	if err != nil {
		return reconcile.Reservation{}, err
	}
	books, entry, err := p.books(t)
	if err != nil {
		return reconcile.Reservation{}, fmt.Errorf("read the books: %w", err)
	}
	w := reconcile.Weigh(books, r, limits)
	answer := w.Answer(books)
	if w.Join {
		if answer.Hold, err = join(t, r, w, change); err != nil {
			return answer, fmt.Errorf("hold the change: %w", err)
		}
	}
	if w.Supersede {
		err = t.exec(sqlClose, string(reconcile.HoldSuperseded), entry)
	}
	if err == nil && w.Spend {
		err = t.exec(sqlClose, string(reconcile.HoldSpent), entry)
	}
	if err == nil && w.Take {
		err = p.take(t, w.Approved)
	}
	failpoint.Hit(failpoint.GuardRows)
	return answer, err
}

// places are the places taken in one instance, as one removal sees them.
type places struct {
	reconcile.Removal
	limits   reconcile.Limits
	at       int64 // the time of a new place
	span     string
	nth      int64 // the number of the newest place in the short window
	removals int64 // and among all removals
}

// openPlaces drops the places that are too old to count. Those that are ahead of
// the time, since the clock went back, count from now on.
func openPlaces(t *tx, r reconcile.Removal, limits reconcile.Limits) (*places, error) {
	p := &places{Removal: r, limits: limits, at: reconcile.Micros(r.At), span: r.Window()}
	if err := t.exec(sqlPrune, r.Instance, p.start(max(limits.Long, limits.Short))); err != nil {
		return nil, fmt.Errorf("drop old places: %w", err)
	}
	latest, err := number(t, sqlLatest, r.Instance)
	if err != nil {
		return nil, fmt.Errorf("find the newest place: %w", err)
	}
	if now := max(p.at, reconcile.Micros(t.now)); latest > now {
		if err := t.exec(sqlEarlier, r.Instance, now); err != nil {
			return nil, fmt.Errorf("correct places after the clock went back: %w", err)
		}
		latest = now
	}
	p.at = max(p.at, latest)
	return p, nil
}

// start is when a window began: what is of that time or before is not in it.
func (p *places) start(length time.Duration) int64 { return reconcile.Micros(p.At.Add(-length)) }

// books reads what Weigh asks for, and the row of the entry in it.
func (p *places) books(t *tx) (b reconcile.Books, entry int64, err error) {
	if b.Stay, err = stay(t, p.Person, p.At); err != nil {
		return b, 0, err
	}
	if b.Entry, entry, err = newest(t, p.Person, p.Instance, p.Agent); err != nil {
		return b, 0, err
	}
	if err := t.row(sqlReserved, p.Hash, p.Instance, p.Person, p.start(p.limits.Long)).Scan(&b.Reserved); err != nil {
		return b, 0, err
	}
	short, err := p.count(t, &p.nth, p.limits.Short, sqlSpanLast, sqlSpanFirst, p.Instance, p.span)
	if err != nil {
		return b, 0, err
	}
	long, err := p.count(t, &p.removals, p.limits.Long, sqlRemovalLast, sqlRemovalFirst, p.Instance)
	if err != nil {
		return b, 0, err
	}
	b.Counts = p.Counts(short, long)
	return b, entry, nil
}

// count counts the places in a window by their numbers.
func (p *places) count(t *tx, newest *int64, length time.Duration, last, first string, args ...any) (int, error) {
	var err error
	if *newest, err = number(t, last, args...); err != nil {
		return 0, err
	}
	oldest, err := number(t, first, append(args, p.start(length))...)
	if err != nil || oldest == 0 {
		return 0, err
	}
	return int(*newest - oldest + 1), nil
}

// take takes a place. One that was approved is remembered and counts in no window.
func (p *places) take(t *tx, approved bool) error {
	span, nth, removal := p.span, p.nth+1, p.removals+1
	if approved {
		span, nth, removal = "", 0, 0
	}
	if p.Kind == reconcile.RemovalMove {
		removal = 0
	}
	if err := t.exec(sqlTake, p.Instance, p.Person, p.Hash, p.at, span, nth, removal); err != nil {
		return fmt.Errorf("take the place: %w", err)
	}
	return nil
}

// number reads one number; 0 stands for no row.
func number(t *tx, query string, args ...any) (n int64, err error) {
	err = t.row(query, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n, err
}
