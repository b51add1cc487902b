package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Facts implements reconcile.Facts.
func (m *Memory) Facts(_ context.Context, person string) ([]reconcile.Fact, error) {
	var facts []reconcile.Fact
	for _, f := range m.sortedFacts() {
		if f.Person == person {
			facts = append(facts, f)
		}
	}
	return facts, nil
}

// AllFacts implements reconcile.Facts.
func (m *Memory) AllFacts(ctx context.Context) iter.Seq2[reconcile.Fact, error] {
	return func(yield func(reconcile.Fact, error) bool) {
		for _, f := range m.sortedFacts() {
			if err := ctx.Err(); err != nil {
				yield(reconcile.Fact{}, err)
				return
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (m *Memory) sortedFacts() []reconcile.Fact {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.facts), func(a, b reconcile.Fact) int {
		return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Group, b.Group))
	})
}

// Agents implements reconcile.Index.
func (m *Memory) Agents(_ context.Context, owner string) ([]reconcile.Known, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []reconcile.Known
	for _, k := range m.agents {
		if k.Owner == owner {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b reconcile.Known) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Agent, b.Agent))
	})
	return list, nil
}

// Remember implements reconcile.Index.
func (m *Memory) Remember(_ context.Context, known ...reconcile.Known) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range known {
		k.Since, k.Absent = cut(k.Since), cut(k.Absent)
		m.agents[[2]string{k.Instance, k.Agent}] = k
	}
	return nil
}

// Forget implements reconcile.Index.
func (m *Memory) Forget(_ context.Context, instance, agent string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.agents, [2]string{instance, agent})
	return nil
}

// Rebuild implements reconcile.Index.
func (m *Memory) Rebuild(_ context.Context, instance string, before time.Time, known []reconcile.Known) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := maps.Clone(m.agents)
	maps.DeleteFunc(m.agents, func(_ [2]string, k reconcile.Known) bool { return k.Instance == instance && !k.Since.After(before) })
	for _, k := range known {
		k.Instance, k.Since, k.Absent = instance, cut(k.Since), cut(k.Absent)
		key := [2]string{instance, k.Agent}
		if o, ok := old[key]; ok {
			k.Since = o.Since
		}
		m.agents[key] = k
	}
	return nil
}

// Owned implements reconcile.Index.
func (m *Memory) Owned(_ context.Context, instance string) (all int, groups map[string]int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	groups = map[string]int{}
	for _, k := range m.agents {
		if k.Instance != instance || k.Retired {
			continue
		}
		all++
		if k.Group != "" {
			groups[k.Group]++
		}
	}
	return all, groups, nil
}

// Intent implements reconcile.Intents.
func (m *Memory) Intent(_ context.Context, person, instance string) (reconcile.Intent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	intent, ok := m.intents[[2]string{person, instance}]
	if !ok {
		return intent, reconcile.ErrNotFound
	}
	intent.Change = stored(intent.Change)
	return intent, nil
}

// SaveIntent implements reconcile.Intents.
func (m *Memory) SaveIntent(_ context.Context, i reconcile.Intent) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i.Change, i.Started, i.Taken = stored(i.Change), cut(i.Started), cut(i.Taken)
	m.intents[[2]string{i.Person, i.Instance}] = i
	return nil
}

// DropIntent implements reconcile.Intents.
func (m *Memory) DropIntent(_ context.Context, person, instance string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.intents, [2]string{person, instance})
	return nil
}

// SaveTombstone implements reconcile.Tombstones.
func (m *Memory) SaveTombstone(_ context.Context, b reconcile.Tombstone) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.tombs[b.Agent.ID]; !ok {
		b.Agent, b.Taken = *stored(&b.Agent), cut(b.Taken)
		m.tombs[b.Agent.ID] = b
	}
	return nil
}

// Tombstones implements reconcile.Tombstones.
func (m *Memory) Tombstones(_ context.Context, agents ...string) (map[string]reconcile.Tombstone, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]reconcile.Tombstone{}
	for _, id := range agents {
		if b, ok := m.tombs[id]; ok {
			b.Agent = *stored(&b.Agent)
			found[id] = b
		}
	}
	return found, nil
}

// DropTombstone implements reconcile.Tombstones.
func (m *Memory) DropTombstone(_ context.Context, agent string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tombs, agent)
	return nil
}

// Note implements reconcile.Notes.
func (m *Memory) Note(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.notes[name]
	if !ok {
		return "", reconcile.ErrNotFound
	}
	return text, nil
}

// SaveNote implements reconcile.Notes.
func (m *Memory) SaveNote(_ context.Context, name, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes[name] = text
	return nil
}

// Erase implements Backend.
func (m *Memory) Erase(_ context.Context, person string) (reconcile.Erased, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var e reconcile.Erased
	for i := range m.journal {
		if j := &m.journal[i]; j.Person == person && j.salt != nil {
			j.salt, j.Before, j.After = nil, nil, nil
			e.Entries++
		}
	}
	for key := range m.facts {
		if key[0] == person {
			delete(m.facts, key)
			e.Facts++
		}
	}
	for agent, b := range m.tombs {
		if b.Person == person {
			delete(m.tombs, agent)
			e.Tombstones++
		}
	}
	for _, h := range m.held {
		if h.Person == person && h.Change != nil {
			h.Change = nil
			e.Holds++
		}
	}
	for key, i := range m.intents {
		switch {
		case i.Person != person:
		case !i.Making():
			delete(m.intents, key)
			e.Intents++
		default:
			e.Open++
			if i.Change != nil && i.Change.Action == plan.Create {
				i.Change = nil
				m.intents[key] = i
				e.Intents++
			}
		}
	}
	return e, nil
}

// cut is a time as every backend keeps it.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Truncate(time.Microsecond).UTC()
}

// stored is a value as it comes back from where it is kept as JSON. It shares
// nothing with the one that was given.
func stored[T any](v *T) *T {
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	c := new(T)
	if err == nil {
		err = json.Unmarshal(text, c)
	}
	if err != nil {
		panic(fmt.Sprintf("storetest: %T cannot be kept as JSON: %v", v, err))
	}
	return c
}
