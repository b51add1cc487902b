package reconcile_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

// grace is after how long parked agents are deleted here.
const grace = 3 * 24 * time.Hour

// limits are what may go here without approval: little, as there are few people.
var limits = reconcile.Limits{
	StatusCount: 2, StatusShare: 0.01, GroupCount: 2, LongCount: 3, LongShare: 0.01, MoveCount: 2, MoveShare: 0.01,
	Short: 15 * time.Minute, Long: 24 * time.Hour, HoldFor: 24 * time.Hour,
}

// removal is a change that the audit counts: when it was let go first, by which
// window it is measured, and whether somebody approved it.
type removal struct {
	at       time.Time
	kind     reconcile.RemovalKind
	group    string
	hash     string
	approved bool
	counted  bool
}

// deed names what is done to an agent.
type deed struct {
	agent  string
	action plan.Action
}

// states of an agent by its tags, in the words of the tags.
func stateOf(a simconnect.Agent) string {
	state, _, _ := strings.Cut(a.Tags["connectroster:state"], " ")
	return state
}

// ofPerson reports whether an agent is a person's, retired or not.
func ofPerson(a simconnect.Agent, person string) bool {
	return person != "" && a.Tags["connectroster:owner"] == person && a.Tags["connectroster:deployment"] == deployment
}

// live reports whether somebody can work with an agent of ours.
func live(a simconnect.Agent) bool {
	owned := a.Tags["connectroster:owner"] != "" && a.Tags["connectroster:deployment"] == deployment
	return owned && stateOf(a) != "suspended" && stateOf(a) != "retired"
}

func nobodys(a simconnect.Agent) bool {
	return a.Tags["connectroster:owner"] == "" && a.Tags["connectroster:deployment"] == ""
}

// parked reports whether an agent has what the persona of those who left says.
func (w *world) parked(a simconnect.Agent) bool {
	return a.RoutingProfile == w.parking.routing && slices.Equal(a.SecurityProfiles, []string{w.parking.security})
}

func (w *world) agents() map[string]simconnect.Agent {
	out := map[string]simconnect.Agent{}
	for _, a := range w.sim.Agents() {
		out[a.ID] = a
	}
	return out
}

// people gives everybody as the truth has them now, for the mode.
func (w *world) people() map[string]somebody {
	if w.mode.api {
		return inOkta(w.org)
	}
	return w.heard.people()
}

// left reports whether a person may be taken for one who left: deactivated,
// suspended, deleted, or active and in none of the groups.
func left(people map[string]somebody, id string, offices []office) bool {
	p, known := people[id]
	switch {
	case !known, p.status == "SUSPENDED", p.status == "DEPROVISIONED":
		return true
	case !slices.Contains(entitling, p.status):
		return false
	}
	return !slices.ContainsFunc(offices, func(o office) bool { return slices.Contains(p.groups, o.group) })
}

// undecided reports whether a person's status says neither that they are to have
// an agent nor that they are to have none, so that all they have is left alone.
func undecided(people map[string]somebody, id string) bool {
	p, known := people[id]
	return known && p.status != "SUSPENDED" && p.status != "DEPROVISIONED" && !slices.Contains(entitling, p.status)
}

// operations are those that a policy may call.
var operations = map[plan.Policy][]string{
	plan.CreateOnly: {"CreateUser"},
	plan.UpsertOnly: {"CreateUser", "TagResource", "UntagResource", "UpdateUserIdentityInfo", "UpdateUserRoutingProfile", "UpdateUserSecurityProfiles", "UpdateUserHierarchy", "UpdateUserPhoneConfig", "UpdateUserConfig"},
	plan.Sync: {
		"CreateUser", "TagResource", "UntagResource", "UpdateUserIdentityInfo", "UpdateUserRoutingProfile", "UpdateUserSecurityProfiles", "UpdateUserHierarchy",
		"UpdateUserPhoneConfig", "UpdateUserConfig", "PutUserStatus", "DeleteUser", "DeleteQuickConnect",
	},
}

// audit checks what one change did, right after it or after as much of it as was
// done. It knows the world before, and everything that was true in Okta since
// the person was read.
func (w *world) audit(c plan.Change, before map[string]simconnect.Agent, done bool) {
	snaps := append(slices.Clone(w.recent), w.people())
	after := w.agents()
	born := map[string]bool{}
	for _, e := range w.sim.LedgerAfter(w.seq) {
		w.seq = e.Seq
		was := before[e.Agent]
		switch {
		case !slices.Contains(operations[w.mode.policy], e.Operation) && !w.asksFor(c, e.Operation):
			w.fault("%s was called for agent %s, which policy %s must not do", e.Operation, e.Agent, w.mode.policy)
		case e.Operation == "CreateUser":
			born[e.Agent] = true
			w.born(c, after[e.Agent], before[c.Agent], snaps)
		case born[e.Agent], ofPerson(was, c.Person):
		case c.Action == plan.Adopt && w.adopts[c.Person] && nobodys(was):
		case c.Action == plan.Adopt && w.adopts[c.Person] && was.Tags["connectroster:owner"] == "" && was.Tags["connectroster:deployment"] == deployment:
		default:
			w.fault("%s was called for agent %s, which is not person %s's: its tags are %v", e.Operation, e.Agent, c.Person, was.Tags)
		}
		if e.Operation == "UntagResource" && !w.releases[c.Person] {
			w.fault("agent %s was released, and nobody asked for it", e.Agent)
		}
	}
	for id, was := range before {
		is, there := after[id]
		switch {
		case live(was) && (!there || !live(is) && !nobodys(is)):
			w.loses(c, was, snaps)
		case !there:
			w.deletes(c, was, snaps)
		case ofPerson(was, c.Person) || ofPerson(is, c.Person):
			w.changes(c, was, is, snaps)
		}
		if !there {
			delete(w.roster, id)
			w.deleted[id] = true
		}
	}
	for id, is := range after {
		if _, known := before[id]; known && ofPerson(is, c.Person) || born[id] || c.Agent == id {
			w.roster[id] = is
		}
	}
	if c.Action == plan.Adopt { // what the floor chose stays
		w.moved[c.Agent] = true
	}
	if is, there := after[c.Agent]; done && c.Action == plan.Suspend && (!there || !w.parked(is)) {
		w.fault("agent %s was suspended, and keeps routing profile %s and security profiles %v", c.Agent, is.RoutingProfile, is.SecurityProfiles)
	}
	if _, there := after[c.Agent]; done && c.Action == plan.Delete && there {
		w.fault("agent %s was deleted, and is still there", c.Agent)
	}
}

// asksFor reports whether a person asked for a change that the policy does not
// make by itself.
func (w *world) asksFor(c plan.Change, operation string) bool {
	switch c.Action {
	case plan.Adopt:
		return w.adopts[c.Person] && operation == "TagResource"
	case plan.Release:
		return w.releases[c.Person] && operation == "UntagResource"
	}
	return false
}

// wished reports whether the rules gave the person such an agent at some time
// that the engine may have seen.
func (w *world) wished(snaps []map[string]somebody, person string, good func(wish) bool) bool {
	return slices.ContainsFunc(snaps, func(s map[string]somebody) bool {
		want, ok := wishes(s, w.offices)[person]
		return ok && good(want)
	})
}

// born checks an agent that came about: it must be just what its owner should
// have had while the engine looked. One that takes the place of another one
// keeps what the floor chose.
func (w *world) born(c plan.Change, a, old simconnect.Agent, snaps []map[string]somebody) {
	owner := a.Tags["connectroster:owner"]
	made := granted(a)
	entitled := w.wished(snaps, owner, func(want wish) bool {
		if c.Action == plan.Replace {
			worn := w.worn[c.Agent].RoutingProfile
			kept := made.Routing == old.RoutingProfile || made.Routing == worn
			return want == made || kept && want.Username == made.Username && want.Security == made.Security
		}
		return want == made
	})
	// What is left of a replacement is made as its intent says, though the rules
	// say something else by now: the next look mends that.
	if c.Action == plan.Replace && stateOf(old) == "retired" {
		entitled = entitled || w.wished(snaps, owner, func(want wish) bool { return want.Username == made.Username })
	}
	if !entitled || c.Action == plan.Create && a.PhoneConfig != w.phone {
		w.fault("person %s got the agent %+v %+v; wanted was %+v", owner, made, a.PhoneConfig, wishes(snaps[len(snaps)-1], w.offices)[owner])
	}
	tags := map[string]string{
		"connectroster:owner": owner, "connectroster:deployment": deployment, "connectroster:state": "active",
		"connectroster:group": a.Tags["connectroster:group"], "connectroster:routing": a.RoutingProfile,
	}
	if c.Action == plan.Create && !maps.Equal(a.Tags, tags) {
		w.fault("the agent of person %s has the tags %v", owner, a.Tags)
	}
	if owner != c.Person {
		w.fault("the agent of person %s was made for person %s", owner, c.Person)
	}
	w.owners[a.ID] = owner
	w.moved[a.ID] = c.Action == plan.Replace && w.moved[c.Agent]
}

// loses checks that somebody may lose the use of an agent.
func (w *world) loses(c plan.Change, was simconnect.Agent, snaps []map[string]somebody) {
	person := was.Tags["connectroster:owner"]
	w.worn[was.ID] = was
	if _, remembered := w.tombstone(was.ID); !remembered {
		w.fault("agent %s was parked, and what it was is not remembered", was.ID)
	}
	w.parkedAt[was.ID] = w.now()
	w.removed = append(w.removed, was.ID)
	if c.Action == plan.Replace {
		if !w.wished(snaps, person, func(want wish) bool { return !strings.EqualFold(want.Username, was.Username) }) {
			w.fault("agent %s of person %s was replaced, and the username is theirs", was.ID, person)
		}
	} else if !slices.ContainsFunc(snaps, func(s map[string]somebody) bool { return left(s, person, w.offices) }) {
		w.fault("person %s lost agent %s by %s (%s), and is %+v in Okta", person, was.ID, c.Action, c.Reason, snaps[len(snaps)-1][person])
	}
	w.count(c, was)
}

// deletes checks that a parked agent may go.
func (w *world) deletes(c plan.Change, was simconnect.Agent, snaps []map[string]somebody) {
	person := was.Tags["connectroster:owner"]
	w.removed = append(w.removed, was.ID)
	if age := w.now().Sub(w.parkedAt[was.ID]); w.parkedAt[was.ID].IsZero() || age < grace-time.Second {
		w.fault("agent %s was deleted %s after it was parked", was.ID, age)
	}
	if stateOf(was) == "suspended" && !slices.ContainsFunc(snaps, func(s map[string]somebody) bool { return left(s, person, w.offices) }) {
		w.fault("agent %s of person %s was deleted, who is %+v in Okta", was.ID, person, snaps[len(snaps)-1][person])
	}
	for _, q := range w.sim.QuickConnects() {
		if u := q.Config.User; u != nil && u.UserID == was.ID {
			w.fault("agent %s was deleted, and a quick connect leads to it", was.ID)
		}
	}
	w.count(c, was)
}

// changes checks what else became of an agent: nobody holds a profile that
// neither the rules, nor the floor, nor what was before a suspension gave.
func (w *world) changes(c plan.Change, was, is simconnect.Agent, snaps []map[string]somebody) {
	if stateOf(was) == "suspended" && stateOf(is) == "active" && !w.restores[c.Person] && !w.wished(snaps, c.Person, func(wish) bool { return true }) {
		w.fault("agent %s of person %s was brought back, who is %+v in Okta", is.ID, c.Person, snaps[len(snaps)-1][c.Person])
	}
	worn := w.worn[is.ID]
	security := strings.Join(is.SecurityProfiles, " ")
	moved := false
	if security != strings.Join(was.SecurityProfiles, " ") && !w.parks(c, is) {
		moved = true
		back := w.restores[c.Person] && slices.Equal(worn.SecurityProfiles, is.SecurityProfiles)
		if !back && !w.wished(snaps, c.Person, func(want wish) bool { return want.Security == security }) {
			w.fault("agent %s got the security profiles %s by %s, which nothing grants to person %s", is.ID, security, c.Action, c.Person)
		}
	}
	if is.RoutingProfile != was.RoutingProfile && !w.parks(c, is) {
		moved = true
		back := is.RoutingProfile == worn.RoutingProfile && c.Action == plan.Resume
		if !back && !w.wished(snaps, c.Person, func(want wish) bool { return want.Routing == is.RoutingProfile }) {
			w.fault("agent %s got the routing profile %s by %s, which nothing grants to person %s", is.ID, is.RoutingProfile, c.Action, c.Person)
		}
		answered := was.Tags["connectroster:routing"]
		if c.Action == plan.Update && w.moved[is.ID] && !w.wished(snaps, c.Person, func(want wish) bool { return want.Routing != answered }) {
			w.fault("agent %s was moved from where the floor put it, and the rules say of person %s what they said before", is.ID, c.Person)
		}
		if back && c.Action == plan.Resume {
			return
		}
		if c.Action == plan.Resume && !w.restores[c.Person] && answered != "" && worn.RoutingProfile != answered &&
			!w.wished(snaps, c.Person, func(want wish) bool { return want.Routing != answered }) {
			w.fault("agent %s came back with routing profile %s, and the floor had put it into %s", is.ID, is.RoutingProfile, worn.RoutingProfile)
		}
	}
	if moved && c.Action == plan.Update {
		w.count(c, was)
	}
}

// parks reports whether what an agent has is what a change parks it with.
func (w *world) parks(c plan.Change, is simconnect.Agent) bool {
	return c.Action == plan.Suspend || c.Action == plan.Replace && is.ID == c.Agent
}

// count holds a change against what may go without approval, against the stays
// and against what waits for a decision.
func (w *world) count(c plan.Change, was simconnect.Agent) {
	person := was.Tags["connectroster:owner"]
	stays, err := w.store.Stays(w.ctx)
	if err != nil || slices.ContainsFunc(stays, func(s reconcile.Stay) bool { return s.Person == person }) {
		w.fault("%s of agent %s: person %s was to be left alone, %v", c.Action, was.ID, person, err)
	}
	key := deed{was.ID, c.Action}
	r, let := w.granted[key]
	if !let || w.now().Sub(r.at) >= limits.Long {
		r = &removal{at: w.now(), kind: reconcile.KindOf(c), group: c.Group, hash: c.Hash()}
		w.granted[key] = r
	}
	holds, err := w.store.Holds(w.ctx, reconcile.HoldQuery{Person: person})
	if err != nil {
		w.fault("holds: %w", err)
	}
	for _, h := range holds {
		for _, e := range h.Entries {
			if e.State == reconcile.HoldWaiting && e.Agent == was.ID {
				w.fault("%s of agent %s went, and waits in hold %s", c.Action, was.ID, h.ID)
			}
		}
	}
	if r.counted || r.approved {
		return
	}
	if r.kind == reconcile.RemovalMembership && w.collapsed(was.Tags["connectroster:group"]) && r.at.Equal(w.now()) {
		w.fault("agent %s was suspended since group %s was emptied or deleted, and nobody approved it", was.ID, was.Tags["connectroster:group"])
	}
	r.counted = true
	w.places = append(w.places, r)
	var status, group, long, moves int
	for _, p := range w.places {
		short, today := r.at.Sub(p.at) < limits.Short, r.at.Sub(p.at) < limits.Long
		switch p.kind {
		case reconcile.RemovalMove:
			moves += ones(short)
			continue
		case reconcile.RemovalMembership:
			group += ones(short && p.group == r.group && r.kind == p.kind)
		default:
			status += ones(short)
		}
		long += ones(today)
	}
	if status > limits.StatusCount || group > limits.GroupCount || long > limits.LongCount || moves > limits.MoveCount {
		w.fault("%s of agent %s is one too many: %d by status and %d by group and %d moves in %s, %d in %s, none of which anybody approved",
			c.Action, was.ID, status, group, moves, limits.Short, long, limits.Long)
	}
}

func ones(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// collapsed reports whether a group is gone or has nobody in it.
func (w *world) collapsed(group string) bool {
	for _, g := range w.org.Groups() {
		if g.ID == group {
			return !slices.ContainsFunc(slices.Collect(maps.Values(w.people())), func(p somebody) bool { return slices.Contains(p.groups, group) })
		}
	}
	return group != ""
}

func (w *world) tombstone(agent string) (reconcile.Tombstone, bool) {
	found, err := w.store.Tombstones(w.ctx, agent)
	if err != nil {
		w.fault("tombstones: %w", err)
	}
	t, ok := found[agent]
	return t, ok
}

// reserved notes what the guard let go, and when.
func (w *world) reserved(r reconcile.Removal, answer reconcile.Reservation) {
	for _, p := range w.granted { // the clock went back
		if p.at.After(r.At) {
			p.at = r.At
		}
	}
	if answer.State != reconcile.ReservationGranted {
		return
	}
	key := deed{r.Agent, r.Action}
	if old, let := w.granted[key]; let && old.hash == r.Hash && r.At.Sub(old.at) < limits.Long && answer.Hold == "" {
		return
	}
	w.granted[key] = &removal{at: r.At, kind: r.Kind, group: r.Group, hash: r.Hash, approved: answer.Hold != "" && w.approved[r.Hash]}
}

// onlyOne holds after each single write: nobody has two agents to work with, but
// for those whom somebody gave a second one by hand.
func (w *world) onlyOne() {
	owners := map[string]string{}
	for _, a := range w.sim.Agents() {
		if !live(a) {
			continue
		}
		owner := a.Tags["connectroster:owner"]
		if other, twice := owners[owner]; twice && !w.twins[owner] {
			w.fault("person %s has two agents: %s and %s", owner, other, a.ID)
		}
		owners[owner] = a.ID
	}
}

// entrance is what the process sees of Amazon Connect.
type entrance struct {
	reconcile.Instance
	gate *gate
}

// Apply wants the intent to be stored by now.
func (i entrance) Apply(ctx context.Context, change plan.Change) (id string, err error) {
	w := i.gate.world
	if intent, err := w.store.Intent(ctx, change.Person, change.Instance); err != nil || intent.Change == nil || intent.Change.Hash() != change.Hash() {
		w.fault("the agent of person %s is about to be changed, and the intent that is stored is %+v, %v", change.Person, intent, err)
	}
	err = i.gate.write(func() (err error) {
		var done bool
		before := w.agents()
		defer func() { w.audit(change, before, done) }()
		ctx, cancel := context.WithCancel(ctx)
		w.hangUp = cancel
		defer cancel()
		id, err = i.Instance.Apply(ctx, change)
		if i.gate.gone {
			runtime.Goexit()
		}
		done = err == nil
		return err
	})
	return id, err
}

// wire is the way to Amazon Connect. Between any two writes the process can end
// or the connection be lost, before the one or after it.
type wire struct {
	world *world
	to    inMemory
}

func (t wire) RoundTrip(r *http.Request) (response *http.Response, err error) {
	w := t.world
	if w.bug.blind != "" && strings.Contains(r.URL.Path, w.bug.blind) {
		body := io.NopCloser(strings.NewReader(`{"QuickConnects":[],"ApproximateTotalCount":0}`))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}, nil
	}
	if r.Method == http.MethodGet || strings.Contains(r.URL.Path, "search-") || strings.Contains(r.URL.Path, "userdata") {
		return t.to.RoundTrip(r)
	}
	if w.cut > 0 {
		if w.cut--; w.cut == 0 {
			if w.cutLate {
				_, _ = t.to.RoundTrip(r)
				w.onlyOne()
			}
			w.hangUp()
			return nil, errors.New("connection reset by peer")
		}
	}
	g := w.gate
	ends := g.crash == 1
	g.crash = max(g.crash-1, 0)
	if !ends || g.late {
		response, err = t.to.RoundTrip(r)
		w.onlyOne()
	}
	if ends { // where the call comes from: this goroutine is in the middle of a request
		g.gone = true
		w.hangUp()
		return nil, errors.New("the process ends")
	}
	return response, err
}
