package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// planWithin bounds the making of a plan: everybody is read from both sides.
const planWithin = 15 * time.Minute

// postPlan shows what would be done now. It changes nothing.
func (a *App) postPlan(w http.ResponseWriter, r *http.Request) {
	var body struct {
		People []string `json:"people"`
	}
	if !read(w, r, maxBody, &body) {
		return
	}
	patient(w)
	ctx, cancel := context.WithTimeout(r.Context(), planWithin)
	defer cancel()
	people, _, err := a.resolve(ctx, body.People)
	if err != nil {
		reply(w, nil, err)
		return
	}
	doc, err := a.document(ctx, people)
	reply(w, doc, err)
}

// document makes a plan for people, or for everybody.
func (a *App) document(ctx context.Context, people []string) (*Document, error) {
	p, err := a.engine.Propose(ctx, people...)
	if err != nil {
		return nil, err
	}
	doc := &Document{
		Version: documentVersion, Name: a.cfg.Name, Taken: p.Taken, Scope: p.Scope, Hash: p.Hash(), Policy: a.cfg.Policy, Mode: a.cfg.Mode(),
		People: p.People, First: p.First, Looked: p.Looked, Agents: p.Agents,
		Counts: map[plan.Action]int{}, Changes: []PlannedChange{}, Refusals: []PlannedRefusal{}, Orphans: p.Orphans, Calls: map[string]int{},
	}
	if err := a.foreseeCliffs(ctx, p.Changes); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	doc.Forecast = foresee(p.Changes)
	bySite := map[string]map[string]int{}
	for _, c := range p.Changes {
		shown := c.After
		if shown == nil {
			shown = c.Before
		}
		change := PlannedChange{
			Proposed: c, Name: displayName(shown), Calls: connect.Calls(c.Change),
			Differences: c.Differences(p.Catalogs[c.Instance], p.Groups),
		}
		if shown != nil {
			change.Username = shown.Username
		}
		doc.Counts[c.Action]++
		if bySite[c.Instance] == nil {
			bySite[c.Instance] = map[string]int{}
		}
		for operation, n := range change.Calls {
			doc.Calls[operation] += n
			bySite[c.Instance][operation] += n
		}
		doc.Changes = append(doc.Changes, change)
	}
	for _, r := range p.Refusals {
		doc.Refusals = append(doc.Refusals, PlannedRefusal{Refusal: r, Remedy: remedyFor(r.Code)})
	}
	for name, calls := range bySite {
		doc.ETA = max(doc.ETA, a.estimate(name, calls))
	}
	return doc, nil
}

// estimate is how many seconds calls take at the rate of an instance. Each
// operation has its own, so the one with the most calls decides.
func (a *App) estimate(name string, calls map[string]int) float64 {
	s := a.site(name)
	if s == nil || s.rate <= 0 {
		return 0
	}
	most := 0.0
	for _, n := range calls {
		most = max(most, float64(n-s.burst)/s.rate)
	}
	return most
}

// StoredPlan is what has to be known of a Document to apply it.
type StoredPlan struct {
	Version int            `json:"version"`
	Name    string         `json:"name"`
	Hash    string         `json:"hash"`
	People  []string       `json:"people,omitempty"`
	Changes []StoredChange `json:"changes"`
}

// StoredChange is a change of a StoredPlan.
type StoredChange struct {
	Instance string      `json:"instance,omitempty"`
	Person   string      `json:"person"`
	Username string      `json:"username,omitempty"`
	Action   plan.Action `json:"action"`
	Hash     string      `json:"hash"`
}

// Stored gives what has to be known of a Document to apply it.
func (d *Document) Stored() *StoredPlan {
	out := &StoredPlan{Version: d.Version, Name: d.Name, Hash: d.Hash, People: d.People, Changes: []StoredChange{}}
	for _, c := range d.Changes {
		out.Changes = append(out.Changes, StoredChange{Instance: c.Instance, Person: c.Person, Username: c.Username, Action: c.Action, Hash: c.Hash})
	}
	return out
}

// ApplyRequest asks for a plan to be carried out: a stored one, or what is right
// for people now.
type ApplyRequest struct {
	Plan   *StoredPlan `json:"plan,omitempty"`
	People []string    `json:"people,omitempty"`
	Check  bool        `json:"check,omitempty"` // only tell whether the stored plan is stale
}

// Checked is the answer to a stored plan that is not stale.
type Checked struct {
	Fresh bool `json:"fresh"`
}

// postApply has a plan carried out and tells how that goes. A stored plan must
// still be what would be done.
func (a *App) postApply(w http.ResponseWriter, r *http.Request) {
	var body ApplyRequest
	if !read(w, r, maxApply, &body) {
		return
	}
	patient(w)
	ctx, cancel := context.WithTimeout(r.Context(), planWithin)
	defer cancel()
	stored := body.Plan
	if stored == nil && body.Check {
		fail(w, http.StatusBadRequest, errors.New("check is for a stored plan, and none is given"))
		return
	}
	if stored != nil {
		switch {
		case stored.Version != documentVersion:
			fail(w, http.StatusBadRequest, fmt.Errorf("the plan has the version %d, and this program reads %d: make it anew", stored.Version, documentVersion))
			return
		case stored.Name != a.cfg.Name:
			fail(w, http.StatusBadRequest, fmt.Errorf("the plan is for the deployment %q, and this is %q: name the configuration of the other with --config, or make the plan anew", stored.Name, a.cfg.Name))
			return
		}
		body.People = stored.People
	}
	people, _, err := a.resolve(ctx, body.People)
	if err != nil {
		reply(w, nil, err)
		return
	}
	doc, err := a.document(ctx, people)
	if err != nil {
		reply(w, nil, err)
		return
	}
	if stored != nil {
		if differs := compare(stored.Changes, doc.Stored().Changes); len(differs) > 0 {
			failWith(w, http.StatusConflict, Problem{Code: "plan_stale", Error: "the plan is stale: what would be done now differs from it; nothing was changed", Differs: differs})
			return
		}
	}
	if body.Check {
		reply(w, Checked{Fresh: true}, nil)
		return
	}
	a.carryOut(w, r, doc.errand(a))
}

// errand is the carrying out of a document.
func (d *Document) errand(a *App) errand {
	e := errand{names: map[string]string{}, eta: d.ETA}
	var changes []reconcile.Proposed
	for _, c := range d.Changes {
		if _, twice := e.names[c.Person]; !twice {
			e.people = append(e.people, c.Person)
		}
		e.names[c.Person] = c.Username
		changes = append(changes, c.Proposed)
	}
	e.submit = func(ctx context.Context) error {
		_, err := a.engine.Submit(ctx, changes)
		return err
	}
	return e
}

// compare tells in what a stored plan differs from the present one.
func compare(stored, now []StoredChange) []Difference {
	type key struct {
		instance, person string
		action           plan.Action
	}
	hashes := func(changes []StoredChange) map[key]map[string]bool {
		out := map[key]map[string]bool{}
		for _, c := range changes {
			k := key{c.Instance, c.Person, c.Action}
			if out[k] == nil {
				out[k] = map[string]bool{}
			}
			out[k][c.Hash] = true
		}
		return out
	}
	before, after := hashes(stored), hashes(now)
	var out []Difference
	told := map[key]bool{}
	tell := func(c StoredChange, state string) {
		if k := (key{c.Instance, c.Person, c.Action}); !told[k] {
			told[k] = true
			out = append(out, Difference{Instance: c.Instance, Person: c.Person, Username: c.Username, Action: c.Action, State: state})
		}
	}
	for _, c := range now {
		switch known := before[key{c.Instance, c.Person, c.Action}]; {
		case known == nil:
			tell(c, "new")
		case !known[c.Hash]:
			tell(c, "changed")
		}
	}
	for _, c := range stored {
		switch known := after[key{c.Instance, c.Person, c.Action}]; {
		case known == nil:
			tell(c, "gone")
		case !known[c.Hash]:
			tell(c, "changed")
		}
	}
	return out
}

// Explained is all that is known of one person, and why.
type Explained struct {
	Person    string                `json:"person"`
	Username  string                `json:"username,omitempty"`
	Name      string                `json:"name,omitempty"`
	Status    plan.Status           `json:"status"`
	Taken     time.Time             `json:"taken"`
	Instances []ExplainedInstance   `json:"instances"`
	Stay      *reconcile.Stay       `json:"stay,omitempty"`
	Holds     []reconcile.HoldEntry `json:"holds"` // that are open
	Queue     *reconcile.Waiting    `json:"queue,omitempty"`
	Journal   []reconcile.Entry     `json:"journal"` // newest first
}

// ExplainedInstance is what is known of the person in one instance.
type ExplainedInstance struct {
	plan.Explanation
	Absent   string               `json:"absent,omitempty"` // why the instance could not be read; then nothing else is known
	Remedies map[plan.Code]string `json:"remedies,omitempty"`
	Calls    map[string]int       `json:"calls"` // that would be made
}

// explainEntries is how many entries of the journal an explanation holds.
const explainEntries = 10

func (a *App) explain(w http.ResponseWriter, r *http.Request) {
	patient(w)
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	ids, _, err := resolveBy(ctx, []string{r.PathValue("person")}, a.findOwner)
	if err != nil {
		reply(w, nil, err)
		return
	}
	out, err := a.explained(ctx, ids[0])
	reply(w, out, err)
}

func (a *App) explained(ctx context.Context, id string) (*Explained, error) {
	seen, err := a.engine.Look(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(seen) == 0 {
		return nil, errors.New("no instance is configured")
	}
	human := seen[0].Person
	out := &Explained{
		Person: id, Username: human.Username, Name: displayName(&plan.Agent{FirstName: human.FirstName, LastName: human.LastName}), Status: human.Status,
		Taken: seen[0].World.Now, Holds: []reconcile.HoldEntry{},
	}
	for _, s := range seen {
		one := ExplainedInstance{Calls: map[string]int{}}
		if s.Absent != nil {
			one.Absent = s.Absent.Error()
			one.Instance, one.Person, one.Username, one.Status = s.Instance, id, human.Username, human.Status
			out.Instances = append(out.Instances, one)
			continue
		}
		one.Explanation, _ = plan.Explain(s.Settings, s.World, id) // who was looked at is in the world
		for _, c := range one.Changes {
			for operation, n := range connect.Calls(c) {
				one.Calls[operation] += n
			}
		}
		for _, refusal := range one.Refusals {
			if one.Remedies == nil {
				one.Remedies = map[plan.Code]string{}
			}
			one.Remedies[refusal.Code] = remedyFor(refusal.Code)
		}
		out.Instances = append(out.Instances, one)
	}
	stays, err := a.guard.Stays(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stays {
		if s.Person == id {
			out.Stay = &s
		}
	}
	holds, err := a.guard.Holds(ctx, reconcile.HoldQuery{Person: id})
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		for _, e := range h.Entries {
			if e.Open() {
				out.Holds = append(out.Holds, e)
			}
		}
	}
	rows, err := a.backend.People(ctx, reconcile.WaitingQuery{Person: id})
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		out.Queue = &rows[0]
	}
	entries, err := a.backend.Recent(ctx, reconcile.Query{Person: id, Limit: explainEntries})
	out.Journal = list(entries)
	return out, err
}
