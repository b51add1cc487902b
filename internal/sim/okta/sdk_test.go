package okta_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

const sdkVersion = "8.1.0"

// sdk is a folder with Okta's SDK for Node.js. It is installed once per
// machine; where that cannot be, the test is skipped and says why.
func sdk(t *testing.T) string {
	t.Helper()
	if os.Getenv("CONNECTROSTER_NPM") == "off" {
		t.Skip("CONNECTROSTER_NPM is off: Okta's own SDK does not read the simulator")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: Okta's own SDK does not read the simulator", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder for Okta's own SDK: %v", err)
	}
	root := filepath.Join(cache, "connectroster-test-npm")
	home := filepath.Join(root, "okta-sdk-nodejs-"+sdkVersion)
	if _, err := os.Stat(filepath.Join(home, "node_modules")); err == nil {
		return home
	}
	must(t, os.MkdirAll(root, 0o755))
	fresh, err := os.MkdirTemp(root, "install-")
	must(t, err)
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", fresh, "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0",
		"@okta/okta-sdk-nodejs@"+sdkVersion)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("Okta's own SDK cannot be installed and does not read the simulator: %v: %.300s", err, out)
	}
	if err := os.Rename(fresh, home); err != nil && !errors.Is(err, os.ErrExist) {
		if _, gone := os.Stat(home); gone != nil { // another test process was not faster either
			t.Fatal(err)
		}
	}
	return home
}

// Okta's own SDK must see the org that was made, by either way to sign in.
func TestOktaSDKReadsTheOrg(t *testing.T) {
	t.Parallel()
	home := sdk(t)
	w := open(t, okta.Config{})
	g := w.group("Amazon Connect Agents")
	users, members, logs := [][]any{}, []any{}, []any{}
	for i := range 5 {
		u := w.user(fmt.Sprintf("agent%d@example.com", i), g.ID)
		users = append(users, []any{u.Login, "ACTIVE"})
		members = append(members, u.Login)
		logs = append(logs, []any{"group.user_membership.add", "SUCCESS", u.Login})
	}
	users[1][1] = "SUSPENDED"
	must(t, w.Suspend("agent1@example.com"))
	_, err := w.AddHook(okta.HookConfig{Name: "connectroster", URI: "https://hooks.example.com/okta", Events: memberships, AuthValue: "s"})
	must(t, err)
	created := w.want(200, "GET", "/api/v1/users/agent0@example.com", nil).obj()["created"]
	want := object{
		"users": plain(t, users), "groups": []any{"Amazon Connect Agents"}, "members": members,
		"user": []any{"Ana", "Silva", created}, "missing": []any{404.0, "E0000007"},
		"logs": logs, "hooks": []any{[]any{"connectroster", "ACTIVE", "UNVERIFIED", []any{memberships[0], memberships[1]}}},
	}
	scopes := []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.eventHooks.read"}
	app := w.register(rsaKey(), "RS256", okta.NewClient{Scopes: scopes, Roles: []string{"READ_ONLY_ADMIN"}}, time.Now)
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	must(t, err)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, signIn := range map[string]object{
		"by token":       {"token": "dev-token"},
		"by private key": {"authorizationMode": "PrivateKey", "clientId": app.id, "keyId": app.kid, "scopes": scopes, "privateKey": key},
	} {
		if diff := cmp.Diff(want, w.readBySDK(home, g.ID, signIn)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// readBySDK returns what testdata/judge.cjs saw of the org.
func (w *world) readBySDK(home, group string, signIn object) (saw object) {
	w.t.Helper()
	b, err := json.Marshal(signIn)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	since, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "judge.cjs"), w.url, group, string(b),
		since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(home, "node_modules"), "http_proxy=", "https_proxy=", "HTTP_PROXY=", "HTTPS_PROXY=")
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		w.t.Fatalf("the SDK fails: %v: %s", err, failed.Stderr)
	}
	must(w.t, err)
	must(w.t, json.Unmarshal(out, &saw))
	return saw
}

// plain is a value as decoded JSON.
func plain(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	var out any
	must(t, json.Unmarshal(b, &out))
	return out
}
