package connect

import (
	"context"

	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
)

// operations are the calls of Amazon Connect that are made here, apart from their
// client. Of a type that can be reached from an interface the linker keeps all
// methods, if anything in the program finds methods by name, as the expressions of
// rules do; and the client has more than three hundred, which are ten megabytes. It
// cannot be reached by way of functions.
type operations struct {
	AssociateUserProficiencies    operation[awsconnect.AssociateUserProficienciesInput, awsconnect.AssociateUserProficienciesOutput]
	CreateUser                    operation[awsconnect.CreateUserInput, awsconnect.CreateUserOutput]
	DeleteQuickConnect            operation[awsconnect.DeleteQuickConnectInput, awsconnect.DeleteQuickConnectOutput]
	DeleteUser                    operation[awsconnect.DeleteUserInput, awsconnect.DeleteUserOutput]
	DescribeInstance              operation[awsconnect.DescribeInstanceInput, awsconnect.DescribeInstanceOutput]
	DescribeUser                  operation[awsconnect.DescribeUserInput, awsconnect.DescribeUserOutput]
	DisassociateUserProficiencies operation[awsconnect.DisassociateUserProficienciesInput, awsconnect.DisassociateUserProficienciesOutput]
	GetCurrentUserData            operation[awsconnect.GetCurrentUserDataInput, awsconnect.GetCurrentUserDataOutput]
	ListAgentStatuses             operation[awsconnect.ListAgentStatusesInput, awsconnect.ListAgentStatusesOutput]
	ListInstances                 operation[awsconnect.ListInstancesInput, awsconnect.ListInstancesOutput]
	ListRoutingProfiles           operation[awsconnect.ListRoutingProfilesInput, awsconnect.ListRoutingProfilesOutput]
	ListSecurityProfiles          operation[awsconnect.ListSecurityProfilesInput, awsconnect.ListSecurityProfilesOutput]
	ListUserProficiencies         operation[awsconnect.ListUserProficienciesInput, awsconnect.ListUserProficienciesOutput]
	PutUserStatus                 operation[awsconnect.PutUserStatusInput, awsconnect.PutUserStatusOutput]
	SearchPredefinedAttributes    operation[awsconnect.SearchPredefinedAttributesInput, awsconnect.SearchPredefinedAttributesOutput]
	SearchQuickConnects           operation[awsconnect.SearchQuickConnectsInput, awsconnect.SearchQuickConnectsOutput]
	SearchUserHierarchyGroups     operation[awsconnect.SearchUserHierarchyGroupsInput, awsconnect.SearchUserHierarchyGroupsOutput]
	SearchUsers                   operation[awsconnect.SearchUsersInput, awsconnect.SearchUsersOutput]
	TagResource                   operation[awsconnect.TagResourceInput, awsconnect.TagResourceOutput]
	UntagResource                 operation[awsconnect.UntagResourceInput, awsconnect.UntagResourceOutput]
	UpdateUserConfig              operation[awsconnect.UpdateUserConfigInput, awsconnect.UpdateUserConfigOutput]
	UpdateUserHierarchy           operation[awsconnect.UpdateUserHierarchyInput, awsconnect.UpdateUserHierarchyOutput]
	UpdateUserIdentityInfo        operation[awsconnect.UpdateUserIdentityInfoInput, awsconnect.UpdateUserIdentityInfoOutput]
	UpdateUserProficiencies       operation[awsconnect.UpdateUserProficienciesInput, awsconnect.UpdateUserProficienciesOutput]
	UpdateUserRoutingProfile      operation[awsconnect.UpdateUserRoutingProfileInput, awsconnect.UpdateUserRoutingProfileOutput]
	UpdateUserSecurityProfiles    operation[awsconnect.UpdateUserSecurityProfilesInput, awsconnect.UpdateUserSecurityProfilesOutput]
}

// operation is one of them.
type operation[In, Out any] func(context.Context, *In, ...func(*awsconnect.Options)) (*Out, error)

func operationsOf(c *awsconnect.Client) operations {
	return operations{
		AssociateUserProficiencies:    c.AssociateUserProficiencies,
		CreateUser:                    c.CreateUser,
		DeleteQuickConnect:            c.DeleteQuickConnect,
		DeleteUser:                    c.DeleteUser,
		DescribeInstance:              c.DescribeInstance,
		DescribeUser:                  c.DescribeUser,
		DisassociateUserProficiencies: c.DisassociateUserProficiencies,
		GetCurrentUserData:            c.GetCurrentUserData,
		ListAgentStatuses:             c.ListAgentStatuses,
		ListInstances:                 c.ListInstances,
		ListRoutingProfiles:           c.ListRoutingProfiles,
		ListSecurityProfiles:          c.ListSecurityProfiles,
		ListUserProficiencies:         c.ListUserProficiencies,
		PutUserStatus:                 c.PutUserStatus,
		SearchPredefinedAttributes:    c.SearchPredefinedAttributes,
		SearchQuickConnects:           c.SearchQuickConnects,
		SearchUserHierarchyGroups:     c.SearchUserHierarchyGroups,
		SearchUsers:                   c.SearchUsers,
		TagResource:                   c.TagResource,
		UntagResource:                 c.UntagResource,
		UpdateUserConfig:              c.UpdateUserConfig,
		UpdateUserHierarchy:           c.UpdateUserHierarchy,
		UpdateUserIdentityInfo:        c.UpdateUserIdentityInfo,
		UpdateUserProficiencies:       c.UpdateUserProficiencies,
		UpdateUserRoutingProfile:      c.UpdateUserRoutingProfile,
		UpdateUserSecurityProfiles:    c.UpdateUserSecurityProfiles,
	}
}
