package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

// large is a store with 20,000 agents, 20,000 places taken within a day, and
// 5,000 entries in 50 holds.
func large(tb testing.TB, s *Store, now time.Time) {
	tb.Helper()
	var known []reconcile.Known
	for i := range 20_000 {
		known = append(known, reconcile.Known{Instance: "eu", Owner: fmt.Sprintf("00u%05d", i), Agent: fmt.Sprintf("agent-%05d", i), Group: fmt.Sprint("g", i%40)})
	}
	if err := s.Remember(tb.Context(), known...); err != nil {
		tb.Fatal(err)
	}
	err := s.writer.write(tb.Context(), &op{run: func(t *tx) error {
		limits := reconcile.Limits{LongCount: 1 << 30, StatusCount: 1 << 30, GroupCount: 1 << 30}.Complete()
		for i := range 25_000 {
			r := reconcile.Removal{
				Instance: "eu", Kind: reconcile.RemovalMembership, Group: fmt.Sprint("g", i%40), Person: fmt.Sprintf("00u%05d", i), Hash: fmt.Sprintf("hash-%05d", i),
				Owned: 20_000, At: now.Add(time.Duration(i-25_000) * time.Second),
			}
			if i >= 20_000 {
				r.Cliff = fmt.Sprint("cliff ", i%50)
			}
			if _, err := reserve(t, r, limits, noChange); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		tb.Fatal(err)
	}
}

// TestHotPaths asks SQLite how it would do what is done for every person: never
// by looking at every row of a table, and never by sorting.
func TestHotPaths(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	byPerson, personArgs := holdsQuery(reconcile.HoldQuery{Person: "p"}, 1)
	byID, idArgs := holdsQuery(reconcile.HoldQuery{ID: "H1"}, 1)
	page, pageArgs := recent(reconcile.Query{})
	journal, journalArgs := recent(reconcile.Query{Person: "p"})
	follow, followArgs := recent(reconcile.Query{After: 5})
	kind, kindArgs := recent(reconcile.Query{Kind: "hold"})
	sorts := []string{byPerson, byID} // a few rows
	for _, c := range []struct {
		query string
		args  []any
	}{
		{sqlAgents, []any{"p"}},
		{sqlOwned, []any{"eu"}},
		{sqlForget, []any{"eu", "a"}},
		{sqlIntent, []any{"p", "eu"}},
		{sqlDropIntent, []any{"p", "eu"}},
		{sqlTombstones, []any{`["a","b"]`}},
		{sqlDropTombstone, []any{"a"}},
		{sqlStay, []any{"p", 1}},
		{sqlNewest, []any{"p", "eu", "a"}},
		{sqlReserved, []any{"h", "eu", "p", 1}},
		{sqlLatest, []any{"eu"}},
		{sqlEarlier, []any{"eu", 1}},
		{sqlSpanLast, []any{"eu", "status"}},
		{sqlSpanFirst, []any{"eu", "status", 1}},
		{sqlRemovalLast, []any{"eu"}},
		{sqlRemovalFirst, []any{"eu", 1}},
		{sqlPrune, []any{"eu", 1}},
		{sqlOpenHold, []any{"eu", "cause", 1}},
		{sqlClose, []any{"spent", 1}},
		{sqlAnyOpen, []any{"p", "eu"}},
		{sqlWithdraw, []any{"p", "eu"}},
		{sqlVacate, []any{"p", "eu"}},
		{byPerson, personArgs},
		{byID, idArgs},
		{journal, journalArgs},
		{kind, kindArgs},
		{follow, followArgs},
		{page, pageArgs},
		{sqlHead, []any{"p"}},
		{sqlLastAnchor, nil},
	} {
		rows, err := s.read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+c.query, c.args...)
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		var steps []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, step)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			scan := strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SCAN json_each") && step != "SCAN CONSTANT ROW" && step != "SCAN c"
			scan = scan && c.query != page // which reads the newest and stops
			sort := strings.Contains(step, "TEMP B-TREE") && !slices.Contains(sorts, c.query)
			if scan || sort {
				t.Errorf("%s\n\tis done by %q", c.query, steps)
			}
		}
	}
}

// TestSpeed wants a Reserve and an Index.Agents to take less than a millisecond
// of SQL each on a large store. The wait for the disk is apart.
func TestSpeed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills a large store")
	}
	clock := storetest.NewClock()
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), clock.Now)
	large(t, s.Store, clock.Now())
	if n := s.count(t, `SELECT count(*) FROM places`); n != 20_000 {
		t.Fatalf("%d places, want 20000", n)
	}
	if n := s.count(t, `SELECT count(*) FROM hold_entries`); n != 5_000 {
		t.Fatalf("%d entries of holds, want 5000", n)
	}
	took := map[string][]time.Duration{}
	timed := func(what string, do func() error) {
		t.Helper()
		began := time.Now()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		took[what] = append(took[what], time.Since(began))
	}
	for i := range 300 {
		timed("Agents", func() error {
			known, err := s.Agents(t.Context(), fmt.Sprintf("00u%05d", i*60))
			if err == nil && len(known) != 1 {
				err = fmt.Errorf("%d agents", len(known))
			}
			return err
		})
		timed("Owned", func() error { _, _, err := s.Owned(t.Context(), "eu"); return err })
	}
	// All in one transaction, so that no disk is waited for.
	err := s.writer.write(t.Context(), &op{run: func(tx *tx) error {
		for i := range 300 {
			for what, r := range map[string]reconcile.Removal{
				"Reserve, granted": {Hash: fmt.Sprint("new", i)},
				"Reserve, again":   {Hash: "hash-19999"},
				"Reserve, held":    {Hash: fmt.Sprint("held", i), Cliff: fmt.Sprint("cliff ", i%50)},
				"Reserve, full":    {Hash: fmt.Sprint("full", i), Owned: 1},
			} {
				r.Instance, r.Kind, r.At, r.Person = "eu", reconcile.RemovalMembership, clock.Now(), fmt.Sprint(what, i)
				if what == "Reserve, again" {
					r.Person = "00u19999"
				}
				if r.Owned == 0 {
					r.Owned = 200_000
				}
				timed(what, func() error {
					_, err := reserve(tx, r, reconcile.Limits{GroupCount: 1 << 30}.Complete(), noChange)
					return err
				})
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for what, all := range took {
		slices.Sort(all)
		median := all[len(all)/2]
		t.Logf("%-16s median %6d us, 95 of 100 within %6d us", what, median.Microseconds(), all[len(all)*95/100].Microseconds())
		// Elsewhere the machine may be busy with other things.
		if os.Getenv("CONNECTROSTER_FULL") == "1" && what != "Owned" && median > time.Millisecond {
			t.Errorf("%s takes %s, want at most 1ms", what, median)
		}
	}
}

var noChange sql.NullString
