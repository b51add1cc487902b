package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// maxGroup is how many callers share one transaction at most.
const maxGroup = 256

// writer is the one goroutine that writes. While it commits, callers queue up;
// the next transaction takes all of them, so that they share one fsync.
type writer struct {
	db       *sql.DB
	prepared map[string]*sql.Stmt
	store    *Store
	ops      chan *op
	stop     chan struct{} // closed: take no more
	stopped  chan struct{} // closed: the goroutine is gone
	last     moment        // of the newest transaction, to notice a clock that was set
	trouble  atomic.Bool   // a transaction failed since Ready last looked
}

// op is what one caller wants written.
type op struct {
	run     func(tx *tx) error // may run twice; an error undoes all that it did
	after   func()             // called once it is durable, before its caller is told; may be nil
	patient bool               // once it runs, its caller stays until it is over

	// alone, if there is one, runs on the database itself once run is durable,
	// outside of any transaction.
	alone func(ctx context.Context, db *sql.DB) error

	ctx   context.Context
	state atomic.Int32
	done  chan error
}

const (
	opQueued int32 = iota
	opTaken
	opLeft // its caller went away first
)

// tx is one transaction. Its statements do not end with a caller's context:
// an interrupted statement would undo what others did.
type tx struct {
	*sql.Tx
	now      time.Time
	moment   moment
	prepared map[string]*sql.Stmt // of the writer
	bound    map[string]*sql.Stmt // to this transaction
}

func newWriter(ctx context.Context, db *sql.DB, s *Store) (*writer, error) {
	w := &writer{
		db: db, store: s, prepared: map[string]*sql.Stmt{},
		ops: make(chan *op, maxGroup), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := w.prepare(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	go w.loop()
	return w, nil
}

// hot are the statements that are worth preparing.
var hot = []string{
	sqlLoad, sqlInsert, sqlUpdate, sqlPromote, sqlExpired, sqlNext, sqlMore, sqlFact,
	sqlHead, sqlEntry, sqlPersonal, sqlAdvance, sqlRemember, sqlForget,
	sqlStay, sqlNewest, sqlReserved, sqlLatest, sqlSpanLast, sqlSpanFirst, sqlRemovalLast, sqlRemovalFirst, sqlTake, sqlPrune,
}

func (w *writer) prepare(ctx context.Context) error {
	if err := migrate(ctx, w.db, w.store.log); err != nil {
		return err
	}
	for _, query := range hot {
		stmt, err := w.db.PrepareContext(ctx, query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
		w.prepared[query] = stmt
	}
	return nil
}

// close waits for the transaction in progress, fails what is queued and closes
// the database.
func (w *writer) close() error {
	close(w.stop)
	<-w.stopped
	return w.db.Close()
}

// write runs an op and waits until it is durable. A caller whose context ends
// goes away at once, unless it is patient; what it wanted may or may not be
// written then.
func (w *writer) write(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.ctx, o.done = ctx, make(chan error, 1)
	select {
	case <-w.stop:
		return errClosed
	default:
	}
	select {
	case w.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		if !o.state.CompareAndSwap(opQueued, opLeft) && o.patient {
			return <-o.done
		}
		return ctx.Err()
	case <-w.stopped:
		select {
		case err := <-o.done:
			return err
		default:
			return errClosed
		}
	}
}

func (w *writer) loop() {
	defer close(w.stopped)
	group := make([]*op, 0, maxGroup)
	for {
		select {
		case <-w.stop:
			return
		case o := <-w.ops:
			group = w.gather(append(group[:0], o))
			w.commit(group)
			clear(group)
		}
	}
}

// gather adds everybody who is waiting already, and nobody whose caller went
// away.
func (w *writer) gather(group []*op) []*op {
	for {
		select {
		case o := <-w.ops:
			group = append(group, o)
			if len(group) < maxGroup {
				continue
			}
		default:
		}
		break
	}
	kept := group[:0]
	for _, o := range group {
		if o.ctx.Err() == nil && o.state.CompareAndSwap(opQueued, opTaken) {
			kept = append(kept, o)
			continue
		}
		o.done <- context.Cause(o.ctx)
	}
	return kept
}

// commit writes a group in one transaction. If one op of several fails, each
// gets a transaction of its own, so that a fault stays with its owner.
func (w *writer) commit(group []*op) {
	if len(group) == 0 {
		return
	}
	err := w.transact(group)
	var own *opError
	if errors.As(err, &own) && len(group) > 1 {
		for i := range group {
			w.commit(group[i : i+1])
		}
		return
	}
	if err != nil {
		w.trouble.Store(true)
	}
	for _, o := range group {
		if err == nil && o.after != nil {
			o.after()
		}
		if err == nil && o.alone != nil {
			o.done <- explain(o.alone(o.ctx, w.db))
			continue
		}
		o.done <- explain(err)
	}
}

// opError is an error of an op, as opposed to one of the transaction as a whole.
type opError struct{ error }

func (e *opError) Unwrap() error { return e.error }

func (w *writer) transact(group []*op) (err error) {
	inner, err := w.db.Begin()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = inner.Rollback() // SQLite may have rolled back already
		}
	}()
	t := &tx{Tx: inner, now: w.store.now(), prepared: w.prepared, bound: map[string]*sql.Stmt{}}
	if err := w.clock(t); err != nil {
		return err
	}
	for _, o := range group {
		if err := o.run(t); err != nil {
			return &opError{err}
		}
	}
	if err := inner.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.last = t.moment
	return nil
}

// moment is the time by the clock on the wall, and by one that nobody sets.
type moment struct {
	wall   time.Time
	passed time.Duration
}

// slack is how far the clock may be off before times are put right. Clocks that
// are disciplined run a little faster or slower for a while.
const slack = 500 * time.Millisecond

// clock puts right what a clock that was set would delay or hasten: whatever
// waits goes on to wait for as long as it was meant to, and leases last as long.
// A machine that slept counts as one whose clock was set forward.
func (w *writer) clock(t *tx) error {
	t.moment.wall = t.now.Round(0) // without the monotonic clock, which Sub would use
	if w.store.passed == nil {
		back := w.last.wall.Sub(t.moment.wall)
		if w.last.wall.IsZero() || back <= time.Second {
			return nil
		}
		w.store.log.Warn("the clock went back", "by", back)
		return rewind(t)
	}
	t.moment.passed = w.store.passed()
	if w.last.wall.IsZero() {
		return nil
	}
	set := t.moment.wall.Sub(w.last.wall) - (t.moment.passed - w.last.passed)
	if set.Abs() <= slack {
		// Small steps add up: they are judged from the same moment on.
		t.moment = w.last
		return nil
	}
	w.store.log.Warn("the clock was set", "by", set)
	return shift(t, set)
}

func (t *tx) bind(query string) *sql.Stmt {
	if stmt, ok := t.bound[query]; ok {
		return stmt
	}
	stmt, ok := t.prepared[query]
	if ok {
		stmt = t.Stmt(stmt)
		t.bound[query] = stmt
	}
	return stmt
}

// exec runs a statement, the prepared one if there is one.
func (t *tx) exec(query string, args ...any) error {
	var err error
	if stmt := t.bind(query); stmt != nil {
		_, err = stmt.Exec(args...)
	} else {
		_, err = t.Exec(query, args...)
	}
	return err
}

// count runs a statement and tells how many rows it changed.
func (t *tx) count(query string, args ...any) (int, error) {
	result, err := t.Exec(query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// each calls do for every row of the answer.
func (t *tx) each(do func(scanner) error, query string, args ...any) error {
	return each(context.Background(), t.Tx, do, query, args...)
}

// row reads one row, with the prepared statement if there is one.
func (t *tx) row(query string, args ...any) *sql.Row {
	if stmt := t.bind(query); stmt != nil {
		return stmt.QueryRow(args...)
	}
	return t.QueryRow(query, args...)
}
