package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
)

// TestWithoutTheSecret tries many ways to be let in without it (P-40).
func TestWithoutTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	secret := func(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }
	variants := map[string]string{
		"missing":           "",
		"empty":             secret("Authorization:"),
		"blank":             secret("Authorization:    "),
		"wrong":             secret("Authorization: the-secret-of-other-tests"),
		"prefix":            secret("Authorization: " + hookSecret[:len(hookSecret)-1]),
		"suffix":            secret("Authorization: " + hookSecret + "s"),
		"other case":        secret("Authorization: " + strings.ToUpper(hookSecret)),
		"inner space":       secret("Authorization: " + strings.ReplaceAll(hookSecret, "-", " ")),
		"twice":             secret("Authorization: "+hookSecret, "Authorization: "+hookSecret),
		"right and wrong":   secret("Authorization: "+hookSecret, "Authorization: wrong"),
		"wrong and right":   secret("Authorization: wrong", "Authorization: "+hookSecret),
		"list":              secret("Authorization: " + hookSecret + ", " + hookSecret),
		"basic":             secret("Authorization: Basic " + hookSecret),
		"bearer":            secret("Authorization: Bearer " + hookSecret),
		"quoted":            secret(`Authorization: "` + hookSecret + `"`),
		"escaped":           secret("Authorization: " + strings.ReplaceAll(hookSecret, "-", "%2D")),
		"other header":      secret("Proxy-Authorization: "+hookSecret, "X-Authorization: "+hookSecret),
		"cookie":            secret("Cookie: Authorization=" + hookSecret),
		"name with space":   secret("Authorization : " + hookSecret),
		"folded":            secret("Authorization: the-secret-of", " -these-tests"),
		"nul":               secret("Authorization: " + hookSecret + "\x00"),
		"utf-16":            secret("Authorization: " + strings.Join(strings.Split(hookSecret, ""), "\x00")),
		"full width":        secret("Authorization: " + strings.ReplaceAll(hookSecret, "t", "ｔ")),
		"in the trailer":    secret("Trailer: Authorization"),
		"name with newline": "Authoriza\ntion: " + hookSecret + "\r\n",
	}
	body := string(delivery(arrival(1)))
	began := time.Now()
	for _, path := range []string{"/hooks/okta", "/create_user", "/hooks/okta?Authorization=" + hookSecret} {
		for name, headers := range variants {
			request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: hook\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body)
			// What is no HTTP at all is answered 400, before anybody looks.
			if status := w.raw(request); status != http.StatusUnauthorized && status != http.StatusBadRequest {
				t.Errorf("%s at %s: %d", name, path, status)
			}
		}
	}
	// The body is not waited for.
	if status := w.raw("POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nContent-Length: 1000000\r\n\r\n"); status != http.StatusUnauthorized {
		t.Errorf("without a body: %d", status)
	}
	if people := w.api(http.MethodGet, "/v1/people"); strings.TrimSpace(people) != "[]" {
		t.Errorf("people were stored: %s", people)
	}
	// One line a second tells of them.
	if lines, took := strings.Count(daemon.output.String(), "without a valid secret"), time.Since(began); lines == 0 || lines > int(took/time.Second)+2 {
		t.Errorf("%d log lines about %d requests in %s", lines, 3*len(variants), took)
	}
	if strings.Contains(daemon.output.String(), hookSecret) {
		t.Error("the secret is in the log")
	}
	// The same request with the secret is taken.
	request := fmt.Sprintf("POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nauthorization: %s\r\nContent-Length: %d\r\n\r\n%s", hookSecret, len(body), body)
	eventually(t, patience, func() error {
		switch status := w.raw(request); status {
		case http.StatusNoContent:
			return nil
		case http.StatusServiceUnavailable: // a machine that does much else may not store it in time
			return fmt.Errorf("with the secret: %d", status)
		default:
			t.Fatalf("with the secret: %d", status)
			return nil
		}
	})
	daemon.stop()
}

// raw writes bytes to the hook and gives the status of the answer, 0 if the
// connection was closed without one.
func (w *world) raw(request string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, request) // whoever is refused early cannot write all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestBodies sends bodies of all kinds (P-43). Those that are larger than the
// limit leave no trace in memory.
func TestBodies(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	w := newWorld(t, setup{away: true, config: "okta: {hook: {max_body: 1MiB}}"})
	daemon := w.started()
	pid := daemon.cmd.Process.Pid
	// A client that asks first sees every refusal.
	transport := &http.Transport{ExpectContinueTimeout: patience}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: patience}
	send := func(body io.Reader, length int64, headers ...string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url(), body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Authorization", hookSecret)
		req.Header.Set("Expect", "100-continue")
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	text := func(s string) func() int {
		return func() (status int) {
			for range 20 { // what a machine that does much else cannot store in time comes again
				if status = send(strings.NewReader(s), int64(len(s))); status != http.StatusServiceUnavailable {
					break
				}
			}
			return status
		}
	}
	padded := func(size int) string {
		s := string(delivery(arrival(1)))
		return s + strings.Repeat(" ", size-len(s))
	}
	events := make([]news, 4000)
	for i := range events {
		events[i] = arrival(i)
		events[i].login, events[i].name = "", ""
	}
	inside := func(value string) string {
		return strings.Replace(string(delivery(arrival(1))), `"outcome"`, `"x": `+value+`, "outcome"`, 1)
	}
	var keys strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, `"%d":0,`, i)
	}

	measure := func(name string, send func() int, want ...int) float64 {
		t.Helper()
		before, _ := memory(t, pid)
		resetPeak(t, pid)
		if status := send(); !slices.Contains(want, status) {
			t.Errorf("%s: %d, want %v", name, status, want)
		}
		_, peak := memory(t, pid)
		return peak - before
	}
	const ok, bad, large, packed = http.StatusNoContent, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType
	for _, small := range []struct {
		name string
		send func() int
		want []int
	}{
		{"nothing", text(""), []int{bad}},
		{"just below the limit", text(padded(limit - 1)), []int{ok}},
		{"at the limit", text(padded(limit)), []int{ok}},
		{"many events", text(string(delivery(events[:2500]...))), []int{ok}},
		{"deep", text(inside(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))), []int{bad}},
		{"not so deep", text(inside(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))), []int{ok}},
		{"many keys", text(inside("{" + keys.String() + `"":0}`)), []int{ok}},
		{"a large number", text(inside("1e400")), []int{ok}},
		{"a long number", text(inside(strings.Repeat("9", 500_000))), []int{ok}},
	} {
		t.Logf("%s: %.1f MiB", small.name, measure(small.name, small.send, small.want...))
	}

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, 256<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, big := range []struct {
		name string
		send func() int
		want []int
	}{
		{"one more than the limit", text(padded(limit + 1)), []int{large}},
		{"a gigabyte", func() int { return send(io.LimitReader(zeros{}, 1<<30), 1<<30) }, []int{large}},
		{"a gigabyte in chunks", func() int { return w.chunks(1 << 30) }, []int{large, 0}},
		{"a gzip bomb", func() int { return send(bytes.NewReader(bomb.Bytes()), int64(bomb.Len()), "Content-Encoding", "gzip") }, []int{packed}},
		{"a gzip bomb that does not say so", func() int { return send(bytes.NewReader(bomb.Bytes()), int64(bomb.Len())) }, []int{bad}},
		{"other packing", func() int { return send(strings.NewReader("x"), 1, "Content-Encoding", "zstd") }, []int{packed}},
		{"too many events", text(string(delivery(slices.Concat(events, events)...))), []int{large}},
		{"shorter than it says", func() int {
			return w.halfClosed("POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: " + hookSecret + "\r\nContent-Length: 1000\r\n\r\n{")
		}, []int{bad}},
	} {
		grown := measure(big.name, big.send, big.want...)
		t.Logf("%s: %.1f MiB", big.name, grown)
		if grown > 32 {
			t.Errorf("%s: memory grew by %.1f MiB, want at most 32", big.name, grown)
		}
	}
	daemon.stop()
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// chunks sends a chunked body until it is refused, or all of it.
func (w *world) chunks(size int) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: %s\r\nTransfer-Encoding: chunked\r\n\r\n", hookSecret)
	status := make(chan int, 1)
	go func() {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	chunk := append([]byte("10000\r\n"), make([]byte, 0x10000+2)...)
	copy(chunk[len(chunk)-2:], "\r\n")
	sent := 0
	for ; sent < size; sent += 0x10000 {
		if _, err := conn.Write(chunk); err != nil {
			break
		}
	}
	if sent >= size {
		w.t.Error("the daemon read a gigabyte")
	}
	return <-status
}

// halfClosed is raw for a client that has nothing more to say.
func (w *world) halfClosed(request string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, request)
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestSlowClients holds 500 connections open as slowly as can be, while Okta
// delivers 20 times a second (P-45). All of Okta's deliveries are taken, and the
// slow connections are closed. It runs alone, before the parallel tests: beside
// them the connections are opened so slowly that the first are closed by then.
func TestSlowClients(t *testing.T) {
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	before := openFiles(t, daemon.cmd.Process.Pid)
	ctx, end := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	defer slow.Wait()
	defer end()
	began := time.Now()
	for _, kind := range []struct {
		connections   int
		request, drop string
	}{
		{256, "GET /hooks/okta HTTP/1.1\r\nHost: hook\r\n", "X-A: b\r\n"},
		{50, "", "G"},
		{100, "POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: wrong\r\nContent-Length: 100000\r\n\r\n", " "},
		// With the secret they take the places of deliveries, of which there are 128.
		{90, "POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: " + hookSecret + "\r\nContent-Length: 100000\r\n\r\n", " "},
		// These never read what they are answered.
		{8, "", strings.Repeat("GET /healthz HTTP/1.1\r\nHost: hook\r\n\r\n", 10_000)},
	} {
		for range kind.connections {
			conn, err := net.Dial("tcp", w.listen)
			if err != nil {
				t.Fatal(err)
			}
			slow.Go(func() { drip(ctx, conn, kind.request, kind.drop) })
		}
	}

	answers := new(tally)
	fresh := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	kept := client(t, 10*time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	most, held := 0, time.Duration(0)
	for n := 0; held == 0; n++ {
		<-tick.C
		c := kept
		if n%2 == 0 {
			c = fresh
		}
		at := time.Now()
		status, err := w.deliver(t.Context(), c, delivery(arrival(n)))
		if err != nil || status != http.StatusNoContent {
			t.Errorf("a delivery among slow clients: %d, %v", status, err)
		}
		answers.add(status, time.Since(at))
		open := openFiles(t, daemon.cmd.Process.Pid) - before
		most = max(most, open)
		if open < 5 || time.Since(began) > 2*patience { // those of this loop
			held = time.Since(began)
		}
	}
	answers.elapsed = held
	t.Logf("%d connections were open at once, and the last slow one was closed after %s", most, held.Round(time.Millisecond))
	t.Logf("deliveries: %s", answers)
	if most < 300 {
		t.Errorf("only %d connections were open at once, so this shows nothing", most)
	}
	if held > 30*time.Second {
		t.Errorf("slow clients were held for %s, want about 10s", held)
	}
	daemon.stop()
}

// drip writes a request and then a drop every 400 ms, until the connection is
// closed or ctx ends. It reads nothing.
func drip(ctx context.Context, conn net.Conn, request, drop string) {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for _, err := io.WriteString(conn, request); err == nil; _, err = io.WriteString(conn, drop) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// TestHostileNames has people with names that do harm to terminals, tables and
// logs (P-47). No name shows anywhere but in the journal, and each log line
// stays one line.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const canary = "Canary"
	names := []string{
		canary + "\x1b[31m Red", canary + "\r\nlevel=ERROR msg=forged", canary + "\u2028Separated", canary + "\u0085Next",
		"=cmd|'/c calc'!A1 " + canary, "@SUM(1) " + canary, canary + "\u202eesrever", canary + "\x00Nul", canary + " <script>alert(1)</script>",
		canary + " {{.}} %s ${x}", canary + "\" level=ERROR \"", canary + "\x07\x9b", strings.Repeat(canary, 100),
	}
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{format: format})
			daemon := w.started()
			c := client(t, 10*time.Second)
			var events []news
			for i, name := range names {
				e := arrival(i)
				e.name = name
				events = append(events, e)
				// The same in the login, which is refused.
				f := arrival(100 + i)
				f.name, f.login = name, name
				events = append(events, f)
			}
			// In a uuid and in an id they are unreadable.
			odd := arrival(200)
			odd.uuid = names[1]
			events = append(events, odd)
			odd = arrival(201)
			odd.person = names[1]
			events = append(events, odd)
			// Amazon Connect repeats a name in an error.
			echo := arrival(300)
			echo.name, echo.login = canary+" Echo", "canary.echo@example.com"
			events = append(events, echo)
			w.must(w.instance.AddFaults(simconnect.Fault{
				Operation: "CreateUser", Username: echo.login, Times: -1, Status: http.StatusBadRequest,
				Code: "InvalidParameterException", Message: "The user " + echo.login + " (" + echo.name + ") is not to our liking",
			}))
			if status, err := w.deliver(t.Context(), c, delivery(events...)); err != nil || status != http.StatusNoContent {
				t.Fatal(status, err)
			}
			if status, err := w.post(t.Context(), c, []byte(`{"`+canary+`": `)); err != nil || status != http.StatusBadRequest {
				t.Fatal(status, err)
			}
			eventually(t, patience, func() error {
				if n := len(w.instance.Agents()); n < len(names) {
					return fmt.Errorf("%d agents of %d", n, len(names))
				}
				return w.rests()
			})

			sinks := map[string]string{
				"status":  w.api(http.MethodGet, "/v1/status"),
				"people":  w.api(http.MethodGet, "/v1/people?limit=1000"),
				"dead":    w.api(http.MethodGet, "/v1/dead"),
				"metrics": get(t, "http://"+w.admin+"/metrics"),
			}
			journal := w.api(http.MethodGet, "/v1/journal?limit=1000")
			if !strings.Contains(journal, canary) {
				t.Error("the journal does not show who the agents are")
			}
			for _, b := range []byte(journal) {
				if b < ' ' && b != '\n' || b == 0x7f {
					t.Fatalf("the journal has the control character %#x", b)
				}
			}
			daemon.stop()
			sinks["log"] = daemon.output.String()
			for sink, text := range sinks {
				if i := strings.Index(strings.ToLower(text), strings.ToLower(canary)); i >= 0 {
					t.Errorf("a name is in the %s: %q", sink, text[max(0, i-200):min(len(text), i+100)])
				}
			}
			for line := range strings.Lines(sinks["log"]) {
				if format == "json" && !json.Valid([]byte(line)) || format == "text" && !strings.HasPrefix(line, "time=") {
					t.Errorf("a log line is none: %q", line)
				}
			}
			w.audit()
		})
	}
}

// get reads a page.
func get(t *testing.T, url string) string {
	t.Helper()
	status, answer, err := call(http.MethodGet, url, nil, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v", url, status, err)
	}
	return answer
}
