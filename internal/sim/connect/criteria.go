package connect

import (
	"slices"
	"unicode/utf8"
)

// textCriteria is the tree of string conditions that all searches but that of
// agents take. The members of one node must all hold; a node without any holds
// for everything.
type textCriteria struct {
	OrConditions    []textCriteria
	AndConditions   []textCriteria
	StringCondition *stringCondition
}

// textMatcher decides about items by the texts of some fields. No criteria
// match everything.
func textMatcher[T any](in *Instance, n *textCriteria, fields []string, text func(T, string) string) (func(T) bool, error) {
	if n == nil {
		return func(T) bool { return true }, nil
	}
	var all, some []func(T) bool
	for i := range n.AndConditions {
		m, err := textMatcher(in, &n.AndConditions[i], fields, text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for i := range n.OrConditions {
		m, err := textMatcher(in, &n.OrConditions[i], fields, text)
		if err != nil {
			return nil, err
		}
		some = append(some, m)
	}
	if n.StringCondition != nil {
		m, err := textLeaf(in, n.StringCondition, fields, text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return func(item T) bool {
		for _, m := range all {
			if !m(item) {
				return false
			}
		}
		return len(some) == 0 || slices.ContainsFunc(some, func(m func(T) bool) bool { return m(item) })
	}, nil
}

// textLeaf matches one field. A CONTAINS of a name takes 2 to 25 characters.
func textLeaf[T any](in *Instance, c *stringCondition, fields []string, text func(T, string) string) (func(T) bool, error) {
	field, compare, err := in.comparison(c, fields)
	if err != nil {
		return nil, err
	}
	value := *c.Value
	if n := utf8.RuneCountInString(value); field == "name" && *c.ComparisonType == "CONTAINS" && (n < 2 || n > 25) {
		return nil, violated("StringCondition.Value", "must be 2 to 25 characters for CONTAINS")
	}
	return func(item T) bool { return compare(text(item, field), value) }, nil
}
