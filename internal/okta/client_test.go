package okta_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// apiAnswering makes a client of a handler.
func apiAnswering(t testing.TB, h http.HandlerFunc, change func(*okta.ClientConfig)) *okta.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return newAPIClient(t, server.URL, change)
}

// oneGroup answers a list with the group.
func oneGroup(w http.ResponseWriter) {
	fmt.Fprintf(w, `[{"id":%q,"profile":{"name":%q},"_embedded":{"stats":{"usersCount":0}}}]`, apiGroup, apiName)
}

// The matrix of headers that come with a 429: whatever they say, the wait is
// between 1 and 65 seconds, the next call succeeds, and none is made before the
// limit is over.
func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	resets := map[string]func(time.Time) string{
		"+1":     func(now time.Time) string { return strconv.FormatInt(now.Unix()+1, 10) },
		"+60":    func(now time.Time) string { return strconv.FormatInt(now.Unix()+60, 10) },
		"past":   func(now time.Time) string { return strconv.FormatInt(now.Unix()-600, 10) },
		"+3600":  func(now time.Time) string { return strconv.FormatInt(now.Unix()+3600, 10) },
		"-1":     func(time.Time) string { return "-1" },
		"abc":    func(time.Time) string { return "abc" },
		"absent": func(time.Time) string { return "" },
	}
	cases := 0
	for name, reset := range resets {
		for _, remaining := range []string{"0", "1", ""} {
			for _, limit := range []string{"0", "600"} {
				for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
					cases++
					t.Run(fmt.Sprintf("reset %s remaining %q limit %s skew %s", name, remaining, limit, skew), func(t *testing.T) {
						t.Parallel()
						for _, random := range []float64{0, 0.5, 0.999999} {
							tryRateLimit(t, name, reset, remaining, limit, skew, random)
						}
					})
				}
			}
		}
	}
	if cases != 126 {
		t.Errorf("%d cases; 126 are wanted", cases)
	}
}

func tryRateLimit(t *testing.T, name string, reset func(time.Time) string, remaining, limit string, skew time.Duration, random float64) {
	t.Helper()
	ours := newAPIClock() // Okta's is skew behind
	oktas := func() time.Time { return ours.now().Add(-skew) }
	// What is true: a window ends where Reset says if it can, and else 60 s from
	// the refusal. Too many calls at once are over in a second.
	over := oktas().Add(time.Minute)
	if name == "+1" {
		over = oktas().Add(time.Second)
	}
	if limit == "0" {
		over = oktas().Add(time.Second)
	}
	var calls, early atomic.Int64
	client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", oktas().UTC().Format(http.TimeFormat))
		if calls.Add(1) > 1 && !oktas().Before(over) {
			oneGroup(w)
			return
		}
		early.Add(1)
		for header, value := range map[string]string{
			"X-Rate-Limit-Limit": limit, "X-Rate-Limit-Remaining": remaining, "X-Rate-Limit-Reset": reset(oktas()),
		} {
			if value != "" {
				w.Header().Set(header, value)
			}
		}
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"errorCode":"E0000047"}`)
	}, func(c *okta.ClientConfig) {
		c.Now, c.Wait, c.Random = ours.now, ours.wait, func() float64 { return random }
	})
	if _, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context()); err != nil {
		t.Error(err)
	}
	if early.Load() != 1 || calls.Load() != 2 {
		t.Errorf("%d calls, of which %d in the limited minute", calls.Load(), early.Load())
	}
	for _, wait := range ours.waits {
		if wait < time.Second || wait > 65*time.Second || limit == "0" && wait > 5*time.Second {
			t.Errorf("a wait of %s", wait)
		}
	}
}

// A worker does not wait for a limit, and nobody else calls meanwhile.
func TestRateLimitImpatience(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		clock := newAPIClock()
		var calls atomic.Int64
		client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.Header().Set("Date", clock.now().Format(http.TimeFormat))
			if !silent {
				w.Header().Set("X-Rate-Limit-Limit", "600")
				w.Header().Set("X-Rate-Limit-Remaining", "0")
				w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(clock.now().Unix()+30, 10))
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}, func(c *okta.ClientConfig) { c.Now, c.Wait = clock.now, clock.wait })
		d := newAPIDirectory(t, client, "")
		for range 5 {
			_, err := d.Person(t.Context(), apiID("00u", 0))
			if wait, ok := reconcile.AsAfter(err); !ok || wait < time.Second || wait > 65*time.Second {
				t.Errorf("%v", err)
			}
		}
		if calls.Load() != 1 || len(clock.waits) != 0 {
			t.Errorf("%d calls, waits %s", calls.Load(), clock.waits)
		}
		clock.move(66 * time.Second)
		if _, _ = d.Person(t.Context(), apiID("00u", 0)); calls.Load() != 2 {
			t.Error("no call once the limit is over")
		}
	}
}

// Of a bucket of 600 a minute we use the half, and no call is refused; where
// others use it up we leave the last tenth alone.
func TestShareOfBucket(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]int{"alone": 0, "others use half": 320, "others use 530": 530} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit = 600
			clock := newAPIClock()
			var window time.Time
			used, mine, most, refused := 0, 0, 0, 0
			client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
				clock.move(20 * time.Millisecond)
				if clock.now().Sub(window) >= time.Minute {
					window, used, mine = clock.now(), others, 0
				}
				used++
				mine++
				most = max(most, mine)
				w.Header().Set("Date", clock.now().Format(http.TimeFormat))
				w.Header().Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
				w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(max(limit-used, 0)))
				w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(window.Add(time.Minute).Unix(), 10))
				if used > limit {
					refused++
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				oneGroup(w)
			}, func(c *okta.ClientConfig) { c.Now, c.Wait, c.Share = clock.now, clock.wait, 0.5 })
			d := newAPIDirectory(t, client, "", apiGroup)
			began := clock.now()
			const reads = 3000
			for range reads {
				if _, err := d.Groups(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			took := clock.now().Sub(began)
			want := min(limit/2, limit-limit/10-others)
			t.Logf("at most %d calls in a window, %d refused, %s", most, refused, took)
			if most > want || refused > 0 {
				t.Errorf("%d calls in one window, %d allowed; %d refused", most, want, refused)
			}
			// And it does not stall either.
			if limitOf := time.Duration(reads/(want-2)+2) * 63 * time.Second; took > limitOf {
				t.Errorf("%s for %d calls; %s would do", took, reads, limitOf)
			}
		})
	}
}

// What passes is tried again, and what does not is not.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		tries  int64
		after  bool
	}{
		{"423", 423, 3, false},
		{"500", 500, 3, false},
		{"502", 502, 3, false},
		{"503", 503, 3, false},
		{"504", 504, 3, false},
		{"reset", 0, 3, false},
		{"400", 400, 1, false},
		{"405", 405, 1, false},
		{"301", 301, 1, false},
		{"401", 401, 1, true},
		{"403", 403, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			fail := atomic.Bool{}
			fail.Store(true)
			client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				switch {
				case !fail.Load() || calls.Load() == c.tries && c.tries > 1:
					oneGroup(w)
				case c.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(c.status)
					fmt.Fprint(w, `{"errorCode":"E0000009","errorSummary":"canary-summary"}`)
				}
			}, nil)
			d := newAPIDirectory(t, client, "", apiGroup)
			_, err := d.Groups(t.Context())
			if c.tries > 1 {
				if err != nil || calls.Load() != c.tries {
					t.Errorf("%d calls, %v", calls.Load(), err)
				}
				return
			}
			wait, ok := reconcile.AsAfter(err)
			if err == nil || calls.Load() != 1 || ok != c.after || ok && (wait < 45*time.Second || wait > 55*time.Second) {
				t.Fatalf("%d calls, %v", calls.Load(), err)
			}
			var answer *okta.APIError
			if !errors.As(err, &answer) || answer.Status != c.status || answer.Code != "E0000009" || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A call that keeps failing ends in a plain error after three attempts.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}, nil)
	_, err := newAPIDirectory(t, client, "").Person(t.Context(), apiID("00u", 0))
	if _, after := reconcile.AsAfter(err); err == nil || after || reconcile.IsTerminal(err) || calls.Load() != 3 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// A revoked token is tried once a minute, told once, and back at work within a
// minute of its repair.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	clock := newAPIClock()
	var log logs
	var calls atomic.Int64
	repaired := atomic.Bool{}
	client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if !repaired.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errorCode":"E0000011"}`)
			return
		}
		oneGroup(w)
	}, func(c *okta.ClientConfig) { c.Now, c.Wait, c.Log = clock.now, clock.wait, log.logger() })
	d := newAPIDirectory(t, client, "", apiGroup)
	for range 100 {
		_, err := d.Groups(t.Context())
		if wait, ok := reconcile.AsAfter(err); !ok || wait <= 0 || wait > time.Minute {
			t.Fatal(err)
		}
		clock.move(100 * time.Millisecond)
	}
	if calls.Load() != 1 || len(log.lines()) != 1 {
		t.Errorf("%d calls, log %q", calls.Load(), log.lines())
	}
	for range 3 {
		clock.move(time.Minute)
		if _, err := d.Groups(t.Context()); err == nil {
			t.Fatal("a revoked token gives groups")
		}
	}
	if calls.Load() != 4 || len(log.lines()) != 1 {
		t.Errorf("%d calls in three minutes more, log %q", calls.Load()-1, log.lines())
	}
	repaired.Store(true)
	clock.move(time.Minute)
	if _, err := d.Groups(t.Context()); err != nil {
		t.Error(err)
	}
	if lines := log.lines(); len(lines) != 2 || !strings.Contains(lines[1], "accepts our credential again") {
		t.Errorf("log %q", lines)
	}
}

// A token that takes the place of another is used at once: also by a call that was
// under way, and after the old one was refused. What is no token changes nothing.
func TestSignIn(t *testing.T) {
	t.Parallel()
	const second, third = "the-second-token-of-these-tests", "the-third-token-of-these-tests"
	var log logs
	var valid atomic.Value
	valid.Store(apiToken)
	var meanwhile func()
	client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
		if meanwhile != nil {
			meanwhile()
		}
		if r.Header.Get("Authorization") != "SSWS "+valid.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errorCode":"E0000011"}`)
			return
		}
		oneGroup(w)
	}, func(c *okta.ClientConfig) { c.Log = log.logger() })
	d := newAPIDirectory(t, client, "", apiGroup)

	meanwhile = func() {
		meanwhile = nil
		valid.Store(second)
		if err := client.SignIn(okta.ClientConfig{Token: second}); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Groups(t.Context()); err != nil || strings.Join(log.lines(), "") != "" {
		t.Fatalf("a call during the replacement: %v, log %q", err, log.lines())
	}
	valid.Store(third) // and the second one is revoked too soon
	if _, err := d.Groups(t.Context()); err == nil {
		t.Fatal("a revoked token gives groups")
	}
	if err := client.SignIn(okta.ClientConfig{Token: "half-a\ttoken"}); err == nil || strings.Contains(err.Error(), "half-a") {
		t.Errorf("signed in with what is no token: %v", err)
	}
	if _, err := d.Groups(t.Context()); err == nil {
		t.Fatal("a revoked token gives groups")
	}
	if err := client.SignIn(okta.ClientConfig{Token: third}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Groups(t.Context()); err != nil {
		t.Errorf("after a replacement: %v", err)
	}
	if lines := log.lines(); len(lines) != 2 || !strings.Contains(lines[1], "accepts our credential again") {
		t.Errorf("log %q", lines)
	}
}

// A clock that jumps by years makes nobody wait for years.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{-time.Second, time.Second, -time.Hour, time.Hour, -87600 * time.Hour, 87600 * time.Hour} {
		clock := newAPIClock()
		refuse := atomic.Bool{}
		client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Rate-Limit-Limit", "10")
			w.Header().Set("X-Rate-Limit-Remaining", "0")
			w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Unix()+60, 10))
			if refuse.Load() {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			oneGroup(w)
		}, func(c *okta.ClientConfig) { c.Now, c.Wait = clock.now, clock.wait })
		d := newAPIDirectory(t, client, "", apiGroup)
		if _, err := d.Groups(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.move(jump)
		if _, err := d.Groups(t.Context()); err != nil {
			t.Errorf("%s: %v", jump, err)
		}
		for _, wait := range clock.waits {
			if wait > 66*time.Second {
				t.Errorf("%s: a wait of %s", jump, wait)
			}
		}
		clock.move(2 * time.Minute)
		refuse.Store(true)
		if _, err := d.Groups(t.Context()); err == nil {
			t.Fatal("no error")
		}
		refuse.Store(false)
		clock.move(2 * jump)
		_, err := d.Groups(t.Context())
		if wait, ok := reconcile.AsAfter(err); err != nil && (!ok || wait > time.Minute) {
			t.Errorf("%s after a refusal: %v", jump, err)
		}
	}
}

// Links may come one in a line or all in one.
func TestLinkForms(t *testing.T) {
	t.Parallel()
	for _, form := range []string{
		"<%[1]s>; rel=\"self\", <%[2]s>; rel=\"next\"",
		"<%[1]s>;rel=self,<%[2]s>;rel=next",
		"<%[2]s>; title=\"a, b; c \\\" d\"; rel=\"prefetch NEXT\"",
		" , <%[2]s> ; REL = next ,",
	} {
		var calls atomic.Int64
		client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
			here := "http://" + r.Host + r.URL.Path
			if calls.Add(1) == 1 {
				w.Header().Set("Link", fmt.Sprintf(form, here+"?a=1,2;3", here+"?after=x,y;z"))
				fmt.Fprint(w, `[]`)
				return
			}
			if r.URL.RawQuery != "after=x,y;z" {
				t.Errorf("%q: the next link arrives as %q", form, r.URL.RawQuery)
			}
			oneGroup(w)
		}, nil)
		if groups, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context()); err != nil || len(groups) != 1 {
			t.Errorf("%q: %v, %v", form, groups, err)
		}
	}
}

// Links in a circle end, be the pages empty or not.
func TestLinksInCircle(t *testing.T) {
	t.Parallel()
	for _, circle := range []int{1, 2, 5} {
		calls := 0
		client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Link", fmt.Sprintf("<http://%s%s?at=%d>; rel=next", r.Host, r.URL.Path, calls%circle))
			fmt.Fprint(w, `[]`)
		}, nil)
		_, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context())
		if err == nil || calls != circle+1 {
			t.Errorf("a circle of %d: %d calls, %v", circle, calls, err)
		}
	}
}

// Credentials stay on the org's origin, and a link that cannot be read, or leads
// elsewhere, is an error.
func TestLinksOffOrigin(t *testing.T) {
	t.Parallel()
	var stray atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stray.Add(1) }))
	t.Cleanup(other.Close)
	for _, link := range []string{
		"<" + other.URL + `/api/v1/groups?after=1>; rel="next"`,
		"<http://%[2]s.evil.example/api/v1/groups>; rel=next",
		"<http://user:pass@%[1]s/api/v1/groups>; rel=next",
		"<https://%[1]s/api/v1/groups>; rel=next",
		"<//evil.example/api/v1/groups>; rel=next",
		"<http://%[1]s/api/v1/users>; rel=next",
		"<http://%[1]s/api/v1/groups/../users>; rel=next",
		"<http://%[1]s/api/v1/groups?x=1>; rel=next, <http://%[1]s/api/v1/groups?x=2>; rel=next",
		"<file:///etc/passwd>; rel=next",
		"<http://%[1]s/api/v1/groups; rel=next",
		"http://%[1]s/api/v1/groups; rel=next",
		`<http://%[1]s/api/v1/groups>; rel="next`,
		`<http://%[1]s/api/v1/groups> rel="next"`,
		"<:>; rel=next",
		"<http://%[1]s/api/v1/groups%%zz>; rel=next",
	} {
		calls := 0
		client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Link", strings.NewReplacer("%[1]s", r.Host, "%[2]s", "127.0.0.1", "%%", "%").Replace(link))
			oneGroup(w)
		}, nil)
		groups, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context())
		if err == nil || calls != 1 {
			t.Errorf("%s: %v, %v, %d calls", link, groups, err, calls)
		}
	}
	if stray.Load() != 0 {
		t.Error("another server was called")
	}
}

// Whatever happens, no credential and nothing of an answer is in an error or in
// the log.
func TestClientKeepsSecrets(t *testing.T) {
	t.Parallel()
	var log logs
	const canary = "canary-content"
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500} {
		for _, body := range []string{`{"errorCode":"` + apiToken + " " + canary + `"}`, canary, `[{"` + canary + `":`, `["` + canary + `"]`} {
			client := apiAnswering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Okta-Request-Id", canary+" \x1b[31m")
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}, func(c *okta.ClientConfig) { c.Log = log.logger() })
			d := newAPIDirectory(t, client, apiLabel, apiGroup)
			_, first := d.Groups(t.Context())
			_, second := d.Person(t.Context(), apiID("00u", 0))
			_, third := newAPIFeed(t, client, d).Events(t.Context(), "", newAPIClock().now())
			for _, err := range []error{first, second, third} {
				if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), apiToken) {
					t.Errorf("%d %q: %v", status, body, err)
				}
			}
		}
	}
	for _, line := range log.lines() {
		if strings.Contains(line, "canary") || strings.Contains(line, apiToken) {
			t.Errorf("log: %s", line)
		}
	}
}

// Requests are what Okta wants them to be.
func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	var header http.Header
	client := apiAnswering(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		oneGroup(w)
	}, nil)
	if _, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "connectroster/test", "Authorization": "SSWS " + apiToken,
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
