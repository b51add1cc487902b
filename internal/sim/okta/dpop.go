package okta

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	nonceRenewed = 24 * time.Hour                // age at which the next nonce is made
	nonceKept    = nonceRenewed + 3*24*time.Hour // age until which one is taken
)

type nonce struct {
	value string
	made  time.Time
}

// RotateNonce makes every DPoP nonce given out so far worthless.
func (o *Org) RotateNonce() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nonces = nil
}

// nonce returns the one to use now. The caller holds o.mu.
func (o *Org) nonce() string {
	now := o.now()
	if n := len(o.nonces); n > 0 && now.Sub(o.nonces[n-1].made) < nonceRenewed {
		return o.nonces[n-1].value
	}
	fresh := nonce{o.keys.letters(32), now}
	o.nonces = append(o.nonces, fresh)
	return fresh.value
}

func (o *Org) knowsNonce(value string) bool {
	for _, n := range o.nonces {
		if n.value == value && o.now().Sub(n.made) < nonceKept {
			return true
		}
	}
	return false
}

// proof checks what a DPoP proof says of every request (RFC 9449, section 4.3)
// and returns it with its key's thumbprint; why is empty when it is good.
func (o *Org) proof(c *call) (t *jwt, thumbprint, why string) {
	proofs := c.r.Header.Values("DPoP")
	if len(proofs) != 1 {
		return nil, "", "The DPoP proof JWT header is missing."
	}
	t, err := parseJWT(proofs[0])
	if err != nil {
		return nil, "", "The DPoP proof is not a token: " + err.Error() + "."
	}
	if !strings.EqualFold(t.header.Typ, "dpop+jwt") || t.header.JWK == nil {
		return nil, "", "The DPoP proof must have the type dpop+jwt and a jwk."
	}
	key, err := t.header.JWK.public()
	if err == nil {
		err = t.verify(key)
	}
	if err != nil {
		return nil, "", "The DPoP proof is not signed by its key: " + err.Error() + "."
	}
	age := o.now().Sub(seconds(t.claims.Iat))
	switch {
	case t.claims.Htm != c.r.Method:
		return nil, "", "The DPoP proof's htm is not the method of the request."
	case !sameURL(t.claims.Htu, c.base+c.r.URL.EscapedPath()):
		return nil, "", "The DPoP proof's htu is not the URL of the request."
	case age > clockSlack || age < -clockSlack:
		return nil, "", "The DPoP proof's iat is not now."
	}
	return t, t.header.JWK.thumbprint(), ""
}

// sameURL compares without query and fragment (RFC 9449, section 4.3, item 9).
func sameURL(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && strings.EqualFold(x.Scheme, y.Scheme) && strings.EqualFold(x.Host, y.Host) && x.EscapedPath() == y.EscapedPath()
}

// unseen reports whether a proof has a jti that its key did not use yet.
func (o *Org) unseen(t *jwt, thumbprint string) bool {
	return t.claims.Jti != "" && o.once("proof "+thumbprint+" "+t.claims.Jti, o.now().Add(2*clockSlack))
}

// proveForToken checks the proof of a token request and returns its key's
// thumbprint. A proof without a good nonce is answered with one.
func (o *Org) proveForToken(c *call) (string, error) {
	t, thumbprint, why := o.proof(c)
	if why != "" {
		return "", badGrant("invalid_dpop_proof", why)
	}
	if !o.knowsNonce(t.claims.Nonce) {
		c.h.Set("dpop-nonce", o.nonce())
		return "", badGrant("use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
	}
	if !o.unseen(t, thumbprint) {
		return "", badGrant("invalid_dpop_proof", "The DPoP proof's jti is missing or was used before.")
	}
	return thumbprint, nil
}

// proveForCall checks the proof of an API call with a bound token.
func (o *Org) proveForCall(c *call, token, bound string) error {
	t, thumbprint, why := o.proof(c)
	switch {
	case why != "":
	case thumbprint != bound:
		why = "The DPoP proof is not signed by the key that the token is bound to."
	case subtle.ConstantTimeCompare([]byte(t.claims.Ath), []byte(digest(token))) == 0:
		why = "The DPoP proof's ath is not the hash of the token."
	case !o.unseen(t, thumbprint):
		why = "The DPoP proof's jti is missing or was used before."
	default:
		return nil
	}
	c.challenge("DPoP", "invalid_dpop_proof", why)
	return fail(http.StatusUnauthorized, "E0000011", "Invalid token provided", why)
}
