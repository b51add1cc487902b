package okta

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

// setupScopes are those that setting up takes.
func setupScopes() []string {
	return []string{
		"okta.groups.read", "okta.groups.manage", "okta.apps.read", "okta.apps.manage", "okta.schemas.read",
		"okta.eventHooks.read", "okta.eventHooks.manage",
	}
}

// scoped gives a client that signs in with those of the scopes that the service
// app is granted, and names the others. An API token has no scopes.
func (c *Client) scoped(ctx context.Context, scopes []string) (client *Client, lacking []string, err error) {
	if _, oauth := c.auth.(*serviceApp); !oauth {
		return c, nil, nil
	}
	all, err := c.withScopes(ctx, scopes)
	if err == nil || !notGranted(err) {
		return all, nil, err
	}
	var granted []string
	for _, scope := range scopes {
		one, err := c.withScopes(ctx, []string{scope})
		switch {
		case err == nil:
			one.Close()
			granted = append(granted, scope)
		case notGranted(err):
			lacking = append(lacking, scope)
		default:
			return nil, nil, err
		}
	}
	if len(granted) == 0 {
		return c, lacking, nil
	}
	client, err = c.withScopes(ctx, granted)
	return client, lacking, err
}

// withScopes gives a client that has signed in with scopes of its own.
func (c *Client) withScopes(ctx context.Context, scopes []string) (*Client, error) {
	config := c.config
	config.Scopes = scopes
	client, err := NewClient(config)
	if err != nil {
		return nil, err
	}
	app, ok := client.auth.(*serviceApp)
	if !ok {
		return nil, errors.New("scopes belong to service apps alone")
	}
	if _, err := app.access(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// notGranted reports whether Okta refuses scopes, and not the app.
func notGranted(err error) bool {
	var e *APIError
	return errors.As(err, &e) && slices.Contains([]string{"invalid_scope", "consent_required", "access_denied"}, e.Code)
}

// lacksRight reports whether the credential may not do something.
func lacksRight(err error) bool {
	var e *APIError
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || notGranted(err)) || errors.Is(err, errBlind)
}

// errBlind says that Okta shows nothing of what is certainly there.
var errBlind = errors.New("the credential's admin role does not show it")
