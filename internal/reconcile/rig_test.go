package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	"connectroster/internal/storetest"
)

const (
	groupID    = "00gagents"
	deployment = "test"
)

// rig is an engine between a directory in memory, a store in memory and a
// simulated instance behind the real adapter. Time is a fake clock that settle
// moves.
type rig struct {
	t        *testing.T
	clock    *storetest.Clock
	sim      *simconnect.Instance
	store    *storetest.Memory
	people   *directory
	config   reconcile.Config
	engine   *reconcile.Engine
	mu       sync.Mutex
	outcomes []reconcile.Outcome
	notices  []reconcile.Notice
	writes   []string // operations that may be called beside CreateUser; nil: none
}

func newRig(t *testing.T, change func(*simconnect.Settings), adapt ...func(*connect.Config)) *rig {
	t.Helper()
	r := &rig{t: t, clock: storetest.NewClock(), people: &directory{people: map[string]plan.Person{}, log: map[string]bool{}, cliffs: map[string]string{}}}
	settings := simconnect.DefaultSettings()
	settings.Limit = simconnect.Limit{}
	if change != nil {
		change(&settings)
	}
	var err error
	if r.sim, err = simconnect.New(simconnect.Config{Settings: &settings, Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r.sim)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	cfg := connect.Config{
		Instance: r.sim.ID(), Region: r.sim.Region(), Deployment: deployment, Rate: math.Inf(1), AllowLoopback: true,
		Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Now: r.clock.Now,
	}
	for _, f := range adapt {
		f(&cfg)
	}
	instance, err := connect.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(instance.Close)
	r.store = storetest.NewMemory(r.clock.Now)
	r.config = reconcile.Config{
		Settings: plan.Settings{
			Deployment: deployment,
			Policy:     plan.CreateOnly,
			Personas:   map[string]plan.Persona{"agent": persona("Basic Routing Profile", "Agent")},
			Rules:      []plan.Rule{rule(groupID, "agent")},
		},
		Directory: r.people, Instances: []reconcile.Site{{Instance: instance}},
		Queue: r.store, Index: r.store, Intents: r.store, Notes: r.store, Tombstones: r.store, Guard: r.store, Journal: r.store,
		Scope:    "rig",
		Attempts: 20, Now: r.clock.Now, Random: func() float64 { return 0.5 },
		Observe: func(o reconcile.Outcome) {
			r.mu.Lock() // there may be two engines
			defer r.mu.Unlock()
			r.outcomes = append(r.outcomes, o)
		},
	}
	r.restart()
	return r
}

// persona is a soft phone with a routing profile and security profiles.
func persona(routing string, security ...string) plan.Persona {
	return plan.Persona{Values: plan.Values{
		RoutingProfile: plan.Literal(routing), SecurityProfiles: security, PhoneType: plan.SoftPhone,
		AutoAccept: map[plan.Channel]bool{plan.Voice: false}, AfterContactWork: map[plan.Channel]int{plan.Voice: 30},
	}}
}

// rule gives the members of a group a persona.
func rule(group, persona string) plan.Rule {
	return plan.Rule{Name: "rule of " + group, When: plan.Condition{Groups: []plan.GroupRef{{Text: group}}}, Persona: persona}
}

// restart makes a new engine on the same store, as a new process would.
func (r *rig) restart() {
	r.t.Helper()
	var err error
	if r.engine, err = reconcile.New(r.config); err != nil {
		r.t.Fatal(err)
	}
}

// hire adds a person in the group to the directory.
func (r *rig) hire(id string) plan.Person {
	p := plan.Person{ID: id, Username: id + "@example.com", FirstName: "Ana", LastName: "Silva", Status: plan.StatusActive, Groups: []plan.Group{{ID: groupID, Name: "Amazon Connect Agents"}}}
	r.people.put(p)
	return p
}

func (r *rig) ask(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		if err := r.store.Enqueue(r.t.Context(), reconcile.Request{Person: id, Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "event-of-" + id}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// work runs one claim and reports whether there was one. Safety is checked after
// each.
func (r *rig) work() bool {
	r.t.Helper()
	err := r.engine.Work(r.t.Context())
	if errors.Is(err, reconcile.ErrNotFound) {
		return false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.safe()
	return true
}

// settle works until nobody is due, moving the clock over waits, for at most so
// much fake time.
func (r *rig) settle(limit time.Duration) {
	r.t.Helper()
	end := r.clock.Now().Add(limit)
	for range 10_000 {
		if r.work() {
			continue
		}
		due, err := r.store.NextDue(r.t.Context())
		if errors.Is(err, reconcile.ErrNotFound) || err == nil && due.After(end) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		r.clock.Advance(max(due.Sub(r.clock.Now()), time.Millisecond))
	}
	r.t.Fatal("the engine never came to rest")
}

// safe holds at any moment: at most one agent per person, and no agent of
// somebody else was written to.
func (r *rig) safe() {
	r.t.Helper()
	owners := map[string]string{}
	for _, a := range r.sim.Agents() {
		owner := a.Tags["connectroster:owner"]
		if owner == "" || a.Tags["connectroster:deployment"] != deployment || strings.HasPrefix(a.Tags["connectroster:state"], "retired") {
			continue
		}
		if other, twice := owners[owner]; twice {
			r.t.Fatalf("person %s has two agents, %s and %s", owner, other, a.ID)
		}
		owners[owner] = a.ID
	}
	for _, e := range r.sim.Ledger() {
		if e.Operation != "CreateUser" && !slices.Contains(r.writes, e.Operation) {
			r.t.Fatalf("an agent was written to by %s", e.Operation)
		}
	}
}

// journal gives the entries of a person, oldest first, one line each.
func (r *rig) journal(person string) []string {
	r.t.Helper()
	entries, err := r.store.Recent(r.t.Context(), reconcile.Query{Person: person})
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, e := range slices.Backward(entries) {
		lines = append(lines, fmt.Sprintf("%s %s%s", e.Kind, e.Action, e.Code))
	}
	return lines
}

// state gives what the queue holds about a person.
func (r *rig) state(person string) reconcile.Waiting {
	r.t.Helper()
	rows, err := r.store.People(r.t.Context(), reconcile.WaitingQuery{Person: person})
	if err != nil || len(rows) != 1 {
		r.t.Fatalf("the queue holds %d rows about %s: %v", len(rows), person, err)
	}
	return rows[0]
}

// creates counts the accepted and the attempted creations.
func (r *rig) creates() (accepted, calls int) {
	if o := r.sim.Stats().Operations["CreateUser"]; o != nil {
		calls = o.Calls
	}
	return len(r.sim.Ledger()), calls
}

// directory is a directory in memory.
type directory struct {
	mu     sync.Mutex
	people map[string]plan.Person
	log    map[string]bool   // people whose newest record is of their leaving
	cliffs map[string]string // by group: what happened to it as a whole
	scope  string
	asked  int // questions for evidence
	fail   error
	panics string                // the person whose reading panics
	refuse func(id string) error // what keeps a person from being read; nil: nothing does
}

func (d *directory) Evidence(_ context.Context, q reconcile.Question) (reconcile.Evidence, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return reconcile.Evidence{Confirmed: d.log[q.Person], Cliff: d.cliffs[q.Group]}, d.fail
}

func (d *directory) Scope(context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scope, nil
}

func (d *directory) Find(_ context.Context, ref string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.people {
		if p.ID == ref || p.Username == ref {
			return p.ID, nil
		}
	}
	return "", reconcile.ErrNotFound
}

func (d *directory) put(p plan.Person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people[p.ID] = p
}

func (d *directory) Person(_ context.Context, id string) (plan.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panics == id {
		panic("reading " + id)
	}
	if d.fail != nil {
		return plan.Person{}, d.fail
	}
	if d.refuse != nil {
		if err := d.refuse(id); err != nil {
			return plan.Person{}, err
		}
	}
	p, ok := d.people[id]
	if !ok {
		return plan.Person{}, reconcile.ErrNotFound
	}
	return p, nil
}

func (d *directory) People(context.Context) iter.Seq2[plan.Person, error] {
	return func(yield func(plan.Person, error) bool) {
		d.mu.Lock()
		people, fail := d.people, d.fail
		d.mu.Unlock()
		for _, p := range people {
			if !yield(p, nil) {
				return
			}
		}
		if fail != nil {
			yield(plan.Person{}, fail)
		}
	}
}
