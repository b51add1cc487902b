package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that only moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a simulator behind a real server with a real SDK client before it.
type world struct {
	*Instance
	sdk   *sdk.Client
	http  *http.Client
	url   string
	clock *clock
	tape  *tape
}

// start runs a simulator without request rates unless change says otherwise.
// What it answered is held to AWS's model when the test ends.
func start(t *testing.T, change func(*Settings)) *world {
	t.Helper()
	w := startUnjudged(t, change)
	t.Cleanup(func() { w.judge(t) })
	return w
}

// startUnjudged is start for tests that make the simulator misbehave.
func startUnjudged(t *testing.T, change func(*Settings)) *world {
	t.Helper()
	s := DefaultSettings()
	s.Limit = Limit{}
	if change != nil {
		change(&s)
	}
	w := &world{clock: newClock(), tape: new(tape)}
	var err error
	if w.Instance, err = New(Config{Settings: &s, Now: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.tape.recording(w.Instance))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.url, w.http = server.URL, &http.Client{Transport: plainBodies{transport}}
	w.sdk = w.client(nil)
	return w
}

// plainBodies hides the WriterTo of request bodies, without which the SDK
// closes a body safely while the transport still looks for its end.
type plainBodies struct{ http.RoundTripper }

func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// client makes an SDK client that does not retry.
func (w *world) client(change func(*sdk.Options)) *sdk.Client {
	o := sdk.Options{
		Region:       w.Region(),
		BaseEndpoint: aws.String(w.url),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   w.http,
		Retryer:      aws.NopRetryer{},
	}
	if change != nil {
		change(&o)
	}
	return sdk.New(o)
}

// leaving gives the context of a client that goes away once what it waits for has come:
// on a busy machine a call may arrive later than any patience lasts.
func (w *world) leaving(t *testing.T, come func() bool) context.Context {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		defer leave()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !come() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx
}

// person is an input for CreateUser that a SAML instance accepts.
func (w *world) person(username string) *sdk.CreateUserInput {
	return &sdk.CreateUserInput{
		InstanceId:         aws.String(w.ID()),
		Username:           &username,
		IdentityInfo:       &types.UserIdentityInfo{FirstName: aws.String("Ana"), LastName: aws.String("Díaz")},
		PhoneConfig:        &types.UserPhoneConfig{PhoneType: types.PhoneTypeSoftPhone, AfterContactWorkTimeLimit: 30},
		RoutingProfileId:   aws.String(w.RoutingProfileID("Basic Routing Profile")),
		SecurityProfileIds: []string{w.SecurityProfileID("Agent")},
		Tags:               map[string]string{"connectroster:owner": "00u-" + username},
	}
}

// create makes an agent over the wire and returns its id.
func (w *world) create(t *testing.T, username string) string {
	t.Helper()
	out, err := w.sdk.CreateUser(t.Context(), w.person(username))
	if err != nil {
		t.Fatalf("create %s: %v", username, err)
	}
	return *out.UserId
}

// control sends a request below /_sim/ and decodes the answer into v.
func (w *world) control(t *testing.T, method, path, body string, want int, v any) {
	t.Helper()
	status, data := w.raw(t, method, "/_sim/"+path, body, nil)
	if status != want {
		t.Fatalf("%s /_sim/%s: status %d, want %d: %s", method, path, status, want, data)
	}
	if v != nil {
		if err := json.Unmarshal(data, v); err != nil {
			t.Fatalf("%s /_sim/%s: %v in %s", method, path, err, data)
		}
	}
}

func (w *world) raw(t *testing.T, method, path, body string, header http.Header) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

// code is the Connect error code of err, "" if it is none.
func code(err error) string {
	if e := smithy.APIError(nil); errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Errorf("%s: got %v, want code %q", what, err, want)
	}
}

// exchange is one request with its answer.
type exchange struct {
	method, path string // path as escaped on the wire
	query        map[string][]string
	request      []byte
	status       int
	header       http.Header
	response     []byte
}

// tape remembers exchanges.
type tape struct {
	mu        sync.Mutex
	exchanges []exchange
}

func (p *tape) all() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.exchanges)
}

func (p *tape) recording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		c := &capture{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.exchanges = append(p.exchanges, exchange{r.Method, r.URL.EscapedPath(), r.URL.Query(), body,
			c.status, w.Header().Clone(), c.body.Bytes()})
	})
}

type capture struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *capture) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *capture) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *capture) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}
