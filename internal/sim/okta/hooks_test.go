package okta_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/sim/okta"
)

func hookBody(uri string, events ...string) object {
	return object{"name": "connect-agents",
		"events": object{"type": "EVENT_TYPE", "items": events},
		"channel": object{"type": "HTTP", "version": "1.0.0", "config": object{"uri": uri,
			"headers":    []object{{"key": "X-Any-Key", "value": "v"}},
			"authScheme": object{"type": "HEADER", "key": "Authorization", "value": "s3cret"}}}}
}

func channelConfig(b object) object { return b["channel"].(object)["config"].(object) }

func TestHookCRUD(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	body := hookBody(s.url, memberships...)
	body["events"].(object)["filter"] = object{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": []object{
		{"event": memberships[0], "condition": object{"expression": `event.target.?[id eq '00g1'].size()>0`}}}}
	h := w.want(200, "POST", "/api/v1/eventHooks", body).obj()
	id := h["id"].(string)
	if h["status"] != "ACTIVE" || h["verificationStatus"] != "UNVERIFIED" || !strings.HasPrefix(id, "who") || len(id) != 20 {
		t.Fatal(h)
	}
	if auth := channelConfig(h)["authScheme"]; !cmp.Equal(auth, any(object{"type": "HEADER", "key": "Authorization"})) {
		t.Errorf("the secret is never returned: %v", auth)
	}
	path := "/api/v1/eventHooks/" + id
	verified := func() any { return w.want(200, "GET", path, nil).obj()["verificationStatus"] }
	if v := w.want(200, "POST", path+"/lifecycle/verify", nil).obj(); v["verificationStatus"] != "VERIFIED" {
		t.Fatal(v)
	}
	get := s.gets[0]
	for k, want := range map[string]string{"User-Agent": "Okta-Integrations", "Accept": "application/json", "Authorization": "s3cret", "X-Any-Key": "v"} {
		if get.Get(k) != want {
			t.Errorf("verification %s: %q", k, get.Get(k))
		}
	}
	if get.Get("X-Okta-Request-Id") == "" || get.Get("X-Okta-Verification-Challenge") == "" {
		t.Error(get)
	}

	body["name"] = "renamed" // and no filter: PUT replaces everything
	delete(body["events"].(object), "filter")
	v := w.want(200, "PUT", path, body).obj()
	if v["verificationStatus"] != "VERIFIED" || v["name"] != "renamed" || v["events"].(object)["filter"] != nil {
		t.Errorf("same channel: %v", v)
	}
	for name, change := range map[string]func(object){
		"uri":         func(c object) { c["uri"] = s.url + "/other" },
		"secret":      func(c object) { c["authScheme"].(object)["value"] = "rotated" },
		"no secret":   func(c object) { delete(c["authScheme"].(object), "value") },
		"header":      func(c object) { c["headers"] = []object{} },
		"auth header": func(c object) { c["authScheme"].(object)["key"] = "X-Secret" },
	} {
		w.want(200, "PUT", path, body)
		w.want(200, "POST", path+"/lifecycle/verify", nil)
		next := hookBody(s.url, memberships...)
		change(channelConfig(next))
		w.want(200, "PUT", path, next)
		if got := verified(); got != "UNVERIFIED" {
			t.Errorf("%s changed: still %v", name, got)
		}
	}

	w.refused(400, "E0000001", "DELETE", path, nil)
	if v := w.want(200, "POST", path+"/lifecycle/deactivate", nil).obj(); v["status"] != "INACTIVE" || v["_links"].(object)["delete"] == nil {
		t.Error(v)
	}
	if v := w.want(200, "POST", path+"/lifecycle/activate", nil).obj(); v["status"] != "ACTIVE" || v["_links"].(object)["verify"] == nil {
		t.Error(v)
	}
	w.want(200, "POST", path+"/lifecycle/deactivate", nil)
	if n := len(w.want(200, "GET", "/api/v1/eventHooks", nil).list()); n != 1 {
		t.Errorf("%d hooks", n)
	}
	w.want(204, "DELETE", path, nil)
	w.refused(404, "E0000007", "GET", path, nil)
}

func TestHookRefusals(t *testing.T) {
	t.Parallel()
	w := open(t, okta.Config{})
	good := func() object { return hookBody("https://example.com/hook", memberships...) }
	for name, spoil := range map[string]func(object){
		"http elsewhere":  func(b object) { channelConfig(b)["uri"] = "http://example.com/" },
		"no scheme":       func(b object) { channelConfig(b)["uri"] = "example.com" },
		"space in uri":    func(b object) { channelConfig(b)["uri"] = "https://example.com/a b" },
		"long uri":        func(b object) { channelConfig(b)["uri"] = "https://example.com/" + strings.Repeat("a", 1024) },
		"no name":         func(b object) { b["name"] = "" },
		"long name":       func(b object) { b["name"] = strings.Repeat("n", 256) },
		"ineligible type": func(b object) { b["events"].(object)["items"] = []string{"event_hook.delivery"} },
		"change of username": func(b object) {
			b["events"].(object)["items"] = []string{"application.user_membership.change_username"}
		},
		"no types":        func(b object) { b["events"].(object)["items"] = []string{} },
		"oauth":           func(b object) { channelConfig(b)["authScheme"] = object{"type": "OAUTH"} },
		"reserved header": func(b object) { channelConfig(b)["headers"] = []object{{"key": "accept", "value": "x"}} },
		"broken header":   func(b object) { channelConfig(b)["headers"] = []object{{"key": "X-A", "value": "a\r\nX-B: b"}} },
		"no version":      func(b object) { delete(b["channel"].(object), "version") },
		"broken filter": func(b object) {
			b["events"].(object)["filter"] = object{"eventFilterMap": []object{{"event": memberships[0], "condition": object{"expression": "event.target"}}}}
		},
		"filter of another type": func(b object) {
			b["events"].(object)["filter"] = object{"eventFilterMap": []object{{"event": "user.lifecycle.create", "condition": object{"expression": "event.eventType eq 'x'"}}}}
		},
	} {
		b := good()
		spoil(b)
		if a := w.do("POST", "/api/v1/eventHooks", b); a.status != 400 || a.code() != "E0000001" {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	w.want(200, "POST", "/api/v1/eventHooks", good())
	strict, err := okta.New(okta.Config{})
	must(t, err)
	if _, err := strict.AddHook(okta.HookConfig{Name: "h", URI: "http://127.0.0.1/", Events: memberships}); err == nil {
		t.Error("http on loopback is accepted without AllowHTTP")
	}
}

func TestAtMost25Hooks(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	w := open(t, okta.Config{})
	spare, err := w.AddHook(okta.HookConfig{Name: "spare", URI: s.url, Events: memberships})
	must(t, err)
	for range 25 {
		w.hook(s, memberships, nil)
	}
	w.refused(400, "E0000001", "POST", "/api/v1/eventHooks", hookBody(s.url, memberships...))
	if err := w.VerifyHook(t.Context(), spare.ID); err == nil {
		t.Error("a 26th hook was verified")
	}
}

func TestVerificationRetriesOnceAndFails(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{}, 2)
	for name, tc := range map[string]struct {
		answer func(n int64, w http.ResponseWriter, r *http.Request)
		ok     bool
	}{
		"second try": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("X-Okta-Verification-Challenge"))
		}, true},
		"wrong echo": {func(_ int64, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"verification":"x"}`) }, false},
		"plain echo": {func(_ int64, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header.Get("X-Okta-Verification-Challenge"))
		}, false},
		"unauthorized": {func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, false},
		"too slow": {func(_ int64, _ http.ResponseWriter, r *http.Request) {
			hanging <- struct{}{}
			<-r.Context().Done()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.answer(calls.Add(1), w, r) }))
			defer srv.Close()
			var cfg okta.Config
			if name == "too slow" {
				cfg.Settings.Timeout, cfg.Client = 50*time.Millisecond, patient(t, hanging)
			}
			w := open(t, cfg)
			h, err := w.AddHook(okta.HookConfig{Name: "my hook", URI: srv.URL, Events: memberships})
			must(t, err)
			a := w.do("POST", "/api/v1/eventHooks/"+h.ID+"/lifecycle/verify", nil)
			if tc.ok {
				if a.status != 200 || calls.Load() != 2 {
					t.Errorf("%d after %d calls", a.status, calls.Load())
				}
				return
			}
			want := any([]any{object{"errorSummary": "Unable to verify event hook. Hook my hook execution failed"}})
			if a.status != 400 || a.code() != "E0000001" || a.obj()["errorSummary"] != "Api validation failed: eventHook" ||
				!cmp.Equal(a.obj()["errorCauses"], want) || calls.Load() != 2 {
				t.Errorf("%d %v after %d calls", a.status, a.body, calls.Load())
			}
			if e := w.Events("event_hook.verified"); len(e) != 1 || e[0].Result != "FAILURE" {
				t.Errorf("System Log: %+v", e)
			}
		})
	}
}

// A display name alone does not say which target carries it.
func TestFilterProjections(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter string
		want   []string // logins whose join is delivered
	}{
		"one projection":    {`event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size()>0`, []string{"ana.silva@example.com"}},
		"two projections":   {`event.target.?[type eq 'UserGroup'].size()>0 && event.target.?[displayName eq 'Sales'].size()>0`, []string{"ana.silva@example.com", "sales@example.com"}},
		"alternateId":       {`event.target.?[alternateId eq 'bo.berg@example.com'].size() >= 1`, []string{"bo.berg@example.com"}},
		"or, parentheses":   {`event.eventType eq 'x' || (event.actor.type eq 'User' && event.target.?[displayName ne 'Sales'].size() == 2)`, []string{"bo.berg@example.com"}},
		"outcome":           {`event.outcome.result ne 'SUCCESS'`, nil},
		"doubled quote":     {`event.target.?[displayName eq 'it''s'].size()>0`, nil},
		"no such attribute": {`event.debugData.changedAttributes eq 'login'`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, nil)
			w := open(t, okta.Config{})
			sales, other := w.group("Sales"), w.group("Support")
			ana, bo := w.user("ana.silva@example.com"), w.user("bo.berg@example.com")
			named, err := w.AddUser(okta.NewUser{Login: "sales@example.com", FirstName: "Sales"})
			must(t, err)
			w.hook(s, memberships, map[string]string{memberships[0]: tc.filter})
			must(t, w.Join(ana.ID, sales.ID))
			must(t, w.Join(bo.ID, other.ID))
			must(t, w.Join(named.ID, other.ID))
			must(t, w.Leave(bo.ID, other.ID)) // a type without a filter is delivered
			w.settle()
			var got []string
			removed := 0
			for _, p := range s.got() {
				e := p.events()[0]
				if e["eventType"] == memberships[1] {
					removed++
					continue
				}
				got = append(got, e["target"].([]any)[0].(object)["alternateId"].(string))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || removed != 1 {
				t.Errorf("%s, %d removals", diff, removed)
			}
		})
	}
	w := open(t, okta.Config{})
	for _, bad := range []string{"", "true", "event.client.id eq 'x'", "event.target.?[name eq 'x'].size()>0", "event.target.?[type eq 'x']", "event.eventType eq x",
		"event.eventType eq 'x' &&", "event.eventType eq 'x", "event.target.?[type eq 'x'].size()>many", strings.Repeat("(", 1000), "event.eventType # 'x'"} {
		b := hookBody("https://example.com/", memberships...)
		b["events"].(object)["filter"] = object{"eventFilterMap": []object{{"event": memberships[0], "condition": object{"expression": bad}}}}
		if a := w.do("POST", "/api/v1/eventHooks", b); a.status != 400 {
			t.Errorf("%.40q is accepted", bad)
		}
	}
}
