package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// stub is an adapter before a server that says what a simulator would not.
func stub(t testing.TB, handler http.HandlerFunc) *Instance {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	i, err := New(t.Context(), configFor(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// collect reads a list to its end, and sees to it that nothing follows an error.
func collect(t testing.TB, i *Instance) ([]plan.Agent, error) {
	t.Helper()
	var agents []plan.Agent
	var failed error
	for a, err := range i.Agents(t.Context(), nil) {
		if failed != nil {
			t.Errorf("something follows the error: %v, %v", a, err)
		}
		if failed = err; err == nil {
			agents = append(agents, a)
		}
	}
	return agents, failed
}

func TestAgentsPaging(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 499, 500, 501, 1001} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
			for k := range n + 10 {
				a := simconnect.Agent{Username: fmt.Sprintf("agent%d", k)}
				switch {
				case k < n:
					a.Tags = map[string]string{tagDeployment: deployment, tagOwner: fmt.Sprintf("00u%d", k)}
				case k%2 == 0:
					a.Tags = map[string]string{tagDeployment: "staging", tagOwner: "00u0"}
				}
				if _, err := w.sim.AddAgent(a); err != nil {
					t.Fatal(err)
				}
			}
			agents, err := collect(t, w.Instance)
			if err != nil {
				t.Fatal(err)
			}
			owners := make(map[string]bool)
			for _, a := range agents {
				if a.Deployment != deployment {
					t.Errorf("agent of %q", a.Deployment)
				}
				owners[a.Owner] = true
			}
			if len(agents) != n || len(owners) != n {
				t.Errorf("%d agents of %d owners, want %d", len(agents), len(owners), n)
			}
			if pages := w.sent("SearchUsers"); pages != max(1, (n+499)/500) {
				t.Errorf("%d calls", pages)
			}
		})
	}
}

func TestAgentsStopEarly(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	for n := range 3 {
		w.mustCreate(t, fmt.Sprintf("00u%d", n), fmt.Sprintf("agent%d", n))
	}
	for _, err := range w.Agents(t.Context(), nil) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

// A list is whole or an error, at whatever page it breaks.
func TestAgentsBroken(t *testing.T) {
	t.Parallel()
	faults := map[string]simconnect.Fault{
		"500":       {Status: 500},
		"truncated": {Kind: simconnect.FaultTruncate},
		"page":      {Status: 200},
		"denied":    {Status: 403, Code: "AccessDeniedException"},
		"stale":     {Status: 400, Code: "InvalidRequestException"},
		"gone":      {Status: 404, Code: "ResourceNotFoundException"},
	}
	for name, f := range faults {
		for page := 1; page <= 3; page++ {
			t.Run(fmt.Sprintf("%s/page %d", name, page), func(t *testing.T) {
				t.Parallel()
				w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
				for k := range 1001 {
					a := simconnect.Agent{Username: fmt.Sprintf("agent%d", k), Tags: map[string]string{tagDeployment: deployment}}
					if _, err := w.sim.AddAgent(a); err != nil {
						t.Fatal(err)
					}
				}
				f := f
				f.Operation, f.Nth, f.Times = "SearchUsers", page, -1
				w.fault(t, f)
				agents, err := collect(t, w.Instance)
				if err == nil {
					t.Errorf("%d agents look like all of them", len(agents))
				}
			})
		}
	}
}

// A fault that passes is got over.
func TestReadsRetried(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simconnect.Fault{
		"500":       {Status: 500},
		"503":       {Status: 503},
		"reset":     {Kind: simconnect.FaultReset},
		"truncated": {Kind: simconnect.FaultTruncate},
		"page":      {Status: 200},
		"throttled": {Status: 429, Code: "ThrottlingException"},
		"too many":  {Status: 429, Code: "TooManyRequestsException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil, nil)
			id := w.mustCreate(t, "00u1", "ana")
			for _, operation := range []string{"DescribeUser", "SearchUsers", "ListRoutingProfiles"} {
				f.Operation = operation
				w.fault(t, f)
			}
			if _, err := w.Agent(t.Context(), id); err != nil {
				t.Error(err)
			}
			if agents, err := collect(t, w.Instance); err != nil || len(agents) != 1 {
				t.Errorf("%d agents: %v", len(agents), err)
			}
			if _, err := w.Catalog(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// pages answers SearchUsers with one body after the other, by the token asked
// for.
func pages(bodies map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ NextToken string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, bodies[in.NextToken])
	}
}

func row(id string) string {
	return fmt.Sprintf(`{"Id":%q,"Username":%q,"Tags":{"connectroster:deployment":"test"}}`, id, id)
}

func TestAgentsOddAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bodies map[string]string
		want   []string
		fails  string
	}{
		"token comes again at once": {
			bodies: map[string]string{"": `{"Users":[` + row("a") + `],"NextToken":"x"}`, "x": `{"Users":[],"NextToken":"x"}`},
			fails:  "circle",
		},
		"tokens go round": {
			bodies: map[string]string{"": `{"Users":[],"NextToken":"x"}`, "x": `{"Users":[],"NextToken":"y"}`, "y": `{"Users":[],"NextToken":"x"}`},
			fails:  "circle",
		},
		"rows come twice": {
			bodies: map[string]string{"": `{"Users":[` + row("a") + `,` + row("b") + `],"NextToken":"x"}`, "x": `{"Users":[` + row("b") + `,` + row("c") + `]}`},
			want:   []string{"a", "b", "c"},
		},
		"an empty page in between": {
			bodies: map[string]string{"": `{"Users":[` + row("a") + `],"NextToken":"x"}`, "x": `{"Users":[],"NextToken":"y"}`, "y": `{"Users":[` + row("b") + `],"NextToken":""}`},
			want:   []string{"a", "b"},
		},
		"agents of others": {
			bodies: map[string]string{"": `{"Users":[{"Id":"z","Username":"z"},{"Id":"y","Username":"y","Tags":{"connectroster:deployment":"Test"}},` + row("a") + `]}`},
			want:   []string{"a"},
		},
		"nothing at all": {bodies: map[string]string{"": `{}`}, fails: "neither"},
		"null":           {bodies: map[string]string{"": `null`}, fails: "neither"},
		"none":           {bodies: map[string]string{"": `{"Users":[]}`}},
		"no id":          {bodies: map[string]string{"": `{"Users":[{"Username":"a"}]}`}, fails: "without an id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agents, err := collect(t, stub(t, pages(c.bodies)))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%d agents, %v", len(agents), err)
				}
				return
			}
			var got []string
			for _, a := range agents {
				got = append(got, a.ID)
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	blank := make([]byte, 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	client, err := httpClient(Config{AllowLoopback: true, Timeout: time.Minute}, nil, &server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); !ok || n != maxAnswer {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if v := retryable(&smithy.DeserializationError{Err: err}); v != aws.FalseTernary {
		t.Errorf("such an answer is asked for again: %v", v)
	}
}

func TestAgent(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	bare, err := w.sim.AddAgent(simconnect.Agent{Username: "by.hand"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Agent(t.Context(), bare.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Owner != "" || got.Deployment != "" || got.State != "" || got.Username != "by.hand" {
		t.Errorf("agent %+v", got)
	}
	if _, err := w.Agent(t.Context(), "11111111-1111-1111-1111-111111111111"); class(err) != "not found" {
		t.Errorf("class %s: %v", class(err), err)
	}
	w.fault(t, simconnect.Fault{Operation: "DescribeUser", Status: 404, Times: -1}) // a page, not an answer
	if _, err := w.Agent(t.Context(), bare.ID); class(err) != "unknown" {
		t.Errorf("class %s: %v", class(err), err)
	}
}

func TestAgentWithoutPhone(t *testing.T) {
	t.Parallel()
	i := stub(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"User":{"Id":"a","Username":"ana","SecurityProfileIds":["2","1"],"IdentityInfo":{"FirstName":"Ame\u0301lie"}}}`)
	})
	got, err := i.Agent(t.Context(), "a")
	want := plan.Agent{ID: "a", Username: "ana", FirstName: "Am\u00e9lie", SecurityProfiles: []string{"1", "2"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestHolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		search string   // what the instance's search says of case
		have   []string // usernames, each agent owned by the name
		ask    string
		want   string // owner; empty: not found
	}{
		{simconnect.Insensitive, []string{"ana@example.com"}, "ana@example.com", "ana@example.com"},
		{simconnect.Insensitive, []string{"aNa@example.com"}, "ana@example.com", "aNa@example.com"},
		{simconnect.Insensitive, []string{"ANA", "ana"}, "ana", "ana"},
		{simconnect.Insensitive, []string{"ana", "ANA"}, "ANA", "ANA"},
		{simconnect.Insensitive, []string{"ana.maria"}, "ana", ""},
		{simconnect.Insensitive, nil, "ana", ""},
		{simconnect.Sensitive, []string{"ana@example.com"}, "ana@example.com", "ana@example.com"},
		{simconnect.Sensitive, []string{"ana@example.com"}, "Ana@Example.com", "ana@example.com"},
		{simconnect.Sensitive, []string{"ANA"}, "ana", "ANA"},
		{simconnect.Sensitive, []string{"Ana.Diaz@example.com"}, "ana.diaz@example.com", "Ana.Diaz@example.com"},
		{simconnect.Sensitive, []string{"anA"}, "ana", ""}, // no search would show it
	} {
		t.Run(fmt.Sprintf("%s/%v/%s", c.search, c.have, c.ask), func(t *testing.T) {
			t.Parallel()
			w := open(t, func(s *simconnect.Settings) {
				s.SearchCase, s.UsernameCase = c.search, simconnect.Sensitive
			}, nil)
			for _, username := range c.have {
				w.mustCreate(t, username, username)
			}
			got, err := w.Holder(t.Context(), c.ask)
			if c.want == "" {
				if class(err) != "not found" {
					t.Errorf("%+v, class %s: %v", got, class(err), err)
				}
			} else if err != nil || got.Owner != c.want {
				t.Errorf("%+v: %v", got, err)
			}
			if n := w.sent("SearchUsers"); n > 2 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// A service that does not take the second search is as good as one that finds
// nobody by it.
func TestHolderSecondSearchRefused(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	w.fault(t, simconnect.Fault{Operation: "SearchUsers", Nth: 2, Status: 400, Code: "InvalidParameterException"})
	if _, err := w.Holder(t.Context(), "ana"); class(err) != "not found" {
		t.Errorf("class %s: %v", class(err), err)
	}
}

// What could not be asked is not "not found".
func TestHolderFails(t *testing.T) {
	t.Parallel()
	for nth := 1; nth <= 2; nth++ {
		w := open(t, nil, nil)
		w.fault(t, simconnect.Fault{Operation: "SearchUsers", Nth: nth, Times: -1, Status: 500})
		if _, err := w.Holder(t.Context(), "ana"); class(err) != "unknown" {
			t.Errorf("call %d: class %s: %v", nth, class(err), err)
		}
	}
}

func TestReadsInterrupted(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"agent":   func() error { _, err := w.Agent(ctx, "x"); return err },
		"holder":  func() error { _, err := w.Holder(ctx, "x"); return err },
		"catalog": func() error { _, err := w.Catalog(ctx); return err },
		"check":   func() error { _, err := w.Check(ctx); return err },
		"agents": func() error {
			for _, err := range w.Agents(ctx, nil) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.sim.Stats().Calls; n != 0 {
		t.Errorf("%d calls were made", n)
	}
}
