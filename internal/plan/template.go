package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Template is text with places to be filled in: {name} is what a group of that
// name in the rule's regular expression captured, {profile.name} an attribute of
// the person's profile in Okta. {{ and }} stand for braces. The zero value is
// not said.
type Template struct {
	text  string
	parts []part
}

// part is a piece of text or, where slot is given, a place to be filled in.
type part struct{ text, slot string }

// ParseTemplate reads a template.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			plain.WriteByte(c)
			i++
		case c == '}':
			return Template{}, fmt.Errorf("%q has a } without a {; write }} if that is meant", text)
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 2 {
				return Template{}, fmt.Errorf("%q has a { without a name and a }; write {{ if that is meant", text)
			}
			t.parts = append(t.parts, part{text: plain.String()}, part{slot: text[i+1 : i+end]})
			plain.Reset()
			i += end
		default:
			plain.WriteByte(c)
		}
	}
	if plain.Len() > 0 {
		t.parts = append(t.parts, part{text: plain.String()})
	}
	return t, nil
}

// Literal is a template in which nothing is filled in.
func Literal(text string) Template { return Template{text: text, parts: []part{{text: text}}} }

// IsZero reports whether nothing is said.
func (t Template) IsZero() bool { return t.parts == nil && t.text == "" }

// Text is the template as it was written.
func (t Template) Text() string { return t.text }

// Slots gives the names of the places to be filled in.
func (t Template) Slots() []string {
	var out []string
	for _, p := range t.parts {
		if p.slot != "" {
			out = append(out, p.slot)
		}
	}
	return out
}

// usesProfile reports whether something of a person's profile is filled in.
func (t Template) usesProfile() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return strings.HasPrefix(p.slot, "profile.") })
}

// shown gives what messages show of a template and the text that it gave: what
// stands in somebody's profile is nobody else's business.
func (t Template) shown(text string) string {
	if t.usesProfile() {
		return t.text
	}
	return text
}

// fill gives the text. It fails when a place has nothing to be filled with.
func (t Template) fill(captures map[string]string, p *Person) (string, error) {
	if len(t.parts) == 1 && t.parts[0].slot == "" {
		return t.parts[0].text, nil
	}
	var b strings.Builder
	for _, part := range t.parts {
		if part.slot == "" {
			b.WriteString(part.text)
			continue
		}
		value, ok := captures[part.slot]
		if name, profile := strings.CutPrefix(part.slot, "profile."); profile {
			value, ok = p.attribute(name)
		}
		if !ok || value == "" {
			return "", fmt.Errorf("%q cannot be filled in: there is no %s", t.text, part.slot)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}
