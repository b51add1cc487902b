package awsstore

import (
	"fmt"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// TestLeaversAreWokenFirst has more people due than one run tells, and a leaver whose
// look is to be repeated, who stands behind all of them in the index.
func TestLeaversAreWokenFirst(t *testing.T) {
	t.Parallel()
	now := reconcile.Micros(time.Now())
	row := func(id string, state reconcile.WaitingState, priority reconcile.Priority) *person {
		since := now - time.Hour.Microseconds()
		return &person{Row: reconcile.Row{Person: id, State: state, Open: reconcile.Pending{Priority: priority, Due: since, Since: since}}}
	}
	var rows []*person
	for i := range sendAtOnce + 1 {
		rows = append(rows, row(fmt.Sprintf("p%04d", i), reconcile.StateDue, reconcile.Joiner))
	}
	rows = append(rows, row("leaver", reconcile.StateWaiting, reconcile.Leaver))
	told := (&Store{}).toTell(rows, now)
	if len(told) != sendAtOnce || told[0].Person != "leaver" || told[1].Person != "p0000" || told[2].Person != "p0001" {
		t.Errorf("%d are told, the first of them %s, %s and %s; want the leaver and then who waits longest", len(told), told[0].Person, told[1].Person, told[2].Person)
	}
}
