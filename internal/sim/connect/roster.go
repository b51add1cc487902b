package connect

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Agent is one user of the instance, in the shape DescribeUser answers and with
// its proficiencies. Agents handed out are snapshots.
type Agent struct {
	ID               string       `json:"Id"`
	ARN              string       `json:"Arn"`
	Username         string       `json:"Username"`
	IdentityInfo     IdentityInfo `json:"IdentityInfo"`
	PhoneConfig      PhoneConfig  `json:"PhoneConfig"`
	DirectoryUserID  string       `json:"DirectoryUserId,omitempty"`
	SecurityProfiles []string     `json:"SecurityProfileIds"`
	RoutingProfile   string       `json:"RoutingProfileId"`
	HierarchyGroup   string       `json:"HierarchyGroupId,omitempty"`
	ChannelConfigs
	Tags               map[string]string `json:"Tags,omitempty"`
	LastModifiedTime   Epoch             `json:"LastModifiedTime"`
	LastModifiedRegion string            `json:"LastModifiedRegion"`

	// Proficiencies are sorted by attribute and value. DescribeUser does not
	// answer them.
	Proficiencies         []Proficiency `json:"Proficiencies,omitempty"`
	ProficienciesModified Epoch         `json:"ProficienciesModifiedTime,omitzero"`
}

// IdentityInfo is the person behind an agent.
type IdentityInfo struct {
	FirstName      string `json:"FirstName,omitempty" wire:"max=255"`
	LastName       string `json:"LastName,omitempty" wire:"max=300"`
	Email          string `json:"Email,omitempty"`
	SecondaryEmail string `json:"SecondaryEmail,omitempty" wire:"check=email"`
	Mobile         string `json:"Mobile,omitempty" wire:"check=phone"`
}

// PhoneConfig is how an agent takes calls. AfterContactWorkTimeLimit is in
// seconds; 0 means that the agent must end the work by hand.
type PhoneConfig struct {
	PhoneType                 string `json:"PhoneType,omitempty"`
	AutoAccept                bool   `json:"AutoAccept"`
	AfterContactWorkTimeLimit int    `json:"AfterContactWorkTimeLimit"`
	DeskPhoneNumber           string `json:"DeskPhoneNumber,omitempty"`
	PersistentConnection      bool   `json:"PersistentConnection"`
}

// ChannelConfigs are the settings per channel that came in 2026.
type ChannelConfigs struct {
	AutoAcceptConfigs           []AutoAcceptConfig           `json:"AutoAcceptConfigs,omitempty"`
	AfterContactWorkConfigs     []AfterContactWorkConfigs    `json:"AfterContactWorkConfigs,omitempty"`
	PhoneNumberConfigs          []PhoneNumberConfig          `json:"PhoneNumberConfigs,omitempty"`
	PersistentConnectionConfigs []PersistentConnectionConfig `json:"PersistentConnectionConfigs,omitempty"`
	VoiceEnhancementConfigs     []VoiceEnhancementConfig     `json:"VoiceEnhancementConfigs,omitempty"`
}

// AutoAcceptConfig says whether contacts of a channel connect by themselves.
type AutoAcceptConfig struct {
	Channel                      string `json:"Channel" wire:"required,enum=VOICE|CHAT|TASK|EMAIL"`
	AutoAccept                   bool   `json:"AutoAccept" wire:"required"`
	AgentFirstCallbackAutoAccept *bool  `json:"AgentFirstCallbackAutoAccept,omitempty"`
}

// AfterContactWorkConfigs limits the work after contacts of a channel.
type AfterContactWorkConfigs struct {
	Channel            string                  `json:"Channel" wire:"required,enum=VOICE|CHAT|TASK|EMAIL"`
	Config             AfterContactWorkConfig  `json:"AfterContactWorkConfig" wire:"required"`
	AgentFirstCallback *AfterContactWorkConfig `json:"AgentFirstCallbackAfterContactWorkConfig,omitempty"`
}

// AfterContactWorkConfig is a limit in seconds.
type AfterContactWorkConfig struct {
	TimeLimit int `json:"AfterContactWorkTimeLimit" wire:"min=0,max=2000000"`
}

// PhoneNumberConfig is the phone of a voice agent.
type PhoneNumberConfig struct {
	Channel     string `json:"Channel" wire:"required,enum=VOICE|CHAT|TASK|EMAIL"`
	PhoneType   string `json:"PhoneType" wire:"required,enum=SOFT_PHONE|DESK_PHONE"`
	PhoneNumber string `json:"PhoneNumber,omitempty" wire:"check=phone"`
}

// PersistentConnectionConfig keeps the media connection of a voice agent open.
type PersistentConnectionConfig struct {
	Channel              string `json:"Channel" wire:"required,enum=VOICE|CHAT|TASK|EMAIL"`
	PersistentConnection bool   `json:"PersistentConnection" wire:"required"`
}

// VoiceEnhancementConfig treats the voice of an agent.
type VoiceEnhancementConfig struct {
	Channel string `json:"Channel" wire:"required,enum=VOICE|CHAT|TASK|EMAIL"`
	Mode    string `json:"VoiceEnhancementMode" wire:"required,enum=VOICE_ISOLATION|NOISE_SUPPRESSION|NONE"`
}

// clone returns a copy that shares nothing changeable with a.
func (a *Agent) clone() Agent {
	c := *a
	c.Tags = maps.Clone(a.Tags)
	c.SecurityProfiles = slices.Clone(a.SecurityProfiles)
	c.AutoAcceptConfigs = slices.Clone(a.AutoAcceptConfigs)
	c.AfterContactWorkConfigs = slices.Clone(a.AfterContactWorkConfigs)
	c.PhoneNumberConfigs = slices.Clone(a.PhoneNumberConfigs)
	c.PersistentConnectionConfigs = slices.Clone(a.PersistentConnectionConfigs)
	c.VoiceEnhancementConfigs = slices.Clone(a.VoiceEnhancementConfigs)
	c.Proficiencies = slices.Clone(a.Proficiencies)
	return c
}

// roster holds the agents with as much of their past as lists may still show.
// An *Agent in it is never changed, only replaced.
type roster struct {
	byID    map[string]*record
	order   []*record         // by seq
	names   map[string]string // username, folded as the case policy says, to id
	policy  string
	seq     int64
	removed int // records that only lists may still show
}

// record is the history of one agent. Its last version is the present; a nil
// agent means removed.
type record struct {
	id       string
	seq      int64
	versions []version
	cut      bool // older versions were dropped
}

type version struct {
	at    time.Time
	agent *Agent
}

func newRoster(policy string) roster {
	return roster{byID: make(map[string]*record), names: make(map[string]string), policy: policy}
}

func (t *roster) fold(username string) string {
	if t.policy == Sensitive {
		return username
	}
	return strings.ToLower(username)
}

// reindex changes the case policy. Twins that the new policy no longer tells
// apart stay; one of them holds the name.
func (t *roster) reindex(policy string) {
	t.policy = policy
	clear(t.names)
	for _, r := range t.order {
		if a := r.present(); a != nil {
			t.names[t.fold(a.Username)] = a.ID
		}
	}
}

func (t *roster) len() int { return len(t.order) - t.removed }

// current returns the agent of an id, nil if there is none.
func (t *roster) current(id string) *Agent {
	if r := t.byID[id]; r != nil {
		return r.present()
	}
	return nil
}

// past returns the agent of an id as it was at a moment, nil if there was none.
func (t *roster) past(id string, moment time.Time) *Agent {
	if r := t.byID[id]; r != nil {
		return r.asOf(moment)
	}
	return nil
}

// named returns the agent that holds a username, nil if it is free.
func (t *roster) named(username string) *Agent {
	return t.current(t.names[t.fold(username)])
}

// put stores a new agent or a new version of one. Versions that ended before
// keep are dropped.
func (t *roster) put(a *Agent, at, keep time.Time) {
	r := t.byID[a.ID]
	if r == nil {
		t.seq++
		r = &record{id: a.ID, seq: t.seq}
		t.byID[a.ID] = r
		t.order = append(t.order, r)
	}
	r.add(version{at, a}, keep)
	t.names[t.fold(a.Username)] = a.ID
}

func (t *roster) remove(a *Agent, at, keep time.Time) {
	t.byID[a.ID].add(version{at, nil}, keep)
	t.removed++
	t.release(a)
}

// release frees the name that an agent holds.
func (t *roster) release(a *Agent) {
	if key := t.fold(a.Username); t.names[key] == a.ID {
		delete(t.names, key)
	}
}

// asOf returns the agents of a past moment in the order they were made, with
// the numbers of that order. Removed agents no list can show any more are
// forgotten on the way.
func (t *roster) asOf(moment time.Time) ([]*Agent, []int64) {
	if t.removed > 0 {
		t.order = slices.DeleteFunc(t.order, func(r *record) bool {
			last := r.versions[len(r.versions)-1]
			if last.agent != nil || last.at.After(moment) {
				return false
			}
			t.removed--
			delete(t.byID, r.id)
			return true
		})
	}
	agents := make([]*Agent, 0, len(t.order))
	seqs := make([]int64, 0, len(t.order))
	for _, r := range t.order {
		if a := r.asOf(moment); a != nil {
			agents = append(agents, a)
			seqs = append(seqs, r.seq)
		}
	}
	return agents, seqs
}

func (r *record) add(v version, keep time.Time) {
	r.versions = append(r.versions, v)
	for len(r.versions) > 1 && !r.versions[1].at.After(keep) {
		r.versions = slices.Delete(r.versions, 0, 1)
		r.cut = true
	}
}

func (r *record) present() *Agent { return r.versions[len(r.versions)-1].agent }

func (r *record) asOf(moment time.Time) *Agent {
	for _, v := range slices.Backward(r.versions) {
		if !v.at.After(moment) {
			return v.agent
		}
	}
	if r.cut { // something was there before, and this is the oldest known
		return r.versions[0].agent
	}
	return nil
}
