package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"connectroster/internal/app"
	"connectroster/internal/okta"
)

// metrics serves the state of an app in Prometheus' format.
func metrics(a *app.App) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{a}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the app's status at every scrape, so that nothing is counted
// twice.
type collector struct{ app *app.App }

// Describe sends nothing: the set of metrics depends on what has happened.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := c.app.Status(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewDesc("connectroster_status", "The state of the program.", nil, nil), err)
		return
	}
	gauge := func(name, help string, v float64, labels ...string) {
		send(out, prometheus.GaugeValue, name, help, v, labels)
	}
	counter := func(name, help string, v uint64, labels ...string) {
		send(out, prometheus.CounterValue, name, help, float64(v), labels)
	}

	gauge("info", "Always 1; the labels say what runs.", 1, "name", s.Name, "version", s.Version, "policy", string(s.Policy), "mode", s.Mode)
	gauge("ready", "1 while requests can be stored.", truth(s.Ready == app.Ready))
	for state, n := range map[string]int{"due": s.Backlog.Due, "waiting": s.Backlog.Waiting, "working": s.Backlog.Working, "dead": s.Backlog.Dead, "idle": s.Backlog.Idle} {
		gauge("people", "People in the queue by state.", float64(n), "state", state)
	}
	age := 0.0
	if !s.Backlog.Oldest.IsZero() {
		age = time.Since(s.Backlog.Oldest).Seconds()
	}
	gauge("oldest_request_seconds", "Age of the oldest request that is not done.", age)
	if last := s.Sweep.Last; last != nil {
		gauge("sweep_timestamp_seconds", "When the last sweep that succeeded started, in Unix time.", float64(last.Started.Unix()))
		gauge("agents", "Agents of this deployment at the last sweep.", float64(last.Agents))
	}
	gauge("sweep_failing", "1 while the newest sweep has failed.", truth(s.Sweep.Error != ""))
	if c := s.CatchUp; c != nil {
		if !c.Last.IsZero() {
			gauge("catch_up_timestamp_seconds", "When Okta's System Log was last read to its end, in Unix time.", float64(c.Last.Unix()))
		}
		gauge("catch_up_failing", "1 while the System Log cannot be read.", truth(c.Error != ""))
		counter("catch_up_requests_total", "People whom the System Log told to look at.", uint64(c.Requests))
		counter("catch_up_failed_deliveries_total", "Deliveries of event hooks that Okta reports as failed.", uint64(c.Failed))
		counter("catch_up_gaps_total", "Times that the place in the System Log was lost.", uint64(c.Gaps))
	}

	counter("looks_total", "Looks at people.", s.Outcomes.Looks)
	counter("failures_total", "Looks that failed and will be repeated.", s.Outcomes.Failed)
	counter("dead_letters_total", "People who were given up.", s.Outcomes.Dead)
	for action, n := range s.Outcomes.Changes {
		counter("changes_total", "Changes made in Amazon Connect.", n, "action", string(action))
	}
	for code, n := range s.Outcomes.Refusals {
		counter("refusals_total", "Changes refused.", n, "code", string(code))
	}
	gauge("change_seconds_sum", "Time from request to change, summed over all changes.", s.Outcomes.Total.Seconds())
	c.guard(gauge, counter, s.Guard)
	for _, i := range s.Instances {
		gauge("instance_reached", "1 once the Amazon Connect instance was read.", truth(i.Info != nil), "instance", i.Name)
	}
	c.hook(counter, s.Hook)
	if o := s.Okta; o != nil {
		counter("okta_calls_total", "Calls to Okta's API.", o.Calls)
		counter("okta_throttled_total", "Calls that Okta answered 429.", o.Throttled)
		counter("okta_refused_total", "Calls that Okta refused for the credential or its rights.", o.Refused)
		counter("okta_failures_total", "Calls to Okta that failed otherwise.", o.Failed)
	}
	for name, op := range s.Connect {
		counter("connect_calls_total", "Calls to Amazon Connect.", op.Calls, "operation", name)
		counter("connect_throttled_total", "Calls that Amazon Connect throttled.", op.Throttled, "operation", name)
		counter("connect_failures_total", "Calls that failed otherwise.", op.Failed, "operation", name)
		counter("connect_refused_total", "Calls that AWS refused for the credentials or their rights; connect_failures_total counts them, too.", op.Refused, "operation", name)
		gauge("connect_seconds_sum", "Time that calls to Amazon Connect took, summed.", op.Took.Seconds(), "operation", name)
		gauge("connect_waited_seconds_sum", "Time that calls waited for their turn, summed.", op.Waited.Seconds(), "operation", name)
	}
}

// guard counts what is kept back, and what was let go.
func (collector) guard(gauge func(name, help string, v float64, labels ...string), counter func(name, help string, v uint64, labels ...string), g app.GuardStatus) {
	gauge("holds", "Holds in which something waits for approval.", float64(g.Holds))
	gauge("held_changes", "Changes that wait for approval.", float64(g.Waiting))
	if !g.Oldest.IsZero() {
		gauge("held_oldest_timestamp_seconds", "When the oldest change that waits was held, in Unix time.", float64(g.Oldest.Unix()))
	}
	gauge("stays", "People who are to be left as they are.", float64(g.Stays))
	counter("held_total", "Changes that were held.", g.Notices.Held)
	for kind, n := range g.Removals {
		counter("guard_answers_total", "What the guard answered to removals and moves.", n.Granted, "kind", string(kind), "answer", "granted")
		counter("guard_answers_total", "What the guard answered to removals and moves.", n.Held, "kind", string(kind), "answer", "held")
		counter("guard_answers_total", "What the guard answered to removals and moves.", n.Stayed, "kind", string(kind), "answer", "stayed")
	}
	counter("webhook_messages_total", "Messages for the webhook.", g.Notices.Sent, "result", "sent")
	counter("webhook_messages_total", "Messages for the webhook.", g.Notices.Failed, "result", "failed")
	counter("webhook_messages_total", "Messages for the webhook.", g.Notices.Dropped, "result", "dropped")
}

// hook counts what the hook endpoint answered and what it made of the events.
func (collector) hook(counter func(name, help string, v uint64, labels ...string), h okta.HookStats) {
	for status, n := range map[string]int64{
		"200": h.Verifications, "204": h.Deliveries, "400": h.BadRequest, "401": h.Unauthorized,
		"405": h.MethodNotAllowed, "413": h.TooLarge, "415": h.Unsupported, "503": h.Unavailable,
	} {
		counter("hook_requests_total", "Requests to the hook endpoint by the status of the answer.", uint64(n), "status", status)
	}
	counter("hook_wrong_secret_total", "Requests like a delivery of Okta in all but the secret.", uint64(h.WrongSecret))
	counter("hook_events_total", "Events that became requests to look at people.", uint64(h.Events))
	counter("hook_group_events_total", "Events about whole groups.", uint64(h.Groups))
	for reason, n := range map[string]int64{
		"unreadable": h.Ignored.Unreadable, "preview": h.Ignored.Preview, "other_type": h.Ignored.OtherType,
		"not_success": h.Ignored.NotSuccess, "untargeted": h.Ignored.Untargeted, "other_group": h.Ignored.OtherGroup,
		"other_app": h.Ignored.OtherApp,
	} {
		counter("hook_events_ignored_total", "Events that asked nothing of us.", uint64(n), "reason", reason)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// send emits one metric; labels are names and values in turn.
func send(out chan<- prometheus.Metric, kind prometheus.ValueType, name, help string, v float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc("connectroster_"+name, help, names, nil), kind, v, values...)
}
