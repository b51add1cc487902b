package reconcile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/storetest"
)

// thorough reports whether everything is to be tried, rather than a part of it
// that is another one for each case. Many checks ask for that, too.
func thorough() bool {
	n, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	return full() || err == nil && n >= 1000
}

// masks gives the subsets of n things to try for one case, as bits.
func masks(n, number int) []int {
	all := 1 << n
	if thorough() {
		return slices.Collect(func(yield func(int) bool) {
			for m := range all {
				if !yield(m) {
					return
				}
			}
		})
	}
	return []int{number * 7 % all, (number*11 + 5) % all}
}

// permutations gives all orders of the numbers below n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for at := range n {
			out = append(out, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return out
}

// open makes a world for a test.
func (b *bench) open(t *testing.T, api bool) *world {
	t.Helper()
	w, err := newWorld(t.Context(), b, mode{api: api, policy: plan.CreateOnly}, mistake{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// must ends the test after an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// add adds an active user, who is in no group of ours.
func (w *world) add(t *testing.T, login string) string {
	t.Helper()
	u, err := w.org.AddUser(simokta.NewUser{Login: login, FirstName: "Ana", LastName: "Silva"})
	must(t, err)
	w.users = append(w.users, u.ID)
	return u.ID
}

// clear begins anew with an empty store and without agents. The org stays.
func (w *world) clear(t *testing.T) {
	t.Helper()
	for id := range w.roster {
		must(t, w.sim.RemoveAgent(id))
	}
	clear(w.roster)
	clear(w.owners)
	clear(w.owed)
	clear(w.asked)
	clear(w.heard)
	w.store = storetest.NewMemory(w.now)
	must(t, w.restart())
}

// settled works until nobody is due, and finds out whether everybody has an agent
// who should. That nobody else got one is checked as it happens.
func (w *world) settled(t *testing.T, what any) {
	t.Helper()
	must(t, w.until(w.now().Add(time.Minute)))
	missing := w.missing()
	if len(missing) > 0 {
		t.Fatalf("%v: no agent for %v", what, missing)
	}
}

// turn is something that happens to a person.
type turn func(w *world, id string) error

func joins(w *world, id string) error     { return w.org.Join(id, w.group(0)) }
func leaves(w *world, id string) error    { return w.org.Leave(id, w.group(0)) }
func suspended(w *world, id string) error { return w.org.Suspend(id) }
func back(w *world, id string) error      { return w.org.Unsuspend(id) }
func renamed(w *world, id string) error {
	return w.org.UpdateProfile(id, map[string]any{"login": "bea@example.com", "firstName": "Bea"})
}

// lives are five turns each, which end in different states.
var lives = map[string]struct {
	member bool // at the beginning
	turns  []turn
	agents int // at the end
}{
	"leaves":    {false, []turn{joins, renamed, suspended, back, leaves}, 0},
	"stays":     {true, []turn{leaves, joins, renamed, suspended, back}, 1},
	"suspended": {false, []turn{joins, suspended, back, renamed, suspended}, 0},
}

// TestAnyOrder is promise P-09: in whatever order deliveries come, and however
// often each, the roster is that of the state in which Okta is in the end.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for name, life := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBench(t).open(t, true)
			id := w.add(t, "ana@example.com")
			if life.member {
				must(t, joins(w, id))
			}
			w.mail(100)
			var events [][]string // of each turn
			for _, turn := range life.turns {
				w.truth.Advance(time.Millisecond)
				must(t, turn(w, id))
				events = append(events, slices.Clone(w.mail(100)))
			}
			plays := 0
			for number, order := range permutations(len(events)) {
				for _, twice := range masks(len(events), number) {
					w.clear(t)
					w.settled(t, "begin")
					for at, n := range order {
						for range 1 + twice>>at&1 {
							_, err := w.org.Redeliver(t.Context(), w.hookID, events[n]...)
							must(t, err)
						}
						if number%8 == 0 {
							w.settled(t, order)
						}
					}
					w.settled(t, order)
					if len(w.owners) != life.agents {
						t.Fatalf("order %v, twice %b: %d agents, want %d", order, twice, len(w.owners), life.agents)
					}
					plays++
				}
			}
			t.Logf("%d orders of deliveries", plays)
		})
	}
}

// TestAnyOrderOfLog is the same for the System Log, into which events come in
// any order and of which any page is read again.
func TestAnyOrderOfLog(t *testing.T) {
	t.Parallel()
	for name, life := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, plays := newBench(t), 0
			for number, order := range permutations(len(life.turns)) {
				for _, again := range masks(len(order), number) {
					playLog(t, b, life.member, life.turns, order, again)
					plays++
					if n := len(b.world.Load().owners); n != life.agents {
						t.Fatalf("order %v, again %b: %d agents, want %d", order, again, n, life.agents)
					}
				}
			}
			t.Logf("%d orders of the log", plays)
		})
	}
}

// playLog lets the events of each turn come into the log when it is that turn's
// place in the order, and catches up after each: twice, the second time from
// where the first one began, if again says so.
func playLog(t *testing.T, b *bench, member bool, turns []turn, order []int, again int) {
	t.Helper()
	w, err := newWorld(t.Context(), b, mode{api: true, policy: plan.CreateOnly}, mistake{})
	must(t, err)
	defer w.close()
	id := w.add(t, "ana@example.com")
	if member {
		must(t, joins(w, id))
		w.truth.Advance(2 * time.Hour) // so that this is not read
	}
	must(t, w.catchUp())
	w.lateness = time.Minute
	for n, turn := range turns {
		must(t, w.org.Configure(func(s *simokta.Settings) { s.LogDelay = time.Duration(slices.Index(order, n)+1) * time.Second }), turn(w, id))
	}
	for at := range order {
		w.truth.Advance(time.Second)
		place, err := w.store.Note(t.Context(), noteOf)
		must(t, err, w.catchUp())
		if again>>at&1 == 1 {
			must(t, w.store.SaveNote(t.Context(), noteOf, place), w.catchUp())
		}
		must(t, w.until(w.now()))
	}
	w.truth.Advance(time.Minute)
	must(t, w.catchUp())
	w.settled(t, order)
}

// forgedEvent is an event about a membership that Okta never told of.
func forgedEvent(uuid, kind, person, group string, published time.Time) map[string]any {
	return map[string]any{
		"uuid": uuid, "eventType": kind, "published": published.Format(time.RFC3339Nano), "outcome": map[string]any{"result": "SUCCESS"},
		"target": []any{
			map[string]any{"id": person, "type": "User", "alternateId": "ana@example.com", "displayName": "Ana Silva"},
			map[string]any{"id": group, "type": "UserGroup", "displayName": "Amazon Connect Agents"},
		},
	}
}

// post delivers events with the right secret.
func (w *world) post(t *testing.T, events ...map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"eventType": "com.okta.event_hook", "data": map[string]any{"events": events}})
	must(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hookURL, strings.NewReader(string(body)))
	r.Header.Set("Authorization", secret)
	resp, err := w.receive(r)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("answered %d", resp.StatusCode)
	}
}

// TestAnyOrderOfFacts: without access to Okta's API the newest event about a
// membership counts, and of two at one time the removal.
func TestAnyOrderOfFacts(t *testing.T) {
	t.Parallel()
	const add, remove = "group.user_membership.add", "group.user_membership.remove"
	type at struct {
		kind string
		ms   int
	}
	w := newBench(t).open(t, false)
	start, plays := w.truth.Now(), 0
	for name, c := range map[string]struct {
		events []at
		member bool
	}{
		"added":              {[]at{{add, 1}, {remove, 2}, {add, 3}}, true},
		"removed":            {[]at{{add, 1}, {remove, 2}, {add, 3}, {remove, 4}}, false},
		"removed first":      {[]at{{remove, 1}, {add, 2}}, true},
		"at one time":        {[]at{{add, 1}, {remove, 1}}, false},
		"at one time, later": {[]at{{add, 1}, {remove, 1}, {add, 1}, {add, 2}}, true},
		"at one time, last":  {[]at{{add, 1}, {add, 2}, {remove, 2}, {add, 2}}, false},
	} {
		for _, order := range permutations(len(c.events)) {
			for twice := range 1 << len(order) {
				w.clear(t)
				var batch []map[string]any
				for k, n := range order {
					e := forgedEvent(fmt.Sprintf("event-%d", n), c.events[n].kind, "00uana", w.group(0), start.Add(time.Duration(c.events[n].ms)*time.Millisecond))
					for range 1 + twice>>k&1 {
						batch = append(batch, e)
						if twice%2 == 0 { // one by one
							w.post(t, batch...)
							batch = nil
						}
					}
				}
				if len(batch) > 0 {
					w.post(t, batch...)
				}
				w.settled(t, order)
				if want := map[bool]int{true: 1}[c.member]; len(w.owners) != want {
					t.Fatalf("%s: order %v, twice %b: %d agents, want %d", name, order, twice, len(w.owners), want)
				}
				plays++
			}
		}
	}
	t.Logf("%d orders", plays)
}

// TestInAndOut is promise P-10: somebody comes and goes, or goes and comes,
// within two seconds, and one of the deliveries is lost.
func TestInAndOut(t *testing.T) {
	t.Parallel()
	for name, api := range map[string]bool{"API": true, "HookOnly": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, step, plays := newBench(t), 500, 0
			if thorough() {
				step = 10
			}
			for gap := 0; gap <= 2000; gap += step {
				for _, comes := range []bool{true, false} {
					for lost := range 3 { // neither, the first, the second
						for backwards := range 2 {
							if !api && (lost > 0 || gap == 0) {
								continue // what happened nobody can know then
							}
							inAndOut(t, b.open(t, api), time.Duration(gap)*time.Millisecond, comes, lost, backwards == 1)
							plays++
						}
					}
				}
			}
			t.Logf("%d plays", plays)
		})
	}
}

func inAndOut(t *testing.T, w *world, gap time.Duration, comes bool, lost int, backwards bool) {
	t.Helper()
	id := w.add(t, "ana@example.com")
	turns := []turn{leaves, joins}
	if comes {
		turns = []turn{joins, leaves}
	} else {
		must(t, joins(w, id))
		w.truth.Advance(2 * time.Hour)
	}
	if w.mode.api {
		must(t, w.catchUp())
	}
	w.mail(100)
	var posts [][]string
	for n, turn := range turns {
		must(t, turn(w, id))
		if events := slices.Clone(w.mail(100)); n != lost-1 {
			posts = append(posts, events)
		}
		w.truth.Advance(gap)
	}
	if backwards {
		slices.Reverse(posts)
	}
	for _, events := range posts {
		_, err := w.org.Redeliver(t.Context(), w.hookID, events...)
		must(t, err)
		if w.mode.api {
			must(t, w.until(w.now()))
		}
	}
	must(t, w.catchUp())
	w.settled(t, gap)
	if want := map[bool]int{false: 1}[comes]; len(w.owners) != want {
		t.Fatalf("gap %s, comes %v, lost %d, backwards %v: %d agents, want %d", gap, comes, lost, backwards, len(w.owners), want)
	}
}

// TestStatuses is the regression R-29: every status, in a mapped group and out
// of it, of somebody who has an agent and of somebody who has none, found by a
// hook or by a sweep.
func TestStatuses(t *testing.T) {
	t.Parallel()
	b, plays := newBench(t), 0
	for _, status := range []string{"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED", "GONE"} {
		for _, member := range []bool{true, false} {
			for _, has := range []bool{true, false} {
				for _, byHook := range []bool{true, false} {
					what := fmt.Sprintf("%s, member %v, has an agent %v, by hook %v", status, member, has, byHook)
					w := b.open(t, true)
					id := w.add(t, "ana@example.com")
					must(t, joins(w, id))
					if has {
						_, err := w.sweep()
						must(t, err)
						w.settled(t, what)
					}
					if !member {
						must(t, leaves(w, id))
					}
					if status == "GONE" {
						must(t, w.org.Deactivate(id), w.org.Delete(id))
					} else {
						must(t, w.org.SetStatus(id, status, ""))
					}
					if byHook {
						w.post(t, forgedEvent("hint", "group.user_membership.add", id, w.group(0), w.truth.Now()))
					} else {
						_, err := w.sweep()
						must(t, err)
					}
					w.settled(t, what)
					want := 0
					if has || member && slices.Contains([]string{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"}, status) {
						want = 1
					}
					if len(w.sim.Agents()) != want {
						t.Errorf("%s: %d agents, want %d", what, len(w.sim.Agents()), want)
					}
					must(t, w.check())
					plays++
				}
			}
		}
	}
	t.Logf("%d cases", plays)
}

// TestForgedContent is promise P-42: who has the secret of the hook can have
// people looked at, and give nobody an agent whom Okta does not.
func TestForgedContent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		w, err := newWorld(t.Context(), b, mode{api: true, policy: plan.CreateOnly}, mistake{})
		must(t, err)
		defer w.close()
		member, outsider, suspect := w.add(t, "ana@example.com"), w.add(t, "bo@example.com"), w.add(t, "cem@example.com")
		must(t, joins(w, member), joins(w, suspect), w.org.Join(outsider, w.group(2)), w.org.Suspend(suspect))
		ids := []string{outsider, suspect, "00uunknown0000000000", "x", member}
		kinds := append([]string{"group.user_membership.add", "user.lifecycle.unsuspend"}, hookEvents...)
		var events []map[string]any
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			e := forgedEvent(fmt.Sprintf("forged-%d", len(events)), rapid.SampledFrom(kinds).Draw(rt, "kind"), rapid.SampledFrom(ids).Draw(rt, "person"),
				w.group(rapid.IntRange(0, 2).Draw(rt, "group")), w.truth.Now().Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(rt, "hours"))*time.Hour))
			events = append(events, e)
		}
		w.post(t, events...)
		w.settled(t, "forged")
		if err := w.check(); err != nil {
			rt.Fatal(err)
		}
		for _, owner := range w.owners {
			if owner != member {
				rt.Fatalf("person %s got an agent", owner)
			}
		}
	})
}

// TestReplay is promise P-41: real deliveries that come again, soon or after
// long, in any order, change nothing.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, api := range map[string]bool{"API": true, "HookOnly": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, people := newBench(t).open(t, api), 20
			if thorough() {
				people = 215 // of whom Okta tells some 1,000 events
			}
			for n := range people {
				id := w.add(t, fmt.Sprintf("user%d@example.com", n))
				must(t, joins(w, id))
				if n%3 == 0 {
					w.truth.Advance(time.Millisecond)
					must(t, leaves(w, id))
				}
			}
			events, stay := w.mail(10_000), people-(people+2)/3
			deliver := func(when any) {
				t.Helper()
				for n, e := range events {
					_, err := w.org.Redeliver(t.Context(), w.hookID, e)
					must(t, err)
					if when != "first" && n%100 == 99 { // people are looked at in between
						w.settled(t, when)
					}
				}
				w.settled(t, when)
			}
			deliver("first")
			if len(w.owners) != stay {
				t.Fatalf("%d agents, want %d", len(w.owners), stay)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for _, wait := range []time.Duration{time.Second, time.Hour, 100 * 24 * time.Hour} {
				w.truth.Advance(wait)
				for range 10 {
					random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
					deliver(wait)
				}
			}
			if n := len(w.sim.Ledger()); n != stay {
				t.Errorf("%d writes, want %d", n, stay)
			}
			t.Logf("%d deliveries, each replayed 30 times", len(events))
			must(t, w.check())
		})
	}
}

// TestLostDeliveries is promise P-07: what no delivery told is found by the next
// catch-up, and while the System Log cannot be read by the next sweep.
func TestLostDeliveries(t *testing.T) {
	t.Parallel()
	generator, b, missed := histories(30), newBench(t), 0
	number := 25
	if thorough() {
		number = 500
	}
	org := []string{"hire", "stage", "join", "leave", "batch", "suspend", "unsuspend", "deactivate", "activate", "delete", "name", "login"}
	for n := range number {
		for lost := range 4 { // all, half, removals alone, a random part
			random := rand.New(rand.NewPCG(uint64(n), 7))
			share := random.Float64()
			for _, readable := range []bool{true, false} {
				w := b.open(t, true)
				must(t, w.catchUp())
				for at, s := range generator.Example(n*4 + lost + 1) {
					s.Do = org[(at+len(s.Do)*5+s.B)%len(org)]
					must(t, w.do(s))
					for _, e := range w.mail(100) {
						if lost == 1 && (at+s.A)%2 == 0 || lost == 2 && !w.removal(e) || lost == 3 && random.Float64() > share {
							_, err := w.org.Redeliver(t.Context(), w.hookID, e)
							must(t, err)
						}
					}
					must(t, w.until(w.now()))
				}
				before := w.missing()
				missed += len(before)
				w.truth.Advance(time.Minute)
				if readable {
					must(t, w.catchUp())
				} else {
					must(t, w.org.AddFaults(simokta.Fault{Endpoint: "GET /api/v1/logs", Times: -1}))
					if w.catchUp() == nil {
						t.Fatal("the log cannot be read and that is no error")
					}
					_, err := w.sweep()
					must(t, err)
				}
				w.settled(t, fmt.Sprintf("history %d, lost %d, log %v", n, lost, readable))
				must(t, w.check())
			}
		}
	}
	if missed == 0 {
		t.Error("nobody was missing before")
	}
	t.Logf("%d histories, %d people found", number*8, missed)
}

// removal reports whether an event tells that somebody left a group.
func (w *world) removal(uuid string) bool {
	return slices.ContainsFunc(w.org.Events("group.user_membership.remove"), func(e simokta.EventRecord) bool { return e.UUID == uuid })
}

// TestOnceEach is promise P-03: however often events come, by the hook and by the
// log, the writes are those of each coming once.
func TestOnceEach(t *testing.T) {
	t.Parallel()
	w := newBench(t).open(t, true)
	must(t, w.catchUp())
	random := rand.New(rand.NewPCG(3, 4))
	var posts []string
	for n := range 100 {
		id := w.add(t, fmt.Sprintf("user%d@example.com", n))
		must(t, joins(w, id))
		for _, e := range w.mail(100) {
			posts = append(posts, slices.Repeat([]string{e}, 1+random.IntN(5))...)
		}
	}
	random.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	place, err := w.store.Note(t.Context(), noteOf)
	must(t, err)
	for chunk := range slices.Chunk(posts, 60) {
		_, err := w.org.Redeliver(t.Context(), w.hookID, chunk...)
		must(t, err)
		must(t, w.store.SaveNote(t.Context(), noteOf, place), w.catchUp())
		w.work(random.IntN(40))
	}
	w.settled(t, "all")
	must(t, w.check())
	calls := w.sim.Stats().Operations["CreateUser"].Calls
	entries, err := w.store.Recent(t.Context(), reconcile.Query{Limit: 1000})
	must(t, err)
	if calls != 100 || len(w.sim.Ledger()) != 100 || len(entries) != 100 {
		t.Errorf("%d calls, %d writes and %d entries of the journal, want 100 of each", calls, len(w.sim.Ledger()), len(entries))
	}
}
