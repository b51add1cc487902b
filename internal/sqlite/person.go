package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

// lost is the reason of a claim that was never settled.
const lost = "the worker vanished while it looked at this person"

// person is a row of the table people. Its methods are the rules of the queue;
// they take the time in microseconds, and whoever calls them saves the row.
type person struct {
	id     int64 // 0: not stored yet
	person string
	state  reconcile.WaitingState

	generation int64 // counts the requests
	claimed    int64 // the generation that the newest claim covers
	done       int64 // the newest generation that was worked off

	open  pending // the requests that are not done, those since the claim apart
	again pending // the requests since the claim; they count while generation > claimed

	attempts   int
	trigger    reconcile.Trigger
	event      string
	reason     string
	token      string
	leaseUntil int64
	ended      int64 // when the last look ended
}

// pending is when to look at a person, and how urgently.
type pending struct {
	priority   reconcile.Priority
	due, since int64
}

func (p pending) merge(q pending) pending {
	return pending{priority: min(p.priority, q.priority), due: min(p.due, q.due), since: min(p.since, q.since)}
}

// request takes in one more request.
func (p *person) request(r reconcile.Request, now int64) {
	asked := pending{priority: r.Priority, due: max(now, micros(r.Due)), since: now}
	newer := p.newer()
	p.generation++
	p.trigger, p.event = r.Trigger, r.Event

	switch p.state {
	case reconcile.StateWorking:
		if newer {
			asked = p.again.merge(asked)
		}
		p.again = asked
	case reconcile.StateDue, reconcile.StateWaiting:
		p.open = p.open.merge(asked)
		p.queue(now)
	default:
		p.restart(asked, now)
	}
}

// newer reports whether there were requests since the claim.
func (p *person) newer() bool { return p.state == reconcile.StateWorking && p.generation > p.claimed }

// queue makes the person due, or has them wait until they are. Who is due stays
// due, even if the clock goes back.
func (p *person) queue(now int64) {
	if p.state != reconcile.StateDue {
		p.state = reconcile.StateWaiting
	}
	if p.open.due <= now {
		p.state = reconcile.StateDue
	}
}

// restart begins anew with nothing but what was asked.
func (p *person) restart(asked pending, now int64) {
	p.state, p.open = reconcile.StateWaiting, asked
	p.attempts, p.reason = 0, ""
	p.queue(now)
}

// claim gives the person to a worker.
func (p *person) claim(token string, until int64) reconcile.Work {
	p.state, p.token, p.leaseUntil, p.claimed = reconcile.StateWorking, token, until, p.generation
	return reconcile.Work{
		Person:     p.person,
		Generation: p.generation,
		Attempts:   p.attempts,
		Priority:   p.open.priority,
		Trigger:    p.trigger,
		Event:      p.event,
		Since:      instant(p.open.since),
		Token:      token,
	}
}

// holds reports whether the claim is still the worker's.
func (p *person) holds(w reconcile.Work, now int64) bool {
	return p.state == reconcile.StateWorking && p.token == w.Token && now < p.leaseUntil
}

// expire takes the person from a worker who never settled. That counts as an
// attempt, so that a person who kills the process does not do so for ever.
func (p *person) expire(now int64) {
	if p.newer() {
		p.open = p.open.merge(p.again)
	}
	p.release(now)
	p.state = reconcile.StateDue
	p.open.due = min(p.open.due, now)
	p.attempts++
	p.reason = lost
}

// settle ends a claim with the worker's verdict.
func (p *person) settle(v reconcile.Verdict, now int64) {
	newer := p.newer()
	p.release(now)
	if v.Failed {
		p.attempts++
	}
	switch v.State {
	case reconcile.Later:
		p.state, p.reason = reconcile.StateWaiting, v.Reason
		p.open.due = max(now, micros(v.Due))
		if newer {
			p.open = p.open.merge(p.again)
		}
		p.queue(now)
		return
	case reconcile.Done:
		p.done = p.claimed
	case reconcile.Dead:
	}
	if newer {
		p.restart(p.again, now)
		return
	}
	if v.State == reconcile.Dead {
		p.state, p.reason = reconcile.StateDead, v.Reason
		return
	}
	p.rest()
}

// rest is the state of somebody for whom nothing is left to do.
func (p *person) rest() {
	p.state, p.open, p.attempts, p.reason = reconcile.StateIdle, pending{priority: p.open.priority}, 0, ""
}

// drop gives up what a dead letter asked for.
func (p *person) drop() {
	p.done = p.generation
	p.rest()
}

func (p *person) release(now int64) { p.token, p.leaseUntil, p.ended = "", 0, now }

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
		return &person{person: id, state: reconcile.StateIdle}, nil
	}
	return p, err
}

func scanPerson(row scanner) (*person, error) {
	var p person
	err := row.Scan(&p.id, &p.person, &p.state, &p.generation, &p.claimed, &p.done,
		&p.open.priority, &p.open.due, &p.open.since, &p.again.priority, &p.again.due, &p.again.since,
		&p.attempts, &p.trigger, &p.event, &p.reason, &p.token, &p.leaseUntil, &p.ended)
	return &p, err
}

func (p *person) save(t *tx) error {
	args := []any{
		p.person, string(p.state), p.generation, p.claimed, p.done,
		int(p.open.priority), p.open.due, p.open.since, int(p.again.priority), p.again.due, p.again.since,
		p.attempts, string(p.trigger), p.event, p.reason, p.token, p.leaseUntil, p.ended, micros(t.now),
	}
	query := sqlInsert
	if p.id != 0 {
		query, args = sqlUpdate, append(args, p.id)
	}
	if err := t.exec(query, args...); err != nil {
		return fmt.Errorf("save person %s: %w", p.person, err)
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
	if err := t.exec(query, micros(t.now)); err != nil {
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
	if err := t.exec(query, by.Microseconds(), micros(t.now)); err != nil {
		return fmt.Errorf("correct times after the clock was set: %w", err)
	}
	return nil
}
