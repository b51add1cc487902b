package okta

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// Settings are the switches of an org, changeable while it runs. The zero
// value is a healthy org with Okta's own limits: each event delivered at once,
// alone, in order, exactly once, with a deadline of 3 s and one retry.
type Settings struct {
	// BatchWindow is how long an event waits for others to share its POST.
	BatchWindow time.Duration
	// MaxBatch is the most events in one POST. 0 means 1 without a window and
	// 100 with one; Okta documents no maximum.
	MaxBatch int
	// Delay holds every event back for this long.
	Delay time.Duration
	// DuplicateEvery delivers each n-th event a second time, in a later POST
	// with an eventId of its own. 0 means never.
	DuplicateEvery int
	// DuplicateRate is the probability, 0 to 1, that an event comes twice.
	DuplicateRate float64
	// Reorder shuffles the events that wait; without a window they wait 50 ms.
	Reorder bool
	// DropRate is the probability, 0 to 1, that an event is never delivered.
	DropRate float64
	// DropTypes are event types that are never delivered.
	DropTypes []string
	// OmitNulls leaves null fields out of deliveries, as Okta sometimes does.
	OmitNulls bool
	// DailyCap is the number of events per 24 h after which hooks fall silent.
	// 0 means Okta's 400,000; -1 means none.
	DailyCap int
	// Parallel is the number of POSTs under way at once per hook; 0 means 1.
	// With more, arrival and the choice of duplicates depend on timing too.
	Parallel int
	// Timeout bounds one delivery attempt or verification; 0 means Okta's 3 s.
	Timeout time.Duration
	// RetryDelay passes between the two attempts; Okta documents none.
	RetryDelay time.Duration
	// RemovalsOnGroupDelete logs one group.user_membership.remove per member
	// before a group's deletion. Okta does not say that it does.
	RemovalsOnGroupDelete bool
	// RateLimitsOff answers every call, whatever the bucket says.
	RateLimitsOff bool
	// RateLimits overrides calls per minute by class, see limits.go: "apps",
	// "apps/{id}", "groups", "groups/{id}", "users", "users/{id}",
	// "users/{id} write", "logs", "other".
	RateLimits map[string]int
}

const (
	defaultTimeout  = 3 * time.Second
	defaultDailyCap = 400_000
	defaultBatch    = 100
	reorderWindow   = 50 * time.Millisecond
)

func (s Settings) check() error {
	switch {
	case s.BatchWindow < 0 || s.Delay < 0 || s.Timeout < 0 || s.RetryDelay < 0:
		return errors.New("a duration is negative")
	case s.MaxBatch < 0 || s.DuplicateEvery < 0 || s.Parallel < 0 || s.DailyCap < -1:
		return errors.New("a number is negative")
	case !(s.DropRate >= 0 && s.DropRate <= 1) || !(s.DuplicateRate >= 0 && s.DuplicateRate <= 1):
		return errors.New("a probability is not between 0 and 1")
	}
	for class, perMinute := range s.RateLimits {
		if workforceLimits[class] == 0 || perMinute < 1 {
			return errors.New("rate limits: want a known class and at least 1 call per minute, got " + class)
		}
	}
	return nil
}

func (s Settings) clone() Settings {
	s.DropTypes = slices.Clone(s.DropTypes)
	s.RateLimits = maps.Clone(s.RateLimits)
	return s
}

func (s Settings) timeout() time.Duration {
	if s.Timeout == 0 {
		return defaultTimeout
	}
	return s.Timeout
}

func (s Settings) window() time.Duration {
	if s.Reorder {
		return max(s.BatchWindow, reorderWindow)
	}
	return s.BatchWindow
}

func (s Settings) batch() int {
	switch {
	case s.MaxBatch > 0:
		return s.MaxBatch
	case s.BatchWindow > 0:
		return defaultBatch
	}
	return 1
}

// Settings returns the switches as they stand.
func (o *Org) Settings() Settings {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set.clone()
}

// Configure changes the switches in one step. Events that already wait follow
// the new settings. Impossible settings are refused and change nothing.
func (o *Org) Configure(change func(*Settings)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := o.set.clone()
	change(&next)
	if err := next.check(); err != nil {
		return err
	}
	o.set = next
	for h := range o.hooks.all("") {
		h.poke()
	}
	return nil
}

// settingsJSON is Settings on the wire, durations in milliseconds.
type settingsJSON struct {
	BatchWindowMS         float64        `json:"batchWindowMs"`
	MaxBatch              int            `json:"maxBatch"`
	DelayMS               float64        `json:"delayMs"`
	DuplicateEvery        int            `json:"duplicateEvery"`
	DuplicateRate         float64        `json:"duplicateRate"`
	Reorder               bool           `json:"reorder"`
	DropRate              float64        `json:"dropRate"`
	DropTypes             []string       `json:"dropTypes"`
	OmitNulls             bool           `json:"omitNulls"`
	DailyCap              int            `json:"dailyCap"`
	Parallel              int            `json:"parallel"`
	TimeoutMS             float64        `json:"timeoutMs"`
	RetryDelayMS          float64        `json:"retryDelayMs"`
	RemovalsOnGroupDelete bool           `json:"removalsOnGroupDelete"`
	RateLimitsOff         bool           `json:"rateLimitsOff"`
	RateLimits            map[string]int `json:"rateLimits"`
}

func (s Settings) wire() settingsJSON {
	return settingsJSON{ms(s.BatchWindow), s.MaxBatch, ms(s.Delay), s.DuplicateEvery, s.DuplicateRate, s.Reorder, s.DropRate,
		s.DropTypes, s.OmitNulls, s.DailyCap, s.Parallel, ms(s.Timeout), ms(s.RetryDelay), s.RemovalsOnGroupDelete, s.RateLimitsOff, s.RateLimits}
}

// MarshalJSON writes durations in milliseconds.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.wire()) }

// UnmarshalJSON changes the fields that are named and refuses unknown ones.
func (s *Settings) UnmarshalJSON(b []byte) error {
	c := s.clone()
	w := c.wire()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return err
	}
	*s = Settings{span(w.BatchWindowMS), w.MaxBatch, span(w.DelayMS), w.DuplicateEvery, w.DuplicateRate, w.Reorder, w.DropRate,
		w.DropTypes, w.OmitNulls, w.DailyCap, w.Parallel, span(w.TimeoutMS), span(w.RetryDelayMS), w.RemovalsOnGroupDelete, w.RateLimitsOff, w.RateLimits}
	return nil
}

func ms(d time.Duration) float64    { return float64(d) / float64(time.Millisecond) }
func span(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
