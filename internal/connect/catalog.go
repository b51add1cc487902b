package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

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
	if i.reads.Hierarchy {
		if c.Hierarchy, err = i.readHierarchy(ctx, id); err != nil {
			return plan.Catalog{}, err
		}
	}
	if i.reads.Proficiencies {
		if c.Attributes, err = i.readAttributes(ctx, id); err != nil {
			return plan.Catalog{}, err
		}
	}
	return c, nil
}

// searchSize is the most that the Search operations of the catalog give at once.
const searchSize = 100

// rootLevel is the level of what a search shows above all hierarchy groups and
// is none itself.
const rootLevel = "0"

// readHierarchy gives the hierarchy groups by their paths. One whose path cannot
// be told from another's, since there is a / in a name, can be meant by its id.
func (i *Instance) readHierarchy(ctx context.Context, id string) (plan.Offer, error) {
	groups := plan.Offer{}
	err := walk(func(token *string) (*string, error) {
		out, err := i.api.SearchUserHierarchyGroups(ctx, &awsconnect.SearchUserHierarchyGroupsInput{InstanceId: &id, MaxResults: new(int32(searchSize)), NextToken: token})
		if err != nil {
			return nil, classify("SearchUserHierarchyGroups", err)
		}
		if out.UserHierarchyGroups == nil && out.ApproximateTotalCount == nil {
			return nil, errors.New("SearchUserHierarchyGroups: the answer holds neither groups nor their number")
		}
		for _, g := range out.UserHierarchyGroups {
			if aws.ToString(g.LevelId) == rootLevel {
				continue
			}
			path := groupPath(g.HierarchyPath)
			offer(groups, &path, g.Id)
		}
		return out.NextToken, nil
	})
	return groups, err
}

// groupPath is the names of the groups from the top down: "EMEA/Support". It is
// empty where such a path would mislead.
func groupPath(p *types.HierarchyPath) string {
	if p == nil {
		return ""
	}
	var names []string
	for _, level := range []*types.HierarchyGroupSummary{p.LevelOne, p.LevelTwo, p.LevelThree, p.LevelFour, p.LevelFive} {
		if level == nil {
			break
		}
		name := aws.ToString(level.Name)
		if name == "" || strings.Contains(name, "/") {
			return ""
		}
		names = append(names, name)
	}
	return strings.Join(names, "/")
}

// readAttributes gives the predefined attributes with their values.
func (i *Instance) readAttributes(ctx context.Context, id string) (map[string][]string, error) {
	attributes := make(map[string][]string)
	err := walk(func(token *string) (*string, error) {
		out, err := i.api.SearchPredefinedAttributes(ctx, &awsconnect.SearchPredefinedAttributesInput{InstanceId: &id, MaxResults: new(int32(searchSize)), NextToken: token})
		if err != nil {
			return nil, classify("SearchPredefinedAttributes", err)
		}
		if out.PredefinedAttributes == nil && out.ApproximateTotalCount == nil {
			return nil, errors.New("SearchPredefinedAttributes: the answer holds neither attributes nor their number")
		}
		for _, a := range out.PredefinedAttributes {
			var values []string
			if list, ok := a.Values.(*types.PredefinedAttributeValuesMemberStringList); ok {
				values = list.Value
			}
			attributes[aws.ToString(a.Name)] = values
		}
		return out.NextToken, nil
	})
	return attributes, err
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
