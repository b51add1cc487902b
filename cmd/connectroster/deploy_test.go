package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// shellScripts are those at the root, by which connectroster is deployed to AWS.
var shellScripts = []string{"bootstrap.sh", "start.sh", "cleanup.sh"}

// TestDeployScripts plays the scripts of testdata/deploy: the shell scripts at the
// root, with programs in the place of go, node, npx and aws that note in the file
// calls what they were asked for.
func TestDeployScripts(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not here, so the scripts at the root cannot be run")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "deploy"),
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setupDeploy(env, root) },
		Cmds:                scriptCommands(),
	})
}

// setupDeploy lays out a copy of what the shell scripts use, and a PATH with nothing
// else on it.
func setupDeploy(env *testscript.Env, root string) error {
	if err := setupScript(env); err != nil {
		return err
	}
	for _, dir := range []string{"cmd/connectroster", "cmd/lambda", "deploy/cdk", "state", "fake"} {
		if err := os.MkdirAll(filepath.Join(env.WorkDir, dir), 0o755); err != nil {
			return err
		}
	}
	copies := map[string]string{}
	for _, name := range shellScripts {
		copies[name] = name
	}
	fakes, err := filepath.Glob(filepath.Join(root, "testdata", "deploy", "fake", "*"))
	if err != nil {
		return err
	}
	for _, path := range fakes {
		copies["testdata/deploy/fake/"+filepath.Base(path)] = "fake/" + filepath.Base(path)
	}
	for from, to := range copies {
		text, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(env.WorkDir, to), text, 0o755); err != nil {
			return err
		}
	}
	byHand, err := docBlock(filepath.Join(root, "docs", "aws.md"), "### By hand")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(env.WorkDir, "by-hand.sh"), []byte(byHand), 0o600); err != nil {
		return err
	}
	// What the shell scripts need of the system, and no more: not even the real node.
	for _, name := range []string{"bash", "sh", "basename", "cat", "chmod", "cp", "dirname", "head", "mkdir", "mv", "printf", "rm", "sed", "sort", "touch", "tr"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(env.WorkDir, "fake", name)); err != nil {
			return err
		}
	}
	for _, dir := range filepath.SplitList(env.Getenv("PATH")) {
		if path := filepath.Join(dir, "connectroster"); env.Getenv("CONNECTROSTER") == "" && exists(path) {
			env.Setenv("CONNECTROSTER", path)
		}
	}
	env.Setenv("PATH", filepath.Join(env.WorkDir, "fake"))
	return nil
}

// docBlock gives the first block of code under a heading of a document.
func docBlock(path, heading string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, under, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if ok {
		_, under, ok = strings.Cut(under, "\n```\n")
	}
	block, _, ends := strings.Cut(under, "```\n")
	if !ok || !ends {
		return "", fmt.Errorf("%s has no block of code under %q", path, heading)
	}
	return block, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestShellcheck has shellcheck read all shell scripts.
func TestShellcheck(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not here (apt-get install shellcheck), so the shell scripts are not checked")
	}
	root := filepath.Join("..", "..")
	var paths []string
	for _, name := range append(shellScripts, ".ci/run") {
		paths = append(paths, filepath.Join(root, name))
	}
	fakes, err := filepath.Glob(filepath.Join(root, "testdata", "deploy", "fake", "*"))
	if err != nil || len(fakes) == 0 {
		t.Fatalf("no stand-ins: %v", err)
	}
	out, err := exec.Command("shellcheck", append(paths, fakes...)...).CombinedOutput()
	if err != nil {
		t.Errorf("shellcheck: %v\n%s", err, strings.TrimSpace(string(out)))
	}
}
