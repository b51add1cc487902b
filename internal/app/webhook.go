package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"connectroster/internal/okta"
)

// Limits of a webhook. Together with gather they keep the time from a hold to its
// message below a minute.
const (
	webhookTimeout = 5 * time.Second
	webhookTries   = 4
	webhookBackoff = time.Second // doubled after each try
	lastWords      = 2 * time.Second
)

// webhook sends messages to one address, one after the other.
type webhook struct {
	config notifierConfig
	queue  chan message
	done   func(error)   // told of each message that was to be sent
	first  time.Duration // the wait before the second try; 0 is webhookBackoff

	address string // that the client is for
	client  *http.Client
}

// run sends what is in the queue until ctx is done, and then for a moment what is
// left.
func (h *webhook) run(ctx context.Context) {
	defer h.hangUp()
	for {
		select {
		case m := <-h.queue:
			h.send(ctx, m)
		case <-ctx.Done():
			h.rest(ctx)
			return
		}
	}
}

// rest sends what is left when the program stops.
func (h *webhook) rest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for {
		select {
		case m := <-h.queue:
			h.send(ctx, m)
		default:
			return
		}
	}
}

// send tells one message, with some tries.
func (h *webhook) send(ctx context.Context, m message) {
	address, err := h.config.Webhook()
	if err == nil && address == "" {
		return
	}
	wait := cmp.Or(h.first, webhookBackoff)
	for try := 1; err == nil; try++ {
		var again bool
		if again, err = h.post(ctx, address, m); err == nil {
			break
		}
		if !again || try == webhookTries || !pause(ctx, wait, nil) {
			break
		}
		err, wait = nil, 2*wait
	}
	h.done(err)
	if err != nil {
		h.config.Log.Error("the webhook did not take a message", "hold", m.Hold, "count", m.Count, "error", err)
	}
}

// post makes one request, and tells whether another could have more luck. Its
// errors do not show the address, which is a secret.
func (h *webhook) post(ctx context.Context, address string, m message) (again bool, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return false, fmt.Errorf("write the message: %w", err)
	}
	client, err := h.to(address)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the address of the webhook is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "connectroster")
	resp, err := client.Do(req)
	if err != nil {
		var about *url.Error
		if errors.As(err, &about) {
			err = about.Err
		}
		return true, fmt.Errorf("call the webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	switch {
	case resp.StatusCode/100 == 2:
		return false, nil
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return true, fmt.Errorf("call the webhook: status %d", resp.StatusCode)
	}
	return false, fmt.Errorf("call the webhook: status %d; check its address in notify.webhook", resp.StatusCode)
}

// to gives a client for the address, which may have changed since the last time.
// It follows no redirection.
func (h *webhook) to(address string) (*http.Client, error) {
	if h.client != nil && h.address == address {
		return h.client, nil
	}
	h.hangUp()
	to, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address of the webhook is not a URL")
	}
	transport, err := okta.NewPublicTransport(to, h.config.CAFile, h.config.AllowLoopback, webhookTimeout)
	if err != nil {
		return nil, fmt.Errorf("set up the webhook: %w", err)
	}
	h.address = address
	h.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h.client, nil
}

func (h *webhook) hangUp() {
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
}
