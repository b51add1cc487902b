package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
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

// Name gives the name of an id, or the id itself.
func (o Offer) Name(id string) string {
	for name, other := range o {
		if other == id {
			return name
		}
	}
	return id
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
