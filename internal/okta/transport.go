package okta

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// origin checks the address of an org and gives it with a trailing slash. Its
// errors do not repeat it, since it may hold a password by mistake.
//
// It must be https://host or https://host:port. With loopback, http and https on
// a loopback host are fine too. Addresses that no org can have are refused here
// where they are written as such, and when they are dialed where a name leads to
// them.
func origin(org string, loopback bool) (*url.URL, error) {
	u, err := url.Parse(org)
	switch {
	case org == "":
		return nil, errors.New("the address of the org is missing")
	case err != nil:
		return nil, errors.New("the address of the org is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the address of the org must begin with https://")
	case u.User != nil:
		return nil, errors.New("the address of the org must not contain a user or password")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("the address of the org has no host")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.HasSuffix(org, "#"):
		return nil, errors.New("the address of the org must end after the host, as in https://example.okta.com")
	}
	local, err := checkHost(u.Hostname(), loopback)
	if err != nil {
		return nil, fmt.Errorf("org %s: %w", u.Host, err)
	}
	if u.Scheme == "http" && !local {
		return nil, fmt.Errorf("org %s: only https is allowed", u.Host)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: "/"}, nil
}

// checkHost refuses hosts that are spelled as an address and are not public. It
// reports whether the host is a loopback one, which needs leave.
func checkHost(host string, loopback bool) (local bool, err error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if !loopback {
			return true, errors.New("loopback addresses are not allowed")
		}
		return true, nil
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		ip = embedded(ip)
		return ip.IsLoopback(), dialGuard{loopback: loopback}.check(ip)
	}
	// What ends in a number is an address to many resolvers, in forms such as
	// 0x7f.1 that a proxy would resolve out of our sight.
	// Source: WHATWG URL Standard, "ends in a number".
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == "" {
		return false, errors.New("neither a host name nor an address in the usual form")
	}
	return false, nil
}

// errAddress refuses an address.
var errAddress = errors.New("not an address to call")

// errProxy says that the proxy does not let us through.
var errProxy = errors.New("the proxy refuses the connection")

// dialGuard decides about the address of a connection after it was resolved and
// before it is made, so that no answer of a name server can lead elsewhere.
type dialGuard struct {
	loopback bool // loopback addresses are fine too
	only     bool // and nothing else is: for plain http
	proxy    bool // the address is that of the proxy that the operator chose
}

// check gives an error for an address that must not be called.
//
// An org is on the public Internet, so every other range is refused, the
// metadata services of clouds first of all. A proxy may well be in a private
// network or on this machine; it may not be in a range where metadata lives.
func (g dialGuard) check(ip netip.Addr) error {
	ip = embedded(ip)
	switch {
	case ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), within(metadataRanges, ip):
		return fmt.Errorf("%w: %s", errAddress, ip)
	case g.proxy:
		return nil
	case ip.IsLoopback() && g.loopback:
		return nil
	case g.only:
		return fmt.Errorf("%w: plain http goes to loopback alone, not to %s", errAddress, ip)
	case within(specialRanges, ip):
		return fmt.Errorf("%w: %s is not on the public Internet", errAddress, ip)
	}
	return nil
}

// control is check for a net.Dialer.
func (g dialGuard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", errAddress)
	}
	return g.check(to.Addr())
}

// embedded gives the IPv4 address that an IPv6 address leads to, if it does:
// mapped, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056).
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.WithZone("").Unmap()
	if !ip.Is6() || ip.IsUnspecified() || ip.IsLoopback() {
		return ip
	}
	b := ip.As16()
	switch {
	case within(nat64, ip), within(compatible, ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case within(sixToFour, ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

func within(ranges string, ip netip.Addr) bool {
	for r := range strings.FieldsSeq(ranges) {
		if netip.MustParsePrefix(r).Contains(ip) {
			return true
		}
	}
	return false
}

// Ranges of addresses. Source of specialRanges: IANA, IPv4 and IPv6 Special-Purpose
// Address Registries. Source of metadataRanges: the documents of AWS, Azure,
// Alibaba Cloud and Oracle Cloud.
const (
	metadataRanges = "169.254.0.0/16 fd00:ec2::/32 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32"
	specialRanges  = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
		"192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 " +
		"::1/128 64:ff9b:1::/48 100::/64 2001:db8::/32 3fff::/20 fc00::/7 fec0::/10"
	nat64      = "64:ff9b::/96"
	compatible = "::/96"
	sixToFour  = "2002::/16"
)

// newTransport makes the way to an org: through the proxy if there is one,
// guarded, and with the certificates of caFile beside the system's.
func newTransport(org *url.URL, config ClientConfig) (*http.Transport, error) {
	proxy, err := config.Proxy(&http.Request{URL: org})
	if err != nil {
		// The words of this error hold the proxy's address, and so its password.
		return nil, errors.New("the address of the proxy cannot be used")
	}
	roots, err := rootCAs(config.CAFile)
	if err != nil {
		return nil, err
	}
	guard := dialGuard{loopback: config.AllowLoopback, only: org.Scheme == "http"}
	direct := net.Dialer{Timeout: config.Timeout, KeepAlive: 30 * time.Second, Resolver: config.resolver, Control: guard.control}
	viaProxy := direct
	viaProxy.Control = dialGuard{proxy: true}.control
	proxyAddress := ""
	if proxy != nil {
		proxyAddress = hostPort(proxy)
	}
	return &http.Transport{
		Proxy: http.ProxyURL(proxy),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if proxy != nil && address == proxyAddress {
				return viaProxy.DialContext(ctx, network, address)
			}
			return direct.DialContext(ctx, network, address)
		},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%w: %d", errProxy, answer.StatusCode)
			}
			return nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    config.Timeout,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        parallel,
		MaxIdleConnsPerHost:    parallel,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// hostPort gives the address of a proxy as a transport dials it.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the CA file %s holds no certificate in PEM", file)
	}
	return pool, nil
}
