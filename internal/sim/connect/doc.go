// Package connect simulates one Amazon Connect instance over its own wire
// protocol (rest-json), so that a client built on any AWS SDK talks to it
// unchanged: point AWS_ENDPOINT_URL_CONNECT at a server whose handler is an
// [Instance]. It knows the user operations, tags and the catalogue an agent
// refers to; [Instance.Operations] names them. An operation it lacks is
// answered with UnknownOperationException.
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
//     It also drops what UpdateUserConfig set per channel.
//   - UpdateUserConfig leaves alone the lists left out; what it says about VOICE
//     also shows in PhoneConfig. A limit left out of AfterContactWorkConfig is 0.
//   - Tag changes do not move LastModifiedTime.
//   - Security profiles are a set: they come back sorted, not as sent.
//   - Nobody holds proficiencies, so a PROFICIENCIES condition matches nobody.
//
// # Control
//
// Everything below /_sim/ is the simulator's own and speaks JSON. It has no
// authentication: serve it on loopback only. Durations are Go strings ("250ms").
// A refused request answers 4xx with {"error": "..."}.
//
//	GET    /_sim/                          the routes, the instance and its catalogue
//	GET    /_sim/stats                     [Stats]
//	GET    /_sim/ledger?after=SEQ          accepted writes ([Entry]) after SEQ, oldest first
//	GET    /_sim/agents                    every agent ([Agent], the shape DescribeUser answers)
//	POST   /_sim/agents                    an administrator adds an agent: {"Username": "...", "Tags": {...}}
//	GET    /_sim/agents/{id}               one agent
//	PATCH  /_sim/agents/{id}               changes the members given; Tags are replaced as a whole
//	DELETE /_sim/agents/{id}               removes it
//	GET    /_sim/routing-profiles          the catalogue; likewise security-profiles, hierarchy-groups
//	POST   /_sim/routing-profiles          {"Name": "..."}; hierarchy-groups also take "Parent"
//	DELETE /_sim/routing-profiles/{id}     removes an entry, even one in use
//	GET    /_sim/settings                  [Settings]
//	PATCH  /_sim/settings                  changes the members given
//	GET    /_sim/faults                    the fault plan with what is left of it
//	POST   /_sim/faults                    adds one [Fault] or a list of them
//	DELETE /_sim/faults                    clears the plan
//	POST   /_sim/reset                     back to a fresh instance with the settings it started with
//
// Agents added, changed or removed here do not enter the ledger, which holds
// only what came over the Connect API.
package connect
