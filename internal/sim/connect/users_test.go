package connect

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

// TestCreateUserRules holds CreateUser to the matrix of identity types and to
// the constraints on each member.
func TestCreateUserRules(t *testing.T) {
	t.Parallel()
	type input = sdk.CreateUserInput
	name := func(s string) func(*input) { return func(in *input) { in.Username = &s } }
	first := func(s string) func(*input) { return func(in *input) { in.IdentityInfo.FirstName = &s } }
	last := func(s string) func(*input) { return func(in *input) { in.IdentityInfo.LastName = &s } }
	email := func(in *input) { in.IdentityInfo.Email = aws.String("ana@example.com") }
	password := func(s string) func(*input) { return func(in *input) { in.Password = &s } }
	directory := func(in *input) { in.DirectoryUserId = aws.String("S-1-5-21") }
	unnamed := func(in *input) { in.IdentityInfo = nil }
	const (
		ok      = ""
		request = codeInvalidRequest
		param   = codeInvalidParameter
	)
	for _, c := range []struct {
		identity, name string
		change         func(*input)
		want           string
	}{
		{SAML, "plain", nil, ok},
		{SAML, "64 characters", name(strings.Repeat("a", 64)), ok},
		{SAML, "65 characters", name(strings.Repeat("a", 65)), param},
		{SAML, "101 characters", name(strings.Repeat("a", 101)), param},
		{SAML, "empty", name(""), param},
		{SAML, "plus", name("a+b@example.com"), param},
		{SAML, "apostrophe", name("o'neil"), param},
		{SAML, "not ASCII", name("josé"), param},
		{SAML, "an e-mail address", name("a@b.example"), ok},
		{SAML, "@ without a domain", name("a@b"), param},
		{SAML, "two @", name("a@b@c.example"), param},
		{SAML, "@ first", name("@b.example"), param},
		{SAML, "@ with a dot last", name("a@b.example."), param},
		{SAML, "no first name", first(""), request},
		{SAML, "no names", unnamed, request},
		{SAML, "255 characters of first name", first(strings.Repeat("é", 255)), ok},
		{SAML, "256 characters of first name", first(strings.Repeat("é", 256)), param},
		{SAML, "300 characters of last name", last(strings.Repeat("é", 300)), ok},
		{SAML, "301 characters of last name", last(strings.Repeat("é", 301)), param},
		{SAML, "first name not NFC", first("Jose\u0301"), param},
		{SAML, "last name not NFC", last("\u1112\u1161\u11ab"), param},
		{SAML, "last name NFC in Hangul", last("한"), ok},
		{SAML, "a mark that composes with nothing", last("x\u0301"), ok},
		{SAML, "password", password("Abcdefg1"), request},
		{SAML, "directory user", directory, request},
		{SAML, "e-mail", email, request},
		{SAML, "second e-mail", func(in *input) { in.IdentityInfo.SecondaryEmail = aws.String("a@example.org") }, ok},
		{SAML, "second e-mail malformed", func(in *input) { in.IdentityInfo.SecondaryEmail = aws.String("a@b") }, param},
		{SAML, "mobile malformed", func(in *input) { in.IdentityInfo.Mobile = aws.String("0151 1234") }, param},
		{SAML, "no security profile", func(in *input) { in.SecurityProfileIds = []string{} }, param},
		{SAML, "11 security profiles", func(in *input) { in.SecurityProfileIds = slices.Repeat(in.SecurityProfileIds, 11) }, param},
		{SAML, "unknown security profile", func(in *input) { in.SecurityProfileIds = append(in.SecurityProfileIds, "x") }, "ResourceNotFoundException"},
		{SAML, "unknown routing profile", func(in *input) { in.RoutingProfileId = aws.String("x") }, "ResourceNotFoundException"},
		{SAML, "security profile for a routing profile", func(in *input) { in.RoutingProfileId = &in.SecurityProfileIds[0] }, "ResourceNotFoundException"},
		{SAML, "unknown hierarchy group", func(in *input) { in.HierarchyGroupId = aws.String("x") }, "ResourceNotFoundException"},
		{SAML, "unknown instance", func(in *input) { in.InstanceId = aws.String("x") }, "ResourceNotFoundException"},
		{SAML, "routing profile of another instance", func(in *input) {
			in.RoutingProfileId = aws.String("arn:aws:connect:eu-central-1:123456789012:instance/other/routing-profile/" + *in.RoutingProfileId)
		}, "ResourceNotFoundException"},
		{SAML, "empty tags", func(in *input) { in.Tags = map[string]string{} }, param},
		{SAML, "reserved tag", func(in *input) { in.Tags["aws:x"] = "" }, param},
		{SAML, "tag with a strange key", func(in *input) { in.Tags["a,b"] = "" }, param},
		{SAML, "tag value of 257", func(in *input) { in.Tags["a"] = strings.Repeat("x", 257) }, param},
		{SAML, "51 tags", func(in *input) {
			for i := range 50 {
				in.Tags[fmt.Sprint("t", i)] = ""
			}
		}, param},
		{SAML, "after-contact work over the limit", func(in *input) { in.PhoneConfig.AfterContactWorkTimeLimit = 2000001 }, param},
		{SAML, "after-contact work below 0", func(in *input) { in.PhoneConfig.AfterContactWorkTimeLimit = -1 }, param},
		{SAML, "desk phone malformed", func(in *input) { in.PhoneConfig.DeskPhoneNumber = aws.String("110") }, param},
		{SAML, "limit in both places", func(in *input) {
			in.AfterContactWorkConfigs = []types.AfterContactWorkConfigPerChannel{{Channel: types.ChannelChat,
				AfterContactWorkConfig: &types.AfterContactWorkConfig{AfterContactWorkTimeLimit: 5}}}
		}, param},
		{SAML, "phone type in both places", func(in *input) {
			in.PhoneNumberConfigs = []types.PhoneNumberConfig{{Channel: types.ChannelVoice, PhoneType: types.PhoneTypeSoftPhone}}
		}, param},
		{SAML, "channel twice", func(in *input) {
			in.AutoAcceptConfigs = []types.AutoAcceptConfig{{Channel: types.ChannelChat}, {Channel: types.ChannelChat, AutoAccept: true}}
		}, param},
		{SAML, "first callback of chat", func(in *input) {
			in.AutoAcceptConfigs = []types.AutoAcceptConfig{{Channel: types.ChannelChat, AgentFirstCallbackAutoAccept: new(true)}}
		}, param},

		{ConnectManaged, "plain", password("Abcdefg1"), ok},
		{ConnectManaged, "no password", nil, request},
		{ConnectManaged, "weak password", password("abcdefg1"), param},
		{ConnectManaged, "short password", password("Abcdef1"), param},
		{ConnectManaged, "with e-mail", func(in *input) { password("Abcdefg1")(in); email(in) }, ok},
		{ConnectManaged, "21 characters", func(in *input) { password("Abcdefg1")(in); name(strings.Repeat("a", 21))(in) }, param},
		{ConnectManaged, "257 characters of last name", func(in *input) { password("Abcdefg1")(in); last(strings.Repeat("a", 257))(in) }, param},
		{ConnectManaged, "no names", func(in *input) { password("Abcdefg1")(in); unnamed(in) }, request},

		{ExistingDirectory, "plain", nil, ok},
		{ExistingDirectory, "no names", unnamed, ok},
		{ExistingDirectory, "directory user", directory, ok},
		{ExistingDirectory, "password", password("Abcdefg1"), request},
		{ExistingDirectory, "e-mail", email, request},
		{ExistingDirectory, "21 characters", name(strings.Repeat("a", 21)), param},
	} {
		t.Run(c.identity+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *Settings) { s.IdentityType = c.identity })
			in := w.person("ana")
			if c.change != nil {
				c.change(in)
			}
			out, err := w.sdk.CreateUser(t.Context(), in)
			if code(err) != c.want {
				t.Fatalf("got %v, want code %q", err, c.want)
			}
			if stored := len(w.Agents()); (stored == 1) != (c.want == ok) || len(w.Ledger()) != stored {
				t.Fatalf("%d agents and %d ledger entries after code %q", stored, len(w.Ledger()), c.want)
			}
			if c.want == ok && *out.UserArn != w.ARN()+"/agent/"+*out.UserId {
				t.Errorf("answered the ARN %s for the id %s", *out.UserArn, *out.UserId)
			}
		})
	}
}

func TestMissingPasswordMessage(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.IdentityType = ConnectManaged })
	_, err := w.sdk.CreateUser(t.Context(), w.person("ana"))
	var refused *types.InvalidRequestException
	if !errors.As(err, &refused) || *refused.Message != "Required parameter missing: Password" {
		t.Errorf("got %v", err)
	}
}

func TestEmailOnSAMLAccepted(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.EmailOnSAML = Accept })
	in := w.person("ana")
	in.IdentityInfo.Email = aws.String("ana@example.com")
	if _, err := w.sdk.CreateUser(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if a, _ := w.AgentNamed("ana"); a.IdentityInfo.Email != "ana@example.com" {
		t.Errorf("stored %+v", a.IdentityInfo)
	}
}

func TestUsernameCase(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.create(t, "Ana")
	_, err := w.sdk.CreateUser(t.Context(), w.person("ANA"))
	wantCode(t, "a twin by case", err, "DuplicateResourceException")
	if a, _ := w.AgentNamed("aNa"); a.Username != "Ana" {
		t.Errorf("the name was stored as %q", a.Username)
	}

	w.control(t, "PATCH", "settings", `{"username_case":"sensitive"}`, http.StatusOK, nil)
	w.create(t, "ANA")
	if _, ok := w.AgentNamed("aNa"); ok {
		t.Error("a sensitive instance found a name by another case")
	}
}

func TestNameIsFreeAfterDelete(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	old := w.create(t, "ana")
	if _, err := w.sdk.DeleteUser(t.Context(), &sdk.DeleteUserInput{InstanceId: aws.String(w.ID()), UserId: &old}); err != nil {
		t.Fatal(err)
	}
	if w.create(t, "ana") == old {
		t.Error("a new agent got the id of a deleted one")
	}
	var got []string
	for _, e := range w.Ledger() {
		got = append(got, e.Operation+" "+e.Username+" "+e.Tags["connectroster:owner"])
	}
	want := []string{"CreateUser ana 00u-ana", "DeleteUser ana 00u-ana", "CreateUser ana 00u-ana"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.Quota = 2 })
	first := w.create(t, "a1")
	w.create(t, "a2")
	_, err := w.sdk.CreateUser(t.Context(), w.person("a3"))
	wantCode(t, "beyond the quota", err, "LimitExceededException")
	_, err = w.sdk.CreateUser(t.Context(), w.person("a2"))
	wantCode(t, "a name taken on a full instance", err, "DuplicateResourceException")
	if err := w.RemoveAgent(first); err != nil {
		t.Fatal(err)
	}
	w.create(t, "a3")
}

func TestUpdateIdentityInfo(t *testing.T) {
	t.Parallel()
	for _, merge := range []bool{false, true} {
		w := start(t, func(s *Settings) { s.MergeIdentity = merge })
		id := w.create(t, "ana")
		update := func(info types.UserIdentityInfo) {
			t.Helper()
			if _, err := w.sdk.UpdateUserIdentityInfo(t.Context(), &sdk.UpdateUserIdentityInfoInput{
				InstanceId: aws.String(w.ID()), UserId: &id, IdentityInfo: &info}); err != nil {
				t.Fatal(err)
			}
		}
		update(types.UserIdentityInfo{FirstName: aws.String("A"), LastName: aws.String("B"), Mobile: aws.String("+4915112345678")})
		update(types.UserIdentityInfo{FirstName: aws.String("A"), LastName: aws.String("C")})
		a, _ := w.Agent(id)
		if kept := a.IdentityInfo.Mobile != ""; a.IdentityInfo.LastName != "C" || kept != merge {
			t.Errorf("merge %v left %+v", merge, a.IdentityInfo)
		}
	}
	w := start(t, func(s *Settings) { s.IdentityType = ExistingDirectory })
	id := w.create(t, "ana")
	_, err := w.sdk.UpdateUserIdentityInfo(t.Context(), &sdk.UpdateUserIdentityInfoInput{InstanceId: aws.String(w.ID()), UserId: &id,
		IdentityInfo: &types.UserIdentityInfo{FirstName: aws.String("A"), LastName: aws.String("B")}})
	wantCode(t, "names of a directory", err, codeInvalidRequest)
}

// TestPhone follows one agent through both ways to set a phone, as DescribeUser
// (seconds) and SearchUsers (milliseconds) show it.
func TestPhone(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	check := func(what string, want types.UserPhoneConfig, lists int) {
		t.Helper()
		d, err := w.sdk.DescribeUser(t.Context(), &sdk.DescribeUserInput{InstanceId: aws.String(w.ID()), UserId: &id})
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID())})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *d.User.PhoneConfig, phoneOptions); diff != "" {
			t.Errorf("%s: DescribeUser: %s", what, diff)
		}
		want.AfterContactWorkTimeLimit *= 1000
		if diff := cmp.Diff(want, *s.Users[0].PhoneConfig, phoneOptions); diff != "" {
			t.Errorf("%s: SearchUsers: %s", what, diff)
		}
		if len(d.User.AfterContactWorkConfigs) != lists || len(s.Users[0].AfterContactWorkConfigs) != lists {
			t.Errorf("%s: %d and %d limits per channel, want %d", what, len(d.User.AfterContactWorkConfigs), len(s.Users[0].AfterContactWorkConfigs), lists)
		}
		for i, c := range d.User.AfterContactWorkConfigs {
			seconds, ms := c.AfterContactWorkConfig.AfterContactWorkTimeLimit, s.Users[0].AfterContactWorkConfigs[i].AfterContactWorkConfig.AfterContactWorkTimeLimit
			if seconds*1000 != ms {
				t.Errorf("%s: %d s shown as %d ms", what, seconds, ms)
			}
		}
		if s.Users[0].IdentityInfo.FirstName == nil || s.Users[0].Tags["connectroster:owner"] == "" {
			t.Errorf("%s: SearchUsers lacks names or tags: %+v", what, s.Users[0])
		}
	}
	check("created", types.UserPhoneConfig{PhoneType: types.PhoneTypeSoftPhone, AfterContactWorkTimeLimit: 30}, 0)

	limit := func(channel types.Channel, seconds int32) types.AfterContactWorkConfigPerChannel {
		return types.AfterContactWorkConfigPerChannel{Channel: channel, AfterContactWorkConfig: &types.AfterContactWorkConfig{AfterContactWorkTimeLimit: seconds}}
	}
	if _, err := w.sdk.UpdateUserConfig(t.Context(), &sdk.UpdateUserConfigInput{InstanceId: aws.String(w.ID()), UserId: &id,
		AfterContactWorkConfigs: []types.AfterContactWorkConfigPerChannel{limit(types.ChannelVoice, 11), limit(types.ChannelChat, 12)}}); err != nil {
		t.Fatal(err)
	}
	check("per channel", types.UserPhoneConfig{PhoneType: types.PhoneTypeSoftPhone, AfterContactWorkTimeLimit: 11}, 2)

	if _, err := w.sdk.UpdateUserPhoneConfig(t.Context(), &sdk.UpdateUserPhoneConfigInput{InstanceId: aws.String(w.ID()), UserId: &id,
		PhoneConfig: &types.UserPhoneConfig{AutoAccept: true}}); err != nil {
		t.Fatal(err)
	}
	check("the same on all channels", types.UserPhoneConfig{PhoneType: types.PhoneTypeSoftPhone, AutoAccept: true}, 4)
	if a, _ := w.Agent(id); a.AfterContactWorkConfigs[1] != (AfterContactWorkConfigs{Channel: "CHAT"}) {
		t.Errorf("after UpdateUserPhoneConfig the limit of CHAT is %+v", a.AfterContactWorkConfigs[1])
	}
}

// TestChannelTwins: with the switch an agent whose lists were never set shows
// them, and what is set for VOICE shows on both sides.
func TestChannelTwins(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.ChannelTwins = true })
	id := w.create(t, "ana")
	at := func() *types.User {
		t.Helper()
		d, err := w.sdk.DescribeUser(t.Context(), &sdk.DescribeUserInput{InstanceId: aws.String(w.ID()), UserId: &id})
		if err != nil {
			t.Fatal(err)
		}
		return d.User
	}
	u := at()
	if len(u.AfterContactWorkConfigs) != 4 || u.AfterContactWorkConfigs[2].AfterContactWorkConfig.AfterContactWorkTimeLimit != 30 ||
		len(u.AutoAcceptConfigs) != 1 || u.PhoneNumberConfigs[0].PhoneType != types.PhoneTypeSoftPhone || len(u.PersistentConnectionConfigs) != 1 {
		t.Errorf("created: %+v", u)
	}
	s, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID())})
	if err != nil || s.Users[0].AfterContactWorkConfigs[3].AfterContactWorkConfig.AfterContactWorkTimeLimit != 30000 {
		t.Errorf("a search shows %+v, %v", s, err)
	}
	if _, err := w.sdk.UpdateUserConfig(t.Context(), &sdk.UpdateUserConfigInput{InstanceId: aws.String(w.ID()), UserId: &id,
		PhoneNumberConfigs: []types.PhoneNumberConfig{{Channel: types.ChannelVoice, PhoneType: types.PhoneTypeDeskPhone, PhoneNumber: aws.String("+4930123")}},
		AutoAcceptConfigs:  []types.AutoAcceptConfig{{Channel: types.ChannelVoice, AutoAccept: true}, {Channel: types.ChannelTask, AutoAccept: true}}}); err != nil {
		t.Fatal(err)
	}
	if u := at(); u.PhoneConfig.PhoneType != types.PhoneTypeDeskPhone || *u.PhoneConfig.DeskPhoneNumber != "+4930123" || !u.PhoneConfig.AutoAccept {
		t.Errorf("PhoneConfig after UpdateUserConfig: %+v", u.PhoneConfig)
	}
	if _, err := w.ChangeAgent(id, func(a *Agent) { a.PhoneConfig = PhoneConfig{PhoneType: "SOFT_PHONE"} }); err != nil {
		t.Fatal(err)
	}
	u = at()
	if u.PhoneNumberConfigs[0].PhoneType != types.PhoneTypeSoftPhone || u.AutoAcceptConfigs[0].AutoAccept || !u.AutoAcceptConfigs[1].AutoAccept {
		t.Errorf("the lists after a change of the phone by hand: %+v %+v", u.PhoneNumberConfigs, u.AutoAcceptConfigs)
	}
}

var phoneOptions = cmp.FilterPath(func(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && (f.Name() == "noSmithyDocumentSerde" || f.Name() == "PersistentConnection")
}, cmp.Ignore())

func TestHierarchyIsLeft(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	group, err := w.AddHierarchyGroup("EMEA", "")
	if err != nil {
		t.Fatal(err)
	}
	id := w.create(t, "ana")
	for _, want := range []*string{&group, nil} {
		if _, err := w.sdk.UpdateUserHierarchy(t.Context(), &sdk.UpdateUserHierarchyInput{InstanceId: aws.String(w.ID()), UserId: &id, HierarchyGroupId: want}); err != nil {
			t.Fatal(err)
		}
		if a, _ := w.Agent(id); a.HierarchyGroup != aws.ToString(want) {
			t.Errorf("the agent is in %q, want %q", a.HierarchyGroup, aws.ToString(want))
		}
	}
}

// TestRefusedUpdateChangesNothing: an update of several parts is all or nothing.
func TestRefusedUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	before, _ := w.Agent(id)
	w.clock.advance(time.Minute)
	_, err := w.sdk.UpdateUserSecurityProfiles(t.Context(), &sdk.UpdateUserSecurityProfilesInput{InstanceId: aws.String(w.ID()), UserId: &id,
		SecurityProfileIds: []string{w.SecurityProfileID("Admin"), "unknown"}})
	wantCode(t, "an unknown profile among known ones", err, "ResourceNotFoundException")
	after, _ := w.Agent(id)
	if diff := cmp.Diff(before, after); diff != "" || len(w.Ledger()) != 1 {
		t.Errorf("%d ledger entries, %s", len(w.Ledger()), diff)
	}
}

// TestSecurityProfilesAreASet: neither order nor repetition survives.
func TestSecurityProfilesAreASet(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	want := []string{w.SecurityProfileID("Admin"), w.SecurityProfileID("Agent"), w.SecurityProfileID("QualityAnalyst")}
	slices.Sort(want)
	sent := slices.Clone(want)
	slices.Reverse(sent)
	if _, err := w.sdk.UpdateUserSecurityProfiles(t.Context(), &sdk.UpdateUserSecurityProfilesInput{
		InstanceId: aws.String(w.ID()), UserId: &id, SecurityProfileIds: append(sent, sent[0])}); err != nil {
		t.Fatal(err)
	}
	a, _ := w.Agent(id)
	if diff := cmp.Diff(want, a.SecurityProfiles); diff != "" {
		t.Error(diff)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	before, _ := w.Agent(id)
	w.clock.advance(time.Hour)
	tag := func(arn string, tags map[string]string) error {
		return do(w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: &arn, Tags: tags}))
	}
	if err := tag(before.ARN, map[string]string{"connectroster:owner": "new", "naïve key": "x"}); err != nil {
		t.Fatal(err)
	}
	after, _ := w.Agent(id)
	want := map[string]string{"connectroster:owner": "new", "naïve key": "x"}
	if diff := cmp.Diff(want, after.Tags); diff != "" || !after.LastModifiedTime.Equal(before.LastModifiedTime.Time) {
		t.Errorf("changed at %v: %s", after.LastModifiedTime, diff)
	}
	many := make(map[string]string)
	for i := range 49 {
		many[fmt.Sprint(i)] = ""
	}
	wantCode(t, "51 tags in all", tag(before.ARN, many), codeInvalidRequest)

	profile := w.ARN() + "/routing-profile/" + w.RoutingProfileID("Basic Routing Profile")
	if err := tag(profile, map[string]string{"team": "blue"}); err != nil {
		t.Fatal(err)
	}
	out, err := w.sdk.ListTagsForResource(t.Context(), &sdk.ListTagsForResourceInput{ResourceArn: &profile})
	if err != nil || out.Tags["team"] != "blue" {
		t.Errorf("a routing profile's tags: %v, %v", out, err)
	}
	wantCode(t, "tags of another instance", tag(strings.Replace(before.ARN, w.ID(), "other", 1), many), "ResourceNotFoundException")
}

// TestConcurrentCreates: of many creations of one name exactly one succeeds,
// and everything stays consistent under load.
func TestConcurrentCreates(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const names, tries = 8, 6
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := make(map[string]int)
	for i := range names * tries {
		wg.Go(func() {
			name := fmt.Sprint("agent", i%names)
			out, err := w.sdk.CreateUser(t.Context(), w.person(name))
			switch code(err) {
			case "DuplicateResourceException":
				return
			case "":
			default:
				t.Errorf("create %s: %v", name, err)
				return
			}
			mu.Lock()
			created[name]++
			mu.Unlock()
			_, err = w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: out.UserArn, Tags: map[string]string{"by": name}})
			if err != nil {
				t.Error(err)
			}
			if _, err := w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID())}); err != nil {
				t.Error(err)
			}
			w.Agents()
			w.Stats()
		})
	}
	wg.Wait()
	for i := range names {
		if name := fmt.Sprint("agent", i); created[name] != 1 {
			t.Errorf("%s was created %d times", name, created[name])
		}
	}
	for i, e := range w.Ledger() {
		if e.Seq != i+1 {
			t.Fatalf("ledger entry %d is numbered %d", i, e.Seq)
		}
	}
	if got := len(w.Ledger()); got != 2*names {
		t.Errorf("%d ledger entries, want %d", got, 2*names)
	}
}
