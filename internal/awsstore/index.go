package awsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/reconcile"
)

// Agents implements reconcile.Index.
func (s *Store) Agents(ctx context.Context, owner string) ([]reconcile.Known, error) {
	items, err := s.list(ctx, asked{partition: s.partition("owner", owner)})
	if err != nil {
		return nil, fmt.Errorf("read the agents of person %s: %w", owner, err)
	}
	var list []reconcile.Known
	for _, i := range items {
		list = append(list, readKnown(i))
	}
	slices.SortFunc(list, func(a, b reconcile.Known) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Agent, b.Agent))
	})
	return list, nil
}

func readKnown(i item) reconcile.Known {
	return reconcile.Known{
		Instance: i.text("instance"), Owner: i.text("owner"), Agent: i.text("agent"), Since: reconcile.Instant(i.number("since")), Retired: i.truth("retired"),
		Group: i.text("group"), Absent: reconcile.Instant(i.number("absent")), Cliff: i.text("cliff"),
	}
}

func knownItem(k reconcile.Known) item {
	return item{
		"instance": text(k.Instance), "owner": text(k.Owner), "agent": text(k.Agent), "since": number(reconcile.Micros(k.Since)), "retired": truth(k.Retired),
		"group": text(k.Group), "absent": number(reconcile.Micros(k.Absent)), "cliff": text(k.Cliff),
	}
}

func (s *Store) agentKey(instance, agent string) item {
	return item{partition: text(s.partition("agents", instance)), sorting: text(joined(agent))}
}

func (s *Store) ownerKey(k reconcile.Known) item {
	return item{partition: text(s.partition("owner", k.Owner)), sorting: text(joined(k.Instance, k.Agent))}
}

// Remember implements reconcile.Index. Each entry is stored in one piece with what
// leads to it from its owner; several are in pieces of their own.
func (s *Store) Remember(ctx context.Context, known ...reconcile.Known) error {
	if len(known) == 0 {
		return ctx.Err()
	}
	for _, k := range known {
		err := s.replace(ctx, k.Instance, k.Agent, nil, func(*reconcile.Known) (*reconcile.Known, bool) { return &k, true })
		if err != nil {
			return fmt.Errorf("remember %d agents: %w", len(known), err)
		}
	}
	return nil
}

// Forget implements reconcile.Index.
func (s *Store) Forget(ctx context.Context, instance, agent string) error {
	i, err := s.get(ctx, s.agentKey(instance, agent))
	if err == nil && i != nil {
		err = s.replace(ctx, instance, agent, i, func(*reconcile.Known) (*reconcile.Known, bool) { return nil, true })
	}
	if err != nil {
		return fmt.Errorf("forget agent %s: %w", agent, err)
	}
	return nil
}

// replace puts another entry, or none, in the place of the one that is stored, or
// thought to be stored: a nil old is none. Next is asked again when another one is
// found there, and says whether there is something to do.
func (s *Store) replace(ctx context.Context, instance, agent string, old item, next func(old *reconcile.Known) (k *reconcile.Known, differs bool)) error {
	return s.persist(ctx, func() error {
		var was *reconcile.Known
		if old != nil {
			k := readKnown(old)
			was = &k
		}
		k, differs := next(was)
		if !differs || k == nil && was == nil {
			return nil
		}
		c := change{key: s.agentKey(instance, agent), when: "attribute_not_exists(#rev)"}
		if old != nil {
			c.when, c.with = "#rev = :rev", item{"rev": old["rev"]}
		}
		changes := []change{c}
		if k != nil {
			changes[0].put = knownItem(*k)
			changes[0].put["rev"] = text(nonce())
			changes = append(changes, change{key: s.ownerKey(*k), put: knownItem(*k)})
		} else {
			changes[0].drop = true
		}
		if was != nil && (k == nil || was.Owner != k.Owner) {
			changes = append(changes, change{key: s.ownerKey(*was), drop: true})
		}
		err := s.write(ctx, changes...)
		var conflict *conflictError
		if errors.As(err, &conflict) {
			if found, ok := conflict.failed[0]; ok {
				old = found
			}
		}
		return err
	})
}

// Rebuild implements reconcile.Index. It writes only what differs, one agent after
// the other and new ones first, so a rebuilding that was cut short has lost nobody
// and is finished by the next one.
func (s *Store) Rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	if err := s.rebuild(ctx, instance, before, known); err != nil {
		return fmt.Errorf("rebuild the index of %d agents: %w", len(known), err)
	}
	return nil
}

func (s *Store) rebuild(ctx context.Context, instance string, before time.Time, known []reconcile.Known) error {
	items, err := s.list(ctx, asked{partition: s.partition("agents", instance)})
	if err != nil {
		return fmt.Errorf("read what was known: %w", err)
	}
	old := map[string]item{}
	for _, i := range items {
		old[i.text("agent")] = i
	}
	seen := map[string]bool{}
	for _, k := range known {
		seen[k.Agent] = true
		k.Instance, k.Since, k.Absent = instance, reconcile.Instant(reconcile.Micros(k.Since)), reconcile.Instant(reconcile.Micros(k.Absent))
		err := s.replace(ctx, instance, k.Agent, old[k.Agent], func(was *reconcile.Known) (*reconcile.Known, bool) {
			wanted := k
			if was != nil {
				wanted.Since = was.Since
			}
			return &wanted, was == nil || *was != wanted
		})
		if err != nil {
			return err
		}
	}
	for agent, i := range old {
		if seen[agent] {
			continue
		}
		err := s.replace(ctx, instance, agent, i, func(was *reconcile.Known) (*reconcile.Known, bool) {
			return nil, was != nil && !was.Since.After(before)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Owned implements reconcile.Index.
func (s *Store) Owned(ctx context.Context, instance string) (all int, groups map[string]int, err error) {
	groups = map[string]int{}
	err = s.query(ctx, asked{partition: s.partition("agents", instance)}, func(i item) (bool, error) {
		if i.truth("retired") {
			return true, nil
		}
		all++
		if group := i.text("group"); group != "" {
			groups[group]++
		}
		return true, nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("count the agents of instance %q: %w", instance, err)
	}
	return all, groups, nil
}
