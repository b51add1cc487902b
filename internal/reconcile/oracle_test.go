package reconcile_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// The oracle says which agents there should be. It is written apart from package
// plan and from the adapters, from what the design promises, and uses nothing of
// theirs.

// wish is the agent that somebody should have.
type wish struct {
	Username, First, Last string
	Routing, Security     string // ids
}

// office is what a mapped group stands for.
type office struct {
	group             string // id
	routing, security string // ids
}

// somebody is what is known of a person, by Okta itself or by events alone.
type somebody struct {
	status, login, first, last string
	groups                     []string // ids
}

// entitling are the statuses of those who may work.
var entitling = []string{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"}

// wishes gives the agents that there should be, by Okta user id. Of several
// offices the first one counts.
func wishes(people map[string]somebody, offices []office) map[string]wish {
	out := map[string]wish{}
	for id, p := range people {
		if !slices.Contains(entitling, p.status) {
			continue
		}
		at := slices.IndexFunc(offices, func(o office) bool { return slices.Contains(p.groups, o.group) })
		if at < 0 || !possible(p.login) {
			continue
		}
		first := cmp.Or(p.first, p.last, p.login)
		out[id] = wish{p.login, first, cmp.Or(p.last, first), offices[at].routing, offices[at].security}
	}
	return out
}

// possible reports whether Amazon Connect can hold a username. Source: Amazon
// Connect API, CreateUser: for SAML up to 64 characters of [a-zA-Z0-9_-.\@]+; a
// SAML RoleSessionName has at least 2.
func possible(login string) bool {
	if len(login) < 2 || len(login) > 64 {
		return false
	}
	return !strings.ContainsFunc(login, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.@", r)
	})
}

// inOkta gives everybody as the org knows them.
func inOkta(org *simokta.Org) map[string]somebody {
	ids := map[string]string{}
	for _, g := range org.Groups() {
		ids[g.Name] = g.ID
	}
	people := map[string]somebody{}
	for _, u := range org.Users() {
		first, _ := u.Profile["firstName"].(string)
		last, _ := u.Profile["lastName"].(string)
		p := somebody{status: u.Status, login: u.Login, first: first, last: last}
		for _, name := range u.Groups {
			p.groups = append(p.groups, ids[name])
		}
		people[u.ID] = p
	}
	return people
}

// told is an event as a delivery carries it.
type told struct {
	UUID      string    `json:"uuid"`
	Type      string    `json:"eventType"`
	Published time.Time `json:"published"`
	Outcome   struct {
		Result string `json:"result"`
	} `json:"outcome"`
	Target []struct {
		ID          string `json:"id"`
		Type        string `json:"type"`
		AlternateID string `json:"alternateId"`
		DisplayName string `json:"displayName"`
	} `json:"target"`
}

// toldBy reads a delivery.
func toldBy(body []byte) ([]told, error) {
	var d struct {
		Data struct {
			Events []told `json:"events"`
		} `json:"data"`
	}
	err := json.Unmarshal(body, &d)
	return d.Data.Events, err
}

// ids gives the ids of the targets of one type.
func (e told) ids(kind string) []string {
	var out []string
	for _, t := range e.Target {
		if t.Type == kind {
			out = append(out, t.ID)
		}
	}
	return out
}

// hearsay is what events alone tell about memberships.
type hearsay map[[2]string]rumour // by person and group

type rumour struct {
	member         bool
	published      time.Time
	login, display string
}

// hear takes an event in: the newest about a person and a group counts, and of
// two at one time the removal.
func (h hearsay) hear(e told, mapped []string) {
	person := e.ids("User")
	member := e.Type == "group.user_membership.add"
	if len(person) != 1 || !member && e.Type != "group.user_membership.remove" || e.Outcome.Result != "SUCCESS" {
		return
	}
	for _, g := range e.ids("UserGroup") {
		old, known := h[[2]string{person[0], g}]
		newer := !known || e.Published.After(old.published) || e.Published.Equal(old.published) && old.member && !member
		if !newer || !slices.Contains(mapped, g) {
			continue
		}
		now := rumour{member: member, published: e.Published}
		for _, t := range e.Target {
			if t.Type == "User" {
				now.login, now.display = t.AlternateID, t.DisplayName
			}
		}
		h[[2]string{person[0], g}] = now
	}
}

// people gives everybody of whom something was heard.
func (h hearsay) people() map[string]somebody {
	people, latest := map[string]somebody{}, map[string]time.Time{}
	for key, r := range h {
		p := people[key[0]]
		p.status = "ACTIVE"
		if r.member {
			p.groups = append(p.groups, key[1])
		}
		if !latest[key[0]].After(r.published) {
			latest[key[0]] = r.published
			words := strings.Fields(r.display)
			p.login, p.first, p.last = r.login, "", ""
			if len(words) > 0 {
				p.first, p.last = words[0], strings.Join(words[1:], " ")
			}
		}
		people[key[0]] = p
	}
	return people
}

// clone gives a copy.
func (h hearsay) clone() hearsay { return maps.Clone(h) }

// granted is what an agent that was found has of what a wish wants.
func granted(a simconnect.Agent) wish {
	return wish{a.Username, a.IdentityInfo.FirstName, a.IdentityInfo.LastName, a.RoutingProfile, strings.Join(a.SecurityProfiles, " ")}
}
