package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
)

func adoptCommand() *cobra.Command {
	var all, yes bool
	var o remoteOptions
	cmd := &cobra.Command{
		Use:   "adopt USER... | --all",
		Short: "Take over agents that were made by hand",
		Long: `Take over the agents of the people named, where an agent that is nobody's has their
username: our tags are written on it, and it is brought in line with the rules at
once, as far as the policy goes: with create-only nothing but the tags is written.
What the rules decide at creation alone stays as the floor has it. An agent of
another deployment, or of somebody else, is refused.

With --all it is done for everybody who is refused an agent because one that is
nobody's has their username. See first whom that is: connectroster plan.

The command waits until everybody is settled, and each adoption is journalled with
the user of this machine who asked for it.

Exit codes: 0 all went well; 1 something failed, or somebody was refused.`,
		Example: `  connectroster adopt bo.berg@example.com
  connectroster adopt --all`,
		Args: arguments(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.order(cmd, orderOf{
				path: "/v1/adopt", people: args, all: all, yes: yes, confirm: all,
				text: "This will take over the agents of everybody who is refused one because an agent that is nobody's has their username.",
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "everybody who is refused an agent because one that is nobody's has their username")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func releaseCommand() *cobra.Command {
	var all, yes bool
	var o remoteOptions
	cmd := &cobra.Command{
		Use:   "release USER... | --all",
		Short: "Give agents up, for good or to uninstall",
		Long: `Take our tags off the agents of the people named, suspended and retired ones too,
and leave the agents as they are. From then on they are nobody's: nothing of them is
changed until they are adopted again. The id in Amazon Connect and the present
username of an agent name its owner, too: all agents of theirs are given up. An agent
of ours from which somebody took the tag that says whose it is, as doctor shows, is
named in the same way.

Agents are given up that are known here, and those that Amazon Connect's search shows.
One that got our tags by hand a moment ago may not be shown yet: release the person
once more when a sweep has found it.

With --all everybody's agents are given up, which is how connectroster is
uninstalled: stop what writes to Okta's groups, release, stop the daemon.

The command waits until everybody is settled, and each release is journalled with the
user of this machine who asked for it.

Exit codes: 0 all went well; 1 something failed, or somebody was refused.`,
		Example: `  connectroster release ana.silva@example.com
  connectroster release --all --yes`,
		Args: arguments(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.order(cmd, orderOf{
				path: "/v1/release", people: args, all: all, yes: yes, confirm: all,
				text: "This will give up the agents of everybody: connectroster will not touch them any more.",
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "everybody's agents")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func restoreCommand() *cobra.Command {
	var o remoteOptions
	var why, until string
	cmd := &cobra.Command{
		Use:   "restore USER...",
		Short: "Undo the suspension of agents",
		Long: `Bring back the suspended agents of the people named exactly as they were before,
whatever the rules say now, and put a stay on the people first, so that they are left
so until it is over. Mend the cause in Okta meanwhile. holds stays lists the stays,
and holds unstay ends one early.

An agent is restored from what was stored before it was suspended. Where that is
missing it is refused, and so is whoever has no suspended agent, without a stay.

Exit codes: 0 all went well; 1 something failed, or somebody was refused.`,
		Example: `  connectroster restore ana.silva@example.com --why "wrong group rule" --until 2d`,
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.order(cmd, orderOf{path: "/v1/restore", people: args, why: why, until: until})
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&why, "why", "", "the `reason`, for the journal and for whoever asks")
	cmd.Flags().StringVar(&until, "until", "", "when the stay is over: a `time` such as 2026-12-24T18:00:00Z, or how long, such as 12h or 3d; 24h if left out")
	return cmd
}

// orderOf is what somebody asks for about people's agents.
type orderOf struct {
	path       string
	people     []string
	all        bool
	why, until string
	confirm    bool
	yes        bool
	text       string
}

// whom sees that either people are named or all of them are meant.
func whom(cmd *cobra.Command, people []string, all bool) error {
	switch {
	case all && len(people) > 0:
		return usage("name people or give --all, not both")
	case !all && len(people) == 0:
		return usage("nobody is named; see %s --help", cmd.CommandPath())
	}
	return nil
}

// order has something done about people's agents that only people ask for.
func (o *remoteOptions) order(cmd *cobra.Command, order orderOf) error {
	if err := whom(cmd, order.people, order.all); err != nil {
		return err
	}
	if order.confirm {
		if err := agree(cmd, order.yes, order.text); err != nil {
			return err
		}
	}
	return o.run(cmd, needsWork, func(ctx context.Context, r *remote, p *printer) error {
		return r.carry(ctx, p, carrying{
			path: order.path, json: o.json,
			body: app.OrderRequest{People: order.people, All: order.all, Why: order.why, Until: order.until},
		})
	})
}

func forgetCommand() *cobra.Command {
	var o remoteOptions
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "forget USER",
		Short: "Erase what is personal of somebody",
		Long: `Erase what is personal of somebody from the database: names, usernames and how their
agent looked, in the journal, the holds, the tombstones and what events told. Ids,
reasons and digests stay, so that the journal can still be verified. The file is
rewritten, so that nothing of it is left in it. Backups, logs of other programs and
what Okta and Amazon Connect hold are not touched.

It is refused while the person owns an agent, since the next look would write it
down again; --force does it all the same.

Exit codes: 0 all went well; 1 something failed, or the person owns an agent.`,
		Example: "  connectroster forget 00u1abcd2EFGHijkl3m4",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agree(cmd, yes, "This will erase what is personal of "+sanitize(args[0])+", and cannot be undone."); err != nil {
				return err
			}
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				var f app.Forgotten
				if err := r.ask(ctx, http.MethodPost, "/v1/forget/"+url.PathEscape(args[0]), map[string]bool{"force": force}, &f); err != nil {
					return err
				}
				if o.json {
					return p.json(f)
				}
				p.text(plain, "", 0, fmt.Sprintf("%s is forgotten: %s, %s and %s lost what is personal; %s and %s are gone.", f.Person,
					count(f.Erased.Entries, "entry of the journal", "entries of the journal"), count(f.Erased.Holds, "held change", "held changes"),
					count(f.Erased.Intents, "open change", "open changes"), count(f.Erased.Facts, "fact", "facts"), count(f.Erased.Tombstones, "tombstone", "tombstones")))
				if f.Erased.Open > 0 {
					p.text(yellow, "", 0, "The username stays until it is known whether a creation went through. Forget them once more in 15 minutes.")
				}
				return nil
			})
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&force, "force", false, "although they own an agent")
	return cmd
}
