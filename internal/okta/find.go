package okta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"connectroster/internal/reconcile"
)

// Find gives the id of the user whom an id, a login or a username of the app
// means, in this order, whatever their case. See reconcile.Directory. An id is
// taken as it is, without a call.
func (d *Directory) Find(ctx context.Context, ref string) (string, error) {
	if isID(ref, "00u") {
		return ref, nil
	}
	id, err := d.byLogin(ctx, ref)
	if !errors.Is(err, reconcile.ErrNotFound) {
		return id, err
	}
	return d.byUsername(ctx, ref)
}

// Lengths of logins, in bytes. Source: Okta Management API, UserProfile: 5 to 100
// characters. Shorter words mean something else, such as me.
const (
	minLogin = 5
	maxLogin = 400
)

// byLogin finds a user by the login. Okta would also take the part before the @.
func (d *Directory) byLogin(ctx context.Context, login string) (string, error) {
	if len(login) < minLogin || len(login) > maxLogin || strings.Contains(login, "/") {
		return "", fmt.Errorf("find a user by login: %w", reconcile.ErrNotFound)
	}
	var user oktaUser
	err := d.client.object(ctx, apiCall{
		what: "find a user by login", class: classUser, url: d.client.path(nil, "users", login), patience: brief,
	}, &user)
	switch {
	case missing(err):
		return "", fmt.Errorf("%w: %w", reconcile.ErrNotFound, err)
	case err != nil:
		return "", err
	case !oktaID(user.ID):
		return "", fmt.Errorf("find a user by login: %w", oddAnswer("a user without an id"))
	}
	if has, err := user.text("login"); err != nil || !strings.EqualFold(has, login) && user.ID != login {
		return "", fmt.Errorf("find a user by login: %w", reconcile.ErrNotFound)
	}
	return user.ID, nil
}

// byUsername finds a user by the username of the app.
func (d *Directory) byUsername(ctx context.Context, username string) (string, error) {
	const what = "find a user by the username of the app"
	app, err := d.appID(ctx, brief)
	switch {
	case err != nil:
		return "", err
	case app == "" || username == "":
		return "", fmt.Errorf("%s: %w", what, reconcile.ErrNotFound)
	}
	query := url.Values{"q": {username}, "limit": {strconv.Itoa(appUserPage)}}
	users, err := list(ctx, d.client, apiCall{
		what: what, class: classOther, url: d.client.path(query, "apps", app, "users"), patience: brief,
	}, func(u oktaAppUser) string { return u.ID }, nil)
	if err != nil {
		return "", err
	}
	users = slices.DeleteFunc(users, func(u oktaAppUser) bool { return !strings.EqualFold(u.Credentials.UserName, username) })
	switch len(users) {
	case 0:
		return "", fmt.Errorf("%s: %w", what, reconcile.ErrNotFound)
	case 1:
		return users[0].ID, nil
	}
	return "", fmt.Errorf("%s: %d have it: name one by id, of %s and %s", what, len(users), users[0].ID, users[1].ID)
}

// Scope names the org by its id, the groups mapped by id or name by their ids,
// and the others by their regular expressions. See reconcile.Directory. It takes
// one call, and those that look names up, which People then need not make.
func (d *Directory) Scope(ctx context.Context) (string, error) {
	org, err := d.orgID(ctx)
	if err != nil {
		return "", err
	}
	ids, err := d.resolve(ctx)
	if err != nil {
		return "", err
	}
	var groups []string
	for _, ref := range d.refs() {
		if id, ok := ids[ref]; ok {
			groups = append(groups, id)
		} else {
			groups = append(groups, ref)
		}
	}
	slices.Sort(groups)
	return strings.Join(append([]string{org}, slices.Compact(groups)...), " "), nil
}

// untold are the answers that say that the id of the org is not told to us.
var untold = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone}

// orgID gives the id of the org, which takes no scope. Where it is not told, such
// as behind a proxy that lets nothing but the API through, the address must do.
// Source: Okta Management API, getWellknownOrgMetadata.
func (d *Directory) orgID(ctx context.Context) (string, error) {
	const what = "read the id of the org"
	var org struct {
		ID string `json:"id"`
	}
	c := d.client
	err := c.object(ctx, apiCall{
		what: what, class: classOther, url: c.org.JoinPath(".well-known", "okta-organization"), patience: patient, public: true,
	}, &org)
	var e *APIError
	switch {
	case errors.As(err, &e) && slices.Contains(untold, e.Status):
		d.mu.Lock()
		first := !d.untold
		d.untold = true
		d.mu.Unlock()
		if first {
			c.config.Log.WarnContext(ctx, "the org does not tell its id, so that its address stands for it", "org", c.org.String(), "error", err)
		}
		return c.org.String(), nil
	case err != nil:
		return "", err
	case !oktaID(org.ID):
		return "", fmt.Errorf("%s: %w", what, oddAnswer("an org without an id"))
	}
	return org.ID, nil
}
