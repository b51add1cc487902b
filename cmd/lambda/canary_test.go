package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	simokta "connectroster/internal/sim/okta"
)

// Canaries: every personal field holds the first, and AWS's credentials are the
// others. The secrets of the hook and of Okta's API are those of all tests.
const (
	personalCanary = "kanari"
	awsSecretKey   = "sittich-secret-access-key-of-these-tests"
	awsSession     = "sittich-session-token-of-these-tests"
)

// parrot stands before a service. What it is told to spoil it answers with an error
// that repeats the request, its headers included.
type parrot struct {
	service http.Handler
	failure func(w http.ResponseWriter, kind int, said string)

	mu    sync.Mutex
	kind  int // below 0: nothing is spoilt
	only  string
	turns int
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	kind, spoilt := p.kind, p.kind >= 0 && strings.Contains(r.Header.Get("X-Amz-Target"), p.only)
	if spoilt {
		p.turns++
	}
	first := p.turns
	p.mu.Unlock()
	if !spoilt {
		p.service.ServeHTTP(w, r)
		return
	}
	// Another part comes first each time, since what is too long is cut off.
	parts := []string{r.Method + " " + r.URL.String(), string(body)}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		parts = append(parts, strings.ToLower(name)+":"+strings.Join(r.Header[name], ","))
	}
	first %= len(parts)
	p.failure(w, kind, strings.Join(slices.Concat(parts[first:], parts[:first]), "\n"))
}

// spoil says how calls are answered from now on, all or those of a service.
func (p *parrot) spoil(kind int, only string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.only = kind, only
}

func (p *parrot) heard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turns
}

const awsKinds = 9

// awsFailure answers as AWS's services do, and as what stands before them does.
func awsFailure(w http.ResponseWriter, kind int, said string) {
	failure := func(status int, code string) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": said, "Message": said})
	}
	switch kind {
	case 0:
		failure(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#InvalidSignatureException")
	case 1:
		failure(http.StatusBadRequest, "AccessDeniedException")
	case 2:
		failure(http.StatusBadRequest, "ValidationException")
	case 3:
		failure(http.StatusInternalServerError, "InternalServerError")
	case 4:
		failure(http.StatusBadRequest, said)
	case 5:
		http.Error(w, said, http.StatusBadGateway)
	case 6:
		_, _ = io.WriteString(w, "<html>"+said)
	case 7:
		_, _ = fmt.Fprintf(w, `{"Item": %q, "MessageId": %q`, said, said)
	case 8:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+strings.ReplaceAll(said, "\n", " ")+"\r\n\r\n")
			_ = conn.Close()
		}
	}
}

// oktaFailure answers as Okta does.
func oktaFailure(w http.ResponseWriter, kind int, said string) {
	w.WriteHeader([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError, http.StatusOK}[kind%4])
	_ = json.NewEncoder(w).Encode(map[string]any{"errorCode": apiToken, "errorSummary": said, "errorId": said, "errorCauses": []any{map[string]string{"errorSummary": said}}})
}

// TestCanaries has a canary in every secret and in every personal field, plays the
// life of agents, and has every service answer with errors that repeat what they
// were asked. None is in what a function tells: its log at level debug, its metrics,
// its answers and errors (P-50).
func TestCanaries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	target, err := url.Parse(server.url)
	w.must(err)
	var connectURL, orgURL string
	for _, v := range w.env {
		if address, ok := strings.CutPrefix(v, "AWS_ENDPOINT_URL_CONNECT="); ok {
			connectURL = address
		}
	}
	text, err := os.ReadFile(w.config)
	w.must(err)
	_, rest, _ := strings.Cut(string(text), `org: "`)
	orgURL, _, _ = strings.Cut(rest, `"`)
	before := func(service http.Handler, failure func(http.ResponseWriter, int, string)) (*parrot, string) {
		p := &parrot{service: service, failure: failure, kind: -1}
		s := httptest.NewServer(p)
		t.Cleanup(s.Close)
		return p, s.URL
	}
	connectAt, err := url.Parse(connectURL)
	w.must(err)
	aws, awsURL := before(httputil.NewSingleHostReverseProxy(target), awsFailure)
	connect, connectURL := before(httputil.NewSingleHostReverseProxy(connectAt), awsFailure)
	okta, oktaURL := before(w.org, oktaFailure)
	w.must(os.WriteFile(w.config, []byte(strings.Replace(string(text), orgURL, oktaURL, 1)), 0o600))
	env := []string{
		"AWS_ENDPOINT_URL_DYNAMODB=" + awsURL, "AWS_ENDPOINT_URL_SQS=" + awsURL, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + awsURL, "AWS_ENDPOINT_URL_CONNECT=" + connectURL,
		"AWS_SECRET_ACCESS_KEY=" + awsSecretKey, "AWS_SESSION_TOKEN=" + awsSession, "GOTRACEBACK=all",
	}
	var functions []*function
	var said strings.Builder // what functions answered
	make := func(handler string, more ...string) *function {
		f := w.function(handler, append(slices.Clone(env), more...)...)
		functions = append(functions, f)
		return f
	}
	w.hook, w.work, w.wake, w.catchup, w.sweep = make("hook"), make("work"), make("wake"), make("catchup"), make("sweep")
	w.subscribe("/hooks/okta", "user.lifecycle.deactivate", "user.account.update_profile")
	hire := func(n int) simokta.User {
		u, err := w.org.AddUser(simokta.NewUser{
			Login: fmt.Sprintf("kanarilogin%d@kanaridomain.example", n), FirstName: fmt.Sprintf("Kanarifirst%d", n), LastName: fmt.Sprintf("Kanarilast%d", n),
			Profile: map[string]any{"department": "Kanaridepartment", "title": "Kanarititle", "displayName": "Kanari Display", "primaryPhone": "kanariphone"},
		})
		w.must(err)
		w.must(w.org.Join(u.ID, w.group.ID))
		return u
	}
	w.scheduled(w.catchup)
	w.scheduled(w.sweep)
	people := []simokta.User{hire(1), hire(2), hire(3)}
	w.settle()
	w.must(w.employed(people...))
	w.must(w.org.UpdateProfile(people[0].ID, map[string]any{"lastName": "Kanarirenamed"}))
	w.must(w.org.Deactivate(people[1].ID))
	w.settle()

	// tell has a function handle an event, and keeps what it answered.
	tell := func(f *function, event any) {
		answer, err := f.invoke(event)
		fmt.Fprintf(&said, "%s %s %v\n", f.handler, answer, err)
	}
	request := func(secret, body string) events.APIGatewayV2HTTPRequest {
		in := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: "/hooks/okta", Headers: map[string]string{"authorization": secret, "x-kanari": "kanari"}, Body: body}
		in.RequestContext.Stage, in.RequestContext.HTTP.Method = "$default", http.MethodPost
		return in
	}
	good := delivery("00uCanaryBird", people[2].ID)
	batchOfOne := func(body string) events.SQSEvent {
		return events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m1", Body: body, Attributes: map[string]string{"MessageGroupId": "kanari"}}}}
	}
	for _, body := range []string{"", "kanari", `{"kanari`, `{"kanari": 1, "kanari": 2}`, strings.Replace(good, "group.", "kanari.", 1), strings.Replace(good, "SUCCESS", "kanari", 1), good[:len(good)/2] + "kanari"} {
		for _, secret := range []string{hookSecret, hookSecret + "kanari", awsSession, ""} {
			tell(w.hook, request(secret, body))
		}
		for _, f := range functions {
			tell(f, batchOfOne(body))
			tell(f, map[string]any{"version": body, "Records": body, "body": body})
		}
	}
	everybody := func() {
		_ = w.post("/hooks/okta", hookSecret, good)
		tell(w.hook, request(hookSecret, good))
		tell(w.work, batchOfOne(fmt.Sprintf(`{"person":%q}`, people[2].ID)))
		for _, f := range []*function{w.wake, w.catchup, w.sweep} {
			tell(f, map[string]any{})
		}
	}
	for _, only := range []string{"", "SQS", "secretsmanager"} {
		for kind := range awsKinds {
			aws.spoil(kind, only)
			everybody()
		}
	}
	// So it is at the start, when no secret is known yet.
	for kind := range awsKinds {
		aws.spoil(kind, "secretsmanager")
		f := make("hook")
		tell(f, request(hookSecret, good))
		f.kill()
	}
	aws.spoil(-1, "")
	for kind := range awsKinds {
		connect.spoil(kind, "")
		u := hire(10 + kind)
		w.idle()
		tell(w.work, batchOfOne(fmt.Sprintf(`{"person":%q}`, u.ID)))
	}
	connect.spoil(-1, "")
	for kind := range 4 {
		okta.spoil(kind, "")
		u := hire(30 + kind)
		w.idle()
		tell(w.work, batchOfOne(fmt.Sprintf(`{"person":%q}`, u.ID)))
		tell(w.catchup, map[string]any{})
	}
	okta.spoil(-1, "")
	for _, armed := range [][2]string{{"hook", "hook-parsed"}, {"hook", "queue-facts"}, {"work", "work-planned"}, {"work", "work-claimed"}, {"work", "work-settled"}} {
		f := make(armed[0], "CONNECTROSTER_FAILPOINT="+armed[1]+":1:panic")
		if armed[0] == "hook" {
			tell(f, request(hookSecret, good))
			continue
		}
		u := hire(50 + len(functions))
		w.idle()
		tell(f, batchOfOne(fmt.Sprintf(`{"person":%q}`, u.ID)))
	}
	if aws.heard() < 50 || connect.heard() < awsKinds || okta.heard() < 4 {
		t.Errorf("only %d, %d and %d answers were spoilt", aws.heard(), connect.heard(), okta.heard())
	}

	sinks := map[string]string{"answers": said.String()}
	for _, f := range functions {
		f.kill()
		sinks["log of "+f.handler] += f.said()
	}
	for name, text := range sinks {
		if len(text) < 100 {
			t.Errorf("nothing was heard from the %s, so this shows nothing", name)
		}
		lower := strings.ToLower(text)
		for _, word := range []string{personalCanary, hookSecret, apiToken, awsSecretKey, awsSession} {
			if i := strings.Index(lower, word); i >= 0 {
				t.Errorf("%q is in the %s: ...%q...", word, name, text[max(0, i-300):min(len(text), i+100)])
			}
		}
	}
	for _, want := range []string{`"_aws"`, "panic"} {
		if !strings.Contains(sinks["log of work"]+sinks["log of hook"], want) {
			t.Errorf("the logs lack %q", want)
		}
	}
	// The canaries were where they belong.
	if a, ok := w.agent(people[0]); !ok || !strings.Contains(fmt.Sprint(a), "Kanari") {
		t.Errorf("the agent is %+v", a)
	}
}
