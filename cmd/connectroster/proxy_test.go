package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	simokta "connectroster/internal/sim/okta"
)

// Names that exist behind the proxy alone.
const (
	proxiedOrg     = "roster-tests.okta.com"
	proxiedConnect = "connect.roster-tests.example.com"
)

// inspector is a proxy of the kind that companies have: it wants a password, and
// looks into connections, by certificates of an authority of its own.
type inspector struct {
	caFile string
	behind map[string]string // address by the host and port that is asked for

	mu    sync.Mutex
	asked []string
	bare  int // requests without the password
}

const proxyUser, proxyPassword = "roster", "canary-of-the-proxy"

func newInspector(t *testing.T, hosts map[string]http.Handler) (p *inspector, address string) {
	t.Helper()
	p = &inspector{caFile: filepath.Join(t.TempDir(), "ca.pem"), behind: map[string]string{}}
	authority, key := certify(t, nil, nil, "The Company")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	if err := os.WriteFile(p.caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for host, handler := range hosts {
		leaf, leafKey := certify(t, authority, key, host)
		s := httptest.NewUnstartedServer(handler)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey}}, MinVersion: tls.VersionTLS12}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		p.behind[host+":443"] = s.Listener.Addr().String()
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, server.Listener.Addr().String()
}

// certify makes a certificate for a host, or of an authority if there is none
// above it.
func certify(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = template, key
	} else {
		template.DNSNames, template.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// ServeHTTP makes a tunnel. Source: RFC 9110, section 9.3.6.
func (p *inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	known := r.Header.Get("Proxy-Authorization") == "Basic "+base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	if !known {
		p.bare++
	}
	p.mu.Unlock()
	to, open := p.behind[r.Host]
	if r.Method != http.MethodConnect || !known || !open {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(near, far) // until either side hangs up
		_ = near.Close()
	}()
	_, _ = io.Copy(far, buffered)
	_ = far.Close()
	<-back
}

// TestProxy runs the daemon where the one way out is a proxy that looks into
// connections: with its authority in the configuration everything works, and
// without it nobody is told the token.
func TestProxy(t *testing.T) {
	t.Parallel()
	const token = "canary-token-of-the-api"
	for name, trusting := range map[string]bool{"trusted": true, "not trusted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			org, err := simokta.New(simokta.Config{Tokens: []string{token}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = org.Close(t.Context()) })
			if _, err := org.AddGroup(agentGroup); err != nil {
				t.Fatal(err)
			}
			if _, err := org.AddUser(simokta.NewUser{Login: "ana@example.com", FirstName: "Ana", LastName: "Silva", Groups: []string{agentGroup}}); err != nil {
				t.Fatal(err)
			}
			var calls counter
			proxy, address := newInspector(t, map[string]http.Handler{proxiedOrg: calls.of(org), proxiedConnect: w.instance})
			okta := fmt.Sprintf("okta: {org: \"https://%s\", auth: {token: \"env:OKTA_API_TOKEN\"}, catch_up: 10s", proxiedOrg)
			if trusting {
				okta += fmt.Sprintf(", ca_file: %q", proxy.caFile)
			}
			w.configure(setup{config: okta + "}\n"})
			c := w.started(
				"OKTA_API_TOKEN="+token, "HTTPS_PROXY=http://"+proxyUser+":"+proxyPassword+"@"+address,
				"AWS_ENDPOINT_URL_CONNECT=https://"+proxiedConnect, "AWS_CA_BUNDLE="+proxy.caFile,
			)
			if trusting {
				eventually(t, patience, func() error {
					if n := len(w.instance.Agents()); n != 1 {
						return fmt.Errorf("%d agents", n)
					}
					return nil
				})
			} else {
				eventually(t, patience, func() error {
					if !strings.Contains(c.output.String(), "certificate signed by unknown authority") {
						return errors.New("the log does not tell of the certificate")
					}
					return nil
				})
				if n := len(w.instance.Agents()) + calls.count(); n != 0 {
					t.Errorf("%d calls and agents", n)
				}
			}
			c.signal(os.Interrupt)
			<-c.ended
			proxy.mu.Lock()
			defer proxy.mu.Unlock()
			for _, host := range []string{proxiedOrg, proxiedConnect} {
				if !slices.Contains(proxy.asked, "CONNECT "+host+":443") {
					t.Errorf("the proxy was asked for %q, and not for %s", proxy.asked, host)
				}
			}
			if proxy.bare > 0 {
				t.Errorf("%d requests came without the password", proxy.bare)
			}
			if strings.Contains(c.output.String(), "canary") {
				t.Error("the log holds a secret")
			}
		})
	}
}

// counter counts requests.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) of(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
