package okta_test

import (
	"bytes"
	"compress/gzip"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// padded makes a delivery of exactly n bytes with one event in it.
func padded(n int) []byte {
	head := `{"pad":"`
	tail := `",` + string(envelope(joined(userID, "ana@example.com", "Ana Silva")))[1:]
	return []byte(head + strings.Repeat("x", n-len(head)-len(tail)) + tail)
}

// zeros is a body without end that counts what is taken of it.
type zeros struct{ taken atomic.Int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.taken.Add(int64(len(p)))
	return len(p), nil
}

// post sends a delivery with the secret over the network. A negative length
// sends it in chunks.
func post(t *testing.T, s *httptest.Server, body io.Reader, length int64, header ...string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	r.Header.Set("Authorization", secretTwo)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.Client().Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if b, err := io.ReadAll(response.Body); err != nil || (len(b) == 0) != (response.StatusCode == http.StatusNoContent) {
		t.Errorf("status %d with %q, error %v", response.StatusCode, b, err)
	}
	return response.StatusCode, nil
}

// P-43: bodies of every size and make.
func TestBodies(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.Copy(z, io.LimitReader(new(zeros), 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		body   []byte
		chunks bool
		header []string
		status int
	}{
		"0 B":                      {body: nil, status: 400},
		"0 B in chunks":            {body: nil, chunks: true, status: 400},
		"1 B":                      {body: []byte("{"), status: 400},
		"limit - 1":                {body: padded(limit - 1), status: 204},
		"limit":                    {body: padded(limit), status: 204},
		"limit + 1":                {body: padded(limit + 1), status: 413},
		"limit - 1 in chunks":      {body: padded(limit - 1), chunks: true, status: 204},
		"limit in chunks":          {body: padded(limit), chunks: true, status: 204},
		"limit + 1 in chunks":      {body: padded(limit + 1), chunks: true, status: 413},
		"identity":                 {body: padded(1000), header: []string{"Content-Encoding", "Identity"}, status: 204},
		"gzip bomb":                {body: packed.Bytes(), header: []string{"Content-Encoding", "gzip"}, status: 415},
		"gzip bomb, undeclared":    {body: packed.Bytes(), status: 400},
		"deflate":                  {body: padded(1000), header: []string{"Content-Encoding", "deflate"}, status: 415},
		"zstd":                     {body: padded(1000), header: []string{"Content-Encoding", "zstd"}, status: 415},
		"identity, gzip":           {body: padded(1000), header: []string{"Content-Encoding", "identity, gzip"}, status: 415},
		"another content type":     {body: padded(1000), header: []string{"Content-Type", "text/html; charset=utf-16"}, status: 204},
		"UTF-16":                   {body: []byte(utf16le(string(padded(1000)))), status: 400},
		"a number without an end":  {body: bytes.Repeat([]byte("9"), limit), status: 400},
		"a string without an end":  {body: append([]byte(`"`), bytes.Repeat([]byte("x"), limit-1)...), status: 400},
		"blanks":                   {body: bytes.Repeat([]byte(" "), limit), status: 400},
		"brackets":                 {body: bytes.Repeat([]byte("["), limit), status: 400},
		"events without substance": {body: envelope(strings.Repeat("0,", limit/2-100) + "0"), status: 204},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			c := config(q)
			c.MaxBody = limit
			s := serve(t, newHook(t, c))
			length := int64(len(test.body))
			if test.chunks {
				length = -1
			}
			status, err := post(t, s, bytes.NewReader(test.body), length, test.header...)
			if err != nil {
				t.Fatal(err)
			}
			if status != test.status {
				t.Errorf("answered %d, want %d", status, test.status)
			}
			if got := len(q.take()); got > 0 && test.status != 204 {
				t.Errorf("%d requests of a refused delivery", got)
			}
		})
	}
}

// P-43: 1 GiB is not read, announced or not.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int64{"announced": 1 << 30, "in chunks": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t, config(&queue{}))
			s := serve(t, h)
			z := &zeros{}
			status, err := post(t, s, io.LimitReader(z, 1<<30), length)
			// Whoever is still writing when the connection closes may miss the answer.
			if err == nil && status != http.StatusRequestEntityTooLarge {
				t.Errorf("answered %d, want 413", status)
			}
			if got := h.Stats(); got.TooLarge != 1 || got.Deliveries != 0 {
				t.Errorf("stats %+v, want one too large", got)
			}
			if taken := z.taken.Load(); taken > 64<<20 {
				t.Errorf("%d MiB were sent before the connection closed", taken>>20)
			}
		})
	}
}

// P-43: an announced length that is not true.
func TestLengthLie(t *testing.T) {
	t.Parallel()
	whole := string(envelope(joined(userID, "ana@example.com", "Ana Silva")))
	for name, length := range map[string]int{"longer": len(whole) + 1, "shorter": len(whole) - 1, "far shorter": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			s := serve(t, newHook(t, config(q)))
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", secret, length, whole)
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || len(q.take()) != 0 {
				t.Errorf("answered %.60q, error %v; want 400 and nothing kept", answer, err)
			}
		})
	}
}

// A body that does not come in the server's time may come again.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout = 50 * time.Millisecond
	s.Config.ReadHeaderTimeout = time.Minute // a busy machine may be late with that
	s.Start()
	t.Cleanup(s.Close)
	got := exchange(t, s, "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: "+secret+"\r\nContent-Length: 1000\r\n\r\n{")
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") || q.calls != 0 {
		t.Errorf("answered %.60q, want 503", got)
	}
}

// P-43: many events and many keys are no matter. Nothing runs beside this test,
// so that the memory is its own.
func TestLargeDeliveries(t *testing.T) {
	events := make([]string, 10_001)
	for i := range events {
		events[i] = joined(fmt.Sprintf("00u%d", i), "a@example.com", "A B")
	}
	keys := func(n int) []byte {
		var b strings.Builder
		b.WriteString(`{"x":{`)
		for i := range n {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		b.WriteString(`"":0},"data":{"events":[]}}`)
		return []byte(b.String())
	}
	members := func(n int, inside string) []byte {
		return envelope(`{"eventType":"group.user_membership.add","target":[` + strings.Repeat(inside+",", n) + inside + `]}`)
	}
	tests := []struct {
		name     string
		body     []byte
		status   int
		requests int
	}{
		{"10,001 events", envelope(events...), 204, 10_001},
		{"500,000 keys", keys(500_000), 204, 0},
		{"1,000,000 keys", keys(1_000_000), 413, 0},
		{"300,000 events", envelope(strings.Repeat("{},", 300_000) + "{}"), 204, 0},
		{"300,000 targets", members(300_000, "{}"), 204, 0},
		{"50,000 groups", members(50_000, `{"type":"UserGroup","id":"00g","displayName":"`+groupName+`"}`), 204, 0},
		{"nested 10,000 deep", []byte(strings.Repeat(`{"data":`, 10_000) + "1" + strings.Repeat("}", 10_000)), 400, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := &queue{}
			c := config(q)
			c.MaxBody = 8 << 20
			h := newHook(t, c)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			w := deliver(h, test.body)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if got := len(q.take()); w.Code != test.status || got != test.requests {
				t.Errorf("answered %d %s with %d requests, want %d and %d", w.Code, w.Body, got, test.status, test.requests)
			}
			grown := (after.Sys - before.Sys) >> 20
			t.Logf("%.1f MiB in %s, %d MiB allocated in all, %d MiB more from the system",
				float64(len(test.body))/(1<<20), took, (after.TotalAlloc-before.TotalAlloc)>>20, grown)
			if grown > 48 { // the promise is 32; the race detector needs more
				t.Errorf("took %d MiB from the system", grown)
			}
		})
	}
}

// P-02, S9: what cannot be stored is answered 503, in time, and never with a
// status after which Okta does not come back.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	whole := envelope(joined(userID, "ana@example.com", "Ana Silva"))
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		q := &queue{}
		h := newHook(t, config(q))
		for _, err := range []error{
			errors.New("disk is full"), context.Canceled, context.DeadlineExceeded,
			reconcile.ErrNotFound, reconcile.ErrTaken, reconcile.Terminal(errors.New("broken")), reconcile.After(time.Minute, errors.New("busy")),
		} {
			q.err = err
			w := deliver(h, whole)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "" || w.Body.String() != "could not be stored\n" {
				t.Errorf("%v: answered %d %q, headers %v", err, w.Code, w.Body, w.Header())
			}
		}
		if got := h.Stats(); got.Unavailable != 7 || got.Deliveries != 0 || got.Events != 0 || !got.LastDelivery.IsZero() {
			t.Errorf("stats %+v, want 7 unavailable and nothing else", got)
		}
		q.err = nil
		if w := deliver(h, whole); w.Code != http.StatusNoContent || len(q.take()) != 1 {
			t.Errorf("answered %d once the queue works again", w.Code)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		c := config(&queue{hang: true})
		c.Timeout = 20 * time.Millisecond
		h := newHook(t, c)
		var took []time.Duration
		for len(took) == 0 || took[len(took)-1] > 2500*time.Millisecond && len(took) < 5 { // a busy machine makes one wait now and then, not each time
			start := time.Now()
			w := deliver(h, whole)
			took = append(took, time.Since(start))
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("answered %d", w.Code)
			}
		}
		if took[len(took)-1] > 2500*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
	})
	t.Run("default timeout", func(t *testing.T) {
		t.Parallel()
		var least, most time.Duration // by the clock before the delivery and within it
		began := time.Now()
		deliver(newHook(t, config(enqueue(func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			least, most = time.Until(deadline), deadline.Sub(began)
			return nil
		}))), whole)
		if least > 2*time.Second || most < 2*time.Second {
			t.Errorf("Enqueue has between %s and %s, want 2 s", least, most)
		}
	})
	t.Run("sender gone", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(whole))
		r.Header.Set("Authorization", secret)
		w := httptest.NewRecorder()
		newHook(t, config(enqueue(func(ctx context.Context) error { return ctx.Err() }))).ServeHTTP(w, r)
		if w.Code != http.StatusNoContent {
			t.Errorf("answered %d: what had come was dropped with the sender", w.Code)
		}
	})
	t.Run("panics", func(t *testing.T) {
		t.Parallel()
		var l logs
		c := config(enqueue(func(context.Context) error { panic("about ana@example.com") }))
		c.Log = l.logger()
		h := newHook(t, c)
		if w := deliver(h, whole); w.Code != http.StatusServiceUnavailable || h.Stats().Unavailable != 1 {
			t.Errorf("answered %d, stats %+v", w.Code, h.Stats())
		}
		if got := strings.Join(l.lines(), "\n"); strings.Contains(got, "ana@") || !strings.Contains(got, "panic with a string") {
			t.Errorf("logged %s", got)
		}
	})
	t.Run("nothing to store", func(t *testing.T) {
		t.Parallel()
		q := &queue{err: errors.New("disk is full")}
		h := newHook(t, config(q))
		if w := deliver(h, fixture(t, "hook-user.lifecycle.suspend.json")); w.Code != http.StatusNoContent || q.calls != 0 {
			t.Errorf("answered %d after %d calls of the queue, want 204 without one", w.Code, q.calls)
		}
	})
}

type enqueue func(context.Context) error

func (e enqueue) Enqueue(ctx context.Context, _ ...reconcile.Request) error { return e(ctx) }

// Whoever has an answer finds it counted.
func TestStats(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	q := &queue{}
	c := config(q)
	c.Now = func() time.Time { return now }
	c.MaxBody = 1 << 20
	h := newHook(t, c)
	good := joined(userID, "ana@example.com", "Ana Silva")
	deliver(h, envelope(good, good, `{}`, strings.Replace(good, groupName, "Sales", 1)))
	now = now.Add(time.Minute)
	deliver(h, fixture(t, "hook-user.lifecycle.suspend.json"))
	now = now.Add(time.Minute)
	deliver(h, []byte("{"))
	deliver(h, padded(1<<20+1))
	request := func(method, key, value string) {
		r := httptest.NewRequest(method, "/", strings.NewReader("{}"))
		r.Header.Set("Authorization", secret)
		r.Header.Set(key, value)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	request(http.MethodGet, "X-Okta-Verification-Challenge", "c")
	request(http.MethodPut, "X", "y")
	request(http.MethodPost, "Content-Encoding", "br")
	request(http.MethodPost, "Authorization", "wrong")
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain", ""} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set("Authorization", "wrong")
		r.Header.Set("Content-Type", kind)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		r := httptest.NewRequest(method, "/", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	none := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")) // as the AWS sample has it
	none.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(httptest.NewRecorder(), none)
	q.err = errors.New("disk is full")
	deliver(h, envelope(good, `{}`))

	want := okta.HookStats{
		Deliveries: 2, Events: 2, Ignored: okta.Ignored{Unreadable: 1, OtherGroup: 1, OtherType: 1},
		Verifications: 1, BadRequest: 1, Unauthorized: 9, WrongSecret: 4, MethodNotAllowed: 1, TooLarge: 1, Unsupported: 1, Unavailable: 1,
		LastDelivery: time.Date(2026, 11, 20, 10, 1, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, h.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// S7, P-47: nothing of a request is logged, and nothing but the challenge sent
// back, whatever is in it. Each record is one line.
func TestS7NothingLeaks(t *testing.T) {
	t.Parallel()
	const canary = "c4nary"
	poisons := []string{
		canary, canary + `\u001b[2J`, canary + `\r\n{\"level\":\"INFO\"}`, canary + `\u0000`, canary + `\u2028`, `=cmd|` + canary,
		canary + "\xff", canary + `\ud800`, canary + "\n", canary + `","` + canary + `":1,"` + canary + `":"`,
	}
	var l logs
	for _, fails := range []bool{false, true} {
		q := &queue{}
		if fails {
			q.err = errors.New("disk is full")
		}
		c := config(q)
		c.Log, c.Facts = l.logger(), true
		c.Secrets = func() []string { return []string{canary + "-secret"} }
		send := func(method, auth, challenge, body string) {
			h := newHook(t, c) // a new one logs each
			r := httptest.NewRequest(method, "/"+canary, strings.NewReader(body))
			r.Header = http.Header{"Authorization": {auth}, "X-Okta-Verification-Challenge": {challenge}, "User-Agent": {canary}, canary: {canary}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK && strings.Contains(w.Body.String(), canary) {
				t.Errorf("%s of %q sends back %q", method, body, w.Body)
			}
			if headers := fmt.Sprint(w.Header()); strings.Contains(headers, canary) {
				t.Errorf("%s of %q sends back %s", method, body, headers)
			}
		}
		good := joined(userID, "LOGIN", "NAME")
		for _, p := range poisons {
			for _, auth := range []string{canary + "-secret", canary + "-wrong", p} {
				for _, method := range []string{"GET", "POST", "PUT"} {
					send(method, auth, p, string(envelope(good)))
				}
			}
			for _, body := range []string{
				p, `"` + p + `"`, `{"` + p + `":1,"` + p + `":1}`, `{"x":"` + p + `"}`,
				strings.Replace(string(envelope(good)), "LOGIN", p, 1), strings.Replace(string(envelope(good)), "NAME", p, 1),
				strings.Replace(string(envelope(good)), groupID, p, 1), strings.Replace(string(envelope(good)), userID, p, 2),
				strings.Replace(string(envelope(good)), "user_membership", p, 1), strings.Replace(string(envelope(good)), "SUCCESS", p, 1),
				strings.Replace(string(envelope(good)), "com.okta.event_hook", p, 1), strings.Replace(string(envelope(good)), "SUCCESS", "Success", 1),
			} {
				send("POST", canary+"-secret", "", body)
			}
		}
	}
	lines := l.lines()
	if len(lines) < 100 {
		t.Errorf("%d lines were logged, too few to tell", len(lines))
	}
	for _, line := range lines {
		if strings.Contains(line, canary) || !stdjson.Valid([]byte(line)) {
			t.Errorf("logged %s", line)
		}
	}
}
