package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// adminProfile is the security profile of every instance that may do everything.
// Source: Amazon Connect Administrator Guide, default security profiles.
const adminProfile = "Admin"

// maxSecurityProfiles is a limit of Amazon Connect, CreateUser.
const maxSecurityProfiles = 10

// wanted is the agent that the rules make of a person, and where each part of it
// comes from. All but the agent and the group is shared by people of whom the
// rules say the same, and so is the memory of the agent.
type wanted struct {
	agent   Agent // whole, for a creation
	persona string
	group   Group              // that makes them an agent
	from    map[Field][]string // who says something of a field, for people; none: nobody

	autoAccept map[Channel]bool
	afterWork  map[Channel]int
	persistent *bool

	said [len(fields)]bool       // whether anybody says something, in the order of the fields
	who  *[len(fields)]Authority // and who decides afterwards
}

func (w *wanted) says(f Field) bool { return len(w.from[f]) > 0 }

// reason tells why the person is to have an agent.
func (w *wanted) reason() string { return "in group " + w.group.label() }

// origin tells who says something of a field.
func (w *wanted) origin(f Field) string { return strings.Join(w.from[f], " and ") }

// built is what came out of laying values over each other.
type built struct {
	wanted  *wanted
	refusal *Refusal
}

// want builds the agent that the rules make of the person.
func (r *roster) want(p *Person, v verdict, have *Agent) (wanted, *Refusal) {
	if reason := UsernameFault(p.Username); reason != "" {
		return wanted{}, &Refusal{Code: UsernameImpossible, Reason: reason}
	}
	b := r.prototype(p, v)
	if b.refusal != nil {
		f := *b.refusal
		return wanted{}, &f
	}
	w := *b.wanted
	for _, f := range []Field{FieldRouting, FieldSecurity} {
		if have != nil && !w.says(f) && r.managed[f] {
			return wanted{}, &Refusal{Code: RuleFailed, Reason: "the rules give others a value of " + string(f) + ", and them none"}
		}
	}
	w.group = v.group
	w.agent.FirstName, w.agent.LastName = names(*p)
	w.agent.Username, w.agent.Owner, w.agent.Group = p.Username, p.ID, v.group.ID
	if r.authority(v.persona, FieldName).keepsAnswer() {
		w.agent.Answers = with(w.agent.Answers, FieldName, w.answer(FieldName))
	}
	return w, nil
}

// prototype gives what people have in common who have the same persona and the
// same rules that set something. It is worked out once, unless it holds
// something of their profiles.
func (r *roster) prototype(p *Person, v verdict) *built {
	key, shared := r.sharedBy(v, make([]byte, 0, 128))
	if shared {
		if b := r.built[string(key)]; b != nil {
			return b
		}
	}
	persona, ok := r.settings.Personas[v.persona]
	if !ok {
		return &built{refusal: &Refusal{Code: NoPersona, Reason: fmt.Sprintf("persona %q does not exist", v.persona)}}
	}
	b := r.build(p, v.persona, persona, v.sets, true)
	if shared {
		r.built[string(key)] = b
	}
	return b
}

// sharedBy appends to a key what a prototype depends on, and reports whether it
// depends on nothing else of a person.
func (r *roster) sharedBy(v verdict, key []byte) ([]byte, bool) {
	if r.personal[v.persona] {
		return nil, false
	}
	key = append(key, v.persona...)
	for _, m := range v.sets {
		if r.personalSet[m.rule] {
			return nil, false
		}
		key = strconv.AppendInt(append(key, 0), int64(m.rule), 10)
		for _, g := range m.groups {
			if len(g.captures) > 0 {
				key = append(append(key, 1), g.group.Name...)
			}
		}
	}
	return key, true
}

// build works out what a persona says, and what the sets of rules lay over it.
// For an agent in use the fields that are the floor's from the beginning are left
// out, and what the rules answer to followed fields is noted.
func (r *roster) build(p *Person, name string, persona Persona, sets []match, inUse bool) *built {
	b := builder{roster: r, p: p, admin: persona.AllowAdmin, w: &wanted{
		agent:   Agent{Deployment: r.settings.Deployment, State: StateActive},
		persona: name, who: &[len(fields)]Authority{}, from: map[Field][]string{}, autoAccept: map[Channel]bool{}, afterWork: map[Channel]int{},
	}}
	for _, m := range sets {
		rule := &r.settings.Rules[m.rule]
		b.lay(rule.Set, rule.Name, m.groups)
	}
	b.lay(&persona.Values, "persona "+cleanName(name), nil)
	if inUse {
		b.w.from[FieldName] = []string{"Okta"}
		b.round()
	}
	b.finish()
	if b.refusal != nil {
		return &built{refusal: b.refusal}
	}
	for i, f := range fields {
		b.w.said[i], b.w.who[i] = b.w.says(f), r.authority(name, f)
		if inUse && f != FieldName && b.w.said[i] && b.w.who[i].keepsAnswer() {
			b.w.agent.Answers = with(b.w.agent.Answers, f, b.w.answer(f))
		}
	}
	return &built{wanted: b.w}
}

// keepsAnswer reports whether it is noted what the rules said last.
func (a Authority) keepsAnswer() bool { return a.Mode == Follow || a.Mode == Allowed }

func (r *roster) authority(persona string, f Field) Authority {
	return r.settings.authority(persona, f)
}

// authority gives who decides about a field of agents of a persona.
func (s *Settings) authority(persona string, f Field) Authority {
	a := s.Personas[persona].Authority[f]
	if a.Mode == "" {
		a = s.Authority[f]
	}
	switch {
	case a.Mode == "" && f == FieldRouting:
		a.Mode = Follow
	case a.Mode == Follow && f == FieldTags: // no tag could hold what was said of the tags
		a.Mode = Enforce
	case a.Mode == Allowed && f != FieldRouting && f != FieldSecurity && f != FieldHierarchy: // nothing could be listed
		a.Mode = Enforce
	case a.Mode == "":
		a.Mode = Enforce
	}
	return a
}

// allows reports whether what the floor chose is among what it may choose from.
func (r *roster) allows(allowed []string, f Field, a *Agent) bool {
	among := func(o offers, id string) bool {
		return slices.ContainsFunc(allowed, func(ref string) bool { other, ok := o.find(ref); return ok && other == id })
	}
	switch f {
	case FieldRouting:
		return among(r.catalog.routing, a.RoutingProfile)
	case FieldHierarchy:
		return among(r.catalog.hierarchy, a.Hierarchy)
	case FieldSecurity:
		return len(a.SecurityProfiles) > 0 && !slices.ContainsFunc(a.SecurityProfiles, func(id string) bool { return !among(r.catalog.security, id) })
	}
	return false
}

// builder lays values over each other. Of single values the first wins; what adds
// up is added.
type builder struct {
	*roster
	w       *wanted
	p       *Person
	admin   bool
	refusal *Refusal // the first one
}

func (b *builder) refuse(code Code, format string, args ...any) {
	if b.refusal == nil {
		b.refusal = &Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}
	}
}

// single reports whether a field is still open, and notes who says it.
func (b *builder) single(f Field, from string) bool {
	if b.w.says(f) {
		return false
	}
	b.add(f, from)
	return true
}

// add notes one more who says something of a field.
func (b *builder) add(f Field, from string) {
	if !slices.Contains(b.w.from[f], from) {
		b.w.from[f] = append(b.w.from[f], from)
	}
}

// fill gives the text of a template for the first of the groups that can fill it.
func (b *builder) fill(t Template, groups []matched, from string) (string, bool) {
	texts := b.fillAll(t, groups, from)
	if len(texts) == 0 {
		return "", false
	}
	return texts[0], true
}

// fillAll gives the text of a template for each of the groups that can fill it.
// It refuses if none can.
func (b *builder) fillAll(t Template, groups []matched, from string) []string {
	var texts []string
	var fault error
	for i := range max(1, len(groups)) {
		var captured captures
		if len(groups) > 0 {
			captured = groups[i].captures
		}
		switch text, err := t.fill(captured, b.p); {
		case err == nil:
			texts = append(texts, text)
		case fault == nil:
			fault = err
		}
	}
	if len(texts) == 0 {
		b.refuse(RuleFailed, "%s: %v", from, fault)
	}
	return texts
}

func (b *builder) lay(v *Values, from string, groups []matched) {
	a := &b.w.agent
	if !v.RoutingProfile.IsZero() && b.single(FieldRouting, from) {
		if ref, ok := b.fill(v.RoutingProfile, groups, from); ok {
			a.RoutingProfile = b.find(b.catalog.routing, "routing profile", v.RoutingProfile.shown(ref), ref, from)
		}
	}
	for _, ref := range v.SecurityProfiles {
		b.add(FieldSecurity, from)
		id := b.find(b.catalog.security, "security profile", ref, ref, from)
		if id != "" && id == b.catalog.security.Offer[adminProfile] && !b.admin {
			b.refuse(ProfileForbidden, "security profile %q of %s is %s, which may do everything; the persona must say allow_admin", ref, from, adminProfile)
		}
		a.SecurityProfiles = append(a.SecurityProfiles, id)
	}
	if v.Hierarchy != nil && b.single(FieldHierarchy, from) {
		if ref, ok := b.fill(*v.Hierarchy, groups, from); ok && ref != "" {
			a.Hierarchy = b.find(b.catalog.hierarchy, "hierarchy group", v.Hierarchy.shown(ref), ref, from)
		}
	}
	for _, s := range v.Proficiencies {
		b.skill(s, from, groups)
	}
	for _, key := range slices.Sorted(maps.Keys(v.Tags)) {
		if _, twice := a.Tags[key]; twice {
			continue
		}
		if text, ok := b.fill(v.Tags[key], groups, from); ok {
			b.add(FieldTags, from)
			a.Tags = with(a.Tags, key, text)
		}
	}
	b.voice(v, from, groups)
}

// skill adds a proficiency, for each of the groups whose name tells one.
func (b *builder) skill(s Skill, from string, groups []matched) {
	for _, value := range b.fillAll(s.Value, groups, from) {
		b.add(FieldProficiencies, from)
		values, known := b.catalog.Attributes[s.Attribute]
		switch {
		case !known:
			b.refuse(ProfileUnknown, "the predefined attribute %q of %s is not in the instance", s.Attribute, from)
		case !slices.Contains(values, value):
			b.refuse(ProfileUnknown, "the predefined attribute %q of the instance lacks the value %q of %s", s.Attribute, s.Value.shown(value), from)
		}
		twice := slices.ContainsFunc(b.w.agent.Proficiencies, func(p Proficiency) bool { return p.Attribute == s.Attribute && p.Value == value })
		if !twice {
			b.w.agent.Proficiencies = append(b.w.agent.Proficiencies, Proficiency{Attribute: s.Attribute, Value: value, Level: s.Level})
		}
	}
}

// voice lays the settings of the phone and of the channels.
func (b *builder) voice(v *Values, from string, groups []matched) {
	a := &b.w.agent
	if v.PhoneType != "" && a.Phone.Type == "" {
		b.add(FieldPhone, from)
		a.Phone.Type = v.PhoneType
		if v.PhoneType == DeskPhone {
			if number, ok := b.fill(v.DeskNumber, groups, from); ok && !e164(number) {
				b.refuse(RuleFailed, "%s: the number of the desk phone is not one with + and country code", from)
			} else {
				a.Phone.DeskNumber = number
			}
		}
	}
	if v.Persistent != nil && b.w.persistent == nil {
		b.add(FieldPhone, from)
		b.w.persistent = v.Persistent
		a.Phone.Persistent = *v.Persistent
	}
	if v.Enhancement != "" && b.single(FieldEnhancement, from) {
		a.Phone.Enhancement = v.Enhancement
	}
	for ch, on := range v.AutoAccept {
		if _, twice := b.w.autoAccept[ch]; !twice {
			b.w.autoAccept[ch] = on
			b.add(FieldAutoAccept, from)
		}
	}
	for ch, seconds := range v.AfterContactWork {
		if _, twice := b.w.afterWork[ch]; !twice {
			b.w.afterWork[ch] = seconds
			b.add(FieldAfterWork, from)
		}
	}
}

// e164 reports whether a telephone number has the form that Amazon Connect wants.
func e164(n string) bool {
	if len(n) < 3 || len(n) > 16 || n[0] != '+' || n[1] == '0' {
		return false
	}
	return !strings.ContainsFunc(n[1:], func(c rune) bool { return c < '0' || c > '9' })
}

// find gives the id of what a reference means, which messages show as given.
func (b *builder) find(o offers, what, shown, ref, from string) string {
	id, ok := o.find(ref)
	if !ok {
		b.refuse(ProfileUnknown, "%s %q of %s is not in the instance%s", what, shown, from, o.hint(ref))
	}
	return id
}

// round completes the agent of somebody who is to work: of a hierarchy and of
// proficiencies that others get there are none, and what is the floor's from the
// beginning is not said, unless Amazon Connect needs it to make an agent.
func (b *builder) round() {
	for _, f := range []Field{FieldHierarchy, FieldProficiencies} {
		if b.managed[f] && !b.w.says(f) {
			b.w.from[f] = []string{"the rules, which give none"}
		}
	}
	for _, f := range []Field{FieldHierarchy, FieldProficiencies, FieldEnhancement, FieldTags} {
		if b.w.says(f) && b.authority(b.w.persona, f).Mode == Ignore {
			delete(b.w.from, f)
			if f == FieldTags {
				b.w.agent.Tags = nil
			}
			b.w.agent = copyField(f, b.w.agent, &Agent{})
		}
	}
}

// finish puts in order what adds up.
func (b *builder) finish() {
	a := &b.w.agent
	slices.Sort(a.SecurityProfiles)
	a.SecurityProfiles = slices.Compact(a.SecurityProfiles)
	if n := len(a.SecurityProfiles); n > maxSecurityProfiles {
		b.refuse(RuleFailed, "the rules give %d security profiles; Amazon Connect holds %d", n, maxSecurityProfiles)
	}
	slices.SortFunc(a.Proficiencies, compareProficiencies)
	for _, f := range []Field{FieldAutoAccept, FieldAfterWork} {
		*a = b.w.write(f, *a)
	}
	for ch, h := range a.Channels {
		// A new agent has as long after a chat as after a call, if nobody says: the 0
		// that is left would be without limit.
		if _, said := b.w.afterWork[ch]; !said {
			h.AfterContactWork = a.Phone.AfterContactWork
			a.Channels = with(a.Channels, ch, h)
		}
	}
}
