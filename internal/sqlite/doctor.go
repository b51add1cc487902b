package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
)

// Bounds of free space on the disk of the database, in bytes: below the one
// somebody should look, below the other it will not last for a day.
const (
	littleSpace = 1 << 30
	noSpace     = 64 << 20
)

// Examination looks at a database without opening it: what it opens is a copy,
// so that whoever examines leaves nothing behind that belongs to another user, and
// no schema is changed. While a daemon has the database it is read in place.
type Examination struct {
	path string
	dir  string // of the copy; empty: none was made
	copy string // empty: there is no database to copy
}

// Examine begins an examination of the database at a path. Close ends it.
func Examine(path string) *Examination { return &Examination{path: path} }

// Close takes the copy away.
func (e *Examination) Close() error {
	if e.dir == "" {
		return nil
	}
	return os.RemoveAll(e.dir)
}

// Checks gives what can be looked at in the database and on its disk. Daemon says
// that a daemon answers, which has the database then.
func (e *Examination) Checks(daemon bool) []doctor.Check {
	disk := doctor.Check{Name: "database disk", Run: func(context.Context) []doctor.Finding { return e.disk() }}
	content := doctor.Check{Name: "database", Needs: []string{disk.Name}, Within: 5 * time.Minute, Run: func(ctx context.Context) []doctor.Finding { return e.content(ctx, daemon) }}
	disk.Hint, content.Hint = remedy.For(disk.Code()).Do, remedy.For(content.Code()).Do
	return []doctor.Check{disk, content}
}

// disk looks at the folder.
func (e *Examination) disk() []doctor.Finding {
	path, err := resolve(e.path)
	if err != nil {
		return []doctor.Finding{failed(explain(err))}
	}
	folder := filepath.Dir(path)
	var out []doctor.Finding
	if err := writable(folder); err != nil {
		out = append(out, doctor.Failure("the folder %s cannot be written to: %s", folder, err).As("database_unwritable").Todo("%s", remedy.For("database_unwritable").Do))
	}
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		out = append(out, doctor.Warning("others may write in the folder %s (mode %#o), and so put another database in the place of ours", folder, info.Mode().Perm()))
	}
	free, known := freeSpace(folder)
	switch {
	case !known:
	case free < noSpace:
		out = append(out, doctor.Failure("%s are free on the disk of %s", sized(free), folder).As("database_full").Todo("%s", remedy.For("database_full").Do))
	case free < littleSpace:
		out = append(out, doctor.Warning("%s are free on the disk of %s", sized(free), folder).Todo("make room before it is full: deliveries are refused then"))
	default:
		out = append(out, doctor.Okay("%s free on the disk of %s", sized(free), folder))
	}
	return out
}

// failed makes a finding of an error, with what the catalogue says to do about it.
func failed(err error) doctor.Finding {
	f := doctor.Failure("%s", err)
	if code := remedy.CodeOf(err); code != "" {
		f = f.As(code).Todo("%s", remedy.For(code).Do)
	}
	return f
}

func sized(n uint64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	if n < 10<<30 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}

// content looks at the file and at what is in it.
func (e *Examination) content(ctx context.Context, daemon bool) []doctor.Finding {
	path, err := resolve(e.path)
	if err != nil {
		return []doctor.Finding{failed(explain(err))}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []doctor.Finding{doctor.Okay("%s is not there yet; the daemon makes it", path)}
	case err != nil:
		return []doctor.Finding{failed(explain(err))}
	}
	var out []doctor.Finding
	if info.Mode().Perm()&0o077 != 0 {
		out = append(out, doctor.Warning("others may read %s (mode %#o), which knows people by name", path, info.Mode().Perm()).Todo("chmod 600 %s", path))
	}
	if by, other := otherOwner(info); other {
		out = append(out, doctor.Warning("%s belongs to user %d, and you are user %d: a command with --offline would leave files that the daemon cannot use", path, by, os.Geteuid()).
			Todo("run connectroster as the user who runs the daemon"))
	}
	holder, locked := held(path)
	switch {
	case locked && !daemon:
		out = append(out, doctor.Failure("%s is in use by process %s, but no daemon answers at the socket", path, holder).As("database_locked").
			Todo("look at that process: it hangs, has another socket, or is a command with --offline that works"))
	case !locked && daemon:
		out = append(out, doctor.Failure("%s is not in use, though a daemon answers: it has another database", path).
			Todo("give this configuration the socket and the database of the same daemon"))
	}
	reading := path
	if !locked {
		if err := e.take(path); err != nil {
			return append(out, doctor.Failure("it cannot be copied to be looked at: %s", err))
		}
		reading = e.copy
	}
	schema, err := examine(ctx, reading, locked)
	if err != nil {
		if !locked { // nothing else is to be read from it
			e.copy = ""
		}
		return append(out, failed(explain(err)))
	}
	return append(out, doctor.Okay("%s is sound: %s, schema %d", path, sized(uint64(max(info.Size(), 0))), schema))
}

// take copies the database, with what was not folded into it yet.
func (e *Examination) take(path string) error {
	dir, err := os.MkdirTemp("", "connectroster-doctor-*") // with mode 0700
	if err != nil {
		return err
	}
	e.dir, e.copy = dir, filepath.Join(dir, "copy.db")
	for _, part := range []string{"", "-wal"} {
		if err := copyFile(e.copy+part, path+part); err != nil && (part == "" || !errors.Is(err, fs.ErrNotExist)) {
			e.copy = ""
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// examine reads a database from end to end and gives the version of its schema.
func examine(ctx context.Context, path string, inUse bool) (schema int64, err error) {
	name := source(path, "query_only(1)")
	if inUse {
		name = inPlace(path, name)
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := inspectOpen(ctx, db); err != nil {
		return 0, err
	}
	rows, err := db.QueryContext(ctx, `PRAGMA quick_check(3)`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var faults []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return 0, err
		}
		if line != "ok" {
			faults = append(faults, line)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if len(faults) > 0 {
		return 0, remedy.Mark("database_damaged", fmt.Errorf("the database is damaged, restore it from a backup: %.200q", strings.Join(faults, "; ")))
	}
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&schema); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return schema, understood(schema)
}

// inPlace makes a data source read-only in a way that leaves no file behind. A
// database that somebody works on has a write-ahead log; without one nothing was
// written since it was closed, and SQLite would make one just for us.
func inPlace(path, name string) string {
	how := url.Values{"mode": {"ro"}}
	if _, err := os.Stat(path + "-wal"); err != nil {
		how.Set("immutable", "1")
	}
	return strings.Replace(name, "?", "?"+how.Encode()+"&", 1)
}

// understood refuses a schema that a newer version of the program has made.
func understood(schema int64) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || schema <= int64(len(files)) {
		return err
	}
	return newer(schema, int64(len(files)))
}

func newer(have, want int64) error {
	return remedy.Mark("database_newer", fmt.Errorf("the database has schema %d and this version of the program knows only up to %d: run the newer version, or restore a backup from before the upgrade", have, want))
}

// Scratch opens a store to work with that is thrown away: the copy, or an empty
// one where there is no database, or where it is in use.
func (e *Examination) Scratch(ctx context.Context) (*Store, error) {
	if e.dir == "" {
		dir, err := os.MkdirTemp("", "connectroster-doctor-*")
		if err != nil {
			return nil, fmt.Errorf("make a folder for a copy of the database: %w", err)
		}
		e.dir = dir
	}
	path := e.copy
	if path == "" {
		path = filepath.Join(e.dir, "empty.db")
	}
	return Open(ctx, Config{Path: path})
}
