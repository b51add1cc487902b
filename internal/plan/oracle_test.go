package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
)

// TestPlanIsThatOfTheOracle compares the planner with a second opinion that is
// slow and plain and written apart: who gets which actions, and what their agents
// look like afterwards, slot by slot.
func TestPlanIsThatOfTheOracle(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		seen := map[string]bool{}
		w.People = slices.DeleteFunc(w.People, func(p plan.Person) bool {
			twice := seen[p.ID]
			seen[p.ID] = true
			return twice
		})
		w.Agents = once(w.Agents)
		got := map[string][]string{}
		for _, c := range plan.New(s, w).Changes {
			got[c.Person] = append(got[c.Person], tell(c.Action, c.Agent, c.After, c.Parked))
		}
		o := &oracle{s: s, w: w, given: map[string]bool{}}
		want := o.plan()
		for _, changes := range []map[string][]string{want, got} {
			for _, lines := range changes {
				slices.Sort(lines)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("changes by person (-oracle +plan):\n%s", diff)
		}
	})
}

// tell writes a change in one line.
func tell(action plan.Action, agent string, after, parked *plan.Agent) string {
	text := string(action) + " " + agent
	for _, a := range []*plan.Agent{after, parked} {
		if a != nil {
			text += " " + a.Username + " " + string(a.State) + " " + a.Owner + " " + fmt.Sprint(slots(*a))
		}
	}
	return text
}

// slots is an agent as the oracle sees it: everything that can be set by itself.
// What is empty is left out.
func slots(a plan.Agent) map[string]string {
	out := map[string]string{
		"name": a.FirstName + "|" + a.LastName, "routing": a.RoutingProfile, "security": strings.Join(a.SecurityProfiles, "+"), "hierarchy": a.Hierarchy,
		"phone/type": string(a.Phone.Type), "enhancement": string(a.Phone.Enhancement),
	}
	if a.Phone.Type == plan.DeskPhone {
		out["phone/number"] = a.Phone.DeskNumber
	}
	if a.Phone.Persistent {
		out["phone/persistent"] = "true"
	}
	for _, p := range a.Proficiencies {
		out["skills"] += fmt.Sprintf("%s=%s:%d+", p.Attribute, p.Value, p.Level)
	}
	ways := maps.Clone(a.Channels)
	if ways == nil {
		ways = map[plan.Channel]plan.Handled{}
	}
	ways[plan.Voice] = plan.Handled{AutoAccept: a.Phone.AutoAccept, AfterContactWork: a.Phone.AfterContactWork}
	for ch, h := range ways {
		if h.AutoAccept {
			out["accept/"+string(ch)] = "true"
		}
		if h.AfterContactWork != 0 {
			out["work/"+string(ch)] = fmt.Sprint(h.AfterContactWork)
		}
	}
	for key, text := range a.Tags {
		out["tag/"+key] = text
	}
	maps.DeleteFunc(out, func(_, text string) bool { return text == "" })
	return out
}

// field gives the field that a slot is part of.
func field(slot string) plan.Field {
	kind, _, _ := strings.Cut(slot, "/")
	return map[string]plan.Field{
		"name": plan.FieldName, "routing": plan.FieldRouting, "security": plan.FieldSecurity, "hierarchy": plan.FieldHierarchy, "skills": plan.FieldProficiencies,
		"phone": plan.FieldPhone, "enhancement": plan.FieldEnhancement, "accept": plan.FieldAutoAccept, "work": plan.FieldAfterWork, "tag": plan.FieldTags,
	}[kind]
}

type oracle struct {
	s     plan.Settings
	w     plan.World
	given map[string]bool // usernames, in lower case
}

var errRefused = errors.New("refused")

func (o *oracle) plan() map[string][]string {
	out := map[string][]string{}
	everybody := map[string]*plan.Person{}
	for i := range o.w.People {
		everybody[o.w.People[i].ID] = &o.w.People[i]
	}
	for _, a := range o.w.Agents {
		if _, listed := everybody[a.Owner]; o.w.Complete && !listed && o.mine(a, a.Owner) {
			everybody[a.Owner] = nil
		}
	}
	for _, id := range slices.Sorted(maps.Keys(everybody)) {
		if changes := o.person(id, everybody[id]); len(changes) > 0 {
			out[id] = changes
		}
	}
	return out
}

func (o *oracle) mine(a plan.Agent, id string) bool {
	return id != "" && a.Owner == id && o.s.Deployment != "" && a.Deployment == o.s.Deployment
}

// person gives the changes of one person; nil stands for one who is not listed.
func (o *oracle) person(id string, p *plan.Person) (changes []string) {
	var live, retired []plan.Agent
	agents := slices.SortedFunc(slices.Values(o.w.Agents), func(a, b plan.Agent) int { return strings.Compare(a.ID, b.ID) })
	for _, suspended := range []bool{false, true} { // those in use first
		for _, a := range agents {
			if o.mine(a, id) && a.State != plan.StateRetired && (a.State == plan.StateSuspended) == suspended {
				live = append(live, a)
			}
		}
	}
	for _, a := range agents {
		if o.mine(a, id) && a.State == plan.StateRetired {
			retired = append(retired, a)
		}
	}
	usernames := []string{}
	if len(live) > 0 {
		usernames = append(usernames, live[0].Username)
	} else if len(retired) > 0 && p == nil {
		usernames = append(usernames, retired[0].Username)
	}
	who := plan.Person{ID: id}
	if p != nil {
		who = *p
		usernames = append(usernames, p.Username)
	}
	if o.exempt(who, usernames) {
		return nil
	}
	add := func(text string) {
		if text != "" {
			changes = append(changes, text)
		}
	}
	leaves := p == nil || slices.Contains([]plan.Status{"SUSPENDED", "DEPROVISIONED", "GONE"}, p.Status)
	if !leaves {
		if id == "" || !slices.Contains([]plan.Status{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"}, p.Status) {
			return nil
		}
		verdict, err := o.judge(who)
		if err != nil {
			return nil
		}
		if verdict == nil {
			leaves = true
		} else {
			text, err := o.stays(who, live, verdict)
			if err != nil {
				return nil
			}
			add(text)
		}
	}
	if o.s.Policy != plan.Sync {
		return changes
	}
	if leaves {
		for _, a := range live {
			add(o.goes(a, plan.StateSuspended))
		}
	}
	for _, a := range retired {
		add(o.goes(a, plan.StateRetired))
	}
	return changes
}

func (o *oracle) exempt(p plan.Person, usernames []string) bool {
	for _, ref := range o.s.ExemptPeople {
		if ref != "" && (ref == p.ID || slices.ContainsFunc(usernames, func(n string) bool { return strings.EqualFold(n, ref) })) {
			return true
		}
	}
	return slices.ContainsFunc(o.s.Exempt, func(c plan.Condition) bool {
		_, met, err := meets(p, c)
		return met || err != nil
	})
}

// verdict is what the rules say of somebody.
type verdict struct {
	persona string
	layers  []layer // what comes first counts more
}

type layer struct {
	values plan.Values
	fills  []map[string]string // what each group fills in
}

// judge gives nil for somebody who is to have no agent here.
func (o *oracle) judge(p plan.Person) (*verdict, error) {
	v := &verdict{}
	member, abroad := false, false
	for _, r := range o.s.Rules {
		fills, met, err := meets(p, r.When)
		if err != nil {
			return nil, err
		}
		if !met {
			continue
		}
		member = member || len(fills) > 0
		if persona, exists := o.s.Personas[r.Persona]; r.Persona != "" && v.persona == "" {
			if exists && persona.Instance != o.w.Instance {
				abroad = true
			} else {
				v.persona = r.Persona
			}
		}
		if r.Set != nil && (r.Instance == "" || r.Instance == o.w.Instance) {
			v.layers = append(v.layers, layer{*r.Set, fills})
		}
	}
	if v.persona == "" && !abroad {
		if persona, exists := o.s.Personas[o.s.DefaultPersona]; !exists || persona.Instance == o.w.Instance {
			v.persona = o.s.DefaultPersona
		}
	}
	if !member || v.persona == "" {
		return nil, nil
	}
	v.layers = append(v.layers, layer{values: o.s.Personas[v.persona].Values})
	return v, nil
}

// meets gives what each group of the person fills in, by the order of the names.
func meets(p plan.Person, c plan.Condition) (fills []map[string]string, met bool, err error) {
	if len(c.Groups) > 0 {
		groups := slices.SortedFunc(slices.Values(p.Groups), func(a, b plan.Group) int { return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID) })
		counted := map[string]bool{}
		for _, ref := range c.Groups {
			for _, byID := range []bool{true, false} {
				for _, g := range groups {
					fill := map[string]string{}
					is := g.ID == ref.Text
					if !byID {
						is = g.Name == ref.Text
					}
					if ref.Pattern != nil {
						m := ref.Pattern.FindStringSubmatch(g.Name)
						if is = m != nil && !byID; is {
							fill["queue"] = m[ref.Pattern.SubexpIndex("queue")]
						}
					}
					if is && !counted[g.ID] {
						counted[g.ID] = true
						fills = append(fills, fill)
					}
				}
			}
		}
		if len(fills) == 0 {
			return nil, false, nil
		}
	}
	for _, a := range c.Profile {
		values, list := p.Profile[a.Name].([]any)
		if !list {
			values = []any{p.Profile[a.Name]}
		}
		if !slices.ContainsFunc(values, func(v any) bool { return v != nil && slices.Contains(a.In, fmt.Sprint(v)) }) {
			return nil, false, nil
		}
	}
	if c.Not != nil {
		if _, excluded, err := meets(p, *c.Not); excluded || err != nil {
			return nil, false, err
		}
	}
	switch c.When.Text {
	case "impossible":
		return nil, false, errRefused
	case "panics":
		if _, number := p.Profile["department"].(int); !number {
			return nil, false, errRefused
		}
	case "quality":
		met = p.Profile["department"] == "Quality"
		return fills, met, nil
	case "longname":
		return fills, len(p.LastName) > 10, nil
	}
	return fills, true, nil
}
