package plan

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// Settings are what the owner of a deployment decided: a compiled configuration.
type Settings struct {
	Deployment     string // the stable name of this deployment
	Policy         Policy
	Personas       map[string]Persona
	Rules          []Rule // in order; see Rule
	DefaultPersona string // for people whom rules match of which none names a persona; empty: they are refused
	Exempt         []Condition
	ExemptPeople   []string // Okta ids or usernames, in any case, of people never to be touched
	Authority      map[Field]Authority
	Leavers        Leavers
}

// Policy says how far changes may go.
type Policy string

// The policies.
const (
	CreateOnly Policy = "create-only" // create
	UpsertOnly Policy = "upsert-only" // and update, resume
	Sync       Policy = "sync"        // and suspend, replace, delete
)

// Leavers says what becomes of agents whose owners left.
type Leavers struct {
	SuspendAs   map[string]string // by instance: the persona of suspended agents
	DeleteAfter time.Duration     // of being suspended or retired; 0: never
}

// Persona is a named kind of agent. It belongs to one instance.
type Persona struct {
	Instance   string // as the configuration calls it; empty where there is one
	AllowAdmin bool   // may hold the security profile Admin, under whatever reference
	Authority  map[Field]Authority
	Values     Values
}

// Values are what a persona, or the set of a rule, says of an agent. What is nil
// or empty is not said.
type Values struct {
	RoutingProfile   Template    // name, id or ARN
	SecurityProfiles []string    // names, ids or ARNs; those of several rules add up
	Hierarchy        *Template   // path such as EMEA/Support, id or ARN; what it gives may be empty: in none
	Proficiencies    []Skill     // those of several rules add up; the first level of an attribute and value wins
	PhoneType        PhoneType   // empty: not said
	DeskNumber       Template    // E.164
	Persistent       *bool       //
	Enhancement      Enhancement //
	AutoAccept       map[Channel]bool
	AfterContactWork map[Channel]int // seconds
	Tags             map[string]Template
}

// Skill is a proficiency whose value may be worked out.
type Skill struct {
	Attribute string
	Value     Template
	Level     int // 1 to 5
}

// Rule says something about the people who meet its condition. The first rule
// that matches a person and names a persona of an instance gives the base there;
// what other rules set is laid over it: of single values the first wins, security
// profiles and proficiencies add up.
type Rule struct {
	Name     string // for people: "rule 2 (line 31)"
	When     Condition
	Persona  string // empty: names none
	Set      *Values
	Instance string // Set counts in this instance alone; empty: in all
}

// Condition is met by a person who meets all that it says.
type Condition struct {
	Groups  []GroupRef // in any of them
	Profile []Attribute
	When    Expression
	Not     *Condition // does not meet that one
}

// GroupRef means Okta groups: one by its id or by its name in full, or all whose
// name a regular expression matches.
type GroupRef struct {
	Text    string         // as written
	Pattern *regexp.Regexp // nil: an id or a name
}

// Attribute is a test of a profile attribute in Okta. Text, numbers and truth
// values are compared by their text; of a list any element may pass.
type Attribute struct {
	Name    string
	In      []string       // equals one of them
	Pattern *regexp.Regexp // or matches
}

// Expression is a condition that does not fit the other forms. The zero value
// says nothing. Holds must be pure and safe for concurrent use.
type Expression struct {
	Text  string
	Holds func(Person) (bool, error)
}

// Authority says who decides about a field after the agent was created.
type Authority struct {
	Mode    Mode
	Allowed []string // for Allowed: names, ids, ARNs or paths between which the floor may choose
}

// Mode is a kind of Authority.
type Mode string

// The kinds of authority.
const (
	Enforce Mode = "enforce" // the rules, at every look
	Follow  Mode = "follow"  // the rules when their answer for the person changes, the floor in between
	Initial Mode = "initial" // the rules at creation, the floor from then on
	Allowed Mode = "allowed" // the floor among what is allowed, the rules otherwise
	Ignore  Mode = "ignore"  // the floor; the rules say nothing
)

// says reports whether the values say something of a field.
func (v *Values) says(f Field) bool {
	switch f {
	case FieldRouting:
		return !v.RoutingProfile.IsZero()
	case FieldSecurity:
		return len(v.SecurityProfiles) > 0
	case FieldHierarchy:
		return v.Hierarchy != nil
	case FieldProficiencies:
		return len(v.Proficiencies) > 0
	case FieldPhone:
		return v.PhoneType != "" || v.Persistent != nil
	case FieldAutoAccept:
		return len(v.AutoAccept) > 0
	case FieldAfterWork:
		return len(v.AfterContactWork) > 0
	case FieldEnhancement:
		return v.Enhancement != ""
	case FieldTags:
		return len(v.Tags) > 0
	}
	return false
}

// managed gives the fields that some persona or rule of an instance says
// something of. What nobody says anything of is left alone; of what somebody
// does, a person for whom the rules say nothing is to have nothing.
func (s *Settings) managed(instance string) map[Field]bool {
	out := map[Field]bool{}
	note := func(v *Values) {
		for _, f := range fields {
			if v.says(f) {
				out[f] = true
			}
		}
	}
	for name, p := range s.Personas {
		if p.Instance == instance && s.Leavers.SuspendAs[instance] != name {
			note(&p.Values)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			note(r.Set)
		}
	}
	return out
}

// Manages reports whether agents of an instance have anything configured of a
// field, so that it is worth reading.
func (s Settings) Manages(instance string, f Field) bool {
	if s.managed(instance)[f] {
		return true
	}
	p, ok := s.Personas[s.Leavers.SuspendAs[instance]]
	return ok && p.Values.says(f)
}

// Skills gives every proficiency that the rules can give in an instance, sorted:
// a value that is worked out may be any that the attribute has.
func (s Settings) Skills(instance string, c Catalog) []Proficiency {
	var out []Proficiency
	note := func(v *Values) {
		for _, skill := range v.Proficiencies {
			values := []string{skill.Value.Text()}
			if len(skill.Value.Slots()) > 0 {
				values = c.Attributes[skill.Attribute]
			} else if text, err := skill.Value.fill(nil, nil); err == nil {
				values = []string{text}
			}
			for _, value := range values {
				out = append(out, Proficiency{Attribute: skill.Attribute, Value: value, Level: skill.Level})
			}
		}
	}
	for _, p := range s.Personas {
		if p.Instance == instance {
			note(&p.Values)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			note(r.Set)
		}
	}
	slices.SortFunc(out, compareProficiencies)
	return slices.Compact(out)
}

// usesProfile reports whether something of a person's profile is filled in.
func (v *Values) usesProfile() bool {
	return v.RoutingProfile.usesProfile() || v.Hierarchy != nil && v.Hierarchy.usesProfile() || v.DeskNumber.usesProfile() ||
		slices.ContainsFunc(v.Proficiencies, func(s Skill) bool { return s.Value.usesProfile() }) ||
		slices.ContainsFunc(slices.Collect(maps.Values(v.Tags)), Template.usesProfile)
}
