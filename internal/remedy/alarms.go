package remedy

// alarms are those of CloudWatch that the deployment to AWS makes.
var alarms = []Entry{
	{
		Code: "LeaversDead", Kind: Alarm, Means: "a look at somebody whose access should end has failed for good",
		Cause: "The message of a person failed five times: the function work ended before it could store what went wrong. The row of the person stays, and is woken again.",
		Do:    "look at the log of work (aws logs tail /connectroster/NAME/work --since 3h), and at connectroster dead; when the cause is gone, purge the dead queue or send it back with a redrive",
	},
	{
		Code: "PeopleDead", Kind: Alarm, Means: "a look at somebody has failed for good",
		Cause: "As with LeaversDead, of somebody whose access does not end.",
		Do:    "look at the log of work (aws logs tail /connectroster/NAME/work --since 3h), and at connectroster dead; when the cause is gone, purge the dead queue or send it back with a redrive",
	},
	{
		Code: "RunsFail", Kind: Alarm, Means: "three runs of schedules have failed in an hour",
		Cause: "A function ended with an error each time, or Lambda refused it: all functions of the account that may run at once were running. The next run does the work of one that failed.",
		Do:    "look at the log of the function whose alarm ends in Fails (/connectroster/NAME/FUNCTION), and at the concurrency of the account",
	},
	{
		Code: "DeadLetters", Kind: Alarm, Means: "people were given up after many attempts",
		Cause: "See dead_letters.",
		Do:    "connectroster dead shows why; mend it, then connectroster dead replay USER or dead replay --all",
	},
	{
		Code: "OldestRequest", Kind: Alarm, Means: "somebody has waited for half an hour, or nothing has told for 15 minutes who waits",
		Cause: "Amazon Connect refuses or throttles calls, as the dashboard shows; the function wake does not run; or there is much to do at once: a first import of more than some 3,500 people takes longer than that, and so may a long contact with wait_for_contacts, or a removal that waits for its proof. Right after the first deployment it may go off until wake has run for some minutes.",
		Do:    "connectroster doctor; look at the log of wake (aws logs tail /connectroster/NAME/wake --since 3h); raise connect.rate when AWS has raised your quota",
	},
	{
		Code: "HoldsWait", Kind: Alarm, Means: "removals wait for somebody's word",
		Cause: "See open_holds.",
		Do:    "decide: connectroster holds shows what waits; then connectroster holds approve HOLD, or connectroster holds reject HOLD",
	},
	{
		Code: "NoEvents", Kind: Alarm, Means: "Okta has delivered nothing for a day, or as many as --quiet-days says",
		Cause: "The event hook is not active or not verified any more. A small org may be that quiet, at weekends for one. Right after the first deployment it goes off until Okta has delivered something.",
		Do:    "connectroster okta status; where it is quiet by nature, ./start.sh --quiet-days 3",
	},
	{
		Code: "Hook5xx", Kind: Alarm, Means: "deliveries could not be stored",
		Cause: "The table could not be written to, the secret could not be read, or the function hook fails. Okta tries each delivery once more; with okta.auth, the System Log makes up for the rest.",
		Do:    "look at the log of hook (aws logs tail /connectroster/NAME/hook --since 3h)",
	},
	{
		Code: "RefusedDeliveries", Kind: Alarm, Means: "a delivery was refused for good within the hour",
		Cause: "Its secret was wrong or missing, it was no delivery of Okta's by its form or too large, or the gateway took no more at once. It does not come again: the next catch-up or sweep finds what it told, hook-only mode does not.",
		Do:    "connectroster okta status; the log of hook says why (aws logs tail /connectroster/NAME/hook --since 3h). See that the hook in Okta has the secret of Secrets Manager",
	},
	{
		Code: "Hook4xx", Kind: Alarm, Means: "strangers try the address of the hook, a thousand times in 5 minutes",
		Cause: "Somebody scans or floods it. No more than 50 requests a second get through, which costs some six dollars a day, and the gateway turns Okta away as well, of which RefusedDeliveries tells.",
		Do:    "look at the access log of the API (aws logs tail /aws/vendedlogs/connectroster/NAME/api --since 1h); where it does not end, put CloudFront with AWS WAF in front, since an HTTP API takes none itself",
	},
	{
		Code: "CatchUpLag", Kind: Alarm, Means: "the System Log has not been read to its end for 15 minutes",
		Cause: "See catch_up; or the function catchup does not run.",
		Do:    "look at the log of catchup (aws logs tail /connectroster/NAME/catchup --since 3h); connectroster doctor, and see okta_credential and okta_role",
	},
	{
		Code: "HookFails", Kind: Alarm, Means: "the function hook fails",
		Cause: "It ended with an error or ran out of its time or memory. Okta is answered 5xx.",
		Do:    "look at its log: aws logs tail /connectroster/NAME/hook --since 3h",
	},
	{
		Code: "WorkFails", Kind: Alarm, Means: "the function work fails",
		Cause: "It ended with an error or ran out of its time or memory. What it was working on is taken up again.",
		Do:    "look at its log: aws logs tail /connectroster/NAME/work --since 3h",
	},
	{
		Code: "WakeFails", Kind: Alarm, Means: "the function wake fails",
		Cause: "It could not read the table or send to the queues. People who are due wait until a run succeeds.",
		Do:    "look at its log: aws logs tail /connectroster/NAME/wake --since 3h",
	},
	{
		Code: "CatchUpFails", Kind: Alarm, Means: "the function catchup fails",
		Cause: "Okta's System Log could not be read, or the table not written to. The next run begins where the last good one ended.",
		Do:    "look at its log: aws logs tail /connectroster/NAME/catchup --since 3h; connectroster doctor, and see okta_credential and okta_role",
	},
	{
		Code: "SweepFails", Kind: Alarm, Means: "the function sweep fails",
		Cause: "Okta or Amazon Connect could not be read to the end, or the table not written to. Nobody is removed on the strength of half a list; the next run tries again.",
		Do:    "look at its log: aws logs tail /connectroster/NAME/sweep --since 3h; connectroster plan reads the same, and tells what it cannot read",
	},
}
