package connect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxLevels is how deep a hierarchy may be.
const maxLevels = 5

// above returns the groups from the top of the hierarchy down to e itself.
func (t *catalog) above(e *CatalogEntry) []*CatalogEntry {
	var groups []*CatalogEntry
	for e != nil && len(groups) <= maxLevels { // a parent may have been removed
		groups = append(groups, e)
		e = t.byID[e.Parent]
	}
	slices.Reverse(groups)
	return groups
}

// path is the names of the groups from the top down to e: "EMEA/Support".
func (t *catalog) path(e *CatalogEntry) string {
	var names []string
	for _, g := range t.above(e) {
		names = append(names, g.Name)
	}
	return strings.Join(names, "/")
}

// checkDepth refuses a group that would lie too deep, itself or with those
// below it, or below itself.
func (t *catalog) checkDepth(e *CatalogEntry) error {
	levels := 1
	for p := t.byID[e.Parent]; p != nil; p = t.byID[p.Parent] {
		if p.ID == e.ID {
			return fmt.Errorf("%q cannot lie below itself", e.Name)
		}
		levels++
	}
	if levels += t.height(e.ID); levels > maxLevels {
		return fmt.Errorf("%q makes a hierarchy of %d levels, not of %d", e.Name, levels, maxLevels)
	}
	return nil
}

// height is how many levels lie below a group.
func (t *catalog) height(id string) int {
	n := 0
	for _, e := range t.order {
		if id != "" && e.Parent == id {
			n = max(n, 1+t.height(e.ID))
		}
	}
	return n
}

// levels are five things, one for each level, as the wire spells them.
type levels[T any] struct {
	LevelOne   *T `json:",omitempty"`
	LevelTwo   *T `json:",omitempty"`
	LevelThree *T `json:",omitempty"`
	LevelFour  *T `json:",omitempty"`
	LevelFive  *T `json:",omitempty"`
}

func leveled[T any](items []T) *levels[T] {
	if len(items) == 0 {
		return nil
	}
	l := new(levels[T])
	for i, at := range []**T{&l.LevelOne, &l.LevelTwo, &l.LevelThree, &l.LevelFour, &l.LevelFive} {
		if i < len(items) {
			*at = &items[i]
		}
	}
	return l
}

// hierarchyGroup is a group in full.
type hierarchyGroup struct {
	ID                 string `json:"Id"`
	ARN                string `json:"Arn"`
	Name               string
	LevelID            string               `json:"LevelId"`
	HierarchyPath      *levels[nameSummary] `json:",omitempty"`
	Tags               map[string]string    `json:",omitempty"`
	LastModifiedTime   Epoch
	LastModifiedRegion string
	parent             string
	seq                int64
}

func (in *Instance) describeGroup(e *CatalogEntry) hierarchyGroup {
	above := in.groups.above(e)
	path := make([]nameSummary, 0, len(above))
	for _, g := range above {
		path = append(path, nameSummary{g.ID, g.ARN, g.Name, g.Modified, in.region})
	}
	return hierarchyGroup{
		ID: e.ID, ARN: e.ARN, Name: e.Name, Tags: e.Tags, LevelID: strconv.Itoa(len(above)), HierarchyPath: leveled(path),
		LastModifiedTime: e.Modified, LastModifiedRegion: in.region,
		parent: defaultTo(e.Parent, in.rootGroup()), seq: e.seq,
	}
}

// rootGroup is the id of the group that all others lie below. Only a search
// shows it.
func (in *Instance) rootGroup() string { return in.idFor(nounGroup + " root") }

func (in *Instance) listHierarchyGroups(c *call, input *listInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list, next, err := in.summaries(c, in.groups, input)
	return struct {
		UserHierarchyGroupSummaryList []nameSummary
		NextToken                     string `json:",omitempty"`
	}{list, next}, err
}

type hierarchyGroupPath struct {
	InstanceID       string `uri:"InstanceId" wire:"min=1,max=100"`
	HierarchyGroupID string `uri:"HierarchyGroupId"`
}

func (in *Instance) describeHierarchyGroup(_ *call, input *hierarchyGroupPath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	id, err := in.groups.find(in, input.HierarchyGroupID)
	if err != nil {
		return nil, err
	}
	return struct{ HierarchyGroup hierarchyGroup }{in.describeGroup(in.groups.byID[id])}, nil
}

type instancePath struct {
	InstanceID string `uri:"InstanceId" wire:"min=1,max=100"`
}

// describeHierarchyStructure shows the named levels, and those that groups have
// without a name.
func (in *Instance) describeHierarchyStructure(_ *call, input *instancePath) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	names := slices.Clone(in.levelNames)
	for _, e := range in.groups.order {
		for len(names) < len(in.groups.above(e)) {
			names = append(names, "Level "+strconv.Itoa(len(names)+1))
		}
	}
	list := make([]nameSummary, 0, len(names))
	for i, name := range names {
		id := strconv.Itoa(i + 1)
		list = append(list, nameSummary{id, in.ARN() + "/agent-group-level/" + id, name, Epoch{in.created}, in.region})
	}
	structure := leveled(list)
	if structure == nil {
		structure = new(levels[nameSummary])
	}
	return struct{ HierarchyStructure *levels[nameSummary] }{structure}, nil
}

type searchGroupsInput struct {
	InstanceID     string        `json:"InstanceId" wire:"required,min=1,max=100"`
	NextToken      *string       `wire:"min=1,max=2500"`
	MaxResults     *int          `wire:"min=1,max=100"`
	SearchFilter   *groupFilter  `json:"SearchFilter"`
	SearchCriteria *textCriteria `json:"SearchCriteria"`
}

type groupFilter struct {
	AttributeFilter *struct {
		OrConditions []groupAnd
		AndCondition *groupAnd
		TagCondition *tagCondition
	}
}

type groupAnd struct{ TagConditions []tagCondition }

func (f *groupFilter) match(tags map[string]string) bool {
	if f == nil || f.AttributeFilter == nil {
		return true
	}
	a := f.AttributeFilter
	return (a.TagCondition == nil || a.TagCondition.match(tags)) &&
		(a.AndCondition == nil || allTags(a.AndCondition.TagConditions, tags)) &&
		(len(a.OrConditions) == 0 || slices.ContainsFunc(a.OrConditions, func(and groupAnd) bool { return allTags(and.TagConditions, tags) }))
}

func (in *Instance) searchHierarchyGroups(c *call, input *searchGroupsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.isThis(input.InstanceID) {
		return nil, in.noInstance()
	}
	fields := []string{"name", "parentId", "levelId", "resourceID"}
	match, err := textMatcher(in, input.SearchCriteria, fields, func(g hierarchyGroup, field string) string {
		return map[string]string{"name": g.Name, "parentId": g.parent, "levelId": g.LevelID, "resourceID": g.ID}[field]
	})
	if err != nil {
		return nil, err
	}
	root := in.rootGroup()
	groups := []hierarchyGroup{{ID: root, ARN: in.ARN() + "/" + nounGroup + "/" + root, Name: "Root", LevelID: "0",
		LastModifiedTime: Epoch{in.created}, LastModifiedRegion: in.region}}
	for _, e := range in.groups.order {
		groups = append(groups, in.describeGroup(e))
	}
	groups = slices.DeleteFunc(groups, func(g hierarchyGroup) bool { return !match(g) || !input.SearchFilter.match(g.Tags) })
	var seqs []int64
	for _, g := range groups {
		seqs = append(seqs, g.seq)
	}
	from, to, next, err := in.page(c, seqs, input.NextToken, input.MaxResults)
	if err != nil {
		return nil, err
	}
	return struct {
		UserHierarchyGroups   []hierarchyGroup
		NextToken             string `json:",omitempty"`
		ApproximateTotalCount int
	}{groups[from:to], next, len(groups)}, nil
}
