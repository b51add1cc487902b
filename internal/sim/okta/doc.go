// Package okta simulates an Okta org over its own wire: users, groups and their
// rules, apps, event hooks, the System Log and OAuth for service apps, with the
// limits, error bodies, quirks and failures that Okta documents or shows. It is a program part for users as well as for tests,
// depends on the standard library alone, and its zero Config works.
//
// # The org
//
// An [Org] is an http.Handler that serves Okta's Management API under /api/v1
// and the org's own token endpoint, /oauth2/v1/token, and tells everybody its id
// at /.well-known/okta-organization. A call of the API needs
// "Authorization: SSWS <token>" with a token of Config.Tokens (when that list
// is empty the one valid token is "dev-token"), or an access token of an API
// client. Clients sign in with private_key_jwt and, where they have to, DPoP;
// signatures, times and replays are checked for real. Each endpoint needs its
// scope, and each caller an admin role that covers it: without one lists are
// empty, single objects are not found and changes are forbidden.
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
// Settings.RemovalsOnGroupDelete is set, and every membership that a job changes is
// logged unless Settings.SilentJobs is. Deactivation ends app assignments and
// keeps group memberships. Adding a member twice, or removing one who is not
// there, is answered 204 and logs nothing. Passing 70 % of the daily event cap
// logs an event_hook.delivery entry of severity WARN. Only the hook-eligible
// event types named in events.go can be subscribed to; Okta has more.
//
// A manage scope does not stand for the read scope of its resource. A client
// with one key may leave kid out. A proof of possession that nobody asked for
// is ignored. iat of a proof may be off by five minutes either way, that of an
// assertion may be five minutes ahead. A next link of the System Log works
// whatever became of the since in it. A 429 for too many calls at once has a
// limit and remaining of 0 and a reset one minute ahead. A changed e-mail is
// told as user.account.update_primary_email when it comes from the user's own
// confirmation, as user.account.update_profile when an administrator writes it.
// A group rule looks at a user at once when the user's profile or status
// changes; it takes out only whom it put in; switching it off, and
// deactivating the user, leaves memberships as they are.
//
// # Faults
//
// [Org.AddFaults] plans what goes wrong with which call: by endpoint, id and
// page of a list, from the n-th call on. [Fault] lists the kinds. Settings hold
// what is wrong all the time: late and lagging data, limits and their odd
// headers, missing features.
//
// # Control
//
// The endpoints under /_sim/ need no token: they are for the person at the
// keyboard and for scripts, so bind the simulator to loopback. All speak JSON.
// {who} is a user's id or login; a group is named by id or name. control.txt lists
// the routes, and so does GET /_sim/.
package okta
