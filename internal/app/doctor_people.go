package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectroster/internal/doctor"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// Bounds of what is normal.
const (
	tooLong      = 15 * time.Minute // of a request
	sweepOld     = 36 * time.Hour   // of the last sweep
	lagging      = 5 * time.Minute  // of the System Log, beyond what is configured
	muchThrottle = 0.02             // of the calls of an operation
	namedPeople  = 5                // by their ids
)

// people gives the checks of who is where, and of what the daemon does about it.
func (e *Examination) people() []doctor.Check {
	needs := []string{"connect settings", "connect permissions"}
	if e.c.Config.APIMode() {
		needs = append(needs, "okta role", "okta groups")
	}
	roster := check("roster", e.roster, needs...)
	roster.Within = planWithin
	stored := []string{"database"}
	if e.status == nil { // what is kept is read by an app of our own, which must come about
		stored = append(stored, "connect settings")
	}
	about := func(name string, run func() []doctor.Finding) doctor.Check {
		return check(name, func(context.Context) []doctor.Finding { return run() }, roster.Name)
	}
	checks := []doctor.Check{
		roster,
		about("usernames", e.usernames),
		about("people", e.refused),
		about("unowned agents", e.unowned),
		about("orphans", e.orphans),
		check("dead letters", e.deadLetters, stored...),
		check("open holds", e.holds, stored...),
		check("queue", e.queue, stored...),
	}
	if e.status == nil {
		if e.c.Config.Store.OnAWS() && e.c.Config.APIMode() { // functions leave in the table what they did
			checks = append(checks,
				check("sweep", e.stored(func(s Status) []doctor.Finding { return e.judgeSweep(s.Sweep) }), stored...),
				check("catch up", e.stored(e.judgeCatchUp), stored...))
		}
		return append(checks, check("connect rate", e.ownRate, needs...))
	}
	checks = append(checks, check("sweep", e.swept))
	if e.status.CatchUp != nil {
		checks = append(checks, check("catch up", e.caughtUp))
	}
	checks = append(checks, check("hook traffic", e.traffic), check("connect refusals", e.refusals), check("connect rate", e.rate))
	if address, err := e.c.Config.Webhook(); err != nil || address != "" {
		checks = append(checks, check("webhook", e.webhook))
	}
	return checks
}

// roster makes a plan for everybody, which the checks after it look at.
func (e *Examination) roster(ctx context.Context) []doctor.Finding {
	var doc Document
	if err := e.ask(ctx, http.MethodPost, "/v1/plan", map[string][]string{"people": {}}, &doc); err != nil {
		var unopened unopenedError
		if at := e.store.Load(); at != nil && errors.As(err, &unopened) { // which has told the same
			return []doctor.Finding{doctor.Behind(*at)}
		}
		f := doctor.Failure("%s", err)
		if code := remedy.CodeOf(err); code != "" {
			f = f.As(code).Todo("%s", remedy.For(code).Do)
		}
		return []doctor.Finding{f}
	}
	e.doc = &doc
	text := "nothing to do"
	if len(doc.Changes) > 0 {
		var parts []string
		for _, action := range slices.Sorted(maps.Keys(doc.Counts)) {
			parts = append(parts, fmt.Sprintf("%d to %s", doc.Counts[action], action))
		}
		text = strings.Join(parts, ", ")
	}
	out := []doctor.Finding{doctor.Okay("%s and %s were read: %s", counted(doc.Looked, "person", "people"), counted(doc.Agents, "agent", "agents"), text)}
	left, known := 0, false
	for _, room := range e.rooms {
		left, known = left+room.Left, known || room.Known
	}
	if makes := doc.Counts[plan.Create] + doc.Counts[plan.Replace]; known && makes > left {
		out = append(out, doctor.Warning("%s are to be made, and the quota leaves room for %d", counted(makes, "agent", "agents"), left).
			As("connect_quota").Todo("%s", remedy.For("connect_quota").Do))
	}
	return out
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// refusalsOf gives a finding for each of the codes that somebody is refused for.
func (e *Examination) refusalsOf(state doctor.State, codes ...plan.Code) []doctor.Finding {
	var out []doctor.Finding
	for _, code := range codes {
		var people []string
		var reason string
		for _, r := range e.doc.Refusals {
			if r.Code == code {
				people, reason = append(people, r.Person), cmp.Or(reason, r.Reason)
			}
		}
		if len(people) == 0 {
			continue
		}
		about := remedy.For(string(code))
		f := doctor.Finding{State: state, Seen: fmt.Sprintf("%s: %s (%s)", about.Means, counted(len(people), "person", "people"), someOf(people)), Code: string(code), Do: about.Do}
		if code == plan.ProfileUnknown || code == plan.RuleFailed {
			f.Seen += ": " + reason
		}
		out = append(out, f)
	}
	return out
}

// someOf names the first few.
func someOf(ids []string) string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) <= namedPeople {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:namedPeople], ", "), len(ids)-namedPeople)
}

func (e *Examination) usernames() []doctor.Finding {
	out := e.refusalsOf(doctor.Warn, plan.UsernameImpossible, plan.UsernameChanged, plan.Conflict)
	if len(out) == 0 {
		out = append(out, doctor.Okay("everybody who is to have an agent has one that Amazon Connect can hold"))
	}
	return out
}

func (e *Examination) refused() []doctor.Finding {
	out := slices.Concat(
		e.refusalsOf(doctor.Fail, plan.ProfileUnknown, plan.ProfileForbidden),
		e.refusalsOf(doctor.Warn, plan.NoPersona, plan.RuleFailed, plan.StatusUnknown),
	)
	if len(out) == 0 {
		out = append(out, doctor.Okay("the rules have an answer for everybody"))
	}
	return out
}

func (e *Examination) unowned() []doctor.Finding {
	out := e.refusalsOf(doctor.Warn, plan.ExistsNotOurs, plan.ExistsElsewhere, plan.UsernameHeld)
	if len(out) == 0 {
		out = append(out, doctor.Okay("no agent of somebody else has a username that is wanted"))
	}
	return out
}

func (e *Examination) orphans() []doctor.Finding {
	var untagged, active []string
	parked := 0
	for _, o := range e.doc.Orphans {
		switch {
		case o.Person == "":
			untagged = append(untagged, o.Agent)
		case o.State == plan.StateSuspended || o.State == plan.StateRetired:
			parked++
		default:
			active = append(active, o.Agent+" of "+o.Person)
		}
	}
	var out []doctor.Finding
	if len(active) > 0 {
		out = append(out, doctor.Warning("Okta does not know the owner of %s: %s", counted(len(active), "agent", "agents"), someOf(active)))
	}
	if len(untagged) > 0 {
		out = append(out, doctor.Warning("%s of this deployment without an owner: %s", counted(len(untagged), "agent", "agents"), someOf(untagged)).
			Todo("somebody changed their tags in Amazon Connect: adopt them again with connectroster adopt USER, or give them up with connectroster release AGENT"))
	}
	switch {
	case len(out) > 0:
	case !e.c.Config.APIMode():
		out = append(out, doctor.Okay("not known in hook-only mode"))
	case parked > 0:
		out = append(out, doctor.Okay("%s whose owner Okta does not know any more, suspended or retired", counted(parked, "agent", "agents")))
	default:
		out = append(out, doctor.Okay("every agent of this deployment has an owner in Okta"))
	}
	return out
}

// rows lists people of the queue.
func (e *Examination) rows(ctx context.Context, state reconcile.WaitingState) ([]reconcile.Waiting, error) {
	var rows []reconcile.Waiting
	err := e.ask(ctx, http.MethodGet, "/v1/people?limit=1000&state="+string(state), nil, &rows)
	return rows, err
}

func (e *Examination) deadLetters(ctx context.Context) []doctor.Finding {
	rows, err := e.rows(ctx, reconcile.StateDead)
	if err != nil {
		return []doctor.Finding{doctor.Failure("%s", err)}
	}
	if len(rows) == 0 {
		return []doctor.Finding{doctor.Okay("nobody was given up")}
	}
	var people []string
	for _, r := range rows {
		people = append(people, r.Person)
	}
	return []doctor.Finding{doctor.Failure("%s given up (%s), the first because: %s", counted(len(rows), "person was", "people were"), someOf(people), rows[0].Reason)}
}

func (e *Examination) holds(ctx context.Context) []doctor.Finding {
	var holds []reconcile.Hold
	if err := e.ask(ctx, http.MethodGet, "/v1/holds", nil, &holds); err != nil {
		return []doctor.Finding{doctor.Failure("%s", err)}
	}
	if len(holds) == 0 {
		return []doctor.Finding{doctor.Okay("nothing waits for approval")}
	}
	waiting := 0
	var ids []string
	for _, h := range holds {
		waiting += len(h.Entries)
		ids = append(ids, h.ID)
	}
	return []doctor.Finding{doctor.Warning("%s in %s: %s", counted(waiting, "change waits", "changes wait"), someOf(ids), holds[0].Cause)}
}

// queue looks for people who have waited for long.
func (e *Examination) queue(ctx context.Context) []doctor.Finding {
	now := time.Now()
	var long, failing []reconcile.Waiting
	for _, state := range []reconcile.WaitingState{reconcile.StateDue, reconcile.StateWaiting, reconcile.StateWorking} {
		rows, err := e.rows(ctx, state)
		if err != nil {
			return []doctor.Finding{doctor.Failure("%s", err)}
		}
		for _, r := range rows {
			switch {
			case r.Attempts > 0:
				failing = append(failing, r)
			case !r.Since.IsZero() && now.Sub(r.Since) > tooLong && now.Sub(r.Due) > 0, r.Reason != "" && now.Sub(r.Since) > tooLong:
				long = append(long, r)
			}
		}
	}
	tell := func(rows []reconcile.Waiting, what string) doctor.Finding {
		var people []string
		oldest := rows[0]
		for _, r := range rows {
			people = append(people, r.Person)
			if r.Since.Before(oldest.Since) {
				oldest = r
			}
		}
		return doctor.Warning("%s %s (%s), one since %s: %s", counted(len(rows), "person", "people"), what, someOf(people),
			oldest.Since.UTC().Format(time.RFC3339), cmp.Or(oldest.Reason, "its turn has not come"))
	}
	var out []doctor.Finding
	if len(failing) > 0 {
		out = append(out, tell(failing, "could not be looked after yet"))
	}
	if len(long) > 0 {
		out = append(out, tell(long, "waiting for long"))
	}
	switch {
	case len(out) > 0:
	case e.status == nil:
		out = append(out, doctor.Okay("nobody waits for long"))
	default:
		b := e.status.Backlog
		out = append(out, doctor.Okay("%d due, %d waiting, %d being looked at, none for long", b.Due, b.Waiting, b.Working))
	}
	return out
}

func (e *Examination) swept(context.Context) []doctor.Finding { return e.judgeSweep(e.status.Sweep) }

// stored judges what the store tells, where there is no daemon to tell it.
func (e *Examination) stored(judge func(Status) []doctor.Finding) func(context.Context) []doctor.Finding {
	return func(ctx context.Context) []doctor.Finding {
		var s Status
		if err := e.ask(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return []doctor.Finding{doctor.Failure("%s", err)}
		}
		return judge(s)
	}
}

func (e *Examination) judgeCatchUp(s Status) []doctor.Finding {
	late := func(format string, args ...any) []doctor.Finding {
		return []doctor.Finding{doctor.Warning(format, args...).Todo("look at the log of the function catchup, which reads it each minute, or start the daemon")}
	}
	if s.CatchUp == nil || s.CatchUp.Stored.IsZero() {
		return late("the System Log was never read")
	}
	lag := time.Since(s.CatchUp.Stored)
	if lag > e.c.Config.Okta.CatchUp+lagging {
		return late("the System Log was last read %s ago", lag.Round(time.Second))
	}
	return []doctor.Finding{doctor.Okay("the System Log was read %s ago", lag.Round(time.Second))}
}

func (e *Examination) judgeSweep(s SweepStatus) []doctor.Finding {
	switch {
	case s.Error != "":
		return []doctor.Finding{doctor.Failure("the newest one failed: %s", s.Error)}
	case s.Last == nil && s.Running != nil:
		return []doctor.Finding{doctor.Okay("the first one is under way")}
	case s.Last == nil && e.c.Config.APIMode():
		return []doctor.Finding{doctor.Warning("there was none yet")}
	case s.Last == nil:
		return []doctor.Finding{doctor.Okay("there was none yet")}
	}
	age := time.Since(s.Last.Started)
	seen := fmt.Sprintf("%s: %s, %s", s.Last.Started.UTC().Format(time.RFC3339), counted(s.Last.People, "person", "people"), counted(s.Last.Agents, "agent", "agents"))
	if age > sweepOld {
		return []doctor.Finding{doctor.Warning("the last one was %s ago, at %s", age.Round(time.Hour), seen)}
	}
	return []doctor.Finding{doctor.Okay("the last one was at %s", seen)}
}

func (e *Examination) caughtUp(context.Context) []doctor.Finding {
	c := e.status.CatchUp
	var out []doctor.Finding
	lag := time.Since(c.Last)
	switch {
	case c.Error != "":
		out = append(out, doctor.Failure("the System Log cannot be read: %s", c.Error))
	case c.Last.IsZero() && time.Since(e.status.Started) < lagging:
		out = append(out, doctor.Okay("the daemon has just started"))
	case c.Last.IsZero():
		out = append(out, doctor.Failure("the System Log was not read since the start"))
	case lag > e.c.Config.Okta.CatchUp+lagging:
		out = append(out, doctor.Warning("the System Log was last read %s ago", lag.Round(time.Second)))
	default:
		out = append(out, doctor.Okay("the System Log was read %s ago", lag.Round(time.Second)))
	}
	if c.Gaps > 0 {
		out = append(out, doctor.Warning("the place in the System Log was lost %s", counted(c.Gaps, "time", "times")).Todo("nothing, if a sweep has succeeded since"))
	}
	return out
}

func (e *Examination) traffic(context.Context) []doctor.Finding {
	h := e.status.Hook
	switch {
	case h.Deliveries == 0 && h.Unauthorized > 0:
		return []doctor.Finding{doctor.Warning("%d requests since the start, and not one with a secret that is accepted", h.Unauthorized)}
	case h.Unavailable > 0:
		return []doctor.Finding{doctor.Warning("%d deliveries since the start could not be stored", h.Unavailable).Todo("see database disk; the System Log has made up for them in API mode")}
	case h.Deliveries == 0:
		return []doctor.Finding{doctor.Okay("no delivery since the start")}
	}
	return []doctor.Finding{doctor.Okay("%d deliveries since the start, the last at %s", h.Deliveries, h.LastDelivery.UTC().Format(time.RFC3339))}
}

// refusals tells of calls that AWS refused the daemon, which shows what may be
// read does not: whether agents may be changed.
func (e *Examination) refusals(context.Context) []doctor.Finding {
	var refused []string
	for _, operation := range slices.Sorted(maps.Keys(e.status.Connect)) {
		if n := e.status.Connect[operation].Refused; n > 0 {
			refused = append(refused, fmt.Sprintf("%s %d times", operation, n))
		}
	}
	if len(refused) == 0 {
		return []doctor.Finding{doctor.Okay("AWS has refused none of the daemon's calls since its start")}
	}
	return []doctor.Finding{doctor.Warning("AWS has refused calls of the daemon since its start: %s", strings.Join(refused, ", "))}
}

// rate tells what is used of the rate that is configured.
func (e *Examination) rate(ctx context.Context) []doctor.Finding {
	var busiest string
	var most uint64
	var throttled []string
	for _, operation := range slices.Sorted(maps.Keys(e.status.Connect)) {
		n := e.status.Connect[operation]
		if n.Calls > most {
			busiest, most = operation, n.Calls
		}
		if n.Throttled > 2 && float64(n.Throttled) > muchThrottle*float64(n.Calls) {
			throttled = append(throttled, fmt.Sprintf("%s %d of %d", operation, n.Throttled, n.Calls))
		}
	}
	if len(throttled) > 0 {
		return []doctor.Finding{doctor.Warning("calls of the daemon were throttled: %s", strings.Join(throttled, ", "))}
	}
	if out := e.ownRate(ctx); out[0].State != doctor.OK {
		return out
	}
	if busiest == "" {
		return []doctor.Finding{doctor.Okay("no calls of the daemon since its start")}
	}
	return []doctor.Finding{doctor.Okay("the daemon's busiest operation is %s with %d calls since its start, and hardly any was throttled", busiest, most)}
}

// ownRate tells how the calls of this examination fared.
func (e *Examination) ownRate(context.Context) []doctor.Finding {
	calls, throttled := e.calls.Load(), e.throttled.Load()
	if throttled > 0 {
		return []doctor.Finding{doctor.Warning("%d of %d calls of this examination were throttled", throttled, calls)}
	}
	return []doctor.Finding{doctor.Okay("none of %d calls of this examination was throttled", calls)}
}

func (e *Examination) webhook(context.Context) []doctor.Finding {
	n := e.status.Guard.Notices
	switch {
	case n.Failed+n.Dropped > 0:
		return []doctor.Finding{doctor.Warning("%d messages arrived since the start, %d did not", n.Sent, n.Failed+n.Dropped)}
	case n.Sent == 0:
		return []doctor.Finding{doctor.Okay("there was nothing to tell since the start")}
	}
	return []doctor.Finding{doctor.Okay("%d messages arrived since the start", n.Sent)}
}
