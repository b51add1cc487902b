package okta_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

var b64 = base64.RawURLEncoding

// clock is a hand that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) step(d time.Duration) { c.mu.Lock(); c.at = c.at.Add(d); c.mu.Unlock() }

func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return key
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// sign makes a compact JWS. The test's own hand, apart from the simulator's.
func sign(t *testing.T, key crypto.Signer, header, claims object) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		must(t, err)
		return b64.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	alg := header["alg"].(string)
	hash := hashes[alg[2:]]
	if hash == 0 {
		hash = crypto.SHA256
	}
	h := hash.New()
	h.Write([]byte(text))
	sum := h.Sum(nil)
	var sig []byte
	switch key := key.(type) {
	case *rsa.PrivateKey:
		var err error
		sig, err = rsa.SignPKCS1v15(rand.Reader, key, hash, sum)
		must(t, err)
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum)
		must(t, err)
		half := (key.Params().BitSize + 7) / 8
		sig = append(r.FillBytes(make([]byte, half)), s.FillBytes(make([]byte, half))...)
	}
	return text + "." + b64.EncodeToString(sig)
}

func (w *world) form(form url.Values, header http.Header) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/oauth2/v1/token", strings.NewReader(form.Encode()))
	must(w.t, err)
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(req)
}

func (w *world) send(req *http.Request) answer {
	w.t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(w.t, err)
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		w.t.Fatalf("%s %s: %d is not JSON: %v", req.Method, req.URL, resp.StatusCode, err)
	}
	return a
}

// app is an API client with its keys.
type app struct {
	w          *world
	id, kid    string
	key, proof crypto.Signer
	alg        string
	now        func() time.Time
	jti        int
}

func (a *app) claims() object {
	a.jti++
	return object{"iss": a.id, "sub": a.id, "aud": a.w.url + "/oauth2/v1/token", "iat": a.now().Unix(), "exp": a.now().Add(5 * time.Minute).Unix(),
		"jti": fmt.Sprint("a", a.jti)}
}

func (a *app) ask(claims object, scope string, header http.Header) answer {
	a.w.t.Helper()
	h := object{"alg": a.alg}
	if a.kid != "" {
		h["kid"] = a.kid
	}
	return a.w.form(url.Values{"grant_type": {"client_credentials"}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {sign(a.w.t, a.key, h, claims)}}, header)
}

func (a *app) token(scope string) string {
	a.w.t.Helper()
	got := a.ask(a.claims(), scope, nil)
	if got.status != 200 || got.obj()["token_type"] != "Bearer" || got.obj()["expires_in"] != 3600.0 || got.obj()["scope"] != scope {
		a.w.t.Fatalf("token: %d %v", got.status, got.body)
	}
	return got.obj()["access_token"].(string)
}

// register adds a client whose key the org knows by its PEM.
func (w *world) register(key crypto.Signer, alg string, n okta.NewClient, now func() time.Time) *app {
	w.t.Helper()
	n.PEM = publicPEM(w.t, key)
	c, err := w.AddClient(n)
	must(w.t, err)
	return &app{w: w, id: c.ClientID, kid: c.Keys[0], key: key, alg: alg, now: now}
}

var superAdmin = []string{"SUPER_ADMIN"}

func TestTokenForEveryAlgorithm(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(),
		"ES256": ecKey(t, elliptic.P256()), "ES384": ecKey(t, elliptic.P384()), "ES512": ecKey(t, elliptic.P521()),
	} {
		a := w.register(key, alg, okta.NewClient{Scopes: []string{"okta.users.read"}, Roles: superAdmin}, time.Now)
		if got := w.as("Bearer "+a.token("okta.users.read"), "GET", "/api/v1/users", nil); got.status != 200 {
			t.Errorf("%s: %d %v", alg, got.status, got.body)
		}
		other := *a
		other.key = key
		if key == crypto.Signer(rsaKey()) {
			continue
		}
		other.alg = map[string]string{"ES256": "ES384", "ES384": "ES512", "ES512": "ES256"}[alg]
		if got := other.ask(other.claims(), "okta.users.read", nil); got.status != 401 {
			t.Errorf("%s said to be %s: %d", alg, other.alg, got.status)
		}
	}
}

func TestTokenByJWK(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	key := ecKey(t, elliptic.P256())
	point, err := key.PublicKey.Bytes()
	must(t, err)
	public := object{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:]), "kid": "k1"}
	c := w.want(200, "POST", "/_sim/clients", object{"clientId": "0oaclient", "jwk": public, "scopes": []string{"okta.groups.read"}, "roles": superAdmin}).obj()
	if diff := cmp.Diff(object{"clientId": "0oaclient", "keys": []any{"k1"}, "scopes": []any{"okta.groups.read"}, "dpop": false, "roles": []any{"SUPER_ADMIN"}}, c); diff != "" {
		t.Error(diff)
	}
	a := &app{w: w, id: "0oaclient", kid: "k1", key: key, alg: "ES256", now: time.Now}
	a.token("okta.groups.read")

	private := maps.Clone(public)
	private["d"] = b64.EncodeToString(make([]byte, 32))
	off := maps.Clone(public)
	off["y"] = public["x"]
	for name, body := range map[string]object{
		"private key":    {"jwk": private, "scopes": []string{}},
		"off the curve":  {"jwk": off},
		"no key":         {"scopes": []string{"okta.groups.read"}},
		"both":           {"jwk": public, "pem": publicPEM(t, key)},
		"unknown scope":  {"jwk": public, "scopes": []string{"okta.cars.read"}},
		"unknown role":   {"jwk": public, "roles": []string{"KING"}},
		"second of them": {"clientId": "0oaclient", "jwk": public},
		"private PEM":    {"pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
	} {
		if got := w.do("POST", "/_sim/clients", body); got.status != 400 {
			t.Errorf("%s: %d %v", name, got.status, got.body)
		}
	}

	// A second key, then the first goes: a rotation.
	next := ecKey(t, elliptic.P256())
	w.want(200, "POST", "/_sim/clients/0oaclient/keys", object{"kid": "k2", "pem": publicPEM(t, next)})
	b := &app{w: w, id: "0oaclient", kid: "k2", key: next, alg: "ES256", now: time.Now, jti: 100}
	b.token("okta.groups.read")
	a.token("okta.groups.read")
	w.want(200, "DELETE", "/_sim/clients/0oaclient/keys/k1", nil)
	if got := a.ask(a.claims(), "okta.groups.read", nil); got.status != 401 {
		t.Errorf("by a retired key: %d", got.status)
	}
	b.kid = ""
	b.token("okta.groups.read") // one key is left, so its name may be left out
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now})
	key := ecKey(t, elliptic.P256())
	a := w.register(key, "ES256", okta.NewClient{Scopes: []string{"okta.users.read"}, Roles: superAdmin}, c.now)
	denied := func(name string, got answer, status int, code string) {
		t.Helper()
		if got.status != status || got.obj()["error"] != code || got.obj()["error_description"] == "" || len(got.obj()) != 2 {
			t.Errorf("%s: %d %v, want %d %s", name, got.status, got.body, status, code)
		}
	}
	for name, change := range map[string]object{
		"wrong audience":     {"aud": w.url + "/oauth2/default/v1/token"},
		"two audiences":      {"aud": []string{w.url + "/oauth2/v1/token", "https://elsewhere.example"}},
		"another issuer":     {"iss": "0oaelse"},
		"unknown client":     {"iss": "0oaelse", "sub": "0oaelse"},
		"expired":            {"exp": c.now().Unix()},
		"no end":             {"exp": nil},
		"too long":           {"exp": c.now().Add(61 * time.Minute).Unix()},
		"from the future":    {"iat": c.now().Add(10 * time.Minute).Unix()},
		"not yet to be used": {"nbf": c.now().Add(10 * time.Minute).Unix()},
	} {
		claims := a.claims()
		maps.Copy(claims, change)
		denied(name, a.ask(claims, "okta.users.read", nil), 401, "invalid_client")
	}
	forged := *a
	forged.key = ecKey(t, elliptic.P256())
	denied("another key", forged.ask(a.claims(), "okta.users.read", nil), 401, "invalid_client")
	misnamed := *a
	misnamed.kid = "other"
	denied("unknown kid", misnamed.ask(a.claims(), "okta.users.read", nil), 401, "invalid_client")
	none := *a
	none.alg = "none"
	denied("alg none", none.ask(a.claims(), "okta.users.read", nil), 401, "invalid_client")

	claims := a.claims()
	if got := a.ask(claims, "okta.users.read", nil); got.status != 200 {
		t.Fatalf("%d %v", got.status, got.body)
	}
	denied("replay", a.ask(claims, "okta.users.read", nil), 401, "invalid_client")
	denied("ungranted scope", a.ask(a.claims(), "okta.users.read okta.logs.read", nil), 400, "invalid_scope")
	denied("no scope", a.ask(a.claims(), "", nil), 400, "invalid_scope")
	denied("password grant", w.form(url.Values{"grant_type": {"password"}}, nil), 400, "unsupported_grant_type")
	denied("no assertion", w.form(url.Values{"grant_type": {"client_credentials"}}, nil), 401, "invalid_client")
	denied("repeated", w.form(url.Values{"grant_type": {"client_credentials", "client_credentials"}}, nil), 400, "invalid_request")
	noJTI := a.claims()
	delete(noJTI, "jti")
	for range 2 {
		if got := a.ask(noJTI, "okta.users.read", nil); got.status != 200 {
			t.Errorf("jti is optional: %d %v", got.status, got.body)
		}
	}
	if got := w.do("GET", "/oauth2/v1/token", nil); got.status != 401 && got.status != 405 {
		t.Errorf("GET: %d", got.status)
	}
}

func TestTokensScopesAndTheirEnd(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now})
	a := w.register(ecKey(t, elliptic.P256()), "ES256", okta.NewClient{Scopes: []string{"okta.users.read", "okta.groups.manage", "okta.eventHooks.read"}, Roles: superAdmin}, c.now)
	token := a.token("okta.users.read okta.groups.manage")
	g := w.group("Agents")
	for call, want := range map[string]int{
		"GET /api/v1/users": 200, "GET /api/v1/users/" + w.user("ana.silva@example.com").ID + "/groups": 200,
		"GET /api/v1/groups": 403, "DELETE /api/v1/groups/" + g.ID: 204,
		"GET /api/v1/eventHooks": 403, "GET /api/v1/logs": 403, "GET /api/v1/org": 403, "GET /api/v1/apps": 403,
		"GET /api/v1/meta/schemas/user/default": 403, "POST /api/v1/groups/rules": 400, // the scope is there, the body is not
	} {
		method, path, _ := strings.Cut(call, " ")
		var body any
		if method == "POST" {
			body = object{}
		}
		got := w.as("Bearer "+token, method, path, body)
		if got.status != want {
			t.Errorf("%s: %d %v, want %d", call, got.status, got.body, want)
		}
		if want == 403 && (got.code() != "E0000006" || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_scope"`)) {
			t.Errorf("%s: %v %q", call, got.body, got.header.Get("WWW-Authenticate"))
		}
	}
	for _, auth := range []string{"SSWS " + token, "DPoP " + token, "Bearer x" + token, "Bearer ", "Bearer dev-token"} {
		if got := w.as(auth, "GET", "/api/v1/users", nil); got.status != 401 || got.code() != "E0000011" {
			t.Errorf("%.8s: %d %v", auth, got.status, got.body)
		}
	}
	c.step(time.Hour - time.Second)
	if got := w.as("Bearer "+token, "GET", "/api/v1/users", nil); got.status != 200 {
		t.Errorf("in its last second: %d", got.status)
	}
	c.step(time.Second)
	if got := w.as("Bearer "+token, "GET", "/api/v1/users", nil); got.status != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("after an hour: %d %q", got.status, got.header.Get("WWW-Authenticate"))
	}
	token = a.token("okta.users.read")
	w.want(200, "DELETE", "/_sim/clients/"+a.id+"/tokens", nil)
	if got := w.as("Bearer "+token, "GET", "/api/v1/users", nil); got.status != 401 {
		t.Errorf("revoked: %d", got.status)
	}
	token = a.token("okta.users.read")
	w.want(200, "DELETE", "/_sim/clients/"+a.id, nil)
	if got := w.as("Bearer "+token, "GET", "/api/v1/users", nil); got.status != 401 {
		t.Errorf("of a deleted client: %d", got.status)
	}
	if got := a.ask(a.claims(), "okta.users.read", nil); got.status != 401 {
		t.Errorf("a deleted client gets a token: %d", got.status)
	}
}

func TestMissingRolesLookLikeAnEmptyOrg(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	u, g := w.user("ana.silva@example.com"), w.group("Agents")
	must(t, w.Join(u.ID, g.ID))
	scopes := []string{"okta.users.read", "okta.groups.read", "okta.logs.read", "okta.eventHooks.manage", "okta.groups.manage", "okta.orgs.read"}
	a := w.register(ecKey(t, elliptic.P256()), "ES256", okta.NewClient{Scopes: scopes}, time.Now)
	token := a.token(strings.Join(scopes, " "))
	get := func(path string) answer { t.Helper(); return w.as("Bearer "+token, "GET", path, nil) }
	sees := func(when string, rows int, single int) {
		t.Helper()
		for _, path := range []string{"/api/v1/users", "/api/v1/groups/" + g.ID + "/users", "/api/v1/logs"} {
			if got := get(path); got.status != 200 || (len(got.list()) > 0) != (rows > 0) {
				t.Errorf("%s, %s: %d, %d rows", when, path, got.status, len(got.list()))
			}
		}
		if got := get("/api/v1/users/" + u.ID); got.status != single {
			t.Errorf("%s, a user: %d", when, got.status)
		}
	}
	sees("without a role", 0, 404)
	if got := get("/api/v1/logs"); got.link("next") == "" {
		t.Error("without a role the log still has a next link")
	}
	if got := w.as("Bearer "+token, "DELETE", "/api/v1/groups/"+g.ID, nil); got.status != 403 || got.code() != "E0000006" {
		t.Errorf("a write: %d %v", got.status, got.body)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.MissingRoleForbids = true }))
	if got := get("/api/v1/users"); got.status != 403 || got.code() != "E0000006" {
		t.Errorf("where it forbids: %d %v", got.status, got.body)
	}
	must(t, w.Configure(func(s *okta.Settings) { s.MissingRoleForbids = false }))

	w.want(200, "PATCH", "/_sim/clients/"+a.id, object{"roles": []string{"READ_ONLY_ADMIN"}})
	sees("a read-only admin", 1, 200)
	if got := w.as("Bearer "+token, "DELETE", "/api/v1/groups/"+g.ID, nil); got.status != 403 {
		t.Errorf("a read-only admin deletes: %d", got.status)
	}
	hook := object{"name": "n", "events": object{"type": "EVENT_TYPE", "items": memberships},
		"channel": object{"type": "HTTP", "version": "1.0.0", "config": object{"uri": "https://hooks.example.com/", "headers": []any{}}}}
	for _, tc := range []struct {
		roles []string
		want  int
	}{{[]string{"ORG_ADMIN"}, 403}, {[]string{"ORG_ADMIN", "okta.eventhooks.manage"}, 200}, {[]string{"okta.eventhooks.read"}, 403}} {
		w.want(200, "PATCH", "/_sim/clients/"+a.id, object{"roles": tc.roles})
		if got := w.as("Bearer "+token, "POST", "/api/v1/eventHooks", hook); got.status != tc.want {
			t.Errorf("%v creates a hook: %d %v", tc.roles, got.status, got.body)
		}
	}

	w.want(200, "POST", "/_sim/token-roles", object{"token": "dev-token", "roles": []string{}})
	if got := w.do("GET", "/api/v1/users", nil); got.status != 200 || len(got.list()) != 0 {
		t.Errorf("an API token whose admin lost the role: %d %v", got.status, got.body)
	}
	if got := w.do("POST", "/_sim/token-roles", object{"token": "nobody's"}); got.status != 404 {
		t.Errorf("roles for an unknown token: %d", got.status)
	}
}

func TestClientsOfTheConfigSurviveAReset(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	w := open(t, okta.Config{Clients: []okta.NewClient{{ClientID: "0oaconfig", ClientKey: okta.ClientKey{KID: "k", PEM: publicPEM(t, key)},
		Scopes: []string{"okta.users.read"}, Roles: superAdmin}}})
	a := &app{w: w, id: "0oaconfig", kid: "k", key: key, alg: "ES256", now: time.Now}
	token := a.token("okta.users.read")
	must(t, w.Reset(t.Context()))
	if got := w.as("Bearer "+token, "GET", "/api/v1/users", nil); got.status != 401 {
		t.Errorf("a token outlives the reset: %d", got.status)
	}
	a.token("okta.users.read")
	if _, err := okta.New(okta.Config{Clients: []okta.NewClient{{}}}); err == nil {
		t.Error("a client without a key")
	}
}
