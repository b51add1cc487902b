package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// adminProfile is the security profile of every instance that may do everything.
// Source: Amazon Connect Administrator Guide, default security profiles.
const adminProfile = "Admin"

// maxSecurityProfiles is a limit of Amazon Connect, CreateUser.
const maxSecurityProfiles = 10

// wanted is the agent that the rules make of a person, and where each part of it
// comes from.
type wanted struct {
	agent   Agent // whole, for a creation
	persona string
	reason  string
	said    map[Field]bool   // what the rules say something of
	from    map[Field]string // and which of them, for people

	autoAccept map[Channel]bool
	afterWork  map[Channel]int
	persistent *bool
}

// want builds the agent that the rules make of the person.
func (r *roster) want(p *Person, v verdict) (*wanted, *Refusal) {
	persona, ok := r.settings.Personas[v.persona]
	if !ok {
		return nil, &Refusal{Code: NoPersona, Reason: fmt.Sprintf("persona %q does not exist", v.persona)}
	}
	if reason := UsernameFault(p.Username); reason != "" {
		return nil, &Refusal{Code: UsernameImpossible, Reason: reason}
	}
	w, f := r.build(p, v.persona, persona, v.sets)
	if f != nil {
		return nil, f
	}
	w.reason = "in group " + v.group.label()
	w.agent.FirstName, w.agent.LastName = names(*p)
	w.said[FieldName], w.from[FieldName] = true, "Okta"
	w.agent.Username, w.agent.Owner, w.agent.Deployment = p.Username, p.ID, r.settings.Deployment
	w.agent.State, w.agent.Group = StateActive, v.group.ID
	for _, f := range Fields() {
		if w.said[f] && r.authority(v.persona, f).Mode == Follow {
			if w.agent.Answers == nil {
				w.agent.Answers = map[Field]string{}
			}
			w.agent.Answers[f] = answer(f, w.agent)
		}
	}
	return w, nil
}

// build works out what a persona says, and what the sets of rules lay over it.
func (r *roster) build(p *Person, name string, persona Persona, sets []match) (*wanted, *Refusal) {
	w := &wanted{persona: name, said: map[Field]bool{}, from: map[Field]string{}, autoAccept: map[Channel]bool{}, afterWork: map[Channel]int{}}
	b := builder{roster: r, w: w, p: p, persona: name, admin: persona.AllowAdmin}
	for _, m := range sets {
		b.lay(*m.rule.Set, m.rule.Name, m.groups)
	}
	b.lay(persona.Values, "persona "+name, nil)
	if b.refusal != nil {
		return nil, b.refusal
	}
	return w, b.finish()
}

// builder lays values over each other. Of single values the first wins; what adds
// up is added.
type builder struct {
	*roster
	w       *wanted
	p       *Person
	persona string
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
	if b.w.said[f] {
		return false
	}
	b.w.said[f], b.w.from[f] = true, from
	return true
}

// add notes one more who says something of a field.
func (b *builder) add(f Field, from string) {
	if old := b.w.from[f]; old != "" && old != from {
		from = old + " and " + from
	}
	b.w.said[f], b.w.from[f] = true, from
}

// fill gives the text of a template for the first of the groups that can fill it.
func (b *builder) fill(t Template, groups []matched, from string) (string, bool) {
	var captured captures
	if len(groups) > 0 {
		captured = groups[0].captures
	}
	text, err := t.fill(captured, b.p)
	if err != nil {
		b.refuse(RuleFailed, "%s: %v", from, err)
	}
	return text, err == nil
}

func (b *builder) lay(v Values, from string, groups []matched) {
	a := &b.w.agent
	if !v.RoutingProfile.IsZero() && b.single(FieldRouting, from) {
		if ref, ok := b.fill(v.RoutingProfile, groups, from); ok {
			a.RoutingProfile = b.find(b.catalog.RoutingProfiles, "routing profile", ref, from)
		}
	}
	for _, ref := range v.SecurityProfiles {
		b.add(FieldSecurity, from)
		id := b.find(b.catalog.SecurityProfiles, "security profile", ref, from)
		if id != "" && id == b.catalog.SecurityProfiles[adminProfile] && !b.admin {
			b.refuse(ProfileForbidden, "security profile %q of %s is %s, which may do everything; the persona must say allow_admin", ref, from, adminProfile)
		}
		a.SecurityProfiles = append(a.SecurityProfiles, id)
	}
	if v.Hierarchy != nil && b.single(FieldHierarchy, from) {
		if ref, ok := b.fill(*v.Hierarchy, groups, from); ok && ref != "" {
			a.Hierarchy = b.find(b.catalog.Hierarchy, "hierarchy group", ref, from)
		}
	}
	for _, s := range v.Proficiencies {
		b.skill(s, from, groups)
	}
	for key, t := range v.Tags {
		if _, twice := a.Tags[key]; twice {
			continue
		}
		if text, ok := b.fill(t, groups, from); ok {
			b.add(FieldTags, from)
			if a.Tags == nil {
				a.Tags = map[string]string{}
			}
			a.Tags[key] = text
		}
	}
	b.voice(v, from, groups)
}

// skill adds a proficiency, for each of the groups whose name tells one.
func (b *builder) skill(s Skill, from string, groups []matched) {
	if len(groups) == 0 {
		groups = []matched{{}}
	}
	for _, g := range groups {
		value, ok := b.fill(s.Value, []matched{g}, from)
		if !ok {
			return
		}
		b.add(FieldProficiencies, from)
		values, known := b.catalog.Attributes[s.Attribute]
		switch {
		case !known:
			b.refuse(ProfileUnknown, "the predefined attribute %q of %s is not in the instance", s.Attribute, from)
		case !slices.Contains(values, value):
			b.refuse(ProfileUnknown, "the predefined attribute %q of the instance lacks the value %q of %s", s.Attribute, value, from)
		}
		twice := slices.ContainsFunc(b.w.agent.Proficiencies, func(p Proficiency) bool { return p.Attribute == s.Attribute && p.Value == value })
		if !twice {
			b.w.agent.Proficiencies = append(b.w.agent.Proficiencies, Proficiency{Attribute: s.Attribute, Value: value, Level: s.Level})
		}
	}
}

// voice lays the settings of the phone and of the channels.
func (b *builder) voice(v Values, from string, groups []matched) {
	a := &b.w.agent
	if v.PhoneType != "" && b.single(FieldPhone, from) {
		a.Phone.Type = v.PhoneType
		if !v.DeskNumber.IsZero() {
			a.Phone.DeskNumber, _ = b.fill(v.DeskNumber, groups, from)
			if n := a.Phone.DeskNumber; b.refusal == nil && !e164(n) {
				b.refuse(RuleFailed, "%s: the number of the desk phone is not one with + and country code", from)
			}
		}
	}
	if v.Persistent != nil && b.w.persistent == nil {
		b.w.persistent = v.Persistent
		a.Phone.Persistent = *v.Persistent
		b.add(FieldPhone, from)
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

func e164(n string) bool {
	if len(n) < 3 || len(n) > 16 || n[0] != '+' || n[1] == '0' {
		return false
	}
	for _, c := range n[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// find gives the id of what a reference means.
func (b *builder) find(o Offer, what, ref, from string) string {
	id, ok := o.Find(ref)
	if !ok {
		b.refuse(ProfileUnknown, "%s %q of %s is not in the instance%s", what, ref, from, o.hint(ref))
	}
	return id
}

// finish puts in order what adds up, and says of fields that somebody manages
// that there is nothing of them.
func (b *builder) finish() *Refusal {
	w := b.w
	a := &w.agent
	slices.Sort(a.SecurityProfiles)
	a.SecurityProfiles = slices.Compact(a.SecurityProfiles)
	if n := len(a.SecurityProfiles); n > maxSecurityProfiles {
		return &Refusal{Code: RuleFailed, Reason: fmt.Sprintf("the rules give %d security profiles; Amazon Connect holds %d", n, maxSecurityProfiles)}
	}
	slices.SortFunc(a.Proficiencies, compareProficiencies)
	for _, f := range []Field{FieldHierarchy, FieldProficiencies} {
		if b.managed[f] && !w.said[f] {
			w.said[f], w.from[f] = true, "the rules, none of which gives any"
		}
	}
	for _, f := range []Field{FieldAutoAccept, FieldAfterWork} {
		if w.said[f] {
			*a = w.write(f, *a)
		}
	}
	return nil
}

// write gives the agent the wanted value of a field, and leaves what shares its
// memory with another agent alone.
func (w *wanted) write(f Field, a Agent) Agent {
	switch f {
	case FieldAutoAccept:
		for ch, on := range w.autoAccept {
			if ch == Voice {
				a.Phone.AutoAccept = on
				continue
			}
			h := a.Channels[ch]
			h.AutoAccept = on
			a.Channels = with(a.Channels, ch, h)
		}
		return a
	case FieldAfterWork:
		for ch, seconds := range w.afterWork {
			if ch == Voice {
				a.Phone.AfterContactWork = seconds
				continue
			}
			h := a.Channels[ch]
			h.AfterContactWork = seconds
			a.Channels = with(a.Channels, ch, h)
		}
		return a
	case FieldTags:
		for key, text := range w.agent.Tags {
			a.Tags = with(a.Tags, key, text)
		}
		return a
	case FieldPhone:
		if w.agent.Phone.Type != "" {
			a.Phone.Type = w.agent.Phone.Type
			if w.agent.Phone.Type == DeskPhone {
				a.Phone.DeskNumber = w.agent.Phone.DeskNumber
			}
		}
		if w.persistent != nil {
			a.Phone.Persistent = *w.persistent
		}
		return a
	}
	return copyField(f, a, w.agent)
}

func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	m = maps.Clone(m)
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}

// copyField gives an agent the value that a field has in another one.
func copyField(f Field, a, from Agent) Agent {
	switch f {
	case FieldName:
		a.FirstName, a.LastName = from.FirstName, from.LastName
	case FieldRouting:
		a.RoutingProfile = from.RoutingProfile
	case FieldSecurity:
		a.SecurityProfiles = from.SecurityProfiles
	case FieldHierarchy:
		a.Hierarchy = from.Hierarchy
	case FieldProficiencies:
		a.Proficiencies = from.Proficiencies
	case FieldPhone:
		a.Phone.Type, a.Phone.DeskNumber, a.Phone.Persistent = from.Phone.Type, from.Phone.DeskNumber, from.Phone.Persistent
	case FieldEnhancement:
		a.Phone.Enhancement = from.Phone.Enhancement
	case FieldTags:
		for key, text := range from.Tags {
			a.Tags = with(a.Tags, key, text)
		}
	case FieldAutoAccept:
		a.Phone.AutoAccept = from.Phone.AutoAccept
		for ch, h := range from.Channels {
			mine := a.Channels[ch]
			mine.AutoAccept = h.AutoAccept
			a.Channels = with(a.Channels, ch, mine)
		}
	case FieldAfterWork:
		a.Phone.AfterContactWork = from.Phone.AfterContactWork
		for ch, h := range from.Channels {
			mine := a.Channels[ch]
			mine.AfterContactWork = h.AfterContactWork
			a.Channels = with(a.Channels, ch, mine)
		}
	}
	return a
}

// sameField reports whether two agents have the same value of a field. A number
// that a soft phone does not use is no difference.
func sameField(f Field, a, b Agent) bool {
	switch f {
	case FieldName:
		return a.FirstName == b.FirstName && a.LastName == b.LastName
	case FieldRouting:
		return a.RoutingProfile == b.RoutingProfile
	case FieldSecurity:
		return slices.Equal(a.SecurityProfiles, b.SecurityProfiles)
	case FieldHierarchy:
		return a.Hierarchy == b.Hierarchy
	case FieldProficiencies:
		return slices.Equal(a.Proficiencies, b.Proficiencies)
	case FieldPhone:
		return a.Phone.Type == b.Phone.Type && a.Phone.Persistent == b.Phone.Persistent &&
			(a.Phone.Type != DeskPhone || a.Phone.DeskNumber == b.Phone.DeskNumber)
	case FieldEnhancement:
		return a.Phone.Enhancement == b.Phone.Enhancement
	case FieldTags:
		return maps.Equal(a.Tags, b.Tags)
	case FieldAutoAccept:
		return a.Phone.AutoAccept == b.Phone.AutoAccept && sameChannels(a, b, func(x, y Handled) bool { return x.AutoAccept == y.AutoAccept })
	case FieldAfterWork:
		return a.Phone.AfterContactWork == b.Phone.AfterContactWork && sameChannels(a, b, func(x, y Handled) bool { return x.AfterContactWork == y.AfterContactWork })
	}
	return false
}

// sameChannels compares the channels. One that is missing is as a new agent's.
func sameChannels(a, b Agent, same func(x, y Handled) bool) bool {
	for _, ch := range []Channel{Chat, Task, Email} {
		if !same(a.Channels[ch], b.Channels[ch]) {
			return false
		}
	}
	return true
}

func sameOwnership(a, b Agent) bool {
	return a.Owner == b.Owner && a.Deployment == b.Deployment && a.State == b.State && a.Since.Equal(b.Since) &&
		a.Group == b.Group && maps.Equal(a.Answers, b.Answers)
}

// answer is what the rules say of a followed field, short enough for a tag.
func answer(f Field, a Agent) string {
	switch f {
	case FieldRouting:
		return a.RoutingProfile
	case FieldHierarchy:
		return cmp.Or(a.Hierarchy, "none")
	}
	text, err := json.Marshal(copyField(f, Agent{}, a))
	if err != nil {
		panic("plan: an agent cannot be encoded: " + err.Error()) // it holds text and numbers alone
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// authority gives who decides about a field of agents of a persona.
func (r *roster) authority(persona string, f Field) Authority {
	if a, ok := r.settings.Personas[persona].Authority[f]; ok {
		return a
	}
	if a, ok := r.settings.Authority[f]; ok {
		return a
	}
	if f == FieldRouting {
		return Authority{Mode: Follow}
	}
	return Authority{Mode: Enforce}
}

// allows reports whether what the floor chose is among what it may choose from.
func (r *roster) allows(allowed []string, f Field, a Agent) bool {
	among := func(o Offer, id string) bool {
		return slices.ContainsFunc(allowed, func(ref string) bool { other, ok := o.Find(ref); return ok && other == id })
	}
	switch f {
	case FieldRouting:
		return among(r.catalog.RoutingProfiles, a.RoutingProfile)
	case FieldHierarchy:
		return among(r.catalog.Hierarchy, a.Hierarchy)
	case FieldSecurity:
		return len(a.SecurityProfiles) > 0 && !slices.ContainsFunc(a.SecurityProfiles, func(id string) bool { return !among(r.catalog.SecurityProfiles, id) })
	}
	return false
}

// says reports whether the values say something of a field.
func (v Values) says(f Field) bool {
	switch f {
	case FieldRouting:
		return !v.RoutingProfile.IsZero()
	case FieldSecurity:
		return len(v.SecurityProfiles) > 0
	case FieldHierarchy:
		return v.Hierarchy != nil
	case FieldProficiencies:
		return len(v.Proficiencies) > 0
	case FieldPhone:
		return v.PhoneType != "" || v.Persistent != nil
	case FieldAutoAccept:
		return len(v.AutoAccept) > 0
	case FieldAfterWork:
		return len(v.AfterContactWork) > 0
	case FieldEnhancement:
		return v.Enhancement != ""
	case FieldTags:
		return len(v.Tags) > 0
	}
	return false
}

// managed gives the fields that some persona or rule of an instance says
// something of. What nobody says anything of is left alone; of what somebody
// does, a person for whom the rules say nothing is to have nothing.
func (s Settings) managed(instance string) map[Field]bool {
	out := map[Field]bool{}
	note := func(v Values) {
		for _, f := range Fields() {
			if v.says(f) {
				out[f] = true
			}
		}
	}
	for name, p := range s.Personas {
		if p.Instance == instance && s.Leavers.SuspendAs[instance] != name {
			note(p.Values)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			note(*r.Set)
		}
	}
	return out
}

// Manages reports whether agents of an instance have anything configured of a
// field, so that it is worth reading.
func (s Settings) Manages(instance string, f Field) bool {
	if s.managed(instance)[f] {
		return true
	}
	p, ok := s.Personas[s.Leavers.SuspendAs[instance]]
	return ok && p.Values.says(f)
}

// Skills gives every proficiency that the rules can give in an instance, sorted:
// a value that is worked out may be any that the attribute has.
func (s Settings) Skills(instance string, c Catalog) []Proficiency {
	var out []Proficiency
	note := func(v Values) {
		for _, skill := range v.Proficiencies {
			values := []string{skill.Value.Text()}
			if len(skill.Value.Slots()) > 0 {
				values = c.Attributes[skill.Attribute]
			} else if text, err := skill.Value.fill(nil, nil); err == nil {
				values = []string{text}
			}
			for _, value := range values {
				out = append(out, Proficiency{Attribute: skill.Attribute, Value: value, Level: skill.Level})
			}
		}
	}
	for _, p := range s.Personas {
		if p.Instance == instance {
			note(p.Values)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			note(*r.Set)
		}
	}
	slices.SortFunc(out, compareProficiencies)
	return slices.Compact(out)
}
