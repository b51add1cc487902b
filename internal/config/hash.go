package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"

	"connectroster/internal/plan"
)

// Hash names what decides who is an agent and as what: the name, the policy, the
// personas, the rules and what belongs to them, the org, the app and the
// instances. Rates, addresses, logs, secrets, comments and the layout of the file
// do not count, so that they may change without everything being looked at as if
// for the first time.
func (c *Config) Hash() string {
	type instance struct{ Instance, Region string }
	essence := struct {
		Name           string
		Policy         plan.Policy
		Personas       map[string]Persona
		DefaultPersona string
		Rules          []Rule
		Exempt         []Exemption
		Authority      Authorities
		Leavers        Leavers
		Instances      map[string]instance
		Org, App       string
		API            bool
	}{
		Name: c.Name, Policy: c.Policy, Personas: maps.Clone(c.Personas), DefaultPersona: c.DefaultPersona, Rules: c.Rules, Exempt: c.Exempt,
		Authority: c.Authority, Leavers: c.Leavers, Instances: map[string]instance{}, Org: c.Okta.Org, App: c.Okta.App, API: c.APIMode(),
	}
	for _, in := range c.Instances() {
		essence.Instances[in.Name] = instance{in.Instance, in.Region}
	}
	text, err := json.Marshal(essence)
	if err != nil {
		panic("config: a configuration cannot be encoded: " + err.Error()) // it holds text, numbers, lists and maps alone
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
