package app_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// suite runs the tests of this package. Most of them wait for intervals and for
// pauses of the program, so that many can run side by side.
type suite struct{ *testing.M }

func (s suite) Run() int {
	_ = flag.Set("test.parallel", "32") // a flag of the command line still wins
	dir, err := os.MkdirTemp("", "connectroster-app-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE":             filepath.Join(dir, "config"),
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_PROFILE":                 "",
		"AWS_ACCESS_KEY_ID":           "",
		"AWS_SECRET_ACCESS_KEY":       "",
		"AWS_SESSION_TOKEN":           "",
		"AWS_ENDPOINT_URL":            "",
		"AWS_ENDPOINT_URL_CONNECT":    "",
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return s.M.Run()
}

// profiles are those of AWS's own configuration file. Each world has one, since
// a variable of the environment would count for all of them.
var profiles struct {
	sync.Mutex
	text string
	n    int
}

// addProfile gives the name of a profile by which the AWS SDK calls url.
func addProfile(t testing.TB, url string) string {
	t.Helper()
	profiles.Lock()
	defer profiles.Unlock()
	profiles.n++
	name := fmt.Sprintf("world-%d", profiles.n)
	profiles.text += fmt.Sprintf("[profile %s]\naws_access_key_id = test\naws_secret_access_key = test\nendpoint_url = %s\n", name, url)
	path := os.Getenv("AWS_CONFIG_FILE")
	must(t, os.WriteFile(path+".new", []byte(profiles.text), 0o600))
	must(t, os.Rename(path+".new", path))
	return name
}

// What every world is made of.
const (
	agentGroup = "Amazon Connect Agents"
	agentApp   = "Amazon Connect"
	hookSecret = "the-secret-of-these-tests"
	apiToken   = "the-token-of-these-tests"
)

// setup says how a world differs from the usual one: one group mapped by name,
// an app, a token, an event hook for all that may be one, no rate limits.
type setup struct {
	groups  []string // further groups, which are mapped by their names
	rules   string   // lines of YAML in place of those for the groups
	policy  string   // empty: create-only
	persona string   // lines of YAML with further personas
	more    string   // further lines of YAML
	roster  string   // lines of YAML in place of the instance and the persona agent
	okta    string   // lines of YAML below okta, in place of those for app and token
	secrets string   // references, as a YAML list; empty: hookSecret
	catchUp string   // empty: 10s
	rates   string   // of calls to Amazon Connect, as YAML; empty: without limit
	events  []string // that the hook is for; empty: those that the program takes
	noHook  bool     // there is no event hook

	clients []simokta.NewClient
	now     func() time.Time // the org's clock
	observe func(reconcile.Outcome)
}

// hooked are the event types that an event hook is made for.
var hooked = []string{
	"group.user_membership.add", "group.user_membership.remove",
	"user.lifecycle.create", "user.lifecycle.activate", "user.lifecycle.deactivate", "user.lifecycle.suspend",
	"user.lifecycle.unsuspend", "user.account.update_profile", "group.lifecycle.delete", "group.profile.update",
}

// world is an Okta org and an Amazon Connect instance, both simulated, and an
// app in API mode between them. Each call between them passes a gate.
type world struct {
	t     testing.TB
	setup setup
	dir   string

	org      *simokta.Org
	group    simokta.Group
	app      simokta.App
	hook     simokta.Hook
	instance *simconnect.Instance

	okta    *gate // before the org
	connect *gate // before the instance
	door    *gate // before the app: where the org delivers

	profile string
	socket  string
	env     map[string]string
	api     *http.Client // of the socket
	log     *logbook
	running *app.App
	store   *sqlite.Store
	names   map[string]string // app usernames other than the login, by user id
}

// newWorld makes a world in which nothing runs yet.
func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("a run with -short leaves out the system tests of the whole app")
	}
	w := &world{t: t, setup: s, dir: t.TempDir(), log: &logbook{}, names: map[string]string{}}
	w.env = map[string]string{"OKTA_HOOK_SECRET": hookSecret, "OKTA_API_TOKEN": apiToken}

	var err error
	w.org, err = simokta.New(simokta.Config{
		AllowHTTP: true, Tokens: []string{apiToken}, Settings: unlimited(), Clients: s.clients, Now: s.now,
	})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.org.Close(ctx); err != nil {
			t.Errorf("close the org: %v", err)
		}
	})
	settings := simconnect.DefaultSettings()
	settings.Limit, settings.Quota, settings.RequireSignature = simconnect.Limit{}, 0, true
	w.instance, err = simconnect.New(simconnect.Config{Settings: &settings})
	must(t, err)
	w.okta, w.connect, w.door = newGate(t, w.org), newGate(t, w.instance), newGate(t, nil)
	w.profile = addProfile(t, w.connect.url())

	sockets, err := os.MkdirTemp("", "cr-") // a socket's path must be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(sockets) })
	w.socket = filepath.Join(sockets, "s")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	w.api = &http.Client{Transport: transport, Timeout: time.Minute}

	w.furnish()
	t.Cleanup(w.stop)
	return w
}

// unlimited are settings of an org whose rate limits nobody reaches.
func unlimited() simokta.Settings {
	limits := map[string]int{}
	for _, class := range []string{"apps", "apps/{id}", "groups", "groups/{id}", "users", "users/{id}", "users/{id} write", "logs", "other"} {
		limits[class] = 1_000_000
	}
	// A busy machine may answer later than Okta waits, and each delivery is to come once.
	return simokta.Settings{RateLimits: limits, Concurrency: -1, Timeout: patience}
}

// furnish does the administrator's part in Okta.
func (w *world) furnish() {
	w.t.Helper()
	var err error
	w.app, err = w.org.AddApp(simokta.NewApp{Label: agentApp})
	must(w.t, err)
	for _, name := range append([]string{agentGroup}, w.setup.groups...) {
		group, err := w.org.AddGroup(name)
		must(w.t, err)
		must(w.t, w.org.AssignGroup(w.app.ID, group.ID))
		if name == agentGroup {
			w.group = group
		}
	}
}

// yaml is the configuration, as a user would write it.
func (w *world) yaml() string {
	s := w.setup
	rules := s.rules
	if rules == "" {
		for _, name := range append([]string{agentGroup}, s.groups...) {
			rules += fmt.Sprintf("  - {groups: [%q], persona: agent}\n", name)
		}
	}
	roster := s.roster
	if roster == "" {
		roster = fmt.Sprintf(`connect: {instance: %s, region: %s, profile: %s, %s}
personas:
  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}
`, w.instance.ID(), w.instance.Region(), w.profile, or(s.rates, "rate: 1000, burst: 1000"))
	}
	return fmt.Sprintf(`name: test
policy: %s
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
socket: %s
allow_loopback: true
okta:
  org: %s
%s
  catch_up: %s
  hook: {secrets: %s}
%s%srules:
%s
sweep: {at: %q, jitter: 0s}
%s`,
		or(s.policy, "create-only"), w.socket, w.okta.url(),
		or(s.okta, "  auth: {token: \"env:OKTA_API_TOKEN\"}\n  app: "+agentApp),
		or(s.catchUp, "10s"), or(s.secrets, `["env:OKTA_HOOK_SECRET"]`),
		roster, s.persona, rules,
		time.Now().Add(12*time.Hour).Format("15:04"), s.more) // no daily sweep meanwhile
}

// start starts the app and lets the org deliver to it.
func (w *world) start() {
	w.t.Helper()
	ctx := context.Background() // of the app, which outlives the test's until it is stopped
	cfg, err := config.Parse(filepath.Join(w.dir, "connectroster.yaml"), []byte(w.yaml()), func(name string) string { return w.env[name] })
	must(w.t, err)
	log := slog.New(w.log)
	w.store, err = sqlite.Open(ctx, sqlite.Config{Path: cfg.Store.SQLite, Log: log})
	must(w.t, err)
	a, err := app.New(ctx, app.Config{Config: cfg, Backend: w.store, Version: "test", Log: log, Observe: w.setup.observe})
	must(w.t, err)
	must(w.t, a.Start(ctx))
	w.running = a
	w.door.lead(forward(w.t, a.Addr()))
	if w.hook.ID == "" && !w.setup.noHook {
		w.subscribe()
	}
}

// stop stops the app, if it runs.
func (w *world) stop() {
	w.t.Helper()
	if w.running != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.running.Stop(ctx); err != nil {
			w.t.Errorf("stop the app: %v", err)
		}
		w.running = nil
		w.api.CloseIdleConnections()
	}
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			w.t.Errorf("close the store: %v", err)
		}
		w.store = nil
	}
}

// subscribe creates the event hook and has the org verify it.
func (w *world) subscribe() {
	w.t.Helper()
	events := w.setup.events
	if events == nil {
		events = hooked
	}
	var err error
	w.hook, err = w.org.AddHook(simokta.HookConfig{
		Name: "connectroster", URI: w.door.url() + "/hooks/okta", AuthHeader: "Authorization", AuthValue: hookSecret,
		Events: events,
	})
	must(w.t, err)
	must(w.t, w.org.VerifyHook(w.t.Context(), w.hook.ID))
}

// ready waits until everybody was looked at once, the System Log was read to its
// end, and nobody is left whom these told of.
func (w *world) ready() {
	w.t.Helper()
	w.await("the first sweep and the first catch-up", 30*time.Second, func() bool {
		s := w.status()
		return s.Sweep.Last != nil && !s.CatchUp.Last.IsZero()
	})
	w.quiet()
}

// status asks the app for its status over the socket.
func (w *world) status() app.Status {
	w.t.Helper()
	var s app.Status
	w.ask(http.MethodGet, "/v1/status", &s)
	if s.CatchUp == nil {
		w.t.Fatal("the status does not tell of catch-ups in API mode")
	}
	return s
}

// ask calls the API on the socket.
func (w *world) ask(method, path string, into any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://socket"+path, nil)
	must(w.t, err)
	resp, err := w.api.Do(req)
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: status %d: %s", method, path, resp.StatusCode, body)
	}
	must(w.t, json.Unmarshal(body, into))
}

// waiting gives the people in a state of the queue.
func (w *world) waiting(state reconcile.WaitingState) []reconcile.Waiting {
	w.t.Helper()
	var out []reconcile.Waiting
	w.ask(http.MethodGet, "/v1/people?limit=1000&state="+string(state), &out)
	return out
}

// person is what the API tells of one person.
type person struct {
	Queue   *reconcile.Waiting `json:"queue"`
	Agent   string             `json:"agent"`
	Journal []reconcile.Entry  `json:"journal"`
}

func (w *world) person(id string) person {
	w.t.Helper()
	var p person
	w.ask(http.MethodGet, "/v1/people/"+id, &p)
	return p
}

// patience is how much longer things may last where other programs keep the machine busy.
const patience = time.Minute

// await waits until something is so. Otherwise it fails and shows what there is
// to see.
func (w *world) await(what string, limit time.Duration, so func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit + patience); !so(); <-tick.C {
		if time.Now().After(end) {
			status, _ := json.MarshalIndent(w.status(), "", "  ")
			w.t.Fatalf("%s: not within %v\n%s\n%s", what, limit, status, w.log)
		}
	}
}

// quiet waits until every delivery was made and nobody is to be looked at now.
func (w *world) quiet() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	must(w.t, w.org.Idle(ctx))
	w.await("an empty queue", 30*time.Second, func() bool {
		b := w.status().Backlog
		return b.Due+b.Working == 0
	})
}

// hire adds a person to the org, who is then put into groups.
func (w *world) hire(n int, groups ...string) simokta.User {
	w.t.Helper()
	user, err := w.org.AddUser(simokta.NewUser{
		Login: fmt.Sprintf("person.%d@example.com", n), FirstName: fmt.Sprintf("Given%d", n), LastName: fmt.Sprintf("Family%d", n), Groups: groups,
	})
	must(w.t, err)
	return user
}

// join puts people into the group.
func (w *world) join(users ...simokta.User) {
	w.t.Helper()
	for _, u := range users {
		must(w.t, w.org.Join(u.ID, agentGroup))
	}
}

// rename gives somebody an app username that is not the login.
func (w *world) rename(u simokta.User, name string) {
	w.t.Helper()
	must(w.t, w.org.SetAppUserName(u.ID, agentApp, name))
	w.names[u.ID] = name
}

// entitled is what the org wants: the usernames of those who are to be agents,
// by user id. It shares nothing with the program.
func (w *world) entitled() map[string]string {
	out := map[string]string{}
	mapped := append([]string{agentGroup}, w.setup.groups...)
	for _, u := range w.org.Users() {
		switch u.Status {
		case "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT":
		default:
			continue
		}
		if slices.ContainsFunc(u.Groups, func(name string) bool { return slices.Contains(mapped, name) }) {
			out[u.ID] = or(w.names[u.ID], u.Login)
		}
	}
	return out
}

// roster is what the instance has: the usernames of agents by their owners.
func (w *world) roster() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, a := range w.instance.Agents() {
		owner := a.Tags["connectroster:owner"]
		if _, twice := out[owner]; twice || a.Tags["connectroster:deployment"] != "test" {
			w.t.Fatalf("agent %s of owner %q is a second one, or not of this deployment", a.ID, owner)
		}
		out[owner] = a.Username
	}
	return out
}

// converges waits until the roster is what the org wants, and checks that
// nothing was written beside the creation of each agent.
func (w *world) converges(limit time.Duration) {
	w.t.Helper()
	w.becomes(w.entitled(), limit)
}

// becomes waits until the roster is a certain one, reached by one write each.
func (w *world) becomes(want map[string]string, limit time.Duration) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	if limit > 0 {
		limit += patience
	}
	for end := time.Now().Add(limit); !maps.Equal(want, w.roster()); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatalf("the roster is not what the org wants after %v (-want +got):\n%s\n%s", limit, cmp.Diff(want, w.roster()), w.log)
		}
	}
	if writes := w.writes(); writes != len(want) {
		w.t.Fatalf("%d writes for %d agents", writes, len(want))
	}
}

// writes is how many writes the instance has accepted.
func (w *world) writes() int { return len(w.instance.Ledger()) }

// oktaCalls is how often the org's API was called, all in all, and those calls
// by endpoint.
func (w *world) oktaCalls() (total int, by map[string]int) {
	by = map[string]int{}
	for endpoint, n := range w.org.Stats().Calls {
		total, by[endpoint] = total+n.Calls, n.Calls
	}
	return total, by
}

// breaks plans faults of the org.
func (w *world) breaks(faults ...simokta.Fault) {
	w.t.Helper()
	must(w.t, w.org.AddFaults(faults...))
}

// blind keeps sweeps from working, so that only hooks and the log tell of
// people.
func (w *world) blind() {
	w.t.Helper()
	w.breaks(simokta.Fault{Endpoint: "GET /api/v1/groups/{id}/users", Status: http.StatusForbidden, Times: -1})
}

// drops sets how many events are never delivered, of 1.
func (w *world) drops(share float64) {
	w.t.Helper()
	must(w.t, w.org.Configure(func(s *simokta.Settings) { s.DropRate = share }))
}

// post sends a body to the app as the org would, and gives the status of the
// answer. On a busy machine the store may be too slow for the app, which asks for the
// delivery again then; what is wrong at once is wrong.
func (w *world) post(secret, body string) int {
	w.t.Helper()
	for end := time.Now().Add(patience); ; {
		began := time.Now()
		status := w.deliver(secret, body)
		if status != http.StatusServiceUnavailable || time.Since(began) < time.Second || time.Now().After(end) {
			return status
		}
	}
}

func (w *world) deliver(secret, body string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.door.url()+"/hooks/okta", strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("Authorization", secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.door.client.Do(req)
	must(w.t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// or gives the text, or another one in place of none.
func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
