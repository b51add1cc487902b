package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) storetest.Backend {
		return openSubject(t, filepath.Join(t.TempDir(), "test.db"), now)
	})
}

// subject is a Store under test that can be opened again and tampered with.
type subject struct {
	*Store
	now func() time.Time
}

func openSubject(t *testing.T, path string, now func() time.Time) subject {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return subject{s, now}
}

func (s subject) Reopen(t *testing.T) storetest.Backend {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openSubject(t, s.path, s.now)
}

func (s subject) Tamper(t *testing.T, seq int64, edit func(*reconcile.Entry)) {
	t.Helper()
	db, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	for _, trigger := range []string{"journal_no_update", "journal_no_delete", "journal_personal_no_update"} {
		exec(`DROP TRIGGER IF EXISTS ` + trigger)
	}
	if edit == nil {
		exec(`DELETE FROM journal WHERE seq = ?`, seq)
		return
	}
	entries, err := s.Recent(t.Context(), reconcile.Query{Before: seq + 1, Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Seq != seq {
		t.Fatalf("there is no entry %d (%v, %v)", seq, entries, err)
	}
	e := entries[0]
	edit(&e)
	fields, err := fieldsText(e.Fields)
	if err != nil {
		t.Fatal(err)
	}
	exec(`UPDATE journal SET time = ?, person = ?, instance = ?, agent = ?, kind = ?, action = ?, fields = ?, code = ?, reason = ?, asked_by = ?,
		event = ?, asker = ?, hold = ?, error = ?, duration = ?, digest = ?, previous = ?, hash = ? WHERE seq = ?`,
		e.Time.UnixMicro(), e.Person, e.Instance, e.Agent, string(e.Kind), string(e.Action), fields, string(e.Code), e.Reason, string(e.Trigger),
		e.Event, e.By, e.Hold, e.Error, int64(e.Duration), e.Digest, e.Previous, e.Hash, seq)
	text := func(a *plan.Agent) any {
		if a == nil {
			return nil
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	exec(`UPDATE journal_personal SET before = ?, after = ? WHERE seq = ?`, text(e.Before), text(e.After), seq)
}

func (s subject) TamperHead(t *testing.T, person string, head reconcile.Head) {
	t.Helper()
	db, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	query, args := `UPDATE journal_heads SET seq = ?, hash = ? WHERE person = ?`, []any{head.Seq, head.Hash, person}
	if head == (reconcile.Head{}) {
		query, args = `DELETE FROM journal_heads WHERE person = ?`, []any{person}
	}
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestJournalIsAppendOnly(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	e := reconcile.Entry{Time: time.Now(), Person: "a", Kind: reconcile.EntryChange, After: &plan.Agent{Username: "ada"}}
	for range 2 {
		if err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`UPDATE journal SET reason = 'x' WHERE seq = 1`,
		`DELETE FROM journal WHERE seq = 2`,
		`UPDATE journal_personal SET after = NULL`,
	} {
		if _, err := db.Exec(query); err == nil {
			t.Errorf("%s: no error", query)
		}
	}
	// The personal part can be erased, and the chain holds.
	if _, err := db.Exec(`DELETE FROM journal_personal WHERE seq = 1`); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), ""); err != nil {
		t.Errorf("verify after erasing personal data: %v", err)
	}
	list, err := s.Recent(t.Context(), reconcile.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if list[1].After != nil || list[1].Digest == "" || list[0].After == nil {
		t.Errorf("after erasing the personal part of entry 1: %+v", list)
	}
}

// TestOldFacts wants Fact.Supersedes to hold for times before 1970 too, and for
// events that were published at no time at all.
func TestOldFacts(t *testing.T) {
	t.Parallel()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	old := reconcile.Fact{Person: "a", Group: "g", Member: true, Published: time.Date(1955, 1, 1, 0, 0, 0, 0, time.UTC)}
	never := reconcile.Fact{Person: "a", Group: "g", Member: false}
	for _, f := range []reconcile.Fact{never, old, never} {
		if err := s.Enqueue(t.Context(), reconcile.Request{Person: "a", Facts: []reconcile.Fact{f}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Facts(t.Context(), "a")
	if err != nil || len(got) != 1 || got[0] != old {
		t.Fatalf("got %+v and error %v, want %+v", got, err, old)
	}
}

// TestClockGoesBack has a clock that was wrong for a while: nothing may be
// delayed by more than it was meant to.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Minute, time.Hour, 10 * 365 * 24 * time.Hour} {
		for _, reopened := range []bool{false, true} {
			clock := storetest.NewClock()
			s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
			for _, r := range []reconcile.Request{
				{Person: "working"},
				{Person: "due", Priority: reconcile.Routine},
				{Person: "waiting", Priority: reconcile.Routine, Due: clock.Now().Add(10 * time.Second)},
			} {
				if err := s.Enqueue(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if w, err := s.Claim(t.Context(), 30*time.Second); err != nil || w.Person != "working" {
				t.Fatalf("claimed %+v (error %v)", w, err)
			}
			clock.Advance(-back)
			want := []string{"due", "waiting", "working"}
			if reopened {
				s = s.Reopen(t).(subject)
				want = []string{"working", "due", "waiting"}
			}
			var got []string
			for range 60 {
				w, err := s.Claim(t.Context(), time.Hour)
				if errors.Is(err, reconcile.ErrNotFound) {
					clock.Advance(time.Second)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, w.Person)
			}
			if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
				t.Errorf("back by %s, reopened %v: within a minute claimed %v, want %v", back, reopened, got, want)
			}
		}
	}
}
