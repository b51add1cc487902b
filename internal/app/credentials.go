package app

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"connectroster/internal/config"
	"connectroster/internal/okta"
)

// NewOktaClient makes a client of Okta's API from a configuration in API mode.
func NewOktaClient(cfg *config.Config, version string, log *slog.Logger) (*okta.Client, error) {
	keys, err := cfg.OktaCredentials()
	if err != nil {
		return nil, err
	}
	return okta.NewClient(oktaClient(cfg, keys, version, log))
}

// oktaClient says how Okta's API is called with some credentials.
func oktaClient(cfg *config.Config, keys config.OktaCredentials, version string, log *slog.Logger) okta.ClientConfig {
	return okta.ClientConfig{
		Org: cfg.Okta.Org, Token: keys.Token, ClientID: keys.ClientID, PrivateKey: keys.PrivateKey, KeyID: keys.KeyID, Scopes: keys.Scopes,
		Share: cfg.Okta.Share, CAFile: cfg.Okta.CAFile, AllowLoopback: cfg.AllowLoopback, Version: version, Log: log,
	}
}

// renewEvery is how often the credentials for Okta's API are looked up again in a
// daemon, and renewAge how old they may be in Functions, where an event waits for that.
const (
	renewEvery = 10 * time.Second
	renewAge   = time.Minute
)

// renewal is what the client has last signed in with.
type renewal struct {
	keys   config.OktaCredentials
	looked time.Time // when they were last looked up
	failed bool      // what was found then does not do
}

// renewals renews now and then. Nothing else may meanwhile.
func (a *App) renewals(ctx context.Context) {
	for pause(ctx, renewEvery, nil) {
		a.renew()
	}
}

// renew has the client sign in with other credentials if they have changed, so that
// they are replaced without a restart. While they cannot be read, or are none, the last
// good ones stay, and the log says so once.
func (a *App) renew() {
	last := &a.signed
	last.looked = a.now()
	keys, err := a.cfg.OktaCredentials()
	if err == nil {
		if reflect.DeepEqual(keys, last.keys) {
			last.failed = false
			return
		}
		err = a.client.SignIn(oktaClient(a.cfg, keys, a.version, a.log))
	}
	switch {
	case err == nil:
		last.keys, last.failed = keys, false
		a.log.Info("the credentials for Okta's API have changed")
	case !last.failed:
		last.failed = true
		a.log.Error("cannot use the credentials for Okta's API as they are now; the last ones are used", "error", err)
	}
}
