package app_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/sqlite"
	"connectroster/internal/storetest"
)

// TestDay plays a day by a fake clock (P-63), on the parts of a daemon that its loops
// call: a catch-up each minute, thousands of looks, the daily sweep, the journal. What
// it keeps in memory at the end is what it kept after the first quarter. In the
// database only the journal grows, and by one row for each person of whom a delivery
// with the secret tells for the first time. TestSoak in cmd/connectroster is about the
// loops and the endpoints, in real time.
//
// A normal run plays four hours. It runs alone: it counts the goroutines and the memory
// of the process.
func TestDay(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short: it lasts a minute, and looks at memory, which the race detector uses otherwise")
	}
	hours := 4
	if full() {
		hours = 24
	}
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 512 // bytes between two that are sampled, so that little is missed
	defer func() { runtime.MemProfileRate = rate }()

	d := newDay(t)
	var kept []keeping
	for minute := range hours * 60 {
		d.minute(minute)
		if (minute+1)%(hours*15) == 0 {
			k := d.rest()
			t.Logf("after %d minutes: %d goroutines, %d files, %d KiB in memory, rows %v", minute+1, k.goroutines, k.files, k.memory>>10, k.rows)
			kept = append(kept, k)
		}
	}
	d.lived(hours)
	first, last := kept[0], kept[len(kept)-1]
	if last.goroutines > first.goroutines+2 {
		t.Errorf("%d goroutines, and %d after the first quarter", last.goroutines, first.goroutines)
	}
	if last.files > first.files+5 {
		t.Errorf("%d open files, and %d after the first quarter", last.files, first.files)
	}
	if growth := last.memory - first.memory; growth > 64<<10 {
		t.Errorf("%d KiB more in memory than after the first quarter", growth>>10)
	}
	for table, n := range last.rows {
		most := 2 * len(d.people)
		switch table {
		case "journal", "journal_personal":
			continue
		case "people":
			most = len(d.people) + hours*60
		}
		if n > most {
			t.Errorf("%d rows in %s, want at most %d", n, table, most)
		}
	}
}

// full reports whether the long form of a test is wanted.
func full() bool { return os.Getenv("CONNECTROSTER_FULL") == "1" }

// day is a world without loops, whose time is a fake clock.
type day struct {
	*world
	clock  *storetest.Clock
	parts  *app.Functions
	people []simokta.User
	random *rand.Rand
	looks  int
	caught int
	sweeps int
}

func newDay(t *testing.T) *day {
	t.Helper()
	clock := storetest.NewClock()
	clock.Advance(time.Since(clock.Now())) // since Okta's client keeps to the real time
	d := &day{clock: clock, random: rand.New(rand.NewPCG(1, 2))}
	d.world = newWorld(t, setup{
		groups: []string{"Sales"}, policy: "sync", now: clock.Now,
		persona: "  sales: {routing_profile: Sales, security_profiles: [Agent]}\n  parked: {routing_profile: Parked, security_profiles: [No permissions]}\n",
		rules:   "  - {groups: [Sales], persona: sales}\n  - {groups: [\"" + agentGroup + "\"], persona: agent}",
		more: "leavers: {suspend_as: parked, delete_after: 7d}\n" +
			"guard: {status_count: 1000, group_count: 1000, long_count: 1000, move_count: 1000, short: 1m, long: 1h, i_understand: true}\n",
	})
	d.instance.AddDemo()
	must(t, d.org.Configure(func(s *simokta.Settings) { s.DropRate, s.DuplicateRate, s.Reorder, s.DailyCap = 0.1, 0.2, true, -1 }))
	cfg, err := config.Parse(filepath.Join(d.dir, "connectroster.yaml"), []byte(d.yaml()), func(name string) string { return d.env[name] })
	must(t, err)
	d.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: cfg.Store.SQLite, Now: clock.Now})
	must(t, err)
	d.parts, err = app.NewFunctions(t.Context(), app.Config{Config: cfg, Backend: d.store, Version: "test", Log: slog.New(slog.DiscardHandler), Now: clock.Now})
	must(t, err)
	t.Cleanup(d.parts.Close)
	must(t, d.parts.Claim(t.Context()))
	d.door.lead(d.parts.Hook())
	d.subscribe()
	for n := range 60 {
		d.people = append(d.people, d.hire(n, agentGroup))
	}
	d.sweep()
	d.work()
	must(t, d.org.AddFaults(
		simokta.Fault{Endpoint: "GET", Every: 211, Times: -1, Status: http.StatusForbidden},
		simokta.Fault{Endpoint: "GET", Every: 307, Times: -1, Kind: simokta.FaultTruncate},
	))
	must(t, d.instance.AddFaults(
		simconnect.Fault{Every: 101, Times: -1, Status: http.StatusForbidden, Code: "AccessDeniedException"},
		simconnect.Fault{Every: 211, Times: -1, Status: http.StatusBadRequest, Code: "InvalidRequestException"},
	))
	return d
}

// minute is what happens in a minute, and what the loops of a daemon do about it.
func (d *day) minute(n int) {
	d.t.Helper()
	d.clock.Advance(30 * time.Second)
	d.happen()
	if status := d.post(hookSecret, strings.ReplaceAll(stranger, "NUMBER", fmt.Sprintf("%08d", n))); status != http.StatusNoContent {
		d.t.Errorf("a delivery was answered %d", status)
	}
	if status := d.post("not-"+hookSecret, stranger); status != http.StatusUnauthorized {
		d.t.Errorf("a delivery without the secret was answered %d", status)
	}
	must(d.t, d.org.Idle(d.t.Context()))
	d.work()
	d.clock.Advance(30 * time.Second)
	if _, err := d.parts.CatchUp(d.t.Context()); err == nil { // one that fails goes on at the next
		d.caught++
	}
	d.work()
	d.sweep()
	must(d.t, d.parts.Anchor(d.t.Context()))
	_, err := d.parts.Waiting(d.t.Context())
	must(d.t, err)
}

// stranger is a delivery about somebody whom Okta does not know.
const stranger = `{"eventType": "com.okta.event_hook", "data": {"events": [{"uuid": "NUMBER-0000-11f0-9a3c-0242ac120001",
	"published": "2026-03-01T10:15:00.000Z", "eventType": "group.user_membership.add", "outcome": {"result": "SUCCESS"}, "target": [
	{"id": "00uNUMBER000000000", "type": "User", "alternateId": "pNUMBER@example.com", "displayName": "N N"},
	{"id": "00g1", "type": "UserGroup", "alternateId": "unknown", "displayName": "` + agentGroup + `"}]}]}}`

// happen changes something about somebody.
func (d *day) happen() {
	d.t.Helper()
	u, err := d.org.User(d.people[d.random.IntN(len(d.people))].ID)
	must(d.t, err)
	turn := func(group string) {
		if slices.Contains(u.Groups, group) {
			must(d.t, d.org.Leave(u.ID, group))
		} else {
			must(d.t, d.org.Join(u.ID, group))
		}
	}
	switch d.random.IntN(5) {
	case 0, 1:
		turn(agentGroup)
	case 2:
		turn("Sales")
	case 3:
		must(d.t, d.org.UpdateProfile(u.ID, map[string]any{"firstName": fmt.Sprintf("Given%d", d.random.IntN(1000))}))
	case 4:
		if u.Status == "SUSPENDED" {
			must(d.t, d.org.Unsuspend(u.ID))
		} else {
			must(d.t, d.org.Suspend(u.ID))
		}
	}
}

// work looks at everybody who is due, by four workers as a daemon has them.
func (d *day) work() {
	d.t.Helper()
	var workers sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		workers.Go(func() {
			for {
				work, err := d.store.Claim(d.t.Context(), time.Minute)
				if errors.Is(err, reconcile.ErrNotFound) {
					return
				}
				if err == nil {
					err = d.parts.WorkOn(d.t.Context(), work)
				}
				if err != nil {
					d.t.Error(err)
					return
				}
				mu.Lock()
				d.looks++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
}

func (d *day) sweep() {
	d.t.Helper()
	if swept, err := d.parts.Sweep(d.t.Context()); swept && err == nil {
		d.sweeps++
	}
}

// keeping is what the process keeps while nothing happens.
type keeping struct {
	goroutines int
	files      int
	memory     int64 // bytes that code of the product holds
	rows       map[string]int
}

// rest waits until connections have ended, and looks at what is kept.
func (d *day) rest() keeping {
	d.t.Helper()
	d.parts.Close()
	d.door.client.CloseIdleConnections()
	k := keeping{goroutines: runtime.NumGoroutine(), rows: map[string]int{}}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		k.goroutines = min(k.goroutines, runtime.NumGoroutine())
	}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		k.files = len(list)
	}
	k.memory = held()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.dir, "connectroster.db")+"?mode=ro")
	must(d.t, err)
	defer db.Close()
	for _, table := range []string{"people", "facts", "agents", "intents", "notes", "journal", "journal_personal", "journal_heads", "tombstones", "places", "holds", "hold_entries", "stays"} {
		var n int
		must(d.t, db.QueryRowContext(d.t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		k.rows[table] = n
	}
	return k
}

// held gives how many bytes are in use that were allocated by code of the product, or
// by what it called. The vendors and the tests, which remember everything, are in the
// same process; whose the innermost function of ours is tells them apart.
func held() (bytes int64) {
	runtime.GC()
	runtime.GC() // what the first one freed, the profile knows after the second
	records := make([]runtime.MemProfileRecord, 1<<17)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		panic(fmt.Sprintf("%d records of memory", n))
	}
	for _, r := range records[:n] {
		for frames := runtime.CallersFrames(r.Stack()); ; {
			f, more := frames.Next()
			if strings.HasPrefix(f.Function, "connectroster/internal/") {
				if !strings.HasPrefix(f.Function, "connectroster/internal/sim/") && !strings.HasSuffix(f.File, "_test.go") {
					bytes += r.InUseBytes()
				}
				break
			}
			if !more {
				break
			}
		}
	}
	return bytes
}

// lived checks that there was a day.
func (d *day) lived(hours int) {
	d.t.Helper()
	tally := d.parts.Tally()
	changes := uint64(0)
	for _, n := range tally.Changes {
		changes += n
	}
	if d.looks < hours*100 || changes < uint64(hours)*20 || d.caught < hours*55 || d.sweeps < 1+hours/24 {
		d.t.Errorf("%d looks, %d changes, %d catch-ups and %d sweeps show little", d.looks, changes, d.caught, d.sweeps)
	}
	must(d.t, d.store.Verify(d.t.Context(), ""))
	d.t.Logf("%d looks, %d changes, %d catch-ups, %d sweeps", d.looks, changes, d.caught, d.sweeps)
}
