package reconcile

import (
	"context"
	"iter"
	"time"

	"connectroster/internal/plan"
)

// Directory is where people come from.
type Directory interface {
	// Person reads one person now. ErrNotFound means that the directory knows
	// nobody of that id, which is a fact about the person.
	Person(ctx context.Context, id string) (plan.Person, error)

	// People reads everybody who may be an agent. It yields all of them or an
	// error: a partial list must never look whole. Nothing follows an error.
	People(ctx context.Context) iter.Seq2[plan.Person, error]

	// Evidence asks a second and different question about somebody who seems to
	// have left, before anything is taken from them.
	Evidence(ctx context.Context, q Question) (Evidence, error)

	// Scope names what People reads: the org, and the mapped groups by their ids.
	// It changes when another org answers or a mapped name leads to another
	// group. It costs no more than People does.
	Scope(ctx context.Context) (string, error)

	// Find gives the id of the person whom an id, a login or a username means.
	// ErrNotFound means nobody.
	Find(ctx context.Context, ref string) (string, error)
}

// Feed is the directory's own record of what happened.
type Feed interface {
	// Events gives one page of what happened since the cursor: requests for the
	// people concerned, and the cursor for the next page. The empty cursor stands
	// for the time since. At least once from the cursor on: a page may come
	// again, and nothing is left out. ErrGap means that the cursor is refused or
	// too old, so that only a sweep can tell what happened.
	Events(ctx context.Context, cursor string, since time.Time) (Page, error)
}

// Page is one page of a Feed.
type Page struct {
	Requests []Request
	Fan      []string // Okta ids of groups of whose members everybody known must be looked at
	Failed   int      // deliveries of hooks that Okta reports as failed
	Next     string   // the cursor for the next page
	More     bool     // there may be more behind it already
}

// Instance is where agents live.
type Instance interface {
	// Catalog gives the profiles that the instance offers. It may be some
	// minutes old.
	Catalog(ctx context.Context) (plan.Catalog, error)

	// Agent reads one agent by its UserId. The answer is read-after-write.
	// ErrNotFound means that there is no such agent.
	Agent(ctx context.Context, id string) (plan.Agent, error)

	// Agents reads every agent of this deployment from the search index, which
	// may lag. Of their proficiencies it shows those among skills alone. It yields
	// all of them or an error. Nothing follows an error.
	Agents(ctx context.Context, skills []plan.Proficiency) iter.Seq2[plan.Agent, error]

	// Holder looks for the agent that has a username, whoever owns it, without
	// regard to case. ErrNotFound means that no search shows one, which is no
	// proof that there is none.
	Holder(ctx context.Context, username string) (plan.Agent, error)

	// Apply makes one change and gives the UserId of the agent. It is
	// idempotent, and half-done is fine: the next round finishes it.
	//
	// ErrTaken says that the username of a Create is in use. A Terminal or an
	// After error says that nothing was done. Any other error leaves open
	// whether the change was made.
	Apply(ctx context.Context, change plan.Change) (id string, err error)

	// Busy tells which of the agents have a contact now. The answer may be some
	// seconds old. An agent who is not signed in has none.
	Busy(ctx context.Context, ids ...string) (map[string]bool, error)
}

// Queue holds the requests to look at people: one entry per person, however
// many requests there are.
type Queue interface {
	// Enqueue stores requests, and the facts that they carry, in one piece. They
	// are durable when it returns nil, and nothing of them is kept when it
	// returns an error. A request for a person who is being worked on makes that
	// person due again afterwards; one for a person who waits makes them due at
	// the earlier of the two times; one for a dead letter revives it.
	//
	// A request of a sweep adds nothing where its answer is on the way: for somebody
	// who is due and as urgent, since the look is still to begin, or for whom the
	// newest request is of the same sweep, by its Event, and as urgent. It is not
	// stored then, so that a sweep that goes on after it was cut short writes little.
	Enqueue(ctx context.Context, requests ...Request) error

	// Claim takes one person who is due, the smallest priority first and the
	// longest waiting first within it, and nobody else gets that person until
	// the lease is settled or over. ErrNotFound means that nobody is due.
	Claim(ctx context.Context, lease time.Duration) (Work, error)

	// Settle ends a claim. ErrNotFound means that the lease was over and the
	// person may be somebody else's by now; nothing is changed then.
	Settle(ctx context.Context, work Work, verdict Verdict) error
}

// Facts are what hook events told about people, kept in place of a directory
// where there is no access to Okta's API. Enqueue writes them.
type Facts interface {
	// Facts gives what is known of one person, ordered by group. A person of
	// whom nothing is known has none.
	Facts(ctx context.Context, person string) ([]Fact, error)

	// AllFacts gives the facts of everybody, ordered by person and then group.
	// Nothing follows an error.
	AllFacts(ctx context.Context) iter.Seq2[Fact, error]
}

// Index remembers which agents belong to whom. It is a cache: it is rebuilt from
// Amazon Connect, and nothing is ever decided from what it lacks alone.
type Index interface {
	// Agents gives the agents of an owner in all instances, ordered by instance
	// and agent: the live one and those retired by a rename.
	Agents(ctx context.Context, owner string) ([]Known, error)

	// Remember stores or replaces entries, each by its instance and agent.
	Remember(ctx context.Context, known ...Known) error

	// Forget drops an agent of an instance.
	Forget(ctx context.Context, instance, agent string) error

	// Rebuild replaces what is known of an instance by what a complete reading of
	// it showed, in one piece. Entries that it lacks go, but for those with a
	// Since after the given time, which may be too new to be seen. The Since of
	// entries that stay is kept.
	Rebuild(ctx context.Context, instance string, before time.Time, known []Known) error

	// Owned counts the agents of an instance, those retired apart: all of them,
	// and those of each Okta group that made them agents.
	Owned(ctx context.Context, instance string) (all int, groups map[string]int, err error)
}

// Intents are the changes whose outcome is not known yet, one per person and
// instance. An intent is stored before the first call of a change, since its
// answer can be lost, and the one that creates an agent has no idempotency token.
type Intents interface {
	// Intent gives the open intent of a person. ErrNotFound means there is none.
	Intent(ctx context.Context, person, instance string) (Intent, error)

	// SaveIntent stores or replaces the intent of a person, durably.
	SaveIntent(ctx context.Context, intent Intent) error

	// DropIntent closes the intent of a person. Closing none is no error.
	DropIntent(ctx context.Context, person, instance string) error
}

// Tombstones are the agents as they were before they were suspended.
type Tombstones interface {
	// SaveTombstone stores an agent, durably, unless there is a tombstone of it
	// already: a suspension that was cut short must not be remembered half-done.
	SaveTombstone(ctx context.Context, tombstone Tombstone) error

	// Tombstones gives those there are of the agents, by UserId.
	Tombstones(ctx context.Context, agents ...string) (map[string]Tombstone, error)

	// DropTombstone forgets an agent. Forgetting none is no error.
	DropTombstone(ctx context.Context, agent string) error
}

// Guard keeps the books of what takes access away or moves many people at once:
// places taken in rolling windows, what is held for somebody to decide, and the
// people who are to be left alone for a while.
type Guard interface {
	// Reserve asks whether a change may go, and takes its place if so. It is
	// durable and atomic across workers, and must come before the first call of
	// the change. Asking again for the same change, by its hash, is not counted
	// again within Limits.Long. Weigh says how it is decided.
	Reserve(ctx context.Context, r Removal, limits Limits) (Reservation, error)

	// Withdraw closes the entries of a person in an instance that are open or were
	// rejected: nothing is to be taken from them any more. The places that were taken
	// for them still count, but the same change needs another one from now on.
	Withdraw(ctx context.Context, person, instance string) error

	// Holds gives holds with their entries, newest first.
	Holds(ctx context.Context, query HoldQuery) ([]Hold, error)

	// Decide approves or rejects waiting entries and gives those that it decided.
	// What has expired cannot be approved. A rejection puts the stay of the
	// decision on the people, in the same piece. ErrNotFound means that there is
	// no such hold.
	Decide(ctx context.Context, d Decision) ([]HoldEntry, error)

	// Stay leaves people alone for a while, replacing an earlier stay.
	Stay(ctx context.Context, stays ...Stay) error

	// Unstay ends stays early.
	Unstay(ctx context.Context, people ...string) error

	// Stays gives the stays that are not over, ordered by person.
	Stays(ctx context.Context) ([]Stay, error)
}

// Notes are small named texts that must outlive the process: the place in the
// feed, the result of the last sweep.
type Notes interface {
	// Note gives the text of that name. ErrNotFound means there is none.
	Note(ctx context.Context, name string) (string, error)

	// SaveNote stores or replaces a text, durably.
	SaveNote(ctx context.Context, name, text string) error
}

// Journal is the append-only record of what was done and refused.
type Journal interface {
	// Record appends an entry to the chain of its person; what the entry says of
	// Seq, Digest, Previous and Hash is ignored, the journal gives them. It is
	// durable when it returns.
	Record(ctx context.Context, entry Entry) error

	// Recent gives entries, newest first.
	Recent(ctx context.Context, query Query) ([]Entry, error)
}
