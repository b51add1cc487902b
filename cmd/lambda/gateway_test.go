package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mirror answers with what it was asked.
var mirror = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Connection", "close")
	w.Header().Add("X-Twice", "1")
	w.Header().Add("X-Twice", "2")
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "%s %s from %s, length %d, secret %q, query %q: %s", r.Method, r.URL.Path, r.RemoteAddr, r.ContentLength, r.Header["Authorization"], r.URL.Query()["a"], body)
})

// TestGateway translates the events of both kinds of gateway.
func TestGateway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ event, want string }{
		"HTTP API": {
			`{"version":"2.0","rawPath":"/hooks/okta","rawQueryString":"a=1&a=2","headers":{"authorization":"s"},"requestContext":{"stage":"$default","http":{"method":"POST","sourceIp":"192.0.2.1"}},"body":"{}"}`,
			`POST /hooks/okta from 192.0.2.1:0, length 2, secret ["s"], query ["1" "2"]: {}`,
		},
		"HTTP API, body in base64": {
			`{"version":"2.0","rawPath":"/hooks/okta","headers":{},"requestContext":{"http":{"method":"POST"}},"body":"aGVsbG8=","isBase64Encoded":true}`,
			`POST /hooks/okta from :0, length 5, secret [], query []: hello`,
		},
		"HTTP API, secret sent twice": {
			`{"version":"2.0","rawPath":"/hooks/okta","headers":{"Authorization":"s,s"},"requestContext":{"http":{"method":"GET"}}}`,
			`GET /hooks/okta from :0, length 0, secret ["s,s"], query []: `,
		},
		"HTTP API, a stage with a name": {
			`{"version":"2.0","rawPath":"/prod/hooks/okta","headers":{},"requestContext":{"stage":"prod","http":{"method":"GET"}}}`,
			`GET /hooks/okta from :0, length 0, secret [], query []: `,
		},
		"HTTP API, a path that begins like the stage": {
			`{"version":"2.0","rawPath":"/production/x","headers":{},"requestContext":{"stage":"prod","http":{"method":"GET"}}}`,
			`GET /production/x from :0, length 0, secret [], query []: `,
		},
		"REST API": {
			`{"version":"1.0","httpMethod":"POST","path":"/create_user","headers":{"Authorization":"last"},"multiValueHeaders":{"authorization":["first","last"]},"multiValueQueryStringParameters":{"a":["1","2"]},"requestContext":{"identity":{"sourceIp":"192.0.2.9"}},"body":"aGVsbG8=","isBase64Encoded":true}`,
			`POST /create_user from 192.0.2.9:0, length 5, secret ["first" "last"], query ["1" "2"]: hello`,
		},
		"REST API without a version": {
			`{"httpMethod":"GET","path":"/create_user","headers":{"Authorization":"s"},"queryStringParameters":{"a":"x y"},"body":null}`,
			`GET /create_user from :0, length 0, secret ["s"], query ["x y"]: `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := serve(t.Context(), mirror, []byte(c.event))
			if err != nil {
				t.Fatal(err)
			}
			var out struct {
				StatusCode        int                 `json:"statusCode"`
				Headers           map[string]string   `json:"headers"`
				MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
				Body              string              `json:"body"`
				IsBase64Encoded   bool                `json:"isBase64Encoded"`
			}
			if err := json.Unmarshal(text, &out); err != nil {
				t.Fatal(err)
			}
			if out.StatusCode != http.StatusTeapot || out.Body != c.want || out.IsBase64Encoded {
				t.Errorf("got %d %q, want %d %q", out.StatusCode, out.Body, http.StatusTeapot, c.want)
			}
			headers := map[string]string{"X-Twice": "1,2"}
			if strings.HasPrefix(name, "REST") {
				headers = nil
				if diff := cmp.Diff(map[string][]string{"X-Twice": {"1", "2"}}, out.MultiValueHeaders); diff != "" {
					t.Errorf("headers (-want +got)\n%s", diff)
				}
			}
			if diff := cmp.Diff(headers, out.Headers); diff != "" {
				t.Errorf("headers (-want +got)\n%s", diff)
			}
		})
	}
}

// TestGatewayEvents that none sends are errors, and no answers.
func TestGatewayEvents(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]string{
		"nothing": "", "a list": "[]", "text": `"hello"`, "broken base64": `{"version":"2.0","body":"%%%","isBase64Encoded":true}`, "a method that is none": `{"httpMethod":"NO SUCH","path":"/"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := serve(t.Context(), mirror, []byte(event)); err == nil {
				t.Errorf("got %s, want an error", out)
			}
		})
	}
}

// TestBinaryAnswer: what is no text travels in base64.
func TestBinaryAnswer(t *testing.T) {
	t.Parallel()
	text, err := serve(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xfe}) }), []byte(`{"version":"2.0"}`))
	if err != nil || !strings.Contains(string(text), `"body":"//4="`) || !strings.Contains(string(text), `"isBase64Encoded":true`) || !strings.Contains(string(text), `"statusCode":200`) {
		t.Errorf("got %s and %v", text, err)
	}
}
