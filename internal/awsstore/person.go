package awsstore

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connectroster/internal/reconcile"
)

// person is an item of the queue.
type person struct {
	reconcile.Row
	sent int64  // when the waking schedule last sent a message; 0: not since the row changed
	rev  string // of the row as it was read; empty: there is none yet
}

// idle is the row of somebody who was never asked for.
func idle(id string) *person {
	return &person{Row: reconcile.Row{Person: id, State: reconcile.StateIdle}}
}

// The places of rows in the index "open". Who is due stands in the order of
// claims, everybody else by when something becomes of them.
const (
	orderDue   = "1 "
	orderLater = "2 "
	orderDead  = "3 "
)

// place is where the row stands in the index; empty: nowhere, nothing is open.
func (p *person) place() string {
	switch p.State {
	case reconcile.StateDue:
		return fmt.Sprintf("%s%03d %s", orderDue, p.Open.Priority, digits(p.Open.Since))
	case reconcile.StateWaiting:
		return orderLater + digits(p.Open.Due)
	case reconcile.StateWorking:
		return orderLater + digits(p.LeaseUntil)
	case reconcile.StateDead:
		return orderDead + digits(p.Ended)
	}
	return ""
}

// content is what a new beginning replaces as a whole, in one attribute. What it
// keeps stands beside it: generation, done and ended.
func (p *person) content() types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{
		"person": text(p.Person), "claimed": number(p.Claimed), "priority": number(p.Open.Priority), "due": number(p.Open.Due), "since": number(p.Open.Since),
		"again_priority": number(p.Again.Priority), "again_due": number(p.Again.Due), "again_since": number(p.Again.Since),
		"attempts": number(p.Attempts), "trigger": text(string(p.Trigger)), "event": text(p.Event), "error": text(p.Reason),
		"token": text(p.Token), "lease_until": number(p.LeaseUntil), "sent": number(p.sent),
	}}
}

// readPerson reads a row. No item is somebody who was never asked for.
func readPerson(id string, i item) *person {
	m, ok := i["row"].(*types.AttributeValueMemberM)
	if !ok {
		return idle(id)
	}
	r := item(m.Value)
	return &person{sent: r.number("sent"), rev: i.text("rev"), Row: reconcile.Row{
		Person: r.text("person"), State: reconcile.WaitingState(i.text("state")),
		Generation: i.number("generation"), Claimed: r.number("claimed"), Done: i.number("done"),
		Open:     reconcile.Pending{Priority: reconcile.Priority(r.number("priority")), Due: r.number("due"), Since: r.number("since")},
		Again:    reconcile.Pending{Priority: reconcile.Priority(r.number("again_priority")), Due: r.number("again_due"), Since: r.number("again_since")},
		Attempts: int(r.number("attempts")), Trigger: reconcile.Trigger(r.text("trigger")), Event: r.text("event"), Reason: r.text("error"),
		Token: r.text("token"), LeaseUntil: r.number("lease_until"), Ended: i.number("ended"),
	}}
}
