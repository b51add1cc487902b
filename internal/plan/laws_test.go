package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
)

// check runs a law over random settings and worlds.
func check(t *testing.T, law func(t *rapid.T, s plan.Settings, w plan.World)) {
	t.Helper()
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		law(t, settings().Draw(t, "settings"), world().Draw(t, "world"))
	})
}

func asJSON(t *rapid.T, p plan.Plan) string {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// settle applies plans until there is nothing left to do. One is enough, but where there
// is more to come: a retired agent that was not parked is parked, adopted, and brought in
// line.
func settle(s plan.Settings, w plan.World) plan.World {
	for range 4 {
		p := plan.New(s, w)
		w = apply(w, p)
		if !moreToCome(p) {
			break
		}
	}
	return w
}

// moreToCome tells of changes after which there is more to do: what is adopted or parked
// has its next step, and what is deleted leaves a username to somebody else.
func moreToCome(p plan.Plan) bool {
	return slices.ContainsFunc(p.Changes, func(c plan.Change) bool {
		return c.Action == plan.Adopt || c.Action == plan.Delete || c.Action == plan.Suspend && !c.Buries()
	})
}

func TestApplyThenPlanIsEmpty(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		w.Agents = once(w.Agents)
		if again := plan.New(s, settle(s, w)); !again.Empty() {
			t.Fatalf("still to do:\n%s", render(again))
		}
	})
}

func TestOrderDoesNotMatter(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		want := asJSON(t, plan.New(s, w))

		mixed := deepCopy(w)
		mixed.People = rapid.Permutation(mixed.People).Draw(t, "people")
		for i := range mixed.People {
			mixed.People[i].Groups = rapid.Permutation(mixed.People[i].Groups).Draw(t, "groups")
		}
		mixed.Agents = rapid.Permutation(mixed.Agents).Draw(t, "agents")
		mixed.Hidden = rapid.Permutation(mixed.Hidden).Draw(t, "hidden")
		mixed.Catalog.RoutingProfiles = maps.Clone(w.Catalog.RoutingProfiles)
		mixed.Catalog.SecurityProfiles = maps.Clone(w.Catalog.SecurityProfiles)
		s.Personas = maps.Clone(s.Personas)
		s.ExemptPeople = rapid.Permutation(s.ExemptPeople).Draw(t, "exempt people")
		if diff := cmp.Diff(want, asJSON(t, plan.New(s, mixed))); diff != "" {
			t.Fatalf("another order gives another plan (-first +second):\n%s", diff)
		}
	})
}

func TestDuplicatesAreHarmless(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		want := asJSON(t, plan.New(s, w))
		more := deepCopy(w)
		if len(w.People) > 0 {
			more.People = append(more.People, rapid.SliceOf(rapid.SampledFrom(w.People)).Draw(t, "again")...)
		}
		if len(w.Agents) > 0 {
			more.Agents = append(more.Agents, rapid.SliceOf(rapid.SampledFrom(w.Agents)).Draw(t, "agents again")...)
		}
		more.People = rapid.Permutation(more.People).Draw(t, "people")
		if diff := cmp.Diff(want, asJSON(t, plan.New(s, more))); diff != "" {
			t.Fatalf("entries that are there twice change the plan (-once +twice):\n%s", diff)
		}
	})
}

func TestInputIsLeftAlone(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		before := deepCopy(w)
		p := plan.New(s, w)
		if diff := cmp.Diff(before, w); diff != "" {
			t.Fatalf("plan.New changed its input (-before +after):\n%s", diff)
		}
		text := asJSON(t, p)
		for _, a := range w.Agents {
			scramble(a)
		}
		for _, a := range w.Tombstones {
			scramble(a)
		}
		for i := range w.People {
			clear(w.People[i].Groups)
		}
		clear(w.People)
		clear(w.Agents)
		clear(w.Tombstones)
		if diff := cmp.Diff(text, asJSON(t, p)); diff != "" {
			t.Fatalf("the plan shares memory with its input (-before +after):\n%s", diff)
		}
	})
}

func scramble(a plan.Agent) {
	clear(a.SecurityProfiles)
	clear(a.Proficiencies)
	clear(a.Channels)
	clear(a.Tags)
	clear(a.Answers)
}

// TestOnlyOursIsTouched is promise P-24 for the planner.
func TestOnlyOursIsTouched(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		agents := map[string][]plan.Agent{}
		for _, a := range w.Agents {
			agents[a.ID] = append(agents[a.ID], a)
		}
		for _, c := range plan.New(s, w).Changes {
			if a := c.After; a != nil && (a.Owner != c.Person || c.Person == "" || a.Deployment != s.Deployment) {
				t.Fatalf("%s gives an agent that is not this person's and ours: %+v", c.Action, *a)
			}
			if c.Action == plan.Create {
				if c.Agent != "" || c.Before != nil || c.After.ID != "" || c.After.State != plan.StateActive {
					t.Fatalf("a create names an agent that exists: %+v", c)
				}
				continue
			}
			ours := slices.ContainsFunc(agents[c.Agent], func(a plan.Agent) bool {
				if c.Action == plan.Adopt {
					return w.Adopt[c.Person] && (a.Owner == "" || a.Owner == c.Person) && (a.Deployment == "" || a.Deployment == s.Deployment)
				}
				return a.Deployment != "" && a.Deployment == s.Deployment && a.Owner == c.Person
			})
			if !ours {
				t.Fatalf("%s touches one of the agents %+v, none of which is this person's and ours", c.Action, agents[c.Agent])
			}
		}
	})
}

// TestEverybodyIsAnswered: whoever is in the world has their agent, or gets it,
// or is refused, and nobody else is spoken of.
func TestEverybodyIsAnswered(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		p := plan.New(s, w)
		answers := map[string]int{}
		for _, c := range p.Changes {
			answers[c.Person]++
			if c.Reason == "" || strings.ContainsFunc(c.Reason, unicode.IsControl) {
				t.Fatalf("a change without a reason on one line: %+q", c.Reason)
			}
		}
		for _, r := range p.Refusals {
			answers[r.Person]++
			if r.Code == "" || r.Reason == "" || strings.ContainsFunc(r.Reason, unicode.IsControl) {
				t.Fatalf("a refusal without a code or a reason on one line: %+q", r)
			}
		}
		present := map[string]bool{}
		for _, someone := range w.People {
			present[someone.ID] = true
			if answers[someone.ID] == 0 && !hasAgent(s, w, someone.ID) {
				t.Fatalf("%q is dropped in silence", someone.ID)
			}
		}
		for id := range answers {
			if !present[id] && (!w.Complete || !owns(s, w, id)) {
				t.Fatalf("%q is answered and not there", id)
			}
		}
	})
}

func owns(s plan.Settings, w plan.World, id string) bool {
	return slices.ContainsFunc(w.Agents, func(a plan.Agent) bool {
		return id != "" && a.Owner == id && s.Deployment != "" && a.Deployment == s.Deployment
	})
}

func hasAgent(s plan.Settings, w plan.World, id string) bool {
	return slices.ContainsFunc(w.Agents, func(a plan.Agent) bool {
		return id != "" && a.Owner == id && s.Deployment != "" && a.Deployment == s.Deployment && a.State != plan.StateRetired
	})
}

// live counts the agents of a person that are neither suspended nor retired.
func live(s plan.Settings, w plan.World, id string) int {
	n := 0
	seen := map[string]bool{}
	for _, a := range w.Agents {
		if !seen[a.ID] && a.Owner == id && s.Deployment != "" && a.Deployment == s.Deployment && a.State != plan.StateSuspended && a.State != plan.StateRetired {
			seen[a.ID] = true
			n++
		}
	}
	return n
}

func TestNobodyGetsASecondLiveAgent(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		w.Agents = once(w.Agents)
		next := w
		for _, c := range plan.New(s, w).Changes {
			next = apply(next, plan.Plan{Changes: []plan.Change{c}})
			if n := live(s, next, c.Person); n > max(1, live(s, w, c.Person)) {
				t.Fatalf("after %s of %s the person %s has %d live agents", c.Action, c.Agent, c.Person, n)
			}
		}
	})
}

// TestNobodyGetsAThirdAgent: whoever has two agents by their tags gets no further one,
// whatever their username is by now.
func TestNobodyGetsAThirdAgent(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		w.Agents = once(w.Agents)
		for i, a := range w.Agents { // so that there are such people
			a.ID, a.Username = fmt.Sprintf("b-%d", i), username().Draw(t, "username of another one")
			w.Agents = append(w.Agents, a)
		}
		for _, c := range plan.New(s, w).Changes {
			if (c.Action == plan.Create || c.Action == plan.Replace || c.Action == plan.Adopt) && tagged(s, w, c.Person) > 1 {
				t.Fatalf("%s gives the person %s, who has two agents, a further one", c.Action, c.Person)
			}
		}
	})
}

// tagged counts the agents of a person that are not retired.
func tagged(s plan.Settings, w plan.World, id string) int {
	n := 0
	for _, a := range w.Agents {
		if id != "" && a.Owner == id && s.Deployment != "" && a.Deployment == s.Deployment && a.State != plan.StateRetired {
			n++
		}
	}
	return n
}

// once keeps the first entry of each agent.
func once(agents []plan.Agent) []plan.Agent {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(agents), func(a plan.Agent) bool {
		twice := seen[a.ID]
		seen[a.ID] = true
		return twice
	})
}

func TestUsernamesAreGivenOnce(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		taken := append(usernames(once(w.Agents)), w.Hidden...)
		if len(once(w.Agents)) != len(w.Agents) {
			return // an agent with two names: which one it has is not known here
		}
		for _, c := range plan.New(s, w).Changes {
			if c.Action != plan.Create && c.Action != plan.Replace {
				if c.After != nil && c.After.Username != c.Before.Username {
					t.Fatalf("%s changes a username, which Amazon Connect cannot", c.Action)
				}
				continue
			}
			for _, name := range taken {
				if strings.EqualFold(name, c.After.Username) {
					t.Fatalf("%q is given, but %q is taken", c.After.Username, name)
				}
			}
			taken = append(taken, c.After.Username)
		}
	})
}

func TestNewAgentsAreAcceptable(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		known := w.Catalog
		among := func(o plan.Offer, id string) bool { return slices.Contains(slices.Collect(maps.Values(o)), id) }
		for _, c := range plan.New(s, w).Changes {
			if c.Action != plan.Create {
				continue
			}
			a := c.After
			for what, fault := range map[string]string{
				"username": usernameTrouble(a.Username), "first name": nameTrouble(a.FirstName, 255), "last name": nameTrouble(a.LastName, 300),
			} {
				if fault != "" {
					t.Fatalf("%s of %+v: %s", what, *a, fault)
				}
			}
			if n := len(a.SecurityProfiles); n < 1 || n > 10 || !slices.IsSorted(a.SecurityProfiles) || len(slices.Compact(slices.Clone(a.SecurityProfiles))) != n {
				t.Fatalf("security profiles %q: want 1 to 10, sorted, each once", a.SecurityProfiles)
			}
			for _, id := range a.SecurityProfiles {
				if id == "sp-admin" && !slices.ContainsFunc(slices.Collect(maps.Values(s.Personas)), func(p plan.Persona) bool { return p.AllowAdmin }) {
					t.Fatalf("%s becomes an administrator, which no persona allows", c.Person)
				}
				if !among(known.SecurityProfiles, id) {
					t.Fatalf("security profile %q is not in the catalog", id)
				}
			}
			if !among(known.RoutingProfiles, a.RoutingProfile) || a.Hierarchy != "" && !among(known.Hierarchy, a.Hierarchy) {
				t.Fatalf("routing profile %q or hierarchy group %q is not in the catalog", a.RoutingProfile, a.Hierarchy)
			}
			for i, p := range a.Proficiencies {
				if !slices.Contains(known.Attributes[p.Attribute], p.Value) || p.Level < 1 || p.Level > 5 {
					t.Fatalf("the proficiency %+v is not in the catalog", p)
				}
				if i > 0 && a.Proficiencies[i-1].Attribute+"\x00"+a.Proficiencies[i-1].Value >= p.Attribute+"\x00"+p.Value {
					t.Fatalf("proficiencies %+v: want them sorted, each once", a.Proficiencies)
				}
			}
			if a.Phone.Type == plan.DeskPhone && !regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`).MatchString(a.Phone.DeskNumber) {
				t.Fatalf("a desk phone with the number %q", a.Phone.DeskNumber)
			}
		}
	})
}

// The rules of Amazon Connect, written apart from the planner's own.
var (
	samlUsername = regexp.MustCompile(`^[a-zA-Z0-9_\-.@]{2,64}$`)
	samlAddress  = regexp.MustCompile(`^[^@]+@[^@.]+(\.[^@.]+)+$`)
)

func usernameTrouble(s string) string {
	switch {
	case strings.HasSuffix(s, "\n") || !samlUsername.MatchString(s):
		return "is not in the form [a-zA-Z0-9_.@-]{2,64}"
	case strings.Contains(s, "@") && !samlAddress.MatchString(s):
		return "contains @ and is no address"
	}
	return ""
}

func nameTrouble(s string, most int) string {
	switch {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case s == "" || strings.TrimSpace(s) != s:
		return "is empty or has space around it"
	case utf8.RuneCountInString(s) > most:
		return "is too long"
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp) || r != ' ' && unicode.IsSpace(r) ||
			strings.ContainsRune("\u200b\u2060\ufeff\ufffd", r) {
			return "contains a character that nobody sees"
		}
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }) {
		return "shows nothing"
	}
	return ""
}

func usernames(agents []plan.Agent) []string {
	var names []string
	for _, a := range agents {
		names = append(names, a.Username)
	}
	return names
}
