package okta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// probeTimeout is that of Okta's own verification. Source: Okta, Event Hooks.
const probeTimeout = 3 * time.Second

// errRefused says that the endpoint does not accept a secret.
var errRefused = errors.New("the endpoint does not accept the secret")

// probe asks an endpoint for a verification as Okta would. It follows no
// redirects. Its errors hold neither the secret nor anything of the answer.
func (j *job) probe(ctx context.Context, address, header, secret string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return errors.New("the address of the hook cannot be called")
	}
	challenge := rand.Text()
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "connectroster/"+j.Client.config.Version)
	r.Header.Set(challengeHeader, challenge)
	r.Header.Set(header, secret)
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("the endpoint cannot be reached: %w", bare(err))
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w (it answered %d)", errRefused, response.StatusCode)
	default:
		return fmt.Errorf("the endpoint answered %d, and no challenge", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 4*maxChallenge))
	var echo struct {
		Verification string `json:"verification"`
	}
	if err != nil || json.Unmarshal(body, &echo) != nil || echo.Verification != challenge {
		return errors.New("the endpoint answered 200 without the challenge, so that it is not connectroster's")
	}
	return nil
}

// hookScopes are those that looking after the hook takes.
func hookScopes() []string { return []string{"okta.eventHooks.read", "okta.eventHooks.manage"} }

// RotateSecret makes Okta send another secret. HookSecret is the one it sends so
// far, as far as known, and is sent again if the new one does not do.
//
// The endpoint must accept the new secret already, or nothing is changed. Between
// the change and its verification, a second or so, Okta delivers nothing. What
// happens then is in the System Log alone.
func (o *Org) RotateSecret(ctx context.Context, secret string) (Report, error) {
	switch {
	case secret == "" || strings.ContainsFunc(secret, notHeaderValue):
		return Report{}, errors.New("rotate the secret: the new one is missing, or cannot be the value of a header")
	case secret == o.config.HookSecret:
		return Report{}, errors.New("rotate the secret: the new one is the old one")
	}
	j := &job{OrgConfig: o.config}
	err := j.with(ctx, hookScopes(), func() error { return j.rotate(ctx, secret) })
	if err != nil {
		err = fmt.Errorf("rotate the secret: %w", err)
	}
	return j.report, err
}

func (j *job) rotate(ctx context.Context, secret string) error {
	h, err := j.findHook(ctx)
	switch {
	case err != nil:
		return j.byHand(stepHook, byHandSecret, err)
	case h.ID == "":
		return fmt.Errorf("okta has no event hook named %q, and none that calls our address", j.HookName)
	}
	has := h.content()
	if has.header == "" {
		has.header = j.HookHeader
	}
	if err := j.probe(ctx, has.url, has.header, secret); err != nil {
		j.report.add(StepFailed, "new secret", "%s; nothing was changed", err)
		return err
	}
	j.report.add(StepUnchanged, "new secret", "the endpoint accepts it")
	if j.HookSecret != "" {
		if err := j.probe(ctx, has.url, has.header, j.HookSecret); err != nil {
			j.report.add(StepUnchanged, "old secret", "the endpoint does not accept it any more, so what is under way is refused")
		} else {
			j.report.add(StepUnchanged, "old secret", "the endpoint accepts it too")
		}
	}
	if j.DryRun {
		j.report.add(StepWould, stepHook, "let %q (%s) send the new secret, and verify it", h.Name, h.ID)
		return nil
	}
	_, err = j.replace(ctx, h, has, secret)
	if err != nil && !mayHaveChanged(err) {
		return j.byHand(stepHook, byHandSecret, err)
	}
	if err == nil {
		err = j.verify(ctx, h)
	}
	if err != nil {
		return j.restore(ctx, h, has, err)
	}
	j.report.add(StepDone, stepHook, "%q (%s) sends the new secret, and is verified", h.Name, h.ID)
	return nil
}

// mayHaveChanged reports whether a call that failed may have been carried out.
func mayHaveChanged(err error) bool {
	var e *APIError
	return !errors.As(err, &e) || uncertain(err)
}

// restore puts the old secret back, and tells what stands.
func (j *job) restore(ctx context.Context, h oktaHook, has hookContent, because error) error {
	// Whoever interrupts the rotation does not want to leave the hook deaf.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*j.Client.config.Timeout)
	defer cancel()
	if j.HookSecret == "" {
		j.report.add(StepFailed, stepHook, "%q (%s) may send the new secret, but is not verified, so nothing is delivered: run this again; the old secret is not known, so it was not put back", h.Name, h.ID)
		return because
	}
	_, err := j.replace(ctx, h, has, j.HookSecret)
	if err == nil {
		err = j.verify(ctx, h)
	}
	if err != nil {
		j.report.add(StepFailed, stepHook, "%q (%s) is not verified, so nothing is delivered: %s; the old secret could not be put back: %s", h.Name, h.ID, because, err)
		return errors.Join(because, fmt.Errorf("put the old secret back: %w", err))
	}
	j.report.add(StepFailed, stepHook, "%q (%s) sends the old secret as before, and is verified: %s", h.Name, h.ID, because)
	return because
}

// Remove deactivates the event hook and deletes it. The groups and their
// assignments stay, since people may need them.
func (o *Org) Remove(ctx context.Context) (Report, error) {
	j := &job{OrgConfig: o.config}
	err := j.with(ctx, hookScopes(), func() error { return j.remove(ctx) })
	if err != nil {
		err = fmt.Errorf("remove the event hook: %w", err)
	}
	return j.report, err
}

func (j *job) remove(ctx context.Context) error {
	const name = stepHook
	defer func() { j.report.add(StepUnchanged, "groups and app", "they stay as they are, with their assignments") }()
	h, err := j.findHook(ctx)
	switch {
	case err != nil:
		return j.byHand(name, byHandRemove, err)
	case h.ID == "":
		j.report.add(StepUnchanged, name, "okta has no event hook named %q, and none that calls our address", j.HookName)
		return nil
	case j.DryRun:
		j.report.add(StepWould, name, "deactivate and delete %q (%s)", h.Name, h.ID)
		return nil
	}
	if h.active() {
		if _, err := j.hookCall(ctx, fmt.Sprintf("deactivate event hook %q (%s)", h.Name, h.ID), http.MethodPost, nil, h.ID, "lifecycle", "deactivate"); err != nil {
			return j.byHand(name, byHandRemove, err)
		}
	}
	what := fmt.Sprintf("delete event hook %q (%s)", h.Name, h.ID)
	_, err = j.Client.do(ctx, apiCall{
		what: what, class: classOther, url: j.Client.path(nil, "eventHooks", h.ID), patience: patient, method: http.MethodDelete,
	})
	if err != nil && !missing(err) { // somebody else was faster, or our first attempt was
		return j.byHand(name, byHandRemove, fmt.Errorf("%s: %w; it is deactivated", what, err))
	}
	j.report.add(StepDone, name, "%q (%s) deactivated and deleted", h.Name, h.ID)
	return nil
}
