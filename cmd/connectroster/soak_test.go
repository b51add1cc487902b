package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// TestSoak lets a daemon live for a while, ten minutes in a full run (P-63): people
// join, move, leave, are suspended and come back, deliveries are lost and come twice,
// both vendors fail now and then, operators ask, and strangers call. After each round
// it is measured at rest. What it holds at the end is what it held at the beginning.
// TestDay in internal/app plays a whole day.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short leaves out what lasts")
	}
	t.Parallel()
	length := time.Duration(fraction(t, 25, 600)) * time.Second
	if text := os.Getenv("CONNECTROSTER_SOAK"); text != "" { // such as 1h: the longer, the more exact is the slope
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("CONNECTROSTER_SOAK: %v", err)
		}
	}
	s := newSoak(t)
	if length > 15*time.Minute {
		s.every = 250 * time.Millisecond // the guard lets nobody take more than 1,000 agents away in an hour
	}
	var held []holding
	for began := time.Now(); time.Since(began) < length || len(held) < 16; {
		s.round()
		h := s.measure()
		h.after = time.Since(began)
		held = append(held, h)
	}
	s.lived()
	s.flat(held)
	s.daemon.stop()
}

// soak is a world in which much happens, and the daemon in it.
type soak struct {
	*world
	daemon    *child
	people    []simokta.User
	client    *http.Client
	random    *rand.Rand
	strangers int
	rounds    int
	every     time.Duration // between two things that happen
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	// The guard is not what this is about.
	s := &soak{world: newWorld(t, setup{life: true, config: "guard: {status_count: 1000, group_count: 1000, long_count: 1000, move_count: 1000, short: 1m, long: 1h, i_understand: true}\n"})}
	s.every = 20 * time.Millisecond
	s.random, s.client = rand.New(rand.NewPCG(1, 2)), client(t, 10*time.Second)
	s.must(s.org.Configure(func(c *simokta.Settings) {
		c.DropRate, c.DuplicateRate, c.Reorder, c.DailyCap = 0.1, 0.2, true, -1
		c.RateLimits = map[string]int{}
		for _, class := range []string{"apps", "apps/{id}", "groups", "groups/{id}", "users", "users/{id}", "logs", "other"} {
			c.RateLimits[class] = 1_000_000
		}
	}))
	_, err := s.org.AddGroup("Connect Queue Sales")
	s.must(err)
	for n := range 60 {
		u := s.hire(n)
		s.join(u)
		s.people = append(s.people, u)
	}
	s.daemon = s.started()
	s.subscribe("user.lifecycle.suspend", "user.lifecycle.unsuspend", "user.account.update_profile")
	eventually(t, patience, func() error {
		if n := len(s.instance.Agents()); n != len(s.people) {
			return fmt.Errorf("%d agents for %d people", n, len(s.people))
		}
		return nil
	})
	s.must(s.org.AddFaults(
		simokta.Fault{Endpoint: "GET", Every: 101, Times: -1, Status: http.StatusBadGateway},
		simokta.Fault{Endpoint: "GET", Every: 211, Times: -1, Kind: simokta.FaultReset},
		simokta.Fault{Endpoint: "GET", Every: 307, Times: -1, Kind: simokta.FaultTruncate},
	))
	s.must(s.instance.AddFaults(
		simconnect.Fault{Every: 53, Times: -1, Kind: simconnect.FaultReset},
		simconnect.Fault{Every: 71, Times: -1, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException"},
		simconnect.Fault{Every: 89, Times: -1, Kind: simconnect.FaultTruncate, Commit: true},
	))
	return s
}

// round is about half a second of life, or more in a long one.
func (s *soak) round() {
	s.t.Helper()
	s.rounds++
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for n := range 25 {
		<-tick.C
		s.happen()
		s.knock(n)
	}
	s.operate()
}

// happen changes something about somebody.
func (s *soak) happen() {
	s.t.Helper()
	u, err := s.org.User(s.people[s.random.IntN(len(s.people))].ID)
	s.must(err)
	in := func(group string) {
		if slices.Contains(u.Groups, group) {
			s.must(s.org.Leave(u.ID, group))
		} else {
			s.must(s.org.Join(u.ID, group))
		}
	}
	switch s.random.IntN(5) {
	case 0, 1:
		in(agentGroup)
	case 2:
		in("Connect Queue Sales")
	case 3:
		s.must(s.org.UpdateProfile(u.ID, map[string]any{"firstName": fmt.Sprintf("First%d", s.random.IntN(1000))}))
	case 4:
		if u.Status == "SUSPENDED" {
			s.must(s.org.Unsuspend(u.ID))
		} else {
			s.must(s.org.Suspend(u.ID))
		}
	}
}

// knock calls the hook as others would: about people who are nobody's, without the
// secret, and by halves. There are 200 of them, since the database keeps a row of each.
func (s *soak) knock(n int) {
	s.t.Helper()
	s.strangers++
	body := delivery(arrival(s.strangers % 200))
	if n%3 == 0 {
		if status, err := s.deliver(s.t.Context(), s.client, body); err != nil || status != http.StatusNoContent {
			s.t.Errorf("a delivery was answered %d, %v", status, err)
		}
	}
	if status, _, err := call(http.MethodPost, s.url(), []string{"Authorization: not-" + hookSecret}, body); err != nil || status != http.StatusUnauthorized {
		s.t.Errorf("a delivery without the secret was answered %d, %v", status, err)
	}
	if n%5 == 0 {
		conn, err := net.Dial("tcp", s.listen)
		s.must(err)
		_, _ = io.WriteString(conn, "POST /hooks/okta HTTP/1.1\r\nHost: x\r\nAuthorization: "+hookSecret+"\r\nContent-Length: 100\r\n\r\n{")
		s.must(conn.Close())
	}
}

// operate asks what people and their programs ask, and goes away before an answer.
func (s *soak) operate() {
	s.t.Helper()
	for _, path := range []string{"/v1/people", "/v1/people/" + s.people[0].ID, "/v1/journal?limit=50", "/v1/holds", "/v1/dead"} {
		s.api(http.MethodGet, path)
	}
	for _, path := range []string{"POST /v1/plan", "GET /v1/backup"} {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(s.random.IntN(20))*time.Millisecond)
		method, path, _ := strings.Cut(path, " ")
		s.leaving(ctx, method, path)
		cancel()
	}
	if s.rounds%4 == 0 {
		s.api(http.MethodPost, "/v1/sweep")
	}
	if s.rounds%8 == 0 {
		command := s.run(nil, program(s.t), "holds", "--config", s.file())
		command.wait(patience)
		if code := command.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("the command holds ended with %d", code)
		}
	}
}

// leaving asks the socket and does not wait for the answer for longer than ctx lasts.
func (s *soak) leaving(ctx context.Context, method, path string) {
	s.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket())
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://socket"+path, strings.NewReader("{}"))
	s.must(err)
	if resp, err := transport.RoundTrip(req); err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 1000)
		_ = resp.Body.Close()
	}
}

// holding is what a process holds when it rests.
type holding struct {
	after      time.Duration
	goroutines float64
	files      float64
	heap       float64 // MiB at which memory is collected next: twice what is alive
	resident   float64 // MiB
}

// measure waits until the daemon rests, and looks at what it holds.
func (s *soak) measure() (h holding) {
	s.t.Helper()
	s.idle()
	eventually(s.t, patience, func() error {
		var status struct {
			Backlog struct{ Due, Working int }
			Sweep   struct{ Running *struct{} }
		}
		s.must(json.Unmarshal([]byte(s.api(http.MethodGet, "/v1/status")), &status))
		if status.Backlog.Due+status.Backlog.Working > 0 || status.Sweep.Running != nil {
			return fmt.Errorf("it does not rest: %+v", status)
		}
		return nil
	})
	s.client.CloseIdleConnections()
	s.hangUp()
	// It may read the System Log just now, and connections take a moment to end.
	h.goroutines, h.files = math.Inf(1), math.Inf(1)
	for range 10 {
		h.goroutines = min(h.goroutines, s.metric("go_goroutines"))
		h.files = min(h.files, float64(openFiles(s.t, s.daemon.cmd.Process.Pid)))
		<-time.After(20 * time.Millisecond)
	}
	const mib = 1 << 20
	h.heap = s.metric("go_memstats_next_gc_bytes") / mib
	h.resident, _ = memory(s.t, s.daemon.cmd.Process.Pid)
	return h
}

// metric sums a metric of the daemon over its labels.
func (s *soak) metric(name string) (sum float64) {
	s.t.Helper()
	status, text, err := call(http.MethodGet, "http://"+s.admin+"/metrics", nil, nil)
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("the metrics: status %d, %v", status, err)
	}
	found := false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "{") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndex(rest, " "):]), 64)
		s.must(err)
		sum, found = sum+value, true
	}
	if !found {
		s.t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// lived checks that there was a life.
func (s *soak) lived() {
	s.t.Helper()
	rounds := float64(s.rounds)
	for name, least := range map[string]float64{
		"connectroster_looks_total":             10 * rounds,
		"connectroster_changes_total":           3 * rounds,
		"connectroster_hook_requests_total":     25 * rounds,
		"connectroster_catch_up_requests_total": 1,
		"connectroster_okta_failures_total":     1,
		"connectroster_connect_failures_total":  1,
		"connectroster_connect_throttled_total": 1,
	} {
		n := s.metric(name)
		if n < least {
			s.t.Errorf("%s is %g, so this shows little", name, n)
		}
		s.t.Logf("%s %g", name, n)
	}
}

// flat compares the first third of the time, after a warm-up, with the last. What is
// allowed beyond are requests that are under way, of which there are more or fewer.
func (s *soak) flat(held []holding) {
	s.t.Helper()
	for i := 0; i < len(held); i += max(1, len(held)/12) {
		h := held[i]
		s.t.Logf("%s: %g goroutines, %g files, heap %.1f MiB, resident %.1f MiB", h.after.Round(time.Second), h.goroutines, h.files, h.heap, h.resident)
	}
	warm := held[len(held)/4:]
	third := len(warm) / 3
	for name, of := range map[string]struct {
		value func(holding) float64
		slack func(first float64) float64
	}{
		"goroutines": {func(h holding) float64 { return h.goroutines }, func(float64) float64 { return 5 }},
		"open files": {func(h holding) float64 { return h.files }, func(float64) float64 { return 5 }},
		"MiB heap":   {func(h holding) float64 { return h.heap }, func(first float64) float64 { return 1 + first/4 }},
	} {
		// What is held for good is held at the quietest moment too.
		first, last := quietest(warm[:third], of.value), quietest(warm[len(warm)-third:], of.value)
		s.t.Logf("%s: the least is %.1f in the first third and %.1f in the last", name, first, last)
		if last > first+of.slack(first) {
			s.t.Errorf("%s grew from %.1f to %.1f", name, first, last)
		}
	}
	if !full() && os.Getenv("CONNECTROSTER_SOAK") == "" {
		return
	}
	slope, give := trend(warm)
	s.t.Logf("resident memory: %+.1f MiB an hour, give or take %.1f; %.1f MiB in the first third and %.1f in the last", slope, give,
		median(warm[:third], func(h holding) float64 { return h.resident }), median(warm[len(warm)-third:], func(h holding) float64 { return h.resident }))
	if slope-give > 1 {
		s.t.Errorf("resident memory grows by at least %.1f MiB an hour", slope-give)
	}
}

func quietest(held []holding, of func(holding) float64) float64 {
	out := of(held[0])
	for _, h := range held {
		out = min(out, of(h))
	}
	return out
}

func median(held []holding, of func(holding) float64) float64 {
	var values []float64
	for _, h := range held {
		values = append(values, of(h))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// trend fits a line to the least resident memory of each half a minute, which is least
// after memory was collected. It gives the slope in MiB an hour, and twice its standard
// error.
func trend(held []holding) (slope, give float64) {
	least := map[int]float64{}
	for _, h := range held {
		at := int(h.after / (30 * time.Second))
		if v, ok := least[at]; !ok || h.resident < v {
			least[at] = h.resident
		}
	}
	n := float64(len(least))
	var x, y, xx, xy float64
	for at, v := range least {
		x, y = x+float64(at)/n, y+v/n
	}
	for at, v := range least {
		xx, xy = xx+(float64(at)-x)*(float64(at)-x), xy+(float64(at)-x)*(v-y)
	}
	var rest float64
	for at, v := range least {
		off := v - y - xy/xx*(float64(at)-x)
		rest += off * off
	}
	const anHour = 120 // of half a minute
	return anHour * xy / xx, anHour * 2 * math.Sqrt(rest/(n-2)/xx)
}
