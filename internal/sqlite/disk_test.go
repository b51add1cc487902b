package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

func request(n int) reconcile.Request {
	person := fmt.Sprintf("p%06d", n)
	return reconcile.Request{Person: person, Trigger: reconcile.TriggerHook, Facts: []reconcile.Fact{
		{Person: person, Group: "g", GroupName: strings.Repeat("x", 200), Member: true, Published: time.UnixMicro(int64(n))},
	}}
}

// fill enqueues until an error and gives how many were acknowledged.
func fill(t *testing.T, s subject) (acknowledged int, err error) {
	t.Helper()
	for n := range 100_000 {
		if err := s.Enqueue(t.Context(), request(n)); err != nil {
			return n, err
		}
	}
	t.Fatal("the disk never got full")
	return 0, nil
}

// holds demands that exactly the first n people are stored, with their facts.
func holds(t *testing.T, s subject, n int) {
	t.Helper()
	b, err := s.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts := 0
	for _, err := range s.AllFacts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		facts++
	}
	if b.Due != n || facts != n {
		t.Fatalf("%d people and %d facts are stored, want %d of each", b.Due, facts, n)
	}
}

// TestFull has SQLite refuse to let the file grow.
func TestFull(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	limit := func(pages int) {
		t.Helper()
		if _, err := s.writer.db.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(60)
	n, err := fill(t, s)
	if n == 0 || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("after %d requests: %v", n, err)
	}
	holds(t, s, n)
	// A call of many is one piece.
	var many []reconcile.Request
	for i := range 500 {
		many = append(many, request(n+i))
	}
	if err := s.Enqueue(t.Context(), many...); err == nil {
		t.Fatal("500 requests fit where one did not")
	}
	holds(t, s, n)

	limit(1 << 30)
	if err := s.Enqueue(t.Context(), many...); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	holds(t, s, n+500)
}

// TestFullDisk has a real disk without room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(dir, "test.db"), clock.Now)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("ready with room: %v", err)
	}
	n, err := fill(t, s)
	if n == 0 || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("after %d requests: %v", n, err)
	}
	for range 3 {
		if err := s.Enqueue(t.Context(), request(n)); err == nil {
			t.Fatal("a full disk took one more request")
		}
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Fatal("ready although the disk is full")
	}
	holds(t, s, n)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := s.Enqueue(t.Context(), request(n)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	clock.Advance(time.Minute)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("ready with room again: %v", err)
	}
	s = s.Reopen(t).(subject)
	holds(t, s, n+1)
}

// TestBusy has another program hold the file.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	other, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	for len(waited) == 0 || waited[len(waited)-1] > time.Second && len(waited) < 5 { // a busy machine makes one wait now and then, not each time
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		if err := s.Enqueue(ctx, request(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("enqueue with a deadline: got %v, want DeadlineExceeded", err)
		}
		waited = append(waited, time.Since(began))
		cancel()
	}
	if waited[len(waited)-1] > time.Second {
		t.Errorf("a caller with a deadline of 50 ms waited %v", waited)
	}
	if err := s.Enqueue(t.Context(), request(1)); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("enqueue: got %v, want that another program holds the database", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if list, err := s.People(t.Context(), reconcile.WaitingQuery{Person: request(1).Person}); err != nil || len(list) != 0 {
		t.Errorf("a refused request was stored: %v (error %v)", list, err)
	}
	if err := s.Enqueue(t.Context(), request(2)); err != nil {
		t.Errorf("enqueue once the other program is done: %v", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sqlite := func(name string, statements ...string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		db, err := sql.Open("sqlite", source(path))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	ours := func(name string, change string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := openSubject(t, path, time.Now).Close(); err != nil {
			t.Fatal(err)
		}
		return sqlite(name, change)
	}
	damaged := ours("damaged.db", `PRAGMA user_version = 1`)
	data, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[100:4096], bytes.Repeat([]byte{0xff}, 4096)) // the first page, behind the header

	for _, c := range []struct{ path, want string }{
		{write("text.db", []byte(strings.Repeat("name: production\n", 100))), "not a SQLite database"},
		{write("damaged2.db", data), "damaged"},
		{sqlite("other.db", `CREATE TABLE songs (title TEXT)`), "of another program"},
		{ours("newer.db", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`), "schema 99"},
		{filepath.Join(dir, "missing", "test.db"), "does not exist: create it first"},
		{filepath.Join(damaged, "test.db"), "not a folder"},
		{dir, "not a regular file"},
		{"", "no path"},
	} {
		before, _ := os.ReadFile(c.path)
		s, err := Open(t.Context(), Config{Path: c.path})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was opened, want an error with %q", c.path, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("open %s: got %v, want %q", c.path, err, c.want)
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", c.path)
		}
		// The lock is free again.
		if _, err := Open(t.Context(), Config{Path: c.path}); errors.Is(err, ErrLocked) {
			t.Errorf("second try: %v", err)
		}
	}
}

// TestDamagedPages scribbles over the tables of a good file: whatever is asked,
// the answer is an error that says so, or the truth.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openSubject(t, path, time.Now)
	for n := range 200 {
		if err := s.Enqueue(t.Context(), request(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for page := 1; page < len(good)/4096; page++ {
		bad := bytes.Clone(good)
		copy(bad[page*4096:(page+1)*4096], bytes.Repeat([]byte{0xa5}, 4096))
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Config{Path: path})
		if err == nil {
			for n := range 200 {
				if err = s.Enqueue(t.Context(), request(n)); err != nil {
					break
				}
			}
			_ = s.Close()
		}
		if err != nil {
			found++
			if !strings.Contains(err.Error(), "damaged") {
				t.Errorf("page %d: %v", page, err)
			}
		}
	}
	if found == 0 {
		t.Error("no damage was noticed")
	}
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a file? with 100% odd #name.db")
	var first []string
	for range 3 {
		s := openSubject(t, path, time.Now)
		var schema []string
		rows, err := s.read.QueryContext(t.Context(), `SELECT type || ' ' || name FROM sqlite_schema UNION ALL SELECT 'version ' || version_id FROM goose_db_version`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			schema = append(schema, line)
		}
		if err := errors.Join(rows.Err(), s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = schema
		}
		if diff := cmp.Diff(first, schema); diff != "" {
			t.Fatalf("the schema changed by opening again:\n%s", diff)
		}
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the write-ahead log is left after Close: %v", err)
	}
	s := openSubject(t, path, time.Now)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Enqueue(t.Context(), request(0)); !errors.Is(err, errClosed) {
		t.Errorf("enqueue after close: got %v, want errClosed", err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := openSubject(t, path, time.Now)
	if err := s.Enqueue(t.Context(), request(0)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s is %s, want 0600", info.Name(), info.Mode())
		}
	}
}

// TestPragmas checks what durability hangs on, and how much memory is taken.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	for _, c := range []struct {
		db           *sql.DB
		pragma, want string
	}{
		{s.writer.db, "journal_mode", "wal"},
		{s.writer.db, "synchronous", "2"},
		{s.writer.db, "cache_size", "-256"},
		{s.read, "journal_mode", "wal"},
		{s.read, "cache_size", "-256"},
		{s.read, "query_only", "1"},
	} {
		var got string
		if err := c.db.QueryRowContext(t.Context(), `PRAGMA `+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s is %s (error %v), want %s", c.pragma, got, err, c.want)
		}
	}
	if _, err := s.read.ExecContext(t.Context(), `DELETE FROM people`); err == nil {
		t.Error("the read pool can write")
	}
}
