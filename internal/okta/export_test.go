package okta

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// BePatient has a client end no call by its Timeout before one hangs, when somebody
// closes hung: on a busy machine each may take longer.
func (c *Client) BePatient(hung <-chan struct{}) {
	c.http.Transport = patientTransport{c.http.Transport, hung}
}

type patientTransport struct {
	http.RoundTripper
	hung <-chan struct{}
}

func (p patientTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(r.Context()))
	defer end()
	go func() {
		select {
		case <-p.hung:
			<-r.Context().Done()
			end()
		case <-ctx.Done():
		}
	}()
	response, err := p.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if ctx.Err() != nil {
			err = r.Context().Err()
		}
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// CloseIdleConnections closes those of what it stands before.
func (p patientTransport) CloseIdleConnections() {
	if c, ok := p.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// ByHandSections are the texts that docs/okta-by-hand.md must have too.
func ByHandSections() []string {
	return []string{byHandGroup, byHandApp, byHandHook, byHandFilter, byHandVerify, byHandSecret, byHandRemove, byHandScopes}
}

// NamePrefix is the text with which all names begin that a regular expression
// matches.
var NamePrefix = namePrefix

// Org is the address of the org.
func (c *Client) Org() string { return c.org.String() }
