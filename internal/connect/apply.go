package connect

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Apply makes one change. Only Create is supported so far; any other action is
// a Terminal error.
func (i *Instance) Apply(ctx context.Context, change plan.Change) (id string, err error) {
	switch change.Action {
	case plan.Create:
		return i.create(ctx, change)
	default:
		return "", reconcile.Terminal(fmt.Errorf("the action %q is not supported by this version", change.Action))
	}
}

// create makes an agent with one call, which is never sent twice: CreateUser has
// no idempotency token, so only its caller can find out what became of a call
// whose answer is lost.
func (i *Instance) create(ctx context.Context, change plan.Change) (string, error) {
	input, err := i.createInput(change)
	if err != nil {
		return "", reconcile.Terminal(err)
	}
	instance, err := i.id.get(ctx)
	if err != nil {
		return "", beforeSending(aboutInstance(err))
	}
	input.InstanceId = &instance
	if ctx.Err() != nil {
		return "", reconcile.After(0, fmt.Errorf("CreateUser: not sent: %w", context.Cause(ctx)))
	}

	out, err := i.api.CreateUser(ctx, input, once)
	if err != nil {
		info := input.IdentityInfo
		err = classify("CreateUser", err, *input.Username, *info.FirstName, *info.LastName)
		if errors.Is(err, errNoResource) {
			i.catalog.drop()
			return "", reconcile.After(waitCatalog, fmt.Errorf("a profile of the agent, or the instance, is gone: %w", err))
		}
		return "", err
	}
	if aws.ToString(out.UserId) == "" {
		return "", errors.New("CreateUser: the answer does not name the new agent")
	}
	return *out.UserId, nil
}

// Limits of CreateUser. Source: Amazon Connect API.
const (
	maxFirstName        = 255
	maxLastName         = 300
	maxSecurityProfiles = 10
	maxAfterContactWork = 2_000_000 // seconds
	maxTagValue         = 256
)

// createInput writes the request for a new agent. E-mail is left out: with SAML
// the service may refuse it.
func (i *Instance) createInput(change plan.Change) (*awsconnect.CreateUserInput, error) {
	a := change.After
	if a == nil {
		return nil, errors.New("create an agent: the change says nothing about it")
	}
	first, last := name(a.FirstName, maxFirstName), name(a.LastName, maxLastName)
	fault := ""
	switch {
	case plan.UsernameFault(a.Username) != "":
		fault = plan.UsernameFault(a.Username)
	case first == "" || last == "":
		fault = "a first and a last name are needed"
	case a.RoutingProfile == "":
		fault = "a routing profile is needed"
	case len(a.SecurityProfiles) < 1 || len(a.SecurityProfiles) > maxSecurityProfiles:
		fault = fmt.Sprintf("an agent has 1 to %d security profiles, not %d", maxSecurityProfiles, len(a.SecurityProfiles))
	case a.Phone.AfterContactWork < 0 || a.Phone.AfterContactWork > maxAfterContactWork:
		fault = fmt.Sprintf("after-contact work takes 0 to %d seconds, not %d", maxAfterContactWork, a.Phone.AfterContactWork)
	case a.Owner == "" || a.Owner != change.Person || tagTooLong(a.Owner):
		fault = "the agent must belong to the person whom the change is for"
	case a.Deployment != i.deployment:
		fault = fmt.Sprintf("the agent is for the deployment %q, not for %q", a.Deployment, i.deployment)
	case a.State == "":
		fault = "the agent has no state"
	}
	if fault != "" {
		return nil, fmt.Errorf("create an agent: %s", fault)
	}
	return &awsconnect.CreateUserInput{
		Username:           &a.Username,
		IdentityInfo:       &types.UserIdentityInfo{FirstName: &first, LastName: &last},
		PhoneConfig:        toPhone(a.Phone),
		RoutingProfileId:   &a.RoutingProfile,
		SecurityProfileIds: a.SecurityProfiles,
		Tags: map[string]string{
			tagOwner:      a.Owner,
			tagDeployment: a.Deployment,
			tagState:      string(a.State),
		},
	}, nil
}

func tagTooLong(s string) bool { return utf8.RuneCountInString(s) > maxTagValue }
