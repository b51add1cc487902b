package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/config"
	"connectroster/internal/connect"
	simconnect "connectroster/internal/sim/connect"
)

// TestLocks makes the locks that the tests of deploy/cdk read, so that what this
// program writes and what the deployment understands are one thing. With -update
// it writes them.
func TestLocks(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	folders, err := filepath.Glob(filepath.Join("..", "..", "deploy", "cdk", "testdata", "*", "connectroster.yaml"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no configurations: %v", err)
	}
	for _, path := range folders {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			got := lockFor(t, path)
			name := filepath.Join(filepath.Dir(path), lockName)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got); write it with: go test ./cmd/connectroster -run TestLocks -update\n%s", name, diff)
			}
		})
	}
}

// lockFor locks a configuration against a simulated instance for each of its own.
func lockFor(t *testing.T, path string) []byte {
	t.Helper()
	cfg, err := config.LoadWithoutSecrets(path, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	var all []*offering
	for _, c := range cfg.Instances() {
		id := c.Instance
		if !strings.Contains(id, "-") { // an alias
			id = "11111111-2222-3333-4444-555555555555"
		}
		set := simconnect.DefaultSettings()
		set.Limit = simconnect.Limit{}
		sim, err := simconnect.New(simconnect.Config{Settings: &set, InstanceID: id, Region: c.Region, Demo: true})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(sim)
		defer server.Close()
		o, err := readOffering(t.Context(), connect.Config{Instance: id, Region: c.Region, Deployment: cfg.Name, Endpoint: server.URL, AllowLoopback: true})
		if err != nil {
			t.Fatal(err)
		}
		o.Name, o.connection = c.Name, c
		all = append(all, o)
	}
	l, faults := lockOf(cfg, all)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Config = lockedAs(path, text)
	var out bytes.Buffer
	if err := l.encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
