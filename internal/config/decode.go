package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxAliased is how many values may be read by way of aliases, so that a few
// lines cannot unfold into millions.
const maxAliased = 10_000

// maxText is the most characters of one value.
const maxText = 1024

// reader turns a parsed file into a Config. It goes on after a fault, so that
// all are found at once, and remembers where each key and value stands for the
// checks that follow.
type reader struct {
	src      source
	secrets  resolver
	faults   []finding
	warnings []finding

	keys      map[string]*yaml.Node // each key that is written, by path
	values    map[string]*yaml.Node // its value, when the key is known
	bad       map[string]bool       // paths with a fault
	suggested map[string]bool       // paths that a misspelled key probably meant
	hidden    map[*yaml.Node]bool

	expressions map[string]expression // that have no fault, by their text

	partial bool         // only the beginning of the file could be read
	aliases int          // how many of the nodes being read are aliases
	aliased int          // values read by way of aliases
	anchors []*yaml.Node // the nodes with an anchor that are being read
}

func newReader(name string, getenv func(string) string) *reader {
	return &reader{
		src:       source{file: name},
		secrets:   resolver{dir: filepath.Dir(name), getenv: getenv, vault: new(vault)},
		keys:      map[string]*yaml.Node{},
		values:    map[string]*yaml.Node{},
		bad:       map[string]bool{},
		suggested: map[string]bool{},
		hidden:    map[*yaml.Node]bool{},

		expressions: map[string]expression{},
	}
}

// setter is a value with a form of its own.
type setter interface{ set(text string) complaint }

// read gives the configuration that data holds. It is of use only when there
// are no faults.
func (r *reader) read(data []byte) *Config {
	c := new(Config)
	applyDefaults(c)
	root, partial := r.parse(data)
	r.partial = partial
	if root == nil {
		return c
	}
	r.decode("", root, reflect.ValueOf(c).Elem())
	if r.aliased <= maxAliased {
		r.check(c)
		r.secrets.vault.loopback = c.AllowLoopback
		r.resolveAuth(c.Okta.Auth)
		r.resolveNotify(c)
		c.refs, c.sealed = r.secrets, &sealed{r.resolve(c.Okta.Hook.Secrets), r.resolveExternals(c)}
		c.expressions = r.expressions
		c.setDefaults(r.secrets.dir)
		r.checkSocket(c)
	}
	r.findHidden(root)
	return c
}

// decode reads a node into a field.
func (r *reader) decode(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind == yaml.AliasNode {
		if n = n.Alias; slices.Contains(r.anchors, n) {
			r.fault(path, complaint{"* stands inside the anchor that it refers to", ""})
			return
		}
		r.aliases++
		defer func() { r.aliases-- }()
	}
	if r.aliases > 0 && r.tooManyAliased(path) {
		return
	}
	if n.Anchor != "" {
		r.anchors = append(r.anchors, n)
		defer func() { r.anchors = r.anchors[:len(r.anchors)-1] }()
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.hide(n)
		r.fault(path, complaint{"has a tag (!); tags are not understood here", "text that begins with ! needs quotes"})
		return
	}
	_, word := field.Addr().Interface().(setter)
	switch kind := field.Kind(); {
	case kind == reflect.Pointer:
		r.pointer(path, n, field)
	case word && n.Kind == yaml.ScalarNode && !isNull(n):
		r.scalar(path, n, field)
	case kind == reflect.Struct:
		r.structure(path, n, field)
	case kind == reflect.Map:
		r.mapping(path, n, field)
	case kind == reflect.Slice:
		r.list(path, n, field)
	default:
		r.scalar(path, n, field)
	}
}

// pointer reads what may be left out and has no default.
func (r *reader) pointer(path string, n *yaml.Node, field reflect.Value) {
	v := reflect.New(field.Type().Elem())
	r.decode(path, n, v.Elem())
	field.Set(v)
}

// tooManyAliased counts the values read by way of aliases, and tells once when
// they are too many. Then nothing more can be said of the file.
func (r *reader) tooManyAliased(path string) bool {
	if r.aliased++; r.aliased == maxAliased+1 {
		r.partial = true
		r.fault(path, complaint{fmt.Sprintf("the aliases of this file unfold into more than %d values", maxAliased), "write them out"})
	}
	return r.aliased > maxAliased
}

// scalar reads text, a number or a truth value.
func (r *reader) scalar(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.mismatch(path, n, "want "+kindOf(field.Type()))
		return
	}
	if isNull(n) {
		r.fault(path, complaint{"has no value; want " + kindOf(field.Type()), ""})
		return
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch tag := n.ShortTag(); field.Kind() {
	case reflect.Bool, reflect.Int, reflect.Float64:
		if _, ok := field.Addr().Interface().(setter); !ok && quoted {
			r.fault(path, complaint{"is text; want " + kindOf(field.Type()), "leave out the quotes"})
			return
		}
	case reflect.String:
		if tag == "!!bool" && !isValue(field) {
			r.fault(path, complaint{"is true or false; want text", "put it in quotes if it is meant as text"})
			return
		}
	}
	text := n.Value
	if n.ShortTag() == "!!bool" && isValue(field) {
		text = strings.ToLower(text) // as a truth value of the profile is written
	}
	c := textFault(text)
	if _, ok := field.Addr().Interface().(*Hierarchy); ok && text == "" {
		c = complaint{}
	}
	if _, _, literal := reference(n.Value); isReference(path) && c.problem != "" && literal.problem != "" {
		c = literal
	}
	if c.problem == "" {
		c = assign(field, text)
	}
	if c.problem != "" {
		r.fault(path, c)
	}
}

// isValue tells whether a field takes numbers and truth values as text.
func isValue(field reflect.Value) bool {
	return field.Type() == reflect.TypeFor[Value]() || field.Type() == reflect.TypeFor[Values]()
}

// textFault refuses what no value of ours can be.
func textFault(text string) complaint {
	switch {
	case strings.TrimSpace(text) == "":
		return complaint{"is empty", ""}
	case utf8.RuneCountInString(text) > maxText:
		return complaint{fmt.Sprintf("has %d characters; want at most %d", utf8.RuneCountInString(text), maxText), ""}
	case strings.ContainsFunc(text, unicode.IsControl):
		return complaint{"holds a control character or a line break", ""}
	}
	return complaint{}
}

// list reads a list.
func (r *reader) list(path string, n *yaml.Node, field reflect.Value) {
	if isNull(n) {
		r.fault(path, complaint{"has no value; want a list", ""})
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.mismatch(path, n, "want a list")
		return
	}
	out := reflect.MakeSlice(field.Type(), len(n.Content), len(n.Content))
	for i, child := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.keys[at], r.values[at] = child, child
		if out.Index(i).Kind() == reflect.Struct {
			applyDefaults(out.Index(i).Addr().Interface())
		}
		r.decode(at, child, out.Index(i))
	}
	field.Set(out)
}

// mapping reads keys of the user's choice.
func (r *reader) mapping(path string, n *yaml.Node, field reflect.Value) {
	if isNull(n) {
		r.fault(path, complaint{"has no value; want at least one name with " + contents(field.Type()) + " below it", ""})
		return
	}
	if n.Kind != yaml.MappingNode {
		r.mismatch(path, n, "want names with "+contents(field.Type())+" below them")
		return
	}
	out := reflect.MakeMap(field.Type())
	for key, value := range r.entries(path, n) {
		at := path + "." + key
		r.values[at] = value
		v := reflect.New(field.Type().Elem()).Elem()
		if v.Kind() == reflect.Struct {
			applyDefaults(v.Addr().Interface())
		}
		r.decode(at, value, v)
		out.SetMapIndex(reflect.ValueOf(key), v)
	}
	field.Set(out)
}

// structure reads keys of ours.
func (r *reader) structure(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind != yaml.MappingNode && !isNull(n) {
		r.mismatch(path, n, "want keys with values ("+strings.Join(keysOf(field.Type()), ", ")+")")
		return
	}
	seen := map[string]bool{}
	for key, value := range r.entries(path, n) {
		at := join(path, key)
		seen[key] = true
		i := fieldOf(field.Type(), key)
		switch {
		case i >= 0:
			r.values[at] = value
			if isReference(at) {
				r.hideSecrets(value)
			}
			r.decode(at, value, field.Field(i))
		default:
			r.hide(value)
			r.unknown(path, key, field.Type())
		}
	}
	if !r.partial {
		r.missing(path, field.Type(), seen)
	}
}

// missing tells of keys that must be there and are not, also of those in
// sections that are not there at all.
func (r *reader) missing(path string, t reflect.Type, seen map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		need, key := f.Tag.Get("need"), f.Tag.Get("yaml")
		at := join(path, key)
		switch {
		case !f.IsExported() || seen[key] || r.suggested[at]:
		case f.Type.Kind() == reflect.Struct:
			if other := f.Tag.Get("unless"); !seen[other] && !r.suggested[join(path, other)] {
				r.missing(at, f.Type, nil)
			}
		case need != "":
			hint := "for example " + key + ": " + f.Tag.Get("example")
			if choose := f.Tag.Get("choose"); choose != "" {
				hint = choose
			}
			r.fault(at, complaint{"is missing; want " + wanted(f), hint})
		}
	}
}

// entries gives the keys of a mapping that are text, and tells of those that
// are not and of those that come twice.
func (r *reader) entries(path string, n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			at := placeOf(key)
			switch {
			case key.Kind != yaml.ScalarNode || isNull(key) || key.Style&yaml.TaggedStyle != 0:
				r.hide(key)
				r.hide(value)
				r.findings(at, path, complaint{"want a key here, which is a word", ""})
				continue
			case key.Value == "<<":
				r.hide(value)
				r.findings(at, path, complaint{"merging with << is not understood", "write the keys out"})
				continue
			case first[key.Value] > 0:
				r.hide(value)
				r.findings(at, join(path, shortKey(key.Value)), complaint{fmt.Sprintf("is written twice; the first is on line %d", first[key.Value]), "remove one of them"})
				continue
			}
			first[key.Value] = key.Line
			r.keys[join(path, key.Value)] = key
			if !yield(key.Value, value) {
				return
			}
		}
	}
}

// unknown tells of a key that nobody knows, and what it may have meant.
func (r *reader) unknown(path, key string, t reflect.Type) {
	c := complaint{problem: "unknown key"}
	known, near, elsewhere := keysOf(t), "", ""
	if r.helpful() {
		near, elsewhere = nearest(key, known), pathOf(key)
	}
	switch {
	case near != "":
		c.hint = "did you mean " + near + "?"
		r.suggested[join(path, near)] = true
	case elsewhere != "":
		c.hint = "did you mean " + elsewhere + "?"
		r.suggested[elsewhere] = true
	case mayHoldSecret(path):
		r.hide(r.keys[join(path, key)])
		r.findings(placeOf(r.keys[join(path, key)]), path, complaint{"holds an unknown key", "known here: " + strings.Join(known, ", ")})
		return
	default:
		c.hint = "known here: " + strings.Join(known, ", ")
	}
	r.findings(placeOf(r.keys[join(path, key)]), join(path, shortKey(key)), c)
}

// helpful tells whether it is worth the time to look for what was meant: not
// for faults that nobody gets to see.
func (r *reader) helpful() bool { return len(r.faults) < maxPrinted }

// mismatch tells of a node of another kind than wanted. Below okta and notify it
// may hold a secret.
func (r *reader) mismatch(path string, n *yaml.Node, want string) {
	if strings.HasPrefix(path, "okta") || strings.HasPrefix(path, "notify") {
		r.hide(n)
	}
	is := "is text"
	switch {
	case n.Kind == yaml.SequenceNode:
		is = "is a list"
	case n.Kind == yaml.MappingNode:
		is = "has keys below it"
	case n.ShortTag() == "!!int" || n.ShortTag() == "!!float":
		is = "is a number"
	case n.ShortTag() == "!!bool":
		is = "is true or false"
	}
	r.fault(path, complaint{is + "; " + want, ""})
}

// fault tells of a path at the place of its value, or of what it is missing
// from.
func (r *reader) fault(path string, c complaint) {
	r.bad[path] = true
	at, found := r.find(path)
	if !found {
		r.faults = append(r.faults, finding{at: place{1, 1}, key: path, what: c, bare: true})
		return
	}
	r.findings(at, path, c)
}

// findings tells of a fault at a place.
func (r *reader) findings(at place, key string, c complaint) {
	r.faults = append(r.faults, finding{at: at, key: key, what: c})
}

// whole tells of a fault of the file as a whole.
func (r *reader) whole(at place, problem, hint string) {
	r.faults = append(r.faults, finding{at: at, what: complaint{problem, hint}, bare: true})
}

// warn tells of something odd.
func (r *reader) warn(path, problem, hint string) {
	at, found := r.find(path)
	r.warnings = append(r.warnings, finding{at: at, key: path, what: complaint{problem, hint}, bare: !found})
}

// find gives the place of a value, or of its key when it is more than a word, or
// of the nearest key above.
func (r *reader) find(path string) (at place, ok bool) {
	if n, ok := r.values[path]; ok && (n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode) && !isNull(n) {
		return placeOf(n), true
	}
	for path != "" {
		if n, ok := r.keys[path]; ok {
			return placeOf(n), true
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{}, false
}

// ok tells whether a path is written and nothing is wrong with it so far.
func (r *reader) ok(path string) bool {
	_, written := r.values[path]
	return written && !r.bad[path]
}

// test tells of a complaint about a path that is fine so far.
func (r *reader) test(path string, c complaint) {
	if c.problem != "" && !r.bad[path] {
		r.fault(path, c)
	}
}

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shortKey keeps a key that is anything but a key from filling the screen.
func shortKey(key string) string {
	if c := []rune(key); len(c) > 40 {
		key = string(c[:40]) + "…"
	}
	return printable(key)
}
