package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// TestLife plays the life of agents: hires by either kind of gateway, a transfer, a
// leaver; what no delivery told, found by the System Log; and a sweep.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.subscribe("/hooks/okta", "user.lifecycle.suspend", "user.lifecycle.deactivate")
	sales, err := w.org.AddGroup("Connect Queue Sales")
	w.must(err)
	w.scheduled(w.catchup)
	w.scheduled(w.sweep) // the first: what one wants to remove must be approved

	hired := w.hire(1)
	w.settle()
	a, ok := w.agent(hired)
	if !ok || a.Username != hired.Login || a.RoutingProfile != w.instance.RoutingProfileID("Basic Routing Profile") {
		t.Fatalf("the agent of who was hired is %+v", a)
	}

	w.must(w.org.Join(hired.ID, sales.ID))
	w.settle()
	if a, _ := w.agent(hired); a.RoutingProfile != w.instance.RoutingProfileID("Sales") {
		t.Fatalf("the agent of who was transferred is %+v", a)
	}

	w.must(w.org.Deactivate(hired.ID))
	w.settle()
	if a, ok := w.agent(hired); !ok || !parked(a) {
		t.Fatalf("the agent of who was deactivated is %+v", a)
	}
	for _, f := range []*function{w.hook, w.work} {
		if said := f.said(); strings.Contains(said, hired.Login) || strings.Contains(said, "First1") || strings.Contains(said, hookSecret) || strings.Contains(said, apiToken) {
			t.Errorf("the log of %s shows a name or a secret", f.handler)
		}
	}
	if metrics := w.metrics(w.work); metrics["changes"] != 3 {
		t.Errorf("the metrics say %v, want 3 changes", metrics)
	}
	if metrics := w.metrics(w.hook); metrics["events_accepted"] < 3 {
		t.Errorf("the metrics say %v, want the events of three deliveries", metrics)
	}

	// What no delivery tells of.
	w.must(w.org.Configure(func(s *simokta.Settings) { s.DropRate = 1 }))
	missed := w.hire(2)
	w.must(w.org.Join(missed.ID, sales.ID))
	w.idle()
	w.scheduled(w.catchup)
	w.settle()
	if a, _ := w.agent(missed); a.RoutingProfile != w.instance.RoutingProfileID("Sales") {
		t.Fatalf("the agent of who was hired without a delivery is %+v after the catch-up", a)
	}
	if lag, ok := w.metrics(w.catchup)["catch_up_lag_seconds"]; !ok || lag > patience.Seconds() {
		t.Errorf("the lag of the catch-up is %v (%t)", lag, ok)
	}

	// What concerns a whole group only a sweep can answer.
	w.must(w.org.UpdateGroup(sales.ID, "Connect Queue Basic Routing Profile", ""))
	w.scheduled(w.catchup)
	w.scheduled(w.sweep)
	w.settle()
	if a, _ := w.agent(missed); a.RoutingProfile != w.instance.RoutingProfileID("Basic Routing Profile") {
		t.Fatalf("the agent of somebody whose group was renamed is %+v after the sweep", a)
	}
	w.journalIs(hired, "create", "update", "suspend")
	w.journalIs(missed, "create", "update")
	before := len(w.wake.said()) // when somebody may have waited
	w.scheduled(w.wake)
	if m := w.metricsIn(w.wake.said()[before:]); m["dead_letters"] != 0 || m["holds_waiting"] != 0 || m["oldest_request_seconds"] != 0 {
		t.Errorf("when nothing waits, the metrics say %v", m)
	}
	w.must(w.store.Verify(t.Context(), ""))
}

// TestSweepIsNotDue: a schedule may ask often, and a sweep that failed is repeated
// after a while, and not at each time.
func TestSweepIsNotDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	calls := func() (n int) {
		for _, c := range w.org.Stats().Calls {
			n += c.Calls
		}
		return n
	}
	w.must(w.instance.AddFaults(simconnect.Fault{Operation: "SearchUsers", Status: 400, Code: "InvalidRequestException"}))
	eventually(t, patience, func() error {
		if _, err := w.sweep.invoke(map[string]any{}); err == nil {
			t.Fatal("a sweep that failed is none that the function reported")
		}
		if w.instance.Faults()[0].Struck == 0 { // the stand-in for AWS was too slow
			w.mayBegin()
			return errors.New("the sweep did not come as far as Amazon Connect")
		}
		return nil
	})
	w.scheduled(w.sweep)
	if _, err := w.store.Note(t.Context(), "sweep"); !errors.Is(err, reconcile.ErrNotFound) {
		t.Errorf("right after a failure there was a sweep (error %v)", err)
	}
	w.mayBegin()
	w.scheduled(w.sweep)
	if _, err := w.store.Note(t.Context(), "sweep"); err != nil {
		t.Errorf("some minutes after a failure there was no sweep: %v", err)
	}
	before := calls()
	w.scheduled(w.sweep)
	if after := calls(); after != before {
		t.Errorf("a sweep that is not due made %d calls to Okta", after-before)
	}
}

// journalIs checks what was done about a person, oldest first.
func (w *world) journalIs(u simokta.User, want ...string) {
	w.t.Helper()
	entries, err := w.store.Recent(w.t.Context(), reconcile.Query{Person: u.ID, Kind: reconcile.EntryChange})
	w.must(err)
	var got []string
	for _, e := range entries {
		got = append([]string{string(e.Action)}, got...)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("the journal of person %s has %v, want %v", u.ID, got, want)
	}
}

// metrics adds up what a function wrote in CloudWatch's embedded metric format, and
// checks the form of the lines.
func (w *world) metrics(f *function) map[string]float64 {
	w.t.Helper()
	return w.metricsIn(f.said())
}

func (w *world) metricsIn(said string) map[string]float64 {
	w.t.Helper()
	out := map[string]float64{}
	for line := range strings.Lines(said) {
		if !strings.Contains(line, `"_aws"`) {
			continue
		}
		var form struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
			Deployment string `json:"deployment"`
		}
		values := map[string]any{}
		w.must(json.Unmarshal([]byte(line), &form))
		w.must(json.Unmarshal([]byte(line), &values))
		if len(form.AWS.CloudWatchMetrics) != 1 || form.AWS.Timestamp < time.Now().Add(-time.Hour).UnixMilli() || form.Deployment != w.name {
			w.t.Fatalf("not a line of metrics: %s", line)
		}
		list := form.AWS.CloudWatchMetrics[0]
		if list.Namespace != "connectroster" || fmt.Sprint(list.Dimensions) != "[[deployment]]" || len(values) != len(list.Metrics)+2 {
			w.t.Errorf("these metrics are not those that the alarms watch: %s", line)
		}
		for _, m := range list.Metrics {
			n, ok := values[m.Name].(float64)
			if !ok || m.Unit != "Count" && m.Unit != "Seconds" {
				w.t.Errorf("the metric %s is %v %s", m.Name, values[m.Name], m.Unit)
			}
			out[m.Name] += n
		}
	}
	return out
}
