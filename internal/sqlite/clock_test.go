package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// wallClock is a clock that somebody sets, beside time as it passes.
type wallClock struct {
	mu     sync.Mutex
	passed time.Duration
	set    time.Duration
	zone   *time.Location
}

func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC).Add(c.passed + c.set).In(c.zone) // a minute before summer time
}

func (c *wallClock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

func (c *wallClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

func (c *wallClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set += d
}

// clockJumps are what happens to clocks: corrections, leap seconds (a second that
// comes twice, or not at all), summer time on a machine that keeps local time,
// batteries that ran out.
var clockJumps = []time.Duration{
	time.Second, -time.Second, 300 * time.Millisecond, -300 * time.Millisecond, time.Minute, -time.Minute, 5 * time.Minute, -5 * time.Minute,
	time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour, 3652 * 24 * time.Hour, -3652 * 24 * time.Hour,
}

// clockRun is one history of a queue whose clock is set again and again. What is
// to happen when is judged by the time that passes.
type clockRun struct {
	*testing.T
	*rand.Rand
	clock *wallClock
	path  string
	store *Store

	held     map[string]holding       // by person: who works
	later    map[string]time.Duration // by person: not before
	asked    map[string]bool          // by person: something is not done
	attempts map[string]int           // by person
	lost     int                      // workers that vanished
	jumps    int
	during   int // jumps back while somebody worked
}

type holding struct {
	work  reconcile.Work
	until time.Duration
}

// clockSlack is how much too early or late something may be: a small step of the
// clock may go unnoticed, and a lease may have one of its own.
const clockSlack = 2 * slack

// TestClockIsSet is promise P-19 for the queue, which times leases, waits and
// retries: while clocks jump by a second to ten years nobody has two workers, no
// lease ends early, nobody is tried before the wait is over, and nobody waits for
// longer than was meant. A normal run plays a tenth of the 500 runs.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	runs := 50
	if os.Getenv("CONNECTROSTER_FULL") == "1" {
		runs = 500
	}
	var jumps, during, lost int
	for seed := range runs {
		r := &clockRun{
			T: t, Rand: rand.New(rand.NewPCG(uint64(seed), 19)), clock: &wallClock{zone: time.UTC}, path: filepath.Join(t.TempDir(), "test.db"),
			held: map[string]holding{}, later: map[string]time.Duration{}, asked: map[string]bool{}, attempts: map[string]int{},
		}
		r.open()
		for step := range 60 {
			r.step()
			if t.Failed() {
				t.Fatalf("run %d failed at step %d", seed, step)
			}
		}
		r.drain()
		if t.Failed() {
			t.Fatalf("run %d failed at its end", seed)
		}
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		jumps, during, lost = jumps+r.jumps, during+r.during, lost+r.lost
	}
	t.Logf("%d runs with %d jumps, %d of them back while somebody worked; %d workers vanished", runs, jumps, during, lost)
	if during < runs || lost < runs/2 {
		t.Error("too little happened")
	}
}

func (r *clockRun) open() {
	r.Helper()
	var err error
	r.store, err = Open(r.Context(), Config{Path: r.path, Now: r.clock.Now, Elapsed: r.clock.Elapsed})
	if err != nil {
		r.Fatal(err)
	}
}

func (r *clockRun) step() {
	r.Helper()
	r.clock.pass(time.Duration(r.Int64N(int64(15 * time.Second))))
	switch n := r.IntN(20); {
	case n < 5:
		r.set()
	case n < 9:
		r.ask()
	case n < 14:
		r.claim()
	case n < 19:
		r.settle()
	default:
		r.takeOver()
	}
}

// set sets the clock, or changes the time zone, which is nothing.
func (r *clockRun) set() {
	if r.IntN(8) == 0 {
		r.clock.zone = time.FixedZone("summer", 3600*r.IntN(3))
		return
	}
	by := clockJumps[r.IntN(len(clockJumps))]
	r.jumps++
	if by < 0 && len(r.held) > 0 {
		r.during++
	}
	r.clock.jump(by)
}

func (r *clockRun) ask() {
	r.Helper()
	person := fmt.Sprintf("person %d", r.IntN(6))
	request := reconcile.Request{Person: person}
	if err := r.store.Enqueue(r.Context(), request); err != nil {
		r.Fatal(err)
	}
	r.asked[person] = true
	delete(r.later, person) // a request for now does not wait
}

// claim takes somebody who is due.
func (r *clockRun) claim() (person string) {
	r.Helper()
	lease := time.Duration(20+r.IntN(100)) * time.Second
	w, err := r.store.Claim(r.Context(), lease)
	now := r.clock.Elapsed()
	for id, h := range r.held { // whose lease is over for good, gone by this
		if now >= h.until+clockSlack {
			r.lost++
			r.attempts[id]++
			r.asked[id] = true
			delete(r.held, id)
			delete(r.later, id)
		}
	}
	if errors.Is(err, reconcile.ErrNotFound) {
		return ""
	}
	if err != nil {
		r.Fatal(err)
	}
	h, working := r.held[w.Person]
	switch {
	case working && now < h.until-clockSlack:
		r.Errorf("%s is given to a second worker %s before the lease of the first one is over", w.Person, h.until-now)
	case working:
		r.lost++
		r.attempts[w.Person]++
	case !r.asked[w.Person]:
		r.Errorf("%s is due, and nobody asked", w.Person)
	case now < r.later[w.Person]-clockSlack:
		r.Errorf("%s is tried %s too early", w.Person, r.later[w.Person]-now)
	}
	if w.Attempts != r.attempts[w.Person] {
		r.Errorf("%s has had %d attempts, and %d are counted", w.Person, r.attempts[w.Person], w.Attempts)
	}
	delete(r.later, w.Person)
	r.held[w.Person] = holding{w, now + lease}
	r.asked[w.Person] = false // what is asked from now on is newer
	return w.Person
}

// settle ends a claim, or has its worker vanish.
func (r *clockRun) settle() {
	r.Helper()
	if len(r.held) == 0 {
		return
	}
	people := slices.Sorted(maps.Keys(r.held))
	person := people[r.IntN(len(people))]
	h, now := r.held[person], r.clock.Elapsed()
	verdict := reconcile.Verdict{State: reconcile.Done}
	wait := time.Duration(r.Int64N(int64(5 * time.Minute)))
	if again := r.IntN(3); again > 0 {
		verdict = reconcile.Verdict{State: reconcile.Later, Due: r.clock.Now().Add(wait), Failed: again == 2, Reason: "later"}
	}
	err := r.store.Settle(r.Context(), h.work, verdict)
	switch {
	case errors.Is(err, reconcile.ErrNotFound) && now >= h.until-clockSlack:
		return // it is over, and the next claim finds that out
	case err != nil:
		r.Errorf("%s settles %s before the lease is over: %v", person, h.until-now, err)
		return
	case now >= h.until+clockSlack:
		r.Errorf("%s settles %s after the lease is over", person, now-h.until)
	}
	delete(r.held, person)
	newer := r.asked[person]
	if verdict.State == reconcile.Done {
		if r.attempts[person] = 0; !newer {
			delete(r.asked, person)
		}
		return
	}
	r.asked[person] = true
	if verdict.Failed {
		r.attempts[person]++
	}
	if !newer { // a request meanwhile is for now
		r.later[person] = now + wait
	}
}

// takeOver ends the process and begins another one, on a machine whose clock is
// five minutes off, or has none until it is set. It cannot begin before. What it
// cannot know is how long nobody ran.
func (r *clockRun) takeOver() {
	r.Helper()
	r.clock.jump(5 * time.Minute * time.Duration(r.IntN(3)-1))
	if s, err := Open(r.Context(), Config{Path: r.path, Now: r.clock.Now, Elapsed: r.clock.Elapsed}); !errors.Is(err, ErrLocked) {
		r.Errorf("two processes use the queue: %v, %v", s, err)
	}
	if err := r.store.Close(); err != nil {
		r.Fatal(err)
	}
	r.set()
	r.open()
	for person := range r.held {
		r.attempts[person]++
		r.asked[person] = true
	}
	clear(r.held)
	clear(r.later)
}

// drain works everything off with a clock that is right again: nobody waits for
// longer than somebody wanted.
func (r *clockRun) drain() {
	r.Helper()
	r.clock.jump(-r.clock.set)
	end := r.clock.Elapsed() + 6*time.Minute
	for r.clock.Elapsed() < end {
		if person := r.claim(); person != "" {
			if err := r.store.Settle(r.Context(), r.held[person].work, reconcile.Verdict{State: reconcile.Done}); err != nil {
				r.Errorf("%s: %v", person, err)
			}
			delete(r.held, person)
			r.attempts[person] = 0
			continue
		}
		for _, h := range r.held {
			if now := r.clock.Elapsed(); now > h.until+clockSlack+time.Second {
				r.Errorf("%s is not given to anybody %s after the lease", h.work.Person, now-h.until)
			}
		}
		due, err := r.store.NextDue(r.Context())
		if errors.Is(err, reconcile.ErrNotFound) {
			break
		}
		if err != nil {
			r.Fatal(err)
		}
		r.clock.pass(cmp.Or(max(due.Sub(r.clock.Now()), 0), time.Millisecond))
	}
	b, err := r.store.Backlog(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if b.Due+b.Waiting+b.Working > 0 {
		r.Errorf("after six minutes: %+v", b)
	}
}

// TestMonotonicClock: a store with the clock of the system can tell that it was
// set. The difference of two times that have Go's monotonic reading never shows
// that, so the moments that are compared have none.
func TestMonotonicClock(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Enqueue(t.Context(), reconcile.Request{Person: "a"}); err != nil {
		t.Fatal(err)
	}
	first := s.passed()
	if wall := s.writer.last.wall; wall.IsZero() || wall != wall.Round(0) {
		t.Errorf("the time of the last transaction is %s", wall)
	}
	if s.passed() <= first {
		t.Error("no time passes")
	}
}
