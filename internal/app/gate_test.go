package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// gate is a server that passes calls on, keeps what it saw, and can be shut.
type gate struct {
	server *httptest.Server
	client *http.Client // whose connections end with the gate

	mu     sync.Mutex
	next   http.Handler // nil: connections break off
	status int          // answered in place of next; 0: none
	seen   []seen
}

// seen is a call that came to a gate.
type seen struct {
	method, url string
	body        string
}

func newGate(t testing.TB, next http.Handler) *gate {
	g := &gate{next: next}
	g.server = httptest.NewServer(g)
	g.client = g.server.Client()
	t.Cleanup(g.server.Close)
	return g
}

func (g *gate) url() string { return g.server.URL }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	g.mu.Lock()
	g.seen = append(g.seen, seen{r.Method, r.URL.String(), string(body)})
	next, status := g.next, g.status
	g.mu.Unlock()
	switch {
	case status != 0:
		w.WriteHeader(status)
	case next == nil:
		panic(http.ErrAbortHandler) // breaks the connection
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	}
}

// lead passes calls on to next from now on; nil breaks their connections.
func (g *gate) lead(next http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = next
}

// still lets no call come while something is done.
func (g *gate) still(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
}

// answer answers every call with a status, until that is 0.
func (g *gate) answer(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = status
}

// calls gives what was seen of a method and a part of the URL.
func (g *gate) calls(method, part string) []seen {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []seen
	for _, s := range g.seen {
		if s.method == method && strings.Contains(s.url, part) {
			out = append(out, s)
		}
	}
	return out
}

// forward passes calls on to an address.
func forward(t testing.TB, address string) http.Handler {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+address+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header, out.ContentLength = r.Header.Clone(), r.ContentLength
		resp, err := transport.RoundTrip(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
}

// logbook keeps the lines of a log. It is a slog.Handler.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s", r.Time.Format("15:04:05.000"), r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s=%q", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line.String())
	return nil
}

// count is how many lines have all the words in them.
func (l *logbook) count(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}

// String is the end of the log.
func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(0, len(l.lines)-40):], "\n")
}
