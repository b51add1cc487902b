package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

// remoteOptions are the flags of all commands that ask the daemon.
type remoteOptions struct {
	config  string
	socket  string
	offline bool
	json    bool
	color   string
}

// flags adds them to a command and to those below it.
func (o *remoteOptions) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVarP(&o.config, "config", "c", "connectroster.yaml", "the configuration `file`, which says where the socket of the daemon is")
	f.StringVar(&o.socket, "socket", "", "the `path` of the daemon's socket, in place of that of the configuration")
	f.BoolVar(&o.offline, "offline", false, "do without a daemon: lock the database and work in this process")
	f.BoolVar(&o.json, "json", false, "print JSON, as the API gives it")
	f.StringVar(&o.color, "color", "auto", "colours: auto, always or never; auto is for terminals, unless NO_COLOR is set")
}

// offlineNeeds is what a command needs without a daemon.
type offlineNeeds int

const (
	needsStore offlineNeeds = iota // what the database holds
	needsReads                     // and what Okta and Amazon Connect say
	needsWork                      // and workers
)

// remote is the API of a daemon, or of this process.
type remote struct {
	client *http.Client
	socket string // empty: the API is in this process
	close  func() error
}

// open connects to the daemon, or becomes one for a moment.
func (o *remoteOptions) open(ctx context.Context, needs offlineNeeds, logs io.Writer) (*remote, error) {
	if o.offline && o.socket != "" {
		return nil, usage("--socket is for a daemon, and --offline does without one")
	}
	if o.socket != "" {
		return remoteAt(o.socket), nil
	}
	cfg, err := config.Load(o.config, os.Getenv)
	if err != nil {
		return nil, err
	}
	if o.offline || cfg.Store.OnAWS() { // a table is there for everybody
		return alone(ctx, cfg, needs, logs)
	}
	return remoteAt(cfg.Socket), nil
}

// remoteAt is the API of a daemon at a socket. Nothing is sent yet.
func remoteAt(socket string) *remote {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	return &remote{client: &http.Client{Transport: transport}, socket: socket, close: func() error { transport.CloseIdleConnections(); return nil }}
}

// alone builds the app on the locked database, or on the table, and serves its API
// in process.
func alone(ctx context.Context, cfg *config.Config, needs offlineNeeds, logs io.Writer) (*remote, error) {
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelError}))
	store, err := openStore(ctx, cfg, log)
	if errors.Is(err, sqlite.ErrLocked) {
		return nil, remedy.Mark("database_locked", fmt.Errorf("the database %s is in use, most likely by the daemon: leave --offline out to ask it, or stop it first", cfg.Store.SQLite))
	}
	if err != nil {
		return nil, err
	}
	return aside(ctx, cfg, store, log, needs)
}

// aside serves the API in process on a store, which it closes in the end.
func aside(ctx context.Context, cfg *config.Config, kept store, log *slog.Logger, needs offlineNeeds) (*remote, error) {
	a, err := app.New(ctx, app.Config{Config: cfg, Backend: kept, Version: version(), Log: log})
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	offline := app.NewOffline(a)
	offline.Operator = callerOf(kept, log)
	shut := func() error {
		offline.Stop()
		return kept.Close()
	}
	switch needs {
	case needsReads:
		err = offline.Read(ctx)
	case needsWork:
		err = offline.Work(ctx)
	case needsStore:
	}
	if err != nil {
		return nil, errors.Join(err, shut())
	}
	return &remote{client: &http.Client{Transport: offline}, close: shut}, nil
}

// problemError is an answer of the API that is no success.
type problemError struct {
	status  int
	problem app.Problem
}

func (e *problemError) Error() string { return onOneLine(e.problem.Error) }

// onOneLine writes several errors that were joined behind each other, with nothing in
// them that a terminal would obey.
func onOneLine(text string) string { return sanitize(strings.ReplaceAll(text, "\n", "; ")) }

// ask makes a request and decodes the answer into v; a nil v is for nothing.
func (r *remote) ask(ctx context.Context, method, path string, body, v any) error {
	resp, err := r.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if v == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(v)
	}
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// follow makes a request and passes on the lines of the answer. The stream must
// end with a summary.
func (r *remote) follow(ctx context.Context, path string, body any, line func(app.Line)) error {
	resp, err := r.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			switch {
			case ctx.Err() != nil && r.socket == "":
				return errors.New("interrupted: what was asked for and is not done yet goes on as soon as the daemon runs; see connectroster journal --offline")
			case ctx.Err() != nil:
				return errors.New("interrupted: what was asked for goes on in the daemon; see connectroster journal")
			}
			return fmt.Errorf("the daemon's answer broke off; what was asked for goes on: see connectroster journal: %w", err)
		}
		var l app.Line
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		line(l)
		switch {
		case l.Error != "":
			return errors.New(onOneLine(l.Error))
		case l.Summary != nil:
			return nil
		}
	}
}

// send makes a request whose answer is a success.
func (r *remote) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://connectroster"+path, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if by := os.Getenv("SUDO_USER"); by != "" {
		req.Header.Set(app.SudoHeader, by)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, r.unanswered(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &problemError{status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&e.problem); err != nil || e.problem.Error == "" {
		e.problem.Error = "the daemon answers " + resp.Status + "; is it of another version?"
	}
	return nil, remedy.Mark(e.problem.Code, e)
}

// unanswered says in words why nobody answers.
func (r *remote) unanswered(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return remedy.Mark("daemon_away", fmt.Errorf("no daemon answers at %s: start it with connectroster serve, or give --offline to do without one", r.socket))
	case errors.Is(err, os.ErrPermission):
		return remedy.Mark("daemon_forbidden", fmt.Errorf("the socket %s is for the user alone who runs the daemon: be that user", r.socket))
	}
	return fmt.Errorf("ask the daemon: %w", err)
}

// remoteRun is what a command does with the API and something to print on.
type remoteRun func(ctx context.Context, r *remote, p *printer) error

// run opens the API, runs a command with it and closes it again.
func (o *remoteOptions) run(cmd *cobra.Command, needs offlineNeeds, do remoteRun) (err error) {
	p, err := newPrinter(cmd.OutOrStdout(), o.color)
	if err != nil {
		return err
	}
	r, err := o.open(cmd.Context(), needs, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := do(cmd.Context(), r, p); err != nil {
		return err
	}
	return p.flush()
}
