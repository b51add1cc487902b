package okta_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

// bare is an org behind a real server that no judge rewrites, for answers that
// break the wire. Two groups: one of 5 members, one of 3.
type bare struct {
	*okta.Org
	t    *testing.T
	url  string
	five okta.Group
}

func openBare(t *testing.T, cfg okta.Config) *bare {
	t.Helper()
	org, err := okta.New(cfg)
	must(t, err)
	srv := httptest.NewServer(org)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		if err := org.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b := &bare{Org: org, t: t, url: srv.URL}
	// In this order: the members of Three come behind the first page of Five.
	for _, name := range []string{"Five", "Three"} {
		n := 3
		g, err := org.AddGroup(name)
		must(t, err)
		if name == "Five" {
			n = 5
			b.five = g
		}
		for i := range n {
			_, err := org.AddUser(okta.NewUser{Login: fmt.Sprintf("%s%d@example.com", strings.ToLower(name), i), Groups: []string{g.ID}})
			must(t, err)
		}
	}
	return b
}

// got is an answer as bytes; err tells how reading it ended.
type got struct {
	status int
	header http.Header
	body   string
	err    error
}

func (g got) logins() (out []string) {
	var rows []struct {
		Profile struct{ Login string }
	}
	if json.Unmarshal([]byte(g.body), &rows) != nil {
		return nil
	}
	for _, r := range rows {
		out = append(out, strings.TrimSuffix(r.Profile.Login, "@example.com"))
	}
	return out
}

func (g got) next() (links []string) {
	for _, l := range g.header.Values("Link") {
		if u, ok := strings.CutSuffix(l, `>; rel="next"`); ok {
			links = append(links, strings.TrimPrefix(u, "<"))
		}
	}
	return links
}

func (b *bare) call(ctx context.Context, method, target string, body string) got {
	b.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = b.url + target
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	must(b.t, err)
	req.Header.Set("Authorization", "SSWS dev-token")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return got{err: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, resp.Header, string(raw), err}
}

func (b *bare) get(target string) got { b.t.Helper(); return b.call(b.t.Context(), "GET", target, "") }

// sharesID reports whether a row's id of one list occurs anywhere in another.
func sharesID(list, other string) bool {
	var rows []struct{ ID string }
	if json.Unmarshal([]byte(list), &rows) != nil || len(rows) == 0 {
		return true
	}
	for _, r := range rows {
		if strings.Contains(other, r.ID) {
			return true
		}
	}
	return false
}

const members = "GET /api/v1/groups/{id}/users"

// Every fault strikes page 2 of the members and nothing else.
func TestFaultsOfReads(t *testing.T) {
	t.Parallel()
	is := func(status int, body string) func(*testing.T, got, got) {
		return func(t *testing.T, _, g got) {
			t.Helper()
			if g.err != nil || g.status != status || !strings.Contains(g.body, body) {
				t.Errorf("%d %q, %v", g.status, g.body, g.err)
			}
		}
	}
	rows := func(next int, logins ...string) func(*testing.T, got, got) {
		return func(t *testing.T, _, g got) {
			t.Helper()
			if diff := cmp.Diff(logins, g.logins()); diff != "" || g.status != 200 || len(g.next()) != next {
				t.Errorf("%d %v %s", g.status, g.next(), diff)
			}
		}
	}
	for name, tc := range map[string]struct {
		fault okta.Fault
		check func(t *testing.T, clean, got got)
	}{
		"empty":     {okta.Fault{Kind: okta.FaultEmpty}, is(200, "[]")},
		"thin":      {okta.Fault{Kind: okta.FaultThin, Percent: 50}, rows(1, "five2")},
		"none":      {okta.Fault{Kind: okta.FaultThin, Percent: 0}, rows(1)},
		"duplicate": {okta.Fault{Kind: okta.FaultDuplicate}, rows(1, "five2", "five2", "five3", "five3")},
		"no next":   {okta.Fault{Kind: okta.FaultNoNext}, rows(0, "five2", "five3")},
		"other":     {okta.Fault{Kind: okta.FaultOtherRows}, nil},
		"wrong org": {okta.Fault{Kind: okta.FaultWrongOrg}, func(t *testing.T, clean, g got) {
			t.Helper()
			if diff := cmp.Diff([]string{"five2@other.example", "five3@other.example"}, g.logins()); diff != "" || sharesID(clean.body, g.body) {
				t.Errorf("%s %s", diff, g.body)
			}
		}},
		"loop": {okta.Fault{Kind: okta.FaultLoop}, nil},
		"foreign next": {okta.Fault{Kind: okta.FaultForeignNext, URL: "https://evil.example/api/v1/users"}, func(t *testing.T, _, g got) {
			t.Helper()
			if diff := cmp.Diff([]string{"https://evil.example/api/v1/users"}, g.next()); diff != "" {
				t.Error(diff)
			}
		}},
		"two next":   {okta.Fault{Kind: okta.FaultTwoNext}, rows(2, "five2", "five3")},
		"empty next": {okta.Fault{Kind: okta.FaultEmptyNext}, rows(1, "five2", "five3")},
		"null":       {okta.Fault{Kind: okta.FaultNull}, is(200, "null")},
		"object":     {okta.Fault{Kind: okta.FaultObject}, is(200, "{}")},
		"half": {okta.Fault{Kind: okta.FaultHalf}, func(t *testing.T, clean, g got) {
			t.Helper()
			if g.err != nil || g.status != 200 || json.Valid([]byte(g.body)) || len(g.body) != len(clean.body)/2 {
				t.Errorf("%d bytes of %d, %v", len(g.body), len(clean.body), g.err)
			}
		}},
		"truncated": {okta.Fault{Kind: okta.FaultTruncate}, func(t *testing.T, _, g got) {
			t.Helper()
			if !errors.Is(g.err, io.ErrUnexpectedEOF) {
				t.Errorf("%d %v", g.status, g.err)
			}
		}},
		"reset": {okta.Fault{Kind: okta.FaultReset}, func(t *testing.T, _, g got) {
			t.Helper()
			if !errors.Is(g.err, syscall.ECONNRESET) {
				t.Errorf("%d %v", g.status, g.err)
			}
		}},
		"late 504": {okta.Fault{Kind: okta.FaultTimeout, Delay: time.Millisecond}, is(504, "<title>504")},
		"latency":  {okta.Fault{Kind: okta.FaultLatency, Delay: time.Millisecond}, rows(1, "five2", "five3")},
		"login":    {okta.Fault{Status: 200}, is(200, "<title>Sign In")},
		"nothing":  {okta.Fault{Status: 204}, is(204, "")},
		"moved":    {okta.Fault{Status: 301, URL: "https://elsewhere.example/"}, is(301, "")},
		"found":    {okta.Fault{Status: 302}, is(302, "")},
		"401":      {okta.Fault{Status: 401}, is(401, "E0000011")},
		"403":      {okta.Fault{Status: 403}, is(403, "E0000006")},
		"404":      {okta.Fault{Status: 404}, is(404, "E0000007")},
		"410":      {okta.Fault{Status: 410}, is(410, "Gone")},
		"423":      {okta.Fault{Status: 423}, is(423, "E0000239")},
		"500":      {okta.Fault{}, is(500, "E0000009")},
		"502":      {okta.Fault{Status: 502}, is(502, "<h1>502")},
		"503":      {okta.Fault{Status: 503, Code: "E0000010", Message: "Service is in read only mode"}, is(503, "read only")},
		"429": {okta.Fault{Status: 429, Headers: map[string]string{"X-Rate-Limit-Reset": "abc", "X-Rate-Limit-Limit": "absent"}}, func(t *testing.T, _, g got) {
			t.Helper()
			h := g.header
			if g.status != 429 || h.Get("X-Rate-Limit-Reset") != "abc" || h.Get("X-Rate-Limit-Remaining") != "0" || h["X-Rate-Limit-Limit"] != nil {
				t.Errorf("%d %v", g.status, h)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := openBare(t, okta.Config{})
			first := b.get("/api/v1/groups/" + b.five.ID + "/users?limit=2")
			second := first.next()[0]
			clean := b.get(second)
			tc.fault.Endpoint, tc.fault.Page, tc.fault.Times = members, 2, -1
			must(t, b.AddFaults(tc.fault))
			hit := b.get(second)
			switch name {
			case "other":
				if l := hit.logins(); len(l) == 0 || !strings.HasPrefix(l[0], "three") {
					t.Errorf("rows %v", l)
				}
			case "loop":
				if diff := cmp.Diff([]string{second}, hit.next()); diff != "" {
					t.Error(diff)
				}
			default:
				tc.check(t, clean, hit)
			}
			if again := b.get("/api/v1/groups/" + b.five.ID + "/users?limit=2"); again.body != first.body {
				t.Errorf("page 1 is struck too: %s", again.body)
			}
			b.ClearFaults()
			if after := b.get(second); after.body != clean.body {
				t.Errorf("after the fault: %s", after.body)
			}
		})
	}
}

func TestFaultBombAndHang(t *testing.T) {
	t.Parallel()
	b := openBare(t, okta.Config{})
	must(t, b.AddFaults(okta.Fault{Endpoint: "GET", Kind: okta.FaultBomb, Size: 8 << 20}))
	g := b.get("/api/v1/users")
	z, err := gzip.NewReader(strings.NewReader(g.body))
	must(t, err)
	plain, err := io.ReadAll(z)
	must(t, err)
	if len(plain) != 8<<20 || !json.Valid(plain) || len(g.body) > 1<<16 || g.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes packed in %d", len(plain), len(g.body))
	}
	must(t, b.AddFaults(okta.Fault{Endpoint: "GET /api/v1/users", Kind: okta.FaultTimeout}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if g := b.call(ctx, "GET", "/api/v1/users", ""); !errors.Is(g.err, context.DeadlineExceeded) {
		t.Errorf("a hang: %d %v", g.status, g.err)
	}
}

func TestFaultsOfWrites(t *testing.T) {
	t.Parallel()
	b := openBare(t, okta.Config{})
	hook := func(name string) string {
		return `{"name":"` + name + `","events":{"type":"EVENT_TYPE","items":["group.user_membership.add"]},"channel":{"type":"HTTP","version":"1.0.0","config":{"uri":"https://h.example/","headers":[]}}}`
	}
	must(t, b.AddFaults(okta.Fault{Endpoint: "POST /api/v1/eventHooks", Status: 503, Nth: 2}, okta.Fault{Endpoint: "POST /api/v1/eventHooks", Status: 504, Nth: 3, Commit: true}))
	var statuses, names []string
	for _, name := range []string{"a", "b", "c", "d"} {
		statuses = append(statuses, fmt.Sprint(b.call(t.Context(), "POST", "/api/v1/eventHooks", hook(name)).status))
	}
	for _, h := range b.Hooks() {
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([][]string{{"200", "503", "504", "200"}, {"a", "c", "d"}}, [][]string{statuses, names}); diff != "" {
		t.Error(diff)
	}
	id := b.Hooks()[0].ID
	must(t, b.AddFaults(okta.Fault{Endpoint: "POST /api/v1/eventHooks/{id}/lifecycle/{verb}", ID: id, Status: 400}))
	if g := b.call(t.Context(), "POST", "/api/v1/eventHooks/"+b.Hooks()[1].ID+"/lifecycle/deactivate", ""); g.status != 200 {
		t.Errorf("another hook: %d", g.status)
	}
	if g := b.call(t.Context(), "POST", "/api/v1/eventHooks/"+id+"/lifecycle/deactivate", ""); g.status != 400 || !b.Hooks()[0].Active {
		t.Errorf("the hook: %d", g.status)
	}
	must(t, b.AddFaults(okta.Fault{Endpoint: "POST /oauth2/v1/token", Status: 503}))
	if g := b.call(t.Context(), "POST", "/oauth2/v1/token", ""); g.status != 503 {
		t.Errorf("the token endpoint: %d", g.status)
	}
}

func TestFaultPlanOverControl(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	plan := w.want(200, "POST", "/_sim/faults", []object{{"endpoint": "GET /api/v1/logs", "kind": "empty", "page": 2, "times": -1}, {"endpoint": "GET", "kind": "latency", "delayMs": 1.5}}).list()
	if len(plan) != 2 || plan[1].(object)["fault"].(object)["delayMs"] != 1.5 {
		t.Error(plan)
	}
	w.user("ana.silva@example.com")
	first := w.want(200, "GET", "/api/v1/logs?limit=1", nil)
	second := w.want(200, "GET", first.link("next"), nil)
	if len(first.list()) != 1 || len(second.list()) != 0 {
		t.Errorf("pages of %d and %d events", len(first.list()), len(second.list()))
	}
	plan = w.want(200, "GET", "/_sim/faults", nil).list()
	if p := plan[0].(object); p["seen"] != 1.0 || p["struck"] != 1.0 {
		t.Error(p)
	}
	if p := plan[1].(object); p["struck"] != 1.0 {
		t.Error(p)
	}
	for _, bad := range []object{{"kind": "flood"}, {"endpoint": "GET /nowhere"}, {"status": 99}, {"percent": 101}, {"kind": "latency"}, {"knd": "empty"}} {
		if got := w.do("POST", "/_sim/faults", bad); got.status != 400 {
			t.Errorf("%v: %d", bad, got.status)
		}
	}
	w.want(200, "DELETE", "/_sim/faults", nil)
	if n := len(w.Faults()); n != 0 {
		t.Errorf("%d faults are left", n)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	b := openBare(t, okta.Config{Settings: okta.Settings{Concurrency: 2}})
	must(t, b.AddFaults(okta.Fault{Endpoint: "GET /api/v1/users", Kind: okta.FaultTimeout, Times: 2}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan got, 2)
	for range 2 {
		go func() { done <- b.call(ctx, "GET", "/api/v1/users", "") }()
	}
	eventually(t, func() bool { return len(b.Faults()) == 1 && b.Faults()[0].Struck == 2 })
	g := b.get("/api/v1/groups")
	h := g.header
	if g.status != 429 || h.Get("X-Rate-Limit-Limit") != "0" || h.Get("X-Rate-Limit-Remaining") != "0" || h.Get("X-Rate-Limit-Reset") == "" {
		t.Errorf("the third call at once: %d %v", g.status, h)
	}
	cancel()
	<-done
	<-done
	eventually(t, func() bool { return b.get("/api/v1/groups").status == 200 })
}

// eventually waits for ok, at most a minute.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it does not happen")
		}
	}
}
