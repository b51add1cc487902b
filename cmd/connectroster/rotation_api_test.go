package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	simokta "connectroster/internal/sim/okta"
)

// TestRotationOfCredentials replaces what signs in to the vendors, under 20 deliveries
// a second (P-51): Okta's API token, the key of a service app, which is told by its id,
// and the credentials of a role of AWS. No delivery is refused, no call either, the old
// one is used no more a minute later, and it takes no restart.
func TestRotationOfCredentials(t *testing.T) {
	for name, play := range map[string]func(*testing.T) *rotation{"api token": tokenRotation, "service app": keyRotation, "role": roleRotation} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t).play()
		})
	}
}

// rotation is a world in which a credential is replaced, from the first to the second.
type rotation struct {
	*world
	witness *witness
	daemon  *child
	env     []string
	replace func() // where the daemon finds it
	retire  func() // at the vendor; nil: the witness alone refuses it
}

func (r *rotation) play() {
	t := r.t
	t.Helper()
	r.daemon = r.started(r.env...)
	r.subscribe()
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent, joined atomic.Int64
	load.Go(func() {
		hook := client(t, patience)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for ; ; sent.Add(1) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if status, err := r.deliver(t.Context(), hook, delivery(arrival(1<<20))); err != nil || status != http.StatusNoContent {
				t.Errorf("a delivery was answered %d, %v", status, err)
			}
			if sent.Load()%5 == 0 {
				user, err := r.org.AddUser(simokta.NewUser{Login: fmt.Sprintf("person%d@example.com", joined.Load()), FirstName: "First", LastName: "Last"})
				if err == nil {
					err = r.org.Join(user.ID, r.group.ID)
				}
				if err != nil {
					t.Error(err)
					return
				}
				joined.Add(1)
			}
		}
	})
	defer load.Wait()
	defer stop()
	eventually(t, patience, func() error { return r.witness.has("first") })
	r.replace()
	eventually(t, patience, func() error { return r.witness.has("second") })
	eventually(t, patience, func() error { // a call that was under way, or a token that ends by itself
		if quiet, calls := r.witness.quiet("first"); quiet < 10*time.Second || calls < 20 {
			return fmt.Errorf("the old one was used %s and %d calls ago", quiet, calls)
		}
		return nil
	})
	r.witness.refuse("first")
	if r.retire != nil {
		r.retire()
	}
	before := r.witness.count("second")
	eventually(t, patience, func() error { // the life goes on, over some catch-ups
		if n := r.witness.count("second"); n < before+50 {
			return fmt.Errorf("%d calls since", n-before)
		}
		return nil
	})
	eventually(t, patience, func() error { // a busy machine sends few
		if sent.Load() < 100 || joined.Load() < 20 {
			return fmt.Errorf("only %d deliveries and %d people, so this shows little", sent.Load(), joined.Load())
		}
		return nil
	})
	stop()
	load.Wait()
	r.taken()
	eventually(t, patience, func() error {
		if n := int64(len(r.instance.Agents())); n < joined.Load() {
			return fmt.Errorf("%d agents for %d people", n, joined.Load())
		}
		return nil
	})
	for name := range strings.Lines(r.metrics()) {
		if _, value, ok := strings.Cut(name, " "); ok && strings.Contains(name, "_refused_total") && strings.TrimSpace(value) != "0" && !strings.HasPrefix(name, "#") {
			t.Errorf("calls were refused: %s", name)
		}
	}
	if n := r.witness.refusals(); n > 0 {
		t.Errorf("%d calls came with what is no longer valid", n)
	}
	r.daemon.stop() // it is the same process
	t.Logf("%d deliveries and %d people, none refused", sent.Load(), joined.Load())
}

func (w *world) metrics() string {
	w.t.Helper()
	status, text, err := call(http.MethodGet, "http://"+w.admin+"/metrics", nil, nil)
	if err != nil || status != http.StatusOK {
		w.t.Fatalf("the metrics: status %d, %v", status, err)
	}
	return text
}

// put writes a file whole, as tools that renew secrets do.
func (w *world) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	w.must(os.WriteFile(path+".new", []byte(text), 0o600))
	w.must(os.Rename(path+".new", path))
}

// witness stands before a vendor and sees who calls: "first", "second" or nobody that
// it knows. What is no longer valid it refuses.
type witness struct {
	service http.Handler
	who     func(r *http.Request, body []byte) string
	status  int // of a refusal

	mu      sync.Mutex
	last    map[string]time.Time
	calls   map[string]int
	all     int            // calls of anybody
	at      map[string]int // how many there were at the last call
	retired map[string]bool
	refused int
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	who := w.who(r, body)
	w.mu.Lock()
	if w.last == nil {
		w.last, w.calls, w.at, w.retired = map[string]time.Time{}, map[string]int{}, map[string]int{}, map[string]bool{}
	}
	w.all++
	w.last[who], w.at[who] = time.Now(), w.all
	w.calls[who]++
	refuse := w.retired[who]
	if refuse {
		w.refused++
	}
	w.mu.Unlock()
	if refuse {
		asJSON(rw, w.status, map[string]string{"errorCode": "E0000011", "__type": "UnrecognizedClientException"})
		return
	}
	w.service.ServeHTTP(rw, r)
}

func (w *witness) has(who string) error {
	if w.count(who) == 0 {
		return errors.New("no call by the " + who)
	}
	return nil
}

func (w *witness) count(who string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[who]
}

// quiet is how long there was no call, and how many others came meanwhile: on a machine
// that stands still there is none of anybody.
func (w *witness) quiet(who string) (time.Duration, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last[who]), w.all - w.at[who]
}

func (w *witness) refuse(who string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired[who] = true
}

func (w *witness) refusals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// oktaRotation is a world that signs in to Okta in one way.
func oktaRotation(t *testing.T, auth string, who func(r *http.Request, body []byte) string) *rotation {
	t.Helper()
	seen := &witness{who: who, status: http.StatusUnauthorized}
	server := httptest.NewServer(seen)
	t.Cleanup(server.Close)
	r := &rotation{world: newWorld(t, setup{config: fmt.Sprintf("okta: {org: %q, auth: %s, catch_up: 10s}\n", server.URL, auth)}), witness: seen}
	seen.service = r.org
	r.must(r.org.Configure(func(s *simokta.Settings) {
		s.RateLimits = map[string]int{}
		for _, class := range []string{"apps", "apps/{id}", "groups", "groups/{id}", "users", "users/{id}", "logs", "other"} {
			s.RateLimits[class] = 1_000_000
		}
	}))
	return r
}

func tokenRotation(t *testing.T) *rotation {
	const first, second = "the-first-token-of-the-rotation", "the-second-token-of-the-rotation"
	r := oktaRotation(t, `{token: "file:token"}`, func(r *http.Request, _ []byte) string {
		switch r.Header.Get("Authorization") {
		case "SSWS " + first:
			r.Header.Set("Authorization", "SSWS "+apiToken) // the one that the org knows
			return "first"
		case "SSWS " + second:
			r.Header.Set("Authorization", "SSWS "+apiToken)
			return "second"
		}
		return ""
	})
	r.put("token", first+"\n")
	r.replace = func() {
		r.put("token", "half a token\n") // which changes nothing
		eventually(t, patience, func() error {
			if !strings.Contains(r.daemon.output.String(), "cannot use the credentials for Okta's API as they are now") {
				return errors.New("nothing is said of a token that is none")
			}
			return nil
		})
		r.put("token", second+"\n")
	}
	return r
}

// keyRotation has a service app with proof of possession. The id of a key goes with it
// in the file. Calls are told apart by the access tokens that a key was given.
func keyRotation(t *testing.T) *rotation {
	const clientID = "0oaTheServiceApp0000"
	r := oktaRotation(t, fmt.Sprintf(`{client_id: %q, private_key: "file:okta.jwk"}`, clientID), nil)
	var mu sync.Mutex
	owner, latest := map[string]string{}, "" // of access tokens
	r.witness.who = func(req *http.Request, body []byte) string {
		mu.Lock()
		defer mu.Unlock()
		if form, err := url.ParseQuery(string(body)); err == nil && form.Has("client_assertion") {
			head, _, _ := strings.Cut(form.Get("client_assertion"), ".")
			text, _ := base64.RawURLEncoding.DecodeString(head)
			var header struct{ Kid string }
			_ = json.Unmarshal(text, &header)
			latest = header.Kid
			return latest
		}
		token := req.Header.Get("Authorization")
		if token == "" {
			return ""
		}
		if owner[token] == "" {
			owner[token] = latest
		}
		return owner[token]
	}
	private, public := webKey(t, "first")
	r.put("okta.jwk", private)
	_, err := r.org.AddClient(simokta.NewClient{
		ClientID: clientID, ClientKey: simokta.ClientKey{JWK: []byte(public)}, DPoP: true, Roles: []string{"READ_ONLY_ADMIN"},
		Scopes: []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.apps.read"},
	})
	r.must(err)
	r.replace = func() {
		private, public := webKey(t, "second")
		_, err := r.org.AddClientKey(clientID, simokta.ClientKey{JWK: []byte(public)})
		r.must(err)
		r.put("okta.jwk", private)
	}
	r.retire = func() {
		_, err := r.org.RemoveClientKey(clientID, "first")
		r.must(err)
	}
	return r
}

// webKey makes a key as a JSON Web Key (RFC 7517).
func webKey(t *testing.T, id string) (private, public string) {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := made.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	point := key.PublicKey().Bytes()[1:]
	public = fmt.Sprintf(`{"kty": "EC", "crv": "P-256", "kid": %q, "x": %q, "y": %q`, id, text(point[:32]), text(point[32:]))
	return fmt.Sprintf(`%s, "d": %q}`, public, text(key.Bytes())), public + "}"
}

// roleRotation works as a role, whose credentials last 15 seconds.
func roleRotation(t *testing.T) *rotation {
	w := newWorld(t, setup{away: true})
	r := &rotation{world: w, witness: &witness{service: w.instance, status: http.StatusForbidden, who: func(r *http.Request, _ []byte) string {
		for who, key := range roleKeys {
			if strings.Contains(r.Header.Get("Authorization"), "Credential="+key+"/") {
				return who
			}
		}
		return ""
	}}}
	server, _, err := serveLoopback(t.Context(), w.connect, r.witness)
	w.must(err)
	t.Cleanup(func() { _ = server.Close() })
	var mu sync.Mutex
	gives := "first"
	sts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(rw, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
			<AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token</SessionToken><Expiration>%s</Expiration>
			</Credentials></AssumeRoleResult></AssumeRoleResponse>`, roleKeys[gives], time.Now().Add(15*time.Second).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(sts.Close)
	r.env = []string{"AWS_ENDPOINT_URL_STS=" + sts.URL}
	r.replace = func() {
		mu.Lock()
		defer mu.Unlock()
		gives = "second"
	}
	data, err := os.ReadFile(w.file())
	w.must(err)
	text := strings.Replace(string(data), "region: eu-central-1,", `region: eu-central-1, role_arn: "arn:aws:iam::123456789012:role/connectroster",`, 1)
	w.must(os.WriteFile(w.file(), []byte(text), 0o600))
	return r
}

// roleKeys are the ids of the keys that a role is given.
var roleKeys = map[string]string{"first": "ASIAFIRSTOFTHEROLE00", "second": "ASIASECONDOFTHEROLE0"}
