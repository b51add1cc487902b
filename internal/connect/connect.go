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
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

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
	api        *awsconnect.Client
	http       *http.Client
	deployment string
	region     string
	observe    func(Call)
	log        *slog.Logger

	id      *cached[string]
	catalog *cached[plan.Catalog]

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
		observe:    cfg.Observe,
		log:        cfg.Log,
		rate:       cfg.Rate,
		burst:      cfg.Burst,
		turns:      make(map[string]*limiter),
	}
	if err := i.dial(ctx, cfg); err != nil {
		return nil, err
	}
	i.id = newCached(0, cfg.Now, func(ctx context.Context) (string, error) { return i.resolve(ctx, target) })
	i.catalog = newCached(cfg.CatalogTTL, cfg.Now, i.readCatalog)
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
	if c.Observe == nil {
		c.Observe = func(Call) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Close drops idle connections. Calls in flight are ended by their contexts.
func (i *Instance) Close() { i.http.CloseIdleConnections() }

// Info is what Amazon Connect says about the instance.
type Info struct {
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Alias    string `json:"alias"`
	Region   string `json:"region"`
	Identity string `json:"identity"` // SAML, CONNECT_MANAGED or EXISTING_DIRECTORY
	Status   string `json:"status"`   // ACTIVE, CREATION_IN_PROGRESS or CREATION_FAILED
}

// Check asks whether the instance can be worked on. Only an active one that
// signs its users in by SAML can: the error for another one is Terminal, or
// After while it is being made, and the Info tells about it all the same.
func (i *Instance) Check(ctx context.Context) (Info, error) {
	id, err := i.id.get(ctx)
	if err != nil {
		return Info{}, err
	}
	out, err := i.api.DescribeInstance(ctx, &awsconnect.DescribeInstanceInput{InstanceId: &id})
	if err != nil {
		err = classify("DescribeInstance", err)
		if errors.Is(err, errNoResource) {
			return Info{}, reconcile.Terminal(fmt.Errorf("there is no instance %s in the region %s of this account: %w", id, i.region, err))
		}
		return Info{}, err
	}
	if out.Instance == nil {
		return Info{}, errors.New("DescribeInstance: the answer tells nothing about the instance")
	}
	info := i.info(out.Instance)
	return info, usable(info, out.Instance.StatusReason)
}

func (i *Instance) info(v *types.Instance) Info {
	return Info{
		ID:       aws.ToString(v.Id),
		ARN:      aws.ToString(v.Arn),
		Alias:    aws.ToString(v.InstanceAlias),
		Region:   i.region,
		Identity: string(v.IdentityManagementType),
		Status:   string(v.InstanceStatus),
	}
}

// usable tells why an instance cannot be worked on. The identity type is settled
// when an instance is made and never changes.
// Source: Amazon Connect Administrator Guide, "Plan your identity management".
func usable(info Info, reason *types.InstanceStatusReason) error {
	const remedy = "; the identity type of an instance cannot be changed, so use one that was created with SAML 2.0-based authentication"
	switch types.DirectoryType(info.Identity) {
	case types.DirectoryTypeSaml:
	case types.DirectoryTypeConnectManaged:
		return reconcile.Terminal(fmt.Errorf("instance %s keeps passwords of its own (%s): its users cannot sign in with Okta, and every new one needs a password%s", info.ID, info.Identity, remedy))
	case types.DirectoryTypeExistingDirectory:
		return reconcile.Terminal(fmt.Errorf("instance %s takes its users from an Active Directory (%s): they sign in there and not with Okta%s", info.ID, info.Identity, remedy))
	default:
		return reconcile.Terminal(fmt.Errorf("instance %s has the identity type %q, which is not SAML%s", info.ID, info.Identity, remedy))
	}
	switch types.InstanceStatus(info.Status) {
	case types.InstanceStatusCreationInProgress:
		return reconcile.After(time.Minute, fmt.Errorf("instance %s is still being created", info.ID))
	case types.InstanceStatusCreationFailed:
		why := ""
		if reason != nil && reason.Message != nil {
			why = ": " + redact(*reason.Message, nil)
		}
		return reconcile.Terminal(fmt.Errorf("the creation of instance %s has failed%s", info.ID, why))
	}
	return nil
}

// target is an instance as its owner names it: by id or by alias.
type target struct{ id, alias, region string }

var instanceID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// parseTarget reads an id, an alias or an ARN of the form
// arn:aws:connect:REGION:ACCOUNT:instance/ID.
func parseTarget(ref string) (target, error) {
	if instanceID.MatchString(ref) {
		return target{id: ref}, nil
	}
	if !strings.HasPrefix(ref, "arn:") {
		return target{alias: ref}, nil
	}
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) == 6 && parts[2] == "connect" && parts[3] != "" {
		if id, ok := strings.CutPrefix(parts[5], "instance/"); ok && instanceID.MatchString(id) {
			return target{id: id, region: parts[3]}, nil
		}
	}
	return target{}, fmt.Errorf("%q is not the ARN of an instance; one looks like arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555", ref)
}

// resolve gives the id of the instance, asking for it where only the alias is
// known.
func (i *Instance) resolve(ctx context.Context, t target) (string, error) {
	if t.id != "" {
		return t.id, nil
	}
	var id string
	var others []string
	err := walk(func(token *string) (*string, error) {
		out, err := i.api.ListInstances(ctx, &awsconnect.ListInstancesInput{NextToken: token, MaxResults: new(int32(10))})
		if err != nil {
			return nil, classify("ListInstances", err)
		}
		if out.InstanceSummaryList == nil {
			return nil, errors.New("ListInstances: the answer holds no list")
		}
		for _, v := range out.InstanceSummaryList {
			alias := aws.ToString(v.InstanceAlias)
			others = append(others, alias)
			if strings.EqualFold(alias, t.alias) {
				id = aws.ToString(v.Id)
			}
		}
		return out.NextToken, nil
	})
	if err != nil {
		return "", fmt.Errorf("find the instance %q: %w", t.alias, err)
	}
	if id == "" {
		return "", reconcile.Terminal(fmt.Errorf("the region %s of this account has no instance with the alias %q; it has %q", i.region, t.alias, others))
	}
	return id, nil
}

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
