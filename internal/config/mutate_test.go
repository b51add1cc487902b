package config_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"

	"connectroster/internal/config"
)

// canary stands for a secret. No part of it may be told.
const canary = "Kanari3nvogel~Kanari3nvogel"

// TestMutants damages a good configuration in thousands of ways. Each either
// loads and is whole, or is told at fault with a place; nothing panics, and a
// secret in the file or in the environment is never told.
func TestMutants(t *testing.T) {
	t.Parallel()
	full := read(t, "testdata/full.yaml")
	exposed := strings.ReplaceAll(full, "env:OKTA_HOOK_SECRET_NEXT", canary)
	if exposed == full {
		t.Fatal("full.yaml refers to no OKTA_HOOK_SECRET_NEXT")
	}
	loaded, refused := 0, 0
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(1, seed))
		text := full
		if seed%2 == 1 {
			text = exposed
		}
		for range 1 + rng.IntN(3) {
			text = mutate(rng, text)
		}
		if judge(t, text) {
			loaded++
		} else {
			refused++
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
	}
	t.Logf("%d mutants loaded, %d were refused", loaded, refused)
	if loaded < 30 || refused < 300 {
		t.Errorf("%d mutants loaded and %d were refused: the mutations are too weak or too strong", loaded, refused)
	}
}

// FuzzParse looks for a configuration that breaks the rules of TestMutants.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/*/*.txtar"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text := read(f, name)
			for _, file := range txtar.Parse([]byte(text)).Files {
				if file.Name == "config.yaml" {
					text = string(file.Data)
				}
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.Contains(strings.ToLower(text), "kanari") {
			judge(t, text)
		}
	})
}

// judge parses a text twice and tells whether it loads.
func judge(t *testing.T, text string) bool {
	t.Helper()
	env := func(string) string { return canary }
	c, err := config.Parse("config.yaml", []byte(text), env)
	_, again := config.Parse("config.yaml", []byte(text), env)
	if err == nil {
		checkWhole(t, c)
		return true
	}
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("got error %v, want faults", err)
	}
	if again == nil || again.Error() != err.Error() {
		t.Errorf("said\n%v\nand the second time\n%v", err, again)
	}
	lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
		strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
	for i, f := range faults {
		if f.Line < 1 || f.Line > lines || f.Column < 1 || f.Problem == "" {
			t.Errorf("fault without a proper place or problem, in %d lines: %+v", lines, f)
		}
		if i > 0 && faults[i-1].Line > f.Line {
			t.Errorf("faults out of order: line %d after line %d", f.Line, faults[i-1].Line)
		}
	}
	said := err.Error()
	if strings.Contains(strings.ToLower(said), "kanari") {
		t.Errorf("shows a secret:\n%s", said)
	}
	if strings.ContainsFunc(said, func(c rune) bool { return c != '\n' && unicode.IsControl(c) }) {
		t.Errorf("shows control characters: %q", said)
	}
	return false
}

// checkWhole sees that a configuration that loads can be worked with.
func checkWhole(t *testing.T, c *config.Config) {
	t.Helper()
	s := c.Settings()
	if s.Deployment == "" || s.Policy != "create-only" || c.Connect.Instance == "" || c.Connect.Rate <= 0 || c.Connect.Burst < 1 || c.Workers < 1 {
		t.Errorf("loaded and is not whole: %+v", c)
	}
	for _, secret := range c.HookSecrets() {
		if len(secret) < 16 {
			t.Errorf("loaded with a secret of %d characters", len(secret))
		}
	}
	if len(c.HookSecrets()) == 0 || len(c.Groups()) == 0 {
		t.Errorf("loaded with %d secrets and %d groups", len(c.HookSecrets()), len(c.Groups()))
	}
	for name, p := range s.Personas {
		if n := len(p.SecurityProfiles); p.RoutingProfile == "" || n < 1 || n > 10 || slices.Contains(p.SecurityProfiles, "") {
			t.Errorf("loaded with persona %q: %+v", name, p)
		}
	}
	for _, r := range s.Rules {
		if _, ok := s.Personas[r.Persona]; !ok || len(r.Groups) == 0 || slices.Contains(r.Groups, "") {
			t.Errorf("loaded with rule %+v", r)
		}
	}
}

// mutate makes one change, of the kinds that people and editors make.
func mutate(rng *rand.Rand, text string) string {
	lines := strings.SplitAfter(text, "\n")
	i := rng.IntN(len(lines))
	switch rng.IntN(9) {
	case 0: // lose a line
		lines = slices.Delete(lines, i, i+1)
	case 1: // repeat a line somewhere
		lines = slices.Insert(lines, rng.IntN(len(lines)+1), lines[i])
	case 2: // change the indentation
		lines[i] = []string{" ", "  ", "\t", "    "}[rng.IntN(4)] + lines[i]
	case 3:
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	case 4: // swap two lines
		j := rng.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
	case 5: // give a key another value
		if key, _, ok := strings.Cut(lines[i], ":"); ok {
			values := []string{"", "~", "[]", "{}", "[a]", "{a: b}", "true", "-1", "1e9", "\"\"", "'", "|", "&a b", "*a", "!x y", "x: y", "[", "{", "#", "0s"}
			lines[i] = key + ": " + values[rng.IntN(len(values))] + "\n"
		}
	case 6: // misspell something
		if n := len(lines[i]); n > 2 {
			k := rng.IntN(n - 2)
			lines[i] = lines[i][:k] + lines[i][k+1:k+2] + lines[i][k:k+1] + lines[i][k+2:]
		}
	case 7: // change bytes
		b := []byte(strings.Join(lines, ""))
		for range 1 + rng.IntN(3) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] = byte(rng.IntN(256))
			}
		}
		return string(b)
	case 8: // cut off
		return text[:rng.IntN(len(text)+1)]
	}
	return strings.Join(lines, "")
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
