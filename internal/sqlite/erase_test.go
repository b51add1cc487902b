package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// TestEraseLeavesNothing writes a name into every place that may hold one, in
// rows that stay, are replaced and are deleted, and wants to see none of it in
// any file afterwards (P-57).
func TestEraseLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openSubject(t, path, time.Now)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	canary := func() string {
		n++
		return fmt.Sprintf("Canary%04d", n)
	}
	agent := func(id string) *plan.Agent {
		return &plan.Agent{
			ID: id, Username: canary(), FirstName: canary(), LastName: canary() + strings.Repeat("x", 6000), // over more than a page
			Phone: plan.Phone{DeskNumber: canary()}, Tags: map[string]string{canary(): canary()},
		}
	}
	change := func(action plan.Action) *plan.Change {
		return &plan.Change{Action: action, Person: "00u1", Before: agent("a"), After: agent("a"), Parked: agent("a")}
	}
	for i := range 30 {
		for _, person := range []string{"00u1", "00u2"} {
			who := canary
			if person == "00u2" {
				who = func() string { return "Somebody else" }
			}
			must(s.Enqueue(ctx, reconcile.Request{Person: person, Facts: []reconcile.Fact{{
				Person: person, Group: fmt.Sprint("g", i%7), GroupName: "Agents", Login: who(), DisplayName: who(), Published: time.Now(), Member: true,
			}}}))
		}
		must(s.Record(ctx, reconcile.Entry{Time: time.Now(), Person: "00u1", Kind: reconcile.EntryChange, Before: agent("a"), After: agent("a")}))
		must(s.Record(ctx, reconcile.Entry{Time: time.Now(), Person: "00u2", Kind: reconcile.EntryChange, After: &plan.Agent{FirstName: "Somebody else"}}))
		must(s.SaveTombstone(ctx, reconcile.Tombstone{Person: "00u1", Agent: *agent(fmt.Sprint("agent-", i%7))}))
		if i%3 == 0 {
			must(s.DropTombstone(ctx, fmt.Sprint("agent-", i%7)))
		}
		must(s.SaveIntent(ctx, reconcile.Intent{Person: "00u1", Instance: fmt.Sprint("i", i%3), Username: canary(), Change: change(plan.Create)}))
		_, err := s.Reserve(ctx, reconcile.Removal{
			Kind: reconcile.RemovalStatus, Person: "00u1", Hash: fmt.Sprint(i), Cliff: "cliff", At: time.Now(), Change: change(plan.Suspend),
		}, reconcile.Limits{})
		must(err)
	}
	for i := range 3 {
		must(s.DropIntent(ctx, "00u1", fmt.Sprint("i", i)))
	}
	must(s.SaveIntent(ctx, reconcile.Intent{Person: "00u1", Instance: "open", Change: change(plan.Suspend)}))

	// An earlier version left behind what it deleted.
	careless, err := sql.Open("sqlite", source(path, "secure_delete(0)"))
	must(err)
	defer careless.Close()
	for _, query := range []string{
		`INSERT INTO facts SELECT '00u1', 'old' || value, 'g', '` + canary() + `', '` + canary() + `', 1, 1, 'e' FROM (WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT value FROM n)`,
		`DELETE FROM facts WHERE group_id LIKE 'old%'`,
	} {
		_, err := careless.ExecContext(ctx, query)
		must(err)
	}

	if found := canaries(t, path); found["test.db"]+found["test.db-wal"] < n {
		t.Fatalf("%d canaries were written, and the files show %v", n, found)
	}
	// Somebody is in the middle of reading when it begins.
	rows, err := s.read.QueryContext(ctx, `SELECT before FROM journal_personal`)
	must(err)
	rows.Next()
	ended := make(chan error)
	go func() {
		s.begun(t)
		ended <- rows.Close()
	}()
	counts, err := s.Erase(ctx, "00u1")
	must(err)
	must(<-ended)
	if want := (reconcile.Erased{Entries: 30, Facts: 7, Tombstones: 7, Holds: 30, Intents: 1}); counts.Entries != want.Entries || counts.Facts != want.Facts || counts.Holds != want.Holds || counts.Intents != want.Intents || counts.Open != 0 || counts.Tombstones == 0 {
		t.Errorf("erased %+v, want about %+v", counts, want)
	}
	for file, found := range canaries(t, path) {
		if found > 0 {
			t.Errorf("%s still holds a canary", file)
		}
	}
	must(s.Verify(ctx, ""))
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() > 0 {
		t.Errorf("the write-ahead log has %d bytes (error %v)", info.Size(), err)
	}
	// The others are as they were, and so is the rest.
	entries, err := s.Recent(ctx, reconcile.Query{Person: "00u2"})
	if err != nil || len(entries) != 30 || entries[0].After.FirstName != "Somebody else" {
		t.Errorf("the journal of somebody else has %d entries (error %v)", len(entries), err)
	}
	must(s.Enqueue(ctx, reconcile.Request{Person: "00u1"}))
	s = s.Reopen(t).(subject)
	must(s.Verify(ctx, ""))
	if len(canaries(t, path)) == 0 {
		t.Error("no file was looked at")
	}
}

// begun waits until what is to be erased is deleted, and may still be in the
// files.
func (s subject) begun(t *testing.T) {
	for {
		facts, err := s.Facts(t.Context(), "00u1")
		if err != nil {
			t.Error(err)
			return
		}
		if len(facts) == 0 {
			return
		}
	}
}

// canaries counts the canaries in each file of a database.
func canaries(t *testing.T, path string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = bytes.Count(content, []byte("Canary"))
	}
	return found
}

// TestEraseInterrupted has somebody read all the time: Erase says that it did not
// finish, and does when it is asked again.
func TestEraseInterrupted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openSubject(t, path, time.Now)
	fact := reconcile.Fact{Person: "00u1", Group: "g", DisplayName: "Canary"}
	for _, person := range []string{"00u1", "00u2"} {
		if err := s.Enqueue(t.Context(), reconcile.Request{Person: person, Facts: []reconcile.Fact{fact}}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.read.QueryContext(t.Context(), `SELECT person FROM people`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan struct{})
	go func() { // a busy machine may take long until then
		defer close(begun)
		s.begun(t)
		time.AfterFunc(3*time.Second, cancel)
	}()
	if _, err := s.Erase(ctx, "00u1"); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Fatalf("erase while somebody reads: got %v, want to be told to try again", err)
	}
	<-begun
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Erase(t.Context(), "00u1"); err != nil {
		t.Fatal(err)
	}
	for file, n := range canaries(t, path) {
		if n > 0 {
			t.Errorf("%s still holds the canary", file)
		}
	}
}
