package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// pattern gives what stands between slashes; ok tells whether it is a regular
// expression at all.
func pattern(text string) (re string, ok bool) {
	if len(text) < 2 || text[0] != '/' || text[len(text)-1] != '/' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// patternFault says why a regular expression cannot be used.
func patternFault(re string) complaint {
	_, err := regexp.Compile(re)
	if err == nil {
		return complaint{}
	}
	var s *syntax.Error
	if !errors.As(err, &s) {
		return complaint{"is not a regular expression", ""}
	}
	c := complaint{problem: "is not a regular expression: " + string(s.Code) + ": " + printable(s.Expr)}
	if strings.Contains(re, "(?=") || strings.Contains(re, "(?!") || strings.Contains(re, "(?<=") || strings.Contains(re, "(?<!") {
		c.hint = "looking ahead or behind is not understood; use not"
	}
	return c
}

// CheckGroup judges a group as Load does, for who asks for it.
func CheckGroup(group string) error { return groupFault(group).err() }

// groupFault says why a group of a rule cannot be used.
func groupFault(group string) complaint {
	re, ok := pattern(group)
	if !ok {
		return complaint{}
	}
	c := patternFault(re)
	if c.problem == "" && regexp.MustCompile(re).MatchString("") {
		c = complaint{"matches the empty text, and so every group", "say what a name must have, as in /^Connect /"}
	}
	return c
}

// checkGroup judges one group of a list.
func (r *reader) checkGroup(path, group string) {
	_, ok := pattern(group)
	switch {
	case !ok && regexp.MustCompile(`^/.+/[a-z]+$`).MatchString(group):
		r.warn(path, "is taken for the name of a group", "flags of a regular expression stand inside: /(?i)name/")
	case !ok && group != strings.TrimSpace(group):
		r.warn(path, "begins or ends with a space, and names are compared to the letter", "leave the space out unless the group in Okta has it too")
	case ok:
		r.test(path, groupFault(group))
	}
}

// checkGroups judges the groups of a condition.
func (r *reader) checkGroups(path string, groups []string) {
	if !r.ok(path) {
		return
	}
	if len(groups) == 0 {
		r.fault(path, complaint{"is an empty list; want at least one group", ""})
		return
	}
	seen := map[string]bool{}
	for i, g := range groups {
		one := fmt.Sprintf("%s[%d]", path, i)
		if r.bad[one] {
			continue
		}
		r.checkGroup(one, g)
		if seen[g] {
			r.test(one, complaint{"is listed twice in this rule", "remove one of them"})
		}
		seen[g] = true
	}
}

// checkCondition judges what a rule, its not or an exemption says of people.
func (r *reader) checkCondition(path string, c Condition) {
	r.checkGroups(path+".groups", c.Groups)
	profile, when := path+".profile", path+".when"
	for _, at := range []string{profile, when} {
		if r.values[at] != nil && !r.wantsAPI() {
			r.test(at, complaint{"needs okta.auth: events tell nothing of profiles", "add okta.auth, or go by groups alone"})
		}
	}
	if r.ok(profile) && len(c.Profile) == 0 {
		r.fault(profile, complaint{"names no attribute", ""})
	}
	for attributeName, values := range c.Profile {
		at := profile + "." + attributeName
		r.faultAtKey(at, profile, keyFault100(attributeName))
		if r.ok(at) && len(values) == 0 {
			r.fault(at, complaint{"is an empty list; want at least one value", ""})
		}
		for i, v := range values {
			one := at
			if n := r.values[at]; n != nil && !r.nodeIsWord(at) {
				one = fmt.Sprintf("%s[%d]", at, i)
			}
			if re, ok := pattern(string(v)); ok && !r.bad[one] {
				c := patternFault(re)
				r.test(one, c)
				r.bad[at] = r.bad[at] || c.problem != ""
			}
		}
		if !r.bad[at] {
			_, c := attribute(attributeName, values)
			r.test(at, c)
		}
	}
	if c.When != "" {
		r.checkExpression(when, c.When)
	}
}

// checkExpression compiles an expression, and tells when that fails.
func (r *reader) checkExpression(path, text string) {
	if _, known := r.expressions[text]; known {
		return
	}
	e, fault := compileExpression(text)
	if fault != nil {
		r.bad[path] = true
		r.findings(r.inside(path, fault.at), path, fault.what)
		return
	}
	r.expressions[text] = e
}

// nodeIsWord tells whether a value is a single word, also by way of an alias.
func (r *reader) nodeIsWord(path string) bool {
	n := r.values[path]
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n != nil && n.Kind == yaml.ScalarNode
}

// inside gives the place of a character of a value, from 0, if the value stands
// in the file to the letter; and else that of the value.
func (r *reader) inside(path string, offset int) place {
	at, _ := r.find(path)
	n := r.values[path]
	if offset < 0 || n == nil || n.Kind != yaml.ScalarNode {
		return at
	}
	end, ok := r.src.plainEnd(n)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		offset++
	}
	if !ok || at.column+offset >= end {
		return at
	}
	return place{at.line, at.column + offset}
}

// condition gives the part of a rule that narrows people down.
func (rule Rule) condition() Condition { return Condition{rule.Groups, rule.Profile, rule.When} }

func (e Exemption) condition() Condition { return Condition{e.Groups, e.Profile, e.When} }

func (r *reader) checkExemption(path string, e Exemption) {
	keys := r.meant(path+".people", path+".groups", path+".profile", path+".when", path+".not")
	if len(keys) == 0 && !r.bad[path] && !r.partial {
		r.fault(path, complaint{"names nobody; want people, groups, profile, when or not", ""})
	}
	if len(keys) > 1 && keys[0] == path+".people" {
		r.test(path+".people", complaint{"stands alone in its entry", "put it in an entry of its own"})
	}
	if r.ok(path+".people") && len(e.People) == 0 {
		r.fault(path+".people", complaint{"is an empty list; want at least one id or username", ""})
	}
	r.checkCondition(path, e.condition())
	r.checkNot(path+".not", e.Not)
}

// checkNot judges what must not hold.
func (r *reader) checkNot(path string, c Condition) {
	if r.ok(path) && len(r.meant(path+".groups", path+".profile", path+".when")) == 0 {
		r.fault(path, complaint{"names nobody; want groups, profile or when", ""})
	}
	r.checkCondition(path, c)
}

// checkRules judges the rules by themselves, with the personas and with each
// other.
func (r *reader) checkRules(c *Config) {
	if r.ok("rules") && len(c.Rules) == 0 {
		r.fault("rules", complaint{"is an empty list; nobody would get an agent", ""})
	}
	if r.ok("personas") && len(c.Personas) == 0 {
		r.fault("personas", complaint{"names no persona; nobody would get an agent", ""})
	}
	entitles := len(c.Rules) == 0
	taken := map[string]*taken{}
	for i := range c.Rules {
		rule, path := &c.Rules[i], fmt.Sprintf("rules[%d]", i)
		if at, ok := r.find(path); ok {
			rule.line = at.line
		}
		r.checkRule(c, path, *rule)
		r.checkReach(c, path, *rule, taken)
		entitles = entitles || len(r.meant(path+".groups")) > 0 || r.bad[path]
	}
	if !entitles && r.ok("rules") {
		r.fault("rules", complaint{"no rule names a group; only people in a group that a rule names get an agent", "add groups to a rule"})
	}
	if r.ok("default_persona") {
		r.checkPersonaName(c, "default_persona", c.DefaultPersona)
	}
}

func (r *reader) checkRule(c *Config, path string, rule Rule) {
	if len(r.meant(path+".groups", path+".profile", path+".when", path+".not")) == 0 && !r.bad[path] {
		r.fault(path, complaint{"says nothing of whom it is about; want groups, profile, when or not", "for example groups: [Amazon Connect Agents]"})
	}
	if len(r.meant(path+".persona", path+".set")) == 0 && !r.bad[path] {
		r.fault(path, complaint{"gives nothing; want persona or set", "for example persona: agent"})
	}
	r.checkCondition(path, rule.condition())
	r.checkNot(path+".not", rule.Not)
	r.checkPersonaName(c, path+".persona", rule.Persona)
	set := path + ".set"
	if n := r.values[set]; r.ok(set) && (isNull(n) || len(n.Content) == 0 && n.Kind == yaml.MappingNode) {
		r.fault(set, complaint{"sets nothing", ""})
	}
	r.checkProfiles(set, rule.Set.SecurityProfiles, r.adminAllowed(c), 1)
	r.checkSet(set, rule.Set, r.captures(path, rule.Groups))
	r.checkInstanceName(c, path+".instance", rule.Instance)
	if r.ok(path+".instance") && len(r.meant(set)) == 0 {
		r.fault(path+".instance", complaint{"narrows set down, and this rule has none", "the persona says to which instance it belongs"})
	}
}

// adminAllowed tells whether any persona may hold Admin, so that a rule may name
// it for agents of that persona.
func (r *reader) adminAllowed(c *Config) bool {
	for _, p := range c.Personas {
		if p.AllowAdmin {
			return true
		}
	}
	return false
}

// captures gives what may be filled in by the groups of a rule: what every one of
// them captures, since a person may be in any.
func (r *reader) captures(path string, groups []string) slots {
	return func(slot string) complaint {
		doubled := "braces that are meant as such are doubled"
		if len(groups) == 0 {
			if len(r.meant(path+".groups")) > 0 {
				return complaint{}
			}
			return complaint{"{" + slot + "} has nothing to be filled in with: the rule names no groups", doubled}
		}
		for i, g := range groups {
			re, ok := pattern(g)
			if r.bad[fmt.Sprintf("%s.groups[%d]", path, i)] {
				return complaint{}
			}
			if !ok {
				return complaint{fmt.Sprintf("{%s} has nothing to be filled in with for the group %q, which is not a regular expression", slot, printable(g)), "give that group a rule of its own; " + doubled}
			}
			names := slices.DeleteFunc(regexp.MustCompile(re).SubexpNames(), func(name string) bool { return name == "" })
			if !slices.Contains(names, slot) {
				return r.unknownName(fmt.Sprintf("%s does not capture %s", printable(g), slot), slot, names)
			}
		}
		return complaint{}
	}
}

func (r *reader) checkPersonaName(c *Config, path, name string) {
	if !r.ok(path) || !r.ok("personas") {
		return
	}
	if _, ok := c.Personas[name]; !ok {
		r.fault(path, r.unknownName("there is no such persona", name, slices.Collect(maps.Keys(c.Personas))))
	}
}

// taken are the groups whose people got their persona from a rule that asks for
// nothing else, each with the line of that rule.
type taken struct {
	lines    map[string]int
	patterns []takenPattern
}

type takenPattern struct {
	re   *regexp.Regexp
	line int
}

// maxTaken is how many regular expressions are tried on the groups of later
// rules, so that a long file is judged in no time.
const maxTaken = 200

// checkReach tells of groups that earlier rules take, so that the persona of this
// one does nothing for them. all has what is taken, by instance.
func (r *reader) checkReach(c *Config, path string, rule Rule, all map[string]*taken) {
	if rule.Persona == "" || !r.ok(path+".groups") {
		return
	}
	instance := c.Personas[rule.Persona].Instance
	if all[instance] == nil {
		all[instance] = &taken{lines: map[string]int{}}
	}
	earlier := all[instance]
	lines, dead := make([]int, len(rule.Groups)), 0
	for i, g := range rule.Groups {
		if lines[i] = earlier.line(g); lines[i] > 0 {
			dead++
		}
	}
	switch {
	case dead == len(rule.Groups) && len(r.meant(path+".set")) == 0:
		r.test(path+".groups", complaint{fmt.Sprintf("this rule matches nobody, because earlier rules take all of its groups (line %d)", lines[0]), "remove it, or move it up"})
	case dead == len(rule.Groups):
		r.warn(path+".persona", fmt.Sprintf("has no effect here, because earlier rules take all of its groups (line %d)", lines[0]), "leave it out")
	default:
		for i, line := range lines {
			if line > 0 {
				r.warn(fmt.Sprintf("%s.groups[%d]", path, i), fmt.Sprintf("has no effect here, because the rule on line %d takes this group", line), "")
			}
		}
	}
	if len(r.meant(path+".profile", path+".when", path+".not")) > 0 {
		return
	}
	for i, g := range rule.Groups {
		if g != "" && lines[i] == 0 && !r.bad[fmt.Sprintf("%s.groups[%d]", path, i)] {
			earlier.take(g, rule.line)
		}
	}
}

func (t *taken) take(group string, line int) {
	t.lines[group] = line
	if re, ok := pattern(group); ok && len(t.patterns) < maxTaken {
		t.patterns = append(t.patterns, takenPattern{regexp.MustCompile(re), line})
	}
}

// oktaGroup is the form of the id of a group. Source: Okta Management API.
var oktaGroup = regexp.MustCompile(`^00g[A-Za-z0-9]{17}$`)

// line gives the line of the rule that takes a group, or 0. A regular expression
// takes a name that it matches; of an id nobody knows the name.
func (t *taken) line(group string) int {
	if line := t.lines[group]; line > 0 {
		return line
	}
	if _, ok := pattern(group); ok || oktaGroup.MatchString(group) {
		return 0
	}
	for _, p := range t.patterns {
		if p.re.MatchString(group) {
			return p.line
		}
	}
	return 0
}
