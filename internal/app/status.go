package app

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"connectroster/internal/connect"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Status is the state of the program.
type Status struct {
	Name      string            `json:"name"`
	Version   string            `json:"version"`
	Policy    plan.Policy       `json:"policy"`
	Mode      string            `json:"mode"`
	Started   time.Time         `json:"started"`
	Ready     string            `json:"ready"` // "ready", or why not
	Instances []InstanceStatus  `json:"instances"`
	Sweep     SweepStatus       `json:"sweep"`
	CatchUp   *CatchUpStatus    `json:"catch_up,omitempty"` // absent in hook-only mode
	Backlog   reconcile.Backlog `json:"backlog"`
	Hook      okta.HookStats    `json:"hook"`
	Connect   map[string]Calls  `json:"connect"`        // by operation
	Okta      *okta.ClientStats `json:"okta,omitempty"` // calls of its API; absent in hook-only mode
	Outcomes  Outcomes          `json:"outcomes"`
	Guard     GuardStatus       `json:"guard"`
}

// InstanceStatus tells of one Amazon Connect instance.
type InstanceStatus struct {
	Name          string `json:"name,omitempty"` // as the configuration calls it; empty where there is one
	*connect.Info        // absent until it was read
	Error         string `json:"error,omitempty"` // why it could not be read
}

// GuardStatus tells what is kept back.
type GuardStatus struct {
	Holds    int                                `json:"holds"`           // that somebody can decide about
	Waiting  int                                `json:"waiting"`         // changes in them
	Oldest   time.Time                          `json:"oldest,omitzero"` // when the oldest of these was held
	Stays    int                                `json:"stays"`
	Removals map[reconcile.RemovalKind]Removals `json:"removals"` // since the start
	Notices  NoticeStats                        `json:"notices"`
}

// Outcomes counts how looks at people ended since the start.
type Outcomes struct {
	Looks    uint64                 `json:"looks"`
	Changes  map[plan.Action]uint64 `json:"changes"`
	Refusals map[plan.Code]uint64   `json:"refusals"`
	Failed   uint64                 `json:"failed"` // looks that are repeated
	Dead     uint64                 `json:"dead"`
	Slowest  time.Duration          `json:"slowest_ns"` // from request to change
	Total    time.Duration          `json:"total_ns"`   // of all changes
}

// Ready is the Status of a program that can store requests.
const Ready = "ready"

// Status reads the state of the program.
func (a *App) Status(ctx context.Context) (Status, error) {
	backlog, err := a.backend.Backlog(ctx)
	if err != nil {
		return Status{}, err
	}
	status := Status{
		Name: a.cfg.Name, Version: a.version, Policy: a.cfg.Policy, Mode: a.cfg.Mode(), Started: a.started,
		Ready: Ready, Backlog: backlog,
		Hook: a.hook.Stats(), Connect: a.calls.snapshot(), Outcomes: a.counts.snapshot(),
	}
	if err := a.backend.Ready(ctx); err != nil {
		status.Ready = err.Error()
	}
	for _, s := range a.sites {
		one := InstanceStatus{Name: s.name, Info: s.info.Load()}
		if fault := s.fault.Load(); fault != nil {
			one.Error = *fault
		}
		status.Instances = append(status.Instances, one)
	}
	if status.Guard, err = a.guardStatus(ctx); err != nil {
		return Status{}, err
	}
	status.Sweep, status.CatchUp = a.watch.snapshot()
	if a.client == nil {
		status.CatchUp = nil
	} else {
		calls := a.client.Stats()
		status.Okta = &calls
		if caught, err := a.engine.CaughtUp(ctx); err == nil {
			status.CatchUp.Stored = caught.Started
		}
	}
	if swept, err := a.engine.Swept(ctx); err == nil {
		status.Sweep.Last = &swept
	}
	return status, nil
}

// manyHolds is more holds than anybody will ever have at a time.
const manyHolds = 1 << 20

func (a *App) guardStatus(ctx context.Context) (GuardStatus, error) {
	out := GuardStatus{Removals: a.guard.snapshot(), Notices: a.notifier.snapshot()}
	holds, err := a.guard.Holds(ctx, reconcile.HoldQuery{Waiting: true, Limit: manyHolds})
	if err != nil {
		return out, err
	}
	for _, h := range holds {
		out.Holds++
		out.Waiting += len(h.Entries)
		for _, e := range h.Entries {
			if out.Oldest.IsZero() || e.Created.Before(out.Oldest) {
				out.Oldest = e.Created
			}
		}
	}
	stays, err := a.guard.Stays(ctx)
	out.Stays = len(stays)
	return out, err
}

// SweepStatus tells of sweeps.
type SweepStatus struct {
	Last    *reconcile.Swept `json:"last,omitempty"`    // that succeeded, in this process or an earlier one
	Running *reconcile.Swept `json:"running,omitempty"` // how far the present one is
	Error   string           `json:"error,omitempty"`   // why the newest one failed
}

// CatchUpStatus tells of catch-ups since the start.
type CatchUpStatus struct {
	Last     time.Time `json:"last,omitzero"`   // when one last succeeded
	Error    string    `json:"error,omitempty"` // why the newest one failed
	Requests int       `json:"requests"`
	Failed   int       `json:"failed_deliveries"` // that Okta reported
	Gaps     int       `json:"gaps"`

	// Stored is when the last one that succeeded began, in this process or another.
	Stored time.Time `json:"stored,omitzero"`
}

// watch remembers how the backstops fare.
type watch struct {
	mu      sync.Mutex
	running *reconcile.Swept
	sweep   string
	catchUp CatchUpStatus
}

func (w *watch) sweepBegins(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = &reconcile.Swept{Started: now}
}

func (w *watch) progress(s reconcile.Swept) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running != nil { // plans are made by reading everything, too
		w.running = &s
	}
}

func (w *watch) sweepEnds(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.sweep = nil, ""
	if err != nil {
		w.sweep = err.Error()
	}
}

func (w *watch) caughtUp(now time.Time, c reconcile.CaughtUp, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp.Requests += c.Requests
	w.catchUp.Failed += c.Failed
	if c.Gap {
		w.catchUp.Gaps++
	}
	w.catchUp.Error = ""
	if err != nil {
		w.catchUp.Error = err.Error()
		return
	}
	w.catchUp.Last = now
}

func (w *watch) snapshot() (SweepStatus, *CatchUpStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	catchUp := w.catchUp
	return SweepStatus{Running: w.running, Error: w.sweep}, &catchUp
}

// settled counts an outcome and passes it on.
func (a *App) settled(out reconcile.Outcome) {
	a.counts.add(out)
	a.tracker.settled(out)
	if a.observe != nil {
		a.observe(out)
	}
}

// outcomes counts how looks ended.
type outcomes struct {
	mu sync.Mutex
	n  Outcomes
}

func (o *outcomes) add(out reconcile.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n.Changes == nil {
		o.n.Changes, o.n.Refusals = map[plan.Action]uint64{}, map[plan.Code]uint64{}
	}
	o.n.Looks++
	if out.Refusal != nil {
		o.n.Refusals[out.Refusal.Code]++
	}
	for _, action := range out.Actions {
		o.n.Changes[action]++
	}
	if out.Action != "" {
		age := out.Finished.Sub(out.Work.Since)
		o.n.Total += age
		o.n.Slowest = max(o.n.Slowest, age)
	}
	switch {
	case out.Verdict.State == reconcile.Dead:
		o.n.Dead++
	case out.Verdict.Failed:
		o.n.Failed++
	}
}

func (o *outcomes) snapshot() Outcomes {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.n
	n.Changes, n.Refusals = maps.Clone(n.Changes), maps.Clone(n.Refusals)
	if n.Changes == nil {
		n.Changes, n.Refusals = map[plan.Action]uint64{}, map[plan.Code]uint64{}
	}
	return n
}

// Calls counts the calls of one operation of Amazon Connect since the start.
type Calls struct {
	Calls     uint64        `json:"calls"`
	Throttled uint64        `json:"throttled"`
	Failed    uint64        `json:"failed"`    // other than throttled
	Refused   uint64        `json:"refused"`   // of those that failed: the credentials or their rights did not do
	Waited    time.Duration `json:"waited_ns"` // for their turn, all together
	Took      time.Duration `json:"took_ns"`   // all together
}

// calls counts by operation, and tells of refusals.
type calls struct {
	log *slog.Logger

	mu      sync.Mutex
	by      map[string]Calls
	refused map[string]bool // operations that AWS refused last
}

func (c *calls) add(call connect.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch(call)
	if c.by == nil {
		c.by = map[string]Calls{}
	}
	n := c.by[call.Operation]
	n.Calls++
	n.Waited += call.Waited
	n.Took += call.Took
	switch {
	case call.Throttled:
		n.Throttled++
	case call.Failed:
		n.Failed++
	}
	if call.Refused {
		n.Refused++
	}
	c.by[call.Operation] = n
}

// watch logs when AWS begins to refuse calls, and when none is refused any more.
// In between people wait one by one, and the log says no more about it.
func (c *calls) watch(call connect.Call) {
	switch {
	case call.Refused:
		if len(c.refused) == 0 {
			c.log.Error("AWS refuses our calls; trying again every minute: check the credentials and the policy of the role",
				"operation", call.Operation, "status", call.Status, "code", call.Code)
			c.refused = map[string]bool{}
		}
		c.refused[call.Operation] = true
	case !call.Failed && c.refused[call.Operation]:
		delete(c.refused, call.Operation)
		if len(c.refused) == 0 {
			c.log.Info("AWS accepts our calls again")
		}
	}
}

func (c *calls) snapshot() map[string]Calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		return map[string]Calls{}
	}
	return maps.Clone(c.by)
}
