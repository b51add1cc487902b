package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/config"
	"connectroster/internal/remedy"
)

const root = "../.."

// TestSettingsOfPages checks the configurations that pages tell people to write.
func TestSettingsOfPages(t *testing.T) {
	t.Parallel()
	secret := func(string) string { return "a-secret-of-16-or-more" }
	for _, page := range []string{"README.md", "docs/faq.md"} {
		settings := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(pageText(t, page))
		if settings == nil {
			t.Fatalf("%s shows no configuration", page)
		}
		if _, err := config.Parse(page, []byte(settings[1]), secret); err != nil {
			t.Errorf("the configuration in %s: %v", page, err)
		}
	}
}

// TestPagesNameCommands checks what pages tell people to type: that there are the
// commands of connectroster with these flags and as many words, the targets of make,
// the flags of the scripts, and the tests that go test is to run. That they
// work is for TestCommandsOfPagesAreRun; what they print is compared by TestNewcomer,
// TestQuickstart and TestConcepts.
func TestPagesNameCommands(t *testing.T) {
	t.Parallel()
	tests := testsOfRepository(t)
	found := map[string]int{}
	for _, page := range allPages(t) {
		for _, line := range typedLines(pageText(t, page)) {
			words := withoutSudo(splitWords(line))
			if len(words) == 0 {
				continue
			}
			program, rest := filepath.Base(words[0]), words[1:]
			if strings.HasPrefix(words[0], "./") {
				program = words[0]
			}
			var fault string
			switch program {
			case "connectroster":
				fault = unknownCommand(rest)
			case "make":
				fault = missingIn(t, "Makefile", `(?m)^%s:`, rest)
			case "./start.sh", "./bootstrap.sh", "./cleanup.sh":
				fault = missingIn(t, program[2:], `(?m)%s\b`, rest)
			case "go":
				if at := slices.Index(rest, "-run"); at >= 0 && at+1 < len(rest) && rest[0] == "test" {
					for name := range strings.SplitSeq(regexp.MustCompile(`[$^()]|/.*`).ReplaceAllString(rest[at+1], ""), "|") {
						if name != "" && !strings.Contains(tests, name) {
							fault = "there is no test " + name
						}
					}
				}
			default:
				continue
			}
			found[program]++
			if fault != "" {
				t.Errorf("%s: %s: %s", page, line, fault)
			}
		}
	}
	for program, least := range map[string]int{"connectroster": 150, "make": 5, "./start.sh": 5, "./cleanup.sh": 1, "go": 20} {
		if found[program] < least {
			t.Errorf("the pages say %d times what %s is to do, want %d or more: is the test still able to see them?", found[program], program, least)
		}
	}
}

// unknownCommand tells why connectroster could not run with these words.
func unknownCommand(words []string) string {
	if len(words) == 0 || words[0] == "COMMAND" || strings.HasPrefix(words[0], "(") { // the name of a hook
		return ""
	}
	root := command()
	root.InitDefaultCompletionCmd()
	if words[0] == "help" { // of a command, of codes, or of a code
		if _, known := remedy.Find(strings.Join(words[1:], " ")); known || strings.Join(words[1:], " ") == "codes" || slices.Contains(words, "CODE") {
			return ""
		}
		words = words[1:]
	}
	cmd, rest, err := root.Find(words)
	rest = slices.DeleteFunc(rest, func(word string) bool { return strings.HasPrefix(word, "[") }) // what may be left out
	if err == nil && !slices.Contains(rest, "...") {
		cmd.InitDefaultHelpFlag()
		err = cmd.ParseFlags(rest)
	}
	if err == nil && cmd.HasAvailableSubCommands() { // whose words are commands as well
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// missingIn tells which of the words that are no variables a file does not have.
func missingIn(t *testing.T, file, form string, words []string) string {
	t.Helper()
	text := pageText(t, file)
	for n, word := range words {
		if strings.Contains(word, "=") || strings.HasPrefix(form, "(?m)%") && !strings.HasPrefix(word, "-") || n > 0 && strings.HasPrefix(words[n-1], "-") && form == `(?m)^%s:` {
			continue
		}
		if !regexp.MustCompile(fmt.Sprintf(form, regexp.QuoteMeta(word))).MatchString(text) {
			return file + " has no " + word
		}
	}
	return ""
}

// testsOfRepository gives the names of all tests and benchmarks, each on a line.
func testsOfRepository(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, pattern := range []string{"cmd/*/*_test.go", "internal/*/*_test.go", "internal/*/*/*_test.go", "internal/storetest/*.go", "deploy/cdk/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`).FindAllSubmatch(text, -1) {
				out.WriteString(string(m[1]) + "\n")
			}
		}
	}
	return out.String()
}

// allPages are the pages of the repository that people read, from its root.
func allPages(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md", "docs/examples/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range more {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, rel)
		}
	}
	return pages
}

// TestLinks checks that links between the pages of the repository lead somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	followed := 0
	for _, page := range allPages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(pageText(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			followed++
			target, anchor, _ := strings.Cut(m[1], "#")
			to := filepath.Join(filepath.Dir(page), target)
			if target == "" {
				to = page
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(pageText(t, to)), anchor) {
				t.Errorf("%s: %s has no heading for the link %s", page, to, m[1])
			}
		}
	}
	if followed < 100 {
		t.Errorf("followed %d links, want 100 or more: is the test still able to see them?", followed)
	}
}

func pageText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors gives what headings are linked by, as hosts of repositories make it.
func anchors(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(plain, " ", "-"))
	}
	return out
}
