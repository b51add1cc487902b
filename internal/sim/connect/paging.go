package connect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// pageToken is what a NextToken says. Scope ties it to an operation and its
// filters.
type pageToken struct {
	Scope  string `json:"s"`
	After  int64  `json:"a"`
	Issued int64  `json:"i"` // Unix milliseconds
	Epoch  int64  `json:"e"`
}

// page finds the page of a list whose items have the rising numbers seqs: the
// items from up to but not with to, and the token of the page after it, "" if
// there is none. A page is 100 items when the caller does not say.
func (in *Instance) page(c *call, seqs []int64, token *string, size *int) (from, to int, next string, err error) {
	scope := c.scope()
	if token != nil {
		t, err := in.openToken(*token, scope)
		if err != nil {
			return 0, 0, "", err
		}
		from, _ = slices.BinarySearch(seqs, t.After+1)
	}
	n := 100
	if size != nil {
		n = *size
	}
	to = min(from+n, len(seqs))
	if to < len(seqs) {
		next = in.sealToken(pageToken{scope, seqs[to-1], in.now().UnixMilli(), in.epoch})
	}
	return from, to, next, nil
}

// narrow is what a list depends on besides the body: whose it is and the filters
// in the query.
func narrow(r *http.Request) string {
	query := r.URL.Query()
	query.Del("nextToken")
	query.Del("maxResults")
	return r.PathValue("UserId") + "\n" + r.PathValue("SecurityProfileId") + "\n" + query.Encode()
}

// scope digests what two calls must share for a token of one to serve the other.
func (c *call) scope() string {
	filters := maps.Clone(c.body)
	for _, own := range []string{"NextToken", "MaxResults", "InstanceId"} {
		delete(filters, own)
	}
	data, _ := json.Marshal(filters) // it was JSON before
	sum := sha256.Sum256(append([]byte(c.operation+"\n"+c.narrow+"\n"), data...))
	return hex.EncodeToString(sum[:8])
}

func (in *Instance) seal(data []byte) []byte {
	mac := hmac.New(sha256.New, in.tokenKey)
	mac.Write(data)
	return mac.Sum(nil)[:16]
}

func (in *Instance) sealToken(t pageToken) string {
	data, _ := json.Marshal(t) // plain fields always marshal
	return base64.RawURLEncoding.EncodeToString(append(in.seal(data), data...))
}

func (in *Instance) openToken(s, scope string) (pageToken, error) {
	var t pageToken
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(data) < 16 || !hmac.Equal(data[:16], in.seal(data[16:])) || json.Unmarshal(data[16:], &t) != nil {
		return t, violated("NextToken", "must be a token of this operation")
	}
	age := in.now().Sub(time.UnixMilli(t.Issued))
	switch {
	case t.Scope != scope:
		return t, violated("NextToken", "must come from the same operation and filters")
	case t.Epoch != in.epoch, in.settings.TokenLife > 0 && age > in.settings.TokenLife:
		return t, invalidRequest("The NextToken has expired")
	}
	return t, nil
}
