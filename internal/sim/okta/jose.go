package okta

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // registers the hashes that tokens name
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// jwk is a public key as RFC 7517 and RFC 7518, section 6, write it.
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	N   string `json:"n"`
	E   string `json:"e"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d"`
	K   string `json:"k"`
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

var b64 = base64.RawURLEncoding

// public returns the key. A private or symmetric one is refused: it must never
// leave its owner.
func (k jwk) public() (crypto.PublicKey, error) {
	if k.D != "" || k.K != "" {
		return nil, errors.New("the key is not a public one")
	}
	switch k.Kty {
	case "RSA":
		n, errN := b64.DecodeString(k.N)
		e, errE := b64.DecodeString(k.E)
		if errN != nil || errE != nil || len(n) < 256 || len(e) == 0 || len(e) > 4 {
			return nil, errors.New("want an RSA key of at least 2048 bits")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case "EC":
		curve := curves[k.Crv]
		if curve == nil {
			return nil, fmt.Errorf("unknown curve %q", k.Crv)
		}
		x, errX := b64.DecodeString(k.X)
		y, errY := b64.DecodeString(k.Y)
		size := (curve.Params().BitSize + 7) / 8
		if errX != nil || errY != nil || len(x) != size || len(y) != size {
			return nil, errors.New("the coordinates do not fit the curve")
		}
		return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	}
	return nil, fmt.Errorf("unknown key type %q", k.Kty)
}

// describe is the JWK of a public key.
func describe(key crypto.PublicKey) (jwk, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", N: b64.EncodeToString(key.N.Bytes()), E: b64.EncodeToString(big.NewInt(int64(key.E)).Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return jwk{}, err
		}
		half := len(point) / 2
		return jwk{Kty: "EC", Crv: key.Params().Name, X: b64.EncodeToString(point[1 : 1+half]), Y: b64.EncodeToString(point[1+half:])}, nil
	}
	return jwk{}, fmt.Errorf("want an RSA or EC key, got %T", key)
}

// thumbprint is the key's name of RFC 7638: SHA-256 over its required members
// in the order of the alphabet.
func (k jwk) thumbprint() string {
	members := fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, k.E, k.N)
	if k.Kty == "EC" {
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Crv, k.X, k.Y)
	}
	return digest(members)
}

// digest is the base64url SHA-256 of a text, as DPoP's ath and jkt are.
func digest(s string) string {
	h := crypto.SHA256.New()
	h.Write([]byte(s))
	return b64.EncodeToString(h.Sum(nil))
}

// parsePublicPEM reads a PUBLIC KEY (PKIX), RSA PUBLIC KEY (PKCS #1) or
// CERTIFICATE block.
func parsePublicPEM(text string) (crypto.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, fmt.Errorf("want a public key, got a PEM block %q", block.Type)
}

// jwt is a signed token whose signature is not checked yet.
type jwt struct {
	header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid"`
		JWK *jwk   `json:"jwk"`
	}
	claims    claims
	signed    string
	signature []byte
}

// claims are those of a client assertion (RFC 7523) and of a DPoP proof
// (RFC 9449, section 4.2). Times are seconds since 1970, 0 when absent.
type claims struct {
	Iss   string   `json:"iss"`
	Sub   string   `json:"sub"`
	Aud   audience `json:"aud"`
	Exp   float64  `json:"exp"`
	Nbf   float64  `json:"nbf"`
	Iat   float64  `json:"iat"`
	Jti   string   `json:"jti"`
	Htm   string   `json:"htm"`
	Htu   string   `json:"htu"`
	Ath   string   `json:"ath"`
	Nonce string   `json:"nonce"`
}

// audience is one recipient or a list of them.
type audience []string

// UnmarshalJSON takes a string or a list.
func (a *audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]string)(a))
	}
	*a = make(audience, 1)
	return json.Unmarshal(b, &(*a)[0])
}

func parseJWT(s string) (*jwt, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return nil, errors.New("want three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = b64.DecodeString(p); err != nil {
			return nil, errors.New("a part is not base64url")
		}
	}
	t := &jwt{signed: parts[0] + "." + parts[1], signature: raw[2]}
	if err := json.Unmarshal(raw[0], &t.header); err != nil {
		return nil, errors.New("the header is not JSON")
	}
	if err := json.Unmarshal(raw[1], &t.claims); err != nil {
		return nil, errors.New("the claims are not JSON")
	}
	return t, nil
}

// algorithms are those that Okta takes (RFC 7518, section 3.1), each with its
// hash and, for ECDSA, its one curve.
var algorithms = map[string]struct {
	hash  crypto.Hash
	curve string
}{
	"RS256": {crypto.SHA256, ""}, "RS384": {crypto.SHA384, ""}, "RS512": {crypto.SHA512, ""},
	"ES256": {crypto.SHA256, "P-256"}, "ES384": {crypto.SHA384, "P-384"}, "ES512": {crypto.SHA512, "P-521"},
}

// verify checks the signature by a public key.
func (t *jwt) verify(key crypto.PublicKey) error {
	alg, known := algorithms[t.header.Alg]
	if !known {
		return fmt.Errorf("algorithm %q is not one of RS256, RS384, RS512, ES256, ES384, ES512", t.header.Alg)
	}
	h := alg.hash.New()
	h.Write([]byte(t.signed))
	sum := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if alg.curve == "" && rsa.VerifyPKCS1v15(key, alg.hash, sum, t.signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		half := (key.Params().BitSize + 7) / 8
		if alg.curve == key.Params().Name && len(t.signature) == 2*half &&
			ecdsa.Verify(key, sum, new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:])) {
			return nil
		}
	}
	return errors.New("the signature is not the key's")
}
