package okta_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

const (
	setupLabel  = "Amazon Connect"
	setupSecret = "pa55-word/+=current"
	setupNext   = "Basic b2t0YTpuZXh0"
)

// setupWorld is an org behind HTTP and an endpoint of ours.
type setupWorld struct {
	*sim.Org
	t        *testing.T
	url      string // of the org
	endpoint string // of the hook
	app      sim.App

	mu      sync.Mutex
	secrets []string // that the endpoint accepts
	writes  []string // calls to the org that are not reads, in order
	answer  func(w http.ResponseWriter, r *http.Request) bool
}

func newSetupWorld(t *testing.T, config sim.Config) *setupWorld {
	t.Helper()
	config.AllowHTTP, config.Tokens = true, []string{apiToken}
	if config.Settings.Timeout == 0 {
		config.Settings.Timeout = time.Minute // a busy machine may answer later than Okta waits for
	}
	org, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &setupWorld{Org: org, t: t, secrets: []string{setupSecret, setupNext}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		if r.Method != http.MethodGet && r.URL.Path != "/oauth2/v1/token" {
			w.writes = append(w.writes, r.Method+" "+r.URL.Path)
		}
		answer := w.answer
		w.mu.Unlock()
		if answer == nil || !answer(rw, r) {
			org.ServeHTTP(rw, r)
		}
	}))
	hook := newHook(t, okta.HookConfig{Secrets: w.accepted, Groups: func() []string { return []string{groupName} }, Queue: &queue{}})
	endpoint := serve(t, hook)
	t.Cleanup(func() {
		server.Close()
		if err := org.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.url, w.endpoint = server.URL, endpoint.URL+"/hooks/okta"
	if w.app, err = org.AddApp(sim.NewApp{Label: setupLabel}); err != nil {
		t.Fatal(err)
	}
	w.roles("ConnectAgent")
	return w
}

func (w *setupWorld) accepted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.secrets)
}

func (w *setupWorld) accept(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = secrets
}

func (w *setupWorld) intercept(f func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *setupWorld) roles(names ...string) {
	w.t.Helper()
	if err := w.SetAppRoles(setupLabel, names...); err != nil {
		w.t.Fatal(err)
	}
}

// took gives the writing calls since the last time.
func (w *setupWorld) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.writes
	w.writes = nil
	return taken
}

func (w *setupWorld) config(change func(*okta.OrgConfig)) okta.OrgConfig {
	c := okta.OrgConfig{
		Client: newAPIClient(w.t, w.url, nil), Deployment: "production", Groups: []string{groupName}, App: setupLabel,
		HookURL: w.endpoint, HookSecret: setupSecret,
	}
	if change != nil {
		change(&c)
	}
	return c
}

func (w *setupWorld) org(change func(*okta.OrgConfig)) *okta.Org {
	w.t.Helper()
	o, err := okta.NewOrg(w.config(change))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// setup runs a set-up that must not fail.
func (w *setupWorld) setup(change func(*okta.OrgConfig)) okta.Report {
	w.t.Helper()
	report, err := w.org(change).Setup(w.t.Context())
	if err != nil {
		w.t.Fatalf("%v\n%s", err, lines(report))
	}
	return report
}

// oneHook gives the only hook, as the API shows it.
func (w *setupWorld) oneHook() obj {
	w.t.Helper()
	hooks := w.Hooks()
	if len(hooks) != 1 {
		w.t.Fatalf("%d hooks: %v", len(hooks), hooks)
	}
	return w.get("/api/v1/eventHooks/" + hooks[0].ID)
}

func (w *setupWorld) get(path string) obj {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "SSWS "+apiToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	var out obj
	if err := json.Unmarshal([]byte(body(w.t, response)), &out); err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %d, %v", path, response.StatusCode, err)
	}
	return out
}

func (w *setupWorld) group(name string) sim.Group {
	w.t.Helper()
	for _, g := range w.Groups() {
		if g.Name == name {
			return g
		}
	}
	w.t.Fatalf("no group %q", name)
	return sim.Group{}
}

// lines are a report in words.
func lines(r okta.Report) string {
	var s strings.Builder
	for _, step := range r.Steps {
		fmt.Fprintf(&s, "%s %s: %s\n", step.State, step.Name, step.Text)
	}
	return s.String()
}

// states are the steps of a report without their texts.
func states(r okta.Report) []string {
	var out []string
	for _, step := range r.Steps {
		out = append(out, string(step.State)+" "+step.Name)
	}
	return out
}

func wantStates(t *testing.T, r okta.Report, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("steps (-want +got):\n%s\n%s", diff, lines(r))
	}
}

func wantNothingWritten(t *testing.T, w *setupWorld) {
	t.Helper()
	if writes := w.took(); len(writes) > 0 {
		t.Errorf("written: %q", writes)
	}
}

// delivered makes somebody a member of a group, and counts the deliveries of it
// that are taken.
func (w *setupWorld) delivered(group string) int {
	w.t.Helper()
	before := w.Stats().Deliveries.Delivered
	if _, err := w.AddUser(sim.NewUser{Login: rand.Text() + "@example.com", FirstName: "Ana", LastName: "Silva", Groups: []string{group}}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Idle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.Stats().Deliveries.Delivered - before
}

func (w *setupWorld) post(path string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "SSWS "+apiToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if body(w.t, response); response.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %d", path, response.StatusCode)
	}
}

// serviceApp adds a service app and gives a client that signs in as it.
func (w *setupWorld) serviceApp(scopes, roles []string, dpop bool) *okta.Client {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	app, err := w.AddClient(sim.NewClient{Scopes: scopes, Roles: roles, DPoP: dpop,
		ClientKey: sim.ClientKey{KID: "k1", PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}})
	if err != nil {
		w.t.Fatal(err)
	}
	return newAPIClient(w.t, w.url, func(c *okta.ClientConfig) {
		c.Token, c.ClientID, c.KeyID = "", app.ClientID, "k1"
		c.PrivateKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
		c.Now, c.Wait = nil, nil
	})
}
