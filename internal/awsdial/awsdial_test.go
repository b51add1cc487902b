package awsdial

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAddress(t *testing.T) {
	t.Parallel()
	for ip, ok := range map[string]struct{ usually, loopback bool }{
		"52.1.2.3": {true, true}, "10.0.0.5": {true, true}, "2600:1f18::1": {true, true}, // endpoints of a VPC have private ones
		"127.0.0.1": {false, true}, "127.9.9.9": {false, true}, "::1": {false, true}, "::ffff:127.0.0.1": {false, true},
		"0.0.0.0": {}, "::": {}, "::ffff:0.0.0.0": {}, "169.254.170.2": {}, "::ffff:a9fe:a9fe": {}, "fe80::1": {}, "ff02::1": {}, "224.0.0.1": {},
	} {
		for loopback, want := range map[bool]bool{false: ok.usually, true: ok.loopback} {
			rule := Rule{Service: "Amazon Example", Loopback: loopback}
			for how, err := range map[string]error{"address": rule.Address(netip.MustParseAddr(ip)), "host": rule.Host(ip)} {
				_, refused := errors.AsType[*RefusedError](err)
				if (err == nil) != want || refused == want || !want && !strings.Contains(err.Error(), "so it is not Amazon Example") {
					t.Errorf("%s as %s, loopback %t: %v", ip, how, loopback, err)
				}
			}
		}
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "LOCALHOST", "localhost.", "x.localhost", "x.Localhost.", "127.0.0.1."} {
		if err := (Rule{}).Host(host); err == nil {
			t.Errorf("%s passes", host)
		}
		if err := (Rule{Loopback: true}).Host(host); err != nil {
			t.Errorf("%s with leave: %v", host, err)
		}
	}
	for _, host := range []string{"connect.eu-central-1.amazonaws.com", "notlocalhost", "localhost.example.com"} {
		if err := (Rule{}).Host(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestGuard dials this machine: by its name and by its address, with leave and
// without, and by way of a proxy, which is not judged.
func TestGuard(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxied := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = http.ProxyURL(at) })
	plain := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	for name, c := range map[string]struct {
		client   *awshttp.BuildableClient
		host     string
		loopback bool
		passes   bool
	}{
		"by address":         {client: plain, host: at.Host},
		"by name":            {client: plain, host: "localhost:" + at.Port()},
		"with leave":         {client: plain, host: at.Host, loopback: true, passes: true},
		"by name with leave": {client: plain, host: "localhost:" + at.Port(), loopback: true, passes: true},
		"by a proxy":         {client: proxied, host: "service.example.com", passes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &url.URL{Scheme: "http", Host: c.host}
			transport := Rule{Service: "Amazon Example", Loopback: c.loopback}.Guard(c.client, to).GetTransport()
			defer transport.CloseIdleConnections()
			r, err := (&http.Client{Transport: transport}).Get(to.String())
			if err == nil {
				_ = r.Body.Close()
			}
			if _, refused := errors.AsType[*RefusedError](err); (err == nil) != c.passes || refused == c.passes {
				t.Errorf("%v", err)
			}
		})
	}
}
