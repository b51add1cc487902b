package plan_test

import (
	"encoding/json"
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

func TestApplyThenPlanIsEmpty(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		if again := plan.New(s, apply(w, plan.New(s, w))); !again.Empty() {
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

// TestDifferingEntries: of two entries of one person or agent that differ in a
// single thing, the same one stands whichever comes first.
func TestDifferingEntries(t *testing.T) {
	t.Parallel()
	group := func(ids ...string) []plan.Group {
		var groups []plan.Group
		for _, id := range ids {
			groups = append(groups, plan.Group{ID: id})
		}
		return groups
	}
	s, base := one(plan.Person{Username: "ann@example.com", FirstName: "Ann", LastName: "Lee"})
	s.Rules = []plan.Rule{{Groups: []string{"00g1"}, Persona: "agent"}}
	for name, change := range map[string]func(*plan.Person){
		"status":     func(p *plan.Person) { p.Status = plan.StatusSuspended },
		"username":   func(p *plan.Person) { p.Username = "ann.lee@example.com" },
		"first name": func(p *plan.Person) { p.FirstName = "Anna" },
		"last name":  func(p *plan.Person) { p.LastName = "Leeson" },
		"group":      func(p *plan.Person) { p.Groups = group("00g2") },
		"no group":   func(p *plan.Person) { p.Groups = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deepCopy(base)
			w.People[0].Groups = group("00g3", "00g1")
			other := w.People[0]
			change(&other)
			w.People = append(w.People, other)
			want := render(plan.New(s, w))
			for range 4 { // all orders of two people, and of the first one's groups
				slices.Reverse(w.People)
				if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
					t.Fatalf("people the other way round (-want +got):\n%s", diff)
				}
				i := slices.IndexFunc(w.People, func(p plan.Person) bool { return len(p.Groups) == 2 })
				slices.Reverse(w.People[i].Groups)
				if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
					t.Fatalf("groups the other way round (-want +got):\n%s", diff)
				}
			}
		})
	}
	for name, change := range map[string]func(*plan.Agent){
		"owner":      func(a *plan.Agent) { a.Owner = "00u3" },
		"no owner":   func(a *plan.Agent) { a.Owner = "" },
		"deployment": func(a *plan.Agent) { a.Deployment = "staging" },
		"state":      func(a *plan.Agent) { a.State = plan.StateRetired },
	} {
		t.Run("agent/"+name, func(t *testing.T) {
			t.Parallel()
			w := deepCopy(base)
			a := plan.Agent{ID: "a-1", Username: "ann@example.com", Owner: "00u2", Deployment: s.Deployment, State: plan.StateActive}
			other := a
			change(&other)
			w.Agents = []plan.Agent{a, other}
			want := render(plan.New(s, w))
			slices.Reverse(w.Agents)
			if diff := cmp.Diff(want, render(plan.New(s, w))); diff != "" {
				t.Fatalf("agents the other way round (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInputIsLeftAlone(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		before := deepCopy(w)
		p := plan.New(s, w)
		if diff := cmp.Diff(before, w); diff != "" {
			t.Fatalf("plan.New changed its input (-before +after):\n%s", diff)
		}
		text := asJSON(t, p)
		for i := range w.Agents {
			clear(w.Agents[i].SecurityProfiles)
		}
		for i := range w.People {
			clear(w.People[i].Groups)
		}
		clear(w.People)
		clear(w.Agents)
		if diff := cmp.Diff(text, asJSON(t, p)); diff != "" {
			t.Fatalf("the plan shares memory with its input (-before +after):\n%s", diff)
		}
	})
}

// TestOnlyOursIsTouched is promise P-24 for the planner.
func TestOnlyOursIsTouched(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		agents := map[string]plan.Agent{}
		for _, a := range w.Agents {
			agents[a.ID] = a
		}
		for _, c := range plan.New(s, w).Changes {
			if c.Action == plan.Create {
				if c.Agent != "" || c.Before != nil {
					t.Fatalf("a create names an agent that exists: %+v", c)
				}
				if c.After.ID != "" || c.After.Owner != c.Person || c.Person == "" || c.After.Deployment != s.Deployment || c.After.State != plan.StateActive {
					t.Fatalf("a create is not marked as ours and this person's: %+v", *c.After)
				}
				continue
			}
			if a, ok := agents[c.Agent]; !ok || a.Deployment == "" || a.Deployment != s.Deployment || a.Owner != c.Person {
				t.Fatalf("%s touches the agent %+v, which is not this person's and ours", c.Action, a)
			}
		}
	})
}

// TestEverybodyIsAnswered: whoever is in the world has their agent, or gets it,
// or is refused, and never two of the latter.
func TestEverybodyIsAnswered(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		p := plan.New(s, w)
		answers := map[string]int{}
		for _, c := range p.Changes {
			answers[c.Person]++
		}
		for _, r := range p.Refusals {
			answers[r.Person]++
			if r.Code == "" || r.Reason == "" || strings.ContainsFunc(r.Reason, unicode.IsControl) {
				t.Fatalf("a refusal without a code or a reason on one line: %+q", r)
			}
		}
		for _, c := range p.Changes {
			if c.Reason == "" || strings.ContainsFunc(c.Reason, unicode.IsControl) {
				t.Fatalf("a change without a reason on one line: %+q", c.Reason)
			}
		}
		present := map[string]bool{}
		for _, someone := range w.People {
			present[someone.ID] = true
		}
		for id := range present {
			switch n := answers[id]; {
			case n == 0 && !hasAgent(s, w, id):
				t.Fatalf("%q is dropped in silence", id)
			case n > 1:
				t.Fatalf("%q gets %d answers", id, n)
			}
		}
		for id := range answers {
			if !present[id] {
				t.Fatalf("%q is answered and not there", id)
			}
		}
	})
}

func hasAgent(s plan.Settings, w plan.World, id string) bool {
	return slices.ContainsFunc(w.Agents, func(a plan.Agent) bool {
		return id != "" && a.Owner == id && s.Deployment != "" && a.Deployment == s.Deployment && a.State != plan.StateRetired
	})
}

func TestUsernamesAreGivenOnce(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		var taken []string
		for _, a := range w.Agents {
			taken = append(taken, a.Username)
		}
		taken = append(taken, w.Hidden...)
		people := map[string]bool{}
		for _, c := range plan.New(s, w).Changes {
			if people[c.Person] {
				t.Fatalf("%s gets two agents", c.Person)
			}
			people[c.Person] = true
			if hasAgent(s, w, c.Person) {
				t.Fatalf("%s has an agent and gets another", c.Person)
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

func TestCreatesAreAcceptable(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		for _, c := range plan.New(s, w).Changes {
			a := c.After
			if fault := usernameTrouble(a.Username); fault != "" {
				t.Fatalf("username %+q: %s", a.Username, fault)
			}
			if fault := nameTrouble(a.FirstName, 255); fault != "" {
				t.Fatalf("first name %+q: %s", a.FirstName, fault)
			}
			if fault := nameTrouble(a.LastName, 300); fault != "" {
				t.Fatalf("last name %+q: %s", a.LastName, fault)
			}
			if n := len(a.SecurityProfiles); n < 1 || n > 10 || !slices.IsSorted(a.SecurityProfiles) || len(slices.Compact(slices.Clone(a.SecurityProfiles))) != n {
				t.Fatalf("security profiles %q: want 1 to 10, sorted, each once", a.SecurityProfiles)
			}
			for _, id := range a.SecurityProfiles {
				if id == "sp-admin" && !slices.ContainsFunc(slices.Collect(maps.Values(s.Personas)), func(p plan.Persona) bool { return p.AllowAdmin }) {
					t.Fatalf("%s becomes an administrator, which no persona allows", c.Person)
				}
				if !slices.Contains(slices.Collect(maps.Values(w.Catalog.SecurityProfiles)), id) {
					t.Fatalf("security profile %q is not in the catalog", id)
				}
			}
			if !slices.Contains(slices.Collect(maps.Values(w.Catalog.RoutingProfiles)), a.RoutingProfile) {
				t.Fatalf("routing profile %q is not in the catalog", a.RoutingProfile)
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

// TestCreatesAreThoseOfTheOracle compares the planner with a second opinion
// that is slow and plain: who gets an agent, by which persona, and who does not.
func TestCreatesAreThoseOfTheOracle(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		seen := map[string]bool{}
		w.People = slices.DeleteFunc(w.People, func(p plan.Person) bool {
			twice := seen[p.ID]
			seen[p.ID] = true
			return twice
		})
		got := map[string]string{}
		for _, c := range plan.New(s, w).Changes {
			got[c.Person] = c.After.RoutingProfile
		}
		if diff := cmp.Diff(oracle(s, w), got); diff != "" {
			t.Fatalf("routing profiles of new agents by person (-oracle +plan):\n%s", diff)
		}
	})
}

// oracle gives the routing profile of everyone who is to get an agent.
func oracle(s plan.Settings, w plan.World) map[string]string {
	want := map[string]string{}
	var given []string
	for _, id := range allPeople { // in the order of ids
		i := slices.IndexFunc(w.People, func(p plan.Person) bool { return p.ID == id })
		if i < 0 {
			continue
		}
		p := w.People[i]
		works := slices.Contains([]plan.Status{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"}, p.Status)
		persona, named := s.Personas[firstPersona(s.Rules, p)]
		routing, offered := oracleFind(w.Catalog.RoutingProfiles, persona.RoutingProfile)
		for _, ref := range persona.SecurityProfiles {
			profile, ok := oracleFind(w.Catalog.SecurityProfiles, ref)
			offered = offered && ok && (profile != "sp-admin" || persona.AllowAdmin)
		}
		free := !slices.ContainsFunc(slices.Concat(usernames(w.Agents), w.Hidden, given), func(name string) bool {
			return strings.EqualFold(name, p.Username)
		})
		if works && named && offered && free && !hasAgent(s, w, id) && usernameTrouble(p.Username) == "" {
			want[id] = routing
			given = append(given, p.Username)
		}
	}
	return want
}

func usernames(agents []plan.Agent) []string {
	var names []string
	for _, a := range agents {
		names = append(names, a.Username)
	}
	return names
}

func firstPersona(rules []plan.Rule, p plan.Person) string {
	for _, r := range rules {
		for _, g := range p.Groups {
			if r.Persona != "" && (slices.Contains(r.Groups, g.ID) || slices.Contains(r.Groups, g.Name)) {
				return r.Persona
			}
		}
	}
	return ""
}

// oracleFind knows the references that the generator of settings draws.
func oracleFind(o plan.Offer, ref string) (string, bool) {
	if id, ok := o[ref]; ok {
		return id, true
	}
	ids := slices.Collect(maps.Values(o))
	for _, id := range ids {
		if ref == id || strings.HasPrefix(ref, "arn:") && strings.HasSuffix(ref, "/"+id) {
			return id, true
		}
	}
	return "", false
}
