package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/reconcile"
)

// drain is how long a stop waits for what is in the middle.
const drain = 10 * time.Second

func serveCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon: take event hooks from Okta, look at the people they name and
bring their agents in Amazon Connect in line.

AWS credentials are found as the AWS CLI finds them. The configuration is read
from connectroster.yaml; docs/configuration.md describes every key. A mistake in
it is printed with its line, and nothing is started.`,
		Example: "  connectroster serve --config /etc/connectroster/connectroster.yaml",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), path, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "connectroster.yaml", "the configuration `file`")
	return cmd
}

// serve runs until ctx is done.
func serve(ctx context.Context, path string, out io.Writer) error {
	cfg, err := config.Load(path, os.Getenv)
	if err != nil {
		return err
	}
	log := slog.New(cfg.Log.Handler(out))
	warn(cfg, log, out)
	running, err := start(ctx, cfg, log, nil)
	if err != nil {
		return err
	}
	<-ctx.Done()
	log.Info("stopping")
	return running.stop()
}

// warn tells what in the configuration may not be meant: for people with the line
// of the file and a caret below it, as its mistakes are told, and in a log of JSON
// field by field.
func warn(cfg *config.Config, log *slog.Logger, out io.Writer) {
	for _, w := range cfg.Warnings {
		if cfg.Log.Format == config.JSON {
			log.Warn("the configuration may not be as it is meant", "file", w.File, "line", w.Line, "column", w.Column, "key", w.Key, "problem", w.Problem, "hint", w.Hint)
		} else if cfg.Log.Level.Level() <= slog.LevelWarn {
			fmt.Fprintln(out, "warning: "+w.String())
		}
	}
}

// daemon is a started app with its backend.
type daemon struct {
	*app.App
	store store
}

// start opens the backend and starts the app. On an error nothing is left
// running.
func start(ctx context.Context, cfg *config.Config, log *slog.Logger, observe func(reconcile.Outcome)) (*daemon, error) {
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	a, err := app.New(ctx, app.Config{Config: cfg, Backend: store, Version: version(), Log: log, Observe: observe})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.HandleAdmin("GET /metrics", metrics(a))
	if err := a.Start(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &daemon{App: a, store: store}, nil
}

func (d *daemon) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := d.Stop(ctx)
	return errors.Join(err, d.store.Close())
}
