package okta

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// DirectoryConfig says which part of an org matters. Client and Groups are
// required.
type DirectoryConfig struct {
	Client *Client

	// Groups gives the mapped groups, each by its Okta id or by its exact name, or
	// all whose name matches a regular expression between slashes. It is asked for
	// every read and must be safe for concurrent use.
	Groups func() []string

	// App is the app by which people sign in to Amazon Connect, by its label or
	// its Okta id: its usernames are those of the agents. Empty: a person's
	// username is the login. People whom the app is not assigned to, or not yet,
	// have no username: a guess would last, since Amazon Connect has no rename.
	App string
}

// Directory reads people from Okta's API. It is a reconcile.Directory.
//
// A person takes three calls, and everybody one for each 200 members of a mapped
// group and one for each 500 users of the app, besides a few for the groups
// themselves. A question about somebody who left takes one to three more. What can be told of an answer that is not complete makes it an
// error: a list with fewer members than Okta counts, a row twice, a person
// without the group Everyone, links that lead elsewhere or in circles, or an
// answer that may not be Okta's at all.
type Directory struct {
	config DirectoryConfig
	client *Client

	patterns patterns
	seen     seen

	mu      sync.Mutex
	ids     map[string]string // ids of the groups mapped by id or name, by what they are mapped by; never changed in place
	app     string            // id of the app that is configured by its label; empty: not known
	appSeen time.Time         // when the app was last seen to exist
	untold  bool              // the org did not tell its id, and the log says so
	barred  bool              // people may not be read, and the log says so
}

// NewDirectory makes a Directory. It makes no call.
func NewDirectory(config DirectoryConfig) (*Directory, error) {
	switch {
	case config.Client == nil:
		return nil, errors.New("configure the directory: a client is missing")
	case config.Groups == nil:
		return nil, errors.New("configure the directory: groups are missing")
	}
	return &Directory{config: config, client: config.Client}, nil
}

// NewHookDirectory makes a Directory for a hook alone, in a process without access to
// the API: it knows the groups and the app as the configuration names them, and what
// deliveries tell of them. Nobody can be read by it.
func NewHookDirectory(groups func() []string, app string) *Directory {
	return &Directory{config: DirectoryConfig{Groups: groups, App: app}}
}

// Person reads one person, with all their groups. See reconcile.Directory. While
// Okta is about to change the status it says to come back.
func (d *Directory) Person(ctx context.Context, id string) (plan.Person, error) {
	p, err := d.read(ctx, id)
	d.permitted(ctx, err)
	return p, err
}

// permitted has the log tell once that people may not be read, since everybody then
// waits, and once that they may again.
func (d *Directory) permitted(ctx context.Context, err error) {
	var answer *APIError
	barred := errors.Is(err, errBlind) || errors.As(err, &answer) && answer.Status == http.StatusForbidden
	if !barred && err != nil {
		return // which says nothing about it
	}
	d.mu.Lock()
	told := d.barred == barred
	d.barred = barred
	d.mu.Unlock()
	switch {
	case told:
	case barred:
		d.client.config.Log.ErrorContext(ctx, "okta does not permit us to read people; trying again every minute: check the scopes and the admin role of the credential", "error", err)
	default:
		d.client.config.Log.InfoContext(ctx, "okta permits us to read people again")
	}
}

func (d *Directory) read(ctx context.Context, id string) (plan.Person, error) {
	if !oktaID(id) {
		return plan.Person{}, reconcile.Terminal(errors.New("not the id of an okta user"))
	}
	var user oktaUser
	err := d.client.object(ctx, apiCall{
		what: "read user " + id, class: classUser, url: d.client.path(nil, "users", id), patience: brief,
	}, &user)
	switch {
	case missing(err):
		return plan.Person{}, fmt.Errorf("%w: %w", reconcile.ErrNotFound, err)
	case err != nil:
		return plan.Person{}, err
	case user.ID != id:
		return plan.Person{}, fmt.Errorf("read user %s: %w", id, oddAnswer("another user"))
	case user.Moving != "":
		return plan.Person{}, reconcile.After(transitionWait, fmt.Errorf("the status of user %s is about to change", id))
	}
	p, err := convertUser(user)
	if err != nil {
		return plan.Person{}, fmt.Errorf("read user %s: %w", id, err)
	}
	var username string
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) {
		p.Groups, err = d.groupsOf(ctx, id, p.Status)
		return err
	})
	reads.Go(func() (err error) {
		username, err = d.username(ctx, id)
		return err
	})
	if err := reads.Wait(); err != nil {
		return plan.Person{}, err
	}
	if d.config.App != "" {
		p.Username = username
	}
	if err := d.renamedAmong(p.Groups); err != nil {
		return plan.Person{}, reconcile.After(renamedWait, err)
	}
	return p, nil
}

// groupsOf reads the groups of a user. Everybody who is not deactivated is in
// Everyone, so that a list without it is not the whole: it is what a credential
// without the admin role gets, for one.
func (d *Directory) groupsOf(ctx context.Context, id string, status plan.Status) ([]plan.Group, error) {
	what := "read the groups of user " + id
	full := func(p page) error {
		if p.next != nil && len(p.rows) < p.limit {
			return oddAnswer("a page with a next one is not full")
		}
		return nil
	}
	groups, err := list(ctx, d.client, apiCall{
		what: what, class: classOther, url: d.client.path(nil, "users", id, "groups"), patience: brief,
	}, func(g oktaGroup) string { return g.ID }, full)
	if err != nil {
		return nil, err
	}
	everyone := status == plan.StatusDeprovisioned
	out := make([]plan.Group, 0, len(groups))
	for _, g := range groups {
		everyone = everyone || g.Type == typeBuiltIn
		out = append(out, convertGroup(g))
	}
	if !everyone {
		return nil, fmt.Errorf("%s: the list lacks the group Everyone, so more may be missing; "+
			"the credential's admin role may not show all groups", what)
	}
	return out, nil
}

// username gives the name by which the app knows a user; empty: it does not.
func (d *Directory) username(ctx context.Context, id string) (string, error) {
	app, err := d.appID(ctx, brief)
	if app == "" || err != nil {
		return "", err
	}
	var user oktaAppUser
	err = d.client.object(ctx, apiCall{
		what: "read the app username of user " + id, class: classOther,
		url: d.client.path(nil, "apps", app, "users", id), patience: brief,
	}, &user)
	switch {
	case missing(err):
		return "", d.appExists(ctx, app, brief)
	case err != nil:
		return "", err
	case user.ID != id:
		return "", fmt.Errorf("read the app username of user %s: %w", id, oddAnswer("another user"))
	}
	d.sawApp()
	return user.Credentials.UserName, nil
}

// People reads the members of the mapped groups, each person once, with those of
// the mapped groups that they are in. See reconcile.Directory. It begins to yield
// when everything is read.
func (d *Directory) People(ctx context.Context) iter.Seq2[plan.Person, error] {
	return func(yield func(plan.Person, error) bool) {
		people, err := d.everybody(ctx)
		if err != nil {
			yield(plan.Person{}, fmt.Errorf("read everybody: %w", err))
			return
		}
		for _, p := range people {
			if !yield(*p, nil) {
				return
			}
		}
	}
}

func (d *Directory) everybody(ctx context.Context) ([]*plan.Person, error) {
	groups, err := d.describe(ctx)
	if err != nil {
		return nil, err
	}
	var people []*plan.Person
	byID := map[string]*plan.Person{}
	for _, g := range groups {
		users, err := d.members(ctx, g)
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			p, err := convertUser(u)
			if err != nil {
				return nil, fmt.Errorf("read the members of group %s: %w", g.ID, err)
			}
			known := byID[u.ID]
			if known == nil {
				known = &plan.Person{}
				byID[u.ID] = known
				people = append(people, known)
			}
			p.Groups = slices.Concat(known.Groups, []plan.Group{convertGroup(g.oktaGroup)})
			*known = p // the newer of two readings
		}
	}
	return people, d.nameAll(ctx, people, byID)
}

// members reads the members of a group. Okta's own count, taken before, tells
// whether the list is whole; and taken again, whether somebody left meanwhile.
func (d *Directory) members(ctx context.Context, g described) ([]oktaUser, error) {
	what := "read the members of group " + g.ID
	if g.Embedded.Stats.Users == nil {
		return nil, fmt.Errorf("%s: %w", what, oddAnswer("okta does not say how many there are"))
	}
	query := url.Values{"limit": {strconv.Itoa(groupPage)}}
	users, err := list(ctx, d.client, apiCall{
		what: what, class: classOther, url: d.client.path(query, "groups", g.ID, "users"), patience: patient,
	}, func(u oktaUser) string { return u.ID }, nil)
	if err != nil {
		return nil, err
	}
	count := *g.Embedded.Stats.Users
	if len(users) >= count {
		return users, nil
	}
	again, err := d.groupsByID(ctx, []string{g.ID})
	if err != nil {
		return nil, err
	}
	if now := again[g.ID].Embedded.Stats.Users; now == nil || len(users) < min(count, *now) {
		return nil, fmt.Errorf("%s: the list is not complete: it has %d, and okta counts %d", what, len(users), count)
	}
	return users, nil
}

// spotChecks is how many of those whom the app's list lacks are asked for one by
// one: nobody counts the users of an app, but a list that is not whole lacks
// many.
const spotChecks = 5

// nameAll gives everybody the username of the app.
func (d *Directory) nameAll(ctx context.Context, people []*plan.Person, byID map[string]*plan.Person) error {
	if len(people) == 0 {
		return nil
	}
	app, err := d.appID(ctx, patient)
	if app == "" || err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(appUserPage)}}
	users, err := list(ctx, d.client, apiCall{
		what: "read the users of app " + app, class: classOther, url: d.client.path(query, "apps", app, "users"), patience: patient,
	}, func(u oktaAppUser) string { return u.ID }, nil)
	if err != nil {
		return err
	}
	for _, p := range people {
		p.Username = "" // until the app gives one; see DirectoryConfig.App
	}
	assigned := map[string]bool{}
	for _, u := range users {
		assigned[u.ID] = true
		if p := byID[u.ID]; p != nil {
			p.Username = u.Credentials.UserName
		}
	}
	var lacking []string
	for _, p := range people {
		if !assigned[p.ID] {
			lacking = append(lacking, p.ID)
		}
	}
	step := max(1, len(lacking)/spotChecks)
	for i := 0; i < len(lacking) && i/step < spotChecks; i += step {
		username, err := d.username(ctx, lacking[i])
		switch {
		case err != nil:
			return err
		case username != "":
			return fmt.Errorf("read the users of app %s: the list is not complete: it lacks user %s", app, lacking[i])
		}
	}
	return nil
}
