package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLint has cfn-lint read the templates. What it may complain of, and why:
// W3005, a dependency that is there twice, is how the CDK writes functions; W3037 of
// connect:UpdateUserConfig alone, which AWS's list of actions lacks
// (docs/unverified.md).
func TestLint(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not here (pip install cfn-lint), so the templates are not linted")
	}
	var paths []string
	dir := t.TempDir()
	for _, name := range cases {
		x := synth(t, name, map[string]string{"alarm-mail": "on-call@example.com"})
		text, err := json.Marshal(map[string]any{"Resources": x.Resources, "Outputs": x.Outputs})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out, err := exec.Command(lint, append([]string{"--format", "json", "--ignore-checks", "W3005", "--"}, paths...)...).Output()
	var findings []struct {
		Filename, Message string
		Rule              struct{ ID string }
		Location          struct{ Path []any }
	}
	if failed := json.Unmarshal(out, &findings); failed != nil {
		t.Fatalf("cfn-lint says %q: %v, %v", out, failed, err)
	}
	for _, f := range findings {
		if f.Rule.ID == "W3037" && strings.HasPrefix(f.Message, "'updateuserconfig' is not one of") {
			continue
		}
		t.Errorf("%s %v: %s %.300s", filepath.Base(f.Filename), f.Location.Path, f.Rule.ID, f.Message)
	}
}
