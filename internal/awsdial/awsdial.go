// Package awsdial keeps what is meant for a service of AWS from this machine and its
// link-local network, where metadata services are. A name, a variable or a file of the
// AWS CLI may lead anywhere, so an address is looked at when it is dialled, too.
package awsdial

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Rule says where a service of AWS may be. Private addresses are fine: endpoints of a
// VPC have such.
type Rule struct {
	Service  string // as people call it, for messages
	Loopback bool   // it may be a program on this machine
}

// RefusedError says why the service cannot be at an address.
type RefusedError struct{ reason string }

func (e *RefusedError) Error() string { return e.reason }

// Host gives a *RefusedError for the host of a URL that is spelled as an address at
// which the service cannot be, or as the name of this machine.
func (r Rule) Host(host string) error {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		return r.Address(ip)
	}
	if !r.Loopback && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return r.here()
	}
	return nil
}

// Address gives a *RefusedError for an address at which the service cannot be.
func (r Rule) Address(ip netip.Addr) error {
	ip = ip.Unmap()
	switch {
	case ip.IsLoopback() && r.Loopback:
		return nil
	case ip.IsLoopback(), ip.IsUnspecified():
		return r.here()
	case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return &RefusedError{fmt.Sprintf("%s is a link-local or multicast address, so it is not %s", ip, r.Service)}
	}
	return nil
}

func (r Rule) here() error {
	return &RefusedError{"it is on this machine, so it is not " + r.Service + "; set allow_loopback if that is meant"}
}

// Guard makes the client of the AWS configuration, which knows about proxies and CA
// bundles, look at each address that it dials. Where there is a proxy on the way to a
// URL, it does not: a proxy is whatever the operator says.
func (r Rule) Guard(client aws.HTTPClient, to *url.URL) *awshttp.BuildableClient {
	base := Client(client)
	if proxy := base.GetTransport().Proxy; proxy != nil {
		if by, err := proxy(&http.Request{URL: to}); err == nil && by != nil {
			return base
		}
	}
	return base.WithDialerOptions(func(d *net.Dialer) { d.Control = r.control })
}

// control is Address for a net.Dialer.
func (r Rule) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %q: %w", address, err)
	}
	return r.Address(at.Addr())
}

// Client is the client of the AWS configuration, or the usual one where that has none
// of its kind.
func Client(client aws.HTTPClient) *awshttp.BuildableClient {
	if base, ok := client.(*awshttp.BuildableClient); ok {
		return base
	}
	return awshttp.NewBuildableClient()
}
