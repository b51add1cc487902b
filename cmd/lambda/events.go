package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"connectroster/internal/awsstore"
	"connectroster/internal/reconcile"
)

// hook answers one request that came by Amazon API Gateway.
func (s *parts) hook(ctx context.Context, payload []byte) ([]byte, error) {
	return serve(ctx, s.Hook(), payload)
}

// work looks at the people whom a batch of messages names. A message says no more
// than that; what is to be done, and whether there is anything left, the store says.
// So a message of somebody whose look failed is done: the store knows when to look
// again, and wake sends another one. What is reported as failed is what the store
// could not be asked about.
func (s *parts) work(ctx context.Context, payload []byte) ([]byte, error) {
	var event events.SQSEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	if err := s.Reach(ctx); err != nil {
		return nil, err
	}
	failed := batch(event.Records, func(person string) error { return s.look(ctx, person) }, s.log)
	s.Tell(ctx)
	return json.Marshal(events.SQSEventResponse{BatchItemFailures: failed})
}

// afterwards is how much longer than this invocation a lease lasts.
const afterwards = 2 * time.Second

// look claims somebody, for as long as this invocation may last, and looks at them.
// When the program is told to stop they are claimed all the same: the claim is then
// given back, which sends their message anew.
func (s *parts) look(ctx context.Context, person string) error {
	lease := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		lease = time.Until(deadline) + maxMargin + afterwards
	}
	claiming, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	work, err := s.store.ClaimPerson(claiming, person, lease)
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil // nothing to do, or somebody else has them
	}
	if err != nil {
		return err
	}
	return s.WorkOn(ctx, work)
}

// personOf gives the person whom a message names.
func personOf(body string) (string, error) {
	var m awsstore.Message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return "", errors.New("its body is not what connectroster sends")
	}
	if m.Person == "" {
		return "", errors.New("it names no person")
	}
	return m.Person, nil
}

// catchUp reads Okta's System Log.
func (s *parts) catchUp(ctx context.Context, _ []byte) ([]byte, error) {
	lag, err := s.CatchUp(ctx)
	if lag > 0 {
		s.emit(metric{"catch_up_lag_seconds", seconds, rounded(lag)})
	}
	return nil, err
}

// sweep looks at everybody, if it is time to.
func (s *parts) sweep(ctx context.Context, _ []byte) ([]byte, error) {
	swept, err := s.Sweep(ctx)
	s.Tell(ctx)
	if err == nil && !swept {
		s.log.Debug("no sweep is due")
	}
	return nil, err
}

// wake sends messages about those who are due and of whom no message tells, and
// measures what waits.
func (s *parts) wake(ctx context.Context, _ []byte) ([]byte, error) {
	sent, err := s.store.SendDue(ctx)
	if sent > 0 {
		s.log.Info("woke workers", "people", sent)
	}
	waiting, failed := s.Waiting(ctx)
	if failed == nil {
		s.emit(
			metric{"holds_waiting", count, float64(waiting.Held)},
			metric{"oldest_request_seconds", seconds, rounded(waiting.Oldest)},
			metric{"dead_letters", count, float64(waiting.Dead)},
		)
	}
	return nil, errors.Join(err, failed, s.Anchor(ctx))
}
