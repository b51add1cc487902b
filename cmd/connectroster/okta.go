package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/okta"
)

// oktaOptions are the flags that the okta commands share.
type oktaOptions struct {
	config string
	url    string
	groups []string
	app    string
	role   string
	dryRun bool
	yes    bool
	json   bool
	secret string // a reference
	next   string // what it refers to
}

// errNoAccess says that there is no credential for Okta's API.
var errNoAccess = errors.New("there is no access to Okta's API: the configuration has no okta.auth, and OKTA_API_TOKEN is not set")

func oktaCommand() *cobra.Command {
	var o oktaOptions
	cmd := &cobra.Command{
		Use:   "okta",
		Short: "Set up Okta and look after the event hook",
		Long: `Set up what connectroster needs in Okta and look after it: the group of agents,
its assignment to the Amazon Connect app, and the event hook with its secret.

The commands sign in as okta.auth of the configuration says, to the org of okta.org.
In hook-only mode, and where okta.auth is a service app, which need not have the rights
to set anything up, they take the API token in the variable OKTA_API_TOKEN if it is set.
They can be run again at any time. docs/okta-by-hand.md shows the same steps by hand.

All of them have to know the address at which Okta reaches connectroster: write it
under okta.hook.url of the configuration, or give it by --url each time.

Nothing is asked where there is no terminal. The exit code is 1 if something failed,
does not work, or is left to be done by hand.`,
	}
	f := cmd.PersistentFlags()
	f.StringVarP(&o.config, "config", "c", "connectroster.yaml", "the configuration `file`")
	f.StringVar(&o.url, "url", "", "the https `address` at which Okta reaches connectroster, such as https://roster.example.com/hooks/okta, in place of okta.hook.url")
	f.StringArrayVar(&o.groups, "group", nil, "a `group` of agents by its name or id, in place of those of the rules; may be repeated")
	f.StringVar(&o.app, "app", "", "the label or id of the Amazon Connect `app`, in place of okta.app")
	f.BoolVar(&o.json, "json", false, "print JSON")
	cmd.AddCommand(oktaSetupCommand(&o), oktaStatusCommand(&o), oktaRotateCommand(&o), oktaRemoveCommand(&o))
	return group(cmd)
}

func oktaSetupCommand(o *oktaOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create or find the group, assign it to the app, create the event hook and verify it",
		Long: `Create or find the group, assign it to the Amazon Connect app with its role, create
the event hook with a filter by group id, and verify it. What is there already stays,
so a second run changes nothing. Start the daemon first: it answers the verification.

Where the credential lacks a right, the step is shown for somebody to do by hand, and
without a credential all of them are.`,
		Example: "  connectroster okta setup --url https://roster.example.com/hooks/okta --dry-run",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := o.change(cmd, "set Okta up", func(ctx context.Context, org *okta.Org) (okta.Report, error) { return org.Setup(ctx) })
			if errors.Is(err, errNoAccess) && !o.json {
				return errors.Join(err, o.byHand(cmd.OutOrStdout()))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&o.role, "role", "", "the `role` that the group gets in the app, where the app has several")
	changing(cmd, o)
	return cmd
}

func oktaStatusCommand(o *oktaOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether the hook works, and what the credential may do",
		Long: `Show whether the event hook is active and verified, deliveries that failed in the
last 24 hours, rate limits, scopes and roles. The exit code is 1 if something does
not work.`,
		Example: "  connectroster okta status --url https://roster.example.com/hooks/okta",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, done, err := o.org(nil)
			if err != nil {
				return err
			}
			defer done()
			health, err := org.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := o.print(cmd.OutOrStdout(), health, func(w io.Writer) { printHealth(w, health) }); err != nil {
				return err
			}
			if !health.Healthy() {
				return errReported
			}
			return nil
		},
	}
}

func oktaRotateCommand(o *oktaOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-secret",
		Short: "Make Okta send another secret",
		Long: `Make Okta send another secret. Put the new one into okta.hook.secrets beside the old
one first, and let the daemon read it: both are valid then, and nothing is refused
meanwhile. The daemon is asked whether it accepts the new one before anything is
changed. Take the old one out of the configuration afterwards.`,
		Example: "  connectroster okta rotate-secret --url https://roster.example.com/hooks/okta --to file:next-secret",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.secret == "" {
				return usage("--to is missing: a reference to the new secret, such as env:NEXT_SECRET or file:next-secret")
			}
			var err error
			if o.next, err = readReference(o.secret); err != nil {
				return err
			}
			return o.change(cmd, "make Okta send another secret", func(ctx context.Context, org *okta.Org) (okta.Report, error) {
				return org.RotateSecret(ctx, o.next)
			})
		},
	}
	cmd.Flags().StringVar(&o.secret, "to", "", "a `reference` to the new secret: env:NAME or file:path")
	changing(cmd, o)
	return cmd
}

func oktaRemoveCommand(o *oktaOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Deactivate and delete the event hook",
		Long: `Deactivate and delete the event hook. The group, its members and the assignment to
the app stay, and so do the agents in Amazon Connect.`,
		Example: "  connectroster okta remove --url https://roster.example.com/hooks/okta",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.change(cmd, "delete the event hook", func(ctx context.Context, org *okta.Org) (okta.Report, error) { return org.Remove(ctx) })
		},
	}
	changing(cmd, o)
	return cmd
}

// changing adds the flags of commands that change the org.
func changing(cmd *cobra.Command, o *oktaOptions) {
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "change nothing and show what would be done")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
}

// change runs a command that changes the org. Where there is somebody to ask, it
// shows first what would be done.
func (o *oktaOptions) change(cmd *cobra.Command, what string, do func(context.Context, *okta.Org) (okta.Report, error)) error {
	asker := newAsker(cmd.InOrStdin(), cmd.ErrOrStderr())
	org, done, err := o.org(asker)
	if err != nil {
		return err
	}
	defer done()
	if !o.dryRun && !o.yes {
		if err := o.preview(cmd, asker, do); err != nil {
			return err
		}
		if err := asker.confirm("This will " + what + "."); err != nil {
			return err
		}
	}
	report, err := do(cmd.Context(), org)
	if printed := o.print(cmd.OutOrStdout(), report, func(w io.Writer) { printReport(w, report) }); printed != nil {
		return printed
	}
	switch {
	case err != nil:
		return err
	case !report.Complete():
		return errReported
	case !report.Changes() && !o.json:
		fmt.Fprintln(cmd.OutOrStdout(), "\nNothing had to be changed.")
	}
	return nil
}

// preview shows what a command would do to whoever is asked about it.
func (o *oktaOptions) preview(cmd *cobra.Command, asker *asker, do func(context.Context, *okta.Org) (okta.Report, error)) error {
	if !asker.present() {
		return nil
	}
	dry := *o
	dry.dryRun = true
	org, done, err := dry.org(asker)
	if err != nil {
		return err
	}
	defer done()
	report, err := do(cmd.Context(), org)
	printReport(cmd.ErrOrStderr(), report)
	return err
}

// byHand prints what somebody has to do where there is no credential.
func (o *oktaOptions) byHand(w io.Writer) error {
	_, setup, err := o.load()
	if err == nil {
		_, err = fmt.Fprintf(w, "A super administrator does it by hand:\n\n%s", okta.ByHand(setup))
	}
	return err
}

// load reads the configuration, and gives what it says about Okta, without a
// client.
func (o *oktaOptions) load() (*config.Config, okta.OrgConfig, error) {
	cfg, err := config.Load(o.config, os.Getenv)
	if err != nil {
		return nil, okta.OrgConfig{}, err
	}
	address := cmp.Or(o.url, cfg.Okta.Hook.URL)
	if address == "" {
		return nil, okta.OrgConfig{}, errors.New("the address of the hook is missing, at which Okta reaches connectroster: write it under okta.hook.url, or give --url, such as https://roster.example.com/hooks/okta")
	}
	setup := okta.OrgConfig{
		Deployment: cfg.Name, Groups: cfg.Groups(), Agents: cfg.AgentGroups(), App: cmp.Or(o.app, cfg.Okta.App), Role: o.role,
		HookURL: address, HookHeader: cfg.Okta.Hook.Header, API: cfg.APIMode(), DryRun: o.dryRun,
	}
	if len(o.groups) > 0 {
		setup.Groups, setup.Agents = o.groups, nil
	}
	for _, secret := range cfg.HookSecrets() {
		if secret != o.next && setup.HookSecret == "" {
			setup.HookSecret = secret
		}
	}
	return cfg, setup, nil
}

// org makes what the commands work with from the configuration.
func (o *oktaOptions) org(asker *asker) (org *okta.Org, done func(), err error) {
	cfg, setup, err := o.load()
	if err != nil {
		return nil, nil, err
	}
	client, err := oktaClient(cfg)
	if err != nil {
		return nil, nil, err
	}
	setup.Client, setup.Lent = client, lent(cfg)
	if asker.present() {
		setup.Ask = asker.choose
	}
	if org, err = okta.NewOrg(setup); err != nil {
		client.Close()
		return nil, nil, err
	}
	return org, client.Close, nil
}

// lent tells whether a token of the environment stands in for a service app.
func lent(cfg *config.Config) bool {
	return cfg.APIMode() && cfg.Okta.Auth.Token == "" && os.Getenv("OKTA_API_TOKEN") != ""
}

// oktaClient signs in with the token of the environment, which an administrator lends to
// hook-only mode and to a service app that can only read, or as the configuration says.
func oktaClient(cfg *config.Config) (*okta.Client, error) {
	log := slog.New(slog.DiscardHandler)
	token := os.Getenv("OKTA_API_TOKEN")
	if cfg.APIMode() && !lent(cfg) {
		return app.NewOktaClient(cfg, version(), log)
	}
	switch {
	case token == "":
		return nil, errNoAccess
	case cfg.Okta.Org == "":
		return nil, errors.New("the configuration names no Okta org; write its address under okta.org")
	}
	return okta.NewClient(okta.ClientConfig{Org: cfg.Okta.Org, Token: token, CAFile: cfg.Okta.CAFile, AllowLoopback: cfg.AllowLoopback, Version: version(), Log: log})
}

// readReference resolves env:NAME or file:path.
func readReference(ref string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		if value := os.Getenv(name); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("the variable %s is not set", name)
	}
	path, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return "", usage("--to wants a reference, env:NAME or file:path, and never the secret itself")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

func (o *oktaOptions) print(w io.Writer, v any, text func(io.Writer)) error {
	if !o.json {
		text(w)
		return nil
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printReport(w io.Writer, r okta.Report) {
	var rows []row
	for _, s := range r.Steps {
		rows = append(rows, row{cells: []string{string(s.State), s.Name, s.Text}})
	}
	printRows(w, rows)
	for _, s := range r.Steps {
		if s.ByHand != "" {
			fmt.Fprintf(w, "\n%s, by hand:\n\n%s", s.Name, s.ByHand)
		}
	}
}

func printHealth(w io.Writer, h okta.Health) {
	var rows []row
	for _, c := range h.Checks {
		rows = append(rows, row{cells: []string{string(c.State), c.Name, c.Text}})
	}
	printRows(w, rows)
	if len(h.Limits) == 0 {
		return
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RATE LIMIT\tPER MINUTE\tLEFT")
	for _, l := range h.Limits {
		fmt.Fprintf(table, "%s\t%d\t%d\n", l.Class, l.Limit, l.Remaining)
	}
	_ = table.Flush()
}

// asker asks somebody at a terminal. Without one nothing is asked.
type asker struct {
	in     *bufio.Reader
	out    io.Writer
	chosen map[string]string // by prompt, so that nothing is asked twice
}

// newAsker gives nil where nobody can be asked.
func newAsker(in io.Reader, out io.Writer) *asker {
	if f, ok := in.(*os.File); !ok || !isTerminal(f) {
		return nil
	}
	return &asker{in: bufio.NewReader(in), out: out, chosen: map[string]string{}}
}

func (a *asker) present() bool { return a != nil }

// confirm wants a yes. Where nobody can be asked it says which flag to give.
func (a *asker) confirm(text string) error {
	if a == nil {
		return errors.New("nobody can be asked here; give --yes to go on, or --dry-run to see what would be done")
	}
	fmt.Fprintf(a.out, "%s Go on? [y/N] ", text)
	answer, err := a.in.ReadString('\n')
	if err != nil && answer == "" {
		return errors.New("not confirmed")
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("not confirmed; nothing was changed")
	}
	return nil
}

// choose lets somebody pick one of several options by its number.
func (a *asker) choose(prompt string, options []string) (string, error) {
	if known, ok := a.chosen[prompt]; ok {
		return known, nil
	}
	fmt.Fprintln(a.out, prompt)
	for i, option := range options {
		fmt.Fprintf(a.out, "  %d  %s\n", i+1, option)
	}
	for {
		fmt.Fprintf(a.out, "Number [1-%d]: ", len(options))
		answer, err := a.in.ReadString('\n')
		if err != nil {
			return "", errors.New("nothing was chosen")
		}
		if n, err := strconv.Atoi(strings.TrimSpace(answer)); err == nil && n >= 1 && n <= len(options) {
			a.chosen[prompt] = options[n-1]
			return options[n-1], nil
		}
	}
}

// printRows prints a table whose last column is wrapped at a terminal. Elsewhere
// each row is one line.
func printRows(w io.Writer, rows []row) {
	p := &printer{out: bufio.NewWriter(w), raw: w, width: math.MaxInt32}
	if isTerminal(w) {
		p.width = widthOf(w)
	}
	p.table(0, rows)
	_ = p.flush()
}
