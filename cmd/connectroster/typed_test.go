package main

import (
	"regexp"
	"slices"
	"strings"
)

// typed is something that a page tells people to type, as it stands there.
type typed struct {
	line  string
	block string // what its block is called: sh, console or nothing; "text" between backticks
}

// typedIn gives what a page tells people to type, in its order: the lines of its blocks
// for a shell, those of what is set in by four spaces, and what stands between backticks.
func typedIn(text string) (found []typed) {
	var prose, lines []string
	fence, hidden := "", false
	take := func(kind string) {
		for line := range strings.Lines(regexp.MustCompile(`\\\n\s*`).ReplaceAllString(strings.Join(lines, "\n"), "")) {
			line = strings.TrimSpace(line)
			if prompted, ok := strings.CutPrefix(line, "$ "); ok {
				line = prompted
			} else if kind == "console" {
				continue // what is printed
			}
			line, _, _ = strings.Cut(line, " #")
			line, _, _ = strings.Cut(line, "  ") // what it does
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				found = append(found, typed{line, kind})
			}
		}
		lines = nil
	}
	flush := func() {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.Join(prose, "\n"), -1) {
			found = append(found, typed{strings.Join(strings.Fields(m[1]), " "), "text"})
		}
		prose = nil
	}
	blank := true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		mark, opens := strings.CutPrefix(strings.TrimSpace(line), "```")
		setIn := strings.HasPrefix(line, "    ")
		switch {
		case fence == "" && strings.HasPrefix(line, "<!--"):
			hidden = !strings.Contains(line, "-->")
		case hidden:
			hidden = !strings.Contains(line, "-->")
		case fence != "" && opens:
			if slices.Contains([]string{"", "sh", "console"}, fence[1:]) {
				take(fence[1:])
			}
			fence, lines, blank = "", nil, true
		case opens:
			flush()
			fence, lines = " "+mark, nil
		case fence != "":
			lines = append(lines, line)
		case strings.TrimSpace(line) == "":
			take("")
			flush()
			blank = true
		case setIn && blank || len(lines) > 0:
			lines = append(lines, line)
			prose = append(prose, line)
		default:
			prose, blank = append(prose, line), false
		}
	}
	take("")
	flush()
	return found
}

// typedLines gives each command that a page tells people to type, without what a pipe
// or another command follows with.
func typedLines(text string) (out []string) {
	for _, one := range typedIn(text) {
		for part := range strings.SplitSeq(one.line, " && ") {
			part = regexp.MustCompile(`\s+(2?>|<|\||;|&).*$`).ReplaceAllString(part, "")
			out = append(out, strings.ReplaceAll(strings.TrimSpace(part), "; echo $?", ""))
		}
	}
	return out
}

// withoutSudo takes away what only says as whom, and with which variables, a program is
// run, and makes one word of the program that go run runs.
func withoutSudo(words []string) []string {
	for len(words) > 0 {
		switch {
		case words[0] == "sudo", strings.HasPrefix(words[0], "-") && words[0] != "-u" && words[0] != "--", regexp.MustCompile(`^[A-Z_0-9]+=`).MatchString(words[0]):
			words = words[1:]
		case words[0] == "-u" && len(words) > 1:
			words = words[2:]
		case strings.Join(words[:min(3, len(words))], " ") == "go run ./cmd/connectroster":
			return append([]string{"connectroster"}, words[3:]...)
		default:
			return words
		}
	}
	return words
}
