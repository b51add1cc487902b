package remedy

// failures are the codes of errors.
var failures = []Entry{
	{
		Code: "config_missing", Kind: Error, Means: "there is no configuration file",
		Cause: "The path is wrong, or none was written yet. Relative paths start at the present folder.",
		Do:    "write one with connectroster init, or name the file with --config",
	},
	{
		Code: "config_faulty", Kind: Error, Means: "the configuration has faults",
		Cause: "A key, a value or a reference to a secret is not right. Every fault is printed with its line and what was probably meant; nothing was started.",
		Do:    "mend the lines that are named; docs/configuration.md describes every key",
	},
	{
		Code: "okta_unreachable", Kind: Error, Means: "Okta does not answer",
		Cause: "The network, the proxy or a firewall keeps us from the org, its name cannot be resolved, or its certificate is not trusted.",
		Do:    "check okta.org, the network and HTTPS_PROXY; behind a proxy that looks into connections, set okta.ca_file",
	},
	{
		Code: "okta_unauthorized", Kind: Error, Means: "Okta refuses the credential",
		Cause: "The token was revoked, was not used for 30 days, or its administrator was deactivated; or the client id and the private key of the service app do not belong together.",
		Do:    "make a new token or key in Okta and put it where okta.auth refers to; calls are tried again every minute, and nobody's turn is lost",
	},
	{
		Code: "okta_scopes", Kind: Error, Means: "the service app is not granted what it asks for",
		Cause: "A scope of okta.auth.scopes was not granted to the app in Okta.",
		Do:    "let a super administrator grant it: Applications, the app, Okta API Scopes",
	},
	{
		Code: "okta_forbidden", Kind: Error, Means: "the credential may not do this in Okta",
		Cause: "It lacks a scope or an admin role. Scopes alone are not enough for a service app.",
		Do:    "give the app, or the administrator whose token it is, a role that shows people, groups, apps and the System Log, such as Read-only Administrator",
	},
	{
		Code: "okta_limited", Kind: Error, Means: "Okta's rate limit is used up",
		Cause: "We or other programs of the org have made too many calls in this minute. Calls wait by themselves.",
		Do:    "nothing, if it passes; otherwise find out in Okta's rate limit dashboard who calls so much, or lower okta.share",
	},
	{
		Code: "okta_unavailable", Kind: Error, Means: "Okta answers that it cannot answer now",
		Cause: "Okta, or something on the way to it, has trouble. Calls are tried again.",
		Do:    "see status.okta.com if it lasts",
	},
	{
		Code: "okta_odd_answer", Kind: Error, Means: "what answers is not Okta's API",
		Cause: "A login page, a proxy or a filter answers in its place, or an answer was cut short. It is not believed, and nobody is removed for it.",
		Do:    "check okta.org, and what is between: a proxy that asks for a password, or a list that Okta shows in part",
	},
	{
		Code: "aws_keys", Kind: Error, Means: "there are no AWS credentials",
		Cause: "None are configured, the profile does not exist, or the role cannot be assumed.",
		Do:    "set them as for the AWS CLI: AWS_PROFILE, AWS_ACCESS_KEY_ID, or the role of the machine; aws sts get-caller-identity shows who you are",
	},
	{
		Code: "aws_refused", Kind: Error, Means: "AWS refuses the credentials",
		Cause: "They have expired, were deleted, belong to another account, or the clock of this machine is wrong.",
		Do:    "renew them, and check the clock; calls are tried again every minute, and nobody's turn is lost",
	},
	{
		Code: "aws_denied", Kind: Error, Means: "the policy of the role does not allow an operation",
		Cause: "The IAM policy lacks an action, or its conditions do not fit: the name of this deployment, the profiles that may be given.",
		Do:    "add the action that is named to the policy; docs/configuration.md has one that is enough",
	},
	{
		Code: "connect_unreachable", Kind: Error, Means: "Amazon Connect does not answer",
		Cause: "The network, a proxy or a firewall keeps us from it, or the region is wrong.",
		Do:    "check the region, the network and HTTPS_PROXY; people wait meanwhile, and nothing is lost",
	},
	{
		Code: "connect_throttled", Kind: Error, Means: "Amazon Connect says that there are too many calls",
		Cause: "Other programs of the same AWS account use the same quota of calls, or connect.rate is higher than what AWS allows. Calls wait by themselves.",
		Do:    "lower connect.rate to leave the others their part, or ask AWS for a higher quota",
	},
	{
		Code: "connect_quota_full", Kind: Error, Means: "the instance has as many users as it may have",
		Cause: "The quota Users per instance is reached. People wait for a place, and are tried again every 15 minutes.",
		Do:    "ask AWS for a larger quota (Service Quotas, Amazon Connect, Users per instance), or delete users that nobody needs",
	},
	{
		Code: "connect_rejected", Kind: Error, Means: "Amazon Connect will never take this request",
		Cause: "A value is not what it takes; the message says which. The person became a dead letter.",
		Do:    "mend the value in Okta or in the rules, then connectroster dead replay USER",
	},
	{
		Code: "connect_unavailable", Kind: Error, Means: "Amazon Connect fails",
		Cause: "It answers with an error of its own, or an answer was cut short. The call is tried again, and whether it was carried out is found out first.",
		Do:    "see the AWS Health Dashboard if it lasts",
	},
	{
		Code: "instance_missing", Kind: Error, Means: "there is no such instance",
		Cause: "The id or the alias is wrong, or the instance is in another region or account.",
		Do:    "correct connect.instance and connect.region; the id stands in the ARN on the page of the instance in the AWS console",
	},
	{
		Code: "instance_not_saml", Kind: Error, Means: "the instance does not sign its users in by SAML",
		Cause: "It keeps passwords of its own or takes its users from an Active Directory. That is settled when an instance is made and can never be changed.",
		Do:    "use an instance that was created with SAML 2.0-based authentication",
	},
	{
		Code: "instance_unusable", Kind: Error, Means: "the instance cannot be worked with now",
		Cause: "It is still being created, or its creation has failed.",
		Do:    "wait until it is active, or make another one",
	},
	{
		Code: "database_locked", Kind: Error, Means: "another process has the database",
		Cause: "The daemon runs, or a command with --offline does. One process works on a database at a time.",
		Do:    "ask the daemon, by leaving --offline out; or stop it first",
	},
	{
		Code: "database_damaged", Kind: Error, Means: "the database is damaged",
		Cause: "The disk failed, or something else wrote to the file.",
		Do:    "stop the daemon, keep the file, and restore a backup; without one, move the file away and start: agents are found again by their tags, and the first removals must be approved",
	},
	{
		Code: "database_foreign", Kind: Error, Means: "the file is no database of ours",
		Cause: "store.sqlite names a file of another program, or none of SQLite at all. It was left alone.",
		Do:    "name another path under store.sqlite",
	},
	{
		Code: "database_newer", Kind: Error, Means: "a newer version has written the database",
		Cause: "This program is older than the one that used the database last.",
		Do:    "run the newer version, or restore a backup from before the upgrade",
	},
	{
		Code: "database_full", Kind: Error, Means: "there is no space left for the database",
		Cause: "The disk is full. Deliveries are answered 503 until there is room, and the System Log makes up for those that are lost.",
		Do:    "make room on the disk, or move the database to a larger one",
	},
	{
		Code: "database_unwritable", Kind: Error, Means: "the database cannot be written to",
		Cause: "The file or its folder belongs to another user, or the disk is mounted read-only.",
		Do:    "let the user who runs the daemon own the file and its folder",
	},
	{
		Code: "database_folder", Kind: Error, Means: "the folder of the database is not there",
		Cause: "It was not created, or a disk is not mounted.",
		Do:    "create the folder, or mount the disk; it is never created by itself, since that would hide a missing disk",
	},
	{
		Code: "table_missing", Kind: Error, Means: "the table of the store in AWS is not there",
		Cause: "Nothing was deployed yet, or to another account or region than the credentials lead to, or store.aws.table names another table.",
		Do:    "deploy it with ./start.sh, or mend store.aws and AWS_PROFILE; aws sts get-caller-identity shows whose account is asked",
	},
	{
		Code: "table_foreign", Kind: Error, Means: "the table is not as connectroster needs it",
		Cause: "It has other keys, or lacks the local index, which cannot be added to a table that is there.",
		Do:    "let ./start.sh make one under another name, or create it as docs/adr/0009 says",
	},
	{
		Code: "table_denied", Kind: Error, Means: "AWS refuses the credentials at the table, or what they may do there",
		Cause: "They have expired, belong to another account, or lack an action. What may be done in Amazon Connect says nothing about the table.",
		Do:    "renew them, or allow the actions that docs/aws.md lists under Operations",
	},
	{
		Code: "table_busy", Kind: Error, Means: "DynamoDB takes no more at the moment",
		Cause: "A partition takes 1,000 units of writing a second, or the account has reached a limit of its own.",
		Do:    "nothing: it is tried again; where it lasts, look at the quotas of DynamoDB in this account",
	},
	{
		Code: "table_unreachable", Kind: Error, Means: "DynamoDB does not answer",
		Cause: "The network, a proxy or a firewall is in the way, or the service has a disturbance. Deliveries are answered 503 meanwhile, and Okta tries each once more.",
		Do:    "see whether this machine gets to DynamoDB in the region of the table; nothing has to be started again afterwards",
	},
	{
		Code: "queue_missing", Kind: Error, Means: "a queue that wakes workers is not there",
		Cause: "It was not deployed, or to another account or region than the credentials lead to, or store.aws names another one.",
		Do:    "deploy it with ./start.sh, or mend store.aws.leavers_queue and store.aws.queue; aws sts get-caller-identity shows whose account is asked",
	},
	{
		Code: "queue_denied", Kind: Error, Means: "AWS refuses the credentials at a queue that wakes workers, or what they may do there",
		Cause: "They have expired, or lack sqs:GetQueueUrl or sqs:SendMessage. What may be done at the table says nothing about the queues.",
		Do:    "renew them, or allow the actions that docs/aws.md lists under Operations",
	},
	{
		Code: "queue_unreachable", Kind: Error, Means: "SQS does not answer",
		Cause: "The network, a proxy or a firewall is in the way, or the service has a disturbance. Whether the queues are there nobody knows; what is asked for is stored in the table all the same.",
		Do:    "see whether this machine gets to SQS in the region of the table; on AWS the minute schedule wakes workers once it answers",
	},
	{
		Code: "deployment_changed", Kind: Error, Means: "the database is that of another deployment",
		Cause: "The name in the configuration was changed. It stands on every agent: under another name the agents that there are would be somebody else's, and stay as they are for ever.",
		Do:    "put the old name back; to change it for good, release all agents under the old name, change it, and adopt them; for a second deployment, name another database",
	},
	{
		Code: "usage", Kind: Error, Means: "the command was not typed as it wants to be",
		Cause: "A flag or a word is unknown, missing, too much, or says what it cannot mean. Nothing was done.",
		Do:    "look at connectroster COMMAND --help, or at docs/commands.md",
	},
	{
		Code: "daemon_away", Kind: Error, Means: "no daemon answers",
		Cause: "It does not run, or has another socket than this configuration names.",
		Do:    "start it with connectroster serve, or give --offline to do without one",
	},
	{
		Code: "daemon_forbidden", Kind: Error, Means: "the daemon's socket is not for you",
		Cause: "Only the user who runs the daemon may give it commands.",
		Do:    "be that user, for example with sudo -u connectroster",
	},
	{
		Code: "plan_stale", Kind: Error, Means: "the stored plan is not what would be done now",
		Cause: "Okta, Amazon Connect or the configuration has changed since it was taken. Nothing was changed.",
		Do:    "take a new plan, and look at what differs",
	},
	{
		Code: "person_unknown", Kind: Error, Means: "nobody is known by that name",
		Cause: "It is neither an Okta id, nor a login, nor a username of the app, of anybody in Okta or in the database. To explain and release an agent's id or username in Amazon Connect is a name as well, if the agent is of this deployment; release also takes one whose tags name no owner.",
		Do:    "give the Okta id (00u...), the login, or the username of the agent",
	},
	{
		Code: "journal_broken", Kind: Error, Means: "the journal was tampered with, or is damaged",
		Cause: "An entry does not fit to the one before it: the database was edited, or an old copy was put in its place.",
		Do:    "keep the database as it is, compare it with a backup, and find out who could write to it",
	},
}
