package doctor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func found(findings ...Finding) func(context.Context) []Finding {
	return func(context.Context) []Finding { return findings }
}

// A check that comes upon what another one has told is skipped for that, and so is
// what needs it.
func TestBehind(t *testing.T) {
	t.Parallel()
	report, err := Run(t.Context(), []Check{
		{Name: "database", Run: found(Failure("it is gone"))},
		{Name: "roster", Hint: "see the message", Run: found(Behind("database"))},
		{Name: "people", Needs: []string{"roster"}, Run: func(context.Context) []Finding { t.Error("was run"); return nil }},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Check: "roster", Code: "roster", State: Skipped, Seen: "not looked at: first mend database"},
		{Check: "people", Code: "people", State: Skipped, Seen: "not looked at: first mend database"},
	}
	if diff := cmp.Diff(want, report.Results[1:]); diff != "" {
		t.Error(diff)
	}
}

// One failure is told once: what depends on it is skipped, with what it is that
// has to be mended, and everything else is looked at.
func TestOneFailureIsToldOnce(t *testing.T) {
	t.Parallel()
	checks := []Check{
		{Name: "sign in", Hint: "mend the credential", Run: found(Failure("refused"))},
		{Name: "groups", Needs: []string{"sign in"}, Run: func(context.Context) []Finding { t.Error("was run"); return nil }},
		{Name: "members", Needs: []string{"groups"}, Run: func(context.Context) []Finding { t.Error("was run"); return nil }},
		{Name: "disk", Run: found(Okay("%d bytes free", 7))},
	}
	var told []Result
	report, err := Run(t.Context(), checks, func(r Result) { told = append(told, r) })
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Check: "sign in", Code: "sign_in", State: Fail, Seen: "refused", Do: "mend the credential"},
		{Check: "groups", Code: "groups", State: Skipped, Seen: "not looked at: first mend sign in"},
		{Check: "members", Code: "members", State: Skipped, Seen: "not looked at: first mend sign in"},
		{Check: "disk", Code: "disk", State: OK, Seen: "7 bytes free"},
	}
	if diff := cmp.Diff(want, report.Results); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if report.State != Fail || report.OK != 1 || report.Fail != 1 || report.Skipped != 2 || report.Warn != 0 {
		t.Errorf("%+v", report)
	}
}

// What fails in one instance does not keep another from being looked at.
func TestNeedsAreOfOneInstance(t *testing.T) {
	t.Parallel()
	report, err := Run(t.Context(), []Check{
		{Name: "config", Run: found(Okay("loads"))},
		{Name: "reach", About: "eu", Run: found(Failure("away"))},
		{Name: "reach", About: "us", Run: found(Okay("there"))},
		{Name: "names", About: "eu", Needs: []string{"config", "reach"}, Run: found(Okay("x"))},
		{Name: "names", About: "us", Needs: []string{"config", "reach"}, Run: found(Warning("y").As("z").Todo("do %s", "it"))},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Results[3].State; got != Skipped {
		t.Errorf("names in eu: %s", got)
	}
	if diff := cmp.Diff(Result{Check: "names", About: "us", Code: "z", State: Warn, Seen: "y", Do: "do it"}, report.Results[4]); diff != "" {
		t.Error(diff)
	}
}

// A check that takes too long is a failure, whether it obeys or not, and so is one
// that breaks.
func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		report, err := Run(t.Context(), []Check{
			{Name: "obeys", Within: time.Second, Run: func(ctx context.Context) []Finding {
				<-ctx.Done()
				return []Finding{Failure("gave up: %v", context.Cause(ctx))}
			}},
			{Name: "forgets", Within: time.Second, Run: func(ctx context.Context) []Finding {
				<-ctx.Done()
				return nil
			}},
			{Name: "hangs", Within: time.Second, Run: func(context.Context) []Finding { <-stuck; return nil }},
			{Name: "breaks", Run: func(context.Context) []Finding { panic("nobody thought of this") }},
		}, nil)
		close(stuck)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, r := range report.Results {
			if r.State != Fail {
				t.Errorf("%+v", r)
			}
			seen = append(seen, r.Check+": "+r.Seen)
		}
		want := []string{"obeys: gave up: no answer in time", "forgets: no answer within 1s", "hangs: no answer within 1s", "breaks: the check itself failed: nobody thought of this"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
	})
}

// An interruption ends the run with what was seen until then.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	report, err := Run(ctx, []Check{
		{Name: "first", Run: found(Okay("seen"))},
		{Name: "second", Run: func(ctx context.Context) []Finding { cancel(); return []Finding{Failure("%v", ctx.Err())} }},
		{Name: "third", Run: found(Okay("never"))},
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if len(report.Results) != 1 || report.Results[0].Check != "first" {
		t.Errorf("%+v", report.Results)
	}
}
