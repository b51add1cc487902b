package okta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// Page sizes. Source: Okta Management API; 200 is what it advises for groups and
// members, 500 what app users allow.
const (
	groupPage   = 200
	appPage     = 200
	appUserPage = 500
)

// maxTerms is how many groups are asked for in one call: an id or a name makes
// the URL longer.
const maxTerms = 40

// maxAppAge is how long an app that was seen to exist is taken to do so.
const maxAppAge = time.Minute

// described is a mapped group as Okta has it now.
type described struct{ oktaGroup }

// Groups gives the mapped groups as Okta has them now, each once. A group that
// is mapped by its name is looked up once, and is that group from then on: if it
// is renamed that is an error, as it is if a group is gone, or if a name stands
// for none or for several. All that is wrong is told at once. A regular
// expression means whatever matches now, which may be nothing.
func (d *Directory) Groups(ctx context.Context) ([]plan.Group, error) {
	found, err := d.describe(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]plan.Group, 0, len(found))
	for _, g := range found {
		out = append(out, convertGroup(g.oktaGroup))
	}
	return out, nil
}

// describe reads the mapped groups, with the number of their members.
func (d *Directory) describe(ctx context.Context) ([]described, error) {
	ids, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	refs := d.refs()
	var expressions []string
	for _, ref := range refs {
		if isPattern(ref) {
			expressions = append(expressions, ref)
		}
	}
	candidates, err := d.candidates(ctx, expressions)
	if err != nil {
		return nil, err
	}
	wanted := slices.Collect(maps.Keys(candidates))
	byID, err := d.groupsByID(ctx, slices.AppendSeq(wanted, maps.Values(ids)))
	if err != nil {
		return nil, err
	}
	if err := d.settle(ctx, expressions, candidates, byID); err != nil {
		return nil, err
	}
	var out []described
	var faults []error
	add := func(g oktaGroup) {
		if !slices.ContainsFunc(out, func(o described) bool { return o.ID == g.ID }) {
			out = append(out, described{g})
		}
	}
	for _, ref := range refs {
		if isPattern(ref) {
			for _, g := range d.matching(ref, byID) {
				add(g)
			}
			continue
		}
		g, ok := byID[ids[ref]]
		switch {
		case !ok:
			d.unlearn(ref)
			faults = append(faults, fmt.Errorf("group %q (%s) does not exist in okta, or the credential's admin role does not show it", ref, ids[ref]))
		case ref != g.ID && ref != g.Profile.Name:
			faults = append(faults, renamed(ref, convertGroup(g)))
		default:
			add(g)
		}
	}
	return out, errors.Join(faults...)
}

// matching gives those of the groups that a regular expression means, by name.
func (d *Directory) matching(ref string, byID map[string]oktaGroup) []oktaGroup {
	var out []oktaGroup
	for _, g := range byID {
		if d.patterns.matches(ref, g.Profile.Name) {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b oktaGroup) int {
		return cmp.Or(strings.Compare(a.Profile.Name, b.Profile.Name), strings.Compare(a.ID, b.ID))
	})
	return out
}

func renamed(ref string, g plan.Group) error {
	return fmt.Errorf("group %q (%s) is now named %q in okta: map it by its id or by its new name", ref, g.ID, g.Name)
}

// refs gives what the groups are mapped by, in order, each once.
func (d *Directory) refs() []string {
	var out []string
	for _, ref := range d.config.Groups() {
		if ref != "" && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

// resolve gives the id of each group that is mapped by its id or name. It makes
// calls for names alone that it does not know yet.
func (d *Directory) resolve(ctx context.Context) (map[string]string, error) {
	refs := d.refs()
	ids := map[string]string{}
	var unknown []string
	d.mu.Lock()
	for _, ref := range refs {
		switch id := d.ids[ref]; {
		case isPattern(ref):
		case isID(ref, "00g"):
			ids[ref] = ref
		case id != "":
			ids[ref] = id
		default:
			unknown = append(unknown, ref)
		}
	}
	d.ids = ids // which forgets the groups that are not mapped any more
	d.mu.Unlock()
	if len(unknown) == 0 {
		return ids, nil
	}
	found, err := d.lookUp(ctx, unknown)
	d.mu.Lock()
	defer d.mu.Unlock()
	all := maps.Clone(ids)
	maps.Copy(all, found)
	d.ids = all
	return all, err
}

// unlearn makes the next resolve look a name up again.
func (d *Directory) unlearn(ref string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = maps.Clone(d.ids)
	delete(d.ids, ref)
}

// lookUp finds groups by their exact names. The search index may lag behind, so
// a name that it does not know is asked for in another way too.
func (d *Directory) lookUp(ctx context.Context, names []string) (map[string]string, error) {
	found := map[string][]string{}
	collect := func(query url.Values) error {
		groups, err := list(ctx, d.client, apiCall{
			what: "look groups up by name", class: classGroups, url: d.client.path(query, "groups"), patience: patient,
		}, func(g oktaGroup) string { return g.ID }, nil)
		for _, g := range groups {
			if slices.Contains(names, g.Profile.Name) && !slices.Contains(found[g.Profile.Name], g.ID) {
				found[g.Profile.Name] = append(found[g.Profile.Name], g.ID)
			}
		}
		return err
	}
	for chunk := range slices.Chunk(names, maxTerms) {
		if err := collect(url.Values{"search": {anyOf("profile.name", chunk)}, "limit": {strconv.Itoa(groupPage)}}); err != nil {
			return nil, err
		}
	}
	ids := map[string]string{}
	var faults []error
	for _, name := range names {
		if len(found[name]) == 0 {
			if err := collect(url.Values{"q": {name}}); err != nil {
				return nil, err
			}
		}
		switch len(found[name]) {
		case 0:
			faults = append(faults, fmt.Errorf("okta has no group named %q, or the credential's admin role does not show it", name))
		case 1:
			ids[name] = found[name][0]
		default:
			slices.Sort(found[name])
			faults = append(faults, fmt.Errorf("okta has %d groups named %q: map it by its id, one of %q", len(found[name]), name, found[name]))
		}
	}
	return ids, errors.Join(faults...)
}

// groupsByID reads groups, with the number of their members.
func (d *Directory) groupsByID(ctx context.Context, ids []string) (map[string]oktaGroup, error) {
	wanted := slices.Compact(slices.Sorted(slices.Values(ids)))
	byID := map[string]oktaGroup{}
	for chunk := range slices.Chunk(wanted, maxTerms) {
		query := url.Values{"filter": {anyOf("id", chunk)}, "expand": {"stats"}, "limit": {strconv.Itoa(groupPage)}}
		groups, err := list(ctx, d.client, apiCall{
			what: "read the mapped groups", class: classGroups, url: d.client.path(query, "groups"), patience: patient,
		}, func(g oktaGroup) string { return g.ID }, nil)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if !slices.Contains(chunk, g.ID) {
				return nil, fmt.Errorf("read the mapped groups: %w", oddAnswer("a group that was not asked for"))
			}
			byID[g.ID] = g
		}
	}
	return byID, nil
}

// anyOf makes a filter of Okta's: the attribute has one of the values.
func anyOf(attribute string, values []string) string {
	terms := make([]string, len(values))
	for i, v := range values {
		terms[i] = attribute + " eq " + quoted(v)
	}
	return strings.Join(terms, " or ")
}

// quoted makes a text of a filter.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// isID reports whether s is the id of an Okta object of a kind.
func isID(s, prefix string) bool {
	return len(s) == 20 && strings.HasPrefix(s, prefix) && oktaID(s)
}

// mapped reports whether a group that an event names is mapped. It knows those
// by name under any name, once they are resolved, and those by a regular
// expression until a reading shows them under a name that does not match.
func (d *Directory) mapped(id, name string) bool {
	refs := d.refs()
	if d.patterns.configured(refs, id, name) {
		if oktaID(id) && slices.ContainsFunc(refs, func(ref string) bool { return isPattern(ref) && d.patterns.matches(ref, name) }) {
			d.seen.hear(id)
		}
		return true
	}
	if slices.ContainsFunc(refs, func(ref string) bool { return isPattern(ref) && d.seen.means(ref, id) }) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(refs, func(ref string) bool { return d.ids[ref] == id && id != "" })
}

// renamedAmong gives the error for a group of a person that is not named as it
// is mapped any more. The rules would not see it, and take it away.
func (d *Directory) renamedAmong(groups []plan.Group) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, ref := range d.refs() {
		for _, g := range groups {
			if g.ID != ref && g.ID == d.ids[ref] && g.Name != ref {
				return renamed(ref, g)
			}
		}
	}
	return nil
}

// appID gives the id of the configured app; empty: none is. It makes calls once.
func (d *Directory) appID(ctx context.Context, patience time.Duration) (string, error) {
	ref := d.config.App
	if ref == "" || isID(ref, "0oa") {
		return ref, nil
	}
	d.mu.Lock()
	id := d.app
	d.mu.Unlock()
	if id != "" {
		return id, nil
	}
	query := url.Values{"q": {ref}, "limit": {strconv.Itoa(appPage)}}
	apps, err := list(ctx, d.client, apiCall{
		what: "look the app up", class: classApps, url: d.client.path(query, "apps"), patience: patience,
	}, func(a oktaApp) string { return a.ID }, nil)
	if err != nil {
		return "", err
	}
	apps = slices.DeleteFunc(apps, func(a oktaApp) bool { return a.Label != ref })
	switch len(apps) {
	case 0:
		return "", fmt.Errorf("okta has no app labelled %q, or the credential's admin role does not show it", ref)
	case 1:
		d.mu.Lock()
		defer d.mu.Unlock()
		d.app = apps[0].ID
		return d.app, nil
	}
	return "", fmt.Errorf("okta has %d apps labelled %q: configure it by its id", len(apps), ref)
}

// appExists gives an error if the app is gone: then the lack of an assignment
// says nothing about a person.
func (d *Directory) appExists(ctx context.Context, id string, patience time.Duration) error {
	d.mu.Lock()
	age := d.client.config.Now().Sub(d.appSeen)
	d.mu.Unlock()
	if age >= 0 && age < maxAppAge {
		return nil
	}
	var app oktaApp
	err := d.client.object(ctx, apiCall{
		what: "read app " + id, class: classApp, url: d.client.path(nil, "apps", id), patience: patience,
	}, &app)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case missing(err):
		d.app = ""
		return fmt.Errorf("the app %s is gone: %w", id, err)
	case err != nil:
		return err
	case app.ID != id:
		return fmt.Errorf("read app %s: %w", id, oddAnswer("another app"))
	}
	d.appSeen = d.client.config.Now()
	return nil
}

// sawApp notes that the app exists.
func (d *Directory) sawApp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.appSeen = d.client.config.Now()
}

// isApp reports whether an event names the configured app.
func (d *Directory) isApp(id string, labels ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref := d.config.App
	return ref != "" && (id == ref || id != "" && id == d.app || slices.Contains(labels, ref))
}
