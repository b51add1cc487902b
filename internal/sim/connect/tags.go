package connect

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

type resourcePath struct {
	ResourceARN string `uri:"resourceArn"`
}

type tagResourceInput struct {
	resourcePath
	Tags map[string]string `json:"tags" wire:"required,min=1,max=50,check=tags"`
}

func (in *Instance) tagResource(c *call, input *tagResourceInput) (any, error) {
	return in.retag(c, input.ResourceARN, func(tags map[string]string) error {
		maps.Copy(tags, input.Tags)
		if len(tags) > 50 {
			return invalidRequest("A resource holds at most 50 tags")
		}
		return nil
	})
}

type untagResourceInput struct {
	resourcePath
	TagKeys []string `query:"tagKeys" wire:"required,min=1,max=50,check=tagkeys"`
}

func (in *Instance) untagResource(c *call, input *untagResourceInput) (any, error) {
	c.body["tagKeys"] = input.TagKeys // for the ledger
	return in.retag(c, input.ResourceARN, func(tags map[string]string) error {
		for _, k := range input.TagKeys {
			delete(tags, k)
		}
		return nil
	})
}

// retag changes a copy of the tags of a resource and stores it. The time of
// change of the resource stays.
func (in *Instance) retag(c *call, arn string, change func(map[string]string) error) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	res, err := in.resource(arn)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(res.tags())
	if tags == nil {
		tags = make(map[string]string)
	}
	if err := change(tags); err != nil {
		return nil, err
	}
	c.unchanged = maps.Equal(tags, res.tags())
	switch {
	case res.entry != nil:
		res.entry.Tags = tags
		in.enterWrite(c, Entry{Resource: res.entry.ARN, Tags: tags})
		return nil, nil
	case res.quick != nil:
		res.quick.Tags = tags
		in.recordQuickConnect(c, res.quick)
		return nil, nil
	}
	a := new(*res.agent)
	a.Tags = tags
	in.keep(a)
	in.record(c, a)
	return nil, nil
}

type listTagsInput struct{ resourcePath }

func (in *Instance) listTags(_ *call, input *listTagsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	res, err := in.resource(input.ResourceARN)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags map[string]string `json:"tags,omitempty"`
	}{res.tags()}, nil
}

// resource is something that bears tags: an agent, an entry of a catalogue or
// a quick connect.
type resource struct {
	agent *Agent
	entry *CatalogEntry
	quick *quickConnect
}

func (r resource) tags() map[string]string {
	switch {
	case r.entry != nil:
		return r.entry.Tags
	case r.quick != nil:
		return r.quick.Tags
	}
	return r.agent.Tags
}

func (in *Instance) resource(arn string) (resource, error) {
	if !strings.HasPrefix(arn, "arn:") {
		return resource{}, violated("resourceArn", "must be an ARN")
	}
	rest, _ := strings.CutPrefix(arn, in.ARN()+"/")
	noun, id, _ := strings.Cut(rest, "/")
	var res resource
	switch noun {
	case "agent":
		res.agent = in.agents.current(id)
	case in.routing.noun:
		res.entry = in.routing.byID[id]
	case in.security.noun:
		res.entry = in.security.byID[id]
	case in.groups.noun:
		res.entry = in.groups.byID[id]
	case in.statuses.noun:
		res.entry = in.statuses.byID[id]
	case nounQuickConnect:
		res.quick = in.quick.find(id)
	}
	if res.agent == nil && res.entry == nil && res.quick == nil {
		return res, notFound("The resource does not exist")
	}
	return res, nil
}

type searchTagsInput struct {
	InstanceID     string   `json:"InstanceId" wire:"required,min=1,max=250"`
	ResourceTypes  []string `wire:"enum=agent|agent-state|routing-profile|standard-queue|security-profile|operating-hours|prompt|contact-flow|flow-module|transfer-destination"`
	NextToken      *string  `wire:"min=1,max=2500"`
	MaxResults     *int     `wire:"min=1,max=100"`
	SearchCriteria *struct{ TagSearchCondition *tagSearch }
}

type tagSearch struct {
	TagKey                 *string `json:"tagKey"`
	TagValue               *string `json:"tagValue"`
	TagKeyComparisonType   *string `json:"tagKeyComparisonType" wire:"enum=STARTS_WITH|CONTAINS|EXACT"`
	TagValueComparisonType *string `json:"tagValueComparisonType" wire:"enum=STARTS_WITH|CONTAINS|EXACT"`
}

type tagPair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// searchTags shows each tag in use once, sorted.
func (in *Instance) searchTags(c *call, input *searchTagsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	match := func(tagPair) bool { return true }
	if s := input.SearchCriteria; s != nil && s.TagSearchCondition != nil {
		match = in.tagMatcher(s.TagSearchCondition)
	}
	used := make(map[tagPair]bool)
	for _, tags := range in.tagsOf(input.ResourceTypes) {
		for k, v := range tags {
			if p := (tagPair{k, v}); match(p) {
				used[p] = true
			}
		}
	}
	pairs := slices.SortedFunc(maps.Keys(used), func(a, b tagPair) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	})
	seqs := make([]int64, len(pairs))
	for i := range seqs {
		seqs[i] = int64(i + 1)
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags      []tagPair
		NextToken string `json:",omitempty"`
	}{append([]tagPair{}, pairs[from:to]...), next}, nil
}

// tagMatcher: a side left out holds for everything, a comparison left out is
// EXACT.
func (in *Instance) tagMatcher(s *tagSearch) func(tagPair) bool {
	side := func(wanted, how *string) func(string) bool {
		if wanted == nil {
			return func(string) bool { return true }
		}
		if how == nil {
			how = new("EXACT")
		}
		compare := in.compared(*how)
		return func(s string) bool { return compare(s, *wanted) }
	}
	key, value := side(s.TagKey, s.TagKeyComparisonType), side(s.TagValue, s.TagValueComparisonType)
	return func(p tagPair) bool { return key(p.Key) && value(p.Value) }
}

// tagsOf returns the tags of everything of some types, of all types if there
// are none.
func (in *Instance) tagsOf(types []string) []map[string]string {
	of := func(noun string) bool { return len(types) == 0 || slices.Contains(types, noun) }
	var all []map[string]string
	if of("agent") {
		agents, _ := in.agents.asOf(in.lagged())
		for _, a := range agents {
			all = append(all, a.Tags)
		}
	}
	for _, t := range []*catalog{in.routing, in.security, in.statuses} {
		if of(t.noun) {
			for _, e := range t.order {
				all = append(all, e.Tags)
			}
		}
	}
	if of(nounQuickConnect) {
		list, _ := in.quick.shown(in, func(*quickConnect) bool { return true })
		for _, q := range list {
			all = append(all, q.Tags)
		}
	}
	return all
}
