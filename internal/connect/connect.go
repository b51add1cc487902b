// Package connect is everything that speaks Amazon Connect: it reads the agents
// and the catalog of one instance and applies changes to it, as the Instance
// port of reconcile. It is the only package that uses AWS's client for Connect,
// keeps below the request rates of the service, and turns its error codes into
// the error classes of reconcile.
package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Config says which instance to work on and how gently.
type Config struct {
	// Instance is the id, the ARN or the alias of the instance. Required.
	Instance string
	// Region of the instance. Empty: that of the ARN, or else as the AWS
	// configuration says. A region other than that of the ARN is an error.
	Region string
	// Profile of the shared AWS configuration. Empty: as the environment says.
	Profile string
	// RoleARN is a role to work as, which the credentials may assume. Empty: as
	// whom the credentials are of. ExternalID is what the role's trust policy asks
	// for, if it does.
	RoleARN    string
	ExternalID string
	// Label is what the configuration calls the instance, for logs. Empty where
	// there is one instance.
	Label string
	// Deployment is the name of this deployment. It is written into the tags of
	// every agent made, and agents of other deployments are left out of Agents.
	// Required.
	Deployment string

	// Rate is what the service allows each operation, in calls per second, and
	// Burst how many of them may come at once. Defaults 2 and 5, which is what
	// Amazon Connect gives an account; math.Inf(1) is no limit.
	Rate  float64
	Burst int
	// Timeout limits each attempt of a call; waiting for a turn does not count.
	// Default 10 s.
	Timeout time.Duration
	// CatalogTTL is how old the catalog may be. Default 5 min.
	CatalogTTL time.Duration
	// BusyTTL is how old an answer of Busy may be. Default 5 s.
	BusyTTL time.Duration
	// Reads says what is read beside what all agents have.
	Reads Reads

	// Endpoint is the URL of something that stands in for Amazon Connect. Empty:
	// Amazon Connect, or as AWS_ENDPOINT_URL_CONNECT and the AWS configuration say.
	Endpoint string
	// AllowLoopback permits an endpoint on this machine.
	AllowLoopback bool
	// Credentials are used in place of those that the AWS configuration leads to.
	Credentials aws.CredentialsProvider
	// HTTPClient is used instead of the AWS client's own. Only its Transport and
	// Timeout count.
	HTTPClient *http.Client

	// Observe is called after every attempt of a call, from several goroutines.
	// Nil: nobody looks.
	Observe func(Call)
	// Log gets what nobody returns as an error. Nil: nothing.
	Log *slog.Logger
	// Now is the clock of the catalog's age. Default time.Now.
	Now func() time.Time
}

// Reads says what else is to be read since somebody manages it.
type Reads struct {
	Hierarchy bool // the catalog offers the hierarchy groups
	// Proficiencies makes the catalog offer the predefined attributes, and Agent
	// read what an agent is good at, which is one more call each time.
	Proficiencies bool
}

// Call is one attempt of one call.
type Call struct {
	Operation string        // as Amazon Connect names it: "CreateUser"
	Waited    time.Duration // for its turn, before it was sent
	Took      time.Duration // from sending it to the end of the answer
	Status    int           // HTTP status; 0 without an answer
	Code      string        // of the error; empty for success or without one
	Failed    bool
	Throttled bool
	Refused   bool // whoever we are may not do this, or not any more
}

// Instance is one Amazon Connect instance. It is safe for concurrent use.
type Instance struct {
	api        operations
	http       *http.Client
	deployment string
	label      string
	region     string
	observe    func(Call)
	log        *slog.Logger

	credentials aws.CredentialsProvider
	endpoint    string // that stands in for Amazon Connect; empty: none does
	endpointBy  string // what set it

	reads Reads

	id      *cached[string]
	catalog *cached[plan.Catalog]
	offline *cached[string] // id of the agent status of those who are not at work
	busy    *busy

	rate  float64
	burst int
	mu    sync.Mutex
	turns map[string]*limiter // by operation
}

var _ reconcile.Instance = (*Instance)(nil)

// New makes an Instance from the configuration and from what AWS's own
// environment variables and files say about region, credentials and endpoint.
// It makes no call to Amazon Connect.
func New(ctx context.Context, cfg Config) (*Instance, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	target, err := parseTarget(cfg.Instance)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.Region == "":
		cfg.Region = target.region
	case target.region != "" && target.region != cfg.Region:
		return nil, fmt.Errorf("instance %s is in the region %s, but the region %s is configured", cfg.Instance, target.region, cfg.Region)
	}
	i := &Instance{
		deployment: cfg.Deployment,
		label:      cfg.Label,
		observe:    cfg.Observe,
		log:        cfg.Log,
		reads:      cfg.Reads,
		rate:       cfg.Rate,
		burst:      cfg.Burst,
		turns:      make(map[string]*limiter),
	}
	if err := i.dial(ctx, cfg); err != nil {
		return nil, err
	}
	i.id = newCached(0, cfg.Now, func(ctx context.Context) (string, error) { return i.resolve(ctx, target) })
	i.catalog = newCached(cfg.CatalogTTL, cfg.Now, i.readCatalog)
	i.offline = newCached(cfg.CatalogTTL, cfg.Now, i.readOffline)
	i.busy = newBusy(cfg.BusyTTL, cfg.Now, i.readBusy)
	return i, nil
}

// complete checks what is required and fills in the defaults.
func (c *Config) complete() error {
	switch {
	case c.Instance == "":
		return errors.New("no Amazon Connect instance is named")
	case c.Deployment == "":
		return errors.New("the deployment has no name")
	case tagTooLong(c.Deployment):
		return fmt.Errorf("the name of the deployment has more than %d characters, so it does not fit in a tag", maxTagValue)
	case c.Rate < 0 || math.IsNaN(c.Rate):
		return fmt.Errorf("rate %v calls per second is not a rate", c.Rate)
	case c.Burst < 0:
		return fmt.Errorf("burst %d is negative", c.Burst)
	case c.Timeout < 0:
		return fmt.Errorf("timeout %v is negative", c.Timeout)
	case c.RoleARN == "" && c.ExternalID != "":
		return errors.New("an external id goes with a role to assume, and none is named")
	case c.RoleARN != "" && !roleARN.MatchString(c.RoleARN):
		return fmt.Errorf("%q is not the ARN of a role; one looks like arn:aws:iam::123456789012:role/connectroster", c.RoleARN)
	}
	if c.Rate == 0 {
		c.Rate = 2
	}
	if c.Burst == 0 {
		c.Burst = 5
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.CatalogTTL == 0 {
		c.CatalogTTL = 5 * time.Minute
	}
	if c.BusyTTL == 0 {
		c.BusyTTL = 5 * time.Second
	}
	if c.Observe == nil {
		c.Observe = func(Call) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Label != "" {
		c.Log = c.Log.With("instance", c.Label)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Close drops idle connections. Calls in flight are ended by their contexts.
func (i *Instance) Close() { i.http.CloseIdleConnections() }

// maxPages is where a list is taken for endless: half a million agents.
const maxPages = 1000

// walk reads a list page by page to its end. A page that comes twice means that
// the list has no end.
func walk(page func(token *string) (next *string, err error)) error {
	seen := make(map[string]bool)
	var token *string
	for {
		next, err := page(token)
		if err != nil {
			return err
		}
		if aws.ToString(next) == "" {
			return nil
		}
		if seen[*next] {
			return errors.New("the list goes round in a circle: a page token came twice")
		}
		if len(seen) == maxPages {
			return fmt.Errorf("the list has no end after %d pages", maxPages)
		}
		seen[*next] = true
		token = next
	}
}
