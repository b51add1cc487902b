package plan_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
)

// one gives settings and a world in which a single person is to get an agent.
func one(p plan.Person) (plan.Settings, plan.World) {
	p.ID, p.Status, p.Groups = "00u1", plan.StatusActive, []plan.Group{{ID: "00g1", Name: "Agents"}}
	s := plan.Settings{
		Deployment: "production",
		Policy:     plan.CreateOnly,
		Personas:   map[string]plan.Persona{"agent": {Values: plan.Values{RoutingProfile: plan.Literal("Basic"), SecurityProfiles: []string{"Agent"}}}},
		Rules:      []plan.Rule{{Name: "rule 1", When: plan.Condition{Groups: []plan.GroupRef{{Text: "00g1"}}}, Persona: "agent"}},
	}
	return s, plan.World{
		Catalog: plan.Catalog{RoutingProfiles: plan.Offer{"Basic": "rp"}, SecurityProfiles: plan.Offer{"Agent": "sp"}},
		People:  []plan.Person{p},
	}
}

func FuzzNames(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[len(hostile)-1-i])
	}
	f.Fuzz(func(t *testing.T, first, last string) {
		// Adapters hand over names in NFC.
		first, last = norm.NFC.String(first), norm.NFC.String(last)
		p := plan.New(one(plan.Person{Username: "ann@example.com", FirstName: first, LastName: last}))
		if len(p.Changes) != 1 {
			t.Fatalf("want one create, got:\n%s", render(p))
		}
		a := p.Changes[0].After
		if fault := nameTrouble(a.FirstName, 255); fault != "" {
			t.Errorf("first name %+q of %+q: %s", a.FirstName, first, fault)
		}
		if fault := nameTrouble(a.LastName, 300); fault != "" {
			t.Errorf("last name %+q of %+q: %s", a.LastName, last, fault)
		}
		for _, name := range []string{a.FirstName, a.LastName} {
			if !norm.NFC.IsNormalString(name) {
				t.Errorf("name %+q of %+q and %+q is not in NFC", name, first, last)
			}
		}
		// What Connect stores comes back unchanged: planning it again gives the same.
		again := plan.New(one(plan.Person{Username: "ann@example.com", FirstName: a.FirstName, LastName: a.LastName})).Changes[0].After
		if again.FirstName != a.FirstName || again.LastName != a.LastName {
			t.Errorf("names %+q, %+q become %+q, %+q the second time", a.FirstName, a.LastName, again.FirstName, again.LastName)
		}
	})
}

func FuzzUsername(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		fault := plan.UsernameFault(name)
		if trouble := usernameTrouble(name); (fault == "") != (trouble == "") {
			t.Errorf("UsernameFault(%+q) = %q, but it %q", name, fault, trouble)
		}
		if !utf8.ValidString(fault) || strings.ContainsFunc(fault, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("UsernameFault(%+q) = %+q is not plain text", name, fault)
		}
		p := plan.New(one(plan.Person{Username: name, FirstName: "Ann", LastName: "Lee"}))
		switch {
		case fault != "" && (len(p.Changes) != 0 || p.Refusals[0].Code != plan.UsernameImpossible || p.Refusals[0].Reason != fault):
			t.Errorf("%+q has the fault %q, but the plan is:\n%s", name, fault, render(p))
		case fault == "" && (len(p.Changes) != 1 || p.Changes[0].After.Username != name):
			t.Errorf("%+q is without fault, but the plan is:\n%s", name, render(p))
		}
	})
}

// TestMarksDoNotMerge: no character that can merge with the one before it gets
// next to it because something between them was dropped.
func TestMarksDoNotMerge(t *testing.T) {
	t.Parallel()
	tried := 0
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) || norm.NFC.PropertiesString(string(r)).BoundaryBefore() {
			continue
		}
		tried++
		for _, base := range []string{"e", "\u1100", "\uac00", "\u0928", "\U00016d63"} {
			in := norm.NFC.String(base + "\u200b" + string(r))
			got := plan.New(one(plan.Person{Username: "ann@example.com", FirstName: in, LastName: in})).Changes[0].After.FirstName
			if !norm.NFC.IsNormalString(got) {
				t.Errorf("%+q becomes %+q, which is not in NFC", in, got)
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d characters tried", tried)
	}
}
