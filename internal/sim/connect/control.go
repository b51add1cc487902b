package connect

import (
	"errors"
	"fmt"
	"slices"
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
// required and not held to the rules of the identity type; profiles and the
// hierarchy group may be given by id, ARN or name, the group by its path too;
// profiles default to "Basic Routing Profile" and Agent.
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
	if err := in.checkProficiencies(a.Proficiencies); err != nil {
		return Agent{}, fmt.Errorf("add an agent: %w", err)
	}
	a.showVoice()
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
	if a.PhoneConfig != old.PhoneConfig {
		a.showPhone()
	} else {
		a.showVoice()
	}
	if err := in.resolve(&a); err != nil {
		return Agent{}, fmt.Errorf("change agent %s: %w", id, err)
	}
	if holder := in.agents.named(a.Username); holder != nil && holder.ID != a.ID {
		return Agent{}, fmt.Errorf("change agent %s: the username is taken", id)
	}
	if !slices.Equal(a.Proficiencies, old.Proficiencies) {
		if err := in.checkProficiencies(a.Proficiencies); err != nil {
			return Agent{}, fmt.Errorf("change agent %s: %w", id, err)
		}
		a.ProficienciesModified = Epoch{in.now()}
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
		if a.HierarchyGroup, err = in.groups.lookUp(in, a.HierarchyGroup); err != nil {
			return err
		}
	}
	sortProficiencies(a.Proficiencies)
	return nil
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
