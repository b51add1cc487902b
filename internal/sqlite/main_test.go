package sqlite

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also plays the process that a test kills: see child.
func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		play := child
		if os.Getenv(guardVariable) != "" {
			play = guardChild
		}
		play(path)
		return
	}
	goleak.VerifyTestMain(m)
}
