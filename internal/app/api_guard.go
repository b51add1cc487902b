package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"connectroster/internal/reconcile"
)

// How long stays last where nobody says.
const (
	stayAfterRejection   = 7 * 24 * time.Hour
	stayAfterRestoration = 24 * time.Hour
)

// shownHolds is how many holds are listed with ?all=true.
const shownHolds = 1000

// getHolds lists the holds that wait, or with ?all=true those that are over, too.
func (a *App) getHolds(w http.ResponseWriter, r *http.Request) {
	query := reconcile.HoldQuery{Waiting: r.URL.Query().Get("all") != "true", Limit: shownHolds}
	holds, err := a.guard.Holds(r.Context(), query)
	reply(w, list(holds), err)
}

func (a *App) getHold(w http.ResponseWriter, r *http.Request) {
	hold, err := a.hold(r.Context(), r.PathValue("hold"))
	reply(w, hold, err)
}

func (a *App) hold(ctx context.Context, id string) (*reconcile.Hold, error) {
	holds, err := a.guard.Holds(ctx, reconcile.HoldQuery{ID: id})
	if err != nil {
		return nil, err
	}
	if len(holds) == 0 {
		return nil, missingError(fmt.Sprintf("there is no hold %q; connectroster holds list --all shows those that there are", id))
	}
	return &holds[0], nil
}

// decision is the body of an approval or a rejection.
type decision struct {
	People []string `json:"people"` // empty: all that wait
	Why    string   `json:"why,omitempty"`
	Until  string   `json:"until,omitempty"`
}

// Decided is the answer to an approval or a rejection.
type Decided struct {
	Hold    string                `json:"hold"`
	Decided []reconcile.HoldEntry `json:"decided"`
	Waiting int                   `json:"waiting"` // entries that still wait in the hold
	Until   time.Time             `json:"until,omitzero"`
}

func (a *App) approve(w http.ResponseWriter, r *http.Request) {
	var body decision
	if !read(w, r, maxBody, &body) {
		return
	}
	if body.Why != "" || body.Until != "" {
		fail(w, http.StatusBadRequest, errors.New("an approval takes people alone"))
		return
	}
	a.decide(w, r, body, reconcile.Decision{Approve: true})
}

func (a *App) reject(w http.ResponseWriter, r *http.Request) {
	var body decision
	if !read(w, r, maxBody, &body) {
		return
	}
	end, err := until(body.Until, a.now(), stayAfterRejection)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	why := body.Why
	if why == "" {
		why = "rejected in " + r.PathValue("hold")
	}
	a.decide(w, r, body, reconcile.Decision{Stay: reconcile.Stay{Who: operator(r.Context()), Why: why, Since: a.now(), Until: end}})
}

func (a *App) decide(w http.ResponseWriter, r *http.Request, body decision, d reconcile.Decision) {
	patient(w)
	// Once begun it is not left half-done by a client that goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), submitWithin)
	defer cancel()
	people, called, err := a.resolve(ctx, body.People)
	if err != nil {
		reply(w, nil, err)
		return
	}
	d.Hold, d.People, d.By, d.At = r.PathValue("hold"), people, operator(r.Context()), a.now()
	hold, err := a.hold(ctx, d.Hold)
	if err != nil {
		reply(w, nil, err)
		return
	}
	for _, id := range people {
		if !slices.ContainsFunc(hold.Entries, func(e reconcile.HoldEntry) bool { return e.Person == id && e.State == reconcile.HoldWaiting }) {
			fail(w, http.StatusConflict, fmt.Errorf("nothing of %s waits in %s; connectroster holds show %s shows what does", cmp.Or(called[id], id), d.Hold, d.Hold))
			return
		}
	}
	decided, err := a.engine.Decide(ctx, d)
	if err != nil {
		reply(w, nil, err)
		return
	}
	if len(decided) == 0 {
		fail(w, http.StatusConflict, fmt.Errorf("nothing waits in %s that can still be %s; connectroster holds show %s shows what became of it", d.Hold, verdictName(d.Approve), d.Hold))
		return
	}
	a.log.Info("a hold was decided on", "hold", d.Hold, "approved", d.Approve, "people", len(decided), "by", d.By)
	out := Decided{Hold: d.Hold, Decided: list(decided)}
	if !d.Approve {
		out.Until = d.Stay.Until
	}
	if hold, err = a.hold(ctx, d.Hold); err == nil {
		out.Waiting = hold.Waiting(a.now())
	}
	reply(w, out, err)
}

func verdictName(approve bool) string {
	if approve {
		return "approved"
	}
	return "rejected"
}

func (a *App) getStays(w http.ResponseWriter, r *http.Request) {
	stays, err := a.guard.Stays(r.Context())
	reply(w, list(stays), err)
}

// unstay ends the stay of a person early, and looks at them.
func (a *App) unstay(w http.ResponseWriter, r *http.Request) {
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	err := a.endStay(r.Context(), id)
	reply(w, map[string]string{"person": id, "stay": "over"}, err)
}

func (a *App) endStay(ctx context.Context, id string) error {
	stays, err := a.guard.Stays(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stays, func(s reconcile.Stay) bool { return s.Person == id }) {
		return missingError(fmt.Sprintf("there is no stay on %s; connectroster holds stays shows those that there are", id))
	}
	if err := a.guard.Unstay(ctx, id); err != nil {
		return err
	}
	if err := a.note(ctx, reconcile.EntryStay, id, "is no longer to be left alone"); err != nil {
		return err
	}
	return a.backend.Enqueue(ctx, reconcile.Request{Person: id, Priority: reconcile.Leaver, Trigger: reconcile.TriggerPeople})
}

// note records what somebody did about a person.
func (a *App) note(ctx context.Context, kind reconcile.EntryKind, id, reason string) error {
	err := a.backend.Record(ctx, reconcile.Entry{Time: a.now(), Kind: kind, Person: id, By: operator(ctx), Reason: reason, Trigger: reconcile.TriggerPeople})
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

func (a *App) getDead(w http.ResponseWriter, r *http.Request) {
	query := reconcile.WaitingQuery{State: reconcile.StateDead, After: r.URL.Query().Get("after")}
	if err := number(r, "limit", &query.Limit); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	people, err := a.backend.People(r.Context(), query)
	reply(w, list(people), err)
}

// deadPerson is a dead letter, and what led to it.
type deadPerson struct {
	reconcile.Waiting
	Journal []reconcile.Entry `json:"journal"` // newest first
}

func (a *App) getDeadPerson(w http.ResponseWriter, r *http.Request) {
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	out, err := a.deadPerson(r.Context(), id)
	reply(w, out, err)
}

func (a *App) deadPerson(ctx context.Context, id string) (*deadPerson, error) {
	rows, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id, State: reconcile.StateDead})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, notDead(id)
	}
	entries, err := a.backend.Recent(ctx, reconcile.Query{Person: id, Limit: explainEntries})
	return &deadPerson{Waiting: rows[0], Journal: list(entries)}, err
}

// notDead says that somebody is no dead letter.
func notDead(id string) error {
	return missingError(id + " is not among those who were given up; connectroster dead list shows them")
}

// replayDead asks for a dead letter again. Doing so twice is harmless.
func (a *App) replayDead(w http.ResponseWriter, r *http.Request) {
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	err := a.backend.Replay(r.Context(), id)
	if errors.Is(err, reconcile.ErrNotFound) {
		err = notDead(id)
	}
	reply(w, map[string]string{"person": id, "state": string(reconcile.StateDue)}, err)
}

// dropDead gives a dead letter up for good.
func (a *App) dropDead(w http.ResponseWriter, r *http.Request) {
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	ctx := r.Context()
	dead, err := a.deadPerson(ctx, id)
	if err == nil {
		err = a.backend.Drop(ctx, id)
	}
	if err == nil {
		err = a.note(ctx, reconcile.EntryDropped, id, "the dead letter was dropped: "+dead.Reason)
	}
	reply(w, map[string]string{"person": id, "state": string(reconcile.StateIdle)}, err)
}

func (a *App) getJournal(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	query := reconcile.Query{Kind: reconcile.EntryKind(values.Get("kind"))}
	err := errors.Join(number(r, "limit", &query.Limit), number(r, "before", &query.Before), number(r, "after", &query.After))
	if values.Has("after") && query.After == 0 {
		err = errors.Join(err, errors.New("after=0 is not the number of an entry; leave it out"))
	}
	if err == nil && query.Limit > maxEntries {
		err = fmt.Errorf("limit=%d is more than %d", query.Limit, maxEntries)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	if ref := values.Get("person"); ref != "" {
		patient(w)
		ids, _, err := a.resolve(r.Context(), []string{ref})
		if err != nil {
			reply(w, nil, err)
			return
		}
		query.Person = ids[0]
	}
	entries, err := a.backend.Recent(r.Context(), query)
	reply(w, list(entries), err)
}

// maxEntries is how many entries of the journal one answer holds at most.
const maxEntries = 10_000

// Verified is the answer to a verification of the journal.
type Verified struct {
	OK      bool   `json:"ok"`
	Entries int    `json:"entries"` // that were checked, or lie before the bad one
	Chains  int    `json:"chains"`  // one for each person
	Seq     int64  `json:"seq,omitempty"`
	Person  string `json:"person,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// verifyJournal checks the chains of the journal.
func (a *App) verifyJournal(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Person string `json:"person"`
	}
	if !read(w, r, maxBody, &body) {
		return
	}
	patient(w)
	ctx := r.Context()
	id := ""
	if body.Person != "" {
		ids, _, err := a.resolve(ctx, []string{body.Person})
		if err != nil {
			reply(w, nil, err)
			return
		}
		id = ids[0]
	}
	out, err := a.verified(ctx, id)
	reply(w, out, err)
}

func (a *App) verified(ctx context.Context, id string) (*Verified, error) {
	out := &Verified{OK: true}
	err := a.backend.Verify(ctx, id)
	var broken *reconcile.BrokenChainError
	if errors.As(err, &broken) {
		*out, err = Verified{Seq: broken.Seq, Person: broken.Person, Reason: broken.Reason}, nil
	}
	if err != nil {
		return nil, err
	}
	chains := map[string]bool{}
	const page = 1000
	for before := int64(0); ; {
		entries, err := a.backend.Recent(ctx, reconcile.Query{Person: id, Before: before, Limit: page})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if out.OK || e.Seq < out.Seq {
				out.Entries++
				chains[e.Person] = true
			}
			before = e.Seq
		}
		if len(entries) < page {
			out.Chains = len(chains)
			return out, nil
		}
	}
}

// forget erases what is personal of somebody. It is refused while they own an
// agent, since the next look would write it down again.
func (a *App) forget(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Force bool `json:"force"`
	}
	if !read(w, r, maxBody, &body) {
		return
	}
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	ctx := r.Context()
	known, err := a.backend.Agents(ctx, id)
	if err != nil {
		reply(w, nil, err)
		return
	}
	if len(known) > 0 && !body.Force {
		fail(w, http.StatusConflict, fmt.Errorf("person %s still owns agent %s: release it or let it be deleted first, or force it", id, known[0].Agent))
		return
	}
	// A client that goes away does not leave it half-done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), submitWithin)
	defer cancel()
	out := Forgotten{Person: id}
	if out.Erased, err = a.backend.Erase(ctx, id); err == nil {
		err = a.note(ctx, reconcile.EntryForgotten, id, "what is personal was erased")
	}
	reply(w, out, err)
}

// Forgotten is the answer when what is personal of somebody was erased.
type Forgotten struct {
	Person string           `json:"person"`
	Erased reconcile.Erased `json:"erased"`
}
