package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"connectroster/internal/plan"
)

// Removal is a change that the Guard has a say in.
type Removal struct {
	Kind     RemovalKind
	Instance string
	Person   string
	Agent    string
	Group    string // Okta id of the group that was lost, for RemovalMembership
	Named    string // and its name, where that is known
	Action   plan.Action
	Hash     string // of the change
	Reason   string // for people
	Cliff    string // why it must be approved whatever the numbers; empty: no reason
	Owned    int    // agents of this deployment in the instance
	Change   *plan.Change
	At       time.Time // now
	Rest     bool      // it is what is left of a change that has been let go, and was measured with that
}

// RemovalKind says by which window a change is measured.
type RemovalKind string

// The kinds of removal.
const (
	RemovalStatus     RemovalKind = "status"     // suspended, deactivated or deleted in Okta
	RemovalMembership RemovalKind = "membership" // in none of the mapped groups any more
	RemovalDelete     RemovalKind = "delete"     // of an agent that was suspended or retired long enough
	RemovalMove       RemovalKind = "move"       // to another routing profile, other security profiles or another username
)

// KindOf gives the window that a change is measured by; empty: by none.
func KindOf(c plan.Change) RemovalKind {
	switch {
	case c.Action == plan.Delete:
		return RemovalDelete
	case c.Action == plan.Suspend && c.Evidence == plan.EvidenceMembership:
		return RemovalMembership
	case c.Action == plan.Suspend:
		return RemovalStatus
	case c.Moves():
		return RemovalMove
	}
	return ""
}

// Check reports what a removal lacks to be weighed.
func (r Removal) Check() error {
	if r.Person == "" || r.Kind == "" || r.Hash == "" {
		return errors.New("the removal names no person, no kind or no change")
	}
	return nil
}

// Stored is the removal with its time as stores keep it; that is now where it has none.
func (r Removal) Stored(now time.Time) Removal {
	if r.At.IsZero() {
		r.At = now
	}
	r.At = Instant(Micros(r.At))
	return r
}

// Window names the short window of its instance that a removal counts in.
func (r Removal) Window() string {
	switch r.Kind {
	case RemovalMembership:
		return "group " + r.Group
	case RemovalMove:
		return "move"
	}
	return "status"
}

// lost names the group that was lost, for people.
func (r Removal) lost() string {
	if r.Named == "" {
		return r.Group
	}
	return fmt.Sprintf("%q (%s)", r.Named, r.Group)
}

// Counts are those of the removal, of the places in its Window and of all that are no
// moves in the long one.
func (r Removal) Counts(short, long int) Counts {
	c := Counts{Long: long}
	switch r.Kind {
	case RemovalMove:
		c.Moves = short
	case RemovalMembership:
		c.Group = short
	default:
		c.Status = short
	}
	return c
}

// Limits are how much may go without anybody's approval. A share is of the
// agents that this deployment owns in the instance. Zero values stand for the
// defaults.
type Limits struct {
	Short time.Duration // the length of the short window; default 15 minutes
	Long  time.Duration // and of the long one; default 24 hours

	StatusCount int     // by status evidence, or deletions, in the short window: the larger of 5
	StatusShare float64 // and 0.10
	GroupCount  int     // by membership evidence, for each group, in the short window: 5
	LongCount   int     // all of these in the long window: the larger of 5
	LongShare   float64 // and 0.20
	MoveCount   int     // moves in the short window: the larger of 5
	MoveShare   float64 // and 0.30

	HoldFor time.Duration // how long a hold may be approved; default 24 hours
}

// Complete fills in the defaults.
func (l Limits) Complete() Limits {
	l.Short, l.Long, l.HoldFor = positive(l.Short, 15*time.Minute), positive(l.Long, 24*time.Hour), positive(l.HoldFor, 24*time.Hour)
	for _, n := range []*int{&l.StatusCount, &l.GroupCount, &l.LongCount, &l.MoveCount} {
		if *n <= 0 {
			*n = 5
		}
	}
	for share, otherwise := range map[*float64]float64{&l.StatusShare: 0.10, &l.LongShare: 0.20, &l.MoveShare: 0.30} {
		if *share <= 0 {
			*share = otherwise
		}
	}
	return l
}

// Counts are the places taken in the windows of an instance. What was approved
// is not among them.
type Counts struct {
	Status int // by status evidence or by deletion, in the short window
	Group  int // by membership evidence in the group of the removal, in the short window
	Long   int // all of these kinds and groups, in the long window
	Moves  int // in the short window
}

// Exceeded tells why a change has no place left, or gives the empty string.
func (l Limits) Exceeded(r Removal, c Counts) string {
	larger := func(count int, share float64) int { return max(count, int(share*float64(r.Owned))) }
	if r.Kind == RemovalMove {
		if most := larger(l.MoveCount, l.MoveShare); c.Moves >= most {
			return fmt.Sprintf("more than %s in %s", count(most, "move", "moves"), spell(l.Short))
		}
		return ""
	}
	if r.Kind == RemovalMembership && c.Group >= l.GroupCount {
		return fmt.Sprintf("more than %s left group %s in %s", count(l.GroupCount, "person", "people"), r.lost(), spell(l.Short))
	}
	if most := larger(l.StatusCount, l.StatusShare); r.Kind != RemovalMembership && c.Status >= most {
		return fmt.Sprintf("more than %s in %s", count(most, "removal", "removals"), spell(l.Short))
	}
	if most := larger(l.LongCount, l.LongShare); c.Long >= most {
		return fmt.Sprintf("more than %s in %s", count(most, "removal", "removals"), spell(l.Long))
	}
	return ""
}

// spell writes the length of a window as people say it: "15 minutes", "1 hour 30
// minutes".
func spell(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		length    time.Duration
		one, many string
	}{{time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}, {time.Second, "second", "seconds"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, count(int(n), unit.one, unit.many))
			d %= unit.length
		}
	}
	if len(parts) == 0 || d > 0 {
		return strings.TrimSpace(strings.Join(parts, " ") + " " + d.String())
	}
	return strings.Join(parts, " ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Books are what a backend knows when a change asks for its place.
type Books struct {
	Stay     *Stay      // that is not over, on the person
	Entry    *HoldEntry // the newest entry about this agent of the person, whatever its state
	Reserved bool       // the same change took its place within Limits.Long
	Counts   Counts
}

// Weighed is what a backend writes down, in the same piece as it read the Books,
// and what it answers.
type Weighed struct {
	State     ReservationState
	Cause     string    // for Held: of the hold that the change joins
	Join      bool      // for Held: a new entry goes into the open hold of that instance and cause, or into a new hold
	Supersede bool      // the entry in Books is closed as HoldSuperseded
	Spend     bool      // the entry in Books is closed as HoldSpent
	Take      bool      // a place is taken
	Approved  bool      // and it is not counted
	Hold      string    // for Granted: the hold whose approval lets it go
	Stay      *Stay     // for Stayed
	Expires   time.Time // of a new entry
}

// Weigh decides what becomes of a change that takes access away or moves
// somebody. In this order:
//
//   - a stay on the person keeps it back;
//   - what is left of a change that was let go may go as well;
//   - an approval of this very change lets it go, once, and for as long as a hold
//     can be approved;
//   - one that waits for a decision waits on, and one that differs from what
//     waits or was approved, whose time to be decided is over, or that was rejected
//     and whose stay is over, waits anew: what was held once never goes by itself;
//   - a change that took its place already goes on;
//   - a cliff and a window without a place hold it;
//   - otherwise it takes its place.
func Weigh(b Books, r Removal, l Limits) Weighed {
	held := func(cause string, supersede bool) Weighed {
		return Weighed{State: ReservationHeld, Cause: cause, Join: true, Supersede: supersede, Expires: r.At.Add(l.HoldFor)}
	}
	if b.Stay != nil {
		return Weighed{State: ReservationStayed, Stay: b.Stay}
	}
	if r.Rest {
		return Weighed{State: ReservationGranted, Take: true, Approved: true}
	}
	granted := Weighed{State: ReservationGranted}
	if e := b.Entry; e != nil {
		same := e.Hash == r.Hash
		switch e.State {
		case HoldApproved:
			if same && r.At.Before(e.At.Add(l.HoldFor)) {
				return Weighed{State: ReservationGranted, Spend: true, Take: true, Approved: true, Hold: e.Hold}
			}
			return held(e.Cause, true)
		case HoldRejected:
			return held(e.Cause, false)
		case HoldSpent:
			if same {
				granted.Hold = e.Hold
			}
		case HoldWaiting:
			if same && r.At.Before(e.Expires) {
				return Weighed{State: ReservationHeld, Cause: e.Cause}
			}
			return held(e.Cause, true)
		}
	}
	if b.Reserved {
		return granted
	}
	if r.Cliff != "" {
		return held(r.Cliff, false)
	}
	if cause := l.Exceeded(r, b.Counts); cause != "" {
		return held(cause, false)
	}
	return Weighed{State: ReservationGranted, Take: true}
}

// Reservation is the answer of the Guard.
type Reservation struct {
	State ReservationState
	Hold  string // id, for Held; and for Granted by an approval
	Cause string
	Stay  *Stay
}

// Answer is what a backend answers, but for the hold of a new entry.
func (w Weighed) Answer(b Books) Reservation {
	out := Reservation{State: w.State, Cause: w.Cause, Stay: w.Stay, Hold: w.Hold}
	if w.State == ReservationHeld && b.Entry != nil {
		out.Hold = b.Entry.Hold
	}
	return out
}

// ReservationState is the kind of a Reservation.
type ReservationState string

// The kinds of reservation.
const (
	ReservationGranted ReservationState = "granted"
	ReservationHeld    ReservationState = "held"
	ReservationStayed  ReservationState = "stayed"
)
