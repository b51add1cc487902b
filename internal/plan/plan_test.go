package plan_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"connectroster/internal/plan"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCases plans every world of testdata and compares the plan with the one
// that stands there. Run with -update to write what is planned now, then read
// the difference.
func TestCases(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("find cases: %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(archive.Comment)) == "" {
				t.Error("the case does not say what it shows")
			}
			c, err := parseCase(archive)
			if err != nil {
				t.Fatal(err)
			}
			got := plan.New(c.settings, c.world)
			shown := map[string]string{"plan": render(got)}
			if has(archive, "explain") {
				for _, id := range people(c.world) {
					e, ok := plan.Explain(c.settings, c.world, id)
					if !ok {
						t.Errorf("nothing is explained of %s", id)
					}
					shown["explain"] += renderExplanation(e)
				}
			}
			if has(archive, "differences") {
				shown["differences"] = renderDifferences(got, c.world)
			}
			if *update {
				save(t, file, archive, shown)
				return
			}
			for name, text := range shown {
				if diff := cmp.Diff(section(archive, name), text); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if again := plan.New(c.settings, settle(c.settings, c.world)); !again.Empty() {
				t.Errorf("after the plan was applied, this is still to do:\n%s", render(again))
			}
		})
	}
}

// people gives the ids of everybody listed, each once.
func people(w plan.World) []string {
	var ids []string
	for _, p := range w.People {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func has(a *txtar.Archive, name string) bool {
	return slices.ContainsFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
}

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// save writes the case back with other expectations.
func save(t *testing.T, file string, a *txtar.Archive, shown map[string]string) {
	t.Helper()
	if !has(a, "plan") {
		a.Files = append(a.Files, txtar.File{Name: "plan"})
	}
	for i, f := range a.Files {
		if text, ok := shown[f.Name]; ok {
			a.Files[i].Data = []byte(text)
		}
	}
	if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTextIsReadStrictly shows that a slip in a case is an error and no silent
// pass.
func TestTextIsReadStrictly(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"section":   "-- poeple --\n00u1 ann@example.com\n",
		"attribute": "-- people --\n00u1 ann@example.com frist=Ann\n",
		"setting":   "-- settings --\npolcy create-only\n",
		"group":     "-- people --\n00u1 ann@example.com in=00g9\n",
		"words":     "-- agents --\na-1\n",
		"quotes":    "-- people --\n00u1 \"ann\n",
		"number":    "-- settings --\npersona agent after_contact_work=soon\n",
		"pattern":   "-- settings --\nrule group=/(/\n",
		"when":      "-- settings --\nrule when=sometimes\n",
		"skill":     "-- settings --\npersona agent skill=language:de\n",
		"template":  "-- settings --\npersona agent routing={queue\n",
		"time":      "-- agents --\na-1 ann since=yesterday\n",
		"world":     "-- world --\ncompleted\n",
		"duration":  "-- settings --\nleavers delete_after=7d\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c, err := parseCase(txtar.Parse([]byte(text))); err == nil {
				t.Errorf("parseCase = %+v, want an error", c)
			}
		})
	}
}

// TestWordIsReadBack shows that names of any kind survive the text format.
func TestWordIsReadBack(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		l, err := parseLine("x first=" + word(s) + " " + word(s))
		if err != nil {
			t.Errorf("parse %+q: %v", s, err)
			continue
		}
		if got := l.value("first"); got != s {
			t.Errorf("attribute %+q came back as %+q", s, got)
		}
		if len(l.words) != 2 || l.words[1] != s {
			t.Errorf("word %+q came back as %+q", s, l.words)
		}
	}
}
