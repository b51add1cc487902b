package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Limits of telling.
const (
	gather      = 10 * time.Second // how long what belongs to one hold is gathered into one message
	maxMessages = 100              // that wait to be sent; more are counted and dropped
	maxNamed    = 20               // ids of people in one message
)

// notifierConfig is what a notifier is made from.
type notifierConfig struct {
	Deployment    string
	Webhook       func() (string, error) // the address, empty for none; it is a secret
	CAFile        string
	AllowLoopback bool
	Log           *slog.Logger
	Now           func() time.Time
}

// notifier tells people that something waits for them: in the log, and by a
// webhook if there is one. What concerns one hold within some seconds is one
// message. No message holds a name.
type notifier struct {
	notifierConfig
	news chan struct{} // has a token when something new was gathered
	hook *webhook

	mu    sync.Mutex
	open  map[string]*message // by hold: what is gathered
	stats NoticeStats
}

// NoticeStats counts what was told since the start.
type NoticeStats struct {
	Held    uint64 `json:"held"`    // changes that were held
	Sent    uint64 `json:"sent"`    // messages that the webhook took
	Failed  uint64 `json:"failed"`  // messages that it did not take
	Dropped uint64 `json:"dropped"` // messages that were not sent because too many waited
}

// message is one thing to tell.
type message struct {
	Text       string              `json:"text"` // for chat tools that show this field
	Kind       string              `json:"kind"` // "held", or "waiting" for what is told again
	Deployment string              `json:"deployment"`
	Instance   string              `json:"instance,omitempty"`
	Hold       string              `json:"hold,omitempty"`
	Cause      string              `json:"cause,omitempty"`
	Count      int                 `json:"count"`
	Actions    map[plan.Action]int `json:"actions,omitempty"`
	People     []string            `json:"people"` // Okta ids, some of them if they are many
	Time       time.Time           `json:"time"`

	due time.Time
}

func newNotifier(c notifierConfig) *notifier {
	n := &notifier{notifierConfig: c, news: make(chan struct{}, 1), open: map[string]*message{}}
	n.hook = &webhook{config: c, queue: make(chan message, maxMessages), done: n.sent}
	return n
}

// tell takes a notice of the engine. It never waits.
func (n *notifier) tell(notice reconcile.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Held++
	m := n.open[notice.Hold]
	if m == nil {
		m = &message{
			Kind: string(notice.Kind), Deployment: n.Deployment, Instance: notice.Instance, Hold: notice.Hold, Cause: notice.Cause,
			Actions: map[plan.Action]int{}, People: []string{}, Time: notice.Time, due: n.Now().Add(gather),
		}
		n.open[notice.Hold] = m
	}
	m.Count++
	m.Actions[notice.Action]++
	if len(m.People) < maxNamed && !slices.Contains(m.People, notice.Person) {
		m.People = append(m.People, notice.Person)
	}
	nudge(n.news)
}

// remind tells again what waits for a decision, all in one message.
func (n *notifier) remind(holds []reconcile.Hold) {
	m := message{Kind: "waiting", Deployment: n.Deployment, Actions: map[plan.Action]int{}, People: []string{}, Time: n.Now()}
	var ids []string
	for _, h := range holds {
		ids = append(ids, h.ID)
		for _, e := range h.Entries {
			m.Count++
			m.Actions[e.Action]++
			if len(m.People) < maxNamed {
				m.People = append(m.People, e.Person)
			}
		}
	}
	if m.Count == 0 {
		return
	}
	if len(ids) == 1 {
		m.Hold = ids[0]
	}
	m.Text = fmt.Sprintf("connectroster %s: %s still for approval in %s. See: connectroster holds", n.Deployment, changesWait(m.Count), shortened(ids, 5))
	n.Log.Warn("changes still wait for approval", "count", m.Count, "holds", len(ids))
	n.send(m)
}

// run passes on what was gathered until ctx is done, and then what is left.
func (n *notifier) run(ctx context.Context) {
	var sending sync.WaitGroup
	sending.Go(func() { n.hook.run(ctx) })
	defer sending.Wait()
	for {
		next := n.flush(n.Now())
		select {
		case <-ctx.Done():
			n.flush(n.Now().Add(gather))
			return
		case <-n.news:
		case <-after(next):
		}
	}
}

// after gives a channel that is ready in d; never, if d is none.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}

// flush tells what is due, and how long it is until the next is; 0: nothing is
// gathered.
func (n *notifier) flush(now time.Time) (next time.Duration) {
	n.mu.Lock()
	var due []*message
	for _, hold := range slices.Sorted(maps.Keys(n.open)) {
		m := n.open[hold]
		if wait := m.due.Sub(now); wait > 0 {
			if next == 0 || wait < next {
				next = wait
			}
			continue
		}
		due = append(due, m)
		delete(n.open, hold)
	}
	n.mu.Unlock()
	for _, m := range due {
		m.Text = fmt.Sprintf("connectroster %s: %s for approval in hold %s: %s. See: connectroster holds show %s", n.Deployment, changesWait(m.Count), m.Hold, m.Cause, m.Hold)
		at := []any{"hold", m.Hold, "count", m.Count, "cause", m.Cause, "people", m.People}
		if m.Instance != "" {
			at = append(at, "instance", m.Instance)
		}
		n.Log.Warn("changes wait for approval", at...)
		n.send(*m)
	}
	return next
}

func changesWait(n int) string {
	if n == 1 {
		return "1 change waits"
	}
	return fmt.Sprintf("%d changes wait", n)
}

// shortened lists the first few of many.
func shortened(all []string, most int) string {
	text := ""
	for i, s := range all {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(all)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += s
	}
	return text
}

// send hands a message to the webhook, if there is room.
func (n *notifier) send(m message) {
	select {
	case n.hook.queue <- m:
	default:
		n.mu.Lock()
		n.stats.Dropped++
		n.mu.Unlock()
	}
}

// sent counts what became of a message.
func (n *notifier) sent(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.stats.Failed++
	} else {
		n.stats.Sent++
	}
}

func (n *notifier) snapshot() NoticeStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}
