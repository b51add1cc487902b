package okta

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// eventType is what the System Log says of one kind of event.
type eventType struct {
	message, legacy string
	hooks           bool // event-hook-eligible
}

// eventTypes are the events that this org can raise and those that a hook may
// subscribe to although nothing here raises them. Messages and legacy names of
// the first block agree with published events, the rest follow their pattern.
var eventTypes = map[string]eventType{
	"group.user_membership.add":          {"Add user to group membership", "core.user_group_member.user_add", true},
	"group.user_membership.remove":       {"Remove user from group membership", "core.user_group_member.user_remove", true},
	"application.user_membership.add":    {"Add user to application membership", "app.generic.provision.assign_user_to_app", true},
	"application.user_membership.remove": {"Remove user's application membership", "app.generic.provision.deactivate_user_from_app", true},
	"user.lifecycle.deactivate":          {"Deactivate Okta User", "core.user.config.user_deactivated", true},
	"user.account.update_profile":        {"Update user profile for Okta", "core.user.config.profile_update.success", true},

	"user.lifecycle.create":           {"Create okta user", "core.user.config.user_creation.success", true},
	"user.lifecycle.activate":         {"Activate Okta user", "core.user.config.user_activated", true},
	"user.lifecycle.suspend":          {"Suspend Okta user", "core.user.config.user_status.suspended", true},
	"user.lifecycle.unsuspend":        {"Unsuspend Okta user", "core.user.config.user_status.unsuspended", true},
	"user.lifecycle.reactivate":       {"Reactivate Okta user", "core.user.config.user_status.reactivated", true},
	"user.lifecycle.delete.initiated": {"Delete Okta user initiated", "", true},
	"user.lifecycle.delete.completed": {"Delete Okta user completed", "", false},
	"user.account.lock":               {"Max sign in attempts exceeded", "core.user_auth.account_locked", true},
	"user.account.unlock_by_admin":    {"User account unlock by admin", "", true},

	"group.lifecycle.create":              {"Create Okta group", "", true},
	"group.lifecycle.delete":              {"Delete Okta group", "", true},
	"group.profile.update":                {"Okta group profile updated", "", true},
	"group.application_assignment.add":    {"Add group to application membership", "", true},
	"group.application_assignment.remove": {"Remove group from application membership", "", true},
	"group.application_assignment.update": {"Update group application membership", "", true},

	"application.user_membership.change_username": {"Change user's application username", "", false},

	"user.account.update_primary_email": {"Update primary email for user", "", false},

	"group.user_membership.rule.trigger":     {"Group rule triggered", "", false},
	"group.user_membership.rule.deactivated": {"Group rule deactivated", "", false},

	"event_hook.created":     {"Create event hook", "", false},
	"event_hook.updated":     {"Update event hook", "", false},
	"event_hook.deleted":     {"Delete event hook", "", false},
	"event_hook.activated":   {"Activate event hook", "", false},
	"event_hook.deactivated": {"Deactivate event hook", "", false},
	"event_hook.verified":    {"Verify event hook", "", false},
	"event_hook.delivery":    {"Event hook delivery", "", false},

	"user.account.unlock":                                  {"User account unlock", "", true},
	"application.user_membership.update":                   {"Update user's application membership", "", true},
	"system.import.group.create":                           {"Create group through import", "", true},
	"system.import.group.delete":                           {"Delete group through import", "", true},
	"system.org.rate_limit.warning":                        {"Rate limit warning", "", true},
	"system.org.rate_limit.violation":                      {"Rate limit violation", "", true},
	"application.provision.user.push":                      {"Push new user to application", "", true},
	"application.provision.user.push_profile":              {"Push user's profile to application", "", true},
	"application.provision.user.reactivate":                {"Reactivate user in application", "", true},
	"application.provision.user.import_profile":            {"Import user's profile from application", "", true},
	"app.user_management.user_group_import.upsert_success": {"Import group of users", "", true},
}

// event is one System Log event, in a form from which both the log's and the
// hook's are written. It does not change once it is logged.
type event struct {
	uuid, kind, severity string
	published, persisted time.Time
	actor                actor
	outcome              outcome
	targets              []target
	transaction          transaction
	debug                map[string]string
	session              string
	web                  bool // came from a client, not from a job
	preview              bool // the console's sample, with nulls everywhere
}

// EventRecord is a System Log event in short.
type EventRecord struct {
	UUID      string    `json:"uuid"`
	Type      string    `json:"type"`
	Published time.Time `json:"published"`
	Result    string    `json:"result"`
	Targets   []string  `json:"targets"` // ids
}

type actor struct {
	ID          string  `json:"id"`
	Type        string  `json:"type"`
	AlternateID string  `json:"alternateId"`
	DisplayName string  `json:"displayName"`
	DetailEntry *object `json:"detailEntry"`
}

type target actor

type outcome struct {
	Result string `json:"result"`
	Reason string `json:"-"`
}

// MarshalJSON writes an empty reason as null.
func (o outcome) MarshalJSON() ([]byte, error) {
	return json.Marshal(object{"result": o.Result, "reason": textOrNull(o.Reason)})
}

type transaction struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Detail object `json:"detail"`
}

var systemActor = actor{ID: "okta-system-principal", Type: "SystemPrincipal", AlternateID: "system@okta.com", DisplayName: "Okta System"}

// emit logs an administrator's successful change and offers it to the hooks.
func (o *Org) emit(c cause, kind string, debug map[string]string, targets ...target) {
	e := o.newEvent(&o.mint, kind, o.admin, outcome{Result: "SUCCESS"}, targets)
	e.web = !c.job
	if e.web {
		request := o.mint.id("req")
		e.transaction = transaction{"WEB", request, object{}}
		maps.Copy(e.debug, map[string]string{"requestId": request, "requestUri": c.uri, "url": c.uri + "?"})
	}
	maps.Copy(e.debug, debug)
	o.record(e)
}

// emitSystem logs what Okta itself did.
func (o *Org) emitSystem(kind string, out outcome, targets ...target) {
	o.record(o.newEvent(&o.mint, kind, systemActor, out, targets))
}

func (o *Org) newEvent(m *mint, kind string, by actor, out outcome, targets []target) *event {
	now := o.now()
	return &event{
		uuid: m.uuid(), kind: kind, severity: "INFO", published: now, persisted: now, actor: by, outcome: out, targets: targets,
		transaction: transaction{"JOB", m.id("eru"), object{}}, session: m.id("trs"),
		debug: map[string]string{"threatSuspected": "false"},
	}
}

// record persists an event and hands it to the hooks that want it.
func (o *Org) record(e *event) {
	subscribed := o.subscribers(e)
	if len(subscribed) > 0 {
		ids := make([]string, len(subscribed))
		for i, h := range subscribed {
			ids[i] = h.id
		}
		e.debug["targetEventHookIds"] = strings.Join(ids, ",")
	}
	o.byUUID[e.uuid] = e
	o.persist()
	if every := max(o.set.LateEvery, 1); o.set.LogDelay > 0 && len(o.byUUID)%every == 0 {
		e.persisted = e.persisted.Add(o.set.LogDelay)
		at := slices.IndexFunc(o.late, func(l *event) bool { return l.persisted.After(e.persisted) })
		if at < 0 {
			at = len(o.late)
		}
		o.late = slices.Insert(o.late, at, e)
	} else {
		o.log = append(o.log, e)
	}
	o.offer(e, subscribed)
}

// persist moves late events whose time has come into the log.
func (o *Org) persist() {
	now, n := o.now(), 0
	for n < len(o.late) && !o.late[n].persisted.After(now) {
		n++
	}
	o.log = append(o.log, o.late[:n]...)
	o.late = slices.Delete(o.late, 0, n)
}

// Events returns the System Log in the order of persistence, with events that
// are not in it yet at the end: all of it, or those of the given types.
func (o *Org) Events(types ...string) []EventRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []EventRecord{}
	for _, e := range slices.Concat(o.log, o.late) {
		if len(types) > 0 && !slices.Contains(types, e.kind) {
			continue
		}
		ids := make([]string, len(e.targets))
		for i, t := range e.targets {
			ids[i] = t.ID
		}
		out = append(out, EventRecord{e.uuid, e.kind, e.published, e.outcome.Result, ids})
	}
	return out
}

// core is what the two forms share.
func (e *event) core() object {
	debug := object{}
	for k, v := range e.debug {
		debug[k] = v
	}
	v := object{
		"uuid": e.uuid, "published": stamp(e.published), "eventType": e.kind, "version": "0",
		"displayMessage": eventTypes[e.kind].message, "severity": e.severity,
		"client": e.client(), "actor": e.actor, "outcome": e.outcome, "target": e.targets, "transaction": e.transaction,
		"debugContext": object{"debugData": debug}, "legacyEventType": textOrNull(eventTypes[e.kind].legacy),
		"authenticationContext": object{"authenticationProvider": nil, "credentialProvider": nil, "credentialType": nil, "issuer": nil,
			"authenticationStep": 0, "externalSessionId": e.session, "interface": nil, "rootSessionId": nil},
		"securityContext": object{"asNumber": nil, "asOrg": nil, "isp": nil, "domain": nil, "isProxy": nil},
	}
	if e.preview {
		v["actor"], v["target"], v["debugContext"], v["securityContext"] = nil, nil, nil, nil
		v["transaction"] = object{"type": nil, "id": e.transaction.ID, "detail": nil}
	}
	return v
}

// logForm is the event as GET /api/v1/logs shows it.
func (e *event) logForm() object {
	v := e.core()
	v["request"] = object{"ipChain": e.ipChain()}
	return v
}

// hookForm is the event as a delivery carries it.
func (e *event) hookForm() object {
	v := e.core()
	client := v["client"].(object)
	client["ipChain"] = e.ipChain()
	if e.preview {
		client["ipChain"] = nil
		client["ipAddress"], client["geographicalContext"] = adminIP, adminPlace()
	}
	if e.web {
		v["debugContext"].(object)["debugData"].(object)["dtHash"] = strings.Repeat("0", 64)
	}
	v["device"], v["insertionTimestamp"] = nil, nil
	return v
}

const adminIP = "203.0.113.10"

func adminPlace() object {
	return object{"city": "Toronto", "state": "Ontario", "country": "Canada", "postalCode": "M5V",
		"geolocation": object{"lat": 43.6426, "lon": -79.3871}}
}

func (e *event) client() object {
	if !e.web {
		return object{"userAgent": nil, "zone": nil, "device": nil, "id": nil, "ipAddress": nil, "geographicalContext": nil}
	}
	return object{
		"userAgent": object{"rawUserAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
			"os": "Linux", "browser": "CHROME"},
		"zone": "null", "device": "Computer", "id": nil, "ipAddress": adminIP, "geographicalContext": adminPlace(),
	}
}

func (e *event) ipChain() []object {
	if !e.web {
		return []object{}
	}
	return []object{{"ip": adminIP, "geographicalContext": adminPlace(), "version": "V4", "source": nil}}
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
