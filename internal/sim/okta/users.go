package okta

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// User is one user of the org.
type User struct {
	ID      string         `json:"id"`
	Status  string         `json:"status"`
	Login   string         `json:"login"`
	Profile map[string]any `json:"profile"`
	Groups  []string       `json:"groups"` // names, Everyone left out
}

// NewUser describes a user to add.
type NewUser struct {
	Login     string         `json:"login"` // required, 5 to 100 characters
	FirstName string         `json:"firstName"`
	LastName  string         `json:"lastName"`
	Email     string         `json:"email"`   // empty: the login, at example.com where that is no address
	Status    string         `json:"status"`  // empty: ACTIVE
	Groups    []string       `json:"groups"`  // ids or names; they must exist
	Profile   map[string]any `json:"profile"` // further attributes
	Job       bool           `json:"job"`     // memberships look like the work of a group rule
}

// user is a row. Its profile is replaced, never changed in place.
type user struct {
	id, status, moving                         string // moving: transitioningToStatus
	created, activated, statusChanged, updated time.Time
	passwordChanged                            time.Time // zero: has no password
	profile                                    map[string]any
	groups                                     idset
}

func (u *user) attr(name string) string { s, _ := u.profile[name].(string); return s }
func (u *user) login() string           { return u.attr("login") }

// name is the display name that the System Log shows.
func (u *user) name() string {
	full := strings.TrimSpace(u.attr("firstName") + " " + u.attr("lastName"))
	return cmp.Or(full, u.login())
}

func (u *user) target() target {
	return target{ID: u.id, Type: "User", AlternateID: u.login(), DisplayName: u.name()}
}

var statuses = []string{"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"}

// lifecycle is what each verb needs, does and logs.
var lifecycle = map[string]struct {
	from      []string // empty: any but DEPROVISIONED
	to, event string
	refuse    func() error
}{
	"activate":   {[]string{"STAGED", "DEPROVISIONED"}, "", "user.lifecycle.activate", wrongStatus},
	"deactivate": {nil, "DEPROVISIONED", "user.lifecycle.deactivate", wrongStatus},
	"suspend": {[]string{"ACTIVE"}, "SUSPENDED", "user.lifecycle.suspend", func() error {
		return invalid("suspendUser", "Cannot suspend a user that is not active")
	}},
	"unsuspend": {[]string{"SUSPENDED"}, "ACTIVE", "user.lifecycle.unsuspend", func() error {
		return invalid("unsuspendUser", "Cannot unsuspend a user that is not suspended")
	}},
	"reactivate": {[]string{"PROVISIONED", "RECOVERY"}, "PROVISIONED", "user.lifecycle.reactivate", wrongStatus},
	"unlock":     {[]string{"LOCKED_OUT"}, "ACTIVE", "user.account.unlock_by_admin", wrongStatus},
}

// transition applies a lifecycle verb. The caller holds o.mu, as in every
// function below that takes a cause.
func (o *Org) transition(c cause, u *user, verb string) error {
	step := lifecycle[verb]
	allowed := slices.Contains(step.from, u.status)
	if len(step.from) == 0 {
		allowed = u.status != "DEPROVISIONED"
	}
	if !allowed {
		return step.refuse()
	}
	to := step.to
	if verb == "activate" {
		to = "PROVISIONED"
		if !u.passwordChanged.IsZero() {
			to = "ACTIVE"
		}
		u.activated = o.now()
	}
	if c.uri == "" {
		c.uri = "/api/v1/users/" + u.id + "/lifecycle/" + verb
		if verb == "deactivate" {
			c.uri = "/admin/user/deactivate/" + u.id
		}
	}
	o.setStatus(u, to)
	o.emit(c, step.event, nil, u.target())
	o.syncApps(c, u)
	o.applyRules(u)
	return nil
}

func (o *Org) setStatus(u *user, status string) {
	now := o.now()
	u.status, u.moving, u.statusChanged, u.updated = status, "", now, now
	o.showUser(u)
}

// insert adds a user with a checked profile and logs its creation.
func (o *Org) insert(c cause, profile map[string]any, status string, password bool) (*user, error) {
	if err := o.checkProfile(profile, ""); err != nil {
		return nil, err
	}
	if c.uri == "" {
		c.uri = "/api/v1/users"
	}
	now := o.now()
	u := &user{id: o.mint.id("00u"), status: "STAGED", created: now, statusChanged: now, updated: now, profile: profile}
	if password {
		u.passwordChanged = now
	}
	o.users.put(u.id, u)
	o.logins[fold(u.login())] = u.id
	o.everyone.members.add(u.id)
	u.groups.add(o.everyone.id)
	o.showUser(u)
	o.emit(c, "user.lifecycle.create", nil, u.target())
	if status != "STAGED" {
		u.status, u.activated = status, now
		o.showUser(u)
		o.emit(c, "user.lifecycle.activate", nil, u.target())
		o.syncApps(c, u)
		o.applyRules(u)
	}
	return u, nil
}

// checkProfile refuses what Okta refuses of a whole profile. own is the id of
// the user who may hold the login already.
func (o *Org) checkProfile(p map[string]any, own string) error {
	for _, name := range []string{"login", "email"} {
		v, _ := p[name].(string)
		if v == "" {
			return invalid(name, name+": The field cannot be left blank")
		}
		if n := utf8.RuneCountInString(v); n < 5 || n > 100 {
			return invalid(name, name+": String is too long or too short: want 5 to 100 characters")
		}
	}
	for _, name := range []string{"firstName", "lastName"} {
		v, isText := p[name].(string)
		if p[name] != nil && (!isText || v == "" || utf8.RuneCountInString(v) > 50) {
			return invalid(name, name+": want 1 to 50 characters")
		}
	}
	if holder, taken := o.logins[fold(p["login"].(string))]; taken && holder != own {
		return invalid("login", "login: An object with this field already exists in the current organization")
	}
	return nil
}

// setProfile replaces a user's profile and logs the names of what changed. A
// profile that stays the same logs nothing.
func (o *Org) setProfile(c cause, u *user, next map[string]any) error {
	maps.DeleteFunc(next, func(_ string, v any) bool { return v == nil })
	if err := o.checkProfile(next, u.id); err != nil {
		return err
	}
	var changed []string
	for name := range maps.Keys(u.profile) {
		if !reflect.DeepEqual(u.profile[name], next[name]) {
			changed = append(changed, name)
		}
	}
	for name := range next {
		if _, had := u.profile[name]; !had {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	slices.Sort(changed)
	if c.uri == "" {
		c.uri = "/api/v1/users/" + u.id
	}
	delete(o.logins, fold(u.login()))
	u.profile, u.updated = next, o.now()
	o.logins[fold(u.login())] = u.id
	o.showUser(u)
	o.emit(c, "user.account.update_profile", map[string]string{"changedAttributes": strings.Join(changed, ",")}, u.target())
	if slices.Contains(changed, "login") {
		o.renameAppUsers(c, u)
	}
	o.applyRules(u)
	return nil
}

// remove deactivates a user or, when that is done already, deletes it.
func (o *Org) remove(c cause, u *user) error {
	if u.status != "DEPROVISIONED" {
		return o.transition(c, u, "deactivate")
	}
	if c.uri == "" {
		c.uri = "/api/v1/users/" + u.id
	}
	o.emit(c, "user.lifecycle.delete.initiated", nil, u.target())
	for _, id := range u.groups {
		o.groups.rows[id].members.remove(u.id)
	}
	for r := range o.rules.all("") {
		r.forget(u.id)
	}
	o.show(u.id, version{})
	delete(o.logins, fold(u.login()))
	o.users.remove(u.id)
	o.emitSystem("user.lifecycle.delete.completed", outcome{Result: "SUCCESS"}, u.target())
	return nil
}

// findUser finds a user by id or by login, whatever its case. A login with a
// slash is found by id alone, as in Okta.
func (o *Org) findUser(ref string) (*user, error) {
	if u := o.users.rows[ref]; u != nil {
		return u, nil
	}
	if id, ok := o.logins[fold(ref)]; ok && !strings.Contains(ref, "/") {
		return o.users.rows[id], nil
	}
	return nil, notFound(ref, "User")
}

func fold(login string) string { return strings.ToLower(login) }

func (o *Org) export(u *user) User {
	names := make([]string, 0, len(u.groups))
	for _, id := range u.groups {
		if id != o.everyone.id {
			names = append(names, o.groups.rows[id].name)
		}
	}
	return User{u.id, u.status, u.login(), maps.Clone(u.profile), names}
}

// AddUser creates a user, activates it unless its status says STAGED, and puts
// it into its groups.
func (o *Org) AddUser(n NewUser) (User, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	status := cmp.Or(n.Status, "ACTIVE")
	if !slices.Contains(statuses, status) {
		return User{}, invalid("status", "status: unknown value "+status)
	}
	email := cmp.Or(n.Email, n.Login)
	if !strings.Contains(email, "@") {
		email += "@example.com"
	}
	profile := object{}
	maps.Copy(profile, n.Profile)
	profile["login"], profile["email"] = n.Login, email
	for name, v := range map[string]string{"firstName": n.FirstName, "lastName": n.LastName} {
		if v != "" {
			profile[name] = v
		}
	}
	var groups []*group
	for _, ref := range n.Groups {
		g, err := o.findGroup(ref)
		if err != nil {
			return User{}, err
		}
		groups = append(groups, g)
	}
	first := status
	if status == "SUSPENDED" || status == "DEPROVISIONED" || status == "LOCKED_OUT" {
		first = "ACTIVE"
	}
	u, err := o.insert(cause{}, profile, first, status != "STAGED" && status != "PROVISIONED")
	if err != nil {
		return User{}, err
	}
	for _, g := range groups {
		o.join(cause{job: n.Job}, u, g)
	}
	switch status {
	case "SUSPENDED":
		err = o.transition(cause{}, u, "suspend")
	case "DEPROVISIONED":
		err = o.transition(cause{}, u, "deactivate")
	case "LOCKED_OUT":
		o.force(u, status)
	}
	return o.export(u), err
}

// User returns a user by id or login.
func (o *Org) User(who string) (User, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.findUser(who)
	if err != nil {
		return User{}, err
	}
	return o.export(u), nil
}

// Users returns all users, deprovisioned ones included, in order of creation.
func (o *Org) Users() []User {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]User, 0, len(o.users.ids))
	for u := range o.users.all("") {
		out = append(out, o.export(u))
	}
	return out
}

func (o *Org) with(who string, do func(*user) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, err := o.findUser(who)
	if err != nil {
		return err
	}
	return do(u)
}

func (o *Org) step(who, verb string) error {
	return o.with(who, func(u *user) error { return o.transition(cause{}, u, verb) })
}

// Activate ends STAGED or DEPROVISIONED: in ACTIVE for a user with a password,
// else in PROVISIONED.
func (o *Org) Activate(who string) error { return o.step(who, "activate") }

// Deactivate makes a user DEPROVISIONED. Memberships stay, app assignments end.
func (o *Org) Deactivate(who string) error { return o.step(who, "deactivate") }

// Suspend takes an ACTIVE user's access and keeps groups and apps.
func (o *Org) Suspend(who string) error { return o.step(who, "suspend") }

// Unsuspend makes a SUSPENDED user ACTIVE again.
func (o *Org) Unsuspend(who string) error { return o.step(who, "unsuspend") }

// Reactivate restarts the activation of a PROVISIONED or RECOVERY user.
func (o *Org) Reactivate(who string) error { return o.step(who, "reactivate") }

// Unlock makes a LOCKED_OUT user ACTIVE again.
func (o *Org) Unlock(who string) error { return o.step(who, "unlock") }

// Delete deactivates a user; the second time it deletes it, without a remove
// event for any of its groups.
func (o *Org) Delete(who string) error {
	return o.with(who, func(u *user) error { return o.remove(cause{}, u) })
}

// UpdateProfile changes attributes; nil removes one.
func (o *Org) UpdateProfile(who string, change map[string]any) error {
	return o.with(who, func(u *user) error {
		next := maps.Clone(u.profile)
		maps.Copy(next, change)
		return o.setProfile(cause{}, u, next)
	})
}

// SetPrimaryEmail changes a user's email as the user's own confirmation does:
// the System Log tells it as user.account.update_primary_email, hooks do not.
func (o *Org) SetPrimaryEmail(who, email string) error {
	return o.with(who, func(u *user) error {
		next := maps.Clone(u.profile)
		next["email"] = email
		if err := o.checkProfile(next, u.id); err != nil || u.attr("email") == email {
			return err
		}
		u.profile, u.updated = next, o.now()
		o.showUser(u)
		o.emit(cause{uri: "/api/v1/users/" + u.id}, "user.account.update_primary_email", nil, u.target())
		return nil
	})
}

// SetStatus puts a user into a status that no administrator's verb leads to,
// such as LOCKED_OUT (logged as user.account.lock), RECOVERY or
// PASSWORD_EXPIRED (not logged), and sets transitioningToStatus. An empty
// status leaves it as it is.
func (o *Org) SetStatus(who, status, transitioningTo string) error {
	return o.with(who, func(u *user) error {
		if status != "" && !slices.Contains(statuses, status) {
			return invalid("status", "status: unknown value "+status)
		}
		if status != "" && status != u.status {
			o.force(u, status)
			o.syncApps(cause{job: true}, u)
		}
		u.moving = transitioningTo
		o.showUser(u)
		return nil
	})
}

func (o *Org) force(u *user, status string) {
	o.setStatus(u, status)
	if status == "LOCKED_OUT" {
		o.emitSystem("user.account.lock", outcome{Result: "FAILURE", Reason: "LOCKED_OUT"}, u.target())
	}
}
