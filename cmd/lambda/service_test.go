package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary builds the program as it is released, but with its failpoints and for this
// machine, at the first call.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(suiteFolder), "bootstrap")
	if out, err := exec.Command("go", "build", "-tags", "lambda.norpc,failpoint", "-ldflags", "-s -w", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// function is one function as AWS Lambda runs it: a process of the real program
// under a Runtime API of our own. The process is started by the first event, lives
// on between events, and is killed when an event takes longer than it may.
type function struct {
	t       testing.TB
	handler string
	dir     string
	env     []string
	timeout time.Duration // what an event may take
	program string        // empty: that of the tests

	invocations atomic.Int64 // so far

	calls  sync.Mutex // one event at a time
	api    *httptest.Server
	events chan *invocation
	closed chan struct{}

	// output is a file and no pipe, so that what was written before an answer can be read
	// when the answer is there.
	output *os.File

	mu      sync.Mutex
	current *invocation
	process *process
}

// process is one life of a function.
type process struct {
	cmd   *exec.Cmd
	next  chan struct{} // closed when it first asks for an event
	once  sync.Once
	ended chan struct{}
}

// invocation is one event.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan answered
}

type answered struct {
	body   []byte
	failed bool // the function reported an error
}

var (
	errTimeout = errors.New("the function took too long and was killed")
	errExited  = errors.New("the process ended before it answered")
)

// errFunction is an error that the function reported.
type errFunction struct{ text string }

func (e errFunction) Error() string { return "the function failed: " + e.text }

func newFunction(t testing.TB, handler, dir string, env ...string) *function {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("skipped: the go command is needed to build the program, and it is not in the PATH")
	}
	f := &function{t: t, handler: handler, dir: dir, env: env, timeout: time.Minute, events: make(chan *invocation), closed: make(chan struct{})}
	var err error
	if f.output, err = os.OpenFile(filepath.Join(t.TempDir(), "output"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	f.api = httptest.NewServer(f)
	t.Cleanup(func() {
		f.kill()
		close(f.closed)
		f.api.Close()
		if t.Failed() {
			lines := strings.SplitAfter(f.said(), "\n")
			t.Logf("the function %s said at last:\n%s", handler, strings.Join(lines[max(0, len(lines)-40):], ""))
		}
		_ = f.output.Close()
	})
	return f
}

// ServeHTTP is the Runtime API, and as much of the Extensions API as the program
// needs to be told that it ends.
// Source: AWS Lambda Developer Guide, "Using the Lambda runtime API", "Lambda Extensions API".
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/"); {
	case r.URL.Path == "/2020-01-01/extension/register":
		w.Header().Set("Lambda-Extension-Identifier", "test")
		_, _ = io.WriteString(w, "{}")
	case r.URL.Path == "/2020-01-01/extension/event/next":
		select {
		case <-r.Context().Done():
		case <-f.closed:
		}
	case path == "next":
		f.next(w, r)
	default:
		id, what, _ := strings.Cut(path, "/")
		body, err := io.ReadAll(r.Body)
		f.mu.Lock()
		in := f.current
		f.mu.Unlock()
		if err != nil || in == nil || in.id != id || what != "response" && what != "error" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		in.answer <- answered{body, what == "error"}
	}
}

func (f *function) next(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if p := f.process; p != nil {
		p.once.Do(func() { close(p.next) })
	}
	f.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-f.closed:
	case in := <-f.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:test")
		_, _ = w.Write(in.payload)
	}
}

// start starts a process unless one lives.
func (f *function) start() *process {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.process; p != nil && p.alive() {
		return p
	}
	path, err := f.program, error(nil)
	if path == "" {
		path, err = binary()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path), next: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Dir = f.dir
	p.cmd.Env = append([]string{
		"_HANDLER=" + f.handler, "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(f.api.URL, "http://"),
		"AWS_LAMBDA_FUNCTION_NAME=test", "PATH=" + os.Getenv("PATH"), "TZ=UTC",
		"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}, f.env...)
	p.cmd.Stdout, p.cmd.Stderr = f.output, f.output
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in the ProcessState
		close(p.ended)
	}()
	go weather.gusts(p)
	f.process = p
	return p
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// said gives all that the function has written.
func (f *function) said() string {
	text, err := os.ReadFile(f.output.Name())
	if err != nil {
		f.t.Error(err)
	}
	return string(text)
}

// invoke has the function handle an event.
func (f *function) invoke(event any) ([]byte, error) {
	f.t.Helper()
	f.calls.Lock()
	defer f.calls.Unlock()
	f.invocations.Add(1)
	payload, err := json.Marshal(event)
	if err != nil {
		f.t.Fatal(err)
	}
	in := &invocation{id: fmt.Sprintf("%d", time.Now().UnixNano()), payload: payload, deadline: time.Now().Add(f.timeout), answer: make(chan answered, 1)}
	p := f.start()
	f.mu.Lock()
	f.current = in
	f.mu.Unlock()
	starting := time.After(patience)
	select {
	case f.events <- in:
	case <-p.ended:
		return nil, errExited
	case <-starting:
		f.kill()
		return nil, errors.New("the process does not ask for events")
	}
	select {
	case out := <-in.answer:
		if out.failed {
			return nil, errFunction{string(out.body)}
		}
		return out.body, nil
	case <-p.ended:
		return nil, errExited
	case <-time.After(time.Until(in.deadline)):
		f.kill()
		return nil, errTimeout
	}
}

// kill ends the process without a warning.
func (f *function) kill() {
	f.mu.Lock()
	p := f.process
	f.mu.Unlock()
	if p != nil {
		_ = p.cmd.Process.Kill() // it may be over already
		<-p.ended
	}
}

// terminate tells the process to end, as Lambda does when it takes an environment
// down, and tells how it ended. Half a second later it would be killed.
func (f *function) terminate() (how string, took time.Duration) {
	f.t.Helper()
	f.mu.Lock()
	p := f.process
	f.mu.Unlock()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		f.t.Fatal("the process still runs long after SIGTERM")
	}
	return p.cmd.ProcessState.String(), time.Since(began)
}

// patience is how long things that happen soon may take on a busy machine.
const patience = 60 * time.Second

// eventually asks until the answer is nil, more and more seldom: what it asks is the
// stand-in for AWS, which has others to answer as well.
func eventually(t testing.TB, within time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still: %v", within, err)
		case <-time.After(pause):
		}
	}
}
