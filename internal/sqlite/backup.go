package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// unvouched is what a copy must not say. What it knows is from before, so nothing
// in it may let access be taken from people without somebody's approval: not the
// last complete sweep, not an approval that was not made use of, and not a place
// in the windows that may be used again.
var unvouched = []string{
	`DELETE FROM notes WHERE name = 'mark' OR name LIKE 'mark/%'`,
	sqlUnapprove,
	`UPDATE places SET hash = '' WHERE hash <> ''`,
}

const sqlUnapprove = `UPDATE hold_entries SET state = 'waiting', decider = '', decided = 0 WHERE state = 'approved'`

// Unvouch takes out of the database what a copy must not say, where it was put back
// by other means than Restore, such as an earlier state of the disk. It tells how
// many approvals have to be given again.
func (s *Store) Unvouch(ctx context.Context) (approvals int, err error) {
	err = s.writer.write(ctx, &op{patient: true, run: func(t *tx) error {
		approvals = 0
		for _, statement := range unvouched {
			n, err := t.count(statement)
			if err != nil {
				return err
			}
			if statement == sqlUnapprove {
				approvals = n
			}
		}
		return nil
	}})
	if err != nil {
		return 0, fmt.Errorf("take out what must not vouch: %w", err)
	}
	return approvals, nil
}

// Backup writes a copy of the database to w, as it is at one moment, while others
// go on. The copy was verified, and whoever opens it is held back as at a first
// sweep: nothing is taken from people before somebody approves it.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	dir, err := workshop(s.path)
	if err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "copy.db")
	if err := s.copyTo(ctx, copied); err != nil {
		return fmt.Errorf("back up the database: %w", explain(err))
	}
	f, err := os.Open(copied)
	if err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

func (s *Store) copyTo(ctx context.Context, path string) error {
	if err := secure(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", source(s.path))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, path)
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	if err := strip(ctx, path); err != nil {
		return err
	}
	return Check(ctx, path)
}

// strip takes out of a copy what must not vouch, and leaves it one file.
func strip(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", source(path, "secure_delete(1)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, statement := range append([]string{`PRAGMA journal_mode = DELETE`}, unvouched...) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("take out what must not vouch: %w", err)
		}
	}
	return nil
}

// Check sees to it that a file is a database of ours, undamaged, and that nobody
// has tampered with its journal. Nothing is written.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil { // SQLite would make one
		return fmt.Errorf("check the database: %w", err)
	}
	path, err := resolve(path)
	if err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if err := inspect(ctx, path); err != nil {
		return fmt.Errorf("check %s: %w", path, explain(err))
	}
	db, err := sql.Open("sqlite", source(path, "query_only(1)"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var id int
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return fmt.Errorf("check %s: %w", path, explain(err))
	}
	if id != applicationID {
		return fmt.Errorf("check %s: it is not a database of connectroster", path)
	}
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return fmt.Errorf("check %s: %w", path, explain(err))
	}
	if found != "ok" {
		return fmt.Errorf("check %s: it is damaged: %s", path, found)
	}
	if err := verify(ctx, db, ""); err != nil {
		return fmt.Errorf("check %s: verify its journal: %w", path, err)
	}
	return nil
}

// Restored tells what Restore has done.
type Restored struct {
	Kept string // where the database went that was there before; empty: there was none
}

// Restore puts a copy of the database from one file to another, where no process
// may be working on it. It brings the copy up to date, verifies it and takes out
// what must not vouch, whether Backup has made it or the disk was copied. What was
// there before is kept beside it. After an error nothing has changed.
func Restore(ctx context.Context, from, to string, now time.Time) (done Restored, err error) {
	path, err := resolve(to)
	if err != nil {
		return done, fmt.Errorf("restore the database: %w", err)
	}
	held, err := lock(path)
	if err != nil {
		return done, fmt.Errorf("restore the database: %w", err)
	}
	defer func() { err = errors.Join(err, unlock(held)) }()
	dir, err := workshop(path)
	if err != nil {
		return done, fmt.Errorf("restore the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh := filepath.Join(dir, "copy.db")
	if err := renew(ctx, from, fresh); err != nil {
		return done, fmt.Errorf("restore the database from %s: %w", from, explain(err))
	}
	if err := giveTo(fresh, filepath.Dir(path)); err != nil {
		return done, fmt.Errorf("restore the database: %w", err)
	}
	if done.Kept, err = setAside(path, now); err != nil {
		return done, fmt.Errorf("restore the database: keep the present one: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return done, fmt.Errorf("restore the database: %w", err)
	}
	return done, nil
}

// giveTo gives a file to whom the folder belongs that it will be in.
func giveTo(path, folder string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(handOver(f, folder), f.Close())
}

// renew makes a copy that is up to date.
func renew(ctx context.Context, from, to string) error {
	if err := copyFile(to, from); err != nil {
		return err
	}
	var id int
	db, err := sql.Open("sqlite", source(to, "query_only(1)"))
	if err != nil {
		return err
	}
	err = db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if id != applicationID {
		return errors.New("it is not a database of connectroster")
	}
	s, err := Open(ctx, Config{Path: to})
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := strip(ctx, to); err != nil {
		return err
	}
	return Check(ctx, to)
}

// setAside renames a database with its write-ahead log.
func setAside(path string, now time.Time) (kept string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	kept = path + ".before-" + now.UTC().Format("20060102T150405Z")
	if _, err := os.Lstat(kept); err == nil {
		return "", fmt.Errorf("%s is there already", kept)
	}
	for _, part := range []string{"-wal", ""} {
		if err := os.Rename(path+part, kept+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return kept, nil
}

// workshop makes a folder for a copy beside the database, where there is most
// likely room for it. It is this user's alone.
func workshop(path string) (string, error) {
	return os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".copy-*")
}

// sweepWorkshops removes what copies have left that were broken off. Nobody else
// works beside the database while it is locked.
func sweepWorkshops(path string) error {
	left, err := filepath.Glob(escapeGlob(path) + ".copy-*")
	if err != nil {
		return err
	}
	var faults []error
	for _, dir := range left {
		faults = append(faults, os.RemoveAll(dir))
	}
	return errors.Join(faults...)
}

// escapeGlob takes the meaning from what filepath.Glob would not take as it is.
func escapeGlob(path string) string {
	var out []byte
	for i := range len(path) {
		if c := path[i]; (c == '*' || c == '?' || c == '[') && filepath.Separator == '/' {
			out = append(out, '\\', c)
		} else if c == '\\' && filepath.Separator == '/' {
			out = append(out, '\\', '\\')
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}
