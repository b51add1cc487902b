package okta

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// NewFactDirectory makes a directory of what hook events told, for use without
// access to Okta's API. It knows less than Okta does:
//
//   - Nobody is known before an event about them.
//   - Events tell no status. Everybody known counts as active, and membership
//     alone decides.
//   - The username is the login, as the newest event has it.
//   - First and last name are made of the display name: the first word, and the
//     rest. A single word serves as both.
//   - Only memberships of the groups that are configured now are shown, each by
//     id, exact name or regular expression as in a HookConfig: events about others
//     are not kept, so what is known of those may be long out of date.
//   - There is no record beside the events, so that it never has Evidence.
func NewFactDirectory(facts reconcile.Facts, groups func() []string) reconcile.Directory {
	return &factDirectory{facts: facts, groups: groups}
}

type factDirectory struct {
	facts    reconcile.Facts
	groups   func() []string
	patterns patterns
}

// Person reads one person. See reconcile.Directory.
func (d *factDirectory) Person(ctx context.Context, id string) (plan.Person, error) {
	facts, err := d.facts.Facts(ctx, id)
	if err != nil {
		return plan.Person{}, fmt.Errorf("read the facts about %s: %w", id, err)
	}
	if len(facts) == 0 {
		return plan.Person{}, reconcile.ErrNotFound
	}
	return d.person(facts, d.groups()), nil
}

// People reads everybody, one person at a time. See reconcile.Directory.
func (d *factDirectory) People(ctx context.Context) iter.Seq2[plan.Person, error] {
	return func(yield func(plan.Person, error) bool) {
		groups := d.groups()
		var facts []reconcile.Fact // about one person
		for fact, err := range d.facts.AllFacts(ctx) {
			if err != nil {
				yield(plan.Person{}, fmt.Errorf("read the facts about everybody: %w", err))
				return
			}
			if len(facts) > 0 && facts[0].Person != fact.Person {
				if !yield(d.person(facts, groups), nil) {
					return
				}
				facts = facts[:0]
			}
			facts = append(facts, fact)
		}
		if len(facts) > 0 {
			yield(d.person(facts, groups), nil)
		}
	}
}

// person puts the facts about one person together; there is at least one. Those
// about a group that they have left tell their name all the same.
func (d *factDirectory) person(facts []reconcile.Fact, groups []string) plan.Person {
	newest := facts[0]
	p := plan.Person{ID: newest.Person, Status: plan.StatusActive}
	for _, f := range facts {
		if f.Published.After(newest.Published) {
			newest = f
		}
		if f.Member && d.patterns.configured(groups, f.Group, f.GroupName) {
			p.Groups = append(p.Groups, plan.Group{ID: f.Group, Name: f.GroupName})
		}
	}
	p.Username = newest.Login
	p.FirstName, p.LastName = splitName(newest.DisplayName)
	return p
}

// Evidence confirms nothing. See reconcile.Directory.
func (d *factDirectory) Evidence(context.Context, reconcile.Question) (reconcile.Evidence, error) {
	return reconcile.Evidence{}, nil
}

// Scope is the same always: nothing tells which org the events are from. See
// reconcile.Directory.
func (d *factDirectory) Scope(context.Context) (string, error) { return "hook events", nil }

// Find finds a person by id, or by the login that the newest event about them
// had, whatever its case. See reconcile.Directory.
func (d *factDirectory) Find(ctx context.Context, ref string) (string, error) {
	if isID(ref, "00u") {
		return ref, nil
	}
	var found []string
	for p, err := range d.People(ctx) {
		switch {
		case err != nil:
			return "", fmt.Errorf("find a person: %w", err)
		case ref != "" && (p.ID == ref || strings.EqualFold(p.Username, ref)):
			found = append(found, p.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("find a person by login: %w", reconcile.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("find a person by login: events gave it to %d people: name one by id, of %s and %s", len(found), found[0], found[1])
}

// splitName makes two names of one.
func splitName(displayName string) (first, last string) {
	words := strings.Fields(norm.NFC.String(displayName))
	switch len(words) {
	case 0:
		return "", ""
	case 1:
		return words[0], words[0]
	}
	return words[0], strings.Join(words[1:], " ")
}
