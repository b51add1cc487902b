package awsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"connectroster/internal/reconcile"
)

// Enqueue implements reconcile.Queue. Requests for up to some dozens of people are
// one transaction, which is what a hook has. More are cut into several, each with
// the facts of its people: an error may then leave some of the people asked for,
// which costs a look at them and no more.
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
	// Whoever waits for a hook's answer waits for one transaction, as a rule.
	for len(wanted) > 0 {
		n := fitting(wanted)
		rows, err := s.store(ctx, wanted[:n])
		if err != nil {
			return err
		}
		s.signal()
		s.announce(ctx, rows)
		wanted = wanted[n:]
	}
	return nil
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
		if r.Person == "" {
			return nil, errors.New("a request names no person")
		}
		w, err := person(r.Person)
		if err != nil {
			return nil, err
		}
		w.requests = append(w.requests, r)
		for _, f := range r.Facts {
			if f.Person == "" || f.Group == "" {
				return nil, fmt.Errorf("a fact in the request for person %s names no person or no group", r.Person)
			}
			about, err := person(f.Person)
			if err != nil {
				return nil, err
			}
			about.fact(f)
		}
	}
	return order, nil
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
// tried first, without reading. The answer to a condition that does not hold shows
// the row as it is, from which the next attempt goes on.
func (s *Store) store(ctx context.Context, list []*wanted) ([]*person, error) {
	for _, w := range list {
		if len(w.facts)+1 > transactionLimit {
			return nil, fmt.Errorf("%d facts about person %s do not fit in one transaction", len(w.facts), w.person)
		}
	}
	seen := map[string]item{}   // rows that are not idle, by person
	known := map[string]bool{}  // facts that are older than what is known, by their sort key
	rev := nonce()              // of this call: a row that has it was written by an attempt whose answer was lost
	stored := map[string]bool{} // people whose requests were stored so
	var rows []*person
	err := s.persist(ctx, func() error {
		rows = rows[:0]
		now := micros(s.now())
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
		p.request(r, now)
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

func (s *Store) personKey(id string) item { return s.key("people", id) }

// savePerson is the change that stores a row, if nobody else did since it was
// read. The message that may have been sent for it is of an earlier state.
func (s *Store) savePerson(p *person, rev string) change {
	p.sent = 0
	return s.savePersonAs(p, rev)
}

func (s *Store) savePersonAs(p *person, rev string) change {
	c := change{key: s.personKey(p.person), when: "attribute_not_exists(#rev)", put: item{
		"row": p.content(), "state": text(string(p.state)), "generation": number(p.generation), "done": number(p.done), "ended": number(p.ended), "rev": text(rev),
	}}
	if p.rev != "" {
		c.when, c.with = "#rev = :rev", item{"rev": text(p.rev)}
	}
	if place := p.place(); place != "" {
		c.put[openIndex] = text(place)
	}
	return c
}

// modify reads a row, has do change it, and stores it. Do tells whether there is
// something to store. It is asked again when somebody else was faster.
func (s *Store) modify(ctx context.Context, id string, row *person, do func(p *person, now int64) bool) (*person, error) {
	rev := nonce()
	var p *person
	err := s.persist(ctx, func() error {
		if p = row; p == nil {
			i, err := s.get(ctx, s.personKey(id))
			if err != nil {
				return err
			}
			p = readPerson(id, i)
		}
		row = nil
		if p.rev == rev { // an earlier attempt has stored it, and its answer was lost
			return nil
		}
		read := *p
		p = &read
		if !do(p, micros(s.now())) {
			return nil
		}
		err := s.write(ctx, s.savePerson(p, rev))
		var conflict *conflictError
		if errors.As(err, &conflict) && conflict.failed[0] != nil {
			row = readPerson(id, conflict.failed[0])
		}
		if err == nil {
			p.rev = rev
		}
		return err
	})
	return p, err
}

// at most so many people become due, or lose their worker, in one Claim.
const ripeAtOnce = 100

// Claim implements reconcile.Queue. A claim whose lease is over is given up here,
// at the first Claim after that: the person is due again, with one more failed
// attempt. The order is kept among those who were due already and the first 100
// who became it since.
func (s *Store) Claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	work, err := s.claim(ctx, lease)
	if err != nil {
		return reconcile.Work{}, fmt.Errorf("claim: %w", err)
	}
	return work, nil
}

func (s *Store) claim(ctx context.Context, lease time.Duration) (reconcile.Work, error) {
	if err := ctx.Err(); err != nil {
		return reconcile.Work{}, err
	}
	if err := s.ripen(ctx); err != nil {
		return reconcile.Work{}, err
	}
	for range tries {
		due, err := s.first(ctx, orderDue, 8)
		if err != nil {
			return reconcile.Work{}, err
		}
		if len(due) == 0 {
			return reconcile.Work{}, reconcile.ErrNotFound
		}
		for i, p := range due {
			work, err := s.claimRow(ctx, p, lease)
			if errors.Is(err, reconcile.ErrNotFound) { // somebody else has them
				continue
			}
			if err == nil && i+1 < len(due) {
				s.signal() // another worker may be idle
			}
			return work, err
		}
	}
	return reconcile.Work{}, reconcile.ErrNotFound // whoever was due is with somebody else
}

// ClaimPerson claims one person who is due, as Claim does, for a worker that was
// woken for them. ErrNotFound means that there is nothing to do now: the person is
// not due, or somebody else works on them. A message about them can be deleted,
// since the waking schedule sends another one when something is left to do.
func (s *Store) ClaimPerson(ctx context.Context, id string, lease time.Duration) (reconcile.Work, error) {
	work, err := s.claimRow(ctx, &person{person: id, rev: unread}, lease)
	if err != nil {
		return reconcile.Work{}, fmt.Errorf("claim person %s: %w", id, err)
	}
	return work, nil
}

// unread is the rev of a row that was not read.
const unread = "unread"

// claimRow claims a person, beginning with the row as it was read. ErrNotFound
// means that they are not due any more.
func (s *Store) claimRow(ctx context.Context, row *person, lease time.Duration) (reconcile.Work, error) {
	id, token := row.person, nonce()
	if row.rev == unread {
		row = nil
	}
	var work reconcile.Work
	p, err := s.modify(ctx, id, row, func(p *person, now int64) bool {
		work = reconcile.Work{}
		p.ripen(now, s.skew.Microseconds())
		if p.state != reconcile.StateDue {
			return false
		}
		work = p.claim(token, now+lease.Microseconds())
		return true
	})
	switch {
	case err != nil:
		return reconcile.Work{}, err
	case p.token != token:
		return reconcile.Work{}, reconcile.ErrNotFound
	}
	s.mu.Lock()
	s.claims[token] = p
	s.mu.Unlock()
	return work, nil
}

// ripen makes those due whose time has come, and takes those from their workers
// whose leases are over.
func (s *Store) ripen(ctx context.Context) error {
	now := micros(s.now())
	ripe, err := s.rows(ctx, asked{from: orderLater, to: orderLater + digits(now)}, ripeAtOnce)
	if err != nil {
		return err
	}
	for _, row := range ripe {
		_, err := s.modify(ctx, row.person, row, func(p *person, now int64) bool { return p.ripen(now, s.skew.Microseconds()) })
		if err != nil {
			return err
		}
	}
	return nil
}

// first gives the first rows of an order.
func (s *Store) first(ctx context.Context, order string, most int) ([]*person, error) {
	return s.rows(ctx, asked{begins: order}, most)
}

// rows gives at most so many open rows; 0: all.
func (s *Store) rows(ctx context.Context, q asked, most int) (list []*person, err error) {
	q.partition, q.index, q.page = s.partition("people"), true, int32(most)
	err = s.query(ctx, q, func(i item) (bool, error) {
		list = append(list, readPerson("", i))
		return most == 0 || len(list) < most, nil
	})
	return list, err
}

// Settle implements reconcile.Queue. It is one write, unless somebody asked for
// the person meanwhile.
func (s *Store) Settle(ctx context.Context, work reconcile.Work, verdict reconcile.Verdict) error {
	s.mu.Lock()
	row := s.claims[work.Token]
	s.mu.Unlock()
	if row != nil && row.person != work.Person {
		row = nil
	}
	var held bool
	p, err := s.modify(ctx, work.Person, row, func(p *person, now int64) bool {
		if held = p.holds(work, now); held {
			p.settle(verdict, now)
		}
		return held
	})
	if err == nil && !held {
		err = reconcile.ErrNotFound
	}
	if p != nil && p.token != work.Token { // it is no claim of ours any more
		s.mu.Lock()
		delete(s.claims, work.Token)
		s.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("settle person %s: %w", work.Person, err)
	}
	switch p.state {
	case reconcile.StateDue:
		s.announce(ctx, []*person{p})
		s.signal()
	case reconcile.StateWaiting:
		s.signal()
	}
	return nil
}

// abandon gives up the claims of this process.
func (s *Store) abandon(ctx context.Context) error {
	s.mu.Lock()
	claims := s.claims
	s.claims = map[string]*person{}
	s.mu.Unlock()
	var faults []error
	for token, row := range claims {
		_, err := s.modify(ctx, row.person, row, func(p *person, now int64) bool {
			held := p.state == reconcile.StateWorking && p.token == token
			if held {
				p.expire(now)
			}
			return held
		})
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// NextDue tells when Claim can next succeed: when the next person is due or the
// next lease is over. The time may be past. ErrNotFound means that nobody waits.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var next time.Time
	for _, order := range []string{orderDue, orderLater} {
		rows, err := s.first(ctx, order, 1)
		if err != nil {
			return time.Time{}, fmt.Errorf("find when the next person is due: %w", err)
		}
		for _, p := range rows {
			at := instant(p.open.due)
			if p.state == reconcile.StateWorking {
				at = instant(p.leaseUntil).Add(s.skew)
			}
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	if next.IsZero() {
		return next, fmt.Errorf("find when the next person is due: %w", reconcile.ErrNotFound)
	}
	return next, nil
}

// Replay makes a dead letter due now, with no attempts. ErrNotFound means that
// the person is none, so that replaying twice does nothing the second time.
func (s *Store) Replay(ctx context.Context, id string) error {
	p, err := s.raise(ctx, id, func(p *person, now int64) {
		p.request(reconcile.Request{Person: id, Priority: p.open.priority, Trigger: reconcile.TriggerReplay, Event: p.event}, now)
	})
	if err != nil {
		return fmt.Errorf("replay person %s: %w", id, err)
	}
	s.signal()
	s.announce(ctx, []*person{p})
	return nil
}

// Drop gives a dead letter up for good: its requests count as done. ErrNotFound
// means that the person is none.
func (s *Store) Drop(ctx context.Context, id string) error {
	if _, err := s.raise(ctx, id, func(p *person, _ int64) { p.drop() }); err != nil {
		return fmt.Errorf("drop person %s: %w", id, err)
	}
	return nil
}

// raise does something to a dead letter.
func (s *Store) raise(ctx context.Context, id string, do func(*person, int64)) (*person, error) {
	var dead bool
	p, err := s.modify(ctx, id, nil, func(p *person, now int64) bool {
		if dead = p.state == reconcile.StateDead; dead {
			do(p, now)
		}
		return dead
	})
	if err == nil && !dead {
		err = reconcile.ErrNotFound
	}
	return p, err
}

// People gives what the queue holds about people, ordered by person id.
func (s *Store) People(ctx context.Context, q reconcile.WaitingQuery) ([]reconcile.Waiting, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	now := micros(s.now())
	var list []reconcile.Waiting
	take := func(p *person) bool {
		w := p.waiting(now)
		if w.Person > q.After && (q.Person == "" || q.Person == w.Person) && (q.State == "" || q.State == w.State) {
			list = append(list, w)
		}
		return len(list) < limit
	}
	err := s.people(ctx, q, take)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	slices.SortFunc(list, func(a, b reconcile.Waiting) int { return cmp.Compare(a.Person, b.Person) })
	return list[:min(limit, len(list))], nil
}

// people goes through the rows that may be meant until take says no.
func (s *Store) people(ctx context.Context, q reconcile.WaitingQuery, take func(*person) bool) error {
	switch {
	case q.Person != "":
		i, err := s.get(ctx, s.personKey(q.Person))
		if err == nil && i != nil {
			take(readPerson(q.Person, i))
		}
		return err
	case q.State != "" && q.State != reconcile.StateIdle:
		// They stand in the index, in another order, so that all must be read.
		rows, err := s.rows(ctx, asked{from: orderDue}, 0)
		for _, p := range rows {
			take(p)
		}
		return err
	}
	all := asked{partition: s.partition("people")}
	if q.After != "" {
		all.from = joined(q.After)
	}
	return s.query(ctx, all, func(i item) (bool, error) { return take(readPerson("", i)), nil })
}

// waiting is the row as people see it.
func (p *person) waiting(now int64) reconcile.Waiting {
	w := reconcile.Waiting{
		Person:     p.person,
		State:      p.state,
		Priority:   p.open.priority,
		Trigger:    p.trigger,
		Event:      p.event,
		Generation: p.generation,
		Done:       p.done,
		Attempts:   p.attempts,
		Since:      instant(p.open.since),
		Last:       instant(p.ended),
		Reason:     p.reason,
	}
	switch p.state {
	case reconcile.StateWaiting:
		if p.open.due <= now {
			w.State = reconcile.StateDue
		}
		w.Due = instant(p.open.due)
	case reconcile.StateDue:
		w.Due = instant(p.open.due)
	}
	return w
}

// Dead gives all dead letters, those that died first coming first.
func (s *Store) Dead(ctx context.Context) ([]reconcile.Waiting, error) {
	rows, err := s.rows(ctx, asked{begins: orderDead}, 0)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	var list []reconcile.Waiting
	for _, p := range rows {
		list = append(list, p.waiting(micros(s.now())))
	}
	return list, nil
}

// recount is how often all rows are counted: those for whom nothing is to be done
// are many, and how many is of little interest.
const recount = 5 * time.Minute

// Backlog counts the people in the queue by state. How many are idle may be five
// minutes old.
func (s *Store) Backlog(ctx context.Context) (reconcile.Backlog, error) {
	var b reconcile.Backlog
	rows, err := s.rows(ctx, asked{from: orderDue}, 0)
	if err != nil {
		return b, fmt.Errorf("count people: %w", err)
	}
	now := micros(s.now())
	count := map[reconcile.WaitingState]*int{
		reconcile.StateDue: &b.Due, reconcile.StateWaiting: &b.Waiting, reconcile.StateWorking: &b.Working, reconcile.StateDead: &b.Dead,
	}
	for _, p := range rows {
		w := p.waiting(now)
		if n := count[w.State]; n != nil {
			*n++
		}
		if w.State != reconcile.StateDead && (b.Oldest.IsZero() || w.Since.Before(b.Oldest)) {
			b.Oldest = w.Since
		}
	}
	all, err := s.all(ctx)
	if err != nil {
		return b, fmt.Errorf("count people: %w", err)
	}
	b.Idle = max(0, all-b.Due-b.Waiting-b.Working-b.Dead)
	return b, nil
}

// all counts the rows of the queue, now and then.
func (s *Store) all(ctx context.Context) (int, error) {
	s.mu.Lock()
	counted := s.counted
	s.mu.Unlock()
	if age := s.clock().Sub(counted.at); !counted.at.IsZero() && age >= 0 && age < recount {
		return counted.people, nil
	}
	n, err := s.count(ctx, asked{partition: s.partition("people")})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.counted.people, s.counted.at = n, s.clock()
	s.mu.Unlock()
	return n, nil
}

// factItem is a fact without its key.
func factItem(f reconcile.Fact) item {
	return item{
		"person": text(f.Person), "group": text(f.Group), "group_name": text(f.GroupName), "login": text(f.Login), "display_name": text(f.DisplayName),
		"member": truth(f.Member), "published": number(f.Published.UnixMicro()), "event": text(f.Event),
	}
}

func readFact(i item) reconcile.Fact {
	return reconcile.Fact{
		Person: i.text("person"), Group: i.text("group"), GroupName: i.text("group_name"), Login: i.text("login"), DisplayName: i.text("display_name"),
		Member: i.truth("member"), Published: time.UnixMicro(i.number("published")).UTC(), Event: i.text("event"),
	}
}

// saveFact is the change that stores a fact, if it supersedes what is known, which
// is what reconcile.Fact.Supersedes says.
func (s *Store) saveFact(f reconcile.Fact) change {
	i := factItem(f)
	c := change{
		key: s.key("fact", f.Person, f.Group), put: i,
		when: "attribute_not_exists(#published) OR #published < :published", with: item{"published": i["published"]},
	}
	if !f.Member {
		c.when += " OR (#published = :published AND #member = :true)"
		c.with["true"] = truth(true)
	}
	return c
}

// sorted gives the values of a map in the order of its keys.
func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	var list []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
