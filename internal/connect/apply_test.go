package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	change := w.creation("00u1", "Ana.Diaz@example.com")
	change.After.Phone.AutoAccept = true
	id, err := w.Apply(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	want := asRead(*change.After, id)
	got, err := w.Agent(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the agent differs (-want +got):\n%s", diff)
	}
	for got, err := range w.Agents(t.Context(), nil) {
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("the agent in the list differs: %v (-want +got):\n%s", err, diff)
		}
	}
	stored, _ := w.sim.Agent(id)
	tags := map[string]string{"connectroster:owner": "00u1", "connectroster:deployment": deployment, "connectroster:state": "active"}
	if diff := cmp.Diff(tags, stored.Tags); diff != "" {
		t.Errorf("the tags differ (-want +got):\n%s", diff)
	}
	if stored.IdentityInfo.Email != "" {
		t.Error("an e-mail address was sent to a SAML instance")
	}
	if n := w.sent("CreateUser"); n != 1 {
		t.Errorf("%d calls for one agent", n)
	}
	if calls := w.sim.Stats().Calls; calls != 3 {
		t.Errorf("%d calls altogether, want create, describe, search", calls)
	}
}

func TestCreateTwice(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	w.mustCreate(t, "00u1", "ana@example.com")
	for _, username := range []string{"ana@example.com", "ANA@example.com"} {
		if _, err := w.Apply(t.Context(), w.creation("00u2", username)); class(err) != "taken" {
			t.Errorf("create %s again: %s: %v", username, class(err), err)
		}
	}
	if n := len(w.sim.Agents()); n != 1 {
		t.Errorf("%d agents", n)
	}
}

func TestCreateComposesNames(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	change := w.creation("00u1", "ana")
	change.After.FirstName = "Ame\u0301lie"               // decomposed
	change.After.LastName = strings.Repeat("\u0958", 300) // grows when normalised
	id, err := w.Apply(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := w.sim.Agent(id)
	if a.IdentityInfo.FirstName != "Am\u00e9lie" {
		t.Errorf("first name is %+q", a.IdentityInfo.FirstName)
	}
	if want := strings.Repeat("\u0915\u093c", 150); a.IdentityInfo.LastName != want {
		t.Errorf("last name is %+q", a.IdentityInfo.LastName)
	}
}

// Whatever happens to the answer of a creation, the creation is sent once, its
// outcome is called unknown, and a search tells whether the agent is there.
func TestCreateUnknownOutcome(t *testing.T) {
	t.Parallel()
	faults := map[string]simconnect.Fault{
		"500":       {Kind: simconnect.FaultStatus, Status: 500},
		"502":       {Kind: simconnect.FaultStatus, Status: 502},
		"503":       {Kind: simconnect.FaultStatus, Status: 503},
		"504":       {Kind: simconnect.FaultStatus, Status: 504},
		"404 page":  {Kind: simconnect.FaultStatus, Status: 404},
		"409 page":  {Kind: simconnect.FaultStatus, Status: 409},
		"200 page":  {Kind: simconnect.FaultStatus, Status: 200},
		"redirect":  {Kind: simconnect.FaultStatus, Status: 307},
		"reset":     {Kind: simconnect.FaultReset},
		"truncated": {Kind: simconnect.FaultTruncate},
		"timeout":   {Kind: simconnect.FaultDelay, Delay: time.Hour},
	}
	for name, f := range faults {
		for _, commit := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/commit=%v", name, commit), func(t *testing.T) {
				t.Parallel()
				w := open(t, nil, nil)
				f := f
				f.Operation, f.Commit = "CreateUser", commit
				w.fault(t, f)
				creator := w.Instance
				if f.Kind == simconnect.FaultDelay {
					come := func() bool { return w.sim.Faults()[0].Struck > 0 && (!commit || len(w.sim.Ledger()) > 0) }
					creator = w.another(t, func(c *Config) {
						c.Timeout, c.HTTPClient = 100*time.Millisecond, &http.Client{Transport: arriving{http.DefaultTransport, come}}
					})
				}
				_, err := creator.Apply(t.Context(), w.creation("00u1", "ana"))
				if class(err) != "unknown" {
					t.Errorf("class %s: %v", class(err), err)
				}
				if n := w.sent("CreateUser"); n != 1 {
					t.Errorf("sent %d times", n)
				}
				holder, err := w.Holder(t.Context(), "ana")
				switch {
				case commit && (err != nil || holder.Owner != "00u1"):
					t.Errorf("the agent is there but was not found: %+v, %v", holder, err)
				case !commit && class(err) != "not found":
					t.Errorf("the agent is not there, yet: %+v, %v", holder, err)
				}
			})
		}
	}
}

func TestCreateWithoutUserID(t *testing.T) {
	t.Parallel()
	i := stub(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"UserArn":"arn:x"}`)) })
	w := open(t, nil, nil)
	if _, err := i.Apply(t.Context(), w.creation("00u1", "ana")); class(err) != "unknown" {
		t.Errorf("class %s: %v", class(err), err)
	}
}

func TestCreateErrorClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		want   string
	}{
		{400, "InvalidRequestException", "terminal"},
		{400, "InvalidParameterException", "terminal"},
		{400, "SerializationException", "terminal"},
		{404, "UnknownOperationException", "terminal"},
		{404, "ResourceNotFoundException", "after 30s"},
		{409, "DuplicateResourceException", "taken"},
		{409, "ResourceConflictException", "unknown"},
		{429, "ThrottlingException", "after 1s"},
		{429, "TooManyRequestsException", "after 1s"},
		{429, "SomethingNewException", "after 1s"},
		{400, "ThrottlingException", "after 1s"},
		{429, "", "after 1s"},
		{429, "LimitExceededException", "after 15m0s"},
		{402, "ServiceQuotaExceededException", "after 15m0s"},
		{403, "AccessDeniedException", "after 50s"},
		{403, "ExpiredTokenException", "after 50s"},
		{400, "ExpiredTokenException", "after 50s"},
		{403, "UnrecognizedClientException", "after 50s"},
		{403, "InvalidSignatureException", "after 50s"},
		{403, "", "after 50s"},
		{500, "InternalServiceException", "unknown"},
		{503, "ServiceUnavailableException", "unknown"},
		{408, "RequestTimeoutException", "unknown"},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			t.Parallel()
			w := open(t, nil, nil)
			w.fault(t, simconnect.Fault{Operation: "CreateUser", Status: c.status, Code: c.code, Message: "it said no", Times: -1})
			_, err := w.Apply(t.Context(), w.creation("00u1", "ana"))
			if class(err) != c.want {
				t.Errorf("class %s, want %s: %v", class(err), c.want, err)
			}
			if c.code != "" && (!strings.Contains(err.Error(), c.code) || !strings.Contains(err.Error(), "it said no")) {
				t.Errorf("the error hides what the service said: %v", err)
			}
			if n := w.sent("CreateUser"); n != 1 {
				t.Errorf("sent %d times", n)
			}
			throttled := c.want == "after 1s"
			if calls := w.calls.all(); len(calls) != 1 || calls[0].Status != c.status || calls[0].Code != c.code || !calls[0].Failed || calls[0].Throttled != throttled {
				t.Errorf("observed %+v", calls)
			}
		})
	}
}

func TestCreateThrottled(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ThrottlingException", "TooManyRequestsException"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := open(t, func(s *simconnect.Settings) {
				s.Limits = map[string]simconnect.Limit{"CreateUser": {Rate: 0.001, Burst: 1}}
				s.ThrottleCode = code
			}, nil)
			clocks := &twoClocks{day: time.Now()} // which stand still, or a busy machine would let the pause go by
			w.limiter("CreateUser").watch.read = func() (time.Time, time.Duration) { return clocks.day, clocks.process }
			w.mustCreate(t, "00u1", "ana")
			if _, err := w.Apply(t.Context(), w.creation("00u2", "ben")); class(err) != "after 1s" {
				t.Errorf("class %s: %v", class(err), err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			defer cancel()
			_, err := w.Apply(ctx, w.creation("00u3", "cem"))
			if wait, ok := reconcile.AsAfter(err); !ok || wait <= 0 || wait > time.Second {
				t.Errorf("the next creation was not held back: %v", err)
			}
			if n := w.sent("CreateUser"); n != 2 {
				t.Errorf("sent %d times", n)
			}
			if _, err := w.Catalog(t.Context()); err != nil {
				t.Errorf("another operation is held back too: %v", err)
			}
		})
	}
}

func TestCreateQuota(t *testing.T) {
	t.Parallel()
	w := open(t, func(s *simconnect.Settings) { s.Quota = 1 }, nil)
	w.mustCreate(t, "00u1", "ana")
	_, err := w.Apply(t.Context(), w.creation("00u2", "ben"))
	if class(err) != "after 15m0s" || !strings.Contains(err.Error(), "quota") {
		t.Errorf("class %s: %v", class(err), err)
	}
	if n := w.sent("CreateUser"); n != 2 {
		t.Errorf("sent %d times", n)
	}
	if err := w.sim.ChangeSettings(func(s *simconnect.Settings) { s.Quota = 2 }); err != nil {
		t.Fatal(err)
	}
	w.mustCreate(t, "00u2", "ben") // not paused: a full instance is no throttle
}

// A profile that went away since the catalog was read makes the catalog be read
// again.
func TestCreateProfileGone(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	night, err := w.sim.AddRoutingProfile("Night")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := w.Catalog(t.Context()); err != nil || c.RoutingProfiles["Night"] != night {
		t.Fatalf("catalog %v, %v", c, err)
	}
	if err := w.sim.RemoveCatalogEntry(night); err != nil {
		t.Fatal(err)
	}
	change := w.creation("00u1", "ana")
	change.After.RoutingProfile = night
	if _, err := w.Apply(t.Context(), change); class(err) != "after 30s" {
		t.Errorf("class %s: %v", class(err), err)
	}
	if c, err := w.Catalog(t.Context()); err != nil || c.RoutingProfiles["Night"] != "" {
		t.Errorf("the catalog still offers what is gone: %v, %v", c, err)
	}
}

// No request that cannot succeed is sent.
func TestCreateChecksFirst(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	for name, spoil := range map[string]func(*plan.Change){
		"no agent":              func(c *plan.Change) { c.After = nil },
		"username too long":     func(c *plan.Change) { c.After.Username = strings.Repeat("a", 65) },
		"username of others":    func(c *plan.Change) { c.After.Username = "añá" },
		"no first name":         func(c *plan.Change) { c.After.FirstName = "" },
		"no routing profile":    func(c *plan.Change) { c.After.RoutingProfile = "" },
		"no security profile":   func(c *plan.Change) { c.After.SecurityProfiles = nil },
		"11 security profiles":  func(c *plan.Change) { c.After.SecurityProfiles = make([]string, 11) },
		"negative contact work": func(c *plan.Change) { c.After.Phone.AfterContactWork = -1 },
		"endless contact work":  func(c *plan.Change) { c.After.Phone.AfterContactWork = 2_000_001 },
		"no owner":              func(c *plan.Change) { c.After.Owner = "" },
		"another owner":         func(c *plan.Change) { c.After.Owner = "00u2" },
		"owner too long":        func(c *plan.Change) { c.Person = strings.Repeat("0", 257); c.After.Owner = c.Person },
		"another deployment":    func(c *plan.Change) { c.After.Deployment = "staging" },
		"no state":              func(c *plan.Change) { c.After.State = "" },
		"action of the future":  func(c *plan.Change) { c.Action = "promote" },
	} {
		change := w.creation("00u1", "ana")
		spoil(&change)
		if _, err := w.Apply(t.Context(), change); class(err) != "terminal" {
			t.Errorf("%s: class %s: %v", name, class(err), err)
		}
	}
	if n := w.sim.Stats().Calls; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestCreateInterrupted(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Apply(ctx, w.creation("00u1", "ana"))
	if class(err) != "after 0s" || !errors.Is(err, context.Canceled) {
		t.Errorf("class %s: %v", class(err), err)
	}
	if n := w.sim.Stats().Calls; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// Interrupted in the middle of the call, the outcome is unknown.
func TestCreateInterruptedHalfway(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan struct{})
	i := stub(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a server sees that its client is gone only after the body
		close(arrived)
		<-r.Context().Done()
	})
	go func() { <-arrived; cancel() }()
	_, err := i.Apply(ctx, w.creation("00u1", "ana"))
	if class(err) != "unknown" || !errors.Is(err, context.Canceled) {
		t.Errorf("class %s: %v", class(err), err)
	}
}

// Where no connection comes about, nothing was done and nobody is to blame.
func TestCreateUnreachable(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	i := w.another(t, func(c *Config) { c.Endpoint = "http://127.0.0.1:1" })
	if _, err := i.Apply(t.Context(), w.creation("00u1", "ana")); class(err) != "after 10s" {
		t.Errorf("class %s: %v", class(err), err)
	}
}

func TestCreateConcurrently(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			person := fmt.Sprintf("00u%d", n%32)
			id, err := w.Apply(t.Context(), w.creation(person, "agent-"+person))
			if err != nil && !errors.Is(err, reconcile.ErrTaken) {
				t.Errorf("create the agent of %s: %v", person, err)
				return
			}
			if _, err := w.Catalog(t.Context()); err != nil {
				t.Error(err)
			}
			if err != nil {
				return
			}
			if a, err := w.Agent(t.Context(), id); err != nil || a.Owner != person {
				t.Errorf("agent %s of %s: %+v, %v", id, person, a, err)
			}
		})
	}
	wg.Wait()
	if n := len(w.sim.Agents()); n != 32 {
		t.Errorf("%d agents for 32 people", n)
	}
	if n := w.sent("ListRoutingProfiles"); n != 1 {
		t.Errorf("the catalog was read %d times", n)
	}
}
