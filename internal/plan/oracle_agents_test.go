package plan_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// stays gives the change for somebody who is to have an agent.
func (o *oracle) stays(p plan.Person, live []plan.Agent, v *verdict) (string, error) {
	persona, exists := o.s.Personas[v.persona]
	if !exists || usernameTrouble(p.Username) != "" {
		return "", errRefused
	}
	want, err := o.values(p, v.layers, persona.AllowAdmin)
	if err != nil {
		return "", err
	}
	want["name"] = oracleName(p)
	for slot, somebody := range map[string]bool{"hierarchy": o.anybody("hierarchy"), "skills": o.anybody("skills")} {
		if _, said := want[slot]; somebody && !said {
			want[slot] = ""
		}
	}
	mode := func(slot string) plan.Authority { return o.authority(persona, field(slot)) }
	for _, slot := range slices.Collect(maps.Keys(want)) {
		kind, _, _ := strings.Cut(slot, "/")
		if mode(slot).Mode == plan.Ignore && slices.Contains([]string{"hierarchy", "skills", "enhancement", "tag"}, kind) {
			delete(want, slot)
		}
	}
	whole := want["routing"] != "" && want["security"] != ""
	if len(live) == 0 {
		return o.joins(p, want, whole)
	}
	have := live[0]
	for _, slot := range []string{"routing", "security"} {
		if o.anybody(slot) && want[slot] == "" {
			return "", errRefused
		}
	}
	if o.s.Policy != plan.Sync && o.s.Policy != plan.UpsertOnly && have.State != plan.StateCreating {
		return "", nil
	}
	now := slots(have)
	floor, known := now, true
	if have.State == plan.StateSuspended {
		var before plan.Agent
		before, known = o.w.Tombstones[have.ID]
		floor = slots(before)
	}
	if !known && !whole {
		return "", nil // refused, and retired agents still go
	}
	blend := func(base map[string]string) map[string]string {
		out := maps.Clone(base)
		if known {
			for slot := range base {
				if !strings.HasPrefix(slot, "tag/") { // tags cannot be taken away
					delete(out, slot)
				}
			}
			maps.Copy(out, floor)
		}
		for slot, text := range want {
			if !known || o.overrides(mode(slot), field(slot), have, floor, want) {
				out[slot] = text
			}
		}
		if out["phone/type"] != string(plan.DeskPhone) {
			delete(out, "phone/number")
		}
		maps.DeleteFunc(out, func(_, text string) bool { return text == "" || text == "false" || text == "0" })
		return out
	}
	if o.s.Policy == plan.Sync && len(live) == 1 && !strings.EqualFold(have.Username, p.Username) && o.free(p.Username) {
		parked, err := o.parked(have)
		after := blend(want)
		if !known {
			after = blend(fresh(want))
		}
		if err == nil && after["routing"] != "" && after["security"] != "" {
			o.given[strings.ToLower(p.Username)] = true
			return fmt.Sprintf("replace %s %s active %s %v %s retired %s %v", have.ID, p.Username, p.ID, after, have.Username, p.ID, parked), nil
		}
	}
	after := blend(now)
	action := "update"
	if have.State == plan.StateSuspended {
		action = "resume"
	}
	if maps.Equal(now, after) && have.State == plan.StateActive && have.Since.IsZero() && !o.noted(p, have, v, want) {
		return "", nil
	}
	return fmt.Sprintf("%s %s %s active %s %v", action, have.ID, have.Username, p.ID, after), nil
}

// noted reports whether the tags that tell why somebody is an agent, and what the
// rules said last, are to be written. The oracle does not know how answers are
// written; it asks the planner about somebody who is new.
func (o *oracle) noted(p plan.Person, have plan.Agent, v *verdict, want map[string]string) bool {
	w := o.w
	p.Username = "somebody.new"
	w.People, w.Agents, w.Hidden = []plan.Person{p}, nil, nil
	s := o.s
	s.Exempt, s.ExemptPeople = nil, nil
	created := plan.New(s, w).Changes
	if len(created) == 0 {
		return false
	}
	fresh := created[0].After
	for f, answer := range fresh.Answers {
		if f == plan.FieldName && strings.Contains(want["name"], "|") && !named(p) {
			continue // what stands for a missing name is the username
		}
		if have.Answers[f] != answer {
			return true
		}
	}
	return have.Group != fresh.Group
}

func named(p plan.Person) bool {
	return nameTrouble(p.FirstName, 255) == "" || nameTrouble(p.LastName, 300) == ""
}

func oracleName(p plan.Person) string {
	a := plan.New(one(plan.Person{Username: p.Username, FirstName: p.FirstName, LastName: p.LastName})).Changes[0].After
	return a.FirstName + "|" + a.LastName // names have laws of their own
}

func (o *oracle) joins(p plan.Person, want map[string]string, whole bool) (string, error) {
	var holders []plan.Agent
	for _, a := range o.w.Agents {
		if strings.EqualFold(a.Username, p.Username) {
			holders = append(holders, a)
		}
	}
	if len(holders) == 1 && o.w.Adopt[p.ID] && !o.given[strings.ToLower(p.Username)] && o.s.Deployment != "" {
		a := holders[0]
		if (a.Owner == "" || a.Owner == p.ID) && (a.Deployment == "" || a.Deployment == o.s.Deployment) {
			o.given[strings.ToLower(p.Username)] = true
			return fmt.Sprintf("adopt %s %s active %s %v", a.ID, a.Username, p.ID, slots(a)), nil
		}
	}
	if !whole || !o.free(p.Username) {
		return "", nil // refused, and retired agents still go
	}
	o.given[strings.ToLower(p.Username)] = true
	want = fresh(want)
	maps.DeleteFunc(want, func(_, text string) bool { return text == "" || text == "false" || text == "0" })
	return fmt.Sprintf("create  %s active %s %v", p.Username, p.ID, want), nil
}

// fresh gives what a new agent gets: after contacts of a channel that somebody
// speaks of as long as after a call, if nobody says how long.
func fresh(want map[string]string) map[string]string {
	out := maps.Clone(want)
	for slot, on := range want {
		if ch, accept := strings.CutPrefix(slot, "accept/"); accept && on == "true" {
			if _, said := want["work/"+ch]; !said {
				out["work/"+ch] = want["work/voice"]
			}
		}
	}
	return out
}

func (o *oracle) free(name string) bool {
	taken := slices.Concat(usernames(o.w.Agents), o.w.Hidden, slices.Collect(maps.Keys(o.given)))
	return !slices.ContainsFunc(taken, func(other string) bool { return strings.EqualFold(other, name) })
}

func (o *oracle) authority(p plan.Persona, f plan.Field) plan.Authority {
	a := p.Authority[f]
	if a.Mode == "" {
		a = o.s.Authority[f]
	}
	listed := f == plan.FieldRouting || f == plan.FieldSecurity || f == plan.FieldHierarchy
	if a.Mode == "" && f == plan.FieldRouting {
		a.Mode = plan.Follow
	}
	if a.Mode == "" || a.Mode == plan.Follow && f == plan.FieldTags || a.Mode == plan.Allowed && !listed {
		a.Mode = plan.Enforce
	}
	return a
}

func (o *oracle) overrides(a plan.Authority, f plan.Field, have plan.Agent, floor, want map[string]string) bool {
	fresh := have.State == plan.StateCreating || have.State == ""
	last, noted := have.Answers[f]
	same := noted && (f == plan.FieldRouting && last == want["routing"] || f == plan.FieldEnhancement && last == want["enhancement"] ||
		f == plan.FieldHierarchy && (last == want["hierarchy"] || last == "none" && want["hierarchy"] == ""))
	switch a.Mode {
	case plan.Ignore:
		return false
	case plan.Initial:
		return fresh
	case plan.Follow:
		return fresh || !same
	case plan.Allowed:
		inside := map[plan.Field]func() bool{
			plan.FieldRouting:   func() bool { return o.lists(a.Allowed, o.w.Catalog.RoutingProfiles, floor["routing"]) },
			plan.FieldHierarchy: func() bool { return o.lists(a.Allowed, o.w.Catalog.Hierarchy, floor["hierarchy"]) },
			plan.FieldSecurity:  func() bool { return o.lists(a.Allowed, o.w.Catalog.SecurityProfiles, floor["security"]) },
		}
		return fresh || noted && !same || !inside[f]()
	}
	return true
}

func (o *oracle) lists(allowed []string, offer plan.Offer, ids string) bool {
	var known []string
	for _, ref := range allowed {
		if id, ok := oracleFind(offer, ref); ok {
			known = append(known, id)
		}
	}
	return !slices.ContainsFunc(strings.Split(ids, "+"), func(id string) bool { return !slices.Contains(known, id) })
}

// goes gives the change for an agent that is out of use or is to be.
func (o *oracle) goes(a plan.Agent, state plan.State) string {
	parked, err := o.parked(a)
	switch {
	case err != nil:
		return ""
	case a.State != state || a.Since.IsZero() || !maps.Equal(parked, slots(a)):
		return fmt.Sprintf("suspend %s %s %s %s %v", a.ID, a.Username, state, a.Owner, parked)
	case o.s.Leavers.DeleteAfter > 0 && !o.w.Now.Before(a.Since.Add(max(o.s.Leavers.DeleteAfter, time.Nanosecond))):
		return "delete " + a.ID
	}
	return ""
}

func (o *oracle) parked(a plan.Agent) (map[string]string, error) {
	persona, exists := o.s.Personas[o.s.Leavers.SuspendAs[o.w.Instance]]
	if !exists {
		return nil, errRefused
	}
	parked, err := o.values(plan.Person{}, []layer{{values: persona.Values}}, persona.AllowAdmin)
	if err != nil {
		return nil, err
	}
	out := slots(a)
	maps.Copy(out, parked)
	if out["phone/type"] != string(plan.DeskPhone) {
		delete(out, "phone/number")
	} else if out["phone/number"] == "" {
		out["phone/number"] = a.Phone.DeskNumber
	}
	maps.DeleteFunc(out, func(_, text string) bool { return text == "" || text == "false" || text == "0" })
	return out, nil
}

// anybody reports whether some persona or rule of the instance says something.
func (o *oracle) anybody(slot string) bool {
	says := func(v plan.Values) bool {
		return slot == "hierarchy" && v.Hierarchy != nil || slot == "skills" && len(v.Proficiencies) > 0 ||
			slot == "routing" && v.RoutingProfile.Text() != "" || slot == "security" && len(v.SecurityProfiles) > 0
	}
	for name, p := range o.s.Personas {
		if p.Instance == o.w.Instance && name != o.s.Leavers.SuspendAs[o.w.Instance] && says(p.Values) {
			return true
		}
	}
	return slices.ContainsFunc(o.s.Rules, func(r plan.Rule) bool {
		return r.Set != nil && (r.Instance == "" || r.Instance == o.w.Instance) && says(*r.Set)
	})
}

// values lays values over each other; a slot that is there is said.
func (o *oracle) values(p plan.Person, layers []layer, admin bool) (map[string]string, error) {
	out := map[string]string{}
	first := func(slot, text string) {
		if _, said := out[slot]; !said {
			out[slot] = text
		}
	}
	var security []string
	levels := map[string]int{}
	for _, l := range layers {
		v := l.values
		if text := v.RoutingProfile.Text(); text != "" && out["routing"] == "" {
			id, ok := oracleFind(o.w.Catalog.RoutingProfiles, oneOf(texts(text, l.fills, p)))
			if !ok {
				return nil, errRefused
			}
			first("routing", id)
		}
		for _, ref := range v.SecurityProfiles {
			id, ok := oracleFind(o.w.Catalog.SecurityProfiles, ref)
			if !ok || id == "sp-admin" && !admin {
				return nil, errRefused
			}
			security = append(security, id)
		}
		if _, said := out["hierarchy"]; v.Hierarchy != nil && !said {
			all := texts(v.Hierarchy.Text(), l.fills, p)
			id, ok := oracleFind(o.w.Catalog.Hierarchy, oneOf(all))
			if len(all) == 0 || all[0] != "" && !ok {
				return nil, errRefused
			}
			first("hierarchy", id)
		}
		for _, skill := range v.Proficiencies {
			all := texts(skill.Value.Text(), l.fills, p)
			if len(all) == 0 {
				return nil, errRefused
			}
			for _, text := range all {
				if !slices.Contains(o.w.Catalog.Attributes[skill.Attribute], text) {
					return nil, errRefused
				}
				if key := skill.Attribute + "=" + text; levels[key] == 0 {
					levels[key] = skill.Level
				}
			}
		}
		if v.PhoneType != "" && out["phone/type"] == "" {
			first("phone/type", string(v.PhoneType))
			if v.PhoneType == plan.DeskPhone {
				number := oneOf(texts(v.DeskNumber.Text(), l.fills, p))
				if !regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`).MatchString(number) {
					return nil, errRefused
				}
				first("phone/number", number)
			}
		}
		if v.Persistent != nil {
			first("phone/persistent", fmt.Sprint(*v.Persistent))
		}
		if v.Enhancement != "" {
			first("enhancement", string(v.Enhancement))
		}
		for ch, on := range v.AutoAccept {
			first("accept/"+string(ch), fmt.Sprint(on))
		}
		for ch, n := range v.AfterContactWork {
			first("work/"+string(ch), fmt.Sprint(n))
		}
		for key, t := range v.Tags {
			if _, said := out["tag/"+key]; !said {
				all := texts(t.Text(), l.fills, p)
				if len(all) == 0 {
					return nil, errRefused
				}
				first("tag/"+key, all[0])
			}
		}
	}
	if len(security) > 0 {
		slices.Sort(security)
		out["security"] = strings.Join(slices.Compact(security), "+")
	}
	for _, key := range slices.Sorted(maps.Keys(levels)) {
		out["skills"] += fmt.Sprintf("%s:%d+", key, levels[key])
	}
	return out, nil
}

// texts fills in a text, for each group that can.
func texts(text string, fills []map[string]string, p plan.Person) []string {
	if len(fills) == 0 {
		fills = []map[string]string{nil}
	}
	var out []string
	for _, fill := range fills {
		whole := true
		filled := regexp.MustCompile(`\{[^}]+\}`).ReplaceAllStringFunc(text, func(slot string) string {
			name := strings.Trim(slot, "{}")
			value := fill[name]
			if key, profile := strings.CutPrefix(name, "profile."); profile {
				switch v := p.Profile[key].(type) {
				case nil:
				case []any:
					value = "Basic,,5"
				default:
					value = fmt.Sprint(v)
				}
			}
			whole = whole && value != ""
			return value
		})
		if whole {
			out = append(out, filled)
		}
	}
	return out
}

func oneOf(all []string) string {
	if len(all) == 0 {
		return "(cannot be filled in)"
	}
	return all[0]
}

// oracleFind knows the references that the generator of settings draws.
func oracleFind(o plan.Offer, ref string) (string, bool) {
	if id, ok := o[ref]; ok {
		return id, true
	}
	for _, id := range o {
		if ref == id || strings.HasPrefix(ref, "arn:") && strings.HasSuffix(ref, "/"+id) {
			return id, true
		}
	}
	return "", false
}
