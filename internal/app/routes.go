package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectroster/internal/reconcile"
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

// apiRoutes is the JSON API on the socket, for the owner of the process.
func (a *App) apiRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /v1/status", a.getStatus)
	mux.HandleFunc("GET /v1/people", a.getPeople)
	mux.HandleFunc("GET /v1/people/{person}", a.getPerson)
	mux.HandleFunc("GET /v1/journal", a.getJournal)
	mux.HandleFunc("GET /v1/dead", a.getDead)
	mux.HandleFunc("POST /v1/dead/{person}/replay", a.replayDead)
	mux.HandleFunc("POST /v1/sweep", a.askSweep)
	return mux
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

func (a *App) getStatus(w http.ResponseWriter, r *http.Request) {
	status, err := a.Status(r.Context())
	reply(w, status, err)
}

func (a *App) getPeople(w http.ResponseWriter, r *http.Request) {
	query := reconcile.WaitingQuery{State: reconcile.WaitingState(r.URL.Query().Get("state")), After: r.URL.Query().Get("after")}
	if err := number(r, "limit", &query.Limit); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	people, err := a.backend.People(r.Context(), query)
	reply(w, list(people), err)
}

// person is what is known of one person.
type person struct {
	Queue   *reconcile.Waiting `json:"queue,omitempty"`
	Agent   string             `json:"agent,omitempty"` // Connect UserId
	Groups  []membership       `json:"groups"`          // what events told
	Journal []reconcile.Entry  `json:"journal"`         // newest first
}

type membership struct {
	Group     string    `json:"group"`
	Name      string    `json:"name"`
	Member    bool      `json:"member"`
	Published time.Time `json:"published"`
	Event     string    `json:"event"`
}

func (a *App) getPerson(w http.ResponseWriter, r *http.Request) {
	p, err := a.person(r)
	reply(w, p, err)
}

func (a *App) person(r *http.Request) (*person, error) {
	ctx, id := r.Context(), r.PathValue("person")
	out := person{Groups: []membership{}}
	waiting, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id})
	if err != nil {
		return nil, err
	}
	if len(waiting) > 0 {
		out.Queue = &waiting[0]
	}
	known, err := a.backend.Agent(ctx, id)
	if err != nil && !errors.Is(err, reconcile.ErrNotFound) {
		return nil, err
	}
	out.Agent = known.Agent
	facts, err := a.backend.Facts(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, f := range facts {
		out.Groups = append(out.Groups, membership{Group: f.Group, Name: f.GroupName, Member: f.Member, Published: f.Published, Event: f.Event})
	}
	if out.Journal, err = a.backend.Recent(ctx, reconcile.Query{Person: id}); err != nil {
		return nil, err
	}
	if out.Queue == nil && out.Agent == "" && len(facts) == 0 && len(out.Journal) == 0 {
		return nil, fmt.Errorf("person %q: %w", id, reconcile.ErrNotFound)
	}
	out.Journal = list(out.Journal)
	return &out, nil
}

func (a *App) getJournal(w http.ResponseWriter, r *http.Request) {
	query := reconcile.Query{Person: r.URL.Query().Get("person")}
	if err := errors.Join(number(r, "limit", &query.Limit), number(r, "before", &query.Before)); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	entries, err := a.backend.Recent(r.Context(), query)
	reply(w, list(entries), err)
}

func (a *App) getDead(w http.ResponseWriter, r *http.Request) {
	query := reconcile.WaitingQuery{State: reconcile.StateDead, After: r.URL.Query().Get("after")}
	if err := number(r, "limit", &query.Limit); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	people, err := a.backend.People(r.Context(), query)
	reply(w, list(people), err)
}

// replayDead asks for a dead letter again. Doing so twice is harmless.
func (a *App) replayDead(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("person")
	err := a.backend.Replay(r.Context(), id)
	reply(w, map[string]string{"person": id, "state": string(reconcile.StateDue)}, err)
}

// askSweep starts a sweep soon, if none is running.
func (a *App) askSweep(w http.ResponseWriter, _ *http.Request) {
	nudge(a.asked)
	reply(w, map[string]string{"sweep": "asked for; GET /v1/status shows its progress and its result"}, nil)
}

// number reads an optional query parameter that is a natural number.
func number[T int | int64](r *http.Request, name string, into *T) error {
	text := r.URL.Query().Get(name)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("%s=%q is not a natural number", name, text)
	}
	*into = T(n)
	return nil
}

// list makes an empty list of none, so that the answer is [] and not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func reply(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, reconcile.ErrNotFound):
		fail(w, http.StatusNotFound, err)
		return
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the status is sent; a client that went away is no news
}

func fail(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
