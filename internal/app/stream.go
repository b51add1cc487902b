package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Times of a stream.
const (
	// submitWithin bounds the storing of requests, which goes on without a client. A
	// table in AWS takes a hundred people a second.
	submitWithin = 10 * time.Minute
	// writeWithin bounds the writing of one line to a client.
	writeWithin = 10 * time.Second
	// longWait is how far off a second look must be for a person to count as
	// waiting, and longTry how long looks may be repeated meanwhile.
	longWait = 20 * time.Second
	longTry  = time.Minute
)

// patient takes the deadlines of the server from a request that takes its time.
// What a client does not read is bounded line by line.
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // an answer in process has none
	_ = c.SetWriteDeadline(time.Time{})
}

// stream writes lines of JSON to a client.
type stream struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	err error // of the first write that failed
}

func newStream(w http.ResponseWriter) *stream {
	patient(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, c: http.NewResponseController(w)}
}

func (s *stream) send(l Line) {
	if s.err != nil {
		return
	}
	_ = s.c.SetWriteDeadline(time.Now().Add(writeWithin))
	if s.err = json.NewEncoder(s.w).Encode(l); s.err == nil {
		s.err = s.c.Flush()
	}
}

// errand is something that is carried out by looks at people.
type errand struct {
	people    []string          // Okta ids
	refused   map[string]string // those of them about whom nothing is asked for, with the reason
	names     map[string]string // what to call them
	eta       float64           // seconds, before anything is known; 0: not known
	ownerless map[string]bool   // those of them who are agents without an owner
	order     plan.Action       // by which an order is carried out; empty: it is none
	submit    func(ctx context.Context) error
}

// carryOut has people looked at and tells the client how each look ended. A
// client that goes away ends the telling and not the work.
func (a *App) carryOut(w http.ResponseWriter, r *http.Request, e errand) {
	watcher, began := a.tracker.watch(e.people), a.now()
	defer watcher.stop()
	storing, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), submitWithin)
	defer cancel()
	before := a.newest(storing)
	if err := e.submit(storing); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	wanted, err := a.generations(storing, e.people)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	t := telling{
		stream: newStream(w), app: a, errand: e, wanted: wanted, started: began, before: before,
		open: map[string]*attempt{}, summary: Summary{Total: len(e.people), Results: map[Result]int{}, Actions: map[plan.Action]int{}},
	}
	for _, id := range e.people {
		if reason, refused := e.refused[id]; refused {
			t.tell(Settled{Person: id, Result: ResultRefused, Reason: reason})
			continue
		}
		t.open[id] = &attempt{}
	}
	t.run(r.Context(), watcher)
}

// newest gives the number of the journal's newest entry. Where it cannot be read nothing
// counts as new.
func (a *App) newest(ctx context.Context) int64 {
	entries, err := a.backend.Recent(ctx, reconcile.Query{Limit: 1})
	switch {
	case err != nil:
		a.log.Warn("cannot see where the journal ends", "error", err)
		return math.MaxInt64
	case len(entries) == 0:
		return 0
	}
	return entries[0].Seq
}

// generations gives the newest request about each person: what is told must
// come from a look that covers it.
func (a *App) generations(ctx context.Context, people []string) (map[string]int64, error) {
	out := make(map[string]int64, len(people))
	for _, id := range people {
		rows, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id})
		if err != nil {
			return nil, fmt.Errorf("read the queue: %w", err)
		}
		if len(rows) > 0 {
			out[id] = rows[0].Generation
		}
	}
	return out, nil
}

// telling is a stream about an errand.
type telling struct {
	*stream
	app     *App
	errand  errand
	wanted  map[string]int64
	started time.Time
	before  int64               // the number of the journal's newest entry when it began
	open    map[string]*attempt // of those who are not settled
	at      int                 // whose row is looked at next
	summary Summary
}

// attempt is what is known of a person who is not settled.
type attempt struct {
	since   time.Time // of the first look; zero: there was none
	last    reconcile.Outcome
	actions []plan.Action
	ended   bool // by the row; a second later it is told
}

func (t *telling) run(ctx context.Context, watcher *watcher) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	t.progress()
	for len(t.open) > 0 && t.err == nil {
		select {
		case <-ctx.Done():
			return
		case <-t.app.stopped:
			t.send(Line{Error: "the daemon is stopping; what is not done yet goes on when it runs again"})
			return
		case <-watcher.news:
			for _, out := range watcher.take() {
				t.take(out)
			}
		case <-tick.C:
			t.elsewhere(ctx)
			t.overdue()
			t.progress()
		}
	}
	t.progress()
	t.summary.Took = t.app.now().Sub(t.started).Seconds()
	t.send(Line{Summary: &t.summary})
}

// take judges an outcome.
func (t *telling) take(out reconcile.Outcome) {
	a, open := t.open[out.Work.Person]
	if !open {
		return
	}
	a.actions = append(a.actions, out.Actions...)
	if t.errand.order != "" && slices.Contains(out.Actions, t.errand.order) && out.Verdict.State == reconcile.Done {
		// A look that had begun before the request was stored has carried it out; what
		// the rules say of it afterwards is another matter.
		a.last = out
		t.settle(out.Work.Person, a)
		return
	}
	if out.Work.Generation < t.wanted[out.Work.Person] {
		return
	}
	if a.since.IsZero() {
		a.since = out.Finished
	}
	a.last = out
	switch {
	case out.Verdict.State == reconcile.Later && out.Refusal == nil:
		if out.Verdict.Due.Sub(out.Finished) < longWait && out.Finished.Sub(a.since) < longTry {
			return // it may well be done in a moment
		}
		t.settle(out.Work.Person, a)
	default:
		t.settle(out.Work.Person, a)
	}
}

// overdue gives up waiting for people who were looked at for long enough.
func (t *telling) overdue() {
	now := t.app.now()
	for id, a := range t.open {
		if !a.since.IsZero() && now.Sub(a.since) > longTry+longWait {
			t.settle(id, a)
		}
	}
}

// settle tells how it ended for a person.
func (t *telling) settle(id string, a *attempt) {
	delete(t.open, id)
	out := Settled{Person: id, Actions: a.actions}
	out.Result, out.Reason = result(a.last)
	t.tell(out)
}

func (t *telling) tell(out Settled) {
	out.Username, out.Actions = t.errand.names[out.Person], list(out.Actions)
	t.summary.Results[out.Result]++
	for _, action := range out.Actions {
		t.summary.Actions[action]++
	}
	t.send(Line{Outcome: &out})
}

// result says in one word how a look ended.
func result(out reconcile.Outcome) (Result, string) {
	reason := ""
	if out.Refusal != nil {
		reason = out.Refusal.Reason
	}
	switch {
	case out.Verdict.State == reconcile.Dead:
		return ResultDead, out.Verdict.Reason
	case out.Refusal != nil && out.Refusal.Code == plan.Held:
		return ResultHeld, reason
	case out.Refusal != nil && out.Refusal.Code == plan.Stayed:
		return ResultStayed, reason
	case out.Refusal != nil:
		return ResultRefused, reason
	case out.Verdict.Failed:
		return ResultFailed, out.Verdict.Reason
	case out.Verdict.State == reconcile.Later:
		return ResultWaiting, out.Verdict.Reason
	case len(out.Actions) == 0:
		return ResultDone, "nothing was left to do"
	}
	return ResultDone, ""
}

// progress tells how far it is.
func (t *telling) progress() {
	p := Progress{Done: t.summary.Total - len(t.open), Total: t.summary.Total, ETA: t.errand.eta}
	took := t.app.now().Sub(t.started).Seconds()
	switch {
	case p.Done == p.Total:
		p.ETA = 0
	case p.Done > 0:
		p.ETA = took / float64(p.Done) * float64(p.Total-p.Done)
	default:
		p.ETA = max(0, p.ETA-took)
	}
	t.send(Line{Progress: &p})
}

// errNobody says that there is nobody to do something about.
var errNobody = errors.New("nobody is named: give people, or all")
