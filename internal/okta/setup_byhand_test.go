package okta_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

// Each part of the manual that a report shows is a list of its own: it begins at
// 1, whatever was done before, and what belongs to a step stands below its text.
func TestStepsByHandAreNumberedFromOne(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	client := w.serviceApp(nil, nil, false)
	report := w.setup(func(c *okta.OrgConfig) { c.Client = client })
	wantStates(t, report, "manual credential", "manual group", "manual app", "manual event hook")
	step := regexp.MustCompile(`^(\d+)\. `)
	for _, s := range report.Steps {
		n, margin := 0, ""
		for _, line := range strings.Split(strings.TrimRight(s.ByHand, "\n"), "\n") {
			if found := step.FindString(line); found != "" {
				n++
				margin = strings.Repeat(" ", len(found))
				if !strings.HasPrefix(line, fmt.Sprintf("%d. ", n)) {
					t.Errorf("%s: step %d is called %q", s.Name, n, found)
				}
			} else if !strings.HasPrefix(line, margin) {
				t.Errorf("%s: %q does not stand below the text of step %d", s.Name, line, n)
			}
		}
		if n == 0 {
			t.Errorf("%s: no steps in:\n%s", s.Name, s.ByHand)
		}
	}
}
