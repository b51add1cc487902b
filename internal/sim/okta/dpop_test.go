package okta_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectroster/internal/sim/okta"
)

// prove makes a proof for a request; extra claims win, nil removes one.
func (a *app) prove(method, target string, extra object) string {
	a.w.t.Helper()
	a.jti++
	claims := object{"htm": method, "htu": target, "iat": a.now().Unix(), "jti": fmt.Sprint("p", a.jti)}
	maps.Copy(claims, extra)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	point, err := a.proof.(*ecdsa.PrivateKey).PublicKey.Bytes()
	must(a.w.t, err)
	return sign(a.w.t, a.proof, object{"typ": "dpop+jwt", "alg": "ES256",
		"jwk": object{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:])}}, claims)
}

func dpop(proof string) http.Header { return http.Header{"Dpop": {proof}} }

func TestDPoP(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := open(t, okta.Config{Now: c.now})
	a := w.register(ecKey(t, elliptic.P256()), "ES256", okta.NewClient{Scopes: []string{"okta.users.read"}, Roles: superAdmin, DPoP: true}, c.now)
	a.proof = ecKey(t, elliptic.P256())
	at := w.url + "/oauth2/v1/token"
	ask := func(header http.Header) answer { t.Helper(); return a.ask(a.claims(), "okta.users.read", header) }
	denied := func(name string, got answer, code string) {
		t.Helper()
		if got.status != 400 || got.obj()["error"] != code {
			t.Errorf("%s: %d %v, want %s", name, got.status, got.body, code)
		}
	}
	denied("no proof", ask(nil), "invalid_dpop_proof")
	first := ask(dpop(a.prove("POST", at, object{"jti": nil})))
	denied("no nonce", first, "use_dpop_nonce")
	nonce := first.header.Get("DPoP-Nonce")
	if nonce == "" {
		t.Fatal("no nonce given")
	}
	denied("wrong nonce", ask(dpop(a.prove("POST", at, object{"nonce": nonce + "x"}))), "use_dpop_nonce")
	denied("no jti", ask(dpop(a.prove("POST", at, object{"nonce": nonce, "jti": nil}))), "invalid_dpop_proof")
	proof := a.prove("POST", at, object{"nonce": nonce})
	good := ask(dpop(proof))
	if good.status != 200 || good.obj()["token_type"] != "DPoP" {
		t.Fatalf("%d %v", good.status, good.body)
	}
	denied("replayed proof", ask(dpop(proof)), "invalid_dpop_proof")
	for name, extra := range map[string]object{
		"wrong method": {"htm": "GET"}, "wrong URL": {"htu": w.url + "/oauth2/v1/authorize"}, "other host": {"htu": "https://evil.example/oauth2/v1/token"},
		"old": {"iat": c.now().Add(-time.Hour).Unix()}, "early": {"iat": c.now().Add(time.Hour).Unix()}, "no time": {"iat": nil},
	} {
		extra["nonce"] = nonce
		denied(name, ask(dpop(a.prove("POST", at, extra))), "invalid_dpop_proof")
	}
	tampered := []byte(a.prove("POST", at, object{"nonce": nonce}))
	tampered[len(tampered)-5] ^= 1
	denied("bad signature", ask(dpop(string(tampered))), "invalid_dpop_proof")

	token := good.obj()["access_token"].(string)
	call := func(scheme string, header http.Header) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/users?limit=2", nil)
		must(t, err)
		maps.Copy(req.Header, header)
		req.Header.Set("Authorization", scheme+" "+token)
		return w.send(req)
	}
	sum := sha256.Sum256([]byte(token))
	ath, users := b64.EncodeToString(sum[:]), w.url+"/api/v1/users"
	proof = a.prove("GET", users, object{"ath": ath})
	if got := call("DPoP", dpop(proof)); got.status != 200 {
		t.Fatalf("%d %v", got.status, got.body)
	}
	stranger := *a
	stranger.proof = ecKey(t, elliptic.P256())
	for name, got := range map[string]answer{
		"as a bearer": call("Bearer", nil), "as a bearer with proof": call("Bearer", dpop(a.prove("GET", users, object{"ath": ath}))),
		"no proof": call("DPoP", nil), "replay": call("DPoP", dpop(proof)),
		"no ath":    call("DPoP", dpop(a.prove("GET", users, nil))),
		"wrong ath": call("DPoP", dpop(a.prove("GET", users, object{"ath": ath[:10]}))),
		"other URL": call("DPoP", dpop(a.prove("GET", w.url+"/api/v1/groups", object{"ath": ath}))),
		"other key": call("DPoP", dpop(stranger.prove("GET", users, object{"ath": ath}))),
		"no jti":    call("DPoP", dpop(a.prove("GET", users, object{"ath": ath, "jti": nil}))),
	} {
		if got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "DPoP ") {
			t.Errorf("%s: %d %q", name, got.status, got.header.Get("WWW-Authenticate"))
		}
	}

	// The nonce of yesterday works for three days more; a rotated one does not.
	c.step(25 * time.Hour)
	if got := ask(dpop(a.prove("POST", at, object{"nonce": nonce}))); got.status != 200 {
		t.Errorf("yesterday's nonce: %d %v", got.status, got.body)
	}
	again := ask(dpop(a.prove("POST", at, nil)))
	if next := again.header.Get("DPoP-Nonce"); next == nonce || next == "" {
		t.Errorf("after a day the nonce is %q, it was %q", next, nonce)
	}
	c.step(3 * 24 * time.Hour)
	denied("an old nonce", ask(dpop(a.prove("POST", at, object{"nonce": nonce}))), "use_dpop_nonce")
	nonce = ask(dpop(a.prove("POST", at, nil))).header.Get("DPoP-Nonce")
	w.want(200, "POST", "/_sim/rotate-nonce", nil)
	denied("a rotated nonce", ask(dpop(a.prove("POST", at, object{"nonce": nonce}))), "use_dpop_nonce")

	// A client that need not prove anything gets a bearer token all the same.
	plain := w.register(ecKey(t, elliptic.P256()), "ES256", okta.NewClient{Scopes: []string{"okta.users.read"}, Roles: superAdmin}, c.now)
	if got := plain.ask(plain.claims(), "okta.users.read", dpop("nonsense")); got.status != 200 || got.obj()["token_type"] != "Bearer" {
		t.Errorf("a proof nobody asked for: %d %v", got.status, got.body)
	}
}
