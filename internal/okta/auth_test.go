package okta_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
)

// exchange sends bytes over a connection of its own, and gives the answer once
// the server has closed the connection.
func exchange(t *testing.T, s *httptest.Server, request string) string {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the connection was not closed in good order: %v after %q", err, answer)
	}
	return string(answer)
}

// undated drops the one line of an answer that changes with time.
func undated(answer string) string {
	before, rest, _ := strings.Cut(answer, "Date: ")
	_, after, _ := strings.Cut(rest, "\r\n")
	return before + after
}

func utf16le(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

// P-40, S1: whoever lacks the secret gets the same answer whatever they try, and
// none of the 1 GiB that they announce is waited for.
func TestS1Unauthorized(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	s := serve(t, h)
	line := func(value string) string { return "Authorization: " + value + "\r\n" }
	swapped := strings.Replace(secret, "W", "w", 1)
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	headers := map[string]string{
		"missing":                   "",
		"empty":                     "Authorization:\r\n",
		"blank":                     line("   \t "),
		"wrong":                     line("wrong"),
		"one letter":                line("p"),
		"prefix":                    line(secret[:len(secret)-1]),
		"suffix":                    line(secret[1:]),
		"one more at the end":       line(secret + "x"),
		"one more at the start":     line("x" + secret),
		"twice in one":              line(secret + secret),
		"both in one":               line(secret + secretTwo),
		"list of both":              line(secret + ", " + secretTwo),
		"list of one":               line(secret + ","),
		"duplicated":                line(secret) + line(secret),
		"duplicated, other name":    line(secret) + "authorization: " + secret + "\r\n",
		"both valid":                line(secret) + line(secretTwo),
		"right then wrong":          line(secret) + line("wrong"),
		"wrong then right":          line("wrong") + line(secret),
		"right then empty":          line(secret) + line(""),
		"empty then right":          line("") + line(secret),
		"upper case":                line(strings.ToUpper(secret)),
		"lower case":                line(strings.ToLower(secret)),
		"one letter's case":         line(swapped),
		"scheme's case":             line(strings.Replace(secretTwo, "Basic", "basic", 1)),
		"scheme alone":              line("Basic "),
		"without scheme":            line(strings.TrimPrefix(secretTwo, "Basic ")),
		"two blanks after scheme":   line(strings.Replace(secretTwo, " ", "  ", 1)),
		"Basic of a raw secret":     line("Basic " + secret),
		"Basic of the encoded":      line("Basic " + encoded),
		"Bearer":                    line("Bearer " + secret),
		"encoded":                   line(encoded),
		"percent-encoded":           line(strings.ReplaceAll(secret, "/", "%2F")),
		"quoted":                    line(`"` + secret + `"`),
		"in brackets":               line("<" + secret + ">"),
		"decomposed":                line(strings.Replace(secret, "ö", "o\u0308", 1)),
		"Latin-1":                   line(strings.Replace(secret, "ö", "\xf6", 1)),
		"full width":                line(strings.Replace(secret, "p", "ｐ", 1)),
		"byte order mark":           line("\ufeff" + secret),
		"no-break space":            line(secret + "\u00a0"),
		"zero width space":          line(secret + "\u200b"),
		"semicolon":                 line(secret + "; q=1"),
		"folded in the middle":      line(secret[:8] + "\r\n " + secret[8:]),
		"another header":            "X-Authorization: " + secret + "\r\n",
		"proxy's header":            "Proxy-Authorization: " + secret + "\r\n",
		"underscore":                "Authorization_: " + secret + "\r\n",
		"cookie":                    "Cookie: Authorization=" + secret + "\r\n",
		"challenge in place of it":  "X-Okta-Verification-Challenge: " + secret + "\r\n",
		"forwarded":                 "X-Forwarded-Authorization: " + secret + "\r\n",
		"connection claims it":      "Connection: Authorization\r\n",
		"expects to be asked to go": line("wrong") + "Expect: 100-continue\r\n",
		"overlong":                  line(strings.Repeat("a", 100_000)),
	}
	requests := map[string]string{}
	for name, header := range headers {
		requests[name] = "POST /hooks/okta HTTP/1.1\r\nHost: h\r\n" + header + "Content-Length: 1073741824\r\n\r\n{"
	}
	for _, method := range strings.Fields("GET PUT PATCH DELETE OPTIONS TRACE FOO") {
		requests[method] = method + " /hooks/okta HTTP/1.1\r\nHost: h\r\nX-Okta-Verification-Challenge: c\r\n\r\n"
	}
	requests["query"] = "POST /hooks/okta?Authorization=pa55&secret=pa55 HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n{"
	requests["query of a GET"] = "GET /hooks/okta?authorization=" + strings.ReplaceAll(secretTwo, " ", "%20") + " HTTP/1.1\r\nHost: h\r\n\r\n"
	requests["HTTP/1.0"] = "POST /hooks/okta HTTP/1.0\r\nContent-Length: 1073741824\r\n\r\n{"
	requests["chunked"] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n"
	requests["trailer"] = "POST / HTTP/1.1\r\nHost: h\r\nTrailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nAuthorization: " + secret + "\r\n\r\n"
	requests["another path"] = "POST /%2e%2e/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n{"

	const want = "HTTP/1.1 401 Unauthorized\r\nCache-Control: no-store\r\nConnection: close\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 13\r\n\r\nunauthorized\n"
	var wg sync.WaitGroup
	for name, request := range requests {
		wg.Go(func() {
			got := undated(exchange(t, s, request))
			if strings.Contains(request, "HTTP/1.0") {
				got = strings.Replace(got, "HTTP/1.0", "HTTP/1.1", 1)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
	wg.Wait()

	// These do not get past net/http, or have no body to compare.
	for name, request := range map[string]string{
		"NUL at the end":  "POST / HTTP/1.1\r\nHost: h\r\n" + line(secret+"\x00") + "\r\n",
		"NUL inside":      "POST / HTTP/1.1\r\nHost: h\r\n" + line("pa55\x00"+secret) + "\r\n",
		"UTF-16":          "POST / HTTP/1.1\r\nHost: h\r\n" + line(utf16le(secret)) + "\r\n",
		"lone CR":         "POST / HTTP/1.1\r\nHost: h\r\n" + line(secret+"\rx") + "\r\n",
		"escape":          "POST / HTTP/1.1\r\nHost: h\r\n" + line("\x1b"+secret) + "\r\n",
		"blank in a name": "POST / HTTP/1.1\r\nHost: h\r\nAuthorization : " + secret + "\r\n\r\n",
		"HEAD":            "HEAD / HTTP/1.1\r\nHost: h\r\nX-Okta-Verification-Challenge: c\r\n\r\n",
	} {
		if got := exchange(t, s, request); !strings.HasPrefix(got, "HTTP/1.1 400") && !strings.HasPrefix(got, "HTTP/1.1 401") {
			t.Errorf("%s: answered %.40q, want 400 or 401", name, got)
		}
	}
	if stats := h.Stats(); q.calls != 0 || stats.Deliveries+stats.Verifications != 0 || stats.Unauthorized < int64(len(requests)) {
		t.Errorf("%d calls of the queue, stats %+v; %d requests were sent", q.calls, stats, len(requests))
	}
	t.Logf("%d variants", len(requests)+7)
}

// unread fails a test that reads it.
type unread struct{ t testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (u unread) Close() error { return nil }

// P-40: no guess is accepted, near or far, and no body is read for it.
func TestRandomSecrets(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := newHook(t, config(q))
	random := rand.New(rand.NewPCG(1, 2))
	guess := func(i int) string {
		b := []byte(secret)
		switch i % 4 {
		case 0: // one bit away
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		case 1: // of the right length
			for i := range b {
				b[i] = byte(random.UintN(256))
			}
		case 2: // two bytes changed places
			j, k := random.IntN(len(b)-1), random.IntN(len(b)-1)
			b[j], b[k+1] = b[k+1], b[j]
		default:
			b = make([]byte, random.IntN(200))
			for i := range b {
				b[i] = byte(random.UintN(256))
			}
		}
		return string(b)
	}
	start := time.Now()
	const n = 100_000
	tried := 0
	for i := range n {
		g := guess(i)
		if g == secret {
			continue
		}
		tried++
		r := &http.Request{Method: http.MethodPost, Header: http.Header{"Authorization": {g}}, Body: unread{t}, ContentLength: 1 << 30}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Fatalf("%q: answered %d", g, w.Code)
		}
	}
	if tried < n*9/10 || q.calls != 0 || h.Stats().Unauthorized != int64(tried) {
		t.Errorf("%d tried, %d calls of the queue, %d counted", tried, q.calls, h.Stats().Unauthorized)
	}
	t.Logf("%s each", time.Since(start)/n)
}

// Odd values that no server of ours would pass on are refused all the same.
func TestOddSecrets(t *testing.T) {
	t.Parallel()
	h := newHook(t, config(&queue{}))
	for name, header := range map[string]http.Header{
		"none":               {},
		"nil":                {"Authorization": nil},
		"NUL":                {"Authorization": {secret + "\x00"}},
		"NUL alone":          {"Authorization": {"\x00"}},
		"UTF-16":             {"Authorization": {utf16le(secret)}},
		"line break":         {"Authorization": {secret + "\r\n"}},
		"empty, as unset":    {"Authorization": {""}},
		"two":                {"Authorization": {secret, secret}},
		"not canonical":      {"authorization": {secret}},
		"under another name": {"X-Secret": {secret}},
	} {
		r := &http.Request{Method: http.MethodPost, Header: header, Body: unread{t}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: answered %d, want 401", name, w.Code)
		}
	}
}

// Secrets come and go while the hook runs, and the header can be another.
func TestRotation(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	valid := []string{"old"}
	set := func(s ...string) {
		mu.Lock()
		defer mu.Unlock()
		valid = s
	}
	c := config(&queue{})
	c.Header = "x-okta-secret"
	c.Secrets = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return valid
	}
	s := serve(t, newHook(t, c))
	status := func(secret string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(envelope()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-OKTA-Secret", secret)
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body(t, response)
		return response.StatusCode
	}
	for _, step := range []struct {
		valid    []string
		old, new int
	}{
		{[]string{"old"}, 204, 401},
		{[]string{"new", "old"}, 204, 204},
		{[]string{"new"}, 401, 204},
		{nil, 401, 401},
		{[]string{""}, 401, 401},
	} {
		set(step.valid...)
		if old, latest := status("old"), status("new"); old != step.old || latest != step.new {
			t.Errorf("with %q: answered %d and %d, want %d and %d", step.valid, old, latest, step.old, step.new)
		}
		if got := status(""); got != 401 {
			t.Errorf("with %q: an empty secret is answered %d", step.valid, got)
		}
	}
}

// TestSecretsOnTheirWay: what looks like a delivery is judged once more by secrets that
// come a moment later, since Okta does not repeat what was refused.
func TestSecretsOnTheirWay(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"application/json": 204, "text/html": 401} {
		c := config(&queue{})
		asked := 0
		c.Secrets = func() []string {
			if asked++; asked == 1 {
				return []string{"old"}
			}
			return []string{"new"}
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(envelope()))
		r.Header.Set("Authorization", "new")
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		newHook(t, c).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: answered %d, want %d", kind, w.Code, want)
		}
	}
}

// P-40: a flood of bad secrets leaves a line a second, which tells how many.
func TestUnauthorizedLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l logs
		c := config(&queue{})
		c.Log = l.logger()
		h := newHook(t, c)
		attack := func(n int) {
			for range n {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
			}
		}
		attack(1000)
		time.Sleep(time.Second) // of the bubble's clock
		attack(500)
		lines := l.lines()
		if len(lines) != 2 || !strings.Contains(lines[0], `"times":1}`) || !strings.Contains(lines[1], `"times":1000}`) {
			t.Errorf("logged %q, want two lines for 1 and 1000 requests", lines)
		}
	})
}

// S11, P-47, P-48: the verification.
func TestVerification(t *testing.T) {
	t.Parallel()
	h := newHook(t, config(&queue{}))
	s := serve(t, h)
	get := func(method, headers string) *http.Response {
		t.Helper()
		answer := exchange(t, s, method+" /create_user HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+headers+"\r\n")
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("read %q: %v", answer, err)
		}
		return response
	}
	auth := "Authorization: " + secret + "\r\n"
	const name = "X-Okta-Verification-Challenge"
	tests := map[string]struct {
		headers string
		status  int
		body    string
	}{
		"as Okta sends it": {name + ": Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg\r\n", 200, `{"verification":"Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg"}`},
		"lower case":       {strings.ToLower(name) + ": c\r\n", 200, `{"verification":"c"}`},
		"upper case":       {strings.ToUpper(name) + ": c\r\n", 200, `{"verification":"c"}`},
		"mixed case":       {"x-OKTA-verificatioN-challengE: c\r\n", 200, `{"verification":"c"}`},
		"quotes":           {name + `: "},{"a":"\` + "\r\n", 200, `{"verification":"\"},{\"a\":\"\\"}`},
		"HTML":             {name + ": </script><b>&\r\n", 200, `{"verification":"\u003c/script\u003e\u003cb\u003e\u0026"}`},
		"line separators":  {name + ": a\u2028b\u2029\r\n", 200, `{"verification":"a\u2028b\u2029"}`},
		"tab":              {name + ": a\tb\r\n", 200, `{"verification":"a\tb"}`},
		"1 KiB":            {name + ": " + strings.Repeat("c", 1024) + "\r\n", 200, `{"verification":"` + strings.Repeat("c", 1024) + `"}`},
		"1 KiB and 1":      {name + ": " + strings.Repeat("c", 1025) + "\r\n", 400, ""},
		"64 KiB":           {name + ": " + strings.Repeat("c", 1<<16) + "\r\n", 400, ""},
		"missing":          {"", 400, ""},
		"empty":            {name + ":\r\n", 400, ""},
		"two":              {name + ": a\r\n" + name + ": b\r\n", 400, ""},
		"not UTF-8":        {name + ": a\xffb\r\n", 400, ""},
	}
	for test, want := range tests {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			r := get("GET", auth+want.headers)
			got := body(t, r)
			if r.StatusCode != want.status || want.status == 200 && got != want.body {
				t.Fatalf("answered %d %.200q, want %d %.200q", r.StatusCode, got, want.status, want.body)
			}
			wantType := "application/json"
			if want.status != 200 {
				wantType = "text/plain; charset=utf-8"
			}
			if r.Header.Get("Content-Type") != wantType || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
	for _, injected := range []string{"a\r\nb", "a\x00b", "\x1b[31m", "a\nSet-Cookie: x=y"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{"Authorization": {secret}, name: {injected}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || strings.ContainsAny(w.Body.String(), "\r\n\x00\x1b") || len(w.Header()) != 3 {
			t.Errorf("%q: answered %d %q with headers %v", injected, w.Code, w.Body, w.Header())
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := newHook(t, config(&queue{}))
	for _, method := range strings.Fields("HEAD PUT PATCH DELETE OPTIONS TRACE CONNECT get post FOO") {
		r := httptest.NewRequest(method, "/", unread{t})
		r.Header.Set("Authorization", secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, POST" {
			t.Errorf("%s: answered %d, allows %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	if got := h.Stats().MethodNotAllowed; got != 10 {
		t.Errorf("%d counted, want 10", got)
	}
}

func TestNewHook(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*okta.HookConfig){
		"no secrets":       func(c *okta.HookConfig) { c.Secrets = nil },
		"no groups":        func(c *okta.HookConfig) { c.Groups = nil },
		"no queue":         func(c *okta.HookConfig) { c.Queue = nil },
		"negative body":    func(c *okta.HookConfig) { c.MaxBody = -1 },
		"negative timeout": func(c *okta.HookConfig) { c.Timeout = -time.Second },
		"header with blank": func(c *okta.HookConfig) {
			c.Header = "X Secret"
		},
		"header with break": func(c *okta.HookConfig) { c.Header = "X-Secret\r\n" },
		"header beyond ASCII": func(c *okta.HookConfig) {
			c.Header = "X-Sécret"
		},
		"host": func(c *okta.HookConfig) { c.Header = "host" },
	} {
		c := config(&queue{})
		spoil(&c)
		if h, err := okta.NewHook(c); err == nil || h != nil {
			t.Errorf("%s: made a hook, want an error", name)
		} else if !strings.HasPrefix(err.Error(), "configure the hook: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := okta.NewHook(config(&queue{})); err != nil {
		t.Error(fmt.Errorf("the defaults do not do: %w", err))
	}
}
