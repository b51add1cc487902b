package connect

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// CatalogEntry is a routing profile, a security profile or a hierarchy group.
type CatalogEntry struct {
	ID          string            `json:"Id"`
	ARN         string            `json:"Arn"`
	Name        string            `json:"Name"`
	Description string            `json:"Description,omitempty"`
	Parent      string            `json:"Parent,omitempty"` // id of the group above, of hierarchy groups only
	Tags        map[string]string `json:"Tags,omitempty"`
	Modified    Epoch             `json:"LastModifiedTime"`
	seq         int64
}

// catalog is one kind of named thing that agents refer to.
type catalog struct {
	noun  string // in ARNs
	byID  map[string]*CatalogEntry
	order []*CatalogEntry
	made  map[string]int // how often a name was given, so that ids are not reused
	seq   int64
}

func newCatalog(noun string) *catalog {
	return &catalog{noun: noun, byID: make(map[string]*CatalogEntry), made: make(map[string]int)}
}

// add makes an entry. The id depends on the instance and the name alone, so it
// is the same in every run; only a name given again after a removal gets a new
// one.
func (t *catalog) add(in *Instance, name, description, parent string) (*CatalogEntry, error) {
	if n := utf8.RuneCountInString(name); n < 1 || n > 127 {
		return nil, fmt.Errorf("add a %s: the name has %d characters, not 1 to 127", t.noun, n)
	}
	if t.named(name) != nil {
		return nil, fmt.Errorf("add a %s: the name %q is taken", t.noun, name)
	}
	if parent != "" && t.byID[parent] == nil {
		return nil, fmt.Errorf("add a %s: no parent %q", t.noun, parent)
	}
	t.made[name]++
	sum := sha256.Sum256([]byte(in.ARN() + "/" + t.noun + "/" + name + "/" + strconv.Itoa(t.made[name])))
	id := formatUUID([16]byte(sum[:16]), 5)
	t.seq++
	e := &CatalogEntry{ID: id, ARN: in.ARN() + "/" + t.noun + "/" + id, Name: name, Description: description,
		Parent: parent, Modified: Epoch{in.now()}, seq: t.seq}
	t.byID[id] = e
	t.order = append(t.order, e)
	return e, nil
}

func (t *catalog) named(name string) *CatalogEntry {
	for _, e := range t.order {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// find returns the id behind an id or ARN.
func (t *catalog) find(in *Instance, ref string) (string, error) {
	e := t.byID[in.bareID(t.noun, ref)]
	if e == nil {
		return "", notFound("The %s does not exist", t.noun)
	}
	return e.ID, nil
}

// lookUp returns the id behind an id, ARN or name.
func (t *catalog) lookUp(in *Instance, ref string) (string, error) {
	if e := t.named(ref); e != nil {
		return e.ID, nil
	}
	return t.find(in, ref)
}

func (t *catalog) remove(id string) bool {
	e := t.byID[id]
	if e == nil {
		return false
	}
	delete(t.byID, id)
	t.order = slices.DeleteFunc(t.order, func(o *CatalogEntry) bool { return o == e })
	return true
}

func (t *catalog) entries() ([]*CatalogEntry, []int64) {
	seqs := make([]int64, len(t.order))
	for i, e := range t.order {
		seqs[i] = e.seq
	}
	return slices.Clone(t.order), seqs
}

func (t *catalog) snapshot() []CatalogEntry {
	list := make([]CatalogEntry, len(t.order))
	for i, e := range t.order {
		list[i] = *e
		list[i].Tags = maps.Clone(e.Tags)
	}
	return list
}

// nameSummary is an entry as the List operations show it.
type nameSummary struct {
	ID                 string `json:"Id"`
	ARN                string `json:"Arn"`
	Name               string
	LastModifiedTime   Epoch
	LastModifiedRegion string
}

type listInput struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
	pageQuery
}

// summaries is one page of a catalogue.
func (in *Instance) summaries(c *call, t *catalog, input *listInput) ([]nameSummary, string, error) {
	if !in.isThis(input.InstanceID) {
		return nil, "", in.noInstance()
	}
	entries, seqs := t.entries()
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, "", err
	}
	list := make([]nameSummary, 0, to-from)
	for _, e := range entries[from:to] {
		list = append(list, nameSummary{e.ID, e.ARN, e.Name, e.Modified, in.region})
	}
	return list, next, nil
}

func (in *Instance) listRoutingProfiles(c *call, input *listInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, err := in.summaries(c, in.routing, input)
	return struct {
		RoutingProfileSummaryList []nameSummary
		NextToken                 string `json:",omitempty"`
	}{list, next}, err
}

func (in *Instance) listSecurityProfiles(c *call, input *listInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, err := in.summaries(c, in.security, input)
	return struct {
		SecurityProfileSummaryList []nameSummary
		NextToken                  string `json:",omitempty"`
	}{list, next}, err
}

func (in *Instance) listHierarchyGroups(c *call, input *listInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, err := in.summaries(c, in.groups, input)
	return struct {
		UserHierarchyGroupSummaryList []nameSummary
		NextToken                     string `json:",omitempty"`
	}{list, next}, err
}

// catalogSearch is what the searches of profiles have in common.
type catalogSearch struct {
	InstanceID     string               `json:"InstanceId" wire:"required,min=1,max=100"`
	NextToken      *string              `wire:"min=1,max=2500"`
	SearchFilter   *catalogFilter       `json:"SearchFilter"`
	SearchCriteria *catalogCriteriaNode `json:"SearchCriteria"`
}

type catalogFilter struct{ TagFilter *tagFilter }

type catalogCriteriaNode struct {
	OrConditions    []catalogCriteriaNode
	AndConditions   []catalogCriteriaNode
	StringCondition *stringCondition
}

type searchRoutingInput struct {
	catalogSearch
	MaxResults *int `wire:"min=1,max=500"`
}

type searchSecurityInput struct {
	catalogSearch
	MaxResults *int `wire:"min=1,max=100"`
}

// search returns one page of the entries that match, and how many there are.
func (in *Instance) search(c *call, t *catalog, input *catalogSearch, size *int) (list []*CatalogEntry, next string, total int, err error) {
	if !in.isThis(input.InstanceID) {
		return nil, "", 0, in.noInstance()
	}
	match := func(*CatalogEntry) bool { return true }
	if input.SearchCriteria != nil {
		if match, err = in.catalogCriteria(input.SearchCriteria); err != nil {
			return nil, "", 0, err
		}
	}
	list, seqs := t.entries()
	list, seqs = matching(list, seqs, func(e *CatalogEntry) bool {
		f := input.SearchFilter
		return match(e) && (f == nil || f.TagFilter == nil || f.TagFilter.match(e.Tags))
	})
	from, to, next, err := in.page(c, seqs, input.NextToken, size)
	return list[from:to], next, len(list), err
}

func (in *Instance) catalogCriteria(n *catalogCriteriaNode) (func(*CatalogEntry) bool, error) {
	var all, some []func(*CatalogEntry) bool
	for i := range n.AndConditions {
		m, err := in.catalogCriteria(&n.AndConditions[i])
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for i := range n.OrConditions {
		m, err := in.catalogCriteria(&n.OrConditions[i])
		if err != nil {
			return nil, err
		}
		some = append(some, m)
	}
	if n.StringCondition != nil {
		m, err := in.catalogString(n.StringCondition)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return func(e *CatalogEntry) bool {
		for _, m := range all {
			if !m(e) {
				return false
			}
		}
		return len(some) == 0 || slices.ContainsFunc(some, func(m func(*CatalogEntry) bool) bool { return m(e) })
	}, nil
}

// catalogString matches a text of an entry. A CONTAINS of a name takes 2 to 25
// characters.
func (in *Instance) catalogString(c *stringCondition) (func(*CatalogEntry) bool, error) {
	name, compare, err := in.comparison(c, []string{"name", "description", "resourceID"})
	if err != nil {
		return nil, err
	}
	value := *c.Value
	if n := utf8.RuneCountInString(value); name == "name" && *c.ComparisonType == "CONTAINS" && (n < 2 || n > 25) {
		return nil, violated("StringCondition.Value", "must be 2 to 25 characters for CONTAINS")
	}
	return func(e *CatalogEntry) bool {
		return compare(map[string]string{"name": e.Name, "description": e.Description, "resourceID": e.ID}[name], value)
	}, nil
}

// routingProfile is a profile in full. It has voice alone and one queue.
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

// describeRouting shows an entry in full; members counts the agents by profile.
func (in *Instance) describeRouting(e *CatalogEntry, members map[string]int) routingProfile {
	sum := sha256.Sum256([]byte(in.ARN() + "/queue/BasicQueue"))
	queue := formatUUID([16]byte(sum[:16]), 5)
	return routingProfile{
		InstanceID: in.id, Name: e.Name, RoutingProfileARN: e.ARN, RoutingProfileID: e.ID,
		Description:            e.Description,
		MediaConcurrencies:     []mediaConcurrency{{"VOICE", 1}},
		DefaultOutboundQueueID: queue,
		Tags:                   e.Tags,
		NumberOfQueues:         1,
		NumberOfUsers:          members[e.ID],
		IsDefault:              e.seq == 1,
		AssociatedQueueIDs:     []string{queue},
		LastModifiedTime:       e.Modified,
		LastModifiedRegion:     in.region,
	}
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

// instanceSummary is the instance itself, as both its operations show it.
type instanceSummary struct {
	ID                     string `json:"Id"`
	ARN                    string `json:"Arn"`
	IdentityManagementType string
	InstanceAlias          string
	CreatedTime            Epoch
	ServiceRole            string
	InstanceStatus         string
	InboundCallsEnabled    bool
	OutboundCallsEnabled   bool
	InstanceAccessURL      string `json:"InstanceAccessUrl"`
}

func (in *Instance) summary() instanceSummary {
	return instanceSummary{
		ID: in.id, ARN: in.ARN(),
		IdentityManagementType: in.settings.IdentityType,
		InstanceAlias:          in.alias,
		CreatedTime:            Epoch{in.created},
		ServiceRole:            "arn:aws:iam::" + in.account + ":role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect",
		InstanceStatus:         "ACTIVE",
		InboundCallsEnabled:    true,
		OutboundCallsEnabled:   true,
		InstanceAccessURL:      "https://" + in.alias + ".my.connect.aws",
	}
}

type listInstancesInput struct {
	NextToken  *string `query:"nextToken"`
	MaxResults *int    `query:"maxResults" wire:"min=1,max=10"`
}

func (in *Instance) listInstances(c *call, input *listInstancesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, _, _, err := in.page(c, []int64{1}, input.NextToken, input.MaxResults); err != nil {
		return nil, err
	}
	return struct{ InstanceSummaryList []instanceSummary }{[]instanceSummary{in.summary()}}, nil
}

type describeInstanceInput struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
}

func (in *Instance) describeInstance(_ *call, input *describeInstanceInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, notFound("The instance does not exist")
	}
	return struct{ Instance instanceSummary }{in.summary()}, nil
}
