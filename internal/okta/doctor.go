package okta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
)

// ClockTolerance is how far the clock of this machine may be off before that is
// told, and ClockLimit from when on it does harm: signed requests are refused at
// five minutes.
const (
	ClockTolerance = 30 * time.Second
	ClockLimit     = 4 * time.Minute
)

// CheckConfig says what Checks looks at.
type CheckConfig struct {
	// OrgConfig is as for an Org, but HookURL may be empty: the hook is then
	// recognized by its name, or by the paths at which deliveries are taken.
	OrgConfig

	// Answering says that there is a daemon that should answer at the address of
	// the hook.
	Answering bool
}

// Checks gives what can be looked at in an org. The checks share what they read,
// so they are to be run in their order. Nothing is ever written. The function
// that is given lets go of connections.
func Checks(config CheckConfig) ([]doctor.Check, func(), error) {
	config.fill()
	if err := config.check(); err != nil && config.HookURL != "" {
		return nil, nil, fmt.Errorf("configure the checks: %w", err)
	}
	if config.Client == nil {
		return nil, nil, errors.New("configure the checks: a client is missing")
	}
	v := &visitation{checkup: &checkup{job: &job{OrgConfig: config.OrgConfig, filter: true}}, config: config, release: func() {}}
	const reach, credential, role, groups, hook = "okta reachable", "okta credential", "okta role", "okta groups", "okta hook"
	check := func(name string, run func(context.Context), needs ...string) doctor.Check {
		c := doctor.Check{Name: name, Needs: needs, Within: time.Minute, Run: v.findings(run)}
		c.Hint = remedy.For(c.Code()).Do
		return c
	}
	clock := doctor.Check{Name: "clock", About: "okta", Needs: []string{reach}, Hint: remedy.For("clock").Do, Run: v.clock}
	checks := []doctor.Check{
		check(reach, v.reach),
		clock,
		check(credential, v.signIn, reach),
		check(role, v.sight, credential),
		check(groups, v.present, role),
	}
	if config.App != "" {
		checks = append(checks, check("okta app", v.application, groups))
	}
	checks = append(checks, check(hook, v.eventHook, credential, role))
	if config.Answering {
		checks = append(checks, check("hook endpoint", v.endpoint, hook))
	}
	checks = append(checks, check("okta rate", v.rate, credential))
	return checks, func() { v.release() }, nil
}

// visitation is a checkup in single steps.
type visitation struct {
	*checkup
	config  CheckConfig
	release func()
	address string // that the hook calls
}

// findings makes a step a check: what it adds to the health is what was found.
func (v *visitation) findings(step func(context.Context)) func(context.Context) []doctor.Finding {
	return func(ctx context.Context) []doctor.Finding {
		v.health.Checks = nil
		step(ctx)
		var out []doctor.Finding
		for _, c := range v.health.Checks {
			f := doctor.Finding{State: doctor.OK, Seen: c.Text}
			switch c.State {
			case HealthWarning:
				f.State = doctor.Warn
			case HealthFault:
				f.State = doctor.Fail
			case HealthOK:
			}
			if f.Code = c.code; c.Name == "deliveries" {
				f.Code = "okta_deliveries"
			}
			if f.Code != "" {
				f.Do = remedy.For(f.Code).Do
			}
			if f.State == doctor.OK {
				f.Do = ""
			}
			out = append(out, f)
		}
		return out
	}
}

// reach asks for what takes no credential: any answer of an API will do.
func (v *visitation) reach(ctx context.Context) {
	var org struct {
		ID string `json:"id"`
	}
	c := v.Client
	err := c.object(ctx, apiCall{
		what: "read the id of the org", class: classOther, url: c.org.JoinPath(".well-known", "okta-organization"), patience: patient, public: true,
	}, &org)
	var answer *APIError
	switch {
	case err == nil && oktaID(org.ID):
		v.add(HealthOK, "", "%s is the org %s", c.org, org.ID)
	case errors.As(err, &answer) && slices.Contains(untold, answer.Status):
		v.add(HealthOK, "", "%s answers, and does not tell the id of the org", c.org)
	case err == nil:
		v.add(HealthFault, "", "%s does not answer as an Okta org does", c.org)
	default:
		v.add(HealthFault, "", "%s: %s", c.org, err)
	}
}

// clock compares this machine's clock with Okta's.
func (v *visitation) clock(context.Context) []doctor.Finding {
	ahead, known := v.Client.clock.offset()
	if !known {
		return []doctor.Finding{doctor.Warning("Okta's answers do not say what time it is")}
	}
	return []doctor.Finding{JudgeClock("Okta's", -ahead)}
}

// JudgeClock judges by how much the clock of this machine is ahead of another one.
func JudgeClock(whose string, ahead time.Duration) doctor.Finding {
	off, way := ahead.Abs().Round(time.Second), "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	switch {
	case ahead.Abs() >= ClockLimit:
		return doctor.Failure("this machine's clock is %s %s %s", off, way, whose)
	case ahead.Abs() >= ClockTolerance:
		return doctor.Warning("this machine's clock is %s %s %s", off, way, whose)
	}
	return doctor.Okay("this machine's clock agrees with %s", whose)
}

// signIn signs in; the client is used until release.
func (v *visitation) signIn(ctx context.Context) {
	v.release, _ = v.credential(ctx)
	if len(v.health.Checks) == 0 || v.health.Checks[0].State == HealthFault {
		return
	}
	// An API token is not used before something is asked for.
	if _, err := v.Client.page(ctx, apiCall{
		what: "sign in", class: classGroups, url: v.Client.path(url.Values{"limit": {"1"}}, "groups"), patience: patient,
	}); denied(err) {
		v.health.Checks = nil
		v.add(HealthFault, "", "%s", err)
	}
}

// denied reports whether Okta refuses the credential as such.
func denied(err error) bool {
	var answer *APIError
	var marked *deniedError
	return errors.As(err, &marked) || errors.As(err, &answer) && answer.Status == http.StatusUnauthorized
}

// application looks whether the groups that make agents are assigned to the app.
func (v *visitation) application(ctx context.Context) {
	v.assigned(ctx)
	if len(v.health.Checks) == 0 {
		v.add(HealthOK, "", "%q exists, and no group that makes agents does", v.App)
	}
}

// eventHook looks at the hook. A credential that may not see hooks is told apart
// from a hook that is not there.
func (v *visitation) eventHook(ctx context.Context) {
	hooks, err := v.hooks(ctx)
	if lacksRight(err) {
		v.add(HealthWarning, "", "the credential may not see event hooks, so nobody knows whether they work: %s", err)
		v.address = v.HookURL // then that of the configuration is asked
		return
	}
	v.report.Steps = nil
	v.hook(ctx)
	if h, err := v.findHook(ctx); err == nil && len(hooks) > 0 {
		v.address = h.Channel.Config.URI
	}
}

// endpoint asks at the address of the hook, as Okta does to verify it.
func (v *visitation) endpoint(ctx context.Context) {
	switch {
	case v.address == "" || v.HookSecret == "":
		v.add(HealthOK, "", "not asked: the address of the hook is not known")
		return
	case checkHookURL(v.address, v.Client.config.AllowLoopback) != nil:
		v.add(HealthWarning, "", "not asked: the hook calls no address that Okta can reach")
		return
	}
	err := v.probe(ctx, v.address, v.HookHeader, v.HookSecret)
	switch {
	case err == nil:
		v.add(HealthOK, "", "%s answers, and accepts the secret of the configuration", v.address)
	case errors.Is(err, errRefused):
		v.add(HealthFault, "", "%s: %s", v.address, err)
	default:
		v.add(HealthWarning, "", "%s, asked from this machine: %s", v.address, err)
	}
}

// rate tells what Okta's answers said of its rate limits.
func (v *visitation) rate(context.Context) {
	v.health.Limits = nil
	v.limits()
	if len(v.health.Checks) > 0 {
		return
	}
	if len(v.health.Limits) == 0 {
		v.add(HealthOK, "", "Okta's answers tell of no rate limits")
		return
	}
	tightest := slices.MinFunc(v.health.Limits, func(a, b RateLimit) int {
		return a.Remaining*b.Limit - b.Remaining*a.Limit
	})
	v.add(HealthOK, "", "least is left of %s: %d of %d calls a minute", tightest.Class, tightest.Remaining, tightest.Limit)
}
