package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

const (
	sqlIntent     = `SELECT change, username, started, looks, creates, taken FROM intents WHERE person = ? AND instance = ?`
	sqlSaveIntent = `INSERT INTO intents (person, instance, change, username, started, looks, creates, taken) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (person, instance) DO UPDATE SET change = ?3, username = ?4, started = ?5, looks = ?6, creates = ?7, taken = ?8`
	sqlDropIntent = `DELETE FROM intents WHERE person = ? AND instance = ?`

	sqlSaveTombstone = `INSERT INTO tombstones (agent, instance, person, content, taken) VALUES (?, ?, ?, ?, ?) ON CONFLICT (agent) DO NOTHING`
	sqlTombstones    = `SELECT agent, instance, person, content, taken FROM tombstones WHERE agent IN (SELECT value FROM json_each(?))`
	sqlDropTombstone = `DELETE FROM tombstones WHERE agent = ?`
)

// Intent implements reconcile.Intents.
func (s *Store) Intent(ctx context.Context, person, instance string) (reconcile.Intent, error) {
	i := reconcile.Intent{Person: person, Instance: instance}
	var change sql.NullString
	var started, taken int64
	err := s.read.QueryRowContext(ctx, sqlIntent, person, instance).Scan(&change, &i.Username, &started, &i.Looks, &i.Creates, &taken)
	if err != nil {
		return reconcile.Intent{}, fmt.Errorf("read the intent of person %s: %w", person, answer(err))
	}
	i.Started, i.Taken = reconcile.Instant(started), reconcile.Instant(taken)
	if i.Change, err = value[plan.Change](change); err != nil {
		return reconcile.Intent{}, fmt.Errorf("read the intent of person %s: %w", person, err)
	}
	return i, nil
}

// SaveIntent implements reconcile.Intents.
func (s *Store) SaveIntent(ctx context.Context, i reconcile.Intent) error {
	change, err := text(i.Change)
	if err == nil {
		err = s.writer.write(ctx, &op{run: func(t *tx) error {
			return t.exec(sqlSaveIntent, i.Person, i.Instance, change, i.Username, reconcile.Micros(i.Started), i.Looks, i.Creates, reconcile.Micros(i.Taken))
		}})
	}
	if err != nil {
		return fmt.Errorf("save the intent of person %s: %w", i.Person, err)
	}
	return nil
}

// DropIntent implements reconcile.Intents.
func (s *Store) DropIntent(ctx context.Context, person, instance string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(sqlDropIntent, person, instance) }})
	if err != nil {
		return fmt.Errorf("drop the intent of person %s: %w", person, err)
	}
	return nil
}

// SaveTombstone implements reconcile.Tombstones.
func (s *Store) SaveTombstone(ctx context.Context, b reconcile.Tombstone) error {
	content, err := text(&b.Agent)
	if err == nil {
		err = s.writer.write(ctx, &op{
			run: func(t *tx) error {
				err := t.exec(sqlSaveTombstone, b.Agent.ID, b.Instance, b.Person, content, reconcile.Micros(b.Taken))
				failpoint.Hit(failpoint.TombstoneRow)
				return err
			},
			after: func() { failpoint.Hit(failpoint.TombstoneCommitted) },
		})
	}
	if err != nil {
		return fmt.Errorf("save the tombstone of agent %s: %w", b.Agent.ID, err)
	}
	return nil
}

// Tombstones implements reconcile.Tombstones.
func (s *Store) Tombstones(ctx context.Context, agents ...string) (map[string]reconcile.Tombstone, error) {
	found := map[string]reconcile.Tombstone{}
	if len(agents) == 0 {
		return found, nil
	}
	list, err := json.Marshal(agents)
	if err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	err = each(ctx, s.read, func(row scanner) error {
		var b reconcile.Tombstone
		var id string
		var content sql.NullString
		var taken int64
		if err := row.Scan(&id, &b.Instance, &b.Person, &content, &taken); err != nil {
			return err
		}
		agent, err := value[plan.Agent](content)
		if err != nil {
			return fmt.Errorf("of agent %s: %w", id, err)
		}
		b.Agent, b.Taken = *agent, reconcile.Instant(taken)
		found[id] = b
		return nil
	}, sqlTombstones, string(list))
	if err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	return found, nil
}

// DropTombstone implements reconcile.Tombstones.
func (s *Store) DropTombstone(ctx context.Context, agent string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(sqlDropTombstone, agent) }})
	if err != nil {
		return fmt.Errorf("drop the tombstone of agent %s: %w", agent, err)
	}
	return nil
}

// text is how an agent or a change is stored: as JSON, and none as NULL.
func text[T any](v *T) (sql.NullString, error) {
	if v == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(v)
	return sql.NullString{String: string(text), Valid: true}, err
}

// value reads what text gave.
func value[T any](text sql.NullString) (*T, error) {
	if !text.Valid {
		return nil, nil
	}
	v := new(T)
	if err := json.Unmarshal([]byte(text.String), v); err != nil {
		return nil, fmt.Errorf("the stored JSON is unreadable, restore the database from a backup: %w", err)
	}
	return v, nil
}
