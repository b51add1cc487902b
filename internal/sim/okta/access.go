package okta

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// resources are what scopes and permissions are about, by the first segments
// of a path under /api/v1/.
var resources = []struct{ path, name string }{
	{"users", "users"}, {"groups", "groups"}, {"apps", "apps"}, {"logs", "logs"},
	{"eventHooks", "eventHooks"}, {"meta/schemas", "schemas"}, {"org", "orgs"},
}

func resourceOf(path string) string {
	path = strings.TrimPrefix(path, "/api/v1/")
	for _, r := range resources {
		if path == r.path || strings.HasPrefix(path, r.path+"/") {
			return r.name
		}
	}
	return ""
}

// scope is what a token needs for a route: read for GET, manage for the rest.
// Okta's description lists the read scope alone for GET, so that manage does
// not stand for it here.
func (rt route) scope() string {
	if rt.method == http.MethodGet {
		return "okta." + resourceOf(rt.path) + ".read"
	}
	return "okta." + resourceOf(rt.path) + ".manage"
}

func checkScopes(scopes []string) error {
	for _, s := range scopes {
		name, ok := strings.CutPrefix(s, "okta.")
		name, verb, _ := strings.Cut(name, ".")
		known := slices.ContainsFunc(resources, func(r struct{ path, name string }) bool { return r.name == name })
		if !ok || !known || verb != "read" && verb != "manage" {
			return fmt.Errorf("unknown scope %q", s)
		}
	}
	return nil
}

// roles are Okta's standard admin roles as far as the endpoints here go: what
// each may read and manage. Anything else in a list of roles is a permission
// of a custom role, such as okta.groups.manage; manage includes read there.
var roles = map[string]struct{ read, manage []string }{
	"SUPER_ADMIN":            {[]string{"*"}, []string{"*"}},
	"ORG_ADMIN":              {[]string{"*"}, []string{"users", "groups", "apps", "schemas", "orgs"}},
	"READ_ONLY_ADMIN":        {[]string{"*"}, nil},
	"APP_ADMIN":              {[]string{"users", "groups", "apps", "schemas", "orgs"}, []string{"apps", "schemas"}},
	"USER_ADMIN":             {[]string{"users", "groups", "orgs"}, []string{"users", "groups"}},
	"GROUP_MEMBERSHIP_ADMIN": {[]string{"users", "groups", "orgs"}, []string{"groups"}},
	"REPORT_ADMIN":           {[]string{"users", "groups", "apps", "logs", "orgs"}, nil},
}

func checkRoles(names []string) error {
	for _, n := range names {
		_, standard := roles[n]
		if resource, verb := permission(n); !standard && (resource == "" || verb != "read" && verb != "manage") {
			return fmt.Errorf("unknown role or permission %q", n)
		}
	}
	return nil
}

// permission splits okta.eventhooks.manage into the resource and the verb.
func permission(s string) (resource, verb string) {
	s, _ = strings.CutPrefix(s, "okta.")
	s, verb, _ = strings.Cut(s, ".")
	for _, r := range resources {
		if strings.EqualFold(s, r.name) {
			return r.name, verb
		}
	}
	return "", verb
}

// may reports whether one of the roles covers a route.
func may(names []string, rt route) bool {
	resource, read := resourceOf(rt.path), rt.method == http.MethodGet
	covers := func(list []string) bool { return slices.Contains(list, "*") || slices.Contains(list, resource) }
	return slices.ContainsFunc(names, func(n string) bool {
		if role, ok := roles[n]; ok {
			return covers(role.manage) || read && covers(role.read)
		}
		r, verb := permission(n)
		return r == resource && (verb == "manage" || read)
	})
}

// SetTokenRoles gives an SSWS token other admin roles than the SUPER_ADMIN that
// every one begins with.
func (o *Org) SetTokenRoles(token string, names ...string) error {
	if err := checkRoles(names); err != nil {
		return invalid("roles", "roles: "+err.Error())
	}
	if !o.knowsToken(token) {
		return notFound("token", "ApiToken")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokenRoles[token] = slices.Clone(names)
	return nil
}

func (o *Org) knowsToken(token string) bool {
	ok := 0
	for _, t := range o.cfg.Tokens {
		ok |= subtle.ConstantTimeCompare([]byte(t), []byte(token))
	}
	return ok == 1
}

// authorize checks who calls and what they may do. A caller whose roles do not
// cover a list is made blind instead of refused. The caller holds o.mu.
func (o *Org) authorize(c *call, rt route) error {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "SSWS") && o.knowsToken(token):
		names, set := o.tokenRoles[token]
		if !set {
			return nil
		}
		return o.covered(c, rt, names)
	case strings.EqualFold(scheme, "Bearer"), strings.EqualFold(scheme, "DPoP"):
		return o.authorizeGrant(c, rt, scheme, token)
	}
	return fail(http.StatusUnauthorized, "E0000011", "Invalid token provided")
}

func (o *Org) authorizeGrant(c *call, rt route, scheme, token string) error {
	g := o.grants[token]
	want := "Bearer"
	if g != nil && g.bound != "" {
		want = "DPoP"
	}
	if g == nil || !o.now().Before(g.until) || !strings.EqualFold(scheme, want) {
		c.challenge(want, "invalid_token", "The token has expired, is bound to a key or is unknown.")
		return fail(http.StatusUnauthorized, "E0000011", "Invalid token provided")
	}
	if g.bound != "" {
		if err := o.proveForCall(c, token, g.bound); err != nil {
			return err
		}
	}
	if rt.serve != nil && !slices.Contains(g.scopes, rt.scope()) {
		c.challenge(want, "insufficient_scope", "The access token provided does not contain the required scopes.")
		return forbidden()
	}
	return o.covered(c, rt, o.clients[g.client].roles)
}

// covered decides by admin roles. A list nobody may see is an empty one, a
// single object is not found, all else is forbidden.
func (o *Org) covered(c *call, rt route, names []string) error {
	switch {
	case rt.serve == nil || may(names, rt):
		return nil
	case rt.method != http.MethodGet || o.set.MissingRoleForbids:
		return forbidden()
	case rt.lists():
		c.blind = true
		return nil
	case c.r.PathValue("id") != "":
		return notFound(c.r.PathValue("id"), "Resource")
	}
	return forbidden()
}

// challenge sets WWW-Authenticate (RFC 6750, section 3; RFC 9449, section 7.1).
func (c *call) challenge(scheme, code, why string) {
	c.h.Set("WWW-Authenticate", fmt.Sprintf(`%s authorization_uri="%s/oauth2/v1/authorize", realm="%s", error="%s", error_description="%s", resource="%s"`,
		scheme, c.base, c.base, code, why, c.r.URL.EscapedPath()))
}
