package connect

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// PredefinedAttribute is a name with the values that proficiencies of it may
// have.
type PredefinedAttribute struct {
	Name     string   `json:"Name"`
	Values   []string `json:"Values"`
	Purposes []string `json:"Purposes,omitempty"`
	Modified Epoch    `json:"LastModifiedTime"`
	seq      int64
}

func (p *PredefinedAttribute) clone() PredefinedAttribute {
	c := *p
	c.Values, c.Purposes = slices.Clone(p.Values), slices.Clone(p.Purposes)
	return c
}

func (p *PredefinedAttribute) check() error {
	if n := utf8.RuneCountInString(p.Name); n < 1 || n > 100 {
		return fmt.Errorf("the name has %d characters, not 1 to 100", n)
	}
	if len(p.Values) > 500 || len(p.Purposes) > 10 {
		return fmt.Errorf("%d values and %d purposes are more than 500 and 10", len(p.Values), len(p.Purposes))
	}
	for i, v := range p.Values {
		if n := utf8.RuneCountInString(v); n < 1 || n > 100 {
			return fmt.Errorf("value %q has %d characters, not 1 to 100", v, n)
		}
		if slices.Contains(p.Values[:i], v) {
			return fmt.Errorf("value %q stands there twice", v)
		}
	}
	return nil
}

// attributes are the predefined attributes of an instance. One of them is never
// changed, only replaced.
type attributes struct {
	order []*PredefinedAttribute
	seq   int64
}

func (t *attributes) named(name string) *PredefinedAttribute {
	for _, p := range t.order {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (t *attributes) add(in *Instance, attribute PredefinedAttribute) error {
	p := new(attribute.clone())
	if err := p.check(); err != nil {
		return fmt.Errorf("add predefined attribute %q: %w", p.Name, err)
	}
	if t.named(p.Name) != nil {
		return fmt.Errorf("add predefined attribute %q: the name is taken", p.Name)
	}
	t.seq++
	p.seq, p.Modified = t.seq, Epoch{in.now()}
	t.order = append(t.order, p)
	return nil
}

func (t *attributes) change(in *Instance, name string, edit func(*PredefinedAttribute) error) error {
	old := t.named(name)
	if old == nil {
		return fmt.Errorf("change predefined attribute %q: %w", name, errNoSuch)
	}
	p := new(old.clone())
	if err := edit(p); err != nil {
		return fmt.Errorf("change predefined attribute %q: %w", name, err)
	}
	p.seq, p.Modified = old.seq, Epoch{in.now()}
	if err := p.check(); err != nil {
		return fmt.Errorf("change predefined attribute %q: %w", name, err)
	}
	if other := t.named(p.Name); other != nil && other != old {
		return fmt.Errorf("change predefined attribute %q: the name %q is taken", name, p.Name)
	}
	t.order[slices.Index(t.order, old)] = p
	return nil
}

func (t *attributes) remove(name string) error {
	p := t.named(name)
	if p == nil {
		return fmt.Errorf("remove predefined attribute %q: %w", name, errNoSuch)
	}
	t.order = slices.DeleteFunc(t.order, func(o *PredefinedAttribute) bool { return o == p })
	return nil
}

func (t *attributes) snapshot() []PredefinedAttribute {
	list := make([]PredefinedAttribute, 0, len(t.order))
	for _, p := range t.order {
		list = append(list, p.clone())
	}
	return list
}

// has says whether a proficiency may name this attribute and value.
func (t *attributes) has(name, value string) bool {
	p := t.named(name)
	return p != nil && slices.Contains(p.Values, value)
}

// predefinedAttribute is an attribute in full.
type predefinedAttribute struct {
	Name                   string
	Values                 attributeValues
	Purposes               []string `json:",omitempty"`
	AttributeConfiguration struct{ EnableValueValidationOnAssociation, IsReadOnly bool }
	LastModifiedTime       Epoch
	LastModifiedRegion     string
}

type attributeValues struct{ StringList []string }

func (in *Instance) describeAttribute(p *PredefinedAttribute) predefinedAttribute {
	return predefinedAttribute{Name: p.Name, Values: attributeValues{append([]string{}, p.Values...)}, Purposes: p.Purposes,
		LastModifiedTime: p.Modified, LastModifiedRegion: in.region}
}

// page100 is the paging of the List operations with short pages.
type page100 struct {
	NextToken  *string `query:"nextToken"`
	MaxResults *int    `query:"maxResults" wire:"min=1,max=100"`
}

type listAttributesInput struct {
	instancePath
	page100
}

func (in *Instance) listAttributes(c *call, input *listAttributesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	var seqs []int64
	for _, p := range in.attributes.order {
		seqs = append(seqs, p.seq)
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	type summary struct {
		Name               string
		LastModifiedTime   Epoch
		LastModifiedRegion string
	}
	list := make([]summary, 0, to-from)
	for _, p := range in.attributes.order[from:to] {
		list = append(list, summary{p.Name, p.Modified, in.region})
	}
	return struct {
		PredefinedAttributeSummaryList []summary
		NextToken                      string `json:",omitempty"`
	}{list, next}, nil
}

type attributePath struct {
	instancePath
	Name string `uri:"Name" wire:"min=1,max=100"`
}

func (in *Instance) describePredefinedAttribute(_ *call, input *attributePath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	p := in.attributes.named(input.Name)
	if p == nil {
		return nil, notFound("The predefined attribute does not exist")
	}
	return struct{ PredefinedAttribute predefinedAttribute }{in.describeAttribute(p)}, nil
}

type searchAttributesInput struct {
	InstanceID     string        `json:"InstanceId" wire:"required,min=1,max=100"`
	NextToken      *string       `wire:"min=1,max=2500"`
	MaxResults     *int          `wire:"min=1,max=100"`
	SearchCriteria *textCriteria `json:"SearchCriteria"`
}

func (in *Instance) searchAttributes(c *call, input *searchAttributesInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	match, err := textMatcher(in, input.SearchCriteria, []string{"name"},
		func(p *PredefinedAttribute, _ string) string { return p.Name })
	if err != nil {
		return nil, err
	}
	list := []predefinedAttribute{}
	var seqs []int64
	for _, p := range in.attributes.order {
		if match(p) {
			list = append(list, in.describeAttribute(p))
			seqs = append(seqs, p.seq)
		}
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	return struct {
		PredefinedAttributes  []predefinedAttribute
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{list[from:to], next, len(list)}, nil
}
