package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// Widths of lines, in columns.
const (
	usualWidth = 100 // where there is no terminal
	leastWidth = 40
)

// printer prints for people: in colours if there is a terminal, within its width,
// and with nothing in the text that a terminal would obey.
type printer struct {
	out     *bufio.Writer
	raw     io.Writer
	colours bool
	width   int
}

// newPrinter makes a printer. The colours are auto, always or never.
func newPrinter(out io.Writer, colours string) (*printer, error) {
	p := &printer{out: bufio.NewWriter(out), raw: out, width: widthOf(out)}
	switch colours {
	case "auto":
		p.colours = wantsColours(out)
	case "always":
		p.colours = true
	case "never":
	default:
		return nil, usage("--color %q: want auto, always or never", colours)
	}
	return p, nil
}

// wantsColours tells whether there is a terminal on which somebody wants colours.
func wantsColours(out io.Writer) bool {
	return isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (p *printer) flush() error { return p.out.Flush() }

// widthOf is how many columns there are: as COLUMNS says, or the terminal.
func widthOf(out io.Writer) int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || n <= 0 {
		n = usualWidth
		if f, ok := out.(*os.File); ok {
			if columns := terminalWidth(f); columns > 0 {
				n = columns
			}
		}
	}
	return max(n, leastWidth)
}

// colour is an attribute of text: a parameter of SGR, ECMA-48.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	faint  colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	cyan   colour = "36"
)

// paint gives the text in a colour, harmless.
func (p *printer) paint(c colour, text string) string {
	text = sanitize(text)
	if !p.colours || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// line prints one line, made of text that was painted.
func (p *printer) line(painted ...string) {
	fmt.Fprintln(p.out, strings.Join(painted, ""))
}

// text prints harmless text in a colour, wrapped at words and indented. The first
// line begins with the lead in place of the indent.
func (p *printer) text(c colour, lead string, indent int, text string) {
	room := max(p.width-indent, 20)
	for i, row := range wrap(sanitize(text), room) {
		begin := strings.Repeat(" ", indent)
		if i == 0 && lead != "" {
			begin = lead + strings.Repeat(" ", max(0, indent-columns(lead)))
		}
		p.line(begin, p.paint(c, row))
	}
}

// head prints the cells of a row one after the other, and goes on below where
// the next one has no room.
func (p *printer) head(indent int, r row) {
	var line strings.Builder
	at := 0
	for i, cell := range r.cells {
		width := columns(sanitize(cell))
		switch {
		case at > 0 && at+2+width > p.width:
			p.line(line.String())
			line.Reset()
			line.WriteString(strings.Repeat(" ", indent))
			at = indent
		case at > 0:
			line.WriteString("  ")
			at += 2
		}
		line.WriteString(p.paint(r.colours[min(i, len(r.colours)-1)], cell))
		at += width
	}
	p.line(line.String())
}

// json prints v, without what a terminal would obey.
func (p *printer) json(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = p.out.WriteString(sanitizeJSON(string(text)) + "\n")
	return err
}

// row is a row of a table; its cells are cut where they cannot fit, the last one wraps.
type row struct {
	cells   []string
	colours []colour
}

// table prints rows in columns, which are as wide as they need to be: what is cut cannot be
// typed. Only where they do not fit so into a line they get up to a third of it each.
func (p *printer) table(indent int, rows []row) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(sanitize(cell)))
		}
	}
	needed := indent
	for _, w := range widths[:max(len(widths)-1, 0)] {
		needed += w + 2
	}
	if needed-2 > p.width {
		for i := range widths {
			widths[i] = min(widths[i], max(p.width/3, 12))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		at := indent
		line.WriteString(strings.Repeat(" ", indent))
		for i, cell := range r.cells {
			c := plain
			if i < len(r.colours) {
				c = r.colours[i]
			}
			if i == len(r.cells)-1 {
				if room := p.width - at; room >= 20 || at == indent {
					p.lastCell(line.String(), at, c, cell)
				} else {
					p.line(strings.TrimRight(line.String(), " "))
					p.text(c, "", indent+4, cell)
				}
				break
			}
			cut := cutTo(sanitize(cell), widths[i])
			line.WriteString(p.paint(c, cut) + strings.Repeat(" ", widths[i]-columns(cut)+2))
			at += widths[i] + 2
		}
	}
}

func (p *printer) lastCell(begin string, at int, c colour, cell string) {
	rows := wrap(sanitize(cell), max(p.width-at, 20))
	if len(rows) == 0 {
		p.line(strings.TrimRight(begin, " "))
	}
	for i, text := range rows {
		if i > 0 {
			begin = strings.Repeat(" ", at)
		}
		p.line(begin, p.paint(c, text))
	}
}

// obeyed reports whether a terminal obeys a rune, or lets it change how others
// are read: controls, and what turns the direction of text round.
func obeyed(r rune) bool {
	switch {
	case unicode.IsControl(r):
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e', r == '\u200f', r == '\u061c':
		return true
	case r == '\u2028', r == '\u2029', r == '\ufeff', r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

// sanitize writes out what a terminal would obey. The names of people come from
// elsewhere.
func sanitize(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return obeyed(r) || r == unicode.ReplacementChar }) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if !obeyed(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

// sanitizeJSON does so within JSON that encoding/json has written, where such
// runes stand in texts alone.
func sanitizeJSON(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || !obeyed(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// columns is how many columns a terminal gives a text.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cutTo shortens a text to so many columns.
func cutTo(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	n := 0
	for i, r := range text {
		if n += runeColumns(r); n > most-1 {
			return text[:i] + "…"
		}
	}
	return text
}

// wrap breaks a text at spaces into lines of at most so many columns. A word that
// is longer is broken.
func wrap(text string, most int) []string {
	var lines []string
	line, at := "", 0
	for word := range strings.FieldsSeq(text) {
		if n := columns(word); at > 0 && at+1+n <= most {
			line, at = line+" "+word, at+1+n
			continue
		}
		if at > 0 {
			lines = append(lines, line)
		}
		for columns(word) > most {
			head := strings.TrimSuffix(cutTo(word, most+1), "…")
			lines, word = append(lines, head), word[len(head):]
		}
		line, at = word, columns(word)
	}
	if at > 0 {
		lines = append(lines, line)
	}
	return lines
}

// moment writes a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// approximately writes about how long something takes.
func approximately(seconds float64) string {
	if seconds < 1 {
		return lasting(seconds)
	}
	return "about " + lasting(seconds)
}

// lasting writes a number of seconds for people.
func lasting(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return "a moment"
	case d < time.Minute:
		return count(int(d.Round(time.Second)/time.Second), "second", "seconds")
	case d < time.Hour:
		return count(int(d.Round(time.Minute)/time.Minute), "minute", "minutes")
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
