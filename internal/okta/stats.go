package okta

import (
	"errors"
	"net/http"
)

// ClientStats counts the calls of a Client since it was made. A call counts once
// for each attempt, and asking for an access token as none.
type ClientStats struct {
	Calls     uint64 `json:"calls"`
	Throttled uint64 `json:"throttled"` // answered 429
	Refused   uint64 `json:"refused"`   // answered 401 or 403, or no access token was to be had
	Failed    uint64 `json:"failed"`    // otherwise
}

// Stats counts the calls so far.
func (c *Client) Stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// count takes in how an attempt ended.
func (c *Client) count(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Calls++
	var denied *deniedError
	var answer *APIError
	status := 0
	if errors.As(err, &answer) {
		status = answer.Status
	}
	switch {
	case err == nil:
	case status == http.StatusTooManyRequests:
		c.stats.Throttled++
	case errors.As(err, &denied), status == http.StatusUnauthorized, status == http.StatusForbidden:
		c.stats.Refused++
	default:
		c.stats.Failed++
	}
}
