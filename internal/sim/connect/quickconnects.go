package connect

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// QuickConnect is a place that agents transfer contacts to.
type QuickConnect struct {
	ID          string             `json:"QuickConnectId"`
	ARN         string             `json:"QuickConnectARN"`
	Name        string             `json:"Name"`
	Description string             `json:"Description,omitempty"`
	Config      QuickConnectConfig `json:"QuickConnectConfig"`
	Tags        map[string]string  `json:"Tags,omitempty"`
	Modified    Epoch              `json:"LastModifiedTime"`
	Region      string             `json:"LastModifiedRegion"`
}

// QuickConnectConfig is the place: the one that Type says.
type QuickConnectConfig struct {
	Type  string             `json:"QuickConnectType" wire:"required,enum=USER|QUEUE|PHONE_NUMBER|FLOW"`
	User  *UserQuickConnect  `json:"UserConfig,omitempty"`
	Queue *QueueQuickConnect `json:"QueueConfig,omitempty"`
	Phone *PhoneQuickConnect `json:"PhoneConfig,omitempty"`
	Flow  *FlowQuickConnect  `json:"FlowConfig,omitempty"`
}

// UserQuickConnect is an agent. A quick connect outlives it.
type UserQuickConnect struct {
	UserID string `json:"UserId" wire:"required"`
	FlowID string `json:"ContactFlowId" wire:"required,max=500"`
}

// QueueQuickConnect is a queue.
type QueueQuickConnect struct {
	QueueID string `json:"QueueId" wire:"required"`
	FlowID  string `json:"ContactFlowId" wire:"required,max=500"`
}

// PhoneQuickConnect is a telephone.
type PhoneQuickConnect struct {
	PhoneNumber string `json:"PhoneNumber" wire:"required,check=phone"`
}

// FlowQuickConnect is a flow.
type FlowQuickConnect struct {
	FlowID string `json:"ContactFlowId" wire:"required,max=500"`
}

func (c QuickConnectConfig) clone() QuickConnectConfig {
	if c.User != nil {
		c.User = new(*c.User)
	}
	if c.Queue != nil {
		c.Queue = new(*c.Queue)
	}
	if c.Phone != nil {
		c.Phone = new(*c.Phone)
	}
	if c.Flow != nil {
		c.Flow = new(*c.Flow)
	}
	return c
}

// quickConnect is a QuickConnect with its span of life. Removed ones stay as
// long as lists may show them.
type quickConnect struct {
	QuickConnect
	seq      int64
	from, to time.Time // to is zero while it exists
}

func (q *quickConnect) at(moment time.Time) bool {
	return !q.from.After(moment) && (q.to.IsZero() || q.to.After(moment))
}

func (q *quickConnect) snapshot() QuickConnect {
	c := q.QuickConnect
	c.Tags, c.Config = maps.Clone(q.Tags), q.Config.clone()
	return c
}

// quickConnects are those of an instance in the order they were made.
type quickConnects struct {
	order []*quickConnect
	seq   int64
}

func (t *quickConnects) find(id string) *quickConnect {
	for _, q := range t.order {
		if q.ID == id && q.to.IsZero() {
			return q
		}
	}
	return nil
}

func (t *quickConnects) named(name string) *quickConnect {
	for _, q := range t.order {
		if q.Name == name && q.to.IsZero() {
			return q
		}
	}
	return nil
}

// add stores a quick connect. The caller has checked it.
func (t *quickConnects) add(in *Instance, c QuickConnect) *quickConnect {
	t.seq++
	q := &quickConnect{QuickConnect: c, seq: t.seq, from: in.now()}
	q.ID = in.uuid()
	q.ARN = in.ARN() + "/" + nounQuickConnect + "/" + q.ID
	q.Modified, q.Region = Epoch{in.now()}, in.region
	t.order = append(t.order, q)
	return q
}

const nounQuickConnect = "transfer-destination"

// remove takes a quick connect away, and forgets those that no list can show
// any more.
func (t *quickConnects) remove(in *Instance, q *quickConnect) {
	q.to = in.now()
	shown := in.lagged()
	t.order = slices.DeleteFunc(t.order, func(o *quickConnect) bool { return !o.to.IsZero() && !o.to.After(shown) })
}

// shown returns those that lists and searches show, with their numbers.
func (t *quickConnects) shown(in *Instance, match func(*quickConnect) bool) ([]*quickConnect, []int64) {
	var list []*quickConnect
	var seqs []int64
	for _, q := range t.order {
		if q.at(in.lagged()) && match(q) {
			list = append(list, q)
			seqs = append(seqs, q.seq)
		}
	}
	return list, seqs
}

// transferFlow is the id of the one flow there is: it transfers to an agent.
func (in *Instance) transferFlow() string { return in.idFor("contact-flow/Default agent transfer") }

func (in *Instance) checkFlow(ref string) error {
	if in.bareID("contact-flow", ref) != in.transferFlow() {
		return notFound("The contact flow does not exist")
	}
	return nil
}

// checkQuickConnect holds a place to its type, and what it names to existence.
func (in *Instance) checkQuickConnect(c *QuickConnectConfig) error {
	for _, x := range []struct {
		kind, member string
		there        bool
	}{
		{"USER", "UserConfig", c.User != nil}, {"QUEUE", "QueueConfig", c.Queue != nil},
		{"PHONE_NUMBER", "PhoneConfig", c.Phone != nil}, {"FLOW", "FlowConfig", c.Flow != nil},
	} {
		switch {
		case x.kind == c.Type && !x.there:
			return missing("QuickConnectConfig." + x.member)
		case x.kind != c.Type && x.there:
			return invalidParameter("QuickConnectConfig.%s does not go with the type %s", x.member, c.Type)
		}
	}
	switch {
	case c.User != nil:
		a := in.agents.current(in.bareID("agent", c.User.UserID))
		if a == nil {
			return notFound("The user does not exist")
		}
		c.User.UserID = a.ID
		return in.checkFlow(c.User.FlowID)
	case c.Queue != nil:
		if c.Queue.QueueID = in.queueOf(c.Queue.QueueID); c.Queue.QueueID == "" {
			return notFound("The queue does not exist")
		}
		return in.checkFlow(c.Queue.FlowID)
	case c.Flow != nil:
		return in.checkFlow(c.Flow.FlowID)
	}
	return nil
}

type createQuickConnectInput struct {
	instancePath
	Name        string             `wire:"required,min=1,max=127"`
	Description *string            `wire:"min=1,max=250"`
	Config      QuickConnectConfig `json:"QuickConnectConfig" wire:"required"`
	Tags        map[string]string  `wire:"min=1,max=50,check=tags"`
}

func (in *Instance) createQuickConnect(c *call, input *createQuickConnectInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	if err := in.checkQuickConnect(&input.Config); err != nil {
		return nil, err
	}
	if in.quick.named(input.Name) != nil {
		return nil, fail(http.StatusConflict, "DuplicateResourceException", "A quick connect of this name already exists")
	}
	made := QuickConnect{Name: input.Name, Config: input.Config, Tags: input.Tags}
	if input.Description != nil {
		made.Description = *input.Description
	}
	q := in.quick.add(in, made)
	in.recordQuickConnect(c, q)
	return struct {
		ARN string `json:"QuickConnectARN"`
		ID  string `json:"QuickConnectId"`
	}{q.ARN, q.ID}, nil
}

type quickConnectPath struct {
	instancePath
	QuickConnectID string `uri:"QuickConnectId"`
}

func (in *Instance) quickConnect(p quickConnectPath) (*quickConnect, error) {
	if !in.isThis(p.InstanceID) {
		return nil, in.noInstance()
	}
	q := in.quick.find(in.bareID(nounQuickConnect, p.QuickConnectID))
	if q == nil {
		return nil, notFound("The quick connect does not exist")
	}
	return q, nil
}

func (in *Instance) describeQuickConnect(_ *call, input *quickConnectPath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	q, err := in.quickConnect(*input)
	if err != nil {
		return nil, err
	}
	return struct{ QuickConnect QuickConnect }{q.snapshot()}, nil
}

func (in *Instance) deleteQuickConnect(c *call, input *quickConnectPath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	q, err := in.quickConnect(*input)
	if err != nil {
		return nil, err
	}
	in.quick.remove(in, q)
	in.recordQuickConnect(c, q)
	return nil, nil
}

type listQuickConnectsInput struct {
	listInput
	Types []string `query:"QuickConnectTypes" wire:"max=4,enum=USER|QUEUE|PHONE_NUMBER|FLOW"`
}

func (in *Instance) listQuickConnects(c *call, input *listQuickConnectsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	list, seqs := in.quick.shown(in, func(q *quickConnect) bool {
		return len(input.Types) == 0 || slices.Contains(input.Types, q.Config.Type)
	})
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	type summary struct {
		ID                 string `json:"Id"`
		ARN                string `json:"Arn"`
		Name               string
		QuickConnectType   string
		LastModifiedTime   Epoch
		LastModifiedRegion string
	}
	page := make([]summary, 0, to-from)
	for _, q := range list[from:to] {
		page = append(page, summary{q.ID, q.ARN, q.Name, q.Config.Type, q.Modified, q.Region})
	}
	return struct {
		QuickConnectSummaryList []summary
		NextToken               string `json:",omitempty"`
	}{page, next}, nil
}

type searchQuickConnectsInput struct {
	catalogSearch
	MaxResults *int `wire:"min=1,max=100"`
}

func (in *Instance) searchQuickConnects(c *call, input *searchQuickConnectsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	match, err := textMatcher(in, input.SearchCriteria, []string{"name", "description", "resourceID"},
		func(q *quickConnect, field string) string {
			return map[string]string{"name": q.Name, "description": q.Description, "resourceID": q.ID}[field]
		})
	if err != nil {
		return nil, err
	}
	list, seqs := in.quick.shown(in, func(q *quickConnect) bool { return match(q) && input.SearchFilter.match(q.Tags) })
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	page := make([]QuickConnect, 0, to-from)
	for _, q := range list[from:to] {
		page = append(page, q.snapshot())
	}
	return struct {
		QuickConnects         []QuickConnect
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{page, next, len(list)}, nil
}

// addQuickConnect adds one by hand.
func (in *Instance) addQuickConnect(c QuickConnect) (string, error) {
	c.Config, c.Tags = c.Config.clone(), maps.Clone(c.Tags)
	if n := utf8.RuneCountInString(c.Name); n < 1 || n > 127 {
		return "", fmt.Errorf("add a quick connect: the name has %d characters, not 1 to 127", n)
	}
	if in.quick.named(c.Name) != nil {
		return "", fmt.Errorf("add a quick connect: the name %q is taken", c.Name)
	}
	if err := in.checkQuickConnect(&c.Config); err != nil {
		return "", fmt.Errorf("add a quick connect: %w", err)
	}
	return in.quick.add(in, c).ID, nil
}
