package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// endpoint is one listener with its server.
type endpoint struct {
	listener net.Listener
	server   *http.Server
	log      *slog.Logger
}

func (e *endpoint) serve() {
	if err := e.server.Serve(e.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		e.log.Error("an endpoint stopped", "address", e.listener.Addr().String(), "error", err)
	}
}

func (e *endpoint) shutdown(ctx context.Context) error {
	if err := e.server.Shutdown(ctx); err != nil {
		return errors.Join(err, e.server.Close())
	}
	return nil
}

// listen opens the hook endpoint, the admin endpoint and the socket, in that
// order.
func (a *App) listen(ctx context.Context) error {
	var open net.ListenConfig
	hooks, err := open.Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for hooks (config key listen): %w", err)
	}
	if a.cfg.TLS.Given() {
		settings, err := a.serveTLS()
		if err != nil {
			return errors.Join(fmt.Errorf("read the certificate (config key tls): %w", err), hooks.Close())
		}
		hooks = tls.NewListener(hooks, settings)
	}
	a.serve(hooks, a.hookRoutes())
	admin, err := open.Listen(ctx, "tcp", a.cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for metrics (config key admin_listen): %w", err)
	}
	a.serve(admin, a.adminRoutes())
	socket, err := listenSocket(ctx, a.cfg.Socket)
	if err != nil {
		return fmt.Errorf("listen on the socket %s (config key socket): %w", a.cfg.Socket, err)
	}
	a.serve(socket, bySudo(a.API()))
	a.servers[len(a.servers)-1].server.ConnContext = fromPeer
	return nil
}

// listenSocket opens a Unix socket that only this user can use. One that nobody
// answers at was left behind by a crash and is removed.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, errors.New("a file that is no socket is in the way: remove it, or name another path")
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
			return nil, errors.Join(errors.New("another process serves it"), conn.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := bindSocket(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bindSocket opens a Unix socket that nobody but this user can use from the
// moment on that it is there: to change its mode afterwards would be too late for
// whoever connects at once.
func bindSocket(ctx context.Context, path string) (net.Listener, error) {
	defer maskOthers()()
	return (&net.ListenConfig{}).Listen(ctx, "unix", path)
}

// serve adds an endpoint. The limits hold against clients that send or read
// slowly on purpose: Okta itself gives up after 3 seconds.
func (a *App) serve(l net.Listener, h http.Handler) {
	a.servers = append(a.servers, &endpoint{listener: l, log: a.log, server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       8 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}})
}
