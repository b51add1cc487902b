package connect

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

func (w *world) put(t *testing.T, user, status string) error {
	t.Helper()
	return do(w.sdk.PutUserStatus(t.Context(), &sdk.PutUserStatusInput{InstanceId: aws.String(w.ID()), UserId: &user, AgentStatusId: aws.String(w.AgentStatusID(status))}))
}

// atWork returns what GetCurrentUserData shows, in pages of size.
func (w *world) shift(t *testing.T, size int32, f types.UserDataFilters) []types.UserData {
	t.Helper()
	var all []types.UserData
	in := &sdk.GetCurrentUserDataInput{InstanceId: aws.String(w.ID()), Filters: &f, MaxResults: &size}
	for {
		out, err := w.sdk.GetCurrentUserData(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.UserDataList...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			if *out.ApproximateTotalCount != int64(len(all)) {
				t.Errorf("%d in all, %d in the pages", *out.ApproximateTotalCount, len(all))
			}
			return all
		}
	}
}

// TestStatusWaitsForTheContacts follows an agent from the morning to a status
// that comes after the last contact.
func TestStatusWaitsForTheContacts(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.AddDemo()
	a, err := w.AddAgent(Agent{Username: "ana", RoutingProfile: "Support", HierarchyGroup: "EMEA/Support/Tier 1"})
	if err != nil {
		t.Fatal(err)
	}
	mine := types.UserDataFilters{Agents: []string{a.ID}}
	if n := len(w.shift(t, 100, mine)); n != 0 {
		t.Errorf("an agent who is offline is shown %d times", n)
	}
	if err := w.SignIn(a.ID); err != nil {
		t.Fatal(err)
	}
	d := w.shift(t, 100, mine)[0]
	if *d.Status.StatusName != "Available" || !d.Status.StatusStartTimestamp.Equal(w.clock.Now()) || len(d.Contacts) != 0 ||
		*d.User.Arn != a.ARN || *d.RoutingProfile.Id != w.RoutingProfileID("Support") || *d.HierarchyPath.LevelTwo.Id != w.HierarchyGroupID("EMEA/Support") {
		t.Errorf("signed in: %+v", d)
	}

	w.clock.advance(time.Minute)
	began := w.clock.Now()
	call, err := w.BeginContact(a.ID, Contact{Queue: "Support"})
	if err != nil {
		t.Fatal(err)
	}
	chat, err := w.BeginContact(a.ID, Contact{Channel: "CHAT", State: "INCOMING", Queue: "Callbacks"})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []string{"Lunch", "Offline"} { // the later one counts
		if err := w.put(t, a.ID, status); err != nil {
			t.Fatal(err)
		}
	}
	d = w.shift(t, 100, mine)[0]
	if *d.Status.StatusName != "Available" || *d.NextStatus != "Offline" || len(d.Contacts) != 2 {
		t.Errorf("with contacts: %+v", d)
	}
	slots := []map[string]int32{d.MaxSlotsByChannel, d.ActiveSlotsByChannel, d.AvailableSlotsByChannel}
	want := []map[string]int32{{"VOICE": 1, "CHAT": 3, "TASK": 1, "EMAIL": 1}, {"VOICE": 1, "CHAT": 1}, {"VOICE": 0, "CHAT": 2, "TASK": 1, "EMAIL": 1}}
	if diff := cmp.Diff(want, slots); diff != "" {
		t.Errorf("slots: %s", diff)
	}
	c := d.Contacts[0]
	if *c.ContactId != call || c.AgentContactState != types.ContactStateConnected || !c.ConnectedToAgentTimestamp.Equal(began) || d.Contacts[1].ConnectedToAgentTimestamp != nil {
		t.Errorf("contacts: %+v", d.Contacts)
	}

	dismiss := func(contact string) error {
		return do(w.sdk.DismissUserContact(t.Context(), &sdk.DismissUserContactInput{InstanceId: aws.String(w.ID()), UserId: &a.ID, ContactId: &contact}))
	}
	wantCode(t, "dismissal of a call", dismiss(call), codeInvalidRequest)
	w.clock.advance(time.Minute)
	if err := w.ChangeContact(call, "ENDED"); err != nil {
		t.Fatal(err)
	}
	if d := w.shift(t, 100, mine)[0]; d.Contacts[0].AgentContactState != types.ContactStateEnded || !d.Contacts[0].StateStartTimestamp.Equal(w.clock.Now()) ||
		!d.Contacts[0].ConnectedToAgentTimestamp.Equal(began) {
		t.Errorf("after-contact work: %+v", d.Contacts[0])
	}
	if err := dismiss(call); err != nil {
		t.Error(err)
	}
	wantCode(t, "a second dismissal", dismiss(call), "ResourceNotFoundException")
	if p, _ := w.Presence(a.ID); p.Status != "Available" || len(p.Contacts) != 1 {
		t.Errorf("with one contact left: %+v", p)
	}
	if err := w.EndContact(chat); err != nil {
		t.Fatal(err)
	}
	if p, _ := w.Presence(a.ID); p.Status != "Offline" || p.StatusType != "OFFLINE" || p.NextStatus != "" || len(p.Contacts) != 0 {
		t.Errorf("when the last contact is gone: %+v", p)
	}
	var ops []string
	for _, e := range w.Ledger() {
		ops = append(ops, e.Operation+" "+e.Username)
	}
	if diff := cmp.Diff([]string{"PutUserStatus ana", "PutUserStatus ana", "DismissUserContact ana"}, ops); diff != "" {
		t.Errorf("the ledger: %s", diff)
	}
}

func TestCurrentUserDataFilters(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.Quota = 0 })
	w.AddDemo()
	var busy []string
	for i := range 230 {
		profile, group := "Support", "EMEA/Support/Tier 1"
		if i%2 == 1 {
			profile, group = "Sales", "Americas/Sales"
		}
		a, err := w.AddAgent(Agent{Username: fmt.Sprintf("agent%03d", i), RoutingProfile: profile, HierarchyGroup: group})
		if err != nil {
			t.Fatal(err)
		}
		if i < 10 {
			busy = append(busy, a.ID)
			if _, err := w.BeginContact(a.ID, Contact{State: []string{"CONNECTED", "INCOMING"}[i%2]}); err != nil {
				t.Fatal(err)
			}
		} else if err := w.SignIn(a.ID); err != nil {
			t.Fatal(err)
		}
	}
	queue := func(name string) string { return w.queueID(name) }
	for name, c := range map[string]struct {
		filters types.UserDataFilters
		want    int
	}{
		"agents":           {types.UserDataFilters{Agents: busy}, 10},
		"one agent twice":  {types.UserDataFilters{Agents: []string{busy[0], w.ARN() + "/agent/" + busy[0]}}, 1},
		"routing profile":  {types.UserDataFilters{RoutingProfiles: []string{w.RoutingProfileID("Support")}}, 115},
		"both profiles":    {types.UserDataFilters{RoutingProfiles: []string{w.RoutingProfileID("Support"), w.ARN() + "/routing-profile/" + w.RoutingProfileID("Sales")}}, 230},
		"queue":            {types.UserDataFilters{Queues: []string{queue("Sales")}}, 115},
		"queue of both":    {types.UserDataFilters{Queues: []string{queue("Callbacks")}}, 230},
		"queue of nobody":  {types.UserDataFilters{Queues: []string{w.ARN() + "/queue/" + queue("Billing")}}, 0},
		"group and below":  {types.UserDataFilters{UserHierarchyGroups: []string{w.HierarchyGroupID("EMEA")}}, 115},
		"connected":        {types.UserDataFilters{Queues: []string{queue("Callbacks")}, ContactFilter: &types.ContactFilter{ContactStates: []types.ContactState{"CONNECTED"}}}, 5},
		"in either state":  {types.UserDataFilters{Queues: []string{queue("Callbacks")}, ContactFilter: &types.ContactFilter{ContactStates: []types.ContactState{"CONNECTED", "INCOMING"}}}, 10},
		"unknown left out": {types.UserDataFilters{Agents: []string{"gone", busy[0]}}, 1},
	} {
		for _, size := range []int32{100, 7} {
			if got := len(w.shift(t, size, c.filters)); got != c.want {
				t.Errorf("%s in pages of %d: %d agents, want %d", name, size, got, c.want)
			}
		}
	}
	gone := []string{"00000000-0000-4000-8000-000000000000"}
	for name, c := range map[string]struct {
		filters types.UserDataFilters
		code    string
	}{
		"no filter":       {types.UserDataFilters{}, codeInvalidParameter},
		"two filters":     {types.UserDataFilters{Agents: busy, Queues: []string{queue("Sales")}}, codeInvalidParameter},
		"101 agents":      {types.UserDataFilters{Agents: make([]string, 101)}, codeInvalidParameter},
		"two groups":      {types.UserDataFilters{UserHierarchyGroups: []string{w.HierarchyGroupID("EMEA"), w.HierarchyGroupID("Americas")}}, codeInvalidParameter},
		"unknown state":   {types.UserDataFilters{Agents: busy, ContactFilter: &types.ContactFilter{ContactStates: []types.ContactState{"ASLEEP"}}}, codeInvalidParameter},
		"unknown queue":   {types.UserDataFilters{Queues: gone}, "ResourceNotFoundException"},
		"unknown group":   {types.UserDataFilters{UserHierarchyGroups: gone}, "ResourceNotFoundException"},
		"unknown profile": {types.UserDataFilters{RoutingProfiles: gone}, "ResourceNotFoundException"},
	} {
		_, err := w.sdk.GetCurrentUserData(t.Context(), &sdk.GetCurrentUserDataInput{InstanceId: aws.String(w.ID()), Filters: &c.filters})
		wantCode(t, name, err, c.code)
	}
	if err := w.RemoveAgent(busy[0]); err != nil {
		t.Fatal(err)
	}
	if got := len(w.shift(t, 100, types.UserDataFilters{Agents: busy})); got != 9 {
		t.Errorf("a removed agent is among %d at work", got)
	}
	if err := w.ChangeSettings(func(s *Settings) { s.UnknownAgents = Reject }); err != nil {
		t.Fatal(err)
	}
	_, err := w.sdk.GetCurrentUserData(t.Context(), &sdk.GetCurrentUserDataInput{InstanceId: aws.String(w.ID()), Filters: &types.UserDataFilters{Agents: busy}})
	wantCode(t, "an unknown agent where those are rejected", err, "ResourceNotFoundException")
}

func TestStatusOfSomeoneOffline(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	if err := w.put(t, id, "Offline"); err != nil {
		t.Fatal(err)
	}
	if e := w.Ledger()[1]; !e.Unchanged {
		t.Errorf("offline again is entered as %+v", e)
	}
	if err := w.put(t, id, "Available"); err != nil {
		t.Fatal(err)
	}
	if p, _ := w.Presence(id); p.Status != "Available" {
		t.Errorf("the agent is %+v", p)
	}
	if err := w.ChangeSettings(func(s *Settings) { s.StatusOffline = Reject }); err != nil {
		t.Fatal(err)
	}
	if err := w.put(t, id, "Offline"); err != nil {
		t.Errorf("of an agent signed in: %v", err)
	}
	wantCode(t, "of one who is offline", w.put(t, id, "Available"), codeInvalidRequest)
}

func TestContactsByHand(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	call, err := w.BeginContact(id, Contact{ID: "one"})
	if err != nil || call != "one" {
		t.Fatalf("%q, %v", call, err)
	}
	for what, err := range map[string]error{
		"a second of that id": do(w.BeginContact(id, Contact{ID: "one"})),
		"unknown channel":     do(w.BeginContact(id, Contact{Channel: "FAX"})),
		"unknown state":       w.ChangeContact(call, "ASLEEP"),
		"unknown method":      do(w.BeginContact(id, Contact{Method: "PIGEON"})),
		"unknown agent":       do(w.BeginContact("gone", Contact{})),
		"unknown contact":     w.EndContact("gone"),
		"change of none":      w.ChangeContact("gone", "ENDED"),
		"unknown status":      w.SetStatus(id, "Asleep"),
		"sign-in of nobody":   w.SignIn("gone"),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	before, _ := w.Presence(id)
	w.clock.advance(time.Minute)
	if err := w.ChangeContact(call, "CONNECTED_ONHOLD"); err != nil {
		t.Fatal(err)
	}
	held, _ := w.Presence(id)
	if !held.Contacts[0].Since.Equal(before.Contacts[0].Since.Time) {
		t.Errorf("on hold the contact began at %v, not at %v", held.Contacts[0].Since, before.Contacts[0].Since)
	}
	if err := w.SignOut(id); err != nil {
		t.Fatal(err)
	}
	if p, _ := w.Presence(id); p.NextStatus != "Offline" {
		t.Errorf("signed out during a call: %+v", p)
	}
}

// TestTokensKeepTheirFilter: a token of a list serves the list it came from.
func TestTokensKeepTheirFilter(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.AddDemo()
	list := func(token *string, kinds ...types.AgentStatusType) (*sdk.ListAgentStatusesOutput, error) {
		return w.sdk.ListAgentStatuses(t.Context(), &sdk.ListAgentStatusesInput{InstanceId: aws.String(w.ID()), MaxResults: aws.Int32(2), NextToken: token, AgentStatusTypes: kinds})
	}
	out, err := list(nil, types.AgentStatusTypeCustom)
	if err != nil || len(out.AgentStatusSummaryList) != 2 || out.NextToken == nil {
		t.Fatalf("%v, %v", out, err)
	}
	_, err = list(out.NextToken, types.AgentStatusTypeCustom, types.AgentStatusTypeOffline)
	wantCode(t, "another filter", err, codeInvalidParameter)
	if out, err = list(out.NextToken, types.AgentStatusTypeCustom); err != nil || len(out.AgentStatusSummaryList) != 1 || out.NextToken != nil {
		t.Errorf("the last page: %v, %v", out, err)
	}

	some := []Proficiency{{"language", "de", 1}, {"language", "en", 1}}
	ana, err := w.AddAgent(Agent{Username: "ana", Proficiencies: some})
	if err != nil {
		t.Fatal(err)
	}
	ben, err := w.AddAgent(Agent{Username: "ben", Proficiencies: some})
	if err != nil {
		t.Fatal(err)
	}
	in := &sdk.ListUserProficienciesInput{InstanceId: aws.String(w.ID()), UserId: &ana.ID, MaxResults: aws.Int32(1)}
	first, err := w.sdk.ListUserProficiencies(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.UserId, in.NextToken = &ben.ID, first.NextToken
	wantCode(t, "the token of another agent", do(w.sdk.ListUserProficiencies(t.Context(), in)), codeInvalidParameter)
}
