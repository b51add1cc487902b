package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// rowsAtOnce is how many rows of people who were not told of are looked at each
// second. A table in AWS takes hundreds; who is carried out elsewhere comes by no faster
// than Amazon Connect lets them.
const rowsAtOnce = 25

// elsewhere tells of people whom another process has looked at. On a table in AWS the
// functions and every command take from the same queue, and the tracker hears of its
// own process alone; the row and the journal say how it ended.
func (t *telling) elsewhere(client context.Context) {
	ctx, cancel := context.WithTimeout(client, 10*time.Second)
	defer cancel()
	for looked, passed := 0, 0; looked < rowsAtOnce && passed < len(t.errand.people); passed++ {
		id := t.errand.people[t.at%len(t.errand.people)]
		t.at++
		a, open := t.open[id]
		if !open {
			continue
		}
		looked++
		rows, err := t.app.backend.People(ctx, reconcile.WaitingQuery{Person: id})
		if client.Err() != nil {
			return
		}
		if err != nil {
			t.app.log.Warn("cannot see whether somebody else has done what was asked for", "error", err)
			return
		}
		if len(rows) == 0 {
			continue
		}
		row := rows[0]
		out := reconcile.Outcome{Work: reconcile.Work{Person: id, Generation: row.Generation}, Finished: row.Last}
		switch now := t.app.now(); {
		case row.Done >= t.wanted[id]:
			out.Verdict.State = reconcile.Done
		case row.State == reconcile.StateDead:
			out.Verdict = reconcile.Verdict{State: reconcile.Dead, Reason: row.Reason}
		case row.State == reconcile.StateWaiting:
			out.Verdict = reconcile.Verdict{State: reconcile.Later, Due: row.Due, Reason: row.Reason, Failed: row.Attempts > 0}
			if a.since.IsZero() {
				a.since = now
			}
			if row.Due.Sub(row.Last) < longWait && now.Sub(a.since) < longTry {
				a.last = out // it may well be done in a moment
				continue
			}
		default:
			a.ended = false
			continue
		}
		if !a.ended { // the own process may be about to tell, and knows more
			a.ended = true
			continue
		}
		a.last = out
		if err := t.learn(ctx, id, a); err != nil {
			t.app.log.Warn("cannot see how it ended for somebody", "error", err)
			continue
		}
		t.settle(id, a)
	}
}

// learn finds out from what is stored what was done for somebody, and what was refused.
func (t *telling) learn(ctx context.Context, id string, a *attempt) error {
	entries, err := t.app.backend.Recent(ctx, reconcile.Query{Person: id, Limit: explainEntries})
	if err != nil {
		return err
	}
	holds, err := t.app.guard.Holds(ctx, reconcile.HoldQuery{Person: id})
	if err != nil {
		return err
	}
	a.told(id, t.errand.order, t.before, entries, holds)
	return nil
}

// told puts into an attempt what the journal, the newest entry first, and the holds say
// of somebody. News are the entries after a number, whatever clock they were written by.
// A refusal that still holds is no news, so the newest entry counts, however old it is,
// stays apart, which an order puts there itself. It does not count for a look that was cut
// short, unless it is why the person waits, nor after an order that was carried out, of
// which the rules may say something else by now.
func (a *attempt) told(id string, order plan.Action, before int64, entries []reconcile.Entry, holds []reconcile.Hold) {
	a.actions = nil
	for _, e := range slices.Backward(entries) {
		if e.Kind == reconcile.EntryChange && e.Seq > before {
			a.actions = append(a.actions, e.Action)
		}
	}
	a.last.Actions = a.actions
	verdict := &a.last.Verdict
	if order != "" && slices.Contains(a.actions, order) && verdict.State == reconcile.Done {
		return
	}
	done := verdict.State == reconcile.Done
	said := slices.IndexFunc(entries, func(e reconcile.Entry) bool { return e.Kind != reconcile.EntryStay })
	if said >= 0 && entries[said].Kind == reconcile.EntryRefusal {
		if e := entries[said]; done || !verdict.Failed && e.Reason != "" && strings.Contains(verdict.Reason, e.Reason) {
			a.last.Refusal = &plan.Refusal{Person: id, Code: e.Code, Reason: e.Reason}
		}
	}
	for _, h := range holds {
		for _, e := range h.Entries {
			if done && e.Person == id && e.State == reconcile.HoldWaiting {
				a.last.Refusal = &plan.Refusal{Person: id, Code: plan.Held, Reason: fmt.Sprintf("%s (%s) is held in %s: %s", e.Action, e.Reason, h.ID, h.Cause)}
			}
		}
	}
}
