package app

import (
	"fmt"
	"net/http"
)

// hooksInFlight bounds the deliveries that are read and stored at the same time,
// and with it their memory. Those without the secret are answered at once and
// hold no place for long.
const hooksInFlight = 128

// hookRoutes is what the Internet sees.
func (a *App) hookRoutes() http.Handler {
	hook := limit(hooksInFlight, a.hook)
	mux := http.NewServeMux()
	mux.Handle("/hooks/okta", hook)
	mux.Handle("/create_user", hook) // where the AWS sample's hook points
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /readyz", a.ready)
	return mux
}

// limit answers 503 beyond n requests at a time; Okta tries once more then.
func limit(n int, h http.Handler) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Connection", "close")
			http.Error(w, "too many deliveries at once", http.StatusServiceUnavailable)
		}
	})
}

// adminRoutes is for the operators' machines.
func (a *App) adminRoutes() http.Handler {
	a.admin.HandleFunc("GET /healthz", a.health)
	a.admin.HandleFunc("GET /readyz", a.ready)
	return a.admin
}

// health says that the process lives, whatever the world around it does.
func (a *App) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// ready says whether a delivery could be stored now. Amazon Connect being away
// does not matter for that.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := a.backend.Ready(r.Context()); err != nil {
		a.log.Debug("not ready: cannot store requests", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "cannot store requests")
		return
	}
	fmt.Fprintln(w, "ready")
}
