package connect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The quota of users per instance in AWS's Service Quotas. It is kept for each
// instance. Source: Amazon Connect service quotas; Service Quotas API Reference.
const (
	quotaService = "servicequotas"
	quotaTarget  = "ServiceQuotasV20190624.GetServiceQuota"
	quotaOf      = "connect"
	quotaUsers   = "L-9A46857E"
)

// userQuota asks Service Quotas how many users the instance may have: for the
// instance, or else for the account. One call does not need a client of its own.
func (v *visit) userQuota(ctx context.Context) (int, error) {
	endpoint, err := v.quotaEndpoint()
	if err != nil {
		return 0, err
	}
	value, err := v.askQuota(ctx, endpoint, v.arn)
	var refused *quotaError
	if errors.As(err, &refused) && !refused.denied() {
		value, err = v.askQuota(ctx, endpoint, "")
	}
	return value, err
}

// quotaEndpoint is where Service Quotas answers. What stands in for Amazon Connect
// stands in for it too: credentials for a stand-in are none for AWS.
func (v *visit) quotaEndpoint() (string, error) {
	if set := os.Getenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS"); set != "" {
		if _, err := checkEndpoint(&set, Config{Endpoint: set, AllowLoopback: true}); err != nil {
			return "", err
		}
		return set, nil
	}
	if v.endpoint != "" {
		return v.endpoint, nil
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(v.region, "cn-") {
		domain += ".cn"
	}
	return "https://" + quotaService + "." + v.region + "." + domain, nil
}

// quotaError is an answer that is no quota.
type quotaError struct {
	status int
	code   string
}

func (e *quotaError) Error() string {
	if e.denied() {
		return "the policy of the role does not allow servicequotas:GetServiceQuota"
	}
	return fmt.Sprintf("Service Quotas answers %d %s", e.status, e.code)
}

func (e *quotaError) denied() bool { return strings.HasPrefix(e.code, "AccessDenied") }

var exceptionName = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

func (v *visit) askQuota(ctx context.Context, endpoint, instance string) (int, error) {
	ask := map[string]string{"ServiceCode": quotaOf, "QuotaCode": quotaUsers}
	if instance != "" {
		ask["ContextId"] = instance
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return 0, fmt.Errorf("ask for the quota: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("ask for the quota: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", quotaTarget)
	credentials, err := v.credentials.Retrieve(ctx)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), quotaService, v.region, time.Now()); err != nil {
		return 0, fmt.Errorf("sign the question for the quota: %w", err)
	}
	response, err := v.http.Do(r)
	if err != nil {
		return 0, fmt.Errorf("ask for the quota: %w", innermost(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("ask for the quota: %w", err)
	}
	var said struct {
		Type  string `json:"__type"`
		Quota struct {
			Value *float64
		}
	}
	unreadable := json.Unmarshal(text, &said) != nil
	if response.StatusCode != http.StatusOK || unreadable || said.Quota.Value == nil {
		code := said.Type[strings.LastIndexByte(said.Type, '#')+1:]
		if !exceptionName.MatchString(code) {
			code = ""
		}
		return 0, &quotaError{response.StatusCode, code}
	}
	return int(*said.Quota.Value), nil
}
