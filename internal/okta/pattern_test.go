package okta_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	sim "connectroster/internal/sim/okta"
)

func TestNamePrefix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`^CC-`:                      "CC-",
		`^CC-(?<queue>\w+)$`:        "CC-",
		`^(?<site>CC)-(\w+)$`:       "CC-",
		`^Agents$`:                  "Agents",
		`^A \"quoted\" \\ group`:    `A "quoted" \ group`,
		`^Équipe (un|deux)`:         "Équipe ",
		`\ACC`:                      "CC",
		`CC-`:                       "", // anywhere
		`^(?i)CC-`:                  "",
		`(?i)^cc`:                   "",
		`^C?C`:                      "",
		`^CC|^DD`:                   "",
		`^(CC|DD)`:                  "",
		`^.*`:                       "",
		`^`:                         "",
		`(?m)^CC`:                   "",
		`^CC-A|^CC-B`:               "CC-",
		`^Contact center [0-9]{2}$`: "Contact center ",
	} {
		re := regexp.MustCompile(text)
		got := okta.NamePrefix(re)
		if got != want && (got != "" || text != `^CC-A|^CC-B`) { // which may be factored out or not
			t.Errorf("%s begins with %q, not %q", text, got, want)
		}
		if got != "" && re.MatchString("x"+got) {
			t.Errorf("%s matches what does not begin with %q", text, got)
		}
	}
}

// matched gives who is read for which groups.
func matched(t *testing.T, d *okta.Directory) map[string][]string {
	t.Helper()
	people, err := gather(t, d)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, p := range people {
		for _, g := range p.Groups {
			out[p.Username] = append(out[p.Username], g.Name)
		}
	}
	return out
}

func addGroups(t *testing.T, org *sim.Org, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := org.AddGroup(name); err != nil {
			t.Fatal(err)
		}
	}
}

func simply(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A regular expression means whatever matches at each sweep, by a search or by
// the whole list.
func TestPeopleByPattern(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{`/^CC-(?<queue>\w+)$/`, `/CC-\w+$/`} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			org, client, calls := simOrg(t)
			addGroups(t, org, "CC-Billing", "CC-Sales", "CC-", "cc-lower", "Other")
			for login, groups := range map[string][]string{
				"ana@example.com": {"CC-Billing"}, "bob@example.com": {"CC-Sales", "CC-Billing", "Other"},
				"cyd@example.com": {"CC-", "cc-lower", "Other"}, "dee@example.com": {"Supervisors", "CC-Sales"},
			} {
				_, err := org.AddUser(newSimUser(login, groups...))
				simply(t, err)
			}
			d := newAPIDirectory(t, client, "", "Supervisors", ref)
			want := map[string][]string{
				"ana@example.com": {"CC-Billing"}, "bob@example.com": {"CC-Billing", "CC-Sales"}, "dee@example.com": {"Supervisors", "CC-Sales"},
			}
			calls.Store(0)
			if diff := cmp.Diff(want, matched(t, d)); diff != "" {
				t.Error(diff)
			}
			// One looks the exact name up, one the expression, one reads them all, and three read the members.
			if n := calls.Load(); n != 6 {
				t.Errorf("%d calls", n)
			}

			addGroups(t, org, "CC-New")
			simply(t, org.Join("cyd@example.com", "CC-New"))
			simply(t, org.UpdateGroup("CC-Billing", "Billing", ""))
			simply(t, org.DeleteGroup("Other"))
			calls.Store(0)
			want = map[string][]string{"bob@example.com": {"CC-Sales"}, "dee@example.com": {"Supervisors", "CC-Sales"}, "cyd@example.com": {"CC-New"}}
			if diff := cmp.Diff(want, matched(t, d)); diff != "" {
				t.Errorf("after changes: %s", diff)
			}
			if n := calls.Load(); n != 5 {
				t.Errorf("%d calls for the next sweep", n)
			}
			// A person whose group matches no more is simply not in it.
			ana := userNamed(t, org, "ana@example.com").ID
			if p, err := d.Person(t.Context(), ana); err != nil || !slices.ContainsFunc(p.Groups, func(g plan.Group) bool { return g.Name == "Billing" }) {
				t.Errorf("%v, %v", p.Groups, err)
			}

			simply(t, org.DeleteGroup("CC-Sales"), org.DeleteGroup("CC-New"))
			calls.Store(0)
			if diff := cmp.Diff(map[string][]string{"dee@example.com": {"Supervisors"}}, matched(t, d)); diff != "" {
				t.Errorf("all are gone: %s", diff)
			}
			if n := calls.Load(); n != 5 { // two of them make sure that the two are gone
				t.Errorf("%d calls for a sweep without any", n)
			}
			groups, err := d.Groups(t.Context())
			if err != nil || len(groups) != 1 {
				t.Errorf("%v, %v", groups, err)
			}
		})
	}
}

// Okta's search lags behind in both directions: what is known from before, or
// from an event, is asked for by its id.
func TestPatternSearchLags(t *testing.T) {
	t.Parallel()
	clock := newAPIClock()
	org, client, _ := simOrgAs(t, sim.Config{Now: clock.now})
	addGroups(t, org, "CC-Old", "CC-Doomed", "Then")
	for i, g := range []string{"CC-Old", "CC-Doomed", "Then"} {
		_, err := org.AddUser(newSimUser(fmt.Sprintf("p%d@example.com", i), g))
		simply(t, err)
	}
	d := newAPIDirectory(t, client, "", "/^CC-/")
	want := map[string][]string{"p0@example.com": {"CC-Old"}, "p1@example.com": {"CC-Doomed"}}
	if diff := cmp.Diff(want, matched(t, d)); diff != "" {
		t.Fatal(diff)
	}
	simply(t, org.Configure(func(s *sim.Settings) { s.SearchLag = time.Hour }))
	clock.move(time.Minute) // the index is still empty: it lacks even Everyone
	if people, err := gather(t, d); err == nil {
		t.Errorf("an empty index gives %d people", len(people))
	}
	clock.move(2 * time.Hour)
	simply(t, org.DeleteGroup("CC-Doomed"), org.UpdateGroup("Then", "CC-Now", ""))
	clock.move(time.Minute)
	want = map[string][]string{"p0@example.com": {"CC-Old"}}
	if diff := cmp.Diff(want, matched(t, d)); diff != "" {
		t.Errorf("the index shows the past: %s", diff)
	}
	feed := newAPIFeed(t, client, d)
	page, _ := drain(t, feed, "", clock.now().Add(-time.Hour))
	if now := groupNamed(t, org, "CC-Now").ID; !slices.Contains(page.Fan, now) {
		t.Errorf("the event of %s is passed over: %v", now, page.Fan)
	}
	want["p2@example.com"] = []string{"CC-Now"}
	if diff := cmp.Diff(want, matched(t, d)); diff != "" {
		t.Errorf("after the event: %s", diff)
	}
	if diff := cmp.Diff(want, matched(t, d)); diff != "" {
		t.Errorf("and again: %s", diff)
	}
}

// Events of groups that match, or did so at the last sweep, ask for a look.
func TestPatternEvents(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t, newSimUser("ana@example.com"))
	ana := userNamed(t, org, "ana@example.com").ID
	addGroups(t, org, "CC-Billing", "Other")
	d := newAPIDirectory(t, client, "", "/^CC-/")
	feed := newAPIFeed(t, client, d)
	since := time.Now().Add(-time.Hour)
	start, _ := drain(t, feed, "", since)
	if _, err := gather(t, d); err != nil {
		t.Fatal(err)
	}
	billing := groupNamed(t, org, "CC-Billing").ID
	cursor := start.Next
	next := func(name string, fan []string, people ...string) {
		t.Helper()
		page, _ := drain(t, feed, cursor, since)
		cursor = page.Next
		var asked []string
		for _, r := range page.Requests {
			asked = append(asked, r.Person)
		}
		if !slices.Equal(page.Fan, fan) || !slices.Equal(asked, people) {
			t.Errorf("%s: %v and %v", name, page.Fan, asked)
		}
	}
	simply(t, org.Join(ana, "CC-Billing"))
	next("joined", nil, ana)
	simply(t, org.Join(ana, "Other"))
	next("joined another", nil)
	simply(t, org.UpdateGroup("CC-Billing", "Billing", ""))
	next("renamed away", []string{billing})
	simply(t, org.Leave(ana, "Billing"))
	next("left before the sweep", nil, ana)
	if _, err := gather(t, d); err != nil {
		t.Fatal(err)
	}
	simply(t, org.Join(ana, "Billing"))
	next("joined what matches no more", nil)
	addGroups(t, org, "CC-Fresh")
	next("created", []string{groupNamed(t, org, "CC-Fresh").ID})
}

// No fault of a list makes the groups of a regular expression fewer.
func TestPatternFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range apiFaults(t) {
		for page := 1; page <= 5; page++ {
			if fault.short && (!fault.ends || page > 1) { // then it is the group Everyone that is missing
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", fault.name, page), func(t *testing.T) {
				t.Parallel()
				o, client, hits := spoiled(t, fault, "groups", page)
				everyone := o.lists["groups"]
				o.lists["groups"] = nil
				for i := range 1000 {
					o.lists["groups"] = append(o.lists["groups"], apiGroupRow(apiID("00g5", i), fmt.Sprintf("CC-%d", i), "OKTA_GROUP", 0))
				}
				o.lists["groups"] = append(o.lists["groups"], everyone...)
				o.lists["groups"][0] = apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 0)
				if fault.name == "no next link" || fault.name == "empty list" {
					o.lists["groups"][0], o.lists["groups"][300] = o.lists["groups"][300], o.lists["groups"][0]
				}
				groups, err := newAPIDirectory(t, client, "", "/^CC-/").Groups(t.Context())
				if err == nil {
					t.Errorf("%d groups", len(groups))
				}
				if hits.Load() == 0 {
					t.Error("the fault was not met")
				}
			})
		}
	}
}

// A group that was there, and that neither search nor list shows, is not gone
// before Okta says so.
func TestPatternGroupHidden(t *testing.T) {
	t.Parallel()
	org, client, _ := simOrg(t)
	addGroups(t, org, "CC-One", "CC-Two")
	d := newAPIDirectory(t, client, "", "/^CC-/")
	if _, err := d.Groups(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, list := range []int{1, 2} { // the search, and the list by ids
		org.ClearFaults()
		simply(t, org.AddFaults(sim.Fault{Endpoint: "GET /api/v1/groups", Kind: sim.FaultThin, Percent: 67, Nth: list}))
		groups, err := d.Groups(t.Context())
		if list == 1 && (err != nil || len(groups) != 2) || list == 2 && err == nil {
			t.Errorf("list %d: %v, %v", list, groups, err)
		}
	}
	org.ClearFaults()
	simply(t, org.SetTokenRoles(apiToken))
	if groups, err := d.Groups(t.Context()); err == nil {
		t.Errorf("without a role: %v", groups)
	}
}

func TestPatternThatIsNone(t *testing.T) {
	t.Parallel()
	_, client, calls := simOrg(t)
	_, err := newAPIDirectory(t, client, "", "/^(CC/").Groups(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no regular expression") || calls.Load() != 0 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

// Many expressions share searches.
func TestPatternCalls(t *testing.T) {
	t.Parallel()
	o := newAPIOrg(t, 10, 2, 0)
	o.lists["groups"] = append(o.lists["groups"], apiGroupRow("00g00000000000000000", "Everyone", "BUILT_IN", 0))
	var refs []string
	for i := range 41 {
		refs = append(refs, fmt.Sprintf("/^Amazon Connect Agents|^%d/", i), fmt.Sprintf("/^Amazon %d/", i))
	}
	var searches atomic.Int64
	o.spoil = func(w http.ResponseWriter, r *http.Request, l *apiList) bool {
		if search := r.URL.Query().Get("search"); search != "" {
			searches.Add(1)
			if len(r.URL.RequestURI()) > 4000 {
				t.Errorf("a URL of %d bytes", len(r.URL.RequestURI()))
			}
		}
		return onlyAskedFor(w, r, l)
	}
	var prefixed []string
	for _, ref := range refs {
		if okta.NamePrefix(regexp.MustCompile(strings.Trim(ref, "/"))) != "" {
			prefixed = append(prefixed, ref)
		}
	}
	prefixed = append(prefixed, "/^Amazon Connect/")
	if people, err := gather(t, newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", prefixed...)); err != nil || len(people) != 10 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	// Two searches for 42 expressions, one list by ids, one of members.
	if n := o.count(); n != 4 || searches.Load() != 2 {
		t.Errorf("%d calls, %d searches: %v", n, searches.Load(), slices.Collect(maps.Keys(o.calls)))
	}
	before := o.count()
	if people, err := gather(t, newAPIDirectory(t, newAPIClient(t, o.server.URL, nil), "", refs...)); err != nil || len(people) != 10 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	if n := o.count() - before; n != 3 { // one that has no prefix takes the whole list, which serves all
		t.Errorf("%d calls", n)
	}
}

// Hook-only mode knows regular expressions too.
func TestHookByPattern(t *testing.T) {
	t.Parallel()
	q := &queue{}
	c := config(q)
	c.Facts = true
	c.Groups = func() []string { return []string{"/^Amazon (?<what>\\w+) Agents$/", "/^(/"} }
	h := newHook(t, c)
	if w := deliver(h, envelope(joined("00u1", "ana@example.com", "Ana Silva"))); w.Code != http.StatusNoContent {
		t.Fatal(w.Code)
	}
	if got := q.take(); len(got) != 1 || len(got[0].Facts) != 1 {
		t.Fatalf("%v", got)
	}
	c.Groups = func() []string { return []string{"/^Connect/"} }
	h = newHook(t, c)
	if w := deliver(h, envelope(joined("00u1", "ana@example.com", "Ana Silva"))); w.Code != http.StatusNoContent || len(q.take()) != 0 {
		t.Errorf("%d", w.Code)
	}
	d := okta.NewFactDirectory(shelf{facts: []reconcile.Fact{fact("ana", "g1", true, 1, "ana@example.com", "Ana Silva")}},
		func() []string { return []string{"/ of g1$/"} })
	if p, err := d.Person(t.Context(), "ana"); err != nil || len(p.Groups) != 1 {
		t.Errorf("%v, %v", p, err)
	}
}

// Setting up knows what an expression means now, and does not narrow the hook
// down to that.
func TestSetupByPattern(t *testing.T) {
	t.Parallel()
	w := newSetupWorld(t, sim.Config{})
	addGroups(t, w.Org, "CC-One", "CC-Two", "Other")
	by := func(c *okta.OrgConfig) { c.Groups = []string{groupName, "/^CC-/", "/^None/"} }
	wantStates(t, w.setup(by), "unchanged group", "unchanged group", "unchanged group", "done group",
		"done app", "done app", "done app", "done event hook", "done verification")
	if w.Groups()[len(w.Groups())-1].Name != groupName {
		t.Errorf("%v", w.Groups())
	}
	addGroups(t, w.Org, "CC-Three")
	for _, name := range []string{groupName, "CC-One", "CC-Three"} {
		if n := w.delivered(name); n != 1 {
			t.Errorf("%d deliveries for %s", n, name)
		}
	}
	h := w.status(by)
	if h.Healthy() || !strings.Contains(findings(h), `"CC-Three" is not assigned`) || !strings.Contains(findings(h), "no group matches /^None/") {
		t.Errorf("%s", findings(h))
	}
	text := okta.ByHand(w.config(by))
	if !strings.Contains(text, "that match /^CC-/") || !strings.Contains(text, "no filter") {
		t.Errorf("%s", text)
	}
}
