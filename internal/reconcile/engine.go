// Package reconcile is the engine. Given the id of a person it reads the
// directory and Amazon Connect now, lets package plan decide, makes the change
// and writes the journal. Whoever asks only says "look at this person", so
// asking twice, late or out of order does no harm.
//
// It declares the ports it needs and the classes of errors that steer it.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
)

// Config is what an Engine works with. The fields up to Journal are required.
type Config struct {
	Settings   plan.Settings
	Directory  Directory
	Instances  []Site // in the order in which they are visited
	Queue      Queue
	Index      Index
	Intents    Intents
	Notes      Notes
	Tombstones Tombstones
	Guard      Guard
	Journal    Journal

	Feed Feed // for CatchUp; nil where there is none
	// SweepsApart says that another process sweeps: CatchUp then leaves to it what
	// only a sweep can answer, by a note that Owed reads, and a sweep asks nothing for
	// the sake of looks.
	SweepsApart bool

	// Scope names what the configuration says of who is to be an agent and as
	// what. A sweep under another one is a first sweep: what it wants to remove
	// must be approved.
	Scope           string
	Limits          Limits        // of what may go without approval; zero values are the defaults
	WaitForContacts time.Duration // how long moves and deletions wait for the end of a contact; 0: not at all

	Lease    time.Duration   // of one claim; default 2 minutes
	Timeout  time.Duration   // of one look at a person, below Lease; default 90 seconds
	Attempts int             // failures before a person becomes a dead letter; default 100, some 8 hours of an outage
	Looks    []time.Duration // when to look for an agent after a lost answer, from the call on; default 2, 10, 60 seconds
	Lag      time.Duration   // how long a new agent may stay unseen in Amazon Connect; default 15 minutes

	Log     *slog.Logger
	Now     func() time.Time
	Random  func() float64 // in [0, 1), for jitter
	Observe func(Outcome)  // called after each settled claim, from the worker's goroutine

	Progress func(Swept)  // called now and then while a sweep reads; may be nil
	Notify   func(Notice) // called when something waits for a person's decision; must not block; may be nil
}

// Site is an instance under the name that the configuration gives it, which is
// empty where there is one.
type Site struct {
	Name     string
	Instance Instance
}

// about names the instance in an error, where there are several.
func (s Site) about(err error) error {
	if err == nil || s.Name == "" {
		return err
	}
	return fmt.Errorf("instance %s: %w", s.Name, err)
}

// Engine looks at people. It is safe for concurrent use.
type Engine struct {
	Config
	sweeping chan struct{} // holds one token: whoever has it may sweep
}

// Outcome tells how one look at a person ended.
type Outcome struct {
	Work     Work
	Agent    string        // Connect UserId, if the person has an agent now
	Action   plan.Action   // the last change that was made; empty if none
	Actions  []plan.Action // all changes that were made
	Refusal  *plan.Refusal // what was refused
	Err      error         // why the person is not done
	Verdict  Verdict
	Took     time.Duration // of this look
	Finished time.Time
}

// New checks the configuration and fills in the defaults.
func New(c Config) (*Engine, error) {
	for name, missing := range map[string]bool{
		"Directory": c.Directory == nil, "Instances": len(c.Instances) == 0, "Queue": c.Queue == nil,
		"Index": c.Index == nil, "Intents": c.Intents == nil, "Notes": c.Notes == nil, "Tombstones": c.Tombstones == nil,
		"Guard": c.Guard == nil, "Journal": c.Journal == nil,
	} {
		if missing {
			return nil, fmt.Errorf("engine: %s is missing", name)
		}
	}
	c.Lease = positive(c.Lease, 2*time.Minute)
	c.Timeout = positive(c.Timeout, 90*time.Second)
	if c.Timeout >= c.Lease {
		return nil, fmt.Errorf("engine: the timeout of a look (%s) must be shorter than its lease (%s)", c.Timeout, c.Lease)
	}
	c.Lag = positive(c.Lag, 15*time.Minute)
	if c.Attempts <= 0 {
		c.Attempts = 100
	}
	if len(c.Looks) == 0 {
		c.Looks = []time.Duration{2 * time.Second, 10 * time.Second, time.Minute}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Observe == nil {
		c.Observe = func(Outcome) {}
	}
	if c.Progress == nil {
		c.Progress = func(Swept) {}
	}
	if c.Notify == nil {
		c.Notify = func(Notice) {}
	}
	c.Limits = c.Limits.Complete()
	e := &Engine{Config: c, sweeping: make(chan struct{}, 1)}
	e.sweeping <- struct{}{}
	return e, nil
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// Work claims one person who is due, looks at them and settles the claim.
// ErrNotFound means that nobody is due. A person who cannot be finished is no
// error: that is what the verdict is for.
func (e *Engine) Work(ctx context.Context) error {
	work, err := e.Queue.Claim(ctx, e.Lease)
	if err != nil {
		return err
	}
	return e.WorkOn(ctx, work)
}

// WorkOn looks at a person who was claimed already, and settles the claim. The look
// ends when ctx does, and the claim is settled all the same.
func (e *Engine) WorkOn(ctx context.Context, work Work) error {
	failpoint.Hit(failpoint.WorkClaimed)

	started := e.Now()
	out := Outcome{Err: Terminal(fmt.Errorf("gave up after %d attempts, the last of which never ended", work.Attempts))}
	if work.Attempts < e.Attempts { // more are had by a person whose looks end the process
		out = e.attempt(ctx, work)
	}
	out.Took = e.Now().Sub(started)
	out.Work = work
	out.Verdict = e.judge(work, out.Err)

	// The claim is settled even when the program is told to stop meanwhile.
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := e.Queue.Settle(settling, work, out.Verdict)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("settle person %s: %w", work.Person, err)
	}
	failpoint.Hit(failpoint.WorkSettled)
	out.Finished = e.Now()
	e.report(out)
	e.Observe(out)
	return nil
}

// attempt is one look, with a time limit. A panic concerns this person alone.
func (e *Engine) attempt(ctx context.Context, work Work) (out Outcome) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error("panic while looking at a person", "person", work.Person, "stack", string(debug.Stack()))
			out = Outcome{Err: Terminal(errors.New("internal error: the program panicked on this person; see the log"))}
		}
	}()
	l := look{Engine: e, work: work, started: e.Now()}
	err := l.run(ctx)
	l.out.Err = err
	return l.out
}

// Backoff limits: full jitter between nothing and the smaller of cap and
// base * 2^attempts.
const (
	backoffBase = time.Second
	backoffCap  = 10 * time.Minute
)

// judge turns an error into what happens to the claim.
func (e *Engine) judge(work Work, err error) Verdict {
	now := e.Now()
	wait, waits := AsAfter(err)
	switch {
	case err == nil:
		return Verdict{State: Done}
	case IsTerminal(err):
		return Verdict{State: Dead, Failed: work.Attempts < e.Attempts, Reason: err.Error()} // beyond that there was no look
	case waits:
		return Verdict{State: Later, Due: now.Add(wait), Reason: err.Error()}
	case errors.Is(err, context.Canceled):
		return Verdict{State: Later, Due: now, Reason: "stopped in the middle"}
	case work.Attempts+1 >= e.Attempts:
		return Verdict{State: Dead, Failed: true, Reason: fmt.Sprintf("gave up after %d attempts: %v", work.Attempts+1, err)}
	}
	limit := min(backoffCap, backoffBase<<min(work.Attempts, 20))
	return Verdict{State: Later, Due: now.Add(time.Duration(e.Random() * float64(limit))), Failed: true, Reason: err.Error()}
}

// report writes the one log line of an outcome.
func (e *Engine) report(out Outcome) {
	at := []any{"person", out.Work.Person, "took", out.Took.Round(time.Millisecond)}
	if out.Agent != "" {
		at = append(at, "agent", out.Agent)
	}
	if out.Action != "" {
		at = append(at, "action", out.Action)
	}
	switch {
	case out.Verdict.State == Dead:
		e.Log.Error("given up: now a dead letter", append(at, "reason", out.Verdict.Reason)...)
	case out.Refusal != nil && out.Refusal.Code == plan.NotEntitled && out.Refusal.Agent == "":
		e.Log.Debug("no agent, and none is wanted", append(at, "reason", out.Refusal.Reason)...)
	case out.Refusal != nil:
		e.Log.Warn("refused", append(at, "code", out.Refusal.Code, "reason", out.Refusal.Reason)...)
	case out.Verdict.Failed:
		e.Log.Warn("failed, will try again", append(at, "attempt", out.Work.Attempts+1, "due", out.Verdict.Due, "reason", out.Verdict.Reason)...)
	case out.Verdict.State == Later:
		e.Log.Info("waiting", append(at, "due", out.Verdict.Due, "reason", out.Verdict.Reason)...)
	case out.Action != "":
		e.Log.Info("changed", at...)
	default:
		e.Log.Debug("nothing to do", at...)
	}
}
