package okta_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// apiFault spoils one page of a list. It reports whether it has answered itself.
type apiFault struct {
	name  string
	do    func(w http.ResponseWriter, r *http.Request, l *apiList) bool
	hangs bool // in place of do
	short bool // the page is sound, but lacks rows
	ends  bool // and looks like the last one
}

// apiFaults are the 25 read faults that a list can have.
func apiFaults(t *testing.T) []apiFault {
	status := func(code int, kind, body string) func(http.ResponseWriter, *http.Request, *apiList) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ *apiList) bool {
			w.Header().Set("Content-Type", kind)
			if code == http.StatusFound {
				w.Header().Set("Location", "/login")
			}
			if code == http.StatusTooManyRequests {
				w.Header().Set("X-Rate-Limit-Limit", "600")
				w.Header().Set("X-Rate-Limit-Remaining", "0")
				w.Header().Set("X-Rate-Limit-Reset", "1")
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return true
		}
	}
	alter := func(change func(l *apiList)) func(http.ResponseWriter, *http.Request, *apiList) bool {
		return func(_ http.ResponseWriter, _ *http.Request, l *apiList) bool {
			change(l)
			return false
		}
	}
	const fault = `{"errorCode":"E0000007"}`
	faults := []apiFault{
		{name: "empty list", do: status(200, "application/json", "[]"), short: true, ends: true},
		{name: "no next link", do: alter(func(l *apiList) {
			if l.next == "" { // the last page has none: then the page before is what lacks it
				l.rows = nil
			}
			l.next = ""
		}), short: true, ends: true},
		{name: "looping next link", do: alter(func(l *apiList) { l.next = l.self + "&after=0" })},
		{name: "foreign next link", do: alter(func(l *apiList) { l.next = strings.Replace(l.self, "127.0.0.1", "127.0.0.2", 1) })},
		{name: "truncated JSON", do: func(w http.ResponseWriter, _ *http.Request, l *apiList) bool {
			body, _ := json.Marshal(l.rows)
			_, _ = w.Write(body[:len(body)-1])
			return true
		}},
		{name: "login page", do: status(200, "text/html", "<html>")},
		{name: "204", do: func(w http.ResponseWriter, _ *http.Request, _ *apiList) bool {
			w.WriteHeader(http.StatusNoContent)
			return true
		}},
		{name: "redirect", do: status(302, "application/json", "[]")},
		{name: "401", do: status(401, "application/json", `{"errorCode":"E0000011"}`)},
		{name: "403", do: status(403, "application/json", `{"errorCode":"E0000006"}`)},
		{name: "404", do: status(404, "application/json", fault)},
		{name: "410", do: status(410, "application/json", fault)},
		{name: "429", do: status(429, "application/json", `{"errorCode":"E0000047"}`)},
		{name: "500", do: status(500, "application/json", `{"errorCode":"E0000009"}`)},
		{name: "timeout", hangs: true},
		{name: "wrong org", do: alter(func(l *apiList) { l.self = "https://other.okta.com/api/v1/" + l.path })},
		{name: "gzip bomb", do: func(w http.ResponseWriter, _ *http.Request, _ *apiList) bool {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(apiBomb())
			return true
		}},
		{name: "rows of another group", do: alter(func(l *apiList) { l.self = strings.Replace(l.self, l.path, "groups/00g9/users", 1) })},
		{name: "duplicate rows", do: alter(func(l *apiList) { l.rows = append(l.rows, l.rows[0]) })},
	}
	for _, percent := range []int{0, 1, 10, 50, 90, 99} {
		faults = append(faults, apiFault{name: fmt.Sprintf("%d %% of the rows", percent), short: true, do: alter(func(l *apiList) {
			l.rows = l.rows[:len(l.rows)*percent/100]
		})})
	}
	if len(faults) != 25 {
		t.Fatalf("%d faults; 25 are wanted", len(faults))
	}
	return faults
}

// apiBomb is a list that is 64 MiB long once it is decompressed.
var apiBomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	_, _ = z.Write([]byte("["))
	for range 64 {
		_, _ = z.Write(chunk)
	}
	_, _ = z.Write([]byte("]"))
	_ = z.Close()
	return b.Bytes()
})

// spoiled makes an org of five pages in each list, with a fault at one of them,
// and a client that gives up soon.
func spoiled(t *testing.T, fault apiFault, path string, page int) (*apiOrg, *okta.Client, *atomic.Int64) {
	t.Helper()
	members := 1000
	if strings.HasPrefix(path, "apps/") {
		members = 2500
	}
	o := newAPIOrg(t, members, 1000, 50)
	var hits atomic.Int64
	hung := make(chan struct{})
	hang := sync.OnceFunc(func() { close(hung) })
	o.spoil = func(w http.ResponseWriter, r *http.Request, l *apiList) bool {
		if l.path != path || l.number != page {
			return false
		}
		hits.Add(1)
		if fault.hangs {
			hang()
			<-r.Context().Done()
			return true
		}
		return fault.do(w, r, l)
	}
	client := newAPIClient(t, o.server.URL, func(c *okta.ClientConfig) {
		if fault.hangs {
			c.Timeout = 100 * time.Millisecond
		}
	})
	if fault.hangs {
		client.BePatient(hung)
	}
	return o, client, &hits
}

// No read fault makes a list of people shorter: it ends in an error before
// anybody is yielded.
func TestPeopleFaults(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"groups/" + apiGroup + "/users", "apps/" + apiApp + "/users"} {
		for _, fault := range apiFaults(t) {
			for page := 1; page <= 5; page++ {
				t.Run(fmt.Sprintf("%s/%s/%d", list[:4], fault.name, page), func(t *testing.T) {
					t.Parallel()
					_, client, hits := spoiled(t, fault, list, page)
					people, err := gather(t, newAPIDirectory(t, client, apiLabel, apiName))
					if err == nil || errors.Is(err, reconcile.ErrNotFound) {
						t.Errorf("%d people, error %v", len(people), err)
					}
					if hits.Load() == 0 {
						t.Error("the fault was not met")
					}
				})
			}
		}
	}
}

// No read fault that an answer shows makes the groups of a person fewer. Some
// cannot be seen: nobody tells how many groups a person is in, so a last page
// that lacks rows is taken for the whole as long as Everyone is listed.
func TestPersonFaults(t *testing.T) {
	t.Parallel()
	id := apiID("00u", 0)
	for _, fault := range apiFaults(t) {
		for page := 1; page <= 5; page++ {
			if ends := fault.ends || fault.short && page == 5; ends && page > 1 || fault.name == "no next link" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", fault.name, page), func(t *testing.T) {
				t.Parallel()
				_, client, hits := spoiled(t, fault, "users/"+id+"/groups", page)
				p, err := newAPIDirectory(t, client, apiLabel, apiName).Person(t.Context(), id)
				if err == nil || errors.Is(err, reconcile.ErrNotFound) {
					t.Errorf("%d groups, error %v", len(p.Groups), err)
				}
				if hits.Load() == 0 {
					t.Error("the fault was not met")
				}
			})
		}
	}
}

// An answer about somebody else, or none at all about the person, is no person.
func TestPersonAnswers(t *testing.T) {
	t.Parallel()
	id := apiID("00u", 0)
	for name, c := range map[string]struct{ path, body string }{
		"another user":         {"users/" + id, `{"id":"00u99999999999999999","status":"ACTIVE","profile":{"login":"x@example.com"}}`},
		"null":                 {"users/" + id, `null`},
		"list":                 {"users/" + id, `[]`},
		"empty object":         {"users/" + id, `{}`},
		"no status":            {"users/" + id, `{"id":"` + id + `","profile":{"login":"x@example.com"}}`},
		"null profile":         {"users/" + id, `{"id":"` + id + `","status":"ACTIVE","profile":null}`},
		"wrong kind":           {"users/" + id, `{"id":"` + id + `","status":7,"profile":{"login":"x@example.com"}}`},
		"duplicate key":        {"users/" + id, `{"id":"` + id + `","status":"ACTIVE","status":"DEPROVISIONED","profile":{"login":"x@example.com"}}`},
		"groups without names": {"users/" + id + "/groups", `[null]`},
		"groups as null":       {"users/" + id + "/groups", `null`},
		"lacks Everyone":       {"users/" + id + "/groups", `[{"id":"` + apiGroup + `","type":"OKTA_GROUP","profile":{"name":"x"}}]`},
		"another app user":     {"apps/" + apiApp + "/users/" + id, `{"id":"00u99999999999999999"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newAPIOrg(t, 1, 2, 0)
			o.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/"+c.path {
					o.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, c.body)
			})
			d := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), apiLabel, apiName)
			if p, err := d.Person(t.Context(), id); err == nil || errors.Is(err, reconcile.ErrNotFound) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// An answer that is not said to be JSON, or is too long, is none, even if it could
// be read.
func TestPersonWrapping(t *testing.T) {
	t.Parallel()
	id := apiID("00u", 0)
	sound := `{"id":"` + id + `","status":"ACTIVE","profile":{"login":"x@example.com"}`
	for name, c := range map[string]struct {
		kind  string
		space int // bytes within the body
		fine  bool
	}{
		"JSON":            {"application/json", 0, true},
		"JSON in UTF-8":   {"application/json; charset=utf-8", 0, true},
		"HAL":             {"application/hal+json", 0, true},
		"HTML":            {"text/html", 0, false},
		"nothing":         {"", 0, false},
		"a megabyte":      {"application/json", 1 << 20, true},
		"more than 32 MB": {"application/json", 33 << 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newAPIOrg(t, 1, 2, 0)
			o.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/users/"+id {
					o.ServeHTTP(w, r)
					return
				}
				w.Header()["Content-Type"] = []string{c.kind}
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				_, _ = z.Write([]byte(sound))
				_, _ = z.Write(bytes.Repeat([]byte(" "), c.space))
				_, _ = z.Write([]byte("}"))
				_ = z.Close()
			})
			d := newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", apiName)
			if p, err := d.Person(t.Context(), id); (err == nil) != c.fine {
				t.Errorf("%q, %v", p.ID, err)
			}
		})
	}
}

// A 404 that is not Okta's own says nothing about a person.
func TestPersonForeign404(t *testing.T) {
	t.Parallel()
	for body, gone := range map[string]bool{`{"errorCode":"E0000007"}`: true, `<html>not found`: false, `{"errorCode":"E0000022"}`: false, ``: false} {
		client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, body)
		}, nil)
		_, err := newAPIDirectory(t, client, "").Person(t.Context(), apiID("00u", 0))
		if err == nil || errors.Is(err, reconcile.ErrNotFound) != gone {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// No fault that an answer shows makes events be skipped: the page is not given,
// so that the cursor stays. An answer that is a sound page with fewer events
// cannot be told from the truth.
func TestEventFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range apiFaults(t) {
		for page := 1; page <= 5; page++ {
			if fault.short && !fault.ends || fault.name == "duplicate rows" { // which are harmless here
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", fault.name, page), func(t *testing.T) {
				t.Parallel()
				o, client, hits := spoiled(t, fault, "logs", page)
				if fault.name == "looping next link" {
					o.spoil = func(_ http.ResponseWriter, r *http.Request, l *apiList) bool {
						if l.path == "logs" && l.number == page {
							hits.Add(1)
							l.next = o.server.URL + r.URL.RequestURI()
						}
						return false
					}
				}
				feed := newAPIFeed(t, client, newAPIDirectory(t, client, "", apiName))
				cursor, got := "", 0
				for {
					p, err := feed.Events(t.Context(), cursor, newAPIClock().now())
					if err != nil {
						break
					}
					if !p.More {
						t.Fatalf("the end is reached with %d events", got)
					}
					cursor, got = p.Next, got+len(p.Requests)
				}
				if got != (page-1)*10 {
					t.Errorf("%d events come before the fault at page %d", got, page)
				}
				if hits.Load() == 0 {
					t.Error("the fault was not met")
				}
			})
		}
	}
}
