package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"connectroster/internal/reconcile"
)

func deadCommand() *cobra.Command {
	var o remoteOptions
	list := deadListCommand(&o)
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Show the people who were given up, and ask for them again",
		Long: `Show the people who were given up, with the reason. Somebody becomes a dead letter
when Amazon Connect refuses a change for good, or after a hundred failed attempts.
Nobody looks at them until something new is heard of them or a sweep finds that there
is something to do.

Without a further word they are listed.

Exit codes: 0 all went well; 1 something failed.`,
		Example: `  connectroster dead
  connectroster dead show 00u1abcd2EFGHijkl3m4
  connectroster dead replay 00u1abcd2EFGHijkl3m4`,
		Args: subcommands,
		RunE: list.RunE,
	}
	o.flags(cmd)
	cmd.AddCommand(list, deadShowCommand(&o), deadReplayCommand(&o), deadDropCommand(&o))
	return cmd
}

func deadListCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the dead letters",
		Long:  `List the people who were given up, by their Okta ids, with when and why.`,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				dead := []reconcile.Waiting{}
				const page = 1000
				for after := ""; ; after = dead[len(dead)-1].Person {
					var some []reconcile.Waiting
					if err := r.ask(ctx, http.MethodGet, fmt.Sprintf("/v1/dead?limit=%d&after=%s", page, url.QueryEscape(after)), nil, &some); err != nil {
						return err
					}
					dead = append(dead, some...)
					if len(some) < page {
						break
					}
				}
				if o.json {
					return p.json(dead)
				}
				if len(dead) == 0 {
					p.line("Nobody was given up.")
					return nil
				}
				rows := []row{{cells: []string{"PERSON", "SINCE", "ATTEMPTS", "REASON"}, colours: []colour{faint, faint, faint, faint}}}
				for _, d := range dead {
					rows = append(rows, row{cells: []string{d.Person, moment(d.Last), strconv.Itoa(d.Attempts), d.Reason}, colours: []colour{bold}})
				}
				p.table(0, rows)
				return nil
			})
		},
	}
}

// letter is a dead letter, and what led to it.
type letter struct {
	reconcile.Waiting
	Journal []reconcile.Entry `json:"journal"`
}

func deadShowCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "show USER",
		Short: "Show why somebody was given up",
		Long:  `Show why somebody was given up, and the last entries of the journal about them.`,
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var d letter
				if err := r.ask(ctx, http.MethodGet, "/v1/dead/"+url.PathEscape(args[0]), nil, &d); err != nil {
					return err
				}
				if o.json {
					return p.json(d)
				}
				p.line(p.paint(bold, d.Person), p.paint(plain, fmt.Sprintf("  given up at %s after %s", moment(d.Last), count(d.Attempts, "attempt", "attempts"))))
				p.text(red, "", 2, d.Reason)
				if len(d.Journal) > 0 {
					p.heading("Journal, newest first")
					p.entries(d.Journal, false)
				}
				return nil
			})
		},
	}
}

func deadReplayCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "replay USER...",
		Short: "Ask for people again who were given up",
		Long: `Ask for people again who were given up: the daemon looks at them at once, with no
attempts counted.`,
		Example: "  connectroster dead replay 00u1abcd2EFGHijkl3m4",
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.letters(cmd, args, http.MethodPost, "/replay", "%s is to be looked at again.")
		},
	}
}

func deadDropCommand(o *remoteOptions) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "drop USER...",
		Short: "Give people up for good",
		Long: `Give people up for good: their requests count as done. That is journalled. A later
event about a person, and a sweep that finds something to do, still has them looked
at again.`,
		Example: "  connectroster dead drop 00u1abcd2EFGHijkl3m4",
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agree(cmd, yes, fmt.Sprintf("This will drop %s.", count(len(args), "dead letter", "dead letters"))); err != nil {
				return err
			}
			return o.letters(cmd, args, http.MethodDelete, "", "%s was dropped.")
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// letters does something about dead letters, one after the other.
func (o *remoteOptions) letters(cmd *cobra.Command, people []string, method, what, said string) error {
	return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
		answers := []map[string]string{}
		for _, who := range people {
			var answer map[string]string
			if err := r.ask(ctx, method, "/v1/dead/"+url.PathEscape(who)+what, nil, &answer); err != nil {
				return err
			}
			answers = append(answers, answer)
			if !o.json {
				p.text(plain, "", 0, fmt.Sprintf(said, answer["person"]))
			}
		}
		if o.json {
			return p.json(answers)
		}
		return nil
	})
}
