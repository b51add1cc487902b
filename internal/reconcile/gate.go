package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectroster/internal/failpoint"
	"connectroster/internal/plan"
)

// gate decides whether a change may go now. What may not is a refusal, which is
// recorded, or an error that says when to look again. What goes by an approval
// names its hold.
func (v *visit) gate(ctx context.Context, change plan.Change) (hold string, goes bool, err error) {
	if change.Action == plan.Replace {
		if goes, err = v.free(ctx, change); err != nil || !goes {
			return "", false, err
		}
	}
	kind := KindOf(change)
	if kind == "" || parkedAgain(change) {
		return "", true, nil
	}
	cliff, group, err := v.proof(ctx, change)
	if err != nil {
		return "", false, err
	}
	return v.reserve(ctx, change, kind, cliff, group)
}

// parkedAgain reports whether a change only parks once more what was parked
// already, so that it takes nothing from anybody that was not taken before.
func parkedAgain(c plan.Change) bool {
	return c.Action == plan.Suspend && c.Before != nil && !c.Buries()
}

// free makes sure that a replacement will find its username free, before the old
// agent is retired for it.
func (v *visit) free(ctx context.Context, change plan.Change) (bool, error) {
	holder, err := v.holder(ctx, change.After.Username)
	switch {
	case errors.Is(err, ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look whether the username is free: %w", err)
	case slices.ContainsFunc(v.agents, func(a plan.Agent) bool { return a.ID == holder.ID }):
		return true, nil
	}
	if v.ours(holder) {
		return false, v.created(ctx, change, holder, "", lost)
	}
	return false, v.decideAnew(ctx, holder)
}

// quiet looks whether the agent has a contact, where that is configured: moves and
// deletions would cut it off. What ends somebody's access or changes their rights
// never waits. It gives what may go now, which is nothing if no fields are left,
// and as wait the error with which the rest is looked at again.
func (v *visit) quiet(ctx context.Context, change plan.Change) (now plan.Change, wait, err error) {
	moves := change.Action == plan.Update && slices.Contains(change.Fields, plan.FieldRouting)
	if v.WaitForContacts <= 0 || !moves && change.Action != plan.Replace && change.Action != plan.Delete {
		return change, nil, nil
	}
	since := v.work.Since
	if since.IsZero() || since.After(v.started) {
		since = v.started
	}
	if v.Now().Sub(since) >= v.WaitForContacts {
		return change, nil, nil
	}
	busy, err := v.at.Instance.Busy(ctx, change.Agent)
	if err != nil {
		return change, nil, fmt.Errorf("ask whether agent %s has a contact: %w", change.Agent, err)
	}
	if !busy[change.Agent] {
		return change, nil, nil
	}
	until := since.Add(v.WaitForContacts).UTC().Format(time.RFC3339)
	wait = After(recheckContact, fmt.Errorf("agent %s has a contact; waiting for its end until %s at most", change.Agent, until))
	if !moves {
		change.Fields = nil
		return change, wait, nil
	}
	change = change.Without(plan.FieldRouting)
	if slices.Equal(change.Fields, []plan.Field{plan.FieldOwnership}) {
		change.Fields = nil // the tags go with the rest
	}
	return change, wait, nil
}

// markFor is how long a complete sweep vouches for what it read.
const markFor = 48 * time.Hour

// clocksApart is how far our clock and the directory's may be apart: a sweep that
// missed somebody says nothing of a group that took them in since.
const clocksApart = 15 * time.Minute

// proof asks for the second key of a removal: besides what the look has read
// itself, another source must say that this very person left. It gives the reason
// why the removal must be approved whatever the numbers, if there is one, and the
// name of the group that was lost, where it is asked about and known.
func (v *visit) proof(ctx context.Context, change plan.Change) (cliff, group string, err error) {
	if !change.Removes() {
		return "", "", nil
	}
	known := v.entry(change.Agent)
	if cliff, err = v.vouched(ctx, v.at.Name); err != nil {
		return "", "", err
	}
	cliff = cmp.Or(known.Cliff, cliff)
	gone := v.person.Status == plan.StatusGone
	if change.Evidence != plan.EvidenceMembership && !gone {
		return cliff, "", nil // the person's own record says so, or it is a retired agent
	}
	q := Question{Person: v.work.Person, Gone: gone, Group: change.Before.Group}
	evidence, err := v.Directory.Evidence(ctx, q)
	if err != nil {
		return "", "", fmt.Errorf("ask for a second proof that the person left: %w", err)
	}
	missed := !known.Absent.IsZero() && v.Now().Sub(known.Absent) < markFor && known.Absent.Sub(evidence.Joined) > clocksApart
	if !evidence.Confirmed && !missed && evidence.Cliff == "" {
		wait := min(max(v.Now().Sub(v.work.Since), 5*time.Second), time.Hour)
		return "", "", After(wait, errors.New("seems to have left, but no second source says so yet: neither Okta's System Log nor a complete sweep"))
	}
	steep, err := v.steep(ctx, q.Group, evidence.Cliff)
	return cmp.Or(cliff, steep), evidence.GroupName, err
}

// cliffFor is how long a group counts as emptied or gone after it was seen so: it
// takes a while to look at all who were in it, and one who joins meanwhile must not
// let the others fall.
const cliffFor = time.Hour

// brink is the note of when a group was last seen emptied or gone.
type brink struct {
	Cause string    `json:"cause"`
	At    time.Time `json:"at"`
}

// steep gives the reason why whoever left a group must be approved: the one that is
// seen now, or one that was seen not long ago.
func (v *visit) steep(ctx context.Context, group, seen string) (cause string, err error) {
	if group == "" {
		return seen, nil
	}
	name, now := "cliff/"+group, v.Now()
	var last brink
	if err := v.recall(ctx, name, &last); err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	age := now.Sub(last.At)
	fresh := last.Cause != "" && age < cliffFor && -age < clocksApart
	switch {
	case seen == "" && fresh:
		return last.Cause, nil
	case seen == "" || fresh && age < cliffFor/4 && age >= 0:
		return seen, nil
	}
	return seen, v.note(ctx, name, brink{Cause: seen, At: now})
}

// entry gives what the index knows of an agent.
func (v *visit) entry(agent string) Known {
	for _, k := range v.known {
		if k.Agent == agent {
			return k
		}
	}
	return Known{}
}

// vouched tells why no sweep of an instance vouches for the present configuration,
// or gives the empty string.
func (e *Engine) vouched(ctx context.Context, instance string) (string, error) {
	var m mark
	switch err := e.recall(ctx, noteMark(instance), &m); {
	case errors.Is(err, ErrNotFound):
		return "there was no complete sweep yet", nil
	case err != nil:
		return "", err
	case m.Config != e.Scope:
		return "there was no complete sweep under the present configuration yet", nil
	case e.Now().Sub(m.At) > markFor:
		return fmt.Sprintf("there was no complete sweep for %d hours", int(markFor.Hours())), nil
	}
	return "", nil
}

// reserve asks the guard for the place of a change.
func (v *visit) reserve(ctx context.Context, change plan.Change, kind RemovalKind, cliff, group string) (hold string, goes bool, err error) {
	owned, _, err := v.Index.Owned(ctx, v.at.Name)
	if err != nil {
		return "", false, fmt.Errorf("count the agents: %w", err)
	}
	r := Removal{
		Kind: kind, Instance: v.at.Name, Person: v.work.Person, Agent: change.Agent, Group: change.Group, Named: group, Action: change.Action,
		Hash: change.Hash(), Reason: change.Reason, Cliff: cliff, Owned: owned, Change: &change, At: v.Now(),
	}
	answer, err := v.Guard.Reserve(ctx, r, v.Limits)
	if err != nil {
		return "", false, fmt.Errorf("ask the guard: %w", err)
	}
	failpoint.Hit(failpoint.WorkReserved)
	switch answer.State {
	case ReservationHeld:
		return "", false, v.held(ctx, change, answer)
	case ReservationStayed:
		return "", false, v.refuse(ctx, plan.Refusal{
			Instance: v.at.Name, Person: v.work.Person, Username: change.Before.Username, Agent: change.Agent, Code: plan.Stayed,
			Reason: fmt.Sprintf("%s, but %s said to leave them as they are until %s: %s", change.Reason, answer.Stay.Who, answer.Stay.Until.UTC().Format(time.RFC3339), answer.Stay.Why),
		})
	}
	return answer.Hold, true, nil
}

// carry takes the place of what is left of a change that may go, of which a part
// goes now: whoever has let the whole of it go is not asked about the rest again.
func (v *visit) carry(ctx context.Context, now plan.Change) error {
	then := slices.Clone(v.agents)
	for i := range then {
		if then[i].ID == now.Agent {
			then[i] = *now.After
		}
	}
	p, err := v.plan(ctx, then, nil)
	if err != nil {
		return err
	}
	for _, rest := range p.Changes {
		kind := KindOf(rest)
		if rest.Agent != now.Agent || kind == "" {
			continue
		}
		r := Removal{
			Kind: kind, Instance: v.at.Name, Person: v.work.Person, Agent: rest.Agent, Action: rest.Action,
			Hash: rest.Hash(), Reason: rest.Reason, Change: &rest, At: v.Now(), Rest: true,
		}
		if _, err := v.Guard.Reserve(ctx, r, v.Limits); err != nil {
			return fmt.Errorf("ask the guard about what waits for the end of a contact: %w", err)
		}
	}
	return nil
}

// approvedIn gives the hold whose approval has let a change go that an intent tells
// of, or the empty string.
func (v *visit) approvedIn(ctx context.Context, change plan.Change) (string, error) {
	if KindOf(change) == "" {
		return "", nil
	}
	holds, err := v.Guard.Holds(ctx, HoldQuery{Person: v.work.Person})
	if err != nil {
		return "", fmt.Errorf("read what was approved: %w", err)
	}
	hash := change.Hash()
	for _, h := range holds {
		for _, e := range h.Entries {
			if e.State == HoldSpent && e.Instance == v.at.Name && e.Agent == change.Agent && e.Hash == hash {
				return h.ID, nil
			}
		}
	}
	return "", nil
}

// approver gives who approved what went of an agent in a hold; empty: it went in none.
func (v *visit) approver(ctx context.Context, hold, agent string) (by string, err error) {
	if hold == "" {
		return "", nil
	}
	holds, err := v.Guard.Holds(ctx, HoldQuery{Person: v.work.Person})
	if err != nil {
		return "", fmt.Errorf("read who approved it: %w", err)
	}
	var last time.Time
	for _, h := range holds {
		for _, e := range h.Entries {
			if h.ID == hold && e.State == HoldSpent && e.Instance == v.at.Name && e.Agent == agent && !e.At.Before(last) {
				by, last = e.By, e.At
			}
		}
	}
	return by, nil
}

// held records that a change waits for somebody, and tells whoever wants to know
// when it is news.
func (v *visit) held(ctx context.Context, change plan.Change, answer Reservation) error {
	v.out.Refusal = &plan.Refusal{
		Instance: v.at.Name, Person: v.work.Person, Username: change.Before.Username, Agent: change.Agent, Code: plan.Held,
		Reason: fmt.Sprintf("%s (%s) is held in %s: %s", change.Action, change.Reason, answer.Hold, answer.Cause),
	}
	news, err := v.record(ctx, Entry{Kind: EntryHold, Action: change.Action, Agent: change.Agent, Code: plan.Held, Reason: change.Reason + "; held: " + answer.Cause, Hold: answer.Hold})
	if err != nil || !news {
		return err
	}
	v.Notify(Notice{Kind: NoticeHeld, Instance: v.at.Name, Hold: answer.Hold, Person: v.work.Person, Action: change.Action, Cause: answer.Cause, Time: v.Now()})
	return nil
}

// withdraw closes what is held about the person, if the plan takes nothing more
// from one of their agents, and strikes out what a sweep noted for its removal.
func (v *visit) withdraw(ctx context.Context, p plan.Plan) error {
	taken := map[string]bool{}
	for _, c := range p.Changes {
		if KindOf(c) != "" && !parkedAgain(c) {
			taken[c.Agent] = true
		}
	}
	for _, k := range v.known {
		if taken[k.Agent] || k.Absent.IsZero() && k.Cliff == "" {
			continue
		}
		k.Absent, k.Cliff = time.Time{}, ""
		if err := v.Index.Remember(ctx, k); err != nil {
			return fmt.Errorf("strike out what a sweep noted of agent %s: %w", k.Agent, err)
		}
	}
	if len(taken) == 0 {
		return v.forgo(ctx)
	}
	holds, err := v.Guard.Holds(ctx, HoldQuery{Person: v.work.Person})
	if err != nil {
		return fmt.Errorf("read what is held: %w", err)
	}
	for _, h := range holds {
		over := func(e HoldEntry) bool { return e.Open() && !taken[e.Agent] }
		if h.Instance == v.at.Name && slices.ContainsFunc(h.Entries, over) {
			return v.forgo(ctx) // what is still to be taken from another agent waits anew
		}
	}
	return nil
}

// forgo lets go of what is held about the person and of the places that were taken
// for them: whatever is to be taken from them next is another matter.
func (v *visit) forgo(ctx context.Context) error {
	if err := v.Guard.Withdraw(ctx, v.work.Person, v.at.Name); err != nil {
		return fmt.Errorf("withdraw what is held: %w", err)
	}
	return nil
}

// Notice is something that somebody should hear of. It holds no names.
type Notice struct {
	Kind     NoticeKind  `json:"kind"`
	Instance string      `json:"instance,omitempty"`
	Hold     string      `json:"hold,omitempty"`
	Person   string      `json:"person,omitempty"` // Okta user id
	Action   plan.Action `json:"action,omitempty"`
	Cause    string      `json:"cause"`
	Time     time.Time   `json:"time"`
}

// NoticeKind is the kind of a Notice.
type NoticeKind string

// NoticeHeld tells of a change that waits for somebody's decision.
const NoticeHeld NoticeKind = "held"
