package okta

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Group is one group of the org.
type Group struct {
	ID          string `json:"id"`
	Type        string `json:"type"` // OKTA_GROUP, APP_GROUP or BUILT_IN
	Name        string `json:"name"`
	Description string `json:"description"`
	Members     int    `json:"members"`
}

// NewGroup describes a group to add.
type NewGroup struct {
	Name        string `json:"name"` // required, 1 to 255 characters
	Description string `json:"description"`
	Type        string `json:"type"` // empty: OKTA_GROUP; APP_GROUP is read-only for the API
}

type group struct {
	id, kind, name, description      string
	created, updated, membersUpdated time.Time
	members                          idset
}

// target names the group as events do: the alternateId is the word "unknown".
func (g *group) target() target {
	return target{ID: g.id, Type: "UserGroup", AlternateID: "unknown", DisplayName: g.name}
}

func (g *group) export() Group {
	return Group{g.id, g.kind, g.name, g.description, len(g.members)}
}

func (g *group) view(c *call) object {
	self := c.base + "/api/v1/groups/" + g.id
	class := "okta:user_group"
	if g.kind == "APP_GROUP" {
		class = "okta:windows_security_principal"
	}
	profile := object{"name": g.name}
	if g.description != "" {
		profile["description"] = g.description
	}
	return object{
		"id": g.id, "created": stamp(g.created), "lastUpdated": stamp(g.updated), "lastMembershipUpdated": stamp(g.membersUpdated),
		"objectClass": []string{class}, "type": g.kind, "profile": profile,
		"_links": object{"logo": []object{}, "users": href(self + "/users"), "apps": href(self + "/apps")},
	}
}

func groupField(g *group, path string) ([]any, bool) {
	switch path {
	case "id":
		return values(g.id), true
	case "type":
		return values(g.kind), true
	case "created":
		return values(g.created), true
	case "lastUpdated":
		return values(g.updated), true
	case "lastMembershipUpdated":
		return values(g.membersUpdated), true
	case "name", "profile.name":
		return values(g.name), true
	case "description", "profile.description":
		return values(g.description), true
	}
	return nil, strings.HasPrefix(path, "profile.")
}

func (o *Org) insertGroup(c cause, n NewGroup) (*group, error) {
	kind := cmp.Or(n.Type, "OKTA_GROUP")
	if kind != "OKTA_GROUP" && kind != "APP_GROUP" {
		return nil, invalid("type", "type: want OKTA_GROUP or APP_GROUP")
	}
	if err := o.checkGroupName(n.Name, ""); err != nil {
		return nil, err
	}
	now := o.now()
	g := &group{id: o.mint.id("00g"), kind: kind, name: n.Name, description: n.Description, created: now, updated: now, membersUpdated: now}
	o.groups.put(g.id, g)
	o.showGroup(g)
	if c.uri == "" {
		c.uri = "/api/v1/groups"
	}
	o.emit(c, "group.lifecycle.create", nil, g.target())
	return g, nil
}

func (o *Org) checkGroupName(name, own string) error {
	if n := len([]rune(name)); n < 1 || n > 255 {
		return invalid("name", "name: want 1 to 255 characters")
	}
	for g := range o.groups.all("") {
		if g.id != own && strings.EqualFold(g.name, name) {
			return invalid("name", "name: An object with this field already exists in the current organization")
		}
	}
	return nil
}

func (o *Org) setGroup(c cause, g *group, name, description string) error {
	if err := o.checkGroupName(name, g.id); err != nil {
		return err
	}
	if g.name == name && g.description == description {
		return nil
	}
	g.name, g.description, g.updated = name, description, o.now()
	o.showGroup(g)
	if c.uri == "" {
		c.uri = "/api/v1/groups/" + g.id
	}
	o.emit(c, "group.profile.update", nil, g.target())
	return nil
}

// removeGroup deletes a group. Whether its members get events of their own is
// a switch; their app assignments through the group end either way.
func (o *Org) removeGroup(c cause, g *group) {
	if c.uri == "" {
		c.uri = "/api/v1/groups/" + g.id
	}
	members := slices.Clone(g.members)
	for _, id := range members {
		u := o.users.rows[id]
		u.groups.remove(g.id)
		if o.set.RemovalsOnGroupDelete {
			o.emit(c, "group.user_membership.remove", nil, u.target(), g.target())
		}
	}
	o.groups.remove(g.id)
	o.show(g.id, version{})
	o.spoilRules(g.id)
	for a := range o.apps.all("") {
		a.groups.remove(g.id)
	}
	o.emit(c, "group.lifecycle.delete", nil, g.target())
	for _, id := range members {
		o.syncApps(c, o.users.rows[id])
	}
}

// join adds a member, which logs one event; adding it again logs none.
func (o *Org) join(c cause, u *user, g *group) {
	if !g.members.add(u.id) {
		return
	}
	o.membershipChanged(c, "group.user_membership.add", u, g)
}

func (o *Org) leave(c cause, u *user, g *group) {
	if !g.members.remove(u.id) {
		return
	}
	o.membershipChanged(c, "group.user_membership.remove", u, g)
}

func (o *Org) membershipChanged(c cause, event string, u *user, g *group) {
	if g.members.has(u.id) {
		u.groups.add(g.id)
	} else {
		u.groups.remove(g.id)
	}
	g.membersUpdated = o.now()
	o.showGroup(g)
	if c.uri == "" {
		c.uri = "/api/v1/groups/" + g.id + "/users/" + u.id
	}
	if !c.job || !o.set.SilentJobs {
		o.emit(c, event, nil, u.target(), g.target())
	}
	o.syncApps(c, u)
}

// findGroup finds a group by id or by exact name.
func (o *Org) findGroup(ref string) (*group, error) {
	if g := o.groups.rows[ref]; g != nil {
		return g, nil
	}
	for g := range o.groups.all("") {
		if g.name == ref {
			return g, nil
		}
	}
	return nil, notFound(ref, "UserGroup")
}

// AddGroup creates an ordinary group.
func (o *Org) AddGroup(name string) (Group, error) { return o.CreateGroup(NewGroup{Name: name}) }

// CreateGroup creates a group.
func (o *Org) CreateGroup(n NewGroup) (Group, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.insertGroup(cause{}, n)
	if err != nil {
		return Group{}, err
	}
	return g.export(), nil
}

// Groups returns all groups in order of creation, Everyone first.
func (o *Org) Groups() []Group {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]Group, 0, len(o.groups.ids))
	for g := range o.groups.all("") {
		out = append(out, g.export())
	}
	return out
}

func (o *Org) withGroup(ref string, do func(*group) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.findGroup(ref)
	if err != nil {
		return err
	}
	if g.kind == "BUILT_IN" {
		return forbidden()
	}
	return do(g)
}

// UpdateGroup renames or redescribes a group, named by id or name. An empty
// argument leaves the field as it is.
func (o *Org) UpdateGroup(ref, name, description string) error {
	return o.withGroup(ref, func(g *group) error {
		return o.setGroup(cause{}, g, cmp.Or(name, g.name), cmp.Or(description, g.description))
	})
}

// DeleteGroup deletes a group with its memberships.
func (o *Org) DeleteGroup(ref string) error {
	return o.withGroup(ref, func(g *group) error {
		o.removeGroup(cause{}, g)
		return nil
	})
}

// Join puts a user (id or login) into a group (id or name), as an
// administrator would.
func (o *Org) Join(who, group string) error { return o.member(cause{}, who, group, o.join) }

// Leave takes a user out of a group, as an administrator would.
func (o *Org) Leave(who, group string) error { return o.member(cause{}, who, group, o.leave) }

// JoinByRule is Join by a background job: a group rule or an import.
func (o *Org) JoinByRule(who, group string) error {
	return o.member(cause{job: true}, who, group, o.join)
}

// LeaveByRule is Leave by a background job.
func (o *Org) LeaveByRule(who, group string) error {
	return o.member(cause{job: true}, who, group, o.leave)
}

func (o *Org) member(c cause, who, ref string, do func(cause, *user, *group)) error {
	return o.withGroup(ref, func(g *group) error {
		u, err := o.findUser(who)
		if err != nil {
			return err
		}
		do(c, u, g)
		return nil
	})
}

// groupFilterable are the attributes that `filter` takes; `search` takes all.
var groupFilterable = []string{"id", "type", "lastUpdated", "lastMembershipUpdated"}

// listGroups serves `search`, `filter` and `q`; q is a name prefix, shows at
// most 300 by default and has no further page.
func (o *Org) listGroups(c *call) (any, error) {
	q := c.r.URL.Query()
	keep := all[*group]
	fallback := 10000
	for name, fields := range map[string][]string{"search": nil, "filter": groupFilterable} {
		if q.Get(name) == "" {
			continue
		}
		f, err := parseFilter(q.Get(name), "E0000031", fields)
		if err != nil {
			return nil, err
		}
		before := keep
		keep = func(g *group) bool {
			return before(g) && f.match(func(p string) ([]any, bool) { return groupField(g, p) })
		}
	}
	if prefix := fold(q.Get("q")); prefix != "" {
		fallback = 300
		before := keep
		keep = func(g *group) bool { return before(g) && strings.HasPrefix(fold(g.name), prefix) }
	}
	limit, err := c.limit(fallback, 10000)
	if err != nil {
		return nil, err
	}
	after, err := c.after()
	if err != nil {
		return nil, err
	}
	stats := slices.Contains(strings.Split(q.Get("expand"), ","), "stats")
	o.mu.Lock()
	defer o.mu.Unlock()
	view := func(g *group) any {
		v := g.view(c)
		if stats {
			v["_embedded"] = object{"stats": object{"usersCount": len(g.members), "appsCount": o.appsOf(g), "groupPushMappingsCount": 0, "hasAdminPrivilege": false}}
		}
		return v
	}
	rows := o.groups.all(after)
	if q.Get("search") != "" {
		rows = o.indexedGroups(after)
	}
	out := paged(c, rows, limit, keep, func(g *group) string { return g.id }, view)
	if q.Get("q") != "" {
		c.h.Del("Link")
		c.link("self", nil)
	}
	return out, nil
}

func (o *Org) appsOf(g *group) int {
	n := 0
	for a := range o.apps.all("") {
		if a.groups.rows[g.id] != nil {
			n++
		}
	}
	return n
}

// onGroup finds the group of the path by id and answers with what do returns.
func (o *Org) onGroup(c *call, do func(*group) (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.groups.rows[c.r.PathValue("id")]
	if g == nil {
		return nil, notFound(c.r.PathValue("id"), "UserGroup")
	}
	return do(g)
}

// onOwnGroup is onGroup for changes: only an OKTA_GROUP can be changed.
func (o *Org) onOwnGroup(c *call, do func(*group) (any, error)) (any, error) {
	return o.onGroup(c, func(g *group) (any, error) {
		if g.kind != "OKTA_GROUP" {
			return nil, forbidden()
		}
		return do(g)
	})
}

func (o *Org) getGroup(c *call) (any, error) {
	return o.onGroup(c, func(g *group) (any, error) { return g.view(c), nil })
}

type groupBody struct {
	Profile struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"profile"`
}

// createGroup answers 200, not 201.
func (o *Org) createGroup(c *call) (any, error) {
	var b groupBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.insertGroup(c.cause(), NewGroup{Name: b.Profile.Name, Description: b.Profile.Description})
	if err != nil {
		return nil, err
	}
	return g.view(c), nil
}

func (o *Org) replaceGroup(c *call) (any, error) {
	var b groupBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onOwnGroup(c, func(g *group) (any, error) {
		if err := o.setGroup(c.cause(), g, b.Profile.Name, b.Profile.Description); err != nil {
			return nil, err
		}
		return g.view(c), nil
	})
}

func (o *Org) deleteGroup(c *call) (any, error) {
	return o.onOwnGroup(c, func(g *group) (any, error) {
		o.removeGroup(c.cause(), g)
		return nil, nil
	})
}

// listMembers shows members of every status with their whole profile.
func (o *Org) listMembers(c *call) (any, error) {
	o.mu.Lock()
	g := o.groups.rows[c.r.PathValue("id")]
	o.mu.Unlock()
	if g == nil {
		return nil, notFound(c.r.PathValue("id"), "UserGroup")
	}
	return o.userPage(c, 1000, 1000, all, &g.members, o.memberView)
}

func (o *Org) addMember(c *call) (any, error)    { return o.changeMember(c, o.join) }
func (o *Org) removeMember(c *call) (any, error) { return o.changeMember(c, o.leave) }

func (o *Org) changeMember(c *call, do func(cause, *user, *group)) (any, error) {
	return o.onOwnGroup(c, func(g *group) (any, error) {
		u := o.users.rows[c.r.PathValue("user")]
		if u == nil {
			return nil, notFound(c.r.PathValue("user"), "User")
		}
		do(c.cause(), u, g)
		return nil, nil
	})
}
