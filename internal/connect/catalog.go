package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"

	"connectroster/internal/plan"
)

// listSize is the most that the List operations give at once.
const listSize = 1000

// Catalog gives the profiles of the instance, at most CatalogTTL old. Several
// callers share one reading. The maps belong to all of them: do not write.
func (i *Instance) Catalog(ctx context.Context) (plan.Catalog, error) {
	c, err := i.catalog.get(ctx)
	if err != nil {
		return plan.Catalog{}, fmt.Errorf("read the catalog: %w", aboutInstance(err))
	}
	return c, nil
}

// Refresh reads the catalog again, whatever its age.
func (i *Instance) Refresh(ctx context.Context) (plan.Catalog, error) {
	i.catalog.drop()
	return i.Catalog(ctx)
}

func (i *Instance) readCatalog(ctx context.Context) (plan.Catalog, error) {
	id, err := i.id.get(ctx)
	if err != nil {
		return plan.Catalog{}, err
	}
	c := plan.Catalog{RoutingProfiles: plan.Offer{}, SecurityProfiles: plan.Offer{}}
	err = walk(func(token *string) (*string, error) {
		out, err := i.api.ListRoutingProfiles(ctx, &awsconnect.ListRoutingProfilesInput{InstanceId: &id, MaxResults: new(int32(listSize)), NextToken: token})
		if err != nil {
			return nil, classify("ListRoutingProfiles", err)
		}
		if out.RoutingProfileSummaryList == nil {
			return nil, errors.New("ListRoutingProfiles: the answer holds no list")
		}
		for _, p := range out.RoutingProfileSummaryList {
			offer(c.RoutingProfiles, p.Name, p.Id)
		}
		return out.NextToken, nil
	})
	if err != nil {
		return plan.Catalog{}, err
	}
	err = walk(func(token *string) (*string, error) {
		out, err := i.api.ListSecurityProfiles(ctx, &awsconnect.ListSecurityProfilesInput{InstanceId: &id, MaxResults: new(int32(listSize)), NextToken: token})
		if err != nil {
			return nil, classify("ListSecurityProfiles", err)
		}
		if out.SecurityProfileSummaryList == nil {
			return nil, errors.New("ListSecurityProfiles: the answer holds no list")
		}
		for _, p := range out.SecurityProfileSummaryList {
			offer(c.SecurityProfiles, p.Name, p.Id)
		}
		return out.NextToken, nil
	})
	if err != nil {
		return plan.Catalog{}, err
	}
	return c, nil
}

// offer adds an entry. One without a name can still be meant by its id.
func offer(o plan.Offer, name, id *string) {
	if aws.ToString(id) == "" {
		return
	}
	key := aws.ToString(name)
	if key == "" {
		key = *id
	}
	o[key] = *id
}
