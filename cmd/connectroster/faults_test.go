package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
)

// answerWithin is the promise for a delivery that cannot be stored (P-02).
// Okta itself gives up after 3 seconds.
const answerWithin = 2500 * time.Millisecond

// TestFullDisk fills the disk of the database up: deliveries are answered 503 in
// time, what was answered 204 is there, and all is well again, without a
// restart, once there is room (P-02).
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, setup{database: filepath.Join(disk, "connectroster.db"), away: true})
	daemon := w.started()
	c := client(t, 10*time.Second)
	acked := map[string]bool{}
	next := 0
	send := func() int {
		t.Helper()
		e := arrival(next)
		next++
		e.name += strings.Repeat(" padding", 25)
		status := w.answered(c, delivery(e))
		if status == http.StatusNoContent {
			acked[e.person] = true
		}
		return status
	}
	refusedAlways(t, send)
	await := func(want int) {
		t.Helper()
		eventually(t, patience, func() error {
			status, answer, err := call(http.MethodGet, "http://"+w.listen+"/readyz", nil, nil)
			if err != nil || status != want {
				return fmt.Errorf("readyz: %d %s %w", status, answer, err)
			}
			return nil
		})
	}
	await(http.StatusServiceUnavailable)
	if status, _, err := call(http.MethodGet, "http://"+w.listen+"/healthz", nil, nil); status != http.StatusOK {
		t.Errorf("healthz on a full disk: %d, %v", status, err)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	await(http.StatusOK)
	takenAgain(t, send)
	t.Logf("%d deliveries until the disk was full", len(acked))
	daemon.kill()
	w.holds(acked)
}

// holds checks that the database is sound and has facts about these people.
func (w *world) holds(people map[string]bool) {
	w.t.Helper()
	w.sound()
	stored := w.stored()
	for person := range people {
		if !stored[person] {
			w.t.Errorf("the delivery about %s was acknowledged and is not stored", person)
		}
	}
}

// smallDisk mounts a disk of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("skipped: a small disk cannot be mounted here, which takes root: %v %s", err, out)
	}
	t.Cleanup(func() { // after the daemon is gone
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return dir
}

// TestFaultySyscalls has every write, or every sync, of the running daemon fail
// for a while, as a broken disk would (P-02).
func TestFaultySyscalls(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("skipped: strace is needed to make system calls fail, and it is not in the PATH")
	}
	for _, calls := range []string{"pwrite64", "fsync,fdatasync"} {
		for _, fault := range []string{"ENOSPC", "EIO"} {
			t.Run(calls+"/"+fault, func(t *testing.T) {
				t.Parallel()
				faultySyscalls(t, calls, fault)
			})
		}
	}
}

// answered sends a delivery, which is answered in time, and gives the status.
func (w *world) answered(c *http.Client, body []byte) (status int) {
	w.t.Helper()
	soon(w.t, answerWithin, "a delivery", func() time.Duration {
		began := time.Now()
		var err error
		if status, err = w.post(w.t.Context(), c, body); err != nil {
			w.t.Fatal(err)
		}
		return time.Since(began)
	})
	return status
}

// soon plays something until it takes no longer than this, five times at most: on a
// machine that does much else everybody may have to wait now and then, and nobody each
// time.
func soon(t *testing.T, within time.Duration, what string, play func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		took = append(took, play())
		if took[len(took)-1] <= within {
			return
		}
	}
	t.Errorf("%s took %v, want at most %s", what, took, within)
}

// refusedAlways sends until six deliveries in a row were refused. One alone may have
// been late on a machine that does much else, before there was any fault.
func refusedAlways(t *testing.T, send func() int) {
	t.Helper()
	row := 0
	for n := 0; row < 6; n++ {
		switch status := send(); {
		case status == http.StatusServiceUnavailable:
			row++
		case status != http.StatusNoContent:
			t.Fatalf("a delivery that cannot be stored is answered %d", status)
		case n > 20_000:
			t.Fatal("deliveries are taken as if there were no fault")
		default:
			row = 0
		}
	}
}

// takenAgain sends until a delivery is taken.
func takenAgain(t *testing.T, send func() int) {
	t.Helper()
	eventually(t, patience, func() error {
		if status := send(); status != http.StatusNoContent {
			return fmt.Errorf("a delivery without a fault is answered %d", status)
		}
		return nil
	})
}

func faultySyscalls(t *testing.T, calls, fault string) {
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	c := client(t, 10*time.Second)
	acked := map[string]bool{}
	n := 0
	send := func() int {
		t.Helper()
		e := arrival(n)
		n++
		status := w.answered(c, delivery(e))
		if status == http.StatusNoContent {
			acked[e.person] = true
		}
		return status
	}
	takenAgain(t, send)
	trace := w.run(nil, "strace", "-f", "-p", strconv.Itoa(daemon.cmd.Process.Pid), "-o", os.DevNull,
		"-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:error=%s", calls, fault))
	eventually(t, patience, func() error {
		if !trace.alive() {
			t.Skipf("skipped: strace cannot attach to a process here: %s", trace.output.String())
		}
		if !strings.Contains(trace.output.String(), "attached") {
			return fmt.Errorf("strace says %q", trace.output.String())
		}
		return nil
	})
	refusedAlways(t, send) // threads that strace has not reached yet are still sound
	trace.signal(syscall.SIGINT)
	trace.wait(patience)
	takenAgain(t, send)
	daemon.kill()
	w.holds(acked)
}

// ends runs the daemon, which must end by itself with exit code 1, and gives
// what it says. Nothing listens afterwards.
func (w *world) ends() string {
	w.t.Helper()
	c := w.start()
	for range 5 { // Amazon Connect may not answer in time, as if nobody could reach it
		eventually(w.t, patience, func() error {
			if c.alive() && !c.works() {
				return errors.New("the daemon does not end")
			}
			return nil
		})
		if !c.works() {
			break
		}
		c.stop()
		c = w.start()
	}
	c.wait(patience)
	if code := c.cmd.ProcessState.ExitCode(); code != 1 {
		w.t.Errorf("exit code %d, want 1", code)
	}
	if _, err := os.Lstat(w.socket()); err == nil {
		w.t.Error("a socket is left")
	}
	for _, address := range []string{w.listen, w.admin} {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			w.t.Errorf("somebody listens on %s", address)
		}
	}
	return c.output.String()
}

// works reports whether the daemon goes on without Amazon Connect.
func (c *child) works() bool {
	return strings.Contains(c.output.String(), "cannot read the Amazon Connect instance; requests are stored")
}

func says(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("the program does not say %q:\n%s", s, text)
		}
	}
}

func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	first := newWorld(t, setup{})
	running := first.started()
	second := newWorld(t, setup{database: first.database})
	text := second.ends()
	says(t, text, "connectroster: open the store:", fmt.Sprintf("by process %d", running.cmd.Process.Pid), "stop that process first")
	if n := strings.Count(strings.TrimSpace(text), "\n"); n > 0 {
		t.Errorf("more than one line:\n%s", text)
	}
	first.subscribe() // it still works
	running.stop()
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.started().stop()
	db, err := sql.Open("sqlite", "file:"+w.database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, w.ends(), "the database has schema 99", "run the newer version, or restore a backup")
}

// TestBadConfiguration: every fault is told at once, and nothing is started.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: "listne: nowhere\nworkers: many"})
	says(t, w.ends(), "connectroster.yaml:15:1: listne", "connectroster.yaml:16:10: workers")
	if _, err := os.Stat(w.database); err == nil {
		t.Error("a database was made")
	}
}

// TestImpossibleInstances: what no waiting can mend ends the program with the
// reason.
func TestImpossibleInstances(t *testing.T) {
	t.Parallel()
	const other = "99999999-2222-3333-4444-555555555555"
	for _, c := range []struct {
		name  string
		setup setup
		want  []string
	}{
		{"unknown", setup{instance: other}, []string{"there is no instance " + other, "eu-central-1"}},
		{"unknown alias", setup{instance: "somebody-elses"}, []string{`no instance with the alias "somebody-elses"`, "connectroster-sim"}},
		{"passwords", setup{connect: simconnect.Settings{IdentityType: simconnect.ConnectManaged}}, []string{"CONNECT_MANAGED", "SAML"}},
		{"directory", setup{connect: simconnect.Settings{IdentityType: simconnect.ExistingDirectory}}, []string{"EXISTING_DIRECTORY", "SAML"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			says(t, newWorld(t, c.setup).ends(), c.want...)
		})
	}
}

// TestWrongCredentials: AWS refusing us is no reason to lose deliveries, and
// work begins without a restart once it is put right.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.must(w.instance.AddFaults(simconnect.Fault{
		Times: -1, Status: http.StatusForbidden, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.",
	}))
	daemon := w.started()
	w.subscribe()
	w.join(w.hire(1))
	w.taken()
	eventually(t, patience, func() error {
		if !strings.Contains(daemon.output.String(), "check the credentials") {
			return fmt.Errorf("the log does not say what to check")
		}
		return nil
	})
	w.instance.ClearFaults()
	w.converge()
	daemon.stop()
	w.audit()
}

// TestConnectAway: the same for a Connect that cannot be reached when the daemon
// starts.
func TestConnectAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	w.subscribe()
	w.join(w.hire(1))
	w.taken()
	eventually(t, patience, func() error { // what it writes is read beside the test
		if !strings.Contains(daemon.output.String(), "cannot read the Amazon Connect instance; requests are stored") {
			return errors.New("the log does not say that Amazon Connect is away")
		}
		return nil
	})
	w.arrive()
	w.converge()
	daemon.stop()
	w.audit()
}

// TestDrain: a delivery that has begun when the daemon is told to stop is still
// taken, and the daemon ends within ten seconds (P-60).
func TestDrain(t *testing.T) {
	t.Parallel()
	soon(t, 10*time.Second, "to stop", func() time.Duration { return drainHalfway(t) })
}

func drainHalfway(t *testing.T) time.Duration {
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	e := arrival(1)
	body := delivery(e)
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", hookSecret, len(body))
	// The answer to Expect says that the body is being read.
	const proceed = "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(proceed))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != proceed {
		t.Fatalf("%q, %v", got, err)
	}
	half := len(body) / 2
	if _, err := conn.Write(body[:half]); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	daemon.signal(syscall.SIGTERM)
	eventually(t, patience, func() error {
		if other, err := net.DialTimeout("tcp", w.listen, time.Second); err == nil {
			_ = other.Close()
			return fmt.Errorf("the daemon takes more connections after SIGTERM")
		}
		return nil
	})
	if _, err := conn.Write(body[half:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 204 ")) {
		t.Errorf("the delivery in the middle was answered %q, %v", answer, err)
	}
	if how := daemon.wait(patience); how != "exit status 0" {
		t.Errorf("the daemon ended with %s", how)
	}
	took := time.Since(told)
	w.holds(map[string]bool{e.person: true})
	return took
}

// TestDrainStuck: a sender that never finishes does not keep the daemon from
// stopping.
func TestDrainStuck(t *testing.T) {
	t.Parallel()
	soon(t, 12*time.Second, "to stop", func() time.Duration { return drainStuck(t) })
}

func drainStuck(t *testing.T) time.Duration {
	w := newWorld(t, setup{away: true})
	daemon := w.started()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /hooks/okta HTTP/1.1\r\nHost: hook\r\nAuthorization: %s\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", hookSecret)
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	daemon.signal(syscall.SIGTERM)
	daemon.wait(patience)
	took := time.Since(told)
	t.Logf("stopped in %s", took.Round(time.Millisecond))
	return took
}

// TestDevReportsFailure: the playground ends with exit code 1 when an agent is
// missing.
func TestDevReportsFailure(t *testing.T) {
	t.Parallel()
	path := program(t)
	w := &world{t: t, dir: t.TempDir()}
	dev := w.run(nil, path, "dev", "--once", "--people", "12", "--rate", "0.5")
	simulator := regexp.MustCompile(`Amazon Connect simulator +(http://\S+)`)
	eventually(t, patience, func() error {
		url := simulator.FindStringSubmatch(dev.output.String())
		if url == nil {
			return fmt.Errorf("dev does not say where its simulator is")
		}
		fault := `{"operation": "CreateUser", "times": -1, "status": 400, "code": "InvalidParameterException", "message": "no"}`
		status, answer, err := call(http.MethodPost, url[1]+"/_sim/faults", nil, []byte(fault))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, answer)
		}
		return err
	})
	if how := dev.wait(3 * patience); how != "exit status 1" {
		t.Errorf("dev ended with %s, want exit status 1", how)
	}
	says(t, dev.output.String(), "missing", "of 12 agents are right")
}
