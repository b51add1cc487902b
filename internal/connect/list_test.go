package connect

import (
	"strings"
	"testing"

	simconnect "connectroster/internal/sim/connect"
)

// TestList lists the instances of an account, and tells which can be worked with.
func TestList(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ identity, unusable string }{
		"SAML":      {simconnect.SAML, ""},
		"passwords": {simconnect.ConnectManaged, "keeps passwords of its own"},
		"directory": {simconnect.ExistingDirectory, "Active Directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, func(s *simconnect.Settings) { s.IdentityType = test.identity }, nil)
			cfg := configFor(w.url)
			cfg.Instance, cfg.Deployment = "", ""
			all, err := List(t.Context(), cfg)
			if err != nil || len(all) != 1 {
				t.Fatalf("got %v, %v", all, err)
			}
			if got := all[0]; got.ID != w.sim.ID() || got.Alias != "connectroster-sim" || got.Region != "eu-central-1" || got.Identity != test.identity {
				t.Errorf("got %+v", got)
			}
			why := all[0].Unusable()
			if (why == nil) != (test.unusable == "") || why != nil && !strings.Contains(why.Error(), test.unusable) {
				t.Errorf("it cannot be used because of %v, want %q", why, test.unusable)
			}
			if err := w.sim.Deny("ListInstances"); err != nil {
				t.Fatal(err)
			}
			if _, err := List(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "connect:ListInstances") {
				t.Errorf("without the right to list: %v", err)
			}
		})
	}
}
