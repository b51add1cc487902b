package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"connectroster/internal/app"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// printed gives what is printed within a width.
func printed(width int, colours bool, print func(*printer)) string {
	var out bytes.Buffer
	p := &printer{out: bufio.NewWriter(&out), raw: &out, width: width, colours: colours}
	print(p)
	_ = p.flush()
	return out.String()
}

// hostile are texts that a terminal would obey, as names of people may be.
var hostile = []string{
	"\x1b[31mred", "\x1b]0;title\x07", "a\rb", "a\nb", "a\x00b", "\u009b31m", "\u202eevil", "\u2066x\u2069", "\u200e\u200f", "\u2028line", "a\x7f", "\U000e0041tag", "\xff\xfe",
}

// TestNamesForTerminals prints plans and journals with names that a terminal would
// obey, in colours and as JSON.
func TestNamesForTerminals(t *testing.T) {
	t.Parallel()
	for _, name := range hostile {
		agent := plan.Agent{ID: "a", Username: name, FirstName: name, LastName: name}
		doc := &app.Document{
			Name: name, People: []string{name}, First: name, Counts: map[plan.Action]int{plan.Update: 1}, Calls: map[string]int{"UpdateUserIdentityInfo": 1},
			Changes: []app.PlannedChange{{
				Proposed: reconcile.Proposed{Change: plan.Change{Action: plan.Update, Instance: name, Person: name, Before: &agent, After: &agent, Reason: name}, Guard: name},
				Username: name, Name: name, Differences: []plan.Difference{{Field: plan.FieldName, Before: name, After: name}},
			}},
			Refusals: []app.PlannedRefusal{{Refusal: plan.Refusal{Person: name, Username: name, Instance: name, Code: plan.Conflict, Reason: name}, Remedy: name}},
		}
		entry := reconcile.Entry{Person: name, Reason: name, Error: name, By: name, Agent: name, Instance: name, Kind: reconcile.EntryChange}
		hold := reconcile.Hold{ID: name, Cause: name, Entries: []reconcile.HoldEntry{{Person: name, Reason: name, By: name, Change: &plan.Change{Before: &agent}}}}
		person := app.Explained{
			Person: name, Username: name, Name: name, Stay: &reconcile.Stay{Who: name, Why: name}, Holds: hold.Entries, Journal: []reconcile.Entry{entry},
			Queue: &reconcile.Waiting{State: reconcile.StateDead, Reason: name},
			Instances: []app.ExplainedInstance{{Explanation: plan.Explanation{
				Instance: name, Why: name, Exempt: name, Agent: name, Persona: name, By: name,
				Groups:   []plan.MappedGroup{{Name: name, Rules: []string{name}}},
				Rules:    []plan.AppliedRule{{Rule: name, Matched: true, Why: name, Captures: map[string]string{name: name}}},
				Fields:   []plan.DecidedField{{Field: plan.FieldName, Wanted: name, From: []string{name}, Meaning: name, Allowed: []string{name}}},
				Refusals: []plan.Refusal{{Code: plan.Conflict, Reason: name}}, Changes: []plan.Change{{Reason: name}},
			}}},
		}
		for what, text := range map[string]string{
			"plain": printed(60, false, func(p *printer) {
				p.plan(doc, true)
				p.entries([]reconcile.Entry{entry}, true)
				p.holds([]reconcile.Hold{hold}, true)
				p.hold(&hold)
				p.explained(&person)
				p.stale([]app.Difference{{Person: name, Username: name, Instance: name}}, false)
				(&teller{printer: p}).line(app.Line{Outcome: &app.Settled{Username: name, Reason: name}})
			}),
			"json": printed(60, false, func(p *printer) { _ = p.json(doc); _ = p.json(entry) }),
		} {
			for _, r := range text {
				if r != '\n' && obeyed(r) {
					t.Errorf("%s: %q reaches the terminal as %q", what, name, r)
					break
				}
			}
			if what == "json" {
				continue
			}
			for _, row := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
				if columns(row) > 110 {
					t.Errorf("a line of %d columns: %s", columns(row), row)
				}
			}
		}
	}
}

// TestSanitizeJSON: what is written out means what it meant.
func TestSanitizeJSON(t *testing.T) {
	t.Parallel()
	for _, name := range hostile {
		if !utf8.ValidString(name) {
			continue
		}
		text, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal([]byte(sanitizeJSON(string(text))), &back); err != nil || back != name {
			t.Errorf("%q became %q, %v", name, back, err)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want []string
	}{
		{"", 10, nil},
		{"one two three", 7, []string{"one two", "three"}},
		{"李小龙 李小龙", 6, []string{"李小龙", "李小龙"}},
		{"abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"x abcdefghij", 4, []string{"x", "abcd", "efgh", "ij"}},
		{"e\u0301e\u0301 e\u0301", 2, []string{"e\u0301e\u0301", "e\u0301"}},
	} {
		got := wrap(c.text, c.most)
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
	if got := cutTo("李小龙李", 5); got != "李小…" || columns(got) > 5 {
		t.Errorf("cutTo gives %q", got)
	}
}

// TestWidths prints tables into narrow and wide terminals.
func TestWidths(t *testing.T) {
	t.Parallel()
	rows := []row{
		{cells: []string{"PERSON", "UNTIL", "WHY"}},
		{cells: []string{"a.rather.long.name@example.com", "2026-11-25 08:00:00Z", strings.Repeat("because of something ", 10)}},
	}
	for _, width := range []int{40, 60, 100, 200} {
		text := printed(width, false, func(p *printer) { p.table(2, rows) })
		for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
			if columns(line) > width {
				t.Errorf("width %d: a line of %d columns: %q", width, columns(line), line)
			}
		}
		if width > 40 && !strings.Contains(text, rows[1].cells[0]+"  "+rows[1].cells[1]) {
			t.Errorf("width %d: what could be whole was cut:\n%s", width, text)
		}
		if strings.Count(text, "because") != 10 {
			t.Errorf("width %d: the last cell is not whole:\n%s", width, text)
		}
	}
}

// TestColours: a file is no terminal, and whoever wants no colours gets none.
func TestColours(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	for flag, want := range map[string]bool{"auto": false, "never": false, "always": true} {
		p, err := newPrinter(&bytes.Buffer{}, flag)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.paint(red, "x"), "\x1b"); got != want {
			t.Errorf("--color %s: colours %v, want %v", flag, got, want)
		}
	}
	if _, err := newPrinter(&bytes.Buffer{}, "sometimes"); err == nil {
		t.Error("--color sometimes is taken")
	}
	t.Setenv("COLUMNS", "63")
	if got := widthOf(&bytes.Buffer{}); got != 63 {
		t.Errorf("COLUMNS=63 gives a width of %d", got)
	}
}

// TestPlanShows many people: a few of them, the numbers, and what is kept back.
func TestPlanShowsMany(t *testing.T) {
	t.Parallel()
	doc := &app.Document{Name: "n", Counts: map[plan.Action]int{plan.Create: 50}, Calls: map[string]int{"CreateUser": 50}, ETA: 22.5}
	for range 50 {
		doc.Changes = append(doc.Changes, app.PlannedChange{Proposed: reconcile.Proposed{Change: plan.Change{Action: plan.Create, Reason: "in group A"}}, Username: "someone"})
	}
	few := printed(100, false, func(p *printer) { p.plan(doc, false) })
	if strings.Count(few, "+ someone") != perReason || !strings.Contains(few, "and 30 more; --all shows everybody") || !strings.Contains(few, "about 23 seconds") {
		t.Errorf("not as wanted:\n%s", few)
	}
	if all := printed(100, false, func(p *printer) { p.plan(doc, true) }); strings.Count(all, "+ someone") != 50 {
		t.Errorf("--all does not show everybody:\n%s", all)
	}
}

func TestPastTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "12h": now.Add(-12 * time.Hour), "7d": now.AddDate(0, 0, -7), "2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"2026-11-25T08:00:00Z": now.Add(-4 * time.Hour),
	} {
		if got, err := pastTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-3h", "3", "-2d"} {
		if got, err := pastTime(text, now); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestEffort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		calls map[string]int
		eta   float64
		want  string
	}{
		{map[string]int{"CreateUser": 1}, 0, "At the configured rate this takes a moment: 1 call of CreateUser."},
		{map[string]int{"DescribeUser": 7, "UpdateUserRoutingProfile": 7, "TagResource": 2}, 1, "At the configured rate this takes about 1 second: 16 calls, 7 of them UpdateUserRoutingProfile, the slowest."},
		{map[string]int{"DescribeUser": 9, "TagResource": 7}, 130, "At the configured rate this takes about 2 minutes: 16 calls, 9 of them DescribeUser, the slowest."},
	} {
		if got := effort(&app.Document{Calls: c.calls, ETA: c.eta}); got != c.want {
			t.Errorf("%v: got %q, want %q", c.calls, got, c.want)
		}
	}
}
