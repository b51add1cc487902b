package connect

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
)

func speaks(value string, level float32) types.UserProficiency {
	return types.UserProficiency{AttributeName: aws.String("language"), AttributeValue: &value, Level: &level}
}

func silent(value string) types.UserProficiencyDisassociate {
	return types.UserProficiencyDisassociate{AttributeName: aws.String("language"), AttributeValue: &value}
}

// transferTo is an input for CreateQuickConnect that leads to an agent.
func (w *world) transferTo(name, user string) *sdk.CreateQuickConnectInput {
	return &sdk.CreateQuickConnectInput{InstanceId: aws.String(w.ID()), Name: &name,
		QuickConnectConfig: &types.QuickConnectConfig{QuickConnectType: types.QuickConnectTypeUser,
			UserConfig: &types.UserQuickConnectConfig{UserId: &user, ContactFlowId: aws.String(w.TransferFlowID())}}}
}

// lifeDrives are the drives of what an agent meets after it was made. Each
// prepares what it needs by hand.
func lifeDrives() map[string]drive {
	id := func(w *world) *string { return aws.String(w.ID()) }
	arn := func(w *world) *string { return aws.String(w.ARN()) }
	gone := aws.String("00000000-0000-4000-8000-000000000000")
	unknown := &types.StringCondition{FieldName: aws.String("colour"), Value: aws.String("red"), ComparisonType: types.StringComparisonTypeExact}
	languages := func(w *world, user string, ps ...Proficiency) error {
		return do(w.ChangeAgent(user, func(a *Agent) { a.Proficiencies = ps }))
	}
	german := Proficiency{"language", "de", 3}
	return map[string]drive{
		"AssociateUserProficiencies": {
			func(ctx context.Context, w *world, user string) error {
				if err := languages(w, user); err != nil {
					return err
				}
				return do(w.sdk.AssociateUserProficiencies(ctx, &sdk.AssociateUserProficienciesInput{InstanceId: arn(w), UserId: &user,
					UserProficiencies: []types.UserProficiency{speaks("de", 3), speaks("en", 5)}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.AssociateUserProficiencies(ctx, &sdk.AssociateUserProficienciesInput{InstanceId: id(w), UserId: &user,
					UserProficiencies: []types.UserProficiency{speaks("fr", 3.5)}}))
			}, codeInvalidParameter},
		"UpdateUserProficiencies": {
			func(ctx context.Context, w *world, user string) error {
				if err := languages(w, user, german); err != nil {
					return err
				}
				return do(w.sdk.UpdateUserProficiencies(ctx, &sdk.UpdateUserProficienciesInput{InstanceId: id(w), UserId: &user,
					UserProficiencies: []types.UserProficiency{speaks("de", 4)}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserProficiencies(ctx, &sdk.UpdateUserProficienciesInput{InstanceId: id(w), UserId: &user,
					UserProficiencies: []types.UserProficiency{speaks("fr", 4)}}))
			}, codeInvalidRequest},
		"DisassociateUserProficiencies": {
			func(ctx context.Context, w *world, user string) error {
				if err := languages(w, user, german); err != nil {
					return err
				}
				return do(w.sdk.DisassociateUserProficiencies(ctx, &sdk.DisassociateUserProficienciesInput{InstanceId: id(w), UserId: &user,
					UserProficiencies: []types.UserProficiencyDisassociate{silent("de")}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.DisassociateUserProficiencies(ctx, &sdk.DisassociateUserProficienciesInput{InstanceId: id(w), UserId: &user,
					UserProficiencies: []types.UserProficiencyDisassociate{silent("fr")}}))
			}, codeInvalidRequest},
		"ListUserProficiencies": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.ListUserProficiencies(ctx, &sdk.ListUserProficienciesInput{InstanceId: id(w), UserId: &user, MaxResults: aws.Int32(100)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListUserProficiencies(ctx, &sdk.ListUserProficienciesInput{InstanceId: id(w), UserId: gone}))
			}, "ResourceNotFoundException"},
		"ListPredefinedAttributes": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListPredefinedAttributes(ctx, &sdk.ListPredefinedAttributesInput{InstanceId: arn(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListPredefinedAttributes(ctx, &sdk.ListPredefinedAttributesInput{InstanceId: id(w), MaxResults: aws.Int32(101)}))
			}, codeInvalidParameter},
		"DescribePredefinedAttribute": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribePredefinedAttribute(ctx, &sdk.DescribePredefinedAttributeInput{InstanceId: id(w), Name: aws.String("language")}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribePredefinedAttribute(ctx, &sdk.DescribePredefinedAttributeInput{InstanceId: id(w), Name: aws.String("shoe size")}))
			}, "ResourceNotFoundException"},
		"SearchPredefinedAttributes": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchPredefinedAttributes(ctx, &sdk.SearchPredefinedAttributesInput{InstanceId: id(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchPredefinedAttributes(ctx, &sdk.SearchPredefinedAttributesInput{InstanceId: id(w),
					SearchCriteria: &types.PredefinedAttributeSearchCriteria{StringCondition: unknown}}))
			}, codeInvalidParameter},
		"ListAgentStatuses": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListAgentStatuses(ctx, &sdk.ListAgentStatusesInput{InstanceId: id(w), MaxResults: aws.Int32(1000),
					AgentStatusTypes: []types.AgentStatusType{types.AgentStatusTypeOffline, types.AgentStatusTypeCustom}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListAgentStatuses(ctx, &sdk.ListAgentStatusesInput{InstanceId: id(w), AgentStatusTypes: []types.AgentStatusType{"ASLEEP"}}))
			}, codeInvalidParameter},
		"PutUserStatus": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.PutUserStatus(ctx, &sdk.PutUserStatusInput{InstanceId: id(w), UserId: &user, AgentStatusId: aws.String(w.AgentStatusID("Lunch"))}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.PutUserStatus(ctx, &sdk.PutUserStatusInput{InstanceId: id(w), UserId: &user, AgentStatusId: gone}))
			}, "ResourceNotFoundException"},
		"GetCurrentUserData": {
			func(ctx context.Context, w *world, user string) error {
				if err := do(w.BeginContact(user, Contact{})); err != nil {
					return err
				}
				return do(w.sdk.GetCurrentUserData(ctx, &sdk.GetCurrentUserDataInput{InstanceId: id(w), MaxResults: aws.Int32(100),
					Filters: &types.UserDataFilters{Agents: []string{user, w.ARN() + "/agent/" + user}, ContactFilter: &types.ContactFilter{ContactStates: []types.ContactState{types.ContactStateConnected}}}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.GetCurrentUserData(ctx, &sdk.GetCurrentUserDataInput{InstanceId: id(w),
					Filters: &types.UserDataFilters{Agents: []string{user}, RoutingProfiles: []string{w.RoutingProfileID("Support")}}}))
			}, codeInvalidParameter},
		"DismissUserContact": {
			func(ctx context.Context, w *world, user string) error {
				contact, err := w.BeginContact(user, Contact{State: "MISSED"})
				if err != nil {
					return err
				}
				return do(w.sdk.DismissUserContact(ctx, &sdk.DismissUserContactInput{InstanceId: id(w), UserId: &user, ContactId: &contact}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.DismissUserContact(ctx, &sdk.DismissUserContactInput{InstanceId: id(w), UserId: &user, ContactId: gone}))
			}, "ResourceNotFoundException"},
		"CreateQuickConnect": {
			func(ctx context.Context, w *world, user string) error {
				in := w.transferTo("driven", user)
				in.Description, in.Tags = aws.String("to one agent"), map[string]string{"team": "blue"}
				return do(w.sdk.CreateQuickConnect(ctx, in))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.CreateQuickConnect(ctx, w.transferTo("driven", user)))
			}, "DuplicateResourceException"},
		"ListQuickConnects": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListQuickConnects(ctx, &sdk.ListQuickConnectsInput{InstanceId: id(w), QuickConnectTypes: []types.QuickConnectType{types.QuickConnectTypeUser}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListQuickConnects(ctx, &sdk.ListQuickConnectsInput{InstanceId: gone}))
			}, "ResourceNotFoundException"},
		"SearchQuickConnects": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchQuickConnects(ctx, &sdk.SearchQuickConnectsInput{InstanceId: id(w), MaxResults: aws.Int32(100),
					SearchFilter: &types.QuickConnectSearchFilter{TagFilter: &types.ControlPlaneTagFilter{TagCondition: &types.TagCondition{TagKey: aws.String("team")}}}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchQuickConnects(ctx, &sdk.SearchQuickConnectsInput{InstanceId: id(w),
					SearchCriteria: &types.QuickConnectSearchCriteria{StringCondition: unknown}}))
			}, codeInvalidParameter},
		"DescribeQuickConnect": {
			func(ctx context.Context, w *world, user string) error {
				made, err := w.AddQuickConnect("shown", user)
				if err != nil {
					return err
				}
				return do(w.sdk.DescribeQuickConnect(ctx, &sdk.DescribeQuickConnectInput{InstanceId: id(w), QuickConnectId: &made}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeQuickConnect(ctx, &sdk.DescribeQuickConnectInput{InstanceId: id(w), QuickConnectId: gone}))
			}, "ResourceNotFoundException"},
		"DeleteQuickConnect": {
			func(ctx context.Context, w *world, user string) error {
				made, err := w.AddQuickConnect("short-lived", user)
				if err != nil {
					return err
				}
				return do(w.sdk.DeleteQuickConnect(ctx, &sdk.DeleteQuickConnectInput{InstanceId: id(w), QuickConnectId: &made}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DeleteQuickConnect(ctx, &sdk.DeleteQuickConnectInput{InstanceId: id(w), QuickConnectId: gone}))
			}, "ResourceNotFoundException"},
		"SearchResourceTags": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchResourceTags(ctx, &sdk.SearchResourceTagsInput{InstanceId: id(w), ResourceTypes: []string{"agent"},
					SearchCriteria: &types.ResourceTagsSearchCriteria{TagSearchCondition: &types.TagSearchCondition{TagKey: aws.String("connectroster:"), TagKeyComparisonType: types.StringComparisonTypeStartsWith}}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchResourceTags(ctx, &sdk.SearchResourceTagsInput{InstanceId: id(w), ResourceTypes: []string{"shoe"}}))
			}, codeInvalidParameter},
		"ListSecurityProfilePermissions": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListSecurityProfilePermissions(ctx, &sdk.ListSecurityProfilePermissionsInput{InstanceId: id(w), SecurityProfileId: aws.String(w.SecurityProfileID("Agent"))}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListSecurityProfilePermissions(ctx, &sdk.ListSecurityProfilePermissionsInput{InstanceId: id(w), SecurityProfileId: gone}))
			}, "ResourceNotFoundException"},
		"SearchUserHierarchyGroups": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchUserHierarchyGroups(ctx, &sdk.SearchUserHierarchyGroupsInput{InstanceId: id(w), MaxResults: aws.Int32(100)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchUserHierarchyGroups(ctx, &sdk.SearchUserHierarchyGroupsInput{InstanceId: id(w),
					SearchCriteria: &types.UserHierarchyGroupSearchCriteria{StringCondition: unknown}}))
			}, codeInvalidParameter},
		"DescribeUserHierarchyGroup": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeUserHierarchyGroup(ctx, &sdk.DescribeUserHierarchyGroupInput{InstanceId: id(w), HierarchyGroupId: aws.String(w.HierarchyGroupID("EMEA/Support"))}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeUserHierarchyGroup(ctx, &sdk.DescribeUserHierarchyGroupInput{InstanceId: id(w), HierarchyGroupId: gone}))
			}, "ResourceNotFoundException"},
		"DescribeUserHierarchyStructure": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeUserHierarchyStructure(ctx, &sdk.DescribeUserHierarchyStructureInput{InstanceId: arn(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeUserHierarchyStructure(ctx, &sdk.DescribeUserHierarchyStructureInput{InstanceId: gone}))
			}, "ResourceNotFoundException"},
	}
}
