package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (r *reader) checkOkta(c *Config) {
	if r.ok("okta.org") {
		r.test("okta.org", orgFault(c.Okta.Org, c.AllowLoopback))
	}
	r.checkMode()
	r.checkAuth(c.Okta.Auth, c.Okta.App != "")
	if app := c.Okta.App; r.ok("okta.app") && app != strings.TrimSpace(app) {
		r.warn("okta.app", "begins or ends with a space, and labels are compared to the letter", "leave the space out unless the label in Okta has it too")
	}
	if !(c.Okta.Share >= 0.05 && c.Okta.Share <= 0.9) {
		r.test("okta.share", complaint{"want 0.05 to 0.9", "0.5 leaves half of each limit to other programs"})
	}
	if d := c.Okta.CatchUp; d < 10*time.Second || d > time.Hour {
		r.test("okta.catch_up", complaint{"want 10s to 1h", ""})
	}
	if r.ok("okta.ca_file") {
		r.test("okta.ca_file", certificatesFault(within(r.secrets.dir, c.Okta.CAFile)))
	}
	if !r.bad["okta.hook.header"] {
		r.testHidden("okta.hook.header", headerFault(c.Okta.Hook.Header))
	}
	if r.ok("okta.hook.url") {
		r.testHidden("okta.hook.url", hookURLFault(c.Okta.Hook.URL, c.AllowLoopback))
	}
	if n := c.Okta.Hook.MaxBody; n < 1<<10 || n > 64<<20 {
		r.test("okta.hook.max_body", complaint{"want 1KiB to 64MiB", ""})
	}
}

// wantsAPI tells whether the file asks for Okta's API, be it with faults, or
// breaks off before it says.
func (r *reader) wantsAPI() bool {
	const auth = "okta.auth"
	return r.values[auth] != nil || r.suggested[auth] || r.bad["okta"] || r.partial && r.values["okta"] == nil
}

// checkMode tells of what must be there in API mode, and of what is of no use
// without it.
func (r *reader) checkMode() {
	if r.wantsAPI() {
		if r.values["okta.auth"] != nil && r.values["okta.org"] == nil && !r.suggested["okta.org"] {
			r.fault("okta.org", complaint{"is missing; okta.auth needs the address of the org", "for example org: https://example.okta.com"})
		}
		return
	}
	for key, why := range map[string]string{
		"okta.app":      "the app username is known to Okta's API alone, so in hook-only mode the agent's username is the login",
		"okta.share":    "in hook-only mode Okta's API is not called",
		"okta.catch_up": "in hook-only mode the System Log is not read",
	} {
		if r.values[key] != nil {
			r.test(key, complaint{"needs okta.auth: " + why, "add okta.auth, or leave this out"})
		}
	}
}

// checkAuth sees to it that there is one way to sign in, and that it is whole.
func (r *reader) checkAuth(a Auth, app bool) {
	const auth = "okta.auth"
	if !r.ok(auth) {
		return
	}
	service := r.meant(auth+".client_id", auth+".private_key", auth+".key_id", auth+".scopes")
	token := r.meant(auth + ".token")
	switch {
	case len(token) > 0 && len(service) > 0:
		for _, key := range service {
			if r.values[key] != nil {
				r.testHidden(key, complaint{"belongs to a service app and cannot stand beside token", "keep one of the two ways to sign in"})
			}
		}
	case len(service) > 0:
		r.needs(service, []string{auth + ".client_id", auth + ".private_key"})
	case len(token) == 0 && !r.partial:
		r.fault(auth, complaint{"gives no way to sign in; want client_id and private_key, or token", "leave auth out for hook-only mode"})
	}
	for _, id := range []struct{ path, value string }{{auth + ".client_id", a.ClientID}, {auth + ".key_id", a.KeyID}} {
		if r.ok(id.path) {
			r.testHidden(id.path, idFault(id.value))
		}
	}
	if r.ok(auth + ".scopes") {
		r.checkScopes(auth+".scopes", a.Scopes, app)
	}
}

// meant gives those of the keys that the file has, or seems to mean.
func (r *reader) meant(keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return r.values[key] == nil && !r.suggested[key] })
}

// testHidden tells of a complaint about a value that may be a secret in the wrong
// place.
func (r *reader) testHidden(path string, c complaint) {
	if c.problem == "" {
		return
	}
	r.hideValue(path)
	r.test(path, c)
}

// hideValue keeps a value out of every excerpt, also where it is written as an
// alias or is a part of a text with commas.
func (r *reader) hideValue(path string) {
	n, written := r.values[path]
	if !written {
		n = r.values[path[:max(strings.LastIndex(path, "["), 0)]]
	}
	if n != nil {
		r.hide(n)
		r.hide(n.Alias)
	}
}

// idFault keeps client ids and key ids to what they can be. Source: Okta, client
// ids have 6 to 100 characters of ASCII.
func idFault(id string) complaint {
	switch {
	case strings.HasPrefix(id, "env:"), strings.HasPrefix(id, "file:"):
		return complaint{"is a reference; want the id itself, which is no secret", ""}
	case !regexp.MustCompile(`^[!-~]{1,100}$`).MatchString(id):
		return complaint{"want an id of 1 to 100 ASCII characters without spaces", ""}
	}
	return complaint{}
}

// checkScopes sees to it that scopes are Okta's own, and that none is missing
// that every read takes. Who may manage may read.
func (r *reader) checkScopes(path string, scopes []string, app bool) {
	if len(scopes) == 0 {
		r.fault(path, complaint{"is an empty list; want at least one scope", "leave it out for what is needed"})
		return
	}
	for i, scope := range scopes {
		one := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !regexp.MustCompile(`^okta(\.[A-Za-z]+)+\.(read|manage)$`).MatchString(scope):
			r.testHidden(one, complaint{"want a scope of Okta's API, such as okta.users.read", ""})
			r.bad[path] = true
		case slices.Contains(scopes[:i], scope):
			r.test(one, complaint{"is named twice", "remove one of them"})
		}
	}
	needs := []struct{ scope, why string }{
		{"okta.users.read", "to read people"}, {"okta.groups.read", "to read groups"}, {"okta.logs.read", "to read the System Log"},
	}
	if app {
		needs = append(needs, struct{ scope, why string }{"okta.apps.read", "to read the usernames of okta.app"})
	}
	for _, need := range needs {
		manage := strings.TrimSuffix(need.scope, "read") + "manage"
		if !slices.Contains(scopes, need.scope) && !slices.Contains(scopes, manage) {
			r.test(path, complaint{"lacks " + need.scope + ", which is needed " + need.why, ""})
		}
	}
}

// certificatesFault says why a file is not one of certificates.
func certificatesFault(path string) complaint {
	data, err := readFile(path, maxFile+1)
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed):
		return complaint{"cannot be read: " + failed.Err.Error(), "relative paths start at the folder of the configuration file"}
	case err != nil:
		return complaint{"is not a regular file", ""}
	case len(data) > maxFile:
		return complaint{"is larger than 1 MiB", "certificates of a few CAs are small; is this the right file?"}
	case !x509.NewCertPool().AppendCertsFromPEM(data):
		return complaint{"holds no certificate in PEM", "in PEM one begins with -----BEGIN CERTIFICATE-----"}
	}
	return complaint{}
}

// CheckOrg judges the address of an org as Load does, for who asks for it.
func CheckOrg(org string, allowLoopback bool) error { return orgFault(org, allowLoopback).err() }

// CheckHookURL judges the address of the hook as Load does, for who asks for it.
func CheckHookURL(address string, allowLoopback bool) error {
	return hookURLFault(address, allowLoopback).err()
}

// orgFault keeps the org to what an Okta org can be: a name on the internet,
// with https. A program on this machine needs permission.
func orgFault(org string, allowLoopback bool) complaint {
	u, err := url.Parse(org)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return complaint{"want an address such as https://example.okta.com", ""}
	}
	host := u.Hostname()
	switch {
	case u.User != nil:
		return complaint{"must not hold a user or a password", ""}
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(org, "#"):
		return complaint{"want no path after the host", "did you mean " + u.Scheme + "://" + u.Host + "?"}
	case isLoopback(host) && !allowLoopback:
		return complaint{"is this machine", "set allow_loopback: true to try things with a simulator"}
	case isLoopback(host) && (u.Scheme == "http" || u.Scheme == "https"):
		return complaint{}
	case u.Scheme != "https":
		return complaint{"want https", "only a program on this machine may be reached by http, with allow_loopback: true"}
	case !isPublicName(host):
		return complaint{"want the host name of an Okta org, with a dot in it and not an IP address", ""}
	case strings.Contains(strings.ToLower(host), "-admin.okta"):
		return complaint{"is the address of the admin console", "did you mean https://" + strings.Replace(strings.ToLower(u.Host), "-admin.", ".", 1) + "?"}
	}
	return complaint{}
}

// hookURLFault keeps the address of the hook to what Okta takes.
func hookURLFault(address string, allowLoopback bool) complaint {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c > '~' }):
		return complaint{"want an address such as https://roster.example.com/hooks/okta", ""}
	case u.User != nil || strings.Contains(address, "#"):
		return complaint{"must hold neither a password nor a fragment", ""}
	case len(address) > 1024:
		return complaint{"want at most 1024 characters", ""}
	case isLoopback(u.Hostname()) && !allowLoopback:
		return complaint{"is this machine", "set allow_loopback: true to try things with a simulator"}
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return complaint{}
	}
	return complaint{"want https", "Okta delivers to nothing else"}
}

// isPublicName refuses all that looks like a number, since that may be read as
// an IP address in one of its many disguises.
func isPublicName(host string) bool {
	last := host[strings.LastIndex(host, ".")+1:]
	return isHostname(host) && strings.Contains(host, ".") && last != "" && (last[0] < '0' || last[0] > '9')
}

// headerFault leaves out headers that other parts of HTTP depend on.
func headerFault(name string) complaint {
	if !regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$").MatchString(name) {
		return complaint{"want the name of a header, without spaces and colon", ""}
	}
	taken := []string{"Host", "Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Accept", "Upgrade", "Te", "Trailer", "X-Okta-Verification-Challenge"}
	if slices.ContainsFunc(taken, func(t string) bool { return strings.EqualFold(t, name) }) {
		return complaint{"is a header with another meaning; want one that carries a secret", "Authorization is what Okta proposes"}
	}
	return complaint{}
}
