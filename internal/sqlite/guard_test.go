package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

func (s subject) reserve(t *testing.T, person string, edit func(*reconcile.Removal)) reconcile.Reservation {
	t.Helper()
	r := reconcile.Removal{Kind: reconcile.RemovalStatus, Person: person, Hash: person, Owned: 10, At: s.now()}
	if edit != nil {
		edit(&r)
	}
	got, err := s.Reserve(t.Context(), r, reconcile.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s subject) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := s.read.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPlacesArePruned takes a place an hour for a week: those of the last day
// are kept.
func TestPlacesArePruned(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	many := func(r *reconcile.Removal) { r.Owned = 1000 }
	for i := range 7 * 24 {
		if got := s.reserve(t, fmt.Sprint(i), many); got.State != reconcile.ReservationGranted {
			t.Fatalf("place %d: %+v", i, got)
		}
		clock.Advance(time.Hour)
	}
	if n := s.count(t, `SELECT count(*) FROM places`); n != 24 {
		t.Errorf("%d places are kept, want 24", n)
	}
	// A busy day leaves many, which go little by little.
	clock.Advance(time.Hour)
	for i := range 1200 {
		s.reserve(t, fmt.Sprint("busy", i), func(r *reconcile.Removal) { r.Owned = 100_000 })
	}
	clock.Advance(25 * time.Hour)
	for i := range 5 {
		s.reserve(t, fmt.Sprint("after", i), nil)
	}
	if n := s.count(t, `SELECT count(*) FROM places`); n != 5 {
		t.Errorf("%d places are kept, want 5", n)
	}
}

// TestGuardClockGoesBack has a clock that was ahead for a while: what was taken
// then counts, and for no longer than a window from now.
func TestGuardClockGoesBack(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{time.Minute, 20 * time.Hour, 10 * 365 * 24 * time.Hour} {
		for _, reopened := range []bool{false, true} {
			clock := storetest.NewClock()
			s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
			start := clock.Now()
			s.reserve(t, "before", nil)
			clock.Advance(ahead)
			for i := range 4 {
				s.reserve(t, fmt.Sprint("ahead", i), nil)
			}
			clock.Advance(start.Add(time.Second).Sub(clock.Now()))
			if reopened {
				s = s.Reopen(t).(subject)
			}
			granted := 0
			for i := range 10 {
				if s.reserve(t, fmt.Sprint("after", i), nil).State == reconcile.ReservationGranted {
					granted++
				}
			}
			if most := 1; granted > most {
				t.Errorf("ahead by %s, reopened %v: %d more were let go, want at most %d", ahead, reopened, granted, most)
			}
			many := func(r *reconcile.Removal) { r.Owned = 1000 }
			clock.Advance(15*time.Minute - time.Microsecond)
			granted = 0
			for i := range 100 {
				if s.reserve(t, fmt.Sprint("later", i), many).State == reconcile.ReservationGranted {
					granted++
				}
			}
			if granted > 96 {
				t.Errorf("ahead by %s: %d were let go while four places still counted", ahead, granted)
			}
			clock.Advance(24 * time.Hour)
			if got := s.reserve(t, "last", nil); got.State != reconcile.ReservationGranted {
				t.Errorf("ahead by %s: a day later nobody is let go: %+v", ahead, got)
			}
		}
	}
}

// TestPlacesDoNotDependOnOrder has workers whose idea of now differs: a place is
// never counted for less than its window.
func TestPlacesDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	start := clock.Now()
	clock.Advance(time.Minute)
	for i := range 5 {
		s.reserve(t, fmt.Sprint(i), func(r *reconcile.Removal) { r.At = start.Add(time.Duration(60-10*i) * time.Second) })
	}
	clock.Advance(15*time.Minute - time.Microsecond)
	if got := s.reserve(t, "x", nil); got.State != reconcile.ReservationHeld {
		t.Errorf("within the window: %+v", got)
	}
	clock.Advance(time.Microsecond)
	if got := s.reserve(t, "y", func(r *reconcile.Removal) { r.Owned = 30 }); got.State != reconcile.ReservationGranted {
		t.Errorf("after the window: %+v", got)
	}
}
