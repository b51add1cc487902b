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

// Agents returns every agent in the order they were made, without lag.
func (in *Instance) Agents() []Agent {
	in.mu.Lock()
	defer in.mu.Unlock()
	agents := make([]Agent, 0, in.agents.len())
	for _, r := range in.agents.order {
		if a := r.present(); a != nil {
			agents = append(agents, a.clone())
		}
	}
	return agents
}

// Agent returns the agent of an id or ARN.
func (in *Instance) Agent(id string) (Agent, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return found(in.agents.current(in.bareID("agent", id)))
}

// AgentNamed returns the agent that holds a username under the case policy.
func (in *Instance) AgentNamed(username string) (Agent, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return found(in.agents.named(username))
}

func found(a *Agent) (Agent, bool) {
	if a == nil {
		return Agent{}, false
	}
	return a.clone(), true
}

// AddAgent adds an agent as an administrator does by hand. Username is
// required and not held to the rules of the identity type; profiles may be
// given by id, ARN or name and default to "Basic Routing Profile" and Agent.
// Names taken, a full instance and unknown references are errors.
func (in *Instance) AddAgent(a Agent) (Agent, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a = a.clone()
	a.RoutingProfile = defaultTo(a.RoutingProfile, "Basic Routing Profile")
	if len(a.SecurityProfiles) == 0 {
		a.SecurityProfiles = []string{"Agent"}
	}
	a.PhoneConfig.PhoneType = defaultTo(a.PhoneConfig.PhoneType, "SOFT_PHONE")
	if err := in.resolve(&a); err != nil {
		return Agent{}, fmt.Errorf("add an agent: %w", err)
	}
	if err := in.enrol(&a); err != nil {
		return Agent{}, fmt.Errorf("add an agent: %w", err)
	}
	return a.clone(), nil
}

// ChangeAgent lets change edit an agent as an administrator does by hand. Its
// id and ARN stay.
func (in *Instance) ChangeAgent(id string, change func(*Agent)) (Agent, error) {
	return in.changeAgent(id, func(a *Agent) error { change(a); return nil })
}

func (in *Instance) changeAgent(id string, change func(*Agent) error) (Agent, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	old := in.agents.current(in.bareID("agent", id))
	if old == nil {
		return Agent{}, fmt.Errorf("change agent %s: %w", id, errNoSuch)
	}
	a := old.clone()
	if err := change(&a); err != nil {
		return Agent{}, fmt.Errorf("change agent %s: %w", id, err)
	}
	a.ID, a.ARN = old.ID, old.ARN
	if err := in.resolve(&a); err != nil {
		return Agent{}, fmt.Errorf("change agent %s: %w", id, err)
	}
	if holder := in.agents.named(a.Username); holder != nil && holder.ID != a.ID {
		return Agent{}, fmt.Errorf("change agent %s: the username is taken", id)
	}
	in.agents.release(old)
	in.store(&a)
	return a.clone(), nil
}

// resolve checks an agent made by hand and turns its references into ids.
func (in *Instance) resolve(a *Agent) (err error) {
	if a.Username == "" {
		return errors.New("no username")
	}
	if a.RoutingProfile, err = in.routing.lookUp(in, a.RoutingProfile); err != nil {
		return err
	}
	for i, ref := range a.SecurityProfiles {
		if a.SecurityProfiles[i], err = in.security.lookUp(in, ref); err != nil {
			return err
		}
	}
	slices.Sort(a.SecurityProfiles)
	if a.HierarchyGroup != "" {
		a.HierarchyGroup, err = in.groups.lookUp(in, a.HierarchyGroup)
	}
	return err
}

var errNoSuch = errors.New("there is none")

// RemoveAgent removes an agent as an administrator does by hand.
func (in *Instance) RemoveAgent(id string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.agents.current(in.bareID("agent", id))
	if a == nil {
		return fmt.Errorf("remove agent %s: %w", id, errNoSuch)
	}
	in.drop(a)
	return nil
}

// AddRoutingProfile adds a routing profile and returns its id.
func (in *Instance) AddRoutingProfile(name string) (string, error) {
	return in.addEntry(in.routingCatalog, CatalogEntry{Name: name})
}

// AddSecurityProfile adds a security profile and returns its id.
func (in *Instance) AddSecurityProfile(name string) (string, error) {
	return in.addEntry(in.securityCatalog, CatalogEntry{Name: name})
}

// AddHierarchyGroup adds a hierarchy group below the one with the id parent,
// at the top if that is "", and returns its id.
func (in *Instance) AddHierarchyGroup(name, parent string) (string, error) {
	return in.addEntry(in.groupCatalog, CatalogEntry{Name: name, Parent: parent})
}

// RoutingProfileID returns the id of a routing profile, "" if there is none of
// that name. Ids are the same in every run of the same instance.
func (in *Instance) RoutingProfileID(name string) string { return in.entryID(in.routingCatalog, name) }

// SecurityProfileID is the same for security profiles.
func (in *Instance) SecurityProfileID(name string) string {
	return in.entryID(in.securityCatalog, name)
}

// HierarchyGroupID is the same for hierarchy groups.
func (in *Instance) HierarchyGroupID(name string) string { return in.entryID(in.groupCatalog, name) }

// RemoveCatalogEntry removes the routing profile, security profile or
// hierarchy group of an id. Agents that refer to it keep doing so.
func (in *Instance) RemoveCatalogEntry(id string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, t := range []*catalog{in.routing, in.security, in.groups} {
		if t.remove(id) {
			return nil
		}
	}
	return fmt.Errorf("remove catalogue entry %s: %w", id, errNoSuch)
}

// Reset replaces the catalogues, so they are found anew under the lock.
func (in *Instance) routingCatalog() *catalog  { return in.routing }
func (in *Instance) securityCatalog() *catalog { return in.security }
func (in *Instance) groupCatalog() *catalog    { return in.groups }

func (in *Instance) addEntry(of func() *catalog, e CatalogEntry) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	added, err := of().add(in, e.Name, e.Description, e.Parent)
	if err != nil {
		return "", err
	}
	return added.ID, nil
}

func (in *Instance) entryID(of func() *catalog, name string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if e := of().named(name); e != nil {
		return e.ID
	}
	return ""
}

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
	for name, of := range map[string]func() *catalog{
		"routing-profiles": in.routingCatalog, "security-profiles": in.securityCatalog, "hierarchy-groups": in.groupCatalog,
	} {
		on("GET /_sim/"+name, func(*http.Request) (any, error) {
			in.mu.Lock()
			defer in.mu.Unlock()
			return of().snapshot(), nil
		})
		on("POST /_sim/"+name, func(r *http.Request) (any, error) { return in.controlAddEntry(r, of) })
		on("DELETE /_sim/"+name+"/{id}", func(r *http.Request) (any, error) {
			return nil, in.RemoveCatalogEntry(r.PathValue("id"))
		})
	}
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
		Instance         instanceSummary `json:"instance"`
		RoutingProfiles  []CatalogEntry  `json:"routing_profiles"`
		SecurityProfiles []CatalogEntry  `json:"security_profiles"`
		HierarchyGroups  []CatalogEntry  `json:"hierarchy_groups"`
		Operations       []string        `json:"operations"`
		Routes           []string        `json:"routes"`
	}{in.summary(), in.routing.snapshot(), in.security.snapshot(), in.groups.snapshot(), operationNames(), routes}
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
		tags, profiles := a.Tags, a.SecurityProfiles
		a.Tags, a.SecurityProfiles = nil, nil // replaced when given, never merged
		if err := strictly(data, a); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		if a.Tags == nil {
			a.Tags = tags
		}
		if len(a.SecurityProfiles) == 0 {
			a.SecurityProfiles = profiles
		}
		return nil
	})
}

func (in *Instance) controlAddEntry(r *http.Request, of func() *catalog) (any, error) {
	var e CatalogEntry
	if err := readControl(r, &e); err != nil {
		return nil, err
	}
	id, err := in.addEntry(of, e)
	if err != nil {
		return nil, err
	}
	return struct {
		ID string `json:"Id"`
	}{id}, nil
}
