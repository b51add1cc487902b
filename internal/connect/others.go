package connect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"

	"connectroster/internal/plan"
)

// Others reads every agent that is not of this deployment from the search index,
// which may lag: those made by hand, and those of other deployments. It yields all
// of them or an error. Nothing follows an error.
func (i *Instance) Others(ctx context.Context) iter.Seq2[plan.Agent, error] {
	return func(yield func(plan.Agent, error) bool) {
		enough := errors.New("the caller has enough")
		seen := make(map[string]bool)
		err := walk(func(token *string) (*string, error) {
			rows, next, err := i.search(ctx, awsconnect.SearchUsersInput{NextToken: token})
			if err != nil {
				return nil, err
			}
			for _, a := range rows {
				if a.Deployment == i.deployment || seen[a.ID] {
					continue
				}
				seen[a.ID] = true
				if !yield(a, nil) {
					return nil, enough
				}
			}
			return next, nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(plan.Agent{}, fmt.Errorf("list the agents of others: %w", err))
		}
	}
}
