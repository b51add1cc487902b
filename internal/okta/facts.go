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
//     id or exact name as in a HookConfig: events about others are not kept, so
//     what is known of those may be long out of date.
func NewFactDirectory(facts reconcile.Facts, groups func() []string) reconcile.Directory {
	return factDirectory{facts: facts, groups: groups}
}

type factDirectory struct {
	facts  reconcile.Facts
	groups func() []string
}

// Person reads one person. See reconcile.Directory.
func (d factDirectory) Person(ctx context.Context, id string) (plan.Person, error) {
	facts, err := d.facts.Facts(ctx, id)
	if err != nil {
		return plan.Person{}, fmt.Errorf("read the facts about %s: %w", id, err)
	}
	if len(facts) == 0 {
		return plan.Person{}, reconcile.ErrNotFound
	}
	return person(facts, d.groups()), nil
}

// People reads everybody, one person at a time. See reconcile.Directory.
func (d factDirectory) People(ctx context.Context) iter.Seq2[plan.Person, error] {
	return func(yield func(plan.Person, error) bool) {
		groups := d.groups()
		var facts []reconcile.Fact // about one person
		for fact, err := range d.facts.AllFacts(ctx) {
			if err != nil {
				yield(plan.Person{}, fmt.Errorf("read the facts about everybody: %w", err))
				return
			}
			if len(facts) > 0 && facts[0].Person != fact.Person {
				if !yield(person(facts, groups), nil) {
					return
				}
				facts = facts[:0]
			}
			facts = append(facts, fact)
		}
		if len(facts) > 0 {
			yield(person(facts, groups), nil)
		}
	}
}

// person puts the facts about one person together; there is at least one. Those
// about a group that they have left tell their name all the same.
func person(facts []reconcile.Fact, groups []string) plan.Person {
	newest := facts[0]
	p := plan.Person{ID: newest.Person, Status: plan.StatusActive}
	for _, f := range facts {
		if f.Published.After(newest.Published) {
			newest = f
		}
		if f.Member && configured(groups, f.Group, f.GroupName) {
			p.Groups = append(p.Groups, plan.Group{ID: f.Group, Name: f.GroupName})
		}
	}
	p.Username = newest.Login
	p.FirstName, p.LastName = splitName(newest.DisplayName)
	return p
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
