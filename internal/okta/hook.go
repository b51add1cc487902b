// Package okta is everything that speaks Okta. Here it receives Event Hooks:
// it checks who is calling, keeps of each event who it is about, and answers
// once that is durable. Where there is no access to Okta's API, what the events
// said serves as the directory.
package okta

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"connectroster/internal/failpoint"
	"connectroster/internal/reconcile"
)

// Defaults of a HookConfig.
const (
	// DefaultHookHeader is where Okta's console puts the secret unless told otherwise.
	DefaultHookHeader = "Authorization"

	// DefaultHookMaxBody is 6 MiB, what AWS Lambda takes in one call. Okta documents
	// no maximum for a delivery.
	DefaultHookMaxBody = 6 << 20

	// DefaultHookTimeout leaves a second of the three after which Okta gives up.
	DefaultHookTimeout = 2 * time.Second
)

// challengeHeader carries what the verification wants to have back.
// Source: Okta, "Event hooks", one-time verification request.
const challengeHeader = "X-Okta-Verification-Challenge"

// maxChallenge bounds what is echoed, in bytes. Okta sends 39.
const maxChallenge = 1 << 10

// HookConfig says how to receive deliveries.
type HookConfig struct {
	// Secrets gives the header values that are valid now. Any of them is
	// accepted, so two while rotating; an empty one never is. It is asked for
	// every request and must be safe for concurrent use.
	Secrets func() []string

	// Header is the name of the header that carries the secret. Empty means
	// DefaultHookHeader.
	Header string

	// Groups gives the groups that matter, each by its Okta id, by its exact name,
	// or by a regular expression between slashes. It is asked for every delivery
	// and must be safe for concurrent use.
	Groups func() []string

	// MaxBody is the largest delivery taken, in bytes. Zero means DefaultHookMaxBody.
	MaxBody int64

	// Queue takes the requests. See reconcile.Queue for what Enqueue promises.
	Queue Enqueuer

	// Timeout bounds a call of Enqueue. Zero means DefaultHookTimeout.
	Timeout time.Duration

	// Facts keeps what the events said beside each request, for hook-only mode.
	Facts bool

	// Directory is set where there is access to Okta's API. Many more event types
	// matter then, as hints alone, and groups are known under any name. Nil in
	// hook-only mode.
	Directory *Directory

	// Poke is a hint to read the System Log now. It is called when a delivery tells
	// of something that happened to a whole group, and when one was refused, since
	// what it held may not come again. It must not block. Nil: nobody cares.
	Poke func()

	Log *slog.Logger     // nil: no log
	Now func() time.Time // nil: time.Now
}

// Enqueuer is the part of reconcile.Queue that a Hook needs. Requests and their
// facts are durable when Enqueue returns nil, and it returns when ctx is over.
type Enqueuer interface {
	Enqueue(ctx context.Context, requests ...reconcile.Request) error
}

// Hook receives Okta's Event Hooks. It is an http.Handler for any path.
//
// Without the right secret every request is answered 401 in the same words, and
// its body is left unread. With it, GET is the verification and POST a delivery:
//
//	200  the verification challenge, echoed
//	204  everything that matters in the delivery is durable
//	400  not a delivery in strict JSON, or an unfit challenge
//	405  neither GET nor POST
//	413  larger than MaxBody
//	415  compressed
//	503  it could not be stored
//
// Okta repeats a delivery once after 503 and never after the others, so these
// are counted, and logged with their reason. The content type is not looked at:
// what is not JSON fails as JSON.
type Hook struct {
	config HookConfig
	types  map[string]logType // the event types that count
	quiet  map[int]*quiet     // by status
	wrong  *quiet             // of deliveries with a wrong secret

	patterns patterns

	mu    sync.Mutex
	stats HookStats
}

// HookStats counts what a Hook has answered since it was made.
type HookStats struct {
	Deliveries int64   `json:"deliveries"` // answered 204
	Events     int64   `json:"events"`     // that became requests
	Groups     int64   `json:"groups"`     // events about whole groups
	Ignored    Ignored `json:"ignored"`    // events of those deliveries that did not

	Verifications    int64 `json:"verifications"`      // answered 200
	BadRequest       int64 `json:"bad_request"`        // answered 400
	Unauthorized     int64 `json:"unauthorized"`       // answered 401
	WrongSecret      int64 `json:"wrong_secret"`       // of these: like a delivery of Okta in all but the secret
	MethodNotAllowed int64 `json:"method_not_allowed"` // answered 405
	TooLarge         int64 `json:"too_large"`          // answered 413
	Unsupported      int64 `json:"unsupported"`        // answered 415
	Unavailable      int64 `json:"unavailable"`        // answered 503

	LastDelivery time.Time `json:"last_delivery,omitzero"` // when the last 204 was given; zero: never
}

// NewHook makes a Hook. Secrets, Groups and Queue are required.
func NewHook(config HookConfig) (*Hook, error) {
	if config.Header == "" {
		config.Header = DefaultHookHeader
	}
	if config.MaxBody == 0 {
		config.MaxBody = DefaultHookMaxBody
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultHookTimeout
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("configure the hook: %w", err)
	}
	config.Header = http.CanonicalHeaderKey(config.Header)

	h := &Hook{config: config, types: hookTypes(), quiet: map[int]*quiet{}, wrong: newQuiet()}
	if config.Directory != nil {
		h.types = logTypes()
	}
	for _, status := range []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusMethodNotAllowed,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable,
	} {
		h.quiet[status] = newQuiet()
	}
	return h, nil
}

func (c HookConfig) check() error {
	switch {
	case c.Secrets == nil:
		return errors.New("secrets are missing")
	case c.Groups == nil:
		return errors.New("groups are missing")
	case c.Queue == nil:
		return errors.New("a queue is missing")
	case c.MaxBody < 0:
		return fmt.Errorf("the largest body is %d bytes; it cannot be negative", c.MaxBody)
	case c.Timeout < 0:
		return fmt.Errorf("the timeout is %s; it cannot be negative", c.Timeout)
	case strings.ContainsFunc(c.Header, notToken), strings.EqualFold(c.Header, "Host"):
		return fmt.Errorf("%q cannot be the header of the secret", c.Header)
	}
	return nil
}

// notToken reports whether r cannot be in a header name. Source: RFC 9110, 5.6.2.
func notToken(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// Stats gives the counts so far.
func (h *Hook) Stats() HookStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats
}

// ServeHTTP answers one request. See Hook.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.answer(w, r)
	h.note(r.Context(), a)
	a.write(w)
	if a.status == http.StatusNoContent {
		failpoint.Hit(failpoint.HookAnswered)
	}
}

// answer is what becomes of a request.
type answer struct {
	status   int
	reason   string   // of a refusal: sent and logged, so nothing of the request may be in it
	err      error    // of a 503: logged
	echo     []byte   // of a 200: the body
	wrong    bool     // of a 401: it looks like a delivery
	delivery delivery // of a 204
}

func refuse(status int, reason string) answer {
	return answer{status: status, reason: reason}
}

// write sends the answer. A refusal that has left the body unread closes the
// connection, since the rest of the body stands in the way of the next request.
func (a answer) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	body := a.echo
	switch a.status {
	case http.StatusOK:
		header.Set("Content-Type", "application/json")
	case http.StatusNoContent:
		w.WriteHeader(a.status)
		// Okta's clock is running: it need not wait for the end of the handler.
		_ = http.NewResponseController(w).Flush()
		return
	default:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		body = []byte(a.reason + "\n")
	}
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, POST")
		header.Set("Connection", "close")
	case http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		header.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // whoever is gone has no use for an error
}

// answer decides. A panic on the way is a fault of ours, and nothing was stored
// for sure: Okta may try again.
func (h *Hook) answer(w http.ResponseWriter, r *http.Request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = refuse(http.StatusServiceUnavailable, "internal fault")
			a.err = panicError(p)
		}
	}()
	// The secrets may be about to be read anew, and Okta does not send again what was
	// answered 401: so what looks like a delivery is given another chance.
	if !h.authentic(r.Header) && (!deliveryLike(r) || !h.authentic(r.Header)) {
		a := refuse(http.StatusUnauthorized, "unauthorized")
		a.wrong = deliveryLike(r)
		return a
	}
	switch r.Method {
	case http.MethodGet:
		return verify(r.Header)
	case http.MethodPost:
		return h.receive(w, r)
	}
	return refuse(http.StatusMethodNotAllowed, "only GET and POST are served here")
}

// panicError tells of a panic without its value, which could hold anything of
// the request; only the runtime's own words are safe.
func panicError(p any) error {
	if fault, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w\n%s", fault, debug.Stack())
	}
	return fmt.Errorf("panic with a %T\n%s", p, debug.Stack())
}

// authentic reports whether a request carries exactly one secret and it is a
// valid one. Digests are compared, all of them, so that the time taken tells
// neither the length of a secret, nor where a guess went wrong, nor which of the
// secrets it was.
func (h *Hook) authentic(header http.Header) bool {
	values := header[h.config.Header]
	if len(values) != 1 || values[0] == "" {
		return false
	}
	given := sha256.Sum256([]byte(values[0]))
	equal := 0
	for _, secret := range h.config.Secrets() {
		want := sha256.Sum256([]byte(secret))
		equal |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return equal == 1
}

// deliveryLike reports whether a request is what Okta sends, as far as can be seen
// without its body: strangers who try an address seldom post JSON. It tells a secret
// that differs on the two sides, whose deliveries are lost, from noise.
// Source: Okta, "Event hooks", delivery of event hooks.
func deliveryLike(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && err == nil && kind == "application/json"
}

// verify echoes the challenge, as a JSON string whatever it is made of.
func verify(header http.Header) answer {
	challenge := header[challengeHeader]
	if len(challenge) != 1 || challenge[0] == "" || len(challenge[0]) > maxChallenge {
		return refuse(http.StatusBadRequest, "exactly one verification challenge of 1 to 1024 bytes is wanted")
	}
	echo, err := json.Marshal(struct {
		Verification string `json:"verification"`
	}{challenge[0]}, jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true))
	if err != nil {
		return refuse(http.StatusBadRequest, "the verification challenge is not valid UTF-8")
	}
	return answer{status: http.StatusOK, echo: echo}
}

// receive takes a delivery.
func (h *Hook) receive(w http.ResponseWriter, r *http.Request) answer {
	failpoint.Hit(failpoint.HookAuthenticated)
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "a compressed delivery is not taken")
	}
	body, refusal := h.body(w, r)
	if refusal != nil {
		return *refusal
	}
	failpoint.Hit(failpoint.HookRead)

	d, err := decode(body, h.reader())
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	failpoint.Hit(failpoint.HookParsed)

	if len(d.requests) > 0 {
		// A sender who has hung up is no reason to drop what is already here.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.config.Timeout)
		defer cancel()
		if err := h.config.Queue.Enqueue(ctx, d.requests...); err != nil {
			a := refuse(http.StatusServiceUnavailable, "could not be stored")
			a.err = fmt.Errorf("enqueue a delivery: %w", err)
			return a
		}
	}
	return answer{status: http.StatusNoContent, delivery: d}
}

// reader says what of an event counts.
func (h *Hook) reader() eventReader {
	if d := h.config.Directory; d != nil {
		return eventReader{types: h.types, mapped: d.mapped, isApp: d.isApp, facts: h.config.Facts}
	}
	groups := h.config.Groups()
	return eventReader{
		types:  h.types,
		mapped: func(id, name string) bool { return h.patterns.configured(groups, id, name) },
		isApp:  func(string, ...string) bool { return false },
		facts:  h.config.Facts,
	}
}

// body reads a delivery, or gives the refusal.
func (h *Hook) body(w http.ResponseWriter, r *http.Request) ([]byte, *answer) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("larger than %d bytes", h.config.MaxBody))
	if r.ContentLength > h.config.MaxBody {
		return nil, &tooLarge
	}
	var buffer bytes.Buffer
	if r.ContentLength > 0 {
		buffer.Grow(int(r.ContentLength) + bytes.MinRead) // else ReadFrom grows it at the end
	}
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, h.config.MaxBody))
	var limit *http.MaxBytesError
	switch {
	case err == nil:
		return buffer.Bytes(), nil
	case errors.As(err, &limit):
		return nil, &tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Either side may have been slow, so it is worth another try.
		late := refuse(http.StatusServiceUnavailable, "the body took too long")
		return nil, &late
	case errors.Is(err, io.ErrUnexpectedEOF):
		short := refuse(http.StatusBadRequest, "the body is shorter than announced")
		return nil, &short
	}
	broken := refuse(http.StatusBadRequest, "the body cannot be read")
	return nil, &broken
}

// note counts an answer, and logs it if somebody should look. It runs before
// the answer is sent, so whoever has it finds it counted.
func (h *Hook) note(ctx context.Context, a answer) {
	h.count(a)
	lost := a.status >= http.StatusBadRequest && a.status != http.StatusUnauthorized && a.status != http.StatusMethodNotAllowed
	if (lost || a.delivery.groups > 0) && h.config.Poke != nil {
		h.config.Poke()
	}
	switch a.status {
	case http.StatusOK:
		h.config.Log.InfoContext(ctx, "hook verification answered")
	case http.StatusNoContent:
		if n := a.delivery.ignored.Preview; n > 0 {
			h.config.Log.InfoContext(ctx, "hook preview ignored: it holds sample data", "events", n)
		}
		if n := a.delivery.ignored.Unreadable; n > 0 {
			h.config.Log.WarnContext(ctx, "hook events skipped: they cannot be read", "events", n)
		}
	case http.StatusUnauthorized:
		if a.wrong {
			h.wrong.log(func(times int64) {
				h.config.Log.ErrorContext(ctx, "hook delivery refused: its secret is not accepted here, or it has none", "header", h.config.Header, "times", times)
			})
			return
		}
		h.quiet[a.status].log(func(times int64) {
			h.config.Log.WarnContext(ctx, "hook request without a valid secret", "times", times)
		})
	default:
		h.quiet[a.status].log(func(times int64) {
			h.config.Log.ErrorContext(ctx, "hook delivery refused",
				"status", a.status, "reason", a.reason, "error", a.err, "times", times)
		})
	}
}

func (h *Hook) count(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch s := &h.stats; a.status {
	case http.StatusOK:
		s.Verifications++
	case http.StatusNoContent:
		s.Deliveries++
		s.Events += int64(len(a.delivery.requests))
		s.Groups += a.delivery.groups
		s.Ignored.add(a.delivery.ignored)
		s.LastDelivery = h.config.Now()
	case http.StatusBadRequest:
		s.BadRequest++
	case http.StatusUnauthorized:
		s.Unauthorized++
		if a.wrong {
			s.WrongSecret++
		}
	case http.StatusMethodNotAllowed:
		s.MethodNotAllowed++
	case http.StatusRequestEntityTooLarge:
		s.TooLarge++
	case http.StatusUnsupportedMediaType:
		s.Unsupported++
	case http.StatusServiceUnavailable:
		s.Unavailable++
	}
}
