package connect

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
)

// Status is an agent status that the instance offers.
type Status struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	Type string `json:"type"` // ROUTABLE, CUSTOM or OFFLINE
}

// Offline tells whether agents who have the status are not at work.
func (s Status) Offline() bool { return s.Type == string(types.AgentStatusTypeOffline) }

// Statuses gives all agent statuses of the instance.
func (i *Instance) Statuses(ctx context.Context) ([]Status, error) {
	instance, err := i.id.get(ctx)
	if err != nil {
		return nil, aboutInstance(err)
	}
	var all []Status
	err = walk(func(token *string) (*string, error) {
		out, err := i.api.ListAgentStatuses(ctx, &awsconnect.ListAgentStatusesInput{InstanceId: &instance, MaxResults: new(int32(listSize)), NextToken: token})
		if err != nil {
			return nil, classify("ListAgentStatuses", err)
		}
		if out.AgentStatusSummaryList == nil {
			return nil, errors.New("ListAgentStatuses: the answer holds no list")
		}
		for _, s := range out.AgentStatusSummaryList {
			all = append(all, Status{Name: aws.ToString(s.Name), ID: aws.ToString(s.Id), Type: string(s.Type)})
		}
		return out.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
