// Reads a simulated org with Okta's own SDK and prints what it saw as JSON.
// Arguments: org URL, group id, the SDK's way to sign in as JSON, and the time
// between which to read the System Log.
const okta = require('@okta/okta-sdk-nodejs');

async function all(collection) {
  const out = [];
  await collection.each(row => { out.push(row); });
  return out;
}

async function main() {
  const [orgUrl, groupId, signIn, since, until] = process.argv.slice(2);
  const client = new okta.Client({
    orgUrl, ...JSON.parse(signIn), cacheMiddleware: null, testing: { disableHttpsCheck: true },
  });
  const members = await all(await client.groupApi.listGroupUsers({ groupId, limit: 2 }));
  const user = await client.userApi.getUser({ userId: members[0].id });
  let missing;
  try {
    await client.userApi.getUser({ userId: '00umissing0000000000' });
  } catch (e) {
    missing = [e.status, e.errorCode];
  }
  const seen = {
    users: (await all(await client.userApi.listUsers({ limit: 2 }))).map(u => [u.profile.login, u.status]),
    groups: (await all(await client.groupApi.listGroups({ q: 'Amazon' }))).map(g => g.profile.name),
    members: members.map(u => u.profile.login),
    user: [user.profile.firstName, user.profile.lastName, user.created.toISOString()],
    missing,
    logs: (await all(await client.systemLogApi.listLogEvents({
      limit: 2, since, until,
      filter: 'eventType eq "group.user_membership.add"', sortOrder: 'ASCENDING',
    }))).map(e => [e.eventType, e.outcome.result, e.target.find(t => t.type === 'User').alternateId]),
    hooks: (await all(await client.eventHookApi.listEventHooks())).map(h => [h.name, h.status, h.verificationStatus, h.events.items]),
  };
  console.log(JSON.stringify(seen));
}

main().catch(e => { console.error(e); process.exit(1); });
