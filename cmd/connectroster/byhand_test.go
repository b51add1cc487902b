//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// console is Okta's Admin Console for a script: what a super administrator clicks there,
// as docs/okta-by-hand.md tells, by the calls that a browser makes for it. What is
// entered comes from the page where the page has it: events, filters, scopes.
type console struct {
	stage
	events, filters [][]string // blocks of the page
	scopes          []string
	app, group      string
}

// scriptClick is: click STEP..., by the numbers of the page's steps:
//
//	click group NAME                       1 to 3
//	click assign APP ROLE                  4 to 6
//	click hook URL NAME HEADER SECRET      7 to 11, with the events of hook-only mode
//	click events                           10, with those of access to the API
//	click filter                           12 and 13
//	click preview                          14
//	click verify                           15
//	click service PUBLICKEY                steps 2 to 5 of access to the API
//	click secret SECRET                    steps 2 and 3 of changing the secret
//	click deactivate                       step 1 of removing the hook
//	click delete                           and 2
func scriptClick(ts *testscript.TestScript, neg bool, args []string) {
	steps := map[string]func(*console, []string){
		"group": (*console).makeGroup, "assign": (*console).assign, "hook": (*console).makeHook, "events": (*console).addEvents, "filter": (*console).filter,
		"preview": (*console).preview, "verify": (*console).verify, "service": (*console).makeService, "secret": (*console).changeSecret,
		"deactivate": (*console).deactivate, "delete": (*console).deleteHook,
	}
	if neg || len(args) == 0 || steps[args[0]] == nil {
		ts.Fatalf("usage: click STEP [VALUE...]")
	}
	steps[args[0]](openConsole(ts), args[1:])
}

// openConsole reads the page.
func openConsole(ts *testscript.TestScript) *console {
	c := &console{stage: stageOf(ts)}
	text, err := os.ReadFile(filepath.Join(root, "docs", "okta-by-hand.md"))
	ts.Check(err)
	for _, m := range regexp.MustCompile(`(?m)(?:^    \S.*\n)+`).FindAllString(string(text), -1) {
		switch block := strings.Fields(m); {
		case strings.Contains(m, "event.target.?"):
			c.filters = append(c.filters, []string{strings.TrimSpace(m)})
		case regexp.MustCompile(`^(group|user|application)\.`).MatchString(block[0]):
			c.events = append(c.events, block)
		}
	}
	if len(c.events) != 2 || len(c.filters) != 3 {
		ts.Fatalf("the page has %d lists of events and %d filters: is the test still able to see them?", len(c.events), len(c.filters))
	}
	_, section, _ := strings.Cut(string(text), `On the tab "Okta API Scopes", grant`)
	section, _, _ = strings.Cut(section, ". Only a super administrator")
	for _, m := range regexp.MustCompile("`(okta\\.[a-zA-Z.]+)`").FindAllStringSubmatch(section, -1) {
		c.scopes = append(c.scopes, m[1])
	}
	c.app, c.group = ts.Getenv("APP"), ts.Getenv("GROUP")
	return c
}

// api calls Okta as the administrator, and gives the answer.
func (c *console) api(method, path string, body any) map[string]any {
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		c.ts.Check(err)
	}
	status, answer, err := call(method, c.okta+path, []string{"Authorization: SSWS dev-token-of-the-simulator", "Content-Type: application/json"}, text)
	c.ts.Check(err)
	if status >= 400 {
		c.ts.Fatalf("%s %s: status %d: %s", method, path, status, answer)
	}
	var out map[string]any
	if strings.HasPrefix(answer, "[") {
		var list []map[string]any
		c.ts.Check(json.Unmarshal([]byte(answer), &list))
		if len(list) != 1 {
			c.ts.Fatalf("%s %s gives %d, want one", method, path, len(list))
		}
		return list[0]
	}
	if answer != "" {
		c.ts.Check(json.Unmarshal([]byte(answer), &out))
	}
	return out
}

func (c *console) makeGroup(args []string) {
	made := c.api(http.MethodPost, "/api/v1/groups", map[string]any{"profile": map[string]string{"name": args[0]}})
	id := made["id"].(string)
	if !strings.HasPrefix(id, "00g") {
		c.ts.Fatalf("the id of a group begins with 00g, the page says, and this is %s", id)
	}
	c.ts.Setenv("GROUP", id)
}

func (c *console) assign(args []string) {
	var state struct {
		Apps []struct{ ID, Label string }
	}
	c.do(http.MethodGet, c.okta+"/_sim/state", nil, &state)
	for _, app := range state.Apps {
		if app.Label == args[0] {
			c.ts.Setenv("APP", app.ID)
			c.api(http.MethodPut, "/api/v1/apps/"+app.ID+"/groups/"+c.group, map[string]any{"profile": map[string]any{"role": args[1], "samlRoles": []string{args[1]}}})
			return
		}
	}
	c.ts.Fatalf("there is no app %q", args[0])
}

func (c *console) makeHook(args []string) {
	c.ts.Setenv("ENTERED", args[3])
	c.api(http.MethodPost, "/api/v1/eventHooks", map[string]any{
		"name": args[1], "events": map[string]any{"type": "EVENT_TYPE", "items": c.events[0]},
		"channel": channel(args[0], args[2], args[3]),
	})
}

// channel is where a hook calls, with which header.
func channel(url, header, secret string) map[string]any {
	return map[string]any{"type": "HTTP", "version": "1.0.0", "config": map[string]any{
		"uri": url, "authScheme": map[string]string{"type": "HEADER", "key": header, "value": secret},
	}}
}

// change saves the hook with other members. The secret is entered once and never shown;
// the console knows it until the page is left.
func (c *console) change(members map[string]any) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	where := hook["channel"].(map[string]any)["config"].(map[string]any)
	header, _ := where["authScheme"].(map[string]any)["key"].(string)
	body := map[string]any{"name": hook["name"], "events": hook["events"], "channel": channel(where["uri"].(string), header, c.ts.Getenv("ENTERED"))}
	for key, value := range members {
		body[key] = value
	}
	c.api(http.MethodPut, "/api/v1/eventHooks/"+hook["id"].(string), body)
}

func (c *console) addEvents([]string) {
	c.change(map[string]any{"events": map[string]any{"type": "EVENT_TYPE", "items": c.events[1]}})
}

// filter enters the expressions of the page, with the ids in them, where the page says.
func (c *console) filter([]string) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	enter := func(filter []string, id string) string {
		return regexp.MustCompile(`'0[0a-z]+1a2b3c4d5e6f7g8h9'`).ReplaceAllString(filter[0], "'"+id+"'")
	}
	var list []map[string]any
	var items []string
	for _, item := range hook["events"].(map[string]any)["items"].([]any) {
		event := item.(string)
		items = append(items, event)
		var expression string
		switch {
		case strings.HasPrefix(event, "group.") && event != "group.lifecycle.create":
			expression = enter(c.filters[0], c.group)
		case strings.HasPrefix(event, "application."):
			expression = enter(c.filters[1], c.app)
		default:
			continue
		}
		list = append(list, map[string]any{"event": event, "condition": map[string]string{"expression": expression}})
	}
	c.change(map[string]any{"events": map[string]any{"type": "EVENT_TYPE", "items": items, "filter": map[string]any{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": list}}})
}

func (c *console) preview([]string) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	var answer map[string]any
	c.do(http.MethodPost, c.okta+"/_sim/hooks/"+hook["id"].(string)+"/preview", map[string]string{}, &answer)
	if text, err := json.Marshal(answer); err != nil || !strings.Contains(string(text), "204") {
		c.ts.Fatalf("the answer must be 204, the page says: %s", text)
	}
}

func (c *console) verify([]string) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	if hook["verificationStatus"] == "VERIFIED" {
		c.ts.Fatalf("the hook is verified already, so the page says too much")
	}
	got := c.api(http.MethodPost, "/api/v1/eventHooks/"+hook["id"].(string)+"/lifecycle/verify", nil)
	if got["verificationStatus"] != "VERIFIED" {
		c.ts.Fatalf("the status must become Verified, the page says: %v", got)
	}
}

// makeService makes the API Services app. Its client id and the id of its key come into
// variables.
func (c *console) makeService(args []string) {
	want := []string{"okta.apps.read", "okta.groups.read", "okta.logs.read", "okta.users.read"}
	if scopes := slices.Sorted(slices.Values(c.scopes)); !slices.Equal(scopes, want) {
		c.ts.Fatalf("the page grants %q, want %q", scopes, want)
	}
	var made struct {
		ClientID string
		Keys     []string
	}
	c.do(http.MethodPost, c.okta+"/_sim/clients", map[string]any{"pem": c.ts.ReadFile(args[0]), "scopes": c.scopes, "roles": []string{"READ_ONLY_ADMIN"}, "dpop": true}, &made)
	c.ts.Setenv("CLIENT", made.ClientID)
	c.ts.Setenv("KID", made.Keys[0])
}

func (c *console) changeSecret(args []string) {
	c.ts.Setenv("ENTERED", args[0])
	c.change(nil)
}

func (c *console) deactivate([]string) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	c.api(http.MethodPost, "/api/v1/eventHooks/"+hook["id"].(string)+"/lifecycle/deactivate", nil)
}

func (c *console) deleteHook([]string) {
	hook := c.api(http.MethodGet, "/api/v1/eventHooks", nil)
	c.api(http.MethodDelete, "/api/v1/eventHooks/"+hook["id"].(string), nil)
}
