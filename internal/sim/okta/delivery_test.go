package okta_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

// joins makes n people join a hooked group and returns the events' uuids.
func (w *world) joins(n int) []string {
	w.t.Helper()
	g, err := w.CreateGroup(okta.NewGroup{Name: fmt.Sprint("group ", len(w.Groups()))})
	must(w.t, err)
	before := len(w.Events(memberships[0]))
	for i := range n {
		w.user(fmt.Sprintf("agent%d.%s@example.com", i, g.ID), g.ID)
	}
	var out []string
	for _, e := range w.Events(memberships[0])[before:] {
		out = append(out, e.UUID)
	}
	return out
}

func (w *world) outcomes() []string {
	var out []string
	for _, d := range w.Deliveries() {
		out = append(out, fmt.Sprintf("%d %d %s %s", d.Attempt, d.Status, d.Outcome, d.Error))
	}
	return out
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	h := w.hook(s, memberships, nil)
	w.want(200, "GET", "/api/v1/eventHooks/"+h.ID, nil) // tells the org its own address
	want := w.joins(3)
	w.settle()
	if diff := cmp.Diff(want, s.uuids()); diff != "" {
		t.Fatal(diff)
	}
	seen := map[any]bool{}
	for _, p := range s.got() {
		for k, v := range map[string]string{"User-Agent": "Okta-Integrations", "Accept": "application/json", "Content-Type": "application/json",
			"Authorization": "s3cret", "X-Any-Key": "any value"} {
			if p.header.Get(k) != v {
				t.Errorf("%s: %q", k, p.header.Get(k))
			}
		}
		if p.header.Get("X-Okta-Request-Id") == "" || p.body["source"] != w.url+"/api/v1/eventHooks/"+h.ID {
			t.Errorf("request id %q, source %v", p.header.Get("X-Okta-Request-Id"), p.body["source"])
		}
		seen[p.body["eventId"]] = true
		debug := p.events()[0]["debugContext"].(object)["debugData"].(object)
		if debug["targetEventHookIds"] != h.ID {
			t.Errorf("debugData: %v", debug)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d eventIds for 3 POSTs", len(seen))
	}
	if got := w.Stats().Deliveries; got != (okta.Totals{Posts: 3, Delivered: 3}) {
		t.Errorf("%+v", got)
	}
}

func TestRetryRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply  func(n int) int
		want   []string
		failed int
	}{
		"5xx then 200": {func(n int) int { return []int{0, 503, 200}[n] }, []string{"1 503 failed http 503", "2 200 delivered "}, 0},
		"5xx twice":    {func(int) int { return 500 }, []string{"1 500 failed http 500", "2 500 failed http 500"}, 1},
		"4xx":          {func(int) int { return 429 }, []string{"1 429 failed http 429"}, 1},
		"409":          {func(int) int { return 409 }, []string{"1 409 failed http 409"}, 1},
		"redirect":     {func(int) int { return http.StatusTemporaryRedirect }, []string{"1 307 failed http 307"}, 1},
		"timeout":      {func(int) int { return 0 }, []string{"1 0 failed timeout", "2 0 failed timeout"}, 1},
		"timeout, 204": {func(n int) int { return []int{0, 0, 204}[n] }, []string{"1 0 failed timeout", "2 204 delivered "}, 0},
		"any 2xx":      {func(int) int { return 202 }, []string{"1 202 delivered "}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, tc.reply)
			cfg := okta.Config{Settings: okta.Settings{RetryDelay: time.Millisecond}}
			if strings.HasPrefix(name, "timeout") {
				cfg.Settings.Timeout, cfg.Client = 100*time.Millisecond, patient(t, s.hanging)
			}
			w := open(t, cfg)
			h := w.hook(s, memberships, nil)
			w.joins(1)
			w.settle()
			if diff := cmp.Diff(tc.want, w.outcomes()); diff != "" {
				t.Error(diff)
			}
			posts := s.got()
			if len(posts) != len(tc.want) || posts[0].body["eventId"] != posts[len(posts)-1].body["eventId"] {
				t.Errorf("%d POSTs, want %d with one eventId", len(posts), len(tc.want))
			}
			logged := w.Events("event_hook.delivery")
			if len(logged) != tc.failed || tc.failed == 1 && (logged[0].Result != "FAILURE" || logged[0].Targets[0] != h.ID) {
				t.Errorf("System Log: %+v", logged)
			}
			if got := w.Stats().Deliveries; got.Failed != tc.failed || got.Retried != len(tc.want)-1 || got.Posts != len(tc.want) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("connection error", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		refuse := false
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if refuse {
				return nil, fmt.Errorf("connection reset")
			}
			return http.DefaultTransport.RoundTrip(r)
		})}
		s := listen(t, nil)
		w := open(t, okta.Config{Client: client})
		w.hook(s, memberships, nil)
		mu.Lock()
		refuse = true
		mu.Unlock()
		w.joins(1)
		w.settle()
		if diff := cmp.Diff([]string{"1 0 failed connection error", "2 0 failed connection error"}, w.outcomes()); diff != "" {
			t.Error(diff)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
}

func TestTheDeadlineIsThreeSeconds(t *testing.T) {
	t.Parallel()
	s := listen(t, func(int) int { return 0 })
	var mu sync.Mutex
	longest := time.Duration(0) // that an attempt may still take; what it took, a busy machine decides
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w := open(t, okta.Config{Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		deadline, ok := r.Context().Deadline()
		if !ok {
			t.Error("a call without a deadline")
		}
		mu.Lock()
		longest = max(longest, time.Until(deadline))
		mu.Unlock()
		return transport.RoundTrip(r)
	})}})
	w.hook(s, memberships, nil)
	must(t, w.Configure(func(s *okta.Settings) { s.Timeout = 0 }))
	mu.Lock()
	longest = 0
	mu.Unlock()
	w.joins(1)
	w.settle()
	for _, d := range w.Deliveries() {
		if d.Took < 2900*time.Millisecond || d.Error != "timeout" {
			t.Errorf("attempt %d took %s and ended with %q", d.Attempt, d.Took, d.Error)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if longest > 3*time.Second || longest <= 0 {
		t.Errorf("an attempt may take another %s", longest)
	}
	if n := len(w.Deliveries()); n != 2 {
		t.Errorf("%d attempts", n)
	}
}

func TestOnlyVerifiedActiveSubscribedHooksHear(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	silent := listen(t, nil)
	_, err := w.AddHook(okta.HookConfig{Name: "unverified", URI: silent.url, Events: memberships})
	must(t, err)
	off := w.hook(silent, memberships, nil)
	w.want(200, "POST", "/api/v1/eventHooks/"+off.ID+"/lifecycle/deactivate", nil)
	w.hook(silent, []string{"group.lifecycle.delete"}, nil)
	changed := w.hook(silent, memberships, nil)
	w.want(200, "PUT", "/api/v1/eventHooks/"+changed.ID, hookBody(silent.url+"/new", memberships...))
	w.joins(2)
	w.settle()
	if n := len(silent.got()); n != 0 || len(w.Deliveries()) != 0 {
		t.Errorf("%d deliveries, records %+v", n, w.Deliveries())
	}
	must(t, w.VerifyHook(t.Context(), changed.ID))
	want := w.joins(1)
	w.settle()
	if diff := cmp.Diff(want, silent.uuids()); diff != "" {
		t.Errorf("what happened while a hook was deaf is not made up for: %s", diff)
	}
}

func TestDropping(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, set okta.Settings) ([]string, []string, okta.Totals) {
		s := listen(t, nil)
		w := open(t, okta.Config{Seed: seed, Settings: set})
		w.hook(s, memberships, nil)
		all := w.joins(60)
		w.settle()
		return all, s.uuids(), w.Stats().Deliveries
	}
	all, got, totals := run(1, okta.Settings{DropRate: 0.5})
	_, again, _ := run(1, okta.Settings{DropRate: 0.5})
	_, other, _ := run(2, okta.Settings{DropRate: 0.5})
	if len(got) < 15 || len(got) > 45 || totals.Dropped != 60-len(got) || len(all) != 60 {
		t.Errorf("half dropped: %d of 60 arrived, %+v", len(got), totals)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("the same seed drops the same events: %s", diff)
	}
	if len(got) == len(other) && slices.Equal(got, other) {
		t.Error("another seed drops the same events")
	}
	if _, got, _ := run(1, okta.Settings{DropTypes: []string{memberships[0]}}); len(got) != 0 {
		t.Errorf("%d arrived of a dropped type", len(got))
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Settings: okta.Settings{DuplicateEvery: 3}})
	w.hook(s, memberships, nil)
	want := w.joins(9)
	w.settle()
	count := map[string]int{}
	eventIDs := map[any]bool{}
	for _, p := range s.got() {
		eventIDs[p.body["eventId"]] = true
		count[p.events()[0]["uuid"].(string)]++
	}
	for i, id := range want {
		n := 1
		if (i+1)%3 == 0 {
			n = 2
		}
		if count[id] != n {
			t.Errorf("event %d arrived %d times, want %d", i+1, count[id], n)
		}
	}
	if len(eventIDs) != 12 || w.Stats().Deliveries.Duplicated != 3 {
		t.Errorf("%d POSTs with an eventId of their own, %+v", len(eventIDs), w.Stats().Deliveries)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.DuplicateEvery, s.DuplicateRate = 0, 1 }))
	before := len(s.got())
	w.joins(2)
	w.settle()
	if n := len(s.got()) - before; n != 4 {
		t.Errorf("rate 1: %d POSTs for 2 events", n)
	}
}

func TestBatching(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Settings: okta.Settings{BatchWindow: time.Hour, MaxBatch: 4}})
	w.hook(s, memberships, nil)
	want := w.joins(10)
	// Two batches are full and go at once; two events wait for the window.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.Idle(ctx); err == nil {
		t.Fatal("idle although two events wait")
	}
	must(t, w.Configure(func(s *okta.Settings) { s.BatchWindow = time.Millisecond }))
	w.settle()
	var sizes []int
	for _, p := range s.got() {
		sizes = append(sizes, len(p.events()))
	}
	if diff := cmp.Diff([]int{4, 4, 2}, sizes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, s.uuids()); diff != "" {
		t.Error(diff)
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Settings: okta.Settings{Reorder: true, BatchWindow: 300 * time.Millisecond}})
	w.hook(s, memberships, nil)
	want := w.joins(20)
	w.settle()
	got := s.uuids()
	if slices.Equal(want, got) {
		t.Error("the order is kept")
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("something else than the order changed: %s", diff)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Settings: okta.Settings{Delay: 150 * time.Millisecond}})
	w.hook(s, memberships, nil)
	began := time.Now()
	w.joins(3)
	w.settle()
	if d := time.Since(began); d < 150*time.Millisecond || len(s.got()) != 3 {
		t.Errorf("%d deliveries after %s", len(s.got()), d)
	}
}

func TestOmitNulls(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{Settings: okta.Settings{OmitNulls: true}})
	w.hook(s, memberships, nil)
	g, u := w.group("Amazon Connect Agents"), w.user("ana.silva@example.com")
	must(t, w.JoinByRule(u.ID, g.ID))
	w.settle()
	want := shapeOf(fixture(t, "hook-null-fields-omitted.json"))
	if diff := cmp.Diff(want, shapeOf(s.got()[0].body)); diff != "" {
		t.Error(diff)
	}
}

func TestDailyCap(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s := listen(t, nil)
	w := open(t, okta.Config{Now: clock, Settings: okta.Settings{DailyCap: 10}})
	w.hook(s, memberships, nil)
	want := w.joins(6)
	w.settle()
	if n := len(w.Events("event_hook.delivery")); n != 0 {
		t.Errorf("%d warnings below 70 %%", n)
	}
	want = append(want, w.joins(6)[:4]...)
	w.settle()
	if diff := cmp.Diff(want, s.uuids()); diff != "" {
		t.Error(diff)
	}
	if n := len(w.Events("event_hook.delivery")); n != 1 || w.Stats().Deliveries.Capped != 2 {
		t.Errorf("%d warnings, %+v", n, w.Stats().Deliveries)
	}
	mu.Lock()
	now = now.Add(24 * time.Hour)
	mu.Unlock()
	late := w.joins(1)
	w.settle()
	if got := s.uuids(); len(got) != 11 || got[10] != late[0] {
		t.Errorf("after 24 h: %d deliveries", len(got))
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	s := listen(t, func(int) int { return 0 })
	w := open(t, okta.Config{Settings: okta.Settings{Timeout: 5 * time.Minute}}) // as long lasts a delivery that is not ended
	w.hook(s, memberships, nil)
	w.joins(5)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, w.Close(ctx))
	w.joins(1)
	w.settle()
	if n := len(s.got()); n > 1 {
		t.Errorf("%d POSTs went out", n)
	}
	w.want(200, "GET", "/api/v1/users", nil)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := listen(t, func(n int) int {
		if n%17 == 0 {
			return 500
		}
		return 204
	})
	w := open(t, okta.Config{Settings: okta.Settings{Parallel: 4, RateLimitsOff: true}})
	w.hook(s, memberships, nil)
	g := w.group("Amazon Connect Agents")
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := range 20 {
				u, err := w.AddUser(okta.NewUser{Login: fmt.Sprintf("a%d.%d@example.com", k, i), Groups: []string{g.ID}})
				if err != nil {
					t.Error(err)
					return
				}
				if a := w.do("GET", "/api/v1/users/"+u.ID, nil); a.status != 200 {
					t.Error(a.status)
				}
				if i%5 == 0 {
					w.do("DELETE", "/api/v1/groups/"+g.ID+"/users/"+u.ID, nil)
					w.do("GET", "/api/v1/logs?limit=10", nil)
					w.Stats()
				}
			}
		})
	}
	wg.Wait()
	w.settle()
	distinct := map[string]bool{}
	for _, id := range s.uuids() {
		distinct[id] = true
	}
	if want := len(w.Events(memberships...)); len(distinct) != want || want != 8*(20+4) {
		t.Errorf("%d events arrived of %d", len(distinct), want)
	}
}

func TestTwentyThousandPeople(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	g := w.group("Amazon Connect Agents")
	list := make([]okta.NewUser, 20_000)
	for i := range list {
		list[i] = okta.NewUser{Login: fmt.Sprintf("agent%05d@example.com", i), FirstName: "Agent", LastName: fmt.Sprint(i), Groups: []string{g.Name}}
	}
	began := time.Now()
	if n := len(w.want(200, "POST", "/_sim/people", list).list()); n != len(list) {
		t.Fatalf("%d people", n)
	}
	added := time.Since(began)
	began = time.Now()
	pages, n := 0, 0
	for path := "/api/v1/groups/" + g.ID + "/users?limit=1000"; path != ""; pages++ {
		a := w.want(200, "GET", path, nil)
		n += len(a.list())
		path = a.link("next")
	}
	t.Logf("20,000 people: added in %s, listed in %s", added, time.Since(began))
	if n != len(list) || pages != 20 {
		t.Errorf("%d members on %d pages", n, pages)
	}
}
