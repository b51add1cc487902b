package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// check judges what the values mean, one by one and together.
func (r *reader) check(c *Config) {
	if r.ok("name") && !regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`).MatchString(c.Name) {
		r.fault("name", complaint{"want 1 to 64 letters, digits, _ . and -", ""})
	}
	if r.ok("policy") {
		r.test("policy", policyFault(c.Policy, r.wantsAPI()))
	}
	r.checkAddresses(c)
	r.checkTLS(c.TLS)
	r.checkOkta(c)
	r.checkInstances(c)
	r.checkShortForm(c)
	for name, persona := range c.Personas {
		r.checkPersona(c, name, persona)
	}
	r.checkAuthorities("authority", c.Authority)
	for i, e := range c.Exempt {
		r.checkExemption(fmt.Sprintf("exempt[%d]", i), e)
	}
	if !r.partial {
		r.checkRules(c)
		r.checkLeavers(c)
		r.checkUse(c)
	}
	r.checkGuard(c.Guard)
	if d := c.WaitForContacts; r.ok("wait_for_contacts") && (d < time.Minute || d > 24*time.Hour) {
		r.fault("wait_for_contacts", complaint{"want 1m to 24h", "leave it out for not to wait"})
	}
	r.checkStoreAWS(c)
	if strings.HasPrefix(c.Store.SQLite, ":") || strings.HasSuffix(c.Store.SQLite, "/") {
		r.test("store.sqlite", complaint{"want the path of a file", ""})
	}
	if c.Sweep.Jitter > 6*time.Hour {
		r.test("sweep.jitter", complaint{"want 0s to 6h", ""})
	}
	if c.Workers < 1 || c.Workers > 64 {
		r.test("workers", complaint{"want 1 to 64", ""})
	}
}

func policyFault(p plan.Policy, api bool) complaint {
	switch {
	case p == plan.CreateOnly, p == plan.UpsertOnly, p == plan.Sync && api:
		return complaint{}
	case p == plan.Sync:
		return complaint{"sync is refused without okta.auth: removals would rest on events alone, with no second proof and no status",
			"add okta.auth, or write upsert-only, which removes nobody"}
	}
	c := choice(string(p), string(plan.CreateOnly), string(plan.UpsertOnly), string(plan.Sync))
	c.problem = "unknown policy; " + c.problem
	return c
}

func (r *reader) checkAddresses(c *Config) {
	r.test("listen", addressFault(c.Listen))
	r.test("admin_listen", addressFault(c.AdminListen))
	if r.bad["listen"] || r.bad["admin_listen"] {
		return
	}
	if c.Listen == c.AdminListen && !strings.HasSuffix(c.Listen, ":0") {
		if r.ok("admin_listen") {
			r.fault("admin_listen", complaint{"is the same address as listen; want one of its own", ""})
		} else {
			r.fault("listen", complaint{"is the same address as admin_listen; want one of its own", ""})
		}
	}
	if host, _, _ := net.SplitHostPort(c.AdminListen); !isLoopback(host) {
		r.warn("admin_listen", "is open to other machines, and asks for no password", "127.0.0.1:9090 is open to this machine alone")
	}
}

func addressFault(s string) complaint {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return complaint{"want an address with a port, such as :8080 or 127.0.0.1:8080", ""}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return complaint{"want a port from 0 to 65535 after the colon", ""}
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostname(host) {
		return complaint{"want a host name or an IP address before the port", ""}
	}
	return complaint{}
}

func isHostname(s string) bool {
	label := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	for part := range strings.SplitSeq(s, ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return len(s) <= 253
}

func isLoopback(host string) bool {
	if host = strings.ToLower(strings.TrimSuffix(host, ".")); host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

const uuid = `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`

// instanceFault knows ids, ARNs and aliases. Source: Amazon Connect API,
// DirectoryAlias and InstanceId.
func instanceFault(s string) complaint {
	const want = "want the id, the ARN or the alias of an instance"
	if strings.HasPrefix(s, "arn:") {
		if arnRegion(s) == "" {
			return complaint{"is not the ARN of an instance", "one looks like arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555"}
		}
		return complaint{}
	}
	alias := regexp.MustCompile(`^[A-Za-z0-9](-*[A-Za-z0-9])*$`)
	if regexp.MustCompile(`^`+uuid+`$`).MatchString(s) || alias.MatchString(s) && len(s) <= 62 && !strings.HasPrefix(s, "d-") {
		return complaint{}
	}
	if u, err := url.Parse(s); err == nil {
		if first, _, _ := strings.Cut(u.Hostname(), "."); u.Scheme == "https" && alias.MatchString(first) {
			return complaint{"is an address; " + want, "did you mean " + first + "?"}
		}
	}
	return complaint{want, ""}
}

// arnRegion gives the region in the ARN of an instance, or nothing.
func arnRegion(arn string) string {
	m := regexp.MustCompile(`^arn:aws[a-z-]*:connect:([a-z0-9-]+):[0-9]{12}:instance/` + uuid + `$`).FindStringSubmatch(arn)
	if m == nil {
		return ""
	}
	return m[1]
}

// checkShortForm sees to it that there is one form, and that it is whole. Beside
// the short form stand no personas but those of suspended agents.
func (r *reader) checkShortForm(c *Config) {
	short := r.written("routing_profile", "security_profiles", "group")
	long := r.written("personas", "default_persona", "rules")
	parked := slices.Equal(long, []string{"personas"}) && len(r.meant("leavers.suspend_as")) > 0
	switch {
	case len(short) > 0 && len(long) > 0 && !parked:
		for _, key := range short {
			r.test(key, complaint{"is the short form and cannot stand beside " + strings.Join(long, " and "), "move it into a persona"})
		}
	case len(long) > 0 && len(short) == 0:
		r.needs(long, []string{"personas", "rules"})
	case len(short) > 0:
		r.needs(short, []string{"routing_profile", "security_profiles"})
		r.checkProfiles("", c.SecurityProfiles, false, 1)
		r.checkTemplate("routing_profile", c.RoutingProfile, nil)
		if r.ok("group") {
			r.checkGroup("group", c.Group)
		}
		if _, taken := c.Personas[shortPersona]; taken {
			r.findings(placeOf(r.keys["personas."+shortPersona]), "personas."+shortPersona, complaint{"is the persona that the short form makes", "call it otherwise"})
		}
	case !r.partial && !r.suggested["personas"] && !r.suggested["rules"] && !r.suggested["routing_profile"] && !r.suggested["security_profiles"]:
		r.fault("personas", complaint{"is missing, and so is the short form; nobody would get an agent", "write personas and rules, or routing_profile and security_profiles"})
	}
}

// written gives those of the keys that the file has.
func (r *reader) written(keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return r.values[key] == nil })
}

// needs tells of keys that are missing beside those that are there.
func (r *reader) needs(have, want []string) {
	for _, key := range want {
		if !slices.Contains(have, key) && !r.suggested[key] && !r.partial {
			r.fault(key, complaint{"is missing; it belongs to " + strings.Join(have, " and "), ""})
		}
	}
}

// maxSocket is how many bytes the path of a Unix socket may have, on the
// strictest of the usual systems.
const maxSocket = 103

// checkSocket judges the path of the socket, be it written or made up.
func (r *reader) checkSocket(c *Config) {
	if n := len(c.Socket); n > maxSocket && !r.bad["store.sqlite"] {
		r.test("socket", complaint{fmt.Sprintf("the path has %d bytes (%s); systems allow %d", n, c.Socket, maxSocket), "set socket to a shorter path"})
	}
}
