// Package plan decides what has to change in Amazon Connect so that the agent
// roster equals what the directory says. It is pure: values in, values out. It
// reads no clock, writes no log and calls nobody, so the same input always
// gives the same plan, and printing a plan is a dry run.
package plan

import (
	"fmt"
	"slices"
	"strings"
)

// World is what was read from both sides for one decision. A person or an agent
// that is not in it does not exist as far as the plan is concerned, so whoever
// fills it must read completely or report an error instead.
type World struct {
	Catalog Catalog
	People  []Person
	Agents  []Agent

	// Hidden holds usernames that Amazon Connect calls taken although no search
	// has shown by whom for longer than an index can lag.
	Hidden []string
}

// Plan is the answer: what to do and what will not be done, each with a reason.
// Both lists are ordered by person id and hold no pointers into the World.
type Plan struct {
	Changes  []Change  `json:"changes"`
	Refusals []Refusal `json:"refusals"`
}

// Empty reports whether the plan changes nothing. A plan that only refuses is
// empty.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// New compares what the rules want for every person with the agents there are.
// The order of People and Agents does not matter, and neither does an entry
// that is there twice.
func New(s Settings, w World) Plan {
	r := roster{settings: s, catalog: w.Catalog, owned: map[string]Agent{}, held: map[string]Agent{}, claimed: map[string]string{}, hidden: map[string]bool{}}
	r.read(w)

	people := slices.Clone(w.People)
	slices.SortFunc(people, comparePeople)

	var out Plan
	for i, p := range people {
		if i > 0 && people[i-1].ID == p.ID {
			continue
		}
		change, refusal := r.decide(p)
		if change != nil {
			out.Changes = append(out.Changes, *change)
		}
		if refusal != nil {
			out.Refusals = append(out.Refusals, *refusal)
		}
	}
	return out
}

// roster is the World in the shape that decisions need.
type roster struct {
	settings Settings
	catalog  Catalog
	owned    map[string]Agent  // owner -> the agent of this deployment that is the person's
	held     map[string]Agent  // folded username -> the agent that has it
	claimed  map[string]string // folded username -> the person who gets it by this plan
	hidden   map[string]bool   // folded username
}

func (r *roster) read(w World) {
	agents := slices.Clone(w.Agents)
	slices.SortFunc(agents, compareAgents)
	for _, a := range agents {
		name := Fold(a.Username)
		// Of two agents whose names differ by case alone, the smaller id stands for both.
		if _, twice := r.held[name]; !twice {
			r.held[name] = a
		}
		if !r.ours(a) || a.Owner == "" || a.State == StateRetired {
			continue
		}
		if _, twice := r.owned[a.Owner]; !twice {
			r.owned[a.Owner] = a
		}
	}
	for _, name := range w.Hidden {
		r.hidden[Fold(name)] = true
	}
}

// ours reports whether the agent bears the tag of this deployment.
func (r *roster) ours(a Agent) bool {
	return a.Deployment != "" && a.Deployment == r.settings.Deployment
}

// decide gives at most one change and at most one refusal for one person.
func (r *roster) decide(p Person) (*Change, *Refusal) {
	have, exists := r.owned[p.ID]

	why, refusal := r.entitled(p)
	if refusal != nil {
		if exists {
			refusal.Agent = have.ID
			refusal.Reason += "; policy " + string(r.settings.Policy) + " leaves the agent as it is"
		}
		return nil, refusal
	}
	if exists {
		return nil, nil
	}
	want, refusal := r.want(p, why)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := r.free(p, want.Username); refusal != nil {
		return nil, refusal
	}
	r.claimed[Fold(want.Username)] = p.ID
	return &Change{Action: Create, Person: p.ID, After: &want, Reason: why.text}, nil
}

// match is the rule that gave a person the base persona.
type match struct {
	persona string
	text    string // "in group Amazon Connect Agents"
}

// entitled tells by which rule the person is to be an agent, or why not.
func (r *roster) entitled(p Person) (match, *Refusal) {
	no := func(code Code, format string, args ...any) (match, *Refusal) {
		return match{}, &Refusal{Person: p.ID, Username: p.Username, Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	if p.ID == "" {
		return no(NotEntitled, "has no Okta user id, so no agent could be marked as theirs")
	}
	switch p.Status {
	case StatusProvisioned, StatusActive, StatusRecovery, StatusPasswordExpired, StatusLockedOut:
	case StatusStaged:
		return no(NotEntitled, "is staged in Okta: not activated yet")
	case StatusSuspended:
		return no(NotEntitled, "is suspended in Okta")
	case StatusDeprovisioned:
		return no(NotEntitled, "is deactivated in Okta")
	case StatusGone:
		return no(NotEntitled, "is deleted in Okta")
	default:
		return no(StatusUnknown, "has the Okta status %q, which this version does not know: left alone", p.Status)
	}

	mapped := false
	for _, rule := range r.settings.Rules {
		group, ok := rule.matches(p)
		if !ok {
			continue
		}
		mapped = true
		if rule.Persona != "" {
			return match{persona: rule.Persona, text: "in group " + group.label()}, nil
		}
	}
	if mapped {
		return no(NoPersona, "matches rules, but none of them names a persona")
	}
	return no(NotEntitled, "is in none of the groups that a rule names")
}

// adminProfile is the security profile of every instance that may do everything.
// Source: Amazon Connect Administrator Guide, default security profiles.
const adminProfile = "Admin"

// want builds the agent that the persona makes of the person.
func (r *roster) want(p Person, why match) (Agent, *Refusal) {
	refuse := func(code Code, reason string) (Agent, *Refusal) {
		return Agent{}, &Refusal{Person: p.ID, Username: p.Username, Code: code, Reason: reason}
	}
	persona, ok := r.settings.Personas[why.persona]
	if !ok {
		return refuse(NoPersona, fmt.Sprintf("persona %q does not exist", why.persona))
	}
	if reason := UsernameFault(p.Username); reason != "" {
		return refuse(UsernameImpossible, reason)
	}
	routing, ok := r.catalog.RoutingProfiles.Find(persona.RoutingProfile)
	if !ok {
		return refuse(ProfileUnknown, fmt.Sprintf("routing profile %q of persona %q is not in the instance%s",
			persona.RoutingProfile, why.persona, r.catalog.RoutingProfiles.hint(persona.RoutingProfile)))
	}
	var security []string
	for _, ref := range persona.SecurityProfiles {
		id, ok := r.catalog.SecurityProfiles.Find(ref)
		if !ok {
			return refuse(ProfileUnknown, fmt.Sprintf("security profile %q of persona %q is not in the instance%s",
				ref, why.persona, r.catalog.SecurityProfiles.hint(ref)))
		}
		if id == r.catalog.SecurityProfiles[adminProfile] && !persona.AllowAdmin {
			return refuse(ProfileForbidden, fmt.Sprintf("security profile %q of persona %q is %s, which may do everything; the persona must say allow_admin", ref, why.persona, adminProfile))
		}
		security = append(security, id)
	}
	slices.Sort(security)
	first, last := names(p)
	return Agent{
		Username:         p.Username,
		FirstName:        first,
		LastName:         last,
		RoutingProfile:   routing,
		SecurityProfiles: slices.Compact(security),
		Phone:            persona.Phone,
		Owner:            p.ID,
		Deployment:       r.settings.Deployment,
		State:            StateActive,
	}, nil
}

// free refuses a username that somebody else has. Amazon Connect does not say
// whether it tells names apart by case, so a name that differs by case alone
// counts as taken.
func (r *roster) free(p Person, username string) *Refusal {
	refuse := func(code Code, agent, format string, args ...any) *Refusal {
		return &Refusal{Person: p.ID, Username: username, Agent: agent, Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	name := Fold(username)
	if a, taken := r.held[name]; taken {
		switch {
		case r.ours(a) && a.State == StateRetired:
			return refuse(ExistsNotOurs, a.ID, "agent %s holds the username until it is deleted: it was retired by a rename", a.ID)
		case !r.ours(a) && a.Deployment != "":
			return refuse(ExistsNotOurs, a.ID, "agent %s has the username and belongs to the deployment %q", a.ID, a.Deployment)
		case r.ours(a) && a.Owner == "":
			return refuse(ExistsNotOurs, a.ID, "agent %s has the username and the tag of this deployment, but no owner", a.ID)
		case r.ours(a):
			return refuse(ExistsNotOurs, a.ID, "agent %s has the username and belongs to the person %s", a.ID, a.Owner)
		default:
			return refuse(ExistsNotOurs, a.ID, "agent %s has the username and was not made by this deployment; nothing of it is changed until it is adopted", a.ID)
		}
	}
	if other, taken := r.claimed[name]; taken {
		return refuse(Conflict, "", "the person %s wants the same username", other)
	}
	if r.hidden[name] {
		return refuse(Conflict, "", "Amazon Connect says that the username is taken, but shows no agent that has it")
	}
	return nil
}

// Fold gives the form in which usernames are compared: lower case. Usernames
// that Connect can hold are ASCII, so no other folding matters.
func Fold(username string) string { return strings.ToLower(username) }
