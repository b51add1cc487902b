package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"connectroster/internal/reconcile"
)

const factColumns = `person, group_id, group_name, login, display_name, member, published, event`

// Facts implements reconcile.Facts.
func (s *Store) Facts(ctx context.Context, person string) ([]reconcile.Fact, error) {
	facts, err := s.facts(ctx, `SELECT `+factColumns+` FROM facts WHERE person = ? ORDER BY group_id`, person)
	if err != nil {
		return nil, fmt.Errorf("read facts about person %s: %w", person, err)
	}
	return facts, nil
}

// factPage is how many people AllFacts reads at once.
const factPage = 500

// AllFacts implements reconcile.Facts. The facts about one person are of one
// moment; those about different people need not be. It holds nothing open
// between two people, so the caller may take its time.
func (s *Store) AllFacts(ctx context.Context) iter.Seq2[reconcile.Fact, error] {
	const query = `SELECT ` + factColumns + ` FROM facts
		WHERE person > ?1 AND person <= (SELECT max(person) FROM (SELECT DISTINCT person FROM facts WHERE person > ?1 ORDER BY person LIMIT ?2))
		ORDER BY person, group_id`
	return func(yield func(reconcile.Fact, error) bool) {
		after := ""
		for {
			page, err := s.facts(ctx, query, after, factPage)
			if err != nil {
				yield(reconcile.Fact{}, fmt.Errorf("read all facts: %w", err))
				return
			}
			for _, f := range page {
				if !yield(f, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			after = page[len(page)-1].Person
		}
	}
}

func (s *Store) facts(ctx context.Context, query string, args ...any) ([]reconcile.Fact, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var facts []reconcile.Fact
	for rows.Next() {
		var f reconcile.Fact
		var published int64
		if err := rows.Scan(&f.Person, &f.Group, &f.GroupName, &f.Login, &f.DisplayName, &f.Member, &published, &f.Event); err != nil {
			return nil, explain(err)
		}
		f.Published = time.UnixMicro(published).UTC()
		facts = append(facts, f)
	}
	return facts, explain(rows.Err())
}

// Note implements reconcile.Notes.
func (s *Store) Note(ctx context.Context, name string) (string, error) {
	var text string
	if err := s.read.QueryRowContext(ctx, `SELECT text FROM notes WHERE name = ?`, name).Scan(&text); err != nil {
		return "", fmt.Errorf("read the note %q: %w", name, answer(err))
	}
	return text, nil
}

// SaveNote implements reconcile.Notes.
func (s *Store) SaveNote(ctx context.Context, name, text string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`INSERT INTO notes (name, text) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET text = ?2`, name, text)
		return err
	}})
	if err != nil {
		return fmt.Errorf("save the note %q: %w", name, err)
	}
	return nil
}

// answer turns "no row" into the answer of the ports.
func answer(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return reconcile.ErrNotFound
	}
	return explain(err)
}

// scanner is a row, or the rows where one of them is current.
type scanner interface{ Scan(...any) error }

// each calls do for every row of the answer.
func each(ctx context.Context, db queryer, do func(scanner) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return explain(err)
		}
	}
	return explain(rows.Err())
}
