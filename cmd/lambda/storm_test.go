package main

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"syscall"
	"time"
)

// storm makes the services of AWS slow at random, as they are where much else runs on
// the machine: so many of a thousand calls take up to four seconds, which is more than
// anybody waits. Half of them are late, and half are done at once and answered late.
// In so many of a thousand tenths of a second each function is stopped for as long. The
// variable CONNECTROSTER_STORM sets it, to find tests that rely on the weather.
type storm int

var weather = func() storm {
	n, _ := strconv.Atoi(os.Getenv("CONNECTROSTER_STORM"))
	return storm(n)
}()

// slow gives what is to be written to in the place of w, and what is to be called when
// the answer is complete.
func (s storm) slow(w http.ResponseWriter, r *http.Request) (to http.ResponseWriter, arrived func()) {
	if rand.IntN(1000) >= int(s) {
		return w, func() {}
	}
	wait := func() {
		select {
		case <-r.Context().Done():
		case <-time.After(rand.N(4 * time.Second)):
		}
	}
	if rand.IntN(2) == 0 {
		wait()
		return w, func() {}
	}
	answer := httptest.NewRecorder()
	return answer, func() {
		wait()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}
}

// gusts stops a process now and then, until it has ended.
func (s storm) gusts(p *process) {
	if s <= 0 {
		return
	}
	wait := func(most time.Duration) {
		select {
		case <-p.ended:
		case <-time.After(rand.N(most)):
		}
	}
	for p.alive() {
		wait(200 * time.Second / time.Duration(s))
		_ = p.cmd.Process.Signal(syscall.SIGSTOP) // it may be over already
		wait(4 * time.Second)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}
}
