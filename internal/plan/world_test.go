package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/plan"
)

// apply gives the world after a plan was carried out without a fault, as the
// engine and its adapters do.
func apply(w plan.World, p plan.Plan) plan.World {
	w = deepCopy(w)
	if w.Tombstones == nil {
		w.Tombstones = map[string]plan.Agent{}
	}
	replace := func(id string, after *plan.Agent) {
		w.Agents = slices.DeleteFunc(w.Agents, func(a plan.Agent) bool { return a.ID == id })
		if after != nil {
			w.Agents = append(w.Agents, *after)
		}
	}
	for _, c := range p.Changes {
		switch c.Action {
		case plan.Create, plan.Replace:
			made := *c.After
			made.ID = "made-" + made.Username // which nobody else has
			w.Agents = append(w.Agents, made)
			if c.Action == plan.Replace {
				replace(c.Agent, c.Parked)
			}
		case plan.Adopt, plan.Update, plan.Resume:
			replace(c.Agent, c.After)
		case plan.Suspend:
			if c.Buries() {
				w.Tombstones[c.Agent] = *c.Before
			}
			replace(c.Agent, c.After)
		case plan.Delete:
			replace(c.Agent, nil)
		default:
			panic(fmt.Sprintf("apply: the action %q is not known here", c.Action))
		}
	}
	return w
}

// hostile holds strings that have broken other programs.
var hostile = []string{
	"", " ", "\t", "\n", "\r\n", "\x00", "\x1b[31mred\x1b[0m", "\x7f", "\u0085", "\u00a0", "\u00ad", "\u061c", "\u180e",
	"\u200b", "\u200c", "\u200d", "\u200e", "\u202e evil", "\u2028", "\u2060", "\u2066a\u2069", "\u2800", "\u3000", "\u3164", "\ufe0f", "\ufeff", "\ufffd", "\uffff",
	"\xff", "\xc3", "a\xe2\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	"null", "NULL", "nil", "undefined", "None", "true", "0", "-1", "1e309", "NaN", "N/A", "..", ".", "-", "--help", "~", "/etc/passwd", "C:\\con",
	"'; DROP TABLE agents; --", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "%s%n%d", "$(reboot)", "`id`", "=cmd|' /C calc'!A0", "a,b", "a;b", "a\"b", "a\\b", "a=b", "-- plan --",
	"ann@example.com", "Ann@Example.com", "ANN@EXAMPLE.COM", "ann+1@example.com", "o'neil@example.com", "a@b", "a@b.c", "a@@b.c", "@@", "a@b.c.", "a@.c", "a@b..c", "@", "user@[127.0.0.1]", "xn--80ak6aa92e.com",
	strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("ö", 65), strings.Repeat("a", 254) + " b", strings.Repeat("王", 301), strings.Repeat("\u200d", 300) + "a", strings.Repeat("e\u0301", 200),
	"Jörg", "Jo\u0308rg", "Zoe\u200b\u0308", "q\u0308\u0323", "\u0301", "\u1100\u200b\u1161", "\u1112\u1161\u11ab", "\u212a", "\u0130", "\u1e9e", "ſ", "\ufb03", "１２３", "٣", "\u0430nn@example.com",
	"نامه\u200cای", "क\u094d\u200dष", "דוד", "王芳", "ÅÅÅ", "𝒜𝓃𝓃", "👩\u200d👩\u200d👧", "🏴\U000e0067\U000e0062\U000e007f", "Z\u0351\u036b\u0343\u036a\u0302\u0352A\u0321\u034aL\u0316G\u031dO",
	"Maria del Carmen", "O'Neil-Smith Jr.", "Ann ", " Ann", "A\u00a0B",
}

// text draws ordinary, hostile and random strings.
func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	}))
}

// username draws from few names, so that people meet over them, and now and
// then from all strings.
func username() *rapid.Generator[string] {
	few := []string{
		"ann@example.com", "Ann@example.com", "ANN@EXAMPLE.COM", "bob@example.com", "bob", "BOB", "cleo.lee", "cleo", "d_d", "e-1", "xy", "x.y", "a@b.c", "z9",
	}
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "common") > 0 {
			return rapid.SampledFrom(few).Draw(t, "username")
		}
		return text().Draw(t, "username")
	})
}

var (
	allGroups = []plan.Group{
		{ID: "00g1", Name: "Agents"},
		{ID: "00g2", Name: "Leads"},
		{ID: "00g3", Name: "Everyone"},
		{ID: "00g4", Name: "00g1"}, // named like another one's id
		{ID: "00g5", Name: "Agents"},
		{ID: "00g6", Name: "\x1b[2J\u202e"},
		{ID: "00g7", Name: "Queue Basic"},
	}
	allPeople   = []string{"00u0", "00u1", "00u2", "00u3", "00u4", "00u5", "00u6", "00u7", "00u8", "00u9"}
	allStatuses = []plan.Status{
		plan.StatusStaged, plan.StatusProvisioned, plan.StatusActive, plan.StatusRecovery, plan.StatusPasswordExpired,
		plan.StatusLockedOut, plan.StatusSuspended, plan.StatusDeprovisioned, plan.StatusGone, "PAUSED", "",
	}
)

func person(id string) *rapid.Generator[plan.Person] {
	return rapid.Custom(func(t *rapid.T) plan.Person {
		status := plan.StatusActive
		if rapid.IntRange(0, 2).Draw(t, "common") == 0 {
			status = rapid.SampledFrom(allStatuses).Draw(t, "status")
		}
		return plan.Person{
			ID:        id,
			Username:  username().Draw(t, "username"),
			FirstName: text().Draw(t, "first"),
			LastName:  text().Draw(t, "last"),
			Status:    status,
			Groups: rapid.SliceOfNDistinct(rapid.SampledFrom(allGroups), 0, len(allGroups),
				func(g plan.Group) string { return g.ID }).Draw(t, "groups"),
			Profile: rapid.SampledFrom([]map[string]any{
				nil, {"team": "Basic"}, {"team": "EMEA", "phone": "+4930999"}, {"department": "Quality"}, {"team": []any{"Basic", nil, 5.0}, "department": 5.0}, {"team": nil},
			}).Draw(t, "profile"),
		}
	})
}

// anybody gives the ids of all people, and the empty one.
func anybody() []string { return append([]string{""}, allPeople...) }

func agent(id string) *rapid.Generator[plan.Agent] {
	return rapid.Custom(func(t *rapid.T) plan.Agent {
		a := plan.Agent{
			ID:               id,
			Username:         username().Draw(t, "username"),
			FirstName:        rapid.SampledFrom([]string{"Ann", ""}).Draw(t, "first"),
			LastName:         "Lee",
			RoutingProfile:   rapid.SampledFrom([]string{"rp-basic", "rp-other", "rp-parked", ""}).Draw(t, "routing"),
			SecurityProfiles: rapid.SampledFrom([][]string{{"sp-agent"}, {"sp-agent", "sp-z"}, {"sp-none"}, nil}).Draw(t, "security"),
			Hierarchy:        rapid.SampledFrom([]string{"", "h-1", "h-2"}).Draw(t, "hierarchy"),
			Owner:            rapid.SampledFrom(append(anybody(), "00u99")).Draw(t, "owner"),
			Deployment:       rapid.SampledFrom([]string{"production", "production", "production", "staging", ""}).Draw(t, "deployment"),
			State: rapid.SampledFrom([]plan.State{
				plan.StateActive, plan.StateActive, plan.StateSuspended, plan.StateRetired, plan.StateCreating, "", "asleep",
			}).Draw(t, "state"),
			Group: rapid.SampledFrom([]string{"", "00g1"}).Draw(t, "group"),
			Phone: plan.Phone{
				Type: rapid.SampledFrom([]plan.PhoneType{plan.SoftPhone, plan.DeskPhone, ""}).Draw(t, "phone"), AfterContactWork: rapid.IntRange(0, 3).Draw(t, "work"),
				DeskNumber: rapid.SampledFrom([]string{"", "+4930123456"}).Draw(t, "desk"),
			},
		}
		if rapid.Bool().Draw(t, "extras") {
			a.Proficiencies = []plan.Proficiency{{Attribute: "language", Value: "de", Level: rapid.IntRange(1, 5).Draw(t, "level")}}
			a.Channels = map[plan.Channel]plan.Handled{plan.Chat: {AutoAccept: true}}
			a.Tags = map[string]string{"site": "z", "hand": "made"}
		}
		if rapid.Bool().Draw(t, "answers") {
			a.Answers = rapid.MapOfN(rapid.SampledFrom(plan.Fields()), rapid.SampledFrom([]string{"rp-basic", "h-1", "none", "stale"}), 1, 4).Draw(t, "answers by field")
		}
		if a.State != plan.StateActive {
			a.Since = rapid.SampledFrom([]time.Time{{}, now, now.Add(-2 * time.Hour), now.Add(-10 * 24 * time.Hour), now.Add(time.Hour)}).Draw(t, "since")
		}
		return a
	})
}

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// world draws people, agents of all owners and deployments, and hidden names.
// Entries of one person or agent may be there twice and differ.
func world() *rapid.Generator[plan.World] {
	return rapid.Custom(func(t *rapid.T) plan.World {
		w := plan.World{
			Now:      now,
			Instance: rapid.SampledFrom([]string{"", "", "", "other"}).Draw(t, "instance"),
			Complete: rapid.Bool().Draw(t, "complete"),
			Catalog: plan.Catalog{
				RoutingProfiles:  plan.Offer{"Basic": "rp-basic", "BASIC": "rp-other", "Parked": "rp-parked", "Leads": "rp-leads"},
				SecurityProfiles: plan.Offer{"Agent": "sp-agent", "Admin": "sp-admin", "Quality": "sp-q1", "quality": "sp-q2", "None": "sp-none"},
				Hierarchy:        plan.Offer{"EMEA": "h-1", "EMEA/Support": "h-2"},
				Attributes:       allValues,
			},
		}
		for _, id := range rapid.SliceOfN(rapid.SampledFrom(anybody()), 0, 12).Draw(t, "people") {
			w.People = append(w.People, person(id).Draw(t, "person"))
		}
		if len(w.People) > 0 && rapid.Bool().Draw(t, "person changed while read") {
			w.People = append(w.People, changedPerson(t, rapid.SampledFrom(w.People).Draw(t, "changed person")))
		}
		for range rapid.IntRange(0, 6).Draw(t, "agents") {
			id := fmt.Sprintf("a-%d", rapid.IntRange(0, 7).Draw(t, "id"))
			w.Agents = append(w.Agents, agent(id).Draw(t, "agent"))
		}
		if len(w.Agents) > 0 && rapid.Bool().Draw(t, "agent changed while read") {
			w.Agents = append(w.Agents, changedAgent(t, rapid.SampledFrom(w.Agents).Draw(t, "changed agent")))
		}
		if rapid.IntRange(0, 2).Draw(t, "adopts") == 0 {
			w.Adopt = map[string]bool{"00u1": true, "00u2": true, "00u3": true, "00u4": true}
		}
		for _, a := range w.Agents {
			if a.State == plan.StateSuspended && rapid.Bool().Draw(t, "remembered") {
				if w.Tombstones == nil {
					w.Tombstones = map[string]plan.Agent{}
				}
				before := agent(a.ID).Draw(t, "tombstone")
				before.Username, before.Owner, before.Deployment, before.State = a.Username, a.Owner, a.Deployment, plan.StateActive
				w.Tombstones[a.ID] = before
			}
		}
		w.Hidden = rapid.SliceOfN(username(), 0, 2).Draw(t, "hidden")
		return w
	})
}

// changedPerson gives p with one thing about it drawn anew.
func changedPerson(t *rapid.T, p plan.Person) plan.Person {
	other := person(p.ID).Draw(t, "other")
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		p.Status = other.Status
	case 1:
		p.Username = other.Username
	case 2:
		p.FirstName, p.LastName = other.FirstName, other.LastName
	case 3:
		p.Profile = other.Profile
	default:
		p.Groups = other.Groups
	}
	return p
}

// changedAgent gives a with one thing about it drawn anew.
func changedAgent(t *rapid.T, a plan.Agent) plan.Agent {
	other := agent(a.ID).Draw(t, "other")
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		a.Username = other.Username
	case 1:
		a.Owner = other.Owner
	case 2:
		a.Deployment = other.Deployment
	case 3:
		return other
	default:
		a.State = other.State
	}
	return a
}

// deepCopy gives a world that shares no memory with w.
func deepCopy(w plan.World) plan.World {
	w.People = slices.Clone(w.People)
	for i := range w.People {
		w.People[i].Groups, w.People[i].Profile = slices.Clone(w.People[i].Groups), maps.Clone(w.People[i].Profile)
	}
	w.Agents = slices.Clone(w.Agents)
	for i := range w.Agents {
		w.Agents[i] = deepCopyAgent(w.Agents[i])
	}
	w.Hidden = slices.Clone(w.Hidden)
	w.Adopt = maps.Clone(w.Adopt)
	w.Tombstones = maps.Clone(w.Tombstones)
	for id, a := range w.Tombstones {
		w.Tombstones[id] = deepCopyAgent(a)
	}
	return w
}

func deepCopyAgent(a plan.Agent) plan.Agent {
	a.SecurityProfiles, a.Proficiencies = slices.Clone(a.SecurityProfiles), slices.Clone(a.Proficiencies)
	a.Channels, a.Tags, a.Answers = maps.Clone(a.Channels), maps.Clone(a.Tags), maps.Clone(a.Answers)
	return a
}
