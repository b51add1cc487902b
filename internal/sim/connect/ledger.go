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
	// Agent and Username are those of the agent written to, or that a quick
	// connect leads to, which may be gone and without a name by then. They are
	// empty when something else was written.
	Agent    string `json:"agent,omitempty"`
	Username string `json:"username,omitempty"`
	// Resource is the ARN of what was written if it was no agent.
	Resource string `json:"resource,omitempty"`
	// Tags are those the agent, or else the resource, bears after the write; for
	// a removal, before it.
	Tags map[string]string `json:"tags,omitempty"`
	// Request is the body as sent, without a password; for UntagResource its
	// tagKeys.
	Request map[string]any `json:"request,omitempty"`
	// Unchanged says that the write changed nothing: things were that way.
	Unchanged bool `json:"unchanged,omitempty"`
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

// record enters a write to an agent.
func (in *Instance) record(c *call, a *Agent) {
	in.enterWrite(c, Entry{Agent: a.ID, Username: a.Username, Tags: a.Tags})
}

// recordQuickConnect enters a write to a quick connect.
func (in *Instance) recordQuickConnect(c *call, q *quickConnect) {
	e := Entry{Resource: q.ARN, Tags: q.Tags}
	if u := q.Config.User; u != nil {
		e.Agent = u.UserID
		if a := in.agents.current(u.UserID); a != nil {
			e.Username = a.Username
		}
	}
	in.enterWrite(c, e)
}

func (in *Instance) enterWrite(c *call, e Entry) {
	request := maps.Clone(c.body)
	delete(request, "Password")
	e.Seq = len(in.ledger) + 1
	e.Time = in.now()
	e.Operation = c.operation
	e.Request = request
	e.Fault = c.fault
	e.Unchanged = c.unchanged
	in.ledger = append(in.ledger, e)
}
