package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
)

func has(fields []plan.Field, f plan.Field) bool { return slices.Contains(fields, f) }

// putName writes the names into what there is of the person's identity: it is not
// documented whether what such a request lacks is kept.
func (d *doing) putName(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	first, last := name(want.FirstName, maxFirstName), name(want.LastName, maxLastName)
	info := types.UserIdentityInfo{}
	if d.user.IdentityInfo != nil {
		info = *d.user.IdentityInfo
	}
	if !has(fields, plan.FieldName) || aws.ToString(info.FirstName) == first && aws.ToString(info.LastName) == last {
		return nil
	}
	info.FirstName, info.LastName = &first, &last
	in := &awsconnect.UpdateUserIdentityInfoInput{InstanceId: &d.instance, UserId: &d.agent, IdentityInfo: &info}
	return d.write(ctx, "UpdateUserIdentityInfo", func() error {
		_, err := d.api.UpdateUserIdentityInfo(ctx, in, d.watch)
		return err
	})
}

func (d *doing) putRouting(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	if !has(fields, plan.FieldRouting) || aws.ToString(d.user.RoutingProfileId) == want.RoutingProfile {
		return nil
	}
	in := &awsconnect.UpdateUserRoutingProfileInput{InstanceId: &d.instance, UserId: &d.agent, RoutingProfileId: &want.RoutingProfile}
	return d.write(ctx, "UpdateUserRoutingProfile", func() error {
		_, err := d.api.UpdateUserRoutingProfile(ctx, in, d.watch)
		return err
	})
}

func (d *doing) putSecurity(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	if !has(fields, plan.FieldSecurity) || slices.Equal(sorted(d.user.SecurityProfileIds), sorted(want.SecurityProfiles)) {
		return nil
	}
	in := &awsconnect.UpdateUserSecurityProfilesInput{InstanceId: &d.instance, UserId: &d.agent, SecurityProfileIds: sorted(want.SecurityProfiles)}
	return d.write(ctx, "UpdateUserSecurityProfiles", func() error {
		_, err := d.api.UpdateUserSecurityProfiles(ctx, in, d.watch)
		return err
	})
}

func sorted(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// putHierarchy puts the agent into a hierarchy group, or by a request without one
// into none. Source: the Terraform provider for AWS, which does so.
func (d *doing) putHierarchy(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	if !has(fields, plan.FieldHierarchy) || aws.ToString(d.user.HierarchyGroupId) == want.Hierarchy {
		return nil
	}
	in := &awsconnect.UpdateUserHierarchyInput{InstanceId: &d.instance, UserId: &d.agent, HierarchyGroupId: some(want.Hierarchy)}
	return d.write(ctx, "UpdateUserHierarchy", func() error {
		_, err := d.api.UpdateUserHierarchy(ctx, in, d.watch)
		return err
	})
}

func (d *doing) putSkills(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	if !has(fields, plan.FieldProficiencies) {
		return nil
	}
	return d.putProficiencies(ctx, want.Proficiencies)
}

// putHandling writes how the agent takes contacts with one call. UpdateUserConfig
// can say all of it, so UpdateUserPhoneConfig, which says less and changes all
// channels at once, is not used.
func (d *doing) putHandling(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	in := &awsconnect.UpdateUserConfigInput{InstanceId: &d.instance, UserId: &d.agent}
	if !handlingOf(d.user).update(in, want, fields) {
		return nil
	}
	return d.write(ctx, "UpdateUserConfig", func() error {
		_, err := d.api.UpdateUserConfig(ctx, in, d.watch)
		return err
	})
}

// differing gives the fields in which the two differ, but for what our tags say.
func differing(a, b *plan.Agent) []plan.Field {
	var fields []plan.Field
	for _, f := range plan.Fields() {
		if !sameField(f, a, b) {
			fields = append(fields, f)
		}
	}
	return fields
}

func sameField(f plan.Field, a, b *plan.Agent) bool {
	channels := func(equal func(a, b plan.Handled) bool) bool {
		return !slices.ContainsFunc(others, func(c plan.Channel) bool { return !equal(a.Channels[c], b.Channels[c]) })
	}
	switch f {
	case plan.FieldName:
		return a.FirstName == b.FirstName && a.LastName == b.LastName
	case plan.FieldRouting:
		return a.RoutingProfile == b.RoutingProfile
	case plan.FieldSecurity:
		return slices.Equal(sorted(a.SecurityProfiles), sorted(b.SecurityProfiles))
	case plan.FieldHierarchy:
		return a.Hierarchy == b.Hierarchy
	case plan.FieldProficiencies:
		return train(a.Proficiencies, b.Proficiencies).none()
	case plan.FieldPhone:
		return samePhone(a.Phone, b.Phone) && a.Phone.Persistent == b.Phone.Persistent
	case plan.FieldAutoAccept:
		return a.Phone.AutoAccept == b.Phone.AutoAccept &&
			channels(func(a, b plan.Handled) bool { return a.AutoAccept == b.AutoAccept })
	case plan.FieldAfterWork:
		return a.Phone.AfterContactWork == b.Phone.AfterContactWork &&
			channels(func(a, b plan.Handled) bool { return a.AfterContactWork == b.AfterContactWork })
	case plan.FieldEnhancement:
		return a.Phone.Enhancement == b.Phone.Enhancement
	case plan.FieldTags:
		return maps.Equal(a.Tags, b.Tags)
	}
	return true
}

// Limits of an agent. Source: Amazon Connect API.
const (
	maxFirstName        = 255
	maxLastName         = 300
	maxSecurityProfiles = 10
	maxAfterContactWork = 2_000_000 // seconds
	maxSkill            = 100
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// check finds what is wrong with a change before anything is sent.
func (d *doing) check() error {
	c := &d.change
	fault := func(why string) error { return fmt.Errorf("%s agent %s: %s", c.Action, c.Agent, why) }
	if c.Person == "" {
		return fault("the change is for nobody")
	}
	if c.Action != plan.Create && c.Agent == "" {
		return fault("the change does not name the agent")
	}
	d.hide()
	switch c.Action {
	case plan.Create:
		return d.checkNew(c.After)
	case plan.Replace:
		if c.Before == nil || c.Parked == nil {
			return fault("the change does not say what becomes of the old agent")
		}
		if err := d.checkFields(c.Parked, append(differing(c.Before, c.Parked), plan.FieldOwnership)); err != nil {
			return err
		}
		return d.checkNew(c.After)
	case plan.Adopt:
		return d.checkFields(c.After, []plan.Field{plan.FieldOwnership})
	case plan.Update, plan.Suspend, plan.Resume:
		return d.checkFields(c.After, c.Fields)
	case plan.Release, plan.Delete:
		return nil
	}
	return fault("this version does not know such an action")
}

func (d *doing) checkNew(a *plan.Agent) error {
	if a == nil {
		return errors.New("create an agent: the change says nothing about it")
	}
	if fault := plan.UsernameFault(a.Username); fault != "" {
		return fmt.Errorf("create an agent: %s", fault)
	}
	return d.checkFields(a, append(plan.Fields(), plan.FieldOwnership))
}

// checkFields holds what is to be written to what Amazon Connect takes.
func (d *doing) checkFields(a *plan.Agent, fields []plan.Field) error {
	if a == nil {
		return fmt.Errorf("%s agent %s: the change does not say what it becomes", d.change.Action, d.change.Agent)
	}
	for _, f := range fields {
		if fault := d.faultOf(f, a); fault != "" {
			return fmt.Errorf("%s an agent: %s", d.change.Action, fault)
		}
	}
	return nil
}

func (d *doing) faultOf(f plan.Field, a *plan.Agent) string {
	switch f {
	case plan.FieldName:
		if name(a.FirstName, maxFirstName) == "" || name(a.LastName, maxLastName) == "" {
			return "a first and a last name are needed"
		}
	case plan.FieldRouting:
		if a.RoutingProfile == "" {
			return "a routing profile is needed"
		}
	case plan.FieldSecurity:
		if n := len(sorted(a.SecurityProfiles)); n < 1 || n > maxSecurityProfiles || slices.Contains(a.SecurityProfiles, "") {
			return fmt.Sprintf("an agent has 1 to %d security profiles, not %d", maxSecurityProfiles, n)
		}
	case plan.FieldProficiencies:
		return faultOfSkills(a.Proficiencies)
	case plan.FieldPhone:
		if a.Phone.DeskNumber != "" && !e164.MatchString(a.Phone.DeskNumber) {
			return "the number of a desk phone begins with + and the country code, and has 2 to 15 digits"
		}
	case plan.FieldAfterWork:
		seconds := []int{a.Phone.AfterContactWork}
		for _, handled := range a.Channels {
			seconds = append(seconds, handled.AfterContactWork)
		}
		if low, high := slices.Min(seconds), slices.Max(seconds); low < 0 || high > maxAfterContactWork {
			return fmt.Sprintf("after-contact work takes 0 to %d seconds, not %d to %d", maxAfterContactWork, low, high)
		}
	case plan.FieldEnhancement:
		if a.Phone.Enhancement != "" && toEnhancement[a.Phone.Enhancement] == "" {
			return fmt.Sprintf("there is no voice enhancement %q", a.Phone.Enhancement)
		}
	case plan.FieldTags:
		return faultOfTags(a.Tags)
	case plan.FieldOwnership:
		return d.faultOfOwnership(a)
	}
	return ""
}

func faultOfSkills(list []plan.Proficiency) string {
	for n, p := range list {
		outside := func(s string) bool { return s == "" || utf8.RuneCountInString(s) > maxSkill }
		twice := func(o plan.Proficiency) bool { return o.Attribute == p.Attribute && o.Value == p.Value }
		switch {
		case outside(p.Attribute), outside(p.Value):
			return fmt.Sprintf("a proficiency is named by 1 to %d characters", maxSkill)
		case p.Level < 1 || p.Level > 5:
			return fmt.Sprintf("the level of a proficiency is 1 to 5, not %d", p.Level)
		case slices.ContainsFunc(list[:n], twice):
			return fmt.Sprintf("the proficiency %s %s has two levels", p.Attribute, p.Value)
		}
	}
	return ""
}

func faultOfTags(tags map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case strings.HasPrefix(key, ours):
			return fmt.Sprintf("the tag %s is not to be given, since such tags tell whose an agent is", key)
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || tagTooLong(tags[key]):
			return fmt.Sprintf("the tag %q does not fit: a key has 1 to %d characters and a value at most %d", key, maxTagKey, maxTagValue)
		}
	}
	if len(tags) > maxTags-len(tagAnswers)-4 {
		return fmt.Sprintf("an agent has at most %d tags, ours among them, and not %d others", maxTags, len(tags))
	}
	return ""
}

func (d *doing) faultOfOwnership(a *plan.Agent) string {
	switch {
	case a.Owner == "" || a.Owner != d.change.Person:
		return "the agent must belong to the person whom the change is for"
	case a.Deployment != d.deployment:
		return fmt.Sprintf("the agent is for the deployment %q, not for %q", a.Deployment, d.deployment)
	case a.State == "":
		return "the agent has no state"
	}
	for key, text := range ownership(a) {
		if tagTooLong(text) {
			return fmt.Sprintf("the tag %s holds at most %d characters", key, maxTagValue)
		}
	}
	return ""
}
