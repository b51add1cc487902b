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
	BatchWindow time.Duration `json:"-"`
	// MaxBatch is the most events in one POST. 0 means 1 without a window and
	// 100 with one; Okta documents no maximum.
	MaxBatch int `json:"maxBatch"`
	// Delay holds every event back for this long.
	Delay time.Duration `json:"-"`
	// DuplicateEvery delivers each n-th event a second time, in a later POST
	// with an eventId of its own. 0 means never.
	DuplicateEvery int `json:"duplicateEvery"`
	// DuplicateRate is the probability, 0 to 1, that an event comes twice.
	DuplicateRate float64 `json:"duplicateRate"`
	// Reorder shuffles the events that wait; without a window they wait 50 ms.
	Reorder bool `json:"reorder"`
	// DropRate is the probability, 0 to 1, that an event is never delivered.
	DropRate float64 `json:"dropRate"`
	// DropTypes are event types that are never delivered.
	DropTypes []string `json:"dropTypes"`
	// OmitNulls leaves null fields out of deliveries, as Okta sometimes does.
	OmitNulls bool `json:"omitNulls"`
	// DailyCap is the number of events per 24 h after which hooks fall silent.
	// 0 means Okta's 400,000; -1 means none.
	DailyCap int `json:"dailyCap"`
	// Parallel is the number of POSTs under way at once per hook; 0 means 1.
	// With more, arrival and the choice of duplicates depend on timing too.
	Parallel int `json:"parallel"`
	// Timeout bounds one delivery attempt or verification; 0 means Okta's 3 s.
	Timeout time.Duration `json:"-"`
	// RetryDelay passes between the two attempts; Okta documents none.
	RetryDelay time.Duration `json:"-"`
	// RemovalsOnGroupDelete logs one group.user_membership.remove per member
	// before a group's deletion. Okta does not say that it does.
	RemovalsOnGroupDelete bool `json:"removalsOnGroupDelete"`
	// SilentJobs logs nothing when a rule or an import changes a membership.
	// Okta does not say that every import tells of each member.
	SilentJobs bool `json:"silentJobs"`
	// RateLimitsOff answers every call, whatever the bucket says.
	RateLimitsOff bool `json:"rateLimitsOff"`
	// RateLimits overrides calls per minute by class, see limits.go: "apps",
	// "apps/{id}", "groups", "groups/{id}", "users", "users/{id}",
	// "users/{id} write", "logs", "other".
	RateLimits map[string]int `json:"rateLimits"`
	// Concurrency is how many API calls may be under way at once. 0 means
	// Okta's 75; -1 means any number.
	Concurrency int `json:"concurrency"`
	// LimitEvery answers each n-th API call 429. 0 means never.
	LimitEvery int `json:"limitEvery"`
	// RateHeaders replace the rate-limit headers of answers 429, or of all.
	RateHeaders RateHeaders `json:"rateHeaders"`
	// LogDelay is the time between an event and its place in the System Log;
	// hooks get it at once. Its published stays the time of the event.
	LogDelay time.Duration `json:"-"`
	// LateEvery delays each n-th event alone, so that later ones overtake it
	// and published goes backwards. 0 means every one.
	LateEvery int `json:"lateEvery"`
	// LogCursorLife is the age after which a next link of the System Log is
	// refused. 0 means never; Okta documents none.
	LogCursorLife time.Duration `json:"-"`
	// LogCursorStatus refuses an old cursor: 400, which 0 means, or 410.
	LogCursorStatus int `json:"logCursorStatus"`
	// SearchLag is the age of what `search` shows of users and groups, up to
	// an hour; everything else shows them as they are.
	SearchLag time.Duration `json:"-"`
	// MissingRoleForbids answers 403 to whoever lacks an admin role. Without
	// it lists are empty and single objects are not found.
	MissingRoleForbids bool `json:"missingRoleForbids"`
	// HookFiltersOff is an org without the feature Event Hook Filtering: a
	// hook with a filter is refused.
	HookFiltersOff bool `json:"hookFiltersOff"`
	// RulesBusy answers 423 to changes of group rules.
	RulesBusy bool `json:"rulesBusy"`
}

// RateHeaders are values for X-Rate-Limit-Limit, -Remaining and -Reset. ""
// leaves the true one, "absent" sends none, and "now+60" or "now-60" is the
// time by the org's clock with that many seconds added.
type RateHeaders struct {
	Limit     string `json:"limit"`
	Remaining string `json:"remaining"`
	Reset     string `json:"reset"`
	Always    bool   `json:"always"` // on every answer, not on 429 alone
}

const (
	maxSearchLag = time.Hour

	defaultTimeout  = 3 * time.Second
	defaultDailyCap = 400_000
	defaultBatch    = 100
	reorderWindow   = 50 * time.Millisecond
)

func (s Settings) check() error {
	switch {
	case s.BatchWindow < 0 || s.Delay < 0 || s.Timeout < 0 || s.RetryDelay < 0 || s.LogDelay < 0 || s.LogCursorLife < 0:
		return errors.New("a duration is negative")
	case s.MaxBatch < 0 || s.DuplicateEvery < 0 || s.Parallel < 0 || s.DailyCap < -1 || s.Concurrency < -1 || s.LimitEvery < 0 || s.LateEvery < 0:
		return errors.New("a number is negative")
	case !(s.DropRate >= 0 && s.DropRate <= 1) || !(s.DuplicateRate >= 0 && s.DuplicateRate <= 1):
		return errors.New("a probability is not between 0 and 1")
	case s.LogCursorStatus != 0 && s.LogCursorStatus != 400 && s.LogCursorStatus != 410:
		return errors.New("log cursor status: want 400 or 410")
	case s.SearchLag < 0 || s.SearchLag > maxSearchLag:
		return errors.New("search lag: want at most an hour")
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

type settingsPlain Settings

// settingsJSON is Settings on the wire, durations in milliseconds.
type settingsJSON struct {
	*settingsPlain
	BatchWindowMS   float64 `json:"batchWindowMs"`
	DelayMS         float64 `json:"delayMs"`
	TimeoutMS       float64 `json:"timeoutMs"`
	RetryDelayMS    float64 `json:"retryDelayMs"`
	LogDelayMS      float64 `json:"logDelayMs"`
	LogCursorLifeMS float64 `json:"logCursorLifeMs"`
	SearchLagMS     float64 `json:"searchLagMs"`
}

func (s *Settings) wire() settingsJSON {
	return settingsJSON{(*settingsPlain)(s), ms(s.BatchWindow), ms(s.Delay), ms(s.Timeout), ms(s.RetryDelay), ms(s.LogDelay), ms(s.LogCursorLife), ms(s.SearchLag)}
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
	c.BatchWindow, c.Delay, c.Timeout, c.RetryDelay = span(w.BatchWindowMS), span(w.DelayMS), span(w.TimeoutMS), span(w.RetryDelayMS)
	c.LogDelay, c.LogCursorLife, c.SearchLag = span(w.LogDelayMS), span(w.LogCursorLifeMS), span(w.SearchLagMS)
	*s = c
	return nil
}

func ms(d time.Duration) float64    { return float64(d) / float64(time.Millisecond) }
func span(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
