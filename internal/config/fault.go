package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPrinted is how many faults Error prints before it only counts.
const maxPrinted = 50

// Fault is one thing that is wrong with a configuration, and where. It never
// shows a secret.
type Fault struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Key     string // as in connect.instance or rules[0].groups; empty: the file as a whole
	Problem string // what is wrong, and what was expected
	Hint    string // what was probably meant, or what to do; may be empty
	Excerpt string // the line with a caret below it; may be empty
}

// String gives the fault as a line for compilers and editors, followed by the
// excerpt.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", printable(f.File), f.Line, f.Column)
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	if f.Excerpt != "" {
		b.WriteString("\n" + f.Excerpt)
	}
	return b.String()
}

// Faults are all that is wrong with a configuration, in the order of its lines.
type Faults []Fault

// Error gives all faults, or as many as a person may want to read.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f))
	for _, fault := range f[:min(len(f), maxPrinted)] {
		lines = append(lines, fault.String())
	}
	if more := len(f) - maxPrinted; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// place is a position in the file, from 1, in characters. The zero place is
// nowhere.
type place struct{ line, column int }

// complaint is what is wrong with a value: the zero complaint is none.
type complaint struct{ problem, hint string }

// err is nil where there is nothing to complain of.
func (c complaint) err() error {
	switch {
	case c.problem == "":
		return nil
	case c.hint == "":
		return errors.New(c.problem)
	}
	return errors.New(c.problem + "; " + c.hint)
}

// finding is a fault before its excerpt is drawn. That waits until it is known
// what must not be shown.
type finding struct {
	at   place
	key  string
	what complaint
	bare bool // no line to show
}

// source is the text of a configuration, and what of it must not be shown.
type source struct {
	file   string
	lines  [][]rune
	syntax bool          // not understood, so nothing in it is known to be harmless
	hidden map[int]spans // by line
	ends   map[int]int   // by line, the column after its last understood value
}

// spans are column ranges, from 1, the end excluded.
type spans [][2]int

func (s spans) cover(column int) bool {
	return slices.ContainsFunc(s, func(r [2]int) bool { return r[0] <= column && column < r[1] })
}

// render sorts findings by line, and draws the excerpts of those that are
// printed.
func (s *source) render(findings []finding) Faults {
	slices.SortStableFunc(findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column), cmp.Compare(a.key, b.key))
	})
	faults := make(Faults, 0, len(findings))
	for i, f := range slices.Compact(findings) {
		fault := Fault{File: s.file, Line: max(f.at.line, 1), Column: max(f.at.column, 1),
			Key: f.key, Problem: f.what.problem, Hint: f.what.hint}
		if !f.bare && i < maxPrinted {
			fault.Excerpt = s.excerpt(f.at)
		}
		faults = append(faults, fault)
	}
	return faults
}

// excerpt draws the line of a place with a caret below it.
func (s *source) excerpt(at place) string {
	if at.line < 1 || at.line > len(s.lines) {
		return ""
	}
	line := s.lines[at.line-1]
	hidden := s.hidden[at.line]
	if s.syntax {
		hidden = unknownWords(line)
	} else {
		line = s.withoutComment(line, at.line)
	}
	text, caret := mask(line, append(slices.Clone(hidden), credentials(line)...), at.column)
	number := fmt.Sprintf("%5d | ", at.line)
	return number + printable(strings.TrimRight(string(text), " \t")) + "\n" +
		strings.Repeat(" ", len(number)-2) + "| " + strings.Repeat(" ", caret) + "^"
}

// withoutComment drops what follows the last value of a line.
func (s *source) withoutComment(line []rune, number int) []rune {
	end := s.ends[number]
	for i := max(end-1, 1); end > 0 && i < len(line); i++ {
		if line[i] == '#' && unicode.IsSpace(line[i-1]) {
			return line[:i]
		}
	}
	return line
}

// userinfo is what an address holds of a user and a password. Source: RFC 3986,
// section 3.2.1.
var userinfo = regexp.MustCompile(`://([^\s/?#"'@][^\s/?#"']*)@`)

// credentials finds the users and passwords of addresses in a line.
func credentials(line []rune) (found spans) {
	text := string(line)
	for _, at := range userinfo.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, [2]int{1 + utf8.RuneCountInString(text[:at[2]]), 1 + utf8.RuneCountInString(text[:at[3]])})
	}
	return found
}

// mask puts three stars in the place of each hidden span, and says before how
// many characters of the result the column stands.
// Only what is near the column is kept of a long line.
func mask(line []rune, hidden spans, column int) (text []rune, caret int) {
	const near = 500
	from, to := max(0, column-near), min(len(line), column+near)
	if from > 0 {
		text = append(text, '…')
	}
	hidden = slices.DeleteFunc(slices.Clone(hidden), func(r [2]int) bool { return r[1] <= from || r[0] > to })
	masking := false
	for i, c := range line[:max(from, to)] {
		if i < from {
			continue
		}
		if i+1 == column {
			caret = len(text)
			if masking && hidden.cover(column) {
				caret = len(text) - 1
			}
		}
		if !hidden.cover(i + 1) {
			text, masking = append(text, c), false
			continue
		}
		if !masking {
			text, masking = append(text, []rune("***")...), true
		}
	}
	if column > len(line) {
		caret = len(text)
	}
	return window(text, caret)
}

// window keeps the part of a long line that is near the caret.
func window(text []rune, caret int) ([]rune, int) {
	const before, width = 60, 100
	if len(text) > width && caret > before {
		cut := caret - before
		text, caret = append([]rune("…"), text[cut:]...), before+1
	}
	if len(text) > width {
		text = append(slices.Clone(text[:width]), '…')
	}
	return text, caret
}

// printable makes text safe for a terminal: one character for each.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c), unicode.Is(unicode.Zl, c), unicode.Is(unicode.Zp, c):
			return unicode.ReplacementChar
		}
		return c
	}, s)
}

// unknownWords finds all of a line that is neither a key nor punctuation, for a
// line of which nobody knows whether it holds a secret.
func unknownWords(line []rune) spans {
	const separators = " \t,[]{}\"'"
	known := knownKeys()
	var found spans
	for start := 0; start < len(line); {
		if strings.ContainsRune(separators, line[start]) {
			start++
			continue
		}
		end := start
		for end < len(line) && !strings.ContainsRune(separators, line[end]) {
			end++
		}
		word := string(line[start:end])
		if !known[strings.TrimSuffix(word, ":")] && (end-start > 3 || strings.ContainsFunc(word, wordRune)) {
			found = append(found, [2]int{start + 1, end + 1})
		}
		start = end
	}
	return found
}

func wordRune(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// splitLines splits as YAML does.
func splitLines(text string) [][]rune {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	var lines [][]rune
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}
