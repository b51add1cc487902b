package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// Canaries. Every personal field holds one of the first two; a telephone number has
// no room for letters.
const (
	personalCanary = "kanari"
	phoneCanary    = "4915170"

	nextHookSecret = "the-next-secret-of-these-tests"
	awsKeyID       = "AKIASITTICHSITTICH00"
	awsSecretKey   = "sittich-secret-access-key-of-these-tests"
	awsSession     = "sittich-session-token-of-these-tests"
	webhookSecret  = "sittich-path-of-the-webhook"
	externalID     = "sittich-external-id"
)

// kanari is the n-th person, whose fields all hold a canary.
func kanari(n int) simokta.NewUser {
	text := func(field string) string { return fmt.Sprintf("Kanari%s%d", field, n) }
	return simokta.NewUser{
		Login: strings.ToLower(text("login")) + "@kanaridomain.example", Email: strings.ToLower(text("mail")) + "@kanaridomain.example",
		FirstName: text("first"), LastName: text("last"), Groups: []string{agentGroup},
		Profile: map[string]any{
			"displayName": text("display"), "nickName": text("nick"), "title": text("title"), "department": text("department"),
			"division": text("division"), "costCenter": text("cost"), "employeeNumber": text("number"), "manager": text("manager"),
			"city": text("city"), "streetAddress": text("street"), "secondEmail": strings.ToLower(text("second")) + "@kanaridomain.example",
			"primaryPhone": fmt.Sprintf("+%s%05d", phoneCanary, n), "mobilePhone": fmt.Sprintf("+%s%05d", phoneCanary, 50000+n),
		},
	}
}

// leaks looks for words in a text, in any case, and as they are encoded on the way.
func leaks(text string, words ...string) (out []string) {
	text = strings.ToLower(text)
	for _, word := range words {
		if len(word) < 6 {
			continue
		}
		for _, form := range []string{word, url.QueryEscape(word), hex.EncodeToString([]byte(word)), base64.StdEncoding.EncodeToString([]byte(word))} {
			if i := strings.Index(text, strings.ToLower(form)); i >= 0 {
				out = append(out, fmt.Sprintf("%q in ...%q...", form, text[max(0, i-250):min(len(text), i+len(form)+60)]))
				break
			}
		}
	}
	return out
}

// parrot stands before a service. What it is told to spoil it answers with an error
// that repeats the request, its headers included, and the true answer as well. It
// learns the credentials that pass by.
type parrot struct {
	service http.Handler
	answer  func(w http.ResponseWriter, kind int, said string)

	mu      sync.Mutex
	secrets map[string]bool
	spoils  func(r *http.Request, body string) (kind int, spoilt bool)
	heard   int // calls that were spoilt, since spoil
	turns   int // since the start
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	truth := httptest.NewRecorder()
	p.mu.Lock()
	for _, name := range []string{"Authorization", "Dpop", "X-Amz-Security-Token"} {
		for _, word := range strings.FieldsFunc(r.Header.Get(name), func(c rune) bool { return strings.ContainsRune(" ,", c) }) {
			_, value, _ := strings.Cut(word, "Signature=")
			if !strings.Contains(word, "=") {
				value = word
			}
			if len(value) > 20 {
				p.secrets[value] = true
			}
		}
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("client_assertion") {
		p.secrets[form.Get("client_assertion")] = true
	}
	kind, spoilt := 0, false
	if p.spoils != nil {
		kind, spoilt = p.spoils(r, string(body))
	}
	if spoilt {
		p.heard++
		p.turns++
	}
	turn := p.turns
	p.mu.Unlock()
	if !spoilt {
		p.service.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodGet { // a read, which changes nothing
		p.service.ServeHTTP(truth, r.Clone(r.Context()))
	}
	// Another part comes first each time, since what is too long is cut off.
	parts := []string{r.Method + " " + r.URL.String(), string(body), truth.Body.String()}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		parts = append(parts, strings.ToLower(name)+":"+strings.Join(r.Header[name], ","))
	}
	first := turn % len(parts)
	p.answer(w, kind, strings.Join(slices.Concat(parts[first:], parts[:first]), "\n"))
}

// spoil says what is to be spoilt from now on.
func (p *parrot) spoil(spoils func(r *http.Request, body string) (kind int, spoilt bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoils, p.heard = spoils, 0
}

// all spoils every call.
func (p *parrot) all(kind int) {
	p.spoil(func(*http.Request, string) (int, bool) { return kind, true })
}

func (p *parrot) spoilt() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

func (p *parrot) credentials() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.secrets))
}

// notHTTP answers what is no HTTP at all.
func notHTTP(w http.ResponseWriter, said string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 "+strings.ReplaceAll(said, "\n", " ")+"\r\n\r\n")
	_ = conn.Close()
}

func asJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Kinds of Okta's spoilt answers. The last two concern all later calls as well.
const (
	oktaKinds   = 13
	oktaLimited = 11
	oktaRefused = 12
)

func oktaParrot(w http.ResponseWriter, kind int, said string) {
	failure := func(code string) map[string]any {
		return map[string]any{"errorCode": code, "errorSummary": said, "errorLink": said, "errorId": said, "errorCauses": []any{map[string]string{"errorSummary": said}}, "error_description": said}
	}
	switch kind {
	case 0:
		asJSON(w, http.StatusBadRequest, failure("E0000001"))
	case 1:
		asJSON(w, http.StatusForbidden, failure("E0000006"))
	case 2:
		asJSON(w, http.StatusNotFound, failure("E0000007"))
	case 3:
		http.Error(w, said, http.StatusInternalServerError)
	case 4:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>"+said)
	case 5:
		_, _ = fmt.Fprintf(w, `{"id": %q, "profile": {"login": %q`, said, said)
	case 6:
		w.Header().Set("Location", "https://elsewhere.example/?"+url.QueryEscape(said))
		w.WriteHeader(http.StatusFound)
	case 7:
		asJSON(w, http.StatusServiceUnavailable, failure("E0000009"))
	case 8:
		asJSON(w, http.StatusOK, map[string]any{"id": said, "status": said, "profile": said, said: said})
	case 9:
		notHTTP(w, said)
	case 10:
		// Where the code should be is what a code can look like.
		asJSON(w, http.StatusBadRequest, failure(apiToken))
	case oktaLimited:
		w.Header().Set("X-Rate-Limit-Reset", said[:3])
		asJSON(w, http.StatusTooManyRequests, failure("E0000047"))
	case oktaRefused:
		w.Header().Set("Www-Authenticate", strings.ReplaceAll(said, "\n", " "))
		asJSON(w, http.StatusUnauthorized, failure("E0000011"))
	}
}

const connectKinds = 13

func connectParrot(w http.ResponseWriter, kind int, said string) {
	failure := func(status int, code string) {
		asJSON(w, status, map[string]string{"__type": code, "message": said, "Message": said})
	}
	switch kind {
	case 0:
		failure(http.StatusBadRequest, "InvalidParameterException")
	case 1:
		failure(http.StatusForbidden, "AccessDeniedException")
	case 2:
		failure(http.StatusForbidden, "InvalidSignatureException")
	case 3:
		failure(http.StatusForbidden, "SignatureDoesNotMatch")
	case 4:
		failure(http.StatusTooManyRequests, "ThrottlingException")
	case 5:
		failure(http.StatusNotFound, "ResourceNotFoundException")
	case 6:
		failure(http.StatusInternalServerError, "InternalServiceException")
	case 7:
		http.Error(w, said, http.StatusBadGateway)
	case 8:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>"+said)
	case 9:
		_, _ = fmt.Fprintf(w, `{"UserId": %q, "UserArn": %q`, said, said)
	case 10:
		notHTTP(w, said)
	case 11:
		failure(http.StatusBadRequest, said)
	case 12:
		failure(http.StatusBadRequest, "IncompleteSignatureException")
	}
}

// aviary is a world whose secrets and people are canaries, and what was heard there.
type aviary struct {
	*world
	okta, connect *parrot
	env           []string
	private       []string // lines of the private keys
	people        map[string]int
	hook          *http.Client
	webhook       *httptest.Server

	mu    sync.Mutex
	sinks map[string]*strings.Builder
}

// hear keeps what left the program by a way.
func (a *aviary) hear(sink, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sinks[sink] == nil {
		a.sinks[sink] = &strings.Builder{}
	}
	a.sinks[sink].WriteString(text + "\n")
}

// newAviary makes a world for a mode: token, app or hook-only.
func newAviary(t *testing.T, mode, format string) *aviary {
	t.Helper()
	a := &aviary{world: newWorld(t, setup{away: true}), people: map[string]int{}, hook: client(t, 10*time.Second), sinks: map[string]*strings.Builder{}}
	a.instance.AddDemo()
	a.okta = &parrot{service: a.org, answer: oktaParrot, secrets: map[string]bool{}}
	a.connect = &parrot{service: a.instance, answer: connectParrot, secrets: map[string]bool{}}
	server, address, err := serveLoopback(t.Context(), "127.0.0.1:0", a.okta)
	a.must(err)
	t.Cleanup(func() { _ = server.Close() })
	connect, _, err := serveLoopback(t.Context(), a.world.connect, a.connect)
	a.must(err)
	t.Cleanup(func() { _ = connect.Close() })
	a.webhook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.hear("webhook", fmt.Sprint(r.Header, string(body)))
		http.Error(w, r.URL.String(), http.StatusInternalServerError)
	}))
	t.Cleanup(a.webhook.Close)
	a.env = []string{
		"OKTA_HOOK_SECRET=" + hookSecret, "OKTA_HOOK_SECRET_NEXT=" + nextHookSecret,
		"AWS_ACCESS_KEY_ID=" + awsKeyID, "AWS_SECRET_ACCESS_KEY=" + awsSecretKey, "AWS_SESSION_TOKEN=" + awsSession,
		"CONNECTROSTER_WEBHOOK=" + a.webhook.URL + "/" + webhookSecret, "CONNECT_EXTERNAL_ID=" + externalID, "GOTRACEBACK=all",
	}
	for _, group := range []string{"Connect Queue Sales", "Connect Home", "Connect Tree", "Connect Level", "Connect Missing"} {
		_, err := a.org.AddGroup(group)
		a.must(err)
	}
	a.must(os.WriteFile(a.file(), []byte(a.config(mode, format, address)), 0o600))
	return a
}

func (a *aviary) config(mode, format, org string) string {
	policy, okta, leavers, profiles := "sync", fmt.Sprintf("org: %q, catch_up: 10s, ", org), "leavers: {suspend_as: parked, delete_after: 7d}", `
  - {groups: [Connect Home], set: {voice: {type: desk_phone, desk_number: "{profile.primaryPhone}"}, tags: {site: "{profile.city}"}}}
  - {groups: [Connect Tree], set: {hierarchy: "{profile.department}"}}
  - {groups: [Connect Level], set: {routing_profile: "{profile.title}"}}
  - {groups: [Connect Missing], set: {proficiencies: {"{profile.nickName}": {"{profile.city}": 3}}}}
  - {when: 'profile.userType == "odd" && int(profile.title) > 3', set: {tags: {odd: "{profile.city}"}}}`
	switch mode {
	case "token":
		okta += `auth: {token: "env:OKTA_API_TOKEN"}, `
	case "app":
		okta += `auth: {client_id: "0oaTheServiceApp0000", private_key: "file:okta.pem", key_id: "one"}, `
		a.serviceApp()
	case "hook-only":
		policy, okta, leavers, profiles = "create-only", "", "", ""
	}
	tlsKey := a.certificate()
	return fmt.Sprintf(`name: tests
policy: %s
listen: %s
tls: {cert: tls.crt, key: %s}
admin_listen: %s
socket: %q
allow_loopback: true
okta: {%shook: {secrets: ["env:OKTA_HOOK_SECRET", "env:OKTA_HOOK_SECRET_NEXT"]}}
connect: {instance: %s, region: eu-central-1, rate: 1000, burst: 5}
personas:
  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}
  parked: {routing_profile: Parked, security_profiles: [No permissions]}
rules:
  - {groups: [%s], persona: agent}
  - {groups: ["/^Connect Queue (?<queue>.+)$/"], set: {routing_profile: "{queue}"}}%s
%s
notify: {webhook: "env:CONNECTROSTER_WEBHOOK"}
guard: {status_count: 1, group_count: 1, long_count: 1, move_count: 1}
store: {sqlite: connectroster.db}
log: {level: debug, format: %s}
`, policy, a.listen, tlsKey, a.admin, a.socket(), okta, a.instance.ID(), agentGroup, profiles, leavers, format)
}

// secretFile writes a private key; its lines are canaries.
func (a *aviary) secretFile(name string, key any) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	a.must(err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	a.must(os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600))
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "-") {
			a.private = append(a.private, strings.TrimSpace(line))
		}
	}
}

// serviceApp registers a client that must prove possession of its tokens.
func (a *aviary) serviceApp() {
	a.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	a.must(err)
	a.secretFile("okta.pem", key)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	a.must(err)
	_, err = a.org.AddClient(simokta.NewClient{
		ClientID: "0oaTheServiceApp0000", ClientKey: simokta.ClientKey{KID: "one", PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
		Scopes: []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.apps.read"}, Roles: []string{"READ_ONLY_ADMIN"}, DPoP: true,
	})
	a.must(err)
}

func (a *aviary) certificate() (keyFile string) {
	a.t.Helper()
	c, key := certify(a.t, nil, nil, "hook.example.com")
	a.must(os.WriteFile(filepath.Join(a.dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600))
	a.secretFile("tls.key", key)
	return "tls.key"
}

// secrets are all that nobody may be told, by no way.
func (a *aviary) secrets() []string {
	return slices.Concat([]string{hookSecret, nextHookSecret, apiToken, awsSecretKey, awsSession, webhookSecret, externalID}, a.private, a.okta.credentials(), a.connect.credentials())
}

// launch runs the daemon and waits for it. Its endpoint speaks TLS.
func (a *aviary) launch(env ...string) *child {
	a.t.Helper()
	c := a.start(append(a.env, env...)...)
	eventually(a.t, patience, func() error {
		if !c.alive() {
			a.t.Fatal("the daemon ended before it was ready")
		}
		status, _, err := call(http.MethodGet, "http://"+a.admin+"/readyz", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	return c
}

// hire adds the n-th person, who is in the group of agents, and more groups.
func (a *aviary) hire(n int, change func(*simokta.NewUser)) simokta.User {
	a.t.Helper()
	person := kanari(n)
	if change != nil {
		change(&person)
	}
	a.mu.Lock() // whoever looks at the person before their number is known waits for it
	defer a.mu.Unlock()
	user, err := a.org.AddUser(person)
	a.must(err)
	a.people[user.ID] = n
	return user
}

// number gives the number of a person from a path or body that names them.
func (a *aviary) number(text string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range a.people {
		if strings.Contains(text, id) || strings.Contains(text, fmt.Sprintf(`"kanarilogin%d@`, n)) {
			return n
		}
	}
	return -1
}

// told posts to the hook and keeps the answer. Okta delivers by TLS; here it is
// the test that does, for events of its own and for those of the org.
func (a *aviary) told(path, secret, body string, headers ...string) int {
	a.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, "https://"+a.listen+path, strings.NewReader(body))
	a.must(err)
	req.Header.Set("Authorization", secret)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own certificate
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		return 0 // cut off in the middle, as for a body that is too large
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	a.hear("hook answers", fmt.Sprint(resp.Status, resp.Header, string(answer)))
	return resp.StatusCode
}

// event tells the hook of a person.
func (a *aviary) event(kind string, u simokta.User) {
	a.t.Helper()
	a.mu.Lock()
	n := a.people[u.ID]
	a.mu.Unlock()
	p := kanari(n)
	body := delivery(news{
		uuid: fmt.Sprintf("event-%d", time.Now().UnixNano()), kind: kind, person: u.ID, login: u.Login, name: p.FirstName + " " + p.LastName, published: time.Now().UTC(),
	})
	eventually(a.t, patience, func() error {
		status := a.told("/hooks/okta", nextHookSecret, string(body))
		if status != http.StatusNoContent && status != http.StatusServiceUnavailable { // which Okta repeats
			a.t.Fatalf("a delivery was answered %d", status)
		}
		if status != http.StatusNoContent {
			return fmt.Errorf("a delivery was answered %d", status)
		}
		return nil
	})
}

// said waits until the log says something about a person, or whatever else.
func (a *aviary) said(c *child, what ...string) {
	a.t.Helper()
	for _, w := range what {
		eventually(a.t, 2*patience, func() error {
			if !strings.Contains(c.output.String(), w) {
				return fmt.Errorf("the log does not say %q", w)
			}
			return nil
		})
	}
}

// look reads what anybody may read.
func (a *aviary) look() {
	a.t.Helper()
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/nothing"} {
		status, answer, err := call(http.MethodGet, "http://"+a.admin+path, nil, nil)
		a.must(err)
		a.hear("admin"+path, fmt.Sprint(status, answer))
	}
	for _, path := range []string{"/v1/status", "/v1/people?limit=1000", "/v1/dead"} {
		_, answer, err := call(http.MethodGet, "unix:"+a.socket()+":"+path, nil, nil)
		a.must(err)
		a.hear("socket"+path, answer)
	}
}

// silent sees that nothing was told to whom it must not.
func (a *aviary) silent(sinks ...string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.okta.credentials())+len(a.connect.credentials()) == 0 {
		a.t.Error("no credentials passed by, so this shows nothing")
	}
	words := append(a.secrets(), personalCanary, phoneCanary)
	for _, name := range sinks {
		if a.sinks[name] == nil || a.sinks[name].Len() < 10 {
			a.t.Errorf("nothing was heard from %s, so this shows nothing", name)
		}
	}
	for name, text := range a.sinks {
		seen := words
		if strings.HasPrefix(name, "command ") { // operators are shown who people are
			seen = a.secrets()
		}
		for i, leak := range leaks(text.String(), seen...) {
			if i < 5 {
				a.t.Errorf("%s: %s", name, leak)
			}
		}
	}
}

// TestCanaries has a canary in every secret and in every personal field, plays the
// life of agents, and has every service answer with errors that repeat what they
// were asked. None is in what the daemon tells: its log at level debug, metrics,
// answers, messages, and what it says when it is broken off (P-50).
func TestCanaries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, format string }{{"token", "text"}, {"app", "json"}, {"hook-only", "text"}, {"hook-only", "json"}} {
		t.Run(c.mode+" "+c.format, func(t *testing.T) {
			t.Parallel()
			a := newAviary(t, c.mode, c.format)
			daemon := a.launch()
			var born []simokta.User
			if c.mode == "hook-only" {
				born = a.hooksOnly(daemon)
			} else {
				born = a.lives(daemon)
				a.spoiltPeople(daemon)
			}
			a.hostile()
			a.look()
			a.storms(daemon, c.mode, born[0])
			a.look()
			a.commands()
			a.brokenDatabase(daemon, born[0])
			a.look()
			daemon.signal(syscall.SIGQUIT) // the runtime tells all that it knows
			daemon.wait(patience)
			says(t, daemon.output.String(), "SIGQUIT", "goroutine ")
			a.hear("log", daemon.output.String())
			for _, place := range []string{"hook-parsed", "queue-facts", "work-planned"} {
				a.panics(place)
			}
			sinks := []string{"log", "admin/metrics", "admin/readyz", "hook answers", "socket/v1/status", "socket/v1/dead", "command doctor", "command journal", "log of panics"}
			if c.mode != "hook-only" {
				sinks = append(sinks, "webhook")
			}
			a.silent(sinks...)
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(leaks(a.sinks["command journal"].String(), personalCanary)) == 0 {
				t.Error("operators do not see who people are, so nobody here has a name")
			}
		})
	}
}

// lives plays the life of agents with access to Okta's API.
func (a *aviary) lives(daemon *child) []simokta.User {
	a.t.Helper()
	w := a.world
	var people []simokta.User
	for n := range 8 {
		u := a.hire(n, nil)
		people = append(people, u)
		a.event("group.user_membership.add", u)
	}
	// These have an agent already, a username that cannot be, and what no rule can use.
	_, err := a.instance.AddAgent(simconnect.Agent{
		Username: kanari(10).Login, IdentityInfo: simconnect.IdentityInfo{FirstName: "Kanari", LastName: "Foreign"},
		RoutingProfile: a.instance.RoutingProfileID("Basic Routing Profile"), SecurityProfiles: []string{a.instance.SecurityProfileID("Agent")},
	})
	w.must(err)
	odd := []func(*simokta.NewUser){
		nil,
		func(u *simokta.NewUser) { u.Login = "kanari login with spaces" },
		func(u *simokta.NewUser) { u.Login = "kanariñandú@kanaridomain.example" },
		func(u *simokta.NewUser) { u.Login = "kanari" + strings.Repeat("long", 23) },
		func(u *simokta.NewUser) { u.Groups = append(u.Groups, "Connect Tree") },
		func(u *simokta.NewUser) { u.Groups = append(u.Groups, "Connect Level") },
		func(u *simokta.NewUser) { u.Groups = append(u.Groups, "Connect Missing") },
		func(u *simokta.NewUser) {
			u.Groups = append(u.Groups, "Connect Home")
			u.Profile["primaryPhone"] = "+" + phoneCanary + " kanari"
		},
		func(u *simokta.NewUser) { u.Profile["userType"] = "odd" },
		func(u *simokta.NewUser) { u.FirstName, u.LastName = strings.Repeat("Kanari", 30), "" },
	}
	var refused []simokta.User
	for i, change := range odd {
		u, err := func() (simokta.User, error) {
			p := kanari(10 + i)
			if change != nil {
				change(&p)
			}
			return a.org.AddUser(p)
		}()
		if err != nil {
			continue // Okta itself does not take it
		}
		refused = append(refused, u)
		a.event("group.user_membership.add", u)
	}
	if len(refused) < 7 {
		a.t.Fatalf("only %d odd people", len(refused))
	}
	for _, u := range slices.Concat(people, refused) {
		a.said(daemon, u.ID)
	}
	eventually(a.t, patience, func() error {
		for _, u := range people { // what follows needs the agent of each
			if live, _ := w.agentsOf(u); len(live) == 0 {
				return fmt.Errorf("person %s has no agent", u.ID)
			}
		}
		return nil
	})
	if n := len(a.instance.Agents()); n < 9 {
		a.t.Errorf("%d agents", n)
	}
	w.must(a.org.Join(people[0].ID, "Connect Queue Sales"))
	w.must(a.org.Join(people[1].ID, "Connect Home"))
	w.must(a.org.UpdateProfile(people[2].ID, map[string]any{"lastName": "Kanarirenamed", "email": "kanarirenamed@kanaridomain.example"}))
	w.must(a.org.UpdateProfile(people[3].ID, map[string]any{"login": "kanarirenamed@kanaridomain.example"}))
	w.must(a.org.Suspend(people[4].ID))
	w.must(a.org.Leave(people[5].ID, a.group.ID))
	w.must(a.org.Deactivate(people[6].ID))
	for i, u := range people[:7] {
		a.event([]string{"group.user_membership.add", "group.user_membership.add", "user.account.update_profile", "user.account.update_profile", "user.lifecycle.suspend", "group.user_membership.remove", "user.lifecycle.deactivate"}[i], u)
	}
	eventually(a.t, 2*patience, func() error {
		var holds []json.RawMessage
		w.must(json.Unmarshal([]byte(w.api(http.MethodGet, "/v1/holds")), &holds))
		if len(holds) == 0 {
			return errors.New("nothing is held")
		}
		return nil
	})
	a.said(daemon, "the webhook did not take a message")
	return people
}

// spoiltPeople has each kind of spoilt answer for a person of their own.
func (a *aviary) spoiltPeople(daemon *child) {
	a.t.Helper()
	a.connect.spoil(func(_ *http.Request, body string) (int, bool) {
		n := a.number(body) - 100
		return n, n >= 0 && n < connectKinds
	})
	a.okta.spoil(func(r *http.Request, _ string) (int, bool) {
		n := a.number(r.URL.Path) - 200
		return n, n >= 0 && n < oktaLimited
	})
	var people []simokta.User
	for k := range connectKinds {
		people = append(people, a.hire(100+k, nil))
	}
	for k := range oktaLimited {
		people = append(people, a.hire(200+k, nil))
	}
	for _, u := range people {
		a.event("group.user_membership.add", u)
	}
	for _, u := range people {
		a.said(daemon, u.ID)
	}
	if a.connect.spoilt() < connectKinds || a.okta.spoilt() < oktaLimited {
		a.t.Errorf("%d and %d answers were spoilt", a.connect.spoilt(), a.okta.spoilt())
	}
	a.connect.spoil(nil)
	a.okta.spoil(nil)
}

// hooksOnly plays what can be without access to Okta's API.
func (a *aviary) hooksOnly(daemon *child) []simokta.User {
	a.t.Helper()
	var people []simokta.User
	for n := range 4 {
		people = append(people, a.hire(n, nil))
	}
	a.connect.spoil(func(_ *http.Request, body string) (int, bool) {
		n := a.number(body) - 100
		return n, n >= 0 && n < connectKinds
	})
	for k := range connectKinds {
		people = append(people, a.hire(100+k, nil))
	}
	for _, u := range people {
		a.event("group.user_membership.add", u)
	}
	for _, u := range people {
		a.said(daemon, u.ID)
	}
	a.event("group.user_membership.remove", people[1])
	if a.connect.spoilt() < connectKinds {
		a.t.Errorf("%d answers were spoilt", a.connect.spoilt())
	}
	a.connect.spoil(nil)
	eventually(a.t, patience, func() error {
		if n := len(a.instance.Agents()); n < 4 {
			return fmt.Errorf("%d agents", n)
		}
		return nil
	})
	return people
}

// hostile sends the hook what it must refuse, with canaries in every place.
func (a *aviary) hostile() {
	a.t.Helper()
	good := string(delivery(arrival(1)))
	refused := 0
	for _, path := range []string{"/hooks/okta", "/create_user", "/kanari/" + hookSecret, "/hooks/okta?" + hookSecret + "=kanari"} {
		for _, secret := range []string{"", hookSecret + "x", hookSecret[1:], "Bearer " + nextHookSecret, awsSecretKey, hookSecret} {
			for _, body := range []string{
				"", "kanari", `{"kanari`, `{"kanari": 1, "kanari": 2}`, `{"data": {"events": "kanari"}}`, `{"data": {"events": [{"uuid": {"kanari": 1}, "eventType": "kanari"}]}}`,
				strings.Replace(good, "group.user_membership.add", "kanari."+hookSecret, 1), strings.Replace(good, "00u", "kanari kanari", 1),
				strings.Replace(good, "SUCCESS", "kanari", 1), good[:len(good)/2] + "kanari", "\xff kanari", `{"data": {"events": [` + strings.Repeat(`{"a":`, 20000) + `"kanari"`,
				strings.Replace(good, "2026-", "kanari", 1),
			} {
				if status := a.told(path, secret, body, "X-Kanari", "kanari"); status >= 400 {
					refused++
				}
			}
		}
	}
	a.told("/hooks/okta", hookSecret, good, "Content-Encoding", "kanari")
	a.told("/hooks/okta", hookSecret, `{"kanari": "`+strings.Repeat("kanari", 2<<20)+`"}`)
	a.told("/hooks/okta", "wrong", "", "X-Okta-Verification-Challenge", "kanari")
	for _, raw := range []string{"KANARI / HTTP/9.9\r\n\r\n", "POST /hooks/okta HTTP/1.1\r\nHost: kanari kanari\r\nAuthorization: " + hookSecret + "\r\n\r\n", "\x16\x03kanari"} {
		conn, err := net.Dial("tcp", a.listen)
		a.must(err)
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, raw)
		answer, _ := io.ReadAll(io.LimitReader(conn, 4096))
		_ = conn.Close()
		a.hear("hook answers", string(answer))
	}
	if refused < 100 {
		a.t.Errorf("only %d deliveries were refused", refused)
	}
}

// storms spoils every call of a service for a while.
func (a *aviary) storms(daemon *child, mode string, u simokta.User) {
	a.t.Helper()
	storm := func(p *parrot, kind int) {
		before := len(daemon.output.String())
		p.all(kind)
		a.event("user.account.update_profile", u)
		if mode != "hook-only" {
			a.api(http.MethodPost, "/v1/sweep")
		}
		eventually(a.t, 2*patience, func() error {
			if p.spoilt() == 0 || len(daemon.output.String()) == before {
				return fmt.Errorf("storm %d: nothing was called", kind)
			}
			return nil
		})
		p.spoil(nil)
	}
	if mode == "hook-only" {
		return // it asks for nothing but the agents, which are spoilt already
	}
	for _, kind := range []int{8, 9, 10, 3, 1} {
		storm(a.connect, kind)
	}
	for _, kind := range []int{4, 8, 9, 10, 3, 1, oktaRefused} {
		storm(a.okta, kind)
	}
}

// commands asks for what operators may see. Names are theirs to see; secrets are not.
func (a *aviary) commands() {
	a.t.Helper()
	for _, args := range [][]string{
		{"doctor"}, {"doctor", "--json"}, {"plan"}, {"plan", "--json"}, {"holds"}, {"holds", "--json"}, {"dead"}, {"dead", "--json"},
		{"journal"}, {"journal", "--json"}, {"journal", "--verify"}, {"catalog"}, {"explain", kanari(0).Login}, {"explain", kanari(0).Login, "--json"},
		{"okta", "setup", "--by-hand"}, {"okta", "--help"}, {"version"},
	} {
		c := a.run(a.env, program(a.t), append(args, "--config", a.file())...)
		c.wait(2 * patience)
		a.hear("command "+args[0], c.output.String())
	}
}

// brokenDatabase takes tables away under the daemon.
func (a *aviary) brokenDatabase(daemon *child, u simokta.User) {
	a.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(a.dir, "connectroster.db"))
	a.must(err)
	defer db.Close()
	rows, err := db.QueryContext(a.t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
	a.must(err)
	var tables []string
	for rows.Next() {
		var name string
		a.must(rows.Scan(&name))
		tables = append(tables, name)
	}
	a.must(rows.Err())
	body := delivery(news{uuid: "event-broken", kind: "group.user_membership.add", person: u.ID, login: u.Login, name: "Kanari Broken", published: time.Now()})
	eventually(a.t, patience, func() error {
		for _, name := range tables { // while the daemon writes it cannot be done
			_, _ = db.ExecContext(a.t.Context(), fmt.Sprintf(`ALTER TABLE %q RENAME TO %q`, name, "broken_"+name))
		}
		if status := a.told("/hooks/okta", hookSecret, string(body)); status != http.StatusServiceUnavailable {
			return fmt.Errorf("without its tables the daemon answered %d", status)
		}
		return nil
	})
	a.said(daemon, "hook delivery refused")
}

// panics ends a daemon by a panic at a place, or finds that it lives on.
func (a *aviary) panics(place string) {
	a.t.Helper()
	a.must(os.RemoveAll(filepath.Join(a.dir, "connectroster.db")))
	for _, more := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(a.dir, "connectroster.db"+more))
	}
	c := a.start(append(a.env, "CONNECTROSTER_FAILPOINT="+place+":1:panic")...)
	p := kanari(0)
	body := delivery(news{uuid: "event-" + place, kind: "group.user_membership.add", person: "00uPanic" + place[:4], login: p.Login, name: p.FirstName + " " + p.LastName, published: time.Now()})
	eventually(a.t, patience, func() error { // the catch-up may pass the place first, before the daemon is ready
		if c.alive() {
			_ = a.told("/hooks/okta", hookSecret, string(body))
		}
		if !strings.Contains(c.output.String(), "panic") {
			return errors.New("it did not panic")
		}
		return nil
	})
	c.kill()
	a.hear("log of panics", c.output.String())
}

// TestCanariesOfARole: a role that cannot be assumed does not show its external id.
func TestCanariesOfARole(t *testing.T) {
	t.Parallel()
	a := newAviary(t, "hook-only", "text")
	text, err := os.ReadFile(a.file())
	a.must(err)
	role := strings.Replace(string(text), "region: eu-central-1,", `region: eu-central-1, role_arn: "arn:aws:iam::123456789012:role/connectroster", external_id: "env:CONNECT_EXTERNAL_ID",`, 1)
	a.must(os.WriteFile(a.file(), []byte(role), 0o600))
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The Canonical String should have been %v %s</Message></Error></ErrorResponse>`, r.Header, strings.ReplaceAll(string(body), "&", "&amp;"))
	}))
	defer sts.Close()
	daemon := a.launch("AWS_ENDPOINT_URL_STS=" + sts.URL)
	a.said(daemon, "cannot read the Amazon Connect instance")
	c := a.run(append(a.env, "AWS_ENDPOINT_URL_STS="+sts.URL), program(t), "doctor", "--config", a.file())
	c.wait(2 * patience)
	daemon.stop()
	for what, said := range map[string]string{"log": daemon.output.String(), "doctor": c.output.String()} {
		for _, leak := range leaks(said, a.secrets()...) {
			t.Errorf("%s: %s", what, leak)
		}
		says(t, said, "SignatureDoesNotMatch")
	}
}

// TestCanariesInTheConfiguration puts secrets where none belongs: each is a fault,
// and none is told.
func TestCanariesInTheConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "sittich-in-the-wrong-place"
	a := newAviary(t, "token", "text")
	data, err := os.ReadFile(a.file())
	a.must(err)
	text := string(data)
	for name, c := range map[string]struct{ old, by string }{
		"a token in place":       {`"env:OKTA_API_TOKEN"`, secret},
		"a token of two":         {`"env:OKTA_API_TOKEN"`, "[" + secret + "]"},
		"a token with keys":      {`"env:OKTA_API_TOKEN"`, "{" + secret + ": 1}"},
		"a hook secret in place": {`"env:OKTA_HOOK_SECRET"`, secret},
		"as a variable":          {`env:OKTA_HOOK_SECRET"`, "env:" + secret + `"`},
		"a webhook in place":     {`"env:CONNECTROSTER_WEBHOOK"`, "https://hooks.example.com/" + secret},
		"an unknown key":         {`allow_loopback: true`, "okta_token: " + secret},
		"in the org":             {`org: "http://`, `org: "http://user:` + secret + `@`},
		"as a scheme":            {`"env:OKTA_API_TOKEN"`, "vault:" + secret},
		"broken YAML":            {`"env:OKTA_API_TOKEN"`, `"` + secret},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(text, c.old) == 0 {
				t.Fatalf("the configuration lacks %s", c.old)
			}
			file := filepath.Join(a.dir, strings.ReplaceAll(name, " ", "-")+".yaml")
			a.must(os.WriteFile(file, []byte(strings.Replace(text, c.old, c.by, 1)), 0o600))
			for _, command := range []string{"serve", "doctor", "plan"} {
				p := a.run(a.env, program(t), command, "--config", file)
				p.wait(2 * patience)
				if p.cmd.ProcessState.ExitCode() == 0 {
					t.Errorf("%s ended well", command)
				}
				said := p.output.String()
				for _, leak := range leaks(said, append(a.secrets(), "sittich")...) {
					t.Errorf("%s: %s", command, leak)
				}
				if !regexp.MustCompile(`\.yaml:\d+`).MatchString(strings.Join(strings.Fields(said), "")) {
					t.Errorf("%s does not say where: %s", command, said)
				}
			}
		})
	}
}
