package main

import (
	"context"
	"errors"
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
				dead, err := r.dead(ctx)
				if err != nil {
					return err
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
				p.line()
				p.text(cyan, "", 0, "To do: mend the cause, then connectroster dead replay USER, or connectroster dead replay --all. connectroster dead show USER tells what led to it.")
				return nil
			})
		},
	}
}

// dead gives all dead letters.
func (r *remote) dead(ctx context.Context) ([]reconcile.Waiting, error) {
	dead := []reconcile.Waiting{}
	const page = 1000
	for after := ""; ; after = dead[len(dead)-1].Person {
		var some []reconcile.Waiting
		if err := r.ask(ctx, http.MethodGet, fmt.Sprintf("/v1/dead?limit=%d&after=%s", page, url.QueryEscape(after)), nil, &some); err != nil {
			return nil, err
		}
		dead = append(dead, some...)
		if len(some) < page {
			return dead, nil
		}
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
				p.text(cyan, "", 2, "to do: mend the cause, then connectroster dead replay "+d.Person)
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
	var all bool
	cmd := &cobra.Command{
		Use:   "replay USER...",
		Short: "Ask for people again who were given up",
		Long: `Ask for people again who were given up: the daemon looks at them at once, with no
attempts counted. --all asks for everybody, once what all of them failed for is mended.`,
		Example: "  connectroster dead replay 00u1abcd2EFGHijkl3m4\n  connectroster dead replay --all",
		Args:    arguments(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := whom(cmd, args, all); err != nil {
				return err
			}
			return o.letters(cmd, lettersOf{people: args, all: all, method: http.MethodPost, what: "/replay", said: "%s is to be looked at again."})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody who was given up")
	return cmd
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
			return o.letters(cmd, lettersOf{people: args, method: http.MethodDelete, said: "%s was dropped."})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// lettersOf is what is done about dead letters: those of people, or all that there are.
type lettersOf struct {
	people       []string
	all          bool
	method, what string // of the request about one
	said         string // about whom it was done, with %s for them
}

// letters does something about dead letters, one after the other.
func (o *remoteOptions) letters(cmd *cobra.Command, of lettersOf) error {
	return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
		if of.all {
			dead, err := r.dead(ctx)
			if err != nil {
				return err
			}
			for _, d := range dead {
				of.people = append(of.people, d.Person)
			}
		}
		answers := []map[string]string{}
		for _, who := range of.people {
			var answer map[string]string
			err := r.ask(ctx, of.method, "/v1/dead/"+url.PathEscape(who)+of.what, nil, &answer)
			var problem *problemError
			if of.all && errors.As(err, &problem) && problem.status == http.StatusNotFound {
				continue // something new was heard of them meanwhile
			}
			if err != nil {
				return err
			}
			answers = append(answers, answer)
			if !o.json {
				p.text(plain, "", 0, fmt.Sprintf(of.said, answer["person"]))
			}
		}
		switch {
		case o.json:
			return p.json(answers)
		case len(answers) == 0:
			p.line("Nobody was given up.")
		}
		return nil
	})
}
