package reconcile

import "time"

// Waiting is what the queue holds about one person, for people to see.
type Waiting struct {
	Person     string       `json:"person"`
	State      WaitingState `json:"state"`
	Priority   Priority     `json:"priority"`
	Trigger    Trigger      `json:"trigger"`
	Event      string       `json:"event,omitempty"`
	Generation int64        `json:"generation"`
	Done       int64        `json:"done"` // the newest generation that is finished
	Attempts   int          `json:"attempts"`
	Since      time.Time    `json:"since,omitzero"` // when the oldest open request was stored
	Due        time.Time    `json:"due,omitzero"`   // not before
	Last       time.Time    `json:"last,omitzero"`  // when the last look ended
	Reason     string       `json:"reason,omitempty"`
}

// WaitingState says what becomes of a person in the queue.
type WaitingState string

// The states of a person in the queue.
const (
	StateIdle    WaitingState = "idle"    // all requests are done
	StateDue     WaitingState = "due"     // waits for a worker
	StateWaiting WaitingState = "waiting" // is due later
	StateWorking WaitingState = "working" // a worker has them
	StateDead    WaitingState = "dead"    // given up; see Reason
)

// Backlog counts the people in the queue by state.
type Backlog struct {
	Idle    int       `json:"idle"`
	Due     int       `json:"due"`
	Waiting int       `json:"waiting"`
	Working int       `json:"working"`
	Dead    int       `json:"dead"`
	Oldest  time.Time `json:"oldest,omitzero"` // when the oldest open request was stored; zero: none is open
}

// WaitingQuery selects people in the queue.
type WaitingQuery struct {
	Person string       // empty: everybody
	State  WaitingState // empty: any
	After  string       // only persons with a greater id, for paging
	Limit  int          // at most so many; zero: 100
}
