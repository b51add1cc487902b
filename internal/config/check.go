package config

import (
	"fmt"
	"maps"
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
	r.checkOkta(c)
	r.checkConnect(c)
	r.checkShortForm(c)
	for name, persona := range c.Personas {
		r.checkPersona(name, persona)
	}
	if !r.partial {
		r.checkRules(c)
	}
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
	case p == plan.CreateOnly:
		return complaint{}
	case p == plan.UpsertOnly:
		return complaint{"updates come with a later version", "write create-only for now"}
	case p == plan.Sync && api:
		return complaint{"updates and removals come with a later version", "write create-only for now"}
	case p == plan.Sync:
		return complaint{"sync is refused without okta.auth: removals would rest on events alone, with no second proof and no status", "write create-only; removals come with a later version, and need okta.auth"}
	}
	c := complaint{problem: "unknown policy; want create-only"}
	if near := nearest(string(p), []string{"create-only"}); near != "" {
		c.hint = "did you mean create-only?"
	}
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

func (r *reader) checkConnect(c *Config) {
	if r.ok("connect.instance") {
		r.test("connect.instance", instanceFault(c.Connect.Instance))
	}
	region := c.Connect.Region
	if r.ok("connect.region") {
		if !regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`).MatchString(region) {
			r.fault("connect.region", complaint{"want the name of an AWS region, such as eu-central-1", ""})
		} else if arn := arnRegion(c.Connect.Instance); arn != "" && arn != region {
			r.fault("connect.region", complaint{"is another region than that of the instance's ARN, " + arn, "leave one of them out"})
		}
	}
	if !(c.Connect.Rate > 0 && c.Connect.Rate <= 1000) {
		r.test("connect.rate", complaint{"want more than 0 and at most 1000", ""})
	}
	if c.Connect.Burst < 1 || c.Connect.Burst > 1000 {
		r.test("connect.burst", complaint{"want 1 to 1000", ""})
	}
}

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

// checkShortForm sees to it that there is one form, and that it is whole.
func (r *reader) checkShortForm(c *Config) {
	short := r.written("routing_profile", "security_profiles", "group")
	long := r.written("personas", "rules")
	switch {
	case len(short) > 0 && len(long) > 0:
		for _, key := range short {
			r.test(key, complaint{"is the short form and cannot stand beside " + strings.Join(long, " and "), "move it into a persona"})
		}
	case len(long) > 0:
		r.needs(long, []string{"personas", "rules"})
	case len(short) > 0:
		r.needs(short, []string{"routing_profile", "security_profiles"})
		r.checkProfiles("", c.SecurityProfiles, false)
		r.checkGroup("group", c.Group)
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

func (r *reader) checkPersona(name string, p Persona) {
	path := "personas." + name
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name) {
		r.findings(placeOf(r.keys[path]), "personas", complaint{"want a name of 1 to 64 letters, digits, _ and -", ""})
	}
	r.checkProfiles(path, p.SecurityProfiles, p.AllowAdmin)
	voice := path + ".voice"
	number := p.Voice.DeskNumber
	if !r.bad[voice+".desk_number"] && number != "" && !regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`).MatchString(number) {
		r.fault(voice+".desk_number", complaint{"want a number with + and country code, and digits only, such as \"+4930123456\"", ""})
	}
	switch p.Voice.Type {
	case plan.DeskPhone:
		if number == "" && !r.bad[voice+".desk_number"] && !r.suggested[voice+".desk_number"] && !r.partial {
			r.fault(voice+".desk_number", complaint{"is missing; desk_phone needs the number to call", ""})
		}
	case plan.SoftPhone:
		if number != "" {
			r.test(voice+".desk_number", complaint{"is of no use with soft_phone", "did you mean type: desk_phone?"})
		}
	default:
		r.test(voice+".type", choice(string(p.Voice.Type), string(plan.SoftPhone), string(plan.DeskPhone)))
	}
}

// checkProfiles judges the security profiles of a persona, or of the short form
// when path is empty. Their number is a limit of Amazon Connect, CreateUser.
func (r *reader) checkProfiles(path string, profiles []string, allowAdmin bool) {
	at := join(path, "security_profiles")
	if !r.ok(at) {
		return
	}
	if n := len(profiles); n < 1 || n > 10 {
		r.fault(at, complaint{fmt.Sprintf("names %d profiles; want 1 to 10", n), ""})
		return
	}
	for i, name := range profiles {
		one := fmt.Sprintf("%s[%d]", at, i)
		if slices.Contains(profiles[:i], name) {
			r.test(one, complaint{"is named twice", "remove one of them"})
		}
		if !strings.EqualFold(strings.TrimSpace(name), "admin") || allowAdmin {
			continue
		}
		hint := "write allow_admin: true in the persona if that is meant"
		if path == "" {
			hint = "the short form cannot give it; write personas and rules, with allow_admin: true in the persona"
		}
		r.test(one, complaint{"Admin may do everything in the instance, and is not given by rules", hint})
	}
}

func (r *reader) checkGroup(path, group string) {
	if !r.ok(path) {
		return
	}
	if strings.HasPrefix(group, "/") && strings.HasSuffix(group, "/") && len(group) > 1 {
		r.fault(path, complaint{"regular expressions come with a later version", "name the groups one by one for now"})
		return
	}
	if group != strings.TrimSpace(group) {
		r.warn(path, "begins or ends with a space, and names are compared to the letter", "leave the space out unless the group in Okta has it too")
	}
}

// checkRules judges the rules by themselves, with the personas and with each
// other.
func (r *reader) checkRules(c *Config) {
	if r.ok("rules") && len(c.Rules) == 0 {
		r.fault("rules", complaint{"is an empty list; nobody would get an agent", ""})
	}
	if r.ok("personas") && len(c.Personas) == 0 {
		r.fault("personas", complaint{"names no persona; nobody would get an agent", ""})
	}
	taken := map[string]int{} // group to the line of the rule that has it
	used := map[string]bool{}
	for i, rule := range c.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		used[rule.Persona] = true
		r.checkRulePersona(c, path+".persona", rule.Persona)
		r.checkRuleGroups(path+".groups", rule.Groups, taken)
		for _, g := range rule.Groups {
			if at, ok := r.find(path); ok && g != "" && taken[g] == 0 {
				taken[g] = at.line
			}
		}
	}
	for name := range c.Personas {
		if r.ok("rules") && !used[name] {
			r.warn("personas."+name, "no rule gives this persona", "")
		}
	}
}

func (r *reader) checkRulePersona(c *Config, path, name string) {
	if !r.ok(path) || !r.ok("personas") {
		return
	}
	if _, ok := c.Personas[name]; ok {
		return
	}
	fault := complaint{problem: "there is no such persona"}
	if !r.helpful() {
		r.fault(path, fault)
		return
	}
	names := slices.Sorted(maps.Keys(c.Personas))
	if near := nearest(name, names); near != "" {
		fault.hint = "did you mean " + near + "?"
	} else if len(names) <= 8 {
		fault.hint = "known: " + strings.Join(names, ", ")
	}
	r.fault(path, fault)
}

// checkRuleGroups tells of groups that an earlier rule has taken: the first rule
// that matches decides, so that they do nothing here.
func (r *reader) checkRuleGroups(path string, groups []string, taken map[string]int) {
	if !r.ok(path) {
		return
	}
	if len(groups) == 0 {
		r.fault(path, complaint{"is an empty list; want at least one group", ""})
		return
	}
	var dead []int
	seen := map[string]bool{}
	for i, g := range groups {
		one := fmt.Sprintf("%s[%d]", path, i)
		r.checkGroup(one, g)
		if seen[g] {
			r.test(one, complaint{"is listed twice in this rule", "remove one of them"})
		}
		seen[g] = true
		if taken[g] > 0 {
			dead = append(dead, i)
		}
	}
	if len(dead) == len(groups) {
		r.fault(path, complaint{fmt.Sprintf("this rule matches nobody, because earlier rules take all of its groups (line %d)", taken[groups[0]]), "remove it, or move it up"})
		return
	}
	for _, i := range dead {
		r.warn(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("has no effect here, because the rule on line %d takes this group", taken[groups[i]]), "")
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
