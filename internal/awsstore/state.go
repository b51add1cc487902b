package awsstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Facts implements reconcile.Facts.
func (s *Store) Facts(ctx context.Context, person string) ([]reconcile.Fact, error) {
	items, err := s.list(ctx, asked{partition: s.partition("fact"), begins: below(person)})
	if err != nil {
		return nil, fmt.Errorf("read facts about person %s: %w", person, err)
	}
	var facts []reconcile.Fact
	for _, i := range items {
		facts = append(facts, readFact(i))
	}
	return facts, nil
}

// AllFacts implements reconcile.Facts. What it gives was true when it was read,
// page by page, while the caller may take its time.
func (s *Store) AllFacts(ctx context.Context) iter.Seq2[reconcile.Fact, error] {
	return func(yield func(reconcile.Fact, error) bool) {
		err := s.query(ctx, asked{partition: s.partition("fact"), page: 500}, func(i item) (bool, error) {
			return yield(readFact(i), nil), nil
		})
		if err != nil {
			yield(reconcile.Fact{}, fmt.Errorf("read all facts: %w", err))
		}
	}
}

// Note implements reconcile.Notes.
func (s *Store) Note(ctx context.Context, name string) (string, error) {
	i, err := s.get(ctx, s.key("note", name))
	if err == nil && i == nil {
		err = reconcile.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read the note %q: %w", name, err)
	}
	return i.text("text"), nil
}

// SaveNote implements reconcile.Notes.
func (s *Store) SaveNote(ctx context.Context, name, content string) error {
	if err := s.write(ctx, change{key: s.key("note", name), put: item{"text": text(content)}}); err != nil {
		return fmt.Errorf("save the note %q: %w", name, err)
	}
	return nil
}

// Intent implements reconcile.Intents.
func (s *Store) Intent(ctx context.Context, person, instance string) (reconcile.Intent, error) {
	i, err := s.get(ctx, s.intentKey(person, instance))
	if err == nil && i == nil {
		err = reconcile.ErrNotFound
	}
	var intent reconcile.Intent
	if err == nil {
		intent = reconcile.Intent{
			Person: person, Instance: instance, Username: i.text("username"), Started: instant(i.number("started")), Looks: int(i.number("looks")),
			Creates: int(i.number("creates")), Taken: instant(i.number("taken")),
		}
		intent.Change, err = decoded[plan.Change](i, "change")
	}
	if err != nil {
		return reconcile.Intent{}, fmt.Errorf("read the intent of person %s: %w", person, err)
	}
	return intent, nil
}

func (s *Store) intentKey(person, instance string) item {
	return item{partition: text(s.partition("intent", person)), sorting: text(joined(instance))}
}

// SaveIntent implements reconcile.Intents.
func (s *Store) SaveIntent(ctx context.Context, i reconcile.Intent) error {
	c := change{key: s.intentKey(i.Person, i.Instance), put: item{
		"username": text(i.Username), "started": number(micros(i.Started)), "looks": number(i.Looks), "creates": number(i.Creates), "taken": number(micros(i.Taken)),
	}}
	err := encoded(c.put, "change", i.Change)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("save the intent of person %s: %w", i.Person, err)
	}
	return nil
}

// DropIntent implements reconcile.Intents.
func (s *Store) DropIntent(ctx context.Context, person, instance string) error {
	if err := s.write(ctx, change{key: s.intentKey(person, instance), drop: true}); err != nil {
		return fmt.Errorf("drop the intent of person %s: %w", person, err)
	}
	return nil
}

// SaveTombstone implements reconcile.Tombstones.
func (s *Store) SaveTombstone(ctx context.Context, b reconcile.Tombstone) error {
	c := change{
		key: s.key("tomb", b.Agent.ID), when: "attribute_not_exists(#person)",
		put: item{"instance": text(b.Instance), "person": text(b.Person), "taken": number(micros(b.Taken))},
	}
	err := encoded(c.put, "agent", &b.Agent)
	if err == nil {
		err = s.write(ctx, c)
	}
	if err != nil && !isConflict(err) { // there is one already, which stays
		return fmt.Errorf("save the tombstone of agent %s: %w", b.Agent.ID, err)
	}
	return nil
}

// Tombstones implements reconcile.Tombstones.
func (s *Store) Tombstones(ctx context.Context, agents ...string) (map[string]reconcile.Tombstone, error) {
	var keys []item
	for _, agent := range slices.Compact(slices.Sorted(slices.Values(agents))) {
		keys = append(keys, s.key("tomb", agent))
	}
	found := map[string]reconcile.Tombstone{}
	items, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	for _, i := range items {
		agent, err := decoded[plan.Agent](i, "agent")
		if err == nil && agent == nil {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("read a tombstone: %w", err)
		}
		found[agent.ID] = reconcile.Tombstone{Instance: i.text("instance"), Person: i.text("person"), Agent: *agent, Taken: instant(i.number("taken"))}
	}
	return found, nil
}

// DropTombstone implements reconcile.Tombstones.
func (s *Store) DropTombstone(ctx context.Context, agent string) error {
	if err := s.write(ctx, change{key: s.key("tomb", agent), drop: true}); err != nil {
		return fmt.Errorf("drop the tombstone of agent %s: %w", agent, err)
	}
	return nil
}

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
		Instance: i.text("instance"), Owner: i.text("owner"), Agent: i.text("agent"), Since: instant(i.number("since")), Retired: i.truth("retired"),
		Group: i.text("group"), Absent: instant(i.number("absent")), Cliff: i.text("cliff"),
	}
}

func knownItem(k reconcile.Known) item {
	return item{
		"instance": text(k.Instance), "owner": text(k.Owner), "agent": text(k.Agent), "since": number(micros(k.Since)), "retired": truth(k.Retired),
		"group": text(k.Group), "absent": number(micros(k.Absent)), "cliff": text(k.Cliff),
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
		k.Instance, k.Since, k.Absent = instance, instant(micros(k.Since)), instant(micros(k.Absent))
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

// Erased counts what Erase took away: the entries of the journal and of holds,
// and the intents, that lost their personal part, and the facts and tombstones.
// Open counts intents that still hold the username of an agent which may have
// been made, and for a replacement how it looks: they are needed until the
// outcome is known, and another Erase after that finds none of it.
type Erased = struct {
	Entries    int `json:"entries"`
	Facts      int `json:"facts"`
	Tombstones int `json:"tombstones"`
	Holds      int `json:"holds"`
	Intents    int `json:"intents"`
	Open       int `json:"open"`
}

// Erase takes away what is personal about somebody: who they were and how their
// agents looked. Ids, digests and the chain of the journal stay, so that it can
// still be verified. After an error, the same call can be made again, and counts
// what was left. What the table's backups hold goes when they expire: those of
// point-in-time recovery after 35 days.
func (s *Store) Erase(ctx context.Context, person string) (Erased, error) {
	var e Erased
	for _, step := range []func(context.Context, string, *Erased) error{
		s.eraseEntries, s.eraseFacts, s.eraseTombstones, s.eraseHolds, s.eraseIntents,
	} {
		if err := step(ctx, person, &e); err != nil {
			return e, fmt.Errorf("erase person %s: %w", person, err)
		}
	}
	return e, nil
}

// erase makes one change to each of the items, unless it was made already, and
// counts them.
func (s *Store) erase(ctx context.Context, items []item, count *int, c change) error {
	for _, i := range items {
		c.key = keyOf(i)
		err := s.write(ctx, c)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		*count++
	}
	return nil
}

func (s *Store) eraseEntries(ctx context.Context, person string, e *Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("chain", person), where: "attribute_exists(#salt)"})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Entries, change{remove: []string{"salt", "before", "after"}, when: "attribute_exists(#salt)"})
}

func (s *Store) eraseFacts(ctx context.Context, person string, e *Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("fact"), begins: below(person)})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Facts, change{drop: true, when: "attribute_exists(#pk)"})
}

// eraseTombstones looks through all of them: they are as many as there are
// suspended agents, and somebody is forgotten rarely.
func (s *Store) eraseTombstones(ctx context.Context, person string, e *Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("tomb"), where: "#person = :person", with: item{"person": text(person)}})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Tombstones, change{drop: true, when: "#person = :person", with: item{"person": text(person)}})
}

func (s *Store) eraseHolds(ctx context.Context, person string, e *Erased) error {
	pointers, err := s.list(ctx, asked{partition: s.partition("held", person), where: "attribute_exists(#hold)"})
	if err != nil {
		return err
	}
	var entries []item
	for _, i := range pointers {
		entries = append(entries, entryKey(i))
	}
	return s.erase(ctx, entries, &e.Holds, change{remove: []string{"change"}, when: "attribute_exists(#change)"})
}

func (s *Store) eraseIntents(ctx context.Context, person string, e *Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("intent", person)})
	if err != nil {
		return err
	}
	for _, i := range items {
		var intended struct {
			Action plan.Action `json:"action"`
		}
		if i.has("change") {
			if err := json.Unmarshal([]byte(i.text("change")), &intended); err != nil {
				return fmt.Errorf("read an intent: %w", err)
			}
		}
		switch {
		case i.text("username") == "": // the next look makes the same plan again
			err = s.erase(ctx, []item{i}, &e.Intents, change{drop: true, when: "attribute_exists(#pk)"})
		case intended.Action == plan.Create:
			e.Open++
			err = s.erase(ctx, []item{i}, &e.Intents, change{remove: []string{"change"}, when: "attribute_exists(#change)"})
		default:
			e.Open++
		}
		if err != nil {
			return err
		}
	}
	return nil
}
