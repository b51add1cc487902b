//go:build unix

package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestRootRestores restores as root, as an operator does, what belongs to the user of
// the daemon: all that is there afterwards is that user's, or the daemon could not start.
func TestRootRestores(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can do something for another user")
	}
	const daemon = 65534
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	var out bytes.Buffer
	if err := s.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(copied, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Chown(folder, daemon, daemon); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"where none was", "in the place of one"} {
		if _, err := Restore(t.Context(), copied, filepath.Join(folder, "test.db"), time.Now()); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) < 2 {
			t.Fatalf("%s: %d files, %v", step, len(entries), err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t); owner.Uid != daemon || owner.Gid != daemon {
				t.Errorf("%s: %s belongs to %d:%d", step, e.Name(), owner.Uid, owner.Gid)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("%s: %s has the mode %#o", step, e.Name(), mode)
			}
		}
	}
}
