package okta_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/sim/okta"
)

// The list of routes for people has each route that there is, and no other.
func TestControlRoutesAreListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for line := range strings.Lines(okta.ControlRoutes) {
		if len(line) > 110 {
			t.Errorf("%d characters: %s", len(line), line)
		}
		if m := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE)\s+(/_sim/\S*)`).FindStringSubmatch(line); m != nil {
			listed = append(listed, m[1]+" "+m[2])
		}
	}
	w := open(t, okta.Config{})
	answer := w.want(200, "GET", "/_sim/", nil).obj()
	var routes []string
	for _, r := range answer["routes"].([]any) {
		routes = append(routes, r.(string))
	}
	if help := answer["help"].([]any); len(help) < len(routes) {
		t.Errorf("help: %v", help)
	}
	if len(routes) < 30 {
		t.Fatalf("%d routes", len(routes))
	}
	for _, route := range routes {
		if !slices.ContainsFunc(listed, func(l string) bool { return covers(route, l) }) {
			t.Errorf("control.txt lacks %s", route)
		}
	}
	for _, l := range listed {
		if l != "GET /_sim/" && !slices.ContainsFunc(routes, func(route string) bool { return covers(route, l) }) {
			t.Errorf("control.txt has %s, and there is no such route", l)
		}
	}
}

// covers reports whether a listed route is the one of a pattern, which takes
// several words where it has {action} or {switch}.
func covers(pattern, listed string) bool {
	words, others := strings.Split(pattern, "/"), strings.Split(listed, "/")
	return slices.EqualFunc(words, others, func(word, other string) bool {
		return word == other || word == "{action}" || word == "{switch}"
	})
}
