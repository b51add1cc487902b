package connect

import (
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

var roleARN = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+$`)

// sessionName is how AWS names us in its logs when we work as a role.
const sessionName = "connectroster"

// assume gives the credentials of a role, which AWS's client gets in good time
// before the old ones end.
func assume(loaded aws.Config, cfg Config) aws.CredentialsProvider {
	client := sts.NewFromConfig(loaded, func(o *sts.Options) {
		o.HTTPClient = &http.Client{
			Transport: bounded{transport(loaded.HTTPClient, nil, cfg.AllowLoopback)},
			Timeout:   cfg.Timeout,
		}
	})
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, cfg.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.ExternalID = sessionName, some(cfg.ExternalID)
	}))
}
