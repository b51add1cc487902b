package okta

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-json-experiment/json"
	"golang.org/x/sync/singleflight"
)

// defaultScopes are those that reading people, groups, apps and the System Log
// takes.
var defaultScopes = []string{"okta.users.read", "okta.groups.read", "okta.apps.read", "okta.logs.read"}

// authorizer puts a credential on requests.
type authorizer interface {
	// sign does so, and gives the credential that it used.
	sign(ctx context.Context, r *http.Request) (credential string, err error)

	// renew is told that Okta refused a credential. It reports whether another
	// one will be used now.
	renew(credential string) bool
}

// newAuthorizer makes the authorizer that a configuration asks for. Its errors hold
// nothing of a credential.
func newAuthorizer(c *Client, config ClientConfig) (authorizer, error) {
	oauth := config.ClientID != "" || len(config.PrivateKey) > 0
	switch {
	case config.Token != "" && oauth:
		return nil, errors.New("both an API token and a client id are given; one is needed")
	case config.Token != "":
		if strings.ContainsFunc(config.Token, notVisible) {
			return nil, errors.New("the API token holds spaces or characters that no token has")
		}
		return apiToken(config.Token), nil
	case !oauth:
		return nil, errors.New("a credential is missing: an API token, or a client id with its private key")
	case config.ClientID == "" || strings.ContainsFunc(config.ClientID, notVisible):
		return nil, errors.New("the client id is missing or holds spaces")
	case len(config.PrivateKey) == 0:
		return nil, errors.New("the private key of the client id is missing")
	}
	return newServiceApp(c, config)
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// apiToken is the authorizer for API tokens. Source: Okta, API token management.
type apiToken string

func (t apiToken) sign(_ context.Context, r *http.Request) (string, error) {
	r.Header.Set("Authorization", "SSWS "+string(t))
	return string(t), nil
}

// renew is told of an older token if that was replaced while a call was under way.
func (t apiToken) renew(credential string) bool { return string(t) != credential }

// Times of access tokens. Source: Okta, Implement OAuth for Okta with a service
// app; a token lives for an hour.
const (
	assertionLife = 5 * time.Minute
	tokenMargin   = 5 * time.Minute // before its end, a token is replaced
	tokenLife     = time.Hour       // if the answer tells none
)

// serviceApp is the authorizer for API Services apps: private_key_jwt (RFC 7523)
// and, where the org demands it, DPoP (RFC 9449).
type serviceApp struct {
	client *Client
	token  *url.URL // the org's token endpoint
	scope  string
	signer jose.Signer
	flight singleflight.Group

	mu      sync.Mutex
	current accessToken
	proof   jose.Signer // with the key that tokens are bound to; nil: DPoP is off
	nonce   string      // that the token endpoint wants in a proof
}

type accessToken struct {
	value string
	kind  string // Bearer or DPoP
	until time.Time
}

func newServiceApp(c *Client, config ClientConfig) (*serviceApp, error) {
	signer, err := assertionSigner(config.PrivateKey, config.KeyID)
	if err != nil {
		return nil, err
	}
	scopes := config.Scopes
	if len(scopes) == 0 {
		scopes = defaultScopes
	}
	a := &serviceApp{client: c, token: c.org.JoinPath("oauth2", "v1", "token"), scope: strings.Join(scopes, " "), signer: signer}
	if config.DPoP {
		if a.proof, err = proofSigner(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *serviceApp) sign(ctx context.Context, r *http.Request) (string, error) {
	token, err := a.access(ctx)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", token.kind+" "+token.value)
	if token.kind == "DPoP" {
		proof, err := a.prove(r.Method, r.URL, token.value, "")
		if err != nil {
			return "", err
		}
		r.Header.Set("DPoP", proof)
	}
	return token.value, nil
}

func (a *serviceApp) renew(credential string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current.value == credential {
		a.current = accessToken{}
	}
	return true
}

// access gives a token that is good for some minutes yet. Callers who need one
// at the same time share one exchange, which outlives any of them.
func (a *serviceApp) access(ctx context.Context) (accessToken, error) {
	if t, ok := a.cached(); ok {
		return t, nil
	}
	shared := context.WithoutCancel(ctx)
	result := a.flight.DoChan("", func() (any, error) {
		if t, ok := a.cached(); ok {
			return t, nil
		}
		return a.fetch(shared)
	})
	select {
	case r := <-result:
		t, _ := r.Val.(accessToken)
		return t, r.Err
	case <-ctx.Done():
		return accessToken{}, context.Cause(ctx)
	}
}

func (a *serviceApp) cached() (accessToken, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := a.current.until.Sub(a.client.config.Now())
	return a.current, a.current.value != "" && left > 0 && left <= tokenLife
}

// fetch gets a token. The org may first ask for a nonce, for a proof at all, or
// for another time of day: each is answered once.
func (a *serviceApp) fetch(ctx context.Context) (accessToken, error) {
	var nonced, proven, timed bool
	for {
		ahead := a.client.clock.time().Sub(a.client.config.Now())
		token, err := a.exchange(ctx)
		var answer *APIError
		if !errors.As(err, &answer) {
			return token, err
		}
		drift := a.client.clock.time().Sub(a.client.config.Now()) - ahead
		switch {
		case answer.Code == "use_dpop_nonce" && !nonced:
			nonced = true
			err = a.demandProof()
		case answer.Code == "invalid_dpop_proof" && !proven && !a.proves():
			proven = true
			err = a.demandProof()
		case drift.Abs() > time.Minute && answer.Status < 429 && !timed:
			timed = true
			err = nil
		case answer.Status == http.StatusBadRequest, answer.Status == http.StatusUnauthorized, answer.Status == http.StatusForbidden:
			return accessToken{}, &deniedError{err}
		}
		if err != nil {
			return accessToken{}, err
		}
	}
}

// demandProof turns DPoP on.
func (a *serviceApp) demandProof() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.proof != nil {
		return nil
	}
	var err error
	a.proof, err = proofSigner()
	return err
}

func (a *serviceApp) proves() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proof != nil
}

// exchange asks for a token once, and keeps it.
func (a *serviceApp) exchange(ctx context.Context) (accessToken, error) {
	const what = "get an access token"
	assertion, err := a.assertion()
	if err != nil {
		return accessToken{}, fmt.Errorf("%s: %w", what, err)
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {a.scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.token.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return accessToken{}, fmt.Errorf("%s: %w", what, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a.mu.Lock()
	proves, nonce := a.proof != nil, a.nonce
	a.mu.Unlock()
	if proves {
		proof, err := a.prove(r.Method, r.URL, "", nonce)
		if err != nil {
			return accessToken{}, fmt.Errorf("%s: %w", what, err)
		}
		r.Header.Set("DPoP", proof)
	}
	reply, err := a.client.send(r)
	if err != nil {
		return accessToken{}, fmt.Errorf("%s: %w", what, err)
	}
	if nonce := reply.header.Get("DPoP-Nonce"); nonce != "" {
		a.mu.Lock()
		a.nonce = nonce
		a.mu.Unlock()
	}
	if reply.status != http.StatusOK {
		return accessToken{}, fmt.Errorf("%s: %w", what, a.client.failure("token", reply))
	}
	token, err := a.accept(reply, proves)
	if err != nil {
		return accessToken{}, fmt.Errorf("%s: %w", what, err)
	}
	return token, nil
}

// accept reads a token and keeps it.
func (a *serviceApp) accept(reply *rawReply, proven bool) (accessToken, error) {
	if err := reply.check(); err != nil {
		return accessToken{}, err
	}
	var said struct {
		Token   string  `json:"access_token"`
		Kind    string  `json:"token_type"`
		Expires float64 `json:"expires_in"` // seconds
	}
	if err := reply.decode('{', &said); err != nil {
		return accessToken{}, err
	}
	t := accessToken{value: said.Token}
	switch {
	case said.Token == "" || strings.ContainsFunc(said.Token, notVisible):
		return accessToken{}, oddAnswer("no access token")
	case strings.EqualFold(said.Kind, "Bearer"):
		t.kind = "Bearer"
	case strings.EqualFold(said.Kind, "DPoP") && proven:
		t.kind = "DPoP"
	default:
		return accessToken{}, oddAnswer("an access token of an unknown type")
	}
	life := tokenLife
	if said.Expires > 0 && said.Expires < tokenLife.Seconds() {
		life = time.Duration(said.Expires * float64(time.Second))
	}
	t.until = a.client.config.Now().Add(life - min(tokenMargin, life/2))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = t
	return t, nil
}

// assertion makes the statement by which the app signs in, in the org's time.
func (a *serviceApp) assertion() (string, error) {
	now := a.client.clock.time()
	return jwt.Signed(a.signer).Claims(jwt.Claims{
		Issuer:   a.client.config.ClientID,
		Subject:  a.client.config.ClientID,
		Audience: jwt.Audience{a.token.String()},
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(assertionLife)),
		ID:       rand.Text(),
	}).Serialize()
}

// prove makes a DPoP proof for one request: with the token, or with the nonce of
// the token endpoint. Source: RFC 9449, section 4.2; Okta, Configure OAuth 2.0
// DPoP.
func (a *serviceApp) prove(method string, to *url.URL, token, nonce string) (string, error) {
	claims := struct {
		jwt.Claims
		Method string `json:"htm"`
		URL    string `json:"htu"` // without query and fragment
		Hash   string `json:"ath,omitempty"`
		Nonce  string `json:"nonce,omitempty"`
	}{
		Claims: jwt.Claims{ID: rand.Text(), IssuedAt: jwt.NewNumericDate(a.client.clock.time())},
		Method: method,
		URL:    (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path, RawPath: to.RawPath}).String(),
		Nonce:  nonce,
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims.Hash = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	a.mu.Lock()
	signer := a.proof
	a.mu.Unlock()
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// proofSigner makes a signer with a new key, which lives as long as the program.
func proofSigner() (jose.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for DPoP: %w", err)
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	return jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
}

// assertionSigner makes a signer with the app's key. Its errors say nothing
// about what the key holds.
func assertionSigner(key []byte, keyID string) (jose.Signer, error) {
	k, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	if keyID != "" {
		k.KeyID = keyID
	}
	algorithms, err := algorithmsOf(k.Key)
	if err != nil {
		return nil, err
	}
	algorithm := algorithms[0]
	if k.Algorithm != "" {
		algorithm = jose.SignatureAlgorithm(k.Algorithm)
	}
	if !slices.Contains(algorithms, algorithm) {
		return nil, errors.New("the private key is not of the kind that its algorithm takes")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: k}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, errors.New("the private key cannot sign")
	}
	return signer, nil
}

// parseKey reads a private key in PEM or as a JSON Web Key.
func parseKey(b []byte) (jose.JSONWebKey, error) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '{' {
		var k jose.JSONWebKey
		if json.Unmarshal(b, &k) != nil || k.IsPublic() || !k.Valid() {
			return k, errors.New("the private key is not a private JSON Web Key")
		}
		return k, nil
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return jose.JSONWebKey{}, errors.New("the private key is neither PEM nor a JSON Web Key")
	}
	if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return jose.JSONWebKey{}, errors.New("the private key is encrypted; give it without a passphrase")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: k}, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: k}, nil
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: k}, nil
	}
	return jose.JSONWebKey{}, errors.New("the private key cannot be read as PKCS #8, PKCS #1 or SEC 1")
}

// algorithmsOf gives the algorithms for a key, the usual one first.
func algorithmsOf(key crypto.PrivateKey) ([]jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, errors.New("the private key is RSA of less than 2048 bits")
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512}, nil
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
	}
	return nil, errors.New("the private key must be RSA, or EC on P-256, P-384 or P-521")
}
