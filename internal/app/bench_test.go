package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
	"connectroster/internal/sqlite"
)

// delivery is a hook delivery that puts one person into the group.
func delivery(n int64) string {
	return fmt.Sprintf(`{"eventType":"com.okta.event_hook","eventTypeVersion":"1.0","cloudEventsVersion":"0.1","source":"https://example.okta.com/api/v1/eventHooks/who7hook0AaBbCcDd5d7","eventId":"85b60edb-4263-4e13-993b-%012d","data":{"events":[{"uuid":"00000001-c5f1-11f0-9a3c-%012d","published":"2026-11-20T10:15:01.037Z","eventType":"group.user_membership.add","version":"0","displayMessage":"Add user to group membership","severity":"INFO","outcome":{"result":"SUCCESS","reason":null},"target":[{"id":"00u%017d","type":"User","alternateId":"p%d@example.com","displayName":"Ana Silva","detailEntry":null},{"id":"00g3connectAaBbCcD5d","type":"UserGroup","alternateId":"unknown","displayName":"Amazon Connect Agents","detailEntry":null}]}]},"eventTime":"2026-11-20T10:15:32.500Z","contentType":"application/json"}`, n, n, n, n)
}

const benchSecret = "a-secret-for-the-benchmark"

// client posts deliveries and gives the latency of each.
type client struct {
	url  string
	http *http.Client
	next atomic.Int64
}

func newClient(url string) *client {
	return &client{url: url, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
}

func (c *client) post(b *testing.B) time.Duration {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, c.url, strings.NewReader(delivery(c.next.Add(1))))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", benchSecret)
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		b.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		b.Errorf("status %d", resp.StatusCode)
	}
	return time.Since(start)
}

// report adds percentiles in milliseconds.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[min(len(took)-1, int(p*float64(len(took))))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.50), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(0.999), "p99.9-ms")
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "acks/s")
}

func listen(b *testing.B, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { server.Close() })
	return "http://" + l.Addr().String() + "/hooks/okta"
}

func openStore(b *testing.B) *sqlite.Store {
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

func receiver(b *testing.B, store *sqlite.Store) http.Handler {
	hook, err := okta.NewHook(okta.HookConfig{
		Secrets: func() []string { return []string{benchSecret} },
		Groups:  func() []string { return []string{"Amazon Connect Agents"} },
		Queue:   store,
		Facts:   true,
	})
	if err != nil {
		b.Fatal(err)
	}
	return hook
}

// clients64 posts b.N deliveries with 64 clients as fast as they go.
func clients64(b *testing.B, url string) {
	c := newClient(url)
	var mu sync.Mutex
	var all []time.Duration
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			var took []time.Duration
			for left.Add(-1) >= 0 {
				took = append(took, c.post(b))
			}
			mu.Lock()
			all = append(all, took...)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, all)
}

// BenchmarkAck64 is durable acknowledgements with 64 clients, client and server
// on the same machine.
func BenchmarkAck64(b *testing.B) {
	clients64(b, listen(b, receiver(b, openStore(b))))
}

// BenchmarkBare64 is the yardstick: a receiver that reads the body, appends it to
// a file and answers after an fsync that all who wait share. No parsing, no
// queue.
func BenchmarkBare64(b *testing.B) {
	log := newBareLog(b)
	clients64(b, listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		<-log.append(body)
		w.WriteHeader(http.StatusNoContent)
	})))
}

// BenchmarkEmpty64 answers at once: what the HTTP server and the clients cost.
func BenchmarkEmpty64(b *testing.B) {
	clients64(b, listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})))
}

// bareLog is a file with grouped fsyncs.
type bareLog struct {
	mu      sync.Mutex
	file    *os.File
	waiting []chan struct{}
	pending []byte
	wake    chan struct{}
}

func newBareLog(b *testing.B) *bareLog {
	f, err := os.Create(filepath.Join(b.TempDir(), "bare.log"))
	if err != nil {
		b.Fatal(err)
	}
	l := &bareLog{file: f, wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.loop(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait(); f.Close() })
	return l
}

func (l *bareLog) append(body []byte) <-chan struct{} {
	done := make(chan struct{})
	l.mu.Lock()
	l.pending = append(l.pending, body...)
	l.waiting = append(l.waiting, done)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return done
}

func (l *bareLog) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.mu.Lock()
		data, waiting := l.pending, l.waiting
		l.pending, l.waiting = nil, nil
		l.mu.Unlock()
		if _, err := l.file.Write(data); err != nil {
			panic(err)
		}
		if err := l.file.Sync(); err != nil {
			panic(err)
		}
		for _, done := range waiting {
			close(done)
		}
	}
}

// BenchmarkAckAt200 posts 200 deliveries a second, whatever the answers take,
// while four workers claim and settle all the time. Run it with -benchtime 4000x
// for 20 seconds.
func BenchmarkAckAt200(b *testing.B) {
	store := openStore(b)
	url := listen(b, receiver(b, store))
	ctx, cancel := context.WithCancel(b.Context())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() { busy(ctx, store) })
	}
	b.Cleanup(func() { cancel(); workers.Wait() })

	c := newClient(url)
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / 200)
	defer tick.Stop()
	b.ResetTimer()
	for range b.N {
		<-tick.C
		wg.Go(func() {
			took := c.post(b)
			mu.Lock()
			all = append(all, took)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, all)
}

// busy does what a worker does to the store for each person: a claim, an intent,
// an index entry, a journal entry, and settling.
func busy(ctx context.Context, store *sqlite.Store) {
	for ctx.Err() == nil {
		work, err := store.Claim(ctx, time.Minute)
		if err != nil {
			select {
			case <-store.Wake():
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		now := time.Now()
		_ = store.SaveIntent(ctx, reconcile.Intent{Person: work.Person, Username: "u", Started: now, Creates: 1})
		_ = store.Remember(ctx, reconcile.Known{Owner: work.Person, Agent: "a", Since: now})
		_ = store.Record(ctx, reconcile.Entry{Time: now, Person: work.Person, Kind: reconcile.EntryChange, Reason: "in group"})
		_ = store.DropIntent(ctx, work.Person, "")
		_ = store.Settle(ctx, work, reconcile.Verdict{State: reconcile.Done})
	}
}
