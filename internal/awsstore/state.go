package awsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Note implements reconcile.Notes.
func (s *Store) Note(ctx context.Context, name string) (string, error) {
	i, err := s.get(ctx, s.key("note", name))
	if err == nil && i == nil {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read the note %q: %w", name, err)
	}
	return i.text("text"), nil
}

// SaveNote implements reconcile.Notes.
func (s *Store) SaveNote(ctx context.Context, name, content string) error {
	if err := s.write(ctx, change{key: s.key("note", name), put: item{"text": text(content)}}); err != nil {
		return fmt.Errorf("save the note %q: %w", name, err)
	}
	return nil
}

// Intent implements reconcile.Intents.
func (s *Store) Intent(ctx context.Context, person, instance string) (reconcile.Intent, error) {
	i, err := s.get(ctx, s.intentKey(person, instance))
	if err == nil && i == nil {
		err = reconcile.ErrNotFound
	}
	var intent reconcile.Intent
	if err == nil {
		intent = reconcile.Intent{
			Person: person, Instance: instance, Username: i.text("username"), Started: reconcile.Instant(i.number("started")), Looks: int(i.number("looks")),
			Creates: int(i.number("creates")), Taken: reconcile.Instant(i.number("taken")),
		}
		intent.Change, err = decoded[plan.Change](i, "change")
	}
	if err != nil {
		return reconcile.Intent{}, fmt.Errorf("read the intent of person %s: %w", person, err)
	}
	return intent, nil
}

func (s *Store) intentKey(person, instance string) item {
	return item{partition: text(s.partition("intent", person)), sorting: text(joined(instance))}
}

// SaveIntent implements reconcile.Intents.
func (s *Store) SaveIntent(ctx context.Context, i reconcile.Intent) error {
	c := change{key: s.intentKey(i.Person, i.Instance), put: item{
		"username": text(i.Username), "started": number(reconcile.Micros(i.Started)), "looks": number(i.Looks), "creates": number(i.Creates), "taken": number(reconcile.Micros(i.Taken)),
	}}
	err := encoded(c.put, "change", i.Change)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("save the intent of person %s: %w", i.Person, err)
	}
	return nil
}

// DropIntent implements reconcile.Intents.
func (s *Store) DropIntent(ctx context.Context, person, instance string) error {
	if err := s.write(ctx, change{key: s.intentKey(person, instance), drop: true}); err != nil {
		return fmt.Errorf("drop the intent of person %s: %w", person, err)
	}
	return nil
}

// SaveTombstone implements reconcile.Tombstones.
func (s *Store) SaveTombstone(ctx context.Context, b reconcile.Tombstone) error {
	c := change{
		key: s.key("tomb", b.Agent.ID), when: "attribute_not_exists(#person)",
		put: item{"instance": text(b.Instance), "person": text(b.Person), "taken": number(reconcile.Micros(b.Taken))},
	}
	err := encoded(c.put, "agent", &b.Agent)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil && !isConflict(err) { // there is one already, which stays
		return fmt.Errorf("save the tombstone of agent %s: %w", b.Agent.ID, err)
	}
	return nil
}

// Tombstones implements reconcile.Tombstones.
func (s *Store) Tombstones(ctx context.Context, agents ...string) (map[string]reconcile.Tombstone, error) {
	var keys []item
	for _, agent := range slices.Compact(slices.Sorted(slices.Values(agents))) {
		keys = append(keys, s.key("tomb", agent))
	}
	found := map[string]reconcile.Tombstone{}
	items, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	for _, i := range items {
		agent, err := decoded[plan.Agent](i, "agent")
		if err == nil && agent == nil {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("read a tombstone: %w", err)
		}
		found[agent.ID] = reconcile.Tombstone{Instance: i.text("instance"), Person: i.text("person"), Agent: *agent, Taken: reconcile.Instant(i.number("taken"))}
	}
	return found, nil
}

// DropTombstone implements reconcile.Tombstones.
func (s *Store) DropTombstone(ctx context.Context, agent string) error {
	if err := s.write(ctx, change{key: s.key("tomb", agent), drop: true}); err != nil {
		return fmt.Errorf("drop the tombstone of agent %s: %w", agent, err)
	}
	return nil
}
