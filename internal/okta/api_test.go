package okta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
)

const apiToken = "00canary-token-aBcDeFgHiJkLmNoPqRsTuVwXyZ"

// apiClock is a clock that moves when somebody waits.
type apiClock struct {
	mu    sync.Mutex
	at    time.Time
	waits []time.Duration
}

func newAPIClock() *apiClock {
	return &apiClock{at: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)}
}

func (c *apiClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *apiClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *apiClock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// newAPIClient makes a client of a server on loopback, on a clock that does not
// make the test wait.
func newAPIClient(t testing.TB, url string, change func(*okta.ClientConfig)) *okta.Client {
	t.Helper()
	clock := newAPIClock()
	config := okta.ClientConfig{
		Org: url, Token: apiToken, AllowLoopback: true, Share: 1, Version: "test",
		Now: clock.now, Wait: clock.wait, Random: func() float64 { return 0.5 },
	}
	if change != nil {
		change(&config)
	}
	c, err := okta.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newAPIDirectory(t testing.TB, c *okta.Client, app string, groups ...string) *okta.Directory {
	t.Helper()
	d, err := okta.NewDirectory(okta.DirectoryConfig{Client: c, App: app, Groups: func() []string { return groups }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newAPIFeed makes a feed for a directory.
func newAPIFeed(t testing.TB, c *okta.Client, d *okta.Directory) *okta.Feed {
	t.Helper()
	f, err := okta.NewFeed(okta.FeedConfig{Client: c, Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// gather reads everybody.
func gather(t testing.TB, d *okta.Directory) ([]plan.Person, error) {
	t.Helper()
	var out []plan.Person
	for p, err := range d.People(t.Context()) {
		if err != nil {
			if p.ID != "" || len(out) > 0 {
				t.Errorf("%d people come before the error", len(out))
			}
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func apiID(prefix string, n int) string { return fmt.Sprintf("%s%0*d", prefix, 20-len(prefix), n) }

const (
	apiGroup = "00g10000000000000001"
	apiApp   = "0oa10000000000000001"
	apiName  = "Amazon Connect Agents"
	apiLabel = "Amazon Connect"
)

// apiOrg is a fast org with one group and one app, whose lists can be spoilt. It
// is written apart from the simulator so that it can answer in ways that no org
// should.
type apiOrg struct {
	server *httptest.Server
	lists  map[string][]any // rows by path below /api/v1
	sizes  map[string]int   // rows in a page, by path; zero: as asked
	spoil  func(w http.ResponseWriter, r *http.Request, l *apiList) bool

	mu    sync.Mutex
	calls map[string]int // by path
}

// apiList is a page that is about to be sent.
type apiList struct {
	path       string
	number     int // of the page, from 1
	last       bool
	rows       []any
	self, next string
}

// newAPIOrg makes an org with so many members, each with an app username, and a
// person in so many groups. The log has a page for each 10 of its events.
func newAPIOrg(t testing.TB, members, groups, events int) *apiOrg {
	t.Helper()
	o := &apiOrg{lists: map[string][]any{}, sizes: map[string]int{}, calls: map[string]int{}}
	users := make([]any, members)
	assigned := make([]any, members)
	for i := range members {
		users[i] = apiUser(i)
		assigned[i] = obj{"id": apiID("00u", i), "credentials": obj{"userName": fmt.Sprintf("app%d@example.com", i)}}
	}
	mine := []any{apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 0), apiGroupRow(apiGroup, apiName, "OKTA_GROUP", members)}
	for i := 2; i < groups; i++ {
		mine = append(mine, apiGroupRow(apiID("00g2", i), fmt.Sprintf("Group %d", i), "OKTA_GROUP", 1))
	}
	log := make([]any, events)
	for i := range events {
		log[i] = obj{"uuid": fmt.Sprintf("uuid-%d", i), "eventType": "user.lifecycle.suspend", "outcome": obj{"result": "SUCCESS"},
			"target": []any{obj{"type": "User", "id": apiID("00u", i)}}}
	}
	o.lists = map[string][]any{
		"groups/" + apiGroup + "/users":        users,
		"apps/" + apiApp + "/users":            assigned,
		"users/" + apiID("00u", 0) + "/groups": mine,
		"apps":                                 {obj{"id": apiApp, "label": apiLabel}},
		"groups":                               {apiGroupRow(apiGroup, apiName, "OKTA_GROUP", members)},
		"logs":                                 log,
	}
	o.sizes["users/"+apiID("00u", 0)+"/groups"] = 200
	o.sizes["logs"] = 10
	o.server = httptest.NewServer(o)
	t.Cleanup(o.server.Close)
	return o
}

type obj = map[string]any

func apiUser(i int) obj {
	return obj{"id": apiID("00u", i), "status": "ACTIVE", "transitioningToStatus": nil, "news": obj{"from": "okta"},
		"profile": obj{"login": fmt.Sprintf("p%d@example.com", i), "firstName": "Ana", "lastName": nil, "Login": "decoy"}}
}

func apiGroupRow(id, name, kind string, members int) obj {
	return obj{"id": id, "type": kind, "profile": obj{"name": name}, "_embedded": obj{"stats": obj{"usersCount": members}}}
}

// count gives the number of calls of all paths.
func (o *apiOrg) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, calls := range o.calls {
		n += calls
	}
	return n
}

func (o *apiOrg) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	o.mu.Lock()
	o.calls[path]++
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/.well-known/okta-organization" {
		fmt.Fprint(w, `{"id":"00o10000000000000001"}`)
		return
	}
	if r.Header.Get("Authorization") != "SSWS "+apiToken {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errorCode":"E0000011"}`)
		return
	}
	rows, ok := o.lists[path]
	if !ok {
		o.one(w, path)
		return
	}
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("after"))
	size, _ := strconv.Atoi(query.Get("limit"))
	if s := o.sizes[path]; s > 0 {
		size = s
	}
	size = max(size, 1)
	l := &apiList{path: path, number: from/size + 1, last: from+size >= len(rows)}
	l.rows = slices.Clone(rows[min(from, len(rows)):min(from+size, len(rows))])
	l.self = fmt.Sprintf("%s%s?limit=%d", o.server.URL, r.URL.Path, size)
	if !l.last || path == "logs" {
		query.Set("after", strconv.Itoa(min(from+size, len(rows))))
		query.Set("limit", strconv.Itoa(size))
		l.next = o.server.URL + r.URL.Path + "?" + query.Encode()
	}
	if o.spoil != nil && o.spoil(w, r, l) {
		return
	}
	l.send(w)
}

func (l *apiList) send(w http.ResponseWriter) {
	if l.self != "" {
		w.Header().Add("Link", "<"+l.self+`>; rel="self"`)
	}
	if l.next != "" {
		w.Header().Add("Link", "<"+l.next+`>; rel="next"`)
	}
	_ = json.NewEncoder(w).Encode(l.rows)
}

// one answers for a single object.
func (o *apiOrg) one(w http.ResponseWriter, path string) {
	parts := strings.Split(path, "/")
	id := parts[len(parts)-1]
	var row any
	switch {
	case len(parts) == 2 && parts[0] == "users":
		for _, u := range o.lists["groups/"+apiGroup+"/users"] {
			if u.(obj)["id"] == id {
				row = u
			}
		}
	case len(parts) == 4 && parts[0] == "apps":
		for _, u := range o.lists["apps/"+parts[1]+"/users"] {
			if u.(obj)["id"] == id {
				row = u
			}
		}
	case path == "apps/"+apiApp:
		row = obj{"id": apiApp, "label": apiLabel}
	}
	if row == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errorCode":"E0000007","errorSummary":"Not found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(row)
}
