package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/reconcile"
)

// TestRow plays the rules of a queue on one row, by a clock of small numbers. The suite
// of package storetest has every store keep them.
func TestRow(t *testing.T) {
	t.Parallel()
	ask := func(p reconcile.Priority, trigger reconcile.Trigger) func(*reconcile.Row, int64) {
		return func(r *reconcile.Row, now int64) { r.Request(reconcile.Request{Priority: p, Trigger: trigger}, now) }
	}
	claim := func(r *reconcile.Row, now int64) { r.Claim("token", now+10) }
	settle := func(v reconcile.Verdict) func(*reconcile.Row, int64) {
		return func(r *reconcile.Row, now int64) { r.Settle(v, now) }
	}
	ripen := func(r *reconcile.Row, now int64) { r.Ripen(now, 1) }
	type pending = reconcile.Pending
	const hook, sweep = reconcile.TriggerHook, reconcile.TriggerSweep
	for name, c := range map[string]struct {
		steps []func(*reconcile.Row, int64) // the first at 1, each of the others 5 later
		want  reconcile.Row
	}{
		"asked for twice": {
			[]func(*reconcile.Row, int64){ask(reconcile.Routine, hook), ask(reconcile.Leaver, sweep)},
			reconcile.Row{State: reconcile.StateDue, Generation: 2, Open: pending{Priority: reconcile.Leaver, Due: 1, Since: 1}, Trigger: sweep},
		},
		"done": {
			[]func(*reconcile.Row, int64){ask(reconcile.Joiner, hook), claim, settle(reconcile.Verdict{})},
			reconcile.Row{State: reconcile.StateIdle, Generation: 1, Claimed: 1, Done: 1, Open: pending{Priority: reconcile.Joiner}, Trigger: hook, Ended: 11},
		},
		"asked for during the look": {
			[]func(*reconcile.Row, int64){ask(reconcile.Leaver, hook), claim, ask(reconcile.Routine, sweep), settle(reconcile.Verdict{})},
			reconcile.Row{
				State: reconcile.StateDue, Generation: 2, Claimed: 1, Done: 1, Open: pending{Priority: reconcile.Routine, Due: 11, Since: 11},
				Again: pending{Priority: reconcile.Routine, Due: 11, Since: 11}, Trigger: sweep, Ended: 16,
			},
		},
		"failed": {
			[]func(*reconcile.Row, int64){ask(reconcile.Joiner, hook), claim, settle(reconcile.Verdict{State: reconcile.Later, Failed: true, Reason: "down"})},
			reconcile.Row{State: reconcile.StateDue, Generation: 1, Claimed: 1, Open: pending{Priority: reconcile.Joiner, Due: 11, Since: 1}, Attempts: 1, Trigger: hook, Reason: "down", Ended: 11},
		},
		"given up and asked for": {
			[]func(*reconcile.Row, int64){ask(reconcile.Leaver, hook), claim, settle(reconcile.Verdict{State: reconcile.Dead, Failed: true, Reason: "no"}), ask(reconcile.Routine, sweep)},
			reconcile.Row{State: reconcile.StateDue, Generation: 2, Claimed: 1, Open: pending{Priority: reconcile.Routine, Due: 16, Since: 16}, Trigger: sweep, Ended: 11},
		},
		"within the skew of the lease": {
			[]func(*reconcile.Row, int64){ask(reconcile.Leaver, hook), claim, ripen, ripen},
			reconcile.Row{State: reconcile.StateWorking, Generation: 1, Claimed: 1, Open: pending{Due: 1, Since: 1}, Trigger: hook, Token: "token", LeaseUntil: 16},
		},
		"after the lease": {
			[]func(*reconcile.Row, int64){ask(reconcile.Leaver, hook), claim, ripen, ripen, ripen},
			reconcile.Row{
				State: reconcile.StateDue, Generation: 1, Claimed: 1, Open: pending{Due: 1, Since: 1}, Attempts: 1, Trigger: hook,
				Reason: "the worker vanished while it looked at this person", Ended: 21,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reconcile.Row{State: reconcile.StateIdle}
			now := int64(1)
			for _, step := range c.steps {
				step(&r, now)
				now += 5
			}
			if diff := cmp.Diff(c.want, r); diff != "" {
				t.Errorf("the row (-want +got):\n%s", diff)
			}
		})
	}
}
