package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// stormOf is the variable that makes the machine slow at random, as it is where much
// else runs on it, to find tests that rely on the weather: each time a program is
// started here, it is stopped now and then for up to four seconds, in so many of a
// thousand tenths of a second, and of those that start so many tenths of a thousand are
// stopped at once.
const stormOf = "CONNECTROSTER_STORM"

// gusts is the script that stops a process now and then, as long as there is one of
// that number.
const gusts = `exec </dev/null >/dev/null 2>&1
n=$1 pid=$2
while true; do
	tenths=$((RANDOM % (2000 / n) + 1))
	sleep $((tenths / 10)).$((tenths % 10))
	kill -STOP $pid || exit
	sleep $((RANDOM % 4)).$((RANDOM % 10))
	kill -CONT $pid || exit
done`

// stormy gives main so that the weather applies to it.
func stormy(main func()) func() {
	n, _ := strconv.Atoi(os.Getenv(stormOf))
	if n <= 0 {
		return main
	}
	return func() {
		if rand.IntN(100) < n {
			<-time.After(rand.N(4 * time.Second))
		}
		if err := exec.Command("bash", "-c", gusts, "gusts", strconv.Itoa(n), strconv.Itoa(os.Getpid())).Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		main()
	}
}

// inStorm gives the path of a program to start in place of the one of path, so that the
// weather applies to it.
func inStorm(t *testing.T, path string) string {
	t.Helper()
	n, _ := strconv.Atoi(os.Getenv(stormOf))
	if n <= 0 {
		return path
	}
	script := filepath.Join(t.TempDir(), filepath.Base(path))
	text := fmt.Sprintf("#!/bin/bash\n((RANDOM %% 100 < %d)) && sleep $((RANDOM %% 4)).$((RANDOM %% 10))\nbash -c '%s' gusts %d $$ &\nexec %s \"$@\"\n", n, gusts, n, path)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil { //nolint:gosec // a script has to be run
		t.Fatal(err)
	}
	return script
}
