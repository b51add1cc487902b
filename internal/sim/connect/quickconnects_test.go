package connect

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/google/go-cmp/cmp"
)

func (w *world) transfers(t *testing.T, in sdk.SearchQuickConnectsInput) map[string]string {
	t.Helper()
	in.InstanceId = aws.String(w.ID())
	all := make(map[string]string)
	for {
		out, err := w.sdk.SearchQuickConnects(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range out.QuickConnects {
			all[*q.Name] = ""
			if u := q.QuickConnectConfig.UserConfig; u != nil {
				all[*q.Name] = *u.UserId
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

// TestQuickConnectsOutliveTheirAgent: the search tells whose they were.
func TestQuickConnectsOutliveTheirAgent(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ana, ben := w.create(t, "ana"), w.create(t, "ben")
	for _, name := range []string{"Ana", "Ana at home", "Ana on the road"} {
		if _, err := w.sdk.CreateQuickConnect(t.Context(), w.transferTo(name, ana)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.AddQuickConnect("Ben", ben); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sdk.DeleteUser(t.Context(), &sdk.DeleteUserInput{InstanceId: aws.String(w.ID()), UserId: &ana}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Ana": ana, "Ana at home": ana, "Ana on the road": ana, "Ben": ben}
	if diff := cmp.Diff(want, w.transfers(t, sdk.SearchQuickConnectsInput{MaxResults: aws.Int32(1)})); diff != "" {
		t.Errorf("after the deletion: %s", diff)
	}
	_, err := w.sdk.CreateQuickConnect(t.Context(), w.transferTo("Ana again", ana))
	wantCode(t, "one that leads nowhere", err, "ResourceNotFoundException")
	for _, q := range w.QuickConnects() {
		if q.Config.User.UserID == ana {
			if _, err := w.sdk.DeleteQuickConnect(t.Context(), &sdk.DeleteQuickConnectInput{InstanceId: aws.String(w.ID()), QuickConnectId: &q.ARN}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left := w.QuickConnects(); len(left) != 1 || left[0].Name != "Ben" {
		t.Errorf("left: %+v", left)
	}
	last := w.Ledger()[len(w.Ledger())-1]
	if last.Operation != "DeleteQuickConnect" || last.Agent != ana || last.Username != "" || !strings.Contains(last.Resource, "/transfer-destination/") {
		t.Errorf("the ledger says %+v", last)
	}
}

func TestQuickConnectsLag(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *Settings) { s.ListLag = time.Minute })
	id := w.create(t, "ana")
	shown := func() (searched, listed int) {
		t.Helper()
		out, err := w.sdk.ListQuickConnects(t.Context(), &sdk.ListQuickConnectsInput{InstanceId: aws.String(w.ID())})
		if err != nil {
			t.Fatal(err)
		}
		return len(w.transfers(t, sdk.SearchQuickConnectsInput{})), len(out.QuickConnectSummaryList)
	}
	check := func(what string, want int) {
		t.Helper()
		if searched, listed := shown(); searched != want || listed != want {
			t.Errorf("%s: %d and %d shown, want %d", what, searched, listed, want)
		}
	}
	made, err := w.sdk.CreateQuickConnect(t.Context(), w.transferTo("Ana", id))
	if err != nil {
		t.Fatal(err)
	}
	at := func() error {
		return do(w.sdk.DescribeQuickConnect(t.Context(), &sdk.DescribeQuickConnectInput{InstanceId: aws.String(w.ID()), QuickConnectId: made.QuickConnectId}))
	}
	check("made", 0)
	if err := at(); err != nil {
		t.Errorf("described at once: %v", err)
	}
	w.clock.advance(time.Minute)
	check("a minute later", 1)
	if err := w.RemoveQuickConnect(*made.QuickConnectId); err != nil {
		t.Fatal(err)
	}
	check("removed", 1)
	wantCode(t, "described after the removal", at(), "ResourceNotFoundException")
	if _, err := w.AddQuickConnect("Ana", id); err != nil {
		t.Errorf("the name is not free at once: %v", err)
	}
	w.clock.advance(time.Minute)
	check("the other", 1)
	if err := w.RemoveQuickConnect(w.QuickConnects()[0].ID); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Minute)
	check("none left", 0)
}

func TestQuickConnectsAreChecked(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.create(t, "ana")
	flow, queue := aws.String(w.TransferFlowID()), aws.String(w.queueID("BasicQueue"))
	gone := aws.String("00000000-0000-4000-8000-000000000000")
	user := &types.UserQuickConnectConfig{UserId: aws.String(w.ARN() + "/agent/" + id), ContactFlowId: flow}
	phone := &types.PhoneNumberQuickConnectConfig{PhoneNumber: aws.String("+4930123456")}
	for _, c := range []struct {
		name   string
		config types.QuickConnectConfig
		code   string
	}{
		{"user", types.QuickConnectConfig{QuickConnectType: "USER", UserConfig: user}, ""},
		{"queue", types.QuickConnectConfig{QuickConnectType: "QUEUE", QueueConfig: &types.QueueQuickConnectConfig{QueueId: queue, ContactFlowId: flow}}, ""},
		{"phone", types.QuickConnectConfig{QuickConnectType: "PHONE_NUMBER", PhoneConfig: phone}, ""},
		{"flow", types.QuickConnectConfig{QuickConnectType: "FLOW", FlowConfig: &types.FlowQuickConnectConfig{ContactFlowId: flow}}, ""},
		{"unknown type", types.QuickConnectConfig{QuickConnectType: "FAX"}, codeInvalidParameter},
		{"no user", types.QuickConnectConfig{QuickConnectType: "USER"}, codeInvalidRequest},
		{"phone for a user", types.QuickConnectConfig{QuickConnectType: "USER", UserConfig: user, PhoneConfig: phone}, codeInvalidParameter},
		{"unknown flow", types.QuickConnectConfig{QuickConnectType: "USER", UserConfig: &types.UserQuickConnectConfig{UserId: &id, ContactFlowId: gone}}, "ResourceNotFoundException"},
		{"unknown queue", types.QuickConnectConfig{QuickConnectType: "QUEUE", QueueConfig: &types.QueueQuickConnectConfig{QueueId: gone, ContactFlowId: flow}}, "ResourceNotFoundException"},
		{"no number", types.QuickConnectConfig{QuickConnectType: "PHONE_NUMBER", PhoneConfig: &types.PhoneNumberQuickConnectConfig{PhoneNumber: aws.String("12")}}, codeInvalidParameter},
	} {
		_, err := w.sdk.CreateQuickConnect(t.Context(), &sdk.CreateQuickConnectInput{InstanceId: aws.String(w.ID()), Name: &c.name, QuickConnectConfig: &c.config})
		wantCode(t, c.name, err, c.code)
	}
	if n := len(w.QuickConnects()); n != 4 {
		t.Errorf("%d quick connects", n)
	}
	out, err := w.sdk.ListQuickConnects(t.Context(), &sdk.ListQuickConnectsInput{InstanceId: aws.String(w.ID()), QuickConnectTypes: []types.QuickConnectType{"USER", "FLOW"}})
	if err != nil || len(out.QuickConnectSummaryList) != 2 {
		t.Errorf("of two types: %v, %v", out, err)
	}
	q := w.QuickConnects()[0]
	if q.Config.User.UserID != id {
		t.Errorf("an agent named by ARN is kept as %q", q.Config.User.UserID)
	}
	if err := do(w.sdk.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: &q.ARN, Tags: map[string]string{"a": "1"}})); err != nil {
		t.Fatal(err)
	}
	filter := &types.QuickConnectSearchFilter{TagFilter: &types.ControlPlaneTagFilter{TagCondition: new(tagged("a", aws.String("1")))}}
	if got := w.transfers(t, sdk.SearchQuickConnectsInput{SearchFilter: filter}); len(got) != 1 || got["user"] != id {
		t.Errorf("by tag: %v", got)
	}
	criteria := &types.QuickConnectSearchCriteria{StringCondition: is("name", "ph", types.StringComparisonTypeStartsWith).StringCondition}
	if got := w.transfers(t, sdk.SearchQuickConnectsInput{SearchCriteria: criteria}); len(got) != 1 {
		t.Errorf("by name: %v", got)
	}
	last := w.Ledger()[len(w.Ledger())-1]
	if last.Operation != "TagResource" || last.Resource != q.ARN || last.Agent != id || last.Username != "ana" {
		t.Errorf("the ledger says %+v", last)
	}
}
