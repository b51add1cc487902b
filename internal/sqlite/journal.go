package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

const (
	sqlHead         = `SELECT hash FROM journal_heads WHERE person = ?`
	sqlEntry        = `INSERT INTO journal (` + sealedColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlPersonal     = `INSERT INTO journal_personal (seq, salt, before, after) VALUES (?, ?, ?, ?)`
	sqlAdvance      = `INSERT INTO journal_heads (person, seq, hash) VALUES (?1, ?2, ?3) ON CONFLICT (person) DO UPDATE SET seq = ?2, hash = ?3`
	sealedColumns   = `seq, person, time, instance, agent, kind, action, fields, code, reason, asked_by, event, asker, hold, error, duration, digest, previous, hash`
	personalColumns = `salt, before, after`

	// typed says whether every column holds what is once put there: a text that
	// became bytes, or a number that became text, may read the same.
	typed = `typeof(time) = 'integer' AND typeof(duration) = 'integer' AND typeof(person) || typeof(instance) || typeof(agent) || typeof(kind) ||
		typeof(action) || typeof(fields) || typeof(code) || typeof(reason) || typeof(asked_by) || typeof(event) || typeof(asker) || typeof(hold) ||
		typeof(error) || typeof(digest) || typeof(previous) || typeof(hash) = 'texttexttexttexttexttexttexttexttexttexttexttexttexttexttexttext' AND
		typeof(salt) IN ('blob', 'null') AND typeof(before) IN ('text', 'null') AND typeof(after) IN ('text', 'null')`

	sqlJournal = `SELECT ` + sealedColumns + `, ` + personalColumns + `, ` + typed + ` FROM journal LEFT JOIN journal_personal USING (seq)`
)

// Record implements reconcile.Journal. An entry of kind "anchor" is refused:
// those are made by Anchor.
func (s *Store) Record(ctx context.Context, e reconcile.Entry) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	e, err := reconcile.Genuine(e)
	if err == nil && e.Kind == anchorKind {
		err = errors.New("an anchor cannot be recorded as any entry can")
	}
	if err == nil {
		err = s.writer.write(ctx, &op{run: func(t *tx) error { return record(t, e, salt) }})
	}
	if err != nil {
		return fmt.Errorf("record journal entry of person %s: %w", e.Person, err)
	}
	return nil
}

func record(t *tx, e reconcile.Entry, salt []byte) error {
	if err := t.row(`SELECT coalesce(max(seq), 0) + 1 FROM journal`).Scan(&e.Seq); err != nil {
		return fmt.Errorf("find the next number: %w", err)
	}
	var previous string
	err := t.row(sqlHead, e.Person).Scan(&previous)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the head of the chain: %w", err)
	}
	if e, err = reconcile.Seal(e, salt, previous); err != nil {
		return err
	}
	fields, err := fieldsText(e.Fields)
	if err != nil {
		return err
	}
	err = t.exec(sqlEntry, e.Seq, e.Person, e.Time.UnixMicro(), e.Instance, e.Agent, string(e.Kind), string(e.Action), fields, string(e.Code), e.Reason,
		string(e.Trigger), e.Event, e.By, e.Hold, e.Error, int64(e.Duration), e.Digest, e.Previous, e.Hash)
	if err != nil {
		return err
	}
	if e.Digest != "" {
		before, err := text(e.Before)
		if err != nil {
			return err
		}
		after, err := text(e.After)
		if err != nil {
			return err
		}
		if err := t.exec(sqlPersonal, e.Seq, salt, before, after); err != nil {
			return err
		}
	}
	return t.exec(sqlAdvance, e.Person, e.Seq, e.Hash)
}

// fieldsText is how a list of fields is stored: as JSON, and none as nothing.
func fieldsText(fields []plan.Field) (string, error) {
	if len(fields) == 0 {
		return "", nil
	}
	text, err := json.Marshal(fields)
	return string(text), err
}

// Recent implements reconcile.Journal.
func (s *Store) Recent(ctx context.Context, q reconcile.Query) ([]reconcile.Entry, error) {
	query, args := recent(q)
	var list []reconcile.Entry
	err := entries(ctx, s.read, query, args, func(r row) error {
		list = append(list, r.Entry)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}

func recent(q reconcile.Query) (query string, args []any) {
	query = sqlJournal + ` WHERE true`
	add := func(condition string, value any) { query, args = query+` AND `+condition, append(args, value) }
	if q.Person != "" {
		add(`person = ?`, q.Person)
	}
	if q.Kind != "" {
		add(`kind = ?`, string(q.Kind))
	}
	if q.Before != 0 {
		add(`journal.seq < ?`, q.Before)
	}
	order := `DESC`
	if q.After != 0 {
		add(`journal.seq > ?`, q.After)
		order = `ASC`
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	return query + ` ORDER BY journal.seq ` + order + ` LIMIT ?`, append(args, limit)
}

// queryer is the read pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// row is an entry with what only Verify asks for.
type row struct {
	reconcile.Entry
	salt          []byte // nil: the personal part was erased or never was
	fields        string // as stored
	before, after sql.NullString
	typed         bool
}

// entries calls do for every entry that the query gives.
func entries(ctx context.Context, db queryer, query string, args []any, do func(row) error) error {
	return each(ctx, db, func(rows scanner) error {
		r, err := scanEntry(rows)
		if err != nil {
			return err
		}
		return do(r)
	}, query, args...)
}

// scanEntry reads a row of sqlJournal. The number and the person come first, so
// that they are known when another column cannot be read.
func scanEntry(rows scanner) (r row, err error) {
	var at, duration int64
	err = rows.Scan(&r.Seq, &r.Person, &at, &r.Instance, &r.Agent, &r.Kind, &r.Action, &r.fields, &r.Code, &r.Reason, &r.Trigger, &r.Event,
		&r.By, &r.Hold, &r.Error, &duration, &r.Digest, &r.Previous, &r.Hash, &r.salt, &r.before, &r.after, &r.typed)
	if err != nil {
		return r, &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: "a column is unreadable"}
	}
	r.Time, r.Duration = time.UnixMicro(at).UTC(), time.Duration(duration)
	if r.fields != "" && json.Unmarshal([]byte(r.fields), &r.Fields) != nil {
		return r, &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: "its fields are unreadable"}
	}
	if r.Before, err = value[plan.Agent](r.before); err == nil {
		r.After, err = value[plan.Agent](r.after)
	}
	if err != nil {
		return r, &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: "its personal part is unreadable"}
	}
	return r, nil
}
