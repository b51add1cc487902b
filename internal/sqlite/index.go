package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/reconcile"
)

const (
	knownColumns = `instance, agent, owner, since, retired, group_id, absent, cliff`

	sqlAgents = `SELECT ` + knownColumns + ` FROM agents WHERE owner = ? ORDER BY instance, agent`
	sqlOwned  = `SELECT group_id, count(*) FROM agents WHERE instance = ? AND retired = 0 GROUP BY group_id`
	sqlKnown  = `SELECT ` + knownColumns + ` FROM agents WHERE instance = ?`
	sqlForget = `DELETE FROM agents WHERE instance = ? AND agent = ?`

	sqlRemember = `INSERT INTO agents (` + knownColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (instance, agent) DO UPDATE SET owner = ?3, since = ?4, retired = ?5, group_id = ?6, absent = ?7, cliff = ?8`
)

// Agents implements reconcile.Index.
func (s *Store) Agents(ctx context.Context, owner string) ([]reconcile.Known, error) {
	list, err := known(ctx, s.read, sqlAgents, owner)
	if err != nil {
		return nil, fmt.Errorf("read the agents of person %s: %w", owner, err)
	}
	return list, nil
}

// Remember implements reconcile.Index.
func (s *Store) Remember(ctx context.Context, known ...reconcile.Known) error {
	if len(known) == 0 {
		return ctx.Err()
	}
	known = slices.Clone(known)
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, k := range known {
			if err := remember(t, k); err != nil {
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

func remember(t *tx, k reconcile.Known) error {
	return t.exec(sqlRemember, k.Instance, k.Agent, k.Owner, reconcile.Micros(k.Since), k.Retired, k.Group, reconcile.Micros(k.Absent), k.Cliff)
}

// Forget implements reconcile.Index.
func (s *Store) Forget(ctx context.Context, instance, agent string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(sqlForget, instance, agent) }})
	if err != nil {
		return fmt.Errorf("forget agent %s: %w", agent, err)
	}
	return nil
}

// Rebuild implements reconcile.Index. It writes only what differs.
func (s *Store) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	known = slices.Clone(known)
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return rebuild(t, instance, before, known) }})
	if err != nil {
		return fmt.Errorf("rebuild the index of %d agents: %w", len(known), err)
	}
	return nil
}

func rebuild(t *tx, instance string, before time.Time, seen []reconcile.Known) error {
	old := map[string]reconcile.Known{}
	err := t.each(func(row scanner) error {
		k, err := scanKnown(row)
		old[k.Agent] = k
		return err
	}, sqlKnown, instance)
	if err != nil {
		return fmt.Errorf("read what was known: %w", err)
	}
	wanted := map[string]reconcile.Known{}
	for _, k := range seen {
		k.Instance, k.Since, k.Absent = instance, reconcile.Instant(reconcile.Micros(k.Since)), reconcile.Instant(reconcile.Micros(k.Absent))
		if o, ok := old[k.Agent]; ok {
			k.Since = o.Since
		}
		wanted[k.Agent] = k
	}
	for agent, k := range wanted {
		if o, ok := old[agent]; ok && o == k {
			continue
		}
		if err := remember(t, k); err != nil {
			return err
		}
	}
	for agent, o := range old {
		if _, ok := wanted[agent]; ok || o.Since.After(before) {
			continue
		}
		if err := t.exec(sqlForget, instance, agent); err != nil {
			return err
		}
	}
	return nil
}

// Owned implements reconcile.Index.
func (s *Store) Owned(ctx context.Context, instance string) (all int, groups map[string]int, err error) {
	groups = map[string]int{}
	err = each(ctx, s.read, func(row scanner) error {
		var group string
		var n int
		err := row.Scan(&group, &n)
		all += n
		if group != "" {
			groups[group] = n
		}
		return err
	}, sqlOwned, instance)
	if err != nil {
		return 0, nil, fmt.Errorf("count the agents of instance %q: %w", instance, err)
	}
	return all, groups, nil
}

func known(ctx context.Context, db queryer, query string, args ...any) (list []reconcile.Known, err error) {
	err = each(ctx, db, func(row scanner) error {
		k, err := scanKnown(row)
		list = append(list, k)
		return err
	}, query, args...)
	return list, err
}

func scanKnown(row scanner) (k reconcile.Known, err error) {
	var since, absent int64
	err = row.Scan(&k.Instance, &k.Agent, &k.Owner, &since, &k.Retired, &k.Group, &absent, &k.Cliff)
	k.Since, k.Absent = reconcile.Instant(since), reconcile.Instant(absent)
	return k, err
}
