package plan

import (
	"fmt"
	"strings"
	"time"
)

// join gives an agent to somebody who has none.
func (r *roster) join(p *Person, w *wanted) (*Change, *Refusal) {
	name := Fold(w.agent.Username)
	if a := r.held[name]; a != nil && r.claimed[name] == "" && !r.twins[name] && r.adopt[p.ID] && r.adoptable(p, a) {
		r.claimed[name] = p.ID
		after := own(a, w)
		for f, answer := range w.agent.Answers {
			after.Answers = with(after.Answers, f, answer) // so that what the floor chose stays
		}
		return &Change{
			Action: Adopt, Agent: a.ID, Before: a, After: &after, Fields: []Field{FieldOwnership},
			Reason: "somebody asked to adopt the agent; " + w.reason(),
		}, nil
	}
	if f := r.free(w.agent.Username); f != nil {
		return nil, f
	}
	if f := whole(&w.agent); f != nil {
		return nil, f
	}
	r.claimed[name] = p.ID
	after := w.agent
	return &Change{Action: Create, After: &after, Reason: w.reason()}, nil
}

// adoptable reports whether an agent is nobody's, or bears the owner that it is
// to get.
func (r *roster) adoptable(p *Person, a *Agent) bool {
	return r.settings.Deployment != "" && (a.Owner == "" || a.Owner == p.ID) && (a.Deployment == "" || r.ours(a))
}

// rivals refuses a further agent of somebody who has one. Until one of the two is gone
// neither is replaced, so that another username does not lead to a third.
func rivals(have, other *Agent, username string) *Refusal {
	text := fmt.Sprintf("the person has the agent %s and the tags of %s name them as its owner too: delete or release one of the two", have.ID, other.ID)
	switch {
	case Fold(have.Username) == Fold(username):
	case Fold(other.Username) == Fold(username):
		text += fmt.Sprintf("; %s has the person's username", other.ID)
	default:
		text += "; neither has the person's username"
	}
	return &Refusal{Username: other.Username, Code: Conflict, Reason: text}
}

// whole refuses an agent that Amazon Connect would not create.
func whole(a *Agent) *Refusal {
	switch {
	case a.RoutingProfile == "":
		return &Refusal{Code: RuleFailed, Reason: "the rules give no routing profile, and no agent can be without one"}
	case len(a.SecurityProfiles) == 0:
		return &Refusal{Code: RuleFailed, Reason: "the rules give no security profile, and no agent can be without one"}
	}
	return nil
}

// own gives an agent our tags.
func own(have *Agent, w *wanted) Agent {
	a := *have
	a.Owner, a.Deployment, a.State, a.Since, a.Group = w.agent.Owner, w.agent.Deployment, StateActive, time.Time{}, w.agent.Group
	return a
}

// keep brings the agent of somebody who is to have one in line.
func (r *roster) keep(p *Person, have *Agent, w *wanted) (*Change, *Refusal) {
	// An agent that was not made in full is finished under every policy.
	if r.settings.Policy != UpsertOnly && r.settings.Policy != Sync && have.State != StateCreating {
		return nil, nil
	}
	floor, remembered := r.floor(have)
	if !remembered {
		if f := whole(&w.agent); f != nil {
			return nil, f
		}
	}
	var refusal *Refusal
	// Of two agents nobody knows which one is to be replaced; decide refuses them.
	if have.Username != w.agent.Username && len(r.spare[p.ID]) == 0 {
		c, f := r.rename(p, have, w)
		if c != nil {
			return c, nil
		}
		refusal = f
	}
	after := r.settle(own(have, w), floor, have, w)
	fields := differing(have, &after)
	if !sameOwnership(have, &after) {
		fields = append(fields, FieldOwnership)
	}
	if len(fields) == 0 {
		return nil, refusal
	}
	return update(have, after, fields, w, remembered), refusal
}

// update writes the fields in which an agent differs from what it is to be, and
// says why.
func update(have *Agent, after Agent, fields []Field, w *wanted, remembered bool) *Change {
	c := &Change{Action: Update, Agent: have.ID, Before: have, After: &after, Fields: fields}
	switch {
	case have.State == StateSuspended && remembered:
		c.Action, c.Reason = Resume, w.reason()+" again"
	case have.State == StateSuspended:
		c.Action, c.Reason = Resume, w.reason()+" again; what the agent was before is not remembered, so the rules alone decide"
	case have.unfinished():
		c.Reason = w.reason() + "; the agent was not made in full"
	default:
		c.Reason = w.cause(fields)
	}
	return c
}

// floor gives the agent as the floor last had it: as it is, or if it is suspended
// as it was before. It gives nil for a suspended agent that nothing is remembered
// of.
func (r *roster) floor(have *Agent) (floor *Agent, remembered bool) {
	if have.State != StateSuspended {
		return have, true
	}
	before, ok := r.tombstones[have.ID]
	if !ok {
		return nil, false
	}
	return &before, true
}

// settle gives an agent what the rules say of it, and of what they leave to the
// floor what the floor has. Fields that come out the same are left as they are.
func (r *roster) settle(a Agent, floor, have *Agent, w *wanted) Agent {
	for i, f := range fields {
		next := a
		if floor != nil && !sameField(f, &next, floor) {
			next = copyField(f, next, floor)
		}
		if w.said[i] && (floor == nil || r.overrides(w.who[i], f, floor, have, w)) {
			next = w.write(f, next)
		}
		if !sameField(f, &a, &next) {
			a = next
		}
	}
	for f, answer := range w.agent.Answers {
		a.Answers = with(a.Answers, f, answer)
	}
	return a
}

// overrides reports whether the rules' value of a field replaces the floor's.
func (r *roster) overrides(a Authority, f Field, floor, have *Agent, w *wanted) bool {
	switch a.Mode {
	case Ignore:
		return false
	case Initial:
		return have.unfinished()
	case Follow:
		return have.unfinished() || have.Answers[f] != w.agent.Answers[f]
	case Allowed:
		last, noted := have.Answers[f]
		return have.unfinished() || noted && last != w.agent.Answers[f] || !r.allows(a.Allowed, f, floor)
	}
	return true
}

// differing gives the fields in which two agents differ.
func differing(a, b *Agent) []Field {
	var out []Field
	for _, f := range fields {
		if !sameField(f, a, b) {
			out = append(out, f)
		}
	}
	return out
}

// cause says in words why an agent is updated.
func (w *wanted) cause(fields []Field) string {
	var parts []string
	for _, f := range fields {
		if f != FieldOwnership {
			parts = append(parts, fmt.Sprintf("%s by %s", f, w.origin(f)))
		}
	}
	if len(parts) == 0 {
		return w.reason()
	}
	return strings.Join(parts, ", ")
}

// rename puts another agent in the place of one whose username is not the
// person's any more: Amazon Connect has no rename.
func (r *roster) rename(p *Person, have *Agent, w *wanted) (*Change, *Refusal) {
	username := w.agent.Username
	refuse := func(format string, args ...any) (*Change, *Refusal) {
		return nil, &Refusal{Username: username, Code: UsernameChanged, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case Fold(have.Username) == Fold(username):
		return refuse("the username differs from the agent's by case alone; Amazon Connect cannot rename an agent, and may not hold two names that differ so: give the person the agent's spelling in Okta, or delete the agent by hand")
	case r.settings.Policy != Sync:
		return refuse("the username is another one than the agent's; Amazon Connect cannot rename an agent, and policy %s replaces none", r.settings.Policy)
	}
	if f := r.free(username); f != nil {
		return nil, f
	}
	parked, f := r.park(have, StateRetired)
	if f != nil {
		return nil, f
	}
	floor, _ := r.floor(have)
	after := r.settle(w.agent, floor, have, w)
	if f := whole(&after); f != nil {
		return nil, f
	}
	r.claimed[Fold(username)] = p.ID
	return &Change{
		Action: Replace, Agent: have.ID, Before: have, After: &after, Parked: &parked,
		Reason: "the username in Okta has changed, and Amazon Connect has no rename",
	}, nil
}

// leave takes the access of somebody who left, in two steps: the agent is parked,
// and deleted when it has been for long enough.
func (r *roster) leave(have *Agent, v verdict) (*Change, *Refusal) {
	if r.settings.Policy != Sync {
		f := *v.refusal
		f.Reason += fmt.Sprintf("; policy %s leaves the agent as it is", r.settings.Policy)
		return nil, &f
	}
	c, f := r.shelve(have, StateSuspended, v.refusal.Reason)
	if c == nil {
		return nil, f
	}
	c.Evidence = v.evidence
	if v.evidence == EvidenceMembership {
		c.Group = have.Group
	}
	return c, nil
}

// remove parks a retired agent that somebody gave rights again, and deletes it
// when its time has come.
func (r *roster) remove(old *Agent) (*Change, *Refusal) {
	if r.settings.Policy != Sync {
		return nil, nil
	}
	c, f := r.shelve(old, StateRetired, "was retired by a rename")
	switch {
	case f != nil:
		f.Username = old.Username
	case c != nil:
		c.Evidence = EvidenceRename
	}
	return c, f
}

// shelve takes an agent out of use: it is parked, parked again if somebody has
// changed it, and deleted when it has waited for long enough.
func (r *roster) shelve(have *Agent, state State, reason string) (*Change, *Refusal) {
	parked, f := r.park(have, state)
	if f != nil {
		return nil, f
	}
	c := &Change{Action: Suspend, Agent: have.ID, Before: have, After: &parked, Fields: differing(have, &parked)}
	drifted := len(c.Fields) > 0
	if !sameOwnership(have, &parked) {
		c.Fields = append(c.Fields, FieldOwnership)
	}
	switch {
	case have.State != state:
		c.Reason = reason
	case drifted:
		c.Reason = reason + "; the agent was changed since it was parked"
	case len(c.Fields) > 0:
		c.Reason = reason + "; when the agent was parked is not known, so it counts from now"
	case r.due(have):
		c.Action, c.After, c.Fields = Delete, nil, nil
		c.Reason = fmt.Sprintf("%s; %s since %s", reason, state, have.Since.UTC().Format(time.DateOnly))
	default:
		return nil, nil
	}
	return c, nil
}

// due reports whether a parked agent has waited long enough to be deleted.
func (r *roster) due(a *Agent) bool {
	after := r.settings.Leavers.DeleteAfter
	return after > 0 && !a.Since.IsZero() && r.now.Sub(a.Since) >= after
}

// park gives the agent what the persona for suspended agents says, and nothing
// else changes. The time of a state that it is in already stays, if it is known.
func (r *roster) park(have *Agent, state State) (Agent, *Refusal) {
	if r.parking == nil {
		r.parking = r.parked()
	}
	if f := r.parking.refusal; f != nil {
		g := *f
		return Agent{}, &g
	}
	a := *have
	for _, f := range fields {
		if r.parking.wanted.says(f) {
			if next := r.parking.wanted.write(f, a); !sameField(f, &a, &next) {
				a = next
			}
		}
	}
	if a.State != state || a.Since.IsZero() {
		a.State, a.Since = state, r.now.UTC().Truncate(time.Second)
	}
	return a, nil
}

// parked works out the persona of suspended agents. One that leaves an agent its
// rights or its queues is refused.
func (r *roster) parked() *built {
	refuse := func(format string, args ...any) *built {
		return &built{refusal: &Refusal{Code: NoPersona, Reason: fmt.Sprintf(format, args...)}}
	}
	name := r.settings.Leavers.SuspendAs[r.instance]
	persona, ok := r.settings.Personas[name]
	switch {
	case !ok:
		return refuse("no persona for suspended agents is configured for this instance: leavers.suspend_as")
	case !persona.Values.says(FieldRouting) || !persona.Values.says(FieldSecurity):
		return refuse("the persona %s for suspended agents must name a routing profile and security profiles, or it would take nothing from them", name)
	}
	return r.build(&Person{}, name, persona, nil, false)
}

// free refuses a username that somebody else has. Amazon Connect does not say
// whether it tells names apart by case, so a name that differs by case alone
// counts as taken.
func (r *roster) free(username string) *Refusal {
	refuse := func(code Code, agent, format string, args ...any) *Refusal {
		return &Refusal{Username: username, Agent: agent, Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	name := Fold(username)
	if a, taken := r.held[name]; taken {
		switch {
		case r.ours(a) && a.State == StateRetired:
			return refuse(UsernameHeld, a.ID, "agent %s holds the username until it is deleted: it was retired by a rename", a.ID)
		case !r.ours(a) && a.Deployment != "":
			return refuse(ExistsElsewhere, a.ID, "agent %s has the username and belongs to the deployment %q", a.ID, a.Deployment)
		case r.ours(a) && a.Owner == "":
			return refuse(UsernameHeld, a.ID, "agent %s has the username and the tag of this deployment, but no owner", a.ID)
		case r.ours(a) && a.State == StateSuspended:
			return refuse(UsernameHeld, a.ID, "agent %s has the username and belongs to the person %s, who left: it is suspended", a.ID, a.Owner)
		case r.ours(a):
			return refuse(UsernameHeld, a.ID, "agent %s has the username and belongs to the person %s", a.ID, a.Owner)
		case r.twins[name]:
			return refuse(ExistsNotOurs, a.ID, "agent %s and another one have the username, by case alone; nothing of them is changed until one of them is gone", a.ID)
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
