package okta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// Delivery is the record of one attempt to deliver events, or of an event that
// was kept from delivery.
type Delivery struct {
	EventID string        `json:"eventId"` // of the POST; both attempts carry the same
	Hook    string        `json:"hook"`
	Kind    string        `json:"kind"`    // event, duplicate, preview or redelivery
	Attempt int           `json:"attempt"` // 1 or 2; 0: nothing was sent
	Events  []string      `json:"events"`  // uuids, in the order sent
	Types   []string      `json:"types"`
	Status  int           `json:"status"`  // HTTP status; 0: no answer
	Outcome string        `json:"outcome"` // delivered, failed, dropped, capped or discarded
	Error   string        `json:"error,omitempty"`
	At      time.Time     `json:"at"` // begin of the attempt
	Took    time.Duration `json:"-"`
}

// MarshalJSON adds the duration in milliseconds.
func (d Delivery) MarshalJSON() ([]byte, error) {
	type plain Delivery
	return json.Marshal(struct {
		plain
		TookMS float64 `json:"tookMs"`
	}{plain(d), ms(d.Took)})
}

// CallCount counts the calls of one endpoint.
type CallCount struct {
	Calls   int `json:"calls"`
	Limited int `json:"limited"` // answered 429
}

// Totals count deliveries since the start or the last reset.
type Totals struct {
	Posts      int `json:"posts"`      // attempts that went out
	Delivered  int `json:"delivered"`  // POSTs answered 2xx
	Failed     int `json:"failed"`     // POSTs given up
	Retried    int `json:"retried"`    // second attempts
	Dropped    int `json:"dropped"`    // events lost by a switch
	Capped     int `json:"capped"`     // events lost to the daily cap
	Discarded  int `json:"discarded"`  // events whose hook stopped listening
	Duplicated int `json:"duplicated"` // events sent twice by a switch
}

// Stats is what an org counts.
type Stats struct {
	Calls      map[string]CallCount `json:"calls"` // by "GET /api/v1/users/{id}"
	Deliveries Totals               `json:"deliveries"`
	Records    []Delivery           `json:"records"` // the last 100,000
}

const maxRecords = 100_000

// queued is an event that waits for its delivery.
type queued struct {
	event *event
	at    time.Time // real time of its arrival
	again bool      // a duplicate, which is not duplicated further
}

// subscribers are the hooks configured for an event, filters aside.
func (o *Org) subscribers(e *event) []*hook {
	if !eventTypes[e.kind].hooks {
		return nil
	}
	var out []*hook
	for h := range o.hooks.all("") {
		if h.listening() && slices.Contains(h.items, e.kind) {
			out = append(out, h)
		}
	}
	return out
}

// offer queues an event for the hooks whose filters let it pass. The daily cap
// counts it once; the faults decide for each hook.
func (o *Org) offer(e *event, hooks []*hook) {
	if o.muted || o.closed {
		return
	}
	counted := false
	for _, h := range hooks {
		if f := h.filters[e.kind]; f != nil && !f(e) {
			continue
		}
		if !counted {
			counted = true
			ok, warn := o.spend()
			if warn {
				defer o.warnOfCap(h)
			}
			if !ok {
				o.stats.Capped++
				o.note(Delivery{Hook: h.id, Kind: "event", Outcome: "capped"}, []*event{e})
				return
			}
		}
		if slices.Contains(o.set.DropTypes, e.kind) || o.set.DropRate > 0 && o.drops.Float64() < o.set.DropRate {
			o.stats.Dropped++
			o.note(Delivery{Hook: h.id, Kind: "event", Outcome: "dropped"}, []*event{e})
			continue
		}
		o.enqueue(h, queued{event: e, at: time.Now()})
	}
}

func (o *Org) warnOfCap(h *hook) {
	e := o.newEvent(&o.back, "event_hook.delivery", systemActor, outcome{"UNKNOWN", "70 % of the daily limit of event hook events is used"}, []target{h.target()})
	e.severity = "WARN"
	o.record(e)
}

func (o *Org) enqueue(h *hook, q queued) {
	h.queue = append(h.queue, q)
	h.poke()
	if h.pumps < max(1, o.set.Parallel) {
		h.pumps++
		ctx := o.ctx
		o.start(func() { o.pump(ctx, h) })
	}
}

// pump delivers a hook's queue until it is empty or ctx ends.
func (o *Org) pump(ctx context.Context, h *hook) {
	for {
		o.mu.Lock()
		if ctx.Err() != nil || len(h.queue) == 0 {
			h.pumps--
			if ctx.Err() != nil {
				h.queue = nil
			}
			o.mu.Unlock()
			return
		}
		if wait := o.untilDue(h); wait > 0 {
			o.mu.Unlock()
			pause(ctx, wait, h.wake)
			continue
		}
		batch, again := o.take(h)
		listening := h.listening()
		if !listening {
			o.stats.Discarded += len(batch)
			o.note(Delivery{Hook: h.id, Kind: "event", Outcome: "discarded"}, batch)
		}
		o.mu.Unlock()
		if listening {
			kind := "event"
			if again {
				kind = "duplicate"
			}
			o.post(ctx, h, batch, kind)
		}
	}
}

// untilDue says how long the head of the queue still waits.
func (o *Org) untilDue(h *hook) time.Duration {
	hold := o.set.Delay
	if window := o.set.window(); window > 0 && (o.set.Reorder || len(h.queue) < o.set.batch()) {
		hold += window
	}
	return hold - time.Since(h.queue[0].at)
}

// take removes the next batch from the queue. Duplicates go back to its end,
// so they come in a later POST; a batch holds either first or second copies.
func (o *Org) take(h *hook) (batch []*event, again bool) {
	if o.set.Reorder {
		o.faults.Shuffle(len(h.queue), func(i, j int) { h.queue[i], h.queue[j] = h.queue[j], h.queue[i] })
	}
	again = h.queue[0].again
	n := 0
	for n < len(h.queue) && n < o.set.batch() && h.queue[n].again == again {
		batch = append(batch, h.queue[n].event)
		n++
	}
	h.queue = slices.Delete(h.queue, 0, n)
	if again {
		return batch, true
	}
	for _, e := range batch {
		o.taken++
		every := o.set.DuplicateEvery > 0 && o.taken%o.set.DuplicateEvery == 0
		if every || o.set.DuplicateRate > 0 && o.faults.Float64() < o.set.DuplicateRate {
			o.stats.Duplicated++
			h.queue = append(h.queue, queued{event: e, at: time.Now(), again: true})
		}
	}
	return batch, false
}

// post delivers events in one POST, with at most one retry, and logs a failure.
// It returns the record of the last attempt.
func (o *Org) post(ctx context.Context, h *hook, events []*event, kind string) Delivery {
	o.mu.Lock()
	ch, timeout, pauseFor := h.channel, o.set.timeout(), o.set.RetryDelay
	id, request := o.mint.post(), o.mint.reply("req")
	body, err := o.envelope(h.id, id, events)
	o.mu.Unlock()
	d := Delivery{EventID: id, Hook: h.id, Kind: kind, Attempt: 1}
	retry := false
	if err != nil {
		d.Outcome, d.Error, d.At = "failed", err.Error(), o.now()
	} else {
		retry = o.attempt(ctx, ch, body, request, timeout, &d)
	}
	if retry && ctx.Err() == nil {
		o.settle(d, events, false)
		pause(ctx, pauseFor, nil)
		d = Delivery{EventID: id, Hook: h.id, Kind: kind, Attempt: 2}
		o.attempt(ctx, ch, body, request, timeout, &d)
	}
	o.settle(d, events, true)
	if d.Outcome == "failed" && ctx.Err() == nil {
		o.cfg.Log.Warn("event hook delivery failed", "hook", h.id, "attempts", d.Attempt, "events", len(events), "reason", d.Error)
		o.mu.Lock()
		o.record(o.newEvent(&o.back, "event_hook.delivery", systemActor, outcome{"FAILURE", shorten(d.Error)}, []target{h.target()})) //nolint:contextcheck // deliveries of this event end with the org, not with this one
		o.mu.Unlock()
	}
	return d
}

// settle records an attempt; last says that no other follows.
func (o *Org) settle(d Delivery, events []*event, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stats.Posts++
	if d.Attempt == 2 {
		o.stats.Retried++
	}
	switch {
	case d.Outcome == "delivered":
		o.stats.Delivered++
	case last:
		o.stats.Failed++
	}
	o.note(d, events)
}

// note appends a record. The caller holds o.mu.
func (o *Org) note(d Delivery, events []*event) {
	for _, e := range events {
		d.Events = append(d.Events, e.uuid)
		d.Types = append(d.Types, e.kind)
	}
	if d.At.IsZero() {
		d.At = o.now()
	}
	if len(o.records) >= maxRecords {
		o.records = slices.Delete(o.records, 0, maxRecords/10)
	}
	o.records = append(o.records, d)
}

// envelope is the body of a delivery. The caller holds o.mu.
func (o *Org) envelope(hook, eventID string, events []*event) ([]byte, error) {
	list := make([]any, len(events))
	for i, e := range events {
		list[i] = e.hookForm()
		if o.set.OmitNulls {
			list[i] = withoutNulls(list[i])
		}
	}
	return json.Marshal(object{
		"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1",
		"source": o.base() + "/api/v1/eventHooks/" + hook, "eventId": eventID, "data": object{"events": list},
		"eventTime": stamp(o.now()), "contentType": "application/json",
	})
}

// withoutNulls drops null fields at every depth.
func withoutNulls(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(b, &out) != nil {
		return v
	}
	return prune(out)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x == nil {
				delete(v, k)
				continue
			}
			v[k] = prune(x)
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// attempt sends one POST, completes d and reports whether a retry is due: after
// a timeout, a broken connection or a 5xx, never after a 3xx or 4xx.
func (o *Org) attempt(ctx context.Context, ch channel, body []byte, request string, timeout time.Duration, d *Delivery) (retry bool) {
	began := time.Now()
	d.At, d.Outcome = o.now(), "failed"
	defer func() { d.Took = time.Since(began) }()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := ch.request(ctx, http.MethodPost, bytes.NewReader(body), request)
	if err != nil {
		d.Error = err.Error()
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(req)
	if err != nil {
		d.Error = unreachable(err).Error()
		return true
	}
	defer resp.Body.Close()
	d.Status = resp.StatusCode
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)); err != nil {
		d.Error = unreachable(err).Error()
		return true
	}
	if resp.StatusCode/100 == 2 {
		d.Outcome = "delivered"
		return false
	}
	d.Error = fmt.Sprintf("http %d", resp.StatusCode)
	return resp.StatusCode >= 500
}

// request makes a request with the headers that Okta sets and the hook's own.
func (ch channel) request(ctx context.Context, method string, body io.Reader, id string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, ch.uri, body)
	if err != nil {
		return nil, errors.New("the uri cannot be requested")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Okta-Integrations")
	req.Header.Set("X-Okta-Request-Id", id)
	for _, h := range ch.headers {
		req.Header.Set(h.Key, h.Value)
	}
	if ch.authKey != "" && ch.authValue != "" {
		req.Header.Set(ch.authKey, ch.authValue)
	}
	return req, nil
}

// unreachable names a transport error without the URL, which may hold a secret.
func unreachable(err error) error {
	var t net.Error
	switch {
	case errors.As(err, &t) && t.Timeout():
		return errors.New("timeout")
	case errors.Is(err, context.Canceled):
		return errors.New("stopped")
	}
	return errors.New("connection error")
}

// shorten cuts a reason to the 255 characters that an outcome may have.
func shorten(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), 255)])
}

// pause waits for d, for a signal on wake, or for the end of ctx.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// Preview posts a past event to a hook, or with an empty uuid the console's
// sample, whose target and actor are null. Filters, status and verification do
// not matter to it. The record is that of the last attempt.
func (o *Org) Preview(ctx context.Context, hookID, uuid string) (Delivery, error) {
	o.mu.Lock()
	h := o.hooks.rows[hookID]
	if h == nil {
		o.mu.Unlock()
		return Delivery{}, notFound(hookID, "EventHook")
	}
	var e *event
	if uuid == "" {
		e = o.newEvent(&o.back, "group.user_membership.add", actor{}, outcome{Result: "Success"}, nil)
		e.preview, e.transaction.ID = true, "x"
		if !slices.Contains(h.items, e.kind) {
			e.kind = h.items[0]
		}
	} else if e = o.byUUID[uuid]; e == nil {
		o.mu.Unlock()
		return Delivery{}, notFound(uuid, "LogEvent")
	}
	o.mu.Unlock()
	return o.post(ctx, h, []*event{e}, "preview"), nil
}

// Redeliver posts recorded events, in the given order and in one POST, to one
// hook or, when hookID is empty, to every hook that listens. Naming a uuid
// twice sends it twice. Filters and faults do not apply.
func (o *Org) Redeliver(ctx context.Context, hookID string, uuids ...string) ([]Delivery, error) {
	o.mu.Lock()
	var events []*event
	for _, id := range uuids {
		e := o.byUUID[id]
		if e == nil {
			o.mu.Unlock()
			return nil, notFound(id, "LogEvent")
		}
		events = append(events, e)
	}
	var hooks []*hook
	for h := range o.hooks.all("") {
		if h.id == hookID || hookID == "" && h.listening() {
			hooks = append(hooks, h)
		}
	}
	o.mu.Unlock()
	if hookID != "" && len(hooks) == 0 {
		return nil, notFound(hookID, "EventHook")
	}
	if len(events) == 0 {
		return nil, invalid("events", "events: name at least one uuid")
	}
	out := []Delivery{}
	for _, h := range hooks {
		out = append(out, o.post(ctx, h, events, "redelivery"))
	}
	return out, nil
}

// Deliveries returns the records of all attempts, oldest first.
func (o *Org) Deliveries() []Delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.records)
}

// Stats returns what the org has counted.
func (o *Org) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Stats{Calls: map[string]CallCount{}, Deliveries: o.stats, Records: slices.Clone(o.records)}
	for endpoint, n := range o.calls {
		s.Calls[endpoint] = *n
	}
	return s
}
