package awsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

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

// A queue that is not there, one that may not be asked for and one that nobody can tell
// about are mended each in a way of its own.
func TestErrorsOfQueuesBearCodes(t *testing.T) {
	t.Parallel()
	said := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	answered := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
	}
	for want, errs := range map[string][]error{
		"queue_missing": {&sqstypes.QueueDoesNotExist{}, answered(400, said("AWS.SimpleQueueService.NonExistentQueue"))},
		"queue_denied":  {said("AccessDenied"), said("AccessDeniedException"), said("ExpiredToken"), answered(403, said("InvalidClientTokenId"))},
		"queue_unreachable": {
			context.DeadlineExceeded, &url.Error{Op: "Post", URL: "https://sqs.eu-central-1.amazonaws.com/", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}},
			answered(503, said("ServiceUnavailable")), answered(502, errors.New("a page of a proxy")),
		},
		"": {context.Canceled, said("InvalidAddress"), answered(400, said("RequestThrottled")), errors.New("something else")},
	} {
		for _, err := range errs {
			told := explainQueue(fmt.Errorf("operation error SQS: %w", err))
			if got := remedy.CodeOf(told); got != want {
				t.Errorf("%v: the code is %q, want %q", err, got, want)
			}
			if !errors.Is(told, err) {
				t.Errorf("%v is not in the chain of %v", err, told)
			}
		}
	}
}

// TestQueuesThatCannotBeAsked: only SQS itself can say that a queue is not there.
func TestQueuesThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	answer := atomic.Pointer[http.HandlerFunc]{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	t.Cleanup(server.Close)
	store, err := Open(t.Context(), Config{
		Table: "roster", Region: "eu-central-1", Queue: "roster.fifo", LeaversQueue: "roster-leavers.fifo",
		Endpoint: server.URL, AllowLoopback: true, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Log: slog.New(slog.DiscardHandler), Timeout: time.Minute, Attempt: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		what   string
		answer http.HandlerFunc
		want   string
	}{
		{"a queue that is not there", says(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`), "queue_missing"},
		{"one that may not be asked for", says(403, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`), "queue_denied"},
		{"a service with a disturbance", says(503, `{"__type":"com.amazon.coral.service#ServiceUnavailable"}`), "queue_unreachable"},
		{"a proxy in the way", says(502, "<html>bad gateway</html>"), "queue_unreachable"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "queue_unreachable"},
	} {
		answer.Store(&c.answer)
		err := store.CheckQueues(t.Context())
		if got := remedy.CodeOf(err); got != c.want || !strings.Contains(err.Error(), "find the queue roster-leavers.fifo: ") {
			t.Errorf("%s: %v has the code %q, want %q", c.what, err, got, c.want)
		}
	}
}
