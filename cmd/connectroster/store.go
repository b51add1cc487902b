package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/awsstore"
	"connectroster/internal/config"
	"connectroster/internal/doctor"
	"connectroster/internal/remedy"
	"connectroster/internal/sqlite"
)

// store is the backend of an app, which somebody has to close.
type store interface {
	app.Backend
	// Unvouch takes out of a store that was put back to an earlier moment what must
	// not let anything be taken from people, and tells how many approvals wait again.
	Unvouch(ctx context.Context) (approvals int, err error)
	Close() error
}

// openStore opens the backend that the configuration names.
func openStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (store, error) {
	if cfg.Store.OnAWS() {
		return openTable(ctx, cfg, log)
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: cfg.Store.SQLite, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}

// clockSkew is how much later a lease ends for others than for whoever has it. A
// lease is half a minute longer than a look may take as well, so that clocks may
// differ by that much before two workers can look at one person.
const clockSkew = 5 * time.Second

// openTable opens the table in AWS and sees that it is as it must be.
func openTable(ctx context.Context, cfg *config.Config, log *slog.Logger) (*awsstore.Store, error) {
	c := cfg.Store.AWS
	s, err := awsstore.Open(ctx, awsstore.Config{
		Table: c.Table, Region: c.Region, LeaversQueue: c.LeaversQueue, Queue: c.Queue, Endpoint: c.Endpoint, AllowLoopback: cfg.AllowLoopback,
		Skew: clockSkew, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if err := s.Check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.Close())
	}
	return s, nil
}

// callerOf gives who decides things by a command that works on the store itself:
// as whom AWS knows the credentials, or nobody in particular, which stands for the
// user of this machine.
func callerOf(s store, log *slog.Logger) func(context.Context) string {
	table, ok := s.(*awsstore.Store)
	if !ok {
		return nil
	}
	return func(ctx context.Context) string {
		arn, err := table.Caller(ctx)
		if err != nil {
			log.Error("AWS does not say who we are; the journal names the user of this machine", "error", err)
		}
		return arn
	}
}

// tableChecks look at the table in AWS for the doctor.
func tableChecks(cfg *config.Config) func(bool) []doctor.Check {
	return func(bool) []doctor.Check {
		check := doctor.Check{Name: "database", Within: 5 * time.Minute}
		check.Hint = "see the message; docs/adr/0009 says how the table must look, and docs/aws.md what the credentials must be allowed"
		broken := func(err error) []doctor.Finding {
			f := doctor.Failure("%s", err).Todo("%s", check.Hint)
			if code := remedy.CodeOf(err); code != "" {
				f = f.As(code).Todo("%s", remedy.For(code).Do)
			}
			return []doctor.Finding{f}
		}
		check.Run = func(ctx context.Context) []doctor.Finding {
			s, err := openTable(ctx, cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				return broken(err)
			}
			defer func() { _ = s.Close() }()
			for _, look := range []func(context.Context) error{
				s.Ready, s.CheckQueues, func(ctx context.Context) error { return s.Verify(ctx, "") },
			} {
				if err := look(ctx); err != nil {
					return broken(err)
				}
			}
			return []doctor.Finding{doctor.Okay("the table %s can be written, and its journal is genuine", cfg.Store.AWS.Table)}
		}
		return []doctor.Check{check}
	}
}
