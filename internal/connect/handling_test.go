package connect

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
)

// What the lists per channel say counts, PhoneConfig where they say nothing.
func TestReadHandling(t *testing.T) {
	t.Parallel()
	all := func(h plan.Handled) map[plan.Channel]plan.Handled {
		return map[plan.Channel]plan.Handled{plan.Chat: h, plan.Task: h, plan.Email: h}
	}
	for name, c := range map[string]struct {
		json     string // with %[1]d for 30 s and %[2]d for 60 s
		phone    plan.Phone
		channels map[plan.Channel]plan.Handled
	}{
		"nothing":   {json: `"Id":"a"`},
		"no config": {json: `"Id":"a","PhoneConfig":null,"AutoAcceptConfigs":[]`},
		"PhoneConfig": {
			json:     `"Id":"a","PhoneConfig":{"PhoneType":"DESK_PHONE","DeskPhoneNumber":"+491","AutoAccept":true,"AfterContactWorkTimeLimit":%[1]d,"PersistentConnection":true}`,
			phone:    plan.Phone{Type: plan.DeskPhone, DeskNumber: "+491", AutoAccept: true, AfterContactWork: 30, Persistent: true},
			channels: all(plan.Handled{AfterContactWork: 30}),
		},
		"lists": {
			json: `"Id":"a","AutoAcceptConfigs":[{"Channel":"VOICE","AutoAccept":true},{"Channel":"TASK","AutoAccept":true}],
				"AfterContactWorkConfigs":[{"Channel":"VOICE","AfterContactWorkConfig":{"AfterContactWorkTimeLimit":%[1]d},"AgentFirstCallbackAfterContactWorkConfig":{"AfterContactWorkTimeLimit":%[2]d}},
					{"Channel":"EMAIL","AfterContactWorkConfig":{"AfterContactWorkTimeLimit":%[2]d}}],
				"PhoneNumberConfigs":[{"Channel":"VOICE","PhoneType":"SOFT_PHONE"}],
				"PersistentConnectionConfigs":[{"Channel":"VOICE","PersistentConnection":true}],
				"VoiceEnhancementConfigs":[{"Channel":"VOICE","VoiceEnhancementMode":"NOISE_SUPPRESSION"}]`,
			phone: plan.Phone{Type: plan.SoftPhone, AutoAccept: true, AfterContactWork: 30, Persistent: true, Enhancement: plan.NoiseSuppression},
			channels: map[plan.Channel]plan.Handled{
				plan.Chat: {}, plan.Task: {AutoAccept: true}, plan.Email: {AfterContactWork: 60},
			},
		},
		"both, and they differ": {
			json: `"Id":"a","PhoneConfig":{"PhoneType":"DESK_PHONE","DeskPhoneNumber":"+491","AutoAccept":true,"AfterContactWorkTimeLimit":%[1]d,"PersistentConnection":true},
				"AutoAcceptConfigs":[{"Channel":"VOICE","AutoAccept":false}],
				"AfterContactWorkConfigs":[{"Channel":"VOICE","AfterContactWorkConfig":{"AfterContactWorkTimeLimit":0}},{"Channel":"CHAT","AfterContactWorkConfig":{"AfterContactWorkTimeLimit":%[2]d}}],
				"PhoneNumberConfigs":[{"Channel":"VOICE","PhoneType":"SOFT_PHONE"}],
				"PersistentConnectionConfigs":[{"Channel":"VOICE","PersistentConnection":false}]`,
			phone: plan.Phone{Type: plan.SoftPhone},
			channels: map[plan.Channel]plan.Handled{
				plan.Chat: {AfterContactWork: 60}, plan.Task: {AfterContactWork: 30}, plan.Email: {AfterContactWork: 30},
			},
		},
		"words of the future": {
			json: `"Id":"a","PhoneConfig":{"PhoneType":"HOLO_PHONE"},"AutoAcceptConfigs":[{"Channel":"TELEPATHY","AutoAccept":true}],
				"VoiceEnhancementConfigs":[{"Channel":"VOICE","VoiceEnhancementMode":"CHOIR"}],
				"AfterContactWorkConfigs":[{"Channel":"CHAT"}]`,
			channels: all(plan.Handled{}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := stub(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/search-users" {
					fmt.Fprintf(w, `{"Users":[{`+c.json+`,"Tags":{"connectroster:deployment":"test"}}]}%[3]s`, 30_000, 60_000, "")
					return
				}
				fmt.Fprintf(w, `{"User":{`+c.json+`,"Tags":{"connectroster:deployment":"test"}}}%[3]s`, 30, 60, "")
			})
			want := plan.Agent{ID: "a", Deployment: deployment, Phone: c.phone, Channels: c.channels}
			got, err := i.Agent(t.Context(), "a")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("DescribeUser: %v (-want +got):\n%s", err, diff)
			}
			agents, err := collect(t, i)
			if diff := cmp.Diff([]plan.Agent{want}, agents); err != nil || diff != "" {
				t.Errorf("SearchUsers: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Tags are read for what they say, however odd.
func TestReadTags(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
	for text, want := range map[string]plan.Agent{
		"":                                  {},
		"active":                            {State: plan.StateActive},
		"suspended 2026-11-25T01:02:03Z":    {State: plan.StateSuspended, Since: at},
		"retired 2026-11-25T02:02:03+01:00": {State: plan.StateRetired, Since: at},
		"suspended":                         {State: plan.StateSuspended},
		"suspended yesterday":               {State: plan.StateSuspended},
		"suspended  2026-11-25T01:02:03Z":   {State: plan.StateSuspended},
	} {
		var got plan.Agent
		fromTags(&got, map[string]string{tagState: text})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if text == stateTag(want.State, want.Since) || text != "suspended 2026-11-25T01:02:03Z" {
			continue
		}
		t.Errorf("%q is written as %q", text, stateTag(want.State, want.Since))
	}
	var got plan.Agent
	fromTags(&got, map[string]string{
		tagOwner: "00u1", tagGroup: "00g1", "connectroster:later": "x", "connectroster:routing": "r", "connectroster:after-work": "w",
		"connectroster:name": "", "Connectroster:owner": "not ours", "team": "red", "empty": "",
	})
	want := plan.Agent{Owner: "00u1", Group: "00g1", Answers: map[plan.Field]string{plan.FieldRouting: "r", plan.FieldAfterWork: "w"},
		Tags: map[string]string{"Connectroster:owner": "not ours", "team": "red", "empty": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
