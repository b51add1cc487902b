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

// VaultFreezes reports whether the age of anything that was read of AWS Secrets Manager
// stands still while the process is frozen.
func VaultFreezes(c *Config) bool {
	v := c.refs.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.read {
		if k.at != k.at.Round(0) { // it bears the clock of the process
			return true
		}
	}
	return len(v.read) == 0
}
