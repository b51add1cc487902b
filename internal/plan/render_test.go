package plan_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// render writes a plan, ordered by person.
func render(p plan.Plan) string {
	type entry struct{ person, text string }
	var entries []entry
	for _, ch := range p.Changes {
		text := fmt.Sprintf("%s %s", ch.Action, word(ch.Person))
		if ch.Agent != "" {
			text += " agent=" + word(ch.Agent)
		}
		if ch.Evidence != "" {
			text += " evidence=" + string(ch.Evidence)
		}
		if ch.Group != "" {
			text += " group=" + word(ch.Group)
		}
		for _, f := range shown(ch.Before, ch.After) {
			text += " " + f
		}
		if ch.Parked != nil {
			for _, f := range shown(ch.Before, ch.Parked) {
				text += " parked." + f
			}
		}
		entries = append(entries, entry{ch.Person, text + ": " + ch.Reason})
	}
	for _, r := range p.Refusals {
		text := fmt.Sprintf("refuse %s %s username=%s", word(r.Person), r.Code, word(r.Username))
		if r.Agent != "" {
			text += " agent=" + word(r.Agent)
		}
		entries = append(entries, entry{r.Person, text + ": " + r.Reason})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.person, b.person) })
	var out strings.Builder
	for _, e := range entries {
		out.WriteString(e.text + "\n")
	}
	return out.String()
}

// shown gives what is set in an agent that is new, and what differs in one that
// changes.
func shown(before, after *plan.Agent) []string {
	if after == nil {
		return nil
	}
	old, now := attributes(before), attributes(after)
	names := slices.Concat(order, slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(old)))
	var out []string
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		switch {
		case before == nil && now[name] != "":
			out = append(out, name+"="+word(now[name]))
		case before != nil && now[name] != old[name]:
			out = append(out, name+"="+word(old[name])+"->"+word(now[name]))
		}
	}
	return out
}

// order is that in which attributes stand; others follow by name.
var order = []string{
	"username", "first", "last", "routing", "security", "hierarchy", "skills", "phone", "auto_accept", "after_contact_work", "desk", "persistent", "enhancement",
	"owner", "deployment", "state", "since", "group",
}

func attributes(a *plan.Agent) map[string]string {
	if a == nil {
		return nil
	}
	flag := func(on bool) string {
		if on {
			return "true"
		}
		return ""
	}
	number := func(n int) string {
		if n != 0 {
			return strconv.Itoa(n)
		}
		return ""
	}
	out := map[string]string{
		"username": a.Username, "first": a.FirstName, "last": a.LastName,
		"routing": a.RoutingProfile, "security": strings.Join(a.SecurityProfiles, ","), "hierarchy": a.Hierarchy,
		"phone": string(a.Phone.Type), "auto_accept": flag(a.Phone.AutoAccept), "after_contact_work": number(a.Phone.AfterContactWork),
		"desk": a.Phone.DeskNumber, "persistent": flag(a.Phone.Persistent), "enhancement": string(a.Phone.Enhancement),
		"owner": a.Owner, "deployment": a.Deployment, "state": string(a.State), "group": a.Group,
	}
	if !a.Since.IsZero() {
		out["since"] = a.Since.Format(time.RFC3339)
	}
	var skills []string
	for _, p := range a.Proficiencies {
		skills = append(skills, fmt.Sprintf("%s:%s:%d", p.Attribute, p.Value, p.Level))
	}
	out["skills"] = strings.Join(skills, ",")
	for ch, h := range a.Channels {
		out["auto_accept."+string(ch)], out["after_contact_work."+string(ch)] = flag(h.AutoAccept), number(h.AfterContactWork)
	}
	for key, text := range a.Tags {
		out["tag."+key] = text
	}
	for f, text := range a.Answers {
		out["answer."+string(f)] = text
	}
	return out
}

// renderExplanation writes what is told of a person, a thing a line.
func renderExplanation(e plan.Explanation) string {
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	entitled := "not entitled"
	if e.Entitled {
		entitled = "entitled"
	}
	say("%s %s %s: %s", word(e.Person), word(e.Username), entitled, e.Why)
	if e.Exempt != "" {
		say("  exempt: %s", e.Exempt)
	}
	for _, g := range e.Groups {
		by := slices.Clone(g.Rules)
		for _, rule := range g.Not {
			by = append(by, rule+" under not")
		}
		say("  group %s %s: %s", g.ID, word(g.Name), cmp.Or(strings.Join(by, ", "), "no rule"))
	}
	for _, r := range e.Rules {
		text := "  " + r.Rule
		if r.Matched {
			text += " matched"
		}
		if r.Persona != "" {
			text += " persona=" + r.Persona
		}
		for _, key := range slices.Sorted(maps.Keys(r.Captures)) {
			text += " " + key + "=" + word(r.Captures[key])
		}
		for _, f := range r.Sets {
			text += " sets=" + string(f)
		}
		say("%s: %s", text, r.Why)
	}
	if e.Persona != "" {
		say("  persona %s by %s", e.Persona, e.By)
	}
	if e.Agent != "" {
		text := "  agent " + e.Agent + " " + string(e.State)
		if !e.Since.IsZero() {
			text += " since=" + e.Since.Format(time.RFC3339)
		}
		say("%s", text)
	}
	for _, f := range e.Fields {
		text := fmt.Sprintf("  %s wanted=%s found=%s authority=%s", f.Field, word(f.Wanted), word(f.Found), f.Authority)
		for _, ref := range f.Allowed {
			text += " allowed=" + word(ref)
		}
		say("%s from=%s: %s", text, word(strings.Join(f.From, " and ")), f.Meaning)
	}
	for _, l := range strings.Split(strings.TrimSpace(render(plan.Plan{Changes: e.Changes, Refusals: e.Refusals})), "\n") {
		if l != "" {
			say("  %s", l)
		}
	}
	return out.String()
}

// renderDifferences writes what changes do, in words.
func renderDifferences(p plan.Plan, w plan.World) string {
	var out strings.Builder
	for _, ch := range p.Changes {
		fmt.Fprintf(&out, "%s %s\n", ch.Action, word(ch.Person))
		for _, d := range ch.Differences(w.Catalog, plan.GroupNames(w.People)) {
			fmt.Fprintf(&out, "  %s: %s -> %s\n", d.Field, word(d.Before), word(d.After))
		}
	}
	for _, t := range p.Actions() {
		fmt.Fprintf(&out, "%d %s\n", t.Number, t.What)
	}
	for _, t := range p.Codes() {
		fmt.Fprintf(&out, "%d refused: %s\n", t.Number, t.What)
	}
	return out.String()
}
