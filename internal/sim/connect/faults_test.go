package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/google/go-cmp/cmp"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code string
		want []string // of the first three throttled calls
	}{
		{Alternate, []string{codeThrottling, codeTooManyRequests, codeThrottling}},
		{codeThrottling, []string{codeThrottling, codeThrottling, codeThrottling}},
		{codeTooManyRequests, []string{codeTooManyRequests, codeTooManyRequests, codeTooManyRequests}},
	} {
		w := start(t, func(s *Settings) { s.Limit, s.ThrottleCode = DefaultSettings().Limit, c.code })
		list := func() error {
			return do(w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: aws.String(w.ID())}))
		}
		for i := range 5 {
			if err := list(); err != nil {
				t.Errorf("call %d of the burst: %v", i+1, err)
			}
		}
		for _, want := range c.want {
			wantCode(t, "beyond the burst", list(), want)
		}
		if err := do(w.sdk.ListRoutingProfiles(t.Context(), &sdk.ListRoutingProfilesInput{InstanceId: aws.String(w.ID())})); err != nil {
			t.Errorf("another operation: %v", err)
		}
		w.clock.advance(500 * time.Millisecond)
		if err := list(); err != nil {
			t.Errorf("half a second later: %v", err)
		}
		if err := list(); code(err) == "" {
			t.Error("half a second brought two calls")
		}
		w.clock.advance(time.Hour)
		for range 5 {
			if err := list(); err != nil {
				t.Error(err)
			}
		}
		if err := list(); code(err) == "" {
			t.Error("the bucket holds more than its burst")
		}
		if s := w.Stats(); s.Throttled != 5 || s.Operations["ListUsers"].Throttled != 5 || s.Operations["ListUsers"].OK != 11 {
			t.Errorf("statistics %+v of ListUsers %+v", s, s.Operations["ListUsers"])
		}
	}
}

// TestThrottleOfPlainOperation: ListInstances declares no ThrottlingException.
func TestThrottleOfPlainOperation(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.Limits = map[string]Limit{"ListInstances": {Rate: 1, Burst: 1}} })
	list := func() error { return do(w.sdk.ListInstances(t.Context(), &sdk.ListInstancesInput{})) }
	if err := list(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "beyond the burst", list(), codeTooManyRequests)
	if err := do(w.sdk.DescribeInstance(t.Context(), &sdk.DescribeInstanceInput{InstanceId: aws.String(w.ID())})); err != nil {
		t.Errorf("an operation with the unlimited rate: %v", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	status := func(want int) func(error) bool {
		return func(err error) bool {
			var e interface{ HTTPStatusCode() int }
			return errors.As(err, &e) && e.HTTPStatusCode() == want
		}
	}
	coded := func(want string) func(error) bool {
		return func(err error) bool { return code(err) == want }
	}
	for name, c := range map[string]struct {
		fault Fault
		fits  func(error) bool // how the client sees it
	}{
		"500":        {Fault{}, coded("InternalServiceException")},
		"503":        {Fault{Status: 503}, status(503)},
		"504":        {Fault{Status: 504}, status(504)},
		"code":       {Fault{Status: 403, Code: "AccessDeniedException", Message: "no"}, coded("AccessDeniedException")},
		"bare 429":   {Fault{Status: 429}, status(429)},
		"reset":      {Fault{Kind: FaultReset}, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		"truncate":   {Fault{Kind: FaultTruncate}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"long delay": {Fault{Kind: FaultDelay, Delay: time.Hour}, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		for _, commit := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/commit=%v", name, commit), func(t *testing.T) {
				t.Parallel()
				w := startUnjudged(t, nil)
				c.fault.Operation, c.fault.Commit = "CreateUser", commit
				if err := w.AddFaults(c.fault); err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if c.fault.Kind == FaultDelay {
					ctx = w.leaving(t, func() bool { return w.Faults()[0].Struck > 0 && (!commit || len(w.Ledger()) > 0) })
				}
				_, err := w.sdk.CreateUser(ctx, w.person("ana"))
				if err == nil || !c.fits(err) {
					t.Errorf("the client got %v", err)
				}
				ledger := w.Ledger()
				if made := len(w.Agents()) == 1; made != commit || (len(ledger) == 1) != commit {
					t.Fatalf("%d agents and %d ledger entries", len(w.Agents()), len(ledger))
				}
				if commit && ledger[0].Fault != defaultTo(c.fault.Kind, FaultStatus) {
					t.Errorf("the ledger says fault %q", ledger[0].Fault)
				}
				want := ""
				if commit {
					want = "DuplicateResourceException"
				}
				_, err = w.sdk.CreateUser(t.Context(), w.person("ana"))
				wantCode(t, "the same once more", err, want)
				if p := w.Faults()[0]; p.Seen != 2 || p.Struck != 1 {
					t.Errorf("the plan says %+v", p)
				}
				if s := w.Stats().Operations["CreateUser"]; s.Calls != 2 || s.Faulted != 1 {
					t.Errorf("statistics %+v", s)
				}
			})
		}
	}
}

func TestShortDelay(t *testing.T) {
	t.Parallel()
	w := startUnjudged(t, nil)
	if err := w.AddFaults(Fault{Kind: FaultLatency, Delay: 20 * time.Millisecond}, Fault{Kind: FaultDelay, Delay: time.Millisecond, Commit: true, Nth: 2},
		Fault{Kind: FaultDelay, Delay: time.Millisecond, Nth: 3}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.create(t, "a1")
	if d := time.Since(began); d < 20*time.Millisecond {
		t.Errorf("a latency of 20 ms took %v", d)
	}
	w.create(t, "a2")
	_, err := w.sdk.CreateUser(t.Context(), w.person("a3"))
	if err == nil || len(w.Agents()) != 2 {
		t.Errorf("a delay without commit: %v, %d agents", err, len(w.Agents()))
	}
	if w.Ledger()[0].Fault != "" {
		t.Error("the ledger calls latency a fault")
	}
}

// TestFaultSchedule plays rules against ten calls and notes which they hit.
func TestFaultSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault Fault
		want  string
	}{
		{Fault{}, "x........."},
		{Fault{Nth: 3}, "..x......."},
		{Fault{Times: 3}, "xxx......."},
		{Fault{Nth: 2, Every: 3, Times: -1}, ".x..x..x.."},
		{Fault{Nth: 2, Every: 3, Times: 2}, ".x..x....."},
		{Fault{Times: -1}, "xxxxxxxxxx"},
		{Fault{Operation: "CreateUser", Times: -1}, ".........."},
		{Fault{Username: "ben", Times: -1}, ".x.x.x.x.x"},
		{Fault{Username: "ben", Nth: 2}, "...x......"},
		{Fault{Username: "BEN", Times: -1}, ".........."},
	} {
		w := startUnjudged(t, nil)
		ids := []string{w.create(t, "ana"), w.create(t, "ben")}
		if err := w.AddFaults(c.fault); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for i := range 10 {
			ref := ids[i%2]
			if i > 4 {
				ref = w.ARN() + "/agent/" + ref
			}
			mark := "."
			if err := do(w.sdk.DescribeUser(t.Context(), &sdk.DescribeUserInput{InstanceId: aws.String(w.ID()), UserId: &ref})); err != nil {
				mark = "x"
			}
			got.WriteString(mark)
		}
		if got.String() != c.want {
			t.Errorf("%+v: %s, want %s", c.fault, got.String(), c.want)
		}
	}
}

// TestThrottledCallsMeetNoFault: the nth call is the nth admitted one.
func TestThrottledCallsMeetNoFault(t *testing.T) {
	t.Parallel()
	w := startUnjudged(t, func(s *Settings) { s.Limit = Limit{Rate: 1, Burst: 1} })
	if err := w.AddFaults(Fault{Nth: 2, Code: "Planned"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 2 {
		for range 2 {
			got = append(got, code(do(w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: aws.String(w.ID())}))))
		}
		w.clock.advance(time.Second)
	}
	if diff := cmp.Diff([]string{"", codeThrottling, "Planned", codeTooManyRequests}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadFaults(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, f := range []Fault{
		{Kind: "explode"}, {Operation: "FlyToMoon"}, {Status: 42}, {Kind: FaultDelay}, {Kind: FaultLatency, Delay: -1},
	} {
		if err := w.AddFaults(Fault{}, f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	if n := len(w.Faults()); n != 0 {
		t.Errorf("%d faults of refused plans are left", n)
	}
}

// TestLatency: a call takes as long as it is told to, and a client that goes
// away meanwhile has done nothing.
func TestLatency(t *testing.T) {
	t.Parallel()
	w := startUnjudged(t, func(s *Settings) { s.Latency, s.Jitter = 20*time.Millisecond, 5*time.Millisecond })
	began := time.Now()
	w.create(t, "ana")
	if d := time.Since(began); d < 20*time.Millisecond {
		t.Errorf("a call took %v", d)
	}
	if err := w.ChangeSettings(func(s *Settings) { s.Latency = time.Hour }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.sdk.CreateUser(ctx, w.person("ben")); err == nil {
		t.Error("an hour passed in 50 ms")
	}
	if n := w.Stats().Calls; n != 1 {
		t.Errorf("%d calls arrived", n)
	}
}

// TestFaultsUnderConcurrency: a fault that strikes three times strikes three
// times, however many calls race for it.
func TestFaultsUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := startUnjudged(t, nil)
	if err := w.AddFaults(Fault{Operation: "CreateUser", Kind: FaultReset, Commit: true, Times: 3}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for i := range 20 {
		wg.Go(func() {
			if _, err := w.sdk.CreateUser(t.Context(), w.person(fmt.Sprint("agent", i))); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed != 3 || len(w.Agents()) != 20 {
		t.Errorf("%d calls failed and %d agents exist", failed, len(w.Agents()))
	}
}
