package okta

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// page is one page of a list.
type page struct {
	rows  []jsontext.Value
	limit int      // rows that a page of this list can have; zero: not told
	next  *url.URL // nil: this is the last page
}

// page makes a call for a page of a list.
func (c *Client) page(ctx context.Context, call apiCall) (page, error) {
	reply, err := c.do(ctx, call)
	if err != nil {
		return page{}, fmt.Errorf("%s: %w", call.what, err)
	}
	p := page{rows: []jsontext.Value{}}
	if err := reply.decode('[', &p.rows); err != nil {
		return page{}, fmt.Errorf("%s: %w", call.what, err)
	}
	if err := p.follow(call.url, reply.header); err != nil {
		return page{}, fmt.Errorf("%s: %w", call.what, err)
	}
	return p, nil
}

// follow takes the links of a page in. All of them must lead to the list that
// was asked for: anything else is another list's page, or another org's.
func (p *page) follow(from *url.URL, header http.Header) error {
	found, err := links(header)
	if err != nil {
		return err
	}
	for _, l := range found {
		if l.rel != "next" && l.rel != "self" {
			continue
		}
		to, err := sameList(from, l.target)
		if err != nil {
			return fmt.Errorf("the %s link: %w", l.rel, err)
		}
		if l.rel == "self" {
			p.limit, _ = strconv.Atoi(to.Query().Get("limit"))
			continue
		}
		if p.next != nil && p.next.String() != to.String() {
			return oddAnswer("two next links")
		}
		p.next = to
	}
	return nil
}

// sameList gives the URL of a link if it stays on the origin and path of the
// list. Credentials would follow it anywhere.
func sameList(from *url.URL, target string) (*url.URL, error) {
	to, err := from.Parse(target)
	switch {
	case err != nil:
		return nil, oddAnswer("not a URL")
	case to.User != nil, to.Scheme != from.Scheme, !strings.EqualFold(authority(to), authority(from)):
		return nil, oddAnswer("it leaves the org")
	case to.EscapedPath() != from.EscapedPath():
		return nil, oddAnswer("it leaves the list")
	}
	to.Fragment = ""
	return to, nil
}

// authority gives host and port of an http or https URL.
func authority(u *url.URL) string { return hostPort(u) }

// rows makes the calls for a list, page after page, and yields its rows. It
// yields all that Okta shows or an error, and nothing follows an error. check is
// asked about each page and may be nil.
func (c *Client) rows(ctx context.Context, call apiCall, check func(page) error) iter.Seq2[jsontext.Value, error] {
	return func(yield func(jsontext.Value, error) bool) {
		seen := map[string]bool{}
		for call.url != nil {
			if seen[call.url.String()] || len(seen) == maxPages {
				yield(nil, coded(fmt.Errorf("%s: %w", call.what, oddAnswer("next links without an end"))))
				return
			}
			seen[call.url.String()] = true
			p, err := c.page(ctx, call)
			if err == nil && check != nil {
				if err = check(p); err != nil {
					err = fmt.Errorf("%s: %w", call.what, err)
				}
			}
			if err != nil {
				yield(nil, coded(err))
				return
			}
			for _, row := range p.rows {
				if !yield(row, nil) {
					return
				}
			}
			call.url = p.next
		}
	}
}

// list makes the calls for a list and decodes its rows. Each must have an id of
// its own.
func list[T any](ctx context.Context, c *Client, call apiCall, id func(T) string, check func(page) error) ([]T, error) {
	var out []T
	seen := map[string]bool{}
	for raw, err := range c.rows(ctx, call, check) {
		if err != nil {
			return nil, err
		}
		var row T
		switch {
		case json.Unmarshal(raw, &row) != nil:
			err = oddAnswer("a row that cannot be read")
		case !oktaID(id(row)):
			err = oddAnswer("a row without an id")
		case seen[id(row)]:
			err = oddAnswer("the same row twice")
		}
		if err != nil {
			return nil, coded(fmt.Errorf("%s: %w", call.what, err))
		}
		seen[id(row)] = true
		out = append(out, row)
	}
	return out, nil
}

// link is an entry of a Link header.
type link struct{ target, rel string }

var errLink = fmt.Errorf("%w: a Link header that cannot be read", errAnswer)

// links reads the Link headers of an answer, one line for each link or several
// in a line. Source: RFC 8288, section 3.
func links(header http.Header) ([]link, error) {
	var out []link
	for _, line := range header.Values("Link") {
		for rest := strings.TrimLeft(line, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
			var ok bool
			var target string
			if rest, ok = strings.CutPrefix(rest, "<"); !ok {
				return nil, errLink
			}
			if target, rest, ok = strings.Cut(rest, ">"); !ok {
				return nil, errLink
			}
			params, tail, err := cutParams(rest)
			if err != nil {
				return nil, err
			}
			rest = tail
			for rel := range strings.FieldsSeq(params["rel"]) {
				out = append(out, link{target: strings.TrimSpace(target), rel: strings.ToLower(rel)})
			}
		}
	}
	return out, nil
}

// cutParams reads the parameters of one link, up to the comma that ends it. The
// first of several with the same name counts.
func cutParams(s string) (params map[string]string, rest string, err error) {
	params = map[string]string{}
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return params, s, nil
		}
		if s[0] != ';' {
			return nil, "", errLink
		}
		s = strings.TrimLeft(s[1:], " \t")
		end := strings.IndexAny(s, "=;, \t")
		if end < 0 {
			end = len(s)
		}
		name, value := strings.ToLower(s[:end]), ""
		s = strings.TrimLeft(s[end:], " \t")
		if tail, ok := strings.CutPrefix(s, "="); ok {
			if value, s, err = cutValue(strings.TrimLeft(tail, " \t")); err != nil {
				return nil, "", err
			}
		}
		if _, twice := params[name]; !twice && name != "" {
			params[name] = value
		}
	}
}

// cutValue reads a token or a quoted string.
func cutValue(s string) (value, rest string, err error) {
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, ";, \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errLink
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errLink
}
