package connect

import (
	"net/http"
	"reflect"
	"slices"
	"time"
)

// userPath is the part of an input that names one agent.
type userPath struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
	UserID     string `uri:"UserId"`
}

// phoneInput is PhoneConfig with presence: some members exclude lists per
// channel.
type phoneInput struct {
	PhoneType                 *string `wire:"enum=SOFT_PHONE|DESK_PHONE"`
	AutoAccept                *bool
	AfterContactWorkTimeLimit *int    `wire:"min=0,max=2000000"`
	DeskPhoneNumber           *string `wire:"check=phone"`
	PersistentConnection      *bool
}

type createUserInput struct {
	InstanceID         string        `uri:"InstanceId" wire:"min=1,max=100"`
	Username           string        `wire:"required,min=1,max=100"`
	Password           *string       // checked by identity type, never kept
	IdentityInfo       *IdentityInfo // checked by identity type
	PhoneConfig        *phoneInput
	DirectoryUserID    *string           `json:"DirectoryUserId"`
	SecurityProfileIDs []string          `json:"SecurityProfileIds" wire:"required,min=1,max=10"`
	RoutingProfileID   string            `json:"RoutingProfileId" wire:"required"`
	HierarchyGroupID   *string           `json:"HierarchyGroupId"`
	Tags               map[string]string `wire:"min=1,max=50,check=tags"`
	ChannelConfigs
}

type createUserOutput struct {
	UserID  string `json:"UserId"`
	UserARN string `json:"UserArn"`
}

func (in *Instance) createUser(c *call, input *createUserInput) (any, error) {
	if err := checkExclusions(input.PhoneConfig, &input.ChannelConfigs); err != nil {
		return nil, err
	}
	if err := checkChannels(&input.ChannelConfigs); err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	a := &Agent{Username: input.Username, ChannelConfigs: input.ChannelConfigs, Tags: input.Tags}
	if input.IdentityInfo != nil {
		a.IdentityInfo = *input.IdentityInfo
	}
	if err := in.checkIdentity(input); err != nil {
		return nil, err
	}
	if input.DirectoryUserID != nil {
		a.DirectoryUserID = *input.DirectoryUserID
	}
	if input.PhoneConfig != nil {
		a.PhoneConfig = input.PhoneConfig.value("")
	}
	a.showVoice()
	var err error
	if a.RoutingProfile, err = in.routing.find(in, input.RoutingProfileID); err != nil {
		return nil, err
	}
	if a.SecurityProfiles, err = in.findSecurity(input.SecurityProfileIDs); err != nil {
		return nil, err
	}
	if input.HierarchyGroupID != nil {
		if a.HierarchyGroup, err = in.groups.find(in, *input.HierarchyGroupID); err != nil {
			return nil, err
		}
	}
	if err := in.enrol(a); err != nil {
		return nil, err
	}
	in.record(c, a)
	return createUserOutput{a.ID, a.ARN}, nil
}

// enrol gives a new agent its id and stores it, unless its name is taken or
// the instance is full.
func (in *Instance) enrol(a *Agent) error {
	if in.agents.named(a.Username) != nil {
		return fail(http.StatusConflict, "DuplicateResourceException", "A user with this username already exists")
	}
	if q := in.settings.Quota; q > 0 && in.agents.len() >= q {
		return fail(http.StatusTooManyRequests, "LimitExceededException", "The instance holds its quota of %d users", q)
	}
	a.ID = in.uuid()
	a.ARN = in.ARN() + "/agent/" + a.ID
	in.store(a)
	return nil
}

// store makes a the present version of its agent and moves its time of change.
func (in *Instance) store(a *Agent) {
	a.LastModifiedTime = Epoch{in.now()}
	a.LastModifiedRegion = in.region
	in.keep(a)
}

func (in *Instance) keep(a *Agent) {
	in.agents.put(a, in.now(), in.now().Add(-in.settings.ListLag))
}

// lagged is the moment that a lagging view shows.
func (in *Instance) lagged() time.Time {
	if in.settings.ListLag == 0 {
		return time.Unix(1<<40, 0) // after everything, whatever the clock does
	}
	return in.now().Add(-in.settings.ListLag)
}

func (in *Instance) noInstance() error { return notFound("The instance does not exist") }

// agent finds the present state of the agent that a path names.
func (in *Instance) agent(p userPath) (*Agent, error) {
	if !in.isThis(p.InstanceID) {
		return nil, in.noInstance()
	}
	a := in.agents.current(in.bareID("agent", p.UserID))
	if a == nil {
		return nil, notFound("The user does not exist")
	}
	return a, nil
}

// edit changes one agent. What change refuses leaves it as it was.
func (in *Instance) edit(c *call, p userPath, change func(*Agent) error) (any, error) {
	return in.rewrite(c, p, in.store, change)
}

// rewrite is edit with a choice of how the changed agent is stored.
func (in *Instance) rewrite(c *call, p userPath, store func(*Agent), change func(*Agent) error) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	old, err := in.agent(p)
	if err != nil {
		return nil, err
	}
	a := new(*old)
	if err := change(a); err != nil {
		return nil, err
	}
	c.unchanged = same(old, a)
	store(a)
	in.record(c, a)
	return nil, nil
}

// same says whether two versions of an agent differ in nothing but times.
func same(a, b *Agent) bool {
	x, y := *a, *b
	x.ProficienciesModified, y.ProficienciesModified = Epoch{}, Epoch{}
	x.LastModifiedTime, y.LastModifiedTime = Epoch{}, Epoch{}
	if len(x.Proficiencies)+len(y.Proficiencies) == 0 {
		x.Proficiencies, y.Proficiencies = nil, nil
	}
	return reflect.DeepEqual(x, y)
}

type describeUserInput struct{ userPath }

func (in *Instance) describeUser(_ *call, input *describeUserInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	id := in.bareID("agent", input.UserID)
	a := in.agents.current(id)
	if in.settings.DescribeLags {
		a = in.agents.past(id, in.lagged())
	}
	if a == nil {
		return nil, notFound("The user does not exist")
	}
	return struct{ User describedUser }{described(in.shown(a))}, nil
}

// describedUser hides the proficiencies of an agent, which DescribeUser does
// not answer.
type describedUser struct {
	*Agent
	Proficiencies         string `json:"Proficiencies,omitempty"`
	ProficienciesModified string `json:"ProficienciesModifiedTime,omitempty"`
}

func described(a *Agent) describedUser { return describedUser{Agent: a} }

func (in *Instance) deleteUser(c *call, input *describeUserInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a, err := in.agent(input.userPath)
	if err != nil {
		return nil, err
	}
	in.drop(a)
	in.record(c, a)
	return nil, nil
}

func (in *Instance) drop(a *Agent) {
	in.agents.remove(a, in.now(), in.now().Add(-in.settings.ListLag))
	delete(in.presences, a.ID)
}

type identityInput struct {
	userPath
	IdentityInfo IdentityInfo `wire:"required"`
}

func (in *Instance) updateIdentityInfo(c *call, input *identityInput) (any, error) {
	return in.edit(c, input.userPath, func(a *Agent) error {
		info := input.IdentityInfo
		if in.settings.MergeIdentity {
			info = info.over(a.IdentityInfo)
		}
		if in.settings.IdentityType == ExistingDirectory {
			return invalidRequest("Identity information comes from the directory and cannot be updated")
		}
		if err := in.checkPerson(&info); err != nil {
			return err
		}
		a.IdentityInfo = info
		return nil
	})
}

// over returns i with the members it lacks taken from old.
func (i IdentityInfo) over(old IdentityInfo) IdentityInfo {
	return IdentityInfo{
		FirstName:      defaultTo(i.FirstName, old.FirstName),
		LastName:       defaultTo(i.LastName, old.LastName),
		Email:          defaultTo(i.Email, old.Email),
		SecondaryEmail: defaultTo(i.SecondaryEmail, old.SecondaryEmail),
		Mobile:         defaultTo(i.Mobile, old.Mobile),
	}
}

type phoneConfigInput struct {
	userPath
	PhoneConfig phoneInput `wire:"required"`
}

func (in *Instance) updatePhoneConfig(c *call, input *phoneConfigInput) (any, error) {
	return in.edit(c, input.userPath, func(a *Agent) error {
		a.PhoneConfig = input.PhoneConfig.value(a.PhoneConfig.PhoneType)
		a.showPhone()
		return nil
	})
}

// value is the phone that an input means: what is left out is zero, but for
// the type.
func (p *phoneInput) value(phoneType string) PhoneConfig {
	v := PhoneConfig{PhoneType: phoneType}
	if p.PhoneType != nil {
		v.PhoneType = *p.PhoneType
	}
	if p.AutoAccept != nil {
		v.AutoAccept = *p.AutoAccept
	}
	if p.AfterContactWorkTimeLimit != nil {
		v.AfterContactWorkTimeLimit = *p.AfterContactWorkTimeLimit
	}
	if p.DeskPhoneNumber != nil {
		v.DeskPhoneNumber = *p.DeskPhoneNumber
	}
	if p.PersistentConnection != nil {
		v.PersistentConnection = *p.PersistentConnection
	}
	return v
}

type configInput struct {
	userPath
	ChannelConfigs
}

func (in *Instance) updateConfig(c *call, input *configInput) (any, error) {
	if err := checkChannels(&input.ChannelConfigs); err != nil {
		return nil, err
	}
	return in.edit(c, input.userPath, func(a *Agent) error {
		a.ChannelConfigs = input.over(a.ChannelConfigs)
		a.showVoice()
		return nil
	})
}

type routingProfileInput struct {
	userPath
	RoutingProfileID string `json:"RoutingProfileId" wire:"required"`
}

func (in *Instance) updateRoutingProfile(c *call, input *routingProfileInput) (any, error) {
	return in.edit(c, input.userPath, func(a *Agent) (err error) {
		a.RoutingProfile, err = in.routing.find(in, input.RoutingProfileID)
		return err
	})
}

type securityProfilesInput struct {
	userPath
	SecurityProfileIDs []string `json:"SecurityProfileIds" wire:"required,min=1,max=10"`
}

func (in *Instance) updateSecurityProfiles(c *call, input *securityProfilesInput) (any, error) {
	return in.edit(c, input.userPath, func(a *Agent) (err error) {
		a.SecurityProfiles, err = in.findSecurity(input.SecurityProfileIDs)
		return err
	})
}

// findSecurity returns the sorted set of ids behind refs.
func (in *Instance) findSecurity(refs []string) ([]string, error) {
	var ids []string
	for _, ref := range refs {
		id, err := in.security.find(in, ref)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

type hierarchyInput struct {
	userPath
	HierarchyGroupID *string `json:"HierarchyGroupId"` // none takes the agent out
}

func (in *Instance) updateHierarchy(c *call, input *hierarchyInput) (any, error) {
	return in.edit(c, input.userPath, func(a *Agent) (err error) {
		a.HierarchyGroup = ""
		if input.HierarchyGroupID != nil {
			a.HierarchyGroup, err = in.groups.find(in, *input.HierarchyGroupID)
		}
		return err
	})
}
