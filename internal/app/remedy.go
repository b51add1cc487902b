package app

import "connectroster/internal/plan"

// remedies say for every kind of refusal what somebody can do about it.
var remedies = map[plan.Code]string{
	plan.NotEntitled:        "nothing, if they are to have no agent; otherwise activate them in Okta and put them into a group that a rule names",
	plan.StatusUnknown:      "look at the person in Okta; if the status is a new one of Okta's, update connectroster",
	plan.Exempt:             "nothing, if they are to be left alone; otherwise take them out of exempt in the configuration",
	plan.NoPersona:          "add a rule that names a persona for them, or set default_persona; for leavers, set leavers.suspend_as",
	plan.RuleFailed:         "mend the rule, or the profile in Okta that it reads",
	plan.UsernameImpossible: "give them a username in Okta of letters, digits and _ . @ -, of 100 characters at most",
	plan.UsernameChanged:    "change the username in Okta back, use the policy sync, which replaces the agent, or delete the agent by hand",
	plan.ExistsNotOurs:      "if the agent is theirs: connectroster adopt USER; otherwise rename or delete it in Amazon Connect",
	plan.ProfileUnknown:     "create the profile, group or attribute in Amazon Connect, or mend its name in the configuration",
	plan.ProfileForbidden:   "name another security profile, or set allow_admin: true on the persona if that is meant",
	plan.Conflict:           "give one of the two another username in Okta; if nobody else has it, ask AWS support why the name is taken",
	plan.Held:               "decide: connectroster holds show, then connectroster holds approve or reject",
	plan.Stayed:             "nothing until the stay is over; connectroster holds unstay USER ends it early",
}

// remedy gives what to do about a refusal.
func remedy(code plan.Code) string { return remedies[code] }
