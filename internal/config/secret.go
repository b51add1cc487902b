package config

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// kind is a kind of secret. Each must look like one of its kind.
type kind int

const (
	hookSecret kind = iota
	apiToken
	privateKey
	webhookAddress
	externalID
)

// limit is the most bytes that a secret of a kind may have. A token travels in a
// header as hook secrets do; the largest usual key, RSA of 8192 bits as a JSON Web
// Key, has about 8500 bytes.
func (k kind) limit() int {
	if k == privateKey {
		return 16 << 10
	}
	return 4096
}

// meaning says where the value of an empty variable comes from.
func (k kind) meaning() string {
	switch k {
	case apiToken:
		return "set it to the token that Okta showed when it was made"
	case privateKey:
		return "set it to the private key, in PEM or as a JSON Web Key"
	case webhookAddress:
		return "set it to the address of the webhook"
	case externalID:
		return "set it to the external id that the role asks for"
	}
	return "set it to the secret that Okta sends"
}

// fault says why a secret is no good, without showing it.
func (k kind) fault(secret string) complaint {
	if len(secret) > k.limit() {
		return complaint{fmt.Sprintf("the secret has more than %d characters", k.limit()), ""}
	}
	switch k {
	case apiToken:
		return tokenFault(secret)
	case privateKey:
		return keyFault(secret)
	case webhookAddress:
		if secret != strings.TrimSpace(secret) {
			return complaint{"the secret begins or ends with white space", ""}
		}
		return complaint{}
	case externalID:
		return externalFault(secret)
	}
	return secretFault(secret)
}

// resolver finds what references refer to.
type resolver struct {
	dir    string // where relative paths start
	getenv func(string) string
	only   []kind // the secrets that are looked up; nil: all. See LoadWithoutSecrets
	vault  *vault // AWS Secrets Manager
}

// reference splits env:NAME, file:path and secretsmanager:NAME, and complains of everything else
// without showing it.
func reference(ref string) (scheme, rest string, c complaint) {
	scheme, rest, ok := strings.Cut(ref, ":")
	switch {
	case ok && scheme == "env" && !isVariable(rest):
		return "", "", complaint{"env: is not followed by the name of a variable", "a name has letters, digits and _, as in env:OKTA_HOOK_SECRET"}
	case ok && scheme == "file" && strings.TrimSpace(rest) == "":
		return "", "", complaint{"file: is not followed by a path", ""}
	case ok && scheme == "secretsmanager" && !vaultName.MatchString(rest):
		return "", "", complaint{"secretsmanager: is not followed by the name or the ARN of a secret", "for example secretsmanager:connectroster/production/hook"}
	case ok && (scheme == "env" || scheme == "file" || scheme == "secretsmanager"):
		return scheme, rest, complaint{}
	}
	return "", "", complaint{"want a reference to a secret, env:NAME, file:path or secretsmanager:NAME; a secret itself must not stand in this file",
		"move it to a variable or a file, and change it if the file was ever shared"}
}

func isVariable(name string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name)
}

// resolve gives the secret that a reference refers to, or complains without
// showing it.
func (v resolver) resolve(ref string, k kind) (string, complaint) {
	secrets, c := v.resolveAll(ref, k)
	if len(secrets) == 0 {
		return "", c
	}
	return secrets[0], c
}

// resolveAll gives all secrets that a reference stands for: one, but where the next
// hook secret lies ready beside the one in force.
func (v resolver) resolveAll(ref string, k kind) ([]string, complaint) {
	if !v.wants(k) {
		return nil, v.spared(ref)
	}
	scheme, rest, c := reference(ref)
	switch {
	case c.problem != "":
		return nil, c
	case scheme == "secretsmanager":
		return v.resolveStored(rest, k)
	case scheme == "file":
		secret, c := v.resolveFile(rest, k)
		return []string{secret}, c
	}
	secret := v.getenv(rest)
	if secret == "" {
		return nil, complaint{"the variable " + rest + " of the environment is not set or empty", k.meaning()}
	}
	return []string{secret}, k.fault(secret)
}

func (v resolver) resolveFile(rest string, k kind) (string, complaint) {
	data, err := readFile(within(v.dir, rest), int64(k.limit())+3)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return "", complaint{"the file of this secret cannot be read: " + path.Err.Error(), "relative paths start at the folder of the configuration file"}
	case err != nil:
		return "", complaint{"the file of this secret is not a regular file", ""}
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return secret, k.fault(secret)
}

// open tells whether everybody on this machine may read the file of a
// reference.
func (v resolver) open(ref string) bool {
	path, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return false
	}
	info, err := os.Stat(within(v.dir, path))
	return err == nil && info.Mode().Perm()&0o004 != 0
}

// minSecret is the fewest characters of a secret or a token: fewer can be
// guessed, or are cut off.
const minSecret = 16

// secretFault says why a hook secret is no good: it must be hard to guess and
// fit into a header. Source: RFC 9110, section 5.5.
func secretFault(secret string) complaint {
	bad := func(c rune) bool { return c < ' ' || c > '~' }
	switch {
	case secret != strings.TrimSpace(secret):
		return complaint{"the secret begins or ends with white space", ""}
	case len(secret) < minSecret:
		return complaint{fmt.Sprintf("the secret has %d characters; want at least %d", len(secret), minSecret), "make one with: openssl rand -hex 32"}
	case strings.ContainsFunc(secret, bad):
		return complaint{"the secret holds a character that a header cannot carry; want printable ASCII", ""}
	}
	return complaint{}
}

// tokenFault says why an API token is no good.
func tokenFault(token string) complaint {
	bad := func(c rune) bool { return c <= ' ' || c > '~' }
	switch {
	case len(token) >= 4 && strings.EqualFold(token[:4], "SSWS"):
		return complaint{"the token begins with SSWS", "keep only what follows; SSWS is added to each call"}
	case token != strings.TrimSpace(token):
		return complaint{"the token begins or ends with white space", ""}
	case len(token) < minSecret:
		return complaint{fmt.Sprintf("the token has %d characters; want at least %d", len(token), minSecret), "copy it as a whole; Okta's tokens have 42"}
	case strings.ContainsFunc(token, bad):
		return complaint{"the token holds a space or a character that no token has", ""}
	}
	return complaint{}
}

// keyFault says why a text is not the private key of a service app: it must be
// one in PEM, or a JSON Web Key. Whether its numbers are sound is for those to
// say who sign with it. Source: RFC 7468, RFC 7517, RFC 7518.
func keyFault(text string) complaint {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return webKeyFault(text)
	}
	block, _ := pem.Decode([]byte(text))
	switch {
	case block == nil && strings.Contains(text, `\n`):
		return complaint{`the private key holds \n in the place of line breaks`, "keep its lines as they are"}
	case block == nil:
		return complaint{"the private key is neither PEM nor a JSON Web Key", "in PEM it begins with -----BEGIN PRIVATE KEY-----"}
	case strings.Contains(block.Type, "ENCRYPTED"), block.Headers["DEK-Info"] != "":
		return complaint{"the private key is encrypted", "give it without a passphrase, in a file that nobody else may read"}
	case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return complaint{"is PEM of something else than a private key", "in PEM it begins with -----BEGIN PRIVATE KEY-----"}
	}
	return complaint{}
}

// webKeyFault says why a text is not a private JSON Web Key.
func webKeyFault(text string) complaint {
	var key struct {
		Type    string          `json:"kty"`
		Keys    json.RawMessage `json:"keys"`
		Private string          `json:"d"`
	}
	switch err := json.Unmarshal([]byte(text), &key); {
	case err != nil:
		return complaint{"the private key begins like a JSON Web Key and is none", ""}
	case key.Keys != nil:
		return complaint{"is a set of JSON Web Keys; want one private key", ""}
	case key.Type != "RSA" && key.Type != "EC":
		return complaint{"the private key must be RSA or EC", ""}
	case key.Private == "":
		return complaint{"is a public JSON Web Key; want the private one, which has a d", ""}
	}
	return complaint{}
}

// resolve looks all references to hook secrets up and tells of those that fail.
func (r *reader) resolve(refs []string) []string {
	const path = "okta.hook.secrets"
	if _, written := r.values[path]; r.partial && !written || r.bad[path] {
		return nil
	}
	if len(refs) == 0 {
		r.fault(path, complaint{"is an empty list; want at least one reference", "for example [\"env:OKTA_HOOK_SECRET\"]"})
	}
	var secrets []string
	for i, ref := range refs {
		at := fmt.Sprintf("%s[%d]", path, i)
		if r.bad[at] {
			continue
		}
		secrets = append(secrets, r.resolveEach(at, ref, hookSecret)...)
	}
	return secrets
}

// resolveOne looks one reference up and tells when that fails.
func (r *reader) resolveOne(at, ref string, k kind) string {
	if secrets := r.resolveEach(at, ref, k); len(secrets) > 0 {
		return secrets[0]
	}
	return ""
}

func (r *reader) resolveEach(at, ref string, k kind) []string {
	secrets, c := r.secrets.resolveAll(ref, k)
	r.test(at, c)
	if r.secrets.open(ref) {
		r.warn(at, "everybody on this machine may read the file of this secret", "take the right to read it from others (chmod o-r)")
	}
	return secrets
}

// isReference tells whether a path holds references to secrets.
func isReference(path string) bool {
	return path == "okta.hook.secrets" || path == "okta.auth.token" || path == "okta.auth.private_key" || path == "notify.webhook"
}

// mayHoldSecret tells whether the keys below a path are so near to a secret that
// an unknown one may be a secret.
func mayHoldSecret(path string) bool {
	return path == "okta.hook" || path == "okta.auth" || path == "notify"
}

// hideSecrets keeps all but well-formed references out of the excerpts.
func (r *reader) hideSecrets(n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if _, _, c := reference(n.Value); c.problem != "" {
			r.hide(n)
		}
	case yaml.AliasNode:
		r.hide(n)
		r.hide(n.Alias)
	case yaml.MappingNode:
		r.hide(n)
	}
	for _, child := range n.Content {
		r.hideSecrets(child)
	}
}

// HookSecrets gives the secrets that deliveries may carry, as they were when
// the configuration was read. There is at least one.
func (c *Config) HookSecrets() []string { return slices.Clone(c.sealed.secrets) }

// ResolveSecrets looks the secrets up again, so that a changed file counts
// without a restart. When one of them cannot be had or is no good it gives an
// error, which does not show it, and no secrets.
func (c *Config) ResolveSecrets() ([]string, error) {
	secrets := make([]string, 0, len(c.Okta.Hook.Secrets))
	for _, ref := range c.Okta.Hook.Secrets {
		all, c := c.refs.resolveAll(ref, hookSecret)
		if c.problem != "" {
			return nil, fmt.Errorf("resolve hook secret %s: %s", ref, c.problem)
		}
		secrets = append(secrets, all...)
	}
	return secrets, nil
}
