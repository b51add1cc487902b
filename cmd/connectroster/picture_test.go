//go:build unix

package main

import (
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// screen is what a terminal shows of what it is sent: the part of ECMA-48 and of
// xterm that the program uses. It has as many rows as are written.
type screen struct {
	rows  [][]cell
	x, y  int
	style style
	width int
}

// cell is a column of a row. The second column of a wide letter has no text.
type cell struct {
	text  string
	style style
}

// style is how a letter looks.
type style struct {
	colour      string // of xterm: a number of its palette; empty: the usual one
	bold, faint bool
}

// obeys matches what a terminal obeys: CSI, then OSC and DCS, then other escapes.
var obeys = regexp.MustCompile(`^\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]P][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z^-~])`)

func (s *screen) write(text string) {
	for text != "" {
		if m := obeys.FindStringSubmatch(text); m != nil {
			if m[2] != "" {
				s.control(m[1], m[2][0])
			}
			text = text[len(m[0]):]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		switch r {
		case '\r':
			s.x = 0
		case '\n':
			s.y++
		case '\b':
			s.x = max(0, s.x-1)
		case '\t':
			s.x = s.x/8*8 + 8
		default:
			if r >= ' ' && r != 0x7f {
				s.put(r)
			}
		}
	}
}

// control obeys a sequence that begins with CSI.
func (s *screen) control(parameters string, final byte) {
	if strings.ContainsAny(parameters, "<=>?") { // of the terminal, and nothing to be seen
		return
	}
	var n []int
	for p := range strings.SplitSeq(parameters, ";") {
		number, _ := strconv.Atoi(p)
		n = append(n, number)
	}
	first := max(1, n[0])
	switch final {
	case 'A':
		s.y = max(0, s.y-first)
	case 'B', 'e':
		s.y += first
	case 'C', 'a':
		s.x += first
	case 'D':
		s.x = max(0, s.x-first)
	case 'E':
		s.x, s.y = 0, s.y+first
	case 'F':
		s.x, s.y = 0, max(0, s.y-first)
	case 'G', '`':
		s.x = first - 1
	case 'd':
		s.y = first - 1
	case 'H', 'f':
		s.x, s.y = 0, first-1
		if len(n) > 1 {
			s.x = max(1, n[1]) - 1
		}
	case 'J':
		s.row(s.y)
		s.rows = s.rows[:s.y+1]
		s.erase(s.x, s.width)
	case 'K':
		s.erase(map[int]int{0: s.x}[n[0]], map[int]int{0: s.width, 1: s.x + 1, 2: s.width}[n[0]])
	case 'X':
		s.erase(s.x, s.x+first)
	case 'P':
		line := s.row(s.y)
		copy(line[min(s.x, len(line)):], line[min(s.x+first, len(line)):])
		s.erase(s.width-first, s.width)
	case 'b':
		if line := s.row(s.y); s.x > 0 {
			for r, _ := utf8.DecodeRuneInString(line[s.x-1].text); first > 0; first-- {
				s.put(r)
			}
		}
	case 'm':
		s.look(n)
	}
}

// look obeys SGR.
func (s *screen) look(n []int) {
	for ; len(n) > 0; n = n[1:] {
		switch code := n[0]; {
		case code == 0:
			s.style = style{}
		case code == 1:
			s.style.bold = true
		case code == 2:
			s.style.faint = true
		case code == 22:
			s.style.bold, s.style.faint = false, false
		case code >= 30 && code <= 37:
			s.style.colour = strconv.Itoa(code - 30)
		case code >= 90 && code <= 97:
			s.style.colour = strconv.Itoa(code - 90 + 8)
		case code == 39:
			s.style.colour = ""
		case (code == 38 || code == 48) && len(n) >= 3 && n[1] == 5:
			if code == 38 {
				s.style.colour = strconv.Itoa(n[2])
			}
			n = n[2:]
		}
	}
}

// row gives a row, with all of its columns.
func (s *screen) row(y int) []cell {
	for len(s.rows) <= y {
		line := make([]cell, s.width)
		for i := range line {
			line[i].text = " "
		}
		s.rows = append(s.rows, line)
	}
	return s.rows[y]
}

func (s *screen) erase(from, to int) {
	line := s.row(s.y)
	for i := max(0, from); i < min(to, s.width); i++ {
		line[i] = cell{text: " "}
	}
}

func (s *screen) put(r rune) {
	n := runeColumns(r)
	if line := s.row(s.y); n == 0 && s.x > 0 { // an accent
		line[s.x-1].text += string(r)
		return
	}
	if s.x+n > s.width {
		s.x, s.y = 0, s.y+1
	}
	line := s.row(s.y)
	line[s.x] = cell{text: string(r), style: s.style}
	for i := 1; i < n; i++ {
		line[s.x+i] = cell{style: s.style}
	}
	s.x += n
}

// cut puts dots in place of the rows from the first that matches up to, and without,
// the next that matches until; nothing: up to the end.
func (s *screen) cut(from, until *regexp.Regexp) error {
	text := func(line []cell) (out string) {
		for _, c := range line {
			out += c.text
		}
		return out
	}
	first := slices.IndexFunc(s.rows, func(line []cell) bool { return from.MatchString(text(line)) })
	if first < 0 {
		return fmt.Errorf("no row matches %s", from)
	}
	n := slices.IndexFunc(s.rows[first:], func(line []cell) bool { return until.MatchString(text(line)) })
	if until.String() == "" {
		n = len(s.rows) - first
	}
	if n < 1 {
		return fmt.Errorf("no row after it matches %s", until)
	}
	dots := (&screen{width: s.width}).row(0)
	for i := range 3 {
		dots[i] = cell{text: ".", style: style{faint: true}}
	}
	s.rows = slices.Replace(s.rows, first, first+n, dots)
	return nil
}

// Sizes of pictures in pixels, and the colours: those of xterm's palette that the
// program uses, on the ground of a terminal. All can be read well on it.
const (
	cellWidth, cellHeight = 8.4, 20
	barHeight, padding    = 38, 22
	ground, ink, dim      = "#161b22", "#e6edf3", "#9198a1"
)

// tints are the colours of xterm's palette.
var tints = map[string]string{
	"1": "#ff7b72", "2": "#56d364", "3": "#e3b341", "4": "#79c0ff", "5": "#d2a8ff", "6": "#76e3ea", "7": ink, "8": dim,
	"9": "#ff7b72", "10": "#56d364", "11": "#e3b341", "12": "#79c0ff", "13": "#d2a8ff", "14": "#76e3ea", "15": "#ffffff",
}

// svg draws a screen as a window under a title. Every word begins at the column of
// its cell and is as wide as its cells, whatever font there is.
func (s *screen) svg(title, about string) (string, error) {
	rows := s.rows
	blank := func(line []cell) bool {
		return !slices.ContainsFunc(line, func(c cell) bool { return c.text != " " && c.text != "" })
	}
	for len(rows) > 0 && blank(rows[len(rows)-1]) {
		rows = rows[:len(rows)-1]
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	width, height := number(float64(s.width)*cellWidth+2*padding), number(float64(len(rows)*cellHeight+barHeight+2*padding-4))
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-labelledby="title about">
<title id="title">%[3]s</title>
<desc id="about">%[4]s</desc>
<rect x="0.5" y="0.5" width="%[5]s" height="%[6]s" rx="10" fill="%[7]s" stroke="#3d444d"/>
<path d="M1 %[8]dH%[5]s" stroke="#3d444d"/>
<circle cx="24" cy="20" r="6" fill="#f47067"/><circle cx="44" cy="20" r="6" fill="#e0b13f"/><circle cx="64" cy="20" r="6" fill="#57ab5a"/>
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace" font-size="14" fill="%[9]s">
<text x="%[10]s" y="25" text-anchor="middle" fill="%[11]s" font-size="13">%[3]s</text>
`, width, height, html.EscapeString(title), html.EscapeString(about), number(float64(s.width)*cellWidth+2*padding-1), number(float64(len(rows)*cellHeight+barHeight+2*padding-5)),
		ground, barHeight, ink, number((float64(s.width)*cellWidth+2*padding)/2), dim)
	for y, line := range rows {
		at := barHeight + padding + cellHeight*y + 13
		for from := 0; from < len(line); {
			if strings.TrimSpace(line[from].text) == "" {
				from++
				continue
			}
			to := from + 1 // a run of one look, up to where two columns are blank
			for to < len(line) && (line[to].style == line[from].style || line[to].text == " ") && (to+1 >= len(line) || line[to].text != " " || line[to+1].text != " ") {
				to++
			}
			text := ""
			for to > from+1 && line[to-1].text == " " {
				to--
			}
			for _, c := range line[from:to] {
				text += c.text
			}
			attributes, err := line[from].style.attributes()
			if err != nil {
				return "", fmt.Errorf("%q: %w", text, err)
			}
			fmt.Fprintf(&out, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`, padding+float64(from)*cellWidth, at, float64(to-from)*cellWidth, attributes, html.EscapeString(text))
			from = to
		}
		if !blank(line) {
			fmt.Fprintln(&out)
		}
	}
	fmt.Fprint(&out, "</g>\n</svg>\n")
	return out.String(), nil
}

func (s style) attributes() (string, error) {
	tint := tints[s.colour]
	if n, _ := strconv.Atoi(s.colour); n >= 232 { // greys, some of which are too dark for anybody
		tint = dim
	} else if n >= 16 { // a cube of 6 by 6 by 6
		part := func(n int) int { return []int{0, 95, 135, 175, 215, 255}[n%6] }
		tint = fmt.Sprintf("#%02x%02x%02x", part((n-16)/36), part((n-16)/6), part(n-16))
	}
	out := ""
	switch {
	case tint != "":
		out += fmt.Sprintf(` fill="%s"`, tint)
	case s.colour != "":
		return "", fmt.Errorf("there is no tint for the colour %s", s.colour)
	case s.faint:
		out += fmt.Sprintf(` fill="%s"`, dim)
	}
	if s.bold {
		out += ` font-weight="700"`
	}
	return out, nil
}

// differs is what is another each time a picture is taken. Where it stands is
// another as well then.
var differs = append([]struct {
	what  *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(` (x|textLength)="[0-9.]+"`), ""},
	{regexp.MustCompile(`\b127\.\d+\.\d+\.\d+:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\bwho[0-9A-Za-z]{17}\b`), "HOOK"},
	{regexp.MustCompile(`\b0oa[0-9A-Za-z]{17}\b`), "APP"},
	{regexp.MustCompile(`\b\d+(\.\d+)?m?s\b`), "DURATION"},
	{regexp.MustCompile(`[a-z.]+@example.com(<.*event -&gt; agent)`), "SOMEBODY$1"}, // who was first
}, masks[:5]...)

func sameEachTime(picture string) string {
	for _, d := range differs {
		picture = d.what.ReplaceAllString(picture, d.shown)
	}
	return picture
}

// picture compares a screen with the picture of it in docs/pictures, but for what
// differs each time. With -update it draws it.
func picture(name, title, about string, s *screen) error {
	drawn, err := s.svg(title, about)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal([]byte(drawn), new(struct{})); err != nil {
		return fmt.Errorf("the picture is no XML: %w", err)
	}
	path := filepath.Join(root, "docs", "pictures", name+".svg")
	if *update {
		return os.WriteFile(path, []byte(drawn), 0o644)
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := func(text string) []string { return strings.Split(sameEachTime(text), "\n") }
	if diff := cmp.Diff(lines(string(stored)), lines(drawn)); diff != "" {
		return fmt.Errorf("docs/pictures/%s.svg is not what there is to see (-picture +real); draw it with: go test ./cmd/connectroster -run TestPictures -update\n%s", name, diff)
	}
	return nil
}

// TestPictures takes the pictures of docs/pictures anew: of what the scripts of
// testdata/pictures have on a terminal.
func TestPictures(t *testing.T) {
	t.Parallel()
	commands := scriptCommands()
	commands["picture"] = scriptPicture
	testscript.Run(t, testscript.Params{Dir: filepath.Join(root, "testdata", "pictures"), RequireExplicitExec: true, Setup: setupScript, Cmds: commands})
}

// scriptPicture is: picture [-cut FROM UNTIL]... NAME ABOUT COMMAND.... It types the
// commands at a terminal and compares what there is to see with the picture of that
// name. Of what is long, the rows from one that matches up to another one are cut out.
func scriptPicture(ts *testscript.TestScript, neg bool, args []string) {
	var cuts [][]string
	for len(args) > 2 && args[0] == "-cut" {
		cuts, args = append(cuts, args[1:3]), args[3:]
	}
	if neg || len(args) < 3 {
		ts.Fatalf("usage: picture [-cut FROM UNTIL]... NAME ABOUT COMMAND...")
	}
	s := &screen{width: 100}
	for n, line := range args[2:] {
		if n > 0 {
			s.write("\r\n")
		}
		s.write("\x1b[2m$\x1b[0m \x1b[1m" + line + "\x1b[0m\r\n")
		words := splitWords(line)
		binary, err := exec.LookPath(words[0])
		ts.Check(err)
		cmd := exec.Command(binary, words[1:]...)
		cmd.Dir = ts.Getenv("WORK")
		cmd.Env = []string{"TERM=xterm-256color", "HOME=" + cmd.Dir, "TMPDIR=" + cmd.Dir}
		for _, name := range []string{"PATH", "OKTA_HOOK_SECRET", "OKTA_API_TOKEN", "AWS_ENDPOINT_URL_CONNECT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 60, Cols: uint16(s.width)})
		ts.Check(err)
		out, _ := io.ReadAll(terminal) // ends with EIO once the program is gone
		_ = cmd.Wait()                 // how it ended is to be seen
		_ = terminal.Close()
		s.write(string(out))
	}
	for _, c := range cuts {
		ts.Check(s.cut(regexp.MustCompile(c[0]), regexp.MustCompile(c[1])))
	}
	title, _, _ := strings.Cut(args[2], " --")
	ts.Check(picture(args[0], title, args[1], s))
}

// TestPictureOfInit takes the picture of the wizard, where it lets one choose from
// what the instance has.
func TestPictureOfInit(t *testing.T) {
	t.Parallel()
	at := sitAt(t, 100, "TERM=xterm-256color")
	for _, answer := range [][2]string{
		{"AWS region of the Amazon Connect instance", "eu-central-1" + keyEnter},
		{"connectroster-sim  (SAML)", keyEnter},
		{"How shall people be known?", keyDown + keyEnter},
		{"Address of the Okta org", at.org + keyEnter},
		{"Where is the API token?", keyEnter},
		{"Amazon Connect app in Okta", keyEnter},
		{"Okta group whose members get the persona agent", keyEnter},
		{"Routing profile of the persona agent", ""},
	} {
		at.see(answer[0])
		at.press(answer[1])
	}
	at.see("> Basic Routing Profile", "Support", "submit")
	s := &screen{width: 100}
	s.write("\x1b[2m$\x1b[0m \x1b[1mconnectroster init --allow-loopback\x1b[0m\r\n" + at.screen())
	if err := picture("init", "connectroster init", "connectroster init has found the instance with its profiles and the groups of the Okta org, and lets one choose a routing profile by its name.", s); err != nil {
		t.Error(err)
	}
	at.press(keyCtrlC)
	at.see("interrupted; nothing was written")
}
