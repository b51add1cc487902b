package plan

import (
	"slices"
	"time"
)

// Change is one step from the roster as it is to the roster as it should be. It
// is data: it can be printed, stored, reviewed and applied later.
type Change struct {
	Action   Action   `json:"action"`
	Instance string   `json:"instance,omitempty"` // as the configuration calls it; empty where there is one
	Person   string   `json:"person"`             // Okta user id of the owner
	Agent    string   `json:"agent,omitempty"`    // Connect UserId; empty for Create, the old agent's for Replace
	Before   *Agent   `json:"before,omitempty"`   // nil for Create
	After    *Agent   `json:"after,omitempty"`    // nil for Delete and Release; the new agent for Replace
	Fields   []Field  `json:"fields,omitempty"`   // what is written, for Adopt, Update, Suspend and Resume; in order
	Evidence Evidence `json:"evidence,omitempty"` // what a Suspend or a Delete rests on
	Group    string   `json:"group,omitempty"`    // Okta id of the group that was lost, for EvidenceMembership
	Reason   string   `json:"reason"`             // for people: "in group Amazon Connect Agents"

	// Parked is what becomes of the old agent of a Replace.
	Parked *Agent `json:"parked,omitempty"`
}

// Action is what a change does to an agent.
type Action string

// The actions.
const (
	Create  Action = "create"
	Adopt   Action = "adopt"   // write our tags on an agent that was nobody's
	Update  Action = "update"  // write the fields that differ
	Replace Action = "replace" // retire the agent and create one of another username
	Suspend Action = "suspend" // park the agent, or park a parked one again
	Resume  Action = "resume"  // bring a parked agent back
	Delete  Action = "delete"  // and its quick connects
	Release Action = "release" // take our tags off; only ever asked for by people
)

// Evidence is what the removal of somebody's access rests on.
type Evidence string

// The kinds of evidence.
const (
	EvidenceStatus     Evidence = "status"     // suspended, deactivated or deleted in Okta
	EvidenceMembership Evidence = "membership" // in none of the groups any more
	EvidenceRename     Evidence = "rename"     // another agent has taken the place of this one
)

// Removes reports whether the change takes somebody's access away for longer
// than it takes to apply it.
func (c Change) Removes() bool { return c.Action == Suspend || c.Action == Delete }

// Buries reports whether Before is the agent in use, to be remembered before the
// change is made. What is found of an agent that is parked already is no more
// than what was left of it.
func (c Change) Buries() bool {
	return c.Action == Suspend && c.Before.State != StateSuspended && c.Before.State != StateRetired
}

// Moves reports whether the change gives somebody other work or other rights.
func (c Change) Moves() bool {
	return c.Action == Replace || c.Action == Update && (slices.Contains(c.Fields, FieldRouting) || slices.Contains(c.Fields, FieldSecurity))
}

// Hash names the change by what it does and to whom, so that what was approved
// can be told from what was not. It depends on what is written alone: not on
// times, reasons and evidence, which differ from one look to the next, and not on
// what else the agent has, of which a search shows less than a look.
func (c Change) Hash() string {
	written := c.Fields
	if c.Action == Replace && c.Before != nil && c.Parked != nil {
		written = append(differing(c.Before, c.Parked), FieldOwnership)
	}
	essence := struct {
		Action                  Action
		Instance, Person, Agent string
		Fields                  []Field
		Before, After, Parked   *Agent
	}{Action: c.Action, Instance: c.Instance, Person: c.Person, Agent: c.Agent, Fields: written, Parked: only(written, c.Parked)}
	switch c.Action {
	case Create, Replace:
		essence.After = timeless(c.After)
	case Update:
		essence.Before, essence.After = only(written, c.Before), only(written, c.After)
	default:
		essence.After = only(written, c.After)
	}
	return digest(essence)[:32]
}

// only gives an agent that has nothing but some fields of another one, without
// times.
func only(fields []Field, a *Agent) *Agent {
	if a == nil {
		return nil
	}
	var b Agent
	for _, f := range fields {
		b = copyField(f, b, a)
	}
	return timeless(&b)
}

// timeless gives an agent without times. What is empty and what is missing are
// the same.
func timeless(a *Agent) *Agent {
	if a == nil {
		return nil
	}
	b := clone(a)
	b.Since = time.Time{}
	b.SecurityProfiles = append([]string{}, b.SecurityProfiles...)
	return b
}

// Refusal is something that will not be done, and why.
type Refusal struct {
	Instance string `json:"instance,omitempty"`
	Person   string `json:"person"`
	Username string `json:"username"`
	Agent    string `json:"agent,omitempty"` // the agent that is left alone, if there is one
	Code     Code   `json:"code"`
	Reason   string `json:"reason"` // for people
}

// Code names a kind of refusal. Codes are stable: scripts may rely on them.
type Code string

// The kinds of refusal.
const (
	NotEntitled        Code = "not_entitled"        // in no mapped group, or not active in Okta
	StatusUnknown      Code = "status_unknown"      // Okta reports a status that we do not know
	Exempt             Code = "exempt"              // the configuration says never to touch them
	NoPersona          Code = "no_persona"          // rules match, none names a persona
	RuleFailed         Code = "rule_failed"         // an expression or a value of a rule cannot be worked out for them
	UsernameImpossible Code = "username_impossible" // Amazon Connect cannot hold the username
	UsernameChanged    Code = "username_changed"    // Connect has no rename, and the policy or the case forbids a replacement
	ExistsNotOurs      Code = "exists_not_ours"     // an agent that is nobody's has the username
	ExistsElsewhere    Code = "exists_elsewhere"    // an agent of another deployment has the username
	UsernameHeld       Code = "username_held"       // another agent of this deployment has the username
	ProfileUnknown     Code = "profile_unknown"     // the instance lacks a profile, group or attribute that is named
	ProfileForbidden   Code = "profile_forbidden"   // the persona names the profile Admin without allowing it
	Conflict           Code = "conflict"            // the username is taken and nobody shows by whom, or wanted twice
	Held               Code = "held"                // waits for somebody to approve it
	Stayed             Code = "stayed"              // somebody said to leave them as they are for a while
)

// Codes gives all kinds of refusal.
func Codes() []Code {
	return []Code{
		NotEntitled, StatusUnknown, Exempt, NoPersona, RuleFailed, UsernameImpossible, UsernameChanged,
		ExistsNotOurs, ExistsElsewhere, UsernameHeld, ProfileUnknown, ProfileForbidden, Conflict, Held, Stayed,
	}
}
