// Package connect simulates one Amazon Connect instance over its own wire
// protocol (rest-json), so that a client built on any AWS SDK talks to it
// unchanged: point AWS_ENDPOINT_URL_CONNECT at a server whose handler is an
// [Instance]. It knows the whole life of an agent: the user operations,
// proficiencies, the hierarchy, presence, quick connects, tags and the catalogue
// an agent refers to; [Instance.Operations] names them. An operation it lacks is
// answered with UnknownOperationException. Beside it stands GetServiceQuota of
// Service Quotas, for the quota of users: POST / with its X-Amz-Target.
//
// It is strict where the documentation is clear (constraints, existence of
// referenced ids, mutual exclusions, request rates) and has a switch in
// [Settings] where the documentation is silent or contradicts itself. The rules
// come from the API reference and service model 2017-08-08.
//
// # Readings of unclear documentation
//
//   - A missing required member is InvalidRequestException, a violated
//     constraint InvalidParameterException.
//   - UpdateUserPhoneConfig replaces: members left out are false, 0 or empty.
//     It rewrites the lists per channel that the agent has: the same limit for
//     all channels, the rest for VOICE.
//   - UpdateUserConfig leaves alone the lists left out; what it says about VOICE
//     also shows in PhoneConfig. A limit left out of AfterContactWorkConfig is 0.
//   - Changes of tags, proficiencies and presence do not move LastModifiedTime;
//     proficiencies have a time of their own.
//   - Security profiles are a set: they come back sorted, not as sent. So do
//     proficiencies, by attribute and value.
//   - An agent holds a value of a predefined attribute at most once. Levels are
//     whole; an unknown attribute or value is ResourceNotFoundException.
//   - All conditions of one ListCondition must hold for the same proficiency. A
//     comparison with one bound takes it from MinValue or MaxValue.
//   - The level of a proficiency is called limit in a NumberCondition, after the
//     type of its bounds in the service model, ProficiencyLimitValue. Another name
//     is refused.
//   - Agents begin offline. GetCurrentUserData leaves out those who are offline
//     and have no contact, and wants exactly one filter besides ContactFilter.
//   - Every contact fills a slot of its channel, after-contact work (ENDED) too.
//     PutUserStatus waits for the last of them.
//   - Deleting an agent ends its contacts and leaves its quick connects.
//   - There is one contact flow, which transfers to an agent; the queues are
//     those of the routing profiles.
//
// # Control
//
// Everything below /_sim/ is the simulator's own and speaks JSON. It has no
// authentication: serve it on loopback only. Durations are Go strings ("250ms").
// A refused request answers 4xx with {"error": "..."}. control.txt lists the
// routes, and GET /_sim/ gives them with the instance and its catalogue.
//
// Profiles and groups in a body may be given by id, ARN or name, groups by path
// ("EMEA/Support"). What is done here does not enter the ledger, which holds
// only what came over the Connect API.
package connect
