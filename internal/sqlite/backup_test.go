package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// TestBackupVouchesForNothing sees that a copy has all but what would let access
// be taken without approval, by whichever way it was made.
func TestBackupVouchesForNothing(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "a [b]*.db"), time.Now)
	for _, name := range []string{"mark", "mark/emea", "marker", "cursor"} {
		if err := s.SaveNote(t.Context(), name, "of "+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Enqueue(t.Context(), reconcile.Request{Person: "00u1", Trigger: reconcile.TriggerSweep}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO holds (id, instance, cause, opened) VALUES (1, '', 'the first sweep', 1)`,
		`INSERT INTO hold_entries (hold, person, instance, agent, kind, action, hash, reason, state, created, expires, decider, decided)
			VALUES (1, '00u1', '', 'a1', 'status', 'suspend', 'h1', 'r', 'approved', 1, 9, 'ana', 2),
			       (1, '00u2', '', 'a2', 'status', 'suspend', 'h2', 'r', 'spent', 1, 9, 'ana', 2)`,
		`INSERT INTO places (instance, person, hash, at, span, nth, removal) VALUES ('', '00u2', 'h2', 5, 'status', 1, 1)`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want := "cursor, marker | 00u1 waiting, 00u2 spent | - 1 | 00u1"

	var out bytes.Buffer
	if err := s.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(made, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := told(t, made); got != want {
		t.Errorf("the backup says %q, want %q", got, want)
	}
	if got := told(t, s.path); !strings.HasPrefix(got, "cursor, mark, mark/emea, marker | 00u1 approved, ") {
		t.Errorf("the database itself was changed: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.path), "*copy*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}

	// A copy of the disk, of a daemon that was stopped.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "restored.db")
	if done, err := Restore(t.Context(), s.path, to, time.Now()); err != nil || done.Kept != "" {
		t.Fatal(done, err)
	}
	if got := told(t, to); got != want {
		t.Errorf("the restored database says %q, want %q", got, want)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	// What a crash has left is gone after the next start.
	junk := to + ".copy-123"
	if err := os.Mkdir(junk, 0o700); err != nil {
		t.Fatal(err)
	}
	openSubject(t, to, time.Now)
	if _, err := os.Stat(junk); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash has left is still there: %v", err)
	}
}

// told is what a database says of what matters here.
func told(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", source(path, "query_only(1)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all []string
	for _, query := range []string{
		`SELECT group_concat(name, ', ' ORDER BY name) FROM notes`,
		`SELECT group_concat(person || ' ' || state, ', ' ORDER BY person) FROM hold_entries`,
		`SELECT group_concat(CASE hash WHEN '' THEN '-' ELSE hash END || ' ' || nth) FROM places`,
		`SELECT group_concat(person) FROM people`,
	} {
		var text string
		if err := db.QueryRow(query).Scan(&text); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		all = append(all, text)
	}
	return strings.Join(all, " | ")
}

// TestBackupWhileWriting takes copies while people are enqueued and entries
// recorded. Each holds all that was durable before it, and its journal is whole.
func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	ctx, stop := context.WithCancel(t.Context())
	written, done := make(chan int64, 1), make(chan error, 1)
	go func() {
		var seq int64
		for ctx.Err() == nil {
			if err := s.Record(context.WithoutCancel(ctx), reconcile.Entry{Time: time.Now(), Person: "00u1", Kind: reconcile.EntryRefusal, Reason: "because"}); err != nil {
				done <- err
				return
			}
			seq++
			select {
			case <-written:
			default:
			}
			written <- seq
		}
		done <- nil
	}()
	for range 5 {
		before := <-written
		var out bytes.Buffer
		if err := s.Backup(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "backup.db")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", source(path, "query_only(1)"))
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if err := errors.Join(db.QueryRow(`SELECT count(*) FROM journal`).Scan(&n), db.Close()); err != nil || n < before {
			t.Errorf("%d entries are in the copy, %v; %d were written before it", n, err, before)
		}
	}
	stop()
	for {
		select {
		case <-written:
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

// TestCheckFindsTampering changes an entry of a copy.
func TestCheckFindsTampering(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	if err := s.Record(t.Context(), reconcile.Entry{Time: time.Now(), Person: "00u1", Kind: reconcile.EntryRefusal, Reason: "because"}); err != nil {
		t.Fatal(err)
	}
	s.Tamper(t, 1, func(e *reconcile.Entry) { e.Reason = "for no reason" })
	var broken *reconcile.BrokenChainError
	if err := s.Backup(t.Context(), &bytes.Buffer{}); !errors.As(err, &broken) {
		t.Errorf("a copy of a journal that was tampered with: %v", err)
	}
	if err := Check(t.Context(), filepath.Join(t.TempDir(), "nowhere.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
