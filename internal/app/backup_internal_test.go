package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// endless is a backend whose backup lasts as long as somebody wants it.
type endless struct {
	Backend
	begun, ended chan struct{}
}

func (e endless) Backup(ctx context.Context, _ io.Writer) error {
	close(e.begun)
	<-ctx.Done()
	close(e.ended)
	return ctx.Err()
}

// TestBackupEndsWithItsCaller: nobody goes on with a copy that nobody waits for, also
// where the request had a body.
func TestBackupEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}"} {
		e := endless{begun: make(chan struct{}), ended: make(chan struct{})}
		server := httptest.NewServer((&App{backend: e}).API())
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-e.begun
			leave()
		}()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/backup", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := server.Client().Do(req); err == nil {
			_ = resp.Body.Close()
		}
		select {
		case <-e.ended:
		case <-time.After(time.Minute):
			t.Fatalf("with the body %q the backup goes on", body)
		}
		server.Close()
	}
}
