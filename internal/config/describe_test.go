package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectroster/internal/plan"
)

// describe writes settings down as a person would, and leaves out what is not
// said.
func describe(s plan.Settings) map[string]any {
	out := map[string]any{"deployment": s.Deployment, "policy": s.Policy}
	put(out, "default persona", s.DefaultPersona)
	put(out, "exempt people", s.ExemptPeople)
	put(out, "suspend as", s.Leavers.SuspendAs)
	if s.Leavers.DeleteAfter > 0 {
		out["delete after"] = s.Leavers.DeleteAfter.String()
	}
	put(out, "authority", authorities(s.Authority))
	personas := map[string]any{}
	for name, p := range s.Personas {
		one := values(p.Values)
		put(one, "instance", p.Instance)
		put(one, "authority", authorities(p.Authority))
		if p.AllowAdmin {
			one["admin"] = true
		}
		personas[name] = one
	}
	out["personas"] = personas
	var rules []any
	for _, r := range s.Rules {
		one := condition(r.When)
		one["name"] = r.Name
		put(one, "persona", r.Persona)
		put(one, "instance", r.Instance)
		if r.Set != nil {
			one["set"] = values(*r.Set)
		}
		rules = append(rules, one)
	}
	out["rules"] = rules
	var exempt []any
	for _, c := range s.Exempt {
		exempt = append(exempt, condition(c))
	}
	if exempt != nil {
		out["exempt"] = exempt
	}
	return out
}

// put adds what is not empty.
func put(m map[string]any, key string, v any) {
	if text := fmt.Sprint(v); text != "" && text != "[]" && text != "map[]" {
		m[key] = v
	}
}

func authorities(all map[plan.Field]plan.Authority) map[string]string {
	out := map[string]string{}
	for f, a := range all {
		out[string(f)] = strings.TrimSuffix(fmt.Sprintf("%s %q", a.Mode, a.Allowed), " []")
	}
	return out
}

func condition(c plan.Condition) map[string]any {
	out := map[string]any{}
	var groups []string
	for _, g := range c.Groups {
		text := g.Text
		if g.Pattern != nil {
			text += " = " + g.Pattern.String()
		}
		groups = append(groups, text)
	}
	put(out, "groups", groups)
	profile := map[string]string{}
	for _, a := range c.Profile {
		profile[a.Name] = fmt.Sprintf("%q", a.In)
		if a.Pattern != nil {
			profile[a.Name] += " or " + a.Pattern.String()
		}
	}
	put(out, "profile", profile)
	if c.When.Holds != nil {
		out["when"] = c.When.Text
	}
	if c.Not != nil {
		out["not"] = condition(*c.Not)
	}
	return out
}

func values(v plan.Values) map[string]any {
	out := map[string]any{}
	put(out, "routing", v.RoutingProfile.Text())
	put(out, "security", v.SecurityProfiles)
	if v.Hierarchy != nil {
		out["hierarchy"] = "in " + v.Hierarchy.Text()
	}
	var skills []string
	for _, s := range v.Proficiencies {
		skills = append(skills, fmt.Sprintf("%s: %s %d", s.Attribute, s.Value.Text(), s.Level))
	}
	put(out, "proficiencies", skills)
	put(out, "phone", string(v.PhoneType))
	put(out, "desk", v.DeskNumber.Text())
	put(out, "enhancement", string(v.Enhancement))
	if v.Persistent != nil {
		out["persistent"] = *v.Persistent
	}
	channels := []string{}
	for _, ch := range slices.Sorted(maps.Keys(v.AutoAccept)) {
		channels = append(channels, fmt.Sprintf("%s auto accept %v", ch, v.AutoAccept[ch]))
	}
	for _, ch := range slices.Sorted(maps.Keys(v.AfterContactWork)) {
		channels = append(channels, fmt.Sprintf("%s after work %ds", ch, v.AfterContactWork[ch]))
	}
	put(out, "channels", channels)
	tags := map[string]string{}
	for key, t := range v.Tags {
		tags[key] = t.Text()
	}
	put(out, "tags", tags)
	return out
}
