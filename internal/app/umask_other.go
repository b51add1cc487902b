//go:build !unix

package app

// maskOthers does nothing where files have no such modes.
func maskOthers() (restore func()) { return func() {} }
