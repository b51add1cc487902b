package connect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Agent reads one agent by DescribeUser, and its proficiencies where Config says
// that they are wanted.
func (i *Instance) Agent(ctx context.Context, id string) (plan.Agent, error) {
	instance, err := i.id.get(ctx)
	if err != nil {
		return plan.Agent{}, aboutInstance(err)
	}
	user, err := i.describe(ctx, instance, id)
	if err != nil {
		return plan.Agent{}, err
	}
	a := fromUser(user)
	if i.reads.Proficiencies {
		a.Proficiencies, err = i.proficiencies(ctx, instance, id)
	}
	return a, err
}

// describe reads a user. ErrNotFound means that there is none.
func (i *Instance) describe(ctx context.Context, instance, id string) (*types.User, error) {
	out, err := i.api.DescribeUser(ctx, &awsconnect.DescribeUserInput{InstanceId: &instance, UserId: &id})
	if err != nil {
		err = classify("DescribeUser", err)
		if errors.Is(err, errNoResource) {
			return nil, fmt.Errorf("agent %s: %w", id, reconcile.ErrNotFound)
		}
		return nil, err
	}
	if out.User == nil || aws.ToString(out.User.Id) == "" {
		return nil, errors.New("DescribeUser: the answer tells nothing about the agent")
	}
	return out.User, nil
}

// pageSize is the most that SearchUsers gives at once.
const pageSize = 500

// Agents searches for the tag of this deployment, and before that once for each
// of the skills. That a search matches is not taken on trust: the tags of each
// agent are compared again.
func (i *Instance) Agents(ctx context.Context, skills []plan.Proficiency) iter.Seq2[plan.Agent, error] {
	return func(yield func(plan.Agent, error) bool) {
		skilled, err := i.skilled(ctx, skills)
		if err != nil {
			yield(plan.Agent{}, fmt.Errorf("list the agents by their proficiencies: %w", err))
			return
		}
		enough := errors.New("the caller has enough")
		err = i.walkAgents(ctx, nil, func(a plan.Agent) error {
			a.Proficiencies = skilled[a.ID]
			if !yield(a, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(plan.Agent{}, fmt.Errorf("list the agents: %w", err))
		}
	}
}

// walkAgents reads the agents of this deployment that meet the criteria, each
// once.
func (i *Instance) walkAgents(ctx context.Context, criteria *types.UserSearchCriteria, visit func(plan.Agent) error) error {
	filter := &types.UserSearchFilter{TagFilter: &types.ControlPlaneTagFilter{
		TagCondition: &types.TagCondition{TagKey: new(tagDeployment), TagValue: &i.deployment},
	}}
	seen := make(map[string]bool)
	return walk(func(token *string) (*string, error) {
		rows, next, err := i.search(ctx, awsconnect.SearchUsersInput{SearchCriteria: criteria, SearchFilter: filter, NextToken: token})
		if err != nil {
			return nil, err
		}
		for _, a := range rows {
			// A list that shifts between two pages shows an agent twice.
			if a.Deployment != i.deployment || seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			if err := visit(a); err != nil {
				return nil, err
			}
		}
		return next, nil
	})
}

// search reads one page of SearchUsers.
func (i *Instance) search(ctx context.Context, input awsconnect.SearchUsersInput, private ...string) ([]plan.Agent, *string, error) {
	instance, err := i.id.get(ctx)
	if err != nil {
		return nil, nil, aboutInstance(err)
	}
	input.InstanceId, input.MaxResults = &instance, new(int32(pageSize))
	out, err := i.api.SearchUsers(ctx, &input)
	if err != nil {
		err = classify("SearchUsers", err, private...)
		if errors.Is(err, errNoResource) {
			return nil, nil, aboutInstance(err)
		}
		return nil, nil, err
	}
	if out.Users == nil && out.ApproximateTotalCount == nil {
		return nil, nil, errors.New("SearchUsers: the answer holds neither agents nor their number")
	}
	rows := make([]plan.Agent, 0, len(out.Users))
	for n := range out.Users {
		a := fromSearch(&out.Users[n])
		if a.ID == "" {
			return nil, nil, errors.New("SearchUsers: the answer holds an agent without an id")
		}
		rows = append(rows, a)
	}
	return rows, out.NextToken, nil
}

// Holder searches for the username as it is written. Whether such a search tells
// upper and lower case apart is not documented, so where it finds nobody a
// second one asks for the ways in which a name is usually written, and for names
// that contain it. The first page is enough: a username is nearly always long
// enough for few others to contain it, and finding nobody proves nothing.
func (i *Instance) Holder(ctx context.Context, username string) (plan.Agent, error) {
	agents, _, err := i.search(ctx, awsconnect.SearchUsersInput{SearchCriteria: usernameIs(types.StringComparisonTypeExact, username)}, username)
	if err != nil {
		return plan.Agent{}, err
	}
	if a, ok := holder(agents, username); ok {
		return a, nil
	}
	criteria := usernameIs(types.StringComparisonTypeContains, plan.Fold(username))
	spellings := []types.UserSearchCriteria{*criteria}
	for _, spelling := range []string{plan.Fold(username), strings.ToUpper(username), capitalised(username)} {
		spellings = append(spellings, *usernameIs(types.StringComparisonTypeExact, spelling))
	}
	agents, _, err = i.search(ctx, awsconnect.SearchUsersInput{SearchCriteria: &types.UserSearchCriteria{OrConditions: spellings}}, username)
	if reconcile.IsTerminal(err) {
		// Such a search is more than some service may take; the first one counts.
		i.log.Debug("search for other spellings of a username refused", "error", err)
		agents, err = nil, nil
	}
	if err != nil {
		return plan.Agent{}, err
	}
	if a, ok := holder(agents, username); ok {
		return a, nil
	}
	return plan.Agent{}, fmt.Errorf("find an agent by its username: %w", reconcile.ErrNotFound)
}

func usernameIs(comparison types.StringComparisonType, username string) *types.UserSearchCriteria {
	return &types.UserSearchCriteria{StringCondition: &types.StringCondition{
		FieldName: new("Username"), ComparisonType: comparison, Value: &username,
	}}
}

// capitalised writes the words of a username before its @ with a capital.
func capitalised(username string) string {
	b := []byte(plan.Fold(username))
	start := true
	for n, c := range b {
		switch {
		case c == '@':
			return string(b)
		case start && c >= 'a' && c <= 'z':
			b[n] = c - 'a' + 'A'
		}
		start = c == '.' || c == '_' || c == '-'
	}
	return string(b)
}

// holder picks the agent of a username: the one that has it to the letter, or
// else one that has it but for case, of several the one with the smallest id.
func holder(agents []plan.Agent, username string) (found plan.Agent, ok bool) {
	for _, a := range agents {
		if a.Username == username {
			return a, true
		}
		if plan.Fold(a.Username) == plan.Fold(username) && (!ok || a.ID < found.ID) {
			found, ok = a, true
		}
	}
	return found, ok
}
