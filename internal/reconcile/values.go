package reconcile

import (
	"time"

	"connectroster/internal/plan"
)

// Request says "look at this person". It never says what to do.
type Request struct {
	Person   string // Okta user id
	Priority Priority
	Trigger  Trigger
	Event    string    // uuid of the Okta event that gave rise to it; may be empty
	Due      time.Time // not before; zero means now
	Facts    []Fact    // what the event told, for hook-only mode
}

// Priority orders people who are due. Smaller goes first.
type Priority int

// The priorities: access that should end is more urgent than access that should
// begin.
const (
	Leaver Priority = iota
	Joiner
	Routine
)

// Trigger names what asked to look at a person.
type Trigger string

// The triggers.
const (
	TriggerHook   Trigger = "hook"
	TriggerLog    Trigger = "log" // Okta's System Log
	TriggerSweep  Trigger = "sweep"
	TriggerReplay Trigger = "replay" // somebody asked for a dead letter again
)

// Work is a claim on one person.
type Work struct {
	Person     string
	Generation int64 // the newest request that this claim covers
	Attempts   int   // failed attempts so far; waiting is not one
	Priority   Priority
	Trigger    Trigger   // of the newest request
	Event      string    // of the newest request
	Since      time.Time // when the oldest request that is not done yet was stored
	Token      string    // of the lease
}

// Verdict says how a claim ends.
type Verdict struct {
	State  VerdictState
	Due    time.Time // for Later: not before
	Failed bool      // for Later: count an attempt
	Reason string    // for Later and Dead: shown to people, so without personal data
}

// VerdictState is the kind of a Verdict.
type VerdictState int

// The ways in which a claim ends. A newer request made meanwhile runs again
// after any of them.
const (
	Done VerdictState = iota
	Later
	Dead
)

// Fact is the newest thing that an event told about a person and a group.
type Fact struct {
	Person      string // Okta user id
	Group       string // Okta group id
	GroupName   string
	Login       string // the login at that time; case kept
	DisplayName string
	Member      bool      // false is kept too, so that a late "added" cannot undo a newer "removed"
	Published   time.Time // by Okta's clock
	Event       string    // uuid
}

// Supersedes reports whether f replaces an older fact about the same person and
// group: the later published wins, and a removal wins a tie.
func (f Fact) Supersedes(older Fact) bool {
	if !f.Published.Equal(older.Published) {
		return f.Published.After(older.Published)
	}
	return !f.Member && older.Member
}

// Known is an entry of the Index.
type Known struct {
	Owner string    // Okta user id
	Agent string    // Connect UserId
	Since time.Time // when we created it or first saw it
}

// Intent is a creation whose outcome is open.
type Intent struct {
	Person   string
	Username string
	Started  time.Time // when the first call was about to be made
	Looks    int       // how often the agent was looked for since the last call
	Creates  int       // how many calls were made or about to be made
	Taken    time.Time // when Amazon Connect first called the username taken; zero: it did not
}

// Entry is one line of the journal. Who and what are ids; Before and After are
// personal data and can be erased, which leaves the Digest and so the chain.
type Entry struct {
	Seq      int64         `json:"seq"`
	Time     time.Time     `json:"time"`
	Person   string        `json:"person"`          // Okta user id
	Agent    string        `json:"agent,omitempty"` // Connect UserId
	Kind     EntryKind     `json:"kind"`
	Action   plan.Action   `json:"action,omitempty"` // for EntryChange
	Code     plan.Code     `json:"code,omitempty"`   // for EntryRefusal
	Reason   string        `json:"reason"`
	Trigger  Trigger       `json:"trigger,omitempty"`
	Event    string        `json:"event,omitempty"`
	Error    string        `json:"error,omitempty"`
	Duration time.Duration `json:"duration"` // nanoseconds from the claim to the outcome
	Before   *plan.Agent   `json:"before,omitempty"`
	After    *plan.Agent   `json:"after,omitempty"`

	Digest   string `json:"digest,omitempty"`   // salted SHA-256 of Before and After, hex
	Previous string `json:"previous,omitempty"` // Hash of the person's entry before; empty for the first
	Hash     string `json:"hash,omitempty"`     // SHA-256 over everything above but Before and After, hex
}

// EntryKind is what an entry records.
type EntryKind string

// The kinds of entry.
const (
	EntryChange  EntryKind = "change"  // a change was made
	EntryRefusal EntryKind = "refusal" // something will not be done
	EntryFailure EntryKind = "failure" // a change was given up; see Error
)

// Query selects entries of the journal.
type Query struct {
	Person string // empty: everybody
	Before int64  // only entries with a smaller Seq; zero: from the newest
	Limit  int    // at most so many; zero: 100
}
