package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/config"
)

const root = "../.."

// TestREADME checks what the README tells people to write and to type.
func TestREADME(t *testing.T) {
	t.Parallel()
	commands := pageText(t, "docs/commands.md") // commands.md is written from the program
	secret := func(string) string { return "a-secret-of-16-or-more" }
	for _, page := range []string{"README.md", "docs/faq.md"} {
		settings := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(pageText(t, page))
		if settings == nil {
			t.Fatalf("%s shows no configuration", page)
		}
		if _, err := config.Parse(page, []byte(strings.ReplaceAll("\n"+settings[1], "\n   ", "\n")), secret); err != nil {
			t.Errorf("the configuration in %s: %v", page, err)
		}
	}
	if found := namedCommands(t, "README.md", commands); found < 8 {
		t.Errorf("the README names %d commands, want 8 or more: is the test still able to see them?", found)
	}
}

// TestPagesNameCommands checks the commands that pages for operators tell people to
// type.
func TestPagesNameCommands(t *testing.T) {
	t.Parallel()
	commands := pageText(t, "docs/commands.md")
	for page, least := range map[string]int{"docs/operations.md": 8, "docs/quickstart.md": 8, "docs/faq.md": 8, "docs/security.md": 2} {
		if found := namedCommands(t, page, commands); found < least {
			t.Errorf("%s names %d commands, want %d or more: is the test still able to see them?", page, found, least)
		}
	}
}

// namedCommands counts the commands that a page names, and tells of those that
// there are not, and of flags that they do not have.
func namedCommands(t *testing.T, page, commands string) int {
	t.Helper()
	found := 0
	for _, m := range regexp.MustCompile("(?m)(?:^|`)(?:sudo -u connectroster )?(?:[A-Z_]+=\\.\\.\\. )*(?:go run \\./cmd/)?connectroster ([^`#\n]+)").FindAllStringSubmatch(pageText(t, page), -1) {
		words := strings.Fields(m[1])
		if words[0] == "help" { // of which commands.md says nothing
			continue
		}
		_, section, ok := strings.Cut(commands, "\n## connectroster "+words[0]+"\n")
		if !ok {
			if code := strings.HasPrefix(m[0], "`") || len(words) == 1; code {
				t.Errorf("%s names connectroster %s, which there is not", page, words[0])
			}
			continue // prose, and what dev prints
		}
		found++
		section, _, _ = strings.Cut(section, "\n## ")
		for _, word := range words[1:] {
			if strings.HasPrefix(word, "--") && !regexp.MustCompile(regexp.QuoteMeta(word)+`\b`).MatchString(section) {
				t.Errorf("%s gives connectroster %s the flag %s, which it does not have", page, words[0], word)
			}
		}
	}
	return found
}

// TestLinks checks that links between the pages of the repository lead somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
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
	followed := 0
	for _, page := range pages {
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
