package reconcile

import "time"

// Row is what a queue keeps of one person. Its methods are the rules of a Queue, the
// same in every store; they know no clock, and whoever calls them stores the row. All
// times are in microseconds since 1970, 0 standing for none, as stores keep them.
type Row struct {
	Person string
	State  WaitingState

	Generation int64 // counts the requests
	Claimed    int64 // the generation that the newest claim covers
	Done       int64 // the newest generation that was worked off

	Open  Pending // the requests that are not done, those since the claim apart
	Again Pending // the requests since the claim; they count while Generation > Claimed

	Attempts   int
	Trigger    Trigger
	Event      string
	Reason     string
	Token      string
	LeaseUntil int64
	Ended      int64 // when the last look ended
}

// Pending is when to look at a person, and how urgently.
type Pending struct {
	Priority   Priority
	Due, Since int64
}

func (p Pending) merge(q Pending) Pending {
	return Pending{Priority: min(p.Priority, q.Priority), Due: min(p.Due, q.Due), Since: min(p.Since, q.Since)}
}

// lostReason is the reason of a claim that was never settled.
const lostReason = "the worker vanished while it looked at this person"

// Micros is how a time is stored: in microseconds since 1970, and the zero time as 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Instant is the time that Micros stored.
func Instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Request takes in one more request.
func (r *Row) Request(q Request, now int64) {
	asked := Pending{Priority: q.Priority, Due: max(now, Micros(q.Due)), Since: now}
	newer := r.newer()
	r.Generation++
	r.Trigger, r.Event = q.Trigger, q.Event

	switch r.State {
	case StateWorking:
		if newer {
			asked = r.Again.merge(asked)
		}
		r.Again = asked
	case StateDue, StateWaiting:
		r.Open = r.Open.merge(asked)
		r.queue(now)
	default:
		r.restart(asked, now)
	}
}

// Answers reports whether a request of a sweep has nothing to add: the person is due
// as urgently already, or the same sweep has asked for them before it was cut short.
func (r *Row) Answers(q Request) bool {
	if q.Trigger != TriggerSweep || r.Open.Priority > q.Priority {
		return false
	}
	return r.State == StateDue || q.Event != "" && r.Trigger == q.Trigger && r.Event == q.Event
}

// newer reports whether there were requests since the claim.
func (r *Row) newer() bool { return r.State == StateWorking && r.Generation > r.Claimed }

// queue makes the person due, or has them wait until they are. Who is due stays
// due, even by a clock that is behind.
func (r *Row) queue(now int64) {
	if r.State != StateDue {
		r.State = StateWaiting
	}
	if r.Open.Due <= now {
		r.State = StateDue
	}
}

// restart begins anew with nothing but what was asked.
func (r *Row) restart(asked Pending, now int64) {
	r.State, r.Open = StateWaiting, asked
	r.Attempts, r.Reason = 0, ""
	r.queue(now)
}

// Claim gives the person to a worker.
func (r *Row) Claim(token string, until int64) Work {
	r.State, r.Token, r.LeaseUntil, r.Claimed = StateWorking, token, until, r.Generation
	return Work{
		Person:     r.Person,
		Generation: r.Generation,
		Attempts:   r.Attempts,
		Priority:   r.Open.Priority,
		Trigger:    r.Trigger,
		Event:      r.Event,
		Since:      Instant(r.Open.Since),
		Token:      token,
	}
}

// Holds reports whether the claim is still the worker's.
func (r *Row) Holds(w Work, now int64) bool {
	return r.State == StateWorking && r.Token == w.Token && now < r.LeaseUntil
}

// Ripen makes the person due whose time has come, and takes those from their
// worker whose lease is over. It reports whether that changed anything. Skew is by
// how much later the lease may end on the clock of the worker.
func (r *Row) Ripen(now, skew int64) bool {
	switch {
	case r.State == StateWaiting && r.Open.Due <= now:
		r.queue(now)
	case r.State == StateWorking && r.LeaseUntil+skew <= now:
		r.Expire(now)
	default:
		return false
	}
	return true
}

// Expire takes the person from a worker who never settled. That counts as an
// attempt, so that a person who kills the process does not do so for ever.
func (r *Row) Expire(now int64) {
	if r.newer() {
		r.Open = r.Open.merge(r.Again)
	}
	r.release(now)
	r.State = StateDue
	r.Open.Due = min(r.Open.Due, now)
	r.Attempts++
	r.Reason = lostReason
}

// Settle ends a claim with the worker's verdict.
func (r *Row) Settle(v Verdict, now int64) {
	newer := r.newer()
	r.release(now)
	if v.Failed {
		r.Attempts++
	}
	switch v.State {
	case Later:
		r.State, r.Reason = StateWaiting, v.Reason
		r.Open.Due = max(now, Micros(v.Due))
		if newer {
			r.Open = r.Open.merge(r.Again)
		}
		r.queue(now)
		return
	case Done:
		r.Done = r.Claimed
	case Dead:
	}
	if newer {
		r.restart(r.Again, now)
		return
	}
	if v.State == Dead {
		r.State, r.Reason = StateDead, v.Reason
		return
	}
	r.rest()
}

// rest is the state of somebody for whom nothing is left to do.
func (r *Row) rest() {
	r.State, r.Open, r.Attempts, r.Reason = StateIdle, Pending{Priority: r.Open.Priority}, 0, ""
}

// Drop gives up what a dead letter asked for.
func (r *Row) Drop() {
	r.Done = r.Generation
	r.rest()
}

func (r *Row) release(now int64) { r.Token, r.LeaseUntil, r.Ended = "", 0, now }

// Waiting is the row as people see it.
func (r *Row) Waiting(now int64) Waiting {
	w := Waiting{
		Person:     r.Person,
		State:      r.State,
		Priority:   r.Open.Priority,
		Trigger:    r.Trigger,
		Event:      r.Event,
		Generation: r.Generation,
		Done:       r.Done,
		Attempts:   r.Attempts,
		Since:      Instant(r.Open.Since),
		Last:       Instant(r.Ended),
		Reason:     r.Reason,
	}
	switch r.State {
	case StateWaiting:
		if r.Open.Due <= now {
			w.State = StateDue
		}
		w.Due = Instant(r.Open.Due)
	case StateDue:
		w.Due = Instant(r.Open.Due)
	}
	return w
}
