package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// stack is the whole deployment.
type stack struct {
	awscdk.Stack
	*settings

	table      awsdynamodb.ITable
	hookSecret awssecretsmanager.ISecret
	leavers    queue        // of people whose access should end
	rest       queue        // of everybody else
	unrun      awssqs.Queue // invocations by schedules that failed for good

	hook, work, wake function
	catchup, sweep   function // none without access to Okta's API
	api              awsapigatewayv2.HttpApi
	topic            awssns.ITopic // nil: alarms tell nobody
}

// queue is a queue with the one that takes what cannot be worked off.
type queue struct {
	awssqs.Queue
	dead awssqs.Queue
}

func newStack(scope constructs.Construct, in *settings) *stack {
	s := &stack{settings: in}
	s.Stack = awscdk.NewStack(scope, jsii.String(in.stack), &awscdk.StackProps{
		StackName:   jsii.String(in.stack),
		Description: jsii.String("connectroster: the agents of Amazon Connect as Okta says"),
	})
	awscdk.Tags_Of(s.Stack).Add(jsii.String(tagDeployment), jsii.String(in.lock.Deployment), nil)
	awscdk.Tags_Of(s.Stack).Add(jsii.String("application"), jsii.String("connectroster"), nil)
	s.addStore()
	s.addQueues()
	s.addFunctions()
	s.addAPI()
	s.addWatch()
	if text := in.choices(); text != "" {
		s.output("Choices", jsii.String(text), "What start.sh was told by flags, so that its next run need not be")
	}
	if !in.built {
		s.refuseStandIn()
	}
	return s
}

// The table, as internal/awsstore needs it: see Schema there.
const (
	tablePartition = "pk"
	tableSort      = "sk"
	tableIndex     = "open" // a local index, and the attribute that it sorts by
	tableExpiry    = "ttl"
)

// addStore makes what outlives the stack: the table with the journal, and the
// secret that Okta knows.
func (s *stack) addStore() {
	name := s.lock.Store.Table
	if s.exists("table") {
		s.table = awsdynamodb.Table_FromTableName(s.Stack, jsii.String("Table"), jsii.String(name))
	} else {
		text := func(name string) *awsdynamodb.Attribute {
			return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
		}
		table := awsdynamodb.NewTable(s.Stack, jsii.String("Table"), &awsdynamodb.TableProps{
			TableName:    jsii.String(name),
			PartitionKey: text(tablePartition), SortKey: text(tableSort),
			BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
			TimeToLiveAttribute: jsii.String(tableExpiry),
			Encryption:          awsdynamodb.TableEncryption_AWS_MANAGED,
			PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
				PointInTimeRecoveryEnabled: jsii.Bool(true),
			},
			DeletionProtection: jsii.Bool(true),
			RemovalPolicy:      awscdk.RemovalPolicy_RETAIN,
		})
		table.AddLocalSecondaryIndex(&awsdynamodb.LocalSecondaryIndexProps{
			IndexName: jsii.String(tableIndex), SortKey: text(tableIndex), ProjectionType: awsdynamodb.ProjectionType_ALL,
		})
		s.table = table
	}
	secret := jsii.String(s.lock.hookSecret())
	if s.exists("hook-secret") {
		s.hookSecret = awssecretsmanager.Secret_FromSecretNameV2(s.Stack, jsii.String("HookSecret"), secret)
	} else {
		s.hookSecret = awssecretsmanager.NewSecret(s.Stack, jsii.String("HookSecret"), &awssecretsmanager.SecretProps{
			SecretName:           secret,
			Description:          jsii.String("What Okta's event hook sends in its header, so that nobody else's deliveries are taken"),
			GenerateSecretString: &awssecretsmanager.SecretStringGenerator{PasswordLength: jsii.Number(48), ExcludePunctuation: jsii.Bool(true)},
			RemovalPolicy:        awscdk.RemovalPolicy_RETAIN,
		})
	}
	s.output("HookSecretArn", s.hookSecret.SecretArn(), "Where the secret for the header of Okta's event hook is")
	s.output("TableName", s.table.TableName(), "The table, which holds the journal")
}

// addQueues makes the queues that wake workers.
func (s *stack) addQueues() {
	s.leavers = s.fifo("Leavers", s.lock.Store.LeaversQueue)
	s.rest = s.fifo("People", s.lock.Store.Queue)
	s.unrun = awssqs.NewQueue(s.Stack, jsii.String("Unrun"), &awssqs.QueueProps{
		QueueName:       jsii.String(s.lock.resource("-unrun")),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	})
}

func (s *stack) fifo(id, name string) queue {
	name = strings.TrimSuffix(name, ".fifo")
	props := func(name string) *awssqs.QueueProps {
		return &awssqs.QueueProps{
			QueueName:  jsii.String(name + ".fifo"),
			Fifo:       jsii.Bool(true),
			Encryption: awssqs.QueueEncryption_SQS_MANAGED,
			EnforceSSL: jsii.Bool(true),
			// The table holds the truth, and each minute those who are due are woken
			// again, so messages need not live long. In the dead queue they wait for
			// somebody to look.
			RetentionPeriod:     awscdk.Duration_Days(jsii.Number(4)),
			DeduplicationScope:  awssqs.DeduplicationScope_MESSAGE_GROUP,
			FifoThroughputLimit: awssqs.FifoThroughputLimit_PER_MESSAGE_GROUP_ID,
		}
	}
	dead := props(name + "-dead")
	dead.RetentionPeriod = awscdk.Duration_Days(jsii.Number(14))
	q := queue{dead: awssqs.NewQueue(s.Stack, jsii.String(id+"Dead"), dead)}
	main := props(name)
	main.VisibilityTimeout = awscdk.Duration_Seconds(jsii.Number(6 * workSeconds)) // what AWS advises for a function
	main.DeadLetterQueue = &awssqs.DeadLetterQueue{Queue: q.dead, MaxReceiveCount: jsii.Number(5)}
	q.Queue = awssqs.NewQueue(s.Stack, jsii.String(id), main)
	return q
}

// refuseStandIn lets CloudFormation refuse a stack whose functions were not built,
// before it makes anything of it.
func (s *stack) refuseStandIn() {
	const why = "The functions of connectroster were not built, so there is nothing to deploy. Use start.sh, or build them and name the folder with -c assets=PATH (docs/aws.md)."
	awscdk.NewCfnRule(s.Stack, jsii.String("FunctionsAreBuilt"), &awscdk.CfnRuleProps{
		Assertions: &[]*awscdk.CfnRuleAssertion{{
			Assert: awscdk.Fn_ConditionEquals("stand-in", "built"), AssertDescription: jsii.String(why),
		}},
	})
	awscdk.Annotations_Of(s.Stack).AddWarningV2(jsii.String("connectroster:stand-in"), jsii.String(why))
}

func (s *stack) output(name string, value *string, what string) {
	awscdk.NewCfnOutput(s.Stack, jsii.String(name), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(what)})
}

// statementMost is how many characters the resources of one statement may have. IAM
// takes 6,144 of a managed policy. The CDK moves what is too much for a role into such
// policies, but moves statements as they are; small ones leave less room unused.
const statementMost = 1500

// parts divides a statement with many resources into several, which allow the same.
func (in statement) parts() []statement {
	var out []statement
	length := statementMost
	for _, resource := range in.resources {
		written := len(resource) + len(`"",`)
		if length += written; length > statementMost {
			part := in
			if part.resources, length = nil, written; len(out) > 0 {
				part.sid += strconv.Itoa(len(out) + 1)
			}
			out = append(out, part)
		}
		last := &out[len(out)-1]
		last.resources = append(last.resources, resource)
	}
	return out
}

// allow gives a role what the statements say.
func allow(role awsiam.Role, statements ...statement) {
	var all []statement
	for _, in := range statements {
		all = append(all, in.parts()...)
	}
	for _, in := range all {
		conditions := map[string]any{}
		for operator, keys := range in.conditions {
			values := map[string]any{}
			for key, list := range keys {
				values[key] = list
				if len(list) == 1 {
					values[key] = list[0]
				}
			}
			conditions[operator] = values
		}
		props := &awsiam.PolicyStatementProps{Sid: jsii.String(in.sid), Actions: jsii.Strings(sorted(in.actions)...), Resources: jsii.Strings(in.resources...)}
		if len(conditions) > 0 {
			props.Conditions = &conditions
		}
		role.AddToPolicy(awsiam.NewPolicyStatement(props))
	}
}

func sorted(list []string) []string {
	sort.Strings(list)
	return list
}

// arn writes the ARN of a resource of this account and region.
func (s *stack) arn(service, resource string) string {
	return *s.FormatArn(&awscdk.ArnComponents{Service: jsii.String(service), Resource: jsii.String(resource), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME})
}

// secretARNs gives the ARNs of secrets that the configuration names. Secrets
// Manager puts six characters of its own behind a name.
func (s *stack) secretARNs(names []string) []string {
	var out []string
	for _, name := range names {
		switch {
		case name == s.lock.hookSecret() && !s.exists("hook-secret"):
			out = append(out, *s.hookSecret.SecretArn())
		case len(name) > 4 && name[:4] == "arn:":
			out = append(out, name)
		default:
			out = append(out, s.arn("secretsmanager", fmt.Sprintf("secret:%s-??????", name)))
		}
	}
	return out
}
