package okta

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenLife     = time.Hour
	assertionMost = time.Hour       // farthest exp of a client assertion
	clockSlack    = 5 * time.Minute // how far iat may be off; Okta documents no number
)

// ClientKey is one public key of an API client, as a JWK or in PEM. Without a
// key id it is known by its RFC 7638 thumbprint.
type ClientKey struct {
	KID string          `json:"kid,omitempty"`
	JWK json.RawMessage `json:"jwk,omitempty"`
	PEM string          `json:"pem,omitempty"`
}

// NewClient describes an API Services app to add: an OAuth client that signs
// in with private_key_jwt.
type NewClient struct {
	ClientID string `json:"clientId"` // empty: one is made
	ClientKey
	Scopes []string `json:"scopes"` // granted, such as okta.users.read
	// DPoP demands proof of possession (RFC 9449). Without it a proof is
	// ignored and tokens are bearer tokens.
	DPoP bool `json:"dpop"`
	// Roles are admin roles, or single permissions of a custom role such as
	// okta.eventhooks.manage. Without any the client sees an empty org.
	Roles []string `json:"roles"`
}

// Client is an API client as it stands.
type Client struct {
	ClientID string   `json:"clientId"`
	Keys     []string `json:"keys"` // key ids
	Scopes   []string `json:"scopes"`
	DPoP     bool     `json:"dpop"`
	Roles    []string `json:"roles"`
}

type apiClient struct {
	id            string
	keys          map[string]crypto.PublicKey
	scopes, roles []string
	dpop          bool
}

func (a *apiClient) export() Client {
	return Client{a.id, slices.Sorted(maps.Keys(a.keys)), append([]string{}, a.scopes...), a.dpop, append([]string{}, a.roles...)}
}

// grant is an access token's meaning.
type grant struct {
	client string
	scopes []string
	bound  string // thumbprint of the DPoP key; empty: a bearer token
	until  time.Time
}

func (k ClientKey) parse() (kid string, key crypto.PublicKey, err error) {
	var w jwk
	switch {
	case k.PEM != "" && len(k.JWK) > 0:
		return "", nil, errors.New("want a jwk or a pem, not both")
	case k.PEM != "":
		if key, err = parsePublicPEM(k.PEM); err == nil {
			w, err = describe(key)
		}
	case len(k.JWK) > 0:
		if err = json.Unmarshal(k.JWK, &w); err == nil {
			key, err = w.public()
		}
	default:
		err = errors.New("want a public key as jwk or pem")
	}
	switch {
	case err != nil:
		return "", nil, err
	case k.KID != "":
		return k.KID, key, nil
	case w.Kid != "":
		return w.Kid, key, nil
	}
	return w.thumbprint(), key, nil
}

// AddClient registers an API client.
func (o *Org) AddClient(n NewClient) (Client, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.insertClient(n)
}

func (o *Org) insertClient(n NewClient) (Client, error) {
	kid, key, err := n.parse()
	if err == nil {
		err = errors.Join(checkScopes(n.Scopes), checkRoles(n.Roles))
	}
	if err == nil && o.clients[n.ClientID] != nil {
		err = errors.New("the client exists already")
	}
	if err != nil {
		return Client{}, invalid("client", "client: "+err.Error())
	}
	a := &apiClient{id: n.ClientID, keys: map[string]crypto.PublicKey{kid: key},
		scopes: slices.Clone(n.Scopes), roles: slices.Clone(n.Roles), dpop: n.DPoP}
	if a.id == "" {
		a.id = o.mint.id("0oa")
	}
	o.clients[a.id] = a
	return a.export(), nil
}

func (o *Org) onClient(id string, do func(*apiClient) error) (Client, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.clients[id]
	if a == nil {
		return Client{}, notFound(id, "Client")
	}
	err := do(a)
	return a.export(), err
}

// AddClientKey gives a client one more key, as in a rotation.
func (o *Org) AddClientKey(id string, k ClientKey) (Client, error) {
	return o.onClient(id, func(a *apiClient) error {
		kid, key, err := k.parse()
		if err != nil {
			return invalid("client", "client: "+err.Error())
		}
		a.keys[kid] = key
		return nil
	})
}

// RemoveClientKey takes a key; tokens that it helped to get stay good.
func (o *Org) RemoveClientKey(id, kid string) (Client, error) {
	return o.onClient(id, func(a *apiClient) error { delete(a.keys, kid); return nil })
}

// ChangeClient replaces what is granted to a client. nil leaves a list as it
// is. Roles count at once, scopes from the next token on.
func (o *Org) ChangeClient(id string, scopes, roles []string) (Client, error) {
	return o.onClient(id, func(a *apiClient) error {
		if err := errors.Join(checkScopes(scopes), checkRoles(roles)); err != nil {
			return invalid("client", "client: "+err.Error())
		}
		if scopes != nil {
			a.scopes = slices.Clone(scopes)
		}
		if roles != nil {
			a.roles = slices.Clone(roles)
		}
		return nil
	})
}

// RemoveClient ends a client and its tokens.
func (o *Org) RemoveClient(id string) error {
	_, err := o.onClient(id, func(a *apiClient) error {
		delete(o.clients, a.id)
		o.revoke(a.id)
		return nil
	})
	return err
}

// RevokeTokens ends the access tokens of a client; it may get new ones.
func (o *Org) RevokeTokens(id string) error {
	_, err := o.onClient(id, func(a *apiClient) error { o.revoke(a.id); return nil })
	return err
}

func (o *Org) revoke(client string) {
	maps.DeleteFunc(o.grants, func(_ string, g *grant) bool { return g.client == client })
}

// Clients returns all API clients in order of their ids.
func (o *Org) Clients() []Client {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []Client{}
	for _, id := range slices.Sorted(maps.Keys(o.clients)) {
		out = append(out, o.clients[id].export())
	}
	return out
}

// oauthError is an answer of the token endpoint (RFC 6749, section 5.2).
type oauthError struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func badClient(why string) error {
	return &oauthError{http.StatusUnauthorized, "invalid_client", why}
}

func badGrant(code, why string) error { return &oauthError{http.StatusBadRequest, code, why} }

// issueToken serves POST /oauth2/v1/token of the org's own authorization
// server: client_credentials with a client assertion, and nothing else.
func (o *Org) issueToken(c *call) (any, error) {
	if kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";"); kind != "application/x-www-form-urlencoded" || c.r.ParseForm() != nil {
		return nil, badGrant("invalid_request", "The request body must be a form.")
	}
	form := c.r.PostForm
	for name, v := range form {
		if len(v) > 1 {
			return nil, badGrant("invalid_request", "The parameter "+name+" is repeated.")
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return nil, badGrant("unsupported_grant_type", "The authorization grant type is not supported by the authorization server.")
	}
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return nil, badClient("Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	a, err := o.authenticate(form.Get("client_assertion"), c.base+c.r.URL.Path)
	if err != nil {
		return nil, err
	}
	g := &grant{client: a.id, scopes: strings.Fields(form.Get("scope")), until: o.now().Add(tokenLife)}
	if len(g.scopes) == 0 {
		return nil, badGrant("invalid_scope", "The scope parameter is missing.")
	}
	for _, s := range g.scopes {
		if !slices.Contains(a.scopes, s) {
			return nil, badGrant("invalid_scope", fmt.Sprintf("The scope %q is not granted to the client.", s))
		}
	}
	kind := "Bearer"
	if a.dpop {
		kind = "DPoP"
		if g.bound, err = o.proveForToken(c); err != nil {
			return nil, err
		}
	}
	now := o.now()
	maps.DeleteFunc(o.grants, func(_ string, g *grant) bool { return !now.Before(g.until) })
	token := o.keys.letters(64)
	o.grants[token] = g
	return object{"token_type": kind, "expires_in": int(tokenLife / time.Second), "access_token": token, "scope": strings.Join(g.scopes, " ")}, nil
}

// authenticate checks a client assertion (RFC 7523, section 3) for the given
// token URL. The caller holds o.mu.
func (o *Org) authenticate(assertion, tokenURL string) (*apiClient, error) {
	t, err := parseJWT(assertion)
	if err != nil {
		return nil, badClient("The client_assertion is not a token: " + err.Error() + ".")
	}
	a := o.clients[t.claims.Sub]
	if a == nil || t.claims.Iss != t.claims.Sub {
		return nil, badClient("Invalid value for 'client_id' parameter.")
	}
	key := a.keys[t.header.Kid]
	if t.header.Kid == "" && len(a.keys) == 1 {
		for _, only := range a.keys {
			key = only
		}
	}
	if key == nil {
		return nil, badClient("The client_assertion names no key of the client.")
	}
	if err := t.verify(key); err != nil {
		return nil, badClient("The client_assertion signature is invalid: " + err.Error() + ".")
	}
	now := o.now()
	exp := seconds(t.claims.Exp)
	switch {
	case !slices.Equal(t.claims.Aud, audience{tokenURL}):
		return nil, badClient("The audience claim for client_assertion must be the endpoint invoked for the request.")
	case t.claims.Exp == 0 || !now.Before(exp):
		return nil, badClient("The client_assertion token is expired.")
	case exp.Sub(now) > assertionMost:
		return nil, badClient("The client_assertion token has an expiration too far into the future.")
	case t.claims.Iat != 0 && seconds(t.claims.Iat).Sub(now) > clockSlack, t.claims.Nbf != 0 && seconds(t.claims.Nbf).Sub(now) > clockSlack:
		return nil, badClient("The client_assertion token was issued in the future.")
	case t.claims.Jti != "" && !o.once("assertion "+a.id+" "+t.claims.Jti, exp):
		return nil, badClient("The client_assertion token has been used before.")
	}
	return a, nil
}

// once reports whether a token id is new, and remembers it until the time when
// its token is refused anyway.
func (o *Org) once(id string, until time.Time) bool {
	now := o.now()
	maps.DeleteFunc(o.used, func(_ string, t time.Time) bool { return now.After(t) })
	if _, used := o.used[id]; used {
		return false
	}
	o.used[id] = until
	return true
}

func seconds(s float64) time.Time { return time.UnixMilli(int64(s * 1000)) }
