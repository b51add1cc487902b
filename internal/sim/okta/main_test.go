package okta_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connectroster/internal/sim/okta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// world is an org behind a real server, every exchange of which is judged.
type world struct {
	*okta.Org
	t   *testing.T
	url string
}

func open(t *testing.T, cfg okta.Config) *world {
	t.Helper()
	cfg.AllowHTTP = true
	if cfg.Settings.Timeout == 0 {
		cfg.Settings.Timeout = time.Minute // a busy machine may answer later than Okta waits for
	}
	org, err := okta.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(judged(t, org))
	t.Cleanup(func() {
		srv.Close()
		if err := org.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &world{org, t, srv.URL}
}

type answer struct {
	status int
	header http.Header
	body   any
}

func (a answer) obj() object { o, _ := a.body.(object); return o }
func (a answer) list() []any { l, _ := a.body.([]any); return l }
func (a answer) code() string {
	s, _ := a.obj()["errorCode"].(string)
	return s
}

// link returns the URL of the one Link header with the given rel.
func (a answer) link(rel string) string {
	for _, l := range a.header.Values("Link") {
		if u, ok := strings.CutSuffix(l, `>; rel="`+rel+`"`); ok {
			return strings.TrimPrefix(u, "<")
		}
	}
	return ""
}

// do makes a call; path may be absolute.
func (w *world) do(method, path string, body any) answer {
	w.t.Helper()
	return w.as("SSWS dev-token", method, path, body)
}

func (w *world) as(auth, method, path string, body any) answer {
	w.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	if !strings.HasPrefix(path, "http") {
		path = w.url + path
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			w.t.Fatalf("%s %s: %d is not JSON: %.200s", method, path, resp.StatusCode, raw)
		}
	}
	return a
}

// want makes a call and fails the test on another status.
func (w *world) want(status int, method, path string, body any) answer {
	w.t.Helper()
	a := w.do(method, path, body)
	if a.status != status {
		w.t.Fatalf("%s %s = %d %v, want %d", method, path, a.status, a.body, status)
	}
	return a
}

func (w *world) refused(status int, code, method, path string, body any) {
	w.t.Helper()
	a := w.do(method, path, body)
	if a.status != status || a.code() != code {
		w.t.Errorf("%s %s = %d %v, want %d %s", method, path, a.status, a.body, status, code)
	}
}

func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.Idle(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) group(name string) okta.Group {
	w.t.Helper()
	g, err := w.AddGroup(name)
	must(w.t, err)
	return g
}

func (w *world) user(login string, groups ...string) okta.User {
	w.t.Helper()
	u, err := w.AddUser(okta.NewUser{Login: login, FirstName: "Ana", LastName: "Silva", Groups: groups})
	must(w.t, err)
	return u
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// posted is one delivery as a receiver sees it.
type posted struct {
	header http.Header
	body   object
}

func (p posted) events() []object {
	var out []object
	for _, e := range p.body["data"].(object)["events"].([]any) {
		out = append(out, e.(object))
	}
	return out
}

// sink is an event hook's endpoint. It echoes challenges and answers the n-th
// POST, counted from 1, as reply says: a status, or 0 to hang until released.
type sink struct {
	url      string
	reply    func(n int) int
	released chan struct{}
	hanging  chan struct{} // gets one for each POST that hangs

	mu    sync.Mutex
	gets  []http.Header
	posts []posted
}

func listen(t *testing.T, reply func(n int) int) *sink {
	t.Helper()
	s := &sink{reply: reply, released: make(chan struct{}), hanging: make(chan struct{}, 10)}
	if reply == nil {
		s.reply = func(int) int { return http.StatusNoContent }
	}
	srv := httptest.NewServer(s)
	s.url = srv.URL + "/hook"
	t.Cleanup(func() { close(s.released); srv.Close() })
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.mu.Lock()
		s.gets = append(s.gets, r.Header.Clone())
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(object{"verification": r.Header.Get("x-okta-verification-challenge")})
		return
	}
	var p posted
	p.header = r.Header.Clone()
	if err := json.NewDecoder(r.Body).Decode(&p.body); err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.mu.Lock()
	s.posts = append(s.posts, p)
	n := len(s.posts)
	s.mu.Unlock()
	status := s.reply(n)
	if status == 0 {
		s.hanging <- struct{}{}
		<-s.released
		return
	}
	if status/100 == 3 {
		w.Header().Set("Location", s.url)
	}
	w.WriteHeader(status)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// patient gives a client for one call at a time. However busy the machine is, it ends only
// calls that hang, of which a value of hanging tells, and these once their time is over.
func patient(t *testing.T, hanging <-chan struct{}) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		ctx, end := context.WithCancel(context.WithoutCancel(r.Context()))
		defer end()
		go func() {
			select {
			case <-hanging:
				<-r.Context().Done()
				end()
			case <-ctx.Done():
			}
		}()
		resp, err := transport.RoundTrip(r.WithContext(ctx))
		if err != nil && ctx.Err() != nil {
			err = r.Context().Err()
		}
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, err
	})}
}

func (s *sink) got() []posted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]posted{}, s.posts...)
}

// uuids are those of all delivered events, in order of arrival.
func (s *sink) uuids() []string {
	var out []string
	for _, p := range s.got() {
		for _, e := range p.events() {
			out = append(out, e["uuid"].(string))
		}
	}
	return out
}

var memberships = []string{"group.user_membership.add", "group.user_membership.remove"}

// hook adds a verified hook.
func (w *world) hook(s *sink, events []string, filters map[string]string) okta.Hook {
	w.t.Helper()
	h, err := w.AddHook(okta.HookConfig{Name: "connect-agents", URI: s.url, Events: events, Filters: filters, AuthValue: "s3cret",
		Headers: []okta.Header{{Key: "X-Any-Key", Value: "any value"}}})
	must(w.t, err)
	must(w.t, w.VerifyHook(w.t.Context(), h.ID))
	return h
}
