package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

// person is a row of the table people.
type person struct {
	id int64 // 0: not stored yet
	reconcile.Row
}

const (
	personColumns = `id, person, state, generation, claimed, done, priority, due, since, again_priority, again_due, again_since,
		attempts, asked_by, event, error, token, lease_until, ended`

	sqlLoad    = `SELECT ` + personColumns + ` FROM people WHERE person = ?`
	sqlNext    = `SELECT ` + personColumns + ` FROM people WHERE state = 'due' ORDER BY priority, since, id LIMIT 1`
	sqlExpired = `SELECT ` + personColumns + ` FROM people WHERE state = 'working' AND lease_until <= ? ORDER BY lease_until LIMIT 1`
	sqlMore    = `SELECT EXISTS (SELECT 1 FROM people WHERE state = 'due')`
	sqlPromote = `UPDATE people SET state = 'due' WHERE state = 'waiting' AND due <= ?`

	sqlInsert = `INSERT INTO people (person, state, generation, claimed, done, priority, due, since, again_priority, again_due, again_since,
		attempts, asked_by, event, error, token, lease_until, ended, written)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlUpdate = `UPDATE people SET person = ?, state = ?, generation = ?, claimed = ?, done = ?, priority = ?, due = ?, since = ?,
		again_priority = ?, again_due = ?, again_since = ?, attempts = ?, asked_by = ?, event = ?, error = ?, token = ?, lease_until = ?,
		ended = ?, written = ? WHERE id = ?`
)

// load reads a person. One who was never asked for comes back idle.
func load(t *tx, id string) (*person, error) {
	p, err := scanPerson(t.row(sqlLoad, id))
	if errors.Is(err, sql.ErrNoRows) {
		return &person{Row: reconcile.Row{Person: id, State: reconcile.StateIdle}}, nil
	}
	return p, err
}

func scanPerson(row scanner) (*person, error) {
	var p person
	err := row.Scan(&p.id, &p.Person, &p.State, &p.Generation, &p.Claimed, &p.Done,
		&p.Open.Priority, &p.Open.Due, &p.Open.Since, &p.Again.Priority, &p.Again.Due, &p.Again.Since,
		&p.Attempts, &p.Trigger, &p.Event, &p.Reason, &p.Token, &p.LeaseUntil, &p.Ended)
	return &p, err
}

func (p *person) save(t *tx) error {
	args := []any{
		p.Person, string(p.State), p.Generation, p.Claimed, p.Done,
		int(p.Open.Priority), p.Open.Due, p.Open.Since, int(p.Again.Priority), p.Again.Due, p.Again.Since,
		p.Attempts, string(p.Trigger), p.Event, p.Reason, p.Token, p.LeaseUntil, p.Ended, reconcile.Micros(t.now),
	}
	query := sqlInsert
	if p.id != 0 {
		query, args = sqlUpdate, append(args, p.id)
	}
	if err := t.exec(query, args...); err != nil {
		return fmt.Errorf("save person %s: %w", p.Person, err)
	}
	return nil
}

// rewind is for a clock that went back by nobody knows how much: everything that
// was written in the future has the distance from now that it had when it was
// written.
func rewind(t *tx) error {
	const query = `UPDATE people SET
			due = due - (written - ?1), again_due = again_due - (written - ?1), lease_until = lease_until - (written - ?1),
			since = min(since, ?1), again_since = min(again_since, ?1), written = ?1
		WHERE state IN ('due', 'waiting', 'working') AND written > ?1`
	if err := t.exec(query, reconcile.Micros(t.now)); err != nil {
		return fmt.Errorf("correct times after the clock went back: %w", err)
	}
	return nil
}

// shift is for a clock that was set: everything keeps its distance from now.
func shift(t *tx, by time.Duration) error {
	const query = `UPDATE people SET
			due = due + ?1, again_due = again_due + ?1, lease_until = lease_until + ?1,
			since = since + ?1, again_since = again_since + ?1, written = ?2
		WHERE state IN ('due', 'waiting', 'working')`
	if err := t.exec(query, by.Microseconds(), reconcile.Micros(t.now)); err != nil {
		return fmt.Errorf("correct times after the clock was set: %w", err)
	}
	return nil
}
