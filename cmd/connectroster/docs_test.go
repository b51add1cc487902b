package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	simconnect "connectroster/internal/sim/connect"
)

var updateDocs = flag.Bool("update-docs", false, "write what the commands print into docs/concepts.md")

// TestConcepts plays the example of every section of docs/concepts.md: it starts
// the simulators and a daemon with the section's configuration, and compares
// what the commands print with what the page shows, word by word but for what
// the page says differs each time.
//
// Of a section it reads, from top to bottom:
//
//	```yaml        keys that replace those of the configuration at the top
//	```console     "$ connectroster ..." and what it prints, error output included
//	<!-- script    commands of testdata/script that play Okta and the floor
//	<!-- before    the same, before the daemon is started
func TestConcepts(t *testing.T) {
	t.Parallel()
	name := filepath.Join("..", "..", "docs", "concepts.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p := readPage(string(text))
	for _, want := range []string{"Persona", "Rule", "Authority", "Plan", "Ownership and adoption", "Policy", "Leaver", "Guard", "Hold", "Stay", "Tombstone", "Journal", "Several instances"} {
		if !slices.ContainsFunc(p.sections, func(s *section) bool { return s.title == want }) {
			t.Errorf("%s lacks the section %q", name, want)
		}
	}
	dir := t.TempDir()
	for _, s := range p.sections {
		if len(s.runs) == 0 {
			t.Errorf("%s:%d: %q has no command in a console block, so nothing tests it", name, s.line, s.title)
		}
		if err := os.WriteFile(filepath.Join(dir, s.file()), []byte(s.script(p.base)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if *updateDocs {
		t.Cleanup(func() {
			if err := os.WriteFile(name, []byte(p.String()), 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	commands := scriptCommands()
	commands["shows"] = p.shows
	commands["route"] = scriptRoute
	testscript.Run(t, testscript.Params{Dir: dir, RequireExplicitExec: true, Setup: setupScript, Cmds: commands})
}

// page is a page of documentation with examples.
type page struct {
	lines    []string
	base     string // the configuration before the first section
	sections []*section
}

// section is one concept.
type section struct {
	title  string
	line   int
	config string   // its yaml block
	before []string // commands of the script before the daemon starts
	after  []string // and after
	runs   []*shown
}

// shown is one command of a console block.
type shown struct {
	command  string
	at, end  int    // the lines of the page that show what it prints
	want     string // those lines
	got      string // for -update-docs
	finished bool
}

// readPage takes a page apart.
func readPage(text string) *page {
	p := &page{lines: strings.Split(text, "\n")}
	var s *section
	var block string // what the present line is in; empty: prose
	var yaml []string
	for i, line := range p.lines {
		switch {
		case block == "" && strings.HasPrefix(line, "## "):
			s = &section{title: line[3:], line: i + 1}
			p.sections = append(p.sections, s)
		case block == "" && strings.HasPrefix(line, "```"):
			block = line[3:]
			if block == "" {
				block = "text"
			}
			yaml = nil
		case block == "" && (line == "<!-- script" || line == "<!-- before"):
			block = line[5:]
		case (block == "script" || block == "before") && line == "-->", block != "" && line == "```":
			if joined := strings.Join(yaml, "\n") + "\n"; block == "yaml" && s == nil {
				p.base += joined
			} else if block == "yaml" {
				s.config += joined
			}
			block = ""
		case block == "yaml":
			yaml = append(yaml, line)
		case s == nil:
		case block == "script":
			s.after = append(s.after, line)
		case block == "before":
			s.before = append(s.before, line)
		case block == "console" && strings.HasPrefix(line, "$ "):
			s.runs = append(s.runs, &shown{command: line[2:], at: i + 1, end: i + 1})
			s.after = append(s.after, fmt.Sprintf("shows %d", len(s.runs)-1))
		case block == "console" && len(s.runs) > 0:
			r := s.runs[len(s.runs)-1]
			r.end = i + 1
			r.want = strings.Join(p.lines[r.at:r.end], "\n") + "\n"
		}
	}
	return p
}

// file gives the name of the script of a section.
func (s *section) file() string {
	return strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(s.title), "-"), "-") + ".txtar"
}

// script gives the section as a script.
func (s *section) script(base string) string {
	parts := []string{
		"env COLUMNS=110", "subst connectroster.yaml",
		"exec connectroster simulate connect --listen $CONNECT --rate 0 &connect&",
		"exec connectroster simulate okta --listen $OKTA &okta&",
		"setting",
	}
	parts = append(parts, s.before...)
	parts = append(parts, "exec connectroster serve &serve&", "hook")
	parts = append(parts, s.after...)
	parts = append(parts, "kill -INT serve", "wait serve", "kill okta", "kill connect",
		"-- connectroster.yaml --", overlay(base, s.config), here)
	return strings.Join(parts, "\n") + "\n"
}

// here is what the configuration of an example needs beside what the page shows,
// since it runs against simulators.
const here = `listen: $HOOK
admin_listen: $ADMIN
allow_loopback: true`

// overlay replaces the keys of a configuration by those of the same name in
// another one.
func overlay(base, over string) string {
	keys := map[string]bool{}
	topKey := regexp.MustCompile(`(?m)^([a-z_]+):`)
	for _, m := range topKey.FindAllStringSubmatch(over, -1) {
		keys[m[1]] = true
		if m[1] == "instances" {
			keys["connect"] = true
		}
	}
	var out []string
	skip := false
	for line := range strings.Lines(base) {
		if m := topKey.FindStringSubmatch(line); m != nil {
			skip = keys[m[1]]
		}
		if !skip {
			out = append(out, line)
		}
	}
	text := strings.Join(out, "") + over
	text = strings.ReplaceAll(text, "https://example.okta.com", "http://$OKTA")
	text = strings.ReplaceAll(text, "  app: Amazon Connect\n", "  app: Amazon Connect\n  catch_up: 10s\n")
	return strings.ReplaceAll(text, "region: eu-central-1}", "region: eu-central-1, rate: 100, burst: 100}")
}

// shows is: shows N. It runs command N of the section and compares what it
// prints with what the page shows. "; echo $?" is understood, and without it the
// command must succeed.
func (p *page) shows(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	if _, err := fmt.Sscan(strings.Join(args, " "), &n); err != nil || neg {
		ts.Fatalf("usage: shows N")
	}
	s := p.sections[0]
	for _, other := range p.sections {
		if strings.TrimSuffix(other.file(), ".txtar") == ts.Name() {
			s = other
		}
	}
	r := s.runs[n]
	command, echo := strings.CutSuffix(r.command, "; echo $?")
	words := splitWords(command)
	if len(words) == 0 || words[0] != "connectroster" {
		ts.Fatalf("a console block runs connectroster alone, and not %q", r.command)
	}
	err := ts.Exec(words[0], words[1:]...)
	got := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	switch {
	case echo && err != nil:
		got += "1\n"
		if strings.Contains(command, "--detailed-exitcode") && ts.ReadFile("stderr") == "" {
			got = strings.TrimSuffix(got, "1\n") + "2\n"
		}
	case echo:
		got += "0\n"
	case err != nil:
		ts.Fatalf("%s: %v\n%s", r.command, err, got)
	}
	got = p.mask(ts, got)
	r.got, r.finished = got, true
	lines := func(text string) []string { return strings.Split(gaps.ReplaceAllString(text, "  "), "\n") }
	if diff := cmp.Diff(lines(r.want), lines(got)); diff != "" && !*updateDocs {
		ts.Fatalf("docs/concepts.md:%d: $ %s (-page +real):\n%s\nTo write the page anew: go test ./cmd/connectroster -run TestConcepts -update-docs", r.at, r.command, diff)
	}
}

// gaps is the space between columns, whose width follows from what is in them.
var gaps = regexp.MustCompile(` {2,}`)

// splitWords takes a command line apart at spaces outside of quotes.
func splitWords(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2]+m[3])
	}
	return out
}

// What differs each time, and what the page shows in its place, as wide as it is.
var masks = []struct {
	what  *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`\b00u[0-9A-Za-z]{17}\b`), "00uXXXXXXXXXXXXXXXXX"},
	{regexp.MustCompile(`\b00g[0-9A-Za-z]{17}\b`), "00gXXXXXXXXXXXXXXXXX"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "YYYY-MM-DDThh:mm:ssZ"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ`), "YYYY-MM-DD hh:mm:ssZ"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"},
	{regexp.MustCompile(` \(line \d+\)`), " (line N)"},
	{regexp.MustCompile(`(?m)^\d+ of \d+ settled, .* left\n`), ""}, // where it takes a while
	{regexp.MustCompile(`\b(settled in )[^:\n]*:`), "${1}a moment:"},
	{regexp.MustCompile(`; trigger [^\n]*(?:\n {9}[^\n]*)*`), "; trigger ..."}, // a hook, or what was faster
}

// somebody is who the page says gives the commands.
const somebody = "maria"

// mask puts the same in place of what differs each time.
func (p *page) mask(ts *testscript.TestScript, text string) string {
	const instance = "instance-instance-instance-instance-" // as wide, and the same each time
	text = strings.ReplaceAll(text, ts.Getenv("INSTANCE"), instance)
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.shown)
	}
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		name = u.Username
	}
	text = regexp.MustCompile(`(Z  | by |: )`+regexp.QuoteMeta(name)+`(  | said |;|\n)`).ReplaceAllString(text, "${1}"+somebody+"${2}")
	return strings.ReplaceAll(text, instance, ts.Getenv("INSTANCE"))
}

// String gives the page with what the commands printed.
func (p *page) String() string {
	var out bytes.Buffer
	at := 0
	for _, s := range p.sections {
		for _, r := range s.runs {
			if !r.finished {
				continue
			}
			for _, line := range p.lines[at:r.at] {
				out.WriteString(line + "\n")
			}
			out.WriteString(r.got)
			at = r.end
		}
	}
	out.WriteString(strings.Join(p.lines[at:], "\n"))
	return out.String()
}

// scriptRoute is: route INSTANCE. It makes a second simulated instance of that
// id, and an AWS endpoint that leads to it or to the first one, by the instance
// that a request names.
func scriptRoute(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: route INSTANCE")
	}
	second, err := simconnect.New(simconnect.Config{InstanceID: args[0], Demo: true})
	ts.Check(err)
	first := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: ts.Getenv("CONNECT")})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if strings.Contains(r.URL.Path, args[0]) || bytes.Contains(body, []byte(args[0])) {
			second.ServeHTTP(w, r)
			return
		}
		first.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("AWS_ENDPOINT_URL_CONNECT", server.URL)
}
