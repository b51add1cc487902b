package app

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"connectroster/internal/config"
	"connectroster/internal/connect"
	"connectroster/internal/doctor"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// Ask makes a request to an API of this program and decodes the answer.
type Ask func(ctx context.Context, method, path string, body, into any) error

// ExaminationConfig is what an Examination needs.
type ExaminationConfig struct {
	Config  *config.Config
	Version string

	// HookURL is the address at which Okta reaches the daemon. Empty: what the hook
	// in Okta says.
	HookURL string

	// OktaToken is a token for Okta's API where the configuration has none.
	OktaToken string

	// Daemon asks the daemon at its socket.
	Daemon Ask

	// Alone gives the API of an App that was not started, on a store that is thrown
	// away, for when no daemon answers. It is called once at most.
	Alone func(ctx context.Context) (Ask, error)

	// Store gives the checks of the database. Daemon says that a daemon answers.
	Store func(daemon bool) []doctor.Check
}

// Examination looks at a whole deployment. It writes nothing to Okta, to Amazon
// Connect or to the database.
type Examination struct {
	c      ExaminationConfig
	log    *slog.Logger
	status *Status // of the daemon; nil: none answers
	away   error   // why none answers
	alone  Ask     // once it was needed
	doc    *Document

	client    *okta.Client
	instances []*connect.Instance
	rooms     []*connect.Room
	release   []func()
	store     atomic.Pointer[string] // the name of the check of the database that has failed
	calls     atomic.Int64           // of this examination to Amazon Connect
	throttled atomic.Int64           // of these
}

// daemonPatience is how long a daemon may take to tell how it is.
const daemonPatience = 10 * time.Second

// Examine begins an examination: it asks whether a daemon is there. Close ends it.
func Examine(ctx context.Context, c ExaminationConfig) *Examination {
	e := &Examination{c: c, log: slog.New(slog.DiscardHandler)}
	asking, cancel := context.WithTimeout(ctx, daemonPatience)
	defer cancel()
	var status Status
	if e.away = c.Daemon(asking, http.MethodGet, "/v1/status", nil, &status); e.away == nil {
		e.status = &status
	}
	return e
}

// Close lets go of connections.
func (e *Examination) Close() {
	for _, release := range e.release {
		release()
	}
	for _, i := range e.instances {
		i.Close()
	}
	if e.client != nil {
		e.client.Close()
	}
}

// check makes a check whose hint is that of the catalogue.
func check(name string, run func(context.Context) []doctor.Finding, needs ...string) doctor.Check {
	c := doctor.Check{Name: name, Needs: needs, Run: run}
	c.Hint = remedy.For(c.Code()).Do
	return c
}

// Checks gives all checks, in the order in which they make sense.
func (e *Examination) Checks(ctx context.Context) []doctor.Check {
	checks := e.c.Config.Checks()
	for _, c := range e.c.Store(e.status != nil) {
		checks = append(checks, e.noted(c))
	}
	checks = append(checks, check("daemon", e.daemon))
	checks = append(checks, e.org()...)
	checks = append(checks, e.sites(ctx)...)
	return append(checks, e.people()...)
}

// noted is a check of the database that leaves word when it fails.
func (e *Examination) noted(c doctor.Check) doctor.Check {
	run := c.Run
	c.Run = func(ctx context.Context) []doctor.Finding {
		findings := run(ctx)
		if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.Fail }) {
			e.store.CompareAndSwap(nil, &c.Name)
		}
		return findings
	}
	return c
}

// daemon tells of the daemon.
func (e *Examination) daemon(context.Context) []doctor.Finding {
	socket := e.c.Config.Socket
	s := e.status
	switch {
	case s == nil && remedy.CodeOf(e.away) == "daemon_away" && e.c.Config.Store.OnAWS():
		return []doctor.Finding{doctor.Okay("none answers at %s, and none has to: its state is in AWS", socket)}
	case s == nil && remedy.CodeOf(e.away) == "daemon_away":
		return []doctor.Finding{doctor.Warning("none answers at %s, so its state is read from a copy of the database", socket).As("daemon_away").Todo("start it with connectroster serve")}
	case s == nil && remedy.CodeOf(e.away) == "daemon_forbidden":
		return []doctor.Finding{doctor.Failure("%s", e.away).As("daemon_forbidden").Todo("%s", remedy.For("daemon_forbidden").Do)}
	case s == nil:
		return []doctor.Finding{doctor.Failure("what answers at %s is no daemon that works: %s", socket, e.away)}
	case s.Name != e.c.Config.Name:
		return []doctor.Finding{doctor.Failure("at %s the daemon of the deployment %s answers, and this configuration is that of %s", socket, s.Name, e.c.Config.Name).
			Todo("give each deployment a socket and a database of its own")}
	}
	out := []doctor.Finding{doctor.Okay("version %s answers at %s, started %s", s.Version, socket, s.Started.UTC().Format(time.RFC3339))}
	if s.Ready != Ready {
		out = append(out, doctor.Failure("it cannot store requests, so deliveries are refused: %s", s.Ready))
	}
	if s.Version != e.c.Version {
		out = append(out, doctor.Warning("it is version %s, and this is version %s", s.Version, e.c.Version).Todo("restart it, so that it is what is installed"))
	}
	if s.Policy != e.c.Config.Policy || s.Mode != e.c.Config.Mode() {
		out = append(out, doctor.Warning("it runs with policy %s in %s mode, and the configuration says policy %s in %s mode", s.Policy, s.Mode, e.c.Config.Policy, e.c.Config.Mode()).
			Todo("restart it, so that it reads the configuration"))
	}
	for _, i := range s.Instances {
		if i.Info == nil {
			out = append(out, doctor.Failure("%s", strings.TrimSpace("it has not reached the instance "+i.Name)+": "+cmp.Or(i.Error, "no answer yet")).Todo("see connect instance below"))
		}
	}
	return out
}

// org gives the checks of Okta, as far as there is a way to ask.
func (e *Examination) org() []doctor.Check {
	cfg := e.c.Config
	broken := func(err error) []doctor.Check {
		return []doctor.Check{check("okta credential", func(context.Context) []doctor.Finding { return []doctor.Finding{doctor.Failure("%s", err)} })}
	}
	var err error
	switch {
	case cfg.APIMode():
		e.client, err = NewOktaClient(cfg, e.c.Version, e.log)
	case e.c.OktaToken != "" && cfg.Okta.Org != "":
		e.client, err = okta.NewClient(okta.ClientConfig{Org: cfg.Okta.Org, Token: e.c.OktaToken, CAFile: cfg.Okta.CAFile, AllowLoopback: cfg.AllowLoopback, Version: e.c.Version, Log: e.log})
	default:
		return nil
	}
	if err != nil {
		return broken(err)
	}
	look := okta.CheckConfig{
		OrgConfig: okta.OrgConfig{
			Client: e.client, Deployment: cfg.Name, Groups: cfg.Groups(), Agents: cfg.AgentGroups(), App: cfg.Okta.App, API: cfg.APIMode(),
			HookURL: cmp.Or(e.c.HookURL, cfg.Okta.Hook.URL), HookHeader: cfg.Okta.Hook.Header,
		},
		Answering: e.status != nil,
	}
	if secrets := cfg.HookSecrets(); len(secrets) > 0 {
		look.HookSecret = secrets[0]
	}
	checks, release, err := okta.Checks(look)
	if err != nil {
		return broken(err)
	}
	e.release = append(e.release, release)
	return checks
}

// sites gives the checks of the instances.
func (e *Examination) sites(ctx context.Context) []doctor.Check {
	cfg := e.c.Config
	var checks []doctor.Check
	for _, c := range cfg.Instances() {
		settings := connectConfig(cfg, c)
		settings.Log, settings.Observe = e.log, func(call connect.Call) {
			e.calls.Add(1)
			if call.Throttled {
				e.throttled.Add(1)
			}
		}
		instance, err := connect.New(ctx, settings)
		possible := check("connect settings", func(context.Context) []doctor.Finding {
			if err != nil {
				return []doctor.Finding{doctor.Failure("%s", err)}
			}
			return nil
		})
		possible.About = c.Name
		checks = append(checks, possible)
		if err != nil {
			continue
		}
		room := new(connect.Room)
		e.instances, e.rooms = append(e.instances, instance), append(e.rooms, room)
		checks = append(checks, instance.Checks(wanted(cfg, c.Name), room)...)
	}
	return checks
}

// wanted tells what a configuration needs of an instance.
func wanted(cfg *config.Config, instance string) connect.Wanted {
	s := cfg.Settings()
	w := connect.Wanted{
		Attributes: map[string][]string{}, Waits: cfg.WaitForContacts > 0,
		Suspends: s.Policy == plan.Sync, Deletes: s.Policy == plan.Sync && s.Leavers.DeleteAfter > 0,
		Clock: func(ahead time.Duration) doctor.Finding { return okta.JudgeClock("AWS's", ahead) },
	}
	add := func(list *[]string, refs ...string) {
		for _, ref := range refs {
			if ref != "" && !slices.Contains(*list, ref) {
				*list = append(*list, ref)
			}
		}
	}
	fixed := func(list *[]string, t *plan.Template) { // what rules fill in shows in the plan
		if t != nil && len(t.Slots()) == 0 {
			add(list, t.Text())
		}
	}
	see := func(v plan.Values) {
		fixed(&w.RoutingProfiles, &v.RoutingProfile)
		fixed(&w.Hierarchy, v.Hierarchy)
		add(&w.SecurityProfiles, v.SecurityProfiles...)
		for _, skill := range v.Proficiencies {
			values := w.Attributes[skill.Attribute]
			fixed(&values, &skill.Value)
			w.Attributes[skill.Attribute] = values
		}
	}
	allowed := func(authority map[plan.Field]plan.Authority) {
		add(&w.RoutingProfiles, authority[plan.FieldRouting].Allowed...)
		add(&w.SecurityProfiles, authority[plan.FieldSecurity].Allowed...)
		add(&w.Hierarchy, authority[plan.FieldHierarchy].Allowed...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Personas)) {
		p := s.Personas[name]
		if p.Instance != instance {
			continue
		}
		see(p.Values)
		allowed(p.Authority)
		if w.Agent == nil && name != s.Leavers.SuspendAs[instance] && !p.Values.RoutingProfile.IsZero() && len(p.Values.RoutingProfile.Slots()) == 0 {
			w.Agent = &plan.Agent{RoutingProfile: p.Values.RoutingProfile.Text(), SecurityProfiles: p.Values.SecurityProfiles, Phone: plan.Phone{Type: plan.SoftPhone}}
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			see(*r.Set)
		}
	}
	if len(cfg.Instances()) == 1 {
		allowed(s.Authority)
	}
	return w
}

// unopenedError says why there is no app of our own to ask.
type unopenedError struct{ error }

func (e unopenedError) Unwrap() error { return e.error }

// ask asks the daemon, or an app of our own where there is none. Where that does not
// come about the error is an unopenedError.
func (e *Examination) ask(ctx context.Context, method, path string, body, into any) error {
	if e.status != nil {
		return e.c.Daemon(ctx, method, path, body, into)
	}
	if e.alone == nil {
		var err error
		if e.alone, err = e.c.Alone(ctx); err != nil {
			return unopenedError{err}
		}
	}
	return e.alone(ctx, method, path, body, into)
}
