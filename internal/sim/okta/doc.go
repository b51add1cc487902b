// Package okta simulates an Okta org over its own wire: users, groups, apps,
// event hooks and the System Log, with the limits, error bodies and quirks
// that Okta documents. It is a program part for users as well as for tests,
// depends on the standard library alone, and its zero Config works.
//
// # The org
//
// An [Org] is an http.Handler that serves Okta's Management API under /api/v1.
// Every call needs "Authorization: SSWS <token>" with a token of
// Config.Tokens; when that list is empty the one valid token is "dev-token".
// Identifiers, event ids and every random decision come from Config.Seed, so
// two runs that make the same changes in the same order see the same org.
//
// What an administrator does is a method ([Org.Join], [Org.Suspend], ...) and
// also an endpoint; both take the same path, write the same System Log events
// and offer them to the event hooks.
//
// # Choices where Okta's documents are silent
//
// A retry repeats the eventId of the first attempt. A redirect is a failed
// delivery and is not followed. String comparison in filter and search ignores
// case. The members of a deleted group get no remove events unless
// Settings.RemovalsOnGroupDelete is set. Deactivation ends app assignments and
// keeps group memberships. Adding a member twice, or removing one who is not
// there, is answered 204 and logs nothing. Passing 70 % of the daily event cap
// logs an event_hook.delivery entry of severity WARN. Only the hook-eligible
// event types named in events.go can be subscribed to; Okta has more.
//
// # Control
//
// The endpoints under /_sim/ need no token: they are for the person at the
// keyboard and for scripts, so bind the simulator to loopback. All speak JSON.
// {who} is a user's id or login; a group is named by id or name.
//
//	POST   /_sim/people            {login, firstName, lastName, email?, status?, groups:[..], profile:{..}, job?} or a list of them
//	GET    /_sim/people/{who}
//	PATCH  /_sim/people/{who}      profile attributes to change; null removes one
//	POST   /_sim/people/{who}/join | leave         {group, job?}: job makes it look like a group rule or an import
//	POST   /_sim/people/{who}/activate | deactivate | suspend | unsuspend | reactivate | unlock | delete
//	POST   /_sim/people/{who}/status               {status?, transitioningToStatus?}: LOCKED_OUT, RECOVERY, PASSWORD_EXPIRED, ...
//	POST   /_sim/groups            {name, description?, type?}; type OKTA_GROUP or APP_GROUP
//	PATCH  /_sim/groups/{group}    {name?, description?}
//	DELETE /_sim/groups/{group}
//	POST   /_sim/apps              {label, name?, groups:[..]}
//	GET    /_sim/state             users, groups, apps and hooks
//	GET    /_sim/stats             calls per endpoint, totals of deliveries and one record per attempt
//	GET    /_sim/settings, PATCH /_sim/settings    the switches; durations in milliseconds (batchWindowMs, ...)
//	GET    /_sim/idle?timeout=30s  answers when no delivery is pending; 504 when the time runs out first
//	POST   /_sim/hooks/{id}/preview                {event?: uuid}: without one the sample with null targets is sent
//	POST   /_sim/deliver           {hook?, events:[uuid, ..]}: one POST with exactly these events, whatever the filters say
//	POST   /_sim/reset             back to an empty org
package okta
