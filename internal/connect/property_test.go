package connect

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// hostile are strings that break programs: by what they contain, by how they
// look, and by how they change when they are normalised or cut.
var hostile = []string{
	"", " ", "\t\n", "N/A", "null", "undefined", "NaN", "true", "0", "-1", "1e400", "0x7f",
	"\x00", "\x1b[31m", "\x7f", "\u0085", "\u009b31m", "a\rb", "a\x00b",
	"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\ufffd", "\ufffe", "\U0010ffff",
	"\u200b", "a\u200bb", "e\u200b\u0301", "\u2060", "\ufeffBOM", "\u00ad",
	"\u202eevil", "\u202a\u202b\u202c\u202d", "\u2066x\u2069", "\u200e\u200f", "\u061c",
	"\u2028", "\u2029", "\u00a0", "\u3000", "\u1680", "\u180e",
	"Ame\u0301lie", "Am\u00e9lie", "A\u030angstro\u0308m", "\u212b", "\u2126", "\u0958", "\ufb2c", "\u0344", "\u1e9b\u0323",
	"\u0301", "\u0301\u0302\u0303", "Z\u0351\u036b\u0343\u036a\u0302\u036balgo", strings.Repeat("\u0301", 400),
	"\u1100\u1161\u11a8", "\uac01", "\u0b95\u0bcd\u0bb7", "\u0915\u094d\u200d\u0937", "\u0645\u06cc\u200c\u062e",
	"\u0639\u0628\u062f \u0627\u0644\u0644\u0647", "\u05d3\u05d5\u05d3", "\u7530\u4e2d\u3055\u3093", "\ufdfa", "\ufb01",
	"\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U000e0001",
	"O'Brien", "D\u2019Angelo", "Smith-Jones", "M\u00fcller", "Stra\u00dfe", "\u0130stanbul", "\u0131", "\u01c5",
	"<script>alert(1)</script>", "'; DROP TABLE users; --", "=cmd|'/c calc'!A0", "{{7*7}}", "${jndi:ldap://x}", "%s%n%x",
	"../../etc/passwd", "a/b", "a%2Fb", "a%00b", "?x=y&z", "\"quoted\"", "back\\slash", "\\u0041", "`id`", "$(id)",
	strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("\u00e9", 300),
	strings.Repeat("e\u0301", 301), strings.Repeat("\u0958", 301), strings.Repeat("\U0001f600", 301), strings.Repeat("a ", 400),
}

// hostileText draws strings of which many are hostile and some quite ordinary.
func hostileText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(hostile),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hostile), 2, 5), func(parts []string) string { return strings.Join(parts, "") }),
		rapid.String(),
		rapid.StringN(250, 320, -1),
		rapid.StringMatching(`[A-Z][a-z]{1,12}( [A-Z][a-z]{1,12})?`),
	)
}

func hostileUsername() *rapid.Generator[string] {
	return rapid.OneOf(
		hostileText(),
		rapid.StringMatching(`[a-zA-Z0-9_.@-]{1,70}`),
		rapid.StringMatching(`[a-z.-]{1,20}@[a-z.]{1,10}\.[a-z]{1,5}`),
		rapid.StringMatching(`[a-z]{2,30}(\.[a-z]{1,30})?`),
	)
}

// Whoever the plan makes an agent of, Amazon Connect takes the agent, gives it
// back as it was meant, and needs no second change.
func TestPlannedPersonIsAccepted(t *testing.T) {
	t.Parallel()
	w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
	rapid.Check(t, func(rt *rapid.T) {
		w.accepts(t.Context(), rt, plan.Person{
			ID:        rapid.StringMatching(`00u[0-9a-zA-Z]{17}`).Draw(rt, "id"),
			Username:  hostileUsername().Draw(rt, "username"),
			FirstName: hostileText().Draw(rt, "first"),
			LastName:  hostileText().Draw(rt, "last"),
		}, plan.Phone{
			Type:             plan.SoftPhone,
			AutoAccept:       rapid.Bool().Draw(rt, "auto"),
			AfterContactWork: rapid.SampledFrom([]int{0, 1, 30, 3600, 2_000_000}).Draw(rt, "acw"),
		})
	})
}

// Each hostile string once as every field, with the rest ordinary.
func TestHostileStrings(t *testing.T) {
	t.Parallel()
	w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
	taken, refused := 0, 0
	for n, s := range hostile {
		for field, p := range map[string]plan.Person{
			"first":    {Username: "ana", FirstName: s, LastName: "D"},
			"last":     {Username: "ana", FirstName: "A", LastName: s},
			"both":     {Username: "ana", FirstName: s, LastName: s},
			"username": {Username: s, FirstName: "A", LastName: "D"},
		} {
			p.ID = fmt.Sprintf("00u%s%d", field, n)
			if w.accepts(t.Context(), t, p, plan.Phone{Type: plan.SoftPhone}) {
				taken++
			} else {
				refused++
			}
		}
	}
	if taken < 3*len(hostile) || refused == 0 {
		t.Errorf("%d taken, %d refused: every name is to be taken and few usernames", taken, refused)
	}
}

// accepts plans for a person and applies the plan; false means that the plan
// refused. It leaves the instance as empty as it was.
func (w *world) accepts(ctx context.Context, t rapid.TB, p plan.Person, phone plan.Phone) bool {
	t.Helper()
	p.Status, p.Groups = plan.StatusActive, []plan.Group{{ID: "g", Name: "Agents"}}
	settings := plan.Settings{
		Deployment: deployment,
		Policy:     plan.CreateOnly,
		Rules:      []plan.Rule{{When: plan.Condition{Groups: []plan.GroupRef{{Text: "g"}}}, Persona: "agent"}},
		Personas: map[string]plan.Persona{"agent": {Values: plan.Values{
			RoutingProfile:   plan.Literal("Basic Routing Profile"),
			SecurityProfiles: []string{"Agent", "QualityAnalyst"},
			PhoneType:        phone.Type,
			AutoAccept:       map[plan.Channel]bool{plan.Voice: phone.AutoAccept},
			AfterContactWork: map[plan.Channel]int{plan.Voice: phone.AfterContactWork},
		}}},
	}
	catalog, err := w.Catalog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	made := plan.New(settings, plan.World{Catalog: catalog, People: []plan.Person{p}})
	if len(made.Changes) == 0 {
		if len(made.Refusals) != 1 || made.Refusals[0].Code != plan.UsernameImpossible {
			t.Fatalf("neither change nor refusal of the username: %+v", made)
		}
		return false
	}
	change := made.Changes[0]
	id, err := w.Apply(ctx, change)
	if err != nil {
		t.Fatalf("create %+q %+q %+q: %v", change.After.Username, change.After.FirstName, change.After.LastName, err)
	}
	defer w.sim.RemoveAgent(id)
	got, err := w.Agent(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	want := asRead(*change.After, id)
	want.FirstName, want.LastName = short(want.FirstName, 255), short(want.LastName, 300)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the agent differs (-want +got):\n%s", diff)
	}
	if !utf8.ValidString(got.FirstName) || !norm.NFC.IsNormalString(got.FirstName) {
		t.Fatalf("first name %+q", got.FirstName)
	}
	again := plan.New(settings, plan.World{Catalog: catalog, People: []plan.Person{p}, Agents: []plan.Agent{got}})
	if !again.Empty() || len(again.Refusals) != 0 {
		t.Fatalf("the second plan is not empty: %+v", again)
	}
	return true
}

// short is the composed form of a name, cut at limit code points: what is
// wanted, in other words than those of the program.
func short(s string, limit int) string {
	var out []rune
	for _, r := range norm.NFC.String(s) {
		if len(out) < limit {
			out = append(out, r)
		}
	}
	return string(out)
}
