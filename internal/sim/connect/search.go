package connect

import (
	"maps"
	"slices"
	"strings"
)

type listUsersInput struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
	pageQuery
}

// pageQuery is the paging of the List operations.
type pageQuery struct {
	NextToken  *string `query:"nextToken"`
	MaxResults *int    `query:"maxResults" wire:"min=1,max=1000"`
}

// userSummary is an agent as ListUsers shows it.
type userSummary struct {
	ID                 string `json:"Id"`
	ARN                string `json:"Arn"`
	Username           string
	LastModifiedTime   Epoch
	LastModifiedRegion string
}

func (in *Instance) listUsers(c *call, input *listUsersInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	agents, seqs := in.agents.asOf(in.lagged())
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	users := make([]userSummary, 0, to-from)
	for _, a := range agents[from:to] {
		users = append(users, userSummary{a.ID, a.ARN, a.Username, a.LastModifiedTime, a.LastModifiedRegion})
	}
	return struct {
		UserSummaryList []userSummary
		NextToken       string `json:",omitempty"`
	}{users, next}, nil
}

type searchUsersInput struct {
	InstanceID     string        `json:"InstanceId" wire:"required,min=1,max=100"`
	NextToken      *string       `wire:"min=1,max=2500"`
	MaxResults     *int          `wire:"min=1,max=500"`
	SearchFilter   *userFilter   `json:"SearchFilter"`
	SearchCriteria *userCriteria `json:"SearchCriteria"`
}

// userFilter is access control by tags or attributes: one of the two.
type userFilter struct {
	TagFilter           *tagFilter
	UserAttributeFilter *attributeFilter
}

type tagFilter struct {
	OrConditions  [][]tagCondition
	AndConditions []tagCondition
	TagCondition  *tagCondition
}

type tagCondition struct{ TagKey, TagValue *string }

type attributeFilter struct {
	OrConditions            []attributeAnd
	AndCondition            *attributeAnd
	TagCondition            *tagCondition
	HierarchyGroupCondition *groupCondition
}

type attributeAnd struct {
	TagConditions           []tagCondition
	HierarchyGroupCondition *groupCondition
}

type groupCondition struct {
	Value                   *string
	HierarchyGroupMatchType *string `wire:"enum=EXACT|WITH_CHILD_GROUPS"`
}

// userCriteria is a tree. The members of one node must all hold; a node
// without any holds for everybody.
type userCriteria struct {
	OrConditions            []userCriteria
	AndConditions           []userCriteria
	StringCondition         *stringCondition
	ListCondition           *listCondition
	HierarchyGroupCondition *groupCondition
}

type stringCondition struct {
	FieldName      *string
	Value          *string
	ComparisonType *string `wire:"enum=STARTS_WITH|CONTAINS|EXACT"`
}

type listCondition struct {
	TargetListType *string `wire:"enum=PROFICIENCIES"`
	Conditions     []struct {
		StringCondition *stringCondition
		NumberCondition *numberCondition
	}
}

type numberCondition struct {
	FieldName      *string
	MinValue       *int
	MaxValue       *int
	ComparisonType *string `wire:"enum=GREATER_OR_EQUAL|GREATER|LESSER_OR_EQUAL|LESSER|EQUAL|NOT_EQUAL|RANGE"`
}

// userSearchSummary is an agent as SearchUsers shows it: of the identity only
// the names, and after-contact work in milliseconds.
type userSearchSummary struct {
	ARN              string `json:"Arn"`
	DirectoryUserID  string `json:"DirectoryUserId,omitempty"`
	HierarchyGroup   string `json:"HierarchyGroupId,omitempty"`
	ID               string `json:"Id"`
	IdentityInfo     struct{ FirstName, LastName string }
	PhoneConfig      PhoneConfig
	RoutingProfile   string            `json:"RoutingProfileId"`
	SecurityProfiles []string          `json:"SecurityProfileIds"`
	Tags             map[string]string `json:",omitempty"`
	Username         string
	ChannelConfigs
}

func searchSummary(a *Agent) userSearchSummary {
	s := userSearchSummary{
		ARN: a.ARN, ID: a.ID, Username: a.Username, DirectoryUserID: a.DirectoryUserID,
		HierarchyGroup: a.HierarchyGroup, RoutingProfile: a.RoutingProfile, SecurityProfiles: a.SecurityProfiles,
		PhoneConfig: a.PhoneConfig, ChannelConfigs: a.ChannelConfigs, Tags: a.Tags,
	}
	s.IdentityInfo.FirstName, s.IdentityInfo.LastName = a.IdentityInfo.FirstName, a.IdentityInfo.LastName
	s.PhoneConfig.AfterContactWorkTimeLimit *= 1000
	s.AfterContactWorkConfigs = slices.Clone(s.AfterContactWorkConfigs)
	for i := range s.AfterContactWorkConfigs {
		w := &s.AfterContactWorkConfigs[i]
		w.Config.TimeLimit *= 1000
		if w.AgentFirstCallback != nil {
			w.AgentFirstCallback = &AfterContactWorkConfig{TimeLimit: w.AgentFirstCallback.TimeLimit * 1000}
		}
	}
	return s
}

func (in *Instance) searchUsers(c *call, input *searchUsersInput) (any, error) {
	if f := input.SearchFilter; f != nil && f.TagFilter != nil && f.UserAttributeFilter != nil {
		return nil, fail(403, "AccessDeniedException", "TagFilter and UserAttributeFilter cannot be used together")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	wanted, err := in.userMatcher(input)
	if err != nil {
		return nil, err
	}
	agents, seqs := in.agents.asOf(in.lagged())
	agents, seqs = matching(agents, seqs, wanted)
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	users := make([]userSearchSummary, 0, to-from)
	for _, a := range agents[from:to] {
		users = append(users, searchSummary(in.shown(a)))
	}
	return struct {
		Users                 []userSearchSummary
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{users, next, len(agents)}, nil
}

// matching keeps the items that match, and their numbers with them.
func matching[T any](items []T, seqs []int64, match func(T) bool) ([]T, []int64) {
	n := 0
	for i, item := range items {
		if match(item) {
			items[n], seqs[n] = item, seqs[i]
			n++
		}
	}
	return items[:n], seqs[:n]
}

// A predicate decides about one agent.
type predicate func(*Agent) bool

func everybody(*Agent) bool { return true }

func both(p, q predicate) predicate {
	return func(a *Agent) bool { return p(a) && q(a) }
}

func either(ps []predicate) predicate {
	return func(a *Agent) bool {
		return slices.ContainsFunc(ps, func(p predicate) bool { return p(a) })
	}
}

func (in *Instance) userMatcher(input *searchUsersInput) (predicate, error) {
	match := predicate(everybody)
	if input.SearchCriteria != nil {
		m, err := in.criteria(input.SearchCriteria)
		if err != nil {
			return nil, err
		}
		match = m
	}
	f := input.SearchFilter
	if f == nil {
		return match, nil
	}
	if t := f.TagFilter; t != nil {
		match = both(match, func(a *Agent) bool { return t.match(a.Tags) })
	}
	if u := f.UserAttributeFilter; u != nil {
		m, err := in.byAttributes(u)
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	return match, nil
}

func (in *Instance) criteria(c *userCriteria) (predicate, error) {
	match := predicate(everybody)
	for i := range c.AndConditions {
		m, err := in.criteria(&c.AndConditions[i])
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	var some []predicate
	for i := range c.OrConditions {
		m, err := in.criteria(&c.OrConditions[i])
		if err != nil {
			return nil, err
		}
		some = append(some, m)
	}
	if len(some) > 0 {
		match = both(match, either(some))
	}
	if c.StringCondition != nil {
		m, err := in.userString(c.StringCondition)
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	if c.HierarchyGroupCondition != nil {
		m, err := in.inGroup(c.HierarchyGroupCondition)
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	if c.ListCondition != nil {
		m, err := in.proficient(c.ListCondition)
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	return match, nil
}

// userString matches one of the searchable fields. Ids may be given as ARNs.
func (in *Instance) userString(c *stringCondition) (predicate, error) {
	fields := map[string]struct {
		noun   string
		values func(*Agent) []string
	}{
		"Username":          {"", func(a *Agent) []string { return []string{a.Username} }},
		"FirstName":         {"", func(a *Agent) []string { return []string{a.IdentityInfo.FirstName} }},
		"LastName":          {"", func(a *Agent) []string { return []string{a.IdentityInfo.LastName} }},
		"RoutingProfileId":  {"routing-profile", func(a *Agent) []string { return []string{a.RoutingProfile} }},
		"SecurityProfileId": {"security-profile", func(a *Agent) []string { return a.SecurityProfiles }},
		"resourceId":        {"agent", func(a *Agent) []string { return []string{a.ID} }},
	}
	name, compare, err := in.comparison(c, slices.Sorted(maps.Keys(fields)))
	if err != nil {
		return nil, err
	}
	f := fields[name]
	value := *c.Value
	if f.noun != "" {
		value = in.bareID(f.noun, value)
	}
	return func(a *Agent) bool {
		return slices.ContainsFunc(f.values(a), func(s string) bool { return compare(s, value) })
	}, nil
}

// comparison returns the field a condition names and how it compares a value
// of it with the wanted one.
func (in *Instance) comparison(c *stringCondition, fields []string) (string, func(s, value string) bool, error) {
	switch {
	case c.FieldName == nil || !slices.Contains(fields, *c.FieldName):
		return "", nil, violated("StringCondition.FieldName", "must be one of %s", strings.Join(fields, ", "))
	case c.Value == nil:
		return "", nil, missing("StringCondition.Value")
	case c.ComparisonType == nil:
		return "", nil, missing("StringCondition.ComparisonType")
	}
	return *c.FieldName, in.compared(*c.ComparisonType), nil
}

// compared returns a comparison under the case policy of searches.
func (in *Instance) compared(how string) func(s, value string) bool {
	compare := map[string]func(s, value string) bool{
		"EXACT":       func(s, value string) bool { return s == value },
		"STARTS_WITH": strings.HasPrefix,
		"CONTAINS":    strings.Contains,
	}[how]
	if in.settings.SearchCase == Sensitive {
		return compare
	}
	return func(s, value string) bool { return compare(strings.ToLower(s), strings.ToLower(value)) }
}

func (in *Instance) byAttributes(f *attributeFilter) (predicate, error) {
	match := predicate(everybody)
	var some []predicate
	for i := range f.OrConditions {
		m, err := in.attributeAnd(&f.OrConditions[i])
		if err != nil {
			return nil, err
		}
		some = append(some, m)
	}
	if len(some) > 0 {
		match = either(some)
	}
	one := &attributeAnd{HierarchyGroupCondition: f.HierarchyGroupCondition}
	if f.TagCondition != nil {
		one.TagConditions = []tagCondition{*f.TagCondition}
	}
	for _, and := range []*attributeAnd{f.AndCondition, one} {
		if and == nil {
			continue
		}
		m, err := in.attributeAnd(and)
		if err != nil {
			return nil, err
		}
		match = both(match, m)
	}
	return match, nil
}

func (in *Instance) attributeAnd(f *attributeAnd) (predicate, error) {
	match := predicate(func(a *Agent) bool { return allTags(f.TagConditions, a.Tags) })
	if f.HierarchyGroupCondition == nil {
		return match, nil
	}
	m, err := in.inGroup(f.HierarchyGroupCondition)
	return both(match, m), err
}

// inGroup matches the members of a hierarchy group, with WITH_CHILD_GROUPS
// those of the groups below it too.
func (in *Instance) inGroup(c *groupCondition) (predicate, error) {
	if c.Value == nil {
		return nil, missing("HierarchyGroupCondition.Value")
	}
	root := in.bareID("agent-group", *c.Value)
	deep := c.HierarchyGroupMatchType != nil && *c.HierarchyGroupMatchType == "WITH_CHILD_GROUPS"
	if deep {
		return in.below(root), nil
	}
	return func(a *Agent) bool { return a.HierarchyGroup == root }, nil
}

// below matches the members of a hierarchy group and of those below it.
func (in *Instance) below(root string) predicate {
	return func(a *Agent) bool {
		for id := a.HierarchyGroup; id != ""; {
			if id == root {
				return true
			}
			e := in.groups.byID[id]
			if e == nil {
				return false
			}
			id = e.Parent
		}
		return false
	}
}

func (f *tagFilter) match(tags map[string]string) bool {
	if f.TagCondition != nil && !f.TagCondition.match(tags) {
		return false
	}
	if !allTags(f.AndConditions, tags) {
		return false
	}
	return len(f.OrConditions) == 0 || slices.ContainsFunc(f.OrConditions, func(and []tagCondition) bool {
		return allTags(and, tags)
	})
}

func allTags(conditions []tagCondition, tags map[string]string) bool {
	for i := range conditions {
		if !conditions[i].match(tags) {
			return false
		}
	}
	return true
}

// match: a condition without a value holds for any value of its key.
func (c *tagCondition) match(tags map[string]string) bool {
	if c.TagKey == nil {
		return true
	}
	v, ok := tags[*c.TagKey]
	return ok && (c.TagValue == nil || *c.TagValue == v)
}
