package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// outage takes the right to call one of the vendors away, and gives it back.
type outage struct {
	setup   func(*testing.T) setup // nil: the usual one
	prepare func(*world)           // before the app starts; may be nil
	begin   func(*world)
	end     func(*world)
	alert   []string // words of the line that tells of it
}

// TestRevokedRights revokes tokens, roles and keys in the middle of the work.
// Nobody is given up and nothing is counted as an attempt; one line tells of it;
// and within a minute of the repair the work goes on by itself.
func TestRevokedRights(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it takes a minute until a refused credential is tried again")
	}
	t.Parallel()
	aws := func(code string, status int, operation string) outage {
		return outage{
			begin: func(w *world) {
				must(w.t, w.instance.AddFaults(simconnect.Fault{Operation: operation, Status: status, Code: code, Times: -1}))
			},
			end:   func(w *world) { w.instance.ClearFaults() },
			alert: []string{"ERROR", "AWS refuses"},
		}
	}
	const oktaAlert = "okta refuses our credential"
	for name, o := range map[string]outage{
		"okta token revoked": {
			begin: func(w *world) {
				w.breaks(simokta.Fault{Status: http.StatusUnauthorized, Code: "E0000011", Times: -1})
			},
			end:   func(w *world) { w.org.ClearFaults() },
			alert: []string{"ERROR", oktaAlert},
		},
		"okta role taken": {
			begin: func(w *world) {
				must(w.t, w.org.Configure(func(s *simokta.Settings) { s.MissingRoleForbids = true }))
				must(w.t, w.org.SetTokenRoles(apiToken))
			},
			end:   func(w *world) { must(w.t, w.org.SetTokenRoles(apiToken, "SUPER_ADMIN")) },
			alert: []string{"ERROR", "cannot read Okta's System Log"},
		},
		"okta key removed": serviceApp(oktaAlert),
		"aws role changed": aws("AccessDeniedException", http.StatusForbidden, "CreateUser"),
		"aws session over": aws("ExpiredTokenException", http.StatusForbidden, ""),
		"aws key deleted":  aws("UnrecognizedClientException", http.StatusForbidden, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s setup
			if o.setup != nil {
				s = o.setup(t)
			}
			w := newWorld(t, s)
			if o.prepare != nil {
				o.prepare(w)
			}
			w.hire(1, agentGroup)
			w.start()
			w.ready()
			w.converges(30 * time.Second)

			before := w.entitled()
			o.begin(w)
			for n := range 3 {
				w.hire(10+n, agentGroup)
			}
			w.await("three people set aside", 30*time.Second, func() bool { return len(w.waiting(reconcile.StateWaiting)) == 3 })
			w.await("an alert", 15*time.Second, func() bool { return w.log.count(o.alert...) > 0 })
			w.quiet()
			w.becomes(before, 0)
			for _, p := range w.waiting(reconcile.StateWaiting) {
				if p.Attempts != 0 || p.Reason == "" || time.Until(p.Due) > 55*time.Second {
					t.Errorf("person %s: %d attempts, due in %v, reason %q", p.Person, p.Attempts, time.Until(p.Due), p.Reason)
				}
			}
			if n := w.log.count(o.alert...); n != 1 {
				t.Errorf("%d alerts:\n%s", n, w.log)
			}

			o.end(w)
			w.converges(70 * time.Second)
			w.await("the System Log to be read again", 70*time.Second, func() bool { return w.status().CatchUp.Error == "" })
			if s := w.status(); s.Outcomes.Failed != 0 || s.Outcomes.Dead != 0 {
				t.Errorf("%d failed attempts, %d dead letters", s.Outcomes.Failed, s.Outcomes.Dead)
			}
			if n := w.log.count(o.alert...); n != 1 {
				t.Errorf("%d alerts", n)
			}
		})
	}
}

// serviceApp is an outage of one who signs in by OAuth: the key is taken from
// the app, and its tokens end.
func serviceApp(alert string) outage {
	const id, kid = "0oaTheServiceApp0001", "the-key"
	var public simokta.ClientKey
	return outage{
		setup: func(t *testing.T) setup {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			must(t, err)
			private, err := x509.MarshalPKCS8PrivateKey(key)
			must(t, err)
			file := filepath.Join(t.TempDir(), "okta.pem")
			must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			must(t, err)
			public = simokta.ClientKey{KID: kid, PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
			return setup{
				okta: "  auth: {client_id: " + id + ", private_key: \"file:" + file + "\", key_id: " + kid + "}\n  app: " + agentApp,
				clients: []simokta.NewClient{{
					ClientID: id, ClientKey: public, DPoP: true, Roles: []string{"READ_ONLY_ADMIN"},
					Scopes: []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.apps.read"},
				}},
			}
		},
		begin: func(w *world) {
			_, err := w.org.RemoveClientKey(id, kid)
			must(w.t, err)
			must(w.t, w.org.RevokeTokens(id))
		},
		end: func(w *world) {
			_, err := w.org.AddClientKey(id, public)
			must(w.t, err)
		},
		alert: []string{"ERROR", alert},
	}
}

// TestVendorAway starts while one of the vendors cannot be reached. Hooks are
// taken all the same, and worked on as soon as it is back.
func TestVendorAway(t *testing.T) {
	t.Parallel()
	for name, gated := range map[string]func(*world) (*gate, http.Handler){
		"okta":    func(w *world) (*gate, http.Handler) { return w.okta, w.org },
		"connect": func(w *world) (*gate, http.Handler) { return w.connect, w.instance },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			gate, vendor := gated(w)
			w.hire(1, agentGroup) // whom no hook tells of
			gate.lead(nil)
			w.start()
			w.isReady()
			joins := w.hire(2)
			w.join(joins)
			w.await("the delivery to be taken", 10*time.Second, func() bool { return w.status().Hook.Deliveries > 0 })
			w.await("an error in the log", 60*time.Second, func() bool { return w.log.count("ERROR") > 0 })
			w.isReady()
			if n := w.writes(); n != 0 {
				t.Fatalf("%d writes", n)
			}
			gate.lead(vendor)
			w.converges(60 * time.Second)
			if s := w.status(); s.Outcomes.Dead != 0 || s.Ready != "ready" {
				t.Errorf("%d dead letters, ready %q", s.Outcomes.Dead, s.Ready)
			}
		})
	}
}

// isReady asks whether deliveries can be stored.
func (w *world) isReady() {
	w.t.Helper()
	resp, err := w.door.client.Get(w.door.url() + "/readyz")
	must(w.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("/readyz answers %d", resp.StatusCode)
	}
}

// TestRestartInCatchUp stops the program while it waits for the second of three
// pages of the System Log. The next one goes on behind the first page, and
// nobody is left out.
func TestRestartInCatchUp(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the org's clock: the org was furnished long ago
	ahead.Store(int64(-3 * time.Hour))
	w := newWorld(t, setup{now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ahead.Store(0)
	w.blind()
	w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Page: 2, Kind: simokta.FaultTimeout})
	chatter := w.hire(0)
	for n := range 3 {
		w.hire(1+n, agentGroup)
		for i := range 1000 {
			must(t, w.org.UpdateProfile(chatter.ID, map[string]any{"title": []string{"a", "b"}[i%2]}))
		}
	}
	w.start()
	w.await("the call for the second page", 30*time.Second, func() bool {
		faults := w.org.Faults()
		return faults[len(faults)-1].Struck == 1
	})
	w.stop()
	reads := len(w.okta.calls(http.MethodGet, "/api/v1/logs"))
	w.start()
	w.converges(caught)

	calls := w.okta.calls(http.MethodGet, "/api/v1/logs")[reads:]
	first, err := url.Parse(calls[0].url)
	must(t, err)
	if !first.Query().Has("after") {
		t.Errorf("the second process begins at %s, and not behind the page that is done", calls[0].url)
	}
	if reads != 2 {
		t.Errorf("the first process has made %d calls", reads)
	}
}

// TestGap lets Okta refuse the place in the System Log. What it hides is found by
// a sweep, and the status tells of it.
func TestGap(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"bad request": http.StatusBadRequest, "gone": http.StatusGone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64 // of the org's clock, which never goes back
			ahead.Store(int64(-4 * time.Hour))
			w := newWorld(t, setup{now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			w.start()
			w.ready()
			w.drops(1)

			// An event that is older than what is read again after a gap.
			w.hire(1, agentGroup)
			must(t, w.org.Configure(func(s *simokta.Settings) { s.LogCursorLife, s.LogCursorStatus = time.Nanosecond, status }))
			began := time.Now()
			ahead.Store(0)

			w.await("a gap", caught, func() bool { return w.status().CatchUp.Gaps > 0 })
			must(t, w.org.Configure(func(s *simokta.Settings) { s.LogCursorLife = 0 }))
			w.converges(30 * time.Second)
			w.swept(began)
			w.await("a catch-up that works", caught, func() bool { return w.status().CatchUp.Error == "" })
			w.await("a line of the log", 30*time.Second, func() bool {
				return w.log.count("ERROR", "the place in Okta's System Log was lost") > 0
			})
		})
	}
}

// TestFailedDeliveries lets deliveries fail, once with a program that answers 500
// and once without one. Okta says so in its System Log, and so does the status.
func TestFailedDeliveries(t *testing.T) {
	t.Parallel()
	t.Run("500", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{})
		w.start()
		w.ready()
		w.blind()
		w.door.answer(http.StatusInternalServerError)
		w.join(w.hire(1))
		w.quiet()
		w.door.answer(0)
		w.found()
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{})
		w.start()
		w.ready()
		w.stop()
		w.blind()
		w.join(w.hire(1))
		must(t, w.org.Idle(t.Context()))
		if failed := w.org.Stats().Deliveries.Failed; failed == 0 {
			t.Fatal("no delivery has failed")
		}
		w.start()
		w.found()
	})
}

// found checks that the System Log made up for deliveries that failed.
func (w *world) found() {
	w.t.Helper()
	w.converges(caught)
	w.await("the failed deliveries in the status", caught, func() bool { return w.status().CatchUp.Failed > 0 })
	w.await("a line of the log", 30*time.Second, func() bool { return w.log.count("ERROR", "Okta could not deliver events") > 0 })
}

// TestOddDays mixes passing failures of both vendors into the work.
func TestOddDays(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it takes a minute until the last answer that was lost is cleared up")
	}
	t.Parallel()
	w := newWorld(t, setup{})
	w.start()
	w.ready()
	w.drops(0.5)
	w.breaks(
		simokta.Fault{Every: 7, Times: 30, Status: http.StatusBadGateway},
		simokta.Fault{Every: 11, Times: 10, Kind: simokta.FaultReset},
		simokta.Fault{Every: 13, Times: 10, Kind: simokta.FaultHalf},
		simokta.Fault{Endpoint: "GET /api/v1/logs", Times: 1, Kind: simokta.FaultTruncate},
	)
	must(t, w.instance.AddFaults(
		simconnect.Fault{Operation: "CreateUser", Every: 5, Times: 5, Status: http.StatusServiceUnavailable},
		simconnect.Fault{Operation: "CreateUser", Nth: 3, Every: 7, Times: 3, Kind: simconnect.FaultReset, Commit: true},
	))
	w.everyMode(40)
	w.converges(3 * time.Minute)
	w.await("an empty queue", 3*time.Minute, func() bool {
		b := w.status().Backlog
		return b.Due+b.Working+b.Waiting == 0
	})
	w.converges(0)
	if n := w.status().Outcomes.Dead; n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
