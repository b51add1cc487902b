package reconcile_test

import (
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// What a hold is called is read by people: one is not "1 removals", and a window
// is not "15m0s".
func TestCausesAreWords(t *testing.T) {
	t.Parallel()
	one := reconcile.Limits{StatusCount: 1, StatusShare: 0.01, GroupCount: 1, LongCount: 1, LongShare: 0.01, MoveCount: 1, MoveShare: 0.01}
	of := func(short, long time.Duration) reconcile.Limits {
		l := one
		l.Short, l.Long = short, long
		return l.Complete()
	}
	status, long := reconcile.Counts{Status: 1}, reconcile.Counts{Long: 1}
	for _, c := range []struct {
		name   string
		limits reconcile.Limits
		kind   reconcile.RemovalKind
		counts reconcile.Counts
		want   string
	}{
		{"one removal", of(0, 0), reconcile.RemovalStatus, status, "more than 1 removal in 15 minutes"},
		{"one deletion", of(0, 0), reconcile.RemovalDelete, status, "more than 1 removal in 15 minutes"},
		{"one move", of(0, 0), reconcile.RemovalMove, reconcile.Counts{Moves: 1}, "more than 1 move in 15 minutes"},
		{"one person of a group", of(0, 0), reconcile.RemovalMembership, reconcile.Counts{Group: 1}, "more than 1 person left group 00g1 in 15 minutes"},
		{"the long window", of(0, 0), reconcile.RemovalStatus, long, "more than 1 removal in 24 hours"},
		{"several", reconcile.Limits{}.Complete(), reconcile.RemovalStatus, reconcile.Counts{Status: 5}, "more than 5 removals in 15 minutes"},
		{"several moves", reconcile.Limits{}.Complete(), reconcile.RemovalMove, reconcile.Counts{Moves: 5}, "more than 5 moves in 15 minutes"},
		{"several people of a group", reconcile.Limits{}.Complete(), reconcile.RemovalMembership, reconcile.Counts{Group: 5}, "more than 5 people left group 00g1 in 15 minutes"},
		{"one minute", of(time.Minute, 0), reconcile.RemovalStatus, status, "more than 1 removal in 1 minute"},
		{"one hour and a half", of(90*time.Minute, 0), reconcile.RemovalStatus, status, "more than 1 removal in 1 hour 30 minutes"},
		{"seconds", of(61*time.Second, 0), reconcile.RemovalStatus, status, "more than 1 removal in 1 minute 1 second"},
		{"less than a second", of(1500*time.Millisecond, 0), reconcile.RemovalStatus, status, "more than 1 removal in 1 second 500ms"},
		{"days", of(0, 48*time.Hour), reconcile.RemovalStatus, long, "more than 1 removal in 48 hours"},
		{"a place left", of(0, 0), reconcile.RemovalStatus, reconcile.Counts{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.limits.Exceeded(reconcile.Removal{Kind: c.kind, Group: "00g1", Owned: 10}, c.counts); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	named := reconcile.Removal{Kind: reconcile.RemovalMembership, Group: "00g1", Named: "Agents", Owned: 10}
	if got, want := one.Complete().Exceeded(named, reconcile.Counts{Group: 1}), `more than 1 person left group "Agents" (00g1) in 15 minutes`; got != want {
		t.Errorf("a group whose name is known: got %q, want %q", got, want)
	}
}
