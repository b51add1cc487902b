package okta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"connectroster/internal/reconcile"
)

// Defaults of a ClientConfig.
const (
	DefaultShare   = 0.5
	DefaultTimeout = 10 * time.Second
)

// Bounds of what a Client does.
const (
	parallel   = 8               // calls at once; Okta allows a free org 35
	attempts   = 3               // of a call that fails for a passing reason
	refusals   = 5               // with 429 that a call waits out
	maxReply   = 32 << 20        // bytes of an answer, after decompression
	maxPages   = 10_000          // of one list
	maxBackoff = 4 * time.Second // before the last attempt; with full jitter
)

// ClientConfig says how to reach Okta's API. Either Token, or ClientID and
// PrivateKey are required.
type ClientConfig struct {
	// Org is the address of the org, such as https://example.okta.com. A port is
	// kept. Plain http is for loopback addresses alone.
	Org string

	// Token is an API token, sent with the scheme SSWS.
	Token string

	// ClientID and PrivateKey are those of an API Services app, which signs in by
	// private_key_jwt. The key is RSA of at least 2048 bits or EC on P-256, P-384
	// or P-521, in PEM (PKCS #1, PKCS #8, SEC 1) or as a JSON Web Key, which may
	// name its algorithm and id. KeyID is the id under which the app knows the
	// key; empty: that of the JSON Web Key.
	ClientID   string
	PrivateKey []byte
	KeyID      string

	// Scopes are asked for with each access token. None means those
	// that reading people, groups, apps and the System Log takes.
	Scopes []string

	// DPoP binds access tokens to a key from the start. Otherwise that is done
	// once the org demands it.
	DPoP bool

	// Share is the part of each rate limit that may be used, over 0 and up to 1.
	// Zero means DefaultShare.
	Share float64

	// Timeout bounds each attempt of a call. Zero means DefaultTimeout.
	Timeout time.Duration

	// AllowLoopback lets the org be on a loopback address.
	AllowLoopback bool

	// CAFile is a file of certificates in PEM that are trusted beside the
	// system's. Empty: none.
	CAFile string

	// Proxy gives the proxy for a request. Nil means http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)

	Version string           // of this program, for the User-Agent; empty: "devel"
	Log     *slog.Logger     // nil: no log
	Now     func() time.Time // nil: time.Now

	// Wait returns after d, or with an error once ctx is over. Nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error

	// Random gives numbers in [0,1) for jitter. Nil means math/rand/v2.
	Random func() float64

	resolver *net.Resolver
}

// Client calls Okta's Management API. Only an Org writes by it.
//
// It stays on the org's own origin: redirects are not followed, and neither is a
// link to anywhere else. It calls addresses on the public Internet alone (and
// loopback ones with leave), whatever a name resolves to; the proxy may be in a
// private network.
//
// Answers of 423 and 5xx, timeouts and broken connections are tried again a few
// times. A 429 is waited out if the caller's patience allows it. What then
// remains is an error of the class that reconcile knows: 401 and 403 come as
// After, and after a 401 no call is made for a minute, so that a revoked
// credential is not tried over and over.
type Client struct {
	config  ClientConfig
	org     *url.URL
	http    *http.Client
	budget  *budget
	clock   *orgClock
	tickets chan struct{} // one for each call that may be under way

	mu     sync.Mutex
	auth   authorizer
	denied error     // why the credential was refused
	until  time.Time // no call before
	stats  ClientStats
}

// NewClient makes a Client. It makes no call.
func NewClient(config ClientConfig) (*Client, error) {
	config.fill()
	c := &Client{
		config:  config,
		budget:  newBudget(config.Share, config.Now),
		clock:   &orgClock{now: config.Now},
		tickets: make(chan struct{}, parallel),
	}
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("configure the okta client: %w", err)
	}
	var err error
	if c.org, err = origin(config.Org, config.AllowLoopback); err != nil {
		return nil, fmt.Errorf("configure the okta client: %w", err)
	}
	transport, err := newTransport(c.org, config)
	if err != nil {
		return nil, fmt.Errorf("configure the okta client: %w", err)
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.auth, err = newAuthorizer(c, config); err != nil {
		return nil, fmt.Errorf("configure the okta client: %w", err)
	}
	return c, nil
}

func (c *ClientConfig) fill() {
	c.Share = cmp.Or(c.Share, DefaultShare)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Version = cmp.Or(c.Version, "devel")
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
}

// check finds what does not depend on the org. Its errors hold no secret.
func (c *ClientConfig) check() error {
	switch {
	case !(c.Share > 0 && c.Share <= 1):
		return fmt.Errorf("the share of the rate limits is %v; it must be over 0 and at most 1", c.Share)
	case c.Timeout < 0:
		return fmt.Errorf("the timeout is %s; it cannot be negative", c.Timeout)
	case strings.ContainsFunc(c.Version, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the version must be printable ASCII without spaces")
	}
	return nil
}

// SignIn makes the calls that begin from now on sign in with the credentials of a
// configuration, of which nothing else counts. After an error the old ones stay.
func (c *Client) SignIn(config ClientConfig) error {
	auth, err := newAuthorizer(c, config)
	if err != nil {
		return fmt.Errorf("sign in to okta with other credentials: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth, c.until = auth, time.Time{} // the new ones were not refused
	return nil
}

func (c *Client) authorizer() authorizer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.auth
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// refused gives an error while a refused credential is not to be tried again.
func (c *Client) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.until.Sub(c.config.Now())
	if left <= 0 || left > deniedWait {
		return nil
	}
	return reconcile.After(left, c.denied)
}

// deny remembers that the credential was refused, and gives the error for it. The
// log tells of it once, however long it lasts.
func (c *Client) deny(ctx context.Context, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied == nil {
		c.config.Log.ErrorContext(ctx, "okta refuses our credential; trying again every minute", "error", err)
	}
	c.denied, c.until = err, c.config.Now().Add(deniedWait)
	return reconcile.After(deniedWait, err)
}

// accepted forgets that the credential was refused, once a call that came after
// it has succeeded.
func (c *Client) accepted(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied == nil || c.until.After(c.config.Now()) {
		return
	}
	c.denied = nil
	c.config.Log.InfoContext(ctx, "okta accepts our credential again")
}
