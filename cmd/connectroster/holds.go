package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/reconcile"
)

func holdsCommand() *cobra.Command {
	var o remoteOptions
	list := holdsListCommand(&o)
	cmd := &cobra.Command{
		Use:   "holds",
		Short: "Show what waits for approval, and decide about it",
		Long: `Show what waits for approval, and decide about it. What takes access from more
people than the guard lets go by itself, or may come from a mistake in Okta such as
an emptied group, waits in a hold. Joiners and updates go on meanwhile.

A hold is a list of changes, all for one cause and in one instance. Each entry can
be approved or rejected by itself. An approval is for this very change and is spent
once: a change that differs when the person is looked at again waits anew. A
rejection puts a stay on the person: they are left as they are until it is over.
An entry that nobody decides about in time expires and is worked out anew.

Without a further word the holds are listed, as by list, whose flags it takes. What is
decided is journalled with the user of this machine who decided.

Exit codes: 0 all went well; 1 something failed.`,
		Example: `  connectroster holds
  connectroster holds --all
  connectroster holds show H3
  connectroster holds approve H3
  connectroster holds reject H3 00u1abcd2EFGHijkl3m4 --why "the group comes back" --until 3d`,
		Args: subcommands,
		RunE: list.RunE,
	}
	o.flags(cmd)
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, holdsShowCommand(&o), holdsApproveCommand(&o), holdsRejectCommand(&o), holdsStaysCommand(&o), holdsUnstayCommand(&o))
	return cmd
}

func holdsListCommand(o *remoteOptions) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the holds",
		Long: `List the holds in which something waits for approval, newest first, or with --all
those that are over as well.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var holds []reconcile.Hold
				if err := r.ask(ctx, http.MethodGet, "/v1/holds?all="+strconv.FormatBool(all), nil, &holds); err != nil {
					return err
				}
				if o.json {
					return p.json(holds)
				}
				p.holds(holds, all)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that are over, too")
	return cmd
}

// holds lists holds. Only where all are listed they come with what is over, to count what
// waits against.
func (p *printer) holds(holds []reconcile.Hold, all bool) {
	if len(holds) == 0 {
		p.line("Nothing waits for approval.")
		return
	}
	now := time.Now()
	rows := []row{{cells: []string{"HOLD", "OPENED", "WAITING", "CAUSE"}, colours: []colour{faint, faint, faint, faint}}}
	for _, h := range holds {
		cause, waiting := h.Cause, strconv.Itoa(h.Waiting(now))
		if all {
			waiting += fmt.Sprintf(" of %d", len(h.Entries))
		}
		if h.Instance != "" {
			cause += ", in " + h.Instance
		}
		rows = append(rows, row{
			cells:   []string{h.ID, moment(h.Opened), waiting, cause},
			colours: []colour{bold},
		})
	}
	p.table(0, rows)
	if i := slices.IndexFunc(holds, func(h reconcile.Hold) bool { return h.Waiting(now) > 0 }); i >= 0 {
		p.line()
		p.text(cyan, "", 0, "To do: connectroster holds show "+holds[i].ID+" tells whom it is about and how to decide.")
	}
}

func holdsShowCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "show HOLD",
		Short: "Show what is in a hold",
		Long: `Show the changes that wait in a hold: whom they are about, what would be done and
why. People are named by their username.`,
		Example: "  connectroster holds show H3",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var h reconcile.Hold
				if err := r.ask(ctx, http.MethodGet, "/v1/holds/"+url.PathEscape(args[0]), nil, &h); err != nil {
					return err
				}
				if o.json {
					return p.json(h)
				}
				p.hold(&h)
				return nil
			})
		},
	}
}

func (p *printer) hold(h *reconcile.Hold) {
	at := ""
	if h.Instance != "" {
		at = " in " + h.Instance
	}
	now := time.Now()
	p.text(plain, "", 0, fmt.Sprintf("%s%s, opened %s: %s. %d of %d wait.", h.ID, at, moment(h.Opened), h.Cause, h.Waiting(now), len(h.Entries)))
	p.line()
	rows := []row{{cells: []string{"PERSON", "USERNAME", "STATE", "ACTION", "REASON"}, colours: []colour{faint, faint, faint, faint, faint}}}
	for _, e := range h.Entries {
		state := entryState(e, now)
		username := ""
		if e.Change != nil && e.Change.Before != nil {
			username = e.Change.Before.Username
		}
		reason := e.Reason
		switch {
		case e.By != "":
			reason += fmt.Sprintf("; by %s at %s", e.By, moment(e.At))
		case state == string(reconcile.HoldWaiting):
			reason += "; can be decided until " + moment(e.Expires)
		}
		rows = append(rows, row{cells: []string{e.Person, cmp.Or(username, "-"), state, string(e.Action), reason}, colours: []colour{bold, plain, yellow}})
	}
	p.table(0, rows)
	if h.Waiting(now) > 0 {
		p.line()
		p.text(cyan, "", 0, fmt.Sprintf("To do: connectroster holds approve %[1]s, or connectroster holds reject %[1]s to leave the people as they are. With people named after %[1]s it is about them alone.", h.ID))
	}
}

// entryState is the state of an entry of a hold, for people.
func entryState(e reconcile.HoldEntry, now time.Time) string {
	switch {
	case e.State == reconcile.HoldWaiting && !now.Before(e.Expires):
		return "expired"
	case e.State == reconcile.HoldSpent:
		return "done"
	}
	return string(e.State)
}

func holdsApproveCommand(o *remoteOptions) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "approve HOLD [USER...]",
		Short: "Let changes of a hold be made",
		Long: `Let all changes that wait in a hold be made, or those about the people named. The
daemon looks at them again at once and makes each change, if it is still the one
that was approved.`,
		Example: `  connectroster holds approve H3
  connectroster holds approve H3 ana.silva@example.com --yes`,
		Args: arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.decide(cmd, args, yes, "approve", map[string]any{"people": args[1:]})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func holdsRejectCommand(o *remoteOptions) *cobra.Command {
	var yes bool
	var why, until string
	cmd := &cobra.Command{
		Use:   "reject HOLD [USER...]",
		Short: "Leave the people of a hold as they are",
		Long: `Reject all changes that wait in a hold, or those about the people named, and put a
stay on the people: nothing that takes access from them or moves them is done until
it is over. Mend the cause in Okta meanwhile; holds unstay ends a stay early.`,
		Example: `  connectroster holds reject H3 --why "the group was emptied by mistake" --until 2d`,
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.decide(cmd, args, yes, "reject", map[string]any{"people": args[1:], "why": why, "until": until})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.StringVar(&why, "why", "", "the `reason`, for the journal and for whoever asks")
	f.StringVar(&until, "until", "", "when the stay is over: a `time` such as 2026-12-24T18:00:00Z, or how long, such as 12h or 3d; 7d if left out")
	return cmd
}

// decide approves or rejects entries of a hold.
func (o *remoteOptions) decide(cmd *cobra.Command, args []string, yes bool, verdict string, body map[string]any) error {
	return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
		at := "/v1/holds/" + url.PathEscape(args[0])
		if !yes {
			var h reconcile.Hold
			if err := r.ask(ctx, http.MethodGet, at, nil, &h); err != nil {
				return err
			}
			n := len(args) - 1
			if n == 0 {
				n = h.Waiting(time.Now())
			}
			if err := agree(cmd, false, fmt.Sprintf("This will %s %s in %s (%s).", verdict, count(n, "change", "changes"), args[0], sanitize(h.Cause))); err != nil {
				return err
			}
		}
		var d app.Decided
		if err := r.ask(ctx, http.MethodPost, at+"/"+verdict, body, &d); err != nil {
			return err
		}
		if o.json {
			return p.json(d)
		}
		text := fmt.Sprintf("%s: approved %s.", d.Hold, count(len(d.Decided), "change", "changes"))
		if verdict == "reject" {
			text = fmt.Sprintf("%s: rejected %s; the people are left as they are until %s.", d.Hold, count(len(d.Decided), "change", "changes"), moment(d.Until))
		}
		if d.Waiting > 0 {
			text += " " + count(d.Waiting, "change still waits", "changes still wait") + "."
		}
		if o.offline && verdict == "approve" {
			text += " They are made as soon as the daemon runs."
		}
		p.text(plain, "", 0, text)
		return nil
	})
}

func holdsStaysCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "stays",
		Short: "List the people who are to be left as they are",
		Long: `List the stays that are not over: whom they are on, who put them there and why, and
until when.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var stays []reconcile.Stay
				if err := r.ask(ctx, http.MethodGet, "/v1/stays", nil, &stays); err != nil {
					return err
				}
				if o.json {
					return p.json(stays)
				}
				if len(stays) == 0 {
					p.line("There is no stay on anybody.")
					return nil
				}
				rows := []row{{cells: []string{"PERSON", "UNTIL", "BY", "WHY"}, colours: []colour{faint, faint, faint, faint}}}
				for _, s := range stays {
					rows = append(rows, row{cells: []string{s.Person, moment(s.Until), s.Who, s.Why}, colours: []colour{bold}})
				}
				p.table(0, rows)
				return nil
			})
		},
	}
}

func holdsUnstayCommand(o *remoteOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "unstay USER",
		Short:   "End somebody's stay early",
		Long:    `End the stay on a person. The daemon looks at them again at once.`,
		Example: "  connectroster holds unstay ana.silva@example.com",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var answer map[string]string
				if err := r.ask(ctx, http.MethodDelete, "/v1/stays/"+url.PathEscape(args[0]), nil, &answer); err != nil {
					return err
				}
				if o.json {
					return p.json(answer)
				}
				p.text(plain, "", 0, "The stay on "+answer["person"]+" is over.")
				return nil
			})
		},
	}
}
