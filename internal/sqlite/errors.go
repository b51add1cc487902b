package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"

	"connectroster/internal/remedy"
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
	say := func(code, what string) error { return remedy.Mark(code, fmt.Errorf(what+": %w", err)) }
	switch failure.Code() & 0xff {
	case codeNotADB:
		return say("database_foreign", "the file is not a SQLite database")
	case codeCorrupt:
		return say("database_damaged", "the database is damaged, restore it from a backup")
	case codeFull:
		return say("database_full", "no space left for the database")
	case codeReadOnly, codePerm:
		return say("database_unwritable", "the database cannot be written to")
	case codeCantOpen:
		return say("database_unwritable", "the database file cannot be opened")
	case codeBusy:
		return say("database_locked", "another program holds the database")
	case codeIOErr:
		return say("database_damaged", "the disk under the database fails")
	}
	return err
}
