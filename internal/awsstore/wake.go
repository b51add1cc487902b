package awsstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connectroster/internal/reconcile"
)

// Message is the body of a message. It says "look at this person" and no more: the
// row says the rest. Its group is the person; its id against doublets is the
// person with the revision of the row, of which every generation has its own.
type Message struct {
	Person string `json:"person"`
}

// queues are the two FIFO queues.
type queues struct {
	api            sender
	leavers, other *queue
}

// queue is one of them, by its name or its URL.
type queue struct {
	name string
	mu   sync.Mutex
	url  string // empty: not asked for yet
}

// address gives the URL of the queue, and asks for it once.
func (q *queue) address(ctx context.Context, api sender) (*string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.url == "" && strings.Contains(q.name, "://") {
		q.url = q.name
	}
	if q.url == "" {
		out, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.name})
		if err != nil {
			return nil, fmt.Errorf("find the queue %s: %w", q.name, explainQueue(err))
		}
		q.url = aws.ToString(out.QueueUrl)
	}
	return aws.String(q.url), nil
}

// CheckQueues reports a queue that is not there, or that cannot be asked for. One that is named by its URL is not
// looked for.
func (s *Store) CheckQueues(ctx context.Context) error {
	if s.queues == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for _, q := range []*queue{s.queues.leavers, s.queues.other} {
		if _, err := q.address(ctx, s.queues.api); err != nil {
			return err
		}
	}
	return nil
}

// announceFor is how long a hook's answer may be held up by the queues: the
// request is stored already.
const announceFor = 800 * time.Millisecond

// announce tells the queues who is due, with one call for each queue and ten
// people. Whoever cannot be announced is found by SendDue, so nobody has to know.
func (s *Store) announce(ctx context.Context, rows []*person) {
	if s.queues == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.announcing)
	defer cancel()
	rows = slices.DeleteFunc(slices.Clone(rows), func(p *person) bool { return p.State != reconcile.StateDue })
	sent, err := s.send(ctx, rows, "")
	if err != nil {
		s.log.Warn("cannot tell the queues who is due; the waking schedule will", "people", len(rows)-len(sent), "error", err)
	}
}

// The waking schedule leaves people alone who were announced a moment ago, and
// announces again those of whom nothing was heard for long.
const (
	announceAfter = 30 * time.Second
	announceAgain = 10 * time.Minute

	// sendAtOnce is how many are told in one run; the next run tells the next.
	sendAtOnce = 2000
)

// SendDue sends a message for everybody who is due and of whom the queues may know
// nothing: who waited and has become due, whose worker is lost, and who is due for
// a while and may never have been announced. It is called every minute, by one
// process. What it sends twice does no harm. It gives how many it sent, also when
// it fails.
func (s *Store) SendDue(ctx context.Context) (int, error) {
	if s.queues == nil {
		return 0, nil
	}
	now := reconcile.Micros(s.now())
	rows, err := s.rows(ctx, asked{from: orderDue, to: orderLater + digits(now)}, 0)
	if err != nil {
		return 0, fmt.Errorf("find who is due: %w", err)
	}
	sent := 0
	var faults []error
	for _, part := range batches(s.toTell(rows, now), 100) {
		told, err := s.send(ctx, part, "w"+strconv.FormatInt(now, 36))
		sent += len(told)
		faults = append(faults, err)
		for _, p := range told {
			// Somebody who writes meanwhile knows better. A mark that is missing
			// costs another message.
			p.sent = now
			if err := s.write(ctx, s.savePersonAs(p, nonce())); err != nil && !isConflict(err) {
				faults = append(faults, err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := together(faults); err != nil {
		return sent, fmt.Errorf("wake those who are due: %w", err)
	}
	return sent, nil
}

// toTell gives those of whom the queues may know nothing, as many as are told in one run.
// Leavers come first: those who wait to be looked at again stand behind all who are due.
func (s *Store) toTell(rows []*person, now int64) []*person {
	rows = slices.DeleteFunc(rows, func(p *person) bool { return !s.unannounced(p, now) })
	slices.SortStableFunc(rows, func(a, b *person) int { return cmp.Compare(a.Open.Priority, b.Open.Priority) })
	return rows[:min(len(rows), sendAtOnce)]
}

// unannounced reports whether the queues may know nothing of somebody.
func (s *Store) unannounced(p *person, now int64) bool {
	if p.sent != 0 && now-p.sent < announceAgain.Microseconds() && p.sent <= now {
		return false
	}
	switch p.State {
	case reconcile.StateDue:
		return p.sent != 0 || now-max(p.Open.Due, p.Open.Since) >= announceAfter.Microseconds()
	case reconcile.StateWorking:
		return p.LeaseUntil+s.skew.Microseconds() <= now
	}
	return true
}

// send sends a message for each of the rows, leavers first, and gives those that
// were taken. A queue that does not answer is not asked again: the waking schedule
// does that.
func (s *Store) send(ctx context.Context, rows []*person, mark string) (sent []*person, err error) {
	var leavers, other []*person
	for _, p := range rows {
		if p.Open.Priority == reconcile.Leaver {
			leavers = append(leavers, p)
		} else {
			other = append(other, p)
		}
	}
	var faults []error
	for _, to := range []struct {
		*queue
		rows []*person
	}{{s.queues.leavers, leavers}, {s.queues.other, other}} {
		for _, part := range batches(to.rows, 10) { // as many as SQS takes at once
			taken, err := s.sendTo(ctx, to.queue, part, mark)
			sent, faults = append(sent, taken...), append(faults, err)
			if err != nil && len(taken) == 0 {
				break
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return sent, together(faults)
}

// requestID is what differs between errors that are the same.
var requestID = regexp.MustCompile(`RequestID: [^,]*`)

// together makes one error of several, on one line: what is said more than once it
// says once, and how often.
func together(faults []error) error {
	var kinds []error
	var keys []string
	times := map[string]int{}
	for _, err := range faults {
		if err == nil {
			continue
		}
		key := requestID.ReplaceAllString(err.Error(), "")
		if times[key]++; times[key] == 1 {
			kinds, keys = append(kinds, err), append(keys, key)
		}
	}
	var out error
	for i, err := range kinds {
		if n := times[keys[i]]; n > 1 {
			err = fmt.Errorf("%w (%d times)", err, n)
		}
		if out == nil {
			out = err
		} else {
			out = fmt.Errorf("%w; %w", out, err)
		}
	}
	return out
}

func (s *Store) sendTo(ctx context.Context, q *queue, rows []*person, mark string) ([]*person, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	url, err := q.address(ctx, s.queues.api)
	if err != nil {
		return nil, err
	}
	var entries []types.SendMessageBatchRequestEntry
	for i, p := range rows {
		body, err := json.Marshal(Message{p.Person})
		if err != nil {
			return nil, err
		}
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body)),
			MessageGroupId:         aws.String(messageID(p.Person)),
			MessageDeduplicationId: aws.String(messageID(p.Person + "." + p.rev + mark)),
		})
	}
	out, err := s.queues.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("send to the queue %s: %w", q.name, explainQueue(err))
	}
	var taken []*person
	for _, ok := range out.Successful {
		if i, err := strconv.Atoi(aws.ToString(ok.Id)); err == nil && i >= 0 && i < len(rows) {
			taken = append(taken, rows[i])
		}
	}
	if len(out.Failed) > 0 {
		return taken, fmt.Errorf("send to the queue %s: %d of %d messages were refused, the first with %s", q.name, len(out.Failed), len(rows), aws.ToString(out.Failed[0].Code))
	}
	return taken, nil
}

// messageForm is what SQS takes as a group and as an id against doublets.
var messageForm = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-]{1,128}$")

// messageID is a text that SQS takes; other texts are known by their digest.
func messageID(s string) string {
	if messageForm.MatchString(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
