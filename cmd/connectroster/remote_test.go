package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectroster/internal/app"
)

// roundTrip is a round trip that a test makes up.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestInterrupted: whoever interrupts is told truly who goes on with the work. Without
// a daemon nobody does until there is one.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ socket, want string }{
		"a daemon": {"connectroster.db.sock", "goes on in the daemon; see connectroster journal"},
		"offline":  {"", "goes on as soon as the daemon runs; see connectroster journal --offline"},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		body, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		r := &remote{socket: test.socket, client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
		})}}
		go func() {
			interrupt()
			w.CloseWithError(context.Canceled)
		}()
		err := r.follow(ctx, "/v1/apply", nil, func(app.Line) {})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestSeveralFaults: errors that were joined are told one behind the other, and what a
// name brings along is written out.
func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	err := &problemError{problem: app.Problem{Error: errors.Join(errors.New("no group A"), errors.New("no group \x1b[2JB")).Error()}}
	if want := `no group A; no group \x1b[2JB`; err.Error() != want {
		t.Errorf("%q, want %q", err.Error(), want)
	}
}
