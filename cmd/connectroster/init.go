package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/connect"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

// The ways to know people of an Okta org.
const (
	modeToken   = "api-token"
	modeService = "service-app"
	modeHook    = "hook-only"
)

// What init proposes.
const (
	usualPersona    = "agent"
	parkedPersona   = "parked"
	usualGroup      = "Amazon Connect Agents"
	usualHookSecret = "env:OKTA_HOOK_SECRET"
	usualToken      = "env:OKTA_API_TOKEN"
	usualKey        = "file:okta.pem"
	usualSecretFile = "hook-secret"
)

// answers are all that init has to know. Each is a flag, and a key of the file of
// answers.
type answers struct {
	config, file  string
	force         bool
	noInput       bool
	noPlan        bool
	allowLoopback bool
	color         string

	name     string
	region   string
	profile  string
	instance string

	mode     string
	org      string
	token    string
	clientID string
	key      string
	app      string

	group    string
	routing  string
	security []string
	more     personas

	parkedRouting  string
	parkedSecurity []string
	policy         string

	hookSecret    string
	newHookSecret string
	hookURL       string
	store         string
}

// draft is a persona in the making.
type draft struct {
	Name     string
	Group    string
	Routing  string
	Security []string
}

// personas is a flag that may be repeated.
type personas []draft

func (p *personas) Type() string   { return "persona" }
func (p *personas) String() string { return "" }

// Set reads one persona, such as
// name=supervisor; group=Supervisors; routing=Basic; security=Agent,QualityAnalyst.
func (p *personas) Set(text string) error {
	var d draft
	for part := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !ok:
			return fmt.Errorf("want name=...; group=...; routing=...; security=..., but %q has no =", part)
		case key == "name":
			d.Name = value
		case key == "group":
			d.Group = value
		case key == "routing":
			d.Routing = value
		case key == "security":
			for one := range strings.SplitSeq(value, ",") {
				d.Security = append(d.Security, strings.TrimSpace(one))
			}
		default:
			return fmt.Errorf("want name, group, routing and security, but not %q", key)
		}
	}
	*p = append(*p, d)
	return nil
}

func initCommand() *cobra.Command {
	var a answers
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a configuration: find what there is, ask for the rest, show the first plan",
		Long: `Write a configuration. AWS and Okta are asked what there is, so that nobody has to
look for ids: the instance is picked from a list with the way its users sign in, and
routing profiles, security profiles and the Okta group are picked by their names. An
instance whose users do not sign in by SAML is refused, with the reason.

AWS credentials and the region are found as the AWS CLI finds them. Secrets stay where
they are: the file refers to them by env:NAME or file:path. A secret for the event hook
can be made, in a file that only its owner may read.

Every answer is also a flag, and a key in a file for --answers, with _ in place of -. A
flag goes before the file. Where there is no terminal nothing is asked, and an answer
that is missing is an error that names its flag.

Nothing is written to Okta or to Amazon Connect. A file that is there already is
overwritten only with your yes or --force. What comes of the answers is checked before
it is written, and then the first plan is shown: what connectroster would do.

Exit codes: 0 the configuration was written; 1 it was not, or the first plan failed.`,
		Example: `  connectroster init
  connectroster init --answers answers.yaml
  connectroster init --name production --instance acme --okta api-token --okta-org https://example.okta.com \
    --group "Amazon Connect Agents" --routing-profile "Basic Routing Profile" --security-profile Agent \
    --policy upsert-only --new-hook-secret hook-secret`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.read(cmd.Flags()); err != nil {
				return err
			}
			w := &wizard{answers: &a, ask: newWizardAsker(cmd.InOrStdin(), cmd.ErrOrStderr(), a.noInput)}
			var err error
			if w.say, err = newPrinter(cmd.OutOrStdout(), a.color); err != nil {
				return err
			}
			err = w.run(cmd.Context())
			if stopped := cmd.Context().Err() != nil || errors.Is(err, errAborted); stopped && err != nil {
				err = errors.New("interrupted; nothing was written")
				if w.written {
					err = fmt.Errorf("interrupted; %s was written, and the first plan was not made: see connectroster plan --offline", a.config)
				}
			}
			return errors.Join(err, w.say.flush())
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

func (a *answers) flags(f *pflag.FlagSet) {
	f.StringVarP(&a.config, "config", "c", "connectroster.yaml", "the configuration `file` to write")
	f.StringVar(&a.file, "answers", "", "a `file` of answers in YAML: the flags below, with _ in place of -")
	f.BoolVar(&a.force, "force", false, "overwrite the configuration if there is one")
	f.BoolVar(&a.noInput, "no-input", false, "ask nothing, even at a terminal")
	f.BoolVar(&a.noPlan, "no-plan", false, "do not make the first plan")
	f.StringVar(&a.color, "color", "auto", "colours: auto, always or never; auto is for terminals, unless NO_COLOR is set")

	f.StringVar(&a.name, "name", "", "the name of the deployment, stable for ever, such as production")
	f.StringVar(&a.region, "region", "", "the AWS `region` of the instance; left out, as AWS's own settings say")
	f.StringVar(&a.profile, "profile", "", "the `profile` of AWS's own files; left out, as the environment says")
	f.StringVar(&a.instance, "instance", "", "the Amazon Connect instance by its `alias`, id or ARN")

	f.StringVar(&a.mode, "okta", "", "how people are known: api-token, service-app (as Okta advises) or hook-only (events alone)")
	f.StringVar(&a.org, "okta-org", "", "the `address` of the Okta org, such as https://example.okta.com")
	f.StringVar(&a.token, "okta-token", "", "a `reference` to the API token; left out, "+usualToken)
	f.StringVar(&a.clientID, "okta-client-id", "", "the client `id` of the API Services app, for service-app")
	f.StringVar(&a.key, "okta-key", "", "a `reference` to the private key of the app; left out, "+usualKey)
	f.StringVar(&a.app, "okta-app", "", "the `label` of the Amazon Connect app in Okta, whose username becomes the agent's; left out, it is the login")

	f.StringVar(&a.group, "group", "", "the Okta `group` whose members are agents, by its name or id")
	f.StringVar(&a.routing, "routing-profile", "", "their routing profile, by its `name`")
	f.StringArrayVar(&a.security, "security-profile", nil, "a security profile of theirs, by its `name`; may be repeated")
	f.Var(&a.more, "persona", "another `kind` of agent, which goes before the others, such as \"name=supervisor; group=Supervisors; routing=Basic; security=Agent,QualityAnalyst\"; may be repeated")

	f.StringVar(&a.policy, "policy", "", "how far changes may go: create-only, upsert-only (to begin with) or sync")
	f.StringVar(&a.parkedRouting, "parked-routing-profile", "", "the routing profile of suspended agents, by its `name`: one without queues")
	f.StringArrayVar(&a.parkedSecurity, "parked-security-profile", nil, "a security profile of suspended agents, by its `name`: one without permissions; may be repeated")

	f.StringVar(&a.hookSecret, "hook-secret", "", "a `reference` to the secret of the event hook; left out, "+usualHookSecret)
	f.StringVar(&a.newHookSecret, "new-hook-secret", "", "make a secret for the event hook in this `file`, beside the configuration")
	f.StringVar(&a.hookURL, "hook-url", "", "the https `address` at which Okta reaches connectroster; may follow later")
	f.StringVar(&a.store, "store", "connectroster.db", "the `path` of the database; a relative one starts at the folder of the configuration")
	f.BoolVar(&a.allowLoopback, "allow-loopback", false, "let Okta and Amazon Connect be programs on this machine, such as the simulators")
}

// ownFlags are the flags that are no answers.
var ownFlags = []string{"config", "answers", "force", "no-input", "no-plan", "color", "help"}

// wizard leads from nothing to a configuration.
type wizard struct {
	*answers
	ask     *wizardAsker // nil: nobody can be asked
	say     *printer
	offered *offering  // what the instance has
	found   okta.Offer // what the org has, if it could be asked
	asked   bool       // it could
	written bool
}

func (w *wizard) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		w.mayWrite, w.pickRegion, w.complete, w.pickInstance, w.pickOkta, w.signIn, w.pickApp,
		w.pickPersonas, w.pickPolicy, w.pickParked, w.pickHook, w.pickName, w.write, w.firstPlan, w.next,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := w.say.flush(); err != nil {
			return err
		}
	}
	return nil
}

// mayWrite sees to it that nothing is lost: neither what is there, nor the answers.
func (w *wizard) mayWrite(ctx context.Context) error {
	info, err := os.Lstat(w.config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.tryFolder()
	case err != nil:
		return fmt.Errorf("look for the configuration: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; name another with --config", w.config)
	case w.force:
		return w.tryFolder()
	case w.ask == nil:
		return fmt.Errorf("%s is there already: --force overwrites it, and --config writes to another file", w.config)
	}
	if err := w.tryFolder(); err != nil {
		return err
	}
	yes, err := w.ask.confirm(ctx, w.config+" is there already. Overwrite it in the end?", "", false)
	if err == nil && !yes {
		err = fmt.Errorf("%s was left as it is", w.config)
	}
	return err
}

// tryFolder writes to the folder of the configuration and leaves nothing behind, since
// nobody is to answer it all for a file that cannot be written.
func (w *wizard) tryFolder() error {
	f, err := w.newFile()
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// pickRegion finds the region and shows whose credentials will be used.
func (w *wizard) pickRegion(ctx context.Context) error {
	found, err := connect.FindAccess(ctx, w.profile)
	if err != nil {
		return remedy.Mark("aws_keys", fmt.Errorf("%w; sign in as for the AWS CLI, for example with aws sso login, or name a profile with --profile", err))
	}
	w.say.text(faint, "", 0, "AWS credentials: "+found.Source)
	if w.region == "" && w.ask != nil {
		w.region, err = w.ask.text(ctx, "AWS region of the Amazon Connect instance", "", found.Region, config.CheckRegion)
	}
	w.region = cmp.Or(w.region, found.Region)
	return err
}

// complete refuses at once what cannot be asked for later, and judges what was
// given.
func (w *wizard) complete(context.Context) error {
	if w.ask == nil {
		if err := w.missing(); err != nil {
			return err
		}
	}
	if w.mode != "" && !slices.Contains([]string{modeToken, modeService, modeHook}, w.mode) {
		return usage("--okta %q: want %s, %s or %s", w.mode, modeToken, modeService, modeHook)
	}
	if w.policy != "" && !slices.Contains([]plan.Policy{plan.CreateOnly, plan.UpsertOnly, plan.Sync}, plan.Policy(w.policy)) {
		return usage("--policy %q: want create-only, upsert-only or sync", w.policy)
	}
	if w.policy == string(plan.Sync) && w.mode == modeHook {
		return usage("--policy sync needs Okta's API: in hook-only mode removals would rest on events alone; take upsert-only, or another --okta")
	}
	if w.hookSecret != "" && w.newHookSecret != "" {
		return usage("--hook-secret is a secret that there is, and --new-hook-secret makes one; give one of them")
	}
	if err := config.CheckRegion(w.region); err != nil {
		return usage("--region: %w", err)
	}
	if w.org != "" {
		if err := config.CheckOrg(w.org, w.allowLoopback); err != nil {
			return w.loopbackHint(usage("--okta-org: %w", err))
		}
	}
	if err := w.checkHookURL(w.hookURL); err != nil {
		return w.loopbackHint(usage("--hook-url: %w", err))
	}
	for flag, ref := range map[string]string{"okta-token": w.token, "okta-key": w.key, "hook-secret": w.hookSecret} {
		if err := referenceOnly(ref); ref != "" && err != nil {
			return usage("--%s: %w", flag, err)
		}
	}
	return nil
}

// referenceOnly complains of what is no reference, without showing it.
func referenceOnly(ref string) error {
	scheme, rest, _ := strings.Cut(ref, ":")
	if rest == "" || scheme != "env" && scheme != "file" {
		return errors.New("want a reference, env:NAME or file:path, and never the secret itself")
	}
	return nil
}

const aboutGroup = "By its name to the letter, its id, or a regular expression such as /^Connect (North|South)$/."

func (w *wizard) pickPolicy(ctx context.Context) (err error) {
	if w.policy == "" {
		list := []choice{
			{"create-only   creates agents, and touches no other", string(plan.CreateOnly)},
			{"upsert-only   also keeps them as the rules say; removes nobody", string(plan.UpsertOnly)},
		}
		if w.api() {
			list = append(list, choice{"sync          also suspends and later deletes the agents of people who left", string(plan.Sync)})
		}
		w.policy, err = w.ask.choose(ctx, "How far may changes go?", "Begin with upsert-only, and look at what plan says.", list, string(plan.UpsertOnly), nil)
	}
	return err
}

func (w *wizard) pickName(ctx context.Context) (err error) {
	if w.name == "" {
		w.name, err = w.ask.text(ctx, "Name of this deployment", "It is written on every agent and must never change.", "production", func(s string) error {
			if !personaName(strings.ReplaceAll(s, ".", "-")) {
				return errors.New("want 1 to 64 letters, digits, _, . and -")
			}
			return nil
		})
	}
	return err
}

// firstPlan shows what would be done, on a database that is thrown away.
func (w *wizard) firstPlan(ctx context.Context) error {
	if w.noPlan {
		return nil
	}
	p := w.say
	p.line()
	p.line(p.paint(bold, "The first plan"), p.paint(faint, "  nothing is changed by it"))
	p.line()
	if !w.api() {
		p.text(plain, "", 0, "There is none to show yet: in hook-only mode nobody is known before the first event arrives. Start the daemon, let Okta call it, and see connectroster plan.")
		return nil
	}
	cfg, err := config.Load(w.config, os.Getenv)
	if err != nil {
		p.text(yellow, "", 0, "It cannot be made yet, since a secret is not at hand:")
		for line := range strings.SplitSeq(err.Error(), "\n") {
			p.line(sanitize(line))
		}
		p.text(plain, "", 0, "See to that, and then: connectroster plan --offline")
		return nil
	}
	doc, err := planAside(ctx, cfg)
	if err != nil {
		return fmt.Errorf("%s was written, but the first plan could not be made: %w", w.config, w.loopbackHint(err))
	}
	p.plan(doc, false)
	return nil
}

// planAside makes a plan of everybody without touching the database of the
// configuration.
func planAside(ctx context.Context, cfg *config.Config) (doc *app.Document, err error) {
	dir, err := os.MkdirTemp("", "connectroster-init-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "plan.db"), Log: log})
	if err != nil {
		return nil, err
	}
	r, err := aside(ctx, cfg, store, log, needsReads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return r.plan(ctx, nil, io.Discard)
}
