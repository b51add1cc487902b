package awsstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// join gives the changes that put a new entry into the open hold of its cause, or
// into a new hold.
func (s *Store) join(ctx context.Context, r reconcile.Removal, w reconcile.Weighed, nth int64) (hold string, changes []change, err error) {
	causeKey := s.key("cause", r.Instance, w.Cause)
	cause, err := s.get(ctx, causeKey)
	if err != nil {
		return "", nil, err
	}
	expires := reconcile.Micros(w.Expires)
	id := cause.number("hold")
	open := false
	if id != 0 {
		if open, err = s.isOpen(ctx, id, reconcile.Micros(r.At)); err != nil {
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
				"number": number(id), "instance": text(r.Instance), "cause": text(w.Cause), "opened": number(reconcile.Micros(r.At)),
				"until": number(expires), openIndex: text(digits(expires)),
			}},
			change{key: causeKey, put: item{"hold": number(id)}})
	}
	e := reconcile.HoldEntry{
		Hold: reconcile.HoldName(id), Instance: r.Instance, Cause: w.Cause, Person: r.Person, Agent: r.Agent, Kind: r.Kind, Action: r.Action, Hash: r.Hash,
		Reason: r.Reason, Created: r.At, Expires: reconcile.Instant(expires),
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
	return reconcile.HoldName(id), append(changes, entry, pointer), nil
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
	e.State, e.By, e.At = reconcile.HoldState(i.text("state")), i.text("by"), reconcile.Instant(i.number("decided"))
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
	b, err := s.booksOf(ctx, instance)
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
	list, err := s.holds(ctx, q, reconcile.Micros(s.now()))
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
		header, err := s.get(ctx, s.key("hold", digits(reconcile.HoldNumber(q.ID))))
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
	return reconcile.Hold{ID: reconcile.HoldName(i.number("number")), Instance: i.text("instance"), Cause: i.text("cause"), Opened: reconcile.Instant(i.number("opened"))}
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
		if id == 0 || q.ID != "" && reconcile.HoldNumber(q.ID) != id { // 0 is a place
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
			waits := e.State == reconcile.HoldWaiting && reconcile.Micros(e.Expires) > now
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
	header, err := s.get(ctx, s.key("hold", digits(reconcile.HoldNumber(d.Hold))))
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
	b, err := s.booksOf(ctx, header.text("instance"))
	if err != nil {
		return nil, false, false, err
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
		if !d.Covers(e) {
			return true, nil
		}
		if more = len(decided) == decideAtOnce; more {
			return false, nil
		}
		e = d.Decided(e)
		c := closeEntry(i, e.State)
		c.set["by"], c.set["decided"] = text(e.By), number(reconcile.Micros(e.At))
		changes, decided = append(changes, c), append(decided, e)
		if !d.Approve {
			stays[e.Person] = s.saveStay(d.StayOf(e.Person))
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
