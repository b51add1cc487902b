package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/failpoint"
	simokta "connectroster/internal/sim/okta"
)

// workload is something that happens in Okta.
type workload struct {
	name  string
	visit int // of a place that each person passes
	run   func(w *world)
}

var workloads = []workload{
	{"one", 1, func(w *world) { w.join(w.hire(1)) }},
	{"batch", 2, func(w *world) {
		w.must(w.org.Configure(func(s *simokta.Settings) { s.MaxBatch, s.BatchWindow = 3, time.Minute }))
		for n := range 3 {
			w.join(w.hire(n))
		}
	}},
	// Two people go in and out, one of them to stay, and Okta sends everything
	// twice.
	{"churn", 1, func(w *world) {
		w.must(w.org.Configure(func(s *simokta.Settings) { s.DuplicateEvery = 1 }))
		stays, goes := w.hire(1), w.hire(2)
		w.join(stays)
		w.join(goes)
		w.leave(stays)
		w.leave(goes)
		w.join(stays)
	}},
}

// kinds are the ways in which a process ends at a failpoint.
var kinds = []string{"kill", "term", "panic"}

// TestCrashAtFailpoints ends the daemon at each place of the way of an event,
// in each way and under each workload (P-01). Whatever was acknowledged has its
// effect once the daemon is back, nobody has two agents, nothing is created
// twice, and the journal is whole. A place that is never reached is a failure.
//
// A process that dies between the intent and the call leaves open whether there
// is an agent, so these cases last 60 seconds.
func TestCrashAtFailpoints(t *testing.T) {
	t.Parallel()
	program(t)
	total, played := 0, 0
	for _, point := range slices.Backward(failpoint.List) { // those that last come early
		if point == failpoint.WorkReserved || point == failpoint.WorkRemembered {
			continue // nothing is taken from anybody here; see TestCrashInLife
		}
		for _, kind := range kinds {
			for _, load := range workloads {
				total++
				if testing.Short() && total%6 != 0 {
					continue
				}
				played++
				t.Run(point+"/"+kind+"/"+load.name, func(t *testing.T) {
					t.Parallel()
					crash(t, point, kind, load)
				})
			}
		}
	}
	t.Logf("%d of %d cases: %d places, %d ways to end, %d workloads", played, total, len(failpoint.List)-2, len(kinds), len(workloads))
}

func crash(t *testing.T, point, kind string, load workload) {
	w := newWorld(t, setup{})
	armed := w.started(arm(point, kind, load))
	w.subscribe() // a verification passes none of the places
	load.run(w)
	reached(t, armed, point, kind)
	w.idle()
	if armed.alive() { // a panic that concerned one request or one person
		armed.stop()
	}

	after := w.started()
	if dead := w.replay(); dead > 0 && kind != "panic" {
		t.Errorf("%d people were given up", dead)
	}
	w.converge()
	w.redeliver()
	w.converge()
	after.stop()
	w.audit()
}

// arm sets a failpoint. Those of the workers are passed once per person.
func arm(point, kind string, load workload) string {
	visit := 1
	if strings.HasPrefix(point, "work-") {
		visit = load.visit
	}
	armed := fmt.Sprintf("CONNECTROSTER_FAILPOINT=%s:%d", point, visit)
	if kind != "kill" {
		armed += ":" + kind
	}
	return armed
}

// reached waits until the failpoint has struck, and checks how the process took
// it.
func reached(t *testing.T, c *child, point, kind string) {
	t.Helper()
	switch kind {
	case "kill":
		if how := c.wait(patience); how != "signal: killed" {
			t.Fatalf("the daemon ended with %s at %s, want to see it killed", how, point)
		}
	case "term":
		if how := c.wait(patience); how != "exit status 0" {
			t.Fatalf("the daemon ended with %s after SIGTERM at %s", how, point)
		}
	case "panic":
		eventually(t, patience, func() error {
			if strings.Contains(c.output.String(), "failpoint.Hit") { // in a stack
				return nil
			}
			return fmt.Errorf("no panic at %s", point)
		})
		if !contained(point) {
			if how := c.wait(patience); how != "exit status 2" {
				t.Fatalf("the daemon ended with %s after a panic at %s", how, point)
			}
		}
	}
}

// contained reports whether a panic there concerns one request or one person
// alone. Elsewhere the state of the process is in doubt, and it ends.
func contained(point string) bool {
	switch point {
	case failpoint.WorkClaimed, failpoint.WorkSettled:
		return false
	}
	return !strings.HasPrefix(point, "queue-")
}

// TestRandomKills kills the daemon again and again while people join without
// pause (P-01).
func TestRandomKills(t *testing.T) {
	t.Parallel()
	kills := fraction(t, 25, 200)
	w := newWorld(t, setup{})
	w.must(w.org.Configure(func(s *simokta.Settings) { s.Parallel = 4 }))
	first := w.started()
	w.subscribe()
	first.kill()

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	end := w.stream(20 * time.Millisecond)
	for n := range kills {
		c := w.start()
		if n%4 > 0 { // the others may die while they start
			w.ready(c)
		}
		<-time.After(time.Duration(5+random.IntN(296)) * time.Millisecond)
		c.kill()
	}
	end()
	w.settle(t, fmt.Sprintf("%d kills", kills))
}

// TestRestarts stops and starts the daemon again and again while people join
// without pause (P-60).
func TestRestarts(t *testing.T) {
	t.Parallel()
	restarts := fraction(t, 20, 200)
	w := newWorld(t, setup{})
	w.must(w.org.Configure(func(s *simokta.Settings) { s.Parallel = 4 }))
	c := w.started()
	w.subscribe()
	end := w.stream(20 * time.Millisecond)
	for range restarts {
		before := len(w.story().acknowledged)
		eventually(t, patience, func() error {
			if n := len(w.story().acknowledged); n < before+5 {
				return fmt.Errorf("%d deliveries acknowledged, %d before the restart", n, before)
			}
			return nil
		})
		c.stop()
		c = w.started()
	}
	end()
	c.stop()
	w.settle(t, fmt.Sprintf("%d restarts", restarts))
}

// fraction gives how often something is done in a normal run, and prints it. A
// run with CONNECTROSTER_FULL=1 does all of it, a short one a fifth.
func fraction(t *testing.T, normal, all int) int {
	t.Helper()
	n := normal
	switch {
	case full():
		n = all
	case testing.Short():
		n = max(1, normal/5)
	}
	t.Logf("%d of %d; CONNECTROSTER_FULL=1 plays all", n, all)
	return n
}

// stream lets people join, one after the other, until the function it gives is
// called, which returns when Okta has no delivery left.
func (w *world) stream(every time.Duration) (end func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			user, err := w.org.AddUser(simokta.NewUser{Login: fmt.Sprintf("person%d@example.com", n), FirstName: "First", LastName: "Last"})
			if err == nil {
				err = w.org.Join(user.ID, w.group.ID)
			}
			if err != nil {
				w.t.Error(err)
				return
			}
		}
	})
	w.t.Cleanup(cancel)
	return func() {
		cancel()
		done.Wait()
		w.idle()
	}
}

// settle starts the daemon once more and checks that what was acknowledged had
// its effect, then the same for the rest.
func (w *world) settle(t *testing.T, what string) {
	t.Helper()
	c := w.started()
	s := w.story()
	if dead := w.replay(); dead > 0 {
		t.Errorf("%d people were given up", dead)
	}
	w.converge()
	again := w.redeliver()
	w.converge()
	c.stop()
	w.audit()
	if len(s.events) == again {
		t.Error("nothing was acknowledged, so this shows nothing")
	}
	t.Logf("%s, %d events of which %d were acknowledged, none lost; %d agents, none twice", what, len(s.events), len(s.events)-again, len(w.instance.Agents()))
}

// TestKilledAtSyscalls kills the daemon at its n-th write or sync, as strace
// counts them: per thread, so that n is a place of another kind every time
// (P-01).
func TestKilledAtSyscalls(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("skipped: strace is needed to end a process at a system call, and it is not in the PATH")
	}
	calls := map[string]int{"pwrite64": 200, "fsync,fdatasync": 25} // and up to which
	count := fraction(t, 5, 25)
	var mu sync.Mutex
	killed, acknowledged := 0, 0
	t.Run("kill", func(t *testing.T) {
		for name, last := range calls {
			for i := range count {
				n := 1 + i*last/count
				t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
					t.Parallel()
					died, acked := killedAt(t, name, n)
					mu.Lock()
					defer mu.Unlock()
					if died {
						killed++
					}
					acknowledged += acked
				})
			}
		}
	})
	if killed == 0 {
		t.Error("no process died at a system call, so this shows nothing")
	}
	t.Logf("%d of %d processes died at a system call; %d acknowledged deliveries, none lost", killed, len(calls)*count, acknowledged)
}

func killedAt(t *testing.T, name string, n int) (died bool, acknowledged int) {
	w := newWorld(t, setup{})
	t.Cleanup(w.end) // a strace that is killed leaves the daemon running
	traced := w.run(nil, "strace", "-f", "-qq", "-o", filepath.Join(w.dir, "strace.txt"), "-e", "trace="+name,
		"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", name, n), program(t), "serve", "--config", w.file())
	eventually(t, patience, func() error {
		if !traced.alive() {
			return nil
		}
		_, _, err := call(http.MethodGet, "http://"+w.listen+"/healthz", nil, nil)
		return err
	})
	c := client(t, 10*time.Second)
	acked := map[string]bool{}
	for i := 0; i < 40 && traced.alive(); i++ {
		e := arrival(i)
		status, err := w.post(t.Context(), c, delivery(e))
		if err == nil && status == http.StatusNoContent {
			acked[e.person] = true
		}
		var late net.Error
		if err != nil && (!errors.As(err, &late) || !late.Timeout()) { // who is slow is not dead
			died = true
			break
		}
	}
	if died = died || !traced.alive(); !died {
		w.end()
	}
	if how := traced.wait(patience); how != "signal: killed" {
		t.Errorf("the daemon ended with %s", how)
	}

	w.sound()
	stored := w.stored()
	for person := range acked {
		if !stored[person] {
			t.Errorf("the delivery about %s was acknowledged and is not stored", person)
		}
	}
	return died, len(acked)
}

// end kills the daemon behind strace, if it runs. Its id is in the lock file, and
// its command line says whether it is still ours.
func (w *world) end() {
	text, err := os.ReadFile(w.database + ".lock")
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(line), w.file()) {
		return
	}
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // it may be gone by now
	}
}

// sound checks the structure of the database file.
func (w *world) sound() {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.database)
	w.must(err)
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(w.t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		w.t.Fatalf("integrity check of the database: %s, error %v", verdict, err)
	}
}
