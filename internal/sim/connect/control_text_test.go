package connect

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The list of routes for people has each route that there is, and no other.
func TestControlRoutesAreListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for line := range strings.Lines(ControlRoutes) {
		if len(line) > 110 {
			t.Errorf("%d characters: %s", len(line), line)
		}
		if m := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE)\s+(/_sim/\S*)`).FindStringSubmatch(line); m != nil {
			listed = append(listed, m[1]+" "+m[2])
		}
	}
	var answer struct{ Routes []string }
	startUnjudged(t, nil).control(t, "GET", "", "", 200, &answer)
	routes := answer.Routes
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

// covers reports whether a listed route is the one of a pattern. Of the catalogues
// one is listed for all.
func covers(pattern, listed string) bool {
	one := regexp.MustCompile(`/(security-profiles|hierarchy-groups|agent-statuses)`)
	return one.ReplaceAllString(pattern, "/routing-profiles") == listed
}
