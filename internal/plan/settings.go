package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Settings are what the owner of a deployment decided: a compiled configuration.
type Settings struct {
	Deployment string // the stable name of this deployment
	Policy     Policy
	Personas   map[string]Persona
	Rules      []Rule // in order: the first that matches and names a persona gives it
}

// Policy says how far changes may go.
type Policy string

// The policies. Only CreateOnly is implemented so far.
const (
	CreateOnly Policy = "create-only" // create
	UpsertOnly Policy = "upsert-only" // and update, resume
	Sync       Policy = "sync"        // and suspend, replace, delete
)

// Persona is a named kind of agent. Profiles are names, ids or ARNs.
type Persona struct {
	RoutingProfile   string
	SecurityProfiles []string // 1 to 10
	AllowAdmin       bool     // may hold the security profile Admin, under whatever reference
	Phone            Phone
}

// Rule gives a persona to the people in any of its groups.
type Rule struct {
	Groups  []string // Okta group ids, or names in full
	Persona string
}

// matches gives the first group of the rule, in the rule's order, that the
// person is in. A group that is meant by its id comes before one that merely
// bears that id as its name.
func (r Rule) matches(p Person) (Group, bool) {
	for _, ref := range r.Groups {
		if i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.ID == ref }); i >= 0 {
			return p.Groups[i], true
		}
		if i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == ref }); i >= 0 {
			return p.Groups[i], true
		}
	}
	return Group{}, false
}

// Catalog is what an instance offers, by name.
type Catalog struct {
	RoutingProfiles  Offer
	SecurityProfiles Offer
}

// Offer maps the name of each thing an instance offers to its id.
type Offer map[string]string

// Find gives the id for a name, an id or an ARN.
func (o Offer) Find(ref string) (id string, ok bool) {
	if id, ok := o[ref]; ok {
		return id, true
	}
	if strings.HasPrefix(ref, "arn:") {
		ref = ref[strings.LastIndex(ref, "/")+1:]
	}
	for _, id := range o {
		if id == ref {
			return id, true
		}
	}
	return "", false
}

// hint names the entry that a misspelled name most likely meant.
func (o Offer) hint(ref string) string {
	names := slices.Sorted(maps.Keys(o))
	for _, name := range names {
		if strings.EqualFold(name, strings.TrimSpace(ref)) {
			return fmt.Sprintf("; it offers %q", name)
		}
	}
	if len(names) == 0 || len(names) > 8 {
		return ""
	}
	return fmt.Sprintf("; it offers %q", names)
}
