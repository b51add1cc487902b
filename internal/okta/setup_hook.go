package okta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// oktaHook is what is looked at of an event hook. Source: Okta Management API,
// EventHook. Okta never shows the secret.
type oktaHook struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Status   string `json:"status"`             // ACTIVE or INACTIVE
	Verified string `json:"verificationStatus"` // VERIFIED or UNVERIFIED
	Events   struct {
		Items  []string `json:"items"`
		Filter struct {
			Map []struct {
				Event     string `json:"event"`
				Condition struct {
					Expression string `json:"expression"`
				} `json:"condition"`
			} `json:"eventFilterMap"`
		} `json:"filter"`
	} `json:"events"`
	Channel struct {
		Config struct {
			URI        string `json:"uri"`
			AuthScheme struct {
				Key string `json:"key"`
			} `json:"authScheme"`
		} `json:"config"`
	} `json:"channel"`

	raw jsontext.Value // all of it
}

func (h *oktaHook) active() bool   { return h.Status == "ACTIVE" }
func (h *oktaHook) verified() bool { return h.Verified == "VERIFIED" }

// filters gives the expressions by event type.
func (h *oktaHook) filters() map[string]string {
	out := map[string]string{}
	for _, m := range h.Events.Filter.Map {
		out[m.Event] = m.Condition.Expression
	}
	return out
}

// hookContent is what matters of a hook beside its secret.
type hookContent struct {
	url, header string
	events      []string          // sorted
	filters     map[string]string // by event type
}

func (h *oktaHook) content() hookContent {
	return hookContent{
		url: h.Channel.Config.URI, header: h.Channel.Config.AuthScheme.Key,
		events: slices.Sorted(slices.Values(h.Events.Items)), filters: h.filters(),
	}
}

// differences names what is not as wanted.
func (c hookContent) differences(want hookContent) []string {
	var out []string
	if c.url != want.url {
		out = append(out, "address")
	}
	if !strings.EqualFold(c.header, want.header) {
		out = append(out, "header of the secret")
	}
	if !slices.Equal(c.events, want.events) {
		out = append(out, "events")
	}
	if !maps.Equal(c.filters, want.filters) {
		out = append(out, "filter")
	}
	return out
}

// neverDelivered reports whether an event type is in the System Log alone.
// Source: Okta, event types catalog, event-hook-eligible.
func neverDelivered(event string) bool {
	switch event {
	case "application.user_membership.change_username", "user.lifecycle.delete.completed",
		"user.account.update_primary_email", "user.account.update_user_type", "event_hook.delivery":
		return true
	}
	return false
}

// wanted gives what the hook should be. The filters name groups and the app by
// their ids, since they may be renamed, and hold each test of a thing in one
// projection: two could each be met by something else. Events of users name no
// group. As far as the ids are not known, the filters of has stay; but where a
// regular expression may come to mean more groups there must be none of groups.
// Source: Okta, Event hook filters.
func (j *job) wanted(has hookContent) hookContent {
	want := hookContent{url: j.HookURL, header: j.HookHeader, filters: map[string]string{}}
	types := hookTypes()
	if j.API {
		types = logTypes()
	}
	ids := make([]string, len(j.groups))
	for i, g := range j.groups {
		ids[i] = g.ID
	}
	if len(j.groups) == 0 || len(j.groups) < len(j.Groups) {
		ids = nil
	}
	for event, kind := range types {
		if neverDelivered(event) || kind.subject.applied() && j.App == "" {
			continue
		}
		want.events = append(want.events, event)
		switch {
		case !j.filter || kind.subject == ofUser || event == "group.lifecycle.create":
			continue
		case kind.subject.grouped() && j.open():
			continue
		case kind.subject.grouped() && ids != nil:
			want.filters[event] = projection("UserGroup", ids)
		case kind.subject == ofAssignment && j.app != nil:
			want.filters[event] = projection("AppInstance", []string{j.app.ID})
		case has.filters[event] != "":
			want.filters[event] = has.filters[event]
		}
	}
	slices.Sort(want.events)
	return want
}

// open reports whether groups that do not exist yet may come to be mapped.
func (j *job) open() bool { return slices.ContainsFunc(j.Groups, isPattern) }

// projection is a filter for events that name something of a kind and one of ids.
func projection(kind string, ids []string) string {
	terms := make([]string, len(ids))
	for i, id := range ids {
		terms[i] = fmt.Sprintf("type eq '%s' && id eq '%s'", kind, id)
	}
	return "event.target.?[" + strings.Join(terms, " || ") + "].size()>0"
}

// findHook gives our hook: the one of our name, or else one that calls our
// address; or a zero one.
func (j *job) findHook(ctx context.Context) (oktaHook, error) {
	hooks, err := j.hooks(ctx)
	if err != nil {
		return oktaHook{}, err
	}
	var named, calling []oktaHook
	for _, h := range hooks {
		switch {
		case h.Name == j.HookName:
			named = append(named, h)
		case j.HookURL == "" && callsUs(h.Channel.Config.URI), j.HookURL != "" && h.Channel.Config.URI == j.HookURL:
			calling = append(calling, h)
		}
	}
	ours := slices.Concat(named, calling)
	switch {
	case len(ours) == 0:
		return oktaHook{}, nil
	case len(named) > 1:
		return oktaHook{}, fmt.Errorf("okta has %d event hooks named %q: delete all but one of %q", len(named), j.HookName, hookIDs(named))
	case len(named) == 0 && len(calling) > 1 && j.HookURL == "":
		return oktaHook{}, fmt.Errorf("okta has %d event hooks that may be ours, %q, and none named %q: say which by the address that it calls", len(calling), hookIDs(calling), j.HookName)
	case len(named) == 0 && len(calling) > 1:
		return oktaHook{}, fmt.Errorf("okta has %d event hooks that call our address: delete all but one of %q", len(calling), hookIDs(calling))
	}
	if j.HookURL == "" && len(named) > 0 {
		ours = named // the others may well be those of other deployments
	}
	for _, h := range ours[1:] {
		j.report.add(StepManual, stepHook, "%q (%s) calls our address too, so that everything is delivered twice: delete it", h.Name, h.ID)
	}
	return ours[0], nil
}

// callsUs reports whether an address ends in one of the paths at which deliveries
// are taken.
func callsUs(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (strings.HasSuffix(u.Path, "/hooks/okta") || strings.HasSuffix(u.Path, "/create_user"))
}

func hookIDs(hooks []oktaHook) []string {
	ids := make([]string, len(hooks))
	for i, h := range hooks {
		ids[i] = h.ID
	}
	return ids
}

func (j *job) hooks(ctx context.Context) ([]oktaHook, error) {
	const what = "read the event hooks"
	var out []oktaHook
	for raw, err := range j.Client.rows(ctx, apiCall{
		what: what, class: classOther, url: j.Client.path(nil, "eventHooks"), patience: patient,
	}, nil) {
		if err != nil {
			return nil, err
		}
		h, err := parseHook(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		out = append(out, h)
	}
	return out, nil
}

func parseHook(raw jsontext.Value) (oktaHook, error) {
	h := oktaHook{raw: raw.Clone()}
	if json.Unmarshal(raw, &h) != nil || !isID(h.ID, "who") {
		return oktaHook{}, oddAnswer("an event hook that cannot be read")
	}
	return h, nil
}

// hookCall makes a call about a hook that answers with the hook.
func (j *job) hookCall(ctx context.Context, what, method string, body []byte, parts ...string) (oktaHook, error) {
	var raw jsontext.Value
	call := apiCall{
		what: what, class: classOther, url: j.Client.path(nil, append([]string{"eventHooks"}, parts...)...), patience: patient,
		method: method, body: body, once: len(parts) == 0,
	}
	if err := j.Client.object(ctx, call, &raw); err != nil {
		return oktaHook{}, err
	}
	h, err := parseHook(raw)
	if err != nil {
		return h, fmt.Errorf("%s: %w", what, err)
	}
	return h, nil
}

// setupHook makes the hook what it should be, and verifies it.
func (j *job) setupHook(ctx context.Context, h oktaHook) error {
	const name = stepHook
	written := true
	var err error
	switch {
	case h.ID == "" && j.DryRun:
		j.report.add(StepWould, name, "create %q to call %s%s", j.HookName, j.HookURL, j.aboutFilter(j.wanted(hookContent{})))
	case h.ID == "":
		h, err = j.createHook(ctx)
	default:
		h, written, err = j.updateHook(ctx, h)
	}
	if err != nil {
		return j.byHand(name, byHandHook+byHandFilter+byHandVerify, err)
	}
	if h.ID != "" && !h.active() {
		if h, err = j.activate(ctx, h); err != nil {
			return j.byHand(name, byHandVerify, err)
		}
	}
	if j.DryRun {
		if h.ID == "" || !h.verified() || written {
			j.report.add(StepWould, stepVerify, "let okta verify the hook")
		}
		return nil
	}
	return j.verifyHook(ctx, h, written)
}

// aboutFilter says which deliveries are let through.
func (j *job) aboutFilter(c hookContent) string {
	switch {
	case j.open() && j.filter:
		return ", without a filter for groups, since others may come to match a regular expression"
	case len(c.filters) > 0:
		return ", filtered by ids"
	case !j.filter:
		return ", without a filter: Event Hook Filtering is not enabled in this org (Settings > Features), so that its other groups are delivered too, and ignored"
	case j.DryRun && len(j.absent) > 0:
		return ", filtered by the ids of the groups"
	}
	return ", without a filter, since not all groups are known"
}

// createHook creates the hook: with a filter, and where the org has none without.
func (j *job) createHook(ctx context.Context) (oktaHook, error) {
	what := fmt.Sprintf("create event hook %q", j.HookName)
	h, err := j.filtering(hookContent{}, func(want hookContent) (oktaHook, error) {
		body, err := json.Marshal(map[string]any{
			"name":   j.HookName,
			"events": want.eventsBody(),
			"channel": map[string]any{"type": "HTTP", "version": "1.0.0", "config": map[string]any{
				"uri": want.url, "headers": []any{}, "authScheme": j.authScheme(j.HookSecret)}},
		})
		if err != nil {
			return oktaHook{}, fmt.Errorf("%s: %w", what, err)
		}
		return j.hookCall(ctx, what, http.MethodPost, body)
	})
	if err != nil && uncertain(err) { // it may be there after all
		if found, again := j.findHook(ctx); again == nil && found.ID != "" {
			h, err = found, nil
		}
	}
	if err != nil {
		return h, err
	}
	j.report.add(StepDone, stepHook, "%q created (%s) to call %s%s", h.Name, h.ID, j.HookURL, j.aboutFilter(h.content()))
	return h, nil
}

// updateHook changes the hook where it is not what it should be, and reports
// whether it was changed, or would be.
func (j *job) updateHook(ctx context.Context, h oktaHook) (oktaHook, bool, error) {
	has := h.content()
	different := has.differences(j.wanted(has))
	if len(different) == 0 {
		j.report.add(StepUnchanged, stepHook, "%q (%s) calls %s%s", h.Name, h.ID, j.HookURL, j.aboutFilter(has))
		return h, false, nil
	}
	if j.DryRun {
		j.report.add(StepWould, stepHook, "change of %q (%s): %s", h.Name, h.ID, strings.Join(different, ", "))
		return h, true, nil
	}
	if err := j.probeFirst(ctx, h); err != nil {
		return h, false, err
	}
	unchanged := false
	changed, err := j.filtering(has, func(want hookContent) (oktaHook, error) {
		if unchanged = len(has.differences(want)) == 0; unchanged {
			return h, nil
		}
		different = has.differences(want)
		return j.replace(ctx, h, want, j.HookSecret)
	})
	switch {
	case err != nil:
		return h, false, err
	case unchanged:
		j.report.add(StepUnchanged, stepHook, "%q (%s) calls %s%s", h.Name, h.ID, j.HookURL, j.aboutFilter(has))
	default:
		j.report.add(StepDone, stepHook, "%q (%s) changed: %s%s", h.Name, h.ID, strings.Join(different, ", "), j.aboutFilter(changed.content()))
	}
	return changed, !unchanged, nil
}

// probeFirst gives an error if a hook that works would not any more with the
// address and the secret that it is to get.
func (j *job) probeFirst(ctx context.Context, h oktaHook) error {
	if !h.active() || !h.verified() {
		return nil
	}
	err := j.probe(ctx, j.HookURL, j.HookHeader, j.HookSecret)
	if err != nil {
		j.report.add(StepFailed, stepHook, "%q (%s) works and is left as it is, since with our address and secret it would not: %s", h.Name, h.ID, err)
		return fmt.Errorf("change event hook %q (%s): %w", h.Name, h.ID, err)
	}
	return nil
}

// filtering writes a hook with its filters, and without them if Okta takes it so
// alone: then the org does not have the feature. Okta does not document how it
// refuses them.
func (j *job) filtering(has hookContent, write func(hookContent) (oktaHook, error)) (oktaHook, error) {
	want := j.wanted(has)
	h, err := write(want)
	var e *APIError
	refused := errors.As(err, &e) && (e.Status == http.StatusBadRequest || e.Code == codeFeature)
	if !refused || len(want.filters) == 0 {
		return h, err
	}
	j.filter = false
	h, second := write(j.wanted(has))
	if second != nil {
		j.filter = true
		return h, err
	}
	return h, nil
}

func (c hookContent) eventsBody() map[string]any {
	body := map[string]any{"type": "EVENT_TYPE", "items": c.events}
	if len(c.filters) == 0 {
		return body
	}
	var list []any
	for _, event := range slices.Sorted(maps.Keys(c.filters)) {
		list = append(list, map[string]any{"event": event, "condition": map[string]any{"expression": c.filters[event]}})
	}
	body["filter"] = map[string]any{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": list}
	return body
}

func (j *job) authScheme(secret string) map[string]any {
	return map[string]any{"type": "HEADER", "key": j.HookHeader, "value": secret}
}

// replace writes a hook anew, as Okta has no other way: what is not ours of it
// stays as it is. The secret must be sent along, since Okta would drop it.
func (j *job) replace(ctx context.Context, h oktaHook, want hookContent, secret string) (oktaHook, error) {
	what := fmt.Sprintf("change event hook %q (%s)", h.Name, h.ID)
	var body map[string]any
	if json.Unmarshal(h.raw, &body) != nil {
		return h, fmt.Errorf("%s: %w", what, oddAnswer("an event hook that cannot be read"))
	}
	for _, own := range []string{"id", "status", "verificationStatus", "created", "createdBy", "lastUpdated", "_links", "_embedded"} {
		delete(body, own) // Okta's to say
	}
	channel, _ := body["channel"].(map[string]any)
	config, _ := channel["config"].(map[string]any)
	if config == nil {
		return h, fmt.Errorf("%s: %w", what, oddAnswer("an event hook without a channel"))
	}
	delete(config, "method")
	config["uri"] = want.url
	scheme := j.authScheme(secret)
	scheme["key"] = want.header
	config["authScheme"] = scheme
	body["events"] = want.eventsBody()
	encoded, err := json.Marshal(body)
	if err != nil {
		return h, fmt.Errorf("%s: %w", what, err)
	}
	return j.hookCall(ctx, what, http.MethodPut, encoded, h.ID)
}

// activate switches a hook on.
func (j *job) activate(ctx context.Context, h oktaHook) (oktaHook, error) {
	if j.DryRun {
		j.report.add(StepWould, stepHook, "activate %q (%s)", h.Name, h.ID)
		return h, nil
	}
	h, err := j.hookCall(ctx, fmt.Sprintf("activate event hook %q (%s)", h.Name, h.ID), http.MethodPost, nil, h.ID, "lifecycle", "activate")
	if err == nil {
		j.report.add(StepDone, stepHook, "%q (%s) activated", h.Name, h.ID)
	}
	return h, err
}

// verifyHook lets Okta verify the hook, whatever its status says: it shows whether
// the secret that Okta sends is still accepted. Where a hook that seemed to be
// right fails it has another secret, and gets ours.
func (j *job) verifyHook(ctx context.Context, h oktaHook, written bool) error {
	const name = stepVerify
	was := h.verified() && !written
	err := j.verify(ctx, h)
	if failsVerification(err) && !written {
		if probe := j.probe(ctx, j.HookURL, j.HookHeader, j.HookSecret); probe != nil {
			return j.verificationFailed(h, err, probe)
		}
		if h, err = j.replace(ctx, h, h.content(), j.HookSecret); err == nil {
			was = false
			j.report.add(StepDone, stepHook, "%q (%s) got our secret: the one it had is not accepted any more", h.Name, h.ID)
			err = j.verify(ctx, h)
		}
	}
	switch {
	case err == nil && was:
		j.report.add(StepUnchanged, name, "okta reaches the address, and its secret is accepted")
	case err == nil:
		j.report.add(StepDone, name, "okta has verified the hook; it can take minutes until the first delivery")
	case failsVerification(err):
		return j.verificationFailed(h, err, j.probe(ctx, j.HookURL, j.HookHeader, j.HookSecret))
	default:
		return j.byHand(name, byHandVerify, err)
	}
	return nil
}

func (j *job) verify(ctx context.Context, h oktaHook) error {
	v, err := j.hookCall(ctx, "verify the event hook", http.MethodPost, nil, h.ID, "lifecycle", "verify")
	if err == nil && !v.verified() {
		return fmt.Errorf("verify the event hook: %w", oddAnswer("it is not verified"))
	}
	return err
}

// failsVerification reports whether Okta tried and did not get its answer.
func failsVerification(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == http.StatusBadRequest
}

// verificationFailed reports a hook that Okta cannot verify, with what a request
// of ours to the same address gave.
func (j *job) verificationFailed(h oktaHook, err, probe error) error {
	seen := "a request of ours is answered rightly there, so okta cannot reach the address: it must be open to the Internet, with a certificate that everybody trusts"
	if probe != nil {
		seen = probe.Error()
	}
	j.report.Steps = append(j.report.Steps, Step{Name: stepVerify, State: StepFailed, section: byHandVerify,
		Text: fmt.Sprintf("okta cannot verify %q (%s), so nothing is delivered: %s", h.Name, h.ID, seen)})
	return err
}
