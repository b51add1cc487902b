package okta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"connectroster/internal/reconcile"
)

// evidenceRows is how many of the newest records about somebody are looked at.
const evidenceRows = 200

// Evidence asks the System Log about somebody who seems to have left, and Okta
// about the group that made them an agent. See reconcile.Directory.
//
// A loss of membership is confirmed if the newest record about the person and the
// group is of a removal, and if of no other mapped group the newest one is of an
// addition: then the answer by which they seem to have left was wrong. Where the
// group is not known any mapped one will do. That Okta knows nobody of the id is
// confirmed if the newest record of the person's life cycle is of their deletion;
// then the group does not matter. Two records of the same time that say opposite
// things confirm nothing, and neither does their lack: Okta keeps them for 90
// days.
//
// It takes one call about somebody who is gone, and otherwise two; three if the
// group is gone, or if Okta does not say how many members it has.
func (d *Directory) Evidence(ctx context.Context, q reconcile.Question) (reconcile.Evidence, error) {
	if !oktaID(q.Person) {
		return reconcile.Evidence{}, reconcile.Terminal(errors.New("not the id of an okta user"))
	}
	var out reconcile.Evidence
	var err error
	if q.Gone {
		if out.Confirmed, err = d.deleted(ctx, q.Person); err != nil {
			return reconcile.Evidence{}, err
		}
		return out, nil
	}
	group := q.Group
	if !oktaID(group) {
		group = "" // somebody wrote over the tag
	}
	if out.Confirmed, out.Joined, err = d.removed(ctx, q.Person, group); err != nil {
		return reconcile.Evidence{}, err
	}
	if group == "" {
		return out, nil
	}
	if out.Cliff, out.GroupName, err = d.cliff(ctx, group); err != nil {
		return reconcile.Evidence{}, err
	}
	return out, nil
}

// lifeCycle begins the types of the events of a user's life cycle.
const lifeCycle = "user.lifecycle."

// deleted reports whether the newest record of a user's life cycle is of their
// deletion. Deactivation is something else: such a user can still be read.
func (d *Directory) deleted(ctx context.Context, id string) (bool, error) {
	records, err := d.records(ctx, id, "eventType sw "+quoted(lifeCycle))
	if err != nil {
		return false, err
	}
	var last newest
	for _, r := range records {
		last.take(r.Published, r.Type == "user.lifecycle.delete.initiated" || r.Type == "user.lifecycle.delete.completed")
	}
	return last.left(), nil
}

// removed reports whether the newest record about a user and a group is of a
// removal, and no other mapped group has taken them in; and when one has.
func (d *Directory) removed(ctx context.Context, id, group string) (yes bool, joined time.Time, err error) {
	records, err := d.records(ctx, id, "("+anyOf("eventType", []string{memberAdded, memberRemoved})+")")
	if err != nil {
		return false, joined, err
	}
	groups := map[string]newest{}
	for _, r := range records {
		for _, t := range r.Targets {
			if t.Type == "UserGroup" && oktaID(t.ID) && (t.ID == group || d.mapped(t.ID, t.DisplayName)) {
				last := groups[t.ID]
				last.take(r.Published, r.Type == memberRemoved)
				groups[t.ID] = last
			}
		}
	}
	for _, last := range groups {
		if !last.left() && last.at.After(joined) {
			joined = last.at
		}
	}
	_, known := groups[group]
	return joined.IsZero() && (known || group == "" && len(groups) > 0), joined, nil
}

// newest is what the newest records of something say. The log is not in order:
// neither of when things happened, nor within a millisecond.
type newest struct {
	at      time.Time
	in, out bool
}

func (n *newest) take(at time.Time, out bool) {
	if at.After(n.at) {
		*n = newest{at: at}
	}
	if at.Equal(n.at) {
		n.in, n.out = n.in || !out, n.out || out
	}
}

func (n *newest) left() bool { return n.out && !n.in }

// logRecord is an event that already lies back.
type logRecord struct {
	logEvent

	Published time.Time `json:"published"`
}

// records reads the newest records about a user that a filter meets and that
// tell of something that was done. Anything else among them makes it an error,
// as what is not understood may be the newest.
func (d *Directory) records(ctx context.Context, id, filter string) ([]logRecord, error) {
	what := "read the system log about user " + id
	// No end is given, as the clocks may differ. The start only spares Okta work.
	query := url.Values{
		"since":     {d.client.clock.time().Add(-logHistory).UTC().Format("2006-01-02T15:04:05.000Z")},
		"sortOrder": {"DESCENDING"},
		"limit":     {strconv.Itoa(evidenceRows)},
		"filter":    {"target.id eq " + quoted(id) + " and " + filter},
	}
	p, err := d.client.page(ctx, apiCall{what: what, class: classLogs, url: d.client.path(query, "logs"), patience: brief, yields: true})
	if err != nil {
		return nil, err
	}
	var out []logRecord
	for _, raw := range p.rows {
		var r logRecord
		switch {
		case json.Unmarshal(raw, &r) != nil, r.Published.IsZero(), r.Outcome.Result == "":
			return nil, fmt.Errorf("%s: %w", what, oddAnswer("an event that cannot be read"))
		case !slices.ContainsFunc(r.Targets, func(t logTarget) bool { return strings.EqualFold(t.ID, id) }),
			r.Type != memberAdded && r.Type != memberRemoved && !strings.HasPrefix(r.Type, lifeCycle):
			return nil, fmt.Errorf("%s: %w", what, oddAnswer("an event that was not asked for"))
		}
		// A filter does not tell ids apart by case.
		about := slices.ContainsFunc(r.Targets, func(t logTarget) bool { return t.ID == id })
		if about && r.Outcome.Result == outcomeSuccess {
			out = append(out, r)
		}
	}
	return out, nil
}

// cliff tells, for people, if a group is gone, is named in a way that is not mapped,
// or has nobody in it; empty: none of these. It gives the name of the group, too, if it
// is there. The group Everyone is asked for as well, whose lack shows that Okta shows nothing.
func (d *Directory) cliff(ctx context.Context, id string) (cause, name string, err error) {
	what := "read group " + id
	query := url.Values{"filter": {anyOf("id", []string{id}) + " or " + everyone}, "expand": {"stats"}, "limit": {strconv.Itoa(groupPage)}}
	groups, err := list(ctx, d.client, apiCall{what: what, class: classGroups, url: d.client.path(query, "groups"), patience: brief},
		func(g oktaGroup) string { return g.ID }, nil)
	if err == nil {
		err = seesEveryone(groups)
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
	}
	if err != nil {
		return "", "", err
	}
	at := slices.IndexFunc(groups, func(g oktaGroup) bool { return g.ID == id })
	if at < 0 {
		_, err := d.client.group(ctx, id, brief)
		switch {
		case missing(err):
			return "group " + id + " was deleted in Okta", "", nil
		case err != nil:
			return "", "", err
		}
		return "", "", fmt.Errorf("%s: %w", what, oddAnswer("a list that lacks the group"))
	}
	name = groups[at].Profile.Name
	if !d.patterns.configured(d.refs(), id, name) {
		return fmt.Sprintf("group %s is not mapped any more: it is named %q in Okta", id, name), name, nil
	}
	empty, err := d.empty(ctx, groups[at])
	if err != nil || !empty {
		return "", name, err
	}
	return fmt.Sprintf("group %q (%s) has no members any more", name, id), name, nil
}

// empty reports whether a group has no members, as Okta counts them or, where it
// does not, as it lists them.
func (d *Directory) empty(ctx context.Context, g oktaGroup) (bool, error) {
	if count := g.Embedded.Stats.Users; count != nil {
		return *count == 0, nil
	}
	p, err := d.client.page(ctx, apiCall{
		what: "look for members of group " + g.ID, class: classOther,
		url: d.client.path(url.Values{"limit": {"1"}}, "groups", g.ID, "users"), patience: brief,
	})
	return err == nil && len(p.rows) == 0 && p.next == nil, err
}
