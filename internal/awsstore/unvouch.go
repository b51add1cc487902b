package awsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"connectroster/internal/reconcile"
)

// Unvouch takes out of a table that was restored what must not let anything be taken
// from people: it knows how things were, and not what was done since. The marks of
// complete sweeps go, so that whatever the next sweep wants to remove must be approved.
// Approvals that were not made use of wait again, and what took its place needs another
// one. It tells how many approvals those were. What an error leaves undone is done when
// it is repeated.
func (s *Store) Unvouch(ctx context.Context) (approvals int, err error) {
	if err := s.dropMarks(ctx); err != nil {
		return 0, fmt.Errorf("drop the marks of sweeps: %w", err)
	}
	if err := s.beginEras(ctx); err != nil {
		return 0, fmt.Errorf("have places taken anew: %w", err)
	}
	approvals, err = s.withdrawApprovals(ctx)
	if err != nil {
		return approvals, fmt.Errorf("have what was approved wait: %w", err)
	}
	return approvals, nil
}

func (s *Store) dropMarks(ctx context.Context) error {
	var drops []change
	for _, q := range []asked{
		{partition: s.partition("note"), from: joined("mark"), to: joined("mark")},
		{partition: s.partition("note"), begins: joined("mark/")},
	} {
		marks, err := s.list(ctx, q)
		if err != nil {
			return err
		}
		for _, i := range marks {
			drops = append(drops, change{key: keyOf(i), drop: true})
		}
	}
	return s.writeMany(ctx, drops)
}

// beginEras begins a new era in the books of all instances. Places are found by their
// people alone, so they are not dropped but out of date.
func (s *Store) beginEras(ctx context.Context) error {
	all, err := s.list(ctx, asked{partition: s.partition("guard"), begins: below("i")})
	if err != nil {
		return err
	}
	for _, i := range all {
		err := s.guarded(ctx, func(rev string) (lost bool, err error) {
			b, err := s.booksOf(ctx, i.text("instance"))
			if err != nil {
				return false, err
			}
			b.era++
			return false, s.write(ctx, s.saveBooks(b, rev)) // twice does no harm
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// withdrawApprovals goes through the holds, the newest first.
func (s *Store) withdrawApprovals(ctx context.Context) (approvals int, err error) {
	holds, err := s.list(ctx, asked{partition: s.partition("hold"), backward: true})
	if err != nil {
		return 0, err
	}
	for _, header := range holds {
		for more := true; more; {
			n := 0
			err := s.guarded(ctx, func(rev string) (lost bool, err error) {
				n, more, lost, err = s.unapprove(ctx, header, rev)
				return lost, err
			})
			if err != nil {
				return approvals, err
			}
			approvals += n
		}
	}
	return approvals, nil
}

// unapprove has entries of a hold wait again, as many as fit in one transaction, and
// tells whether there may be more.
func (s *Store) unapprove(ctx context.Context, header item, rev string) (n int, more, lost bool, err error) {
	b, err := s.booksOf(ctx, header.text("instance"))
	if err != nil {
		return 0, false, false, err
	}
	now := reconcile.Micros(s.now())
	waits := false
	var changes []change
	err = s.query(ctx, asked{
		partition: s.partition("hold", strconv.FormatInt(header.number("number"), 10)),
		where:     "#state = :approved", with: item{"approved": text(string(reconcile.HoldApproved))},
	}, func(i item) (bool, error) {
		if more = len(changes) == transactionLimit-2; more { // beside the books and the cause
			return false, nil
		}
		c := closeEntry(i, reconcile.HoldWaiting)
		c.remove = []string{"by", "decided"}
		changes = append(changes, c)
		waits = waits || i.number("expires") > now
		return true, nil
	})
	if err != nil || len(changes) == 0 {
		return 0, false, false, err
	}
	n = len(changes)
	if waits {
		joined, err := s.reopen(ctx, header, now)
		if err != nil {
			return 0, false, false, err
		}
		changes = append(changes, joined...)
	}
	err = s.write(ctx, slices.Concat(changes, []change{s.saveBooks(b, rev)})...)
	var conflict *conflictError
	if errors.As(err, &conflict) {
		lost = conflict.failed[len(changes)].text("rev") == rev
	}
	return n, more, lost, err
}

// reopen is the change by which others join a hold in which somebody waits again,
// unless somebody waits in a newer one of the same cause.
func (s *Store) reopen(ctx context.Context, header item, now int64) ([]change, error) {
	key := s.key("cause", header.text("instance"), header.text("cause"))
	cause, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	newest, id := cause.number("hold"), header.number("number")
	if newest == id {
		return nil, nil
	}
	if open, err := s.isOpen(ctx, newest, now); err != nil || open {
		return nil, err
	}
	return []change{{key: key, put: item{"hold": number(id)}}}, nil
}
