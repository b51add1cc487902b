package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation tells how the rules came to what they say of one person. It is for
// people who ask about that person, so it shows what stands in their profile.
type Explanation struct {
	Instance string         `json:"instance,omitempty"`
	Person   string         `json:"person"`
	Username string         `json:"username"`
	Status   Status         `json:"status,omitempty"`
	Entitled bool           `json:"entitled"`         // is to have an agent
	Why      string         `json:"why"`              // or why not
	Exempt   string         `json:"exempt,omitempty"` // why they are never to be touched
	Groups   []MappedGroup  `json:"groups"`           // all the person's groups, by name
	Rules    []AppliedRule  `json:"rules"`            // in order
	Persona  string         `json:"persona,omitempty"`
	By       string         `json:"persona_by,omitempty"` // what gave the persona
	Agent    string         `json:"agent,omitempty"`      // Connect UserId
	State    State          `json:"state,omitempty"`
	Since    time.Time      `json:"since,omitzero"`
	Fields   []DecidedField `json:"fields"` // those that something is said of
	Changes  []Change       `json:"changes"`
	Refusals []Refusal      `json:"refusals"`
}

// MappedGroup is a group of the person, and the rules that name it.
type MappedGroup struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Rules []string `json:"rules,omitempty"`
	Not   []string `json:"not,omitempty"` // rules that name it under not
}

// AppliedRule tells what a rule made of the person.
type AppliedRule struct {
	Rule     string            `json:"rule"`
	Matched  bool              `json:"matched"`
	Why      string            `json:"why"` // by which groups, or the first thing that does not fit
	Captures map[string]string `json:"captures,omitempty"`
	Persona  string            `json:"persona,omitempty"` // the base, if this rule gave it
	Sets     []Field           `json:"sets,omitempty"`    // what it says something of in this instance
}

// DecidedField tells what the rules want of a field, what was found, and what
// becomes of it.
type DecidedField struct {
	Field     Field    `json:"field"`
	Wanted    string   `json:"wanted"` // in words, names in place of ids; empty: nothing
	Found     string   `json:"found"`
	From      []string `json:"from,omitempty"` // who says it
	Authority Mode     `json:"authority"`
	Allowed   []string `json:"allowed,omitempty"`
	Meaning   string   `json:"meaning"` // what becomes of it now
}

// Explain tells how New decides about one person, by their Okta id. It reports
// false for somebody who is not in the World and of whom nothing follows.
func Explain(s Settings, w World, person string) (Explanation, bool) {
	r := newRoster(&s, &w)
	people := r.everybody(&w)
	i := slices.IndexFunc(people, func(p *Person) bool { return p.ID == person })
	if i < 0 {
		return Explanation{}, false
	}
	p := people[i]
	have := r.owned[p.ID]
	e := Explanation{
		Instance: w.Instance, Person: p.ID, Username: p.Username, Status: p.Status, Exempt: r.exemption(p, have),
		Groups: r.mapped(p), Rules: []AppliedRule{}, Fields: []DecidedField{}, Changes: []Change{}, Refusals: []Refusal{},
	}
	if have != nil {
		e.Agent, e.State, e.Since = have.ID, have.State, have.Since
	}
	all := New(s, w) // what others get can stand in the way
	for _, c := range all.Changes {
		if c.Person == person {
			e.Changes = append(e.Changes, c)
		}
	}
	for _, f := range all.Refusals {
		if f.Person == person {
			e.Refusals = append(e.Refusals, f)
		}
	}
	v := r.judge(p)
	for i := range s.Rules {
		e.Rules = append(e.Rules, r.applied(p, &s.Rules[i], v))
	}
	if v.kind != entitled {
		e.Why = v.refusal.Reason
		e.Fields = append(e.Fields, e.parking(&s, w.Catalog)...)
		return e, true
	}
	e.Entitled, e.Why, e.Persona, e.By = true, "in group "+v.group.label(), v.persona, v.rule
	if wanted, refusal := r.want(p, v, have); refusal == nil {
		e.Fields = append(e.Fields, r.decided(&e, &wanted, have)...)
	}
	return e, true
}

// mapped gives the person's groups, and which rules name them.
func (r *roster) mapped(p *Person) []MappedGroup {
	out := []MappedGroup{}
	for _, g := range slices.SortedFunc(slices.Values(p.Groups), compareNames) {
		m := MappedGroup{ID: g.ID, Name: g.Name}
		for i := range r.settings.Rules {
			rule := &r.settings.Rules[i]
			if len(r.groups(&Person{Groups: []Group{g}}, rule.When.Groups)) > 0 {
				m.Rules = append(m.Rules, rule.Name)
			}
			if rule.When.Not != nil && len(r.groups(&Person{Groups: []Group{g}}, rule.When.Not.Groups)) > 0 {
				m.Not = append(m.Not, rule.Name)
			}
		}
		out = append(out, m)
	}
	return out
}

// applied tells what a rule made of the person.
func (r *roster) applied(p *Person, rule *Rule, v verdict) AppliedRule {
	out := AppliedRule{Rule: rule.Name}
	groups, ok, err := r.match(p, &rule.When)
	switch {
	case err != nil:
		out.Why = err.Error()
		return out
	case !ok:
		out.Why = r.obstacle(p, &rule.When)
		return out
	}
	out.Matched, out.Why = true, "meets all it asks for"
	if len(groups) > 0 {
		var labels []string
		for _, g := range groups {
			labels = append(labels, g.group.label())
		}
		out.Why = "in " + strings.Join(labels, ", ")
		out.Captures = groups[0].captures
	}
	if v.kind == entitled && v.rule == rule.Name && v.persona == rule.Persona {
		out.Persona = rule.Persona
	}
	if rule.Set != nil && (rule.Instance == "" || rule.Instance == r.instance) {
		for _, f := range fields {
			if rule.Set.says(f) {
				out.Sets = append(out.Sets, f)
			}
		}
	}
	return out
}

// obstacle tells the first thing of a condition that a person does not meet.
func (r *roster) obstacle(p *Person, c *Condition) string {
	if len(c.Groups) > 0 && len(r.groups(p, c.Groups)) == 0 {
		var refs []string
		for _, g := range c.Groups {
			refs = append(refs, g.Text)
		}
		return "in none of the groups " + strings.Join(refs, ", ")
	}
	for i := range c.Profile {
		a := &c.Profile[i]
		if a.holds(p) {
			continue
		}
		if text, ok := p.attribute(a.Name); ok {
			return fmt.Sprintf("profile.%s is %q", a.Name, text)
		}
		return "there is no profile." + a.Name
	}
	if c.Not != nil {
		if met, _ := r.meets(p, c.Not); met {
			return r.fulfilled(p, c.Not) + ", which the rule excludes"
		}
	}
	return fmt.Sprintf("the expression %q does not hold", c.When.Text)
}

// fulfilled tells how a person meets a condition.
func (r *roster) fulfilled(p *Person, c *Condition) string {
	var parts []string
	if len(c.Groups) > 0 {
		var labels []string
		for _, g := range r.groups(p, c.Groups) {
			labels = append(labels, g.group.label())
		}
		parts = append(parts, "in "+strings.Join(labels, ", "))
	}
	for i := range c.Profile {
		text, _ := p.attribute(c.Profile[i].Name)
		parts = append(parts, fmt.Sprintf("profile.%s is %q", c.Profile[i].Name, text))
	}
	if c.When.Holds != nil {
		parts = append(parts, fmt.Sprintf("the expression %q holds", c.When.Text))
	}
	return strings.Join(parts, " and ")
}

// decided tells of each field that the rules say something of what becomes of it.
func (r *roster) decided(e *Explanation, w *wanted, have *Agent) []DecidedField {
	var out []DecidedField
	var written []Field
	making := have == nil
	for _, c := range e.Changes {
		switch {
		case c.Action == Create || c.Action == Replace:
			making = true
		case have != nil && c.Agent == have.ID:
			written = c.Fields
		}
	}
	for _, f := range fields {
		if !w.says(f) {
			continue
		}
		a := r.authority(w.persona, f)
		d := DecidedField{Field: f, From: w.from[f], Authority: a.Mode}
		if a.Mode == Allowed {
			d.Allowed = a.Allowed
		}
		wanted := w.agent
		if have != nil {
			d.Found = have.show(f, r.catalog.Catalog)
			wanted = w.write(f, *have)
		}
		d.Wanted = wanted.show(f, r.catalog.Catalog)
		d.Meaning = r.meaning(e, a.Mode, have == nil || !sameField(f, have, &wanted), making, slices.Contains(written, f))
		out = append(out, d)
	}
	return out
}

// meaning tells in words what becomes of a field.
func (r *roster) meaning(e *Explanation, mode Mode, differs, making, written bool) string {
	switch {
	case e.Exempt != "":
		return "is left alone"
	case making && len(e.Changes) == 0:
		return "is given once the refusal is dealt with"
	case making:
		return "is given to the new agent"
	case written:
		return "will be written"
	case !differs:
		return "is as the rules say"
	case r.settings.Policy != UpsertOnly && r.settings.Policy != Sync:
		return fmt.Sprintf("differs; policy %s changes no agent", r.settings.Policy)
	case mode == Follow:
		return "the floor's choice stands until the rules' answer changes"
	case mode == Allowed:
		return "the floor's choice stands: it is among what is allowed"
	case mode == Initial:
		return "the floor's choice stands: the rules decide at creation alone"
	case mode == Ignore:
		return "the floor's choice stands: the rules do not decide"
	}
	return "is left as it is"
}

// parking tells what is taken from the agent of somebody who left.
func (e *Explanation) parking(s *Settings, catalog Catalog) []DecidedField {
	var out []DecidedField
	for _, c := range e.Changes {
		if c.Action != Suspend || c.Agent != e.Agent {
			continue
		}
		for _, d := range c.Differences(catalog, nil) {
			if d.Field != FieldOwnership {
				out = append(out, DecidedField{
					Field: d.Field, Wanted: d.After, Found: d.Before, From: []string{"persona " + s.Leavers.SuspendAs[e.Instance]},
					Authority: Enforce, Meaning: "will be written: the agent is parked",
				})
			}
		}
	}
	return out
}
