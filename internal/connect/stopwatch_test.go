package connect

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// twoClocks are those of a fake machine.
type twoClocks struct {
	day     time.Time
	process time.Duration
}

func (c *twoClocks) pass(day, process time.Duration) {
	c.day, c.process = c.day.Add(day), c.process+process
}

// TestLimiterClocks: turns are counted by the time that has passed, while the process
// was frozen as well, and no clock that is set gives more than one burst, or has
// anybody wait for longer than one turn takes, or than a pause lasts.
func TestLimiterClocks(t *testing.T) {
	t.Parallel()
	const second, hour = time.Second, time.Hour
	for name, c := range map[string]struct {
		before       func(l *limiter) // once the burst is used up
		day, process time.Duration    // that pass on the two clocks
		want         int              // turns at once after that
		most         time.Duration    // the wait for the next
	}{
		"no time":                  {want: 0, most: second},
		"half a second":            {day: second / 2, process: second / 2, want: 0, most: second},
		"two seconds":              {day: 2 * second, process: 2 * second, want: 2, most: second},
		"frozen for two seconds":   {day: 2 * second, want: 2, most: second},
		"frozen for long":          {day: 10 * hour, want: 4, most: second},
		"put back":                 {day: -hour, process: second, want: 1, most: second},
		"put back by years":        {day: -87600 * hour, process: second, want: 1, most: second},
		"put forward by years":     {day: 87600 * hour, process: second, want: 4, most: second},
		"put back in a pause":      {before: func(l *limiter) { l.pause(3 * second) }, day: -hour, process: second, want: 0, most: 2 * second},
		"frozen in a pause":        {before: func(l *limiter) { l.pause(3 * second) }, day: 10 * second, want: 4, most: second},
		"clocks that differ a bit": {day: second + 50*time.Millisecond, process: second, want: 1, most: second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clocks := &twoClocks{day: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
				l := newLimiter(1/0.999, 5) // one a second, four at once
				l.watch.read = func() (time.Time, time.Duration) { return clocks.day, clocks.process }
				turns := func() (n int, wait time.Duration) {
					t.Helper()
					ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond) // by the clock of the bubble, which stands still
					defer cancel()
					for ; ; n++ {
						_, err := l.wait(ctx)
						if err == nil {
							continue
						}
						late, ok := errors.AsType[*unsent](err)
						if !ok || !errors.Is(err, errTurnTooLate) {
							t.Fatal(err)
						}
						return n, late.wait
					}
				}
				if n, _ := turns(); n != 4 {
					t.Fatalf("%d turns at first, want 4", n)
				}
				if c.before != nil {
					c.before(l)
				}
				clocks.pass(c.day, c.process)
				if n, wait := turns(); n != c.want || wait > c.most+time.Millisecond {
					t.Errorf("%d turns and then a wait of %s, want %d and %s at most", n, wait, c.want, c.most)
				}
				clocks.pass(second, second) // and on it goes
				if n, _ := turns(); c.before == nil && n != 1 && c.day != second/2 {
					t.Errorf("%d turns in the second after that, want 1", n)
				}
			})
		})
	}
}

// TestStopwatch never goes back, and reads the clocks of the machine by itself.
func TestStopwatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s stopwatch
		start := s.now()
		time.Sleep(3 * time.Second) // of the bubble
		if passed := s.now().Sub(start); passed != 3*time.Second {
			t.Errorf("%s have passed, want 3s", passed)
		}
	})
	clocks := &twoClocks{day: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	s := stopwatch{read: func() (time.Time, time.Duration) { return clocks.day, clocks.process }}
	last := s.now()
	for _, day := range []time.Duration{-time.Hour, time.Hour, -time.Millisecond, 2 * time.Hour, -87600 * time.Hour, 0} {
		clocks.pass(day, time.Millisecond)
		now := s.now()
		if now.Before(last) {
			t.Errorf("it went back by %s when the time of day went by %s", last.Sub(now), day)
		}
		last = now
	}
}
