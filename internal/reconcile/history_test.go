package reconcile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// step is one thing that happens. What A and B mean is up to the verb, and every
// number means something, so that a shrunken history still plays.
type step struct {
	Do   string
	A, B int
}

// history is what happens, in order. Its text form is one step a line.
type history []step

func (h history) String() string {
	var b strings.Builder
	for _, s := range h {
		fmt.Fprintf(&b, "\t%s %d %d\n", s.Do, s.A, s.B)
	}
	return b.String()
}

// parseHistory reads the text form.
func parseHistory(text string) (history, error) {
	var h history
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 || verbs()[words[0]].do == nil {
			return nil, fmt.Errorf("not a step: %q", line)
		}
		a, errA := strconv.Atoi(words[1])
		b, errB := strconv.Atoi(words[2])
		if err := errors.Join(errA, errB); err != nil {
			return nil, fmt.Errorf("not a step: %q: %w", line, err)
		}
		h = append(h, step{words[0], a, b})
	}
	return h, nil
}

// verb is one kind of step.
type verb struct {
	weight int // how often it happens, compared with others
	do     func(w *world, a, b int) error
}

// verbs are what can happen.
func verbs() map[string]verb {
	return map[string]verb{
		// The org.
		"hire":       {6, func(w *world, a, b int) error { return w.hire(a, b, "ACTIVE") }},
		"stage":      {1, func(w *world, a, b int) error { return w.hire(a, b, "STAGED") }},
		"join":       {5, func(w *world, a, b int) error { _ = w.org.Join(w.user(a), w.group(b)); return nil }},
		"leave":      {3, func(w *world, a, b int) error { _ = w.org.LeaveByRule(w.user(a), w.group(b)); return nil }},
		"batch":      {1, batch},
		"exodus":     {1, exodusOf},
		"empty":      {1, func(w *world, _, b int) error { _ = w.org.EmptyGroup(w.group(b)); return nil }},
		"transfer":   {1, func(w *world, a, b int) error { _ = w.org.MoveMembers(w.group(b), w.group(b+1), 50+a%2*50); return nil }},
		"suspend":    {2, func(w *world, a, _ int) error { _ = w.org.Suspend(w.user(a)); return nil }},
		"unsuspend":  {2, func(w *world, a, _ int) error { _ = w.org.Unsuspend(w.user(a)); return nil }},
		"deactivate": {1, func(w *world, a, _ int) error { _ = w.org.Deactivate(w.user(a)); return nil }},
		"activate":   {2, func(w *world, a, _ int) error { _ = w.org.Activate(w.user(a)); return nil }},
		"delete":     {1, func(w *world, a, _ int) error { _ = w.org.Delete(w.user(a)); return nil }},
		"status":     {1, setStatus},
		"name":       {2, rename},
		"login":      {2, func(w *world, a, b int) error { return w.profile(a, map[string]any{"login": pick(logins, b+a/4*8)}) }},
		"group-name": {1, func(w *world, a, b int) error {
			_ = w.org.UpdateGroup(w.group(a), fmt.Sprintf("Group %d", b), "")
			return nil
		}},
		"group-delete": {1, deleteGroup},
		"meanwhile": {1, func(w *world, a, b int) error {
			w.meanwhile = append(w.meanwhile, step{pick(sudden, a), a / 2, b})
			return nil
		}},

		// The channel.
		"deliver":    {9, deliver},
		"drop":       {2, func(w *world, a, _ int) error { w.mail(a); return nil }},
		"replay":     {2, replay},
		"forge":      {2, forge},
		"store-full": {1, func(w *world, a, _ int) error { w.full = a%3 + 1; return nil }},
		"log-fault":  {2, func(w *world, a, b int) error { return w.oktaFault("GET /api/v1/logs", pick(oktaFaults, a+b*3), a) }},
		"user-fault": {2, func(w *world, a, b int) error { return w.oktaFault(pick(personReads, b), pick(oktaFaults, a+b*3), a) }},
		"half-groups": {2, func(w *world, a, b int) error {
			return w.oktaFault("GET /api/v1/users/{id}/groups", simokta.Fault{Kind: simokta.FaultThin, Percent: 50}, a)
		}},
		"list-fault": {1, func(w *world, a, b int) error {
			kinds := append(slices.Clone(thinner), oktaFaults...)
			if w.lies == "about a person" {
				kinds = oktaFaults
			}
			f := pick(kinds, a+b*3)
			if f.Kind == simokta.FaultEmpty || f.Kind == simokta.FaultThin {
				w.lies = "in lists"
			}
			return w.oktaFault(pick(listReads, b), f, a)
		}},
		"user-thin": {1, thinPerson},
		"late-log":  {1, lateLog},
		"old-cursors": {1, func(w *world, a, _ int) error {
			return w.org.Configure(func(s *simokta.Settings) {
				s.LogCursorLife = 24 * time.Hour
				s.LogCursorStatus = pick([]int{400, 410}, a)
			})
		}},

		// Amazon Connect.
		"create-fault": {3, createFault},
		"read-fault":   {1, readFault},
		"lag": {1, func(w *world, a, _ int) error {
			return w.sim.ChangeSettings(func(s *simconnect.Settings) { s.ListLag = pick(lags, a) })
		}},
		"quota": {1, func(w *world, a, _ int) error {
			return w.sim.ChangeSettings(func(s *simconnect.Settings) { s.Quota = a })
		}},
		"by-hand":     {2, byHand},
		"hand-delete": {1, handDelete},
		"hand-untag":  {1, handUntag},
		"floor-move":  {3, floorMove},
		"floor-right": {2, floorRight},
		"floor-name":  {1, floorName},
		"floor-quick": {1, floorQuick},
		"twin":        {1, twin},
		"cut":         {3, func(w *world, a, b int) error { w.cut, w.cutLate = a%6+1, b%2 == 1; return nil }},

		// Those who decide.
		"approve": {3, func(w *world, a, b int) error { return w.judge(a, b, true) }},
		"reject":  {1, func(w *world, a, b int) error { return w.judge(a, b, false) }},
		"unstay":  {1, func(w *world, a, _ int) error { return w.store.Unstay(w.ctx, w.user(a)) }},
		"adopt":   {1, func(w *world, a, _ int) error { return w.order(reconcile.OrderAdopt, a, w.adopts) }},
		"release": {1, func(w *world, a, _ int) error { return w.order(reconcile.OrderRelease, a, w.releases) }},
		"restore": {1, restoreAgent},

		// The process.
		"crash":    {2, func(w *world, a, b int) error { w.gate.crash, w.gate.late = a%12+1, b%2 == 1; return nil }},
		"restart":  {1, func(w *world, _, _ int) error { return w.restart() }},
		"catch-up": {5, func(w *world, _, _ int) error { w.catchUp(); return nil }},
		"sweep":    {2, func(w *world, _, _ int) error { w.sweep(); return nil }},
		"work":     {13, func(w *world, a, _ int) error { w.work(a + 1); return nil }},

		"shift": {8, shift},

		// The clock.
		"wait": {5, func(w *world, a, _ int) error { w.truth.Advance(pick(waits, a)); return nil }},
		"away": {1, func(w *world, a, _ int) error { w.truth.Advance(time.Duration(a*20) * 24 * time.Hour); return nil }},
		"step": {1, func(w *world, a, _ int) error { w.skew += pick(jumps, a); return nil }},
	}
}

// histories draws histories of so many steps. All that can happen is equally
// likely, up to its weight: the generators of package rapid that draw numbers
// prefer small ones, so bits are drawn instead. Zeros are nothing, so that steps
// shrink away.
func histories(steps int) *rapid.Generator[history] {
	var names []string
	for name, v := range verbs() {
		names = append(names, slices.Repeat([]string{name}, v.weight)...)
	}
	slices.Sort(names)
	names = append([]string{""}, names...)
	bits := func(t *rapid.T, n int) (v int) {
		for range n {
			v <<= 1
			if rapid.Bool().Draw(t, "bit") {
				v++
			}
		}
		return v
	}
	return rapid.Custom(func(t *rapid.T) history {
		var h history
		for range steps {
			if s := (step{pick(names, bits(t, 10)), bits(t, 3), bits(t, 3)}); s.Do != "" {
				h = append(h, s)
			}
		}
		return h
	})
}

// shrink leaves out whatever a history fails without, and makes the numbers that
// do not matter zero. It stops after a while.
func shrink(h history, fails func(history) error) history {
	end := time.Now().Add(20 * time.Second)
	try := func(shorter history) bool {
		if time.Now().After(end) || fails(shorter) == nil {
			return false
		}
		h = shorter
		return true
	}
	for size := len(h) / 2; size > 0; size /= 2 {
		for at := 0; at < len(h); {
			if !try(slices.Delete(slices.Clone(h), at, min(at+size, len(h)))) {
				at += size
			}
		}
	}
	for at := range h {
		for _, zero := range []func(*step){func(s *step) { s.A = 0 }, func(s *step) { s.B = 0 }} {
			simpler := slices.Clone(h)
			zero(&simpler[at])
			try(simpler)
		}
	}
	return h
}

// What steps choose from.
var (
	logins = []string{
		"ana@example.com", "bo@example.com", "Cem@example.com", "dana.d", "eve.li@example.com", "f_g@example.com", "gus-h@example.com", "ANA@example.com",
		"ida@example.com", "jo.k@example.com", "Kim.L@example.com", "li@example.com", "with+plus@example.com", strings.Repeat("long", 16) + "@example.com",
	}
	names = [][2]any{{"Ana", "Silva"}, {"José", nil}, {nil, "O'Neil"}, {nil, nil}, {"李", "小龙"}, {"Maria del Carmen", "Lopez Garcia"}}
	waits = []time.Duration{time.Second, 10 * time.Second, time.Minute, 2 * time.Minute, 20 * time.Minute, 3 * time.Hour, 26 * time.Hour, 4 * 24 * time.Hour}
	// Back as far as may be; forward less than the time for which the engine waits
	// for an agent to appear, beyond what the search lags. No wait by a clock holds
	// against more.
	jumps = []time.Duration{-time.Second, -5 * time.Minute, -time.Hour, time.Minute}
	lags  = []time.Duration{0, time.Second, 30 * time.Second, 5 * time.Minute}

	sudden      = []string{"suspend", "leave", "join", "login", "name", "deactivate"}
	personReads = []string{"GET /api/v1/users/{id}", "GET /api/v1/users/{id}/groups", "GET /api/v1/apps/{id}/users/{user}"}
	listReads   = []string{"GET /api/v1/groups/{id}/users", "GET /api/v1/groups", "GET /api/v1/apps/{id}/users", "GET /api/v1/apps"}
	thinner     = []simokta.Fault{{Kind: simokta.FaultEmpty}, {Kind: simokta.FaultThin, Percent: 50}}
	oktaFaults  = []simokta.Fault{
		{Status: 500}, {Kind: simokta.FaultReset}, {Kind: simokta.FaultTruncate}, {Kind: simokta.FaultHalf}, {Kind: simokta.FaultNull},
		{Kind: simokta.FaultNoNext}, {Kind: simokta.FaultLoop}, {Kind: simokta.FaultDuplicate}, {Status: 200}, {Kind: simokta.FaultEmptyNext},
	}
)

func pick[T any](from []T, n int) T { return from[n%len(from)] }

// user names one of the users there ever were; with none, nobody.
func (w *world) user(n int) string {
	if len(w.users) == 0 {
		return "nobody"
	}
	return pick(w.users, n)
}

// group names one of the groups, the mapped ones among them.
func (w *world) group(n int) string { return pick(w.groups, n) }

// hire adds a user and, mostly, puts it in a mapped group.
func (w *world) hire(a, b int, status string) error {
	if len(w.users) == 6 {
		return nil
	}
	who := pick(names, b)
	first, _ := who[0].(string)
	last, _ := who[1].(string)
	u, err := w.org.AddUser(simokta.NewUser{Login: pick(logins, a+b/4*8), FirstName: first, LastName: last, Status: status})
	if err != nil {
		return nil // the login is taken
	}
	w.users = append(w.users, u.ID)
	if b < 7 {
		_ = w.org.Join(u.ID, w.group(b%4)) // the group can be gone
	}
	return nil
}

func batch(w *world, _, b int) error {
	for _, id := range w.users {
		_ = w.org.JoinByRule(id, w.group(b))
	}
	return nil
}

func setStatus(w *world, a, b int) error {
	_ = w.org.SetStatus(w.user(a), pick([]string{"LOCKED_OUT", "RECOVERY", "PASSWORD_EXPIRED", "ACTIVE", "PROVISIONED", "STAGED"}, b), "")
	return nil
}

func rename(w *world, a, b int) error {
	who := pick(names, b)
	return w.profile(a, map[string]any{"firstName": who[0], "lastName": who[1]})
}

func (w *world) profile(a int, change map[string]any) error {
	_ = w.org.UpdateProfile(w.user(a), change) // a login can be taken
	return nil
}

// deleteGroup deletes the second mapped group. The configuration names it until
// somebody changes that, which converge does.
func deleteGroup(w *world, a, _ int) error {
	if a == 0 {
		_ = w.org.DeleteGroup(w.offices[0].group)
	}
	return nil
}

// mail gives so many events that wait for their delivery.
func (w *world) mail(n int) []string {
	w.collect()
	n = min(n+1, len(w.waiting))
	out := w.waiting[:n]
	w.waiting = w.waiting[n:]
	return out
}

// deliver posts events in one delivery: by b in order, backwards, all of them
// twice, or one by one; and half of the time they are to come again later.
func deliver(w *world, a, b int) error {
	events := slices.Clone(w.mail(a))
	if len(events) == 0 {
		return nil
	}
	if b >= 4 {
		w.waiting = append(w.waiting, events...)
	}
	switch b % 4 {
	case 1:
		slices.Reverse(events)
	case 2:
		events = append(events, events...)
	case 3:
		for _, e := range events {
			if _, err := w.org.Redeliver(w.ctx, w.hookID, e); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := w.org.Redeliver(w.ctx, w.hookID, events...)
	return err
}

// replay posts an event of old.
func replay(w *world, a, b int) error {
	w.collect()
	if len(w.events) == 0 {
		return nil
	}
	_, err := w.org.Redeliver(w.ctx, w.hookID, w.events[(a*8+b)%len(w.events)])
	return err
}

// forge posts what Okta never said, with a secret that is right but for a
// multiple of 4: that somebody, who may not exist, is in a mapped group.
func forge(w *world, a, b int) error {
	person := w.user(b)
	if b == 7 {
		person = fmt.Sprintf("00uforged%d", a)
	}
	w.forged++
	kind := pick([]string{"group.user_membership.add", "group.user_membership.add", "group.user_membership.remove", "user.lifecycle.activate"}, a)
	// Not a whole number of milliseconds, so that no event of Okta has the same.
	published := w.truth.Now().Add(time.Duration(a-4)*time.Hour + time.Duration(w.forged)*time.Microsecond)
	body, err := json.Marshal(map[string]any{"eventType": "com.okta.event_hook", "data": map[string]any{"events": []any{map[string]any{
		"uuid": fmt.Sprintf("forged-%d", w.forged), "eventType": kind, "published": published.Format(time.RFC3339Nano), "outcome": map[string]any{"result": "SUCCESS"},
		"target": []any{
			map[string]any{"id": person, "type": "User", "alternateId": pick(logins, a+b), "displayName": "Mallory Forger"},
			map[string]any{"id": w.group(b % 2), "type": "UserGroup", "displayName": "Amazon Connect Agents"},
		},
	}}}})
	if err != nil {
		return err
	}
	r := httptest.NewRequestWithContext(w.ctx, http.MethodPost, hookURL, strings.NewReader(string(body)))
	r.Header.Set("Authorization", secret)
	if a%4 == 0 {
		r.Header.Set("Authorization", secret+"?")
	}
	resp, err := w.receive(r)
	if err != nil {
		return nil // the process crashed
	}
	defer resp.Body.Close()
	if a%4 == 0 && resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("a delivery with a wrong secret is answered %d", resp.StatusCode)
	}
	return nil
}

// oktaFault spoils one to six answers, which is up to twice as many as a call
// has attempts.
func (w *world) oktaFault(endpoint string, f simokta.Fault, n int) error {
	f.Endpoint, f.Times = endpoint, n%6+1
	return w.org.AddFaults(f)
}

// thinPerson leaves groups out of what Okta says of a person. It lies in one
// place in a history: against two lies that agree there is no second source.
func thinPerson(w *world, a, b int) error {
	if w.lies == "in lists" {
		return nil
	}
	w.lies = "about a person"
	return w.oktaFault("GET /api/v1/users/{id}/groups", pick(thinner, b), a)
}

// shift lets the program run for a while: it delivers what waits, or catches up,
// and works on whoever becomes due.
func shift(w *world, a, b int) error {
	if events := w.mail(7); b%2 == 0 && len(events) > 0 {
		if _, err := w.org.Redeliver(w.ctx, w.hookID, events...); err != nil {
			return err
		}
	}
	if !w.gate.gone {
		_ = w.catchUp()
	}
	return w.until(w.now().Add(pick(waits, a%6)))
}

// lateLog makes some events come into the System Log later than they happen.
func lateLog(w *world, a, b int) error {
	w.lateness = max(w.lateness, pick(lags, a))
	return w.org.Configure(func(s *simokta.Settings) { s.LogDelay, s.LateEvery = pick(lags, a), b%3+1 })
}

// createFault spoils the next CreateUser, before or after it is carried out.
func createFault(w *world, a, b int) error {
	f := pick([]simconnect.Fault{
		{Status: 500, Code: "InternalServiceException"},
		{Status: 503},
		{Kind: simconnect.FaultReset},
		{Kind: simconnect.FaultTruncate},
		{Status: 429, Code: "ThrottlingException"},
		{Status: 504},
		{Status: 400, Code: "ResourceNotFoundException"},
		{Status: 403, Code: "AccessDeniedException"},
	}, a)
	lost := f.Status != 429 && f.Status != 400 && f.Status != 403
	f.Operation, f.Commit, f.Times = "CreateUser", lost && b%2 == 1, b/4+1
	return w.sim.AddFaults(f)
}

// readFault refuses reads. Other faults of reads are AWS's client to repeat, in
// real time; package connect tests them.
func readFault(w *world, a, b int) error {
	operation := pick([]string{"DescribeUser", "SearchUsers", "ListRoutingProfiles"}, b)
	return w.sim.AddFaults(simconnect.Fault{Operation: operation, Status: 403, Code: "AccessDeniedException", Times: a%2 + 1})
}

// byHand makes an agent that somebody made by hand: without tags, with those of
// another deployment, or with ours but no owner.
func byHand(w *world, a, b int) error {
	tags := pick([]map[string]string{
		nil,
		{"connectroster:owner": w.user(b), "connectroster:deployment": "other", "connectroster:state": "active"},
		{"connectroster:deployment": deployment},
		{"department": "sales"},
	}, b)
	agent, err := w.sim.AddAgent(simconnect.Agent{Username: pick(logins, a+b/4*8), IdentityInfo: simconnect.IdentityInfo{FirstName: "By", LastName: "Hand"}, Tags: tags})
	if err == nil {
		w.roster[agent.ID], w.moved[agent.ID] = agent, true // adopted, it stays where its maker put it
	}
	return nil // the name can be taken
}

func handDelete(w *world, a, _ int) error {
	agents := w.sim.Agents()
	if len(agents) == 0 {
		return nil
	}
	id := pick(agents, a).ID
	w.meddled[id] = true
	delete(w.roster, id)
	return w.sim.RemoveAgent(id)
}

func handUntag(w *world, a, _ int) error {
	agents := w.sim.Agents()
	if len(agents) == 0 {
		return nil
	}
	id := pick(agents, a).ID
	agent, err := w.sim.ChangeAgent(id, func(a *simconnect.Agent) { a.Tags = nil })
	w.meddled[id], w.roster[id] = true, agent
	return err
}
