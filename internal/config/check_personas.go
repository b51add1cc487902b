package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"connectroster/internal/plan"
)

// Limits of Amazon Connect. Sources: Amazon Connect API, CreateUser,
// PredefinedAttributeName, TagKey, TagValue.
const (
	maxProfiles  = 10
	maxAttribute = 100
	maxTagKey    = 128
	maxTagValue  = 256
	maxTags      = 30 // of the 50 of an agent; the rest is for ours and for the floor
)

// slots complains of a name in braces that nothing can be filled in for.
type slots func(slot string) complaint

func (r *reader) checkPersona(c *Config, name string, p Persona) {
	path := "personas." + name
	if !nameOf.MatchString(name) {
		r.findings(placeOf(r.keys[path]), "personas", complaint{"want a name of 1 to 64 letters, digits, _ and -", ""})
	}
	r.checkInstanceName(c, path+".instance", p.Instance)
	if at := path + ".instance"; r.several() && r.values[at] == nil && !r.suggested[at] && !r.bad[path] && !r.partial {
		r.fault(at, complaint{"is missing; with instances every persona says to which it belongs",
			"for example instance: " + first(slices.Sorted(maps.Keys(c.Several)), "emea")})
	}
	r.checkProfiles(path, p.SecurityProfiles, p.AllowAdmin, 1)
	r.checkSet(path, p.says(), nil)
	r.checkAuthorities(path+".authority", p.Authority)
}

func first(all []string, otherwise string) string {
	if len(all) == 0 {
		return otherwise
	}
	return all[0]
}

// checkSet judges what a persona or a rule says of an agent, but not its
// security profiles. captures is nil in a persona, which has none.
func (r *reader) checkSet(path string, s Set, captures slots) {
	r.checkTemplate(path+".routing_profile", s.RoutingProfile, captures)
	r.checkTemplate(path+".hierarchy", string(s.Hierarchy), captures)
	r.checkProficiencies(path+".proficiencies", s.Proficiencies, captures)
	r.checkVoice(path+".voice", s.Voice, captures)
	r.checkTags(path+".tags", s.Tags, captures)
}

func (r *reader) checkProficiencies(path string, p Proficiencies, captures slots) {
	if r.ok(path) && len(p) == 0 {
		r.fault(path, complaint{"names no attribute", ""})
	}
	for attribute, values := range p {
		at := path + "." + attribute
		r.faultAtKey(at, path, keyFault100(attribute))
		if r.ok(at) && len(values) == 0 {
			r.fault(at, complaint{"names no value", "for example {de: 4}"})
		}
		for value, level := range values {
			one := at + "." + value
			r.faultAtKey(one, at, keyFault100(value))
			if c := templateFault(value, r.slots(captures)); !r.bad[one] {
				r.faultAtKey(one, at, c)
			}
			if level < 1 || level > 5 {
				r.test(one, complaint{"want a level from 1 to 5", ""})
			}
		}
	}
}

// keyFault100 keeps keys of the user's choice to what names of Amazon Connect
// can be.
func keyFault100(key string) complaint {
	c := textFault(key)
	if c.problem == "" && utf8.RuneCountInString(key) > maxAttribute {
		c = complaint{fmt.Sprintf("has more than %d characters", maxAttribute), ""}
	}
	return c
}

// faultAtKey tells of a complaint about a key of the user's choice, at its place.
func (r *reader) faultAtKey(path, parent string, c complaint) {
	if c.problem == "" {
		return
	}
	r.bad[path] = true
	key := strings.TrimPrefix(path, parent+".")
	r.findings(placeOf(r.keys[path]), join(parent, shortKey(key)), c)
}

var phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

func (r *reader) checkVoice(path string, v Voice, captures slots) {
	number := path + ".desk_number"
	r.checkTemplate(number, v.DeskNumber, captures)
	if !r.bad[number] && v.DeskNumber != "" && !strings.Contains(v.DeskNumber, "{") && !phoneNumber.MatchString(v.DeskNumber) {
		r.fault(number, complaint{"want a number with + and country code, and digits only, such as \"+4930123456\"", ""})
	}
	switch v.Type {
	case plan.DeskPhone:
		if v.DeskNumber == "" && !r.bad[number] && !r.suggested[number] && !r.partial {
			r.fault(number, complaint{"is missing; desk_phone needs the number to call", ""})
		}
	case plan.SoftPhone:
		if v.DeskNumber != "" {
			r.test(number, complaint{"is of no use with soft_phone", "did you mean type: desk_phone?"})
		}
	case "":
		if v.DeskNumber != "" && !r.bad[path+".type"] && !r.suggested[path+".type"] {
			r.test(number, complaint{"is of no use without type: desk_phone beside it", ""})
		}
	default:
		r.test(path+".type", choice(string(v.Type), string(plan.SoftPhone), string(plan.DeskPhone)))
	}
	if v.Enhancement != "" && !slices.Contains([]plan.Enhancement{plan.VoiceIsolation, plan.NoiseSuppression, plan.NoEnhancement}, v.Enhancement) {
		r.test(path+".enhancement", choice(string(v.Enhancement), string(plan.VoiceIsolation), string(plan.NoiseSuppression), string(plan.NoEnhancement)))
	}
}

func (r *reader) checkTags(path string, tags map[string]string, captures slots) {
	if n := len(tags); n > maxTags {
		r.test(path, complaint{fmt.Sprintf("names %d tags; want at most %d", n, maxTags), ""})
	}
	if r.ok(path) && len(tags) == 0 {
		r.fault(path, complaint{"names no tag", ""})
	}
	for key, value := range tags {
		at := path + "." + key
		r.faultAtKey(at, path, tagKeyFault(key))
		r.checkTemplate(at, value, captures)
		if n := utf8.RuneCountInString(value); n > maxTagValue {
			r.test(at, complaint{fmt.Sprintf("has %d characters; want at most %d", n, maxTagValue), ""})
		}
	}
}

// tagKeyFault keeps keys of tags to what Amazon Connect takes and to what is not
// ours. Source: Amazon Connect API, TagKey.
func tagKeyFault(key string) complaint {
	odd := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.Is(unicode.Z, c) && !strings.ContainsRune("_.:/=+-@", c)
	}
	lower := strings.ToLower(key)
	switch {
	case strings.TrimSpace(key) == "":
		return complaint{"is an empty key", ""}
	case utf8.RuneCountInString(key) > maxTagKey:
		return complaint{fmt.Sprintf("the key has more than %d characters", maxTagKey), ""}
	case strings.HasPrefix(lower, "aws:"):
		return complaint{"tags that begin with aws: belong to AWS", ""}
	case strings.HasPrefix(lower, "connectroster:"):
		return complaint{"tags that begin with connectroster: say whose an agent is", "choose another key"}
	case strings.ContainsFunc(key, odd):
		return complaint{"want letters, digits, spaces and _ . : / = + - @ in the key of a tag", ""}
	}
	return complaint{}
}

// checkProfiles judges the security profiles of a persona, of the set of a rule,
// or of the short form when path is empty.
func (r *reader) checkProfiles(path string, profiles []string, allowAdmin bool, least int) {
	at := join(path, "security_profiles")
	if !r.ok(at) {
		return
	}
	if n := len(profiles); n < least || n > maxProfiles {
		r.fault(at, complaint{fmt.Sprintf("names %d profiles; want 1 to %d", n, maxProfiles), ""})
		return
	}
	for i, name := range profiles {
		one := fmt.Sprintf("%s[%d]", at, i)
		if slices.Contains(profiles[:i], name) {
			r.test(one, complaint{"is named twice", "remove one of them"})
		}
		if t, err := plan.ParseTemplate(name); err == nil && len(t.Slots()) > 0 {
			r.test(one, complaint{"nothing is filled in here: nobody gets rights by the name of a group or by a profile", "write one rule for each security profile"})
		}
		if !isAdmin(name) || allowAdmin {
			continue
		}
		hint := "write allow_admin: true in the persona if that is meant"
		if path == "" {
			hint = "the short form cannot give it; write personas and rules, with allow_admin: true in the persona"
		}
		r.test(one, complaint{"Admin may do everything in the instance, and is not given by rules", hint})
	}
}

func isAdmin(profile string) bool { return strings.EqualFold(strings.TrimSpace(profile), "admin") }

// checkTemplate judges text in which something may be filled in.
func (r *reader) checkTemplate(path, text string, captures slots) {
	if r.ok(path) {
		r.test(path, templateFault(text, r.slots(captures)))
	}
}

// slots gives what may stand in braces: attributes of the profile, and what
// captures allows.
func (r *reader) slots(captures slots) slots {
	return func(slot string) complaint {
		name, profile := strings.CutPrefix(slot, "profile.")
		switch {
		case profile && name == "":
			return complaint{"{profile.} names no attribute", ""}
		case profile && !r.wantsAPI():
			return complaint{"{" + slot + "} needs okta.auth: events tell nothing of profiles", ""}
		case profile:
			return complaint{}
		case captures != nil:
			return captures(slot)
		}
		return complaint{"{" + slot + "} has nothing to be filled in with: a persona knows {profile.<attribute>} alone", "captures of groups go into the set of their rule; braces that are meant as such are doubled"}
	}
}

// templateFault says what is wrong with text in which something may be filled in.
func templateFault(text string, known slots) complaint {
	t, err := plan.ParseTemplate(text)
	if err != nil {
		return complaint{strings.TrimPrefix(err.Error(), fmt.Sprintf("%q ", text)), ""}
	}
	for _, slot := range t.Slots() {
		if c := known(slot); c.problem != "" {
			return c
		}
	}
	return complaint{}
}

func (r *reader) checkAuthorities(path string, a Authorities) {
	if a.Tags == Mode(plan.Follow) {
		r.test(path+".tags", complaint{"tags cannot be followed, because they have no place for the rules' last answer", "write enforce, initial or ignore"})
	}
	for _, one := range []struct {
		key     string
		allowed []string
	}{{"routing_profile", a.RoutingProfile.Allowed}, {"security_profiles", a.SecurityProfiles.Allowed}, {"hierarchy", a.Hierarchy.Allowed}} {
		at := path + "." + one.key
		if n := r.values[at]; n == nil || r.bad[at] || r.values[at+".allowed"] == nil && r.nodeIsWord(at) {
			continue
		}
		if len(one.allowed) == 0 && !r.suggested[at+".allowed"] && !r.bad[at+".allowed"] {
			r.fault(at, complaint{"allows nothing", "write allowed: [...], or enforce"})
		}
		for i, ref := range one.allowed {
			if slices.Contains(one.allowed[:i], ref) {
				r.test(fmt.Sprintf("%s.allowed[%d]", at, i), complaint{"is listed twice", "remove one of them"})
			}
		}
	}
}
