package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectroster/internal/plan"
)

// checkLeavers sees to it that there is a persona for suspended agents in every
// instance where somebody may be suspended.
func (r *reader) checkLeavers(c *Config) {
	const path, at, grace = "leavers", "leavers.suspend_as", "leavers.delete_after"
	sync := c.Policy == plan.Sync && r.ok("policy")
	if r.ok(grace) && r.ok("policy") && !sync {
		r.warn(grace, fmt.Sprintf("does nothing with policy %s: nobody is deleted", c.Policy), "")
	}
	if r.ok(at) && r.ok("policy") && !sync {
		r.warn(at, fmt.Sprintf("does nothing with policy %s: nobody is suspended", c.Policy), "")
	}
	if r.bad[path] || r.bad[at] || r.suggested[at] {
		return
	}
	if r.values[at] == nil {
		if sync {
			hint := "for example leavers: {suspend_as: parked}, with personas: {parked: {routing_profile: Parked, security_profiles: [No permissions]}}"
			r.bad[at] = true
			policy, _ := r.find("policy")
			r.findings(policy, at, complaint{"is missing; sync suspends the agents of people who left, and needs a persona without rights for them", hint})
		}
		return
	}
	if len(c.Leavers.SuspendAs) == 0 {
		r.fault(at, complaint{"is an empty list; want the name of a persona", ""})
		return
	}
	r.checkParks(c, at, sync)
}

// checkParks sees to it that suspend_as names one persona for each instance.
func (r *reader) checkParks(c *Config, at string, sync bool) {
	parks := map[string]string{}
	for i, name := range c.Leavers.SuspendAs {
		one := fmt.Sprintf("%s[%d]", at, i)
		if r.values[one] == nil {
			one = at
		}
		p, ok := c.Personas[name]
		if !ok {
			switch {
			case r.ok("personas"):
				r.test(one, r.unknownName("there is no such persona", name, slices.Collect(maps.Keys(c.Personas))))
			case c.short() && len(r.written("personas")) == 0:
				r.test(one, complaint{"there is no such persona", "beside the short form, personas may hold that of suspended agents"})
			}
			continue
		}
		if other, twice := parks[p.Instance]; twice {
			problem := "is the second persona of suspended agents, after " + other
			if p.Instance != "" {
				problem += ", in the instance " + p.Instance
			}
			r.test(one, complaint{problem, "keep one"})
			continue
		}
		parks[p.Instance] = name
	}
	if !sync || r.bad[at] || !r.ok("personas") {
		return
	}
	used := map[string]bool{}
	for _, p := range c.Personas {
		used[p.Instance] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Several)) {
		if _, ok := parks[name]; used[name] && !ok {
			r.test(at, complaint{"names no persona for the instance " + name, "add one with instance: " + name})
		}
	}
}

// checkUse tells of personas and instances that nobody gets to, and of what is
// fine by itself and odd beside the rest.
func (r *reader) checkUse(c *Config) {
	given := map[string]bool{c.DefaultPersona: true}
	for _, rule := range c.Rules {
		given[rule.Persona] = true
	}
	park := map[string]bool{}
	for _, name := range c.Leavers.SuspendAs {
		park[name] = true
	}
	instances := map[string]bool{}
	for name, p := range c.Personas {
		path := "personas." + name
		instances[p.Instance] = true
		switch {
		case park[name] && given[name] && name != "":
			r.warn(path, "is given by a rule, and is the persona of suspended agents as well", "make one of its own for these")
		case !park[name] && !given[name] && c.short() && name == shortPersona: // is told of already
		case !park[name] && !given[name] && c.short():
			r.test(path, complaint{"nobody gets this persona: beside the short form there is only that of suspended agents", "write rules in place of the short form"})
		case !park[name] && !given[name] && (r.ok("rules") || r.ok("default_persona")):
			r.warn(path, "no rule gives this persona", "")
		}
		if !park[name] {
			r.checkAllowed(c, path, p)
		}
	}
	for name := range c.Several {
		if r.ok("personas") && !instances[name] {
			r.warn("instances."+name, "no persona belongs to this instance, so nobody gets an agent there", "")
		}
	}
	r.checkManyTags(c)
}

// checkAllowed tells of a persona that gives what the floor may not choose.
func (r *reader) checkAllowed(c *Config, path string, p Persona) {
	effective := c.Authority.byField()
	at := map[plan.Field]string{plan.FieldRouting: ".routing_profile", plan.FieldHierarchy: ".hierarchy", plan.FieldSecurity: ".security_profiles"}
	maps.Copy(effective, p.Authority.byField())
	gives := map[plan.Field][]string{
		plan.FieldRouting: {p.RoutingProfile}, plan.FieldHierarchy: {string(p.Hierarchy)}, plan.FieldSecurity: p.SecurityProfiles,
	}
	for field, refs := range gives {
		a := effective[field]
		if len(a.Allowed) == 0 {
			continue
		}
		for _, ref := range refs {
			if ref == "" || strings.Contains(ref, "{") || field == plan.FieldHierarchy && ref == string(noHierarchy) {
				continue
			}
			if !slices.Contains(a.Allowed, ref) {
				r.warn(path+at[field], fmt.Sprintf("gives %s, which authority does not allow", printable(ref)), "whoever is moved from it cannot be moved back by the floor; add it there if that is not meant")
			}
		}
	}
}

// checkManyTags sees to it that no agent can get more tags than it holds.
func (r *reader) checkManyTags(c *Config) {
	set := map[string]bool{}
	for _, rule := range c.Rules {
		for key := range rule.Set.Tags {
			set[key] = true
		}
	}
	for name, p := range c.Personas {
		n := len(set)
		for key := range p.Tags {
			if !set[key] {
				n++
			}
		}
		if path := "personas." + name; n > maxTags && len(p.Tags) <= maxTags {
			r.test(path, complaint{fmt.Sprintf("with the tags of all rules an agent may get %d; want at most %d", n, maxTags), ""})
		}
	}
}
