package connect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// floor is a world with all that an agent can be given.
type floor struct {
	*world
	routing, security, groups []string // ids
	skills                    []plan.Proficiency
}

func openFloor(t testing.TB, settings func(*simconnect.Settings), config func(*Config)) *floor {
	t.Helper()
	f := &floor{world: open(t, func(s *simconnect.Settings) {
		s.Quota = 0
		if settings != nil {
			settings(s)
		}
	}, func(c *Config) {
		c.Reads = Reads{Hierarchy: true, Proficiencies: true}
		if config != nil {
			config(c)
		}
	})}
	must := func(id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	f.routing = []string{f.sim.RoutingProfileID("Basic Routing Profile"), must(f.sim.AddRoutingProfile("Night")), must(f.sim.AddParkingProfile("Parked"))}
	f.security = []string{f.sim.SecurityProfileID("Agent"), f.sim.SecurityProfileID("QualityAnalyst"), must(f.sim.AddSecurityProfile("None"))}
	f.groups = []string{"", must(f.sim.AddHierarchyPath("EMEA/Support")), must(f.sim.AddHierarchyPath("EMEA/Sales/Tier 1"))}
	for attribute, values := range map[string][]string{"Language": {"German", "English", "French"}, "Product": {"Loans", "Cards"}} {
		must("", f.sim.AddPredefinedAttribute(attribute, values...))
		for _, value := range values {
			for level := range 5 {
				f.skills = append(f.skills, plan.Proficiency{Attribute: attribute, Value: value, Level: level + 1})
			}
		}
	}
	return f
}

// full is an agent of a person with something of everything.
func (f *floor) full(person string) plan.Agent {
	return plan.Agent{
		Username: "agent-" + person, FirstName: "Ana", LastName: "Díaz",
		RoutingProfile:   f.routing[0],
		SecurityProfiles: sorted(f.security[:2]),
		Hierarchy:        f.groups[1],
		Proficiencies:    []plan.Proficiency{{Attribute: "Language", Value: "English", Level: 3}, {Attribute: "Language", Value: "German", Level: 5}},
		Phone:            plan.Phone{Type: plan.DeskPhone, DeskNumber: "+4930123456", AutoAccept: true, AfterContactWork: 30, Persistent: true, Enhancement: plan.NoiseSuppression},
		Channels: map[plan.Channel]plan.Handled{
			plan.Chat: {AutoAccept: true, AfterContactWork: 60}, plan.Task: {AfterContactWork: 0}, plan.Email: {AfterContactWork: 90},
		},
		Tags:       map[string]string{"team": "red", "cost centre": "4711"},
		Owner:      person,
		Deployment: deployment,
		State:      plan.StateActive,
		Group:      "00g1",
		Answers:    map[plan.Field]string{plan.FieldRouting: f.routing[0], plan.FieldName: "0123"},
	}
}

// other has a value other than full's in every field.
func (f *floor) other(person string) plan.Agent {
	a := f.full(person)
	a.FirstName, a.LastName = "Anna", "Diaz"
	a.RoutingProfile, a.SecurityProfiles, a.Hierarchy = f.routing[2], []string{f.security[2]}, ""
	a.Proficiencies = []plan.Proficiency{{Attribute: "Language", Value: "English", Level: 4}, {Attribute: "Product", Value: "Loans", Level: 1}}
	a.Phone = plan.Phone{Type: plan.SoftPhone, AfterContactWork: 0, Enhancement: plan.VoiceIsolation}
	a.Channels = map[plan.Channel]plan.Handled{plan.Chat: {AfterContactWork: 5}, plan.Task: {AutoAccept: true, AfterContactWork: 10}, plan.Email: {}}
	a.Tags = map[string]string{"team": "blue", "cost centre": "4711", "floor": "2"}
	a.Group, a.Answers = "", map[plan.Field]string{plan.FieldRouting: f.routing[2], plan.FieldSecurity: "4567"}
	return a
}

// make creates an agent and gives it as it is read.
func (f *floor) make(t testing.TB, a plan.Agent) plan.Agent {
	t.Helper()
	id, err := f.Apply(context.Background(), plan.Change{Action: plan.Create, Person: a.Owner, After: &a})
	if err != nil {
		t.Fatalf("create the agent of %s: %v", a.Owner, err)
	}
	return asRead(a, id)
}

// reads compares an agent with what both ways of reading give of it.
func (f *floor) reads(t rapid.TB, want plan.Agent) {
	t.Helper()
	got, err := f.Agent(context.Background(), want.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("DescribeUser: %v (-want +got):\n%s", err, diff)
	}
	skills := append(slices.Clone(want.Proficiencies), f.skills[0], f.skills[len(f.skills)-1])
	for got, err := range f.Agents(context.Background(), skills) {
		if err != nil {
			t.Fatalf("SearchUsers: %v", err)
		}
		if got.ID != want.ID {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("SearchUsers (-want +got):\n%s", diff)
		}
		return
	}
	t.Fatalf("SearchUsers does not show agent %s", want.ID)
}

// everything are the fields that an Update can write.
func everything() []plan.Field { return append(plan.Fields(), plan.FieldOwnership) }

func TestLifeOfAnAgent(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*simconnect.Settings){
		"as documented":  nil,
		"twins":          func(s *simconnect.Settings) { s.ChannelTwins = true },
		"merge, repeats": func(s *simconnect.Settings) { s.MergeIdentity, s.ProficiencyRepeats = true, simconnect.Accept },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, settings, nil)
			person := "00u1"
			have := f.make(t, f.full(person))
			f.reads(t, have)

			step := func(action plan.Action, to plan.Agent, fields ...plan.Field) {
				t.Helper()
				before, after := have, f.overlay(have, to, fields)
				id, err := f.Apply(t.Context(), plan.Change{Action: action, Person: person, Agent: have.ID, Before: &before, After: &after, Fields: fields})
				if err != nil || id != have.ID {
					t.Fatalf("%s: agent %s, %v", action, id, err)
				}
				have = after
				f.reads(t, have)
			}
			parked := f.other(person)
			parked.State, parked.Since = plan.StateSuspended, time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
			if err := f.sim.SignIn(have.ID); err != nil {
				t.Fatal(err)
			}
			step(plan.Update, f.other(person), everything()...)
			step(plan.Update, f.full(person), everything()...)
			step(plan.Suspend, parked, everything()...)
			if p, _ := f.sim.Presence(have.ID); p.StatusType != "OFFLINE" {
				t.Errorf("the suspended agent is %s", p.Status)
			}
			if stored, _ := f.sim.Agent(have.ID); stored.Tags[tagState] != "suspended 2026-11-25T01:02:03Z" {
				t.Errorf("the tag of the state is %q", stored.Tags[tagState])
			}
			step(plan.Resume, f.full(person), everything()...)

			if _, err := f.Apply(t.Context(), plan.Change{Action: plan.Release, Person: person, Agent: have.ID, Before: &have}); err != nil {
				t.Fatalf("release: %v", err)
			}
			stored, _ := f.sim.Agent(have.ID)
			if diff := cmp.Diff(have.Tags, stored.Tags); diff != "" {
				t.Errorf("the tags after the release (-want +got):\n%s", diff)
			}
			free, err := f.Agent(t.Context(), have.ID)
			if err != nil {
				t.Fatal(err)
			}
			adopted := free
			adopted.Owner, adopted.Deployment, adopted.State, adopted.Group = "00u2", deployment, plan.StateActive, "00g2"
			if _, err := f.Apply(t.Context(), plan.Change{Action: plan.Adopt, Person: "00u2", Agent: have.ID, Before: &free, After: &adopted}); err != nil {
				t.Fatalf("adopt: %v", err)
			}
			f.reads(t, adopted)
			if _, err := f.Apply(t.Context(), plan.Change{Action: plan.Delete, Person: "00u2", Agent: have.ID, Before: &adopted}); err != nil {
				t.Fatalf("delete: %v", err)
			}
			if _, there := f.sim.Agent(have.ID); there {
				t.Error("the deleted agent is there")
			}
		})
	}
}

// What is written is read again, by both ways of reading, whatever it is and
// whatever was there.
func TestWrittenIsRead(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*simconnect.Settings){
		"lists as set": nil,
		"twins":        func(s *simconnect.Settings) { s.ChannelTwins, s.MergeIdentity = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFloor(t, settings, nil)
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				a := f.draw(rt, fmt.Sprintf("00u%d", n))
				id, err := f.Apply(t.Context(), plan.Change{Action: plan.Create, Person: a.Owner, After: &a})
				if err != nil {
					rt.Fatalf("create %+v: %v", a, err)
				}
				defer f.sim.RemoveAgent(id)
				have := asRead(a, id)
				f.reads(rt, have)
				for range 3 {
					action := rapid.SampledFrom([]plan.Action{plan.Update, plan.Suspend, plan.Resume}).Draw(rt, "action")
					fields := rapid.SliceOfNDistinct(rapid.SampledFrom(everything()), 1, -1, rapid.ID).Draw(rt, "fields")
					next := f.overlay(have, f.draw(rt, a.Owner), fields)
					seq := len(f.sim.Ledger())
					_, err := f.Apply(t.Context(), plan.Change{Action: action, Person: a.Owner, Agent: id, Before: &have, After: &next, Fields: fields})
					if err != nil {
						rt.Fatalf("%s %v: %v", action, fields, err)
					}
					f.reads(rt, next)
					f.within(rt, seq, action, id, fields)
					have = next
				}
			})
		})
	}
}

// draw makes up an agent.
func (f *floor) draw(t *rapid.T, person string) plan.Agent {
	a := plan.Agent{
		Username:         "agent-" + person,
		FirstName:        rapid.StringMatching(`[A-ZÄÖÉ][a-zß]{0,9}`).Draw(t, "first"),
		LastName:         rapid.StringMatching(`[A-ZÄÖÉ][a-zß]{0,9}`).Draw(t, "last"),
		RoutingProfile:   rapid.SampledFrom(f.routing).Draw(t, "routing"),
		SecurityProfiles: sorted(rapid.SliceOfNDistinct(rapid.SampledFrom(f.security), 1, 3, rapid.ID).Draw(t, "security")),
		Hierarchy:        rapid.SampledFrom(f.groups).Draw(t, "hierarchy"),
		Owner:            person,
		Deployment:       deployment,
		State:            rapid.SampledFrom([]plan.State{plan.StateActive, plan.StateSuspended, plan.StateRetired}).Draw(t, "state"),
		Group:            rapid.SampledFrom([]string{"", "00g1", "00g2"}).Draw(t, "group"),
	}
	if a.State != plan.StateActive {
		a.Since = time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "since"), 0).UTC()
	}
	list := rapid.SliceOfNDistinct(rapid.SampledFrom(f.skills), 0, 5, func(p plan.Proficiency) string { return p.Attribute + p.Value }).Draw(t, "skills")
	if len(list) > 0 {
		sortSkills(list)
		a.Proficiencies = list
	}
	limit := func(name string) int { return rapid.SampledFrom([]int{0, 1, 30, 2_000_000}).Draw(t, name) }
	a.Phone = plan.Phone{
		Type:             rapid.SampledFrom([]plan.PhoneType{plan.SoftPhone, plan.DeskPhone}).Draw(t, "type"),
		AutoAccept:       rapid.Bool().Draw(t, "auto"),
		AfterContactWork: limit("limit"),
		Persistent:       rapid.Bool().Draw(t, "persistent"),
		Enhancement:      rapid.SampledFrom([]plan.Enhancement{"", plan.VoiceIsolation, plan.NoiseSuppression, plan.NoEnhancement}).Draw(t, "enhancement"),
	}
	if a.Phone.Type == plan.DeskPhone {
		a.Phone.DeskNumber = rapid.StringMatching(`\+[1-9][0-9]{5,12}`).Draw(t, "number")
	}
	for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom(others), 0, 3, rapid.ID).Draw(t, "channels") {
		if a.Channels == nil {
			a.Channels = make(map[plan.Channel]plan.Handled)
		}
		a.Channels[c] = plan.Handled{AutoAccept: rapid.Bool().Draw(t, "auto"), AfterContactWork: limit("limit")}
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"team", "cost centre", "Ort", "a:b/c"}), 0, 4, rapid.ID).Draw(t, "tags") {
		if a.Tags == nil {
			a.Tags = make(map[string]string)
		}
		a.Tags[key] = rapid.SampledFrom([]string{"", "red", "Köln"}).Draw(t, "text")
	}
	for field := range tagAnswers {
		if rapid.Bool().Draw(t, "followed") {
			if a.Answers == nil {
				a.Answers = make(map[plan.Field]string)
			}
			a.Answers[field] = rapid.StringMatching(`[0-9a-f]{1,24}`).Draw(t, "answer")
		}
	}
	return a
}

// overlay gives have the fields of another agent, and nothing else.
func (f *floor) overlay(have, from plan.Agent, fields []plan.Field) plan.Agent {
	next := have
	next.Channels = maps.Clone(have.Channels)
	for _, field := range fields {
		switch field {
		case plan.FieldName:
			next.FirstName, next.LastName = from.FirstName, from.LastName
		case plan.FieldRouting:
			next.RoutingProfile = from.RoutingProfile
		case plan.FieldSecurity:
			next.SecurityProfiles = from.SecurityProfiles
		case plan.FieldHierarchy:
			next.Hierarchy = from.Hierarchy
		case plan.FieldProficiencies:
			next.Proficiencies = from.Proficiencies
		case plan.FieldPhone:
			next.Phone.Type, next.Phone.DeskNumber, next.Phone.Persistent = from.Phone.Type, from.Phone.DeskNumber, from.Phone.Persistent
		case plan.FieldEnhancement:
			if from.Phone.Enhancement != "" {
				next.Phone.Enhancement = from.Phone.Enhancement
			}
		case plan.FieldAutoAccept:
			next.Phone.AutoAccept = from.Phone.AutoAccept
			for c, handled := range from.Channels {
				mine := next.Channels[c]
				mine.AutoAccept = handled.AutoAccept
				next.Channels[c] = mine
			}
		case plan.FieldAfterWork:
			next.Phone.AfterContactWork = from.Phone.AfterContactWork
			for c, handled := range from.Channels {
				mine := next.Channels[c]
				mine.AfterContactWork = handled.AfterContactWork
				next.Channels[c] = mine
			}
		case plan.FieldTags:
			tags := maps.Clone(have.Tags)
			if tags == nil && from.Tags != nil {
				tags = make(map[string]string)
			}
			maps.Copy(tags, from.Tags)
			next.Tags = tags
		case plan.FieldOwnership:
			next.State, next.Since, next.Group, next.Answers = from.State, from.Since, from.Group, from.Answers
		}
	}
	return next
}

// writes are the operations that a field may be written by.
var writes = map[plan.Field][]string{
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
}

// within checks that all writes since an entry of the ledger are to the agent,
// of the fields, once each, and change something.
func (f *floor) within(t rapid.TB, seq int, action plan.Action, id string, fields []plan.Field) {
	t.Helper()
	var may []string
	for _, field := range fields {
		may = append(may, writes[field]...)
	}
	if action == plan.Suspend {
		may = append(may, "PutUserStatus")
	}
	seen := make(map[string]bool)
	for _, e := range f.sim.LedgerAfter(seq) {
		if e.Agent != id || !slices.Contains(may, e.Operation) || seen[e.Operation] || e.Unchanged && e.Operation != "PutUserStatus" {
			t.Errorf("%s of %v wrote %s to agent %s (again: %v, needless: %v)", action, fields, e.Operation, e.Agent, seen[e.Operation], e.Unchanged)
		}
		seen[e.Operation] = true
	}
}
