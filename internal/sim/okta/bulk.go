package okta

import (
	"net/http"
	"slices"
)

// What befalls many people at once, as by an import, a rule or a script of an
// administrator. Each of them is logged, unless Settings say otherwise.

// EmptyGroup takes everybody out of a group, as an import does whose source is
// empty.
func (o *Org) EmptyGroup(ref string) error {
	return o.withGroup(ref, func(g *group) error {
		for _, id := range slices.Clone(g.members) {
			o.leave(cause{job: true}, o.users.rows[id], g)
		}
		return nil
	})
}

// MoveMembers moves a part of a group's members, in percent and rounded down, to
// another group.
func (o *Org) MoveMembers(from, to string, percent int) error {
	if percent < 0 || percent > 100 {
		return invalid("percent", "percent: want 0 to 100")
	}
	return o.withGroup(from, func(g *group) error {
		other, err := o.findGroup(to)
		if err != nil {
			return err
		}
		for _, id := range slices.Clone(g.members[:len(g.members)*percent/100]) {
			o.join(cause{job: true}, o.users.rows[id], other)
			o.leave(cause{job: true}, o.users.rows[id], g)
		}
		return nil
	})
}

// ChangeMembers applies a verb of a user's lifecycle to all members of a group,
// such as deactivate or suspend, or deletes them. It stops at the first whom the
// verb does not fit.
func (o *Org) ChangeMembers(ref, verb string) error {
	if _, ok := lifecycle[verb]; !ok && verb != "delete" {
		return fail(http.StatusNotFound, "E0000007", "Not found: unknown action "+verb)
	}
	return o.withGroup(ref, func(g *group) error {
		for _, id := range slices.Clone(g.members) {
			if err := o.changeAs(o.users.rows[id], verb); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *Org) changeAs(u *user, verb string) error {
	if verb != "delete" {
		return o.transition(cause{}, u, verb)
	}
	if u.status != "DEPROVISIONED" {
		if err := o.remove(cause{}, u); err != nil {
			return err
		}
	}
	return o.remove(cause{}, u)
}

// DeleteRule deletes a rule, named by id or name. Memberships stay unless those
// that are its work are to end.
func (o *Org) DeleteRule(ref string, removeUsers bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, err := o.findRule(ref)
	if err != nil {
		return err
	}
	o.removeRule(r, removeUsers)
	return nil
}

// simBulk does something to all members of a group and answers with the group.
func (o *Org) simBulk(r *http.Request) (any, error) {
	b, err := read[struct {
		To      string
		Percent *int
	}](r)
	if err != nil {
		return nil, err
	}
	ref := r.PathValue("group")
	switch action := r.PathValue("action"); action {
	case "empty":
		err = o.EmptyGroup(ref)
	case "move":
		percent := 100
		if b.Percent != nil {
			percent = *b.Percent
		}
		err = o.MoveMembers(ref, b.To, percent)
	default:
		err = o.ChangeMembers(ref, action)
	}
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g, err := o.findGroup(ref)
	if err != nil {
		return nil, err
	}
	return g.export(), nil
}
