package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"connectroster/internal/plan"
)

// Bounds of expressions. Nothing in them repeats but the walk over one list of
// the profile, so that their time is bounded by their size and that list's.
const (
	maxNodes  = 200
	maxMemory = 10_000 // in values
)

// subject is what an expression can name.
type subject struct {
	Profile   map[string]any `expr:"profile"`
	Groups    []string       `expr:"groups"`
	GroupIDs  []string       `expr:"group_ids"`
	Status    string         `expr:"status"`
	Username  string         `expr:"username"`
	FirstName string         `expr:"first_name"`
	LastName  string         `expr:"last_name"`
}

var (
	subjectNames  = []string{"profile", "groups", "group_ids", "status", "username", "first_name", "last_name"}
	functionNames = []string{"len", "all", "any", "none", "one", "count", "lower", "upper", "trim", "split", "int", "float", "string"}
)

// expressionFault is what is wrong with an expression, and at which of its
// characters, from 0; below 0 at none.
type expressionFault struct {
	what complaint
	at   int
}

// expression is a compiled one, with the groups that it names.
type expression struct {
	plan.Expression
	groups []string
}

// compileExpression reads an expression. What it gives is pure and safe for
// concurrent use: each call has a machine of its own.
func compileExpression(text string) (expression, *expressionFault) {
	tree, err := parser.Parse(text)
	if err != nil {
		return expression{}, explainExpression(err)
	}
	l := &linter{}
	ast.Walk(&tree.Node, l)
	if l.fault != nil {
		return expression{}, l.fault
	}
	options := []expr.Option{expr.Env(subject{}), expr.AsBool(), expr.WarnOnAny(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, name := range functionNames {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		return expression{}, explainExpression(err)
	}
	if l.uses != l.named {
		return expression{}, &expressionFault{complaint{`groups and group_ids may only be asked for one group, as in "Nights" in groups`,
			"list several with ||, or match names with a regular expression under groups"}, l.at}
	}
	return expression{plan.Expression{Text: text, Holds: holds(text, program, l.uses > 0)}, l.groups}, nil
}

// holds runs a program for a person. withGroups says that it asks for groups.
func holds(text string, program *vm.Program, withGroups bool) func(plan.Person) (bool, error) {
	return func(p plan.Person) (met bool, err error) {
		defer func() {
			if e := recover(); e != nil {
				met, err = false, fmt.Errorf("panic with a %T", e)
			}
		}()
		s := subject{Profile: p.Profile, Status: string(p.Status), Username: p.Username, FirstName: p.FirstName, LastName: p.LastName}
		if withGroups {
			s.Groups, s.GroupIDs = make([]string, len(p.Groups)), make([]string, len(p.Groups))
			for i, g := range p.Groups {
				s.Groups[i], s.GroupIDs[i] = g.Name, g.ID
			}
		}
		machine := vm.VM{MemoryBudget: maxMemory}
		out, err := machine.Run(program, s)
		if err != nil {
			return false, errors.New(impersonal(firstLine(err), text))
		}
		met, ok := out.(bool)
		if !ok {
			return false, fmt.Errorf("gives %T and not true or false", out)
		}
		return met, nil
	}
}

// firstLine gives an error of the language without the excerpt, which may span
// lines.
func firstLine(err error) string {
	var at *file.Error
	if errors.As(err, &at) {
		return at.Message
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// quoting is where the language's own errors, which else tell of types, repeat a
// value. It may be the person's own.
var quoting = regexp.MustCompile(`(?s)^(?:(invalid operation: (?:int|float)\()(.*)(\))|(cannot (?:fetch|get) )(.*)( from (?:map\[string\]interface {}|\[\]interface {}|\S+))|(cannot slice |index out of range: )(.*))$`)

// impersonal gives an error of the language without the value that it repeats,
// unless that stands in the expression itself.
func impersonal(message, expression string) string {
	parts := quoting.FindStringSubmatch(message)
	if parts == nil {
		return message
	}
	value := parts[2] + parts[5] + parts[8]
	if strings.Contains(expression, value) {
		return message
	}
	return parts[1] + parts[4] + parts[7] + "..." + parts[3] + parts[6]
}

// linter refuses what would make an expression slow or its answer depend on how a
// person was read, and collects the groups that it names: a sweep reads the
// members of named groups alone.
type linter struct {
	groups []string
	uses   int // of groups and group_ids
	named  int // of these, with one group
	at     int // the first use
	fault  *expressionFault
}

// Visit judges a node after those below it.
func (l *linter) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "groups", "group_ids":
			if l.uses++; l.uses == 1 {
				l.at = n.Location().From
			}
		case "$env":
			l.refuse(n, "$env is not known here", "name what is wanted: "+strings.Join(subjectNames, ", "))
		}
	case *ast.VariableDeclaratorNode:
		l.refuse(n, "variables (let) are not understood here", "write what is meant out") // text that is doubled again and again has no bound
	case *ast.BinaryNode:
		left, literal := n.Left.(*ast.StringNode)
		right, name := n.Right.(*ast.IdentifierNode)
		switch {
		case n.Operator == "..":
			l.refuse(n, "ranges (..) are not understood here", "")
		case n.Operator == "in" && literal && name && (right.Value == "groups" || right.Value == "group_ids"):
			l.named++
			if !slices.Contains(l.groups, left.Value) {
				l.groups = append(l.groups, left.Value)
			}
		}
	case *ast.PredicateNode:
		inner := false
		ast.Walk(&n.Node, visitor(func(below *ast.Node) {
			_, nested := (*below).(*ast.PredicateNode)
			inner = inner || nested
		}))
		if inner {
			l.refuse(n, "one list is looked through inside another", "look through one at a time")
		}
	}
}

func (l *linter) refuse(n ast.Node, problem, hint string) {
	if l.fault == nil {
		l.fault = &expressionFault{complaint{problem, hint}, n.Location().From}
	}
}

// visitor makes a function see every node.
type visitor func(*ast.Node)

// Visit calls the function.
func (v visitor) Visit(n *ast.Node) { v(n) }

// explainExpression says what the language's complaint means to a person.
func explainExpression(err error) *expressionFault {
	f := &expressionFault{at: -1}
	message := firstLine(err)
	var located *file.Error
	if errors.As(err, &located) && located.Snippet != "" {
		f.at = located.Column
	}
	known := "known: " + strings.Join(subjectNames, ", ")
	switch {
	case strings.HasPrefix(message, "unknown name "):
		name := strings.TrimPrefix(message, "unknown name ")
		f.what = complaint{"unknown name " + name, known}
		if near := nearest(name, slices.Concat(subjectNames, functionNames)); near != "" {
			f.what.hint = "did you mean " + near + "?"
		}
	case message == "expected bool, but got interface {}", message == "expected bool, but got unknown":
		f.what = complaint{"must be true or false, whatever is in the profile", "compare the attribute, as in profile.remote == true"}
	case strings.HasPrefix(message, "expected bool"):
		f.what = complaint{"must be true or false as a whole; " + strings.TrimPrefix(message, "expected bool, but "), ""}
	case strings.Contains(message, "maximum allowed nodes"):
		f.at = -1
		f.what = complaint{fmt.Sprintf("is too large: more than %d parts", maxNodes), "spread it over several rules"}
	case regexp.MustCompile(`cannot use .*"?Assign|unexpected token Operator\("="\)`).MatchString(message):
		f.what = complaint{"= is not a comparison", "did you mean ==?"}
	default:
		f.what = complaint{"is not an expression: " + printable(message), ""}
	}
	return f
}
