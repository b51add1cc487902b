package config

import (
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// Persona is a kind of agent. Text in it may hold {profile.attribute}, which is
// filled in from the person's profile in Okta; braces that are meant as such are
// doubled.
type Persona struct {
	// The instance to which the persona belongs, by its name under `instances`.
	// Needed with those, refused with `connect`.
	Instance string `yaml:"instance" example:"emea"`

	// The routing profile, by name, id or ARN. Names are compared to the letter.
	RoutingProfile string `yaml:"routing_profile" need:"yes" example:"Basic Routing Profile"`

	// One to ten security profiles, by name, id or ARN, as a list or as text with
	// commas. Nothing is filled in here: nobody gets rights by the name of a group.
	SecurityProfiles Names `yaml:"security_profiles" need:"yes" example:"[Agent, QualityAnalyst]"`

	// The hierarchy group, by its path from the top, id or ARN; `none` or `""` for
	// in no group.
	Hierarchy Hierarchy `yaml:"hierarchy" example:"EMEA/Support"`

	// What agents know, for routing: predefined attributes of the instance, of
	// each the values, and of each value the level from 1 to 5.
	Proficiencies Proficiencies `yaml:"proficiencies" example:"{language: {de: 4, en: 3}}"`

	// How agents of this persona take calls.
	Voice Voice `yaml:"voice"`

	// How they take chats.
	Chat Handling `yaml:"chat"`

	// How they take tasks.
	Task Handling `yaml:"task"`

	// How they take e-mails.
	Email Handling `yaml:"email"`

	// Tags of the agent beside those of connectroster, at most 30, with keys of up
	// to 128 and values of up to 256 characters. Neither `connectroster:` nor `aws:`
	// may begin a key. Tags that are not named here are left alone.
	Tags map[string]string `yaml:"tags" type:"keys with text" example:"{team: support}"`

	// Who decides about parts of agents of this persona, where it is not as under
	// `authority`.
	Authority Authorities `yaml:"authority"`

	// Lets this persona hold the security profile `Admin`, which may do
	// everything in the instance. Without it a persona that names `Admin` is a
	// fault, and nobody gets one that means it by id or ARN.
	AllowAdmin bool `yaml:"allow_admin" default:"false" example:"true"`
}

// Set is what a rule says of an agent. Of single values the first rule wins, and
// a rule goes before the persona; security profiles, proficiencies and tags add
// up.
type Set struct {
	// As in a persona.
	RoutingProfile string `yaml:"routing_profile" example:"\"{queue}\""`

	// Security profiles that are added to those of the persona. Nothing is filled
	// in here.
	SecurityProfiles Names `yaml:"security_profiles" example:"[QualityAnalyst]"`

	// As in a persona.
	Hierarchy Hierarchy `yaml:"hierarchy" example:"\"EMEA/{profile.department}\""`

	// Proficiencies that are added. A value that is filled in is added for each of
	// the person's groups that the rule matches; of two levels for the same value
	// the first stands.
	Proficiencies Proficiencies `yaml:"proficiencies" example:"{language: {\"{lang}\": 3}}"`

	// As in a persona.
	Voice Voice `yaml:"voice"`

	// As in a persona.
	Chat Handling `yaml:"chat"`

	// As in a persona.
	Task Handling `yaml:"task"`

	// As in a persona.
	Email Handling `yaml:"email"`

	// Tags that are added.
	Tags map[string]string `yaml:"tags" type:"keys with text" example:"{team: \"{queue}\"}"`
}

// says gives what a persona says of an agent.
func (p Persona) says() Set {
	return Set{p.RoutingProfile, p.SecurityProfiles, p.Hierarchy, p.Proficiencies, p.Voice, p.Chat, p.Task, p.Email, p.Tags}
}

// Hierarchy is the path, id or ARN of a hierarchy group, or noHierarchy. Empty:
// not said.
type Hierarchy string

// noHierarchy stands for in no group.
const noHierarchy Hierarchy = "none"

func (h *Hierarchy) set(text string) complaint {
	switch {
	case text == "":
		text = string(noHierarchy)
	case strings.HasPrefix(text, "/"), strings.HasSuffix(text, "/"), strings.Contains(text, "//"):
		return complaint{"want the names of the groups from the top with / between them, such as EMEA/Support", ""}
	}
	*h = Hierarchy(text)
	return complaint{}
}

// Proficiencies are levels by attribute and value.
type Proficiencies map[string]map[string]int

// Voice says how an agent takes calls.
type Voice struct {
	// `soft_phone` is the browser, `desk_phone` a telephone that is called at
	// `desk_number`. Where the file says nothing of it, new agents get a soft phone
	// and what becomes of that later is the floor's.
	Type plan.PhoneType `yaml:"type" type:"soft_phone or desk_phone" example:"soft_phone"`

	// The number of the desk phone, with `+` and country code. Needed with
	// `desk_phone`, refused without.
	DeskNumber string `yaml:"desk_number" example:"\"+4930123456\""`

	// Whether calls are connected without the agent accepting them. Where the file
	// says nothing of it, they are not for new agents, and it is the floor's later.
	AutoAccept *bool `yaml:"auto_accept" example:"true"`

	// How long an agent may work on after a contact before the next may come:
	// whole seconds, at most 2000000s. `unlimited` lets them work until they say
	// that they are done; it must be written out, because Amazon Connect's own
	// way to say so is 0. Where the file says nothing of it, new agents have 30s,
	// and it is the floor's later.
	AfterContactWork *WorkLimit `yaml:"after_contact_work" example:"2m"`

	// Whether the connection to the agent's phone stays open between calls.
	Persistent *bool `yaml:"persistent_connection" example:"false"`

	// What is done to the sound: `voice_isolation`, `noise_suppression` or `none`.
	Enhancement plan.Enhancement `yaml:"enhancement" type:"voice_isolation, noise_suppression or none" example:"none"`
}

// Handling says how an agent takes the contacts of a channel.
type Handling struct {
	// Whether contacts are connected without the agent accepting them.
	AutoAccept *bool `yaml:"auto_accept" example:"true"`

	// How long an agent may work on after a contact, as under `voice`.
	AfterContactWork *WorkLimit `yaml:"after_contact_work" example:"10s"`
}

// Rule says something about the people who meet all that it names.
type Rule struct {
	// Okta groups, of which the person must be in any: each by its id, by its name
	// in full, to the letter, or as a regular expression between slashes that is
	// looked for in the names. What its named groups capture may be used in `set`:
	// `(?<queue>.+)` fills `{queue}`.
	Groups []string `yaml:"groups" type:"list of groups" example:"[Amazon Connect Agents, \"/^Connect Queue (?<queue>.+)$/\"]"`

	// Attributes of the person's profile in Okta, by their variable names, that
	// must be equal to the value or to one of a list, or match a regular expression
	// between slashes. Of an attribute that is a list itself any element may. Only
	// with `okta.auth`.
	Profile map[string]Values `yaml:"profile" type:"attributes with values" example:"{department: Quality, title: /^Senior/}"`

	// An expression that must be true, for what does not fit the other forms. It
	// knows `profile`, `groups` (by name), `group_ids`, `status`, `username`,
	// `first_name` and `last_name`. Only with `okta.auth`.
	When string `yaml:"when" type:"expression" example:"'profile.department == \"Quality\" && \"Nights\" in groups'"`

	// What must not hold of the person: the rule leaves out whoever meets all of
	// it.
	Not Condition `yaml:"not"`

	// The name of the persona they get, unless an earlier rule gave them one.
	Persona string `yaml:"persona" example:"agent"`

	// What is laid over the persona, whichever rule gave that.
	Set Set `yaml:"set"`

	// Lets `set` count in one instance alone, by its name under `instances`.
	Instance string `yaml:"instance" example:"emea"`

	line int
}

// Condition is met by people who meet all that it names.
type Condition struct {
	// As in a rule.
	Groups []string `yaml:"groups" type:"list of groups" example:"[Trainees]"`

	// As in a rule.
	Profile map[string]Values `yaml:"profile" type:"attributes with values" example:"{employeeType: Contractor}"`

	// As in a rule.
	When string `yaml:"when" type:"expression" example:"'status == \"LOCKED_OUT\"'"`
}

// Exemption names people who are never touched.
type Exemption struct {
	// People by their Okta ids or usernames, whatever the case. It stands alone in
	// its entry.
	People []string `yaml:"people" type:"list of ids or usernames" example:"[00u1emaKYZTWRYYRRTSK, boss@example.com]"`

	// As in a rule.
	Groups []string `yaml:"groups" type:"list of groups" example:"[Contact Centre Administrators]"`

	// As in a rule.
	Profile map[string]Values `yaml:"profile" type:"attributes with values" example:"{employeeType: Contractor}"`

	// As in a rule.
	When string `yaml:"when" type:"expression" example:"'profile.title == nil'"`

	// As in a rule.
	Not Condition `yaml:"not"`
}

// Values are those that an attribute may have: one, or a list.
type Values []Value

// Value is a text, number or truth value, or a regular expression between
// slashes.
type Value string

func (v *Values) set(text string) complaint {
	*v = Values{Value(text)}
	return complaint{}
}

// Authorities say who decides about the parts of an agent.
type Authorities struct {
	// First and last name, which come from Okta. Left out: `enforce`.
	Name Mode `yaml:"name" example:"ignore"`

	// The routing profile. Left out: `follow`.
	RoutingProfile Authority `yaml:"routing_profile" example:"follow"`

	// The security profiles. Left out: `enforce`.
	SecurityProfiles Authority `yaml:"security_profiles" example:"enforce"`

	// The hierarchy group. Left out: `enforce`.
	Hierarchy Authority `yaml:"hierarchy" example:"{allowed: [EMEA/Support, EMEA/Sales]}"`

	// The proficiencies. Left out: `enforce`.
	Proficiencies Mode `yaml:"proficiencies" example:"initial"`

	// The kind of phone, its number and whether its connection stays open. Left
	// out: `enforce` where the file says any of it, or else `initial`.
	Phone Mode `yaml:"phone" example:"initial"`

	// Whether contacts are accepted by themselves, on all channels. Left out:
	// `enforce` where the file says any of it, or else `initial`.
	AutoAccept Mode `yaml:"auto_accept" example:"enforce"`

	// How long agents may work on after a contact, on all channels. Left out:
	// `enforce` where the file says any of it, or else `initial`.
	AfterContactWork Mode `yaml:"after_contact_work" example:"follow"`

	// What is done to the sound of calls. Left out: `enforce`.
	Enhancement Mode `yaml:"voice_enhancement" example:"enforce"`

	// The tags. Left out: `enforce`. They cannot be followed.
	Tags Mode `yaml:"tags" example:"enforce"`
}

// byField gives what is said, by field.
func (a Authorities) byField() map[plan.Field]Authority {
	out := map[plan.Field]Authority{}
	for f, authority := range map[plan.Field]Authority{
		plan.FieldName: {Mode: a.Name}, plan.FieldRouting: a.RoutingProfile, plan.FieldSecurity: a.SecurityProfiles,
		plan.FieldHierarchy: a.Hierarchy, plan.FieldProficiencies: {Mode: a.Proficiencies}, plan.FieldPhone: {Mode: a.Phone},
		plan.FieldAutoAccept: {Mode: a.AutoAccept}, plan.FieldAfterWork: {Mode: a.AfterContactWork},
		plan.FieldEnhancement: {Mode: a.Enhancement}, plan.FieldTags: {Mode: a.Tags},
	} {
		if len(authority.Allowed) > 0 {
			authority.Mode = Mode(plan.Allowed)
		}
		if authority.Mode != "" {
			out[f] = authority
		}
	}
	return out
}

// Mode is a word for who decides.
type Mode plan.Mode

func (m *Mode) set(text string) complaint {
	modes := []string{string(plan.Enforce), string(plan.Follow), string(plan.Initial), string(plan.Ignore)}
	switch {
	case text == string(plan.Allowed):
		return complaint{"allowed needs what is allowed", "write {allowed: [...]}, with a routing profile, security profiles or a hierarchy"}
	case !slices.Contains(modes, text):
		return choice(text, modes...)
	}
	*m = Mode(text)
	return complaint{}
}

// Authority is a Mode, or what the floor may choose from.
type Authority struct {
	Mode    Mode     `yaml:"-"`
	Allowed []string `yaml:"allowed"`
}

func (a *Authority) set(text string) complaint { return a.Mode.set(text) }

// Leavers says what becomes of the agents of people who left.
type Leavers struct {
	// The persona of suspended agents, with a security profile that allows nothing
	// and a routing profile without queues. With several instances a list, one for
	// each. Needed with `sync`.
	SuspendAs Names `yaml:"suspend_as" type:"name of a persona, or a list of one for each instance" example:"parked"`

	// How long after its suspension an agent is deleted, with its quick connects:
	// 1h to 3650d, or `never`.
	DeleteAfter Grace `yaml:"delete_after" default:"7d" type:"a duration such as 7d, or never" example:"30d"`
}

// Grace is a time after which something goes. Zero: never.
type Grace time.Duration

func (g *Grace) set(text string) complaint {
	if text == "never" {
		*g = 0
		return complaint{}
	}
	d, fault := duration(text)
	switch {
	case fault.problem != "":
		return fault
	case d < time.Hour || d > 3650*24*time.Hour:
		return complaint{"want 1h to 3650d, or never", ""}
	}
	*g = Grace(d)
	return complaint{}
}
