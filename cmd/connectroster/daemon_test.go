package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/sqlite"
	"connectroster/internal/storetest"
)

// suite runs the tests of this package. Most of them wait for other processes
// and for the engine's delays, so that many can run side by side.
type suite struct{ *testing.M }

func (s suite) Run() int {
	_ = flag.Set("test.parallel", "16") // a flag of the command line still wins
	dir, err := os.MkdirTemp("", "connectroster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv(suiteFolder, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return s.M.Run()
}

// suiteFolder is the variable that names a folder which lasts for all tests.
const suiteFolder = "CONNECTROSTER_TEST_FOLDER"

// binary builds the program as it is released, but with its failpoints, at the
// first call.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(suiteFolder), "connectroster")
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func program(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the daemon is driven by signals here, which Windows lacks")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("skipped: the go command is needed to build the program, and it is not in the PATH")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// full reports whether the long form of a test is wanted.
func full() bool { return os.Getenv("CONNECTROSTER_FULL") == "1" }

// setup says how a world differs from the usual one: no limit on calls, and one
// file for everything in a folder of its own.
type setup struct {
	config   string              // more lines of the configuration
	instance string              // config key connect.instance
	rate     float64             // config key connect.rate
	database string              // config key store.sqlite
	format   string              // config key log.format
	connect  simconnect.Settings // of the simulated instance; its zero value has no limits
	away     bool                // Amazon Connect cannot be reached until arrive
	life     bool                // the whole life of an agent: policy sync, with access to Okta's API
}

const (
	hookSecret = "the-secret-of-these-tests"
	apiToken   = "the-api-token-of-these-tests"
	agentGroup = "Amazon Connect Agents"
)

// world is an Okta org and an Amazon Connect instance, both simulated in this
// process, and a folder for a daemon between them, which is a process of its
// own. Its addresses stay when it is started again.
type world struct {
	t        *testing.T
	dir      string
	database string
	org      *simokta.Org
	group    simokta.Group
	hook     simokta.Hook
	instance *simconnect.Instance
	connect  string // address of the instance
	listen   string // where hooks are taken
	admin    string

	servers   []*http.Server // of the org and the instance
	deliverer *http.Client   // by which the org calls hooks
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	program(t)
	w := &world{t: t, dir: t.TempDir(), database: s.database}
	addresses, err := storetest.FreeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	w.listen, w.admin, w.connect = addresses[0], addresses[1], addresses[2]
	if w.database == "" {
		w.database = filepath.Join(w.dir, "connectroster.db")
	}
	if w.instance, err = simconnect.New(simconnect.Config{Settings: &s.connect}); err != nil {
		t.Fatal(err)
	}
	w.deliverer = client(t, 0)
	if w.org, err = simokta.New(simokta.Config{AllowHTTP: true, Now: distinct(), Tokens: []string{apiToken}, Client: w.deliverer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.org.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if w.group, err = w.org.AddGroup(agentGroup); err != nil {
		t.Fatal(err)
	}
	if !s.away { // it takes the port that it gets: the one that was found may be somebody's by now
		host, _, err := net.SplitHostPort(w.connect)
		if err != nil {
			t.Fatal(err)
		}
		w.connect = net.JoinHostPort(host, "0")
		w.arrive()
	}
	w.configure(s)
	return w
}

// arrive makes Amazon Connect reachable.
func (w *world) arrive() {
	w.t.Helper()
	listener, err := net.Listen("tcp", w.connect)
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.instance)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	w.servers = append(w.servers, server.Config)
	w.connect = listener.Addr().String()
	w.t.Cleanup(server.Close)
}

func (w *world) configure(s setup) {
	w.t.Helper()
	if s.instance == "" {
		s.instance = w.instance.ID()
	}
	if s.rate == 0 {
		s.rate = 1000
	}
	if s.format == "" {
		s.format = "text"
	}
	policy, personas := "create-only", ""
	if s.life {
		w.instance.AddDemo()
		server, url, err := serveLoopback(w.t.Context(), "127.0.0.1:0", w.org)
		w.must(err)
		w.servers = append(w.servers, server)
		w.t.Cleanup(func() { _ = server.Close() })
		policy, personas = "sync", "  parked: {routing_profile: Parked, security_profiles: [No permissions]}\n"
		s.config += fmt.Sprintf("okta: {org: %q, auth: {token: \"env:OKTA_API_TOKEN\"}, catch_up: 10s}\nleavers: {suspend_as: parked, delete_after: 7d}\n", url)
	}
	text := fmt.Sprintf(`name: tests
policy: %s
listen: %s
admin_listen: %s
socket: %q
allow_loopback: true
connect: {instance: %s, region: eu-central-1, rate: %g, burst: 5}
personas:
  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}
%srules:
  - {groups: [%s], persona: agent}
  - {groups: ["/^Connect Queue (?<queue>.+)$/"], set: {routing_profile: "{queue}"}}
store: {sqlite: %q}
log: {level: debug, format: %s}
%s`, policy, w.listen, w.admin, w.socket(), s.instance, s.rate, personas, agentGroup, w.database, s.format, s.config)
	if err := os.WriteFile(w.file(), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) file() string { return filepath.Join(w.dir, "connectroster.yaml") }
func (w *world) url() string  { return "http://" + w.listen + "/hooks/okta" }

// socket is short enough for every system, which the folder of a test is not.
func (w *world) socket() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("cr-%x.sock", sha256.Sum256([]byte(w.dir)))[:24])
}

// child is a running command.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	output output
	ended  chan struct{} // closed when the process is gone
}

// output collects what a process writes, on both of its streams.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs the daemon with more variables in its environment.
func (w *world) start(env ...string) *child {
	w.t.Helper()
	line := inStorm(program(w.t), "serve", "--config", w.file())
	return w.run(env, line[0], line[1:]...)
}

// run starts a command in the world's folder and environment. It is killed at
// the end of the test if it still runs then.
func (w *world) run(env []string, name string, args ...string) *child {
	w.t.Helper()
	c := &child{t: w.t, cmd: exec.CommandContext(w.t.Context(), name, args...), ended: make(chan struct{})}
	c.cmd.Dir = w.dir
	c.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + os.TempDir(),
		"OKTA_HOOK_SECRET=" + hookSecret, "OKTA_API_TOKEN=" + apiToken,
		"AWS_ENDPOINT_URL_CONNECT=http://" + w.connect,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}, env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	c.cmd.WaitDelay = 5 * time.Second
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait() // how it ended is in the ProcessState
		close(c.ended)
	}()
	w.t.Cleanup(func() { // the context of the test has killed it
		<-c.ended
		_ = os.Remove(w.socket())
		if w.t.Failed() {
			w.t.Logf("%s %s: %s\n%s", filepath.Base(name), strings.Join(args, " "), c.cmd.ProcessState, tail(c.output.String(), 60))
		}
	})
	return c
}

// tail gives the last n lines.
func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// patience is how long things that happen soon may take on a busy machine.
const patience = 60 * time.Second

// eventually asks until the answer is nil.
func eventually(t *testing.T, within time.Duration, ask func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %s still: %v", within, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// started runs the daemon and waits until it can acknowledge.
func (w *world) started(env ...string) *child {
	w.t.Helper()
	c := w.start(env...)
	w.ready(c)
	return c
}

func (w *world) ready(c *child) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		if !c.alive() {
			w.t.Fatalf("the daemon ended before it was ready: %s", c.cmd.ProcessState)
		}
		status, answer, err := call(http.MethodGet, "http://"+w.listen+"/readyz", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, answer)
		}
		return err
	})
}

func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
}

// kill ends the process as the kernel does when memory runs out.
func (c *child) kill() {
	c.t.Helper()
	c.signal(syscall.SIGKILL)
	c.wait(patience)
}

// stop asks the process to end, and demands that it does so cleanly.
func (c *child) stop() {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	c.wait(patience)
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		c.t.Errorf("the daemon ended with %s after SIGTERM, want exit code 0", c.cmd.ProcessState)
	}
}

// wait waits for the process to end and tells how it did.
func (c *child) wait(within time.Duration) string {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(within):
		c.t.Fatalf("the process still runs after %s", within)
	}
	return c.cmd.ProcessState.String()
}

// subscribe creates the event hook in the org, for events of membership and more
// types, and has it verified. The daemon must be ready.
func (w *world) subscribe(more ...string) {
	w.t.Helper()
	var err error
	w.hook, err = w.org.AddHook(simokta.HookConfig{
		Name: "connectroster", URI: w.url(), AuthValue: hookSecret,
		Events: append([]string{"group.user_membership.add", "group.user_membership.remove"}, more...),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.verify(w.hook.ID)
}

// verify has Okta verify a hook. It waits three seconds for the answer, twice, which a
// machine that does much else may let go by; then somebody clicks once more.
func (w *world) verify(hook string) {
	w.t.Helper()
	eventually(w.t, patience, func() error { return w.org.VerifyHook(w.t.Context(), hook) })
}

// hire adds the n-th person to the org, not yet to the group.
func (w *world) hire(n int) simokta.User {
	w.t.Helper()
	user, err := w.org.AddUser(simokta.NewUser{
		Login: fmt.Sprintf("person%d@example.com", n), FirstName: fmt.Sprintf("First%d", n), LastName: fmt.Sprintf("Last%d", n),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return user
}

// hangUp ends the connections between the daemon and its neighbours that idle. How many
// there are depends on how much happened at once.
func (w *world) hangUp() {
	w.deliverer.CloseIdleConnections()
	for _, s := range w.servers {
		s.SetKeepAlivesEnabled(false) // which ends those that idle
		s.SetKeepAlivesEnabled(true)
	}
}

func (w *world) join(u simokta.User)  { w.must(w.org.Join(u.ID, w.group.ID)) }
func (w *world) leave(u simokta.User) { w.must(w.org.Leave(u.ID, w.group.ID)) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// idle waits until Okta has delivered, or given up, everything.
func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.must(w.org.Idle(ctx))
}

// taken waits until all that happened was acknowledged, but for the events that Okta
// was told to drop. What Okta has given up, since a machine that does much else did not
// answer in time, is sent again.
func (w *world) taken(dropped ...string) {
	w.t.Helper()
	w.idle()
	eventually(w.t, patience, func() error {
		left := func() []string {
			return slices.DeleteFunc(w.story().lost(), func(uuid string) bool { return slices.Contains(dropped, uuid) })
		}
		for part := range slices.Chunk(left(), 100) {
			if _, err := w.org.Redeliver(w.t.Context(), w.hook.ID, part...); err != nil {
				return err
			}
		}
		if n := len(left()); n > 0 {
			return fmt.Errorf("%d events are not acknowledged", n)
		}
		return nil
	})
}

// open opens the database, which no daemon may be using.
func (w *world) open() *sqlite.Store {
	w.t.Helper()
	store, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.database})
	w.must(err)
	return store
}

// stored gives the people about whom the database has facts.
func (w *world) stored() map[string]bool {
	w.t.Helper()
	store := w.open()
	defer func() { w.must(store.Close()) }()
	people := map[string]bool{}
	for f, err := range store.AllFacts(w.t.Context()) {
		w.must(err)
		people[f.Person] = true
	}
	return people
}

// api asks the daemon's socket.
func (w *world) api(method, path string) string {
	w.t.Helper()
	status, answer, err := call(method, "unix:"+w.socket()+":"+path, nil, nil)
	if err != nil || status >= 400 {
		w.t.Fatalf("%s %s: status %d, %v: %s", method, path, status, err, answer)
	}
	return answer
}

// replay asks for everybody whom the daemon has given up once more.
func (w *world) replay() (count int) {
	w.t.Helper()
	var dead []struct{ Person string }
	w.must(json.Unmarshal([]byte(w.api(http.MethodGet, "/v1/dead")), &dead))
	for _, d := range dead {
		status, answer, err := call(http.MethodPost, "unix:"+w.socket()+":/v1/dead/"+d.Person+"/replay", nil, nil)
		w.must(err)
		if status != http.StatusOK && status != http.StatusNotFound { // a sweep may have come first
			w.t.Fatalf("replay person %s: status %d: %s", d.Person, status, answer)
		}
	}
	return len(dead)
}

// distinct is a clock that never shows the same millisecond twice: Okta's events
// are ordered by it.
func distinct() func() time.Time {
	var mu sync.Mutex
	var last time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if !now.After(last.Add(time.Millisecond)) {
			now = last.Add(time.Millisecond)
		}
		last = now
		return now
	}
}
