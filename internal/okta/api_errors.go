package okta

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// APIError is an answer of Okta that is not the one asked for. It holds nothing
// of the answer's body but the code.
type APIError struct {
	Status  int    // of HTTP
	Code    string // Okta's errorCode, or OAuth's error at the token endpoint; may be empty
	Request string // Okta's id of the exchange; may be empty

	wait time.Duration // for 429: until another call makes sense
}

func (e *APIError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "okta answered %d", e.Status)
	if e.Code != "" {
		fmt.Fprintf(&s, " %s", e.Code)
	}
	if what := explain(e); what != "" {
		fmt.Fprintf(&s, " (%s)", what)
	}
	if e.Request != "" {
		fmt.Fprintf(&s, ", request %s", e.Request)
	}
	return s.String()
}

// explain says what an answer means for whoever reads the log.
func explain(e *APIError) string {
	switch {
	case e.Code == "invalid_scope":
		return "the service app lacks a scope that is asked for"
	case e.Code == "invalid_client":
		return "the client id and the private key do not belong together, or the key is not registered"
	case e.Status == http.StatusUnauthorized:
		return "the credential is invalid, expired or revoked"
	case e.Status == http.StatusForbidden:
		return "the credential lacks a scope or an admin role"
	case e.Status >= 300 && e.Status < 400:
		return "a redirect, which is not followed"
	}
	return ""
}

// codeNotFound says that it is Okta itself that knows of no such thing, and not
// something on the way to it. Source: Okta, error codes.
const codeNotFound = "E0000007"

// missing reports whether Okta said that there is no such thing.
func missing(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == codeNotFound
}

// codeFeature says that the org lacks a feature, with a status of 401: there is
// nothing wrong with the credential. Source: Okta, error codes.
const codeFeature = "E0000015"

// Waits before a person is looked at again.
const (
	deniedWait     = 50 * time.Second // until a refused credential is tried again; over before a schedule's next minute
	transitionWait = 30 * time.Second // until a change of status under way is looked at
	renamedWait    = 5 * time.Minute  // until the configuration of a renamed group is looked at
)

// deniedError marks a credential as refused as such, whatever it is used for.
type deniedError struct{ err error }

func (e *deniedError) Error() string { return e.err.Error() }
func (e *deniedError) Unwrap() error { return e.err }

// errAnswer is an answer that is not what Okta would give, so that something
// else than Okta may have given it.
var errAnswer = errors.New("not an answer of okta's API")

func oddAnswer(what string) error { return fmt.Errorf("%w: %s", errAnswer, what) }

// transient reports whether the same call may well succeed in a moment: an
// answer that says so, or none.
func transient(err error) bool {
	var e *APIError
	if errors.As(err, &e) {
		return e.Status == http.StatusLocked || e.Status >= 500
	}
	return !errors.Is(err, errAnswer) && !errors.Is(err, errAddress)
}

// uncertain reports whether a call may have been carried out all the same: 423
// refuses it, while other passing failures tell nothing.
func uncertain(err error) bool {
	var e *APIError
	return transient(err) && (!errors.As(err, &e) || e.Status != http.StatusLocked)
}

// limited gives the wait that an answer of 429 asks for.
func limited(err error) (time.Duration, bool) {
	var e *APIError
	if errors.As(err, &e) && e.Status == http.StatusTooManyRequests {
		return e.wait, true
	}
	return 0, false
}

// classify gives an error that is not retried here any more its class. See
// reconcile.
func classify(err error) error {
	var e *APIError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusForbidden:
		return reconcile.After(deniedWait, err)
	case http.StatusTooManyRequests:
		return reconcile.After(e.wait, err)
	}
	return err
}

// coded puts the code of the catalogue on an error of a call. That there is no such
// thing is an answer.
func coded(err error) error {
	var answer *APIError
	var network net.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil || remedy.CodeOf(err) != "" || missing(err) || errors.Is(err, context.Canceled):
		return err
	case notGranted(err):
		return remedy.Mark("okta_scopes", err)
	case denied(err):
		return remedy.Mark("okta_unauthorized", err)
	case errors.Is(err, errBlind) || errors.As(err, &answer) && answer.Status == http.StatusForbidden:
		return remedy.Mark("okta_forbidden", err)
	case errors.Is(err, errBudget) || errors.As(err, &answer) && answer.Status == http.StatusTooManyRequests:
		return remedy.Mark("okta_limited", err)
	case errors.As(err, &answer) && (answer.Status >= 500 || answer.Status == http.StatusLocked):
		return remedy.Mark("okta_unavailable", err)
	case answer != nil || errors.Is(err, errAnswer):
		return remedy.Mark("okta_odd_answer", err)
	case errors.As(err, &network), errors.As(err, &certificate), errors.Is(err, errAddress), errors.Is(err, errProxy),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return remedy.Mark("okta_unreachable", err)
	}
	return err
}

// errorCode is what a code can look like, so that nothing else that an answer
// repeats is taken for one. Sources: Okta, error codes; RFC 6749, section 5.2, RFC
// 6750, section 3.1, and RFC 9449, section 12.2.
var errorCode = regexp.MustCompile(`^(E\d{7}|(invalid|unauthorized|unsupported|access|server|temporarily|use|insufficient)_(request|client|grant|grant_type|scope|token|dpop_proof|dpop_nonce|denied|error|unavailable))$`)

// newAPIError reads what an answer says about its failure. Codes and ids are
// only taken over if they look like ones: an answer can hold anything.
func newAPIError(status int, header http.Header, body []byte) *APIError {
	e := &APIError{Status: status}
	var said struct {
		Code  any `json:"errorCode"`
		OAuth any `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil {
		for _, code := range []any{said.Code, said.OAuth} {
			if s, ok := code.(string); ok && errorCode.MatchString(s) && e.Code == "" {
				e.Code = s
			}
		}
	}
	if id := header.Get("X-Okta-Request-Id"); oktaID(id) {
		e.Request = id
	}
	return e
}

// bare gives what can be shown of an error of net/http: not the URL, which holds
// queries, nor the answer, of which it quotes what it cannot read.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &network), errors.As(err, &certificate), errors.As(err, &record),
		errors.Is(err, errAddress), errors.Is(err, errProxy), errors.Is(err, http.ErrSchemeMismatch),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return err
	}
	return errors.New("the answer is broken HTTP")
}
