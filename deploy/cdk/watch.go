package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"
)

// logDays are the times for which CloudWatch can keep logs that make sense here.
var logDays = []float64{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}

func logRetention(days float64) awslogs.RetentionDays {
	return map[float64]awslogs.RetentionDays{
		1: awslogs.RetentionDays_ONE_DAY, 3: awslogs.RetentionDays_THREE_DAYS, 5: awslogs.RetentionDays_FIVE_DAYS, 7: awslogs.RetentionDays_ONE_WEEK,
		14: awslogs.RetentionDays_TWO_WEEKS, 30: awslogs.RetentionDays_ONE_MONTH, 60: awslogs.RetentionDays_TWO_MONTHS, 90: awslogs.RetentionDays_THREE_MONTHS,
		120: awslogs.RetentionDays_FOUR_MONTHS, 150: awslogs.RetentionDays_FIVE_MONTHS, 180: awslogs.RetentionDays_SIX_MONTHS, 365: awslogs.RetentionDays_ONE_YEAR,
		400: awslogs.RetentionDays_THIRTEEN_MONTHS, 545: awslogs.RetentionDays_EIGHTEEN_MONTHS, 731: awslogs.RetentionDays_TWO_YEARS,
	}[days]
}

// The metrics that cmd/lambda writes, with the dimension deployment.
const (
	metricNamespace = "connectroster"
	metricDimension = "deployment"

	metricEvents     = "events_accepted"
	metricRefused    = "deliveries_refused"
	metricHolds      = "holds_waiting"
	metricOldest     = "oldest_request_seconds"
	metricCatchUpLag = "catch_up_lag_seconds"
	metricDead       = "dead_letters"
	metricChanges    = "changes"
	metricRefusals   = "refusals"
	metricThrottled  = "connect_throttled"
)

// addWatch makes the alarms and the dashboard.
func (s *stack) addWatch() {
	minutes := func(n float64) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }
	ours := func(name, statistic string, period awscdk.Duration) awscloudwatch.Metric {
		return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String(metricNamespace), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: period,
			DimensionsMap: &map[string]*string{metricDimension: jsii.String(s.lock.Deployment)},
		})
	}
	hours := func(n float64) awscdk.Duration { return awscdk.Duration_Hours(jsii.Number(n)) }
	waiting := func(q interface {
		MetricApproximateNumberOfMessagesVisible(*awscloudwatch.MetricOptions) awscloudwatch.Metric
	}) awscloudwatch.Metric {
		return q.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{Period: minutes(5), Statistic: jsii.String("Maximum")})
	}
	// What is not told counts as well, as a fault, or leaves the alarm as it was.
	quiet, missing, stays := awscloudwatch.TreatMissingData_NOT_BREACHING, awscloudwatch.TreatMissingData_BREACHING, awscloudwatch.TreatMissingData_IGNORE

	// SQS tells of a queue for some hours after somebody has used it, and a message may
	// lie there for days.
	s.alarm("LeaversDead", "A look at somebody whose access should end has failed for good: see connectroster dead", waiting(s.leavers.dead), 1, 1, stays)
	s.alarm("PeopleDead", "A look at somebody has failed for good: see connectroster dead", waiting(s.rest.dead), 1, 1, stays)
	// These three are told each minute by wake, so silence is a fault too; one alarm says
	// so, and the other two do not call off meanwhile.
	s.alarm("OldestRequest", "Somebody has been waiting for their look for half an hour, or the function wake does not run: is Amazon Connect refusing or slow?", ours(metricOldest, "Maximum", minutes(5)), 30*60, 3, missing)
	s.alarm("DeadLetters", "People were given up after many attempts: see connectroster dead", ours(metricDead, "Maximum", minutes(5)), 1, 1, stays)
	s.alarm("HoldsWait", "Removals wait for somebody's word: see connectroster holds", ours(metricHolds, "Maximum", minutes(5)), 1, 1, stays)
	s.alarm("NoEvents", "Okta has delivered nothing for longer than usual: is its event hook still active and verified?", ours(metricEvents, "Sum", awscdk.Duration_Days(jsii.Number(1))), 1, s.quietDays, missing, below)

	// A delivery that is refused is lost, and a small company has a few in an hour, so
	// one is enough. Strangers are kept out of it by what they send, not by a threshold
	// (internal/okta, deliveryLike). Of an hour, so that it stays on while they come
	// seldom, and tells once while they come often.
	s.alarm("RefusedDeliveries", "Deliveries were refused, and Okta does not send them again: does it send the right secret? The log of hook says why", ours(metricRefused, "Sum", hours(1)), 1, 1, quiet)
	failed := s.api.MetricServerError(&awscloudwatch.MetricOptions{Period: minutes(5), Statistic: jsii.String("Sum")})
	refused := s.api.MetricClientError(&awscloudwatch.MetricOptions{Period: minutes(5), Statistic: jsii.String("Sum")})
	s.alarm("Hook5xx", "Deliveries could not be stored; Okta tries each once more", failed, 1, 1, quiet)
	// The gateway counts everybody: this is about strangers, of whom a few are usual.
	s.alarm("Hook4xx", "Strangers try the address many times a second", refused, 1000, 1, quiet)
	if s.catchup.exists() {
		s.alarm("CatchUpLag", "Okta's System Log has not been read to its end for 15 minutes", ours(metricCatchUpLag, "Maximum", minutes(5)), 15*60, 3, missing)
	}
	// A run that fails is made up for by the next one; it is worth a look when that goes
	// on. What a schedule has sent counts, and not what lies there, which nobody fetches.
	s.alarm("RunsFail", "Scheduled functions fail, or cannot be started, again and again: see the queue and their logs", s.unrun.MetricNumberOfMessagesSent(&awscloudwatch.MetricOptions{Period: hours(1), Statistic: jsii.String("Sum")}), 3, 1, quiet)
	var errors []awscloudwatch.IMetric
	for _, f := range s.functions() {
		m := f.MetricErrors(&awscloudwatch.MetricOptions{Period: minutes(5), Statistic: jsii.String("Sum")})
		errors = append(errors, m)
		if f == s.sweep { // which is tried anew after an hour at most
			s.alarm(*f.Node().Id()+"Fails", "The function fails: see its log", f.MetricErrors(&awscloudwatch.MetricOptions{Period: hours(3), Statistic: jsii.String("Sum")}), 2, 1, quiet)
			continue
		}
		s.alarm(*f.Node().Id()+"Fails", "The function fails: see its log", m, 3, 2, quiet)
	}

	board := awscloudwatch.NewDashboard(s.Stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{DashboardName: jsii.String(s.lock.resource(""))})
	graph := func(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{Title: jsii.String(title), Left: &metrics, Width: jsii.Number(12)})
	}
	board.AddWidgets(
		graph("Deliveries", ours(metricEvents, "Sum", minutes(5)), ours(metricRefused, "Sum", minutes(5)), refused, failed),
		graph("Changes and refusals", ours(metricChanges, "Sum", minutes(5)), ours(metricRefusals, "Sum", minutes(5))),
	)
	board.AddWidgets(
		graph("People who wait", waiting(s.leavers), waiting(s.rest)),
		graph("Longest wait and lag, in seconds", ours(metricOldest, "Maximum", minutes(5)), ours(metricCatchUpLag, "Maximum", minutes(5))),
	)
	board.AddWidgets(
		graph("What waits for somebody", ours(metricHolds, "Maximum", minutes(5)), ours(metricDead, "Maximum", minutes(5)), waiting(s.leavers.dead), waiting(s.rest.dead), waiting(s.unrun)),
		graph("Functions that failed, and throttling by Amazon Connect", append(errors, ours(metricThrottled, "Sum", minutes(5)))...),
	)
}

// functions gives all that were made.
func (s *stack) functions() []function {
	var out []function
	for _, f := range []function{s.hook, s.work, s.wake, s.catchup, s.sweep} {
		if f.exists() {
			out = append(out, f)
		}
	}
	return out
}

const below = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD

// alarm makes an alarm that goes off when a metric reaches a threshold, in so many
// periods one after the other, or falls below it. What it tells ends with its code, of
// which connectroster help says what to do.
func (s *stack) alarm(id, what string, m awscloudwatch.IMetric, threshold, periods float64, missing awscloudwatch.TreatMissingData, operator ...awscloudwatch.ComparisonOperator) {
	comparison := awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD
	if len(operator) > 0 {
		comparison = operator[0]
	}
	alarm := awscloudwatch.NewAlarm(s.Stack, jsii.String(id+"Alarm"), &awscloudwatch.AlarmProps{
		AlarmDescription: jsii.String("connectroster " + s.lock.Deployment + ": " + what + " [" + id + "]"), Metric: m,
		Threshold: jsii.Number(threshold), EvaluationPeriods: jsii.Number(periods), ComparisonOperator: comparison, TreatMissingData: missing,
	})
	if topic := s.alarmTarget(); topic != nil {
		alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(topic))
		alarm.AddOkAction(awscloudwatchactions.NewSnsAction(topic))
	}
}

// alarmTarget gives the topic that alarms tell, if there is one. What they tell is
// no secret and names nobody; a topic of ours stays without a key of its own, since
// CloudWatch cannot use the one that SNS manages.
func (s *stack) alarmTarget() awssns.ITopic {
	if s.topic != nil {
		return s.topic
	}
	switch {
	case s.alarmTopic != "":
		s.topic = awssns.Topic_FromTopicArn(s.Stack, jsii.String("Alarms"), jsii.String(s.alarmTopic))
	case s.alarmMail != "":
		topic := awssns.NewTopic(s.Stack, jsii.String("Alarms"), &awssns.TopicProps{TopicName: jsii.String(s.lock.resource("-alarms")), EnforceSSL: jsii.Bool(true)})
		// Its policy takes the place of the one that SNS gives a topic, and which lets
		// alarms of the account in. Source: Amazon CloudWatch User Guide, "Amazon SNS
		// permissions for alarms".
		topic.GrantPublish(awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": s.Account()}},
		}))
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(s.alarmMail), nil))
		s.topic = topic
	}
	return s.topic
}
