package config

import "time"

// AgeVault gives a function by which what was read of AWS Secrets Manager grows
// older.
func AgeVault(c *Config) func(time.Duration) {
	return func(d time.Duration) {
		v := c.refs.vault
		v.mu.Lock()
		defer v.mu.Unlock()
		for of, k := range v.read {
			k.at = k.at.Add(-d)
			v.read[of] = k
		}
	}
}
