package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Notify says who is told when something waits for approval.
type Notify struct {
	// A reference to the https address that gets a POST with a short JSON text. The
	// address counts as a secret. It must have a name on the internet, and what the
	// name stands for must be there too.
	Webhook string `yaml:"webhook" type:"reference" example:"env:CONNECTROSTER_WEBHOOK"`
}

// Webhook looks up the address of the webhook, as it is now. It is empty where
// there is none; an error does not show it.
func (c *Config) Webhook() (string, error) {
	if c.Notify.Webhook == "" {
		return "", nil
	}
	address, fault := c.refs.resolve(c.Notify.Webhook, webhookAddress)
	if fault.problem == "" {
		fault = webhookFault(address, c.AllowLoopback)
	}
	if fault.problem != "" {
		return "", fmt.Errorf("resolve notify.webhook %s: %s", c.Notify.Webhook, fault.problem)
	}
	return address, nil
}

// resolveNotify looks the address of the webhook up and tells when that fails.
func (r *reader) resolveNotify(c *Config) {
	const path = "notify.webhook"
	if !r.ok(path) {
		return
	}
	address := r.resolveOne(path, c.Notify.Webhook, webhookAddress)
	if !r.bad[path] && r.secrets.wants(webhookAddress) {
		r.test(path, webhookFault(address, c.AllowLoopback))
	}
}

// webhookFault keeps a webhook on the internet, without showing its address.
// Names that only look public are for those to refuse who connect.
func webhookFault(address string, allowLoopback bool) complaint {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return complaint{"the secret is not an address such as https://hooks.example.com/x", ""}
	}
	host := strings.ToLower(u.Hostname())
	inside := func(suffix string) bool { return strings.HasSuffix(strings.TrimSuffix(host, "."), suffix) }
	_, notIP := netip.ParseAddr(host)
	switch {
	case u.User != nil:
		return complaint{"the address of the webhook must not hold a user or a password", ""}
	case isLoopback(host) && !allowLoopback:
		return complaint{"the address of the webhook is this machine", "set allow_loopback: true to try things"}
	case isLoopback(host) && (u.Scheme == "http" || u.Scheme == "https"):
		return complaint{}
	case u.Scheme != "https":
		return complaint{"the address of the webhook must be https", ""}
	case notIP == nil, !isPublicName(host), inside(".local"), inside(".internal"):
		return complaint{"the address of the webhook must have the name of a host on the internet, and not an IP address", ""}
	}
	return complaint{}
}
