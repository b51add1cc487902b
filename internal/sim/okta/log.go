package okta

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	logDefault   = 100
	logMost      = 1000
	logKept      = 90 * 24 * time.Hour
	logReach     = 180 * 24 * time.Hour
	logLookback  = 7 * 24 * time.Hour
	logKeywords  = 10
	logKeywordOf = 40
)

// logQuery is a request for the System Log.
type logQuery struct {
	since, until time.Time
	polling      bool // no until, ascending: by persistence, always a next link
	descending   bool
	limit        int
	from         int // position in the log, or in the bounded result
	page         int // counted from 1
	keep         func(*event) bool
}

// listLog serves both forms of GET /api/v1/logs. The polling form goes through
// events in the order they were persisted and always gives a next link. The
// bounded form sorts by published and ends.
func (o *Org) listLog(c *call) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q, err := o.parseLogQuery(c)
	if err != nil {
		return nil, err
	}
	o.persist()
	page := o.boundedPage
	if q.polling {
		page = o.pollPage
	}
	events, next, more := page(q)
	out := make([]object, len(events))
	for i, e := range events {
		out[i] = e.logForm()
	}
	c.link("self", nil)
	if more {
		c.link("next", map[string]string{"after": q.cursor(next, o.now())})
	}
	return out, nil
}

// pollPage returns one page, the position behind it, and true.
func (o *Org) pollPage(q logQuery) (events []*event, next int, more bool) {
	next = min(q.from, len(o.log))
	if next < 0 {
		next = sort.Search(len(o.log), func(i int) bool { return !o.log[i].persisted.Before(q.since) })
	}
	for next < len(o.log) && len(events) < q.limit {
		if e := o.log[next]; q.keep(e) {
			events = append(events, e)
		}
		next++
	}
	return events, next, true
}

func (o *Org) boundedPage(q logQuery) (events []*event, next int, more bool) {
	for _, e := range o.log {
		if !e.published.Before(q.since) && e.published.Before(q.until) && q.keep(e) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b *event) int { return a.published.Compare(b.published) })
	if q.descending {
		slices.Reverse(events)
	}
	from := min(max(q.from, 0), len(events))
	next = min(from+q.limit, len(events))
	return events[from:next], next, next < len(events)
}

func (o *Org) parseLogQuery(c *call) (logQuery, error) {
	v := c.r.URL.Query()
	now := o.now()
	q := logQuery{limit: logDefault, from: -1, page: 1, until: now.Add(time.Millisecond)}
	var err error
	if s := v.Get("limit"); s != "" {
		if q.limit, err = strconv.Atoi(s); err != nil || q.limit < 0 {
			return q, invalid("limit", "limit: want 0 to 1000")
		}
		q.limit = min(q.limit, logMost)
	}
	switch strings.ToUpper(v.Get("sortOrder")) {
	case "", "ASCENDING":
	case "DESCENDING":
		q.descending = true
	default:
		return q, invalid("sortOrder", "sortOrder: want ASCENDING or DESCENDING")
	}
	q.polling = !v.Has("until") && !q.descending
	if v.Has("until") {
		if q.until, err = time.Parse(time.RFC3339, v.Get("until")); err != nil {
			return q, badLogFilter("until is not a date")
		}
	}
	q.since = q.until.Add(-logLookback)
	if v.Has("since") {
		if q.since, err = time.Parse(time.RFC3339, v.Get("since")); err != nil {
			return q, badLogFilter("since is not a date")
		}
	}
	if s := v.Get("after"); s != "" {
		if err := o.resume(&q, s); err != nil {
			return q, err
		}
	} else if now.Sub(q.since) > logReach {
		return q, badLogFilter("since is more than 180 days ago")
	}
	match, err := logFilter(v.Get("filter"), v.Get("q"))
	oldest := now.Add(-logKept)
	q.keep = func(e *event) bool { return !c.blind && !e.persisted.Before(oldest) && match(e) }
	return q, err
}

func badLogFilter(why string) error {
	return fail(http.StatusBadRequest, "E0000053", "Invalid filter.", why)
}

// logCursor is where a page begins, hidden so that nobody builds one.
type logCursor struct {
	Polling bool  `json:"p,omitempty"`
	From    int   `json:"f"`
	Page    int   `json:"n"`
	Made    int64 `json:"t"` // milliseconds since 1970
}

func (q logQuery) cursor(next int, now time.Time) string {
	b, err := json.Marshal(logCursor{q.polling, next, q.page + 1, now.UnixMilli()})
	if err != nil {
		panic(err) // numbers and a bool always encode
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// resume continues where a cursor says, unless it is too old.
func (o *Org) resume(q *logQuery, s string) error {
	var k logCursor
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &k) != nil || k.Polling != q.polling || k.From < 0 {
		return invalid("after", "after: The cursor is not valid")
	}
	if life := o.set.LogCursorLife; life > 0 && o.now().Sub(time.UnixMilli(k.Made)) > life {
		if o.set.LogCursorStatus == http.StatusGone {
			return fail(http.StatusGone, "E0000001", "Api validation failed: after", "after: The cursor has expired")
		}
		return invalid("after", "after: The cursor has expired")
	}
	q.from, q.page = k.From, k.Page
	return nil
}

// logFilter combines `filter`, a SCIM expression, and `q`, whose keywords must
// all occur in an event.
func logFilter(expr, q string) (func(*event) bool, error) {
	var f filter
	if expr != "" {
		var err error
		if f, err = parseFilter(expr, "E0000053", nil); err != nil {
			return nil, err
		}
		if err := checkLogFilter(f); err != nil {
			return nil, err
		}
	}
	words := strings.Fields(q)
	if len(words) > logKeywords || slices.ContainsFunc(words, func(w string) bool { return len([]rune(w)) > logKeywordOf }) {
		return nil, invalid("q", "q: want at most 10 keywords of 40 characters")
	}
	return func(e *event) bool {
		if f != nil && !f.match(e.values) {
			return false
		}
		if len(words) == 0 {
			return true
		}
		text := strings.ToLower(e.text())
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) })
	}, nil
}

// checkLogFilter refuses what the System Log does not filter by.
func checkLogFilter(f filter) error {
	switch f := f.(type) {
	case andFilter:
		if err := checkLogFilter(f.l); err != nil {
			return err
		}
		return checkLogFilter(f.r)
	case orFilter:
		return checkLogFilter(andFilter(f))
	case notFilter:
		return checkLogFilter(f.f)
	case testFilter:
		if f.path == "published" {
			return badLogFilter("published cannot be filtered, use since and until")
		}
		if f.op == "co" && (f.path == "debugContext.debugData.url" || f.path == "debugContext.debugData.requestUri") {
			return badLogFilter(f.path + " does not take co")
		}
		if _, known := (&event{}).values(f.path); !known {
			return badLogFilter("unknown attribute " + f.path)
		}
	}
	return nil
}

// values looks up an attribute of the System Log form.
func (e *event) values(path string) ([]any, bool) {
	if path == "eventType" { // the usual filter, over the whole log
		return values(e.kind), true
	}
	if name, ok := strings.CutPrefix(path, "debugContext.debugData."); ok {
		return values(e.debug[name]), true
	}
	if name, ok := strings.CutPrefix(path, "target."); ok && slices.Contains(partyFields, name) {
		var out []any
		for i := range e.targets {
			out = append(out, values((*actor)(&e.targets[i]).field(name))...)
		}
		return out, true
	}
	if name, ok := strings.CutPrefix(path, "actor."); ok && slices.Contains(partyFields, name) {
		return values(e.actor.field(name)), true
	}
	v, ok := e.plain(path)
	return values(v), ok
}

// plain looks up an attribute that has one value.
func (e *event) plain(path string) (value string, known bool) {
	switch path {
	case "uuid":
		return e.uuid, true
	case "severity":
		return e.severity, true
	case "version":
		return "0", true
	case "displayMessage":
		return eventTypes[e.kind].message, true
	case "legacyEventType":
		return eventTypes[e.kind].legacy, true
	case "outcome.result":
		return e.outcome.Result, true
	case "outcome.reason":
		return e.outcome.Reason, true
	case "transaction.id":
		return e.transaction.ID, true
	case "transaction.type":
		return e.transaction.Type, true
	case "client.ipAddress":
		if e.web {
			return adminIP, true
		}
		return "", true
	}
	return "", false
}

var partyFields = []string{"id", "type", "alternateId", "displayName"}

// text is what `q` searches.
func (e *event) text() string {
	parts := []string{e.uuid, e.kind, eventTypes[e.kind].message, e.actor.ID, e.actor.AlternateID, e.actor.DisplayName, e.outcome.Result, e.outcome.Reason}
	for _, t := range e.targets {
		parts = append(parts, t.ID, t.Type, t.AlternateID, t.DisplayName)
	}
	return strings.Join(parts, "\n")
}
