package awsstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
)

// Enqueue implements reconcile.Queue. Requests of a hook for up to some dozens of
// people are one transaction. More, and what no hook waits for, are cut into several,
// each with the facts of its people: an error may then leave some of the people asked
// for, which costs a look at them and no more.
//
// Once the rows are stored the queues are told. That may fail: the waking schedule
// finds who was not announced.
func (s *Store) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	if err := s.enqueue(ctx, requests); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

func (s *Store) enqueue(ctx context.Context, requests []reconcile.Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wanted, err := collect(requests)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(requests, func(r reconcile.Request) bool { return r.Trigger == reconcile.TriggerHook }) {
		return s.spread(ctx, wanted)
	}
	var stored []*person
	defer func() { // at once, so that queues that are away hold up nobody twice
		if len(stored) > 0 {
			s.announce(ctx, stored)
			failpoint.Hit(failpoint.TableAnnounced)
		}
	}()
	// Whoever waits for a hook's answer waits for one transaction, as a rule.
	for len(wanted) > 0 {
		n := fitting(wanted)
		rows, err := s.piece(ctx, wanted[:n], nil)
		if err != nil {
			return err
		}
		stored = append(stored, rows...)
		wanted = wanted[n:]
	}
	return nil
}

// All rows are in one partition, and DynamoDB takes 1,000 units of writing a second in
// each. A row that becomes due costs four in a transaction: two, and two more for the
// index. So what no hook waits for, be it the requests of a sweep for everybody, is
// stored at two fifths of that, a little at a time; the rest is the hooks' and the
// workers'.
const (
	paceRows  = 100 // a second
	pieceRows = 25  // in one transaction
)

// spread stores what nobody waits for, at the pace of this process.
func (s *Store) spread(ctx context.Context, list []*wanted) error {
	for _, part := range batches(list, readAtOnce) {
		rest, seen, err := s.unanswered(ctx, part)
		if err != nil {
			return err
		}
		for len(rest) > 0 {
			n := fitting(rest[:min(pieceRows, len(rest))])
			if err := pause(ctx, s.pace.ReserveN(time.Now(), n).Delay()); err != nil {
				return err
			}
			rows, err := s.piece(ctx, rest[:n], seen)
			if err != nil {
				return err
			}
			s.announce(ctx, rows)
			rest = rest[n:]
		}
	}
	return nil
}

// unanswered leaves out what a sweep asks that has nothing to add, and gives the rows
// that it has read to know. Nothing is read for the sake of other requests.
func (s *Store) unanswered(ctx context.Context, list []*wanted) (rest []*wanted, seen map[string]item, err error) {
	var keys []item
	for _, w := range list {
		if slices.ContainsFunc(w.requests, ofSweep) {
			keys = append(keys, s.personKey(w.person))
		}
	}
	rows, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	seen = map[string]item{}
	for _, i := range rows {
		seen[readPerson("", i).Person] = i
	}
	for _, w := range list {
		p := readPerson(w.person, seen[w.person])
		w.requests = slices.DeleteFunc(w.requests, p.Answers)
		if len(w.requests)+len(w.facts) > 0 {
			rest = append(rest, w)
		}
	}
	return rest, seen, nil
}

func ofSweep(r reconcile.Request) bool { return r.Trigger == reconcile.TriggerSweep }

// piece stores what is wanted of people in one transaction.
func (s *Store) piece(ctx context.Context, list []*wanted, seen map[string]item) ([]*person, error) {
	rows, err := s.store(ctx, list, seen)
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.TableStored)
	s.signal()
	return rows, nil
}

// wanted is what one call asks about one person.
type wanted struct {
	person   string
	requests []reconcile.Request // none, where there are facts alone
	facts    []reconcile.Fact    // one for each group
}

// collect checks requests and puts together what belongs to one person, in the
// order of coming.
func collect(requests []reconcile.Request) ([]*wanted, error) {
	var order []*wanted
	of := map[string]*wanted{}
	person := func(id string) (*wanted, error) {
		if !utf8.ValidString(id) {
			return nil, errors.New("the id of a person is no valid text")
		}
		if of[id] == nil {
			of[id] = &wanted{person: id}
			order = append(order, of[id])
		}
		return of[id], nil
	}
	for _, r := range requests {
		if err := r.Check(); err != nil {
			return nil, err
		}
		w, err := person(r.Person)
		if err != nil {
			return nil, err
		}
		w.requests = append(w.requests, r)
		for _, f := range r.Facts {
			about, err := person(f.Person)
			if err != nil {
				return nil, err
			}
			about.fact(f)
		}
	}
	return apart(order), nil
}

// factsAtOnce is how many facts fit in one transaction beside the row of their person.
const factsAtOnce = transactionLimit - 1

// apart divides what is wanted of people of whom there are more facts. The row comes
// with the last of them, so that it is looked at when all are known.
func apart(list []*wanted) []*wanted {
	var out []*wanted
	for _, w := range list {
		for len(w.facts) > factsAtOnce {
			out = append(out, &wanted{person: w.person, facts: w.facts[:factsAtOnce]})
			w.facts = w.facts[factsAtOnce:]
		}
		out = append(out, w)
	}
	return out
}

func (w *wanted) fact(f reconcile.Fact) {
	f.Published = f.Published.Truncate(time.Microsecond).UTC()
	i := slices.IndexFunc(w.facts, func(other reconcile.Fact) bool { return other.Group == f.Group })
	switch {
	case i < 0:
		w.facts = append(w.facts, f)
	case f.Supersedes(w.facts[i]):
		w.facts[i] = f
	}
}

// fitting is how many of the people fit in one transaction.
func fitting(list []*wanted) int {
	items, size := 0, 0
	for n, w := range list {
		items += 1 + len(w.facts)
		size += 2 << 10
		for _, f := range w.facts {
			size += factItem(f).size() + 2*partLimit
		}
		if n > 0 && (items > transactionLimit || size > requestLimit) {
			return n
		}
	}
	return len(list)
}

// store stores what is wanted of people, in one transaction, and gives their rows.
//
// Most people are idle or unknown when something is asked about them, so that is
// tried first of those whose rows were not seen, without reading. The answer to a
// condition that does not hold shows the row as it is, from which the next attempt
// goes on.
func (s *Store) store(ctx context.Context, list []*wanted, before map[string]item) ([]*person, error) {
	seen := map[string]item{} // rows as they were read, by person
	maps.Copy(seen, before)
	known := map[string]bool{}  // facts that are older than what is known, by their sort key
	rev := nonce()              // of this call: a row that has it was written by an attempt whose answer was lost
	stored := map[string]bool{} // people whose requests were stored so
	var rows []*person
	err := s.persist(ctx, func() error {
		rows = rows[:0]
		now := reconcile.Micros(s.now())
		var changes []change
		type origin struct {
			person string
			fact   string
		}
		var origins []origin
		for _, w := range list {
			for _, f := range w.facts {
				c := s.saveFact(f)
				if name := c.key.text(sorting); !known[name] {
					changes, origins = append(changes, c), append(origins, origin{fact: name})
				}
			}
			if len(w.requests) == 0 {
				continue
			}
			if stored[w.person] {
				rows = append(rows, readPerson(w.person, seen[w.person]))
				continue
			}
			p, c := s.requested(w, seen[w.person], now, rev)
			rows, changes, origins = append(rows, p), append(changes, c), append(origins, origin{person: w.person})
		}
		err := s.write(ctx, changes...)
		var conflict *conflictError
		if errors.As(err, &conflict) {
			for i, old := range conflict.failed {
				o := origins[i]
				if o.fact != "" {
					known[o.fact] = true
					continue
				}
				if old == nil { // the answer does not show it
					var failed error
					if old, failed = s.get(ctx, s.personKey(o.person)); failed != nil {
						return failed
					}
				}
				seen[o.person], stored[o.person] = old, old.text("rev") == rev
			}
		}
		return err
	})
	return rows, err
}

// requested is the change to the row of somebody that takes in requests, and the
// row afterwards. Without an old row they are taken to be idle or unknown.
func (s *Store) requested(w *wanted, old item, now int64, rev string) (*person, change) {
	p := readPerson(w.person, old)
	for _, r := range w.requests {
		p.Request(r, now)
	}
	c := s.savePerson(p, rev)
	p.rev = rev
	if old != nil {
		return p, c
	}
	// What counts goes up by as much as was asked, and the rest begins anew.
	c.set, c.put = c.put, nil
	for _, kept := range []string{"generation", "done", "ended"} {
		delete(c.set, kept)
	}
	c.add = item{"generation": number(len(w.requests))}
	c.when = "attribute_not_exists(#state) OR #state IN (:idle, :dead)"
	c.with = item{"idle": text(string(reconcile.StateIdle)), "dead": text(string(reconcile.StateDead))}
	return p, c
}
