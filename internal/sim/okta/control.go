package okta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const maxControlBody = 64 << 20 // bytes; a list of 20,000 people takes about 4 MB

// control serves /_sim/: the person at the keyboard. control.txt lists it.
func (o *Org) control() http.Handler {
	mux := http.NewServeMux()
	var routes []string
	handle := func(pattern string, serve func(*http.Request) (any, error)) {
		routes = append(routes, pattern)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
			v, err := serve(r)
			if err != nil {
				o.writeError(w, err)
				return
			}
			writeJSON(w, http.StatusOK, v)
		})
	}
	handle("POST /_sim/people", o.simAddPeople)
	handle("GET /_sim/people/{who}", func(r *http.Request) (any, error) { return o.User(r.PathValue("who")) })
	handle("PATCH /_sim/people/{who}", o.simPatchPerson)
	handle("POST /_sim/people/{who}/{action}", o.simAct)
	handle("POST /_sim/groups", func(r *http.Request) (any, error) {
		n, err := read[NewGroup](r)
		if err != nil {
			return nil, err
		}
		return o.CreateGroup(n)
	})
	handle("PATCH /_sim/groups/{group}", o.simPatchGroup)
	handle("DELETE /_sim/groups/{group}", func(r *http.Request) (any, error) {
		return object{}, o.DeleteGroup(r.PathValue("group"))
	})
	handle("POST /_sim/groups/{group}/{action}", o.simBulk)
	handle("POST /_sim/apps", func(r *http.Request) (any, error) {
		n, err := read[NewApp](r)
		if err != nil {
			return nil, err
		}
		return o.AddApp(n)
	})
	handle("PATCH /_sim/apps/{app}", func(r *http.Request) (any, error) {
		b, err := read[struct{ Roles []string }](r)
		if err != nil {
			return nil, err
		}
		return object{}, o.SetAppRoles(r.PathValue("app"), b.Roles...)
	})
	handle("GET /_sim/state", func(*http.Request) (any, error) {
		return object{"users": o.Users(), "groups": o.Groups(), "apps": o.Apps(), "hooks": o.Hooks(), "rules": o.Rules(), "clients": o.Clients()}, nil
	})
	o.controlAccess(handle)
	o.controlFaults(handle)
	handle("GET /_sim/stats", func(*http.Request) (any, error) { return o.Stats(), nil })
	handle("GET /_sim/settings", func(*http.Request) (any, error) { return o.Settings(), nil })
	handle("PATCH /_sim/settings", o.simPatchSettings)
	handle("GET /_sim/idle", o.simIdle)
	handle("POST /_sim/hooks/{id}/preview", o.simPreview)
	handle("POST /_sim/deliver", o.simDeliver)
	handle("POST /_sim/reset", func(r *http.Request) (any, error) { return object{}, o.Reset(r.Context()) })
	slices.Sort(routes)
	mux.HandleFunc("GET /_sim/{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"routes": routes, "help": strings.Split(strings.TrimSpace(ControlRoutes), "\n")})
	})
	return mux
}

// read decodes a control body strictly: a misspelt field is an error. An empty
// body is the zero value.
func read[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		return v, fail(http.StatusBadRequest, "E0000003", "The request body was not well-formed.", err.Error())
	}
	return v, nil
}

// simAddPeople takes one person or a list, and answers in kind. A list stops
// at the first person that is refused.
func (o *Org) simAddPeople(r *http.Request) (any, error) {
	raw, err := read[json.RawMessage](r)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	if len(raw) == 0 || raw[0] != '[' {
		n, err := read[NewUser](r)
		if err != nil {
			return nil, err
		}
		return o.AddUser(n)
	}
	list, err := read[[]NewUser](r)
	if err != nil {
		return nil, err
	}
	out := make([]User, 0, len(list))
	for i, n := range list {
		u, err := o.AddUser(n)
		if err != nil {
			return nil, fmt.Errorf("person %d of %d: %w", i+1, len(list), err)
		}
		out = append(out, u)
	}
	return out, nil
}

func (o *Org) simPatchPerson(r *http.Request) (any, error) {
	change, err := read[map[string]any](r)
	if err != nil {
		return nil, err
	}
	if err := o.UpdateProfile(r.PathValue("who"), change); err != nil {
		return nil, err
	}
	return o.User(r.PathValue("who"))
}

// simAct does what an administrator's button would and answers with the person.
func (o *Org) simAct(r *http.Request) (any, error) {
	b, err := read[struct {
		Group                 string `json:"group"`
		Job                   bool   `json:"job"`
		Status                string `json:"status"`
		TransitioningToStatus string `json:"transitioningToStatus"`
		App                   string `json:"app"`
		UserName              string `json:"userName"`
		Email                 string `json:"email"`
	}](r)
	if err != nil {
		return nil, err
	}
	who, action := r.PathValue("who"), r.PathValue("action")
	switch action {
	case "join":
		err = o.member(cause{job: b.Job}, who, b.Group, o.join)
	case "leave":
		err = o.member(cause{job: b.Job}, who, b.Group, o.leave)
	case "status":
		err = o.SetStatus(who, b.Status, b.TransitioningToStatus)
	case "app-username":
		err = o.SetAppUserName(who, b.App, b.UserName)
	case "primary-email":
		err = o.SetPrimaryEmail(who, b.Email)
	case "delete":
		if err := o.Delete(who); err != nil {
			return nil, err
		}
		if u, err := o.User(who); err == nil {
			return u, nil
		}
		return object{"deleted": true}, nil
	default:
		if _, ok := lifecycle[action]; !ok {
			return nil, fail(http.StatusNotFound, "E0000007", "Not found: unknown action "+action)
		}
		err = o.step(who, action)
	}
	if err != nil {
		return nil, err
	}
	return o.User(who)
}

func (o *Org) simPatchGroup(r *http.Request) (any, error) {
	b, err := read[struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}](r)
	if err != nil {
		return nil, err
	}
	return object{}, o.UpdateGroup(r.PathValue("group"), b.Name, b.Description)
}

func (o *Org) simPatchSettings(r *http.Request) (any, error) {
	raw, err := read[json.RawMessage](r)
	if err != nil {
		return nil, err
	}
	var bad error
	err = o.Configure(func(s *Settings) { bad = json.Unmarshal(raw, s) })
	if err = errors.Join(bad, err); err != nil {
		return nil, invalid("settings", err.Error())
	}
	return o.Settings(), nil
}

// simIdle waits for deliveries, at most for the timeout asked for (30 s).
func (o *Org) simIdle(r *http.Request) (any, error) {
	wait := 30 * time.Second
	if s := r.URL.Query().Get("timeout"); s != "" {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			return nil, invalid("timeout", "timeout: want a duration such as 30s")
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	if err := o.Idle(ctx); err != nil {
		return nil, fail(http.StatusGatewayTimeout, "E0000009", "Deliveries are still pending")
	}
	return object{"idle": true}, nil
}

func (o *Org) simPreview(r *http.Request) (any, error) {
	b, err := read[struct {
		Event string `json:"event"`
	}](r)
	if err != nil {
		return nil, err
	}
	return o.Preview(r.Context(), r.PathValue("id"), b.Event)
}

func (o *Org) simDeliver(r *http.Request) (any, error) {
	b, err := read[struct {
		Hook   string   `json:"hook"`
		Events []string `json:"events"`
	}](r)
	if err != nil {
		return nil, err
	}
	return o.Redeliver(r.Context(), b.Hook, b.Events...)
}
