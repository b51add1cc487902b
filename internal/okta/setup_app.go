package okta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"connectroster/internal/remedy"
)

// roleAttribute is an attribute of an app's users and groups that holds a role.
type roleAttribute struct {
	name   string
	many   bool     // it holds a list
	values []string // that are allowed; none: not told
}

// appSchema is what is looked at of an app's user schema. Source: Okta Management
// API, UserSchema.
type appSchema struct {
	Definitions map[string]struct {
		Properties map[string]schemaAttribute `json:"properties"`
	} `json:"definitions"`
}

type schemaAttribute struct {
	Title string          `json:"title"`
	Type  string          `json:"type"`
	Enum  []any           `json:"enum"`
	OneOf []schemaValue   `json:"oneOf"`
	Items schemaItemTypes `json:"items"`
}

type schemaItemTypes struct {
	Enum  []any         `json:"enum"`
	OneOf []schemaValue `json:"oneOf"`
}

type schemaValue struct {
	Const string `json:"const"`
}

// roles gives the attributes that hold roles, by name. Okta's app for AWS has two:
// one with a single role, and one with those that SAML sends. Their names are not
// documented, so they are recognized by the word.
func (s appSchema) roles() []roleAttribute {
	var out []roleAttribute
	for _, definition := range s.Definitions {
		for name, a := range definition.Properties {
			if !strings.Contains(strings.ToLower(name+" "+a.Title), "role") {
				continue
			}
			switch a.Type {
			case "string":
				out = append(out, roleAttribute{name: name, values: allowed(a.Enum, a.OneOf)})
			case "array":
				out = append(out, roleAttribute{name: name, many: true, values: allowed(a.Items.Enum, a.Items.OneOf)})
			}
		}
	}
	slices.SortFunc(out, func(a, b roleAttribute) int { return strings.Compare(a.name, b.name) })
	return out
}

// allowed gives the values of an attribute, in their order.
func allowed(enum []any, titled []schemaValue) []string {
	var out []string
	for _, v := range enum {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	for _, v := range titled {
		if v.Const != "" && !slices.Contains(out, v.Const) {
			out = append(out, v.Const)
		}
	}
	return out
}

// appAssignment is the assignment of a group to an app.
type appAssignment struct {
	Profile map[string]any `json:"profile"`
}

// held gives the roles that a profile holds.
func (a roleAttribute) held(profile map[string]any) []string {
	var out []string
	values, _ := profile[a.name].([]any)
	for _, v := range append(values, profile[a.name]) {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}

// assignments is what is to be done about the app.
type assignments struct {
	roles   []roleAttribute
	role    string                   // empty: none is needed
	present map[string]appAssignment // by group id
	why     string                   // the role cannot be told, so that nobody is assigned
	unseen  error                    // the credential may not see which roles the app has
}

// planAssignments finds the app and chooses the role. It reports whether there is
// an app that groups can be assigned to.
func (j *job) planAssignments(ctx context.Context, groupsSeen bool) (a assignments, ok bool, err error) {
	if j.App == "" {
		j.report.add(StepUnchanged, stepApp, "no app is named, so the groups are not assigned to one: people can sign in only if they are by other means")
		return a, false, nil
	}
	if !groupsSeen {
		j.report.manual(stepApp, "the groups are not known, so that they cannot be assigned", byHandApp)
		return a, false, nil
	}
	ok, err = j.see(ctx, stepApp, byHandApp, func(ctx context.Context) error {
		if a, err = j.readApp(ctx); err == nil {
			err = a.unseen
		}
		return err
	})
	if !ok || err != nil {
		return a, false, err
	}
	return a, true, j.chooseRole(&a)
}

// readApp reads the app, the roles it knows, and which groups have it. The roles take a
// scope of their own, which only who assigns groups needs.
func (j *job) readApp(ctx context.Context) (assignments, error) {
	a := assignments{present: map[string]appAssignment{}}
	app, err := j.findApp(ctx)
	if err != nil {
		return a, err
	}
	j.app = app
	var schema appSchema
	if err := j.Client.object(ctx, apiCall{
		what: "read the attributes of app " + app.ID, class: classOther, patience: patient,
		url: j.Client.path(nil, "meta", "schemas", "apps", app.ID, "default"),
	}, &schema); lacksRight(err) {
		a.unseen = err
	} else if err != nil {
		return a, err
	}
	a.roles = schema.roles()
	for _, g := range j.groups {
		var present appAssignment
		err := j.Client.object(ctx, apiCall{
			what: fmt.Sprintf("read the assignment of group %s to app %s", g.ID, app.ID), class: classOther, patience: patient,
			url: j.Client.path(nil, "apps", app.ID, "groups", g.ID),
		}, &present)
		switch {
		case err == nil:
			a.present[g.ID] = present
		case !missing(err):
			return a, err
		}
	}
	return a, nil
}

// findApp finds the app by its id or by its exact label.
func (j *job) findApp(ctx context.Context) (*oktaApp, error) {
	if isID(j.App, "0oa") {
		var app oktaApp
		err := j.Client.object(ctx, apiCall{
			what: "read app " + j.App, class: classApp, url: j.Client.path(nil, "apps", j.App), patience: patient,
		}, &app)
		switch {
		case missing(err):
			return nil, fmt.Errorf("okta has no app %s, or %w", j.App, errBlind)
		case err == nil && app.ID != j.App:
			return nil, fmt.Errorf("read app %s: %w", j.App, oddAnswer("another app"))
		}
		return &app, err
	}
	query := url.Values{"q": {j.App}, "limit": {strconv.Itoa(appPage)}}
	apps, err := list(ctx, j.Client, apiCall{
		what: "look the app up", class: classApps, url: j.Client.path(query, "apps"), patience: patient,
	}, func(a oktaApp) string { return a.ID }, nil)
	if err != nil {
		return nil, err
	}
	apps = slices.DeleteFunc(apps, func(a oktaApp) bool { return a.Label != j.App })
	switch len(apps) {
	case 0:
		return nil, fmt.Errorf("okta has no app labelled %q, or %w", j.App, errBlind)
	case 1:
		return &apps[0], nil
	}
	return nil, fmt.Errorf("okta has %d apps labelled %q: name it by its id", len(apps), j.App)
}

// chooseRole settles which role the groups get that have none.
func (j *job) chooseRole(a *assignments) error {
	var options []string
	free := false // an attribute takes any value
	for _, r := range a.roles {
		free = free || len(r.values) == 0
		for _, v := range r.values {
			if !slices.Contains(options, v) {
				options = append(options, v)
			}
		}
	}
	switch {
	case j.Role != "" && len(a.roles) == 0:
		return fmt.Errorf("app %q has no attribute for a role, so that it cannot be %q", j.App, j.Role)
	case j.Role != "" && len(options) > 0 && !slices.Contains(options, j.Role):
		return fmt.Errorf("app %q has no role %q; it has %q", j.App, j.Role, options)
	case j.Role != "":
		a.role = j.Role
	case len(a.roles) == 0 || j.allHaveRoles(*a):
	case len(options) == 1:
		a.role = options[0]
	case len(options) == 0 && free:
		a.why = "the app has an attribute for the role but knows of none: it learns them from AWS once its API integration is set up, or name one"
	case j.Ask == nil:
		a.why = fmt.Sprintf("the app has several roles, of which one must be named: %q", options)
	default:
		role, err := j.Ask(fmt.Sprintf("Which role do agents get in the app %q?", j.App), options)
		if err != nil {
			return fmt.Errorf("choose the role: %w", err)
		}
		if !slices.Contains(options, role) {
			return fmt.Errorf("app %q has no role %q; it has %q", j.App, role, options)
		}
		a.role = role
	}
	return nil
}

// allHaveRoles reports whether every group of agents has a role already.
func (j *job) allHaveRoles(a assignments) bool {
	return !slices.ContainsFunc(j.absent, func(name string) bool { return j.makesAgents("", name) }) &&
		!slices.ContainsFunc(j.groups, func(g oktaGroup) bool { return j.makesAgents(g.ID, g.Profile.Name) && !a.has(g.ID) })
}

// makesAgents reports whether the members of a group are to have agents.
func (j *job) makesAgents(id, name string) bool {
	return j.Agents == nil || new(patterns).configured(j.Agents, id, name)
}

// has reports whether a group is assigned as it should be.
func (a assignments) has(group string) bool {
	present, ok := a.present[group]
	if !ok || len(a.roles) == 0 {
		return ok
	}
	for _, r := range a.roles {
		held := r.held(present.Profile)
		if a.role == "" && len(held) > 0 || a.role != "" && slices.Contains(held, a.role) {
			return true
		}
	}
	return false
}

// assign assigns the groups of agents that are not.
func (j *job) assign(ctx context.Context, a assignments) error {
	with := ""
	if a.role != "" {
		with = fmt.Sprintf(" with the role %q", a.role)
	}
	for _, g := range j.groups {
		switch {
		case !j.makesAgents(g.ID, g.Profile.Name):
		case a.has(g.ID):
			j.report.add(StepUnchanged, stepApp, "%q is assigned to %q", g.Profile.Name, j.App)
		case a.why != "":
			j.report.manual(stepApp, a.why, byHandApp)
			return nil
		case j.DryRun:
			j.report.add(StepWould, stepApp, "assign %q to %q%s", g.Profile.Name, j.App, with)
		default:
			err := j.assignGroup(ctx, a, g.ID)
			if err != nil {
				return j.byHand(stepApp, byHandApp, err)
			}
			j.report.add(StepDone, stepApp, "%q assigned to %q%s", g.Profile.Name, j.App, with)
		}
	}
	for _, name := range j.absent {
		switch {
		case !j.DryRun, // created by now, or reported as what somebody has to do
			!j.makesAgents("", name):
		case a.why != "":
			j.report.manual(stepApp, a.why, byHandApp)
			return nil
		default:
			j.report.add(StepWould, stepApp, "assign %q to %q%s", name, j.App, with)
		}
	}
	return nil
}

// assignGroup assigns one group. What its assignment holds beside the role stays.
func (j *job) assignGroup(ctx context.Context, a assignments, group string) error {
	what := fmt.Sprintf("assign group %s to app %s", group, j.app.ID)
	content := map[string]any{}
	profile := maps.Clone(a.present[group].Profile)
	if profile == nil {
		profile = map[string]any{}
	}
	for _, r := range a.roles {
		held := r.held(profile)
		switch {
		case a.role == "" || len(r.values) > 0 && !slices.Contains(r.values, a.role):
		case r.many: // the app may let the group into other accounts too
			profile[r.name] = append(held, a.role)
		case len(held) == 0 || len(a.roles) == 1:
			profile[r.name] = a.role
		}
	}
	if len(profile) > 0 {
		content["profile"] = profile
	}
	body, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var answer appAssignment
	err = j.Client.object(ctx, apiCall{
		what: what, class: classOther, url: j.Client.path(nil, "apps", j.app.ID, "groups", group), patience: patient,
		method: http.MethodPut, body: body,
	}, &answer)
	var e *APIError
	if errors.As(err, &e) && e.Status == http.StatusBadRequest {
		// Okta has answered, so nothing stands between.
		return remedy.Mark("okta_app", fmt.Errorf("%w: the app does not take the role %q, or not this group", err, a.role))
	}
	return err
}
