package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

const (
	entryList = `e.id, e.hold, e.instance, h.cause, e.person, e.agent, e.kind, e.action, e.hash, e.reason, e.state, e.created, e.expires, e.decider, e.decided, e.change`

	sqlNewest = `SELECT ` + entryList + ` FROM hold_entries e JOIN holds h ON h.id = e.hold
		WHERE e.person = ? AND e.instance = ? AND e.agent = ? ORDER BY e.id DESC LIMIT 1`
	sqlOpenHold = `SELECT h.id FROM holds h WHERE h.instance = ?1 AND h.cause = ?2
		AND EXISTS (SELECT 1 FROM hold_entries e WHERE e.hold = h.id AND e.state = 'waiting' AND e.expires > ?3) ORDER BY h.id DESC LIMIT 1`
	sqlOpen  = `INSERT INTO holds (instance, cause, opened) VALUES (?, ?, ?) RETURNING id`
	sqlEnter = `INSERT INTO hold_entries (hold, person, instance, agent, kind, action, hash, reason, state, created, expires, change)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?)`
	sqlClose   = `UPDATE hold_entries SET state = ? WHERE id = ?`
	sqlDecide  = `UPDATE hold_entries SET state = ?, decider = ?, decided = ? WHERE id = ?`
	sqlAnyOpen = `SELECT EXISTS (SELECT 1 FROM hold_entries WHERE person = ?1 AND instance = ?2 AND state IN ('waiting', 'approved', 'rejected'))
		OR EXISTS (SELECT 1 FROM places WHERE person = ?1 AND instance = ?2 AND hash > '')`
	sqlVacate   = `UPDATE places SET hash = '' WHERE person = ? AND instance = ? AND hash > ''`
	sqlWithdraw = `UPDATE hold_entries SET state = 'withdrawn' WHERE person = ? AND instance = ? AND state IN ('waiting', 'approved', 'rejected')`

	stayColumns = `person, who, why, since, until`
	sqlStay     = `SELECT ` + stayColumns + ` FROM stays WHERE person = ? AND until > ?`
	sqlStays    = `SELECT ` + stayColumns + ` FROM stays WHERE until > ? ORDER BY person`
	sqlSaveStay = `INSERT INTO stays (` + stayColumns + `) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (person) DO UPDATE SET who = ?2, why = ?3, since = ?4, until = ?5`
	sqlUnstay   = `DELETE FROM stays WHERE person = ?`
	sqlOldStays = `DELETE FROM stays WHERE until <= ?`
)

// newest gives the newest entry about an agent of a person, without its change,
// and its row; nil if there is none.
func newest(t *tx, person, instance, agent string) (*reconcile.HoldEntry, int64, error) {
	e, id, _, err := scanHoldEntry(t.row(sqlNewest, person, instance, agent))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, nil
	}
	return &e, id, err
}

// join writes a new entry into the open hold of its cause, or into a new hold.
func join(t *tx, r reconcile.Removal, w reconcile.Weighed, change sql.NullString) (string, error) {
	id, err := number(t, sqlOpenHold, r.Instance, w.Cause, reconcile.Micros(r.At))
	if err == nil && id == 0 {
		err = t.row(sqlOpen, r.Instance, w.Cause, reconcile.Micros(r.At)).Scan(&id)
	}
	if err != nil {
		return "", err
	}
	return reconcile.HoldName(id), t.exec(sqlEnter, id, r.Person, r.Instance, r.Agent, string(r.Kind), string(r.Action), r.Hash, r.Reason,
		reconcile.Micros(r.At), reconcile.Micros(w.Expires), change)
}

// Withdraw implements reconcile.Guard. An approval that was not used is withdrawn
// too, and so is a rejection. Most people have no open entry, and then nothing is written.
func (s *Store) Withdraw(ctx context.Context, person, instance string) error {
	var open bool
	err := explain(s.read.QueryRowContext(ctx, sqlAnyOpen, person, instance).Scan(&open))
	if err == nil && open {
		err = s.writer.write(ctx, &op{run: func(t *tx) error {
			if err := t.exec(sqlWithdraw, person, instance); err != nil {
				return err
			}
			return t.exec(sqlVacate, person, instance)
		}})
	}
	if err != nil {
		return fmt.Errorf("withdraw what is held of person %s: %w", person, err)
	}
	return nil
}

// Holds implements reconcile.Guard.
func (s *Store) Holds(ctx context.Context, q reconcile.HoldQuery) ([]reconcile.Hold, error) {
	query, args := holdsQuery(q, reconcile.Micros(s.now()))
	var list []reconcile.Hold
	err := each(ctx, s.read, func(row scanner) error {
		var id, opened int64
		var h reconcile.Hold
		e, _, change, err := scanHoldEntry(row, &id, &h.Instance, &h.Cause, &opened)
		if err != nil {
			return err
		}
		if e.Change, err = value[plan.Change](change); err != nil {
			return err
		}
		if h.ID, h.Opened = reconcile.HoldName(id), reconcile.Instant(opened); len(list) == 0 || list[len(list)-1].ID != h.ID {
			list = append(list, h)
		}
		last := &list[len(list)-1]
		last.Entries = append(last.Entries, e)
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return list, nil
}

// holdsQuery gives a query for the wanted entries of the wanted holds. It looks
// at them by way of the rarest thing that is asked for.
func holdsQuery(q reconcile.HoldQuery, now int64) (query string, args []any) {
	wanted := []string{`true`}
	if q.ID != "" {
		wanted, args = append(wanted, `e.hold = ?`), append(args, reconcile.HoldNumber(q.ID))
	}
	if q.Person != "" {
		wanted, args = append(wanted, `e.person = ?`), append(args, q.Person)
	}
	if q.Waiting {
		wanted, args = append(wanted, `e.state = 'waiting' AND e.expires > ?`), append(args, now)
	}
	if q.Open {
		wanted = append(wanted, `e.state IN ('waiting', 'approved')`)
	}
	condition := strings.Join(wanted, ` AND `)
	chosen := `SELECT DISTINCT e.hold AS id FROM hold_entries e WHERE ` + condition
	if len(wanted) == 1 {
		chosen = `SELECT id FROM holds` // each has an entry
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	query = `SELECT ` + entryList + `, h.id, h.instance, h.cause, h.opened
		FROM (` + chosen + ` ORDER BY 1 DESC LIMIT ?) AS c CROSS JOIN holds h ON h.id = c.id CROSS JOIN hold_entries e ON e.hold = h.id
		WHERE ` + condition + ` ORDER BY h.id DESC, e.person, e.id`
	return query, slices.Concat(args, []any{limit}, args)
}

// Decide implements reconcile.Guard. A rejection is taken of what has expired
// too, since it keeps everything as it is.
func (s *Store) Decide(ctx context.Context, d reconcile.Decision) ([]reconcile.HoldEntry, error) {
	d.People = slices.Clone(d.People)
	var decided []reconcile.HoldEntry
	found := false
	err := s.writer.write(ctx, &op{patient: true, run: func(t *tx) (err error) {
		decided = nil
		id := reconcile.HoldNumber(d.Hold)
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM holds WHERE id = ?)`, id).Scan(&found); err != nil || !found {
			return err
		}
		decided, err = decide(t, id, d)
		return err
	}})
	if err == nil && !found {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("decide on hold %s: %w", d.Hold, err)
	}
	return decided, nil
}

func decide(t *tx, hold int64, d reconcile.Decision) ([]reconcile.HoldEntry, error) {
	if d.At.IsZero() {
		d.At = t.now
	}
	var decided []reconcile.HoldEntry
	var rows []int64
	err := t.each(func(row scanner) error {
		e, id, change, err := scanHoldEntry(row)
		if err != nil {
			return err
		}
		if e.Change, err = value[plan.Change](change); err != nil {
			return err
		}
		if d.Covers(e) {
			decided, rows = append(decided, d.Decided(e)), append(rows, id)
		}
		return nil
	}, `SELECT `+entryList+` FROM hold_entries e JOIN holds h ON h.id = e.hold WHERE e.hold = ? AND e.state = 'waiting' ORDER BY e.person, e.id`, hold)
	if err != nil {
		return nil, err
	}
	for i, e := range decided {
		if err := t.exec(sqlDecide, string(e.State), e.By, reconcile.Micros(e.At), rows[i]); err != nil {
			return nil, err
		}
		if d.Approve {
			continue
		}
		if err := saveStay(t, d.StayOf(e.Person)); err != nil {
			return nil, err
		}
	}
	return decided, nil
}

func scanHoldEntry(row scanner, more ...any) (e reconcile.HoldEntry, id int64, change sql.NullString, err error) {
	var hold, created, expires, decided int64
	err = row.Scan(append([]any{
		&id, &hold, &e.Instance, &e.Cause, &e.Person, &e.Agent, &e.Kind, &e.Action, &e.Hash, &e.Reason, &e.State,
		&created, &expires, &e.By, &decided, &change,
	}, more...)...)
	e.Hold, e.Created, e.Expires, e.At = reconcile.HoldName(hold), reconcile.Instant(created), reconcile.Instant(expires), reconcile.Instant(decided)
	return e, id, change, err
}

// Stay implements reconcile.Guard. Stays that are over go at the same time.
func (s *Store) Stay(ctx context.Context, stays ...reconcile.Stay) error {
	stays = slices.Clone(stays)
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		if err := t.exec(sqlOldStays, reconcile.Micros(t.now)); err != nil {
			return err
		}
		for _, stay := range stays {
			if err := saveStay(t, stay); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("save %d stays: %w", len(stays), err)
	}
	return nil
}

func saveStay(t *tx, stay reconcile.Stay) error {
	return t.exec(sqlSaveStay, stay.Person, stay.Who, stay.Why, reconcile.Micros(stay.Since), reconcile.Micros(stay.Until))
}

// Unstay implements reconcile.Guard.
func (s *Store) Unstay(ctx context.Context, people ...string) error {
	people = slices.Clone(people)
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, person := range people {
			if err := t.exec(sqlUnstay, person); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("end %d stays: %w", len(people), err)
	}
	return nil
}

// Stays implements reconcile.Guard.
func (s *Store) Stays(ctx context.Context) ([]reconcile.Stay, error) {
	var list []reconcile.Stay
	err := each(ctx, s.read, func(row scanner) error {
		stay, err := scanStay(row)
		list = append(list, stay)
		return err
	}, sqlStays, reconcile.Micros(s.now()))
	if err != nil {
		return nil, fmt.Errorf("read stays: %w", err)
	}
	return list, nil
}

// stay gives the stay on a person, nil if there is none or it is over.
func stay(t *tx, person string, now time.Time) (*reconcile.Stay, error) {
	found, err := scanStay(t.row(sqlStay, person, reconcile.Micros(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &found, err
}

func scanStay(row scanner) (stay reconcile.Stay, err error) {
	var since, until int64
	err = row.Scan(&stay.Person, &stay.Who, &stay.Why, &since, &until)
	stay.Since, stay.Until = reconcile.Instant(since), reconcile.Instant(until)
	return stay, err
}
