package app_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
)

// caught is how long something may take that only the next catch-up can tell of:
// the interval of these tests and the time to apply it.
const caught = 10*time.Second + 30*time.Second

// unmapped adds a group that has the app, and no rule.
func (w *world) unmapped() simokta.Group {
	w.t.Helper()
	group, err := w.org.AddGroup("Somebody Else")
	must(w.t, err)
	must(w.t, w.org.AssignGroup(w.app.ID, group.ID))
	return group
}

// everyMode is an org's people in all the ways to become one of the group, and
// some who must not be agents.
func (w *world) everyMode(n int) {
	w.t.Helper()
	outside := w.unmapped()
	for i := range n {
		switch i % 5 {
		case 0:
			w.hire(i, agentGroup)
		case 1:
			w.join(w.hire(i))
		case 2: // not activated until later
			user, err := w.org.AddUser(simokta.NewUser{Login: "staged." + string(rune('a'+i%26)) + "@example.com", FirstName: "St", LastName: "Aged", Status: "STAGED", Groups: []string{agentGroup}})
			must(w.t, err)
			if i%2 == 0 {
				must(w.t, w.org.Activate(user.ID))
			}
		case 3:
			w.hire(i, outside.Name)
		case 4:
			must(w.t, w.org.JoinByRule(w.hire(i).ID, agentGroup))
		}
	}
}

// TestLostHooks drops deliveries; the System Log makes up for them.
func TestLostHooks(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*simokta.Settings){
		"all":  func(s *simokta.Settings) { s.DropRate = 1 },
		"half": func(s *simokta.Settings) { s.DropRate = 0.5 },
		"some, twice and in disorder": func(s *simokta.Settings) {
			s.DropRate, s.DuplicateRate, s.Reorder, s.BatchWindow, s.MaxBatch = 0.3, 0.3, true, 50*time.Millisecond, 7
		},
		"all, and the log is late and in disorder": func(s *simokta.Settings) {
			s.DropRate, s.LogDelay, s.LateEvery = 1, 5*time.Second, 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			w.start()
			w.ready()
			must(t, w.org.Configure(change))
			w.blind() // that no sweep helps
			w.everyMode(40)
			if len(w.entitled()) < 20 {
				t.Fatalf("only %d people are to be agents", len(w.entitled()))
			}
			w.converges(caught + 10*time.Second)
			w.quiet()
			w.converges(0)
			if dropped := w.org.Stats().Deliveries.Dropped; dropped == 0 {
				t.Error("the org has dropped nothing")
			}
			if s := w.status(); s.CatchUp.Requests == 0 {
				t.Error("the System Log told of nobody")
			}
		})
	}
}

// TestLostRemovals drops what tells of leavers alone. Policy create-only keeps
// their agents, and the journal says so.
func TestLostRemovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	stays, leaves := w.hire(1, agentGroup), w.hire(2, agentGroup)
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	must(t, w.org.Configure(func(s *simokta.Settings) { s.DropTypes = []string{"group.user_membership.remove"} }))

	before := w.entitled()
	must(t, w.org.Leave(leaves.ID, agentGroup))
	hops, joins := w.hire(3), w.hire(4)
	w.join(hops)
	must(t, w.org.Leave(hops.ID, agentGroup))
	w.join(hops, joins)
	want := w.entitled()
	want[leaves.ID] = before[leaves.ID]

	w.becomes(want, 30*time.Second)
	w.await("an entry about the one who left", caught, func() bool {
		entries := w.person(leaves.ID).Journal
		return len(entries) == 2 && entries[0].Kind == reconcile.EntryRefusal && entries[0].Code == plan.NotEntitled && entries[0].Trigger == "log"
	})
	if entries := w.person(stays.ID).Journal; len(entries) != 1 {
		t.Errorf("the journal of one who stays has %d entries", len(entries))
	}
	w.quiet()
	w.becomes(want, 0)
}

// TestSweepOnDemand takes hooks and log away.
func TestSweepOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.start()
	w.ready()
	w.drops(1)
	w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1})
	w.everyMode(20)
	w.await("a catch-up that fails", 40*time.Second, func() bool { return w.status().CatchUp.Error != "" })
	if n := w.writes(); n != 0 {
		t.Fatalf("%d writes while nothing tells of anybody", n)
	}
	began := time.Now()
	var answer map[string]string
	w.ask(http.MethodPost, "/v1/sweep", &answer)
	w.converges(30 * time.Second)
	w.swept(began)
	if s := w.status().Sweep.Last; s.Changes != len(w.entitled()) {
		t.Errorf("the last sweep is %+v, for %d people", s, len(w.entitled()))
	}
}

// swept waits for the end of a sweep that began after a time: agents are made before that.
func (w *world) swept(after time.Time) {
	w.t.Helper()
	w.await("the end of the sweep", 30*time.Second, func() bool {
		last := w.status().Sweep.Last
		return last != nil && !last.Started.Before(after)
	})
}

// TestStatuses tries each status of Okta in and out of the group, by a sweep and
// by an event.
func TestStatuses(t *testing.T) {
	t.Parallel()
	into := map[string]func(*world, simokta.User){
		"STAGED":        nil,
		"PROVISIONED":   func(w *world, u simokta.User) { must(w.t, w.org.SetStatus(u.ID, "PROVISIONED", "")) },
		"ACTIVE":        func(*world, simokta.User) {},
		"RECOVERY":      func(w *world, u simokta.User) { must(w.t, w.org.SetStatus(u.ID, "RECOVERY", "")) },
		"LOCKED_OUT":    func(w *world, u simokta.User) { must(w.t, w.org.SetStatus(u.ID, "LOCKED_OUT", "")) },
		"SUSPENDED":     func(w *world, u simokta.User) { must(w.t, w.org.Suspend(u.ID)) },
		"DEPROVISIONED": func(w *world, u simokta.User) { must(w.t, w.org.Deactivate(u.ID)) },
		"PASSWORD_EXPIRED": func(w *world, u simokta.User) {
			must(w.t, w.org.SetStatus(u.ID, "PASSWORD_EXPIRED", ""))
		},
	}
	agents := []string{"ACTIVE", "LOCKED_OUT", "PASSWORD_EXPIRED", "PROVISIONED", "RECOVERY"}
	populate := func(w *world) (want map[string]string) {
		want = map[string]string{}
		outside := w.unmapped().Name
		for status, get := range into {
			for i, group := range []string{outside, agentGroup} {
				login := status + "." + []string{"out", "in"}[i] + "@example.com"
				first := ""
				if status == "STAGED" {
					first = status
				}
				u, err := w.org.AddUser(simokta.NewUser{Login: login, FirstName: "Ana", LastName: "Silva", Status: first, Groups: []string{group}})
				must(w.t, err)
				if get != nil {
					get(w, u)
				}
				if u, err = w.org.User(u.ID); err != nil || u.Status != status {
					w.t.Fatalf("%s is %s: %v", login, u.Status, err)
				}
				if group == agentGroup && slices.Contains(agents, status) {
					want[u.ID] = login
				}
			}
		}
		return want
	}

	t.Run("sweep", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{noHook: true})
		want := populate(w)
		w.breaks(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1})
		began := time.Now()
		w.start()
		w.becomes(want, 30*time.Second)
		w.swept(began)
		if s := w.status().Sweep.Last; s.People != len(into) || s.Changes != len(agents) {
			t.Errorf("the sweep saw %d people and wanted %d changes", s.People, s.Changes)
		}
		if d := w.waiting(reconcile.StateDead); len(d) != 0 {
			t.Errorf("dead letters: %v", d)
		}
	})
	t.Run("event", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{catchUp: "1h"})
		w.start()
		w.ready()
		w.drops(1)
		want := populate(w)
		var joined []string
		for _, e := range w.org.Events("group.user_membership.add") {
			joined = append(joined, e.UUID)
		}
		for _, u := range w.org.Users() { // nobody outside is told of by that
			if !slices.Contains(u.Groups, agentGroup) {
				if status := w.post(hookSecret, event("group.user_membership.add", u.ID, w.group.ID)); status != http.StatusNoContent {
					t.Fatalf("status %d", status)
				}
			}
		}
		if _, err := w.org.Redeliver(t.Context(), "", joined...); err != nil {
			t.Fatal(err)
		}
		w.await("a look at everybody", 30*time.Second, func() bool { return w.status().Outcomes.Looks >= uint64(2*len(into)) })
		w.quiet()
		w.becomes(want, 0)
	})
}

// TestAppUsernames checks that the name in the app becomes the username, to the
// letter, however somebody is found.
func TestAppUsernames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	swept := w.hire(1, agentGroup)
	w.rename(swept, "Swept.PERSON@Example.com")
	w.start()
	w.ready()
	w.join(w.hire(2)) // whose name in the app is the login
	w.converges(30 * time.Second)

	named := w.hire(3)
	w.drops(1)
	w.okta.still(func() { // or a catch-up in between would find the login
		w.join(named)
		w.rename(named, "aGeNt_3")
	})
	w.converges(caught)
	if name := w.roster()[named.ID]; name != "aGeNt_3" {
		t.Errorf("username %q", name)
	}
	if name := w.roster()[swept.ID]; name != "Swept.PERSON@Example.com" {
		t.Errorf("username %q", name)
	}
}

// TestRenamedGroup renames a group that is mapped by its name. Nobody gets or
// keeps anything by the wrong name, everybody can see what is wrong, and those
// in groups that are mapped by id do not have to wait.
func TestRenamedGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{groups: []string{"Night Shift"}})
	w.setup.rules = "  - {groups: [" + w.group.ID + "], persona: agent}\n  - {groups: [Night Shift], persona: agent}\n"
	w.hire(1, "Night Shift")
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	before := w.entitled()

	must(t, w.org.UpdateGroup("Night Shift", "Graveyard Shift", ""))
	w.await("an error about the name", caught, func() bool {
		return w.log.count("ERROR", "Night Shift", "is now named", "Graveyard Shift") > 0
	})
	late, fine, lost := w.hire(2), w.hire(3), w.hire(4)
	must(t, w.org.Join(late.ID, "Graveyard Shift"))
	w.join(fine)
	w.drops(1)
	w.join(lost)
	before[fine.ID], before[lost.ID] = fine.Login, lost.Login
	w.becomes(before, caught)

	s := w.status()
	if want := `group "Night Shift"`; !contains(s.CatchUp.Error, want, "Graveyard Shift") && !contains(s.Sweep.Error, want, "Graveyard Shift") {
		t.Errorf("the status says neither %q nor why: catch-up %q, sweep %q", want, s.CatchUp.Error, s.Sweep.Error)
	}
	w.await("the person in the renamed group to be set aside", 30*time.Second, func() bool {
		p := w.person(late.ID)
		return p.Queue != nil && p.Queue.State == reconcile.StateWaiting && contains(p.Queue.Reason, "Night Shift", "is now named")
	})
	if q := w.person(late.ID).Queue; q.Attempts != 0 {
		t.Errorf("the wait has cost %d attempts", q.Attempts)
	}

	// The old name comes back, and all is well again.
	must(t, w.org.UpdateGroup("Graveyard Shift", "Night Shift", ""))
	w.await("a catch-up that works", caught, func() bool { s := w.status(); return s.CatchUp.Error == "" && s.Sweep.Error == "" })
	w.converges(30 * time.Second)
}

// TestDeletedGroup deletes a mapped group.
func TestDeletedGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{groups: []string{"Night Shift"}})
	w.hire(1, "Night Shift")
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	before := w.entitled()

	must(t, w.org.DeleteGroup("Night Shift"))
	w.await("an error about the group", caught, func() bool { return contains(w.status().CatchUp.Error, "Night Shift", "does not exist") })
	fine := w.hire(2)
	w.join(fine)
	before[fine.ID] = fine.Login
	w.becomes(before, 30*time.Second)
	if s := w.status(); s.Outcomes.Dead != 0 {
		t.Errorf("%d dead letters", s.Outcomes.Dead)
	}
}

// TestGroupEvent tells of a group by a hook while the next catch-up is an hour
// away.
func TestGroupEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{catchUp: "1h", events: []string{"group.profile.update"}})
	w.start()
	w.ready()
	w.join(w.hire(1), w.hire(2))
	before := time.Now()
	must(t, w.org.UpdateGroup(agentGroup, "", "those who take calls"))
	w.await("a sweep", 30*time.Second, func() bool { return w.status().Sweep.Last.Started.After(before) })
	w.converges(30 * time.Second)
	if h := w.status().Hook; h.Groups != 1 || h.Events != 0 {
		t.Errorf("the hook has taken %d events about groups and %d about people", h.Groups, h.Events)
	}
}

// TestUnrelated checks that people, groups and apps that are not mapped cost
// nothing in Amazon Connect.
func TestUnrelated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.start()
	w.ready()
	other := w.unmapped()
	for i := range 20 {
		u := w.hire(i, other.Name)
		must(t, w.org.UpdateProfile(u.ID, map[string]any{"title": "Clerk"}))
	}
	w.join(w.hire(100))
	w.converges(30 * time.Second)
	w.quiet()
	w.becomes(maps.Clone(w.entitled()), 0)
	if n := w.instance.Stats().Operations["CreateUser"].Calls; n != 1 {
		t.Errorf("CreateUser was called %d times", n)
	}
}
