package plan_test

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectroster/internal/plan"
)

// BenchmarkNew plans a contact centre under 20 rules, five of which hold a regular
// expression and three an expression. In the one all agents are there and right,
// in the other five in a hundred people want a change, of all kinds.
func BenchmarkNew(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		for _, changing := range []bool{false, true} {
			b.Run(fmt.Sprintf("people=%d/changing=%v", n, changing), func(b *testing.B) {
				s, w := centre(b, n)
				want := 0
				if changing {
					want = disturb(&w)
				}
				if got := plan.New(s, w); len(got.Changes) != want {
					b.Fatalf("%d changes, want %d:\n%.2000s", len(got.Changes), want, render(got))
				}
				b.ReportAllocs()
				before := processor(b)
				for b.Loop() {
					plan.New(s, w)
				}
				b.ReportMetric(float64((processor(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
			})
		}
	}
}

// processor gives the time for which this process has had a core, which tells
// more than the clock does where other programs are busy.
func processor(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// centre gives n people in five groups each, in no order, whose agents are as the
// rules say.
func centre(tb testing.TB, n int) (plan.Settings, plan.World) {
	tb.Helper()
	text := func(s string) plan.Template {
		t, err := plan.ParseTemplate(s)
		if err != nil {
			tb.Fatal(err)
		}
		return t
	}
	group := func(refs ...string) plan.Condition {
		var c plan.Condition
		for _, ref := range refs {
			g := plan.GroupRef{Text: ref}
			if strings.HasPrefix(ref, "/") {
				g.Pattern = regexp.MustCompile(strings.Trim(ref, "/"))
			}
			c.Groups = append(c.Groups, g)
		}
		return c
	}
	hierarchy := text("EMEA")
	base := plan.Values{
		RoutingProfile: text("Queue 0"), SecurityProfiles: []string{"Agent"}, Hierarchy: &hierarchy, PhoneType: plan.SoftPhone,
		AutoAccept: map[plan.Channel]bool{plan.Voice: false, plan.Chat: true}, AfterContactWork: map[plan.Channel]int{plan.Voice: 30},
	}
	s := plan.Settings{
		Deployment: "production", Policy: plan.Sync,
		Personas: map[string]plan.Persona{
			"agent": {Values: base}, "lead": {Values: base},
			"parked": {Values: plan.Values{RoutingProfile: text("Queue 9"), SecurityProfiles: []string{"Nothing"}}},
		},
		Leavers:      plan.Leavers{SuspendAs: map[string]string{"": "parked"}, DeleteAfter: 7 * 24 * time.Hour},
		ExemptPeople: []string{"00unobody"},
	}
	rule := func(c plan.Condition, persona string, set *plan.Values) {
		s.Rules = append(s.Rules, plan.Rule{Name: fmt.Sprintf("rule %d", len(s.Rules)+1), When: c, Persona: persona, Set: set})
	}
	expression := func(c plan.Condition, text string, holds func(plan.Person) bool) plan.Condition {
		c.When = plan.Expression{Text: text, Holds: func(p plan.Person) (bool, error) { return holds(p), nil }}
		return c
	}
	rule(group("Leads"), "lead", nil)
	rule(group("/^Queue (?P<queue>.+)$/"), "", &plan.Values{RoutingProfile: text("Queue {queue}")})
	rule(group("/^Speaks (?P<language>[a-z]+)$/"), "", &plan.Values{Proficiencies: []plan.Skill{{Attribute: "language", Value: text("{language}"), Level: 3}}})
	rule(group("/^Tier ([0-9]+)$/"), "", &plan.Values{SecurityProfiles: []string{"Quality"}})
	rule(group("/(?i)night/"), "", &plan.Values{AfterContactWork: map[plan.Channel]int{plan.Voice: 60}})
	rule(group("/^(EMEA|APAC|AMER)-/"), "", nil)
	rule(expression(plan.Condition{}, "department", func(p plan.Person) bool { return p.Profile["department"] == "Quality" }), "", &plan.Values{SecurityProfiles: []string{"Quality"}})
	rule(expression(plan.Condition{}, "long name", func(p plan.Person) bool { return len(p.LastName) > 40 }), "", &plan.Values{Enhancement: plan.VoiceIsolation})
	rule(expression(group("Everyone"), "city", func(p plan.Person) bool { return strings.HasPrefix(p.Profile["city"].(string), "B") }), "", &plan.Values{SecurityProfiles: []string{"Quality"}})
	for i := range 10 {
		c := group(fmt.Sprintf("Team %d", i))
		c.Profile = []plan.Attribute{{Name: "department", In: []string{"Service", "Sales"}}}
		rule(c, "", &plan.Values{Tags: map[string]plan.Template{"team": text(fmt.Sprint(i))}})
	}
	rule(group("Agents", "00g00000000000agents"), "agent", nil)

	w := plan.World{
		Now: now, Complete: true,
		Catalog: plan.Catalog{
			RoutingProfiles: plan.Offer{}, SecurityProfiles: plan.Offer{"Agent": "sp-agent", "Quality": "sp-quality", "Nothing": "sp-none"},
			Hierarchy: plan.Offer{"EMEA": "h-emea"}, Attributes: map[string][]string{"language": {"de", "en", "fr"}},
		},
	}
	for i := range 10 {
		w.Catalog.RoutingProfiles[fmt.Sprintf("Queue %d", i)] = fmt.Sprintf("rp-%d", i)
	}
	named := func(name string) plan.Group {
		return plan.Group{ID: "00g" + strings.ReplaceAll(fmt.Sprintf("%17s", name), " ", "0"), Name: name}
	}
	for i := range n {
		k := i * 7919 % n // a permutation: no n here is a multiple of 7919
		w.People = append(w.People, plan.Person{
			ID:        fmt.Sprintf("00u%017d", k),
			Username:  fmt.Sprintf("person.%d@example.com", k),
			FirstName: "Maria del Carmen", LastName: fmt.Sprintf("López %d", k), Status: plan.StatusActive,
			Groups: []plan.Group{
				named("Everyone"), named("Agents"), named(fmt.Sprintf("Queue %d", k%8)), named([]string{"Speaks de", "Speaks en", "Speaks fr"}[k%3]), named(fmt.Sprintf("Team %d", k%10)),
			},
			Profile: map[string]any{"department": []string{"Service", "Sales", "Quality"}[k/2%3], "city": []string{"Berlin", "Paris", "Oslo"}[k/7%3], "number": float64(k)},
		})
	}
	made := apply(w, plan.New(s, w))
	if len(made.Agents) != n {
		tb.Fatalf("%d agents, want %d", len(made.Agents), n)
	}
	return s, made
}

// disturb makes five in a hundred people want a change, and gives their number.
func disturb(w *plan.World) int {
	gone := map[string]bool{}
	changed := 0
	for i := range w.People {
		p := &w.People[i]
		if i%20 != 0 {
			continue
		}
		changed++
		switch i / 20 % 5 {
		case 0: // moved
			p.Groups = append(p.Groups[:2:2], plan.Group{ID: "00gq8", Name: "Queue 8"}, p.Groups[3], p.Groups[4])
		case 1:
			p.LastName += " Married"
		case 2:
			p.Username = "new." + p.Username
		case 3:
			p.Status = plan.StatusDeprovisioned
		case 4: // new
			gone[p.ID] = true
		}
	}
	kept := w.Agents[:0]
	for _, a := range w.Agents {
		if !gone[a.Owner] {
			kept = append(kept, a)
		}
	}
	w.Agents = kept
	return changed
}
