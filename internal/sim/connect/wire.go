package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error codes with a meaning beyond the line that answers them.
const (
	codeAccessDenied     = "AccessDeniedException"
	codeInvalidParameter = "InvalidParameterException"
	codeInvalidRequest   = "InvalidRequestException"
	codeThrottling       = "ThrottlingException"
	codeTooManyRequests  = "TooManyRequestsException"
)

// Error is a refusal as the wire carries it: the exception in the header
// x-amzn-ErrorType, the message in the body.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func fail(status int, code, format string, args ...any) *Error {
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) error {
	return fail(http.StatusBadRequest, "SerializationException", format, args...)
}

func missing(member string) error {
	return fail(http.StatusBadRequest, codeInvalidRequest, "Required parameter missing: %s", member)
}

func invalidRequest(format string, args ...any) error {
	return fail(http.StatusBadRequest, codeInvalidRequest, format, args...)
}

func invalidParameter(format string, args ...any) error {
	return fail(http.StatusBadRequest, codeInvalidParameter, format, args...)
}

func violated(member, format string, args ...any) error {
	return invalidParameter("Value at '%s' failed to satisfy constraint: %s", member, fmt.Sprintf(format, args...))
}

func notFound(format string, args ...any) error {
	return fail(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}

func (in *Instance) apiMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, o := range operations() {
		mux.Handle(o.method+" "+o.path, in.handler(o))
	}
	mux.HandleFunc("/", in.unknown)
	return mux
}

// ServeHTTP answers Connect calls, and the control API below /_sim/.
func (in *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	ahead := in.settings.ClockAhead
	in.mu.Unlock()
	if ahead != 0 {
		w.Header().Set("Date", in.now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	switch {
	case asksQuota(r):
		in.serviceQuotas(w, r)
	case strings.HasPrefix(r.URL.EscapedPath(), "/_sim/"):
		in.control.ServeHTTP(w, r)
	case clean(r):
		in.api.ServeHTTP(w, r)
	default:
		in.unknown(w, r)
	}
}

// clean says whether ServeMux takes the path as it is. It would redirect any
// other, which the service does not.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return path.Clean(p) == p
}

// unknown answers what no operation is there for.
func (in *Instance) unknown(w http.ResponseWriter, r *http.Request) {
	err := fail(http.StatusNotFound, "UnknownOperationException", "the simulator has no operation %s %s", r.Method, r.URL.EscapedPath())
	if allowed := in.allowed(r); len(allowed) > 0 {
		err.Status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", strings.Join(allowed, ", "))
	}
	in.mu.Lock()
	in.stats.Unknown++
	reply := in.refusal(err)
	in.mu.Unlock()
	in.log.Debug("connect call", "operation", "unknown", "status", reply.status, "code", err.Code)
	reply.write(w)
}

// allowed lists the methods that the path of r knows.
func (in *Instance) allowed(r *http.Request) []string {
	if !clean(r) {
		return nil
	}
	var methods []string
	for _, m := range []string{"DELETE", "GET", "POST", "PUT"} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := in.api.Handler(other); strings.HasPrefix(pattern, m+" ") {
			methods = append(methods, m)
		}
	}
	return methods
}

// reply is an answer before it meets the connection.
type reply struct {
	status    int
	code      string // of the error, "" for none
	requestID string
	kind      string // Content-Type
	body      []byte
}

func (p *reply) write(w http.ResponseWriter) {
	p.header(w)
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body)
}

func (p *reply) header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("X-Amzn-Requestid", p.requestID)
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	if p.code != "" {
		h.Set("X-Amzn-Errortype", p.code)
	}
	if p.kind != "" {
		h.Set("Content-Type", p.kind)
	}
}

// refusal makes the reply for an error. The caller holds the lock.
func (in *Instance) refusal(err error) *reply {
	e := new(Error)
	if !errors.As(err, &e) {
		e = fail(http.StatusInternalServerError, "InternalServiceException", "%v", err)
	}
	body, _ := json.Marshal(struct{ Message string }{e.Message}) // a string always marshals
	return &reply{status: e.Status, code: e.Code, requestID: in.uuid(), kind: "application/json", body: body}
}

// handler serves one operation: latency, counting, signature, rate, fault
// plan, and at last the operation itself.
func (in *Instance) handler(o operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, bodyErr := readObject(w, r)
		if !in.pause(r.Context(), in.latency()) {
			return
		}
		c := &call{operation: o.name, body: body, narrow: narrow(r)}
		fault, err := in.admit(o, r, c, bodyErr)
		var answer *reply
		switch {
		case err != nil:
			answer = in.answer(o, nil, err)
		case fault == nil:
			result, err := o.run(in, r, c)
			answer = in.answer(o, result, err)
		default:
			answer = in.faulted(o, w, r, c, fault)
		}
		if answer == nil { // the fault has dealt with the connection
			return
		}
		in.settle(o.name, answer)
		in.log.Debug("connect call", "operation", o.name, "status", answer.status, "code", answer.code)
		if len(answer.body) > longAnswer {
			in.pause(r.Context(), longPause)
		}
		answer.write(w)
	})
}

// A long answer waits a moment. The AWS SDK for Go (smithy-go 1.28) closes the
// request body when the answer begins; if its transport has not finished
// sending by then, which takes a loopback connection, it closes the connection
// and loses what it has not read yet. A client that must be safe from it hides
// the WriterTo of the request body from its transport.
const (
	longAnswer = 2 << 10
	longPause  = 2 * time.Millisecond
)

// admit counts a call and decides whether it may proceed, and into which fault.
func (in *Instance) admit(o operation, r *http.Request, c *call, bodyErr error) (*Fault, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.operation(o.name).begin(in.now())
	if in.settings.RequireSignature {
		if err := checkSignature(r, in.region); err != nil {
			return nil, err
		}
	}
	if slices.Contains(in.settings.Denied, o.name) {
		return nil, fail(http.StatusForbidden, codeAccessDenied,
			"User: arn:aws:sts::%s:assumed-role/caller/sim is not authorized to perform: connect:%s", in.account, o.name)
	}
	if err := in.throttle(o); err != nil {
		return nil, err
	}
	if bodyErr != nil {
		return nil, bodyErr
	}
	fault := in.planned(o.name, in.subject(r, c))
	if fault != nil {
		if fault.Kind != FaultLatency {
			c.fault = fault.Kind
		}
		in.stats.operation(o.name).Faulted++
	}
	return fault, nil
}

// subject returns the username a call is about, "" if none.
func (in *Instance) subject(r *http.Request, c *call) string {
	if name, ok := c.body["Username"].(string); ok {
		return name
	}
	ref := defaultTo(r.PathValue("UserId"), r.PathValue("resourceArn"))
	if q := in.quick.find(in.bareID(nounQuickConnect, r.PathValue("QuickConnectId"))); q != nil && q.Config.User != nil {
		ref = q.Config.User.UserID
	}
	if a := in.agents.current(in.bareID("agent", ref)); a != nil {
		return a.Username
	}
	return ""
}

// answer turns the result of an operation into a reply.
func (in *Instance) answer(o operation, result any, err error) *reply {
	in.mu.Lock()
	defer in.mu.Unlock()
	if e := new(Error); o.plain && errors.As(err, &e) && e.Code == codeInvalidParameter {
		err = invalidRequest("%s", e.Message)
	}
	if err != nil {
		return in.refusal(err)
	}
	p := &reply{status: http.StatusOK, requestID: in.uuid()}
	if result == nil {
		return p
	}
	if p.body, err = json.Marshal(result); err != nil {
		return in.refusal(fmt.Errorf("encode the answer of %s: %w", o.name, err))
	}
	p.kind = "application/json"
	return p
}

// settle counts how a call ended.
func (in *Instance) settle(operation string, p *reply) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.operation(operation).end(p.status, p.code)
}

func (in *Instance) latency() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	d := in.settings.Latency
	if j := in.settings.Jitter; j > 0 {
		d += time.Duration(in.rand.Int64N(int64(j) + 1))
	}
	return d
}

// pause waits in real time; false means that the client went away first.
func (in *Instance) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var (
	credentialFormat = regexp.MustCompile(`^[^/\s]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request$`)
	signatureFormat  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// checkSignature holds the Authorization header to the form of Signature
// Version 4. It does not compute the signature.
func checkSignature(r *http.Request, region string) error {
	forbidden := func(code, message string) error { return fail(http.StatusForbidden, code, "%s", message) }
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	parts := make(map[string]string)
	for field := range strings.SplitSeq(fields, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[k] = v
	}
	scope := credentialFormat.FindStringSubmatch(parts["Credential"])
	signed := ";" + parts["SignedHeaders"] + ";"
	switch {
	case scope == nil || !signatureFormat.MatchString(parts["Signature"]) || !strings.Contains(signed, ";host;") ||
		r.Header.Get("X-Amz-Date") == "" && r.Header.Get("Date") == "":
		return forbidden("IncompleteSignatureException", "The Authorization header is not a complete AWS Signature Version 4")
	case scope[2] != "connect":
		return forbidden("InvalidSignatureException", "Credential should be scoped to correct service: 'connect'.")
	case scope[1] != region:
		return forbidden("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	return nil
}

// Epoch is a timestamp that JSON writes as seconds since 1970 with
// milliseconds.
type Epoch struct{ time.Time }

// MarshalJSON writes epoch seconds.
func (e Epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(e.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads epoch seconds.
func (e *Epoch) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("read a timestamp: %w", err)
	}
	e.Time = time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	return nil
}
