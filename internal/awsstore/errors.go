package awsstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"connectroster/internal/redact"
	"connectroster/internal/remedy"
)

// conflictError says that a condition does not hold, or that another transaction
// has one of the items: somebody else wrote. Nothing was changed. It is an answer
// of one call and never leaves the package.
type conflictError struct {
	failed map[int]item // what is stored of the changes whose conditions do not hold, by their place; nil: nothing
}

func (*conflictError) Error() string { return "somebody else wrote at the same time" }

func isConflict(err error) bool {
	var conflict *conflictError
	return errors.As(err, &conflict)
}

// asConflict turns the answers of DynamoDB that mean a conflict into one.
func asConflict(err error) error {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return &conflictError{map[int]item{0: failed.Item}}
	}
	var contended *types.TransactionConflictException
	if errors.As(err, &contended) {
		return &conflictError{}
	}
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return err
	}
	// A transaction is cancelled for one reason for each item. Conditions and
	// conflicts are worth another look only where nothing else is wrong. One that is
	// throttled too is none yet: it is tried again as it is.
	if throttled(err) {
		return err
	}
	conflict := &conflictError{map[int]item{}}
	for i, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "", "None", "TransactionConflict":
		case "ConditionalCheckFailed":
			conflict.failed[i] = reason.Item
		default:
			return fmt.Errorf("the transaction was cancelled: item %d: %s: %s", i+1, aws.ToString(reason.Code), aws.ToString(reason.Message))
		}
	}
	return conflict
}

// throttled reports whether DynamoDB did nothing because the table, or one of its
// partitions, takes no more for now. Items of a cancelled transaction may have other
// reasons beside that: a condition or a conflict will be there the next time, if it
// still is, and anything else no waiting can mend.
// Source: Amazon DynamoDB API Reference, TransactWriteItems, cancellation reasons.
func throttled(err error) bool {
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		found := false
		for _, reason := range cancelled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ThrottlingError", "ProvisionedThroughputExceeded":
				found = true
			case "", "None", "TransactionConflict", "ConditionalCheckFailed":
			default:
				return false
			}
		}
		return found
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.ErrorCode() {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded":
		return true
	}
	return false
}

// explain says in words what the error of a call means for the operator, and marks it
// with its code. The error it was given stays in the chain. All of them may pass, so none
// is terminal.
func explain(err error) error {
	var conflict *conflictError
	if err == nil || errors.As(err, &conflict) || errors.Is(err, context.Canceled) {
		return err
	}
	err = redact.Error(err)
	if errors.Is(err, context.DeadlineExceeded) {
		return remedy.Mark("table_unreachable", fmt.Errorf("AWS does not answer in time: %w", err))
	}
	if throttled(err) {
		return remedy.Mark("table_busy", fmt.Errorf("DynamoDB takes no more at the moment: %w", err))
	}
	var network net.Error
	var answer smithy.APIError
	switch {
	case errors.As(err, &answer):
	case errors.As(err, &network):
		return remedy.Mark("table_unreachable", err)
	default:
		return err
	}
	switch code := answer.ErrorCode(); {
	case code == "ResourceNotFoundException":
		return remedy.Mark("table_missing", fmt.Errorf("the table does not exist in this account and region: deploy it, or mend store.aws in the configuration: %w", err))
	case slices.Contains(denials, code):
		return remedy.Mark("table_denied", fmt.Errorf("AWS refuses the credentials or what they may do: %w", err))
	case code == "ItemCollectionSizeLimitExceededException":
		return fmt.Errorf("a partition of the table has reached its 10 GB: %w", err)
	}
	return err
}

// denials are the codes by which AWS refuses credentials, or what they may do.
// Source: Amazon DynamoDB and Amazon SQS API References, common errors.
var denials = []string{
	"AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "MissingAuthenticationTokenException",
	"AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "MissingAuthenticationToken",
}

// explainQueue does for the queues what explain does for the table. A queue that nobody
// can tell about is not one that is not there: the request is stored, and nothing has to
// be deployed.
func explainQueue(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	err = redact.Error(err)
	if errors.Is(err, context.DeadlineExceeded) {
		return remedy.Mark("queue_unreachable", fmt.Errorf("AWS does not answer in time: %w", err))
	}
	var answer smithy.APIError
	if errors.As(err, &answer) {
		switch code := answer.ErrorCode(); {
		case code == "QueueDoesNotExist", code == "AWS.SimpleQueueService.NonExistentQueue":
			return remedy.Mark("queue_missing", fmt.Errorf("the queue does not exist in this account and region: deploy it, or mend store.aws in the configuration: %w", err))
		case slices.Contains(denials, code):
			return remedy.Mark("queue_denied", fmt.Errorf("AWS refuses the credentials or what they may do: %w", err))
		}
	}
	// A proxy on the way answers as a service does that has a disturbance.
	var status *smithyhttp.ResponseError
	if errors.As(err, &status) && status.HTTPStatusCode() >= 500 {
		return remedy.Mark("queue_unreachable", err)
	}
	var network net.Error
	if answer == nil && errors.As(err, &network) {
		return remedy.Mark("queue_unreachable", err)
	}
	return err
}
