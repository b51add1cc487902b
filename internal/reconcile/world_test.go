package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"connectroster/internal/connect"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/storetest"
)

const (
	hookURL = "https://roster.example.com/hooks/okta"
	secret  = "the-secret-of-the-hook"
	appName = "Amazon Connect"
	noteOf  = "feed" // the note that holds the place in the System Log

	noteOfSweep = "sweep" // the note that a sweep leaves when it has worked
)

// hookEvents are the event types that the hook listens to.
var hookEvents = []string{
	"group.user_membership.add", "group.user_membership.remove", "application.user_membership.add", "application.user_membership.remove",
	"user.lifecycle.create", "user.lifecycle.activate", "user.lifecycle.suspend", "user.lifecycle.unsuspend", "user.lifecycle.deactivate",
	"user.lifecycle.delete.initiated", "user.account.update_profile", "group.lifecycle.delete", "group.profile.update",
}

// mode is one way of working.
type mode struct {
	api    bool // there is access to Okta's API
	policy plan.Policy
}

// world is everything one history is about: both vendors, the channel between
// them and us, a store, and the process that runs at the moment.
//
// Time is kept by fake clocks and not by a bubble of testing/synctest: Okta's
// client has a connection of its own, and one that idles would keep the time in
// a bubble from going on. So what passes in real time is left out: nothing is
// throttled but CreateUser, and a process that was throttled is restarted.
type world struct {
	ctx   context.Context
	truth *storetest.Clock // the vendors' time
	skew  time.Duration    // how far ours is ahead of it
	bench *bench
	bug   mistake
	mode  mode
	verbs map[string]verb

	org     *simokta.Org
	hookID  string
	appID   string
	groups  []string // ids: the mapped ones first, and one that is not
	users   []string // ids of all there ever were
	offices []office // as configured
	parking office   // of those who left
	sim     *simconnect.Instance
	phone   simconnect.PhoneConfig

	store *storetest.Memory
	gate  *gate
	hook  *okta.Hook
	port  *connect.Instance
	eng   *reconcile.Engine
	ready bool // the index was filled since the process began
	poked bool

	cut     int  // the connection to Amazon Connect is lost at this write from now on; zero: not at all
	cutLate bool // after it
	hangUp  func()

	meanwhile []step // to happen right after a person was read
	full      int    // so many times nothing can be stored
	forged    int    // deliveries so far
	lies      string // of what Okta leaves something out
	arriving  []told // the delivery that is being received

	waiting, events []string // uuids: without a delivery so far, and all
	gathered        map[string]bool

	roster   map[string]simconnect.Agent // what there has to be, by agent id
	owners   map[string]string           // of the agents that we made, by agent id
	meddled  map[string]bool             // agents that somebody changed by hand
	seq      int                         // of the ledger, up to where it was checked
	recent   []map[string]somebody       // who was what while the engine looked
	worn     map[string]simconnect.Agent // agents as they were when they were last parked
	parkedAt map[string]time.Time        // by our clock
	moved    map[string]bool             // agents that the floor moved
	removed  []string                    // agents that were parked or deleted
	deleted  map[string]bool             // agents that we deleted
	granted  map[deed]*removal           // what was let go last
	places   []*removal                  // what went without approval
	approved map[string]bool             // hashes of what somebody approved
	twins    map[string]bool             // people who were given a second agent by hand
	adopts   map[string]bool             // people for whom somebody asked for it
	releases map[string]bool
	restores map[string]bool
	heard    hearsay
	owed     map[string]int64 // requests by person, by the deliveries acknowledged
	asked    map[string]bool  // everybody for whom a request was stored
	reached  map[string]bool  // uuids of events that led to a request
	logFrom  time.Time        // events before were never promised to be found
	gap      bool             // the feed had one that was not made up for by a sweep yet
	refused  string           // the cursor that the feed refused then
	madeUp   bool             // a sweep did so since the last catch-up
	lateness time.Duration    // the most that an event was ever late in the log
	faults   []error          // of the product
}

// bench is what many worlds use one after the other: the way to Okta's API.
type bench struct {
	server *httptest.Server
	client *okta.Client
	world  atomic.Pointer[world]
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	b.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { b.world.Load().org.ServeHTTP(rw, r) }))
	t.Cleanup(b.server.Close)
	var err error
	b.client, err = okta.NewClient(okta.ClientConfig{
		Org: b.server.URL, Token: "dev-token", Share: 1, AllowLoopback: true, Random: func() float64 { return 0.5 },
		Now: func() time.Time { return b.world.Load().now() },
		Wait: func(_ context.Context, d time.Duration) error {
			b.world.Load().truth.Advance(d)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	return b
}

func newWorld(ctx context.Context, b *bench, m mode, bug mistake) (*world, error) {
	w := &world{
		ctx: ctx, truth: storetest.NewClock(), bench: b, bug: bug, mode: m, verbs: verbs(),
		gathered: map[string]bool{}, roster: map[string]simconnect.Agent{}, owners: map[string]string{}, meddled: map[string]bool{},
		worn: map[string]simconnect.Agent{}, deleted: map[string]bool{}, granted: map[deed]*removal{}, approved: map[string]bool{},
		moved: map[string]bool{}, parkedAt: map[string]time.Time{}, twins: map[string]bool{}, adopts: map[string]bool{}, releases: map[string]bool{}, restores: map[string]bool{},
		heard: hearsay{}, owed: map[string]int64{}, asked: map[string]bool{}, reached: map[string]bool{},
	}
	limits := map[string]int{}
	for _, class := range []string{"apps", "apps/{id}", "groups", "groups/{id}", "users/{id}", "logs", "other"} {
		limits[class] = 1_000_000
	}
	var err error
	w.org, err = simokta.New(simokta.Config{Seed: 1, Now: w.truth.Now, Client: &http.Client{Transport: roundTripper(w.receive)}, Settings: simokta.Settings{RateLimits: limits}})
	if err != nil {
		return nil, err
	}
	b.world.Store(w) // only now, as a request to the world before may still come
	settings := simconnect.DefaultSettings()
	settings.Limit, settings.Quota = simconnect.Limit{}, 0
	w.sim, err = simconnect.New(simconnect.Config{Settings: &settings, Now: w.truth.Now, Rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		return nil, err
	}
	if err := w.furnish(); err != nil {
		return nil, err
	}
	w.store = storetest.NewMemory(w.now)
	w.port, err = connect.New(ctx, w.portConfig())
	if err != nil {
		return nil, err
	}
	return w, w.restart()
}

// furnish makes the groups, the app, the hook and the profiles.
func (w *world) furnish() error {
	supervisors, err := w.sim.AddRoutingProfile("Supervisors")
	if err != nil {
		return err
	}
	if w.parking.routing, err = w.sim.AddParkingProfile("Parked"); err != nil {
		return err
	}
	if w.parking.security, err = w.sim.AddSecurityProfile("No permissions"); err != nil {
		return err
	}
	for _, name := range []string{"Amazon Connect Leads", "Amazon Connect Agents", "Lunch"} {
		g, err := w.org.AddGroup(name)
		if err != nil {
			return err
		}
		w.groups = append(w.groups, g.ID)
	}
	w.offices = []office{
		{w.groups[0], supervisors, w.sim.SecurityProfileID("CallCenterManager")},
		{w.groups[1], w.sim.RoutingProfileID("Basic Routing Profile"), w.sim.SecurityProfileID("Agent")},
	}
	w.groups[0], w.groups[1] = w.groups[1], w.groups[0]
	w.phone = simconnect.PhoneConfig{PhoneType: "SOFT_PHONE", AfterContactWorkTimeLimit: 30}
	app, err := w.org.AddApp(simokta.NewApp{Label: appName, Groups: w.groups})
	if err != nil {
		return err
	}
	w.appID = app.ID
	hook, err := w.org.AddHook(simokta.HookConfig{Name: "connectroster", URI: hookURL, Events: hookEvents, AuthValue: secret})
	w.hookID = hook.ID
	w.collect()
	w.waiting, w.events = nil, nil
	return err
}

func (w *world) portConfig() connect.Config {
	return connect.Config{
		Instance: w.sim.ID(), Region: w.sim.Region(), Deployment: deployment, Rate: math.Inf(1), Endpoint: "https://connect.example.com",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: wire{w, inMemory{w.sim}}}, Now: w.now,
	}
}

// close ends everything.
func (w *world) close() {
	w.port.Close()
	_ = w.org.Close(w.ctx)
}

// now is the time by our clock.
func (w *world) now() time.Time { return w.truth.Now().Add(w.skew) }

// mapped gives the ids of the groups that are configured.
func (w *world) mapped() []string {
	var ids []string
	for _, o := range w.offices {
		ids = append(ids, o.group)
	}
	return ids
}

// restart begins a new process on the same store.
func (w *world) restart() error {
	w.ready, w.poked = false, false
	w.gate = &gate{Memory: w.store, world: w}
	c := reconcile.Config{
		Settings:  plan.Settings{Deployment: deployment, Policy: w.mode.policy, Personas: map[string]plan.Persona{}},
		Instances: []reconcile.Site{{Instance: entrance{w.bug.port(w.port), w.gate}}}, Limits: limits, Scope: "the model",
		Queue: w.gate, Index: w.gate, Intents: w.gate, Notes: w.gate, Tombstones: w.gate, Guard: w.gate, Journal: w.gate,
		Now: w.now, Random: func() float64 { return 0.5 },
	}
	for _, o := range w.offices {
		c.Settings.Personas[o.group] = persona(o.routing, o.security)
		c.Settings.Rules = append(c.Settings.Rules, rule(o.group, o.group))
	}
	if w.mode.policy == plan.Sync {
		c.Settings.Personas["parked"] = plan.Persona{Values: plan.Values{RoutingProfile: plan.Literal(w.parking.routing), SecurityProfiles: []string{w.parking.security}}}
		c.Settings.Leavers = plan.Leavers{SuspendAs: map[string]string{"": "parked"}, DeleteAfter: grace}
	}
	hook := okta.HookConfig{
		Secrets: func() []string { return []string{secret} }, Groups: w.mapped, Facts: !w.mode.api,
		Poke: func() { w.poked = true }, Now: w.now,
	}
	if err := w.directory(&c, &hook); err != nil {
		return err
	}
	if w.bug.parts != nil {
		w.bug.parts(&c)
	}
	hook.Queue = c.Queue
	var err error
	if w.hook, err = okta.NewHook(hook); err != nil {
		return err
	}
	w.eng, err = reconcile.New(c)
	return err
}

// directory puts in where people come from.
func (w *world) directory(c *reconcile.Config, hook *okta.HookConfig) error {
	if !w.mode.api {
		var facts reconcile.Facts = w.store
		if w.bug.facts != nil {
			facts = w.bug.facts(facts)
		}
		c.Directory = eyewitness{okta.NewFactDirectory(facts, w.mapped), w}
		return nil
	}
	directory, err := okta.NewDirectory(okta.DirectoryConfig{Client: w.bench.client, Groups: w.mapped, App: appName})
	if err != nil {
		return err
	}
	hook.Directory = directory
	c.Directory = eyewitness{directory, w}
	feed, err := okta.NewFeed(okta.FeedConfig{Client: w.bench.client, Directory: directory})
	c.Feed = eavesdropper{feed, w}
	return err
}

// collect notes the events that came about since the last time.
func (w *world) collect() {
	for _, e := range w.org.Events(hookEvents...) {
		if !w.gathered[e.UUID] {
			w.gathered[e.UUID] = true
			w.waiting, w.events = append(w.waiting, e.UUID), append(w.events, e.UUID)
		}
	}
}

// run calls f as the process would, and reports whether that survived it.
func (w *world) run(f func()) (survived bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				w.fault("panic: %v\n%s", p, debug.Stack())
			}
		}()
		f()
		survived = true
	}()
	<-done
	return survived
}

// fault notes a fault of the product.
func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Errorf(format, args...))
}

// receive takes a request for the hook. It is the transport of Okta's deliveries.
func (w *world) receive(r *http.Request) (*http.Response, error) {
	if w.gate.gone {
		return nil, errors.New("connection refused")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	events, err := toldBy(body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(w.ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	w.arriving = events
	survived := w.run(func() { w.hook.ServeHTTP(recorder, r) })
	w.arriving = nil
	if !survived {
		return nil, errors.New("connection reset by peer")
	}
	if recorder.Code == http.StatusNoContent {
		for _, e := range events {
			if w.matters(e.Type, e.Outcome.Result, e.ids("UserGroup"), e.ids("AppInstance")) && (w.mode.api || strings.HasPrefix(e.Type, "group.")) {
				for _, id := range e.ids("User") {
					w.owed[id]++
				}
			}
		}
	}
	return recorder.Result(), nil
}

// roundTripper is an http.RoundTripper made of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// inMemory is the way to a server in this process. A server that breaks the
// connection off is seen to do so.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (response *http.Response, err error) {
	recorder := httptest.NewRecorder()
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			panic(p)
		}
		response, err = nil, errors.New("connection reset by peer")
		if recorder.Body.Len() > 0 {
			response, err = recorder.Result(), nil
			response.Body = io.NopCloser(io.MultiReader(response.Body, cutOff{}))
		}
	}()
	server := r.Clone(r.Context())
	if server.Body == nil {
		server.Body = http.NoBody
	}
	server.RequestURI = r.URL.RequestURI()
	m.handler.ServeHTTP(recorder, server)
	return recorder.Result(), nil
}

// cutOff is the end of an answer that was broken off.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
