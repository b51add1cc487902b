package reconcile_test

import (
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// TestHoldNumber: the id of a hold is read as it is written, and no other way.
func TestHoldNumber(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int64{
		"H1": 1, "H42": 42, "H9223372036854775807": 9223372036854775807,
		"": 0, "H": 0, "1": 0, "h1": 0, "H01": 0, "H+1": 0, "H1\t": 0, "Hx": 0, "H9223372036854775808": 0,
	} {
		if got := reconcile.HoldNumber(name); got != want {
			t.Errorf("HoldNumber(%q) = %d, want %d", name, got, want)
		}
	}
	if got := reconcile.HoldName(7); got != "H7" {
		t.Errorf("HoldName(7) = %q", got)
	}
}

// TestDecisionCovers: an approval is of those named and of what has not expired, to the
// microsecond that stores keep; a rejection is of what has expired, too.
func TestDecisionCovers(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	entry := reconcile.HoldEntry{Person: "00u1", Expires: expires}
	for _, c := range []struct {
		d    reconcile.Decision
		want bool
	}{
		{reconcile.Decision{Approve: true, At: expires.Add(-time.Microsecond)}, true},
		{reconcile.Decision{Approve: true, At: expires}, false},
		{reconcile.Decision{Approve: true, At: expires.Add(-time.Nanosecond)}, true},
		{reconcile.Decision{At: expires.Add(time.Hour)}, true},
		{reconcile.Decision{People: []string{"00u2"}}, false},
		{reconcile.Decision{People: []string{"00u2", "00u1"}}, true},
	} {
		if got := c.d.Covers(entry); got != c.want {
			t.Errorf("%+v covers the entry: %t", c.d, got)
		}
	}
}
