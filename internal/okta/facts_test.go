package okta_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// shelf holds facts, ordered by person and group, and may break at one of them.
type shelf struct {
	facts []reconcile.Fact
	fault int // the place that cannot be read; zero: all can
}

var errShelf = errors.New("the disk broke")

func (s shelf) Facts(_ context.Context, person string) ([]reconcile.Fact, error) {
	if s.fault > 0 {
		return nil, errShelf
	}
	var found []reconcile.Fact
	for _, f := range s.facts {
		if f.Person == person {
			found = append(found, f)
		}
	}
	return found, nil
}

func (s shelf) AllFacts(context.Context) iter.Seq2[reconcile.Fact, error] {
	return func(yield func(reconcile.Fact, error) bool) {
		for i, f := range s.facts {
			if s.fault == i+1 {
				yield(reconcile.Fact{}, errShelf)
				return
			}
			if !yield(f, nil) {
				return
			}
		}
		if s.fault > len(s.facts) {
			yield(reconcile.Fact{}, errShelf)
		}
	}
}

func fact(person, group string, member bool, second int, login, name string) reconcile.Fact {
	return reconcile.Fact{
		Person: person, Group: group, GroupName: "name of " + group, Login: login, DisplayName: name,
		Member: member, Published: time.Date(2026, 11, 20, 10, 0, second, 0, time.UTC),
	}
}

func directory(s shelf) reconcile.Directory {
	return okta.NewFactDirectory(s, func() []string { return []string{"g1", "name of g2"} })
}

func TestFactDirectoryPerson(t *testing.T) {
	t.Parallel()
	d := directory(shelf{facts: []reconcile.Fact{
		fact("ana", "g1", true, 1, "old@example.com", "Old Name"),
		fact("ana", "g2", false, 3, "New@example.com", "New Name"),
		fact("ana", "g3", true, 2, "mid@example.com", "Mid Name"),
		fact("bo", "g1", true, 1, "bo@example.com", "Bo"),
		fact("bo", "g2", true, 1, "later-in-order@example.com", "Li"),
		fact("cy", "g3", true, 1, "cy@example.com", "Cy Coe"),
	}})
	tests := map[string]plan.Person{
		"ana": { // g2 was left, g3 is not configured, and the name is that of the newest event
			ID: "ana", Username: "New@example.com", FirstName: "New", LastName: "Name", Status: plan.StatusActive,
			Groups: []plan.Group{{ID: "g1", Name: "name of g1"}},
		},
		"bo": {
			ID: "bo", Username: "bo@example.com", FirstName: "Bo", LastName: "Bo", Status: plan.StatusActive,
			Groups: []plan.Group{{ID: "g1", Name: "name of g1"}, {ID: "g2", Name: "name of g2"}},
		},
		"cy": {ID: "cy", Username: "cy@example.com", FirstName: "Cy", LastName: "Coe", Status: plan.StatusActive},
	}
	for id, want := range tests {
		got, err := d.Person(t.Context(), id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	if _, err := d.Person(t.Context(), "dee"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("error %v for somebody unknown, want ErrNotFound", err)
	}
	if _, err := directory(shelf{fault: 1}).Person(t.Context(), "ana"); !errors.Is(err, errShelf) || errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("error %v from a broken store", err)
	}
}

func TestFactDirectoryPeople(t *testing.T) {
	t.Parallel()
	facts := []reconcile.Fact{
		fact("ana", "g1", true, 1, "ana", "Ana Silva"),
		fact("ana", "g2", true, 2, "ana", "Ana Silva"),
		fact("bo", "g1", false, 1, "bo", "Bo Li"),
		fact("cy", "g2", true, 1, "cy", "Cy Coe"),
		fact("cy", "g3", true, 1, "cy", "Cy Coe"),
	}
	read := func(s shelf) (ids []string, failure error) {
		for p, err := range directory(s).People(t.Context()) {
			if failure != nil {
				t.Error("something follows an error")
			}
			if err != nil {
				failure = err
				continue
			}
			one, err := directory(shelf{facts: facts}).Person(t.Context(), p.ID)
			if diff := cmp.Diff(one, p); err != nil || diff != "" {
				t.Errorf("%s alone and among all (-alone +all), error %v:\n%s", p.ID, err, diff)
			}
			ids = append(ids, p.ID)
		}
		return ids, failure
	}
	ids, err := read(shelf{facts: facts})
	if diff := cmp.Diff([]string{"ana", "bo", "cy"}, ids); err != nil || diff != "" {
		t.Errorf("error %v, people (-want +got):\n%s", err, diff)
	}
	if ids, err := read(shelf{}); len(ids) != 0 || err != nil {
		t.Errorf("people %v, error %v of an empty store", ids, err)
	}
	for fault := 1; fault <= len(facts)+1; fault++ {
		ids, err := read(shelf{facts: facts, fault: fault})
		if !errors.Is(err, errShelf) {
			t.Errorf("broken at %d: people %v, error %v", fault, ids, err)
		}
	}
	for range directory(shelf{facts: facts}).People(t.Context()) {
		break // whoever stops early is not called again: range would panic
	}
}

// S6: names keep all their words.
func TestS6Names(t *testing.T) {
	t.Parallel()
	tests := []struct{ display, first, last string }{
		{"Maria del Carmen Lopez", "Maria", "del Carmen Lopez"},
		{"Ana Silva", "Ana", "Silva"},
		{"Cher", "Cher", "Cher"},
		{"  Ana \t de  la   Cruz\n", "Ana", "de la Cruz"},
		{"Ana\u00a0Silva", "Ana", "Silva"},
		{"", "", ""},
		{" \u2003 ", "", ""},
		{"Zoe\u0308 A\u030angstro\u0308m", "Zoë", "Ångström"},
		{"李 小龍", "李", "小龍"},
		{"O'Neil-Smith, Jr.", "O'Neil-Smith,", "Jr."},
	}
	for _, test := range tests {
		d := directory(shelf{facts: []reconcile.Fact{fact("ana", "g1", true, 1, "ana", test.display)}})
		p, err := d.Person(t.Context(), "ana")
		if err != nil || p.FirstName != test.first || p.LastName != test.last {
			t.Errorf("%q: first %q, last %q, error %v; want %q and %q", test.display, p.FirstName, p.LastName, err, test.first, test.last)
		}
	}
}
