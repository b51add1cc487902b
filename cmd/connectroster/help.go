package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"connectroster/internal/remedy"
)

// helpCommand tells about commands, as cobra's own does, and about the codes of
// refusals, errors, checks, alerts and alarms.
func helpCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "help [COMMAND... | CODE | codes]",
		Short: "Help about a command, or about the code of an error, refusal, check, alert or alarm",
		Long: `Help about a command; or what a code means, why it comes about, and what to do: the
code of a refusal, an error, a check of connectroster doctor, an alert, or an alarm of
the deployment to AWS. The word codes lists all codes. docs/runbook.md has the same on
one page.`,
		Example: `  connectroster help plan
  connectroster help exists_not_ours
  connectroster help codes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newPrinter(cmd.OutOrStdout(), "auto")
			if err != nil {
				return err
			}
			meant, rest, unknown := cmd.Root().Find(args)
			switch entry, known := remedy.Find(strings.Join(args, " ")); {
			case len(args) == 0:
				return cmd.Root().Help()
			case unknown == nil && len(rest) == 0 && meant != cmd.Root():
				meant.InitDefaultHelpFlag() // which shows up in its help
				return meant.Help()
			case known && asJSON:
				err = p.json(entry)
			case known:
				p.entry(entry)
			case len(args) == 1 && args[0] == "codes" && asJSON:
				err = p.json(remedy.All())
			case len(args) == 1 && args[0] == "codes":
				p.codes()
			default:
				return unknownTopic(cmd.Root(), args)
			}
			if err != nil {
				return err
			}
			return p.flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, of codes alone")
	return cmd
}

// unknownTopic says of words that are neither a command nor a code what was
// probably meant.
func unknownTopic(root *cobra.Command, args []string) error {
	text := fmt.Sprintf("there is no command and no code %q; ", strings.Join(args, " "))
	// What begins with a command is about its words, though a code may be near.
	if near := remedy.Near(strings.Join(args, " ")); len(near) > 0 && !slices.ContainsFunc(root.Commands(), named(args[0])) {
		return errors.New(text + "did you mean " + strings.Join(near, ", ") + "?")
	}
	about := root
	for _, word := range args {
		at := slices.IndexFunc(about.Commands(), named(word))
		if at < 0 {
			return fmt.Errorf("%s%w; connectroster help codes lists the codes", text, unknownWord(about, word))
		}
		about = about.Commands()[at]
	}
	return errors.New(text + "connectroster help codes lists the codes")
}

func named(word string) func(*cobra.Command) bool {
	return func(c *cobra.Command) bool { return c.Name() == word }
}

// entry prints what is known of a code.
func (p *printer) entry(e remedy.Entry) {
	p.line(p.paint(bold, e.Code), p.paint(faint, "  "+string(e.Kind)))
	p.text(plain, "", 2, e.Means)
	p.line()
	p.text(plain, "cause", 8, e.Cause)
	p.text(cyan, "to do", 8, e.Do)
	if e.Expr != "" {
		p.text(faint, "expr", 8, e.Expr)
	}
}

// codes lists all codes.
func (p *printer) codes() {
	kind := remedy.Kind("")
	var rows []row
	flush := func() {
		p.table(2, rows)
		rows = nil
	}
	for _, e := range remedy.All() {
		if e.Kind != kind {
			flush()
			if kind != "" {
				p.line()
			}
			kind = e.Kind
			p.line(p.paint(bold, string(kind)))
		}
		rows = append(rows, row{cells: []string{e.Code, e.Means}})
	}
	flush()
}
