package connect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// Groups are offered by their paths, without what is above them all, and those
// that a path would mislead about by their ids.
func TestCatalogHierarchy(t *testing.T) {
	t.Parallel()
	w := open(t, nil, func(c *Config) { c.Reads.Hierarchy = true })
	want := plan.Offer{}
	for _, path := range []string{"EMEA", "EMEA/Support", "EMEA/Support/Tier 1", "APAC", "APAC/Support"} {
		id, err := w.sim.AddHierarchyPath(path)
		if err != nil {
			t.Fatal(err)
		}
		want[path] = id
	}
	slash, err := w.sim.AddHierarchyGroup("Sales/Service", want["EMEA"])
	if err != nil {
		t.Fatal(err)
	}
	below, err := w.sim.AddHierarchyGroup("Support", slash)
	if err != nil {
		t.Fatal(err)
	}
	want[slash], want[below] = slash, below
	c, err := w.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Hierarchy); diff != "" {
		t.Errorf("the offer (-want +got):\n%s", diff)
	}
	if c.Attributes != nil || w.sent("SearchPredefinedAttributes") != 0 {
		t.Error("attributes that nobody wants were read")
	}
}

func TestCatalogAttributes(t *testing.T) {
	t.Parallel()
	w := open(t, nil, func(c *Config) { c.Reads.Proficiencies = true })
	want := map[string][]string{"Empty": nil}
	for n := range 120 {
		want[fmt.Sprintf("Attribute %d", n)] = []string{"one", "two", fmt.Sprint(n)}
	}
	for name, values := range want {
		if err := w.sim.AddPredefinedAttribute(name, values...); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want["Empty"] = c.Attributes["Empty"]
	if diff := cmp.Diff(want, c.Attributes); diff != "" || len(c.Attributes["Empty"]) != 0 {
		t.Errorf("the attributes (-want +got):\n%s", diff)
	}
	if n := w.sent("SearchPredefinedAttributes"); n != 2 || c.Hierarchy != nil || w.sent("SearchUserHierarchyGroups") != 0 {
		t.Errorf("%d calls for the attributes, hierarchy %v", n, c.Hierarchy)
	}
}

// A catalog is whole or an error.
func TestCatalogOfferBroken(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"SearchUserHierarchyGroups", "SearchPredefinedAttributes"} {
		for page := 1; page <= 2; page++ {
			w := open(t, nil, func(c *Config) { c.Reads = Reads{Hierarchy: true, Proficiencies: true} })
			for n := range 150 {
				if _, err := w.sim.AddHierarchyGroup(fmt.Sprintf("Group %d", n), ""); err != nil {
					t.Fatal(err)
				}
				if err := w.sim.AddPredefinedAttribute(fmt.Sprintf("Attribute %d", n), "a"); err != nil {
					t.Fatal(err)
				}
			}
			w.fault(t, simconnect.Fault{Operation: operation, Nth: page, Times: -1, Status: 500})
			if c, err := w.Catalog(t.Context()); err == nil {
				t.Errorf("%s, page %d: %d groups and %d attributes look like all", operation, page, len(c.Hierarchy), len(c.Attributes))
			}
		}
	}
}

// stubOf is an adapter before a server that answers by path and query, or by a
// path's beginning.
func stubOf(t testing.TB, bodies map[string]string) *Instance {
	return stub(t, func(w http.ResponseWriter, r *http.Request) {
		if body, ok := bodies[r.URL.RequestURI()]; ok {
			fmt.Fprint(w, body)
			return
		}
		for path, body := range bodies {
			if !strings.Contains(path, "?") && strings.HasPrefix(r.URL.Path, path) {
				fmt.Fprint(w, body)
				return
			}
		}
		http.NotFound(w, r)
	})
}

// The levels of a path may have holes in odd answers; what is below a hole is not
// taken for what is above it.
func TestCatalogOddGroups(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"/routing-profiles-summary/":  `{"RoutingProfileSummaryList":[]}`,
		"/security-profiles-summary/": `{"SecurityProfileSummaryList":[]}`,
		"/search-user-hierarchy-groups": `{"UserHierarchyGroups":[
			{"Id":"a","LevelId":"1","Name":"A"},
			{"Id":"b","LevelId":"2","Name":"B","HierarchyPath":{"LevelOne":{"Name":""},"LevelTwo":{"Name":"B"}}},
			{"LevelId":"1","Name":"no id","HierarchyPath":{"LevelOne":{"Name":"X"}}},
			{"Id":"root","LevelId":"0","Name":"Root"}]}`,
	}
	i := stubOf(t, bodies)
	i.reads.Hierarchy = true
	c, err := i.Catalog(t.Context())
	if diff := cmp.Diff(plan.Offer{"a": "a", "b": "b"}, c.Hierarchy); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// Agents are shown with those of their proficiencies that are asked for, and of
// others alone.
func TestAgentsSkills(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	want := make(map[string][]plan.Proficiency)
	skills := slices.Clone(f.skills[:7])
	for n := range 40 {
		a := f.full(fmt.Sprintf("00u%d", n))
		a.Proficiencies = nil
		for k := range 3 {
			p := f.skills[(n*5+k*7)%len(f.skills)]
			if !slices.ContainsFunc(a.Proficiencies, func(o plan.Proficiency) bool { return o.Attribute == p.Attribute && o.Value == p.Value }) {
				a.Proficiencies = append(a.Proficiencies, p)
			}
		}
		sortSkills(a.Proficiencies)
		id := f.make(t, a).ID
		want[id] = slices.DeleteFunc(slices.Clone(a.Proficiencies), func(p plan.Proficiency) bool { return !slices.Contains(skills, p) })
	}
	if _, err := f.sim.AddAgent(simconnect.Agent{Username: "foreign", Proficiencies: []simconnect.Proficiency{{Attribute: skills[0].Attribute, Value: skills[0].Value, Level: float64(skills[0].Level)}}}); err != nil {
		t.Fatal(err)
	}
	before := f.sent("SearchUsers")
	got := make(map[string][]plan.Proficiency)
	for a, err := range f.Agents(t.Context(), append(skills, skills[0])) {
		if err != nil {
			t.Fatal(err)
		}
		got[a.ID] = append([]plan.Proficiency{}, a.Proficiencies...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the skills (-want +got):\n%s", diff)
	}
	if n := f.sent("SearchUsers") - before; n != len(skills)+1 {
		t.Errorf("%d searches for %d skills", n, len(skills))
	}
}

// A search by a skill that breaks is no list without the skill.
func TestAgentsSkillsBroken(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	f.make(t, f.full("00u1"))
	for nth := 1; nth <= 3; nth++ {
		f.sim.ClearFaults()
		f.fault(t, simconnect.Fault{Operation: "SearchUsers", Nth: nth, Times: -1, Status: 500})
		var failed error
		for a, err := range f.Agents(t.Context(), f.skills[:2]) {
			if failed != nil || err == nil {
				t.Errorf("call %d: agent %s beside the error %v", nth, a.ID, failed)
			}
			failed = err
		}
		if failed == nil {
			t.Errorf("call %d: no error", nth)
		}
	}
}

// 10,000 agents of whom nothing more is managed are 20 calls.
func TestAgentsCalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a run with -short makes no 10,000 agents")
	}
	w := open(t, func(s *simconnect.Settings) { s.Quota = 0 }, nil)
	for n := range 10_000 {
		a := simconnect.Agent{Username: fmt.Sprintf("agent%d", n), Tags: map[string]string{tagDeployment: deployment}}
		if _, err := w.sim.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
	agents, err := collect(t, w.Instance)
	if calls := w.sim.Stats().Calls; err != nil || len(agents) != 10_000 || calls > 21 {
		t.Errorf("%d agents by %d calls: %v", len(agents), calls, err)
	}
}

// An agent has its proficiencies only where they are wanted, and all of them or
// an error.
func TestAgentProficiencies(t *testing.T) {
	t.Parallel()
	f := openFloor(t, nil, nil)
	have := f.make(t, f.full("00u1"))
	plain, err := f.another(t, nil).Agent(t.Context(), have.ID)
	if err != nil || plain.Proficiencies != nil {
		t.Errorf("%v: %v", plain.Proficiencies, err)
	}
	if n := f.sent("ListUserProficiencies"); n != 1 { // by the creation
		t.Errorf("%d calls for what nobody wants", n)
	}
	f.fault(t, simconnect.Fault{Operation: "ListUserProficiencies", Status: 404, Code: "ResourceNotFoundException"})
	if _, err := f.Agent(t.Context(), have.ID); class(err) != "not found" {
		t.Errorf("class %s: %v", class(err), err)
	}
	f.fault(t, simconnect.Fault{Operation: "ListUserProficiencies", Status: 500, Times: 3})
	if _, err := f.Agent(t.Context(), have.ID); class(err) != "unknown" {
		t.Errorf("class %s: %v", class(err), err)
	}
	var pages []string
	for n := range 250 {
		pages = append(pages, fmt.Sprintf(`{"AttributeName":"A","AttributeValue":"%03d","Level":%d.0}`, n, n%5+1))
	}
	many := stubOf(t, map[string]string{
		"/users/x/a/proficiencies?maxResults=100":             `{"UserProficiencyList":[` + strings.Join(pages[:100], ",") + `],"NextToken":"1"}`,
		"/users/x/a/proficiencies?maxResults=100&nextToken=1": `{"UserProficiencyList":[` + strings.Join(pages[100:200], ",") + `],"NextToken":"2"}`,
		"/users/x/a/proficiencies?maxResults=100&nextToken=2": `{"UserProficiencyList":[` + strings.Join(pages[200:], ",") + `]}`,
	})
	list, err := many.proficiencies(t.Context(), "x", "a")
	if err != nil || len(list) != 250 || list[249] != (plan.Proficiency{Attribute: "A", Value: "249", Level: 5}) {
		t.Errorf("%d proficiencies: %v", len(list), err)
	}
}
