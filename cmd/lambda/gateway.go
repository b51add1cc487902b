package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// serve has a handler answer an event of Amazon API Gateway: of an HTTP API, whose
// payload has the version 2.0, or of a REST API, whose payload has 1.0 or says
// nothing, as the AWS sample's has.
func serve(ctx context.Context, h http.Handler, payload []byte) ([]byte, error) {
	var form struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(payload, &form); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	if form.Version == "2.0" {
		return serveHTTP(ctx, h, payload)
	}
	return serveREST(ctx, h, payload)
}

// unavailable answers an event before there is a handler.
func unavailable(payload []byte) ([]byte, error) {
	return serve(context.Background(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	}), payload)
}

func serveHTTP(ctx context.Context, h http.Handler, payload []byte) ([]byte, error) {
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	header := http.Header{}
	for name, value := range event.Headers {
		header.Set(name, value)
	}
	if len(event.Cookies) > 0 {
		header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	in := event.RequestContext
	// The path of a stage other than the default one begins with its name.
	path := event.RawPath
	if stage := in.Stage; stage != "" && stage != "$default" {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = cmp.Or(rest, "/")
		}
	}
	r, err := request(ctx, asked{in.HTTP.Method, path, event.RawQueryString, in.HTTP.SourceIP, header, event.Body, event.IsBase64Encoded})
	if err != nil {
		return nil, err
	}
	w := answer(h, r)
	out := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: map[string]string{}}
	for name, values := range w.sent {
		out.Headers[name] = strings.Join(values, ",")
	}
	out.Body, out.IsBase64Encoded = w.text()
	return json.Marshal(out)
}

func serveREST(ctx context.Context, h http.Handler, payload []byte) ([]byte, error) {
	var event events.APIGatewayProxyRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	header, query := http.Header{}, url.Values{}
	for name, value := range event.Headers {
		header.Set(name, value)
	}
	for name, values := range event.MultiValueHeaders { // all of them; the others are the last of each name
		header[http.CanonicalHeaderKey(name)] = values
	}
	for name, value := range event.QueryStringParameters {
		query.Set(name, value)
	}
	for name, values := range event.MultiValueQueryStringParameters {
		query[name] = values
	}
	r, err := request(ctx, asked{event.HTTPMethod, event.Path, query.Encode(), event.RequestContext.Identity.SourceIP, header, event.Body, event.IsBase64Encoded})
	if err != nil {
		return nil, err
	}
	w := answer(h, r)
	out := events.APIGatewayProxyResponse{StatusCode: w.status, MultiValueHeaders: w.sent}
	out.Body, out.IsBase64Encoded = w.text()
	return json.Marshal(out)
}

// asked is a request in either form.
type asked struct {
	method, path, query, from string
	header                    http.Header
	body                      string
	encoded                   bool // in base64
}

// request makes an HTTP request. Its errors are of events that no gateway sends.
func request(ctx context.Context, in asked) (*http.Request, error) {
	body := []byte(in.body)
	if in.encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(in.body); err != nil {
			return nil, fmt.Errorf("read the event: its body is not base64: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, in.method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	r.Header, r.Host, r.RemoteAddr = in.header, in.header.Get("Host"), in.from+":0"
	r.URL = &url.URL{Path: in.path, RawQuery: in.query}
	if path, err := url.PathUnescape(in.path); err == nil {
		r.URL.Path, r.URL.RawPath = path, in.path
	}
	r.RequestURI = r.URL.RequestURI()
	return r, nil
}

// recorded is an http.ResponseWriter into memory.
type recorded struct {
	header http.Header
	status int         // 0: nothing was answered yet
	sent   http.Header // as it was with the status
	body   bytes.Buffer
}

func answer(h http.Handler, r *http.Request) *recorded {
	w := &recorded{header: http.Header{}}
	h.ServeHTTP(w, r)
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusOK)
	w.sent.Del("Connection") // is between the gateway and us, where there is none
	return w
}

func (w *recorded) Header() http.Header { return w.header }

func (w *recorded) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorded) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// text gives the body as an event can hold it.
func (w *recorded) text() (body string, encoded bool) {
	if utf8.Valid(w.body.Bytes()) {
		return w.body.String(), false
	}
	return base64.StdEncoding.EncodeToString(w.body.Bytes()), true
}
