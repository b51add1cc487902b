package reconcile

import (
	"context"
	"fmt"
	"time"

	"connectroster/internal/plan"
)

// refuse records a refusal. That somebody who has no agent is to have none is no
// news, unless the journal has told otherwise before: events name many people
// who have nothing to do with the contact centre.
func (v *visit) refuse(ctx context.Context, refusal plan.Refusal) error {
	v.out.Refusal = &refusal
	if refusal.Agent == "" && (refusal.Code == plan.NotEntitled || refusal.Code == plan.Exempt) {
		last, err := v.Journal.Recent(ctx, Query{Person: v.work.Person, Limit: 1})
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		if len(last) == 0 {
			return nil
		}
	}
	_, err := v.record(ctx, Entry{Kind: EntryRefusal, Code: refusal.Code, Agent: refusal.Agent, Reason: refusal.Reason})
	return err
}

// recent is how far back in a person's journal record looks for what it is about
// to say: a person has a few standing refusals at most.
const recent = 12

// record appends to the journal, unless it says the same of that agent already:
// a refusal that still holds, or a change whose look was cut short after the
// entry. It reports whether it is news.
func (v *visit) record(ctx context.Context, entry Entry) (news bool, err error) {
	entry.Time, entry.Person, entry.Instance = v.Now(), v.work.Person, v.at.Name
	entry.Trigger, entry.Event = v.work.Trigger, v.work.Event
	entry.Duration = v.Now().Sub(v.started)
	last, err := v.Journal.Recent(ctx, Query{Person: v.work.Person, Limit: recent})
	if err != nil {
		return false, fmt.Errorf("read the journal: %w", err)
	}
	for _, e := range last {
		switch {
		case e.Instance != entry.Instance:
			continue
		case e.Kind == entry.Kind && e.Agent == entry.Agent:
			if v.repeats(e, entry) {
				return false, nil
			}
		case e.Kind != EntryChange:
			continue
		}
		break // what was said before a change is not said any more
	}
	if err := v.Journal.Record(ctx, entry); err != nil {
		return false, fmt.Errorf("write the journal: %w", err)
	}
	return true, nil
}

// repeats reports whether an entry already says what another one would. That
// the same change was made twice is news, unless it was by the same intent.
func (v *visit) repeats(e, other Entry) bool {
	if e.Action != other.Action || e.Code != other.Code || e.Error != other.Error {
		return false
	}
	if e.Kind == EntryChange {
		return !v.making && !e.Time.Before(v.intent.Started.Truncate(time.Microsecond))
	}
	return e.Reason == other.Reason && e.Hold == other.Hold
}
