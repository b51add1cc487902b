package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// TestRemedies: every kind of refusal that package plan has comes with what to do.
func TestRemedies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../plan/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found++
			if remedyFor(plan.Code(code)) == "" || !slices.Contains(plan.Codes(), plan.Code(code)) {
				t.Errorf("nothing says what to do about %s", code)
			}
			return true
		})
	}
	if found < 10 || found != len(plan.Codes()) {
		t.Errorf("%d codes in package plan, of which Codes gives %d", found, len(plan.Codes()))
	}
}

// TestCompare tells new, gone and changed apart.
func TestCompare(t *testing.T) {
	t.Parallel()
	stored := []StoredChange{{Person: "a", Action: plan.Create, Hash: "1"}, {Person: "b", Action: plan.Update, Hash: "2"}, {Person: "c", Action: plan.Suspend, Hash: "3"}, {Person: "e", Instance: "x", Hash: "5"}}
	now := []StoredChange{{Person: "a", Action: plan.Create, Hash: "1"}, {Person: "b", Action: plan.Update, Hash: "9"}, {Person: "d", Action: plan.Create, Hash: "4"}, {Person: "e", Instance: "y", Hash: "5"}}
	got := map[string]string{}
	for _, d := range compare(stored, now) {
		got[d.Instance+d.Person] = d.State
	}
	want := map[string]string{"b": "changed", "c": "gone", "d": "new", "xe": "gone", "ye": "new"}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for who, state := range want {
		if got[who] != state {
			t.Errorf("%s is %q, want %q", who, got[who], state)
		}
	}
	if d := compare(stored, slices.Clone(stored)); d != nil {
		t.Errorf("equal plans differ: %v", d)
	}
}

// TestUntil reads when a stay is over.
func TestUntil(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": now.Add(time.Hour), "12h": now.Add(12 * time.Hour), "3d": now.AddDate(0, 0, 3), "2026-12-01T00:00:00Z": time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := until(text, now, time.Hour); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "0d", "-1h", "1000d", "2026-11-24T00:00:00Z", "2046-11-24T00:00:00Z", "99999999999999d"} {
		if got, err := until(text, now, time.Hour); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

// diary is a log that can be read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// TestGathering makes one message of what comes within ten seconds, and another
// of what comes later, all well within a minute.
func TestGathering(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log diary
		n := newNotifier(notifierConfig{Deployment: "test", Webhook: func() (string, error) { return "", nil }, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); n.run(ctx) }()
		for i := range 50 {
			n.tell(reconcile.Notice{Kind: reconcile.NoticeHeld, Hold: "H1", Person: "p" + strconv.Itoa(i), Action: plan.Suspend, Cause: "too many", Time: time.Now()})
		}
		n.tell(reconcile.Notice{Kind: reconcile.NoticeHeld, Hold: "H2", Person: "q", Action: plan.Delete, Cause: "other", Time: time.Now()})
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if text := log.String(); text != "" {
			t.Errorf("told too early: %s", text)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "hold=H1 count=50") || !strings.Contains(text, "hold=H2 count=1") {
			t.Errorf("not one line for each hold: %s", text)
		}
		n.tell(reconcile.Notice{Kind: reconcile.NoticeHeld, Hold: "H1", Person: "r", Action: plan.Suspend, Cause: "too many", Time: time.Now()})
		cancel() // what is gathered is told before the end
		<-done
		if text := log.String(); strings.Count(text, "\n") != 3 || n.snapshot().Held != 52 {
			t.Errorf("the last one is lost: %s, %+v", text, n.snapshot())
		}
	})
}

// receiver is a webhook that answers with some statuses and then 204.
type receiver struct {
	mu       sync.Mutex
	statuses []int
	bodies   [][]byte
	got      chan struct{}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body bytes.Buffer
	_, _ = body.ReadFrom(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, body.Bytes())
	status := http.StatusNoContent
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	if status/100 == 3 {
		w.Header().Set("Location", "http://"+req.Host+"/elsewhere")
	}
	w.WriteHeader(status)
	r.got <- struct{}{}
}

func hookTo(address string, loopback bool) (*webhook, *error) {
	outcome := new(error)
	*outcome = errors.New("nothing was sent")
	config := notifierConfig{Webhook: func() (string, error) { return address, nil }, AllowLoopback: loopback, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	return &webhook{config: config, queue: make(chan message, 4), first: time.Millisecond, done: func(err error) { *outcome = err }}, outcome
}

// TestWebhook sends a message, tries again what may go by itself, and follows no
// redirection.
func TestWebhook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statuses []int
		calls    int
		fails    bool
	}{
		"at once":      {nil, 1, false},
		"third time":   {[]int{500, 429}, 3, false},
		"refused":      {[]int{404}, 1, true},
		"redirect":     {[]int{302}, 1, true},
		"always fails": {[]int{503, 503, 503, 503, 503}, webhookTries, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{statuses: c.statuses, got: make(chan struct{}, 10)}
			server := httptest.NewServer(r)
			defer server.Close()
			h, outcome := hookTo(server.URL+"/secret-path", true)
			defer h.hangUp()
			h.send(t.Context(), message{Text: "connectroster test: 2 changes wait", Hold: "H1", Count: 2, People: []string{"00u1"}})
			if len(r.bodies) != c.calls || (*outcome != nil) != c.fails {
				t.Fatalf("%d calls, %v; want %d", len(r.bodies), *outcome, c.calls)
			}
			var m map[string]any
			if err := json.Unmarshal(r.bodies[0], &m); err != nil || m["text"] != "connectroster test: 2 changes wait" || m["hold"] != "H1" {
				t.Errorf("body %s: %v", r.bodies[0], err)
			}
			if *outcome != nil && strings.Contains((*outcome).Error(), "secret-path") {
				t.Errorf("the error shows the address: %v", *outcome)
			}
		})
	}
}

// TestWebhookStaysOutside calls no address that is not on the Internet, whatever
// the configuration was told, and shows the address in no error.
func TestWebhookStaysOutside(t *testing.T) {
	t.Parallel()
	r := &receiver{got: make(chan struct{}, 10)}
	server := httptest.NewServer(r)
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, address := range []string{
		server.URL + "/token", "https://127.0.0.1" + port + "/token", "https://localhost" + port + "/token", "https://[::1]" + port + "/token",
		"https://[::ffff:127.0.0.1]" + port + "/token", "https://169.254.169.254/token", "https://[::ffff:a9fe:a9fe]/token", "https://10.0.0.1/token", "https://[fd00:ec2::254]/token",
	} {
		h, _ := hookTo(address, false)
		_, err := h.post(t.Context(), address, message{Text: "x"})
		if err == nil || strings.Contains(err.Error(), "token") {
			t.Errorf("%s: %v", address, err)
		}
		h.hangUp()
	}
	if len(r.bodies) > 0 {
		t.Error("a loopback address was called")
	}
}

// TestQueueIsBounded: telling never waits, whatever the webhook does.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	n := newNotifier(notifierConfig{Deployment: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	hold := reconcile.Hold{ID: "H1", Entries: []reconcile.HoldEntry{{Person: "p", Action: plan.Suspend}}}
	for range maxMessages + 7 {
		n.remind([]reconcile.Hold{hold})
	}
	n.remind(nil)
	if s := n.snapshot(); s.Dropped != 7 || len(n.hook.queue) != maxMessages {
		t.Errorf("%+v, %d in the queue", s, len(n.hook.queue))
	}
}

// TestOperator names the user who runs this process.
func TestOperator(t *testing.T) {
	t.Parallel()
	if got := operator(t.Context()); got != userName(os.Getuid()) || got == "" {
		t.Errorf("the operator is %q", got)
	}
	if got := userName(987654321); got != "uid 987654321" {
		t.Errorf("a user without a name is %q", got)
	}
}

// TestOperatorBySudo tells apart who has become the same user by sudo. What can be no
// name does not get into the journal.
func TestOperatorBySudo(t *testing.T) {
	t.Parallel()
	for sudo, want := range map[string]string{
		"":                       "roster",
		"maria":                  "maria as roster",
		`CORP\maria`:             `CORP\maria as roster`,
		"maria@corp.example":     "maria@corp.example as roster",
		"roster":                 "roster",
		"root\x1b[2K":            "roster",
		"maria as root":          "roster",
		strings.Repeat("m", 100): "roster",
	} {
		var got string
		r := httptest.NewRequestWithContext(withOperator(t.Context(), "roster"), http.MethodGet, "/v1/holds", nil)
		r.Header.Set(SudoHeader, sudo)
		bySudo(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = operator(r.Context()) })).ServeHTTP(nil, r)
		if got != want {
			t.Errorf("%q gives %q, want %q", sudo, got, want)
		}
	}
}
