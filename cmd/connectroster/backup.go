package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/config"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

func backupCommand() *cobra.Command {
	var o remoteOptions
	var restore, restored, yes bool
	cmd := &cobra.Command{
		Use:   "backup FILE | --restored",
		Short: "Copy the database while the daemon runs, or put a copy back",
		Long: `Copy the database to a file, as it is at one moment, while the daemon goes on. The copy
is checked, its journal included, and only its owner may read it: it holds names. A file
that is there already is not overwritten.

With --restore the file is put in the place of the database that the configuration
names. Stop the daemon first. The file is checked and brought up to date before anything
is changed, and the database that was there is kept beside it.

After a restore whatever takes access from people waits for somebody to approve it, as
at a first sweep: what the copy knows is from before. Approvals that were not made use
of have to be given again. Stays and erasures since the copy are not in it: give them
again. docs/operations.md says more.

What was put back by other means is made as safe by --restored: the table of a store in
AWS, before anything works on it, and a disk, before the daemon starts. It asks first.

Exit codes: 0 the file was written or put back, or the store is safe; 1 it is not. Without
--restored nothing was changed then; with it, repeat it.`,
		Example: `  connectroster backup /var/backups/connectroster-monday.db
  connectroster backup --restore /var/backups/connectroster-monday.db
  connectroster backup --restored`,
		Args: func(cmd *cobra.Command, args []string) error {
			if restored {
				return arguments(0, 0)(cmd, args)
			}
			return arguments(1, 1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if restored {
				if restore {
					return usage("--restore puts a file back and makes it safe, and --restored is for what was put back already: give one of them")
				}
				return o.unvouch(cmd, yes)
			}
			if restore {
				return o.restoreBackup(cmd, args[0])
			}
			if _, err := os.Lstat(args[0]); err == nil { // told before anybody is asked
				return fmt.Errorf("%s is there already: remove it, or name another file", args[0])
			}
			return o.run(cmd, needsStore, func(ctx context.Context, r *remote, p *printer) error {
				size, err := r.backup(ctx, args[0])
				if err != nil {
					return err
				}
				if o.json {
					return p.json(map[string]any{"file": args[0], "bytes": size})
				}
				p.line("Written to ", p.paint(bold, args[0]), fmt.Sprintf(", %d KiB, checked.", (size+1023)/1024))
				return nil
			})
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&restore, "restore", false, "put the file in the place of the database; the daemon must not run")
	f.BoolVar(&restored, "restored", false, "the store was put back otherwise: let it take nothing from anybody without approval")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask, with --restored")
	return cmd
}

// backup fetches a copy of the database into a new file.
func (r *remote) backup(ctx context.Context, path string) (size int64, err error) {
	resp, err := r.send(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	f, err := os.CreateTemp(filepath.Dir(path), ".connectroster-backup-*") // with mode 0600
	if err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	defer func() { err = errors.Join(err, removeAny(f.Name())) }()
	size, err = io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted; nothing was written")
		}
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	if err := sqlite.Check(ctx, f.Name()); err != nil {
		return 0, fmt.Errorf("the backup did not arrive whole, and was not kept: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil { // which overwrites nothing
		if errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("%s is there already: remove it, or name another file", path)
		}
		if err := os.Rename(f.Name(), path); err != nil { // a disk without links
			return 0, fmt.Errorf("write the backup: %w", err)
		}
	}
	return size, nil
}

func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restoreBackup puts a copy in the place of the database.
func (o *remoteOptions) restoreBackup(cmd *cobra.Command, file string) error {
	p, err := newPrinter(cmd.OutOrStdout(), o.color)
	if err != nil {
		return err
	}
	cfg, err := config.LoadWithoutSecrets(o.config, os.Getenv)
	if err != nil {
		return err
	}
	if cfg.Store.OnAWS() {
		return errors.New("the store is a table in AWS, which is restored there and then made safe by --restored: see docs/aws.md")
	}
	done, err := sqlite.Restore(cmd.Context(), file, cfg.Store.SQLite, time.Now())
	if errors.Is(err, sqlite.ErrLocked) {
		return lockedByDaemon(cfg)
	}
	if err != nil {
		return err
	}
	if o.json {
		return errors.Join(p.json(map[string]string{"database": cfg.Store.SQLite, "kept": done.Kept}), p.flush())
	}
	p.line("Restored ", p.paint(bold, cfg.Store.SQLite), " from ", sanitize(file), ".")
	if done.Kept != "" {
		p.line("The database that was there is ", p.paint(bold, done.Kept), ".")
	}
	p.text(plain, "", 0, heldAfterRestore)
	return p.flush()
}

const heldAfterRestore = "Whatever takes access from people waits for somebody to approve it, from the next sweep on: connectroster holds."

// unvouch makes a store safe that was put back by other means than restoreBackup.
func (o *remoteOptions) unvouch(cmd *cobra.Command, yes bool) (err error) {
	p, err := newPrinter(cmd.OutOrStdout(), o.color)
	if err != nil {
		return err
	}
	cfg, err := config.LoadWithoutSecrets(o.config, os.Getenv)
	if err != nil {
		return err
	}
	name := cfg.Store.SQLite
	if cfg.Store.OnAWS() {
		name = "the table " + cfg.Store.AWS.Table
	}
	text := "This is for a store that was put back to how it was before. In " + name + " approvals that were not made use of will have to be given again, and whatever takes access from people will wait for one."
	if err := agree(cmd, yes, text); err != nil {
		return err
	}
	s, err := openStore(cmd.Context(), cfg, slog.New(slog.DiscardHandler))
	if errors.Is(err, sqlite.ErrLocked) {
		return lockedByDaemon(cfg)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	approvals, err := s.Unvouch(cmd.Context())
	if err != nil {
		return fmt.Errorf("make %s safe: %w; repeat the command before anything works on it", name, err)
	}
	if o.json {
		return errors.Join(p.json(map[string]any{"store": name, "approvals": approvals}), p.flush())
	}
	p.text(plain, "", 0, fmt.Sprintf("What %s knows from before vouches for nothing any more; %s to be given again.", name, count(approvals, "approval has", "approvals have")))
	p.text(plain, "", 0, heldAfterRestore)
	return p.flush()
}

// lockedByDaemon is the error of who needs the database alone.
func lockedByDaemon(cfg *config.Config) error {
	return remedy.Mark("database_locked", fmt.Errorf("the database %s is in use, most likely by the daemon: stop it first", cfg.Store.SQLite))
}
