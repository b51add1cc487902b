package config

import (
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"

	"connectroster/internal/plan"
)

// newAfterWork is how long new agents may work on after a contact where the file
// says nothing of it, in seconds.
const newAfterWork = 30

// Settings gives what the planner needs to know. What it gives shares nothing
// that is written to.
func (c *Config) Settings() plan.Settings {
	s := c.settings
	s.Personas, s.Rules = maps.Clone(s.Personas), slices.Clone(s.Rules)
	s.Exempt, s.ExemptPeople = slices.Clone(s.Exempt), slices.Clone(s.ExemptPeople)
	s.Authority, s.Leavers.SuspendAs = maps.Clone(s.Authority), maps.Clone(s.Leavers.SuspendAs)
	return s
}

// Groups gives all groups that decide anything, in the order of the file and each
// once: those of rules, of what rules and exemptions leave out, and those that
// expressions name. Regular expressions stand between slashes. A person's
// membership in all of them must be known before anything is decided.
func (c *Config) Groups() []string { return c.groups(true) }

// AgentGroups gives those of the groups that make somebody an agent: the ones
// that rules name.
func (c *Config) AgentGroups() []string { return c.groups(false) }

func (c *Config) groups(all bool) []string {
	var out []string
	seen := map[string]bool{}
	add := func(groups ...string) {
		for _, g := range groups {
			if !seen[g] {
				seen[g] = true
				out = append(out, g)
			}
		}
	}
	named := func(conditions ...Condition) {
		for _, condition := range conditions {
			add(condition.Groups...)
			add(c.expressions[condition.When].groups...)
		}
	}
	for _, rule := range c.Rules {
		add(rule.Groups...)
		if all {
			named(rule.condition(), rule.Not)
		}
	}
	if all {
		for _, e := range c.Exempt {
			named(e.condition(), e.Not)
		}
	}
	return out
}

// compile turns a configuration without faults into what the planner needs.
func (c *Config) compile() plan.Settings {
	s := plan.Settings{
		Deployment: c.Name, Policy: c.Policy, DefaultPersona: c.DefaultPersona,
		Personas: map[string]plan.Persona{}, Authority: authorities(c.Authority), Leavers: c.leavers(),
	}
	parks := c.parks()
	everywhere := c.written(parks, func(string) bool { return true })
	leaveToFloor(s.Authority, s.Authority, everywhere)
	for name, p := range c.Personas {
		out := plan.Persona{Instance: p.Instance, AllowAdmin: p.AllowAdmin, Authority: authorities(p.Authority), Values: p.says().values()}
		if !parks[name] {
			there := c.written(parks, func(instance string) bool { return instance == "" || instance == p.Instance })
			leaveToFloor(out.Authority, s.Authority, there)
			fillIn(&out.Values, there)
		}
		s.Personas[name] = out
	}
	for i, rule := range c.Rules {
		out := plan.Rule{Name: fmt.Sprintf("rule %d", i+1), When: c.condition(rule.condition()), Persona: rule.Persona, Instance: rule.Instance}
		if rule.line > 0 {
			out.Name += fmt.Sprintf(" (line %d)", rule.line)
		}
		out.When.Not = c.negated(rule.Not)
		if values := rule.Set.values(); rule.sets() {
			out.Set = &values
		}
		s.Rules = append(s.Rules, out)
	}
	for _, e := range c.Exempt {
		if len(e.People) > 0 {
			s.ExemptPeople = append(s.ExemptPeople, e.People...)
			continue
		}
		out := c.condition(e.condition())
		out.Not = c.negated(e.Not)
		s.Exempt = append(s.Exempt, out)
	}
	return s
}

// parks gives the personas that are for suspended agents and no others.
func (c *Config) parks() map[string]bool {
	parks := map[string]bool{}
	for _, name := range c.Leavers.SuspendAs {
		parks[name] = name != c.DefaultPersona && !slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Persona == name })
	}
	return parks
}

func (c *Config) leavers() plan.Leavers {
	l := plan.Leavers{SuspendAs: map[string]string{}}
	for _, name := range c.Leavers.SuspendAs {
		l.SuspendAs[c.Personas[name].Instance] = name
	}
	if c.Policy == plan.Sync {
		l.DeleteAfter = time.Duration(c.Leavers.DeleteAfter)
	}
	return l
}

// written tells for the fields that a new agent needs whether the file says
// anything of them in the instances that among allows. What only suspended agents
// get does not count.
func (c *Config) written(parks map[string]bool, among func(instance string) bool) map[plan.Field]bool {
	written := map[plan.Field]bool{plan.FieldPhone: false, plan.FieldAutoAccept: false, plan.FieldAfterWork: false}
	note := func(s Set) {
		v := s.Voice
		written[plan.FieldPhone] = written[plan.FieldPhone] || v.Type != "" || v.Persistent != nil
		for _, h := range []Handling{{v.AutoAccept, v.AfterContactWork}, s.Chat, s.Task, s.Email} {
			written[plan.FieldAutoAccept] = written[plan.FieldAutoAccept] || h.AutoAccept != nil
			written[plan.FieldAfterWork] = written[plan.FieldAfterWork] || h.AfterContactWork != nil
		}
	}
	for name, p := range c.Personas {
		if !parks[name] && among(p.Instance) {
			note(p.says())
		}
	}
	for _, rule := range c.Rules {
		if among(rule.Instance) {
			note(rule.Set)
		}
	}
	return written
}

// leaveToFloor leaves what new agents get by default to the floor from then on,
// unless the file says who decides, there or in general.
func leaveToFloor(authority, general map[plan.Field]plan.Authority, written map[plan.Field]bool) {
	for field, said := range written {
		_, here := authority[field]
		_, all := general[field]
		if !said && !here && !all {
			authority[field] = plan.Authority{Mode: plan.Initial}
		}
	}
}

// fillIn adds what a new agent needs. Where the file says something of other
// channels, that calls are not accepted by themselves needs no saying: it is how
// agents are made.
func fillIn(v *plan.Values, written map[plan.Field]bool) {
	if v.PhoneType == "" {
		v.PhoneType = plan.SoftPhone
	}
	if len(v.AutoAccept) == 0 && !written[plan.FieldAutoAccept] {
		v.AutoAccept = map[plan.Channel]bool{plan.Voice: false}
	}
	if _, ok := v.AfterContactWork[plan.Voice]; !ok {
		if v.AfterContactWork == nil {
			v.AfterContactWork = map[plan.Channel]int{}
		}
		v.AfterContactWork[plan.Voice] = newAfterWork
	}
}

func authorities(a Authorities) map[plan.Field]plan.Authority {
	out := map[plan.Field]plan.Authority{}
	for field, authority := range a.byField() {
		out[field] = plan.Authority{Mode: plan.Mode(authority.Mode), Allowed: slices.Clone(authority.Allowed)}
	}
	return out
}

// sets tells whether the rule says anything of an agent.
func (rule Rule) sets() bool {
	s := rule.Set
	return s.RoutingProfile != "" || len(s.SecurityProfiles) > 0 || s.Hierarchy != "" || len(s.Proficiencies) > 0 || len(s.Tags) > 0 ||
		s.Voice != (Voice{}) || s.Chat != (Handling{}) || s.Task != (Handling{}) || s.Email != (Handling{})
}

// values compiles what a persona or a rule says.
func (s Set) values() plan.Values {
	v := plan.Values{
		RoutingProfile: compiled(s.RoutingProfile), SecurityProfiles: slices.Clone(s.SecurityProfiles),
		PhoneType: s.Voice.Type, DeskNumber: compiled(s.Voice.DeskNumber), Persistent: s.Voice.Persistent, Enhancement: s.Voice.Enhancement,
	}
	if s.Hierarchy != "" {
		t := plan.Literal("")
		if s.Hierarchy != noHierarchy {
			t = compiled(string(s.Hierarchy))
		}
		v.Hierarchy = &t
	}
	for _, attribute := range slices.Sorted(maps.Keys(s.Proficiencies)) {
		for _, value := range slices.Sorted(maps.Keys(s.Proficiencies[attribute])) {
			v.Proficiencies = append(v.Proficiencies, plan.Skill{Attribute: attribute, Value: compiled(value), Level: s.Proficiencies[attribute][value]})
		}
	}
	for channel, h := range map[plan.Channel]Handling{
		plan.Voice: {s.Voice.AutoAccept, s.Voice.AfterContactWork}, plan.Chat: s.Chat, plan.Task: s.Task, plan.Email: s.Email,
	} {
		if h.AutoAccept != nil {
			if v.AutoAccept == nil {
				v.AutoAccept = map[plan.Channel]bool{}
			}
			v.AutoAccept[channel] = *h.AutoAccept
		}
		if h.AfterContactWork != nil {
			if v.AfterContactWork == nil {
				v.AfterContactWork = map[plan.Channel]int{}
			}
			v.AfterContactWork[channel] = int(*h.AfterContactWork)
		}
	}
	for key, value := range s.Tags {
		if v.Tags == nil {
			v.Tags = map[string]plan.Template{}
		}
		v.Tags[key] = compiled(value)
	}
	return v
}

// compiled gives a template of text that was checked.
func compiled(text string) plan.Template {
	if text == "" {
		return plan.Template{}
	}
	t, err := plan.ParseTemplate(text)
	if err != nil {
		panic("config: a template was not checked: " + err.Error())
	}
	return t
}

// condition compiles what was checked.
func (c *Config) condition(in Condition) plan.Condition {
	var out plan.Condition
	for _, g := range in.Groups {
		ref := plan.GroupRef{Text: g}
		if re, ok := pattern(g); ok {
			ref.Pattern = regexp.MustCompile(re)
		}
		out.Groups = append(out.Groups, ref)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Profile)) {
		a, fault := attribute(name, in.Profile[name])
		if fault.problem != "" {
			panic("config: a test of the profile was not checked: " + fault.problem)
		}
		out.Profile = append(out.Profile, a)
	}
	if in.When != "" {
		e, ok := c.expressions[in.When]
		if !ok {
			panic("config: an expression was not checked: " + in.When)
		}
		out.When = e.Expression
	}
	return out
}

func (c *Config) negated(in Condition) *plan.Condition {
	if len(in.Groups) == 0 && len(in.Profile) == 0 && in.When == "" {
		return nil
	}
	out := c.condition(in)
	return &out
}

// attribute compiles a test of one attribute of the profile. Several regular
// expressions become one that matches where any of them does.
func attribute(name string, values Values) (plan.Attribute, complaint) {
	out := plan.Attribute{Name: name}
	either := ""
	for _, v := range values {
		text, ok := pattern(string(v))
		if !ok {
			out.In = append(out.In, string(v))
			continue
		}
		re, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			return out, patternFault(text)
		}
		nameless(re)
		if either != "" {
			either += "|"
		}
		either += "(?:" + re.String() + ")"
	}
	if either == "" {
		return out, complaint{}
	}
	var err error
	if out.Pattern, err = regexp.Compile(either); err != nil {
		return out, complaint{"are together too large for a regular expression", "use fewer or simpler ones"}
	}
	return out, complaint{}
}

// nameless takes the names off captures, of which no two may be equal.
func nameless(re *syntax.Regexp) {
	re.Name = ""
	for _, sub := range re.Sub {
		nameless(sub)
	}
}
