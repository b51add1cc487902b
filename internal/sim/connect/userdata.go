package connect

import (
	"cmp"
	"maps"
	"slices"
)

type userDataInput struct {
	instancePath
	Filters    userDataFilters `wire:"required"`
	NextToken  *string
	MaxResults *int `wire:"min=1,max=100"`
}

type userDataFilters struct {
	Queues        []string `wire:"min=1,max=100"`
	ContactFilter *struct {
		ContactStates []string `wire:"max=9,enum=INCOMING|PENDING|CONNECTING|CONNECTED|CONNECTED_ONHOLD|MISSED|ERROR|ENDED|REJECTED"`
	}
	RoutingProfiles     []string `wire:"min=1,max=100"`
	Agents              []string `wire:"min=1,max=100"`
	UserHierarchyGroups []string `wire:"min=1,max=1"`
}

// resourceRef names something by id and ARN.
type resourceRef struct {
	ID  string `json:"Id"`
	ARN string `json:"Arn"`
}

// userData is an agent at work.
type userData struct {
	User           resourceRef
	RoutingProfile resourceRef
	HierarchyPath  *levels[resourceRef] `json:",omitempty"`
	Status         struct {
		StatusStartTimestamp Epoch
		StatusARN            string `json:"StatusArn,omitempty"`
		StatusName           string `json:",omitempty"`
	}
	AvailableSlotsByChannel map[string]int
	MaxSlotsByChannel       map[string]int
	ActiveSlotsByChannel    map[string]int
	Contacts                []contactReference
	NextStatus              string `json:",omitempty"`
}

type contactReference struct {
	ContactID                 string `json:"ContactId"`
	Channel                   string
	InitiationMethod          string
	AgentContactState         string
	StateStartTimestamp       Epoch
	ConnectedToAgentTimestamp Epoch `json:",omitzero"`
	Queue                     resourceRef
}

// currentUserData shows the agents at work that the filters name. It never
// lags.
func (in *Instance) currentUserData(c *call, input *userDataInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	agents, err := in.filtered(&input.Filters)
	if err != nil {
		return nil, err
	}
	agents = slices.DeleteFunc(agents, func(a *Agent) bool {
		p := in.presences[a.ID]
		return p == nil || in.offline(p) || !input.Filters.inState(p)
	})
	slices.SortFunc(agents, func(a, b *Agent) int { return cmp.Compare(in.agents.byID[a.ID].seq, in.agents.byID[b.ID].seq) })
	agents = slices.Compact(agents) // one named twice is shown once
	seqs := make([]int64, len(agents))
	for i, a := range agents {
		seqs[i] = in.agents.byID[a.ID].seq
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	list := make([]userData, 0, to-from)
	for _, a := range agents[from:to] {
		list = append(list, in.userDataOf(a))
	}
	return struct {
		UserDataList          []userData
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{list, next, len(agents)}, nil
}

func (f *userDataFilters) inState(p *presence) bool {
	if f.ContactFilter == nil || len(f.ContactFilter.ContactStates) == 0 {
		return true
	}
	return slices.ContainsFunc(p.contacts, func(c Contact) bool { return slices.Contains(f.ContactFilter.ContactStates, c.State) })
}

// filtered returns the agents that the one filter given names.
func (in *Instance) filtered(f *userDataFilters) ([]*Agent, error) {
	given := 0
	for _, list := range [][]string{f.Queues, f.RoutingProfiles, f.Agents, f.UserHierarchyGroups} {
		if list != nil {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, invalidParameter("Filters must name one of Queues, RoutingProfiles, Agents and UserHierarchyGroups, not %d", given)
	case f.Agents != nil:
		return in.agentsNamed(f.Agents)
	case f.RoutingProfiles != nil:
		ids := make(map[string]bool)
		for _, ref := range f.RoutingProfiles {
			id, err := in.routing.find(in, ref)
			if err != nil {
				return nil, err
			}
			ids[id] = true
		}
		return in.atWork(func(a *Agent) bool { return ids[a.RoutingProfile] }), nil
	case f.UserHierarchyGroups != nil:
		id, err := in.groups.find(in, f.UserHierarchyGroups[0])
		if err != nil {
			return nil, err
		}
		return in.atWork(in.below(id)), nil
	default:
		ids := make(map[string]bool)
		for _, ref := range f.Queues {
			id := in.queueOf(ref)
			if id == "" {
				return nil, notFound("The queue does not exist")
			}
			ids[id] = true
		}
		return in.atWork(func(a *Agent) bool {
			e := in.routing.byID[a.RoutingProfile]
			return e != nil && slices.ContainsFunc(e.Queues, func(name string) bool { return ids[in.queueID(name)] })
		}), nil
	}
}

func (in *Instance) agentsNamed(refs []string) ([]*Agent, error) {
	var agents []*Agent
	for _, ref := range refs {
		a := in.agents.current(in.bareID("agent", ref))
		switch {
		case a != nil:
			agents = append(agents, a)
		case in.settings.UnknownAgents == Reject:
			return nil, notFound("The user %s does not exist", ref)
		}
	}
	return agents, nil
}

// atWork returns the agents with a presence that match.
func (in *Instance) atWork(match predicate) []*Agent {
	var agents []*Agent
	for id := range in.presences {
		if a := in.agents.current(id); a != nil && match(a) {
			agents = append(agents, a)
		}
	}
	return agents
}

func (in *Instance) userDataOf(a *Agent) userData {
	p := in.presences[a.ID]
	d := userData{
		User:                    resourceRef{a.ID, a.ARN},
		RoutingProfile:          resourceRef{a.RoutingProfile, in.ARN() + "/" + nounRouting + "/" + a.RoutingProfile},
		AvailableSlotsByChannel: make(map[string]int),
		MaxSlotsByChannel:       make(map[string]int),
		ActiveSlotsByChannel:    make(map[string]int),
		Contacts:                []contactReference{},
	}
	if e := in.groups.byID[a.HierarchyGroup]; e != nil {
		var path []resourceRef
		for _, g := range in.groups.above(e) {
			path = append(path, resourceRef{g.ID, g.ARN})
		}
		d.HierarchyPath = leveled(path)
	}
	d.Status.StatusStartTimestamp = Epoch{p.since}
	if e := in.statuses.byID[p.status]; e != nil {
		d.Status.StatusARN, d.Status.StatusName = e.ARN, e.Name
	}
	if e := in.statuses.byID[p.next]; e != nil {
		d.NextStatus = e.Name
	}
	if e := in.routing.byID[a.RoutingProfile]; e != nil {
		maps.Copy(d.MaxSlotsByChannel, e.Slots)
	}
	for _, k := range p.contacts {
		d.ActiveSlotsByChannel[k.Channel]++
		queue := in.queueID(k.Queue)
		d.Contacts = append(d.Contacts, contactReference{k.ID, k.Channel, k.Method, k.State, k.Since, k.Connected,
			resourceRef{queue, in.ARN() + "/queue/" + queue}})
	}
	for channel, most := range d.MaxSlotsByChannel {
		d.AvailableSlotsByChannel[channel] = max(0, most-d.ActiveSlotsByChannel[channel])
	}
	return d
}
