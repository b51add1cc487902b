//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPages plays the scripts of testdata/pages. Each types what a page tells to type,
// in the page's order and as it stands there, in a folder that stands for a machine:
//
//	page FILE PROGRAM...  the page, and the programs whose lines are meant
//	where WORD VALUE      what is typed in place of a word of the page, a path most often
//	next LINE [MORE...]   types the page's next line, with more words at its end
//	pass LINE WHY         leaves the page's next line out, which cannot be run here
//	end                   sees that no line of the page is left
//
// A page that says something else, or more, is an error, and so is a line that fails; !
// before next says that it does. The programs sudo, install and the like are in the
// scripts, and systemctl is the service below.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl", "install", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here, and the pages need it", program)
		}
	}
	commands := scriptCommands()
	for name, does := range map[string]func(*reading, *testscript.TestScript, []string){
		"page": (*reading).open, "where": (*reading).where, "pass": (*reading).pass, "end": (*reading).end,
	} {
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s cannot fail", name)
			}
			does(ts.Value(readingKey{}).(*reading), ts, args)
		}
	}
	commands["click"] = scriptClick
	commands["next"] = func(ts *testscript.TestScript, neg bool, args []string) {
		ts.Value(readingKey{}).(*reading).next(ts, neg, args)
	}
	commands["systemctl"] = func(ts *testscript.TestScript, neg bool, args []string) {
		r := ts.Value(readingKey{}).(*reading)
		if err := r.unit.control(ts, r.typist(), args); (err != nil) != neg {
			ts.Fatalf("systemctl %s: %v", strings.Join(args, " "), err)
		}
	}
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	binary := program(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "pages"),
		RequireExplicitExec: true,
		Condition:           scriptCondition,
		Cmds:                commands,
		Setup: func(env *testscript.Env) error {
			if err := setupScript(env); err != nil {
				return err
			}
			env.Setenv("REPOSITORY", repository)
			env.Setenv("BINARY", binary)
			env.Values[readingKey{}] = &reading{words: map[string]string{}}
			return nil
		},
	})
}

// readingKey is where a script keeps its reading.
type readingKey struct{}

// reading is a page that is played.
type reading struct {
	page  string
	left  []string          // the lines that are still to be typed
	words map[string]string // what is typed in place of what
	unit  service
}

// open is: page FILE PROGRAM...
func (r *reading) open(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: page FILE PROGRAM...")
	}
	r.page = args[0]
	text, err := os.ReadFile(filepath.Join(root, r.page))
	ts.Check(err)
	for _, one := range typedIn(string(text)) {
		for _, line := range strings.Split(one.line, " && ") {
			if words := strings.Fields(line); (len(words) > 1 || one.block != "text") && slices.Contains(args[1:], words[0]) {
				r.left = append(r.left, line)
			}
		}
	}
	if len(r.left) == 0 {
		ts.Fatalf("%s tells to type nothing of the kind", r.page)
	}
}

func (r *reading) where(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: where WORD VALUE")
	}
	r.words[args[0]] = args[1]
}

// typist puts in place what is typed in place of words of the page.
func (r *reading) typist() *strings.Replacer {
	words := slices.SortedFunc(maps.Keys(r.words), func(a, b string) int { return len(b) - len(a) }) // the longest that is there
	var pairs []string
	for _, word := range words {
		pairs = append(pairs, word, r.words[word])
	}
	return strings.NewReplacer(pairs...)
}

// take sees that a line is the page's next one.
func (r *reading) take(ts *testscript.TestScript, line string) {
	if len(r.left) == 0 {
		ts.Fatalf("%s tells to type nothing any more, and not %q", r.page, line)
	}
	if r.left[0] != line {
		ts.Fatalf("%s tells to type\n\t%s\nand the script types\n\t%s", r.page, r.left[0], line)
	}
	r.left = r.left[1:]
}

func (r *reading) pass(ts *testscript.TestScript, args []string) {
	if len(args) != 2 || args[1] == "" {
		ts.Fatalf("usage: pass LINE WHY")
	}
	r.take(ts, args[0])
}

func (r *reading) end(ts *testscript.TestScript, _ []string) {
	if len(r.left) > 0 {
		ts.Fatalf("%s also tells to type\n\t%s", r.page, strings.Join(r.left, "\n\t"))
	}
}

// next is: next LINE [MORE...]
func (r *reading) next(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: next LINE [MORE...]")
	}
	r.take(ts, args[0])
	line := r.typist().Replace(args[0])
	for _, word := range args[1:] {
		line += " '" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	if words := strings.Fields(line); words[0] == "systemctl" {
		ts.Check(r.unit.control(ts, r.typist(), words[1:]))
		return
	}
	err := ts.Exec("bash", "-c", line)
	switch {
	case err != nil && !neg:
		ts.Fatalf("%s: %s: %v", r.page, line, err)
	case err == nil && neg:
		ts.Fatalf("%s: %s: went well", r.page, line)
	}
}

// service is what systemd makes of the unit of connectroster: it runs what the unit
// says, with nothing in its environment but what the unit and the machine give it.
type service struct {
	known  bool // by daemon-reload
	daemon *exec.Cmd
	ended  chan struct{}
}

// control is what systemctl does.
func (s *service) control(ts *testscript.TestScript, here *strings.Replacer, words []string) error {
	unit := ts.MkAbs(filepath.Join(ts.Getenv("WORK"), "etc/systemd/system/connectroster.service"))
	text, err := os.ReadFile(unit)
	if err != nil {
		return err
	}
	settings := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(here.Replace(string(text)), -1) {
		settings[m[1]] = m[2]
	}
	switch did := strings.Join(words, " "); did {
	case "daemon-reload":
		s.known = true
		return nil
	case "enable --now connectroster", "start connectroster":
		if !s.known {
			return fmt.Errorf("systemd does not know the unit: it was not told to read it")
		}
		return s.start(ts, settings)
	case "stop connectroster":
		return s.stop()
	default:
		return fmt.Errorf("systemctl %s: no stand-in does this", did)
	}
}

func (s *service) start(ts *testscript.TestScript, settings map[string]string) error {
	work := ts.Getenv("WORK")
	state := filepath.Join(work, "var/lib", settings["StateDirectory"])
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	environment := []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range []string{filepath.Join(work, "role"), strings.TrimPrefix(settings["EnvironmentFile"], "-")} {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		environment = append(environment, strings.Fields(string(text))...)
	}
	journal, err := os.OpenFile(filepath.Join(work, "systemd-journal"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	words := strings.Fields(settings["ExecStart"])
	daemon := exec.Command(words[0], words[1:]...)
	daemon.Env, daemon.Dir, daemon.Stdout, daemon.Stderr = environment, settings["WorkingDirectory"], journal, journal
	if err := daemon.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.daemon, s.ended = daemon, ended
	go func() {
		_ = daemon.Wait()
		close(ended)
	}()
	ts.Defer(func() {
		_ = daemon.Process.Kill()
		<-ended
	})
	return nil
}

func (s *service) stop() error {
	if s.daemon == nil {
		return fmt.Errorf("the daemon was never started")
	}
	select {
	case <-s.ended:
		return fmt.Errorf("the daemon ended by itself: %s", s.daemon.ProcessState)
	default:
	}
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		return fmt.Errorf("the daemon does not end")
	}
	if code := s.daemon.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the daemon ended with %s", s.daemon.ProcessState)
	}
	return nil
}
