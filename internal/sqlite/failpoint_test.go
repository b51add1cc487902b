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
