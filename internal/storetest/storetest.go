// Package storetest says what every backend must do: one suite of tests over the
// ports that package reconcile declares for storage. Memory is a backend that
// forgets everything at the end of the process, for tests of those ports' users.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/reconcile"
)

// Backend is what the suite tests: the ports, and the view of the queue that
// people get.
type Backend interface {
	reconcile.Queue
	reconcile.Facts
	reconcile.Index
	reconcile.Intents
	reconcile.Tombstones
	reconcile.Guard
	reconcile.Notes
	reconcile.Journal

	// People gives what the queue holds, ordered by person id.
	People(ctx context.Context, q reconcile.WaitingQuery) ([]reconcile.Waiting, error)
	// Dead gives all dead letters, those that died first coming first.
	Dead(ctx context.Context) ([]reconcile.Waiting, error)
	// Backlog counts it.
	Backlog(ctx context.Context) (reconcile.Backlog, error)
	// Replay makes a dead letter due; ErrNotFound means that the person is none.
	Replay(ctx context.Context, person string) error
	// Drop gives a dead letter up for good: the row becomes idle and its requests
	// count as done. ErrNotFound means that the person is none.
	Drop(ctx context.Context, person string) error
	// Verify reports a *reconcile.BrokenChainError for the first entry of the
	// journal that is not genuine; the empty person stands for everybody, and for
	// the anchors.
	Verify(ctx context.Context, person string) error
	// Anchor records an entry of kind "anchor" and of no person, which ties the
	// chains of everybody together, unless there are none or nothing was recorded
	// since the last one. Record refuses entries of that kind.
	Anchor(ctx context.Context) error
	// Erase takes away what is personal about somebody: that part of the entries
	// of the journal, facts, tombstones, and the changes of hold entries and
	// intents. Ids, digests and chains stay, and Verify still passes.
	Erase(ctx context.Context, person string) (reconcile.Erased, error)

	// Unvouch takes out of a backend that was put back to an earlier moment what must
	// not let anything be taken from people: the marks of complete sweeps, approvals
	// that were not made use of, which wait again, and the right of what took its place
	// to go on. Places count on. It tells how many approvals those were. What is left
	// undone after an error is done when it is repeated.
	Unvouch(ctx context.Context) (approvals int, err error)

	Close() error
}

// anchor is the kind of an entry that Anchor makes.
const anchor = reconcile.EntryAnchor

// Reopener is a Backend that can be closed and opened again with all it stored,
// as a new process would. Without it those tests are left out.
type Reopener interface {
	Reopen(t *testing.T) Backend
}

// Tamperer is a Backend whose journal can be changed behind its back. Without it
// those tests are left out.
type Tamperer interface {
	// Tamper changes the stored entry without any regard to the chain, or
	// removes it if edit is nil.
	Tamper(t *testing.T, seq int64, edit func(*reconcile.Entry))
	// TamperHead changes the end that is kept of a person's chain, or with the
	// zero Head removes it.
	TamperHead(t *testing.T, person string, head reconcile.Head)
}

// Slow is a Backend whose tests run against something that takes milliseconds for
// what the real thing does in none. The tests with thousands of rows divide their
// numbers by Slow.
type Slow interface{ Slow() int }

// scaled is a number of rows as this backend can take it.
func (f *fixture) scaled(n int) int {
	if slow, ok := f.Backend.(Slow); ok {
		return n / slow.Slow()
	}
	return n
}

// Run runs the suite. Open gives an empty backend that takes its time from now;
// the suite closes it.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) Backend) {
	for name, test := range tests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newFixture(t, open))
		})
	}
	for name, test := range map[string]func(*testing.T, func(*testing.T, func() time.Time) Backend){
		"Model": testModel, "ModelGuard": testGuardModel, "ModelState": testStateModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func tests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Claim":            testClaim,
		"Coalesce":         testCoalesce,
		"Priority":         testPriority,
		"Sweep":            testSweep,
		"Delay":            testDelay,
		"HintDuringWork":   testHintDuringWork,
		"DelayDuringWork":  testDelayDuringWork,
		"Attempts":         testAttempts,
		"DeadLetter":       testDeadLetter,
		"LeaseOver":        testLeaseOver,
		"StaleSettle":      testStaleSettle,
		"OneWorker":        testOneWorker,
		"Atomic":           testAtomic,
		"GivenUp":          testGivenUp,
		"ManyAtOnce":       testManyAtOnce,
		"ManyRows":         testManyRows,
		"People":           testPeople,
		"FactsOrder":       testFactsOrder,
		"FactsSupersede":   testFactsSupersede,
		"AllFacts":         testAllFacts,
		"Index":            testIndex,
		"Rebuild":          testRebuild,
		"Intents":          testIntents,
		"Tombstones":       testTombstones,
		"Drop":             testDrop,
		"Erase":            testErase,
		"GuardWindows":     testGuardWindows,
		"GuardGroups":      testGuardGroups,
		"GuardAgain":       testGuardAgain,
		"GuardHolds":       testGuardHolds,
		"GuardAnew":        testGuardAnew,
		"GuardAgents":      testGuardAgents,
		"GuardApprove":     testGuardApprove,
		"GuardReject":      testGuardReject,
		"GuardRest":        testGuardRest,
		"GuardQuery":       testGuardQuery,
		"GuardStays":       testGuardStays,
		"GuardTogether":    testGuardTogether,
		"Unvouch":          testUnvouch,
		"Anchor":           testAnchor,
		"JournalQuery":     testJournalQuery,
		"Notes":            testNotes,
		"Journal":          testJournal,
		"JournalPages":     testJournalPages,
		"JournalTogether":  testJournalTogether,
		"JournalTamper":    testJournalTamper,
		"Reopen":           testReopen,
		"ReopenAbandons":   testReopenAbandons,
		"OddText":          testOddText,
		"RevivedByRequest": testRevivedByRequest,
	}
}

// Clock is a clock that stands still until it is told to advance.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock gives a clock that stands at some moment in 2026.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
}

// Now gives the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, back too if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is one backend with its clock. Its methods end the test on failure.
type fixture struct {
	*testing.T
	Backend
	clock *Clock
}

func newFixture(t *testing.T, open func(t *testing.T, now func() time.Time) Backend) *fixture {
	clock := NewClock()
	f := &fixture{T: t, clock: clock, Backend: open(t, clock.Now)}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

// ask enqueues one request and lets a millisecond pass.
func (f *fixture) ask(r reconcile.Request) {
	f.Helper()
	if r.Trigger == "" {
		r.Trigger = reconcile.TriggerHook
	}
	if err := f.Enqueue(f.Context(), r); err != nil {
		f.Fatalf("enqueue %+v: %v", r, err)
	}
	f.clock.Advance(time.Millisecond)
}

// take claims the person who must be next.
func (f *fixture) take(person string) reconcile.Work {
	f.Helper()
	w, err := f.Claim(f.Context(), time.Minute)
	if err != nil {
		f.Fatalf("claim, want %s: %v", person, err)
	}
	if w.Person != person {
		f.Fatalf("claimed %s, want %s", w.Person, person)
	}
	return w
}

// none demands that nobody is due.
func (f *fixture) none() {
	f.Helper()
	if w, err := f.Claim(f.Context(), time.Minute); !errors.Is(err, reconcile.ErrNotFound) {
		f.Fatalf("claim: got %+v and error %v, want ErrNotFound", w, err)
	}
}

func (f *fixture) settle(w reconcile.Work, v reconcile.Verdict) {
	f.Helper()
	if err := f.Settle(f.Context(), w, v); err != nil {
		f.Fatalf("settle %+v: %v", w, err)
	}
}

// look gives what the queue shows about one person.
func (f *fixture) look(person string) reconcile.Waiting {
	f.Helper()
	list, err := f.People(f.Context(), reconcile.WaitingQuery{Person: person})
	if err != nil || len(list) != 1 {
		f.Fatalf("people of id %s: got %d and error %v, want one", person, len(list), err)
	}
	return list[0]
}

// same compares what a backend gives with what was wanted.
func (f *fixture) same(what string, got, want any) {
	f.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		f.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// reopen is a restart of the process, if the backend knows such a thing.
func (f *fixture) reopen() {
	f.Helper()
	r, ok := f.Backend.(Reopener)
	if !ok {
		f.Skip("this backend does not outlive its process")
	}
	f.Backend = r.Reopen(f.T)
}
