package okta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kinds of fault. Those about rows and links do the work and change the answer.
// On anything but a list they change nothing, wrong-org and other-rows aside.
const (
	// FaultStatus answers Status. 200 is a login page in HTML, 204 nothing, 3xx
	// a redirect to URL, 4xx and 500 Okta's error, other 5xx a proxy's page.
	FaultStatus = "status"
	// FaultReset resets the connection in place of an answer.
	FaultReset = "reset"
	// FaultTimeout answers 504 after Delay, or never if the client is gone by
	// then. Without a Delay it waits for the client to go.
	FaultTimeout = "timeout"
	// FaultLatency does the work after Delay and answers as usual.
	FaultLatency = "latency"
	// FaultTruncate closes the connection in the middle of the answer.
	FaultTruncate = "truncate"
	// FaultHalf answers half of the JSON as if it were all.
	FaultHalf = "half"
	// FaultBomb answers gzip that unpacks to Size bytes of JSON.
	FaultBomb = "gzip-bomb"
	// FaultNull answers the JSON null; FaultObject an empty JSON object.
	FaultNull   = "null"
	FaultObject = "object"
	// FaultEmpty answers [] without a next link.
	FaultEmpty = "empty"
	// FaultThin leaves Percent of the rows and the links as they are.
	FaultThin = "thin"
	// FaultDuplicate answers every row twice.
	FaultDuplicate = "duplicate"
	// FaultWrongOrg answers rows of another org: other ids, logins and links.
	FaultWrongOrg = "wrong-org"
	// FaultOtherRows answers what belongs to another group, app or user than
	// the one in the path: to Other, an id, or to some other.
	FaultOtherRows = "other-rows"
	// FaultNoNext leaves the next link out; FaultEmptyNext sends "<>".
	FaultNoNext    = "next-missing"
	FaultEmptyNext = "next-empty"
	// FaultLoop points the next link at the page itself.
	FaultLoop = "next-loop"
	// FaultForeignNext points the next link at URL, which is of another host;
	// FaultTwoNext sends a second next link, at URL.
	FaultForeignNext = "next-foreign"
	FaultTwoNext     = "next-twice"
)

var faultKinds = []string{FaultStatus, FaultReset, FaultTimeout, FaultLatency, FaultTruncate, FaultHalf, FaultBomb, FaultNull, FaultObject,
	FaultEmpty, FaultThin, FaultDuplicate, FaultWrongOrg, FaultOtherRows, FaultNoNext, FaultEmptyNext, FaultLoop, FaultForeignNext, FaultTwoNext}

// Fault is one rule of the fault plan. A call meets the first rule that
// matches it and is due. Refused and limited calls do not count.
type Fault struct {
	// Endpoint narrows the calls that match: a method, such as "GET", or a
	// method and a path pattern, such as "GET /api/v1/groups/{id}/users", as
	// Stats.Calls names them. "" is any. ID is the {id} of the path, "" is any.
	Endpoint string `json:"endpoint,omitempty"`
	ID       string `json:"id,omitempty"`
	// Page is the page of a list, counted from 1; 0 is any.
	Page int `json:"page,omitempty"`

	// Nth is the matching call at which the fault begins, counted from 1; 0 is
	// 1. Every repeats it at each Every-th matching call from there on; 0 is 1.
	// Times is how often it strikes; 0 is once, negative for ever.
	Nth   int `json:"nth,omitempty"`
	Every int `json:"every,omitempty"`
	Times int `json:"times,omitempty"`

	// Kind is one of the kinds above; "" is status.
	Kind string `json:"kind,omitempty"`
	// Commit does the work before a status, reset or timeout fault; without it
	// nothing is done.
	Commit bool `json:"commit,omitempty"`
	// Status (0 is 500), Code and Message shape a status fault; Okta's usual
	// code where it is empty.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Headers are set on the answer; the value "absent" removes one.
	Headers map[string]string `json:"headers,omitempty"`
	Percent int               `json:"percent,omitempty"` // of rows that stay, 0 to 100
	URL     string            `json:"url,omitempty"`     // empty: at https://login.example.net
	Other   string            `json:"other,omitempty"`
	Size    int64             `json:"size,omitempty"` // 0: 256 MiB
	// Delay is for timeout and latency. In JSON it is delayMs, milliseconds.
	Delay time.Duration `json:"-"`
}

type faultPlain Fault

type faultJSON struct {
	*faultPlain
	DelayMS float64 `json:"delayMs,omitempty"`
}

// MarshalJSON writes the delay in milliseconds.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultJSON{(*faultPlain)(&f), ms(f.Delay)})
}

// UnmarshalJSON refuses unknown members.
func (f *Fault) UnmarshalJSON(b []byte) error {
	w := faultJSON{faultPlain: (*faultPlain)(f)}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(&w)
	f.Delay = span(w.DelayMS)
	return err
}

// oneOrMany is a fault or a list of them.
type oneOrMany []Fault

// UnmarshalJSON takes either.
func (l *oneOrMany) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]Fault)(l))
	}
	*l = make(oneOrMany, 1)
	return json.Unmarshal(b, &(*l)[0])
}

// normalized fills in what zero stands for and refuses what means nothing.
func (f Fault) normalized(endpoints []route) (Fault, error) {
	if f.Kind == "" {
		f.Kind = FaultStatus
	}
	if f.Status == 0 {
		f.Status = http.StatusInternalServerError
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.URL == "" {
		f.URL = "https://login.example.net/login"
	}
	if f.Size == 0 {
		f.Size = 256 << 20
	}
	f.Nth, f.Every = max(f.Nth, 1), max(f.Every, 1)
	known := f.Endpoint == "" || slices.ContainsFunc(endpoints, func(r route) bool { return r.method == f.Endpoint || r.name() == f.Endpoint })
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return f, fmt.Errorf("no kind %q", f.Kind)
	case !known:
		return f, fmt.Errorf("no endpoint %q", f.Endpoint)
	case f.Status < 200 || f.Status > 599:
		return f, fmt.Errorf("status %d is none of an answer", f.Status)
	case f.Percent < 0 || f.Percent > 100 || f.Page < 0 || f.Size < 0:
		return f, errors.New("a number is out of range")
	case f.Delay < 0 || f.Delay == 0 && f.Kind == FaultLatency:
		return f, fmt.Errorf("kind %s with delay %v", f.Kind, f.Delay)
	}
	return f, nil
}

// plannedFault is a rule with its progress.
type plannedFault struct {
	Fault
	seen, struck int
}

// PlannedFault is a rule of the plan as it stands.
type PlannedFault struct {
	Fault  Fault `json:"fault"`
	Seen   int   `json:"seen"`   // matching calls so far
	Struck int   `json:"struck"` // how often it was met
}

// AddFaults appends rules to the fault plan: all or, with an error, none.
func (o *Org) AddFaults(faults ...Fault) error {
	endpoints := o.api()
	var plan []*plannedFault
	for _, f := range faults {
		f, err := f.normalized(endpoints)
		if err != nil {
			return invalid("fault", "fault: "+err.Error())
		}
		plan = append(plan, &plannedFault{Fault: f})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faulted = append(o.faulted, plan...)
	return nil
}

// ClearFaults empties the fault plan.
func (o *Org) ClearFaults() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faulted = nil
}

// Faults returns the plan with its progress.
func (o *Org) Faults() []PlannedFault {
	o.mu.Lock()
	defer o.mu.Unlock()
	plan := make([]PlannedFault, 0, len(o.faulted))
	for _, p := range o.faulted {
		plan = append(plan, PlannedFault{p.Fault, p.seen, p.struck})
	}
	return plan
}

// planned counts a call against every rule it matches and returns the first
// rule that is due, nil if none is.
func (o *Org) planned(c *call, rt route) *Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.faulted) == 0 {
		return nil
	}
	page := o.pageOf(c, rt)
	var hit *plannedFault
	for _, p := range o.faulted {
		if p.Endpoint != "" && p.Endpoint != rt.method && p.Endpoint != rt.name() ||
			p.ID != "" && p.ID != c.r.PathValue("id") || p.Page != 0 && p.Page != page {
			continue
		}
		p.seen++
		due := p.seen >= p.Nth && (p.seen-p.Nth)%p.Every == 0 && (p.Times < 0 || p.struck < p.Times)
		if due && hit == nil {
			hit = p
			p.struck++
		}
	}
	if hit == nil {
		return nil
	}
	return new(hit.Fault)
}

// pageOf says which page of a list a call asks for; 0: none at all.
func (o *Org) pageOf(c *call, rt route) int {
	if !rt.lists() {
		return 0
	}
	if rt.path == "/api/v1/logs" {
		q, err := o.parseLogQuery(c)
		if err != nil {
			return 0
		}
		return q.page
	}
	page, _, _ := c.cursor()
	return page
}

// errorCodes are Okta's usual codes and texts by status.
var errorCodes = map[int][2]string{
	400: {"E0000001", "Api validation failed"},
	401: {"E0000011", "Invalid token provided"},
	403: {"E0000006", "You do not have permission to perform the requested action"},
	404: {"E0000007", "Not found: Resource not found"},
	405: {"E0000022", "The endpoint does not support the provided HTTP method"},
	423: {"E0000239", "Policy priorities are being reconciled. Please try again later."},
	429: {"E0000047", "API call exceeded rate limit due to too many requests."},
	500: {"E0000009", "Internal Server Error"},
	501: {"E0000060", "Unsupported operation."},
}

func (f *Fault) failure() error {
	usual, ok := errorCodes[f.Status]
	if !ok {
		usual = [2]string{"E0000001", http.StatusText(f.Status)}
	}
	if f.Code != "" {
		usual[0] = f.Code
	}
	if f.Message != "" {
		usual[1] = f.Message
	}
	return fail(f.Status, usual[0], usual[1])
}

// proxied reports a failure that no Okta error body comes with.
func (f *Fault) proxied() bool { return f.Code == "" && f.Status > 501 }

func (f *Fault) headers(h http.Header) {
	for name, v := range f.Headers {
		if v == "absent" {
			h.Del(name)
			continue
		}
		h.Set(name, v)
	}
}

// spoilsList reports a fault that changes the rows or links of an answer.
func (f *Fault) spoilsList() bool {
	return slices.Contains([]string{FaultEmpty, FaultThin, FaultDuplicate, FaultWrongOrg, FaultOtherRows}, f.Kind) || strings.HasPrefix(f.Kind, "next-")
}
