package config_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
)

// secretsManager answers GetSecretValue as AWS Secrets Manager does.
type secretsManager struct {
	mu       sync.Mutex
	versions map[string]string // "name stage" -> text
	denied   bool
	calls    int
}

func (s *secretsManager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var in struct{ SecretId, VersionStage string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
		http.Error(w, "not understood", http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	text, ok := s.versions[in.SecretId+" "+in.VersionStage]
	switch {
	case s.denied:
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "AccessDeniedException", "Message": "not you"})
	case !ok:
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."})
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"Name": in.SecretId, "SecretString": text})
	}
}

func (s *secretsManager) set(change func(versions map[string]string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.versions)
}

// vaulted puts AWS Secrets Manager on this machine, for the test and what it calls.
func vaulted(t *testing.T, versions map[string]string) *secretsManager {
	t.Helper()
	s := &secretsManager{versions: versions}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	return s
}

const (
	storedInAWS = smallest + `okta: {hook: {secrets: ["secretsmanager:roster/hook"]}}` + "\n"
	storedHook  = storedInAWS + "allow_loopback: true\n"
)

// TestStoredSecrets looks a hook secret up in AWS Secrets Manager: the one in force,
// and the one that is to follow.
func TestStoredSecrets(t *testing.T) {
	const arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:roster/token-AbCdEf"
	vault := vaulted(t, map[string]string{
		"roster/hook AWSCURRENT": "the secret in force\n", "roster/hook AWSPENDING": "the secret to come",
		arn + " AWSCURRENT": "the-token-in-force",
	})
	c, err := config.Parse("config.yaml", []byte(smallest+`okta: {org: https://example.okta.com, auth: {token: "secretsmanager:`+arn+`"}, hook: {secrets: ["secretsmanager:roster/hook"]}}`+"\nallow_loopback: true\n"), always)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"the secret in force", "the secret to come"}, c.HookSecrets()); diff != "" {
		t.Errorf("hook secrets (-want +got)\n%s", diff)
	}
	keys, err := c.OktaCredentials()
	if err != nil || keys.Token != "the-token-in-force" {
		t.Errorf("got the token %t and error %v", keys.Token != "", err)
	}
	vault.mu.Lock()
	before := vault.calls
	vault.mu.Unlock()
	for range 5 {
		if _, err := c.ResolveSecrets(); err != nil {
			t.Fatal(err)
		}
	}
	vault.mu.Lock()
	defer vault.mu.Unlock()
	if before != 3 || vault.calls != before {
		t.Errorf("made %d calls to read three versions and %d to read them again at once, want 3 and none", before, vault.calls-before)
	}
}

// TestStoredSecretChanges waits for the age at which a secret is read again.
func TestStoredSecretChanges(t *testing.T) {
	vault := vaulted(t, map[string]string{"roster/hook AWSCURRENT": "the first secret"})
	c, err := config.Parse("config.yaml", []byte(storedHook), always)
	if err != nil {
		t.Fatal(err)
	}
	if config.VaultFreezes(c) {
		t.Error("a secret grows no older while the process is frozen")
	}
	age := config.AgeVault(c)
	vault.set(func(v map[string]string) { v["roster/hook AWSPENDING"] = "the second secret" })
	want := [][]string{{"the first secret"}, {"the first secret", "the second secret"}}
	for i, wait := range []time.Duration{45 * time.Second, 10 * time.Second} {
		age(wait)
		got, err := c.ResolveSecrets()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("step %d (-want +got)\n%s", i, diff)
		}
	}
	vault.set(func(v map[string]string) { clear(v); v["roster/hook AWSCURRENT"] = "the second secret" })
	age(time.Minute)
	got, err := c.ResolveSecrets()
	if diff := cmp.Diff([]string{"the second secret"}, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	vault.set(func(v map[string]string) { vault.denied = true })
	age(time.Minute)
	if got, err := c.ResolveSecrets(); err == nil || got != nil {
		t.Errorf("got %d secrets and error %v from a vault that refuses, want an error", len(got), err)
	}
}

// TestStoredSecretFaults says what is wrong with a secret, and never shows it.
func TestStoredSecretFaults(t *testing.T) {
	vault := vaulted(t, map[string]string{})
	for name, c := range map[string]struct {
		versions map[string]string
		denied   bool
		region   string
		want     string
	}{
		"not there": {map[string]string{}, false, "eu-central-1", "AWS Secrets Manager has no such secret in this account and region"},
		"denied":    {map[string]string{}, true, "eu-central-1", "allow secretsmanager:GetSecretValue"},
		"weak":      {map[string]string{"roster/hook AWSCURRENT": "hunter2"}, false, "eu-central-1", "the secret has 7 characters"},
		"weak next": {map[string]string{"roster/hook AWSCURRENT": "a secret that is good", "roster/hook AWSPENDING": "hunter2"}, false, "eu-central-1", "the secret has 7 characters"},
		"no region": {map[string]string{}, false, "", "the region of the secret is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", c.region)
			t.Setenv("AWS_DEFAULT_REGION", "")
			vault.set(func(map[string]string) { vault.versions, vault.denied = c.versions, c.denied })
			_, err := config.Parse("config.yaml", []byte(storedHook), always)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error with %q and without the secret", err, c.want)
			}
		})
	}
}

// TestStoredSecretsElsewhere: whoever answers for AWS Secrets Manager decides which
// deliveries are taken, so it is no program on this machine, and is not asked in
// plain text, unless that is meant.
func TestStoredSecretsElsewhere(t *testing.T) {
	vault := vaulted(t, map[string]string{"roster/hook AWSCURRENT": "a secret that is good"})
	here := os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER")
	file := filepath.Join(t.TempDir(), "aws")
	if err := os.WriteFile(file, []byte("[default]\nendpoint_url = "+here+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const local = "is on this machine, so it is not AWS; set allow_loopback: true if that is meant"
	for name, c := range map[string]struct{ own, all, file, want string }{
		"here":                    {own: here, want: local},
		"here, by its name":       {own: strings.Replace(here, "127.0.0.1", "localhost", 1), want: local},
		"here, for all services":  {all: here, want: local},
		"here, by a file":         {file: file, want: local},
		"in plain text":           {own: "http://secrets.example.com", want: "want an https address"},
		"no address":              {own: "secrets", want: "want an https address"},
		"every address of ours":   {own: "https://0.0.0.0:1", want: "it leads to this machine"},
		"the network of this one": {own: "https://169.254.169.254", want: "it leads to this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", c.own)
			t.Setenv("AWS_ENDPOINT_URL", c.all)
			if c.file != "" {
				t.Setenv("AWS_CONFIG_FILE", c.file)
			}
			_, err := config.Parse("config.yaml", []byte(storedInAWS), always)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	vault.mu.Lock()
	defer vault.mu.Unlock()
	if vault.calls != 0 {
		t.Errorf("it was asked %d times all the same", vault.calls)
	}
}
