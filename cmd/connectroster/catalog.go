package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"connectroster/internal/config"
	"connectroster/internal/connect"
	"connectroster/internal/plan"
)

// catalogOptions are the flags of the catalog command.
type catalogOptions struct {
	config   string
	instance string
	region   string
	lock     bool
	out      string
	json     bool
	color    string
}

func catalogCommand() *cobra.Command {
	var o catalogOptions
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "List what an Amazon Connect instance offers, with its ids",
		Long: `List what the instances of the configuration offer: routing profiles, security
profiles, hierarchy groups by their paths, and agent statuses, each with its id.
No secret is looked up, so none has to be at hand; AWS credentials are needed that may
read the instance. --instance lists any instance, without a configuration.

With --lock the ids of what the configuration names, the persona of suspended agents
included, are written to connectroster.lock.json beside it. The deployment to AWS reads
nothing else of the instance: its role may give agents these profiles and no others.
The file also holds a digest of the configuration, so write it anew after each change of
that. The same input gives the same bytes.

A name that an instance lacks is an error, and nothing is written. Where a rule takes
routing profiles or hierarchy groups from people or from what it captures of the names
of groups, or where agents who come back get what the floor had chosen, they cannot be
listed; that is said, and the role may give any of the instance. Security profiles are
always listed.

Exit codes: 0 all went well; 1 something failed, or a name is unknown.`,
		Example: `  connectroster catalog
  connectroster catalog --instance acme --region eu-central-1 --json
  connectroster catalog --lock`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newPrinter(cmd.OutOrStdout(), o.color)
			if err != nil {
				return err
			}
			if err := o.run(cmd.Context(), p); err != nil {
				return err
			}
			return p.flush()
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "connectroster.yaml", "the configuration `file`")
	f.StringVar(&o.instance, "instance", "", "an instance by its `id`, ARN or alias, in place of those of the configuration")
	f.StringVar(&o.region, "region", "", "its AWS `region`; left out, as the ARN or AWS's own settings say")
	f.BoolVar(&o.lock, "lock", false, "write the ids of what the configuration names to a file")
	f.StringVarP(&o.out, "out", "o", "", "the `file` that --lock writes; left out, connectroster.lock.json beside the configuration")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.color, "color", "auto", "colours: auto, always or never; auto is for terminals, unless NO_COLOR is set")
	return cmd
}

func (o *catalogOptions) run(ctx context.Context, p *printer) error {
	switch {
	case o.lock && o.instance != "":
		return usage("--lock is about the configuration, so it cannot stand beside --instance")
	case o.out != "" && !o.lock:
		return usage("--out is where --lock writes; give both")
	case o.region != "" && o.instance == "":
		return usage("--region goes with --instance; the configuration says the region of its own")
	}
	if o.instance != "" {
		offered, err := readOffering(ctx, connect.Config{Instance: o.instance, Region: o.region, Deployment: "catalog", AllowLoopback: true})
		if err != nil {
			return err
		}
		return printOfferings(p, o.json, []*offering{offered})
	}
	cfg, err := config.LoadWithoutSecrets(o.config, os.Getenv)
	if err != nil {
		return err
	}
	var all []*offering
	for _, c := range cfg.Instances() {
		offered, err := readOffering(ctx, connect.Config{
			Instance: c.Instance, Region: c.Region, Profile: c.Profile, RoleARN: c.RoleARN, ExternalID: c.ExternalID,
			Label: c.Name, Deployment: cfg.Name, Rate: c.Rate, Burst: c.Burst, AllowLoopback: cfg.AllowLoopback,
		})
		if err != nil && c.Name != "" {
			err = fmt.Errorf("instance %s: %w", c.Name, err)
		}
		if err != nil {
			return err
		}
		offered.Name, offered.connection = c.Name, c
		all = append(all, offered)
	}
	if o.lock {
		return o.writeLock(p, cfg, all)
	}
	return printOfferings(p, o.json, all)
}

// offering is what an instance offers, by name.
type offering struct {
	Name             string           `json:"name,omitempty"` // as the configuration calls it
	ID               string           `json:"id"`
	ARN              string           `json:"arn"`
	Alias            string           `json:"alias"`
	Region           string           `json:"region"`
	Identity         string           `json:"identity"`
	Status           string           `json:"status"`
	RoutingProfiles  []plan.Entry     `json:"routing_profiles"`
	SecurityProfiles []plan.Entry     `json:"security_profiles"`
	Hierarchy        []plan.Entry     `json:"hierarchy_groups"`
	Statuses         []connect.Status `json:"agent_statuses"`

	catalog    plan.Catalog
	connection config.Connection
	unusable   error // why the instance cannot be worked on
}

// readOffering reads an instance, also one that cannot be worked on.
func readOffering(ctx context.Context, cfg connect.Config) (*offering, error) {
	cfg.Reads, cfg.Log = connect.Reads{Hierarchy: true}, slog.New(slog.DiscardHandler)
	instance, err := connect.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer instance.Close()
	info, err := instance.Check(ctx)
	if err != nil && info.ID == "" {
		return nil, fmt.Errorf("check the instance: %w", err)
	}
	o := &offering{ID: info.ID, ARN: info.ARN, Alias: info.Alias, Region: info.Region, Identity: info.Identity, Status: info.Status, unusable: err}
	if o.catalog, err = instance.Catalog(ctx); err != nil {
		return nil, err
	}
	if o.Statuses, err = instance.Statuses(ctx); err != nil {
		return nil, fmt.Errorf("read the agent statuses: %w", err)
	}
	slices.SortFunc(o.Statuses, func(a, b connect.Status) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	o.RoutingProfiles, o.SecurityProfiles, o.Hierarchy = o.catalog.RoutingProfiles.Entries(), o.catalog.SecurityProfiles.Entries(), o.catalog.Hierarchy.Entries()
	return o, nil
}

func printOfferings(p *printer, asJSON bool, all []*offering) error {
	if asJSON {
		return p.json(map[string]any{"instances": all})
	}
	for i, o := range all {
		if i > 0 {
			p.line()
		}
		name := cmp.Or(o.Alias, o.ID)
		if o.Name != "" {
			name = o.Name + ", " + name
		}
		p.line(p.paint(bold, name), p.paint(faint, fmt.Sprintf("  %s  %s  %s  %s", o.ID, o.Region, o.Identity, o.Status)))
		if o.unusable != nil {
			p.text(yellow, "", 0, o.unusable.Error())
		}
		p.offered("routing profiles", o.RoutingProfiles)
		p.offered("security profiles", o.SecurityProfiles)
		p.offered("hierarchy groups", o.Hierarchy)
		var rows []row
		for _, s := range o.Statuses {
			rows = append(rows, row{cells: []string{s.Name, s.ID + "  " + s.Type}, colours: []colour{plain, faint}})
		}
		p.counted("agent statuses", len(rows))
		p.table(2, rows)
	}
	return nil
}

func (p *printer) counted(text string, n int) {
	p.line()
	p.line(p.paint(bold, text), p.paint(faint, fmt.Sprintf(" (%d)", n)))
}

func (p *printer) offered(what string, list []plan.Entry) {
	var rows []row
	for _, e := range list {
		rows = append(rows, row{cells: []string{e.Name, e.ID}, colours: []colour{plain, faint}})
	}
	p.counted(what, len(rows))
	p.table(2, rows)
}
