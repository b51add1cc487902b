package okta

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// App is one app integration of the org.
type App struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Label  string   `json:"label"`
	Groups []string `json:"groups"` // names of assigned groups
	Users  int      `json:"users"`
	Roles  []string `json:"roles"` // values that role and samlRoles take
}

// NewApp describes an app to add.
type NewApp struct {
	Label  string   `json:"label"`  // such as "Amazon Connect"; amazon_aws without one is "AWS Account Federation"
	Name   string   `json:"name"`   // empty: amazon_aws
	Groups []string `json:"groups"` // ids or names of groups to assign
	// Roles are the AWS roles that the app downloaded: the values that its
	// attributes role and samlRoles take. Without any both take no value.
	Roles []string `json:"roles"`
}

type app struct {
	id, name, label  string
	created, updated time.Time
	roles            []string
	groups           table[*appGroup] // by group id
	users            table[*appUser]  // by user id
}

type appGroup struct {
	group    string
	priority int
	profile  map[string]any
	updated  time.Time
}

// appUser is a person's account at an app. userName is what SAML sends.
type appUser struct {
	id, user, userName string
	scope              string // USER or GROUP
	own                bool   // userName was set by hand and no longer follows the login
	profile            map[string]any
	created, updated   time.Time
}

func (a *app) target() target {
	return target{ID: a.id, Type: "AppInstance", AlternateID: a.label, DisplayName: a.label}
}

// targets are in the order that Okta shows: account, app, user.
func (o *Org) assignmentTargets(a *app, au *appUser) []target {
	u := o.users.rows[au.user]
	return []target{{ID: au.id, Type: "AppUser", AlternateID: au.userName, DisplayName: u.name()}, a.target(), u.target()}
}

// syncApps gives a user the app accounts that its groups entitle it to and
// takes those that nothing supports any more.
func (o *Org) syncApps(c cause, u *user) {
	for a := range o.apps.all("") {
		o.syncApp(c, a, u)
	}
}

func (o *Org) syncApp(c cause, a *app, u *user) {
	au := a.users.rows[u.id]
	entitled := false
	for id := range a.groups.rows {
		entitled = entitled || u.groups.has(id)
	}
	live := u.status != "DEPROVISIONED"
	switch {
	case au == nil && entitled && live:
		o.assign(c, a, u, "GROUP", "")
	case au != nil && (!live || au.scope == "GROUP" && !entitled):
		o.unassign(c, a, au)
	}
}

func (o *Org) assign(c cause, a *app, u *user, scope, userName string) *appUser {
	now := o.now()
	au := &appUser{id: o.mint.id("0ua"), user: u.id, userName: cmp.Or(userName, u.login()), scope: scope, own: userName != "",
		profile: object{}, created: now, updated: now}
	a.users.put(u.id, au)
	o.emit(cause{uri: "/api/v1/apps/" + a.id + "/users", job: c.job}, "application.user_membership.add", nil, o.assignmentTargets(a, au)...)
	return au
}

func (o *Org) unassign(c cause, a *app, au *appUser) {
	a.users.remove(au.user)
	o.emit(cause{uri: "/api/v1/apps/" + a.id + "/users/" + au.user, job: c.job}, "application.user_membership.remove", nil, o.assignmentTargets(a, au)...)
}

// renameAppUsers follows a changed login, as the template ${source.login} does.
func (o *Org) renameAppUsers(c cause, u *user) {
	for a := range o.apps.all("") {
		if au := a.users.rows[u.id]; au != nil && !au.own {
			o.setAppUserName(c, a, au, u.login())
		}
	}
}

func (o *Org) setAppUserName(c cause, a *app, au *appUser, userName string) {
	if au.userName == userName {
		return
	}
	au.userName, au.updated = userName, o.now()
	o.emit(cause{uri: "/api/v1/apps/" + a.id + "/users/" + au.user, job: c.job}, "application.user_membership.change_username", nil, o.assignmentTargets(a, au)...)
}

func (o *Org) assignToGroup(c cause, a *app, g *group, priority *int, profile map[string]any) *appGroup {
	ag, event := a.groups.rows[g.id], "group.application_assignment.update"
	if ag == nil {
		ag, event = &appGroup{group: g.id, priority: len(a.groups.rows)}, "group.application_assignment.add"
		a.groups.put(g.id, ag)
	}
	if priority != nil {
		for _, other := range a.groups.rows { // make room: the others move down
			if other != ag && other.priority >= *priority {
				other.priority++
			}
		}
		ag.priority = *priority
	}
	if profile != nil {
		ag.profile = profile
	}
	ag.updated = o.now()
	if c.uri == "" {
		c.uri = "/api/v1/apps/" + a.id + "/groups/" + g.id
	}
	o.emit(c, event, nil, g.target(), a.target())
	for _, id := range g.members {
		o.syncApp(c, a, o.users.rows[id])
	}
	return ag
}

func (o *Org) unassignFromGroup(c cause, a *app, g *group) {
	a.groups.remove(g.id)
	if c.uri == "" {
		c.uri = "/api/v1/apps/" + a.id + "/groups/" + g.id
	}
	o.emit(c, "group.application_assignment.remove", nil, g.target(), a.target())
	for _, id := range g.members {
		o.syncApp(c, a, o.users.rows[id])
	}
}

// AddApp creates an app, by default the AWS one, and assigns groups to it.
func (o *Org) AddApp(n NewApp) (App, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n.Name = cmp.Or(n.Name, awsApp)
	if n.Name == awsApp {
		n.Label = cmp.Or(n.Label, "AWS Account Federation")
	}
	if n.Label == "" {
		return App{}, invalid("label", "label: The field cannot be left blank")
	}
	var groups []*group
	for _, ref := range n.Groups {
		g, err := o.findGroup(ref)
		if err != nil {
			return App{}, err
		}
		groups = append(groups, g)
	}
	now := o.now()
	a := &app{id: o.mint.id("0oa"), name: n.Name, label: n.Label, created: now, updated: now, roles: slices.Clone(n.Roles),
		groups: newTable[*appGroup](), users: newTable[*appUser]()}
	o.apps.put(a.id, a)
	for _, g := range groups {
		o.assignToGroup(cause{}, a, g, nil, nil)
	}
	return o.exportApp(a), nil
}

// Apps returns all apps in order of creation.
func (o *Org) Apps() []App {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []App{}
	for a := range o.apps.all("") {
		out = append(out, o.exportApp(a))
	}
	return out
}

// AssignGroup assigns a group to an app, each named by id or by name or label.
func (o *Org) AssignGroup(appRef, groupRef string) error {
	return o.withApp(appRef, groupRef, func(a *app, g *group) { o.assignToGroup(cause{}, a, g, nil, nil) })
}

// UnassignGroup takes a group off an app; members who have the app through no
// other group lose it.
func (o *Org) UnassignGroup(appRef, groupRef string) error {
	return o.withApp(appRef, groupRef, func(a *app, g *group) {
		if a.groups.rows[g.id] != nil {
			o.unassignFromGroup(cause{}, a, g)
		}
	})
}

func (o *Org) withApp(appRef, groupRef string, do func(*app, *group)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.findGroup(groupRef)
	if err != nil {
		return err
	}
	a, err := o.findApp(appRef)
	if err != nil {
		return err
	}
	do(a, g)
	return nil
}

// findApp finds an app by id or by label.
func (o *Org) findApp(ref string) (*app, error) {
	for a := range o.apps.all("") {
		if a.id == ref || a.label == ref {
			return a, nil
		}
	}
	return nil, notFound(ref, "AppInstance")
}

func (o *Org) exportApp(a *app) App {
	names := []string{}
	for id := range a.groups.ids.after("") {
		names = append(names, o.groups.rows[id].name)
	}
	return App{a.id, a.name, a.label, names, len(a.users.ids), append([]string{}, a.roles...)}
}

func (a *app) view(c *call) object {
	self := c.base + "/api/v1/apps/" + a.id
	return object{
		"id": a.id, "name": a.name, "label": a.label, "status": "ACTIVE", "created": stamp(a.created), "lastUpdated": stamp(a.updated),
		"signOnMode": "SAML_2_0", "features": []string{}, "accessibility": object{"selfService": false, "errorRedirectUrl": nil, "loginRedirectUrl": nil},
		"visibility":  object{"autoSubmitToolbar": false, "hide": object{"iOS": false, "web": false}},
		"credentials": object{"userNameTemplate": object{"template": "${source.login}", "type": "BUILT_IN"}, "signing": object{}},
		"settings":    object{"app": object{"sessionDuration": 3600, "joinAllRoles": false}, "notifications": object{"vpn": object{"network": object{"connection": "DISABLED"}, "message": nil, "helpUrl": nil}}},
		"_links": object{"self": href(self), "users": href(self + "/users"), "groups": href(self + "/groups"),
			"deactivate": href(self+"/lifecycle/deactivate", "POST"), "logo": []object{}},
	}
}

func (o *Org) listApps(c *call) (any, error) {
	q := c.r.URL.Query()
	keep := all[*app]
	if expr := q.Get("filter"); expr != "" {
		f, err := parseFilter(expr, "E0000053", []string{"id", "status", "name", "label", "user.id", "group.id"})
		if err != nil {
			return nil, err
		}
		keep = func(a *app) bool {
			return f.match(func(p string) ([]any, bool) {
				field := map[string][]any{"id": values(a.id), "status": values("ACTIVE"), "name": values(a.name), "label": values(a.label),
					"user.id": values(a.users.ids), "group.id": values(a.groups.ids)}
				v, ok := field[p]
				return v, ok
			})
		}
	}
	prefix := fold(q.Get("q"))
	limit, err := c.limit(20, 200)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	matches := func(a *app) bool {
		return keep(a) && (strings.HasPrefix(fold(a.name), prefix) || strings.HasPrefix(fold(a.label), prefix))
	}
	return paged(c, o.apps.all(after), limit, matches, func(a *app) string { return a.id }, func(a *app) any { return a.view(c) }), nil
}

func (o *Org) onApp(c *call, do func(*app) (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.apps.rows[c.r.PathValue("id")]
	if a == nil {
		return nil, notFound(c.r.PathValue("id"), "AppInstance")
	}
	return do(a)
}

func (o *Org) getApp(c *call) (any, error) {
	return o.onApp(c, func(a *app) (any, error) { return a.view(c), nil })
}

// appUserView is an assignment. Its id is the user's id; the account's own id
// appears in events alone.
func (o *Org) appUserView(c *call, a *app, au *appUser) object {
	u := o.users.rows[au.user]
	return object{
		"id": au.user, "externalId": nil, "created": stamp(au.created), "lastUpdated": stamp(au.updated), "scope": au.scope,
		"status": "ACTIVE", "statusChanged": stamp(au.created), "passwordChanged": nil, "syncState": "DISABLED",
		"credentials": object{"userName": au.userName}, "profile": o.appProfile(a, u, au),
		"_links": object{"app": href(c.base + "/api/v1/apps/" + a.id), "user": href(c.base + "/api/v1/users/" + au.user)},
	}
}

func (o *Org) listAppUsers(c *call) (any, error) {
	limit, err := c.limit(50, 500)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	prefix := fold(c.r.URL.Query().Get("q"))
	return o.onApp(c, func(a *app) (any, error) {
		keep := func(au *appUser) bool {
			u := o.users.rows[au.user]
			return strings.HasPrefix(fold(au.userName), prefix) || strings.HasPrefix(fold(u.attr("firstName")), prefix) ||
				strings.HasPrefix(fold(u.attr("lastName")), prefix) || strings.HasPrefix(fold(u.attr("email")), prefix)
		}
		return paged(c, a.users.all(after), limit, keep, func(au *appUser) string { return au.user },
			func(au *appUser) any { return o.appUserView(c, a, au) }), nil
	})
}

func (o *Org) onAppUser(c *call, do func(*app, *appUser) (any, error)) (any, error) {
	return o.onApp(c, func(a *app) (any, error) {
		au := a.users.rows[c.r.PathValue("user")]
		if au == nil {
			return nil, notFound(c.r.PathValue("user"), "AppUser")
		}
		return do(a, au)
	})
}

func (o *Org) getAppUser(c *call) (any, error) {
	return o.onAppUser(c, func(a *app, au *appUser) (any, error) { return o.appUserView(c, a, au), nil })
}

type appUserBody struct {
	ID          string `json:"id"`
	Credentials struct {
		UserName string `json:"userName"`
	} `json:"credentials"`
	Profile map[string]any `json:"profile"`
}

func (b *appUserBody) apply(au *appUser) {
	next := maps.Clone(au.profile)
	maps.Copy(next, b.Profile)
	au.profile = next
}

// assignUser gives one user the app directly. A user who has it through a
// group keeps it when the group goes.
func (o *Org) assignUser(c *call) (any, error) {
	var b appUserBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onApp(c, func(a *app) (any, error) {
		u := o.users.rows[b.ID]
		if u == nil {
			return nil, notFound(b.ID, "User")
		}
		if u.status == "DEPROVISIONED" {
			return nil, wrongStatus()
		}
		au := a.users.rows[u.id]
		if au == nil {
			au = o.assign(c.cause(), a, u, "USER", b.Credentials.UserName)
		}
		au.scope = "USER"
		b.apply(au)
		return o.appUserView(c, a, au), nil
	})
}

func (o *Org) updateAppUser(c *call) (any, error) {
	var b appUserBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onAppUser(c, func(a *app, au *appUser) (any, error) {
		b.apply(au)
		if b.Credentials.UserName != "" {
			au.own = true
			o.setAppUserName(c.cause(), a, au, b.Credentials.UserName)
		}
		return o.appUserView(c, a, au), nil
	})
}

// unassignUser ends a direct assignment; one that a group supports stays.
func (o *Org) unassignUser(c *call) (any, error) {
	return o.onAppUser(c, func(a *app, au *appUser) (any, error) {
		au.scope = "GROUP"
		o.syncApp(c.cause(), a, o.users.rows[au.user])
		return nil, nil
	})
}

func (o *Org) appGroupView(c *call, a *app, ag *appGroup) object {
	profile := ag.profile
	if profile == nil {
		profile = object{}
	}
	return object{
		"id": ag.group, "lastUpdated": stamp(ag.updated), "priority": ag.priority, "profile": profile,
		"_links": object{"app": href(c.base + "/api/v1/apps/" + a.id), "group": href(c.base + "/api/v1/groups/" + ag.group),
			"self": href(c.base + "/api/v1/apps/" + a.id + "/groups/" + ag.group)},
	}
}

func (o *Org) listAppGroups(c *call) (any, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	prefix := fold(c.r.URL.Query().Get("q"))
	return o.onApp(c, func(a *app) (any, error) {
		keep := func(ag *appGroup) bool { return strings.HasPrefix(fold(o.groups.rows[ag.group].name), prefix) }
		return paged(c, a.groups.all(after), limit, keep, func(ag *appGroup) string { return ag.group },
			func(ag *appGroup) any { return o.appGroupView(c, a, ag) }), nil
	})
}

func (o *Org) getAppGroup(c *call) (any, error) {
	return o.onApp(c, func(a *app) (any, error) {
		ag := a.groups.rows[c.r.PathValue("group")]
		if ag == nil {
			return nil, notFound(c.r.PathValue("group"), "ApplicationGroupAssignment")
		}
		return o.appGroupView(c, a, ag), nil
	})
}

func (o *Org) assignGroup(c *call) (any, error) {
	var b struct {
		Priority *int           `json:"priority"`
		Profile  map[string]any `json:"profile"`
	}
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onApp(c, func(a *app) (any, error) {
		g := o.groups.rows[c.r.PathValue("group")]
		if g == nil {
			return nil, notFound(c.r.PathValue("group"), "UserGroup")
		}
		if err := a.checkRoleAttributes(b.Profile); err != nil {
			return nil, err
		}
		return o.appGroupView(c, a, o.assignToGroup(c.cause(), a, g, b.Priority, b.Profile)), nil
	})
}

func (o *Org) unassignGroup(c *call) (any, error) {
	return o.onApp(c, func(a *app) (any, error) {
		id := c.r.PathValue("group")
		if a.groups.rows[id] == nil {
			return nil, notFound(id, "ApplicationGroupAssignment")
		}
		o.unassignFromGroup(c.cause(), a, o.groups.rows[id])
		return nil, nil
	})
}

// listGroupApps shows the apps that a group is assigned to.
func (o *Org) listGroupApps(c *call) (any, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	return o.onGroup(c, func(g *group) (any, error) {
		keep := func(a *app) bool { return a.groups.rows[g.id] != nil }
		return paged(c, o.apps.all(after), limit, keep, func(a *app) string { return a.id }, func(a *app) any { return a.view(c) }), nil
	})
}
