package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// controlMux serves /_sim/.
func (in *Instance) controlMux() *http.ServeMux {
	mux := http.NewServeMux()
	var routes []string
	on := func(pattern string, do func(*http.Request) (any, error)) {
		routes = append(routes, pattern)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			v, err := do(r)
			writeControl(w, v, err)
		})
	}
	on("GET /_sim/stats", func(*http.Request) (any, error) { return in.Stats(), nil })
	on("GET /_sim/ledger", in.controlLedger)
	on("GET /_sim/settings", func(*http.Request) (any, error) { return in.Settings(), nil })
	on("PATCH /_sim/settings", in.controlSettings)
	on("GET /_sim/faults", func(*http.Request) (any, error) { return in.Faults(), nil })
	on("POST /_sim/faults", in.controlFaults)
	on("DELETE /_sim/faults", func(*http.Request) (any, error) { in.ClearFaults(); return nil, nil })
	on("GET /_sim/agents", func(*http.Request) (any, error) { return in.Agents(), nil })
	on("POST /_sim/agents", in.controlAddAgent)
	on("GET /_sim/agents/{id}", func(r *http.Request) (any, error) {
		if a, ok := in.Agent(r.PathValue("id")); ok {
			return a, nil
		}
		return nil, errNoSuch
	})
	on("PATCH /_sim/agents/{id}", in.controlChangeAgent)
	on("DELETE /_sim/agents/{id}", func(r *http.Request) (any, error) { return nil, in.RemoveAgent(r.PathValue("id")) })
	for _, kind := range kinds {
		on("GET /_sim/"+kind, func(*http.Request) (any, error) { return in.Catalog(kind), nil })
		on("POST /_sim/"+kind, func(r *http.Request) (any, error) { return in.controlAddEntry(r, kind) })
		on("PATCH /_sim/"+kind+"/{id}", in.controlChangeEntry)
		on("DELETE /_sim/"+kind+"/{id}", func(r *http.Request) (any, error) {
			return nil, in.RemoveCatalogEntry(r.PathValue("id"))
		})
	}
	in.floorRoutes(on)
	on("POST /_sim/reset", func(*http.Request) (any, error) { in.Reset(); return nil, nil })
	slices.Sort(routes)
	mux.HandleFunc("GET /_sim/{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeControl(w, in.overview(routes), nil)
	})
	return mux
}

// overview is what GET /_sim/ answers.
func (in *Instance) overview(routes []string) any {
	in.mu.Lock()
	defer in.mu.Unlock()
	return struct {
		Instance         instanceSummary       `json:"instance"`
		RoutingProfiles  []CatalogEntry        `json:"routing_profiles"`
		SecurityProfiles []CatalogEntry        `json:"security_profiles"`
		HierarchyGroups  []CatalogEntry        `json:"hierarchy_groups"`
		AgentStatuses    []CatalogEntry        `json:"agent_statuses"`
		Attributes       []PredefinedAttribute `json:"predefined_attributes"`
		Operations       []string              `json:"operations"`
		Routes           []string              `json:"routes"`
	}{in.summary(), in.routing.snapshot(), in.security.snapshot(), in.groups.snapshot(), in.statuses.snapshot(),
		in.attributes.snapshot(), operationNames(), routes}
}

// writeControl answers a control request; no value is 204.
func writeControl(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	switch refused := new(Error); {
	case errors.Is(err, errNoSuch):
		status = http.StatusNotFound
	case errors.As(err, &refused):
		status = refused.Status
	case err != nil:
		status = http.StatusBadRequest
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err != nil {
		v = struct {
			Error string `json:"error"`
		}{err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no news
}

// readControl decodes the body of a control request, strictly.
func readControl(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if err := strictly(data, v); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	return nil
}

func (in *Instance) controlLedger(r *http.Request) (any, error) {
	after := 0
	if s := r.URL.Query().Get("after"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("after: %q is no number", s)
		}
		after = n
	}
	entries := in.LedgerAfter(after)
	if entries == nil {
		entries = []Entry{}
	}
	return entries, nil
}

func (in *Instance) controlSettings(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.settings.clone()
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if err := in.useSettings(s); err != nil {
		return nil, err
	}
	return in.settings.clone(), nil
}

func (in *Instance) controlFaults(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	var list []Fault
	if json.Unmarshal(data, &list) != nil {
		list = make([]Fault, 1)
		if err := json.Unmarshal(data, &list[0]); err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
	}
	if err := in.AddFaults(list...); err != nil {
		return nil, err
	}
	return in.Faults(), nil
}

func (in *Instance) controlAddAgent(r *http.Request) (any, error) {
	var a Agent
	if err := readControl(r, &a); err != nil {
		return nil, err
	}
	return in.AddAgent(a)
}

func (in *Instance) controlChangeAgent(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return in.changeAgent(r.PathValue("id"), func(a *Agent) error {
		tags, profiles, proficiencies := a.Tags, a.SecurityProfiles, a.Proficiencies
		lists := a.ChannelConfigs
		a.Tags, a.SecurityProfiles, a.Proficiencies = nil, nil, nil // replaced when given, never merged
		a.ChannelConfigs = ChannelConfigs{}
		if err := strictly(data, a); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		if a.Tags == nil {
			a.Tags = tags
		}
		if len(a.SecurityProfiles) == 0 {
			a.SecurityProfiles = profiles
		}
		a.Proficiencies = listOver(a.Proficiencies, proficiencies)
		a.ChannelConfigs = a.over(lists)
		return nil
	})
}
