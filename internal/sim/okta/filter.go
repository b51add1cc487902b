package okta

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filter is a parsed SCIM filter (RFC 7644, section 3.4.2.2) as Okta takes it:
// eq ne gt ge lt le sw co ew pr, and, or, not and parentheses. Operators are
// case-insensitive, attribute names are not, strings compare without case.
// An attribute with several values matches when one of them does.
type filter interface {
	match(field lookupFunc) bool
}

// lookupFunc returns an attribute's values; false means that there is no such
// attribute, which then has no value.
type lookupFunc func(path string) ([]any, bool)

type (
	andFilter  struct{ l, r filter }
	orFilter   struct{ l, r filter }
	notFilter  struct{ f filter }
	testFilter struct {
		path, op string
		want     any // string, float64, bool or nil
	}
)

func (f andFilter) match(field lookupFunc) bool { return f.l.match(field) && f.r.match(field) }
func (f orFilter) match(field lookupFunc) bool  { return f.l.match(field) || f.r.match(field) }
func (f notFilter) match(field lookupFunc) bool { return !f.f.match(field) }

func (f testFilter) match(field lookupFunc) bool {
	got, _ := field(f.path)
	switch f.op {
	case "pr":
		return len(got) > 0
	case "ne":
		return !slices.ContainsFunc(got, func(v any) bool { return compare(v, "eq", f.want) })
	case "eq":
		if f.want == nil {
			return len(got) == 0
		}
	}
	return slices.ContainsFunc(got, func(v any) bool { return compare(v, f.op, f.want) })
}

// compare applies an operator to one value of an attribute.
func compare(got any, op string, want any) bool {
	switch g := got.(type) {
	case time.Time:
		s, _ := want.(string)
		w, err := time.Parse(time.RFC3339, s)
		return err == nil && ordered(g.Compare(w), op)
	case string:
		w, ok := want.(string)
		if !ok {
			return false
		}
		if op == "eq" { // the usual one, over the whole log
			return strings.EqualFold(g, w)
		}
		g, w = strings.ToLower(g), strings.ToLower(w)
		switch op {
		case "sw":
			return strings.HasPrefix(g, w)
		case "ew":
			return strings.HasSuffix(g, w)
		case "co":
			return strings.Contains(g, w)
		}
		return ordered(strings.Compare(g, w), op)
	case float64:
		w, ok := want.(float64)
		return ok && (g == w && ordered(0, op) || g < w && ordered(-1, op) || g > w && ordered(1, op))
	case bool:
		return op == "eq" && got == want
	}
	return false
}

func ordered(sign int, op string) bool {
	switch op {
	case "eq":
		return sign == 0
	case "gt":
		return sign > 0
	case "ge":
		return sign >= 0
	case "lt":
		return sign < 0
	case "le":
		return sign <= 0
	}
	return false
}

// values makes an attribute's value list: nothing for null, zero and empty.
func values(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
	case time.Time:
		if v.IsZero() {
			return nil
		}
	case idset:
		out := make([]any, len(v))
		for i, id := range v {
			out[i] = id
		}
		return out
	case []any:
		return v
	}
	return []any{v}
}

var filterOps = []string{"eq", "ne", "gt", "ge", "lt", "le", "sw", "co", "ew", "pr"}

// parseFilter parses s. paths are the attributes it may use, all when nil. A
// mistake is an API error of the given code.
func parseFilter(s, code string, paths []string) (filter, error) {
	p := &filterParser{paths: paths}
	err := p.scan(s)
	var f filter
	if err == nil {
		f, err = p.or()
	}
	if err == nil && len(p.toks) > 0 {
		err = fmt.Errorf("unexpected %q", p.toks[0].text)
	}
	if err != nil {
		return nil, fail(http.StatusBadRequest, code, "Invalid search criteria.", err.Error())
	}
	return f, nil
}

type token struct {
	text string
	str  bool // a quoted string, without its quotes
}

type filterParser struct {
	toks  []token
	paths []string
	depth int
}

func (p *filterParser) scan(s string) error {
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		switch s[0] {
		case '(', ')':
			p.toks = append(p.toks, token{text: s[:1]})
			s = s[1:]
		case '"':
			quoted, err := strconv.QuotedPrefix(s)
			if err != nil {
				return errors.New("unterminated string")
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return fmt.Errorf("bad string %s", quoted)
			}
			p.toks = append(p.toks, token{text, true})
			s = s[len(quoted):]
		default:
			n := strings.IndexAny(s, ` ()"`)
			if n < 0 {
				n = len(s)
			}
			p.toks = append(p.toks, token{text: s[:n]})
			s = s[n:]
		}
	}
	return nil
}

// accept takes the next token when it is the given word.
func (p *filterParser) accept(word string) bool {
	if len(p.toks) == 0 || p.toks[0].str || !strings.EqualFold(p.toks[0].text, word) {
		return false
	}
	p.toks = p.toks[1:]
	return true
}

func (p *filterParser) next() (token, error) {
	if len(p.toks) == 0 {
		return token{}, errors.New("unexpected end")
	}
	t := p.toks[0]
	p.toks = p.toks[1:]
	return t, nil
}

func (p *filterParser) or() (filter, error) {
	l, err := p.and()
	for err == nil && p.accept("or") {
		var r filter
		r, err = p.and()
		l = orFilter{l, r}
	}
	return l, err
}

func (p *filterParser) and() (filter, error) {
	l, err := p.unary()
	for err == nil && p.accept("and") {
		var r filter
		r, err = p.unary()
		l = andFilter{l, r}
	}
	return l, err
}

func (p *filterParser) unary() (filter, error) {
	if p.depth++; p.depth > 100 {
		return nil, errors.New("nested too deep")
	}
	defer func() { p.depth-- }()
	if p.accept("not") {
		f, err := p.unary()
		return notFilter{f}, err
	}
	if p.accept("(") {
		f, err := p.or()
		if err == nil && !p.accept(")") {
			err = errors.New("missing )")
		}
		return f, err
	}
	return p.test()
}

func (p *filterParser) test() (filter, error) {
	path, err := p.next()
	if err != nil {
		return nil, err
	}
	if path.str || path.text == ")" {
		return nil, fmt.Errorf("want an attribute, got %q", path.text)
	}
	if p.paths != nil && !slices.Contains(p.paths, path.text) {
		return nil, fmt.Errorf("attribute %s cannot be filtered", path.text)
	}
	op, err := p.next()
	if err != nil {
		return nil, err
	}
	f := testFilter{path: path.text, op: strings.ToLower(op.text)}
	if op.str || !slices.Contains(filterOps, f.op) {
		return nil, fmt.Errorf("unknown operator %q", op.text)
	}
	if f.op == "pr" {
		return f, nil
	}
	v, err := p.next()
	if err != nil {
		return nil, err
	}
	f.want, err = literal(v)
	return f, err
}

func literal(t token) (any, error) {
	switch {
	case t.str:
		return t.text, nil
	case t.text == "true" || t.text == "false":
		return t.text == "true", nil
	case t.text == "null":
		return nil, nil
	}
	n, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return nil, fmt.Errorf("want a value, got %q", t.text)
	}
	return n, nil
}
