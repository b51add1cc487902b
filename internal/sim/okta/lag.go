package okta

import (
	"iter"
	"time"
)

// version is what a user or group looked like from a moment on. Neither means
// that it was gone.
type version struct {
	from  time.Time
	user  *user
	group *group
}

// show notes a change for `search`, which lags behind. Versions that no lag
// can reach any more are forgotten.
func (o *Org) show(id string, v version) {
	v.from = o.now()
	list := o.shown[id]
	list = append(list, v)
	for len(list) > 1 && v.from.Sub(list[1].from) > maxSearchLag {
		list = list[1:]
	}
	o.shown[id] = list
}

func (o *Org) showUser(u *user)   { o.show(u.id, version{user: new(*u)}) }
func (o *Org) showGroup(g *group) { o.show(g.id, version{group: new(*g)}) }

// indexed yields what search knows of the ids behind the given one: the rows
// as they were SearchLag ago, deleted ones that were there then included.
func (o *Org) indexed(prefix, after string) iter.Seq[version] {
	var ids idset
	for id := range o.shown {
		if len(id) > len(prefix) && id[:len(prefix)] == prefix {
			ids = append(ids, id)
		}
	}
	ids.sort()
	seen := o.now().Add(-o.set.SearchLag)
	return func(yield func(version) bool) {
		for id := range ids.after(after) {
			var then version
			for _, v := range o.shown[id] {
				if v.from.After(seen) {
					break
				}
				then = v
			}
			if (then.user != nil || then.group != nil) && !yield(then) {
				return
			}
		}
	}
}

func (o *Org) indexedUsers(after string) iter.Seq[*user] {
	return func(yield func(*user) bool) {
		for v := range o.indexed("00u", after) {
			if !yield(v.user) {
				return
			}
		}
	}
}

func (o *Org) indexedGroups(after string) iter.Seq[*group] {
	return func(yield func(*group) bool) {
		for v := range o.indexed("00g", after) {
			if !yield(v.group) {
				return
			}
		}
	}
}
