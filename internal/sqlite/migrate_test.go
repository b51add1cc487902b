package sqlite

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// old makes a database of the first schema, with what a program of that time had
// stored in every table.
func old(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", source(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("testdata/00001.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(content)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"people", "facts", "agents", "intents", "notes", "journal", "journal_personal", "journal_heads", "probe"} {
		var rows int
		if err := db.QueryRow(`SELECT count(*) FROM ` + table).Scan(&rows); err != nil || rows == 0 {
			t.Fatalf("the old database has %d rows in %s (error %v)", rows, table, err)
		}
	}
	return path
}

// TestUpgrade opens a database of the first schema: all that it held is there.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := old(t)
	now := time.UnixMicro(1772355604000000).UTC()
	s := openSubject(t, path, func() time.Time { return now })
	for range 2 { // and again, now that it is upgraded
		var got [][]reconcile.Known
		for _, owner := range []string{"00u1", "00u2"} {
			known, err := s.Agents(t.Context(), owner)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, known)
		}
		if diff := cmp.Diff([][]reconcile.Known{{{Owner: "00u1", Agent: "agent-1", Since: now}}, {{Owner: "00u2", Agent: "agent-2"}}}, got); diff != "" {
			t.Errorf("index (-want +got):\n%s", diff)
		}
		var intents []reconcile.Intent
		for _, person := range []string{"00u3", "00u4"} {
			intent, err := s.Intent(t.Context(), person, "")
			if err != nil {
				t.Fatal(err)
			}
			intents = append(intents, intent)
		}
		if diff := cmp.Diff([]reconcile.Intent{
			{Person: "00u3", Username: "ada@example.com", Started: now, Looks: 2, Creates: 1, Taken: now.Add(time.Second)},
			{Person: "00u4", Username: "bob@example.com", Started: now},
		}, intents); diff != "" {
			t.Errorf("intents (-want +got):\n%s", diff)
		}
		if err := s.Verify(t.Context(), ""); err != nil {
			t.Error(err)
		}
		entries, err := s.Recent(t.Context(), reconcile.Query{Person: "00u1"})
		if err != nil || len(entries) != 3 || entries[1].Before.FirstName != "Ada" || entries[1].After.FirstName != "Ada Byron" || entries[0].After != nil {
			t.Errorf("the journal of 00u1 is %+v (error %v)", entries, err)
		}
		people, err := s.People(t.Context(), reconcile.WaitingQuery{})
		if err != nil || len(people) != 4 || people[0].State != reconcile.StateIdle || people[3].State != reconcile.StateDead || people[3].Reason != "gave up" {
			t.Errorf("the queue is %+v (error %v)", people, err)
		}
		facts, err := s.Facts(t.Context(), "00u1")
		if err != nil || len(facts) != 1 || facts[0].DisplayName != "Ada Løvelace" {
			t.Errorf("the facts are %+v (error %v)", facts, err)
		}
		if note, err := s.Note(t.Context(), "feed"); err != nil || note == "" {
			t.Errorf("the note is %q (error %v)", note, err)
		}
		s = s.Reopen(t).(subject)
	}
	// The chains go on, with what only the new schema holds.
	e := reconcile.Entry{Time: now, Person: "00u1", Instance: "eu", Kind: reconcile.EntryChange, Action: plan.Update, Fields: []plan.Field{plan.FieldName}, By: "eve", Hold: "H1"}
	if err := errors.Join(s.Record(t.Context(), e), s.Anchor(t.Context()), s.Verify(t.Context(), "")); err != nil {
		t.Error(err)
	}
}

// TestUpgradeAgain has two owners share an agent in the old index, which nothing
// forbade: the newer one stays.
func TestUpgradeAgain(t *testing.T) {
	t.Parallel()
	path := old(t)
	db, err := sql.Open("sqlite", source(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO agents (owner, agent, since) VALUES ('00u0', 'agent-1', 1), ('00u9', 'agent-2', 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := openSubject(t, path, time.Now)
	for owner, want := range map[string]int{"00u0": 0, "00u1": 1, "00u2": 0, "00u9": 1} {
		if known, err := s.Agents(t.Context(), owner); err != nil || len(known) != want {
			t.Errorf("%s has the agents %v (error %v), want %d", owner, known, err, want)
		}
	}
}

// steps are the statements of a migration, in order.
func steps(t *testing.T, name string) []string {
	t.Helper()
	text, err := fs.ReadFile(migrations, "migrations/"+name)
	if err != nil {
		t.Fatal(err)
	}
	_, up, _ := strings.Cut(string(text), "-- +goose Up\n")
	up = regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(up, "")
	var out []string
	for _, statement := range regexp.MustCompile(`;\s*\n`).Split(up, -1) {
		if statement = strings.TrimSpace(statement); statement != "" {
			out = append(out, statement)
		}
	}
	return out
}

// TestUpgradeKilled ends the program without a warning at each step of each
// migration (P-59): with what is on the disk then, the next start upgrades it, and
// all that the database held is there.
func TestUpgradeKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		migration string
		from      func(*testing.T) string
		held      int // entries of the journal of 00u1
	}{
		{"00001_spine.sql", func(t *testing.T) string { return filepath.Join(t.TempDir(), "new.db") }, 0},
		{"00002_life.sql", old, 3},
	} {
		all := steps(t, c.migration)
		if len(all) < 8 {
			t.Fatalf("%s has %d steps", c.migration, len(all))
		}
		for done := range len(all) + 1 {
			path := c.from(t)
			killed := killedAt(t, path, all[:done])
			s := openSubject(t, killed, time.Now)
			entries, err := s.Recent(t.Context(), reconcile.Query{Person: "00u1"})
			if err != nil || len(entries) != c.held {
				t.Errorf("%s ended after %d steps: %d entries (error %v), want %d", c.migration, done, len(entries), err, c.held)
			}
			if known, err := s.Agents(t.Context(), "00u1"); err != nil || c.held > 0 && len(known) != 1 {
				t.Errorf("%s ended after %d steps: the index has %v (error %v)", c.migration, done, known, err)
			}
			if err := s.Verify(t.Context(), ""); err != nil {
				t.Errorf("%s ended after %d steps: %v", c.migration, done, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// killedAt gives what a killed process leaves that was in the middle of a
// transaction with these statements. Its cache has room for some pages alone, so that
// what is not committed is on the disk already.
func killedAt(t *testing.T, path string, statements []string) string {
	t.Helper()
	db, err := sql.Open("sqlite", source(path, "journal_mode(wal)", "cache_size(2)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range statements {
		if _, err := tx.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v:\n%s", err, statement)
		}
	}
	left := filepath.Join(t.TempDir(), "killed.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(left+suffix, data, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return left
}
