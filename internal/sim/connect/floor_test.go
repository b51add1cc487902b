package connect

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/google/go-cmp/cmp"
)

// TestSupervisorChangesAnAgent by the control API, in every part; the ledger
// stays empty.
func TestSupervisorChangesAnAgent(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.AddDemo()
	var made Agent
	w.control(t, "POST", "agents", `{"Username":"ana","RoutingProfileId":"Sales","HierarchyGroupId":"EMEA/Sales",
		"Proficiencies":[{"AttributeName":"language","AttributeValue":"en","Level":2},{"AttributeName":"language","AttributeValue":"de","Level":5}],
		"AutoAcceptConfigs":[{"Channel":"VOICE","AutoAccept":true}]}`, 200, &made)
	if made.HierarchyGroup != w.HierarchyGroupID("EMEA/Sales") || made.Proficiencies[0].Value != "de" || !made.PhoneConfig.AutoAccept {
		t.Errorf("made %+v", made)
	}
	for _, c := range []struct {
		body   string
		change func(*Agent)
	}{
		{`{"RoutingProfileId":"Support"}`, func(a *Agent) { a.RoutingProfile = w.RoutingProfileID("Support") }},
		{`{"SecurityProfileIds":["Admin"]}`, func(a *Agent) { a.SecurityProfiles = []string{w.SecurityProfileID("Admin")} }},
		{`{"HierarchyGroupId":"EMEA/Support/Tier 2"}`, func(a *Agent) { a.HierarchyGroup = w.HierarchyGroupID("EMEA/Support/Tier 2") }},
		{`{"HierarchyGroupId":""}`, func(a *Agent) { a.HierarchyGroup = "" }},
		{`{"Proficiencies":[{"AttributeName":"product","AttributeValue":"Router","Level":1}]}`, func(a *Agent) { a.Proficiencies = []Proficiency{{"product", "Router", 1}} }},
		{`{"Proficiencies":[]}`, func(a *Agent) { a.Proficiencies = []Proficiency{} }},
		{`{"IdentityInfo":{"FirstName":"Ann"}}`, func(a *Agent) { a.IdentityInfo.FirstName = "Ann" }},
		{`{"PhoneConfig":{"AutoAccept":false,"AfterContactWorkTimeLimit":9}}`, func(a *Agent) {
			a.PhoneConfig.AutoAccept, a.PhoneConfig.AfterContactWorkTimeLimit = false, 9
			a.AutoAcceptConfigs = []AutoAcceptConfig{{Channel: "VOICE"}}
		}},
		{`{"AutoAcceptConfigs":[{"Channel":"VOICE","AutoAccept":true},{"Channel":"CHAT","AutoAccept":true}]}`, func(a *Agent) {
			a.PhoneConfig.AutoAccept = true
			a.AutoAcceptConfigs = []AutoAcceptConfig{{Channel: "VOICE", AutoAccept: true}, {Channel: "CHAT", AutoAccept: true}}
		}},
	} {
		want, _ := w.Agent(made.ID)
		c.change(&want)
		w.clock.advance(time.Second)
		var got Agent
		w.control(t, "PATCH", "agents/"+made.ID, c.body, 200, nil)
		got, _ = w.Agent(made.ID)
		if !got.LastModifiedTime.Equal(w.clock.Now()) {
			t.Errorf("%s: modified at %v", c.body, got.LastModifiedTime)
		}
		got.LastModifiedTime, got.ProficienciesModified = want.LastModifiedTime, want.ProficienciesModified
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.body, diff)
		}
	}
	for _, bad := range []string{
		`{"RoutingProfileId":"gone"}`, `{"SecurityProfileIds":["gone"]}`, `{"HierarchyGroupId":"EMEA/gone"}`,
		`{"Proficiencies":[{"AttributeName":"language","AttributeValue":"xx","Level":1}]}`,
	} {
		w.control(t, "PATCH", "agents/"+made.ID, bad, 404, nil)
	}
	w.control(t, "PATCH", "agents/"+made.ID, `{"Proficiencies":[{"AttributeName":"language","AttributeValue":"de","Level":9}]}`, 400, nil)
	if n := len(w.Ledger()); n != 0 {
		t.Errorf("the ledger holds %d writes of supervisors", n)
	}
}

func TestControlFloor(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.AddDemo()
	id := w.create(t, "ana")
	var p Presence
	w.control(t, "GET", "agents/"+id+"/presence", "", 200, &p)
	if p.Status != "Offline" || p.Contacts == nil {
		t.Errorf("fresh: %+v", p)
	}
	w.control(t, "PUT", "agents/"+id+"/presence", `{"Status":"Lunch"}`, 200, &p)
	if p.Status != "Lunch" || p.StatusType != "CUSTOM" {
		t.Errorf("at lunch: %+v", p)
	}
	var call, chat struct{ ContactID string }
	w.control(t, "POST", "agents/"+id+"/contacts", ``, 200, &call)
	w.control(t, "POST", "agents/"+id+"/contacts", `{"Channel":"CHAT","State":"INCOMING","Queue":"Support"}`, 200, &chat)
	w.control(t, "PATCH", "contacts/"+call.ContactID, `{"State":"ENDED"}`, 204, nil)
	w.control(t, "PUT", "agents/"+id+"/presence", `{"Status":"Available"}`, 200, &p)
	if p.NextStatus != "Available" || len(p.Contacts) != 2 || p.Contacts[0].State != "ENDED" || p.Contacts[1].Queue != "Support" {
		t.Errorf("busy: %+v", p)
	}
	w.control(t, "DELETE", "contacts/"+call.ContactID, "", 204, nil)
	w.control(t, "DELETE", "contacts/"+chat.ContactID, "", 204, nil)
	w.control(t, "GET", "agents/"+id+"/presence", "", 200, &p)
	if p.Status != "Available" || len(p.Contacts) != 0 {
		t.Errorf("done: %+v", p)
	}
	w.control(t, "DELETE", "contacts/"+call.ContactID, "", 404, nil)
	w.control(t, "GET", "agents/none/presence", "", 404, nil)
	w.control(t, "PUT", "agents/none/presence", `{"Status":"Lunch"}`, 404, nil)
	w.control(t, "PUT", "agents/"+id+"/presence", `{"Status":"Asleep"}`, 404, nil)
	w.control(t, "POST", "agents/"+id+"/contacts", `{"Channel":"FAX"}`, 400, nil)
	w.control(t, "POST", "agents/"+id+"/contacts", `{"Colour":"red"}`, 400, nil)

	var made struct{ ID string }
	w.control(t, "POST", "quick-connects", `{"Name":"Ana","Agent":"`+id+`"}`, 200, &made)
	w.control(t, "POST", "quick-connects", `{"Name":"Ana","Agent":"`+id+`"}`, 400, nil)
	w.control(t, "POST", "quick-connects", `{"Name":"Nobody","Agent":"none"}`, 404, nil)
	var quick []QuickConnect
	w.control(t, "GET", "quick-connects", "", 200, &quick)
	if len(quick) != 1 || quick[0].ID != made.ID || quick[0].Config.User.UserID != id {
		t.Errorf("quick connects: %+v", quick)
	}
	w.control(t, "DELETE", "quick-connects/"+made.ID, "", 204, nil)
	w.control(t, "DELETE", "quick-connects/"+made.ID, "", 404, nil)

	var attribute PredefinedAttribute
	w.control(t, "POST", "predefined-attributes", `{"Name":"size","Values":["S","L"]}`, 200, nil)
	w.control(t, "POST", "predefined-attributes", `{"Name":"size","Values":[]}`, 400, nil)
	w.control(t, "POST", "predefined-attributes", `{"Name":"twice","Values":["S","S"]}`, 400, nil)
	w.control(t, "PATCH", "predefined-attributes/size", `{"Name":"shoe size","Purposes":["FITTING"]}`, 200, &attribute)
	if attribute.Name != "shoe size" || len(attribute.Values) != 2 || attribute.Purposes[0] != "FITTING" {
		t.Errorf("renamed: %+v", attribute)
	}
	w.control(t, "PATCH", "predefined-attributes/shoe%20size", `{"Values":["M"]}`, 200, &attribute)
	w.control(t, "PATCH", "predefined-attributes/shoe%20size", `{"Name":"language"}`, 400, nil)
	w.control(t, "PATCH", "predefined-attributes/size", `{}`, 404, nil)
	var attributes []PredefinedAttribute
	w.control(t, "GET", "predefined-attributes", "", 200, &attributes)
	if last := attributes[len(attributes)-1]; !slices.Equal(last.Values, []string{"M"}) {
		t.Errorf("attributes: %+v", attributes)
	}
	w.control(t, "DELETE", "predefined-attributes/shoe%20size", "", 204, nil)
	w.control(t, "DELETE", "predefined-attributes/shoe%20size", "", 404, nil)

	var entry CatalogEntry
	parked := w.RoutingProfileID("Parked")
	w.control(t, "PATCH", "routing-profiles/"+parked, `{"Name":"Away","Tags":{"a":"1"}}`, 200, &entry)
	if entry.Name != "Away" || entry.ID != parked || entry.Queues == nil || len(entry.Queues) != 0 || w.RoutingProfileID("Parked") != "" {
		t.Errorf("renamed: %+v", entry)
	}
	w.control(t, "PATCH", "routing-profiles/"+parked, `{"Queues":["Night"]}`, 200, &entry)
	if !slices.Equal(entry.Queues, []string{"Night"}) || entry.Tags["a"] != "1" {
		t.Errorf("with a queue: %+v", entry)
	}
	w.control(t, "PATCH", "routing-profiles/"+parked, `{"Name":"Sales"}`, 400, nil)
	w.control(t, "PATCH", "routing-profiles/none", `{}`, 404, nil)
}

func TestDeniedOperations(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	list := func() error {
		return do(w.sdk.ListUsers(t.Context(), &sdk.ListUsersInput{InstanceId: aws.String(w.ID())}))
	}
	w.control(t, "PUT", "denied/ListUsers", "", 204, nil)
	w.control(t, "PUT", "denied/FlyToMoon", "", 400, nil)
	wantCode(t, "a denied operation", list(), codeAccessDenied)
	if s := w.Stats().Operations["ListUsers"]; s.Calls != 1 || s.Errors[codeAccessDenied] != 1 {
		t.Errorf("statistics %+v", s)
	}
	if err := do(w.sdk.SearchUsers(t.Context(), &sdk.SearchUsersInput{InstanceId: aws.String(w.ID())})); err != nil {
		t.Errorf("another operation: %v", err)
	}
	w.control(t, "DELETE", "denied/ListUsers", "", 204, nil)
	if err := list(); err != nil {
		t.Errorf("permitted again: %v", err)
	}
	if err := w.Deny("ListUsers", "CreateUser"); err != nil {
		t.Fatal(err)
	}
	w.control(t, "DELETE", "denied", "", 204, nil)
	if left := w.Settings().Denied; len(left) != 0 {
		t.Errorf("still denied: %v", left)
	}
}

// TestDemo: the demonstration is there after New and after a reset, and what an
// agent who is away needs gives nothing.
func TestDemo(t *testing.T) {
	t.Parallel()
	in, err := New(Config{Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for kind, want := range map[string][]string{
			RoutingProfile:  {"Basic Routing Profile", "Sales", "Support", "Billing", "Parked"},
			SecurityProfile: {"Admin", "Agent", "CallCenterManager", "QualityAnalyst", "No permissions"},
			AgentStatus:     {"Available", "Offline", "Break", "Lunch", "Training"},
		} {
			var got []string
			for _, e := range in.Catalog(kind) {
				got = append(got, e.Name)
				if e.Name == "Parked" && len(e.Queues) != 0 || e.Name == "No permissions" && len(e.Permissions) != 0 {
					t.Errorf("an agent who is away keeps %+v", e)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", kind, diff)
			}
		}
		for _, path := range []string{"EMEA", "EMEA/Support/Tier 1", "EMEA/Support/Tier 2", "Americas/Support/Tier 1"} {
			if in.HierarchyGroupID(path) == "" {
				t.Errorf("no group %s", path)
			}
		}
		if p := in.PredefinedAttributes(); len(p) != 2 || !slices.Equal(p[0].Values, []string{"de", "en", "fr"}) {
			t.Errorf("attributes %+v", p)
		}
		in.Reset()
	}
	in.AddDemo()
	if n := len(in.Catalog(RoutingProfile)) + len(in.Catalog(HierarchyGroup)) + len(in.PredefinedAttributes()); n != 5+10+2 {
		t.Errorf("added twice, the demonstration has %d parts", n)
	}
	w := start(t, nil)
	parked, err := w.AddParkingProfile("Parked")
	if err != nil {
		t.Fatal(err)
	}
	night, err := w.AddRoutingProfile("Night", "Night", "Callbacks")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{parked: 0, night: 2, w.RoutingProfileID("Basic Routing Profile"): 1} {
		d, err := w.sdk.DescribeRoutingProfile(t.Context(), &sdk.DescribeRoutingProfileInput{InstanceId: aws.String(w.ID()), RoutingProfileId: &id})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(d.RoutingProfile.AssociatedQueueIds); got != want || *d.RoutingProfile.NumberOfAssociatedQueues != int64(want) {
			t.Errorf("%s has %d queues, want %d", *d.RoutingProfile.Name, got, want)
		}
	}
	auditor, err := w.AddSecurityProfile("Auditor", "AccessMetrics", "Users.View")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := w.AddSecurityProfile("Bare")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{auditor: 2, bare: 0} {
		got, err := w.sdk.ListSecurityProfilePermissions(t.Context(), &sdk.ListSecurityProfilePermissionsInput{InstanceId: aws.String(w.ID()), SecurityProfileId: &id})
		if err != nil || len(got.Permissions) != want {
			t.Errorf("%v permissions, %v; want %d", got, err, want)
		}
	}
}

// TestLedgerTellsWhatChanged: a write that finds things as it wants them is
// marked, and a removed tag is named.
func TestLedgerTellsWhatChanged(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	tag := func() error {
		return do(w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: aws.String(w.ARN() + "/agent/" + id), Tags: map[string]string{"a": "1"}}))
	}
	untag := func() error {
		return do(w.sdk.UntagResource(t.Context(), &sdk.UntagResourceInput{ResourceArn: aws.String(w.ARN() + "/agent/" + id), TagKeys: []string{"a"}}))
	}
	secure := func(names ...string) func() error {
		return func() error {
			var ids []string
			for _, n := range names {
				ids = append(ids, w.SecurityProfileID(n))
			}
			return do(w.sdk.UpdateUserSecurityProfiles(t.Context(), &sdk.UpdateUserSecurityProfilesInput{InstanceId: aws.String(w.ID()), UserId: &id, SecurityProfileIds: ids}))
		}
	}
	for _, write := range []func() error{tag, tag, untag, untag, secure("Agent"), secure("Agent", "Admin"), secure("Admin", "Agent")} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	var unchanged []bool
	for _, e := range w.Ledger() {
		unchanged = append(unchanged, e.Unchanged)
	}
	if diff := cmp.Diff([]bool{false, false, true, false, true, true, false, true}, unchanged); diff != "" {
		t.Error(diff)
	}
	var entries []Entry
	w.control(t, http.MethodGet, "ledger?after=3", "", 200, &entries)
	if diff := cmp.Diff(map[string]any{"tagKeys": []any{"a"}}, entries[0].Request); diff != "" {
		t.Errorf("UntagResource in the ledger: %s", diff)
	}
}

// TestFloorLeavesNothingBehind: no loops in the hierarchy, no contacts of agents
// who are gone, no way to change an agent by its snapshot, no tags of other
// types in a search.
func TestFloorLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.AddDemo()
	emea, sales := w.HierarchyGroupID("EMEA"), w.HierarchyGroupID("Americas/Sales")
	if err := w.ChangeCatalogEntry(w.HierarchyGroupID("Americas"), func(e *CatalogEntry) { e.Parent = sales }); err == nil {
		t.Error("a group lies below itself")
	}
	if err := w.ChangeCatalogEntry(sales, func(e *CatalogEntry) { e.Parent = emea }); err == nil {
		t.Error("EMEA has two departments Sales")
	}

	ana, err := w.AddAgent(Agent{Username: "ana", Tags: map[string]string{"a": "1"}, Proficiencies: []Proficiency{{"language", "de", 1}}})
	if err != nil {
		t.Fatal(err)
	}
	ana.Proficiencies[0].Level = 5
	if a, _ := w.Agent(ana.ID); a.Proficiencies[0].Level != 1 {
		t.Error("an agent was changed by its snapshot")
	}
	if _, err := w.AddQuickConnect("Ana", ana.ID); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"agent": 1, "transfer-destination": 0, "routing-profile": 0} {
		out, err := w.sdk.SearchResourceTags(t.Context(), &sdk.SearchResourceTagsInput{InstanceId: aws.String(w.ID()), ResourceTypes: []string{kind}})
		if err != nil || len(out.Tags) != want {
			t.Errorf("tags of %s: %v, %v; want %d", kind, out, err, want)
		}
	}
	call, err := w.BeginContact(ana.ID, Contact{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RemoveAgent(ana.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.EndContact(call); err == nil {
		t.Error("an agent who is gone still has a contact")
	}
}
