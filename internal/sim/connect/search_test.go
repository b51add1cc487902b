package connect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

func is(field, value string, how types.StringComparisonType) types.UserSearchCriteria {
	return types.UserSearchCriteria{StringCondition: &types.StringCondition{FieldName: &field, Value: &value, ComparisonType: how}}
}

func tagged(key string, value *string) types.TagCondition {
	return types.TagCondition{TagKey: &key, TagValue: value}
}

func TestSearchUsers(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	top, _ := w.AddHierarchyGroup("EMEA", "")
	below, err := w.AddHierarchyGroup("Support", top)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddRoutingProfile("Chat"); err != nil {
		t.Fatal(err)
	}
	add := func(name, first, routing, group string, tags map[string]string, security ...string) string {
		t.Helper()
		a, err := w.AddAgent(Agent{Username: name, IdentityInfo: IdentityInfo{FirstName: first, LastName: "Test"},
			RoutingProfile: routing, HierarchyGroup: group, Tags: tags, SecurityProfiles: security})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	ana := add("ana", "Ana", "", top, map[string]string{"owner": "1", "team": "blue"})
	add("Anabel", "Bel", "Chat", below, map[string]string{"owner": "2"}, "Agent", "Admin")
	add("ben", "Joanna", "", "", nil)

	exact, prefix, contains := types.StringComparisonTypeExact, types.StringComparisonTypeStartsWith, types.StringComparisonTypeContains
	inGroup := func(id string, how types.HierarchyGroupMatchType) types.UserSearchCriteria {
		return types.UserSearchCriteria{HierarchyGroupCondition: &types.HierarchyGroupCondition{Value: &id, HierarchyGroupMatchType: how}}
	}
	byTag := func(f types.ControlPlaneTagFilter) *types.UserSearchFilter {
		return &types.UserSearchFilter{TagFilter: &f}
	}
	for _, c := range []struct {
		name     string
		criteria types.UserSearchCriteria
		filter   *types.UserSearchFilter
		want     []string
	}{
		{"all", types.UserSearchCriteria{}, nil, []string{"ana", "Anabel", "ben"}},
		{"exact, another case", is("Username", "ANA", exact), nil, []string{"ana"}},
		{"starts with", is("Username", "ana", prefix), nil, []string{"ana", "Anabel"}},
		{"contains", is("FirstName", "an", contains), nil, []string{"ana", "ben"}},
		{"last name", is("LastName", "Test", exact), nil, []string{"ana", "Anabel", "ben"}},
		{"routing profile by ARN", is("RoutingProfileId", w.ARN()+"/routing-profile/"+w.RoutingProfileID("Chat"), exact), nil, []string{"Anabel"}},
		{"one of its security profiles", is("SecurityProfileId", w.SecurityProfileID("Admin"), exact), nil, []string{"Anabel"}},
		{"id", is("resourceId", ana, exact), nil, []string{"ana"}},
		{"and", types.UserSearchCriteria{AndConditions: []types.UserSearchCriteria{is("Username", "a", prefix), is("FirstName", "B", prefix)}}, nil, []string{"Anabel"}},
		{"or", types.UserSearchCriteria{OrConditions: []types.UserSearchCriteria{is("Username", "ana", exact), is("Username", "ben", exact)}}, nil, []string{"ana", "ben"}},
		{"or of ands", types.UserSearchCriteria{OrConditions: []types.UserSearchCriteria{
			{AndConditions: []types.UserSearchCriteria{is("Username", "a", prefix), is("FirstName", "Ana", exact)}}, is("Username", "en", contains)}}, nil, []string{"ana", "ben"}},
		{"group", inGroup(top, types.HierarchyGroupMatchTypeExact), nil, []string{"ana"}},
		{"group and below", inGroup(w.ARN()+"/agent-group/"+top, types.HierarchyGroupMatchTypeWithChildGroups), nil, []string{"ana", "Anabel"}},
		{"proficiency nobody has", types.UserSearchCriteria{ListCondition: &types.ListCondition{TargetListType: types.TargetListTypeProficiencies}}, nil, nil},
		{"tag", types.UserSearchCriteria{}, byTag(types.ControlPlaneTagFilter{TagCondition: new(tagged("owner", aws.String("2")))}), []string{"Anabel"}},
		{"tag of any value", types.UserSearchCriteria{}, byTag(types.ControlPlaneTagFilter{TagCondition: new(tagged("owner", nil))}), []string{"ana", "Anabel"}},
		{"all tags", types.UserSearchCriteria{}, byTag(types.ControlPlaneTagFilter{AndConditions: []types.TagCondition{tagged("owner", aws.String("1")), tagged("team", aws.String("blue"))}}), []string{"ana"}},
		{"any tags", types.UserSearchCriteria{}, byTag(types.ControlPlaneTagFilter{OrConditions: [][]types.TagCondition{{tagged("owner", aws.String("1")), tagged("team", aws.String("red"))}, {tagged("owner", aws.String("2"))}}}), []string{"Anabel"}},
		{"tag and criteria", is("Username", "ana", exact), byTag(types.ControlPlaneTagFilter{TagCondition: new(tagged("owner", aws.String("2")))}), nil},
		{"attributes", types.UserSearchCriteria{}, &types.UserSearchFilter{UserAttributeFilter: &types.ControlPlaneUserAttributeFilter{
			AndCondition: &types.AttributeAndCondition{TagConditions: []types.TagCondition{tagged("owner", nil)},
				HierarchyGroupCondition: &types.HierarchyGroupCondition{Value: &below, HierarchyGroupMatchType: types.HierarchyGroupMatchTypeExact}}}}, []string{"Anabel"}},
		{"any attributes", types.UserSearchCriteria{}, &types.UserSearchFilter{UserAttributeFilter: &types.ControlPlaneUserAttributeFilter{
			OrConditions: []types.AttributeAndCondition{{TagConditions: []types.TagCondition{tagged("team", nil)}}}}}, []string{"ana"}},
	} {
		out, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: &c.criteria, SearchFilter: c.filter})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, u := range out.Users {
			got = append(got, *u.Username)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || *out.ApproximateTotalCount != int64(len(c.want)) {
			t.Errorf("%s: %d in all: %s", c.name, *out.ApproximateTotalCount, diff)
		}
	}
	for name, criteria := range map[string]types.UserSearchCriteria{
		"e-mail":             is("Email", "a", exact),
		"unknown comparison": is("Username", "a", "LIKE"),
	} {
		_, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: &criteria})
		wantCode(t, name, err, codeInvalidParameter)
	}
	if err := w.ChangeSettings(func(s *Settings) { s.SearchCase = Sensitive }); err != nil {
		t.Fatal(err)
	}
	out, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: new(is("Username", "ANA", exact))})
	if err != nil || len(out.Users) != 0 {
		t.Errorf("a sensitive search for another case: %v, %v", out, err)
	}
}

func TestSearchProfiles(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id, err := w.AddSecurityProfile("Agent (parked)")
	if err != nil {
		t.Fatal(err)
	}
	if err := do(w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: aws.String(w.ARN() + "/security-profile/" + id), Tags: map[string]string{"state": "parked"}})); err != nil {
		t.Fatal(err)
	}
	leaf := func(field, value string, how types.StringComparisonType) types.SecurityProfileSearchCriteria {
		return types.SecurityProfileSearchCriteria{StringCondition: is(field, value, how).StringCondition}
	}
	prefix, contains := types.StringComparisonTypeStartsWith, types.StringComparisonTypeContains
	for _, c := range []struct {
		name     string
		criteria types.SecurityProfileSearchCriteria
		tag      string
		want     []string
	}{
		{"all", types.SecurityProfileSearchCriteria{}, "", []string{"Admin", "Agent", "CallCenterManager", "QualityAnalyst", "Agent (parked)"}},
		{"contains", leaf("name", "manager", contains), "", []string{"CallCenterManager"}},
		{"id", leaf("resourceID", id, types.StringComparisonTypeExact), "", []string{"Agent (parked)"}},
		{"and", types.SecurityProfileSearchCriteria{AndConditions: []types.SecurityProfileSearchCriteria{leaf("name", "A", prefix), leaf("name", "min", contains)}}, "", []string{"Admin"}},
		{"or", types.SecurityProfileSearchCriteria{OrConditions: []types.SecurityProfileSearchCriteria{leaf("name", "Admin", prefix), leaf("description", "Metrics", prefix)}}, "", []string{"Admin", "QualityAnalyst"}},
		{"tag", leaf("name", "Agent", prefix), "parked", []string{"Agent (parked)"}},
		{"tag of none", types.SecurityProfileSearchCriteria{}, "gone", nil},
	} {
		in := &sdk.SearchSecurityProfilesInput{InstanceId: aws.String(w.ID()), SearchCriteria: &c.criteria}
		if c.tag != "" {
			in.SearchFilter = &types.SecurityProfilesSearchFilter{TagFilter: &types.ControlPlaneTagFilter{TagCondition: new(tagged("state", &c.tag))}}
		}
		out, err := w.sdk.SearchSecurityProfiles(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, p := range out.SecurityProfiles {
			got = append(got, *p.SecurityProfileName)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for name, bad := range map[string]types.SecurityProfileSearchCriteria{
		"inside and": {AndConditions: []types.SecurityProfileSearchCriteria{leaf("colour", "red", prefix)}},
		"inside or":  {OrConditions: []types.SecurityProfileSearchCriteria{leaf("name", strings.Repeat("x", 26), contains)}},
	} {
		_, err := w.sdk.SearchSecurityProfiles(t.Context(), &sdk.SearchSecurityProfilesInput{InstanceId: aws.String(w.ID()), SearchCriteria: &bad})
		wantCode(t, name, err, codeInvalidParameter)
	}
}

// populate adds n agents; every third has an owner tag.
func populate(t testing.TB, in *Instance, n int) {
	t.Helper()
	if err := in.ChangeSettings(func(s *Settings) { s.Quota = 0 }); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		a := Agent{Username: fmt.Sprintf("agent-%05d", i), IdentityInfo: IdentityInfo{FirstName: "A", LastName: "B"}}
		if i%3 == 0 {
			a.Tags = map[string]string{"owner": fmt.Sprint(i)}
		}
		if _, err := in.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		w := start(t, nil)
		populate(t, w.Instance, n)
		var sizes []int
		seen := make(map[string]bool)
		for p := sdk.NewListUsersPaginator(w.sdk, &sdk.ListUsersInput{InstanceId: aws.String(w.ID())}); p.HasMorePages(); {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(out.UserSummaryList))
			for _, u := range out.UserSummaryList {
				seen[*u.Id] = true
			}
		}
		if len(seen) != n || len(sizes) != max(1, (n+99)/100) || slices.Max(sizes) > 100 {
			t.Errorf("%d agents came as %d in pages of %v", n, len(seen), sizes)
		}
	}
}

// TestPagingWhileAgentsComeAndGo: agents that are there all the time are
// listed once, whatever happens to others between pages.
func TestPagingWhileAgentsComeAndGo(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	populate(t, w.Instance, 30)
	steady := w.Agents()[20:]
	seen := make(map[string]int)
	for p, i := sdk.NewListUsersPaginator(w.sdk, &sdk.ListUsersInput{InstanceId: aws.String(w.ID()), MaxResults: aws.Int32(7)}), 0; p.HasMorePages(); i++ {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.UserSummaryList {
			seen[*u.Id]++
		}
		if err := w.RemoveAgent(w.Agents()[0].ID); err != nil {
			t.Fatal(err)
		}
		w.create(t, fmt.Sprint("late", i))
	}
	for _, a := range steady {
		if seen[a.ID] != 1 {
			t.Errorf("%s was listed %d times", a.Username, seen[a.ID])
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	populate(t, w.Instance, 10)
	id := aws.String(w.ID())
	search := func(token *string, value string) (*sdk.SearchUsersOutput, error) {
		return w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: id, MaxResults: aws.Int32(3), NextToken: token,
			SearchCriteria: new(is("Username", value, types.StringComparisonTypeStartsWith))})
	}
	first, err := search(nil, "agent")
	if err != nil {
		t.Fatal(err)
	}
	token := first.NextToken
	if second, err := search(token, "agent"); err != nil || *second.Users[0].Username != "agent-00003" {
		t.Errorf("the second page: %v, %v", second, err)
	}
	_, err = search(token, "agent-0")
	wantCode(t, "a token with other filters", err, codeInvalidParameter)
	_, err = w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: id, NextToken: token})
	wantCode(t, "a token of another operation", err, codeInvalidParameter)
	_, err = search(aws.String(strings.ToUpper(*token)), "agent")
	wantCode(t, "a token changed", err, codeInvalidParameter)
	_, err = search(aws.String(""), "agent")
	wantCode(t, "an empty token", err, codeInvalidParameter)

	w.clock.advance(5 * time.Minute)
	if _, err = search(token, "agent"); err != nil {
		t.Errorf("a token at the end of its life: %v", err)
	}
	w.clock.advance(time.Second)
	_, err = search(token, "agent")
	wantCode(t, "a token beyond its life", err, codeInvalidRequest)

	fresh, err := search(nil, "agent")
	if err != nil {
		t.Fatal(err)
	}
	w.Reset()
	if err := w.ChangeSettings(func(s *Settings) { s.Limit = Limit{} }); err != nil {
		t.Fatal(err)
	}
	_, err = search(fresh.NextToken, "agent")
	wantCode(t, "a token from before a reset", err, codeInvalidRequest)
}

// seen is what the three ways of reading show of one agent.
type seen struct{ listed, found, described string }

func (w *world) look(t *testing.T, id string) seen {
	t.Helper()
	var s seen
	list, err := w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: aws.String(w.ID())})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list.UserSummaryList {
		if *u.Id == id {
			s.listed = *u.Username
		}
	}
	found, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID())})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range found.Users {
		if *u.Id == id {
			s.found = *u.IdentityInfo.FirstName
		}
	}
	user, err := w.sdk.DescribeUser(t.Context(), &sdk.DescribeUserInput{InstanceId: aws.String(w.ID()), UserId: &id})
	switch code(err) {
	case "":
		s.described = *user.User.IdentityInfo.FirstName
	case "ResourceNotFoundException":
	default:
		t.Fatal(err)
	}
	return s
}

func TestLag(t *testing.T) {
	t.Parallel()
	for _, describeLags := range []bool{false, true} {
		w := start(t, func(s *Settings) { s.ListLag, s.DescribeLags = 10*time.Second, describeLags })
		described := func(now, late string) string {
			if describeLags {
				return late
			}
			return now
		}
		check := func(what, id string, want seen) {
			t.Helper()
			if got := w.look(t, id); got != want {
				t.Errorf("describe lags %v, %s: %+v, want %+v", describeLags, what, got, want)
			}
		}
		id := w.create(t, "ana")
		check("created just now", id, seen{"", "", described("Ana", "")})
		_, err := w.sdk.CreateUser(t.Context(), w.person("ana"))
		wantCode(t, "created again unseen", err, "DuplicateResourceException")
		w.clock.advance(9 * time.Second)
		check("created 9 s ago", id, seen{"", "", described("Ana", "")})
		w.clock.advance(time.Second)
		check("created 10 s ago", id, seen{"ana", "Ana", "Ana"})

		if _, err := w.ChangeAgent(id, func(a *Agent) { a.IdentityInfo.FirstName = "Bea" }); err != nil {
			t.Fatal(err)
		}
		check("changed just now", id, seen{"ana", "Ana", described("Bea", "Ana")})
		w.clock.advance(5 * time.Second)
		if err := w.RemoveAgent(id); err != nil {
			t.Fatal(err)
		}
		check("removed just now", id, seen{"ana", "Ana", described("", "Ana")})
		w.clock.advance(5 * time.Second)
		check("changed 10 s ago", id, seen{"ana", "Bea", described("", "Bea")})
		w.clock.advance(5 * time.Second)
		check("removed 10 s ago", id, seen{})
		if s := w.Stats(); s.Agents != 0 || len(w.Agents()) != 0 {
			t.Errorf("%d agents are left", s.Agents)
		}
	}
}

// TestLagRaisedLater: an agent long there does not vanish when lists begin to
// lag after a change of it.
func TestLagRaisedLater(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	w.clock.advance(time.Hour)
	if _, err := w.ChangeAgent(id, func(a *Agent) { a.IdentityInfo.FirstName = "Bea" }); err != nil {
		t.Fatal(err)
	}
	if err := w.ChangeSettings(func(s *Settings) { s.ListLag = time.Minute }); err != nil {
		t.Fatal(err)
	}
	if got := w.look(t, id); got.listed != "ana" {
		t.Errorf("lists show %+v", got)
	}
}

// TestTenThousandAgents reads a large instance by pages; it bounds the time
// loosely, against anything quadratic.
func TestTenThousandAgents(t *testing.T) {
	t.Parallel()
	w := startUnjudged(t, nil)
	populate(t, w.Instance, 10_000)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	n, pages := 0, 0
	for p := sdk.NewSearchUsersPaginator(w.sdk, &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), MaxResults: aws.Int32(500),
		SearchFilter: &types.UserSearchFilter{TagFilter: &types.ControlPlaneTagFilter{TagCondition: new(tagged("owner", nil))}}}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(out.Users)
		if *out.ApproximateTotalCount != 3334 {
			t.Fatalf("%d in all", *out.ApproximateTotalCount)
		}
	}
	if n != 3334 || pages != 7 {
		t.Errorf("%d agents on %d pages", n, pages)
	}
	t.Logf("%d of 10000 agents on %d pages in %v", n, pages, time.Since(began))
}

func BenchmarkSearchUsers10k(b *testing.B) {
	in, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	populate(b, in, 10_000)
	input := &searchUsersInput{InstanceID: in.ID(), MaxResults: new(500),
		SearchFilter: &userFilter{TagFilter: &tagFilter{TagCondition: &tagCondition{TagKey: new("owner")}}}}
	for b.Loop() {
		if _, err := in.searchUsers(&call{operation: "SearchUsers"}, input); err != nil {
			b.Fatal(err)
		}
	}
}
