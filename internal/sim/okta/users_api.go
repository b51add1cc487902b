package okta

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

func (o *Org) userView(c *call, u *user) object {
	self := c.base + "/api/v1/users/" + u.id
	v := o.memberView(c, u)
	links := object{"self": href(self)}
	verb := func(name string) { links[name] = object{"href": self + "/lifecycle/" + name, "method": "POST"} }
	switch u.status {
	case "STAGED", "DEPROVISIONED":
		verb("activate")
	case "SUSPENDED":
		verb("unsuspend")
	case "LOCKED_OUT":
		verb("unlock")
	case "PROVISIONED", "RECOVERY":
		verb("reactivate")
	case "ACTIVE":
		verb("suspend")
	}
	if u.status != "DEPROVISIONED" {
		verb("deactivate")
	}
	v["_links"] = links
	return v
}

// memberView is a user as group member lists show it: the whole object with
// the self link alone.
func (o *Org) memberView(c *call, u *user) object {
	credentials := object{"provider": object{"type": "OKTA", "name": "OKTA"}}
	if !u.passwordChanged.IsZero() {
		credentials["password"] = object{}
	}
	v := object{
		"id": u.id, "status": u.status, "created": stamp(u.created), "activated": stampOrNull(u.activated),
		"statusChanged": stampOrNull(u.statusChanged), "lastLogin": nil, "lastUpdated": stamp(u.updated),
		"passwordChanged": stampOrNull(u.passwordChanged), "type": object{"id": "oty" + o.everyone.id[3:]},
		"profile": withPhones(u.profile), "credentials": credentials,
		"_links": object{"self": href(c.base + "/api/v1/users/" + u.id)},
	}
	if u.moving != "" {
		v["transitioningToStatus"] = u.moving
	}
	return v
}

// withPhones adds the two base attributes that Okta shows as null when unset;
// every other unset attribute is absent.
func withPhones(p map[string]any) map[string]any {
	q := object{"mobilePhone": nil, "secondEmail": nil}
	maps.Copy(q, p)
	return q
}

func userField(u *user, path string) ([]any, bool) {
	if name, ok := strings.CutPrefix(path, "profile."); ok {
		return values(u.profile[name]), true
	}
	switch path {
	case "id":
		return values(u.id), true
	case "status":
		return values(u.status), true
	case "created":
		return values(u.created), true
	case "activated":
		return values(u.activated), true
	case "statusChanged":
		return values(u.statusChanged), true
	case "lastUpdated":
		return values(u.updated), true
	}
	return nil, false
}

// userFilterable are the attributes that `filter` takes; `search` takes all.
var userFilterable = []string{"id", "status", "lastUpdated", "profile.login", "profile.email", "profile.firstName", "profile.lastName"}

// listUsers serves `search`, `filter`, `q` and the plain list, which leaves
// DEPROVISIONED users out.
func (o *Org) listUsers(c *call) (any, error) {
	q := c.r.URL.Query()
	keep := func(u *user) bool { return u.status != "DEPROVISIONED" }
	fallback := 200
	switch {
	case q.Get("search") != "":
		f, err := parseFilter(q.Get("search"), "E0000031", nil)
		if err != nil {
			return nil, err
		}
		keep = func(u *user) bool { return f.match(func(p string) ([]any, bool) { return userField(u, p) }) }
	case q.Get("filter") != "":
		f, err := parseFilter(q.Get("filter"), "E0000031", userFilterable)
		if err != nil {
			return nil, err
		}
		keep = func(u *user) bool { return f.match(func(p string) ([]any, bool) { return userField(u, p) }) }
	case q.Get("q") != "":
		fallback = 10
		want := fold(q.Get("q"))
		keep = func(u *user) bool {
			return u.status != "DEPROVISIONED" && slices.ContainsFunc([]string{"firstName", "lastName", "email", "login"},
				func(a string) bool { return strings.HasPrefix(fold(u.attr(a)), want) })
		}
	}
	return o.userPage(c, fallback, 200, keep, nil, o.userView)
}

// userPage answers with one page of users, of all or of the given ids.
func (o *Org) userPage(c *call, fallback, most int, keep func(*user) bool, ids *idset, view func(*call, *user) object) (any, error) {
	limit, err := c.limit(fallback, most)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	rows := o.users.all(after)
	switch {
	case ids != nil:
		rows = lookup(ids.after(after), o.users.rows)
	case c.r.URL.Query().Get("search") != "":
		rows = o.indexedUsers(after)
	}
	return paged(c, rows, limit, keep, func(u *user) string { return u.id }, func(u *user) any { return view(c, u) }), nil
}

func lookup[T any](ids iter.Seq[string], rows map[string]T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for id := range ids {
			if !yield(rows[id]) {
				return
			}
		}
	}
}

// onUser finds the user of the path and answers with what do returns.
func (o *Org) onUser(c *call, do func(*user) (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.findUser(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return do(u)
}

func (o *Org) getUser(c *call) (any, error) {
	return o.onUser(c, func(u *user) (any, error) {
		c.h.Set("ETag", fmt.Sprintf(`W/"%x"`, u.updated.UnixMilli()))
		return o.userView(c, u), nil
	})
}

type userBody struct {
	Profile     map[string]any `json:"profile"`
	Credentials struct {
		Password *struct {
			Value string `json:"value"`
		} `json:"password"`
	} `json:"credentials"`
	GroupIDs []string `json:"groupIds"`
}

func (b *userBody) check() error {
	for name, v := range b.Profile {
		if s, ok := v.(string); ok && strings.ContainsFunc(s, func(r rune) bool { return utf8.RuneLen(r) == 4 }) {
			return invalid(name, name+": characters of four UTF-8 bytes are not supported")
		}
	}
	return nil
}

func (o *Org) createUser(c *call) (any, error) {
	var b userBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var groups []*group
	for _, id := range b.GroupIDs {
		g := o.groups.rows[id]
		if g == nil {
			return nil, notFound(id, "UserGroup")
		}
		groups = append(groups, g)
	}
	profile := object{}
	maps.Copy(profile, b.Profile)
	maps.DeleteFunc(profile, func(_ string, v any) bool { return v == nil })
	password := b.Credentials.Password != nil && b.Credentials.Password.Value != ""
	status := "STAGED"
	switch {
	case c.r.URL.Query().Get("activate") == "false":
	case password:
		status = "ACTIVE"
	default:
		status = "PROVISIONED"
	}
	u, err := o.insert(c.cause(), profile, status, password)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		o.join(cause{}, u, g)
	}
	return o.userView(c, u), nil
}

// mergeUser is POST: attributes that are not named stay.
func (o *Org) mergeUser(c *call) (any, error) {
	return o.writeUser(c, func(u *user, profile map[string]any) map[string]any {
		next := maps.Clone(u.profile)
		maps.Copy(next, profile)
		return next
	})
}

// replaceUser is PUT: attributes that are not named are removed.
func (o *Org) replaceUser(c *call) (any, error) {
	return o.writeUser(c, func(_ *user, profile map[string]any) map[string]any {
		next := object{}
		maps.Copy(next, profile)
		return next
	})
}

func (o *Org) writeUser(c *call, next func(*user, map[string]any) map[string]any) (any, error) {
	var b userBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return o.onUser(c, func(u *user) (any, error) {
		if u.status == "DEPROVISIONED" {
			return nil, wrongStatus()
		}
		if err := o.setProfile(c.cause(), u, next(u, b.Profile)); err != nil {
			return nil, err
		}
		return o.userView(c, u), nil
	})
}

func (o *Org) deleteUser(c *call) (any, error) {
	return o.onUser(c, func(u *user) (any, error) { return nil, o.remove(c.cause(), u) })
}

// changeUser applies a lifecycle verb and answers {}.
func (o *Org) changeUser(c *call) (any, error) {
	verb := c.r.PathValue("verb")
	if _, ok := lifecycle[verb]; !ok {
		return nil, fail(http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
	}
	return o.onUser(c, func(u *user) (any, error) { return object{}, o.transition(c.cause(), u, verb) })
}

// listUserGroups pages at 200 and includes Everyone and imported groups.
func (o *Org) listUserGroups(c *call) (any, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	return o.onUser(c, func(u *user) (any, error) {
		rows := lookup(u.groups.after(after), o.groups.rows)
		return paged(c, rows, limit, all, func(g *group) string { return g.id }, func(g *group) any { return g.view(c) }), nil
	})
}
