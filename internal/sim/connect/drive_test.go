package connect

import (
	"context"
	"encoding/json"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
)

// drive calls one operation through the Go SDK: well once with every member
// worth sending, then badly.
type drive struct {
	good func(ctx context.Context, w *world, user string) error
	bad  func(ctx context.Context, w *world, user string) error
	code string // what bad must be refused with
}

func do[T any](_ T, err error) error { return err }

func drives() map[string]drive {
	id := func(w *world) *string { return aws.String(w.ID()) }
	arn := func(w *world) *string { return aws.String(w.ARN()) }
	gone := aws.String("00000000-0000-4000-8000-000000000000")
	agentARN := func(w *world, user string) *string { return aws.String(w.ARN() + "/agent/" + user) }
	none := func(string) *string { return gone }
	all := lifeDrives()
	maps.Copy(all, map[string]drive{
		"CreateUser": {
			func(ctx context.Context, w *world, _ string) error {
				in := w.person("full.agent@example.com")
				in.HierarchyGroupId = aws.String(w.HierarchyGroupID("EMEA"))
				in.IdentityInfo.SecondaryEmail = aws.String("a@example.org")
				in.IdentityInfo.Mobile = aws.String("+4915112345678")
				in.PhoneConfig = nil
				in.AutoAcceptConfigs = []types.AutoAcceptConfig{{Channel: types.ChannelChat, AutoAccept: true}}
				in.AfterContactWorkConfigs = []types.AfterContactWorkConfigPerChannel{{Channel: types.ChannelVoice,
					AfterContactWorkConfig: &types.AfterContactWorkConfig{AfterContactWorkTimeLimit: 20}}}
				in.PhoneNumberConfigs = []types.PhoneNumberConfig{{Channel: types.ChannelVoice, PhoneType: types.PhoneTypeDeskPhone, PhoneNumber: aws.String("+4930123456")}}
				in.PersistentConnectionConfigs = []types.PersistentConnectionConfig{{Channel: types.ChannelVoice, PersistentConnection: new(true)}}
				in.VoiceEnhancementConfigs = []types.VoiceEnhancementConfig{{Channel: types.ChannelVoice, VoiceEnhancementMode: types.VoiceEnhancementModeNoiseSuppression}}
				return do(w.sdk.CreateUser(ctx, in))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.CreateUser(ctx, w.person("driven")))
			}, "DuplicateResourceException"},
		"DescribeUser": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.DescribeUser(ctx, &sdk.DescribeUserInput{InstanceId: arn(w), UserId: agentARN(w, user)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeUser(ctx, &sdk.DescribeUserInput{InstanceId: id(w), UserId: gone}))
			}, "ResourceNotFoundException"},
		"DeleteUser": {
			func(ctx context.Context, w *world, _ string) error {
				a, err := w.AddAgent(Agent{Username: "short-lived"})
				if err != nil {
					return err
				}
				return do(w.sdk.DeleteUser(ctx, &sdk.DeleteUserInput{InstanceId: id(w), UserId: &a.ID}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DeleteUser(ctx, &sdk.DeleteUserInput{InstanceId: id(w), UserId: gone}))
			}, "ResourceNotFoundException"},
		"UpdateUserIdentityInfo": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserIdentityInfo(ctx, &sdk.UpdateUserIdentityInfoInput{InstanceId: id(w), UserId: &user,
					IdentityInfo: &types.UserIdentityInfo{FirstName: aws.String("Åsa"), LastName: aws.String("Öberg")}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserIdentityInfo(ctx, &sdk.UpdateUserIdentityInfoInput{InstanceId: id(w), UserId: &user,
					IdentityInfo: &types.UserIdentityInfo{FirstName: aws.String("Åsa")}}))
			}, "InvalidRequestException"},
		"UpdateUserPhoneConfig": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserPhoneConfig(ctx, &sdk.UpdateUserPhoneConfigInput{InstanceId: id(w), UserId: &user,
					PhoneConfig: &types.UserPhoneConfig{PhoneType: types.PhoneTypeDeskPhone, DeskPhoneNumber: aws.String("+4930123456"), AutoAccept: true}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserPhoneConfig(ctx, &sdk.UpdateUserPhoneConfigInput{InstanceId: id(w), UserId: &user,
					PhoneConfig: &types.UserPhoneConfig{PhoneType: "PARTY_LINE"}}))
			}, codeInvalidParameter},
		"UpdateUserConfig": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserConfig(ctx, &sdk.UpdateUserConfigInput{InstanceId: id(w), UserId: &user,
					AutoAcceptConfigs: []types.AutoAcceptConfig{{Channel: types.ChannelVoice, AutoAccept: true, AgentFirstCallbackAutoAccept: new(true)}},
					AfterContactWorkConfigs: []types.AfterContactWorkConfigPerChannel{
						{Channel: types.ChannelVoice, AfterContactWorkConfig: &types.AfterContactWorkConfig{}, AgentFirstCallbackAfterContactWorkConfig: &types.AfterContactWorkConfig{AfterContactWorkTimeLimit: 5}}}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserConfig(ctx, &sdk.UpdateUserConfigInput{InstanceId: id(w), UserId: &user,
					PersistentConnectionConfigs: []types.PersistentConnectionConfig{{Channel: types.ChannelChat, PersistentConnection: new(true)}}}))
			}, codeInvalidParameter},
		"UpdateUserRoutingProfile": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserRoutingProfile(ctx, &sdk.UpdateUserRoutingProfileInput{InstanceId: id(w), UserId: &user,
					RoutingProfileId: aws.String(w.ARN() + "/routing-profile/" + w.RoutingProfileID("Support"))}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserRoutingProfile(ctx, &sdk.UpdateUserRoutingProfileInput{InstanceId: id(w), UserId: &user, RoutingProfileId: gone}))
			}, "ResourceNotFoundException"},
		"UpdateUserSecurityProfiles": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserSecurityProfiles(ctx, &sdk.UpdateUserSecurityProfilesInput{InstanceId: id(w), UserId: &user,
					SecurityProfileIds: []string{w.SecurityProfileID("QualityAnalyst"), w.ARN() + "/security-profile/" + w.SecurityProfileID("Agent")}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserSecurityProfiles(ctx, &sdk.UpdateUserSecurityProfilesInput{InstanceId: id(w), UserId: &user, SecurityProfileIds: []string{}}))
			}, codeInvalidParameter},
		"UpdateUserHierarchy": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserHierarchy(ctx, &sdk.UpdateUserHierarchyInput{InstanceId: id(w), UserId: &user,
					HierarchyGroupId: aws.String(w.ARN() + "/agent-group/" + w.HierarchyGroupID("EMEA"))}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UpdateUserHierarchy(ctx, &sdk.UpdateUserHierarchyInput{InstanceId: id(w), UserId: &user, HierarchyGroupId: gone}))
			}, "ResourceNotFoundException"},
		"ListUsers": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListUsers(ctx, &sdk.ListUsersInput{InstanceId: arn(w), MaxResults: aws.Int32(1000)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListUsers(ctx, &sdk.ListUsersInput{InstanceId: id(w), MaxResults: aws.Int32(1001)}))
			}, codeInvalidParameter},
		"SearchUsers": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchUsers(ctx, &sdk.SearchUsersInput{InstanceId: arn(w), MaxResults: aws.Int32(500),
					SearchCriteria: &types.UserSearchCriteria{StringCondition: &types.StringCondition{FieldName: aws.String("Username"), Value: aws.String("DRI"), ComparisonType: types.StringComparisonTypeStartsWith}},
					SearchFilter:   &types.UserSearchFilter{TagFilter: &types.ControlPlaneTagFilter{TagCondition: &types.TagCondition{TagKey: aws.String("connectroster:owner"), TagValue: aws.String("00u-driven")}}}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchUsers(ctx, &sdk.SearchUsersInput{InstanceId: id(w), SearchFilter: &types.UserSearchFilter{
					TagFilter: &types.ControlPlaneTagFilter{}, UserAttributeFilter: &types.ControlPlaneUserAttributeFilter{}}}))
			}, "AccessDeniedException"},
		"TagResource": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: agentARN(w, user), Tags: map[string]string{"team": "blue", "temp": ""}}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: agentARN(w, user), Tags: map[string]string{}}))
			}, codeInvalidParameter},
		"UntagResource": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: agentARN(w, user), TagKeys: []string{"temp", "never there"}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: agentARN(w, *gone), TagKeys: []string{"temp"}}))
			}, "ResourceNotFoundException"},
		"ListTagsForResource": {
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: agentARN(w, user)}))
			},
			func(ctx context.Context, w *world, user string) error {
				return do(w.sdk.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: &user}))
			}, codeInvalidParameter},
		"ListSecurityProfiles": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListSecurityProfiles(ctx, &sdk.ListSecurityProfilesInput{InstanceId: id(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListSecurityProfiles(ctx, &sdk.ListSecurityProfilesInput{InstanceId: none("")}))
			}, "ResourceNotFoundException"},
		"SearchSecurityProfiles": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchSecurityProfiles(ctx, &sdk.SearchSecurityProfilesInput{InstanceId: id(w),
					SearchCriteria: &types.SecurityProfileSearchCriteria{StringCondition: &types.StringCondition{FieldName: aws.String("name"), Value: aws.String("agent"), ComparisonType: types.StringComparisonTypeExact}}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchSecurityProfiles(ctx, &sdk.SearchSecurityProfilesInput{InstanceId: id(w), MaxResults: aws.Int32(101)}))
			}, codeInvalidParameter},
		"DescribeSecurityProfile": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeSecurityProfile(ctx, &sdk.DescribeSecurityProfileInput{InstanceId: id(w), SecurityProfileId: aws.String(w.SecurityProfileID("Agent"))}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeSecurityProfile(ctx, &sdk.DescribeSecurityProfileInput{InstanceId: id(w), SecurityProfileId: gone}))
			}, "ResourceNotFoundException"},
		"ListRoutingProfiles": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListRoutingProfiles(ctx, &sdk.ListRoutingProfilesInput{InstanceId: id(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListRoutingProfiles(ctx, &sdk.ListRoutingProfilesInput{InstanceId: id(w), NextToken: aws.String("made up")}))
			}, codeInvalidParameter},
		"SearchRoutingProfiles": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchRoutingProfiles(ctx, &sdk.SearchRoutingProfilesInput{InstanceId: id(w), SearchFilter: &types.RoutingProfileSearchFilter{}}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.SearchRoutingProfiles(ctx, &sdk.SearchRoutingProfilesInput{InstanceId: id(w),
					SearchCriteria: &types.RoutingProfileSearchCriteria{StringCondition: &types.StringCondition{FieldName: aws.String("name"), Value: aws.String("x"), ComparisonType: types.StringComparisonTypeContains}}}))
			}, codeInvalidParameter},
		"DescribeRoutingProfile": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeRoutingProfile(ctx, &sdk.DescribeRoutingProfileInput{InstanceId: id(w), RoutingProfileId: aws.String(w.RoutingProfileID("Support"))}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeRoutingProfile(ctx, &sdk.DescribeRoutingProfileInput{InstanceId: id(w), RoutingProfileId: gone}))
			}, "ResourceNotFoundException"},
		"ListUserHierarchyGroups": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListUserHierarchyGroups(ctx, &sdk.ListUserHierarchyGroupsInput{InstanceId: id(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListUserHierarchyGroups(ctx, &sdk.ListUserHierarchyGroupsInput{InstanceId: gone}))
			}, "ResourceNotFoundException"},
		"ListInstances": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListInstances(ctx, &sdk.ListInstancesInput{MaxResults: aws.Int32(10)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.ListInstances(ctx, &sdk.ListInstancesInput{MaxResults: aws.Int32(11)}))
			}, "InvalidRequestException"},
		"DescribeInstance": {
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeInstance(ctx, &sdk.DescribeInstanceInput{InstanceId: arn(w)}))
			},
			func(ctx context.Context, w *world, _ string) error {
				return do(w.sdk.DescribeInstance(ctx, &sdk.DescribeInstanceInput{InstanceId: gone}))
			}, "ResourceNotFoundException"},
	})
	return all
}

// furnish adds what the drives refer to and returns the id of an agent.
func furnish(t *testing.T, w *world) string {
	t.Helper()
	furnishCatalogue(t, w)
	return w.create(t, "driven")
}

func furnishCatalogue(t *testing.T, w *world) {
	t.Helper()
	for _, err := range []error{
		do(w.AddRoutingProfile("Support")), do(w.AddHierarchyPath("EMEA/Support/Tier 1")),
		w.AddPredefinedAttribute("language", "de", "en", "fr"), do(w.AddAgentStatus("Lunch")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSDKDrivesEveryOperation calls all of them through the Go SDK, with every
// answer held to AWS's model.
func TestSDKDrivesEveryOperation(t *testing.T) {
	t.Parallel()
	if loadModel(t) == nil {
		t.Log(noSpec)
	}
	w := start(t, func(s *Settings) { s.RequireSignature = true })
	user := furnish(t, w)
	all := drives()
	for _, name := range w.Operations() {
		d, ok := all[name]
		if !ok {
			t.Errorf("nothing drives %s", name)
			continue
		}
		if err := d.good(t.Context(), w, user); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantCode(t, name+" called badly", d.bad(t.Context(), w, user), d.code)
		s := w.Stats().Operations[name]
		if s == nil || s.OK == 0 || s.Errors[d.code] != 1 {
			t.Errorf("%s: statistics %+v do not show one good and one refused call", name, s)
		}
	}
	a, _ := w.Agent(user)
	if a.RoutingProfile != w.RoutingProfileID("Support") || len(a.SecurityProfiles) != 2 || a.HierarchyGroup != w.HierarchyGroupID("EMEA") ||
		a.IdentityInfo.FirstName != "Åsa" || !a.PhoneConfig.AutoAccept || a.Tags["team"] != "blue" {
		t.Errorf("the agent after all drives: %+v", a)
	}
	if _, there := a.Tags["temp"]; there {
		t.Error("UntagResource left the tag")
	}
}

// TestBoto3DrivesEveryOperation does the same through AWS's Python client,
// which checks every request and parses every answer by its own model.
func TestBoto3DrivesEveryOperation(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("boto3 does not drive the simulator here: %v %s", err, lastLine(out))
	}
	w := start(t, func(s *Settings) { s.RequireSignature = true })
	furnishCatalogue(t, w)
	busy, err := w.AddAgent(Agent{Username: "busy"})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"CONNECTED", "MISSED"} {
		if _, err := w.BeginContact(busy.ID, Contact{ID: "contact-" + state, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := json.Marshal(w.Operations())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "python3", "testdata/drive.py", w.url, w.Region(), w.ARN(), string(names), busy.ID, w.TransferFlowID()).CombinedOutput()
	if err != nil {
		t.Fatalf("drive.py: %v\n%s", err, out)
	}
	stats := w.Stats()
	for _, name := range w.Operations() {
		if s := stats.Operations[name]; s == nil || s.OK == 0 || len(s.Errors) == 0 {
			t.Errorf("%s: statistics %+v do not show a good and a refused call", name, s)
		}
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
