package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
)

// devAddress finds where the playground takes hooks.
var devAddress = regexp.MustCompile(`connectroster +http://(\S+)/hooks/okta`)

// playing starts the playground in a folder for its own folder, and waits for a
// text.
func playing(t *testing.T, until string, args ...string) (dev *child, folder, hooks string) {
	t.Helper()
	path := program(t)
	folder = t.TempDir()
	w := &world{t: t, dir: t.TempDir()}
	dev = w.run([]string{"TMPDIR=" + folder}, path, append([]string{"dev"}, args...)...)
	eventually(t, patience, func() error {
		if !strings.Contains(dev.output.String(), until) {
			return fmt.Errorf("dev never says %q", until)
		}
		return nil
	})
	return dev, folder, devAddress.FindStringSubmatch(dev.output.String())[1]
}

// wantEmpty sees that nothing is left in a folder.
func wantEmpty(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left", f.Name())
	}
}

// TestDevInterruptedTwice: a second signal ends the playground at once, and still
// nothing is left of it.
func TestDevInterruptedTwice(t *testing.T) {
	t.Parallel()
	dev, folder, hooks := playing(t, "Ctrl-C ends it", "--people", "1", "--rate", "0")
	// A delivery that does not end keeps the daemon from closing for some seconds.
	delivery, err := net.Dial("tcp", hooks)
	if err != nil {
		t.Fatal(err)
	}
	defer delivery.Close()
	if _, err := delivery.Write([]byte("POST /hooks/okta HTTP/1.1\r\nHost: dev\r\nAuthorization: " + devSecret + "\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	// It is being read when the daemon asks for the rest.
	if err := delivery.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(delivery).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("a delivery is answered %q, %v", line, err)
	}
	dev.signal(syscall.SIGINT)
	eventually(t, patience, func() error {
		if conn, err := net.Dial("tcp", hooks); err == nil {
			return errors.Join(errors.New("the daemon does not close"), conn.Close())
		}
		return nil
	})
	dev.signal(syscall.SIGINT)
	if how := dev.wait(patience); how != "exit status 1" {
		t.Errorf("dev ended with %s, want exit status 1", how)
	}
	wantEmpty(t, folder)
}

// TestDevUnderGoRun types what dev says to try next, where the shell does not find the
// program by its name.
func TestDevUnderGoRun(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir()}
	dev := w.run([]string{"TMPDIR=" + t.TempDir(), "PATH=" + t.TempDir()}, program(t), "dev", "--people", "1", "--rate", "0")
	line := regexp.MustCompile(`(?m)^ +(\S+) plan --socket (\S+)$`)
	eventually(t, patience, func() error {
		if !strings.Contains(dev.output.String(), "Ctrl-C ends it") {
			return errors.New("dev never says what to try next")
		}
		return nil
	})
	said := line.FindStringSubmatch(dev.output.String())
	if said == nil || !filepath.IsAbs(said[1]) {
		t.Fatalf("no shell finds what it says to type there:\n%s", dev.output.String())
	}
	cmd := exec.CommandContext(t.Context(), said[1], "plan", "--socket", said[2]) //nolint:gosec // as dev says
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "There is nothing to do.") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDevEmptied takes everybody out of the group by what dev says to try next, and what
// comes of it is what it says.
func TestDevEmptied(t *testing.T) {
	t.Parallel()
	const people = "7" // more than may leave a group on the word of events alone
	dev, _, _ := playing(t, "Ctrl-C ends it", "--people", people, "--rate", "0")
	step := regexp.MustCompile(`at once: (.*) waits for you:\n +curl -s -X POST (\S+)\n +\S+ holds --socket (\S+)\n`).FindStringSubmatch(dev.output.String())
	if step == nil || step[1] != "nobody is suspended, all of it" {
		t.Fatalf("it says %q of everybody's leaving the group:\n%s", step, dev.output.String())
	}
	answer, err := http.Post(step[2], "", nil) //nolint:gosec,noctx // as dev says
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	ask := func(verb string) string {
		cmd := exec.CommandContext(t.Context(), program(t), verb, "--socket", step[3]) //nolint:gosec // as dev says
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", verb, err, out)
		}
		return string(out)
	}
	waiting := regexp.MustCompile(`(?m)^H1 +\S+ \S+ +` + people + ` `)
	eventually(t, patience, func() error {
		if out := ask("holds"); !waiting.MatchString(out) {
			return fmt.Errorf("not all of them wait: %s", out)
		}
		return nil
	})
	if out := ask("journal"); regexp.MustCompile(`Z +suspend`).MatchString(out) {
		t.Errorf("somebody is suspended: %s", out)
	}
}

// TestDevInterrupted: who ends the playground before everybody is an agent is not
// told what to try next.
func TestDevInterrupted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want string }{{"--once", "exit status 1"}, {"", "exit status 0"}} {
		t.Run("dev "+c.name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields("--people 60 --rate 1 " + c.name)
			dev, folder, _ := playing(t, "people join the Okta group", args...)
			dev.signal(syscall.SIGINT)
			if how := dev.wait(patience); how != c.want {
				t.Errorf("dev ended with %s, want %s", how, c.want)
			}
			if strings.Contains(dev.output.String(), "Try next") {
				t.Error("it says what to try next")
			}
			wantEmpty(t, folder)
		})
	}
}

// TestRemaining: how long it takes still is told from how fast it goes now, and not
// from how fast it went on the whole.
func TestRemaining(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	every := func(n int, gap time.Duration, from time.Time) (out []time.Time) {
		for i := range n {
			out = append(out, from.Add(time.Duration(i+1)*gap))
		}
		return out
	}
	slow := every(10, 30*time.Second, start)
	fast := append(slices.Clone(slow), every(200, 100*time.Millisecond, slow[9])...)
	for _, c := range []struct {
		name    string
		settled []time.Time
		now     time.Time
		left    int
		want    time.Duration
	}{
		{"evenly", every(100, time.Second, start), start.Add(100 * time.Second), 50, 50 * time.Second},
		{"faster than at first", fast, fast[len(fast)-1], 100, 15 * time.Second},
		{"slowly, few in the window", slow, slow[9], 2, time.Minute},
		{"only one so far", every(1, 4*time.Second, start), start.Add(4 * time.Second), 3, 12 * time.Second},
		{"nothing comes any more", every(100, 100*time.Millisecond, start), start.Add(10*time.Second + 100*time.Second), 5, 100*time.Second + 500*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, known := remaining(start, c.settled, c.now, c.left)
			if !known || got.Round(time.Second/2) != c.want {
				t.Errorf("got %v (%v), want %v", got, known, c.want)
			}
		})
	}
	if got, known := remaining(start, nil, start.Add(time.Minute), 5); known {
		t.Errorf("nobody is settled, and it says %v", got)
	}

	var out bytes.Buffer
	s := newShow(&out, 1000, 0)
	s.started = time.Now().Add(-1000 * time.Second)
	for i := range 100 {
		s.settled[fmt.Sprint(i)] = true
	}
	s.times = every(100, 100*time.Millisecond, time.Now().Add(-10*time.Second))
	s.progress()
	if !regexp.MustCompile(`100/1000  4m(2[5-9]|3[0-5])s left`).MatchString(out.String()) {
		t.Errorf("the bar: %q", out.String())
	}
}

// TestTooEarly: a look at somebody who is hired and has not joined yet says nothing of
// how their joining ends.
func TestTooEarly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newShow(&out, 1, 0)
	s.login = func(string) string { return "ana" }
	s.joined(simokta.User{ID: "00u1"})
	work := reconcile.Work{Person: "00u1"}
	s.outcome(reconcile.Outcome{Work: work, Refusal: &plan.Refusal{Code: plan.NotEntitled, Reason: "is in no group"}})
	select {
	case <-s.done:
		t.Error("the end was told before the person has an agent")
	default:
	}
	s.outcome(reconcile.Outcome{Work: work, Action: plan.Create, Agent: "agent-1"})
	select {
	case <-s.done:
	default:
		t.Error("the end is not told")
	}
	if said := out.String(); strings.Contains(said, "refused") || !strings.Contains(said, "event -> agent") {
		t.Errorf("printed %q", said)
	}
}
