package connect

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"connectroster/internal/plan"
)

// ours begins the keys of the tags by which an agent is known as ours.
const ours = "connectroster:"

// The tags that every agent of ours has, and the one that tells the Okta group
// which made the person an agent.
const (
	tagOwner      = ours + "owner"
	tagDeployment = ours + "deployment"
	tagState      = ours + "state"
	tagGroup      = ours + "group"
)

// tagAnswers keep what the rules last said of followed fields.
var tagAnswers = map[plan.Field]string{
	plan.FieldRouting:       ours + "routing",
	plan.FieldHierarchy:     ours + "hierarchy",
	plan.FieldSecurity:      ours + "security",
	plan.FieldProficiencies: ours + "proficiencies",
	plan.FieldPhone:         ours + "phone",
	plan.FieldAutoAccept:    ours + "auto-accept",
	plan.FieldAfterWork:     ours + "after-work",
	plan.FieldEnhancement:   ours + "enhancement",
	plan.FieldName:          ours + "name",
}

// Limits of tags. Source: Amazon Connect API, TagMap.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

func tagTooLong(s string) bool { return utf8.RuneCountInString(s) > maxTagValue }

// fromTags sorts the tags of an agent into ours and others.
func fromTags(a *plan.Agent, tags map[string]string) {
	a.Owner, a.Deployment, a.Group = tags[tagOwner], tags[tagDeployment], tags[tagGroup]
	a.State, a.Since = fromStateTag(tags[tagState])
	for field, key := range tagAnswers {
		if text := tags[key]; text != "" {
			if a.Answers == nil {
				a.Answers = make(map[plan.Field]string)
			}
			a.Answers[field] = text
		}
	}
	for key, text := range tags {
		if !strings.HasPrefix(key, ours) {
			if a.Tags == nil {
				a.Tags = make(map[string]string)
			}
			a.Tags[key] = text
		}
	}
}

// ownership gives the tags by which an agent is known as ours.
func ownership(a *plan.Agent) map[string]string {
	tags := map[string]string{
		tagOwner:      a.Owner,
		tagDeployment: a.Deployment,
		tagState:      stateTag(a.State, a.Since),
	}
	if a.Group != "" {
		tags[tagGroup] = a.Group
	}
	for field, text := range a.Answers {
		if key := tagAnswers[field]; key != "" && text != "" {
			tags[key] = text
		}
	}
	return tags
}

// stateTag writes a state and when it began: "suspended 2026-11-25T01:02:03Z".
func stateTag(s plan.State, since time.Time) string {
	if since.IsZero() {
		return string(s)
	}
	return string(s) + " " + since.UTC().Format(time.RFC3339)
}

// fromStateTag reads a state. A time that cannot be read is none.
func fromStateTag(text string) (plan.State, time.Time) {
	state, at, _ := strings.Cut(text, " ")
	since, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return plan.State(state), time.Time{}
	}
	return plan.State(state), since.UTC()
}

// oursAmong gives the keys of ours that an agent bears, sorted.
func oursAmong(tags map[string]string) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if strings.HasPrefix(key, ours) {
			keys = append(keys, key)
		}
	}
	return keys
}
