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

// Record implements reconcile.Journal.
func (s *Store) Record(ctx context.Context, e reconcile.Entry) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return record(t, e, salt) }})
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
	err := t.row(`SELECT hash FROM journal_heads WHERE person = ?`, e.Person).Scan(&previous)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the head of the chain: %w", err)
	}
	if e, err = reconcile.Seal(e, salt, previous); err != nil {
		return err
	}
	err = t.exec(`INSERT INTO journal (seq, time, person, agent, kind, action, code, reason, asked_by, event, error, duration, digest, previous, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Seq, e.Time.UnixMicro(), e.Person, e.Agent, string(e.Kind), string(e.Action), string(e.Code), e.Reason,
		string(e.Trigger), e.Event, e.Error, int64(e.Duration), e.Digest, e.Previous, e.Hash)
	if err != nil {
		return err
	}
	if e.Digest != "" {
		before, err := agentText(e.Before)
		if err != nil {
			return err
		}
		after, err := agentText(e.After)
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO journal_personal (seq, salt, before, after) VALUES (?, ?, ?, ?)`, e.Seq, salt, before, after); err != nil {
			return err
		}
	}
	err = t.exec(`INSERT INTO journal_heads (person, seq, hash) VALUES (?1, ?2, ?3) ON CONFLICT (person) DO UPDATE SET seq = ?2, hash = ?3`,
		e.Person, e.Seq, e.Hash)
	return err
}

const entryColumns = `journal.seq, time, person, agent, kind, action, code, reason, asked_by, event, error, duration, digest, previous, hash, salt, before, after`

// Recent implements reconcile.Journal.
func (s *Store) Recent(ctx context.Context, q reconcile.Query) ([]reconcile.Entry, error) {
	query := `SELECT ` + entryColumns + ` FROM journal LEFT JOIN journal_personal USING (seq) WHERE true`
	var args []any
	if q.Person != "" {
		query, args = query+` AND person = ?`, append(args, q.Person)
	}
	if q.Before != 0 {
		query, args = query+` AND journal.seq < ?`, append(args, q.Before)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	var list []reconcile.Entry
	err := entries(ctx, s.read, query+` ORDER BY journal.seq DESC LIMIT ?`, append(args, limit), func(e reconcile.Entry, _ []byte) error {
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}

// Verify checks the journal of one person, or with an empty id all of it, and
// reports a *reconcile.BrokenChainError for the first entry that is not what was
// recorded.
func (s *Store) Verify(ctx context.Context, person string) error {
	query, args := `SELECT `+entryColumns+` FROM journal LEFT JOIN journal_personal USING (seq)`, []any(nil)
	if person != "" {
		query, args = query+` WHERE person = ?`, []any{person}
	}
	// One transaction, so that both questions are about one moment.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("verify journal: %w", explain(err))
	}
	defer func() { _ = tx.Rollback() }()
	var chain reconcile.Chain
	if err := entries(ctx, tx, query+` ORDER BY journal.seq`, args, chain.Check); err != nil {
		return fmt.Errorf("verify journal: %w", err)
	}
	if err := ends(ctx, tx, &chain, person); err != nil {
		return fmt.Errorf("verify journal: %w", err)
	}
	return nil
}

// ends checks that each chain ends in the head that was recorded with it.
func ends(ctx context.Context, db queryer, chain *reconcile.Chain, person string) error {
	const query = `SELECT person, coalesce(seq, 0), coalesce(hash, '')
		FROM (SELECT DISTINCT person FROM journal UNION SELECT person FROM journal_heads) LEFT JOIN journal_heads USING (person)
		WHERE ?1 = '' OR person = ?1 ORDER BY 2`
	rows, err := db.QueryContext(ctx, query, person)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var who string
		var head reconcile.Head
		if err := rows.Scan(&who, &head.Seq, &head.Hash); err != nil {
			return explain(err)
		}
		if err := chain.Ends(who, head); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// queryer is the read pool or a transaction on it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// entries calls do for every entry that the query gives, with the salt of its
// personal part, nil if that part was erased or never was.
func entries(ctx context.Context, db queryer, query string, args []any, do func(reconcile.Entry, []byte) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, salt, err := scanEntry(rows)
		if err != nil {
			return err
		}
		if err := do(e, salt); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

func scanEntry(rows *sql.Rows) (e reconcile.Entry, salt []byte, err error) {
	var at, duration int64
	var before, after sql.NullString
	err = rows.Scan(&e.Seq, &at, &e.Person, &e.Agent, &e.Kind, &e.Action, &e.Code, &e.Reason, &e.Trigger, &e.Event, &e.Error,
		&duration, &e.Digest, &e.Previous, &e.Hash, &salt, &before, &after)
	if err != nil {
		return e, nil, explain(err)
	}
	e.Time, e.Duration = time.UnixMicro(at).UTC(), time.Duration(duration)
	if e.Before, err = agentValue(before); err == nil {
		e.After, err = agentValue(after)
	}
	if err != nil {
		return e, nil, &reconcile.BrokenChainError{Seq: e.Seq, Person: e.Person, Reason: "its personal part is unreadable"}
	}
	return e, salt, nil
}

func agentText(a *plan.Agent) (sql.NullString, error) {
	if a == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(a)
	return sql.NullString{String: string(text), Valid: true}, err
}

func agentValue(text sql.NullString) (*plan.Agent, error) {
	if !text.Valid {
		return nil, nil
	}
	a := new(plan.Agent)
	return a, json.Unmarshal([]byte(text.String), a)
}
