package redact_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"connectroster/internal/redact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMessage: of a message about a signature nothing stays that was signed, and of
// all others everything. Source of the first: AWS Identity and Access Management
// User Guide, "Troubleshoot Signature Version 4 signed requests".
func TestMessage(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"The request signature we calculated does not match. The Canonical String for this request should have been\n'POST\n/\n\nhost:sts.amazonaws.com\nx-amz-security-token:SECRET/+=x\n\nhost;x-amz-date'": "The request signature we calculated does not match. The Canonical String for this request should have been\n'POST\n/\n\nhost:sts.amazonaws.com\nx-amz-security-token:(private)\n\nhost;x-amz-date'",
		"Authorization header requires 'Credential' parameter. Authorization=AWS4-HMAC-SHA256 Signature=SECRET":                                                                                               "Authorization header requires 'Credential' parameter. Authorization=(private) Signature=(private)",
		"Action=AssumeRole&ExternalId=SECRET&RoleArn=x":                                           "Action=AssumeRole&ExternalId=(private)&RoleArn=x",
		"X-Amz-Security-Token:[SECRET] and on":                                                    "X-Amz-Security-Token:(private)] and on",
		`read {"SecurityToken": "SECRET"}`:                                                        "read ",
		"User: arn:aws:iam::123456789012:user/x is not authorized to perform: connect:CreateUser": "User: arn:aws:iam::123456789012:user/x is not authorized to perform: connect:CreateUser",
		"Signature expired: 20261129T100000Z is now earlier than 20261129T101000Z":                "Signature expired: 20261129T100000Z is now earlier than 20261129T101000Z",
		"The security token included in the request is invalid.":                                  "The security token included in the request is invalid.",
	} {
		if got := redact.Message(message); got != want {
			t.Errorf("%s\ngives\n%s\nwant\n%s", message, got, want)
		}
	}
}

// TestError: the text changes, and what the error is does not.
func TestError(t *testing.T) {
	t.Parallel()
	if redact.Error(nil) != nil {
		t.Error("no error became one")
	}
	quoted := errors.New(`net/http: malformed HTTP status code "SECRET"`)
	for _, cause := range []error{quoted, io.ErrUnexpectedEOF, errors.New(http.StatusText(http.StatusProxyAuthRequired))} {
		err := redact.Error(fmt.Errorf("call: %w", &url.Error{Op: "Post", URL: "https://x", Err: cause}))
		if !errors.Is(err, cause) || strings.Contains(err.Error(), "SECRET") || !errors.Is(cause, quoted) && !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("%v became %v", cause, err)
		}
	}
}
