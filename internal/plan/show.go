package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Difference is a field of an agent before and after a change, in words for
// people: names in place of ids.
type Difference struct {
	Field  Field  `json:"field"`
	Before string `json:"before"` // empty: nothing
	After  string `json:"after"`
}

// FieldUsername stands for the username in differences. Amazon Connect never
// changes it, so no change writes it.
const FieldUsername Field = "username"

// GroupNames gives the names of the groups that people are in, by their Okta ids. Where
// several have one name, the ids tell them apart.
func GroupNames(people []Person) map[string]string {
	names, twins := map[string]string{}, map[string]int{}
	for _, p := range people {
		for _, g := range p.Groups {
			if _, known := names[g.ID]; !known {
				twins[g.Name]++
			}
			names[g.ID] = g.Name
		}
	}
	for id, name := range names {
		if twins[name] > 1 {
			names[id] = name + " (" + id + ")"
		}
	}
	return names
}

// Differences gives what a change does to an agent, in the order of Fields. For a
// Create that is all that is set, for a Replace what the new agent has and the old
// one has not, for a Delete and a Release nothing. What neither the catalog nor groups,
// by their Okta ids, have a name for is shown by its id.
func (c Change) Differences(catalog Catalog, groups map[string]string) []Difference {
	if c.After == nil {
		return nil
	}
	before := c.Before
	if before == nil {
		before = &Agent{}
	}
	out := []Difference{{FieldUsername, before.Username, c.After.Username}}
	for _, f := range Fields() {
		if !sameField(f, before, c.After) {
			out = append(out, Difference{f, before.show(f, catalog), c.After.show(f, catalog)})
		}
	}
	if c.Action != Create && c.Action != Replace { // what is made is ours, which goes without saying
		was, is := parted(before.ownership(c, catalog, groups), c.After.ownership(c, catalog, groups))
		out = append(out, Difference{FieldOwnership, was, is})
	}
	return slices.DeleteFunc(out, func(d Difference) bool { return d.Before == d.After })
}

// show gives the value of a field in words.
func (a *Agent) show(f Field, c Catalog) string {
	switch f {
	case FieldName:
		return strings.TrimSpace(a.FirstName + " " + a.LastName)
	case FieldRouting:
		return c.RoutingProfiles.Name(a.RoutingProfile)
	case FieldSecurity:
		var names []string
		for _, id := range a.SecurityProfiles {
			names = append(names, c.SecurityProfiles.Name(id))
		}
		slices.Sort(names)
		return strings.Join(names, ", ")
	case FieldHierarchy:
		return c.Hierarchy.Name(a.Hierarchy)
	case FieldProficiencies:
		var skills []string
		for _, p := range a.Proficiencies {
			skills = append(skills, fmt.Sprintf("%s %s %d", p.Attribute, p.Value, p.Level))
		}
		return strings.Join(skills, ", ")
	case FieldPhone:
		return a.Phone.show()
	case FieldAutoAccept:
		return a.perChannel(func(h Handled) string {
			if h.AutoAccept {
				return "on"
			}
			return "off"
		})
	case FieldAfterWork:
		return a.perChannel(func(h Handled) string {
			if h.AfterContactWork == 0 {
				return "unlimited"
			}
			return (time.Duration(h.AfterContactWork) * time.Second).String()
		})
	case FieldEnhancement:
		return string(a.Phone.Enhancement)
	case FieldTags:
		return pairs(a.Tags)
	}
	return ""
}

func (p Phone) show() string {
	text := string(p.Type)
	if p.Type == DeskPhone {
		text += " " + p.DeskNumber
	}
	if p.Persistent {
		text += ", persistent"
	}
	return text
}

// perChannel lists the channels of which something is known.
func (a *Agent) perChannel(say func(Handled) string) string {
	var out []string
	for _, ch := range channels {
		if _, known := a.Channels[ch]; known || ch == Voice && a.Phone.Type != "" {
			out = append(out, string(ch)+" "+say(a.channel(ch)))
		}
	}
	return strings.Join(out, ", ")
}

// ownership gives what our tags say, part by part. An owner for whom the change is has
// the name of the agent.
func (a *Agent) ownership(c Change, catalog Catalog, groups map[string]string) []string {
	var out []string
	add := func(what, text string) {
		if text != "" {
			out = append(out, what+" "+text)
		}
	}
	if a.Owner != "" && a.Owner == c.Person {
		add("owner", c.After.Username)
	} else {
		add("owner", a.Owner)
	}
	add("deployment", a.Deployment)
	state := string(a.State)
	if !a.Since.IsZero() {
		state += " since " + a.Since.UTC().Format(time.RFC3339)
	}
	add("state", state)
	add("group", Group{ID: a.Group, Name: groups[a.Group]}.label())
	answers := maps.Clone(a.Answers)
	for f, answer := range answers {
		switch f {
		case FieldRouting:
			answer = catalog.RoutingProfiles.Name(answer)
		case FieldHierarchy:
			answer = catalog.Hierarchy.Name(answer)
		}
		if strings.Contains(answer, " ") {
			answer = strconv.Quote(answer)
		}
		answers[f] = answer
	}
	add("answers", pairs(answers))
	return out
}

// parted gives the parts of two lists that the other one lacks.
func parted(a, b []string) (string, string) {
	lacks := func(list []string) func(string) bool {
		return func(s string) bool { return slices.Contains(list, s) }
	}
	return strings.Join(slices.DeleteFunc(slices.Clone(a), lacks(b)), ", "), strings.Join(slices.DeleteFunc(slices.Clone(b), lacks(a)), ", ")
}

// pairs lists a map by its keys.
func pairs[K ~string](m map[K]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, string(key)+"="+m[key])
	}
	return strings.Join(out, " ")
}

// Actions gives all actions that a plan can hold, in the order in which people
// are shown them.
func Actions() []Action {
	return []Action{Create, Adopt, Update, Replace, Resume, Suspend, Delete}
}

// Tally says how many of something there are.
type Tally[T ~string] struct {
	What   T   `json:"what"`
	Number int `json:"number"`
}

// Actions counts the changes by what they do, in the order of Actions. What there
// is none of is left out.
func (p Plan) Actions() []Tally[Action] {
	numbers := map[Action]int{}
	for _, c := range p.Changes {
		numbers[c.Action]++
	}
	return tallies(Actions(), numbers)
}

// Codes counts the refusals by their codes, by name.
func (p Plan) Codes() []Tally[Code] {
	numbers := map[Code]int{}
	for _, r := range p.Refusals {
		numbers[r.Code]++
	}
	return tallies(slices.Sorted(maps.Keys(numbers)), numbers)
}

func tallies[T ~string](order []T, numbers map[T]int) []Tally[T] {
	var out []Tally[T]
	for _, what := range order {
		if n := numbers[what]; n > 0 {
			out = append(out, Tally[T]{what, n})
		}
	}
	return out
}
