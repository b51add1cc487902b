package app_test

import (
	"path/filepath"
	"testing"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

// TestReceiverClaims: a process that knows no instance takes over no store of another
// deployment that has agents, also where nobody was ever asked about them.
func TestReceiverClaims(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("config.yaml", []byte(`name: new
policy: create-only
okta: {hook: {secrets: ["env:SECRET"]}}
connect: {instance: 11111111-2222-3333-4444-555555555555, region: eu-central-1}
personas: {agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}}
rules: [{groups: [Agents], persona: agent}]
`), func(string) string { return "a secret for tests" })
	must(t, err)
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	must(t, store.SaveNote(t.Context(), "deployment", "old"))
	must(t, store.Remember(t.Context(), reconcile.Known{Owner: "00uSomebody", Agent: "an-agent", Since: time.Now()}))
	receiver, err := app.NewReceiver(app.Config{Config: cfg, Backend: store})
	must(t, err)
	if err := receiver.Claim(t.Context()); remedy.CodeOf(err) != "deployment_changed" {
		t.Errorf("claim: %v", err)
	}
	must(t, store.Forget(t.Context(), "", "an-agent"))
	must(t, receiver.Claim(t.Context()))
}
