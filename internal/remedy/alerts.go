package remedy

// alerts are conditions on the metrics that somebody should be told of.
var alerts = []Entry{
	{
		Code: "ConnectrosterDown", Kind: Alert, Means: "the daemon is not there",
		Expr: `absent(connectroster_info)`, For: "2m",
		Cause: "It does not run, or its metrics cannot be read. Okta gives up deliveries meanwhile; with okta.auth, the System Log makes up for them.",
		Do:    "look at its log and start it; connectroster doctor tells what keeps it from starting",
	},
	{
		Code: "ConnectrosterNotReady", Kind: Alert, Means: "deliveries cannot be stored",
		Expr: `connectroster_ready == 0`, For: "1m",
		Cause: "The disk is full or fails, or something else holds the database. Okta is answered 503.",
		Do:    "connectroster doctor, and see database_disk and database",
	},
	{
		Code: "ConnectrosterInstanceNotReached", Kind: Alert, Means: "an Amazon Connect instance was not reached since the start",
		Expr: `connectroster_instance_reached == 0`, For: "5m",
		Cause: "Credentials, policy, region or network are wrong. Requests are stored meanwhile.",
		Do:    "connectroster doctor, and see connect_instance",
	},
	{
		Code: "ConnectrosterDeadLetters", Kind: Alert, Means: "people were given up",
		Expr: `connectroster_people{state="dead"} > 0`, For: "1m",
		Cause: "See dead_letters.",
		Do:    "connectroster dead shows why; mend it, then connectroster dead replay USER or dead replay --all",
	},
	{
		Code: "ConnectrosterSlow", Kind: Alert, Means: "somebody waits for long",
		Expr: `connectroster_oldest_request_seconds > 900`, For: "5m",
		Cause: "An upstream refuses or throttles calls, or there is much to do at once: at two calls a second, 500 new agents take four minutes.",
		Do:    "connectroster doctor, and see queue",
	},
	{
		Code: "ConnectrosterFailing", Kind: Alert, Means: "looks at people fail",
		Expr: `rate(connectroster_failures_total[10m]) > 0.05`, For: "10m",
		Cause: "An upstream fails again and again. People are tried again with growing waits, and given up in the end.",
		Do:    "look at the reasons in the log, and run connectroster doctor",
	},
	{
		Code: "ConnectrosterHolds", Kind: Alert, Means: "something waits for approval",
		Expr: `connectroster_held_changes > 0`, For: "1m",
		Cause: "See open_holds.",
		Do:    "decide: connectroster holds shows what waits; then connectroster holds approve HOLD, or connectroster holds reject HOLD",
	},
	{
		Code: "ConnectrosterSweepFailing", Kind: Alert, Means: "the sweep fails",
		Expr: `connectroster_sweep_failing == 1`, For: "30m",
		Cause: "See sweep.",
		Do:    "connectroster doctor; connectroster plan reads the same, and tells what it cannot read",
	},
	{
		Code: "ConnectrosterSweepOld", Kind: Alert, Means: "nobody was swept for more than a day",
		Expr: `time() - connectroster_sweep_timestamp_seconds > 130000`, For: "10m",
		Cause: "Sweeps fail, or the daemon was down at the hour of the sweep.",
		Do:    "connectroster doctor, and see sweep",
	},
	{
		Code: "ConnectrosterCatchUpFailing", Kind: Alert, Means: "the System Log cannot be read",
		Expr: `connectroster_catch_up_failing == 1`, For: "10m",
		Cause: "See catch_up.",
		Do:    "connectroster doctor, and see okta_credential and okta_role",
	},
	{
		Code: "ConnectrosterDeliveriesFailing", Kind: Alert, Means: "Okta cannot deliver",
		Expr:  `increase(connectroster_catch_up_failed_deliveries_total[15m]) > 0`,
		Cause: "Okta reports that deliveries to our address failed. The System Log has told of the people all the same.",
		Do:    "look at the proxy before the daemon; connectroster doctor, and see okta_deliveries",
	},
	{
		Code: "ConnectrosterLogGap", Kind: Alert, Means: "the place in the System Log was lost",
		Expr:  `increase(connectroster_catch_up_gaps_total[1h]) > 0`,
		Cause: "The daemon was away for longer than Okta keeps its log. A sweep makes up for it by itself.",
		Do:    "nothing, if the next sweep succeeds",
	},
	{
		Code: "ConnectrosterHookUnauthorized", Kind: Alert, Means: "deliveries come without the right secret",
		Expr: `increase(connectroster_hook_wrong_secret_total[1h]) > 0`, For: "1m",
		Cause: "The secret was changed on one side alone. Okta does not send these deliveries again: catch-up finds what they told, hook-only mode does not.",
		Do:    "connectroster doctor, and see okta_hook and hook_endpoint",
	},
	{
		Code: "ConnectrosterOktaRefused", Kind: Alert, Means: "Okta refuses our credential or its rights",
		Expr: `increase(connectroster_okta_refused_total[5m]) > 0`, For: "5m",
		Cause: "See okta_unauthorized and okta_forbidden. People wait, and nobody's turn is lost.",
		Do:    "connectroster doctor, and see okta_credential and okta_role",
	},
	{
		Code: "ConnectrosterAWSRefused", Kind: Alert, Means: "AWS refuses our credentials or their rights",
		Expr: `sum(increase(connectroster_connect_refused_total[5m])) > 0`, For: "5m",
		Cause: "See aws_refused and aws_denied. People wait, and nobody's turn is lost.",
		Do:    "connectroster doctor, and see connect_permissions",
	},
	{
		Code: "ConnectrosterThrottled", Kind: Alert, Means: "Amazon Connect throttles more than it should",
		Expr: `sum(rate(connectroster_connect_throttled_total[15m])) / sum(rate(connectroster_connect_calls_total[15m])) > 0.1`, For: "15m",
		Cause: "See connect_throttled.",
		Do:    "lower connect.rate, or ask AWS for a higher quota",
	},
	{
		Code: "ConnectrosterWebhookFailing", Kind: Alert, Means: "who is to be told of holds is not told",
		Expr:  `increase(connectroster_webhook_messages_total{result="failed"}[15m]) > 0`,
		Cause: "See webhook.",
		Do:    "check notify.webhook; connectroster holds shows what waits",
	},
}
