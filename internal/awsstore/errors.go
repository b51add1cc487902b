package awsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
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
	// conflicts are worth another look only where nothing else is wrong.
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

// explain says in words what the error of a call means for the operator. The error
// it was given stays in the chain. All of them may pass, so none is terminal.
func explain(err error) error {
	var conflict *conflictError
	if err == nil || errors.As(err, &conflict) || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("AWS does not answer in time: %w", err)
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.ErrorCode() {
	case "ResourceNotFoundException":
		return fmt.Errorf("the table does not exist in this account and region: deploy it, or mend store.aws in the configuration: %w", err)
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "MissingAuthenticationTokenException":
		return fmt.Errorf("AWS refuses the credentials or what they may do: %w", err)
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded":
		return fmt.Errorf("DynamoDB takes no more at the moment: %w", err)
	case "ItemCollectionSizeLimitExceededException":
		return fmt.Errorf("a partition of the table has reached its 10 GB: %w", err)
	}
	return err
}
