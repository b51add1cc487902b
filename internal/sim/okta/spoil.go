package okta

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// faultyAnswer serves a call that meets a fault.
func (o *Org) faultyAnswer(w http.ResponseWriter, c *call, rt route, f *Fault) {
	switch {
	case f.Kind == FaultLatency:
		if wait(c.r, f.Delay) {
			v, err := o.run(c, rt)
			f.headers(c.h)
			o.answer(w, v, err)
		}
		return
	case f.spoilsList():
		o.spoiledList(w, c, rt, f)
		return
	case f.Kind == FaultTruncate || f.Kind == FaultHalf:
		o.cut(w, c, rt, f)
		return
	}
	if f.Commit {
		if _, err := o.run(c, rt); err != nil {
			o.answer(w, nil, err)
			return
		}
		c.h.Del("Link")
	}
	f.headers(c.h)
	switch f.Kind {
	case FaultReset:
		reset(w)
	case FaultTimeout:
		if wait(c.r, f.Delay) {
			page(w, http.StatusGatewayTimeout)
		}
	case FaultNull:
		writeJSON(w, http.StatusOK, nil)
	case FaultObject:
		writeJSON(w, http.StatusOK, object{})
	case FaultBomb:
		bomb(w, f.Size)
	default:
		o.status(w, c, f)
	}
}

// wait reports whether the client is still there after d; with d of zero it
// waits until the client is gone.
func wait(r *http.Request, d time.Duration) bool {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client goes
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-after:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (o *Org) status(w http.ResponseWriter, c *call, f *Fault) {
	switch {
	case f.Status == http.StatusNoContent:
		w.WriteHeader(f.Status)
	case f.Status/100 == 3:
		c.h.Set("Location", f.URL)
		w.WriteHeader(f.Status)
	case f.Status/100 == 2 || f.proxied():
		page(w, f.Status)
	default:
		if f.Status == http.StatusTooManyRequests && f.Headers["X-Rate-Limit-Remaining"] == "" {
			c.h.Set("X-Rate-Limit-Remaining", "0")
		}
		o.writeError(w, f.failure())
	}
}

// page writes HTML: a sign-in page, or what a proxy says of a failure.
func page(w http.ResponseWriter, status int) {
	title := "Sign In"
	if status >= 300 {
		title = strconv.Itoa(status) + " " + http.StatusText(status)
	}
	w.Header().Set("Content-Type", "text/html;charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>", title, title)
}

// reset closes the connection so that the client sees it reset, not ended.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or no connection at all
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an end: a fault as well
	}
	conn.Close()
}

// bomb writes a JSON list of white space, packed.
func bomb(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusOK)
	z := gzip.NewWriter(w)
	blank := bytes.Repeat([]byte(" "), 1<<16)
	_, _ = z.Write([]byte("[")) // what fails here fails below
	for left := size - 2; left > 0; left -= int64(len(blank)) {
		if _, err := z.Write(blank[:min(left, int64(len(blank)))]); err != nil {
			return // the client has had enough
		}
	}
	_, _ = z.Write([]byte("]"))
	_ = z.Close()
}

// cut sends half of an answer: as all there is, or with the connection closed
// in the middle.
func (o *Org) cut(w http.ResponseWriter, c *call, rt route, f *Fault) {
	rec := &recorder{head: http.Header{}, status: http.StatusOK}
	v, err := o.run(c, rt)
	o.answer(rec, v, err)
	f.headers(c.h)
	body := rec.body.Bytes()
	for k, v := range rec.head {
		w.Header()[k] = v
	}
	if f.Kind == FaultTruncate {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+2))
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(body[:len(body)/2]) // a client that is gone needs none
	if f.Kind == FaultTruncate {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// recorder keeps an answer.
type recorder struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.head }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// spoiledList answers a list with other rows or links than it has.
func (o *Org) spoiledList(w http.ResponseWriter, c *call, rt route, f *Fault) {
	if f.Kind == FaultOtherRows {
		c.r.SetPathValue("id", o.otherThan(c, rt, f.Other))
	}
	v, err := o.run(c, rt)
	decoded, rows := generic(v)
	if err != nil || rows == nil {
		if f.Kind == FaultWrongOrg && err == nil && v != nil {
			v = foreign(decoded, c.base)
		}
		f.headers(c.h)
		o.answer(w, v, err)
		return
	}
	switch f.Kind {
	case FaultEmpty:
		rows = rows[:0]
		relink(c, "")
	case FaultThin:
		rows = rows[:len(rows)*f.Percent/100]
	case FaultDuplicate:
		twice := make([]any, 0, 2*len(rows))
		for _, r := range rows {
			twice = append(twice, r, r)
		}
		rows = twice
	case FaultWrongOrg:
		for i := range rows {
			rows[i] = foreign(rows[i], c.base)
		}
	default:
		spoilNext(c, f)
	}
	f.headers(c.h)
	o.answer(w, rows, nil)
}

// generic is a value as decoded JSON, and its rows if it is a list.
func generic(v any) (decoded any, rows []any) {
	b, err := json.Marshal(v)
	if err != nil || json.Unmarshal(b, &decoded) != nil {
		return nil, nil
	}
	rows, _ = decoded.([]any)
	return decoded, rows
}

// relink leaves the self link and, unless it is empty, sets one next link.
func relink(c *call, next string) {
	c.h.Del("Link")
	c.link("self", nil)
	if next != "" {
		c.h.Add("Link", "<"+next+`>; rel="next"`)
	}
}

func spoilNext(c *call, f *Fault) {
	switch f.Kind {
	case FaultNoNext:
		relink(c, "")
	case FaultEmptyNext:
		relink(c, "")
		c.h.Add("Link", `<>; rel="next"`)
	case FaultLoop:
		relink(c, c.self(false, nil))
	case FaultForeignNext:
		relink(c, f.URL)
	case FaultTwoNext:
		c.h.Add("Link", "<"+f.URL+`>; rel="next"`)
	}
}

// otherThan is the id of another row of the same kind as the one in the path,
// one with rows of its own where there is any.
func (o *Org) otherThan(c *call, rt route, wanted string) string {
	if wanted != "" {
		return wanted
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	own, best := c.r.PathValue("id"), c.r.PathValue("id")
	switch {
	case strings.HasPrefix(rt.path, "/api/v1/groups/"):
		most := -1
		for g := range o.groups.all("") {
			if g.id != own && g.kind != "BUILT_IN" && len(g.members) > most {
				best, most = g.id, len(g.members)
			}
		}
	case strings.HasPrefix(rt.path, "/api/v1/apps/"):
		most := -1
		for a := range o.apps.all("") {
			if a.id != own && len(a.users.ids) > most {
				best, most = a.id, len(a.users.ids)
			}
		}
	case strings.HasPrefix(rt.path, "/api/v1/users/"):
		most := -1
		for u := range o.users.all("") {
			if u.id != own && u.login() != own && len(u.groups) > most {
				best, most = u.id, len(u.groups)
			}
		}
	}
	return best
}

// foreign rewrites a value as another org would have it: ids, logins and links.
func foreign(v any, base string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = foreign(x, base)
		}
	case []any:
		for i := range v {
			v[i] = foreign(v[i], base)
		}
	case string:
		if rest, ok := strings.CutPrefix(v, base+"/"); ok {
			parts := strings.Split(rest, "/")
			for i := range parts {
				parts[i] = foreign(parts[i], base).(string)
			}
			return "https://other.okta.example/" + strings.Join(parts, "/")
		}
		if name, ok := strings.CutSuffix(v, "@example.com"); ok {
			return name + "@other.example"
		}
		if len(v) == 20 && v[0] == '0' {
			return v[:3] + "Othr" + v[7:]
		}
	}
	return v
}
