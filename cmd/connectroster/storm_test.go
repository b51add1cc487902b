package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// stormOf is the variable that makes the machine slow at random, as it is where much
// else runs on it, to find tests that rely on the weather: in so many of a thousand
// tenths of a second the daemon, a simulator and whatever a script runs is stopped for up
// to four seconds, and of a hundred that start so many start as late.
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

// inStorm gives the command that runs a program so that the weather applies to it.
func inStorm(line ...string) []string {
	n, _ := strconv.Atoi(os.Getenv(stormOf))
	if n <= 0 {
		return line
	}
	const late = `((RANDOM % 100 < $1)) && sleep $((RANDOM % 4)).$((RANDOM % 10))
bash -c "$0" gusts $1 $$ &
shift
exec "$@"`
	return append([]string{"bash", "-c", late, gusts, strconv.Itoa(n)}, line...)
}
