//go:build !unix

package sqlite

import (
	"io/fs"
	"os"
)

// freeSpace is not known here.
func freeSpace(string) (free uint64, known bool) { return 0, false }

// writable is not told before something is written.
func writable(string) error { return nil }

// otherOwner is not told here.
func otherOwner(fs.FileInfo) (owner uint32, other bool) { return 0, false }

// held tells whether a process has the database at path: the lock file is there as
// long as one has, and maybe after it has died.
func held(path string) (holder string, locked bool) {
	_, err := os.Stat(path + ".lock")
	return "unknown", err == nil
}
