package failpoint

// The places, in the order in which an event passes them.
const (
	HookAuthenticated = "hook-authenticated" // the secret was right, the body is unread
	HookRead          = "hook-read"          // the body is read
	HookParsed        = "hook-parsed"        // the events are known
	QueueBegin        = "queue-begin"        // the transaction is open
	QueueFacts        = "queue-facts"        // facts are written, not committed
	QueueRows         = "queue-rows"         // people are written, not committed
	QueueCommitted    = "queue-committed"    // durable, nobody was told
	HookAnswered      = "hook-answered"      // the status is written
	WorkClaimed       = "work-claimed"       // a worker has the person
	WorkPerson        = "work-person"        // the directory was read
	WorkPlanned       = "work-planned"       // the plan is made
	WorkReserved      = "work-reserved"      // the guard has answered
	WorkRemembered    = "work-remembered"    // the agent is kept as it was before it is parked
	WorkIntended      = "work-intended"      // the intent is durable, nothing was sent
	WorkApplied       = "work-applied"       // Amazon Connect has answered, nothing is stored
	WorkIndexed       = "work-indexed"       // the agent is known, the intent is open
	WorkJournalled    = "work-journalled"    // the entry is written, the claim is open
	WorkSettled       = "work-settled"       // all is done
)

// The places of a change that takes access away or moves somebody, in their order.
const (
	GuardRows          = "guard-rows"          // the place or the hold is written, not committed
	GuardCommitted     = "guard-committed"     // durable, nobody was told
	TombstoneRow       = "tombstone-row"       // the tombstone is written, not committed
	TombstoneCommitted = "tombstone-committed" // durable, nobody was told
)

// Places of the table of AWS alone.
const (
	TableStored    = "table-stored"    // the transaction is in the table, no queue was told
	TableAnnounced = "table-announced" // the queues were told, nobody has answered
)

// List holds every place that an event and a look pass.
var List = []string{
	HookAuthenticated, HookRead, HookParsed, QueueBegin, QueueFacts, QueueRows, QueueCommitted, HookAnswered,
	WorkClaimed, WorkPerson, WorkPlanned, WorkReserved, WorkRemembered, WorkIntended, WorkApplied, WorkIndexed, WorkJournalled, WorkSettled,
}

// Table holds the places inside the table of AWS on the way of an event.
var Table = []string{TableStored, TableAnnounced}

// Removals holds the places inside the store on the way of such a change.
var Removals = []string{GuardRows, GuardCommitted, TombstoneRow, TombstoneCommitted}
