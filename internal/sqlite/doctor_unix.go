//go:build unix

package sqlite

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace is how much of a disk this user may still fill, in bytes.
func freeSpace(folder string) (free uint64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true //nolint:unconvert,gosec // the types differ by system
}

// writable tells why a folder cannot be written to.
func writable(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }

// otherOwner tells whose a file is, if not ours.
func otherOwner(info fs.FileInfo) (owner uint32, other bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	return s.Uid, ok && int(s.Uid) != os.Geteuid()
}

// held tells whether a process has the database at path, without leaving a trace.
func held(path string) (holder string, locked bool) {
	f, err := os.Open(path + ".lock")
	if err != nil {
		return "", false
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return "", false // closing gives up what was got
	}
	text, _ := io.ReadAll(io.LimitReader(f, 64))
	return pid(text), true
}
