package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// given tells whether a way to sign in is there.
func (a Auth) given() bool { return a.Token != "" || a.ClientID != "" || a.PrivateKey != "" }

// OktaCredentials are what signs in to Okta's API: Token, or all of ClientID,
// PrivateKey and Scopes. However they are printed, logged or encoded, nothing of
// them is shown; their fields by themselves are.
type OktaCredentials struct {
	Token      string   // an API token, without SSWS
	ClientID   string   // of an API Services app
	KeyID      string   // of the private key; may be empty
	PrivateKey []byte   // in PEM or as a JSON Web Key
	Scopes     []string // to ask for
}

// OktaCredentials looks the credentials for Okta's API up, as they are now. When
// that fails it gives an error, which does not show them. In hook-only mode there
// are none, which is an error too.
func (c *Config) OktaCredentials() (OktaCredentials, error) {
	a := c.Okta.Auth
	if !c.APIMode() {
		return OktaCredentials{}, errors.New("resolve okta credentials: there are none in hook-only mode, without okta.auth")
	}
	if a.Token != "" {
		token, fault := c.refs.resolve(a.Token, apiToken)
		if fault.problem != "" {
			return OktaCredentials{}, fmt.Errorf("resolve okta.auth.token %s: %s", a.Token, fault.problem)
		}
		return OktaCredentials{Token: token}, nil
	}
	key, fault := c.refs.resolve(a.PrivateKey, privateKey)
	if fault.problem != "" {
		return OktaCredentials{}, fmt.Errorf("resolve okta.auth.private_key %s: %s", a.PrivateKey, fault.problem)
	}
	return OktaCredentials{ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: []byte(key), Scopes: slices.Clone(a.Scopes)}, nil
}

const redacted = "okta credentials (not shown)"

// String tells that the credentials are not shown.
func (OktaCredentials) String() string { return redacted }

// Format writes what String gives, whatever the verb.
func (OktaCredentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what String gives.
func (OktaCredentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives what String gives, also within JSON.
func (OktaCredentials) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// resolveAuth looks up what signs in to Okta's API and tells when that fails.
func (r *reader) resolveAuth(a Auth) {
	const auth = "okta.auth"
	if r.ok(auth + ".token") {
		r.resolveOne(auth+".token", a.Token, apiToken)
	}
	if r.ok(auth + ".private_key") {
		r.resolveOne(auth+".private_key", a.PrivateKey, privateKey)
	}
}
