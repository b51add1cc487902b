package connect

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

func (w *world) groups(t *testing.T, in *sdk.SearchUserHierarchyGroupsInput) []types.HierarchyGroup {
	t.Helper()
	in.InstanceId = aws.String(w.ID())
	var all []types.HierarchyGroup
	for {
		out, err := w.sdk.SearchUserHierarchyGroups(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.UserHierarchyGroups...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

func groupNames(groups []types.HierarchyGroup) []string {
	var names []string
	for _, g := range groups {
		names = append(names, *g.Name+"@"+*g.LevelId)
	}
	return names
}

func TestHierarchy(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, path := range []string{"EMEA/Support/Tier 1", "EMEA/Support/Tier 2", "Americas/Support/Tier 1"} {
		if _, err := w.AddHierarchyPath(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetHierarchyLevels("Region", "Department"); err != nil {
		t.Fatal(err)
	}
	if again, err := w.AddHierarchyPath("EMEA/Support"); err != nil || again != w.HierarchyGroupID("EMEA/Support") {
		t.Errorf("a path that is there: %q, %v", again, err)
	}
	if w.HierarchyGroupID("Americas/Support") == w.HierarchyGroupID("EMEA/Support") || w.HierarchyGroupID("Support") != w.HierarchyGroupID("EMEA/Support") {
		t.Error("two groups of one name are not told apart by their paths")
	}
	all := []string{"Root@0", "EMEA@1", "Support@2", "Tier 1@3", "Tier 2@3", "Americas@1", "Support@2", "Tier 1@3"}
	if diff := cmp.Diff(all, groupNames(w.groups(t, &sdk.SearchUserHierarchyGroupsInput{MaxResults: aws.Int32(1)}))); diff != "" {
		t.Errorf("all, one a page: %s", diff)
	}
	if err := do(w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: aws.String(w.ARN() + "/agent-group/" + w.HierarchyGroupID("Americas")), Tags: map[string]string{"a": "1"}})); err != nil {
		t.Fatal(err)
	}
	leaf := func(field, value string) *types.UserHierarchyGroupSearchCriteria {
		return &types.UserHierarchyGroupSearchCriteria{StringCondition: is(field, value, types.StringComparisonTypeExact).StringCondition}
	}
	root := w.groups(t, &sdk.SearchUserHierarchyGroupsInput{SearchCriteria: leaf("levelId", "0")})[0]
	tag := types.TagCondition{TagKey: aws.String("a"), TagValue: aws.String("1")}
	for name, c := range map[string]struct {
		criteria *types.UserHierarchyGroupSearchCriteria
		filter   *types.ControlPlaneAttributeFilter
		want     []string
	}{
		"top":          {criteria: leaf("parentId", *root.Id), want: []string{"EMEA@1", "Americas@1"}},
		"children":     {criteria: leaf("parentId", w.HierarchyGroupID("EMEA/Support")), want: []string{"Tier 1@3", "Tier 2@3"}},
		"level":        {criteria: leaf("levelId", "2"), want: []string{"Support@2", "Support@2"}},
		"id":           {criteria: leaf("resourceID", w.HierarchyGroupID("Americas/Support/Tier 1")), want: []string{"Tier 1@3"}},
		"name":         {criteria: leaf("name", "tier 2"), want: []string{"Tier 2@3"}},
		"tag":          {filter: &types.ControlPlaneAttributeFilter{TagCondition: &tag}, want: []string{"Americas@1"}},
		"any tags":     {filter: &types.ControlPlaneAttributeFilter{OrConditions: []types.CommonAttributeAndCondition{{TagConditions: []types.TagCondition{tag}}}}, want: []string{"Americas@1"}},
		"tag and name": {criteria: leaf("name", "EMEA"), filter: &types.ControlPlaneAttributeFilter{AndCondition: &types.CommonAttributeAndCondition{TagConditions: []types.TagCondition{tag}}}},
	} {
		got := groupNames(w.groups(t, &sdk.SearchUserHierarchyGroupsInput{SearchCriteria: c.criteria, SearchFilter: &types.UserHierarchyGroupSearchFilter{AttributeFilter: c.filter}}))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	d, err := w.sdk.DescribeUserHierarchyGroup(t.Context(), &sdk.DescribeUserHierarchyGroupInput{InstanceId: aws.String(w.ID()),
		HierarchyGroupId: aws.String(w.ARN() + "/agent-group/" + w.HierarchyGroupID("Americas/Support/Tier 1"))})
	if err != nil {
		t.Fatal(err)
	}
	p := d.HierarchyGroup.HierarchyPath
	if *p.LevelOne.Name != "Americas" || *p.LevelTwo.Id != w.HierarchyGroupID("Americas/Support") || *p.LevelThree.Name != "Tier 1" || p.LevelFour != nil {
		t.Errorf("the path is %+v", p)
	}
	s, err := w.sdk.DescribeUserHierarchyStructure(t.Context(), &sdk.DescribeUserHierarchyStructureInput{InstanceId: aws.String(w.ID())})
	if err != nil {
		t.Fatal(err)
	}
	if h := s.HierarchyStructure; *h.LevelOne.Name != "Region" || *h.LevelTwo.Name != "Department" || *h.LevelThree.Name != "Level 3" || h.LevelFour != nil {
		t.Errorf("the structure is %+v", h)
	}
	list, err := w.sdk.ListUserHierarchyGroups(t.Context(), &sdk.ListUserHierarchyGroupsInput{InstanceId: aws.String(w.ID())})
	if err != nil || len(list.UserHierarchyGroupSummaryList) != len(all)-1 {
		t.Errorf("the list, which leaves the root out: %v, %v", list, err)
	}
}

func TestHierarchyKeepsItsShape(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	if _, err := w.AddHierarchyPath("A/B/C/D/E"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddHierarchyPath("A/B/C/D/E/F"); err == nil {
		t.Error("a sixth level was accepted")
	}
	a, b := w.HierarchyGroupID("A"), w.HierarchyGroupID("A/B")
	other, err := w.AddHierarchyGroup("Other", "")
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"below itself":    w.ChangeCatalogEntry(a, func(e *CatalogEntry) { e.Parent = b }),
		"too deep":        w.ChangeCatalogEntry(a, func(e *CatalogEntry) { e.Parent = other }),
		"below nothing":   w.ChangeCatalogEntry(a, func(e *CatalogEntry) { e.Parent = "gone" }),
		"a name taken":    w.RenameCatalogEntry(other, "A"),
		"no name":         w.RenameCatalogEntry(other, ""),
		"a group of none": w.RenameCatalogEntry("gone", "A"),
		"six levels":      w.SetHierarchyLevels("1", "2", "3", "4", "5", "6"),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	agent, err := w.AddAgent(Agent{Username: "ana", HierarchyGroup: "A/B/C/D/E"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ChangeCatalogEntry(b, func(e *CatalogEntry) { e.Parent, e.Name = other, "Moved" }); err != nil {
		t.Fatal(err)
	}
	if got := w.HierarchyGroupID("Other/Moved/C/D/E"); got != agent.HierarchyGroup {
		t.Errorf("after the move the agent's group is not found by its new path: %q", got)
	}
	below := func(group string) int {
		t.Helper()
		out, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: &types.UserSearchCriteria{
			HierarchyGroupCondition: &types.HierarchyGroupCondition{Value: &group, HierarchyGroupMatchType: types.HierarchyGroupMatchTypeWithChildGroups}}})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Users)
	}
	if below(a) != 0 || below(other) != 1 {
		t.Error("a search does not follow the move")
	}
	if slices.ContainsFunc(w.Catalog(HierarchyGroup), func(e CatalogEntry) bool { return e.Name == "B" }) {
		t.Error("the old name is still there")
	}
}
