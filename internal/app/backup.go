package app

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// backuper is a backend that can be copied while it is worked with.
type backuper interface {
	// Backup writes a copy that was verified, and that lets nothing be taken from
	// people, once it is restored, without somebody's approval.
	Backup(ctx context.Context, w io.Writer) error
}

// getBackup answers with a copy of the database. One that breaks off ends the
// connection, so that it cannot pass for whole.
func (a *App) getBackup(w http.ResponseWriter, r *http.Request) {
	b, ok := a.backend.(backuper)
	if !ok {
		fail(w, http.StatusNotImplemented, errors.New("this store is in AWS, and there is no file of it to copy: DynamoDB keeps the table restorable to any second of 35 days; docs/aws.md shows how it is restored"))
		return
	}
	patient(w)
	out := &begun{ResponseWriter: w}
	switch err := b.Backup(r.Context(), out); {
	case err == nil:
	case out.any:
		a.log.Error("a backup broke off", "error", err)
		panic(http.ErrAbortHandler)
	default:
		reply(w, nil, err)
	}
}

// begun tells whether anything of an answer was written.
type begun struct {
	http.ResponseWriter
	any bool
}

func (b *begun) Write(p []byte) (int, error) {
	if !b.any {
		b.Header().Set("Content-Type", "application/vnd.sqlite3")
		b.any = true
	}
	return b.ResponseWriter.Write(p)
}
