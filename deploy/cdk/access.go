package main

import (
	"strings"
)

// statement allows actions on resources, under conditions: operator, key, values.
type statement struct {
	sid        string
	actions    []string
	resources  []string
	conditions map[string]map[string][]string
}

// The tags by which an agent is known as ours; see internal/connect/tags.go.
const (
	tagPrefix     = "connectroster:"
	tagDeployment = tagPrefix + "deployment"
)

// agentTags are the keys of all tags that connectroster writes on agents by itself.
var agentTags = []string{
	"after-work", "auto-accept", "deployment", "enhancement", "group", "hierarchy", "name", "owner", "phone",
	"proficiencies", "routing", "security", "state",
}

// connectReads is what reading an instance takes: its agents by the search index,
// and its catalog. Amazon Connect knows no finer resource for these than the
// instance.
// Source of all action names, resource types and condition keys here: Service
// Authorization Reference, Amazon Connect.
func connectReads(in instance, part string) []statement {
	if in.Role != "" {
		// Another account's instance: whatever may be done there, that role says.
		return []statement{{sid: "Assume" + part, actions: []string{"sts:AssumeRole"}, resources: []string{in.Role}}}
	}
	reads := []string{"connect:DescribeInstance", "connect:ListRoutingProfiles", "connect:ListSecurityProfiles", "connect:SearchUsers"}
	if in.ManagesHierarchy {
		reads = append(reads, "connect:SearchUserHierarchyGroups")
	}
	if in.ManagesSkills {
		reads = append(reads, "connect:SearchPredefinedAttributes")
	}
	out := []statement{{sid: "Read" + part, actions: reads, resources: []string{in.ARN}}}
	if in.ByAlias {
		// An alias has to be looked up, and ListInstances has no resource types, so it
		// takes all. With the id in the configuration this goes.
		out = append(out, statement{sid: "FindInstance" + part, actions: []string{"connect:ListInstances"}, resources: []string{"*"}})
	}
	return out
}

// connectWrites is what the worker may do to agents of an instance: what the policy
// of the configuration may come to, on agents of this deployment, and with the
// profiles that were locked.
func connectWrites(l *lock, in instance, part string) []statement {
	if in.Role != "" {
		return nil
	}
	agents := []string{in.ARN + "/agent/*"} // their ids are not known before they are made
	ours := map[string]map[string][]string{"StringEquals": {"aws:ResourceTag/" + tagDeployment: {l.Deployment}}}
	routing, hierarchy := in.routing(), in.hierarchy()
	security := in.named("security-profile", in.SecurityProfiles)
	var out []statement
	allow := func(sid string, actions, resources []string, conditions map[string]map[string][]string) {
		if len(resources) > 0 {
			out = append(out, statement{sid + part, actions, resources, conditions})
		}
	}
	action := func(names ...string) []string {
		for i := range names {
			names[i] = "connect:" + names[i]
		}
		return names
	}

	// An agent that stands in the way of a username, or that is to be adopted, is not
	// ours yet and must be looked at all the same. It is a read.
	allow("Look", action("DescribeUser"), agents, nil)

	// Every agent that is made says whose it is. The profiles stand apart, since no
	// tag of the request is about them. They are the guard against a rule that hands
	// out too much: without the ARN of Admin here, nobody can be made one.
	allow("Create", action("CreateUser"), agents, map[string]map[string][]string{"StringEquals": {"aws:RequestTag/" + tagDeployment: {l.Deployment}}})
	allow("CreateWith", action("CreateUser"), concat(routing, security, hierarchy), nil)

	// Tags are written at creation, at adoption and later. What is written is a
	// condition: our keys and those of the configuration, and no other deployment's
	// name. Whose agent it is, is one only where AWS tells it: the reference gives
	// TagResource no aws:ResourceTag. Then another deployment's agents are out of reach;
	// nobody's are not, since they can be adopted. UntagResource is not among it:
	// release is for an operator.
	allow("Tag", action("TagResource"), agents, map[string]map[string][]string{
		"ForAllValues:StringEquals": {"aws:TagKeys": in.tagKeys()},
		"Null":                      {"aws:TagKeys": {"false"}}, // ForAllValues holds of no keys at all
		"StringEqualsIfExists": {
			"aws:RequestTag/" + tagDeployment:  {l.Deployment},
			"aws:ResourceTag/" + tagDeployment: {l.Deployment},
		},
	})

	if in.ManagesSkills {
		// These take the instance beside the agent, and have no condition about tags.
		allow("Skills", action("AssociateUserProficiencies", "DisassociateUserProficiencies", "ListUserProficiencies", "UpdateUserProficiencies"),
			append([]string{in.ARN}, agents...), nil)
	}
	if l.Policy == "create-only" {
		return out
	}

	// Changes are made to agents that bear the name of this deployment, and to no
	// others. UpdateUserConfig is missing in the reference, and declared in the schema
	// of AWS::Connect::User; see docs/unverified.md.
	allow("Update", action("UpdateUserConfig", "UpdateUserIdentityInfo", "UpdateUserRoutingProfile", "UpdateUserSecurityProfiles"), agents, ours)
	allow("UpdateRouting", action("UpdateUserRoutingProfile"), routing, nil)
	allow("UpdateSecurity", action("UpdateUserSecurityProfiles"), security, nil)
	if in.ManagesHierarchy {
		allow("UpdatePlace", action("UpdateUserHierarchy"), agents, ours)
		allow("UpdateHierarchy", action("UpdateUserHierarchy"), hierarchy, nil)
	}
	if l.Contacts {
		allow("Busy", action("GetCurrentUserData"), agents, nil) // has no condition about tags; it is a read
	}
	if l.Policy != "sync" {
		return out
	}

	// Who is suspended is put offline. Statuses are listed by a type of resource that
	// stands for all of them, and only those that are offline can be given.
	allow("Statuses", action("ListAgentStatuses"), []string{in.ARN + "/agent-state/*"}, nil)
	allow("Offline", action("PutUserStatus"), concat([]string{in.ARN}, agents, in.named("agent-state", in.Offline)), nil)
	if l.Deletes {
		allow("Delete", action("DeleteUser"), agents, ours)
		// Whose a quick connect is, no ARN says: it is found by a search of the
		// instance, and deleted by an id that is not known beforehand.
		allow("FindQuickConnects", action("SearchQuickConnects"), []string{in.ARN}, nil)
		allow("DeleteQuickConnects", action("DeleteQuickConnect"), []string{in.ARN + "/transfer-destination/*"}, nil)
	}
	return out
}

// routing gives the ARNs of the routing profiles that agents can get. Where the
// lock says why they cannot be listed, it is all of the instance: they say which
// contacts somebody takes, and give no rights.
func (in instance) routing() []string {
	if len(in.OpenRouting) > 0 {
		return []string{in.ARN + "/routing-profile/*"}
	}
	return in.named("routing-profile", in.RoutingProfiles)
}

// hierarchy is the same for hierarchy groups.
func (in instance) hierarchy() []string {
	if len(in.OpenHierarchy) > 0 {
		return []string{in.ARN + "/agent-group/*"}
	}
	return in.named("agent-group", in.Hierarchy)
}

// named gives the ARNs of what was listed.
func (in instance) named(noun string, list []entry) []string {
	var out []string
	for _, e := range list {
		out = append(out, in.ARN+"/"+noun+"/"+e.ID)
	}
	return out
}

// tagKeys are the keys of tags that agents of the instance may be given.
func (in instance) tagKeys() []string {
	var out []string
	for _, key := range agentTags {
		out = append(out, tagPrefix+key)
	}
	return append(out, in.Tags...)
}

func concat(lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}

// connectAccess is what a function may do in Amazon Connect.
func connectAccess(l *lock, writes bool) []statement {
	var out []statement
	for _, in := range l.Instances {
		part := sidPart(in.Name)
		out = append(out, connectReads(in, part)...)
		if writes {
			out = append(out, connectWrites(l, in, part)...)
		}
	}
	return out
}

// sidPart makes the name of an instance a part of a Sid, which has letters and
// digits alone.
func sidPart(name string) string {
	var out strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' }) {
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}
