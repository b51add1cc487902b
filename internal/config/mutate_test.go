package config_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"

	"connectroster/internal/config"
	"connectroster/internal/plan"
)

// canary stands for a secret. No part of it may be told.
const canary = "Kanari3nvogel~Kanari3nvogel"

// TestMutants damages a good configuration in thousands of ways. Each either
// loads and is whole, or is told at fault with a place; nothing panics, and a
// secret in the file or in the environment is never told.
func TestMutants(t *testing.T) {
	t.Parallel()
	full := read(t, "testdata/full.yaml")
	app := between(t, full, "    client_id:", "  # Its app username")
	variants := []string{
		full,
		replace(t, full, "file:okta.pem", "env:OKTA_KEY"),
		replace(t, full, "file:okta.pem", canary),
		replace(t, full, "env:OKTA_HOOK_SECRET_NEXT", canary),
		replace(t, full, app, "    token: env:OKTA_API_TOKEN\n"),
		replace(t, full, app, "    token: "+canary+"\n"),
		replace(t, full, "env:CONNECTROSTER_WEBHOOK", "https://hooks.example.com/"+canary),
		withoutAPI(t, full),
		read(t, "../../docs/examples/countries-and-instances.yaml"),
		read(t, "../../docs/examples/one-team.yaml"),
	}
	loaded, refused := map[string]int{}, 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(1, seed))
		text := variants[seed%uint64(len(variants))]
		for range 1 + rng.IntN(3) {
			text = mutate(rng, text)
		}
		if c := judge(t, text); c != nil {
			loaded[c.Mode()]++
		} else {
			refused++
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
	}
	t.Logf("%v mutants loaded, %d were refused", loaded, refused)
	if loaded["api"] < 60 || loaded["hook-only"] < 20 || refused < 600 {
		t.Errorf("%v mutants loaded and %d were refused: the mutations are too weak or too strong", loaded, refused)
	}
}

// withoutAPI gives a configuration as it is in hook-only mode: nothing of
// profiles, and nobody is removed.
func withoutAPI(t *testing.T, full string) string {
	t.Helper()
	for _, part := range [][2]string{
		{"  # An API Services app", "  hook:"}, {"  - profile: {department", "# People who are never"}, {"    profile: {employeeType: Employee", "# Who decides"},
	} {
		full = replace(t, full, between(t, full, part[0], part[1]), "")
	}
	return replace(t, full, "policy: sync", "policy: upsert-only")
}

// between gives the part of a text from one mark to before another.
func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, from)
	part, _, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("the text lacks %q or %q after it", from, to)
	}
	return from + part
}

// replace changes a text in the one place where it has old.
func replace(t *testing.T, text, old, by string) string {
	t.Helper()
	if old == "" || strings.Count(text, old) != 1 {
		t.Fatalf("%q is in the text %d times, want 1", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, by, 1)
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

// judge parses a text twice and gives what it loads as, or nil.
func judge(t *testing.T, text string) *config.Config {
	t.Helper()
	env := func(name string) string {
		switch name {
		case "CONNECTROSTER_WEBHOOK":
			return "https://hooks.example.com/" + canary
		case "CONNECT_EXTERNAL_ID", "CONNECT_US_EXTERNAL_ID":
			return strings.ReplaceAll(canary, "~", "-")
		}
		return canary
	}
	c, err := config.Parse("testdata/config.yaml", []byte(text), env)
	_, again := config.Parse("testdata/config.yaml", []byte(text), env)
	if err == nil {
		checkWhole(t, c)
		return c
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
	return nil
}

// checkWhole sees that a configuration that loads can be worked with.
func checkWhole(t *testing.T, c *config.Config) {
	t.Helper()
	s := c.Settings()
	if s.Deployment == "" || len(c.Instances()) == 0 || c.Workers < 1 || c.Hash() == "" {
		t.Errorf("loaded and is not whole: %+v", c)
	}
	names := map[string]bool{}
	for _, in := range c.Instances() {
		names[in.Name] = true
		if in.Instance == "" || in.Rate <= 0 || in.Burst < 1 {
			t.Errorf("loaded with instance %+v", in)
		}
	}
	for _, secret := range c.HookSecrets() {
		if len(secret) < 16 {
			t.Errorf("loaded with a secret of %d characters", len(secret))
		}
	}
	checkOkta(t, c)
	if len(c.HookSecrets()) == 0 || len(c.AgentGroups()) == 0 || len(c.Groups()) < len(c.AgentGroups()) {
		t.Errorf("loaded with %d secrets and %d groups, %d of agents", len(c.HookSecrets()), len(c.Groups()), len(c.AgentGroups()))
	}
	for name, p := range s.Personas {
		if n := len(p.Values.SecurityProfiles); p.Values.RoutingProfile.IsZero() || n < 1 || n > 10 || slices.Contains(p.Values.SecurityProfiles, "") || !names[p.Instance] {
			t.Errorf("loaded with persona %q: %+v", name, p)
		}
	}
	for _, r := range s.Rules {
		_, ok := s.Personas[r.Persona]
		if !ok && r.Persona != "" || r.Persona == "" && r.Set == nil || r.Instance != "" && !names[r.Instance] {
			t.Errorf("loaded with rule %+v", r)
		}
		if len(r.When.Groups) == 0 && len(r.When.Profile) == 0 && r.When.When.Holds == nil && r.When.Not == nil {
			t.Errorf("loaded with a rule about everybody: %+v", r)
		}
	}
	checkPolicy(t, c, s)
	// What loads can be planned with: whoever it is about, it ends and does not panic.
	plan.New(s, plan.World{Instance: c.Instances()[0].Name, People: []plan.Person{{
		ID: "00u1", Username: "ann@example.com", Status: plan.StatusActive,
		Groups:  []plan.Group{{ID: "00g1", Name: "Connect Queue Sales"}, {ID: "00g2", Name: "Amazon Connect Agents"}},
		Profile: map[string]any{"department": "Quality", "title": nil, "level": 3.0},
	}}})
}

// checkPolicy sees that nobody is removed without what removals need, and that
// the guard is on.
func checkPolicy(t *testing.T, c *config.Config, s plan.Settings) {
	t.Helper()
	switch s.Policy {
	case plan.CreateOnly, plan.UpsertOnly:
	case plan.Sync:
		if !c.APIMode() || len(s.Leavers.SuspendAs) == 0 {
			t.Errorf("loaded with sync, API mode %v, and leavers %+v", c.APIMode(), s.Leavers)
		}
	default:
		t.Errorf("loaded with policy %q", s.Policy)
	}
	for instance, name := range s.Leavers.SuspendAs {
		if p, ok := s.Personas[name]; !ok || p.Instance != instance {
			t.Errorf("loaded with %q for the leavers of %q: %+v", name, instance, p)
		}
	}
	g := c.Guard
	for _, n := range []int{g.StatusCount, g.GroupCount, g.LongCount, g.MoveCount} {
		if n < 1 || n > 1000 || n > 50 && !g.IUnderstand {
			t.Errorf("loaded with guard %+v", g)
		}
	}
	for _, share := range []config.Share{g.StatusShare, g.LongShare, g.MoveShare} {
		if share <= 0 || share > 0.9 {
			t.Errorf("loaded with guard %+v", g)
		}
	}
	if g.Short < time.Minute || g.Long < g.Short || g.HoldFor < 10*time.Minute || c.WaitForContacts < 0 {
		t.Errorf("loaded with guard %+v", g)
	}
	for _, r := range s.Rules {
		if (len(r.When.Profile) > 0 || r.When.When.Holds != nil) && !c.APIMode() {
			t.Errorf("loaded with a rule on profiles, without profiles: %+v", r)
		}
	}
}

// checkOkta sees that the modes are kept apart, and that one who has credentials
// can use them.
func checkOkta(t *testing.T, c *config.Config) {
	t.Helper()
	o := c.Okta
	if o.Share < 0.05 || o.Share > 0.9 || o.CatchUp < 10*time.Second || o.CatchUp > time.Hour || c.Sweep.Jitter < 0 || c.Sweep.Jitter > 6*time.Hour {
		t.Errorf("loaded out of range: %+v %+v", o, c.Sweep)
	}
	credentials, err := c.OktaCredentials()
	token, app := credentials.Token != "", credentials.ClientID != "" && len(credentials.PrivateKey) > 0 && len(credentials.Scopes) > 0
	switch {
	case c.APIMode() && (err != nil || token == app || o.Org == ""):
		t.Errorf("loaded in API mode with org %q, token %v, app %v and error %v", o.Org, token, app, err)
	case !c.APIMode() && (err == nil || token || app || o.App != ""):
		t.Errorf("loaded in hook-only mode with token %v, app %v, error %v and okta.app %q", token, app, err, o.App)
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
