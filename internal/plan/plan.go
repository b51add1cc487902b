// Package plan decides what has to change in Amazon Connect so that the agent
// roster equals what the directory says. It is pure: values in, values out. It
// reads no clock, writes no log and calls nobody, so the same input always
// gives the same plan, and printing a plan is a dry run.
package plan

import (
	"cmp"
	"regexp"
	"slices"
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
	r := newRoster(&s, &w)
	var out Plan
	for _, p := range r.everybody(&w) {
		changes, refusals := r.decide(p)
		out.Changes = append(out.Changes, changes...)
		out.Refusals = append(out.Refusals, refusals...)
	}
	return out
}

// roster is the World in the shape that decisions need.
type roster struct {
	settings   *Settings
	instance   string
	now        time.Time
	catalog    catalog
	tombstones map[string]Agent
	adopt      map[string]bool

	owned    map[string]*Agent   // owner -> the agent of this deployment that is the person's
	spare    map[string][]*Agent // owner -> further agents that have them as their owner
	retired  map[string][]*Agent // owner -> the agents that were replaced
	held     map[string]*Agent   // folded username -> the agent that has it
	twins    map[string]bool     // folded usernames that several agents have
	claimed  map[string]string   // folded username -> the person who gets it by this plan
	hidden   map[string]bool     // folded username
	unlisted map[string]bool     // owners of agents who are not among the people of a complete world

	managed map[Field]bool
	exempt  map[string]bool                        // Okta ids, and usernames folded
	tested  map[*regexp.Regexp]map[string]captures // names of groups, and what they captured; nil: no match
	built   map[string]*built
	parking *built

	personal    map[string]bool // personas that hold something of people's profiles
	personalSet []bool          // and the sets of rules that do, by the rule's index
}

func newRoster(s *Settings, w *World) *roster {
	r := &roster{
		settings: s, instance: w.Instance, now: w.Now, catalog: newCatalog(w.Catalog), tombstones: w.Tombstones, adopt: w.Adopt,
		owned: make(map[string]*Agent, len(w.Agents)), spare: map[string][]*Agent{}, retired: map[string][]*Agent{},
		held: make(map[string]*Agent, len(w.Agents)), twins: map[string]bool{}, claimed: map[string]string{}, hidden: map[string]bool{}, unlisted: map[string]bool{},
		managed: s.managed(w.Instance), exempt: map[string]bool{}, tested: map[*regexp.Regexp]map[string]captures{}, built: map[string]*built{},
		personal: make(map[string]bool, len(s.Personas)), personalSet: make([]bool, len(s.Rules)),
	}
	agents := pointers(w.Agents)
	slices.SortFunc(agents, compareAgents)
	for i, a := range agents {
		if i > 0 && agents[i-1].ID == a.ID && a.ID != "" {
			continue
		}
		// Of two agents whose names differ by case alone, the smaller id stands for both.
		name := Fold(a.Username)
		if _, twice := r.held[name]; twice {
			r.twins[name] = true
		} else {
			r.held[name] = a
		}
		if r.ours(a) && a.Owner != "" {
			r.give(a)
		}
	}
	for name, p := range s.Personas {
		r.personal[name] = p.Values.usesProfile()
	}
	for i := range s.Rules {
		r.personalSet[i] = s.Rules[i].Set != nil && s.Rules[i].Set.usesProfile()
	}
	for _, name := range w.Hidden {
		r.hidden[Fold(name)] = true
	}
	for _, ref := range s.ExemptPeople {
		if ref != "" {
			r.exempt[ref], r.exempt[Fold(ref)] = true, true
		}
	}
	return r
}

// give notes an agent of ours under its owner. Where several have the same owner,
// the person's is one that is not suspended, and of those the one with the
// smallest id.
func (r *roster) give(a *Agent) {
	if a.State == StateRetired {
		r.retired[a.Owner] = append(r.retired[a.Owner], a)
		return
	}
	first, twice := r.owned[a.Owner]
	switch {
	case !twice:
		r.owned[a.Owner] = a
	case first.State == StateSuspended && a.State != StateSuspended:
		r.owned[a.Owner] = a
		r.spare[a.Owner] = append(r.spare[a.Owner], first)
	default:
		r.spare[a.Owner] = append(r.spare[a.Owner], a)
	}
}

// everybody gives each person once, ordered by id, and in a complete world those
// too who own an agent and are not listed any more.
func (r *roster) everybody(w *World) []*Person {
	people := pointers(w.People)
	if w.Complete {
		listed := make(map[string]bool, len(people))
		for _, p := range people {
			listed[p.ID] = true
		}
		leaver := func(owner, username string) {
			if !listed[owner] {
				listed[owner], r.unlisted[owner] = true, true
				people = append(people, &Person{ID: owner, Username: username})
			}
		}
		for owner, a := range r.owned {
			leaver(owner, a.Username)
		}
		for owner, agents := range r.retired {
			leaver(owner, agents[0].Username)
		}
	}
	slices.SortFunc(people, comparePeople)
	return slices.CompactFunc(people, func(a, b *Person) bool { return a.ID == b.ID })
}

// pointers gives the addresses of all elements, which are cheaper to sort.
func pointers[T any](all []T) []*T {
	out := make([]*T, len(all))
	for i := range all {
		out[i] = &all[i]
	}
	return out
}

// ours reports whether the agent bears the tag of this deployment.
func (r *roster) ours(a *Agent) bool {
	return a.Deployment != "" && a.Deployment == r.settings.Deployment
}

// answers collects what is decided for one person.
type answers struct {
	*roster
	person   *Person
	changes  []Change
	refusals []Refusal
}

// say notes a change or a refusal, or neither. The agent is the one that a
// refusal leaves alone, if there is one.
func (d *answers) say(agent *Agent, c *Change, f *Refusal) {
	if c != nil {
		c.Instance, c.Person = d.instance, d.person.ID
		c.Before, c.After, c.Parked = clone(c.Before), clone(c.After), clone(c.Parked)
		d.changes = append(d.changes, *c)
	}
	if f != nil {
		f.Instance, f.Person = d.instance, d.person.ID
		f.Username = cmp.Or(f.Username, d.person.Username)
		if agent != nil {
			f.Agent = cmp.Or(f.Agent, agent.ID)
		}
		d.refusals = append(d.refusals, *f)
	}
}

// decide gives what is to be done for one person, and what will not be done.
func (r *roster) decide(p *Person) ([]Change, []Refusal) {
	d := &answers{roster: r, person: p}
	have := r.owned[p.ID]
	retired := r.retired[p.ID]
	v := r.judge(p)
	switch reason := r.exemption(p, have); {
	case reason != "":
		d.say(have, nil, &Refusal{Code: Exempt, Reason: reason})
		return d.changes, d.refusals
	case v.kind == undecided:
		if have != nil {
			v.refusal.Reason += "; the agent is left as it is"
		}
		d.say(have, nil, v.refusal)
		return d.changes, d.refusals
	case v.kind == leaver && have == nil:
		d.say(nil, nil, v.refusal)
	case v.kind == leaver:
		c, f := r.leave(have, v)
		d.say(have, c, f)
		for _, a := range r.spare[p.ID] {
			c, f := r.leave(a, v)
			d.say(a, c, f)
		}
	default:
		w, f := r.want(p, v, have)
		if f != nil {
			d.say(have, nil, f)
			return d.changes, d.refusals
		}
		if have != nil {
			c, f := r.keep(p, have, &w)
			d.say(have, c, f)
		} else {
			c, f := r.join(p, &w)
			d.say(nil, c, f)
		}
		for _, a := range r.spare[p.ID] {
			d.say(a, nil, rivals(have, a, p.Username))
		}
	}
	for _, old := range retired {
		c, f := r.remove(old)
		d.say(old, c, f)
	}
	return d.changes, d.refusals
}

// exemption tells why the person is never to be touched, or gives the empty
// string. A condition that cannot be worked out exempts: it is the safe side.
func (r *roster) exemption(p *Person, have *Agent) string {
	if len(r.exempt) > 0 && (r.exempt[p.ID] || r.exempt[Fold(p.Username)] || have != nil && r.exempt[Fold(have.Username)]) {
		return "the configuration names them as never to be touched"
	}
	for i := range r.settings.Exempt {
		ok, err := r.meets(p, &r.settings.Exempt[i])
		if err != nil {
			return "whether the configuration exempts them cannot be worked out: " + err.Error()
		}
		if ok {
			return "meets a condition under exempt: never to be touched"
		}
	}
	return ""
}
