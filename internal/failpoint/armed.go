//go:build failpoint && unix

// Package failpoint names the places where a crash must not lose anything, so
// that a test can end the process there. Only a binary built with the tag
// "failpoint" listens to it; elsewhere Hit does nothing and costs nothing.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Variable is the environment variable that arms one place: its name, a colon,
// the number of the visit to act on, and optionally a colon and "term" to send
// SIGTERM or "panic" to panic instead of SIGKILL.
const Variable = "CONNECTROSTER_FAILPOINT"

var armed = sync.OnceValue(func() (p struct {
	name, kind string
	visit      int
},
) {
	parts := strings.Split(os.Getenv(Variable), ":")
	p.name, p.visit = parts[0], 1
	if len(parts) > 1 {
		p.visit, _ = strconv.Atoi(parts[1])
	}
	if len(parts) > 2 {
		p.kind = parts[2]
	}
	return p
})

var (
	mu     sync.Mutex
	visits = map[string]int{}
)

// Hit marks a place and ends the process there if the place is armed.
func Hit(name string) {
	p := armed()
	if p.name != name {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	visits[name]++
	if visits[name] != p.visit {
		return
	}
	switch p.kind {
	case "panic":
		panic("failpoint " + name)
	case "term":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	default:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way; nothing more may happen
	}
}
