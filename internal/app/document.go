package app

import (
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// documentVersion is the version of Document that this program writes and reads.
const documentVersion = 1

// Document is a plan as it is shown, stored and applied.
type Document struct {
	Version  int                 `json:"version"`
	Name     string              `json:"name"` // of the deployment
	Taken    time.Time           `json:"taken"`
	Scope    string              `json:"scope"` // names the configuration
	Hash     string              `json:"hash"`  // names all that would be changed
	Policy   plan.Policy         `json:"policy"`
	Mode     string              `json:"mode"`
	People   []string            `json:"people,omitempty"` // Okta ids of those it is about; empty: everybody
	First    string              `json:"first,omitempty"`  // why all removals would have to be approved
	Looked   int                 `json:"looked"`           // at so many people
	Agents   int                 `json:"agents"`           // of this deployment that were read
	Counts   map[plan.Action]int `json:"counts"`
	Changes  []PlannedChange     `json:"changes"`
	Refusals []PlannedRefusal    `json:"refusals"`
	Orphans  []reconcile.Orphan  `json:"orphans,omitempty"`  // of plans for everybody
	Forecast *Forecast           `json:"forecast,omitempty"` // of what the guard says
	Calls    map[string]int      `json:"calls"`              // to Amazon Connect, by operation
	ETA      float64             `json:"eta_seconds"`        // at the rate that is configured
}

// PlannedChange is a change of a Document.
type PlannedChange struct {
	reconcile.Proposed
	Username    string            `json:"username"`
	Name        string            `json:"name,omitempty"`
	Differences []plan.Difference `json:"differences,omitempty"`
	Calls       map[string]int    `json:"calls,omitempty"`
}

// PlannedRefusal is a refusal of a Document.
type PlannedRefusal struct {
	plan.Refusal
	Remedy string `json:"remedy"`
}

// Difference tells why a stored plan is not what would be done now.
type Difference struct {
	Instance string      `json:"instance,omitempty"`
	Person   string      `json:"person"`
	Username string      `json:"username,omitempty"`
	Action   plan.Action `json:"action"`
	State    string      `json:"state"` // "new": not in the stored plan; "gone": not to be done any more; "changed"
}

// Line is one line of the stream that tells how something is carried out. One of
// its fields is set.
type Line struct {
	Progress *Progress `json:"progress,omitempty"`
	Outcome  *Settled  `json:"outcome,omitempty"`
	Summary  *Summary  `json:"summary,omitempty"` // the last line, unless there is an error
	Error    string    `json:"error,omitempty"`   // the last line: why nobody waits any longer
}

// Progress tells how many people are settled.
type Progress struct {
	Done  int     `json:"done"`
	Total int     `json:"total"`
	ETA   float64 `json:"eta_seconds"`
}

// Settled tells how it ended for one person.
type Settled struct {
	Person   string        `json:"person"`
	Username string        `json:"username,omitempty"`
	Actions  []plan.Action `json:"actions"`
	Result   Result        `json:"result"`
	Reason   string        `json:"reason,omitempty"`
}

// Result is how it ended for a person.
type Result string

// The results.
const (
	ResultDone    Result = "done"
	ResultHeld    Result = "held"    // waits for approval
	ResultStayed  Result = "stayed"  // somebody said to leave them as they are
	ResultRefused Result = "refused" // see the reason
	ResultWaiting Result = "waiting" // goes on by itself, later
	ResultFailed  Result = "failed"  // will be tried again, later
	ResultDead    Result = "dead"    // given up
)

// Failed reports whether the result is not what whoever asked for it wanted.
func (r Result) Failed() bool { return r == ResultRefused || r == ResultFailed || r == ResultDead }

// Summary closes a stream.
type Summary struct {
	Total   int                 `json:"total"`
	Results map[Result]int      `json:"results"`
	Actions map[plan.Action]int `json:"actions"`
	Took    float64             `json:"took_seconds"`
}

// Failed counts the people whom somebody has to look after.
func (s Summary) Failed() int {
	n := 0
	for result, count := range s.Results {
		if result.Failed() {
			n += count
		}
	}
	return n
}
