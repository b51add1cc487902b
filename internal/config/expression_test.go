package config

import (
	"strings"
	"sync"
	"testing"

	"connectroster/internal/plan"
)

func ann() plan.Person {
	return plan.Person{
		ID: "00u1", Username: "ann@example.com", FirstName: "Ann", LastName: "Lee", Status: plan.StatusActive,
		Groups: []plan.Group{{ID: "00g1", Name: "Nights"}, {ID: "00g2", Name: "Amazon Connect Agents"}},
		Profile: map[string]any{
			"department": "Quality", "level": 3.0, "remote": true, "skills": []any{"chat", "mail"}, "nothing": nil,
		},
	}
}

// TestExpressions sees what expressions say of a person. What the profile lacks
// is nil, which compares and is no text.
func TestExpressions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`profile.department == "Quality" && "Nights" in groups`: true,
		`"00g2" in group_ids`:                            true,
		`"00g1" in groups`:                               false,
		`"Days" in groups || "Nights" in groups`:         true,
		`not ("Nights" in groups)`:                       false,
		`"Nights" not in groups`:                         false,
		`status == "ACTIVE" and last_name == "Lee"`:      true,
		`first_name in ["Ann", "Bob"]`:                   true,
		`username endsWith "@example.com"`:               true,
		`username matches "^ann@"`:                       true,
		`lower(profile.department) == "quality"`:         true,
		`profile.level >= 3`:                             true,
		`profile.remote == true`:                         true,
		`any(profile.skills, # == "mail")`:               true,
		`"chat" in profile.skills`:                       true,
		`len(profile.skills) == 1`:                       false,
		`profile.title == "Senior"`:                      false,
		`profile.title != "Senior"`:                      true,
		`profile.title == nil && profile.nothing == nil`: true,
		`profile.title startsWith "Senior"`:              false,
		`profile.title contains "x"`:                     false,
		`profile.title matches "x"`:                      false,
		`"x" in profile.titles`:                          false,
		`(profile.grade ?? 0) > 3`:                       false,
		`profile["department"] == "Quality"`:             true,
		`split(username, "@")[1] == "example.com"`:       true,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			e, fault := compileExpression(text)
			if fault != nil {
				t.Fatal(fault.what)
			}
			if got, err := e.Holds(ann()); got != want || err != nil {
				t.Errorf("got %v and error %v, want %v", got, err, want)
			}
		})
	}
}

// TestExpressionFails sees that what cannot be worked out is an error on one
// line, and never a panic.
func TestExpressionFails(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`profile.title > 3`, `profile.department > 3`, `profile.skills[7] == "x"`, `lower(profile.level) == "x"`, `profile.a.b == 1`,
		`any(profile.level, # == 1)`, `int(profile.department) == 1`, `username matches profile.department + "("`, `profile.remote + 1 == 2`,
	} {
		e, fault := compileExpression(text)
		if fault != nil {
			t.Errorf("%s: %v", text, fault.what)
			continue
		}
		got, err := e.Holds(ann())
		if got || err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v and error %v, want an error on one line", text, got, err)
		}
		if met, err := e.Holds(plan.Person{}); met {
			t.Errorf("%s: holds of a person of whom nothing is known, with error %v", text, err)
		}
	}
}

// TestExpressionGroups sees which groups must be known for an expression.
func TestExpressionGroups(t *testing.T) {
	t.Parallel()
	e, fault := compileExpression(`"A" in groups && !("B" in group_ids) || "A" in groups || username == "C"`)
	if fault != nil {
		t.Fatal(fault.what)
	}
	if got := strings.Join(e.groups, " "); got != "A B" {
		t.Errorf("got groups %s, want A B", got)
	}
}

// TestExpressionAtOnce runs one expression from many places; the race detector
// sees whether they share anything.
func TestExpressionAtOnce(t *testing.T) {
	t.Parallel()
	e, fault := compileExpression(`any(profile.skills, # matches "^ma") && "Nights" in groups && split(username, "@")[0] == "ann"`)
	if fault != nil {
		t.Fatal(fault.what)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if ok, err := e.Holds(ann()); !ok || err != nil {
					t.Errorf("got %v and error %v, want true", ok, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestExpressionIsBounded sees that an expression ends which asks for more than
// it may have.
func TestExpressionIsBounded(t *testing.T) {
	t.Parallel()
	p := ann()
	long := make([]any, 100_000)
	for i := range long {
		long[i] = "x"
	}
	p.Profile["skills"] = long
	e, fault := compileExpression(`any(profile.skills, split(# + username, "") == [#, #, #])`)
	if fault != nil {
		t.Fatal(fault.what)
	}
	if met, err := e.Holds(p); met || err == nil || !strings.Contains(err.Error(), "memory budget") {
		t.Errorf("got %v and error %v, want the memory budget to be exceeded", met, err)
	}
}

func BenchmarkExpression(b *testing.B) {
	e, fault := compileExpression(`profile.department == "Quality" && "Nights" in groups`)
	if fault != nil {
		b.Fatal(fault.what)
	}
	p := ann()
	b.ReportAllocs()
	for b.Loop() {
		if met, err := e.Holds(p); !met || err != nil {
			b.Fatal(met, err)
		}
	}
}

// FuzzExpression looks for an expression that panics or does not end.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{`profile.a == 1`, `any(profile.skills, # == "x")`, `"A" in groups`, `let a = 1; a == 2`, `username matches "("`, `$env`, `1..2`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxText {
			return
		}
		e, fault := compileExpression(text)
		if fault != nil {
			if fault.what.problem == "" || fault.at > len(text) {
				t.Errorf("fault without a problem or a place: %+v", fault)
			}
			return
		}
		for _, p := range []plan.Person{ann(), {}} {
			first, _ := e.Holds(p)
			if again, _ := e.Holds(p); again != first {
				t.Errorf("says %v and then %v", first, again)
			}
		}
	})
}
