package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// Limits of what a client may send.
const (
	maxBody  = 1 << 20
	maxApply = 64 << 20 // a plan of everybody
)

// API is the JSON API, for the owner of the process. It is served on the socket.
func (a *App) API() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /healthz":                    a.health,
		"GET /readyz":                     a.ready,
		"GET /v1/status":                  a.getStatus,
		"GET /v1/people":                  a.getPeople,
		"GET /v1/people/{person}":         a.getPerson,
		"GET /v1/people/{person}/explain": a.explain,
		"POST /v1/plan":                   a.postPlan,
		"POST /v1/apply":                  a.postApply,
		"GET /v1/holds":                   a.getHolds,
		"GET /v1/holds/{hold}":            a.getHold,
		"POST /v1/holds/{hold}/approve":   a.approve,
		"POST /v1/holds/{hold}/reject":    a.reject,
		"GET /v1/stays":                   a.getStays,
		"DELETE /v1/stays/{person}":       a.unstay,
		"GET /v1/dead":                    a.getDead,
		"GET /v1/dead/{person}":           a.getDeadPerson,
		"POST /v1/dead/{person}/replay":   a.replayDead,
		"DELETE /v1/dead/{person}":        a.dropDead,
		"GET /v1/journal":                 a.getJournal,
		"POST /v1/journal/verify":         a.verifyJournal,
		"POST /v1/adopt":                  a.order(reconcile.OrderAdopt),
		"POST /v1/release":                a.order(reconcile.OrderRelease),
		"POST /v1/restore":                a.order(reconcile.OrderRestore),
		"POST /v1/forget/{person}":        a.forget,
		"POST /v1/sweep":                  a.askSweep,
		"GET /v1/backup":                  a.getBackup,
	} {
		mux.HandleFunc(pattern, h)
	}
	return unburdened(mux)
}

// unburdened reads the body of questions that have no use for one. net/http notices
// that a caller has left once it has read what he sent, and not before: a backup whose
// request had a body went on to its end.
func unburdened(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<16))
		}
		h.ServeHTTP(w, r)
	})
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
	Agent   string             `json:"agent,omitempty"` // Connect UserId of the live agent; of the first instance that has one
	Agents  []agent            `json:"agents"`          // in all instances, retired ones too
	Groups  []membership       `json:"groups"`          // what events told
	Journal []reconcile.Entry  `json:"journal"`         // newest first
}

type agent struct {
	Instance string `json:"instance,omitempty"`
	Agent    string `json:"agent"`
	Retired  bool   `json:"retired,omitempty"`
	Group    string `json:"group,omitempty"`
}

type membership struct {
	Group     string    `json:"group"`
	Name      string    `json:"name"`
	Member    bool      `json:"member"`
	Published time.Time `json:"published"`
	Event     string    `json:"event"`
}

func (a *App) getPerson(w http.ResponseWriter, r *http.Request) {
	id, ok := a.oneRef(w, r)
	if !ok {
		return
	}
	p, err := a.person(r.Context(), id)
	reply(w, p, err)
}

func (a *App) person(ctx context.Context, id string) (*person, error) {
	out := person{Groups: []membership{}, Agents: []agent{}}
	waiting, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id})
	if err != nil {
		return nil, err
	}
	if len(waiting) > 0 {
		out.Queue = &waiting[0]
	}
	known, err := a.backend.Agents(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		out.Agents = append(out.Agents, agent{Instance: k.Instance, Agent: k.Agent, Retired: k.Retired, Group: k.Group})
		if out.Agent == "" && !k.Retired {
			out.Agent = k.Agent
		}
	}
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
	if out.Queue == nil && len(out.Agents) == 0 && len(facts) == 0 && len(out.Journal) == 0 {
		return nil, fmt.Errorf("person %q: %w", id, reconcile.ErrNotFound)
	}
	out.Journal = list(out.Journal)
	return &out, nil
}

// askSweep starts a sweep soon, if none is running.
func (a *App) askSweep(w http.ResponseWriter, _ *http.Request) {
	nudge(a.asked)
	reply(w, map[string]string{"sweep": "asked for; GET /v1/status shows its progress and its result"}, nil)
}

// unknownError names people whom nobody knows.
type unknownError struct{ refs []string }

func (e *unknownError) Error() string {
	if len(e.refs) == 1 {
		return fmt.Sprintf("nobody has the Okta id, the login or the username %q", e.refs[0])
	}
	return "nobody has these Okta ids, logins or usernames: " + strings.Join(e.refs, ", ")
}

func (e *unknownError) Unwrap() error { return reconcile.ErrNotFound }

// missingError says that something is not there, and what to do.
type missingError string

func (e missingError) Error() string { return string(e) }

func (e missingError) Unwrap() error { return reconcile.ErrNotFound }

// ownerlessError says that an agent is of this deployment and nobody's.
type ownerlessError struct{ agent string }

func (e *ownerlessError) Error() string {
	return fmt.Sprintf("agent %s is of this deployment, but its tags name no owner; connectroster release %s gives it up", e.agent, e.agent)
}

func (e *ownerlessError) Unwrap() error { return missingError(e.Error()) }

// resolve finds the Okta ids of people who are named by an id, a login or a
// username, each once, and what they were called. Whoever is kept here is known
// without asking Okta: so are those whom Okta has forgotten.
func (a *App) resolve(ctx context.Context, refs []string) (ids []string, called map[string]string, err error) {
	return resolveBy(ctx, refs, a.find)
}

// resolveBy is resolve by another way to find somebody.
func resolveBy(ctx context.Context, refs []string, find func(context.Context, string) (string, error)) (ids []string, called map[string]string, err error) {
	called = map[string]string{}
	var unknown []string
	var told []error
	for _, ref := range refs {
		id, err := find(ctx, ref)
		var missing missingError
		switch {
		case errors.As(err, &missing):
			told = append(told, err)
			continue
		case errors.Is(err, reconcile.ErrNotFound):
			unknown = append(unknown, ref)
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("find %q: %w", ref, err)
		}
		if _, twice := called[id]; !twice {
			ids = append(ids, id)
			called[id] = ref
		}
	}
	if len(unknown) > 0 {
		told = append(told, &unknownError{unknown})
	}
	if len(told) > 0 {
		return nil, nil, remedy.Mark("person_unknown", errors.Join(told...))
	}
	return ids, called, nil
}

func (a *App) find(ctx context.Context, ref string) (string, error) {
	if ref == "" {
		return "", reconcile.ErrNotFound
	}
	known, err := a.known(ctx, ref)
	if err != nil || known {
		return ref, err
	}
	id, err := a.engine.Directory.Find(ctx, ref)
	if err != nil && !errors.Is(err, reconcile.ErrNotFound) && a.cfg.APIMode() {
		err = fmt.Errorf("%w; an Okta id (00u...) is found without Okta", err)
	}
	return id, err
}

// agentID is what the UserIds of Amazon Connect look like.
var agentID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// findOwner is find, and whom nobody has as their id, login or username is looked for
// among the agents: by the UserId, and by the username that an agent has now, be it a
// retired one. An id is looked for there first.
func (a *App) findOwner(ctx context.Context, ref string) (string, error) {
	var owner string
	var fault error
	if agentID.MatchString(ref) {
		var nobodys *ownerlessError
		if owner, fault = a.ownerOf(ctx, ref); fault == nil || errors.As(fault, &nobodys) {
			return owner, fault
		}
	}
	id, err := a.find(ctx, ref)
	switch {
	case !errors.Is(err, reconcile.ErrNotFound):
		return id, err
	case fault != nil:
		return "", fault
	}
	return a.ownerOf(ctx, ref)
}

// ownerOf gives the Okta id of the owner of an agent of this deployment. Of several
// instances each may have an agent of that username; if they are not one person's it is
// nobody's name.
func (a *App) ownerOf(ctx context.Context, ref string) (string, error) {
	var faults []error
	var found plan.Agent
	var missing error = missingError(fmt.Sprintf("nobody has the Okta id, the login or the username %q, and no agent has it as its id or its username in Amazon Connect", ref))
	for _, s := range a.sites {
		agent, err := s.named(ctx, ref)
		switch {
		case errors.Is(err, reconcile.ErrNotFound):
		case err != nil:
			faults = append(faults, about(s.name, fmt.Errorf("look for an agent: %w", err)))
		case agent.Deployment != a.cfg.Name:
			missing = missingError(fmt.Sprintf("nobody has the Okta id, the login or the username %q, and agent %s, which has it, is not of this deployment", ref, agent.ID))
		case agent.Owner == "":
			missing = &ownerlessError{agent.ID}
		case found.Owner == "" || found.Owner == agent.Owner:
			found = agent
		default:
			return "", missingError(fmt.Sprintf("the agents %s and %s have the username %q, and are of two people, %s and %s: name one of these", found.ID, agent.ID, ref, found.Owner, agent.Owner))
		}
	}
	switch {
	case found.Owner != "":
		return found.Owner, nil
	case len(faults) > 0:
		return "", errors.Join(faults...)
	}
	return "", missing
}

// named reads the agent that has a UserId, or a username.
func (s *site) named(ctx context.Context, ref string) (plan.Agent, error) {
	if agentID.MatchString(ref) {
		return s.instance.Agent(ctx, ref)
	}
	if plan.UsernameFault(ref) != "" {
		return plan.Agent{}, reconcile.ErrNotFound
	}
	shown, err := s.instance.Holder(ctx, ref)
	if err != nil {
		return plan.Agent{}, err
	}
	agent, err := s.instance.Agent(ctx, shown.ID) // a search lags
	if err == nil && plan.Fold(agent.Username) != plan.Fold(ref) {
		err = reconcile.ErrNotFound
	}
	return agent, err
}

// known reports whether something is kept here under an Okta id.
func (a *App) known(ctx context.Context, id string) (bool, error) {
	rows, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id})
	if err != nil || len(rows) > 0 {
		return err == nil, err
	}
	agents, err := a.backend.Agents(ctx, id)
	if err != nil || len(agents) > 0 {
		return err == nil, err
	}
	entries, err := a.backend.Recent(ctx, reconcile.Query{Person: id, Limit: 1})
	return len(entries) > 0, err
}

// oneRef resolves the person of the path, or answers why it cannot.
func (a *App) oneRef(w http.ResponseWriter, r *http.Request) (id string, ok bool) {
	patient(w) // Okta may have to be asked
	ids, _, err := a.resolve(r.Context(), []string{r.PathValue("person")})
	if err != nil {
		reply(w, nil, err)
		return "", false
	}
	return ids[0], true
}

// read decodes the body of a request. An empty one leaves v as it is.
func read(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return true
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", limit))
	default:
		fail(w, http.StatusBadRequest, fmt.Errorf("read the body: %w", err))
	}
	return false
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

// until reads a time: RFC 3339, or a duration from now on, of hours or days.
func until(text string, now time.Time, otherwise time.Duration) (time.Time, error) {
	if text == "" {
		return now.Add(otherwise), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		var d time.Duration
		if days, ok := strings.CutSuffix(text, "d"); ok {
			n, fault := strconv.Atoi(days)
			d, err = time.Duration(n)*24*time.Hour, fault
		} else {
			d, err = time.ParseDuration(text)
		}
		at = now.Add(d)
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("until %q: want a time such as 2026-12-24T18:00:00Z, or how long, such as 12h or 3d", text)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("until %q: is not in the future", text)
	case at.Sub(now) > longestStay:
		return time.Time{}, fmt.Errorf("until %q: is more than %d days off", text, longestStay/(24*time.Hour))
	}
	return at, nil
}

// longestStay keeps a slip of the finger from putting somebody out of reach.
const longestStay = 366 * 24 * time.Hour

// list makes an empty list of none, so that the answer is [] and not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// reply answers with v, or with the error and the status that fits it.
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
	failWith(w, code, Problem{Error: err.Error(), Code: remedy.CodeOf(err)})
}

// Problem is the answer to a request that failed.
type Problem struct {
	Error   string       `json:"error"`
	Code    string       `json:"code,omitempty"`    // of the catalogue of remedies, where it knows the error
	Differs []Difference `json:"differs,omitempty"` // of a plan that is stale
}

func failWith(w http.ResponseWriter, code int, p Problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(p)
}

// displayName is the name of an agent for people.
func displayName(a *plan.Agent) string {
	if a == nil {
		return ""
	}
	return strings.TrimSpace(a.FirstName + " " + a.LastName)
}
