package plan

// Change is one step from the roster as it is to the roster as it should be. It
// is data: it can be printed, stored, reviewed and applied later.
type Change struct {
	Action Action `json:"action"`
	Person string `json:"person"`           // Okta user id of the owner
	Agent  string `json:"agent,omitempty"`  // Connect UserId; empty for Create
	Before *Agent `json:"before,omitempty"` // nil for Create
	After  *Agent `json:"after,omitempty"`
	Reason string `json:"reason"` // for people: "in group Amazon Connect Agents"
}

// Action is what a change does to an agent.
type Action string

// The actions. Only Create is planned so far.
const (
	Create  Action = "create"
	Adopt   Action = "adopt"
	Update  Action = "update"
	Replace Action = "replace"
	Suspend Action = "suspend"
	Resume  Action = "resume"
	Delete  Action = "delete"
)

// Refusal is something that will not be done, and why.
type Refusal struct {
	Person   string `json:"person"`
	Username string `json:"username"`
	Agent    string `json:"agent,omitempty"` // the agent that is left alone, if there is one
	Code     Code   `json:"code"`
	Reason   string `json:"reason"` // for people
}

// Code names a kind of refusal. Codes are stable: scripts may rely on them.
type Code string

// The kinds of refusal.
const (
	NotEntitled        Code = "not_entitled"        // in no mapped group, or not active in Okta
	StatusUnknown      Code = "status_unknown"      // Okta reports a status that we do not know
	NoPersona          Code = "no_persona"          // rules match, none names a persona
	UsernameImpossible Code = "username_impossible" // Amazon Connect cannot hold the username
	ExistsNotOurs      Code = "exists_not_ours"     // an agent that we do not own has the username
	ProfileUnknown     Code = "profile_unknown"     // the instance lacks a profile the persona names
	ProfileForbidden   Code = "profile_forbidden"   // the persona names the profile Admin without allowing it
	Conflict           Code = "conflict"            // the username is taken and nobody shows by whom, or wanted twice
)
