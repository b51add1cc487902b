package connect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Identity types of an instance. A real one can never change it.
const (
	SAML              = "SAML"
	ConnectManaged    = "CONNECT_MANAGED"
	ExistingDirectory = "EXISTING_DIRECTORY"
)

// Values of the switches that take words.
const (
	Reject      = "reject"
	Accept      = "accept"
	Insensitive = "insensitive"
	Sensitive   = "sensitive"
	Alternate   = "alternate"
)

// Limit is a request rate: Rate calls per second on average, Burst at once.
// A Rate of 0 is unlimited.
type Limit struct {
	Rate  float64 `json:"rate"`
	Burst int     `json:"burst"`
}

// Settings are the switches of an [Instance]. Start from [DefaultSettings]:
// the zero value is an instance without limits.
type Settings struct {
	// IdentityType is SAML, CONNECT_MANAGED or EXISTING_DIRECTORY ("" is SAML).
	IdentityType string `json:"identity_type"`
	// EmailOnSAML says what a SAML instance does with IdentityInfo.Email:
	// reject or accept ("" is reject). The documents contradict each other.
	EmailOnSAML string `json:"email_on_saml"`
	// UsernameCase says whether usernames that differ only by case are the
	// same: insensitive or sensitive ("" is insensitive). Undocumented.
	UsernameCase string `json:"username_case"`
	// SearchCase is the same for string conditions of the Search operations.
	SearchCase string `json:"search_case"`
	// MergeIdentity lets UpdateUserIdentityInfo keep the members left out;
	// otherwise it replaces the structure. Undocumented.
	MergeIdentity bool `json:"merge_identity"`
	// Quota is the number of agents the instance may hold; 0 is no limit.
	Quota int `json:"quota"`
	// QuotaHidden keeps Service Quotas from telling the quota: AccessDeniedException.
	QuotaHidden bool `json:"quota_hidden,omitempty"`
	// ChannelTwins lets DescribeUser and SearchUsers answer a list per channel
	// for everything that PhoneConfig says; otherwise they answer the lists that
	// were set. Undocumented.
	ChannelTwins bool `json:"channel_twins"`

	// ProficiencyRepeats says what comes of associating a proficiency that the
	// agent has, and of disassociating one that it lacks: reject or accept (""
	// is reject). Undocumented.
	ProficiencyRepeats string `json:"proficiency_repeats"`
	// ProficiencyQuota is how many proficiencies an agent may hold; 0 is no limit.
	ProficiencyQuota int `json:"proficiency_quota"`
	// StatusOffline says what PutUserStatus does with an agent who is offline:
	// accept or reject ("" is accept). Undocumented.
	StatusOffline string `json:"status_offline"`
	// UnknownAgents says what GetCurrentUserData does when its filter names an
	// agent there is not: accept leaves it out, reject is
	// ResourceNotFoundException ("" is accept). Undocumented.
	UnknownAgents string `json:"unknown_agents"`

	// Denied are operations that the caller may not use: AccessDeniedException.
	Denied []string `json:"denied,omitempty"`

	// Limit applies to each operation by itself, Limits[operation] instead of
	// it where present.
	Limit  Limit            `json:"limit"`
	Limits map[string]Limit `json:"limits,omitempty"`
	// ThrottleCode is the error code of a throttled call: ThrottlingException,
	// TooManyRequestsException, or alternate ("" is alternate). Both are 429.
	ThrottleCode string `json:"throttle_code"`

	// ListLag is how long ListUsers, SearchUsers, ListQuickConnects and
	// SearchQuickConnects take to show a change.
	ListLag time.Duration `json:"list_lag"`
	// DescribeLags makes DescribeUser lag as well.
	DescribeLags bool `json:"describe_lags"`
	// TokenLife is how long a NextToken may be used; 0 is for ever.
	TokenLife time.Duration `json:"token_life"`

	// Latency is added to every call before it is looked at, with up to
	// Jitter more.
	Latency time.Duration `json:"latency"`
	Jitter  time.Duration `json:"jitter"`
	// ClockAhead is by how much the clock is ahead of which the header Date tells.
	ClockAhead time.Duration `json:"clock_ahead"`
	// RequireSignature refuses calls without a well-formed SigV4
	// Authorization header for the service connect in this region. The
	// signature itself is not computed.
	RequireSignature bool `json:"require_signature"`
}

// DefaultSettings returns what a new instance of a new account does: SAML, 500
// agents, 2 calls per second and 5 at once for each operation.
func DefaultSettings() Settings {
	return Settings{
		IdentityType: SAML,
		EmailOnSAML:  Reject,
		UsernameCase: Insensitive,
		SearchCase:   Insensitive,
		Quota:        500,
		Limit:        Limit{Rate: 2, Burst: 5},
		ThrottleCode: Alternate,

		ProficiencyRepeats: Reject,
		StatusOffline:      Accept,
		UnknownAgents:      Accept,
		TokenLife:          5 * time.Minute,
	}
}

func (s Settings) clone() Settings {
	s.Limits = maps.Clone(s.Limits)
	s.Denied = slices.Clone(s.Denied)
	return s
}

// normalized fills in the words left empty and refuses unknown ones.
func (s Settings) normalized() (Settings, error) {
	words := []struct {
		name    string
		value   *string
		allowed []string
	}{
		{"identity_type", &s.IdentityType, []string{SAML, ConnectManaged, ExistingDirectory}},
		{"email_on_saml", &s.EmailOnSAML, []string{Reject, Accept}},
		{"username_case", &s.UsernameCase, []string{Insensitive, Sensitive}},
		{"search_case", &s.SearchCase, []string{Insensitive, Sensitive}},
		{"proficiency_repeats", &s.ProficiencyRepeats, []string{Reject, Accept}},
		{"status_offline", &s.StatusOffline, []string{Accept, Reject}},
		{"unknown_agents", &s.UnknownAgents, []string{Accept, Reject}},
		{"throttle_code", &s.ThrottleCode, []string{Alternate, codeThrottling, codeTooManyRequests}},
	}
	for _, w := range words {
		if *w.value == "" {
			*w.value = w.allowed[0]
		}
		if !slices.Contains(w.allowed, *w.value) {
			return s, fmt.Errorf("setting %s: %q is none of %v", w.name, *w.value, w.allowed)
		}
	}
	for name, d := range map[string]time.Duration{
		"list_lag": s.ListLag, "token_life": s.TokenLife, "latency": s.Latency, "jitter": s.Jitter,
	} {
		if d < 0 {
			return s, fmt.Errorf("setting %s: %v is negative", name, d)
		}
	}
	if s.Quota < 0 || s.ProficiencyQuota < 0 {
		return s, fmt.Errorf("settings quota, proficiency_quota: %d or %d is negative", s.Quota, s.ProficiencyQuota)
	}
	for _, name := range s.Denied {
		if !slices.Contains(operationNames(), name) {
			return s, fmt.Errorf("setting denied: no operation %q", name)
		}
	}
	if err := s.Limit.check(); err != nil {
		return s, fmt.Errorf("setting limit: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Limits)) {
		if !slices.Contains(operationNames(), name) {
			return s, fmt.Errorf("setting limits: no operation %q", name)
		}
		if err := s.Limits[name].check(); err != nil {
			return s, fmt.Errorf("setting limits: %s: %w", name, err)
		}
	}
	return s, nil
}

func (l Limit) check() error {
	if l.Rate < 0 || l.Rate > 0 && l.Burst < 1 {
		return fmt.Errorf("rate %v with burst %d admits nothing", l.Rate, l.Burst)
	}
	return nil
}

// limit returns the rate of one operation.
func (s *Settings) limit(operation string) Limit {
	if l, ok := s.Limits[operation]; ok {
		return l
	}
	return s.Limit
}

// duration is a time.Duration that JSON writes as "250ms".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// settingsPlain is Settings without its JSON methods; in settingsJSON the
// durations of the outer struct hide those of the embedded one.
type settingsPlain Settings

type settingsJSON struct {
	*settingsPlain
	ListLag   *duration `json:"list_lag"`
	TokenLife *duration `json:"token_life"`
	Latency   *duration `json:"latency"`
	Jitter    *duration `json:"jitter"`
	Clock     *duration `json:"clock_ahead"`
}

func (s *Settings) wire() settingsJSON {
	return settingsJSON{
		settingsPlain: (*settingsPlain)(s),
		ListLag:       (*duration)(&s.ListLag),
		TokenLife:     (*duration)(&s.TokenLife),
		Latency:       (*duration)(&s.Latency),
		Jitter:        (*duration)(&s.Jitter),
		Clock:         (*duration)(&s.ClockAhead),
	}
}

// MarshalJSON writes durations as Go strings.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.wire()) }

// UnmarshalJSON changes the members present and refuses unknown ones.
func (s *Settings) UnmarshalJSON(data []byte) error {
	return strictly(data, new(s.wire()))
}

// strictly decodes one JSON value and refuses unknown members.
func strictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
