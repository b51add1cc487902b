// Package awsstore keeps what connectroster must not forget in one table of Amazon
// DynamoDB, and wakes workers by Amazon SQS. It is the backend of deployments that
// run without a server, or on several machines. What a method has stored is in
// DynamoDB when it returns; the queues hold nothing that is not in the table, so
// messages may be lost, late or doubled.
//
// # The table
//
// The partition key is pk, the sort key sk, both texts. There is one local index,
// "open", by pk and the text attribute open, with all attributes. DynamoDB may
// delete what is older than ttl says.
//
//	pk             sk                 what                                  open
//	people         person             the row of the queue                  the place in the queue
//	fact           person group       the newest fact
//	agents/INST    agent              an entry of the index
//	owner/OWNER    instance agent     the same by its owner
//	intent/PERSON  instance           the open intent
//	tomb           agent              the tombstone
//	note           name               the text
//	guard          "i" instance       the windows, and the era of places; rev goes up with every change of the books
//	guard          "holds"            how many holds there are
//	hold           number             a hold                                when its last entry expires
//	hold/NUMBER    person number      an entry
//	held/PERSON    instance "e" no.   where the entries about the person are
//	held/PERSON    instance "p" hash  a place that was taken, with its era and ttl
//	cause          instance cause     the newest hold of that cause
//	stay           person             the stay, with ttl
//	journal        "end"              the number of the newest entry
//	journal/N      number             an entry of the block N, of 10,000, without its personal part
//	chain/PERSON   number             the personal part of the entry, or that there was one
//	head           person             the newest entry of the person's chain
//	probe          "probe"            when somebody last asked whether the table can be written
//
// Nothing is found by a scan. What lists everybody asks for one partition and is
// no part of a look at one person; what decides reads consistently, and what was
// decided is written on the condition that nobody else has written since.
// docs/adr/0009 says why, and what it costs.
package awsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/time/rate"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// Config says where the table and the queues are.
type Config struct {
	// Table is the name of the table. Required.
	Table string
	// Space is what every partition begins with, so that several stores can share a
	// table. Empty as a rule: one table for each deployment.
	Space string
	// Region of the table and the queues. Empty: as the AWS configuration says.
	Region string

	// LeaversQueue and Queue are the names or the URLs of the FIFO queues whose
	// messages wake workers: one for people whose access should end, one for
	// everybody else. Both or none; with none, workers look for themselves.
	LeaversQueue string
	Queue        string

	// Endpoint is the URL of something on this machine that stands in for both
	// services. Empty: AWS, or as AWS's own environment variables and files say.
	Endpoint string
	// AllowLoopback permits endpoints on this machine.
	AllowLoopback bool
	// Credentials are used in place of those that the AWS configuration leads to.
	Credentials aws.CredentialsProvider

	// Skew is how far apart the clocks of two machines may be: a lease of another
	// machine counts as over that much later. Zero where one machine does it all.
	Skew time.Duration
	// Timeout limits one call with its repetitions; default 5 s. Attempt limits each
	// of them; default 1.5 s, so that a second one fits in the two seconds that a
	// hook has to answer.
	Timeout, Attempt time.Duration
	// ProbeEvery is how long an answer of Ready holds; default 5 s.
	ProbeEvery time.Duration

	Log *slog.Logger     // default: silent
	Now func() time.Time // default: time.Now
}

// Store is a table and its queues. It is safe for concurrent use, by any number
// of processes.
type Store struct {
	space   string
	table   string
	db      table
	http    *http.Client
	log     *slog.Logger
	clock   func() time.Time
	skew    time.Duration
	timeout time.Duration
	wake    chan struct{}
	queues  *queues // nil: no messages are sent
	// announcing is announceFor, but for tests of what is sent however busy a machine is.
	announcing time.Duration
	ready      readiness
	pace       *rate.Limiter // of rows that no hook waits for
	identity   identity

	guarding turn // one change of the guard's books at a time, and one of the journal
	writing  turn

	mu      sync.Mutex
	claims  map[string]*person // those of this process that are not settled, by token
	counted struct {           // all rows of the queue
		people int
		at     time.Time
	}
}

var (
	_ reconcile.Queue      = (*Store)(nil)
	_ reconcile.Facts      = (*Store)(nil)
	_ reconcile.Index      = (*Store)(nil)
	_ reconcile.Intents    = (*Store)(nil)
	_ reconcile.Tombstones = (*Store)(nil)
	_ reconcile.Guard      = (*Store)(nil)
	_ reconcile.Notes      = (*Store)(nil)
	_ reconcile.Journal    = (*Store)(nil)
)

// Open makes a Store. It calls nobody; Check tells whether the table is there.
func Open(ctx context.Context, c Config) (*Store, error) {
	switch {
	case c.Table == "":
		return nil, errors.New("open the table: no table is named")
	case (c.Queue == "") != (c.LeaversQueue == ""):
		return nil, errors.New("open the table: name both queues, or none")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Attempt <= 0 {
		c.Attempt = 1500 * time.Millisecond
	}
	if c.ProbeEvery <= 0 {
		c.ProbeEvery = 5 * time.Second
	}
	s := &Store{
		pace:  rate.NewLimiter(paceRows, pieceRows),
		space: c.Space, table: c.Table, log: c.Log, clock: c.Now, skew: c.Skew, timeout: c.Timeout, announcing: announceFor,
		wake: make(chan struct{}, 1), ready: newReadiness(c.ProbeEvery), claims: map[string]*person{},
		guarding: newTurn(), writing: newTurn(), identity: identity{turn: newTurn()},
	}
	if err := s.dial(ctx, c); err != nil {
		return nil, fmt.Errorf("open the table %s: %w", c.Table, err)
	}
	return s, nil
}

// Close gives back the people whom this process has claimed and not settled, as if
// their leases were over, and drops idle connections. Closing twice is harmless.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	err := s.abandon(ctx)
	s.http.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("give back what was claimed: %w", err)
	}
	return nil
}

// now is the time in whole microseconds, which is what is stored.
func (s *Store) now() time.Time { return s.clock().Truncate(time.Microsecond).UTC() }

// Schema is the table as it must be, for whoever creates it.
func Schema(table string) *dynamodb.CreateTableInput {
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeS}
	}
	keys := func(sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	return &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest, KeySchema: keys(sorting),
		AttributeDefinitions: []types.AttributeDefinition{attribute(partition), attribute(sorting), attribute(openIndex)},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{
			{IndexName: aws.String(openIndex), KeySchema: keys(openIndex), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
		},
	}
}

// Check reports a table that is not there or is not as Schema says.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out, err := s.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table})
	if err != nil {
		return fmt.Errorf("look at the table %s: %w", s.table, explain(err))
	}
	want := Schema(s.table)
	fits := sameKeys(out.Table.KeySchema, want.KeySchema)
	for _, index := range out.Table.LocalSecondaryIndexes {
		if aws.ToString(index.IndexName) == openIndex {
			if !fits || !sameKeys(index.KeySchema, want.LocalSecondaryIndexes[0].KeySchema) || index.Projection.ProjectionType != types.ProjectionTypeAll {
				break
			}
			return nil
		}
	}
	return remedy.Mark("table_foreign", fmt.Errorf("the table %s has other keys or indexes than connectroster needs: want the keys pk and sk and a local index %q of all attributes; "+
		"an index cannot be added later, so create the table anew", s.table, openIndex))
}

func sameKeys(a, b []types.KeySchemaElement) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if aws.ToString(a[i].AttributeName) != aws.ToString(b[i].AttributeName) || a[i].KeyType != b[i].KeyType {
			return false
		}
	}
	return true
}

// readiness remembers the answer of Ready.
type readiness struct {
	turn
	every time.Duration
	at    time.Time
	err   error
}

func newReadiness(every time.Duration) readiness { return readiness{turn: newTurn(), every: every} }

// Ready reports whether a request can be made durable right now, by writing. The
// answer is reused for Config.ProbeEvery.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.ready.take(ctx); err != nil {
		return fmt.Errorf("probe the table: %w", err)
	}
	defer s.ready.give()
	age := s.clock().Sub(s.ready.at)
	if !s.ready.at.IsZero() && age >= 0 && age < s.ready.every {
		return s.ready.err
	}
	probing, cancel := context.WithTimeout(ctx, s.timeout) // with all repetitions
	defer cancel()
	err := s.write(probing, change{key: s.key("probe", "probe"), set: item{"at": number(reconcile.Micros(s.now()))}})
	if err != nil {
		err = fmt.Errorf("probe the table: %w", err)
	}
	if ctx.Err() == nil { // else the answer says nothing about the table
		s.ready.at, s.ready.err = s.clock(), err
	}
	return err
}

// Wake receives a value after this process changed the queue so that somebody may
// be due. What other processes do is found by asking again.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// turn lets one at a time do something, and those who wait go when their context
// ends.
type turn chan struct{}

func newTurn() turn { return make(chan struct{}, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// nonce is a text that nobody else has.
func nonce() string { return rand.Text() }
