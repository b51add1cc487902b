package okta

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

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
	auth    authorizer
	budget  *budget
	clock   *orgClock
	tickets chan struct{} // one for each call that may be under way

	mu     sync.Mutex
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
	if c.auth, err = newAuthorizer(c); err != nil {
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

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// apiCall is one call: a GET, unless it says otherwise.
type apiCall struct {
	what     string // is attempted: for errors, so without personal data
	class    string // of rate limit
	url      *url.URL
	patience time.Duration // the longest wait for a rate limit that is worth it

	yields bool // to calls of the same class that must not wait for it

	method string // empty: GET
	body   []byte // JSON; nil: none
	once   bool   // not to be repeated while it may have been carried out
	public bool   // takes no credential
}

// Patience of callers.
const (
	brief   = 2 * time.Second // a worker, who has other people to look at
	patient = maxWait         // a list, of which a part is worth nothing
)

// Classes of endpoints that have a rate limit of their own. Source: Okta, Rate
// limits, "Management APIs"; what has no row there shares one.
const (
	classApps   = "apps"
	classApp    = "apps/{id}"
	classGroups = "groups"
	classUser   = "users/{id}"
	classLogs   = "logs"
	classOther  = "other"
)

// path makes the URL of an endpoint. Each part is escaped.
func (c *Client) path(query url.Values, parts ...string) *url.URL {
	u := c.org.JoinPath("api", "v1")
	for _, part := range parts {
		u = u.JoinPath(url.PathEscape(part))
	}
	u.RawQuery = query.Encode()
	return u
}

// apiReply is an answer of 200 with a JSON body, or to a write one of 204.
type apiReply struct {
	header http.Header
	body   []byte
}

// object makes a call for one object and decodes it.
func (c *Client) object(ctx context.Context, call apiCall, into any) error {
	reply, err := c.do(ctx, call)
	if err == nil {
		err = reply.decode('{', into)
	}
	if err != nil {
		return coded(fmt.Errorf("%s: %w", call.what, err))
	}
	return nil
}

// decode wants the kind of value that begins with a certain byte: null is JSON
// too, and would look like an empty list. Keys are told apart by case: an org can
// have a custom attribute "Login" beside its "login". Unknown ones are skipped,
// and null stands for an empty value.
func (r *apiReply) decode(begin byte, into any) error {
	body := bytes.TrimLeft(r.body, " \t\r\n")
	if len(body) == 0 || body[0] != begin {
		return oddAnswer("a value of another kind")
	}
	if json.Unmarshal(body, into) != nil { // whose error could quote the value
		return oddAnswer("malformed or truncated JSON")
	}
	return nil
}

// do makes a call until it succeeds, or no further attempt makes sense.
func (c *Client) do(ctx context.Context, call apiCall) (*apiReply, error) {
	var failed, refused int
	var renewed bool
	for {
		if err := c.admit(ctx, call); err != nil {
			return nil, err
		}
		reply, credential, err := c.attempt(ctx, call)
		c.count(err)
		var denied *deniedError
		var answer *APIError
		switch {
		case err == nil:
			if !call.public {
				c.accepted(ctx)
			}
			return reply, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &denied):
			return nil, c.deny(ctx, err)
		case errors.As(err, &answer) && answer.Status == http.StatusUnauthorized && answer.Code != codeFeature && !call.public:
			if renewed || !c.auth.renew(credential) {
				return nil, c.deny(ctx, err)
			}
			renewed = true
			continue
		}
		pause, isLimit := limited(err)
		switch {
		case isLimit && refused < refusals:
			refused++
			err = c.pause(ctx, call, pause, err)
		case !isLimit && transient(err) && failed+1 < attempts && (!call.once || !uncertain(err)):
			failed++
			err = c.config.Wait(ctx, time.Duration(c.config.Random()*float64(maxBackoff>>(attempts-failed))))
		default:
			err = classify(err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// admit waits until the call may be made.
func (c *Client) admit(ctx context.Context, call apiCall) error {
	if err := c.refused(); err != nil {
		return err
	}
	for {
		wait := c.budget.enter(call.class, call.yields)
		if wait == 0 {
			return nil
		}
		c.config.Log.DebugContext(ctx, "waiting for okta's rate limit", "class", call.class, "wait", wait)
		if err := c.pause(ctx, call, wait, errBudget); err != nil {
			return err
		}
	}
}

var errBudget = errors.New("our share of okta's rate limit is used up for now")

// pause waits, or gives an error that says when to come back, because that is
// more than the caller has patience or time for.
func (c *Client) pause(ctx context.Context, call apiCall, d time.Duration, because error) error {
	deadline, ok := ctx.Deadline()
	if d > call.patience || ok && d >= time.Until(deadline) {
		return reconcile.After(d, because)
	}
	return c.config.Wait(ctx, d)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

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

// attempt makes a call once. It gives the credential that it used.
func (c *Client) attempt(ctx context.Context, call apiCall) (reply *apiReply, credential string, err error) {
	select {
	case c.tickets <- struct{}{}:
		defer func() { <-c.tickets }()
	case <-ctx.Done():
		c.budget.settle(call.class, nil)
		return nil, "", context.Cause(ctx)
	}
	var header http.Header
	defer func() { c.budget.settle(call.class, header) }()

	r, err := http.NewRequestWithContext(ctx, cmp.Or(call.method, http.MethodGet), call.url.String(), bytes.NewReader(call.body))
	if err != nil {
		return nil, "", oddAnswer("a link that cannot be called")
	}
	if !call.public {
		if credential, err = c.auth.sign(ctx, r); err != nil {
			return nil, "", err
		}
	}
	response, err := c.send(r)
	if err != nil {
		return nil, credential, err
	}
	header = response.header
	switch {
	case response.status == http.StatusOK:
		return &response.apiReply, credential, response.check()
	case response.status == http.StatusNoContent && call.method != "":
		return &response.apiReply, credential, nil
	}
	return nil, credential, c.failure(call.class, response)
}

// failure makes an error of an answer, and holds the class back after a 429.
func (c *Client) failure(class string, r *rawReply) *APIError {
	e := newAPIError(r.status, r.header, r.body)
	if r.status != http.StatusTooManyRequests {
		return e
	}
	wait, concurrent := refusalWait(r.header, c.config.Now(), c.config.Random())
	e.wait = wait
	if !concurrent {
		c.budget.block(class, wait)
	}
	return e
}

// rawReply is an answer of any status.
type rawReply struct {
	apiReply
	status int
}

// check wants a JSON body: a login page and a proxy's apology are 200 as well.
func (r *rawReply) check() error {
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return oddAnswer("no JSON")
	}
	return nil
}

// send exchanges a request for an answer, whole or not at all.
func (c *Client) send(r *http.Request) (*rawReply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), c.config.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "connectroster/"+c.config.Version)
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call okta: %w", bare(err))
	}
	defer response.Body.Close()
	c.clock.learn(response.Header)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read okta's answer: %w", bare(err))
	case len(body) > maxReply:
		return nil, oddAnswer(fmt.Sprintf("more than %d bytes", maxReply))
	}
	return &rawReply{apiReply{header: response.Header, body: body}, response.StatusCode}, nil
}

// orgClock tells the time by the org's clock, which decides whether a signed
// statement is in time.
type orgClock struct {
	now func() time.Time

	mu      sync.Mutex
	ahead   time.Duration // of ours
	learned bool
}

func (c *orgClock) learn(header http.Header) {
	date, ok := dateOf(header)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.learned = date.Sub(c.now()), true
}

func (c *orgClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Add(c.ahead)
}

// offset tells by how much the org's clock is ahead of ours, once an answer told.
func (c *orgClock) offset() (ahead time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.learned
}
