package okta

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// workforceLimits are Okta's defaults for Workforce orgs in calls per minute,
// one bucket per class of endpoint. An endpoint without a row of its own
// counts as "other".
var workforceLimits = map[string]int{
	"apps":             100,
	"apps/{id}":        500,
	"groups":           500,
	"groups/{id}":      1000,
	"users":            600,
	"users/{id}":       2000,
	"users/{id} write": 600,
	"logs":             120,
	"other":            1200,
}

// bucket counts the calls of one class in a window of 60 s that begins with
// its first call, so windows do not follow the clock's minute.
type bucket struct {
	began time.Time
	used  int
}

// defaultConcurrency is Okta's limit of calls at once for Workforce orgs.
const defaultConcurrency = 75

// admit counts a call, sets the three rate-limit headers and reports whether
// the call may go on. X-Rate-Limit-Reset is in UTC epoch seconds. Where too
// many calls are under way, limit and remaining are 0 and the reset, a whole
// minute ahead, is no more than a hint. The caller holds o.mu.
func (o *Org) admit(class string, h http.Header) bool {
	o.arrived++
	ok := o.spendCall(class, h)
	if o.set.LimitEvery > 0 && o.arrived%o.set.LimitEvery == 0 {
		h.Set("X-Rate-Limit-Remaining", "0")
		ok = false
	}
	if most := cmp.Or(o.set.Concurrency, defaultConcurrency); most > 0 && o.underway > most {
		h.Set("X-Rate-Limit-Limit", "0")
		h.Set("X-Rate-Limit-Remaining", "0")
		h.Set("X-Rate-Limit-Reset", strconv.FormatInt(o.now().Add(time.Minute).Unix(), 10))
		ok = false
	}
	if !ok || o.set.RateHeaders.Always {
		o.set.RateHeaders.apply(h, o.now())
	}
	return ok
}

func (r RateHeaders) apply(h http.Header, now time.Time) {
	for name, v := range map[string]string{"Limit": r.Limit, "Remaining": r.Remaining, "Reset": r.Reset} {
		name = "X-Rate-Limit-" + name
		switch after, relative := strings.CutPrefix(v, "now"); {
		case v == "absent":
			h.Del(name)
		case relative:
			n, _ := strconv.Atoi(after)
			h.Set(name, strconv.FormatInt(now.Unix()+int64(n), 10))
		case v != "":
			h.Set(name, v)
		}
	}
}

// spendCall takes a call out of its class's bucket.
func (o *Org) spendCall(class string, h http.Header) bool {
	limit := workforceLimits[class]
	if own, ok := o.set.RateLimits[class]; ok {
		limit = own
	}
	b := o.buckets[class]
	if b == nil {
		b = &bucket{}
		o.buckets[class] = b
	}
	now := o.now()
	if age := now.Sub(b.began); age >= time.Minute || age < 0 {
		*b = bucket{began: now}
	}
	b.used++
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(max(0, limit-b.used)))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(b.began.Add(time.Minute+time.Second-1).Unix(), 10))
	return b.used <= limit || o.set.RateLimitsOff
}

// daily counts the events given to hooks. The window begins with its first
// event and lasts 24 h.
type daily struct {
	began time.Time
	count int
	warn  bool
}

// spend counts one event against the daily cap and reports whether it may be
// delivered, and whether this is the moment for the 70 % warning. The caller
// holds o.mu.
func (o *Org) spend() (ok, warn bool) {
	limit := o.set.DailyCap
	if limit == 0 {
		limit = defaultDailyCap
	}
	now := o.now()
	if d := &o.daily; d.count == 0 || now.Sub(d.began) >= 24*time.Hour {
		*d = daily{began: now}
	}
	if limit > 0 && o.daily.count >= limit {
		return false, false
	}
	o.daily.count++
	if limit > 0 && !o.daily.warn && o.daily.count*10 >= limit*7 {
		o.daily.warn = true
		return true, true
	}
	return true, false
}
