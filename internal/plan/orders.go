package plan

import (
	"maps"
	"slices"
	"time"
)

// Restore is the change that gives a suspended agent back exactly what it was
// before, whatever the rules say now. Only people ask for it.
func Restore(person string, have, before Agent) Change {
	after := have
	for _, f := range Fields() {
		after = copyField(f, after, &before)
	}
	after.State, after.Since = StateActive, time.Time{}
	return Change{
		Action: Resume, Person: person, Agent: have.ID, Before: &have, After: &after,
		Fields: append(differing(&have, &after), FieldOwnership),
		Reason: "somebody asked to restore the agent as it was before",
	}
}

// GiveUp is the change by which an agent is no longer ours. Only people ask for it.
func GiveUp(person string, have Agent) Change {
	return Change{
		Action: Release, Person: person, Agent: have.ID, Before: &have, Fields: []Field{FieldOwnership},
		Reason: "somebody asked to release the agent",
	}
}

// Done reports whether an agent that was found, or nil if none was, is as the
// change was to leave it. It is for changes of an agent that exists.
func (c Change) Done(found *Agent) bool {
	switch {
	case c.Action == Delete:
		return found == nil
	case c.Action == Release: // one that was released is nobody's, and not found any more
		return found == nil || found.Owner == "" && found.Deployment == ""
	case found == nil:
		return false
	case c.After == nil:
		return false
	}
	for _, f := range c.Fields {
		if f == FieldOwnership {
			if !sameOwnership(found, c.After) {
				return false
			}
		} else if !sameField(f, found, c.After) {
			return false
		}
	}
	return true
}

// Without is the change as it is when a field is left for later.
func (c Change) Without(f Field) Change {
	after := copyField(f, *c.After, c.Before)
	after.Answers = maps.Clone(after.Answers)
	delete(after.Answers, f)
	if answer, ok := c.Before.Answers[f]; ok {
		after.Answers[f] = answer
	}
	c.After = &after
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(g Field) bool { return g == f })
	return c
}

// Claim gives an agent that was found as if the tags had been written that go with
// those fields which a change that was cut short has written: what is there by our
// own doing is not the floor's choice.
func (c Change) Claim(found Agent) Agent {
	if c.After == nil || c.Agent != found.ID {
		return found
	}
	for f, answer := range c.After.Answers {
		if slices.Contains(c.Fields, f) && sameField(f, &found, c.After) {
			found.Answers = with(found.Answers, f, answer)
		}
	}
	return found
}
