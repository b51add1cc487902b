package connect

import "connectroster/internal/plan"

// Calls tells which operations of Amazon Connect Apply calls for a change, and
// how often, as far as can be told before: a deletion meets one page of quick
// connects and none that leads to the agent, and what was done by half needs less.
func Calls(c plan.Change) map[string]int {
	out := map[string]int{}
	if c.Action != plan.Create {
		out["DescribeUser"]++
	}
	switch c.Action {
	case plan.Create:
		creating(out, c.After)
	case plan.Replace:
		if c.Before != nil && c.Parked != nil {
			writing(out, c.Before, c.Parked, append(differing(c.Before, c.Parked), plan.FieldOwnership))
		}
		creating(out, c.After)
	case plan.Adopt:
		out["TagResource"]++
	case plan.Release:
		out["UntagResource"]++
	case plan.Delete:
		out["SearchQuickConnects"]++
		out["DeleteUser"]++
	default:
		if c.Before != nil && c.After != nil {
			writing(out, c.Before, c.After, c.Fields)
		}
		if c.Action == plan.Suspend {
			out["PutUserStatus"]++
		}
	}
	return out
}

func creating(out map[string]int, after *plan.Agent) {
	out["CreateUser"]++
	if after != nil && len(after.Proficiencies) > 0 {
		training := train(nil, after.Proficiencies)
		out["ListUserProficiencies"]++
		training.count(out)
		out["TagResource"]++
	}
}

// writing counts the operations that write fields.
func writing(out map[string]int, before, after *plan.Agent, fields []plan.Field) {
	handled := false
	for _, f := range fields {
		switch f {
		case plan.FieldName:
			out["UpdateUserIdentityInfo"]++
		case plan.FieldRouting:
			out["UpdateUserRoutingProfile"]++
		case plan.FieldSecurity:
			out["UpdateUserSecurityProfiles"]++
		case plan.FieldHierarchy:
			out["UpdateUserHierarchy"]++
		case plan.FieldProficiencies:
			out["ListUserProficiencies"]++
			train(before.Proficiencies, after.Proficiencies).count(out)
		case plan.FieldPhone, plan.FieldAutoAccept, plan.FieldAfterWork, plan.FieldEnhancement:
			handled = true
		case plan.FieldTags, plan.FieldOwnership:
			out["TagResource"] = 1
		}
	}
	if handled {
		out["UpdateUserConfig"]++
	}
}

// count adds the calls that a training takes.
func (t training) count(out map[string]int) {
	for operation, n := range map[string]int{
		"DisassociateUserProficiencies": len(t.drop), "AssociateUserProficiencies": len(t.learn), "UpdateUserProficiencies": len(t.change),
	} {
		if n > 0 {
			out[operation]++
		}
	}
}
