package main

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdadestinations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/jsii-runtime-go"
)

// Names that cmd/lambda goes by: its handlers, and the variables of its environment.
const (
	hookHandler    = "hook"
	workHandler    = "work"
	catchupHandler = "catchup"
	sweepHandler   = "sweep"
	wakeHandler    = "wake"

	configVariable  = "CONNECTROSTER_CONFIG"
	workersVariable = "CONNECTROSTER_WORKERS"
)

const (
	// Amazon Connect takes two calls a second of an operation, so a few workers are
	// enough. Two a queue is the least that Lambda can be held to.
	workersPerQueue = 2
	workers         = 2 * workersPerQueue
	// How long a worker may take for a batch, and how many people are in one: at the
	// rate of one worker the calls about all of them fit in.
	workSeconds = 60
	workBatch   = 5
	// How long a sweep may take, which is the most that Lambda gives, and how often it
	// is asked whether it is time for one.
	sweepMinutes = 15
)

// function is a Lambda function with its role and its log.
type function struct {
	awslambda.Function
	role awsiam.Role
	log  awslogs.LogGroup
}

func (f function) exists() bool { return f.Function != nil }

// shape is what makes a function another than the others.
type shape struct {
	id, handler, what string
	seconds, memory   float64
	reserved          float64 // 0: none
}

// addFunctions makes the functions, each with a role of its own.
func (s *stack) addFunctions() {
	code := awslambda.Code_FromAsset(jsii.String(s.assets), &awss3assets.AssetOptions{})
	table := []string{*s.table.TableArn(), *s.table.TableArn() + "/index/" + tableIndex}
	rows := statement{sid: "Rows", resources: table, actions: []string{
		"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
	}}
	send := statement{sid: "Wake", resources: []string{*s.leavers.QueueArn(), *s.rest.QueueArn()}, actions: []string{"sqs:GetQueueUrl", "sqs:SendMessage"}}
	secret := func(names []string) statement {
		return statement{sid: "Secrets", resources: s.secretARNs(names), actions: []string{"secretsmanager:GetSecretValue"}}
	}
	secrets := secret(s.lock.Secrets)

	s.hook = s.function(code, shape{id: "Hook", handler: hookHandler, what: "takes Okta's deliveries and stores them", seconds: 10, memory: 512})
	allow(s.hook.role, hookRows(table[:1]), send, secret(s.lock.Hook))

	s.work = s.function(code, shape{id: "Work", handler: workHandler, what: "looks at people and makes their agents right", seconds: workSeconds, memory: 512, reserved: workers})
	allow(s.work.role, rows, send, secrets)
	allow(s.work.role, connectAccess(s.lock, true)...)
	for _, q := range []queue{s.leavers, s.rest} {
		s.work.AddEventSource(awslambdaeventsources.NewSqsEventSource(q.Queue, &awslambdaeventsources.SqsEventSourceProps{
			BatchSize: jsii.Number(workBatch), MaxConcurrency: jsii.Number(workersPerQueue), ReportBatchItemFailures: jsii.Bool(true),
		}))
	}

	s.wake = s.function(code, shape{id: "Wake", handler: wakeHandler, what: "wakes workers for people who are due", seconds: 50, memory: 256, reserved: 1})
	allow(s.wake.role, rows, send)
	s.schedule("WakeEvery", s.wake, 1)

	if !s.lock.OktaAPI {
		return // there is nothing to catch up with and nothing to sweep
	}
	s.catchup = s.function(code, shape{id: "CatchUp", handler: catchupHandler, what: "reads Okta's System Log for what no delivery told", seconds: 50, memory: 256, reserved: 1})
	allow(s.catchup.role, rows, send, secrets)
	s.schedule("CatchUpEvery", s.catchup, 1)

	s.sweep = s.function(code, shape{id: "Sweep", handler: sweepHandler, what: "looks at everybody", seconds: sweepMinutes * 60, memory: 512, reserved: 1})
	allow(s.sweep.role, rows, send, secrets)
	allow(s.sweep.role, connectAccess(s.lock, false)...)
	// Whether it is time the function decides, by the configuration and by what is
	// owed; so it is asked as often as it may last.
	s.schedule("SweepEvery", s.sweep, sweepMinutes)
}

// hookRows is what the one function that the internet calls may do in the table: store
// requests, what deliveries told, and the sign that the table takes them. Holds, stays,
// orders, the index of agents and the journal are not for it. IAM is told the partitions
// of a call; see internal/awsstore/keys.go.
func hookRows(table []string) statement {
	return statement{
		sid: "Rows", resources: table,
		actions: []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
		conditions: map[string]map[string][]string{
			"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": {"people", "fact", "probe"}},
			"Null":                      {"dynamodb:LeadingKeys": {"false"}}, // ForAllValues holds of no keys at all
		},
	}
}

func (s *stack) function(code awslambda.Code, in shape) function {
	f := function{log: awslogs.NewLogGroup(s.Stack, jsii.String(in.id+"Log"), &awslogs.LogGroupProps{
		LogGroupName: jsii.String("/connectroster/" + s.lock.Deployment + "/" + in.handler), Retention: logRetention(s.logDays), RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})}
	f.role = awsiam.NewRole(s.Stack, jsii.String(in.id+"Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("connectroster " + s.lock.Deployment + ": " + in.what),
	})
	f.log.GrantWrite(f.role)
	props := &awslambda.FunctionProps{
		FunctionName: jsii.String(s.lock.resource("-" + in.handler)),
		Description:  jsii.String(fmt.Sprintf("connectroster %s: %s", s.lock.Deployment, in.what)),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(), Architecture: awslambda.Architecture_ARM_64(),
		Handler: jsii.String(in.handler), Code: code, Role: f.role, LogGroup: f.log,
		Timeout: awscdk.Duration_Seconds(jsii.Number(in.seconds)), MemorySize: jsii.Number(in.memory),
		Environment: &map[string]*string{
			configVariable:  jsii.String("/var/task/" + s.lock.Config.Name),
			workersVariable: jsii.String(strconv.Itoa(workers)),
		},
	}
	if in.reserved > 0 && s.reserve {
		props.ReservedConcurrentExecutions = jsii.Number(in.reserved)
	}
	f.Function = awslambda.NewFunction(s.Stack, jsii.String(in.id), props)
	return f
}

// schedule runs a function every so many minutes. A run that fails is not made up
// for: the next one does what it would have done. What fails for good is kept. A run
// that finds the one before still at it waits for its end.
func (s *stack) schedule(id string, f function, minutes float64) {
	f.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		RetryAttempts: jsii.Number(0), MaxEventAge: awscdk.Duration_Minutes(jsii.Number(minutes + 5)), OnFailure: awslambdadestinations.NewSqsDestination(s.unrun),
	})
	awsscheduler.NewSchedule(s.Stack, jsii.String(id), &awsscheduler.ScheduleProps{
		Description: jsii.String("connectroster " + s.lock.Deployment),
		Schedule:    awsscheduler.ScheduleExpression_Rate(awscdk.Duration_Minutes(jsii.Number(minutes))),
		Target: awsschedulertargets.NewLambdaInvoke(f.Function, &awsschedulertargets.ScheduleTargetBaseProps{
			DeadLetterQueue: s.unrun, RetryAttempts: jsii.Number(0), MaxEventAge: awscdk.Duration_Minutes(jsii.Number(1)),
		}),
	})
}
