package connect

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/google/go-cmp/cmp"
)

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	user := w.create(t, "ana")
	users := "/users/" + w.ID()
	good := `{"Username":"b","IdentityInfo":{"FirstName":"B","LastName":"B"},"RoutingProfileId":"` + w.RoutingProfileID("Basic Routing Profile") +
		`","SecurityProfileIds":["` + w.SecurityProfileID("Agent") + `"]`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string // code, or a part of the message
	}{
		{"cut off", "PUT", users, `{"Username":`, 400, "SerializationException"},
		{"two values", "PUT", users, `{} {}`, 400, "SerializationException"},
		{"a list", "PUT", users, `[]`, 400, "SerializationException"},
		{"not UTF-8", "PUT", users, "{\"Username\":\"\xff\"}", 400, "SerializationException"},
		{"too deep", "POST", "/search-users", `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, "SerializationException"},
		{"wrong type", "PUT", users, `{"Username":7}`, 400, "Username must be a string"},
		{"wrong type inside", "PUT", users, `{"Username":"b","PhoneConfig":{"AutoAccept":"yes"}}`, 400, "PhoneConfig.AutoAccept must be a boolean"},
		{"fraction", "PUT", users, `{"Username":"b","PhoneConfig":{"AfterContactWorkTimeLimit":1.5}}`, 400, "must be a 32-bit integer"},
		{"huge number", "PUT", users, `{"Username":"b","PhoneConfig":{"AfterContactWorkTimeLimit":1e400}}`, 400, "must be a 32-bit integer"},
		{"list for an object", "PUT", users, `{"Username":"b","IdentityInfo":[]}`, 400, "IdentityInfo must be an object"},
		{"object for a list", "PUT", users, `{"Username":"b","SecurityProfileIds":{}}`, 400, "SecurityProfileIds must be a list"},
		{"null in a list", "PUT", users, `{"Username":"b","SecurityProfileIds":[null]}`, 400, "must be a string"},
		{"tag of a number", "PUT", users, good + `,"Tags":{"a":1}}`, 400, "Tags.a must be a string"},
		{"nothing", "PUT", users, ``, 400, "Required parameter missing: Username"},
		{"null", "PUT", users, `{"Username":null}`, 400, "Required parameter missing: Username"},
		{"another case", "PUT", users, `{"username":"b"}`, 400, "Required parameter missing: Username"},
		{"nothing to search", "POST", "/search-users", ``, 400, "Required parameter missing: InstanceId"},
		{"missing channel", "POST", users + "/" + user + "/config", `{"AutoAcceptConfigs":[{"AutoAccept":true}]}`, 400, "AutoAcceptConfigs.1.Channel"},
		{"missing key", "DELETE", "/tags/arn%3Ax", ``, 400, "Required parameter missing: tagKeys"},
		{"page of words", "GET", "/users-summary/" + w.ID() + "?maxResults=many", ``, 400, "SerializationException"},
		{"page of none", "GET", "/users-summary/" + w.ID() + "?maxResults=0", ``, 400, codeInvalidParameter},
		{"too large", "PUT", users, `{"a":"` + strings.Repeat("x", maxBody) + `"}`, 413, "RequestEntityTooLargeException"},
		{"unknown path", "GET", "/queues/" + w.ID(), ``, 404, "no operation GET /queues/"},
		{"operation not there yet", "PUT", "/traffic-distribution-group/a/user", `{}`, 404, "no operation PUT /traffic-"},
		{"wrong method", "PATCH", users + "/" + user, ``, 405, "UnknownOperationException"},
		{"double slash", "GET", "/users//" + user, ``, 404, "UnknownOperationException"},
		{"dots", "GET", "/users/../instance", ``, 404, "UnknownOperationException"},
		{"root", "GET", "/", ``, 404, "UnknownOperationException"},
		{"unknown members are ignored", "PUT", users, good + `,"Colour":"red"}`, 200, "UserId"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://sim"+c.path, strings.NewReader(c.body))
		got := httptest.NewRecorder()
		w.tape.recording(w.Instance).ServeHTTP(got, r)
		if got.Code != c.status || !strings.Contains(got.Header().Get("X-Amzn-Errortype")+got.Body.String(), c.want) {
			t.Errorf("%s: status %d, %s %s; want %d, %s", c.name, got.Code, got.Header().Get("X-Amzn-Errortype"), got.Body, c.status, c.want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "PATCH", "http://sim"+users+"/"+user, nil)
	got := httptest.NewRecorder()
	w.ServeHTTP(got, r)
	if allow := got.Header().Get("Allow"); allow != "DELETE, GET" {
		t.Errorf("Allow is %q", allow)
	}
	if n := w.Stats().Unknown; n != 7 {
		t.Errorf("%d unknown calls counted", n)
	}
}

func TestSignatureForm(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.RequireSignature = true })
	list := "/users-summary/" + w.ID()
	const good = "AWS4-HMAC-SHA256 Credential=AKID/20260301/eu-central-1/connect/aws4_request, SignedHeaders=host;x-amz-date, Signature="
	hash := strings.Repeat("0a", 32)
	for _, c := range []struct {
		name, authorization string
		status              int
		want                string
	}{
		{"good", good + hash, 200, "UserSummaryList"},
		{"none", "", 403, "Missing Authentication Token"},
		{"basic", "Basic abc", 403, "Missing Authentication Token"},
		{"short signature", good + "0a", 403, "not a complete"},
		{"host unsigned", strings.Replace(good, "host;", "", 1) + hash, 403, "not a complete"},
		{"another service", strings.Replace(good, "/connect/", "/sqs/", 1) + hash, 403, "correct service"},
		{"another region", strings.Replace(good, "eu-central-1", "us-east-1", 1) + hash, 403, "valid region"},
	} {
		status, body := w.raw(t, "GET", list, "", http.Header{"Authorization": {c.authorization}, "X-Amz-Date": {"20260301T120000Z"}})
		if status != c.status || !bytes.Contains(body, []byte(c.want)) {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
	status, _ := w.raw(t, "GET", list, "", http.Header{"Authorization": {good + hash}})
	if status != 403 {
		t.Errorf("without a date: %d", status)
	}
	if err := do(w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: aws.String(w.ID())})); err != nil {
		t.Errorf("signed by the SDK: %v", err)
	}
}

func TestControlAgents(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var made Agent
	w.control(t, "POST", "agents", `{"Username":"ana","IdentityInfo":{"FirstName":"Ana","LastName":"B"},"Tags":{"a":"1","b":"2"},"SecurityProfileIds":["Admin"]}`, 200, &made)
	if made.RoutingProfile != w.RoutingProfileID("Basic Routing Profile") || made.SecurityProfiles[0] != w.SecurityProfileID("Admin") {
		t.Errorf("added %+v", made)
	}
	w.control(t, "POST", "agents", `{"Username":"ANA"}`, 409, nil)
	w.control(t, "POST", "agents", `{}`, 400, nil)
	w.control(t, "POST", "agents", `{"Username":"x","Colour":"red"}`, 400, nil)
	w.control(t, "POST", "agents", `{"Username":"x","RoutingProfileId":"none"}`, 404, nil)

	var changed Agent
	w.control(t, "PATCH", "agents/"+made.ID, `{"Username":"bea","Tags":{"c":"3"},"PhoneConfig":{"AutoAccept":true}}`, 200, &changed)
	want := made
	want.Username, want.Tags, want.PhoneConfig.AutoAccept = "bea", map[string]string{"c": "3"}, true
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Error(diff)
	}
	w.control(t, "PATCH", "agents/"+made.ID, `{"Tags":{}}`, 200, &changed)
	if a, _ := w.Agent(made.ID); len(a.Tags) != 0 {
		t.Errorf("tags left: %v", a.Tags)
	}
	w.control(t, "PATCH", "agents/"+made.ID, `{"Tags":7}`, 400, nil)
	w.control(t, "PATCH", "agents/none", `{}`, 404, nil)
	if _, err := w.sdk.CreateUser(t.Context(), w.person("ana")); err != nil {
		t.Errorf("the name given up by hand is not free: %v", err)
	}
	w.control(t, "PATCH", "agents/"+made.ID, `{"Username":"ana"}`, 400, nil)

	var list []Agent
	w.control(t, "GET", "agents", "", 200, &list)
	if len(list) != 2 || list[0].Username != "bea" {
		t.Errorf("listed %+v", list)
	}
	w.control(t, "DELETE", "agents/"+made.ID, "", 204, nil)
	w.control(t, "DELETE", "agents/"+made.ID, "", 404, nil)
	w.control(t, "GET", "agents/"+made.ID, "", 404, nil)
	var entries []Entry
	w.control(t, "GET", "ledger", "", 200, &entries)
	if len(entries) != 1 || entries[0].Operation != "CreateUser" || entries[0].Username != "ana" || entries[0].Request["Username"] != "ana" {
		t.Errorf("the ledger holds %+v", entries)
	}
	w.control(t, "GET", "ledger?after=1", "", 200, &entries)
	if len(entries) != 0 {
		t.Errorf("after the last entry: %+v", entries)
	}
	w.control(t, "GET", "ledger?after=x", "", 400, nil)
}

func TestLedgerKeepsNoPassword(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	s := DefaultSettings()
	s.IdentityType = ConnectManaged
	in, err := New(Config{Settings: &s, Log: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"Username":"canary-name","Password":"Secret-canary1","IdentityInfo":{"FirstName":"Canary","LastName":"Canary"},"RoutingProfileId":"` +
		in.RoutingProfileID("Basic Routing Profile") + `","SecurityProfileIds":["` + in.SecurityProfileID("Agent") + `"]}`
	w := httptest.NewRecorder()
	in.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "PUT", "/users/"+in.ID(), strings.NewReader(body)))
	if w.Code != 200 || len(in.Ledger()) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	state, err := json.Marshal([]any{in.Ledger(), in.Agents()})
	if err != nil || strings.Contains(string(state), "Secret-canary1") {
		t.Errorf("the password is kept: %s %v", state, err)
	}
	if !strings.Contains(logged.String(), "operation=CreateUser") || strings.Contains(strings.ToLower(logged.String()), "canary") {
		t.Errorf("logged %s", &logged)
	}
}

func TestControlCatalogue(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for path, id := range map[string]func(string) string{
		"routing-profiles": w.RoutingProfileID, "security-profiles": w.SecurityProfileID, "hierarchy-groups": w.HierarchyGroupID,
	} {
		var made struct{ ID string }
		w.control(t, "POST", path, `{"Name":"Parked"}`, 200, &made)
		if made.ID == "" || made.ID != id("Parked") {
			t.Errorf("%s: made %q, known as %q", path, made.ID, id("Parked"))
		}
		w.control(t, "POST", path, `{"Name":"Parked"}`, 400, nil)
		w.control(t, "POST", path, `{"Name":""}`, 400, nil)
		var list []CatalogEntry
		w.control(t, "GET", path, "", 200, &list)
		if last := list[len(list)-1]; last.Name != "Parked" || last.ID != made.ID {
			t.Errorf("%s: listed %+v", path, list)
		}
		w.control(t, "DELETE", path+"/"+made.ID, "", 204, nil)
		w.control(t, "DELETE", path+"/"+made.ID, "", 404, nil)
		old := made.ID
		w.control(t, "POST", path, `{"Name":"Parked"}`, 200, &made)
		if made.ID == old {
			t.Errorf("%s: a removed id came back", path)
		}
	}
	w.control(t, "POST", "hierarchy-groups", `{"Name":"below nothing","Parent":"none"}`, 400, nil)
	again, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if again.SecurityProfileID("Agent") != w.SecurityProfileID("Agent") || again.SecurityProfileID("Agent") == again.RoutingProfileID("Agent") {
		t.Error("the first catalogue has other ids in another run")
	}
}

func TestControlSettingsFaultsAndReset(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var s map[string]any
	w.control(t, "PATCH", "settings", `{"list_lag":"1.5s","quota":3,"limit":{"rate":7,"burst":9},"limits":{"ListUsers":{"rate":1,"burst":1}}}`, 200, &s)
	if s["list_lag"] != "1.5s" || s["token_life"] != "5m0s" {
		t.Errorf("settings %v", s)
	}
	want := DefaultSettings()
	want.ListLag, want.Quota, want.Limit = 1500*time.Millisecond, 3, Limit{7, 9}
	want.Limits = map[string]Limit{"ListUsers": {1, 1}}
	if diff := cmp.Diff(want, w.Settings()); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{"list_lag":"-1s"}`, `{"list_lag":5}`, `{"quota":-1}`, `{"identity_type":"LDAP"}`, `{"colour":"red"}`, `{"limit":{"rate":1,"burst":0}}`,
		`{"limits":{"FlyToMoon":{"rate":1,"burst":1}}}`, `{`, ``,
	} {
		w.control(t, "PATCH", "settings", bad, 400, nil)
	}
	if diff := cmp.Diff(want, w.Settings()); diff != "" {
		t.Errorf("refused settings took effect: %s", diff)
	}

	w.control(t, "POST", "faults", `{"operation":"CreateUser","kind":"delay","delay":"250ms","commit":true}`, 200, nil)
	var plan []map[string]any
	w.control(t, "POST", "faults", `[{"status":503},{"kind":"reset","nth":2}]`, 200, &plan)
	if len(plan) != 3 || plan[0]["fault"].(map[string]any)["delay"] != "250ms" || w.Faults()[0].Fault.Delay != 250*time.Millisecond {
		t.Errorf("the plan is %v", plan)
	}
	w.control(t, "POST", "faults", `{"kind":"explode"}`, 400, nil)
	w.control(t, "POST", "faults", `{"colour":"red"}`, 400, nil)
	w.control(t, "DELETE", "faults", "", 204, nil)
	if len(w.Faults()) != 0 {
		t.Error("faults are left")
	}

	w.create(t, "ana")
	var stats Stats
	w.control(t, "GET", "stats", "", 200, &stats)
	if stats.Agents != 1 || stats.Writes != 1 || stats.Calls != 1 || stats.Operations["CreateUser"].OK != 1 || !stats.Operations["CreateUser"].First.Equal(w.clock.Now()) {
		t.Errorf("statistics %+v", stats)
	}
	w.control(t, "POST", "reset", "", 204, nil)
	w.control(t, "GET", "stats", "", 200, &stats)
	fresh := DefaultSettings()
	fresh.Limit = Limit{} // what the test started with
	if diff := cmp.Diff(fresh, w.Settings()); diff != "" || len(w.Agents()) != 0 || len(w.Ledger()) != 0 || w.Stats().Calls != 0 {
		t.Errorf("reset left %d agents, %d writes, %s", len(w.Agents()), len(w.Ledger()), diff)
	}
	var overview struct {
		Instance   struct{ IdentityManagementType string }
		Operations []string
		Routes     []string
	}
	w.control(t, "GET", "", "", 200, &overview)
	if overview.Instance.IdentityManagementType != SAML || len(overview.Operations) != len(operations()) || !slices.Contains(overview.Routes, "POST /_sim/reset") {
		t.Errorf("the overview is %+v", overview)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"region":   {Region: "mars"},
		"account":  {Account: "12"},
		"instance": {InstanceID: "my-instance"},
		"alias":    {Alias: "d-9067"},
		"settings": {Settings: &Settings{IdentityType: "LDAP"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: a bad one was taken", name)
		}
	}
	in, err := New(Config{Region: "us-gov-west-1", Settings: &Settings{}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws-us-gov:connect:us-gov-west-1:123456789012:instance/11111111-2222-3333-4444-555555555555"; in.ARN() != want {
		t.Errorf("ARN %s, want %s", in.ARN(), want)
	}
	if s := in.Settings(); s.IdentityType != SAML || s.EmailOnSAML != Reject || s.UsernameCase != Insensitive {
		t.Errorf("the words left empty became %+v", s)
	}
}

// FuzzRequest: no body makes the simulator panic, fail inside or accept what
// the model of the service forbids.
func FuzzRequest(f *testing.F) {
	f.Add("SearchUsers", `{"InstanceId":"11111111-2222-3333-4444-555555555555","SearchCriteria":{"OrConditions":[{"AndConditions":[{}]}]}}`)
	f.Add("CreateUser", `{"Username":"a","Tags":{"a":"b"},"SecurityProfileIds":["x"],"RoutingProfileId":"y","PhoneConfig":{"AfterContactWorkTimeLimit":0}}`)
	f.Add("UpdateUserConfig", `{"AfterContactWorkConfigs":[{"Channel":"VOICE","AfterContactWorkConfig":{}}]}`)
	f.Add("TagResource", `{"tags":{"a":"b"}}`)
	f.Add("AssociateUserProficiencies", `{"UserProficiencies":[{"AttributeName":"language","AttributeValue":"de","Level":1e300}]}`)
	f.Add("SearchUsers", `{"InstanceId":"11111111-2222-3333-4444-555555555555","SearchCriteria":{"ListCondition":{"TargetListType":"PROFICIENCIES","Conditions":[{"NumberCondition":{"FieldName":"limit","ComparisonType":"RANGE","MinValue":1}}]}}}`)
	f.Add("GetCurrentUserData", `{"Filters":{"Agents":["a"],"ContactFilter":{"ContactStates":[]}}}`)
	f.Add("CreateQuickConnect", `{"Name":"a","QuickConnectConfig":{"QuickConnectType":"USER","UserConfig":{"UserId":"a","ContactFlowId":"b"}}}`)
	f.Add("SearchUserHierarchyGroups", `{"InstanceId":"11111111-2222-3333-4444-555555555555","SearchFilter":{"AttributeFilter":{"OrConditions":[{}]}}}`)
	f.Add("SearchResourceTags", `{"InstanceId":"11111111-2222-3333-4444-555555555555","SearchCriteria":{"TagSearchCondition":{"tagKey":"a"}}}`)
	s := DefaultSettings()
	s.Limit = Limit{}
	in, err := New(Config{Settings: &s})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := in.AddAgent(Agent{Username: "ana"}); err != nil {
		f.Fatal(err)
	}
	agent := in.Agents()[0]
	fill := strings.NewReplacer("{InstanceId}", in.ID(), "{UserId}", agent.ID, "{resourceArn}", strings.ReplaceAll(agent.ARN, "/", "%2F"))
	f.Fuzz(func(t *testing.T, name, body string) {
		for _, o := range operations() {
			if o.name != name || o.method == "GET" || o.name == "DeleteUser" {
				continue
			}
			w := httptest.NewRecorder()
			in.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), o.method, fill.Replace(o.path), strings.NewReader(body)))
			if w.Code >= 500 {
				t.Errorf("%s %q: %d %s", name, body, w.Code, w.Body)
			}
		}
	})
}
