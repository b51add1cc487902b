package okta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// OrgConfig says how an org is to be set up. Client, Deployment and HookURL are
// required.
type OrgConfig struct {
	Client *Client

	// Deployment names the hook where HookName is empty.
	Deployment string

	// Groups are the groups that decide, each by its Okta id or by its exact name, or
	// all whose name matches a regular expression between slashes. Setup creates
	// those that it finds under neither.
	Groups []string

	// Agents are those of Groups whose members are to have agents, named as there:
	// these are assigned to the app. What rules leave out is not, as it would let
	// people sign in who are to have no agent. Nil: all of them.
	Agents []string

	// App is the app by which people sign in to Amazon Connect, by its label or
	// its Okta id. Empty: there is nothing to assign.
	App string

	// Role is the role that the groups get in the app. Empty: that of the app if it
	// has one alone, else Ask decides.
	Role string

	// HookURL is where deliveries are to go, as Okta reaches it.
	HookURL string

	// HookName is the name of the event hook. Empty: connectroster (<deployment>).
	HookName string

	// HookHeader carries HookSecret, which is all of its value. Empty means
	// DefaultHookHeader.
	HookHeader string
	HookSecret string

	// API subscribes to all events that matter where Okta's API can be read too.
	// Otherwise these are the changes of memberships.
	API bool

	// Lent says that Client has the token of an administrator, and that connectroster
	// itself runs with a service app, of which a look at the token tells nothing.
	Lent bool

	// DryRun makes nothing but reading calls. What would be done is reported.
	DryRun bool

	// Ask lets somebody choose one of several options. Nil: nobody is there.
	Ask func(prompt string, options []string) (string, error)
}

// Org sets up and looks after what connectroster needs in an Okta org: groups,
// their assignment to an app, and an event hook. Everything it does can be done
// again and finds what is there already.
type Org struct {
	config OrgConfig
}

// NewOrg makes an Org. It makes no call.
func NewOrg(config OrgConfig) (*Org, error) {
	config.fill()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("configure the set-up: %w", err)
	}
	return &Org{config: config}, nil
}

func (c *OrgConfig) fill() {
	c.HookName = cmp.Or(c.HookName, "connectroster ("+c.Deployment+")")
	c.HookHeader = cmp.Or(c.HookHeader, DefaultHookHeader)
}

func (c *OrgConfig) check() error {
	switch {
	case c.Client == nil:
		return errors.New("a client is missing")
	case c.Deployment == "":
		return errors.New("the name of the deployment is missing")
	case utf8.RuneCountInString(c.HookName) > 255:
		return errors.New("the name of the hook is longer than 255 characters")
	case strings.ContainsFunc(c.HookHeader, notToken):
		return fmt.Errorf("%q cannot be the header of the secret", c.HookHeader)
	case slices.Contains(c.Groups, ""):
		return errors.New("a group has no name")
	}
	return checkHookURL(c.HookURL, c.Client.config.AllowLoopback)
}

// checkHookURL refuses what Okta would. Its errors do not repeat the URL, which
// may hold a password. Source: Okta, Event Hooks API, channel.
func checkHookURL(address string, loopback bool) error {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return errors.New("the address of the hook is missing")
	case err != nil, u.Hostname() == "", strings.ContainsFunc(address, notVisible):
		return errors.New("the address of the hook is not a URL such as https://roster.example.com/hooks/okta")
	case u.User != nil, u.Fragment != "":
		return errors.New("the address of the hook must hold neither a password nor a fragment")
	case len(address) > 1024:
		return errors.New("the address of the hook is longer than 1024 characters")
	case u.Scheme == "https":
		return nil
	}
	if local, err := checkHost(u.Hostname(), loopback); u.Scheme == "http" && local && err == nil {
		return nil
	}
	return errors.New("the address of the hook must begin with https://")
}

// StepState says what became of a step.
type StepState string

// States of steps.
const (
	StepDone      StepState = "done"
	StepUnchanged StepState = "unchanged"
	StepWould     StepState = "would do" // were it not a dry run
	StepManual    StepState = "manual"   // somebody with more rights or knowledge has to
	StepFailed    StepState = "failed"
)

// Step is one thing that was done, or was not.
type Step struct {
	Name   string    `json:"step"`
	State  StepState `json:"state"`
	Text   string    `json:"text"`
	ByHand string    `json:"byHand,omitempty"` // how somebody does it in Okta's console

	section string // of the manual, from which ByHand is made
}

// Names of steps.
const (
	stepCredential = "credential"
	stepGroup      = "group"
	stepApp        = "app"
	stepHook       = "event hook"
	stepVerify     = "verification"
)

// Report tells what was done, in order.
type Report struct {
	Steps []Step `json:"steps"`
}

// Complete reports whether nothing is left to somebody else, and nothing failed.
func (r Report) Complete() bool {
	return !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State == StepManual || s.State == StepFailed })
}

// Changes reports whether something was done, or would be.
func (r Report) Changes() bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State == StepDone || s.State == StepWould })
}

func (r *Report) add(state StepState, name, format string, args ...any) {
	r.Steps = append(r.Steps, Step{Name: name, State: state, Text: fmt.Sprintf(format, args...)})
}

// Further classes of endpoints that have a rate limit of their own.
const (
	classGroup = "groups/{id}"
	classUsers = "users"
)

// manual adds a step for somebody else, with the section of the manual about it.
func (r *Report) manual(name, text, section string) {
	r.Steps = append(r.Steps, Step{Name: name, State: StepManual, Text: text, section: section})
}

// job is a run of one of an Org's verbs.
type job struct {
	OrgConfig
	report Report
	groups []oktaGroup // those that are there, in the order of the configuration
	absent []string    // names of groups that are not there
	app    *oktaApp    // nil: none is known
	filter bool        // whether the org filters deliveries, as far as known
}

// Setup finds or creates the groups, assigns them to the app with their role, and
// makes the event hook what it should be. It reads and asks first, so that what
// is wrong with the configuration is found before anything is changed.
//
// Where the credential lacks a right, the step is reported as manual, with what
// to do in the console, and the others go on. An error means that Okta could not
// be asked, that the configuration does not fit the org, or that the hook cannot
// be verified; the report then tells what was done until then.
func (o *Org) Setup(ctx context.Context) (Report, error) {
	if o.config.HookSecret == "" || strings.ContainsFunc(o.config.HookSecret, notHeaderValue) {
		return Report{}, errors.New("the secret of the hook is missing, or cannot be the value of a header")
	}
	j := &job{OrgConfig: o.config, filter: true}
	err := j.with(ctx, setupScopes(), func() error { return j.setup(ctx) })
	return j.report, err
}

// notHeaderValue reports whether r cannot be in a header. Source: RFC 9110, 5.5.
func notHeaderValue(r rune) bool { return r < ' ' || r > '~' }

// with does something with a client that has as many of the scopes as it can get.
func (j *job) with(ctx context.Context, scopes []string, do func() error) error {
	client, lacking, err := j.Client.scoped(ctx, scopes)
	if err != nil {
		return err
	}
	if client != j.Client {
		defer client.Close()
		j.Client = client
	}
	if len(lacking) > 0 {
		j.report.manual(stepCredential, "the service app is not granted "+strings.Join(lacking, " "), byHandScopes)
	}
	err = do()
	j.finish()
	return err
}

// byHand reports a step that somebody else has to do, if err says that we may not.
// Any other error it gives back.
func (j *job) byHand(name, section string, err error) error {
	if err == nil || !lacksRight(err) {
		return err
	}
	j.report.manual(name, err.Error(), section)
	return nil
}

// finish puts the steps in the order of the manual, as some are known to be
// somebody else's before others are done, and fills in what is known by now.
func (j *job) finish() {
	order := []string{stepCredential, stepGroup, stepApp}
	rank := func(s Step) int {
		if i := slices.Index(order, s.Name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(j.report.Steps, func(a, b Step) int { return cmp.Compare(rank(a), rank(b)) })
	for i := range j.report.Steps {
		if s := &j.report.Steps[i]; s.section != "" {
			s.ByHand = j.explain(renumber(s.section))
		}
	}
}

func (j *job) setup(ctx context.Context) error {
	groupsSeen, err := j.see(ctx, stepGroup, byHandGroup, j.findGroups)
	if err != nil {
		return err
	}
	assign, appSeen, err := j.planAssignments(ctx, groupsSeen)
	if err != nil {
		return err
	}
	var found oktaHook
	hookSeen, err := j.see(ctx, stepHook, byHandHook+byHandFilter+byHandVerify, func(ctx context.Context) (err error) {
		found, err = j.findHook(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if groupsSeen {
		if err := j.createGroups(ctx); err != nil {
			return err
		}
	}
	if appSeen {
		if err := j.assign(ctx, assign); err != nil {
			return err
		}
	}
	if !hookSeen {
		return nil
	}
	return j.setupHook(ctx, found)
}

// see reads something, and reports whether the credential may.
func (j *job) see(ctx context.Context, name, section string, read func(context.Context) error) (bool, error) {
	err := read(ctx)
	seen := err == nil
	return seen, j.byHand(name, section, err)
}

// findGroups looks for the configured groups. Absent ones are no error where they
// are named, as they can be created; an id must exist.
func (j *job) findGroups(ctx context.Context) error {
	for _, ref := range j.Groups {
		if isPattern(ref) {
			groups, err := j.matching(ctx, ref)
			if err != nil {
				return err
			}
			if len(groups) == 0 {
				j.report.add(StepUnchanged, stepGroup, "no group matches %s yet", ref)
			}
			for _, g := range groups {
				if !slices.ContainsFunc(j.groups, func(k oktaGroup) bool { return k.ID == g.ID }) {
					j.groups = append(j.groups, g)
				}
			}
			continue
		}
		g, err := j.findGroup(ctx, ref)
		switch {
		case err != nil:
			return err
		case g != nil && !slices.ContainsFunc(j.groups, func(k oktaGroup) bool { return k.ID == g.ID }):
			j.groups = append(j.groups, *g)
		case g == nil && !slices.Contains(j.absent, ref):
			j.absent = append(j.absent, ref)
		}
	}
	if len(j.absent) > 0 && len(j.groups) == 0 {
		return j.seesGroups(ctx)
	}
	return nil
}

// matching gives the groups that a regular expression means now, by name.
func (j *job) matching(ctx context.Context, ref string) ([]oktaGroup, error) {
	re, err := new(patterns).compile(ref)
	if err != nil {
		return nil, err
	}
	groups, err := j.Client.groupsNamed(ctx, []*regexp.Regexp{re}, patient)
	slices.SortFunc(groups, func(a, b oktaGroup) int { return strings.Compare(a.Profile.Name, b.Profile.Name) })
	return groups, err
}

// findGroup gives a group; nil: there is none of that name.
//
// The search index may lag, in both directions: what it knows alone is read again
// by its id.
func (j *job) findGroup(ctx context.Context, ref string) (*oktaGroup, error) {
	if isID(ref, "00g") {
		g, err := j.Client.group(ctx, ref, patient)
		if missing(err) {
			return nil, fmt.Errorf("okta has no group %s, or %w", ref, errBlind)
		}
		return g, err
	}
	var found []oktaGroup
	for _, query := range []url.Values{{"q": {ref}}, {"search": {anyOf("profile.name", []string{ref})}, "limit": {strconv.Itoa(groupPage)}}} {
		rows, err := list(ctx, j.Client, apiCall{
			what: "look a group up by name", class: classGroups, url: j.Client.path(query, "groups"), patience: patient,
		}, func(g oktaGroup) string { return g.ID }, nil)
		if err != nil {
			return nil, err
		}
		for _, g := range rows {
			if g.Profile.Name == ref && !slices.ContainsFunc(found, func(k oktaGroup) bool { return k.ID == g.ID }) {
				found = append(found, g)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		g, err := j.Client.group(ctx, found[0].ID, patient)
		switch {
		case missing(err):
			return nil, nil
		case err == nil && g.Profile.Name != ref:
			return nil, nil
		}
		return g, err
	}
	ids := make([]string, len(found))
	for i, g := range found {
		ids[i] = g.ID
	}
	slices.Sort(ids)
	return nil, fmt.Errorf("okta has %d groups named %q: name one by its id, of %q", len(found), ref, ids)
}

// group reads a group by its id.
func (c *Client) group(ctx context.Context, id string, patience time.Duration) (*oktaGroup, error) {
	var g oktaGroup
	what := "read group " + id
	err := c.object(ctx, apiCall{
		what: what, class: classGroup, url: c.path(nil, "groups", id), patience: patience,
	}, &g)
	if err == nil && g.ID != id {
		err = fmt.Errorf("%s: %w", what, oddAnswer("another group"))
	}
	if err != nil {
		return nil, err
	}
	return &g, nil
}

// seesGroups gives an error if Okta shows no group at all: every org has the group
// Everyone, so that the others may be hidden too.
func (j *job) seesGroups(ctx context.Context) error {
	p, err := j.Client.page(ctx, apiCall{
		what: "look at the groups", class: classGroups, url: j.Client.path(url.Values{"limit": {"1"}}, "groups"), patience: patient,
	})
	if err == nil && len(p.rows) == 0 {
		return fmt.Errorf("okta shows not even the group Everyone: %w", errBlind)
	}
	return err
}

// createGroups reports the groups and creates those that are absent.
func (j *job) createGroups(ctx context.Context) error {
	for _, g := range j.groups {
		j.report.add(StepUnchanged, stepGroup, "%q exists (%s)", g.Profile.Name, g.ID)
	}
	for _, name := range j.absent {
		if j.DryRun {
			j.report.add(StepWould, stepGroup, "create %q", name)
			continue
		}
		g, err := j.createGroup(ctx, name)
		if err != nil {
			if err := j.byHand(stepGroup, byHandGroup, err); err != nil {
				return err
			}
			continue
		}
		j.groups = append(j.groups, *g)
		j.report.add(StepDone, stepGroup, "%q created (%s)", name, g.ID)
	}
	return nil
}

func (j *job) createGroup(ctx context.Context, name string) (*oktaGroup, error) {
	body, err := json.Marshal(map[string]any{"profile": map[string]any{
		"name": name, "description": "Agents of Amazon Connect, kept by connectroster (" + j.Deployment + ")"}})
	if err != nil {
		return nil, fmt.Errorf("create group %q: %w", name, err)
	}
	var g oktaGroup
	err = j.Client.object(ctx, apiCall{
		what: fmt.Sprintf("create group %q", name), class: classGroups, url: j.Client.path(nil, "groups"), patience: patient,
		method: http.MethodPost, body: body, once: true,
	}, &g)
	var e *APIError
	switch {
	case err == nil && !isID(g.ID, "00g"):
		return nil, fmt.Errorf("create group %q: %w", name, oddAnswer("no group"))
	case err == nil:
		return &g, nil
	case errors.As(err, &e) && e.Status == http.StatusBadRequest:
		return nil, fmt.Errorf("%w; there may be a group of that name in other letters, or one that %w", err, errHidden)
	case uncertain(err): // it may be there after all
		if g, again := j.findGroup(ctx, name); again == nil && g != nil {
			return g, nil
		}
	}
	return nil, err
}

var errHidden = errors.New("the credential does not see")
