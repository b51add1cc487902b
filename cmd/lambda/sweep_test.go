package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	simokta "connectroster/internal/sim/okta"
)

// rows makes the table take so many transactions of rows of the queue, and throttle
// all that come after them.
func (w *world) rows(most int) (taken func() int) {
	n := 0
	w.between.breaks(func(call string) int {
		if !strings.HasSuffix(call, ".TransactWriteItems") || !bytes.Contains(w.between.body, []byte(`"pk":{"S":"people"}`)) {
			return 0
		}
		if n == most {
			return throttle
		}
		n++
		return 0
	})
	return func() int {
		w.between.mu.Lock()
		defer w.between.mu.Unlock()
		return n
	}
}

// swept gives the result of the last sweep that was finished.
func (w *world) swept() (out reconcile.Swept, err error) {
	text, err := w.store.Note(w.t.Context(), "sweep")
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	return out, err
}

// TestSweepKeepsToItsRole: a sweep asks Amazon Connect for nothing that its role in the
// deployment does not allow, also where looks wait for contacts.
func TestSweepKeepsToItsRole(t *testing.T) {
	t.Parallel()
	may := ""
	for _, g := range grants(t, "SweepRole") {
		may += fmt.Sprintln(g.Action)
	}
	w := newWorld(t, setup{config: "wait_for_contacts: 5m"})
	w.subscribe("/hooks/okta")
	u := w.hire(1)
	w.settle()
	w.must(w.employed(u))
	sales, err := w.org.AddGroup("Connect Queue Sales")
	w.must(err)
	w.must(w.org.Join(u.ID, sales.ID))
	w.idle()
	before := map[string]int{}
	for operation, of := range w.instance.Stats().Operations {
		before[operation] = of.Calls
	}
	w.scheduled(w.sweep)
	if swept, err := w.swept(); err != nil || swept.Changes != 1 {
		t.Fatalf("the sweep is %+v (error %v), want one about somebody who moves", swept, err)
	}
	asked := 0
	for operation, of := range w.instance.Stats().Operations {
		if of.Calls == before[operation] {
			continue
		}
		asked++
		if !regexp.MustCompile(`\bconnect:` + operation + `\b`).MatchString(may) {
			t.Errorf("the sweep calls %s, which its role does not allow", operation)
		}
	}
	if asked < 2 {
		t.Errorf("the sweep asked for %d things", asked)
	}
}

// TestSweepGoesOn lets the time of a sweep of many people end twice while the table
// takes nothing more, with some of them looked at in between. The third run finishes
// what the first began: everybody is asked for once, and gets one agent.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: it lasts two minutes, most of which two runs wait for their end")
	}
	const people = 115
	w := newWorld(t, setup{})
	var all []simokta.User
	for n := range people {
		all = append(all, w.hire(n))
	}
	w.idle()
	<-w.sweep.start().next
	w.sweep.timeout = 30 * time.Second
	begun := time.Now()
	run := func(most, want int) {
		t.Helper()
		taken := w.rows(most)
		defer w.between.breaks(nil)
		w.scheduled(w.sweep)
		if n := taken(); n != want {
			t.Errorf("the sweep wrote rows in %d transactions, want %d", n, want)
		}
	}
	run(4, 4) // a hundred of 115 people
	first := time.Now()
	if swept, err := w.swept(); err == nil {
		t.Fatalf("a sweep that was cut short says that it is finished: %+v", swept)
	}
	looked := 0
	for range 2 {
		n, err := w.poll(w.work, "people")
		w.must(err)
		looked += n
	}
	if looked == 0 {
		t.Error("nobody was told of")
	}
	// Those who were looked at have their agents. So many more make a hundred with the
	// others whom the first run wrote, and are written now, but nobody again.
	run(1, 1)
	run(people, 1)
	swept, err := w.swept()
	w.must(err)
	if swept.Started.Before(begun) || swept.Started.After(first) || swept.People != people {
		t.Errorf("the sweep is %+v, want one of everybody that began with the first run", swept)
	}
	// A run whose end AWS does not store in time is repeated, and may be cut once more.
	said := w.sweep.said()
	if n := strings.Count(said, "the time of the sweep was over; the next run goes on"); n < 2 || n > 2 && !strings.Contains(said, "AWS does not answer in time") {
		t.Errorf("the log tells %d times that the sweep was cut short, want twice", n)
	}
	w.scheduled(w.sweep) // is not due
	if again, err := w.swept(); err != nil || !again.Started.Equal(swept.Started) || again.Took != swept.Took {
		t.Errorf("right after a sweep there was another one: %+v (error %v)", again, err)
	}
	// Nothing has failed, so what only a sweep can answer need not wait. It asks for
	// nobody who is due.
	w.must(w.store.SaveNote(t.Context(), "owed", fmt.Sprintf("%q", time.Now().Format(time.RFC3339Nano))))
	run(0, 0)
	if next, err := w.swept(); err != nil || !next.Started.After(swept.Started.Add(swept.Took)) {
		t.Errorf("a sweep that was owed after the other is %+v (error %v)", next, err)
	}
	rows, err := w.store.People(t.Context(), reconcile.WaitingQuery{Limit: people + 1})
	w.must(err)
	if len(rows) != people {
		t.Fatalf("%d people were asked for, want %d", len(rows), people)
	}
	for _, row := range rows {
		if row.Generation != 1 {
			t.Errorf("person %s was asked for %d times", row.Person, row.Generation)
		}
	}
	w.settle()
	w.mends(w.work, w.finished)
	w.must(w.employed(all...))
	if n := w.created(); n != people {
		t.Errorf("%d agents were made for %d people", n, people)
	}
}
