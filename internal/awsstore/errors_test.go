package awsstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"connectroster/internal/remedy"
)

// What goes wrong with the table bears a code, by which people find what to do.
func TestErrorsBearCodes(t *testing.T) {
	t.Parallel()
	said := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	for want, errs := range map[string][]error{
		"table_missing":     {said("ResourceNotFoundException"), &types.ResourceNotFoundException{}},
		"table_denied":      {said("AccessDeniedException"), said("ExpiredTokenException"), said("UnrecognizedClientException")},
		"table_busy":        {said("ThrottlingException"), &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{{Code: aws.String("ThrottlingError")}}}},
		"table_unreachable": {context.DeadlineExceeded, &url.Error{Op: "Post", URL: "https://dynamodb.eu-central-1.amazonaws.com/", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}},
		"":                  {context.Canceled, said("ValidationException"), errors.New("something else"), &conflictError{}},
	} {
		for _, err := range errs {
			told := explain(fmt.Errorf("operation error DynamoDB: %w", err))
			if got := remedy.CodeOf(told); got != want {
				t.Errorf("%v: the code is %q, want %q", err, got, want)
			}
			if !errors.Is(told, err) {
				t.Errorf("%v is not in the chain of %v", err, told)
			}
		}
	}
}
