package okta

import (
	"maps"
	"slices"
)

// awsApp is the name of Okta's app "AWS Account Federation", by which people
// sign in to Amazon Connect.
const awsApp = "amazon_aws"

// SetAppRoles replaces the AWS roles that an app, named by id or label, knows.
func (o *Org) SetAppRoles(appRef string, roles ...string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a, err := o.findApp(appRef)
	if err != nil {
		return err
	}
	a.roles = slices.Clone(roles)
	return nil
}

// SetAppUserName sets the name of a user's account at an app, each named by id
// or by label or login. It then no longer follows the login.
func (o *Org) SetAppUserName(who, appRef, userName string) error {
	return o.with(who, func(u *user) error {
		a, err := o.findApp(appRef)
		if err != nil {
			return err
		}
		au := a.users.rows[u.id]
		if au == nil {
			return notFound(u.id, "AppUser")
		}
		if userName == "" {
			return invalid("userName", "userName: The field cannot be left blank")
		}
		au.own = true
		o.setAppUserName(cause{}, a, au, userName)
		return nil
	})
}

// checkRoleAttributes refuses attributes that an AWS app's schema does not
// have, and roles that it does not know.
func (a *app) checkRoleAttributes(profile map[string]any) error {
	if a.name != awsApp {
		return nil
	}
	for name, v := range profile {
		var values []any
		switch name {
		case "role":
			values = []any{v}
		case "samlRoles":
			values, _ = v.([]any)
		default:
			return invalid("profile", name+": Property name is not in the schema of the app")
		}
		for _, v := range values {
			if s, ok := v.(string); v != nil && (!ok || !slices.Contains(a.roles, s)) {
				return invalid("profile", name+": The value is not one of the enumerated ones")
			}
		}
	}
	return nil
}

// appProfile is what the user brings, over it what the group of the first
// priority says, over that what was set for the user alone.
func (o *Org) appProfile(a *app, u *user, au *appUser) object {
	p := object{"email": u.attr("email"), "displayName": u.name()}
	var first *appGroup
	for _, ag := range a.groups.rows {
		if u.groups.has(ag.group) && (first == nil || ag.priority < first.priority) {
			first = ag
		}
	}
	if first != nil {
		maps.Copy(p, first.profile)
	}
	maps.Copy(p, au.profile)
	return p
}

// getAppSchema shows the attributes of an app's accounts. Those of the AWS app
// hold the roles that it downloaded.
func (o *Org) getAppSchema(c *call) (any, error) {
	return o.onApp(c, func(a *app) (any, error) {
		custom := object{}
		if a.name == awsApp {
			one := object{"title": "Role", "type": "string", "scope": "NONE", "master": object{"type": "PROFILE_MASTER"}}
			items := object{"type": "string"}
			if len(a.roles) > 0 {
				titled := make([]object, len(a.roles))
				for i, r := range a.roles {
					titled[i] = object{"const": r, "title": r}
				}
				one["enum"], one["oneOf"] = a.roles, titled
				items["enum"], items["oneOf"] = a.roles, titled
			}
			custom = object{"role": one, "samlRoles": object{"title": "SAML User Roles", "type": "array", "scope": "NONE",
				"union": "DISABLE", "items": items, "master": object{"type": "PROFILE_MASTER"}}}
		}
		self := c.base + "/api/v1/meta/schemas/apps/" + a.id + "/default"
		return object{
			"id": self, "$schema": "http://json-schema.org/draft-04/schema#", "name": a.label, "title": a.label + " User", "type": "object",
			"created": stamp(a.created), "lastUpdated": stamp(a.updated), "_links": object{"self": object{"href": self, "method": "GET", "rel": "self"}},
			"definitions": object{
				"base": object{"id": "#base", "type": "object", "required": []string{"userName"}, "properties": object{
					"userName": object{"title": "Username", "type": "string", "required": true, "scope": "NONE", "maxLength": 100},
				}},
				"custom": object{"id": "#custom", "type": "object", "required": []string{}, "properties": custom},
			},
		}, nil
	})
}
