package connect

import (
	"fmt"
	"slices"
	"time"
)

// Types of agent status.
const (
	statusRoutable = "ROUTABLE"
	statusCustom   = "CUSTOM"
	statusOffline  = "OFFLINE"
)

var statusTypes = []string{statusRoutable, statusCustom, statusOffline}

// Contact is something that keeps an agent busy.
type Contact struct {
	ID        string `json:"ContactId"`        // "" is a new one
	Channel   string `json:"Channel"`          // "" is VOICE
	State     string `json:"State"`            // "" is CONNECTED
	Method    string `json:"InitiationMethod"` // "" is INBOUND
	Queue     string `json:"Queue"`            // its name; "" is BasicQueue
	Since     Epoch  `json:"StateStartTimestamp"`
	Connected Epoch  `json:"ConnectedToAgentTimestamp,omitzero"`
}

// Words of contacts.
var (
	channels       = []string{"VOICE", "CHAT", "TASK", "EMAIL"}
	contactStates  = []string{"INCOMING", "PENDING", "CONNECTING", "CONNECTED", "CONNECTED_ONHOLD", "MISSED", "ERROR", "ENDED", "REJECTED"}
	dismissible    = []string{"MISSED", "ERROR", "ENDED", "REJECTED"}
	contactMethods = []string{"INBOUND", "OUTBOUND", "TRANSFER", "QUEUE_TRANSFER", "CALLBACK", "API", "DISCONNECT", "MONITOR",
		"EXTERNAL_OUTBOUND", "WEBRTC_API", "AGENT_REPLY", "FLOW"}
)

// Presence is what an agent is doing. Agents begin offline.
type Presence struct {
	Status     string    `json:"Status"` // its name
	StatusType string    `json:"StatusType"`
	Since      Epoch     `json:"StatusStartTimestamp"`
	NextStatus string    `json:"NextStatus,omitempty"` // taken when the last contact is gone
	Contacts   []Contact `json:"Contacts"`
}

// presence is a Presence with its statuses by id.
type presence struct {
	status, next string
	since        time.Time
	contacts     []Contact
}

// presenceOf returns what an agent is doing, for changing it.
func (in *Instance) presenceOf(a *Agent) *presence {
	p := in.presences[a.ID]
	if p == nil {
		p = &presence{status: in.statusOf(statusOffline), since: a.LastModifiedTime.Time}
		in.presences[a.ID] = p
	}
	return p
}

// statusOf returns the id of the first status of a type, "" if there is none.
func (in *Instance) statusOf(kind string) string {
	for _, e := range in.statuses.order {
		if e.Type == kind {
			return e.ID
		}
	}
	return ""
}

// offline says whether an agent neither takes contacts nor has one.
func (in *Instance) offline(p *presence) bool {
	e := in.statuses.byID[p.status]
	return len(p.contacts) == 0 && (e == nil || e.Type == statusOffline)
}

// enter takes a status now, or after the contacts there are.
func (in *Instance) enter(p *presence, status string) {
	if len(p.contacts) > 0 {
		p.next = status
		return
	}
	p.status, p.next, p.since = status, "", in.now()
}

// part takes a contact away. After the last one comes the next status.
func (in *Instance) part(p *presence, contact string) {
	p.contacts = slices.DeleteFunc(p.contacts, func(c Contact) bool { return c.ID == contact })
	if len(p.contacts) == 0 && p.next != "" {
		in.enter(p, p.next)
	}
}

type listStatusesInput struct {
	listInput
	Types []string `query:"AgentStatusTypes" wire:"max=3,enum=ROUTABLE|CUSTOM|OFFLINE"`
}

type statusSummary struct {
	ID                 string `json:"Id"`
	ARN                string `json:"Arn"`
	Name               string
	Type               string
	LastModifiedTime   Epoch
	LastModifiedRegion string
}

func (in *Instance) listStatuses(c *call, input *listStatusesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	list, seqs := in.statuses.entries()
	list, seqs = matching(list, seqs, func(e *CatalogEntry) bool {
		return len(input.Types) == 0 || slices.Contains(input.Types, e.Type)
	})
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	page := make([]statusSummary, 0, to-from)
	for _, e := range list[from:to] {
		page = append(page, statusSummary{e.ID, e.ARN, e.Name, e.Type, e.Modified, in.region})
	}
	return struct {
		AgentStatusSummaryList []statusSummary
		NextToken              string `json:",omitempty"`
	}{page, next}, nil
}

type putStatusInput struct {
	userPath
	AgentStatusID string `json:"AgentStatusId" wire:"required"`
}

func (in *Instance) putStatus(c *call, input *putStatusInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a, err := in.agent(input.userPath)
	if err != nil {
		return nil, err
	}
	status, err := in.statuses.find(in, input.AgentStatusID)
	if err != nil {
		return nil, err
	}
	p := in.presenceOf(a)
	if in.offline(p) && in.settings.StatusOffline == Reject {
		return nil, invalidRequest("The user is not signed in")
	}
	c.unchanged = len(p.contacts) == 0 && p.status == status || len(p.contacts) > 0 && p.next == status
	in.enter(p, status)
	in.record(c, a)
	return struct{}{}, nil
}

type dismissInput struct {
	userPath
	ContactID string `json:"ContactId" wire:"required,min=1,max=256"`
}

func (in *Instance) dismissContact(c *call, input *dismissInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a, err := in.agent(input.userPath)
	if err != nil {
		return nil, err
	}
	p := in.presenceOf(a)
	at := slices.IndexFunc(p.contacts, func(k Contact) bool { return k.ID == input.ContactID })
	switch {
	case at < 0:
		return nil, notFound("The user has no such contact")
	case !slices.Contains(dismissible, p.contacts[at].State):
		return nil, invalidRequest("A contact that is %s cannot be dismissed", p.contacts[at].State)
	}
	in.part(p, input.ContactID)
	in.record(c, a)
	return struct{}{}, nil
}

// contact finds a contact and who has it.
func (in *Instance) contact(id string) (*presence, *Contact) {
	for _, p := range in.presences {
		for i := range p.contacts {
			if p.contacts[i].ID == id {
				return p, &p.contacts[i]
			}
		}
	}
	return nil, nil
}

// begin notes that a contact is in its state from now on.
func (in *Instance) begin(c *Contact) {
	if c.State != "CONNECTED_ONHOLD" || c.Since.IsZero() { // on hold keeps the time of the connection
		c.Since = Epoch{in.now()}
	}
	if c.Connected.IsZero() && (c.State == "CONNECTED" || c.State == "CONNECTED_ONHOLD") {
		c.Connected = c.Since
	}
}

func (c *Contact) check() error {
	for _, x := range []struct {
		what, value string
		words       []string
	}{{"channel", c.Channel, channels}, {"state", c.State, contactStates}, {"initiation method", c.Method, contactMethods}} {
		if !slices.Contains(x.words, x.value) {
			return fmt.Errorf("%s %q is none of %v", x.what, x.value, x.words)
		}
	}
	if len(c.ID) > 256 {
		return fmt.Errorf("the contact id has %d characters, not up to 256", len(c.ID))
	}
	return nil
}
