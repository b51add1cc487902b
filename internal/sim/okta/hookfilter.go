package okta

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// hookFilter is a parsed event-hook filter: the part of Okta's expression
// language that help.okta.com "Event hook filters" allows. It knows
// event.eventType, event.outcome.reason and .result, event.actor.id, .type,
// .alternateId and .displayName, event.debugData.changedAttributes, and
// projections over the targets:
//
//	event.target.?[type eq 'UserGroup' && id eq '00g1'].size()>0
//
// Both tests in one projection must hold for the same target; two projections
// joined by && may each be satisfied by a different one.
type hookFilter func(*event) bool

// operand yields a string of the event, or of one of its targets in a projection.
type operand func(*event, *target) string

type elParser struct {
	toks  []elToken
	depth int
}

type elToken struct {
	kind byte // 'w' word, 's' string, 'n' number, 'o' operator or bracket
	text string
}

// parseHookFilter parses an expression; the error says what is wrong with it.
func parseHookFilter(s string) (hookFilter, error) {
	toks, err := scanEL(s)
	if err != nil {
		return nil, err
	}
	p := &elParser{toks: toks}
	cond, err := p.or(false)
	if err == nil && len(p.toks) > 0 {
		err = fmt.Errorf("unexpected %q", p.toks[0].text)
	}
	if err != nil {
		return nil, err
	}
	return func(e *event) bool { return cond(e, nil) }, nil
}

func scanEL(s string) ([]elToken, error) {
	var toks []elToken
	for i := 0; i < len(s); {
		rest := s[i:]
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'' || c == '"':
			text, n, ok := quotedEL(rest)
			if !ok {
				return nil, errors.New("unterminated string")
			}
			toks = append(toks, elToken{'s', text})
			i += n
		case isWord(c):
			n := 1
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
			kind := byte('w')
			if c >= '0' && c <= '9' {
				kind = 'n'
			}
			toks = append(toks, elToken{kind, rest[:n]})
			i += n
		default:
			op := ""
			for _, known := range []string{".?[", "&&", "||", "==", "!=", ">=", "<=", ">", "<", "!", "(", ")", "]", ".", ","} {
				if strings.HasPrefix(rest, known) {
					op = known
					break
				}
			}
			if op == "" {
				return nil, fmt.Errorf("unexpected character %q", c)
			}
			toks = append(toks, elToken{'o', op})
			i += len(op)
		}
	}
	return toks, nil
}

// quotedEL reads a quoted string; a doubled quote stands for the quote itself.
func quotedEL(s string) (text string, n int, ok bool) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (p *elParser) accept(kind byte, texts ...string) (string, bool) {
	if len(p.toks) == 0 || p.toks[0].kind != kind || len(texts) > 0 && !slices.Contains(texts, p.toks[0].text) {
		return "", false
	}
	t := p.toks[0].text
	p.toks = p.toks[1:]
	return t, true
}

func (p *elParser) need(kind byte, texts ...string) (string, error) {
	if t, ok := p.accept(kind, texts...); ok {
		return t, nil
	}
	got := "the end"
	if len(p.toks) > 0 {
		got = strconv.Quote(p.toks[0].text)
	}
	return "", fmt.Errorf("want %s, got %s", strings.Join(texts, " or "), got)
}

type elCond func(*event, *target) bool

// or parses a condition; inTarget says that it stands inside a projection.
func (p *elParser) or(inTarget bool) (elCond, error) {
	l, err := p.and(inTarget)
	for err == nil {
		if _, ok := p.accept('o', "||"); !ok {
			break
		}
		var r elCond
		r, err = p.and(inTarget)
		a := l
		l = func(e *event, t *target) bool { return a(e, t) || r(e, t) }
	}
	return l, err
}

func (p *elParser) and(inTarget bool) (elCond, error) {
	l, err := p.test(inTarget)
	for err == nil {
		if _, ok := p.accept('o', "&&"); !ok {
			break
		}
		var r elCond
		r, err = p.test(inTarget)
		a := l
		l = func(e *event, t *target) bool { return a(e, t) && r(e, t) }
	}
	return l, err
}

func (p *elParser) test(inTarget bool) (elCond, error) {
	if p.depth++; p.depth > 100 {
		return nil, errors.New("nested too deep")
	}
	defer func() { p.depth-- }()
	if _, ok := p.accept('o', "("); ok {
		c, err := p.or(inTarget)
		if err == nil {
			_, err = p.need('o', ")")
		}
		return c, err
	}
	if inTarget {
		name, err := p.need('w', "id", "type", "alternateId", "displayName")
		if err != nil {
			return nil, err
		}
		return p.equality(func(_ *event, t *target) string { return (*actor)(t).field(name) })
	}
	if _, err := p.need('w', "event"); err != nil {
		return nil, err
	}
	if _, ok := p.accept('o', "."); !ok {
		return nil, errors.New("want a field of event")
	}
	return p.eventTest()
}

func (p *elParser) eventTest() (elCond, error) {
	name, err := p.need('w', "eventType", "outcome", "actor", "debugData", "target")
	if err != nil {
		return nil, err
	}
	var get operand
	switch name {
	case "target":
		return p.projection()
	case "eventType":
		get = func(e *event, _ *target) string { return e.kind }
	case "outcome":
		get, err = p.member(map[string]operand{
			"result": func(e *event, _ *target) string { return e.outcome.Result },
			"reason": func(e *event, _ *target) string { return e.outcome.Reason },
		})
	case "debugData":
		get, err = p.member(map[string]operand{
			"changedAttributes": func(e *event, _ *target) string { return e.debug["changedAttributes"] },
		})
	case "actor":
		fields := map[string]operand{}
		for _, f := range []string{"id", "type", "alternateId", "displayName"} {
			fields[f] = func(e *event, _ *target) string { return e.actor.field(f) }
		}
		get, err = p.member(fields)
	}
	if err != nil {
		return nil, err
	}
	return p.equality(get)
}

func (p *elParser) member(fields map[string]operand) (operand, error) {
	if _, err := p.need('o', "."); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	slices.Sort(names)
	name, err := p.need('w', names...)
	return fields[name], err
}

// equality parses "eq 'x'" or "ne 'x'" after an operand.
func (p *elParser) equality(get operand) (elCond, error) {
	op, ok := p.accept('w', "eq", "ne", "EQ", "NE")
	if !ok {
		var err error
		if op, err = p.need('o', "==", "!="); err != nil {
			return nil, err
		}
	}
	if len(p.toks) == 0 || p.toks[0].kind != 's' {
		return nil, fmt.Errorf("want a quoted string after %s", op)
	}
	want := p.toks[0].text
	p.toks = p.toks[1:]
	equal := op == "eq" || op == "EQ" || op == "=="
	return func(e *event, t *target) bool { return (get(e, t) == want) == equal }, nil
}

// projection parses ".?[cond].size() > n" after event.target.
func (p *elParser) projection() (elCond, error) {
	if _, err := p.need('o', ".?["); err != nil {
		return nil, err
	}
	cond, err := p.or(true)
	if err != nil {
		return nil, err
	}
	for _, want := range []elToken{{'o', "]"}, {'o', "."}, {'w', "size"}, {'o', "("}, {'o', ")"}} {
		if _, err := p.need(want.kind, want.text); err != nil {
			return nil, err
		}
	}
	op, err := p.need('o', ">", ">=", "==", "!=", "<", "<=")
	if err != nil {
		return nil, err
	}
	if len(p.toks) == 0 || p.toks[0].kind != 'n' {
		return nil, fmt.Errorf("want a number after size() %s", op)
	}
	n, err := strconv.Atoi(p.toks[0].text)
	if err != nil {
		return nil, fmt.Errorf("bad number %q", p.toks[0].text)
	}
	p.toks = p.toks[1:]
	return func(e *event, _ *target) bool {
		size := 0
		for i := range e.targets {
			if cond(e, &e.targets[i]) {
				size++
			}
		}
		return sized(size, op, n)
	}, nil
}

func sized(size int, op string, n int) bool {
	switch op {
	case ">":
		return size > n
	case ">=":
		return size >= n
	case "==":
		return size == n
	case "!=":
		return size != n
	case "<":
		return size < n
	}
	return size <= n
}

func (a *actor) field(name string) string {
	switch name {
	case "id":
		return a.ID
	case "type":
		return a.Type
	case "alternateId":
		return a.AlternateID
	}
	return a.DisplayName
}
