package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
)

// ErrLocked says that another process has the database open.
var ErrLocked = errors.New("database is in use")

var errClosed = errors.New("database is closed")

// Result codes that tell what is wrong with the file or the disk.
// Source: https://www.sqlite.org/rescode.html
const (
	codePerm     = 3
	codeBusy     = 5
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// explain says in words what SQLite's result code means for the operator. The
// error it was given stays in the chain.
func explain(err error) error {
	var failure *driver.Error
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & 0xff {
	case codeNotADB:
		return fmt.Errorf("the file is not a SQLite database: %w", err)
	case codeCorrupt:
		return fmt.Errorf("the database is damaged, restore it from a backup: %w", err)
	case codeFull:
		return fmt.Errorf("no space left for the database: %w", err)
	case codeReadOnly, codePerm:
		return fmt.Errorf("the database cannot be written to: %w", err)
	case codeCantOpen:
		return fmt.Errorf("the database file cannot be opened: %w", err)
	case codeBusy:
		return fmt.Errorf("another program holds the database: %w", err)
	case codeIOErr:
		return fmt.Errorf("the disk under the database fails: %w", err)
	}
	return err
}
