package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// skillsSize is the most that ListUserProficiencies gives at once.
const skillsSize = 100

// proficiencies reads those of an agent, sorted. ErrNotFound means that there is
// no such agent.
func (i *Instance) proficiencies(ctx context.Context, instance, id string) ([]plan.Proficiency, error) {
	var list []plan.Proficiency
	err := walk(func(token *string) (*string, error) {
		out, err := i.api.ListUserProficiencies(ctx, &awsconnect.ListUserProficienciesInput{
			InstanceId: &instance, UserId: &id, MaxResults: new(int32(skillsSize)), NextToken: token,
		})
		if err != nil {
			return nil, classify("ListUserProficiencies", err)
		}
		if out.UserProficiencyList == nil {
			return nil, errors.New("ListUserProficiencies: the answer holds no list")
		}
		for _, p := range out.UserProficiencyList {
			list = append(list, plan.Proficiency{
				Attribute: aws.ToString(p.AttributeName),
				Value:     aws.ToString(p.AttributeValue),
				Level:     int(math.Round(float64(aws.ToFloat32(p.Level)))),
			})
		}
		return out.NextToken, nil
	})
	if errors.Is(err, errNoResource) {
		return nil, fmt.Errorf("agent %s: %w", id, reconcile.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	sortSkills(list)
	return slices.Compact(list), nil
}

func sortSkills(list []plan.Proficiency) {
	slices.SortFunc(list, func(a, b plan.Proficiency) int {
		return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Level, b.Level))
	})
}

// skilled gives the skills of the agents of this deployment, by agent: no search
// shows the proficiencies of an agent, but each can be searched for.
func (i *Instance) skilled(ctx context.Context, skills []plan.Proficiency) (map[string][]plan.Proficiency, error) {
	skills = slices.Clone(skills)
	sortSkills(skills)
	skilled := make(map[string][]plan.Proficiency)
	for _, s := range slices.Compact(skills) {
		err := i.walkAgents(ctx, hasSkill(s), func(a plan.Agent) error {
			skilled[a.ID] = append(skilled[a.ID], s)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return skilled, nil
}

// hasSkill asks for the agents with one proficiency. All conditions of a
// ListCondition must hold of the same proficiency.
func hasSkill(s plan.Proficiency) *types.UserSearchCriteria {
	exactly := func(field, value string) types.Condition {
		return types.Condition{StringCondition: &types.StringCondition{
			FieldName: &field, Value: &value, ComparisonType: types.StringComparisonTypeExact,
		}}
	}
	level := int32(s.Level)
	return &types.UserSearchCriteria{ListCondition: &types.ListCondition{
		TargetListType: types.TargetListTypeProficiencies,
		Conditions: []types.Condition{
			exactly("name", s.Attribute),
			exactly("value", s.Value),
			{NumberCondition: &types.NumberCondition{
				FieldName: new("limit"), MinValue: &level, MaxValue: &level, ComparisonType: types.NumberComparisonTypeEqual,
			}},
		},
	}}
}

// The proficiencies to write, to make those of an agent the wanted ones. A level
// is changed by another call than a proficiency is given by.
type training struct{ drop, learn, change []plan.Proficiency }

func (t training) none() bool { return len(t.drop)+len(t.learn)+len(t.change) == 0 }

func train(have, want []plan.Proficiency) training {
	var t training
	find := func(list []plan.Proficiency, p plan.Proficiency) int {
		return slices.IndexFunc(list, func(o plan.Proficiency) bool { return o.Attribute == p.Attribute && o.Value == p.Value })
	}
	for _, p := range have {
		if find(want, p) < 0 {
			t.drop = append(t.drop, p)
		}
	}
	for _, p := range want {
		switch at := find(have, p); {
		case at < 0:
			t.learn = append(t.learn, p)
		case have[at].Level != p.Level:
			t.change = append(t.change, p)
		}
	}
	return t
}

func toSkills(list []plan.Proficiency) []types.UserProficiency {
	var out []types.UserProficiency
	for _, p := range list {
		out = append(out, types.UserProficiency{AttributeName: &p.Attribute, AttributeValue: &p.Value, Level: new(float32(p.Level))})
	}
	return out
}

func toDropped(list []plan.Proficiency) []types.UserProficiencyDisassociate {
	var out []types.UserProficiencyDisassociate
	for _, p := range list {
		out = append(out, types.UserProficiencyDisassociate{AttributeName: &p.Attribute, AttributeValue: &p.Value})
	}
	return out
}

// trainings is how often an agent's proficiencies are read and written until
// they are the wanted ones.
const trainings = 4

// putProficiencies makes the proficiencies of an agent the wanted ones, from what
// they are now. A call that is refused may have been made before, with its answer
// lost: whether it was shows when they are read again.
func (d *doing) putProficiencies(ctx context.Context, want []plan.Proficiency) error {
	var refused error
	var before []plan.Proficiency
	for range trainings {
		have, err := d.proficiencies(ctx, d.instance, d.agent)
		if errors.Is(err, reconcile.ErrNotFound) {
			return d.gone(err)
		}
		if err != nil {
			return d.beforeWriting(err)
		}
		t := train(have, want)
		if t.none() {
			return nil
		}
		if refused != nil && slices.Equal(before, have) {
			return refused
		}
		before = have
		refused = d.train(ctx, t)
		switch {
		case refused == nil:
			return nil
		case !reconcile.IsTerminal(refused):
			return refused
		}
	}
	return refused
}

// train writes proficiencies; those that go make room for those that come.
func (d *doing) train(ctx context.Context, t training) error {
	if len(t.drop) > 0 {
		in := &awsconnect.DisassociateUserProficienciesInput{InstanceId: &d.instance, UserId: &d.agent, UserProficiencies: toDropped(t.drop)}
		if err := d.write(ctx, "DisassociateUserProficiencies", func() error {
			_, err := d.api.DisassociateUserProficiencies(ctx, in, d.watch)
			return err
		}); err != nil {
			return err
		}
	}
	if len(t.learn) > 0 {
		in := &awsconnect.AssociateUserProficienciesInput{InstanceId: &d.instance, UserId: &d.agent, UserProficiencies: toSkills(t.learn)}
		if err := d.write(ctx, "AssociateUserProficiencies", func() error {
			_, err := d.api.AssociateUserProficiencies(ctx, in, d.watch)
			return err
		}); err != nil {
			return err
		}
	}
	if len(t.change) == 0 {
		return nil
	}
	in := &awsconnect.UpdateUserProficienciesInput{InstanceId: &d.instance, UserId: &d.agent, UserProficiencies: toSkills(t.change)}
	return d.write(ctx, "UpdateUserProficiencies", func() error {
		_, err := d.api.UpdateUserProficiencies(ctx, in, d.watch)
		return err
	})
}
