// Package sqlite keeps everything the daemon must not forget in one file: the
// queue of people to look at, the facts that hooks told, the index of agents,
// open intents, tombstones, the books of the guard and the journal. What a method has stored is on disk when it
// returns. One process works on a file at a time; within it, one goroutine
// writes, and it puts what many callers want into one transaction.
//
// Times are kept as microseconds in UTC, and come back so.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks our files in SQLite's header. The first migration sets it.
const applicationID = 1668445044

// Config says where the database is.
type Config struct {
	// Path of the file. It is created, with mode 0600, if there is none; its
	// folder must exist. SQLite keeps the files Path-wal and Path-shm beside it,
	// and Path.lock is locked while the Store is open.
	Path string

	// ProbeEvery is how long an answer of Ready holds; default 3 seconds.
	ProbeEvery time.Duration

	Log *slog.Logger     // default: silent
	Now func() time.Time // default: time.Now

	// Elapsed is the time since some moment by a clock that nobody sets, which
	// shows when the other one was set. Default: the monotonic clock of the
	// process if Now is time.Now, and else none; then a clock that goes forward
	// cannot be told from time that passes.
	Elapsed func() time.Duration
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	path   string
	log    *slog.Logger
	now    func() time.Time
	passed func() time.Duration // may be nil
	writer *writer
	read   *sql.DB
	lock   *os.File
	wake   chan struct{}
	ready  readiness
	closed func() error
}

var (
	_ reconcile.Queue      = (*Store)(nil)
	_ reconcile.Facts      = (*Store)(nil)
	_ reconcile.Index      = (*Store)(nil)
	_ reconcile.Intents    = (*Store)(nil)
	_ reconcile.Tombstones = (*Store)(nil)
	_ reconcile.Guard      = (*Store)(nil)
	_ reconcile.Notes      = (*Store)(nil)
	_ reconcile.Journal    = (*Store)(nil)
)

// Open opens the database, creates it if there is none, and brings its schema up
// to date. Nobody works on a claim of an earlier process any more, so all claims
// are given up, as if their leases were over. It fails with ErrLocked while
// another process has the file open, and refuses files that are not ours,
// damaged, or written by a newer version.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", c.Path, explain(err))
	}
	return s, nil
}

func open(ctx context.Context, c Config) (_ *Store, err error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
		if c.Elapsed == nil {
			opened := time.Now()
			c.Elapsed = func() time.Duration { return time.Since(opened) }
		}
	}
	if c.ProbeEvery <= 0 {
		c.ProbeEvery = 3 * time.Second
	}
	path, err := resolve(c.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, log: c.Log, now: c.Now, passed: c.Elapsed, wake: make(chan struct{}, 1), ready: newReadiness(c.ProbeEvery)}
	s.closed = sync.OnceValue(s.close)
	defer func() {
		if err != nil {
			_ = s.closed()
		}
	}()
	if s.lock, err = lock(path); err != nil {
		return nil, err
	}
	if err = sweepWorkshops(path); err != nil {
		return nil, err
	}
	if err = secure(path); err != nil {
		return nil, err
	}
	if err = inspect(ctx, path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", source(path, "journal_mode(WAL)", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)", "journal_size_limit(67108864)", "secure_delete(1)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if s.writer, err = newWriter(ctx, db, s); err != nil {
		return nil, err
	}
	if s.read, err = sql.Open("sqlite", source(path, "query_only(1)")); err != nil {
		return nil, err
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	if err = s.abandon(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the work in progress, folds the write-ahead log into the file and
// gives up the lock. Calls that wait fail. Closing twice is harmless.
func (s *Store) Close() error { return s.closed() }

func (s *Store) close() error {
	var faults []error
	if s.read != nil {
		faults = append(faults, s.read.Close())
	}
	if s.writer != nil {
		faults = append(faults, s.writer.close())
	}
	if s.lock != nil {
		faults = append(faults, unlock(s.lock))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("close database %s: %w", s.path, explain(err))
	}
	return nil
}

// resolve gives the one absolute name of the file, so that the lock cannot be
// gone round by a symbolic link.
func resolve(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path is given")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(filepath.Dir(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", remedy.Mark("database_folder", fmt.Errorf("the folder %s does not exist: create it first", filepath.Dir(path)))
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a folder", filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	return path, nil
}

// secure creates the file if need be and makes sure that nobody but its owner
// can read it. SQLite gives the files beside it the same mode.
func secure(path string) error {
	f, err := openOurs(path, filepath.Dir(path))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if info.Size() > 0 {
		return nil
	}
	// A new file is durable only when its folder is.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// inspect refuses a file that is somebody else's before anything is changed.
func inspect(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", source(path, "query_only(1)"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return inspectOpen(ctx, db)
}

func inspectOpen(ctx context.Context, db *sql.DB) error {
	var id, tables int
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'goose_db_version'`).Scan(&tables); err != nil {
		return err
	}
	if id != applicationID && tables > 0 {
		return remedy.Mark("database_foreign", errors.New("the file is a SQLite database of another program; it was left alone"))
	}
	if tables == 0 {
		return nil
	}
	var schema int64
	if err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&schema); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	return nil
}

// migrate brings the schema up to date, each migration in its own transaction.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return newer(have, want)
	}
	if have == want {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate from schema %d to %d: %w", have, want, err)
	}
	log.Info("database migrated", "from", have, "to", want)
	return nil
}

// fewPages bounds to 256 KiB what a connection remembers of the file. SQLite's own
// bound is 2 MiB, and a page of 4 KiB takes 8 KiB of its allocator, which keeps what was
// used at once: with a backup, a Store came to 16 MiB as slowly as the file grew, and
// comes to 6 MiB so. The system remembers the file as well; no benchmark got slower.
const fewPages = "cache_size(-256)"

// source is the data source name for a file, whatever characters its path has.
func source(path string, pragmas ...string) string {
	query := url.Values{"_txlock": {"immediate"}, "_dqs": {"0"}, "_pragma": append([]string{"busy_timeout(2000)", "trusted_schema(0)", fewPages}, pragmas...)}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}).String()
}
