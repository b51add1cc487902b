package okta_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// ana is the request that the fixtures about Ana Silva ask for.
func ana(event, published string, member bool) reconcile.Request {
	at, err := time.Parse(time.RFC3339, published)
	if err != nil {
		panic(err)
	}
	priority := reconcile.Leaver
	if member {
		priority = reconcile.Joiner
	}
	return reconcile.Request{
		Person: userID, Priority: priority, Trigger: reconcile.TriggerHook, Event: event,
		Facts: []reconcile.Fact{{
			Person: userID, Group: groupID, GroupName: groupName, Login: "ana.silva@example.com", DisplayName: "Ana Silva",
			Member: member, Published: at, Event: event,
		}},
	}
}

const (
	uuidAdd    = "00000001-c5f1-11f0-9a3c-0242ac120001"
	uuidByRule = "00000002-c5f1-11f0-9a3c-0242ac120002"
	uuidRemove = "00000003-c5f1-11f0-9a3c-0242ac120003"
	atAdd      = "2026-11-20T10:15:01.037Z"
	atByRule   = "2026-11-20T10:15:02.074Z"
	atRemove   = "2026-11-20T10:15:03.111Z"
)

// Every payload of Okta that we know is answered 204; the table says what comes
// of those that matter.
func TestFixtures(t *testing.T) {
	t.Parallel()
	wanted := map[string][]reconcile.Request{
		"hook-group.user_membership.add.json":               {ana(uuidAdd, atAdd, true)},
		"hook-group.user_membership.add.by-group-rule.json": {ana(uuidByRule, atByRule, true)},
		"hook-null-fields-omitted.json":                     {ana(uuidByRule, atByRule, true)},
		"hook-target-order-swapped.json":                    {ana(uuidAdd, atAdd, true)},
		"hook-group.user_membership.remove.json":            {ana(uuidRemove, atRemove, false)},
		"hook-batch-out-of-order-with-duplicate.json":       {ana(uuidRemove, atRemove, false), ana(uuidAdd, atAdd, true), ana(uuidAdd, atAdd, true)},
	}
	ignored := map[string]okta.Ignored{
		"hook-batch-out-of-order-with-duplicate.json": {OtherType: 1},
		"hook-admin-preview-sample-nulls.json":        {Preview: 1},
		"hook-outcome-failure.json":                   {NotSuccess: 1},
	}
	names := fixtures(t)
	for name := range wanted {
		if !slices.Contains(names, name) {
			t.Errorf("there is no fixture %s", name)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			c := config(q)
			c.Facts = true
			h := newHook(t, c)
			if w := deliver(h, fixture(t, name)); w.Code != http.StatusNoContent || w.Body.Len() != 0 {
				t.Fatalf("answered %d %q, want 204 and nothing", w.Code, w.Body)
			}
			if diff := cmp.Diff(wanted[name], q.take()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			want, special := ignored[name]
			if !special && wanted[name] == nil {
				want.OtherType = 1
			}
			if diff := cmp.Diff(want, h.Stats().Ignored); diff != "" {
				t.Errorf("ignored (-want +got):\n%s", diff)
			}
			if q.calls > 0 && wanted[name] == nil {
				t.Error("the queue was called for nothing")
			}
		})
	}
}

// An event is ignored alone, for the first reason that holds, and what stands
// beside it is kept.
func TestIgnoredEvents(t *testing.T) {
	t.Parallel()
	good := joined(userID, "ana@example.com", "Ana Silva")
	change := func(old, instead string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("the event holds no %s", old)
		}
		return strings.Replace(good, old, instead, 1)
	}
	unreadable, untargeted := okta.Ignored{Unreadable: 1}, okta.Ignored{Untargeted: 1}
	tests := map[string]struct {
		event string
		want  okta.Ignored
	}{
		"null":                       {`null`, unreadable},
		"a number":                   {`7`, unreadable},
		"an array":                   {`[[]]`, unreadable},
		"empty":                      {`{}`, unreadable},
		"no type":                    {change(`"eventType":"group.user_membership.add",`, ``), unreadable},
		"null type":                  {change(`"group.user_membership.add"`, `null`), unreadable},
		"type is a number":           {change(`"group.user_membership.add"`, `1`), unreadable},
		"type in another case":       {change(`group.user_membership.add`, `Group.User_Membership.Add`), okta.Ignored{OtherType: 1}},
		"uuid missing":               {change(`"uuid":"e-`+userID+`",`, ``), unreadable},
		"uuid with a line break":     {change(`"e-`+userID, `"e\n`), unreadable},
		"uuid of 65 bytes":           {change(`"e-`+userID, `"`+strings.Repeat("e", 65)), unreadable},
		"uuid with an umlaut":        {change(`"e-`+userID, `"ü`), unreadable},
		"published missing":          {change(`"published":"2026-11-20T10:15:01.037Z",`, ``), unreadable},
		"published without zone":     {change(`01.037Z`, `01.037`), unreadable},
		"published is a number":      {change(`"2026-11-20T10:15:01.037Z"`, `1e400`), unreadable},
		"published on 31 February":   {change(`2026-11-20`, `2026-02-31`), unreadable},
		"outcome missing":            {change(`"outcome":{"result":"SUCCESS"},`, ``), okta.Ignored{NotSuccess: 1}},
		"outcome null":               {change(`{"result":"SUCCESS"}`, `null`), okta.Ignored{NotSuccess: 1}},
		"outcome a string":           {change(`{"result":"SUCCESS"}`, `"SUCCESS"`), unreadable},
		"outcome an array":           {change(`{"result":"SUCCESS"}`, `[{"result":"SUCCESS"}]`), unreadable},
		"outcome FAILURE":            {change(`SUCCESS`, `FAILURE`), okta.Ignored{NotSuccess: 1}},
		"outcome success":            {change(`SUCCESS`, `success`), okta.Ignored{NotSuccess: 1}},
		"outcome with a blank":       {change(`SUCCESS`, `SUCCESS `), okta.Ignored{NotSuccess: 1}},
		"preview, target typed in":   {change(`SUCCESS`, `Success`), okta.Ignored{Preview: 1}},
		"another type":               {change(`user_membership.add`, `user_membership.rule.add`), okta.Ignored{OtherType: 1}},
		"no target":                  {change(`"target":[`, `"targets":[`), untargeted},
		"no user":                    {change(`"type":"User"`, `"type":"AppUser"`), untargeted},
		"no group":                   {change(`"type":"UserGroup"`, `"type":"AppInstance"`), untargeted},
		"two users":                  {change(`"target":[`, `"target":[{"type":"User","id":"00u9"},`), untargeted},
		"the same user twice":        {change(`"target":[`, `"target":[{"type":"User","id":"`+userID+`"},`), untargeted},
		"target an object":           {change(`"target":[`, `"target":{},"other":[`), unreadable},
		"target with a null element": {change(`"target":[`, `"target":[null,`), unreadable},
		"target id is a number":      {change(`"id":"`+userID+`"`, `"id":5`), unreadable},
		"user without id":            {change(`"id":"`+userID+`",`, ``), unreadable},
		"user id with a slash":       {change(userID+`","alt`, `00u/../x","alt`), unreadable},
		"user id of 65 bytes":        {change(userID+`","alt`, strings.Repeat("u", 65)+`","alt`), unreadable},
		"group id missing":           {change(`"id":"`+groupID+`",`, ``), unreadable},
		"group id with a quote":      {change(groupID, `00g\"`), unreadable},
		"another group":              {change(groupName, `Sales`), okta.Ignored{OtherGroup: 1}},
		"group name in another case": {change(groupName, strings.ToLower(groupName)), okta.Ignored{OtherGroup: 1}},
		"group name with a blank":    {change(groupName, groupName+" "), okta.Ignored{OtherGroup: 1}},
		"a user of the group's name": {
			strings.ReplaceAll(change(`"displayName":"Ana Silva"`, `"displayName":"`+groupName+`"`), groupName+`"}]`, `Sales"}]`),
			okta.Ignored{OtherGroup: 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			h := newHook(t, config(q))
			other := joined("00u7other", "bo@example.com", "Bo Li")
			if w := deliver(h, envelope(test.event, other)); w.Code != http.StatusNoContent {
				t.Fatalf("answered %d %s, want 204", w.Code, w.Body)
			}
			if diff := cmp.Diff(test.want, h.Stats().Ignored); diff != "" {
				t.Errorf("ignored (-want +got):\n%s", diff)
			}
			want := []reconcile.Request{{Person: "00u7other", Priority: reconcile.Joiner, Trigger: reconcile.TriggerHook, Event: "e-00u7other"}}
			if diff := cmp.Diff(want, q.take()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// What holds for a delivery as a whole.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	event := joined(userID, "ana@example.com", "Ana Silva")
	tests := map[string]struct {
		body     string
		status   int
		requests int
	}{
		"no eventType":             {`{"data":{"events":[` + event + `]}}`, 204, 1},
		"null eventType":           {`{"eventType":null,"data":{"events":[` + event + `]}}`, 204, 1},
		"eventType last":           {`{"data":{"events":[` + event + `]},"eventType":"com.okta.event_hook"}`, 204, 1},
		"no events":                {`{"data":{"events":[]}}`, 204, 0},
		"unknown keys":             {`{"a":{"data":1},"data":{"b":[{}],"events":[` + event + `],"c":null},"d":""}`, 204, 1},
		"spaced out":               {" \t\r\n{ \"data\" : { \"events\" : [ " + event + " ] } }\n\n", 204, 1},
		"an inline hook":           {`{"eventType":"com.okta.oauth2.tokens.transform","data":{"events":[` + event + `]}}`, 400, 0},
		"an inline hook, last":     {`{"data":{"events":[` + event + `]},"eventType":"com.okta.oauth2.tokens.transform"}`, 400, 0},
		"eventType of other kind":  {`{"eventType":1,"data":{"events":[` + event + `]}}`, 400, 0},
		"empty":                    {``, 400, 0},
		"blank":                    {"  \n", 400, 0},
		"null":                     {`null`, 400, 0},
		"an array":                 {`[` + event + `]`, 400, 0},
		"a bare event":             {event, 400, 0},
		"empty object":             {`{}`, 400, 0},
		"data null":                {`{"data":null}`, 400, 0},
		"data an array":            {`{"data":[` + event + `]}`, 400, 0},
		"events null":              {`{"data":{"events":null}}`, 400, 0},
		"events an object":         {`{"data":{"events":` + event + `}}`, 400, 0},
		"events elsewhere":         {`{"events":[` + event + `],"data":{}}`, 400, 0},
		"two values":               {string(envelope(event)) + string(envelope(event)), 400, 0},
		"something after":          {string(envelope(event)) + "x", 400, 0},
		"NUL after":                {string(envelope(event)) + "\x00", 400, 0},
		"byte order mark":          {"\ufeff" + string(envelope(event)), 400, 0},
		"form":                     {"a=b&c=d", 400, 0},
		"XML":                      {"<event/>", 400, 0},
		"DATA":                     {`{"DATA":{"events":[` + event + `]}}`, 400, 0},
		"DATA beside data":         {`{"data":{"events":[` + event + `]},"DATA":1}`, 400, 0},
		"Events beside events":     {`{"data":{"events":[` + event + `],"Events":[]}}`, 400, 0},
		"EVENTTYPE":                {`{"EVENTTYPE":"com.okta.event_hook","data":{"events":[` + event + `]}}`, 400, 0},
		"eventtype in an event":    {string(envelope(event, strings.Replace(event, `"eventType"`, `"eventtype"`, 1))), 400, 0},
		"Result in an outcome":     {string(envelope(event, strings.Replace(event, `"result"`, `"Result"`, 1))), 400, 0},
		"ID in a target":           {string(envelope(event, strings.Replace(event, `"id"`, `"ID"`, 1))), 400, 0},
		"alternateID in a target":  {string(envelope(event, strings.Replace(event, `"alternateId"`, `"alternateID"`, 1))), 400, 0},
		"ID where nobody looks":    {string(envelope(strings.Replace(event, `"uuid"`, `"actor":{"ID":1,"Type":2},"uuid"`, 1))), 204, 1},
		"escaped key":              {`{"\u0064ata":{"events":[` + event + `]}}`, 204, 1},
		"escaped duplicate":        {`{"\u0064ata":{},"data":{"events":[` + event + `]}}`, 400, 0},
		"duplicate in an event":    {string(envelope(strings.Replace(event, `"uuid"`, `"x":{"a":1,"a":1},"uuid"`, 1))), 400, 0},
		"duplicate in a skipped":   {`{"x":[{"a":1,"b":2,"a":1}],"data":{"events":[` + event + `]}}`, 400, 0},
		"fault after a good event": {`{"data":{"events":[` + event + `]},"x":"` + "\xff" + `"}`, 400, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			w := deliver(newHook(t, config(q)), []byte(test.body))
			if got := len(q.take()); w.Code != test.status || got != test.requests {
				t.Errorf("answered %d %s with %d requests, want %d and %d", w.Code, w.Body, got, test.status, test.requests)
			}
		})
	}
}

func TestSeveralGroups(t *testing.T) {
	t.Parallel()
	q := &queue{}
	c := config(q)
	c.Facts = true
	c.Groups = func() []string { return []string{groupName, "00gbyid"} }
	event := strings.Replace(joined(userID, "ana@example.com", "Ana Silva"), `"target":[`,
		`"target":[{"type":"UserGroup","id":"00gbyid","displayName":"Renamed"},{"type":"UserGroup","id":"00gsales","displayName":"Sales"},`, 1)
	deliver(newHook(t, c), envelope(event))
	requests := q.take()
	if len(requests) != 1 {
		t.Fatalf("%d requests for one event, want 1", len(requests))
	}
	var got []string
	for _, f := range requests[0].Facts {
		got = append(got, f.Group+" "+f.GroupName)
	}
	if diff := cmp.Diff([]string{"00gbyid Renamed", groupID + " " + groupName}, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// Hostile text stays data, within bounds, and no login becomes another.
func TestHostileText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ json, want string }{
		"NUL":           {`ana\u0000@example.com`, "ana\uFFFD@example.com"},
		"long":          {strings.Repeat("é", 5000), strings.Repeat("é", 256)},
		"escape":        {`\u001b[31mred`, "\x1b[31mred"},
		"line breaks":   {`a\r\nb\u2028c`, "a\r\nb\u2028c"},
		"formula":       {`=cmd()|'/c calc'!A1`, `=cmd()|'/c calc'!A1`},
		"SQL":           {`'; DROP TABLE people; --`, `'; DROP TABLE people; --`},
		"astral plane":  {`\ud83d\ude00`, "😀"},
		"null as value": {``, ``},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			c := config(q)
			c.Facts = true
			deliver(newHook(t, c), envelope(joined(userID, test.json, test.json)))
			requests := q.take()
			if len(requests) != 1 || len(requests[0].Facts) != 1 {
				t.Fatalf("requests %v, want one with one fact", requests)
			}
			if f := requests[0].Facts[0]; f.Login != test.want || f.DisplayName != test.want {
				t.Errorf("login %q, name %q; want %q", f.Login, f.DisplayName, test.want)
			}
		})
	}
}

// S2: everybody in a batch counts, not the first alone.
func TestS2EveryUserOfABatch(t *testing.T) {
	t.Parallel()
	q := &queue{}
	var events, want, got []string
	for i := range 50 {
		id := fmt.Sprintf("00u%d", i)
		events, want = append(events, joined(id, id+"@example.com", id)), append(want, id)
	}
	deliver(newHook(t, config(q)), envelope(events...))
	for _, r := range q.take() {
		got = append(got, r.Person)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
}

// S3: a removal is a removal.
func TestS3RemovalIsNoJoin(t *testing.T) {
	t.Parallel()
	q := &queue{}
	c := config(q)
	c.Facts = true
	deliver(newHook(t, c), fixture(t, "hook-group.user_membership.remove.json"))
	requests := q.take()
	if len(requests) != 1 || requests[0].Priority != reconcile.Leaver || len(requests[0].Facts) != 1 || requests[0].Facts[0].Member {
		t.Errorf("requests %+v, want one of a leaver", requests)
	}
}

// S5: null where a list belongs is no fault.
func TestS5NullTarget(t *testing.T) {
	t.Parallel()
	for _, result := range []string{"SUCCESS", "Success"} {
		q := &queue{}
		h := newHook(t, config(q))
		null := `{"eventType":"group.user_membership.add","uuid":"u","published":"2026-11-20T10:15:01Z","outcome":{"result":"` + result + `"},"target":null}`
		w := deliver(h, envelope(null, joined(userID, "ana@example.com", "Ana Silva")))
		if w.Code != http.StatusNoContent || len(q.take()) != 1 {
			t.Errorf("%s: answered %d, want 204 and the other event kept", result, w.Code)
		}
		if i := h.Stats().Ignored; i.Untargeted+i.Preview != 1 {
			t.Errorf("%s: ignored %+v, want one", result, i)
		}
	}
}

// S12: what failed in Okta did not happen.
func TestS12FailedOutcome(t *testing.T) {
	t.Parallel()
	outcomes := strings.Fields("FAILURE SKIPPED ALLOW DENY CHALLENGE UNKNOWN RATE_LIMIT DEFERRED SCHEDULED ABANDONED UNANSWERED")
	q := &queue{}
	h := newHook(t, config(q))
	for _, outcome := range outcomes {
		event := strings.Replace(joined(userID, "ana@example.com", "Ana Silva"), "SUCCESS", outcome, 1)
		if w := deliver(h, envelope(event)); w.Code != http.StatusNoContent {
			t.Errorf("%s: answered %d, want 204", outcome, w.Code)
		}
	}
	if got := h.Stats().Ignored.NotSuccess; q.calls != 0 || got != int64(len(outcomes)) {
		t.Errorf("%d calls of the queue, %d ignored; want 0 and %d", q.calls, got, len(outcomes))
	}
}
