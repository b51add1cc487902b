package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// TestTold: what is stored of somebody is told of the look that was asked for, and not of
// another one.
func TestTold(t *testing.T) {
	t.Parallel()
	const id = "00uSomebody"
	refusal := reconcile.Entry{Seq: 3, Kind: reconcile.EntryRefusal, Code: plan.ProfileUnknown, Reason: "the instance lacks the profile"}
	release := reconcile.Entry{Seq: 6, Kind: reconcile.EntryChange, Action: plan.Release}
	after := reconcile.Entry{Seq: 7, Kind: reconcile.EntryRefusal, Code: plan.ExistsNotOurs, Reason: "the agent is nobody's"}
	hold := []reconcile.Hold{{ID: "H1", Cause: "many", Entries: []reconcile.HoldEntry{{Person: id, Action: plan.Suspend, Reason: "left", State: reconcile.HoldWaiting}}}}
	done := reconcile.Verdict{State: reconcile.Done}
	for name, c := range map[string]struct {
		order   plan.Action
		verdict reconcile.Verdict
		entries []reconcile.Entry
		holds   []reconcile.Hold
		want    Result
		actions []plan.Action
	}{
		"nothing":                       {verdict: done, want: ResultDone},
		"a refusal that still holds":    {verdict: done, entries: []reconcile.Entry{refusal}, want: ResultRefused},
		"a stay of the same order":      {order: plan.Resume, verdict: done, entries: []reconcile.Entry{{Seq: 8, Kind: reconcile.EntryStay}, refusal}, want: ResultRefused},
		"held":                          {verdict: done, holds: hold, want: ResultHeld},
		"waits because of the refusal":  {verdict: reconcile.Verdict{State: reconcile.Later, Reason: "instance a: the instance lacks the profile"}, entries: []reconcile.Entry{refusal}, want: ResultRefused},
		"waits for something else":      {verdict: reconcile.Verdict{State: reconcile.Later, Reason: "throttled"}, entries: []reconcile.Entry{refusal}, holds: hold, want: ResultWaiting},
		"failed":                        {verdict: reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "broken"}, entries: []reconcile.Entry{refusal}, holds: hold, want: ResultFailed},
		"what was done before":          {verdict: done, entries: []reconcile.Entry{{Seq: 5, Kind: reconcile.EntryChange, Action: plan.Update}}, want: ResultDone},
		"done, and then the rules say":  {order: plan.Release, verdict: done, entries: []reconcile.Entry{after, release, refusal}, want: ResultDone, actions: []plan.Action{plan.Release}},
		"another order than was obeyed": {order: plan.Resume, verdict: done, entries: []reconcile.Entry{after, release}, want: ResultRefused, actions: []plan.Action{plan.Release}},
	} {
		a := &attempt{last: reconcile.Outcome{Verdict: c.verdict}}
		a.told(id, c.order, 5, c.entries, c.holds)
		if got, reason := result(a.last); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, reason, c.want)
		}
		if diff := cmp.Diff(c.actions, a.actions); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", name, diff)
		}
	}
}
