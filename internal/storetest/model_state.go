package storetest

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// testStateModel runs random histories of the index, the intents and the
// tombstones against plain maps.
func testStateModel(t *testing.T, open func(t *testing.T, now func() time.Time) Backend) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := NewClock()
		m := &stateModel{
			outer: t, clock: clock, backend: open(t, clock.Now), known: map[[2]string]reconcile.Known{},
			intents: map[[2]string]reconcile.Intent{}, tombs: map[string]reconcile.Tombstone{},
		}
		defer func() { _ = m.backend.Close() }()
		actions := map[string]func(*rapid.T){
			"remember":  m.remember,
			"forget":    m.forget,
			"rebuild":   m.rebuild,
			"intend":    m.intend,
			"drop":      m.drop,
			"entomb":    m.entomb,
			"resurrect": m.resurrect,
			"erase":     m.erase,
			"advance":   func(*rapid.T) { m.clock.Advance(time.Minute) },
			"":          m.check,
		}
		if _, ok := m.backend.(Reopener); ok {
			actions["reopen"] = func(*rapid.T) { m.backend = m.backend.(Reopener).Reopen(t) }
		}
		rt.Repeat(actions)
	})
}

type stateModel struct {
	outer   *testing.T
	clock   *Clock
	backend Backend
	known   map[[2]string]reconcile.Known  // by instance and agent
	intents map[[2]string]reconcile.Intent // by person and instance
	tombs   map[string]reconcile.Tombstone
}

var (
	modelInstances = []string{"", "eu"}
	modelPeople    = []string{"a", "b", "c"}
	modelAgents    = []string{"agent-1", "agent-2", "agent-3", "agent-4"}
)

func (m *stateModel) draw(t *rapid.T) reconcile.Known {
	k := reconcile.Known{
		Instance: rapid.SampledFrom(modelInstances).Draw(t, "instance"), Owner: rapid.SampledFrom(modelPeople).Draw(t, "owner"),
		Agent: rapid.SampledFrom(modelAgents).Draw(t, "agent"), Retired: rapid.Bool().Draw(t, "retired"),
		Group: rapid.SampledFrom([]string{"", "g", "h"}).Draw(t, "group"), Cliff: rapid.SampledFrom([]string{"", "cliff"}).Draw(t, "cliff"),
	}
	if rapid.Bool().Draw(t, "made") {
		k.Since = m.clock.Now()
	}
	if rapid.Bool().Draw(t, "absent") {
		k.Absent = m.clock.Now()
	}
	return k
}

func (m *stateModel) remember(t *rapid.T) {
	var list []reconcile.Known
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		list = append(list, m.draw(t))
	}
	for _, k := range list {
		m.known[[2]string{k.Instance, k.Agent}] = k
	}
	m.must(t, m.backend.Remember(m.outer.Context(), list...))
}

func (m *stateModel) forget(t *rapid.T) {
	k := m.draw(t)
	delete(m.known, [2]string{k.Instance, k.Agent})
	m.must(t, m.backend.Forget(m.outer.Context(), k.Instance, k.Agent))
}

func (m *stateModel) rebuild(t *rapid.T) {
	instance := rapid.SampledFrom(modelInstances).Draw(t, "instance")
	before := m.clock.Now().Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "minutes")) * time.Minute)
	seen := map[string]reconcile.Known{}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		k := m.draw(t)
		k.Instance = instance
		seen[k.Agent] = k
	}
	list := slices.Collect(maps.Values(seen))
	for key, k := range m.known {
		s, stays := seen[k.Agent]
		switch {
		case k.Instance != instance:
		case stays:
			s.Since = k.Since
			seen[k.Agent] = s
		case !k.Since.After(before):
			delete(m.known, key)
		}
	}
	for _, k := range seen {
		m.known[[2]string{instance, k.Agent}] = k
	}
	m.must(t, m.backend.Rebuild(m.outer.Context(), instance, before, list))
}

func (m *stateModel) intend(t *rapid.T) {
	i := reconcile.Intent{
		Person: rapid.SampledFrom(modelPeople).Draw(t, "person"), Instance: rapid.SampledFrom(modelInstances).Draw(t, "instance"),
		Started: m.clock.Now(), Looks: rapid.IntRange(0, 3).Draw(t, "looks"), Creates: rapid.IntRange(0, 3).Draw(t, "creates"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0: // a creation of which no more is known
		i.Username, i.Taken = "ada", m.clock.Now()
	case 1:
		i.Username, i.Change = "ada", change(i.Person, plan.Create)
	case 2:
		i.Username, i.Change = "ada", change(i.Person, plan.Replace)
	default:
		i.Change = change(i.Person, plan.Suspend)
	}
	m.intents[[2]string{i.Person, i.Instance}] = i
	m.must(t, m.backend.SaveIntent(m.outer.Context(), i))
}

func (m *stateModel) drop(t *rapid.T) {
	person, instance := rapid.SampledFrom(modelPeople).Draw(t, "person"), rapid.SampledFrom(modelInstances).Draw(t, "instance")
	delete(m.intents, [2]string{person, instance})
	m.must(t, m.backend.DropIntent(m.outer.Context(), person, instance))
}

func (m *stateModel) entomb(t *rapid.T) {
	b := reconcile.Tombstone{
		Instance: rapid.SampledFrom(modelInstances).Draw(t, "instance"), Person: rapid.SampledFrom(modelPeople).Draw(t, "person"),
		Taken: m.clock.Now(),
	}
	b.Agent = *change(b.Person, plan.Suspend).Before
	b.Agent.ID = rapid.SampledFrom(modelAgents).Draw(t, "agent")
	if _, ok := m.tombs[b.Agent.ID]; !ok {
		m.tombs[b.Agent.ID] = b
	}
	m.must(t, m.backend.SaveTombstone(m.outer.Context(), b))
}

func (m *stateModel) resurrect(t *rapid.T) {
	agent := rapid.SampledFrom(modelAgents).Draw(t, "agent")
	delete(m.tombs, agent)
	m.must(t, m.backend.DropTombstone(m.outer.Context(), agent))
}

func (m *stateModel) erase(t *rapid.T) {
	person := rapid.SampledFrom(modelPeople).Draw(t, "person")
	var want reconcile.Erased
	for agent, b := range m.tombs {
		if b.Person == person {
			delete(m.tombs, agent)
			want.Tombstones++
		}
	}
	for key, i := range m.intents {
		switch {
		case i.Person != person:
		case i.Username == "":
			delete(m.intents, key)
			want.Intents++
		case i.Change != nil && i.Change.Action == plan.Create:
			i.Change = nil
			m.intents[key] = i
			want.Intents++
			want.Open++
		default:
			want.Open++
		}
	}
	got, err := m.backend.Erase(m.outer.Context(), person)
	m.must(t, err)
	if got != want {
		t.Fatalf("erased %+v, want %+v", got, want)
	}
}

func (m *stateModel) must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check compares everything that the backend shows with the model.
func (m *stateModel) check(t *rapid.T) {
	same := func(what string, want, got any) {
		t.Helper()
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
	}
	for _, owner := range modelPeople {
		var want []reconcile.Known
		for _, k := range m.known {
			if k.Owner == owner {
				want = append(want, k)
			}
		}
		slices.SortFunc(want, func(a, b reconcile.Known) int {
			return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Agent, b.Agent))
		})
		got, err := m.backend.Agents(m.outer.Context(), owner)
		m.must(t, err)
		same("agents of "+owner, want, got)
		for _, instance := range modelInstances {
			want, open := m.intents[[2]string{owner, instance}]
			got, err := m.backend.Intent(m.outer.Context(), owner, instance)
			if open != (err == nil) || err != nil && !errors.Is(err, reconcile.ErrNotFound) {
				t.Fatalf("intent of %s in %q: error %v, open: %v", owner, instance, err, open)
			}
			same("intent of "+owner, want, got)
		}
	}
	for _, instance := range modelInstances {
		all, groups := 0, map[string]int{}
		for _, k := range m.known {
			if k.Instance == instance && !k.Retired {
				all++
				if k.Group != "" {
					groups[k.Group]++
				}
			}
		}
		gotAll, gotGroups, err := m.backend.Owned(m.outer.Context(), instance)
		m.must(t, err)
		same("owned", []any{all, groups}, []any{gotAll, gotGroups})
	}
	got, err := m.backend.Tombstones(m.outer.Context(), modelAgents...)
	m.must(t, err)
	same("tombstones", m.tombs, got)
}
