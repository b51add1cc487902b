package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// childVariable tells the test binary to be the child, on the file it names.
const childVariable = "CONNECTROSTER_TEST_CHILD"

// child opens the database and enqueues from eight goroutines until it is
// killed. It prints each person once the request is acknowledged.
func child(path string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				person := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, n)
				fact := reconcile.Fact{Person: person, Group: "g", Member: true, Published: time.Now()}
				if err := s.Enqueue(ctx, reconcile.Request{Person: person, Facts: []reconcile.Fact{fact}}); err != nil {
					fmt.Println("error:", err)
					os.Exit(1)
				}
				fmt.Println(person) // one write: os.Stdout is not buffered
			}
		})
	}
	all.Wait()
}

// guardVariable tells the child to be guardChild.
const guardVariable = "CONNECTROSTER_TEST_GUARD"

// guardChild takes places and saves tombstones from eight goroutines until it is
// killed. It prints each person once both are acknowledged.
func guardChild(path string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				person := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, n)
				answer, err := s.Reserve(ctx, crashRemoval(person), reconcile.Limits{})
				if err == nil && answer.State == reconcile.ReservationGranted {
					err = s.SaveTombstone(ctx, reconcile.Tombstone{Person: person, Agent: plan.Agent{ID: person}})
				}
				if err != nil {
					fmt.Println("error:", err)
					os.Exit(1)
				}
				fmt.Println(string(answer.State), person)
			}
		})
	}
	all.Wait()
}

// crashRemoval is what guardChild asks for: of a small instance, so that most of
// it is held.
func crashRemoval(person string) reconcile.Removal {
	return reconcile.Removal{Kind: reconcile.RemovalStatus, Person: person, Hash: person, Owned: 500, At: time.Now(), Change: &plan.Change{Person: person}}
}

// guarded checks what guardChild acknowledged: who was granted has a place and a
// tombstone, who was held is in a hold, and no more than the limit were granted.
func guarded(t *testing.T, path string, acknowledged map[string]string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	granted := 0
	for person, state := range acknowledged {
		answer, err := s.Reserve(t.Context(), crashRemoval(person), reconcile.Limits{})
		if err != nil || string(answer.State) != state {
			t.Fatalf("%s was %s; asked again: %+v (error %v)", person, state, answer, err)
		}
		tombs, err := s.Tombstones(t.Context(), person)
		if err != nil || (len(tombs) == 1) != (state == "granted") {
			t.Fatalf("%s was %s and has the tombstones %v (error %v)", person, state, tombs, err)
		}
		if state == "granted" {
			granted++
		}
	}
	holds, err := s.Holds(t.Context(), reconcile.HoldQuery{})
	if err != nil || len(holds) > 1 || len(holds) == 1 && len(holds[0].Entries) < len(acknowledged)-granted {
		t.Fatalf("%d holds (error %v), want at most one, of all who were held", len(holds), err)
	}
	var places, numbered int
	if err := s.read.QueryRowContext(t.Context(), `SELECT count(*), coalesce(max(nth), 0) FROM places`).Scan(&places, &numbered); err != nil {
		t.Fatal(err)
	}
	if places < granted || places > 50 || places != numbered {
		t.Fatalf("%d places are taken, numbered to %d, %d were acknowledged; the limit is 50", places, numbered, granted)
	}
}

// start runs the child and gives its lines. End it by killing it.
func start(t *testing.T, path string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	c.Env = append(append(os.Environ(), childVariable+"="+path), env...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the child says %q", lines.Text())
	}
	return c, lines
}

// TestKill kills a busy process again and again: whatever it acknowledged is
// there afterwards, with its fact, and the file is sound.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	path := filepath.Join(t.TempDir(), "test.db")
	acknowledged := map[string]bool{}
	for range rounds {
		c, lines := start(t, path)
		limit := 20 + rand.IntN(400)
		for lines.Scan() {
			line := lines.Text()
			if strings.HasPrefix(line, "error") {
				t.Fatal(line)
			}
			acknowledged[line] = true
			if limit--; limit == 0 {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = c.Wait()
		sound(t, path, acknowledged)
	}
	t.Logf("%d kills, %d acknowledged requests, none lost", rounds, len(acknowledged))
}

// sound checks the file and that it holds what was acknowledged.
func sound(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var verdict string
	if err := s.read.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity check: %s (error %v)", verdict, err)
	}
	people, err := s.People(t.Context(), reconcile.WaitingQuery{State: reconcile.StateDue, Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]bool{}
	for _, p := range people {
		stored[p.Person] = true
	}
	facts := map[string]bool{}
	for f, err := range s.AllFacts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		facts[f.Person] = true
	}
	for person := range acknowledged {
		if !stored[person] || !facts[person] {
			t.Fatalf("%s was acknowledged; stored: %v, fact: %v", person, stored[person], facts[person])
		}
	}
	if len(facts) != len(stored) {
		t.Fatalf("%d people and facts about %d: a transaction was torn", len(stored), len(facts))
	}
}

func TestSecondProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	c, lines := start(t, path)
	var drained sync.WaitGroup
	drained.Go(func() {
		for lines.Scan() { // the child must not block on its output
		}
	})

	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), Config{Path: name})
		if !errors.Is(err, ErrLocked) {
			t.Fatalf("open %s: got %v, want ErrLocked", name, err)
		}
		if pid := fmt.Sprintf("process %d ", c.Process.Pid); !strings.Contains(err.Error(), pid) || !strings.Contains(err.Error(), "stop that process") {
			t.Errorf("the error does not say who holds the file or what to do: %v", err)
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	drained.Wait()
	_ = c.Wait()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatalf("open after the other process died: %v", err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrLocked) {
		t.Errorf("open twice in one process: got %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
