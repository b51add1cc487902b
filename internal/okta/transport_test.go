package okta

import (
	"context"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// noProxy is the proxy of an environment without one.
func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// Addresses of orgs that are refused before anything is called.
func TestOrgAddresses(t *testing.T) {
	t.Parallel()
	refused := []string{
		"", "example.okta.com", "//example.okta.com", "https://", "https:example.okta.com", "https:///x",
		"http://example.okta.com", "file:///etc/passwd", "gopher://example.okta.com", "ftp://example.okta.com", "javascript:alert(1)",
		"https://user@example.okta.com", "https://canary:canary@example.okta.com", "https://example.okta.com/api", "https://example.okta.com?x=1",
		"https://example.okta.com?", "https://example.okta.com#x", "https://example.okta.com#", "https://example okta.com", "https://example.okta.com:x",
		"https://169.254.169.254", "https://169.254.169.254:443", "https://[::ffff:a9fe:a9fe]", "https://[::ffff:169.254.169.254]",
		"https://[64:ff9b::a9fe:a9fe]", "https://[2002:a9fe:a9fe::]", "https://[::a9fe:a9fe]", "https://[fe80::1]", "https://[fe80::1%25eth0]",
		"https://[fd00:ec2::254]", "https://168.63.129.16", "https://100.100.100.200", "https://192.0.0.192",
		"https://0x7f.1", "https://127.1", "https://2130706433", "https://0177.0.0.1", "https://0x7f000001", "https://0",
		"https://127.0.0.1", "https://localhost", "https://LOCALHOST.", "https://a.localhost", "https://[::1]", "https://[::ffff:127.0.0.1]",
		"https://0.0.0.0", "https://[::]", "https://10.0.0.1", "https://192.168.1.1", "https://172.16.0.1", "https://100.64.0.1",
		"https://[fc00::1]", "https://224.0.0.1", "https://[ff02::1]", "https://255.255.255.255", "https://.", "https://example.okta.com..",
	}
	for _, org := range refused {
		client, err := NewClient(ClientConfig{Org: org, Token: "token", Proxy: noProxy})
		if err == nil || client != nil {
			t.Errorf("%s is taken", org)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", org, err)
		}
	}
	if len(refused) < 40 {
		t.Errorf("%d cases; 40 are wanted", len(refused))
	}
	// Leave for loopback is leave for nothing else.
	local := map[string]bool{
		"http://127.0.0.1:8080": true, "http://localhost:8080": true, "https://[::1]:8443": true, "http://127.9.9.9": true, "https://a.localhost": true,
		"https://169.254.169.254": false, "http://169.254.169.254": false, "https://10.0.0.1": false, "http://example.okta.com": false,
		"http://[::ffff:a9fe:a9fe]": false, "http://0.0.0.0": false, "http://0x7f.1": false, "https://example.okta.com": true,
	}
	for org, fine := range local {
		if _, err := NewClient(ClientConfig{Org: org, Token: "token", AllowLoopback: true, Proxy: noProxy}); (err == nil) != fine {
			t.Errorf("with loopback, %s: %v", org, err)
		}
	}
	for _, org := range []string{"https://example.okta.com", "https://Example.Okta.com/", "https://example.okta.com:8443", "https://8.8.8.8", "https://[2606:4700::1111]"} {
		if _, err := NewClient(ClientConfig{Org: org, Token: "token", Proxy: noProxy}); err != nil {
			t.Errorf("%s: %v", org, err)
		}
	}
}

// Every address that a name may resolve to is judged when it is dialed.
func TestDialGuard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address                    string
		public, local, only, proxy bool // is fine for an org, with loopback, over plain http, for a proxy
	}{
		{"8.8.8.8", true, true, false, true},
		{"2606:4700::1111", true, true, false, true},
		{"127.0.0.1", false, true, true, true},
		{"::1", false, true, true, true},
		{"::ffff:127.0.0.1", false, true, true, true},
		{"10.1.2.3", false, false, false, true},
		{"192.168.0.10", false, false, false, true},
		{"172.31.255.255", false, false, false, true},
		{"fd12::1", false, false, false, true},
		{"100.64.0.1", false, false, false, true},
		{"64:ff9b::a00:1", false, false, false, true},
		{"198.18.0.1", false, false, false, true},
		{"240.0.0.1", false, false, false, true},
		{"169.254.169.254", false, false, false, false},
		{"169.254.0.1", false, false, false, false},
		{"::ffff:a9fe:a9fe", false, false, false, false},
		{"64:ff9b::a9fe:a9fe", false, false, false, false},
		{"2002:a9fe:a9fe::1", false, false, false, false},
		{"::169.254.169.254", false, false, false, false},
		{"fe80::1", false, false, false, false},
		{"fd00:ec2::254", false, false, false, false},
		{"168.63.129.16", false, false, false, false},
		{"100.100.100.200", false, false, false, false},
		{"192.0.0.192", false, false, false, false},
		{"0.0.0.0", false, false, false, false},
		{"::", false, false, false, false},
		{"::ffff:0.0.0.0", false, false, false, false},
		{"224.0.0.1", false, false, false, false},
		{"ff02::1", false, false, false, false},
	} {
		for name, g := range map[string]struct {
			dialGuard
			fine bool
		}{
			"public": {dialGuard{}, c.public},
			"local":  {dialGuard{loopback: true}, c.local},
			"only":   {dialGuard{loopback: true, only: true}, c.only},
			"proxy":  {dialGuard{proxy: true}, c.proxy},
		} {
			address := netip.AddrPortFrom(netip.MustParseAddr(c.address), 443).String()
			if err := g.control("tcp", address, nil); (err == nil) != g.fine {
				t.Errorf("%s for %s: %v", c.address, name, err)
			}
		}
	}
	if err := (dialGuard{proxy: true}).control("tcp", "nonsense", nil); err == nil {
		t.Error("nonsense is dialed")
	}
}

// nameServer answers each question for an IPv4 address with the next of its
// addresses, and every other question with nothing.
type nameServer struct {
	addresses []string
	asked     atomic.Int64
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go s.answer(theirs)
		return ours, nil
	}}
}

// answer speaks DNS over a stream: each message has its length before it.
// Source: RFC 1035, sections 4.1 and 4.2.2.
func (s *nameServer) answer(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		end := 12
		for question[end] != 0 {
			end += int(question[end]) + 1
		}
		end += 5
		isA := binary.BigEndian.Uint16(question[end-4:]) == 1
		reply := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end]...)
		if isA {
			n := int(s.asked.Add(1)) - 1
			ip := netip.MustParseAddr(s.addresses[min(n, len(s.addresses)-1)]).As4()
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, ip[:]...)
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// A name that leads somewhere else each time is judged each time: neither the
// first answer nor a later one leads to where no org is.
func TestDNSRebinding(t *testing.T) {
	t.Parallel()
	for _, addresses := range [][]string{
		{"127.0.0.1"},
		{"169.254.169.254"},
		{"10.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "169.254.169.254"},
	} {
		var called atomic.Int64
		local := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
		t.Cleanup(local.Close)
		_, port, _ := net.SplitHostPort(local.Listener.Addr().String())
		names := &nameServer{addresses: addresses}
		client, err := NewClient(ClientConfig{
			Org: "https://org.example:" + port, Token: "token", Proxy: noProxy, resolver: names.resolver(),
			Wait: func(context.Context, time.Duration) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		for range 3 {
			err := client.object(t.Context(), apiCall{class: classUser, url: client.path(nil, "users", "me")}, new(oktaUser))
			if !errors.Is(err, errAddress) {
				t.Errorf("%s: %v", addresses, err)
			}
		}
		if called.Load() > 0 || names.asked.Load() != 3 {
			t.Errorf("%s: %d calls, %d questions", addresses, called.Load(), names.asked.Load())
		}
	}
}

// A redirect is an error, wherever it leads.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, location := range []string{elsewhere.URL, "/api/v1/users/other", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", ""} {
		for _, status := range []int{301, 302, 303, 307, 308, 300, 304} {
			calls := 0
			org := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			}))
			client, err := NewClient(ClientConfig{Org: org.URL, Token: "token", AllowLoopback: true, Proxy: noProxy})
			if err != nil {
				t.Fatal(err)
			}
			err = client.object(t.Context(), apiCall{class: classUser, url: client.path(nil, "users", "x")}, new(oktaUser))
			var answer *APIError
			if !errors.As(err, &answer) || answer.Status != status || calls != 1 {
				t.Errorf("%d to %q: %v, %d calls", status, location, err, calls)
			}
			client.Close()
			org.Close()
		}
	}
	if called.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// A proxy gets a tunnel to the org, and never the credential. Its password is in
// no error.
func TestProxy(t *testing.T) {
	t.Parallel()
	var asked, authorized string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, authorized = r.Method+" "+r.Host, r.Header.Get("Authorization")
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(proxy.Close)
	at, _ := url.Parse(proxy.URL)
	at.User = url.UserPassword("user", "canary")
	client, err := NewClient(ClientConfig{
		Org: "https://example.okta.com", Token: "token", Proxy: http.ProxyURL(at),
		Wait: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	err = client.object(t.Context(), apiCall{class: classUser, url: client.path(nil, "users", "x")}, new(oktaUser))
	if !errors.Is(err, errProxy) || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "407") {
		t.Error(err)
	}
	if asked != "CONNECT example.okta.com:443" || authorized != "" {
		t.Errorf("the proxy was asked for %q with %q", asked, authorized)
	}
	_, err = NewClient(ClientConfig{Org: "https://example.okta.com", Token: "token", Proxy: func(*http.Request) (*url.URL, error) {
		return nil, errors.New("http://user:canary@proxy:x")
	}})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}

// A server whose certificate nobody vouches for is not talked to, and one of the
// own CA is.
func TestCertificates(t *testing.T) {
	t.Parallel()
	org := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"x"}`)
	}))
	org.Config.ErrorLog = log.New(io.Discard, "", 0)
	org.StartTLS()
	t.Cleanup(org.Close)
	file := t.TempDir() + "/ca.pem"
	writeCertificate(t, file, org.Certificate().Raw)
	for ca, fine := range map[string]bool{"": false, file: true} {
		client, err := NewClient(ClientConfig{
			Org: org.URL, Token: "token", AllowLoopback: true, CAFile: ca, Proxy: noProxy,
			Wait: func(context.Context, time.Duration) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		err = client.object(t.Context(), apiCall{class: classUser, url: client.path(nil, "users", "x")}, new(oktaUser))
		if (err == nil) != fine {
			t.Errorf("CA file %q: %v", ca, err)
		}
	}
}

// A caller who has no time left hears when to come back, and one who is gone is
// not kept.
func TestPatience(t *testing.T) {
	t.Parallel()
	client, err := NewClient(ClientConfig{Org: "https://example.okta.com", Token: "token", Proxy: noProxy})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for d, patience := range map[time.Duration]time.Duration{3 * time.Second: brief, 4 * time.Second: patient} {
		err := client.pause(ctx, apiCall{patience: patience}, d, errBudget)
		if wait, ok := reconcile.AsAfter(err); !ok || wait != d || !errors.Is(err, errBudget) {
			t.Errorf("%s: %v", d, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.pause(gone, apiCall{patience: patient}, time.Minute, errBudget); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := client.pause(t.Context(), apiCall{patience: patient}, time.Microsecond, errBudget); err != nil {
		t.Error(err)
	}
}

// FuzzLinks: whatever a Link header holds, reading it ends, and what it gives
// for next stays on the list.
func FuzzLinks(f *testing.F) {
	f.Add(`<https://example.okta.com/api/v1/users?after=x>; rel="next"`)
	f.Add(`<a>; rel="self", <b>; rel=next; title="x, \"y"`)
	f.Add(`<`)
	f.Fuzz(func(t *testing.T, line string) {
		from := &url.URL{Scheme: "https", Host: "example.okta.com", Path: "/api/v1/users"}
		var p page
		if err := p.follow(from, http.Header{"Link": {line}}); err != nil || p.next == nil {
			return
		}
		if p.next.Scheme != "https" || !strings.EqualFold(p.next.Hostname(), from.Host) || p.next.User != nil || p.next.EscapedPath() != from.Path {
			t.Errorf("%q leads to %s", line, p.next)
		}
	})
}

func writeCertificate(t *testing.T, file string, der []byte) {
	t.Helper()
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
