package connect

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"connectroster/internal/awsdial"
	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	want := Info{ID: w.sim.ID(), ARN: w.sim.ARN(), Alias: "connectroster-sim", Region: "eu-central-1", Identity: "SAML", Status: "ACTIVE"}
	for _, c := range []struct {
		ref   string
		lists int // calls of ListInstances
	}{
		{w.sim.ID(), 0},
		{w.sim.ARN(), 0},
		{"connectroster-sim", 1},
		{"ConnectRoster-Sim", 1},
	} {
		before := w.sent("ListInstances")
		i := w.another(t, func(cfg *Config) { cfg.Instance = c.ref })
		for range 2 {
			got, err := i.Check(t.Context())
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", c.ref, err, diff)
			}
		}
		if n := w.sent("ListInstances") - before; n != c.lists {
			t.Errorf("%s: %d searches for the alias", c.ref, n)
		}
	}
}

func TestCheckRefusesIdentityTypes(t *testing.T) {
	t.Parallel()
	for identity, reason := range map[string]string{
		simconnect.ConnectManaged:    "password",
		simconnect.ExistingDirectory: "Active Directory",
	} {
		w := open(t, func(s *simconnect.Settings) { s.IdentityType = identity }, nil)
		info, err := w.Check(t.Context())
		if class(err) != "terminal" || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "SAML 2.0") {
			t.Errorf("%s: class %s: %v", identity, class(err), err)
		}
		if info.Identity != identity {
			t.Errorf("%s: info %+v", identity, info)
		}
	}
}

func TestCheckRefusesStates(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"Instance":{"Id":"a","IdentityManagementType":"SAML","InstanceStatus":"CREATION_IN_PROGRESS"}}`:                             "after 1m0s",
		`{"Instance":{"Id":"a","IdentityManagementType":"SAML","InstanceStatus":"CREATION_FAILED","StatusReason":{"Message":"why"}}}`: "terminal",
		`{"Instance":{"Id":"a","IdentityManagementType":"NEW","InstanceStatus":"ACTIVE"}}`:                                            "terminal",
		`{}`: "unknown",
	} {
		i := stub(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		if _, err := i.Check(t.Context()); class(err) != want {
			t.Errorf("%s: class %s: %v", body, class(err), err)
		}
	}
}

// A wrong instance ends the start, but makes no dead letters of people.
func TestNoSuchInstance(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	for _, ref := range []string{"22222222-2222-2222-2222-222222222222", "somewhere-else"} {
		i := w.another(t, func(cfg *Config) { cfg.Instance = ref })
		if _, err := i.Check(t.Context()); class(err) != "terminal" || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: class %s: %v", ref, class(err), err)
		}
		if _, err := i.Catalog(t.Context()); class(err) != "after 50s" {
			t.Errorf("%s: catalog: class %s: %v", ref, class(err), err)
		}
		if _, err := i.Holder(t.Context(), "ana"); class(err) != "after 50s" {
			t.Errorf("%s: holder: class %s: %v", ref, class(err), err)
		}
		if _, err := i.Apply(t.Context(), w.creation("00u1", "ana")); !strings.HasPrefix(class(err), "after") {
			t.Errorf("%s: create: class %s: %v", ref, class(err), err)
		}
	}
}

// Where not even the instance can be found, no creation was sent, so its outcome
// is known.
func TestCreateAliasUnknownYet(t *testing.T) {
	t.Parallel()
	w := open(t, nil, func(c *Config) { c.Instance = "connectroster-sim" })
	w.fault(t, simconnect.Fault{Operation: "ListInstances", Status: 500, Times: 3})
	if _, err := w.Apply(t.Context(), w.creation("00u1", "ana")); class(err) != "after 10s" {
		t.Errorf("class %s: %v", class(err), err)
	}
	w.mustCreate(t, "00u1", "ana") // an error is not kept
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*Config)
		says  string
	}{
		"no instance":       {func(c *Config) { c.Instance = "" }, "instance"},
		"no deployment":     {func(c *Config) { c.Deployment = "" }, "deployment"},
		"long deployment":   {func(c *Config) { c.Deployment = strings.Repeat("d", 257) }, "256"},
		"other region":      {func(c *Config) { c.Instance = "arn:aws:connect:us-east-1:123456789012:instance/" + c.Instance }, "us-east-1"},
		"ARN of an agent":   {func(c *Config) { c.Instance = "arn:aws:connect:eu-central-1:123456789012:instance/x/agent/y" }, "not the ARN"},
		"ARN of a bucket":   {func(c *Config) { c.Instance = "arn:aws:s3:::bucket" }, "not the ARN"},
		"negative rate":     {func(c *Config) { c.Rate = -1 }, "rate"},
		"rate of nothing":   {func(c *Config) { c.Rate = math.NaN() }, "rate"},
		"negative burst":    {func(c *Config) { c.Burst = -1 }, "burst"},
		"negative timeout":  {func(c *Config) { c.Timeout = -1 }, "timeout"},
		"unknown profile":   {func(c *Config) { c.Profile = "connectroster-has-no-such-profile" }, "profile"},
		"endpoint no URL":   {func(c *Config) { c.Endpoint = "ftp://x" }, "http"},
		"endpoint relative": {func(c *Config) { c.Endpoint = "connect" }, "http"},
	} {
		cfg := configFor("http://connect.example:8080")
		c.spoil(&cfg)
		if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegionOfARN(t *testing.T) {
	t.Parallel()
	cfg := configFor("http://connect.example:8080")
	cfg.Instance, cfg.Region = "arn:aws:connect:ap-southeast-2:123456789012:instance/"+cfg.Instance, ""
	i, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if i.region != "ap-southeast-2" {
		t.Errorf("region %s", i.region)
	}
}

func TestLocalEndpointRefused(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"http://127.0.0.1:8080", "http://127.1.2.3", "https://localhost:1", "http://LOCALHOST.", "http://x.localhost",
		"http://[::1]:80", "http://0.0.0.0", "http://[::]", "http://[::ffff:127.0.0.1]", "http://[::ffff:0.0.0.0]",
		"http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://[fe80::1]", "http://224.0.0.1",
	} {
		cfg := configFor(endpoint)
		cfg.AllowLoopback = false
		if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), endpoint) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	for _, endpoint := range []string{"http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://[fe80::1]"} {
		if _, err := New(t.Context(), configFor(endpoint)); err == nil {
			t.Errorf("%s: the metadata service passes for loopback", endpoint)
		}
	}
}

func refused(err error) bool {
	_, ok := errors.AsType[*awsdial.RefusedError](err)
	return ok
}

// A name in an endpoint may lead anywhere, so its address is looked at when it
// is dialled.
func TestLocalAddressRefusedAtDial(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(w.url, "http://"), ":")
	for _, host := range []string{"localhost", "127.0.0.1"} {
		u := "http://" + host + ":" + port
		client, err := httpClient(Config{AllowLoopback: true, Timeout: time.Minute}, nil, &u)
		if err != nil {
			t.Fatal(err)
		}
		guarded, err := httpClient(Config{Timeout: time.Minute}, nil, aws.String("http://connect.example:8080"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := client.Get(u + "/_sim/"); err != nil {
			t.Errorf("%s with loopback allowed: %v", host, err)
		} else {
			r.Body.Close()
		}
		if r, err := guarded.Get(u + "/_sim/"); !refused(err) {
			t.Errorf("%s: %v, %v", host, r, err)
		}
		client.CloseIdleConnections()
		guarded.CloseIdleConnections()
	}
}

// The AWS configuration counts: the endpoint and the credentials of its
// environment variables, and what is wrong with them is said by name. Not
// parallel, since it changes the environment.
func TestEnvironment(t *testing.T) {
	w := open(t, nil, nil)
	empty := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", empty)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", empty)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_ENDPOINT_URL_CONNECT", w.url)
	cfg := Config{Instance: w.sim.ID(), Deployment: deployment, AllowLoopback: true}

	i, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if _, err := i.Check(t.Context()); err != nil {
		t.Error(err)
	}

	cfg.AllowLoopback = false
	if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_CONNECT") {
		t.Errorf("loopback: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL", w.url+"/x")
	os.Unsetenv("AWS_ENDPOINT_URL_CONNECT")
	if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL ") {
		t.Errorf("loopback: %v", err)
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
	if aside, err := New(t.Context(), cfg); err != nil {
		t.Errorf("an endpoint that AWS's client ignores is refused: %v", err)
	} else {
		aside.Close()
	}
	os.Unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")

	t.Setenv("AWS_ENDPOINT_URL", w.url)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	cfg.AllowLoopback = true
	bare, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	before := w.sim.Stats().Calls
	for _, call := range []func() error{
		func() error { _, err := bare.Check(t.Context()); return err },
		func() error { _, err := bare.Apply(t.Context(), w.creation("00u1", "ana")); return err },
	} {
		if err := call(); class(err) != "after 50s" || !strings.Contains(err.Error(), "credentials") {
			t.Errorf("without credentials: class %s: %v", class(err), err)
		}
	}
	if n := w.sim.Stats().Calls - before; n != 0 {
		t.Errorf("%d calls without credentials", n)
	}

	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	forward := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	w := open(t, nil, func(c *Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	ids := make(map[string]string)
	for _, name := range []string{"Night", "night", "NIGHT", "Nacht & Tag, ärztlich"} {
		id, err := w.sim.AddRoutingProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = id
	}
	ids["Basic Routing Profile"] = w.sim.RoutingProfileID("Basic Routing Profile")
	c, err := w.Catalog(t.Context())
	if diff := cmp.Diff(plan.Offer(ids), c.RoutingProfiles); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, name := range []string{"Admin", "Agent", "CallCenterManager", "QualityAnalyst"} {
		if c.SecurityProfiles[name] != w.sim.SecurityProfileID(name) || c.SecurityProfiles[name] == "" {
			t.Errorf("security profile %s is %q", name, c.SecurityProfiles[name])
		}
	}
	reads := func(want int) {
		t.Helper()
		if n := w.sent("ListSecurityProfiles"); n != want {
			t.Errorf("read %d times, want %d", n, want)
		}
	}
	forward(5*time.Minute - 1)
	w.Catalog(t.Context())
	reads(1)
	forward(1)
	w.Catalog(t.Context())
	reads(2)
	w.Refresh(t.Context())
	reads(3)
	forward(-time.Hour) // a clock that was put back makes nothing young
	w.Catalog(t.Context())
	reads(4)
}

func TestCatalogPaging(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	for n := range 1000 {
		if _, err := w.sim.AddSecurityProfile(strings.Repeat("x", n%50+1) + time.Duration(n).String()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.Catalog(t.Context())
	if err != nil || len(c.SecurityProfiles) != 1004 || len(c.RoutingProfiles) != 1 {
		t.Errorf("%d security profiles, %d routing profiles, %v", len(c.SecurityProfiles), len(c.RoutingProfiles), err)
	}
	if n := w.sent("ListSecurityProfiles"); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestCatalogOddAnswers(t *testing.T) {
	t.Parallel()
	security := `{"SecurityProfileSummaryList":[{"Id":"s","Name":"S"}]}`
	for name, c := range map[string]struct {
		routing string
		want    plan.Offer // nil: an error
	}{
		"no list":     {`{}`, nil},
		"in circles":  {`{"RoutingProfileSummaryList":[{"Id":"r","Name":"R"}],"NextToken":"x"}`, nil},
		"no name":     {`{"RoutingProfileSummaryList":[{"Id":"r"}]}`, plan.Offer{"r": "r"}},
		"no id":       {`{"RoutingProfileSummaryList":[{"Name":"R"},{"Id":"q","Name":"Q"}]}`, plan.Offer{"Q": "q"}},
		"one of each": {`{"RoutingProfileSummaryList":[{"Id":"r","Name":"R"}]}`, plan.Offer{"R": "r"}},
	} {
		i := stub(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/security-profiles-summary/") {
				w.Write([]byte(security))
				return
			}
			w.Write([]byte(c.routing))
		})
		got, err := i.Catalog(t.Context())
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got.RoutingProfiles); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Many who want the catalog share one reading, and one who gives up in the
// middle of it fails nobody else.
func TestCatalogShared(t *testing.T) {
	t.Parallel()
	first := make(chan struct{})
	var once sync.Once
	i := stub(t, func(w http.ResponseWriter, r *http.Request) {
		interrupted := false
		once.Do(func() { interrupted = true; close(first) })
		if interrupted {
			<-r.Context().Done()
			return
		}
		w.Write([]byte(`{"RoutingProfileSummaryList":[],"SecurityProfileSummaryList":[]}`))
	})
	impatient, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := i.Catalog(impatient); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
	})
	<-first
	for range 8 {
		wg.Go(func() {
			if _, err := i.Catalog(t.Context()); err != nil {
				t.Errorf("who waited got %v", err)
			}
		})
	}
	giveUp()
	wg.Wait()
}
