package config

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
)

// LoadCheck is the check that reads the configuration file at path. What it has
// read is given to got; without it there is nothing else to check.
func LoadCheck(path string, getenv func(string) string, got func(*Config)) doctor.Check {
	return doctor.Check{
		Name: "config", Hint: remedy.For("config").Do,
		Run: func(context.Context) []doctor.Finding {
			c, err := Load(path, getenv)
			var faults Faults
			switch {
			case errors.As(err, &faults):
				return found(doctor.Fail, faults)
			case errors.Is(err, fs.ErrNotExist):
				return []doctor.Finding{doctor.Failure("%s", err).As("config_missing").Todo("%s", remedy.For("config_missing").Do)}
			case err != nil:
				return []doctor.Finding{doctor.Failure("%s", err)}
			}
			got(c)
			rules := "1 rule"
			if n := len(c.Rules); n != 1 {
				rules = strconv.Itoa(n) + " rules"
			}
			out := []doctor.Finding{doctor.Okay("%s loads: %s, policy %s, %s mode, %s", path, c.Name, c.Policy, c.Mode(), rules)}
			return append(out, found(doctor.Warn, c.Warnings)...)
		},
	}
}

// found makes findings of faults.
func found(state doctor.State, faults Faults) []doctor.Finding {
	var out []doctor.Finding
	for _, f := range faults[:min(len(faults), maxPrinted)] {
		seen := fmt.Sprintf("%s:%d: ", f.File, f.Line)
		if f.Key != "" {
			seen += f.Key + ": "
		}
		finding := doctor.Finding{State: state, Seen: seen + f.Problem, Do: f.Hint}
		if state == doctor.Fail {
			finding.Code = "config_faulty"
		}
		out = append(out, finding)
	}
	if more := len(faults) - maxPrinted; more > 0 {
		out = append(out, doctor.Finding{State: state, Seen: fmt.Sprintf("and %d more", more)})
	}
	return out
}

// Checks gives what can be seen in a configuration that has loaded.
func (c *Config) Checks() []doctor.Check {
	check := func(name string, run func() []doctor.Finding) doctor.Check {
		out := doctor.Check{Name: name, Run: func(context.Context) []doctor.Finding { return run() }}
		out.Hint = remedy.For(out.Code()).Do
		return out
	}
	return []doctor.Check{check("secrets", c.secretsSeen), check("certificate", c.certificateSeen), check("mode", c.modeSeen), check("simulators", c.simulatorsSeen)}
}

func (c *Config) secretsSeen() []doctor.Finding {
	secrets, err := c.ResolveSecrets()
	switch {
	case err != nil:
		return []doctor.Finding{doctor.Failure("%s", err)}
	case len(secrets) == 1:
		return []doctor.Finding{doctor.Okay("one secret is accepted, in the header %s", c.Okta.Hook.Header)}
	}
	return []doctor.Finding{doctor.Okay("%d secrets are accepted, in the header %s: one can be changed for another", len(secrets), c.Okta.Hook.Header)}
}

// certificateSoon is how long before its end a certificate is warned of: those that are
// renewed by a program are by then.
const certificateSoon = 14 * 24 * time.Hour

func (c *Config) certificateSeen() []doctor.Finding {
	switch {
	case c.TLS.Cert == "" && c.Store.OnAWS():
		return []doctor.Finding{doctor.Okay("none is needed: Amazon API Gateway has its own")}
	case c.TLS.Cert == "":
		return []doctor.Finding{doctor.Okay("none: %s speaks HTTP, so a proxy in front has to speak HTTPS to Okta", c.Listen)}
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return []doctor.Finding{doctor.Failure("it cannot be used: %s", err)}
	}
	leaf, now := pair.Leaf, time.Now()
	until := leaf.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case now.Before(leaf.NotBefore):
		return []doctor.Finding{doctor.Failure("it is not valid before %s, so Okta cannot deliver", leaf.NotBefore.UTC().Format(time.RFC3339))}
	case now.After(leaf.NotAfter):
		return []doctor.Finding{doctor.Failure("it has expired on %s, so Okta cannot deliver", until)}
	case leaf.NotAfter.Sub(now) < certificateSoon:
		return []doctor.Finding{doctor.Warning("it expires on %s", until)}
	}
	return []doctor.Finding{doctor.Okay("it is valid until %s", until)}
}

func (c *Config) modeSeen() []doctor.Finding {
	if c.APIMode() {
		return []doctor.Finding{doctor.Okay("Okta's API is asked, and its System Log read every %s", c.Okta.CatchUp)}
	}
	return []doctor.Finding{doctor.Warning("hook-only mode: lost events are not found, and the agents of leavers are not removed")}
}

func (c *Config) simulatorsSeen() []doctor.Finding {
	if host := c.loopbackOrg(); host != "" {
		return []doctor.Finding{doctor.Warning("Okta is a program on this machine, at %s (okta.org)", host)}
	}
	if c.AllowLoopback {
		return []doctor.Finding{doctor.Warning("programs on this machine may stand in for Okta, Amazon Connect and other services of AWS (allow_loopback)")}
	}
	return []doctor.Finding{doctor.Okay("none is configured")}
}

// loopbackOrg gives the host of an org on this machine; empty: it is elsewhere.
func (c *Config) loopbackOrg() string {
	u, err := url.Parse(c.Okta.Org)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost") {
		return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
	}
	return ""
}
