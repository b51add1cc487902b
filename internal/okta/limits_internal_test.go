package okta

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

// TestYieldingCalls: questions about those who left must not use up what the System
// Log has, or nobody who joins would be noticed meanwhile.
func TestYieldingCalls(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	b := newBudget(0.5, func() time.Time { return now })
	used := 0
	call := func(yields bool) bool {
		if b.enter(classLogs, yields) > 0 {
			return false
		}
		used++
		b.settle(classLogs, http.Header{
			"X-Rate-Limit-Limit": {"120"}, "X-Rate-Limit-Remaining": {strconv.Itoa(120 - used)},
			"X-Rate-Limit-Reset": {strconv.FormatInt(now.Unix()+60, 10)}, "Date": {now.Format(http.TimeFormat)},
		})
		return true
	}
	questions, others := 0, 0
	for call(true) {
		questions++
	}
	for call(false) {
		others++
	}
	if questions != 45 || others != 15 {
		t.Errorf("%d questions and %d others in a window, want 45 and 15 of our 60", questions, others)
	}
}
