package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/aws/smithy-go/logging"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// Access is what AWS's own environment variables and files lead to.
type Access struct {
	Region string // empty: none is configured
	Source string // where the credentials come from, as AWS's client calls it
}

// FindAccess looks for the region and the credentials as the AWS CLI does. An
// empty profile is the one that the environment says. The error is for credentials
// that cannot be had; the region is told all the same.
func FindAccess(ctx context.Context, profile string) (Access, error) {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // what is wrong is in the error
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return Access{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	found, err := keys{loaded.Credentials}.Retrieve(ctx)
	return Access{Region: loaded.Region, Source: found.Source}, err
}

// List gives the instances of an account in a region, ordered by alias. Of the
// configuration the instance and the deployment are not needed.
func List(ctx context.Context, cfg Config) ([]Info, error) {
	cfg.Instance, cfg.Deployment = cmp.Or(cfg.Instance, "any"), cmp.Or(cfg.Deployment, "any")
	i, err := New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	out, err := i.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the instances: %w", err)
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Or(cmp.Compare(a.Alias, b.Alias), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// list reads the instances of the account in the region, in AWS's own order.
func (i *Instance) list(ctx context.Context) ([]Info, error) {
	var all []Info
	err := walk(func(token *string) (*string, error) {
		out, err := i.api.ListInstances(ctx, &awsconnect.ListInstancesInput{NextToken: token, MaxResults: new(int32(10))})
		if err != nil {
			return nil, classify("ListInstances", err)
		}
		if out.InstanceSummaryList == nil {
			return nil, errors.New("ListInstances: the answer holds no list")
		}
		for _, v := range out.InstanceSummaryList {
			all = append(all, i.summary(v))
		}
		return out.NextToken, nil
	})
	return all, err
}

func (i *Instance) summary(v types.InstanceSummary) Info {
	return Info{
		ID:       aws.ToString(v.Id),
		ARN:      aws.ToString(v.Arn),
		Alias:    aws.ToString(v.InstanceAlias),
		Region:   i.region,
		Identity: string(v.IdentityManagementType),
		Status:   string(v.InstanceStatus),
	}
}

// Unusable tells why an instance that was listed cannot be worked on, or gives
// nil. See [Instance.Check].
func (i Info) Unusable() error { return usable(i, nil) }

// missingAlias says that no instance has an alias, and which aliases there are.
func missingAlias(region, alias string, all []Info) error {
	others := make([]string, 0, len(all))
	for _, o := range all {
		others = append(others, o.Alias)
	}
	return reconcile.Terminal(remedy.Mark("instance_missing", fmt.Errorf("the region %s of this account has no instance with the alias %q; it has %q", region, alias, others)))
}
