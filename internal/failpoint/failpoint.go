//go:build !failpoint || !unix

// Package failpoint names the places where a crash must not lose anything, so
// that a test can end the process there. Only a binary built with the tag
// "failpoint" listens to it; elsewhere Hit does nothing and costs nothing.
package failpoint

// Hit marks a place. Names are listed in List.
func Hit(string) {}
