package config

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"connectroster/internal/awsdial"
	"connectroster/internal/redact"
)

const (
	// vaultAge is how old a secret from AWS Secrets Manager may be. One that is no
	// longer in force is refused a minute later.
	vaultAge = 50 * time.Second
	// vaultWait bounds the reading of one secret: a delivery may be waiting for it,
	// and Okta waits three seconds for that.
	vaultWait = 2 * time.Second
)

// The stages of a secret. Source: AWS Secrets Manager User Guide, "Secret versions".
const (
	inForce  = "AWSCURRENT"
	upcoming = "AWSPENDING"
)

// vault reads secrets of AWS Secrets Manager and remembers them for a while. Its
// zero value is ready; it is safe for concurrent use.
type vault struct {
	loopback bool // it may be a program on this machine

	mu     sync.Mutex
	get    getSecret // nil until the first call
	region string
	read   map[stored]kept
}

// getSecret is the one call that is made; to keep its whole client would link all
// that it can do.
type getSecret func(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)

// stored is one version of a secret.
type stored struct{ name, stage string }

// kept is what was read of it.
type kept struct {
	text string
	none bool      // there is no such version
	at   time.Time // by the wall clock: the other one stands still while AWS Lambda freezes the process
}

// secret gives the version in force.
func (v *vault) secret(name string) (string, error) {
	k, err := v.version(stored{name, inForce})
	if err == nil && k.none {
		err = errNoSecret
	}
	return k.text, err
}

// secrets gives the version in force, and the one that is to follow it if there is
// one: whoever changes a secret sends one of the two meanwhile.
func (v *vault) secrets(name string) ([]string, error) {
	now, err := v.secret(name)
	if err != nil {
		return nil, err
	}
	next, err := v.version(stored{name, upcoming})
	switch {
	case err != nil:
		return nil, err
	case next.none || next.text == now:
		return []string{now}, nil
	}
	return []string{now, next.text}, nil
}

var errNoSecret = errors.New("AWS Secrets Manager has no such secret in this account and region")

// version reads a version, unless that was done a moment ago.
func (v *vault) version(of stored) (kept, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k, ok := v.read[of]; ok {
		if age := time.Since(k.at); age >= 0 && age < vaultAge {
			return k, nil
		}
	}
	k, err := v.fetch(of)
	if err != nil {
		return kept{}, err
	}
	if v.read == nil {
		v.read = map[stored]kept{}
	}
	v.read[of] = k
	return k, nil
}

func (v *vault) fetch(of stored) (kept, error) {
	ctx, cancel := context.WithTimeout(context.Background(), vaultWait)
	defer cancel()
	if err := v.dial(ctx); err != nil {
		return kept{}, err
	}
	region := v.region
	if a, err := arn.Parse(of.name); err == nil {
		region = a.Region
	}
	if region == "" {
		return kept{}, errors.New("the region of the secret is not known: set AWS_REGION, or write the secret's ARN")
	}
	k := kept{at: time.Now().Round(0)}
	out, err := v.get(ctx, &secretsmanager.GetSecretValueInput{SecretId: &of.name, VersionStage: &of.stage},
		func(o *secretsmanager.Options) { o.Region = region })
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent):
		k.none = true
		return k, nil
	case err != nil:
		return kept{}, fmt.Errorf("ask AWS Secrets Manager: %w", vaultError(err))
	case out.SecretString != nil:
		k.text = *out.SecretString
	default:
		k.text = string(out.SecretBinary)
	}
	k.text = strings.TrimSuffix(strings.TrimSuffix(k.text, "\n"), "\r")
	return k, nil
}

func (v *vault) dial(ctx context.Context) error {
	if v.get != nil {
		return nil
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{})) // what is wrong is in the error
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	rule := awsdial.Rule{Service: "AWS Secrets Manager", Loopback: v.loopback}
	guarded := rule.Guard(loaded.HTTPClient, &url.URL{Scheme: "https", Host: "secretsmanager.us-east-1.amazonaws.com"})
	client := secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) { o.HTTPClient = guarded })
	// Whoever answers in its place decides which deliveries are taken, so a variable or
	// a file of the AWS CLI that names another address is judged as the store's is.
	if endpoint := client.Options().BaseEndpoint; endpoint != nil {
		if c := storeEndpointFault(*endpoint, v.loopback); c.problem != "" {
			return fmt.Errorf("the address that AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL or endpoint_url of the AWS CLI's configuration sets for AWS Secrets Manager: %s", strings.TrimSuffix(c.problem+"; "+c.hint, "; "))
		}
	}
	v.get, v.region = client.GetSecretValue, loaded.Region
	return nil
}

var errNotVault = errors.New("it leads to this machine or its own network, so it is not AWS Secrets Manager; set allow_loopback: true if that is meant")

// vaultError says on one line what AWS has answered.
func vaultError(err error) error {
	var answer smithy.APIError
	var refused *awsdial.RefusedError
	switch {
	case errors.As(err, &refused):
		return errNotVault
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case !errors.As(err, &answer):
		return redact.Error(err)
	case answer.ErrorCode() == "AccessDeniedException":
		return errors.New("AccessDeniedException: allow secretsmanager:GetSecretValue for the secret, and kms:Decrypt where it has a key of its own")
	}
	return fmt.Errorf("%s: %s", answer.ErrorCode(), strings.Join(strings.Fields(redact.Message(answer.ErrorMessage())), " "))
}

// vaultName is how secrets are called. Source: AWS Secrets Manager API, CreateSecret.
var vaultName = regexp.MustCompile(`^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,512}$`)

// resolveStored looks a secret up in AWS Secrets Manager. Of a hook secret it gives
// the next one, too.
func (v resolver) resolveStored(name string, k kind) ([]string, complaint) {
	if v.vault == nil {
		return nil, complaint{"secrets of AWS Secrets Manager are not looked up here", ""}
	}
	var secrets []string
	var err error
	if k == hookSecret {
		secrets, err = v.vault.secrets(name)
	} else {
		var one string
		one, err = v.vault.secret(name)
		secrets = []string{one}
	}
	if err != nil {
		return nil, complaint{"the secret cannot be read: " + err.Error(), ""}
	}
	for _, secret := range secrets {
		if c := k.fault(secret); c.problem != "" {
			return nil, c
		}
	}
	return secrets, complaint{}
}
