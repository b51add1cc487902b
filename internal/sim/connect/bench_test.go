package connect

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
)

// BenchmarkSearch runs one search of a page of 500 over 10,000 agents, without
// the network.
func BenchmarkSearch(b *testing.B) {
	s := DefaultSettings()
	s.Limit, s.Quota = Limit{}, 0
	in, err := New(Config{Settings: &s, Demo: true})
	if err != nil {
		b.Fatal(err)
	}
	for n := range 10_000 {
		if _, err := in.AddAgent(Agent{Username: fmt.Sprintf("agent%05d@example.com", n), IdentityInfo: IdentityInfo{FirstName: "Ana", LastName: "Díaz"},
			RoutingProfile: "Support", HierarchyGroup: "EMEA/Support/Tier 1", Proficiencies: []Proficiency{{"language", "de", float64(n%5 + 1)}},
			Tags: map[string]string{"connectroster:owner": fmt.Sprintf("00u%05d", n), "connectroster:deployment": "bench"}}); err != nil {
			b.Fatal(err)
		}
	}
	size := 500
	condition := func(field, value, how string) *stringCondition {
		return &stringCondition{FieldName: &field, Value: &value, ComparisonType: &how}
	}
	proficient := &listCondition{TargetListType: aws.String(string(types.TargetListTypeProficiencies))}
	proficient.Conditions = append(proficient.Conditions, struct {
		StringCondition *stringCondition
		NumberCondition *numberCondition
	}{StringCondition: condition("name", "language", "EXACT")})
	group, below := in.HierarchyGroupID("EMEA"), "WITH_CHILD_GROUPS"
	for name, input := range map[string]*searchUsersInput{
		"all":          {},
		"username":     {SearchCriteria: &userCriteria{StringCondition: condition("Username", "agent09", "STARTS_WITH")}},
		"tag":          {SearchFilter: &userFilter{TagFilter: &tagFilter{TagCondition: &tagCondition{aws.String("connectroster:deployment"), aws.String("bench")}}}},
		"proficiency":  {SearchCriteria: &userCriteria{ListCondition: proficient}},
		"group, below": {SearchCriteria: &userCriteria{HierarchyGroupCondition: &groupCondition{&group, &below}}},
	} {
		input.InstanceID, input.MaxResults = in.ID(), &size
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o := operation{name: "SearchUsers"}
				result, err := in.searchUsers(&call{operation: o.name}, input)
				if p := in.answer(o, result, err); p.status != 200 || len(p.body) < 100_000 {
					b.Fatalf("%d, %d bytes: %s", p.status, len(p.body), p.code)
				}
			}
		})
	}
}
