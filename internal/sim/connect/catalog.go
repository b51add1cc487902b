package connect

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CatalogEntry is a routing profile, a security profile, a hierarchy group or
// an agent status.
type CatalogEntry struct {
	ID          string `json:"Id"`
	ARN         string `json:"Arn"`
	Name        string `json:"Name"`
	Description string `json:"Description,omitempty"`
	// Parent is the id of the group above, of hierarchy groups only.
	Parent string `json:"Parent,omitempty"`
	// Queues are the names of the queues of a routing profile, the first of them
	// for outbound calls; nil is BasicQueue. One with none parks its agents.
	Queues []string `json:"Queues,omitzero"`
	// Slots are how many contacts of each channel an agent with this routing
	// profile takes at a time; nil is one of VOICE.
	Slots map[string]int `json:"Slots,omitzero"`
	// Permissions are those of a security profile.
	Permissions []string `json:"Permissions,omitzero"`
	// Type is that of an agent status: ROUTABLE, CUSTOM or OFFLINE.
	Type     string            `json:"Type,omitempty"`
	Tags     map[string]string `json:"Tags,omitempty"`
	Modified Epoch             `json:"LastModifiedTime"`
	seq      int64
}

func (e *CatalogEntry) clone() CatalogEntry {
	c := *e
	c.Queues, c.Slots = slices.Clone(e.Queues), maps.Clone(e.Slots)
	c.Permissions, c.Tags = slices.Clone(e.Permissions), maps.Clone(e.Tags)
	return c
}

// Nouns of catalogues as ARNs have them.
const (
	nounRouting  = "routing-profile"
	nounSecurity = "security-profile"
	nounGroup    = "agent-group"
	nounStatus   = "agent-state"
)

// catalog is one kind of named thing that agents refer to. An entry in it is
// never changed but for its tags, only replaced.
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
// is the same in every run; only a name given again, after a removal or below
// another parent, gets a new one.
func (t *catalog) add(in *Instance, entry CatalogEntry) (*CatalogEntry, error) {
	e := new(entry.clone())
	if err := t.complete(e); err != nil {
		return nil, fmt.Errorf("add a %s: %w", t.noun, err)
	}
	t.made[e.Name]++
	e.ID = in.idFor(t.noun + "/" + e.Name + "/" + strconv.Itoa(t.made[e.Name]))
	e.ARN = in.ARN() + "/" + t.noun + "/" + e.ID
	e.Modified = Epoch{in.now()}
	t.seq++
	e.seq = t.seq
	t.byID[e.ID] = e
	t.order = append(t.order, e)
	return e, nil
}

// idFor makes an id that is the same in every run of this instance.
func (in *Instance) idFor(what string) string {
	sum := sha256.Sum256([]byte(in.ARN() + "/" + what))
	return formatUUID([16]byte(sum[:16]), 5)
}

// change replaces an entry by what edit makes of a copy. Its id and ARN stay.
func (t *catalog) change(in *Instance, id string, edit func(*CatalogEntry) error) error {
	old := t.byID[id]
	e := new(old.clone())
	if err := edit(e); err != nil {
		return fmt.Errorf("change %s %s: %w", t.noun, id, err)
	}
	e.ID, e.ARN, e.seq, e.Modified = old.ID, old.ARN, old.seq, Epoch{in.now()}
	if err := t.complete(e); err != nil {
		return fmt.Errorf("change %s %s: %w", t.noun, id, err)
	}
	t.byID[id] = e
	t.order[slices.Index(t.order, old)] = e
	return nil
}

// complete refuses an entry that the catalogue cannot hold and fills in what
// its kind needs.
func (t *catalog) complete(e *CatalogEntry) error {
	if n := utf8.RuneCountInString(e.Name); n < 1 || n > 127 {
		return fmt.Errorf("the name has %d characters, not 1 to 127", n)
	}
	for _, o := range t.order {
		if o.ID != e.ID && o.Name == e.Name && o.Parent == e.Parent {
			return fmt.Errorf("the name %q is taken", e.Name)
		}
	}
	if e.Parent != "" && (t.noun != nounGroup || t.byID[e.Parent] == nil) {
		return fmt.Errorf("no parent %q", e.Parent)
	}
	switch t.noun {
	case nounRouting:
		if e.Queues == nil {
			e.Queues = []string{basicQueue}
		}
		if e.Slots == nil {
			e.Slots = map[string]int{"VOICE": 1}
		}
	case nounGroup:
		return t.checkDepth(e)
	case nounStatus:
		e.Type = defaultTo(e.Type, statusCustom)
		if !slices.Contains(statusTypes, e.Type) {
			return fmt.Errorf("type %q is none of %v", e.Type, statusTypes)
		}
	}
	return nil
}

// named finds an entry by its name, or by the path of names that leads to it
// ("EMEA/Support"); nil if there is none. Where several bear the name it is the
// oldest.
func (t *catalog) named(name string) *CatalogEntry {
	for _, e := range t.order {
		if e.Name == name {
			return e
		}
	}
	if t.noun != nounGroup || !strings.Contains(name, "/") {
		return nil
	}
	for _, e := range t.order {
		if t.path(e) == name {
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
		list[i] = e.clone()
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

// catalogSearch is what the searches of profiles have in common.
type catalogSearch struct {
	InstanceID     string         `json:"InstanceId" wire:"required,min=1,max=100"`
	NextToken      *string        `wire:"min=1,max=2500"`
	SearchFilter   *catalogFilter `json:"SearchFilter"`
	SearchCriteria *textCriteria  `json:"SearchCriteria"`
}

type catalogFilter struct{ TagFilter *tagFilter }

func (f *catalogFilter) match(tags map[string]string) bool {
	return f == nil || f.TagFilter == nil || f.TagFilter.match(tags)
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
	match, err := textMatcher(in, input.SearchCriteria, []string{"name", "description", "resourceID"}, entryText)
	if err != nil {
		return nil, "", 0, err
	}
	list, seqs := t.entries()
	list, seqs = matching(list, seqs, func(e *CatalogEntry) bool {
		return match(e) && input.SearchFilter.match(e.Tags)
	})
	from, to, next, err := in.page(c, seqs, input.NextToken, size)
	return list[from:to], next, len(list), err
}

// entryText is what the searches of a catalogue look at.
func entryText(e *CatalogEntry, field string) string {
	return map[string]string{"name": e.Name, "description": e.Description, "resourceID": e.ID}[field]
}
