package okta_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

const apiClientID = "0oaServiceAppCanary0"

// apiKeys are private keys of all kinds, made once.
var apiKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	keys["RSA"], _ = rsa.GenerateKey(rand.Reader, 2048)
	keys["P-256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keys["P-384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	keys["P-521"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	return keys
})

func pkcs8(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

func sec1(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	b, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: b})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf writes a private key as a JSON Web Key. Source: RFC 7518, section 6.
func jwkOf(key crypto.Signer, alg, kid string) []byte {
	jwk := obj{"kid": kid}
	if alg != "" {
		jwk["alg"] = alg
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
		jwk["d"], jwk["p"], jwk["q"] = b64(k.D.Bytes()), b64(k.Primes[0].Bytes()), b64(k.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		size := (k.Params().BitSize + 7) / 8
		point, _ := k.PublicKey.Bytes()
		d, _ := k.Bytes()
		jwk["kty"], jwk["crv"] = "EC", k.Params().Name
		jwk["x"], jwk["y"], jwk["d"] = b64(point[1:1+size]), b64(point[1+size:]), b64(d)
	}
	b, _ := json.Marshal(jwk)
	return b
}

// jws is a JSON Web Signature, taken apart by hand.
type jws struct {
	header, claims obj
	signed         string
	signature      []byte
}

func parseJWS(s string) (jws, error) {
	var out jws
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return out, fmt.Errorf("%d parts", len(parts))
	}
	for i, into := range []*obj{&out.header, &out.claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			return out, err
		}
	}
	var err error
	out.signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	out.signed = parts[0] + "." + parts[1]
	return out, err
}

// verify checks the signature with the standard library alone. Source: RFC 7518,
// section 3.
func (j jws) verify(key crypto.PublicKey) error {
	alg, _ := j.header["alg"].(string)
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	if len(alg) != 5 || hashes[alg[2:]] == 0 {
		return fmt.Errorf("algorithm %q", alg)
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write([]byte(j.signed))
	sum := h.Sum(nil)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if alg[:2] != "RS" {
			return fmt.Errorf("algorithm %q", alg)
		}
		return rsa.VerifyPKCS1v15(k, hash, sum, j.signature)
	case *ecdsa.PublicKey:
		half := len(j.signature) / 2
		r, s := new(big.Int).SetBytes(j.signature[:half]), new(big.Int).SetBytes(j.signature[half:])
		if alg[:2] != "ES" || half != (k.Params().BitSize+7)/8 || !ecdsa.Verify(k, sum, r, s) {
			return errors.New("signature")
		}
		return nil
	}
	return errors.New("key")
}

// tokenServer is an org that demands access tokens, and judges what it is sent
// by the standards alone.
type tokenServer struct {
	t      *testing.T
	server *httptest.Server
	clock  *apiClock // the org's own
	key    crypto.PublicKey
	alg    string
	kid    string
	dpop   bool
	fail   func(w http.ResponseWriter) bool // answers a token call; nil: none is spoilt

	mu      sync.Mutex
	nonce   int
	issued  int
	exact   int             // token calls
	valid   map[string]bool // tokens
	used    map[string]bool // jti
	bound   string          // thumbprint that tokens are bound to
	faults  []string
	refused int // API calls answered 401
}

func newTokenServer(t *testing.T, key crypto.Signer) *tokenServer {
	t.Helper()
	s := &tokenServer{t: t, clock: newAPIClock(), key: key.Public(), valid: map[string]bool{}, used: map[string]bool{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *tokenServer) client(key []byte, change func(*okta.ClientConfig)) *okta.Client {
	s.t.Helper()
	return newAPIClient(s.t, s.server.URL, func(c *okta.ClientConfig) {
		c.Token, c.ClientID, c.PrivateKey, c.KeyID = "", apiClientID, key, s.kid
		c.Now, c.Wait = s.clock.now, s.clock.wait
		if change != nil {
			change(c)
		}
	})
}

func (s *tokenServer) blame(format string, args ...any) string {
	fault := fmt.Sprintf(format, args...)
	s.faults = append(s.faults, fault)
	return fault
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", s.clock.now().Format(http.TimeFormat))
	if r.URL.Path == "/oauth2/v1/token" {
		s.exact++
		if s.fail != nil && s.fail(w) {
			return
		}
		s.issue(w, r)
		return
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !s.valid[token] {
		s.refused++
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errorCode":"E0000011"}`)
		return
	}
	if s.dpop {
		sum := sha256.Sum256([]byte(token))
		if fault := s.judgeProof(r, b64(sum[:]), ""); fault != "" || kind != "DPoP" {
			s.blame("%s token, proof: %s", kind, fault)
		}
	} else if kind != "Bearer" {
		s.blame("a %s token", kind)
	}
	oneGroup(w)
}

func (s *tokenServer) issue(w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":%q,"error_description":"canary-description"}`, code)
	}
	if fault := s.judgeAssertion(r); fault != "" {
		s.blame("assertion: %s", fault)
		refuse("invalid_client")
		return
	}
	kind := "Bearer"
	if s.dpop {
		kind = "DPoP"
		if r.Header.Get("DPoP") == "" {
			refuse("invalid_dpop_proof")
			return
		}
		nonce := fmt.Sprintf("nonce-%d", s.nonce)
		proof, err := parseJWS(r.Header.Get("DPoP"))
		if err != nil || proof.claims["nonce"] != nonce {
			w.Header().Set("DPoP-Nonce", nonce)
			refuse("use_dpop_nonce")
			return
		}
		if fault := s.judgeProof(r, "", nonce); fault != "" {
			s.blame("proof at the token endpoint: %s", fault)
			refuse("invalid_dpop_proof")
			return
		}
	}
	s.issued++
	token := fmt.Sprintf("canary-access-token-%d", s.issued)
	s.valid[token] = true
	fmt.Fprintf(w, `{"token_type":%q,"expires_in":3600,"access_token":%q,"scope":"x"}`, kind, token)
}

func (s *tokenServer) judgeAssertion(r *http.Request) string {
	form := r.PostFormValue
	j, err := parseJWS(form("client_assertion"))
	now := float64(s.clock.now().Unix())
	expiry, _ := j.claims["exp"].(float64)
	issued, _ := j.claims["iat"].(float64)
	jti, _ := j.claims["jti"].(string)
	switch {
	case err != nil:
		return err.Error()
	case j.verify(s.key) != nil:
		return j.verify(s.key).Error()
	case s.alg != "" && j.header["alg"] != s.alg:
		return fmt.Sprint("algorithm ", j.header["alg"])
	case s.kid != "" && j.header["kid"] != s.kid:
		return fmt.Sprint("kid ", j.header["kid"])
	case form("grant_type") != "client_credentials", form("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		return "grant"
	case form("scope") != "okta.users.read okta.groups.read okta.apps.read okta.logs.read":
		return "scope " + form("scope")
	case j.claims["iss"] != apiClientID, j.claims["sub"] != apiClientID, j.claims["aud"] != s.server.URL+"/oauth2/v1/token":
		return fmt.Sprint("claims ", j.claims)
	case expiry <= now, expiry > now+3600, issued > now+60, expiry-issued != 300:
		return "expired, or from the future"
	case len(jti) < 16, s.used[jti]:
		return "jti " + jti
	}
	s.used[jti] = true
	return ""
}

// judgeProof checks a DPoP proof. Source: RFC 9449, section 4.3.
func (s *tokenServer) judgeProof(r *http.Request, ath, nonce string) string {
	j, err := parseJWS(r.Header.Get("DPoP"))
	if err != nil {
		return err.Error()
	}
	jwk, _ := j.header["jwk"].(obj)
	x, errX := base64.RawURLEncoding.DecodeString(fmt.Sprint(jwk["x"]))
	y, errY := base64.RawURLEncoding.DecodeString(fmt.Sprint(jwk["y"]))
	if errX != nil || errY != nil || jwk["d"] != nil || jwk["crv"] != "P-256" {
		return "jwk"
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return err.Error()
	}
	thumb := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, jwk["x"], jwk["y"]))
	if s.bound == "" {
		s.bound = b64(thumb[:])
	}
	issued, _ := j.claims["iat"].(float64)
	jti, _ := j.claims["jti"].(string)
	away := s.clock.now().Unix() - int64(issued)
	text := func(name string) string { v, _ := j.claims[name].(string); return v }
	switch {
	case j.header["typ"] != "dpop+jwt":
		return "typ"
	case j.verify(key) != nil:
		return "signature"
	case s.bound != b64(thumb[:]):
		return "another key"
	case text("htm") != r.Method, text("htu") != "http://"+r.Host+r.URL.Path:
		return "htm or htu " + text("htu")
	case text("ath") != ath, text("nonce") != nonce:
		return "ath or nonce"
	case away < -60 || away > 60:
		return "iat"
	case len(jti) < 16, s.used[jti]:
		return "jti " + jti
	}
	s.used[jti] = true
	return ""
}

// expect reads once and wants no fault.
func (s *tokenServer) expect(d *okta.Directory, issued int) {
	s.t.Helper()
	if _, err := d.Groups(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) > 0 || s.issued != issued {
		s.t.Errorf("%d tokens, faults %q", s.issued, s.faults)
	}
}

// Every kind of key signs in, with the algorithm that fits it.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	keys := apiKeys()
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(keys["RSA"].(*rsa.PrivateKey))})
	for name, c := range map[string]struct {
		key      string
		material []byte
		alg, kid string
	}{
		"PKCS 1":              {"RSA", pkcs1, "RS256", ""},
		"PKCS 8 RSA":          {"RSA", pkcs8(t, keys["RSA"]), "RS256", "kid-of-config"},
		"PKCS 8 P-256":        {"P-256", pkcs8(t, keys["P-256"]), "ES256", "kid"},
		"SEC 1 P-256":         {"P-256", sec1(t, keys["P-256"]), "ES256", ""},
		"SEC 1 P-384":         {"P-384", sec1(t, keys["P-384"]), "ES384", ""},
		"SEC 1 P-521":         {"P-521", sec1(t, keys["P-521"]), "ES512", ""},
		"JWK RSA":             {"RSA", jwkOf(keys["RSA"], "", "of-jwk"), "RS256", ""},
		"JWK RSA with RS384":  {"RSA", jwkOf(keys["RSA"], "RS384", "of-jwk"), "RS384", ""},
		"JWK RSA with RS512":  {"RSA", jwkOf(keys["RSA"], "RS512", "of-jwk"), "RS512", "kid-of-config"},
		"JWK P-256":           {"P-256", jwkOf(keys["P-256"], "ES256", "of-jwk"), "ES256", ""},
		"JWK P-521":           {"P-521", jwkOf(keys["P-521"], "", "of-jwk"), "ES512", ""},
		"with space around":   {"P-256", append([]byte(" \n"), append(sec1(t, keys["P-256"]), " \n"...)...), "ES256", ""},
		"JWK P-384 and a kid": {"P-384", jwkOf(keys["P-384"], "", ""), "ES384", "kid-of-config"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTokenServer(t, keys[c.key])
			s.alg, s.kid = c.alg, c.kid
			client := s.client(c.material, nil)
			if s.kid == "" && strings.HasPrefix(name, "JWK") {
				s.kid = "of-jwk"
			}
			s.expect(newAPIDirectory(t, client, "", apiGroup), 1)
		})
	}
}

// Keys that cannot sign in are refused at once, in words that hold nothing of
// them.
func TestUnfitCredentials(t *testing.T) {
	t.Parallel()
	keys := apiKeys()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	public, _ := x509.MarshalPKIXPublicKey(keys["RSA"].Public())
	good := pkcs8(t, keys["P-256"])
	for name, change := range map[string]func(*okta.ClientConfig){
		"nothing":            func(*okta.ClientConfig) {},
		"both":               func(c *okta.ClientConfig) { c.Token, c.ClientID, c.PrivateKey = apiToken, apiClientID, good },
		"no key":             func(c *okta.ClientConfig) { c.ClientID = apiClientID },
		"no client id":       func(c *okta.ClientConfig) { c.PrivateKey = good },
		"client id of two":   func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = "canary two", good },
		"token of two lines": func(c *okta.ClientConfig) { c.Token = "canary\r\nX: y" },
		"token with a space": func(c *okta.ClientConfig) { c.Token = "SSWS canary" },
		"not PEM":            func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, []byte("canary") },
		"PEM of nonsense": func(c *okta.ClientConfig) {
			c.ClientID, c.PrivateKey = apiClientID, pemOf("PRIVATE KEY", []byte("canary"))
		},
		"encrypted PEM": func(c *okta.ClientConfig) {
			c.ClientID, c.PrivateKey = apiClientID, pemOf("ENCRYPTED PRIVATE KEY", []byte("canary"))
		},
		"public key":      func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, pemOf("PUBLIC KEY", public) },
		"weak RSA":        func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, pkcs8(t, weak) },
		"P-224":           func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, pkcs8(t, p224) },
		"JWK of nonsense": func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, []byte(`{"kty":"canary"}`) },
		"symmetric JWK": func(c *okta.ClientConfig) {
			c.ClientID, c.PrivateKey = apiClientID, []byte(`{"kty":"oct","k":"Y2FuYXJ5"}`)
		},
		"JWK with another alg": func(c *okta.ClientConfig) { c.ClientID, c.PrivateKey = apiClientID, jwkOf(keys["RSA"], "ES256", "") },
		"share over 1":         func(c *okta.ClientConfig) { c.Token, c.Share = apiToken, 1.1 },
		"negative share":       func(c *okta.ClientConfig) { c.Token, c.Share = apiToken, -1 },
		"negative timeout":     func(c *okta.ClientConfig) { c.Token, c.Timeout = apiToken, -1 },
		"version of two":       func(c *okta.ClientConfig) { c.Token, c.Version = apiToken, "1\r\n" },
		"no CA file":           func(c *okta.ClientConfig) { c.Token, c.CAFile = apiToken, "/nonexistent" },
	} {
		c := okta.ClientConfig{Org: "https://example.okta.com"}
		change(&c)
		client, err := okta.NewClient(c)
		if err == nil || client != nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), apiToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func pemOf(kind string, b []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
}

// A token is shared by everybody, replaced five minutes before its end, and once
// more when Okta refuses it.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t, apiKeys()["P-256"])
	d := newAPIDirectory(t, s.client(sec1(t, apiKeys()["P-256"]), nil), "", apiGroup)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := d.Groups(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.expect(d, 1)
	s.clock.move(54 * time.Minute)
	s.expect(d, 1)
	s.clock.move(2 * time.Minute)
	s.expect(d, 2)
	s.mu.Lock()
	clear(s.valid) // revoked before its time
	s.mu.Unlock()
	s.expect(d, 3)
	if s.refused != 1 || s.exact != 3 {
		t.Errorf("%d API calls refused, %d token calls", s.refused, s.exact)
	}
}

// A token that is refused although it is new means that the app is refused.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t, apiKeys()["P-256"])
	d := newAPIDirectory(t, s.client(sec1(t, apiKeys()["P-256"]), nil), "", apiGroup)
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth2/v1/token" {
			s.mu.Lock()
			clear(s.valid)
			s.mu.Unlock()
		}
		s.ServeHTTP(w, r)
	})
	_, err := d.Groups(t.Context())
	if wait, ok := reconcile.AsAfter(err); !ok || wait <= 0 || wait > 55*time.Second {
		t.Error(err)
	}
	if s.refused != 2 || s.issued != 2 {
		t.Errorf("%d API calls refused, %d tokens", s.refused, s.issued)
	}
}

// The token endpoint's own failures are parked or tried again like others, and
// never show what was sent.
func TestTokenFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		after  bool
		calls  int
	}{
		"invalid_client": {401, `{"error":"invalid_client","error_description":"canary"}`, true, 1},
		"invalid_scope":  {400, `{"error":"invalid_scope"}`, true, 1},
		"Okta's error":   {403, `{"errorCode":"E0000006"}`, true, 1},
		"server error":   {500, `canary`, false, 3},
		"login page":     {200, `<html>`, false, 1},
		"no token":       {200, `{"token_type":"Bearer"}`, false, 1},
		"odd token":      {200, `{"token_type":"Bearer","access_token":"canary\r\nX: y"}`, false, 1},
		"odd type":       {200, `{"token_type":"MAC","access_token":"canary"}`, false, 1},
		"DPoP unasked":   {200, `{"token_type":"DPoP","access_token":"canary"}`, false, 1},
		"endless nonces": {400, `{"error":"use_dpop_nonce"}`, true, 2},
		"endless proofs": {400, `{"error":"invalid_dpop_proof"}`, true, 2},
		"limit":          {429, `{"errorCode":"E0000047"}`, true, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logs
			s := newTokenServer(t, apiKeys()["P-256"])
			s.fail = func(w http.ResponseWriter) bool {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return true
			}
			client := s.client(sec1(t, apiKeys()["P-256"]), func(c *okta.ClientConfig) { c.Log = log.logger() })
			_, err := newAPIDirectory(t, client, "", apiGroup).Groups(t.Context())
			if _, ok := reconcile.AsAfter(err); err == nil || ok != c.after || s.exact != c.calls {
				t.Errorf("%d calls, %v", s.exact, err)
			}
			said := fmt.Sprint(err, log.lines())
			if strings.Contains(said, "canary") || strings.Contains(said, "eyJ") {
				t.Errorf("%s", said)
			}
		})
	}
}

// DPoP is used when it is asked for, and when the org demands it.
func TestDPoP(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprintf("asked %t", asked), func(t *testing.T) {
			t.Parallel()
			s := newTokenServer(t, apiKeys()["RSA"])
			s.dpop = true
			d := newAPIDirectory(t, s.client(pkcs8(t, apiKeys()["RSA"]), func(c *okta.ClientConfig) { c.DPoP = asked }), "", apiGroup)
			s.expect(d, 1)
			s.expect(d, 1)
			before := s.exact
			// The nonce is kept for the next token, and replaced when it is too old.
			s.clock.move(time.Hour)
			s.expect(d, 2)
			if s.exact != before+1 {
				t.Errorf("%d token calls with a known nonce", s.exact-before)
			}
			s.mu.Lock()
			s.nonce++
			s.mu.Unlock()
			s.clock.move(time.Hour)
			s.expect(d, 3)
			if s.exact != before+3 {
				t.Errorf("%d token calls with a new nonce", s.exact-before-1)
			}
		})
	}
}

// A clock that is wrong signs in all the same: the org tells the time.
func TestTokenClockSkew(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-time.Hour, time.Hour, -8760 * time.Hour} {
		for _, dpop := range []bool{false, true} {
			s := newTokenServer(t, apiKeys()["P-256"])
			s.dpop = dpop
			client := s.client(sec1(t, apiKeys()["P-256"]), func(c *okta.ClientConfig) {
				c.Now = func() time.Time { return s.clock.now().Add(skew) }
			})
			d := newAPIDirectory(t, client, "", apiGroup)
			if _, err := d.Groups(t.Context()); err != nil {
				t.Errorf("%s: %v", skew, err)
			}
			s.faults = nil // the first try was out of time
			s.expect(d, 1)
		}
	}
}
