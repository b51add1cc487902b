package connect

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/connect/types"
)

// An agent who is as good as can be at something is given it again, at the same
// level: the answer is that of any other repetition, and nothing changes.
func TestBestProficiencyAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		repeats string
		code    string
	}{
		"refused":  {Reject, codeInvalidRequest},
		"accepted": {Accept, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *Settings) { s.ProficiencyRepeats = c.repeats })
			if err := w.AddPredefinedAttribute("language", "de", "en"); err != nil {
				t.Fatal(err)
			}
			id := w.create(t, "ana")
			wantCode(t, "first", w.associate(t, id, speaks("en", 5)), "")
			first, _ := w.Agent(id)
			w.clock.advance(time.Minute)
			wantCode(t, "again", w.associate(t, id, speaks("en", 5)), c.code)
			w.wantProficiencies(t, "again", id, Proficiency{"language", "en", 5})
			again, _ := w.Agent(id)
			if moved := !again.ProficienciesModified.Equal(first.ProficienciesModified.Time); moved && c.code != "" {
				t.Errorf("a refusal changed the time from %v to %v", first.ProficienciesModified, again.ProficienciesModified)
			}
			wantCode(t, "with another one", w.associate(t, id, speaks("en", 5), speaks("de", 1)), c.code)
			if c.code == "" {
				w.wantProficiencies(t, "with another one", id, Proficiency{"language", "de", 1}, Proficiency{"language", "en", 5})
			} else {
				w.wantProficiencies(t, "refused as a whole", id, Proficiency{"language", "en", 5})
			}
			wantCode(t, "update to the same", w.update(t, id, speaks("en", 5)), "")
		})
	}
}

// In an instance that has no status in which contacts are taken a contact still
// makes its agent busy, and the agent cannot sign in.
func TestContactWithoutRoutableStatus(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	a, err := w.AddAgent(Agent{Username: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range w.Catalog(AgentStatus) {
		if e.Type == statusRoutable {
			if err := w.RemoveCatalogEntry(e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.SignIn(a.ID); err == nil {
		t.Error("an agent signs in to a status that there is not")
	}
	contact, err := w.BeginContact(a.ID, Contact{})
	if err != nil {
		t.Fatal(err)
	}
	mine := types.UserDataFilters{Agents: []string{a.ID}}
	shown := w.shift(t, 100, mine)
	if len(shown) != 1 || len(shown[0].Contacts) != 1 || *shown[0].Contacts[0].ContactId != contact {
		t.Fatalf("the agent with a contact is shown as %+v", shown)
	}
	if p, _ := w.Presence(a.ID); p.StatusType != statusOffline || len(p.Contacts) != 1 {
		t.Errorf("presence: %+v", p)
	}
	if err := w.EndContact(contact); err != nil {
		t.Fatal(err)
	}
	if shown := w.shift(t, 100, mine); len(shown) != 0 {
		t.Errorf("without the contact the agent is shown as %+v", shown)
	}
}
