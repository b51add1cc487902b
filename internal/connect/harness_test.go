package connect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deployment = "test"

// world is a simulated instance behind a real server, and the adapter before it.
type world struct {
	*Instance
	sim   *simconnect.Instance
	url   string
	calls *tally
}

// open starts a world without request rates on either side, but for what the
// two functions change. Either may be nil.
func open(t testing.TB, settings func(*simconnect.Settings), config func(*Config)) *world {
	t.Helper()
	s := simconnect.DefaultSettings()
	s.Limit = simconnect.Limit{}
	s.RequireSignature = true
	if settings != nil {
		settings(&s)
	}
	sim, err := simconnect.New(simconnect.Config{Settings: &s})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	w := &world{sim: sim, url: server.URL, calls: new(tally)}
	w.Instance = w.another(t, config)
	return w
}

// another makes one more adapter before the same simulator.
func (w *world) another(t testing.TB, config func(*Config)) *Instance {
	t.Helper()
	cfg := configFor(w.url)
	cfg.Instance, cfg.Observe = w.sim.ID(), w.calls.add
	if config != nil {
		config(&cfg)
	}
	i, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func configFor(url string) Config {
	return Config{
		Instance:      "11111111-2222-3333-4444-555555555555",
		Region:        "eu-central-1",
		Deployment:    deployment,
		Rate:          math.Inf(1),
		Endpoint:      url,
		AllowLoopback: true,
		Credentials:   credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
}

// creation is a change that a new instance accepts.
func (w *world) creation(person, username string) plan.Change {
	return plan.Change{Action: plan.Create, Person: person, Reason: "in group Agents", After: &plan.Agent{
		Username:         username,
		FirstName:        "Ana",
		LastName:         "Díaz",
		RoutingProfile:   w.sim.RoutingProfileID("Basic Routing Profile"),
		SecurityProfiles: []string{w.sim.SecurityProfileID("Agent")},
		Phone:            plan.Phone{Type: plan.SoftPhone, AfterContactWork: 30},
		Owner:            person,
		Deployment:       deployment,
		State:            plan.StateActive,
	}}
}

// asRead is an agent as it is read after it was written: channels of which
// nothing was said take contacts as a new agent does, with the after-contact work
// of voice.
func asRead(a plan.Agent, id string) plan.Agent {
	a.ID = id
	channels := map[plan.Channel]plan.Handled{}
	for _, c := range []plan.Channel{plan.Chat, plan.Task, plan.Email} {
		handled, said := a.Channels[c]
		if !said {
			handled.AfterContactWork = a.Phone.AfterContactWork
		}
		channels[c] = handled
	}
	a.Channels = channels
	return a
}

func (w *world) mustCreate(t testing.TB, person, username string) string {
	t.Helper()
	id, err := w.Apply(context.Background(), w.creation(person, username))
	if err != nil {
		t.Fatalf("create the agent of %s: %v", person, err)
	}
	return id
}

// sent is how many calls of an operation have reached the simulator.
func (w *world) sent(operation string) int {
	if o := w.sim.Stats().Operations[operation]; o != nil {
		return o.Calls
	}
	return 0
}

// fault plans a fault that is met by every call of an operation.
func (w *world) fault(t testing.TB, f simconnect.Fault) {
	t.Helper()
	if err := w.sim.AddFaults(f); err != nil {
		t.Fatal(err)
	}
}

// arriving is a transport that ends a call whose time is over only when it has come: on a
// busy machine that may last longer.
type arriving struct {
	http.RoundTripper
	come func() bool
}

func (a arriving) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(r.Context()))
	defer end()
	context.AfterFunc(r.Context(), func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !a.come() && ctx.Err() == nil {
			<-tick.C
		}
		end()
	})
	patient := r.WithContext(ctx)
	patient.Cancel = nil //nolint:staticcheck // an http.Client with a Timeout sets it
	resp, err := a.RoundTripper.RoundTrip(patient)
	if err != nil {
		if ctx.Err() != nil {
			err = r.Context().Err()
		}
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// tally keeps what Observe was told.
type tally struct {
	mu    sync.Mutex
	calls []Call
}

func (y *tally) add(c Call) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.calls = append(y.calls, c)
}

func (y *tally) all() []Call {
	y.mu.Lock()
	defer y.mu.Unlock()
	return append([]Call(nil), y.calls...)
}

// class names the class of an error as the engine sees it.
func class(err error) string {
	wait, waits := reconcile.AsAfter(err)
	switch {
	case err == nil:
		return "none"
	case errors.Is(err, reconcile.ErrTaken):
		return "taken"
	case errors.Is(err, reconcile.ErrNotFound):
		return "not found"
	case reconcile.IsTerminal(err):
		return "terminal"
	case waits:
		return fmt.Sprintf("after %v", wait)
	}
	return "unknown"
}
