package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
)

// TestRotate changes the file of a secret under a loaded configuration.
func TestRotate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "next.txt")
	write(t, file, "the first secret\r\n")
	write(t, filepath.Join(dir, "config.yaml"), smallest+"okta: {hook: {secrets: [env:HOOK, file:next.txt]}}\n")
	c, err := config.Load(filepath.Join(dir, "config.yaml"), always)
	if err != nil {
		t.Fatal(err)
	}
	before := []string{secret, "the first secret"}
	if diff := cmp.Diff(before, c.HookSecrets()); diff != "" {
		t.Errorf("at load (-want +got)\n%s", diff)
	}

	write(t, file, "the second secret\n")
	got, err := c.ResolveSecrets()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{secret, "the second secret"}, got); diff != "" {
		t.Errorf("after the change (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, c.HookSecrets()); diff != "" {
		t.Errorf("HookSecrets changed (-want +got)\n%s", diff)
	}

	write(t, file, "hunter2\n")
	if got, err := c.ResolveSecrets(); err == nil || got != nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("weak secret: got %d secrets and error %v, want an error that does not show it", len(got), err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ResolveSecrets(); err == nil || !strings.Contains(err.Error(), "file:next.txt") {
		t.Errorf("missing file: got %v, want an error that names the reference", err)
	}
}

// TestSecretsAreNotPrinted prints a configuration in every way that comes to
// mind.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("config.yaml", []byte(smallest), always)
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("%v %+v %#v %s %v %+v", c, c, c, out, *c, c.Settings())
	if strings.Contains(said, secret) {
		t.Errorf("shows the secret: %s", said)
	}
	c.HookSecrets()[0] = "changed"
	if got := c.HookSecrets()[0]; got != secret {
		t.Errorf("a caller changed the secret to %q", got)
	}
}

// TestOpenFile warns of secrets that everybody may read, and of no others.
func TestOpenFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "secret.txt")
	write(t, file, secret+"\n")
	data := []byte(smallest + "okta: {org: https://example.okta.com, auth: {token: \"file:secret.txt\"}, hook: {secrets: [file:secret.txt]}}\n")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 2, 0o604: 2} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse(filepath.Join(dir, "config.yaml"), data, always)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != want {
			t.Errorf("mode %o: got warnings %v, want %d", mode, c.Warnings, want)
		}
	}
}

// TestDevice must not read from a device for ever.
func TestDevice(t *testing.T) {
	t.Parallel()
	data := []byte(smallest + "okta: {hook: {secrets: [\"file:/dev/zero\"]}}\n")
	_, err := config.Parse("config.yaml", data, always)
	if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("got %v, want a fault for a file that is none", err)
	}
}
