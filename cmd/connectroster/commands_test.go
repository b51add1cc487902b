package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the files that are made from the program")

// TestCommandReference sees that docs/commands.md says what the commands say of
// themselves. With -update it writes it.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "commands.md")
	want := commandReference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/commands.md is not what the commands say; write it with: go test ./cmd/connectroster -run TestCommandReference -update\n%s", diff)
	}
}

// TestCommandsHelp sees that every command tells what it does, and those that
// people work with how it ends and how it is used.
func TestCommandsHelp(t *testing.T) {
	t.Parallel()
	working := []string{"plan", "apply", "explain", "holds", "dead", "journal", "adopt", "release", "restore", "forget"}
	root := command()
	for _, name := range working {
		cmd, _, err := root.Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(cmd.Long, "Exit codes: 0 ") || cmd.Example == "" {
			t.Errorf("%s says nothing of its exit codes, or has no example", name)
		}
		for _, flag := range []string{"config", "json", "offline", "color", "socket"} {
			if cmd.PersistentFlags().Lookup(flag) == nil {
				t.Errorf("%s has no --%s", name, flag)
			}
		}
	}
	walkCommands(root, func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Long == "" && cmd.Name() != "version" {
			t.Errorf("%s does not say what it does", cmd.CommandPath())
		}
		for _, row := range strings.Split(cmd.Long, "\n") {
			if len(row) > 90 && !strings.HasPrefix(row, "  ") {
				t.Errorf("%s has a line of %d characters: %s", cmd.CommandPath(), len(row), row)
			}
		}
	})
}

func walkCommands(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			walkCommands(sub, visit)
		}
	}
}

// commandReference is docs/commands.md.
func commandReference() string {
	var out strings.Builder
	fmt.Fprint(&out, "# Commands\n\nThis page is written from the program: `go test ./cmd/connectroster -run TestCommandReference -update`.\n"+
		"`connectroster COMMAND --help` says the same.\n")
	root := command()
	walkCommands(root, func(cmd *cobra.Command) {
		if cmd == root {
			return
		}
		level := strings.Repeat("#", 1+len(strings.Fields(cmd.CommandPath()))-1)
		fmt.Fprintf(&out, "\n%s# %s\n\n%s\n\n```\n%s\n```\n", level[1:], cmd.CommandPath(), cmd.Short+".", cmd.UseLine())
		if cmd.Long != "" {
			fmt.Fprintf(&out, "\n%s\n", strings.TrimSpace(cmd.Long))
		}
		if cmd.Example != "" {
			fmt.Fprintf(&out, "\n```\n%s\n```\n", strings.TrimRight(cmd.Example, "\n"))
		}
		if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(&out, "\n```\n%s```\n", flags.FlagUsages())
		}
	})
	return out.String()
}
