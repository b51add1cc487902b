package config

import (
	"slices"
	"strings"
)

// LoadWithoutSecrets reads the configuration file at path as [Load] does, but
// looks no secret up: for what only needs to know what the file says, on a machine
// that has no business with the secrets. External ids of roles are looked up, since
// without them nothing can be asked.
func LoadWithoutSecrets(path string, getenv func(string) string) (*Config, error) {
	return loadOnly(path, getenv, []kind{externalID})
}

// LoadForHook reads the configuration file at path as [Load] does, but looks up no
// secrets beside those that deliveries may carry: for a process that takes deliveries
// and has no business with Okta's API or Amazon Connect.
func LoadForHook(path string, getenv func(string) string) (*Config, error) {
	return loadOnly(path, getenv, []kind{hookSecret})
}

// LoadForStore reads the configuration file at path as [Load] does, but looks no secret
// up at all: for a process that works with the store alone.
func LoadForStore(path string, getenv func(string) string) (*Config, error) {
	return loadOnly(path, getenv, []kind{})
}

func loadOnly(path string, getenv func(string) string, only []kind) (*Config, error) {
	data, err := readFile(path, maxFile+1)
	if err != nil {
		return Load(path, getenv) // which says it in words
	}
	r := newReader(path, getenv)
	r.secrets.only = only
	return parse(r, data)
}

// wants tells whether secrets of a kind are looked up.
func (v resolver) wants(k kind) bool { return v.only == nil || slices.Contains(v.only, k) }

// spared judges the form of a reference that is not looked up.
func (v resolver) spared(ref string) complaint {
	_, _, c := reference(ref)
	return c
}

// inSecretsManager begins a reference to a secret in AWS Secrets Manager.
const inSecretsManager = "secretsmanager:"

// SecretReferences gives all references to secrets in the configuration, sorted and
// each once.
func (c *Config) SecretReferences() []string {
	refs := append([]string{c.Okta.Auth.Token, c.Okta.Auth.PrivateKey, c.Notify.Webhook, c.Connect.ExternalID}, c.Okta.Hook.Secrets...)
	for _, in := range c.Several {
		refs = append(refs, in.ExternalID)
	}
	return references(refs)
}

// HookSecretReferences gives those of the secrets that deliveries may carry.
func (c *Config) HookSecretReferences() []string {
	return references(slices.Clone(c.Okta.Hook.Secrets))
}

func references(refs []string) []string {
	refs = slices.DeleteFunc(refs, func(ref string) bool { // an external id may stand there as it is
		return !strings.HasPrefix(ref, "env:") && !strings.HasPrefix(ref, "file:") && !strings.HasPrefix(ref, inSecretsManager)
	})
	slices.Sort(refs)
	return slices.Compact(refs)
}
