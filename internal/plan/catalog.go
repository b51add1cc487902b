package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Catalog is what an instance offers, by name.
type Catalog struct {
	RoutingProfiles  Offer
	SecurityProfiles Offer
	Hierarchy        Offer               // by path: "EMEA/Support/Tier 1"
	Attributes       map[string][]string // values of the predefined attributes, by attribute
}

// Offer maps the name of each thing an instance offers to its id.
type Offer map[string]string

// Find gives the id for a name, an id or an ARN.
func (o Offer) Find(ref string) (id string, ok bool) {
	if id, ok := o[ref]; ok {
		return id, true
	}
	ref = bare(ref)
	for _, id := range o {
		if id == ref {
			return id, true
		}
	}
	return "", false
}

// bare gives the id that an ARN ends with, and anything else as it is.
func bare(ref string) string {
	if strings.HasPrefix(ref, "arn:") {
		return ref[strings.LastIndex(ref, "/")+1:]
	}
	return ref
}

// Name gives the name of an id, the first one where it has several, or the id
// itself.
func (o Offer) Name(id string) string {
	best, found := id, false
	for name, other := range o {
		if other == id && (!found || name < best) {
			best, found = name, true
		}
	}
	return best
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

// catalog is a Catalog in which ids are found as fast as names.
type catalog struct {
	Catalog
	routing, security, hierarchy offers
}

type offers struct {
	Offer
	ids map[string]bool
}

func newCatalog(c Catalog) catalog {
	return catalog{Catalog: c, routing: newOffers(c.RoutingProfiles), security: newOffers(c.SecurityProfiles), hierarchy: newOffers(c.Hierarchy)}
}

func newOffers(o Offer) offers {
	ids := make(map[string]bool, len(o))
	for _, id := range o {
		ids[id] = true
	}
	return offers{Offer: o, ids: ids}
}

// find is Offer.Find.
func (o offers) find(ref string) (id string, ok bool) {
	if id, ok := o.Offer[ref]; ok {
		return id, true
	}
	if ref = bare(ref); o.ids[ref] {
		return ref, true
	}
	return "", false
}
