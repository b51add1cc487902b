// Package arch holds the rules of who may import whom, as a test. It reads the
// imports of all files that are not tests, whatever their build tags, so that a
// forbidden edge fails however the build is configured.
package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the path of this module.
const module = "connectroster"

// rules is all that is forbidden or allowed.
type rules struct {
	packages  map[string]entry    // folder -> what it may import; a folder that is missing is an error
	names     []string            // names that no package may have
	libraries map[string][]string // library -> the folders that may import it
	links     map[string][]string // folder -> libraries and folders that must not come with it, even by way of others
	pure      map[string]purity   // folder -> what it must not use of the standard library
}

// entry is the line of one package.
type entry struct {
	why     string   // what the package is for
	imports []string // packages of ours; "*" is all
	std     bool     // apart from these, the standard library only
}

// purity lists what a package that only computes must not touch.
type purity struct {
	packages []string            // with the packages below them
	calls    map[string][]string // package -> names of it
}

// source is one package as it stands in its folder.
type source struct {
	folder  string
	name    string
	imports []use
	calls   []use // of packages of the standard library: path and name
}

// use is one mention of a package, or of a name in it.
type use struct {
	path, name string
	where      string // file:line
}

// load reads every package of the module in fsys. Folders that start with a dot
// or an underscore, testdata and other modules are left out.
func load(fsys fs.FS) ([]source, error) {
	found := map[string]*source{}
	files := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(fsys, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		folder := path.Dir(name)
		s := found[folder]
		if s == nil {
			s = &source{folder: folder, name: file.Name.Name}
			found[folder] = s
		}
		return s.read(files, file)
	})
	if err != nil {
		return nil, err
	}
	var out []source
	for _, folder := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[folder])
	}
	return out, nil
}

// enter skips folders that hold nothing of this module.
func enter(fsys fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// read adds the imports of one file, and the names that it uses of them.
func (s *source) read(files *token.FileSet, file *ast.File) error {
	where := func(n ast.Node) string {
		p := files.Position(n.Pos())
		return fmt.Sprintf("%s:%d", p.Filename, p.Line)
	}
	local := map[string]string{} // the name in this file -> import path
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", where(spec), err)
		}
		s.imports = append(s.imports, use{path: imported, where: where(spec)})
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			s.calls = append(s.calls, use{path: imported, name: "*", where: where(spec)})
		}
		local[name] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && local[id.Name] != "" {
			s.calls = append(s.calls, use{path: local[id.Name], name: sel.Sel.Name, where: where(sel)})
		}
		return true
	})
	return nil
}

// check gives everything in the packages that breaks the rules, one line each.
func check(r rules, packages []source) []string {
	var out []string
	for _, p := range packages {
		out = append(out, r.checkName(p)...)
		out = append(out, r.checkImports(p)...)
		out = append(out, r.checkPurity(p)...)
	}
	for _, root := range slices.Sorted(maps.Keys(r.links)) {
		out = append(out, r.checkLinks(root, packages)...)
	}
	return out
}

func (r rules) checkName(p source) []string {
	for _, part := range append(strings.Split(p.folder, "/"), p.name) {
		if slices.Contains(r.names, part) {
			return []string{fmt.Sprintf("%s: a package named %q says nothing of what it holds; name it for that", p.folder, part)}
		}
	}
	return nil
}

func (r rules) checkImports(p source) []string {
	line, ok := r.packages[p.folder]
	if !ok {
		return []string{fmt.Sprintf("%s: this package is not in the table of internal/arch; add a line with its reason and what it may import, or put the code where it belongs", p.folder)}
	}
	var out []string
	for _, i := range p.imports {
		ours, isOurs := strings.CutPrefix(i.path, module+"/")
		switch {
		case isOurs && !slices.Contains(line.imports, ours) && !slices.Contains(line.imports, "*"):
			out = append(out, fmt.Sprintf("%s: %s must not import %s; it may import %s", i.where, p.folder, ours, list(line.imports)))
		case !isOurs && line.std && !standard(i.path):
			out = append(out, fmt.Sprintf("%s: %s must not import %s; it uses the standard library only", i.where, p.folder, i.path))
		}
		for library, folders := range r.libraries {
			if below(i.path, library) && !slices.Contains(folders, p.folder) {
				out = append(out, fmt.Sprintf("%s: %s must not import %s; only %s may", i.where, p.folder, library, list(folders)))
			}
		}
	}
	return out
}

func (r rules) checkPurity(p source) []string {
	pure, ok := r.pure[p.folder]
	if !ok {
		return nil
	}
	var out []string
	for _, i := range p.imports {
		if slices.ContainsFunc(pure.packages, func(forbidden string) bool { return below(i.path, forbidden) }) {
			out = append(out, fmt.Sprintf("%s: %s only computes, so it must not import %s", i.where, p.folder, i.path))
		}
	}
	for _, c := range p.calls {
		names := pure.calls[c.path]
		if slices.Contains(names, c.name) || len(names) > 0 && c.name == "*" {
			out = append(out, fmt.Sprintf("%s: %s only computes, so it must not use %s.%s", c.where, p.folder, c.path, c.name))
		}
	}
	return out
}

// checkLinks follows the imports of root through our packages and reports what
// must not come with it, and by which way it does.
func (r rules) checkLinks(root string, packages []source) []string {
	byFolder := map[string]source{}
	for _, p := range packages {
		byFolder[p.folder] = p
	}
	var out []string
	seen := map[string]bool{root: true}
	type step struct{ folder, way string }
	for queue := []step{{root, root}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, i := range byFolder[at.folder].imports {
			target := strings.TrimPrefix(i.path, module+"/")
			if seen[target] {
				continue
			}
			seen[target] = true
			way := at.way + " -> " + target
			if slices.ContainsFunc(r.links[root], func(forbidden string) bool { return below(target, forbidden) }) {
				out = append(out, fmt.Sprintf("%s: %s must not link %s; it comes by %s", i.where, root, target, way))
				continue
			}
			if _, ours := byFolder[target]; ours {
				queue = append(queue, step{target, way})
			}
		}
	}
	return out
}

// below reports whether name is the package parent or one below it.
func below(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

// standard reports whether an import path belongs to the standard library.
func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".") && first != module
}

func list(folders []string) string {
	return cmp.Or(strings.Join(folders, ", "), "nothing of ours")
}
