package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth is how deep a file may nest. The deepest key of ours is four deep.
const maxDepth = 50

// parse gives the root of the file's only document. It is nil when the file is
// empty or was not understood; then partial tells that what it gives is only
// the part before the fault.
func (r *reader) parse(data []byte) (root *yaml.Node, partial bool) {
	start := place{1, 1}
	if len(data) > maxFile {
		r.whole(start, "is larger than 1 MiB", "a configuration is a small file; is this the right one?")
		return nil, true
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r.src.lines = splitLines(string(data))
	if c, at := charactersFault(data); c.problem != "" {
		r.src.lines = splitLines(strings.ToValidUTF8(string(data), "\ufffd"))
		r.src.syntax = true
		r.findings(at, "", c)
		return nil, true
	}
	documents, fault := load(data)
	if fault != nil {
		r.src.syntax = true
		r.findings(r.src.lastWritten(fault.at), "", fault.what)
		for _, line := range []int{fault.at.line, fault.began} {
			if len(documents) == 0 {
				documents, _ = load(before(data, r.src.lines, line))
			}
		}
		partial = true
	}
	if len(documents) > 1 {
		r.src.syntax = true
		r.findings(placeOf(documents[1]), "", complaint{
			"a second document begins here; want one configuration in a file", "remove this --- and what follows, or put it in a file of its own"})
	}
	if len(documents) == 0 || len(documents[0].Content) == 0 || isNull(documents[0].Content[0]) {
		if !partial {
			r.whole(start, "is empty", "the smallest configuration has name, policy, connect.instance, routing_profile and security_profiles")
		}
		return nil, partial
	}
	return documents[0].Content[0], partial
}

// syntaxFault is what the YAML parser stumbled over.
type syntaxFault struct {
	at    place
	began int // the line of what was being read, or 0
	what  complaint
}

// load parses at most two documents, enough to tell that there is more than
// one.
func load(data []byte) (documents []*yaml.Node, fault *syntaxFault) {
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	for err == nil && len(documents) < 2 {
		node := new(yaml.Node)
		if err = loader.Load(node); err == nil {
			documents = append(documents, node)
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		return documents, nil
	}
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return documents, &syntaxFault{what: complaint{"is not YAML", ""}}
	}
	at := place{le.Mark.Line, le.Mark.Column}
	if strings.Contains(le.Message, "end of stream") && le.ContextMark.Line > 0 {
		at = place{le.ContextMark.Line, le.ContextMark.Column}
	}
	return documents, &syntaxFault{at: at, began: le.ContextMark.Line, what: explain(le, data)}
}

// explain says what the parser's complaint means to a person, without anything
// that the file holds.
func explain(le *yaml.LoadError, data []byte) complaint {
	lines := splitLines(string(data))
	if n := le.Mark.Line; n >= 1 && n <= len(lines) {
		for _, c := range lines[n-1] {
			if c == '\t' {
				return complaint{"a tab indents this line; YAML wants spaces", "replace the tab by spaces"}
			}
			if c != ' ' {
				break
			}
		}
	}
	opened := ""
	if le.ContextMark.Line > 0 && le.ContextMark.Line != le.Mark.Line {
		opened = fmt.Sprintf("it began on line %d", le.ContextMark.Line)
	}
	message := le.Message
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		return complaint{"* refers to an anchor that is nowhere above", "text that begins with * needs quotes"}
	case strings.Contains(message, "mapping values are not allowed"):
		return complaint{"a second colon, or a key that is indented further than the one above", "text with a colon and a space in it needs quotes"}
	case strings.Contains(message, "depth"):
		return complaint{fmt.Sprintf("is nested more than %d deep", maxDepth), ""}
	case strings.Contains(message, "cannot start any token"):
		return complaint{"text cannot begin with this character", "put the text in quotes"}
	case strings.Contains(message, "unexpected end of stream"):
		return complaint{"this begins text with quotes that does not end", "close the quotes"}
	case strings.Contains(message, "',' or ']'"):
		return complaint{"want , or ] here", opened}
	case strings.Contains(message, "',' or '}'"):
		return complaint{"want , or } here", opened}
	case strings.Contains(message, "expected node content"):
		return complaint{"want a value here", opened}
	case strings.Contains(message, "expected key"):
		return complaint{"want a key of the same indentation as those above", opened}
	case strings.Contains(message, "'-' indicator"):
		return complaint{"want - here, for the next entry of the list above", opened}
	}
	return complaint{"is not YAML: " + message, opened}
}

// lastWritten moves a place that is beyond the end of the text to that end.
func (s *source) lastWritten(at place) place {
	line := min(at.line, len(s.lines))
	for line > 1 && strings.TrimSpace(string(s.lines[line-1])) == "" {
		line--
	}
	if line == at.line || line < 1 {
		return at
	}
	return place{line, len(s.lines[line-1]) + 1}
}

// before gives the whole top-level entries that end above a line, which can be
// judged even though the line cannot be read.
func before(data []byte, lines [][]rune, line int) []byte {
	last := 0
	for i, text := range lines[:min(max(line, 1), len(lines))] {
		if len(text) > 0 && !strings.ContainsRune(" \t#-]}", text[0]) {
			last = i
		}
	}
	rest := string(data)
	for range last {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return data[:len(data)-len(rest)]
}

// charactersFault finds the first byte that no configuration may have.
func charactersFault(data []byte) (complaint, place) {
	at := place{1, 1}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return complaint{fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8"}, at
		case c == '\n':
			at = place{at.line + 1, 0}
		case c < ' ' && c != '\t' && c != '\r', c == 0x7f, c >= 0x80 && c < 0xa0 && c != 0x85, c == 0xfffe, c == 0xffff:
			return complaint{fmt.Sprintf("character U+%04X is not allowed in YAML", c), "remove it"}, at
		}
		at.column++
		i += size
	}
	return complaint{}, place{}
}

// isNull tells whether a node says nothing.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

// hide keeps a node and all below it out of every excerpt, but not what an
// alias refers to.
func (r *reader) hide(n *yaml.Node) {
	if n == nil || r.hidden[n] {
		return
	}
	r.hidden[n] = true
	for _, child := range n.Content {
		r.hide(child)
	}
}

// findHidden turns hidden nodes into columns of lines. The parser says where a
// value begins but not where it ends, so one that is not written plainly is
// hidden up to the beginning of the next.
func (r *reader) findHidden(root *yaml.Node) {
	s := &r.src
	s.hidden, s.ends = map[int]spans{}, map[int]int{}
	leaves := leavesOf(root, nil)
	for i, n := range leaves {
		from := placeOf(n)
		end, plain := s.plainEnd(n)
		if plain {
			s.ends[n.Line] = max(s.ends[n.Line], end)
		}
		switch {
		case !r.hidden[n]:
		case plain:
			s.hidden[n.Line] = append(s.hidden[n.Line], [2]int{n.Column, end})
		case i+1 < len(leaves):
			s.hideUntil(from, placeOf(leaves[i+1]))
		default:
			s.hideUntil(from, place{len(s.lines) + 1, 1})
		}
	}
}

// leavesOf gives the values and keys below a node in the order of the file.
func leavesOf(n *yaml.Node, leaves []*yaml.Node) []*yaml.Node {
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		return append(leaves, n)
	}
	for _, child := range n.Content {
		leaves = leavesOf(child, leaves)
	}
	return leaves
}

// plainEnd gives the column after a value that stands in the file to the
// letter.
func (s *source) plainEnd(n *yaml.Node) (column int, ok bool) {
	if n.Line < 1 || n.Line > len(s.lines) || n.Value == "" {
		return n.Column, n.Value == "" && isNull(n)
	}
	line := s.lines[n.Line-1]
	if n.Column < 1 || n.Column > len(line) {
		return 0, false
	}
	written := n.Value
	switch {
	case n.Kind == yaml.AliasNode:
		written = "*" + written
	case n.Style&yaml.DoubleQuotedStyle != 0:
		written = `"` + written + `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		written = "'" + written + "'"
	case n.Style != 0:
		return 0, false
	}
	rest, length := line[n.Column-1:], utf8.RuneCountInString(written)
	if length > len(rest) || string(rest[:length]) != written {
		return 0, false
	}
	return n.Column + length, true
}

// hideUntil hides the text from one place to before another.
func (s *source) hideUntil(from, to place) {
	for line := from.line; line <= min(to.line, len(s.lines)); line++ {
		r := [2]int{1, len(s.lines[line-1]) + 1}
		if line == from.line {
			r[0] = from.column
		}
		if line == to.line {
			r[1] = to.column
		}
		s.hidden[line] = append(s.hidden[line], r)
	}
}
