package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
)

// TestSecretsGrowOld: when the hook secrets are read again is by the clock that the
// program was given, also where that was set back.
func TestSecretsGrowOld(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the first secret of the hook")
	c, err := config.Parse("config.yaml", []byte(`name: tests
policy: create-only
okta: {hook: {secrets: ["file:`+file+`"]}}
connect: {instance: 11111111-2222-3333-4444-555555555555, region: eu-central-1}
personas: {agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}}
rules: [{groups: [Agents], persona: agent}]
`), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	valid := secrets(c, func() time.Time { return clock }, slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		later  time.Duration
		stored string
		want   string
	}{
		{4 * time.Second, "the second secret of the hook", "the first secret of the hook"},
		{time.Hour, "the second secret of the hook", "the second secret of the hook"},
		{-time.Hour, "the third secret of the hook", "the third secret of the hook"},
	} {
		write(step.stored)
		clock = clock.Add(step.later)
		if diff := cmp.Diff([]string{step.want}, valid()); diff != "" {
			t.Errorf("%s later (-want +got)\n%s", step.later, diff)
		}
	}
}

// TestSecretsAreNotWaitedFor: a place of secrets that does not answer holds no delivery
// up for long, and what it answers in the end counts.
func TestSecretsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, make(chan string)
		valid := reread([]string{"first"}, func() ([]string, error) {
			asked++
			return []string{<-answer}, nil
		}, time.Now, slog.New(slog.DiscardHandler))
		time.Sleep(time.Minute)
		for range 3 {
			began := time.Now()
			if diff := cmp.Diff([]string{"first"}, valid()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("a delivery was held up for %s", took)
			}
		}
		answer <- "second"
		synctest.Wait()
		if diff := cmp.Diff([]string{"second"}, valid()); diff != "" || asked != 1 {
			t.Errorf("asked %d times (-want +got)\n%s", asked, diff)
		}
	})
}
