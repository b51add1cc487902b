package okta

import (
	"errors"
	"fmt"
	"strings"
)

// ruleFilter is a group rule's expression: the small part of Okta's expression
// language that compares attributes of the user.
//
//	user.department=="Support" and not (user.city=="Oslo" or user.city==null)
//	String.startsWith(user.title, "Agent")
//
// It knows ==, !=, and/&&, or/||, not/!, parentheses, strings, true, false and
// null, and String.stringContains and String.startsWith. An attribute is that
// of the profile; unset, it equals null.
type ruleFilter func(*user) bool

type ruleValue func(*user) any

// parseRuleFilter parses an expression; the error says what is wrong with it.
func parseRuleFilter(s string) (ruleFilter, error) {
	toks, err := scanEL(s)
	if err != nil {
		return nil, err
	}
	p := &ruleParser{elParser{toks: toks}}
	f, err := p.either()
	if err == nil && len(p.toks) > 0 {
		err = fmt.Errorf("unexpected %q", p.toks[0].text)
	}
	return f, err
}

type ruleParser struct{ elParser }

// takes takes the next token when it is the operator or the word.
func (p *ruleParser) takes(operator, word string) bool {
	if _, ok := p.accept('o', operator); ok {
		return true
	}
	for _, w := range []string{word, strings.ToUpper(word)} {
		if _, ok := p.accept('w', w); ok {
			return true
		}
	}
	return false
}

func (p *ruleParser) either() (ruleFilter, error) {
	l, err := p.both()
	for err == nil && p.takes("||", "or") {
		var r ruleFilter
		r, err = p.both()
		a := l
		l = func(u *user) bool { return a(u) || r(u) }
	}
	return l, err
}

func (p *ruleParser) both() (ruleFilter, error) {
	l, err := p.one()
	for err == nil && p.takes("&&", "and") {
		var r ruleFilter
		r, err = p.one()
		a := l
		l = func(u *user) bool { return a(u) && r(u) }
	}
	return l, err
}

func (p *ruleParser) one() (ruleFilter, error) {
	if p.depth++; p.depth > 100 {
		return nil, errors.New("nested too deep")
	}
	defer func() { p.depth-- }()
	if p.takes("!", "not") {
		f, err := p.one()
		return func(u *user) bool { return !f(u) }, err
	}
	if _, ok := p.accept('o', "("); ok {
		f, err := p.either()
		if _, closed := p.accept('o', ")"); err == nil && !closed {
			err = errors.New("missing )")
		}
		return f, err
	}
	if _, ok := p.accept('w', "String"); ok {
		return p.function()
	}
	l, err := p.value()
	if err != nil {
		return nil, err
	}
	op, ok := p.accept('o', "==", "!=")
	if !ok {
		return func(u *user) bool { return l(u) == true }, nil
	}
	r, err := p.value()
	return func(u *user) bool { return (l(u) == r(u)) == (op == "==") }, err
}

var ruleFunctions = map[string]func(s, part string) bool{"stringContains": strings.Contains, "startsWith": strings.HasPrefix}

func (p *ruleParser) function() (ruleFilter, error) {
	p.accept('o', ".")
	name, _ := p.accept('w')
	f := ruleFunctions[name]
	if _, ok := p.accept('o', "("); f == nil || !ok {
		return nil, fmt.Errorf("unknown function String.%s", name)
	}
	s, err := p.value()
	if err != nil {
		return nil, err
	}
	if _, ok := p.accept('o', ","); !ok {
		return nil, errors.New("missing ,")
	}
	part, err := p.value()
	if err != nil {
		return nil, err
	}
	if _, ok := p.accept('o', ")"); !ok {
		return nil, errors.New("missing )")
	}
	return func(u *user) bool {
		text, ok := s(u).(string)
		what, okay := part(u).(string)
		return ok && okay && f(text, what)
	}, nil
}

// value is a literal or an attribute of the user. Attributes that hold lists
// compare with nothing.
func (p *ruleParser) value() (ruleValue, error) {
	if text, ok := p.accept('s'); ok {
		return func(*user) any { return text }, nil
	}
	word, _ := p.accept('w')
	switch word {
	case "true", "false":
		return func(*user) any { return word == "true" }, nil
	case "null":
		return func(*user) any { return nil }, nil
	case "user":
		_, dot := p.accept('o', ".")
		name, ok := p.accept('w')
		if !dot || !ok {
			return nil, errors.New("want an attribute after user")
		}
		return func(u *user) any {
			switch v := u.profile[name].(type) {
			case string, bool, float64, nil:
				return v
			}
			return new(bool) // equal to nothing
		}, nil
	}
	return nil, errors.New("want a value")
}
