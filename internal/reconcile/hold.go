package reconcile

import (
	"slices"
	"strconv"
	"time"

	"connectroster/internal/plan"
)

// Hold is a list of changes that wait for somebody to approve or reject them,
// all for one cause and in one instance.
type Hold struct {
	ID       string      `json:"id"` // "H1"
	Instance string      `json:"instance,omitempty"`
	Cause    string      `json:"cause"`
	Opened   time.Time   `json:"opened"`
	Entries  []HoldEntry `json:"entries"` // ordered by person
}

// HoldName is the id of a hold as people see it.
func HoldName(n int64) string { return "H" + strconv.FormatInt(n, 10) }

// HoldNumber is the number in the id of a hold; 0: it is the id of none.
func HoldNumber(name string) int64 {
	if len(name) < 2 || name[0] != 'H' {
		return 0
	}
	n, err := strconv.ParseInt(name[1:], 10, 64)
	if err != nil || HoldName(n) != name {
		return 0
	}
	return n
}

// Waiting counts the entries that can still be decided.
func (h Hold) Waiting(now time.Time) int {
	n := 0
	for _, e := range h.Entries {
		if e.State == HoldWaiting && now.Before(e.Expires) {
			n++
		}
	}
	return n
}

// HoldEntry is one change of a hold.
type HoldEntry struct {
	Hold     string       `json:"hold"`
	Instance string       `json:"instance,omitempty"`
	Cause    string       `json:"cause"`
	Person   string       `json:"person"`
	Agent    string       `json:"agent"`
	Kind     RemovalKind  `json:"kind"`
	Action   plan.Action  `json:"action"`
	Hash     string       `json:"hash"` // of the change
	Reason   string       `json:"reason"`
	State    HoldState    `json:"state"`
	Created  time.Time    `json:"created"`
	Expires  time.Time    `json:"expires"`
	By       string       `json:"by,omitempty"` // who decided
	At       time.Time    `json:"at,omitzero"`  // and when
	Change   *plan.Change `json:"change,omitempty"`
}

// Open reports whether the entry still stands for something that may be done: it
// waits, be it past its time, or was approved and has not gone yet.
func (e HoldEntry) Open() bool { return e.State == HoldWaiting || e.State == HoldApproved }

// HoldState says what became of an entry of a hold. An entry that waits past
// its time has expired, which nobody writes down.
type HoldState string

// The states of an entry.
const (
	HoldWaiting    HoldState = "waiting"
	HoldApproved   HoldState = "approved"
	HoldSpent      HoldState = "spent"      // approved, and the change went
	HoldRejected   HoldState = "rejected"   // and there is a stay on the person; after that it waits anew
	HoldSuperseded HoldState = "superseded" // another entry has taken its place
	HoldWithdrawn  HoldState = "withdrawn"  // nothing is to be taken from the person any more
)

// HoldQuery selects holds.
type HoldQuery struct {
	ID      string // empty: any
	Person  string // holds with an entry of that person, and of them no other entries
	Waiting bool   // only entries that wait and have not expired, and holds with such
	Open    bool   // only entries that wait, be it past their time, or were approved and have not gone yet
	Limit   int    // of holds; zero: 100
}

// Decision is somebody's word on a hold.
type Decision struct {
	Hold    string
	People  []string // empty: all that wait
	Approve bool
	By      string
	At      time.Time
	Stay    Stay // for a rejection: Who, Why and Until; Person is filled in
}

// Covers reports whether a decision is about an entry that waits. A rejection is of
// what has expired, too, since it keeps everything as it is.
func (d Decision) Covers(e HoldEntry) bool {
	if len(d.People) > 0 && !slices.Contains(d.People, e.Person) {
		return false
	}
	return !d.Approve || Micros(d.At) < Micros(e.Expires)
}

// Decided is the entry afterwards.
func (d Decision) Decided(e HoldEntry) HoldEntry {
	e.State, e.By, e.At = HoldRejected, d.By, Instant(Micros(d.At))
	if d.Approve {
		e.State = HoldApproved
	}
	return e
}

// StayOf is the stay that a rejection puts on a person.
func (d Decision) StayOf(person string) Stay {
	stay := d.Stay
	stay.Person = person
	if stay.Since.IsZero() {
		stay.Since = d.At
	}
	return stay
}

// Stay leaves a person as they are: nothing that the Guard has a say in is done
// to their agents until then.
type Stay struct {
	Person string    `json:"person"`
	Who    string    `json:"who"`
	Why    string    `json:"why"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}
