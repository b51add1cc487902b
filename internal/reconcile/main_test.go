package reconcile_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// full reports whether the tests play the whole of what is promised. A normal run
// plays a part, which each test says.
func full() bool { return os.Getenv("CONNECTROSTER_FULL") == "1" }

// fullHistories is how many histories a full run of the model plays in each of
// its two modes. -rapid.checks asks for another number.
const fullHistories = 5000

func TestMain(m *testing.M) {
	// Nothing here leaves the process. A bundle of certificates would be read for
	// each of thousands of worlds.
	os.Unsetenv("AWS_CA_BUNDLE")
	flag.Parse()
	if checks := flag.Lookup("rapid.checks"); full() && checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set(fmt.Sprint(fullHistories)); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
