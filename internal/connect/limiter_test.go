package connect

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// service is the token bucket of the other side, which starts full when the
// first call arrives.
type service struct {
	rate   float64
	burst  int
	tokens float64
	last   time.Time
}

func (s *service) take(at time.Time) bool {
	if s.last.IsZero() {
		s.tokens = float64(s.burst)
	} else {
		s.tokens = min(float64(s.burst), s.tokens+at.Sub(s.last).Seconds()*s.rate)
	}
	s.last = at
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// 500 calls take what the quota takes and are not throttled, although each is
// under way for a different time and the first is slow.
func TestLimiterPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls, workers = 500, 8
		l := newLimiter(2, 5)
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		var arrivals []time.Time
		start := time.Now()
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for {
					if _, err := l.wait(t.Context()); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if len(arrivals) == calls {
						mu.Unlock()
						return
					}
					delay := time.Duration(20+random.IntN(200)) * time.Millisecond
					if len(arrivals) == 0 {
						delay = 450 * time.Millisecond
					}
					arrivals = append(arrivals, time.Now().Add(delay))
					mu.Unlock()
					time.Sleep(delay) // of the bubble: the worker is busy with the call
				}
			})
		}
		wg.Wait()
		slices.SortFunc(arrivals, time.Time.Compare)
		remote := service{rate: 2, burst: 5}
		throttled := 0
		for _, at := range arrivals {
			if !remote.take(at) {
				throttled++
			}
		}
		if throttled > 0 {
			t.Errorf("%d of %d calls were throttled", throttled, calls)
		}
		took := arrivals[calls-1].Sub(start)
		if ideal := 247500 * time.Millisecond; took > ideal*101/100 || took < ideal {
			t.Errorf("%d calls took %v; the quota allows %v", calls, took, ideal)
		}
	})
}

func TestLimiterPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(2, 5)
		start := time.Now()
		take := func() time.Duration {
			if _, err := l.wait(t.Context()); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		take()
		l.pause(time.Second)
		if at := take(); at != time.Second {
			t.Errorf("the next turn came at %v", at)
		}
		take()
		// What was saved up before the pause is gone: one second is worth two turns.
		if at := take(); at < 1400*time.Millisecond {
			t.Errorf("the fourth turn came at %v", at)
		}

		// Who waits already is held back too.
		for range 3 {
			take()
		}
		var wg sync.WaitGroup
		paused := time.Now()
		wg.Go(func() {
			take()
			if waited := time.Since(paused); waited < 2*time.Second {
				t.Errorf("a turn came %v into a pause of 2 s", waited)
			}
		})
		synctest.Wait()
		l.pause(2 * time.Second)
		wg.Wait()
	})
}

// A turn that comes too late is given back at once.
func TestLimiterDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		if _, err := l.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		for range 5 {
			_, err := l.wait(ctx)
			u, ok := errors.AsType[*unsent](err)
			if !ok || !errors.Is(err, errTurnTooLate) || u.wait <= 900*time.Millisecond || u.wait > 1002*time.Millisecond {
				t.Errorf("error %v, wait %v", err, u)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v for nothing", took)
		}
		if _, err := l.wait(t.Context()); err != nil || time.Since(start) > 1002*time.Millisecond {
			t.Errorf("the turns given back are lost: %v after %v", err, time.Since(start))
		}
	})
}

func TestLimiterInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		l.wait(t.Context())
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		waited, err := l.wait(ctx)
		if u, ok := errors.AsType[*unsent](err); !ok || !errors.Is(err, context.Canceled) || u.wait <= 0 || waited != 300*time.Millisecond {
			t.Errorf("waited %v: %v", waited, err)
		}
		if _, err := l.wait(t.Context()); err != nil || time.Since(start) > 1002*time.Millisecond {
			t.Errorf("the turn given back is lost: %v after %v", err, time.Since(start))
		}
	})
}

func TestLimiterUnlimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(math.Inf(1), 5)
		start := time.Now()
		for range 1000 {
			l.wait(t.Context())
		}
		if time.Since(start) != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
		l.pause(time.Second)
		l.wait(t.Context())
		if time.Since(start) != time.Second {
			t.Errorf("the pause took %v", time.Since(start))
		}
	})
}
