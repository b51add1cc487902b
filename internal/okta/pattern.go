package okta

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// isPattern reports whether groups are mapped by a regular expression: between
// slashes, in the syntax of package regexp.
func isPattern(ref string) bool {
	return len(ref) > 2 && ref[0] == '/' && ref[len(ref)-1] == '/'
}

// patterns are regular expressions that were compiled already. The zero value
// has none.
type patterns struct {
	mu       sync.Mutex
	compiled map[string]*regexp.Regexp // by what groups are mapped by; never changed once it is there
}

func (p *patterns) compile(ref string) (*regexp.Regexp, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if re := p.compiled[ref]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(ref[1 : len(ref)-1])
	if err != nil {
		return nil, fmt.Errorf("groups are mapped by %s, which is no regular expression: %w", ref, err)
	}
	if p.compiled == nil {
		p.compiled = map[string]*regexp.Regexp{}
	}
	p.compiled[ref] = re
	return re, nil
}

// matches reports whether a regular expression means a group of that name. One
// that cannot be compiled means none.
func (p *patterns) matches(ref, name string) bool {
	if name == "" {
		return false
	}
	re, err := p.compile(ref)
	return err == nil && re.MatchString(name)
}

// configured reports whether refs mean a group: by its id, by its name in full,
// or by a regular expression.
func (p *patterns) configured(refs []string, id, name string) bool {
	return slices.ContainsFunc(refs, func(ref string) bool {
		if isPattern(ref) {
			return p.matches(ref, name)
		}
		return ref != "" && (ref == id || ref == name)
	})
}

// namePrefix gives the text with which every name begins that a regular
// expression matches; empty: there is none, or none that is plain to see.
func namePrefix(re *regexp.Regexp) string {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || tree.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	prefix, _ := literal(&syntax.Regexp{Op: syntax.OpConcat, Sub: tree.Sub[1:]})
	return prefix
}

// literal gives the text with which every match begins, and whether it is all of
// it.
func literal(re *syntax.Regexp) (text string, whole bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return "", false
		}
		return string(re.Rune), true
	case syntax.OpEmptyMatch:
		return "", true
	case syntax.OpCapture:
		return literal(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			more, whole := literal(sub)
			text += more
			if !whole {
				return text, false
			}
		}
		return text, true
	}
	return "", false
}

// everyone is a condition that the group Everyone meets, which is in every org:
// an answer without it is not Okta's, or not the whole.
const everyone = `type eq "` + typeBuiltIn + `"`

// groupsNamed reads the groups whose names match one of the regular expressions.
// It searches where it can, and that index may lag behind, in both directions.
func (c *Client) groupsNamed(ctx context.Context, wanted []*regexp.Regexp, patience time.Duration) ([]oktaGroup, error) {
	const what = "look groups up by regular expression"
	var terms []string
	for _, re := range wanted {
		prefix := namePrefix(re)
		if prefix == "" {
			terms = nil
			break
		}
		terms = append(terms, `profile.name sw `+quoted(prefix))
	}
	queries := []url.Values{{"limit": {strconv.Itoa(groupPage)}}}
	if len(terms) > 0 {
		queries = nil
	}
	for chunk := range slices.Chunk(terms, maxTerms) {
		search := strings.Join(append(slices.Clone(chunk), everyone), " or ")
		queries = append(queries, url.Values{"search": {search}, "limit": {strconv.Itoa(groupPage)}})
	}
	var out []oktaGroup
	for _, query := range queries {
		groups, err := list(ctx, c, apiCall{what: what, class: classGroups, url: c.path(query, "groups"), patience: patience},
			func(g oktaGroup) string { return g.ID }, nil)
		if err != nil {
			return nil, err
		}
		if err := seesEveryone(groups); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		for _, g := range groups {
			if anyMatches(wanted, g.Profile.Name) && !slices.ContainsFunc(out, func(o oktaGroup) bool { return o.ID == g.ID }) {
				out = append(out, g)
			}
		}
	}
	return out, nil
}

func anyMatches(wanted []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(wanted, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// errUnseen says that a list of groups cannot be the whole.
var errUnseen = fmt.Errorf("the list lacks the group Everyone, so more may be missing: %w", errBlind)

func seesEveryone(groups []oktaGroup) error {
	if slices.ContainsFunc(groups, func(g oktaGroup) bool { return g.Type == typeBuiltIn }) {
		return nil
	}
	return errUnseen
}

// maxHeard is how many groups that events name are remembered until the next
// sweep asks for them.
const maxHeard = 1000

// seen are the groups that regular expressions mean, as far as it was told. They
// are never taken for the groups that they mean now: they are asked for, because
// Okta's search may not show them yet.
type seen struct {
	mu      sync.Mutex
	matched map[string]map[string]bool // ids by regular expression, as the last reading had it
	heard   map[string]bool            // ids that events named since
}

// means reports whether a group was among those that a regular expression meant.
func (s *seen) means(ref, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.matched[ref][id]
}

// hear takes in that an event names a group.
func (s *seen) hear(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard == nil {
		s.heard = map[string]bool{}
	}
	if len(s.heard) < maxHeard {
		s.heard[id] = true
	}
}

// candidates gives the ids of all groups that regular expressions may mean, and
// for each whether Okta is sure to have had it.
func (d *Directory) candidates(ctx context.Context, refs []string) (map[string]bool, error) {
	var wanted []*regexp.Regexp
	for _, ref := range refs {
		re, err := d.patterns.compile(ref)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, re)
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	found, err := d.client.groupsNamed(ctx, wanted, patient)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	d.seen.mu.Lock()
	defer d.seen.mu.Unlock()
	for id := range d.seen.heard {
		ids[id] = false
	}
	for _, ref := range refs {
		for id := range d.seen.matched[ref] {
			ids[id] = true
		}
	}
	for _, g := range found {
		ids[g.ID] = true
	}
	return ids, nil
}

// settle takes in what was read of the candidates. One that Okta had and does not
// list any more must be gone for certain.
func (d *Directory) settle(ctx context.Context, refs []string, candidates map[string]bool, byID map[string]oktaGroup) error {
	for id, sure := range candidates {
		if _, ok := byID[id]; ok || !sure {
			continue
		}
		_, err := d.client.group(ctx, id, patient)
		switch {
		case err == nil:
			return fmt.Errorf("read the mapped groups: the list is not complete: it lacks group %s", id)
		case !missing(err):
			return err
		}
	}
	matched := map[string]map[string]bool{}
	for _, ref := range refs {
		matched[ref] = map[string]bool{}
		for id := range candidates {
			if g, ok := byID[id]; ok && d.patterns.matches(ref, g.Profile.Name) {
				matched[ref][id] = true
			}
		}
	}
	d.seen.mu.Lock()
	defer d.seen.mu.Unlock()
	d.seen.matched = matched
	for id := range candidates {
		delete(d.seen.heard, id)
	}
	return nil
}
