package connect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

// The adapter works as the role that is configured, got once with the external
// id, and the credentials of the role and no others sign its calls. Not parallel,
// since the endpoint of STS comes from the environment.
func TestRole(t *testing.T) {
	w := open(t, nil, nil)
	var asked atomic.Pointer[url.Values]
	var calls atomic.Int64
	refuse := false
	sts := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked.Store(&r.PostForm)
		if refuse {
			out.WriteHeader(http.StatusForbidden)
			fmt.Fprint(out, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(out, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
			<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
			</Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}))
	defer sts.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	var signed atomic.Value
	front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		signed.Store(r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token"))
		w.sim.ServeHTTP(out, r)
	}))
	defer front.Close()

	cfg := configFor(front.URL)
	cfg.Instance, cfg.Credentials = w.sim.ID(), credentials.NewStaticCredentialsProvider("AKIDBASE", "secret", "")
	cfg.RoleARN, cfg.ExternalID = "arn:aws:iam::123456789012:role/path/connectroster", "outside"
	i, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for range 3 {
		if _, err := i.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s, _ := signed.Load().(string); !strings.Contains(s, "Credential=ASIAROLE/") || !strings.HasSuffix(s, " token") {
		t.Errorf("signed by %s", s)
	}
	form := *asked.Load()
	if form.Get("RoleArn") != cfg.RoleARN || form.Get("ExternalId") != "outside" || form.Get("RoleSessionName") != "connectroster" || calls.Load() != 1 {
		text, _ := json.Marshal(form)
		t.Errorf("%d calls: %s", calls.Load(), text)
	}

	refuse = true
	cfg.ExternalID = ""
	other, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before := w.sim.Stats().Calls
	if _, err := other.Check(t.Context()); class(err) != "after 50s" || !strings.Contains(err.Error(), "sts:AssumeRole") {
		t.Errorf("class %s: %v", class(err), err)
	}
	if form := *asked.Load(); form.Has("ExternalId") || w.sim.Stats().Calls != before {
		t.Errorf("asked with %v, and %d calls", form, w.sim.Stats().Calls-before)
	}
}

func TestRoleRefused(t *testing.T) {
	t.Parallel()
	for says, spoil := range map[string]func(*Config){
		"no":                     nil,
		"external id":            func(c *Config) { c.ExternalID = "x" },
		"not the ARN of a role":  func(c *Config) { c.RoleARN = "arn:aws:iam::123456789012:user/x" },
		`"connectroster" is not`: func(c *Config) { c.RoleARN = "connectroster" },
	} {
		cfg := configFor("http://connect.example:8080")
		if spoil == nil {
			cfg.RoleARN = "arn:aws-us-gov:iam::123456789012:role/a/b"
			i, err := New(t.Context(), cfg)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			i.Close()
			continue
		}
		spoil(&cfg)
		if _, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
