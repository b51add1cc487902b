package awsstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connectroster/internal/plan"
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
}

// The windows: all removals, and those that have a short window of their own.
const (
	windowAll    = "all"
	windowStatus = "status"
	windowMove   = "move"
	windowGroup  = "group " // and the group
)

// window names the short window that a removal counts in.
func window(r reconcile.Removal) string {
	switch r.Kind {
	case reconcile.RemovalMembership:
		return windowGroup + r.Group
	case reconcile.RemovalMove:
		return windowMove
	}
	return windowStatus
}

func (s *Store) booksKey(instance string) item { return s.key("guard", "i", instance) }

func readBooks(instance string, i item) (*books, error) {
	b := &books{instance: instance, version: i.number("version"), rev: i.text("rev"), windows: map[string][]int64{}}
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
		put: item{"instance": text(b.instance), "version": number(b.version + 1), "rev": text(rev), "windows": &types.AttributeValueMemberM{Value: windows}},
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

// Reserve implements reconcile.Guard. Nobody else's change of the same instance
// comes in between.
func (s *Store) Reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits) (reconcile.Reservation, error) {
	if r.Person == "" || r.Kind == "" || r.Hash == "" {
		return reconcile.Reservation{}, errors.New("reserve a place: the removal names no person, no kind or no change")
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

func (s *Store) reserve(ctx context.Context, r reconcile.Removal, limits reconcile.Limits, rev string) (answer reconcile.Reservation, lost bool, err error) {
	if r.At.IsZero() {
		r.At = s.now()
	}
	r.At = instant(micros(r.At))
	at := micros(r.At)
	b, read, err := s.openBooks(ctx, r, limits)
	if err != nil {
		return answer, false, err
	}
	w := reconcile.Weigh(read.Books, r, limits)
	answer = reconcile.Reservation{State: w.State, Cause: w.Cause, Stay: w.Stay, Hold: w.Hold}
	if w.State == reconcile.ReservationHeld && read.Entry != nil {
		answer.Hold = read.Entry.Hold
	}
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
			key: s.heldKey(r.Person, r.Instance, "p", r.Hash), put: item{"at": number(at), expiry: number(forget(r.At.Add(limits.Long)))},
		})
		if !w.Approved {
			b.take(window(r), at)
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
	stored, err := s.get(ctx, s.booksKey(r.Instance))
	if err != nil {
		return nil, read, fmt.Errorf("read the books: %w", err)
	}
	b, err := readBooks(r.Instance, stored)
	if err != nil {
		return nil, read, err
	}
	at := micros(r.At)
	b.age(max(at, micros(s.now())), limits)
	start := func(length time.Duration) int64 { return at - length.Microseconds() }
	read.Counts.Long = b.within(windowAll, start(limits.Long))
	short := b.within(window(r), start(limits.Short))
	switch r.Kind {
	case reconcile.RemovalMove:
		read.Counts.Moves = short
	case reconcile.RemovalMembership:
		read.Counts.Group = short
	default:
		read.Counts.Status = short
	}

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
	read.Reserved = ok && taken > start(limits.Long)
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
	places  map[string]int64 // when the places were taken, by the hash of their change, as in keys
	keys    []item           // of the places
}

// heldKey is the key of something that is known of a person in an instance: "e"
// and the number of an entry, "p" and the hash of a change that took its place.
func (s *Store) heldKey(person, instance, kind, name string) item {
	return item{partition: text(s.partition("held", person)), sorting: text(joined(instance, kind, name))}
}

func (s *Store) heldOf(ctx context.Context, person, instance string) (held, error) {
	h := held{places: map[string]int64{}}
	prefix := below(instance)
	err := s.query(ctx, asked{partition: s.partition("held", person), begins: prefix}, func(i item) (bool, error) {
		kind, name, _ := strings.Cut(strings.TrimPrefix(i.text(sorting), prefix), "\x00")
		if kind == "e" {
			h.entries = append(h.entries, i)
		} else {
			h.places[name] = i.number("at")
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

// join gives the changes that put a new entry into the open hold of its cause, or
// into a new hold.
func (s *Store) join(ctx context.Context, r reconcile.Removal, w reconcile.Weighed, nth int64) (hold string, changes []change, err error) {
	causeKey := s.key("cause", r.Instance, w.Cause)
	cause, err := s.get(ctx, causeKey)
	if err != nil {
		return "", nil, err
	}
	expires := micros(w.Expires)
	id := cause.number("hold")
	open := false
	if id != 0 {
		if open, err = s.isOpen(ctx, id, micros(r.At)); err != nil {
			return "", nil, err
		}
	}
	if open {
		header, err := s.get(ctx, s.key("hold", digits(id)))
		if err != nil {
			return "", nil, err
		}
		last := max(expires, header.number("until"))
		changes = append(changes, change{key: s.key("hold", digits(id)), set: item{"until": number(last), openIndex: text(digits(last))}})
	} else {
		countKey := s.key("guard", "holds")
		counter, err := s.get(ctx, countKey)
		if err != nil {
			return "", nil, err
		}
		id = counter.number("count") + 1
		count := change{key: countKey, set: item{"count": number(id)}, when: "attribute_not_exists(#count)"}
		if id > 1 {
			count.when, count.with = "#count = :before", item{"before": number(id - 1)}
		}
		changes = append(changes, count,
			change{key: s.key("hold", digits(id)), put: item{
				"number": number(id), "instance": text(r.Instance), "cause": text(w.Cause), "opened": number(micros(r.At)),
				"until": number(expires), openIndex: text(digits(expires)),
			}},
			change{key: causeKey, put: item{"hold": number(id)}})
	}
	e := reconcile.HoldEntry{
		Hold: holdName(id), Instance: r.Instance, Cause: w.Cause, Person: r.Person, Agent: r.Agent, Kind: r.Kind, Action: r.Action, Hash: r.Hash,
		Reason: r.Reason, Created: r.At, Expires: instant(expires),
	}
	content, err := json.Marshal(e)
	if err != nil {
		return "", nil, err
	}
	entry := change{
		key: item{partition: text(s.partition("hold", strconv.FormatInt(id, 10))), sorting: text(joined(r.Person, digits(nth)))},
		put: item{"entry": text(string(content)), "person": text(r.Person), "state": text(string(reconcile.HoldWaiting)), "expires": number(expires)},
	}
	if err := encoded(entry.put, "change", r.Change); err != nil {
		return "", nil, err
	}
	pointer := change{
		key: s.heldKey(r.Person, r.Instance, "e", digits(nth)),
		put: item{"hold": number(id), "agent": text(r.Agent), "entry_pk": entry.key[partition], "entry_sk": entry.key[sorting]},
	}
	return holdName(id), append(changes, entry, pointer), nil
}

// waitingAt is the condition for an entry that can still be decided at a time.
const waitingAt = "#state = :waiting AND #expires > :at"

// isOpen reports whether somebody waits in a hold.
func (s *Store) isOpen(ctx context.Context, hold, at int64) (open bool, err error) {
	err = s.query(ctx, asked{
		partition: s.partition("hold", strconv.FormatInt(hold, 10)), where: waitingAt,
		with: item{"waiting": text(string(reconcile.HoldWaiting)), "at": number(at)},
	}, func(item) (bool, error) {
		open = true
		return false, nil
	})
	return open, err
}

// closeEntry is the change of an entry from the state that it was read in.
func closeEntry(entry item, to reconcile.HoldState) change {
	return change{key: keyOf(entry), set: item{"state": text(string(to))}, when: "#state = :was", with: item{"was": entry["state"]}}
}

func readEntry(i item) (e reconcile.HoldEntry, err error) {
	if err := json.Unmarshal([]byte(i.text("entry")), &e); err != nil {
		return e, fmt.Errorf("an entry of a hold is unreadable, restore the table to a moment before: %w", err)
	}
	e.State, e.By, e.At = reconcile.HoldState(i.text("state")), i.text("by"), instant(i.number("decided"))
	return e, nil
}

// readWhole reads an entry with its change.
func readWhole(i item) (reconcile.HoldEntry, error) {
	e, err := readEntry(i)
	if err == nil {
		e.Change, err = decoded[plan.Change](i, "change")
	}
	return e, err
}

// Withdraw implements reconcile.Guard. An approval that was not used is withdrawn
// too, and so is a rejection. Most people have nothing there, and then one query is all.
func (s *Store) Withdraw(ctx context.Context, person, instance string) error {
	held, err := s.heldOf(ctx, person, instance)
	if err == nil && len(held.entries)+len(held.keys) > 0 {
		err = s.guarded(ctx, func(string) (bool, error) { return false, s.withdraw(ctx, person, instance) })
	}
	if err != nil {
		return fmt.Errorf("withdraw what is held of person %s: %w", person, err)
	}
	return nil
}

// withdraw does as much as fits in one transaction at once. What is left of it
// after a failure is done by the next look at the person.
func (s *Store) withdraw(ctx context.Context, person, instance string) error {
	stored, err := s.get(ctx, s.booksKey(instance))
	if err != nil {
		return err
	}
	b, err := readBooks(instance, stored)
	if err != nil {
		return err
	}
	held, err := s.heldOf(ctx, person, instance)
	if err != nil {
		return err
	}
	var changes []change
	var keys []item
	for _, e := range held.entries {
		keys = append(keys, entryKey(e))
	}
	entries, err := s.getAll(ctx, keys)
	if err != nil {
		return err
	}
	for _, i := range entries {
		switch reconcile.HoldState(i.text("state")) {
		case reconcile.HoldWaiting, reconcile.HoldApproved, reconcile.HoldRejected:
			changes = append(changes, closeEntry(i, reconcile.HoldWithdrawn))
		}
	}
	for _, key := range held.keys {
		changes = append(changes, change{key: key, drop: true})
	}
	for _, part := range batches(changes, transactionLimit-1) {
		rev := nonce()
		if err := s.write(ctx, append(slices.Clone(part), s.saveBooks(b, rev))...); err != nil {
			return err
		}
		b.version, b.rev = b.version+1, rev
	}
	return nil
}

// Holds implements reconcile.Guard.
func (s *Store) Holds(ctx context.Context, q reconcile.HoldQuery) ([]reconcile.Hold, error) {
	list, err := s.holds(ctx, q, micros(s.now()))
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return list, nil
}

func (s *Store) holds(ctx context.Context, q reconcile.HoldQuery, now int64) ([]reconcile.Hold, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	if q.Person != "" {
		return s.holdsOf(ctx, q, now, limit)
	}
	var list []reconcile.Hold
	add := func(header item) (bool, error) {
		h, err := s.hold(ctx, header, q, now)
		if err == nil && len(h.Entries) > 0 {
			list = append(list, h)
		}
		return len(list) < limit, err
	}
	if q.ID != "" {
		header, err := s.get(ctx, s.key("hold", digits(holdNumber(q.ID))))
		if err == nil && header != nil {
			_, err = add(header)
		}
		return list, err
	}
	headers := asked{partition: s.partition("hold"), backward: true}
	if !q.Waiting {
		return list, s.query(ctx, headers, add)
	}
	// Holds stand in the index by the time after which nobody waits in them.
	headers.index, headers.from = true, digits(now+1)
	open, err := s.list(ctx, headers)
	slices.SortFunc(open, func(a, b item) int { return cmp.Compare(b.number("number"), a.number("number")) })
	for _, header := range open {
		if more, err := add(header); err != nil || !more {
			return list, err
		}
	}
	return list, err
}

func readHeader(i item) reconcile.Hold {
	return reconcile.Hold{ID: holdName(i.number("number")), Instance: i.text("instance"), Cause: i.text("cause"), Opened: instant(i.number("opened"))}
}

// hold reads a hold with the entries that are asked for.
func (s *Store) hold(ctx context.Context, header item, q reconcile.HoldQuery, now int64) (reconcile.Hold, error) {
	h := readHeader(header)
	entries := asked{partition: s.partition("hold", strconv.FormatInt(header.number("number"), 10))}
	if q.Waiting {
		entries.where, entries.with = waitingAt, item{"waiting": text(string(reconcile.HoldWaiting)), "at": number(now)}
	}
	err := s.query(ctx, entries, func(i item) (bool, error) {
		e, err := readWhole(i)
		if !q.Open || e.Open() {
			h.Entries = append(h.Entries, e)
		}
		return true, err
	})
	slices.SortStableFunc(h.Entries, func(a, b reconcile.HoldEntry) int { return cmp.Compare(a.Person, b.Person) })
	return h, err
}

// holdsOf reads the holds that have entries about a person.
func (s *Store) holdsOf(ctx context.Context, q reconcile.HoldQuery, now int64, limit int) ([]reconcile.Hold, error) {
	var keys, headerKeys []item
	seen := map[int64]bool{}
	err := s.query(ctx, asked{partition: s.partition("held", q.Person)}, func(i item) (bool, error) {
		id := i.number("hold")
		if id == 0 || q.ID != "" && holdNumber(q.ID) != id { // 0 is a place
			return true, nil
		}
		keys = append(keys, entryKey(i))
		if !seen[id] {
			seen[id] = true
			headerKeys = append(headerKeys, s.key("hold", digits(id)))
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	entries, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	headers, err := s.getAll(ctx, headerKeys)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b item) int { return cmp.Compare(a.text(sorting), b.text(sorting)) })
	slices.SortFunc(headers, func(a, b item) int { return cmp.Compare(b.number("number"), a.number("number")) })
	var list []reconcile.Hold
	for _, header := range headers {
		h := readHeader(header)
		for _, i := range entries {
			e, err := readWhole(i)
			if err != nil {
				return nil, err
			}
			waits := e.State == reconcile.HoldWaiting && micros(e.Expires) > now
			if e.Hold == h.ID && (!q.Waiting || waits) && (!q.Open || e.Open()) {
				h.Entries = append(h.Entries, e)
			}
		}
		if len(h.Entries) > 0 && len(list) < limit {
			list = append(list, h)
		}
	}
	return list, nil
}

// decideAtOnce is how many entries are decided in one transaction: each may come
// with a stay.
const decideAtOnce = (transactionLimit - 1) / 2

// Decide implements reconcile.Guard. Up to 49 entries are decided in one piece;
// more are in several, each whole, and what is left of them after an error waits
// on. A rejection is taken of what has expired too, since it keeps everything as
// it is.
func (s *Store) Decide(ctx context.Context, d reconcile.Decision) ([]reconcile.HoldEntry, error) {
	var decided []reconcile.HoldEntry
	header, err := s.get(ctx, s.key("hold", digits(holdNumber(d.Hold))))
	if err == nil && header == nil {
		err = reconcile.ErrNotFound
	}
	for more := err == nil; more && err == nil; {
		var some []reconcile.HoldEntry
		err = s.guarded(ctx, func(rev string) (lost bool, err error) {
			some, more, lost, err = s.decide(ctx, header, d, rev)
			return lost, err
		})
		if err == nil {
			decided = append(decided, some...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decide on hold %s: %w", d.Hold, err)
	}
	slices.SortStableFunc(decided, func(a, b reconcile.HoldEntry) int { return cmp.Compare(a.Person, b.Person) })
	return decided, nil
}

// decide decides some entries, and tells whether there may be more.
func (s *Store) decide(ctx context.Context, header item, d reconcile.Decision, rev string) (decided []reconcile.HoldEntry, more, lost bool, err error) {
	if d.At.IsZero() {
		d.At = s.now()
	}
	at := micros(d.At)
	instance := header.text("instance")
	stored, err := s.get(ctx, s.booksKey(instance))
	if err != nil {
		return nil, false, false, err
	}
	b, err := readBooks(instance, stored)
	if err != nil {
		return nil, false, false, err
	}
	state := reconcile.HoldRejected
	if d.Approve {
		state = reconcile.HoldApproved
	}
	var changes []change
	stays := map[string]change{}
	err = s.query(ctx, asked{
		partition: s.partition("hold", strconv.FormatInt(header.number("number"), 10)),
		where:     "#state = :waiting", with: item{"waiting": text(string(reconcile.HoldWaiting))},
	}, func(i item) (bool, error) {
		e, err := readWhole(i)
		if err != nil {
			return false, err
		}
		wanted := len(d.People) == 0 || slices.Contains(d.People, e.Person)
		if !wanted || d.Approve && at >= micros(e.Expires) {
			return true, nil
		}
		if more = len(decided) == decideAtOnce; more {
			return false, nil
		}
		c := closeEntry(i, state)
		c.set["by"], c.set["decided"] = text(d.By), number(at)
		changes = append(changes, c)
		e.State, e.By, e.At = state, d.By, instant(at)
		decided = append(decided, e)
		if !d.Approve {
			stay := d.Stay
			stay.Person = e.Person
			if stay.Since.IsZero() {
				stay.Since = d.At
			}
			stays[e.Person] = s.saveStay(stay)
		}
		return true, nil
	})
	if err != nil || len(decided) == 0 {
		return nil, false, false, err
	}
	changes = append(changes, sorted(stays)...)
	err = s.write(ctx, append(changes, s.saveBooks(b, rev))...)
	var conflict *conflictError
	if errors.As(err, &conflict) {
		lost = conflict.failed[len(changes)].text("rev") == rev
	}
	return decided, more, lost, err
}

// holdName is the id of a hold as people see it.
func holdName(id int64) string { return "H" + strconv.FormatInt(id, 10) }

// holdNumber is the id of a hold as it is stored; 0 stands for none.
func holdNumber(name string) int64 {
	if len(name) < 2 || name[0] != 'H' {
		return 0
	}
	id, err := strconv.ParseInt(name[1:], 10, 64)
	if err != nil || holdName(id) != name {
		return 0
	}
	return id
}

func (s *Store) saveStay(stay reconcile.Stay) change {
	return change{key: s.key("stay", stay.Person), put: item{
		"person": text(stay.Person), "who": text(stay.Who), "why": text(stay.Why), "since": number(micros(stay.Since)), "until": number(micros(stay.Until)),
		expiry: number(forget(stay.Until)),
	}}
}

func readStay(i item) reconcile.Stay {
	return reconcile.Stay{
		Person: i.text("person"), Who: i.text("who"), Why: i.text("why"), Since: instant(i.number("since")), Until: instant(i.number("until")),
	}
}

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
