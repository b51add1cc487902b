package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFlood sends good and bad deliveries, a thousand a second of each (P-46).
// It runs alone, so that its figures mean something. What was acknowledged is
// there after a kill, memory stays in bounds, and nobody without the secret gets
// anything but 401.
func TestFlood(t *testing.T) {
	seconds := fraction(t, 5, 30)
	// Amazon Connect takes two a second, so that the people stay in the queue.
	w := newWorld(t, setup{rate: 2})
	daemon := w.started()
	pid := daemon.cmd.Process.Pid
	idle, _ := memory(t, pid)
	if idle >= 64 {
		t.Errorf("an idle daemon has %.1f MiB, want less than 64", idle)
	}
	resetPeak(t, pid)

	var acked sync.Map
	var bad tally
	good := new(tally)
	var floods sync.WaitGroup
	length := time.Duration(seconds) * time.Second
	began := time.Now()
	floods.Go(func() {
		c := client(t, 10*time.Second)
		flood(t.Context(), 1000, length, good, func(ctx context.Context, n int) (int, error) {
			e := arrival(n)
			status, err := w.post(ctx, c, delivery(e))
			if err == nil && status == http.StatusNoContent {
				acked.Store(e.person, true)
			}
			return status, err
		})
	})
	floods.Go(func() {
		c := client(t, 10*time.Second)
		body := delivery(arrival(1 << 20))
		flood(t.Context(), 1000, length, &bad, func(ctx context.Context, _ int) (int, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url(), bytes.NewReader(body))
			if err != nil {
				return 0, err
			}
			req.Header.Set("Authorization", "not-"+hookSecret)
			resp, err := c.Do(req)
			if err != nil {
				return 0, err
			}
			return resp.StatusCode, resp.Body.Close()
		})
	})
	floods.Wait()
	took := time.Since(began)
	_, peak := memory(t, pid)
	if peak > 256 {
		t.Errorf("the daemon had %.1f MiB at its peak, want at most 256", peak)
	}
	lines := strings.Count(daemon.output.String(), "without a valid secret")
	if lines > max(2*seconds, int(took/time.Second))+2 { // one line a second tells of them
		t.Errorf("%d log lines about %s of requests without a secret", lines, took)
	}
	daemon.kill()

	people := map[string]bool{}
	acked.Range(func(person, _ any) bool { people[person.(string)] = true; return true })
	w.holds(people)
	if w.stored()[arrival(1<<20).person] {
		t.Error("a delivery without the secret was stored")
	}
	for status := range good.by { // 0: the sender gave up, so nothing is promised
		if status != http.StatusNoContent && status != http.StatusServiceUnavailable && status != 0 {
			t.Errorf("good deliveries were answered %d", status)
		}
	}
	for status := range bad.by {
		if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable && status != 0 {
			t.Errorf("deliveries without the secret were answered %d", status)
		}
	}
	if len(people) == 0 || bad.by[http.StatusUnauthorized] == 0 {
		t.Error("nothing was answered, so this shows nothing")
	}
	t.Logf("good: %s", good)
	t.Logf("without the secret: %s", &bad)
	t.Logf("memory: %.1f MiB idle, %.1f MiB at the peak", idle, peak)
}

// tally counts answers and how long they took.
type tally struct {
	mu      sync.Mutex
	by      map[int]int // by status; 0: none
	took    []time.Duration
	elapsed time.Duration
}

func (a *tally) add(status int, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[int]int{}
	}
	a.by[status]++
	a.took = append(a.took, took)
}

func (a *tally) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.took)
	at := func(q float64) time.Duration {
		if len(a.took) == 0 {
			return 0
		}
		return a.took[int(q*float64(len(a.took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d in %s, by status %v, p50 %s, p99 %s, at most %s",
		len(a.took), a.elapsed.Round(time.Millisecond), a.by, at(0.5), at(0.99), at(1))
}

// flood sends so many a second for a while, whatever the answers are, but with
// at most 64 on the way. An answer that never came counts as status 0.
func flood(ctx context.Context, rate int, length time.Duration, a *tally, send func(ctx context.Context, n int) (int, error)) {
	began := time.Now()
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for {
				n := int(next.Add(1) - 1)
				due := began.Add(time.Duration(n) * time.Second / time.Duration(rate))
				if due.Sub(began) >= length || time.Since(began) >= 2*length {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(due)):
				}
				at := time.Now()
				status, _ := send(ctx, n) // 0 without an answer
				a.add(status, time.Since(at))
			}
		})
	}
	senders.Wait()
	a.elapsed = time.Since(began)
}

// news is one event of Okta, made here to send what no Okta would.
type news struct {
	uuid, kind, person, login, name string
	published                       time.Time
}

// arrival is the n-th person joining the group.
func arrival(n int) news {
	return news{
		uuid: fmt.Sprintf("%08d-0000-11f0-9a3c-0242ac120001", n), kind: "group.user_membership.add",
		person: fmt.Sprintf("00u%017d", n), login: fmt.Sprintf("p%d@example.com", n), name: fmt.Sprintf("First%d Last%d", n, n),
		published: time.Date(2026, 11, 20, 10, 15, 0, 0, time.UTC),
	}
}

// delivery writes the body of a POST with these events.
func delivery(events ...news) []byte {
	type target struct {
		ID          string `json:"id"`
		Type        string `json:"type"`
		AlternateID string `json:"alternateId"`
		DisplayName string `json:"displayName"`
	}
	type event struct {
		UUID      string            `json:"uuid"`
		Published time.Time         `json:"published"`
		EventType string            `json:"eventType"`
		Outcome   map[string]string `json:"outcome"`
		Target    []target          `json:"target"`
	}
	list := make([]event, 0, len(events))
	for _, e := range events {
		list = append(list, event{
			UUID: e.uuid, Published: e.published, EventType: e.kind, Outcome: map[string]string{"result": "SUCCESS"},
			Target: []target{
				{ID: e.person, Type: "User", AlternateID: e.login, DisplayName: e.name},
				{ID: "00g3connectAaBbCcD5d", Type: "UserGroup", AlternateID: "unknown", DisplayName: agentGroup},
			},
		})
	}
	body, err := json.Marshal(map[string]any{"eventType": "com.okta.event_hook", "data": map[string]any{"events": list}})
	if err != nil {
		panic(err) // strings and times can always be written
	}
	return body
}

// client is a client of the hook whose connections end with the test.
func client(t *testing.T, timeout time.Duration) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: timeout}
}

// post sends a delivery with the right secret and gives the status.
func (w *world) post(ctx context.Context, c *http.Client, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", hookSecret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// deliver sends a delivery as Okta does, with the right secret, and gives the status.
// What is answered 503 comes again, since a machine that does much else may not store
// it in time.
func (w *world) deliver(ctx context.Context, c *http.Client, body []byte) (status int, err error) {
	for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
		status, err = w.post(ctx, c, body)
		if err != nil || status != http.StatusServiceUnavailable || time.Now().After(end) {
			return status, err
		}
	}
}

// memory gives the resident memory of a process in MiB: now, and its peak since
// the last resetPeak.
func memory(t *testing.T, pid int) (now, peak float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("skipped: the memory of a process cannot be read here: %v", err)
	}
	read := func(name string) float64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			t.Fatalf("no %s in /proc", name)
		}
		kib, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		return float64(kib) / 1024
	}
	return read("VmRSS"), read("VmHWM")
}

// resetPeak begins the measurement of the peak anew. Source: proc(5), clear_refs.
func resetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Skipf("skipped: the peak of memory cannot be reset here: %v", err)
	}
}

// openFiles counts what a process has open.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skipf("skipped: the open files of a process cannot be counted here: %v", err)
	}
	return len(list)
}
