package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// TestRunbook sees that docs/runbook.md says what the catalogue of remedies says.
// With -update it writes it.
func TestRunbook(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "runbook.md")
	want := runbook()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/runbook.md is not what the catalogue says; write it with: go test ./cmd/connectroster -run TestRunbook -update\n%s", diff)
	}
}

// runbook is docs/runbook.md.
func runbook() string {
	var out strings.Builder
	fmt.Fprint(&out, `# Runbook

What can go wrong, by its code, with the cause and what to do about it. This page is
written from the program's own catalogue: `+"`go test ./cmd/connectroster -run TestRunbook -update`"+`.
`+"`connectroster help CODE`"+` says the same at the terminal, and `+"`connectroster help codes`"+` lists
all codes.

Where to begin: `+"`connectroster doctor`"+` looks at everything and names what is wrong. An
error of a command ends with its code in brackets, such as `+"`[daemon_away]`"+`; refusals of a
plan, entries of the journal and answers of the API have it as `+"`code`"+`.
`)
	for _, part := range []struct {
		kind  remedy.Kind
		title string
		intro string
	}{
		{remedy.Alert, "Alerts", "Conditions on the metrics of `admin_listen` that somebody should be told of, as rules for Prometheus."},
		{remedy.Alarm, "Alarms on AWS", "Those of CloudWatch that the deployment of [aws.md](aws.md) makes. What they tell begins with `connectroster` and the name of the deployment, which stands for NAME here, and ends with the code."},
		{remedy.Refusal, "Refusals", "Something that will not be done for a person. `connectroster plan` lists them, `connectroster explain USER` tells about one person."},
		{remedy.Error, "Errors", "Of commands, of the log, and in the journal."},
		{remedy.Check, "Checks of doctor", "What `connectroster doctor` looks at, in this order. A refusal or an error may show up there under its own code."},
	} {
		fmt.Fprintf(&out, "\n## %s\n%s\n", part.title, part.intro)
		for _, e := range remedy.All() {
			if e.Kind != part.kind {
				continue
			}
			fmt.Fprintf(&out, "\n### %s\n%s.\n\n", e.Code, sentence(e.Means))
			if e.Expr != "" {
				fmt.Fprintf(&out, "* **When**: `%s`", e.Expr)
				if e.For != "" {
					fmt.Fprintf(&out, " for %s", e.For)
				}
				fmt.Fprintln(&out)
			}
			fmt.Fprintf(&out, "* **Cause**: %s\n* **To do**: %s.\n", e.Cause, e.Do)
		}
	}
	return out.String()
}

// sentence begins a text with a capital.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// TestCatalogue holds the catalogue to its form: each code once, of letters that
// are easy to type, with all of its words.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	form := map[remedy.Kind]*regexp.Regexp{
		remedy.Alert: regexp.MustCompile(`^Connectroster[A-Za-z]+$`), remedy.Alarm: regexp.MustCompile(`^[A-Z][A-Za-z0-9]+$`), remedy.Refusal: regexp.MustCompile(`^[a-z_]+$`),
		remedy.Error: regexp.MustCompile(`^[a-z_]+$`), remedy.Check: regexp.MustCompile(`^[a-z_]+$`),
	}
	seen := map[string]bool{}
	for _, e := range remedy.All() {
		if form[e.Kind] == nil || !form[e.Kind].MatchString(e.Code) || seen[strings.ToLower(e.Code)] {
			t.Errorf("%s %q is none, or twice there", e.Kind, e.Code)
		}
		seen[strings.ToLower(e.Code)] = true
		if slices.ContainsFunc(command().Commands(), func(c *cobra.Command) bool { return c.Name() == e.Code }) {
			t.Errorf("connectroster help %s tells of the command of that name", e.Code)
		}
		if e.Means == "" || e.Cause == "" || e.Do == "" || (e.Expr != "") != (e.Kind == remedy.Alert) {
			t.Errorf("%s lacks some of its words: %+v", e.Code, e)
		}
		if strings.HasSuffix(e.Do, ".") || !strings.HasSuffix(e.Cause, ".") {
			t.Errorf("%s: a cause is made of sentences, and what to do is none", e.Code)
		}
		if found, ok := remedy.Find(strings.ToUpper(strings.ReplaceAll(e.Code, "_", "-"))); !ok || found.Code != e.Code {
			t.Errorf("%s is not found when it is written otherwise", e.Code)
		}
		for _, other := range regexp.MustCompile(`\bSee ([a-z_]+)((?:, [a-z_]+)*)(?: and ([a-z_]+))?\.`).FindAllString(e.Cause, -1) {
			for _, code := range regexp.MustCompile(`[a-z]+_[a-z_]+`).FindAllString(other, -1) {
				if _, ok := remedy.Find(code); !ok {
					t.Errorf("%s points to %s, which is not there", e.Code, code)
				}
			}
		}
	}
}

// TestCatalogueIsComplete: every code that the program uses is in the catalogue,
// and every refusal and error of the catalogue is used.
func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	used := map[string]string{}
	for _, code := range plan.Codes() {
		used[string(code)] = "internal/plan"
	}
	files, err := filepath.Glob("../../*/*/*.go")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			citations(t, name, used)
		}
	}
	if len(used) < 40 {
		t.Errorf("only %d codes are used, so they were not found", len(used))
	}
	for code, where := range used {
		if _, ok := remedy.Find(code); !ok {
			t.Errorf("%s cites %s, which the catalogue lacks", where, code)
		}
	}
	for _, e := range remedy.All() {
		if _, ok := used[e.Code]; !ok && (e.Kind == remedy.Refusal || e.Kind == remedy.Error) {
			t.Errorf("nothing uses %s %s", e.Kind, e.Code)
		}
	}
}

// citations collects the codes that a file cites: what it marks errors with, what
// it gives to findings, and what it looks up.
func citations(t *testing.T, name string, used map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	cite := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if code, err := strconv.Unquote(literal.Value); err == nil {
				used[code] = name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if set, isSet := n.(*ast.AssignStmt); isSet && len(set.Lhs) == 1 {
			if at, isField := set.Lhs[0].(*ast.SelectorExpr); isField && at.Sel.Name == "Code" {
				cite(set.Rhs[0])
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			if pair, isPair := n.(*ast.KeyValueExpr); isPair {
				if key, isName := pair.Key.(*ast.Ident); isName && key.Name == "Code" && !strings.Contains(name, "remedy") && !strings.Contains(name, "sim") {
					cite(pair.Value)
				}
			}
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			from, _ := f.X.(*ast.Ident)
			switch {
			case from != nil && from.Name == "remedy" && slices.Contains([]string{"Mark", "For", "Find"}, f.Sel.Name), f.Sel.Name == "As" && len(call.Args) == 1:
				cite(call.Args[0])
			}
		case *ast.Ident:
			if f.Name == "say" && strings.HasSuffix(name, "sqlite/errors.go") {
				cite(call.Args[0])
			}
		}
		return true
	})
}

// TestAlertsAreOnMetrics: every metric that an alert looks at is there.
func TestAlertsAreOnMetrics(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	p.begin()
	_, text, err := call(http.MethodGet, "http://"+p.admin+"/metrics", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range remedy.All() {
		if e.Kind != remedy.Alert {
			continue
		}
		metrics := regexp.MustCompile(`connectroster_[a-z_]+(\{[^}]*\})?`).FindAllString(e.Expr, -1)
		if len(metrics) == 0 {
			t.Errorf("%s looks at no metric: %s", e.Code, e.Expr)
		}
		for _, m := range metrics {
			metric, labels, _ := strings.Cut(m, "{")
			if !regexp.MustCompile(`(?m)^` + metric + `(\{[^}]*` + regexp.QuoteMeta(strings.TrimSuffix(labels, "}")) + `[^}]*\})? `).MatchString(text) {
				t.Errorf("%s looks at %s, which is not among the metrics", e.Code, m)
			}
		}
	}
}

// TestAlarmsAreInTheCatalogue: every alarm that the deployment to AWS makes is in the
// catalogue, and no other. That is a module of its own, so its source is read.
func TestAlarmsAreInTheCatalogue(t *testing.T) {
	t.Parallel()
	const dir = "deploy/cdk/"
	watch := pageText(t, dir+"watch.go")
	made := map[string]bool{}
	for _, m := range regexp.MustCompile(`s\.alarm\("(\w+)"`).FindAllStringSubmatch(watch, -1) {
		made[m[1]] = true
	}
	if !strings.Contains(watch, `s.alarm(*f.Node().Id()+"Fails"`) {
		t.Error("the alarm of each function has another name")
	}
	for _, m := range regexp.MustCompile(`shape\{id: "(\w+)"`).FindAllStringSubmatch(pageText(t, dir+"functions.go"), -1) {
		made[m[1]+"Fails"] = true
	}
	if calls := strings.Count(watch, "s.alarm("); len(made) < calls || calls < 10 {
		t.Errorf("%d alarms are made at %d places: is the test still able to see them?", len(made), calls)
	}
	for code := range made {
		if e, _ := remedy.Find(code); e.Kind != remedy.Alarm {
			t.Errorf("the catalogue lacks the alarm %s", code)
		}
	}
	for _, e := range remedy.All() {
		if e.Kind == remedy.Alarm && !made[e.Code] {
			t.Errorf("there is no alarm %s", e.Code)
		}
	}
}

// The answers of the API carry the code of an error.
func TestAPITellsCodes(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	p.begin()
	status, text, err := call(http.MethodGet, "unix:"+p.socket()+":/v1/people/nobody@example.com/explain", nil, nil)
	var problem struct{ Code string }
	if err != nil || status != http.StatusNotFound || json.Unmarshal([]byte(text), &problem) != nil || problem.Code != "person_unknown" {
		t.Errorf("%d %v %s", status, err, text)
	}
}
