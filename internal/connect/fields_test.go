package connect

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// change is an action that makes the agent of have another one.
func (f *floor) change(action plan.Action, have, to plan.Agent, fields ...plan.Field) plan.Change {
	after := f.overlay(have, to, fields)
	return plan.Change{Action: action, Person: have.Owner, Agent: have.ID, Before: &have, After: &after, Fields: fields}
}

// wrote is what was written since an entry of the ledger.
func (f *floor) wrote(seq int) []string {
	var operations []string
	for _, e := range f.sim.LedgerAfter(seq) {
		operations = append(operations, e.Operation)
	}
	return operations
}

// Each field is written by its own calls, after one reading of the agent, and not
// again when it is as it should be.
func TestFieldsApart(t *testing.T) {
	t.Parallel()
	for field, want := range map[plan.Field][]string{
		plan.FieldName:          {"UpdateUserIdentityInfo"},
		plan.FieldRouting:       {"UpdateUserRoutingProfile"},
		plan.FieldSecurity:      {"UpdateUserSecurityProfiles"},
		plan.FieldHierarchy:     {"UpdateUserHierarchy"},
		plan.FieldProficiencies: {"DisassociateUserProficiencies", "AssociateUserProficiencies", "UpdateUserProficiencies"},
		plan.FieldPhone:         {"UpdateUserConfig"},
		plan.FieldAutoAccept:    {"UpdateUserConfig"},
		plan.FieldAfterWork:     {"UpdateUserConfig"},
		plan.FieldEnhancement:   {"UpdateUserConfig"},
		plan.FieldTags:          {"TagResource"},
		plan.FieldOwnership:     {"TagResource"},
	} {
		t.Run(string(field), func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, nil, nil)
			have := f.make(t, f.full("00u1"))
			seq, reads := len(f.sim.Ledger()), f.sent("DescribeUser")
			change := f.change(plan.Update, have, f.other("00u1"), field)
			for range 2 {
				if _, err := f.Apply(t.Context(), change); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, f.wrote(seq)); diff != "" {
					t.Errorf("the writes (-want +got):\n%s", diff)
				}
				if n := f.sent("DescribeUser") - reads; n != 1 {
					t.Errorf("the agent was read %d times", n)
				}
				reads++
			}
			f.reads(t, *change.After)
		})
	}
}

// An agent that is not the person's, or not ours, is not written to, whatever is
// to be done with it.
func TestForeignAgentsUntouched(t *testing.T) {
	t.Parallel()
	for name, tags := range map[string]map[string]string{
		"nobody's":                   nil,
		"tags of others":             {"owner": "00u1", "deployment": deployment},
		"no owner":                   {tagDeployment: deployment},
		"somebody else's":            {tagDeployment: deployment, tagOwner: "00u2"},
		"another deployment's":       {tagDeployment: "staging", tagOwner: "00u1"},
		"a deployment in other case": {tagDeployment: "Test", tagOwner: "00u1"},
		"an owner in other case":     {tagDeployment: deployment, tagOwner: "00U1"},
		"no deployment":              {tagOwner: "00u1"},
		"another one's altogether":   {tagDeployment: "staging", tagOwner: "00u2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, nil, nil)
			stored, err := f.sim.AddAgent(simconnect.Agent{Username: "by.hand", Tags: tags})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.sim.AddQuickConnect("quick", stored.ID); err != nil {
				t.Fatal(err)
			}
			have, err := f.Agent(t.Context(), stored.ID)
			if err != nil {
				t.Fatal(err)
			}
			have.Owner = "00u1" // as an old reading may have it
			to := f.other("00u1")
			replace := f.change(plan.Replace, have, to)
			parked := f.overlay(have, to, everything())
			parked.Deployment, parked.State = deployment, plan.StateRetired
			replace.Parked, replace.After = &parked, &to
			changes := []plan.Change{
				f.change(plan.Update, have, to, plan.FieldRouting), f.change(plan.Suspend, have, to, plan.FieldSecurity),
				f.change(plan.Resume, have, to, plan.FieldName), f.change(plan.Delete, have, to), replace,
			}
			nobodys := tags[tagOwner] == "" && tags[tagDeployment] == ""
			if !nobodys {
				changes = append(changes, f.change(plan.Release, have, to))
			}
			if owner := tags[tagOwner]; owner != "" && owner != "00u1" || tags[tagDeployment] != "" && tags[tagDeployment] != deployment {
				adopt := f.change(plan.Adopt, have, to, plan.FieldOwnership)
				adopt.After.Deployment = deployment
				changes = append(changes, adopt)
			}
			for _, c := range changes {
				if _, err := f.Apply(t.Context(), c); class(err) != "terminal" || !strings.Contains(err.Error(), stored.ID) {
					t.Errorf("%s: class %s: %v", c.Action, class(err), err)
				}
			}
			if nobodys { // to release what is free already is nothing to do
				if _, err := f.Apply(t.Context(), f.change(plan.Release, have, to)); err != nil {
					t.Errorf("release: %v", err)
				}
			}
			if tags[tagOwner] != "" { // in its own name, one that has lost its owner is released
				own := f.change(plan.Release, have, to)
				own.Person = stored.ID
				if _, err := f.Apply(t.Context(), own); class(err) != "terminal" {
					t.Errorf("release of somebody's agent in its own name: class %s: %v", class(err), err)
				}
			}
			if w := f.wrote(0); len(w) > 0 {
				t.Errorf("written: %v", w)
			}
			again, _ := f.sim.Agent(stored.ID)
			if diff := cmp.Diff(stored, again); diff != "" || len(f.sim.QuickConnects()) != 1 {
				t.Errorf("the agent was changed:\n%s", diff)
			}
		})
	}
}

// A limit of 0 is sent: the service is not left to guess what is meant.
func TestUnlimitedIsSent(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	a := f.full("00u1")
	a.Phone.AfterContactWork, a.Phone.AutoAccept = 0, false
	alike := a
	alike.Channels, alike.Owner, alike.Username = nil, "00u2", "alike"
	have, other := f.make(t, a), f.make(t, alike)
	to := have
	to.Phone.AfterContactWork = 5
	if _, err := f.Apply(t.Context(), f.change(plan.Update, have, to, plan.FieldAfterWork)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Apply(t.Context(), f.change(plan.Update, to, have, plan.FieldAfterWork)); err != nil {
		t.Fatal(err)
	}
	ledger := f.sim.Ledger()
	first, last := ledger[0].Request, ledger[len(ledger)-1].Request
	for _, request := range []map[string]any{first, last} {
		if _, both := request["PhoneConfig"]; both {
			t.Errorf("PhoneConfig and lists in one request: %v", request)
		}
		list, _ := request["AfterContactWorkConfigs"].([]any)
		for n, entry := range list {
			limit := entry.(map[string]any)["AfterContactWorkConfig"].(map[string]any)
			if _, there := limit["AfterContactWorkTimeLimit"]; !there {
				t.Errorf("entry %d names no limit: %v", n, entry)
			}
		}
		if len(list) != 4 {
			t.Errorf("%d channels", len(list))
		}
	}
	for _, e := range ledger {
		if phone, ok := e.Request["PhoneConfig"].(map[string]any); ok && e.Agent == other.ID {
			if diff := cmp.Diff([]string{"AfterContactWorkTimeLimit", "AutoAccept", "DeskPhoneNumber", "PersistentConnection", "PhoneType"}, slices.Sorted(maps.Keys(phone))); diff != "" {
				t.Errorf("PhoneConfig of a new agent (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("an agent whose channels are alike was not made by PhoneConfig")
}

// What an agent has that is not ours to say survives every change.
func TestRestIsKept(t *testing.T) {
	t.Parallel()
	for _, merge := range []bool{false, true} {
		f := openFloor(t, func(s *simconnect.Settings) { s.EmailOnSAML, s.MergeIdentity = simconnect.Accept, merge }, nil)
		have := f.make(t, f.full("00u1"))
		identity := simconnect.IdentityInfo{FirstName: have.FirstName, LastName: have.LastName, Email: "ana@example.com", SecondaryEmail: "a@example.org", Mobile: "+4917012345"}
		yes := true
		_, err := f.sim.ChangeAgent(have.ID, func(a *simconnect.Agent) {
			a.IdentityInfo = identity
			a.Tags["connectroster:later"], a.Tags["of others"] = "1", "2"
			for n := range a.AutoAcceptConfigs {
				if a.AutoAcceptConfigs[n].Channel == "VOICE" {
					a.AutoAcceptConfigs[n].AgentFirstCallbackAutoAccept = &yes
					a.AfterContactWorkConfigs[n].AgentFirstCallback = &simconnect.AfterContactWorkConfig{TimeLimit: 77}
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		change := f.change(plan.Update, have, f.other("00u1"), everything()...)
		if _, err := f.Apply(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		a, _ := f.sim.Agent(have.ID)
		identity.FirstName, identity.LastName = "Anna", "Diaz"
		if diff := cmp.Diff(identity, a.IdentityInfo); diff != "" {
			t.Errorf("the identity (-want +got):\n%s", diff)
		}
		if a.Tags["connectroster:later"] != "1" || a.Tags["of others"] != "2" {
			t.Errorf("the tags are %v", a.Tags)
		}
		if c := a.AutoAcceptConfigs[0]; c.AgentFirstCallbackAutoAccept == nil || !*c.AgentFirstCallbackAutoAccept || c.AutoAccept {
			t.Errorf("auto-accept of voice: %+v", c)
		}
		if c := a.AfterContactWorkConfigs[0]; c.AgentFirstCallback == nil || c.AgentFirstCallback.TimeLimit != 77 || c.Config.TimeLimit != 0 {
			t.Errorf("after-contact work of voice: %+v", c)
		}
	}
}

// To change one channel of an agent whose channels are alike leaves the others
// as they were.
func TestOneChannel(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	a := f.full("00u1")
	a.Channels = nil
	have := f.make(t, a)
	to := have
	to.Channels = map[plan.Channel]plan.Handled{plan.Chat: {AutoAccept: true, AfterContactWork: 0}}
	change := f.change(plan.Update, have, to, plan.FieldAfterWork, plan.FieldAutoAccept)
	if _, err := f.Apply(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	f.reads(t, *change.After)
	stored, _ := f.sim.Agent(have.ID)
	limits := map[string]int{}
	for _, c := range stored.AfterContactWorkConfigs {
		limits[c.Channel] = c.Config.TimeLimit
	}
	if diff := cmp.Diff(map[string]int{"VOICE": 30, "CHAT": 0, "TASK": 30, "EMAIL": 30}, limits); diff != "" {
		t.Errorf("the limits (-want +got):\n%s", diff)
	}
}

// Whoever may not do something is told which action is missing. Nothing was done
// where that was the first call.
func TestPermissionIsNamed(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have := f.make(t, f.full("00u1"))
	if _, err := f.sim.AddQuickConnect("quick", have.ID); err != nil {
		t.Fatal(err)
	}
	to := f.other("00u1")
	fresh := f.full("00u2")
	create := plan.Change{Action: plan.Create, Person: "00u2", After: &fresh}
	for operation, change := range map[string]plan.Change{
		"CreateUser":                    create,
		"DescribeUser":                  f.change(plan.Update, have, to, plan.FieldName),
		"UpdateUserIdentityInfo":        f.change(plan.Update, have, to, plan.FieldName),
		"UpdateUserRoutingProfile":      f.change(plan.Update, have, to, plan.FieldRouting),
		"UpdateUserSecurityProfiles":    f.change(plan.Update, have, to, plan.FieldSecurity),
		"UpdateUserHierarchy":           f.change(plan.Update, have, to, plan.FieldHierarchy),
		"UpdateUserConfig":              f.change(plan.Update, have, to, plan.FieldPhone),
		"TagResource":                   f.change(plan.Update, have, to, plan.FieldTags),
		"ListUserProficiencies":         f.change(plan.Update, have, to, plan.FieldProficiencies),
		"DisassociateUserProficiencies": f.change(plan.Update, have, to, plan.FieldProficiencies),
		"UntagResource":                 f.change(plan.Release, have, to),
		"SearchQuickConnects":           f.change(plan.Delete, have, to),
		"DeleteQuickConnect":            f.change(plan.Delete, have, to),
		"ListAgentStatuses":             f.change(plan.Suspend, have, have, plan.FieldName),
		"PutUserStatus":                 f.change(plan.Suspend, have, have, plan.FieldName),
	} {
		if err := f.sim.Deny(operation); err != nil {
			t.Fatal(err)
		}
		seq := len(f.sim.Ledger())
		_, err := f.another(t, nil).Apply(t.Context(), change) // one that remembers no status
		if class(err) != "after 50s" || !strings.Contains(err.Error(), "connect:"+operation) {
			t.Errorf("%s: class %s: %v", operation, class(err), err)
		}
		if w := f.wrote(seq); len(w) > 0 {
			t.Errorf("%s: %v was written", operation, w)
		}
		if err := f.sim.Permit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.sim.Deny("UpdateUserHierarchy"); err != nil {
		t.Fatal(err)
	}
	_, err := f.Apply(t.Context(), f.change(plan.Update, have, to, everything()...))
	if class(err) != "unknown" || !strings.Contains(err.Error(), "connect:UpdateUserHierarchy") {
		t.Errorf("halfway: class %s: %v", class(err), err)
	}
}

// A suspension tells first what it is about to do, takes rights and work, and
// signs the agent off last. That the agent keeps its status does not undo it.
func TestSuspend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings func(*simconnect.Settings)
		spoil    func(*floor) error
		status   bool // is set
		says     string
	}{
		"in order":  {status: true},
		"refused":   {settings: func(s *simconnect.Settings) { s.StatusOffline = simconnect.Reject }, says: "not signed in"},
		"no status": {spoil: func(f *floor) error { return f.sim.RemoveCatalogEntry(f.sim.AgentStatusID("Offline")) }, says: "OFFLINE"},
		"status gone": {says: "is gone", spoil: func(f *floor) error {
			return f.sim.AddFaults(simconnect.Fault{Operation: "PutUserStatus", Status: 404, Code: "ResourceNotFoundException", Times: -1})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			f := openFloor(t, c.settings, func(c *Config) { c.Log, c.Label = slog.New(slog.NewTextHandler(&log, nil)), "berlin" })
			have := f.make(t, f.full("00u1"))
			if c.spoil != nil {
				if err := c.spoil(f); err != nil {
					t.Fatal(err)
				}
			}
			to := f.other("00u1")
			to.State, to.Since = plan.StateSuspended, time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
			seq := len(f.sim.Ledger())
			change := f.change(plan.Suspend, have, to, everything()...)
			if _, err := f.Apply(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			f.reads(t, *change.After)
			want := []string{"TagResource", "UpdateUserSecurityProfiles", "UpdateUserRoutingProfile"}
			wrote := f.wrote(seq)
			if diff := cmp.Diff(want, wrote[:3]); diff != "" {
				t.Errorf("the writes begin (-want +got):\n%s", diff)
			}
			if set := wrote[len(wrote)-1] == "PutUserStatus"; set != c.status {
				t.Errorf("the last write is %s", wrote[len(wrote)-1])
			}
			if said := log.String(); c.status != (said == "") || !strings.Contains(said, c.says) || !c.status && !strings.Contains(said, "instance=berlin") {
				t.Errorf("the log says %q", said)
			}
		})
	}
}

// An agent that went away is deleted, and for any other change a reason to look
// again.
func TestAgentGone(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have := f.make(t, f.full("00u1"))
	if err := f.sim.RemoveAgent(have.ID); err != nil {
		t.Fatal(err)
	}
	seq := len(f.sim.Ledger())
	to := f.other("00u1")
	replace := f.change(plan.Replace, have, to)
	replace.Parked, replace.After = &have, &to
	for _, c := range []plan.Change{
		f.change(plan.Update, have, to, everything()...), f.change(plan.Suspend, have, to, everything()...),
		f.change(plan.Resume, have, to, everything()...), f.change(plan.Release, have, to), replace,
		f.change(plan.Adopt, have, to, plan.FieldOwnership),
	} {
		if _, err := f.Apply(t.Context(), c); class(err) != "after 5s" && class(err) != "not found" {
			t.Errorf("%s: class %s: %v", c.Action, class(err), err)
		}
	}
	if _, err := f.Apply(t.Context(), f.change(plan.Delete, have, to)); err != nil {
		t.Errorf("delete: %v", err)
	}
	if w := f.wrote(seq); len(w) > 0 {
		t.Errorf("written: %v", w)
	}
}

// A profile that went away since the catalog was read makes the catalog be read
// again, for a change as for a creation.
func TestProfileGoneHalfway(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have := f.make(t, f.full("00u1"))
	if _, err := f.Catalog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.sim.RemoveCatalogEntry(f.routing[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Apply(t.Context(), f.change(plan.Update, have, f.other("00u1"), plan.FieldRouting)); class(err) != "after 30s" {
		t.Errorf("class %s: %v", class(err), err)
	}
	if _, err := f.Apply(t.Context(), f.change(plan.Update, have, f.other("00u1"), plan.FieldName, plan.FieldRouting)); class(err) != "unknown" {
		t.Errorf("halfway: class %s: %v", class(err), err)
	}
	if c, err := f.Catalog(t.Context()); err != nil || c.RoutingProfiles["Parked"] != "" {
		t.Errorf("the catalog still offers what is gone: %v, %v", c, err)
	}
}

// A change that is throttled on its way only has to wait; one that has made an
// agent is open.
func TestThrottledHalfway(t *testing.T) {
	t.Parallel()
	f := openFloor(t, func(s *simconnect.Settings) {
		s.Limits = map[string]simconnect.Limit{}
		for _, operation := range []string{"UpdateUserHierarchy", "AssociateUserProficiencies"} {
			s.Limits[operation] = simconnect.Limit{Rate: 0.0001, Burst: 1}
		}
	}, nil)
	have := f.make(t, f.full("00u1")) // takes the only turn of AssociateUserProficiencies
	step := f.change(plan.Update, have, f.other("00u1"), plan.FieldHierarchy)
	if _, err := f.Apply(t.Context(), step); err != nil { // and this one that of UpdateUserHierarchy
		t.Fatal(err)
	}
	back := f.change(plan.Update, *step.After, f.other("00u1"), plan.FieldName, plan.FieldHierarchy)
	back.After.Hierarchy = f.groups[2]
	seq := len(f.sim.Ledger())
	if _, err := f.Apply(t.Context(), back); class(err) != "after 1s" {
		t.Errorf("class %s: %v", class(err), err)
	}
	if diff := cmp.Diff([]string{"UpdateUserIdentityInfo"}, f.wrote(seq)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	fresh := f.full("00u2")
	id, err := f.Apply(t.Context(), plan.Change{Action: plan.Create, Person: "00u2", After: &fresh})
	if class(err) != "unknown" || id == "" {
		t.Errorf("create: agent %q, class %s: %v", id, class(err), err)
	}
}

// Of an agent who is deleted all quick connects go, on whatever page they are.
func TestDeleteQuickConnects(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have, stays := f.make(t, f.full("00u1")), f.make(t, f.full("00u2"))
	for n := range 250 {
		agent := stays.ID
		if n%50 == 49 {
			agent = have.ID
		}
		if _, err := f.sim.AddQuickConnect(fmt.Sprintf("quick %d", n), agent); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Apply(t.Context(), f.change(plan.Delete, have, have)); err != nil {
		t.Fatal(err)
	}
	left := f.sim.QuickConnects()
	if len(left) != 245 || slices.ContainsFunc(left, func(q simconnect.QuickConnect) bool { return q.Config.User.UserID == have.ID }) {
		t.Errorf("%d quick connects are left", len(left))
	}
}
