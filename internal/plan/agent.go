package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Agent is an Amazon Connect user, as wanted or as found: one type for both, so
// that they can be compared field by field. Profiles and hierarchy groups are
// ids. Of an agent that is only wanted, what nobody configured is empty and is
// neither compared nor written.
type Agent struct {
	ID               string              `json:"id,omitempty"` // Connect UserId; empty while the agent is only wanted
	Username         string              `json:"username"`
	FirstName        string              `json:"first_name"`
	LastName         string              `json:"last_name"`
	RoutingProfile   string              `json:"routing_profile"`
	SecurityProfiles []string            `json:"security_profiles"`       // sorted
	Hierarchy        string              `json:"hierarchy,omitempty"`     // hierarchy group; empty: in none
	Proficiencies    []Proficiency       `json:"proficiencies,omitempty"` // sorted by attribute and value
	Phone            Phone               `json:"phone"`
	Channels         map[Channel]Handled `json:"channels,omitempty"` // chat, task and email; voice is in Phone
	Tags             map[string]string   `json:"tags,omitempty"`     // other than ours

	Owner      string           `json:"owner,omitempty"`      // Okta user id, from our owner tag; empty: nobody's
	Deployment string           `json:"deployment,omitempty"` // from our deployment tag; empty: not ours
	State      State            `json:"state,omitempty"`      // from our state tag
	Since      time.Time        `json:"since,omitzero"`       // when State began, to the second; zero for active agents
	Group      string           `json:"group,omitempty"`      // Okta id of the group that made them an agent, from our group tag
	Answers    map[Field]string `json:"answers,omitempty"`    // what the rules last said of followed fields, from our tags
}

// unfinished reports whether an agent may lack some of what it was to be made
// with.
func (a *Agent) unfinished() bool { return a.State == StateCreating || a.State == "" }

// clone gives an agent that shares no memory with the given one.
func clone(a *Agent) *Agent {
	if a == nil {
		return nil
	}
	b := *a
	b.SecurityProfiles, b.Proficiencies = slices.Clone(a.SecurityProfiles), slices.Clone(a.Proficiencies)
	b.Channels, b.Tags, b.Answers = maps.Clone(a.Channels), maps.Clone(a.Tags), maps.Clone(a.Answers)
	return &b
}

// compareAgents orders agents by id. Entries of one agent that differ, as a
// list read page by page can hold, are ordered by the rest.
func compareAgents(a, b *Agent) int {
	if order := strings.Compare(a.ID, b.ID); order != 0 {
		return order
	}
	return cmp.Or(
		cmp.Compare(a.Username, b.Username),
		cmp.Compare(a.Deployment, b.Deployment),
		cmp.Compare(a.Owner, b.Owner),
		cmp.Compare(a.State, b.State),
		cmp.Compare(fmt.Sprintf("%#v", *a), fmt.Sprintf("%#v", *b)),
	)
}

// State says where in its life an agent of ours is.
type State string

// The states of an agent of ours.
const (
	StateCreating  State = "creating" // made, and not all of it was given to it yet
	StateActive    State = "active"
	StateSuspended State = "suspended"
	StateRetired   State = "retired" // a rename put another agent in its place
)

// Phone is how an agent takes calls, on the channel voice.
type Phone struct {
	Type             PhoneType   `json:"type"`
	AutoAccept       bool        `json:"auto_accept"`
	AfterContactWork int         `json:"after_contact_work"` // seconds; 0 means without limit in Amazon Connect
	DeskNumber       string      `json:"desk_number,omitempty"`
	Persistent       bool        `json:"persistent,omitempty"` // the connection stays open between calls
	Enhancement      Enhancement `json:"enhancement,omitempty"`
}

// PhoneType is a soft phone in the browser or a desk phone.
type PhoneType string

// The kinds of phone.
const (
	SoftPhone PhoneType = "soft_phone"
	DeskPhone PhoneType = "desk_phone"
)

// Enhancement is what is done to the sound of calls. Empty: not known.
// Source: Amazon Connect API, VoiceEnhancementMode.
type Enhancement string

// The kinds of voice enhancement.
const (
	VoiceIsolation   Enhancement = "voice_isolation"
	NoiseSuppression Enhancement = "noise_suppression"
	NoEnhancement    Enhancement = "none"
)

// Channel is a way in which contacts arrive.
type Channel string

// The channels.
const (
	Voice Channel = "voice"
	Chat  Channel = "chat"
	Task  Channel = "task"
	Email Channel = "email"
)

// Handled is how an agent takes the contacts of a channel other than voice.
type Handled struct {
	AutoAccept       bool `json:"auto_accept"`
	AfterContactWork int  `json:"after_contact_work"` // seconds; 0 means without limit
}

// Proficiency is how well an agent knows something, for routing. Attribute and
// value are those of a predefined attribute of the instance; Level is 1 to 5.
type Proficiency struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Level     int    `json:"level"`
}

func compareProficiencies(a, b Proficiency) int {
	return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Level, b.Level))
}
