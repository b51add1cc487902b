package awsstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"connectroster/internal/reconcile"
)

// Stay implements reconcile.Guard. Up to 100 stays are stored in one piece.
func (s *Store) Stay(ctx context.Context, stays ...reconcile.Stay) error {
	last := map[string]change{}
	for _, stay := range stays {
		last[stay.Person] = s.saveStay(stay)
	}
	if err := s.writeMany(ctx, sorted(last)); err != nil {
		return fmt.Errorf("save %d stays: %w", len(stays), err)
	}
	return nil
}

// Unstay implements reconcile.Guard.
func (s *Store) Unstay(ctx context.Context, people ...string) error {
	drops := map[string]change{}
	for _, person := range people {
		drops[person] = change{key: s.key("stay", person), drop: true}
	}
	if err := s.writeMany(ctx, sorted(drops)); err != nil {
		return fmt.Errorf("end %d stays: %w", len(people), err)
	}
	return nil
}

// Stays implements reconcile.Guard.
func (s *Store) Stays(ctx context.Context) ([]reconcile.Stay, error) {
	var list []reconcile.Stay
	now := s.now()
	err := s.query(ctx, asked{partition: s.partition("stay")}, func(i item) (bool, error) {
		if stay := readStay(i); stay.Until.After(now) {
			list = append(list, stay)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read stays: %w", err)
	}
	slices.SortFunc(list, func(a, b reconcile.Stay) int { return cmp.Compare(a.Person, b.Person) })
	return list, nil
}

func (s *Store) saveStay(stay reconcile.Stay) change {
	return change{key: s.key("stay", stay.Person), put: item{
		"person": text(stay.Person), "who": text(stay.Who), "why": text(stay.Why), "since": number(reconcile.Micros(stay.Since)), "until": number(reconcile.Micros(stay.Until)),
		expiry: number(forget(stay.Until)),
	}}
}

func readStay(i item) reconcile.Stay {
	return reconcile.Stay{
		Person: i.text("person"), Who: i.text("who"), Why: i.text("why"), Since: reconcile.Instant(i.number("since")), Until: reconcile.Instant(i.number("until")),
	}
}

// writeMany makes changes without conditions, in as many transactions as they need.
func (s *Store) writeMany(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return ctx.Err()
	}
	for _, part := range batches(changes, transactionLimit) {
		if err := s.persist(ctx, func() error { return s.write(ctx, part...) }); err != nil {
			return err
		}
	}
	return nil
}
