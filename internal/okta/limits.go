package okta

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of what is believed about Okta's rate limits. Its windows are of about
// 60 s, so no wait needs to be longer, whatever a header says.
const (
	window  = time.Minute
	minWait = time.Second
	maxWait = 65 * time.Second
)

// budget keeps our calls within a share of each of Okta's rate limits, so that
// the customer's other apps have the rest. There is one bucket for each class of
// endpoint.
//
// A bucket knows what the last answer said, counts our own calls in the same
// window, and holds calls back until the window is over once our share is spent
// or a tenth or less of the whole is left. It starts to hold back with the first
// answer, and only for as long as a window can last.
// Source: Okta, Rate limits.
type budget struct {
	share float64
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	limit     int       // calls in a window, by everybody; zero: not known
	remaining int       // of them, as last told
	reset     time.Time // the end of the window, by our clock
	told      bool      // by Okta; else the window is assumed to have begun with our call
	used      int       // calls of ours in the window
	flying    int       // calls of ours without an answer yet
	blocked   time.Time // after a 429: no call before
}

func newBudget(share float64, now func() time.Time) *budget {
	return &budget{share: share, now: now, buckets: map[string]*bucket{}}
}

// enter counts a call, which settle must follow, and gives zero; or it gives the
// time to wait before asking again. A call that yields leaves a quarter of our share
// to those that do not.
func (b *budget) enter(class string, yields bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := b.bucket(class), b.now()
	if wait := k.blocked.Sub(now); wait > 0 && wait <= maxWait {
		return wait
	}
	if left := k.reset.Sub(now); left <= 0 || left > maxWait {
		k.remaining, k.used = k.limit, k.flying
		k.reset, k.told = now.Add(window), false
	}
	if k.limit > 0 {
		ours := max(1, int(b.share*float64(k.limit)))
		if yields {
			ours = max(1, ours*3/4)
		}
		if k.used >= ours || k.remaining-k.flying <= k.limit/10 {
			return max(k.reset.Sub(now), minWait)
		}
	}
	k.used++
	k.flying++
	return 0
}

// settle takes in what the answer to a call says; nil means there was none.
func (b *budget) settle(class string, header http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := b.bucket(class), b.now()
	flying := k.flying
	k.flying--
	limit, ok := number(header, "X-Rate-Limit-Limit")
	remaining, told := number(header, "X-Rate-Limit-Remaining")
	until, known := untilReset(header, now)
	if !ok || !told || !known || limit <= 0 || remaining < 0 || until < 0 {
		return
	}
	reset := now.Add(min(until+time.Second, maxWait))
	switch {
	case k.told && reset.After(k.reset.Add(2*time.Second)): // a later window
		k.used = flying
		k.remaining, k.reset = int(remaining), reset
	case k.told:
		k.remaining = min(k.remaining, int(remaining))
	default:
		k.remaining, k.reset, k.told = int(remaining), reset, true
	}
	k.limit = int(limit)
}

// block holds a class back after a 429.
func (b *budget) block(class string, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bucket(class).blocked = b.now().Add(wait)
}

// bucket gives the bucket of a class. The caller holds b.mu.
func (b *budget) bucket(class string) *bucket {
	k := b.buckets[class]
	if k == nil {
		k = &bucket{}
		b.buckets[class] = k
	}
	return k
}

// refusalWait gives the wait after a 429, between minWait and maxWait. random is
// in [0,1).
//
// The end of the window is Reset, by Okta's clock, which is told by Date; ours
// does not matter. A refusal for too many calls at once has a limit of zero, and
// then Reset means nothing: a short wait is enough. Where Reset is nonsense the
// window may have just begun.
// Source: Okta, Rate limits, "concurrency rate limits".
func refusalWait(header http.Header, now time.Time, random float64) (wait time.Duration, concurrent bool) {
	jitter := func(d time.Duration) time.Duration { return time.Duration(random * float64(d)) }
	if limit, ok := number(header, "X-Rate-Limit-Limit"); ok && limit == 0 {
		return minWait + jitter(4*time.Second), true
	}
	until, ok := untilReset(header, now)
	if !ok || until < -2*time.Second {
		until = window - time.Second
	}
	return min(max(until+time.Second+jitter(2*time.Second), minWait), maxWait), false
}

// untilReset gives the time to the end of the window as the answer tells it.
func untilReset(header http.Header, now time.Time) (time.Duration, bool) {
	reset, ok := number(header, "X-Rate-Limit-Reset")
	if !ok || reset <= 0 || reset > 1<<40 {
		return 0, false
	}
	if date, ok := dateOf(header); ok {
		now = date
	}
	return time.Unix(reset, 0).Sub(now), true
}

// dateOf gives the time by Okta's clock.
func dateOf(header http.Header) (time.Time, bool) {
	date, err := http.ParseTime(header.Get("Date"))
	return date, err == nil
}

func number(header http.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(header.Get(name), 10, 64)
	return n, err == nil
}
