package connect

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

func (w *world) proficiencies(t *testing.T, user string) []Proficiency {
	t.Helper()
	var all []Proficiency
	in := &sdk.ListUserProficienciesInput{InstanceId: aws.String(w.ID()), UserId: &user}
	for {
		out, err := w.sdk.ListUserProficiencies(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.UserProficiencyList {
			all = append(all, Proficiency{*p.AttributeName, *p.AttributeValue, float64(*p.Level)})
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

func (w *world) associate(t *testing.T, user string, ps ...types.UserProficiency) error {
	t.Helper()
	return do(w.sdk.AssociateUserProficiencies(t.Context(), &sdk.AssociateUserProficienciesInput{InstanceId: aws.String(w.ID()), UserId: &user, UserProficiencies: ps}))
}

func (w *world) update(t *testing.T, user string, ps ...types.UserProficiency) error {
	t.Helper()
	return do(w.sdk.UpdateUserProficiencies(t.Context(), &sdk.UpdateUserProficienciesInput{InstanceId: aws.String(w.ID()), UserId: &user, UserProficiencies: ps}))
}

func (w *world) disassociate(t *testing.T, user string, ps ...types.UserProficiencyDisassociate) error {
	t.Helper()
	return do(w.sdk.DisassociateUserProficiencies(t.Context(), &sdk.DisassociateUserProficienciesInput{InstanceId: aws.String(w.ID()), UserId: &user, UserProficiencies: ps}))
}

func TestProficiencies(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	if err := w.AddPredefinedAttribute("language", "de", "en", "fr"); err != nil {
		t.Fatal(err)
	}
	id := w.create(t, "ana")
	made, _ := w.Agent(id)
	size := types.UserProficiency{AttributeName: aws.String("size"), AttributeValue: aws.String("de"), Level: aws.Float32(3)}
	w.clock.advance(time.Minute)
	for _, c := range []struct {
		name string
		err  error
		code string // "" is accepted
		want []Proficiency
	}{
		{"two", w.associate(t, id, speaks("en", 5), speaks("de", 3)), "", []Proficiency{{"language", "de", 3}, {"language", "en", 5}}},
		{"a new one and one that is there", w.associate(t, id, speaks("fr", 1), speaks("de", 4)), codeInvalidRequest, nil},
		{"unknown attribute", w.associate(t, id, size), "ResourceNotFoundException", nil},
		{"unknown value", w.associate(t, id, speaks("xx", 3)), "ResourceNotFoundException", nil},
		{"value in another case", w.associate(t, id, speaks("FR", 3)), "ResourceNotFoundException", nil},
		{"level between", w.associate(t, id, speaks("fr", 1.5)), codeInvalidParameter, nil},
		{"level too low", w.associate(t, id, speaks("fr", 0)), codeInvalidParameter, nil},
		{"level too high", w.associate(t, id, speaks("fr", 6)), codeInvalidParameter, nil},
		{"twice in one call", w.associate(t, id, speaks("fr", 1), speaks("fr", 2)), codeInvalidParameter, nil},
		{"update of one not associated", w.update(t, id, speaks("de", 1), speaks("fr", 2)), codeInvalidRequest, nil},
		{"update to an unknown value", w.update(t, id, speaks("xx", 2)), "ResourceNotFoundException", nil},
		{"removal of one not associated", w.disassociate(t, id, silent("de"), silent("fr")), codeInvalidRequest, nil},
		{"of nobody", w.associate(t, "nobody", speaks("fr", 1)), "ResourceNotFoundException", nil},
	} {
		wantCode(t, c.name, c.err, c.code)
	}
	w.wantProficiencies(t, "after the refusals", id, Proficiency{"language", "de", 3}, Proficiency{"language", "en", 5})
	if err := w.update(t, id, speaks("de", 4)); err != nil {
		t.Fatal(err)
	}
	w.wantProficiencies(t, "updated", id, Proficiency{"language", "de", 4}, Proficiency{"language", "en", 5})
	if err := w.disassociate(t, id, silent("en")); err != nil {
		t.Fatal(err)
	}
	w.wantProficiencies(t, "one removed", id, Proficiency{"language", "de", 4})

	if a, _ := w.Agent(id); !a.LastModifiedTime.Equal(made.LastModifiedTime.Time) || !a.ProficienciesModified.Equal(w.clock.Now()) {
		t.Errorf("the agent was modified at %v, its proficiencies at %v", a.LastModifiedTime, a.ProficienciesModified)
	}
	if n := len(w.Ledger()); n != 4 {
		t.Errorf("%d writes in the ledger, want the creation and 3", n)
	}
	if err := w.RemovePredefinedAttribute("language"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "after the attribute is gone", w.update(t, id, speaks("de", 5)), "ResourceNotFoundException")
	if err := w.disassociate(t, id, silent("de")); err != nil {
		t.Errorf("an orphaned proficiency cannot be removed: %v", err)
	}
}

func (w *world) wantProficiencies(t *testing.T, what, user string, want ...Proficiency) {
	t.Helper()
	if diff := cmp.Diff(want, w.proficiencies(t, user)); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// TestProficiencySwitches: what is there is accepted again, and counted.
func TestProficiencySwitches(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.ProficiencyRepeats, s.ProficiencyQuota = Accept, 2 })
	if err := w.AddPredefinedAttribute("language", "de", "en", "fr"); err != nil {
		t.Fatal(err)
	}
	id := w.create(t, "ana")
	for _, err := range []error{
		w.associate(t, id, speaks("de", 3)), w.associate(t, id, speaks("de", 4), speaks("en", 1)), w.disassociate(t, id, silent("fr")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	wantCode(t, "beyond the quota", w.associate(t, id, speaks("fr", 1)), codeInvalidRequest)
	w.wantProficiencies(t, "at the quota", id, Proficiency{"language", "de", 4}, Proficiency{"language", "en", 1})
	if last := w.Ledger()[3]; last.Operation != "DisassociateUserProficiencies" || !last.Unchanged {
		t.Errorf("a removal of nothing is entered as %+v", last)
	}
}

func TestProficiencyPages(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var values []string
	var want []Proficiency
	for i := range 250 {
		values = append(values, fmt.Sprintf("v%03d", i))
		want = append(want, Proficiency{"product", values[i], float64(i%5 + 1)})
	}
	if err := w.AddPredefinedAttribute("product", values...); err != nil {
		t.Fatal(err)
	}
	a, err := w.AddAgent(Agent{Username: "ana", Proficiencies: want})
	if err != nil {
		t.Fatal(err)
	}
	w.wantProficiencies(t, "in pages", a.ID, want...)
	if calls := w.Stats().Operations["ListUserProficiencies"].Calls; calls != 3 {
		t.Errorf("%d pages of 250 proficiencies", calls)
	}
}

// proficiencyIs is a condition on one proficiency. "" and 0 leave a side out.
func proficiencyIs(name, value string, level *types.NumberCondition) types.UserSearchCriteria {
	var all []types.Condition
	for _, s := range [][2]string{{"name", name}, {"value", value}} {
		if s[1] != "" {
			all = append(all, types.Condition{StringCondition: is(s[0], s[1], types.StringComparisonTypeExact).StringCondition})
		}
	}
	if level != nil {
		level.FieldName = aws.String("limit")
		all = append(all, types.Condition{NumberCondition: level})
	}
	return types.UserSearchCriteria{ListCondition: &types.ListCondition{TargetListType: types.TargetListTypeProficiencies, Conditions: all}}
}

func TestSearchByProficiency(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, err := range []error{w.AddPredefinedAttribute("language", "de", "en"), w.AddPredefinedAttribute("product", "de", "Router"), do(w.AddHierarchyPath("EMEA/Support"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []Agent{
		{Username: "ana", HierarchyGroup: "EMEA/Support", Proficiencies: []Proficiency{{"language", "de", 5}, {"language", "en", 2}}},
		{Username: "ben", Proficiencies: []Proficiency{{"language", "de", 3}}},
		{Username: "cem", HierarchyGroup: "EMEA", Proficiencies: []Proficiency{{"product", "de", 4}, {"product", "Router", 1}}},
		{Username: "dora"},
	} {
		if _, err := w.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
	number := func(how types.NumberComparisonType, least, most int32) *types.NumberCondition {
		n := &types.NumberCondition{ComparisonType: how}
		if least > 0 {
			n.MinValue = &least
		}
		if most > 0 {
			n.MaxValue = &most
		}
		return n
	}
	emea := types.UserSearchCriteria{HierarchyGroupCondition: &types.HierarchyGroupCondition{
		Value: aws.String(w.HierarchyGroupID("EMEA")), HierarchyGroupMatchType: types.HierarchyGroupMatchTypeWithChildGroups}}
	for _, c := range []struct {
		name     string
		criteria types.UserSearchCriteria
		want     []string
	}{
		{"any", proficiencyIs("", "", nil), []string{"ana", "ben", "cem"}},
		{"name", proficiencyIs("language", "", nil), []string{"ana", "ben"}},
		{"name and value", proficiencyIs("language", "de", nil), []string{"ana", "ben"}},
		{"value", proficiencyIs("", "de", nil), []string{"ana", "ben", "cem"}},
		{"level of that very proficiency", proficiencyIs("language", "en", number(types.NumberComparisonTypeEqual, 5, 0)), nil},
		{"equal", proficiencyIs("language", "de", number(types.NumberComparisonTypeEqual, 5, 0)), []string{"ana"}},
		{"equal by the other bound", proficiencyIs("language", "de", number(types.NumberComparisonTypeEqual, 0, 3)), []string{"ben"}},
		{"not equal", proficiencyIs("language", "de", number(types.NumberComparisonTypeNotEqual, 5, 0)), []string{"ben"}},
		{"greater", proficiencyIs("language", "de", number(types.NumberComparisonTypeGreater, 3, 0)), []string{"ana"}},
		{"greater or equal", proficiencyIs("language", "de", number(types.NumberComparisonTypeGreaterOrEqual, 3, 0)), []string{"ana", "ben"}},
		{"lesser", proficiencyIs("", "", number(types.NumberComparisonTypeLesser, 0, 2)), []string{"cem"}},
		{"lesser or equal", proficiencyIs("", "", number(types.NumberComparisonTypeLesserOrEqual, 0, 2)), []string{"ana", "cem"}},
		{"range", proficiencyIs("", "de", number(types.NumberComparisonTypeRange, 3, 4)), []string{"ben", "cem"}},
		{"and a group", types.UserSearchCriteria{AndConditions: []types.UserSearchCriteria{emea, proficiencyIs("language", "", nil)}}, []string{"ana"}},
		{"or", types.UserSearchCriteria{OrConditions: []types.UserSearchCriteria{proficiencyIs("product", "Router", nil), is("Username", "dora", types.StringComparisonTypeExact)}}, []string{"cem", "dora"}},
	} {
		out, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: &c.criteria})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, u := range out.Users {
			got = append(got, *u.Username)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	level := proficiencyIs("", "", number(types.NumberComparisonTypeEqual, 3, 0))
	level.ListCondition.Conditions[0].NumberCondition.FieldName = aws.String("level")
	for name, c := range map[string]struct {
		criteria types.UserSearchCriteria
		code     string
	}{
		"another field":        {level, codeInvalidParameter},
		"no bound":             {proficiencyIs("", "", number(types.NumberComparisonTypeEqual, 0, 0)), codeInvalidRequest},
		"half a range":         {proficiencyIs("", "", number(types.NumberComparisonTypeRange, 1, 0)), codeInvalidParameter},
		"no comparison":        {proficiencyIs("", "", number("", 1, 0)), codeInvalidRequest},
		"an unknown list":      {types.UserSearchCriteria{ListCondition: &types.ListCondition{TargetListType: "SKILLS"}}, codeInvalidParameter},
		"no list":              {types.UserSearchCriteria{ListCondition: &types.ListCondition{}}, codeInvalidRequest},
		"a field of the agent": {types.UserSearchCriteria{ListCondition: &types.ListCondition{TargetListType: "PROFICIENCIES", Conditions: []types.Condition{{StringCondition: is("Username", "a", "EXACT").StringCondition}}}}, codeInvalidParameter},
	} {
		_, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: &c.criteria})
		wantCode(t, name, err, c.code)
	}
}

// TestProficienciesLagInSearchOnly: the list of one agent shows a change at
// once, a search after the lag.
func TestProficienciesLagInSearchOnly(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.ListLag = time.Minute })
	if err := w.AddPredefinedAttribute("language", "de"); err != nil {
		t.Fatal(err)
	}
	id := w.create(t, "ana")
	w.clock.advance(time.Hour)
	if err := w.associate(t, id, speaks("de", 3)); err != nil {
		t.Fatal(err)
	}
	found := func() int {
		t.Helper()
		out, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID()), SearchCriteria: new(proficiencyIs("language", "de", nil))})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Users)
	}
	w.wantProficiencies(t, "at once", id, Proficiency{"language", "de", 3})
	if n := found(); n != 0 {
		t.Errorf("the search shows %d before the lag", n)
	}
	w.clock.advance(time.Minute)
	if n := found(); n != 1 {
		t.Errorf("the search shows %d after the lag", n)
	}
}
