package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

// hold keeps the writer busy until the returned func is called.
func hold(t *testing.T, s subject) (release func()) {
	t.Helper()
	running, gate := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		err := s.writer.write(context.WithoutCancel(t.Context()), &op{run: func(*tx) error {
			close(running)
			<-gate
			return nil
		}})
		if err != nil {
			t.Errorf("hold: %v", err)
		}
	})
	<-running
	release = sync.OnceFunc(func() {
		close(gate)
		held.Wait()
	})
	t.Cleanup(release)
	return release
}

// queued waits until n callers wait for the writer.
func queued(t *testing.T, s subject, n int) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(s.writer.ops) < n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("only %d callers wait, want %d", len(s.writer.ops), n)
		}
	}
}

// TestGroupCommit has 100 callers wait; they share one transaction.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	release := hold(t, s)
	var mu sync.Mutex
	transactions := map[*tx]int{}
	var callers sync.WaitGroup
	for n := range 100 {
		callers.Go(func() {
			err := s.writer.write(t.Context(), &op{run: func(t *tx) error {
				mu.Lock()
				transactions[t]++
				mu.Unlock()
				return enqueue(t, []reconcile.Request{request(n)})
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 100)
	release()
	callers.Wait()
	if len(transactions) != 1 {
		t.Errorf("100 callers used %d transactions, want 1", len(transactions))
	}
	holds(t, s, 100)
}

// TestGroupFault has one caller of 50 fail; the others must not notice, and
// nothing of the one is kept.
func TestGroupFault(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	release := hold(t, s)
	fault := errors.New("fault")
	var faults atomic.Int32
	var callers sync.WaitGroup
	for n := range 50 {
		callers.Go(func() {
			if n == 25 {
				err := s.writer.write(t.Context(), &op{
					run: func(t *tx) error {
						return errors.Join(enqueue(t, []reconcile.Request{request(n)}), fault)
					},
					after: func() { t.Error("a fault was called a success") },
				})
				if !errors.Is(err, fault) {
					t.Errorf("got %v, want the fault", err)
				}
				faults.Add(1)
				return
			}
			if err := s.Enqueue(t.Context(), request(n)); err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 50)
	release()
	callers.Wait()
	if faults.Load() != 1 {
		t.Error("the fault did not come back")
	}
	holds(t, s, 49)
}

// TestLeave has callers go away while the writer is busy with another.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for n := range 20 {
		callers.Go(func() {
			if err := s.Enqueue(ctx, request(n)); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		})
	}
	callers.Go(func() {
		if _, err := s.Claim(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("claim: got %v, want context.Canceled", err)
		}
	})
	queued(t, s, 21)
	cancel()
	callers.Wait() // before the writer is free
	release()
	if err := s.Enqueue(t.Context(), request(20)); err != nil {
		t.Fatal(err)
	}
	holds(t, s, 1) // nobody's request was written for them
}

// TestClaimIsPatient has the caller of a Claim go away while it is written: the
// claim must reach them, or nobody would work on the person until it is over.
func TestClaimIsPatient(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.writer.write(ctx, &op{patient: true, run: func(*tx) error {
		cancel()
		return nil
	}})
	if err != nil {
		t.Errorf("got %v, want the outcome", err)
	}
	err = s.writer.write(ctx, &op{patient: true, run: func(*tx) error { return nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestCloseUnderLoad closes while callers wait: all of them get an answer, and
// what was acknowledged is there.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	var acknowledged atomic.Int32
	var callers sync.WaitGroup
	started := make(chan struct{}, 1)
	for g := range 32 {
		callers.Go(func() {
			for n := 0; ; n++ {
				err := s.Enqueue(context.WithoutCancel(t.Context()), request(g*100_000+n))
				if errors.Is(err, errClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged.Add(1)
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	<-started
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	callers.Wait()
	s = s.Reopen(t).(subject)
	b, err := s.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b.Due < int(acknowledged.Load()) {
		t.Errorf("%d are stored, %d were acknowledged", b.Due, acknowledged.Load())
	}
}

func TestWakeAndNextDue(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	woken := func(what string, want bool) {
		t.Helper()
		select {
		case <-s.Wake():
			if !want {
				t.Errorf("%s: woken for nothing", what)
			}
		default:
			if want {
				t.Errorf("%s: not woken", what)
			}
		}
	}
	next := func(want time.Time) {
		t.Helper()
		got, err := s.NextDue(t.Context())
		if want.IsZero() && !errors.Is(err, reconcile.ErrNotFound) || !want.IsZero() && (err != nil || !got.Equal(want)) {
			t.Errorf("next due: got %v and error %v, want %v", got, err, want)
		}
	}
	claim := func() reconcile.Work {
		t.Helper()
		w, err := s.Claim(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	settle := func(w reconcile.Work, v reconcile.Verdict) {
		t.Helper()
		if err := s.Settle(t.Context(), w, v); err != nil {
			t.Fatal(err)
		}
	}
	woken("open", true)
	next(time.Time{})
	now := clock.Now()
	for n := range 3 {
		if err := s.Enqueue(t.Context(), request(n)); err != nil {
			t.Fatal(err)
		}
	}
	woken("enqueue", true)
	woken("enqueue", false)
	next(now)
	first := claim()
	woken("a claim that leaves two", true)
	second, third := claim(), claim()
	woken("a claim that leaves one", true)
	next(now.Add(time.Minute))
	settle(first, reconcile.Verdict{State: reconcile.Done})
	woken("done", false)
	settle(second, reconcile.Verdict{State: reconcile.Later, Due: now.Add(10 * time.Second)})
	woken("later", true)
	next(now.Add(10 * time.Second))
	settle(third, reconcile.Verdict{State: reconcile.Dead, Reason: "hopeless"})
	woken("dead", false)
	if err := s.Replay(t.Context(), third.Person); err != nil {
		t.Fatal(err)
	}
	woken("replay", true)
	settle(claim(), reconcile.Verdict{State: reconcile.Dead, Reason: "hopeless"})
	dead, err := s.Dead(t.Context())
	if err != nil || len(dead) != 1 || dead[0].Person != third.Person || dead[0].Reason != "hopeless" {
		t.Errorf("dead letters: %+v (error %v)", dead, err)
	}
}

func TestReadyIsCached(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	probes := func() (at int64) {
		t.Helper()
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.read.QueryRowContext(t.Context(), `SELECT time FROM probe`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	first := probes()
	clock.Advance(2 * time.Second)
	if probes() != first {
		t.Error("a second probe within three seconds")
	}
	clock.Advance(2 * time.Second)
	if probes() == first {
		t.Error("no second probe after four seconds")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready although it is closed")
	}
}

// TestPlans keeps the queries of every claim from walking over old rows.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	for query, index := range map[string]string{
		sqlNext: "people_due", sqlMore: "people_due", sqlPromote: "people_waiting", sqlExpired: "people_working", sqlLoad: "sqlite_autoindex_people_1",
	} {
		var args []any
		if strings.Contains(query, "?") {
			args = []any{0}
		}
		rows, err := s.read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		_ = rows.Close()
		text := strings.Join(plan, "; ")
		if !strings.Contains(text, index) || strings.Contains(text, "TEMP B-TREE") || strings.Contains(text, "SCAN people;") {
			t.Errorf("%s: plan is %s, want index %s", query, text, index)
		}
	}
}
