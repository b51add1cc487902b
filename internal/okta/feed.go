package okta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"connectroster/internal/reconcile"
)

// TriggerLog is the trigger of requests from the System Log.
const TriggerLog reconcile.Trigger = "log"

// Bounds of the System Log. Source: Okta Management API, listLogEvents, and
// System Log query.
const (
	logPage    = 1000
	logHistory = 87 * 24 * time.Hour // Okta keeps events for 90 days; by whose clock, nobody says
	maxCursor  = 8 << 10             // bytes
)

// FeedConfig says what to read. Client and Directory are required.
type FeedConfig struct {
	Client *Client

	// Directory tells which groups and which app matter.
	Directory *Directory

	Log *slog.Logger // nil: no log
}

// Feed reads Okta's System Log. It is a reconcile.Feed.
//
// It asks for the event types that can matter alone, in the order in which Okta
// stored them, which is not that in which they happened. The cursor is the link
// that Okta gives, and is never put together here. Events of memberships count
// for the mapped groups and the configured app alone; events of users count for
// everybody, since the log does not say who is an agent.
type Feed struct {
	config FeedConfig
	types  map[string]logType
}

// NewFeed makes a Feed. It makes no call.
func NewFeed(config FeedConfig) (*Feed, error) {
	switch {
	case config.Client == nil:
		return nil, errors.New("configure the feed: a client is missing")
	case config.Directory == nil:
		return nil, errors.New("configure the feed: a directory is missing")
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &Feed{config: config, types: logTypes()}, nil
}

// subject is what an event of a certain type is about.
type subject int

const (
	ofUser       subject = iota // its user
	ofMembership                // its user, if one of its groups is mapped
	ofAssignment                // its user, if its app is the configured one
	ofGroup                     // everybody known in its groups that are mapped
	ofGroupApp                  // the same, if its app is the configured one
	ofHook                      // a delivery of a hook
)

type logType struct {
	subject  subject
	priority reconcile.Priority
}

// logTypes are the event types that can matter. Some of them never come by an
// event hook. Source: Okta, event types catalog.
func logTypes() map[string]logType {
	return map[string]logType{
		"group.user_membership.add":                   {ofMembership, reconcile.Joiner},
		"group.user_membership.remove":                {ofMembership, reconcile.Leaver},
		"application.user_membership.add":             {ofAssignment, reconcile.Joiner},
		"application.user_membership.remove":          {ofAssignment, reconcile.Leaver},
		"application.user_membership.update":          {ofAssignment, reconcile.Routine},
		"application.user_membership.change_username": {ofAssignment, reconcile.Routine},
		"user.lifecycle.create":                       {ofUser, reconcile.Joiner},
		"user.lifecycle.activate":                     {ofUser, reconcile.Joiner},
		"user.lifecycle.reactivate":                   {ofUser, reconcile.Joiner},
		"user.lifecycle.unsuspend":                    {ofUser, reconcile.Joiner},
		"user.lifecycle.suspend":                      {ofUser, reconcile.Leaver},
		"user.lifecycle.deactivate":                   {ofUser, reconcile.Leaver},
		"user.lifecycle.delete.initiated":             {ofUser, reconcile.Leaver},
		"user.lifecycle.delete.completed":             {ofUser, reconcile.Leaver},
		"user.account.update_profile":                 {ofUser, reconcile.Routine},
		"user.account.update_primary_email":           {ofUser, reconcile.Routine},
		"user.account.update_user_type":               {ofUser, reconcile.Routine},
		"group.lifecycle.create":                      {ofGroup, reconcile.Routine},
		"group.lifecycle.delete":                      {ofGroup, reconcile.Routine},
		"group.profile.update":                        {ofGroup, reconcile.Routine},
		"group.application_assignment.add":            {ofGroupApp, reconcile.Routine},
		"group.application_assignment.remove":         {ofGroupApp, reconcile.Routine},
		"group.application_assignment.update":         {ofGroupApp, reconcile.Routine},
		"event_hook.delivery":                         {ofHook, reconcile.Routine},
	}
}

// outcomeFailure is the result of a delivery that failed. Source: Okta Management
// API, LogOutcome.
const outcomeFailure = "FAILURE"

// logEvent is what is looked at of a LogEvent. Any value may be null.
type logEvent struct {
	UUID    string `json:"uuid"`
	Type    string `json:"eventType"`
	Outcome struct {
		Result string `json:"result"`
	} `json:"outcome"`
	Targets []logTarget `json:"target"`
}

type logTarget struct {
	ID          string `json:"id"`
	Type        string `json:"type"` // decides, since the order of targets does not
	AlternateID string `json:"alternateId"`
	DisplayName string `json:"displayName"`
}

// Events gives a page of the System Log. See reconcile.Feed.
func (f *Feed) Events(ctx context.Context, cursor string, since time.Time) (reconcile.Page, error) {
	const what = "read the system log"
	from, err := f.start(cursor, since)
	if err != nil {
		return reconcile.Page{}, fmt.Errorf("%s: %w", what, err)
	}
	// Names that cannot be resolved are compared as they are.
	if _, err := f.config.Directory.resolve(ctx); err != nil {
		f.config.Log.DebugContext(ctx, "groups are not resolved", "error", err)
	}
	p, err := f.config.Client.page(ctx, apiCall{what: what, class: classLogs, url: from, patience: patient})
	switch {
	case err != nil && cursor != "" && outdated(err):
		return reconcile.Page{}, fmt.Errorf("%w: %w", reconcile.ErrGap, err)
	case err != nil:
		return reconcile.Page{}, err
	case p.next == nil:
		return reconcile.Page{}, fmt.Errorf("%s: %w", what, oddAnswer("no next link"))
	case len(p.rows) > 0 && p.next.String() == from.String():
		return reconcile.Page{}, fmt.Errorf("%s: %w", what, oddAnswer("a next link to the same page"))
	}
	out := reconcile.Page{Next: p.next.String(), More: len(p.rows) > 0}
	fan := map[string]bool{}
	unreadable := 0
	for _, raw := range p.rows {
		if !f.read(raw, &out, fan) {
			unreadable++
		}
	}
	out.Fan = slices.Sorted(maps.Keys(fan))
	if unreadable > 0 {
		f.config.Log.WarnContext(ctx, "events of the system log skipped: they cannot be read", "events", unreadable)
	}
	return out, nil
}

// start gives the URL of a page: the cursor, or the first one.
func (f *Feed) start(cursor string, since time.Time) (*url.URL, error) {
	client := f.config.Client
	if client.config.Now().Sub(since) > logHistory {
		return nil, fmt.Errorf("okta keeps events for 90 days: %w", reconcile.ErrGap)
	}
	if cursor != "" {
		u, err := sameList(client.path(nil, "logs"), cursor)
		if err != nil || len(cursor) > maxCursor {
			return nil, fmt.Errorf("the cursor is not one of this org: %w", reconcile.ErrGap)
		}
		return u, nil
	}
	return client.path(url.Values{
		"since":     {since.UTC().Format("2006-01-02T15:04:05.000Z")},
		"sortOrder": {"ASCENDING"},
		"limit":     {strconv.Itoa(logPage)},
		"filter":    {anyOf("eventType", slices.Sorted(maps.Keys(f.types)))},
	}, "logs"), nil
}

// outdated reports whether Okta refuses a cursor as such.
func outdated(err error) bool {
	var e *APIError
	return errors.As(err, &e) && (e.Status == http.StatusBadRequest || e.Status == http.StatusGone)
}

// read adds what an event asks for to a page. It reports false for one that
// cannot be read, such as an event about a user without the user.
func (f *Feed) read(raw jsontext.Value, out *reconcile.Page, fan map[string]bool) bool {
	var e logEvent
	if json.Unmarshal(raw, &e) != nil {
		return false
	}
	kind, known := f.types[e.Type]
	switch {
	case !known:
		return e.Type != ""
	case kind.subject == ofHook:
		if e.Outcome.Result == outcomeFailure {
			out.Failed++
		}
		return true
	case e.Outcome.Result != outcomeSuccess, !f.matters(kind.subject, e):
		return true
	}
	if kind.subject == ofGroup || kind.subject == ofGroupApp {
		for _, t := range e.Targets {
			if f.isMapped(t) {
				fan[t.ID] = true
			}
		}
		return true
	}
	found := false
	for _, t := range e.Targets {
		if t.Type != "User" || !oktaID(t.ID) {
			continue
		}
		found = true
		request := reconcile.Request{Person: t.ID, Priority: kind.priority, Trigger: TriggerLog}
		if printable(e.UUID) {
			request.Event = e.UUID
		}
		out.Requests = append(out.Requests, request)
	}
	return found
}

// matters reports whether an event is about a group or an app that is ours.
func (f *Feed) matters(s subject, e logEvent) bool {
	switch s {
	case ofMembership, ofGroup:
		return slices.ContainsFunc(e.Targets, f.isMapped)
	case ofAssignment:
		return slices.ContainsFunc(e.Targets, f.isApp)
	case ofGroupApp:
		return slices.ContainsFunc(e.Targets, f.isMapped) && slices.ContainsFunc(e.Targets, f.isApp)
	default:
		return true
	}
}

func (f *Feed) isMapped(t logTarget) bool {
	return t.Type == "UserGroup" && oktaID(t.ID) && f.config.Directory.mapped(t.ID, t.DisplayName)
}

func (f *Feed) isApp(t logTarget) bool {
	if t.Type != "AppInstance" {
		return false
	}
	return f.config.Directory.isApp(t.ID, t.AlternateID, t.DisplayName)
}
