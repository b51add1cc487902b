package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"

	"connectroster/internal/awsdial"
	"connectroster/internal/redact"
)

// dial makes the client. Nothing is sent yet.
func (i *Instance) dial(ctx context.Context, cfg Config) error {
	options := []func(*config.LoadOptions) error{config.WithRegion(cfg.Region), config.WithLogger(sdkLog{cfg.Log})}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		return errors.New("no region is configured: set the region of the instance, or AWS_REGION")
	}
	i.region = loaded.Region
	if cfg.Credentials != nil {
		loaded.Credentials = cfg.Credentials
	}
	if cfg.RoleARN != "" {
		loaded.Credentials = assume(loaded, cfg)
	}
	loaded.Credentials = keys{loaded.Credentials}
	i.credentials = loaded.Credentials
	i.api = operationsOf(awsconnect.NewFromConfig(loaded, func(o *awsconnect.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(retryable)}, o.Retryables...)
		})
		o.APIOptions = append(o.APIOptions, explicit, i.pace)
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		i.http, err = httpClient(cfg, loaded.HTTPClient, o.BaseEndpoint)
		if o.BaseEndpoint != nil {
			i.endpoint, i.endpointBy = *o.BaseEndpoint, endpointSource(cfg, *o.BaseEndpoint)
		}
		o.HTTPClient = i.http
	}))
	return err
}

// once makes a call whose every failure is seen: it is not sent again.
func once(o *awsconnect.Options) { o.Retryer = aws.NopRetryer{} }

// keys marks the error for credentials that cannot be had, to tell it from the
// errors of a call.
type keys struct{ aws.CredentialsProvider }

func (k keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if k.CredentialsProvider == nil {
		return aws.Credentials{}, &keysError{errors.New("none are configured")}
	}
	c, err := k.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, &keysError{err}
	}
	return c, nil
}

type keysError struct{ err error }

func (e *keysError) Error() string { return "get AWS credentials: " + redact.Error(e.err).Error() }
func (e *keysError) Unwrap() error { return e.err }

// httpClient makes the client for one endpoint; a nil endpoint is AWS's own. It
// follows no redirects and reads no answer without bounds.
func httpClient(cfg Config, loaded aws.HTTPClient, endpoint *string) (*http.Client, error) {
	u, err := checkEndpoint(endpoint, cfg)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: cfg.Timeout}
	if cfg.HTTPClient != nil {
		client.Transport = cfg.HTTPClient.Transport
		if cfg.HTTPClient.Timeout > 0 {
			client.Timeout = cfg.HTTPClient.Timeout
		}
	} else {
		client.Transport = transport(loaded, u, cfg.AllowLoopback)
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// transport is the AWS client's own, which knows about proxies and CA bundles.
// Where an endpoint is configured and reached without a proxy, the address that
// its name leads to is checked too.
func transport(loaded aws.HTTPClient, endpoint *url.URL, loopback bool) *http.Transport {
	if endpoint == nil {
		return awsdial.Client(loaded).GetTransport()
	}
	return where(loopback).Guard(loaded, endpoint).GetTransport()
}

// where says where Amazon Connect may be.
func where(loopback bool) awsdial.Rule {
	return awsdial.Rule{Service: "Amazon Connect", Loopback: loopback}
}

// checkEndpoint reads a configured endpoint, if it may be used. A nil one is
// AWS's own.
func checkEndpoint(endpoint *string, cfg Config) (*url.URL, error) {
	if endpoint == nil {
		return nil, nil
	}
	source := endpointSource(cfg, *endpoint)
	u, err := url.Parse(*endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("the endpoint that %s sets is not an http or https URL", source)
	}
	if err := where(cfg.AllowLoopback).Host(u.Hostname()); err != nil {
		return nil, fmt.Errorf("the endpoint %s that %s sets cannot be used: %w", u.Redacted(), source, err)
	}
	return u, nil
}

// endpointSource names what set the endpoint, in the order in which AWS's client
// looks.
func endpointSource(cfg Config, endpoint string) string {
	if cfg.Endpoint != "" {
		return "the configuration"
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_CONNECT", "AWS_ENDPOINT_URL"} {
		if os.Getenv(name) == endpoint {
			return name
		}
	}
	return "endpoint_url in the AWS configuration file"
}

// maxAnswer is the largest answer read, in bytes: three times a full page of
// agents with as many tags as there may be.
const maxAnswer = 32 << 20

// bounded limits the size of answers.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	return response, nil
}

// CloseIdleConnections is what http.Client looks for.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// retryable adds to AWS's rules what they get wrong for Amazon Connect.
func retryable(err error) aws.Ternary {
	f := read(err)
	var tooLarge *http.MaxBytesError
	switch {
	case f.unsent != nil, f.quota(), errors.As(err, &tooLarge):
		return aws.FalseTernary
	case f.garbled && (f.status == http.StatusOK || f.status >= http.StatusInternalServerError):
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}
