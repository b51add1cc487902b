package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/config"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// What the playground is made of. The secret is no secret: it protects nothing
// but this process's loopback port.
const (
	devGroup   = "Amazon Connect Agents"
	devSecret  = "dev-secret-of-the-playground"
	devHeader  = "Authorization"
	devToken   = "dev-token-of-the-playground"
	devApp     = "Amazon Connect"
	devRouting = "Basic Routing Profile"
	devQueue   = "Connect Queue Sales" // a group that the rule of queues matches
)

type devOptions struct {
	once     bool
	hookOnly bool
	drop     percent
	people   int
	rate     float64
	debug    bool
}

// percent is a share of a hundred; as a flag it is written 50 or 50%.
type percent float64

func (p *percent) String() string { return strconv.FormatFloat(float64(*p), 'f', -1, 64) + "%" }
func (p *percent) Type() string   { return "percent" }

func (p *percent) Set(text string) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return errors.New("want 0% to 100%")
	}
	*p = percent(n)
	return nil
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, no account needed",
		Long: `Run a simulated Okta org, a simulated Amazon Connect instance and the daemon
between them in one process. People join an Okta group, the org delivers its
event hook as Okta does, the daemon reads them from Okta's API and creates their
agents with the AWS SDK. Hooks that are dropped are found in the System Log.

Nothing outside this machine is called, and nothing is left behind at the end.`,
		Example: `  connectroster dev               stay, to try things
  connectroster dev --once        end after the summary: exit 0 if every agent is right, else 1
  connectroster dev --people 500  watch a contact centre being filled
  connectroster dev --once --drop-hooks 100%
                                  not one hook arrives, and still everybody gets an agent`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.people < 1 || o.people > 20000 {
				return usage("--people %d: want 1 to 20000", o.people)
			}
			if o.rate < 0 {
				return usage("--rate %g: want calls per second, or 0 for no limit", o.rate)
			}
			if o.hookOnly && o.drop > 0 {
				return usage("--drop-hooks needs Okta's API: in hook-only mode a lost event is lost")
			}
			return dev(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.once, "once", false, "end after the summary, with exit code 1 if any agent is missing or wrong")
	f.BoolVar(&o.hookOnly, "hook-only", false, "give the daemon no access to Okta's API")
	f.Var(&o.drop, "drop-hooks", "how many of the events Okta shall fail to deliver")
	f.IntVar(&o.people, "people", 8, "how many `people` join")
	f.Float64Var(&o.rate, "rate", 2, "calls per second and operation that the simulated instance allows; 0 is without limit")
	f.BoolVar(&o.debug, "debug", false, "show the daemon's log")
	return cmd
}

// dev plays the main job from event to agent.
func dev(ctx context.Context, o devOptions, out, logs io.Writer) error {
	dir, err := os.MkdirTemp("", "connectroster-dev-")
	if err != nil {
		return fmt.Errorf("make a folder for the playground: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer tidyAtOnce(dir)()

	p := &playground{options: o, dir: dir, show: newShow(out, o.people, o.rate), log: slog.New(slog.DiscardHandler)}
	if o.debug {
		p.log = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	defer p.close()
	if err := p.open(ctx); err != nil {
		if ctx.Err() != nil {
			return o.interrupted()
		}
		return err
	}
	p.show.opening(p)
	if err := p.join(ctx); err != nil {
		return err
	}
	p.await(ctx)
	if ctx.Err() != nil && len(p.show.users) == 0 {
		return o.interrupted()
	}
	right := p.show.summary(p)
	if o.once {
		if !right {
			return errReported
		}
		return nil
	}
	if ctx.Err() != nil {
		return o.interrupted()
	}
	p.show.next(p)
	<-ctx.Done()
	return nil
}

// interrupted is how the playground ends when somebody interrupts it before its
// summary: as they want it, unless they wait for a result.
func (o devOptions) interrupted() error {
	if o.once {
		return errors.New("interrupted")
	}
	return nil
}

// tidyAtOnce removes the folder when a second signal comes, which ends the program
// before it is closed in order. The function that it gives ends the waiting.
func tidyAtOnce(dir string) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-done:
				return
			}
		}
		_ = os.RemoveAll(dir)
		os.Exit(1)
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// playground is the two simulators with the daemon between them.
type playground struct {
	options devOptions
	dir     string
	show    *show
	log     *slog.Logger

	instance    *simconnect.Instance
	instanceURL string
	org         *simokta.Org
	orgURL      string
	group       string // id
	hook        simokta.Hook
	socket      string // of the daemon
	daemon      *daemon
	servers     []*http.Server
}

func (p *playground) open(ctx context.Context) error {
	if err := p.simulate(ctx); err != nil {
		return err
	}
	if err := p.furnish(); err != nil {
		return err
	}
	cfg, err := p.configure()
	if err != nil {
		return err
	}
	p.socket = cfg.Socket
	// The daemon finds Amazon Connect as any program with the AWS SDK does.
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_CONNECT":            p.instanceURL,
		"AWS_ACCESS_KEY_ID":                   "dev",
		"AWS_SECRET_ACCESS_KEY":               "dev",
		"AWS_SESSION_TOKEN":                   "",
		"AWS_PROFILE":                         "",
		"AWS_CONFIG_FILE":                     os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE":         os.DevNull,
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
		"AWS_USE_FIPS_ENDPOINT":               "false",
		"AWS_CA_BUNDLE":                       "",
		"AWS_EC2_METADATA_DISABLED":           "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if p.daemon, err = start(ctx, cfg, p.log, p.show.outcome); err != nil {
		return err
	}
	if err := p.wire(ctx); err != nil {
		return err
	}
	return p.ready(ctx)
}

// ready waits until the daemon has read Okta's System Log for the first time, so
// that what follows comes by a hook or by a later reading.
func (p *playground) ready(ctx context.Context) error {
	if p.options.hookOnly {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := p.daemon.Status(ctx)
		if err != nil {
			return err
		}
		if status.CatchUp != nil && !status.CatchUp.Last.IsZero() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the daemon did not read the System Log in time: %s", status.CatchUp.Error)
		case <-tick.C:
		}
	}
}

// simulate starts the two simulators.
func (p *playground) simulate(ctx context.Context) error {
	settings := simconnect.DefaultSettings()
	settings.Limit.Rate = p.options.rate
	settings.Quota = max(settings.Quota, p.options.people)
	settings.RequireSignature = true
	var err error
	if p.instance, err = simconnect.New(simconnect.Config{Settings: &settings, Log: p.log}); err != nil {
		return err
	}
	if p.org, err = simokta.New(simokta.Config{AllowHTTP: true, Tokens: []string{devToken}, Log: p.log}); err != nil {
		return err
	}
	p.show.login = func(id string) string {
		user, err := p.org.User(id)
		if err != nil {
			return id
		}
		return user.Login
	}
	for _, sim := range []struct {
		h   http.Handler
		url *string
	}{{p.instance, &p.instanceURL}, {p.org, &p.orgURL}} {
		server, url, err := serveLoopback(ctx, "127.0.0.1:0", sim.h)
		if err != nil {
			return err
		}
		p.servers, *sim.url = append(p.servers, server), url
	}
	return nil
}

// devConfig is the configuration of the playground, as a user would write it.
const devConfig = `name: dev
policy: %s
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
allow_loopback: true

okta:
%s  hook:
    secrets: ["env:OKTA_HOOK_SECRET"]

connect:
  instance: %s
  region: %s
  rate: %g

personas:
  agent:
    routing_profile: %s
    security_profiles: [Agent]
    voice: {type: soft_phone, auto_accept: false, after_contact_work: 30s}
%s
rules:
  - {groups: [%s], persona: agent}
  - {groups: ["/^Connect Queue (?<queue>.+)$/"], set: {routing_profile: "{queue}"}}

%sstore: {sqlite: connectroster.db}
`

// devParked and devLeavers are what policy sync needs.
const (
	devParked  = "  parked: {routing_profile: Parked, security_profiles: [No permissions]}\n"
	devLeavers = "leavers: {suspend_as: parked, delete_after: 7d}\n"
)

// devAuth is the part that gives access to Okta's API. Ten seconds are the least
// that the System Log may be read at, so that nobody waits long here.
const devAuth = `  org: %s
  auth: {token: "env:OKTA_API_TOKEN"}
  app: %s
  catch_up: 10s
`

func (p *playground) configure() (*config.Config, error) {
	rate := p.options.rate
	if rate == 0 {
		rate = 1000
	}
	policy, auth, parked, leavers := "upsert-only", "", "", ""
	if !p.options.hookOnly {
		policy, auth, parked, leavers = "sync", fmt.Sprintf(devAuth, p.orgURL, devApp), devParked, devLeavers
	}
	path := filepath.Join(p.dir, "connectroster.yaml")
	text := fmt.Sprintf(devConfig, policy, auth, p.instance.ID(), p.instance.Region(), rate, devRouting, parked, devGroup, leavers)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the playground's configuration: %w", err)
	}
	return config.Load(path, func(name string) string {
		switch name {
		case "OKTA_HOOK_SECRET":
			return devSecret
		case "OKTA_API_TOKEN":
			return devToken
		default:
			return os.Getenv(name)
		}
	})
}

// furnish creates what an administrator of Okta sets up: the group, the Amazon
// Connect app, and the assignment of the one to the other.
func (p *playground) furnish() error {
	group, err := p.org.AddGroup(devGroup)
	if err != nil {
		return err
	}
	p.group = group.ID
	p.instance.AddDemo()
	if _, err := p.org.AddGroup(devQueue); err != nil {
		return err
	}
	app, err := p.org.AddApp(simokta.NewApp{Label: devApp})
	if err != nil {
		return err
	}
	if err := p.org.AssignGroup(app.ID, group.ID); err != nil {
		return err
	}
	return p.org.Configure(func(s *simokta.Settings) { s.DropRate = float64(p.options.drop) / 100 })
}

// wire creates the event hook in the org, and lets the org verify it as Okta
// does.
func (p *playground) wire(ctx context.Context) error {
	ours := fmt.Sprintf("event.target.?[type eq 'UserGroup' && id eq '%s'].size()>0", p.group)
	events := []string{"group.user_membership.add", "group.user_membership.remove"}
	filters := map[string]string{"group.user_membership.add": ours, "group.user_membership.remove": ours}
	if !p.options.hookOnly {
		filters = nil // the groups of queues are meant by a pattern, which no filter of Okta's can test
		events = append(events, "user.lifecycle.activate", "user.lifecycle.deactivate", "user.lifecycle.suspend", "user.lifecycle.unsuspend", "user.account.update_profile")
	}
	var err error
	p.hook, err = p.org.AddHook(simokta.HookConfig{
		Name:       "connectroster",
		URI:        "http://" + p.daemon.Addr() + "/hooks/okta",
		Events:     events,
		Filters:    filters,
		AuthHeader: devHeader,
		AuthValue:  devSecret,
	})
	if err != nil {
		return fmt.Errorf("create the event hook: %w", err)
	}
	if err := p.org.VerifyHook(ctx, p.hook.ID); err != nil {
		return fmt.Errorf("verify the event hook: %w", err)
	}
	return nil
}

// join lets the people be hired and put into the group.
func (p *playground) join(ctx context.Context) error {
	for i := range p.options.people {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the summary tells how far it came
		}
		user, err := p.org.AddUser(devPerson(i))
		if err != nil {
			return err
		}
		p.show.joined(user)
		if err := p.org.Join(user.ID, devGroup); err != nil {
			return err
		}
	}
	return nil
}

// await waits until every person has an outcome, but not for ever: thrice what
// the quotas need is more than enough. Our share of Okta's rate limits is good for
// some 150 people a minute.
func (p *playground) await(ctx context.Context) {
	limit := 2 * time.Minute
	if p.options.rate > 0 {
		limit += 3 * time.Duration(float64(p.options.people)/p.options.rate*float64(time.Second))
	}
	if !p.options.hookOnly {
		limit += 3 * time.Duration(p.options.people) * time.Minute / 150
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(p.show.every())
	defer tick.Stop()
	for {
		select {
		case <-p.show.done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			p.show.progress()
		}
	}
}

func (p *playground) close() {
	p.show.silence()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var errs []error
	if p.org != nil {
		errs = append(errs, p.org.Close(ctx))
	}
	if p.daemon != nil {
		errs = append(errs, p.daemon.stop())
	}
	for _, s := range p.servers {
		errs = append(errs, s.Close())
	}
	if err := errors.Join(errs...); err != nil {
		p.log.Error("closing the playground", "error", err)
	}
}

// devPerson makes the i-th person. Names are taken from many places, since they
// are where provisioning goes wrong.
func devPerson(i int) simokta.NewUser {
	names := [...][2]string{
		{"Ana", "Silva"}, {"María del Carmen", "López"}, {"Björn", "Ångström"}, {"Nguyễn", "Thị Minh"},
		{"Sinéad", "O'Brien"}, {"李", "小龙"}, {"Oluwaseun", "Adébáyọ̀"}, {"Jean-Luc", "de la Tour"},
	}
	logins := [...]string{
		"ana.silva", "maria.lopez", "bjorn.angstrom", "minh.nguyen",
		"sinead.obrien", "xiaolong.li", "seun.adebayo", "jeanluc.delatour",
	}
	at, round := i%len(names), i/len(names)
	login := logins[at]
	if round > 0 {
		login += strconv.Itoa(round + 1)
	}
	return simokta.NewUser{FirstName: names[at][0], LastName: names[at][1], Login: login + "@example.com"}
}

// routingName gives the name of a routing profile that the playground uses.
func (p *playground) routingName(id string) string {
	if id == p.instance.RoutingProfileID(devRouting) {
		return devRouting
	}
	return id
}

// agentFault tells what is wrong with the agent of a user, or gives "".
func (p *playground) agentFault(user simokta.User) (simconnect.Agent, string) {
	agent, found := p.instance.AgentNamed(user.Login)
	if !found {
		return agent, "missing"
	}
	var wrong []string
	check := func(what string, ok bool) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	check("username", agent.Username == user.Login)
	check("name", p.sameName(agent, user))
	check("routing profile", agent.RoutingProfile == p.instance.RoutingProfileID(devRouting))
	check("security profiles", len(agent.SecurityProfiles) == 1 && agent.SecurityProfiles[0] == p.instance.SecurityProfileID("Agent"))
	check("owner", agent.Tags["connectroster:owner"] == user.ID)
	check("deployment", agent.Tags["connectroster:deployment"] == "dev")
	if len(wrong) > 0 {
		return agent, "wrong " + strings.Join(wrong, ", ")
	}
	return agent, ""
}
