package awsstore

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connectroster/internal/reconcile"
)

// lost is the reason of a claim that was never settled.
const lost = "the worker vanished while it looked at this person"

// person is a row of the queue. Its methods are the rules of the queue, which are
// those of every backend; they take the time in microseconds, and whoever calls
// them saves the row.
type person struct {
	person string
	state  reconcile.WaitingState

	generation int64 // counts the requests
	claimed    int64 // the generation that the newest claim covers
	done       int64 // the newest generation that was worked off

	open  pending // the requests that are not done, those since the claim apart
	again pending // the requests since the claim; they count while generation > claimed

	attempts   int
	trigger    reconcile.Trigger
	event      string
	reason     string
	token      string
	leaseUntil int64
	ended      int64 // when the last look ended

	sent int64  // when the waking schedule last sent a message; 0: not since the row changed
	rev  string // of the row as it was read; empty: there is none yet
}

// pending is when to look at a person, and how urgently.
type pending struct {
	priority   reconcile.Priority
	due, since int64
}

func (p pending) merge(q pending) pending {
	return pending{priority: min(p.priority, q.priority), due: min(p.due, q.due), since: min(p.since, q.since)}
}

// request takes in one more request.
func (p *person) request(r reconcile.Request, now int64) {
	asked := pending{priority: r.Priority, due: max(now, micros(r.Due)), since: now}
	newer := p.newer()
	p.generation++
	p.trigger, p.event = r.Trigger, r.Event

	switch p.state {
	case reconcile.StateWorking:
		if newer {
			asked = p.again.merge(asked)
		}
		p.again = asked
	case reconcile.StateDue, reconcile.StateWaiting:
		p.open = p.open.merge(asked)
		p.queue(now)
	default:
		p.restart(asked, now)
	}
}

// newer reports whether there were requests since the claim.
func (p *person) newer() bool { return p.state == reconcile.StateWorking && p.generation > p.claimed }

// queue makes the person due, or has them wait until they are. Who is due stays
// due, even by a clock that is behind.
func (p *person) queue(now int64) {
	if p.state != reconcile.StateDue {
		p.state = reconcile.StateWaiting
	}
	if p.open.due <= now {
		p.state = reconcile.StateDue
	}
}

// restart begins anew with nothing but what was asked.
func (p *person) restart(asked pending, now int64) {
	p.state, p.open = reconcile.StateWaiting, asked
	p.attempts, p.reason = 0, ""
	p.queue(now)
}

// claim gives the person to a worker.
func (p *person) claim(token string, until int64) reconcile.Work {
	p.state, p.token, p.leaseUntil, p.claimed = reconcile.StateWorking, token, until, p.generation
	return reconcile.Work{
		Person:     p.person,
		Generation: p.generation,
		Attempts:   p.attempts,
		Priority:   p.open.priority,
		Trigger:    p.trigger,
		Event:      p.event,
		Since:      instant(p.open.since),
		Token:      token,
	}
}

// holds reports whether the claim is still the worker's.
func (p *person) holds(w reconcile.Work, now int64) bool {
	return p.state == reconcile.StateWorking && p.token == w.Token && now < p.leaseUntil
}

// ripen makes the person due whose time has come, and takes those from their
// worker whose lease is over. It reports whether that changed anything. Skew is by
// how much later the lease may end on the clock of the worker.
func (p *person) ripen(now, skew int64) bool {
	switch {
	case p.state == reconcile.StateWaiting && p.open.due <= now:
		p.queue(now)
	case p.state == reconcile.StateWorking && p.leaseUntil+skew <= now:
		p.expire(now)
	default:
		return false
	}
	return true
}

// expire takes the person from a worker who never settled. That counts as an
// attempt, so that a person who kills the process does not do so for ever.
func (p *person) expire(now int64) {
	if p.newer() {
		p.open = p.open.merge(p.again)
	}
	p.release(now)
	p.state = reconcile.StateDue
	p.open.due = min(p.open.due, now)
	p.attempts++
	p.reason = lost
}

// settle ends a claim with the worker's verdict.
func (p *person) settle(v reconcile.Verdict, now int64) {
	newer := p.newer()
	p.release(now)
	if v.Failed {
		p.attempts++
	}
	switch v.State {
	case reconcile.Later:
		p.state, p.reason = reconcile.StateWaiting, v.Reason
		p.open.due = max(now, micros(v.Due))
		if newer {
			p.open = p.open.merge(p.again)
		}
		p.queue(now)
		return
	case reconcile.Done:
		p.done = p.claimed
	case reconcile.Dead:
	}
	if newer {
		p.restart(p.again, now)
		return
	}
	if v.State == reconcile.Dead {
		p.state, p.reason = reconcile.StateDead, v.Reason
		return
	}
	p.rest()
}

// rest is the state of somebody for whom nothing is left to do.
func (p *person) rest() {
	p.state, p.open, p.attempts, p.reason = reconcile.StateIdle, pending{priority: p.open.priority}, 0, ""
}

// drop gives up what a dead letter asked for.
func (p *person) drop() {
	p.done = p.generation
	p.rest()
}

func (p *person) release(now int64) { p.token, p.leaseUntil, p.ended = "", 0, now }

// The places of rows in the index "open". Who is due stands in the order of
// claims, everybody else by when something becomes of them.
const (
	orderDue   = "1 "
	orderLater = "2 "
	orderDead  = "3 "
)

// place is where the row stands in the index; empty: nowhere, nothing is open.
func (p *person) place() string {
	switch p.state {
	case reconcile.StateDue:
		return fmt.Sprintf("%s%03d %s", orderDue, p.open.priority, digits(p.open.since))
	case reconcile.StateWaiting:
		return orderLater + digits(p.open.due)
	case reconcile.StateWorking:
		return orderLater + digits(p.leaseUntil)
	case reconcile.StateDead:
		return orderDead + digits(p.ended)
	}
	return ""
}

// content is what a new beginning replaces as a whole, in one attribute. What it
// keeps stands beside it: generation, done and ended.
func (p *person) content() types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{
		"person": text(p.person), "claimed": number(p.claimed), "priority": number(p.open.priority), "due": number(p.open.due), "since": number(p.open.since),
		"again_priority": number(p.again.priority), "again_due": number(p.again.due), "again_since": number(p.again.since),
		"attempts": number(p.attempts), "trigger": text(string(p.trigger)), "event": text(p.event), "error": text(p.reason),
		"token": text(p.token), "lease_until": number(p.leaseUntil), "sent": number(p.sent),
	}}
}

// readPerson reads a row. No item is somebody who was never asked for.
func readPerson(id string, i item) *person {
	m, ok := i["row"].(*types.AttributeValueMemberM)
	if !ok {
		return &person{person: id, state: reconcile.StateIdle}
	}
	r := item(m.Value)
	return &person{
		person: r.text("person"), state: reconcile.WaitingState(i.text("state")),
		generation: i.number("generation"), claimed: r.number("claimed"), done: i.number("done"),
		open:     pending{reconcile.Priority(r.number("priority")), r.number("due"), r.number("since")},
		again:    pending{reconcile.Priority(r.number("again_priority")), r.number("again_due"), r.number("again_since")},
		attempts: int(r.number("attempts")), trigger: reconcile.Trigger(r.text("trigger")), event: r.text("event"), reason: r.text("error"),
		token: r.text("token"), leaseUntil: r.number("lease_until"), ended: i.number("ended"), sent: r.number("sent"), rev: i.text("rev"),
	}
}
