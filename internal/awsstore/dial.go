package awsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"connectroster/internal/awsdial"
)

// dial makes the clients. Nothing is sent yet.
func (s *Store) dial(ctx context.Context, c Config) error {
	// Answers are quick or lost, so an attempt begins anew soon. What is wrong is in the
	// error, and so not in the words of the SDK beside our log.
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.Region), config.WithLogger(logging.Nop{}), config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 4, 300*time.Millisecond })
	}))
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		return errors.New("no region is configured: set store.aws.region, or AWS_REGION")
	}
	if c.Credentials != nil {
		loaded.Credentials = c.Credentials
	}
	if c.Endpoint != "" {
		loaded.BaseEndpoint = &c.Endpoint
	}
	rule := awsdial.Rule{Service: "AWS", Loopback: c.AllowLoopback}
	if err := checkEndpoint(c.Endpoint, rule); err != nil {
		return err
	}
	guarded := rule.Guard(loaded.HTTPClient, &url.URL{Scheme: "https", Host: "dynamodb.us-east-1.amazonaws.com"})
	s.http = &http.Client{
		Transport: guarded.GetTransport(), Timeout: c.Attempt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	loaded.HTTPClient = s.http
	s.db = tableOf(dynamodb.NewFromConfig(loaded))
	s.identity.api = teller{sts.NewFromConfig(loaded).GetCallerIdentity}
	if c.Queue != "" {
		api := sqs.NewFromConfig(loaded)
		s.queues = &queues{api: sender{api.GetQueueUrl, api.SendMessageBatch}, leavers: &queue{name: c.LeaversQueue}, other: &queue{name: c.Queue}}
	}
	return nil
}

// checkEndpoint refuses an endpoint that is no URL, or at which AWS cannot be.
func checkEndpoint(endpoint string, rule awsdial.Rule) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("the endpoint is not an http or https URL")
	}
	if err := rule.Host(u.Hostname()); err != nil {
		return fmt.Errorf("the endpoint %s cannot be used: %w", u.Redacted(), err)
	}
	return nil
}

// identity asks once as whom the credentials act.
type identity struct {
	turn
	api teller
	arn string
}

// Caller gives the ARN as which AWS knows the credentials, for the journal to say
// who decided. It costs one call of AWS STS, once.
func (s *Store) Caller(ctx context.Context) (string, error) {
	if err := s.identity.take(ctx); err != nil {
		return "", err
	}
	defer s.identity.give()
	if s.identity.arn == "" {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		out, err := s.identity.api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", fmt.Errorf("ask AWS who we are: %w", explain(err))
		}
		s.identity.arn = aws.ToString(out.Arn)
	}
	return s.identity.arn, nil
}
