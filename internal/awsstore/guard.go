package awsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectroster/internal/reconcile"
)

// Reserve implements reconcile.Guard. Nobody else's change of the same instance
// comes in between.
func (s *Store) Reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits) (reconcile.Reservation, error) {
	if err := r.Check(); err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place: %w", err)
	}
	var answer reconcile.Reservation
	err := s.guarded(ctx, func(rev string) (lost bool, err error) {
		answer, lost, err = s.reserve(ctx, r, limits.Complete(), rev)
		return lost, err
	})
	if err != nil {
		return reconcile.Reservation{}, fmt.Errorf("reserve a place for person %s: %w", r.Person, err)
	}
	return answer, nil
}

func (s *Store) reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits, rev string) (answer reconcile.Reservation, lost bool, err error) {
	r = r.Stored(s.now())
	at := reconcile.Micros(r.At)
	b, read, err := s.openBooks(ctx, r, limits)
	if err != nil {
		return answer, false, err
	}
	w := reconcile.Weigh(read.Books, r, limits)
	answer = w.Answer(read.Books)
	var changes []change
	if w.Join {
		var joined []change
		if answer.Hold, joined, err = s.join(ctx, r, w, b.version+1); err != nil {
			return answer, false, fmt.Errorf("hold the change: %w", err)
		}
		changes = append(changes, joined...)
	}
	if w.Supersede {
		changes = append(changes, closeEntry(read.entry, reconcile.HoldSuperseded))
	}
	if w.Spend {
		changes = append(changes, closeEntry(read.entry, reconcile.HoldSpent))
	}
	if w.Take {
		changes = append(changes, change{
			key: s.heldKey(r.Person, r.Instance, "p", r.Hash), put: item{"at": number(at), "era": number(b.era), expiry: number(forget(r.At.Add(limits.Long)))},
		})
		if !w.Approved {
			b.take(r.Window(), at)
			if r.Kind != reconcile.RemovalMove {
				b.take(windowAll, at)
			}
		}
	}
	if len(changes) == 0 {
		return answer, false, nil
	}
	err = s.write(ctx, append(changes, s.saveBooks(b, rev))...)
	var conflict *conflictError
	if errors.As(err, &conflict) {
		lost = conflict.failed[len(changes)].text("rev") == rev
	}
	return answer, lost, err
}

// forget is when DynamoDB may delete what is of no use after a time.
func forget(t time.Time) int64 { return t.Add(7 * 24 * time.Hour).Unix() }

// readings are what Weigh asks for, and where the entry in it is stored.
type readings struct {
	reconcile.Books
	entry item
}

// openBooks reads the books first, and then everything else.
func (s *Store) openBooks(ctx context.Context, r reconcile.Removal, limits reconcile.Limits) (*books, readings, error) {
	var read readings
	b, err := s.booksOf(ctx, r.Instance)
	if err != nil {
		return nil, read, err
	}
	at := reconcile.Micros(r.At)
	b.age(max(at, reconcile.Micros(s.now())), limits)
	start := func(length time.Duration) int64 { return at - length.Microseconds() }
	read.Counts = r.Counts(b.within(r.Window(), start(limits.Short)), b.within(windowAll, start(limits.Long)))

	stay, err := s.get(ctx, s.key("stay", r.Person))
	if err != nil {
		return nil, read, fmt.Errorf("read the stay: %w", err)
	}
	if found := readStay(stay); stay != nil && found.Until.After(r.At) {
		read.Stay = &found
	}
	held, err := s.heldOf(ctx, r.Person, r.Instance)
	if err != nil {
		return nil, read, err
	}
	taken, ok := held.places[keyPart(r.Hash)]
	read.Reserved = ok && taken.era == b.era && taken.at > start(limits.Long)
	for _, e := range slices.Backward(held.entries) {
		if e.text("agent") != r.Agent {
			continue
		}
		if read.entry, err = s.get(ctx, entryKey(e)); err != nil {
			return nil, read, fmt.Errorf("read the newest entry: %w", err)
		}
		entry, err := readEntry(read.entry)
		if err != nil {
			return nil, read, err
		}
		read.Entry = &entry
		break
	}
	return b, read, nil
}

// held is what the guard has about a person in an instance.
type held struct {
	entries []item           // where the entries are, in the order of coming
	places  map[string]place // by the hash of their change, as in keys
	keys    []item           // of the places
}

// place is one that a change took: when, and in which era of the books.
type place struct{ at, era int64 }

// heldKey is the key of something that is known of a person in an instance: "e"
// and the number of an entry, "p" and the hash of a change that took its place.
func (s *Store) heldKey(person, instance, kind, name string) item {
	return item{partition: text(s.partition("held", person)), sorting: text(joined(instance, kind, name))}
}

func (s *Store) heldOf(ctx context.Context, person, instance string) (held, error) {
	h := held{places: map[string]place{}}
	prefix := below(instance)
	err := s.query(ctx, asked{partition: s.partition("held", person), begins: prefix}, func(i item) (bool, error) {
		kind, name, _ := strings.Cut(strings.TrimPrefix(i.text(sorting), prefix), "\x00")
		if kind == "e" {
			h.entries = append(h.entries, i)
		} else {
			h.places[name] = place{i.number("at"), i.number("era")}
			h.keys = append(h.keys, keyOf(i))
		}
		return true, nil
	})
	if err != nil {
		return h, fmt.Errorf("read what is held of the person: %w", err)
	}
	return h, nil
}

// keyOf is the key of an item that was read.
func keyOf(i item) item { return item{partition: i[partition], sorting: i[sorting]} }

// entryKey is where the entry stands that a pointer leads to.
func entryKey(pointer item) item {
	return item{partition: pointer["entry_pk"], sorting: pointer["entry_sk"]}
}
