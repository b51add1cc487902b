package connect

import "net/http"

// operation is one line of the wire: add one to have one more.
type operation struct {
	name, method, path string
	// plain operations declare neither InvalidParameterException nor
	// ThrottlingException; they answer InvalidRequestException and
	// TooManyRequestsException in their place.
	plain bool
	run   func(*Instance, *http.Request, *call) (any, error)
}

// call is one request that got as far as being understood as JSON.
type call struct {
	operation string
	body      map[string]any
	narrow    string // what of path and query a list depends on
	fault     string // the kind of fault its answer will meet, "" for none
	unchanged bool   // the write found things as it wants them
}

// on makes an operation whose input is a struct that bind fills. A nil answer
// is an empty body.
func on[In any](method, path, name string, run func(*Instance, *call, *In) (any, error)) operation {
	return operation{name: name, method: method, path: path,
		run: func(in *Instance, r *http.Request, c *call) (any, error) {
			input := new(In)
			if err := bind(r, c.body, input); err != nil {
				return nil, err
			}
			return run(in, c, input)
		}}
}

func (o operation) plainly() operation {
	o.plain = true
	return o
}

// operations is the table of everything the simulator can do.
func operations() []operation {
	const user = "/users/{InstanceId}/{UserId}"
	return []operation{
		on("PUT", "/users/{InstanceId}", "CreateUser", (*Instance).createUser),
		on("GET", user, "DescribeUser", (*Instance).describeUser),
		on("DELETE", user, "DeleteUser", (*Instance).deleteUser),
		on("POST", user+"/identity-info", "UpdateUserIdentityInfo", (*Instance).updateIdentityInfo),
		on("POST", user+"/phone-config", "UpdateUserPhoneConfig", (*Instance).updatePhoneConfig),
		on("POST", user+"/config", "UpdateUserConfig", (*Instance).updateConfig),
		on("POST", user+"/routing-profile", "UpdateUserRoutingProfile", (*Instance).updateRoutingProfile),
		on("POST", user+"/security-profiles", "UpdateUserSecurityProfiles", (*Instance).updateSecurityProfiles),
		on("POST", user+"/hierarchy", "UpdateUserHierarchy", (*Instance).updateHierarchy),
		on("GET", "/users-summary/{InstanceId}", "ListUsers", (*Instance).listUsers),
		on("POST", "/search-users", "SearchUsers", (*Instance).searchUsers),

		on("POST", user+"/associate-proficiencies", "AssociateUserProficiencies", (*Instance).associateProficiencies),
		on("POST", user+"/proficiencies", "UpdateUserProficiencies", (*Instance).updateProficiencies),
		on("POST", user+"/disassociate-proficiencies", "DisassociateUserProficiencies", (*Instance).disassociateProficiencies),
		on("GET", user+"/proficiencies", "ListUserProficiencies", (*Instance).listProficiencies),
		on("GET", "/predefined-attributes/{InstanceId}", "ListPredefinedAttributes", (*Instance).listAttributes),
		on("GET", "/predefined-attributes/{InstanceId}/{Name}", "DescribePredefinedAttribute", (*Instance).describePredefinedAttribute),
		on("POST", "/search-predefined-attributes", "SearchPredefinedAttributes", (*Instance).searchAttributes),

		on("GET", "/agent-status/{InstanceId}", "ListAgentStatuses", (*Instance).listStatuses),
		on("PUT", user+"/status", "PutUserStatus", (*Instance).putStatus),
		on("POST", "/metrics/userdata/{InstanceId}", "GetCurrentUserData", (*Instance).currentUserData),
		on("POST", user+"/contact", "DismissUserContact", (*Instance).dismissContact),

		on("PUT", "/quick-connects/{InstanceId}", "CreateQuickConnect", (*Instance).createQuickConnect),
		on("GET", "/quick-connects/{InstanceId}", "ListQuickConnects", (*Instance).listQuickConnects),
		on("POST", "/search-quick-connects", "SearchQuickConnects", (*Instance).searchQuickConnects),
		on("GET", "/quick-connects/{InstanceId}/{QuickConnectId}", "DescribeQuickConnect", (*Instance).describeQuickConnect),
		on("DELETE", "/quick-connects/{InstanceId}/{QuickConnectId}", "DeleteQuickConnect", (*Instance).deleteQuickConnect),

		on("POST", "/tags/{resourceArn}", "TagResource", (*Instance).tagResource),
		on("DELETE", "/tags/{resourceArn}", "UntagResource", (*Instance).untagResource),
		on("GET", "/tags/{resourceArn}", "ListTagsForResource", (*Instance).listTags),
		on("POST", "/search-resource-tags", "SearchResourceTags", (*Instance).searchTags),

		on("GET", "/security-profiles-summary/{InstanceId}", "ListSecurityProfiles", (*Instance).listSecurityProfiles),
		on("POST", "/search-security-profiles", "SearchSecurityProfiles", (*Instance).searchSecurityProfiles),
		on("GET", "/security-profiles/{InstanceId}/{SecurityProfileId}", "DescribeSecurityProfile", (*Instance).describeSecurityProfile),
		on("GET", "/security-profiles-permissions/{InstanceId}/{SecurityProfileId}", "ListSecurityProfilePermissions", (*Instance).listPermissions),
		on("GET", "/routing-profiles-summary/{InstanceId}", "ListRoutingProfiles", (*Instance).listRoutingProfiles),
		on("POST", "/search-routing-profiles", "SearchRoutingProfiles", (*Instance).searchRoutingProfiles),
		on("GET", "/routing-profiles/{InstanceId}/{RoutingProfileId}", "DescribeRoutingProfile", (*Instance).describeRoutingProfile),
		on("GET", "/user-hierarchy-groups-summary/{InstanceId}", "ListUserHierarchyGroups", (*Instance).listHierarchyGroups),
		on("POST", "/search-user-hierarchy-groups", "SearchUserHierarchyGroups", (*Instance).searchHierarchyGroups),
		on("GET", "/user-hierarchy-groups/{InstanceId}/{HierarchyGroupId}", "DescribeUserHierarchyGroup", (*Instance).describeHierarchyGroup),
		on("GET", "/user-hierarchy-structure/{InstanceId}", "DescribeUserHierarchyStructure", (*Instance).describeHierarchyStructure),

		on("GET", "/instance", "ListInstances", (*Instance).listInstances).plainly(),
		on("GET", "/instance/{InstanceId}", "DescribeInstance", (*Instance).describeInstance).plainly(),
	}
}

func operationNames() []string {
	var names []string
	for _, o := range operations() {
		names = append(names, o.name)
	}
	return names
}

// Operations names what the simulator answers, in the order of its table.
func (in *Instance) Operations() []string { return operationNames() }
