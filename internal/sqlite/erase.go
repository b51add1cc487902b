package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"connectroster/internal/reconcile"
)

// Erase takes away what is personal about somebody: who they were and how their
// agents looked. Ids, digests and the chain of the journal stay, so that it can
// still be verified. When Erase returns nil, nothing of it is left in the file or
// in the write-ahead log; that takes a rewrite of the whole file, during which
// nothing else is written. After an error, the same call can be made again.
func (s *Store) Erase(ctx context.Context, person string) (reconcile.Erased, error) {
	var erased reconcile.Erased
	err := s.writer.write(ctx, &op{
		patient: true,
		run: func(t *tx) (err error) {
			erased, err = erase(t, person)
			return err
		},
		alone: scrub,
	})
	if err != nil {
		return erased, fmt.Errorf("erase person %s: %w", person, err)
	}
	return erased, nil
}

func erase(t *tx, person string) (e reconcile.Erased, err error) {
	for _, step := range []struct {
		count     *int
		statement string
	}{
		{&e.Entries, `DELETE FROM journal_personal WHERE seq IN (SELECT seq FROM journal WHERE person = ?)`},
		{&e.Facts, `DELETE FROM facts WHERE person = ?`},
		{&e.Tombstones, `DELETE FROM tombstones WHERE person = ?`},
		{&e.Holds, `UPDATE hold_entries SET change = NULL WHERE person = ? AND change IS NOT NULL`},
		// The next look makes the same plan again, so these are not missed.
		{&e.Intents, `DELETE FROM intents WHERE person = ? AND username = ''`},
		{&e.Open, `UPDATE intents SET change = NULL WHERE person = ? AND change ->> '$.action' = 'create'`},
	} {
		if *step.count, err = t.count(step.statement, person); err != nil {
			return e, err
		}
	}
	e.Intents += e.Open
	err = t.row(`SELECT count(*) FROM intents WHERE person = ?`, person).Scan(&e.Open)
	return e, err
}

// scrub writes the file anew without what was deleted, and empties the
// write-ahead log. A deleted row leaves its bytes behind in free space.
func scrub(ctx context.Context, db *sql.DB) error {
	if err := rewrite(ctx, db); err != nil {
		return fmt.Errorf("what was deleted may still be in the file, try again: %w", err)
	}
	return nil
}

func rewrite(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, `VACUUM`); err != nil {
		return fmt.Errorf("rewrite the file: %w", err)
	}
	// Somebody who reads an older state keeps the log from being emptied.
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var busy, frames, moved int
		if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
			return fmt.Errorf("empty the write-ahead log: %w", err)
		}
		if busy == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return errors.New("empty the write-ahead log: somebody has been reading the database all the time")
		}
	}
}
