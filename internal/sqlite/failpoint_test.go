//go:build failpoint && unix

package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"connectroster/internal/failpoint"
)

// TestFailpoints ends the process at each place of the way of a request into the
// file, at several visits and in every way: nothing acknowledged is lost.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	for _, point := range []string{failpoint.QueueBegin, failpoint.QueueFacts, failpoint.QueueRows, failpoint.QueueCommitted} {
		for _, kind := range []string{"", ":panic"} {
			for _, visit := range []int{1, 2, 9, 50} {
				name := fmt.Sprintf("%s:%d%s", point, visit, kind)
				t.Run(name, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "test.db")
					acknowledged := map[string]bool{}
					c, lines := start(t, path, failpoint.Variable+"="+name)
					for lines.Scan() {
						if strings.HasPrefix(lines.Text(), "error") {
							// While a panic unwinds, callers may hear that there is no writer.
							if kind == "" || !strings.Contains(lines.Text(), errClosed.Error()) {
								t.Fatal(lines.Text())
							}
							continue
						}
						acknowledged[lines.Text()] = true
					}
					if err := c.Wait(); err == nil {
						t.Fatal("the child ended by itself")
					}
					sound(t, path, acknowledged)
				})
			}
		}
	}
}

// TestFailpointsOfRemovals ends the process at each place of the way of a removal
// into the file: who was told that they may go has their place still, and nobody
// goes twice.
func TestFailpointsOfRemovals(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.Removals {
		for _, kind := range []string{"", ":panic"} {
			for _, visit := range []int{1, 2, 9, 45} {
				name := fmt.Sprintf("%s:%d%s", point, visit, kind)
				t.Run(name, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "test.db")
					acknowledged := map[string]string{}
					for _, arm := range []string{name, name, ""} { // in three lives
						c, lines := start(t, path, guardVariable+"=1", failpoint.Variable+"="+arm)
						limit := 200
						for lines.Scan() {
							if strings.HasPrefix(lines.Text(), "error") {
								if !strings.Contains(lines.Text(), errClosed.Error()) {
									t.Fatal(lines.Text())
								}
								continue
							}
							state, person, _ := strings.Cut(lines.Text(), " ")
							acknowledged[person] = state
							if limit--; arm == "" && limit == 0 {
								_ = c.Process.Kill()
							}
						}
						if err := c.Wait(); err == nil {
							t.Fatal("the child ended by itself")
						}
						guarded(t, path, acknowledged)
						if !strings.HasPrefix(point, "guard") {
							break // few tombstones are saved once the limit is reached
						}
					}
				})
			}
		}
	}
}
