package app_test

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	simokta "connectroster/internal/sim/okta"
)

// TestRestartWithRefusedCursor restarts the program and lets Okta refuse the
// place in the System Log that it kept. The status counts one gap, and a sweep of
// its own finds whom the gap hides: the one at the start has failed.
func TestRestartWithRefusedCursor(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"bad request": http.StatusBadRequest, "gone": http.StatusGone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64 // of the org's clock, which never goes back
			ahead.Store(int64(-4 * time.Hour))
			w := newWorld(t, setup{noHook: true, now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			w.hire(1, agentGroup)
			w.start()
			w.ready()
			w.converges(30 * time.Second)
			w.stop()

			w.hire(2, agentGroup) // earlier than what is read again after a gap
			ahead.Store(0)
			w.breaks(
				simokta.Fault{Endpoint: "GET /api/v1/logs", Status: status, Times: 1},
				simokta.Fault{Endpoint: "GET /api/v1/groups/{id}/users", Status: http.StatusForbidden, Times: 1},
			)
			reads := len(w.okta.calls(http.MethodGet, "/api/v1/logs"))
			began := time.Now()
			w.start()
			w.converges(30 * time.Second)
			w.await("the place to be kept again", caught, func() bool { return !w.status().CatchUp.Last.IsZero() })
			w.swept(began)
			w.await("a line about the gap", 30*time.Second, func() bool { return w.log.count("ERROR", "the place in Okta's System Log was lost") > 0 })

			refused, err := url.Parse(w.okta.calls(http.MethodGet, "/api/v1/logs")[reads].url)
			must(t, err)
			if !refused.Query().Has("after") {
				t.Errorf("the restarted program begins at %s, not at the place that it kept", refused)
			}
			s := w.status()
			if s.CatchUp.Gaps != 1 || s.CatchUp.Error != "" {
				t.Errorf("%d gaps, and the last catch-up ended with %q", s.CatchUp.Gaps, s.CatchUp.Error)
			}
			if s.Sweep.Last == nil || s.Sweep.Last.Started.Before(began) || s.Sweep.Last.People != 2 {
				t.Errorf("the last sweep is %+v", s.Sweep.Last)
			}
			if n := w.log.count("ERROR", "the sweep failed"); n != 1 {
				t.Errorf("the sweep at the start has failed %d times", n)
			}
			if n := w.log.count("ERROR", "the place in Okta's System Log was lost"); n != 1 {
				t.Errorf("the log tells of %d gaps", n)
			}
		})
	}
}

// TestHookWhileOktaIsAway starts while Okta's API cannot be reached. The hook is
// answered 204 all the same, and its person gets an agent when Okta is back.
func TestHookWhileOktaIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{noHook: true, catchUp: "1h"})
	w.okta.lead(nil)
	w.start()
	user := w.hire(1, agentGroup)
	if status := w.post(hookSecret, event("group.user_membership.add", user.ID, w.group.ID)); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	w.await("a look that has failed or waits", 60*time.Second, func() bool {
		p := w.person(user.ID)
		return p.Queue != nil && p.Queue.Reason != ""
	})
	if n := w.writes(); n != 0 {
		t.Fatalf("%d writes", n)
	}
	w.okta.lead(w.org)
	w.converges(60 * time.Second)
	if s := w.status(); s.Outcomes.Dead != 0 {
		t.Errorf("%d dead letters", s.Outcomes.Dead)
	}
}
