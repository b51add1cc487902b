package awsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

// proxy stands between a Store and moto, and does what networks and services do.
type proxy struct {
	*httptest.Server
	fault atomic.Pointer[func(operation string) fault]
	calls atomic.Int64
	mu    sync.Mutex
	seen  []string // the operations, in the order of coming
}

// fault is what becomes of a call.
type fault int

const (
	none      fault = iota
	broken          // 500, and the service has done nothing
	dropped         // the service has done it, and its answer is lost
	refused         // throttled
	cancelled       // a transaction is, since one of its items was throttled and another contended
)

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		p.calls.Add(1)
		p.mu.Lock()
		p.seen = append(p.seen, operation)
		p.mu.Unlock()
		how := none
		if f := p.fault.Load(); f != nil {
			how = (*f)(operation)
		}
		switch how {
		case broken:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"planted"}`)
		case refused:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"planted"}`)
		case cancelled:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"planted",
				"CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict","Message":"planted"},{"Code":"ThrottlingError","Message":"planted"}]}`)
		case dropped:
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// plant sets what becomes of calls from now on; nil is nothing.
func (p *proxy) plant(f func(operation string) fault) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
}

// operations gives what was called since the last time.
func (p *proxy) operations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

// behind opens a Store whose calls go through a proxy.
func behind(t *testing.T, c Config) (*Store, *proxy) {
	t.Helper()
	p := newProxy(t, c.Endpoint)
	c.Endpoint = p.URL
	return open(t, c), p
}

// TestLostAnswers has a call in three fail, be it before or after it was carried
// out: what was acknowledged is there, once, and nothing of what was refused is
// there by half.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	c := fresh(t)
	c.Now = clock.Now
	s, p := behind(t, c)
	clean := open(t, c)
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	p.plant(func(string) fault {
		mu.Lock()
		defer mu.Unlock()
		return []fault{none, none, none, none, none, none, broken, dropped, refused}[random.IntN(9)]
	})
	ctx := t.Context()

	// Facts and rows are stored together or not at all, acknowledged ones for certain.
	asked, refused := map[string]int64{}, 0
	for i := range 60 {
		person := fmt.Sprintf("p%d", i%20)
		fact := reconcile.Fact{Person: person, Group: fmt.Sprintf("g%d", i), Member: true, Published: clock.Now()}
		err := s.Enqueue(ctx, reconcile.Request{Person: person, Trigger: reconcile.TriggerHook, Facts: []reconcile.Fact{fact}})
		facts, readErr := clean.Facts(ctx, person)
		if readErr != nil {
			t.Fatal(readErr)
		}
		rows, readErr := clean.People(ctx, reconcile.WaitingQuery{Person: person})
		if readErr != nil {
			t.Fatal(readErr)
		}
		known := false
		for _, f := range facts {
			known = known || f.Group == fact.Group
		}
		generation := int64(0)
		if len(rows) == 1 {
			generation = rows[0].Generation
		}
		switch {
		case err == nil && (!known || generation <= asked[person]):
			t.Fatalf("request %d was acknowledged, and there is fact %v, generation %d after %d", i, known, generation, asked[person])
		case known != (generation > asked[person]):
			t.Fatalf("request %d (error %v) was stored by half: fact %v, generation %d after %d", i, err, known, generation, asked[person])
		case generation > asked[person]+1:
			t.Fatalf("request %d counts %d times", i, generation-asked[person])
		case err != nil:
			refused++
		}
		asked[person] = generation
		clock.Advance(time.Millisecond)
	}

	// A claim whose answer was lost is a claim, and a settling is not done twice.
	settled := 0
	for range 200 {
		w, err := s.Claim(ctx, time.Minute)
		if errors.Is(err, reconcile.ErrNotFound) {
			break
		}
		if err == nil {
			err = s.Settle(ctx, w, reconcile.Verdict{State: reconcile.Done})
		}
		if err == nil {
			settled++
		} else {
			clock.Advance(time.Minute + time.Second) // what was claimed for nobody comes back
		}
	}
	b, err := clean.Backlog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b.Due+b.Waiting+b.Working+b.Dead > 0 || b.Idle != 20 {
		t.Fatalf("after %d were settled the queue holds %+v, want 20 idle", settled, b)
	}

	// Places are taken once, and never more than there are.
	granted := 0
	for i := range 12 {
		r := reconcile.Removal{
			Kind: reconcile.RemovalStatus, Person: fmt.Sprintf("r%d", i), Agent: "a", Action: plan.Suspend, Hash: "h", Reason: "r", Owned: 10, At: clock.Now(),
		}
		for {
			got, err := s.Reserve(ctx, r, reconcile.Limits{})
			if err != nil {
				continue
			}
			if got.State == reconcile.ReservationGranted {
				granted++
			}
			break
		}
	}
	if granted != 5 {
		t.Errorf("%d removals went, want 5", granted)
	}
	holds, err := clean.Holds(ctx, reconcile.HoldQuery{})
	if err != nil || len(holds) != 1 || len(holds[0].Entries) != 7 {
		t.Errorf("got the holds %+v and error %v, want one of 7 entries", holds, err)
	}

	// What the journal acknowledged is in it, and it is genuine.
	recorded := 0
	for i := range 30 {
		err := s.Record(ctx, reconcile.Entry{Time: clock.Now(), Person: fmt.Sprintf("p%d", i%3), Kind: reconcile.EntryChange, After: &plan.Agent{ID: "x"}})
		if err == nil {
			recorded++
		}
	}
	entries, err := clean.Recent(ctx, reconcile.Query{})
	if err != nil || len(entries) < recorded {
		t.Errorf("%d entries were acknowledged, and there are %d (error %v)", recorded, len(entries), err)
	}
	if err := clean.Verify(ctx, ""); err != nil {
		t.Error(err)
	}
	t.Logf("%d calls, %d of 60 requests refused, %d of 30 entries acknowledged", p.calls.Load(), refused, recorded)
}

// TestNothingAnswers wants an error in the time that a hook has, for every way in
// which the table can be away, and nothing stored.
func TestNothingAnswers(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]fault{"broken": broken, "throttled": refused, "cancelled": cancelled} {
		c := fresh(t)
		clean := open(t, c)
		c.Timeout = 2 * time.Second
		s, p := behind(t, c)
		p.plant(func(string) fault { return how })
		var requests []reconcile.Request
		for i := range 10 {
			requests = append(requests, reconcile.Request{Person: fmt.Sprint("p", i)})
		}
		var took []time.Duration
		for len(took) == 0 || took[len(took)-1] > 2500*time.Millisecond && len(took) < 5 { // a busy machine makes one wait now and then, not each time
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begun := time.Now()
			err := s.Enqueue(ctx, requests...)
			took = append(took, time.Since(begun))
			cancel()
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if took[len(took)-1] > 2500*time.Millisecond {
			t.Errorf("%s: errors after %v, want one within 2.5 s", name, took)
		}
		if s.Ready(t.Context()) == nil {
			t.Errorf("%s: ready", name)
		}
		if list, err := clean.People(t.Context(), reconcile.WaitingQuery{}); err != nil || len(list) > 0 {
			t.Errorf("%s: refused requests left %d people (error %v)", name, len(list), err)
		}
	}
}

// withQueues makes two queues of moto and has the configuration name them.
func withQueues(t *testing.T, c *Config) *sqs.Client {
	t.Helper()
	c.LeaversQueue, c.Queue = fmt.Sprintf("leavers-%d.fifo", spaces.Add(1)), fmt.Sprintf("people-%d.fifo", spaces.Add(1))
	api := sqs.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: &c.Endpoint, Credentials: c.Credentials})
	for _, name := range []string{c.LeaversQueue, c.Queue} {
		if _, err := api.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"FifoQueue": "true"}}); err != nil {
			t.Fatal(err)
		}
	}
	return api
}

// bodies takes all messages from a queue.
func bodies(t *testing.T, api *sqs.Client, name string) (list []string) {
	t.Helper()
	at, err := api.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	for {
		out, err := api.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: at.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return list
		}
		for _, m := range out.Messages {
			list = append(list, *m.Body)
			if _, err := api.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: at.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHookCalls counts what a hook of ten people costs: one write and one call for
// each queue.
func TestHookCalls(t *testing.T) {
	t.Parallel()
	c := fresh(t)
	api := withQueues(t, &c)
	s, p := behind(t, c)
	s.announcing = time.Minute
	ask := func(least, most int) {
		t.Helper()
		var requests []reconcile.Request
		for i := least; i < most; i++ {
			id := fmt.Sprintf("p%d", i)
			requests = append(requests, reconcile.Request{
				Person: id, Priority: reconcile.Priority(i % 3), Facts: []reconcile.Fact{{Person: id, Group: "g", Member: true, Published: time.Now()}},
			})
		}
		if err := s.Enqueue(t.Context(), requests...); err != nil {
			t.Fatal(err)
		}
	}
	ask(100, 103) // the addresses of both queues are known from then on
	bodies(t, api, c.LeaversQueue)
	bodies(t, api, c.Queue)
	p.operations()
	ask(0, 10)
	if got := fmt.Sprint(p.operations()); got != "[TransactWriteItems SendMessageBatch SendMessageBatch]" {
		t.Errorf("a hook of ten people made the calls %s", got)
	}
	if leavers, rest := bodies(t, api, c.LeaversQueue), bodies(t, api, c.Queue); len(leavers) != 4 || len(rest) != 6 || leavers[0] != `{"person":"p0"}` {
		t.Errorf("the queues hold %q and %q", leavers, rest)
	}
	// Idle people are asked for in one call as well.
	for range 13 {
		w, err := s.Claim(t.Context(), time.Minute)
		if err == nil {
			err = s.Settle(t.Context(), w, reconcile.Verdict{State: reconcile.Done})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.operations()
	if err := s.Enqueue(t.Context(), reconcile.Request{Person: "p1"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.operations()); got != "[UpdateItem SendMessageBatch]" {
		t.Errorf("a hook of one idle person made the calls %s", got)
	}
}

// TestSendDue loses the queues at the moment of a hook. Nobody who asked is
// forgotten: the schedule finds them, and whoever waited and is due, and whoever
// lost their worker.
func TestSendDue(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	c := fresh(t)
	c.Now = clock.Now
	api := withQueues(t, &c)
	s, p := behind(t, c)
	s.announcing = time.Minute
	ctx := t.Context()
	p.plant(func(operation string) fault {
		if operation == "SendMessageBatch" || operation == "GetQueueUrl" {
			return broken
		}
		return none
	})
	if err := s.Enqueue(ctx, reconcile.Request{Person: "leaver"}, reconcile.Request{Person: "joiner", Priority: reconcile.Joiner}); err != nil {
		t.Fatalf("the rows are stored, so the hook is acknowledged: %v", err)
	}
	if err := s.Enqueue(ctx, reconcile.Request{Person: "later", Due: clock.Now().Add(10 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(31 * time.Second)
	if n, err := s.SendDue(ctx); n != 0 || err == nil {
		t.Fatalf("sent %d and error %v, while the queues are away", n, err)
	}
	p.plant(nil)
	send := func(want int) {
		t.Helper()
		if n, err := s.SendDue(ctx); n != want || err != nil {
			t.Fatalf("sent %d and error %v, want %d", n, err, want)
		}
	}
	send(2)
	send(0) // they were told
	if leavers, rest := bodies(t, api, c.LeaversQueue), bodies(t, api, c.Queue); fmt.Sprint(leavers, rest) != `[{"person":"leaver"}] [{"person":"joiner"}]` {
		t.Errorf("the queues hold %q and %q", leavers, rest)
	}

	// A worker takes the person of the message, and nobody else does meanwhile.
	w, err := s.ClaimPerson(ctx, "leaver", time.Minute)
	if err != nil || w.Person != "leaver" || w.Generation != 1 {
		t.Fatalf("claimed %+v and error %v", w, err)
	}
	for _, person := range []string{"leaver", "later", "nobody"} {
		if w, err := s.ClaimPerson(ctx, person, time.Minute); !errors.Is(err, reconcile.ErrNotFound) {
			t.Fatalf("claimed %+v (error %v), who is with somebody else, not due, or unknown", w, err)
		}
	}
	// Somebody asks meanwhile: the end of the look sends a message.
	if err := s.Enqueue(ctx, reconcile.Request{Person: "leaver"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, w, reconcile.Verdict{State: reconcile.Done}); err != nil {
		t.Fatal(err)
	}
	if got := bodies(t, api, c.LeaversQueue); len(got) != 1 {
		t.Errorf("after a request during the look the queue holds %q, want one message", got)
	}
	if w, err = s.ClaimPerson(ctx, "leaver", time.Minute); err != nil || w.Generation != 2 {
		t.Fatalf("claimed %+v and error %v, want generation 2", w, err)
	}
	// The worker vanishes; "later" becomes due; "joiner" was told but nothing came of
	// it for ten minutes.
	clock.Advance(9*time.Minute + 30*time.Second)
	send(2)
	clock.Advance(time.Minute)
	send(1)
	if got := bodies(t, api, c.LeaversQueue); len(got) != 2 {
		t.Errorf("the queue of leavers holds %q, want two messages", got)
	}
	if w, err = s.ClaimPerson(ctx, "leaver", time.Minute); err != nil || w.Attempts != 1 {
		t.Fatalf("claimed %+v and error %v, want one attempt", w, err)
	}
	if w, err = s.ClaimPerson(ctx, "later", time.Minute); err != nil {
		t.Fatalf("claimed %+v and error %v", w, err)
	}
}

// TestQueuesAway: what fails ten times alike is one line of the log, and who waits for
// an answer waits for one call of each queue.
func TestQueuesAway(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := fresh(t)
	withQueues(t, &c)
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, p := behind(t, c)
	s.announcing = time.Minute
	ask := func(n int) string {
		t.Helper()
		log.Reset()
		var requests []reconcile.Request
		for i := range n {
			requests = append(requests, reconcile.Request{Person: fmt.Sprintf("p%d-%d", n, i), Priority: reconcile.Priority(i % 3), Trigger: reconcile.TriggerHook})
		}
		if err := s.Enqueue(t.Context(), requests...); err != nil {
			t.Fatalf("%d people are stored, so the hook is acknowledged: %v", n, err)
		}
		return log.String()
	}
	if said := ask(2); said != "" { // the addresses of the queues are known from then on
		t.Fatalf("logged %q", said)
	}
	p.plant(func(operation string) fault {
		if operation == "SendMessageBatch" {
			return broken
		}
		return none
	})
	for _, n := range []int{10, 230} {
		said := ask(n)
		for what, most := range map[string]int{"\n": 1, "leavers-": 1, "people-": 1, `\n`: 0} {
			if got := strings.Count(said, what); got > most {
				t.Errorf("%d people: %q stands there %d times, want %d: %s", n, what, got, most, said)
			}
		}
		if want := fmt.Sprintf("people=%d ", n); !strings.Contains(said, want) {
			t.Errorf("want %s: %s", want, said)
		}
	}
	p.plant(nil)

	one := errors.New("operation error SQS: RequestID: 1, gone")
	err := together([]error{one, nil, errors.New("other"), errors.New("operation error SQS: RequestID: 2, gone")})
	if want := "operation error SQS: RequestID: 1, gone (2 times); other"; err == nil || err.Error() != want || !errors.Is(err, one) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := together([]error{nil, nil}); err != nil {
		t.Errorf("of no errors came %v", err)
	}
}

// TestTwoProcesses has two Stores on one table, as two machines have: places,
// numbers of entries and people are given to one of them.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	c := fresh(t)
	c.Now = clock.Now
	two := []*Store{open(t, c), open(t, c)}
	ctx := t.Context()
	var granted, claimed atomic.Int64
	var all sync.WaitGroup
	for i := range 10 {
		if err := two[0].Enqueue(ctx, reconcile.Request{Person: fmt.Sprint("p", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for n, s := range two {
		for worker := range 2 {
			all.Go(func() {
				for {
					w, err := s.Claim(ctx, time.Hour)
					if errors.Is(err, reconcile.ErrNotFound) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					claimed.Add(1)
					r := reconcile.Removal{Kind: reconcile.RemovalStatus, Person: w.Person, Agent: "a", Action: plan.Suspend, Hash: w.Person, Owned: 10, At: clock.Now()}
					got, err := s.Reserve(ctx, r, reconcile.Limits{})
					if err != nil {
						t.Error(err)
					}
					if got.State == reconcile.ReservationGranted {
						granted.Add(1)
					}
					if err := s.Record(ctx, reconcile.Entry{Time: clock.Now(), Person: fmt.Sprint("j", n), Kind: reconcile.EntryChange, Reason: fmt.Sprint(worker)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if granted.Load() != 5 || claimed.Load() != 10 {
		t.Errorf("%d places and %d claims were given, want 5 and 10", granted.Load(), claimed.Load())
	}
	for _, s := range two {
		if err := s.Verify(ctx, ""); err != nil {
			t.Error(err)
		}
	}
	entries, err := two[0].Recent(ctx, reconcile.Query{})
	if err != nil || len(entries) != 10 {
		t.Errorf("the journal has %d entries (error %v), want 10", len(entries), err)
	}
	// Who stops gives back whom it had; a lease of the other one holds.
	if err := two[0].Close(); err != nil {
		t.Fatal(err)
	}
	b, err := two[1].Backlog(ctx)
	if err != nil || b.Due+b.Working != 10 || b.Due == 0 && b.Working == 10 {
		t.Errorf("after one of two has stopped the queue holds %+v (error %v)", b, err)
	}
}

// TestSkewedClocks has a second machine whose clock is ahead: it leaves people to
// their worker for as long as the clocks may differ.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	slow, fast := storetest.NewClock(), storetest.NewClock()
	fast.Advance(4 * time.Second)
	c := fresh(t)
	c.Skew = 5 * time.Second
	c.Now = slow.Now
	one := open(t, c)
	c.Now = fast.Now
	other := open(t, c)
	if err := one.Enqueue(t.Context(), reconcile.Request{Person: "a"}); err != nil {
		t.Fatal(err)
	}
	w, err := one.Claim(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	slow.Advance(59 * time.Second)
	fast.Advance(59 * time.Second)
	if w, err := other.Claim(t.Context(), time.Minute); !errors.Is(err, reconcile.ErrNotFound) {
		t.Fatalf("the other machine claimed %+v (error %v) during the lease", w, err)
	}
	slow.Advance(6 * time.Second)
	fast.Advance(6 * time.Second)
	again, err := other.Claim(t.Context(), time.Minute)
	if err != nil || again.Attempts != 1 {
		t.Fatalf("claimed %+v and error %v, want the person whose lease is over", again, err)
	}
	if err := one.Settle(t.Context(), w, reconcile.Verdict{State: reconcile.Dead}); !errors.Is(err, reconcile.ErrNotFound) {
		t.Fatalf("settle after the lease: got %v, want ErrNotFound", err)
	}
	if err := other.Settle(t.Context(), again, reconcile.Verdict{State: reconcile.Done}); err != nil {
		t.Fatal(err)
	}
}
