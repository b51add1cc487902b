package okta

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// quiet lets one line a second through to the log, with the number of times it
// stands for.
type quiet struct {
	limit rate.Sometimes
	times atomic.Int64
}

func newQuiet() *quiet { return &quiet{limit: rate.Sometimes{Interval: time.Second}} }

// log calls line, or counts for the next line.
func (q *quiet) log(line func(times int64)) {
	q.times.Add(1)
	q.limit.Do(func() { line(q.times.Swap(0)) })
}
