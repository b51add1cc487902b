package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

var update = flag.Bool("update", false, "write the golden templates")

func TestMain(m *testing.M) {
	flag.Parse()
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Println("SKIP: the CDK needs node, which is not here; nothing of deploy/cdk is tested")
		os.Exit(0)
	}
	// It would tell on every run that a newer node would do as well.
	os.Setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// cases are the configurations in testdata, each with its lock.
var cases = []string{"hook-only", "life", "derived", "several"}

// armProgram is the header of a program for linux on arm64, which is as much of one
// as the check looks at.
func armProgram() []byte {
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, field := range []any{uint16(2), uint16(183), uint32(1), uint64(0), uint64(0), uint64(0), uint32(0), uint16(64), uint16(0), uint16(0), uint16(64), uint16(0), uint16(0)} {
		if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// assetsOf makes the folder of the functions for a configuration.
func assetsOf(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join("testdata", name, "connectroster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{"bootstrap": armProgram(), "connectroster.yaml": config} {
		overwrite(t, filepath.Join(dir, file), text)
	}
	return dir
}

// settingsOf reads the settings for a configuration in testdata, with more context.
func settingsOf(t *testing.T, name string, more map[string]string) (*settings, error) {
	t.Helper()
	context := map[string]string{"config": filepath.Join("testdata", name, "connectroster.yaml"), "assets": assetsOf(t, name)}
	for key, value := range more {
		context[key] = value
	}
	return settingsFrom(func(key string) string { return context[key] })
}

// made are the templates that were made, by what they were made from. The kernel of
// jsii is one process, which does one thing at a time.
var made = struct {
	sync.Mutex
	templates map[string]template
}{templates: map[string]template{}}

// synth gives the template of a configuration. It is shared, so nobody changes it.
func synth(t *testing.T, name string, more map[string]string) template {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	key := fmt.Sprint(name, more)
	if x, ok := made.templates[key]; ok {
		return x
	}
	s, err := settingsOf(t, name, more)
	if err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), Context: cdkContext(t)})
	text, err := json.Marshal(assertions.Template_FromStack(newStack(app, s).Stack, nil).ToJSON())
	if err != nil {
		t.Fatal(err)
	}
	var out template
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	out.lock = s.lock
	made.templates[key] = out
	return out
}

// cdkContext is what cdk.json says, which decides how some things come out.
func cdkContext(t *testing.T) *map[string]any {
	t.Helper()
	text, err := os.ReadFile("cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return &file.Context
}

// template is a template of CloudFormation.
type template struct {
	Resources map[string]resource
	Outputs   map[string]map[string]any
	Rules     map[string]any

	lock *lock
}

type resource struct {
	Type                string
	Properties          map[string]any
	DeletionPolicy      string `json:",omitempty"`
	UpdateReplacePolicy string `json:",omitempty"`
}

// of gives the resources of a type, by their logical ids.
func (x template) of(kind string) map[string]resource {
	out := map[string]resource{}
	for id, r := range x.Resources {
		if r.Type == kind {
			out[id] = r
		}
	}
	return out
}

// text gives the template as the golden files hold it.
func (x template) text(t *testing.T) string {
	t.Helper()
	out, err := json.MarshalIndent(map[string]any{"Resources": x.Resources, "Outputs": x.Outputs}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// TestGolden compares the templates with those that were read by somebody. With
// -update it writes them.
func TestGolden(t *testing.T) {
	for _, name := range []string{"hook-only", "life"} {
		t.Run(name, func(t *testing.T) {
			got := synth(t, name, nil).text(t)
			path := filepath.Join("testdata", name, "template.json")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) == got {
				return
			}
			a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Fatalf("%s:%d\n-%s\n+%s\nIf that is meant: go test . -run TestGolden -update", path, i+1, a[i], b[i])
				}
			}
			t.Fatalf("%s has %d lines and the template %d; if that is meant: go test . -run TestGolden -update", path, len(a), len(b))
		})
	}
}

// TestAssertions checks what must hold of every template.
func TestAssertions(t *testing.T) {
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			x := synth(t, name, map[string]string{"alarm-mail": "on-call@example.com"})
			for what, check := range map[string]func(*testing.T, template){
				"nothing is public":               nothingPublic,
				"no wildcard action":              noWildcards,
				"every star has its reason":       starsExplained,
				"everything bears the name":       named,
				"everything at rest is encrypted": encrypted,
				"what is kept is retained":        retained,
				"every queue has a dead queue":    deadQueues,
				"every asynchronous path ends":    asynchronousPaths,
				"the functions":                   functionsAsBuilt,
				"the address":                     address,
				"logs end and name nobody":        logs,
				"alarms tell somebody":            alarms,
			} {
				t.Run(what, func(t *testing.T) { check(t, x) })
			}
		})
	}
}

// nothingPublic: whoever is no service of AWS and no role of the stack gets in by
// the API alone.
func nothingPublic(t *testing.T, x template) {
	for id, r := range x.Resources {
		switch r.Type {
		case "AWS::Lambda::Url", "AWS::S3::Bucket", "AWS::EC2::SecurityGroup":
			t.Errorf("%s is a %s", id, r.Type)
		case "AWS::Lambda::Permission":
			if p := r.Properties; p["Principal"] != "apigateway.amazonaws.com" || p["SourceArn"] == nil {
				t.Errorf("%s lets %v call a function from %v", id, p["Principal"], p["SourceArn"])
			}
		case "AWS::IAM::Role":
			for _, s := range statements(r.Properties["AssumeRolePolicyDocument"]) {
				if principal, ok := s["Principal"].(map[string]any); !ok || principal["Service"] == nil || len(principal) != 1 {
					t.Errorf("%s can be assumed by %v", id, s["Principal"])
				}
			}
			if r.Properties["ManagedPolicyArns"] != nil {
				t.Errorf("%s has policies that are not in this template", id)
			}
		case "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy":
			for _, s := range statements(r.Properties["PolicyDocument"]) {
				principal, _ := s["Principal"].(map[string]any)
				if s["Effect"] == "Allow" && (principal == nil || principal["AWS"] != nil || s["Principal"] == "*") {
					t.Errorf("%s lets %v in", id, s["Principal"])
				}
			}
		}
	}
}

// noWildcards: every action is named, and "*" as a resource stands only where the
// action knows no other.
func noWildcards(t *testing.T, x template) {
	n := 0
	for id, s := range allowed(x) {
		for _, one := range s {
			for _, action := range list(one["Action"]) {
				n++
				if strings.ContainsAny(fmt.Sprint(action), "*?") {
					t.Errorf("%s allows %v", id, action)
				}
				if action == "connect:UntagResource" {
					t.Errorf("%s may take tags off", id)
				}
				for _, on := range list(one["Resource"]) {
					if on == "*" && action != "connect:ListInstances" {
						t.Errorf("%s allows %v on everything", id, action)
					}
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d actions were found, so this test looks in the wrong place", n)
	}
}

// stars are the resources of which a part is open, and why. The actions on them are
// told apart by TestPolicies.
var stars = []struct{ ends, why string }{
	{"/agent/*", "the ids of agents are not known before they are made"},
	{"/agent-state/*", "statuses are listed by a type of resource that stands for all of them"},
	{"/transfer-destination/*", "whose a quick connect is, no ARN says"},
	{"/routing-profile/*", "a rule derives it, as the lock says"},
	{"/agent-group/*", "a rule derives it, as the lock says"},
	{":*", "the streams of one log group, or the versions of one function"},
	{"-??????", "Secrets Manager puts six characters of its own behind a name"},
}

// starsExplained: a part of a resource is open where there is a reason, and within
// what belongs to this deployment or its instance.
func starsExplained(t *testing.T, x template) {
	n := 0
	for id, statements := range allowed(x) {
		if kind := x.Resources[id].Type; kind != "AWS::IAM::Policy" && kind != "AWS::IAM::ManagedPolicy" {
			continue
		}
		for _, s := range statements {
			for _, on := range list(x.resolve(s["Resource"])) {
				resource := on.(string)
				if !strings.ContainsAny(resource, "*?") || resource == "*" { // which noWildcards looks at
					continue
				}
				n++
				known := slices.IndexFunc(stars, func(star struct{ ends, why string }) bool { return strings.HasSuffix(resource, star.ends) })
				if known < 0 {
					t.Errorf("%s allows %v on %s, and nobody says why", id, s["Action"], resource)
					continue
				}
				rest := strings.TrimSuffix(resource, stars[known].ends)
				ours := slices.ContainsFunc(x.lock.Instances, func(in instance) bool {
					switch stars[known].ends {
					case "/routing-profile/*":
						return rest == in.ARN && len(in.OpenRouting) > 0
					case "/agent-group/*":
						return rest == in.ARN && len(in.OpenHierarchy) > 0
					}
					return rest == in.ARN
				})
				of := strings.Contains(rest, "connectroster/"+x.lock.Deployment+"/") || strings.HasSuffix(rest, "function:"+x.lock.resource("-"+rest[strings.LastIndexByte(rest, '-')+1:]))
				if strings.ContainsAny(rest, "*?") || !ours && !of {
					t.Errorf("%s allows %v on %s, which is more than is this deployment's", id, s["Action"], resource)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d open resources were found, so this test looks in the wrong place", n)
	}
}

// named: cleanup.sh deletes, and start.sh takes over, what bears the name of the
// deployment.
func named(t *testing.T, x template) {
	for _, kind := range []string{
		"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::IAM::Role", "AWS::SNS::Topic",
		"AWS::ApiGatewayV2::Api",
	} {
		if len(x.of(kind)) == 0 {
			t.Errorf("there is no %s", kind)
		}
		for id, r := range x.of(kind) {
			got, _ := r.Properties["Tags"].(map[string]any)
			if got == nil {
				got = map[string]any{}
				for _, tag := range list(r.Properties["Tags"]) {
					got[fmt.Sprint(tag.(map[string]any)["Key"])] = tag.(map[string]any)["Value"]
				}
			}
			if got[tagDeployment] != x.lock.Deployment {
				t.Errorf("%s bears %v", id, got)
			}
		}
	}
}

func encrypted(t *testing.T, x template) {
	for id, r := range x.of("AWS::DynamoDB::Table") {
		if sse, _ := r.Properties["SSESpecification"].(map[string]any); sse["SSEEnabled"] != true {
			t.Errorf("%s: %v", id, r.Properties["SSESpecification"])
		}
		if pitr, _ := r.Properties["PointInTimeRecoverySpecification"].(map[string]any); pitr["PointInTimeRecoveryEnabled"] != true {
			t.Errorf("%s cannot be restored to a point in time", id)
		}
	}
	queues := x.of("AWS::SQS::Queue")
	if len(queues) != 5 {
		t.Errorf("%d queues", len(queues))
	}
	for id, r := range queues {
		if r.Properties["SqsManagedSseEnabled"] != true {
			t.Errorf("%s is not encrypted", id)
		}
	}
	if n := len(x.of("AWS::SQS::QueuePolicy")); n != len(queues) {
		t.Errorf("%d of %d queues want TLS", n, len(queues))
	}
}

func retained(t *testing.T, x template) {
	n := 0
	for id, r := range x.Resources {
		if r.Type != "AWS::DynamoDB::Table" && r.Type != "AWS::SecretsManager::Secret" {
			continue
		}
		n++
		if r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
			t.Errorf("%s is deleted with the stack", id)
		}
		if r.Type == "AWS::DynamoDB::Table" && r.Properties["DeletionProtectionEnabled"] != true {
			t.Errorf("%s can be deleted by a slip", id)
		}
	}
	if n != 2 {
		t.Errorf("%d of the table and the secret", n)
	}
}

func deadQueues(t *testing.T, x template) {
	dead := map[string]bool{}
	for id, r := range x.of("AWS::SQS::Queue") {
		redrive, _ := r.Properties["RedrivePolicy"].(map[string]any)
		if redrive == nil {
			dead[id] = true
			if r.Properties["MessageRetentionPeriod"] != 14.0*24*3600 {
				t.Errorf("%s keeps messages for %v s", id, r.Properties["MessageRetentionPeriod"])
			}
			continue
		}
		if redrive["maxReceiveCount"] != 5.0 {
			t.Errorf("%s: %v", id, redrive)
		}
		timeout := r.Properties["VisibilityTimeout"]
		if timeout != 6.0*workSeconds {
			t.Errorf("%s hides a message for %v s", id, timeout)
		}
	}
	for _, r := range x.of("AWS::SQS::Queue") {
		if redrive, _ := r.Properties["RedrivePolicy"].(map[string]any); redrive != nil {
			target := list(redrive["deadLetterTargetArn"].(map[string]any)["Fn::GetAtt"])[0].(string)
			other := x.Resources[target]
			if !dead[target] || other.Properties["FifoQueue"] != r.Properties["FifoQueue"] {
				t.Errorf("%s is no dead queue of the same kind", target)
			}
		}
	}
	if len(dead) != 3 {
		t.Errorf("%d queues without a dead queue, want those three that are some", len(dead))
	}
}

// asynchronousPaths: what a schedule cannot start is kept, nothing is tried behind
// our back, and batches fail by their items.
func asynchronousPaths(t *testing.T, x template) {
	want := 1
	if x.lock.OktaAPI {
		want = 3
	}
	schedules := x.of("AWS::Scheduler::Schedule")
	if len(schedules) != want {
		t.Errorf("%d schedules, want %d", len(schedules), want)
	}
	for id, r := range schedules {
		target := r.Properties["Target"].(map[string]any)
		want := "rate(1 minute)"
		if strings.HasPrefix(id, "Sweep") {
			want = "rate(15 minutes)"
		}
		if got := r.Properties["ScheduleExpression"]; got != want {
			t.Errorf("%s: %v, want %s", id, got, want)
		}
		if dead, _ := target["DeadLetterConfig"].(map[string]any); dead["Arn"] == nil {
			t.Errorf("%s loses what it cannot start", id)
		}
	}
	invokes := x.of("AWS::Lambda::EventInvokeConfig")
	if len(invokes) != want {
		t.Errorf("%d functions that are started asynchronously, want %d", len(invokes), want)
	}
	for id, r := range invokes {
		if r.Properties["MaximumRetryAttempts"] != 0.0 {
			t.Errorf("%s: %v", id, r.Properties)
		}
		destination, _ := r.Properties["DestinationConfig"].(map[string]any)
		if failure, _ := destination["OnFailure"].(map[string]any); failure["Destination"] == nil {
			t.Errorf("%s loses runs that fail", id)
		}
	}
	mappings := x.of("AWS::Lambda::EventSourceMapping")
	if len(mappings) != 2 {
		t.Errorf("%d event sources", len(mappings))
	}
	for id, r := range mappings {
		if got := fmt.Sprint(r.Properties["FunctionResponseTypes"]); got != "[ReportBatchItemFailures]" {
			t.Errorf("%s: %s", id, got)
		}
		if got := fmt.Sprint(r.Properties["ScalingConfig"]); got != fmt.Sprintf("map[MaximumConcurrency:%d]", workersPerQueue) {
			t.Errorf("%s: %s", id, got)
		}
	}
}

func functionsAsBuilt(t *testing.T, x template) {
	want := []string{hookHandler, wakeHandler, workHandler}
	if x.lock.OktaAPI {
		want = []string{catchupHandler, hookHandler, sweepHandler, wakeHandler, workHandler}
	}
	var got []string
	assets := map[string]bool{}
	for id, r := range x.of("AWS::Lambda::Function") {
		p := r.Properties
		got = append(got, p["Handler"].(string))
		if fmt.Sprint(p["Runtime"], p["Architectures"]) != "provided.al2023[arm64]" {
			t.Errorf("%s: %v on %v", id, p["Runtime"], p["Architectures"])
		}
		code, err := json.Marshal(p["Code"])
		if err != nil {
			t.Fatal(err)
		}
		assets[string(code)] = true
		if p["Handler"] == workHandler && p["ReservedConcurrentExecutions"] != float64(workers) {
			t.Errorf("%s reserves %v", id, p["ReservedConcurrentExecutions"])
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("functions %v, want %v", got, want)
	}
	if len(assets) != 1 {
		t.Errorf("the functions come from %d assets", len(assets))
	}
}

func address(t *testing.T, x template) {
	var keys []string
	for _, r := range x.of("AWS::ApiGatewayV2::Route") {
		keys = append(keys, r.Properties["RouteKey"].(string))
	}
	slices.Sort(keys)
	if want := []string{"GET /create_user", "GET /hooks/okta", "POST /create_user", "POST /hooks/okta"}; !slices.Equal(keys, want) {
		t.Errorf("routes %q", keys)
	}
	// ApiEndpoint begins with https://, and the default stage adds nothing to it.
	url, err := json.Marshal(x.Outputs["ApiUrl"]["Value"])
	if want := `{"Fn::Join":["",[{"Fn::GetAtt":["ApiF70053CD","ApiEndpoint"]},"/hooks/okta"]]}`; err != nil || string(url) != want {
		t.Errorf("ApiUrl: %s, %v", url, err)
	}
	for id, r := range x.of("AWS::ApiGatewayV2::Stage") {
		limits, _ := r.Properties["DefaultRouteSettings"].(map[string]any)
		if limits["ThrottlingRateLimit"] != 50.0 || limits["ThrottlingBurstLimit"] != 100.0 {
			t.Errorf("%s: %v", id, limits)
		}
	}
}

func logs(t *testing.T, x template) {
	groups := x.of("AWS::Logs::LogGroup")
	if len(groups) != len(x.of("AWS::Lambda::Function"))+1 {
		t.Errorf("%d log groups", len(groups))
	}
	for id, r := range groups {
		if r.Properties["RetentionInDays"] != 30.0 {
			t.Errorf("%s keeps logs for %v days", id, r.Properties["RetentionInDays"])
		}
	}
	for id, r := range x.of("AWS::ApiGatewayV2::Stage") {
		format := fmt.Sprint(r.Properties["AccessLogSettings"].(map[string]any)["Format"])
		for _, personal := range []string{"identity", "sourceIp", "userAgent", "path", "authorizer", "querystring", "header", "caller"} {
			if strings.Contains(strings.ToLower(format), strings.ToLower(personal)) {
				t.Errorf("%s logs %s: %s", id, personal, format)
			}
		}
	}
}

// watched is what alarms go off at: the metric, how it is added up for how long, the
// threshold, for how many of these times, and what it means that nothing is told. Each
// must do for a company with an event in an hour and for one with one in a second.
var watched = map[string]string{
	"LeaversDead":       "ApproximateNumberOfMessagesVisible Maximum 300 >= 1, 1 times, ignore",
	"PeopleDead":        "ApproximateNumberOfMessagesVisible Maximum 300 >= 1, 1 times, ignore",
	"DeadLetters":       "dead_letters Maximum 300 >= 1, 1 times, ignore",
	"HoldsWait":         "holds_waiting Maximum 300 >= 1, 1 times, ignore",
	"OldestRequest":     "oldest_request_seconds Maximum 300 >= 1800, 3 times, breaching",
	"CatchUpLag":        "catch_up_lag_seconds Maximum 300 >= 900, 3 times, breaching",
	"NoEvents":          "events_accepted Sum 86400 < 1, 1 times, breaching",
	"RefusedDeliveries": "deliveries_refused Sum 3600 >= 1, 1 times, notBreaching",
	"Hook4xx":           "4xx Sum 300 >= 1000, 1 times, notBreaching",
	"Hook5xx":           "5xx Sum 300 >= 1, 1 times, notBreaching",
	"RunsFail":          "NumberOfMessagesSent Sum 3600 >= 3, 1 times, notBreaching",
	"HookFails":         "Errors Sum 300 >= 3, 2 times, notBreaching",
	"WorkFails":         "Errors Sum 300 >= 3, 2 times, notBreaching",
	"WakeFails":         "Errors Sum 300 >= 3, 2 times, notBreaching",
	"CatchUpFails":      "Errors Sum 300 >= 3, 2 times, notBreaching",
	"SweepFails":        "Errors Sum 10800 >= 2, 1 times, notBreaching", // no more often than once an hour
}

func alarms(t *testing.T, x template) {
	all := x.of("AWS::CloudWatch::Alarm")
	found := map[string]string{}
	for id, r := range all {
		p := r.Properties
		sign := map[any]string{"GreaterThanOrEqualToThreshold": ">=", "LessThanThreshold": "<"}[p["ComparisonOperator"]]
		found[id[:strings.LastIndex(id, "Alarm")]] = fmt.Sprintf("%v %v %v %s %v, %v times, %v", p["MetricName"], p["Statistic"], p["Period"], sign, p["Threshold"], p["EvaluationPeriods"], p["TreatMissingData"])
		// CloudWatch looks back a week, and a day at periods below an hour.
		if back := p["Period"].(float64) * p["EvaluationPeriods"].(float64); back > 7*86400 || p["Period"].(float64) < 3600 && back > 86400 {
			t.Errorf("%s looks back %v s", id, back)
		}
	}
	want := maps.Clone(watched)
	if !x.lock.OktaAPI {
		for _, id := range []string{"CatchUpLag", "CatchUpFails", "SweepFails"} {
			delete(want, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if found[id] != want[id] {
			t.Errorf("%s: %q, want %q", id, found[id], want[id])
		}
	}
	if len(found) != len(want) {
		t.Errorf("there are the alarms %q, want %q", slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(want)))
	}
	// Whom the gateway itself turns away counts as refused.
	filters := x.of("AWS::Logs::MetricFilter")
	for id, r := range filters {
		got := fmt.Sprint(r.Properties["FilterPattern"], r.Properties["MetricTransformations"])
		if want := `{ $.status = "429" }[map[Dimensions:[map[Key:deployment Value:$.deployment]] MetricName:deliveries_refused MetricNamespace:connectroster MetricValue:1]]`; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if len(filters) != 1 {
		t.Errorf("%d filters of the access log", len(filters))
	}
	for id, r := range all {
		what, _ := r.Properties["AlarmDescription"].(string)
		if code := id[:strings.LastIndex(id, "Alarm")]; len(list(r.Properties["AlarmActions"])) != 1 || !strings.HasSuffix(what, " ["+code+"]") {
			t.Errorf("%s tells nobody, or not what connectroster help knows it by: %q", id, what)
		}
	}
	if len(x.of("AWS::CloudWatch::Dashboard")) != 1 || len(x.of("AWS::SNS::Topic")) != 1 {
		t.Error("no dashboard or no topic")
	}
	// A topic with a policy takes what that says and no more, so alarms have to be in it.
	ofAccount := `map[StringEquals:map[aws:SourceAccount:map[Ref:AWS::AccountId]]]`
	for id, r := range x.of("AWS::SNS::TopicPolicy") {
		if !slices.ContainsFunc(statements(r.Properties["PolicyDocument"]), func(s map[string]any) bool {
			principal, _ := s["Principal"].(map[string]any)
			return s["Effect"] == "Allow" && s["Action"] == "sns:Publish" && principal["Service"] == "cloudwatch.amazonaws.com" && fmt.Sprint(s["Condition"]) == ofAccount
		}) {
			t.Errorf("%s: no alarm of this account may tell the topic", id)
		}
	}
}

// statements gives those of a policy document.
func statements(document any) []map[string]any {
	var out []map[string]any
	d, _ := document.(map[string]any)
	for _, s := range list(d["Statement"]) {
		out = append(out, s.(map[string]any))
	}
	return out
}

// allowed gives the allowing statements of all policies, by their logical ids.
func allowed(x template) map[string][]map[string]any {
	out := map[string][]map[string]any{}
	for id, r := range x.Resources {
		documents := []any{r.Properties["PolicyDocument"]}
		for _, inline := range list(r.Properties["Policies"]) {
			documents = append(documents, inline.(map[string]any)["PolicyDocument"])
		}
		for _, document := range documents {
			for _, s := range statements(document) {
				if s["Effect"] == "Allow" {
					out[id] = append(out[id], s)
				}
			}
		}
	}
	return out
}

// list gives a value that may be one or several as several.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// TestNamesOfLambda: cmd/lambda goes by the same names as this stack. Its source is
// read, since it belongs to another module.
func TestNamesOfLambda(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "cmd", "lambda", "*.go"))
	if err != nil || len(files) == 0 {
		t.Skip("cmd/lambda is not here, so its names cannot be compared")
	}
	var source strings.Builder
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			source.Write(text)
		}
	}
	for _, name := range []string{
		hookHandler, workHandler, catchupHandler, sweepHandler, wakeHandler, configVariable, workersVariable, metricNamespace, metricDimension,
		metricEvents, metricRefused, metricHolds, metricOldest, metricCatchUpLag, metricDead, metricChanges, metricRefusals, metricThrottled,
	} {
		if !strings.Contains(source.String(), `"`+name+`"`) {
			t.Errorf("cmd/lambda does not know %q", name)
		}
	}
}
