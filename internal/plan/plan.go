// Package plan decides what has to change in Amazon Connect so that the agent
// roster equals what the directory says. It is pure: values in, values out. It
// reads no clock, writes no log and calls nobody, so the same input always
// gives the same plan, and printing a plan is a dry run.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// World is what was read from both sides for one decision about one instance. A
// person or an agent that is not in it does not exist as far as the plan is
// concerned, so whoever fills it must read completely or report an error instead.
type World struct {
	Instance string    // as the configuration calls it; empty where there is one
	Now      time.Time // for what is done after a time
	Catalog  Catalog
	People   []Person
	Agents   []Agent

	// Complete says that People are all who may be agents, so that whoever owns an
	// agent and is not among them has left. Without it nothing follows for them.
	Complete bool

	// Hidden holds usernames that Amazon Connect calls taken although no search
	// has shown by whom for longer than an index can lag.
	Hidden []string

	// Tombstones are agents as they were before they were suspended, by UserId.
	Tombstones map[string]Agent

	// Adopt holds the people whose username an agent that is nobody's may have.
	Adopt map[string]bool
}

// Plan is the answer: what to do and what will not be done, each with a reason.
// Both lists are ordered by person id, and share nothing that is written to with
// the World.
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
	r := newRoster(s, w)
	var out Plan
	for p := range r.everybody(w) {
		changes, refusals := r.decide(p)
		out.Changes = append(out.Changes, changes...)
		out.Refusals = append(out.Refusals, refusals...)
	}
	return out
}

// roster is the World in the shape that decisions need.
type roster struct {
	settings   Settings
	instance   string
	now        time.Time
	catalog    Catalog
	tombstones map[string]Agent
	adopt      map[string]bool

	owned   map[string]Agent   // owner -> the agent of this deployment that is the person's
	retired map[string][]Agent // owner -> the agents that were replaced
	held    map[string]Agent   // folded username -> the agent that has it
	claimed map[string]string  // folded username -> the person who gets it by this plan
	hidden  map[string]bool    // folded username

	managed map[Field]bool
	exempt  map[string]bool // Okta ids, and usernames folded
	matches map[matchKey]captures
}

func newRoster(s Settings, w World) *roster {
	r := &roster{
		settings: s, instance: w.Instance, now: w.Now, catalog: w.Catalog, tombstones: w.Tombstones, adopt: w.Adopt,
		owned: map[string]Agent{}, retired: map[string][]Agent{}, held: map[string]Agent{}, claimed: map[string]string{}, hidden: map[string]bool{},
		managed: s.managed(w.Instance), exempt: map[string]bool{}, matches: map[matchKey]captures{},
	}
	agents := slices.Clone(w.Agents)
	slices.SortFunc(agents, compareAgents)
	for i, a := range agents {
		if i > 0 && agents[i-1].ID == a.ID && a.ID != "" {
			continue
		}
		// Of two agents whose names differ by case alone, the smaller id stands for both.
		name := Fold(a.Username)
		if _, twice := r.held[name]; !twice {
			r.held[name] = a
		}
		if !r.ours(a) || a.Owner == "" {
			continue
		}
		if a.State == StateRetired {
			r.retired[a.Owner] = append(r.retired[a.Owner], a)
		} else if _, twice := r.owned[a.Owner]; !twice {
			r.owned[a.Owner] = a
		}
	}
	for _, name := range w.Hidden {
		r.hidden[Fold(name)] = true
	}
	for _, ref := range s.ExemptPeople {
		r.exempt[ref], r.exempt[Fold(ref)] = true, true
	}
	return r
}

// everybody gives each person once, ordered by id, and in a complete world those
// too who own an agent and are not listed any more.
func (r *roster) everybody(w World) func(yield func(*Person) bool) {
	people := slices.Clone(w.People)
	if w.Complete {
		listed := make(map[string]bool, len(people))
		for _, p := range people {
			listed[p.ID] = true
		}
		owners := map[string]string{}
		for owner, agents := range r.retired {
			owners[owner] = agents[0].Username
		}
		for owner, a := range r.owned {
			owners[owner] = a.Username
		}
		for owner, username := range owners {
			if !listed[owner] {
				people = append(people, Person{ID: owner, Username: username, Status: statusUnlisted})
			}
		}
	}
	slices.SortFunc(people, comparePeople)
	return func(yield func(*Person) bool) {
		for i := range people {
			if i > 0 && people[i-1].ID == people[i].ID {
				continue
			}
			if !yield(&people[i]) {
				return
			}
		}
	}
}

// ours reports whether the agent bears the tag of this deployment.
func (r *roster) ours(a Agent) bool {
	return a.Deployment != "" && a.Deployment == r.settings.Deployment
}

// decide gives what is to be done for one person, and what will not be done.
func (r *roster) decide(p *Person) (changes []Change, refusals []Refusal) {
	have, exists := r.owned[p.ID]
	refuse := func(f *Refusal) {
		if f == nil {
			return
		}
		f.Instance, f.Person = r.instance, p.ID
		f.Username = cmp.Or(f.Username, p.Username)
		if exists {
			f.Agent = cmp.Or(f.Agent, have.ID)
		}
		refusals = append(refusals, *f)
	}
	change := func(c *Change) {
		if c == nil {
			return
		}
		c.Instance, c.Person = r.instance, p.ID
		changes = append(changes, *c)
	}

	v := r.judge(p)
	if reason := r.exemption(p); reason != "" {
		if exists || len(r.retired[p.ID]) > 0 || v.kind == entitled {
			refuse(&Refusal{Code: Exempt, Reason: reason})
		}
		return changes, refusals
	}
	switch {
	case v.kind == undecided:
		if exists {
			v.refusal.Reason += "; the agent is left as it is"
		}
		refuse(v.refusal)
	case v.kind == leaver && exists:
		c, f := r.leave(have, v)
		change(c)
		refuse(f)
	case v.kind == leaver:
		refuse(v.refusal)
	default:
		w, f := r.want(p, v)
		switch {
		case f != nil:
			refuse(f)
		case exists:
			c, f := r.keep(p, have, w)
			change(c)
			refuse(f)
		default:
			c, f := r.join(p, w)
			change(c)
			refuse(f)
		}
	}
	for _, old := range r.retired[p.ID] {
		c, f := r.remove(old)
		change(c)
		refuse(f)
	}
	return changes, refusals
}

// exemption tells why the person is never to be touched, or gives the empty
// string. A condition that cannot be worked out exempts: it is the safe side.
func (r *roster) exemption(p *Person) string {
	if r.exempt[p.ID] || p.Username != "" && r.exempt[Fold(p.Username)] {
		return "the configuration names them as never to be touched"
	}
	for _, c := range r.settings.Exempt {
		ok, err := r.meets(p, c)
		if err != nil {
			return "whether the configuration exempts them cannot be worked out: " + err.Error()
		}
		if ok {
			return "meets a condition under exempt: never to be touched"
		}
	}
	return ""
}

// join gives an agent to somebody who has none.
func (r *roster) join(p *Person, w *wanted) (*Change, *Refusal) {
	name := Fold(w.agent.Username)
	if a, taken := r.held[name]; taken && r.adopt[p.ID] && a.Owner == "" && (a.Deployment == "" || r.ours(a)) {
		after := r.own(a, w)
		for f, answer := range w.agent.Answers {
			after.Answers[f] = answer // so that what the floor chose stays
		}
		r.claimed[name] = p.ID
		return &Change{Action: Adopt, Agent: a.ID, Before: &a, After: &after, Fields: []Field{FieldOwnership},
			Reason: "somebody asked to adopt the agent; " + w.reason}, nil
	}
	if f := r.free(p, w.agent.Username); f != nil {
		return nil, f
	}
	r.claimed[name] = p.ID
	after := w.agent
	return &Change{Action: Create, After: &after, Reason: w.reason}, nil
}

// own gives an agent our tags.
func (r *roster) own(a Agent, w *wanted) Agent {
	a.Owner, a.Deployment, a.State, a.Since, a.Group = w.agent.Owner, w.agent.Deployment, StateActive, time.Time{}, w.agent.Group
	a.Answers = maps.Clone(a.Answers)
	if a.Answers == nil {
		a.Answers = map[Field]string{}
	}
	return a
}

// keep brings the agent of somebody who is to have one in line.
func (r *roster) keep(p *Person, have Agent, w *wanted) (*Change, *Refusal) {
	if r.settings.Policy == CreateOnly {
		return nil, nil
	}
	var refusal *Refusal
	if have.Username != w.agent.Username {
		c, f := r.rename(p, have, w)
		if c != nil {
			return c, nil
		}
		refusal = f
	}
	action, reason := Update, "is not as the rules say"
	after := r.own(have, w)
	var fields []Field
	if have.State == StateSuspended {
		action, reason = Resume, w.reason+" again"
		after, fields = r.revive(have, after, w)
		if _, known := r.tombstones[have.ID]; !known {
			reason += "; what the agent was before is not remembered, so the rules alone decide"
		}
	} else {
		after, fields = r.correct(have, after, w)
	}
	if !sameOwnership(have, after) {
		fields = append(fields, FieldOwnership)
	}
	if len(fields) == 0 {
		return nil, refusal
	}
	if action == Update {
		reason = r.cause(have, after, fields, w)
	}
	return &Change{Action: action, Agent: have.ID, Before: &have, After: &after, Fields: fields, Reason: reason}, refusal
}

// correct writes the fields that the authority over them does not leave to the
// floor.
func (r *roster) correct(have, after Agent, w *wanted) (Agent, []Field) {
	var fields []Field
	for _, f := range Fields() {
		if !w.said[f] {
			continue
		}
		next := w.write(f, after)
		write := false
		switch a := r.authority(w.persona, f); a.Mode {
		case Enforce:
			write = true
		case Follow:
			write = have.Answers[f] != w.agent.Answers[f]
			after.Answers[f] = w.agent.Answers[f]
			next.Answers = after.Answers
		case Allowed:
			write = !r.allows(a.Allowed, f, have)
		}
		if write && !sameField(f, after, next) {
			after, fields = next, append(fields, f)
		}
	}
	return after, fields
}

// revive gives a suspended agent back what it had: what the rules enforce by the
// rules, the rest as it was before, unless the rules have another answer since.
func (r *roster) revive(have, after Agent, w *wanted) (Agent, []Field) {
	before, known := r.tombstones[have.ID]
	for _, f := range Fields() {
		a := r.authority(w.persona, f)
		leave := known && (!w.said[f] || a.Mode == Initial || a.Mode == Ignore ||
			a.Mode == Follow && have.Answers[f] == w.agent.Answers[f] ||
			a.Mode == Allowed && r.allows(a.Allowed, f, before))
		switch {
		case leave:
			after = copyField(f, after, before)
		case w.said[f]:
			after = w.write(f, after)
		}
		if w.said[f] && a.Mode == Follow {
			after.Answers[f] = w.agent.Answers[f]
		}
	}
	return after, differing(have, after)
}

// differing gives the fields in which two agents differ.
func differing(a, b Agent) []Field {
	var out []Field
	for _, f := range Fields() {
		if !sameField(f, a, b) {
			out = append(out, f)
		}
	}
	return out
}

// cause says in words why an agent is updated.
func (r *roster) cause(have, after Agent, fields []Field, w *wanted) string {
	if slices.Equal(fields, []Field{FieldOwnership}) {
		return w.reason
	}
	var parts []string
	for _, f := range fields {
		if f != FieldOwnership {
			parts = append(parts, fmt.Sprintf("%s by %s", f, w.from[f]))
		}
	}
	return strings.Join(parts, ", ")
}

// rename puts another agent in the place of one whose username is not the
// person's any more: Amazon Connect has no rename.
func (r *roster) rename(p *Person, have Agent, w *wanted) (*Change, *Refusal) {
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
	if f := r.free(p, username); f != nil {
		return nil, f
	}
	parked, f := r.park(have, StateRetired)
	if f != nil {
		return nil, f
	}
	r.claimed[Fold(username)] = p.ID
	after := w.agent
	before, known := have, true
	if have.State == StateSuspended {
		before, known = r.tombstones[have.ID]
	}
	after.Answers = maps.Clone(after.Answers)
	for _, f := range Fields() {
		a := r.authority(w.persona, f)
		if known && f != FieldName && (!w.said[f] || a.Mode == Initial || a.Mode == Ignore ||
			a.Mode == Follow && have.Answers[f] == w.agent.Answers[f] ||
			a.Mode == Allowed && r.allows(a.Allowed, f, before)) {
			after = copyField(f, after, before)
		}
	}
	return &Change{Action: Replace, Agent: have.ID, Before: &have, After: &after, Parked: &parked,
		Reason: "the username in Okta has changed, and Amazon Connect has no rename"}, nil
}

// leave takes the access of somebody who left, in two steps: the agent is parked,
// and deleted when it has been for long enough.
func (r *roster) leave(have Agent, v verdict) (*Change, *Refusal) {
	if r.settings.Policy != Sync {
		v.refusal.Reason += "; policy " + string(r.settings.Policy) + " leaves the agent as it is"
		return nil, v.refusal
	}
	parked, f := r.park(have, StateSuspended)
	if f != nil {
		return nil, f
	}
	c := &Change{Agent: have.ID, Before: &have, Evidence: v.evidence, Reason: v.refusal.Reason}
	if v.evidence == EvidenceMembership {
		c.Group = have.Group
	}
	fields := differing(have, parked)
	switch {
	case have.State != StateSuspended:
		c.Action, c.After, c.Fields = Suspend, &parked, append(fields, FieldOwnership)
		return c, nil
	case len(fields) > 0:
		c.Action, c.After, c.Fields = Suspend, &parked, fields
		c.Reason = "is suspended, but the agent was changed since; " + c.Reason
		return c, nil
	case r.due(have):
		c.Action = Delete
		c.Reason = fmt.Sprintf("%s; suspended since %s", c.Reason, have.Since.UTC().Format(time.DateOnly))
		return c, nil
	}
	return nil, nil
}

// remove parks a retired agent that somebody gave rights again, and deletes it
// when its time has come.
func (r *roster) remove(old Agent) (*Change, *Refusal) {
	if r.settings.Policy != Sync {
		return nil, nil
	}
	parked, f := r.park(old, StateRetired)
	if f != nil {
		f.Agent, f.Username = old.ID, old.Username
		return nil, f
	}
	c := &Change{Agent: old.ID, Before: &old, Evidence: EvidenceRename}
	if fields := differing(old, parked); len(fields) > 0 {
		c.Action, c.After, c.Fields = Suspend, &parked, fields
		c.Reason = "was retired by a rename, but the agent was changed since"
		return c, nil
	}
	if r.due(old) {
		c.Action, c.Reason = Delete, "was retired by a rename on "+old.Since.UTC().Format(time.DateOnly)
		return c, nil
	}
	return nil, nil
}

// due reports whether a parked agent has waited long enough to be deleted. One
// whose tag tells no time waits for ever.
func (r *roster) due(a Agent) bool {
	after := r.settings.Leavers.DeleteAfter
	return after > 0 && !a.Since.IsZero() && r.now.Sub(a.Since) >= after
}

// park gives the agent what the persona for suspended agents says, and nothing
// else changes. The time of a state that it is in already stays.
func (r *roster) park(a Agent, state State) (Agent, *Refusal) {
	name := r.settings.Leavers.SuspendAs[r.instance]
	persona, ok := r.settings.Personas[name]
	if !ok {
		return Agent{}, &Refusal{Code: NoPersona, Reason: "no persona for suspended agents is configured for this instance: leavers.suspend_as"}
	}
	w, f := r.build(&Person{Username: a.Username}, name, persona, nil)
	if f != nil {
		return Agent{}, f
	}
	for _, f := range Fields() {
		if persona.Values.says(f) && f != FieldName {
			a = w.write(f, a)
		}
	}
	if a.State != state {
		a.State, a.Since = state, r.now.UTC().Truncate(time.Second)
	}
	return a, nil
}

// free refuses a username that somebody else has. Amazon Connect does not say
// whether it tells names apart by case, so a name that differs by case alone
// counts as taken.
func (r *roster) free(p *Person, username string) *Refusal {
	refuse := func(code Code, agent, format string, args ...any) *Refusal {
		return &Refusal{Username: username, Agent: agent, Code: code, Reason: fmt.Sprintf(format, args...)}
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
