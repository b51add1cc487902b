package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/doctor"
	"connectroster/internal/reconcile"
)

// examined runs the checks and gives what was found, and the files there were
// before and after.
func examined(t *testing.T, e *Examination, daemon bool) []doctor.Result {
	t.Helper()
	folder := filepath.Dir(e.path)
	before := listing(t, folder)
	report, err := doctor.Run(t.Context(), e.Checks(daemon), nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := listing(t, folder); !slices.Equal(before, after) {
		t.Errorf("files before %q, after %q", before, after)
	}
	return report.Results
}

func listing(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func wantState(t *testing.T, results []doctor.Result, check string, state doctor.State, seen string) {
	t.Helper()
	if !slices.ContainsFunc(results, func(r doctor.Result) bool {
		return r.Check == check && r.State == state && strings.Contains(r.Seen, seen)
	}) {
		t.Errorf("%s is not %s with %q: %+v", check, state, seen, results)
	}
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "connectroster.db")
}

// Nothing is made where there is nothing.
func TestExamineNothing(t *testing.T) {
	t.Parallel()
	e := Examine(folder(t))
	defer e.Close()
	wantState(t, examined(t, e, false), "database", doctor.OK, "is not there yet")
	scratch, err := e.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scratch.Backlog(t.Context()); err != nil {
		t.Error(err)
	}
	if err := scratch.Close(); err != nil {
		t.Error(err)
	}
	if n := len(listing(t, filepath.Dir(e.path))); n != 0 {
		t.Errorf("%d files were made", n)
	}
}

// What a daemon that was killed has written shows in the copy, and what is done
// with the copy does not show in the database.
func TestExamineAfterACrash(t *testing.T) {
	t.Parallel()
	path := folder(t)
	store, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Enqueue(t.Context(), reconcile.Request{Person: "00u1", Trigger: reconcile.TriggerHook}); err != nil {
		t.Fatal(err)
	}
	killed := folder(t) // as it is on the disk while the store is open, without its lock
	for _, part := range []string{"", "-wal"} {
		if err := copyFile(killed+part, path+part); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	e := Examine(killed)
	wantState(t, examined(t, e, false), "database", doctor.OK, "is sound")
	scratch, err := e.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := scratch.Backlog(t.Context()); err != nil || b.Due != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	if err := scratch.Enqueue(t.Context(), reconcile.Request{Person: "00u2", Trigger: reconcile.TriggerHook}); err != nil {
		t.Fatal(err)
	}
	if err := scratch.Close(); err != nil {
		t.Error(err)
	}
	dir := e.dir
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
	again := Examine(killed)
	defer again.Close()
	wantState(t, examined(t, again, false), "database", doctor.OK, "is sound")
	if scratch, err = again.Scratch(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	if b, err := scratch.Backlog(t.Context()); err != nil || b.Due != 1 {
		t.Errorf("after the first examination: %+v, %v", b, err)
	}
}

// While a daemon has the database it is read in place.
func TestExamineInUse(t *testing.T) {
	t.Parallel()
	path := folder(t)
	store, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	e := Examine(path)
	defer e.Close()
	wantState(t, examined(t, e, true), "database", doctor.OK, "is sound")
	if e.copy != "" {
		t.Error("it was copied")
	}
	wantState(t, examined(t, e, false), "database", doctor.Fail, "no daemon answers at the socket")
	if err := store.Enqueue(t.Context(), reconcile.Request{Person: "00u1", Trigger: reconcile.TriggerHook}); err != nil {
		t.Errorf("the store after it was examined: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	wantState(t, examined(t, e, true), "database", doctor.Fail, "it has another database")
}

// A check that is interrupted says so, and is no verdict on the database.
func TestExamineInterrupted(t *testing.T) {
	t.Parallel()
	path := folder(t)
	store, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	e := Examine(path)
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.Run(ctx, e.Checks(false), nil); err == nil {
		t.Error("an interrupted examination ends without an error")
	}
}
