package main

import (
	"encoding/json"

	"connectroster/internal/plan"
)

// metric is one measurement.
type metric struct {
	name string
	unit string
	n    float64
}

// Units. Source: Amazon CloudWatch API, MetricDatum.
const (
	count   = "Count"
	seconds = "Seconds"
)

// emit writes one line in CloudWatch's embedded metric format, from which CloudWatch
// takes the metrics, with the deployment as their only dimension.
// Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
func (s *parts) emit(metrics ...metric) {
	type definition struct{ Name, Unit string }
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	list := directive{Namespace: "connectroster", Dimensions: [][]string{{"deployment"}}}
	line := map[string]any{"deployment": s.name}
	for _, m := range metrics {
		list.Metrics = append(list.Metrics, definition{m.name, m.unit})
		line[m.name] = m.n
	}
	line["_aws"] = map[string]any{"Timestamp": s.now().UnixMilli(), "CloudWatchMetrics": []directive{list}}
	if err := json.NewEncoder(s.metrics).Encode(line); err != nil {
		s.log.Error("cannot write metrics", "error", err)
	}
}

// tally writes what was counted since the last time.
func (s *parts) tally() {
	now, before := s.Tally(), s.told
	s.told = now
	var out []metric
	add := func(name string, n, told float64) {
		if n > told {
			out = append(out, metric{name, count, n - told})
		}
	}
	add("events_accepted", float64(now.Events), float64(before.Events))
	add("deliveries_refused", float64(now.Refused), float64(before.Refused))
	add("changes", total(now.Changes), total(before.Changes))
	add("refusals", total(now.Refusals, plan.NotEntitled), total(before.Refusals, plan.NotEntitled))
	add("connect_throttled", float64(now.Throttled), float64(before.Throttled))
	if len(out) > 0 {
		s.emit(out...)
	}
}

// total adds up the counts, but for those of the given names.
func total[K comparable](counts map[K]uint64, but ...K) float64 {
	var n uint64
	for _, c := range counts {
		n += c
	}
	for _, name := range but {
		n -= counts[name]
	}
	return float64(n)
}
