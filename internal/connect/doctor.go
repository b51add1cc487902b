package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/doctor"
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// Wanted is what an instance must offer and allow for a configuration to work.
type Wanted struct {
	RoutingProfiles  []string
	SecurityProfiles []string
	Hierarchy        []string
	Attributes       map[string][]string // values by predefined attribute

	// Agent has the profiles that a new agent gets, named as in the configuration,
	// to find out whether one may be created with them. Nil: none is to be.
	Agent *plan.Agent

	Suspends bool // agents of leavers are suspended
	Deletes  bool // and deleted later
	Waits    bool // for contacts

	// Clock judges by how much this machine's clock is ahead of AWS's.
	Clock func(ahead time.Duration) doctor.Finding
}

// Room is how many more users an instance takes, as far as Checks found out.
type Room struct {
	Known bool
	Left  int
}

// Checks gives what can be looked at in an instance. The checks share what they
// read, so they are to be run in their order. Nothing is written: what is allowed
// is found out by reading, and by one call of CreateUser that cannot succeed,
// since its username is none. Room is filled in on the way.
func (i *Instance) Checks(want Wanted, room *Room) []doctor.Check {
	v := &visit{Instance: i, want: want, room: room}
	const credentials, reach, permissions = "aws credentials", "connect instance", "connect permissions"
	check := func(name string, run func(context.Context) []doctor.Finding, needs ...string) doctor.Check {
		c := doctor.Check{Name: name, About: i.label, Needs: needs, Run: run}
		c.Hint = remedy.For(c.Code()).Do
		return c
	}
	clock := check("clock", v.clock, reach)
	clock.About = strings.TrimSpace("aws " + i.label)
	clock.Needs = nil // its answer comes with any answer at all
	return []doctor.Check{
		check("simulators", v.simulated),
		check(credentials, v.keys),
		check(reach, v.reach, credentials),
		clock,
		check("connect identity", v.identity, reach),
		check(permissions, v.permissions, reach, "connect identity"),
		check("connect catalog", v.offers, permissions),
		check("connect quota", v.quota, permissions),
	}
}

// visit is a run of the checks.
type visit struct {
	*Instance
	want Wanted
	room *Room

	id     string
	arn    string
	info   Info
	reason *types.InstanceStatusReason
	ahead  *time.Duration // of AWS's clock; nil: not known
}

func (v *visit) simulated(context.Context) []doctor.Finding {
	if v.endpoint == "" {
		return nil
	}
	where := v.endpoint
	if u, err := url.Parse(v.endpoint); err == nil {
		where = u.Redacted()
		ip, err := netip.ParseAddr(u.Hostname())
		if err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost") {
			return []doctor.Finding{doctor.Warning("Amazon Connect is a program on this machine, at %s, set by %s", where, v.endpointBy)}
		}
	}
	return []doctor.Finding{doctor.Warning("calls to Amazon Connect go to %s, set by %s", where, v.endpointBy)}
}

func (v *visit) keys(ctx context.Context) []doctor.Finding {
	found, err := v.credentials.Retrieve(ctx)
	switch {
	case err != nil:
		return []doctor.Finding{doctor.Failure("%s", err).As("aws_keys")}
	case found.Expired():
		return []doctor.Finding{doctor.Failure("they have expired at %s", found.Expires.UTC().Format(time.RFC3339)).As("aws_keys")}
	case found.CanExpire:
		return []doctor.Finding{doctor.Okay("from %s, valid until %s", found.Source, found.Expires.UTC().Format(time.RFC3339))}
	}
	return []doctor.Finding{doctor.Okay("from %s", found.Source)}
}

func (v *visit) reach(ctx context.Context) []doctor.Finding {
	var err error
	if v.id, err = v.Instance.id.get(ctx); err != nil {
		return []doctor.Finding{failed(err)}
	}
	sent := time.Now()
	out, err := v.api.DescribeInstance(ctx, &awsconnect.DescribeInstanceInput{InstanceId: &v.id})
	if err != nil {
		err = classify("DescribeInstance", err)
		if errors.Is(err, errNoResource) {
			err = remedy.Mark("instance_missing", fmt.Errorf("there is no instance %s in the region %s of this account: %w", v.id, v.region, err))
		}
		return []doctor.Finding{failed(err)}
	}
	if out.Instance == nil {
		return []doctor.Finding{doctor.Failure("DescribeInstance: the answer tells nothing about the instance")}
	}
	if server, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		ahead := server.Sub(sent.Add(time.Since(sent) / 2))
		v.ahead = &ahead
	}
	v.info, v.reason, v.arn = v.Instance.info(out.Instance), out.Instance.StatusReason, aws.ToString(out.Instance.Arn)
	// Its identity is another check's; here it counts whether it is there.
	there := v.info
	there.Identity = string(types.DirectoryTypeSaml)
	if err := usable(there, v.reason); err != nil {
		return []doctor.Finding{failed(err).As("instance_unusable")}
	}
	return []doctor.Finding{doctor.Okay("%s (%s) in %s is active", v.info.ID, cmp.Or(v.info.Alias, "without an alias"), v.region)}
}

// failed makes a finding of an error, with what the catalogue says to do about it.
func failed(err error) doctor.Finding {
	f := doctor.Failure("%s", err)
	if code := remedy.CodeOf(err); code != "" {
		f = f.As(code).Todo("%s", remedy.For(code).Do)
	}
	return f
}

func (v *visit) clock(context.Context) []doctor.Finding {
	if v.ahead == nil || v.want.Clock == nil {
		return nil
	}
	return []doctor.Finding{v.want.Clock(-*v.ahead)}
}

func (v *visit) identity(context.Context) []doctor.Finding {
	if err := usable(v.info, v.reason); err != nil {
		return []doctor.Finding{doctor.Failure("%s", err)}
	}
	return []doctor.Finding{doctor.Okay("%s", v.info.Identity)}
}

// permissions makes each kind of reading call once, and one call of CreateUser
// that cannot succeed. Whether agents may be changed cannot be told without
// changing one, since policies speak of the tags of the agent.
func (v *visit) permissions(ctx context.Context) []doctor.Finding {
	one := new(int32(1))
	var ours string
	probes := []struct {
		operation string
		needed    bool
		call      func() error
	}{
		{"ListRoutingProfiles", true, func() error {
			_, err := v.api.ListRoutingProfiles(ctx, &awsconnect.ListRoutingProfilesInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"ListSecurityProfiles", true, func() error {
			_, err := v.api.ListSecurityProfiles(ctx, &awsconnect.ListSecurityProfilesInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"SearchUsers", true, func() error {
			id, err := v.anyOfOurs(ctx)
			ours = id
			return err
		}},
		{"DescribeUser", true, func() error {
			if ours == "" {
				return errUntold
			}
			_, err := v.api.DescribeUser(ctx, &awsconnect.DescribeUserInput{InstanceId: &v.id, UserId: &ours})
			return err
		}},
		{"ListUserProficiencies", v.reads.Proficiencies, func() error {
			if ours == "" {
				return errUntold
			}
			_, err := v.api.ListUserProficiencies(ctx, &awsconnect.ListUserProficienciesInput{InstanceId: &v.id, UserId: &ours, MaxResults: one})
			return err
		}},
		{"SearchUserHierarchyGroups", v.reads.Hierarchy, func() error {
			_, err := v.api.SearchUserHierarchyGroups(ctx, &awsconnect.SearchUserHierarchyGroupsInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"SearchPredefinedAttributes", v.reads.Proficiencies, func() error {
			_, err := v.api.SearchPredefinedAttributes(ctx, &awsconnect.SearchPredefinedAttributesInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"ListAgentStatuses", v.want.Suspends, func() error {
			_, err := v.api.ListAgentStatuses(ctx, &awsconnect.ListAgentStatusesInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"SearchQuickConnects", v.want.Deletes, func() error {
			_, err := v.api.SearchQuickConnects(ctx, &awsconnect.SearchQuickConnectsInput{InstanceId: &v.id, MaxResults: one})
			return err
		}},
		{"GetCurrentUserData", v.want.Waits, func() error {
			if ours == "" {
				return errUntold
			}
			_, err := v.api.GetCurrentUserData(ctx, &awsconnect.GetCurrentUserDataInput{InstanceId: &v.id, Filters: &types.UserDataFilters{Agents: []string{ours}}, MaxResults: one})
			return err
		}},
		{"CreateUser", v.want.Agent != nil, func() error { return v.wouldCreate(ctx) }},
	}
	var out []doctor.Finding
	var allowed []string
	for _, p := range probes {
		if !p.needed {
			continue
		}
		err := p.call()
		switch {
		case errors.Is(err, errUntold):
		case err == nil, read(err).quota(), read(err).rejected() && !read(err).refused():
			allowed = append(allowed, p.operation)
		case read(err).throttled():
			f := failed(classify(p.operation, err))
			f.State = doctor.Warn
			out = append(out, f)
		default:
			out = append(out, failed(classify(p.operation, err)))
		}
		if ctx.Err() != nil {
			return out
		}
	}
	if len(allowed) > 0 {
		out = append(out, doctor.Okay("it allows %s", strings.Join(allowed, ", ")))
	}
	return out
}

// errUntold says that nothing can be found out about an operation.
var errUntold = errors.New("there is nothing to try it on")

// anyOfOurs gives an agent of this deployment; empty: there is none.
func (v *visit) anyOfOurs(ctx context.Context) (string, error) {
	out, err := v.api.SearchUsers(ctx, &awsconnect.SearchUsersInput{InstanceId: &v.id, MaxResults: new(int32(1)), SearchFilter: &types.UserSearchFilter{
		TagFilter: &types.ControlPlaneTagFilter{TagCondition: &types.TagCondition{TagKey: new(tagDeployment), TagValue: &v.deployment}},
	}})
	if err != nil || len(out.Users) == 0 {
		return "", err
	}
	return aws.ToString(out.Users[0].Id), nil
}

// noUsername can be no username: it is longer than one may be, and of spaces.
// Source: Amazon Connect API, CreateUser.
var noUsername = strings.Repeat(" ", 101)

// wouldCreate asks for an agent that cannot be, with the profiles and tags of a
// real one, which is what policies look at. Rights are looked at first.
func (v *visit) wouldCreate(ctx context.Context) error {
	catalog, err := v.Catalog(ctx)
	if err != nil {
		return errUntold // told of as another operation
	}
	a := *v.want.Agent
	var ok bool
	if a.RoutingProfile, ok = catalog.RoutingProfiles.Find(a.RoutingProfile); !ok {
		return errUntold
	}
	a.SecurityProfiles = slices.Clone(a.SecurityProfiles)
	for n, ref := range a.SecurityProfiles {
		if a.SecurityProfiles[n], ok = catalog.SecurityProfiles.Find(ref); !ok {
			return errUntold
		}
	}
	if len(a.SecurityProfiles) == 0 {
		return errUntold
	}
	a.Username, a.FirstName, a.LastName = noUsername, "connectroster", "doctor"
	a.Owner, a.Deployment, a.State = "doctor", v.deployment, plan.StateActive
	d := &doing{Instance: v.Instance, instance: v.id}
	made, err := v.api.CreateUser(ctx, d.createInput(&a), once)
	if err == nil {
		return fmt.Errorf("an agent was created that cannot be: delete agent %s", aws.ToString(made.UserId))
	}
	return err
}

// offers compares what the configuration names with what the instance has.
func (v *visit) offers(ctx context.Context) []doctor.Finding {
	catalog, err := v.Refresh(ctx)
	if err != nil {
		return []doctor.Finding{failed(err)}
	}
	var out []doctor.Finding
	named := 0
	lacks := func(what string, refs []string, offer plan.Offer) {
		for _, ref := range refs {
			named++
			if _, ok := offer.Find(ref); !ok {
				out = append(out, doctor.Failure("there is no %s %q%s", what, ref, offered(ref, slices.Collect(maps.Keys(offer)))).As("profile_unknown"))
			}
		}
	}
	lacks("routing profile", v.want.RoutingProfiles, catalog.RoutingProfiles)
	lacks("security profile", v.want.SecurityProfiles, catalog.SecurityProfiles)
	lacks("hierarchy group", v.want.Hierarchy, catalog.Hierarchy)
	for _, attribute := range slices.Sorted(maps.Keys(v.want.Attributes)) {
		named++
		values, ok := catalog.Attributes[attribute]
		if !ok {
			out = append(out, doctor.Failure("there is no predefined attribute %q%s", attribute, offered(attribute, slices.Collect(maps.Keys(catalog.Attributes)))).As("profile_unknown"))
			continue
		}
		for _, value := range v.want.Attributes[attribute] {
			if !slices.Contains(values, value) {
				out = append(out, doctor.Failure("the predefined attribute %q has no value %q%s", attribute, value, offered(value, values)).As("profile_unknown"))
			}
		}
	}
	if len(out) == 0 {
		out = append(out, doctor.Okay("all %d that are named are there", named))
	}
	return out
}

// offered says what there is instead: the one that was probably meant, or all if
// they are few.
func offered(ref string, there []string) string {
	slices.Sort(there)
	for _, name := range there {
		if strings.EqualFold(strings.TrimSpace(ref), name) {
			return fmt.Sprintf("; there is %q", name)
		}
	}
	if len(there) == 0 || len(there) > 8 {
		return ""
	}
	return fmt.Sprintf("; there are %q", there)
}

// quota counts the users of the instance and asks how many there may be.
func (v *visit) quota(ctx context.Context) []doctor.Finding {
	out, err := v.api.SearchUsers(ctx, &awsconnect.SearchUsersInput{InstanceId: &v.id, MaxResults: new(int32(1))})
	switch {
	case err != nil:
		return []doctor.Finding{failed(classify("SearchUsers", err))}
	case out.ApproximateTotalCount == nil:
		return []doctor.Finding{doctor.Okay("Amazon Connect does not tell how many users there are")}
	}
	users := int(*out.ApproximateTotalCount)
	have := fmt.Sprintf("%d users", users)
	if users == 1 {
		have = "1 user"
	}
	most, err := v.userQuota(ctx)
	if err != nil {
		return []doctor.Finding{doctor.Okay("%s; how many there may be is not told: %s", have, err)}
	}
	left := max(most-users, 0)
	*v.room = Room{Known: true, Left: left}
	switch {
	case left == 0:
		return []doctor.Finding{doctor.Failure("%s, and the quota is %d: nobody can be added", have, most).As("connect_quota_full")}
	case left*10 < most:
		return []doctor.Finding{doctor.Warning("%s of %d: %d are left", have, most, left)}
	}
	return []doctor.Finding{doctor.Okay("%s of %d: %d are left", have, most, left)}
}
