package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/connect"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
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
	Name     string   `yaml:"name"`
	Group    string   `yaml:"group"`
	Routing  string   `yaml:"routing_profile"`
	Security []string `yaml:"security_profiles"`
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
	f.Var(&a.more, "persona", "another kind of agent, which goes before the others: `\"name=supervisor; group=Supervisors; routing=Basic; security=Agent,QualityAnalyst\"`; may be repeated")

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

// read takes the answers of the file for all flags that were not given.
func (a *answers) read(f *pflag.FlagSet) error {
	if a.file == "" {
		return nil
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		return fmt.Errorf("read the answers: %w", err)
	}
	var all map[string]yaml.Node
	if err := yaml.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("read the answers in %s: %w", a.file, err)
	}
	var faults []error
	for key, node := range all {
		name := strings.ReplaceAll(key, "_", "-")
		flag := f.Lookup(name)
		switch {
		case flag == nil || slices.Contains(ownFlags, name):
			faults = append(faults, fmt.Errorf("%s:%d: there is no answer %q: the keys are the flags of init, with _ in place of -", a.file, node.Line, key))
		case flag.Changed:
		default:
			if err := setFlag(flag, &node); err != nil {
				faults = append(faults, fmt.Errorf("%s:%d: %s: %w", a.file, node.Line, key, err))
			}
		}
	}
	slices.SortFunc(faults, func(x, y error) int { return cmp.Compare(x.Error(), y.Error()) })
	return errors.Join(faults...)
}

// setFlag gives a flag what a node of YAML says.
func setFlag(flag *pflag.Flag, node *yaml.Node) error {
	list := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		list = node.Content
		if _, many := flag.Value.(pflag.SliceValue); !many && flag.Value.Type() != "persona" {
			return errors.New("want one value, not a list")
		}
	}
	for _, one := range list {
		if p, ok := flag.Value.(*personas); ok && one.Kind == yaml.MappingNode {
			var d draft
			if err := one.Load(&d, yaml.WithKnownFields()); err != nil {
				return err
			}
			*p = append(*p, d)
			continue
		}
		if one.Kind != yaml.ScalarNode {
			return errors.New("want text")
		}
		if err := flag.Value.Set(one.Value); err != nil {
			return err
		}
	}
	return nil
}

// missing names the flags without which there is no configuration.
func (a *answers) missing() error {
	var out []string
	need := func(have bool, flag, why string) {
		if !have {
			out = append(out, fmt.Sprintf("  --%-24s%s", flag, why))
		}
	}
	need(a.name != "", "name", "the name of the deployment, such as production")
	need(a.region != "", "region", "AWS's own settings name none")
	need(a.instance != "", "instance", "the alias, id or ARN of the Amazon Connect instance")
	need(a.mode != "", "okta", modeToken+", "+modeService+" or "+modeHook)
	if a.mode == modeToken || a.mode == modeService {
		need(a.org != "", "okta-org", "the address of the Okta org")
	}
	if a.mode == modeService {
		need(a.clientID != "", "okta-client-id", "the client id of the API Services app")
	}
	need(a.group != "", "group", "the Okta group whose members are agents")
	need(a.routing != "", "routing-profile", "the name of their routing profile")
	need(len(a.security) > 0, "security-profile", "the name of a security profile of theirs")
	need(a.policy != "", "policy", "create-only, upsert-only or sync; begin with upsert-only")
	if a.policy == string(plan.Sync) {
		need(a.parkedRouting != "", "parked-routing-profile", "of suspended agents, which sync needs")
		need(len(a.parkedSecurity) > 0, "parked-security-profile", "of suspended agents, which sync needs")
	}
	if len(out) == 0 {
		return nil
	}
	return errors.New("nobody can be asked here, and these answers are missing; give the flags, or the answers in a file with --answers:\n" + strings.Join(out, "\n"))
}

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

// mayWrite sees to it that nothing is lost.
func (w *wizard) mayWrite(ctx context.Context) error {
	info, err := os.Lstat(w.config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for the configuration: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; name another with --config", w.config)
	case w.force:
		return nil
	case w.ask == nil:
		return fmt.Errorf("%s is there already: --force overwrites it, and --config writes to another file", w.config)
	}
	yes, err := w.ask.confirm(ctx, w.config+" is there already. Overwrite it in the end?", "", false)
	if err == nil && !yes {
		err = fmt.Errorf("%s was left as it is", w.config)
	}
	return err
}

// pickRegion finds the region and shows whose credentials will be used.
func (w *wizard) pickRegion(ctx context.Context) error {
	found, err := connect.FindAccess(ctx, w.profile)
	if err != nil {
		return fmt.Errorf("%w; sign in as for the AWS CLI, for example with aws sso login, or name a profile with --profile", err)
	}
	w.say.line(w.say.paint(faint, "AWS credentials: "+found.Source))
	if w.region == "" && w.ask != nil {
		w.region, err = w.ask.text(ctx, "AWS region of the Amazon Connect instance", "", found.Region, wanted("a region, such as eu-central-1"))
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
		return fmt.Errorf("--okta %q: want %s, %s or %s", w.mode, modeToken, modeService, modeHook)
	}
	if w.policy != "" && !slices.Contains([]plan.Policy{plan.CreateOnly, plan.UpsertOnly, plan.Sync}, plan.Policy(w.policy)) {
		return fmt.Errorf("--policy %q: want create-only, upsert-only or sync", w.policy)
	}
	if w.policy == string(plan.Sync) && w.mode == modeHook {
		return errors.New("--policy sync needs Okta's API: in hook-only mode removals would rest on events alone; take upsert-only, or another --okta")
	}
	if w.hookSecret != "" && w.newHookSecret != "" {
		return errors.New("--hook-secret is a secret that there is, and --new-hook-secret makes one; give one of them")
	}
	for flag, ref := range map[string]string{"okta-token": w.token, "okta-key": w.key, "hook-secret": w.hookSecret} {
		if err := referenceOnly(ref); ref != "" && err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
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

// target is the instance as its client is told.
func (w *wizard) target() connect.Config {
	return connect.Config{Instance: w.instance, Region: w.region, Profile: w.profile, Deployment: "init", AllowLoopback: w.allowLoopback}
}

// pickInstance picks an instance that can be worked with, and reads what it has.
func (w *wizard) pickInstance(ctx context.Context) error {
	if w.instance == "" {
		if err := w.chooseInstance(ctx); err != nil {
			return err
		}
	}
	var err error
	if w.offered, err = readOffering(ctx, w.target()); err != nil {
		return w.loopbackHint(err)
	}
	if w.offered.unusable != nil {
		return w.offered.unusable
	}
	delete(w.offered.catalog.SecurityProfiles, "Admin") // see checkSecurity
	w.say.line(w.say.paint(faint, fmt.Sprintf("Amazon Connect: %s, identity type %s, %d routing profiles, %d security profiles",
		cmp.Or(w.offered.Alias, w.offered.ID), w.offered.Identity, len(w.offered.RoutingProfiles), len(w.offered.SecurityProfiles))))
	return nil
}

// loopbackHint names the flag of init for what an adapter calls by the key of the
// configuration.
func (w *wizard) loopbackHint(err error) error {
	if !w.allowLoopback && strings.Contains(err.Error(), "allow_loopback") {
		return fmt.Errorf("%w (--allow-loopback)", err)
	}
	return err
}

func (w *wizard) chooseInstance(ctx context.Context) error {
	all, err := connect.List(ctx, w.target())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		w.instance, err = w.ask.text(ctx, "Amazon Connect instance, by its id or ARN", "They cannot be listed: "+w.loopbackHint(err).Error(), "", wanted("an id or ARN"))
		return err
	case len(all) == 0:
		return fmt.Errorf("the account has no Amazon Connect instance in the region %s: name the right one with --region, or other credentials with --profile", w.region)
	}
	var list []choice
	why := map[string]error{}
	first := ""
	for _, i := range all {
		why[i.ID] = i.Unusable()
		note := i.Identity
		if why[i.ID] != nil {
			note += ", cannot be used"
		} else if first == "" {
			first = i.ID
		}
		list = append(list, choice{fmt.Sprintf("%s  (%s)", cmp.Or(i.Alias, i.ID), note), i.ID})
	}
	w.instance, err = w.ask.choose(ctx, "Amazon Connect instance", "Its users have to sign in by SAML, which is how Okta signs them in.", list, first,
		func(id string) error { return why[id] })
	return err
}

// api tells whether Okta's API is to be used.
func (w *wizard) api() bool { return w.mode != modeHook }

func (w *wizard) pickOkta(ctx context.Context) (err error) {
	if w.ask != nil && w.mode == "" {
		w.mode, err = w.ask.choose(ctx, "How shall people be known?", "With access to Okta's API lost events are found again, and policy sync is possible.", []choice{
			{"By Okta's API, with an API Services app (as Okta advises)", modeService},
			{"By Okta's API, with an API token (quickly made; has all rights of its owner)", modeToken},
			{"By event hooks alone (no credential; leavers are not removed)", modeHook},
		}, modeService, nil)
	}
	if err == nil && w.ask != nil && w.org == "" && w.api() {
		w.org, err = w.ask.text(ctx, "Address of the Okta org", "", "", wanted("an address, such as https://example.okta.com"))
	}
	if err == nil && w.ask != nil && w.clientID == "" && w.mode == modeService {
		w.clientID, err = w.ask.text(ctx, "Client id of the API Services app", "", "", wanted("the client id"))
	}
	if err == nil && w.ask != nil && w.token == "" && w.mode == modeToken {
		w.token, err = w.ask.text(ctx, "Where is the API token?", "A reference, env:NAME or file:path. The token itself is not written down.", usualToken, referenceOnly)
	}
	if err == nil && w.ask != nil && w.key == "" && w.mode == modeService {
		w.key, err = w.ask.text(ctx, "Where is the private key of the app?", "A reference, file:path or env:NAME. The key itself is not written down.", usualKey, referenceOnly)
	}
	switch w.mode {
	case modeToken:
		w.token = cmp.Or(w.token, usualToken)
	case modeService:
		w.key = cmp.Or(w.key, usualKey)
	}
	return err
}

// signIn asks Okta what there is, if the credential is at hand.
func (w *wizard) signIn(ctx context.Context) error {
	if !w.api() {
		return nil
	}
	secret, err := w.secret(cmp.Or(w.token, w.key))
	if err != nil {
		w.say.text(yellow, "", 0, "Okta is not asked, so that names are taken as they are given: "+err.Error()+".")
		return nil
	}
	c := okta.ClientConfig{Org: w.org, AllowLoopback: w.allowLoopback, Version: version(), Log: slog.New(slog.DiscardHandler)}
	if w.mode == modeToken {
		c.Token = secret
	} else {
		c.ClientID, c.PrivateKey = w.clientID, []byte(secret)
	}
	client, err := okta.NewClient(c)
	if err != nil {
		return w.loopbackHint(err)
	}
	defer client.Close()
	if w.found, err = okta.FindOffer(ctx, client); err != nil {
		return fmt.Errorf("ask Okta what there is: %w", err)
	}
	w.asked = true
	w.say.line(w.say.paint(faint, fmt.Sprintf("Okta: %d groups, %d apps", len(w.found.Groups), len(w.found.Apps))))
	return nil
}

// secret gives what a reference of the configuration refers to.
func (w *wizard) secret(ref string) (string, error) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok && !filepath.IsAbs(path) {
		ref = "file:" + filepath.Join(filepath.Dir(w.config), path)
	}
	return readReference(ref)
}

// pickApp picks the app whose username is the agent's.
func (w *wizard) pickApp(ctx context.Context) (err error) {
	switch {
	case !w.api():
		if w.app != "" {
			return errors.New("--okta-app needs Okta's API, and there is none in hook-only mode")
		}
		return nil
	case w.app != "":
		if w.asked && w.found.Apps != nil && !slices.Contains(w.found.Apps, w.app) && !isOktaID(w.app) {
			return unknownIn("the Okta org", "app", w.app, w.found.Apps)
		}
		return nil
	case w.ask == nil:
		return nil
	}
	const why = "The username that people have in this app is what Okta sends at sign-in, so it becomes the agent's."
	if len(w.found.Apps) == 0 {
		w.app, err = w.ask.text(ctx, "Amazon Connect app in Okta, by its label", why+" Left empty, it is the login.", "", nil)
		return err
	}
	list := []choice{{"none: the username is the login", ""}}
	first := ""
	for _, label := range w.found.Apps {
		list = append(list, choice{label, label})
		if first == "" && strings.Contains(strings.ToLower(label), "connect") {
			first = label
		}
	}
	w.app, err = w.ask.choose(ctx, "Amazon Connect app in Okta", why, list, first, nil)
	return err
}

// pickPersonas picks who gets what.
func (w *wizard) pickPersonas(ctx context.Context) error {
	first := draft{Name: usualPersona, Group: w.group, Routing: w.routing, Security: w.security}
	if err := w.pick(ctx, &first); err != nil {
		return err
	}
	w.group, w.routing, w.security = first.Group, first.Routing, first.Security
	given := len(w.more) > 0
	for i := range w.more {
		if err := w.pick(ctx, &w.more[i]); err != nil {
			return err
		}
	}
	for w.ask != nil && !given {
		yes, err := w.ask.confirm(ctx, "Is there another kind of agent, such as supervisors?", "Whoever is in both groups is of that kind.", false)
		if err != nil || !yes {
			return err
		}
		var d draft
		taken := []string{usualPersona, parkedPersona}
		for _, m := range w.more {
			taken = append(taken, m.Name)
		}
		d.Name, err = w.ask.text(ctx, "What is it called?", "", "supervisor", func(s string) error {
			if !personaName(s) || slices.Contains(taken, s) {
				return errors.New("want a new name of letters, digits, _ and -")
			}
			return nil
		})
		if err == nil {
			err = w.pick(ctx, &d)
		}
		if err != nil {
			return err
		}
		w.more = append(w.more, d)
	}
	return nil
}

func personaName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// pick completes a persona and checks it against what there is.
func (w *wizard) pick(ctx context.Context, d *draft) (err error) {
	switch {
	case d.Name == "" || !personaName(d.Name):
		return fmt.Errorf("persona %q: want a name of letters, digits, _ and -", d.Name)
	case w.ask == nil && (d.Group == "" || d.Routing == "" || len(d.Security) == 0):
		return fmt.Errorf("persona %s: want group, routing and security, and nobody can be asked here", d.Name)
	}
	if d.Group == "" {
		if d.Group, err = w.chooseGroup(ctx, d.Name); err != nil {
			return err
		}
	}
	if err := w.checkGroup(d.Group); err != nil {
		return err
	}
	if d.Routing == "" {
		d.Routing, err = w.chooseRouting(ctx, d.Name, "")
	}
	if err == nil && len(d.Security) == 0 {
		d.Security, err = w.chooseSecurity(ctx, d.Name, "")
	}
	if err != nil {
		return err
	}
	return errors.Join(w.checkRouting(d.Routing), w.checkSecurity(d.Security))
}

const aboutGroup = "By its name to the letter, its id, or a regular expression such as /^Connect (North|South)$/."

func (w *wizard) chooseGroup(ctx context.Context, persona string) (string, error) {
	title := fmt.Sprintf("Okta group whose members get the persona %s", persona)
	if len(w.found.Groups) == 0 {
		proposed := ""
		if persona == usualPersona {
			proposed = usualGroup
		}
		return w.ask.text(ctx, title, aboutGroup, proposed, w.checkGroup)
	}
	var list []choice
	first := ""
	for _, g := range w.found.Groups {
		list = append(list, choice{g.Name, g.ID})
		if g.Name == usualGroup && persona == usualPersona {
			first = g.ID
		}
	}
	list = append(list, choice{"several, by a regular expression", ""})
	id, err := w.ask.choose(ctx, title, "", list, first, nil)
	if err == nil && id == "" {
		return w.ask.text(ctx, title, aboutGroup, "", w.checkGroup)
	}
	for _, g := range w.found.Groups {
		if g.ID == id {
			return w.groupRef(g), err
		}
	}
	return id, err
}

// groupRef means a group by its name, and by its id where the name is not its own
// or would be taken for something else.
func (w *wizard) groupRef(g plan.Group) string {
	same := 0
	for _, o := range w.found.Groups {
		if o.Name == g.Name {
			same++
		}
	}
	if same > 1 || strings.HasPrefix(g.Name, "/") || isOktaID(g.Name) {
		return g.ID
	}
	return g.Name
}

// isOktaID tells an id of Okta's from a name.
func isOktaID(s string) bool {
	return len(s) == 20 && strings.HasPrefix(s, "00") || len(s) == 20 && strings.HasPrefix(s, "0oa")
}

func (w *wizard) checkGroup(group string) error {
	if group == "" {
		return errors.New("want the name of a group")
	}
	if !w.asked || strings.HasPrefix(group, "/") {
		return nil
	}
	var names []string
	for _, g := range w.found.Groups {
		if g.ID == group || g.Name == group {
			return nil
		}
		names = append(names, g.Name)
	}
	return unknownIn("the Okta org", "group", group, names)
}

func (w *wizard) chooseRouting(ctx context.Context, persona, why string) (string, error) {
	names := offerNames(w.offered.catalog.RoutingProfiles)
	return w.ask.choose(ctx, "Routing profile of the persona "+persona, why, choices(names), likely(names, persona), nil)
}

func (w *wizard) chooseSecurity(ctx context.Context, persona, why string) ([]string, error) {
	names := offerNames(w.offered.catalog.SecurityProfiles)
	return w.ask.several(ctx, "Security profiles of the persona "+persona, why, choices(names), likely(names, persona), 10)
}

// likely is what of the names probably suits a persona.
func likely(names []string, persona string) string {
	words := map[string][]string{usualPersona: {"Basic Routing Profile", "Agent"}, parkedPersona: {"Parked", "No permissions"}}[persona]
	for _, name := range names {
		if slices.Contains(words, name) {
			return name
		}
	}
	return ""
}

func (w *wizard) checkRouting(name string) error {
	if _, ok := w.offered.catalog.RoutingProfiles.Find(name); ok {
		return nil
	}
	return unknownIn("the instance", "routing profile", name, offerNames(w.offered.catalog.RoutingProfiles))
}

// checkSecurity leaves Admin to those who write it down by hand.
func (w *wizard) checkSecurity(names []string) error {
	for _, name := range names {
		if strings.EqualFold(name, "Admin") {
			return errors.New("the security profile Admin may do everything in the instance, so init gives it to nobody: add it by hand, with allow_admin")
		}
		if _, ok := w.offered.catalog.SecurityProfiles.Find(name); !ok {
			return unknownIn("the instance", "security profile", name, offerNames(w.offered.catalog.SecurityProfiles))
		}
	}
	return nil
}

// unknownIn says of a name that it is none, and which there are.
func unknownIn(where, what, name string, known []string) error {
	const most = 12
	text := fmt.Sprintf("%s has no %s %q", where, what, sanitize(name))
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return fmt.Errorf("%s; did you mean %q?", text, sanitize(k))
		}
	}
	if len(known) == 0 {
		return errors.New(text + ", nor any that this credential may see")
	}
	quoted := make([]string, 0, most)
	for _, k := range known[:min(len(known), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", sanitize(k)))
	}
	if more := len(known) - most; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s; there are %s", text, strings.Join(quoted, ", "))
}

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

// pickParked picks what suspended agents are. Amazon Connect cannot switch an
// agent off, so there has to be something without queues and permissions.
func (w *wizard) pickParked(ctx context.Context) (err error) {
	const why = "Amazon Connect cannot switch an agent off. Suspended agents get a routing profile without queues and a security profile without permissions."
	if w.ask != nil && w.parkedRouting == "" && len(w.parkedSecurity) == 0 && w.policy != string(plan.Sync) {
		yes, err := w.ask.confirm(ctx, "Shall there be a persona for suspended agents?", why+" sync needs it; other policies do not use it.", false)
		if err != nil || !yes {
			return err
		}
	} else if w.policy != string(plan.Sync) && w.parkedRouting == "" && len(w.parkedSecurity) == 0 {
		return nil
	}
	if w.ask == nil && (w.parkedRouting == "" || len(w.parkedSecurity) == 0) {
		return errors.New("--parked-routing-profile and --parked-security-profile go together")
	}
	if w.parkedRouting == "" {
		w.parkedRouting, err = w.chooseRouting(ctx, parkedPersona, why)
	}
	if err == nil && len(w.parkedSecurity) == 0 {
		w.parkedSecurity, err = w.chooseSecurity(ctx, parkedPersona, "One without permissions.")
	}
	if err != nil {
		return err
	}
	return errors.Join(w.checkRouting(w.parkedRouting), w.checkSecurity(w.parkedSecurity))
}

func (w *wizard) pickHook(ctx context.Context) (err error) {
	if w.hookSecret == "" && w.newHookSecret == "" && w.ask != nil {
		const (
			make1 = "make"
			own   = "own"
		)
		var how string
		how, err = w.ask.choose(ctx, "The secret of the event hook", "Okta sends it with every event. It does not stand in the configuration.", []choice{
			{"make one, in the file " + usualSecretFile + " that only you may read", make1},
			{"it is in the variable OKTA_HOOK_SECRET", usualHookSecret},
			{"it is somewhere else", own},
		}, make1, nil)
		switch {
		case err != nil:
			return err
		case how == make1:
			w.newHookSecret = usualSecretFile
		case how == own:
			if w.hookSecret, err = w.ask.text(ctx, "Where is the secret?", "A reference, env:NAME or file:path.", "", referenceOnly); err != nil {
				return err
			}
		}
	}
	if w.newHookSecret != "" {
		if _, err := os.Lstat(w.secretFile()); err == nil {
			return fmt.Errorf("%s is there already: use it with --hook-secret file:%s, or name another file with --new-hook-secret", w.secretFile(), w.newHookSecret)
		}
		w.hookSecret = "file:" + w.newHookSecret
	}
	w.hookSecret = cmp.Or(w.hookSecret, usualHookSecret)
	if w.hookURL == "" && w.ask != nil {
		w.hookURL, err = w.ask.text(ctx, "Address at which Okta reaches connectroster", "Such as https://roster.example.com/hooks/okta. Left empty, it can follow later.", "", nil)
	}
	return err
}

// secretFile is the file of a new secret, beside the configuration.
func (w *wizard) secretFile() string {
	if filepath.IsAbs(w.newHookSecret) {
		return w.newHookSecret
	}
	return filepath.Join(filepath.Dir(w.config), w.newHookSecret)
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
		p.line(sanitize(err.Error()))
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

func offerNames(o plan.Offer) []string { return slices.Sorted(maps.Keys(o)) }
