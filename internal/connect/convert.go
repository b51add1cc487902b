package connect

import (
	"slices"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
)

// fromUser reads the answer of DescribeUser, in which after-contact work is in
// seconds.
func fromUser(v *types.User) plan.Agent {
	a := agent(v.Id, v.Username, v.RoutingProfileId, v.HierarchyGroupId, v.SecurityProfileIds)
	if v.IdentityInfo != nil {
		a.FirstName, a.LastName = nfc(v.IdentityInfo.FirstName), nfc(v.IdentityInfo.LastName)
	}
	a.Phone, a.Channels = handlingOf(v).read(1)
	fromTags(&a, v.Tags)
	return a
}

// fromSearch reads a row of SearchUsers, in which after-contact work is in
// milliseconds. Source: Amazon Connect API, UserSearchSummary.
func fromSearch(v *types.UserSearchSummary) plan.Agent {
	a := agent(v.Id, v.Username, v.RoutingProfileId, v.HierarchyGroupId, v.SecurityProfileIds)
	if v.IdentityInfo != nil {
		a.FirstName, a.LastName = nfc(v.IdentityInfo.FirstName), nfc(v.IdentityInfo.LastName)
	}
	a.Phone, a.Channels = handling{
		phone:       v.PhoneConfig,
		autoAccept:  v.AutoAcceptConfigs,
		afterWork:   v.AfterContactWorkConfigs,
		numbers:     v.PhoneNumberConfigs,
		persistent:  v.PersistentConnectionConfigs,
		enhancement: v.VoiceEnhancementConfigs,
	}.read(1000)
	fromTags(&a, v.Tags)
	return a
}

func agent(id, username, routing, hierarchy *string, security []string) plan.Agent {
	return plan.Agent{
		ID:               aws.ToString(id),
		Username:         aws.ToString(username),
		RoutingProfile:   aws.ToString(routing),
		SecurityProfiles: slices.Sorted(slices.Values(security)),
		Hierarchy:        aws.ToString(hierarchy),
	}
}

func nfc(s *string) string { return norm.NFC.String(aws.ToString(s)) }

// name gives a name in Unicode NFC, the only form that Amazon Connect takes. A
// few characters have no composed form and become longer by it, so the limit, in
// code points, is held once more. Source: Amazon Connect API, UserIdentityInfo.
func name(s string, limit int) string {
	s = norm.NFC.String(s)
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit])
	}
	return s
}
