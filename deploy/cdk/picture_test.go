package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPicture sees that the picture of docs/aws.md is drawn from its text. With
// -update it draws it.
func TestPicture(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join("..", "..", "docs", "aws-picture.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := draw(string(source))
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(want), new(struct{})); err != nil {
		t.Fatalf("the picture is no XML: %v", err)
	}
	path := filepath.Join("..", "..", "docs", "aws-picture.svg")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/aws-picture.svg is not what docs/aws-picture.txt says (%v); draw it with: go test . -run TestPicture -update", err)
	}
}

// Sizes of the picture, in pixels.
const (
	boxWidth, boxHeight = 150, 52
	columnWidth         = 230
	rowHeight           = 92
	margin              = 20
)

// placed is a box.
type placed struct{ x, y float64 } // its middle

// draw makes an SVG of the text.
func draw(source string) (string, error) {
	colours := map[string]string{"aws": "#fff4e0", "function": "#e4f1e4", "other": "#e6ecf7"}
	boxes := map[string]placed{}
	var shapes, lines, labels strings.Builder
	columns, rows := 0, 0
	for n, row := range strings.Split(source, "\n") {
		words := strings.Fields(row)
		if len(words) == 0 || strings.HasPrefix(row, "#") {
			continue
		}
		fault := func(text string) error { return fmt.Errorf("line %d: %s: %s", n+1, text, row) }
		switch {
		case words[0] == "box" && len(words) > 5:
			column, err := strconv.Atoi(words[2])
			if err != nil {
				return "", fault("no column")
			}
			line, err := strconv.Atoi(words[3])
			if err != nil {
				return "", fault("no row")
			}
			colour, ok := colours[words[4]]
			if !ok {
				return "", fault("no such kind")
			}
			columns, rows = max(columns, column+1), max(rows, line+1)
			b := placed{margin + float64(column*columnWidth) + boxWidth/2, margin + float64(line*rowHeight) + boxHeight/2}
			boxes[words[1]] = b
			title, small, _ := strings.Cut(strings.Join(words[5:], " "), " | ")
			fmt.Fprintf(&shapes, `<rect x="%g" y="%g" width="%d" height="%d" rx="6" fill="%s" stroke="#555"/>`+"\n", b.x-boxWidth/2, b.y-boxHeight/2, boxWidth, boxHeight, colour)
			fmt.Fprintf(&shapes, `<text x="%g" y="%g" font-weight="bold">%s</text>`+"\n", b.x, b.y-4, escaped(title))
			fmt.Fprintf(&shapes, `<text x="%g" y="%g" font-size="11">%s</text>`+"\n", b.x, b.y+13, escaped(small))
		case (words[0] == "arrow" || words[0] == "line") && len(words) > 2:
			from, ok := boxes[words[1]]
			to, too := boxes[words[2]]
			if !ok || !too {
				return "", fault("no such box")
			}
			a, b := edge(from, to), edge(to, from)
			dash := ""
			if words[0] == "line" {
				dash = ` stroke-dasharray="5 4"`
			}
			fmt.Fprintf(&lines, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="#555" marker-end="url(#tip)"%s/>`+"\n", a.x, a.y, b.x, b.y, dash)
			if text := strings.Join(words[3:], " "); text != "" {
				fmt.Fprintf(&labels, `<text x="%.0f" y="%.0f" font-size="10" fill="#444" stroke="#fff" stroke-width="3" paint-order="stroke">%s</text>`+"\n", (a.x+b.x)/2, (a.y+b.y)/2-4, escaped(text))
			}
		default:
			return "", fault("neither a box nor an arrow")
		}
	}
	width, height := 2*margin+(columns-1)*columnWidth+boxWidth, 2*margin+(rows-1)*rowHeight+boxHeight
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" text-anchor="middle" role="img" aria-label="connectroster on AWS">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>
<rect width="%d" height="%d" fill="#fff"/>
%s%s%s</svg>
`, width, height, width, height, lines.String(), shapes.String(), labels.String()), nil
}

// edge is where the line from the middle of one box to that of another leaves it.
func edge(from, to placed) placed {
	dx, dy := to.x-from.x, to.y-from.y
	share := min(boxWidth/2/math.Max(math.Abs(dx), 1), boxHeight/2/math.Max(math.Abs(dy), 1))
	return placed{from.x + dx*share, from.y + dy*share}
}

func escaped(text string) string {
	var out strings.Builder
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		panic(err) // a strings.Builder takes anything
	}
	return out.String()
}
