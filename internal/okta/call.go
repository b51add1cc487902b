package okta

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"connectroster/internal/reconcile"
)

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
			if renewed || !c.authorizer().renew(credential) {
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
		if credential, err = c.authorizer().sign(ctx, r); err != nil {
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
