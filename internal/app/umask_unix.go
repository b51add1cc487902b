//go:build unix

package app

import (
	"sync"
	"syscall"
)

// masking is held while the mask of the process is changed, which is one for all
// goroutines.
var masking sync.Mutex

// maskOthers keeps from everybody but this user what the process creates until
// the function that it gives is called. Folders made meanwhile stay usable.
func maskOthers() (restore func()) {
	masking.Lock()
	before := syscall.Umask(0o077)
	return func() {
		syscall.Umask(before)
		masking.Unlock()
	}
}
