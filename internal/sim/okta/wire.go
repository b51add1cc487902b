package okta

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20 // bytes of an API request

// call is one request to the Management API.
type call struct {
	r     *http.Request
	h     http.Header // of the response
	base  string      // the org's address as this client sees it
	blind bool        // lacks the role to see what a list holds
}

// cause names the call as the origin of a change.
func (c *call) cause() cause { return cause{uri: c.r.URL.EscapedPath()} }

// handler answers a call with a value to encode; nil means 204.
type handler func(*call) (any, error)

// accepted is an answer 202 without a body.
type accepted struct{}

type route struct {
	method, path, class string
	serve               handler
}

const (
	tokenPath = "/oauth2/v1/token"
	rulesPath = "/api/v1/groups/rules"
	aboutPath = "/.well-known/okta-organization"
)

// lists are the endpoints that answer with a list of rows.
var lists = []string{"/api/v1/logs", "/api/v1/users", "/api/v1/users/{id}/groups", "/api/v1/groups", "/api/v1/groups/{id}/users",
	"/api/v1/groups/{id}/apps", "/api/v1/apps", "/api/v1/apps/{id}/users", "/api/v1/apps/{id}/groups", "/api/v1/eventHooks", rulesPath}

func (rt route) name() string { return rt.method + " " + rt.path }

// public reports whether a call needs no token.
func (rt route) public() bool { return rt.path == tokenPath || rt.path == aboutPath }

func (rt route) lists() bool { return rt.method == http.MethodGet && slices.Contains(lists, rt.path) }

// routes builds the org's handler from the tables of API and control
// endpoints. Rules have a mux of their own: what follows /groups/ is an id
// elsewhere, and a mux takes no two patterns of which neither is the narrower.
func (o *Org) routes() http.Handler {
	byPath := map[string]map[string]route{}
	for _, r := range o.api() {
		if byPath[r.path] == nil {
			byPath[r.path] = map[string]route{}
		}
		byPath[r.path][r.method] = r
	}
	mux, rules := http.NewServeMux(), http.NewServeMux()
	for path, methods := range byPath {
		m := mux
		if strings.HasPrefix(path, rulesPath) {
			m = rules
		}
		m.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { o.serveAPI(w, r, methods) })
	}
	unknown := func(w http.ResponseWriter, r *http.Request) { o.serveAPI(w, r, nil) }
	mux.HandleFunc("/", unknown)
	rules.HandleFunc("/", unknown)
	mux.Handle("/_sim/", http.NewCrossOriginProtection().Handler(o.control()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == rulesPath || strings.HasPrefix(r.URL.Path, rulesPath+"/") {
			rules.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (o *Org) api() []route {
	return []route{
		{"POST", tokenPath, "other", o.issueToken},
		{"GET", aboutPath, "other", o.getAbout},

		{"GET", "/api/v1/org", "other", o.getOrg},
		{"GET", "/api/v1/meta/schemas/user/{id}", "other", o.getUserSchema},
		{"GET", "/api/v1/meta/schemas/group/default", "other", o.getGroupSchema},
		{"GET", "/api/v1/meta/schemas/apps/{id}/default", "other", o.getAppSchema},
		{"GET", "/api/v1/logs", "logs", o.listLog},

		{"GET", "/api/v1/users", "users", o.listUsers},
		{"POST", "/api/v1/users", "users", o.createUser},
		{"GET", "/api/v1/users/{id}", "users/{id}", o.getUser},
		{"POST", "/api/v1/users/{id}", "users/{id} write", o.mergeUser},
		{"PUT", "/api/v1/users/{id}", "users/{id} write", o.replaceUser},
		{"DELETE", "/api/v1/users/{id}", "users/{id} write", o.deleteUser},
		{"GET", "/api/v1/users/{id}/groups", "other", o.listUserGroups},
		{"POST", "/api/v1/users/{id}/lifecycle/{verb}", "other", o.changeUser},

		{"GET", "/api/v1/groups", "groups", o.listGroups},
		{"POST", "/api/v1/groups", "groups", o.createGroup},
		{"GET", "/api/v1/groups/{id}", "groups/{id}", o.getGroup},
		{"PUT", "/api/v1/groups/{id}", "groups/{id}", o.replaceGroup},
		{"DELETE", "/api/v1/groups/{id}", "groups/{id}", o.deleteGroup},
		{"GET", "/api/v1/groups/{id}/users", "other", o.listMembers},
		{"PUT", "/api/v1/groups/{id}/users/{user}", "other", o.addMember},
		{"DELETE", "/api/v1/groups/{id}/users/{user}", "other", o.removeMember},
		{"GET", "/api/v1/groups/{id}/apps", "other", o.listGroupApps},

		{"GET", rulesPath, "other", o.listRules},
		{"POST", rulesPath, "other", o.createRule},
		{"GET", rulesPath + "/{id}", "other", o.getRule},
		{"PUT", rulesPath + "/{id}", "other", o.replaceRule},
		{"DELETE", rulesPath + "/{id}", "other", o.deleteRule},
		{"POST", rulesPath + "/{id}/lifecycle/{verb}", "other", o.changeRule},

		{"GET", "/api/v1/apps", "apps", o.listApps},
		{"GET", "/api/v1/apps/{id}", "apps/{id}", o.getApp},
		{"GET", "/api/v1/apps/{id}/users", "other", o.listAppUsers},
		{"POST", "/api/v1/apps/{id}/users", "other", o.assignUser},
		{"GET", "/api/v1/apps/{id}/users/{user}", "other", o.getAppUser},
		{"POST", "/api/v1/apps/{id}/users/{user}", "other", o.updateAppUser},
		{"DELETE", "/api/v1/apps/{id}/users/{user}", "other", o.unassignUser},
		{"GET", "/api/v1/apps/{id}/groups", "other", o.listAppGroups},
		{"GET", "/api/v1/apps/{id}/groups/{group}", "other", o.getAppGroup},
		{"PUT", "/api/v1/apps/{id}/groups/{group}", "other", o.assignGroup},
		{"DELETE", "/api/v1/apps/{id}/groups/{group}", "other", o.unassignGroup},

		{"GET", "/api/v1/eventHooks", "other", o.listHooks},
		{"POST", "/api/v1/eventHooks", "other", o.createHook},
		{"GET", "/api/v1/eventHooks/{id}", "other", o.getHook},
		{"PUT", "/api/v1/eventHooks/{id}", "other", o.replaceHook},
		{"DELETE", "/api/v1/eventHooks/{id}", "other", o.deleteHook},
		{"POST", "/api/v1/eventHooks/{id}/lifecycle/{verb}", "other", o.changeHook},
	}
}

// ServeHTTP serves the Management API under /api/v1 and the control under /_sim/.
func (o *Org) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

func (o *Org) serveAPI(w http.ResponseWriter, r *http.Request, methods map[string]route) {
	c := &call{r: r, h: w.Header(), base: o.cfg.BaseURL}
	if c.base == "" {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		c.base = scheme + r.Host
	}
	rt, known := methods[r.Method]
	err := o.enter(c, rt, known)
	defer o.exit()
	if err != nil {
		o.writeError(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if f := o.planned(c, rt); f != nil {
		o.faultyAnswer(w, c, rt, f)
		return
	}
	v, err := o.run(c, rt)
	o.answer(w, v, err)
}

// run does a call's work.
func (o *Org) run(c *call, rt route) (any, error) {
	if c.blind && rt.path != "/api/v1/logs" {
		c.link("self", nil)
		return []object{}, nil
	}
	return rt.serve(c)
}

func (o *Org) answer(w http.ResponseWriter, v any, err error) {
	switch {
	case err != nil:
		o.writeError(w, err)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	case v == accepted{}:
		w.WriteHeader(http.StatusAccepted)
	default:
		writeJSON(w, http.StatusOK, v)
	}
}

func (o *Org) exit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underway--
}

// enter does what Okta does before it looks at a request's content.
func (o *Org) enter(c *call, rt route, known bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = c.base
	o.underway++
	c.h.Set("Date", o.now().Format(http.TimeFormat))
	c.h.Set("X-Okta-Request-Id", o.mint.reply("req"))
	c.h.Set("Cache-Control", "no-cache, no-store")
	class := rt.class
	if !known {
		class = "other"
	}
	admitted := o.admit(class, c.h)
	if known {
		o.count(rt.name(), admitted)
	}
	if !rt.public() {
		if err := o.authorize(c, rt); err != nil {
			return err
		}
	}
	switch {
	case !admitted:
		return fail(http.StatusTooManyRequests, "E0000047", "API call exceeded rate limit due to too many requests.")
	case !known:
		return fail(http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
	case lacksLength(c.r):
		return fail(http.StatusLengthRequired, "E0000003", "The request body was not well-formed.")
	}
	return nil
}

func (o *Org) count(endpoint string, admitted bool) {
	n := o.calls[endpoint]
	if n == nil {
		n = &CallCount{}
		o.calls[endpoint] = n
	}
	n.Calls++
	if !admitted {
		n.Limited++
	}
}

// lacksLength reports a POST or PUT over HTTP/1 that says nothing about its body.
func lacksLength(r *http.Request) bool {
	return (r.Method == http.MethodPost || r.Method == http.MethodPut) && r.ProtoMajor == 1 &&
		r.Header.Get("Content-Length") == "" && r.ContentLength <= 0 && len(r.TransferEncoding) == 0
}

// apiError is an answer in Okta's error shape. Only Code is a contract.
type apiError struct {
	Status  int
	Code    string
	Summary string
	Causes  []string
}

func (e *apiError) Error() string {
	msg := e.Code + " " + e.Summary
	if len(e.Causes) > 0 {
		msg += " (" + strings.Join(e.Causes, "; ") + ")"
	}
	return msg
}

func fail(status int, code, summary string, causes ...string) error {
	return &apiError{status, code, summary, causes}
}

func invalid(what string, causes ...string) error {
	return fail(http.StatusBadRequest, "E0000001", "Api validation failed: "+what, causes...)
}

func notFound(id, kind string) error {
	return fail(http.StatusNotFound, "E0000007", fmt.Sprintf("Not found: Resource not found: %s (%s)", id, kind))
}

func forbidden() error {
	return fail(http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action")
}

func wrongStatus() error {
	return fail(http.StatusForbidden, "E0000038", "This operation is not allowed in the user's current status.")
}

func (o *Org) writeError(w http.ResponseWriter, err error) {
	var denied *oauthError
	if errors.As(err, &denied) {
		writeJSON(w, denied.Status, denied)
		return
	}
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{Status: http.StatusInternalServerError, Code: "E0000009", Summary: "Internal Server Error"}
	}
	o.mu.Lock()
	id := o.mint.reply("oae")
	o.mu.Unlock()
	causes := make([]map[string]string, 0, len(e.Causes))
	for _, c := range e.Causes {
		causes = append(causes, map[string]string{"errorSummary": c})
	}
	writeJSON(w, e.Status, map[string]any{
		"errorCode": e.Code, "errorSummary": e.Summary, "errorLink": e.Code, "errorId": id, "errorCauses": causes,
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode response: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that is gone needs no answer
}

// decode reads the request body into v. An empty body leaves v alone.
func (c *call) decode(v any) error {
	b, err := io.ReadAll(c.r.Body)
	if err != nil {
		return fail(http.StatusBadRequest, "E0000003", "The request body was not well-formed.")
	}
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fail(http.StatusBadRequest, "E0000003", "The request body was not well-formed.")
	}
	return nil
}

// limit returns the page size asked for, cut to most; 0 asked means fallback.
func (c *call) limit(fallback, most int) (int, error) {
	s := c.r.URL.Query().Get("limit")
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, invalid("limit", "limit: The value must be a number that is not negative")
	}
	if n == 0 {
		return fallback, nil
	}
	return min(n, most), nil
}

// after returns the id behind which the page begins.
func (c *call) after() (string, error) {
	_, id, err := c.cursor()
	return id, err
}

// cursor is where the page begins, and which one it is, counted from 1.
func (c *call) cursor() (page int, after string, err error) {
	s := c.r.URL.Query().Get("after")
	if s == "" {
		return 1, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	number, id, ok := strings.Cut(string(b), " ")
	page, errN := strconv.Atoi(number)
	if err != nil || errN != nil || !ok || page < 2 {
		return 0, "", invalid("after", "after: The cursor is not valid")
	}
	return page, id, nil
}

// link adds one Link header: the request's own URL with the given parameters set.
func (c *call) link(rel string, set map[string]string) {
	c.h.Add("Link", fmt.Sprintf(`<%s>; rel="%s"`, c.self(rel == "self", set), rel))
}

// self is the request's own URL with the given parameters set.
func (c *call) self(limitAlone bool, set map[string]string) string {
	q := c.r.URL.Query()
	if limitAlone {
		set = map[string]string{"limit": set["limit"]}
	}
	for k, v := range set {
		if v != "" {
			q.Set(k, v)
		}
	}
	u := url.URL{Path: c.r.URL.Path, RawPath: c.r.URL.RawPath, RawQuery: q.Encode()}
	return c.base + u.RequestURI()
}

// paged cuts one page out of rows, which begin after the request's cursor, and
// sets the Link headers. key gives the id of a row, view its JSON.
func paged[T any](c *call, rows iter.Seq[T], limit int, keep func(T) bool, key func(T) string, view func(T) any) any {
	out := make([]any, 0, min(limit, 200))
	last, more := "", false
	for row := range rows {
		if !keep(row) {
			continue
		}
		if len(out) == limit {
			more = true
			break
		}
		out = append(out, view(row))
		last = key(row)
	}
	n := strconv.Itoa(limit)
	c.link("self", map[string]string{"limit": n})
	if more {
		page, _, _ := c.cursor()
		c.link("next", map[string]string{"limit": n, "after": base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(page+1) + " " + last))})
	}
	return out
}

func all[T any](T) bool { return true }

// stamp is Okta's date form: UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

type object = map[string]any

func href(url string, allow ...string) object {
	l := object{"href": url}
	if len(allow) > 0 {
		l["hints"] = object{"allow": allow}
	}
	return l
}

// ID is the org's own id.
func (o *Org) ID() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.id()
}

func (o *Org) id() string { return "00o" + o.everyone.id[3:] }

// getAbout tells everybody which org this is.
func (o *Org) getAbout(c *call) (any, error) {
	return object{
		"id": o.ID(), "pipeline": "idx", "settings": object{"analyticsCollectionEnabled": false, "bugReportingEnabled": true, "omEnabled": false},
		"_links": object{"organization": href(c.base), "alternate": href(c.base)},
	}, nil
}

func (o *Org) getOrg(c *call) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	created := stamp(o.everyone.created)
	return object{
		"id": o.id(), "companyName": "Simulated Org", "status": "ACTIVE", "subdomain": "example",
		"created": created, "lastUpdated": created, "_links": object{},
	}, nil
}

func (o *Org) getUserSchema(c *call) (any, error) {
	if c.r.PathValue("id") != "default" {
		return nil, notFound(c.r.PathValue("id"), "UserSchema")
	}
	text := func(title string) object { return object{"title": title, "type": "string", "scope": "NONE"} }
	return object{
		"id": c.base + "/meta/schemas/user/default", "$schema": "http://json-schema.org/draft-04/schema#", "name": "user", "title": "User", "type": "object",
		"definitions": object{
			"base": object{"id": "#base", "type": "object", "required": []string{"login", "email"}, "properties": object{
				"login": text("Username"), "firstName": text("First name"), "lastName": text("Last name"), "email": text("Primary email"),
				"department": text("Department"), "title": text("Title"), "displayName": text("Display name"),
			}},
			"custom": object{"id": "#custom", "type": "object", "properties": object{}},
		},
	}, nil
}

func (o *Org) getGroupSchema(c *call) (any, error) {
	return object{
		"id": c.base + "/meta/schemas/group/default", "$schema": "http://json-schema.org/draft-04/schema#", "name": "group", "title": "Okta group", "type": "object",
		"definitions": object{
			"base": object{"id": "#base", "type": "object", "required": []string{"name"}, "properties": object{
				"name":        object{"title": "Name", "type": "string", "scope": "NONE"},
				"description": object{"title": "Description", "type": "string", "scope": "NONE"},
			}},
			"custom": object{"id": "#custom", "type": "object", "properties": object{}},
		},
	}, nil
}
