package awsstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// dial makes the clients. Nothing is sent yet.
func (s *Store) dial(ctx context.Context, c Config) error {
	// Answers are quick or lost, so an attempt begins anew soon.
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.Region), config.WithRetryer(func() aws.Retryer {
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
	base, ok := loaded.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		base = awshttp.NewBuildableClient()
	}
	// The address is looked at when it is dialled, so no name, variable or file can
	// lead to this machine unnoticed. A proxy is whatever the operator says.
	proxy := base.GetTransport().Proxy != nil && proxied(base.GetTransport())
	if !proxy {
		base = base.WithDialerOptions(func(d *net.Dialer) {
			d.Control = func(_, address string, _ syscall.RawConn) error {
				ap, err := netip.ParseAddrPort(address)
				if err != nil {
					return fmt.Errorf("read the address %q: %w", address, err)
				}
				return checkAddress(ap.Addr(), c.AllowLoopback)
			}
		})
	}
	if err := checkEndpoint(c); err != nil {
		return err
	}
	s.http = &http.Client{
		Transport: base.GetTransport(), Timeout: c.Attempt,
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

func proxied(t *http.Transport) bool {
	proxy, err := t.Proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: "dynamodb.us-east-1.amazonaws.com"}})
	return err == nil && proxy != nil
}

// checkEndpoint refuses an endpoint that is no URL, or that is on this machine
// where that is not allowed.
func checkEndpoint(c Config) error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("the endpoint is not an http or https URL")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return checkAddress(ip, c.AllowLoopback)
	}
	if !c.AllowLoopback && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return errLoopback
	}
	return nil
}

var errLoopback = errors.New("the endpoint is on this machine, so it is not AWS; set allow_loopback if that is meant")

// checkAddress refuses addresses at which no service of AWS can be.
func checkAddress(ip netip.Addr, loopback bool) error {
	ip = ip.Unmap()
	switch {
	case ip.IsLoopback() && loopback:
		return nil
	case ip.IsLoopback(), ip.IsUnspecified():
		return errLoopback
	case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return fmt.Errorf("%s is a link-local or multicast address, so it is not AWS", ip)
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
