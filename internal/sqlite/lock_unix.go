//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"connectroster/internal/remedy"
)

// lock makes this process the only one that works on the database at path. The
// lock is the kernel's, on the file path.lock, so it ends with the process
// however that dies. The file stays and holds the id of the process.
func lock(path string) (*os.File, error) {
	name := path + ".lock"
	f, err := openOurs(name, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 64))
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return nil, remedy.Mark("database_locked", fmt.Errorf("%w by process %s (lock file %s): stop that process first, or give this one a database of its own",
			ErrLocked, pid(holder), name))
	}
	// The id is a help to people; on a full disk there is none.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

// unlock gives up the lock at once, even if a child process that is about to
// start still has the file open.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

func pid(text []byte) string {
	if id := strings.TrimSpace(string(text)); id != "" {
		return id
	}
	return "unknown"
}
