package connect

import (
	"slices"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
)

// The tags by which an agent is known as ours.
const (
	tagOwner      = "connectroster:owner"
	tagDeployment = "connectroster:deployment"
	tagState      = "connectroster:state"
)

// fromUser reads the answer of DescribeUser, in which after-contact work is in
// seconds.
func fromUser(v *types.User) plan.Agent {
	a := agent(v.Id, v.Username, v.RoutingProfileId, v.SecurityProfileIds, v.Tags)
	if v.IdentityInfo != nil {
		a.FirstName, a.LastName = nfc(v.IdentityInfo.FirstName), nfc(v.IdentityInfo.LastName)
	}
	a.Phone = fromPhone(v.PhoneConfig)
	return a
}

// fromSearch reads a row of SearchUsers, in which after-contact work is in
// milliseconds. Source: Amazon Connect API, UserSearchSummary.
func fromSearch(v *types.UserSearchSummary) plan.Agent {
	a := agent(v.Id, v.Username, v.RoutingProfileId, v.SecurityProfileIds, v.Tags)
	if v.IdentityInfo != nil {
		a.FirstName, a.LastName = nfc(v.IdentityInfo.FirstName), nfc(v.IdentityInfo.LastName)
	}
	a.Phone = fromPhone(v.PhoneConfig)
	a.Phone.AfterContactWork /= 1000
	return a
}

func agent(id, username, routing *string, security []string, tags map[string]string) plan.Agent {
	return plan.Agent{
		ID:               aws.ToString(id),
		Username:         aws.ToString(username),
		RoutingProfile:   aws.ToString(routing),
		SecurityProfiles: slices.Sorted(slices.Values(security)),
		Owner:            tags[tagOwner],
		Deployment:       tags[tagDeployment],
		State:            plan.State(tags[tagState]),
	}
}

// fromPhone reads a phone. An agent may have none, and then it is zero.
func fromPhone(v *types.UserPhoneConfig) plan.Phone {
	if v == nil {
		return plan.Phone{}
	}
	p := plan.Phone{
		AutoAccept:       v.AutoAccept,
		AfterContactWork: int(v.AfterContactWorkTimeLimit),
		DeskNumber:       aws.ToString(v.DeskPhoneNumber),
	}
	switch v.PhoneType {
	case types.PhoneTypeSoftPhone:
		p.Type = plan.SoftPhone
	case types.PhoneTypeDeskPhone:
		p.Type = plan.DeskPhone
	}
	return p
}

// toPhone writes a phone. What is false or 0 is left out on the wire, which the
// service takes for false and 0.
func toPhone(p plan.Phone) *types.UserPhoneConfig {
	v := &types.UserPhoneConfig{
		PhoneType:                 types.PhoneTypeSoftPhone,
		AutoAccept:                p.AutoAccept,
		AfterContactWorkTimeLimit: int32(p.AfterContactWork),
	}
	if p.Type == plan.DeskPhone {
		v.PhoneType = types.PhoneTypeDeskPhone
	}
	if p.DeskNumber != "" {
		v.DeskPhoneNumber = &p.DeskNumber
	}
	return v
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
