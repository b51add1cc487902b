package config

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// key is what the reference says of one key.
type key struct {
	Path, Anchor, Text, Takes, Default, Example string
	Required, Section                           bool
}

// TestReference sees that docs/configuration.md says what the comments and tags
// of Config say. With -update it writes it.
func TestReference(t *testing.T) {
	t.Parallel()
	const path = "../../docs/configuration.md"
	env := environment
	dir := t.TempDir()
	for _, name := range []string{"okta.pem", "proxy-ca.pem", "tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(readText(t, "testdata/"+name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	smallest, full := readText(t, "testdata/smallest.yaml"), readText(t, "testdata/full.yaml")
	for name, text := range map[string]string{"smallest": smallest, "full": full} {
		c, err := Parse(filepath.Join(dir, name+".yaml"), []byte(text), env)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) > 0 {
			t.Errorf("%s: got warnings %v", name, c.Warnings)
		}
	}
	_, faults := Parse("connectroster.yaml", []byte(readText(t, "testdata/faulty.yaml")), env)
	if faults == nil {
		t.Fatal("faulty.yaml has no fault")
	}

	page, err := template.ParseFiles("testdata/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = page.Execute(&out, map[string]any{
		"Smallest": smallest, "Full": full, "Faults": faults.Error(), "Keys": keys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := flag.Lookup("update"); f.Value.String() == "true" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readText(t, path), out.String()); diff != "" {
		t.Errorf("docs/configuration.md is out of date; run go test ./internal/config -run TestReference -update\n(-page +code)\n%s", diff)
	}
}

// environment has what the examples refer to.
func environment(name string) string {
	switch name {
	case "CONNECTROSTER_WEBHOOK":
		return "https://hooks.example.com/services/0123456789"
	case "OKTA_KEY":
		return "-----BEGIN PRIVATE KEY-----\nMDEyMzQ1Njc4OWFiY2RlZg==\n-----END PRIVATE KEY-----\n"
	}
	return "0123456789abcdef"
}

// TestExampleFiles sees that the examples for users load as they are, without
// faults and warnings.
func TestExampleFiles(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../docs/examples/*.yaml")
	if err != nil || len(names) < 3 {
		t.Fatalf("got the examples %v and error %v, want three or more", names, err)
	}
	for _, name := range names {
		c, err := Load(name, environment)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(c.Warnings) > 0 {
			t.Errorf("got warnings\n%v", c.Warnings)
		}
	}
}

// TestActions sees that the reference names every operation of Amazon Connect that
// the adapter calls, and no other.
func TestActions(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../connect/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no adapter: %v", err)
	}
	called := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`connect\.(\w+)Input\b`).FindAllStringSubmatch(readText(t, name), -1) {
			called[m[1]] = true
		}
	}
	written := map[string]bool{}
	for _, m := range regexp.MustCompile("`connect:(\\w+)`").FindAllStringSubmatch(readText(t, "testdata/reference.md"), -1) {
		written[m[1]] = true
	}
	if diff := cmp.Diff(called, written); diff != "" {
		t.Errorf("actions in testdata/reference.md: (-called +written)\n%s", diff)
	}
}

// TestFull sees that the full example leaves no key out but the short form, the
// other way to sign in to Okta, several instances, and the other store.
func TestFull(t *testing.T) {
	t.Parallel()
	r := newReader("full.yaml", func(string) string { return "" })
	r.read([]byte(readText(t, "testdata/full.yaml")))
	written := map[string]bool{}
	for path := range r.values {
		path = regexp.MustCompile(`^personas\.[a-z]+\.`).ReplaceAllString(path, "personas.<name>.")
		written[regexp.MustCompile(`\[[0-9]+\]`).ReplaceAllString(path, "[]")] = true
	}
	eachKey(reflect.TypeFor[Config](), "", func(path string, _ reflect.StructField) {
		other := path == "group" || path == "routing_profile" || path == "security_profiles" || path == "okta.auth.token" ||
			strings.HasPrefix(path, "instances") || strings.HasPrefix(path, "store.aws") || path == "personas.<name>.instance" || path == "rules[].instance"
		if written[path] == other {
			t.Errorf("%s: written is %v, want %v", path, written[path], !other)
		}
	})
}

// TestExamples sees that every field has a comment, and an example that can be
// read.
func TestExamples(t *testing.T) {
	t.Parallel()
	eachKey(reflect.TypeFor[Config](), "", func(path string, f reflect.StructField) {
		if inner, _ := below(f.Type); inner != nil {
			return
		}
		var node yaml.Node
		if err := yaml.Load([]byte(f.Tag.Get("example")), &node); err != nil || len(node.Content) != 1 {
			t.Errorf("%s: example %q: %v", path, f.Tag.Get("example"), err)
			return
		}
		r := newReader("example", nil)
		r.decode(path, node.Content[0], reflect.New(f.Type).Elem())
		if len(r.faults) > 0 {
			t.Errorf("%s: example %q: %+v", path, f.Tag.Get("example"), r.faults)
		}
	})
}

// keys gives all keys in the order of the source, with the comments of their
// fields.
func keys(t *testing.T) []key {
	t.Helper()
	comments := fieldComments(t)
	var keys []key
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for _, name := range keysOf(typ) {
			f := typ.Field(fieldOf(typ, name))
			inner, step := below(f.Type)
			k := key{
				Path: join(path, name), Text: comments[typ.Name()+"."+f.Name], Takes: wanted(f), Default: f.Tag.Get("default"),
				Example: name + ": " + f.Tag.Get("example"), Required: f.Tag.Get("need") != "", Section: inner != nil,
			}
			if inner != nil && step == "[]" {
				k.Takes = "a list of keys with values"
			}
			if k.Default != "" && f.Type.Kind() == reflect.Slice {
				k.Default = "[" + strings.ReplaceAll(k.Default, ",", ", ") + "]"
			}
			if k.Text == "" {
				t.Errorf("%s has no comment", k.Path)
			}
			k.Anchor = strings.Map(func(c rune) rune {
				if c == '_' || c == '-' || wordRune(c) {
					return c
				}
				return -1
			}, k.Path)
			keys = append(keys, k)
			if inner != nil {
				walk(inner, k.Path+step)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	return keys
}

// fieldComments reads the comments of all fields of this package, by type and
// field.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		commentsOf(file, comments)
	}
	return comments
}

func commentsOf(file *ast.File, comments map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
		return true
	})
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
