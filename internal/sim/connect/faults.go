package connect

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Kinds of fault.
const (
	// FaultStatus answers Status. With a Code, or at 500, it is a Connect
	// exception; otherwise a page of HTML as a load balancer makes it.
	FaultStatus = "status"
	// FaultReset resets the TCP connection in place of an answer.
	FaultReset = "reset"
	// FaultTruncate closes the connection in the middle of the answer.
	FaultTruncate = "truncate"
	// FaultDelay answers after Delay, or not at all if the client is gone by
	// then. Without Commit the late answer is a 504 and nothing is done.
	FaultDelay = "delay"
	// FaultLatency does the work after Delay and answers as usual.
	FaultLatency = "latency"
)

// Fault is one rule of the fault plan. A call meets the first rule that
// matches it and is due. Throttled calls do not count.
type Fault struct {
	// Operation and Username narrow the calls that match; "" is any. Username
	// is that of the agent the call is about, in exact case.
	Operation string `json:"operation,omitempty"`
	Username  string `json:"username,omitempty"`

	// Nth is the matching call at which the fault begins, counted from 1;
	// 0 is 1. Every repeats it at each Every-th matching call from there on;
	// 0 is 1. Times is how often it strikes; 0 is once, negative for ever.
	Nth   int `json:"nth,omitempty"`
	Every int `json:"every,omitempty"`
	Times int `json:"times,omitempty"`

	// Commit does the work before the fault; without it nothing is done.
	Commit bool `json:"commit,omitempty"`
	// Kind is one of status, reset, truncate, delay, latency; "" is status.
	Kind string `json:"kind,omitempty"`
	// Status (0 is 500), Code and Message shape a status fault. A Code
	// without a Message has an empty one.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Delay is for delay and latency.
	Delay time.Duration `json:"delay,omitempty"`
}

type faultPlain Fault

type faultJSON struct {
	*faultPlain
	Delay *duration `json:"delay,omitempty"`
}

// MarshalJSON writes the delay as a Go string.
func (f Fault) MarshalJSON() ([]byte, error) {
	v := faultJSON{faultPlain: (*faultPlain)(&f)}
	if f.Delay != 0 {
		v.Delay = (*duration)(&f.Delay)
	}
	return json.Marshal(v)
}

// UnmarshalJSON refuses unknown members.
func (f *Fault) UnmarshalJSON(data []byte) error {
	return strictly(data, &faultJSON{faultPlain: (*faultPlain)(f), Delay: (*duration)(&f.Delay)})
}

// normalized fills in what zero stands for and refuses what means nothing.
func (f Fault) normalized() (Fault, error) {
	f.Kind = defaultTo(f.Kind, FaultStatus)
	if f.Status == 0 {
		f.Status = http.StatusInternalServerError
	}
	if f.Times == 0 {
		f.Times = 1
	}
	f.Nth, f.Every = max(f.Nth, 1), max(f.Every, 1)
	switch {
	case !slices.Contains([]string{FaultStatus, FaultReset, FaultTruncate, FaultDelay, FaultLatency}, f.Kind):
		return f, fmt.Errorf("fault: no kind %q", f.Kind)
	case f.Operation != "" && !slices.Contains(operationNames(), f.Operation):
		return f, fmt.Errorf("fault: no operation %q", f.Operation)
	case f.Status < 200 || f.Status > 599:
		return f, fmt.Errorf("fault: status %d is none of an answer", f.Status)
	case f.Delay < 0 || f.Delay == 0 && (f.Kind == FaultDelay || f.Kind == FaultLatency):
		return f, fmt.Errorf("fault: kind %s with delay %v", f.Kind, f.Delay)
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
func (in *Instance) AddFaults(faults ...Fault) error {
	var planned []*plannedFault
	for _, f := range faults {
		f, err := f.normalized()
		if err != nil {
			return err
		}
		planned = append(planned, &plannedFault{Fault: f})
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.faults = append(in.faults, planned...)
	return nil
}

// ClearFaults empties the fault plan.
func (in *Instance) ClearFaults() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.faults = nil
}

// Faults returns the plan with its progress.
func (in *Instance) Faults() []PlannedFault {
	in.mu.Lock()
	defer in.mu.Unlock()
	plan := make([]PlannedFault, 0, len(in.faults))
	for _, p := range in.faults {
		plan = append(plan, PlannedFault{p.Fault, p.seen, p.struck})
	}
	return plan
}

// planned counts a call against every rule it matches and returns the first
// rule that is due, nil if none is.
func (in *Instance) planned(operation, username string) *Fault {
	var hit *plannedFault
	for _, p := range in.faults {
		if p.Operation != "" && p.Operation != operation || p.Username != "" && p.Username != username {
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

// faulted serves a call that meets a fault. It returns nil when there is
// nothing left to answer.
func (in *Instance) faulted(o operation, w http.ResponseWriter, r *http.Request, c *call, f *Fault) *reply {
	if f.Kind == FaultLatency {
		if !in.pause(r.Context(), f.Delay) {
			return nil
		}
		result, err := o.run(in, r, c)
		return in.answer(o, result, err)
	}
	done := in.spoiled(http.StatusGatewayTimeout, "", "")
	if f.Commit {
		result, err := o.run(in, r, c)
		done = in.answer(o, result, err)
	}
	switch f.Kind {
	case FaultReset:
		in.log.Debug("connect call", "operation", o.name, "fault", f.Kind, "commit", f.Commit)
		reset(w)
		return nil
	case FaultTruncate:
		in.log.Debug("connect call", "operation", o.name, "fault", f.Kind, "commit", f.Commit)
		truncate(w, done)
		return nil
	case FaultDelay:
		if !in.pause(r.Context(), f.Delay) {
			return nil
		}
		return done
	default:
		return in.spoiled(f.Status, f.Code, f.Message)
	}
}

// spoiled makes the answer of a status fault.
func (in *Instance) spoiled(status int, code, message string) *reply {
	in.mu.Lock()
	defer in.mu.Unlock()
	if code == "" && status == http.StatusInternalServerError {
		code, message = "InternalServiceException", defaultTo(message, "Internal service error")
	}
	if code != "" {
		return in.refusal(fail(status, code, "%s", message))
	}
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return &reply{status: status, requestID: in.uuid(), kind: "text/html",
		body: []byte("<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>")}
}

// reset closes the connection so that the client sees it reset, not ended.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or no connection at all
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// truncate sends the header and half of the body. An empty body is announced
// as longer than it is.
func truncate(w http.ResponseWriter, p *reply) {
	p.header(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(p.body)+2))
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body[:len(p.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
