package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connectroster/internal/config"
	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// TestShare: however many workers there are, together they take no more than what is
// configured for each instance, and none of them asks for many things at once.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2, 3, 4, 10} {
		for _, burst := range []int{1, 2, 5, 100} {
			one := config.Connect{Rate: 2, Burst: burst}
			cfg := &config.Config{Connect: one, Several: map[string]config.Connect{"east": {Rate: 0.5, Burst: burst}, "west": {Rate: 30, Burst: burst}}}
			want := map[string]float64{"": 2, "east": 0.5, "west": 30}
			share(cfg, workers)
			all := maps.Clone(cfg.Several)
			all[""] = cfg.Connect
			for name, c := range all {
				if sum := c.Rate * float64(workers); math.Abs(sum-want[name]) > 1e-9 {
					t.Errorf("%d workers call the instance %q %g times a second, want %g", workers, name, sum, want[name])
				}
				if c.Burst < 1 || c.Burst > 2 {
					t.Errorf("each of %d workers may make %d calls at once, want 1 or 2", workers, c.Burst)
				}
			}
		}
	}
}

// TestWallClock: nothing in a process counts ages by the clock that stands still while
// Lambda freezes it. That clock is a part of a time that Round takes off.
func TestWallClock(t *testing.T) {
	t.Parallel()
	p, err := load(func(name string) string {
		return map[string]string{handlerVariable: "hook", configVariable: newWorld(t, setup{hookOnly: true}).config}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadWithoutSecrets(p.path, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for what, now := range map[string]func() time.Time{"the program": p.now, "the store": p.storeOf(cfg).Now} {
		if at := now(); at != at.Round(0) {
			t.Errorf("%s has the time %s", what, at)
		}
	}
}

// TestHookKilled ends the hook's function at each place between the check of the
// secret and the answer, in each way (P-01). Either nothing of the delivery is stored
// or all of it; what Okta was told is stored; and what is stored comes to its end even
// when Okta never comes again.
func TestHookKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{hookOnly: true})
	places := append([]string{failpoint.HookAuthenticated, failpoint.HookRead, failpoint.HookParsed}, failpoint.Table...)
	places = append(places, failpoint.HookAnswered)
	var stored []string
	cases := 0
	for _, place := range places {
		for _, kind := range []string{"", ":panic", ":term"} {
			cases++
			var people []string
			for n := range 3 {
				people = append(people, fmt.Sprintf("00uKilled%02d%d", cases, n))
			}
			w.hook = w.function("hook", "CONNECTROSTER_FAILPOINT="+place+":1"+kind)
			var answer int
			eventually(t, 3*patience, func() error {
				answer = w.post("/hooks/okta", hookSecret, delivery(people...))
				if answer == http.StatusServiceUnavailable {
					return fmt.Errorf("%s%s: the stand-in for AWS is so slow that the place is not reached", place, kind)
				}
				return nil
			})
			if kind == "" && answer != http.StatusInternalServerError {
				t.Errorf("%s: the process was to be killed, and %d was answered", place, answer)
			}
			rows := w.stored(people...)
			late := slices.Contains(failpoint.Table, place) || place == failpoint.HookAnswered
			switch {
			case rows != 0 && rows != len(people):
				t.Errorf("%s%s: %d of %d people are stored", place, kind, rows, len(people))
			case answer == http.StatusNoContent && rows == 0:
				t.Errorf("%s%s: Okta was told that all is stored, and nothing is", place, kind)
			case late && rows == 0:
				t.Errorf("%s%s: nothing is stored, so the place is not behind the storing", place, kind)
			}
			if rows == 0 { // Okta repeats it, to a new process
				w.hook = w.function("hook")
				w.deliver(people...)
			}
			stored = append(stored, people...)
		}
	}
	w.mends(w.work, func() error {
		for _, person := range stored {
			if w.agentsOf(person) == 0 {
				return fmt.Errorf("person %s has no agent", person)
			}
		}
		return w.finished()
	})
	if n := w.created(); n != len(stored) {
		t.Errorf("%d agents were made for %d people", n, len(stored))
	}
	t.Logf("%d cases, %d people", cases, len(stored))
}

// agentsOf counts the agents of a person of whom the org does not know.
func (w *world) agentsOf(person string) (n int) {
	for _, a := range w.instance.Agents() {
		if a.Tags["connectroster:owner"] == person {
			n++
		}
	}
	return n
}

// TestPartialBatchByQueue plays 20 of the subsets of a batch of ten end to end (P-13):
// the store answers about the others alone, SQS is told exactly who failed, and
// gives exactly those again.
func TestPartialBatchByQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{hookOnly: true, visibility: 60})
	w.warm(w.work) // a cold start asks about the store
	random := rand.New(rand.NewPCG(13, 20))
	subsets := []int{0, 1<<10 - 1}
	for len(subsets) < 20 {
		subsets = append(subsets, random.IntN(1<<10))
	}
	for nth, subset := range subsets {
		people, batch := w.told(nth)
		var failing []string
		for n, person := range people {
			if subset>>n&1 == 1 {
				failing = append(failing, person)
			}
		}
		w.between.refuses(failing...)
		answer, err := w.work.invoke(batchOf(batch))
		w.must(err)
		w.between.refuses()
		var out events.SQSEventResponse
		w.must(json.Unmarshal(answer, &out))
		failed := map[string]bool{}
		for _, f := range out.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
		var again []string
		for _, m := range batch {
			person, err := personOf(aws.ToString(m.Body))
			w.must(err)
			queue := aws.String(w.queues["people"])
			if failed[aws.ToString(m.MessageId)] {
				again = append(again, person)
				// What is left is given again once it is visible; Lambda waits for that.
				_, err = w.sqs.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle})
			} else {
				_, err = w.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle})
			}
			w.must(err)
		}
		slices.Sort(again)
		if !slices.Equal(again, failing) || len(failed) != len(failing) {
			t.Fatalf("subset %010b: %v (%d ids) are reported as failed, want %v", subset, again, len(failed), failing)
		}
		for _, person := range people {
			if n, want := w.agentsOf(person), 1; slices.Contains(failing, person) != (n == 0) || n > want {
				t.Errorf("subset %010b: person %s has %d agents", subset, person, n)
			}
		}
		var given []string
		for {
			more := w.received("people")
			if len(more) == 0 {
				break
			}
			for _, m := range more {
				// The delivery may have come twice, and is told of by messages of its own then.
				if slices.ContainsFunc(batch, func(b types.Message) bool { return aws.ToString(b.MessageId) == aws.ToString(m.MessageId) }) {
					person, err := personOf(aws.ToString(m.Body))
					w.must(err)
					given = append(given, person)
				}
			}
			_, err = w.finish(w.work, "people", more)
			w.must(err)
		}
		slices.Sort(given)
		if !slices.Equal(given, failing) {
			t.Errorf("subset %010b: the messages of %v came again, want those of %v", subset, given, failing)
		}
	}
	if n, agents := w.created(), len(w.instance.Agents()); n != agents || n < 10*len(subsets) {
		t.Errorf("%d agents were made for %d people, and there are %d", n, 10*len(subsets), agents)
	}
	w.must(w.finished())
}

// told delivers about ten people and takes the messages that tell of them. On a busy
// machine the stand-in for AWS may be too slow to store all, or to be told of all; then
// others are tried, once nothing is left of these.
func (w *world) told(nth int) (people []string, batch []types.Message) {
	w.t.Helper()
	for try := range 5 {
		people = nil
		for n := range 10 {
			people = append(people, fmt.Sprintf("00uBatch%02d-%d-%d", nth, try, n))
		}
		status := w.post("/hooks/okta", hookSecret, delivery(people...))
		if status == http.StatusNoContent {
			if batch = w.received("people", 10); len(batch) == 10 {
				return people, batch
			}
		}
		w.t.Logf("a delivery was answered %d, and %d messages tell of it", status, len(batch))
		_, err := w.work.invoke(batchOf(batch))
		w.must(err)
		for _, m := range batch {
			_, err := w.sqs.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(w.queues["people"]), ReceiptHandle: m.ReceiptHandle})
			w.must(err)
		}
		// What was stored without an answer is told of by the schedule.
		w.mends(w.work, w.finished)
		batch = nil
	}
	w.t.Fatal("five deliveries were not told of whole")
	return nil, nil
}

// TestBudgetOfAgent counts what a new agent takes, with Okta's API and without: the
// invocation of the hook and one of a worker, and one call of Amazon Connect but for
// those that read the catalogue, once a process.
func TestBudgetOfAgent(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{"hook only": {hookOnly: true}, "with Okta's API": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			w.subscribe("/hooks/okta")
			w.hire(0) // of whom the processes start
			w.settle()
			calls := func() map[string]int {
				out := map[string]int{}
				for operation, of := range w.instance.Stats().Operations {
					out[operation] = of.Calls
				}
				return out
			}
			// On a busy machine a delivery may come again, and a look be late; not three
			// times in a row.
			const people = 8
			for try := range 3 {
				before, hooks, looks := calls(), w.hook.invocations.Load(), w.work.invocations.Load()
				var hired []simokta.User
				for n := range people {
					hired = append(hired, w.hire(1+try*people+n))
					w.settle()
				}
				w.must(w.employed(hired...))
				after := calls()
				for operation := range after {
					after[operation] -= before[operation]
				}
				maps.DeleteFunc(after, func(_ string, n int) bool { return n == 0 })
				hooks, looks = w.hook.invocations.Load()-hooks, w.work.invocations.Load()-looks
				once := maps.Equal(after, map[string]int{"CreateUser": people})
				if once && hooks <= people && looks <= people {
					return
				}
				t.Logf("%d new agents took the calls %v of Amazon Connect, want one CreateUser each, and %d invocations of the hook and %d of workers, want one each", people, after, hooks, looks)
			}
			t.Error("thrice it was more than wanted")
		})
	}
}

// TestRefusedCredentials takes rights away, in Okta and in AWS, while people are hired
// (P-18): they are set aside without counting attempts, the log tells it, and it is
// their turn when wake runs next after the repair.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: it lasts a minute, for which people are set aside")
	}
	connect := func(code string) func(*world) {
		return func(w *world) {
			w.must(w.instance.AddFaults(simconnect.Fault{Status: http.StatusForbidden, Code: code, Times: -1}))
		}
	}
	okta := func(status int, code string) func(*world) {
		return func(w *world) {
			w.must(w.org.AddFaults(simokta.Fault{Endpoint: "GET", Status: status, Code: code, Times: -1}))
		}
	}
	type scene struct {
		*world
		people []simokta.User
	}
	var scenes []scene
	for name, trouble := range map[string]struct {
		begin func(*world)
		alert string
	}{
		"AWS denies":              {connect("AccessDeniedException"), "AWS refuses"},
		"AWS's session is over":   {connect("ExpiredTokenException"), "AWS refuses"},
		"AWS knows no such key":   {connect("UnrecognizedClientException"), "AWS refuses"},
		"Okta's token is revoked": {okta(http.StatusUnauthorized, "E0000011"), "okta refuses our credential"},
		"Okta's role is taken":    {okta(http.StatusForbidden, "E0000006"), "okta does not permit"},
	} {
		w := newWorld(t, setup{})
		w.subscribe("/hooks/okta")
		first := w.hire(0)
		w.settle()
		w.must(w.employed(first))
		trouble.begin(w)
		people := []simokta.User{w.hire(1), w.hire(2), w.hire(3)}
		w.settle()
		for _, u := range people {
			rows, err := w.store.People(t.Context(), reconcile.WaitingQuery{Person: u.ID})
			w.must(err)
			if len(rows) != 1 || rows[0].State != reconcile.StateWaiting || rows[0].Attempts != 0 || time.Until(rows[0].Due) > 55*time.Second {
				t.Errorf("%s: the row of person %s is %+v, want somebody who is due before the schedule's next minute, with no attempt", name, u.ID, rows)
			}
		}
		alerts := 0 // one for each process
		for line := range strings.Lines(w.work.said()) {
			if strings.Contains(line, `"level":"ERROR"`) && strings.Contains(line, trouble.alert) {
				alerts++
			}
		}
		if alerts != 1 {
			t.Errorf("%s: %d lines of the log tell of it, want one:\n%s", name, alerts, w.work.said())
		}
		scenes = append(scenes, scene{w, people})
	}
	for _, w := range scenes {
		w.instance.ClearFaults()
		w.org.ClearFaults()
		w.mends(w.work, func() error { return errors.Join(w.employed(w.people...), w.finished()) })
		if n := w.created(); n != 4 {
			t.Errorf("%d agents were made for 4 people", n)
		}
	}
}

// TestWorkersAreKilled has several workers at one table, of whom one at random is
// killed each second while people are hired, move and leave (P-62): they share the
// leases, nobody is lost, and nobody gets two agents.
func TestWorkersAreKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: it lasts half a minute")
	}
	const workers, seconds = 3, 12
	w := newWorld(t, setup{visibility: 6})
	w.subscribe("/hooks/okta", "user.lifecycle.deactivate")
	w.scheduled(w.catchup)
	w.scheduled(w.sweep)
	sales, err := w.org.AddGroup("Connect Queue Sales")
	w.must(err)
	var pool []*function
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var polling sync.WaitGroup
	var died atomic.Int64
	for range workers {
		f := w.function("work")
		f.timeout = 5 * time.Second // and so the leases end soon
		pool = append(pool, f)
		polling.Go(func() {
			for ctx.Err() == nil {
				for _, queue := range []string{"leavers", "people"} {
					_, err := w.poll(f, queue)
					if errors.Is(err, errExited) {
						died.Add(1)
					} else if err != nil && !errors.Is(err, errTimeout) && ctx.Err() == nil {
						t.Logf("a batch failed: %v", err)
					}
				}
			}
		})
	}
	// So that workers are in the middle of something most of the time.
	w.must(w.instance.AddFaults(simconnect.Fault{Operation: "CreateUser", Kind: "latency", Delay: 700 * time.Millisecond, Times: -1}))
	random := rand.New(rand.NewPCG(62, 60))
	var people []simokta.User
	left := map[string]bool{}
	for second := range seconds {
		for range 3 {
			people = append(people, w.hire(len(people)))
		}
		switch u := people[random.IntN(len(people))]; {
		case left[u.ID]:
		case second%5 == 4:
			// Of somebody who leaves before they have an agent it is open for as long as
			// a search may lag whether there is one.
			if _, ok := w.agent(u); ok {
				left[u.ID] = true
				w.must(w.org.Deactivate(u.ID))
			}
		default:
			w.must(w.org.Join(u.ID, sales.ID))
		}
		time.Sleep(time.Second) // the pace of the kills
		pool[random.IntN(workers)].kill()
	}
	w.delivered()
	stop()
	polling.Wait()
	if died.Load() == 0 {
		t.Error("no worker was killed in the middle of a batch")
	}
	t.Logf("%d kills, of which %d struck in the middle of a batch; %d people", seconds, died.Load(), len(people))
	w.mends(w.work, func() error {
		w.redrive("leavers", "people")
		for _, u := range people {
			a, ok := w.agent(u)
			if left[u.ID] {
				if ok && !parked(a) {
					return fmt.Errorf("person %s has left and can take calls", u.ID)
				}
				continue
			}
			if !ok {
				rows, err := w.store.People(t.Context(), reconcile.WaitingQuery{Person: u.ID})
				return errors.Join(fmt.Errorf("person %s has no agent, and the row %+v", u.ID, rows), err)
			}
		}
		return w.finished()
	})
	created := map[string]int{}
	for _, e := range w.instance.Ledger() {
		if e.Operation == "CreateUser" {
			created[e.Username]++
		}
	}
	for name, n := range created {
		if n > 1 {
			t.Errorf("%d agents were made for %s", n, name)
		}
	}
	w.must(w.store.Verify(t.Context(), ""))
}
