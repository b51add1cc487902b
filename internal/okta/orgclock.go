package okta

import (
	"net/http"
	"sync"
	"time"
)

// orgClock tells the time by the org's clock, which decides whether a signed
// statement is in time.
type orgClock struct {
	now func() time.Time

	mu      sync.Mutex
	ahead   time.Duration // of ours
	learned bool
}

func (c *orgClock) learn(header http.Header) {
	date, ok := dateOf(header)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.learned = date.Sub(c.now()), true
}

func (c *orgClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Add(c.ahead)
}

// offset tells by how much the org's clock is ahead of ours, once an answer told.
func (c *orgClock) offset() (ahead time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.learned
}
