package remedy

// refusals are the codes of plan.Refusal.
var refusals = []Entry{
	{
		Code: "not_entitled", Kind: Refusal, Means: "the person is to have no agent",
		Cause: "They are in no group that a rule names, or not active in Okta: staged, suspended, deactivated or deleted. Where they still have an agent, the policy does not allow to take it away.",
		Do:    "nothing, if they are to have no agent; otherwise activate them in Okta and put them into a group that a rule names",
	},
	{
		Code: "status_unknown", Kind: Refusal, Means: "Okta reports a status that this version does not know",
		Cause: "Okta has a new status, or something between answers in its place. The person is left as they are.",
		Do:    "look at the person in Okta; if the status is a new one of Okta's, update connectroster",
	},
	{
		Code: "exempt", Kind: Refusal, Means: "the configuration says never to touch the person",
		Cause: "They meet one of the conditions under exempt.",
		Do:    "nothing, if they are to be left alone; otherwise take them out of exempt in the configuration",
	},
	{
		Code: "no_persona", Kind: Refusal, Means: "rules match, and none of them names a persona",
		Cause: "The person is in a mapped group, but no rule that matches them gives a persona in this instance; or, for a leaver, there is no persona to suspend them as.",
		Do:    "add a rule that names a persona for them, or set default_persona; for leavers, set leavers.suspend_as",
	},
	{
		Code: "rule_failed", Kind: Refusal, Means: "a rule cannot be worked out for the person",
		Cause: "An expression meets a value that it cannot deal with, or a rule builds a value that is none.",
		Do:    "mend the rule, or the profile in Okta that it reads",
	},
	{
		Code: "username_impossible", Kind: Refusal, Means: "Amazon Connect cannot hold the username",
		Cause: "The username of the app in Okta is missing, too long, or has characters that Amazon Connect does not take, such as + or an apostrophe. It must equal what Okta sends at sign-in, so it is never changed on the way.",
		Do:    "give them a username in Okta of 2 to 64 characters, which are letters a-z, digits and _ . @ -; where it is missing, assign them to the app",
	},
	{
		Code: "username_changed", Kind: Refusal, Means: "the username changed, and the agent may not be replaced",
		Cause: "Amazon Connect has no rename, so another username takes another agent, which the policy does not allow.",
		Do:    "change the username in Okta back, use the policy sync, which replaces the agent, or delete the agent by hand",
	},
	{
		Code: "exists_not_ours", Kind: Refusal, Means: "an agent that was made by hand has the username",
		Cause: "It bears no tag of any deployment, so nothing of it is changed. Two agents whose usernames differ by case alone are told here too.",
		Do:    "if the agent is theirs: connectroster adopt USER; otherwise rename or delete it in Amazon Connect",
	},
	{
		Code: "exists_elsewhere", Kind: Refusal, Means: "an agent of another deployment has the username",
		Cause: "Two deployments look after one instance, such as staging and production, or a deployment was renamed: its name must never change. An agent of another deployment cannot be adopted.",
		Do:    "let one deployment alone look after the person: take them out of the groups of the other one, or release the agent there with connectroster release USER; if this deployment was renamed, give it its old name back",
	},
	{
		Code: "username_held", Kind: Refusal, Means: "another agent of this deployment has the username",
		Cause: "It belongs to somebody else: to a colleague, to somebody who left and is kept for the grace, or it was retired by a change of username. Or our tags on it were damaged by hand, so that it has no owner.",
		Do:    "wait until the agent is deleted after its grace, or delete it in Amazon Connect; where a colleague has it, give one of the two another username in Okta; where it has no owner, connectroster adopt USER makes it theirs again, and connectroster release AGENT gives it up",
	},
	{
		Code: "profile_unknown", Kind: Refusal, Means: "the instance lacks something that the configuration names",
		Cause: "A routing profile, security profile, hierarchy group or predefined attribute is misspelled, was renamed, or was never made.",
		Do:    "create the profile, group or attribute in Amazon Connect, or mend its name in the configuration",
	},
	{
		Code: "profile_forbidden", Kind: Refusal, Means: "the persona would make an administrator",
		Cause: "It names the security profile Admin and does not say that this is meant.",
		Do:    "name another security profile, or set allow_admin: true on the persona if that is meant",
	},
	{
		Code: "conflict", Kind: Refusal, Means: "the username cannot be had",
		Cause: "Two people want the same one, one person has two agents, so that neither is replaced by one with another username, or Amazon Connect says that it is taken and shows nobody who has it.",
		Do:    "give one of two people another username in Okta; where one person has two agents, connectroster release USER gives up both, and connectroster adopt USER takes the one with their username back, or makes one where neither has it; where nobody shows who has the name, ask AWS support why it is taken",
	},
	{
		Code: "held", Kind: Refusal, Means: "the change waits for somebody to approve it",
		Cause: "It takes something from the person and goes beyond what the guard lets go by itself: too many in a window, a group that is gone or empty, a first sweep.",
		Do:    "decide: connectroster holds shows what waits; then connectroster holds approve HOLD, or connectroster holds reject HOLD",
	},
	{
		Code: "stayed", Kind: Refusal, Means: "somebody said to leave the person as they are",
		Cause: "A hold was rejected, or an agent restored, which leaves the person alone for a while.",
		Do:    "nothing until the stay is over; connectroster holds unstay USER ends it early",
	},
}
