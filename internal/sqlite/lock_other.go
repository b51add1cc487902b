//go:build !unix

package sqlite

import (
	"fmt"
	"os"

	"connectroster/internal/remedy"
)

// lock makes this process the only one that works on the database at path: the
// system refuses to remove a file that a process has open, so whoever can remove
// and create path.lock is alone.
func lock(path string) (*os.File, error) {
	name := path + ".lock"
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return nil, remedy.Mark("database_locked", fmt.Errorf("%w by another process (lock file %s): stop that process first, or give this one a database of its own", ErrLocked, name))
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create lock file: %w", err)
	}
	return f, nil
}

func unlock(f *os.File) error { return f.Close() }
