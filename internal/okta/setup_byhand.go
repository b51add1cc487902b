package okta

import (
	"regexp"
	"strconv"
	"strings"
)

// What somebody does in Okta's Admin Console in place of a step. Words in braces
// stand for what the configuration says. docs/okta-by-hand.md has the same text.
// Source: Okta Help Center, "Create an event hook"; "Create an event hook with
// filters"; Okta, "Implement OAuth for Okta with a service app".
const (
	byHandGroup = `1. In the Admin Console, open Directory > Groups and choose "Add group".
2. Enter the name {group} and save.
3. Open the group. Note its id: the part of the page's address that begins
   with 00g.
`
	byHandApp = `4. Open Applications > Applications, and there the app {app}, by which people
   sign in to Amazon Connect.
5. On its tab "Assignments", choose "Assign" > "Assign to Groups", and then
   "Assign" beside the group {agents}.
6. Choose the role {role} under "Role" and under "SAML User Roles", then "Save
   and Go Back", then "Done". If there is no role to choose from, the app does
   not know the roles of your AWS account yet: set up its API integration on
   the tab "Provisioning" first.
`
	byHandHook = `7. Open Workflow > Event Hooks and choose "Create Event Hook".
8. Endpoint URL: {url}
   Event Hook name: {name}
9. Authentication field: {header}
   Authentication secret: {secret}
   Do not leave them empty: nothing else tells connectroster that a delivery
   is from Okta, and it refuses deliveries without the secret.
10. Events:
{events}
11. Choose "Create hook & Continue".
`
	byHandFilter = `12. Under "Apply filters", open each event that names a group, choose "Use Okta
    Expression Language (advanced)" and enter, in one piece:
{filter}
    If your org shows no filters, enable "Event Hook Filtering" under Settings
    > Features, or go on without: everything works, but all groups of the org
    are delivered.
13. Choose "Save & Continue".
`
	byHandVerify = `14. On the tab "Preview", choose "Deliver Request". The answer must be 204; what
    Okta sends here is sample data, and is ignored.
15. Back in the list of event hooks, choose "Verify" in the menu of the hook.
    Its status must become "Verified": until then nothing is delivered.
`
	byHandSecret = `1. Write the new secret beside the old one under okta.hook.secrets, and restart
   connectroster. Both are accepted now.
2. Open Workflow > Event Hooks, and choose "Edit" in the menu of the hook
   {name}.
3. Enter the new secret as "Authentication secret" and save. Nothing is
   delivered now.
4. Choose "Verify" in its menu at once. Its status must become "Verified".
5. Take the old secret out of okta.hook.secrets.
`
	byHandRemove = `1. Open Workflow > Event Hooks, and choose "Deactivate" in the menu of the hook
   {name}.
2. Choose "Delete" in the same menu.
`
	byHandScopes = `1. Open Applications > Applications and the service app of connectroster.
2. On its tab "Okta API Scopes", choose "Grant" beside each scope that is
   missing. Only a super administrator can.
3. On its tab "Admin roles", see that its role covers them. Event hooks take a
   custom role with the permission to manage them, or a super administrator.
`
)

// explain gives a text about what somebody has to do, with the values in it.
func (j *job) explain(text string) string {
	agents := j.Groups
	if j.Agents != nil {
		agents = j.Agents
	}
	has := j.wanted(hookContent{})
	filter := "event.target.?[type eq 'UserGroup' && id eq '(the id of the group)'].size()>0"
	if has.filters[memberAdded] != "" {
		filter = has.filters[memberAdded]
	}
	if j.open() {
		filter = "no filter, as groups to come may match too"
	}
	role := j.Role
	if role == "" {
		role = "of agents"
	}
	app := `"` + j.App + `"`
	if j.App == "" {
		app = "of AWS"
	}
	return strings.NewReplacer(
		"{group}", spoken(j.Groups), "{agents}", spoken(agents), "{app}", app, "{role}", role, "{url}", j.HookURL, "{name}", j.HookName,
		"{header}", j.HookHeader, "{secret}", "the one that okta.hook.secrets refers to",
		"{events}", "    "+strings.Join(has.events, "\n    "), "{filter}", "    "+filter,
	).Replace(text)
}

// spoken names groups for people.
func spoken(refs []string) string {
	groups := make([]string, len(refs))
	for i, ref := range refs {
		groups[i] = `"` + ref + `"`
		if isPattern(ref) {
			groups[i] = "that match " + ref
		}
	}
	return strings.Join(groups, ", ")
}

// numbered is the beginning of a step.
var numbered = regexp.MustCompile(`^\d+\. `)

// renumber counts the steps of a part of the manual from 1, for it stands alone
// where the rest was done already.
func renumber(text string) string {
	lines := strings.SplitAfter(text, "\n")
	n, narrower := 0, 0
	for i, line := range lines {
		if was := numbered.FindString(line); was != "" {
			n++
			now := strconv.Itoa(n) + ". "
			lines[i], narrower = now+line[len(was):], len(was)-len(now)
		} else if narrower > 0 {
			lines[i] = strings.TrimPrefix(line, strings.Repeat(" ", narrower))
		}
	}
	return strings.Join(lines, "")
}

// ByHand gives all that somebody does in Okta's console where there is no
// credential that could. The config needs no client.
func ByHand(config OrgConfig) string {
	config.fill()
	j := &job{OrgConfig: config, filter: true}
	return j.explain(byHandGroup + byHandApp + byHandHook + byHandFilter + byHandVerify)
}
