package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
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

// Agent implements reconcile.Index.
func (s *Store) Agent(ctx context.Context, owner string) (reconcile.Known, error) {
	known := reconcile.Known{Owner: owner}
	var since int64
	err := s.read.QueryRowContext(ctx, `SELECT agent, since FROM agents WHERE owner = ?`, owner).Scan(&known.Agent, &since)
	if err != nil {
		return reconcile.Known{}, fmt.Errorf("read the agent of person %s: %w", owner, answer(err))
	}
	known.Since = instant(since)
	return known, nil
}

// Remember implements reconcile.Index.
func (s *Store) Remember(ctx context.Context, known ...reconcile.Known) error {
	known = slices.Clone(known)
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, k := range known {
			err := t.exec(`INSERT INTO agents (owner, agent, since) VALUES (?1, ?2, ?3)
				ON CONFLICT (owner) DO UPDATE SET agent = ?2, since = ?3`, k.Owner, k.Agent, micros(k.Since))
			if err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("remember %d agents: %w", len(known), err)
	}
	return nil
}

// Forget implements reconcile.Index.
func (s *Store) Forget(ctx context.Context, owner string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`DELETE FROM agents WHERE owner = ?`, owner)
		return err
	}})
	if err != nil {
		return fmt.Errorf("forget the agent of person %s: %w", owner, err)
	}
	return nil
}

// Intent implements reconcile.Intents.
func (s *Store) Intent(ctx context.Context, person string) (reconcile.Intent, error) {
	i := reconcile.Intent{Person: person}
	var started, taken int64
	err := s.read.QueryRowContext(ctx, `SELECT username, started, looks, creates, taken FROM intents WHERE person = ?`, person).
		Scan(&i.Username, &started, &i.Looks, &i.Creates, &taken)
	if err != nil {
		return reconcile.Intent{}, fmt.Errorf("read the intent of person %s: %w", person, answer(err))
	}
	i.Started, i.Taken = instant(started), instant(taken)
	return i, nil
}

// SaveIntent implements reconcile.Intents.
func (s *Store) SaveIntent(ctx context.Context, i reconcile.Intent) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`INSERT INTO intents (person, username, started, looks, creates, taken) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (person) DO UPDATE SET username = ?2, started = ?3, looks = ?4, creates = ?5, taken = ?6`,
			i.Person, i.Username, micros(i.Started), i.Looks, i.Creates, micros(i.Taken))
		return err
	}})
	if err != nil {
		return fmt.Errorf("save the intent of person %s: %w", i.Person, err)
	}
	return nil
}

// DropIntent implements reconcile.Intents.
func (s *Store) DropIntent(ctx context.Context, person string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`DELETE FROM intents WHERE person = ?`, person)
		return err
	}})
	if err != nil {
		return fmt.Errorf("drop the intent of person %s: %w", person, err)
	}
	return nil
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
