package awsstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connectroster/internal/reconcile"
)

// books is the guarded item of one instance: the windows, and a number that goes
// up with every change of places, entries and holds of the instance. Whoever
// changes any of them reads books first and writes it last, on the condition that
// it is still the same, so that all that was read in between was of one moment.
type books struct {
	instance string
	version  int64
	rev      string             // of the item as it was read; empty: there is none yet
	windows  map[string][]int64 // times of the places that count, in microseconds, ascending
	era      int64              // begins anew with each Unvouch: what took its place in an earlier one needs another
}

// windowAll is the window of all removals, beside those of reconcile.Removal.Window.
const windowAll = "all"

func (s *Store) booksKey(instance string) item { return s.key("guard", "i", instance) }

// booksOf reads the books of an instance.
func (s *Store) booksOf(ctx context.Context, instance string) (*books, error) {
	stored, err := s.get(ctx, s.booksKey(instance))
	if err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	return readBooks(instance, stored)
}

func readBooks(instance string, i item) (*books, error) {
	b := &books{instance: instance, version: i.number("version"), rev: i.text("rev"), era: i.number("era"), windows: map[string][]int64{}}
	windows, _ := i["windows"].(*types.AttributeValueMemberM)
	if windows == nil {
		return b, nil
	}
	for name := range windows.Value {
		times, ok := unpack(item(windows.Value).bytes(name))
		if !ok {
			return nil, fmt.Errorf("the books of the guard for instance %q are unreadable, restore the table to a moment before", instance)
		}
		b.windows[name] = times
	}
	return b, nil
}

// save is the change that stores the books, with the next version, unless somebody
// else was faster.
func (s *Store) saveBooks(b *books, rev string) change {
	windows := map[string]types.AttributeValue{}
	for name, times := range b.windows {
		if len(times) > 0 {
			windows[name] = bytesOf(pack(times))
		}
	}
	c := change{
		key: s.booksKey(b.instance), when: "attribute_not_exists(#rev)",
		put: item{"instance": text(b.instance), "version": number(b.version + 1), "rev": text(rev), "era": number(b.era), "windows": &types.AttributeValueMemberM{Value: windows}},
	}
	if b.rev != "" {
		c.when, c.with = "#rev = :rev", item{"rev": text(b.rev)}
	}
	return c
}

// pack writes ascending times as their distances, of some four bytes each: an item
// holds the removals of a day from more agents than an instance can have.
func pack(times []int64) []byte {
	out := []byte{}
	last := int64(0)
	for _, t := range times {
		out = binary.AppendVarint(out, t-last)
		last = t
	}
	return out
}

func unpack(packed []byte) (times []int64, ok bool) {
	last := int64(0)
	for len(packed) > 0 {
		d, n := binary.Varint(packed)
		if n <= 0 {
			return nil, false
		}
		last, packed = last+d, packed[n:]
		times = append(times, last)
	}
	return times, true
}

// age forgets what is in no window any more, and has count from now on what is
// ahead of the time, by a clock that was wrong. It keeps twice what is needed, for
// clocks that differ.
func (b *books) age(now int64, limits reconcile.Limits) {
	for name, times := range b.windows {
		length := limits.Short
		if name == windowAll {
			length = max(limits.Long, limits.Short)
		}
		start := now - 2*length.Microseconds()
		times = slices.DeleteFunc(times, func(t int64) bool { return t <= start })
		for i, t := range times {
			times[i] = min(t, now)
		}
		b.windows[name] = times
	}
}

// within counts the places of a window since a time.
func (b *books) within(name string, start int64) int {
	times := b.windows[name]
	i, _ := slices.BinarySearch(times, start+1)
	return len(times) - i
}

func (b *books) take(name string, at int64) {
	i, _ := slices.BinarySearch(b.windows[name], at)
	b.windows[name] = slices.Insert(b.windows[name], i, at)
}

// guarded does something with the books, anew when somebody else was faster. Do
// writes with the rev that it is given.
func (s *Store) guarded(ctx context.Context, do func(rev string) (lost bool, err error)) error {
	if err := s.guarding.take(ctx); err != nil { // we need not be in our own way
		return err
	}
	defer s.guarding.give()
	rev := ""
	return s.persist(ctx, func() error {
		if rev == "" {
			rev = nonce()
		}
		lost, err := do(rev)
		if lost { // it is done, by an attempt whose answer was lost
			return nil
		}
		return err
	})
}
