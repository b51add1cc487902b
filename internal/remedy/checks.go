package remedy

// checks are the codes of connectroster doctor.
var checks = []Entry{
	{
		Code: "config", Kind: Check, Means: "the configuration loads",
		Cause: "A fault keeps everything from starting; a warning is what the file may well mean, but probably does not.",
		Do:    "mend the line that is named; docs/configuration.md describes every key",
	},
	{
		Code: "secrets", Kind: Check, Means: "the secrets of the hook are there",
		Cause: "A reference leads nowhere, or everybody on this machine may read the file of a secret. Two secrets are fine while one is being changed.",
		Do:    "set the variable or write the file that is named; take the right to read it from others (chmod o-r)",
	},
	{
		Code: "certificate", Kind: Check, Means: "Okta can deliver over HTTPS",
		Cause: "The certificate of listen has expired, will soon, or is not valid yet; or its files cannot be read.",
		Do:    "renew it in the files that tls.cert and tls.key name; a running daemon reads them again by itself",
	},
	{
		Code: "mode", Kind: Check, Means: "Okta's API can be asked",
		Cause: "Without okta.auth, in hook-only mode, people are known by what events told alone: lost events are not found, and leavers are not removed.",
		Do:    "set okta.auth, or look after leavers by hand",
	},
	{
		Code: "simulators", Kind: Check, Means: "the upstreams are the real ones",
		Cause: "Okta or a service of AWS is a program on this machine, or allow_loopback allows it. That is for trials alone.",
		Do:    "take allow_loopback out of the configuration, and AWS_ENDPOINT_URL_CONNECT and its like out of the environment, before this becomes production",
	},
	{
		Code: "database_disk", Kind: Check, Means: "the database has a place to be written to",
		Cause: "The folder is missing, others may write in it, it cannot be written to, or the disk is nearly full.",
		Do:    "let the user who runs the daemon alone own the folder (chmod 700), on a disk of this machine with some GiB free",
	},
	{
		Code: "database", Kind: Check, Means: "the database is sound",
		Cause: "It is damaged, of another program, written by a newer version, or others may read it.",
		Do:    "restore a backup, or see the message; the file is for its owner alone (chmod 600)",
	},
	{
		Code: "daemon", Kind: Check, Means: "the daemon runs and answers",
		Cause: "It does not run, it hangs, it belongs to another user, is of another version, or serves another configuration.",
		Do:    "start it with connectroster serve, or look at its log",
	},
	{
		Code: "clock", Kind: Check, Means: "the clock of this machine is right",
		Cause: "It differs from the clocks of Okta or AWS. From five minutes on both refuse what we sign, and times in the journal are wrong before that.",
		Do:    "let the machine set its clock by itself (chrony, systemd-timesyncd)",
	},
	{
		Code: "okta_reachable", Kind: Check, Means: "Okta answers",
		Cause: "The network, the proxy or a firewall keeps us from the org, its name cannot be resolved, or its certificate is not trusted.",
		Do:    "check okta.org, the network and HTTPS_PROXY; behind a proxy that looks into connections, set okta.ca_file",
	},
	{
		Code: "okta_credential", Kind: Check, Means: "Okta accepts the credential, with the scopes that are needed",
		Cause: "The token was revoked or has expired, the private key is not that of the app, or a scope was not granted.",
		Do:    "make a new token or key in Okta; scopes are granted by a super administrator: Applications, the app, Okta API Scopes",
	},
	{
		Code: "okta_role", Kind: Check, Means: "the credential sees people, groups and the System Log",
		Cause: "Without an admin role Okta answers 200 with an empty list, which looks like an org without people. Nobody is removed for it, and nobody is found.",
		Do:    "give the service app, or the administrator whose token it is, a role that shows them, such as Read-only Administrator",
	},
	{
		Code: "okta_groups", Kind: Check, Means: "the groups of the rules are there",
		Cause: "A group was renamed or deleted, its name is misspelled or stands for several, or the admin role does not show it.",
		Do:    "correct the group in the rules, best by its id, which no rename changes; or create it with connectroster okta setup",
	},
	{
		Code: "okta_app", Kind: Check, Means: "the groups are assigned to the Amazon Connect app",
		Cause: "Whoever is not assigned to the app cannot sign in to Amazon Connect, and has no username there.",
		Do:    "assign the group to the app, with its role: connectroster okta setup, or by hand as docs/okta-by-hand.md shows",
	},
	{
		Code: "okta_hook", Kind: Check, Means: "the event hook is active, verified, and delivers what matters",
		Cause: "It was never made, was deactivated, lost its verification when its address or secret was changed, or lacks events.",
		Do:    "run connectroster okta setup --url ADDRESS, which mends and verifies it; until then people come by the System Log, a minute later",
	},
	{
		Code: "okta_deliveries", Kind: Check, Means: "deliveries of the hook arrive",
		Cause: "Okta could not reach the address, or got no answer within three seconds. It does not send them again.",
		Do:    "look at the proxy before the daemon and at the daemon's log at that time; the System Log has made up for what was lost",
	},
	{
		Code: "hook_endpoint", Kind: Check, Means: "the address of the hook answers, and accepts our secret",
		Cause: "The proxy before the daemon does not pass the path on, or another daemon with another secret answers. From inside a network the address may not be reachable though it is from outside.",
		Do:    "check the proxy, and that okta.hook.secrets is what the daemon was started with",
	},
	{
		Code: "hook_traffic", Kind: Check, Means: "deliveries carry the right secret",
		Cause: "All deliveries so far were refused: Okta sends another secret, or sends it in another header.",
		Do:    "write the secret into the hook again: connectroster okta setup, or connectroster okta rotate-secret",
	},
	{
		Code: "okta_rate", Kind: Check, Means: "Okta's rate limits have room",
		Cause: "We or other programs of the org make many calls.",
		Do:    "find out in Okta's rate limit dashboard who calls so much, or lower okta.share",
	},
	{
		Code: "connect_settings", Kind: Check, Means: "the settings for Amazon Connect make sense",
		Cause: "No region is known, the AWS profile does not exist, or an endpoint is set that may not be used.",
		Do:    "set connect.region, or mend what AWS's own configuration says",
	},
	{
		Code: "aws_credentials", Kind: Check, Means: "AWS credentials can be had",
		Cause: "None are configured, the profile does not exist, or the role cannot be assumed.",
		Do:    "set them as for the AWS CLI: AWS_PROFILE, AWS_ACCESS_KEY_ID, or the role of the machine; aws sts get-caller-identity shows who you are",
	},
	{
		Code: "connect_instance", Kind: Check, Means: "the instance is there and active",
		Cause: "It is in another region or account, the policy does not allow connect:DescribeInstance, or Amazon Connect cannot be reached.",
		Do:    "correct connect.instance and connect.region, the credentials or the policy, as the message says",
	},
	{
		Code: "connect_identity", Kind: Check, Means: "the instance signs its users in by SAML",
		Cause: "It keeps passwords of its own or takes its users from an Active Directory. That can never be changed.",
		Do:    "use an instance that was created with SAML 2.0-based authentication",
	},
	{
		Code: "connect_permissions", Kind: Check, Means: "the policy allows what is needed",
		Cause: "The IAM policy of the role lacks an action, or its conditions do not fit the name of this deployment or the profiles of the personas.",
		Do:    "add the action that is named; docs/configuration.md has a policy that is enough",
	},
	{
		Code: "connect_catalog", Kind: Check, Means: "every profile, hierarchy group and attribute that is named exists",
		Cause: "A name is misspelled, or the thing was renamed or deleted in Amazon Connect. People who need it are refused.",
		Do:    "create it in Amazon Connect, or mend its name in the configuration",
	},
	{
		Code: "connect_quota", Kind: Check, Means: "there is room for more users",
		Cause: "The quota Users per instance is nearly reached.",
		Do:    "ask AWS for a larger quota (Service Quotas, Amazon Connect, Users per instance), or delete users that nobody needs",
	},
	{
		Code: "connect_refusals", Kind: Check, Means: "AWS has refused none of the daemon's calls",
		Cause: "The policy of the role lacked an action at some time since the start, or its conditions did not fit; or the credentials had expired. This is what tells whether agents may be changed.",
		Do:    "add the operations that are named to the policy, as connect:NAME; docs/configuration.md has a policy that is enough. Restart the daemon to count anew",
	},
	{
		Code: "connect_rate", Kind: Check, Means: "calls to Amazon Connect are not throttled",
		Cause: "Other programs of the same AWS account use the same quota of calls, or connect.rate is higher than what AWS allows.",
		Do:    "lower connect.rate to leave the others their part, or ask AWS for a higher quota",
	},
	{
		Code: "roster", Kind: Check, Means: "both sides can be read completely",
		Cause: "A list of Okta or Amazon Connect is not complete, so that no plan can be made from it.",
		Do:    "see the message, and run connectroster plan for more",
	},
	{
		Code: "usernames", Kind: Check, Means: "everybody has a username that Amazon Connect can hold",
		Cause: "See username_impossible, username_changed and conflict.",
		Do:    "connectroster plan names the people",
	},
	{
		Code: "people", Kind: Check, Means: "the rules have an answer for everybody",
		Cause: "Somebody in a mapped group is refused an agent.",
		Do:    "connectroster plan names the people",
	},
	{
		Code: "unowned_agents", Kind: Check, Means: "no agent that is not ours has a username that is wanted",
		Cause: "Agents were made by hand before, or another deployment made them.",
		Do:    "see whom it concerns with connectroster plan, then connectroster adopt USER or adopt --all",
	},
	{
		Code: "orphans", Kind: Check, Means: "every agent of this deployment has an owner in Okta",
		Cause: "The person was deleted in Okta, or the deployment was pointed at another org, or somebody took the owner's tag off an agent. With the policy sync such agents are suspended, and removals that are many are held.",
		Do:    "if the org is the right one, let sync remove them or delete them in Amazon Connect; connectroster release USER, with the Okta id of its owner, gives one up, and connectroster release AGENT one without an owner, by its username or its id in Amazon Connect",
	},
	{
		Code: "dead_letters", Kind: Check, Means: "nobody was given up",
		Cause: "Looking at somebody failed in a way that no further attempt can mend, or failed too often.",
		Do:    "connectroster dead shows why; mend it, then connectroster dead replay USER or dead replay --all",
	},
	{
		Code: "open_holds", Kind: Check, Means: "nothing waits for approval",
		Cause: "More would be taken from people than the guard lets go by itself.",
		Do:    "decide: connectroster holds shows what waits; then connectroster holds approve HOLD, or connectroster holds reject HOLD",
	},
	{
		Code: "queue", Kind: Check, Means: "people are looked at soon after they are asked for",
		Cause: "An upstream is slow, refuses or throttles calls, or there is much to do at once.",
		Do:    "see the reason that is named; connectroster explain USER tells about one person",
	},
	{
		Code: "sweep", Kind: Check, Means: "everybody was looked at lately",
		Cause: "The daily sweep fails or has not run yet. What events missed is not found meanwhile.",
		Do:    "see the reason that is named; connectroster plan reads the same, and tells what it cannot read",
	},
	{
		Code: "catch_up", Kind: Check, Means: "the System Log is read",
		Cause: "Okta cannot be reached, or does not let us read it. Lost events are not found meanwhile.",
		Do:    "see the reason that is named; the credential needs okta.logs.read and a role that shows the log",
	},
	{
		Code: "webhook", Kind: Check, Means: "who is to be told of holds is told",
		Cause: "The webhook of notify.webhook does not answer or refuses the messages.",
		Do:    "check its address; the log and the metrics tell of holds too",
	},
}
