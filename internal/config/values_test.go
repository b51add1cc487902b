package config_test

import (
	"testing"
	"time"

	"connectroster/internal/config"
)

// TestNextTimeOfDay goes through ordinary days, and a year with its two changes
// of the clock.
func TestNextTimeOfDay(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this machine has no time zones: ", err)
	}
	const half2 = config.TimeOfDay(2*60 + 30)
	tests := []struct {
		name, now, want string
		at              config.TimeOfDay
	}{
		{"later today", "2026-11-24T01:00:00+01:00", "2026-11-24T02:30:00+01:00", half2},
		{"a moment ago", "2026-11-24T02:30:01+01:00", "2026-11-25T02:30:00+01:00", half2},
		{"just now", "2026-11-24T02:30:00+01:00", "2026-11-25T02:30:00+01:00", half2},
		{"midnight", "2026-12-31T23:59:59+01:00", "2027-01-01T00:00:00+01:00", 0},
		{"end of February", "2028-02-28T12:00:00+01:00", "2028-02-29T02:30:00+01:00", half2},
		{"now of another zone", "2026-11-24T00:30:00Z", "2026-11-24T02:30:00+01:00", half2},
		{"a night without it", "2026-03-29T00:00:00+01:00", "2026-03-29T03:30:00+02:00", half2},
	}
	for _, test := range tests {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := test.at.Next(now.In(berlin)).Format(time.RFC3339); got != test.want {
			t.Errorf("%s: got %s after %s, want %s", test.name, got, test.now, test.want)
		}
	}

	// Once a day, also in the nights in which the clock is set.
	last := time.Date(2025, 12, 31, 12, 0, 0, 0, berlin)
	for day := range 365 {
		next := half2.Next(last)
		if next.Year() != 2026 || next.YearDay() != day+1 {
			t.Fatalf("got %s after %s, want one on day %d of 2026", next, last, day+1)
		}
		last = next
	}
}
