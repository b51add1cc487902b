package connect

import (
	"maps"
	"slices"
)

// routingProfile is a profile in full.
type routingProfile struct {
	InstanceID             string `json:"InstanceId"`
	Name                   string
	RoutingProfileARN      string `json:"RoutingProfileArn"`
	RoutingProfileID       string `json:"RoutingProfileId"`
	Description            string `json:",omitempty"`
	MediaConcurrencies     []mediaConcurrency
	DefaultOutboundQueueID string            `json:"DefaultOutboundQueueId"`
	Tags                   map[string]string `json:",omitempty"`
	NumberOfQueues         int               `json:"NumberOfAssociatedQueues"`
	NumberOfUsers          int               `json:"NumberOfAssociatedUsers"`
	IsDefault              bool
	AssociatedQueueIDs     []string `json:"AssociatedQueueIds"`
	LastModifiedTime       Epoch
	LastModifiedRegion     string
}

type mediaConcurrency struct {
	Channel     string
	Concurrency int
}

// basicQueue is the queue of a routing profile that names none.
const basicQueue = "BasicQueue"

// queueID is the id of the queue of a name.
func (in *Instance) queueID(name string) string { return in.idFor("queue/" + name) }

// queueOf returns the id behind the id or ARN of a queue that a routing profile
// has, "" if there is none.
func (in *Instance) queueOf(ref string) string {
	id := in.bareID("queue", ref)
	for _, e := range in.routing.order {
		for _, name := range e.Queues {
			if in.queueID(name) == id {
				return id
			}
		}
	}
	return ""
}

// describeRouting shows an entry in full; members counts the agents by profile.
func (in *Instance) describeRouting(e *CatalogEntry, members map[string]int) routingProfile {
	p := routingProfile{
		InstanceID: in.id, Name: e.Name, RoutingProfileARN: e.ARN, RoutingProfileID: e.ID,
		Description:            e.Description,
		MediaConcurrencies:     []mediaConcurrency{},
		DefaultOutboundQueueID: in.queueID(basicQueue),
		Tags:                   e.Tags,
		NumberOfQueues:         len(e.Queues),
		NumberOfUsers:          members[e.ID],
		IsDefault:              e.seq == 1,
		AssociatedQueueIDs:     []string{},
		LastModifiedTime:       e.Modified,
		LastModifiedRegion:     in.region,
	}
	for i, name := range e.Queues {
		p.AssociatedQueueIDs = append(p.AssociatedQueueIDs, in.queueID(name))
		if i == 0 {
			p.DefaultOutboundQueueID = in.queueID(name)
		}
	}
	for _, channel := range slices.Sorted(maps.Keys(e.Slots)) {
		p.MediaConcurrencies = append(p.MediaConcurrencies, mediaConcurrency{channel, e.Slots[channel]})
	}
	return p
}

// membersOf counts the agents of each routing profile.
func (in *Instance) membersOf() map[string]int {
	n := make(map[string]int)
	for _, r := range in.agents.order {
		if a := r.present(); a != nil {
			n[a.RoutingProfile]++
		}
	}
	return n
}

func (in *Instance) searchRoutingProfiles(c *call, input *searchRoutingInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, total, err := in.search(c, in.routing, &input.catalogSearch, input.MaxResults)
	members := in.membersOf()
	profiles := make([]routingProfile, 0, len(list))
	for _, e := range list {
		profiles = append(profiles, in.describeRouting(e, members))
	}
	return struct {
		RoutingProfiles       []routingProfile
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{profiles, next, total}, err
}

type routingProfilePath struct {
	InstanceID       string `uri:"InstanceId" wire:"min=1,max=100"`
	RoutingProfileID string `uri:"RoutingProfileId"`
}

func (in *Instance) describeRoutingProfile(_ *call, input *routingProfilePath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	id, err := in.routing.find(in, input.RoutingProfileID)
	if err != nil {
		return nil, err
	}
	return struct{ RoutingProfile routingProfile }{in.describeRouting(in.routing.byID[id], in.membersOf())}, nil
}

// securityProfile is a profile in full, or what a search shows of one.
type securityProfile struct {
	ID                 string            `json:"Id"`
	InstanceID         string            `json:"OrganizationResourceId"`
	ARN                string            `json:"Arn"`
	Name               string            `json:"SecurityProfileName"`
	Description        string            `json:",omitempty"`
	Tags               map[string]string `json:",omitempty"`
	LastModifiedTime   *Epoch            `json:",omitempty"`
	LastModifiedRegion string            `json:",omitempty"`
}

func (in *Instance) searchSecurityProfiles(c *call, input *searchSecurityInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, total, err := in.search(c, in.security, &input.catalogSearch, input.MaxResults)
	profiles := make([]securityProfile, 0, len(list))
	for _, e := range list {
		profiles = append(profiles, securityProfile{ID: e.ID, InstanceID: in.id, ARN: e.ARN, Name: e.Name,
			Description: e.Description, Tags: e.Tags})
	}
	return struct {
		SecurityProfiles      []securityProfile
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{profiles, next, total}, err
}

type securityProfilePath struct {
	InstanceID        string `uri:"InstanceId" wire:"min=1,max=100"`
	SecurityProfileID string `uri:"SecurityProfileId"`
}

func (in *Instance) describeSecurityProfile(_ *call, input *securityProfilePath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	id, err := in.security.find(in, input.SecurityProfileID)
	if err != nil {
		return nil, err
	}
	e := in.security.byID[id]
	return struct{ SecurityProfile securityProfile }{securityProfile{ID: e.ID, InstanceID: in.id, ARN: e.ARN, Name: e.Name,
		Description: e.Description, Tags: e.Tags, LastModifiedTime: &e.Modified, LastModifiedRegion: in.region}}, nil
}

type permissionsInput struct {
	securityProfilePath
	pageQuery
}

func (in *Instance) listPermissions(c *call, input *permissionsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	id, err := in.security.find(in, input.SecurityProfileID)
	if err != nil {
		return nil, err
	}
	e := in.security.byID[id]
	seqs := make([]int64, len(e.Permissions))
	for i := range seqs {
		seqs[i] = int64(i + 1)
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	return struct {
		Permissions        []string
		NextToken          string `json:",omitempty"`
		LastModifiedTime   Epoch
		LastModifiedRegion string
	}{append([]string{}, e.Permissions[from:to]...), next, e.Modified, in.region}, nil
}
