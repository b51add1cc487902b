package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Apply makes one change. Before the first write to an agent that exists it reads
// the agent, once, and writes nothing to one that is not the person's any more.
// What the agent has already is not written again, so a change that was cut short
// is finished by applying it again, and so it is by the change that the next look
// works out.
//
// A Terminal or an After error says that nothing was done, with one exception: a
// change that was throttled, or did not get its turn, on its way is After too,
// since waiting is all that it needs. Not so once it has created an agent: then
// every error leaves open what was done, and the id is given along with it.
func (i *Instance) Apply(ctx context.Context, change plan.Change) (id string, err error) {
	d := &doing{Instance: i, change: change, agent: change.Agent}
	if err := d.check(); err != nil {
		return "", reconcile.Terminal(err)
	}
	if d.instance, err = i.id.get(ctx); err != nil {
		return "", beforeSending(aboutInstance(err))
	}
	switch change.Action {
	case plan.Create:
		id, err = d.create(ctx)
	case plan.Replace:
		id, err = d.replace(ctx)
	case plan.Adopt, plan.Update, plan.Resume:
		id, err = change.Agent, d.update(ctx)
	case plan.Suspend:
		id, err = change.Agent, d.suspend(ctx)
	case plan.Release:
		id, err = change.Agent, d.release(ctx)
	case plan.Delete:
		id, err = change.Agent, d.remove(ctx)
	}
	if err = d.judge(err); err != nil && !d.created {
		return "", err
	}
	return id, err
}

// create makes an agent with one call, which is never sent twice: CreateUser has
// no idempotency token, so only its caller can find out what became of a call
// whose answer is lost. What CreateUser does not take comes after it. Until the
// agent has it, its tags say that it is being created: so one that is half-made is
// known, and finished, whatever the policy and the authority of its fields.
func (d *doing) create(ctx context.Context) (string, error) {
	want := d.change.After
	made := *want
	if len(want.Proficiencies) > 0 {
		made.State = plan.StateCreating
	}
	input := d.createInput(&made)
	var arn *string
	err := d.write(ctx, "CreateUser", func() error {
		out, err := d.api.CreateUser(ctx, input, once, d.watch)
		if err == nil {
			d.agent, arn = aws.ToString(out.UserId), out.UserArn
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if d.agent == "" {
		return "", errors.New("CreateUser: the answer does not name the new agent")
	}
	d.created = true
	if made.State == want.State {
		return d.agent, nil
	}
	if err := d.putProficiencies(ctx, want.Proficiencies); err != nil {
		return d.agent, err
	}
	d.user = &types.User{Id: &d.agent, Arn: arn, Tags: input.Tags}
	return d.agent, d.putTags(ctx, want, []plan.Field{plan.FieldOwnership})
}

// createInput writes the request for a new agent. E-mail is left out: with SAML
// the service may refuse it.
func (d *doing) createInput(a *plan.Agent) *awsconnect.CreateUserInput {
	first, last := name(a.FirstName, maxFirstName), name(a.LastName, maxLastName)
	input := &awsconnect.CreateUserInput{
		InstanceId:         &d.instance,
		Username:           &a.Username,
		IdentityInfo:       &types.UserIdentityInfo{FirstName: &first, LastName: &last},
		RoutingProfileId:   &a.RoutingProfile,
		SecurityProfileIds: sorted(a.SecurityProfiles),
		HierarchyGroupId:   some(a.Hierarchy),
		Tags:               ownership(a),
	}
	for key, text := range a.Tags {
		input.Tags[key] = text
	}
	handling{}.create(input, a)
	return input
}

// replace retires the old agent and makes the new one, in this order: the person
// never has two that can be used.
func (d *doing) replace(ctx context.Context) (string, error) {
	if err := d.open(ctx); err != nil {
		return "", err
	}
	fields := append(differing(d.change.Before, d.change.Parked), plan.FieldOwnership)
	if err := d.put(ctx, d.change.Parked, fields, removing); err != nil {
		return "", err
	}
	return d.create(ctx)
}

// update writes fields of an agent, or brings it back, or makes it ours. What
// says that this is done comes last.
func (d *doing) update(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	fields := d.change.Fields
	if d.change.Action == plan.Adopt {
		fields = []plan.Field{plan.FieldOwnership}
	}
	return d.put(ctx, d.change.After, fields, giving)
}

// suspend takes access away. What says so comes first, so that one who is
// suspended by half is found to be and suspended again. That an agent cannot be
// signed off the phones is no reason to call that undone.
func (d *doing) suspend(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.put(ctx, d.change.After, d.change.Fields, removing); err != nil {
		return err
	}
	err := d.signOff(ctx)
	if reconcile.IsTerminal(err) || errors.Is(err, errNoResource) {
		d.log.Warn("the agent is suspended, but keeps its status", "agent", d.agent, "error", err)
		return nil
	}
	return err
}

func (d *doing) signOff(ctx context.Context) error {
	status, err := d.offline.get(ctx)
	if err != nil {
		return d.beforeWriting(err)
	}
	in := &awsconnect.PutUserStatusInput{InstanceId: &d.instance, UserId: &d.agent, AgentStatusId: &status}
	err = d.write(ctx, "PutUserStatus", func() error {
		_, err := d.api.PutUserStatus(ctx, in, d.watch)
		return err
	})
	if errors.Is(err, errNoResource) {
		d.offline.drop()
	}
	return err
}

// readOffline finds the status of agents who are not at work.
func (i *Instance) readOffline(ctx context.Context) (string, error) {
	instance, err := i.id.get(ctx)
	if err != nil {
		return "", aboutInstance(err)
	}
	var id string
	err = walk(func(token *string) (*string, error) {
		out, err := i.api.ListAgentStatuses(ctx, &awsconnect.ListAgentStatusesInput{
			InstanceId: &instance, AgentStatusTypes: []types.AgentStatusType{types.AgentStatusTypeOffline},
			MaxResults: new(int32(listSize)), NextToken: token,
		})
		if err != nil {
			return nil, classify("ListAgentStatuses", err)
		}
		for _, s := range out.AgentStatusSummaryList {
			if id == "" && s.Type == types.AgentStatusTypeOffline {
				id = aws.ToString(s.Id)
			}
		}
		return out.NextToken, nil
	})
	if err == nil && id == "" {
		err = reconcile.Terminal(errors.New("the instance has no agent status of the type OFFLINE"))
	}
	return id, err
}

// release takes our tags off an agent and leaves it to others. One without them
// was released before.
func (d *doing) release(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	keys := oursAmong(d.user.Tags)
	if len(keys) == 0 {
		return nil
	}
	in := &awsconnect.UntagResourceInput{ResourceArn: d.user.Arn, TagKeys: keys}
	return d.write(ctx, "UntagResource", func() error {
		_, err := d.api.UntagResource(ctx, in, d.watch)
		return err
	})
}

// remove deletes an agent, after the quick connects that lead to it: they would
// stay as dead ends. Source: Amazon Connect API, DeleteUser. An agent that is not
// there is deleted.
func (d *doing) remove(ctx context.Context) error {
	err := d.open(ctx)
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	quick, err := d.quickConnects(ctx)
	if err != nil {
		return d.beforeWriting(err)
	}
	for _, id := range quick {
		in := &awsconnect.DeleteQuickConnectInput{InstanceId: &d.instance, QuickConnectId: &id}
		err := d.write(ctx, "DeleteQuickConnect", func() error {
			_, err := d.api.DeleteQuickConnect(ctx, in, d.watch)
			return err
		})
		if err != nil && !errors.Is(err, errNoResource) {
			return err
		}
	}
	err = d.write(ctx, "DeleteUser", func() error {
		_, err := d.api.DeleteUser(ctx, &awsconnect.DeleteUserInput{InstanceId: &d.instance, UserId: &d.agent}, d.watch)
		return err
	})
	if errors.Is(err, errNoResource) {
		return nil
	}
	return err
}

// quickSize is the most that SearchQuickConnects gives at once.
const quickSize = 100

// quickConnects finds those that lead to the agent. They cannot be searched for
// by it, so all of them are read.
func (d *doing) quickConnects(ctx context.Context) ([]string, error) {
	var ids []string
	err := walk(func(token *string) (*string, error) {
		out, err := d.api.SearchQuickConnects(ctx, &awsconnect.SearchQuickConnectsInput{
			InstanceId: &d.instance, MaxResults: new(int32(quickSize)), NextToken: token,
		})
		if err != nil {
			return nil, classify("SearchQuickConnects", err)
		}
		if out.QuickConnects == nil && out.ApproximateTotalCount == nil {
			return nil, errors.New("SearchQuickConnects: the answer holds neither quick connects nor their number")
		}
		for _, q := range out.QuickConnects {
			c := q.QuickConnectConfig
			if c == nil || c.QuickConnectType != types.QuickConnectTypeUser || c.UserConfig == nil {
				continue
			}
			if to := aws.ToString(c.UserConfig.UserId); to == d.agent || to == aws.ToString(d.user.Arn) {
				ids = append(ids, aws.ToString(q.QuickConnectId))
			}
		}
		return out.NextToken, nil
	})
	if errors.Is(err, errNoResource) {
		return nil, aboutInstance(err)
	}
	if err != nil {
		return nil, fmt.Errorf("find the quick connects of agent %s: %w", d.agent, err)
	}
	return ids, nil
}
