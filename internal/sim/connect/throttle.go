package connect

import (
	"net/http"
	"time"
)

// bucket is a token bucket that starts full.
type bucket struct {
	tokens float64
	filled time.Time
}

// take takes one token if there is one. A clock that goes back fills nothing.
func (b *bucket) take(l Limit, now time.Time) bool {
	if passed := now.Sub(b.filled); passed > 0 {
		b.tokens += passed.Seconds() * l.Rate
	}
	b.filled = now
	b.tokens = min(b.tokens, float64(l.Burst))
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// throttle takes a call out of the bucket of its operation, or refuses it.
func (in *Instance) throttle(o operation) error {
	l := in.settings.limit(o.name)
	if l.Rate == 0 {
		delete(in.buckets, o.name)
		return nil
	}
	now := in.now()
	b := in.buckets[o.name]
	if b == nil {
		b = &bucket{tokens: float64(l.Burst), filled: now}
		in.buckets[o.name] = b
	}
	if b.take(l, now) {
		return nil
	}
	in.stats.operation(o.name).Throttled++
	code := in.settings.ThrottleCode
	if code == Alternate {
		code = codeThrottling
		if in.turn {
			code = codeTooManyRequests
		}
		in.turn = !in.turn
	}
	if o.plain {
		code = codeTooManyRequests
	}
	return fail(http.StatusTooManyRequests, code, "Rate exceeded")
}
