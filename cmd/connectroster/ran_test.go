//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"connectroster/internal/remedy"
)

// ask is a command of connectroster in the form in which what pages tell is compared
// with what tests run.
type ask struct {
	name  string
	words int // how many follow; anyWords where the command is only named
	flags map[string]string
}

const anyWords = -1

// values are the flags whose value makes another command of it.
var values = []string{"kind", "policy", "okta"}

// beside are the flags that a test may give beside those of the page: an answer to
// what is asked at a terminal, or where something is, or how fast a simulator goes.
var beside = []string{"yes", "config", "role", "listen", "rate", "allow-loopback"}

// asked gives the command that words are, without the program's name. It is none where
// they only speak of a program, a group of commands or commands in general.
func asked(words []string) (a ask, ok bool) {
	optional := func(word string) bool { return strings.HasPrefix(word, "[") || strings.HasSuffix(word, "...") }
	usage := slices.ContainsFunc(words, optional)
	if at := slices.IndexFunc(words, regexp.MustCompile(`^\d?[<>|&]`).MatchString); at >= 0 {
		words = words[:at]
	}
	words = slices.DeleteFunc(slices.Clone(words), optional)
	if len(words) == 0 || words[0] == "COMMAND" || strings.HasPrefix(words[0], "(") {
		return a, false
	}
	a.flags = map[string]string{}
	if words[0] == "help" && len(words) > 1 {
		text := strings.Join(words[1:], " ")
		if _, known := remedy.Find(text); known || text == "CODE" {
			return ask{name: "help CODE", flags: a.flags}, true
		}
		return ask{name: "help " + text, flags: a.flags}, true
	}
	root := command()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		return a, false
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return a, false
	}
	cmd.Flags().Visit(func(f *pflag.Flag) { a.flags[f.Name] = f.Value.String() })
	a.name, a.words = name(cmd), cmd.Flags().NArg()
	if usage || a.words == 0 && cmd.ValidateArgs(nil) != nil {
		a.words = anyWords
	}
	return a, true
}

func (a ask) String() string {
	out := a.name
	for _, flag := range slices.Sorted(maps.Keys(a.flags)) {
		if flag == "config" {
			continue
		}
		out += " --" + flag
		if slices.Contains(values, flag) {
			out += "=" + a.flags[flag]
		}
	}
	if a.words != anyWords {
		out += strings.Repeat(" WORD", a.words)
	}
	return out
}

// shownBy tells whether a test that has run other has run a, too.
func (a ask) shownBy(other ask) bool {
	if a.name != other.name || a.words != anyWords && a.words != other.words {
		return false
	}
	for flag, value := range a.flags {
		if got, ok := other.flags[flag]; flag != "config" && (!ok || slices.Contains(values, flag) && got != value) {
			return false
		}
	}
	for flag := range other.flags {
		if _, ok := a.flags[flag]; !ok && a.words != anyWords && !slices.Contains(beside, flag) {
			return false
		}
	}
	return true
}

// namedIn gives the commands that a text without marks names, as those of the catalogue
// of remedies do: "connectroster dead replay USER or dead replay --all; ...".
func namedIn(text string) (found [][]string) {
	fields := strings.Fields(text)
	for at, field := range fields {
		if strings.TrimLeft(field, "(") != "connectroster" {
			continue
		}
		root := command()
		below, left := root, fields[at+1:]
		for {
			words, cmd, rest := commandAt(below, left)
			if len(words) == 0 {
				break
			}
			found = append(found, append(strings.Fields(name(below)), words...))
			if len(rest) < 2 || rest[0] != "or" && rest[0] != "and" {
				break
			}
			below, left = root, rest[1:]
			if first, _, _ := commandAt(root, left); len(first) == 0 { // "holds approve or reject"
				below = cmd.Parent()
			}
		}
	}
	return found
}

// commandAt reads a command below another one, with its flags and what stands for its
// words, such as USER. Nothing is left after a mark.
func commandAt(below *cobra.Command, fields []string) (words []string, cmd *cobra.Command, rest []string) {
	cmd = below
	named := true // there were only commands so far
	for i, field := range fields {
		word := strings.TrimRight(field, ".,;:)")
		sub, _, err := cmd.Find([]string{word})
		switch {
		case named && err == nil && sub != cmd:
			cmd = sub
		case cmd != below && regexp.MustCompile(`^(--[a-z-]+|[A-Z]{4,})$`).MatchString(word):
			named = false
		default:
			return words, cmd, fields[i:]
		}
		if words = append(words, word); word != field {
			return words, cmd, nil
		}
	}
	return words, cmd, nil
}

// shownElsewhere are the commands of pages that no script types, each with the test that
// runs it and the reason.
var shownElsewhere = map[string]struct{ test, why string }{
	"dev --people": {"TestCtrlC", "it stays until somebody ends it"},
}

// TestCommandsOfPagesAreRun: every command of connectroster that a page or a remedy
// names is run by a test, so that it cannot stand there and not work. That is, a script
// of testdata/script has it and it succeeds there, or testdata/pages plays it, or it
// stands in a block that TestNewcomer, TestQuickstart or TestConcepts types.
func TestCommandsOfPagesAreRun(t *testing.T) {
	t.Parallel()
	var run []ask
	add := func(words []string) {
		if len(words) > 2 && words[0] == "sh" && words[1] == "-c" {
			words = splitWords(strings.TrimPrefix(words[2], "exec "))
		}
		if words = withoutSudo(words); len(words) > 0 && filepath.Base(words[0]) == "connectroster" {
			if a, ok := asked(words[1:]); ok {
				run = append(run, a)
			}
		}
	}
	for page, block := range map[string]string{"README.md": "sh", "docs/quickstart.md": "sh", "docs/concepts.md": "console"} {
		for _, one := range typedIn(pageText(t, page)) {
			if one.block == block {
				add(splitWords(strings.ReplaceAll(one.line, "; echo $?", "")))
			}
		}
	}
	for folder, first := range map[string]string{"script": "exec|until", "pages": "exec|next"} {
		files, err := filepath.Glob(filepath.Join(root, "testdata", folder, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatal(len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			commands, _, _ := strings.Cut(string(text), "\n-- ")
			for _, m := range regexp.MustCompile(`(?m)^(`+first+`) (.*)$`).FindAllStringSubmatch(commands, -1) {
				words := splitWords(m[2])
				if m[1] == "next" { // what the page has is one word
					words = splitWords(words[0])
				}
				if m[1] == "until" { // before the command is what it has to print
					words = words[1:]
				}
				add(words)
			}
		}
	}
	if len(run) < 200 {
		t.Errorf("tests run %d commands: is this test still able to see them?", len(run))
	}

	told := map[string]string{} // by form: where it stands
	unseen := func(a ask) bool { return !slices.ContainsFunc(run, a.shownBy) }
	seen := 0
	tell := func(where string, words []string) {
		a, ok := asked(words)
		if !ok {
			return
		}
		seen++
		if unseen(a) && told[a.String()] == "" {
			told[a.String()] = fmt.Sprintf("%s: connectroster %s", where, strings.Join(words, " "))
		}
	}
	for _, page := range allPages(t) {
		for _, line := range typedLines(pageText(t, page)) {
			words := withoutSudo(splitWords(line))
			if at := slices.Index(words, "--"); at >= 0 && len(words) > 0 && words[0] == "kubectl" {
				words = words[at+1:]
			}
			if len(words) > 1 && filepath.Base(words[0]) == "connectroster" {
				tell(page, words[1:])
			}
		}
	}
	for _, e := range remedy.All() {
		for _, words := range namedIn(e.Cause + " " + e.Do) {
			if fault := unknownCommand(words); fault != "" {
				t.Errorf("the remedy of %s names %q: %s", e.Code, words, fault)
			}
			tell("the remedy of "+e.Code, words)
		}
	}
	if seen < 250 {
		t.Errorf("pages and remedies name %d commands: is this test still able to see them?", seen)
	}
	tests := testsOfRepository(t)
	for _, form := range slices.Sorted(maps.Keys(told)) {
		if e, ok := shownElsewhere[form]; !ok {
			t.Errorf("no test runs %q (%s): add it to a script of testdata/script or testdata/pages", form, told[form])
		} else if !strings.Contains(tests, e.test+"\n") {
			t.Errorf("%s is to run %q, and there is no such test", e.test, form)
		}
	}
	for form, e := range shownElsewhere {
		if told[form] == "" || e.why == "" {
			t.Errorf("%q is no command of a page any more, or a script types it, or there is no reason: take it off the list", form)
		}
	}
}
