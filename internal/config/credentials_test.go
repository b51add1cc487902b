package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
)

// pemKey makes what looks like a private key of a text of 16 letters and digits.
func pemKey(text string) string {
	return "-----BEGIN PRIVATE KEY-----\n" + text + "\n-----END PRIVATE KEY-----"
}

// TestOktaCredentials changes the secrets under a loaded configuration.
func TestOktaCredentials(t *testing.T) {
	t.Parallel()
	const org = "okta: {org: https://example.okta.com, auth: "
	tests := []struct {
		name, auth, first, second string
		want                      func(secret string) config.OktaCredentials
	}{
		{"token", `{token: "file:secret"}`, "00the-first-token", "00the-second-token", func(secret string) config.OktaCredentials {
			return config.OktaCredentials{Token: secret}
		}},
		{"service app", `{client_id: 0oa1, private_key: "file:secret", key_id: ours}`, pemKey("1111111111111111"), pemKey("2222222222222222"),
			func(secret string) config.OktaCredentials {
				return config.OktaCredentials{ClientID: "0oa1", KeyID: "ours", PrivateKey: []byte(secret),
					Scopes: []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.apps.read"}}
			}},
		{"scopes", `{client_id: 0oa1, private_key: "file:secret", scopes: "okta.users.read, okta.groups.read, okta.logs.read"}`,
			`{"kty":"RSA","d":"1111111111111111"}`, `{"kty":"EC","d":"2222222222222222"}`,
			func(secret string) config.OktaCredentials {
				return config.OktaCredentials{ClientID: "0oa1", PrivateKey: []byte(secret),
					Scopes: []string{"okta.users.read", "okta.groups.read", "okta.logs.read"}}
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "secret")
			write(t, file, test.first+"\r\n")
			c, err := config.Parse(filepath.Join(dir, "config.yaml"), []byte(smallest+org+test.auth+"}\n"), always)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Mode(); got != "api" || !c.APIMode() {
				t.Errorf("got mode %s, want api", got)
			}
			for _, secret := range []string{test.first, test.second} {
				write(t, file, secret+"\n")
				got, err := c.OktaCredentials()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(fields(test.want(secret)), fields(got)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
			write(t, file, "hunter2\n")
			if got, err := c.OktaCredentials(); err == nil || got.Token != "" || got.PrivateKey != nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("no good: got error %v, want one that does not show it, and no credentials", err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if _, err := c.OktaCredentials(); err == nil || !strings.Contains(err.Error(), "file:secret") {
				t.Errorf("missing file: got %v, want an error that names the reference", err)
			}
		})
	}
}

// fields takes credentials apart, so that a difference can be shown.
func fields(c config.OktaCredentials) []any {
	return []any{c.Token, c.ClientID, c.KeyID, string(c.PrivateKey), c.Scopes}
}

func TestHookOnlyMode(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("config.yaml", []byte(smallest), always)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Mode(); got != "hook-only" || c.APIMode() {
		t.Errorf("got mode %s, want hook-only", got)
	}
	if _, err := c.OktaCredentials(); err == nil || !strings.Contains(err.Error(), "hook-only mode") {
		t.Errorf("got %v, want an error that names the mode", err)
	}
}

// TestCredentialsAreNotPrinted prints credentials, and what holds them, in every
// way that comes to mind.
func TestCredentialsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := config.OktaCredentials{Token: canary, ClientID: canary, KeyID: canary, PrivateKey: []byte(canary), Scopes: []string{canary}}
	holder := struct{ Okta config.OktaCredentials }{c}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", c, &c, holder)
	}
	fmt.Fprintln(&out, c, c.String(), fmt.Errorf("sign in with %v", c))
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, options)), slog.New(slog.NewJSONHandler(&out, options))} {
		log.Debug("sign in", "with", c, "and", &c, "in", holder)
	}
	if err := json.NewEncoder(&out).Encode([]any{c, &c, holder}); err != nil {
		t.Fatal(err)
	}
	said := out.String()
	for _, form := range []string{canary, "Kanari", fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "75 97 110", "S2FuYXJp"} {
		if strings.Contains(said, form) {
			t.Errorf("shows %q in %s", form, said)
		}
	}
	if n := strings.Count(said, "not shown"); n < 30 {
		t.Errorf("says %d times that they are not shown, want at least 30: %s", n, said)
	}
}
