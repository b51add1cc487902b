package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRotation changes the hook secret, twice, and the certificate of the endpoint
// under 20 deliveries a second (P-51): none is refused, what is no longer valid is
// refused within a minute, and it takes no restart.
func TestRotation(t *testing.T) {
	t.Parallel()
	a := newAviary(t, "hook-only", "text")
	data, err := os.ReadFile(a.file())
	a.must(err)
	text := strings.Replace(string(data), `"env:OKTA_HOOK_SECRET", "env:OKTA_HOOK_SECRET_NEXT"`, `"file:secret", "file:next-secret"`, 1)
	a.must(os.WriteFile(a.file(), []byte(text), 0o600))
	const first, second, third = "the-first-secret-of-the-rotation", "the-second-secret-of-the-rotation", "the-third-secret-of-the-rotation"
	put := func(name, secret string) {
		t.Helper()
		path := filepath.Join(a.dir, name)
		a.must(os.WriteFile(path+".new", []byte(secret+"\n"), 0o600))
		a.must(os.Rename(path+".new", path))
	}
	put("secret", first)
	put("next-secret", first)
	daemon := a.launch()

	var mu sync.Mutex
	sending, sent := first, 0
	send := func(secret string) (status int, subject string, err error) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own certificate
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+a.listen+"/hooks/okta", strings.NewReader(string(delivery(arrival(1)))))
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", secret)
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
		if err != nil {
			return 0, "", err
		}
		return resp.StatusCode, resp.TLS.PeerCertificates[0].Subject.CommonName, resp.Body.Close()
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			mu.Lock() // whoever changes the secret waits for a delivery that is under way
			sent++
			status, _, err := send(sending)
			for range 20 { // what a machine that does much else cannot store in time comes again
				if status == http.StatusServiceUnavailable {
					status, _, err = send(sending)
				}
			}
			if err != nil || status != http.StatusNoContent {
				t.Errorf("a delivery with the secret %q was answered %d, %v", sending, status, err)
			}
			mu.Unlock()
		}
	})
	defer load.Wait()
	defer stop()
	until := func(what string, secret string, good func(status int, subject string) bool) {
		t.Helper()
		eventually(t, patience, func() error {
			status, subject, err := send(secret)
			if err == nil && !good(status, subject) {
				err = errors.New(what)
			}
			if err != nil {
				return fmt.Errorf("status %d, certificate of %s: %w", status, subject, err)
			}
			return nil
		})
	}
	accepted := func(status int, _ string) bool { return status == http.StatusNoContent }
	refused := func(status int, _ string) bool { return status == http.StatusUnauthorized }
	for _, step := range [][2]string{{first, second}, {second, third}} {
		put("next-secret", step[1])
		until("the next secret is not accepted", step[1], accepted)
		mu.Lock()
		sending = step[1] // as Okta does after okta rotate-secret
		mu.Unlock()
		put("secret", step[1])
		until("the old secret is still accepted", step[0], refused)
	}
	c, key := certify(t, nil, nil, "renewed.example.com")
	a.must(os.WriteFile(filepath.Join(a.dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600))
	a.secretFile("tls.key", key)
	until("the certificate is the old one", third, func(_ int, subject string) bool { return subject == "renewed.example.com" })
	stop()
	load.Wait()
	daemon.stop()  // it is the same process
	if sent < 10 { // a busy machine sends few
		t.Errorf("only %d deliveries were sent, so this shows little", sent)
	}
	for _, leak := range leaks(daemon.output.String(), append(a.private, first, second, third)...) {
		t.Error(leak)
	}
	t.Logf("%d deliveries, none refused", sent)
}
