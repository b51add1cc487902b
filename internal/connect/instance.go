package connect

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/reconcile"
	"connectroster/internal/remedy"
)

// Info is what Amazon Connect says about the instance.
type Info struct {
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Alias    string `json:"alias"`
	Region   string `json:"region"`
	Identity string `json:"identity"` // SAML, CONNECT_MANAGED or EXISTING_DIRECTORY
	Status   string `json:"status"`   // ACTIVE, CREATION_IN_PROGRESS or CREATION_FAILED
}

// Check asks whether the instance can be worked on. Only an active one that
// signs its users in by SAML can: the error for another one is Terminal, or
// After while it is being made, and the Info tells about it all the same.
func (i *Instance) Check(ctx context.Context) (Info, error) {
	id, err := i.id.get(ctx)
	if err != nil {
		return Info{}, err
	}
	out, err := i.api.DescribeInstance(ctx, &awsconnect.DescribeInstanceInput{InstanceId: &id})
	if err != nil {
		err = classify("DescribeInstance", err)
		if errors.Is(err, errNoResource) {
			return Info{}, reconcile.Terminal(remedy.Mark("instance_missing", fmt.Errorf("there is no instance %s in the region %s of this account: %w", id, i.region, err)))
		}
		return Info{}, err
	}
	if out.Instance == nil {
		return Info{}, errors.New("DescribeInstance: the answer tells nothing about the instance")
	}
	info := i.info(out.Instance)
	return info, usable(info, out.Instance.StatusReason)
}

func (i *Instance) info(v *types.Instance) Info {
	return Info{
		ID:       aws.ToString(v.Id),
		ARN:      aws.ToString(v.Arn),
		Alias:    aws.ToString(v.InstanceAlias),
		Region:   i.region,
		Identity: string(v.IdentityManagementType),
		Status:   string(v.InstanceStatus),
	}
}

// usable tells why an instance cannot be worked on. The identity type is settled
// when an instance is made and never changes.
// Source: Amazon Connect Administrator Guide, "Plan your identity management".
func usable(info Info, reason *types.InstanceStatusReason) error {
	const advice = "; the identity type of an instance cannot be changed, so use one that was created with SAML 2.0-based authentication"
	switch types.DirectoryType(info.Identity) {
	case types.DirectoryTypeSaml:
	case types.DirectoryTypeConnectManaged:
		return unsuitable(fmt.Errorf("instance %s keeps passwords of its own (%s): its users cannot sign in with Okta, and every new one needs a password%s", info.ID, info.Identity, advice))
	case types.DirectoryTypeExistingDirectory:
		return unsuitable(fmt.Errorf("instance %s takes its users from an Active Directory (%s): they sign in there and not with Okta%s", info.ID, info.Identity, advice))
	default:
		return unsuitable(fmt.Errorf("instance %s has the identity type %q, which is not SAML%s", info.ID, info.Identity, advice))
	}
	switch types.InstanceStatus(info.Status) {
	case types.InstanceStatusCreationInProgress:
		return reconcile.After(time.Minute, remedy.Mark("instance_unusable", fmt.Errorf("instance %s is still being created", info.ID)))
	case types.InstanceStatusCreationFailed:
		why := ""
		if reason != nil && reason.Message != nil {
			why = ": " + withoutPrivate(*reason.Message, nil)
		}
		return reconcile.Terminal(remedy.Mark("instance_unusable", fmt.Errorf("the creation of instance %s has failed%s", info.ID, why)))
	}
	return nil
}

func unsuitable(err error) error { return reconcile.Terminal(remedy.Mark("instance_not_saml", err)) }

// target is an instance as its owner names it: by id or by alias.
type target struct{ id, alias, region string }

var instanceID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// parseTarget reads an id, an alias or an ARN of the form
// arn:aws:connect:REGION:ACCOUNT:instance/ID.
func parseTarget(ref string) (target, error) {
	if instanceID.MatchString(ref) {
		return target{id: ref}, nil
	}
	if !strings.HasPrefix(ref, "arn:") {
		return target{alias: ref}, nil
	}
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) == 6 && parts[2] == "connect" && parts[3] != "" {
		if id, ok := strings.CutPrefix(parts[5], "instance/"); ok && instanceID.MatchString(id) {
			return target{id: id, region: parts[3]}, nil
		}
	}
	return target{}, fmt.Errorf("%q is not the ARN of an instance; one looks like arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555", ref)
}

// resolve gives the id of the instance, asking for it where only the alias is
// known.
func (i *Instance) resolve(ctx context.Context, t target) (string, error) {
	if t.id != "" {
		return t.id, nil
	}
	all, err := i.list(ctx)
	if err != nil {
		return "", fmt.Errorf("find the instance %q: %w", t.alias, err)
	}
	for _, found := range all {
		if strings.EqualFold(found.Alias, t.alias) {
			return found.ID, nil
		}
	}
	return "", missingAlias(i.region, t.alias, all)
}
