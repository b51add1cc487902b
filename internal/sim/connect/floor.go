package connect

import (
	"fmt"
	"slices"
)

// AddRoutingProfile adds a routing profile with the named queues, BasicQueue if
// none are given, and returns its id.
func (in *Instance) AddRoutingProfile(name string, queues ...string) (string, error) {
	e := CatalogEntry{Name: name}
	if len(queues) > 0 {
		e.Queues = queues
	}
	return in.AddCatalogEntry(RoutingProfile, e)
}

// AddParkingProfile adds a routing profile without queues, whose agents get no
// contacts, and returns its id.
func (in *Instance) AddParkingProfile(name string) (string, error) {
	return in.AddCatalogEntry(RoutingProfile, CatalogEntry{Name: name, Queues: []string{}})
}

// AddSecurityProfile adds a security profile with some permissions and returns
// its id.
func (in *Instance) AddSecurityProfile(name string, permissions ...string) (string, error) {
	return in.AddCatalogEntry(SecurityProfile, CatalogEntry{Name: name, Permissions: permissions})
}

// AddHierarchyGroup adds a hierarchy group below the one with the id parent,
// at the top if that is "", and returns its id.
func (in *Instance) AddHierarchyGroup(name, parent string) (string, error) {
	return in.AddCatalogEntry(HierarchyGroup, CatalogEntry{Name: name, Parent: parent})
}

// AddHierarchyPath adds the hierarchy groups that a path such as
// "EMEA/Support/Tier 1" lacks and returns the id of the last.
func (in *Instance) AddHierarchyPath(path string) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.groups.addPath(in, path)
}

// SetHierarchyLevels names the levels of the hierarchy, from the top.
func (in *Instance) SetHierarchyLevels(names ...string) error {
	if len(names) > maxLevels {
		return fmt.Errorf("set hierarchy levels: %d are more than %d", len(names), maxLevels)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.levelNames = slices.Clone(names)
	return nil
}

// AddAgentStatus adds a status of the type CUSTOM and returns its id.
func (in *Instance) AddAgentStatus(name string) (string, error) {
	return in.AddCatalogEntry(AgentStatus, CatalogEntry{Name: name})
}

// Kinds of catalogue.
const (
	RoutingProfile  = "routing-profiles"
	SecurityProfile = "security-profiles"
	HierarchyGroup  = "hierarchy-groups"
	AgentStatus     = "agent-statuses"
)

// kinds are the names of the catalogues in a fixed order.
var kinds = []string{RoutingProfile, SecurityProfile, HierarchyGroup, AgentStatus}

// catalog returns a catalogue, nil if there is none of the kind. Reset replaces
// them, so the caller holds the lock.
func (in *Instance) catalog(kind string) *catalog {
	return map[string]*catalog{
		RoutingProfile: in.routing, SecurityProfile: in.security, HierarchyGroup: in.groups, AgentStatus: in.statuses,
	}[kind]
}

// AddCatalogEntry adds an entry to a catalogue and returns its id. What the
// entry says about ids and times is not looked at.
func (in *Instance) AddCatalogEntry(kind string, e CatalogEntry) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := in.catalog(kind)
	if t == nil {
		return "", fmt.Errorf("add a catalogue entry: kind %q is none of %v", kind, kinds)
	}
	added, err := t.add(in, e)
	if err != nil {
		return "", err
	}
	return added.ID, nil
}

// ChangeCatalogEntry lets change edit the entry of an id: its name, tags,
// queues, permissions, place in the hierarchy. Its id stays.
func (in *Instance) ChangeCatalogEntry(id string, change func(*CatalogEntry)) error {
	return in.changeEntry(id, func(e *CatalogEntry) error { change(e); return nil })
}

func (in *Instance) changeEntry(id string, change func(*CatalogEntry) error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, kind := range kinds {
		if t := in.catalog(kind); t.byID[id] != nil {
			return t.change(in, id, change)
		}
	}
	return fmt.Errorf("change catalogue entry %s: %w", id, errNoSuch)
}

// RenameCatalogEntry gives the entry of an id another name.
func (in *Instance) RenameCatalogEntry(id, name string) error {
	return in.ChangeCatalogEntry(id, func(e *CatalogEntry) { e.Name = name })
}

// RemoveCatalogEntry removes the entry of an id. Agents that refer to it keep
// doing so.
func (in *Instance) RemoveCatalogEntry(id string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, kind := range kinds {
		if in.catalog(kind).remove(id) {
			return nil
		}
	}
	return fmt.Errorf("remove catalogue entry %s: %w", id, errNoSuch)
}

// Catalog returns the entries of a catalogue in the order they were made.
func (in *Instance) Catalog(kind string) []CatalogEntry {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t := in.catalog(kind); t != nil {
		return t.snapshot()
	}
	return nil
}

// RoutingProfileID returns the id of a routing profile, "" if there is none of
// that name. Ids are the same in every run of the same instance.
func (in *Instance) RoutingProfileID(name string) string { return in.entryID(RoutingProfile, name) }

// SecurityProfileID is the same for security profiles.
func (in *Instance) SecurityProfileID(name string) string { return in.entryID(SecurityProfile, name) }

// HierarchyGroupID is the same for hierarchy groups. A group may be named by
// its path, "EMEA/Support".
func (in *Instance) HierarchyGroupID(name string) string { return in.entryID(HierarchyGroup, name) }

// AgentStatusID is the same for agent statuses.
func (in *Instance) AgentStatusID(name string) string { return in.entryID(AgentStatus, name) }

func (in *Instance) entryID(kind, name string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if e := in.catalog(kind).named(name); e != nil {
		return e.ID
	}
	return ""
}

// AddPredefinedAttribute adds a predefined attribute with its values.
func (in *Instance) AddPredefinedAttribute(name string, values ...string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.attributes.add(in, PredefinedAttribute{Name: name, Values: values})
}

// ChangePredefinedAttribute lets change edit a predefined attribute. Agents
// keep their proficiencies, whatever becomes of its name and values.
func (in *Instance) ChangePredefinedAttribute(name string, change func(*PredefinedAttribute)) error {
	return in.changeAttribute(name, func(p *PredefinedAttribute) error { change(p); return nil })
}

func (in *Instance) changeAttribute(name string, change func(*PredefinedAttribute) error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.attributes.change(in, name, change)
}

// RemovePredefinedAttribute removes a predefined attribute. Agents keep their
// proficiencies.
func (in *Instance) RemovePredefinedAttribute(name string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.attributes.remove(name)
}

// PredefinedAttributes returns them in the order they were made.
func (in *Instance) PredefinedAttributes() []PredefinedAttribute {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.attributes.snapshot()
}

// AddQuickConnect adds a quick connect that leads to an agent and returns its
// id.
func (in *Instance) AddQuickConnect(name, agent string) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.addQuickConnect(QuickConnect{Name: name,
		Config: QuickConnectConfig{Type: "USER", User: &UserQuickConnect{UserID: agent, FlowID: in.transferFlow()}}})
}

// RemoveQuickConnect removes the quick connect of an id.
func (in *Instance) RemoveQuickConnect(id string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	q := in.quick.find(id)
	if q == nil {
		return fmt.Errorf("remove quick connect %s: %w", id, errNoSuch)
	}
	in.quick.remove(in, q)
	return nil
}

// QuickConnects returns them in the order they were made, without lag. Those
// whose agent is gone are orphans.
func (in *Instance) QuickConnects() []QuickConnect {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := []QuickConnect{}
	for _, q := range in.quick.order {
		if q.to.IsZero() {
			list = append(list, q.snapshot())
		}
	}
	return list
}

// TransferFlowID is the id of the only contact flow, which quick connects to
// agents take.
func (in *Instance) TransferFlowID() string { return in.transferFlow() }

// SignIn makes an agent Available, SignOut makes it Offline; with contacts,
// after the last of them.
func (in *Instance) SignIn(agent string) error { return in.signTo(agent, statusRoutable) }

// SignOut is the opposite of SignIn.
func (in *Instance) SignOut(agent string) error { return in.signTo(agent, statusOffline) }

func (in *Instance) signTo(agent, kind string) error {
	return in.at(agent, func(p *presence) error {
		status := in.statusOf(kind)
		if status == "" {
			return fmt.Errorf("there is no status of the type %s", kind)
		}
		in.enter(p, status)
		return nil
	})
}

// SetStatus gives an agent the status of an id, ARN or name, as the agent does
// in the Contact Control Panel; with contacts, after the last of them.
func (in *Instance) SetStatus(agent, status string) error {
	return in.at(agent, func(p *presence) error {
		id, err := in.statuses.lookUp(in, status)
		if err == nil {
			in.enter(p, id)
		}
		return err
	})
}

// at lets do change what an agent is doing.
func (in *Instance) at(agent string, do func(*presence) error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.agents.current(in.bareID("agent", agent))
	if a == nil {
		return fmt.Errorf("agent %s: %w", agent, errNoSuch)
	}
	if err := do(in.presenceOf(a)); err != nil {
		return fmt.Errorf("agent %s: %w", agent, err)
	}
	return nil
}

// BeginContact makes an agent busy, signed in if it was not, and returns the id
// of the contact. The zero Contact is a call from BasicQueue.
func (in *Instance) BeginContact(agent string, c Contact) (id string, err error) {
	c.Channel = defaultTo(c.Channel, voice)
	c.State = defaultTo(c.State, "CONNECTED")
	c.Method = defaultTo(c.Method, "INBOUND")
	c.Queue = defaultTo(c.Queue, basicQueue)
	if err := c.check(); err != nil {
		return "", fmt.Errorf("begin a contact: %w", err)
	}
	err = in.at(agent, func(p *presence) error {
		if c.ID == "" {
			c.ID = in.uuid()
		}
		if _, other := in.contact(c.ID); other != nil {
			return fmt.Errorf("there is a contact %s", c.ID)
		}
		if in.offline(p) {
			in.enter(p, defaultTo(in.statusOf(statusRoutable), p.status))
		}
		in.begin(&c)
		p.contacts = append(p.contacts, c)
		return nil
	})
	return c.ID, err
}

// ChangeContact brings a contact into another state, such as ENDED, in which
// the agent does after-contact work.
func (in *Instance) ChangeContact(contact, state string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, c := in.contact(contact)
	if c == nil {
		return fmt.Errorf("change contact %s: %w", contact, errNoSuch)
	}
	changed := *c
	changed.State = state
	if err := changed.check(); err != nil {
		return fmt.Errorf("change contact %s: %w", contact, err)
	}
	in.begin(&changed)
	*c = changed
	return nil
}

// EndContact takes a contact off its agent, who is then done with it.
func (in *Instance) EndContact(contact string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	p, c := in.contact(contact)
	if c == nil {
		return fmt.Errorf("end contact %s: %w", contact, errNoSuch)
	}
	in.part(p, contact)
	return nil
}

// Presence returns what an agent is doing.
func (in *Instance) Presence(agent string) (Presence, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.agents.current(in.bareID("agent", agent))
	if a == nil {
		return Presence{}, false
	}
	p := in.presenceOf(a)
	shown := Presence{Since: Epoch{p.since}, Contacts: append([]Contact{}, p.contacts...)}
	if e := in.statuses.byID[p.status]; e != nil {
		shown.Status, shown.StatusType = e.Name, e.Type
	}
	if e := in.statuses.byID[p.next]; e != nil {
		shown.NextStatus = e.Name
	}
	return shown, true
}

// Deny takes operations away from the caller: they answer
// AccessDeniedException until Permit gives them back. All of it or, with an
// error, nothing.
func (in *Instance) Deny(operations ...string) error {
	return in.ChangeSettings(func(s *Settings) {
		for _, name := range operations {
			if !slices.Contains(s.Denied, name) {
				s.Denied = append(s.Denied, name)
			}
		}
	})
}

// Permit gives denied operations back, all of them if none is named.
func (in *Instance) Permit(operations ...string) error {
	return in.ChangeSettings(func(s *Settings) {
		s.Denied = slices.DeleteFunc(s.Denied, func(name string) bool {
			return len(operations) == 0 || slices.Contains(operations, name)
		})
	})
}
