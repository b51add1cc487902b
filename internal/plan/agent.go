package plan

import "cmp"

// Agent is an Amazon Connect user, as wanted or as found: one type for both, so
// that they can be compared field by field. Profiles are ids.
type Agent struct {
	ID               string   `json:"id,omitempty"` // Connect UserId; empty while the agent is only wanted
	Username         string   `json:"username"`
	FirstName        string   `json:"first_name"`
	LastName         string   `json:"last_name"`
	RoutingProfile   string   `json:"routing_profile"`
	SecurityProfiles []string `json:"security_profiles"` // sorted
	Phone            Phone    `json:"phone"`

	Owner      string `json:"owner,omitempty"`      // Okta user id, from our owner tag; empty: nobody's
	Deployment string `json:"deployment,omitempty"` // from our deployment tag; empty: not ours
	State      State  `json:"state,omitempty"`      // from our state tag
}

// compareAgents orders agents by id. Entries of one agent that differ, as a
// list read page by page can hold, are ordered by what decisions depend on.
func compareAgents(a, b Agent) int {
	if a.ID != b.ID {
		return cmp.Compare(a.ID, b.ID)
	}
	return cmp.Or(
		cmp.Compare(a.Username, b.Username),
		cmp.Compare(a.Deployment, b.Deployment),
		cmp.Compare(a.Owner, b.Owner),
		cmp.Compare(a.State, b.State),
	)
}

// State says where in its life an agent of ours is.
type State string

// The states of an agent of ours.
const (
	StateActive    State = "active"
	StateSuspended State = "suspended"
	StateRetired   State = "retired" // a rename put another agent in its place
)

// Phone is how an agent takes calls.
type Phone struct {
	Type             PhoneType `json:"type"`
	AutoAccept       bool      `json:"auto_accept"`
	AfterContactWork int       `json:"after_contact_work"` // seconds; 0 means without limit in Amazon Connect
	DeskNumber       string    `json:"desk_number,omitempty"`
}

// PhoneType is a soft phone in the browser or a desk phone.
type PhoneType string

// The kinds of phone.
const (
	SoftPhone PhoneType = "soft_phone"
	DeskPhone PhoneType = "desk_phone"
)
