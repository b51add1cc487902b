package reconcile

import (
	"errors"
	"fmt"
	"time"

	"connectroster/internal/plan"
)

// Request says "look at this person". It never says what to do.
type Request struct {
	Person   string // Okta user id
	Priority Priority
	Trigger  Trigger
	Event    string    // uuid of the Okta event, or the name of the sweep, that gave rise to it; may be empty
	Due      time.Time // not before; zero means now
	Facts    []Fact    // what the event told, for hook-only mode
}

// Check reports what a request lacks to be stored.
func (r Request) Check() error {
	if r.Person == "" {
		return errors.New("a request names no person")
	}
	for _, f := range r.Facts {
		if f.Person == "" || f.Group == "" {
			return fmt.Errorf("a fact in the request for person %s names no person or no group", r.Person)
		}
	}
	return nil
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
	TriggerHook     Trigger = "hook"
	TriggerLog      Trigger = "log" // Okta's System Log
	TriggerSweep    Trigger = "sweep"
	TriggerReplay   Trigger = "replay"   // somebody asked for a dead letter again
	TriggerApply    Trigger = "apply"    // somebody applied a plan
	TriggerApproval Trigger = "approval" // somebody approved what was held
	TriggerPeople   Trigger = "people"   // somebody asked for an adoption, a release or a restoration
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
	Failed bool      // for Later and Dead: count an attempt
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
	Instance string    // as the configuration calls it
	Owner    string    // Okta user id
	Agent    string    // Connect UserId
	Since    time.Time // when we created it; zero: it was seen in a search
	Retired  bool      // by a rename
	Group    string    // Okta id of the group that made them an agent

	// Absent is when a complete sweep last found that the owner is in none of the
	// mapped groups; zero: the last one found them. It counts as the second key of
	// a removal.
	Absent time.Time
	// Cliff is why whatever a sweep wanted to take from this agent must be
	// approved; empty: no reason.
	Cliff string
}

// Question is what Directory.Evidence answers.
type Question struct {
	Person string
	Gone   bool   // the directory answers that it knows nobody of that id
	Group  string // Okta id of the group that made them an agent; empty: not known
}

// Evidence is what a directory's own records say of somebody's leaving.
type Evidence struct {
	Confirmed bool      // the newest record about the person (and the group) is of their removal
	Joined    time.Time // when a mapped group took them in that has not let them go since, by the records; zero: none
	Cliff     string    // what happened to the group as a whole: it is gone, or empty; for people
	GroupName string    // of the group that was asked about; empty: not known
}

// Intent is a change whose outcome is open.
type Intent struct {
	Person   string
	Instance string
	Change   *plan.Change // what was about to be done; nil only for a creation
	Username string       // of the agent that a Create or Replace makes; empty for other changes
	Started  time.Time    // when the first call was about to be made
	Looks    int          // how often the agent was looked for since the last call
	Creates  int          // how many calls were made or about to be made
	Taken    time.Time    // when Amazon Connect first called the username taken; zero: it did not
}

// Making reports whether the change makes an agent, so that its outcome must be
// found out before anything else.
func (i Intent) Making() bool { return i.Username != "" }

// Tombstone is an agent as it was before it was suspended.
type Tombstone struct {
	Instance string
	Person   string
	Agent    plan.Agent
	Taken    time.Time
}

// Entry is one line of the journal. Who and what are ids; Before and After are
// personal data and can be erased, which leaves the Digest and so the chain.
type Entry struct {
	Seq      int64         `json:"seq"`
	Time     time.Time     `json:"time"`
	Person   string        `json:"person"`             // Okta user id
	Instance string        `json:"instance,omitempty"` // as the configuration calls it
	Agent    string        `json:"agent,omitempty"`    // Connect UserId
	Kind     EntryKind     `json:"kind"`
	Action   plan.Action   `json:"action,omitempty"` // for EntryChange, EntryFailure and EntryHold
	Fields   []plan.Field  `json:"fields,omitempty"` // what was written
	Code     plan.Code     `json:"code,omitempty"`   // for EntryRefusal, and EntryFailure where the catalogue of remedies knows the error
	Reason   string        `json:"reason"`
	Trigger  Trigger       `json:"trigger,omitempty"`
	Event    string        `json:"event,omitempty"`
	By       string        `json:"by,omitempty"`   // who asked for it or approved it, where somebody did
	Hold     string        `json:"hold,omitempty"` // id of the hold that it waited in or was approved in
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
	EntryChange    EntryKind = "change"    // a change was made
	EntryRefusal   EntryKind = "refusal"   // something will not be done
	EntryFailure   EntryKind = "failure"   // a change was given up; see Error
	EntryHold      EntryKind = "hold"      // a change waits for somebody to decide
	EntryApproved  EntryKind = "approved"  // somebody approved a change
	EntryRejected  EntryKind = "rejected"  // somebody rejected a change
	EntryStay      EntryKind = "stay"      // somebody put a stay on a person, or ended it
	EntryDropped   EntryKind = "dropped"   // somebody gave a dead letter up for good
	EntryForgotten EntryKind = "forgotten" // somebody had erased what is personal of a person
	EntryAnchor    EntryKind = "anchor"    // a digest over the ends of all chains, of no person
)

// Query selects entries of the journal.
type Query struct {
	Person string    // empty: everybody
	Kind   EntryKind // empty: any
	Before int64     // only entries with a smaller Seq; zero: from the newest
	After  int64     // only entries with a greater Seq, and then oldest first
	Limit  int       // at most so many; zero: 100
}

// Erased counts what a backend took away of somebody: the entries of the journal and of
// holds, and the intents, that lost their personal part, and the facts and tombstones.
// Open counts intents that still hold the username of an agent which may have been
// made, and for a replacement how it looks: they are needed until the outcome is known,
// and another Erase after that finds none of it.
type Erased struct {
	Entries    int `json:"entries"`
	Facts      int `json:"facts"`
	Tombstones int `json:"tombstones"`
	Holds      int `json:"holds"`
	Intents    int `json:"intents"`
	Open       int `json:"open"`
}
