package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connectroster/internal/plan"
)

// TestPolicyIsKept: no action but those of the policy, and adoptions if asked for.
func TestPolicyIsKept(t *testing.T) {
	allowed := map[plan.Policy][]plan.Action{
		"":              {plan.Create, plan.Adopt},
		plan.CreateOnly: {plan.Create, plan.Adopt},
		plan.UpsertOnly: {plan.Create, plan.Adopt, plan.Update, plan.Resume},
		plan.Sync:       {plan.Create, plan.Adopt, plan.Update, plan.Resume, plan.Suspend, plan.Replace, plan.Delete},
	}
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		for _, c := range plan.New(s, w).Changes {
			finishes := c.Action == plan.Update && c.Before.State == plan.StateCreating
			if !slices.Contains(allowed[s.Policy], c.Action) && !finishes {
				t.Fatalf("policy %q and a %s", s.Policy, c.Action)
			}
		}
	})
}

// TestErrorsRemoveNobody: what cannot be worked out takes nothing from anybody.
func TestErrorsRemoveNobody(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		p := plan.New(s, w)
		removed := map[string]plan.Change{}
		for _, c := range p.Changes {
			if c.Removes() || c.Action == plan.Replace {
				removed[c.Person] = c
			}
		}
		for _, r := range p.Refusals {
			c, found := removed[r.Person]
			if !found || c.Evidence == plan.EvidenceRename {
				continue // an agent that a rename has retired is no concern of the rules
			}
			switch r.Code {
			case plan.RuleFailed, plan.ProfileUnknown, plan.ProfileForbidden, plan.StatusUnknown, plan.UsernameImpossible, plan.Exempt:
				t.Fatalf("%s for %s beside the refusal %s: %s", c.Action, c.Person, r.Code, r.Reason)
			case plan.NotEntitled:
				t.Fatalf("%s for %s, who is refused: %s", c.Action, c.Person, r.Reason)
			}
		}
	})
}

// TestRemovalsHaveEvidence: only leavers lose anything, and the reason is known.
func TestRemovalsHaveEvidence(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		status := map[string][]plan.Status{}
		for _, p := range w.People {
			status[p.ID] = append(status[p.ID], p.Status)
		}
		for _, c := range plan.New(s, w).Changes {
			ended := slices.ContainsFunc(status[c.Person], func(s plan.Status) bool {
				return s == plan.StatusSuspended || s == plan.StatusDeprovisioned || s == plan.StatusGone
			})
			switch {
			case c.Removes() != (c.Evidence != ""):
				t.Fatalf("%s on the evidence %q", c.Action, c.Evidence)
			case c.Evidence == plan.EvidenceStatus && !ended:
				t.Fatalf("%s by status of somebody whose status is %q", c.Action, status[c.Person])
			case c.Evidence == plan.EvidenceRename && c.Before.State != plan.StateRetired:
				t.Fatalf("%s by a rename of an agent that is %s", c.Action, c.Before.State)
			case c.Evidence == plan.EvidenceMembership && c.Group != c.Before.Group:
				t.Fatalf("%s by membership of group %q, while the agent has %q", c.Action, c.Group, c.Before.Group)
			case c.Action == plan.Delete && (c.Before.Since.IsZero() || s.Leavers.DeleteAfter <= 0 || w.Now.Sub(c.Before.Since) < s.Leavers.DeleteAfter):
				t.Fatalf("delete of an agent that is %s since %s", c.Before.State, c.Before.Since)
			}
		}
	})
}

// TestFieldsAreWhatDiffers: a change lists the fields that it writes, all and no
// more, in order.
func TestFieldsAreWhatDiffers(t *testing.T) {
	of := map[string]plan.Field{
		"first": plan.FieldName, "last": plan.FieldName, "routing": plan.FieldRouting, "security": plan.FieldSecurity, "hierarchy": plan.FieldHierarchy,
		"skills": plan.FieldProficiencies, "phone": plan.FieldPhone, "desk": plan.FieldPhone, "persistent": plan.FieldPhone,
		"auto_accept": plan.FieldAutoAccept, "after_contact_work": plan.FieldAfterWork, "enhancement": plan.FieldEnhancement, "tag": plan.FieldTags,
		"owner": plan.FieldOwnership, "deployment": plan.FieldOwnership, "state": plan.FieldOwnership, "since": plan.FieldOwnership, "group": plan.FieldOwnership, "answer": plan.FieldOwnership,
	}
	order := append(plan.Fields(), plan.FieldOwnership)
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		for _, c := range plan.New(s, w).Changes {
			if c.Action == plan.Create || c.Action == plan.Replace || c.Action == plan.Delete {
				if len(c.Fields) != 0 {
					t.Fatalf("%s lists fields: %v", c.Action, c.Fields)
				}
				continue
			}
			differ := map[plan.Field]bool{}
			for _, text := range shown(c.Before, c.After) {
				name, _, _ := strings.Cut(text, "=")
				name, _, _ = strings.Cut(name, ".")
				differ[of[name]] = true
			}
			var want []plan.Field
			for _, f := range order {
				if differ[f] {
					want = append(want, f)
				}
			}
			if len(want) == 0 || !slices.Equal(want, c.Fields) {
				t.Fatalf("%s lists %v, but these differ: %v\n%s", c.Action, c.Fields, want, render(plan.Plan{Changes: []plan.Change{c}}))
			}
		}
	})
}

// TestHashNamesWhatIsDone: not when, why, or in which order it was found.
func TestHashNamesWhatIsDone(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		later := deepCopy(w)
		later.Now = later.Now.Add(time.Minute)
		later.People = rapid.Permutation(later.People).Draw(t, "people")
		later.Agents = rapid.Permutation(later.Agents).Draw(t, "agents")
		for i := range later.Agents {
			if len(later.Agents[i].Tags) == 0 {
				later.Agents[i].Tags = map[string]string{}
			}
		}
		hashes := map[string]plan.Change{}
		for _, c := range plan.New(s, w).Changes {
			other, twice := hashes[c.Hash()]
			if twice {
				t.Fatalf("two changes with one hash:\n%s", render(plan.Plan{Changes: []plan.Change{c, other}}))
			}
			hashes[c.Hash()] = c
			same := c
			same.Reason, same.Evidence, same.Group = "another", plan.EvidenceStatus, "00g8"
			if same.Hash() != c.Hash() {
				t.Fatal("the hash depends on the reason or the evidence")
			}
			moved := c
			moved.Person = "00u77"
			if moved.Hash() == c.Hash() {
				t.Fatal("the hash does not depend on the person")
			}
		}
		for _, c := range plan.New(s, later).Changes {
			if first, same := hashes[c.Hash()]; !same && c.Action != plan.Delete {
				t.Fatalf("a minute later another hash, of\n%s first %+v", render(plan.Plan{Changes: []plan.Change{c}}), first)
			}
		}
	})
}

// TestAFloorsChoice: after an agent was brought in line somebody changes its
// routing profile, hierarchy and phone. What is enforced comes back, what is the
// floor's stays, and what is allowed stays while it is among what is allowed.
func TestAFloorsChoice(t *testing.T) {
	check(t, func(t *rapid.T, s plan.Settings, w plan.World) {
		if s.Policy != plan.Sync && s.Policy != plan.UpsertOnly {
			s.Policy = plan.Sync
		}
		w.Agents = once(w.Agents)
		agents := map[string]int{}
		for _, a := range w.Agents {
			agents[a.Owner]++
		}
		w = settle(s, w)
		for i := range w.Agents {
			w.Agents[i].RoutingProfile, w.Agents[i].Hierarchy, w.Agents[i].Phone.Enhancement = "rp-floor", "h-floor", plan.NoiseSuppression
		}
		mode := func(c plan.Change, f plan.Field) plan.Mode {
			for _, e := range explainAll(s, w, c.Person).Fields {
				if e.Field == f {
					return e.Authority
				}
			}
			return plan.Ignore // nothing is said of it
		}
		for _, c := range plan.New(s, w).Changes {
			if c.Action != plan.Update || agents[c.Person] > 1 {
				continue // of two agents of one person the second may not have been brought in line
			}
			for f, written := range map[plan.Field]bool{
				plan.FieldRouting: c.After.RoutingProfile != "rp-floor", plan.FieldHierarchy: c.After.Hierarchy != "h-floor",
				plan.FieldEnhancement: c.After.Phone.Enhancement != plan.NoiseSuppression,
			} {
				m := mode(c, f)
				if want := m == plan.Enforce || m == plan.Allowed; written != want {
					t.Fatalf("%s is %s and was written: %v\n%s", f, m, written, render(plan.Plan{Changes: []plan.Change{c}}))
				}
			}
		}
	})
}

func explainAll(s plan.Settings, w plan.World, person string) plan.Explanation {
	e, _ := plan.Explain(s, w, person)
	return e
}
