// Command connectroster keeps the agents of an Amazon Connect contact centre
// equal to what Okta says they should be. This package holds flags, wiring and
// signals; the program itself is package app.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"connectroster/internal/remedy"
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes one command line and gives the exit code: 0 ok, 1 failure, 2 there
// are changes, for plan --detailed-exitcode alone.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)

	root := command()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		if errors.Is(err, errChanges) {
			return 2
		}
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "connectroster: "+withCode(err))
		}
		return 1
	}
	return 0
}

// errReported ends a command that has said already what is wrong.
var errReported = errors.New("failed")

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "connectroster",
		Short: "Keep the agents of an Amazon Connect contact centre equal to what Okta says",
		Long: `connectroster keeps the agent roster of an Amazon Connect contact centre equal
to what Okta says it should be: put a person in an Okta group and a minute later
they can take calls.

Try it on this machine, without any account:

  connectroster dev

doctor checks everything that has to be right, and says what to do about what is not.
With a daemon running, plan shows what it would do, explain why somebody has the
agent that they have, and holds what waits for approval.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	group(root)
	versionFlag(root)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		initCommand(), doctorCommand(), serveCommand(), oktaCommand(), devCommand(), simulateCommand(), versionCommand(),
		planCommand(), applyCommand(), explainCommand(), holdsCommand(), deadCommand(), journalCommand(),
		adoptCommand(), releaseCommand(), restoreCommand(), forgetCommand(),
		catalogCommand(), backupCommand(),
	)
	root.AddCommand(releaseCommands()...)
	strictCompletion(root)
	return root
}

// strictCompletion makes a wrong word an error for the command that cobra brings,
// which else shows its help as if all were well.
func strictCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			group(cmd)
			for _, shell := range cmd.Commands() {
				shell.Args = noArguments
			}
		}
	}
}

// usage is an error about how a command was typed.
func usage(format string, args ...any) error {
	return remedy.Mark("usage", fmt.Errorf(format, args...))
}

// noArguments refuses words after the flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no arguments, but was given %q; see %s --help", cmd.CommandPath(), args, cmd.CommandPath())
	}
	return nil
}

// arguments refuses fewer words after the flags than least and more than most;
// a negative most is without limit. A word that can be nobody's name, as that of a
// variable that is not set, must not come to stand for everybody, or for another
// path of the API.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		_, wanted, _ := strings.Cut(cmd.Use, " ")
		for _, word := range args {
			if slices.Contains([]string{"", ".", ".."}, strings.TrimSpace(word)) {
				return usage("%s takes %s, and %q is none; see %s --help", cmd.CommandPath(), wanted, word, cmd.CommandPath())
			}
		}
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		given := fmt.Sprintf("%q", args)
		if len(args) == 0 {
			given = "nothing"
		}
		return usage("%s takes %s, but was given %s; see %s --help", cmd.CommandPath(), wanted, given, cmd.CommandPath())
	}
}

// wrongFlag says of a wrong flag where the right ones are listed.
func wrongFlag(at *cobra.Command, err error) error {
	return usage("%w; see %s --help", err, at.CommandPath())
}

// subcommands refuses a word that is none of a command's own.
func subcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownWord(cmd, args[0])
}

// unknownWord says of a word what was probably meant, and what there is.
func unknownWord(cmd *cobra.Command, word string) error {
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("unknown command %q for %q", word, cmd.CommandPath())
	if meant := cmd.SuggestionsFor(word); len(meant) > 0 {
		text += "; did you mean " + strings.Join(meant, " or ") + "?"
	}
	return usage("%s; there are: %s", text, strings.Join(known, ", "))
}

// group makes a command that only holds others. Alone it shows its help; a word
// that is none of its commands is an error.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = subcommands
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	// The flags after a wrong word are those of the command that was meant.
	cmd.SetFlagErrorFunc(func(at *cobra.Command, err error) error {
		if wrong := at.ValidateArgs(at.Flags().Args()); at == cmd && wrong != nil {
			return wrong
		}
		return wrongFlag(at, err)
	})
	return cmd
}
