package okta

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"connectroster/internal/remedy"
)

// HealthState says how something is.
type HealthState string

// States of health.
const (
	HealthOK      HealthState = "ok"
	HealthWarning HealthState = "warning" // it works, but somebody should look
	HealthFault   HealthState = "fault"   // it does not work
)

// HealthCheck is one thing that was looked at.
type HealthCheck struct {
	Name  string      `json:"check"`
	State HealthState `json:"state"`
	Text  string      `json:"text"`

	code string // of an error that is none of those that the check looks for; empty: it is one
}

// RateLimit is what Okta last told about one class of endpoints.
type RateLimit struct {
	Class     string    `json:"class"`
	Limit     int       `json:"limit"`     // calls in a window of a minute, by everybody
	Remaining int       `json:"remaining"` // of them
	Reset     time.Time `json:"reset"`     // the end of the window
}

// Health is the state of an org as far as it concerns us.
type Health struct {
	Checks []HealthCheck `json:"checks"`
	Limits []RateLimit   `json:"limits"`
}

// Healthy reports whether nothing is at fault.
func (h Health) Healthy() bool {
	return !slices.ContainsFunc(h.Checks, func(c HealthCheck) bool { return c.State == HealthFault })
}

// failureSpan is how far back failed deliveries are looked for.
const failureSpan = 24 * time.Hour

// checkup is a run of Status.
type checkup struct {
	*job
	health Health
}

func (c *checkup) add(state HealthState, name, format string, args ...any) {
	c.health.Checks = append(c.health.Checks, HealthCheck{Name: name, State: state, Text: fmt.Sprintf(format, args...)})
}

// Status looks at the credential and what it shows, at the groups and their
// assignment to the app, at the hook, at deliveries that failed in the last 24
// hours, and at the rate limits. It changes nothing. What cannot be read is a
// fault with its reason; an error means that ctx is over.
func (o *Org) Status(ctx context.Context) (Health, error) {
	c := &checkup{job: &job{OrgConfig: o.config, filter: true}}
	release, ok := c.credential(ctx)
	defer release()
	if ok {
		c.sight(ctx)
		c.roster(ctx)
		c.hook(ctx)
		c.limits()
	}
	if ctx.Err() != nil {
		return c.health, fmt.Errorf("look at the org: %w", context.Cause(ctx))
	}
	return c.health, nil
}

// credential signs in with as many scopes as it can get.
func (c *checkup) credential(ctx context.Context) (release func(), ok bool) {
	const name = "credential"
	run := c.runScopes()
	client, lacking, err := c.Client.scoped(ctx, slices.Compact(slices.Sorted(slices.Values(append(run, setupScopes()...)))))
	if err != nil {
		c.add(HealthFault, name, "%s", err)
		return func() {}, false
	}
	original := c.Client
	c.Client = client
	release = func() {
		if client != original {
			client.Close()
		}
	}
	needed := slices.DeleteFunc(slices.Clone(lacking), func(s string) bool { return !slices.Contains(run, s) })
	switch _, oauth := client.auth.(*serviceApp); {
	case !oauth && c.Lent:
		c.add(HealthWarning, name, "an API token that was lent; whether the service app of okta.auth has the scopes and the role that it needs is not looked at")
	case !oauth:
		c.add(HealthOK, name, "an API token, which has all rights of the administrator who made it")
	case len(needed) > 0:
		c.add(HealthFault, name, "the service app is not granted %s", strings.Join(needed, " "))
	case len(lacking) > 0:
		c.add(HealthOK, name, "a service app with the scopes that it needs to run; setting up would take %s too", strings.Join(lacking, " "))
	default:
		c.add(HealthOK, name, "a service app with the scopes that it needs to run and to set up")
	}
	return release, true
}

// runScopes are those that the daemon needs.
func (c *checkup) runScopes() []string {
	switch {
	case !c.API:
		return nil
	case len(c.Client.config.Scopes) > 0:
		return slices.Clone(c.Client.config.Scopes)
	}
	return slices.Clone(defaultScopes)
}

// noRole are the codes of errors that no other role would mend.
var noRole = []string{"okta_unreachable", "okta_limited", "okta_unavailable", "okta_odd_answer"}

// sight tells a list that is empty from one that may not be seen: a credential
// without the admin role gets 200 and nothing. Every org has a group and a user.
func (c *checkup) sight(ctx context.Context) {
	const name = "admin role"
	seen, blind := []string{}, []string{}
	for _, list := range []struct{ path, class string }{{"groups", classGroups}, {"users", classUsers}, {"logs", classLogs}} {
		if list.path == "users" && !c.API {
			continue
		}
		query := url.Values{"limit": {"1"}}
		p, err := c.Client.page(ctx, apiCall{
			what: "look at the " + list.path, class: list.class, url: c.Client.path(query, list.path), patience: patient,
		})
		switch {
		case err != nil:
			c.add(HealthFault, name, "%s", err)
			if code := remedy.CodeOf(coded(err)); slices.Contains(noRole, code) {
				c.health.Checks[len(c.health.Checks)-1].code = code
			}
		case len(p.rows) == 0:
			blind = append(blind, list.path)
		default:
			seen = append(seen, list.path)
		}
	}
	if len(blind) > 0 {
		c.add(HealthFault, name, "okta answers with empty lists of %s, so the credential's admin role does not show them", strings.Join(blind, ", "))
	}
	if len(seen) > 0 {
		c.add(HealthOK, name, "it shows %s", strings.Join(seen, ", "))
	}
}

// roster looks at the groups, and whether they are assigned to the app.
func (c *checkup) roster(ctx context.Context) {
	c.present(ctx)
	c.assigned(ctx)
}

// present looks whether the groups are there.
func (c *checkup) present(ctx context.Context) {
	for _, ref := range c.Groups {
		if isPattern(ref) {
			c.matched(ctx, ref)
			continue
		}
		g, err := c.findGroup(ctx, ref)
		switch {
		case err != nil:
			c.add(HealthFault, stepGroup, "%s", err)
		case g == nil:
			c.add(HealthFault, stepGroup, "okta has no group named %q", ref)
		default:
			c.groups = append(c.groups, *g)
			c.add(HealthOK, stepGroup, "%q exists (%s)", g.Profile.Name, g.ID)
		}
	}
}

// assigned looks whether the groups of agents are assigned to the app.
func (c *checkup) assigned(ctx context.Context) {
	if c.App == "" {
		return
	}
	a, err := c.readApp(ctx)
	if err != nil {
		c.add(HealthFault, stepApp, "%s", err)
		return
	}
	a.role = c.Role
	for _, g := range c.groups {
		_, assigned := a.present[g.ID]
		switch {
		case assigned && a.unseen != nil:
			c.add(HealthOK, stepApp, "%q is assigned to %q; whether with a role is not looked at, which takes the scope okta.schemas.read", g.Profile.Name, c.App)
		case a.has(g.ID):
			c.add(HealthOK, stepApp, "%q is assigned to %q", g.Profile.Name, c.App)
		case !c.makesAgents(g.ID, g.Profile.Name):
		case assigned:
			c.add(HealthFault, stepApp, "%q is assigned to %q without its role, so its members cannot sign in", g.Profile.Name, c.App)
		default:
			c.add(HealthFault, stepApp, "%q is not assigned to %q, so its members cannot sign in", g.Profile.Name, c.App)
		}
	}
}

// matched looks at the groups that a regular expression means.
func (c *checkup) matched(ctx context.Context, ref string) {
	groups, err := c.matching(ctx, ref)
	switch {
	case err != nil:
		c.add(HealthFault, stepGroup, "%s", err)
	case len(groups) == 0:
		c.add(HealthWarning, stepGroup, "no group matches %s", ref)
	}
	for _, g := range groups {
		c.groups = append(c.groups, g)
		c.add(HealthOK, stepGroup, "%q matches %s (%s)", g.Profile.Name, ref, g.ID)
	}
}

// hook looks at the event hook and its deliveries.
func (c *checkup) hook(ctx context.Context) {
	const name = stepHook
	h, err := c.findHook(ctx)
	for _, s := range c.report.Steps {
		c.add(HealthWarning, s.Name, "%s", s.Text)
	}
	switch {
	case err != nil:
		c.add(HealthFault, name, "%s", err)
		return
	case h.ID == "":
		c.add(HealthFault, name, "okta has no event hook named %q, and none that calls our address", c.HookName)
		return
	}
	about := fmt.Sprintf("%q (%s)", h.Name, h.ID)
	has := h.content()
	if c.HookURL == "" || has.url == c.HookURL {
		c.add(HealthOK, name, "%s calls %s", about, has.url)
	} else {
		c.add(HealthFault, name, "%s calls another address than %s", about, c.HookURL)
	}
	switch {
	case !h.active():
		c.add(HealthFault, name, "%s is not active, so nothing is delivered", about)
	case !h.verified():
		c.add(HealthFault, name, "%s is active but not verified, so nothing is delivered", about)
	default:
		c.add(HealthOK, name, "%s is active and verified", about)
	}
	c.subscription(about, has)
	c.deliveries(ctx, h)
}

// subscription compares what the hook delivers with what it should.
func (c *checkup) subscription(about string, has hookContent) {
	const name = stepHook
	want := c.wanted(has)
	lacking := slices.DeleteFunc(slices.Clone(want.events), func(e string) bool { return slices.Contains(has.events, e) })
	switch {
	case len(lacking) > 0:
		c.add(HealthFault, name, "%s does not deliver %s", about, strings.Join(lacking, ", "))
	case !strings.EqualFold(has.header, want.header):
		c.add(HealthFault, name, "%s sends its secret not in the header %s", about, want.header)
	case len(has.filters) == 0 && len(want.filters) > 0:
		c.add(HealthWarning, name, "%s delivers the events of all groups, which are ignored here but count towards Okta's limit of 400,000 a day", about)
	case !maps.Equal(has.filters, want.filters) && c.byName(has, want):
		c.add(HealthWarning, name, "%s filters by the names of our groups and not by their ids, so a renamed group goes unheard", about)
	case !maps.Equal(has.filters, want.filters):
		c.add(HealthFault, name, "%s filters by something else than the ids of our groups", about)
	default:
		c.add(HealthOK, name, "%s delivers the events that matter", about)
	}
}

// byName reports whether the filters differ from the wanted ones only in that they
// call our groups by name.
func (c *checkup) byName(has, want hookContent) bool {
	for event, filter := range has.filters {
		if want.filters[event] == filter {
			continue
		}
		for _, g := range c.groups {
			if !strings.Contains(filter, "displayName eq '"+g.Profile.Name+"'") && !strings.Contains(filter, g.ID) {
				return false
			}
		}
	}
	return len(c.groups) > 0
}

// deliveries looks for failures of the hook in the System Log.
func (c *checkup) deliveries(ctx context.Context, h oktaHook) {
	const name = "deliveries"
	const most = 100
	now := c.Client.clock.time()
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	p, err := c.Client.page(ctx, apiCall{what: "read failed deliveries", class: classLogs, patience: patient, url: c.Client.path(url.Values{
		"since": {stamp(now.Add(-failureSpan))}, "until": {stamp(now.Add(time.Minute))}, "sortOrder": {"DESCENDING"}, "limit": {strconv.Itoa(most)},
		"filter": {anyOf("eventType", []string{"event_hook.delivery"}) + ` and outcome.result eq "` + outcomeFailure + `"`},
	}, "logs")})
	if err != nil {
		c.add(HealthFault, name, "%s", err)
		return
	}
	failed, last := 0, ""
	for _, raw := range p.rows {
		var e struct {
			Published time.Time `json:"published"`
			Outcome   struct {
				Reason string `json:"reason"`
			} `json:"outcome"`
			Targets []logTarget `json:"target"`
		}
		if json.Unmarshal(raw, &e) != nil || !slices.ContainsFunc(e.Targets, func(t logTarget) bool { return t.ID == h.ID }) {
			continue
		}
		if failed++; failed == 1 {
			last = fmt.Sprintf("the last at %s: %.200q", e.Published.UTC().Format(time.RFC3339), e.Outcome.Reason)
		}
	}
	switch {
	case failed == 0:
		c.add(HealthOK, name, "none failed in the last 24 hours")
	case len(p.rows) == most:
		c.add(HealthWarning, name, "%d and maybe more failed in the last 24 hours, %s", failed, last)
	default:
		c.add(HealthWarning, name, "%d failed in the last 24 hours, %s", failed, last)
	}
}

// limits takes over what the answers so far told.
func (c *checkup) limits() {
	b := c.Client.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, class := range slices.Sorted(maps.Keys(b.buckets)) {
		k := b.buckets[class]
		if k.limit == 0 {
			continue
		}
		c.health.Limits = append(c.health.Limits, RateLimit{Class: class, Limit: k.limit, Remaining: k.remaining, Reset: k.reset.UTC()})
		if k.remaining <= k.limit/10 {
			c.add(HealthWarning, "rate limit", "%s: %d of %d calls a minute are left, because of us or of others", class, k.remaining, k.limit)
		}
	}
}
