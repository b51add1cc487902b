package okta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxHooks      = 25  // active and verified, per org
	maxHookEvents = 300 // types per hook
	maxURI        = 1024
)

// Header is one header that an event hook sends along.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// HookConfig describes an event hook to add.
type HookConfig struct {
	Name       string
	URI        string            // https://..., or http:// on loopback with Config.AllowHTTP
	Events     []string          // hook-eligible event types
	Filters    map[string]string // event type -> expression
	AuthHeader string            // name of the header with the secret; empty: Authorization
	AuthValue  string            // the secret; empty: no such header
	Headers    []Header
}

// Hook is one event hook. The secret is never shown.
type Hook struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	URI      string   `json:"uri"`
	Events   []string `json:"events"`
	Active   bool     `json:"active"`
	Verified bool     `json:"verified"`
}

type hook struct {
	id, name, by     string
	description      *string
	created, updated time.Time
	active, verified bool
	items            []string
	exprs            []hookExpr
	filters          map[string]hookFilter
	channel          channel

	queue []queued
	pumps int           // goroutines that serve the queue
	wake  chan struct{} // tells a waiting pump to look again
}

type hookExpr struct{ event, expression string }

// channel is where and how a hook delivers. Any change of it ends verification.
type channel struct {
	uri, authKey, authValue, version string
	headers                          []Header
}

func (c channel) equal(d channel) bool {
	return c.uri == d.uri && c.authKey == d.authKey && c.authValue == d.authValue && c.version == d.version && slices.Equal(c.headers, d.headers)
}

func (h *hook) listening() bool { return h.active && h.verified }

func (h *hook) target() target {
	return target{ID: h.id, Type: "EventHook", AlternateID: "unknown", DisplayName: h.name}
}

func (h *hook) export() Hook {
	return Hook{h.id, h.name, h.channel.uri, slices.Clone(h.items), h.active, h.verified}
}

// poke makes a waiting pump look at the queue and the settings again.
func (h *hook) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hookBody is a hook as a client writes it.
type hookBody struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Status      string  `json:"status"`
	Events      struct {
		Type   string   `json:"type"`
		Items  []string `json:"items"`
		Filter *struct {
			Type           string `json:"type"`
			EventFilterMap []struct {
				Event     string `json:"event"`
				Condition struct {
					Expression string `json:"expression"`
				} `json:"condition"`
			} `json:"eventFilterMap"`
		} `json:"filter"`
	} `json:"events"`
	Channel struct {
		Type    string `json:"type"`
		Version string `json:"version"`
		Config  struct {
			URI        string   `json:"uri"`
			Headers    []Header `json:"headers"`
			AuthScheme *struct {
				Type  string `json:"type"`
				Key   string `json:"key"`
				Value string `json:"value"`
			} `json:"authScheme"`
		} `json:"config"`
	} `json:"channel"`
}

// apply checks the whole body and then replaces the hook's content with it.
// Verification survives only an unchanged channel.
func (o *Org) apply(h *hook, b *hookBody) error {
	if n := utf8.RuneCountInString(b.Name); n < 1 || n > 255 {
		return invalid("name", "name: want 1 to 255 characters")
	}
	if b.Status != "" && b.Status != "ACTIVE" && b.Status != "INACTIVE" {
		return invalid("status", "status: want ACTIVE or INACTIVE")
	}
	if b.Channel.Type != "HTTP" || b.Channel.Version == "" {
		return invalid("channel", "channel: want type HTTP and a version")
	}
	if err := o.checkItems(b.Events.Type, b.Events.Items); err != nil {
		return err
	}
	next := channel{uri: b.Channel.Config.URI, version: b.Channel.Version, headers: b.Channel.Config.Headers}
	if err := o.checkURI(next.uri); err != nil {
		return err
	}
	if a := b.Channel.Config.AuthScheme; a != nil {
		if a.Type != "HEADER" || !headerName(a.Key) || !headerValue(a.Value) {
			return invalid("channel.config.authScheme", "authScheme: want type HEADER and a header's key and value")
		}
		next.authKey, next.authValue = a.Key, a.Value
	}
	for _, kv := range next.headers {
		if !headerName(kv.Key) || !headerValue(kv.Value) || slices.Contains(reservedHeaders, strings.ToLower(kv.Key)) {
			return invalid("channel.config.headers", "headers: "+kv.Key+" cannot be set")
		}
	}
	filters, exprs := map[string]hookFilter{}, []hookExpr{}
	if b.Events.Filter != nil {
		if o.set.HookFiltersOff && len(b.Events.Filter.EventFilterMap) > 0 {
			return invalid("events.filter", "filter: Event hook filtering is not enabled in this org")
		}
		for _, m := range b.Events.Filter.EventFilterMap {
			f, err := parseHookFilter(m.Condition.Expression)
			if err == nil && !slices.Contains(b.Events.Items, m.Event) {
				err = errors.New("the hook does not subscribe to it")
			}
			if err != nil {
				return invalid("eventFilterMap", "filter of "+m.Event+": "+err.Error())
			}
			filters[m.Event] = f
			exprs = append(exprs, hookExpr{m.Event, m.Condition.Expression})
		}
	}
	active := h.active
	if b.Status != "" {
		active = b.Status == "ACTIVE"
	}
	h.verified = h.verified && h.channel.equal(next)
	h.name, h.description, h.active, h.updated = b.Name, b.Description, active, o.now()
	h.items, h.filters, h.exprs, h.channel = b.Events.Items, filters, exprs, next
	return nil
}

// reservedHeaders belong to Okta.
var reservedHeaders = []string{"accept", "content-type", "content-length", "host", "user-agent", "connection", "transfer-encoding",
	"x-okta-request-id", "x-okta-verification-challenge"}

func headerName(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) })
}

func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func (o *Org) checkItems(kind string, items []string) error {
	if kind != "EVENT_TYPE" || len(items) == 0 || len(items) > maxHookEvents {
		return invalid("events", "events: want type EVENT_TYPE and 1 to 300 items")
	}
	for _, t := range items {
		if !eventTypes[t].hooks {
			return invalid("events", "events: "+t+" is not eligible for event hooks")
		}
	}
	return nil
}

func (o *Org) checkURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || len(uri) > maxURI || strings.ContainsFunc(uri, unicode.IsSpace) {
		return invalid("channel.config.uri", "uri: want an absolute https:// URL of at most 1024 characters")
	}
	if u.Scheme == "https" || u.Scheme == "http" && o.cfg.AllowHTTP && loopback(u.Hostname()) {
		return nil
	}
	return invalid("channel.config.uri", "uri: must start with https://")
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (o *Org) listeners() int {
	n := 0
	for h := range o.hooks.all("") {
		if h.listening() {
			n++
		}
	}
	return n
}

// insertHook adds a hook: ACTIVE and UNVERIFIED.
func (o *Org) insertHook(c cause, b *hookBody) (*hook, error) {
	if o.listeners() >= maxHooks {
		return nil, invalid("eventHook", "The org has 25 active and verified event hooks already")
	}
	h := &hook{by: o.admin.ID, active: true, created: o.now(), wake: make(chan struct{}, 1)}
	if err := o.apply(h, b); err != nil {
		return nil, err
	}
	h.id = o.mint.id("who")
	o.hooks.put(h.id, h)
	o.emit(c, "event_hook.created", nil, h.target())
	return h, nil
}

func (h *hook) view(c *call) object {
	self := c.base + "/api/v1/eventHooks/" + h.id
	status, verification := "INACTIVE", "UNVERIFIED"
	links := object{"self": href(self), "activate": href(self+"/lifecycle/activate", "POST"), "delete": href(self, "DELETE")}
	if h.active {
		status = "ACTIVE"
		links = object{"self": href(self), "verify": href(self+"/lifecycle/verify", "POST"), "deactivate": href(self+"/lifecycle/deactivate", "POST")}
	}
	if h.verified {
		verification = "VERIFIED"
	}
	var filter any
	if len(h.exprs) > 0 {
		list := make([]object, len(h.exprs))
		for i, e := range h.exprs {
			list[i] = object{"event": e.event, "condition": object{"version": nil, "expression": e.expression}}
		}
		filter = object{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": list}
	}
	config := object{"uri": h.channel.uri, "headers": append([]Header{}, h.channel.headers...), "method": "POST"}
	if h.channel.authKey != "" {
		config["authScheme"] = object{"type": "HEADER", "key": h.channel.authKey}
	}
	return object{
		"id": h.id, "status": status, "verificationStatus": verification, "name": h.name, "description": h.description,
		"created": stamp(h.created), "createdBy": h.by, "lastUpdated": stamp(h.updated),
		"events":  object{"type": "EVENT_TYPE", "items": h.items, "filter": filter},
		"channel": object{"type": "HTTP", "version": h.channel.version, "config": config},
		"_links":  links,
	}
}

// AddHook registers an event hook: active, and silent until it is verified.
func (o *Org) AddHook(cfg HookConfig) (Hook, error) {
	type m = object
	filters := []m{}
	for _, t := range cfg.Events {
		if expr := cfg.Filters[t]; expr != "" {
			filters = append(filters, m{"event": t, "condition": m{"expression": expr}})
		}
	}
	channel := m{"uri": cfg.URI, "headers": cfg.Headers}
	if cfg.AuthValue != "" {
		key := cfg.AuthHeader
		if key == "" {
			key = "Authorization"
		}
		channel["authScheme"] = m{"type": "HEADER", "key": key, "value": cfg.AuthValue}
	}
	raw, err := json.Marshal(m{"name": cfg.Name,
		"events":  m{"type": "EVENT_TYPE", "items": cfg.Events, "filter": m{"type": "EXPRESSION_LANGUAGE", "eventFilterMap": filters}},
		"channel": m{"type": "HTTP", "version": "1.0.0", "config": channel}})
	if err != nil {
		return Hook{}, fmt.Errorf("add hook: %w", err)
	}
	var b hookBody
	if err := json.Unmarshal(raw, &b); err != nil {
		return Hook{}, fmt.Errorf("add hook: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h, err := o.insertHook(cause{uri: "/api/v1/eventHooks"}, &b)
	if err != nil {
		return Hook{}, err
	}
	return h.export(), nil
}

// Hooks returns all event hooks in order of creation.
func (o *Org) Hooks() []Hook {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []Hook{}
	for h := range o.hooks.all("") {
		out = append(out, h.export())
	}
	return out
}

// VerifyHook asks a hook's endpoint to echo a challenge: one GET, with the
// hook's headers and secret, and one more after a timeout or any error. Either
// way the System Log says event_hook.verified.
func (o *Org) VerifyHook(ctx context.Context, id string) error {
	o.mu.Lock()
	h := o.hooks.rows[id]
	if h == nil {
		o.mu.Unlock()
		return notFound(id, "EventHook")
	}
	ch, timeout := h.channel, o.set.timeout()
	challenge, request := o.back.letters(40), o.mint.reply("req")
	o.mu.Unlock()

	err := o.challenge(ctx, ch, challenge, request, timeout)
	if err != nil {
		err = o.challenge(ctx, ch, challenge, request, timeout)
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.newEvent(&o.back, "event_hook.verified", o.admin, outcome{Result: "SUCCESS"}, []target{h.target()})
	switch {
	case err != nil:
		e.outcome = outcome{Result: "FAILURE", Reason: shorten(err.Error())}
	case !h.channel.equal(ch):
		err = errors.New("the hook changed meanwhile")
	case !h.verified && h.active && o.listeners() >= maxHooks:
		err = errors.New("25 event hooks are active and verified already")
	default:
		h.verified = true
	}
	o.record(e) //nolint:contextcheck // deliveries of this event end with the org, not with the caller
	if err != nil {
		return invalid("eventHook", "Unable to verify event hook. Hook "+h.name+" execution failed")
	}
	return nil
}

// challenge performs one verification request.
func (o *Org) challenge(ctx context.Context, ch channel, challenge, request string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := ch.request(ctx, http.MethodGet, nil, request)
	if err != nil {
		return err
	}
	req.Header.Set("X-Okta-Verification-Challenge", challenge)
	resp, err := o.client.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("http %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return unreachable(err)
	}
	var echo struct {
		Verification string `json:"verification"`
	}
	if json.Unmarshal(body, &echo) != nil || echo.Verification != challenge {
		return errors.New("the challenge was not echoed")
	}
	return nil
}

func (o *Org) listHooks(c *call) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []object{}
	for h := range o.hooks.all("") {
		out = append(out, h.view(c))
	}
	return out, nil
}

func (o *Org) createHook(c *call) (any, error) {
	var b hookBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	b.Status = "" // a new hook is active
	o.mu.Lock()
	defer o.mu.Unlock()
	h, err := o.insertHook(c.cause(), &b)
	if err != nil {
		return nil, err
	}
	return h.view(c), nil
}

func (o *Org) onHook(c *call, do func(*hook) (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hooks.rows[c.r.PathValue("id")]
	if h == nil {
		return nil, notFound(c.r.PathValue("id"), "EventHook")
	}
	return do(h)
}

func (o *Org) getHook(c *call) (any, error) {
	return o.onHook(c, func(h *hook) (any, error) { return h.view(c), nil })
}

func (o *Org) replaceHook(c *call) (any, error) {
	var b hookBody
	if err := c.decode(&b); err != nil {
		return nil, err
	}
	return o.onHook(c, func(h *hook) (any, error) {
		if err := o.apply(h, &b); err != nil {
			return nil, err
		}
		o.emit(c.cause(), "event_hook.updated", nil, h.target())
		return h.view(c), nil
	})
}

// deleteHook refuses an active hook.
func (o *Org) deleteHook(c *call) (any, error) {
	return o.onHook(c, func(h *hook) (any, error) {
		if h.active {
			return nil, invalid("eventHook", "An event hook must be deactivated before it can be deleted")
		}
		o.hooks.remove(h.id)
		o.emit(c.cause(), "event_hook.deleted", nil, h.target())
		return nil, nil
	})
}

func (o *Org) changeHook(c *call) (any, error) {
	switch c.r.PathValue("verb") {
	case "verify":
		if err := o.VerifyHook(c.r.Context(), c.r.PathValue("id")); err != nil {
			return nil, err
		}
		return o.getHook(c)
	case "activate":
		return o.onHook(c, func(h *hook) (any, error) {
			if !h.active && h.verified && o.listeners() >= maxHooks {
				return nil, invalid("eventHook", "The org has 25 active and verified event hooks already")
			}
			h.active, h.updated = true, o.now()
			o.emit(c.cause(), "event_hook.activated", nil, h.target())
			return h.view(c), nil
		})
	case "deactivate":
		return o.onHook(c, func(h *hook) (any, error) {
			h.active, h.updated = false, o.now()
			o.emit(c.cause(), "event_hook.deactivated", nil, h.target())
			return h.view(c), nil
		})
	}
	return nil, fail(http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
}
