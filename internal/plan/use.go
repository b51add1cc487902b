package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Use is what the settings can give to the agents of one instance, found in its
// catalog: all that a role which carries the plans out must be allowed to give.
type Use struct {
	RoutingProfiles  []Entry
	SecurityProfiles []Entry
	Hierarchy        []Entry
	// Tags are the keys of tags beside ours, sorted.
	Tags []string
	// OpenRouting and OpenHierarchy say why RoutingProfiles and Hierarchy are not
	// all that agents can be given. Empty: they are.
	OpenRouting   []string
	OpenHierarchy []string
	// Faults say what is named and not in the catalog, or may not be given.
	Faults []string
}

// Entry is a thing of the catalog. An id may have several names; this is the
// first of them.
type Entry struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Uses finds what the settings name in the catalog of an instance.
func (s Settings) Uses(instance string, c Catalog) Use {
	u := user{settings: &s, routing: map[string]bool{}, security: map[string]bool{}, hierarchy: map[string]bool{}, tags: map[string]bool{}, c: c}
	for _, name := range slices.Sorted(maps.Keys(s.Personas)) {
		if p := s.Personas[name]; p.Instance == instance {
			u.values(&p.Values, "persona "+name, p.AllowAdmin)
			u.floor(instance, name)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			u.values(r.Set, r.Name, s.anyAdmin(instance))
		}
	}
	u.use.RoutingProfiles = entries(c.RoutingProfiles, u.routing)
	u.use.SecurityProfiles = entries(c.SecurityProfiles, u.security)
	u.use.Hierarchy = entries(c.Hierarchy, u.hierarchy)
	u.use.Tags = slices.Sorted(maps.Keys(u.tags))
	return u.use
}

// anyAdmin tells whether a rule may add Admin to some persona of the instance.
func (s *Settings) anyAdmin(instance string) bool {
	for _, p := range s.Personas {
		if p.Instance == instance && p.AllowAdmin {
			return true
		}
	}
	return false
}

// user collects a Use.
type user struct {
	settings                           *Settings
	c                                  Catalog
	use                                Use
	routing, security, hierarchy, tags map[string]bool // by id, tags by key
}

// values notes what a persona or the set of a rule can give.
func (u *user) values(v *Values, from string, admin bool) {
	if t := v.RoutingProfile; !t.IsZero() {
		u.template(t, from, "routing profile", u.c.RoutingProfiles, u.routing, &u.use.OpenRouting)
	}
	if t := v.Hierarchy; t != nil {
		u.template(*t, from, "hierarchy group", u.c.Hierarchy, u.hierarchy, &u.use.OpenHierarchy)
	}
	for _, ref := range v.SecurityProfiles {
		id, ok := u.find(ref, from, "security profile", u.c.SecurityProfiles)
		if ok && !admin && id == u.c.SecurityProfiles[adminProfile] {
			u.fault("%s names the security profile %q, which is %s and may do everything; the persona must say allow_admin", from, ref, adminProfile)
			continue
		}
		if ok {
			u.security[id] = true
		}
	}
	for key := range v.Tags {
		u.tags[key] = true
	}
}

// template notes what a template gives, or that it cannot be known before people
// are looked at.
func (u *user) template(t Template, from, what string, o Offer, into map[string]bool, open *[]string) {
	if len(t.Slots()) > 0 {
		*open = append(*open, fmt.Sprintf("%s takes the %s from people or their groups: %s", from, what, t.Text()))
		return
	}
	ref, err := t.fill(nil, nil)
	if err != nil || ref == "" { // in no group
		return
	}
	if id, ok := u.find(ref, from, what, o); ok {
		into[id] = true
	}
}

// floor notes what agents of a persona can have by the choice of the floor, and
// are given back when a suspension or a replacement is over.
func (u *user) floor(instance, persona string) {
	s := u.settings
	parked := s.Leavers.SuspendAs[instance]
	for _, f := range []struct {
		field Field
		what  string
		offer Offer
		into  map[string]bool
		open  *[]string
	}{
		{FieldRouting, "routing profile", u.c.RoutingProfiles, u.routing, &u.use.OpenRouting},
		{FieldHierarchy, "hierarchy group", u.c.Hierarchy, u.hierarchy, &u.use.OpenHierarchy},
		{FieldSecurity, "security profile", u.c.SecurityProfiles, u.security, nil},
	} {
		a := s.authority(persona, f.field)
		from := fmt.Sprintf("the authority over the %s of persona %s", f.what, persona)
		switch {
		case a.Mode == Allowed:
			for _, ref := range a.Allowed {
				if id, ok := u.find(ref, from, f.what, f.offer); ok {
					f.into[id] = true
				}
			}
		case a.Mode != Enforce && f.open != nil && persona != parked && (s.Policy == Sync || parked != "") && s.managed(instance)[f.field]:
			*f.open = append(*f.open, fmt.Sprintf("%s is %s: an agent who comes back gets the one that the floor had chosen", from, a.Mode))
		}
	}
}

func (u *user) find(ref, from, what string, o Offer) (id string, ok bool) {
	if id, ok = o.Find(ref); !ok {
		u.fault("%s names the %s %q, which the instance does not have%s", from, what, ref, o.hint(ref))
	}
	return id, ok
}

func (u *user) fault(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(u.use.Faults, text) {
		u.use.Faults = append(u.use.Faults, text)
	}
}

func entries(o Offer, ids map[string]bool) []Entry {
	out := []Entry{}
	for id := range ids {
		out = append(out, Entry{Name: o.Name(id), ID: id})
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Entries gives what is offered, sorted by name.
func (o Offer) Entries() []Entry {
	out := []Entry{}
	for name, id := range o {
		out = append(out, Entry{Name: name, ID: id})
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}
