package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"connectroster/internal/config"
)

var update = flag.Bool("update", false, "write what the tests find into testdata and docs/configuration.md")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBad loads each configuration of testdata/bad and compares all that is said
// about it.
func TestBad(t *testing.T) {
	t.Parallel()
	eachCase(t, "testdata/bad/*.txtar", func(t *testing.T, path string, env func(string) string) string {
		c, err := config.Load(path, env)
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Fatalf("got %v and error %v, want faults", c, err)
		}
		for _, f := range faults {
			if f.Line < 1 || f.Column < 1 || f.Problem == "" {
				t.Errorf("fault without a place or a problem: %+v", f)
			}
		}
		if said := fmt.Sprintf("%v %+v", err, faults); strings.Contains(said, "hunter2") {
			t.Errorf("shows a secret:\n%s", said)
		}
		return err.Error() + "\n"
	})
}

// TestGood loads each configuration of testdata/good and compares what becomes
// of it.
func TestGood(t *testing.T) {
	t.Parallel()
	eachCase(t, "testdata/good/*.txtar", func(t *testing.T, path string, env func(string) string) string {
		c, err := config.Load(path, env)
		if err != nil {
			t.Fatal(err)
		}
		seen := struct {
			Settings map[string]any
			Groups   []string
			Secrets  int
			Listen, AdminListen, Socket,
			Mode string
			Okta          config.Okta
			SweepAt       string
			SweepJitter   string
			Instances     []config.Connection
			Guard         config.Guard
			WaitFor       string
			Database      string
			Workers       int
			Level         string
			Format        config.Format
			AllowLoopback bool
			Warnings      []string
		}{describe(c.Settings()), c.Groups(), len(c.HookSecrets()), c.Listen, c.AdminListen, c.Socket,
			c.Mode(), c.Okta, c.Sweep.At.String(), c.Sweep.Jitter.String(), c.Instances(), c.Guard, c.WaitForContacts.String(), c.Store.SQLite, c.Workers,
			c.Log.Level.Level().String(), c.Log.Format, c.AllowLoopback, nil}
		for _, w := range c.Warnings {
			seen.Warnings = append(seen.Warnings, w.String())
		}
		out, err := json.MarshalIndent(seen, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(out) + "\n"
	})
}

// eachCase unpacks each archive into a folder of its own and compares what run
// gives with its file want. With -update it writes want.
func eachCase(t *testing.T, pattern string, run func(t *testing.T, path string, env func(string) string) string) {
	t.Helper()
	archives, err := filepath.Glob(pattern)
	if err != nil || len(archives) == 0 {
		t.Fatalf("no cases in %s: %v", pattern, err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			env, want := map[string]string{}, ""
			for _, f := range archive.Files {
				switch f.Name {
				case "env":
					env = variables(string(f.Data))
				case "want":
					want = string(f.Data)
				default:
					write(t, filepath.Join(dir, f.Name), string(f.Data))
				}
			}
			got := run(t, filepath.Join(dir, "config.yaml"), func(k string) string { return env[k] })
			got = strings.ReplaceAll(got, dir+"/", "")
			if diff := cmp.Diff(want, got); diff != "" && !*update {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if *update {
				last := &archive.Files[len(archive.Files)-1]
				if last.Name != "want" {
					t.Fatal("want must be the last file of the archive")
				}
				last.Data = []byte(got)
				write(t, name, string(txtar.Format(archive)))
			}
		})
	}
}

// variables reads lines of the form NAME=value.
func variables(text string) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			env[name] = value
		}
	}
	return env
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	secret   = "0123456789abcdef"
	smallest = "name: production\npolicy: create-only\nconnect: {instance: acme}\nrouting_profile: Basic\nsecurity_profiles: Agent\n"
)

// always is an environment in which every variable is set.
func always(string) string { return secret }

func TestOneLine(t *testing.T) {
	t.Parallel()
	long := "name: production\nrules: [" + strings.Repeat("{groups: [A], persona: a}, ", 30_000) + "]\n"
	bomb := smallest + "x: &a [" + strings.Repeat("b, ", 50) + "]\ny: &b [" + strings.Repeat("*a, ", 50) + "]\n"
	unfolding := "personas: {p: &p {routing_profile: &n R, security_profiles: &s [" + strings.Repeat("*n, ", 300) + "]}}\n" +
		"rules:\n- groups: &g [" + strings.Repeat("*n, ", 200) + "]\n  persona: p\n" + strings.Repeat("- {groups: *g, persona: p}\n", 200)
	tests := []struct {
		name, data, want string // want is a part of what is said; empty: it loads
	}{
		{"nothing", "", "config.yaml:1:1: is empty"},
		{"blank", " \n\n", "config.yaml:1:1: is empty"},
		{"null", "~\n", "config.yaml:1:1: is empty"},
		{"byte order mark", "\ufeff" + smallest, ""},
		{"byte order mark and fault", "\ufeffnome: x\n", "config.yaml:1:1: nome: unknown key; did you mean name?\n    1 | nome"},
		{"carriage returns", strings.ReplaceAll(smallest+"wokers: 4\n", "\n", "\r\n"), "config.yaml:6:1: wokers: unknown key; did you mean workers?"},
		{"no newline at the end", strings.TrimSuffix(smallest, "\n"), ""},
		{"text alone", "production\n", "config.yaml:1:1: is text; want keys with values"},
		{"a list alone", "- name: production\n", "config.yaml:1:1: is a list; want keys with values"},
		{"not UTF-8", smallest + "group: caf\xe9\n", "config.yaml:6:11: byte 0xe9 is not UTF-8"},
		{"UTF-16", "\xff\xfen\x00a\x00m\x00e\x00", "config.yaml:1:1: byte 0xff is not UTF-8"},
		{"NUL", smallest + "group: a\x00b\n", "config.yaml:6:9: character U+0000 is not allowed in YAML"},
		{"escape", smallest + "group: \x1b[31m\n", "config.yaml:6:8: character U+001B is not allowed in YAML"},
		{"too large", strings.Repeat("# line\n", 150_000) + smallest, "config.yaml:1:1: is larger than 1 MiB"},
		{"large", strings.Repeat("# line\n", 140_000) + smallest, ""},
		{"too deep", smallest + "group: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n", "config.yaml:6:"},
		{"too long", smallest + "group: " + strings.Repeat("x", 2000) + "\n", "config.yaml:6:8: group: has 2000 characters; want at most 1024"},
		{"alias bomb of unknown keys", bomb, "config.yaml:6:1: x: unknown key"},
		{"alias bomb", unfolding, "the aliases of this file unfold into more than 10000 values"},
		{"many faults", long, "and 29952 more"},
		{"directive", "%YAML 9.9\n---\n" + smallest, "config.yaml:1:1: is not YAML"},
		{"a document with marks", "---\n" + smallest + "...\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Parse("config.yaml", []byte(test.data), always)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && c.Name != "production":
				t.Errorf("got name %q, want production", c.Name)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %.2000v, want it to say %q", err, test.want)
			}
		})
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := config.Load(filepath.Join(dir, "none.yaml"), always); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want ErrNotExist", err)
	}
	if _, err := config.Load(dir, always); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("folder: got %v, want is not a file", err)
	}
	if _, err := config.Load("/dev/zero", always); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("device: got %v, want is not a file", err)
	}
}

// TestPaths sees that paths start at the folder of the file, unless they are
// absolute.
func TestPaths(t *testing.T) {
	t.Parallel()
	data := []byte(smallest + "store: {sqlite: data/roster.db}\n")
	c, err := config.Parse("/etc/connectroster/config.yaml", data, always)
	if err != nil {
		t.Fatal(err)
	}
	got := [2]string{c.Store.SQLite, c.Socket}
	want := [2]string{"/etc/connectroster/data/roster.db", "/etc/connectroster/data/roster.db.sock"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	data = []byte(smallest + "store: {sqlite: /var/roster.db}\nsocket: /run/roster.sock\n")
	if c, err = config.Parse("/etc/connectroster/config.yaml", data, always); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([2]string{"/var/roster.db", "/run/roster.sock"}, [2]string{c.Store.SQLite, c.Socket}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"text": "level=WARN msg=hello", "json": `"msg":"hello"`} {
		c, err := config.Parse("config.yaml", []byte(smallest+"log: {level: warn, format: "+format+"}\n"), always)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		log := slog.New(c.Log.Handler(&b))
		log.Info("quiet")
		log.Warn("hello")
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, "quiet") {
			t.Errorf("%s: got %q, want %s and no quiet line", format, got, want)
		}
	}
}
