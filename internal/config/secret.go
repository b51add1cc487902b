package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The lengths of a hook secret, in characters.
const (
	minSecret = 16
	maxSecret = 4096
)

// resolver finds what references refer to.
type resolver struct {
	dir    string // where relative paths start
	getenv func(string) string
}

// reference splits env:NAME and file:path, and complains of everything else
// without showing it.
func reference(ref string) (scheme, rest string, c complaint) {
	scheme, rest, ok := strings.Cut(ref, ":")
	switch {
	case ok && scheme == "env" && !isVariable(rest):
		return "", "", complaint{"env: is not followed by the name of a variable", "a name has letters, digits and _, as in env:OKTA_HOOK_SECRET"}
	case ok && scheme == "file" && strings.TrimSpace(rest) == "":
		return "", "", complaint{"file: is not followed by a path", ""}
	case ok && scheme == "secretsmanager":
		return "", "", complaint{"secretsmanager: comes with a later version", "use env: or file: for now"}
	case ok && (scheme == "env" || scheme == "file"):
		return scheme, rest, complaint{}
	}
	return "", "", complaint{"want a reference to a secret, env:NAME or file:path; a secret itself must not stand in this file",
		"move it to a variable or a file, and change it if the file was ever shared"}
}

func isVariable(name string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name)
}

// resolve gives the secret that a reference refers to, or complains without
// showing it.
func (v resolver) resolve(ref string) (string, complaint) {
	scheme, rest, c := reference(ref)
	if c.problem != "" {
		return "", c
	}
	if scheme == "env" {
		secret := v.getenv(rest)
		if secret == "" {
			return "", complaint{"the variable " + rest + " of the environment is not set or empty", "set it to the secret that Okta sends"}
		}
		return secret, secretFault(secret)
	}
	data, err := readFile(within(v.dir, rest), maxSecret+3)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return "", complaint{"the file of this secret cannot be read: " + path.Err.Error(), "relative paths start at the folder of the configuration file"}
	case err != nil:
		return "", complaint{"the file of this secret is not a regular file", ""}
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return secret, secretFault(secret)
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

// secretFault says why a secret is no good: it must be hard to guess and fit
// into a header. Source: RFC 9110, section 5.5.
func secretFault(secret string) complaint {
	bad := func(c rune) bool { return c < ' ' || c > '~' }
	switch {
	case secret != strings.TrimSpace(secret):
		return complaint{"the secret begins or ends with white space", ""}
	case len(secret) < minSecret:
		return complaint{fmt.Sprintf("the secret has %d characters; want at least %d", len(secret), minSecret), "make one with: openssl rand -hex 32"}
	case len(secret) > maxSecret:
		return complaint{fmt.Sprintf("the secret has more than %d characters", maxSecret), ""}
	case strings.ContainsFunc(secret, bad):
		return complaint{"the secret holds a character that a header cannot carry; want printable ASCII", ""}
	}
	return complaint{}
}

// resolve looks all references up and tells of those that fail.
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
		secret, c := r.secrets.resolve(ref)
		r.test(at, c)
		if r.secrets.open(ref) {
			r.warn(at, "everybody on this machine may read the file of this secret", "take the right to read it from others (chmod o-r)")
		}
		secrets = append(secrets, secret)
	}
	return secrets
}

// hideSecrets keeps all but well-formed references out of the excerpts.
func (r *reader) hideSecrets(n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if _, _, c := reference(n.Value); c.problem != "" && !strings.HasPrefix(n.Value, "secretsmanager:") {
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
