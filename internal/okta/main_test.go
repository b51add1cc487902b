package okta_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret    = "pa55-Wörd/+=current"
	secretTwo = "Basic b2t0YTpuZXh0"
	groupID   = "00g3connectAaBbCcD5d"
	groupName = "Amazon Connect Agents"
	userID    = "00u2agentAaBbCcDd5d7"
)

// queue is the far side of the port: it keeps what it is given, or fails.
type queue struct {
	mu       sync.Mutex
	requests []reconcile.Request
	calls    int
	err      error
	hang     bool
}

func (q *queue) Enqueue(ctx context.Context, requests ...reconcile.Request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls++
	if q.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if q.err != nil {
		return q.err
	}
	q.requests = append(q.requests, requests...)
	return nil
}

// take gives the requests since the last take.
func (q *queue) take() []reconcile.Request {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.requests
	q.requests = nil
	return taken
}

func config(q okta.Enqueuer) okta.HookConfig {
	return okta.HookConfig{
		Secrets: func() []string { return []string{secret, secretTwo, ""} },
		Groups:  func() []string { return []string{groupName} },
		Queue:   q,
	}
}

func newHook(t testing.TB, c okta.HookConfig) *okta.Hook {
	t.Helper()
	h, err := okta.NewHook(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// deliver POSTs a body with the secret, without a network.
func deliver(h http.Handler, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/hooks/okta", bytes.NewReader(body))
	r.Header.Set("Authorization", secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// serve runs a hook on loopback. Whatever net/http has to say goes to the log of
// the test.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelWarn)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "testdata", "okta", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fixtures gives the names of the deliveries in testdata.
func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "okta", "hook-*.json"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d fixtures, error %v; 20 at least are wanted", len(paths), err)
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return names
}

// logs is a log at the finest level that can be read while it is written.
type logs struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logs) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.buffer.String(), "\n"), "\n")
}

// envelope makes a delivery of events.
func envelope(events ...string) []byte {
	return []byte(`{"eventType":"com.okta.event_hook","data":{"events":[` + strings.Join(events, ",") + `]}}`)
}

// joined is an event that adds somebody to the group.
func joined(user, login, name string) string { return membership("add", user, login, name) }

func membership(verb, user, login, name string) string {
	return `{"eventType":"group.user_membership.` + verb + `","uuid":"e-` + user + `","published":"2026-11-20T10:15:01.037Z",` +
		`"outcome":{"result":"SUCCESS"},"target":[` +
		`{"type":"User","id":"` + user + `","alternateId":"` + login + `","displayName":"` + name + `"},` +
		`{"type":"UserGroup","id":"` + groupID + `","alternateId":"unknown","displayName":"` + groupName + `"}]}`
}

// body reads what a response holds.
func body(t testing.TB, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// discard is a queue without a store.
type discard struct{}

func (discard) Enqueue(context.Context, ...reconcile.Request) error { return nil }
