package connect

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// Entry is one accepted write. The ledger only grows, so the entries are the
// history of the instance as its API clients made it.
type Entry struct {
	Seq       int       `json:"seq"` // from 1
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	// Agent and Username are those of the agent written to. They are empty
	// when something other than an agent was tagged.
	Agent    string `json:"agent,omitempty"`
	Username string `json:"username,omitempty"`
	// Tags are those the agent bears after the write; for a removal, before it.
	Tags map[string]string `json:"tags,omitempty"`
	// Request is the body as sent, without a password.
	Request map[string]any `json:"request,omitempty"`
	// Fault is the kind of fault that then spoiled the answer, "" for none.
	Fault string `json:"fault,omitempty"`
}

// Stats count calls since the instance was made or reset.
type Stats struct {
	Since      time.Time                  `json:"since"`
	Agents     int                        `json:"agents"`
	Writes     int                        `json:"writes"`
	Calls      int                        `json:"calls"`
	Throttled  int                        `json:"throttled"`
	Unknown    int                        `json:"unknown"` // calls of operations that do not exist
	Operations map[string]*OperationStats `json:"operations"`
}

// OperationStats count the calls of one operation.
type OperationStats struct {
	Calls     int            `json:"calls"` // all of them, throttled ones too
	OK        int            `json:"ok"`
	Throttled int            `json:"throttled"`
	Faulted   int            `json:"faulted"` // met a fault of the plan
	Errors    map[string]int `json:"errors,omitempty"`
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
}

func (s *Stats) operation(name string) *OperationStats {
	o := s.Operations[name]
	if o == nil {
		o = &OperationStats{Errors: make(map[string]int)}
		s.Operations[name] = o
	}
	return o
}

func (o *OperationStats) begin(now time.Time) {
	if o.Calls == 0 {
		o.First = now
	}
	o.Calls++
	o.Last = now
}

func (o *OperationStats) end(status int, code string) {
	switch {
	case code == "" && status == http.StatusOK:
		o.OK++
	case code == "":
		o.Errors[http.StatusText(status)]++
	default:
		o.Errors[code]++
	}
}

// Stats returns the counts so far.
func (in *Instance) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	s.Agents = in.agents.len()
	s.Writes = len(in.ledger)
	s.Operations = make(map[string]*OperationStats, len(in.stats.Operations))
	for name, o := range in.stats.Operations {
		c := *o
		c.Errors = maps.Clone(o.Errors)
		s.Operations[name] = &c
		s.Calls += c.Calls
		s.Throttled += c.Throttled
	}
	return s
}

// Ledger returns the accepted writes, oldest first.
func (in *Instance) Ledger() []Entry { return in.LedgerAfter(0) }

// LedgerAfter returns the accepted writes that came after the one numbered seq.
func (in *Instance) LedgerAfter(seq int) []Entry {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.ledger[min(max(seq, 0), len(in.ledger)):])
}

// record enters a write. a is nil when it was no agent.
func (in *Instance) record(c *call, a *Agent) {
	request := maps.Clone(c.body)
	delete(request, "Password")
	e := Entry{
		Seq:       len(in.ledger) + 1,
		Time:      in.now(),
		Operation: c.operation,
		Request:   request,
		Fault:     c.fault,
	}
	if a != nil {
		e.Agent, e.Username, e.Tags = a.ID, a.Username, a.Tags
	}
	in.ledger = append(in.ledger, e)
}
