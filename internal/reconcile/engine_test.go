package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
)

func TestCreateTakesOneCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.ask("00u1")
	r.settle(time.Minute)

	agent, found := r.sim.AgentNamed("00u1@example.com")
	if !found {
		t.Fatal("there is no agent")
	}
	wantTags := map[string]string{
		"connectroster:owner": "00u1", "connectroster:deployment": deployment, "connectroster:state": "active",
		"connectroster:group": groupID, "connectroster:routing": r.sim.RoutingProfileID("Basic Routing Profile"),
	}
	if diff := cmp.Diff(wantTags, agent.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	stats := r.sim.Stats()
	for operation, n := range map[string]int{"CreateUser": 1, "SearchUsers": 0, "ListUsers": 0, "DescribeUser": 0} {
		if got := stats.Operations[operation]; n == 0 && got != nil || n > 0 && (got == nil || got.Calls != n) {
			t.Errorf("%s: %+v, want %d calls", operation, got, n)
		}
	}
	entries, err := r.store.Recent(t.Context(), reconcile.Query{})
	if err != nil || len(entries) != 1 {
		t.Fatalf("journal: %d entries, %v", len(entries), err)
	}
	e := entries[0]
	if e.Agent != agent.ID || e.Action != plan.Create || e.Event != "event-of-00u1" || e.Reason != "in group Amazon Connect Agents" || e.After == nil || e.Before != nil {
		t.Errorf("entry: %+v", e)
	}

	// A second hint finds nothing to do and says nothing more.
	r.ask("00u1")
	r.settle(time.Minute)
	if accepted, calls := r.creates(); accepted != 1 || calls != 1 {
		t.Errorf("after a second hint: %d accepted of %d calls", accepted, calls)
	}
	if got := r.journal("00u1"); len(got) != 1 {
		t.Errorf("journal after a second hint: %q", got)
	}
}

// TestLostAnswers is promise P-05: whatever becomes of the answer to CreateUser,
// and however long searches lag, there is one agent if it is ours and a refusal
// if somebody else has the name.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	faults := map[string]simconnect.Fault{
		"500":      {Status: 500, Code: "InternalServiceException"},
		"503":      {Status: 503},
		"504":      {Status: 504},
		"reset":    {Kind: simconnect.FaultReset},
		"truncate": {Kind: simconnect.FaultTruncate},
		"timeout":  {Kind: simconnect.FaultDelay, Delay: 10 * time.Second},
		"killed":   {},
	}
	for name, fault := range faults {
		for _, lag := range []time.Duration{0, time.Second, 10 * time.Second, 300 * time.Second} {
			for _, tags := range []string{"ours", "foreign", "none"} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, lag, tags), func(t *testing.T) {
					t.Parallel()
					lostAnswer(t, name, fault, lag, tags)
				})
			}
		}
	}
}

func lostAnswer(t *testing.T, name string, fault simconnect.Fault, lag time.Duration, tags string) {
	t.Helper()
	r := newRig(t, func(s *simconnect.Settings) { s.ListLag = lag }, func(c *connect.Config) { c.Timeout = 300 * time.Millisecond })
	p := r.hire("00u1")
	fault.Operation, fault.Commit = "CreateUser", tags == "ours"
	if name == "killed" {
		killDuringCreate(r, tags == "ours")
	} else if err := r.sim.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	r.ask("00u1")
	r.work()
	if name == "killed" {
		r.restart()
	}
	switch tags { // somebody else takes the name while the outcome is open
	case "foreign":
		addByHand(t, r, p.Username, map[string]string{"connectroster:owner": "00uother", "connectroster:deployment": "other"})
	case "none":
		addByHand(t, r, strings.ToUpper(p.Username[:1])+p.Username[1:], nil)
	}
	r.settle(time.Hour)

	state := r.state("00u1")
	if state.State != reconcile.StateIdle {
		t.Errorf("the person is %s: %s", state.State, state.Reason)
	}
	if _, err := r.store.Intent(t.Context(), "00u1", ""); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("the intent is still open: %v", err)
	}
	accepted, calls := r.creates()
	if tags != "ours" {
		want := []string{"refusal exists_not_ours"}
		if tags == "foreign" {
			want = []string{"refusal exists_elsewhere"}
		}
		if got := r.journal("00u1"); !slices.Equal(got, want) {
			t.Errorf("journal: %q", got)
		}
		if accepted != 0 {
			t.Errorf("%d creations were accepted beside the agent of somebody else", accepted)
		}
		return
	}
	if got := r.journal("00u1"); !slices.Equal(got, []string{"change create"}) {
		t.Errorf("journal: %q", got)
	}
	agent, found := r.sim.AgentNamed(p.Username)
	if !found || accepted != 1 || calls > 2 {
		t.Errorf("agent found: %v; %d creations accepted of %d calls", found, accepted, calls)
	}
	known, err := r.store.Agents(t.Context(), "00u1")
	if err != nil || len(known) != 1 || known[0].Agent != agent.ID {
		t.Errorf("the index knows %+v, %v; the agent is %s", known, err, agent.ID)
	}
}

func addByHand(t *testing.T, r *rig, username string, tags map[string]string) (id string) {
	t.Helper()
	a, err := r.sim.AddAgent(simconnect.Agent{
		Username: username, IdentityInfo: simconnect.IdentityInfo{FirstName: "By", LastName: "Hand"}, Tags: tags,
		RoutingProfile: r.sim.RoutingProfileID("Basic Routing Profile"), SecurityProfiles: []string{r.sim.SecurityProfileID("Agent")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// killDuringCreate stops the engine while CreateUser is under way, before or
// after Amazon Connect has done it.
func killDuringCreate(r *rig, done bool) {
	actual := r.config.Instances[0].Instance
	dying := r.config
	var engine *reconcile.Engine
	ctx, cancel := context.WithCancel(r.t.Context())
	dying.Instances = []reconcile.Site{{Instance: applyFunc{actual, func(c context.Context, change plan.Change) (string, error) {
		if done {
			if _, err := actual.Apply(c, change); err != nil {
				r.t.Error(err)
			}
		}
		cancel()
		return "", context.Canceled
	}}}}
	engine, err := reconcile.New(dying)
	if err != nil {
		r.t.Fatal(err)
	}
	r.ask("00u1")
	if err := engine.Work(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// applyFunc replaces Apply alone.
type applyFunc struct {
	reconcile.Instance
	apply func(context.Context, plan.Change) (string, error)
}

func (a applyFunc) Apply(ctx context.Context, change plan.Change) (string, error) {
	return a.apply(ctx, change)
}

// TestRenamedMeanwhile: somebody whose username changes while the outcome of a
// creation is open does not get a second agent, however long searches lag.
func TestRenamedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{0, 5 * time.Second, 5 * time.Minute, 14 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(s *simconnect.Settings) { s.ListLag = lag })
			p := r.hire("00u1")
			if err := r.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Kind: simconnect.FaultReset, Commit: true}); err != nil {
				t.Fatal(err)
			}
			r.ask("00u1")
			r.work()
			p.Username = "renamed@example.com"
			r.people.put(p)
			r.ask("00u1")
			r.settle(2 * time.Hour)
			if accepted, _ := r.creates(); accepted != 1 {
				t.Errorf("%d creations accepted", accepted)
			}
			if s := r.state("00u1"); s.State != reconcile.StateIdle {
				t.Errorf("state: %+v", s)
			}
		})
	}
}

// TestTakenByNobody: a username that is taken and never shown is the refusal
// conflict after 15 minutes, and not before.
func TestTakenByNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *simconnect.Settings) { s.ListLag = 24 * time.Hour })
	p := r.hire("00u1")
	addByHand(t, r, p.Username, nil)
	r.ask("00u1")
	r.settle(14 * time.Minute)
	if got := r.journal("00u1"); len(got) != 0 {
		t.Errorf("journal before the time: %q", got)
	}
	if s := r.state("00u1"); s.State != reconcile.StateWaiting || s.Attempts != 0 {
		t.Errorf("before the time: %+v", s)
	}
	r.settle(time.Hour)
	if got := r.journal("00u1"); !slices.Equal(got, []string{"refusal conflict"}) {
		t.Errorf("journal: %q", got)
	}
	if _, calls := r.creates(); calls != 1 {
		t.Errorf("%d calls of CreateUser, want 1", calls)
	}
}

// TestOutage: while Amazon Connect answers 500 to every creation nothing is
// created twice, and the person becomes a dead letter in the end, from which a
// replay recovers.
func TestOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	if err := r.sim.AddFaults(simconnect.Fault{Operation: "CreateUser", Status: 500, Times: -1}); err != nil {
		t.Fatal(err)
	}
	r.ask("00u1")
	r.settle(24 * time.Hour)
	if s := r.state("00u1"); s.State != reconcile.StateDead || !strings.Contains(s.Reason, "20 times") {
		t.Fatalf("after a day: %+v", s)
	}
	r.sim.ClearFaults()
	if err := r.store.Replay(t.Context(), "00u1"); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Hour)
	if accepted, _ := r.creates(); accepted != 1 {
		t.Errorf("%d creations accepted after the outage", accepted)
	}
}

// TestNewAgentUnseen is promise P-06: an agent that is not visible yet is neither
// created again nor reported.
func TestNewAgentUnseen(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *simconnect.Settings) { s.ListLag, s.DescribeLags = 10*time.Minute, true })
	r.hire("00u1")
	r.ask("00u1")
	r.settle(time.Second)
	for range 11 {
		r.ask("00u1")
		r.settle(time.Minute)
		if _, err := r.engine.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(time.Minute)
	}
	r.settle(time.Hour)
	if accepted, calls := r.creates(); accepted != 1 || calls != 1 {
		t.Errorf("%d creations accepted of %d calls", accepted, calls)
	}
	if got := r.journal("00u1"); !slices.Equal(got, []string{"change create"}) {
		t.Errorf("journal: %q", got)
	}
}

// TestDeletedByHand: an agent that somebody deleted in Amazon Connect comes back,
// once it is certain that it is gone.
func TestDeletedByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.ask("00u1")
	r.settle(time.Minute)
	old, _ := r.sim.AgentNamed("00u1@example.com")
	r.clock.Advance(time.Hour)
	if err := r.sim.RemoveAgent(old.ID); err != nil {
		t.Fatal(err)
	}
	r.ask("00u1")
	r.settle(time.Minute)
	agent, found := r.sim.AgentNamed("00u1@example.com")
	if !found || agent.ID == old.ID {
		t.Errorf("the agent is not back: %v", found)
	}
	if got := r.journal("00u1"); !slices.Equal(got, []string{"change create", "change create"}) {
		t.Errorf("journal: %q", got)
	}
}

// TestForgottenIndex: with an empty index an agent of ours is found by the
// answer of CreateUser, not made a second time, and nothing is journalled.
func TestForgottenIndex(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.ask("00u1")
	r.settle(time.Minute)
	agent, _ := r.sim.AgentNamed("00u1@example.com")
	if err := r.store.Forget(t.Context(), "", agent.ID); err != nil {
		t.Fatal(err)
	}
	r.ask("00u1")
	r.settle(time.Minute)
	known, err := r.store.Agents(t.Context(), "00u1")
	if err != nil || len(known) != 1 || known[0].Agent != agent.ID {
		t.Errorf("the index knows %+v, %v; the agent is %s", known, err, agent.ID)
	}
	if got := r.journal("00u1"); !slices.Equal(got, []string{"change create"}) {
		t.Errorf("journal: %q", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*rig)
		want    string
		state   reconcile.WaitingState
	}{
		"unknown person": {func(*rig) {}, "", reconcile.StateIdle},
		"other group": {func(r *rig) {
			r.people.put(plan.Person{ID: "00u1", Username: "a@example.com", Status: plan.StatusActive})
		}, "", reconcile.StateIdle},
		"impossible name": {func(r *rig) { p := r.hire("00u1"); p.Username = "o'brien@example.com"; r.people.put(p) }, "refusal username_impossible", reconcile.StateIdle},
		"made by hand":    {func(r *rig) { p := r.hire("00u1"); addByHand(r.t, r, p.Username, nil) }, "refusal exists_not_ours", reconcile.StateIdle},
		"no profile": {func(r *rig) {
			r.hire("00u1")
			r.config.Settings.Personas = map[string]plan.Persona{"agent": persona("Nobody", "Agent")}
			r.restart()
		}, "refusal profile_unknown", reconcile.StateWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			c.prepare(r)
			for range 3 { // however often it is asked, it is said once
				r.ask("00u1")
				r.settle(time.Second)
			}
			if got := strings.Join(r.journal("00u1"), ", "); got != c.want {
				t.Errorf("journal: %q, want %q", got, c.want)
			}
			if s := r.state("00u1"); s.State != c.state {
				t.Errorf("state: %+v", s)
			}
			if accepted, _ := r.creates(); accepted != 0 {
				t.Errorf("%d creations", accepted)
			}
		})
	}
}

// TestProfileAppears: a person whose routing profile is added later gets an agent
// without anybody asking again.
func TestProfileAppears(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.config.Settings.Personas = map[string]plan.Persona{"agent": persona("Billing", "Agent")}
	r.restart()
	r.hire("00u1")
	r.ask("00u1")
	r.settle(time.Second)
	if _, err := r.sim.AddRoutingProfile("Billing"); err != nil {
		t.Fatal(err)
	}
	r.settle(20 * time.Minute)
	if got := r.journal("00u1"); !slices.Equal(got, []string{"refusal profile_unknown", "change create"}) {
		t.Errorf("journal: %q", got)
	}
}

// TestOneBadPerson is promise P-11: one person who cannot be finished does not
// hold up the others.
func TestOneBadPerson(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*rig){
		"panic":   func(r *rig) { r.people.panics = "00u500" },
		"invalid": func(r *rig) { r.fault(simconnect.Fault{Status: 400, Code: "InvalidParameterException", Times: -1}) },
		"server":  func(r *rig) { r.fault(simconnect.Fault{Status: 500, Times: -1}) },
		"refused": func(r *rig) { r.fault(simconnect.Fault{Status: 403, Code: "AccessDeniedException", Times: -1}) },
		"slow down": func(r *rig) {
			r.fault(simconnect.Fault{Status: 429, Code: "TooManyRequestsException", Times: -1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(s *simconnect.Settings) { s.Quota = 0 })
			people := 1000
			if testing.Short() {
				people = 100
			}
			bad := fmt.Sprintf("00u%d", people/2)
			for i := range people {
				r.hire(fmt.Sprintf("00u%d", i))
				r.ask(fmt.Sprintf("00u%d", i))
			}
			r.people.panics = ""
			spoil(r)
			if r.people.panics != "" {
				r.people.panics = bad
			}
			r.settleAll(people)
			if n := len(r.sim.Agents()); n != people-1 {
				t.Errorf("%d agents, want %d", n, people-1)
			}
			for _, o := range r.outcomes {
				if o.Work.Person != bad && o.Verdict.State != reconcile.Done {
					t.Errorf("person %s was held up: %+v", o.Work.Person, o.Verdict)
				}
			}
			s := r.state(bad)
			if s.State == reconcile.StateIdle || s.Reason == "" || strings.Contains(s.Reason, "@") {
				t.Errorf("the bad person: %+v", s)
			}
		})
	}
}

// fault spoils the creation of the person in the middle.
func (r *rig) fault(f simconnect.Fault) {
	people := 500
	if testing.Short() {
		people = 50
	}
	f.Operation, f.Username = "CreateUser", fmt.Sprintf("00u%d@example.com", people)
	if err := r.sim.AddFaults(f); err != nil {
		r.t.Fatal(err)
	}
}

// settleAll works everybody who is due now, once.
func (r *rig) settleAll(most int) {
	r.t.Helper()
	for range 2 * most {
		err := r.engine.Work(r.t.Context())
		if errors.Is(err, reconcile.ErrNotFound) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.t.Fatal("the queue never became empty")
}

// TestQuota: a full instance leaves people waiting, visible and uncounted, until
// there is room.
func TestQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *simconnect.Settings) { s.Quota = 1 })
	r.hire("00u1")
	r.hire("00u2")
	r.ask("00u1", "00u2")
	r.settle(6 * time.Hour)
	s := r.state("00u2")
	if s.State != reconcile.StateWaiting || s.Attempts != 0 || !strings.Contains(s.Reason, "quota") {
		t.Fatalf("after six hours: %+v", s)
	}
	if err := r.sim.ChangeSettings(func(s *simconnect.Settings) { s.Quota = 2 }); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Hour)
	if accepted, _ := r.creates(); accepted != 2 {
		t.Errorf("%d agents", accepted)
	}
}

// TestNoRights is promise P-18 for AWS: while credentials are refused people are
// parked without counting attempts, and go on within a minute of repair.
func TestNoRights(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.hire("00u1")
			if err := r.sim.AddFaults(simconnect.Fault{Status: 403, Code: code, Times: -1}); err != nil {
				t.Fatal(err)
			}
			r.ask("00u1")
			r.settle(24 * time.Hour)
			if s := r.state("00u1"); s.State != reconcile.StateWaiting || s.Attempts != 0 {
				t.Fatalf("after a day: %+v", s)
			}
			r.sim.ClearFaults()
			r.settle(time.Minute)
			if accepted, _ := r.creates(); accepted != 1 {
				t.Errorf("%d agents a minute after the repair", accepted)
			}
		})
	}
}

// TestDirectoryFails: a directory that cannot be read is no statement about
// anybody.
func TestDirectoryFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.people.fail = errors.New("the directory is away")
	r.ask("00u1")
	r.settle(time.Minute)
	if s := r.state("00u1"); s.State != reconcile.StateWaiting || s.Attempts == 0 {
		t.Errorf("state: %+v", s)
	}
	if _, err := r.engine.Sweep(t.Context()); err == nil {
		t.Error("a sweep over half a directory succeeded")
	}
	r.people.fail = nil
	r.settle(time.Hour)
	if accepted, _ := r.creates(); accepted != 1 {
		t.Errorf("%d agents", accepted)
	}
}

// TestSweep: one pass fills the index and asks only for those who lack an agent.
func TestSweep(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for i := range 7 {
		r.hire(fmt.Sprintf("00u%d", i))
	}
	for i := range 3 {
		r.ask(fmt.Sprintf("00u%d", i))
	}
	r.settle(time.Minute)
	for _, a := range r.sim.Agents() {
		if err := r.store.Forget(t.Context(), "", a.ID); err != nil {
			t.Fatal(err)
		}
	}
	swept, err := r.engine.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if swept.People != 7 || swept.Agents != 3 || swept.Changes != 4 {
		t.Errorf("swept %+v", swept)
	}
	r.settle(time.Minute)
	if accepted, calls := r.creates(); accepted != 7 || calls != 7 {
		t.Errorf("%d creations accepted of %d calls", accepted, calls)
	}
	again, err := r.engine.Sweep(t.Context())
	if err != nil || again.Changes != 0 {
		t.Errorf("the second sweep: %+v, %v", again, err)
	}
}

// TestCutShort: whichever store write fails after the agent was made, the next
// look finishes and the journal tells of one creation.
func TestCutShort(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"remember", "record", "drop"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			broken := &failing{at: at, Index: r.store, Intents: r.store, Journal: r.store}
			r.config.Index, r.config.Intents, r.config.Journal = broken, broken, broken
			r.restart()
			r.hire("00u1")
			r.ask("00u1")
			r.settle(time.Hour)
			if !broken.failed {
				t.Fatal("nothing failed")
			}
			if accepted, calls := r.creates(); accepted != 1 || calls != 1 {
				t.Errorf("%d creations accepted of %d calls", accepted, calls)
			}
			if got := r.journal("00u1"); !slices.Equal(got, []string{"change create"}) {
				t.Errorf("journal: %q", got)
			}
			if s := r.state("00u1"); s.State != reconcile.StateIdle {
				t.Errorf("state: %+v", s)
			}
		})
	}
}

// TestCutShortAndGone: a look is cut short after its entry, and its person is
// out of the group when the next one comes. The journal tells of one creation,
// and of the refusal after it.
func TestCutShortAndGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	broken := &failing{at: "drop", Index: r.store, Intents: r.store, Journal: r.store}
	r.config.Index, r.config.Intents, r.config.Journal = broken, broken, broken
	r.restart()
	p := r.hire("00u1")
	r.ask("00u1")
	if !r.work() || !broken.failed {
		t.Fatal("nothing failed")
	}
	p.Groups = nil
	r.people.put(p)
	r.settle(time.Hour)
	if got := r.journal("00u1"); !slices.Equal(got, []string{"change create", "refusal not_entitled"}) {
		t.Errorf("journal: %q", got)
	}
}

// failing fails one kind of write once.
type failing struct {
	reconcile.Index
	reconcile.Intents
	reconcile.Journal
	at     string
	failed bool
}

func (f *failing) fail(at string) error {
	if f.at != at || f.failed {
		return nil
	}
	f.failed = true
	return errors.New("the disk is full")
}

func (f *failing) Remember(ctx context.Context, known ...reconcile.Known) error {
	if err := f.fail("remember"); err != nil {
		return err
	}
	return f.Index.Remember(ctx, known...)
}

func (f *failing) Record(ctx context.Context, entry reconcile.Entry) error {
	if err := f.fail("record"); err != nil {
		return err
	}
	return f.Journal.Record(ctx, entry)
}

func (f *failing) DropIntent(ctx context.Context, person, instance string) error {
	if err := f.fail("drop"); err != nil {
		return err
	}
	return f.Intents.DropIntent(ctx, person, instance)
}

func TestNewChecks(t *testing.T) {
	t.Parallel()
	if _, err := reconcile.New(reconcile.Config{}); err == nil {
		t.Error("an engine without ports was made")
	}
	r := newRig(t, nil)
	r.config.Lease = time.Minute
	if _, err := reconcile.New(r.config); err == nil {
		t.Error("a lease shorter than the timeout was accepted")
	}
}

// TestLookEndsProcess: a person whose looks end the process every time does not
// do so for ever.
func TestLookEndsProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.ask("00u1")
	for range 20 { // the claims of processes that died
		if _, err := r.store.Claim(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(time.Hour)
	}
	r.settle(time.Hour)
	if s := r.state("00u1"); s.State != reconcile.StateDead {
		t.Errorf("state: %+v", s)
	}
	if _, calls := r.creates(); calls != 0 {
		t.Errorf("%d calls were made for it", calls)
	}
}

// TestDeadLettersTellAttempts: a dead letter tells how many looks came to nothing, the
// last one included, whether that one was refused for good or the last that there may be.
// A look that was not made any more is none.
func TestDeadLettersTellAttempts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail, end, lost int // looks that fail, those that are refused for good, and claims of processes that died
		want            int
	}{
		"refused at once":            {0, 1, 0, 1},
		"refused after two failures": {2, 1, 0, 3},
		"refused after a lost claim": {0, 1, 1, 2},
		"the last one fails":         {20, 0, 0, 20},
		"the last one is refused":    {19, 1, 0, 20},
		"the last one is lost":       {19, 0, 1, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.hire("00u1")
			r.ask("00u1")
			r.people.fail = errors.New("the directory is away")
			for range c.fail {
				if !r.work() {
					t.Fatal("nobody is due")
				}
				r.clock.Advance(time.Hour)
			}
			for range c.lost {
				if _, err := r.store.Claim(t.Context(), time.Minute); err != nil {
					t.Fatal(err)
				}
				r.clock.Advance(time.Hour)
			}
			if c.end > 0 {
				r.people.fail = reconcile.Terminal(errors.New("it will never be"))
			}
			r.settle(time.Hour)
			if s := r.state("00u1"); s.State != reconcile.StateDead || s.Attempts != c.want {
				t.Errorf("state %s after %d attempts, want %d: %s", s.State, s.Attempts, c.want, s.Reason)
			}
		})
	}
}

// TestClockGoesBack: what is stored in the future of a clock that went back is
// not waited for.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.hire("00u1")
	r.hire("00u2")
	future := r.clock.Now().Add(24 * time.Hour)
	if err := r.store.SaveIntent(t.Context(), reconcile.Intent{Person: "00u1", Username: "00u1@example.com", Started: future, Creates: 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Remember(t.Context(), reconcile.Known{Owner: "00u2", Agent: "11111111-1111-1111-1111-111111111111", Since: future}); err != nil {
		t.Fatal(err)
	}
	r.ask("00u1", "00u2")
	r.settle(time.Hour)
	if accepted, _ := r.creates(); accepted != 2 {
		t.Errorf("%d agents after an hour, want 2", accepted)
	}
}
