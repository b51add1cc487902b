package okta

import (
	"net/http"
	"net/url"
	"time"
)

// NewPublicTransport makes the way to another address on the public Internet
// than an org's, with the same care: the metadata services of clouds and private
// networks are refused when they are dialed, whatever a name server says, and
// plain http goes to loopback alone, if at all.
func NewPublicTransport(to *url.URL, caFile string, allowLoopback bool, timeout time.Duration) (*http.Transport, error) {
	return newTransport(to, ClientConfig{CAFile: caFile, AllowLoopback: allowLoopback, Timeout: timeout, Proxy: http.ProxyFromEnvironment})
}
