package connect

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/text/unicode/norm"

	"connectroster/internal/reconcile"
	"connectroster/internal/redact"
	"connectroster/internal/remedy"
)

// failure is what can be read from the error of a call: code and HTTP status
// both count, since not every answer has both and some codes come with a status
// that means something else.
type failure struct {
	status  int    // 0 without an answer
	code    string // as the service names it; empty without one
	message string
	garbled bool    // the answer could not be read to its end
	unsent  *unsent // the call was not made
	keys    *keysError
	dial    *net.OpError // no connection came about
	cause   error        // for failures without a code
}

func read(err error) failure {
	var f failure
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		f.status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "UnknownError" {
		f.code, f.message = api.ErrorCode(), api.ErrorMessage()
		if !codeLike.MatchString(f.code) {
			f.code = "a code that is none"
		}
	}
	var garbled *smithy.DeserializationError
	f.garbled = errors.As(err, &garbled)
	errors.As(err, &f.unsent)
	errors.As(err, &f.keys)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		f.dial = op
	}
	f.cause = innermost(err)
	return f
}

// innermost takes off what AWS's client wraps around a cause: the name of the
// operation, an empty request id, the URL.
func innermost(err error) error {
	var send *url.Error
	if errors.As(err, &send) {
		return redact.Wire(send.Err)
	}
	var garbled *smithy.DeserializationError
	if errors.As(err, &garbled) && garbled.Err != nil {
		return fmt.Errorf("the answer cannot be read: %w", garbled.Err)
	}
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		return operation.Err
	}
	return err
}

// quota reports that the instance is full. AWS sends it with the status of
// throttling, but waiting a second does not help.
func (f failure) quota() bool {
	return f.code == "LimitExceededException" || f.code == "ServiceQuotaExceededException"
}

func (f failure) throttled() bool {
	switch f.code {
	case "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
		"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown":
		return true
	}
	return f.status == http.StatusTooManyRequests && !f.quota()
}

// refused reports that whoever we are may not do this, or not any more.
func (f failure) refused() bool {
	switch f.code {
	case "AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId",
		"ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed",
		"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired", "NotAuthorized":
		return true
	}
	return f.status == http.StatusUnauthorized || f.status == http.StatusForbidden
}

// rejected reports that the service has looked at the request and will never
// take it. Without a code some other machine on the way may have answered.
func (f failure) rejected() bool {
	switch f.status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return f.code != "" && f.status >= 400 && f.status < 500
}

// settled reports that the call has certainly changed nothing. Any other failure
// leaves open whether it has.
func (f failure) settled() bool {
	return f.unsent != nil || f.keys != nil || f.quota() || f.throttled() || f.refused() || f.rejected() || f.dial != nil ||
		f.code == "ResourceNotFoundException" || f.code == "DuplicateResourceException"
}

// denied reports that whoever we are lacks the permission for this, as opposed
// to being nobody known.
func (f failure) denied() bool {
	switch f.code {
	case "AccessDenied", "AccessDeniedException", "NotAuthorized":
		return true
	}
	return f.code == "" && f.status == http.StatusForbidden
}

// needed names the actions that a policy must allow for an operation.
// Source: Service Authorization Reference, Amazon Connect.
func needed(operation string) string {
	if operation == "CreateUser" {
		return "connect:CreateUser and connect:TagResource"
	}
	return "connect:" + operation
}

// errTurn says that a call was not taken because of how many there are, so that
// to wait is all there is to do.
var errTurn = errors.New("too many calls")

// turn marks an error as errTurn.
type turn struct{ error }

func (e turn) Unwrap() error        { return e.error }
func (e turn) Is(target error) bool { return target == errTurn }

// errNoResource says that the service does not know something that a request
// names; what that means depends on the request.
var errNoResource = errors.New("not there")

// Waits before somebody looks again.
const (
	pauseThrottled = time.Second      // the pause of the operation: two turns at the default rate
	waitGone       = 5 * time.Second  // an agent that is not there: the next look finds out
	waitDialled    = 10 * time.Second // a network that is away
	waitCatalog    = 30 * time.Second // a profile that has just been deleted
	waitAccess     = 50 * time.Second // somebody has to repair credentials or policy; over before a schedule's next minute
	waitQuota      = 15 * time.Minute // somebody has to ask AWS or delete users
)

// classify turns the error of a call into one of reconcile's classes. The words
// in private, which are the person's own, do not show in its text.
func classify(operation string, err error, private ...string) error {
	f := read(err)
	fail := func(err error) error { return fmt.Errorf("%s: %w", operation, err) }
	if f.unsent != nil {
		return reconcile.After(f.unsent.wait, fail(f.unsent))
	}
	if f.keys != nil {
		return reconcile.After(waitAccess, remedy.Mark("aws_keys", fail(f.keys)))
	}
	said := fail(f.said(private))
	switch {
	case f.quota():
		return reconcile.After(waitQuota, remedy.Mark("connect_quota_full", turn{fmt.Errorf("the instance has as many users as its quota allows; ask AWS for a larger one or delete users: %w", said)}))
	case f.throttled():
		return reconcile.After(pauseThrottled, remedy.Mark("connect_throttled", turn{fmt.Errorf("throttled by Amazon Connect: %w", said)}))
	case f.denied():
		return reconcile.After(waitAccess, remedy.Mark("aws_denied", fmt.Errorf("refused by AWS; the policy of the role must allow %s for this: %w", needed(operation), said)))
	case f.refused():
		return reconcile.After(waitAccess, remedy.Mark("aws_refused", fmt.Errorf("refused by AWS; check the credentials and the policy of the role: %w", said)))
	case f.code == "ResourceNotFoundException":
		return fmt.Errorf("%w: %w", said, errNoResource)
	case f.code == "DuplicateResourceException":
		return fmt.Errorf("%w: %w", said, reconcile.ErrTaken)
	case f.rejected():
		return reconcile.Terminal(remedy.Mark("connect_rejected", said))
	case f.dial != nil:
		return reconcile.After(waitDialled, remedy.Mark("connect_unreachable", fmt.Errorf("cannot reach Amazon Connect: %w", said)))
	}
	return remedy.Mark("connect_unavailable", said)
}

// said is the failure in words.
func (f failure) said(private []string) error {
	switch {
	case f.code != "" && f.message != "":
		return fmt.Errorf("%s: %s", f.code, withoutPrivate(f.message, private))
	case f.code != "":
		return fmt.Errorf("%s (status %d)", f.code, f.status)
	case f.status != 0:
		return fmt.Errorf("status %d: %s", f.status, withoutPrivate(f.cause.Error(), private))
	}
	return f.cause
}

// aboutInstance keeps an error about the instance as a whole from making a dead
// letter of the person who happened to need it.
func aboutInstance(err error) error {
	if reconcile.IsTerminal(err) || errors.Is(err, errNoResource) {
		return reconcile.After(waitAccess, remedy.Mark(remedy.CodeOf(err), errors.New(err.Error()))) // without the class it had
	}
	return err
}

// beforeSending marks an error that came before the call that a change is made
// by: whatever it was, nothing was done.
func beforeSending(err error) error {
	if _, waits := reconcile.AsAfter(err); waits || reconcile.IsTerminal(err) {
		return err
	}
	return reconcile.After(waitDialled, err)
}

var (
	address   = regexp.MustCompile(`[^\s@"'<>(),;:=]+@[^\s@"'<>(),;]+`)
	foreign   = regexp.MustCompile(`\S*[^\x00-\x7f]\S*`)
	codeLike  = regexp.MustCompile(`^[A-Za-z]{1,80}$`)
	spaceLike = regexp.MustCompile(`[\x00-\x20\x7f]+`)
)

// maxMessage is how much of a message of the service is kept, in bytes.
const maxMessage = 400

// withoutPrivate takes out of a message of Amazon Connect what may be personal, since it
// may echo what a request said: the words in private, e-mail addresses, and
// words in other letters than those that the service writes in itself.
func withoutPrivate(message string, private []string) string {
	message = norm.NFC.String(strings.ToValidUTF8(redact.Message(message), "\uFFFD"))
	for _, word := range words(private) {
		message = pattern(word).ReplaceAllLiteralString(message, "(private)")
	}
	message = address.ReplaceAllLiteralString(message, "(private)")
	message = foreign.ReplaceAllLiteralString(message, "(private)")
	message = strings.TrimSpace(spaceLike.ReplaceAllLiteralString(message, " "))
	if len(message) > maxMessage {
		message = message[:maxMessage] + " ..."
	}
	return message
}

// words gives the private values and the words they consist of, longest first so
// that none is found in parts.
func words(private []string) []string {
	var out []string
	for _, p := range private {
		p = norm.NFC.String(p)
		local, _, _ := strings.Cut(p, "@")
		for _, w := range append(strings.Fields(p), p, local) {
			if utf8.RuneCountInString(w) > 1 {
				out = append(out, w)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(out)
}

// pattern finds a value in any case, but not inside of a longer word.
func pattern(word string) *regexp.Regexp {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	expr := regexp.QuoteMeta(word)
	if wordRune(first) {
		expr = `\b` + expr
	}
	if wordRune(last) {
		expr += `\b`
	}
	return regexp.MustCompile(`(?i)` + expr)
}

// wordRune is what \b takes for a letter.
func wordRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
