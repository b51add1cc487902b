package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"unicode/utf8"

	"connectroster/internal/reconcile"
)

// anchorKind is the kind of an entry that Anchor makes.
const anchorKind = reconcile.EntryAnchor

const (
	sqlHeads      = `SELECT person, seq, hash FROM journal_heads WHERE person <> '' ORDER BY person`
	sqlLastAnchor = `SELECT reason FROM journal WHERE person = '' AND kind = 'anchor' ORDER BY seq DESC LIMIT 1`
	sqlEnds       = `SELECT person, coalesce(seq, 0), coalesce(hash, '')
		FROM (SELECT DISTINCT person FROM journal UNION SELECT person FROM journal_heads) LEFT JOIN journal_heads USING (person) ORDER BY 2`
	sqlEnd = `SELECT person, coalesce(seq, 0), coalesce(hash, '')
		FROM (SELECT ?1 AS person WHERE EXISTS (SELECT 1 FROM journal WHERE person = ?1) OR EXISTS (SELECT 1 FROM journal_heads WHERE person = ?1))
		LEFT JOIN journal_heads USING (person)`
	sqlOrphan = `SELECT seq FROM journal_personal WHERE seq NOT IN (SELECT seq FROM journal) ORDER BY seq LIMIT 1`
)

// Anchor ties all chains of the journal together: it records an entry of kind
// "anchor" and of no person, whose Reason counts the chains and holds a digest of
// their ends. Whoever rewrites a whole chain later, and its end, does not get
// past Verify. It records nothing where nothing was recorded since the last one.
func (s *Store) Anchor(ctx context.Context) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		var all reconcile.Chains
		err := t.each(func(row scanner) error {
			var person string
			var head reconcile.Head
			err := row.Scan(&person, &head.Seq, &head.Hash)
			all.End(person, head)
			return err
		}, sqlHeads)
		if err != nil || all.Len() == 0 {
			return err
		}
		var last string
		err = t.row(sqlLastAnchor).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last == all.String() {
			return nil
		}
		return record(t, reconcile.Entry{Time: t.now, Kind: anchorKind, Reason: all.String()}, nil)
	}})
	if err != nil {
		return fmt.Errorf("anchor the journal: %w", err)
	}
	return nil
}

// Verify checks the journal of one person, or with an empty id all of it and its
// anchors, and reports a *reconcile.BrokenChainError for the first entry that is
// not what was recorded.
func (s *Store) Verify(ctx context.Context, person string) error {
	// One transaction, so that all questions are about one moment.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("verify journal: %w", explain(err))
	}
	defer func() { _ = tx.Rollback() }()
	if err := verify(ctx, tx, person); err != nil {
		return fmt.Errorf("verify journal: %w", err)
	}
	return nil
}

func verify(ctx context.Context, db queryer, person string) error {
	where, args, heads := ` WHERE person = ?`, []any{person}, sqlEnd
	if person == "" {
		where, args, heads = ``, nil, sqlEnds
	}
	audit := reconcile.Audit{Everybody: person == ""}
	err := entries(ctx, db, sqlJournal+where+` ORDER BY journal.seq`, args, func(r row) error {
		if fault := r.fault(); fault != "" {
			return &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: fault}
		}
		return audit.Check(r.Entry, r.salt)
	})
	if err != nil {
		return err
	}
	err = each(ctx, db, func(row scanner) error {
		var who string
		var head reconcile.Head
		if err := row.Scan(&who, &head.Seq, &head.Hash); err != nil {
			return err
		}
		return audit.Ends(who, head)
	}, heads, args...)
	if err != nil || person != "" {
		return err
	}
	return each(ctx, db, func(row scanner) error {
		var seq int64
		if err := row.Scan(&seq); err != nil {
			return err
		}
		return &reconcile.BrokenChainError{Seq: seq, Reason: "its personal part is there and it is not"}
	}, sqlOrphan)
}

// fault tells what is wrong with the way a row is written down, although it may
// read the same: the seal is of what it says, not of its bytes.
func (r *row) fault() string {
	if !r.typed {
		return "a column was changed"
	}
	for _, text := range []string{
		r.Person, r.Instance, r.Agent, string(r.Kind), string(r.Action), string(r.Code), r.Reason, string(r.Trigger), r.Event, r.By, r.Hold, r.Error,
	} {
		if !utf8.ValidString(text) {
			return "its content was changed"
		}
	}
	if fields, err := fieldsText(r.Fields); err != nil || fields != r.fields {
		return "its fields were changed"
	}
	before, err := text(r.Before)
	if err != nil || before != r.before {
		return "its personal part was changed"
	}
	if after, err := text(r.After); err != nil || after != r.after {
		return "its personal part was changed"
	}
	if r.salt == nil && (r.before.Valid || r.after.Valid) {
		return "its personal part was changed"
	}
	return ""
}
