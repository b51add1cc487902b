package app_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/sqlite"
	"connectroster/internal/storetest"
)

// TestRenew replaces the credential for Okta's API under Functions (P-51): they are the
// same before and after, use the new one a minute later, and the last good one as long
// as there is no other, of which the log tells once.
func TestRenew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{okta: "  auth: {token: \"file:token\"}\n  app: " + agentApp})
	file := filepath.Join(w.dir, "token")
	put := func(token string) { must(t, os.WriteFile(file, []byte(token+"\n"), 0o600)) }
	const first, second, third = "the-first-token-of-this-test", "the-second-token-of-this-test", "the-third-token-of-this-test"
	put(first)
	var used atomic.Value // which one signed the last call
	w.okta.lead(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		used.Store(r.Header.Get("Authorization"))
		r.Header.Set("Authorization", "SSWS "+apiToken)
		w.org.ServeHTTP(rw, r)
	}))
	cfg, err := config.Parse(filepath.Join(w.dir, "connectroster.yaml"), []byte(w.yaml()), func(name string) string { return w.env[name] })
	must(t, err)
	clock := storetest.NewClock()
	clock.Advance(time.Since(clock.Now())) // since the System Log keeps to the real time
	w.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: cfg.Store.SQLite, Now: clock.Now})
	must(t, err)
	parts, err := app.NewFunctions(t.Context(), app.Config{Config: cfg, Backend: w.store, Version: "test", Log: slog.New(w.log), Now: clock.Now})
	must(t, err)
	t.Cleanup(parts.Close)
	must(t, parts.Claim(t.Context()))
	const failure, change = "cannot use the credentials for Okta's API as they are now", "the credentials for Okta's API have changed"
	step := func(age time.Duration, token string, failures, changes int) {
		t.Helper()
		clock.Advance(age)
		parts.Renew()
		if _, err := parts.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := used.Load(); got != "SSWS "+token {
			t.Errorf("called with %q, want %q", got, token)
		}
		if f, c := w.log.count(failure), w.log.count(change); f != failures || c != changes {
			t.Errorf("the log tells of %d failures and %d changes, want %d and %d:\n%s", f, c, failures, changes, w.log)
		}
	}
	step(time.Minute, first, 0, 0)
	put("half a token")
	step(time.Minute, first, 1, 0)
	must(t, os.Remove(file))
	step(time.Minute, first, 1, 0)
	put(second)
	step(59*time.Second, first, 1, 0)
	step(time.Second, second, 1, 1)
	step(time.Minute, second, 1, 1)
	put(third)
	step(-time.Hour, third, 1, 2) // a clock that was put right
	must(t, os.Remove(file))
	step(time.Minute, third, 2, 2)
}
