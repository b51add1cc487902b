package plan

import (
	"fmt"
	"regexp"
	"slices"
)

// verdict says whether a person is to have an agent in the instance.
type verdict struct {
	kind     verdictKind
	refusal  *Refusal // for the other kinds than entitled: why not
	evidence Evidence // for leaver
	persona  string
	rule     string  // what gave the persona, for people
	group    Group   // that gave it; zero where the default persona applies by many
	sets     []match // the rules that set something, in order
}

type verdictKind int

const (
	entitled  verdictKind = iota
	leaver                // is to have no agent
	undecided             // is left alone, whatever there is
)

// judge works out what the rules say of a person.
func (r *roster) judge(p *Person) verdict {
	no := func(kind verdictKind, evidence Evidence, code Code, format string, args ...any) verdict {
		return verdict{kind: kind, evidence: evidence, refusal: &Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}}
	}
	switch {
	case p.ID == "":
		return no(undecided, "", NotEntitled, "has no Okta user id, so no agent could be marked as theirs")
	case r.unlisted[p.ID]:
		return no(leaver, EvidenceMembership, NotEntitled, "is in none of the groups that a rule names, or not in Okta any more")
	}
	switch p.Status {
	case StatusProvisioned, StatusActive, StatusRecovery, StatusPasswordExpired, StatusLockedOut:
	case StatusStaged:
		return no(undecided, "", NotEntitled, "is staged in Okta: not activated yet")
	case StatusSuspended:
		return no(leaver, EvidenceStatus, NotEntitled, "is suspended in Okta")
	case StatusDeprovisioned:
		return no(leaver, EvidenceStatus, NotEntitled, "is deactivated in Okta")
	case StatusGone:
		return no(leaver, EvidenceStatus, NotEntitled, "is deleted in Okta")
	default:
		return no(undecided, "", StatusUnknown, "has the Okta status %q, which this version does not know: left alone", p.Status)
	}

	out := verdict{}
	mapped, elsewhere := false, false
	var first Group
	for i := range r.settings.Rules {
		rule := &r.settings.Rules[i]
		groups, ok, err := r.match(p, &rule.When)
		if err != nil {
			return no(undecided, "", RuleFailed, "%s: %v", rule.Name, err)
		}
		if !ok {
			continue
		}
		if len(groups) > 0 && !mapped {
			mapped, first = true, groups[0].group
		}
		switch {
		case rule.Persona == "" || out.persona != "":
		case !r.at(rule.Persona):
			elsewhere = true
		default:
			out.persona, out.rule = rule.Persona, rule.Name
			if len(groups) > 0 {
				out.group = groups[0].group
			}
		}
		if rule.Set != nil && (rule.Instance == "" || rule.Instance == r.instance) {
			out.sets = append(out.sets, match{rule: i, groups: groups})
		}
	}
	if out.group.ID == "" {
		out.group = first
	}
	if name := r.settings.DefaultPersona; out.persona == "" && name != "" && !elsewhere {
		if r.at(name) {
			out.persona, out.rule = name, "the default persona"
		} else {
			elsewhere = true
		}
	}
	switch {
	case !mapped && r.named(p):
		return no(leaver, EvidenceMembership, NotEntitled, "is in a group that a rule names, but does not meet what the rule asks for besides")
	case !mapped:
		return no(leaver, EvidenceMembership, NotEntitled, "is in none of the groups that a rule names")
	case out.persona != "":
		return out
	case elsewhere:
		return no(leaver, EvidenceMembership, NotEntitled, "is to be an agent in another instance")
	}
	return no(leaver, EvidenceMembership, NoPersona, "matches rules, but none of them names a persona")
}

// named reports whether a person is in any group that a rule names.
func (r *roster) named(p *Person) bool {
	for i := range r.settings.Rules {
		if len(r.groups(p, r.settings.Rules[i].When.Groups)) > 0 {
			return true
		}
	}
	return false
}

// at reports whether a persona belongs to the instance. One that does not exist
// counts, so that it is refused and not overlooked.
func (r *roster) at(persona string) bool {
	p, ok := r.settings.Personas[persona]
	return !ok || p.Instance == r.instance
}

// match is a rule that a person matches, with the groups by which they do.
type match struct {
	rule   int // its index
	groups []matched
}

// matched is a group that a reference means, and what its name captured.
type matched struct {
	group    Group
	captures captures
}

type captures map[string]string

// match reports whether a person meets the condition of a rule, and by which
// groups: in the order in which the rule names them, ids before names, and those
// of a regular expression by name.
func (r *roster) match(p *Person, c *Condition) ([]matched, bool, error) {
	var groups []matched
	if len(c.Groups) > 0 {
		if groups = r.groups(p, c.Groups); len(groups) == 0 {
			return nil, false, nil
		}
	}
	for i := range c.Profile {
		if !c.Profile[i].holds(p) {
			return nil, false, nil
		}
	}
	if c.Not != nil {
		if met, err := r.meets(p, c.Not); met || err != nil {
			return nil, false, err
		}
	}
	if c.When.Holds != nil {
		if met, err := c.When.holds(p); !met || err != nil {
			return nil, false, err
		}
	}
	return groups, true, nil
}

func (r *roster) meets(p *Person, c *Condition) (bool, error) {
	_, ok, err := r.match(p, c)
	return ok, err
}

// groups gives those of the person's groups that the references mean.
func (r *roster) groups(p *Person, refs []GroupRef) []matched {
	var out []matched
	seen := func(g Group) bool {
		return slices.ContainsFunc(out, func(m matched) bool { return m.group.ID == g.ID && m.group.Name == g.Name })
	}
	for _, ref := range refs {
		start := len(out)
		for _, g := range p.Groups {
			if ref.Pattern == nil {
				// What is meant by its id comes before what merely bears that id as its name.
				if (g.ID == ref.Text || g.Name == ref.Text) && !seen(g) {
					out = append(out, matched{group: g})
				}
			} else if c := r.capture(ref.Pattern, g.Name); c != nil && !seen(g) {
				out = append(out, matched{group: g, captures: c})
			}
		}
		slices.SortFunc(out[start:], func(a, b matched) int {
			switch byA, byB := a.group.ID == ref.Text, b.group.ID == ref.Text; {
			case byA && !byB:
				return -1
			case byB && !byA:
				return 1
			}
			return compareNames(a.group, b.group)
		})
	}
	return out
}

// capture tests a group's name, and gives nil if it does not match. A few groups
// are tested for all their members, so what came out is remembered.
func (r *roster) capture(pattern *regexp.Regexp, name string) captures {
	tested := r.tested[pattern]
	if tested == nil {
		tested = map[string]captures{}
		r.tested[pattern] = tested
	}
	c, known := tested[name]
	if known {
		return c
	}
	if m := pattern.FindStringSubmatch(name); m != nil {
		c = captures{}
		for i, slot := range pattern.SubexpNames() {
			if slot != "" && c[slot] == "" {
				c[slot] = m[i]
			}
		}
	}
	tested[name] = c
	return c
}

// holds works out the expression. One that panics has an error.
func (e *Expression) holds(p *Person) (met bool, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			text := fmt.Sprintf("panic with a %T", cause) // whose value could be the person's own
			if fault, ok := cause.(interface {
				error
				RuntimeError()
			}); ok {
				text = cleanName(fault.Error())
			}
			met, err = false, fmt.Errorf("the expression %q: %s", e.Text, text)
		}
	}()
	if met, err = e.Holds(*p); err != nil {
		return false, fmt.Errorf("the expression %q: %s", e.Text, cleanName(err.Error()))
	}
	return met, nil
}

// holds tests a profile attribute.
func (a *Attribute) holds(p *Person) bool {
	v, ok := p.Profile[a.Name]
	if !ok || v == nil {
		return false
	}
	list, many := v.([]any)
	if !many {
		return a.passes(scalar(v))
	}
	return slices.ContainsFunc(list, func(v any) bool { return v != nil && a.passes(scalar(v)) })
}

func (a *Attribute) passes(text string) bool {
	if a.Pattern != nil && a.Pattern.MatchString(text) {
		return true
	}
	return slices.Contains(a.In, text)
}
